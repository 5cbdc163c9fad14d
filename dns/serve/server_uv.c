#include "dns/serve/server_uv.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/random.h"
#include "dns/serve/desk_uv.h"
#include "dns/serve/worker_uv.h"

struct dns_server {
    struct dns_worker *workers[DNS_SERVER_WORKERS_MAX];
    size_t worker_count;
    struct dns_office *office; /* NULL: not open */
    uint16_t port;
    void (*on_closed)(void *context);
    void *context;
};

/* ---- The end. */

static void on_office_closed(void *context)
{
    struct dns_server *server = context;
    void (*on_closed)(void *) = server->on_closed;
    void *closed_context = server->context;

    free(server);
    if (on_closed != NULL) {
        on_closed(closed_context);
    }
}

static void stop_workers(struct dns_server *server)
{
    for (size_t i = 0; i < server->worker_count; i++) {
        dns_worker_stop(server->workers[i]);
    }
    server->worker_count = 0;
}

void dns_server_close(struct dns_server *server, void (*on_closed)(void *context),
                      void *context)
{
    server->on_closed = on_closed;
    server->context = context;
    stop_workers(server);
    dns_office_close(server->office, on_office_closed, server);
}

/* ---- The start. */

static void describe(const struct rc_address *address, const char *protocol,
                     char error[DNS_SERVER_ERROR_MAX])
{
    char text[RC_ADDRESS_TEXT_MAX];
    const char *advice = "";
    char space[128];

    rc_address_format(address, text);
    if (errno == EADDRINUSE) {
        advice = "; another DNS server or agent has it: stop that, or choose another "
                 "port (ports.dns, -dns-port) or address (addresses.dns, -client)";
    } else if (errno == EACCES) {
        advice = "; ports below 1024 need root or the capability CAP_NET_BIND_SERVICE";
    } else if (errno == EADDRNOTAVAIL) {
        advice = "; this machine does not have that address";
    }
    (void)snprintf(error, DNS_SERVER_ERROR_MAX, "dns: cannot listen on %s (%s): %s%s",
                   text, protocol, strerror_r(errno, space, sizeof space), advice);
}

/* UDP and TCP on one address; TCP on the port that UDP got, which `address` has then. */
static int listen_on(struct dns_worker *worker, struct rc_address *address,
                     enum dns_share share, char error[DNS_SERVER_ERROR_MAX])
{
    if (dns_worker_listen_udp(worker, address, share, address) != RC_OK) {
        describe(address, "udp", error);
        return RC_EIO;
    }
    if (dns_worker_listen_tcp(worker, address, share) != RC_OK) {
        describe(address, "tcp", error);
        return RC_EIO;
    }
    return RC_OK;
}

static void on_question(void *context)
{
    const struct dns_server *server = context;

    dns_office_ring(server->office);
}

static void on_returned(void *context, size_t i)
{
    const struct dns_server *server = context;

    dns_worker_wake(server->workers[i]);
}

static void tell_error(int err, char error[DNS_SERVER_ERROR_MAX])
{
    (void)snprintf(error, DNS_SERVER_ERROR_MAX, "dns: %s",
                   err == RC_EMALFORMED
                       ? "domain, alt_domain and datacenter must be domain names"
                       : rc_strerror(err));
}

static int create_workers(struct dns_server *server,
                          const struct dns_server_options *options)
{
    struct rc_random seeds;

    rc_random_init(&seeds, options->random_seed);
    for (size_t i = 0; i < options->workers; i++) {
        const struct dns_worker_options worker = {.number = (unsigned)i,
                                                  .answers = options->answers,
                                                  .board = options->board,
                                                  .forward = options->forward,
                                                  .metrics = options->metrics,
                                                  .random_seed = rc_random_next(&seeds),
                                                  .ring = on_question,
                                                  .context = server};
        int err = dns_worker_create(&worker, &server->workers[i]);
        if (err != RC_OK) {
            return err;
        }
        server->worker_count++;
    }
    return RC_OK;
}

static int open_office(struct dns_server *server, uv_loop_t *loop,
                       const struct dns_server_options *options)
{
    struct dns_desk *desks[DNS_SERVER_WORKERS_MAX];
    const struct dns_office_options office = {.answers = options->answers,
                                              .view = options->view,
                                              .random_seed = options->random_seed,
                                              .desks = desks,
                                              .desk_count = server->worker_count,
                                              .returned = on_returned,
                                              .context = server};

    for (size_t i = 0; i < server->worker_count; i++) {
        desks[i] = dns_worker_desk(server->workers[i]);
    }
    return dns_office_open(loop, &office, &server->office);
}

static int listen_all(struct dns_server *server, const struct dns_server_options *options,
                      char error[DNS_SERVER_ERROR_MAX])
{
    int err = RC_OK;

    for (size_t i = 0; i < options->listen_count && err == RC_OK; i++) {
        struct rc_address address = options->listen[i];
        enum dns_share share =
            server->worker_count > 1 ? DNS_SHARE_FIRST : DNS_SHARE_ALONE;
        for (size_t w = 0; w < server->worker_count && err == RC_OK; w++) {
            err = listen_on(server->workers[w], &address, share, error);
            share = DNS_SHARE_NEXT;
        }
        server->port = i == 0 ? address.port : server->port;
    }
    return err;
}

static int run_workers(struct dns_server *server, char error[DNS_SERVER_ERROR_MAX])
{
    for (size_t i = 0; i < server->worker_count; i++) {
        if (dns_worker_run(server->workers[i]) != RC_OK) {
            (void)snprintf(error, DNS_SERVER_ERROR_MAX,
                           "dns: the system gives no more threads");
            return RC_EIO;
        }
    }
    return RC_OK;
}

static int check_options(const struct dns_server_options *options,
                         char error[DNS_SERVER_ERROR_MAX])
{
    if (options->listen_count == 0 || options->listen_count > DNS_SERVER_LISTEN_MAX) {
        (void)snprintf(error, DNS_SERVER_ERROR_MAX,
                       "dns: %zu listen addresses; give 1 to %d", options->listen_count,
                       DNS_SERVER_LISTEN_MAX);
        return RC_EINVAL;
    }
    if (options->workers == 0 || options->workers > DNS_SERVER_WORKERS_MAX) {
        (void)snprintf(error, DNS_SERVER_ERROR_MAX, "dns: %zu workers; give 1 to %d",
                       options->workers, DNS_SERVER_WORKERS_MAX);
        return RC_EINVAL;
    }
    return RC_OK;
}

static void give_up(struct dns_server *server)
{
    if (server->office != NULL) {
        dns_server_close(server, NULL, NULL);
    } else {
        stop_workers(server);
        free(server);
    }
}

int dns_server_start(uv_loop_t *loop, const struct dns_server_options *options,
                     struct dns_server **out, char error[DNS_SERVER_ERROR_MAX])
{
    int err = check_options(options, error);
    if (err != RC_OK) {
        return err;
    }
    struct dns_server *server = calloc(1, sizeof *server);
    err = server == NULL ? RC_ENOMEM : create_workers(server, options);
    if (err == RC_OK) {
        err = open_office(server, loop, options);
    }
    if (err != RC_OK) {
        tell_error(err, error);
        err = err == RC_EMALFORMED ? RC_EINVAL : err;
    } else {
        err = listen_all(server, options, error);
    }
    if (err == RC_OK) {
        err = run_workers(server, error);
    }
    if (err != RC_OK) {
        if (server != NULL) {
            give_up(server);
        }
        return err;
    }
    *out = server;
    return RC_OK;
}

uint16_t dns_server_port(const struct dns_server *server)
{
    return server->port;
}
