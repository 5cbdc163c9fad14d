/* store_restore.c - an archive into the store, in place of all that is there.
 *
 * No engine takes it all in one transaction. So the first step writes a mark that all stores
 * see and empties the tables, the last one takes the mark away; between them nobody is
 * answered. When whoever does it dies on the way, the mark stays until it is done again. Each
 * step but the first asks for the mark of its own first step: of two restores the later one goes
 * on, and the earlier writes nothing between. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/store/archive.h"
#include "agent/store/store_state.h"
#include "base/err.h"

enum {
    PUTS_MAX = 100,          /* in one step */
    STEP_BYTES_MAX = 1 << 20 /* and so many bytes, or a single record */
};

struct restore {
    struct store *store;
    store_done *done;
    void *context;
    struct rc_buffer bytes; /* the archive, owned */
    struct archive archive;
    struct archive_record pending; /* read, but did not fit into its step */
    bool has_pending;
    bool is_over; /* every record is in: the mark goes with the last step */
    uint64_t written;
    uint64_t revision;
    uint64_t mark_revision; /* of our own mark; 0: it is not there yet */
    char by[STORE_BY_SIZE];
    struct engine_op ops[PUTS_MAX + 1];
    size_t count;
    struct rc_buffer space; /* of the step's keys and values */
};

static struct rc_pack_bytes mark_key(void)
{
    return rc_pack_text(STORE_RESTORING);
}

static void end(struct restore *restore, int err, const char *text)
{
    const struct store_outcome outcome = {.err = err,
                                          .text = text,
                                          .succeeded = err == RC_OK,
                                          .revision = restore->revision};

    restore->done(restore->context, &outcome);
    rc_buffer_fini(&restore->bytes);
    rc_buffer_fini(&restore->space);
    free(restore);
}

static void on_step(void *context, const struct engine_answer *answer);

static void ask(struct restore *restore)
{
    const struct engine_compare is_ours = {mark_key(), ENGINE_MOD_REVISION, ENGINE_EQUAL,
                                           restore->mark_revision};
    const struct engine_txn txn = {.compares = &is_ours,
                                   .compare_count = restore->mark_revision != 0,
                                   .then = restore->ops,
                                   .then_count = restore->count};

    engine_txn(restore->store->engine, &txn, on_step, restore);
}

/* Everything goes, sessions and locks too, and the mark comes. */
static void begin(struct restore *restore)
{
    restore->ops[restore->count++] = (struct engine_op){
        .verb = ENGINE_PUT, .key = mark_key(), .value = rc_pack_text(restore->by)};
    for (unsigned i = 0; i < TABLE_COUNT; i++) {
        restore->ops[restore->count++] = (struct engine_op){
            .verb = ENGINE_DELETE_PREFIX, .key = rc_pack_text(store_table_prefix(i))};
    }
    ask(restore);
}

/* A slice of `space`, which has room for it: it must not move. */
static struct rc_pack_bytes keep(struct restore *restore, size_t from)
{
    return (struct rc_pack_bytes){restore->space.bytes + from,
                                  restore->space.size - from};
}

/* Adds one record's put to the step. False: it does not fit, or is of a table unknown here. */
static bool add(struct restore *restore, const struct archive_record *record)
{
    enum store_table table;
    const size_t head = 64; /* prefix and record's head at most */

    if (store_archive_table(record->table, &table) != RC_OK) {
        return true;
    }
    size_t needed = record->key.size + record->value.size + head;
    if (restore->count >= PUTS_MAX ||
        (restore->count > 0 && restore->space.size + needed > STEP_BYTES_MAX)) {
        return false;
    }
    if (restore->count == 0) {
        size_t room = needed > STEP_BYTES_MAX ? needed : STEP_BYTES_MAX;
        (void)rc_buffer_reserve(&restore->space, room);
    }
    size_t at = restore->space.size;
    rc_buffer_text(&restore->space, store_table_prefix(table));
    rc_buffer_append(&restore->space, record->key.at, record->key.size);
    struct rc_pack_bytes key = keep(restore, at);
    at = restore->space.size;
    if (table == STORE_KV) {
        const struct kv_record kv = {.flags = record->flags, .value = record->value};
        kv_record_write(&restore->space, &kv);
    } else {
        rc_buffer_append(&restore->space, record->value.at, record->value.size);
    }
    restore->ops[restore->count++] =
        (struct engine_op){.verb = ENGINE_PUT, .key = key, .value = keep(restore, at)};
    restore->written++;
    return true;
}

/* The next step's operations. RC_OK, or an error. */
static int fill(struct restore *restore)
{
    struct archive_record record;
    int err = RC_OK;

    rc_buffer_clear(&restore->space);
    restore->count = 0;
    while (err == RC_OK) {
        if (restore->has_pending) {
            record = restore->pending;
            restore->has_pending = false;
        } else {
            err = archive_next(&restore->archive, &record);
        }
        if (err == RC_OK && !add(restore, &record)) {
            restore->pending = record;
            restore->has_pending = true;
            return restore->space.err;
        }
    }
    if (err == RC_ENOTFOUND) {
        restore->is_over = true;
        restore->ops[restore->count++] =
            (struct engine_op){.verb = ENGINE_DELETE, .key = mark_key()};
        err = RC_OK;
    }
    return err == RC_OK ? restore->space.err : err;
}

static void on_step(void *context, const struct engine_answer *answer)
{
    struct restore *restore = context;
    char text[STORE_TEXT_MAX];

    if (answer->err == RC_OK && !answer->succeeded) {
        end(restore, RC_ECONFLICT,
            "another restore was begun meanwhile, and replaces all of this one");
        return;
    }
    if (answer->err == RC_OK) {
        restore->revision = answer->revision;
        restore->mark_revision =
            restore->mark_revision != 0 ? restore->mark_revision : answer->revision;
    }
    if (answer->err == RC_OK && restore->is_over) {
        end(restore, RC_OK, "");
        return;
    }
    int err = answer->err == RC_OK ? fill(restore) : answer->err;
    if (err == RC_OK) {
        ask(restore);
        return;
    }
    (void)snprintf(
        text, sizeof text,
        "the restore was cut short after %llu of %llu records (%s); do it again: "
        "until then the store refuses all else",
        (unsigned long long)restore->written,
        (unsigned long long)restore->archive.header.count,
        answer->err != RC_OK && answer->text[0] != '\0' ? answer->text
                                                        : rc_strerror(err));
    end(restore, err == RC_EUNKNOWN ? RC_EAGAIN : err, text);
}

/* With a copy of the bytes, tested. NULL with `*err` and `error`. */
static struct restore *open_archive(const void *bytes, size_t size,
                                    char error[ARCHIVE_ERROR_MAX], int *err)
{
    struct restore *restore = calloc(1, sizeof *restore);

    if (restore != NULL) {
        rc_buffer_append(&restore->bytes, bytes, size);
    }
    if (restore == NULL || restore->bytes.err != RC_OK) {
        (void)snprintf(error, ARCHIVE_ERROR_MAX, "out of memory");
        *err = RC_ENOMEM;
    } else {
        *err = archive_open(restore->bytes.bytes, restore->bytes.size, &restore->archive,
                            error);
    }
    if (*err != RC_OK && restore != NULL) {
        rc_buffer_fini(&restore->bytes);
        free(restore);
        restore = NULL;
    }
    return restore;
}

int store_restore(struct store *store, const struct restore_source *source,
                  char error[ARCHIVE_ERROR_MAX], store_done *done, void *context)
{
    int err;
    struct restore *restore = open_archive(source->bytes, source->size, error, &err);

    if (restore == NULL) {
        return err;
    }
    (void)snprintf(restore->by, sizeof restore->by, "%s", source->by);
    restore->store = store;
    restore->done = done;
    restore->context = context;
    begin(restore);
    return RC_OK;
}
