#include "agent/dns_view.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "agent/catalog/catalog.h"
#include "agent/dns_reverse.h"
#include "base/err.h"
#include "base/table.h"

enum { KEPT_MAX = 16384 /* services, and as many nodes; then all start anew */ };

/* One service, or one node, in one allocation: this, then the arrays, then the texts. */
struct kept {
    struct kept *next; /* of those to be freed */
    uint64_t seen_at;  /* the catalog's index when this was last found to be current */
    uint64_t print;    /* of what it was made from */
    struct dns_service service;
    struct dns_node *nodes; /* the service's, or just the one */
};

struct dns_view_source {
    struct dns_view view;
    const struct catalog *catalog;
    uint64_t seed;
    struct rc_table *services;
    struct rc_table *nodes;
    struct dns_reverse *reverse;
    struct dns_view_gate gate;
    struct kept *retired; /* may be in use until the next answer begins */
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

struct sizes {
    size_t nodes;
    size_t metas;
    size_t tags;
    size_t bytes; /* of texts, with their NULs */
};

struct packer {
    struct dns_node *nodes;
    struct dns_meta *metas;
    const char **tags;
    char *text;
};

static size_t text_size(const char *text)
{
    return strlen(text) + 1;
}

static void measure_node(const struct catalog_node *node, struct sizes *sizes)
{
    sizes->nodes++;
    sizes->metas += node->meta_count;
    sizes->bytes += text_size(node->name) + text_size(node->address);
    for (size_t i = 0; i < node->meta_count; i++) {
        sizes->bytes += text_size(node->meta[i].key) + text_size(node->meta[i].value);
    }
}

static void measure_service(const struct catalog_name *name, struct sizes *sizes)
{
    const struct catalog_node *previous = NULL;

    sizes->bytes += text_size(name->name);
    for (size_t i = 0; i < name->instance_count; i++) {
        const struct catalog_service *service = name->instances[i];
        assert(service->node != NULL);
        if (service->node != previous) {
            measure_node(service->node, sizes);
            previous = service->node;
        }
        sizes->tags += service->tag_count;
        sizes->bytes += text_size(service->id) + text_size(service->address);
        for (size_t t = 0; t < service->tag_count; t++) {
            sizes->bytes += text_size(service->tags[t]);
        }
    }
}

static const char *pack_text(struct packer *packer, const char *text)
{
    char *place = packer->text;
    size_t size = text_size(text);

    memcpy(place, text, size);
    packer->text += size;
    return place;
}

static struct dns_place pack_place(struct packer *packer, const char *address)
{
    struct dns_place place = {.host = NULL};

    if (address[0] != '\0' && rc_address_parse_ip(address, 0, &place.ip) != RC_OK) {
        memset(&place.ip, 0, sizeof place.ip);
        place.host = pack_text(packer, address);
    }
    return place;
}

static const struct dns_node *pack_node(struct packer *packer,
                                        const struct catalog_node *node)
{
    struct dns_node *out = packer->nodes++;
    struct dns_meta *metas = packer->metas;

    packer->metas += node->meta_count;
    for (size_t i = 0; i < node->meta_count; i++) {
        metas[i].key = pack_text(packer, node->meta[i].key);
        metas[i].value = pack_text(packer, node->meta[i].value);
    }
    out->name = pack_text(packer, node->name);
    out->place = pack_place(packer, node->address);
    out->meta = metas;
    out->meta_count = node->meta_count;
    return out;
}

/* The tags that count now: all but a unique one that belongs to another instance. */
static size_t pack_tags(struct packer *packer, const struct catalog *catalog,
                        const struct catalog_service *service)
{
    size_t count = 0;

    for (size_t i = 0; i < service->tag_count; i++) {
        if (catalog_service_has_tag(catalog, service, service->tags[i])) {
            packer->tags[count++] = pack_text(packer, service->tags[i]);
        }
    }
    packer->tags += count;
    return count;
}

static enum dns_health health_of(const struct catalog_service *service)
{
    assert(service->node != NULL);
    if (!is_alive(service->node) || !catalog_service_is_usable(service)) {
        return DNS_HEALTH_UNUSABLE;
    }
    switch (catalog_service_health(service)) {
    case CHECK_PASSING:
        return DNS_HEALTH_PASSING;
    case CHECK_WARNING:
        return DNS_HEALTH_WARNING;
    case CHECK_CRITICAL:
    case CHECK_STATUS_COUNT:
        break;
    }
    return DNS_HEALTH_UNUSABLE;
}

static void pack_instance(struct packer *packer, const struct catalog *catalog,
                          const struct catalog_service *service, struct dns_instance *out)
{
    out->health = health_of(service);
    uint32_t weight = out->health == DNS_HEALTH_WARNING ? service->weight_warning
                                                        : service->weight_passing;
    out->weight = weight > UINT16_MAX ? UINT16_MAX : (uint16_t)weight;
    out->port = service->port;
    out->service_id = pack_text(packer, service->id);
    /* An address of its own that is the node's is no address of its own. */
    bool apart = strcmp(service->address, service->node->address) != 0;
    out->place = pack_place(packer, apart ? service->address : "");
    out->tags = packer->tags;
    out->tag_count = pack_tags(packer, catalog, service);
}

/* Lays the arrays out behind `kept`, the strictest alignment first. */
static struct kept *allocate(const struct sizes *sizes, size_t instance_count,
                             struct dns_instance **instances, struct packer *packer)
{
    size_t instances_size = instance_count * sizeof(struct dns_instance);
    size_t nodes_size = sizes->nodes * sizeof(struct dns_node);
    size_t metas_size = sizes->metas * sizeof(struct dns_meta);
    size_t tags_size = sizes->tags * sizeof(const char *);

    struct kept *kept = malloc(sizeof *kept + instances_size + nodes_size + metas_size +
                               tags_size + sizes->bytes);
    if (kept == NULL) {
        return NULL;
    }
    memset(kept, 0, sizeof *kept);
    *instances = (struct dns_instance *)(kept + 1);
    packer->nodes = (struct dns_node *)(*instances + instance_count);
    packer->metas = (struct dns_meta *)(packer->nodes + sizes->nodes);
    packer->tags = (const char **)(packer->metas + sizes->metas);
    packer->text = (char *)(packer->tags + sizes->tags);
    kept->nodes = packer->nodes;
    return kept;
}

static struct kept *keep_service(const struct dns_view_source *source,
                                 const struct catalog_name *name)
{
    const struct catalog_node *previous = NULL;
    const struct dns_node *node = NULL;
    struct sizes sizes = {.nodes = 0};
    struct dns_instance *instances;
    struct packer packer;

    measure_service(name, &sizes);
    struct kept *kept = allocate(&sizes, name->instance_count, &instances, &packer);
    if (kept == NULL) {
        return NULL;
    }
    kept->service.name = pack_text(&packer, name->name);
    kept->service.instances = instances;
    kept->service.instance_count = name->instance_count;
    for (size_t i = 0; i < name->instance_count; i++) {
        if (name->instances[i]->node != previous) {
            previous = name->instances[i]->node;
            node = pack_node(&packer, previous);
        }
        instances[i].node = node;
        pack_instance(&packer, source->catalog, name->instances[i], &instances[i]);
        if (!shows(source, DNS_VIEW_NODE, previous->name)) {
            instances[i].health = DNS_HEALTH_UNUSABLE;
        }
    }
    return kept;
}

static struct kept *keep_node(const struct catalog_node *node)
{
    struct sizes sizes = {.nodes = 0};
    struct dns_instance *none;
    struct packer packer;

    measure_node(node, &sizes);
    struct kept *kept = allocate(&sizes, 0, &none, &packer);
    if (kept != NULL) {
        (void)pack_node(&packer, node);
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

static void retire(struct dns_view_source *source, struct kept *kept)
{
    if (kept != NULL) {
        kept->next = source->retired;
        source->retired = kept;
    }
}

static void free_retired(struct dns_view_source *source)
{
    while (source->retired != NULL) {
        struct kept *kept = source->retired;
        source->retired = kept->next;
        free(kept);
    }
}

/* Retires everything, so that names which are gone do not stay for ever. */
static int empty(struct dns_view_source *source, struct rc_table **table)
{
    size_t position = 0;
    struct kept *kept;

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
static struct kept *replace(struct dns_view_source *source, struct rc_table **table,
                            struct rc_span key, struct kept *fresh)
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

    struct kept *kept = rc_table_get_bytes(source->services, name.at, name.size);
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

    struct kept *kept = rc_table_get_bytes(source->nodes, name.at, name.size);
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
        kept = replace(source, &source->nodes, name, keep_node(found));
        if (kept == NULL) {
            return NULL;
        }
        kept->print = print;
    }
    kept->seen_at = now;
    return kept->nodes;
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
    source->reverse = dns_reverse_create(catalog, seed);
    if (source->services == NULL || source->nodes == NULL || source->reverse == NULL) {
        dns_view_destroy(source);
        return RC_ENOMEM;
    }
    source->view = (struct dns_view){.context = source,
                                     .datacenter = datacenter,
                                     .begin = view_begin,
                                     .service = view_service,
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
    struct kept *kept;

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
    free_retired(source);
    dns_reverse_destroy(source->reverse);
    free(source);
}

void dns_view_guard(struct dns_view_source *source, const struct dns_view_gate *gate)
{
    source->gate = *gate;
}

const struct dns_view *dns_view_of(struct dns_view_source *source)
{
    return &source->view;
}
