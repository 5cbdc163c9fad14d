/* engine_memory_state.h - what the engine in memory is made of. */
#ifndef AGENT_STORE_ENGINE_MEMORY_STATE_H
#define AGENT_STORE_ENGINE_MEMORY_STATE_H

#include "agent/store/engine_memory.h"
#include "agent/store/mirror.h"
#include "base/random.h"

enum memory_kind {
    MEMORY_TXN,
    MEMORY_BARRIER,
    MEMORY_GRANT,
    MEMORY_KEEPALIVE,
    MEMORY_REVOKE
};

enum memory_stage { MEMORY_APPLY, MEMORY_ANSWER };

/* What becomes of a call, drawn when it is made. */
enum memory_fate {
    FATE_DONE,
    FATE_REFUSED,
    FATE_LOST_DONE,
    FATE_LOST_UNDONE,
    FATE_LOST_LATE
};

struct memory_client;

/* A call on its way; in a list by time. A transaction is copied behind it. */
struct memory_call {
    struct memory_call *next;
    struct memory_call *previous;
    uint64_t due_ms;
    uint64_t order;               /* among those of one time */
    struct memory_client *client; /* NULL: it has gone, or was answered */
    engine_done *done;
    void *context;
    enum memory_kind kind;
    enum memory_stage stage;
    enum memory_fate fate;
    int refused; /* RC_OK, or why the transaction makes no sense */
    bool was_applied;
    uint64_t lease;
    uint64_t ttl_ms;
    struct engine_answer answer;
    struct engine_txn txn;
};

/* A change, as followers are told of it. */
struct memory_event {
    struct memory_event *next;
    size_t readers; /* clients that have not heard it */
    bool is_removal;
    struct engine_item item;
};

struct memory_client {
    struct engine head;
    struct engine_memory *memory;
    struct memory_client *next;
    struct engine_follower follower;
    struct memory_event *next_event; /* NULL: told of all */
    uint64_t told_revision;
    uint64_t tell_at_ms;
    bool follows;
    bool needs_all;
};

struct memory_lease {
    struct memory_lease *next;
    uint64_t id;
    uint64_t ttl_ms;
    uint64_t ends_at_ms;
};

struct engine_memory {
    struct mirror *keys;
    struct memory_lease *leases;
    struct memory_client *clients;
    struct memory_call *first; /* by due_ms, then order */
    struct memory_call *last;
    struct memory_event *events; /* not yet heard by all */
    struct memory_event *newest;
    struct engine_memory_options options;
    struct engine_memory_faults faults;
    struct rc_random random;
    uint64_t now_ms;
    uint64_t revision;
    uint64_t made_leases;
    uint64_t made_calls;
    uint64_t leaderless_until_ms; /* 0: somebody leads */
    bool has_faults;
};

/* ---- engine_memory_keys.c: the truth and its leases. */

/* Does a call that has arrived and fills its answer. */
void memory_apply(struct engine_memory *memory, struct memory_call *call);
void memory_end_leases(struct engine_memory *memory);
void memory_restart_leases(struct engine_memory *memory);
uint64_t memory_lease_deadline_ms(const struct engine_memory *memory);

/* ---- engine_memory_follow.c: who is told what, when. */

/* Remembers a change for all that follow. */
void memory_note(struct engine_memory *memory, const struct engine_item *item,
                 bool is_removal);
/* Tells those whose time has come. */
void memory_tell(struct engine_memory *memory);
uint64_t memory_tell_deadline_ms(const struct engine_memory *memory);
/* The client hears no more. */
void memory_forget(struct engine_memory *memory, struct memory_client *client);

/* A delay up to `max_ms`; 0 without faults. */
uint64_t memory_draw_ms(struct engine_memory *memory, uint32_t max_ms);

#endif
