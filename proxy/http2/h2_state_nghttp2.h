/* h2_state_nghttp2.h - what a session is made of: private to h2_*_nghttp2.c. */
#ifndef PROXY_HTTP2_H2_STATE_NGHTTP2_H
#define PROXY_HTTP2_H2_STATE_NGHTTP2_H

#include <nghttp2/nghttp2.h>

#include "proxy/http2/h2_census.h"
#include "proxy/http2/h2_session_nghttp2.h"

TAILQ_HEAD(h2_news_list, h2_stream);
LIST_HEAD(h2_stream_list, h2_stream);

/* The block of fields that is being received; there is one at a time in a connection. */
struct h2_block {
    struct h2_head head;
    struct slab_buffer *space;            /* NULL = none is being received */
    nghttp2_rcbuf *kept[H2_PSEUDO_COUNT]; /* values that `head` points to */
    size_t kept_count;
    size_t bytes; /* of names and values, whether used or not */
    bool is_trailer;
};

struct h2_session {
    nghttp2_session *frames;
    struct slab *slab;
    struct h2_stream_list all;
    struct h2_news_list news;
    struct h2_block block;
    struct h2_abuse abuse;
    uint64_t now_ms;
    enum h2_nuisance nuisance; /* why it was broken off */
    uint32_t streams;
    uint32_t lingering; /* streams among them */
    struct h2_census census;
    struct slab_buffer *to; /* during h2_session_fill */
    bool started;           /* the first frame is complete */
    bool leaving;           /* the last GOAWAY is said */
};

/* h2_session_nghttp2.c */
/* Puts the stream among those with news. */
void h2_state_tell(struct h2_stream *stream, unsigned news);
/* Counts, and gives the connection up when it is enough. */
void h2_state_count(struct h2_session *session, enum h2_nuisance kind);
/* A new stream, of which nobody is told yet; NULL when memory is out. */
struct h2_stream *h2_state_open(struct h2_session *session, int32_t id);
/* RST_STREAM. */
void h2_state_reset(struct h2_stream *stream, uint32_t code);
/* The connection knows it no longer: its owner is told, or it is freed. */
void h2_state_close(struct h2_stream *stream);

/* h2_receive_nghttp2.c */
void h2_receive_listen(nghttp2_session_callbacks *callbacks);
void h2_receive_drop_block(struct h2_session *session);

/* h2_send_nghttp2.c */
void h2_send_listen(nghttp2_session_callbacks *callbacks);

#endif
