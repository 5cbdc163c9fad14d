#include <string.h>

#include "agent/http/endpoints.h"
#include "agent/http/filter.h"
#include "agent/http/render.h"
#include "agent/http/selectors.h"
#include "agent/http/visible.h"
#include "base/text.h"

/* What every endpoint here begins with. False: answered already. */
static bool begin(struct http_api *api, struct http_exchange *x, const char *missing,
                  const struct filter_schema *schema, struct filter **filter)
{
    if (!query_begin(api, x)) {
        return false;
    }
    if (x->argument[0] == '\0') {
        exchange_error(x, 400, "%s", missing);
        return false;
    }
    return query_filter(x, schema, filter);
}

void health_node(struct http_api *api, struct http_exchange *x)
{
    struct filter *filter = NULL;

    if (!begin(api, x, "Missing node name", &selectors_check, &filter)) {
        return;
    }
    if (!query_must_wait(api, x, CATALOG_TOPIC_NODE, x->argument)) {
        const struct catalog_node *node = catalog_node_find(api->catalog, x->argument);
        query_headers(x, catalog_index(api->catalog, CATALOG_TOPIC_NODE, x->argument));
        struct rc_json json = exchange_json(x);
        rc_json_array(&json);
        for (size_t i = 0; node != NULL && i < node->check_count; i++) {
            if (filter_accepts(filter, node->checks[i]) &&
                visible_check(api, x, node->checks[i])) {
                render_check(&json, node->checks[i]);
            }
        }
        rc_json_array_end(&json);
        exchange_json_end(x);
    }
    filter_destroy(filter);
}

static void put_service_checks(struct rc_json *json, const struct filter *filter,
                               const struct catalog_service *service)
{
    for (size_t i = 0; i < service->check_count; i++) {
        if (filter_accepts(filter, service->checks[i])) {
            render_check(json, service->checks[i]);
        }
    }
}

void health_checks(struct http_api *api, struct http_exchange *x)
{
    struct filter *filter = NULL;

    if (!begin(api, x, "Missing service name", &selectors_check, &filter)) {
        return;
    }
    if (!query_must_wait(api, x, CATALOG_TOPIC_SERVICE, x->argument)) {
        const struct catalog_name *name = catalog_name_find(api->catalog, x->argument);
        query_headers(x, catalog_index(api->catalog, CATALOG_TOPIC_SERVICE, x->argument));
        struct rc_json json = exchange_json(x);
        rc_json_array(&json);
        for (size_t i = 0; name != NULL && i < name->instance_count; i++) {
            if (query_node_matches(x, name->instances[i]->node) &&
                visible_service(api, x, name->instances[i])) {
                put_service_checks(&json, filter, name->instances[i]);
            }
        }
        rc_json_array_end(&json);
        exchange_json_end(x);
    }
    filter_destroy(filter);
}

static bool state_matches(const char *state, const struct catalog_check *check)
{
    return strcmp(state, "any") == 0 ||
           strcmp(state, check_status_name(check->status)) == 0;
}

static void put_state(struct http_api *api, struct http_exchange *x,
                      const struct filter *filter)
{
    struct rc_json json = exchange_json(x);

    rc_json_array(&json);
    for (size_t n = 0; n < catalog_node_count(api->catalog); n++) {
        const struct catalog_node *node = catalog_node_at(api->catalog, n);
        if (!query_node_matches(x, node)) {
            continue;
        }
        for (size_t i = 0; i < node->check_count; i++) {
            if (state_matches(x->argument, node->checks[i]) &&
                filter_accepts(filter, node->checks[i]) &&
                visible_check(api, x, node->checks[i])) {
                render_check(&json, node->checks[i]);
            }
        }
    }
    rc_json_array_end(&json);
    exchange_json_end(x);
}

void health_state(struct http_api *api, struct http_exchange *x)
{
    struct filter *filter = NULL;

    if (!begin(api, x, "Missing check state", &selectors_check, &filter)) {
        return;
    }
    if (!query_must_wait(api, x, CATALOG_TOPIC_CHECKS, x->argument)) {
        query_headers(x, catalog_index(api->catalog, CATALOG_TOPIC_CHECKS, x->argument));
        if (!query_recall(api, x)) {
            put_state(api, x, filter);
            query_keep(api, x);
        }
    }
    filter_destroy(filter);
}

enum passing { PASSING_ALL, PASSING_ONLY, PASSING_UNCLEAR };

/* Go's strconv.ParseBool; present without a value means true. */
static enum passing passing_of(const struct http_exchange *x)
{
    static const char *const yes[] = {"", "1", "t", "T", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};
    const char *value = target_parameter(&x->target, "passing");

    if (value == NULL) {
        return PASSING_ALL;
    }
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (strcmp(value, yes[i]) == 0) {
            return PASSING_ONLY;
        }
    }
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
        if (strcmp(value, no[i]) == 0) {
            return PASSING_ALL;
        }
    }
    return PASSING_UNCLEAR;
}

static void put_instances(struct http_api *api, struct http_exchange *x,
                          const struct filter *filter, enum passing passing)
{
    const struct catalog_name *name = catalog_name_find(api->catalog, x->argument);
    struct rc_json json = exchange_json(x);

    rc_json_array(&json);
    for (size_t i = 0; name != NULL && i < name->instance_count; i++) {
        const struct catalog_service *service = name->instances[i];
        bool wanted =
            passing != PASSING_ONLY || catalog_service_health(service) == CHECK_PASSING;
        if (wanted && query_node_matches(x, service->node) &&
            query_tags_match(api, x, service) && filter_accepts(filter, service) &&
            visible_service(api, x, service)) {
            render_instance(&json, service);
        }
    }
    rc_json_array_end(&json);
    exchange_json_end(x);
}

void health_service(struct http_api *api, struct http_exchange *x)
{
    struct filter *filter = NULL;

    if (!begin(api, x, "Missing service name", &selectors_instance, &filter)) {
        return;
    }
    enum passing passing = passing_of(x);
    if (passing == PASSING_UNCLEAR) {
        query_headers(x, catalog_index(api->catalog, CATALOG_TOPIC_SERVICE, x->argument));
        exchange_error(x, 400, "Invalid value for ?passing");
    } else if (!query_must_wait(api, x, CATALOG_TOPIC_SERVICE, x->argument)) {
        query_headers(x, catalog_index(api->catalog, CATALOG_TOPIC_SERVICE, x->argument));
        if (!query_recall(api, x)) {
            put_instances(api, x, filter, passing);
            query_keep(api, x);
        }
    }
    filter_destroy(filter);
}
