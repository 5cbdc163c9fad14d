/* serf.c - Serf's layer on memberlist: statuses by intent, Lamport clocks, reaping. */
#include "agent/gossip/serf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/gossip/probe.h"
#include "base/err.h"
#include "base/text.h"

enum { STUCK_LEAVES = 5, /* times as long as a leave takes */ GONE_MIN = 1000 };

int serf_init(struct gossip *g)
{
    for (size_t i = 0; i < GOSSIP_CLOCK_COUNT; i++) {
        g->serf.clocks[i] = 1;
    }
    g->serf.prune.kind = DEADLINE_PRUNE;
    g->serf.conflict.deadline.kind = DEADLINE_CONFLICT;
    g->serf.intents = rc_table_create(g->hash_seed);
    return g->serf.intents != NULL ? RC_OK : RC_ENOMEM;
}

void serf_fini(struct gossip *g)
{
    size_t position = 0;
    struct serf_intent *intent;

    while (g->serf.intents != NULL &&
           (intent = rc_table_next(g->serf.intents, &position, NULL)) != NULL) {
        free(intent);
    }
    rc_table_destroy(g->serf.intents);
    serf_event_fini(g);
    query_fini(g);
    query_answer_fini(g);
}

void serf_witness(struct gossip *g, enum gossip_clock clock, uint64_t ltime)
{
    if (ltime >= g->serf.clocks[clock] && ltime <= SERF_LTIME_MAX) {
        g->serf.clocks[clock] = ltime + 1;
    }
}

void serf_remember(struct gossip *g, const uint64_t clocks[GOSSIP_CLOCK_COUNT])
{
    for (size_t i = 0; i < GOSSIP_CLOCK_COUNT; i++) {
        if (clocks[i] > 0) {
            serf_witness(g, (enum gossip_clock)i, clocks[i] - 1);
        }
    }
    if (clocks[GOSSIP_CLOCK_EVENT] > 0) {
        g->serf.event_min = g->serf.clocks[GOSSIP_CLOCK_EVENT];
    }
    if (clocks[GOSSIP_CLOCK_QUERY] > 0) {
        g->serf.query_min = g->serf.clocks[GOSSIP_CLOCK_QUERY];
    }
}

uint64_t serf_use_time(struct gossip *g, enum gossip_clock clock)
{
    return g->serf.clocks[clock]++;
}

/* ---- Statuses. */

static enum gossip_status status_of(const struct member *member)
{
    switch ((enum serf_status)member->serf) {
    case SERF_LEAVING:
        return GOSSIP_LEAVING;
    case SERF_LEFT:
        return GOSSIP_LEFT;
    case SERF_FAILED:
        return GOSSIP_FAILED;
    case SERF_NONE:
    case SERF_ALIVE:
        break;
    }
    return member->swim == SWIM_SUSPECT ? GOSSIP_SUSPECT : GOSSIP_ALIVE;
}

void serf_publish(struct gossip *g, struct member *member, enum gossip_member_event event)
{
    if (member->serf == SERF_NONE) {
        return; /* pruned here while SWIM still remembers it */
    }
    bool is_new = member->view.since_ns == 0;
    enum gossip_status before = member->view.status;
    enum gossip_status status = status_of(member);
    if (status != member->view.status || event == GOSSIP_EVENT_JOIN) {
        member->view.status = (uint8_t)status;
        member->view.since_ns = g->now_ns;
    }
    if (event != GOSSIP_EVENT_UPDATE || g->why.reason != DIARY_NO_REASON) {
        gossip_note(g, member, is_new ? GOSSIP_STATUS_COUNT : before,
                    event == GOSSIP_EVENT_REAP ? GOSSIP_STATUS_COUNT : status);
    }
    gossip_tell(g, &(struct gossip_action){.type = GOSSIP_MEMBER_EVENT,
                                           .event = event,
                                           .member = &member->view,
                                           .status = status});
}

void serf_erase(struct gossip *g, struct member *member)
{
    assert(member != g->self);
    serf_publish(g, member, GOSSIP_EVENT_REAP);
    diary_lose(&g->diary, member->id, member->view.said->name);
    member->serf = SERF_NONE;
    (void)roster_drop_if_unused(&g->roster,
                                member); /* else SWIM purges it in its own time */
}

void serf_member_joined(struct gossip *g, struct member *member)
{
    struct serf_intent intent;

    member->serf = SERF_ALIVE;
    member->prune = false;
    if (serf_take_intent(g, member, &intent) &&
        intent.ltime > member->view.status_ltime) {
        member->view.status_ltime = intent.ltime;
        member->serf = intent.is_leave ? SERF_LEAVING : SERF_ALIVE;
    }
    serf_publish(g, member, GOSSIP_EVENT_JOIN);
}

void serf_member_gone(struct gossip *g, struct member *member)
{
    if (member->serf == SERF_NONE || member->serf == SERF_LEFT ||
        member->serf == SERF_FAILED) {
        return;
    }
    /* Serf calls it failed when the goodbye of SWIM overtakes the intent; both say the same. */
    bool is_left = member->serf == SERF_LEAVING || member->swim == SWIM_LEFT;
    member->serf = is_left ? SERF_LEFT : SERF_FAILED;
    member->gone_ns = g->now_ns;
    serf_publish(g, member, is_left ? GOSSIP_EVENT_LEFT : GOSSIP_EVENT_FAILED);
    if (member->prune && roster_dealings(member)->prune_at_ns <= g->now_ns) {
        serf_erase(g, member);
    }
}

/* ---- Time. */

static bool is_gone(const struct member *member)
{
    return member->serf == SERF_FAILED || member->serf == SERF_LEFT;
}

/* A member may say itself how long it is to be looked for: Consul's tag for nodes that come
 * and go. What is no duration says nothing. */
static uint64_t reconnect_ns(const struct gossip *g, const struct member *member)
{
    const char *text = gossip_member_tag(&member->view, "rc_tm");
    uint64_t ns;

    if (text != NULL && rc_text_to_duration_ns(text, &ns) == RC_OK && ns > 0) {
        return ns;
    }
    return (uint64_t)g->profile->reconnect_timeout_ms * NS_PER_MS;
}

static bool is_due(const struct gossip *g, const struct member *member)
{
    uint64_t gone_ns = g->now_ns - member->gone_ns;

    if (member->serf == SERF_LEFT) {
        return gone_ns > (uint64_t)g->profile->tombstone_timeout_ms * NS_PER_MS;
    }
    return member->serf == SERF_FAILED && gone_ns > reconnect_ns(g, member);
}

/* A leave ends within seconds, by SWIM's goodbye or by silence. Who is alive in SWIM's eyes long
 * after has come back, and its join intent was older here than the leave's: we met it again with
 * an intent that we had kept for it. Nobody else would tell us. */
static void end_stuck_leave(struct gossip *g, struct member *member)
{
    uint64_t leave_ms =
        (uint64_t)g->profile->broadcast_timeout_ms + g->profile->leave_propagate_ms;

    if (member != g->self && member->serf == SERF_LEAVING && member->swim == SWIM_ALIVE &&
        !member->prune &&
        g->now_ns - member->view.since_ns > STUCK_LEAVES * leave_ms * NS_PER_MS) {
        member->serf = SERF_ALIVE;
        serf_publish(g, member, GOSSIP_EVENT_ALIVE);
    }
}

void serf_reap(struct gossip *g)
{
    size_t position = 0;
    size_t gone = 0;
    size_t here = 0;
    struct member *member;

    serf_reap_intents(g);
    while ((member = rc_table_next(g->roster.by_name, &position, NULL)) != NULL) {
        end_stuck_leave(g, member);
        gone += is_gone(member);
        here += member->serf == SERF_ALIVE || member->serf == SERF_LEAVING;
    }
    /* Fleets that come and go under fresh names must not fill the table with the dead. */
    size_t gone_max = here > GONE_MIN ? here : GONE_MIN;
    position = 0;
    while ((member = rc_table_next(g->roster.by_name, &position, NULL)) != NULL) {
        if (member == g->self) {
            continue; /* even while we leave, for whoever looks at us until the end */
        }
        if (is_due(g, member) || (is_gone(member) && gone > gone_max)) {
            gone--;
            serf_erase(g, member);
        }
    }
}

const struct member *serf_reconnect_target(struct gossip *g)
{
    size_t position = 0;
    size_t failed = 0;
    size_t alive = 0;
    struct member *member;
    struct member *chosen = NULL;

    while ((member = rc_table_next(g->roster.by_name, &position, NULL)) != NULL) {
        alive += member->serf == SERF_ALIVE || member->serf == SERF_LEAVING;
        if (member->serf == SERF_FAILED) {
            failed++;
            if (rc_random_below(&g->random, failed) == 0) {
                chosen = member; /* each of the failed with equal chance */
            }
        }
    }
    if (chosen == NULL || rc_random_below(&g->random, alive > 0 ? alive : 1) >= failed) {
        return NULL;
    }
    return chosen;
}

/* ---- Receiving. */

static void on_intent(struct gossip *g, struct rc_cursor *in, enum wire_serf_type type)
{
    struct wire_intent intent;

    if (wire_read(type == WIRE_SERF_JOIN ? &wire_format_join : &wire_format_leave, in,
                  &intent) != RC_OK) {
        return;
    }
    if (intent.ltime > SERF_LTIME_MAX) {
        rc_cursor_fail(in, RC_EMALFORMED);
        return;
    }
    if (type == WIRE_SERF_JOIN) {
        serf_on_join_intent(g, &intent, SERF_FROM_PACKET);
    } else {
        serf_on_leave_intent(g, &intent, SERF_FROM_PACKET);
    }
}

static void on_event(struct gossip *g, struct rc_cursor *in)
{
    struct wire_event event;

    if (wire_read(&wire_format_event, in, &event) == RC_OK) {
        serf_on_event(g, &event, SERF_FROM_PACKET);
    }
}

static void on_query(struct gossip *g, struct rc_cursor *in)
{
    struct wire_query query;

    if (wire_read(&wire_format_query, in, &query) == RC_OK) {
        (void)serf_on_query(g, &query);
    }
}

static void on_response(struct gossip *g, struct rc_cursor *in)
{
    struct wire_response response;

    if (wire_read(&wire_format_response, in, &response) == RC_OK) {
        query_on_response(g, &response);
    }
}

void serf_receive(struct gossip *g, struct rc_cursor *in)
{
    uint8_t type = rc_cursor_u8(in);

    if (type == WIRE_SERF_JOIN || type == WIRE_SERF_LEAVE) {
        on_intent(g, in, type);
    } else if (type == WIRE_SERF_EVENT) {
        on_event(g, in);
    } else if (type == WIRE_SERF_QUERY) {
        on_query(g, in);
    } else if (type == WIRE_SERF_RESPONSE) {
        on_response(g, in);
    } else if (type == WIRE_SERF_RELAY) {
        serf_on_relay(g, in);
    } else {
        gossip_refuse(g, GOSSIP_REFUSED_TYPE);
    }
}
