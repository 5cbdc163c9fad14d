/* probe_streak.c - see probe_streak.h. */
#include "proxy/discover/probe_streak.h"

#include <string.h>

#include "base/err.h"

enum { STATUS_LINE_MIN = 12 }; /* "HTTP/1.1 200" */

enum lineup_check probe_streak_add(struct probe_streak *streak,
                                   const struct config_check *check,
                                   enum probe_outcome outcome)
{
    streak->count = outcome == streak->last ? streak->count + 1 : 1;
    streak->last = outcome;
    if (outcome == PROBE_FAILED && streak->count >= check->failures) {
        streak->verdict = LINEUP_CHECK_FAILS;
    }
    /* Who was never failing need not pass more than once. */
    uint32_t needed = streak->verdict == LINEUP_CHECK_FAILS ? check->passes : 1;
    if (outcome == PROBE_PASSED && streak->count >= needed) {
        streak->verdict = LINEUP_CHECK_PASSES;
    }
    return streak->verdict;
}

int probe_status(const char *bytes, size_t size, unsigned *out)
{
    static const char start[] = "HTTP/1.";
    unsigned status = 0;
    size_t known = size < sizeof start - 1 ? size : sizeof start - 1;
    if (memcmp(bytes, start, known) != 0) {
        return RC_EMALFORMED;
    }
    if (size < STATUS_LINE_MIN) {
        return RC_EAGAIN;
    }
    for (size_t i = 9; i < STATUS_LINE_MIN; i++) {
        if (bytes[i] < '0' || bytes[i] > '9') {
            return RC_EMALFORMED;
        }
        status = status * 10 + (unsigned)(bytes[i] - '0');
    }
    if (bytes[8] != ' ' || status < 100) {
        return RC_EMALFORMED;
    }
    *out = status;
    return RC_OK;
}
