/* lineup_tell.c - see lineup.h: orders and questions, and the members as snapshots show them. */
#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "base/table.h"
#include "base/text.h"
#include "proxy/upstream/lineup_state.h"
#include "proxy/upstream/preference.h"

const char *lineup_health_name(enum lineup_health health)
{
    static const char *const names[LINEUP_HEALTH_COUNT] = {
        [LINEUP_PASSING] = "passing",
        [LINEUP_WARNING] = "warning",
        [LINEUP_CRITICAL] = "critical",
        [LINEUP_MAINTENANCE] = "maintenance",
    };
    assert(health < LINEUP_HEALTH_COUNT);
    return names[health];
}

const char *lineup_check_name(enum lineup_check check)
{
    static const char *const names[LINEUP_CHECK_COUNT] = {
        [LINEUP_CHECK_NONE] = "",
        [LINEUP_CHECK_PASSES] = "passes",
        [LINEUP_CHECK_FAILS] = "fails",
    };
    assert(check < LINEUP_CHECK_COUNT);
    return names[check];
}

const char *lineup_source_name(enum lineup_source source)
{
    static const char *const names[LINEUP_SOURCE_COUNT] = {
        [LINEUP_STATIC] = "static",
        [LINEUP_FILE] = "file",
        [LINEUP_DNS] = "dns",
        [LINEUP_AGENT] = "agent",
    };
    assert(source < LINEUP_SOURCE_COUNT);
    return names[source];
}

int lineup_order(struct lineup *lineup, const char *id, enum lineup_order order,
                 uint64_t now_ms)
{
    int err = RC_ENOTFOUND;
    for (size_t i = 0; i < lineup->count; i++) {
        struct lineup_member *m = &lineup->members[i];
        char address[RC_ADDRESS_TEXT_MAX];
        rc_address_format(&m->instance->address, address);
        if (!rc_text_equals(m->instance->id, id) && !rc_text_equals(address, id)) {
            continue;
        }
        err = RC_OK;
        if (order == LINEUP_DRAIN) {
            upstream_drain(&m->upstream, now_ms);
        } else {
            upstream_undrain(&m->upstream, &lineup->rules, now_ms);
        }
    }
    return err;
}

size_t lineup_count(const struct lineup *lineup)
{
    return lineup->count;
}

const struct lineup_member *lineup_at(const struct lineup *lineup, size_t index)
{
    assert(index < lineup->count);
    return &lineup->members[index];
}

void lineup_source_state(const struct lineup *lineup, enum lineup_source source,
                         struct lineup_source_state *out)
{
    assert(source < LINEUP_SOURCE_COUNT);
    *out = lineup->sources[source].state;
}

bool lineup_is_known(const struct lineup *lineup)
{
    for (size_t i = 0; i < LINEUP_SOURCE_COUNT; i++) {
        if (lineup->sources[i].state.known) {
            return true;
        }
    }
    return false;
}

/* What a cookie says of this instance: nothing that can be foretold without the key. */
static uint64_t sticky_of(const struct lineup *lineup, const struct instance *instance)
{
    uint64_t hash = rc_hash(instance->id, strlen(instance->id), lineup->sticky_seed);
    return lineup->sticky_seed == 0 ? 0 : hash | 1;
}

int lineup_fill(const struct lineup *lineup, struct snapshot *snapshot, size_t pool)
{
    int err = snapshot_reserve(snapshot, pool, lineup->count);
    if (err != RC_OK) {
        return err;
    }
    struct snapshot_pool *into = &snapshot->pools[pool];
    for (size_t i = 0; i < lineup->count; i++) {
        const struct lineup_member *m = &lineup->members[i];
        into->members[i] = (struct snapshot_member){
            .instance = instance_retain(m->instance),
            .state = m->upstream.state,
            .role = m->role,
            .present = m->upstream.present && !m->upstream.failing,
            .weight = m->weight,
            .up_since_ms = m->upstream.up_since_ms,
            .sticky = sticky_of(lineup, m->instance),
            .distance_us = m->distance_us,
        };
        if (m->role == UPSTREAM_ROLE_PRIMARY) {
            into->primary = i;
        }
    }
    into->roles_known = lineup->probed || lineup->named || lineup->managed;
    into->managed = lineup->managed;
    into->view_lost = lineup->managed && lineup->view_lost;
    into->term = lineup->term;
    into->tally = pgtally_retain(lineup->tally);
    into->counts = pool_counts_retain(lineup->counts);
    preference_settle(into);
    if (into->view_lost) {
        into->primary = into->count; /* whoever it is, we do not know */
    }
    into->known = lineup_is_known(lineup);
    return RC_OK;
}
