/* Which nodes live, as gossip tells; and the graves of those who left. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/catalog/spread.h"
#include "base/err.h"

static void unbury(struct catalog *c, const struct digest_key *key)
{
    free(rc_table_remove_bytes(c->buried, key->bytes, DIGEST_KEY_SIZE));
}

/* A full table forgets its oldest grave: whom it guarded is hardly known to anybody. */
static void make_room(struct catalog *c)
{
    size_t position = 0;

    if (rc_table_count(c->buried) >= STATE_BURIED_MAX) {
        const struct buried *oldest = rc_table_next(c->buried, &position, NULL);
        const struct digest_key key = oldest->key;
        unbury(c, &key);
    }
}

static void bury_record(struct catalog *c, uint64_t now_ms,
                        const struct node_entry *entry)
{
    struct buried *buried = calloc(1, sizeof *buried);

    unbury(c, &entry->key);
    make_room(c);
    if (buried == NULL) {
        return;
    }
    buried->key = entry->key;
    buried->epoch = entry->view.epoch;
    buried->version = entry->view.version;
    buried->until_ms = now_ms + SPREAD_BURIED_MS;
    if (rc_table_put_bytes(c->buried, buried->key.bytes, DIGEST_KEY_SIZE, buried, NULL) !=
        RC_OK) {
        free(buried);
    }
}

void liveness_bury(struct catalog *c, uint64_t now_ms, struct node_entry *entry)
{
    assert(entry != c->self);
    if (entry->view.epoch != 0) {
        bury_record(c, now_ms, entry);
    }
    if (entry->peer) {
        c->peer_count--;
    }
    rumour_drop(c, entry);
    record_forget(c, entry);
    listing_remove(c, entry);
}

void liveness_forget_buried(struct catalog *c)
{
    size_t position = 0;
    struct buried *buried = NULL;

    while ((buried = rc_table_next(c->buried, &position, NULL)) != NULL) {
        free(buried);
    }
    rc_table_destroy(c->buried);
}

static bool is_orphan(const struct node_entry *entry, uint64_t now_ms)
{
    return !entry->listed && now_ms >= entry->unlisted_ms + SPREAD_ORPHAN_MS;
}

void liveness_clean(struct catalog *c, uint64_t now_ms)
{
    size_t position = 0;
    struct buried *buried = NULL;
    struct node_entry *entry = NULL;

    if (now_ms < c->clean_due_ms) {
        return;
    }
    c->clean_due_ms = now_ms + SPREAD_CLEAN_EVERY_MS;
    scrub_some(c);
    while ((buried = rc_table_next(c->buried, &position, NULL)) != NULL) {
        if (buried->until_ms <= now_ms) {
            const struct digest_key key = buried->key;
            unbury(c, &key);
        }
    }
    position = 0;
    step_begin(c);
    while ((entry = rc_table_next(c->by_name, &position, NULL)) != NULL) {
        if (is_orphan(entry, now_ms)) {
            liveness_bury(c, now_ms, entry);
        }
    }
    step_end(c);
}

static bool same_member(const struct item_facts *known, const struct catalog_node *facts)
{
    return known != NULL && strcmp(known->view.address, facts->address) == 0 &&
           strcmp(known->view.datacenter, facts->datacenter) == 0;
}

static void set_member_facts(struct catalog *c, struct node_entry *entry,
                             const struct catalog_member *member)
{
    struct catalog_node facts = {
        .address = member->address == NULL ? "" : member->address,
        .datacenter = member->datacenter == NULL ? "" : member->datacenter,
        .id = "",
    };

    if (same_member(entry->member, &facts) ||
        item_facts_validate(&facts, NULL) != RC_OK) {
        return;
    }
    struct item_facts *item = item_facts_create(&facts);
    if (item == NULL) {
        return;
    }
    if (entry->member != NULL) {
        step_bury_facts(c, entry->member);
    }
    entry->member = item;
    listing_set_facts(c, entry);
}

static void set_peer(struct catalog *c, struct node_entry *entry, bool peer)
{
    if (entry->peer != peer) {
        entry->peer = peer;
        c->peer_count += peer ? 1 : SIZE_MAX;
    }
}

static void member_is_here(struct catalog *c, uint64_t now_ms, uint64_t wall_ms,
                           const struct catalog_member *member)
{
    struct node_entry *entry = listing_entry(c, member->name);

    if (entry == NULL) {
        c->counters.records_over_quota++;
        return;
    }
    if (!entry->listed) {
        entry->unlisted_ms = now_ms;
        unbury(c, &entry->key); /* alive again: gossip knows better than a grave */
    }
    set_member_facts(c, entry, member);
    if (entry->member == NULL) {
        listing_set_facts(c, entry);
    }
    listing_set_liveness(c, entry, member->liveness, wall_ms);
    set_peer(c, entry, member->peer);
    if (!entry->listed && listing_show(c, entry) != RC_OK) {
        c->counters.records_over_quota++;
    }
}

void catalog_member_event(struct catalog *c, uint64_t now_ms, uint64_t wall_ms,
                          const struct catalog_member *member)
{
    if (strcmp(member->name, c->self->name) == 0) {
        return;
    }
    c->now_ms = now_ms;
    step_begin(c);
    if (member->liveness == CATALOG_LEFT) {
        struct node_entry *entry = listing_find(c, member->name);
        if (entry != NULL && entry != c->self && strcmp(entry->name, member->name) == 0) {
            liveness_bury(c, now_ms, entry);
        }
    } else {
        member_is_here(c, now_ms, wall_ms, member);
    }
    step_end(c);
}
