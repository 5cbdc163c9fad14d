/* store_read.c - reads, all from the mirror. */
#include <assert.h>
#include <string.h>

#include "agent/store/store_state.h"
#include "base/err.h"

struct store_freshness store_freshness(const struct store *store, uint64_t now_ms)
{
    struct engine_status status;

    bool is_complete = store->engine->class->is_own && store->is_loaded;

    store->engine->class->status(store->engine, &status);
    return (struct store_freshness){.is_loaded = store->is_loaded,
                                    .age_ms =
                                        !is_complete && now_ms > store->fresh_as_of_ms
                                            ? now_ms - store->fresh_as_of_ms
                                            : 0,
                                    .knows_leader = status.has_leader};
}

bool store_is_loaded(const struct store *store)
{
    return store->is_loaded;
}

bool store_is_restoring(const struct store *store)
{
    return store->is_restoring;
}

const char *store_restored_by(const struct store *store)
{
    return store->is_restoring ? store->restored_by : "";
}

bool read_held(const struct store *store, struct rc_pack_bytes key,
               struct held_record *out, uint64_t *mod_revision)
{
    struct engine_item item;

    if (!mirror_get(store->tables[TABLE_HELD], key, &item) ||
        held_record_read(item.value, out) != RC_OK) {
        *mod_revision = 0;
        return false;
    }
    *mod_revision = item.mod_revision;
    return true;
}

bool read_lives(const struct store *store, const struct held_record *held)
{
    struct engine_item item;

    return held->session != NULL &&
           mirror_get(store->tables[STORE_SESSIONS], rc_pack_text(held->session),
                      &item) &&
           item.create_revision == held->session_revision;
}

static bool show_pair(const struct store *store, enum store_table table,
                      const struct engine_item *item, struct store_pair *out)
{
    struct kv_record record = {.value = item->value};
    struct held_record held = {.session = NULL};
    uint64_t term = 0;

    if (table == STORE_KV && kv_record_read(item->value, &record) != RC_OK) {
        return false;
    }
    if (table == STORE_KV) {
        (void)read_held(store, item->key, &held, &term);
    }
    *out = (struct store_pair){.key = item->key,
                               .value = record.value,
                               .flags = record.flags,
                               .lock_index = record.lock_index,
                               .create_index = item->create_revision,
                               .modify_index = item->mod_revision,
                               .term = held.session != NULL ? term : 0,
                               .session = held.session};
    return true;
}

bool store_read(const struct store *store, enum store_table table,
                struct rc_pack_bytes key, struct store_pair *out)
{
    struct engine_item item;

    assert(table < STORE_TABLE_COUNT);
    return mirror_get(store->tables[table], key, &item) &&
           show_pair(store, table, &item, out);
}

bool store_next(const struct store *store, enum store_table table,
                struct rc_pack_bytes prefix, struct rc_pack_bytes after,
                struct store_pair *out)
{
    struct engine_item item;

    assert(table < STORE_TABLE_COUNT);
    while (mirror_next(store->tables[table], prefix, after, &item)) {
        if (show_pair(store, table, &item, out)) {
            return true;
        }
        after = item.key;
    }
    return false;
}

uint64_t store_key_index(const struct store *store, enum store_table table,
                         struct rc_pack_bytes key)
{
    uint64_t index = mirror_key_index(store->tables[table], key);

    return index > 0 ? index : 1;
}

uint64_t store_prefix_index(const struct store *store, enum store_table table,
                            struct rc_pack_bytes prefix)
{
    uint64_t index = mirror_prefix_index(store->tables[table], prefix);

    return index > 0 ? index : 1;
}

/* ---- sessions */

static bool show_session(const struct store *store, const struct engine_item *item,
                         struct store_session *out)
{
    if (item->key.size + 1 != STORE_ID_SIZE ||
        session_record_read(item->value, store->slots, out) != RC_OK) {
        return false;
    }
    memcpy(out->id, item->key.at, item->key.size);
    out->id[item->key.size] = '\0';
    out->create_index = item->create_revision;
    out->modify_index = item->mod_revision;
    return true;
}

bool store_read_session(const struct store *store, const char *id,
                        struct store_session *out)
{
    struct engine_item item;

    return mirror_get(store->tables[STORE_SESSIONS], rc_pack_text(id), &item) &&
           show_session(store, &item, out);
}

bool store_next_session(const struct store *store, const char *after,
                        struct store_session *out)
{
    const struct rc_pack_bytes all = {.at = (const uint8_t *)"", .size = 0};
    struct rc_pack_bytes from = {NULL, 0};
    struct engine_item item;

    if (after != NULL) {
        from = rc_pack_text(after);
    }
    while (mirror_next(store->tables[STORE_SESSIONS], all, from, &item)) {
        if (show_session(store, &item, out)) {
            return true;
        }
        from = item.key;
    }
    return false;
}
