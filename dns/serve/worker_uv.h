/* worker_uv.h - one thread that answers DNS: its loop, its sockets, its view of the board.
 *
 * A worker shares nothing with its neighbours but the board, which it reads, and the
 * metrics. Its sockets are opened by the thread that starts it, so that what is wrong is
 * known before it runs. */
#ifndef DNS_SERVE_WORKER_UV_H
#define DNS_SERVE_WORKER_UV_H

#include <stdint.h>

#include "base/address.h"
#include "dns/answer/answer.h"
#include "dns/board/board.h"
#include "dns/serve/desk.h"
#include "dns/serve/listen_uv.h"

struct dns_worker;
struct dns_forward_options; /* forward_options.h */
struct rc_metrics;

struct dns_worker_options {
    unsigned number;                   /* 0, 1, ... */
    const struct dns_options *answers; /* borrowed until it is stopped, as are the next */
    struct dns_board *board;
    const struct dns_forward_options *forward; /* NULL: nobody is asked */
    struct rc_metrics *metrics;                /* may be NULL */
    uint64_t random_seed;
    void (*ring)(void *context); /* something is on the desk; on the worker's thread */
    void *context;
};

/* All of these are for the board's writer's thread. */

/* It does not run yet. RC_OK with `*out` owned by the caller until dns_worker_stop();
 * RC_EMALFORMED (a domain is not a host name), RC_ENOMEM, RC_EIO. */
int dns_worker_create(const struct dns_worker_options *options, struct dns_worker **out);

/* Opens a socket, before it runs; at most 8 of each kind. RC_OK and the address with its
 * port in `bound`, or RC_EIO with errno. */
int dns_worker_listen_udp(struct dns_worker *worker, const struct rc_address *address,
                          enum dns_share share, struct rc_address *bound);
int dns_worker_listen_tcp(struct dns_worker *worker, const struct rc_address *address,
                          enum dns_share share);

/* Starts the thread, with all signals blocked. RC_OK or RC_EIO. */
int dns_worker_run(struct dns_worker *worker);

/* What it asks of the agent's own loop; dns_worker_wake() tells it that something has come
 * back. */
struct dns_desk *dns_worker_desk(const struct dns_worker *worker);
void dns_worker_wake(struct dns_worker *worker);

/* Drops all connections, ends the thread and waits for that (it does not wait for anything
 * itself), frees all. NULL is allowed. */
void dns_worker_stop(struct dns_worker *worker);

#endif
