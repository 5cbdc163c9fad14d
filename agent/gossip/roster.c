/* roster.c - the table of members and the list that SWIM walks. */
#include "agent/gossip/roster.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/gossip/tags.h"
#include "base/err.h"

enum { ADDRESS_KEY_SIZE = 18 };

int roster_init(struct roster *roster, uint64_t hash_seed)
{
    *roster = (struct roster){0};
    roster->by_name = rc_table_create(hash_seed);
    roster->by_address = rc_table_create(hash_seed);
    return roster->by_name != NULL && roster->by_address != NULL ? RC_OK : RC_ENOMEM;
}

static void free_member(struct member *member)
{
    free(member->meta);
    free(member->tags);
    free(member->suspicion);
    free(member->distance);
    free(member);
}

void roster_fini(struct roster *roster)
{
    size_t position = 0;
    struct member *member;

    while (roster->by_name != NULL &&
           (member = rc_table_next(roster->by_name, &position, NULL)) != NULL) {
        free_member(member);
    }
    rc_table_destroy(roster->by_name);
    rc_table_destroy(roster->by_address);
    free(roster->list);
    *roster = (struct roster){0};
}

static void address_key(const struct rc_address *address, uint8_t key[ADDRESS_KEY_SIZE])
{
    memcpy(key, address->ip, 16);
    key[16] = (uint8_t)(address->port >> 8);
    key[17] = (uint8_t)address->port;
}

struct member *roster_find(const struct roster *roster, struct rc_pack_bytes name)
{
    return rc_table_get_bytes(roster->by_name, name.at, name.size);
}

struct member *roster_at(const struct roster *roster, const struct rc_address *address)
{
    uint8_t key[ADDRESS_KEY_SIZE];
    address_key(address, key);
    return rc_table_get_bytes(roster->by_address, key, sizeof key);
}

int roster_add(struct roster *roster, struct rc_pack_bytes name, struct member **out)
{
    if (name.size == 0 || name.size > ROSTER_NAME_MAX ||
        memchr(name.at, '\0', name.size) != NULL) {
        return RC_EINVAL;
    }
    if (rc_table_count(roster->by_name) >= ROSTER_MAX) {
        return RC_ETOOBIG;
    }
    struct member *member = calloc(1, sizeof *member + name.size + 1);
    if (member == NULL) {
        return RC_ENOMEM;
    }
    memcpy(member->name, name.at, name.size);
    member->view.name = member->name;
    member->id = ++roster->last_id;
    int err = rc_table_put_bytes(roster->by_name, name.at, name.size, member, NULL);
    if (err != RC_OK) {
        free(member);
        return err;
    }
    *out = member;
    return RC_OK;
}

static void swap(struct roster *roster, size_t a, size_t b)
{
    struct member *member = roster->list[a];
    roster->list[a] = roster->list[b];
    roster->list[b] = member;
    roster->list[a]->list_place = a;
    roster->list[b]->list_place = b;
}

int roster_enlist(struct roster *roster, struct member *member, struct rc_random *random)
{
    assert(member->swim == SWIM_NONE);
    if (roster->list_count == roster->list_capacity) {
        size_t capacity = roster->list_capacity > 0 ? 2 * roster->list_capacity : 8;
        struct member **list = realloc(roster->list, capacity * sizeof(struct member *));
        if (list == NULL) {
            return RC_ENOMEM;
        }
        roster->list = list;
        roster->list_capacity = capacity;
    }
    roster->list[roster->list_count] = member;
    member->list_place = roster->list_count;
    member->swim = SWIM_DEAD;
    roster->list_count++;
    swap(roster, member->list_place,
         (size_t)rc_random_below(random, (uint64_t)roster->list_count));
    return RC_OK;
}

void roster_delist(struct roster *roster, struct member *member)
{
    assert(member->swim != SWIM_NONE);
    roster->left_count -= member->swim == SWIM_LEFT;
    roster->alive_count -= member->swim == SWIM_ALIVE;
    swap(roster, member->list_place, roster->list_count - 1);
    roster->list_count--;
    member->swim = SWIM_NONE;
}

void roster_set_swim(struct roster *roster, struct member *member, enum swim_state state,
                     uint64_t now_ns)
{
    assert(member->swim != SWIM_NONE && state != SWIM_NONE);
    roster->left_count -= member->swim == SWIM_LEFT;
    roster->left_count += state == SWIM_LEFT;
    roster->alive_count -= member->swim == SWIM_ALIVE;
    roster->alive_count += state == SWIM_ALIVE;
    member->swim = state;
    member->swim_since_ns = now_ns;
}

static void forget_address(struct roster *roster, struct member *member)
{
    uint8_t key[ADDRESS_KEY_SIZE];

    address_key(&member->view.address, key);
    if (rc_table_get_bytes(roster->by_address, key, sizeof key) == member) {
        (void)rc_table_remove_bytes(roster->by_address, key, sizeof key);
    }
}

bool roster_drop_if_unused(struct roster *roster, struct member *member)
{
    if (member->swim != SWIM_NONE || member->serf != SERF_NONE) {
        return false;
    }
    assert(member->suspicion == NULL);
    forget_address(roster, member);
    (void)rc_table_remove(roster->by_name, member->name);
    member->is_erased = true;
    if (member->waiting == 0) {
        free_member(member);
    }
    return true;
}

void roster_release(struct member *member)
{
    assert(member->waiting > 0);
    member->waiting--;
    if (member->waiting == 0 && member->is_erased) {
        free_member(member);
    }
}

int roster_set_address(struct roster *roster, struct member *member,
                       const struct rc_address *address)
{
    uint8_t key[ADDRESS_KEY_SIZE];

    forget_address(roster, member);
    member->view.address = *address;
    address_key(address, key);
    return rc_table_put_bytes(roster->by_address, key, sizeof key, member, NULL);
}

int roster_set_meta(struct member *member, struct rc_pack_bytes meta)
{
    struct gossip_tag *tags;
    size_t count;

    uint8_t *copy = malloc(meta.size > 0 ? meta.size : 1);
    if (copy == NULL || tags_read(meta, &tags, &count) != RC_OK) {
        free(copy);
        return RC_ENOMEM;
    }
    if (meta.size > 0) {
        memcpy(copy, meta.at, meta.size);
    }
    free(member->meta);
    free(member->tags);
    member->meta = copy;
    member->meta_size = meta.size;
    member->tags = tags;
    member->view.tags = tags;
    member->view.tag_count = count;
    member->view.is_rollcall = gossip_member_tag(&member->view, "rc") != NULL;
    return RC_OK;
}

size_t roster_estimate(const struct roster *roster)
{
    return roster->list_count - roster->left_count;
}

void roster_shuffle(struct roster *roster, struct rc_random *random)
{
    for (size_t i = roster->list_count; i > 1; i--) {
        swap(roster, i - 1, (size_t)rc_random_below(random, i));
    }
}

static bool is_among(struct member *const *members, size_t count,
                     const struct member *member)
{
    for (size_t i = 0; i < count; i++) {
        if (members[i] == member) {
            return true;
        }
    }
    return false;
}

/* Few members: all are looked at, each once, in random order. Many: draws, somewhat more than
 * memberlist makes, because a wanted kind may be rare. */
size_t roster_pick(const struct roster *roster, struct rc_random *random,
                   bool (*wants)(const struct member *member, const struct gossip *g),
                   const struct gossip *g, struct member **out, size_t max)
{
    enum { FEW_MAX = 32 };
    uint8_t order[FEW_MAX];
    size_t n = roster->list_count;
    size_t found = 0;

    if (n <= FEW_MAX) {
        for (size_t i = 0; i < n; i++) {
            order[i] = (uint8_t)i;
        }
        for (size_t left = n; left > 0 && found < max; left--) {
            size_t drawn = (size_t)rc_random_below(random, left);
            struct member *member = roster->list[order[drawn]];
            order[drawn] = order[left - 1];
            if (wants(member, g)) {
                out[found++] = member;
            }
        }
        return found;
    }
    for (size_t draws = 3 * n < 200 ? 3 * n : 200; draws > 0 && found < max; draws--) {
        struct member *member = roster->list[rc_random_below(random, n)];
        if (!is_among(out, found, member) && wants(member, g)) {
            out[found++] = member;
        }
    }
    return found;
}
