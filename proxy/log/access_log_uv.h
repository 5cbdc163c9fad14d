/* access_log_uv.h - the file that a worker's access lines go to.
 *
 * Lines gather in memory and are written every 100 ms or when half of the space is used, by
 * libuv's threads: the worker never waits for a disk. When the disk is slower than the
 * requests, lines are dropped and counted. */
#ifndef PROXY_LOG_ACCESS_LOG_UV_H
#define PROXY_LOG_ACCESS_LOG_UV_H

#include <stdint.h>

#include <uv.h>

#include "proxy/config/config.h"
#include "proxy/log/access_log.h"

enum { ACCESS_LOG_SPACE = 512 * 1024, ACCESS_LOG_FLUSH_MS = 100 };

struct access_log_uv;

/* Opens `path` for appending ("" = standard output). `*out` is ended by access_log_uv_close.
 * RC_OK, RC_ENOMEM or RC_EIO. */
int access_log_uv_open(uv_loop_t *loop, const char *path, struct access_log_uv **out);

/* Adds a line in the listener's form (not CONFIG_LOG_OFF), or drops it. */
void access_log_uv_add(struct access_log_uv *log, const struct config_listener *listener,
                       const struct access_log_entry *entry);

/* Opens the file anew, for log rotation: after a reload. */
void access_log_uv_reopen(struct access_log_uv *log);

const char *access_log_uv_path(const struct access_log_uv *log);
uint64_t access_log_uv_dropped(const struct access_log_uv *log);

/* Writes what is left (waiting for the disk once) and frees, after the handle's last callback.
 * NULL is allowed. */
void access_log_uv_close(struct access_log_uv *log);

#endif
