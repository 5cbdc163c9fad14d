/* fuzz_http2.c - any bytes as an HTTP/2 connection: whatever comes, each request that is handed on is
 * one sound head of HTTP/1.1 or has a fault, what is held stays within the window, and all buffers
 * come back. Requests are answered at once, by rules of their stream's number. */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "proxy/http2/h2_session_nghttp2.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { SERVED_MAX = 64 };

struct served {
    struct h2_stream *stream;
    struct slab_buffer *in;
    struct slab_buffer *out;
};

struct world {
    struct slab slab;
    struct h2_session *session;
    struct served served[SERVED_MAX];
};

static void check_head(struct h2_stream *stream, struct slab_buffer *head)
{
    struct http1_request request;
    struct http1_scan scan = {0};
    size_t found = 0;
    const char *text = (const char *)head->bytes;

    if (stream->fault != HTTP1_SOUND) {
        assert(stream->head_size == 0);
        return;
    }
    assert(slab_size(head) == stream->head_size);
    assert(http1_scan(&scan, text, stream->head_size, &found) == HTTP1_SOUND);
    assert(found == stream->head_size);
    if (http1_request_parse(text, found, &request) == HTTP1_SOUND) {
        assert(request.form != HTTP1_ABSOLUTE); /* no path brings a host of its own */
    }
}

static void leave(struct world *world, struct served *served)
{
    h2_stream_release(served->stream);
    slab_return(&world->slab, &served->in);
    slab_return(&world->slab, &served->out);
    served->stream = NULL;
}

static void answer(struct world *world, struct served *served)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nServer: x\r\n\r\n";
    struct h2_field fields[H2_HEAD_FIELDS_MAX];
    size_t count = 0;
    size_t size = 0;
    struct h2_stream *stream = served->stream;
    int err = h2_head_split(head, sizeof head - 1, fields, &count, &size);

    assert(err == RC_OK);
    if (stream->id % 5 == 0) {
        (void)h2_stream_head(stream, fields, count, H2_ANSWER_WHOLE);
        return;
    }
    (void)h2_stream_head(stream, fields, count, H2_ANSWER_WITH_BODY);
    served->out = slab_lend(&world->slab);
    if (served->out != NULL) {
        slab_append(served->out, head, sizeof head - 1);
    }
    h2_stream_resume(stream);
    if (stream->id % 3 != 0) {
        h2_stream_finish(stream);
    }
}

static void begin(struct world *world, struct h2_stream *stream)
{
    struct slab_buffer *head = h2_stream_take(stream);

    assert(head != NULL);
    check_head(stream, head);
    slab_return(&world->slab, &head);
    for (size_t i = 0; i < SERVED_MAX; i++) {
        if (world->served[i].stream == NULL) {
            world->served[i].stream = stream;
            stream->owner = &world->served[i];
            stream->out = &world->served[i].out;
            answer(world, &world->served[i]);
            return;
        }
    }
    h2_stream_release(stream);
}

static void take_body(struct world *world, struct h2_stream *stream)
{
    struct slab_buffer *piece = NULL;

    assert(stream->held <= H2_STREAM_WINDOW && stream->waiting <= stream->held);
    while ((piece = h2_stream_take(stream)) != NULL) {
        h2_stream_consumed(stream, slab_size(piece));
        slab_return(&world->slab, &piece);
    }
}

static void hear(struct world *world)
{
    struct h2_stream *stream = NULL;
    unsigned news = 0;

    while ((stream = h2_session_next(world->session, &news)) != NULL) {
        if ((news & H2_REQUEST) != 0) {
            begin(world, stream);
            continue;
        }
        struct served *served = stream->owner;
        if ((news & H2_MORE) != 0) {
            take_body(world, stream);
        }
        if ((news & (H2_GONE | H2_SENT)) != 0) {
            leave(world, served);
        }
    }
}

static void feed(struct world *world, const uint8_t *bytes, size_t size)
{
    size_t at = 0;
    uint64_t now_ms = 0;
    size_t step = size > 0 ? (size_t)bytes[0] + 1 : 1;
    struct slab_buffer *to = slab_lend(&world->slab);

    assert(to != NULL);
    while (at < size) {
        size_t piece = size - at < step ? size - at : step;
        int err = h2_session_feed(world->session, bytes + at, piece, now_ms);
        at += piece;
        now_ms += 7;
        hear(world);
        do {
            to->start = 0;
            to->end = 0;
            if (h2_session_fill(world->session, to) != RC_OK) {
                err = RC_EMALFORMED;
            }
            hear(world);
        } while (err == RC_OK && slab_size(to) > 0);
        if (err != RC_OK || h2_session_is_over(world->session)) {
            break;
        }
    }
    slab_return(&world->slab, &to);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    struct world world = {0};
    struct h2_session_options options = {
        .slab = &world.slab, .streams_max = 16, .has_tunnels = true};

    slab_init(&world.slab, 4 << 20);
    if (h2_session_create(&options, &world.session) != RC_OK) {
        return 0;
    }
    int err =
        h2_session_feed(world.session, (const uint8_t *)preface, sizeof preface - 1, 0);
    assert(err == RC_OK);
    feed(&world, bytes, size);
    for (size_t i = 0; i < SERVED_MAX; i++) {
        if (world.served[i].stream != NULL) {
            leave(&world, &world.served[i]);
        }
    }
    h2_session_destroy(world.session);
    assert(world.slab.lent == 0);
    slab_fini(&world.slab);
    return 0;
}
