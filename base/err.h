/* err.h - why something did not work: the one list of return codes.
 *
 * Every function that can fail returns an int: RC_OK is zero, all else is
 * negative and stands here. Codes of libraries are translated where the library
 * is called, so no other number travels through the house. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

enum rc_err {
    RC_OK = 0,
    RC_ENOMEM = -1,        /* no memory */
    RC_ETRUNCATED = -2,    /* the bytes end before the value does */
    RC_EMALFORMED = -3,    /* the bytes break their format's rules */
    RC_ETOOBIG = -4,       /* larger than a stated maximum */
    RC_ENOTFOUND = -5,     /* no such thing */
    RC_EEXISTS = -6,       /* there is one already */
    RC_EINVAL = -7,        /* the caller asked for something that makes no sense */
    RC_EIO = -8,           /* the system refused; errno or the log tells more */
    RC_EAGAIN = -9,        /* not now; ask again later */
    RC_EUNSUPPORTED = -10, /* known, but not done here */
    RC_EDENIED = -11,      /* the caller may not */
    RC_ECLOSED = -12,      /* the other side has gone, or we are going */
    RC_ETIMEOUT = -13,     /* not in time */
    RC_ECONFLICT = -14,    /* it contradicts what is already known */
    RC_EUNKNOWN = -15,     /* it may have happened, or may not */
    RC_ENOSPC = -16,       /* no room left, on disk or in a quota */
};

/* A short lower-case phrase for `err`, such as "no such thing". Never NULL; static. */
const char *rc_strerror(int err);

#endif
