#include <string.h>

#include "agent/agent_uv.h"
#include "agent/cli/cli.h"
#include "agent/keeper_uv.h"
#include "agent/revoked_uv.h"
#include "agent/trouble.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/logger.h"

enum { CONFLICT_EVERY_MS = 30000, NS_PER_MS = 1000000 };

static void arm_tick(struct agent *agent);

static void on_tick(uv_timer_t *timer)
{
    struct agent *agent = timer->data;
    catalog_tick(agent->catalog, rc_clock_ms());
}

static void arm_tick(struct agent *agent)
{
    uint64_t due_ms = catalog_deadline_ms(agent->catalog);
    uint64_t now_ms = rc_clock_ms();
    if (due_ms == UINT64_MAX) {
        (void)uv_timer_stop(&agent->tick);
        return;
    }
    uint64_t wait_ms = due_ms > now_ms ? due_ms - now_ms : 0;
    uv_update_time(
        &agent->loop); /* the wait counts from now, not from the loop's last look */
    (void)uv_timer_start(&agent->tick, on_tick, wait_ms, 0);
}

static bool tells_of_nodes(const struct catalog_change *changes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (changes[i].topic == CATALOG_TOPIC_NODES ||
            changes[i].topic == CATALOG_TOPIC_ALL) {
            return true;
        }
    }
    return false;
}

void agent_turn(struct agent *agent)
{
    const struct catalog_change *changes = NULL;

    lane_carry_out(&agent->lane, rc_clock_ns());
    gossip_uv_flush(agent->gossip_edge);
    size_t count = catalog_take_changes(agent->catalog, &changes);
    agent_board_turn(agent, changes, count);
    if (count > 0 && agent->http != NULL) {
        http_catalog_changed(agent->http, changes, count);
    }
    if (tells_of_nodes(changes, count)) {
        agent_revoked_nodes_changed(agent);
    }
    if (count > 0) {
        agent_tell_watches(agent, WATCH_CATALOG);
        agent_store_catalog_changed(agent);
    }
    agent_store_turn(agent);
    agent_history_turn(agent);
    agent_remember_clocks(agent);
    arm_tick(agent);
}

void agent_on_gossip_turn(void *context, uint64_t now_ns)
{
    struct agent *agent = context;
    lane_carry_out(&agent->lane, now_ns);
}

void agent_on_check(void *context, const struct schedule_action *action, uint64_t now_ms)
{
    struct agent *agent = context;
    local_on_schedule(agent->local, action,
                      (struct local_now){now_ms, rc_clock_wall_ms()});
}

/* ---- What gossip has to say. */

static void log_member(const struct gossip_action *action)
{
    char address[RC_ADDRESS_TEXT_MAX];
    bool bad = action->event == GOSSIP_EVENT_FAILED;
    bool quiet =
        action->event == GOSSIP_EVENT_UPDATE || action->event == GOSSIP_EVENT_ALIVE;
    rc_address_format(&action->member->said->address, address);
    rc_log(bad     ? RC_LOG_WARN
           : quiet ? RC_LOG_DEBUG
                   : RC_LOG_INFO,
           "gossip", "%s: %s %s", gossip_member_event_name(action->event),
           action->member->said->name, address);
}

/* Every rumour of the other tells again: once in a while is enough to read. */
static void on_conflict(struct agent *agent, uint64_t now_ns,
                        const struct gossip_action *action)
{
    char address[RC_ADDRESS_TEXT_MAX];
    if (agent->conflict_told_ns != 0 &&
        now_ns - agent->conflict_told_ns < (uint64_t)CONFLICT_EVERY_MS * NS_PER_MS) {
        return;
    }
    agent->conflict_told_ns = now_ns;
    rc_address_format(&action->address, address);
    if (action->member == gossip_self(agent->gossip)) {
        rc_log(RC_LOG_ERROR, "gossip",
               "%s uses our name '%s': give one of the two another (-node)", address,
               action->member->said->name);
    } else {
        rc_log(RC_LOG_WARN, "gossip", "%s uses the name of '%s', who lives elsewhere",
               address, action->member->said->name);
    }
}

/* The others have voted. We stop without a goodbye: it would be said in another's name. */
static void on_name_lost(struct agent *agent, const struct gossip_action *action)
{
    char address[RC_ADDRESS_TEXT_MAX];
    rc_address_format(&action->address, address);
    rc_log(
        RC_LOG_ERROR, "agent",
        "the name '%s' belongs to %s: most members know it there, and two agents of one "
        "name cannot be in a cluster. Stopping; give this agent another name (-node or "
        "node_name) or stop the other one, then start it again",
        action->member->said->name, address);
    agent->exit_status = CLI_FAILED;
    agent_close(agent);
}

/* The keeper's questions and answers are its own. */
static void on_query_action(struct agent *agent, uint64_t now_ns,
                            const struct gossip_action *action)
{
    if (agent_keeper_on_query(agent, action)) {
        return;
    }
    if (action->type == GOSSIP_QUERY) {
        agent_on_query(agent, action);
    } else if (action->type == GOSSIP_QUERY_ACK ||
               !key_orders_on_action(agent->key_orders, now_ns, action)) {
        agent_on_query_news(agent, action);
    }
}

void agent_on_gossip(void *context, uint64_t now_ns, const struct gossip_action *action)
{
    struct agent *agent = context;
    switch (action->type) {
    case GOSSIP_MEMBER_EVENT:
        log_member(action);
        agent_history_member(agent, action);
        lane_on_member(&agent->lane, now_ns, rc_clock_wall_ms(), action);
        agent_remember(agent, action);
        http_tell_news(agent->http, HTTP_NEWS_MEMBER);
        agent_store_members_changed(agent);
        forwarder_members_changed(agent->forwarder);
        agent_queries_members_changed(agent);
        agent_tell_watches(agent, WATCH_POOL);
        break;
    case GOSSIP_JOIN_RESULT:
        if (action->err == RC_OK) {
            agent_history_joined(agent);
        }
        joiner_on_result(agent->joiner, action);
        break;
    case GOSSIP_NAME_CONFLICT:
        on_conflict(agent, now_ns, action);
        break;
    case GOSSIP_REFUSED:
        trouble_refused(action);
        break;
    case GOSSIP_UNSEEN:
        trouble_unseen(agent->gossip, action);
        break;
    case GOSSIP_TCP_ONLY:
        trouble_tcp_only(agent->gossip, action);
        break;
    case GOSSIP_LEFT_POOL:
        rc_log(RC_LOG_INFO, "agent", "left the cluster");
        agent_close(agent);
        break;
    case GOSSIP_USER_EVENT:
        agent_on_user_event(agent, action);
        break;
    case GOSSIP_QUERY:
    case GOSSIP_QUERY_ACK:
    case GOSSIP_QUERY_RESPONSE:
    case GOSSIP_QUERY_DONE:
        on_query_action(agent, now_ns, action);
        break;
    case GOSSIP_NAME_LOST:
        on_name_lost(agent, action);
        break;
    case GOSSIP_SEND_PACKET:
    case GOSSIP_STREAM_OPEN:
    case GOSSIP_STREAM_SEND:
    case GOSSIP_STREAM_CLOSE:
    case GOSSIP_ACTION_TYPE_COUNT:
        break; /* the edge's own */
    }
}
