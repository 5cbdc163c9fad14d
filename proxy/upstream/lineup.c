/* lineup.c - see lineup.h: sources, members and roles. Each change of one is judged against the
 * other two, so they stand together; time is in lineup_time.c, what is told in lineup_tell.c. */
#include "proxy/upstream/lineup.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/table.h"
#include "base/text.h"
#include "proxy/upstream/lineup_state.h"

enum { ENTRIES_MAX = 4096, EMPTY_ANSWERS = 3 };

/* --- life --- */

static int set_statics(struct lineup *lineup, const struct config_pool *config,
                       uint64_t now_ms)
{
    struct lineup_word *source = &lineup->sources[LINEUP_STATIC];
    struct lineup_entry *entries = calloc(config->static_count + 1, sizeof *entries);
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
    source->state = (struct lineup_source_state){.used = config->static_count > 0,
                                                 .known = config->static_count > 0,
                                                 .healthy = true,
                                                 .good_at_ms = now_ms,
                                                 .count = config->static_count};
    return RC_OK;
}

static bool reconcile(struct lineup *lineup, uint64_t now_ms);

/* A pool whose file was taken away forgets what stood in it. */
static void set_file(struct lineup *lineup, const struct config_pool *config)
{
    struct lineup_word *source = &lineup->sources[LINEUP_FILE];
    source->state.used = config->file[0] != '\0';
    if (!source->state.used) {
        source->count = 0;
        source->state = (struct lineup_source_state){0};
    }
}

static void set_sticky(struct lineup *lineup, const struct config_pool *config)
{
    const char *key = config->sticky_key[0] != '\0' ? config->sticky_key : config->name;
    bool sticky = config->sticky[0] != '\0';
    lineup->sticky_seed = sticky ? rc_hash(key, strlen(key), 0) | 1 : 0;
}

static void judge(struct lineup *lineup, struct lineup_member *member, uint64_t now_ms);

/* Without a check of ours nothing that it once said counts. */
static void set_checked(struct lineup *lineup, const struct config_pool *config,
                        uint64_t now_ms)
{
    lineup->checked = config->check.kind != CONFIG_PROBE_NONE;
    for (size_t i = 0; !lineup->checked && i < lineup->count; i++) {
        lineup->members[i].check = LINEUP_CHECK_NONE;
        judge(lineup, &lineup->members[i], now_ms);
    }
}

int lineup_configure(struct lineup *lineup, const struct config_pool *config,
                     uint32_t hold_empty_ms, uint64_t now_ms)
{
    lineup->rules = (struct upstream_rules){.slow_start_ms = config->slow_start_ms,
                                            .failures_max = config->outlier_failures,
                                            .base_ms = config->outlier_base_ms};
    lineup->max_ejected_percent = config->outlier_max_percent;
    lineup->hold_empty_ms = hold_empty_ms;
    lineup->managed = config->postgres[0] != '\0';
    lineup->probed = config->probe_user[0] != '\0' && !lineup->managed;
    lineup->sources[LINEUP_AGENT].state.used =
        config->service[0] != '\0' || lineup->managed;
    lineup->sources[LINEUP_DNS].state.used = config->dns_name[0] != '\0';
    set_file(lineup, config);
    set_sticky(lineup, config);
    set_checked(lineup, config, now_ms);
    int err = set_statics(lineup, config, now_ms);
    if (err == RC_OK) {
        (void)reconcile(lineup, now_ms);
    }
    return err;
}

struct lineup *lineup_create(const struct config_pool *config, uint32_t hold_empty_ms,
                             uint64_t seed, uint64_t now_ms)
{
    struct lineup *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return NULL;
    }
    rc_random_init(&made->random, seed);
    made->tally = pgtally_create();
    made->counts = pool_counts_create();
    if (made->tally == NULL || made->counts == NULL ||
        lineup_configure(made, config, hold_empty_ms, now_ms) != RC_OK) {
        lineup_destroy(made);
        return NULL;
    }
    return made;
}

void lineup_destroy(struct lineup *lineup)
{
    if (lineup == NULL) {
        return;
    }
    for (size_t i = 0; i < lineup->count; i++) {
        instance_release(lineup->members[i].instance);
    }
    for (size_t i = 0; i < LINEUP_SOURCE_COUNT; i++) {
        free(lineup->sources[i].entries);
    }
    pgtally_release(lineup->tally);
    pool_counts_release(lineup->counts);
    free(lineup->members);
    free(lineup);
}

/* --- roles --- */

/* A tag that says primary counts only if the server agrees; a server that says primary
 * counts only if the catalog, where it knows roles at all, agrees too: else it is NONE, and
 * sessions that wrote there end. UNKNOWN is only a lack of news: it ends none. */
static enum upstream_role decide(const struct lineup *lineup,
                                 const struct lineup_member *member)
{
    if (!member->upstream.present || member->upstream.failing) {
        return UPSTREAM_ROLE_UNKNOWN;
    }
    if (!lineup->probed) {
        return member->claim;
    }
    if (member->probe == UPSTREAM_ROLE_NONE) {
        return UPSTREAM_ROLE_UNKNOWN;
    }
    if (member->probe == UPSTREAM_ROLE_PRIMARY && lineup->named &&
        member->claim != UPSTREAM_ROLE_PRIMARY) {
        return UPSTREAM_ROLE_NONE;
    }
    return member->probe;
}

/* Two say primary: the higher timeline is the later promotion; equal or unknown: nobody. */
static void settle_claims(struct lineup *lineup)
{
    uint32_t best = 0;
    size_t at_best = 0;
    for (size_t i = 0; i < lineup->count; i++) {
        const struct lineup_member *m = &lineup->members[i];
        if (m->role == UPSTREAM_ROLE_PRIMARY && m->timeline >= best) {
            at_best = m->timeline > best ? 1 : at_best + 1;
            best = m->timeline;
        }
    }
    for (size_t i = 0; i < lineup->count; i++) {
        struct lineup_member *m = &lineup->members[i];
        if (m->role == UPSTREAM_ROLE_PRIMARY && (m->timeline != best || at_best != 1)) {
            m->role = UPSTREAM_ROLE_UNKNOWN;
        }
    }
}

static bool decide_roles(struct lineup *lineup)
{
    bool changed = false;
    enum upstream_role *before = calloc(lineup->count + 1, sizeof *before);

    lineup->claimants = 0;
    for (size_t i = 0; i < lineup->count; i++) {
        struct lineup_member *m = &lineup->members[i];
        if (before != NULL) {
            before[i] = m->role;
        }
        m->role = decide(lineup, m);
        lineup->claimants += m->role == UPSTREAM_ROLE_PRIMARY;
    }
    if (lineup->claimants > 1) {
        settle_claims(lineup);
    }
    for (size_t i = 0; i < lineup->count; i++) {
        changed = changed || before == NULL || before[i] != lineup->members[i].role;
    }
    free(before);
    return changed;
}

const struct lineup_member *lineup_primary(const struct lineup *lineup, size_t *claimants)
{
    const struct lineup_member *found = NULL;
    for (size_t i = 0; i < lineup->count; i++) {
        if (lineup->members[i].role == UPSTREAM_ROLE_PRIMARY) {
            found = &lineup->members[i];
        }
    }
    *claimants = lineup->claimants;
    return found;
}

bool lineup_set_lease(struct lineup *lineup, uint64_t term, enum lineup_view view)
{
    bool lost = view == LINEUP_VIEW_LOST;
    bool changed = lineup->term != term || lineup->view_lost != lost;
    lineup->term = term;
    lineup->view_lost = lost;
    return changed;
}

struct pgtally *lineup_tally(const struct lineup *lineup)
{
    return lineup->tally;
}

bool lineup_set_probe(struct lineup *lineup, const struct instance *instance,
                      enum upstream_role role, uint32_t timeline)
{
    for (size_t i = 0; i < lineup->count; i++) {
        struct lineup_member *m = &lineup->members[i];
        if (m->instance == instance) {
            m->probe = role;
            m->timeline = timeline;
        }
    }
    return decide_roles(lineup);
}

/* --- members --- */

static int compare(const void *a, const void *b)
{
    const struct lineup_member *left = a;
    const struct lineup_member *right = b;
    int by_id = strcmp(left->instance->id, right->instance->id);
    if (by_id != 0) {
        return by_id;
    }
    const struct rc_address *a_address = &left->instance->address;
    const struct rc_address *b_address = &right->instance->address;
    int by_ip = memcmp(a_address->ip, b_address->ip, sizeof a_address->ip);
    return by_ip != 0 ? by_ip : (int)a_address->port - (int)b_address->port;
}

static bool is_entry_of(const struct lineup_entry *entry,
                        const struct lineup_member *member)
{
    return rc_address_equals(&entry->address, &member->instance->address) &&
           (entry->id[0] == '\0' || member->address_only != 0 ||
            rc_text_equals(entry->id, member->instance->id));
}

static struct lineup_member *find_member(struct lineup *lineup,
                                         const struct lineup_entry *entry)
{
    for (size_t i = 0; i < lineup->count; i++) {
        if (is_entry_of(entry, &lineup->members[i])) {
            return &lineup->members[i];
        }
    }
    return NULL;
}

static bool has_usable(const struct lineup *lineup)
{
    for (size_t i = 0; i < lineup->count; i++) {
        if (upstream_is_usable(lineup->members[i].upstream.state)) {
            return true;
        }
    }
    return false;
}

/* The catalog's word and our own together. */
static void judge(struct lineup *lineup, struct lineup_member *member, uint64_t now_ms)
{
    bool fails = member->health == LINEUP_CRITICAL || member->check == LINEUP_CHECK_FAILS;
    if (member->upstream.failing && !fails) {
        lineup_clear_counts(member); /* what failed then says nothing about now */
        outlier_clear(&member->window);
    }
    upstream_judge(&member->upstream, &lineup->rules,
                   fails ? UPSTREAM_FAILS : UPSTREAM_PASSES, now_ms);
}

static bool add_member(struct lineup *lineup, const struct lineup_entry *entry,
                       enum upstream_start start, uint64_t now_ms)
{
    char address[RC_ADDRESS_TEXT_MAX];
    rc_address_format(&entry->address, address);
    struct lineup_member *grown =
        realloc(lineup->members, (lineup->count + 1) * sizeof *grown);
    if (grown == NULL) {
        return false;
    }
    lineup->members = grown;
    bool named = entry->id[0] != '\0';
    struct lineup_member made = {
        .instance = instance_create(named ? entry->id : address, &entry->address),
        .weight = entry->weight,
        .claim = entry->claim,
        .address_only = named ? 0 : 1,
        .health = entry->health,
        .distance_us = DISTANCE_UNKNOWN,
    };
    if (made.instance == NULL) {
        return false;
    }
    upstream_init(&made.upstream, &lineup->rules, start, now_ms);
    judge(lineup, &made, now_ms);
    lineup->members[lineup->count++] = made;
    return true;
}

static bool update_member(struct lineup *lineup, struct lineup_member *member,
                          const struct lineup_entry *entry, uint64_t now_ms)
{
    bool changed = member->weight != entry->weight || !member->upstream.present;
    member->weight = entry->weight;
    if (entry->id[0] != '\0') { /* DNS knows no tags: it cannot take one away */
        changed = changed || member->claim != entry->claim;
        member->claim = entry->claim;
    }
    changed = changed || member->health != entry->health;
    member->health = entry->health;
    upstream_set_present(&member->upstream, &lineup->rules, now_ms);
    judge(lineup, member, now_ms);
    return changed;
}

/* The source besides the static entries whose word counts now, or NULL. */
static const struct lineup_word *authority(const struct lineup *lineup)
{
    const struct lineup_word *agent = &lineup->sources[LINEUP_AGENT];
    const struct lineup_word *dns = &lineup->sources[LINEUP_DNS];
    bool agent_known = agent->state.used && agent->state.known;
    bool dns_known = dns->state.used && dns->state.known;

    if (agent_known && agent->state.healthy) {
        return agent;
    }
    if (agent_known && dns_known) {
        return agent->state.good_at_ms >= dns->state.good_at_ms ? agent : dns;
    }
    return agent_known ? agent : dns_known ? dns : NULL;
}

static bool is_wanted(const struct lineup_word *source,
                      const struct lineup_member *member)
{
    for (size_t i = 0; source != NULL && i < source->count; i++) {
        if (is_entry_of(&source->entries[i], member) &&
            source->entries[i].health != LINEUP_MAINTENANCE) {
            return true;
        }
    }
    return false;
}

static bool admit(struct lineup *lineup, const struct lineup_word *source,
                  enum upstream_start start, uint64_t now_ms)
{
    bool changed = false;
    for (size_t i = 0; source != NULL && i < source->count; i++) {
        const struct lineup_entry *entry = &source->entries[i];
        struct lineup_member *member = find_member(lineup, entry);
        if (entry->health == LINEUP_MAINTENANCE) {
            if (member != NULL) {
                member->health = entry->health;
            }
            continue; /* as if it were not named: it leaves, or does not come */
        }
        changed = (member != NULL ? update_member(lineup, member, entry, now_ms)
                                  : add_member(lineup, entry, start, now_ms)) ||
                  changed;
    }
    return changed;
}

/* Makes the members follow the sources. True when something changed. */
static bool reconcile(struct lineup *lineup, uint64_t now_ms)
{
    const struct lineup_word *statics = &lineup->sources[LINEUP_STATIC];
    const struct lineup_word *file = &lineup->sources[LINEUP_FILE];
    const struct lineup_word *found = authority(lineup);
    enum upstream_start start =
        has_usable(lineup) ? UPSTREAM_START_SLOW : UPSTREAM_START_FULL;

    for (size_t i = 0; found != NULL && i < found->count; i++) {
        lineup->named = lineup->named || found->entries[i].claim != UPSTREAM_ROLE_NONE;
    }
    bool changed = admit(lineup, statics, start, now_ms);
    changed = admit(lineup, file, start, now_ms) || changed;
    changed = admit(lineup, found, start, now_ms) || changed;
    for (size_t i = 0; i < lineup->count; i++) {
        struct lineup_member *m = &lineup->members[i];
        if (m->upstream.present && !is_wanted(statics, m) && !is_wanted(file, m) &&
            !is_wanted(found, m)) {
            upstream_set_absent(&m->upstream, now_ms);
            changed = true;
        }
    }
    if (lineup->count > 1) {
        qsort(lineup->members, lineup->count, sizeof *lineup->members, compare);
    }
    return decide_roles(lineup) || changed;
}

/* --- results --- */

static bool keep_word(struct lineup_word *source, const struct lineup_entry *entries,
                      size_t count, uint64_t now_ms)
{
    struct lineup_entry *copy = calloc(count + 1, sizeof *copy);
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

static bool holds_address(const struct lineup_word *source,
                          const struct lineup_entry *entry)
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
static bool add_word(struct lineup_word *source, const struct lineup_entry *entries,
                     size_t count, uint64_t now_ms)
{
    struct lineup_entry *both = calloc(source->count + count + 1, sizeof *both);
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
static bool believe_empty(const struct lineup *lineup, struct lineup_word *source,
                          uint64_t now_ms)
{
    if (source->empty_answers == 0) {
        source->empty_since_ms = now_ms;
    }
    source->empty_answers++;
    return source->count == 0 ||
           (source->empty_answers >= EMPTY_ANSWERS &&
            now_ms - source->empty_since_ms >= lineup->hold_empty_ms);
}

bool lineup_apply(struct lineup *lineup, enum lineup_source source,
                  enum lineup_verdict verdict, const struct lineup_entry *entries,
                  size_t count, uint64_t now_ms)
{
    assert(source < LINEUP_SOURCE_COUNT);
    struct lineup_word *from = &lineup->sources[source];
    bool was_known = from->state.known;
    if (count > ENTRIES_MAX) {
        count = ENTRIES_MAX;
    }
    switch (verdict) {
    case LINEUP_FULL:
        (void)keep_word(from, entries, count, now_ms);
        break;
    case LINEUP_PARTIAL:
        (void)add_word(from, entries, count, now_ms);
        break;
    case LINEUP_EMPTY:
        if (believe_empty(lineup, from, now_ms)) {
            (void)keep_word(from, NULL, 0, now_ms);
        }
        break;
    case LINEUP_FAILED:
    case LINEUP_VERDICT_COUNT:
        from->state.healthy = false;
        break;
    }
    return reconcile(lineup, now_ms) || was_known != from->state.known;
}

/* --- what others say about members --- */

bool lineup_set_check(struct lineup *lineup, const struct instance *instance,
                      enum lineup_check check, uint64_t now_ms)
{
    bool changed = false;
    for (size_t i = 0; i < lineup->count; i++) {
        struct lineup_member *m = &lineup->members[i];
        if (m->instance == instance && m->check != check) {
            m->check = check;
            judge(lineup, m, now_ms);
            changed = true;
        }
    }
    return decide_roles(lineup) || changed;
}

bool lineup_set_distance(struct lineup *lineup, const char *node, uint32_t distance_us)
{
    size_t size = strlen(node);
    bool changed = false;
    for (size_t i = 0; i < lineup->count; i++) {
        struct lineup_member *m = &lineup->members[i];
        if (strncmp(m->instance->id, node, size) == 0 && m->instance->id[size] == '/' &&
            m->distance_us != distance_us) {
            m->distance_us = distance_us;
            changed = true;
        }
    }
    return changed;
}

struct pool_counts *lineup_counts(const struct lineup *lineup)
{
    return lineup->counts;
}
