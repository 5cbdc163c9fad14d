/* clerk_uv.h - what sockets hand packets to: it answers at once, or sends an answer later.
 *
 * A clerk serves one thread: it holds the answerer, those who wait, the ways to others who
 * know (the forwarder, the agent's own loop), and the time of the batch. */
#ifndef DNS_SERVE_CLERK_UV_H
#define DNS_SERVE_CLERK_UV_H

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "dns/answer/answer.h"
#include "dns/answer/meter.h"
#include "dns/serve/desk.h"
#include "dns/serve/later.h"

struct dns_clerk {
    struct dns_answerer *answerer; /* all borrowed */
    struct dns_meter *meter;
    struct dns_laters *laters;
    struct dns_desk *desk;           /* NULL: there is no other thread */
    struct dns_forwarder *forwarder; /* NULL: other zones are refused */
    void (*ring)(void *context);     /* something is on the desk */
    void (*enter)(void *context);    /* around each batch; NULL: nothing to do */
    void (*leave)(void *context);
    void *context;     /* of these three */
    uint64_t start_ns; /* of the batch, as are the next two */
    uint64_t now_ms;
    uint64_t wall_ms;
};

/* A packet and where its answer goes. */
struct dns_packet {
    struct dns_outlet *outlet;
    struct dns_client *client; /* the clerk fills in the time and what it may */
    const uint8_t *query;
    size_t size;
    struct rc_address local; /* see struct dns_later */
    uint32_t scope;
};

/* Around each batch of packets, on the clerk's thread: one look at the clock, and what was
 * counted is told. Never around a wait. */
void dns_clerk_begin(struct dns_clerk *clerk);
void dns_clerk_end(struct dns_clerk *clerk, enum dns_protocol protocol);

/* Within a batch. The verdict is ANSWER (send `out` now) or NOTHING; or another one: the
 * outlet sends it later, and `size` is 0. */
struct dns_outcome dns_clerk_answer(struct dns_clerk *clerk,
                                    const struct dns_packet *packet, uint8_t *out,
                                    size_t out_max);

/* Sends what came back over the desk. */
void dns_clerk_collect(struct dns_clerk *clerk);

#endif
