#include <string.h>

#include "agent/catalog/definition.h"
#include "agent/http/endpoints.h"
#include "agent/http/filter.h"
#include "agent/http/render.h"
#include "agent/http/selectors.h"
#include "agent/http/visible.h"
#include "base/err.h"

void agent_services(struct http_api *api, struct http_exchange *x)
{
    struct filter *filter = NULL;
    struct local_service service;
    size_t position = 0;

    if (!query_begin(api, x) || !query_filter(x, &selectors_local_service, &filter)) {
        return;
    }
    struct rc_json json = exchange_json(x);
    rc_json_object(&json);
    while (local_next_service(api->local, &position, &service)) {
        struct selected_local_service selected = {&service, api->facts.datacenter};
        if (filter_accepts(filter, &selected) &&
            permit_shows(api, x, PERMIT_SERVICE, service.definition->name)) {
            rc_json_key(&json, service.id);
            render_local_service(&json, &service, api->facts.datacenter,
                                 RENDER_WITHOUT_HASH);
        }
    }
    rc_json_object_end(&json);
    exchange_json_end(x);
    filter_destroy(filter);
}

/* Blocks while the service is as the client's ?hash= says. */
void agent_service(struct http_api *api, struct http_exchange *x)
{
    const char *known = target_parameter(&x->target, "hash");
    struct local_service service;
    char hash[RENDER_HASH_SIZE];

    if (!query_begin(api, x)) {
        return;
    }
    if (x->argument[0] == '\0') {
        exchange_error(x, 400, "Missing service ID");
        return;
    }
    if (!local_find_service(api->local, x->argument, &service)) {
        exchange_error(x, 404, "unknown service ID: %s", x->argument);
        return;
    }
    if (!permit(api, x, PERMIT_SERVICE, service.definition->name, PERMIT_READ)) {
        return;
    }
    render_hash(&service, hash);
    if (known != NULL && strcmp(known, hash) == 0 && !x->expired) {
        query_wait(api, x, CATALOG_TOPIC_NODE, api->facts.node_name);
        return;
    }
    exchange_header(x, "X-Consul-Contenthash", hash);
    struct rc_json json = exchange_json(x);
    render_local_service(&json, &service, api->facts.datacenter, RENDER_WITH_HASH);
    exchange_json_end(x);
}

static enum local_checks mode_of(const struct http_exchange *x)
{
    const char *replace = target_parameter(&x->target, "replace-existing-checks");

    return replace != NULL && (replace[0] == '\0' || strcmp(replace, "true") == 0)
               ? LOCAL_REPLACE_CHECKS
               : LOCAL_KEEP_CHECKS;
}

void agent_service_register(struct http_api *api, struct http_exchange *x)
{
    struct service_definition definition = {0};
    struct definition_fault fault = {0};
    json_t *body = request_body(x);

    if (body == NULL) {
        return;
    }
    int err = service_definition_parse(body, DEFINITION_API, &definition, &fault);
    if (err == RC_ENOMEM) {
        exchange_error(x, 500, "%s", rc_strerror(err));
    } else if (err != RC_OK) {
        exchange_error(x, 400, "%s", fault.text);
    } else {
        if (visible_may_write_service(api, x, definition.id, definition.name)) {
            err = local_register_service(api->local, &definition, mode_of(x),
                                         request_now(api));
            request_written(api, x, err);
        }
        service_definition_fini(&definition);
    }
    json_decref(body);
}

void agent_service_deregister(struct http_api *api, struct http_exchange *x)
{
    if (!visible_may_write_service(api, x, x->argument, NULL)) {
        return;
    }
    int err = local_deregister_service(api->local, x->argument, request_now(api));

    /* Consul 1.10 answers 200 to an unknown id; scripts rely on that. */
    request_written(api, x, err == RC_ENOTFOUND ? RC_OK : err);
}

/* python-consul before 1.0, and Patroni with it, asks by GET. No page in a browser can: those say
 * where they come from. */
void agent_service_deregister_by_get(struct http_api *api, struct http_exchange *x)
{
    if (x->is_local && x->request.origin == NULL && x->request.fetch_site == NULL) {
        agent_service_deregister(api, x);
        return;
    }
    exchange_header(x, "Allow", "OPTIONS,PUT");
    exchange_error(x, 405, "method GET not allowed");
}

void agent_service_maintenance(struct http_api *api, struct http_exchange *x)
{
    enum local_switch enable = LOCAL_OFF;

    if (x->argument[0] == '\0') {
        exchange_error(x, 400, "Missing service ID");
        return;
    }
    if (visible_may_write_service(api, x, x->argument, NULL) &&
        request_enable(x, &enable) == RC_OK &&
        request_may_drain(api, x, x->argument, enable)) {
        request_written(api, x,
                        local_service_maintenance(api->local, x->argument, enable,
                                                  target_parameter(&x->target, "reason"),
                                                  request_now(api)));
    }
}
