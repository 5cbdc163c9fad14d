/* address.c - addresses as values. */
#include "base/address.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

int rc_address_from_bytes(const void *ip, size_t size, uint16_t port,
                          struct rc_address *out)
{
    struct rc_address address = {.port = port};

    if (size == 16 && memcmp(ip, mapped_prefix, sizeof mapped_prefix) == 0) {
        address.family = RC_ADDRESS_IPV4;
        memcpy(address.ip, (const uint8_t *)ip + sizeof mapped_prefix, 4);
    } else if (size == 4 || size == 16) {
        address.family = size == 4 ? RC_ADDRESS_IPV4 : RC_ADDRESS_IPV6;
        memcpy(address.ip, ip, size);
    } else {
        return RC_EMALFORMED;
    }
    *out = address;
    return RC_OK;
}

size_t rc_address_ip_size(const struct rc_address *address)
{
    switch (address->family) {
    case RC_ADDRESS_NONE:
        return 0;
    case RC_ADDRESS_IPV4:
        return 4;
    case RC_ADDRESS_IPV6:
        return 16;
    }
    return 0;
}

int rc_address_parse_ip(const char *text, uint16_t port, struct rc_address *out)
{
    uint8_t ip[16];

    if (inet_pton(AF_INET, text, ip) == 1) {
        return rc_address_from_bytes(ip, 4, port, out);
    }
    if (inet_pton(AF_INET6, text, ip) == 1) {
        return rc_address_from_bytes(ip, 16, port, out);
    }
    return RC_EMALFORMED;
}

/* `text` is `host`, then maybe a colon and a port. */
static int parse_with_port(struct rc_span host, const char *port_text,
                           uint16_t default_port, struct rc_address *out)
{
    char ip[INET6_ADDRSTRLEN];
    uint64_t port = default_port;

    if (host.size >= sizeof ip) {
        return RC_EMALFORMED;
    }
    memcpy(ip, host.at, host.size);
    ip[host.size] = '\0';
    if (port_text != NULL && rc_text_to_u64(port_text, UINT16_MAX, &port) != RC_OK) {
        return RC_EMALFORMED;
    }
    return rc_address_parse_ip(ip, (uint16_t)port, out);
}

int rc_address_parse(const char *text, uint16_t default_port, struct rc_address *out)
{
    const char *colon = strchr(text, ':');
    struct rc_span host = rc_span_of(text);
    const char *port = NULL;

    if (text[0] == '[') { /* RFC 3986 section 3.2.2: an IPv6 address stands in brackets */
        const char *end = strchr(text, ']');
        if (end == NULL || (end[1] != '\0' && end[1] != ':') || colon == NULL ||
            colon > end) {
            return RC_EMALFORMED;
        }
        host = (struct rc_span){text + 1, (size_t)(end - text - 1)};
        port = end[1] == ':' ? end + 2 : NULL;
    } else if (colon != NULL && strchr(colon + 1, ':') == NULL) {
        host.size = (size_t)(colon - text);
        port = colon + 1;
    }
    return parse_with_port(host, port, default_port, out);
}

/* Digits of a number below 100,000 at `at`; returns how many. Printing by format takes ten times
 * as long, and logs have an address in every line. */
static size_t put_decimal(char *space, size_t at, unsigned number)
{
    char digits[5];
    size_t count = 0;

    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    for (size_t i = 0; i < count; i++) {
        space[at + i] = digits[count - 1 - i];
    }
    return count;
}

/* Returns the length. */
static size_t put_ipv4(const uint8_t ip[4], char space[RC_ADDRESS_TEXT_MAX])
{
    size_t at = 0;

    for (size_t i = 0; i < 4; i++) {
        if (i > 0) {
            space[at++] = '.';
        }
        at += put_decimal(space, at, ip[i]);
    }
    space[at] = '\0';
    return at;
}

void rc_address_format_ip(const struct rc_address *address,
                          char space[RC_ADDRESS_TEXT_MAX])
{
    space[0] = '\0';
    if (address->family == RC_ADDRESS_IPV6) {
        (void)inet_ntop(AF_INET6, address->ip, space, RC_ADDRESS_TEXT_MAX);
    } else if (address->family == RC_ADDRESS_IPV4) {
        (void)put_ipv4(address->ip, space);
    }
}

void rc_address_format(const struct rc_address *address, char space[RC_ADDRESS_TEXT_MAX])
{
    char ip[RC_ADDRESS_TEXT_MAX];

    if (address->family == RC_ADDRESS_NONE) {
        space[0] = '\0';
    } else if (address->family == RC_ADDRESS_IPV6) {
        rc_address_format_ip(address, ip);
        (void)snprintf(space, RC_ADDRESS_TEXT_MAX, "[%.46s]:%u", ip,
                       (unsigned)address->port);
    } else {
        size_t at = put_ipv4(address->ip, space);
        space[at++] = ':';
        at += put_decimal(space, at, address->port);
        space[at] = '\0';
    }
}

bool rc_address_ip_equals(const struct rc_address *a, const struct rc_address *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

bool rc_address_equals(const struct rc_address *a, const struct rc_address *b)
{
    return a->port == b->port && rc_address_ip_equals(a, b);
}

bool rc_address_is_loopback(const struct rc_address *address)
{
    static const uint8_t loopback6[16] = {[15] = 1};

    if (address->family == RC_ADDRESS_IPV6) {
        return memcmp(address->ip, loopback6, sizeof loopback6) == 0;
    }
    return address->family == RC_ADDRESS_IPV4 && address->ip[0] == 127;
}

bool rc_address_is_link_local(const struct rc_address *address)
{
    return address->family == RC_ADDRESS_IPV6 && address->ip[0] == 0xfe &&
           (address->ip[1] & 0xc0) == 0x80;
}

bool rc_address_is_any(const struct rc_address *address)
{
    static const uint8_t any[16] = {0};

    return address->family != RC_ADDRESS_NONE &&
           memcmp(address->ip, any, sizeof any) == 0;
}

size_t rc_address_to_sockaddr(const struct rc_address *address,
                              struct sockaddr_storage *out)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(address->port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(address->port)};

    memset(out, 0, sizeof *out);
    switch (address->family) {
    case RC_ADDRESS_NONE:
        return 0;
    case RC_ADDRESS_IPV4:
        memcpy(&v4.sin_addr, address->ip, sizeof v4.sin_addr);
        memcpy(out, &v4, sizeof v4);
        return sizeof v4;
    case RC_ADDRESS_IPV6:
        memcpy(&v6.sin6_addr, address->ip, sizeof v6.sin6_addr);
        memcpy(out, &v6, sizeof v6);
        return sizeof v6;
    }
    return 0;
}

int rc_address_from_sockaddr(const struct sockaddr *from, struct rc_address *out)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (from->sa_family == AF_INET) {
        memcpy(&v4, from, sizeof v4);
        return rc_address_from_bytes(&v4.sin_addr, 4, ntohs(v4.sin_port), out);
    }
    if (from->sa_family == AF_INET6) {
        memcpy(&v6, from, sizeof v6);
        return rc_address_from_bytes(&v6.sin6_addr, 16, ntohs(v6.sin6_port), out);
    }
    return RC_EMALFORMED;
}
