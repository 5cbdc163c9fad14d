/* prometheus_endpoints.c - the catalog as Prometheus' http_sd_configs reads it.
 *
 * Not Consul's: Debian's Prometheus is built without consul_sd_configs. Form: Prometheus,
 * "Writing HTTP Service Discovery", one group a target; labels: those of consul_sd_configs
 * (Prometheus, "Configuration"), so that its rules of relabelling need no change. */
#include <stdio.h>
#include <string.h>

#include "agent/http/endpoints.h"
#include "agent/http/exchange.h"
#include "agent/http/visible.h"
#include "base/err.h"
#include "base/text.h"

/* The characters that a label's name may have; others become '_'. */
static void put_named(struct rc_json *json, const char *prefix, const char *name,
                      const char *value)
{
    static const char fit[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    struct rc_buffer label = {0};

    rc_buffer_text(&label, prefix);
    for (const char *at = name; *at != '\0'; at++) {
        rc_buffer_byte(&label, strchr(fit, *at) != NULL ? (uint8_t)*at : (uint8_t)'_');
    }
    rc_json_put_string(json, rc_buffer_string(&label), value);
    rc_buffer_fini(&label);
}

static void put_pairs(struct rc_json *json, const char *prefix,
                      const struct catalog_pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        put_named(json, prefix, pairs[i].key, pairs[i].value);
    }
}

/* ",a,b,": a rule finds a tag between two commas. */
static void put_tags(struct rc_json *json, const struct catalog_service *service)
{
    struct rc_buffer tags = {0};

    rc_buffer_text(&tags, ",");
    for (size_t i = 0; i < service->tag_count; i++) {
        rc_buffer_format(&tags, "%s,", service->tags[i]);
    }
    rc_json_put_string(json, "__meta_consul_tags", rc_buffer_string(&tags));
    rc_buffer_fini(&tags);
}

/* A group up to its labels. */
static void begin_group(struct rc_json *json, const char *address, unsigned port)
{
    struct rc_buffer target = {0};
    bool is_v6 = strchr(address, ':') != NULL;

    rc_buffer_format(&target, is_v6 ? "[%s]:%u" : "%s:%u", address, port);
    rc_json_object(json);
    rc_json_key(json, "targets");
    rc_json_array(json);
    rc_json_string(json, rc_buffer_string(&target));
    rc_json_array_end(json);
    rc_json_key(json, "labels");
    rc_json_object(json);
    rc_buffer_fini(&target);
}

static void put_node(struct rc_json *json, const struct catalog_node *node)
{
    rc_json_put_string(json, "__meta_consul_node", node->name);
    rc_json_put_string(json, "__meta_consul_address", node->address);
    rc_json_put_string(json, "__meta_consul_dc", node->datacenter);
    for (size_t i = 0; i < node->tagged_address_count; i++) {
        put_named(json, "__meta_consul_tagged_address_", node->tagged_addresses[i].name,
                  node->tagged_addresses[i].address);
    }
    put_pairs(json, "__meta_consul_metadata_", node->meta, node->meta_count);
}

static const char *health_of(const struct catalog_service *service)
{
    return service->maintenance || service->node->maintenance
               ? "maintenance"
               : check_status_name(catalog_service_health(service));
}

static void put_service(struct rc_json *json, const struct catalog_service *service)
{
    char port[8];
    const char *address =
        service->address[0] != '\0' ? service->address : service->node->address;

    (void)snprintf(port, sizeof port, "%u", (unsigned)service->port);
    begin_group(json, address, service->port);
    put_node(json, service->node);
    rc_json_put_string(json, "__meta_consul_service", service->name);
    rc_json_put_string(json, "__meta_consul_service_id", service->id);
    rc_json_put_string(json, "__meta_consul_service_address", service->address);
    rc_json_put_string(json, "__meta_consul_service_port", port);
    rc_json_put_string(json, "__meta_consul_health", health_of(service));
    put_tags(json, service);
    put_pairs(json, "__meta_consul_service_metadata_", service->meta,
              service->meta_count);
    rc_json_object_end(json);
    rc_json_object_end(json);
}

static void put_name(struct http_api *api, struct http_exchange *x, struct rc_json *json,
                     const struct catalog_name *name)
{
    for (size_t i = 0; name != NULL && i < name->instance_count; i++) {
        const struct catalog_service *service = name->instances[i];
        /* Where nobody listens there is nothing to ask. */
        if (service->port != 0 && query_node_matches(x, service->node) &&
            query_tags_match(api, x, service) && visible_service(api, x, service)) {
            put_service(json, service);
        }
    }
}

void prometheus_services(struct http_api *api, struct http_exchange *x)
{
    const char *wanted = target_parameter(&x->target, "service");

    if (!query_begin(api, x)) {
        return;
    }
    query_headers(x, catalog_index(api->catalog, CATALOG_TOPIC_SERVICES, ""));
    struct rc_json json = exchange_json(x);
    rc_json_array(&json);
    if (wanted != NULL) {
        put_name(api, x, &json, catalog_name_find(api->catalog, wanted));
    } else {
        for (size_t i = 0; i < catalog_name_count(api->catalog); i++) {
            put_name(api, x, &json, catalog_name_at(api->catalog, i));
        }
    }
    rc_json_array_end(&json);
    exchange_json_end(x);
}

void prometheus_nodes(struct http_api *api, struct http_exchange *x)
{
    const char *text = target_parameter(&x->target, "port");
    uint64_t port = 8500;

    if (!query_begin(api, x)) {
        return;
    }
    if (text != NULL && (rc_text_to_u64(text, UINT16_MAX, &port) != RC_OK || port == 0)) {
        exchange_error(x, 400, "Invalid port: 1 to 65535");
        return;
    }
    query_headers(x, catalog_index(api->catalog, CATALOG_TOPIC_NODES, ""));
    struct rc_json json = exchange_json(x);
    rc_json_array(&json);
    for (size_t i = 0; i < catalog_node_count(api->catalog); i++) {
        const struct catalog_node *node = catalog_node_at(api->catalog, i);
        if (query_node_matches(x, node) && visible_node(api, x, node)) {
            begin_group(&json, node->address, (unsigned)port);
            put_node(&json, node);
            rc_json_object_end(&json);
            rc_json_object_end(&json);
        }
    }
    rc_json_array_end(&json);
    exchange_json_end(x);
}
