#include <string.h>

#include "agent/http/endpoints.h"
#include "agent/http/filter.h"
#include "agent/http/render.h"
#include "agent/http/selectors.h"
#include "agent/http/visible.h"

struct counts {
    uint64_t instances;
    uint64_t checks[CHECK_STATUS_COUNT];
};

/* What the page asks for: by whom, and which of it. */
struct asked {
    struct http_api *api;
    struct http_exchange *x;
    const struct filter *filter;
};

static bool is_wanted(const struct asked *asked, const struct catalog_service *service)
{
    return query_node_matches(asked->x, service->node) &&
           filter_accepts(asked->filter, service) &&
           visible_service(asked->api, asked->x, service);
}

/* Instances come by node, so a node's own checks are counted at its first instance. */
static struct counts count(const struct asked *asked, const struct catalog_name *name)
{
    struct counts counts = {0};
    const struct catalog_node *counted = NULL;

    for (size_t i = 0; i < name->instance_count; i++) {
        const struct catalog_service *service = name->instances[i];
        if (!is_wanted(asked, service)) {
            continue;
        }
        counts.instances++;
        for (size_t c = 0; c < service->check_count; c++) {
            counts.checks[service->checks[c]->status]++;
        }
        const struct catalog_node *node = service->node;
        for (size_t c = 0; node != counted && c < node->node_check_count; c++) {
            counts.checks[node->checks[c]->status]++;
        }
        counted = node;
    }
    return counts;
}

static void put_name(struct rc_json *json, const struct asked *asked,
                     const struct catalog_name *name)
{
    struct counts counts = count(asked, name);

    if (counts.instances == 0) {
        return;
    }
    rc_json_object(json);
    rc_json_put_string(json, "Name", name->name);
    rc_json_put_string(json, "Datacenter", asked->api->facts.datacenter);
    rc_json_key(json, "Tags");
    rc_json_array(json);
    for (size_t i = 0; i < name->tag_count; i++) {
        rc_json_string(json, name->tags[i]);
    }
    rc_json_array_end(json);
    rc_json_key(json, "Nodes");
    rc_json_array(json);
    for (size_t i = 0; i < name->instance_count; i++) {
        if (is_wanted(asked, name->instances[i])) {
            rc_json_string(json, name->instances[i]->node->name);
        }
    }
    rc_json_array_end(json);
    rc_json_key(json, "ExternalSources");
    rc_json_null(json);
    rc_json_put_u64(json, "InstanceCount", counts.instances);
    rc_json_put_u64(json, "ChecksPassing", counts.checks[CHECK_PASSING]);
    rc_json_put_u64(json, "ChecksWarning", counts.checks[CHECK_WARNING]);
    rc_json_put_u64(json, "ChecksCritical", counts.checks[CHECK_CRITICAL]);
    rc_json_key(json, "GatewayConfig");
    rc_json_raw(json, "{}");
    rc_json_put_bool(json, "ConnectedWithProxy", false);
    rc_json_put_bool(json, "ConnectedWithGateway", false);
    rc_json_object_end(json);
}

void ui_services(struct http_api *api, struct http_exchange *x)
{
    struct filter *filter = NULL;

    if (!query_begin(api, x) || !query_filter(x, &selectors_instance, &filter)) {
        return;
    }
    if (!query_must_wait(api, x, CATALOG_TOPIC_ALL, "")) {
        const struct asked asked = {api, x, filter};
        query_headers(x, catalog_index(api->catalog, CATALOG_TOPIC_ALL, ""));
        struct rc_json json = exchange_json(x);
        rc_json_array(&json);
        for (size_t i = 0; i < catalog_name_count(api->catalog); i++) {
            put_name(&json, &asked, catalog_name_at(api->catalog, i));
        }
        rc_json_array_end(&json);
        exchange_json_end(x);
    }
    filter_destroy(filter);
}

/* How the restarts of a check stand, which its own agent alone knows; NULL: not here. */
static const struct local_restart *restart_of(const struct http_api *api,
                                              const struct catalog_check *check,
                                              struct local_check *space)
{
    return check->node == catalog_self(api->catalog) &&
                   local_find_check(api->local, check->id, space)
               ? &space->restart
               : NULL;
}

static void put_node(struct http_api *api, struct http_exchange *x, struct rc_json *json,
                     const struct catalog_node *node)
{
    rc_json_object(json);
    rc_json_put_string(json, "ID", node->id);
    rc_json_put_string(json, "Node", node->name);
    rc_json_put_string(json, "Address", node->address);
    rc_json_key(json, "TaggedAddresses");
    rc_json_object(json);
    for (size_t i = 0; i < node->tagged_address_count; i++) {
        rc_json_put_string(json, node->tagged_addresses[i].name,
                           node->tagged_addresses[i].address);
    }
    rc_json_object_end(json);
    rc_json_key(json, "Meta");
    rc_json_object(json);
    for (size_t i = 0; i < node->meta_count; i++) {
        rc_json_put_string(json, node->meta[i].key, node->meta[i].value);
    }
    rc_json_object_end(json);
    rc_json_key(json, "Services");
    rc_json_array(json);
    for (size_t i = 0; i < node->service_count; i++) {
        if (visible_service(api, x, node->services[i])) {
            render_service(json, node->services[i]);
        }
    }
    rc_json_array_end(json);
    rc_json_key(json, "Checks");
    rc_json_array(json);
    for (size_t i = 0; i < node->check_count; i++) {
        if (visible_check(api, x, node->checks[i])) {
            struct local_check own;
            render_check_since(json, node->checks[i],
                               restart_of(api, node->checks[i], &own), api->now_ms);
        }
    }
    rc_json_array_end(json);
    /* Ours: how gossip sees it, and since when, for the page. */
    rc_json_put_string(json, "Liveness", catalog_liveness_name(node->liveness));
    rc_json_put_u64(json, "LivenessSinceMs", node->since_wall_ms);
    rc_json_object_end(json);
}

void ui_nodes(struct http_api *api, struct http_exchange *x)
{
    struct filter *filter = NULL;

    if (!query_begin(api, x) || !query_filter(x, &selectors_node, &filter)) {
        return;
    }
    if (!query_must_wait(api, x, CATALOG_TOPIC_ALL, "")) {
        query_headers(x, catalog_index(api->catalog, CATALOG_TOPIC_ALL, ""));
        struct rc_json json = exchange_json(x);
        rc_json_array(&json);
        for (size_t i = 0; i < catalog_node_count(api->catalog); i++) {
            const struct catalog_node *node = catalog_node_at(api->catalog, i);
            if (query_node_matches(x, node) && filter_accepts(filter, node) &&
                visible_node(api, x, node)) {
                put_node(api, x, &json, node);
            }
        }
        rc_json_array_end(&json);
        exchange_json_end(x);
    }
    filter_destroy(filter);
}

void ui_node(struct http_api *api, struct http_exchange *x)
{
    if (!query_begin(api, x)) {
        return;
    }
    if (x->argument[0] == '\0') {
        exchange_error(x, 400, "Missing node name");
        return;
    }
    if (query_must_wait(api, x, CATALOG_TOPIC_NODE, x->argument)) {
        return;
    }
    const struct catalog_node *node = catalog_node_find(api->catalog, x->argument);
    query_headers(x, catalog_index(api->catalog, CATALOG_TOPIC_NODE, x->argument));
    if (node == NULL || !visible_node(api, x, node)) {
        x->status = 404;
        return;
    }
    struct rc_json json = exchange_json(x);
    put_node(api, x, &json, node);
    exchange_json_end(x);
}
