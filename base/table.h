/* table.h - finding things by name: a hash table from byte strings to pointers.
 *
 * Open addressing, SipHash under a seed so that nobody can choose colliding
 * names. Walk order is insertion order (removals keep the order of the rest), so
 * it never depends on addresses or on the seed. */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct rc_table;

struct rc_table_key {
    const void *at;
    size_t size;
};

/* Where a value keeps the key it is found by. */
typedef struct rc_table_key (*rc_table_key_of)(const void *value);

/* A table whose hash is keyed by `seed`; it copies its keys. NULL when memory is out. */
struct rc_table *rc_table_create(uint64_t seed);

/* The same for values that hold their own keys: nothing is copied, an entry costs some 22 bytes.
 * The key of a value must stay the same bytes while it is in the table, wherever they are. */
struct rc_table *rc_table_create_lean(uint64_t seed, rc_table_key_of key_of);

/* Frees the table and its key copies, never the values. NULL is allowed. */
void rc_table_destroy(struct rc_table *table);

size_t rc_table_count(const struct rc_table *table);

/* The value under `key`, or NULL. */
void *rc_table_get(const struct rc_table *table, const char *key);
void *rc_table_get_bytes(const struct rc_table *table, const void *key, size_t size);

/* Puts `value` (not NULL) under `key` (copied; in a lean table it is the value's own key). `*old`,
 * if asked for, is what stood there or NULL. RC_OK or RC_ENOMEM (nothing changed). */
int rc_table_put(struct rc_table *table, const char *key, void *value, void **old);
int rc_table_put_bytes(struct rc_table *table, const void *key, size_t size, void *value,
                       void **old);

/* Takes `key` out; returns what stood there, or NULL. */
void *rc_table_remove(struct rc_table *table, const char *key);
void *rc_table_remove_bytes(struct rc_table *table, const void *key, size_t size);

/* Walks in insertion order: start with `*position` = 0; NULL at the end. `key` may be NULL.
 * Removing the entry just returned is allowed; putting new keys during a walk is not. */
void *rc_table_next(const struct rc_table *table, size_t *position, const char **key);

/* SipHash-2-4 (Aumasson, Bernstein 2012) of `size` bytes under a 64-bit seed. Same on every
 * machine. */
uint64_t rc_hash(const void *bytes, size_t size, uint64_t seed);

#endif
