/* board_address.h - which nodes and services are at an address, kept up with what is put up.
 *
 * An address leads to names, not to objects: the health of instances does not matter here, and
 * a reader looks at the object that stands under the name then. Without memory an address is
 * not found, which is all that can be done. For board.c only. */
#ifndef DNS_BOARD_BOARD_ADDRESS_H
#define DNS_BOARD_BOARD_ADDRESS_H

#include "dns/board/board_table.h"

struct board_addresses {
    struct board_table *table; /* borrowed, as is the next */
    struct rc_epoch *epoch;
    uint64_t seed;
};

/* A node, or a service, was replaced: `before` NULL: it is new, `now` NULL: it has gone. A
 * node that is hidden counts as gone. `now` gets its owner. */
void board_address_node(const struct board_addresses *addresses,
                        const struct board_node *before, struct board_node *now);
void board_address_service(const struct board_addresses *addresses,
                           const struct board_service *before, struct board_service *now);

/* For any thread: who may be at that address, in no order. */
void board_address_begin(const struct board_addresses *addresses,
                         const struct rc_address *ip, struct board_probe *probe);
const struct board_owner *board_address_next(struct board_probe *probe);

#endif
