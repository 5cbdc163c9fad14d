/* network.h - a network such as 10.0.0.0/8, and who is in it. */
#ifndef BASE_NETWORK_H
#define BASE_NETWORK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/address.h"

struct rc_network {
    struct rc_address address;
    unsigned bits; /* of the address that count: at most 32 or 128 */
};

/* "10.0.0.0/8", "fd00::/8", or one address alone. RC_OK or RC_EMALFORMED. */
int rc_network_parse(const char *text, struct rc_network *out);

/* True if `address` is in one of `count` networks. */
bool rc_network_has(const struct rc_network *networks, size_t count,
                    const struct rc_address *address);

#endif
