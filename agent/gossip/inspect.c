/* inspect.c - for whoever debugs a pool: what gossip did lately and why, in words. */
#include "agent/gossip/inspect.h"

#include <assert.h>
#include <stdio.h>

#include "agent/gossip/probe.h"
#include "agent/gossip/state.h"

/* ---- Names. */

static const char *name_of(const struct gossip *g, uint32_t id)
{
    size_t position = 0;
    const struct member *member;

    while (id != 0 &&
           (member = rc_table_next(g->roster.by_name, &position, NULL)) != NULL) {
        if (member->id == id) {
            return member->view.said->name;
        }
    }
    const char *lost = id != 0 ? diary_lost_name(&g->diary, id) : NULL;
    return lost != NULL ? lost : "";
}

static const char *accuser(const struct gossip *g, uint32_t id)
{
    const char *name = name_of(g, id);

    if (id == g->self->id) {
        return "us";
    }
    return name[0] != '\0' ? name : "somebody we do not know";
}

static const char *status_name(uint8_t status, const char *otherwise)
{
    return status < GOSSIP_STATUS_COUNT ? gossip_status_name(status) : otherwise;
}

/* ---- Why a member's status changed. */

static void explain_probe(const struct diary_why *why, char text[GOSSIP_WHY_MAX])
{
    int size = snprintf(text, GOSSIP_WHY_MAX, "suspected by us: no ack in %u ms",
                        (unsigned)why->ms);
    size_t left = (size_t)(GOSSIP_WHY_MAX - size);

    if (why->all == 0) {
        (void)snprintf(text + size, left, ", and nobody else to ask");
    } else {
        (void)snprintf(text + size, left,
                       ", nor through %u asked for indirect probes (%u got no answer "
                       "either, %u kept silent)",
                       (unsigned)why->all, (unsigned)why->some,
                       (unsigned)why->all - why->some);
    }
}

static void explain_plain(const struct diary_entry *entry, char text[GOSSIP_WHY_MAX])
{
    const char *words = "";

    if (entry->to == GOSSIP_STATUS_COUNT) {
        words = "gone for long enough, pruned, or one too many of the gone";
    } else if (entry->from == GOSSIP_STATUS_COUNT) {
        words = "heard of it for the first time";
    } else if (entry->to == GOSSIP_LEAVING) {
        words = "its leave intent came, or a force-leave";
    } else if (entry->to == GOSSIP_LEFT) {
        words = "left on purpose, or by a force-leave";
    } else if (entry->to == GOSSIP_ALIVE && entry->from == GOSSIP_LEAVING) {
        words = "took its leave back";
    } else if (entry->to == GOSSIP_ALIVE) {
        words = "told us that it is alive";
    }
    (void)snprintf(text, GOSSIP_WHY_MAX, "%s", words);
}

static void explain(const struct gossip *g, const struct diary_entry *entry,
                    char text[GOSSIP_WHY_MAX])
{
    const struct diary_why *why = &entry->why;
    const char *by = accuser(g, why->by);
    unsigned ms = why->ms;
    unsigned some = why->some;
    unsigned all = why->all;

    switch (why->reason) {
    case DIARY_NO_REASON:
        explain_plain(entry, text);
        return;
    case DIARY_PROBE_FAILED:
        explain_probe(why, text);
        return;
    case DIARY_ACCUSED:
        (void)snprintf(text, GOSSIP_WHY_MAX, "suspected by %s", by);
        return;
    case DIARY_IN_A_STATE:
        (void)snprintf(text, GOSSIP_WHY_MAX,
                       "suspect or dead in the member list of another");
        return;
    case DIARY_CONFIRMED:
        (void)snprintf(text, GOSSIP_WHY_MAX,
                       "suspected by %s too: confirmation %u of %u, %u ms left", by, some,
                       all, ms);
        return;
    case DIARY_RUN_OUT:
        (void)snprintf(text, GOSSIP_WHY_MAX,
                       "suspected for %u ms, not refuted; %u of %u confirmations", ms,
                       some, all);
        return;
    case DIARY_SPARED:
        (void)snprintf(text, GOSSIP_WHY_MAX,
                       "it has answered us since: %u ms more to refute", ms);
        return;
    case DIARY_STARTED_OVER:
        (void)snprintf(text, GOSSIP_WHY_MAX,
                       "we stood still for %u ms: the suspicion starts over", ms);
        return;
    case DIARY_TOLD_DEAD:
        (void)snprintf(text, GOSSIP_WHY_MAX, "declared dead by %s", by);
        return;
    case DIARY_SAID_GOODBYE:
        (void)snprintf(text, GOSSIP_WHY_MAX, "said goodbye");
        return;
    case DIARY_REFUTED:
        (void)snprintf(text, GOSSIP_WHY_MAX, "refuted at incarnation %u",
                       (unsigned)entry->incarnation);
        return;
    case DIARY_MOVED:
        (void)snprintf(text, GOSSIP_WHY_MAX, "now at another address");
        return;
    case DIARY_REASON_COUNT:
        break;
    }
    assert(false); /* a reason that is none */
}

bool gossip_transition(const struct gossip *g, size_t back, struct gossip_transition *out)
{
    const struct diary_entry *entry = diary_at(&g->diary, back);

    if (entry == NULL) {
        return false;
    }
    out->at_ns = entry->at_ns;
    out->member = name_of(g, entry->member);
    out->incarnation = entry->incarnation;
    out->from = status_name(entry->from, "");
    out->to = status_name(entry->to, "forgotten");
    explain(g, entry, out->why);
    return true;
}

/* ---- Why our health score rose. */

static void explain_doubt(const struct diary_doubt *doubt, char text[GOSSIP_WHY_MAX])
{
    switch (doubt->reason) {
    case DIARY_UNANSWERED:
        (void)snprintf(text, GOSSIP_WHY_MAX,
                       "a probe of ours failed and nobody else could be asked");
        return;
    case DIARY_NACKS:
        (void)snprintf(text, GOSSIP_WHY_MAX,
                       "a probe of ours failed, and %u of %u asked to help did not even "
                       "say no",
                       (unsigned)doubt->some, (unsigned)doubt->all);
        return;
    case DIARY_WE_REFUTED:
        (void)snprintf(text, GOSSIP_WHY_MAX, "others suspected us, we refuted");
        return;
    case DIARY_LAGGED:
        (void)snprintf(text, GOSSIP_WHY_MAX, "we were %u ms late ourselves",
                       (unsigned)doubt->ms);
        return;
    }
    assert(false); /* a doubt that is none */
}

bool gossip_doubt(const struct gossip *g, size_t back, struct gossip_doubt *out)
{
    const struct diary_doubt *doubt = diary_doubt_at(&g->diary, back);

    if (doubt == NULL) {
        return false;
    }
    out->at_ns = doubt->at_ns;
    out->score = doubt->score;
    explain_doubt(doubt, out->why);
    return true;
}

uint32_t gossip_health_max(const struct gossip *g)
{
    return g->profile->health_max - 1;
}

bool gossip_is_deaf(const struct gossip *g)
{
    return probe_is_deaf(g);
}

/* ---- Suspicions, offenders, queues. */

bool gossip_next_suspicion(const struct gossip *g, size_t *position,
                           struct gossip_suspicion *out)
{
    while (*position < g->roster.list_count) {
        const struct member *member = g->roster.list[(*position)++];
        const struct suspicion *suspicion = roster_dealings(member)->suspicion;
        if (suspicion != NULL) {
            *out = (struct gossip_suspicion){
                .member = &member->view,
                .since_ns = suspicion->started_ns,
                .ends_ns = suspicion->deadline.at_ns,
                .confirmations = suspicion->count,
                .wanted = suspicion->wanted,
                .has_answered = member->dealings->acked_ns > suspicion->started_ns,
            };
            return true;
        }
    }
    return false;
}

bool gossip_offender(const struct gossip *g, size_t rank, struct gossip_offender *out)
{
    const struct offender *row = offenders_at(&g->offenders, rank);

    if (row == NULL) {
        return false;
    }
    const struct member *member = roster_at(&g->roster, &row->address);
    *out = (struct gossip_offender){
        .address = row->address,
        .member = member != NULL ? member->view.said->name : "",
        .reason = row->reason,
        .count = row->count,
        .last_ns = row->last_ns,
    };
    return true;
}

bool gossip_queue_facts(const struct gossip *g, size_t place,
                        struct gossip_queue_facts *out)
{
    static const char *const names[QUEUE_COUNT] = {
        [QUEUE_MEMBERSHIP] = "membership",
        [QUEUE_INTENTS] = "intents",
        [QUEUE_QUERIES] = "queries",
        [QUEUE_EVENTS] = "events",
    };

    if (place >= QUEUE_COUNT) {
        return false;
    }
    const struct broadcast_queue *queue = &g->queues[place];
    *out = (struct gossip_queue_facts){names[place], queue->count, queue->max,
                                       queue->dropped, queue->refused};
    return true;
}
