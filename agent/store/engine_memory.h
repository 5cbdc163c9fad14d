/* engine_memory.h - an engine in memory, for tests: as reliable or as bad as is asked for.
 *
 * One truth, and any number of engines that are its clients, as several servers are of one etcd
 * cluster. Time is passed in. Without faults each call is done and answered in the next tick,
 * the follower first. With faults the seed decides what is late, refused, lost on the way
 * (done, not done, or done only after the answer), what the follower hears when, and when it
 * has to begin anew. */
#ifndef AGENT_STORE_ENGINE_MEMORY_H
#define AGENT_STORE_ENGINE_MEMORY_H

#include "agent/store/engine.h"

struct engine_memory;

/* Chances are of each call, in parts of a million. */
struct engine_memory_faults {
    uint32_t refused;      /* RC_EAGAIN, not done */
    uint32_t lost_done;    /* RC_EUNKNOWN, and it was done */
    uint32_t lost_undone;  /* RC_EUNKNOWN, and it was not */
    uint32_t lost_late;    /* RC_EUNKNOWN, and it is done some time after the answer */
    uint32_t gap;          /* of each time the follower is told: it begins anew */
    uint32_t delay_max_ms; /* each way */
    uint32_t lag_max_ms;   /* of the follower */
    uint32_t late_max_ms;  /* of lost_late, and of the end of a lease */
    bool is_full;          /* what would write a key is refused: RC_ENOSPC */
};

struct engine_memory_options {
    uint64_t seed;
    uint64_t lease_step_ms; /* 0: 1 */
    uint64_t lease_min_ms;
    uint64_t first_revision;
    uint64_t now_ms;
};

/* NULL when memory is out; `options` may be NULL. */
struct engine_memory *engine_memory_create(const struct engine_memory_options *options);

/* After all its clients were closed. NULL is allowed. */
void engine_memory_destroy(struct engine_memory *memory);

/* A client; ended by engine->class->close(), whose `on_closed` is called from inside. NULL
 * when memory is out. */
struct engine *engine_memory_connect(struct engine_memory *memory);

void engine_memory_set_faults(struct engine_memory *memory,
                              const struct engine_memory_faults *faults);

/* Nobody leads until then: what comes is refused, what was on the way may be lost; leases do
 * not end, and begin anew afterwards. */
void engine_memory_lose_leader(struct engine_memory *memory, uint64_t until_ms);

/* UINT64_MAX: nothing to do. */
uint64_t engine_memory_deadline_ms(const struct engine_memory *memory);
/* Does all that is due, and what was asked for before the call. */
void engine_memory_tick(struct engine_memory *memory, uint64_t now_ms);

/* The truth itself, for tests: false when there is no such key. */
bool engine_memory_peek(const struct engine_memory *memory, struct rc_pack_bytes key,
                        struct engine_item *out);
size_t engine_memory_count(const struct engine_memory *memory);
uint64_t engine_memory_revision(const struct engine_memory *memory);

#endif
