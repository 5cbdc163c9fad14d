#include "dns/pick.h"

#include <assert.h>
#include <string.h>

const struct dns_place *dns_instance_place(const struct dns_instance *instance)
{
    return dns_instance_is_at_node(instance) ? &instance->node->place : &instance->place;
}

bool dns_instance_is_at_node(const struct dns_instance *instance)
{
    return instance->place.ip.family == RC_ADDRESS_NONE && instance->place.host == NULL;
}

static bool has_tag(const struct dns_instance *instance, struct rc_span tag)
{
    for (size_t i = 0; i < instance->tag_count; i++) {
        if (rc_span_equals_nocase(tag, instance->tags[i])) {
            return true;
        }
    }
    return tag.size == 0;
}

static bool is_usable(const struct dns_instance *instance, enum dns_strictness strictness)
{
    return instance->health == DNS_HEALTH_PASSING ||
           (instance->health == DNS_HEALTH_WARNING && strictness == DNS_ALLOW_WARNING);
}

static void choose(struct dns_pick *pick, size_t i)
{
    if (pick->count < DNS_PICK_MAX) {
        pick->order[pick->count++] = (uint16_t)i;
    }
}

enum dns_existence dns_pick_begin(struct dns_pick *pick,
                                  const struct dns_service *service, struct rc_span tag,
                                  enum dns_strictness strictness,
                                  struct rc_random *random)
{
    enum dns_existence existence = DNS_EXISTENCE_NONE;

    pick->count = 0;
    pick->taken = 0;
    pick->order_wanted = DNS_ORDER_SHUFFLED;
    if (service == NULL) {
        return existence;
    }
    /* `order` holds 16-bit indexes; the catalog's own limits are far below. */
    size_t total = service->instance_count;
    total = total > UINT16_MAX ? UINT16_MAX : total;
    size_t start = total > DNS_PICK_MAX ? (size_t)rc_random_below(random, total) : 0;
    pick->instances = service->instances;
    for (size_t n = 0; n < total; n++) {
        size_t i = start + n < total ? start + n : start + n - total;
        const struct dns_instance *instance = &service->instances[i];
        if (!has_tag(instance, tag)) {
            continue;
        }
        if (is_usable(instance, strictness)) {
            choose(pick, i);
            existence = DNS_EXISTENCE_USABLE;
        } else if (existence == DNS_EXISTENCE_NONE) {
            existence = DNS_EXISTENCE_UNUSABLE;
        }
    }
    dns_pick_forget(pick);
    return existence;
}

enum dns_existence dns_pick_begin_query(struct dns_pick *pick,
                                        const struct dns_picked *picked)
{
    pick->count = 0;
    pick->taken = 0;
    pick->order_wanted = picked->order;
    pick->instances = picked->service.instances;
    for (size_t i = 0; i < picked->service.instance_count; i++) {
        choose(pick, i);
    }
    dns_pick_forget(pick);
    return pick->count > 0 ? DNS_EXISTENCE_USABLE : DNS_EXISTENCE_UNUSABLE;
}

/* A number below `bound`, which is so small that the bias of one multiplication does not
 * matter for spreading load; a division would cost as much as the rest of a record. */
static size_t below(struct rc_random *random, size_t bound)
{
    return (size_t)((rc_random_next(random) >> 32) * (uint64_t)bound >> 32);
}

/* One step of the shuffle of Fisher and Yates: costs nothing for what is not taken. */
const struct dns_instance *dns_pick_next(struct dns_pick *pick, struct rc_random *random)
{
    if (pick->taken == pick->count) {
        return NULL;
    }
    size_t left = pick->count - pick->taken;
    bool shuffles = pick->order_wanted == DNS_ORDER_SHUFFLED && left > 1;
    size_t other = pick->taken + (shuffles ? below(random, left) : 0);
    uint16_t chosen = pick->order[other];
    pick->order[other] = pick->order[pick->taken];
    pick->order[pick->taken++] = chosen;
    return &pick->instances[chosen];
}

const struct dns_instance *dns_pick_taken(const struct dns_pick *pick, size_t i)
{
    assert(i < pick->taken);
    return &pick->instances[pick->order[i]];
}

void dns_pick_forget(struct dns_pick *pick)
{
    pick->seen_size = 4;
    while (pick->seen_size < 2 * pick->count) {
        pick->seen_size *= 2;
    }
    assert(pick->seen_size <= sizeof pick->seen / sizeof pick->seen[0]);
    memset(pick->seen, 0, pick->seen_size * sizeof pick->seen[0]);
}

static size_t slot_of(const struct dns_pick *pick, const struct rc_address *ip)
{
    uint64_t halves[2];

    memcpy(halves, ip->ip, sizeof halves);
    /* Fibonacci hashing (Knuth, volume 3, section 6.4); nobody gains by collisions
     * here. */
    uint64_t hash = (halves[0] ^ halves[1] * 3) * 0x9e3779b97f4a7c15U;
    return (size_t)(hash >> 40) & (pick->seen_size - 1);
}

bool dns_pick_is_new(struct dns_pick *pick, size_t i, enum dns_sameness sameness)
{
    const struct dns_instance *instance = dns_pick_taken(pick, i);
    const struct rc_address *ip = &dns_instance_place(instance)->ip;
    bool is_at_node = dns_instance_is_at_node(instance);

    assert(ip->family != RC_ADDRESS_NONE);
    size_t slot = slot_of(pick, ip);
    while (pick->seen[slot] != 0) {
        const struct dns_instance *other = &pick->instances[pick->seen[slot] - 1U];
        if (rc_address_ip_equals(ip, &dns_instance_place(other)->ip) &&
            (sameness == DNS_SAME_ADDRESS ||
             (is_at_node == dns_instance_is_at_node(other) &&
              (!is_at_node || instance->node == other->node)))) {
            return false;
        }
        slot = (slot + 1) & (pick->seen_size - 1);
    }
    pick->seen[slot] = (uint16_t)(pick->order[i] + 1);
    return true;
}
