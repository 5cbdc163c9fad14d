/* store_archive.c - the store into an archive, as the mirror has it at one revision. */
#include <string.h>

#include "agent/store/archive.h"
#include "agent/store/store_state.h"
#include "base/err.h"

/* What a snapshot holds, in this order. */
static const enum store_table tables[] = {STORE_KV,       STORE_QUERIES, STORE_TOKENS,
                                          STORE_POLICIES, STORE_ROLES,   STORE_SETTINGS};

enum { TABLES = sizeof tables / sizeof tables[0] };

/* The engine's prefix without its slash. */
static struct rc_span name_of(enum store_table table)
{
    const char *prefix = store_table_prefix(table);
    return (struct rc_span){prefix, strlen(prefix) - 1};
}

int store_archive_table(struct rc_span name, enum store_table *out)
{
    for (size_t i = 0; i < TABLES; i++) {
        struct rc_span own = name_of(tables[i]);
        if (own.size == name.size && memcmp(own.at, name.at, own.size) == 0) {
            *out = tables[i];
            return RC_OK;
        }
    }
    return RC_ENOTFOUND;
}

/* The next record behind `after`; what hangs on a lease goes by itself and is left out. */
static bool next(const struct store *store, enum store_table table,
                 struct rc_pack_bytes after, struct engine_item *out)
{
    const struct rc_pack_bytes all = {(const uint8_t *)"", 0};

    while (mirror_next(store->tables[table], all, after, out)) {
        if (out->lease == 0) {
            return true;
        }
        after = out->key;
    }
    return false;
}

static void add(struct rc_buffer *out, enum store_table table,
                const struct engine_item *item)
{
    struct archive_record record = {
        .table = name_of(table), .key = item->key, .value = item->value};
    struct kv_record kv;

    if (table == STORE_KV && kv_record_read(item->value, &kv) == RC_OK) {
        record.value = kv.value;
        record.flags = kv.flags;
    }
    archive_add(out, &record);
}

int store_archive(const struct store *store, const struct archive_header *facts,
                  struct rc_buffer *out)
{
    struct archive_header header = *facts;
    struct engine_item item;

    if (!store->is_loaded) {
        return RC_EAGAIN;
    }
    header.revision = store->revision;
    header.count = 0;
    for (size_t i = 0; i < TABLES; i++) {
        item.key = (struct rc_pack_bytes){NULL, 0};
        while (next(store, tables[i], item.key, &item)) {
            header.count++;
        }
    }
    archive_begin(out, &header);
    for (size_t i = 0; i < TABLES; i++) {
        item.key = (struct rc_pack_bytes){NULL, 0};
        while (next(store, tables[i], item.key, &item)) {
            add(out, tables[i], &item);
        }
    }
    archive_end(out);
    return out->err;
}
