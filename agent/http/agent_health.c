#include <stdio.h>
#include <string.h>

#include "agent/catalog/definition.h"
#include "agent/http/endpoints.h"
#include "agent/http/render.h"
#include "agent/http/visible.h"
#include "base/text.h"

static const unsigned codes[LOCAL_HEALTH_COUNT] = {
    [LOCAL_HEALTH_PASSING] = 200,
    [LOCAL_HEALTH_WARNING] = 429,
    [LOCAL_HEALTH_CRITICAL] = 503,
    [LOCAL_HEALTH_MAINTENANCE] = 503,
};

static bool wants_text(const struct http_exchange *x)
{
    const char *format = target_parameter(&x->target, "format");

    return (format != NULL && strcmp(format, "text") == 0) ||
           (x->request.accept != NULL && strcmp(x->request.accept, "text/plain") == 0);
}

static void answer_text(struct http_exchange *x, unsigned status, const char *word)
{
    rc_buffer_clear(&x->out);
    rc_buffer_text(&x->out, word);
    x->status = status;
    x->content_type = "text/plain";
}

static void put_service(struct http_api *api, struct rc_json *json,
                        const struct local_service *service)
{
    struct local_check check;
    size_t position = 0;

    rc_json_object(json);
    rc_json_put_string(json, "AggregatedStatus",
                       local_health_name(local_service_health(api->local, service->id)));
    rc_json_key(json, "Service");
    render_local_service(json, service, api->facts.datacenter, RENDER_WITHOUT_HASH);
    rc_json_key(json, "Checks");
    rc_json_array(json);
    while (local_next_check(api->local, &position, &check)) {
        bool of_node = check.service_id[0] == '\0';
        if (of_node || strcmp(check.service_id, service->id) == 0) {
            render_local_check(json, &check, of_node ? NULL : service,
                               api->facts.node_name, request_flaps(api, check.id));
        }
    }
    rc_json_array_end(json);
    rc_json_object_end(json);
}

static void answer_unknown_id(struct http_exchange *x)
{
    char reason[300];

    (void)snprintf(reason, sizeof reason, "ServiceId %.255s not found", x->argument);
    exchange_header(x, "X-Consul-Reason", reason);
    if (wants_text(x)) {
        answer_text(x, 404, reason);
        return;
    }
    struct rc_json json = exchange_json(x);
    rc_json_object(&json);
    rc_json_put_string(&json, "AggregatedStatus", "critical");
    rc_json_key(&json, "Service");
    rc_json_null(&json);
    rc_json_key(&json, "Checks");
    rc_json_null(&json);
    rc_json_object_end(&json);
    exchange_json_end(x);
    x->status = 404;
}

void agent_health_by_id(struct http_api *api, struct http_exchange *x)
{
    struct local_service service;

    if (!query_begin(api, x)) {
        return;
    }
    if (x->argument[0] == '\0') {
        exchange_error(x, 400, "Bad request: Missing serviceID");
        return;
    }
    if (!local_find_service(api->local, x->argument, &service)) {
        answer_unknown_id(x);
        return;
    }
    if (!permit(api, x, PERMIT_SERVICE, service.definition->name, PERMIT_READ)) {
        return;
    }
    enum local_health health = local_service_health(api->local, service.id);
    exchange_header(x, "X-Consul-Reason", local_health_name(health));
    if (wants_text(x)) {
        answer_text(x, codes[health], local_health_name(health));
        return;
    }
    struct rc_json json = exchange_json(x);
    put_service(api, &json, &service);
    exchange_json_end(x);
    x->status = codes[health];
}

/* The best that any instance of the name can offer is not asked for: Consul tells the worst,
 * with maintenance counting as critical when other instances are there. */
static enum local_health worst_of(struct http_api *api, const char *name, size_t *count)
{
    enum local_health worst = LOCAL_HEALTH_PASSING;
    struct local_service service;
    size_t position = 0;

    *count = 0;
    while (local_next_service(api->local, &position, &service)) {
        if (strcmp(service.definition->name, name) == 0) {
            enum local_health health = local_service_health(api->local, service.id);
            worst = health > worst ? health : worst;
            (*count)++;
        }
    }
    return worst == LOCAL_HEALTH_MAINTENANCE ? LOCAL_HEALTH_CRITICAL : worst;
}

static void put_name(struct http_api *api, struct http_exchange *x)
{
    struct local_service service;
    size_t position = 0;
    struct rc_json json = exchange_json(x);

    rc_json_array(&json);
    while (local_next_service(api->local, &position, &service)) {
        if (strcmp(service.definition->name, x->argument) == 0) {
            put_service(api, &json, &service);
        }
    }
    rc_json_array_end(&json);
    exchange_json_end(x);
}

void agent_health_by_name(struct http_api *api, struct http_exchange *x)
{
    size_t count = 0;

    if (!query_begin(api, x)) {
        return;
    }
    if (x->argument[0] == '\0') {
        exchange_error(x, 400, "Bad request: Missing service Name");
        return;
    }
    if (!permit(api, x, PERMIT_SERVICE, x->argument, PERMIT_READ)) {
        return;
    }
    enum local_health health = worst_of(api, x->argument, &count);
    unsigned status = codes[health];
    const char *word = local_health_name(health);
    if (count == 0) {
        status = 404;
        word = "ServiceName not found";
    }
    exchange_header(x, "X-Consul-Reason", word);
    if (wants_text(x)) {
        answer_text(x, status, word);
        return;
    }
    put_name(api, x);
    x->status = status;
}
