/* etcd_edge.h - what the engine needs of the world: gRPC calls, a timer, a clock.
 *
 * The rules of the etcd engine stand on this; etcd_grpc.c makes it of sockets, tests make it of
 * arrays. Nothing here is ever answered from inside a call. */
#ifndef AGENT_ENGINE_ETCD_EDGE_H
#define AGENT_ENGINE_ETCD_EDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/pack.h"

/* How a request ended. */
enum etcd_end {
    ETCD_REPLIED,  /* with a whole answer; its status and message count */
    ETCD_NOT_SENT, /* not one byte of it left: nobody has acted on it */
    ETCD_LOST      /* it was sent, all or part, and no whole answer came */
};

struct etcd_reply {
    enum etcd_end end;
    int status; /* of gRPC: see grpc.h; 0: it went well */
    struct rc_pack_bytes
        message;      /* of a call that went well; borrowed; empty otherwise */
    const char *text; /* why it failed, one line; "" otherwise */
    uint64_t took_us;
};

struct etcd_request {
    const char *endpoint; /* "https://10.0.0.1:2379" */
    const char *method;   /* "/etcdserverpb.KV/Txn" */
    const uint8_t *body;  /* one message; copied; NULL if it is empty */
    size_t body_size;
    const char *token;      /* of etcd's users; "": none */
    uint32_t time_limit_ms; /* 0: none */

    /* Called with each message of a stream as it comes; NULL: there is one, for the reply. The
     * call must not be canceled from inside. */
    void (*on_message)(void *context, struct rc_pack_bytes message);
    void (*on_reply)(void *context, const struct etcd_reply *reply); /* once */
    void *context;
};

struct etcd_call; /* a request under way; ends with its reply */

struct etcd_edge {
    void *context;
    /* Before all else: what a wake leads to. */
    void (*start)(void *context, void (*on_wake)(void *owner), void *owner);
    /* NULL: no memory, and no reply comes. */
    struct etcd_call *(*send)(void *context, const struct etcd_request *request);
    /* No message and no reply any more. Not from inside a reply to the same call. */
    void (*cancel)(void *context, struct etcd_call *call);
    /* The engine is woken once, at the latest so long from now: a sooner wish stays. */
    void (*wake)(void *context, uint64_t after_ms);
    uint64_t (*now_ms)(void *context); /* monotonic */
    /* Ends it: no call is under way. `on_closed` is called later, from the loop. */
    void (*close)(void *context, void (*on_closed)(void *owner), void *owner);
};

#endif
