/* explain.c - see explain.h. */
#include "proxy/explain/explain.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "proxy/explain/explain_facts.h"
#include "proxy/http/forward.h"
#include "proxy/route/shape.h"

struct asked {
    char scheme[8];
    char host[300];
    unsigned port; /* 0 = not said */
    const char *path;
    char *bytes; /* the head; HTTP1_HEAD_MAX + 1 */
    size_t size;
    struct http1_request request;
    struct rc_address peer;
    char peer_text[RC_ADDRESS_TEXT_MAX];
    struct route_scratch *scratch;
    struct route_choice choice;
    char head[HTTP1_HEAD_MAX]; /* as an instance would get it */
};

/* --- the question --- */

static int wrong(char why[256], const char *format, const char *what)
{
    (void)snprintf(why, 256, "%s: \"%.150s\"", format, what);
    rc_text_to_line(why, 256);
    return RC_EMALFORMED;
}

static int read_url(const char *url, struct asked *asked, char why[256])
{
    const char *rest = strstr(url, "://");
    (void)rc_text_put(asked->scheme, sizeof asked->scheme, "http");
    if (rest != NULL) {
        if (!rc_text_starts_with(url, "http://") &&
            !rc_text_starts_with(url, "https://")) {
            return wrong(why, "neither http:// nor https://", url);
        }
        (void)rc_text_put(asked->scheme, sizeof asked->scheme,
                          url[4] == 's' ? "https" : "http");
        url = rest + 3;
    }
    size_t host = strcspn(url, "/?");
    if (host == 0 || host >= sizeof asked->host) {
        return wrong(why, "no host in it", url);
    }
    memcpy(asked->host, url, host);
    asked->host[host] = '\0';
    asked->path = url + host;
    struct rc_span name = route_name(rc_span_of(asked->host));
    const char *colon = name.size < host ? strchr(asked->host + name.size, ':') : NULL;
    if (colon != NULL) {
        uint64_t port = 0;
        if (rc_text_to_u64(colon + 1, 65535, &port) != RC_OK || port == 0) {
            return wrong(why, "no port", colon + 1);
        }
        asked->port = (unsigned)port;
    }
    return RC_OK;
}

static int write_head(const struct explain_question *question, struct asked *asked,
                      char why[256])
{
    bool host = true;
    struct rc_buffer head = {0};

    for (size_t i = 0; i < EXPLAIN_FIELDS_MAX && question->fields[i] != NULL; i++) {
        host = host && strncasecmp(question->fields[i], "host:", 5) != 0;
    }
    rc_buffer_format(&head, "%s %s%s HTTP/1.1\r\n",
                     question->method != NULL ? question->method : "GET",
                     asked->path[0] == '/' ? "" : "/", asked->path);
    if (host) {
        rc_buffer_format(&head, "Host: %s\r\n", asked->host);
    }
    for (size_t i = 0; i < EXPLAIN_FIELDS_MAX && question->fields[i] != NULL; i++) {
        rc_buffer_format(&head, "%s\r\n", question->fields[i]);
    }
    rc_buffer_text(&head, "\r\n");
    asked->size = head.size;
    asked->bytes = rc_text_copy(rc_buffer_string(&head));
    rc_buffer_fini(&head);
    if (asked->bytes == NULL) {
        return RC_ENOMEM;
    }
    return asked->size <= HTTP1_HEAD_MAX ? RC_OK : wrong(why, "too large a head", "");
}

static int read_question(const struct explain_question *question, struct asked *asked,
                         char why[256])
{
    const char *source = question->source != NULL ? question->source : "127.0.0.1";
    int err = read_url(question->url, asked, why);
    if (err == RC_OK && rc_address_parse_ip(source, 1, &asked->peer) != RC_OK) {
        err = wrong(why, "no IP address", source);
    }
    if (err != RC_OK) {
        return err;
    }
    rc_address_format_ip(&asked->peer, asked->peer_text);
    asked->scratch = route_scratch_create();
    return asked->scratch != NULL ? write_head(question, asked, why) : RC_ENOMEM;
}

/* --- the listener --- */

/* The one whose port the URL names; else the first for HTTP. */
static const struct config_listener *find_listener(const struct config *config,
                                                   const struct asked *asked)
{
    unsigned port = asked->port;
    const struct config_listener *first = NULL;
    if (port == 0) {
        port = rc_text_equals(asked->scheme, "https") ? 443 : 80;
    }
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];
        if (listener->mode != CONFIG_HTTP) {
            continue;
        }
        if (listener->address.port == port) {
            return listener;
        }
        first = first == NULL ? listener : first;
    }
    return asked->port == 0 ? first : NULL;
}

static void tell_listener(struct explanation *e, const struct config_listener *listener,
                          const struct asked *asked)
{
    char text[RC_ADDRESS_TEXT_MAX];
    unsigned usual = rc_text_equals(asked->scheme, "https") ? 443 : 80;
    rc_address_format(&listener->address, text);
    explain_put(e, "listener", "http %s (line %u)%s", text, listener->line,
                asked->port == 0 && listener->address.port != usual
                    ? ": the first for HTTP, as none has the usual port"
                    : "");
}

/* --- the choice --- */

struct told {
    struct explanation *e;
};

static void describe_route(const struct config_route *route, struct rc_buffer *out)
{
    rc_buffer_text(out, "route ");
    config_print_match(route, out);
    rc_buffer_format(out, " (line %u)", route->line);
}

static void on_missed(void *context, const struct config_route *route,
                      enum route_miss miss, const struct config_condition *condition)
{
    struct told *told = context;
    struct rc_buffer line = {0};
    describe_route(route, &line);
    switch (miss) {
    case ROUTE_MISS_PATH:
        rc_buffer_text(&line, ": the path is another one");
        break;
    case ROUTE_MISS_GAVE_UP:
        rc_buffer_text(&line,
                       ": the expression took too many steps, so it does not match");
        break;
    case ROUTE_MISS_CONDITION:
        rc_buffer_text(&line, ": the path fits, but this does not hold: ");
        config_print_condition(condition, &line);
        break;
    }
    explain_add(told->e, "passed_over", "%s", rc_buffer_string(&line));
    rc_buffer_fini(&line);
}

static const char *host_kind(const struct config_host *host)
{
    if (host->name[0] != '*') {
        return "by its name";
    }
    return host->name_size == 1 ? "no other host fits" : "the longest that it is below";
}

static void tell_path(struct explanation *e, const struct route_choice *choice)
{
    if (choice->respelled) {
        explain_put(e, "path", "%.*s: its normal form, which is what goes on",
                    (int)choice->path.size, choice->path.at);
    }
    bool same = choice->lax.size == choice->path.size &&
                memcmp(choice->lax.at, choice->path.at, choice->lax.size) == 0;
    if (choice->lax.size > 0 && !same) {
        explain_put(e, "read_carelessly", "%.*s%s", (int)choice->lax.size, choice->lax.at,
                    choice->other == choice->route
                        ? ": the same route takes it"
                        : ": another route, or none, would take it");
    }
}

static enum explain_end refuse(struct explanation *e, unsigned status, const char *why)
{
    explain_put(e, "answer", "%u %s", status, why);
    return EXPLAIN_REFUSED;
}

static enum explain_end
choose(struct explanation *e, const struct config_listener *listener, struct asked *asked)
{
    struct told told = {e};
    struct route_watch watch = {&told, on_missed};
    struct route_request request = {asked->bytes, &asked->request, &asked->peer};
    struct rc_buffer line = {0};

    struct rc_span name = http1_text(asked->bytes, asked->request.host);
    const struct config_host *host = route_host(listener, route_name(name));
    if (host != NULL) {
        explain_put(e, "host", "%s: %s", host->name, host_kind(host));
    }
    enum route_verdict verdict =
        route_find(listener, &request, asked->scratch, &watch, &asked->choice);
    const struct route_choice *choice = &asked->choice;
    if (verdict != ROUTE_BAD_PATH && verdict != ROUTE_NO_HOST) {
        tell_path(e, choice);
    }
    if (verdict != ROUTE_FOUND) {
        bool bad = verdict == ROUTE_BAD_PATH || verdict == ROUTE_AMBIGUOUS;
        return refuse(e, bad ? 400 : 404, route_verdict_text(choice));
    }
    describe_route(choice->route, &line);
    explain_put(e, "route", "%s, called %s: %s", rc_buffer_string(&line),
                choice->route->label, config_match_name(choice->route->match));
    rc_buffer_fini(&line);
    for (size_t i = 0; i < choice->route->condition_count; i++) {
        struct rc_buffer held = {0};
        config_print_condition(&choice->route->conditions[i], &held);
        explain_add(e, "holds", "%s", rc_buffer_string(&held));
        rc_buffer_fini(&held);
    }
    return EXPLAIN_SERVED;
}

/* --- what becomes of it --- */

static void tell_edits(struct explanation *e, const struct config_edits *edits,
                       const struct template_values *values, const char *name)
{
    static const char *const kinds[] = {"set", "add", "remove"};
    char space[4096];
    for (size_t i = 0; i < edits->count; i++) {
        const struct config_edit *edit = &edits->items[i];
        struct rc_writer out = rc_writer_over(space, sizeof space);
        if (edit->kind != CONFIG_EDIT_REMOVE) {
            template_write(&edit->value, values, &out);
        }
        explain_add(e, name, "%s %s%s%.*s", kinds[edit->kind], edit->name,
                    edit->kind == CONFIG_EDIT_REMOVE ? "" : ": ",
                    (int)rc_writer_size(&out), space);
    }
}

static void tell_limits(struct explanation *e, const struct config_listener *listener,
                        const struct config_route *route)
{
    char connect[32];
    char response[32];
    char body[32];
    rc_text_from_duration_ns((uint64_t)route->connect_timeout_ms * 1000000, connect, 32);
    rc_text_from_duration_ns((uint64_t)route->response_timeout_ms * 1000000, response,
                             32);
    rc_text_from_duration_ns((uint64_t)route->body_timeout_ms * 1000000, body, 32);
    explain_add(e, "limits", "connect_timeout %s, response_timeout %s, body_timeout %s",
                connect, response, body);
    explain_add(e, "limits", "retry attempts %u%s", route->retry_attempts,
                route->retry_by_key ? ", by Idempotency-Key too" : "");
    if (route->hedge_ms > 0) {
        explain_add(e, "limits", "hedge: another instance is asked after %u ms",
                    route->hedge_ms);
    }
    if (route->body_limit_bytes > 0) {
        explain_add(e, "limits", "body_limit %llu bytes",
                    (unsigned long long)route->body_limit_bytes);
    }
    explain_add(e, "limits", "max_connections %u of the listener",
                listener->max_connections);
}

/* The head as the instance would get it, line by line. */
static enum explain_end tell_head(struct explanation *e,
                                  const struct config_listener *listener,
                                  struct asked *asked,
                                  const struct template_values *values)
{
    const struct config_route *route = asked->choice.route;
    char *head = asked->head;
    struct rc_writer out = rc_writer_over(head, sizeof asked->head);
    struct forward_request from = {
        .bytes = asked->bytes,
        .request = &asked->request,
        .peer = rc_span_of(asked->peer_text),
        .port = rc_span_of(listener->port_text),
        .scheme = rc_span_of(asked->scheme),
        .request_id = rc_span_of("(made for each request)"),
        .trust = config_trusts(listener, &asked->peer) ? FORWARD_APPEND : FORWARD_REPLACE,
        .upgrade = route->upgrade_websocket && forward_is_websocket(&asked->request)
                       ? FORWARD_WEBSOCKET
                       : FORWARD_PLAIN,
        .edits = route->request.count > 0 ? &route->request : NULL,
        .values = values,
        .via = route->via,
        .forwarded = route->forwarded,
    };
    if (shape_target(&asked->choice, values, asked->scratch, &from.target) != RC_OK) {
        return refuse(e, 400, "the rewritten path is none, or too long");
    }
    if (forward_request(&from, &out) != RC_OK) {
        return refuse(e, 431, "the head is too large");
    }
    size_t size = rc_writer_size(&out);
    for (size_t at = 0; at + 2 < size;) {
        const char *end = memmem(head + at, size - at, "\r\n", 2);
        size_t line = (size_t)(end - (head + at));
        explain_add(e, "sends", "%.*s", (int)line, head + at);
        at += line + 2;
    }
    return EXPLAIN_SERVED;
}

static enum explain_end tell_pool(struct explanation *e, const struct config *config,
                                  const struct asked *asked)
{
    const struct route_choice *choice = &asked->choice;
    char service[64] = "";

    e->pool = &config->pools[choice->route->pool];
    (void)rc_text_put(e->pool_name, sizeof e->pool_name, e->pool->name);
    if (choice->route->action == CONFIG_TO_SERVICE) {
        if (route_service(choice, service, sizeof service) != RC_OK) {
            e->pool = NULL;
            return refuse(e, 404, "no service can have this name");
        }
        (void)snprintf(e->pool_name, sizeof e->pool_name, "%s/%s", e->pool->name,
                       service);
        explain_put(e, "service", "%s%s%s: its pool is made when it is asked for",
                    service, e->pool->tag[0] != '\0' ? " with tag " : "", e->pool->tag);
    }
    explain_put(e, "pool", "%s", e->pool_name);
    affinity_take(e->pool, asked->bytes, &asked->request, &asked->peer, &e->affinity);
    return EXPLAIN_SERVED;
}

static void tell_maintenance(struct explanation *e,
                             const struct config_maintenance *maintenance)
{
    if (maintenance->mode == CONFIG_MAINTENANCE_ON) {
        explain_put(e, "maintenance", "on: 503 for everybody");
    } else if (maintenance->mode == CONFIG_MAINTENANCE_FILE) {
        explain_put(e, "maintenance", "503 while %s is there", maintenance->file);
    }
}

static enum explain_end act(struct explanation *e, const struct config *config,
                            const struct config_listener *listener, struct asked *asked)
{
    const struct config_route *route = asked->choice.route;
    struct template_values values;
    struct rc_span location;
    struct shape_facts facts = {rc_span_of(asked->scheme), rc_span_of(asked->peer_text),
                                rc_span_of(listener->port_text),
                                rc_span_of("(made for each request)")};

    shape_values(&asked->choice, &facts, &values);
    tell_maintenance(e, &route->maintenance);
    tell_edits(e, &route->response, &values, "response_fields");
    switch (route->action) {
    case CONFIG_REDIRECT:
        if (shape_location(&asked->choice, &values, asked->scratch, &location) != RC_OK) {
            return refuse(e, 414, "where it redirects to is too long an address");
        }
        explain_put(e, "answer", "%u redirect to %.*s", route->status, (int)location.size,
                    location.at);
        return EXPLAIN_SERVED;
    case CONFIG_ANSWER:
        explain_put(e, "answer", "%u %s %zu bytes", route->status,
                    route->content_type != NULL ? route->content_type : "without body",
                    route->text != NULL ? strlen(route->text) : 0);
        return EXPLAIN_SERVED;
    case CONFIG_TO_POOL:
    case CONFIG_TO_SERVICE:
    case CONFIG_ACTION_COUNT:
        break;
    }
    enum explain_end end = tell_pool(e, config, asked);
    if (end == EXPLAIN_SERVED) {
        end = tell_head(e, listener, asked, &values);
    }
    tell_edits(e, &route->request, &values, "request_fields");
    tell_limits(e, listener, route);
    return end;
}

static enum explain_end answer(struct explanation *e, const struct config *config,
                               struct asked *asked, char why[256])
{
    const struct config_listener *listener = find_listener(config, asked);
    if (listener == NULL) {
        (void)snprintf(why, 256, "no http listener has port %u", asked->port);
        return EXPLAIN_UNASKED;
    }
    tell_listener(e, listener, asked);
    enum http1_fault fault =
        http1_request_parse(asked->bytes, asked->size, &asked->request);
    if (fault != HTTP1_SOUND) {
        return refuse(e, http1_fault_status(fault), http1_fault_text(fault));
    }
    enum explain_end end = choose(e, listener, asked);
    return end == EXPLAIN_SERVED ? act(e, config, listener, asked) : end;
}

enum explain_end explain_request(const struct config *config,
                                 const struct explain_question *question,
                                 struct explanation **out, char why[256])
{
    struct asked *asked = calloc(1, sizeof *asked);
    struct explanation *e = calloc(1, sizeof *e);
    enum explain_end end = EXPLAIN_UNASKED;

    (void)rc_text_put(why, 256, "out of memory");
    if (asked != NULL && e != NULL && (e->facts = json_object()) != NULL &&
        read_question(question, asked, why) == RC_OK) {
        end = answer(e, config, asked, why);
    }
    if (asked != NULL) {
        route_scratch_destroy(asked->scratch);
        free(asked->bytes);
    }
    free(asked);
    if (end == EXPLAIN_UNASKED) {
        explain_destroy(e);
        return end;
    }
    *out = e;
    return end;
}

const char *explain_pool(const struct explanation *explanation)
{
    return explanation->pool != NULL ? explanation->pool_name : NULL;
}
