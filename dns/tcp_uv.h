/* tcp_uv.h - DNS over TCP: connections with many queries each, within limits.
 *
 * RFC 7766. Answers to queries that came together leave together, in order. */
#ifndef DNS_TCP_UV_H
#define DNS_TCP_UV_H

#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/address.h"
#include "dns/answer.h"
#include "dns/meter.h"

enum {
    DNS_TCP_CONNECTIONS_MAX = 256,
    DNS_TCP_PER_ADDRESS_MAX = 32,
    DNS_TCP_FIRST_MS = 2000,    /* a new connection's first query is due */
    DNS_TCP_IDLE_MS = 10000,    /* between queries; 0 when nine tenths are in use */
    DNS_TCP_PARTIAL_MS = 5000,  /* a query that has begun is due whole */
    DNS_TCP_OUTPUT_MAX = 65536, /* more unsent answers: no further query is read */
    DNS_TCP_LISTENERS_MAX = 8
};

struct dns_tcp; /* listeners and connections of one loop */

struct dns_tcp_options {
    struct dns_answerer *answerer; /* borrowed until closed, as is the meter */
    struct dns_meter *meter;
};

/* Nothing listens yet. RC_OK with `*out` owned by the caller until dns_tcp_close(), or
 * RC_ENOMEM. */
int dns_tcp_start(uv_loop_t *loop, const struct dns_tcp_options *options,
                  struct dns_tcp **out);

/* RC_OK, or RC_EIO with errno. At most DNS_TCP_LISTENERS_MAX. */
int dns_tcp_listen(struct dns_tcp *tcp, const struct rc_address *address);

/* Closes all, frees `tcp`, then calls `on_closed` from the loop. */
void dns_tcp_close(struct dns_tcp *tcp, void (*on_closed)(void *context), void *context);

#endif
