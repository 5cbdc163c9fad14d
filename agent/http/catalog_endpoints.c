#include <string.h>

#include "agent/http/endpoints.h"
#include "agent/http/filter.h"
#include "agent/http/render.h"
#include "agent/http/selectors.h"
#include "agent/http/visible.h"
#include "base/text.h"

void catalog_datacenters(struct http_api *api, struct http_exchange *x)
{
    struct rc_json json = exchange_json(x);

    rc_json_array(&json);
    rc_json_string(&json, api->facts.datacenter);
    rc_json_array_end(&json);
    exchange_json_end(x);
}

static void put_nodes(struct http_api *api, struct http_exchange *x,
                      const struct filter *filter)
{
    struct rc_json json = exchange_json(x);

    rc_json_array(&json);
    for (size_t i = 0; i < catalog_node_count(api->catalog); i++) {
        const struct catalog_node *node = catalog_node_at(api->catalog, i);
        if (query_node_matches(x, node) && filter_accepts(filter, node) &&
            visible_node(api, x, node)) {
            render_node(&json, node);
        }
    }
    rc_json_array_end(&json);
    exchange_json_end(x);
}

void catalog_nodes(struct http_api *api, struct http_exchange *x)
{
    struct filter *filter = NULL;

    if (!query_begin(api, x) || !query_filter(x, &selectors_node, &filter)) {
        return;
    }
    if (!query_must_wait(api, x, CATALOG_TOPIC_NODES, "")) {
        query_headers(x, catalog_index(api->catalog, CATALOG_TOPIC_NODES, ""));
        if (!query_recall(api, x)) {
            put_nodes(api, x, filter);
            query_keep(api, x);
        }
    }
    filter_destroy(filter);
}

/* The tags of a name's instances on the nodes that are asked for, each once. */
static void put_tags(struct rc_json *json, const struct http_exchange *x,
                     const struct catalog_name *name)
{
    for (size_t i = 0; i < name->tag_count; i++) {
        const char *tag = name->tags[i];
        bool found = false;
        for (size_t n = 0; n < name->instance_count && !found; n++) {
            const struct catalog_service *service = name->instances[n];
            for (size_t t = 0; t < service->tag_count && !found; t++) {
                found = strcmp(service->tags[t], tag) == 0 &&
                        query_node_matches(x, service->node);
            }
        }
        if (found) {
            rc_json_string(json, tag);
        }
    }
}

static bool runs_on_match(const struct http_exchange *x, const struct catalog_name *name)
{
    for (size_t i = 0; i < name->instance_count; i++) {
        if (query_node_matches(x, name->instances[i]->node)) {
            return true;
        }
    }
    return false;
}

static void put_all_tags(struct rc_json *json, const struct catalog_name *name)
{
    for (size_t i = 0; i < name->tag_count; i++) {
        rc_json_string(json, name->tags[i]);
    }
}

static void put_services(struct http_api *api, struct http_exchange *x)
{
    bool by_node = target_parameter(&x->target, "node-meta") != NULL;
    struct rc_json json = exchange_json(x);

    rc_json_object(&json);
    for (size_t i = 0; i < catalog_name_count(api->catalog); i++) {
        const struct catalog_name *name = catalog_name_at(api->catalog, i);
        if ((by_node && !runs_on_match(x, name)) || !visible_name(api, x, name)) {
            continue;
        }
        rc_json_key(&json, name->name);
        rc_json_array(&json);
        if (by_node) {
            put_tags(&json, x, name);
        } else {
            put_all_tags(&json, name);
        }
        rc_json_array_end(&json);
    }
    rc_json_object_end(&json);
    exchange_json_end(x);
}

void catalog_services(struct http_api *api, struct http_exchange *x)
{
    if (!query_begin(api, x) || query_must_wait(api, x, CATALOG_TOPIC_SERVICES, "")) {
        return;
    }
    query_headers(x, catalog_index(api->catalog, CATALOG_TOPIC_SERVICES, ""));
    if (!query_recall(api, x)) {
        put_services(api, x);
        query_keep(api, x);
    }
}

static void put_service_nodes(struct http_api *api, struct http_exchange *x,
                              const struct filter *filter)
{
    const struct catalog_name *name = catalog_name_find(api->catalog, x->argument);
    struct rc_json json = exchange_json(x);

    rc_json_array(&json);
    for (size_t i = 0; name != NULL && i < name->instance_count; i++) {
        const struct catalog_service *service = name->instances[i];
        if (query_node_matches(x, service->node) && query_tags_match(api, x, service) &&
            filter_accepts(filter, service) && visible_service(api, x, service)) {
            render_service_node(&json, service);
        }
    }
    rc_json_array_end(&json);
    exchange_json_end(x);
}

void catalog_service_nodes(struct http_api *api, struct http_exchange *x)
{
    struct filter *filter = NULL;

    if (!query_begin(api, x)) {
        return;
    }
    if (x->argument[0] == '\0') {
        exchange_error(x, 400, "Missing service name");
        return;
    }
    if (!query_filter(x, &selectors_service_node, &filter)) {
        return;
    }
    if (!query_must_wait(api, x, CATALOG_TOPIC_SERVICE, x->argument)) {
        query_headers(x, catalog_index(api->catalog, CATALOG_TOPIC_SERVICE, x->argument));
        if (!query_recall(api, x)) {
            put_service_nodes(api, x, filter);
            query_keep(api, x);
        }
    }
    filter_destroy(filter);
}

/* Instances that speak Connect: there are none, and there may be a wait for them. */
void catalog_mesh(struct http_api *api, struct http_exchange *x)
{
    if (!query_begin(api, x) ||
        query_must_wait(api, x, CATALOG_TOPIC_SERVICE, x->argument)) {
        return;
    }
    query_headers(x, catalog_index(api->catalog, CATALOG_TOPIC_SERVICE, x->argument));
    struct rc_json json = exchange_json(x);
    rc_json_array(&json);
    rc_json_array_end(&json);
    exchange_json_end(x);
}

enum node_form { NODE_FORM_MAP, NODE_FORM_LIST };

/* What of a node is shown, and how. */
struct node_view {
    const struct catalog_node *node;
    const struct filter *filter;
    enum node_form form;
};

static void put_node_services(struct http_api *api, struct http_exchange *x,
                              struct rc_json *json, const struct node_view *view)
{
    const struct catalog_node *node = view->node;
    enum node_form form = view->form;

    rc_json_object(json);
    rc_json_key(json, "Node");
    render_node(json, node);
    rc_json_key(json, "Services");
    if (form == NODE_FORM_MAP) {
        rc_json_object(json);
    } else {
        rc_json_array(json);
    }
    for (size_t i = 0; i < node->service_count; i++) {
        if (!filter_accepts(view->filter, node->services[i]) ||
            !visible_service(api, x, node->services[i])) {
            continue;
        }
        if (form == NODE_FORM_MAP) {
            rc_json_key(json, node->services[i]->id);
        }
        render_service(json, node->services[i]);
    }
    if (form == NODE_FORM_MAP) {
        rc_json_object_end(json);
    } else {
        rc_json_array_end(json);
    }
    rc_json_object_end(json);
}

static void answer_node(struct http_api *api, struct http_exchange *x,
                        enum node_form form)
{
    struct filter *filter = NULL;

    if (!query_begin(api, x)) {
        return;
    }
    if (x->argument[0] == '\0') {
        exchange_error(x, 400, "Missing node name");
        return;
    }
    if (!query_filter(x, &selectors_service, &filter)) {
        return;
    }
    if (!query_must_wait(api, x, CATALOG_TOPIC_NODE, x->argument)) {
        const struct catalog_node *node = catalog_node_find(api->catalog, x->argument);
        query_headers(x, catalog_index(api->catalog, CATALOG_TOPIC_NODE, x->argument));
        struct rc_json json = exchange_json(x);
        if (node != NULL && visible_node(api, x, node)) {
            const struct node_view view = {node, filter, form};
            put_node_services(api, x, &json, &view);
        } else {
            rc_json_raw(&json, form == NODE_FORM_MAP
                                   ? "null"
                                   : "{\"Node\":null,\"Services\":null}");
        }
        exchange_json_end(x);
    }
    filter_destroy(filter);
}

void catalog_node_map(struct http_api *api, struct http_exchange *x)
{
    answer_node(api, x, NODE_FORM_MAP);
}

void catalog_node_list(struct http_api *api, struct http_exchange *x)
{
    answer_node(api, x, NODE_FORM_LIST);
}

/* ---- Writes. Every record has one writer, the agent of its node, so these can only say why
 * they do nothing; what Consul refuses is refused in its words. */

/* The text under a key whatever its letter case, "" if it is missing. */
static const char *text_of(const json_t *body, const char *wanted)
{
    const char *key = NULL;
    json_t *value = NULL;

    json_object_foreach((json_t *)body, key, value)
    {
        if (rc_text_equals_nocase(key, wanted) && json_is_string(value)) {
            return json_string_value(value);
        }
    }
    return "";
}

static bool has_key(const json_t *body, const char *wanted)
{
    const char *key = NULL;
    json_t *value = NULL;

    json_object_foreach((json_t *)body, key, value)
    {
        if (rc_text_equals_nocase(key, wanted)) {
            return json_is_true(value);
        }
    }
    return false;
}

enum { UUID_TEXT_SIZE = 36 };

void catalog_register(struct http_api *api, struct http_exchange *x)
{
    json_t *body = request_body(x);

    if (body == NULL) {
        return;
    }
    if (!permit(api, x, PERMIT_NODE, text_of(body, "Node"), PERMIT_WRITE)) {
        json_decref(body);
        return;
    }
    size_t id_size = strlen(text_of(body, "ID"));
    if (text_of(body, "Node")[0] == '\0') {
        exchange_error(x, 500, "Must provide node");
    } else if (text_of(body, "Address")[0] == '\0' && !has_key(body, "SkipNodeUpdate")) {
        exchange_error(x, 500, "Must provide address if SkipNodeUpdate is not set");
    } else if (id_size != 0 && id_size != UUID_TEXT_SIZE) {
        exchange_error(x, 500, "Bad node ID: uuid string is wrong length");
    } else {
        exchange_error(
            x, 501,
            "rollcall's catalog takes a node's services from the agent of that "
            "node only: use PUT /v1/agent/service/register there");
    }
    json_decref(body);
}

void catalog_deregister(struct http_api *api, struct http_exchange *x)
{
    json_t *body = request_body(x);

    if (body == NULL) {
        return;
    }
    const char *name = text_of(body, "Node");
    if (!permit(api, x, PERMIT_NODE, name, PERMIT_WRITE)) {
        json_decref(body);
        return;
    }
    if (name[0] == '\0') {
        exchange_error(x, 500, "Must provide node");
    } else if (catalog_node_find(api->catalog, name) == NULL) {
        struct rc_json json = exchange_json(x);
        rc_json_bool(&json, true);
        exchange_json_end(x);
    } else {
        exchange_error(
            x, 501,
            "rollcall's catalog takes a node's services from the agent of that "
            "node only: use PUT /v1/agent/service/deregister/:id there, or "
            "PUT /v1/agent/force-leave/:node for a node that is gone");
    }
    json_decref(body);
}
