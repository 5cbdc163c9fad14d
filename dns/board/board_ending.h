/* board_ending.h - what the names of nodes end in, where they hold dots.
 *
 * "web1.example" is found under "example", a name that exists with nothing there: resolvers
 * that ask label by label take NXDOMAIN for the end (RFC 8020). For board.c only. Without
 * memory such a name is not found, which is all that can be done. */
#ifndef DNS_BOARD_BOARD_ENDING_H
#define DNS_BOARD_BOARD_ENDING_H

#include <stdbool.h>

#include "base/text.h"
#include "dns/board/board_table.h"

struct board_endings {
    struct board_table *table; /* borrowed, as is the next */
    struct rc_epoch *epoch;
    uint64_t seed;
};

/* A node was replaced: as board_address_node(). */
void board_ending_node(const struct board_endings *endings,
                       const struct board_node *before, const struct board_node *now);

/* For any thread. Whether a node's name ends in a dot and `name`, which is folded. */
bool board_ending_find(const struct board_endings *endings, struct rc_span name);

#endif
