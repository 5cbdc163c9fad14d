#include "tests/unit/etcd_stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/engine/protobuf.h"
#include "base/err.h"
#include "base/text.h"

/* ---- the edge ------------------------------------------------------------------------ */

static void start(void *context, void (*on_wake)(void *owner), void *owner)
{
    struct etcd_stage *stage = context;

    stage->on_wake = on_wake;
    stage->owner = owner;
}

static struct etcd_call *send_request(void *context, const struct etcd_request *request)
{
    struct etcd_stage *stage = context;

    if (stage->refuses > 0) {
        stage->refuses--;
        return NULL;
    }
    assert_true(stage->count < STAGE_CALLS_MAX);
    struct etcd_call *call = &stage->calls[stage->count++];
    *call = (struct etcd_call){.request = *request, .is_open = true};
    rc_buffer_append(&call->body, request->body, request->body_size);
    (void)rc_text_put(call->endpoint, sizeof call->endpoint, request->endpoint);
    (void)rc_text_put(call->token, sizeof call->token, request->token);
    return call;
}

static void cancel(void *context, struct etcd_call *call)
{
    (void)context;
    assert_true(call->is_open);
    call->is_open = false;
    call->was_canceled = true;
}

static void wake(void *context, uint64_t after_ms)
{
    struct etcd_stage *stage = context;
    uint64_t at_ms = stage->now_ms + after_ms;

    stage->wake_at_ms = at_ms < stage->wake_at_ms ? at_ms : stage->wake_at_ms;
}

static uint64_t now_ms(void *context)
{
    const struct etcd_stage *stage = context;

    return stage->now_ms;
}

static void close_edge(void *context, void (*on_closed)(void *owner), void *owner)
{
    struct etcd_stage *stage = context;

    stage->on_closed = on_closed;
    stage->closed_owner = owner;
}

void stage_init(struct etcd_stage *stage)
{
    *stage = (struct etcd_stage){
        .edge = {.context = stage,
                 .start = start,
                 .send = send_request,
                 .cancel = cancel,
                 .wake = wake,
                 .now_ms = now_ms,
                 .close = close_edge},
        .now_ms = 100000,
        .wake_at_ms = UINT64_MAX,
    };
}

void stage_fini(struct etcd_stage *stage)
{
    for (size_t i = 0; i < stage->count; i++) {
        rc_buffer_fini(&stage->calls[i].body);
    }
}

void stage_open(struct etcd_stage *stage, size_t members,
                struct etcd_endpoints *endpoints, struct etcd_asker *asker)
{
    static const char *const urls[] = {"http://a:1", "http://b:1", "http://c:1"};

    stage_init(stage);
    assert_true(members <= sizeof urls / sizeof urls[0]);
    assert_int_equal(etcd_endpoints_init(endpoints, urls, members), RC_OK);
    *asker = (struct etcd_asker){
        .edge = &stage->edge, .endpoints = endpoints, .request_ms = 1000};
}

/* ---- calls --------------------------------------------------------------------------- */

struct etcd_call *stage_find(struct etcd_stage *stage, const char *method,
                             const char *endpoint)
{
    for (size_t i = 0; i < stage->count; i++) {
        struct etcd_call *call = &stage->calls[i];
        if (call->is_open && strcmp(call->request.method, method) == 0 &&
            (endpoint == NULL || strcmp(call->endpoint, endpoint) == 0)) {
            return call;
        }
    }
    return NULL;
}

size_t stage_open_count(const struct etcd_stage *stage, const char *method)
{
    size_t count = 0;

    for (size_t i = 0; i < stage->count; i++) {
        count += stage->calls[i].is_open &&
                 strcmp(stage->calls[i].request.method, method) == 0;
    }
    return count;
}

static void answer(struct etcd_call *call, const struct etcd_reply *reply)
{
    assert_non_null(call);
    assert_true(call->is_open);
    call->is_open = false;
    call->request.on_reply(call->request.context, reply);
}

static struct rc_pack_bytes bytes_of(const struct rc_buffer *message)
{
    if (message == NULL || message->size == 0) {
        return rc_pack_text("");
    }
    assert_int_equal(message->err, RC_OK);
    return (struct rc_pack_bytes){message->bytes, message->size};
}

void stage_reply(struct etcd_call *call, struct rc_buffer *message)
{
    answer(call, &(struct etcd_reply){.end = ETCD_REPLIED,
                                      .message = bytes_of(message),
                                      .text = "",
                                      .took_us = 1000});
    if (message != NULL) {
        rc_buffer_fini(message);
    }
}

void stage_refuse(struct etcd_call *call, int status, const char *text)
{
    answer(call, &(struct etcd_reply){.end = ETCD_REPLIED,
                                      .status = status,
                                      .message = rc_pack_text(""),
                                      .text = text});
}

void stage_end(struct etcd_call *call, enum etcd_end end)
{
    answer(call, &(struct etcd_reply){
                     .end = end, .message = rc_pack_text(""), .text = "went away"});
}

void stage_tell(struct etcd_call *call, struct rc_buffer *message)
{
    assert_non_null(call);
    assert_true(call->is_open);
    call->request.on_message(call->request.context, bytes_of(message));
    rc_buffer_fini(message);
}

void stage_run(struct etcd_stage *stage, uint64_t ms)
{
    uint64_t end_ms = stage->now_ms + ms;
    size_t wakes = 0;

    while (stage->wake_at_ms <= end_ms) {
        assert_true(wakes++ < 100000);
        stage->now_ms =
            stage->wake_at_ms > stage->now_ms ? stage->wake_at_ms : stage->now_ms;
        stage->wake_at_ms = UINT64_MAX;
        if (stage->on_wake != NULL) {
            stage->on_wake(stage->owner);
        }
    }
    stage->now_ms = end_ms;
}

/* ---- messages of etcd ---------------------------------------------------------------- */

void stage_header(struct rc_buffer *out, uint64_t revision)
{
    rc_buffer_clear(out);
    size_t header = protobuf_open(out, 1);
    protobuf_put_number(out, 2, 7);
    protobuf_put_number(out, 3, revision);
    protobuf_close(out, header);
}

void stage_key(struct rc_buffer *out, const char *key, const char *value,
               uint64_t revision)
{
    size_t item = protobuf_open(out, 2);

    protobuf_put_bytes(out, 1, rc_pack_text(key));
    protobuf_put_number(out, 2, revision);
    protobuf_put_number(out, 3, revision);
    protobuf_put_bytes(out, 5, rc_pack_text(value));
    protobuf_close(out, item);
}

void stage_event(struct rc_buffer *out, const char *key, const char *value,
                 uint64_t revision)
{
    size_t event = protobuf_open(out, 11);

    protobuf_put_number(out, 1, value == NULL ? 1 : 0);
    stage_key(out, key, value == NULL ? "" : value, revision);
    protobuf_close(out, event);
}
