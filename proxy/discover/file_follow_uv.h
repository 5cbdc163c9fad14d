/* file_follow_uv.h - reads a file of instances whenever it changes.
 *
 * Its folder is watched by inotify, so that a file replaced by rename is seen; a look every few
 * seconds covers file systems that tell nothing. While somebody writes it is left alone. */
#ifndef PROXY_DISCOVER_FILE_FOLLOW_UV_H
#define PROXY_DISCOVER_FILE_FOLLOW_UV_H

#include <uv.h>

#include "proxy/upstream/lineup.h"

struct file_follow;

struct file_follow_options {
    uv_loop_t *loop;
    const char *path; /* copied */
    /* FULL with its entries, or FAILED with the reason (borrowed). Never from within start or after
     * close. */
    void (*told)(void *context, enum lineup_source source, enum lineup_verdict verdict,
                 const struct lineup_entry *entries, size_t count, const char *problem);
    void *context;
};

/* NULL when memory is out. */
struct file_follow *file_follow_start(const struct file_follow_options *options);
void file_follow_close(struct file_follow *follow); /* NULL is allowed */

#endif
