/* probe_streak.h - what a row of probes of one instance comes down to.
 *
 * Some failures in a row take it out, some passes in a row bring it back: one of either says
 * nothing yet. And the status of an HTTP answer, of which only the first line counts. Pure. */
#ifndef PROXY_DISCOVER_PROBE_STREAK_H
#define PROXY_DISCOVER_PROBE_STREAK_H

#include <stddef.h>
#include <stdint.h>

#include "proxy/upstream/lineup.h"

enum probe_outcome { PROBE_PASSED, PROBE_FAILED };

struct probe_streak {
    enum lineup_check verdict; /* NONE until the first is clear */
    enum probe_outcome last;
    uint32_t count; /* of the last outcome in a row */
};

/* One more probe; returns the verdict after it. */
enum lineup_check probe_streak_add(struct probe_streak *streak,
                                   const struct config_check *check,
                                   enum probe_outcome outcome);

/* The status of an answer whose first `size` bytes are here: RC_OK, RC_EAGAIN (more must come) or
 * RC_EMALFORMED. */
int probe_status(const char *bytes, size_t size, unsigned *out);

#endif
