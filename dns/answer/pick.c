#include "dns/answer/pick.h"

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

/* Tags may hold dots: then there are names in between, which exist with nothing there. */
static bool has_tag_below(const struct dns_instance *instance, struct rc_span tag)
{
    for (size_t i = 0; i < instance->tag_count; i++) {
        const char *text = instance->tags[i];
        size_t size = strlen(text);
        if (size > tag.size + 1 && text[size - tag.size - 1] == '.' &&
            rc_span_equals_nocase(tag, text + size - tag.size)) {
            return true;
        }
    }
    return false;
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

/* Chooses instance `i` if it is usable and has the tag; what is known of the tag then. */
static enum dns_existence judge(struct dns_pick *pick, size_t i, struct rc_span tag,
                                enum dns_strictness strictness,
                                enum dns_existence existence)
{
    const struct dns_instance *instance = &pick->instances[i];
    enum dns_existence found = DNS_EXISTENCE_NONE;

    if (has_tag(instance, tag)) {
        found = DNS_EXISTENCE_UNUSABLE;
        if (is_usable(instance, strictness)) {
            choose(pick, i);
            found = DNS_EXISTENCE_USABLE;
        }
    } else if (existence < DNS_EXISTENCE_BELOW && is_usable(instance, strictness) &&
               has_tag_below(instance, tag)) {
        found = DNS_EXISTENCE_BELOW;
    }
    return found > existence ? found : existence;
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
        existence = judge(pick, i, tag, strictness, existence);
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

void dns_pick_drop(struct dns_pick *pick)
{
    assert(pick->taken > 0);
    pick->taken--;
    pick->count--;
    memmove(&pick->order[pick->taken], &pick->order[pick->taken + 1],
            (pick->count - pick->taken) * sizeof pick->order[0]);
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

void dns_pick_rewind(struct dns_pick *pick)
{
    pick->taken = 0;
    dns_pick_forget(pick);
}

static size_t slot_of(const struct dns_pick *pick, const struct dns_place *place)
{
    const char *host = place->ip.family == RC_ADDRESS_NONE ? place->host : NULL;
    uint64_t halves[2];

    memcpy(halves, place->ip.ip, sizeof halves);
    for (; host != NULL && *host != '\0'; host++) {
        halves[0] =
            halves[0] * 31 + ((uint8_t)*host & 0x1fU); /* letters without their case */
    }
    /* Fibonacci hashing (Knuth, volume 3, section 6.4); nobody gains by collisions
     * here. */
    uint64_t hash = (halves[0] ^ halves[1] * 3) * 0x9e3779b97f4a7c15U;
    return (size_t)(hash >> 40) & (pick->seen_size - 1);
}

static bool same_host(const struct dns_place *a, const struct dns_place *b)
{
    return a->host == NULL || b->host == NULL ? a->host == b->host
                                              : rc_text_equals_nocase(a->host, b->host);
}

static bool are_same(const struct dns_instance *a, const struct dns_instance *b,
                     enum dns_sameness sameness)
{
    const struct dns_place *place = dns_instance_place(a);
    const struct dns_place *other = dns_instance_place(b);
    bool is_at_node = dns_instance_is_at_node(a);

    if (!rc_address_ip_equals(&place->ip, &other->ip)) {
        return false;
    }
    if (sameness == DNS_SAME_ADDRESS) {
        return true;
    }
    if (is_at_node != dns_instance_is_at_node(b) || (is_at_node && a->node != b->node)) {
        return false;
    }
    return sameness == DNS_SAME_TARGET ||
           (a->port == b->port && a->weight == b->weight && same_host(place, other));
}

bool dns_pick_is_new(struct dns_pick *pick, size_t i, enum dns_sameness sameness)
{
    const struct dns_instance *instance = dns_pick_taken(pick, i);
    const struct dns_place *place = dns_instance_place(instance);

    assert(place->ip.family != RC_ADDRESS_NONE || sameness == DNS_SAME_RECORD);
    size_t slot = slot_of(pick, place);
    while (pick->seen[slot] != 0) {
        if (are_same(instance, &pick->instances[pick->seen[slot] - 1U], sameness)) {
            return false;
        }
        slot = (slot + 1) & (pick->seen_size - 1);
    }
    pick->seen[slot] = (uint16_t)(pick->order[i] + 1);
    return true;
}
