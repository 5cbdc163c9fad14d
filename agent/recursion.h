/* recursion.h - from the settings to what the DNS forwarder is told.
 *
 * Which servers are asked about which names, and for whom. */
#ifndef AGENT_RECURSION_H
#define AGENT_RECURSION_H

#include <stddef.h>
#include <stdint.h>

#include "agent/config.h"
#include "dns/forward/forward_options.h"

enum { RECURSION_LISTEN_MAX = 16, RECURSION_LOCAL_MAX = 256, RECURSION_ERROR_MAX = 512 };

struct recursion {
    struct dns_forward_options options; /* points into the rest */
    struct dns_forward_route routes[DNS_FORWARD_ROUTES_MAX];
    struct rc_network clients[DNS_FORWARD_NETWORKS_MAX];
    struct rc_address listen[RECURSION_LISTEN_MAX];
    struct rc_address local[RECURSION_LOCAL_MAX]; /* addresses of this machine */
    struct rc_network own[RECURSION_LOCAL_MAX];   /* networks of this machine */
    size_t own_count;
};

/* Where the agent is. All borrowed, the listeners only for the call. */
struct recursion_place {
    const struct rc_address *listen; /* of DNS, with ports */
    size_t listen_count;             /* at most RECURSION_LISTEN_MAX */
    const char *system_file;         /* a resolv.conf(5) */
    uint64_t seed;                   /* random */
};

/* What `config` (borrowed until recursion_destroy()) asks for; `*out` is NULL if it asks
 * nobody: names of other domains are refused then.
 *
 * RC_OK; RC_EINVAL with a line in `error`: a server is this agent itself, or there are too
 * many; RC_ENOMEM. */
int recursion_create(const struct agent_config *config,
                     const struct recursion_place *place, char error[RECURSION_ERROR_MAX],
                     struct recursion **out);
void recursion_destroy(struct recursion *recursion); /* NULL is allowed */

#endif
