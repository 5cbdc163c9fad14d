/* slab.h - buffers of one size, lent to connections while bytes are in them.
 *
 * One slab per worker with a hard ceiling: when it is reached the answer is NULL and the
 * caller refuses work; nobody allocates past it. An idle connection holds no buffer. */
#ifndef PROXY_WORKER_SLAB_H
#define PROXY_WORKER_SLAB_H

#include <stddef.h>
#include <stdint.h>

enum {
    /* A whole head (HTTP1_HEAD_MAX) and what forward.h adds to it. */
    SLAB_BYTES = 16384 + 2048,
    SLAB_KEPT_MAX =
        256 /* free buffers kept for the next ones; more go back to the system */
};

/* A queue of bytes: [start, end) of `bytes` is in use. */
struct slab_buffer {
    struct slab_buffer *next; /* while free */
    uint32_t start;
    uint32_t end;
    uint8_t bytes[SLAB_BYTES];
};

struct slab {
    struct slab_buffer *free;
    uint32_t free_count;
    uint32_t lent;
    uint32_t lent_max;
    uint64_t refusals;
};

/* `bytes_max` is the ceiling of all buffers together. */
void slab_init(struct slab *slab, uint64_t bytes_max);
void slab_fini(struct slab *slab); /* all buffers must be back */

/* An empty buffer, or NULL (counted). */
struct slab_buffer *slab_lend(struct slab *slab);

/* Takes a buffer back and sets the pointer to NULL. NULL inside is allowed. */
void slab_return(struct slab *slab, struct slab_buffer **buffer);

/* Bytes in use; 0 for NULL. */
size_t slab_size(const struct slab_buffer *buffer);

/* Bytes that can be added at the end; moves what is there to the front if the end is reached. */
size_t slab_room(struct slab_buffer *buffer);

/* Appends, when slab_room allows it (asserted). */
void slab_append(struct slab_buffer *buffer, const void *bytes, size_t size);

/* Drops the first `size` bytes in use. */
void slab_consume(struct slab_buffer *buffer, size_t size);

#endif
