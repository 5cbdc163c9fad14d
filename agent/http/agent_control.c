#include "agent/http/endpoints.h"
#include "agent/http/visible.h"
#include "base/err.h"
#include "base/logger.h"
#include "base/text.h"

/* Suspends until http_finish(). The outcome stands before the operation is called, because
 * that may finish at once. */
static http_ticket suspend(struct http_api *api, struct http_exchange *x)
{
    x->ticket = ++api->last_ticket;
    x->outcome = EXCHANGE_PENDING;
    return x->ticket;
}

static bool is_missing(struct http_exchange *x, bool is_there)
{
    if (!is_there) {
        exchange_error(x, 501, "This agent was started without that operation");
    }
    return !is_there;
}

void agent_join(struct http_api *api, struct http_exchange *x)
{
    const struct http_operations *operations = &api->operations;

    if (!visible_self(api, x, PERMIT_AGENT, PERMIT_WRITE)) {
        return;
    }
    if (target_parameter(&x->target, "wan") != NULL) {
        exchange_error(x, 500, "rollcall has one pool; there is no WAN pool to join");
    } else if (x->argument[0] == '\0') {
        exchange_error(x, 400, "Missing address to join");
    } else if (!is_missing(x, operations->join != NULL)) {
        http_ticket ticket = suspend(api, x);
        operations->join(operations->context, x->argument, ticket);
    }
}

void agent_leave(struct http_api *api, struct http_exchange *x)
{
    const struct http_operations *operations = &api->operations;

    if (visible_self(api, x, PERMIT_AGENT, PERMIT_WRITE) &&
        !is_missing(x, operations->leave != NULL)) {
        http_ticket ticket = suspend(api, x);
        operations->leave(operations->context, ticket,
                          target_parameter(&x->target, "force") != NULL
                              ? HTTP_LEAVE_FORCED
                              : HTTP_LEAVE);
    }
}

void agent_force_leave(struct http_api *api, struct http_exchange *x)
{
    const struct http_operations *operations = &api->operations;

    if (!permit(api, x, PERMIT_OPERATOR, "", PERMIT_WRITE) ||
        is_missing(x, operations->force_leave != NULL)) {
        return;
    }
    bool prune = target_parameter(&x->target, "prune") != NULL;
    int err = operations->force_leave(operations->context, x->argument,
                                      prune ? HTTP_PRUNE : HTTP_KEEP);
    if (err == RC_OK) {
        exchange_done(x);
    } else if (err == RC_ENOTFOUND) {
        exchange_error(x, 500, "agent: No node found with name '%s'", x->argument);
    } else {
        exchange_error(x, 500, "agent: %s", rc_strerror(err));
    }
}

enum { RELOAD_TEXT_MAX = 1024 };

void agent_reload(struct http_api *api, struct http_exchange *x)
{
    const struct http_operations *operations = &api->operations;
    char text[RELOAD_TEXT_MAX] = "";

    if (!visible_self(api, x, PERMIT_AGENT, PERMIT_WRITE) ||
        is_missing(x, operations->reload != NULL)) {
        return;
    }
    int err = operations->reload(operations->context, text, sizeof text);
    if (err == RC_OK) {
        exchange_done(x);
    } else {
        exchange_error(x, 500, "%s", text[0] != '\0' ? text : rc_strerror(err));
    }
}

void agent_maintenance(struct http_api *api, struct http_exchange *x)
{
    enum local_switch enable = LOCAL_OFF;

    if (visible_self(api, x, PERMIT_NODE, PERMIT_WRITE) &&
        request_enable(x, &enable) == RC_OK && request_may_drain(api, x, NULL, enable)) {
        request_written(api, x,
                        local_node_maintenance(api->local, enable,
                                               target_parameter(&x->target, "reason"),
                                               request_now(api)));
    }
}

void agent_monitor(struct http_api *api, struct http_exchange *x)
{
    const char *word = target_parameter(&x->target, "loglevel");
    enum rc_log_level level = RC_LOG_INFO;

    if (!permit(api, x, PERMIT_OPERATOR, "", PERMIT_READ)) {
        return;
    }
    if (word != NULL && word[0] != '\0' && rc_log_level_parse(word, &level) != RC_OK) {
        exchange_error(x, 400, "Bad request: Unknown log level: %s", word);
        return;
    }
    x->status = 200;
    x->content_type = "text/plain; charset=utf-8";
    x->stream_level = (int)level;
    x->outcome = EXCHANGE_STREAMING;
}
