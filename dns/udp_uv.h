/* udp_uv.h - DNS over UDP: one socket, answered in batches without allocation. */
#ifndef DNS_UDP_UV_H
#define DNS_UDP_UV_H

#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/address.h"
#include "dns/answer.h"
#include "dns/meter.h"

struct dns_udp_batch; /* working space that all sockets of a loop share */

struct dns_udp {
    uv_poll_t poll; /* `data` is ours */
    int socket;
    struct rc_address address; /* as bound */
    struct dns_udp_batch *batch;
    struct dns_answerer *answerer;
    struct dns_meter *meter;
    void (*on_closed)(void *context);
    void *context;
};

struct dns_udp_batch *dns_udp_batch_create(void); /* NULL when memory is out */
void dns_udp_batch_destroy(struct dns_udp_batch *batch);

/* Opens a socket on `address` (port 0: any) and answers on `loop`; batch, answerer and
 * meter are set by the caller before, borrowed until closed. RC_OK, or RC_EIO with
 * errno. */
int dns_udp_start(struct dns_udp *udp, uv_loop_t *loop, const struct rc_address *address);

/* Closes the socket, later calls `on_closed` from the loop. */
void dns_udp_close(struct dns_udp *udp, void (*on_closed)(void *context), void *context);

#endif
