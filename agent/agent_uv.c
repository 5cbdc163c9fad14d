#include "agent/agent_uv.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "agent/http/permits.h"
#include "agent/keeper_uv.h"
#include "agent/prepared/prepared_book.h"
#include "agent/revoked_uv.h"
#include "agent/watch_keys_uv.h"
#include "base/err.h"
#include "base/file.h"
#include "base/logger.h"
#include "base/notify.h"
#include "base/pages.h"
#include "base/text.h"

/* ---- Closing. */

static void on_closed(void *context)
{
    struct agent *agent = context;
    agent->open--;
}

static void on_handle_closed(uv_handle_t *handle)
{
    on_closed(handle->data);
}

static void close_edges(struct agent *agent)
{
    if (agent->joiner != NULL) {
        agent->open++;
        joiner_close(agent->joiner, on_closed, agent);
        agent->joiner = NULL;
    }
    if (agent->watcher != NULL) {
        agent->open++;
        watcher_close(agent->watcher, on_closed, agent);
        agent->watcher = NULL;
    }
    watch_keys_close(agent->watch_keys);
    agent->watch_keys = NULL;
    agent_close_keeper(agent);
    if (agent->http != NULL) {
        agent->open++;
        forwarder_set_http(agent->forwarder, NULL);
        http_close(agent->http, on_closed, agent);
        agent->http = NULL;
    }
    if (agent->forwarder != NULL) {
        agent->open++;
        forwarder_close(agent->forwarder, on_closed, agent);
        agent->forwarder = NULL;
    }
    agent_close_queries(agent);
    agent_close_proxies(agent);
    agent_close_store(agent);
    if (agent->dns != NULL) {
        agent->open++;
        dns_server_close(agent->dns, on_closed, agent);
        agent->dns = NULL;
    }
    if (agent->checks_edge != NULL) {
        agent->open++;
        checks_uv_close(agent->checks_edge, on_closed, agent);
        agent->checks_edge = NULL;
    }
    healer_close(agent->healer);
    agent->healer = NULL;
    if (agent->gossip_edge != NULL) {
        agent->open++;
        gossip_uv_close(agent->gossip_edge, on_closed);
        agent->gossip_edge = NULL;
    }
}

void agent_close(struct agent *agent)
{
    if (agent->phase == AGENT_CLOSING) {
        return;
    }
    agent->phase = AGENT_CLOSING;
    rc_notify("STOPPING=1");
    if (agent->leave_ticket != 0 && agent->http != NULL) {
        http_finish(agent->http, agent->leave_ticket, RC_OK, NULL);
    }
    if (agent->local != NULL && agent->gossip != NULL) {
        agent_save(agent);
    }
    close_edges(agent);
    if (agent->turn.data != NULL) {
        uv_close((uv_handle_t *)&agent->turn, on_handle_closed);
        uv_close((uv_handle_t *)&agent->tick, on_handle_closed);
        uv_close((uv_handle_t *)&agent->save, on_handle_closed);
        uv_close((uv_handle_t *)&agent->write, on_handle_closed);
        uv_close((uv_handle_t *)&agent->leave_wait, on_handle_closed);
        rc_signals_close(&agent->signals, on_closed);
    }
}

static void destroy_parts(struct agent *agent)
{
    free(agent->watch_api);
    agent_close_revoked(agent);
    agent_dns_manners_close(&agent->dns_manners);
    recursion_destroy(agent->recursion);
    agent_close_board(agent);
    permits_destroy(agent->permits);
    collector_destroy(agent->collector);
    asked_destroy(agent->asked);
    event_log_destroy(agent->events);
    history_destroy(agent->history.log);
    for (size_t i = 0; i < agent->host_name_count; i++) {
        free(agent->host_names[i]);
    }
    free((void *)agent->host_names);
    local_destroy(agent->local);
    local_files_close(agent->local_files);
    schedule_destroy(agent->schedule);
    key_orders_destroy(agent->key_orders);
    gossip_destroy(agent->gossip);
    snapshot_close(agent->snapshot);
    prepared_book_destroy(agent->queries);
    catalog_destroy(agent->catalog);
    rc_metrics_destroy(agent->metrics);
    identity_fini(&agent->identity);
    agent_config_fini(&agent->config);
    free(agent->facts);
    if (agent->lock >= 0) {
        (void)close(agent->lock);
    }
}

static void tell_start(const struct agent *agent)
{
    char address[RC_ADDRESS_TEXT_MAX];
    rc_address_format(&agent->identity.advertise, address);
    for (size_t i = 0; i < agent->config.warnings.count; i++) {
        rc_log(RC_LOG_WARN, "config", "%s", agent->config.warnings.items[i]);
    }
    rc_log(RC_LOG_INFO, "agent", "rollcall %s: node %s (%s) in %s, gossip at %s, %s",
           cli_version, agent->identity.node_name, agent->identity.node_id,
           agent->config.datacenter, address,
           gossip_is_encrypted(agent->gossip) ? "encrypted"
                                              : "NOT encrypted (set encrypt)");
    agent_tell_encryption(agent);
    forwarder_tell(agent->forwarder);
}

static int write_pid(const struct agent *agent)
{
    char text[24];
    if (agent->config.pid_file == NULL) {
        return RC_OK;
    }
    int size = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    return rc_file_replace(agent->config.pid_file, text, (size_t)size);
}

int agent_run(size_t count, char *const *words)
{
    struct agent *agent = calloc(1, sizeof *agent);
    char error[AGENT_CONFIG_ERROR_MAX];

    if (agent == NULL) {
        return CLI_FAILED;
    }
    agent->lock = -1;
    agent->word_count = count;
    agent->words = words;
    if (agent_config_load(count, words, &agent->config, error) != RC_OK) {
        (void)fprintf(stderr, "rollcall agent: %s\n", error);
        free(agent);
        return CLI_FAILED;
    }
    rc_log_setup(agent->config.log_level,
                 agent->config.log_json ? RC_LOG_JSON : RC_LOG_PLAIN);
    agent->metrics = rc_metrics_create();
    (void)uv_loop_init(&agent->loop);
    int err = agent_open(agent);
    if (err == RC_OK && write_pid(agent) != RC_OK) {
        err = RC_EIO;
        (void)snprintf(agent->error, sizeof agent->error, "pid_file %s cannot be written",
                       agent->config.pid_file);
    }
    if (err == RC_OK) {
        tell_start(agent);
        rc_notify("READY=1");
        rc_pages_release();
    } else {
        (void)fprintf(stderr, "rollcall agent: %s\n",
                      agent->error[0] != '\0' ? agent->error : rc_strerror(err));
        agent->exit_status = CLI_FAILED;
        agent_close(agent);
    }
    (void)uv_run(&agent->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&agent->loop);
    if (agent->config.pid_file != NULL && err == RC_OK) {
        (void)unlink(agent->config.pid_file);
    }
    destroy_parts(agent);
    int status = agent->exit_status;
    free(agent);
    return status;
}
