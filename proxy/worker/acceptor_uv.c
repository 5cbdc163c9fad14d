/* acceptor_uv.c - see acceptor_uv.h. */
#include "proxy/worker/acceptor_uv.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/logger.h"
#include "proxy/limit/admission.h"
#include "proxy/worker/proxy_header_uv.h"

enum { ACCEPTS_PER_TURN = 64, BACKLOG = 1024, LOG_EVERY_MS = 1000, REST_MS = 100 };

enum poll_state { POLL_OPEN, POLL_CLOSING, POLL_CLOSED };

struct worker_listener {
    struct acceptor *acceptor;
    struct worker_listener *next;
    uv_poll_t poll;
    enum poll_state poll_state;
    bool paused; /* at its limit: the queue waits */
    int fd;
    uint32_t connections;
    /* Its present configuration, or the last one; the tree it stands in is retained. */
    struct snapshot_config *shared;
    const struct config_listener *config;
    struct meter_lane *lane; /* in `shared`; NULL: no memory */
};

/* A connection that must say first, by the PROXY protocol, whom it brings. */
struct arrival {
    struct worker_listener *listener;
    struct proxy_header *header;
    LIST_ENTRY(arrival) link;
};

LIST_HEAD(arrival_list, arrival);

struct acceptor {
    struct worker *worker;
    const struct worker_protocol *const *protocols;
    struct worker_listener *listeners;
    struct arrival_list arrivals;
    int spare_fd;                /* given up for a moment when descriptors run out */
    uv_timer_t rest;             /* when not even that is left: looks again */
    struct limit_grant arriving; /* of the connection that is handed over just now */
    uint64_t logged_at_ms;
    _Atomic uint32_t connections;
};

int worker_listen(const struct rc_address *address, int *fd)
{
    struct sockaddr_storage name;
    size_t size = rc_address_to_sockaddr(address, &name);
    int one = 1;
    int made = socket(name.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (made < 0) {
        return RC_EIO;
    }
    bool ok = setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
              setsockopt(made, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) == 0 &&
              (address->family != RC_ADDRESS_IPV6 ||
               setsockopt(made, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) == 0) &&
              bind(made, (struct sockaddr *)&name, (socklen_t)size) == 0 &&
              listen(made, BACKLOG) == 0;
    if (!ok) {
        int why = errno;
        (void)close(made);
        errno = why;
        return RC_EIO;
    }
    *fd = made;
    return RC_OK;
}

int acceptor_create(struct worker *worker, const struct worker_protocol *const *protocols,
                    struct acceptor **out)
{
    struct acceptor *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return RC_ENOMEM;
    }
    made->worker = worker;
    made->protocols = protocols;
    LIST_INIT(&made->arrivals);
    made->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)uv_timer_init(worker->loop, &made->rest); /* cannot fail */
    uv_unref((uv_handle_t *)&made->rest);
    made->rest.data = made;
    *out = made;
    return RC_OK;
}

uint32_t acceptor_connections(const struct acceptor *acceptor)
{
    return atomic_load_explicit(&acceptor->connections, memory_order_relaxed);
}

const struct config_listener *acceptor_config(const struct worker_listener *listener)
{
    return listener->config;
}

struct meter_lane *acceptor_lane(const struct worker_listener *listener)
{
    return listener->lane;
}

struct meter_lane *acceptor_route_lane(const struct worker_listener *listener,
                                       size_t route)
{
    assert(route < listener->shared->meters.route_count);
    return meter_lane(listener->shared->meters.routes[route],
                      listener->acceptor->worker->number);
}

struct limit *acceptor_limit(const struct worker_listener *listener,
                             const struct config_limit *limit)
{
    assert(limit->number < listener->shared->limits.count);
    return listener->shared->limits.items[limit->number];
}

struct limit_grant acceptor_take_grant(struct acceptor *acceptor)
{
    struct limit_grant grant = acceptor->arriving;
    acceptor->arriving = (struct limit_grant){0};
    return grant;
}

struct tls_context *acceptor_tls(const struct worker_listener *listener)
{
    const struct snapshot_config *shared = listener->shared;
    size_t at = (size_t)(listener->config - shared->config->listeners);
    return shared->certificates != NULL ? shared->certificates->listeners[at] : NULL;
}

const char *acceptor_pool_name(const struct worker_listener *listener)
{
    return listener->shared->config->pools[listener->config->pool].name;
}

/* --- the end of a listener --- */

static void free_if_done(struct worker_listener *listener)
{
    if (listener->poll_state != POLL_CLOSED || listener->connections > 0) {
        return;
    }
    struct worker_listener **at = &listener->acceptor->listeners;
    while (*at != listener) {
        at = &(*at)->next;
    }
    *at = listener->next;
    snapshot_config_release(listener->shared);
    free(listener);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct worker_listener *listener = handle->data;
    (void)close(listener->fd);
    listener->poll_state = POLL_CLOSED;
    free_if_done(listener);
}

static void close_listener(struct worker_listener *listener)
{
    if (listener->poll_state == POLL_OPEN) {
        listener->poll_state = POLL_CLOSING;
        uv_close((uv_handle_t *)&listener->poll, on_poll_closed);
    }
}

/* Its counts, as its present configuration has them. */
static void find_lane(struct worker_listener *listener)
{
    const struct snapshot_config *shared = listener->shared;
    size_t at = (size_t)(listener->config - shared->config->listeners);
    listener->lane =
        meter_lane(shared->meters.listeners[at], listener->acceptor->worker->number);
}

/* --- accepting --- */

/* This worker's share of the listener's limit. */
static bool is_full(const struct worker_listener *listener)
{
    uint32_t workers = listener->shared->config->worker_threads;
    uint32_t share = workers > 1
                         ? (listener->config->max_connections + workers - 1) / workers
                         : listener->config->max_connections;
    uint32_t all = listener->shared->config->max_connections;
    uint32_t of_all = workers > 1 ? (all + workers - 1) / workers : all;
    return listener->connections >= share ||
           (all > 0 && acceptor_connections(listener->acceptor) >= of_all);
}

static void complain(struct acceptor *a, const char *what)
{
    uint64_t now_ms = rc_clock_ms();
    if (now_ms - a->logged_at_ms >= LOG_EVERY_MS) {
        a->logged_at_ms = now_ms;
        rc_log(RC_LOG_WARN, "proxy", "%s", what);
    }
}

static void on_rested(uv_timer_t *timer);

/* No descriptor is left: the next client is told so by a close, instead of the loop spinning. When
 * another thread has taken the spare one, clients wait for a moment. */
static void spend_spare(struct worker_listener *listener)
{
    struct acceptor *a = listener->acceptor;
    if (a->spare_fd >= 0) {
        complain(a, "out of file descriptors: a client was turned away");
        meter_refuse(listener->lane, REFUSAL_NO_DESCRIPTOR);
        (void)close(a->spare_fd);
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            (void)close(fd);
        }
    }
    a->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (a->spare_fd < 0 && listener->poll_state == POLL_OPEN) {
        complain(a, "out of file descriptors: clients wait");
        listener->paused = true;
        (void)uv_poll_stop(&listener->poll);
        (void)uv_timer_start(&a->rest, on_rested, REST_MS, 0);
    }
}

/* Counted, and told in the log once a second. */
static void refuse(struct worker_listener *listener, const struct rc_address *peer,
                   enum refusal refusal)
{
    struct acceptor *a = listener->acceptor;
    char who[RC_ADDRESS_TEXT_MAX];
    char where[RC_ADDRESS_TEXT_MAX];
    char what[256];

    meter_refuse(listener->lane, refusal);
    rc_address_format_ip(peer, who);
    rc_address_format(&listener->config->address, where);
    (void)snprintf(what, sizeof what, "%s is turned away at %s: %s (%s)", who, where,
                   refusal_text(refusal), refusal_word(refusal));
    complain(a, what);
}

static void hand_over(struct worker_listener *listener, int fd,
                      const struct rc_address *peer)
{
    struct acceptor *a = listener->acceptor;
    enum refusal refusal = REFUSAL_NONE;

    if (listener->config->limits.count > 0) {
        refusal = admission_judge(listener->config, &listener->shared->limits, peer,
                                  rc_clock_ns() / 1000, &a->arriving);
    }

    if (refusal != REFUSAL_NONE) {
        refuse(listener, peer, refusal);
        (void)close(fd);
        limit_leave(&a->arriving);
        worker_connection_done(a->worker, listener);
        return;
    }
    a->protocols[listener->config->mode]->accept(a->worker, listener, fd, peer);
    limit_leave(&a->arriving); /* usually the connection has taken it */
}

/* --- those who bring others --- */

static void on_header(void *context, int fd, const struct rc_address *peer, int err)
{
    struct arrival *arrival = context;
    struct worker_listener *listener = arrival->listener;
    struct acceptor *a = listener->acceptor;

    LIST_REMOVE(arrival, link);
    free(arrival);
    if (err != RC_OK) {
        /* Who only looks whether we listen is not refused. */
        if (err != RC_ECLOSED) {
            meter_refuse(listener->lane, REFUSAL_PROXY_PROTOCOL);
        }
        worker_connection_done(a->worker, listener);
    } else {
        hand_over(listener, fd, peer);
    }
}

/* The header is read before anything else; the connection counts already. */
static void await_header(struct worker_listener *listener, int fd,
                         const struct rc_address *peer)
{
    struct acceptor *a = listener->acceptor;
    struct arrival *made = calloc(1, sizeof *made);

    if (made != NULL) {
        made->listener = listener;
        made->header = proxy_header_await(a->worker->loop, fd, peer, on_header, made);
    }
    if (made == NULL || made->header == NULL) {
        free(made);
        (void)close(fd);
        worker_connection_done(a->worker, listener);
        return;
    }
    LIST_INSERT_HEAD(&a->arrivals, made, link);
}

static void forget_arrivals(struct acceptor *a)
{
    struct arrival *arrival = LIST_FIRST(&a->arrivals);

    while (arrival != NULL) {
        struct arrival *next = LIST_NEXT(arrival, link);
        struct worker_listener *listener = arrival->listener;
        LIST_REMOVE(arrival, link);
        proxy_header_cancel(arrival->header);
        free(arrival);
        worker_connection_done(a->worker, listener);
        arrival = next;
    }
}

enum accepted { ACCEPTED_ONE, ACCEPTED_NONE, ACCEPTED_AGAIN };

static enum accepted accept_one(struct worker_listener *listener)
{
    struct acceptor *a = listener->acceptor;
    struct sockaddr_storage name;
    socklen_t size = sizeof name;
    struct rc_address peer = {0};

    int fd = accept4(listener->fd, (struct sockaddr *)&name, &size,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE) {
            spend_spare(listener);
        }
        return errno == ECONNABORTED || errno == EINTR ? ACCEPTED_AGAIN : ACCEPTED_NONE;
    }
    (void)rc_address_from_sockaddr((struct sockaddr *)&name, &peer);
    listener->connections++;
    if (listener->lane != NULL) {
        meter_add(&listener->lane->opened, 1);
    }
    (void)atomic_fetch_add_explicit(&a->connections, 1, memory_order_relaxed);
    const struct config_listener *config = listener->config;
    if (config->proxied_count > 0 &&
        rc_network_has(config->proxied, config->proxied_count, &peer)) {
        await_header(listener, fd, &peer);
    } else {
        hand_over(listener, fd, &peer);
    }
    return ACCEPTED_ONE;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct worker_listener *listener = poll->data;
    (void)events;
    if (status != 0) {
        complain(listener->acceptor, "a listening socket failed");
        return;
    }
    for (int i = 0; i < ACCEPTS_PER_TURN && !listener->paused; i++) {
        if (is_full(listener)) {
            listener->paused = true;
            (void)uv_poll_stop(poll);
            complain(listener->acceptor,
                     "a listener is at max_connections: clients wait");
            return;
        }
        if (accept_one(listener) == ACCEPTED_NONE || listener->poll_state != POLL_OPEN) {
            return;
        }
    }
}

/* Listeners that waited for room. */
static void resume(struct acceptor *acceptor)
{
    for (struct worker_listener *l = acceptor->listeners; l != NULL; l = l->next) {
        if (l->paused && !is_full(l) && l->poll_state == POLL_OPEN) {
            l->paused = false;
            (void)uv_poll_start(&l->poll, UV_READABLE, on_readable);
        }
    }
}

static void on_rested(uv_timer_t *timer)
{
    resume(timer->data);
}

void acceptor_connection_done(struct acceptor *acceptor, struct worker_listener *listener)
{
    assert(listener->connections > 0);
    listener->connections--;
    if (listener->lane != NULL) {
        meter_add(&listener->lane->closed, 1);
    }
    (void)atomic_fetch_sub_explicit(&acceptor->connections, 1, memory_order_relaxed);
    resume(acceptor);
    free_if_done(listener);
}

/* --- following the configuration --- */

static void open_listener(struct acceptor *a, int fd,
                          const struct config_listener *config)
{
    int one = 1;
    struct worker_listener *made = calloc(1, sizeof *made);
    if (made == NULL || uv_poll_init(a->worker->loop, &made->poll, fd) != 0) {
        complain(a, "a listening socket could not be opened");
        free(made);
        (void)close(fd);
        return;
    }
    /* Those that it accepts have it from here: a call less for each. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    made->acceptor = a;
    made->fd = fd;
    made->poll.data = made;
    made->shared = snapshot_config_retain(a->worker->snapshot->shared);
    made->config = config;
    find_lane(made);
    made->next = a->listeners;
    a->listeners = made;
    (void)uv_poll_start(&made->poll, UV_READABLE, on_readable);
}

static bool is_same(const struct worker_listener *listener,
                    const struct config_listener *config)
{
    return listener->poll_state == POLL_OPEN && listener->config->mode == config->mode &&
           rc_address_equals(&listener->config->address, &config->address);
}

static const struct config_listener *find_config(const struct worker_listener *listener,
                                                 const struct config *config)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        if (is_same(listener, &config->listeners[i])) {
            return &config->listeners[i];
        }
    }
    return NULL;
}

/* Clients in the queue of a socket that closes would be reset: they are served first. */
static void drain_listener(struct worker_listener *listener)
{
    if (listener->poll_state != POLL_OPEN) {
        return;
    }
    for (int i = 0; i < BACKLOG; i++) {
        if (accept_one(listener) == ACCEPTED_NONE) {
            break;
        }
    }
    close_listener(listener);
}

void acceptor_update(struct acceptor *acceptor, const int *fds)
{
    struct snapshot *snapshot = acceptor->worker->snapshot;
    struct worker_listener *next = NULL;

    for (struct worker_listener *l = acceptor->listeners; l != NULL; l = next) {
        next = l->next;
        const struct config_listener *config = find_config(l, snapshot->config);
        if (config == NULL) {
            drain_listener(l);
        } else if (l->shared != snapshot->shared) {
            snapshot_config_release(l->shared);
            l->shared = snapshot_config_retain(snapshot->shared);
            l->config = config;
            find_lane(l);
        }
    }
    for (size_t i = 0; i < snapshot->config->listener_count; i++) {
        if (fds[i] >= 0) {
            open_listener(acceptor, fds[i], &snapshot->config->listeners[i]);
        }
    }
}

void acceptor_drain(struct acceptor *acceptor)
{
    struct worker_listener *next = NULL;
    for (struct worker_listener *l = acceptor->listeners; l != NULL; l = next) {
        next = l->next;
        drain_listener(l);
    }
}

void acceptor_close(struct acceptor *acceptor)
{
    struct worker_listener *next = NULL;
    forget_arrivals(acceptor);
    for (struct worker_listener *l = acceptor->listeners; l != NULL; l = next) {
        next = l->next;
        close_listener(l);
    }
    if (!uv_is_closing((uv_handle_t *)&acceptor->rest)) {
        uv_close((uv_handle_t *)&acceptor->rest, NULL);
    }
}

void acceptor_destroy(struct acceptor *acceptor)
{
    if (acceptor == NULL) {
        return;
    }
    assert(acceptor->listeners == NULL);
    if (acceptor->spare_fd >= 0) {
        (void)close(acceptor->spare_fd);
    }
    free(acceptor);
}
