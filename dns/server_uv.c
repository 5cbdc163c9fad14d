#include "dns/server_uv.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dns/meter.h"
#include "dns/tcp_uv.h"
#include "dns/udp_uv.h"

struct dns_server {
    uv_loop_t *loop;
    struct dns_answerer *answerer;
    struct dns_udp_batch *batch;
    struct dns_meter meter;
    struct dns_udp udp[DNS_SERVER_LISTEN_MAX];
    size_t udp_count;
    struct dns_tcp *tcp;
    size_t open_parts;
    void (*on_closed)(void *context);
    void *context;
};

static void part_closed(void *context)
{
    struct dns_server *server = context;

    assert(server->open_parts > 0);
    if (--server->open_parts > 0) {
        return;
    }
    void (*on_closed)(void *) = server->on_closed;
    void *closed_context = server->context;
    dns_udp_batch_destroy(server->batch);
    dns_answerer_destroy(server->answerer);
    free(server);
    if (on_closed != NULL) {
        on_closed(closed_context);
    }
}

void dns_server_close(struct dns_server *server, void (*on_closed)(void *context),
                      void *context)
{
    server->on_closed = on_closed;
    server->context = context;
    for (size_t i = 0; i < server->udp_count; i++) {
        dns_udp_close(&server->udp[i], part_closed, server);
    }
    dns_tcp_close(server->tcp, part_closed, server);
}

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

/* UDP and TCP on one address; TCP on the port that UDP got. */
static int listen_on(struct dns_server *server, const struct rc_address *address,
                     char error[DNS_SERVER_ERROR_MAX])
{
    struct dns_udp *udp = &server->udp[server->udp_count];

    udp->batch = server->batch;
    udp->answerer = server->answerer;
    udp->meter = &server->meter;
    if (dns_udp_start(udp, server->loop, address) != RC_OK) {
        describe(address, "udp", error);
        return RC_EIO;
    }
    server->udp_count++;
    server->open_parts++;
    if (dns_tcp_listen(server->tcp, &udp->address) != RC_OK) {
        describe(&udp->address, "tcp", error);
        return RC_EIO;
    }
    return RC_OK;
}

static int create(uv_loop_t *loop, const struct dns_server_options *options,
                  struct dns_server **out)
{
    struct dns_server *server = calloc(1, sizeof *server);

    if (server == NULL) {
        return RC_ENOMEM;
    }
    server->loop = loop;
    dns_meter_init(&server->meter, options->metrics);
    server->batch = dns_udp_batch_create();
    int err = server->batch == NULL ? RC_ENOMEM : RC_OK;
    if (err == RC_OK) {
        err = dns_answerer_create(options->answers, options->view, options->random_seed,
                                  &server->answerer);
    }
    if (err == RC_OK) {
        struct dns_tcp_options tcp = {.answerer = server->answerer,
                                      .meter = &server->meter};
        err = dns_tcp_start(loop, &tcp, &server->tcp);
    }
    if (err != RC_OK) {
        dns_answerer_destroy(server->answerer);
        dns_udp_batch_destroy(server->batch);
        free(server);
        return err;
    }
    server->open_parts = 1;
    *out = server;
    return RC_OK;
}

int dns_server_start(uv_loop_t *loop, const struct dns_server_options *options,
                     struct dns_server **out, char error[DNS_SERVER_ERROR_MAX])
{
    struct dns_server *server;

    if (options->listen_count == 0 || options->listen_count > DNS_SERVER_LISTEN_MAX) {
        (void)snprintf(error, DNS_SERVER_ERROR_MAX,
                       "dns: %zu listen addresses; give 1 to %d", options->listen_count,
                       DNS_SERVER_LISTEN_MAX);
        return RC_EINVAL;
    }
    int err = create(loop, options, &server);
    if (err != RC_OK) {
        (void)snprintf(error, DNS_SERVER_ERROR_MAX, "dns: %s",
                       err == RC_EMALFORMED
                           ? "domain, alt_domain and datacenter must be domain names"
                           : rc_strerror(err));
        return err == RC_EMALFORMED ? RC_EINVAL : err;
    }
    for (size_t i = 0; i < options->listen_count; i++) {
        err = listen_on(server, &options->listen[i], error);
        if (err != RC_OK) {
            dns_server_close(server, NULL, NULL);
            return err;
        }
    }
    *out = server;
    return RC_OK;
}

uint16_t dns_server_port(const struct dns_server *server)
{
    return server->udp[0].address.port;
}
