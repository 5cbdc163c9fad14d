#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/agent_uv.h"
#include "agent/config_postgres.h"
#include "agent/keeper_uv.h"
#include "agent/revoked_uv.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/logger.h"
#include "base/notify.h"
#include "base/text.h"

enum { LEAVE_MAX_MS = 8000, LEAVE_TEXT_MAX = 400 };

static void on_leave_too_long(uv_timer_t *timer)
{
    rc_log(RC_LOG_WARN, "agent", "leaving takes too long; stopping all the same");
    agent_close(timer->data);
}

void agent_begin_leave(struct agent *agent)
{
    if (agent->phase == AGENT_CLOSING) {
        return;
    }
    if (agent->phase == AGENT_LEAVING) {
        rc_log(RC_LOG_WARN, "agent",
               "told to stop again: not all may hear that we leave");
        agent_close(agent);
        return;
    }
    rc_log(RC_LOG_INFO, "agent", "leaving the cluster");
    rc_notify("STOPPING=1");
    agent->phase = AGENT_LEAVING;
    agent->leaving_on_purpose = true;
    agent_save(agent);
    (void)uv_timer_start(&agent->leave_wait, on_leave_too_long, LEAVE_MAX_MS, 0);
    gossip_leave(agent->gossip, rc_clock_ns());
    gossip_uv_flush(agent->gossip_edge);
}

static int check_postgres(const struct agent *agent, const struct agent_config *fresh,
                          char *error)
{
    const char *name = config_postgres_fixed(&agent->config, fresh);

    if (name == NULL) {
        return RC_OK;
    }
    (void)snprintf(
        error, AGENT_CONFIG_ERROR_MAX,
        "postgres.%s cannot change while the agent runs: restart it, PostgreSQL "
        "goes on meanwhile",
        name);
    return RC_EINVAL;
}

int agent_reload_config(struct agent *agent, char *text, size_t size)
{
    struct agent_config fresh = {0};
    char error[AGENT_CONFIG_ERROR_MAX];

    rc_notify("RELOADING=1");
    int err = agent_config_load(agent->word_count, agent->words, &fresh, error);
    if (err == RC_OK) {
        err = check_postgres(agent, &fresh, error);
    }
    if (err == RC_OK) {
        err = forwarder_check(&fresh, error);
    }
    if (err == RC_OK) {
        err = local_reload(agent->local, fresh.services, fresh.service_count,
                           fresh.checks, fresh.check_count,
                           (struct local_now){rc_clock_ms(), rc_clock_wall_ms()});
        if (err != RC_OK) {
            (void)snprintf(error, sizeof error, "%s", local_error(agent->local));
        }
    }
    if (err == RC_OK && agent_set_watches(agent, &fresh) != RC_OK) {
        err = RC_ENOMEM;
        (void)snprintf(error, sizeof error, "watches: out of memory");
    }
    if (err == RC_OK) {
        gossip_set_cover(agent->gossip, agent_cover(&fresh));
        forwarder_reload(agent->forwarder, &fresh);
        agent_keeper_reload(agent, &fresh);
        agent_revoked_nodes_changed(agent); /* other signers may count now */
        if (!rc_text_equals(fresh.encrypt, agent->config.encrypt)) {
            rc_log(RC_LOG_WARN, "keys",
                   "encrypt is read at the start only; `rollcall keyring` changes the "
                   "keys of a running pool");
        }
        rc_log_setup(fresh.log_level, fresh.log_json ? RC_LOG_JSON : RC_LOG_PLAIN);
        for (size_t i = 0; i < fresh.warnings.count; i++) {
            rc_log(RC_LOG_WARN, "config", "%s", fresh.warnings.items[i]);
        }
        rc_log(RC_LOG_INFO, "agent", "configuration reloaded");
    } else {
        (void)snprintf(text, size, "%s", error);
        rc_log(RC_LOG_ERROR, "agent", "not reloaded, all stays as it was: %s", error);
    }
    agent_config_fini(&fresh);
    rc_notify("READY=1");
    return err;
}

/* ---- What the API asks for. */

/* A join that the API waits for. */
struct api_join {
    struct agent *agent;
    http_ticket ticket;
    char address[256];
};

static void on_joined(void *context, size_t joined, const char *error)
{
    struct api_join *join = context;
    char text[JOIN_ERROR_MAX + sizeof join->address + 32];

    (void)snprintf(text, sizeof text, "Failed to join %s: %s", join->address,
                   error[0] != '\0' ? error : "no address to try");
    if (join->agent->http != NULL) {
        http_finish(join->agent->http, join->ticket, joined > 0 ? RC_OK : RC_EIO, text);
    }
    free(join);
}

static void join_operation(void *context, const char *address, http_ticket ticket)
{
    struct agent *agent = context;
    struct api_join *join = calloc(1, sizeof *join);
    if (join == NULL) {
        http_finish(agent->http, ticket, RC_ENOMEM, NULL);
        return;
    }
    join->agent = agent;
    join->ticket = ticket;
    (void)snprintf(join->address, sizeof join->address, "%s", address);
    if (joiner_join(agent->joiner, address, on_joined, join) != RC_OK) {
        http_finish(agent->http, ticket, RC_EAGAIN, "too many joins under way");
        free(join);
    }
}

static void leave_operation(void *context, http_ticket ticket, enum http_leave how)
{
    struct agent *agent = context;

    if (agent->phase != AGENT_RUNNING) {
        agent->leave_ticket = ticket;
        return;
    }
    const char *why = agent_keeper_retire(
        agent, how == HTTP_LEAVE_FORCED ? KEEPER_LEAVES_ALL_THE_SAME : KEEPER_LEAVES,
        agent_begin_leave);
    if (why != NULL) {
        char text[LEAVE_TEXT_MAX];
        (void)snprintf(text, sizeof text,
                       "Refused: %s (switch over, or leave with -force)", why);
        http_finish_text(agent->http, ticket, 409, text);
        return;
    }
    agent->leave_ticket = ticket;
}

static int force_leave_operation(void *context, const char *node, enum http_prune prune)
{
    const struct agent *agent = context;
    return gossip_force_leave(agent->gossip, rc_clock_ns(), node,
                              prune == HTTP_PRUNE ? GOSSIP_PRUNE : GOSSIP_KEEP);
}

static int reload_operation(void *context, char *text, size_t size)
{
    return agent_reload_config(context, text, size);
}

struct http_operations agent_operations(struct agent *agent)
{
    return (struct http_operations){
        .context = agent,
        .join = join_operation,
        .leave = leave_operation,
        .force_leave = force_leave_operation,
        .reload = reload_operation,
        .fire = agent_fire,
        .ask = agent_ask,
        .keys = agent_order_keys,
        .forward = agent_forward,
        .forget = agent_forget,
        .describe_links = agent_describe_links,
        .sign_revocation = agent_sign_revocation,
        .describe_revoked = agent_describe_revoked,
        .explain_dns = agent_explain_dns,
        .ask_proxies = agent_ask_proxies,
        .written = agent_board_written,
    };
}
