/* board_item.h - the objects on the board: each one allocation that never changes.
 *
 * For board.c and board_table.c only. Readers see an item through its const parts; what only
 * the writer reads and writes (prints, marks, references) stands apart from those. */
#ifndef DNS_BOARD_BOARD_ITEM_H
#define DNS_BOARD_BOARD_ITEM_H

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/epoch.h"
#include "dns/answer/ready.h"
#include "dns/answer/view.h"
#include "dns/board/board.h"

enum board_kind {
    BOARD_NODE,
    BOARD_SERVICE,
    BOARD_OWNER,  /* of addresses: board_address.c */
    BOARD_ENDING, /* of nodes' names: board_ending.c */
    BOARD_SERVERS,
    BOARD_SLOTS, /* of a table: board_table.c */
    BOARD_KIND_COUNT
};

/* What every item begins with. */
struct board_item {
    struct rc_epoch_link link; /* first: a link is turned back into its item */
    const char *key;           /* within the item; a NUL follows it */
    uint64_t print;
    uint32_t mark; /* of the last look at everything that met it */
    uint16_t key_size;
    uint8_t kind; /* enum board_kind */
};

/* Who is at an address: a node or service by name, whichever object stands for it now. Lives
 * as long as an object that refers to it. */
enum board_owner_kind { BOARD_OWNER_NODE, BOARD_OWNER_SERVICE };
struct board_owner {
    struct board_item item;
    enum board_owner_kind kind;
    size_t references;
};

struct board_node {
    struct board_item item;
    struct dns_node node;
    struct dns_shelf shelf;
    struct board_owner *owner; /* NULL: never had an address */
    enum dns_board_shown shown;
    size_t references; /* the table's, name servers', and one of each instance */
};

struct board_service {
    struct board_item item;
    struct dns_service service;
    struct dns_shelf shelf;
    struct board_owner *owner; /* NULL: no instance ever had an address of its own */
};

struct board_servers {
    struct board_item item;
    size_t count;
    const struct dns_node *nodes[DNS_NAME_SERVERS_MAX];
};

/* Lower-case ASCII copy; its size, or 0 if it is longer than DNS_BOARD_NAME_MAX. */
size_t board_fold(const char *name, char space[DNS_BOARD_NAME_MAX + 1]);

/* Copies under the key `key`; print, mark and owner are the caller's. A node has no reference
 * yet, nor has an owner; a service holds one of each instance's node. NULL: memory is out. */
struct board_node *board_node_create(const struct dns_node *from, struct rc_span key);
struct board_service *board_service_create(const struct dns_service *from,
                                           struct rc_span key);
struct board_owner *board_owner_create(enum board_owner_kind kind, struct rc_span key);
struct board_servers *board_servers_create(const struct dns_node *const *nodes,
                                           size_t count);

/* Ends an item that no reader can hold. A node's table reference goes; it stays while others
 * refer to it. NULL is allowed. */
void board_item_release(struct board_item *item);

static inline struct board_node *board_node_of(const struct dns_node *node)
{
    /* Ours: only readers see it as const. */
    return (struct board_node *)((char *)node - offsetof(struct board_node, node));
}

static inline struct board_service *board_service_of(const struct dns_service *service)
{
    return (struct board_service *)((char *)service -
                                    offsetof(struct board_service, service));
}

#endif
