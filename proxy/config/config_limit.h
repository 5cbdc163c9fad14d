/* config_limit.h - `limit ...` of a listener or a route: how much one client may ask for. */
#ifndef PROXY_CONFIG_CONFIG_LIMIT_H
#define PROXY_CONFIG_CONFIG_LIMIT_H

#include <stddef.h>
#include <stdint.h>

enum {
    CONFIG_LIMITS_MAX = 4, /* in one place */
    CONFIG_LIMIT_HEADER_MAX = 64
};

enum config_limit_kind {
    CONFIG_LIMIT_RATE,        /* http: requests, else connections, in a period */
    CONFIG_LIMIT_CONCURRENT,  /* http: requests at once */
    CONFIG_LIMIT_CONNECTIONS, /* connections at once; of a listener only */
    CONFIG_LIMIT_KIND_COUNT
};

enum config_period { CONFIG_PER_SECOND, CONFIG_PER_MINUTE, CONFIG_PER_HOUR };

struct config_limit {
    enum config_limit_kind kind;
    enum config_period period;            /* RATE */
    uint32_t count;                       /* in a period, or at once */
    uint32_t burst;                       /* RATE: at once, after a pause */
    char header[CONFIG_LIMIT_HEADER_MAX]; /* who counts as one; "" = the source */
    uint32_t number;                      /* unique: 0 to config.limit_count - 1 */
};

struct config_limits {
    struct config_limit items[CONFIG_LIMITS_MAX];
    size_t count;
};

/* How long one of `count` takes, in us: at least 1. */
uint64_t config_limit_interval_us(const struct config_limit *limit);

const char *config_limit_kind_name(enum config_limit_kind kind); /* "rate" */

#endif
