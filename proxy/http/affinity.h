/* affinity.h - what ties a request to an instance: the key of a hash, the cookie of a session.
 *
 * Taken from the request's head once, and only where its pool asks for it. Pure. */
#ifndef PROXY_HTTP_AFFINITY_H
#define PROXY_HTTP_AFFINITY_H

#include <stdint.h>

#include "base/address.h"
#include "base/text.h"
#include "proxy/config/config.h"
#include "proxy/wire/http1.h"

enum { AFFINITY_COOKIE_MAX = 64 + 96 }; /* of a whole Set-Cookie value, with its NUL */

struct affinity {
    uint64_t key;    /* balance_key of what the pool hashes by; 0 = none */
    uint64_t sticky; /* what the pool's cookie says; 0 = none, or none of ours */
};

/* Reads both from the head at `bytes`. */
void affinity_take(const struct config_pool *pool, const char *bytes,
                   const struct http1_request *request, const struct rc_address *peer,
                   struct affinity *out);

/* The value of cookie `name` in a Cookie field (RFC 6265 section 4.2.1), the first of that name;
 * size 0: it is not there. */
struct rc_span affinity_cookie(struct rc_span field, const char *name);

/* The value of argument `name` in a query (what follows "?"), as it stands; size 0: none. */
struct rc_span affinity_argument(struct rc_span query, const char *name);

/* A cookie's value -> what it says; 0: no cookie of ours. And back: "NAME=VALUE; Path=/; ..." */
uint64_t affinity_read(struct rc_span value);
enum affinity_channel { AFFINITY_PLAIN, AFFINITY_SECURE };
void affinity_write(const char *name, uint64_t sticky, enum affinity_channel channel,
                    char space[AFFINITY_COOKIE_MAX]);

#endif
