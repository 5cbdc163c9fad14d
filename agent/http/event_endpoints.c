#include <stdlib.h>
#include <string.h>

#include "agent/event/event_log.h"
#include "agent/event/user_event.h"
#include "agent/http/endpoints.h"
#include "agent/http/visible.h"
#include "base/err.h"
#include "base/text.h"

static const char *text_of(const struct http_exchange *x, const char *name)
{
    const char *value = target_parameter(&x->target, name);
    return value != NULL ? value : "";
}

static void put_payload(struct rc_json *json, const struct user_event *event)
{
    char text[4 * ((USER_EVENT_SIZE_MAX + 2) / 3) + 1];

    rc_json_key(json, "Payload");
    if (event->size == 0 || event->size > USER_EVENT_SIZE_MAX) {
        rc_json_null(json);
        return;
    }
    rc_text_to_base64(event->payload, event->size, text);
    rc_json_string(json, text);
}

static void put_event(struct rc_json *json, const struct user_event *event)
{
    rc_json_object(json);
    rc_json_put_string(json, "ID", event->id);
    rc_json_put_string(json, "Name", event->name);
    put_payload(json, event);
    rc_json_put_string(json, "NodeFilter", event->node_filter);
    rc_json_put_string(json, "ServiceFilter", event->service_filter);
    rc_json_put_string(json, "TagFilter", event->tag_filter);
    rc_json_put_u64(json, "Version", USER_EVENT_VERSION);
    rc_json_put_u64(json, "LTime", event->ltime);
    rc_json_object_end(json);
}

/* Gives it to the agent. The Lamport time is not told, as in Consul. */
static void fire(const struct http_api *api, struct http_exchange *x,
                 struct user_event *event)
{
    const struct http_operations *operations = &api->operations;

    int err = operations->fire(operations->context, event, event->id);
    if (err == RC_ETOOBIG) { /* Serf's words */
        exchange_error(x, 500,
                       "user event exceeds configured limit of %d bytes before encoding",
                       USER_EVENT_SIZE_MAX);
    } else if (err != RC_OK) {
        exchange_error(x, 500, "%s", rc_strerror(err));
    } else {
        struct rc_json json = exchange_json(x);
        put_event(&json, event);
        exchange_json_end(x);
    }
}

void event_fire(struct http_api *api, struct http_exchange *x)
{
    char fault[USER_EVENT_FAULT_MAX];
    struct user_event event = {
        .name = x->argument,
        .payload = x->body.bytes,
        .size = x->body.size,
        .node_filter = text_of(x, "node"),
        .service_filter = text_of(x, "service"),
        .tag_filter = text_of(x, "tag"),
    };

    if (event.name[0] == '\0') {
        exchange_error(x, 400, "Missing name");
    } else if (!query_begin(api, x) || /* ?dc= */
               !permit(api, x, PERMIT_EVENT, event.name, PERMIT_WRITE)) {
        return;
    } else if (user_event_check(&event, fault) != RC_OK) {
        exchange_error(x, 500, "%s", fault);
    } else if (api->operations.fire == NULL) {
        exchange_error(x, 501, "This agent was started without that operation");
    } else {
        fire(api, x, &event);
    }
}

static size_t count_of(const struct http_api *api)
{
    return api->events != NULL ? event_log_count(api->events) : 0;
}

static bool is_asked_for(const struct http_exchange *x, const struct user_event *event)
{
    const char *name = text_of(x, "name");
    return name[0] == '\0' || rc_text_equals(name, event->name);
}

/* Of the last event asked for; it has no order. 1, not 0, when there is none: clients would
 * not wait otherwise. */
static uint64_t index_of(const struct http_api *api, const struct http_exchange *x)
{
    for (size_t i = count_of(api); i-- > 0;) {
        const struct user_event *event = event_log_at(api->events, i);
        if (is_asked_for(x, event)) {
            return user_event_index(event->id);
        }
    }
    return 1;
}

void event_list(struct http_api *api, struct http_exchange *x)
{
    if (!query_begin(api, x)) {
        return;
    }
    uint64_t index = index_of(api, x);
    if (!x->expired && x->query.index != 0 && x->query.index == index) {
        query_wait_news(api, x, HTTP_NEWS_EVENT);
        return;
    }
    exchange_header_u64(x, "X-Consul-Index", index);
    struct rc_json json = exchange_json(x);
    rc_json_array(&json);
    for (size_t i = 0; i < count_of(api); i++) {
        const struct user_event *event = event_log_at(api->events, i);
        if (is_asked_for(x, event) && permit_shows(api, x, PERMIT_EVENT, event->name)) {
            put_event(&json, event);
        }
    }
    rc_json_array_end(&json);
    exchange_json_end(x);
}
