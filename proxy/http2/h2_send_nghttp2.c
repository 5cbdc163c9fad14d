/* h2_send_nghttp2.c - what goes out: heads, bodies straight from where they lie, windows. */
#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "proxy/http2/h2_state_nghttp2.h"

enum {
    RECORD_BYTES = 16384, /* what is gathered for one write: one record of TLS */
    FRAME_HEAD = 9,
    WORTH_CUTTING = 4096 /* a smaller rest of room is not worth a frame of its own */
};

static size_t room_in(struct slab_buffer *to)
{
    size_t used = slab_size(to);
    size_t wanted = used < RECORD_BYTES ? RECORD_BYTES - used : 0;
    size_t room = slab_room(to);
    return wanted < room ? wanted : room;
}

/* Frames that nghttp2 has written: all but those of bodies. */
static ssize_t on_send(nghttp2_session *frames, const uint8_t *bytes, size_t size,
                       int flags, void *user)
{
    struct h2_session *session = user;

    (void)frames;
    (void)flags;
    bool fits = slab_size(session->to) == 0 ? size <= slab_room(session->to)
                                            : size <= room_in(session->to);
    if (!fits) {
        return NGHTTP2_ERR_WOULDBLOCK;
    }
    slab_append(session->to, bytes, size);
    return (ssize_t)size;
}

/* How much of the answer goes into the next frame: never more than lies there. */
static size_t frame_size(const struct h2_session *session, size_t held, size_t allowed)
{
    size_t size = held < allowed ? held : allowed;
    size_t room = room_in(session->to);

    if (size + FRAME_HEAD > room && room > WORTH_CUTTING + FRAME_HEAD) {
        size = room - FRAME_HEAD;
    }
    return size;
}

/* The signature is nghttp2's. */
/* NOLINTNEXTLINE(readability-function-size,readability-non-const-parameter) */
static ssize_t on_read(nghttp2_session *frames, int32_t id, uint8_t *space,
                       size_t allowed, uint32_t *flags, nghttp2_data_source *source,
                       void *user)
{
    struct h2_stream *stream = source->ptr;

    (void)frames;
    (void)id;
    (void)space;
    size_t held = stream->out == NULL ? 0 : slab_size(*stream->out);
    if (held == 0 && !stream->finished) {
        stream->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    size_t size = frame_size(user, held, allowed);
    if (size == held && stream->finished) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    if (held == 0) {
        stream->sent = true;
        h2_state_tell(stream, H2_SENT);
        return 0;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    return (ssize_t)size;
}

static int on_send_data(nghttp2_session *frames, nghttp2_frame *frame,
                        const uint8_t *head, size_t size, nghttp2_data_source *source,
                        void *user)
{
    struct h2_session *session = user;
    struct h2_stream *stream = source->ptr;

    (void)frames;
    assert(frame->data.padlen == 0); /* we never pad */
    struct slab_buffer *from = stream->out == NULL ? NULL : *stream->out;
    if (from == NULL || slab_size(from) < size) { /* its owner has left meanwhile */
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    if (room_in(session->to) < FRAME_HEAD + size) {
        return NGHTTP2_ERR_WOULDBLOCK;
    }
    slab_append(session->to, head, FRAME_HEAD);
    slab_append(session->to, from->bytes + from->start, size);
    slab_consume(from, size);
    /* Whoever gets data may open the window again, for the stream and for the connection. */
    h2_abuse_forgive(&session->abuse, H2_WINDOWS, 2);
    stream->sent = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    h2_state_tell(stream, stream->sent ? H2_SENT | H2_DRAINED : H2_DRAINED);
    return 0;
}

/* The signature is nghttp2's. NOLINTNEXTLINE(readability-function-size) */
static ssize_t on_length(nghttp2_session *frames, uint8_t type, int32_t id,
                         int32_t link_window, int32_t stream_window, uint32_t frame_max,
                         void *user)
{
    uint32_t size = H2_FRAME_MAX < frame_max ? H2_FRAME_MAX : frame_max;

    (void)frames;
    (void)type;
    (void)id;
    (void)link_window; /* nghttp2 takes the least of all three */
    (void)stream_window;
    (void)user;
    return size;
}

void h2_send_listen(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_send_callback(callbacks, on_send);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_data);
    nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks, on_length);
}

/* --- the owner's side --- */

int h2_stream_head(struct h2_stream *stream, const struct h2_field *fields, size_t count,
                   enum h2_answer answer)
{
    nghttp2_nv pairs[H2_HEAD_FIELDS_MAX];
    nghttp2_data_provider body = {.source = {.ptr = stream}, .read_callback = on_read};
    nghttp2_session *frames = stream->session->frames;
    int failed = 0;

    assert(count <= H2_HEAD_FIELDS_MAX);
    if (stream->gone) {
        return RC_OK; /* nobody hears it */
    }
    for (size_t i = 0; i < count; i++) {
        pairs[i] = (nghttp2_nv){
            /* nghttp2 copies them, in lower case, and writes to neither. */
            .name = (uint8_t *)fields[i].name.at,
            .value = (uint8_t *)fields[i].value.at,
            .namelen = fields[i].name.size,
            .valuelen = fields[i].value.size,
        };
    }
    if (answer == H2_ANSWER_INTERIM) {
        failed = nghttp2_submit_headers(frames, NGHTTP2_FLAG_NONE, stream->id, NULL,
                                        pairs, count, NULL);
        return failed < 0 ? RC_ENOMEM : RC_OK;
    }
    failed = nghttp2_submit_response(frames, stream->id, pairs, count,
                                     answer == H2_ANSWER_WHOLE ? NULL : &body);
    stream->sent = answer == H2_ANSWER_WHOLE;
    return failed < 0 ? RC_ENOMEM : RC_OK;
}

void h2_stream_resume(struct h2_stream *stream)
{
    if (stream->deferred && !stream->gone) {
        stream->deferred = false;
        (void)nghttp2_session_resume_data(stream->session->frames, stream->id);
    }
}

void h2_stream_finish(struct h2_stream *stream)
{
    stream->finished = true;
    h2_stream_resume(stream);
}

struct slab_buffer *h2_stream_take(struct h2_stream *stream)
{
    struct slab_buffer *first = stream->in;

    if (first != NULL) {
        stream->in = first->next;
        first->next = NULL;
        stream->waiting -= stream->head_taken ? (uint32_t)slab_size(first) : 0;
        stream->head_taken = true;
        if (stream->in_last == first) {
            stream->in_last = NULL;
        }
    }
    return first;
}

void h2_stream_consumed(struct h2_stream *stream, size_t size)
{
    nghttp2_session *frames = stream->session->frames;

    assert(size <= stream->held);
    stream->held -= (uint32_t)size;
    if (stream->gone) {
        (void)nghttp2_session_consume_connection(frames, size);
    } else {
        (void)nghttp2_session_consume(frames, stream->id, size);
    }
}
