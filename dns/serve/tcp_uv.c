#include "dns/serve/tcp_uv.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/metrics.h"
#include "dns/serve/connection_uv.h"

enum {
    ACCEPTS_PER_TURN = 8, /* so that a flood of them leaves UDP its turn */
    SWEEP_EVERY_MS = 500,
    CROWDED = DNS_TCP_CONNECTIONS_MAX * 9 / 10
};

struct listener {
    uv_poll_t poll; /* `data` is the owner */
    int socket;
};

struct dns_tcp {
    struct dns_connection_ground ground;
    struct listener listeners[DNS_TCP_LISTENERS_MAX];
    size_t listener_count;
    uv_timer_t sweep;       /* runs while there are connections, or descriptors are out */
    uv_prepare_t flush;     /* runs while answers that came later are to be sent */
    enum dns_choice is_out; /* of descriptors: nobody is accepted until the next sweep */
    struct dns_connection *connections;
    size_t connection_count;
    size_t asked_count; /* of those that have asked something */
    size_t open_handles;
    void (*on_closed)(void *context);
    void *context;
};

/* ---- The end. */

static void handle_closed(struct dns_tcp *tcp)
{
    assert(tcp->open_handles > 0);
    if (--tcp->open_handles == 0) {
        void (*on_closed)(void *) = tcp->on_closed;
        void *context = tcp->context;
        free(tcp);
        on_closed(context);
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    handle_closed(handle->data);
}

static void on_listener_closed(uv_handle_t *handle)
{
    /* The handle is the first member of its listener. */
    (void)close(((struct listener *)handle)->socket);
    handle_closed(handle->data);
}

static void on_freed(void *context)
{
    handle_closed(context);
}

/* ---- The connections there are. */

/* Those that have not asked give way to others anyway: it is the rest that makes a crowd. */
static void recount(struct dns_tcp *tcp)
{
    tcp->ground.idle_ms = tcp->asked_count >= CROWDED ? 0 : DNS_TCP_IDLE_MS;
}

static void on_asked(void *context)
{
    struct dns_tcp *tcp = context;

    tcp->asked_count++;
    recount(tcp);
}

static void on_ended(void *context, struct dns_connection *c)
{
    struct dns_tcp *tcp = context;

    *(c->previous != NULL ? &c->previous->next : &tcp->connections) = c->next;
    if (c->next != NULL) {
        c->next->previous = c->previous;
    }
    tcp->connection_count--;
    tcp->asked_count -= c->has_asked == DNS_YES ? 1 : 0;
    recount(tcp);
    rc_metric_move(tcp->ground.clerk->meter->connections, -1);
}

static void on_flush(uv_prepare_t *handle)
{
    const struct dns_tcp *tcp = handle->data;
    struct dns_connection *next;

    (void)uv_prepare_stop(handle); /* before anything becomes ready anew */
    for (struct dns_connection *c = tcp->connections; c != NULL; c = next) {
        next = c->next;
        dns_connection_flush(c);
    }
}

static void on_ready(void *context)
{
    struct dns_tcp *tcp = context;

    (void)uv_prepare_start(&tcp->flush, on_flush); /* fails only when closing */
}

static void resume(struct dns_tcp *tcp);

static void on_sweep(uv_timer_t *timer)
{
    struct dns_tcp *tcp = timer->data;
    uint64_t now_ms = uv_now(tcp->ground.loop);
    struct dns_connection *next;

    for (struct dns_connection *c = tcp->connections; c != NULL; c = next) {
        next = c->next;
        if (now_ms >= c->due_ms) {
            dns_connection_drop(c);
        }
    }
    resume(tcp);
    if (tcp->connections == NULL) {
        (void)uv_timer_stop(timer);
    }
}

/* ---- New ones. */

static size_t count_from(const struct dns_tcp *tcp, const struct rc_address *peer)
{
    size_t count = 0;

    for (const struct dns_connection *c = tcp->connections; c != NULL; c = c->next) {
        count += rc_address_ip_equals(&c->peer, peer) ? 1 : 0;
    }
    return count;
}

/* Ends the connection that has said nothing for longest, so that a flood of such ones does
 * not keep out who asks. Returns whether there is room for one more now. */
static enum dns_choice make_room(struct dns_tcp *tcp)
{
    struct dns_connection *oldest = NULL;

    if (tcp->connection_count < DNS_TCP_CONNECTIONS_MAX) {
        return DNS_YES;
    }
    for (struct dns_connection *c = tcp->connections; c != NULL; c = c->next) {
        oldest = c->has_asked == DNS_NO ? c : oldest; /* new ones are put in front */
    }
    if (oldest == NULL) {
        return DNS_NO;
    }
    rc_metric_add(tcp->ground.clerk->meter->refused, 1);
    dns_connection_drop(oldest);
    return DNS_YES;
}

static void add_connection(struct dns_tcp *tcp, int fd, const struct rc_address *peer)
{
    struct dns_connection *c = NULL;

    if (count_from(tcp, peer) >= DNS_TCP_PER_ADDRESS_MAX || make_room(tcp) == DNS_NO) {
        rc_metric_add(tcp->ground.clerk->meter->refused, 1);
        (void)close(fd);
        return;
    }
    c = dns_connection_open(&tcp->ground, fd, peer);
    if (c == NULL) {
        return;
    }
    tcp->open_handles++;
    c->next = tcp->connections;
    if (c->next != NULL) {
        c->next->previous = c;
    }
    tcp->connections = c;
    tcp->connection_count++;
    rc_metric_move(tcp->ground.clerk->meter->connections, 1);
    if (uv_is_active((uv_handle_t *)&tcp->sweep) == 0) {
        (void)uv_timer_start(&tcp->sweep, on_sweep, SWEEP_EVERY_MS, SWEEP_EVERY_MS);
    }
}

/* Without a descriptor for those who come the loop would only spin. */
static void pause_accepting(struct dns_tcp *tcp)
{
    tcp->is_out = DNS_YES;
    for (size_t i = 0; i < tcp->listener_count; i++) {
        (void)uv_poll_stop(&tcp->listeners[i].poll);
    }
    (void)uv_timer_start(&tcp->sweep, on_sweep, SWEEP_EVERY_MS, SWEEP_EVERY_MS);
}

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
    struct dns_tcp *tcp = poll->data;
    const struct listener *listener = (const struct listener *)poll; /* first member */
    struct sockaddr_storage storage;
    struct rc_address peer;

    (void)status; /* an error of the socket is that of accept() */
    (void)events;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        socklen_t size = sizeof storage;
        int fd = accept4(listener->socket, (struct sockaddr *)&storage, &size,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
            pause_accepting(tcp);
        }
        if (fd < 0) {
            return;
        }
        if (rc_address_from_sockaddr((struct sockaddr *)&storage, &peer) != RC_OK) {
            (void)close(fd);
            continue;
        }
        add_connection(tcp, fd, &peer);
    }
}

static void resume(struct dns_tcp *tcp)
{
    if (tcp->is_out == DNS_NO) {
        return;
    }
    tcp->is_out = DNS_NO;
    for (size_t i = 0; i < tcp->listener_count; i++) {
        (void)uv_poll_start(&tcp->listeners[i].poll, UV_READABLE, on_acceptable);
    }
}

/* ---- Start and close. */

int dns_tcp_start(uv_loop_t *loop, struct dns_clerk *clerk, struct dns_tcp **out)
{
    struct dns_tcp *tcp = calloc(1, sizeof *tcp);

    if (tcp == NULL) {
        return RC_ENOMEM;
    }
    tcp->ground.loop = loop;
    tcp->ground.clerk = clerk;
    tcp->ground.idle_ms = DNS_TCP_IDLE_MS;
    tcp->ground.on_ready = on_ready;
    tcp->ground.on_asked = on_asked;
    tcp->ground.on_ended = on_ended;
    tcp->ground.on_freed = on_freed;
    tcp->ground.context = tcp;
    (void)uv_timer_init(loop, &tcp->sweep);   /* always 0 */
    (void)uv_prepare_init(loop, &tcp->flush); /* always 0 */
    tcp->sweep.data = tcp;
    tcp->flush.data = tcp;
    tcp->open_handles = 2;
    *out = tcp;
    return RC_OK;
}

int dns_tcp_listen(struct dns_tcp *tcp, const struct rc_address *address,
                   enum dns_share share)
{
    struct rc_address bound;

    assert(tcp->listener_count < DNS_TCP_LISTENERS_MAX);
    struct listener *listener = &tcp->listeners[tcp->listener_count];
    int err = dns_listen_tcp(address, share, &listener->socket, &bound);
    if (err != RC_OK) {
        return err;
    }
    int code = uv_poll_init(tcp->ground.loop, &listener->poll, listener->socket);
    if (code != 0) {
        (void)close(listener->socket);
        errno = -code;
        return RC_EIO;
    }
    listener->poll.data = tcp;
    tcp->listener_count++;
    tcp->open_handles++;
    (void)uv_poll_start(&listener->poll, UV_READABLE, on_acceptable);
    return RC_OK;
}

void dns_tcp_close(struct dns_tcp *tcp, void (*on_closed)(void *context), void *context)
{
    tcp->on_closed = on_closed;
    tcp->context = context;
    for (size_t i = 0; i < tcp->listener_count; i++) {
        uv_close((uv_handle_t *)&tcp->listeners[i].poll, on_listener_closed);
    }
    while (tcp->connections != NULL) {
        dns_connection_drop(tcp->connections);
    }
    uv_close((uv_handle_t *)&tcp->sweep, on_handle_closed);
    uv_close((uv_handle_t *)&tcp->flush, on_handle_closed);
}
