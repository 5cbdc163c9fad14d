/* rate.h - how many answers a network gets over UDP, so that we are no amplifier.
 *
 * Whoever asks over UDP can write another's address on the question. So each network (/24
 * of IPv4, /56 of IPv6) gets only so many answers of a class in a second; of what is over
 * it every second one is an answer without content that says "ask over TCP", which a real
 * client does, and the others are not sent. TCP and valid cookies (cookie.h) prove who asks
 * and are not limited, nor is the loopback.
 *
 * A fixed table of token buckets, each a single word: when the bucket will be full again.
 * Networks find theirs by a keyed hash, each two of them, and are over the limit when both
 * are empty, so that neither a flood from everywhere nor a chosen neighbour takes a
 * network's answers away. One table serves all threads, without locks. */
#ifndef DNS_ANSWER_RATE_H
#define DNS_ANSWER_RATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/network.h"
#include "base/siphash.h"

enum dns_rate_class {
    DNS_RATE_ANSWERS,
    DNS_RATE_NXDOMAIN,
    DNS_RATE_ERRORS,
    DNS_RATE_CLASS_COUNT
};

enum {
    DNS_RATE_ENTRIES = 64 * 1024,
    DNS_RATE_EXEMPT_MAX = 64,
    DNS_RATE_BITS_IPV4 = 24,
    DNS_RATE_BITS_IPV6 = 56,
    DNS_RATE_BURST_S =
        2, /* a network that was silent gets so many seconds' worth at once */
    DNS_RATE_PER_SECOND_MAX = 1000 * 1000,
    DNS_RATE_SLIP_MAX = 100
};

struct dns_rate_options {
    uint32_t per_second[DNS_RATE_CLASS_COUNT]; /* 0: no limit for that class */
    uint32_t slip; /* every so manieth answer over the limit slips; 0: none does */
    struct rc_network exempt[DNS_RATE_EXEMPT_MAX];
    size_t exempt_count;
};

/* 200 answers, 50 NXDOMAIN and 50 errors a second, every second one over it slips, nobody is
 * exempt. */
void dns_rate_options_init(struct dns_rate_options *options);

enum dns_rate_verdict {
    DNS_RATE_PASS,
    DNS_RATE_SLIP, /* over the limit: the client may hear that it should use TCP */
    DNS_RATE_DROP,
    DNS_RATE_VERDICT_COUNT
};

struct dns_rate;

/* A limiter that knows nobody. `options` is copied; `key` is one that nobody can guess.
 * RC_OK or RC_ENOMEM. */
int dns_rate_create(const struct dns_rate_options *options,
                    const uint8_t key[RC_SIPHASH_KEY_SIZE], struct dns_rate **out);
void dns_rate_destroy(struct dns_rate *rate); /* NULL is allowed */

/* Judges an answer of `class` to `peer` at `now_ms`, and counts it if it passes. May be called
 * by several threads at once. */
enum dns_rate_verdict dns_rate_judge(struct dns_rate *rate, const struct rc_address *peer,
                                     enum dns_rate_class class, uint64_t now_ms);

#endif
