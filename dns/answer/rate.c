#include "dns/answer/rate.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/writer.h"

enum {
    HALF = DNS_RATE_ENTRIES / 2, /* a network has one bucket in each */
    OVER_BITS = 8,               /* of a bucket: how many were over the limit */
    OVER_MASK = (1 << OVER_BITS) - 1,
    US_PER_MS = 1000,
    US_PER_S = 1000 * 1000,
    INPUT_MAX = 1 + 16
};

struct dns_rate {
    struct dns_rate_options options;
    uint8_t key[RC_SIPHASH_KEY_SIZE];
    /* When it will be full again, in microseconds, above OVER_BITS of counting. */
    _Atomic uint64_t buckets[DNS_RATE_ENTRIES];
};

void dns_rate_options_init(struct dns_rate_options *options)
{
    memset(options, 0, sizeof *options);
    options->per_second[DNS_RATE_ANSWERS] = 200;
    options->per_second[DNS_RATE_NXDOMAIN] = 50;
    options->per_second[DNS_RATE_ERRORS] = 50;
    options->slip = 2;
}

int dns_rate_create(const struct dns_rate_options *options,
                    const uint8_t key[RC_SIPHASH_KEY_SIZE], struct dns_rate **out)
{
    struct dns_rate *rate = calloc(1, sizeof *rate);

    assert(options->exempt_count <= DNS_RATE_EXEMPT_MAX);
    if (rate == NULL) {
        return RC_ENOMEM;
    }
    rate->options = *options;
    memcpy(rate->key, key, sizeof rate->key);
    *out = rate;
    return RC_OK;
}

void dns_rate_destroy(struct dns_rate *rate)
{
    free(rate);
}

/* The two buckets of a network and class. */
static void find(struct dns_rate *rate, const struct rc_address *peer,
                 enum dns_rate_class class, _Atomic uint64_t *out[2])
{
    size_t prefix_size =
        (peer->family == RC_ADDRESS_IPV4 ? DNS_RATE_BITS_IPV4 : DNS_RATE_BITS_IPV6) / 8;
    uint8_t input[INPUT_MAX];
    uint8_t hash[RC_SIPHASH_SIZE];
    struct rc_writer writer = rc_writer_over(input, sizeof input);

    rc_writer_u8(&writer, (uint8_t) class);
    rc_writer_bytes(&writer, peer->ip, prefix_size);
    rc_siphash(rate->key, input, rc_writer_size(&writer), hash);
    out[0] = &rate->buckets[((size_t)hash[0] << 8 | hash[1]) % HALF];
    out[1] = &rate->buckets[HALF + ((size_t)hash[2] << 8 | hash[3]) % HALF];
}

/* Takes one out of a bucket; 0: it is empty. The bucket needs `each_us` to get it back. */
static int take(_Atomic uint64_t *bucket, uint64_t now_us, uint64_t each_us)
{
    uint64_t word = atomic_load_explicit(bucket, memory_order_relaxed);
    uint64_t full_us;

    do {
        full_us = word >> OVER_BITS;
        full_us = (full_us > now_us ? full_us : now_us) + each_us;
        if (full_us > now_us + (uint64_t)DNS_RATE_BURST_S * US_PER_S) {
            return 0;
        }
    } while (!atomic_compare_exchange_weak_explicit(
        bucket, &word, full_us << OVER_BITS | (word & OVER_MASK), memory_order_relaxed,
        memory_order_relaxed));
    return 1;
}

/* Counts one over the limit: the first, and from there on every `slip`-th one slips. */
static enum dns_rate_verdict refuse(_Atomic uint64_t *bucket, uint32_t slip)
{
    uint64_t word = atomic_load_explicit(bucket, memory_order_relaxed);
    uint64_t over;

    if (slip == 0) {
        return DNS_RATE_DROP;
    }
    do {
        over = word & OVER_MASK;
    } while (!atomic_compare_exchange_weak_explicit(
        bucket, &word, (word & ~(uint64_t)OVER_MASK) | (over + 1) % slip,
        memory_order_relaxed, memory_order_relaxed));
    return over % slip == 0 ? DNS_RATE_SLIP : DNS_RATE_DROP;
}

enum dns_rate_verdict dns_rate_judge(struct dns_rate *rate, const struct rc_address *peer,
                                     enum dns_rate_class class, uint64_t now_ms)
{
    const struct dns_rate_options *options = &rate->options;
    uint32_t per_second = options->per_second[class];
    _Atomic uint64_t *buckets[2];

    if (per_second == 0 || peer->family == RC_ADDRESS_NONE ||
        rc_address_is_loopback(peer) ||
        rc_network_has(options->exempt, options->exempt_count, peer)) {
        return DNS_RATE_PASS;
    }
    find(rate, peer, class, buckets);
    int first = take(buckets[0], now_ms * US_PER_MS, US_PER_S / per_second);
    int second = take(buckets[1], now_ms * US_PER_MS, US_PER_S / per_second);
    return first || second ? DNS_RATE_PASS : refuse(buckets[0], options->slip);
}
