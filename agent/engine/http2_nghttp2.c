/* http2_nghttp2.c - libnghttp2's session and its callbacks. */
#include "agent/engine/http2_nghttp2.h"

#include <assert.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/library.h"

enum {
    HEADERS_MAX = 12,
    STREAM_WINDOW_BYTES = 4 << 20, /* a page of keys without a pause */
    CONNECTION_WINDOW_BYTES = 16 << 20
};

/* The part of libnghttp2 that is used, filled by rc_library_load(). */
struct libnghttp2 {
    int (*callbacks_new)(nghttp2_session_callbacks **out);
    void (*callbacks_del)(nghttp2_session_callbacks *callbacks);
    void (*on_header)(nghttp2_session_callbacks *callbacks, nghttp2_on_header_callback f);
    void (*on_data)(nghttp2_session_callbacks *callbacks,
                    nghttp2_on_data_chunk_recv_callback f);
    void (*on_close)(nghttp2_session_callbacks *callbacks,
                     nghttp2_on_stream_close_callback f);
    void (*before_send)(nghttp2_session_callbacks *callbacks,
                        nghttp2_before_frame_send_callback f);
    int (*session_new)(nghttp2_session **out, const nghttp2_session_callbacks *callbacks,
                       void *context);
    void (*session_del)(nghttp2_session *session);
    int (*settings)(nghttp2_session *session, uint8_t flags,
                    const nghttp2_settings_entry *entries, size_t count);
    int (*window)(nghttp2_session *session, uint8_t flags, int32_t stream, int32_t size);
    int32_t (*request)(nghttp2_session *session, const nghttp2_priority_spec *priority,
                       const nghttp2_nv *headers, size_t count,
                       const nghttp2_data_provider *body, void *stream);
    int (*reset)(nghttp2_session *session, uint8_t flags, int32_t stream, uint32_t code);
    void *(*get)(nghttp2_session *session, int32_t stream);
    int (*assign)(nghttp2_session *session, int32_t stream, void *context);
    int (*may_request)(nghttp2_session *session);
    int (*wants_read)(nghttp2_session *session);
    int (*wants_write)(nghttp2_session *session);
    ssize_t (*send)(nghttp2_session *session, const uint8_t **bytes);
    ssize_t (*receive)(nghttp2_session *session, const uint8_t *bytes, size_t size);
};

struct http2 {
    struct libnghttp2 lib;
    nghttp2_session *session;
    const struct http2_events *events;
};

static int load(struct libnghttp2 *lib, char *error, size_t error_size)
{
    const struct rc_symbol symbols[] = {
        {"nghttp2_session_callbacks_new", (void **)&lib->callbacks_new},
        {"nghttp2_session_callbacks_del", (void **)&lib->callbacks_del},
        {"nghttp2_session_callbacks_set_on_header_callback", (void **)&lib->on_header},
        {"nghttp2_session_callbacks_set_on_data_chunk_recv_callback",
         (void **)&lib->on_data},
        {"nghttp2_session_callbacks_set_on_stream_close_callback",
         (void **)&lib->on_close},
        {"nghttp2_session_callbacks_set_before_frame_send_callback",
         (void **)&lib->before_send},
        {"nghttp2_session_client_new", (void **)&lib->session_new},
        {"nghttp2_session_del", (void **)&lib->session_del},
        {"nghttp2_submit_settings", (void **)&lib->settings},
        {"nghttp2_session_set_local_window_size", (void **)&lib->window},
        {"nghttp2_submit_request", (void **)&lib->request},
        {"nghttp2_submit_rst_stream", (void **)&lib->reset},
        {"nghttp2_session_get_stream_user_data", (void **)&lib->get},
        {"nghttp2_session_set_stream_user_data", (void **)&lib->assign},
        {"nghttp2_session_check_request_allowed", (void **)&lib->may_request},
        {"nghttp2_session_want_read", (void **)&lib->wants_read},
        {"nghttp2_session_want_write", (void **)&lib->wants_write},
        {"nghttp2_session_mem_send", (void **)&lib->send},
        {"nghttp2_session_mem_recv", (void **)&lib->receive},
    };

    return rc_library_load("libnghttp2.so.14", "libnghttp2-14", symbols,
                           sizeof symbols / sizeof symbols[0], error, error_size);
}

/* ---- what libnghttp2 tells ------------------------------------------------------------ */

static struct http2_stream *stream_of(struct http2 *http2, int32_t id)
{
    return id > 0 ? http2->lib.get(http2->session, id) : NULL;
}

/* Signature given by nghttp2_on_header_callback. */
/* NOLINTNEXTLINE(readability-function-size) */
static int on_header(nghttp2_session *session, const nghttp2_frame *frame,
                     const uint8_t *name, size_t name_size, const uint8_t *value,
                     size_t value_size, uint8_t flags, void *context)
{
    struct http2 *http2 = context;
    struct http2_stream *stream = stream_of(http2, frame->hd.stream_id);

    (void)session;
    (void)flags;
    if (stream != NULL) {
        http2->events->on_header(stream, (struct rc_span){(const char *)name, name_size},
                                 (struct rc_span){(const char *)value, value_size});
    }
    return 0;
}

/* Signature given by nghttp2_on_data_chunk_recv_callback. */
static int on_data(nghttp2_session *session, uint8_t flags, int32_t id,
                   const uint8_t *bytes, size_t size, void *context)
{
    struct http2 *http2 = context;
    struct http2_stream *stream = stream_of(http2, id);

    (void)session;
    (void)flags;
    if (stream != NULL) {
        http2->events->on_data(stream, bytes, size);
    }
    return 0;
}

/* Signature given by nghttp2_on_stream_close_callback. */
static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *context)
{
    struct http2 *http2 = context;
    struct http2_stream *stream = stream_of(http2, id);

    (void)session;
    if (stream != NULL) {
        stream->id = 0;
        http2->events->on_end(stream, code == NGHTTP2_NO_ERROR         ? HTTP2_WHOLE
                                      : code == NGHTTP2_REFUSED_STREAM ? HTTP2_REFUSED
                                                                       : HTTP2_BROKEN);
    }
    return 0;
}

/* Signature given by nghttp2_before_frame_send_callback. */
static int before_send(nghttp2_session *session, const nghttp2_frame *frame,
                       void *context)
{
    struct http2_stream *stream = stream_of(context, frame->hd.stream_id);

    (void)session;
    if (stream != NULL && frame->hd.type == NGHTTP2_HEADERS) {
        stream->is_sent = true;
    }
    return 0;
}

/* Signature given by nghttp2_data_source_read_callback. */
/* NOLINTNEXTLINE(readability-function-size) */
static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *space,
                         size_t size, uint32_t *flags, nghttp2_data_source *source,
                         void *context)
{
    struct http2_stream *stream = stream_of(context, id);

    (void)session;
    (void)source;
    if (stream == NULL) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* canceled */
    }
    size_t left = stream->body_size - stream->body_used;
    size_t part = left < size ? left : size;
    memcpy(space, stream->body + stream->body_used, part);
    stream->body_used += part;
    if (part == left) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)part;
}

/* ---- life ------------------------------------------------------------------------------ */

static bool start(struct http2 *http2)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES},
    };
    const struct libnghttp2 *lib = &http2->lib;
    nghttp2_session_callbacks *callbacks = NULL;

    if (lib->callbacks_new(&callbacks) != 0) {
        return false;
    }
    lib->on_header(callbacks, on_header);
    lib->on_data(callbacks, on_data);
    lib->on_close(callbacks, on_close);
    lib->before_send(callbacks, before_send);
    int err = lib->session_new(&http2->session, callbacks, http2);
    lib->callbacks_del(callbacks);
    return err == 0 &&
           lib->settings(http2->session, NGHTTP2_FLAG_NONE, settings,
                         sizeof settings / sizeof settings[0]) == 0 &&
           lib->window(http2->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW_BYTES) ==
               0;
}

int http2_load(char *error, size_t error_size)
{
    struct libnghttp2 lib;

    return load(&lib, error, error_size);
}

int http2_create(const struct http2_events *events, struct http2 **out, char *error,
                 size_t error_size)
{
    struct http2 *http2 = calloc(1, sizeof *http2);
    int err = http2 == NULL ? RC_ENOMEM : load(&http2->lib, error, error_size);

    if (err != RC_OK) {
        free(http2);
        return err;
    }
    http2->events = events;
    if (!start(http2)) {
        http2_destroy(http2);
        return RC_ENOMEM;
    }
    *out = http2;
    return RC_OK;
}

void http2_destroy(struct http2 *http2)
{
    if (http2 != NULL) {
        http2->lib.session_del(http2->session); /* NULL is allowed */
        free(http2);
    }
}

/* ---- requests -------------------------------------------------------------------------- */

/* What is called const here libnghttp2 does not write to either. */
static nghttp2_nv pair_of(const struct http2_header *header)
{
    return (nghttp2_nv){
        /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
        .name = (uint8_t *)(uintptr_t)header->name,
        .namelen = strlen(header->name),
        /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
        .value = (uint8_t *)(uintptr_t)header->value,
        .valuelen = strlen(header->value),
        .flags = NGHTTP2_NV_FLAG_NONE,
    };
}

bool http2_post(struct http2 *http2, const struct http2_header *headers, size_t count,
                struct http2_stream *stream)
{
    const nghttp2_data_provider body = {.read_callback = read_body};
    nghttp2_nv pairs[HEADERS_MAX];

    assert(count <= HEADERS_MAX);
    for (size_t i = 0; i < count; i++) {
        pairs[i] = pair_of(&headers[i]);
    }
    int32_t id = http2->lib.request(http2->session, NULL, pairs, count, &body, stream);
    stream->id = id > 0 ? id : 0;
    return id > 0;
}

void http2_cancel(struct http2 *http2, struct http2_stream *stream)
{
    if (stream->id != 0) {
        (void)http2->lib.assign(http2->session, stream->id, NULL);
        (void)http2->lib.reset(http2->session, NGHTTP2_FLAG_NONE, stream->id,
                               NGHTTP2_CANCEL);
        stream->id = 0;
    }
}

bool http2_is_open(struct http2 *http2)
{
    return http2->lib.may_request(http2->session) != 0;
}

bool http2_is_over(struct http2 *http2)
{
    return http2->lib.wants_read(http2->session) == 0 &&
           http2->lib.wants_write(http2->session) == 0;
}

bool http2_has_more(struct http2 *http2)
{
    return http2->lib.wants_write(http2->session) != 0;
}

/* ---- bytes ----------------------------------------------------------------------------- */

int http2_take(struct http2 *http2, const uint8_t **bytes, size_t *size)
{
    ssize_t taken = http2->lib.send(http2->session, bytes);

    *size = taken > 0 ? (size_t)taken : 0;
    return taken >= 0 ? RC_OK : RC_EIO;
}

int http2_feed(struct http2 *http2, const uint8_t *bytes, size_t size)
{
    ssize_t taken = http2->lib.receive(http2->session, bytes, size);

    return taken == (ssize_t)size ? RC_OK : RC_EMALFORMED;
}
