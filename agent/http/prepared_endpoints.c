/* prepared_endpoints.c - /v1/query: prepared queries are shown and carried out. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/gossip/gossip.h"
#include "agent/http/endpoints.h"
#include "agent/http/permit.h"
#include "agent/http/prepared_stored.h"
#include "agent/http/render.h"
#include "agent/http/store_query.h"
#include "agent/http/visible.h"
#include "agent/prepared/prepared.h"
#include "agent/prepared/prepared_book.h"
#include "agent/prepared/prepared_key.h"
#include "base/err.h"
#include "base/text.h"

enum { NODES_MAX = 4096, PARTS_MAX = 512 };

/* ---- Finding. */

/* The id or name before "/execute" or "/explain", or all of the argument. */
static void name_of(const struct http_exchange *x, const char *ending,
                    char out[PARTS_MAX])
{
    size_t size = strlen(x->argument);
    size_t tail = strlen(ending);

    if (size >= tail && strcmp(x->argument + size - tail, ending) == 0) {
        size -= tail;
    }
    size = size < PARTS_MAX ? size : PARTS_MAX - 1; /* longer names nobody has */
    memcpy(out, x->argument, size);
    out[size] = '\0';
}

static bool ends_with(const char *text, const char *ending)
{
    size_t size = strlen(text);
    size_t tail = strlen(ending);
    return size >= tail && strcmp(text + size - tail, ending) == 0;
}

json_t *prepared_stored(const struct http_api *api, const char *id,
                        struct store_pair *pair)
{
    const struct rc_pack_bytes key = rc_pack_text(id);

    if (!prepared_is_definition(key) ||
        !store_read(api->store, STORE_QUERIES, key, pair)) {
        return NULL;
    }
    return json_loadb((const char *)pair->value.at, pair->value.size, 0, NULL);
}

static void not_found(struct http_exchange *x)
{
    exchange_error(x, 404, "Query not found");
}

/* ---- Showing. */

/* `query` with its indexes behind it, as the API shows it. */
static void put_query(struct rc_json *json, const json_t *query,
                      const struct store_pair *pair)
{
    json_t *shown = json_deep_copy(query);

    (void)json_object_set_new(shown, "CreateIndex",
                              json_integer((json_int_t)pair->create_index));
    (void)json_object_set_new(shown, "ModifyIndex",
                              json_integer((json_int_t)pair->modify_index));
    char *text = json_dumps(shown, JSON_COMPACT);
    rc_json_raw(json, text != NULL ? text : "null");
    free(text);
    json_decref(shown);
}

void prepared_list(struct http_api *api, struct http_exchange *x)
{
    const struct store_view view = {STORE_QUERIES, STORE_UNDER, rc_pack_text("")};
    struct rc_pack_bytes after = {0};
    struct store_pair pair;

    if (!store_query_begin(api, x) || store_query_must_wait(api, x, &view)) {
        return;
    }
    query_consistency_header(x);
    struct rc_json json = exchange_json(x);
    rc_json_array(&json);
    while (store_next(api->store, STORE_QUERIES, view.name, after, &pair)) {
        after = pair.key;
        json_t *query =
            prepared_is_definition(pair.key)
                ? json_loadb((const char *)pair.value.at, pair.value.size, 0, NULL)
                : NULL;
        if (query != NULL && permit_shows(api, x, PERMIT_QUERY, prepared_name(query))) {
            put_query(&json, query, &pair);
        }
        json_decref(query);
    }
    rc_json_array_end(&json);
    exchange_json_end(x);
}

static void show_one(struct http_api *api, struct http_exchange *x)
{
    const struct store_view view = {STORE_QUERIES, STORE_ONE, rc_pack_text(x->argument)};
    struct store_pair pair;

    if (!store_query_begin(api, x) || store_query_must_wait(api, x, &view)) {
        return;
    }
    json_t *query = prepared_stored(api, x->argument, &pair);
    if (query == NULL) {
        not_found(x);
    } else if (permit(api, x, PERMIT_QUERY, prepared_name(query), PERMIT_READ)) {
        query_consistency_header(x);
        struct rc_json json = exchange_json(x);
        rc_json_array(&json);
        put_query(&json, query, &pair);
        rc_json_array_end(&json);
        exchange_json_end(x);
    }
    json_decref(query);
}

/* ---- Carrying out. */

struct origin {
    const struct http_api *api;
    const char *name;
    struct gossip_coordinate at;
};

/* Whoever's place is unknown is far away. */
static double distance(void *context, const char *node)
{
    const struct origin *origin = context;
    struct gossip_coordinate there;

    if (strcmp(node, origin->name) == 0) {
        return 0.0;
    }
    return gossip_coordinate(origin->api->gossip, node, &there) == RC_OK
               ? gossip_coordinate_distance(&origin->at, &there)
               : HUGE_VAL;
}

static void sort_near(const struct http_api *api, const char *from,
                      const struct catalog_service **found, size_t count)
{
    struct origin origin = {.api = api, .name = from};

    if (gossip_coordinate(api->gossip, from, &origin.at) == RC_OK) {
        (void)prepared_sort(found, count, distance, &origin);
    }
}

static void shuffle(struct http_api *api, const struct catalog_service **found,
                    size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t k = rc_random_below(&api->random, i);
        const struct catalog_service *other = found[i - 1];
        found[i - 1] = found[k];
        found[k] = other;
    }
}

/* ?near= wins over the query's own; "_agent" is the node whose client asks, "_ip" too: this is
 * where it is. */
static void order(struct http_api *api, const struct http_exchange *x,
                  const json_t *query, const struct catalog_service **found, size_t count)
{
    const char *near = target_parameter(&x->target, "near");

    near = near != NULL && near[0] != '\0' ? near : prepared_near(query);
    shuffle(api, found, count);
    if (near[0] != '\0') {
        bool is_here = strcmp(near, "_agent") == 0 || strcmp(near, "_ip") == 0;
        sort_near(api, is_here ? exchange_node(api, x) : near, found, count);
    }
}

static void put_meta(struct rc_json *json)
{
    rc_json_put_u64(json, "Index", 0);
    rc_json_put_u64(json, "LastContact", 0);
    rc_json_put_bool(json, "KnownLeader", true);
    rc_json_put_string(json, "ConsistencyLevel", "leader");
    rc_json_put_bool(json, "NotModified", false);
}

static void put_found(const struct http_api *api, struct http_exchange *x,
                      const json_t *query, const struct catalog_service *const *found,
                      size_t count)
{
    const json_t *service = json_object_get(query, "Service");
    const json_t *dns = json_object_get(query, "DNS");
    struct rc_json json = exchange_json(x);

    rc_json_object(&json);
    rc_json_put_string(&json, "Service",
                       json_string_value(json_object_get(service, "Service")));
    rc_json_key(&json, "Nodes");
    rc_json_array(&json);
    for (size_t i = 0; i < count; i++) {
        render_instance(&json, found[i]);
    }
    rc_json_array_end(&json);
    rc_json_key(&json, "DNS");
    rc_json_object(&json);
    rc_json_put_string(&json, "TTL", json_string_value(json_object_get(dns, "TTL")));
    rc_json_object_end(&json);
    rc_json_put_string(&json, "Datacenter", api->facts.datacenter);
    rc_json_put_u64(&json, "Failovers", 0);
    put_meta(&json);
    rc_json_object_end(&json);
    exchange_json_end(x);
}

static bool read_limit(struct http_exchange *x, uint64_t *out)
{
    const char *text = target_parameter(&x->target, "limit");

    *out = NODES_MAX;
    if (text == NULL || text[0] == '\0') {
        return true;
    }
    if (rc_text_to_u64(text, UINT32_MAX, out) != RC_OK) {
        exchange_error(x, 500, "Bad limit: strconv.Atoi: parsing \"%s\": invalid syntax",
                       text);
        return false;
    }
    *out = *out == 0 || *out > NODES_MAX ? NODES_MAX : *out;
    return true;
}

static void carry_out(struct http_api *api, struct http_exchange *x, const json_t *query)
{
    const struct catalog_service **found =
        calloc(NODES_MAX, sizeof(void *)); /* pointers, one an instance */
    uint64_t limit;

    if (found == NULL || !read_limit(x, &limit)) {
        free((void *)found);
        return;
    }
    size_t count = prepared_pick(api->catalog, query, found, NODES_MAX);
    count = count < NODES_MAX ? count : NODES_MAX;
    order(api, x, query, found, count);
    size_t kept = 0;
    for (size_t i = 0; i < count && kept < limit; i++) {
        if (visible_service(api, x, found[i])) {
            found[kept++] = found[i];
        }
    }
    exchange_header(x, "X-Consul-Index", "1");
    query_consistency_header(x);
    store_query_freshness(api, x);
    put_found(api, x, query, found, kept);
    free((void *)found);
}

/* What a name stands for now, owned by the caller; NULL: answered already. */
static json_t *found_by(struct http_api *api, struct http_exchange *x, const char *ending)
{
    char name[PARTS_MAX];
    json_t *query = NULL;

    if (!store_query_begin(api, x)) {
        return NULL;
    }
    name_of(x, ending, name);
    prepared_book_fill(api->queries, api->store);
    if (prepared_book_find(api->queries, name, PREPARED_CASE_COUNTS, &query) != RC_OK) {
        not_found(x);
    }
    return query;
}

static void execute(struct http_api *api, struct http_exchange *x)
{
    json_t *query = found_by(api, x, "/execute");

    if (query != NULL) {
        carry_out(api, x, query);
    }
    json_decref(query);
}

static void explain(struct http_api *api, struct http_exchange *x)
{
    json_t *query = found_by(api, x, "/explain");
    struct store_pair pair = {0};

    if (query != NULL &&
        permit(api, x, PERMIT_QUERY, prepared_name(query), PERMIT_READ)) {
        (void)store_read(api->store, STORE_QUERIES, rc_pack_text(prepared_id(query)),
                         &pair);
        exchange_header(x, "X-Consul-Index", "1");
        query_consistency_header(x);
        store_query_freshness(api, x);
        struct rc_json json = exchange_json(x);
        rc_json_object(&json);
        rc_json_key(&json, "Query");
        put_query(&json, query, &pair);
        put_meta(&json);
        rc_json_object_end(&json);
        exchange_json_end(x);
    }
    json_decref(query);
}

void prepared_get(struct http_api *api, struct http_exchange *x)
{
    if (ends_with(x->argument, "/execute")) {
        execute(api, x);
    } else if (ends_with(x->argument, "/explain")) {
        explain(api, x);
    } else {
        show_one(api, x);
    }
}
