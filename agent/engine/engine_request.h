/* engine_request.h - a call of an engine, copied, on its way to the answer. Pure. */
#ifndef AGENT_ENGINE_ENGINE_REQUEST_H
#define AGENT_ENGINE_ENGINE_REQUEST_H

#include "agent/store/engine.h"

enum engine_request_kind {
    REQUEST_TXN,
    REQUEST_GRANT,
    REQUEST_KEEPALIVE,
    REQUEST_REVOKE,
    REQUEST_ANSWER /* its answer is known: a barrier, or what was refused at the door */
};

struct engine_request {
    struct engine_request *next; /* in a request_list */
    enum engine_request_kind kind;
    engine_done *done; /* NULL: nobody waits */
    void *context;
    struct engine_txn txn; /* REQUEST_TXN: behind this struct, with all its bytes */
    uint64_t lease;
    uint64_t ttl_ms;
    uint64_t
        asked_ms; /* when it came, monotonic: the time of its lease counts from then */
    size_t size_bytes;
    struct engine_answer
        answer; /* `text` points to what is static or outlives the request */
    bool wrote; /* it changed something, if the commit it went into holds */
};

struct request_list {
    struct engine_request *first;
    struct engine_request *last;
    size_t size_bytes;
};

/* A request without a transaction. NULL when memory is out. Freed with free(). */
struct engine_request *request_create(enum engine_request_kind kind, engine_done *done,
                                      void *context);

/* With a copy of `txn`, which has passed txn_check(). NULL when memory is out. */
struct engine_request *request_create_txn(const struct engine_txn *txn, engine_done *done,
                                          void *context);

void request_push(struct request_list *list, struct engine_request *request);
struct engine_request *request_pop(struct request_list *list); /* NULL: empty */
/* Moves all of `from` behind `to`. */
void request_append(struct request_list *to, struct request_list *from);

/* Fills in the answer. `text`: see engine_request.answer. */
void request_refuse(struct engine_request *request, int err, const char *text);

#endif
