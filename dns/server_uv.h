/* server_uv.h - the sockets of the DNS server: UDP and TCP on the same addresses.
 *
 * UDP in batches (recvmmsg, sendmmsg) on uv_poll, without allocation; TCP after RFC 7766
 * with limits on connections, time and memory. What to answer is decided in answer.h. */
#ifndef DNS_SERVER_UV_H
#define DNS_SERVER_UV_H

#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/address.h"
#include "dns/answer.h"
#include "dns/view.h"

struct rc_metrics;
struct dns_server;

enum { DNS_SERVER_LISTEN_MAX = 8, DNS_SERVER_ERROR_MAX = 256 };

struct dns_server_options {
    const struct rc_address *listen;   /* each for UDP and TCP; copied */
    size_t listen_count;               /* 1 to DNS_SERVER_LISTEN_MAX */
    const struct dns_options *answers; /* borrowed until closed */
    const struct dns_view *view;       /* borrowed until closed */
    struct rc_metrics *metrics;        /* borrowed until closed; may be NULL */
    uint64_t random_seed;              /* orders the answers */
};

/* Opens all sockets and answers from then on. On RC_OK `*out` belongs to the caller until
 * dns_server_close(). On RC_EINVAL, RC_EIO (address or port not free) and RC_ENOMEM
 * nothing is left open (once the loop has turned) and `error` says in one line what is
 * wrong and what to do. Port 0 takes a free port, the same for UDP and TCP. */
int dns_server_start(uv_loop_t *loop, const struct dns_server_options *options,
                     struct dns_server **out, char error[DNS_SERVER_ERROR_MAX]);

/* The port of the first listen address, as bound. */
uint16_t dns_server_port(const struct dns_server *server);

/* Stops listening, drops connections, frees `server`; then calls `on_closed`, which may
 * be NULL, from the loop. */
void dns_server_close(struct dns_server *server, void (*on_closed)(void *context),
                      void *context);

#endif
