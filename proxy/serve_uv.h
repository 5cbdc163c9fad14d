/* serve_uv.h - the process: a loop, its signals, and control on it. */
#ifndef PROXY_SERVE_UV_H
#define PROXY_SERVE_UV_H

#include "proxy/config/config.h"
#include "proxy/tls/certificates.h"

/* Serves until SIGTERM or SIGINT have drained it (a second one ends at once); SIGHUP reloads
 * `path`. `config` and its `certificates` are taken. RC_OK, or why it could not start, said on standard error. */
int serve(const char *path, struct config *config, struct certificates *certificates);

#endif
