#include "dns/board/board_table.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

enum { SLOTS_MIN = 64 };

struct slot {
    _Atomic uint64_t hash;             /* 0: never used, probing ends here */
    _Atomic(struct board_item *) item; /* NULL: taken out */
};

struct board_slots {
    struct board_item item; /* only to be retired */
    size_t mask;
    struct slot at[];
};

static struct board_slots *create_slots(size_t count)
{
    struct board_slots *slots = calloc(1, sizeof *slots + count * sizeof slots->at[0]);

    if (slots != NULL) {
        slots->item.kind = BOARD_SLOTS;
        slots->mask = count - 1;
    }
    return slots;
}

int board_table_init(struct board_table *table)
{
    struct board_slots *slots = create_slots(SLOTS_MIN);

    if (slots == NULL) {
        return RC_ENOMEM;
    }
    atomic_init(&table->slots, slots);
    table->used = 0;
    table->count = 0;
    return RC_OK;
}

static struct board_slots *slots_of(const struct board_table *table)
{
    return atomic_load_explicit(&table->slots, memory_order_seq_cst);
}

static struct board_item *item_at(const struct slot *slot)
{
    return atomic_load_explicit(&slot->item, memory_order_seq_cst);
}

struct board_item *board_table_next(const struct board_table *table, size_t *position)
{
    const struct board_slots *slots = slots_of(table);

    while (slots != NULL && *position <= slots->mask) {
        struct board_item *item = item_at(&slots->at[(*position)++]);
        if (item != NULL) {
            return item;
        }
    }
    return NULL;
}

void board_table_fini(struct board_table *table)
{
    free(slots_of(table));
    atomic_init(&table->slots, NULL);
}

/* ---- For any thread. */

void board_probe_begin(struct board_probe *probe, const struct board_table *table,
                       uint64_t hash)
{
    assert(hash != 0);
    probe->slots = slots_of(table);
    probe->hash = hash;
    probe->at = hash & probe->slots->mask;
}

/* Every probe ends: a quarter of the slots is unused. */
static const struct slot *next_slot(struct board_probe *probe)
{
    for (;;) {
        const struct slot *slot = &probe->slots->at[probe->at];
        uint64_t its = atomic_load_explicit(&slot->hash, memory_order_acquire);
        if (its == 0) {
            return NULL;
        }
        probe->at = (probe->at + 1) & probe->slots->mask;
        if (its == probe->hash) {
            return slot;
        }
    }
}

struct board_item *board_probe_next(struct board_probe *probe)
{
    const struct slot *slot;
    struct board_item *item = NULL;

    while (item == NULL && (slot = next_slot(probe)) != NULL) {
        item = item_at(slot);
    }
    return item;
}

static bool has_key(const struct board_item *item, const void *key, size_t size)
{
    return item->key_size == size && memcmp(item->key, key, size) == 0;
}

struct board_item *board_table_find(const struct board_table *table, uint64_t hash,
                                    const void *key, size_t size)
{
    struct board_probe probe;
    struct board_item *item;

    board_probe_begin(&probe, table, hash);
    do {
        item = board_probe_next(&probe);
    } while (item != NULL && !has_key(item, key, size));
    return item;
}

/* ---- The writer. */

/* The first slot that a new item of that hash may take: taken out, or never used. */
static struct slot *free_slot(struct board_slots *slots, uint64_t hash)
{
    for (size_t i = hash & slots->mask;; i = (i + 1) & slots->mask) {
        struct slot *slot = &slots->at[i];
        uint64_t its = atomic_load_explicit(&slot->hash, memory_order_relaxed);
        if (its == 0 || (its == hash && item_at(slot) == NULL)) {
            return slot;
        }
    }
}

/* The slot that holds that item, or NULL. */
static struct slot *slot_with(struct board_slots *slots, uint64_t hash,
                              const struct board_item *item)
{
    for (size_t i = hash & slots->mask;; i = (i + 1) & slots->mask) {
        struct slot *slot = &slots->at[i];
        uint64_t its = atomic_load_explicit(&slot->hash, memory_order_relaxed);
        if (its == 0) {
            return NULL;
        }
        if (its == hash && item_at(slot) == item) {
            return slot;
        }
    }
}

static struct board_slots *copy_slots(const struct board_slots *old, size_t size)
{
    struct board_slots *fresh = create_slots(size);

    for (size_t i = 0; fresh != NULL && i <= old->mask; i++) {
        struct board_item *item = item_at(&old->at[i]);
        if (item != NULL) {
            uint64_t hash = atomic_load_explicit(&old->at[i].hash, memory_order_relaxed);
            struct slot *slot = free_slot(fresh, hash);
            atomic_store_explicit(&slot->hash, hash, memory_order_relaxed);
            atomic_store_explicit(&slot->item, item, memory_order_relaxed);
        }
    }
    return fresh;
}

/* Room for one more, with a quarter of the slots unused. */
static int reserve(struct board_table *table, struct rc_epoch *epoch)
{
    struct board_slots *old = slots_of(table);
    size_t size = SLOTS_MIN;

    if ((table->used + 1) * 4 <= (old->mask + 1) * 3) {
        return RC_OK;
    }
    while (size * 5 < (table->count + 1) * 8) { /* filled by five eighths at most */
        size *= 2;
    }
    struct board_slots *fresh = copy_slots(old, size);
    if (fresh == NULL) {
        return RC_ENOMEM;
    }
    atomic_store_explicit(&table->slots, fresh, memory_order_seq_cst);
    table->used = table->count;
    rc_epoch_retire(epoch, &old->item.link);
    return RC_OK;
}

int board_table_add(struct board_table *table, struct rc_epoch *epoch, uint64_t hash,
                    struct board_item *item)
{
    assert(hash != 0);
    int err = reserve(table, epoch);
    if (err != RC_OK) {
        return err;
    }
    struct slot *slot = free_slot(slots_of(table), hash);
    if (atomic_load_explicit(&slot->hash, memory_order_relaxed) == 0) {
        table->used++;
        atomic_store_explicit(&slot->hash, hash, memory_order_release);
    }
    atomic_store_explicit(&slot->item, item, memory_order_seq_cst);
    table->count++;
    return RC_OK;
}

int board_table_put(struct board_table *table, struct rc_epoch *epoch, uint64_t hash,
                    struct board_item *item)
{
    struct board_item *old = board_table_find(table, hash, item->key, item->key_size);

    if (old == NULL) {
        return board_table_add(table, epoch, hash, item);
    }
    struct slot *slot = slot_with(slots_of(table), hash, old);
    assert(slot != NULL);
    atomic_store_explicit(&slot->item, item, memory_order_seq_cst);
    rc_epoch_retire(epoch, &old->link);
    return RC_OK;
}

void board_table_drop(struct board_table *table, uint64_t hash,
                      const struct board_item *item)
{
    struct slot *slot = slot_with(slots_of(table), hash, item);

    if (slot != NULL) {
        atomic_store_explicit(&slot->item, NULL, memory_order_seq_cst);
        table->count--;
    }
}

void board_table_remove(struct board_table *table, struct rc_epoch *epoch, uint64_t hash,
                        struct board_item *item)
{
    board_table_drop(table, hash, item);
    rc_epoch_retire(epoch, &item->link);
}
