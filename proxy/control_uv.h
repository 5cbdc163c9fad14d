/* control_uv.h - the thread that knows everything and serves nobody.
 *
 * Owns configuration, lineups, discovery, probes, workers and the admin page; publishes a
 * snapshot whenever something changed. Runs on the loop of main.c, one per process. */
#ifndef PROXY_CONTROL_UV_H
#define PROXY_CONTROL_UV_H

#include <stddef.h>

#include <uv.h>

#include "proxy/config/config.h"
#include "proxy/tls/certificates.h"
#include "proxy/worker/worker_uv.h"

struct control;

struct control_options {
    const char *config_path;                        /* read again on reload; borrowed */
    struct config *config;                          /* taken, also on error */
    struct certificates *certificates;              /* of config; taken as well */
    const struct worker_protocol *const *protocols; /* CONFIG_MODE_COUNT; borrowed */
};

enum { CONTROL_ERROR_MAX = CONFIG_ERROR_MAX };

/* Opens every socket, starts workers, discovery and admin. RC_OK, or an error with one clear
 * line in `error`. */
int control_start(uv_loop_t *loop, const struct control_options *options,
                  struct control **out, char error[CONTROL_ERROR_MAX]);

/* Reads the file again and applies it; any error leaves everything as it is and is logged. */
void control_reload(struct control *control);

/* Starts the program's file anew and hands it all listening sockets. When it serves, this process
 * accepts nobody any more and ends with its last connection, or after upgrade_timeout. When it
 * fails, all stays as it is. Either is logged. */
void control_upgrade(struct control *control);

/* First call: not ready any more, connections drain, and the loop ends when they are done or
 * after drain_timeout. Second call: ends at once. */
void control_stop(struct control *control);

/* After uv_run returned: joins what is left and frees it. NULL is allowed. */
void control_destroy(struct control *control);

#endif
