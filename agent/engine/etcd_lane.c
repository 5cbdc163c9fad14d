/* etcd_lane.c - opening, sending, telling. */
#include "agent/engine/etcd_lane.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"

enum {
    REPLY_MAX_BYTES = 64 << 20, /* one message, and all that waits to be told */
    OUT_BYTES = 64 << 10,       /* so much is given to the wire at once */
    IN_BYTES = 12 << 10
};

/* ---- how calls end -------------------------------------------------------------------- */

/* A call and its stream begin at the same place. */
static struct etcd_call *call_of(struct http2_stream *stream)
{
    return (struct etcd_call *)stream;
}

static void note_news(struct etcd_call *call)
{
    call->lane->has_news = true;
}

static void on_header(struct http2_stream *stream, struct rc_span name,
                      struct rc_span value)
{
    grpc_end_read(&call_of(stream)->end, name, value);
}

static void on_data(struct http2_stream *stream, const uint8_t *bytes, size_t size)
{
    struct etcd_call *call = call_of(stream);

    rc_buffer_append(&call->frames, bytes, size);
    call->has_news = true;
    if (call->on_message != NULL) {
        note_news(call);
    }
}

static void on_end(struct http2_stream *stream, enum http2_end end)
{
    struct etcd_call *call = call_of(stream);

    call->is_over = true;
    call->how = end;
    note_news(call);
}

static const struct http2_events http2_events = {on_header, on_data, on_end};

static void unlink_call(struct etcd_call *call)
{
    struct etcd_lane *lane = call->lane;

    assert(lane->telling != call);
    if (call->before == NULL) {
        lane->calls = call->next;
    } else {
        call->before->next = call->next;
    }
    if (call->next != NULL) {
        call->next->before = call->before;
    }
}

void etcd_call_destroy(struct etcd_call *call)
{
    rc_buffer_fini(&call->frames);
    free(call->token);
    free(call->body);
    free(call);
}

/* The one message of a call that went well. */
static void take_message(const struct etcd_call *call, struct etcd_reply *out)
{
    struct rc_cursor in = rc_cursor_over(call->frames.bytes, call->frames.size);

    if (call->on_message == NULL &&
        (call->frames.err != RC_OK ||
         grpc_frame_next(&in, REPLY_MAX_BYTES, &out->message) != RC_OK)) {
        out->status = GRPC_INTERNAL;
        out->text = "etcd: its answer is no message";
    }
}

static struct etcd_reply reply_of(const struct etcd_call *call)
{
    uint64_t now_us = rc_clock_ns() / 1000;
    struct etcd_reply reply = {
        .end = ETCD_REPLIED,
        .status = call->end.status,
        .message = rc_pack_text(""),
        .text = call->end.text,
        .took_us = now_us > call->started_us ? now_us - call->started_us : 0,
    };

    if (call->end.status == GRPC_OK) { /* whatever became of the stream after that */
        take_message(call, &reply);
    } else if (call->end.status < 0 && call->why == NULL && call->how == HTTP2_WHOLE) {
        reply.status = (int)grpc_status_of_http(call->end.http_status);
        reply.text = "etcd: what answers there is not etcd";
    } else if (call->end.status < 0) {
        bool was_seen = call->stream.is_sent && call->how != HTTP2_REFUSED;
        reply.end = was_seen ? ETCD_LOST : ETCD_NOT_SENT;
        reply.text = call->why != NULL ? call->why : "etcd: it broke the call off";
    }
    return reply;
}

static void finish(struct etcd_call *call)
{
    struct etcd_reply reply = reply_of(call);

    unlink_call(call);
    call->on_reply(call->context, &reply);
    etcd_call_destroy(call);
}

void etcd_lane_cancel(struct etcd_call *call)
{
    struct etcd_lane *lane = call->lane;

    if (lane->http2 != NULL) {
        http2_cancel(lane->http2, &call->stream);
        lane->wake(lane->context); /* to say so */
    }
    unlink_call(call);
    etcd_call_destroy(call);
}

/* ---- the connection ------------------------------------------------------------------- */

static void close_connection(struct etcd_lane *lane, const char *text)
{
    (void)rc_text_put(lane->text, sizeof lane->text, text);
    etcd_wire_close(lane->wire);
    http2_destroy(lane->http2);
    rc_buffer_clear(&lane->out);
    lane->wire = NULL;
    lane->http2 = NULL;
    lane->has_broken = false;
    lane->state = ETCD_LANE_CLOSED;
}

static void mark_over(struct etcd_call *call, const char *why)
{
    call->stream.id = 0;
    if (!call->is_over) {
        call->is_over = true;
        call->how = HTTP2_BROKEN;
        call->why = why;
    }
    call->lane->has_news = true;
}

/* All its calls are over, and will be told so. */
static void break_down(struct etcd_lane *lane, const char *text)
{
    close_connection(lane, text);
    for (struct etcd_call *call = lane->calls; call != NULL; call = call->next) {
        mark_over(call, lane->text);
    }
}

/* Takes what HTTP/2 wants to say and gives it to the wire. Never calls back. */
static void flush(struct etcd_lane *lane)
{
    const uint8_t *bytes = NULL;
    size_t size = 1;
    size_t sent = 0;

    while (lane->state == ETCD_LANE_OPEN && !lane->has_broken) {
        int err = RC_OK;
        while (err == RC_OK && lane->out.size < OUT_BYTES && size > 0) {
            err = http2_take(lane->http2, &bytes, &size);
            rc_buffer_append(&lane->out, bytes, err == RC_OK ? size : 0);
        }
        if (lane->out.size == 0 && err == RC_OK) {
            break;
        }
        err = err == RC_OK ? lane->out.err : err;
        err = err == RC_OK
                  ? etcd_wire_send(lane->wire, lane->out.bytes, lane->out.size, &sent)
                  : err;
        if (err == RC_EAGAIN) {
            etcd_wire_want(lane->wire, ETCD_WIRE_WRITES);
            return;
        }
        if (err != RC_OK) {
            lane->has_broken = true;
            lane->wake(lane->context);
            return;
        }
        rc_buffer_consume(&lane->out, sent);
        size = 1;
    }
}

static bool post(struct etcd_call *call)
{
    const struct etcd_lane *lane = call->lane;
    const char *name = strstr(lane->endpoint, "://");
    const struct http2_header headers[] = {
        {":method", "POST"},
        {":scheme", lane->is_tls ? "https" : "http"},
        {":path", call->method},
        {":authority", name != NULL ? name + 3 : lane->endpoint},
        {"content-type", "application/grpc"},
        {"te", "trailers"},
        {"token", call->token},
    };
    size_t count = sizeof headers / sizeof headers[0] - (call->token == NULL ? 1 : 0);

    return http2_post(lane->http2, headers, count, &call->stream);
}

/* Those that waited for it, the oldest first. */
static void post_all(struct etcd_lane *lane)
{
    struct etcd_call *call = lane->calls;

    while (call != NULL && call->next != NULL) {
        call = call->next;
    }
    for (; call != NULL; call = call->before) {
        if (!call->is_over && call->stream.id == 0 && !post(call)) {
            mark_over(call, "out of memory");
        }
    }
}

static void on_open(void *context)
{
    struct etcd_lane *lane = context;
    char error[GRPC_TEXT_MAX] = "out of memory";

    if (http2_create(&http2_events, &lane->http2, error, sizeof error) != RC_OK) {
        break_down(lane, error);
    } else {
        lane->state = ETCD_LANE_OPEN;
        post_all(lane);
    }
    lane->has_opened = true;
    etcd_lane_attend(lane);
}

static void on_failed(void *context, const char *text)
{
    struct etcd_lane *lane = context;

    break_down(lane, text);
    etcd_lane_attend(lane);
}

static void on_ready(void *context);

static void receive(struct etcd_lane *lane)
{
    uint8_t space[IN_BYTES];
    size_t got = 0;
    bool is_drained = false; /* TLS keeps a part to itself, that the loop does not see */
    int err = RC_OK;

    while (err == RC_OK && !lane->has_broken && !is_drained) {
        err = etcd_wire_receive(lane->wire, space, sizeof space, &got);
        if (err == RC_OK) {
            err = http2_feed(lane->http2, space, got);
            is_drained = !lane->is_tls && got < sizeof space;
        }
    }
    if (err != RC_EAGAIN && err != RC_OK) {
        break_down(lane, err == RC_EMALFORMED ? "etcd: what answers there is not etcd"
                                              : "etcd: the connection was lost");
    } else if (lane->out.size > 0) {
        etcd_wire_want(lane->wire, ETCD_WIRE_READS);
    }
}

static bool connect_wire(struct etcd_lane *lane)
{
    static const struct etcd_wire_events events = {on_open, on_ready, on_failed};

    if (lane->state == ETCD_LANE_CLOSED) {
        lane->wire =
            etcd_wire_open(lane->multi, lane->endpoint, lane->files, &events, lane);
        lane->state = lane->wire != NULL ? ETCD_LANE_CONNECTING : ETCD_LANE_CLOSED;
    }
    return lane->state != ETCD_LANE_CLOSED;
}

/* ---- calls ---------------------------------------------------------------------------- */

bool etcd_lane_send(struct etcd_lane *lane, struct etcd_call *call)
{
    call->lane = lane;
    call->frames.max = REPLY_MAX_BYTES;
    call->started_us = rc_clock_ns() / 1000;
    grpc_end_clear(&call->end);
    bool may_go =
        lane->state == ETCD_LANE_OPEN && !lane->has_broken && http2_is_open(lane->http2);
    if (may_go ? !post(call) : !connect_wire(lane)) {
        return false;
    }
    call->before = NULL;
    call->next = lane->calls;
    if (call->next != NULL) {
        call->next->before = call;
    }
    lane->calls = call;
    if (may_go) {
        flush(lane);
    } else if (lane->state == ETCD_LANE_OPEN) {
        lane->wake(lane->context); /* it goes away, or has gone */
    }
    return true;
}

/* Tells all whole messages there are. False: what came is none. */
static bool tell(struct etcd_call *call)
{
    struct rc_cursor in = rc_cursor_over(call->frames.bytes, call->frames.size);
    struct rc_pack_bytes message;
    int err = call->frames.err;

    call->has_news = false;
    call->lane->telling = call;
    while (err == RC_OK) {
        err = grpc_frame_next(&in, REPLY_MAX_BYTES, &message);
        if (err == RC_OK) {
            call->on_message(call->context, message);
        }
    }
    call->lane->telling = NULL;
    rc_buffer_consume(&call->frames, call->frames.size - rc_cursor_left(&in));
    return err == RC_ETRUNCATED;
}

/* A member that goes away takes no more requests: once those under way have ended, what only
 * listens is ended too, and the rest goes on by a new connection. */
static void leave(struct etcd_lane *lane)
{
    for (const struct etcd_call *call = lane->calls; call != NULL; call = call->next) {
        if (call->stream.id != 0 && call->deadline_ms != UINT64_MAX) {
            return;
        }
    }
    bool has_more = false;
    close_connection(lane, "etcd: the member goes away");
    for (struct etcd_call *call = lane->calls; call != NULL; call = call->next) {
        if (call->stream.id != 0) {
            mark_over(call, lane->text);
        }
        has_more = has_more || !call->is_over;
    }
    if (has_more && !connect_wire(lane)) {
        break_down(lane, "out of memory");
    }
}

static void look_after(struct etcd_lane *lane)
{
    if (lane->has_broken ||
        (lane->state == ETCD_LANE_OPEN && http2_is_over(lane->http2))) {
        break_down(lane, "etcd: the connection was lost");
    } else if (lane->state == ETCD_LANE_OPEN && !http2_is_open(lane->http2)) {
        leave(lane);
    }
}

/* Being told may begin and end other calls, so each is looked for anew. */
static struct etcd_call *next_news(const struct etcd_lane *lane)
{
    struct etcd_call *call = lane->calls;

    /* No call that was freed is in the list: finish() takes it out first.
     * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    while (call != NULL && !call->is_over &&
           !(call->has_news && call->on_message != NULL)) {
        call = call->next;
    }
    return call;
}

static void tell_one(struct etcd_call *call)
{
    bool is_well = !call->has_news || call->on_message == NULL || tell(call);

    if (!is_well && !call->is_over) {
        http2_cancel(call->lane->http2, &call->stream);
        mark_over(call, "etcd: its answer is no message");
    }
    if (call->is_over) {
        finish(call);
    }
}

static void tell_all(struct etcd_lane *lane)
{
    struct etcd_call *call = NULL;

    do {
        look_after(lane);
        lane->has_news = false;
        while ((call = next_news(lane)) != NULL) {
            tell_one(call);
        }
    } while (lane->has_news);
}

void etcd_lane_attend(struct etcd_lane *lane)
{
    do {
        tell_all(lane);
        flush(lane);
        look_after(lane);
    } while (lane->has_news);
}

static void on_ready(void *context)
{
    struct etcd_lane *lane = context;
    bool was_full = lane->out.size > 0;

    receive(lane);
    if (was_full) {
        etcd_lane_attend(lane);
        return;
    }
    tell_all(lane);
    if (lane->state == ETCD_LANE_OPEN && http2_has_more(lane->http2)) {
        lane->wake(lane->context); /* pongs can wait until those are served who waited */
    }
}

uint64_t etcd_lane_limit(struct etcd_lane *lane, uint64_t now_ms)
{
    uint64_t next_ms = UINT64_MAX;

    for (struct etcd_call *call = lane->calls; call != NULL; call = call->next) {
        if (call->deadline_ms > now_ms || call->is_over) {
            next_ms = call->deadline_ms < next_ms ? call->deadline_ms : next_ms;
            continue;
        }
        if (lane->http2 != NULL) {
            http2_cancel(lane->http2, &call->stream);
        }
        mark_over(call, "etcd: no answer in time");
    }
    etcd_lane_attend(lane);
    return next_ms;
}

/* ---- life ----------------------------------------------------------------------------- */

bool etcd_lane_init(struct etcd_lane *lane, const char *endpoint)
{
    lane->endpoint = rc_text_copy(endpoint);
    lane->is_tls = rc_text_starts_with(endpoint, "https://");
    return lane->endpoint != NULL;
}

void etcd_lane_fini(struct etcd_lane *lane)
{
    assert(lane->calls == NULL);
    etcd_wire_close(lane->wire);
    http2_destroy(lane->http2);
    rc_buffer_fini(&lane->out);
    free(lane->endpoint);
}
