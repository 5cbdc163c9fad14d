/* store_time.c - requests and the clock: what is late, what is tried again, the last answers. */
#include <assert.h>

#include "agent/store/store_request.h"
#include "base/err.h"

static void end_late(struct store *store, enum request_state state, uint64_t now_ms)
{
    struct store_request *r = store->requests[state].first;

    while (r != NULL) {
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what is freed left its list
        struct store_request *next = r->next;
        if (r->done != NULL && r->deadline_ms <= now_ms) {
            bool may_have =
                r->was_unknown || (state == REQUEST_ASKS && r->writes && !r->is_granting);
            request_fail(r, may_have ? RC_EUNKNOWN : RC_EAGAIN,
                         may_have ? "outcome unknown: no answer in time"
                                  : "No cluster leader");
            next =
                store->requests[state].first; /* the caller may have changed the list */
        }
        r = next;
    }
}

static void sweep(struct store *store)
{
    for (unsigned i = 0; i < REQUEST_STATE_COUNT; i++) {
        end_late(store, (enum request_state)i, store->now_ms);
    }
    store->next_sweep_ms = store->now_ms + SWEEP_EVERY_MS;
}

static void retry(struct store *store)
{
    store->next_retry_ms = UINT64_MAX;
    struct store_request *last = store->requests[REQUEST_LATER].last;
    bool is_last = last == NULL;

    while (!is_last && store->requests[REQUEST_LATER].first != NULL) {
        struct store_request *r = store->requests[REQUEST_LATER].first;
        is_last = r == last;
        if (r->retry_at_ms <= store->now_ms) {
            request_step(r);
            continue;
        }
        store->next_retry_ms =
            r->retry_at_ms < store->next_retry_ms ? r->retry_at_ms : store->next_retry_ms;
        request_move(r, REQUEST_LATER); /* to the end */
    }
}

static bool has_requests(const struct store *store)
{
    for (unsigned i = 0; i < REQUEST_STATE_COUNT; i++) {
        if (store->requests[i].first != NULL) {
            return true;
        }
    }
    return false;
}

static uint64_t next_freshness_ms(const struct store *store)
{
    return store->has_barrier || store->is_closed
               ? UINT64_MAX
               : store->barrier_sent_ms + FRESH_EVERY_MS;
}

uint64_t request_deadline_ms(const struct store *store)
{
    uint64_t deadline = next_freshness_ms(store);

    if (store->requests[REQUEST_NEW].first != NULL) {
        return 0;
    }

    if (has_requests(store) && store->next_sweep_ms < deadline) {
        deadline = store->next_sweep_ms;
    }
    return store->next_retry_ms < deadline ? store->next_retry_ms : deadline;
}

void request_tick(struct store *store)
{
    request_step_all(store, REQUEST_NEW);
    if (next_freshness_ms(store) <= store->now_ms) {
        request_start_barrier(store);
    }
    if (store->next_retry_ms <= store->now_ms) {
        retry(store);
    }
    if (store->next_sweep_ms <= store->now_ms) {
        sweep(store);
    }
}

void request_end_all(struct store *store)
{
    store->is_closed = true;
    for (unsigned i = 0; i < REQUEST_STATE_COUNT; i++) {
        struct store_request *r = NULL;
        assert(i != REQUEST_ASKS || store->requests[i].first == NULL);
        while ((r = store->requests[i].first) != NULL) {
            // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what is freed left its list
            request_fail(r, r->was_unknown ? RC_EUNKNOWN : RC_ECLOSED,
                         rc_strerror(RC_ECLOSED));
        }
    }
}
