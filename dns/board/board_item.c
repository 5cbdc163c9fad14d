#include "dns/board/board_item.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What is to be laid out behind an item. */
struct sizes {
    size_t instances;
    size_t metas;
    size_t tags;
    size_t bytes; /* of texts and the key, with their NULs */
};

/* Where the next of each goes. */
struct packer {
    struct dns_instance *instances;
    struct dns_meta *metas;
    const char **tags;
    char *text;
};

size_t board_fold(const char *name, char space[DNS_BOARD_NAME_MAX + 1])
{
    size_t size = strlen(name);

    if (size > DNS_BOARD_NAME_MAX) {
        return 0;
    }
    for (size_t i = 0; i < size; i++) {
        bool is_upper = name[i] >= 'A' && name[i] <= 'Z';
        space[i] = (char)(is_upper ? name[i] - 'A' + 'a' : name[i]);
    }
    space[size] = '\0';
    return size;
}

/* ---- How much it takes. */

static size_t text_size(const char *text)
{
    return text == NULL ? 0 : strlen(text) + 1;
}

static bool same_metas(const struct dns_meta *a, const struct dns_meta *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(a[i].key, b[i].key) != 0 || strcmp(a[i].value, b[i].value) != 0) {
            return false;
        }
    }
    return true;
}

static bool same_tags(const struct dns_instance *a, const struct dns_instance *b)
{
    bool same = a->tag_count == b->tag_count;

    for (size_t i = 0; same && i < a->tag_count; i++) {
        same = strcmp(a->tags[i], b->tags[i]) == 0;
    }
    return same;
}

static bool same_meta(const struct dns_instance *a, const struct dns_instance *b)
{
    return a->meta_count == b->meta_count && same_metas(a->meta, b->meta, a->meta_count);
}

static void measure_metas(const struct dns_meta *metas, size_t count, struct sizes *sizes)
{
    sizes->metas += count;
    for (size_t i = 0; i < count; i++) {
        sizes->bytes += text_size(metas[i].key) + text_size(metas[i].value);
    }
}

/* Instances of one service are much alike: what one has like the one before it is there
 * once. `previous` is NULL for the first. */
static void measure_instance(const struct dns_instance *instance,
                             const struct dns_instance *previous, const char *name,
                             struct sizes *sizes)
{
    if (strcmp(instance->service_id, name) != 0) {
        sizes->bytes += text_size(instance->service_id);
    }
    sizes->bytes += text_size(instance->place.host);
    if (previous == NULL || !same_tags(instance, previous)) {
        sizes->tags += instance->tag_count;
        for (size_t i = 0; i < instance->tag_count; i++) {
            sizes->bytes += text_size(instance->tags[i]);
        }
    }
    if (previous == NULL || !same_meta(instance, previous)) {
        measure_metas(instance->meta, instance->meta_count, sizes);
    }
}

/* ---- And where it goes. */

static const char *pack_text(struct packer *packer, const char *text)
{
    char *place = packer->text;
    size_t size = text_size(text);

    if (text == NULL) {
        return NULL;
    }
    memcpy(place, text, size);
    packer->text += size;
    return place;
}

static const struct dns_meta *pack_metas(struct packer *packer,
                                         const struct dns_meta *metas, size_t count)
{
    struct dns_meta *out = packer->metas;

    packer->metas += count;
    for (size_t i = 0; i < count; i++) {
        out[i].key = pack_text(packer, metas[i].key);
        out[i].value = pack_text(packer, metas[i].value);
    }
    return count > 0 ? out : NULL;
}

static const char *const *pack_tags(struct packer *packer,
                                    const struct dns_instance *instance)
{
    const char **out = packer->tags;

    packer->tags += instance->tag_count;
    for (size_t i = 0; i < instance->tag_count; i++) {
        out[i] = pack_text(packer, instance->tags[i]);
    }
    return instance->tag_count > 0 ? out : NULL;
}

static void pack_instance(struct packer *packer, const struct dns_instance *from,
                          const struct dns_instance *previous, const char *name)
{
    struct dns_instance *out = packer->instances++;

    *out = *from;
    out->service_id =
        strcmp(from->service_id, name) == 0 ? name : pack_text(packer, from->service_id);
    out->place.host = pack_text(packer, from->place.host);
    if (previous != NULL && same_tags(from, previous)) {
        out->tags = out[-1].tags;
    } else {
        out->tags = pack_tags(packer, from);
    }
    if (previous != NULL && same_meta(from, previous)) {
        out->meta = out[-1].meta;
    } else {
        out->meta = pack_metas(packer, from->meta, from->meta_count);
    }
    board_node_of(from->node)->references++;
}

static void pack_key(struct packer *packer, struct rc_span key, struct board_item *item)
{
    memcpy(packer->text, key.at, key.size);
    packer->text[key.size] = '\0';
    item->key = packer->text;
    item->key_size = (uint16_t)key.size;
    packer->text += key.size + 1;
}

/* An item of `head` bytes with the arrays behind it, the strictest alignment first. */
static void *allocate(size_t head, const struct sizes *sizes, struct packer *packer)
{
    static_assert(_Alignof(struct dns_instance) >= _Alignof(struct dns_meta) &&
                      _Alignof(struct dns_meta) >= _Alignof(const char *),
                  "arrays follow each other without gaps");
    char *at = malloc(head + sizes->instances * sizeof(struct dns_instance) +
                      sizes->metas * sizeof(struct dns_meta) +
                      sizes->tags * sizeof(const char *) + sizes->bytes);

    assert(head % _Alignof(struct dns_instance) == 0);
    if (at == NULL) {
        return NULL;
    }
    memset(at, 0, head);
    packer->instances = (struct dns_instance *)(at + head);
    packer->metas = (struct dns_meta *)(packer->instances + sizes->instances);
    packer->tags = (const char **)(packer->metas + sizes->metas);
    packer->text = (char *)(packer->tags + sizes->tags);
    return at;
}

/* ---- The items. */

struct board_node *board_node_create(const struct dns_node *from, struct rc_span key)
{
    struct sizes sizes = {.bytes = text_size(from->name) + text_size(from->place.host) +
                                   key.size + 1};
    struct packer packer;

    measure_metas(from->meta, from->meta_count, &sizes);
    struct board_node *node = allocate(sizeof *node, &sizes, &packer);
    if (node == NULL) {
        return NULL;
    }
    node->item.kind = BOARD_NODE;
    pack_key(&packer, key, &node->item);
    node->node = *from;
    node->node.name = pack_text(&packer, from->name);
    node->node.place.host = pack_text(&packer, from->place.host);
    node->node.meta = pack_metas(&packer, from->meta, from->meta_count);
    node->node.shelf = &node->shelf;
    return node;
}

struct board_service *board_service_create(const struct dns_service *from,
                                           struct rc_span key)
{
    struct sizes sizes = {.instances = from->instance_count,
                          .bytes = text_size(from->name) + key.size + 1};
    struct packer packer;

    for (size_t i = 0; i < from->instance_count; i++) {
        measure_instance(&from->instances[i], i > 0 ? &from->instances[i - 1] : NULL,
                         from->name, &sizes);
    }
    struct board_service *service = allocate(sizeof *service, &sizes, &packer);
    if (service == NULL) {
        return NULL;
    }
    service->item.kind = BOARD_SERVICE;
    pack_key(&packer, key, &service->item);
    service->service.name = pack_text(&packer, from->name);
    service->service.instances = packer.instances;
    service->service.instance_count = from->instance_count;
    service->service.shelf = &service->shelf;
    for (size_t i = 0; i < from->instance_count; i++) {
        pack_instance(&packer, &from->instances[i],
                      i > 0 ? &from->instances[i - 1] : NULL, service->service.name);
    }
    return service;
}

struct board_owner *board_owner_create(enum board_owner_kind kind, struct rc_span key)
{
    const struct sizes sizes = {.bytes = key.size + 1};
    struct packer packer;

    struct board_owner *owner = allocate(sizeof *owner, &sizes, &packer);
    if (owner == NULL) {
        return NULL;
    }
    owner->item.kind = BOARD_OWNER;
    pack_key(&packer, key, &owner->item);
    owner->kind = kind;
    return owner;
}

struct board_servers *board_servers_create(const struct dns_node *const *nodes,
                                           size_t count)
{
    struct board_servers *servers = calloc(1, sizeof *servers);

    if (servers == NULL) {
        return NULL;
    }
    servers->item.kind = BOARD_SERVERS;
    assert(count <= DNS_NAME_SERVERS_MAX);
    servers->count = count;
    for (size_t i = 0; i < count; i++) {
        servers->nodes[i] = nodes[i];
        board_node_of(nodes[i])->references++;
    }
    return servers;
}

static void drop_owner(struct board_owner *owner)
{
    if (owner != NULL && --owner->references == 0) {
        free(owner);
    }
}

static void drop_node(struct board_node *node)
{
    assert(node->references > 0);
    if (--node->references == 0) {
        drop_owner(node->owner);
        dns_shelf_clear(&node->shelf);
        free(node);
    }
}

static void free_service(struct board_service *service)
{
    for (size_t i = 0; i < service->service.instance_count; i++) {
        drop_node(board_node_of(service->service.instances[i].node));
    }
    drop_owner(service->owner);
    dns_shelf_clear(&service->shelf);
    free(service);
}

static void free_servers(struct board_servers *servers)
{
    for (size_t i = 0; i < servers->count; i++) {
        drop_node(board_node_of(servers->nodes[i]));
    }
    free(servers);
}

void board_item_release(struct board_item *item)
{
    if (item == NULL) {
        return;
    }
    switch ((enum board_kind)item->kind) {
    case BOARD_NODE:
        drop_node((struct board_node *)item);
        break;
    case BOARD_SERVICE:
        free_service((struct board_service *)item);
        break;
    case BOARD_SERVERS:
        free_servers((struct board_servers *)item);
        break;
    case BOARD_ENDING:
    case BOARD_SLOTS:
        free(item);
        break;
    case BOARD_OWNER: /* goes with the last object that refers to it */
    case BOARD_KIND_COUNT:
        break;
    }
}
