/* explain_ask.h - one question to the admin port of a running proxy. */
#ifndef PROXY_EXPLAIN_EXPLAIN_ASK_H
#define PROXY_EXPLAIN_EXPLAIN_ASK_H

#include "base/address.h"
#include "base/buffer.h"

/* The body of GET `path`, appended to `out`; waits at most three seconds for each step. RC_OK, or
 * RC_EIO with `why` (static or of the system). */
int explain_ask(const struct rc_address *admin, const char *path, struct rc_buffer *out,
                const char **why);

#endif
