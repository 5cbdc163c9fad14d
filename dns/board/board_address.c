#include "dns/board/board_address.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/table.h"

enum { KEY_SIZE = 17 /* family and IP */ };

static uint64_t hash_of(const struct board_addresses *addresses,
                        const struct rc_address *ip)
{
    uint8_t key[KEY_SIZE];

    key[0] = (uint8_t)ip->family;
    memcpy(key + 1, ip->ip, sizeof ip->ip);
    return rc_hash(key, sizeof key, addresses->seed) | 1U;
}

void board_address_begin(const struct board_addresses *addresses,
                         const struct rc_address *ip, struct board_probe *probe)
{
    board_probe_begin(probe, addresses->table, hash_of(addresses, ip));
}

const struct board_owner *board_address_next(struct board_probe *probe)
{
    return (const struct board_owner *)board_probe_next(probe);
}

static void come(const struct board_addresses *addresses, const struct rc_address *ip,
                 struct board_owner *owner)
{
    (void)board_table_add(addresses->table, addresses->epoch, hash_of(addresses, ip),
                          &owner->item);
}

static void go(const struct board_addresses *addresses, const struct rc_address *ip,
               const struct board_owner *owner)
{
    board_table_drop(addresses->table, hash_of(addresses, ip), &owner->item);
}

/* The owner of an object: that of the one before it, or a new one. NULL: memory is out. */
static struct board_owner *own(struct board_owner *before, enum board_owner_kind kind,
                               const struct board_item *item)
{
    struct board_owner *owner =
        before != NULL
            ? before
            : board_owner_create(kind, (struct rc_span){item->key, item->key_size});

    if (owner != NULL) {
        owner->references++;
    }
    return owner;
}

/* Where a node is to be found. */
static struct rc_address shown_at(const struct board_node *node)
{
    const struct rc_address nowhere = {.family = RC_ADDRESS_NONE};

    return node != NULL && node->shown == DNS_BOARD_SHOWN ? node->node.place.ip : nowhere;
}

void board_address_node(const struct board_addresses *addresses,
                        const struct board_node *before, struct board_node *now)
{
    const struct rc_address was = shown_at(before);
    const struct rc_address is = shown_at(now);
    struct board_owner *owner = before != NULL ? before->owner : NULL;

    if (now != NULL && (owner != NULL || is.family != RC_ADDRESS_NONE)) {
        owner = now->owner = own(owner, BOARD_OWNER_NODE, &now->item);
    }
    if (owner == NULL || rc_address_ip_equals(&was, &is)) {
        return;
    }
    if (is.family != RC_ADDRESS_NONE) {
        come(addresses, &is, owner);
    }
    if (was.family != RC_ADDRESS_NONE) {
        go(addresses, &was, owner);
    }
}

static bool same_places(const struct board_service *before,
                        const struct board_service *now)
{
    size_t count = before->service.instance_count;
    bool same = count == now->service.instance_count;

    for (size_t i = 0; same && i < count; i++) {
        same = rc_address_ip_equals(&before->service.instances[i].place.ip,
                                    &now->service.instances[i].place.ip);
    }
    return same;
}

static int order(const void *a, const void *b)
{
    const struct rc_address *one = a;
    const struct rc_address *other = b;

    return one->family != other->family ? (one->family < other->family ? -1 : 1)
                                        : memcmp(one->ip, other->ip, sizeof one->ip);
}

struct places {
    struct rc_address *items; /* in order, each once; to be freed */
    size_t count;
};

static size_t without_doubles(struct rc_address *items, size_t count)
{
    size_t kept = count > 0 ? 1 : 0;

    qsort(items, count, sizeof items[0], order);
    for (size_t i = 1; i < count; i++) {
        if (order(&items[i], &items[kept - 1]) != 0) {
            items[kept++] = items[i];
        }
    }
    return kept;
}

/* The addresses of its own that a service's instances have. RC_OK or RC_ENOMEM. */
static int places_of(const struct board_service *service, struct places *out)
{
    size_t max = service != NULL ? service->service.instance_count : 0;
    struct places places = {calloc(max + 1, sizeof(struct rc_address)), 0};

    if (places.items == NULL) {
        return RC_ENOMEM;
    }
    for (size_t i = 0; i < max; i++) {
        const struct rc_address *ip = &service->service.instances[i].place.ip;
        if (ip->family != RC_ADDRESS_NONE) {
            places.items[places.count++] = *ip;
        }
    }
    places.count = without_doubles(places.items, places.count);
    *out = places;
    return RC_OK;
}

/* Both are in order. */
static void move(const struct board_addresses *addresses, const struct places *was,
                 const struct places *is, struct board_owner *owner)
{
    size_t i = 0;
    size_t k = 0;

    while (i < was->count || k < is->count) {
        int sign = i == was->count  ? 1
                   : k == is->count ? -1
                                    : order(&was->items[i], &is->items[k]);
        if (sign < 0) {
            go(addresses, &was->items[i], owner);
        } else if (sign > 0) {
            come(addresses, &is->items[k], owner);
        }
        i += sign <= 0 ? 1 : 0;
        k += sign >= 0 ? 1 : 0;
    }
}

static void leave_all(const struct board_addresses *addresses,
                      const struct board_service *before, const struct board_owner *owner)
{
    for (size_t i = 0; before != NULL && i < before->service.instance_count; i++) {
        go(addresses, &before->service.instances[i].place.ip, owner);
    }
}

void board_address_service(const struct board_addresses *addresses,
                           const struct board_service *before, struct board_service *now)
{
    struct board_owner *owner = before != NULL ? before->owner : NULL;
    struct places was = {NULL, 0};
    struct places is = {NULL, 0};

    if (before != NULL && now != NULL && same_places(before, now)) {
        if (owner != NULL) {
            now->owner = own(owner, BOARD_OWNER_SERVICE, &now->item);
        }
        return;
    }
    int err = places_of(before, &was);
    if (err == RC_OK) {
        err = places_of(now, &is);
    }
    if (now != NULL && (owner != NULL || is.count > 0)) {
        owner = now->owner = own(owner, BOARD_OWNER_SERVICE, &now->item);
    }
    if (err == RC_OK && owner != NULL) {
        move(addresses, &was, &is, owner);
    } else if (owner != NULL) {
        leave_all(addresses, before, owner); /* nothing may lead to what goes */
    }
    free(was.items);
    free(is.items);
}
