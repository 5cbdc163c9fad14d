#include "agent/catalog/catalog.h"
#include "agent/gossip/gossip.h"
#include "agent/http/endpoints.h"
#include "agent/http/render.h"
#include "agent/http/visible.h"
#include "base/err.h"

/* Coordinates move with every probe. Consul's agents tell theirs about every 15 s, and its
 * blocking queries return then; here the index does, so those who wait see what has moved. */
enum { TOLD_EVERY_MS = 15 * 1000 };

/* Neither part ever falls, so the sum is an index. */
static uint64_t index_of(const struct http_api *api, enum catalog_topic topic,
                         const char *name)
{
    return catalog_index(api->catalog, topic, name) + api->now_ms / TOLD_EVERY_MS;
}

/* True when the handler must return: the client knows this index. */
static bool must_wait(struct http_api *api, struct http_exchange *x,
                      enum catalog_topic topic, const char *name)
{
    uint64_t next_ms = (api->now_ms / TOLD_EVERY_MS + 1) * TOLD_EVERY_MS;

    if (x->expired || x->query.index == 0 ||
        index_of(api, topic, name) > x->query.index) {
        return false;
    }
    bool is_next = index_of(api, topic, name) == x->query.index;
    query_wait(api, x, topic, name);
    if (is_next && x->waiter.deadline_ms > next_ms) {
        x->waiter.deadline_ms = next_ms;
    }
    return true;
}

static bool put_coordinate(const struct http_api *api, struct rc_json *json,
                           const char *node)
{
    struct gossip_coordinate coordinate;

    if (gossip_coordinate(api->gossip, node, &coordinate) != RC_OK) {
        return false;
    }
    rc_json_object(json);
    rc_json_put_string(json, "Node", node);
    rc_json_put_string(json, "Segment", "");
    rc_json_key(json, "Coord");
    render_coordinate(json, &coordinate);
    rc_json_object_end(json);
    return true;
}

void coordinate_nodes(struct http_api *api, struct http_exchange *x)
{
    if (!query_begin(api, x) || must_wait(api, x, CATALOG_TOPIC_NODES, "")) {
        return;
    }
    query_headers(x, index_of(api, CATALOG_TOPIC_NODES, ""));
    struct rc_json json = exchange_json(x);
    rc_json_array(&json);
    for (size_t i = 0; i < catalog_node_count(api->catalog); i++) {
        const struct catalog_node *node = catalog_node_at(api->catalog, i);
        if (visible_node(api, x, node)) {
            (void)put_coordinate(api, &json, node->name);
        }
    }
    rc_json_array_end(&json);
    exchange_json_end(x);
}

void coordinate_node(struct http_api *api, struct http_exchange *x)
{
    if (!query_begin(api, x) || must_wait(api, x, CATALOG_TOPIC_NODE, x->argument)) {
        return;
    }
    query_headers(x, index_of(api, CATALOG_TOPIC_NODE, x->argument));
    struct rc_json json = exchange_json(x);
    rc_json_array(&json);
    bool is_known = permit_shows(api, x, PERMIT_NODE, x->argument) &&
                    put_coordinate(api, &json, x->argument);
    rc_json_array_end(&json);
    exchange_json_end(x);
    if (!is_known) {
        rc_buffer_clear(&x->out);
        x->content_type = NULL;
        x->status = 404;
    }
}

void coordinate_datacenters(struct http_api *api, struct http_exchange *x)
{
    size_t position = 0;
    struct rc_json json = exchange_json(x);

    rc_json_array(&json);
    rc_json_object(&json);
    rc_json_put_string(&json, "Datacenter", api->facts.datacenter);
    rc_json_put_string(&json, "AreaID", "wan");
    rc_json_key(&json, "Coordinates");
    rc_json_array(&json);
    const struct gossip_member *member = gossip_next_member(api->gossip, &position);
    while (member != NULL) {
        if (request_is_live_server(member)) {
            (void)put_coordinate(api, &json, member->said->name);
        }
        member = gossip_next_member(api->gossip, &position);
    }
    rc_json_array_end(&json);
    rc_json_object_end(&json);
    rc_json_array_end(&json);
    exchange_json_end(x);
}
