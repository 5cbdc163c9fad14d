#include "agent/query_copy.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void query_copy_init(struct query_copy *copy, uint64_t seed)
{
    memset(copy, 0, sizeof *copy);
    rc_random_init(&copy->random, seed);
    copy->due_ms = UINT64_MAX;
}

static bool is_wanted(const struct query_copy *copy, uint64_t now_ms)
{
    return copy->was_wanted && now_ms - copy->wanted_ms < QUERY_COPY_WANTED_MS;
}

/* Brings the next request forward to `at_ms`, if none is on its way. */
static void hasten(struct query_copy *copy, uint64_t at_ms)
{
    if (copy->has_server && !copy->is_open && at_ms < copy->due_ms) {
        copy->due_ms = at_ms;
    }
}

void query_copy_pool(struct query_copy *copy, uint64_t now_ms, enum query_copy_pool pool)
{
    bool has_server = pool == QUERY_COPY_SERVED;

    if (has_server == copy->has_server) {
        return;
    }
    copy->has_server = has_server;
    copy->retry_ms = 0;
    copy->due_ms = UINT64_MAX;
    hasten(copy, now_ms + rc_random_below(&copy->random, QUERY_COPY_SPREAD_MS));
}

void query_copy_wanted(struct query_copy *copy, uint64_t now_ms)
{
    uint64_t after_ms = copy->asked_ms + QUERY_COPY_RETRY_MS;

    copy->was_wanted = true;
    copy->wanted_ms = now_ms;
    hasten(copy, after_ms > now_ms && copy->asked_ms != 0 ? after_ms : now_ms);
}

bool query_copy_is_certain(const struct query_copy *copy, uint64_t now_ms)
{
    if (!copy->is_loaded) {
        return !copy->has_server;
    }
    return (copy->is_open && copy->is_waiting) ||
           now_ms - copy->answered_ms < QUERY_COPY_SURE_MS;
}

uint64_t query_copy_due_ms(const struct query_copy *copy)
{
    return copy->is_open ? UINT64_MAX : copy->due_ms;
}

bool query_copy_take(struct query_copy *copy, uint64_t now_ms,
                     char target[QUERY_COPY_TARGET_MAX])
{
    if (now_ms < query_copy_due_ms(copy)) {
        return false;
    }
    copy->is_open = true;
    copy->is_waiting = copy->is_loaded && is_wanted(copy, now_ms);
    copy->asked_ms = now_ms;
    copy->due_ms = UINT64_MAX;
    if (copy->is_waiting) {
        (void)snprintf(target, QUERY_COPY_TARGET_MAX,
                       "/v1/query?stale&wait=5m&index=%" PRIu64, copy->index);
    } else {
        (void)snprintf(target, QUERY_COPY_TARGET_MAX, "/v1/query?stale");
    }
    return true;
}

void query_copy_answered(struct query_copy *copy, uint64_t now_ms, uint64_t index)
{
    assert(copy->is_open);
    copy->is_open = false;
    copy->is_loaded = true;
    copy->index = index;
    copy->answered_ms = now_ms;
    copy->retry_ms = 0;
    copy->due_ms = UINT64_MAX;
    if (is_wanted(copy, now_ms)) {
        uint64_t apart_ms = copy->asked_ms + QUERY_COPY_APART_MS;
        hasten(copy, apart_ms > now_ms ? apart_ms : now_ms);
    } else {
        hasten(copy, now_ms + QUERY_COPY_LOOK_MS +
                         rc_random_below(&copy->random, QUERY_COPY_LOOK_MS / 3));
    }
}

void query_copy_failed(struct query_copy *copy, uint64_t now_ms)
{
    assert(copy->is_open);
    copy->is_open = false;
    copy->retry_ms = copy->retry_ms == 0 ? QUERY_COPY_RETRY_MS : 2 * copy->retry_ms;
    if (copy->retry_ms > QUERY_COPY_RETRY_MAX_MS) {
        copy->retry_ms = QUERY_COPY_RETRY_MAX_MS;
    }
    copy->due_ms = UINT64_MAX;
    hasten(copy, now_ms + copy->retry_ms / 2 +
                     rc_random_below(&copy->random, copy->retry_ms / 2));
}
