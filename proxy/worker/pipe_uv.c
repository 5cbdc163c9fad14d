/* pipe_uv.c - see pipe_uv.h. */
#include "proxy/worker/pipe_uv.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static const struct {
    uint32_t size;
    uint32_t max;
} classes[PIPE_CLASS_COUNT] = {
    [PIPE_CLASS_LARGE] = {PIPE_LARGE, PIPE_LARGE_MAX},
    [PIPE_CLASS_MIDDLE] = {PIPE_MIDDLE, PIPE_MIDDLE_MAX},
    [PIPE_CLASS_SMALL] = {PIPE_SMALL, PIPE_SMALL_MAX},
};

void pipe_pool_init(struct pipe_pool *pool)
{
    *pool = (struct pipe_pool){0};
}

static void close_pipe(struct pipe_pool *pool, struct pipe *pipe)
{
    assert(pool->count[pipe->class] > 0);
    pool->count[pipe->class]--;
    (void)close(pipe->read_fd);
    (void)close(pipe->write_fd);
    free(pipe);
}

void pipe_pool_fini(struct pipe_pool *pool)
{
    while (pool->kept != NULL) {
        struct pipe *pipe = pool->kept;
        pool->kept = pipe->next;
        close_pipe(pool, pipe);
    }
    for (size_t i = 0; i < PIPE_CLASS_COUNT; i++) {
        assert(pool->count[i] == 0);
    }
}

enum pipe_class pipe_next_class(const struct pipe_pool *pool, enum pipe_class first)
{
    enum pipe_class class = first;

    while (class < PIPE_CLASS_COUNT && pool->count[class] >= classes[class].max) {
        class ++;
    }
    return class;
}

/* As large as the kernel allows, from the size of `pipe->class` down. False: none of them. */
static bool size_pipe(const struct pipe_pool *pool, struct pipe *pipe)
{
    enum pipe_class class = pipe_next_class(pool, PIPE_CLASS_LARGE);

    while (class < PIPE_CLASS_COUNT) {
        int size = fcntl(pipe->write_fd, F_SETPIPE_SZ, (int)classes[class].size);
        if (size >= (int)classes[class].size) {
            pipe->class = class;
            pipe->size = (uint32_t)size;
            return true;
        }
        class = pipe_next_class(pool, class + 1);
    }
    return false;
}

static struct pipe *open_pipe(struct pipe_pool *pool)
{
    int fds[2];
    struct pipe *pipe = NULL;

    if (pipe_next_class(pool, PIPE_CLASS_LARGE) == PIPE_CLASS_COUNT ||
        pipe2(fds, O_NONBLOCK | O_CLOEXEC) != 0) {
        return NULL;
    }
    pipe = calloc(1, sizeof *pipe);
    if (pipe != NULL) {
        pipe->read_fd = fds[0];
        pipe->write_fd = fds[1];
    }
    if (pipe == NULL || !size_pipe(pool, pipe)) {
        (void)close(fds[0]);
        (void)close(fds[1]);
        free(pipe);
        return NULL;
    }
    pool->count[pipe->class]++;
    return pipe;
}

struct pipe *pipe_lend(struct pipe_pool *pool)
{
    struct pipe *pipe = pool->kept;

    if (pipe == NULL) {
        return open_pipe(pool);
    }
    pool->kept = pipe->next;
    pool->kept_count--;
    assert(pipe->held == 0);
    return pipe;
}

void pipe_return(struct pipe_pool *pool, struct pipe **pipe)
{
    struct pipe *back = *pipe;

    if (back == NULL) {
        return;
    }
    *pipe = NULL;
    if (back->held > 0 || pool->kept_count >= PIPE_KEPT_MAX) {
        close_pipe(pool, back);
        return;
    }
    back->next = pool->kept;
    pool->kept = back;
    pool->kept_count++;
}

enum pipe_io pipe_fill(struct pipe *pipe, int fd, size_t max)
{
    ssize_t moved = -1;

    assert(pipe->held == 0 && max > 0);
    size_t size = max < pipe->size ? max : pipe->size;
    do {
        moved = splice(fd, NULL, pipe->write_fd, NULL, size,
                       SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    } while (moved < 0 && errno == EINTR);
    if (moved > 0) {
        pipe->held = (uint32_t)moved;
        return PIPE_MOVED;
    }
    if (moved == 0) {
        return PIPE_ENDED;
    }
    return errno == EAGAIN ? PIPE_BLOCKED : PIPE_BROKEN;
}

enum pipe_io pipe_drain(struct pipe *pipe, int fd, enum pipe_after after, size_t *moved)
{
    unsigned flags = SPLICE_F_NONBLOCK | SPLICE_F_MOVE |
                     (after == PIPE_AFTER_MORE ? SPLICE_F_MORE : 0U);

    *moved = 0;
    while (pipe->held > 0) {
        ssize_t wrote = splice(pipe->read_fd, NULL, fd, NULL, pipe->held, flags);
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        if (wrote <= 0) {
            return wrote < 0 && errno == EAGAIN ? PIPE_BLOCKED : PIPE_BROKEN;
        }
        pipe->held -= (uint32_t)wrote;
        *moved += (size_t)wrote;
    }
    return PIPE_MOVED;
}
