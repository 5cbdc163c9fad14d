/* link_uv.h - the sockets of links: one listener, and connections in both directions.
 *
 * No decision is taken here but who may wait at the door (door.h). All on the loop's thread. */
#ifndef AGENT_LINK_LINK_UV_H
#define AGENT_LINK_LINK_UV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/link/link.h"
#include "base/address.h"

struct link_host;
struct link_uv; /* a connection */
struct uv_loop_s;

enum { LINK_ERROR_MAX = 256 };

enum link_side { LINK_DIALED, LINK_CAME };

struct link_host_options {
    struct uv_loop_s *loop;
    const char *name;                    /* of this node; borrowed */
    const struct handshake_ring *ring;   /* borrowed; as it is at each handshake */
    const struct credential *credential; /* likewise */
    void *context;

    /* Of struct link_options, with the same `context`; may be NULL. */
    size_t (*body_max)(void *context, const char *target);
    uint64_t silence_ms;

    /* Whether someone from there may connect at all. */
    bool (*admits)(void *context, const struct rc_address *from);

    /* What a connection has to say (never LINK_NOTHING). May end it. */
    void (*on_event)(void *context, struct link_uv *connection,
                     const struct link_event *event);

    /* It has ended by itself: `err` says why (RC_ECLOSED, RC_EIO, or of link_next() and
     * link_tick()). Of those that came, only if they were up. The last word about it. */
    void (*on_lost)(void *context, struct link_uv *connection, int err);
};

/* What was turned away, and what there is. */
struct link_host_counts {
    uint64_t crowded;   /* the door was full */
    uint64_t strangers; /* did not prove themselves */
    uint64_t late;      /* did not do so in time */
    size_t waiting;     /* at the door now */
    size_t up;          /* connections in use now */
};

/* `listen` NULL: only dials. The caller owns `*out`. RC_OK; RC_EIO with a line in `error`;
 * RC_ENOMEM. */
int link_host_start(const struct link_host_options *options,
                    const struct rc_address *listen, char error[LINK_ERROR_MAX],
                    struct link_host **out);

/* Says goodbye on all connections and closes; no callback comes but `on_closed`. NULL is
 * allowed: nothing happens. */
void link_host_close(struct link_host *host, void (*on_closed)(void *context),
                     void *context);

struct link_host_counts link_host_counts(const struct link_host *host);

/* Opens a connection; LINK_UP or on_lost() follow. RC_OK, RC_EIO or RC_ENOMEM. */
int link_host_dial(struct link_host *host, const struct rc_address *to,
                   struct link_uv **out);

/* silence_ms from now on, also of those that were dialed before, if it is less than it was. */
void link_host_hurry(struct link_host *host, uint64_t silence_ms);

/* The connections that are up: start with NULL. Ending the one returned last is allowed only
 * after asking for the next. */
struct link_uv *link_host_next(const struct link_host *host,
                               const struct link_uv *connection);

/* Ends it; no callback comes. */
void link_uv_end(struct link_uv *connection);

/* Of link.h, with what they make being sent. */
int link_uv_ask(struct link_uv *connection, const struct link_request *request,
                uint32_t *number);
void link_uv_cancel(struct link_uv *connection, uint32_t number);
int link_uv_answer(struct link_uv *connection, uint32_t number,
                   const struct link_reply *reply);
void link_uv_refuse(struct link_uv *connection, uint32_t number);

const struct link *link_uv_link(const struct link_uv *connection);
enum link_side link_uv_side(const struct link_uv *connection);
const struct rc_address *link_uv_address(const struct link_uv *connection);

/* For whoever uses it: NULL at first. */
void *link_uv_user(const struct link_uv *connection);
void link_uv_set_user(struct link_uv *connection, void *user);

#endif
