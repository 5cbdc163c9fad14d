/* forward_cache.h - answers of other servers, kept for as long as they said.
 *
 * RFC 2308 for what does not exist, RFC 8767 for what is stale: an answer that ran out is
 * still kept for an hour, for the case that nobody can be asked. What was used longest ago
 * goes first when there are too many. Finding does not allocate. Pure. */
#ifndef DNS_FORWARD_FORWARD_CACHE_H
#define DNS_FORWARD_FORWARD_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "dns/forward/forward_key.h"
#include "dns/forward/forward_message.h"

enum {
    DNS_FORWARD_CACHE_ENTRIES = 10000,
    DNS_FORWARD_CACHE_BYTES = 16 * 1024 * 1024,
    DNS_FORWARD_STALE_MAX_MS = 3600 * 1000,
    DNS_FORWARD_RECHECK_MS = 5000 /* stale answers are given at once for so long */
};

struct dns_forward_cache;

enum dns_freshness {
    DNS_FRESHNESS_MISSING,
    DNS_FRESHNESS_FRESH,
    DNS_FRESHNESS_STALE,   /* to be used if nobody can be asked */
    DNS_FRESHNESS_FAILING, /* stale, and nobody could be asked a moment ago */
    DNS_FRESHNESS_COUNT
};

/* An empty cache of at most that size. NULL when memory is out. */
struct dns_forward_cache *dns_forward_cache_create(size_t entries_max, size_t bytes_max);
void dns_forward_cache_destroy(struct dns_forward_cache *cache); /* NULL is allowed */

/* What is kept under `key`: `*out` is borrowed until the next put. `*age_s` is for
 * dns_kept_write(). */
enum dns_freshness dns_forward_cache_find(struct dns_forward_cache *cache,
                                          const struct dns_forward_key *key,
                                          uint64_t now_ms, const struct dns_kept **out,
                                          int64_t *age_s);

/* Keeps a copy of `kept` for its time, if that is not 0. When memory is out or it is too big,
 * nothing is kept. */
void dns_forward_cache_put(struct dns_forward_cache *cache,
                           const struct dns_forward_key *key, const struct dns_kept *kept,
                           uint64_t now_ms);

/* Nobody could be asked: what is stale under `key` is FAILING for a while. */
void dns_forward_cache_failed(struct dns_forward_cache *cache,
                              const struct dns_forward_key *key, uint64_t now_ms);

size_t dns_forward_cache_count(const struct dns_forward_cache *cache);
size_t dns_forward_cache_bytes(const struct dns_forward_cache *cache);

#endif
