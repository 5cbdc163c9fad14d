/* admin_uv.h - puts the admin daemon on a loop. */
#ifndef PROXY_ADMIN_ADMIN_UV_H
#define PROXY_ADMIN_ADMIN_UV_H

#include <uv.h>

#include "proxy/admin/admin_mhd.h"

struct admin_loop;

/* On `fd` of admin_listen, taken also on error. RC_OK or RC_ENOMEM. */
int admin_loop_start(uv_loop_t *loop, int fd, enum admin_scope scope,
                     const struct admin_hooks *hooks, struct admin_loop **out);

/* Closes the port at once; memory goes with the last handle. NULL is allowed. */
void admin_loop_close(struct admin_loop *admin);

#endif
