#include "agent/event/event_log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

struct event_log {
    struct kept_event *items[EVENT_LOG_MAX];
    size_t first; /* the oldest */
    size_t count;
};

/* An event and the bytes it points to. */
struct kept_event {
    struct user_event event;
    char bytes[];
};

struct event_log *event_log_create(void)
{
    return calloc(1, sizeof(struct event_log));
}

void event_log_destroy(struct event_log *log)
{
    if (log == NULL) {
        return;
    }
    for (size_t i = 0; i < EVENT_LOG_MAX; i++) {
        free(log->items[i]);
    }
    free(log);
}

static struct kept_event *keep(const struct user_event *event)
{
    const char *const texts[] = {event->name, event->node_filter, event->service_filter,
                                 event->tag_filter};
    enum { TEXT_COUNT = sizeof texts / sizeof texts[0] };
    size_t size = event->size;

    for (size_t i = 0; i < TEXT_COUNT; i++) {
        size += strlen(texts[i]) + 1;
    }
    struct kept_event *kept = calloc(1, sizeof *kept + size);
    if (kept == NULL) {
        return NULL;
    }
    kept->event = *event;
    const char **const places[TEXT_COUNT] = {&kept->event.name, &kept->event.node_filter,
                                             &kept->event.service_filter,
                                             &kept->event.tag_filter};
    char *at = kept->bytes;
    for (size_t i = 0; i < TEXT_COUNT; i++) {
        size_t length = strlen(texts[i]) + 1;
        memcpy(at, texts[i], length);
        *places[i] = at;
        at += length;
    }
    if (event->size > 0) {
        memcpy(at, event->payload, event->size);
    }
    kept->event.payload = (const uint8_t *)at;
    return kept;
}

int event_log_add(struct event_log *log, const struct user_event *event)
{
    struct kept_event *kept = keep(event);

    if (kept == NULL) {
        return RC_ENOMEM;
    }
    size_t place = (log->first + log->count) % EVENT_LOG_MAX;
    if (log->count == EVENT_LOG_MAX) {
        free(log->items[log->first]);
        log->first = (log->first + 1) % EVENT_LOG_MAX;
    } else {
        log->count++;
    }
    log->items[place] = kept;
    return RC_OK;
}

size_t event_log_count(const struct event_log *log)
{
    return log->count;
}

const struct user_event *event_log_at(const struct event_log *log, size_t i)
{
    assert(i < log->count);
    return &log->items[(log->first + i) % EVENT_LOG_MAX]->event;
}
