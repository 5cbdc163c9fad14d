/* keeper_hold_uv.c - keepers' promises, as queries of the pool that go straight to each. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/gossip/gossip.h"
#include "agent/keeper_state_uv.h"
#include "agent/keeper_uv.h"
#include "agent/warden/warden_socket.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"

enum { TERM_TEXT_MAX = 24, QUESTION_MAX = KEEPER_NODE_MAX + TERM_TEXT_MAX };

static const char question[] = "rollcall:pg-hold"; /* payload: "<cluster> <term>" */
static const char yes[] = "promised";

void keeper_uv_ask_promises(struct keeper_uv *u, const struct keeper_action *action)
{
    const char *nodes[KEEPER_MEMBERS_MAX];
    char text[QUESTION_MAX];

    for (size_t i = 0; i < action->members->count; i++) {
        nodes[i] = action->members->names[i];
    }
    (void)snprintf(text, sizeof text, "%s %" PRIu64, u->place.cluster, action->term);
    const struct gossip_query query = {
        .name = question,
        .payload = (const uint8_t *)text,
        .size = strlen(text),
        .nodes = nodes,
        .node_count = action->members->count,
        .reach = GOSSIP_QUERY_STRAIGHT,
        .ack = GOSSIP_QUERY_WITHOUT_ACK,
        .timeout_ms = (uint32_t)action->time_ms,
    };
    u->promise_query = 0;
    if (gossip_query(u->agent->gossip, rc_clock_ns(), &query, &u->promise_query) ==
        RC_OK) {
        u->promise_id = action->id;
    }
}

static bool is_of_cluster(const struct keeper_uv *u, const struct gossip_action *action,
                          uint64_t *term)
{
    char text[QUESTION_MAX];
    size_t name = strlen(u->place.cluster);

    if (action->size >= sizeof text || action->size <= name + 1) {
        return false;
    }
    memcpy(text, action->bytes, action->size);
    text[action->size] = '\0';
    return strncmp(text, u->place.cluster, name) == 0 && text[name] == ' ' &&
           rc_text_to_u64(text + name + 1, UINT64_MAX, term) == RC_OK;
}

static void answer(struct keeper_uv *u, const struct gossip_action *action)
{
    uint64_t term = 0;

    if (is_of_cluster(u, action, &term) &&
        keeper_promise(u->keeper, warden_clock_ms(), term)) {
        /* One that is lost is asked for again. */
        (void)gossip_respond(u->agent->gossip, rc_clock_ns(), action->ltime, action->id,
                             (const uint8_t *)yes, strlen(yes));
    }
}

static void take(struct keeper_uv *u, const struct gossip_action *action)
{
    bool is_yes =
        action->size == strlen(yes) && memcmp(action->bytes, yes, action->size) == 0;

    if (is_yes && action->name != NULL) {
        keeper_see_promise(u->keeper, warden_clock_ms(), u->promise_id, action->name);
        keeper_uv_pump(u);
    }
}

bool agent_keeper_on_query(struct agent *agent, const struct gossip_action *action)
{
    struct keeper_uv *u = agent->keeper_edge;
    bool is_open = u != NULL && !u->is_closing && u->keeper != NULL;

    if (action->type == GOSSIP_QUERY) {
        bool is_ours = rc_text_equals(action->name, question);
        if (is_ours && is_open) {
            answer(u, action);
        }
        return is_ours;
    }
    if (!is_open || u->promise_query == 0 || action->id != u->promise_query) {
        return false;
    }
    if (action->type == GOSSIP_QUERY_RESPONSE) {
        take(u, action);
    } else if (action->type == GOSSIP_QUERY_DONE) {
        u->promise_query = 0;
    }
    return true;
}
