#include "agent/advertise.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"

struct choice {
    struct rc_address address;
    unsigned count; /* different addresses of that kind */
};

/* RFC 1918, and RFC 6598's shared space. */
static bool is_private(const struct rc_address *address)
{
    const uint8_t *ip = address->ip;
    return ip[0] == 10 || (ip[0] == 172 && (ip[1] & 0xf0) == 16) ||
           (ip[0] == 192 && ip[1] == 168) || (ip[0] == 100 && (ip[1] & 0xc0) == 64);
}

static void consider(struct choice *choice, const struct rc_address *address)
{
    if (choice->count == 0) {
        choice->address = *address;
        choice->count = 1;
    } else if (!rc_address_ip_equals(&choice->address, address)) {
        choice->count++;
    }
}

static bool is_candidate(const struct ifaddrs *at, struct rc_address *out)
{
    return at->ifa_addr != NULL && (at->ifa_flags & IFF_UP) != 0 &&
           rc_address_from_sockaddr(at->ifa_addr, out) == RC_OK &&
           out->family == RC_ADDRESS_IPV4 && !rc_address_is_loopback(out) &&
           !(out->ip[0] == 169 && out->ip[1] == 254); /* link-local */
}

int advertise_pick(struct rc_address *out, char *error, size_t error_size)
{
    struct ifaddrs *all = NULL;
    struct choice inside = {0};
    struct choice outside = {0};

    if (getifaddrs(&all) != 0) {
        (void)snprintf(error, error_size, "the network interfaces cannot be listed");
        return RC_EIO;
    }
    for (const struct ifaddrs *at = all; at != NULL; at = at->ifa_next) {
        struct rc_address address;
        if (is_candidate(at, &address)) {
            consider(is_private(&address) ? &inside : &outside, &address);
        }
    }
    freeifaddrs(all);
    const struct choice *best = inside.count > 0 ? &inside : &outside;
    if (best->count == 1) {
        *out = best->address;
        return RC_OK;
    }
    (void)snprintf(
        error, error_size,
        "this machine has %s IPv4 address to tell the others; "
        "set -advertise (advertise_addr) or -bind (bind_addr) to the right one",
        best->count == 0 ? "no" : "more than one");
    return best->count == 0 ? RC_ENOTFOUND : RC_ECONFLICT;
}
