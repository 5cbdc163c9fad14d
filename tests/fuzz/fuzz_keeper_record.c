/* Any bytes as a record of a PostgreSQL cluster: what is read and written is read as the same
 * again. The first byte says which record. */
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/keeper/keeper_record.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 1 << 20, TEXTS = 2, KINDS = 9 };

/* Records are zeroed before they are read, and copied as a whole: padding is the same too. */
static bool are_same(const void *a, const void *b, size_t size)
{
    return memcmp(a, b, size) == 0;
}

/* Read, written, and read again: the same, and the same text. */
#define ROUND_TRIP(word)                                                               \
    static void word##_round(const char *text, size_t size)                            \
    {                                                                                  \
        struct keeper_##word##_record records[TEXTS + 1];                              \
        struct rc_buffer texts[TEXTS] = {{.max = TEXT_MAX}, {.max = TEXT_MAX}};        \
                                                                                       \
        int err = keeper_##word##_read(text, size, &records[0]);                       \
        assert(err == RC_OK || err == RC_EMALFORMED);                                  \
        for (int i = 0; i < TEXTS; i++) {                                              \
            keeper_##word##_write(&records[i], &texts[i]);                             \
            assert(texts[i].err == RC_OK);                                             \
            err = keeper_##word##_read(rc_buffer_string(&texts[i]), texts[i].size,     \
                                       &records[i + 1]);                               \
            assert(err == RC_OK);                                                      \
            assert(are_same(&records[i], &records[i + 1], sizeof records[i]));         \
        }                                                                              \
        assert(strcmp(rc_buffer_string(&texts[0]), rc_buffer_string(&texts[1])) == 0); \
        rc_buffer_fini(&texts[0]);                                                     \
        rc_buffer_fini(&texts[1]);                                                     \
    }

ROUND_TRIP(lease)
ROUND_TRIP(state)
ROUND_TRIP(sync)
ROUND_TRIP(member)
ROUND_TRIP(settings)
ROUND_TRIP(intent)
ROUND_TRIP(order)

/* An entry is behind all there were, and those are as they were. */
static void history_round(const char *text, size_t size)
{
    static struct keeper_history_entry before[KEEPER_HISTORY_MAX + 1];
    static struct keeper_history_entry after[KEEPER_HISTORY_MAX + 1];
    const struct keeper_history_entry entry = {.term = 7, .node = "db1", .lsn = 9};
    struct rc_buffer longer = {.max = TEXT_MAX};
    size_t had = 0;
    size_t has = 0;

    int err = keeper_history_read(text, size, before, KEEPER_HISTORY_MAX + 1, &had);
    assert(err == RC_OK || had == 0);
    keeper_history_add(text, size, &entry, &longer);
    err = keeper_history_read(rc_buffer_string(&longer), longer.size, after,
                              KEEPER_HISTORY_MAX + 1, &has);
    assert(err == RC_OK && has >= 1 && has <= KEEPER_HISTORY_MAX);
    assert(had >= KEEPER_HISTORY_MAX || has == had + 1);
    assert(are_same(&after[has - 1], &entry, sizeof entry));
    for (size_t i = 0; i + 1 < has; i++) {
        assert(are_same(&after[i], &before[had - has + 1 + i], sizeof entry));
    }
    rc_buffer_fini(&longer);
}

/* Lines: a key, a space, a value. Whatever they are, a copy is the same. */
static void view_round(const char *text, size_t size)
{
    static struct keeper_view view;
    static struct keeper_view copy;
    char key[KEEPER_KEY_MAX];
    uint64_t index = 0;

    keeper_view_init(&view, "db1");
    keeper_view_init(&copy, "");
    for (size_t at = 0; at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t line = end != NULL ? (size_t)(end - text) - at : size - at;
        const char *space = memchr(text + at, ' ', line);
        size_t key_size = space != NULL ? (size_t)(space - text) - at : 0;
        index++;
        if (key_size > 0 && key_size < sizeof key) {
            memcpy(key, text + at, key_size);
            key[key_size] = '\0';
            (void)keeper_view_add(
                &view, &(struct keeper_pair){.key = key,
                                             .value = text + at + key_size + 1,
                                             .size = line - key_size - 1,
                                             .modify_index = index,
                                             .session = index % 2 == 0 ? "s1" : NULL,
                                             .term = index});
        }
        at += line + 1;
    }
    assert(view.seat_count <= KEEPER_MEMBERS_MAX);
    assert(keeper_view_copy(&copy, &view) == RC_OK);
    assert(are_same(copy.seats, view.seats, sizeof view.seats));
    assert(are_same(&copy.sync, &view.sync, sizeof view.sync));
    assert(copy.history.size == view.history.size);
    keeper_view_fini(&view);
    keeper_view_fini(&copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const rounds[KINDS])(const char *, size_t) = {
        lease_round,  state_round, sync_round,    member_round, settings_round,
        intent_round, order_round, history_round, view_round};

    if (size > 0) {
        rounds[data[0] % KINDS]((const char *)data + 1, size - 1);
    }
    return 0;
}
