/* retry.c - the table of what may be repeated, and the budget. */
#include "proxy/http/retry.h"

#include <assert.h>
#include <stddef.h>

/* When a failure of a kind may be repeated. */
enum rule {
    NEVER,
    IF_REPLAYABLE, /* all that was sent can be sent again */
    IF_UNSENT,     /* the instance cannot have seen a byte */
    IF_LISTED,     /* the route asks for it, and it can be sent again */
};

static const uint8_t rules[RETRY_FAILURE_COUNT][RETRY_CLASS_COUNT] = {
    /*                         safe           idempotent     once      */
    [RETRY_CONNECT_FAILED] = {IF_REPLAYABLE, IF_REPLAYABLE, IF_REPLAYABLE},
    [RETRY_TLS_FAILED] = {IF_REPLAYABLE, IF_REPLAYABLE, IF_REPLAYABLE},
    [RETRY_STALE] = {IF_REPLAYABLE, IF_REPLAYABLE, IF_UNSENT},
    [RETRY_CLOSED] = {IF_REPLAYABLE, IF_REPLAYABLE, IF_UNSENT},
    [RETRY_TIMED_OUT] = {NEVER, NEVER, NEVER},
    [RETRY_STATUS] = {IF_LISTED, IF_LISTED, NEVER},
    [RETRY_DRAINING] = {IF_REPLAYABLE, IF_REPLAYABLE, IF_LISTED},
    [RETRY_BAD_HEAD] = {NEVER, NEVER, NEVER},
};

static const enum retry_class classes[HTTP1_METHOD_COUNT] = {
    [HTTP1_METHOD_OTHER] = RETRY_ONCE, [HTTP1_GET] = RETRY_SAFE,
    [HTTP1_HEAD] = RETRY_SAFE,         [HTTP1_POST] = RETRY_ONCE,
    [HTTP1_PUT] = RETRY_IDEMPOTENT,    [HTTP1_DELETE] = RETRY_IDEMPOTENT,
    [HTTP1_OPTIONS] = RETRY_SAFE,      [HTTP1_PATCH] = RETRY_ONCE,
    [HTTP1_TRACE] = RETRY_SAFE,        [HTTP1_CONNECT] = RETRY_ONCE,
};

static const char *const failure_names[RETRY_FAILURE_COUNT] = {
    [RETRY_CONNECT_FAILED] = "connect_failed",
    [RETRY_TLS_FAILED] = "tls_failed",
    [RETRY_STALE] = "stale",
    [RETRY_CLOSED] = "closed",
    [RETRY_TIMED_OUT] = "timed_out",
    [RETRY_STATUS] = "status",
    [RETRY_DRAINING] = "draining",
    [RETRY_BAD_HEAD] = "bad_head",
};

enum retry_class retry_class_of(enum http1_method method)
{
    assert(method < HTTP1_METHOD_COUNT);
    return classes[method];
}

bool retry_is_allowed(const struct retry_attempt *attempt)
{
    assert(attempt->failure < RETRY_FAILURE_COUNT);
    assert(attempt->method < RETRY_CLASS_COUNT);
    if (attempt->number >= attempt->attempts_max) {
        return false;
    }
    switch ((enum rule)rules[attempt->failure][attempt->method]) {
    case NEVER:
        return false;
    case IF_REPLAYABLE:
        return attempt->replayable || !attempt->sent;
    case IF_UNSENT:
        return !attempt->sent;
    case IF_LISTED:
        return attempt->status_listed && attempt->replayable;
    }
    return false;
}

void retry_budget_begin(struct retry_budget *budget)
{
    budget->running++;
    if (budget->savings_percent < RETRY_SAVINGS_MAX * 100) {
        budget->savings_percent += RETRY_SHARE_PERCENT;
    }
}

void retry_budget_end(struct retry_budget *budget, uint32_t attempts)
{
    assert(budget->running > 0);
    budget->running--;
    if (attempts > 1 && budget->repeats_running > 0) {
        budget->repeats_running--;
    }
}

bool retry_budget_take(struct retry_budget *budget, const struct retry_attempt *attempt)
{
    bool free_of_charge = attempt->failure == RETRY_CONNECT_FAILED || !attempt->sent;
    uint64_t running_max =
        RETRY_FLOOR + (uint64_t)budget->running * RETRY_SHARE_PERCENT / 100;

    if (!free_of_charge && budget->repeats_running >= running_max) {
        if (budget->savings_percent < 100) {
            budget->refusals++;
            return false;
        }
        budget->savings_percent -= 100;
    }
    budget->repeats_running += attempt->number == 1 ? 1 : 0;
    return true;
}

uint32_t retry_pause_ms(uint32_t number, uint64_t random)
{
    if (number <= 2) {
        return 0;
    }
    return RETRY_PAUSE_MIN_MS +
           (uint32_t)(random % (RETRY_PAUSE_MAX_MS - RETRY_PAUSE_MIN_MS + 1));
}

const char *retry_failure_name(enum retry_failure failure)
{
    assert(failure < RETRY_FAILURE_COUNT);
    return failure_names[failure];
}
