/* board_table.h - finding items on the board by a hash, while one thread changes it.
 *
 * Open addressing. A slot's hash is written before its item, and stays when the item is taken
 * out, so that probing goes on behind it; a table that fills up is copied into a new one. A
 * table either has one item for each key (put, find, remove) or any for each hash (add, drop).
 * For board.c and board_address.c only. */
#ifndef DNS_BOARD_BOARD_TABLE_H
#define DNS_BOARD_BOARD_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "dns/board/board_item.h"

struct board_slots;

struct board_table {
    _Atomic(struct board_slots *) slots;
    size_t used;  /* slots that have a hash */
    size_t count; /* slots that have an item */
};

/* RC_OK or RC_ENOMEM. */
int board_table_init(struct board_table *table);
/* Frees the slots; what is in them is the caller's. A table of all zeros is allowed. */
void board_table_fini(struct board_table *table);

/* All items with a hash, for any thread: 0 is no hash. */
struct board_probe {
    const struct board_slots *slots;
    size_t at;
    uint64_t hash;
};
void board_probe_begin(struct board_probe *probe, const struct board_table *table,
                       uint64_t hash);
struct board_item *board_probe_next(struct board_probe *probe); /* NULL at the end */

/* For any thread. The item, or NULL. */
struct board_item *board_table_find(const struct board_table *table, uint64_t hash,
                                    const void *key, size_t size);

/* Puts an item up in place of the one with its key; what goes is retired, as are slots that
 * are too few. RC_OK, or RC_ENOMEM (nothing changed). */
int board_table_put(struct board_table *table, struct rc_epoch *epoch, uint64_t hash,
                    struct board_item *item);
/* Takes an item that is up out, and retires it. */
void board_table_remove(struct board_table *table, struct rc_epoch *epoch, uint64_t hash,
                        struct board_item *item);

/* Adds an item beside others of that hash. RC_OK, or RC_ENOMEM (nothing changed). */
int board_table_add(struct board_table *table, struct rc_epoch *epoch, uint64_t hash,
                    struct board_item *item);
/* Takes it out, if it is there; it is not retired. */
void board_table_drop(struct board_table *table, uint64_t hash,
                      const struct board_item *item);

/* Walks over all items: start with `*position` = 0; NULL at the end. Removing the item just
 * returned is allowed. */
struct board_item *board_table_next(const struct board_table *table, size_t *position);

#endif
