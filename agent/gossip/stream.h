/* stream.h - what goes over TCP: state exchange, fallback pings, and the lane's streams.
 *
 * Each stream is a small state machine fed with bytes, with a bound and a deadline. */
#ifndef AGENT_GOSSIP_STREAM_H
#define AGENT_GOSSIP_STREAM_H

#include "agent/gossip/pushpull.h"
#include "agent/gossip/state.h"

enum stream_purpose {
    STREAM_UNKNOWN,   /* accepted; its first byte will tell */
    STREAM_EXCHANGE,  /* periodic push/pull, ours */
    STREAM_JOIN,      /* join asked for by the owner */
    STREAM_RECONNECT, /* join of a failed member */
    STREAM_CHECK,     /* does the one we joined know us? */
    STREAM_PING,
    STREAM_LANE
};

/* Whether a direction of a stream is encrypted: its first bytes tell, and so it stays. */
enum stream_cover { STREAM_COVER_OPEN, STREAM_COVER_PLAIN, STREAM_COVER_SEALED };

struct gossip_stream {
    uint32_t id;
    enum stream_purpose purpose;
    bool is_dialed;    /* by us */
    bool has_label;    /* its header was sent or read */
    bool skips_events; /* what came to pass before this exchange is not for us */
    bool is_closed;    /* freed at the end of the turn */
    bool is_large;     /* one of the few that may hold much */
    bool
        is_second; /* the same once more, under the key that the first answer came under */
    enum stream_cover cover_in;
    enum stream_cover cover_out;
    size_t opened_by; /* place in the keyring of the key that opened the last frame */
    struct rc_address address;
    struct deadline deadline;
    uint32_t seq;              /* of a ping */
    struct rc_buffer in;       /* as received, not used up */
    struct rc_buffer plain;    /* the same without encryption; unused without keys */
    struct rc_buffer unpacked; /* what was compressed */
    struct pushpull_scan scan;
};

int stream_accept(struct gossip *g, const struct rc_address *from, uint32_t *out);
void stream_data(struct gossip *g, uint32_t id, struct rc_pack_bytes bytes);
void stream_gone(struct gossip *g, uint32_t id);
void stream_expired(struct gossip *g, struct gossip_stream *stream);

/* Starts a push/pull. RC_OK, RC_ETOOBIG (too many streams), RC_ENOMEM. */
int stream_push_pull(struct gossip *g, const struct rc_address *to,
                     enum stream_purpose purpose);

/* Sends the ping in g->message by TCP; the ack counts until `until_ns`. */
void stream_ping(struct gossip *g, const struct member *target, uint32_t seq,
                 uint64_t until_ns);

/* ---- For lane_stream.c. */

struct gossip_stream *stream_find(const struct gossip *g, uint32_t id); /* NULL: gone */
size_t stream_lane_count(const struct gossip *g);

/* Connects. RC_OK, RC_ETOOBIG (too many streams), RC_ENOMEM. */
int stream_dial(struct gossip *g, const struct rc_address *to,
                enum stream_purpose purpose, struct gossip_stream **out);

/* Sends `plain` in a frame, after the label if it is the first. RC_OK, RC_ETOOBIG, RC_ENOMEM. */
int stream_send(struct gossip *g, struct gossip_stream *s, struct rc_pack_bytes plain);

/* Has the connection flushed and closed. */
void stream_hang_up(struct gossip *g, const struct gossip_stream *s);

/* Hands out all whole messages of a lane stream; what they took is in `*used`. The owner may
 * close the stream from inside. RC_OK (closed), RC_ETRUNCATED (more is to come),
 * RC_EMALFORMED, RC_ETOOBIG. */
int stream_lane_data(struct gossip *g, struct gossip_stream *s,
                     struct rc_pack_bytes content, size_t *used);

/* ---- The end. */

/* Frees what was closed; at the end of each turn, when nobody holds a stream. */
void stream_sweep(struct gossip *g);
void stream_fini(struct gossip *g);

#endif
