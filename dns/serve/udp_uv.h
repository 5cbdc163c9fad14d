/* udp_uv.h - DNS over UDP: one socket, answered in batches without allocation. */
#ifndef DNS_SERVE_UDP_UV_H
#define DNS_SERVE_UDP_UV_H

#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/address.h"
#include "dns/serve/clerk_uv.h"
#include "dns/serve/later.h"
#include "dns/serve/listen_uv.h"

struct dns_udp_batch; /* working space that all sockets of a loop share */

struct dns_udp {
    struct dns_outlet outlet; /* first, so that it leads back to us */
    uv_poll_t poll;           /* `data` is ours */
    int socket;
    struct rc_address address; /* as bound */
    enum dns_choice is_any;    /* bound to no single address */
    struct dns_udp_batch *batch;
    struct dns_clerk *clerk;
    void (*on_closed)(void *context);
    void *context;
};

struct dns_udp_batch *dns_udp_batch_create(void); /* NULL when memory is out */
void dns_udp_batch_destroy(struct dns_udp_batch *batch);

/* Opens a socket on `address` (port 0: any) and answers on `loop`; batch and clerk are set
 * by the caller before, borrowed until closed. RC_OK, or RC_EIO with errno. */
int dns_udp_start(struct dns_udp *udp, uv_loop_t *loop, const struct rc_address *address,
                  enum dns_share share);

/* Closes the socket; who waits is not answered. Later calls `on_closed` from the loop. */
void dns_udp_close(struct dns_udp *udp, void (*on_closed)(void *context), void *context);

#endif
