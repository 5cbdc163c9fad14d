#include "dns/forward/forward_cache.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS_MIN = 16, MS_PER_S = 1000 };

struct entry {
    struct entry *next; /* of the bucket */
    struct entry *newer;
    struct entry *older;
    uint64_t hash;
    uint64_t since_ms;
    uint64_t until_ms;
    uint64_t failing_until_ms;
    struct dns_kept kept;
    size_t bytes; /* of the whole entry */
    size_t key_size;
    uint8_t data[]; /* where TTLs are, records, key */
};

struct bucket {
    struct entry *first;
};

struct dns_forward_cache {
    struct bucket *buckets;
    size_t bucket_count; /* a power of two */
    struct entry *newest;
    struct entry *oldest;
    size_t count;
    size_t bytes;
    size_t entries_max;
    size_t bytes_max;
};

struct dns_forward_cache *dns_forward_cache_create(size_t entries_max, size_t bytes_max)
{
    struct dns_forward_cache *cache = calloc(1, sizeof *cache);

    if (cache == NULL) {
        return NULL;
    }
    cache->entries_max = entries_max;
    cache->bytes_max = bytes_max;
    cache->bucket_count = BUCKETS_MIN;
    while (cache->bucket_count < entries_max) {
        cache->bucket_count *= 2;
    }
    cache->buckets = calloc(cache->bucket_count, sizeof *cache->buckets);
    if (cache->buckets == NULL) {
        free(cache);
        return NULL;
    }
    return cache;
}

static struct entry **bucket_of(struct dns_forward_cache *cache, uint64_t hash)
{
    return &cache->buckets[hash & (cache->bucket_count - 1)].first;
}

static void unlink_age(struct dns_forward_cache *cache, struct entry *entry)
{
    *(entry->newer != NULL ? &entry->newer->older : &cache->newest) = entry->older;
    *(entry->older != NULL ? &entry->older->newer : &cache->oldest) = entry->newer;
}

static void link_newest(struct dns_forward_cache *cache, struct entry *entry)
{
    entry->newer = NULL;
    entry->older = cache->newest;
    *(entry->older != NULL ? &entry->older->newer : &cache->oldest) = entry;
    cache->newest = entry;
}

static void drop(struct dns_forward_cache *cache, struct entry *entry)
{
    struct entry **place = bucket_of(cache, entry->hash);

    while (*place != entry) {
        place = &(*place)->next;
    }
    *place = entry->next;
    unlink_age(cache, entry);
    assert(cache->count > 0 && cache->bytes >= entry->bytes);
    cache->count--;
    cache->bytes -= entry->bytes;
    free(entry);
}

void dns_forward_cache_destroy(struct dns_forward_cache *cache)
{
    if (cache == NULL) {
        return;
    }
    while (cache->oldest != NULL) {
        drop(cache, cache->oldest);
    }
    free(cache->buckets);
    free(cache);
}

static const uint8_t *key_of(const struct entry *entry)
{
    return entry->kept.records + entry->kept.size;
}

static struct entry *look_up(struct dns_forward_cache *cache,
                             const struct dns_forward_key *key)
{
    struct entry *entry = *bucket_of(cache, key->hash);

    while (entry != NULL && (entry->hash != key->hash || entry->key_size != key->size ||
                             memcmp(key_of(entry), key->bytes, key->size) != 0)) {
        entry = entry->next;
    }
    return entry;
}

enum dns_freshness dns_forward_cache_find(struct dns_forward_cache *cache,
                                          const struct dns_forward_key *key,
                                          uint64_t now_ms, const struct dns_kept **out,
                                          int64_t *age_s)
{
    struct entry *entry = look_up(cache, key);

    if (entry == NULL) {
        return DNS_FRESHNESS_MISSING;
    }
    bool is_fresh = now_ms < entry->until_ms;
    if (!is_fresh && (entry->kept.failure != DNS_EXTENDED_NONE ||
                      now_ms - entry->until_ms >= DNS_FORWARD_STALE_MAX_MS)) {
        drop(cache, entry);
        return DNS_FRESHNESS_MISSING;
    }
    if (entry != cache->newest) {
        unlink_age(cache, entry);
        link_newest(cache, entry);
    }
    *out = &entry->kept;
    /* A batch may be read a moment before what is put in meanwhile. */
    uint64_t age_ms = now_ms > entry->since_ms ? now_ms - entry->since_ms : 0;
    *age_s = is_fresh ? (int64_t)(age_ms / MS_PER_S) : DNS_FORWARD_AGE_STALE;
    if (is_fresh) {
        return DNS_FRESHNESS_FRESH;
    }
    return now_ms < entry->failing_until_ms ? DNS_FRESHNESS_FAILING : DNS_FRESHNESS_STALE;
}

static struct entry *copy(const struct dns_forward_key *key, const struct dns_kept *kept,
                          uint64_t now_ms, size_t bytes)
{
    size_t index_size = kept->record_count * sizeof *kept->ttl_at;
    struct entry *entry = malloc(bytes);

    if (entry == NULL) {
        return NULL;
    }
    memset(entry, 0, sizeof *entry);
    entry->hash = key->hash;
    entry->since_ms = now_ms;
    entry->until_ms = now_ms + (uint64_t)kept->ttl_s * MS_PER_S;
    entry->kept = *kept;
    entry->bytes = bytes;
    entry->key_size = key->size;
    entry->kept.ttl_at = (uint16_t *)(void *)entry->data;
    entry->kept.records = entry->data + index_size;
    if (kept->record_count > 0) {
        memcpy(entry->data, kept->ttl_at, index_size);
        memcpy(entry->data + index_size, kept->records, kept->size);
    }
    memcpy(entry->data + index_size + kept->size, key->bytes, key->size);
    return entry;
}

void dns_forward_cache_put(struct dns_forward_cache *cache,
                           const struct dns_forward_key *key, const struct dns_kept *kept,
                           uint64_t now_ms)
{
    size_t bytes = sizeof(struct entry) + kept->record_count * sizeof *kept->ttl_at +
                   kept->size + key->size;
    struct entry *old = look_up(cache, key);

    if (kept->ttl_s == 0 || bytes > cache->bytes_max) {
        return;
    }
    if (old != NULL) {
        drop(cache, old);
    }
    while (cache->count > 0 && (cache->count >= cache->entries_max ||
                                cache->bytes + bytes > cache->bytes_max)) {
        assert(cache->oldest->older == NULL);
        drop(cache, cache->oldest);
    }
    struct entry *entry = copy(key, kept, now_ms, bytes);
    if (entry == NULL) {
        return;
    }
    struct entry **bucket = bucket_of(cache, key->hash);
    entry->next = *bucket;
    *bucket = entry;
    link_newest(cache, entry);
    cache->count++;
    cache->bytes += bytes;
}

void dns_forward_cache_failed(struct dns_forward_cache *cache,
                              const struct dns_forward_key *key, uint64_t now_ms)
{
    struct entry *entry = look_up(cache, key);

    if (entry != NULL) {
        entry->failing_until_ms = now_ms + DNS_FORWARD_RECHECK_MS;
    }
}

size_t dns_forward_cache_count(const struct dns_forward_cache *cache)
{
    return cache->count;
}

size_t dns_forward_cache_bytes(const struct dns_forward_cache *cache)
{
    return cache->bytes;
}
