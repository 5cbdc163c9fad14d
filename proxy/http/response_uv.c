/* response_uv.c - the response on its way: heads read and rewritten, bodies passed on as they
 * come, one buffer at most held between the two sides. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "proxy/http/http_state_uv.h"

enum { CHUNK_OVERHEAD = FRAMING_CHUNK_LINE_MAX + 2 };

static const char last_chunk[] = "0\r\n\r\n";

/* --- heads --- */

static void refuse_head(struct exchange *x, enum http1_fault fault)
{
    rc_metric_add(x->http->metrics.bad_responses[fault], 1);
    attempt_failed(x, RETRY_BAD_HEAD, INSTANCE_BAD_ANSWER);
}

/* Writes a head into the client's buffer. False: no buffer, or no room. */
static bool put_head(struct exchange *x, const struct forward_response *head)
{
    struct forward_response from = *head;
    struct template_values values;
    struct client *client = x->client;

    if (client->out == NULL) {
        client->out = http_lend(x->http);
    }
    if (client->out == NULL) {
        return false;
    }
    size_t room = slab_room(client->out);
    struct rc_writer out = rc_writer_over(client->out->bytes + client->out->end, room);
    from.via = x->route->via;
    from.hsts = from.response->status >= 200 ? secure_hsts(x) : NULL;
    if (x->route->response.count > 0 && from.response->status >= 200) {
        course_response_values(x, &values);
        from.edits = &x->route->response;
        from.values = &values;
    }
    if (forward_response(&from, &out) != RC_OK) {
        return false;
    }
    client->out->end += (uint32_t)rc_writer_size(&out);
    return client_take_head(client, rc_writer_size(&out)) == RC_OK;
}

/* True if the exchange goes on. */
static bool pass_interim(struct exchange *x, const char *bytes,
                         const struct http1_response *response)
{
    struct forward_response from = {
        .bytes = bytes, .response = response, .body = FORWARD_UNMEASURED};

    /* An announced body that cannot be there: what follows is not to be trusted for long. */
    if (framing_contradicts(response, x->method)) {
        x->suspect_outbound = true;
    }
    hedge_drop(x);
    if (++x->interim > HTTP_INTERIM_MAX) {
        refuse_head(x, HTTP1_BAD_STATUS_LINE);
        return false;
    }
    if (!x->http10 && !put_head(x, &from)) {
        answer_because(x, REFUSAL_BAD_ANSWER);
        answer_send(x, 502, "the instance sent too large a head");
        return false;
    }
    return true;
}

/* May the instance's connection serve another request after this response? */
static bool is_reusable(const struct exchange *x, const struct http1_response *response)
{
    uint32_t says = response->head.says;

    return (says & HTTP1_SAYS_CLOSE) == 0 && x->response.kind != FRAMING_CLOSE &&
           (response->head.minor == 1 || (says & HTTP1_SAYS_KEEP_ALIVE) != 0) &&
           !framing_contradicts(response, x->method);
}

static enum forward_body body_form(struct exchange *x)
{
    switch (x->response.kind) {
    case FRAMING_NONE:
        return x->status == 204 ? FORWARD_UNMEASURED : FORWARD_AS_SAID;
    case FRAMING_LENGTH:
        return FORWARD_AS_SAID;
    case FRAMING_CHUNKED:
    case FRAMING_CLOSE:
        break;
    }
    if (client_frames_bodies(x->client)) {
        return FORWARD_UNMEASURED;
    }
    if (!x->http10) {
        return FORWARD_CHUNKED;
    }
    x->keep_client = false;  /* the end of the connection is the end of the body, */
    x->truncate_loud = true; /* so a loss must be heard otherwise */
    return FORWARD_UNMEASURED;
}

static bool is_gateway_failure(unsigned status)
{
    return status >= 502 && status <= 504;
}

static bool is_listed(const struct exchange *x, unsigned status)
{
    for (size_t i = 0; i < CONFIG_STATUS_MAX && x->route->retry_status[i] != 0; i++) {
        if (x->route->retry_status[i] == status) {
            return true;
        }
    }
    return false;
}

/* True if the answer was dropped in favour of another attempt. */
static bool repeat_instead(struct exchange *x, const struct http1_response *response)
{
    if (response->status == 503 && (response->head.says & HTTP1_SAYS_RETRY_NOW) != 0 &&
        attempt_repeat_instead(x, RETRY_DRAINING, INSTANCE_NOT_TO_BLAME)) {
        return true;
    }
    return is_listed(x, response->status) &&
           attempt_repeat_instead(x, RETRY_STATUS,
                                  is_gateway_failure(response->status)
                                      ? INSTANCE_GATEWAY_STATUS
                                      : INSTANCE_OK);
}

/* A client whose instance was chosen anew is told to come back to it; NULL: nothing to say. */
static const char *new_cookie(const struct exchange *x, char space[AFFINITY_COOKIE_MAX])
{
    if (x->new_sticky == 0) {
        return NULL;
    }
    affinity_write(x->pool->sticky, x->new_sticky,
                   http_socket_is_plain(&x->client->socket) ? AFFINITY_PLAIN
                                                            : AFFINITY_SECURE,
                   space);
    return space;
}

static void switch_protocols(struct exchange *x, const char *bytes,
                             const struct http1_response *response)
{
    uint32_t wanted = HTTP1_SAYS_UPGRADE | HTTP1_SAYS_WEBSOCKET;
    char cookie[AFFINITY_COOKIE_MAX];
    struct forward_response from = {.bytes = bytes,
                                    .response = response,
                                    .body = FORWARD_UNMEASURED,
                                    .connection = FORWARD_SWITCH,
                                    .cookie = new_cookie(x, cookie)};

    if (!x->wants_websocket || (response->head.says & wanted) != wanted) {
        refuse_head(x, HTTP1_BAD_STATUS_LINE);
        return;
    }
    if (!put_head(x, &from)) {
        answer_because(x, REFUSAL_BAD_ANSWER);
        answer_send(x, 502, "the instance sent too large a head");
        return;
    }
    slab_consume(x->out->in, response->head.size);
    x->head_sent = true;
    x->keep_client = false;
    x->status = 101;
    tunnel_start(x);
}

/* The head that counts. */
static void take_final(struct exchange *x, const char *bytes,
                       const struct http1_response *response)
{
    uint64_t now_ns = rc_clock_ns();
    struct meter_lane *lane = meter_lane(x->instance->meter, x->http->worker->number);
    x->first_byte_ns = now_ns - x->start_ns;
    x->upstream_ns = now_ns - x->connect_start_ns;
    meter_count(lane, response->status);
    meter_time(lane, x->upstream_ns);
    if (response->status == 101) {
        switch_protocols(x, bytes, response);
        return;
    }
    if (repeat_instead(x, response)) {
        return;
    }
    hedge_drop(x);
    x->status = response->status;
    x->response = framing_of_response(response, x->method);
    framing_decoder_init(&x->response_decoder, &x->response);
    x->keep_outbound = is_reusable(x, response) && !x->suspect_outbound;
    if (response->head.keep_alive_s > 0) {
        uint32_t seconds = response->head.keep_alive_s - 1;
        x->out->idle_limit_ms = seconds > 0 ? seconds * 1000 : HTTP_IDLE_FLOOR_MS;
    }
    char cookie[AFFINITY_COOKIE_MAX];
    struct forward_response from = {.bytes = bytes,
                                    .response = response,
                                    .body = body_form(x),
                                    .cookie = new_cookie(x, cookie)};
    x->chunked_out = from.body == FORWARD_CHUNKED;
    /* A client that is still sending its body is told that this connection ends. */
    x->keep_client = x->keep_client && x->request_read && client_may_stay(x->client);
    enum forward_connection kept = x->http10 ? FORWARD_KEEP_ALIVE : FORWARD_SILENT;
    from.connection = x->keep_client ? kept : FORWARD_CLOSE;
    if (!put_head(x, &from)) {
        answer_because(x, REFUSAL_BAD_ANSWER);
        answer_send(x, 502, "the instance sent too large a head");
        return;
    }
    slab_consume(x->out->in, response->head.size);
    x->head_sent = true;
    x->phase = EXCHANGE_RELAYING;
    x->when = ACCESS_LOG_DATA;
    exchange_touch(x);
}

/* The instance's stream has ended before the head did. */
static void end_without_head(struct exchange *x)
{
    const struct outbound *out = x->out;

    if (slab_size(out->in) > 0 || x->interim > 0) {
        attempt_failed(x, RETRY_BAD_HEAD, INSTANCE_BROKE);
    } else if (out->lost) {
        attempt_failed(x, RETRY_CLOSED, INSTANCE_TIMED_OUT);
    } else if (out->reused) {
        /* The keep-alive race: nobody's fault (RFC 9112 section 9.3.1). */
        attempt_failed(x, RETRY_STALE, INSTANCE_NOT_TO_BLAME);
    } else {
        attempt_failed(x, RETRY_CLOSED, INSTANCE_BROKE);
    }
}

/* Reads heads until the final one. True when it is there and its body follows. */
static bool take_heads(struct exchange *x)
{
    struct outbound *out = x->out;
    struct http1_response response;

    for (;;) {
        size_t size = 0;
        const char *bytes =
            out->in == NULL ? "" : (const char *)out->in->bytes + out->in->start;
        enum http1_fault fault = http1_scan(&x->scan, bytes, slab_size(out->in), &size);
        if (fault == HTTP1_SOUND && size == 0) {
            if (out->ended) {
                end_without_head(x);
            }
            return false;
        }
        if (fault == HTTP1_SOUND) {
            fault = http1_response_parse(bytes, size, &response);
        }
        if (fault != HTTP1_SOUND) {
            refuse_head(x, fault);
            return false;
        }
        x->scan = (struct http1_scan){0};
        if (response.status >= 200 || response.status == 101) {
            take_final(x, bytes, &response);
            return x->phase == EXCHANGE_RELAYING && x->out == out;
        }
        if (!pass_interim(x, bytes, &response)) {
            return false;
        }
        slab_consume(out->in, size);
    }
}

/* --- bodies --- */

enum flow { FLOW_ON, FLOW_STOPPED };

/* After a write to the client. */
static enum flow after_write(struct exchange *x, enum http_io io)
{
    if (io == HTTP_IO_BROKEN) {
        exchange_client_gone(x);
        return FLOW_STOPPED;
    }
    if (io == HTTP_IO_BLOCKED) {
        x->client->blocked = true;
        client_rearm(x->client);
        return FLOW_STOPPED;
    }
    return FLOW_ON;
}

/* What is in a pipe behind the client's buffer. */
static enum flow flush_spliced(struct exchange *x)
{
    return x->down.pipe == NULL ? FLOW_ON : after_write(x, splice_send_response(x));
}

static enum flow flush_client(struct exchange *x)
{
    size_t none = 0;

    if (flush_spliced(x) == FLOW_STOPPED) {
        return FLOW_STOPPED;
    }
    return after_write(x, client_send(x->client, NULL, 0, &none));
}

/* The client gets what there is, and sees that it is not all. */
static void cut_after_flush(struct exchange *x, enum instance_outcome outcome)
{
    (void)flush_client(x);
    if (x->phase == EXCHANGE_RELAYING) {
        answer_because(x, REFUSAL_INSTANCE_BROKE);
        answer_cut(x, ACCESS_LOG_INSTANCE, outcome);
    }
}

/* Payload that needs no framing of ours goes straight from the buffer it was read into, behind
 * what waits in the client's. */
static enum flow pass_direct(struct exchange *x)
{
    struct slab_buffer *in = x->out->in;
    struct framing_piece piece = {0};
    size_t size = slab_size(in);
    size_t sent = 0;

    if (x->response.kind == FRAMING_LENGTH && x->response_decoder.left < size) {
        size = (size_t)x->response_decoder.left;
    }
    const uint8_t *from = size == 0 ? NULL : in->bytes + in->start;
    enum http_io io = client_send(x->client, from, size, &sent);
    if (sent > 0) {
        int err = framing_decode(&x->response_decoder, from, sent, &piece);
        assert(err == RC_OK && piece.consumed == sent); /* it is all payload */
        (void)err;
        slab_consume(in, sent);
        x->bytes_out += sent;
        exchange_touch(x);
    }
    return after_write(x, io);
}

/* Decodes one piece into the client's buffer. RC_EAGAIN: no room or no bytes. */
static int copy_piece(struct exchange *x)
{
    struct slab_buffer *in = x->out->in;
    struct slab_buffer *to = x->client->out;
    struct framing_piece piece;
    char line[FRAMING_CHUNK_LINE_MAX];
    size_t room = slab_room(to);

    if (slab_size(in) == 0 || room <= CHUNK_OVERHEAD + sizeof last_chunk) {
        return RC_EAGAIN;
    }
    size_t size = slab_size(in);
    size_t payload_max = room - CHUNK_OVERHEAD - sizeof last_chunk;
    size_t offered = size < payload_max ? size : payload_max;
    int err =
        framing_decode(&x->response_decoder, in->bytes + in->start, offered, &piece);
    if (err == RC_OK && piece.consumed == 0 && offered < size) {
        /* A trailer section is taken whole, and is not payload. */
        err = framing_decode(&x->response_decoder, in->bytes + in->start, size, &piece);
    }
    if (err != RC_OK) {
        return err;
    }
    if (piece.payload_size > 0) {
        if (x->chunked_out) {
            slab_append(to, line, framing_chunk_line(piece.payload_size, line));
        }
        slab_append(to, piece.payload, piece.payload_size);
        if (x->chunked_out) {
            slab_append(to, "\r\n", 2);
        }
        x->bytes_out += piece.payload_size;
    }
    slab_consume(in, piece.consumed);
    return piece.consumed > 0 ? RC_OK : RC_EAGAIN;
}

static enum flow pass_copied(struct exchange *x)
{
    int err = RC_OK;

    if (x->client->out == NULL) {
        x->client->out = http_lend(x->http);
    }
    if (x->client->out == NULL) {
        answer_because(x, REFUSAL_NO_BUFFER);
        answer_cut(x, ACCESS_LOG_PROXY, INSTANCE_NOT_TO_BLAME);
        return FLOW_STOPPED;
    }
    while (err == RC_OK && !framing_is_done(&x->response_decoder)) {
        err = copy_piece(x);
    }
    if (err != RC_OK && err != RC_EAGAIN) {
        rc_metric_add(x->http->metrics.bad_responses[HTTP1_BAD_TRANSFER_ENCODING], 1);
        cut_after_flush(x, INSTANCE_BAD_ANSWER);
        return FLOW_STOPPED;
    }
    if (err == RC_EAGAIN) {
        exchange_touch(x);
        return flush_client(x);
    }
    return FLOW_ON; /* what is left goes out with the last chunk */
}

static enum instance_outcome outcome_of(const struct exchange *x)
{
    return is_gateway_failure(x->status) ? INSTANCE_GATEWAY_STATUS : INSTANCE_OK;
}

/* The body is complete: the instance is free again, the client gets the rest. */
static void finish_body(struct exchange *x)
{
    struct client *client = x->client;

    if (x->chunked_out) {
        assert(client->out != NULL && slab_room(client->out) >= sizeof last_chunk);
        slab_append(client->out, last_chunk, sizeof last_chunk - 1);
    }
    bool request_done = x->request_read && request_is_sent(x);
    bool keep =
        x->keep_outbound && request_done && !x->send_broken && slab_size(x->out->in) == 0;
    attempt_release(x, outcome_of(x), keep ? OUTBOUND_KEEP : OUTBOUND_CLOSE);
    x->phase = EXCHANGE_FLUSHING;
}

/* The instance's stream has ended; all its bytes have been passed on. */
static void end_body(struct exchange *x)
{
    bool whole = !x->out->broken && framing_end(&x->response_decoder) == RC_OK;

    if (!whole) {
        cut_after_flush(x, INSTANCE_BROKE);
        return;
    }
    finish_body(x);
}

static void pass_body(struct exchange *x)
{
    bool direct = !x->chunked_out && x->response.kind != FRAMING_CHUNKED;

    while (x->phase == EXCHANGE_RELAYING) {
        /* An instance is free when we have all of its answer, in a pipe or passed on. */
        bool done = framing_is_done(&x->response_decoder);
        if (!(done && direct) && flush_spliced(x) == FLOW_STOPPED) {
            return;
        }
        if (done) {
            finish_body(x);
            return;
        }
        size_t before = slab_size(x->out->in);
        if ((direct ? pass_direct(x) : pass_copied(x)) == FLOW_STOPPED) {
            return;
        }
        bool moved = slab_size(x->out->in) != before;
        done = framing_is_done(&x->response_decoder);
        if (!done && !moved) {
            if (x->out->ended) {
                end_body(x);
            }
            return;
        }
    }
}

static void finish_flushing(struct exchange *x)
{
    struct client *client = x->client;

    if (client->blocked || flush_spliced(x) == FLOW_STOPPED ||
        after_write(x, client_finish(client)) == FLOW_STOPPED) {
        return;
    }
    if (x->keep_client && client_may_stay(client)) {
        answer_finish(x, CLIENT_GOES_ON);
        return;
    }
    /* Unread bytes behind a closed socket become a reset that overtakes the answer. */
    bool more_may_come = !x->request_read || slab_size(client->in) > 0 ||
                         x->keep_client || x->status == 400;
    answer_finish(x, more_may_come ? CLIENT_LINGERS : CLIENT_CLOSES);
}

void response_pump(struct exchange *x)
{
    if (x->phase == EXCHANGE_TUNNEL) {
        tunnel_pump(x);
        return;
    }
    if (x->phase == EXCHANGE_WAITING && !take_heads(x)) {
        bool interim = x->phase == EXCHANGE_WAITING && slab_size(x->client->out) > 0;
        if (interim && !x->client->blocked) {
            (void)flush_client(x);
        }
        return;
    }
    if (x->phase == EXCHANGE_RELAYING && !x->client->blocked) {
        pass_body(x);
    }
    if (x->phase == EXCHANGE_RELAYING && x->down.pipe == NULL) {
        outbound_drained(x->out);
    }
    if (x->phase == EXCHANGE_FLUSHING) {
        finish_flushing(x);
    }
}

/* --- reading --- */

static enum http_io read_once(struct outbound *out)
{
    if (out->in == NULL) {
        out->in = http_lend(out->http);
    }
    return out->in == NULL ? HTTP_IO_FULL : http_socket_read(&out->socket, out->in);
}

/* The next bytes: into a pipe if that is worth it, else into the buffer. */
static enum http_io take_bytes(struct exchange *x, size_t *moved)
{
    struct outbound *out = x->out;
    size_t before = slab_size(out->in);

    if (x->down.pipe != NULL) {
        return HTTP_IO_FULL; /* the client has not taken it yet */
    }
    if (splice_takes_response(x)) {
        enum http_io io = splice_response(x, moved);
        if (io != HTTP_IO_FULL) {
            return io;
        }
    }
    enum http_io io = read_once(out);
    if (io == HTTP_IO_DONE) {
        *moved += slab_size(out->in) - before;
        x->down.bulk = out->in->end == SLAB_BYTES;
    }
    return io;
}

void response_on_bytes(struct exchange *x)
{
    struct outbound *out = x->out;
    size_t moved = 0;
    bool more = !out->ended;

    while (more && x->out == out && moved < HTTP_TURN_BYTES_MAX) {
        enum http_io io = take_bytes(x, &moved);
        if (io == HTTP_IO_BLOCKED) {
            break;
        }
        if (io == HTTP_IO_FULL) {
            out->paused = true;
            outbound_rearm(out);
            break;
        }
        if (io == HTTP_IO_DONE) {
            more = x->down.bulk; /* else the socket is empty */
        } else {
            out->ended = true;
            out->broken = io == HTTP_IO_BROKEN;
            out->lost = out->broken && (errno == ETIMEDOUT || errno == EHOSTUNREACH);
            outbound_rearm(out);
            more = false;
        }
        response_pump(x);
    }
}
