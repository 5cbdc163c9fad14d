/* retry.h - may this attempt be repeated, and when.
 *
 * RFC 9110 section 9.2.2: a proxy repeats only what is idempotent or has certainly not been
 * seen. And a limit for all requests together, so that repeats never become the load that
 * kills what is left: running repeats stay below a fifth of what runs, or are paid from
 * savings of a fifth of what ran before (a dead instance takes all its requests down in
 * one moment, and each of them deserves its repeat). */
#ifndef PROXY_HTTP_RETRY_H
#define PROXY_HTTP_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/wire/http1.h"

enum {
    RETRY_SHARE_PERCENT = 20, /* of running or past requests */
    RETRY_FLOOR = 3,          /* always allowed to run at once */
    RETRY_SAVINGS_MAX = 1000,
    RETRY_PAUSE_MIN_MS = 10, /* before the third attempt and later ones */
    RETRY_PAUSE_MAX_MS = 50
};

/* How an attempt ended without an answer that could go to the client. */
enum retry_failure {
    RETRY_CONNECT_FAILED, /* refused, unreachable, timed out: nothing was sent */
    RETRY_TLS_FAILED,     /* no TLS, or not with the one that we want: nothing was sent */
    RETRY_STALE,          /* a kept connection ended without a byte of response */
    RETRY_CLOSED,         /* a fresh connection ended without a byte of response */
    RETRY_TIMED_OUT,      /* no response in time */
    RETRY_STATUS,         /* 502, 503 or 504 from the instance */
    RETRY_DRAINING,       /* 503 with Retry-After: 0: it is going, and did nothing */
    RETRY_BAD_HEAD,       /* a partial or malformed response head */
    RETRY_FAILURE_COUNT
};

/* What repeating a method may do (RFC 9110 section 9.2). */
enum retry_class {
    RETRY_SAFE,       /* GET HEAD OPTIONS TRACE: nothing */
    RETRY_IDEMPOTENT, /* PUT DELETE: the same again */
    RETRY_ONCE,       /* all others: something twice */
    RETRY_CLASS_COUNT
};

struct retry_attempt {
    enum retry_class method;
    enum retry_failure failure;
    uint32_t number;       /* of this attempt: 1, 2, ... */
    uint32_t attempts_max; /* 1 = never repeat */
    bool sent;             /* a byte of the request has left our buffer */
    bool replayable;       /* every byte of the request that was sent is still here */
    bool status_listed;    /* RETRY_STATUS, RETRY_DRAINING: the route asks for it */
};

/* One per worker. Zeroed at the start. */
struct retry_budget {
    uint32_t running;         /* requests */
    uint32_t repeats_running; /* of them in their second or later attempt */
    uint32_t savings_percent; /* 100 pay for one repeat */
    uint64_t refusals;
};

enum retry_class retry_class_of(enum http1_method method);

/* The table of section 9.2.2 and experience; knows nothing of budgets. */
bool retry_is_allowed(const struct retry_attempt *attempt);

/* A request begins or ends; `attempts` is how many it took. */
void retry_budget_begin(struct retry_budget *budget);
void retry_budget_end(struct retry_budget *budget, uint32_t attempts);

/* Asks to repeat a request whose attempt `attempt` failed, and takes the place if there is one.
 * Where nothing reached an instance the repeat is no more load than the first attempt would
 * have been: that is free. */
bool retry_budget_take(struct retry_budget *budget, const struct retry_attempt *attempt);

/* How long to wait before attempt `number` (2, 3, ...): nothing at first, then 10 to 50 ms;
 * `random` spreads. */
uint32_t retry_pause_ms(uint32_t number, uint64_t random);

const char *retry_failure_name(enum retry_failure failure); /* "connect_failed" */

#endif
