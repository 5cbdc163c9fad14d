/* postgres_read.c - the PostgreSQL clusters that keepers look after, as one view each. */
#include <stdio.h>
#include <string.h>

#include "agent/http/endpoints.h"
#include "agent/http/permit.h"
#include "agent/http/permits.h"
#include "agent/http/postgres_records.h"
#include "agent/http/store_query.h"

/* What a cluster's key says behind the prefix, up to the next '/'. False: no cluster's key. */
static bool cluster_of(struct rc_pack_bytes key, char space[POSTGRES_NAME_MAX + 1])
{
    size_t skip = strlen(POSTGRES_PREFIX);
    const uint8_t *end = memchr(key.at + skip, '/', key.size - skip);
    size_t size = end != NULL ? (size_t)(end - key.at) - skip : 0;

    if (size == 0 || size > POSTGRES_NAME_MAX) {
        return false;
    }
    memcpy(space, key.at + skip, size);
    space[size] = '\0';
    return postgres_records_is_name(space);
}

/* Operators may read all clusters, the readers of its service (a proxy) the one. */
static bool shows(struct http_api *api, struct http_exchange *x,
                  const struct postgres_records *records)
{
    return !permits_are_used(api->permits) ||
           permit_shows(api, x, PERMIT_SERVICE, postgres_records_service(records)) ||
           permit_shows(api, x, PERMIT_OPERATOR, "");
}

static void put_summary(struct http_api *api, struct http_exchange *x,
                        struct rc_json *json, const char *cluster)
{
    struct postgres_records records;

    if (!postgres_records_read(api->store, cluster, &records)) {
        return;
    }
    if (shows(api, x, &records)) {
        postgres_records_render(json, cluster, &records, POSTGRES_SUMMARY);
    }
    postgres_records_fini(&records);
}

void postgres_list(struct http_api *api, struct http_exchange *x)
{
    const struct store_view view = {STORE_KV, STORE_UNDER, rc_pack_text(POSTGRES_PREFIX)};
    char cluster[POSTGRES_NAME_MAX + 1];
    char last[POSTGRES_NAME_MAX + 1] = "";
    struct rc_pack_bytes after = {0};
    struct store_pair pair;

    if (!store_query_begin(api, x) || store_query_must_wait(api, x, &view)) {
        return;
    }
    struct rc_json json = exchange_json(x);
    rc_json_array(&json);
    while (store_next(api->store, STORE_KV, view.name, after, &pair)) {
        after = pair.key;
        if (cluster_of(pair.key, cluster) && strcmp(cluster, last) != 0) {
            memcpy(last, cluster, sizeof last);
            put_summary(api, x, &json, cluster);
        }
    }
    rc_json_array_end(&json);
    exchange_json_end(x);
}

/* An unknown name is refused like one that may not be read. This is all or nothing, so nothing
 * may be told to be left out. */
static bool may_read(struct http_api *api, struct http_exchange *x,
                     const struct postgres_records *records)
{
    size_t headers = x->header_count;

    if (!permits_are_used(api->permits) || permit_shows(api, x, PERMIT_OPERATOR, "")) {
        return true;
    }
    x->is_filtered = false;
    x->header_count = headers;
    return permit(api, x, PERMIT_SERVICE, postgres_records_service(records), PERMIT_READ);
}

static void answer_one(struct http_api *api, struct http_exchange *x)
{
    struct postgres_records records = {0};

    bool found = postgres_records_read(api->store, x->argument, &records);
    if (may_read(api, x, &records)) {
        if (found) {
            struct rc_json json = exchange_json(x);
            postgres_records_render(&json, x->argument, &records, POSTGRES_WHOLE);
            exchange_json_end(x);
        } else {
            exchange_error(x, 404, "No cluster \"%s\"", x->argument);
        }
    }
    postgres_records_fini(&records);
}

void postgres_get(struct http_api *api, struct http_exchange *x)
{
    char prefix[POSTGRES_KEY_SPACE];

    if (!postgres_records_is_name(x->argument)) {
        exchange_error(x, 404, "No such cluster");
        return;
    }
    (void)snprintf(prefix, sizeof prefix, POSTGRES_PREFIX "%s/", x->argument);
    const struct store_view view = {STORE_KV, STORE_UNDER, rc_pack_text(prefix)};
    if (store_query_begin(api, x) && !store_query_must_wait(api, x, &view)) {
        answer_one(api, x);
    }
}
