/* stalls.h - many structs of one size that come and go, close together.
 *
 * What lives long between things that do not keeps whole pages of memory from being given back.
 * Blocks of stalls hold nothing but structs of that size, and are freed when their last is given
 * back. Under the address sanitizer each struct is an allocation of its own, so that it sees
 * what is used after its end. */
#ifndef BASE_STALLS_H
#define BASE_STALLS_H

#include <stddef.h>

struct rc_stalls_block;

/* Zeroed but for `size`, there are none yet. */
struct rc_stalls {
    size_t size;                  /* of each struct; at most RC_STALLS_SIZE_MAX */
    struct rc_stalls_block *open; /* those with a place left */
};

enum { RC_STALLS_SIZE_MAX = 4096 };

/* A zeroed struct, or NULL when memory is out. */
void *rc_stalls_take(struct rc_stalls *stalls);

/* Gives back what rc_stalls_take() returned. NULL is allowed. All must be given back in the end:
 * then no memory is held. */
void rc_stalls_give(struct rc_stalls *stalls, void *at);

#endif
