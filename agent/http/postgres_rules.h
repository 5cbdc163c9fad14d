/* postgres_rules.h - when an operator's wish is refused, and why, in words.
 *
 * The keepers have the last word: they look again when they carry it out. This is what can be
 * told at once, before anything has moved. Pure. */
#ifndef AGENT_HTTP_POSTGRES_RULES_H
#define AGENT_HTTP_POSTGRES_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/http/postgres_records.h"
#include "base/buffer.h"

/* More than this behind, a candidate would keep everybody waiting. */
enum { POSTGRES_LAG_MAX = 16 << 20 };

/* What was asked for this long ago and is still there was given to nobody who lives. */
enum { POSTGRES_FORGOTTEN_MS = 60 * 1000, POSTGRES_PLAN_MAX_MS = 7 * 24 * 3600 * 1000 };

struct postgres_move {
    const char *to;   /* "": the best there is (a switchover only) */
    bool accept_loss; /* of writes that were acknowledged */
    uint64_t wall_ms; /* now */
    uint64_t due_ms;  /* when it is to happen; 0: at once */
};

/* Where a switchover goes: borrowed from `records` or `move`; NULL: `why` says why not. */
const char *postgres_rules_switchover(const struct postgres_records *records,
                                      const struct postgres_move *move,
                                      struct rc_buffer *why);

/* The same for a failover, which does not need the primary's help. */
const char *postgres_rules_failover(const struct postgres_records *records,
                                    const struct postgres_move *move,
                                    struct rc_buffer *why);

/* Whether there is something planned that has not begun. */
bool postgres_rules_cancel(const struct postgres_records *records, uint64_t wall_ms,
                           struct rc_buffer *why);

enum postgres_order {
    POSTGRES_REINIT,
    POSTGRES_RESTART,
    POSTGRES_RELOAD,
    POSTGRES_STOP,
    POSTGRES_START,
    POSTGRES_FENCE,
    POSTGRES_UNFENCE,
    POSTGRES_ORDER_COUNT
};

const char *postgres_rules_order_name(enum postgres_order order);

/* False: `why` says why not. */
bool postgres_rules_order(const struct postgres_records *records,
                          enum postgres_order order, const char *node, uint64_t wall_ms,
                          struct rc_buffer *why);

/* Whether `mode` may be set now. */
bool postgres_rules_mode(const struct postgres_records *records, const char *mode,
                         struct rc_buffer *why);

#endif
