/* ui_events.c - what has changed in the pool lately, as this agent saw it. */
#include <string.h>

#include "agent/event/history.h"
#include "agent/http/endpoints.h"
#include "agent/http/permit.h"
#include "base/err.h"
#include "base/text.h"

/* What is asked for; a text that is NULL asks for all. */
struct wish {
    uint64_t since_ms; /* at or after, */
    uint64_t after;    /* ... and with a larger index */
    uint64_t limit;    /* the newest ones only */
    const char *node;
    const char *service;
    bool has_kind;
    enum history_kind kind;
};

static bool read_number(struct http_exchange *x, const char *name, uint64_t *out)
{
    const char *text = target_parameter(&x->target, name);

    if (text == NULL || text[0] == '\0' ||
        rc_text_to_u64(text, UINT64_MAX, out) == RC_OK) {
        return true;
    }
    exchange_error(x, 400, "Invalid %s \"%.64s\": a whole number is wanted", name, text);
    return false;
}

static const char *read_text(const struct http_exchange *x, const char *name)
{
    const char *text = target_parameter(&x->target, name);

    return text != NULL && text[0] != '\0' ? text : NULL;
}

static bool read_kind(struct http_exchange *x, struct wish *wish)
{
    const char *text = read_text(x, "kind");

    if (text == NULL) {
        return true;
    }
    wish->has_kind = history_kind_parse(text, &wish->kind) == RC_OK;
    if (!wish->has_kind) {
        exchange_error(x, 400,
                       "Invalid kind \"%.64s\": check, join, leave, failed, reap, "
                       "register, deregister, promotion, leader, maintenance or restart "
                       "is wanted",
                       text);
    }
    return wish->has_kind;
}

static bool read_wish(struct http_exchange *x, struct wish *out)
{
    *out = (struct wish){.limit = HISTORY_MAX,
                         .node = read_text(x, "node"),
                         .service = read_text(x, "service")};
    return read_number(x, "since", &out->since_ms) &&
           read_number(x, "after", &out->after) && read_number(x, "limit", &out->limit) &&
           read_kind(x, out);
}

/* As the catalog: what is of a service needs the right to read both. */
static bool shows(struct http_api *api, struct http_exchange *x,
                  const struct history_event *event)
{
    return permit_shows(api, x, PERMIT_NODE, event->node) &&
           (event->service[0] == '\0' ||
            permit_shows(api, x, PERMIT_SERVICE, event->service));
}

static bool is_wanted(const struct wish *wish, const struct history_event *event)
{
    return event->at_ms >= wish->since_ms && event->index > wish->after &&
           (!wish->has_kind || event->kind == wish->kind) &&
           (wish->node == NULL || rc_text_equals_nocase(event->node, wish->node)) &&
           (wish->service == NULL ||
            rc_text_equals_nocase(event->service, wish->service));
}

/* How many are wanted and may be seen, and the index of the newest of them. */
static uint64_t look(struct http_api *api, struct http_exchange *x,
                     const struct wish *wish, uint64_t *newest)
{
    struct history_walk walk = {0};
    struct history_event event;
    uint64_t count = 0;

    *newest = 0;
    while (history_next(api->history, api->wall_ms, &walk, &event)) {
        if (is_wanted(wish, &event) && shows(api, x, &event)) {
            *newest = event.index;
            count++;
        }
    }
    return count;
}

static void put_event(struct rc_json *json, const struct history_event *event)
{
    rc_json_object(json);
    rc_json_put_u64(json, "Index", event->index);
    rc_json_put_u64(json, "AtMs", event->at_ms);
    rc_json_put_string(json, "Kind", history_kind_name(event->kind));
    rc_json_put_string(json, "Node", event->node);
    rc_json_put_string(json, "Service", event->service);
    rc_json_put_string(json, "ServiceID", event->service_id);
    rc_json_put_string(json, "Check", event->check);
    rc_json_put_string(json, "From", event->from);
    rc_json_put_string(json, "To", event->to);
    rc_json_put_string(json, "Text", event->text);
    rc_json_object_end(json);
}

static void put_events(struct http_api *api, struct http_exchange *x,
                       const struct wish *wish, uint64_t count)
{
    struct history_walk walk = {0};
    struct history_event event;
    uint64_t passed_over = count > wish->limit ? count - wish->limit : 0;
    struct rc_json json = exchange_json(x);

    rc_json_array(&json);
    while (history_next(api->history, api->wall_ms, &walk, &event)) {
        if (!is_wanted(wish, &event) || !shows(api, x, &event)) {
            continue;
        }
        if (passed_over > 0) {
            passed_over--;
        } else {
            put_event(&json, &event);
        }
    }
    rc_json_array_end(&json);
    exchange_json_end(x);
}

void ui_events(struct http_api *api, struct http_exchange *x)
{
    struct wish wish;
    uint64_t newest = 0;

    if (!query_begin(api, x) || !read_wish(x, &wish)) {
        return;
    }
    if (api->history == NULL) {
        exchange_error(x, 501, "This agent keeps no history");
        return;
    }
    uint64_t count = look(api, x, &wish, &newest);
    if (!x->expired && x->query.index != 0 && newest <= x->query.index) {
        query_wait_news(api, x, HTTP_NEWS_HISTORY);
        return;
    }
    query_headers(x, history_index(api->history));
    put_events(api, x, &wish, count);
}
