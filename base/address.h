/* address.h - an IP address with a port, as a value.
 *
 * IPv4-mapped IPv6 addresses are turned into IPv4 on the way in, so that equal
 * addresses are equal bytes. */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sockaddr;
struct sockaddr_storage;

enum rc_address_family { RC_ADDRESS_NONE, RC_ADDRESS_IPV4, RC_ADDRESS_IPV6 };

struct rc_address {
    enum rc_address_family family;
    uint8_t ip[16]; /* network order; IPv4 uses the first 4, the rest is zero */
    uint16_t port;  /* host order */
};

enum { RC_ADDRESS_TEXT_MAX = 56 }; /* "[ipv6]:65535" and a NUL */

/* "10.0.0.1", "::1" -> address with `port`. RC_OK or RC_EMALFORMED. */
int rc_address_parse_ip(const char *text, uint16_t port, struct rc_address *out);

/* "10.0.0.1:80", "[::1]:80", or without a port, then `default_port`. Names are refused. */
int rc_address_parse(const char *text, uint16_t default_port, struct rc_address *out);

/* 4 or 16 bytes in network order. RC_OK or RC_EMALFORMED for another size. */
int rc_address_from_bytes(const void *ip, size_t size, uint16_t port,
                          struct rc_address *out);
size_t rc_address_ip_size(const struct rc_address *address); /* 0, 4 or 16 */

void rc_address_format(const struct rc_address *address, char space[RC_ADDRESS_TEXT_MAX]);
void rc_address_format_ip(const struct rc_address *address,
                          char space[RC_ADDRESS_TEXT_MAX]);

bool rc_address_equals(const struct rc_address *a, const struct rc_address *b);
bool rc_address_ip_equals(const struct rc_address *a, const struct rc_address *b);
bool rc_address_is_loopback(const struct rc_address *address);
bool rc_address_is_link_local(const struct rc_address *address); /* fe80::/10 */
bool rc_address_is_any(const struct rc_address *address);        /* 0.0.0.0 or :: */

/* To and from the system's form. Returns the size used, 0 for RC_ADDRESS_NONE. */
size_t rc_address_to_sockaddr(const struct rc_address *address,
                              struct sockaddr_storage *out);
int rc_address_from_sockaddr(const struct sockaddr *from, struct rc_address *out);

#endif
