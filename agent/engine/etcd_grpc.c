/* etcd_grpc.c - a lane to each member, time limits, and the engine's timer. */
#include "agent/engine/etcd_grpc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/engine/etcd_lane.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/pages.h"
#include "base/text.h"
#include "base/watch_uv.h"

enum { SETTLED_MS = 2000 }; /* after a connection was made */

struct etcd_grpc {
    struct multi_curl multi;
    struct uv_loop_s *loop;
    struct watch_timer *waker;  /* the engine's */
    uint64_t wake_at_ms;        /* UINT64_MAX: not set */
    struct watch_timer *limits; /* of calls */
    uint64_t limits_at_ms;      /* UINT64_MAX: not set */
    uint64_t release_at_ms;     /* of memory; UINT64_MAX: not set */
    struct etcd_lane lanes[ETCD_ENDPOINTS_MAX];
    size_t lane_count;
    struct etcd_files files;
    void (*on_wake)(void *owner);
    void (*on_closed)(void *owner);
    void *owner; /* of both */
};

/* ---- time limits ---------------------------------------------------------------------- */

static void set_limits(struct etcd_grpc *grpc, uint64_t at_ms)
{
    uint64_t now_ms = rc_clock_ms();

    if (at_ms < grpc->limits_at_ms) {
        grpc->limits_at_ms = at_ms;
        watch_uv_timer_set(grpc->limits, at_ms > now_ms ? (int64_t)(at_ms - now_ms) : 0);
    }
}

/* What TLS needs to begin is a megabyte more than to go on. */
static void release(struct etcd_grpc *grpc, uint64_t now_ms)
{
    for (size_t i = 0; i < grpc->lane_count; i++) {
        if (grpc->lanes[i].has_opened) {
            grpc->lanes[i].has_opened = false;
            grpc->release_at_ms = now_ms + SETTLED_MS;
        }
    }
    if (now_ms >= grpc->release_at_ms) {
        grpc->release_at_ms = UINT64_MAX;
        rc_pages_release();
    }
    set_limits(grpc, grpc->release_at_ms);
}

static void on_limit(void *context)
{
    struct etcd_grpc *grpc = context;
    uint64_t now_ms = rc_clock_ms();

    grpc->limits_at_ms = UINT64_MAX;
    for (size_t i = 0; i < grpc->lane_count; i++) {
        uint64_t next_ms = etcd_lane_limit(&grpc->lanes[i], now_ms);
        if (next_ms != UINT64_MAX) {
            set_limits(grpc, next_ms);
        }
    }
    release(grpc, now_ms);
}

static void on_lane_wake(void *context)
{
    set_limits(context, 0);
}

/* ---- calls ---------------------------------------------------------------------------- */

/* NULL: no memory, or more endpoints than there are. */
static struct etcd_lane *lane_of(struct etcd_grpc *grpc, const char *endpoint)
{
    for (size_t i = 0; i < grpc->lane_count; i++) {
        if (strcmp(grpc->lanes[i].endpoint, endpoint) == 0) {
            return &grpc->lanes[i];
        }
    }
    if (grpc->lane_count == ETCD_ENDPOINTS_MAX) {
        return NULL;
    }
    struct etcd_lane *lane = &grpc->lanes[grpc->lane_count];
    *lane = (struct etcd_lane){.multi = &grpc->multi,
                               .files = &grpc->files,
                               .wake = on_lane_wake,
                               .context = grpc};
    if (!etcd_lane_init(lane, endpoint)) {
        return NULL;
    }
    grpc->lane_count++;
    return lane;
}

static uint8_t *frame_of(const struct etcd_request *request)
{
    uint8_t *frame = malloc(GRPC_FRAME_HEAD + request->body_size);

    if (frame != NULL) {
        grpc_frame_head(request->body_size, frame);
    }
    if (frame != NULL && request->body_size > 0) {
        memcpy(frame + GRPC_FRAME_HEAD, request->body, request->body_size);
    }
    return frame;
}

static struct etcd_call *call_for(const struct etcd_request *request)
{
    struct etcd_call *call = calloc(1, sizeof *call);

    if (call == NULL) {
        return NULL;
    }
    call->method = request->method;
    call->token = request->token[0] != '\0' ? rc_text_copy(request->token) : NULL;
    call->body = frame_of(request);
    call->stream.body = call->body;
    call->stream.body_size = GRPC_FRAME_HEAD + request->body_size;
    call->on_message = request->on_message;
    call->on_reply = request->on_reply;
    call->context = request->context;
    call->deadline_ms =
        request->time_limit_ms != 0 ? rc_clock_ms() + request->time_limit_ms : UINT64_MAX;
    if (call->body == NULL || (request->token[0] != '\0' && call->token == NULL)) {
        etcd_call_destroy(call);
        return NULL;
    }
    return call;
}

static struct etcd_call *send_request(void *context, const struct etcd_request *request)
{
    struct etcd_grpc *grpc = context;
    struct etcd_lane *lane = lane_of(grpc, request->endpoint);
    struct etcd_call *call = lane != NULL ? call_for(request) : NULL;

    if (call != NULL && !etcd_lane_send(lane, call)) {
        etcd_call_destroy(call);
        return NULL;
    }
    if (call != NULL) {
        set_limits(grpc, call->deadline_ms);
    }
    return call;
}

static void cancel(void *context, struct etcd_call *call)
{
    (void)context;
    etcd_lane_cancel(call);
}

/* ---- the timer, and the life of it all ------------------------------------------------ */

static void on_wake_due(void *context)
{
    struct etcd_grpc *grpc = context;

    grpc->wake_at_ms = UINT64_MAX;
    grpc->on_wake(grpc->owner);
}

static void start(void *context, void (*on_wake)(void *owner), void *owner)
{
    struct etcd_grpc *grpc = context;

    grpc->on_wake = on_wake;
    grpc->owner = owner;
}

static void wake(void *context, uint64_t after_ms)
{
    struct etcd_grpc *grpc = context;
    uint64_t now_ms = rc_clock_ms();
    uint64_t at_ms = now_ms + (after_ms < INT32_MAX ? after_ms : INT32_MAX);

    if (at_ms < grpc->wake_at_ms) {
        grpc->wake_at_ms = at_ms;
        watch_uv_timer_set(grpc->waker, (int64_t)(at_ms - now_ms));
    }
}

static uint64_t now_ms(void *context)
{
    (void)context;
    return rc_clock_ms();
}

static void destroy(struct etcd_grpc *grpc)
{
    for (size_t i = 0; i < grpc->lane_count; i++) {
        etcd_lane_fini(&grpc->lanes[i]);
    }
    multi_curl_close(&grpc->multi);
    watch_uv_timer_close(grpc->waker);
    watch_uv_timer_close(grpc->limits);
    free(grpc->files.ca);
    free(grpc->files.cert);
    free(grpc->files.key);
    free(grpc);
}

static void on_last_turn(void *context)
{
    struct etcd_grpc *grpc = context;
    void (*on_closed)(void *) = grpc->on_closed;
    void *owner = grpc->owner;

    destroy(grpc);
    on_closed(owner);
}

/* From a turn of its own, since this may be called from inside the waker. */
static void close_edge(void *context, void (*on_closed)(void *owner), void *owner)
{
    struct etcd_grpc *grpc = context;

    grpc->on_closed = on_closed;
    grpc->owner = owner;
    watch_uv_timer_close(grpc->waker);
    grpc->waker = watch_uv_timer_open(grpc->loop, on_last_turn, grpc);
    grpc->wake_at_ms = 0; /* no wake any more */
    if (grpc->waker == NULL) {
        on_last_turn(grpc); /* no memory for a turn */
        return;
    }
    watch_uv_timer_set(grpc->waker, 0);
}

static bool copy_files(struct etcd_files *files, const struct etcd_options *options)
{
    files->ca = rc_text_copy(options->ca_file);
    files->cert = rc_text_copy(options->cert_file);
    files->key = rc_text_copy(options->key_file);
    return (options->ca_file == NULL || files->ca != NULL) &&
           (options->cert_file == NULL || files->cert != NULL) &&
           (options->key_file == NULL || files->key != NULL);
}

static int set_up(struct etcd_grpc *grpc, const struct etcd_options *options, char *error,
                  size_t error_size)
{
    grpc->multi.context = grpc;
    grpc->multi.on_end = etcd_wire_on_end;
    int err = multi_curl_open(&grpc->multi, grpc->loop, error, error_size);
    if (err == RC_OK) {
        err = http2_load(error, error_size);
    }
    if (err != RC_OK) {
        return err;
    }
    grpc->waker = watch_uv_timer_open(grpc->loop, on_wake_due, grpc);
    grpc->limits = watch_uv_timer_open(grpc->loop, on_limit, grpc);
    return grpc->waker != NULL && grpc->limits != NULL &&
                   copy_files(&grpc->files, options)
               ? RC_OK
               : RC_ENOMEM;
}

int etcd_grpc_open(struct uv_loop_s *loop, const struct etcd_options *options,
                   struct etcd_edge *out, char *error, size_t error_size)
{
    struct etcd_grpc *grpc = calloc(1, sizeof *grpc);

    if (grpc == NULL) {
        return RC_ENOMEM;
    }
    grpc->loop = loop;
    grpc->wake_at_ms = UINT64_MAX;
    grpc->limits_at_ms = UINT64_MAX;
    grpc->release_at_ms = UINT64_MAX;
    int err = set_up(grpc, options, error, error_size);
    if (err != RC_OK) {
        destroy(grpc);
        return err;
    }
    *out = (struct etcd_edge){
        .context = grpc,
        .start = start,
        .send = send_request,
        .cancel = cancel,
        .wake = wake,
        .now_ms = now_ms,
        .close = close_edge,
    };
    return RC_OK;
}
