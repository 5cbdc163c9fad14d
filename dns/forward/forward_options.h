/* forward_options.h - who may ask about other zones, and who is asked.
 *
 * Plain data, set once at start; several workers read it. Pure. */
#ifndef DNS_FORWARD_FORWARD_OPTIONS_H
#define DNS_FORWARD_FORWARD_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/network.h"
#include "dns/answer/answer.h"

struct dns_loops;

enum {
    DNS_FORWARD_ROUTES_MAX = 64,
    DNS_FORWARD_SERVERS_MAX = 8, /* of a route */
    DNS_FORWARD_NETWORKS_MAX = 128,
    DNS_FORWARD_TRY_MS = 800,
    DNS_FORWARD_TOTAL_MS = 3000,
    DNS_FORWARD_PORT = 53
};

/* In which order the servers of a route are asked. */
enum dns_forward_strategy {
    DNS_FORWARD_FASTEST, /* that answered fastest lately */
    DNS_FORWARD_SEQUENTIAL,
    DNS_FORWARD_RANDOM,
    DNS_FORWARD_STRATEGY_COUNT
};

/* Names under `suffix` go to these servers. */
struct dns_forward_route {
    const char *suffix; /* "": all names */
    struct rc_address servers[DNS_FORWARD_SERVERS_MAX];
    size_t server_count;
    enum dns_choice of_system; /* and the servers of `system_file` */
};

/* All texts and arrays are borrowed. */
struct dns_forward_options {
    const struct dns_forward_route *routes;
    size_t route_count;
    const struct rc_network *clients; /* those that may ask */
    size_t client_count;
    const struct rc_address *listen; /* where we answer ourselves; with port */
    size_t listen_count;
    const struct rc_address *local; /* addresses of this machine: what wildcards mean */
    size_t local_count;
    const char *system_file; /* "/etc/resolv.conf", watched; or NULL */
    enum dns_forward_strategy strategy;
    uint32_t try_ms;   /* of one server; 0: DNS_FORWARD_TRY_MS */
    uint32_t total_ms; /* of a question; 0: DNS_FORWARD_TOTAL_MS, or `try_ms` if more */
    uint64_t instance; /* random, of this agent */
    uint64_t random_seed;
    struct dns_loops *loops; /* shared by the workers; never NULL */
};

/* Whether questions of that client may go to others. */
enum dns_choice dns_forward_serves(const struct dns_forward_options *options,
                                   const struct rc_address *client);

/* Whether asking `server` is asking ourselves. */
bool dns_forward_is_self(const struct dns_forward_options *options,
                         const struct rc_address *server);

/* The servers of a resolv.conf(5), with port 53, at most DNS_FORWARD_SERVERS_MAX. Lines that
 * are no "nameserver ADDRESS" are passed over. Returns how many. */
size_t dns_system_servers(const char *text, size_t size,
                          struct rc_address out[DNS_FORWARD_SERVERS_MAX]);

#endif
