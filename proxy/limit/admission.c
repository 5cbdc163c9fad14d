/* admission.c - see admission.h. */
#include "proxy/limit/admission.h"

enum refusal admission_judge(const struct config_listener *listener,
                             const struct limits *limits, const struct rc_address *peer,
                             uint64_t now_us, struct limit_grant *grant)
{
    uint64_t wait_us = 0;

    for (size_t i = 0; i < listener->limits.count; i++) {
        const struct config_limit *limit = &listener->limits.items[i];
        struct limit *table = limits->items[limit->number];
        uint64_t key = limit_key_of_source(table, peer);
        if (limit->kind == CONFIG_LIMIT_CONNECTIONS) {
            if (!limit_enter(table, key, limit->count, grant)) {
                return REFUSAL_SOURCE_CONNECTIONS;
            }
        } else if (listener->mode != CONFIG_HTTP && limit->kind == CONFIG_LIMIT_RATE) {
            const struct limit_rate rate = {config_limit_interval_us(limit),
                                            limit->burst};
            if (!limit_take(table, key, &rate, now_us, &wait_us)) {
                return REFUSAL_CONNECTION_RATE;
            }
        }
    }
    return REFUSAL_NONE;
}
