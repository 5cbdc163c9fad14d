/* etcd_stage.h - an edge of the etcd engine made of arrays: what it sends is kept, what it is
 * answered is decided by the test, and time stands still until the test moves it. */
#ifndef TESTS_UNIT_ETCD_STAGE_H
#define TESTS_UNIT_ETCD_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/engine/etcd_ask.h"
#include "agent/engine/etcd_edge.h"
#include "base/buffer.h"

enum { STAGE_CALLS_MAX = 256 };

/* A request that was sent. */
struct etcd_call {
    struct etcd_request request; /* its body and texts are copies */
    struct rc_buffer body;
    char endpoint[64];
    char token[64];
    bool is_open;
    bool was_canceled;
};

struct etcd_stage {
    struct etcd_edge edge;
    uint64_t now_ms;
    uint64_t wake_at_ms; /* UINT64_MAX: not wished */
    void (*on_wake)(void *owner);
    void *owner;
    struct etcd_call calls[STAGE_CALLS_MAX];
    size_t count;
    size_t refuses; /* so many sendings fail for want of memory */
    void (*on_closed)(void *owner);
    void *closed_owner;
};

void stage_init(struct etcd_stage *stage);
void stage_fini(struct etcd_stage *stage);
/* Inits it, and who asks the first `members` of http://a:1, http://b:1 and http://c:1 over it,
 * for a second each. The test closes the asker and ends the endpoints. */
void stage_open(struct etcd_stage *stage, size_t members,
                struct etcd_endpoints *endpoints, struct etcd_asker *asker);

/* The oldest open call of `method` at `endpoint`; NULL for any endpoint. NULL: there is none. */
struct etcd_call *stage_find(struct etcd_stage *stage, const char *method,
                             const char *endpoint);
size_t stage_open_count(const struct etcd_stage *stage, const char *method);

/* Answers. `message` is cleared; NULL: an empty one. */
void stage_reply(struct etcd_call *call, struct rc_buffer *message);
void stage_refuse(struct etcd_call *call, int status, const char *text);
void stage_end(struct etcd_call *call, enum etcd_end end);
/* One message of a stream. */
void stage_tell(struct etcd_call *call, struct rc_buffer *message);

/* Lets time pass, waking the engine whenever it wished to be. */
void stage_run(struct etcd_stage *stage, uint64_t ms);

/* ---- messages of etcd ---------------------------------------------------------------- */

/* A response that has nothing but a header with `revision`. */
void stage_header(struct rc_buffer *out, uint64_t revision);
/* Adds a key to a RangeResponse. */
void stage_key(struct rc_buffer *out, const char *key, const char *value,
               uint64_t revision);
/* Adds an event to a WatchResponse; `value` NULL: the key was deleted. */
void stage_event(struct rc_buffer *out, const char *key, const char *value,
                 uint64_t revision);

#endif
