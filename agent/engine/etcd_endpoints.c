/* etcd_endpoints.c - choosing a member. */
#include "agent/engine/etcd_endpoints.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

enum {
    DOWN_FIRST_MS = 250,
    DOWN_DOUBLINGS_MAX = 5,
    SLOW_FACTOR = 4,       /* so many times the best is slow, */
    SLOW_LEAST_US = 20000, /* when it is also so much more */
    SLOW_LOOKS = 3,
    WELL_LOOKS = 3
};

int etcd_endpoints_init(struct etcd_endpoints *endpoints, const char *const *urls,
                        size_t count)
{
    memset(endpoints, 0, sizeof *endpoints);
    if (count == 0 || count > ETCD_ENDPOINTS_MAX) {
        return RC_EINVAL;
    }
    for (size_t i = 0; i < count; i++) {
        const char *name = strstr(urls[i], "://");
        bool is_web = rc_text_starts_with(urls[i], "http://") ||
                      rc_text_starts_with(urls[i], "https://");
        if (!is_web || name[3] == '\0') {
            etcd_endpoints_fini(endpoints);
            return RC_EINVAL;
        }
        char *url = rc_text_copy(urls[i]);
        if (url == NULL) {
            etcd_endpoints_fini(endpoints);
            return RC_ENOMEM;
        }
        size_t size = strlen(url);
        if (url[size - 1] == '/') {
            url[size - 1] = '\0';
        }
        endpoints->items[endpoints->count++].url = url;
    }
    return RC_OK;
}

void etcd_endpoints_fini(struct etcd_endpoints *endpoints)
{
    for (size_t i = 0; i < endpoints->count; i++) {
        free(endpoints->items[i].url);
    }
    endpoints->count = 0;
}

size_t etcd_endpoints_pick(const struct etcd_endpoints *endpoints, uint32_t tried,
                           uint64_t now_ms)
{
    size_t best = endpoints->count;

    for (size_t step = 0; step < endpoints->count; step++) {
        size_t i = (endpoints->current + step) % endpoints->count;
        const struct etcd_endpoint *item = &endpoints->items[i];
        if ((tried & UINT32_C(1) << i) != 0) {
            continue;
        }
        if (item->down_until_ms <= now_ms) {
            return i;
        }
        if (best == endpoints->count ||
            item->down_until_ms < endpoints->items[best].down_until_ms) {
            best = i;
        }
    }
    return best;
}

void etcd_endpoints_report(struct etcd_endpoints *endpoints, size_t index,
                           enum etcd_verdict verdict, uint64_t now_ms)
{
    assert(index < endpoints->count);
    struct etcd_endpoint *item = &endpoints->items[index];

    if (verdict == ETCD_ANSWERED) {
        item->failures = 0;
        item->down_until_ms = 0;
        return;
    }
    item->well_looks = 0;
    if (item->down_until_ms > now_ms) {
        return; /* of a request that was under way when it first failed */
    }
    unsigned doublings =
        item->failures < DOWN_DOUBLINGS_MAX ? item->failures : DOWN_DOUBLINGS_MAX;
    item->failures++;
    item->down_until_ms = now_ms + ((uint64_t)DOWN_FIRST_MS << doublings);
    if (index == endpoints->current) {
        endpoints->current = etcd_endpoints_pick(endpoints, 0, now_ms);
    }
}

static uint64_t fastest_us(const struct etcd_endpoints *endpoints)
{
    uint64_t best = UINT64_MAX;

    for (size_t i = 0; i < endpoints->count; i++) {
        const struct etcd_endpoint *item = &endpoints->items[i];
        if (item->took_us != 0 && item->failures == 0 && item->took_us < best) {
            best = item->took_us;
        }
    }
    return best;
}

static bool is_slow(const struct etcd_endpoint *item, uint64_t best_us)
{
    return best_us != UINT64_MAX && item->took_us > best_us + SLOW_LEAST_US &&
           item->took_us / SLOW_FACTOR > best_us;
}

/* Whoever asks elsewhere depends on another machine. */
static void go_home(struct etcd_endpoints *endpoints)
{
    struct etcd_endpoint *home = &endpoints->items[0];

    if (endpoints->current != 0 && home->well_looks >= WELL_LOOKS) {
        home->failures = 0;
        home->down_until_ms = 0;
        endpoints->current = 0;
    }
}

void etcd_endpoints_looked(struct etcd_endpoints *endpoints, size_t index,
                           uint64_t took_us)
{
    assert(index < endpoints->count);
    struct etcd_endpoint *item = &endpoints->items[index];

    took_us = took_us > 0 ? took_us : 1;
    item->took_us = item->took_us == 0 ? took_us : (item->took_us * 3 + took_us) / 4;
    uint64_t best = fastest_us(endpoints);
    bool slow = is_slow(item, best);
    item->well_looks = slow ? 0 : item->well_looks + 1;
    if (index != endpoints->current) {
        go_home(endpoints);
        return;
    }
    item->slow_looks = slow ? item->slow_looks + 1 : 0;
    if (item->slow_looks < SLOW_LOOKS) {
        return;
    }
    item->slow_looks = 0;
    for (size_t i = 0; i < endpoints->count; i++) {
        if (endpoints->items[i].took_us == best && endpoints->items[i].failures == 0) {
            endpoints->current = i;
        }
    }
}
