/* h2_receive_nghttp2.c - what comes in: heads, bodies, and what is only noise. */
#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "proxy/http2/h2_state_nghttp2.h"

enum {
    BLOCK_BYTES_MAX = 4 * HTTP1_HEAD_MAX /* names and values, looked at in one block */
};

static struct rc_span span_of(nghttp2_rcbuf *buffer)
{
    nghttp2_vec bytes = nghttp2_rcbuf_get_buf(buffer);
    return (struct rc_span){(const char *)bytes.base, bytes.len};
}

/* --- blocks of fields --- */

static void drop_values(struct h2_block *block)
{
    while (block->kept_count > 0) {
        nghttp2_rcbuf_decref(block->kept[--block->kept_count]);
    }
}

void h2_receive_drop_block(struct h2_session *session)
{
    drop_values(&session->block);
    slab_return(session->slab, &session->block.space);
}

static int refuse_stream(struct h2_session *session, int32_t id)
{
    (void)nghttp2_submit_rst_stream(session->frames, NGHTTP2_FLAG_NONE, id,
                                    NGHTTP2_REFUSED_STREAM);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_begin_headers(nghttp2_session *frames, const nghttp2_frame *frame,
                            void *user)
{
    struct h2_session *session = user;
    struct h2_block *block = &session->block;
    bool is_request = frame->headers.cat == NGHTTP2_HCAT_REQUEST;

    h2_receive_drop_block(session);
    block->space = slab_lend(session->slab);
    if (block->space == NULL) {
        return refuse_stream(session, frame->hd.stream_id);
    }
    block->bytes = 0;
    block->is_trailer = !is_request;
    h2_head_begin(&block->head, block->space->bytes, SLAB_BYTES);
    if (!is_request) {
        return 0;
    }
    struct h2_stream *stream = h2_state_open(session, frame->hd.stream_id);
    if (stream == NULL) {
        h2_receive_drop_block(session);
        return refuse_stream(session, frame->hd.stream_id);
    }
    return nghttp2_session_set_stream_user_data(frames, frame->hd.stream_id, stream);
}

/* A block that expands to more than anybody needs is not looked at to its end. */
static int measure(struct h2_session *session, struct rc_span name, struct rc_span value)
{
    struct h2_block *block = &session->block;

    block->bytes += name.size + value.size;
    if (block->space != NULL && block->bytes <= BLOCK_BYTES_MAX) {
        return 0;
    }
    h2_state_count(session, H2_FAULTS);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_header(nghttp2_session *frames, const nghttp2_frame *frame,
                     nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags, void *user)
{
    struct h2_session *session = user;
    struct h2_block *block = &session->block;
    struct rc_span name_span = span_of(name);
    struct rc_span value_span = span_of(value);

    (void)frames;
    (void)frame;
    (void)flags;
    int failed = measure(session, name_span, value_span);
    if (failed != 0) {
        return failed;
    }
    if (block->is_trailer) {
        h2_head_trailer(&block->head, name_span, value_span);
        return 0;
    }
    bool is_pseudo = name_span.size > 0 && name_span.at[0] == ':';
    if (is_pseudo && block->kept_count < H2_PSEUDO_COUNT) {
        nghttp2_rcbuf_incref(value);
        block->kept[block->kept_count++] = value;
    } else if (is_pseudo) { /* more than there are: one stands there twice */
        h2_head_bad_field(&block->head);
        return 0;
    }
    h2_head_field(&block->head, name_span, value_span);
    return 0;
}

static int on_invalid_header(nghttp2_session *frames, const nghttp2_frame *frame,
                             nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags,
                             void *user)
{
    struct h2_session *session = user;

    (void)frames;
    (void)frame;
    (void)flags;
    int failed = measure(session, span_of(name), span_of(value));
    h2_head_bad_field(&session->block.head);
    return failed;
}

/* The head of a request is complete: its text is the first buffer of the stream. */
static void end_request_head(struct h2_session *session, struct h2_stream *stream)
{
    struct h2_block *block = &session->block;
    enum h2_body body = stream->ended ? H2_NO_BODY : H2_BODY;

    stream->fault = h2_head_end(&block->head, body, &stream->head_size);
    stream->is_tunnel = h2_head_is_tunnel(&block->head);
    block->space->end = (uint32_t)stream->head_size;
    block->space->next = NULL;
    stream->in = block->space;
    stream->in_last = NULL; /* the body begins a buffer of its own */
    block->space = NULL;
    drop_values(block);
    if (stream->fault != HTTP1_SOUND) {
        h2_state_count(session, H2_FAULTS);
    }
    h2_state_tell(stream, H2_REQUEST);
}

static void end_trailers(struct h2_session *session, struct h2_stream *stream)
{
    enum http1_fault fault = h2_head_trailer_end(&session->block.head);

    h2_receive_drop_block(session);
    if (fault != HTTP1_SOUND) {
        h2_state_count(session, H2_FAULTS);
        (void)nghttp2_submit_rst_stream(session->frames, NGHTTP2_FLAG_NONE, stream->id,
                                        NGHTTP2_PROTOCOL_ERROR);
        return;
    }
    h2_state_tell(stream, H2_MORE);
}

static void on_headers_done(struct h2_session *session, const nghttp2_frame *frame,
                            struct h2_stream *stream)
{
    if (session->block.space == NULL || stream == NULL) {
        return;
    }
    stream->ended = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (session->block.is_trailer) {
        end_trailers(session, stream);
    } else {
        end_request_head(session, stream);
    }
}

/* --- bodies --- */

/* Copies into the last buffer and as many new ones as it takes. */
static int hold(struct h2_stream *stream, const uint8_t *bytes, size_t size)
{
    struct slab *slab = stream->session->slab;

    while (size > 0) {
        struct slab_buffer *last = stream->in_last;
        if (last == NULL || last->end == SLAB_BYTES) {
            struct slab_buffer *fresh = slab_lend(slab);
            if (fresh == NULL) {
                return RC_ENOMEM;
            }
            fresh->next = NULL;
            if (stream->in == NULL) {
                stream->in = fresh;
            } else {
                (last != NULL ? last : stream->in)->next = fresh;
            }
            stream->in_last = last = fresh;
        }
        size_t room = SLAB_BYTES - last->end;
        size_t take = size < room ? size : room;
        memcpy(last->bytes + last->end, bytes, take);
        last->end += (uint32_t)take;
        stream->waiting += (uint32_t)take;
        bytes += take;
        size -= take;
    }
    return RC_OK;
}

/* The client goes on sending although it has its answer. */
static void linger(struct h2_stream *stream, size_t size)
{
    if (stream == NULL || !stream->lingers) {
        return;
    }
    stream->held +=
        (uint32_t)size; /* only counted: the connection's window has it back */
    if (stream->held > H2_LINGER_BYTES) {
        h2_state_reset(stream, NGHTTP2_NO_ERROR);
    }
}

static int on_data(nghttp2_session *frames, uint8_t flags, int32_t id,
                   const uint8_t *bytes, size_t size, void *user)
{
    struct h2_stream *stream = nghttp2_session_get_stream_user_data(frames, id);

    (void)flags;
    (void)user;
    if (stream == NULL || stream->released) {
        (void)nghttp2_session_consume_connection(frames, size);
        linger(stream, size);
        return 0;
    }
    stream->held += (uint32_t)size;
    if (hold(stream, bytes, size) != RC_OK) {
        (void)nghttp2_submit_rst_stream(frames, NGHTTP2_FLAG_NONE, id,
                                        NGHTTP2_REFUSED_STREAM);
        return 0;
    }
    h2_state_tell(stream, H2_MORE);
    return 0;
}

static void on_data_done(const nghttp2_frame *frame, struct h2_stream *stream)
{
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 && stream != NULL) {
        stream->ended = true;
        h2_state_tell(stream, H2_MORE);
    }
}

/* --- frames --- */

static int on_frame(nghttp2_session *frames, const nghttp2_frame *frame, void *user)
{
    struct h2_session *session = user;

    session->started = true;
    if (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) {
        return 0;
    }
    struct h2_stream *stream =
        nghttp2_session_get_stream_user_data(frames, frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_DATA) {
        on_data_done(frame, stream);
    } else {
        on_headers_done(session, frame, stream);
    }
    return 0;
}

static int on_invalid_frame(nghttp2_session *frames, const nghttp2_frame *frame, int code,
                            void *user)
{
    (void)frames;
    (void)frame;
    (void)code;
    h2_state_count(user, H2_FAULTS);
    return 0;
}

static int on_stream_close(nghttp2_session *frames, int32_t id, uint32_t code, void *user)
{
    struct h2_session *session = user;
    struct h2_stream *stream = nghttp2_session_get_stream_user_data(frames, id);

    (void)code;
    if (stream == NULL) {
        return 0;
    }
    if (stream->in == NULL && !stream->announced && session->block.space != NULL) {
        h2_receive_drop_block(session); /* it went before its head was complete */
    }
    h2_state_close(stream);
    return 0;
}

void h2_receive_listen(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(callbacks,
                                                              on_invalid_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks,
                                                                 on_invalid_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
}
