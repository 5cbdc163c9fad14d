#include "agent/dns_view.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "agent/catalog/catalog.h"
#include "agent/dns_keep.h"
#include "agent/dns_prepared.h"
#include "agent/dns_reverse.h"
#include "agent/prepared/prepared_book.h"
#include "base/err.h"
#include "base/table.h"

enum { KEPT_MAX = 16384 /* services, and as many nodes; then all start anew */ };

struct dns_view_source {
    struct dns_view view;
    const struct catalog *catalog;
    uint64_t seed;
    struct rc_table *services;
    struct rc_table *nodes;
    struct dns_reverse *reverse;
    struct dns_view_gate gate;
    struct dns_view_queries queries;
    struct rc_table *answers; /* of queries that are no templates */
    struct dns_kept *retired; /* may be in use until the next answer begins */
};

static bool is_alive(const struct catalog_node *node)
{
    return node->liveness <= CATALOG_LEAVING;
}

static uint64_t audience(const struct dns_view_source *source)
{
    return source->gate.serial != NULL ? source->gate.serial(source->gate.context) : 0;
}

static bool shows(const struct dns_view_source *source, enum dns_view_kind kind,
                  const char *name)
{
    return source->gate.shows == NULL ||
           source->gate.shows(source->gate.context, kind, name);
}

static struct dns_kept *keep_service(const struct dns_view_source *source,
                                     const struct catalog_name *name)
{
    struct dns_kept *kept = dns_keep_service(source->catalog, name->name, name->instances,
                                             name->instance_count);

    for (size_t i = 0; kept != NULL && i < name->instance_count; i++) {
        if (!shows(source, DNS_VIEW_NODE, name->instances[i]->node->name)) {
            kept->instances[i].health = DNS_HEALTH_UNUSABLE;
        }
    }
    return kept;
}

static uint64_t mix(uint64_t print, uint64_t value)
{
    return (print ^ value) * 0x100000001b3U; /* FNV-1a, a word at a time */
}

/* Another number whenever something may look otherwise, or to somebody else. */
static uint64_t catalog_now(const struct dns_view_source *source)
{
    uint64_t index = catalog_index(source->catalog, CATALOG_TOPIC_ALL, "");
    uint64_t serial = audience(source);

    return serial == 0 ? index : mix(mix(index, serial), index);
}

static uint64_t print_of_node(const struct catalog_node *node)
{
    return mix(mix(node->modify_index, (uint64_t)node->liveness), node->epoch);
}

/* What a kept service was made from, cheaper to look at than to make it again. */
static uint64_t print_of_service(const struct catalog_name *name)
{
    uint64_t print = mix(name->index, name->highest_term);

    for (size_t i = 0; i < name->instance_count; i++) {
        print = mix(print, print_of_node(name->instances[i]->node));
        print = mix(print, name->instances[i]->modify_index);
    }
    return print;
}

static void retire(struct dns_view_source *source, struct dns_kept *kept)
{
    if (kept != NULL) {
        kept->next = source->retired;
        source->retired = kept;
    }
}

static void free_retired(struct dns_view_source *source)
{
    while (source->retired != NULL) {
        struct dns_kept *kept = source->retired;
        source->retired = kept->next;
        free(kept);
    }
}

/* Retires everything, so that names which are gone do not stay for ever. */
static int empty(struct dns_view_source *source, struct rc_table **table)
{
    size_t position = 0;
    struct dns_kept *kept;

    struct rc_table *fresh = rc_table_create(source->seed);
    if (fresh == NULL) {
        return RC_ENOMEM;
    }
    while ((kept = rc_table_next(*table, &position, NULL)) != NULL) {
        retire(source, kept);
    }
    rc_table_destroy(*table);
    *table = fresh;
    return RC_OK;
}

/* Puts `fresh` (NULL: memory is out) under `key`; returns it, or NULL if that failed. */
static struct dns_kept *replace(struct dns_view_source *source, struct rc_table **table,
                                struct rc_span key, struct dns_kept *fresh)
{
    void *old = NULL;

    if (fresh == NULL) {
        return NULL;
    }
    if (rc_table_count(*table) >= KEPT_MAX && empty(source, table) != RC_OK) {
        free(fresh);
        return NULL;
    }
    if (rc_table_put_bytes(*table, key.at, key.size, fresh, &old) != RC_OK) {
        free(fresh);
        return NULL;
    }
    retire(source, old);
    return fresh;
}

static void view_begin(void *context)
{
    free_retired(context);
}

static uint64_t view_index(void *context)
{
    const struct dns_view_source *source = context;
    return catalog_index(source->catalog, CATALOG_TOPIC_ALL, "");
}

static const struct dns_service *view_service(void *context, struct rc_span name)
{
    struct dns_view_source *source = context;
    uint64_t now = catalog_now(source);

    struct dns_kept *kept = rc_table_get_bytes(source->services, name.at, name.size);
    if (kept != NULL && kept->seen_at == now) {
        return &kept->service;
    }
    const struct catalog_name *found =
        catalog_name_find_bytes(source->catalog, name.at, name.size);
    if (found == NULL || !shows(source, DNS_VIEW_SERVICE, found->name)) {
        return NULL;
    }
    uint64_t print = mix(print_of_service(found), audience(source));
    if (kept == NULL || kept->print != print) {
        kept = replace(source, &source->services, name, keep_service(source, found));
        if (kept == NULL) {
            return NULL;
        }
        kept->print = print;
    }
    kept->seen_at = now;
    return &kept->service;
}

static const struct dns_node *view_node(void *context, struct rc_span name)
{
    struct dns_view_source *source = context;
    uint64_t now = catalog_now(source);

    struct dns_kept *kept = rc_table_get_bytes(source->nodes, name.at, name.size);
    if (kept != NULL && kept->seen_at == now) {
        return kept->nodes;
    }
    const struct catalog_node *found =
        catalog_node_find_bytes(source->catalog, name.at, name.size);
    if (found == NULL || !is_alive(found) || !shows(source, DNS_VIEW_NODE, found->name)) {
        return NULL;
    }
    uint64_t print = print_of_node(found);
    if (kept == NULL || kept->print != print) {
        kept = replace(source, &source->nodes, name, dns_keep_node(found));
        if (kept == NULL) {
            return NULL;
        }
        kept->print = print;
    }
    kept->seen_at = now;
    return kept->nodes;
}

/* A query that stands under its own name is carried out again when anything has changed; the names
 * that a template answers have no end, and who is near may change at any time: those are
 * carried out each time. */
static const struct dns_picked *view_query(void *context, struct rc_span name,
                                           enum dns_certainty *certainty)
{
    struct dns_view_source *source = context;

    *certainty = DNS_CERTAIN;
    const struct prepared_book *book =
        source->queries.book != NULL
            ? source->queries.book(source->queries.context, certainty)
            : NULL;
    if (book == NULL) {
        return NULL;
    }
    uint64_t now = mix(catalog_now(source), prepared_book_serial(book));
    struct dns_kept *kept = rc_table_get_bytes(source->answers, name.at, name.size);
    if (kept != NULL && kept->seen_at == now) {
        return &kept->picked;
    }
    enum dns_prepared_use use;
    const struct dns_prepared_ground ground = {source->catalog, book, &source->queries,
                                               &source->gate};
    kept = dns_prepared_keep(&ground, name, &use);
    if (kept == NULL) {
        return NULL;
    }
    if (use == DNS_PREPARED_ONCE) {
        retire(source, kept);
    } else {
        kept->seen_at = now;
        kept = replace(source, &source->answers, name, kept);
    }
    return kept != NULL ? &kept->picked : NULL;
}

/* The node that lives at the address of one that does not: a machine that came back under
 * another name. */
static const struct dns_node *view_successor_at(struct dns_view_source *source,
                                                const struct rc_address *ip)
{
    char text[RC_ADDRESS_TEXT_MAX];

    rc_address_format_ip(ip, text);
    for (size_t i = 0; i < catalog_node_count(source->catalog); i++) {
        const struct catalog_node *node = catalog_node_at(source->catalog, i);
        if (is_alive(node) && strcmp(node->address, text) == 0) {
            return view_node(source, rc_span_of(node->name));
        }
    }
    return NULL;
}

static const struct dns_node *view_node_at(void *context, const struct rc_address *ip)
{
    struct dns_view_source *source = context;

    const char *name = dns_reverse_node(source->reverse, ip);
    const struct dns_node *node =
        name == NULL ? NULL : view_node(context, rc_span_of(name));
    if (name != NULL && node == NULL) {
        node = view_successor_at(source, ip);
    }
    return node;
}

/* Of the service at that address, if the instance there may be used. */
static const char *view_service_at(void *context, const struct rc_address *ip)
{
    struct dns_view_source *source = context;

    const char *name = dns_reverse_service(source->reverse, ip);
    const struct dns_service *service =
        name == NULL ? NULL : view_service(context, rc_span_of(name));
    for (size_t i = 0; service != NULL && i < service->instance_count; i++) {
        if (service->instances[i].health != DNS_HEALTH_UNUSABLE &&
            rc_address_ip_equals(&service->instances[i].place.ip, ip)) {
            return service->name;
        }
    }
    return NULL;
}

/* Servers register a service of this name, as Consul's do. */
static const char *const server_services[] = {"rollcall", "consul"};

static size_t view_name_servers(void *context,
                                const struct dns_node *out[DNS_NAME_SERVERS_MAX])
{
    const struct dns_view_source *source = context;
    const struct catalog_node *previous = NULL;
    const struct catalog_name *name = NULL;
    size_t count = 0;

    for (size_t i = 0; i < 2 && name == NULL; i++) {
        name = catalog_name_find(source->catalog, server_services[i]);
    }
    for (size_t i = 0; name != NULL && i < name->instance_count; i++) {
        const struct catalog_node *node = name->instances[i]->node;
        if (count < DNS_NAME_SERVERS_MAX && node != previous && is_alive(node)) {
            out[count] = view_node(context, rc_span_of(node->name));
            count += out[count] != NULL ? 1 : 0;
        }
        previous = node;
    }
    if (count == 0) {
        out[0] = view_node(context, rc_span_of(catalog_self(source->catalog)->name));
        count = out[0] != NULL ? 1 : 0;
    }
    return count;
}

int dns_view_create(const struct catalog *catalog, const char *datacenter, uint64_t seed,
                    struct dns_view_source **out)
{
    struct dns_view_source *source = calloc(1, sizeof *source);

    if (source == NULL) {
        return RC_ENOMEM;
    }
    source->catalog = catalog;
    source->seed = seed;
    source->services = rc_table_create(seed);
    source->nodes = rc_table_create(seed);
    source->answers = rc_table_create(seed);
    source->reverse = dns_reverse_create(catalog, seed);
    if (source->services == NULL || source->nodes == NULL || source->answers == NULL ||
        source->reverse == NULL) {
        dns_view_destroy(source);
        return RC_ENOMEM;
    }
    source->view = (struct dns_view){.context = source,
                                     .datacenter = datacenter,
                                     .begin = view_begin,
                                     .service = view_service,
                                     .query = view_query,
                                     .node = view_node,
                                     .node_at = view_node_at,
                                     .service_at = view_service_at,
                                     .name_servers = view_name_servers,
                                     .index = view_index};
    *out = source;
    return RC_OK;
}

static void free_table(struct dns_view_source *source, struct rc_table *table)
{
    size_t position = 0;
    struct dns_kept *kept;

    while (table != NULL && (kept = rc_table_next(table, &position, NULL)) != NULL) {
        retire(source, kept);
    }
    rc_table_destroy(table);
}

void dns_view_destroy(struct dns_view_source *source)
{
    if (source == NULL) {
        return;
    }
    free_table(source, source->services);
    free_table(source, source->nodes);
    free_table(source, source->answers);
    free_retired(source);
    dns_reverse_destroy(source->reverse);
    free(source);
}

void dns_view_guard(struct dns_view_source *source, const struct dns_view_gate *gate)
{
    source->gate = *gate;
}

void dns_view_set_queries(struct dns_view_source *source,
                          const struct dns_view_queries *queries)
{
    source->queries = *queries;
}

const struct dns_view *dns_view_of(struct dns_view_source *source)
{
    return &source->view;
}
