/* admin_mhd.h - the admin port: health, readiness, metrics, upstreams, configuration, drain; and
 * the port for figures, which shows a few of these to others, and takes no order.
 *
 * A libmicrohttpd daemon without a thread of its own: the owner watches admin_fd() and calls
 * admin_run(). Browsers of other pages are kept out: a request whose Host is a foreign name,
 * or that changes something and carries an Origin, is refused. */
#ifndef PROXY_ADMIN_ADMIN_MHD_H
#define PROXY_ADMIN_ADMIN_MHD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/buffer.h"
#include "proxy/admin/admin_pages.h"

struct admin;

/* ADMIN_FIGURES: who scrapes or draws; only GET, of /health, /metrics and /figures, under any
 * name unless it listens on loopback, and no more than a few connections an address. */
enum admin_scope { ADMIN_ALL, ADMIN_FIGURES };

/* Questions to the owner, asked from within admin_run(). */
struct admin_hooks {
    void *context;
    bool (*is_ready)(void *context);
    void (*put_upstreams)(void *context, struct rc_buffer *out);
    void (*put_metrics)(void *context, struct rc_buffer *out);
    void (*put_routes)(void *context, struct rc_buffer *out);
    void (*put_connections)(void *context, size_t offset, size_t limit,
                            struct rc_buffer *out);
    void (*put_config)(void *context, struct rc_buffer *out);
    void (*put_figures)(void *context, struct rc_buffer *out);
    int (*order)(void *context,
                 const struct admin_order *order); /* RC_OK, RC_ENOTFOUND */
    void (*reload)(void *context);
    void (*upgrade)(void *context);
};

/* RC_OK, or RC_EIO (errno kept: the address cannot be had). */
int admin_listen(const struct rc_address *address, int *fd);

/* `fd` listens, and is taken, also on error. RC_OK or RC_ENOMEM. `hooks` is copied. */
int admin_start(int fd, enum admin_scope scope, const struct admin_hooks *hooks,
                struct admin **out);
/* Others who have the same socket go on listening. NULL is allowed. */
void admin_stop(struct admin *admin);

int admin_fd(const struct admin *admin); /* readable: call admin_run */
void admin_run(struct admin *admin);

/* In how many ms admin_run wants to be called anyway; -1 = never. */
int64_t admin_timeout_ms(const struct admin *admin);

#endif
