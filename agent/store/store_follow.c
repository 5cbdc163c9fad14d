/* store_follow.c - what the engine tells goes into the mirror, and to the listener. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "agent/store/store_state.h"
#include "base/err.h"

enum { SHORT_TTL_MS = 5000 };

/* Which table a key of the engine is in; `name` is what follows the table's prefix. */
static bool find_table(struct rc_pack_bytes key, unsigned *table,
                       struct rc_pack_bytes *name)
{
    for (unsigned i = 0; i < TABLE_COUNT; i++) {
        struct rc_pack_bytes prefix = rc_pack_text(store_table_prefix(i));
        if (mirror_starts_with(key, prefix)) {
            *table = i;
            *name = (struct rc_pack_bytes){.at = key.at + prefix.size,
                                           .size = key.size - prefix.size};
            return true;
        }
    }
    return false;
}

/* Somebody else may write into the engine: what cannot be read is not there. */
static bool is_readable(struct store *store, unsigned table, struct rc_pack_bytes name,
                        struct rc_pack_bytes value)
{
    struct kv_record kv;
    struct held_record held;
    struct store_session session;
    bool is_good = name.size <= STORE_KEY_MAX;

    if (table == STORE_KV) {
        is_good = is_good && kv_record_read(value, &kv) == RC_OK;
    } else if (table == TABLE_HELD) {
        is_good = is_good && held_record_read(value, &held) == RC_OK;
    } else if (table == STORE_SESSIONS) {
        is_good = name.size + 1 == STORE_ID_SIZE &&
                  memchr(name.at, '\0', name.size) == NULL &&
                  session_record_read(value, store->slots, &session) == RC_OK;
    }
    store->records_refused += !is_good;
    return is_good;
}

/* ---- the listener hears of a revision when it is complete */

static void note(struct store *store, unsigned table, struct rc_pack_bytes name)
{
    uint32_t size = (uint32_t)name.size;

    if (table >= STORE_TABLE_COUNT) {
        return;
    }
    rc_buffer_append(&store->changes, &table, sizeof table);
    rc_buffer_append(&store->changes, &size, sizeof size);
    rc_buffer_append(&store->changes, name.at, name.size);
    rc_buffer_byte(&store->changes, 0);
}

static void tell_change(struct store *store, unsigned table, struct rc_pack_bytes name,
                        uint64_t revision)
{
    const struct store_listener *l = &store->listener;
    struct engine_item item;

    if (l->changed != NULL) {
        l->changed(l->context, (enum store_table)table, name, revision);
    }
    if (table == STORE_SESSIONS && l->session_ended != NULL &&
        !mirror_get(store->tables[table], name, &item)) {
        l->session_ended(l->context, (const char *)name.at);
    }
}

static void tell_changes(struct store *store, uint64_t revision)
{
    struct rc_cursor in = rc_cursor_over(store->changes.bytes, store->changes.size);

    while (rc_cursor_left(&in) > 0) {
        unsigned table = 0;
        uint32_t size = 0;
        memcpy(&table, rc_cursor_take(&in, sizeof table), sizeof table);
        memcpy(&size, rc_cursor_take(&in, sizeof size), sizeof size);
        const uint8_t *at = rc_cursor_take(&in, size + (size_t)1);
        tell_change(store, table, (struct rc_pack_bytes){.at = at, .size = size},
                    revision);
    }
    store->is_broken = store->is_broken || store->changes.err != RC_OK;
    rc_buffer_clear(&store->changes);
}

/* ---- one key */

/* Before it changes in the mirror: what that means for locks. */
static void look_at_locks(struct store *store, unsigned table, struct rc_pack_bytes name,
                          const struct engine_item *now)
{
    struct engine_item old;
    bool was_there = mirror_get(store->tables[table], name, &old);

    if (table == TABLE_HELD) {
        settle_held(store, name, was_there ? &old : NULL, now);
    } else if (table == STORE_SESSIONS && was_there && now == NULL) {
        char id[STORE_ID_SIZE] = "";
        memcpy(id, name.at, name.size < sizeof id ? name.size : sizeof id - 1);
        settle_touch_session(store, id);
    } else if (table == STORE_KV && mirror_get(store->tables[TABLE_HELD], name, &old)) {
        settle_touch(store, name);
    }
}

static void take_away(struct store *store, unsigned table, struct rc_pack_bytes name,
                      uint64_t revision)
{
    look_at_locks(store, table, name, NULL);
    mirror_remove(store->tables[table], name, revision);
    note(store, table, name);
}

/* Sessions of few seconds: how late their end is noticed counts. */
static void hurry(struct store *store, const struct engine_item *item)
{
    struct store_session session;

    if (session_record_read(item->value, store->slots, &session) == RC_OK &&
        item->lease != 0 && session.ttl_ms > 0 && session.ttl_ms <= SHORT_TTL_MS) {
        engine_hurry(store->engine, item->lease);
    }
}

static bool is_mark(struct rc_pack_bytes key)
{
    return rc_pack_equals(key, rc_pack_text(STORE_RESTORING));
}

void follow_put(void *context, const struct engine_item *item)
{
    struct store *store = context;
    struct engine_item named = *item;
    unsigned table = 0;

    if (is_mark(item->key)) {
        *(store->is_reloading ? &store->incoming_restoring : &store->is_restoring) = true;
        (void)snprintf(store->restored_by, sizeof store->restored_by, "%.*s",
                       (int)(item->value.size < STORE_BY_SIZE ? item->value.size : 0),
                       (const char *)item->value.at);
    }
    if (!find_table(item->key, &table, &named.key)) {
        return;
    }
    bool is_good = is_readable(store, table, named.key, item->value);
    if (is_good && table == STORE_SESSIONS) {
        hurry(store, item);
    }
    if (store->is_reloading) {
        if (is_good && mirror_put(store->incoming[table], &named) != RC_OK) {
            store->is_broken = true;
        }
        return;
    }
    if (!is_good) {
        take_away(store, table, named.key, item->mod_revision);
        return;
    }
    look_at_locks(store, table, named.key, &named);
    if (mirror_put(store->tables[table], &named) != RC_OK) {
        store->is_broken = true;
    }
    note(store, table, named.key);
}

void follow_removed(void *context, struct rc_pack_bytes key, uint64_t revision)
{
    struct store *store = context;
    struct rc_pack_bytes name = {NULL, 0};
    unsigned table = 0;

    if (!store->is_reloading && is_mark(key)) {
        store->is_restoring = false;
    }
    if (!store->is_reloading && find_table(key, &table, &name)) {
        take_away(store, table, name, revision);
    }
}

/* ---- everything anew */

static size_t tombstones_of(unsigned table)
{
    return table < STORE_TABLE_COUNT ? TOMBSTONES_MAX : 0;
}

void follow_begin(void *context)
{
    struct store *store = context;

    store->is_reloading = true;
    store->incoming_restoring = false;
    for (unsigned i = 0; i < TABLE_COUNT; i++) {
        mirror_destroy(store->incoming[i]);
        store->incoming[i] = mirror_create(tombstones_of(i));
        store->is_broken = store->is_broken || store->incoming[i] == NULL;
    }
}

static void tell_lost_sessions(struct store *store, const struct mirror *old)
{
    const struct rc_pack_bytes all = {.at = (const uint8_t *)"", .size = 0};
    struct engine_item item = {.key = {NULL, 0}};
    struct engine_item now;

    while (mirror_next(old, all, item.key, &item)) {
        char id[STORE_ID_SIZE] = "";
        memcpy(id, item.key.at, STORE_ID_SIZE - 1);
        if (!mirror_get(store->tables[STORE_SESSIONS], item.key, &now) &&
            store->listener.session_ended != NULL) {
            store->listener.session_ended(store->listener.context, id);
        }
    }
}

/* What has gone meanwhile left no tombstones: the floor rises to this revision instead. */
static void take_over(struct store *store, uint64_t revision)
{
    struct mirror *old_sessions = store->tables[STORE_SESSIONS];

    for (unsigned i = 0; i < TABLE_COUNT; i++) {
        mirror_raise_floor(store->incoming[i], revision);
        if (i != STORE_SESSIONS) {
            mirror_destroy(store->tables[i]);
        }
        store->tables[i] = store->incoming[i];
        store->incoming[i] = NULL;
    }
    store->is_reloading = false;
    store->is_restoring = store->incoming_restoring;
    store->is_loaded = true;
    store->revision = revision;
    settle_rebuild(store);
    tell_lost_sessions(store, old_sessions);
    mirror_destroy(old_sessions);
    if (store->listener.reloaded != NULL) {
        store->listener.reloaded(store->listener.context);
    }
}

void follow_end(void *context, uint64_t revision)
{
    struct store *store = context;

    if (store->is_broken) {
        store->is_loaded = false; /* it is not what the engine has: nobody may read it */
        return;
    }
    if (store->is_reloading) {
        take_over(store, revision);
    } else {
        assert(revision >= store->revision);
        store->revision = revision;
        settle_look(store);
        tell_changes(store, revision);
    }
    request_wake(store);
}
