/* serf.c - Serf's layer on memberlist: statuses by intent, Lamport clocks, reaping. */
#include "agent/gossip/serf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/gossip/probe.h"
#include "base/err.h"

enum { INTENTS_MAX = 4096, GONE_MIN = 1000 };

/* The newest word about somebody we have not met. */
struct serf_intent {
    uint64_t ltime;
    uint64_t at_ns;
    bool is_leave;
};

int serf_init(struct gossip *g)
{
    for (size_t i = 0; i < CLOCK_COUNT; i++) {
        g->serf.clocks[i] = 1;
    }
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
}

void serf_witness(struct gossip *g, enum serf_clock clock, uint64_t ltime)
{
    if (ltime >= g->serf.clocks[clock] && ltime < UINT64_MAX) {
        g->serf.clocks[clock] = ltime + 1;
    }
}

uint64_t serf_use_time(struct gossip *g, enum serf_clock clock)
{
    return g->serf.clocks[clock]++;
}

/* ---- Statuses. */

static enum gossip_status status_of(const struct member *member)
{
    switch (member->serf) {
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
    enum gossip_status status = status_of(member);
    if (status != member->view.status || event == GOSSIP_EVENT_JOIN) {
        member->view.status = status;
        member->view.since_ns = g->now_ns;
    }
    gossip_tell(g, &(struct gossip_action){.type = GOSSIP_MEMBER_EVENT,
                                           .event = event,
                                           .member = &member->view,
                                           .status = status});
}

static void erase(struct gossip *g, struct member *member)
{
    assert(member != g->self);
    serf_publish(g, member, GOSSIP_EVENT_REAP);
    member->serf = SERF_NONE;
    (void)roster_drop_if_unused(&g->roster,
                                member); /* else SWIM purges it in its own time */
}

static struct serf_intent *take_intent(struct gossip *g, const struct member *member)
{
    return rc_table_remove(g->serf.intents, member->name);
}

void serf_member_joined(struct gossip *g, struct member *member)
{
    struct serf_intent *intent = take_intent(g, member);

    member->serf = SERF_ALIVE;
    member->prune = false;
    if (intent != NULL && intent->ltime > member->view.status_ltime) {
        member->view.status_ltime = intent->ltime;
        member->serf = intent->is_leave ? SERF_LEAVING : SERF_ALIVE;
    }
    free(intent);
    serf_publish(g, member, GOSSIP_EVENT_JOIN);
}

void serf_member_gone(struct gossip *g, struct member *member)
{
    if (member->serf == SERF_NONE || member->serf == SERF_LEFT ||
        member->serf == SERF_FAILED) {
        return;
    }
    bool is_left = member->serf == SERF_LEAVING;
    member->serf = is_left ? SERF_LEFT : SERF_FAILED;
    member->gone_ns = g->now_ns;
    serf_publish(g, member, is_left ? GOSSIP_EVENT_LEFT : GOSSIP_EVENT_FAILED);
    if (is_left && member->prune) {
        erase(g, member);
    }
}

/* ---- Intents. */

/* One slot per kind and name, so that intents cannot fill a queue (Serf's storms). */
static uint64_t spread_intent(struct gossip *g, enum wire_serf_type type,
                              const struct wire_intent *intent)
{
    uint8_t subject[BROADCAST_SUBJECT_MAX];
    uint64_t id = 0;

    if (intent->node.size + 1 > sizeof subject) {
        gossip_refuse(g, GOSSIP_REFUSED_NAME);
        return 0;
    }
    subject[0] = (uint8_t)type;
    memcpy(subject + 1, intent->node.at, intent->node.size);
    rc_buffer_clear(&g->message);
    wire_write_serf(type, type == WIRE_SERF_JOIN ? &wire_format_join : &wire_format_leave,
                    intent, &g->message);
    struct rc_pack_bytes message = {g->message.bytes, g->message.size};
    if (g->message.err != RC_OK ||
        broadcast_add(&g->queues[QUEUE_INTENTS],
                      (struct rc_pack_bytes){subject, intent->node.size + 1}, message,
                      &id) != RC_OK) {
        gossip_refuse(g, GOSSIP_REFUSED_TOO_BIG);
    }
    return id;
}

/* Keeps the newest intent about an unknown name; false if it is no news. */
static bool keep_intent(struct gossip *g, const struct wire_intent *wire, bool is_leave)
{
    struct serf_intent *known =
        rc_table_get_bytes(g->serf.intents, wire->node.at, wire->node.size);

    if (known != NULL) {
        bool is_newer = wire->ltime > known->ltime;
        if (is_newer) {
            *known = (struct serf_intent){wire->ltime, g->now_ns, is_leave};
        }
        return is_newer;
    }
    if (rc_table_count(g->serf.intents) >= INTENTS_MAX || wire->node.size == 0 ||
        wire->node.size > ROSTER_NAME_MAX) {
        gossip_refuse(g, GOSSIP_REFUSED_TOO_MANY);
        return false;
    }
    struct serf_intent *intent = malloc(sizeof *intent);
    if (intent == NULL || rc_table_put_bytes(g->serf.intents, wire->node.at,
                                             wire->node.size, intent, NULL) != RC_OK) {
        free(intent);
        gossip_refuse(g, GOSSIP_REFUSED_NO_MEMORY);
        return false;
    }
    *intent = (struct serf_intent){wire->ltime, g->now_ns, is_leave};
    return true;
}

static bool is_known(const struct member *member)
{
    return member != NULL && member->serf != SERF_NONE;
}

void serf_on_join_intent(struct gossip *g, const struct wire_intent *intent,
                         enum serf_source source)
{
    struct member *member = roster_find(&g->roster, intent->node);
    bool is_news = true;

    serf_witness(g, CLOCK_STATUS, intent->ltime);
    if (!is_known(member)) {
        is_news = keep_intent(g, intent, false);
    } else if (intent->ltime <= member->view.status_ltime) {
        return;
    } else if (member == g->self && g->leave.stage == LEAVE_NOT) {
        /* Not ours: of our last run, or Serf's trace of a force-leave that it told nobody
         * because we are its only peer. Either way a newer word of ours is needed. */
        serf_announce_join(g);
        return;
    } else {
        member->view.status_ltime = intent->ltime;
        if (member->serf == SERF_LEAVING && member != g->self) {
            member->serf = SERF_ALIVE;
            serf_publish(g, member, GOSSIP_EVENT_ALIVE);
        }
    }
    if (is_news && source == SERF_FROM_PACKET) {
        (void)spread_intent(g, WIRE_SERF_JOIN, intent);
    }
}

/* What a newer leave intent does to a member we know. */
static void apply_leave(struct gossip *g, struct member *member, bool prune)
{
    if (member->serf == SERF_ALIVE) {
        member->serf = SERF_LEAVING;
        member->prune = prune;
        serf_publish(g, member, GOSSIP_EVENT_LEAVING);
        return;
    }
    if (member->serf == SERF_FAILED) {
        member->serf = SERF_LEFT;
        member->gone_ns = g->now_ns;
        serf_publish(g, member, GOSSIP_EVENT_LEFT);
    }
    if (member->serf == SERF_LEAVING) {
        member->prune = member->prune || prune;
    } else if (prune) {
        erase(g, member);
    }
}

void serf_on_leave_intent(struct gossip *g, const struct wire_intent *intent,
                          enum serf_source source)
{
    struct member *member = roster_find(&g->roster, intent->node);
    bool is_news = true;

    serf_witness(g, CLOCK_STATUS, intent->ltime);
    if (!is_known(member)) {
        is_news = keep_intent(g, intent, true);
    } else if (intent->ltime <= member->view.status_ltime) {
        return;
    } else if (member == g->self && g->leave.stage == LEAVE_NOT) {
        serf_announce_join(g); /* we are here: without this we stay "leaving" for all */
        return;
    } else {
        /* Always, or two leaves of one member circulate for ever (Serf before 0.9.3). */
        member->view.status_ltime = intent->ltime;
    }
    if (is_news && source == SERF_FROM_PACKET) {
        (void)spread_intent(g, WIRE_SERF_LEAVE, intent);
    }
    if (is_known(member) && member != g->self) {
        apply_leave(g, member, intent->prune);
    }
}

void serf_announce_join(struct gossip *g)
{
    const struct wire_intent intent = {.ltime = g->serf.clocks[CLOCK_STATUS],
                                       .node = gossip_own_name(g)};

    g->self->view.status_ltime = intent.ltime;
    serf_witness(g, CLOCK_STATUS, intent.ltime);
    (void)spread_intent(g, WIRE_SERF_JOIN, &intent);
}

uint64_t serf_announce_leave(struct gossip *g)
{
    const struct wire_intent intent = {.ltime = serf_use_time(g, CLOCK_STATUS),
                                       .node = gossip_own_name(g)};

    g->self->view.status_ltime = intent.ltime;
    g->self->serf = SERF_LEAVING;
    serf_publish(g, g->self, GOSSIP_EVENT_LEAVING);
    return spread_intent(g, WIRE_SERF_LEAVE, &intent);
}

void serf_force_leave(struct gossip *g, struct member *member, enum gossip_prune prune)
{
    const struct wire_intent intent = {.ltime = serf_use_time(g, CLOCK_STATUS),
                                       .node = rc_pack_text(member->name),
                                       .prune = prune == GOSSIP_PRUNE};
    serf_on_leave_intent(g, &intent, SERF_FROM_PACKET);
}

/* ---- Time. */

static void reap_intents(struct gossip *g)
{
    size_t position = 0;
    const char *name;
    struct serf_intent *intent;

    while ((intent = rc_table_next(g->serf.intents, &position, &name)) != NULL) {
        if (g->now_ns - intent->at_ns >
            (uint64_t)g->profile->recent_intent_ms * NS_PER_MS) {
            (void)rc_table_remove(g->serf.intents, name);
            free(intent);
        }
    }
}

static bool is_gone(const struct member *member)
{
    return member->serf == SERF_FAILED || member->serf == SERF_LEFT;
}

static bool is_due(const struct gossip *g, const struct member *member)
{
    uint64_t keep_ms = member->serf == SERF_LEFT ? g->profile->tombstone_timeout_ms
                                                 : g->profile->reconnect_timeout_ms;
    return is_gone(member) && g->now_ns - member->gone_ns > keep_ms * NS_PER_MS;
}

void serf_reap(struct gossip *g)
{
    size_t position = 0;
    size_t gone = 0;
    size_t here = 0;
    struct member *member;

    reap_intents(g);
    while ((member = rc_table_next(g->roster.by_name, &position, NULL)) != NULL) {
        gone += is_gone(member);
        here += member->serf == SERF_ALIVE || member->serf == SERF_LEAVING;
    }
    /* Fleets that come and go under fresh names must not fill the table with the dead. */
    size_t gone_max = here > GONE_MIN ? here : GONE_MIN;
    position = 0;
    while ((member = rc_table_next(g->roster.by_name, &position, NULL)) != NULL) {
        if (is_due(g, member) || (is_gone(member) && gone > gone_max)) {
            gone--;
            erase(g, member);
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
    if (type == WIRE_SERF_JOIN) {
        serf_on_join_intent(g, &intent, SERF_FROM_PACKET);
    } else {
        serf_on_leave_intent(g, &intent, SERF_FROM_PACKET);
    }
}

void serf_receive(struct gossip *g, struct rc_cursor *in)
{
    struct rc_pack_bytes message = {in->at, rc_cursor_left(in)};
    union {
        struct wire_event event;
        struct wire_query query;
    } wire;
    uint8_t type = rc_cursor_u8(in);

    if (type == WIRE_SERF_JOIN || type == WIRE_SERF_LEAVE) {
        on_intent(g, in, type);
    } else if (type == WIRE_SERF_EVENT) {
        if (wire_read(&wire_format_event, in, &wire.event) == RC_OK) {
            serf_on_event(g, &wire.event, message, SERF_FROM_PACKET);
        }
    } else if (type == WIRE_SERF_QUERY) {
        if (wire_read(&wire_format_query, in, &wire.query) == RC_OK) {
            serf_on_query(g, &wire.query, message);
        }
    } else if (type == WIRE_SERF_RELAY) {
        serf_on_relay(g, in);
    } else if (type == WIRE_SERF_RESPONSE) {
        gossip_refuse(g, GOSSIP_REFUSED_STALE); /* we ask nothing yet */
    } else {
        gossip_refuse(g, GOSSIP_REFUSED_TYPE);
    }
}
