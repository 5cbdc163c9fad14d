/* query_copy.h - when an agent without a store asks a server for all prepared queries.
 *
 * DNS answers at once, so the definitions must be here before anybody asks. Once there is a server
 * they are fetched, and looked at again every quarter of an hour. While DNS is asked for
 * queries (QUERY_COPY_WANTED_MS from the last question on) a blocking query waits at the
 * server, so that each change is known at once; a pool that uses none pays next to nothing.
 * When servers are away the last copy stays. Pure. */
#ifndef AGENT_QUERY_COPY_H
#define AGENT_QUERY_COPY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"

enum {
    QUERY_COPY_WANTED_MS = 600 * 1000,
    QUERY_COPY_LOOK_MS =
        900 * 1000, /* and up to a third more, so that not all come at once */
    QUERY_COPY_SPREAD_MS = 2000, /* the first time, when a server has come */
    QUERY_COPY_APART_MS = 200,   /* between two requests */
    QUERY_COPY_RETRY_MS = 1000,  /* the first time; then twice as long, up to: */
    QUERY_COPY_RETRY_MAX_MS = 60 * 1000,
    QUERY_COPY_SURE_MS = 2000, /* an answer counts as the latest for so long */
    QUERY_COPY_TARGET_MAX = 64
};

struct query_copy {
    struct rc_random random;
    bool has_server;
    bool is_loaded;  /* a server has answered once */
    bool is_open;    /* a request is on its way */
    bool is_waiting; /* it is a blocking one */
    bool was_wanted; /* DNS has asked for a query */
    uint64_t wanted_ms;
    uint64_t asked_ms;
    uint64_t answered_ms;
    uint64_t retry_ms;
    uint64_t due_ms;
    uint64_t index;
};

void query_copy_init(struct query_copy *copy, uint64_t seed);

/* Whether the pool has a server now. */
enum query_copy_pool { QUERY_COPY_ALONE, QUERY_COPY_SERVED };
void query_copy_pool(struct query_copy *copy, uint64_t now_ms, enum query_copy_pool pool);

/* DNS was asked for a query. */
void query_copy_wanted(struct query_copy *copy, uint64_t now_ms);

/* Whether all definitions are known: what is not here is nowhere. */
bool query_copy_is_certain(const struct query_copy *copy, uint64_t now_ms);

/* When query_copy_take() is next due; UINT64_MAX: nothing is. */
uint64_t query_copy_due_ms(const struct query_copy *copy);

/* True: GET `target` now, then one of the two below. */
bool query_copy_take(struct query_copy *copy, uint64_t now_ms,
                     char target[QUERY_COPY_TARGET_MAX]);

/* The list has come, as of `index`; or something else has. */
void query_copy_answered(struct query_copy *copy, uint64_t now_ms, uint64_t index);
void query_copy_failed(struct query_copy *copy, uint64_t now_ms);

#endif
