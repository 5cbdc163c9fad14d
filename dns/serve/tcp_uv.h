/* tcp_uv.h - DNS over TCP: who may connect, and who has done nothing for too long.
 *
 * RFC 7766. What happens on a connection is in connection_uv.h. */
#ifndef DNS_SERVE_TCP_UV_H
#define DNS_SERVE_TCP_UV_H

#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/address.h"
#include "dns/serve/clerk_uv.h"
#include "dns/serve/listen_uv.h"

/* Of one loop. */
enum {
    DNS_TCP_CONNECTIONS_MAX = 256, /* one more: the oldest that never asked gives way */
    DNS_TCP_PER_ADDRESS_MAX = 32,
    DNS_TCP_LISTENERS_MAX = 8
};

struct dns_tcp; /* listeners and connections of one loop */

/* Nothing listens yet. `clerk` is borrowed until closed. RC_OK with `*out` owned by the
 * caller until dns_tcp_close(), or RC_ENOMEM. */
int dns_tcp_start(uv_loop_t *loop, struct dns_clerk *clerk, struct dns_tcp **out);

/* RC_OK, or RC_EIO with errno. At most DNS_TCP_LISTENERS_MAX. */
int dns_tcp_listen(struct dns_tcp *tcp, const struct rc_address *address,
                   enum dns_share share);

/* Closes all, frees `tcp`, then calls `on_closed` from the loop. */
void dns_tcp_close(struct dns_tcp *tcp, void (*on_closed)(void *context), void *context);

#endif
