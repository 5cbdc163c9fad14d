/* course_uv.c - what a request's route makes of it: the way, and the answers that need none. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "proxy/http/http_state_uv.h"
#include "proxy/http/maintenance_uv.h"
#include "proxy/route/shape.h"

enum { LOOP_MAX = 8 }; /* passages through proxies of our name */

struct rc_span exchange_scheme(const struct exchange *x)
{
    return rc_span_of(x->client->secure == CLIENT_PLAIN ? "http" : "https");
}

static struct shape_facts facts_of(const struct exchange *x)
{
    return (struct shape_facts){
        .scheme = exchange_scheme(x),
        .client = rc_span_of(x->client->peer_text),
        .port = rc_span_of(x->listener->port_text),
        .request_id = rc_span_of(x->names.request_id),
    };
}

static void values_of(const struct exchange *x, const struct route_choice *choice,
                      struct template_values *out)
{
    struct shape_facts facts = facts_of(x);
    shape_values(choice, &facts, out);
}

/* When the answer comes the request's head is gone: what the log keeps of it must do. */
void course_response_values(const struct exchange *x, struct template_values *out)
{
    struct rc_span path = rc_span_of(x->names.path);
    const char *query = path.size > 0 ? memchr(path.at, '?', path.size) : NULL;
    size_t size = query == NULL ? path.size : (size_t)(query - path.at);
    struct route_choice choice = {
        .name = route_name(rc_span_of(x->names.host)),
        .path = {path.at, size},
        .query = {path.at + size, path.size - size},
    };
    values_of(x, &choice, out);
}

/* --- the choice --- */

static unsigned refuse_choice(struct exchange *x, const struct route_choice *choice,
                              const char **why)
{
    *why = route_verdict_text(choice);
    switch (choice->verdict) {
    case ROUTE_BAD_PATH:
    case ROUTE_AMBIGUOUS:
        answer_because(x, REFUSAL_BAD_REQUEST);
        return 400;
    case ROUTE_NO_HOST:
        answer_because(x, REFUSAL_NO_ROUTE);
        /* Connections to one certificate are shared by browsers: another may be right. */
        return http_socket_is_plain(&x->client->socket) ? 404 : 421;
    case ROUTE_NO_PATH:
        answer_because(x, REFUSAL_NO_ROUTE);
        return 404;
    case ROUTE_FOUND:
    case ROUTE_VERDICT_COUNT:
        break;
    }
    assert(false && "no refusal");
    return 404;
}

static void take_pool(struct exchange *x, const char *bytes,
                      const struct http1_request *request)
{
    x->pool = &x->snapshot->config->pools[x->route->pool];
    x->has_key =
        x->route->retry_by_key && (request->head.says & HTTP1_SAYS_IDEMPOTENCY_KEY) != 0;
    if (x->pool->balance == CONFIG_HASH || x->pool->sticky[0] != '\0') {
        affinity_take(x->pool, bytes, request, &x->client->peer, &x->affinity);
    }
}

unsigned course_choose(struct exchange *x, const char *bytes,
                       const struct http1_request *request, struct route_choice *choice,
                       const char **why)
{
    struct route_request asked = {bytes, request, &x->client->peer};
    struct route_scratch *scratch = x->http->routes;
    uint64_t gave_up = scratch->gave_up;

    enum route_verdict verdict = route_find(x->listener, &asked, scratch, NULL, choice);
    if (scratch->gave_up != gave_up) {
        rc_metric_add(x->http->metrics.patterns_given_up, scratch->gave_up - gave_up);
    }
    if (verdict != ROUTE_FOUND) {
        return refuse_choice(x, choice, why);
    }
    x->route = choice->route;
    x->lane = worker_route_lane(x->client->listener, x->route->number);
    if (x->route->action != CONFIG_TO_POOL && x->route->action != CONFIG_TO_SERVICE) {
        return 0;
    }
    take_pool(x, bytes, request);
    if (x->route->action == CONFIG_TO_POOL) {
        return 0;
    }
    if (route_service(choice, x->service, sizeof x->service) != RC_OK) {
        x->service[0] = '\0';
        *why = "no service can have this name";
        answer_because(x, REFUSAL_NO_ROUTE);
        return 404;
    }
    return 0;
}

bool course_has_no_service(const struct exchange *x)
{
    struct worker *worker = x->http->worker;
    if (x->service[0] == '\0') {
        return false;
    }
    int pattern = worker_find_pool(worker, x->pool->name);
    int derived =
        pattern < 0 ? -1 : worker_find_derived(worker, (size_t)pattern, x->service);
    if (derived < 0) {
        return false;
    }
    const struct snapshot_pool *pool = worker_pool(worker, (size_t)derived);
    return pool->known && pool->count == 0;
}

/* --- what goes on --- */

/* Has it been here too often? Lines of Via, each a list. */
static bool goes_in_circles(const char *bytes, const struct http1_head *head)
{
    size_t found = 0;
    for (size_t i = 0; i < head->count; i++) {
        if (head->fields[i].known != HTTP1_VIA) {
            continue;
        }
        struct rc_span value = http1_text(bytes, head->fields[i].value);
        const char *at = value.at;
        size_t left = value.size;
        const char *hit = NULL;
        while (left > 0 && (hit = memmem(at, left, FORWARD_VIA_NAME,
                                         sizeof FORWARD_VIA_NAME - 1)) != NULL) {
            found++;
            left -= (size_t)(hit - at) + sizeof FORWARD_VIA_NAME - 1;
            at = hit + sizeof FORWARD_VIA_NAME - 1;
        }
    }
    return found >= LOOP_MAX;
}

unsigned course_shape(struct exchange *x, const char *bytes,
                      const struct http1_request *request,
                      const struct route_choice *choice, struct course_shape *out,
                      const char **why)
{
    if (!x->route->touches && !choice->respelled) {
        return 0;
    }
    if (x->route->via && goes_in_circles(bytes, &request->head)) {
        *why = "this request goes in circles";
        return 508;
    }
    values_of(x, choice, &out->values);
    out->edits = x->route->request.count > 0 ? &x->route->request : NULL;
    switch (shape_target(choice, &out->values, x->http->routes, &out->target)) {
    case RC_OK:
        return 0;
    case RC_ETOOBIG:
        *why = "the rewritten path is too long";
        return 414;
    default:
        *why = "the rewritten path is none";
        return 400;
    }
}

/* --- answers of the route itself --- */

static void answer_maintenance(const struct exchange *x,
                               const struct maintenance_page *page,
                               struct forward_answer *out)
{
    out->status = 503;
    out->content_type = page->content_type;
    out->body = (struct rc_span){page->text, page->size};
    out->retry_after_s = (x->route->maintenance.retry_after_ms + 999) / 1000;
}

static unsigned answer_redirect(const struct exchange *x,
                                const struct route_choice *choice,
                                struct forward_answer *out, const char **why)
{
    struct template_values values;

    values_of(x, choice, &values);
    if (shape_location(choice, &values, x->http->routes, &out->location) != RC_OK) {
        *why = "where it redirects to is too long an address";
        return 414;
    }
    out->status = x->route->status;
    out->body = rc_span_of("");
    return 0;
}

unsigned course_answer(struct exchange *x, const struct route_choice *choice,
                       struct forward_answer *out, const char **why)
{
    const struct config_route *route = x->route;
    struct maintenance_page page;

    if (route->maintenance.mode != CONFIG_MAINTENANCE_OFF &&
        maintenance_is_on(x->http->maintenance, &route->maintenance, http_now_ms(x->http),
                          &page)) {
        answer_because(x, REFUSAL_MAINTENANCE);
        answer_maintenance(x, &page, out);
        return 0;
    }
    if (route->action == CONFIG_REDIRECT) {
        return answer_redirect(x, choice, out, why);
    }
    if (route->action == CONFIG_ANSWER) {
        out->status = route->status;
        out->content_type = route->content_type;
        out->body = rc_span_of(route->text);
    }
    return 0;
}
