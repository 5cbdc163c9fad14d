/* roster.c - see roster.h. */
#include "proxy/roster.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

enum { ENTRIES_MAX = 4096, EMPTY_ANSWERS = 3, JITTER_PPM = 100000 };

struct source {
    struct roster_entry *entries; /* the last good word */
    size_t count;
    struct roster_source_state state;
    unsigned empty_answers; /* in a row */
    uint64_t empty_since_ms;
};

struct roster {
    struct upstream_rules rules;
    uint32_t max_ejected_percent;
    uint32_t hold_empty_ms;
    bool probed; /* servers are asked themselves */
    bool named;  /* the catalog tells roles by tags, or did once */
    struct rc_random random;
    struct source sources[ROSTER_SOURCE_COUNT];
    struct roster_member *members; /* ordered by id, then address */
    size_t count;
    size_t claimants;
};

/* --- life --- */

static int set_statics(struct roster *roster, const struct config_pool *config,
                       uint64_t now_ms)
{
    struct source *source = &roster->sources[ROSTER_STATIC];
    struct roster_entry *entries = calloc(config->static_count + 1, sizeof *entries);
    if (entries == NULL) {
        return RC_ENOMEM;
    }
    for (size_t i = 0; i < config->static_count; i++) {
        entries[i].address = config->statics[i].address;
        entries[i].weight = config->statics[i].weight;
    }
    free(source->entries);
    source->entries = entries;
    source->count = config->static_count;
    source->state = (struct roster_source_state){.used = config->static_count > 0,
                                                 .known = config->static_count > 0,
                                                 .healthy = true,
                                                 .good_at_ms = now_ms,
                                                 .count = config->static_count};
    return RC_OK;
}

static bool reconcile(struct roster *roster, uint64_t now_ms);

int roster_configure(struct roster *roster, const struct config_pool *config,
                     uint32_t hold_empty_ms, uint64_t now_ms)
{
    roster->rules = (struct upstream_rules){.slow_start_ms = config->slow_start_ms,
                                            .failures_max = config->outlier_failures,
                                            .base_ms = config->outlier_base_ms};
    roster->max_ejected_percent = config->outlier_max_percent;
    roster->hold_empty_ms = hold_empty_ms;
    roster->probed = config->probe_user[0] != '\0';
    roster->sources[ROSTER_AGENT].state.used = config->service[0] != '\0';
    roster->sources[ROSTER_DNS].state.used = config->dns_name[0] != '\0';
    int err = set_statics(roster, config, now_ms);
    if (err == RC_OK) {
        (void)reconcile(roster, now_ms);
    }
    return err;
}

struct roster *roster_create(const struct config_pool *config, uint32_t hold_empty_ms,
                             uint64_t seed, uint64_t now_ms)
{
    struct roster *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return NULL;
    }
    rc_random_init(&made->random, seed);
    if (roster_configure(made, config, hold_empty_ms, now_ms) != RC_OK) {
        roster_destroy(made);
        return NULL;
    }
    return made;
}

void roster_destroy(struct roster *roster)
{
    if (roster == NULL) {
        return;
    }
    for (size_t i = 0; i < roster->count; i++) {
        instance_release(roster->members[i].instance);
    }
    for (size_t i = 0; i < ROSTER_SOURCE_COUNT; i++) {
        free(roster->sources[i].entries);
    }
    free(roster->members);
    free(roster);
}

/* --- roles --- */

/* A tag that says primary counts only if the server agrees; a server that says primary
 * counts only if the catalog, where it knows roles at all, agrees too: else it is NONE, and
 * sessions that wrote there end. UNKNOWN is only a lack of news: it ends none. */
static enum upstream_role decide(const struct roster *roster,
                                 const struct roster_member *member)
{
    if (!member->upstream.present) {
        return UPSTREAM_ROLE_UNKNOWN;
    }
    if (!roster->probed) {
        return member->claim;
    }
    if (member->probe == UPSTREAM_ROLE_NONE) {
        return UPSTREAM_ROLE_UNKNOWN;
    }
    if (member->probe == UPSTREAM_ROLE_PRIMARY && roster->named &&
        member->claim != UPSTREAM_ROLE_PRIMARY) {
        return UPSTREAM_ROLE_NONE;
    }
    return member->probe;
}

/* Two say primary: the higher timeline is the later promotion; equal or unknown: nobody. */
static void settle_claims(struct roster *roster)
{
    uint32_t best = 0;
    size_t at_best = 0;
    for (size_t i = 0; i < roster->count; i++) {
        const struct roster_member *m = &roster->members[i];
        if (m->role == UPSTREAM_ROLE_PRIMARY && m->timeline >= best) {
            at_best = m->timeline > best ? 1 : at_best + 1;
            best = m->timeline;
        }
    }
    for (size_t i = 0; i < roster->count; i++) {
        struct roster_member *m = &roster->members[i];
        if (m->role == UPSTREAM_ROLE_PRIMARY && (m->timeline != best || at_best != 1)) {
            m->role = UPSTREAM_ROLE_UNKNOWN;
        }
    }
}

static bool decide_roles(struct roster *roster)
{
    bool changed = false;
    enum upstream_role *before = calloc(roster->count + 1, sizeof *before);

    roster->claimants = 0;
    for (size_t i = 0; i < roster->count; i++) {
        struct roster_member *m = &roster->members[i];
        if (before != NULL) {
            before[i] = m->role;
        }
        m->role = decide(roster, m);
        roster->claimants += m->role == UPSTREAM_ROLE_PRIMARY;
    }
    if (roster->claimants > 1) {
        settle_claims(roster);
    }
    for (size_t i = 0; i < roster->count; i++) {
        changed = changed || before == NULL || before[i] != roster->members[i].role;
    }
    free(before);
    return changed;
}

const struct roster_member *roster_primary(const struct roster *roster, size_t *claimants)
{
    const struct roster_member *found = NULL;
    for (size_t i = 0; i < roster->count; i++) {
        if (roster->members[i].role == UPSTREAM_ROLE_PRIMARY) {
            found = &roster->members[i];
        }
    }
    *claimants = roster->claimants;
    return found;
}

bool roster_set_probe(struct roster *roster, const struct instance *instance,
                      enum upstream_role role, uint32_t timeline)
{
    for (size_t i = 0; i < roster->count; i++) {
        struct roster_member *m = &roster->members[i];
        if (m->instance == instance) {
            m->probe = role;
            m->timeline = timeline;
        }
    }
    return decide_roles(roster);
}

/* --- members --- */

static int compare(const void *a, const void *b)
{
    const struct roster_member *left = a;
    const struct roster_member *right = b;
    int by_id = strcmp(left->instance->id, right->instance->id);
    if (by_id != 0) {
        return by_id;
    }
    return memcmp(&left->instance->address, &right->instance->address,
                  sizeof left->instance->address);
}

static bool is_entry_of(const struct roster_entry *entry,
                        const struct roster_member *member)
{
    return rc_address_equals(&entry->address, &member->instance->address) &&
           (entry->id[0] == '\0' || member->address_only != 0 ||
            rc_text_equals(entry->id, member->instance->id));
}

static struct roster_member *find_member(struct roster *roster,
                                         const struct roster_entry *entry)
{
    for (size_t i = 0; i < roster->count; i++) {
        if (is_entry_of(entry, &roster->members[i])) {
            return &roster->members[i];
        }
    }
    return NULL;
}

static bool has_usable(const struct roster *roster)
{
    for (size_t i = 0; i < roster->count; i++) {
        if (upstream_is_usable(roster->members[i].upstream.state)) {
            return true;
        }
    }
    return false;
}

static bool add_member(struct roster *roster, const struct roster_entry *entry,
                       enum upstream_start start, uint64_t now_ms)
{
    char address[RC_ADDRESS_TEXT_MAX];
    rc_address_format(&entry->address, address);
    struct roster_member *grown =
        realloc(roster->members, (roster->count + 1) * sizeof *grown);
    if (grown == NULL) {
        return false;
    }
    roster->members = grown;
    bool named = entry->id[0] != '\0';
    struct roster_member made = {
        .instance = instance_create(named ? entry->id : address, &entry->address),
        .weight = entry->weight,
        .claim = entry->claim,
        .address_only = named ? 0 : 1,
    };
    if (made.instance == NULL) {
        return false;
    }
    upstream_init(&made.upstream, &roster->rules, start, now_ms);
    roster->members[roster->count++] = made;
    return true;
}

static bool update_member(struct roster *roster, struct roster_member *member,
                          const struct roster_entry *entry, uint64_t now_ms)
{
    bool changed = member->weight != entry->weight || !member->upstream.present;
    member->weight = entry->weight;
    if (entry->id[0] != '\0') { /* DNS knows no tags: it cannot take one away */
        changed = changed || member->claim != entry->claim;
        member->claim = entry->claim;
    }
    upstream_set_present(&member->upstream, &roster->rules, now_ms);
    return changed;
}

/* The source besides the static entries whose word counts now, or NULL. */
static const struct source *authority(const struct roster *roster)
{
    const struct source *agent = &roster->sources[ROSTER_AGENT];
    const struct source *dns = &roster->sources[ROSTER_DNS];
    bool agent_known = agent->state.used && agent->state.known;
    bool dns_known = dns->state.used && dns->state.known;

    if (agent_known && agent->state.healthy) {
        return agent;
    }
    if (dns_known && dns->state.healthy) {
        return dns;
    }
    if (agent_known && dns_known) {
        return agent->state.good_at_ms >= dns->state.good_at_ms ? agent : dns;
    }
    return agent_known ? agent : dns_known ? dns : NULL;
}

static bool is_wanted(const struct source *source, const struct roster_member *member)
{
    for (size_t i = 0; source != NULL && i < source->count; i++) {
        if (is_entry_of(&source->entries[i], member)) {
            return true;
        }
    }
    return false;
}

static bool admit(struct roster *roster, const struct source *source,
                  enum upstream_start start, uint64_t now_ms)
{
    bool changed = false;
    for (size_t i = 0; source != NULL && i < source->count; i++) {
        const struct roster_entry *entry = &source->entries[i];
        struct roster_member *member = find_member(roster, entry);
        changed = (member != NULL ? update_member(roster, member, entry, now_ms)
                                  : add_member(roster, entry, start, now_ms)) ||
                  changed;
    }
    return changed;
}

/* Makes the members follow the sources. True when something changed. */
static bool reconcile(struct roster *roster, uint64_t now_ms)
{
    const struct source *statics = &roster->sources[ROSTER_STATIC];
    const struct source *found = authority(roster);
    enum upstream_start start =
        has_usable(roster) ? UPSTREAM_START_SLOW : UPSTREAM_START_FULL;

    for (size_t i = 0; found != NULL && i < found->count; i++) {
        roster->named = roster->named || found->entries[i].claim != UPSTREAM_ROLE_NONE;
    }
    bool changed = admit(roster, statics, start, now_ms);
    changed = admit(roster, found, start, now_ms) || changed;
    for (size_t i = 0; i < roster->count; i++) {
        struct roster_member *m = &roster->members[i];
        if (m->upstream.present && !is_wanted(statics, m) && !is_wanted(found, m)) {
            upstream_set_absent(&m->upstream, now_ms);
            changed = true;
        }
    }
    if (roster->count > 1) {
        qsort(roster->members, roster->count, sizeof *roster->members, compare);
    }
    return decide_roles(roster) || changed;
}

/* --- results --- */

static bool keep_word(struct source *source, const struct roster_entry *entries,
                      size_t count, uint64_t now_ms)
{
    struct roster_entry *copy = calloc(count + 1, sizeof *copy);
    if (copy == NULL) {
        return false;
    }
    if (count > 0) {
        memcpy(copy, entries, count * sizeof *copy);
    }
    free(source->entries);
    source->entries = copy;
    source->count = count;
    source->state.count = count;
    source->state.known = true;
    source->state.healthy = true;
    source->state.good_at_ms = now_ms;
    source->empty_answers = 0;
    return true;
}

static bool holds_address(const struct source *source, const struct roster_entry *entry)
{
    for (size_t i = 0; i < source->count; i++) {
        if (rc_address_equals(&source->entries[i].address, &entry->address) &&
            rc_text_equals(source->entries[i].id, entry->id)) {
            return true;
        }
    }
    return false;
}

/* The former word plus what is new in this one. */
static bool add_word(struct source *source, const struct roster_entry *entries,
                     size_t count, uint64_t now_ms)
{
    struct roster_entry *both = calloc(source->count + count + 1, sizeof *both);
    if (both == NULL) {
        return false;
    }
    size_t total = source->count;
    if (total > 0) {
        memcpy(both, source->entries, total * sizeof *both);
    }
    for (size_t i = 0; i < count && total < ENTRIES_MAX; i++) {
        if (!holds_address(source, &entries[i])) {
            both[total++] = entries[i];
        }
    }
    bool kept = keep_word(source, both, total, now_ms);
    free(both);
    return kept;
}

/* True when "none" has been said often and long enough to be believed. */
static bool believe_empty(const struct roster *roster, struct source *source,
                          uint64_t now_ms)
{
    if (source->empty_answers == 0) {
        source->empty_since_ms = now_ms;
    }
    source->empty_answers++;
    return source->count == 0 ||
           (source->empty_answers >= EMPTY_ANSWERS &&
            now_ms - source->empty_since_ms >= roster->hold_empty_ms);
}

bool roster_apply(struct roster *roster, enum roster_source source,
                  enum roster_verdict verdict, const struct roster_entry *entries,
                  size_t count, uint64_t now_ms)
{
    assert(source < ROSTER_SOURCE_COUNT);
    struct source *from = &roster->sources[source];
    bool was_known = from->state.known;
    if (count > ENTRIES_MAX) {
        count = ENTRIES_MAX;
    }
    switch (verdict) {
    case ROSTER_FULL:
        (void)keep_word(from, entries, count, now_ms);
        break;
    case ROSTER_PARTIAL:
        (void)add_word(from, entries, count, now_ms);
        break;
    case ROSTER_EMPTY:
        if (believe_empty(roster, from, now_ms)) {
            (void)keep_word(from, NULL, 0, now_ms);
        }
        break;
    case ROSTER_FAILED:
    case ROSTER_VERDICT_COUNT:
        from->state.healthy = false;
        break;
    }
    return reconcile(roster, now_ms) || was_known != from->state.known;
}

/* --- time --- */

static struct upstream_counts counts_of(const struct roster_member *member)
{
    struct instance *i = member->instance;
    return (struct upstream_counts){
        .failures_in_a_row =
            atomic_load_explicit(&i->failures_in_a_row, memory_order_relaxed),
        .trial_successes =
            atomic_load_explicit(&i->trial_successes, memory_order_relaxed),
        .in_flight = atomic_load_explicit(&i->in_flight, memory_order_relaxed),
    };
}

static void clear_counts(const struct roster_member *member)
{
    struct instance *i = member->instance;
    atomic_store_explicit(&i->failures_in_a_row, 0, memory_order_relaxed);
    atomic_store_explicit(&i->trial_successes, 0, memory_order_relaxed);
    atomic_store_explicit(&i->trials, 0, memory_order_relaxed);
}

/* Never the last usable one, never more than the configured part of the pool. */
static bool may_eject(const struct roster *roster, const struct roster_member *candidate)
{
    size_t usable = 0;
    size_t ejected = 0;
    size_t present = 0;
    if (candidate->upstream.state == UPSTREAM_TRIAL) {
        return true; /* it is out already */
    }
    for (size_t i = 0; i < roster->count; i++) {
        const struct upstream *u = &roster->members[i].upstream;
        usable += upstream_is_usable(u->state);
        ejected += u->state == UPSTREAM_EJECTED || u->state == UPSTREAM_TRIAL;
        present += u->present;
    }
    return usable > 1 && (ejected + 1) * 100 <= present * roster->max_ejected_percent;
}

static bool tick_member(struct roster *roster, struct roster_member *member,
                        uint64_t now_ms)
{
    struct upstream_counts counts = counts_of(member);
    if (upstream_should_eject(&member->upstream, &roster->rules, &counts) &&
        may_eject(roster, member)) {
        upstream_eject(&member->upstream, &roster->rules,
                       (uint32_t)rc_random_below(&roster->random, JITTER_PPM), now_ms);
        clear_counts(member);
        return true;
    }
    if (member->upstream.state == UPSTREAM_TRIAL && counts.in_flight == 0) {
        /* A slot that was taken and never used comes back. */
        atomic_store_explicit(&member->instance->trials, 0, memory_order_relaxed);
    }
    if (upstream_tick(&member->upstream, &roster->rules, &counts, now_ms)) {
        clear_counts(member);
        return true;
    }
    return false;
}

static bool forget_gone(struct roster *roster)
{
    size_t kept = 0;
    for (size_t i = 0; i < roster->count; i++) {
        if (roster->members[i].upstream.state == UPSTREAM_GONE) {
            instance_release(roster->members[i].instance);
        } else {
            roster->members[kept++] = roster->members[i];
        }
    }
    bool changed = kept != roster->count;
    roster->count = kept;
    return changed;
}

bool roster_tick(struct roster *roster, uint64_t now_ms)
{
    bool changed = false;
    for (size_t i = 0; i < roster->count; i++) {
        changed = tick_member(roster, &roster->members[i], now_ms) || changed;
    }
    return forget_gone(roster) || changed;
}

/* --- questions --- */

int roster_order(struct roster *roster, const char *id, enum roster_order order,
                 uint64_t now_ms)
{
    int err = RC_ENOTFOUND;
    for (size_t i = 0; i < roster->count; i++) {
        struct roster_member *m = &roster->members[i];
        char address[RC_ADDRESS_TEXT_MAX];
        rc_address_format(&m->instance->address, address);
        if (!rc_text_equals(m->instance->id, id) && !rc_text_equals(address, id)) {
            continue;
        }
        err = RC_OK;
        if (order == ROSTER_DRAIN) {
            upstream_drain(&m->upstream, now_ms);
        } else {
            upstream_undrain(&m->upstream, &roster->rules, now_ms);
        }
    }
    return err;
}

size_t roster_count(const struct roster *roster)
{
    return roster->count;
}

const struct roster_member *roster_at(const struct roster *roster, size_t index)
{
    assert(index < roster->count);
    return &roster->members[index];
}

void roster_source_state(const struct roster *roster, enum roster_source source,
                         struct roster_source_state *out)
{
    assert(source < ROSTER_SOURCE_COUNT);
    *out = roster->sources[source].state;
}

bool roster_is_known(const struct roster *roster)
{
    for (size_t i = 0; i < ROSTER_SOURCE_COUNT; i++) {
        if (roster->sources[i].state.known) {
            return true;
        }
    }
    return false;
}

int roster_fill(const struct roster *roster, struct snapshot *snapshot, size_t pool)
{
    int err = snapshot_reserve(snapshot, pool, roster->count);
    if (err != RC_OK) {
        return err;
    }
    struct snapshot_pool *into = &snapshot->pools[pool];
    for (size_t i = 0; i < roster->count; i++) {
        const struct roster_member *m = &roster->members[i];
        into->members[i] = (struct snapshot_member){
            .instance = instance_retain(m->instance),
            .state = m->upstream.state,
            .role = m->role,
            .present = m->upstream.present,
            .weight = m->weight,
            .up_since_ms = m->upstream.up_since_ms,
        };
        if (m->role == UPSTREAM_ROLE_PRIMARY) {
            into->primary = i;
        }
    }
    into->roles_known = roster->probed || roster->named;
    into->known = roster_is_known(roster);
    return RC_OK;
}
