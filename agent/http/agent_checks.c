#include <string.h>

#include "agent/catalog/definition.h"
#include "agent/http/endpoints.h"
#include "agent/http/filter.h"
#include "agent/http/render.h"
#include "agent/http/selectors.h"
#include "agent/http/visible.h"
#include "base/err.h"
#include "base/text.h"

void agent_checks(struct http_api *api, struct http_exchange *x)
{
    struct filter *filter = NULL;
    struct local_check check;
    size_t position = 0;

    if (!query_begin(api, x) || !query_filter(x, &selectors_local_check, &filter)) {
        return;
    }
    struct rc_json json = exchange_json(x);
    rc_json_object(&json);
    while (local_next_check(api->local, &position, &check)) {
        struct local_service service;
        bool has_service = check.service_id[0] != '\0' &&
                           local_find_service(api->local, check.service_id, &service);
        struct selected_local_check selected = {&check, has_service ? &service : NULL,
                                                api->facts.node_name};
        if (filter_accepts(filter, &selected) && visible_local_check(api, x, &check)) {
            rc_json_key(&json, check.id);
            render_local_check(&json, &check, selected.service, selected.node,
                               request_flaps(api, check.id));
        }
    }
    rc_json_object_end(&json);
    exchange_json_end(x);
    filter_destroy(filter);
}

void agent_check_register(struct http_api *api, struct http_exchange *x)
{
    struct check_definition definition = {0};
    struct definition_fault fault = {0};
    json_t *body = request_body(x);

    if (body == NULL) {
        return;
    }
    int err = check_definition_parse(body, DEFINITION_API, &definition, &fault);
    if (err == RC_ENOMEM) {
        exchange_error(x, 500, "%s", rc_strerror(err));
    } else if (err != RC_OK) {
        exchange_error(x, 400, "%s", fault.text);
    } else {
        if (visible_may_add_check(api, x, definition.id, definition.service_id)) {
            err = local_register_check(api->local, &definition, request_now(api));
            /* Consul answers 500, not 404, for a service that does not exist. */
            request_written(api, x, err == RC_ENOTFOUND ? RC_ECONFLICT : err);
        }
        check_definition_fini(&definition);
    }
    json_decref(body);
}

void agent_check_deregister(struct http_api *api, struct http_exchange *x)
{
    if (!visible_may_write_check(api, x, x->argument)) {
        return;
    }
    int err = local_deregister_check(api->local, x->argument, request_now(api));

    request_written(api, x, err == RC_ENOTFOUND ? RC_OK : err); /* as for services */
}

static void set_ttl(struct http_api *api, struct http_exchange *x,
                    enum check_status status, const char *output)
{
    if (!visible_may_write_check(api, x, x->argument)) {
        return;
    }
    int err = local_update_ttl(api->local, x->argument, status, output, request_now(api));

    request_written(api, x, err == RC_ENOTFOUND ? RC_EUNSUPPORTED : err);
}

void agent_check_pass(struct http_api *api, struct http_exchange *x)
{
    set_ttl(api, x, CHECK_PASSING, target_parameter(&x->target, "note"));
}

void agent_check_warn(struct http_api *api, struct http_exchange *x)
{
    set_ttl(api, x, CHECK_WARNING, target_parameter(&x->target, "note"));
}

void agent_check_fail(struct http_api *api, struct http_exchange *x)
{
    set_ttl(api, x, CHECK_CRITICAL, target_parameter(&x->target, "note"));
}

/* The string under a key whatever its letter case; "" when it is missing. */
static const char *string_of(json_t *body, const char *wanted)
{
    const char *key = NULL;
    json_t *value = NULL;

    json_object_foreach(body, key, value)
    {
        if (rc_text_equals_nocase(key, wanted) && json_is_string(value)) {
            return json_string_value(value);
        }
    }
    return "";
}

void agent_check_update(struct http_api *api, struct http_exchange *x)
{
    enum check_status status = CHECK_CRITICAL;
    json_t *body = request_body(x);

    if (body == NULL) {
        return;
    }
    const char *word = string_of(body, "Status");
    if (check_status_parse(word, &status) != RC_OK) {
        exchange_error(x, 400, "Invalid check status: '%s'", word);
    } else {
        set_ttl(api, x, status, string_of(body, "Output"));
    }
    json_decref(body);
}
