/* table.c - open addressing over a dense list of entries, so that walks keep insertion order.
 *
 * `slots` holds positions in `entries` plus one; an entry taken out stays as a hole until the
 * next growth packs the list. Holes keep their slot occupied, so probing needs no tombstones. */
#include "base/table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

enum { FIRST_ENTRIES = 8 };

struct entry {
    uint64_t hash;
    char *key; /* owned, NUL-terminated; NULL: a hole */
    size_t size;
    void *value;
};

struct rc_table {
    uint64_t seed;
    struct entry *entries;
    size_t used;  /* entries in use, holes included */
    size_t room;  /* entries allocated; the slots are twice as many */
    size_t count; /* entries without the holes */
    uint32_t *slots;
};

struct rc_table *rc_table_create(uint64_t seed)
{
    struct rc_table *table = calloc(1, sizeof *table);

    if (table != NULL) {
        table->seed = seed;
    }
    return table;
}

void rc_table_destroy(struct rc_table *table)
{
    if (table == NULL) {
        return;
    }
    for (size_t i = 0; i < table->used; i++) {
        free(table->entries[i].key);
    }
    free(table->entries);
    free(table->slots);
    free(table);
}

size_t rc_table_count(const struct rc_table *table)
{
    return table->count;
}

static struct entry *find(const struct rc_table *table, const void *key, size_t size)
{
    if (table->count == 0) {
        return NULL;
    }
    uint64_t hash = rc_hash(key, size, table->seed);
    size_t mask = table->room * 2 - 1;
    for (size_t at = hash & mask; table->slots[at] != 0; at = (at + 1) & mask) {
        struct entry *entry = &table->entries[table->slots[at] - 1];
        if (entry->hash == hash && entry->key != NULL && entry->size == size &&
            memcmp(entry->key, key, size) == 0) {
            return entry;
        }
    }
    return NULL;
}

void *rc_table_get_bytes(const struct rc_table *table, const void *key, size_t size)
{
    const struct entry *entry = find(table, key, size);
    return entry != NULL ? entry->value : NULL;
}

void *rc_table_get(const struct rc_table *table, const char *key)
{
    return rc_table_get_bytes(table, key, strlen(key));
}

static void place(struct rc_table *table, size_t position)
{
    size_t mask = table->room * 2 - 1;
    size_t at = table->entries[position].hash & mask;

    while (table->slots[at] != 0) {
        at = (at + 1) & mask;
    }
    table->slots[at] = (uint32_t)position + 1;
}

/* Packs the entries and doubles the room unless the holes alone were the trouble. */
static int make_room(struct rc_table *table)
{
    size_t room = table->room > 0 ? table->room : FIRST_ENTRIES;

    if (table->count * 4 >= table->room * 3) {
        room = table->room > 0 ? table->room * 2 : room;
    }
    if (room > UINT32_MAX / 4) {
        return RC_ENOMEM;
    }
    struct entry *entries = calloc(room, sizeof *entries);
    uint32_t *slots = calloc(room * 2, sizeof *slots);
    if (entries == NULL || slots == NULL) {
        free(entries);
        free(slots);
        return RC_ENOMEM;
    }
    size_t kept = 0;
    for (size_t i = 0; i < table->used; i++) {
        if (table->entries[i].key != NULL) {
            entries[kept++] = table->entries[i];
        }
    }
    free(table->entries);
    free(table->slots);
    table->entries = entries;
    table->slots = slots;
    table->used = kept;
    table->room = room;
    for (size_t i = 0; i < kept; i++) {
        place(table, i);
    }
    return RC_OK;
}

static int append(struct rc_table *table, const void *key, size_t size, void *value)
{
    char *copy = malloc(size + 1);

    if (copy == NULL) {
        return RC_ENOMEM;
    }
    if (table->used == table->room && make_room(table) != RC_OK) {
        free(copy);
        return RC_ENOMEM;
    }
    memcpy(copy, key, size);
    copy[size] = '\0';
    table->entries[table->used] = (struct entry){
        .hash = rc_hash(key, size, table->seed),
        .key = copy,
        .size = size,
        .value = value,
    };
    place(table, table->used);
    table->used++;
    table->count++;
    return RC_OK;
}

int rc_table_put_bytes(struct rc_table *table, const void *key, size_t size, void *value,
                       void **old)
{
    assert(value != NULL);
    struct entry *entry = find(table, key, size);
    void *before = entry != NULL ? entry->value : NULL;

    if (entry != NULL) {
        entry->value = value;
    } else if (append(table, key, size, value) != RC_OK) {
        return RC_ENOMEM;
    }
    if (old != NULL) {
        *old = before;
    }
    return RC_OK;
}

int rc_table_put(struct rc_table *table, const char *key, void *value, void **old)
{
    return rc_table_put_bytes(table, key, strlen(key), value, old);
}

void *rc_table_remove_bytes(struct rc_table *table, const void *key, size_t size)
{
    struct entry *entry = find(table, key, size);

    if (entry == NULL) {
        return NULL;
    }
    void *value = entry->value;
    free(entry->key);
    entry->key = NULL;
    entry->value = NULL;
    table->count--;
    return value;
}

void *rc_table_remove(struct rc_table *table, const char *key)
{
    return rc_table_remove_bytes(table, key, strlen(key));
}

void *rc_table_next(const struct rc_table *table, size_t *position, const char **key)
{
    while (*position < table->used) {
        const struct entry *entry = &table->entries[(*position)++];
        if (entry->key != NULL) {
            if (key != NULL) {
                *key = entry->key;
            }
            return entry->value;
        }
    }
    return NULL;
}
