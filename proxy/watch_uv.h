/* watch_uv.h - hears from an agent the moment a service changes.
 *
 * One long poll after another (Consul's blocking queries): each answer carries the whole set
 * and an index to wait on; an index that goes back starts anew; errors are repeated
 * with growing pauses. */
#ifndef PROXY_WATCH_UV_H
#define PROXY_WATCH_UV_H

#include <uv.h>

#include "proxy/lineup.h"

struct watch;

struct watch_options {
    uv_loop_t *loop;
    struct rc_address agent;
    char service[CONFIG_NAME_MAX];
    char tag[CONFIG_NAME_MAX];
    uint32_t wait_ms;
    uint64_t seed;
    /* FULL with the passing instances (borrowed), or FAILED with `problem` in words. Never
     * called from within watch_start or after watch_close. */
    void (*told)(void *context, enum lineup_verdict verdict,
                 const struct lineup_entry *entries, size_t count, const char *problem);
    void *context;
};

/* `options` is copied. NULL when memory is out. */
struct watch *watch_start(const struct watch_options *options);

/* Ends it; its memory goes with the last handle. NULL is allowed. */
void watch_close(struct watch *watch);

#endif
