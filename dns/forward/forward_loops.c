#include "dns/forward/forward_loops.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/table.h"

/* NONCE.INSTANCE.rollcall-loop-probe: no such domain is registered or can be. */
static const char suffix[] = "rollcall-loop-probe";

enum { HEX_SIZE = 16, LABELS = 3, PROBE_TEXT_MAX = 64 };

struct slot {
    _Atomic uint64_t server; /* hash of its address; 0: free. Never changes again */
    _Atomic uint64_t nonce;
    atomic_bool has_arrived;
    atomic_bool is_looping;
};

struct dns_loops {
    uint64_t instance;
    atomic_bool has_leader;
    atomic_bool is_wanted;
    struct slot slots[DNS_LOOPS_SERVERS_MAX];
};

struct dns_loops *dns_loops_create(uint64_t instance)
{
    struct dns_loops *loops = calloc(1, sizeof *loops);

    if (loops != NULL) {
        loops->instance = instance;
    }
    return loops;
}

void dns_loops_destroy(struct dns_loops *loops)
{
    free(loops);
}

bool dns_loops_lead(struct dns_loops *loops)
{
    return !atomic_exchange(&loops->has_leader, true);
}

void dns_loops_give_up(struct dns_loops *loops)
{
    atomic_store(&loops->has_leader, false);
}

static uint64_t hash_of(const struct dns_loops *loops, const struct rc_address *server)
{
    uint8_t bytes[sizeof server->ip + 3];

    memcpy(bytes, server->ip, sizeof server->ip);
    bytes[sizeof server->ip] = (uint8_t)server->family;
    bytes[sizeof server->ip + 1] = (uint8_t)(server->port >> 8);
    bytes[sizeof server->ip + 2] = (uint8_t)server->port;
    uint64_t hash = rc_hash(bytes, sizeof bytes, loops->instance);
    return hash == 0 ? 1 : hash;
}

static const struct slot *find(const struct dns_loops *loops, uint64_t hash)
{
    for (size_t i = 0; i < DNS_LOOPS_SERVERS_MAX; i++) {
        const struct slot *slot = &loops->slots[(hash + i) % DNS_LOOPS_SERVERS_MAX];
        uint64_t server = atomic_load_explicit(&slot->server, memory_order_acquire);
        if (server == hash) {
            return slot;
        }
        if (server == 0) {
            return NULL;
        }
    }
    return NULL;
}

/* The slot of a server, made if need be; NULL when there are too many. */
static struct slot *claim(struct dns_loops *loops, uint64_t hash)
{
    for (size_t i = 0; i < DNS_LOOPS_SERVERS_MAX; i++) {
        struct slot *slot = &loops->slots[(hash + i) % DNS_LOOPS_SERVERS_MAX];
        uint64_t free_slot = 0;
        if (atomic_compare_exchange_strong(&slot->server, &free_slot, hash) ||
            free_slot == hash) {
            return slot;
        }
    }
    return NULL;
}

void dns_loops_probe(struct dns_loops *loops, const struct rc_address *server,
                     uint64_t nonce, struct dns_name *out)
{
    struct slot *slot = claim(loops, hash_of(loops, server));
    char text[PROBE_TEXT_MAX];

    if (slot != NULL) {
        atomic_store(&slot->has_arrived, false);
        atomic_store(&slot->nonce, nonce);
    }
    (void)snprintf(text, sizeof text, "%016" PRIx64 ".%016" PRIx64 ".%s", nonce,
                   loops->instance, suffix);
    int err = dns_name_from_text(text, out);
    assert(err == RC_OK);
}

/* A label of sixteen hexadecimal digits. */
static bool read_hex(struct rc_span label, uint64_t *out)
{
    char text[HEX_SIZE + 1];
    char *end;

    if (label.size != HEX_SIZE) {
        return false;
    }
    memcpy(text, label.at, HEX_SIZE);
    text[HEX_SIZE] = '\0';
    *out = strtoull(text, &end, 16);
    return end == text + HEX_SIZE;
}

bool dns_loops_arrived(struct dns_loops *loops, const struct dns_name *name)
{
    uint64_t nonce;
    uint64_t instance;

    if (name->label_count != LABELS ||
        !rc_span_equals_nocase(dns_name_label(name, LABELS - 1), suffix) ||
        !read_hex(dns_name_label(name, 0), &nonce) ||
        !read_hex(dns_name_label(name, 1), &instance) || instance != loops->instance) {
        return false;
    }
    for (size_t i = 0; i < DNS_LOOPS_SERVERS_MAX; i++) {
        struct slot *slot = &loops->slots[i];
        if (atomic_load(&slot->server) != 0 && atomic_load(&slot->nonce) == nonce) {
            atomic_store(&slot->has_arrived, true);
        }
    }
    return true;
}

enum dns_loops_news dns_loops_settle(struct dns_loops *loops,
                                     const struct rc_address *server)
{
    struct slot *slot = claim(loops, hash_of(loops, server));

    if (slot == NULL) {
        return DNS_LOOPS_AS_BEFORE;
    }
    bool has_arrived = atomic_load(&slot->has_arrived);
    bool was_looping = atomic_exchange(&slot->is_looping, has_arrived);
    if (was_looping == has_arrived) {
        return DNS_LOOPS_AS_BEFORE;
    }
    return has_arrived ? DNS_LOOPS_BEGAN : DNS_LOOPS_ENDED;
}

bool dns_loops_has(const struct dns_loops *loops, const struct rc_address *server)
{
    const struct slot *slot = find(loops, hash_of(loops, server));

    return slot != NULL && atomic_load_explicit(&slot->is_looping, memory_order_relaxed);
}

void dns_loops_want(struct dns_loops *loops)
{
    atomic_store_explicit(&loops->is_wanted, true, memory_order_relaxed);
}

bool dns_loops_take_wish(struct dns_loops *loops)
{
    return atomic_exchange(&loops->is_wanted, false);
}
