/* links_uv.c - the agent's links to servers: opened, and told what they need to know. */
#include <string.h>

#include "agent/agent_uv.h"
#include "agent/forward_uv.h"
#include "agent/keeper_uv.h"
#include "agent/revoked_uv.h"
#include "agent/store_uv.h"
#include "base/err.h"
#include "base/logger.h"
#include "base/text.h"

static bool serves(void *context)
{
    const struct agent *agent = context;
    return agent_store(agent) != NULL;
}

static void on_own_reply(void *context, http_ticket ticket,
                         const struct http_reply *reply)
{
    struct agent *agent = context;

    if (!agent_keeper_replied(agent, ticket, reply)) {
        agent_on_own_reply(agent, ticket, reply);
    }
}

int agent_open_links(struct agent *agent)
{
    struct rc_address listen = agent->identity.bind;
    char error[FORWARDER_ERROR_MAX];

    listen.port = (uint16_t)agent->config.ports.server;
    const struct forwarder_options options = {
        .loop = &agent->loop,
        .gossip = agent->gossip,
        .node_name = agent->identity.node_name,
        .datacenter = agent->config.datacenter,
        .metrics = agent->metrics,
        .config = &agent->config,
        .listen = agent_store(agent) != NULL && listen.port != 0 ? &listen : NULL,
        .keys = agent->link_keys.keys,
        .key_count = agent->link_keys.count,
        .revoked = agent_revocations(agent),
        .serves = serves,
        .replied = on_own_reply,
        .context = agent,
    };
    int err = forwarder_start(&options, error, &agent->forwarder);
    explicit_bzero(agent->link_keys.keys, sizeof agent->link_keys.keys);
    agent->link_keys.count = 0;
    if (err != RC_OK) {
        (void)rc_text_put(agent->error, sizeof agent->error,
                          error[0] != '\0' ? error : rc_strerror(err));
    }
    forwarder_set_http(agent->forwarder, agent->http);
    forwarder_revoked_changed(agent->forwarder);
    return err;
}

void agent_forward(void *context, const struct http_relay *relay, http_ticket ticket)
{
    const struct agent *agent = context;
    forwarder_forward(agent->forwarder, relay, ticket);
}

void agent_forget(void *context, http_ticket ticket)
{
    const struct agent *agent = context;
    if (agent->forwarder != NULL) {
        forwarder_forget(agent->forwarder, ticket);
    }
}

void agent_describe_links(void *context, struct rc_json *json)
{
    const struct agent *agent = context;
    forwarder_describe(agent->forwarder, json);
}
