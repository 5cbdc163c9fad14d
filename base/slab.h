/* slab.h - many structs of one size that come and go, close together.
 *
 * What lives long between things that do not keeps whole pages of memory from being given back.
 * Blocks of a slab hold nothing but its structs, and are freed when the last of theirs is given
 * back. Under the address sanitizer each struct is an allocation of its own, so that it sees
 * what is used after its end. */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include <stddef.h>

struct rc_slab_block;

/* Zeroed but for `size`, it is an empty slab. */
struct rc_slab {
    size_t size;                /* of each struct; at most RC_SLAB_SIZE_MAX */
    struct rc_slab_block *open; /* those with a place left */
};

enum { RC_SLAB_SIZE_MAX = 4096 };

/* A zeroed struct, or NULL when memory is out. */
void *rc_slab_take(struct rc_slab *slab);

/* Gives back what rc_slab_take() returned. NULL is allowed. All must be given back in the end:
 * then the slab holds nothing. */
void rc_slab_give(struct rc_slab *slab, void *at);

#endif
