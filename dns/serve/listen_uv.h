/* listen_uv.h - the sockets of the DNS server, opened and bound. */
#ifndef DNS_SERVE_LISTEN_UV_H
#define DNS_SERVE_LISTEN_UV_H

#include "base/address.h"

/* Whether others bind the same address, each for its own thread (SO_REUSEPORT). The first
 * one is bound alone, so that an address that another program has is noticed. */
enum dns_share { DNS_SHARE_ALONE, DNS_SHARE_FIRST, DNS_SHARE_NEXT };

/* Does not block, is closed on exec. Fills `bound` with the address and port it got (port
 * 0: any), RC_OK with `*fd` owned by the caller, or RC_EIO with errno. */
int dns_listen_udp(const struct rc_address *address, enum dns_share share, int *fd,
                   struct rc_address *bound);

/* The same, and it listens. */
int dns_listen_tcp(const struct rc_address *address, enum dns_share share, int *fd,
                   struct rc_address *bound);

#endif
