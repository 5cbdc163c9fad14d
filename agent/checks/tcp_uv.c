/* tcp_uv.c - does something accept connections there?
 *
 * Names are looked up in libuv's thread pool; every address is tried in turn. Texts are
 * Consul's, which are Go's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "agent/checks/checks.h"
#include "base/address.h"
#include "base/err.h"
#include "base/text.h"

enum { TARGET_MAX = 300 };

struct tcp {
    struct prober prober;
    uv_loop_t *loop;
    struct probe_sink sink;
    struct probe_run *runs;
};

struct run {
    struct probe_run link;
    struct tcp *tcp; /* not to be used once the run has left the list */
    char target[TARGET_MAX];
    char reason[TARGET_MAX]; /* why the last address failed */
    uv_tcp_t socket;
    uv_connect_t connect;
    uv_getaddrinfo_t lookup;
    struct addrinfo *addresses; /* of the lookup; owned */
    const struct addrinfo *next;
    unsigned pending; /* callbacks still to come; the last one frees */
    bool is_open;     /* `socket` is a handle of the loop */
};

static bool is_ended(const struct run *run)
{
    return run->link.place == NULL;
}

static void release(struct run *run)
{
    if (run->pending > 0 || !is_ended(run)) {
        return;
    }
    uv_freeaddrinfo(run->addresses);
    free(run);
}

static void on_socket_closed(uv_handle_t *handle)
{
    struct run *run = handle->data;

    run->pending--;
    release(run);
}

static void close_socket(struct run *run)
{
    if (run->is_open) {
        run->is_open = false;
        run->pending++;
        uv_close((uv_handle_t *)&run->socket, on_socket_closed);
    }
}

static void end(struct run *run)
{
    probe_run_remove(&run->link);
    close_socket(run);
    (void)uv_cancel((uv_req_t *)&run->lookup); /* refused when it is not running */
    release(run);
}

static void report(struct run *run, enum check_status status)
{
    struct probe_sink sink = run->tcp->sink;
    uint64_t probe = run->link.probe;
    char target[TARGET_MAX];
    char reason[TARGET_MAX];

    (void)rc_text_put(target, sizeof target, run->target);
    (void)rc_text_put(reason, sizeof reason, run->reason);
    end(run);
    if (status == CHECK_PASSING) {
        probe_done(&sink, probe, status, "TCP connect %s: Success", target);
    } else {
        probe_done(&sink, probe, status, "dial tcp %s: %s", target, reason);
    }
}

static void try_next(struct run *run);

static void on_retry_closed(uv_handle_t *handle)
{
    struct run *run = handle->data;

    run->pending--;
    if (is_ended(run)) {
        release(run);
    } else {
        try_next(run);
    }
}

static void on_connect(uv_connect_t *connect, int status)
{
    struct run *run = connect->data;

    run->pending--;
    if (is_ended(run)) {
        release(run);
        return;
    }
    if (status == 0) {
        report(run, CHECK_PASSING);
        return;
    }
    (void)snprintf(run->reason, sizeof run->reason, "connect: %s", uv_strerror(status));
    run->is_open = false;
    run->pending++;
    uv_close((uv_handle_t *)&run->socket, on_retry_closed);
}

static int connect_to(struct run *run, const struct sockaddr *address)
{
    int err = uv_tcp_init(run->tcp->loop, &run->socket);

    if (err != 0) {
        return err;
    }
    run->socket.data = run;
    run->is_open = true;
    run->connect.data = run;
    err = uv_tcp_connect(&run->connect, &run->socket, address, on_connect);
    if (err == 0) {
        run->pending++;
    }
    return err;
}

static void try_next(struct run *run)
{
    const struct addrinfo *address = run->next;

    if (address == NULL) {
        report(run, CHECK_CRITICAL);
        return;
    }
    run->next = address->ai_next;
    int err = connect_to(run, address->ai_addr);
    if (err != 0) {
        run->next = NULL;
        (void)rc_text_put(run->reason, sizeof run->reason, uv_strerror(err));
        report(run, CHECK_CRITICAL);
    }
}

static void on_lookup(uv_getaddrinfo_t *lookup, int status, struct addrinfo *addresses)
{
    struct run *run = lookup->data;

    run->pending--;
    run->addresses = addresses;
    run->next = addresses;
    if (is_ended(run)) {
        release(run);
        return;
    }
    if (status != 0) {
        (void)snprintf(run->reason, sizeof run->reason, "lookup: %s",
                       uv_strerror(status));
    }
    try_next(run);
}

/* "host:port" to its two halves; false when there is no port. */
static bool split(const char *target, char host[TARGET_MAX], const char **port)
{
    const char *colon = strrchr(target, ':');

    if (colon == NULL || colon == target || colon[1] == '\0') {
        return false;
    }
    size_t size = (size_t)(colon - target);
    memcpy(host, target, size);
    host[size] = '\0';
    *port = colon + 1;
    return true;
}

static void look_up(struct run *run)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    char host[TARGET_MAX];
    const char *port;

    if (!split(run->target, host, &port)) {
        (void)rc_text_put(run->reason, sizeof run->reason, "missing port in address");
        report(run, CHECK_CRITICAL);
        return;
    }
    run->lookup.data = run;
    int err = uv_getaddrinfo(run->tcp->loop, &run->lookup, on_lookup, host, port, &hints);
    if (err != 0) {
        (void)rc_text_put(run->reason, sizeof run->reason, uv_strerror(err));
        report(run, CHECK_CRITICAL);
        return;
    }
    run->pending++;
}

static void start(struct prober *prober, const struct probe_request *request)
{
    struct tcp *tcp = (struct tcp *)prober;
    struct sockaddr_storage address;
    struct rc_address parsed;

    struct run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        probe_done(&tcp->sink, request->probe, CHECK_CRITICAL, "out of memory");
        return;
    }
    run->tcp = tcp;
    probe_run_add(&tcp->runs, &run->link, request->probe);
    if (rc_text_put(run->target, sizeof run->target, request->definition->tcp) != RC_OK) {
        (void)rc_text_put(run->reason, sizeof run->reason, "address too long");
        report(run, CHECK_CRITICAL);
        return;
    }
    if (rc_address_parse(run->target, 0, &parsed) != RC_OK || parsed.port == 0) {
        look_up(run);
        return;
    }
    (void)rc_address_to_sockaddr(&parsed, &address);
    int err = connect_to(run, (const struct sockaddr *)&address);
    if (err != 0) {
        (void)rc_text_put(run->reason, sizeof run->reason, uv_strerror(err));
        report(run, CHECK_CRITICAL);
    }
}

static struct run *find(const struct prober *prober, uint64_t probe)
{
    return (struct run *)probe_run_find(((const struct tcp *)prober)->runs, probe);
}

static void expire(struct prober *prober, uint64_t probe)
{
    struct run *run = find(prober, probe);

    if (run != NULL) {
        (void)rc_text_put(run->reason, sizeof run->reason, "i/o timeout");
        report(run, CHECK_CRITICAL);
    }
}

static void cancel(struct prober *prober, uint64_t probe)
{
    struct run *run = find(prober, probe);

    if (run != NULL) {
        end(run);
    }
}

static void forget(struct prober *prober, uint64_t check)
{
    (void)prober; /* nothing is kept between runs */
    (void)check;
}

static void close_prober(struct prober *prober)
{
    struct tcp *tcp = (struct tcp *)prober;

    struct probe_run *next = NULL;

    for (struct probe_run *at = tcp->runs; at != NULL; at = next) {
        next = at->next;
        end((struct run *)at);
    }
    free(tcp);
}

struct prober *tcp_uv_prober(struct uv_loop_s *loop, struct probe_sink sink)
{
    struct tcp *tcp = calloc(1, sizeof *tcp);

    if (tcp == NULL) {
        return NULL;
    }
    tcp->prober = (struct prober){"tcp", start, expire, cancel, forget, close_prober};
    tcp->loop = loop;
    tcp->sink = sink;
    return &tcp->prober;
}
