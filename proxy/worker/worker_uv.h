/* worker_uv.h - one thread that serves connections, and what it lends to a protocol.
 *
 * A worker owns a libuv loop, its own SO_REUSEPORT socket of every listener, and the
 * connections it accepted. It knows no protocol: it accepts, and hands the descriptor to
 * the protocol of the listener's mode. Everything here is called on the worker's own thread
 * unless it says otherwise. Nothing in it takes a lock. */
#ifndef PROXY_WORKER_WORKER_UV_H
#define PROXY_WORKER_WORKER_UV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/address.h"
#include "base/metrics.h"
#include "base/random.h"
#include "proxy/config/config.h"
#include "proxy/upstream/balance.h"
#include "proxy/upstream/snapshot.h"
#include "proxy/worker/pipe_uv.h"

struct worker;
struct worker_listener;
struct cancel_map;
struct inquiry;

/* A protocol: http, tcp or postgres. One const table each, declared in the protocol's own header
 * (`extern const struct worker_protocol http_protocol;` in exchange_uv.h, tcp_protocol in
 * tcp_uv.h, postgres_protocol in postgres_uv.h) and listed in main.c. */
struct worker_protocol {
    const char *name;

    /* Makes the protocol's state of one worker (pools, buffers, timers on worker->loop), found
     * again by worker_state(). Called before the loop runs. RC_OK or why not. */
    int (*open)(struct worker *worker, void **state);

    /* A client has connected. `fd` is non-blocking, close-on-exec, TCP_NODELAY, and owned by the
     * callee from now on, who calls worker_connection_done(worker, listener) once, after it
     * closed it. `peer` and `listener` are borrowed: the first for the call, the second until
     * worker_connection_done. */
    void (*accept)(struct worker *worker, struct worker_listener *listener, int fd,
                   const struct rc_address *peer);

    /* worker->snapshot has just been exchanged: close idle connections to instances that are no
     * longer there (snapshot_find), cut sessions that must not go on, wake those who wait.
     * `old` is alive during the call. When worker->snapshot->draining: keep none alive. */
    void (*snapshot_changed)(struct worker *worker, void *state,
                             const struct snapshot *old);

    /* Adds each client connection (inquiry_add), for /connections. May be NULL. */
    void (*list)(struct worker *worker, void *state, struct inquiry *inquiry);

    /* End everything now, without waiting for anybody: all descriptors and handles. The loop runs
     * on until the last handle is closed; then `close` frees the state. */
    void (*abort)(struct worker *worker, void *state);
    void (*close)(struct worker *worker, void *state);
};

/* What control wants to hear from a worker; all may be called on any worker's thread. */
struct worker_hooks {
    void *context;
    /* An instance failed in a way that control should look at now. */
    void (*instance_failed)(void *context);
    /* A pool of this pattern is wanted for this service: see worker_want_pool. */
    void (*pool_wanted)(void *context, const char *pattern, const char *service);
};

/* Readable by protocols; written by worker_uv.c only. */
struct worker {
    uv_loop_t *loop;
    unsigned number;            /* 0, 1, ... */
    struct snapshot *snapshot;  /* the current one; never NULL while the loop runs */
    struct rc_random random;    /* for choices and jitter */
    struct rc_metrics *metrics; /* shared by all threads; see base/metrics.h */
    struct cancel_map *cancels; /* shared by all threads; see cancel_map.h */
    struct pipe_pool pipes;     /* what long transfers pass through */
    struct rc_metric *spliced;  /* bytes that did */
    bool draining; /* stop is wanted: close each connection when it is idle */
};

/* The listener's present configuration, or its last one when it has been taken out of the file.
 * Borrowed for this turn of the loop: a reload changes it. To keep it longer, retain
 * worker->snapshot beside it. */
const struct config_listener *
worker_listener_config(const struct worker_listener *listener);

/* Where this worker counts what the listener does; NULL when memory is out. As long as the
 * configuration above. */
struct meter_lane *worker_listener_lane(const struct worker_listener *listener);
/* The same of one of its routes, by number in its present configuration. */
struct meter_lane *worker_route_lane(const struct worker_listener *listener,
                                     size_t route);

/* The table of a `limit` of its present configuration, or of one of its routes. Borrowed as that. */
struct limit *worker_limit(const struct worker_listener *listener,
                           const struct config_limit *limit);

/* Called by accept(): what the connection holds of `limit connections`, to be given back by
 * limit_leave() before worker_connection_done(). Who does not take it has it given back. */
struct limit_grant worker_take_grant(struct worker *worker);

/* Its certificate, or NULL: TLS does not end here. As long as the configuration above. */
struct tls_context *worker_listener_tls(const struct worker_listener *listener);

/* The listener's pool (tcp, postgres) as of now; NULL when a reload took it away. */
const struct snapshot_pool *worker_listener_pool(const struct worker *worker,
                                                 const struct worker_listener *listener);

/* The protocol's own state, as its open() made it. */
void *worker_state(const struct worker *worker, enum config_mode mode);

/* The pool as of now. Index as in config (route->pool, listener->pool) of worker->snapshot. */
const struct snapshot_pool *worker_pool(const struct worker *worker, size_t pool);

/* The index of the pool of this name now, or -1: for a request that began under an earlier
 * snapshot (after a reload the indexes may differ). */
int worker_find_pool(const struct worker *worker, const char *name);

/* The index of the pool made of pattern number `pattern` (of worker->snapshot->config) for
 * `service`, or -1: nobody has asked for it yet, or not for long. */
int worker_find_derived(const struct worker *worker, size_t pattern, const char *service);

/* Asks control to make it. It shows in a later snapshot: wait as for an instance, and ask again when
 * it is not there then. */
void worker_want_pool(struct worker *worker, size_t pattern, const char *service);

/* Chooses by the pool's balance. `request->now_ms` is filled in. NULL: nobody is left; then
 * wait for snapshot_changed up to the pool's queue_timeout, or answer 503. The instance's
 * reference is the snapshot's: retain it to keep it beyond this turn of the loop. */
const struct snapshot_member *worker_pick(struct worker *worker, size_t pool,
                                          struct balance_request *request);

/* Begin and end of one use of an instance (a request, a connection, a session). Tells control
 * when it should look at the instance at once. `pool` gives the limits; NULL = it has gone. */
void worker_use_begin(struct worker *worker, struct instance *instance);
/* The same unless `max` uses run already. */
bool worker_use_try(struct worker *worker, struct instance *instance, uint32_t max);
void worker_use_end(struct worker *worker, const struct config_pool *pool,
                    struct instance *instance, enum instance_outcome outcome);

/* A client connection handed over by accept() has been closed. */
void worker_connection_done(struct worker *worker, struct worker_listener *listener);

/* --- for control and main --- */

/* Starts a thread. `protocols` has CONFIG_MODE_COUNT entries, some may be NULL; `listen_fds` are
 * one listening socket for each of snapshot->config->listeners, owned by the worker from now on.
 * RC_OK, RC_ENOMEM or RC_EIO. */
struct worker_options {
    unsigned number;
    uint64_t seed;
    const struct worker_protocol *const *protocols;
    struct rc_metrics *metrics;
    struct cancel_map *cancels;
    struct worker_hooks hooks;
    struct snapshot *snapshot; /* retained */
    const int *listen_fds;
};
int worker_start(const struct worker_options *options, struct worker **out);

/* Hands over a new snapshot (retained); `listen_fds` as above, -1 for listeners whose address
 * (with mode) stood in the former one: they keep their socket. Control's thread. */
int worker_publish(struct worker *worker, struct snapshot *snapshot,
                   const int *listen_fds);

/* Asks the worker to stop; each is more than the one before. LEAVE: accept what already waits in
 * the queue, close the listeners (another process has the sockets too), and end when the last
 * connection is done. DRAIN: the same, and close connections that are idle. NOW: end at once.
 * Control's thread. */
enum worker_stop { WORKER_STOP_LEAVE, WORKER_STOP_DRAIN, WORKER_STOP_NOW };
void worker_stop(struct worker *worker, enum worker_stop how);

/* Puts a question (retained); a former one that it has not got to is dropped. Control's thread.
 * RC_OK, or RC_ECLOSED when the worker has ended. */
int worker_ask(struct worker *worker, struct inquiry *inquiry);

/* Connections it serves. Any thread. */
uint32_t worker_connections(const struct worker *worker);

/* True when the thread has ended; worker_join then waits for it and frees all. Control's thread. */
bool worker_has_ended(const struct worker *worker);
void worker_join(struct worker *worker);

/* Opens one listening socket: SO_REUSEADDR, SO_REUSEPORT, non-blocking. RC_OK, or RC_EIO with
 * errno kept. */
int worker_listen(const struct rc_address *address, int *fd);

#endif
