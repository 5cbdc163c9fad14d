/* proxy_protocol.h - who the client is, said by the balancer that stands before us.
 *
 * The PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt, 2020/03/05): one header
 * at the start of a connection, before TLS and before any other byte. Stricter than its
 * text: addresses that TCP has not got (UNIX, datagrams) are refused, extensions must fill
 * their space exactly, a CRC32c that is there must be right. Bytes in, facts out. */
#ifndef PROXY_WIRE_PROXY_PROTOCOL_H
#define PROXY_WIRE_PROXY_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

enum {
    PROXY_PROTOCOL_V1_MAX = 107,      /* bytes of a line with its CRLF: section 2.1 */
    PROXY_PROTOCOL_V2_START = 16,     /* up to and with the length: section 2.2 */
    PROXY_PROTOCOL_MAX = 4096,        /* of a whole header, extensions included */
    PROXY_PROTOCOL_WRITTEN_MAX = 107, /* of those that are written here */
};

enum proxy_protocol_version { PROXY_PROTOCOL_V1, PROXY_PROTOCOL_V2 };

/* What the header says. Both addresses have the family NONE when it names nobody (LOCAL,
 * UNKNOWN, UNSPEC): then the connection's own ends are the true ones. */
struct proxy_protocol {
    enum proxy_protocol_version version;
    size_t size; /* bytes of the header; what follows is the client's */
    struct rc_address from;
    struct rc_address to;
};

/* Reads a header at the start of `bytes`. RC_OK; RC_ETRUNCATED: all that is there belongs to a
 * header, and more is wanted; RC_EMALFORMED: it is none, or a wrong one; RC_ETOOBIG: longer
 * than PROXY_PROTOCOL_MAX. */
int proxy_protocol_parse(const uint8_t *bytes, size_t size, struct proxy_protocol *out);

/* Writes the header of a connection `from` a client `to` us, or of one of our own when `from` has
 * the family NONE (LOCAL, UNKNOWN). Ends of two families are both said as IPv6. Returns its size;
 * it always fits. */
size_t proxy_protocol_write(enum proxy_protocol_version version,
                            const struct rc_address *from, const struct rc_address *to,
                            uint8_t space[PROXY_PROTOCOL_WRITTEN_MAX]);

#endif
