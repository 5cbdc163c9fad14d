#include "agent/link/haste.h"

#include <stddef.h>
#include <string.h>

#include "agent/link/link.h"
#include "base/err.h"
#include "base/text.h"

enum { NS_PER_MS = 1000 * 1000, WAITS = 3, DURATION_SPACE = 24 };

static const char followed[] = "/v1/postgres/";
static const char wait_is[] = "wait=";

/* The value of `wait` in a query; NULL: there is none. */
static const char *wait_of(const char *target)
{
    const char *at = strchr(target, '?');

    while (at != NULL && strncmp(at + 1, wait_is, sizeof wait_is - 1) != 0) {
        at = strchr(at + 1, '&');
    }
    return at != NULL ? at + sizeof wait_is : NULL;
}

uint64_t haste_of(const char *target)
{
    char duration[DURATION_SPACE];
    uint64_t ns = 0;

    if (strncmp(target, followed, sizeof followed - 1) != 0) {
        return 0;
    }
    const char *text = wait_of(target);
    size_t size = text != NULL ? strcspn(text, "&") : 0;
    if (size == 0 || size >= sizeof duration) {
        return 0;
    }
    memcpy(duration, text, size);
    duration[size] = '\0';
    if (rc_text_to_duration_ns(duration, &ns) != RC_OK) {
        return 0;
    }
    uint64_t wait_ms = ns / NS_PER_MS;
    return wait_ms < LINK_SILENCE_MS / WAITS ? wait_ms * WAITS : 0;
}
