/* upstream.c - see upstream.h. */
#include "proxy/upstream/upstream.h"

#include <assert.h>

enum { EJECTION_MAX_MS = 300 * 1000, TRIALS_NEEDED = 2 };

#define TO(state) (1U << (state))

/* Which state may follow which. */
static const struct {
    const char *name;
    bool usable;
    unsigned next;
} edges[UPSTREAM_STATE_COUNT] = {
    [UPSTREAM_NEW] = {"new", false,
                      TO(UPSTREAM_WARMING) | TO(UPSTREAM_UP) | TO(UPSTREAM_DRAINING) |
                          TO(UPSTREAM_GONE) | TO(UPSTREAM_FAILING)},
    [UPSTREAM_WARMING] = {"warming", true,
                          TO(UPSTREAM_UP) | TO(UPSTREAM_EJECTED) | TO(UPSTREAM_DRAINING) |
                              TO(UPSTREAM_FAILING)},
    [UPSTREAM_UP] = {"up", true,
                     TO(UPSTREAM_EJECTED) | TO(UPSTREAM_DRAINING) | TO(UPSTREAM_WARMING) |
                         TO(UPSTREAM_FAILING)},
    [UPSTREAM_EJECTED] = {"ejected", false,
                          TO(UPSTREAM_TRIAL) | TO(UPSTREAM_DRAINING) |
                              TO(UPSTREAM_FAILING)},
    [UPSTREAM_TRIAL] = {"trial", false,
                        TO(UPSTREAM_UP) | TO(UPSTREAM_WARMING) | TO(UPSTREAM_EJECTED) |
                            TO(UPSTREAM_DRAINING) | TO(UPSTREAM_FAILING)},
    [UPSTREAM_FAILING] = {"failing", false,
                          TO(UPSTREAM_UP) | TO(UPSTREAM_WARMING) | TO(UPSTREAM_DRAINING)},
    [UPSTREAM_DRAINING] = {"draining", false,
                           TO(UPSTREAM_UP) | TO(UPSTREAM_WARMING) | TO(UPSTREAM_GONE) |
                               TO(UPSTREAM_FAILING)},
    [UPSTREAM_GONE] = {"gone", false,
                       TO(UPSTREAM_UP) | TO(UPSTREAM_WARMING) | TO(UPSTREAM_FAILING)},
};

bool upstream_is_usable(enum upstream_state state)
{
    assert(state < UPSTREAM_STATE_COUNT);
    return edges[state].usable;
}

const char *upstream_state_name(enum upstream_state state)
{
    assert(state < UPSTREAM_STATE_COUNT);
    return edges[state].name;
}

const char *upstream_role_name(enum upstream_role role)
{
    static const char *const names[UPSTREAM_ROLE_COUNT] = {
        [UPSTREAM_ROLE_NONE] = "",
        [UPSTREAM_ROLE_PRIMARY] = "primary",
        [UPSTREAM_ROLE_STANDBY] = "standby",
        [UPSTREAM_ROLE_UNKNOWN] = "unknown",
    };
    assert(role < UPSTREAM_ROLE_COUNT);
    return names[role];
}

static void become(struct upstream *u, enum upstream_state next, uint64_t now_ms)
{
    assert((edges[u->state].next & TO(next)) != 0);
    u->state = next;
    u->since_ms = now_ms;
}

/* Usable again or at last: with slow start from now on, or with full weight. */
static void rise(struct upstream *u, const struct upstream_rules *rules,
                 enum upstream_start start, uint64_t now_ms)
{
    bool slow = start == UPSTREAM_START_SLOW && rules->slow_start_ms > 0;
    u->up_since_ms = slow ? now_ms : 0;
    become(u, slow ? UPSTREAM_WARMING : UPSTREAM_UP, now_ms);
}

void upstream_init(struct upstream *u, const struct upstream_rules *rules,
                   enum upstream_start start, uint64_t now_ms)
{
    *u = (struct upstream){.state = UPSTREAM_NEW, .since_ms = now_ms, .present = true};
    rise(u, rules, start, now_ms);
}

/* Draining has two reasons; it ends when neither is left. Who stays and fails its checks waits
 * until they pass. */
static void settle(struct upstream *u, const struct upstream_rules *rules,
                   uint64_t now_ms)
{
    bool drains = u->operator_drains || !u->present;
    bool down = u->state == UPSTREAM_DRAINING || u->state == UPSTREAM_GONE;
    if (drains) {
        if (!down) {
            become(u, UPSTREAM_DRAINING, now_ms);
        }
    } else if (u->failing) {
        if (u->state != UPSTREAM_FAILING) {
            become(u, UPSTREAM_FAILING, now_ms);
        }
    } else if (down || u->state == UPSTREAM_FAILING) {
        u->ejections = 0;
        rise(u, rules, UPSTREAM_START_SLOW, now_ms);
    }
}

void upstream_set_present(struct upstream *u, const struct upstream_rules *rules,
                          uint64_t now_ms)
{
    u->present = true;
    settle(u, rules, now_ms);
}

void upstream_set_absent(struct upstream *u, uint64_t now_ms)
{
    static const struct upstream_rules none = {0};
    u->present = false;
    settle(u, &none, now_ms);
}

void upstream_judge(struct upstream *u, const struct upstream_rules *rules,
                    enum upstream_verdict verdict, uint64_t now_ms)
{
    u->failing = verdict == UPSTREAM_FAILS;
    settle(u, rules, now_ms);
}

void upstream_drain(struct upstream *u, uint64_t now_ms)
{
    static const struct upstream_rules none = {0};
    u->operator_drains = true;
    settle(u, &none, now_ms);
}

void upstream_undrain(struct upstream *u, const struct upstream_rules *rules,
                      uint64_t now_ms)
{
    u->operator_drains = false;
    settle(u, rules, now_ms);
}

bool upstream_should_eject(const struct upstream *u, const struct upstream_rules *rules,
                           const struct upstream_counts *counts)
{
    if (u->state == UPSTREAM_TRIAL) {
        return counts->failures_in_a_row > 0;
    }
    return upstream_is_usable(u->state) && rules->failures_max > 0 &&
           counts->failures_in_a_row >= rules->failures_max;
}

void upstream_eject(struct upstream *u, const struct upstream_rules *rules,
                    uint32_t jitter_ppm, uint64_t now_ms)
{
    uint64_t length = rules->base_ms;
    for (uint32_t i = 0; i < u->ejections && length < EJECTION_MAX_MS; i++) {
        length *= 2;
    }
    if (length > EJECTION_MAX_MS) {
        length = EJECTION_MAX_MS;
    }
    length += length * jitter_ppm / 1000000;
    u->ejections++;
    u->ejected_until_ms = now_ms + length;
    become(u, UPSTREAM_EJECTED, now_ms);
}

bool upstream_tick(struct upstream *u, const struct upstream_rules *rules,
                   const struct upstream_counts *counts, uint64_t now_ms)
{
    enum upstream_state before = u->state;
    switch (u->state) {
    case UPSTREAM_WARMING:
        if (now_ms - u->up_since_ms >= rules->slow_start_ms) {
            u->up_since_ms = 0;
            become(u, UPSTREAM_UP, now_ms);
        }
        break;
    case UPSTREAM_EJECTED:
        if (now_ms >= u->ejected_until_ms) {
            become(u, UPSTREAM_TRIAL, now_ms);
        }
        break;
    case UPSTREAM_TRIAL:
        if (counts->trial_successes >= TRIALS_NEEDED) {
            rise(u, rules, UPSTREAM_START_SLOW, now_ms);
        }
        break;
    case UPSTREAM_DRAINING:
        if (!u->present && counts->in_flight == 0) {
            become(u, UPSTREAM_GONE, now_ms);
        }
        break;
    case UPSTREAM_UP:
        /* Five quiet minutes forgive the earlier ones. */
        if (u->ejections > 0 && now_ms - u->since_ms > EJECTION_MAX_MS) {
            u->ejections = 0;
        }
        break;
    case UPSTREAM_NEW:
    case UPSTREAM_FAILING:
    case UPSTREAM_GONE:
    case UPSTREAM_STATE_COUNT:
        break;
    }
    return u->state != before;
}

uint64_t upstream_deadline_ms(const struct upstream *u,
                              const struct upstream_rules *rules)
{
    if (u->state == UPSTREAM_WARMING) {
        return u->up_since_ms + rules->slow_start_ms;
    }
    return u->state == UPSTREAM_EJECTED ? u->ejected_until_ms : UINT64_MAX;
}
