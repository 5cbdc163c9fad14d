/* ui_registrations.c - where the services of this agent come from: a configuration file, which
 * brings them back, or its API. Consul's agent/services has no place for that. */
#include "agent/catalog/definition.h"
#include "agent/http/endpoints.h"
#include "agent/http/permit.h"
#include "agent/local/local.h"

void ui_registrations(struct http_api *api, struct http_exchange *x)
{
    struct local_service service;
    size_t position = 0;

    if (!query_begin(api, x)) {
        return;
    }
    struct rc_json json = exchange_json(x);
    rc_json_array(&json);
    while (local_next_service(api->local, &position, &service)) {
        if (!permit_shows(api, x, PERMIT_SERVICE, service.definition->name)) {
            continue;
        }
        rc_json_object(&json);
        rc_json_put_string(&json, "ID", service.id);
        rc_json_put_string(&json, "Service", service.definition->name);
        rc_json_put_string(&json, "Origin",
                           service.origin == LOCAL_FROM_CONFIG ? "config" : "api");
        rc_json_object_end(&json);
    }
    rc_json_array_end(&json);
    exchange_json_end(x);
}
