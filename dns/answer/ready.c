#include "dns/answer/ready.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

enum {
    A_SIZE = 16,    /* of a record owned by a pointer: 2 + 10 + 4 */
    AAAA_SIZE = 28, /* 2 + 10 + 16 */
    CHUNK = 16,
    POINTER = 0xc000,
    MADE_MAX = DNS_MESSAGE_MAX /* bytes of records: no answer holds more */
};

_Static_assert((int)DNS_READY_SLACK >= (int)CHUNK && AAAA_SIZE - A_SIZE <= (int)CHUNK,
               "copying in chunks stays within the slack");

/* An answer record, or which one an instance has. */
struct cell {
    uint16_t at;        /* where it is in `records` */
    uint16_t size;      /* bytes */
    uint16_t target_at; /* in the record: the SRV's target, for its addresses */
    uint16_t extra;     /* which of those; of an address, which of the different ones */
};

/* An address record; its owner is filled in when it is copied. */
struct extra {
    uint8_t bytes[AAAA_SIZE];
    uint32_t size;
};

struct dns_ready {
    struct dns_ready *next;
    uint16_t type;
    enum dns_strictness strictness;
    uint32_t ttl_s;
    enum dns_existence existence;
    bool is_for_answer_c; /* there is more to be done than to copy */
    size_t size;          /* bytes of all different records */
    size_t count;         /* of instances, in `cells` */
    size_t distinct;      /* of different answers */
    size_t extra_count;   /* in `extras` */
    struct extra *extras;
    struct cell *cells;
    uint8_t *records; /* and CHUNK bytes more */
    char *tag;
    size_t tag_size;
};

/* A list while it is made. */
struct draft {
    const struct dns_ready_key *key;
    struct dns_pick *pick;
    struct dns_reply reply;
    size_t size;
    size_t count;
    size_t distinct;
    size_t extra_count;
    struct cell cells[DNS_READY_RECORDS_MAX];
    struct extra extras[DNS_READY_RECORDS_MAX];
    const struct dns_instance *extra_of[DNS_READY_RECORDS_MAX];
    uint8_t space[MADE_MAX];
};

void dns_shelf_clear(struct dns_shelf *shelf)
{
    struct dns_ready *ready = atomic_exchange(&shelf->first, NULL);

    while (ready != NULL) {
        struct dns_ready *next = ready->next;
        free(ready);
        ready = next;
    }
}

static bool has_family(const struct rc_address *ip, uint16_t type)
{
    return ip->family == (type == DNS_TYPE_A ? RC_ADDRESS_IPV4 : RC_ADDRESS_IPV6);
}

/* The earlier record with the same address. */
static size_t find_address(const struct draft *draft, size_t taken,
                           const struct rc_address *ip)
{
    size_t cell = 0;

    for (size_t i = 0; i < taken; i++) {
        const struct rc_address *other =
            &dns_instance_place(dns_pick_taken(draft->pick, i))->ip;
        if (rc_address_ip_equals(ip, other)) {
            return cell;
        }
        cell += has_family(other, draft->key->type) ? 1 : 0;
    }
    return cell;
}

/* Every instance of the family has a cell, so that an address that several share comes
 * to the front as often as they would; only different ones are records. */
static int make_address(struct draft *draft, const struct rc_address *ip)
{
    struct dns_writer *writer = &draft->reply.writer;
    size_t taken = draft->pick->taken - 1;

    bool is_new = dns_pick_is_new(draft->pick, taken, DNS_SAME_ADDRESS);
    if (!has_family(ip, draft->key->type)) {
        return RC_OK;
    }
    struct cell *cell = &draft->cells[draft->count++];
    if (!is_new) {
        *cell = draft->cells[find_address(draft, taken, ip)];
        return RC_OK;
    }
    cell->extra = (uint16_t)draft->distinct++;
    cell->at = (uint16_t)dns_writer_at(writer);
    if (dns_reply_address(&draft->reply, DNS_SECTION_ANSWER, DNS_QUESTION_AT, ip,
                          draft->key->ttl_s) == DNS_PART_MISSING) {
        return RC_ETOOBIG;
    }
    cell->size = (uint16_t)(dns_writer_at(writer) - cell->at);
    return RC_OK;
}

static bool same_target(const struct dns_instance *a, const struct dns_instance *b)
{
    bool at_node = dns_instance_is_at_node(a);

    return at_node == dns_instance_is_at_node(b) && (!at_node || a->node == b->node) &&
           rc_address_ip_equals(&dns_instance_place(a)->ip, &dns_instance_place(b)->ip);
}

/* The address of what was taken as number `i`; an earlier one may have it. */
static int make_extra(struct draft *draft, size_t i, struct cell *cell)
{
    const struct dns_instance *instance = dns_pick_taken(draft->pick, i);
    struct dns_writer *writer = &draft->reply.writer;

    if (!dns_pick_is_new(draft->pick, i, DNS_SAME_TARGET)) {
        cell->extra = 0;
        while (!same_target(instance, draft->extra_of[cell->extra])) {
            cell->extra++;
        }
        return RC_OK;
    }
    struct extra *extra = &draft->extras[draft->extra_count];
    size_t before = dns_writer_at(writer);
    struct rc_writer mark = writer->bytes;
    if (dns_reply_address(&draft->reply, DNS_SECTION_ADDITIONAL, DNS_QUESTION_AT,
                          &dns_instance_place(instance)->ip,
                          draft->key->ttl_s) == DNS_PART_MISSING) {
        return RC_ETOOBIG;
    }
    extra->size = (uint32_t)(dns_writer_at(writer) - before);
    assert(extra->size <= sizeof extra->bytes);
    memcpy(extra->bytes, draft->space + before, extra->size);
    writer->bytes = mark; /* it is not kept among the answers */
    draft->extra_of[draft->extra_count] = instance;
    draft->size += extra->size;
    cell->extra = (uint16_t)draft->extra_count++;
    return RC_OK;
}

/* RC_ETOOBIG also without any name: a case for answer.c. */
static int make_srv(struct draft *draft, size_t i)
{
    struct dns_writer *writer = &draft->reply.writer;
    struct cell *cell = &draft->cells[draft->count++];
    size_t before = dns_writer_at(writer);
    size_t target_at;

    if (dns_reply_srv(&draft->reply, dns_pick_taken(draft->pick, i), draft->key->ttl_s,
                      &target_at) == DNS_PART_MISSING ||
        target_at == 0) {
        return RC_ETOOBIG;
    }
    draft->distinct++;
    cell->at = (uint16_t)before;
    cell->size = (uint16_t)(dns_writer_at(writer) - before);
    cell->target_at = (uint16_t)(target_at - before);
    return make_extra(draft, i, cell);
}

/* A set holds each record once (RFC 2181 section 5). */
static void drop_doubles(struct dns_pick *pick)
{
    struct rc_random random; /* not used: the order is kept */

    while (dns_pick_next(pick, &random) != NULL) {
        if (!dns_pick_is_new(pick, pick->taken - 1, DNS_SAME_RECORD)) {
            dns_pick_drop(pick);
        }
    }
    dns_pick_forget(pick);
}

/* Host names lead on, and what a silent node told may have to be marked as old. */
static bool is_plain(const struct dns_instance *instance)
{
    return dns_instance_place(instance)->ip.family != RC_ADDRESS_NONE &&
           !instance->node->is_silent;
}

/* RC_OK, or RC_ETOOBIG if this is nothing for us. */
static int make_records(struct draft *draft)
{
    struct dns_pick *pick = draft->pick;
    struct rc_random random; /* not used: the order is kept */
    int err = RC_OK;

    pick->order_wanted = DNS_ORDER_KEPT;
    if (draft->key->type == DNS_TYPE_SRV) {
        drop_doubles(pick);
    }
    for (size_t i = 0; i < pick->count && err == RC_OK; i++) {
        const struct dns_instance *instance =
            i < pick->taken ? dns_pick_taken(pick, i) : dns_pick_next(pick, &random);
        if (!is_plain(instance)) {
            return RC_ETOOBIG;
        }
        err = draft->key->type == DNS_TYPE_SRV
                  ? make_srv(draft, i)
                  : make_address(draft, &dns_instance_place(instance)->ip);
    }
    draft->size += dns_writer_at(&draft->reply.writer) - DNS_HEADER_SIZE;
    return err;
}

static struct dns_ready *keep(const struct draft *draft, enum dns_existence existence)
{
    const struct dns_ready_key *key = draft->key;
    size_t extras_size = draft->extra_count * sizeof(struct extra);
    size_t cells_size = draft->count * sizeof(struct cell);
    size_t records_size = dns_writer_at(&draft->reply.writer);

    struct dns_ready *ready = malloc(sizeof *ready + extras_size + cells_size +
                                     records_size + CHUNK + key->tag.size);
    if (ready == NULL) {
        return NULL;
    }
    memset(ready, 0, sizeof *ready);
    ready->type = key->type;
    ready->strictness = key->strictness;
    ready->ttl_s = key->ttl_s;
    ready->existence = existence;
    ready->size = draft->size;
    ready->count = draft->count;
    ready->distinct = draft->distinct;
    ready->extra_count = draft->extra_count;
    ready->tag_size = key->tag.size;
    ready->extras = (struct extra *)(ready + 1);
    ready->cells = (struct cell *)(ready->extras + draft->extra_count);
    ready->records = (uint8_t *)(ready->cells + draft->count);
    ready->tag = (char *)(ready->records + records_size + CHUNK);
    memcpy(ready->extras, draft->extras, extras_size);
    memcpy(ready->cells, draft->cells, cells_size);
    memcpy(ready->records, draft->space, records_size);
    memset(ready->records + records_size, 0, CHUNK);
    memcpy(ready->tag, key->tag.at, key->tag.size);
    return ready;
}

static struct dns_ready *make(const struct dns_ground *ground,
                              const struct dns_ready_key *key, struct dns_pick *pick,
                              enum dns_existence existence)
{
    static const struct dns_query question_left_out = {.question = DNS_PART_MISSING};
    static const struct dns_extras none = {0};

    struct draft *draft = malloc(sizeof *draft);
    if (draft == NULL) {
        return NULL;
    }
    draft->key = key;
    draft->pick = pick;
    draft->size = draft->count = draft->distinct = draft->extra_count = 0;
    draft->reply.ground = ground;
    draft->reply.query = &question_left_out;
    dns_writer_begin(&draft->reply.writer, &question_left_out, &none, draft->space,
                     sizeof draft->space, DNS_PART_PRESENT);
    int err = make_records(draft);
    if (err != RC_OK) {
        draft->count = draft->extra_count = 0;
    }
    struct dns_ready *ready = keep(draft, existence);
    if (ready != NULL) {
        ready->is_for_answer_c = err != RC_OK;
    }
    free(draft);
    return ready;
}

static bool is_for(const struct dns_ready *ready, const struct dns_ready_key *key)
{
    return ready->type == key->type && ready->ttl_s == key->ttl_s &&
           ready->strictness == key->strictness && ready->tag_size == key->tag.size &&
           (key->tag.size == 0 || memcmp(ready->tag, key->tag.at, key->tag.size) == 0);
}

/* Puts a list on the shelf, unless there are too many. Two threads may make the same one
 * at once; then there are two, and the later is found. */
static const struct dns_ready *publish(struct dns_shelf *shelf, struct dns_ready *ready)
{
    struct dns_ready *first = atomic_load_explicit(&shelf->first, memory_order_relaxed);

    do {
        ready->next = first;
    } while (!atomic_compare_exchange_weak_explicit(
        &shelf->first, &first, ready, memory_order_release, memory_order_relaxed));
    return ready;
}

enum dns_existence dns_ready_get(const struct dns_ground *ground,
                                 const struct dns_service *service,
                                 const struct dns_ready_key *key, struct dns_pick *pick,
                                 const struct dns_ready **out)
{
    struct dns_shelf *shelf = service->shelf;
    struct rc_random random; /* not used for so few instances */
    size_t count = 0;

    *out = NULL;
    if (shelf == NULL || service->instance_count > DNS_READY_RECORDS_MAX) {
        return DNS_EXISTENCE_USABLE;
    }
    const struct dns_ready *found =
        atomic_load_explicit(&shelf->first, memory_order_acquire);
    while (found != NULL && !is_for(found, key)) {
        found = found->next;
        count++;
    }
    if (found == NULL) {
        enum dns_existence existence =
            dns_pick_begin(pick, service, key->tag, key->strictness, &random);
        if (count == DNS_READY_LISTS_MAX || existence == DNS_EXISTENCE_NONE ||
            existence == DNS_EXISTENCE_BELOW) {
            return existence;
        }
        struct dns_ready *ready = make(ground, key, pick, existence);
        if (ready == NULL) {
            return existence;
        }
        found = publish(shelf, ready);
    }
    *out = found->is_for_answer_c ? NULL : found;
    return found->existence;
}

size_t dns_ready_size(const struct dns_ready *ready)
{
    return ready->size;
}

/* A number below `bound`, the leading digits of a random fraction times it; what is left
 * of the fraction serves for the next. Two numbers up to 1 024 each out of 32 bits are
 * uneven by less than one part in 4 000. */
static uint32_t draw(uint32_t *fraction, size_t bound)
{
    uint64_t product = (uint64_t)*fraction * bound;

    *fraction = (uint32_t)product;
    return (uint32_t)(product >> 32);
}

/* 0 to `count` - 1 and up to three more, four at a time. */
static void count_up(uint16_t *order, size_t count)
{
    const uint16_t first[4] = {0, 1, 2, 3};
    uint64_t four;

    memcpy(&four, first, sizeof four);
    for (size_t i = 0; i < count; i += 4) {
        memcpy(order + i, &four, sizeof four);
        four += UINT64_C(0x0004000400040004);
    }
}

/* The shuffle of Fisher and Yates, as far as it is needed: `wanted` of `count` numbers. */
static void shuffle(struct dns_ready_space *space, size_t count, size_t wanted)
{
    uint16_t *order = space->order;

    count_up(order, count);
    wanted = wanted < count ? wanted : count - 1;
    for (size_t i = 0; i < wanted; i += 4) {
        uint64_t random = rc_random_next(space->random);
        uint32_t fractions[2] = {(uint32_t)random, (uint32_t)(random >> 32)};
        size_t end = i + 4 < wanted ? i + 4 : wanted;
        for (size_t k = i; k < end; k++) {
            size_t other = k + draw(&fractions[k & 1], count - k);
            uint16_t chosen = order[other];
            order[other] = order[k];
            order[k] = chosen;
        }
    }
}

static void copy_first(const struct dns_ready *ready, const uint16_t *order, size_t count,
                       uint8_t *out, size_t size)
{
    const uint8_t *records = ready->records + DNS_HEADER_SIZE;

    for (size_t i = 0; i < count; i++) {
        memcpy(out + i * size, records + order[i] * size, size);
    }
}

/* True for the first time that `number` is asked about. */
static bool is_first(struct dns_ready_space *space, size_t number)
{
    uint64_t bit = (uint64_t)1 << (number % 64);
    bool is_new = (space->seen[number / 64] & bit) == 0;

    space->seen[number / 64] |= bit;
    return is_new;
}

static void forget(struct dns_ready_space *space, size_t count)
{
    memset(space->seen, 0, (count + 63) / 64 * sizeof space->seen[0]);
}

static void copy_addresses(const struct dns_ready *ready, struct dns_ready_space *space,
                           struct dns_copy *copy)
{
    size_t size = ready->type == DNS_TYPE_A ? A_SIZE : AAAA_SIZE;
    size_t wanted = ready->distinct < copy->limit ? ready->distinct : copy->limit;
    size_t fitting = (copy->end - copy->at) / size;

    copy->is_cut = fitting < wanted ? DNS_YES : DNS_NO;
    wanted = fitting < wanted ? fitting : wanted;
    copy->answers = (uint16_t)wanted;
    uint8_t *out = copy->message + copy->at;
    copy->at += wanted * size;
    if (ready->distinct == ready->count) {
        shuffle(space, ready->count, wanted);
        if (size == A_SIZE) {
            copy_first(ready, space->order, wanted, out, A_SIZE);
        } else {
            copy_first(ready, space->order, wanted, out, AAAA_SIZE);
        }
        return;
    }
    shuffle(space, ready->count, ready->count);
    forget(space, ready->distinct);
    for (size_t i = 0; wanted > 0; i++) {
        const struct cell *cell = &ready->cells[space->order[i]];
        if (is_first(space, cell->extra)) {
            memcpy(out, ready->records + cell->at, size);
            out += size;
            wanted--;
        }
    }
}

static void copy_extras(const struct dns_ready *ready, struct dns_ready_space *space,
                        size_t start, struct dns_copy *copy)
{
    size_t at = start;

    forget(space, ready->extra_count);
    for (size_t i = 0; i < copy->answers; i++) {
        const struct cell *cell = &ready->cells[space->order[i]];
        const struct extra *extra = &ready->extras[cell->extra];
        uint8_t *out = copy->message + copy->at;
        size_t owner = POINTER | (at + cell->target_at);
        at += cell->size;
        if (!is_first(space, cell->extra)) {
            continue;
        }
        if (extra->size > copy->end - copy->at) {
            return;
        }
        memcpy(out, extra->bytes, sizeof extra->bytes);
        out[0] = (uint8_t)(owner >> 8);
        out[1] = (uint8_t)owner;
        copy->at += extra->size;
        copy->additional++;
    }
}

static void copy_targets(const struct dns_ready *ready, struct dns_ready_space *space,
                         struct dns_copy *copy)
{
    size_t start = copy->at;
    size_t wanted = ready->count < copy->limit ? ready->count : copy->limit;

    shuffle(space, ready->count, wanted);
    for (size_t i = 0; i < wanted; i++) {
        const struct cell *cell = &ready->cells[space->order[i]];
        uint8_t *out = copy->message + copy->at;
        const uint8_t *record = ready->records + cell->at;
        if (cell->size > copy->end - copy->at) {
            copy->is_cut = DNS_YES;
            break;
        }
        for (size_t k = 0; k < cell->size; k += CHUNK) {
            memcpy(out + k, record + k, CHUNK);
        }
        copy->at += cell->size;
        copy->answers++;
    }
    copy_extras(ready, space, start, copy);
}

void dns_ready_copy(const struct dns_ready *ready, struct dns_ready_space *space,
                    struct dns_copy *copy)
{
    assert(copy->at <= copy->end);
    copy->answers = 0;
    copy->additional = 0;
    copy->is_cut = DNS_NO;
    if (ready->type == DNS_TYPE_SRV) {
        copy_targets(ready, space, copy);
    } else {
        copy_addresses(ready, space, copy);
    }
}
