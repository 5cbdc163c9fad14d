/* watch_uv.h - hears from an agent the moment something changes.
 *
 * One long poll after another (Consul's blocking queries): each answer carries the whole state
 * and an index to wait on; an index that goes back starts anew; errors are repeated
 * with growing pauses. */
#ifndef PROXY_DISCOVER_WATCH_UV_H
#define PROXY_DISCOVER_WATCH_UV_H

#include <uv.h>

#include "base/address.h"
#include "proxy/config/config.h"
#include "proxy/discover/watch_reply.h"

struct watch;

struct watch_options {
    uv_loop_t *loop;
    struct rc_address agent;
    struct watch_question question;
    uint32_t pause_max_ms; /* between two failures at most; 0 = 2 s */
    uint32_t every_ms; /* asked for so often, without an index; 0 = a blocking query */
    uint64_t seed;
    /* An answer (borrowed), asked for `age_ms` ago. NULL: it was taken; else what is wrong with it, in
     * words, and it counts as a failure. */
    const char *(*replied)(void *context, const struct watch_reply *reply,
                           uint64_t age_ms);
    /* No answer, or not one that was taken. */
    void (*failed)(void *context, const char *problem);
    void *context;
};

/* Neither is called from within watch_start or after watch_close. */

/* `options` is copied. NULL when memory is out. */
struct watch *watch_start(const struct watch_options *options);

/* How long one poll waits from now on. */
void watch_set_wait(struct watch *watch, uint32_t wait_ms);

/* Ends it; its memory goes with the last handle. NULL is allowed. */
void watch_close(struct watch *watch);

#endif
