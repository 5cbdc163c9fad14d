/* dns_explain_uv.c - why DNS answers as it does, asked by HTTP of the agent as it is now. */
#include "agent/agent_uv.h"
#include "agent/dns/dns_explain.h"
#include "agent/dns/dns_way.h"
#include "base/clock.h"
#include "base/entropy.h"
#include "base/err.h"

static bool asker_shows(void *context, enum dns_sight_kind kind, const char *name)
{
    static const enum permit_resource resources[] = {
        [DNS_SIGHT_SERVICE] = PERMIT_SERVICE,
        [DNS_SIGHT_NODE] = PERMIT_NODE,
        [DNS_SIGHT_QUERY] = PERMIT_QUERY,
    };
    const struct http_dns_question *question = context;
    return question->shows(question->asker, resources[kind], name);
}

/* Prepared queries are carried out for everybody. */
static bool dns_shows(void *context, enum dns_sight_kind kind, const char *name)
{
    const struct agent *agent = context;
    return kind == DNS_SIGHT_QUERY ||
           http_dns_shows(agent->http,
                          kind == DNS_SIGHT_NODE ? PERMIT_NODE : PERMIT_SERVICE, name);
}

static void forwards(void *context, const struct dns_name *name, struct rc_buffer *out)
{
    const struct agent *agent = context;
    dns_way_write(&agent->recursion->options, name, out);
}

int agent_explain_dns(void *context, const struct http_dns_question *given,
                      struct rc_json *json, char error[HTTP_DNS_ERROR_MAX])
{
    struct agent *agent = context;
    struct http_dns_question asker = *given;
    const struct dns_explain_question question = {
        .name = given->name,
        .type = given->type,
        .channel = given->by_tcp ? DNS_CHANNEL_TCP : DNS_CHANNEL_UDP_LOCAL,
        .edns_size = given->edns_size,
        .asker = {.context = &asker, .shows = asker_shows},
    };

    if (agent->board == NULL) {
        return RC_ENOTFOUND;
    }
    const struct dns_explain_ground ground = {
        .catalog = agent->catalog,
        .options = &agent->dns_options,
        .view = dns_board_view(agent->board_reader),
        .book = agent_queries_book(agent),
        .dns = {.context = agent, .shows = agent->permits != NULL ? dns_shows : NULL},
        .forwards = agent->recursion != NULL ? forwards : NULL,
        .context = agent,
        .seed = rc_entropy_u64(),
        .now_ms = rc_clock_ms(),
        .wall_ms = rc_clock_wall_ms(),
    };
    _Static_assert((int)DNS_EXPLAIN_ERROR_MAX == (int)HTTP_DNS_ERROR_MAX,
                   "one error, two names");
    return dns_explain(&ground, &question, json, error);
}
