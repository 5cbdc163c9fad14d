/* etcd_lane.h - the connection to one member, and the calls that share it.
 *
 * Made when a call wants it and made anew after it was lost; calls wait while it is being made.
 * Nothing is answered from inside a call: what has ended is marked, and told when the lane is
 * next attended to. */
#ifndef AGENT_ENGINE_ETCD_LANE_H
#define AGENT_ENGINE_ETCD_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/engine/etcd_edge.h"
#include "agent/engine/etcd_wire_curl.h"
#include "agent/engine/grpc.h"
#include "agent/engine/http2_nghttp2.h"
#include "base/buffer.h"

struct etcd_lane;

struct etcd_call {
    struct http2_stream stream; /* first: it is what HTTP/2 knows of the call */
    struct etcd_call *before;   /* in the lane's list, newest first */
    struct etcd_call *next;
    struct etcd_lane *lane;
    const char *method; /* static */
    char *token;        /* owned; NULL: none */
    uint8_t *body;      /* owned: the frame */
    struct rc_buffer frames;
    struct grpc_end end;
    bool has_news; /* frames came that were not told yet */
    bool is_over;
    enum http2_end how;
    const char *why; /* of is_over without an end of its stream: static, or the lane's */
    uint64_t started_us;
    uint64_t deadline_ms; /* UINT64_MAX: none */
    void (*on_message)(void *context, struct rc_pack_bytes message);
    void (*on_reply)(void *context, const struct etcd_reply *reply);
    void *context;
};

enum etcd_lane_state { ETCD_LANE_CLOSED, ETCD_LANE_CONNECTING, ETCD_LANE_OPEN };

struct etcd_lane {
    struct multi_curl *multi; /* borrowed, like `files` */
    const struct etcd_files *files;
    char *endpoint; /* owned */
    bool is_tls;
    enum etcd_lane_state state;
    struct etcd_wire *wire;
    struct http2 *http2;
    struct rc_buffer out; /* taken from http2, not sent yet */
    bool has_opened;      /* a connection was made; whoever sees it clears it */
    bool has_broken;      /* found while sending: to be closed when attended to */
    bool has_news;        /* some call has, or is over */
    struct etcd_call *calls;
    struct etcd_call *telling; /* whose messages are being told */
    char text[GRPC_TEXT_MAX];  /* why it was last lost */
    /* Attend to it soon: from the loop's next turn. */
    void (*wake)(void *context);
    void *context;
};

/* `endpoint` is copied; false: no memory. */
bool etcd_lane_init(struct etcd_lane *lane, const char *endpoint);
void etcd_lane_fini(struct etcd_lane *lane); /* without calls */

/* Takes a call that has all but what is the lane's. False: no memory, and it is the caller's. */
bool etcd_lane_send(struct etcd_lane *lane, struct etcd_call *call);

/* Ends a call without a word. */
void etcd_lane_cancel(struct etcd_call *call);
void etcd_call_destroy(struct etcd_call *call); /* one that no lane has */

/* Tells all there is to tell, and sends what that leads to. Calls back. */
void etcd_lane_attend(struct etcd_lane *lane);

/* Ends the calls whose time is over; returns the next one's, UINT64_MAX: none. Calls back. */
uint64_t etcd_lane_limit(struct etcd_lane *lane, uint64_t now_ms);

#endif
