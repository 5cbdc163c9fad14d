/* board_uv.c - the board that DNS answers from, joined to the catalog and to tokens. */
#include "agent/agent_uv.h"
#include "agent/config_acl.h"
#include "base/entropy.h"
#include "base/err.h"

static uint64_t serial(void *context)
{
    const struct agent *agent = context;
    return http_dns_serial(agent->http);
}

static bool shows(void *context, enum dns_gate_kind kind, const char *name)
{
    const struct agent *agent = context;

    if (agent->http == NULL) { /* there is nobody who could ask a server */
        return config_acl_mode(&agent->config) != HTTP_ACL_ENFORCE ||
               config_acl_default(&agent->config) == HTTP_ACL_ALLOW;
    }
    return http_dns_shows(agent->http,
                          kind == DNS_GATE_NODE ? PERMIT_NODE : PERMIT_SERVICE, name);
}

int agent_open_board(struct agent *agent)
{
    const struct dns_gate open = {0};
    const struct dns_gate guarded = {agent, serial, shows};
    const struct dns_gate *gate = agent->permits != NULL ? &guarded : &open;

    int err = dns_board_create(agent->config.datacenter, rc_entropy_u64(), &agent->board);
    if (err == RC_OK) {
        err = dns_board_join(agent->board, &agent->board_reader);
    }
    if (err == RC_OK) {
        err = dns_feed_create(agent->catalog, agent->board, gate, &agent->dns_feed);
    }
    if (err == RC_OK) {
        err =
            dns_prepared_create(agent->catalog, agent->board, gate, &agent->dns_prepared);
    }
    if (err != RC_OK) {
        return err;
    }
    const struct dns_board_queries queries = dns_prepared_queries(agent->dns_prepared);
    dns_board_set_queries(agent->board_reader, &queries);
    dns_feed_turn(agent->dns_feed, NULL, 0);
    return RC_OK;
}

void agent_board_turn(struct agent *agent, const struct catalog_change *changes,
                      size_t count)
{
    if (agent->dns_feed != NULL) {
        dns_feed_turn(agent->dns_feed, changes, count);
    }
}

void agent_board_written(void *context)
{
    const struct agent *agent = context;
    const struct catalog_change *changes = NULL;
    size_t count = catalog_see_changes(agent->catalog, &changes);

    if (agent->dns_feed != NULL) {
        dns_feed_ahead(agent->dns_feed, changes, count);
    }
}

void agent_close_board(struct agent *agent)
{
    dns_prepared_destroy(agent->dns_prepared);
    dns_feed_destroy(agent->dns_feed);
    dns_board_destroy(agent->board);
}
