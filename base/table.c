/* table.c - open addressing over a dense list of values, so that walks keep insertion order.
 *
 * A slot holds a value's hash and its place in the list plus one; a value taken out stays as a
 * hole until the next growth packs the list. Holes keep their slot occupied, so probing needs no
 * tombstones, and comparing hashes stays within the slots. */
#include "base/table.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

enum { FIRST_ROOM = 8, DOUBLES_UP_TO = 64 };

struct slot {
    uint32_t hash;
    uint32_t place; /* from 1; 0: empty */
};

struct copied_key {
    char *text; /* owned, NUL-terminated */
    size_t size;
};

struct rc_table {
    uint64_t seed;
    rc_table_key_of key_of;  /* NULL: keys are copied */
    void **values;           /* NULL: a hole */
    struct copied_key *keys; /* beside the values; NULL in a lean table */
    size_t used;             /* values, holes included */
    size_t room;             /* values allocated */
    size_t count;            /* values without the holes */
    struct slot *slots;
    size_t slot_count; /* a power of two, at least 4/3 of the room */
};

struct rc_table *rc_table_create_lean(uint64_t seed, rc_table_key_of key_of)
{
    struct rc_table *table = calloc(1, sizeof *table);

    if (table != NULL) {
        table->seed = seed;
        table->key_of = key_of;
    }
    return table;
}

struct rc_table *rc_table_create(uint64_t seed)
{
    return rc_table_create_lean(seed, NULL);
}

void rc_table_destroy(struct rc_table *table)
{
    if (table == NULL) {
        return;
    }
    for (size_t i = 0; table->keys != NULL && i < table->used; i++) {
        free(table->keys[i].text);
    }
    free(table->keys);
    free(table->values);
    free(table->slots);
    free(table);
}

size_t rc_table_count(const struct rc_table *table)
{
    return table->count;
}

/* ---- finding */

static struct rc_table_key key_at(const struct rc_table *table, size_t place)
{
    if (table->key_of != NULL) {
        return table->key_of(table->values[place]);
    }
    return (struct rc_table_key){table->keys[place].text, table->keys[place].size};
}

static uint32_t hash_of(const struct rc_table *table, const void *key, size_t size)
{
    return (uint32_t)rc_hash(key, size, table->seed);
}

enum { NOWHERE = 0 };

/* The place from 1 of the value under `key`, or NOWHERE. */
static size_t find(const struct rc_table *table, uint32_t hash, const void *key,
                   size_t size)
{
    if (table->count == 0) {
        return NOWHERE;
    }
    size_t mask = table->slot_count - 1;
    for (size_t at = hash & mask; table->slots[at].place != 0; at = (at + 1) & mask) {
        size_t place = table->slots[at].place;
        if (table->slots[at].hash != hash || table->values[place - 1] == NULL) {
            continue;
        }
        struct rc_table_key its = key_at(table, place - 1);
        if (its.size == size && memcmp(its.at, key, size) == 0) {
            return place;
        }
    }
    return NOWHERE;
}

void *rc_table_get_bytes(const struct rc_table *table, const void *key, size_t size)
{
    size_t place = find(table, hash_of(table, key, size), key, size);

    return place != NOWHERE ? table->values[place - 1] : NULL;
}

void *rc_table_get(const struct rc_table *table, const char *key)
{
    return rc_table_get_bytes(table, key, strlen(key));
}

/* ---- growing */

static void take_slot(struct slot *slots, size_t slot_count, struct slot slot)
{
    size_t mask = slot_count - 1;
    size_t at = slot.hash & mask;

    while (slots[at].place != 0) {
        at = (at + 1) & mask;
    }
    slots[at] = slot;
}

/* Room for `room` values, and keys if they are copied. */
static int reserve(struct rc_table *table, size_t room)
{
    void **values = realloc(table->values, room * sizeof *values);

    if (values == NULL) {
        return RC_ENOMEM;
    }
    table->values = values;
    if (table->key_of == NULL) {
        struct copied_key *keys = realloc(table->keys, room * sizeof *keys);
        if (keys == NULL) {
            return RC_ENOMEM; /* the values have more room than we know: no harm */
        }
        table->keys = keys;
    }
    table->room = room;
    return RC_OK;
}

/* Closes the holes, in the list of hashes too. */
static void pack(struct rc_table *table, uint32_t *hashes)
{
    size_t kept = 0;

    for (size_t i = 0; i < table->used; i++) {
        if (table->values[i] == NULL) {
            continue;
        }
        table->values[kept] = table->values[i];
        if (table->keys != NULL) {
            table->keys[kept] = table->keys[i];
        }
        hashes[kept++] = hashes[i];
    }
    assert(kept == table->count);
    table->used = kept;
}

/* Packs the list and spreads it over `slot_count` new slots. */
static int spread(struct rc_table *table, size_t slot_count)
{
    struct slot *slots = calloc(slot_count, sizeof *slots);
    uint32_t *hashes = calloc(table->used + 1, sizeof *hashes);

    if (slots == NULL || hashes == NULL) {
        free(slots);
        free(hashes);
        return RC_ENOMEM;
    }
    for (size_t at = 0; at < table->slot_count; at++) {
        if (table->slots[at].place != 0) {
            hashes[table->slots[at].place - 1] = table->slots[at].hash;
        }
    }
    pack(table, hashes);
    for (size_t i = 0; i < table->used; i++) {
        take_slot(slots, slot_count, (struct slot){hashes[i], (uint32_t)i + 1});
    }
    free(hashes);
    free(table->slots);
    table->slots = slots;
    table->slot_count = slot_count;
    return RC_OK;
}

/* Large tables grow by a quarter, so that little of them stays empty. */
static size_t more_room(size_t room)
{
    if (room == 0) {
        return FIRST_ROOM;
    }
    return room < DOUBLES_UP_TO ? 2 * room : room + room / 4;
}

/* Packs the list, and grows unless the holes alone were the trouble. */
static int make_room(struct rc_table *table)
{
    bool is_full = table->count * 4 >= table->room * 3;
    size_t room = is_full ? more_room(table->room) : table->room;
    size_t slot_count = table->slot_count > 0 ? table->slot_count : 2;

    if (room > UINT32_MAX / 4) {
        return RC_ENOMEM;
    }
    while (slot_count * 3 < room * 4) {
        slot_count *= 2;
    }
    bool has_holes = table->count < table->used;
    if ((has_holes || slot_count != table->slot_count) &&
        spread(table, slot_count) != RC_OK) {
        return RC_ENOMEM;
    }
    return room > table->room ? reserve(table, room) : RC_OK;
}

/* ---- changing */

static int append(struct rc_table *table, uint32_t hash, struct rc_table_key key,
                  void *value)
{
    char *copy = NULL;

    if (table->used == table->room && make_room(table) != RC_OK) {
        return RC_ENOMEM;
    }
    if (table->key_of == NULL) {
        copy = malloc(key.size + 1);
        if (copy == NULL) {
            return RC_ENOMEM;
        }
        memcpy(copy, key.at, key.size);
        copy[key.size] = '\0';
        table->keys[table->used] = (struct copied_key){copy, key.size};
    }
    table->values[table->used++] = value;
    table->count++;
    take_slot(table->slots, table->slot_count,
              (struct slot){hash, (uint32_t)table->used});
    return RC_OK;
}

int rc_table_put_bytes(struct rc_table *table, const void *key, size_t size, void *value,
                       void **old)
{
    assert(value != NULL);
    uint32_t hash = hash_of(table, key, size);
    size_t place = find(table, hash, key, size);
    void *before = place != NOWHERE ? table->values[place - 1] : NULL;

    if (place != NOWHERE) {
        table->values[place - 1] = value;
    } else if (append(table, hash, (struct rc_table_key){key, size}, value) != RC_OK) {
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
    size_t place = find(table, hash_of(table, key, size), key, size);

    if (place == NOWHERE) {
        return NULL;
    }
    void *value = table->values[place - 1];
    table->values[place - 1] = NULL;
    if (table->keys != NULL) {
        free(table->keys[place - 1].text);
        table->keys[place - 1].text = NULL;
    }
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
        size_t place = (*position)++;
        if (table->values[place] != NULL) {
            if (key != NULL) {
                *key = key_at(table, place).at;
            }
            return table->values[place];
        }
    }
    return NULL;
}
