/* link.h - one connection between two agents, from its first byte on.
 *
 * Bytes in, bytes and events out: the handshake, then frames with the messages of many requests
 * at once. Nothing but the handshake is parsed before the other side has proven itself. Either
 * side may ask; what it may ask for is the caller's business.
 *
 * Bodies are cut into pieces and take turns, so a long one does not hold up the others; and
 * bytes are only made when the caller pulls them, so what waits is bounded by what the network
 * takes. The other side is asked for a sign of life while something is expected of it; after
 * LINK_SILENCE_MS, or less if it is so wished, without a byte it counts as dead.
 *
 * Pure: no socket, no clock. An error of any call is the end of the link. */
#ifndef AGENT_LINK_LINK_H
#define AGENT_LINK_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/link/handshake.h"
#include "agent/link/link_message.h"
#include "base/buffer.h"

enum {
    LINK_HANDSHAKE_MS = 3000,
    LINK_PING_MS = 1000,       /* while a request is open */
    LINK_IDLE_PING_MS = 20000, /* otherwise */
    LINK_SILENCE_MS = 2800,
    LINK_SILENCE_LEAST_MS = 500,
    LINK_PIECE_BYTES = 16 << 10,
    LINK_OPEN_MAX = 16384,                           /* requests of one side at once */
    LINK_ASSEMBLY_MAX = LINK_BODY_MAX + (128 << 20), /* of bodies not complete yet */
    /* Replies that the other side does not read: beyond the first it is refused more, beyond
     * the second the link ends. The largest body does not count if it is large. */
    LINK_LARGE_BYTES = 64 << 20,
    LINK_BACKLOG_MAX = 128 << 20,
    LINK_BACKLOG_END = 160 << 20
};

struct link;

struct link_options {
    enum handshake_role role;
    const struct handshake_ring *ring;     /* borrowed until the handshake is over */
    const struct credential *credential;   /* likewise; may be not set */
    const char *name;                      /* of this node; copied */
    uint8_t secret[HANDSHAKE_SECRET_SIZE]; /* random */

    /* How long the body of a request to this target (path and query, encoded) may be. One that
     * has a longer body is told of at once, with its size and no bytes: those are not kept.
     * NULL: LINK_BODY_MAX. */
    size_t (*body_max)(void *context, const char *target);
    void *context;

    /* Instead of LINK_SILENCE_MS, if less; the rest of the waiting shrinks with it. 0: that. */
    uint64_t silence_ms;
};

enum link_event_type {
    LINK_NOTHING,   /* more bytes are needed */
    LINK_UP,        /* the other has proven itself; `peer`, `name` */
    LINK_ASKED,     /* `number`, `request`: a reply or a refusal is due */
    LINK_CANCELLED, /* `number`: it is not due any more */
    LINK_REPLIED,   /* `number`, `reply` */
    LINK_REFUSED,   /* `number`: it was not done and will not be */
    LINK_LEAVES     /* the other side will not answer anything more */
};

struct link_event {
    enum link_event_type type;
    uint32_t number;
    const struct link_request *request; /* these: borrowed until the next call */
    const struct link_reply *reply;
    const struct handshake_peer *peer;
    const char *name;
};

/* NULL when memory is out. A caller has its first message ready to be pulled. */
struct link *link_create(const struct link_options *options, uint64_t now_ms);
void link_destroy(struct link *link); /* NULL is allowed */

/* Takes bytes that came. RC_OK or RC_ENOMEM. link_next() then is called until LINK_NOTHING. */
int link_receive(struct link *link, uint64_t now_ms, const void *bytes, size_t size);

/* The next thing that these bytes mean. RC_OK; RC_EDENIED: not one of us, or not who it was;
 * RC_EUNSUPPORTED: another version; RC_EMALFORMED, RC_ETOOBIG: it breaks the rules above;
 * RC_ECLOSED: it has said its last; RC_ENOMEM. */
int link_next(struct link *link, struct link_event *out);

/* Appends what is to be sent, until `out` holds `size` or there is nothing. RC_OK or RC_ENOMEM. */
int link_pull(struct link *link, uint64_t now_ms, size_t size, struct rc_buffer *out);
bool link_has_output(const struct link *link);

/* From now on that much silence is enough, unless less already was. */
void link_hurry(struct link *link, uint64_t silence_ms);

/* RC_OK; RC_ETIMEOUT: the other side is dead, or has not proven itself in time. */
int link_tick(struct link *link, uint64_t now_ms);
uint64_t link_deadline_ms(const struct link *link);

bool link_is_up(const struct link *link);
const struct handshake_peer *link_peer(const struct link *link); /* once it is up */
const char *link_peer_name(const struct link *link);
/* Of the pool's key that it rests on, once it is up. */
const uint8_t *link_key_id(const struct link *link);
size_t link_open_count(const struct link *link); /* requests of both sides */

/* Asks; the link is up. All is copied. `*number` is never 0. RC_OK, RC_ETOOBIG (see
 * link_message.h), RC_EAGAIN (LINK_OPEN_MAX are open), RC_ENOMEM. */
int link_ask(struct link *link, uint64_t now_ms, const struct link_request *request,
             uint32_t *number);

/* The reply is not wanted any more; none comes. */
void link_cancel(struct link *link, uint32_t number);

/* Answers what was asked under this number; nothing happens if it was cancelled. All is copied.
 * RC_OK, RC_ETOOBIG, RC_ENOMEM. */
int link_answer(struct link *link, uint32_t number, const struct link_reply *reply);
void link_refuse(struct link *link, uint32_t number);

/* The last that is said. */
void link_leave(struct link *link);

#endif
