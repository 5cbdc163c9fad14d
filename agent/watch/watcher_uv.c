#include "agent/watch/watcher_uv.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/watch/watch_state_uv.h"
#include "base/err.h"
#include "base/table.h"

enum { INDEX_TEXT_MAX = 24, LONGEST_WAIT_MS = 3600 * 1000 };

static const uint64_t hash_seed = 0x7761746368; /* any number: bodies are our own */

uint64_t watcher_now_ms(struct watcher *w)
{
    uv_update_time(w->options.loop);
    return uv_now(w->options.loop);
}

/* ---- Looking. */

/* What is new since the last look, in `out`. False: nothing. */
static bool look(struct watch *watch, struct rc_buffer *out, uint64_t *index)
{
    const struct watcher_options *options = &watch->watcher->options;
    struct watch_question question = watch_definition_question(&watch->definition);

    *index = options->index(options->context, &question);
    if (watch->has_looked && *index != 0 && *index == watch->index) {
        return false;
    }
    *index = options->read(options->context, &question, out);
    if (out->err != RC_OK) {
        return false;
    }
    uint64_t before = watch->index;
    uint64_t hash = rc_hash(out->bytes, out->size, hash_seed);
    bool is_same = watch->has_looked && hash == watch->hash;
    watch->has_looked = true;
    watch->index = *index;
    watch->hash = hash;
    if (is_same || watch->definition.type != WATCH_EVENT) {
        return !is_same;
    }
    json_t *events =
        json_loadb((const char *)out->bytes, out->size, 0, NULL); /* our own JSON */
    watch_drop_known_events(events, before);
    bool has_news = json_array_size(events) > 0;
    char *text = has_news ? json_dumps(events, JSON_COMPACT) : NULL;
    rc_buffer_clear(out);
    rc_buffer_text(out, text != NULL ? text : "[]");
    free(text);
    json_decref(events);
    return has_news;
}

/* Runs the handler for what is new. False: there is nothing, or it cannot run. */
static bool handle_news(struct watch *watch)
{
    struct rc_buffer input = {0};
    char variable[INDEX_TEXT_MAX + 16];
    char index_text[INDEX_TEXT_MAX];
    uint64_t index = 0;
    bool runs = false;

    if (look(watch, &input, &index)) {
        (void)snprintf(index_text, sizeof index_text, "%" PRIu64, index);
        (void)snprintf(variable, sizeof variable, "CONSUL_INDEX=%s", index_text);
        const char *const variables[] = {variable, NULL};
        watch_schedule_run(&watch->watcher->schedule, watch->slot,
                           uv_now(watch->watcher->options.loop) +
                               watch_definition_timeout_ms(&watch->definition));
        runs = watch->definition.is_http ? handler_run_request(watch, &input, index_text)
                                         : handler_run_script(watch, &input, variables);
        if (!runs) {
            handler_finish(watch, WATCH_FAILED);
        }
    }
    rc_buffer_fini(&input);
    return runs;
}

/* ---- Time. */

static void carry_out(struct watcher *w, const struct watch_action *action)
{
    struct watch *watch = w->watches[action->slot];

    switch (action->type) {
    case WATCH_LOOK:
        if (watch->definition.type == WATCH_QUERY ? !watch_answer_next(watch)
                                                  : !handle_news(watch)) {
            if (w->schedule.slots[action->slot].state == WATCH_LOOKING) {
                watch_schedule_rest(&w->schedule, action->slot);
            }
        }
        break;
    case WATCH_EXPIRE:
        handler_expire(watch);
        break;
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct watcher *w = timer->data;
    struct watch_action action;

    while (watch_schedule_next(&w->schedule, watcher_now_ms(w), &action)) {
        carry_out(w, &action);
    }
    watcher_pump(w);
}

void watcher_pump(struct watcher *w)
{
    if (w->is_closing) {
        return;
    }
    uint64_t now_ms = watcher_now_ms(w);
    uint64_t due_ms = watch_schedule_deadline_ms(&w->schedule);
    uint64_t wait_ms = due_ms > now_ms ? due_ms - now_ms : 0;
    if (due_ms == UINT64_MAX) {
        (void)uv_timer_stop(&w->timer);
        return;
    }
    (void)uv_timer_start(&w->timer, on_timer,
                         wait_ms < LONGEST_WAIT_MS ? wait_ms : LONGEST_WAIT_MS, 0);
}

static bool looks_at(const struct watch *watch, enum watch_subject subject)
{
    switch (watch->definition.type) {
    case WATCH_NODES:
    case WATCH_SERVICES:
    case WATCH_SERVICE:
    case WATCH_CHECKS:
        return subject == WATCH_CATALOG;
    case WATCH_EVENT:
        return subject == WATCH_EVENTS;
    case WATCH_MEMBERS:
        return subject == WATCH_POOL;
    case WATCH_KEY:
    case WATCH_KEY_PREFIX:
        return subject == WATCH_KEYS;
    case WATCH_QUERY:
    case WATCH_TYPE_COUNT:
        return false;
    }
    return false;
}

void watcher_touch(struct watcher *w, enum watch_subject subject)
{
    if (w == NULL || w->is_closing) {
        return;
    }
    uint64_t now_ms = watcher_now_ms(w);
    bool any = false;
    for (size_t i = 0; i < WATCH_SLOTS_MAX; i++) {
        if (w->watches[i] != NULL && looks_at(w->watches[i], subject)) {
            watch_schedule_touch(&w->schedule, i, now_ms);
            any = true;
        }
    }
    if (any) {
        watcher_pump(w);
    }
}

/* ---- Life. */

static void destroy_watch(struct watch *watch)
{
    if (watch == NULL) {
        return;
    }
    handler_end(watch);
    watch_answer_forget(watch);
    watch_definition_fini(&watch->definition);
    free(watch);
}

static void drop(struct watcher *w, size_t slot)
{
    watch_schedule_free(&w->schedule, slot);
    destroy_watch(w->watches[slot]);
    w->watches[slot] = NULL;
}

static bool is_among(const struct watch_definition *one,
                     const struct watch_definition *definitions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (watch_definition_equals(one, &definitions[i])) {
            return true;
        }
    }
    return false;
}

static bool is_known(const struct watcher *w, const struct watch_definition *definition)
{
    for (size_t i = 0; i < WATCH_SLOTS_MAX; i++) {
        if (w->watches[i] != NULL &&
            watch_definition_equals(&w->watches[i]->definition, definition)) {
            return true;
        }
    }
    return false;
}

static void add(struct watcher *w, struct watch *watch)
{
    size_t slot = 0;

    while (w->watches[slot] != NULL) {
        slot++;
        assert(slot < WATCH_SLOTS_MAX);
    }
    watch->slot = slot;
    w->watches[slot] = watch;
    watch_schedule_take(&w->schedule, slot,
                        watch->definition.type == WATCH_QUERY ? WATCH_PROMPT
                                                              : WATCH_STEADY);
    if (watch->definition.type != WATCH_QUERY) {
        watch_schedule_touch(&w->schedule, slot, watcher_now_ms(w));
    }
}

/* Copies of those that are new; the rest NULL. */
static int copy_new(struct watcher *w, const struct watch_definition *definitions,
                    size_t count, struct watch *out[WATCH_SLOTS_MAX])
{
    for (size_t i = 0; i < count; i++) {
        if (is_known(w, &definitions[i])) {
            continue;
        }
        out[i] = calloc(1, sizeof *out[i]);
        if (out[i] == NULL ||
            watch_definition_copy(&definitions[i], &out[i]->definition) != RC_OK) {
            return RC_ENOMEM;
        }
        out[i]->watcher = w;
    }
    return RC_OK;
}

int watcher_set(struct watcher *w, const struct watch_definition *definitions,
                size_t count)
{
    struct watch *fresh[WATCH_SLOTS_MAX] = {NULL};

    if (count > WATCH_SLOTS_MAX) {
        return RC_ETOOBIG;
    }
    int err = copy_new(w, definitions, count, fresh);
    for (size_t i = 0; i < WATCH_SLOTS_MAX && err == RC_OK; i++) {
        if (w->watches[i] != NULL &&
            !is_among(&w->watches[i]->definition, definitions, count)) {
            drop(w, i);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (fresh[i] != NULL && err == RC_OK) {
            add(w, fresh[i]);
        } else {
            destroy_watch(fresh[i]);
        }
    }
    watcher_pump(w);
    return err;
}

int watcher_start(const struct watcher_options *options, struct watcher **out)
{
    struct watcher *w = calloc(1, sizeof *w);

    if (w == NULL) {
        return RC_ENOMEM;
    }
    w->options = *options;
    if (uv_timer_init(options->loop, &w->timer) != 0) {
        free(w);
        return RC_EIO;
    }
    w->timer.data = w;
    if (options->metrics != NULL) {
        w->runs = rc_metrics_counter(options->metrics, "rollcall_watch_runs_total", NULL,
                                     "Handlers of watches that have ended.");
        w->failures =
            rc_metrics_counter(options->metrics, "rollcall_watch_failures_total", NULL,
                               "Handlers that failed or took too long.");
    }
    *out = w;
    return RC_OK;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct watcher *w = handle->data;

    if (w->on_closed != NULL) {
        w->on_closed(w->closed_context);
    }
    free(w);
}

void watcher_close(struct watcher *w, void (*on_closed)(void *context), void *context)
{
    if (w == NULL) {
        return;
    }
    w->is_closing = true;
    w->on_closed = on_closed;
    w->closed_context = context;
    for (size_t i = 0; i < WATCH_SLOTS_MAX; i++) {
        if (w->watches[i] != NULL) {
            drop(w, i);
        }
    }
    if (w->http != NULL) {
        prober_close(w->http);
    }
    uv_close((uv_handle_t *)&w->timer, on_timer_closed);
}
