/* h2_session_nghttp2.c - a connection from its settings to its end. */
#include "proxy/http2/h2_session_nghttp2.h"

#include <assert.h>
#include <stdlib.h>

#include "base/err.h"
#include "proxy/http2/h2_state_nghttp2.h"

enum {
    OUTBOUND_ACKS_MAX = 4000, /* h2_abuse.h ends it before */
    SETTINGS_MAX = 32
};

static int make_options(nghttp2_option **out)
{
    nghttp2_option *option = NULL;

    if (nghttp2_option_new(&option) != 0) {
        return RC_ENOMEM;
    }
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_outbound_ack(option, OUTBOUND_ACKS_MAX);
    nghttp2_option_set_max_settings(option, SETTINGS_MAX);
    *out = option;
    return RC_OK;
}

static int make_frames(struct h2_session *session)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    int err = RC_ENOMEM;

    if (nghttp2_session_callbacks_new(&callbacks) == 0 &&
        make_options(&option) == RC_OK) {
        h2_receive_listen(callbacks);
        h2_send_listen(callbacks);
        err =
            nghttp2_session_server_new2(&session->frames, callbacks, session, option) == 0
                ? RC_OK
                : RC_ENOMEM;
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return err;
}

static int say_settings(struct h2_session *session,
                        const struct h2_session_options *options)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options->streams_max},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP1_HEAD_MAX},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
    };
    size_t count = sizeof settings / sizeof settings[0] - (options->has_tunnels ? 0 : 1);

    if (nghttp2_submit_settings(session->frames, NGHTTP2_FLAG_NONE, settings, count) !=
            0 ||
        nghttp2_session_set_local_window_size(session->frames, NGHTTP2_FLAG_NONE, 0,
                                              H2_LINK_WINDOW) != 0) {
        return RC_ENOMEM;
    }
    return RC_OK;
}

int h2_session_create(const struct h2_session_options *options, struct h2_session **out)
{
    struct h2_session *session = calloc(1, sizeof *session);

    if (session == NULL) {
        return RC_ENOMEM;
    }
    LIST_INIT(&session->all);
    TAILQ_INIT(&session->news);
    session->slab = options->slab;
    session->now_ms = options->now_ms;
    session->abuse.since_ms = options->now_ms;
    session->nuisance = H2_NUISANCE_COUNT;
    int err = make_frames(session);
    if (err == RC_OK) {
        err = say_settings(session, options);
    }
    if (err != RC_OK) {
        h2_session_destroy(session);
        return err;
    }
    *out = session;
    return RC_OK;
}

/* --- streams --- */

/* What the stream holds of the request is nobody's any more; the connection's window gets it
 * back. */
static void drop_body(struct h2_stream *stream)
{
    struct slab_buffer *buffer = NULL;

    while ((buffer = h2_stream_take(stream)) != NULL) {
        slab_return(stream->session->slab, &buffer);
    }
    if (stream->held > 0) {
        h2_stream_consumed(stream, stream->held);
    }
}

static void free_stream(struct h2_stream *stream)
{
    if (!stream
             ->released) { /* else that is done, and `held` counts what was thrown away */
        drop_body(stream);
    }
    if (stream->news != 0) {
        TAILQ_REMOVE(&stream->session->news, stream, news_link);
    }
    LIST_REMOVE(stream, link);
    free(stream);
}

struct h2_stream *h2_state_open(struct h2_session *session, int32_t id)
{
    struct h2_stream *stream = calloc(1, sizeof *stream);

    if (stream != NULL) {
        stream->session = session;
        stream->id = id;
        LIST_INSERT_HEAD(&session->all, stream, link);
        session->streams++;
    }
    return stream;
}

void h2_state_close(struct h2_stream *stream)
{
    assert(stream->session->streams > 0);
    stream->session->streams--;
    stream->gone = true;
    if (stream->lingers) {
        stream->lingers = false;
        stream->session->lingering--;
    }
    if (stream->released || !stream->announced) {
        free_stream(stream);
    } else {
        h2_state_tell(stream, H2_GONE);
    }
}

void h2_stream_release(struct h2_stream *stream)
{
    struct h2_session *session = stream->session;

    if (stream->news != 0) {
        TAILQ_REMOVE(&session->news, stream, news_link);
        stream->news = 0;
    }
    stream->released = true;
    stream->owner = NULL;
    stream->out = NULL;
    if (stream->gone) {
        free_stream(stream);
        return;
    }
    if (!stream->sent) {
        h2_state_reset(stream, NGHTTP2_INTERNAL_ERROR);
    } else if (!stream->ended) {
        stream->lingers = true;
        session->lingering++;
    }
    drop_body(stream);
}

void h2_state_reset(struct h2_stream *stream, uint32_t code)
{
    if (stream->lingers) {
        stream->lingers = false;
        stream->session->lingering--;
    }
    /* Fails for want of memory only. */
    (void)nghttp2_submit_rst_stream(stream->session->frames, NGHTTP2_FLAG_NONE,
                                    stream->id, code);
}

bool h2_session_is_lingering(const struct h2_session *session)
{
    return session->lingering > 0;
}

void h2_session_end_lingering(struct h2_session *session)
{
    struct h2_stream *stream = NULL;

    LIST_FOREACH(stream, &session->all, link)
    {
        if (stream->lingers) {
            h2_state_reset(stream, NGHTTP2_NO_ERROR);
        }
    }
}

void h2_session_destroy(struct h2_session *session)
{
    struct h2_stream *stream = NULL;

    if (session == NULL) {
        return;
    }
    h2_receive_drop_block(session);
    while ((stream = LIST_FIRST(&session->all)) != NULL) {
        /* It does not see that free_stream unlinks. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        assert(!stream->announced || stream->released);
        free_stream(stream);
    }
    nghttp2_session_del(session->frames);
    free(session);
}

/* --- news --- */

void h2_state_tell(struct h2_stream *stream, unsigned news)
{
    if (stream->released) {
        return;
    }
    if (stream->news == 0) {
        TAILQ_INSERT_TAIL(&stream->session->news, stream, news_link);
    }
    stream->news |= news;
}

void h2_stream_wake(struct h2_stream *stream, unsigned news)
{
    h2_state_tell(stream, news);
}

struct h2_stream *h2_session_next(struct h2_session *session, unsigned *news)
{
    struct h2_stream *stream = TAILQ_FIRST(&session->news);

    if (stream != NULL) {
        TAILQ_REMOVE(&session->news, stream, news_link);
        *news = stream->news;
        stream->news = 0;
        stream->announced = true;
    }
    return stream;
}

/* --- bytes --- */

void h2_state_count(struct h2_session *session, enum h2_nuisance kind)
{
    if (h2_abuse_count(&session->abuse, kind, session->now_ms) ||
        session->nuisance != H2_NUISANCE_COUNT) {
        return;
    }
    session->nuisance = kind;
    /* Fails for want of memory only; then it ends when it has been silent for long enough. */
    (void)nghttp2_session_terminate_session(session->frames, NGHTTP2_ENHANCE_YOUR_CALM);
}

/* libnghttp2 does not tell of every frame. */
static void take_census(struct h2_session *session, const uint8_t *bytes, size_t size)
{
    enum h2_nuisance kind = H2_NUISANCE_COUNT;
    size_t at = 0;

    while (h2_census_next(&session->census, bytes, size, &at, &kind)) {
        if (session->census.head[3] == NGHTTP2_HEADERS) { /* each head has its own */
            h2_abuse_forgive(&session->abuse, H2_PIECES, UINT32_MAX);
        }
        if (kind != H2_NUISANCE_COUNT) {
            h2_state_count(session, kind);
        }
    }
}

int h2_session_feed(struct h2_session *session, const uint8_t *bytes, size_t size,
                    uint64_t now_ms)
{
    session->now_ms = now_ms;
    take_census(session, bytes, size);
    ssize_t used = nghttp2_session_mem_recv(session->frames, bytes, size);
    if (used < 0) {
        return RC_EMALFORMED;
    }
    assert((size_t)used == size); /* no callback of ours pauses */
    return RC_OK;
}

int h2_session_fill(struct h2_session *session, struct slab_buffer *to)
{
    session->to = to;
    int failed = nghttp2_session_send(session->frames);
    session->to = NULL;
    return failed == 0 ? RC_OK : RC_EMALFORMED;
}

bool h2_session_wants_write(const struct h2_session *session)
{
    return nghttp2_session_want_write(session->frames) != 0;
}

bool h2_session_is_over(const struct h2_session *session)
{
    return nghttp2_session_want_read(session->frames) == 0 &&
           nghttp2_session_want_write(session->frames) == 0;
}

uint32_t h2_session_streams(const struct h2_session *session)
{
    return session->streams;
}

bool h2_session_is_in_head(const struct h2_session *session)
{
    return !session->started || session->block.space != NULL;
}

enum h2_nuisance h2_session_nuisance(const struct h2_session *session)
{
    return session->nuisance;
}

void h2_session_leave(struct h2_session *session, enum h2_leave when)
{
    if (session->leaving || session->nuisance != H2_NUISANCE_COUNT) {
        return;
    }
    if (when == H2_LEAVE_SOON) {
        (void)nghttp2_submit_shutdown_notice(session->frames);
        return;
    }
    session->leaving = true;
    int32_t last = nghttp2_session_get_last_proc_stream_id(session->frames);
    (void)nghttp2_submit_goaway(session->frames, NGHTTP2_FLAG_NONE, last,
                                NGHTTP2_NO_ERROR, NULL, 0);
}
