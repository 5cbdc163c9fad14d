/* request_uv.c - the request on its way: from the client's buffer, framed anew, to the
 * instance. What was sent stays in the buffer as long as it fits, for a repeat. */
#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "proxy/http/http_state_uv.h"

enum { CHUNK_OVERHEAD = FRAMING_CHUNK_LINE_MAX + 2 };

static const char last_chunk[] = "0\r\n\r\n";

/* Room behind what is in the request buffer. When it is full, sent bytes make way, and the
 * request can no longer be repeated. */
static size_t make_room(struct exchange *x)
{
    struct slab_buffer *request = x->request;
    size_t room = SLAB_BYTES - request->end;

    if (room > CHUNK_OVERHEAD + sizeof last_chunk || x->request_sent == 0) {
        return room;
    }
    size_t left = request->end - x->request_sent;
    memmove(request->bytes, request->bytes + x->request_sent, left);
    request->end = (uint32_t)left;
    x->request_sent = 0;
    x->replayable = false;
    return SLAB_BYTES - left;
}

static void put_payload(struct exchange *x, const struct framing_piece *piece)
{
    char line[FRAMING_CHUNK_LINE_MAX];

    if (piece->payload_size == 0) {
        return;
    }
    if (x->body.kind == FRAMING_CHUNKED) {
        slab_append(x->request, line, framing_chunk_line(piece->payload_size, line));
    }
    slab_append(x->request, piece->payload, piece->payload_size);
    if (x->body.kind == FRAMING_CHUNKED) {
        slab_append(x->request, "\r\n", 2);
    }
}

static bool is_over_limit(const struct exchange *x)
{
    uint64_t limit = x->route->body_limit_bytes;
    return limit != 0 && x->bytes_in > limit;
}

/* The body is complete. */
static void end_body(struct exchange *x)
{
    x->request_read = true;
    if (x->body.kind == FRAMING_CHUNKED) {
        slab_append(x->request, last_chunk, sizeof last_chunk - 1);
    }
}

/* Moves one piece of the body from client->in to the request buffer. RC_OK if something moved,
 * RC_EAGAIN if nothing could, RC_EMALFORMED or RC_ETOOBIG. */
static int take_piece(struct exchange *x)
{
    struct slab_buffer *in = x->client->in;
    struct framing_piece piece;
    size_t room = make_room(x);

    if (room <= CHUNK_OVERHEAD + sizeof last_chunk) {
        return RC_EAGAIN;
    }
    if (slab_size(in) == 0) {
        if (x->decoder.kind == FRAMING_CLOSE && x->client->ended) {
            end_body(x);
        }
        return RC_EAGAIN;
    }
    size_t size = slab_size(in);
    size_t payload_max = room - CHUNK_OVERHEAD - sizeof last_chunk;
    size_t offered = size < payload_max ? size : payload_max;
    int err = framing_decode(&x->decoder, in->bytes + in->start, offered, &piece);
    if (err == RC_OK && piece.consumed == 0 && offered < size) {
        /* A trailer section is taken whole, and is not payload. */
        err = framing_decode(&x->decoder, in->bytes + in->start, size, &piece);
    }
    if (err != RC_OK) {
        return err;
    }
    put_payload(x, &piece);
    x->bytes_in += piece.payload_size;
    x->window_bytes += piece.payload_size;
    slab_consume(in, piece.consumed);
    if (framing_is_done(&x->decoder)) {
        end_body(x);
    }
    return piece.consumed > 0 ? RC_OK : RC_EAGAIN;
}

/* The request breaks the rules in its body. */
static void refuse_body(struct exchange *x, unsigned status, const char *text)
{
    answer_blame(x, ACCESS_LOG_CLIENT);
    if (x->head_sent) {
        answer_cut(x, ACCESS_LOG_CLIENT, INSTANCE_NOT_TO_BLAME);
        return;
    }
    attempt_release(x, INSTANCE_NOT_TO_BLAME, OUTBOUND_CLOSE);
    answer_send(x, status, text);
}

static bool can_send(const struct exchange *x)
{
    return x->out != NULL && x->out->connected && !x->send_broken && !x->out->blocked;
}

bool request_is_sent(const struct exchange *x)
{
    return x->request_sent == x->request->end && x->up.pipe == NULL;
}

static enum http_io send_buffer(struct exchange *x)
{
    size_t sent = 0;
    enum http_io io =
        http_socket_write(&x->out->socket, NULL, x->request->bytes + x->request_sent,
                          x->request->end - x->request_sent, &sent);

    x->request_sent += (uint32_t)sent;
    x->sent = x->sent || sent > 0;
    if (sent > 0) {
        exchange_touch(x);
    }
    return io;
}

/* Sends what is in the request buffer, and in a pipe behind it. True if all of it went. */
static bool send_request(struct exchange *x)
{
    if (!can_send(x)) {
        return false;
    }
    enum http_io io = send_buffer(x);
    if (io == HTTP_IO_DONE && x->up.pipe != NULL) {
        io = splice_send_request(x);
        io = io == HTTP_IO_DONE ? send_buffer(x) : io;
    }
    if (io == HTTP_IO_BLOCKED) {
        x->out->blocked = true;
        outbound_rearm(x->out);
    } else if (io == HTTP_IO_BROKEN) {
        /* It may have answered before it closed: reading will tell. */
        x->send_broken = true;
        exchange_touch(x);
    }
    return io == HTTP_IO_DONE;
}

/* A slow drip holds an instance's worker: below 100 B/s over 30 s is the client's time-out. */
static bool is_too_slow(struct exchange *x)
{
    uint64_t now_ms = http_now_ms(x->http);

    /* Once the answer has begun the two talk at their own pace. */
    if (now_ms < x->window_end_ms || x->request_read || x->head_sent) {
        return false;
    }
    bool slow = x->window_bytes > 0 && x->window_bytes < HTTP_RATE_BYTES &&
                !(x->out != NULL && x->out->blocked);
    x->window_bytes = 0;
    x->window_end_ms = now_ms + HTTP_RATE_WINDOW_MS;
    return slow;
}

/* Everything that has come and fits goes into the request buffer. */
static int take_all(struct exchange *x)
{
    int err = RC_OK;

    while (err == RC_OK && !x->request_read) {
        err = take_piece(x);
    }
    return err == RC_EAGAIN ? RC_OK : err;
}

void request_pump(struct exchange *x)
{
    size_t before = 0;
    size_t after = 0;

    if (x->phase >= EXCHANGE_TUNNEL || x->send_broken) {
        return;
    }
    do {
        before = slab_size(x->client->in) + x->request_sent;
        if (take_all(x) != RC_OK) {
            refuse_body(x, 400, "malformed chunked body");
            return;
        }
        if (is_over_limit(x)) {
            refuse_body(x, 413, "the body is larger than this route allows");
            return;
        }
        bool all = send_request(x);
        after = all ? slab_size(x->client->in) + x->request_sent : before;
    } while (!x->request_read && slab_size(x->client->in) > 0 && after != before);
    if (is_too_slow(x)) {
        refuse_body(x, 408, "the request body came too slowly");
        return;
    }
    if (x->up.pipe == NULL) {
        client_drained(x->client);
    }
}
