/* err.c - the words for base/err.h. */
#include "base/err.h"

#include <stddef.h>

static const char *const phrases[] = {
    [-RC_OK] = "ok",
    [-RC_ENOMEM] = "out of memory",
    [-RC_ETRUNCATED] = "the bytes end too early",
    [-RC_EMALFORMED] = "malformed",
    [-RC_ETOOBIG] = "too large",
    [-RC_ENOTFOUND] = "no such thing",
    [-RC_EEXISTS] = "exists already",
    [-RC_EINVAL] = "invalid argument",
    [-RC_EIO] = "input or output failed",
    [-RC_EAGAIN] = "not now",
    [-RC_EUNSUPPORTED] = "not supported",
    [-RC_EDENIED] = "permission denied",
    [-RC_ECLOSED] = "closed",
    [-RC_ETIMEOUT] = "timed out",
    [-RC_ECONFLICT] = "conflict",
    [-RC_EUNKNOWN] = "outcome unknown",
    [-RC_ENOSPC] = "no room left",
};

const char *rc_strerror(int err)
{
    if (err > 0 || err < -(int)(sizeof phrases / sizeof phrases[0]) + 1) {
        return "unknown error";
    }
    return phrases[-err];
}
