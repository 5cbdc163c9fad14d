/* pipe_uv.h - pipes that long transfers pass through, so that their bytes are never copied.
 *
 * splice(2) moves pages from a socket into a pipe and on into another socket. One pool per
 * worker. A transfer borrows a pipe for as long as bytes are in it: those whose client
 * takes everything share one, a client that is full keeps its own. The kernel lets a user
 * hold some 64 MiB of pipes (pipe(7), pipe-user-pages-soft), so the first ones are large,
 * the next smaller, and then there are none: whoever gets NULL copies. */
#ifndef PROXY_WORKER_PIPE_UV_H
#define PROXY_WORKER_PIPE_UV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PIPE_LARGE = 1 << 20, /* bytes */
    PIPE_MIDDLE = 256 * 1024,
    PIPE_SMALL = 64 * 1024,
    PIPE_LARGE_MAX = 32, /* of one worker, */
    PIPE_MIDDLE_MAX = 64,
    PIPE_SMALL_MAX = 256,
    PIPE_KEPT_MAX = 8, /* of those that nobody uses: they cost two descriptors each */
    PIPE_WORTH = 256 * 1024 /* a transfer is spliced if so much of it is to come */
};

enum pipe_class {
    PIPE_CLASS_LARGE,
    PIPE_CLASS_MIDDLE,
    PIPE_CLASS_SMALL,
    PIPE_CLASS_COUNT
};

struct pipe {
    struct pipe *next; /* while it is kept */
    int read_fd;
    int write_fd;
    enum pipe_class class; /* whose count it is part of */
    uint32_t size;         /* what it takes at once, bytes */
    uint32_t held;         /* bytes in it */
};

struct pipe_pool {
    struct pipe *kept;
    uint32_t kept_count;
    uint32_t count[PIPE_CLASS_COUNT]; /* open, of each class */
};

void pipe_pool_init(struct pipe_pool *pool);
void pipe_pool_fini(struct pipe_pool *pool); /* all pipes must be back */

/* An empty pipe, as large as there is; NULL: none can be had, copy. */
struct pipe *pipe_lend(struct pipe_pool *pool);

/* Takes it back and sets the pointer to NULL; NULL inside is allowed. One that holds bytes is
 * closed: they are nobody else's. */
void pipe_return(struct pipe_pool *pool, struct pipe **pipe);

/* The class of the next pipe to be opened, from `first` on; PIPE_CLASS_COUNT: none. */
enum pipe_class pipe_next_class(const struct pipe_pool *pool, enum pipe_class first);

enum pipe_io { PIPE_MOVED, PIPE_BLOCKED, PIPE_ENDED, PIPE_BROKEN };

/* Moves at most `max` bytes from a socket into an empty pipe. MOVED: pipe->held says how many;
 * BLOCKED: nothing there; ENDED, or BROKEN with errno. */
enum pipe_io pipe_fill(struct pipe *pipe, int fd, size_t max);

/* What comes after the bytes in the pipe. */
enum pipe_after {
    PIPE_AFTER_UNKNOWN, /* perhaps nothing: send the last segment at once */
    PIPE_AFTER_MORE     /* more is there already: it may wait for it */
};

/* Moves what the pipe holds into a socket. MOVED: all of it; BLOCKED: as much as the socket took;
 * BROKEN with errno. `*moved` counts. */
enum pipe_io pipe_drain(struct pipe *pipe, int fd, enum pipe_after after, size_t *moved);

#endif
