/* dns_reverse.h - which node, or which service, has this address?
 *
 * A table of all addresses, made at the first question and made anew when nodes or
 * registrations have changed; the health of services does not matter to it. */
#ifndef AGENT_DNS_REVERSE_H
#define AGENT_DNS_REVERSE_H

#include <stdint.h>

struct catalog;
struct dns_reverse;
struct rc_address;

/* `catalog` is borrowed until dns_reverse_destroy(). NULL when memory is out. */
struct dns_reverse *dns_reverse_create(const struct catalog *catalog, uint64_t seed);
void dns_reverse_destroy(struct dns_reverse *reverse); /* NULL is allowed */

/* The name of the first node, alive or not, with that address, or NULL; borrowed until
 * the next question. The port does not count. */
const char *dns_reverse_node(struct dns_reverse *reverse, const struct rc_address *ip);

/* The same of a service one of whose instances was registered at that address. */
const char *dns_reverse_service(struct dns_reverse *reverse, const struct rc_address *ip);

#endif
