#include "agent/dns_keep.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

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

static void measure_service(const char *name,
                            const struct catalog_service *const *instances, size_t count,
                            struct sizes *sizes)
{
    const struct catalog_node *previous = NULL;

    sizes->bytes += text_size(name);
    for (size_t i = 0; i < count; i++) {
        const struct catalog_service *service = instances[i];
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
    out->is_silent = node->liveness == CATALOG_SUSPECT;
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
    if (service->node->liveness > CATALOG_LEAVING ||
        !catalog_service_is_usable(service)) {
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
static struct dns_kept *allocate(const struct sizes *sizes, size_t instance_count,
                                 struct dns_instance **instances, struct packer *packer)
{
    size_t instances_size = instance_count * sizeof(struct dns_instance);
    size_t nodes_size = sizes->nodes * sizeof(struct dns_node);
    size_t metas_size = sizes->metas * sizeof(struct dns_meta);
    size_t tags_size = sizes->tags * sizeof(const char *);

    struct dns_kept *kept = malloc(sizeof *kept + instances_size + nodes_size +
                                   metas_size + tags_size + sizes->bytes);
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

struct dns_kept *dns_keep_service(const struct catalog *catalog, const char *name,
                                  const struct catalog_service *const *from, size_t count)
{
    const struct catalog_node *previous = NULL;
    const struct dns_node *node = NULL;
    struct sizes sizes = {.nodes = 0};
    struct packer packer;
    struct dns_instance *instances;

    measure_service(name, from, count, &sizes);
    struct dns_kept *kept = allocate(&sizes, count, &instances, &packer);
    if (kept == NULL) {
        return NULL;
    }
    kept->instances = instances;
    kept->service.name = pack_text(&packer, name);
    kept->service.instances = instances;
    kept->service.instance_count = count;
    for (size_t i = 0; i < count; i++) {
        if (from[i]->node != previous) {
            previous = from[i]->node;
            node = pack_node(&packer, previous);
        }
        instances[i].node = node;
        pack_instance(&packer, catalog, from[i], &instances[i]);
    }
    return kept;
}

struct dns_kept *dns_keep_node(const struct catalog_node *node)
{
    struct sizes sizes = {.nodes = 0};
    struct dns_instance *none;
    struct packer packer;

    measure_node(node, &sizes);
    struct dns_kept *kept = allocate(&sizes, 0, &none, &packer);
    if (kept != NULL) {
        (void)pack_node(&packer, node);
    }
    return kept;
}
