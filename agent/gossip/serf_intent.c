/* serf_intent.c - who said that somebody joins or leaves, and when in Lamport time. */
#include <stdlib.h>
#include <string.h>

#include "agent/gossip/serf.h"
#include "base/err.h"

enum { INTENTS_MAX = 4096, DENY_AGAIN_TICKS = 5 };

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
    if (wire->node.size == 0 || memchr(wire->node.at, '\0', wire->node.size) != NULL) {
        gossip_refuse(
            g, GOSSIP_REFUSED_NAME); /* nobody can bear it: the roster refuses it */
        return false;
    }
    if (rc_table_count(g->serf.intents) >= INTENTS_MAX ||
        wire->node.size > ANNOUNCED_NAME_MAX) {
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

bool serf_take_intent(struct gossip *g, const struct member *member,
                      struct serf_intent *out)
{
    struct serf_intent *intent =
        rc_table_remove(g->serf.intents, member->view.said->name);

    if (intent == NULL) {
        return false;
    }
    *out = *intent;
    free(intent);
    return true;
}

/* ---- About ourselves. */

static void spread_join(struct gossip *g)
{
    const struct wire_intent intent = {.ltime = g->self->view.status_ltime,
                                       .node = gossip_own_name(g)};

    g->serf.announced_ns = g->now_ns;
    g->serf.announcement_id = spread_intent(g, WIRE_SERF_JOIN, &intent);
}

/* Not the present time, as Serf takes, but one above it: a peer that declares us left before
 * it hears of our join would use the present time too, and a join that is not newer than the
 * leave does not take it back. */
void serf_announce_join(struct gossip *g)
{
    g->self->view.status_ltime = g->serf.clocks[GOSSIP_CLOCK_STATUS] + 1;
    serf_witness(g, GOSSIP_CLOCK_STATUS, g->self->view.status_ltime);
    spread_join(g);
}

uint64_t serf_announce_leave(struct gossip *g)
{
    const struct wire_intent intent = {.ltime = serf_use_time(g, GOSSIP_CLOCK_STATUS),
                                       .node = gossip_own_name(g)};

    g->self->view.status_ltime = intent.ltime;
    g->self->serf = SERF_LEAVING;
    serf_publish(g, g->self, GOSSIP_EVENT_LEAVING);
    return spread_intent(g, WIRE_SERF_LEAVE, &intent);
}

/* Somebody believes that we leave. What is not older than our last word needs a newer one of
 * ours: at the same Lamport time whoever heard of the leave first stays with it. What is
 * older is in the way of our last word, which may have got lost: say it again, but not while
 * it is on its way, and not to each of many echoes. */
static void deny_leave(struct gossip *g, uint64_t ltime, enum serf_source source)
{
    uint64_t since_ns = g->now_ns - g->serf.announced_ns;
    bool is_on_its_way =
        since_ns < (uint64_t)DENY_AGAIN_TICKS * g->profile->gossip_every_ms * NS_PER_MS ||
        broadcast_is_waiting(&g->queues[QUEUE_INTENTS], g->serf.announcement_id);

    if (ltime >= g->self->view.status_ltime) {
        serf_announce_join(g);
    } else if (source == SERF_FROM_PACKET && !is_on_its_way) {
        spread_join(g); /* a state is answered by ours, with our status time in it */
    }
}

static bool is_us(const struct gossip *g, const struct member *member)
{
    return member == g->self && g->leave.stage == LEAVE_NOT;
}

/* ---- Join intents. */

/* A member's own word at the very time at which another declared it left. Serf stays with
 * what it heard first, and so shows a living member as leaving for ever; who leaves by itself
 * says so at a later time than it joined, so a join at the same time is from who stays. In a
 * state the time may as well be that of the leave. */
static bool settles_tie(const struct member *member, const struct wire_intent *intent,
                        enum serf_source source)
{
    return source == SERF_FROM_PACKET && member->serf == SERF_LEAVING &&
           intent->ltime == member->view.status_ltime;
}

void serf_on_join_intent(struct gossip *g, const struct wire_intent *intent,
                         enum serf_source source)
{
    struct member *member = roster_find(&g->roster, intent->node);
    bool is_news = true;

    serf_witness(g, GOSSIP_CLOCK_STATUS, intent->ltime);
    if (!is_known(member)) {
        is_news = keep_intent(g, intent, false);
    } else if (intent->ltime <= member->view.status_ltime &&
               !settles_tie(member, intent, source)) {
        return;
    } else if (is_us(g, member)) {
        /* Not ours: of our last run, or Serf's trace of a force-leave that it told nobody
         * because we are its only peer. Either way a newer word of ours is needed. */
        serf_announce_join(g);
        return;
    } else {
        member->view.status_ltime = intent->ltime;
        if (member->serf == SERF_LEAVING && member != g->self) {
            member->serf = SERF_ALIVE;
            member->prune = false;
            serf_publish(g, member, GOSSIP_EVENT_ALIVE);
        }
    }
    if (is_news && source == SERF_FROM_PACKET) {
        (void)spread_intent(g, WIRE_SERF_JOIN, intent);
    }
}

/* ---- Leave intents. */

/* Serf keeps who is leaving until everybody has heard of it, then erases it. */
static void prune_later(struct gossip *g, struct member *member)
{
    uint64_t wait_ms =
        (uint64_t)g->profile->broadcast_timeout_ms + g->profile->leave_propagate_ms;

    if (!member->prune) {
        struct dealings *dealings = roster_deal(member);
        member->prune = true;
        if (dealings != NULL) { /* else as soon as it is gone */
            dealings->prune_at_ns = g->now_ns + wait_ms * NS_PER_MS;
        }
        if (!deadline_is_set(&g->serf.prune)) {
            gossip_arm(g, &g->serf.prune, wait_ms);
        }
    }
}

/* What a newer leave intent does to a member we know. */
static void apply_leave(struct gossip *g, struct member *member, bool prune)
{
    if (member->serf == SERF_ALIVE) {
        member->serf = SERF_LEAVING;
        serf_publish(g, member, GOSSIP_EVENT_LEAVING);
    } else if (member->serf == SERF_FAILED) {
        member->serf = SERF_LEFT;
        member->gone_ns = g->now_ns;
        serf_publish(g, member, GOSSIP_EVENT_LEFT);
    }
    if (prune && member->serf == SERF_LEAVING) {
        prune_later(g, member);
    } else if (prune) {
        serf_erase(g, member);
    }
}

void serf_on_leave_intent(struct gossip *g, const struct wire_intent *intent,
                          enum serf_source source)
{
    struct member *member = roster_find(&g->roster, intent->node);
    bool is_news = true;

    serf_witness(g, GOSSIP_CLOCK_STATUS, intent->ltime);
    if (is_us(g, member)) {
        deny_leave(g, intent->ltime, source);
        return;
    }
    if (!is_known(member)) {
        is_news = keep_intent(g, intent, true);
    } else if (intent->ltime <= member->view.status_ltime) {
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

void serf_force_leave(struct gossip *g, struct member *member, enum gossip_prune prune)
{
    const struct wire_intent intent = {.ltime = serf_use_time(g, GOSSIP_CLOCK_STATUS),
                                       .node = rc_pack_text(member->view.said->name),
                                       .prune = prune == GOSSIP_PRUNE};
    serf_on_leave_intent(g, &intent, SERF_FROM_PACKET);
}

void serf_prune(struct gossip *g)
{
    size_t position = 0;
    uint64_t next_ns = UINT64_MAX;
    struct member *member;

    while ((member = rc_table_next(g->roster.by_name, &position, NULL)) != NULL) {
        if (!member->prune || member->serf == SERF_NONE) {
            continue;
        }
        bool is_here = member->swim == SWIM_ALIVE || member->swim == SWIM_SUSPECT;
        uint64_t prune_at_ns = roster_dealings(member)->prune_at_ns;
        if (prune_at_ns <= g->now_ns && !is_here) {
            serf_erase(g, member);
        } else if (prune_at_ns > g->now_ns && prune_at_ns < next_ns) {
            next_ns = prune_at_ns;
        }
    }
    if (next_ns != UINT64_MAX) {
        (void)deadline_set(&g->deadlines, &g->serf.prune, next_ns);
    }
}

void serf_reap_intents(struct gossip *g)
{
    size_t position = 0;
    const char *name;
    struct serf_intent *intent;

    while ((intent = rc_table_next(g->serf.intents, &position, &name)) != NULL) {
        if (g->now_ns - intent->at_ns >
            (uint64_t)g->profile->recent_intent_ms * NS_PER_MS) {
            free(rc_table_remove(g->serf.intents, name));
        }
    }
}
