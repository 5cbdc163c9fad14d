#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "agent/postgres/hands_state.h"
#include "base/err.h"
#include "base/text.h"

/* ---- Work in a thread. It has its own copy, so that a kill need not wait for it. */

struct errand_work {
    uv_work_t work;
    struct hands *hands;
    uint64_t generation;
    int (*run)(struct disk_job *job);
    int err;
    struct disk_job job;
};

static void begin_next(struct hands *h);

static void in_thread(uv_work_t *work)
{
    struct errand_work *errand = work->data;
    errand->err = errand->run(&errand->job);
}

static void end_close(struct hands *h)
{
    void (*on_closed)(void *) = h->on_closed;
    void *context = h->closed_context;

    explicit_bzero(h, sizeof *h);
    free(h);
    on_closed(context);
}

static void after_work(uv_work_t *work, int status)
{
    struct errand_work *errand = work->data;
    struct hands *h = errand->hands;
    bool is_current = errand->generation == h->generation;

    (void)status;
    h->is_working = false;
    h->job_err = errand->err;
    h->job = errand->job;
    free(errand);
    if (h->on_closed != NULL) {
        end_close(h);
    } else if (is_current) {
        h->then(h);
    } else {
        begin_next(h);
    }
}

void hands_work(struct hands *h, int (*work)(struct disk_job *job), hands_step *then)
{
    struct errand_work *errand = calloc(1, sizeof *errand);

    assert(!h->is_working);
    if (errand == NULL) {
        hands_finish(h, KEEPER_FAILED, "no memory");
        return;
    }
    errand->work.data = errand;
    errand->hands = h;
    errand->generation = h->generation;
    errand->run = work;
    errand->job = h->job;
    errand->job.place = h->place;
    errand->job.text[0] = '\0';
    h->then = then;
    h->is_working = true;
    (void)uv_queue_work(h->options.loop, &errand->work, in_thread, after_work);
}

/* ---- The queue. */

static void begin_next(struct hands *h)
{
    if (h->is_busy || h->is_working || h->queued == 0 || h->on_closed != NULL) {
        return;
    }
    h->is_busy = true;
    memset(&h->result, 0, sizeof h->result);
    memset(&h->job, 0, sizeof h->job);
    h->calm = 0;
    h->at = 0;
    h->on_echo = NULL;
    uint64_t limit_ms = hands_order(h)->time_ms;
    if (limit_ms != 0) {
        watch_uv_timer_set(h->limit, (int64_t)limit_ms);
    }
    hands_begin(h);
}

static void drop_first(struct hands *h)
{
    h->queued--;
    memmove(&h->queue[0], &h->queue[1], h->queued * sizeof h->queue[0]);
}

static void answer(struct hands *h, uint64_t id, enum keeper_end end, const char *line)
{
    h->result.id = id;
    h->result.end = end;
    h->result.text = line;
    h->options.done(h->options.context, &h->result);
}

/* Whoever is told may order more at once: those come behind what waits. */
void hands_finish(struct hands *h, enum keeper_end end, const char *text)
{
    uint64_t id = hands_order(h)->id;
    char line[KEEPER_TEXT_MAX];

    assert(h->is_busy);
    /* Before all else: it may be a session's, or a program's, which end here. */
    (void)rc_text_put(line, sizeof line, text != NULL ? text : "");
    rc_text_to_line(line, sizeof line);
    hands_stop_all(h);
    h->generation++;
    drop_first(h);
    answer(h, id, end, line);
    h->is_busy = false;
    begin_next(h);
}

static void on_limit(void *context)
{
    struct hands *h = context;

    if (h->is_busy) {
        hands_finish(h, KEEPER_FAILED, "it took too long");
    }
}

void hands_take(struct hands *h, const struct keeper_action *action)
{
    struct keeper_done refused = {.id = action->id, .end = KEEPER_FAILED};

    if (h->queued == HANDS_QUEUE_MAX) {
        refused.text = "too many orders wait";
        h->options.done(h->options.context, &refused);
        return;
    }
    struct hand_order *order = &h->queue[h->queued++];
    memset(order, 0, sizeof *order);
    order->kind = action->kind;
    order->id = action->id;
    order->time_ms = action->time_ms;
    order->term = action->term;
    order->detached = action->detached;
    order->timeline = action->timeline;
    order->port = action->port;
    (void)rc_text_put(order->node, sizeof order->node,
                      action->node != NULL ? action->node : "");
    (void)rc_text_put(order->address, sizeof order->address,
                      action->address != NULL ? action->address : "");
    (void)rc_text_put(order->text, sizeof order->text,
                      action->text != NULL ? action->text : "");
    order->keeps_others = action->keeps_others;
    order->slot_count =
        action->slot_count < KEEPER_MEMBERS_MAX ? action->slot_count : KEEPER_MEMBERS_MAX;
    if (order->slot_count > 0) {
        memcpy(order->slots, action->slots, order->slot_count * sizeof order->slots[0]);
    }
    begin_next(h);
}

void hands_kill(struct hands *h)
{
    uint64_t ids[HANDS_QUEUE_MAX];
    size_t count = h->queued;

    for (size_t i = 0; i < count; i++) {
        ids[i] = h->queue[i].id;
    }
    hands_stop_all(h);
    h->generation++;
    h->queued = 0;
    memset(&h->result, 0, sizeof h->result);
    h->is_busy = true; /* what is ordered from inside waits */
    for (size_t i = 0; i < count; i++) {
        answer(h, ids[i], KEEPER_FAILED, "killed");
    }
    h->is_busy = false;
    begin_next(h);
}

void hands_on_echo(struct hands *h, const struct warden_echo *echo)
{
    h->echo = *echo;
    h->has_echo = true;
    if (h->is_busy && h->on_echo != NULL && echo->warden.last_number >= h->number) {
        h->on_echo(h);
    }
}

void hands_probe_every(struct hands *h, uint64_t every_ms)
{
    pulse_taker_set(h->taker, every_ms);
}

/* ---- Life. */

static void on_wait(void *context)
{
    struct hands *h = context;

    if (h->is_busy) {
        h->then(h);
    }
}

/* The last line of what a program that takes long has said so far. */
static void on_watch(void *context)
{
    struct hands *h = context;
    char line[KEEPER_TEXT_MAX];
    size_t size = 0;

    if (h->process == NULL) {
        return;
    }
    const char *text = process_output(h->process, &size);
    while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == '\r')) {
        size--;
    }
    size_t from = size;
    while (from > 0 && text[from - 1] != '\n' && text[from - 1] != '\r') {
        from--;
    }
    size_t length = size - from < sizeof line - 1 ? size - from : sizeof line - 1;
    memcpy(line, text + from, length);
    line[length] = '\0';
    rc_text_to_line(line, sizeof line);
    if (length > 0) {
        h->options.progress(h->options.context, line);
    }
    watch_uv_timer_set(h->watch, 1000);
}

static void fill_session(const struct hands_options *options,
                         struct pg_session_options *out)
{
    const struct postgres_place *place = options->place;
    bool has_socket = place->socket_dir[0] != '\0';

    *out = (struct pg_session_options){
        .loop = options->loop,
        .socket_dir = has_socket ? place->socket_dir : NULL,
        .address = has_socket ? NULL : "127.0.0.1",
        .port = place->port,
        .user = place->user,
        .password = place->password,
        .database = place->database,
    };
}

int hands_start(const struct hands_options *options, struct hands **out)
{
    struct hands *h = calloc(1, sizeof *h);
    struct pulse_taker_options probing = {.probed = options->probed,
                                          .context = options->context};

    if (h == NULL) {
        return RC_ENOMEM;
    }
    h->options = *options;
    h->place = options->place;
    fill_session(options, &probing.session);
    h->wait = watch_uv_timer_open(options->loop, on_wait, h);
    h->limit = watch_uv_timer_open(options->loop, on_limit, h);
    h->watch = watch_uv_timer_open(options->loop, on_watch, h);
    int err = h->wait != NULL && h->limit != NULL && h->watch != NULL
                  ? pg_session_create(&probing.session, &h->control)
                  : RC_ENOMEM;
    if (err == RC_OK) {
        err = pulse_taker_create(&probing, &h->taker);
    }
    if (err != RC_OK) {
        pg_session_destroy(h->control);
        watch_uv_timer_close(h->wait);
        watch_uv_timer_close(h->limit);
        watch_uv_timer_close(h->watch);
        free(h);
        return err;
    }
    *out = h;
    return RC_OK;
}

void hands_close(struct hands *h, void (*on_closed)(void *context), void *context)
{
    hands_stop_all(h);
    h->generation++;
    h->queued = 0;
    pulse_taker_destroy(h->taker);
    pg_session_destroy(h->control);
    pg_session_destroy(h->source);
    watch_uv_timer_close(h->wait);
    watch_uv_timer_close(h->limit);
    watch_uv_timer_close(h->watch);
    rc_buffer_fini(&h->output);
    h->on_closed = on_closed;
    h->closed_context = context;
    if (!h->is_working) {
        end_close(h);
    }
}
