/* h2_session_nghttp2.h - one connection of HTTP/2, the server's side: frames in, frames out.
 *
 * RFC 9113; RFC 8441 for tunnels. Pure: bytes that came are fed, streams that have news are asked
 * for, bytes to be sent are taken. Framing, header compression and the states of streams are
 * libnghttp2's affair; what it leaves open is decided here, strictly: no push, no priorities,
 * windows as large as what may be held, and an end to those who only make work (h2_abuse.h).
 *
 * The body of a request is held in buffers of the caller's slab, at most a window full; the body
 * of an answer stays with the caller until the frame that carries it is written. */
#ifndef PROXY_HTTP2_H2_SESSION_NGHTTP2_H
#define PROXY_HTTP2_H2_SESSION_NGHTTP2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "proxy/http2/h2_abuse.h"
#include "proxy/http2/h2_head.h"
#include "proxy/worker/slab.h"

enum {
    H2_STREAM_WINDOW = 256 * 1024, /* bytes of a request body that may be on their way, */
    H2_LINK_WINDOW = 1024 * 1024,  /* and of all bodies of one connection */
    H2_LINGER_BYTES = 64 * 1024,   /* of a request that is answered already */
    H2_FRAME_MAX = 16384 - 9       /* payload of a DATA frame: it fills a record of TLS */
};

/* What has happened to a stream; bits of h2_stream.news. */
enum {
    H2_REQUEST =
        1,       /* its head is complete: h2_stream_take gives it, fault says how it is */
    H2_MORE = 2, /* more of the request body, or its end */
    H2_DRAINED = 4, /* bytes of the answer have been framed */
    H2_SENT = 8,    /* all of the answer is in frames */
    H2_GONE = 16    /* the stream is no more; what is still held may be taken */
};

struct h2_session;

/* Visible so that the one who serves it may read it; written by h2_*_nghttp2.c only, but for
 * `owner` and `out`. */
struct h2_stream {
    LIST_ENTRY(h2_stream) link;
    TAILQ_ENTRY(h2_stream) news_link;
    struct h2_session *session;
    void *owner;              /* the caller's */
    struct slab_buffer **out; /* the answer's bytes, the caller's; NULL = none yet */
    struct slab_buffer *in;   /* the request's bytes that wait, first to last */
    struct slab_buffer *in_last;
    size_t head_size; /* of the head at the front of the first; 0 = it is at fault */
    enum http1_fault fault;
    uint32_t waiting; /* bytes of the body in `in` */
    uint32_t held;    /* bytes of the body not yet given back to the window */
    unsigned news;    /* bits; 0 = not queued */
    int32_t id;
    bool is_tunnel; /* asked for by extended CONNECT */
    bool head_taken;
    bool announced; /* its owner knows of it */
    bool ended;     /* the client has said all */
    bool finished;  /* so have we: nothing more comes into *out */
    bool sent;      /* and it is in frames */
    bool deferred;  /* waits for h2_stream_resume */
    bool lingers;   /* answered in full; what still comes of the request is not wanted */
    bool gone;      /* closed, whatever the owner still does */
    bool released;
};

struct h2_session_options {
    struct slab *slab;    /* borrowed as long as the session */
    uint32_t streams_max; /* at once */
    uint64_t now_ms;
    bool has_tunnels; /* extended CONNECT is understood */
};

/* RC_OK (then `*out` is the caller's) or RC_ENOMEM. */
int h2_session_create(const struct h2_session_options *options, struct h2_session **out);

/* Frees the session. All streams that h2_session_next gave have been released. */
void h2_session_destroy(struct h2_session *session);

/* Takes bytes that came. The first are the preface of RFC 9113 section 3.4. RC_OK, or
 * RC_EMALFORMED: nothing behind this has a meaning; what h2_session_fill gives may still be
 * sent. */
int h2_session_feed(struct h2_session *session, const uint8_t *bytes, size_t size,
                    uint64_t now_ms);

/* The next stream with news, or NULL; `*news` becomes what. */
struct h2_stream *h2_session_next(struct h2_session *session, unsigned *news);

/* Appends frames to `to`, as many as are wanted and fit. RC_OK or RC_EMALFORMED (the
 * connection is of no use any more). */
int h2_session_fill(struct h2_session *session, struct slab_buffer *to);

bool h2_session_wants_write(const struct h2_session *session);

/* True when nothing more will be read or written: close it. */
bool h2_session_is_over(const struct h2_session *session);

/* Streams that are not closed. */
uint32_t h2_session_streams(const struct h2_session *session);

/* True while a head, or a frame before the first one, is incomplete. */
bool h2_session_is_in_head(const struct h2_session *session);

/* Why the connection was broken off for abuse; H2_NUISANCE_COUNT if it was not. */
enum h2_nuisance h2_session_nuisance(const struct h2_session *session);

/* Says GOAWAY, in two steps (RFC 9113 section 6.8): that it will end, and then that it does, with
 * what is known by then. Streams that run may finish; h2_session_is_over after them. */
enum h2_leave { H2_LEAVE_SOON, H2_LEAVE_NOW };
void h2_session_leave(struct h2_session *session, enum h2_leave when);

/* Streams whose answer is whole before their request is: for a while the client may learn that and
 * stop by itself, then it is told (RFC 9113 section 8.1). The owner says when. */
bool h2_session_is_lingering(const struct h2_session *session);
void h2_session_end_lingering(struct h2_session *session);

/* --- streams --- */

/* A buffer of the request's bytes, which is the caller's from now on; NULL: none waits. The
 * first begins with the head. */
struct slab_buffer *h2_stream_take(struct h2_stream *stream);

/* Puts it among those with news again, later in this turn. */
void h2_stream_wake(struct h2_stream *stream, unsigned news);

/* `size` bytes of the body have been passed on: as many may follow. */
void h2_stream_consumed(struct h2_stream *stream, size_t size);

/* The answer's head. INTERIM: another one follows; WHOLE: no body does. RC_OK or RC_ENOMEM. */
enum h2_answer { H2_ANSWER_INTERIM, H2_ANSWER_WITH_BODY, H2_ANSWER_WHOLE };
int h2_stream_head(struct h2_stream *stream, const struct h2_field *fields, size_t count,
                   enum h2_answer answer);

/* Bytes have come into *out. */
void h2_stream_resume(struct h2_stream *stream);

/* No more come. */
void h2_stream_finish(struct h2_stream *stream);

/* The owner has done with it: what is not finished is broken off. The stream is not to be touched
 * any more. */
void h2_stream_release(struct h2_stream *stream);

#endif
