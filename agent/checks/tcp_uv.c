/* tcp_uv.c - does something accept connections there?
 *
 * Names are looked up in libuv's thread pool; every address is tried in turn. Texts are
 * Consul's, which are Go's. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "agent/checks/checks.h"
#include "agent/checks/dial_uv.h"
#include "base/address.h"
#include "base/err.h"
#include "base/text.h"

enum { TARGET_MAX = 300 };

struct run {
    struct probe_run link;
    struct dial dial;
    char target[TARGET_MAX];
    char reason[TARGET_MAX]; /* why the last address failed */
    uv_getaddrinfo_t lookup;
    struct addrinfo *addresses; /* of the lookup; owned */
    const struct addrinfo *next;
};

static struct run *run_of(struct dial *dial)
{
    return (struct run *)((char *)dial - offsetof(struct run, dial));
}

static void on_free(struct dial *dial)
{
    struct run *run = run_of(dial);

    uv_freeaddrinfo(run->addresses);
    free(run);
}

static void end(struct probe_run *link)
{
    struct run *run = (struct run *)link;

    probe_run_remove(link);
    (void)uv_cancel((uv_req_t *)&run->lookup); /* refused when it is not running */
    dial_end(&run->dial);
}

static void fail(struct run *run, const char *reason)
{
    struct rc_buffer text = {0};

    rc_buffer_format(&text, "dial tcp %s: %s", run->target, reason);
    probe_run_say(&run->link, CHECK_CRITICAL, &text);
}

static void connect_to(struct run *run, const struct sockaddr *address)
{
    int err = dial_to(&run->dial, address);

    if (err != 0) {
        fail(run, uv_strerror(err));
    }
}

static void try_next(struct run *run)
{
    const struct addrinfo *address = run->next;

    if (address == NULL) {
        fail(run, run->reason);
        return;
    }
    run->next = address->ai_next;
    connect_to(run, address->ai_addr);
}

static void on_connected(struct dial *dial, int status)
{
    struct run *run = run_of(dial);
    struct rc_buffer text = {0};

    if (status != 0) {
        (void)snprintf(run->reason, sizeof run->reason, "connect: %s",
                       uv_strerror(status));
        try_next(run);
        return;
    }
    rc_buffer_format(&text, "TCP connect %s: Success", run->target);
    probe_run_say(&run->link, CHECK_PASSING, &text);
}

static void on_lookup(uv_getaddrinfo_t *lookup, int status, struct addrinfo *addresses)
{
    struct run *run = lookup->data;

    run->addresses = addresses;
    run->next = addresses;
    if (!dial_continues(&run->dial)) {
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
        fail(run, "missing port in address");
        return;
    }
    run->lookup.data = run;
    int err = uv_getaddrinfo(run->dial.loop, &run->lookup, on_lookup, host, port, &hints);
    if (err != 0) {
        fail(run, uv_strerror(err));
        return;
    }
    dial_begin(&run->dial);
}

static void start(struct prober *prober, const struct probe_request *request)
{
    struct sockaddr_storage address;
    struct rc_address parsed;

    struct run *run = (struct run *)probe_run_create(sizeof *run, prober, request);
    if (run == NULL) {
        return;
    }
    run->dial.loop = prober->loop;
    run->dial.on_connected = on_connected;
    run->dial.on_free = on_free;
    if (rc_text_put(run->target, sizeof run->target, request->definition->tcp) != RC_OK) {
        fail(run, "address too long");
    } else if (rc_address_parse(run->target, 0, &parsed) != RC_OK || parsed.port == 0) {
        look_up(run);
    } else {
        (void)rc_address_to_sockaddr(&parsed, &address);
        connect_to(run, (const struct sockaddr *)&address);
    }
}

static void expire(struct probe_run *run)
{
    fail((struct run *)run, "i/o timeout");
}

struct prober *tcp_uv_prober(struct uv_loop_s *loop, struct probe_sink sink)
{
    static const struct probe_kind kind = {
        .name = "tcp", .start = start, .expire = expire, .end = end};

    return prober_create(sizeof(struct prober), &kind, loop, sink);
}
