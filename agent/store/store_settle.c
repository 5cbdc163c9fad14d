/* store_settle.c - locks whose session has ended, and the delays that follow them.
 *
 * When a session ends its keys still name it, here and in every other server. Whoever sees it
 * first writes down in one transaction what that means: the key again, so that its index moves
 * (or it goes, if that is the session's behaviour), and in held/ the delay, or nothing. The
 * compares let only one of the servers do it. A key that went while it was held frees its lock
 * without a delay.
 *
 * A delay counts from when this server first saw it, on its own clock: later than the engine,
 * never earlier. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/store/store_state.h"
#include "base/err.h"

enum { SETTLE_AGAIN_MS = 100 };

static const struct rc_pack_bytes everything = {.at = (const uint8_t *)"", .size = 0};

static void remember(struct store *store, struct mirror *mirror,
                     const struct engine_item *item)
{
    if (mirror_put(mirror, item) != RC_OK) {
        store->is_broken = true;
    }
}

/* ---- who holds what */

/* "<session>/<key>" in `store->scratch`. */
static struct rc_pack_bytes hold_key(struct store *store, const char *session,
                                     struct rc_pack_bytes key)
{
    rc_buffer_clear(&store->scratch);
    rc_buffer_text(&store->scratch, session);
    rc_buffer_byte(&store->scratch, '/');
    rc_buffer_append(&store->scratch, key.at, key.size);
    store->is_broken = store->is_broken || store->scratch.err != RC_OK;
    return (struct rc_pack_bytes){.at = store->scratch.bytes,
                                  .size = store->scratch.size};
}

void settle_touch(struct store *store, struct rc_pack_bytes key)
{
    remember(store, store->touched, &(struct engine_item){.key = key});
}

void settle_touch_session(struct store *store, const char *session)
{
    struct engine_item item = {.key = {NULL, 0}};
    char prefix[STORE_ID_SIZE + 1];
    size_t size = strlen(session) + 1;

    memcpy(prefix, session, size);
    prefix[size - 1] = '/';
    const struct rc_pack_bytes all = {.at = (const uint8_t *)prefix, .size = size};
    while (mirror_next(store->holds, all, item.key, &item)) {
        settle_touch(store, (struct rc_pack_bytes){.at = item.key.at + size,
                                                   .size = item.key.size - size});
    }
}

static void start_delay(struct store *store, const struct engine_item *held)
{
    remember(store, store->delays,
             &(struct engine_item){.key = held->key, .mod_revision = held->mod_revision});
    store->has_uncounted_delays = true;
}

void settle_held(struct store *store, struct rc_pack_bytes key,
                 const struct engine_item *old, const struct engine_item *now)
{
    struct held_record record;

    if (old != NULL && held_record_read(old->value, &record) == RC_OK &&
        record.session != NULL) {
        mirror_remove(store->holds, hold_key(store, record.session, key), 1);
    }
    mirror_remove(store->delays, key, 1);
    if (now != NULL && held_record_read(now->value, &record) == RC_OK) {
        if (record.session != NULL) {
            remember(store, store->holds,
                     &(struct engine_item){.key = hold_key(store, record.session, key)});
        } else {
            start_delay(store, now);
        }
    }
    settle_touch(store, key);
}

/* ---- what is unsettled */

/* It is held by a session that has ended, or it is held and not there. */
static bool is_unsettled(const struct store *store, struct rc_pack_bytes key)
{
    struct held_record held;
    struct engine_item item;
    uint64_t mod_revision = 0;

    return read_held(store, key, &held, &mod_revision) && held.session != NULL &&
           (!read_lives(store, &held) ||
            !mirror_get(store->tables[STORE_KV], key, &item));
}

static void look_at(struct store *store, struct rc_pack_bytes key)
{
    struct engine_item item;

    if (!is_unsettled(store, key)) {
        mirror_remove(store->unsettled, key, 1);
    } else if (!mirror_get(store->unsettled, key, &item)) {
        remember(store, store->unsettled,
                 &(struct engine_item){.key = key, .mod_revision = store->revision});
    }
}

bool settle_is_pending(const struct store *store, struct rc_pack_bytes key)
{
    struct engine_item item;

    return mirror_get(store->unsettled, key, &item);
}

bool settle_is_behind(const struct store *store, const struct store_op *op,
                      uint64_t revision)
{
    struct engine_item item = {.key = {NULL, 0}};

    if (op->table != STORE_KV) {
        return false;
    }
    if (op->verb != STORE_GET_TREE && op->verb != STORE_DELETE_TREE) {
        return mirror_get(store->unsettled, op->key, &item) &&
               item.mod_revision <= revision;
    }
    while (mirror_next(store->unsettled, op->key, item.key, &item)) {
        if (item.mod_revision <= revision) {
            return true;
        }
    }
    return false;
}

/* ---- writing it down */

struct settlement {
    struct store *store;
    size_t key_size;
    uint8_t key[];
};

static void on_settled(void *context, const struct engine_answer *answer)
{
    struct settlement *s = context;
    struct store *store = s->store;
    const struct rc_pack_bytes key = {.at = s->key, .size = s->key_size};
    struct engine_item item;

    store->is_closed = store->is_closed || answer->err == RC_ECLOSED;
    /* If it was done the follower says so and takes it from the list. */
    if (mirror_get(store->unsettled, key, &item) &&
        (answer->err != RC_OK || !answer->succeeded)) {
        item.create_revision = 0;
        item.lease = store->now_ms + SETTLE_AGAIN_MS;
        remember(store, store->unsettled, &item);
        store->next_settle_ms =
            item.lease < store->next_settle_ms ? item.lease : store->next_settle_ms;
    }
    free(s);
}

struct engine_names {
    uint8_t kv[STORE_KEY_MAX + 16];
    uint8_t held[STORE_KEY_MAX + 16];
    char session[STORE_ID_SIZE + 16];
};

static struct rc_pack_bytes name_in(uint8_t *space, const char *prefix,
                                    struct rc_pack_bytes key)
{
    size_t size = strlen(prefix);

    assert(key.size <= STORE_KEY_MAX);
    memcpy(space, prefix, size); // NOLINT(bugprone-not-null-terminated-result): bytes
    memcpy(space + size, key.at, key.size);
    return (struct rc_pack_bytes){.at = space, .size = size + key.size};
}

/* What is known of a key that is unsettled. */
struct unsettled {
    struct held_record held;
    uint64_t held_revision;
    struct engine_item kv;
    bool is_there;
    bool lives; /* its session: the key went without it */
};

static void find_out(const struct store *store, struct rc_pack_bytes key,
                     struct unsettled *out)
{
    *out = (struct unsettled){.held_revision = 0};
    bool is_held = read_held(store, key, &out->held, &out->held_revision);
    assert(is_held && out->held.session != NULL);
    (void)is_held;
    out->is_there = mirror_get(store->tables[STORE_KV], key, &out->kv);
    out->lives = read_lives(store, &out->held);
}

/* Compares what was planned from, so that all servers may try. */
static void ask(struct store *store, struct settlement *s, struct rc_pack_bytes key)
{
    struct engine_names names;
    struct unsettled known;
    const struct rc_pack_bytes kv_key = name_in(names.kv, "kv/", key);
    const struct rc_pack_bytes held_key = name_in(names.held, "held/", key);

    find_out(store, key, &known);
    const struct held_record *held = &known.held;
    (void)snprintf(names.session, sizeof names.session, "session/%s", held->session);
    const struct engine_compare compares[] = {
        {held_key, ENGINE_MOD_REVISION, ENGINE_EQUAL, known.held_revision},
        {kv_key, ENGINE_MOD_REVISION, ENGINE_EQUAL, known.kv.mod_revision},
        {rc_pack_text(names.session), ENGINE_CREATE_REVISION, ENGINE_NOT_EQUAL,
         held->session_revision}};
    rc_buffer_clear(&store->scratch);
    held_record_write(&store->scratch,
                      &(struct held_record){.lock_delay_ms = held->lock_delay_ms});
    bool delays = held->lock_delay_ms > 0 && !known.lives;
    const struct engine_op ops[] = {
        {.verb = delays ? ENGINE_PUT : ENGINE_DELETE,
         .key = held_key,
         .value = {.at = store->scratch.bytes, .size = delays ? store->scratch.size : 0}},
        {.verb = held->behavior == STORE_DELETE ? ENGINE_DELETE : ENGINE_PUT,
         .key = kv_key,
         .value = known.kv.value,
         .lease = known.kv.lease}}; /* a key that goes by itself still does */
    const struct engine_txn txn = {.compares = compares,
                                   .compare_count = known.lives ? 2 : 3,
                                   .then = ops,
                                   .then_count = known.is_there ? 2 : 1};
    engine_txn(store->engine, &txn, on_settled, s);
}

static void settle_key(struct store *store, const struct engine_item *item)
{
    struct engine_item asked = *item;
    struct settlement *s = malloc(sizeof *s + item->key.size);

    if (s == NULL) {
        return; /* the next tick tries again */
    }
    s->store = store;
    s->key_size = item->key.size;
    memcpy(s->key, item->key.at, item->key.size);
    asked.create_revision = 1;
    asked.value = (struct rc_pack_bytes){NULL, 0};
    remember(store, store->unsettled, &asked);
    ask(store, s, (struct rc_pack_bytes){.at = s->key, .size = s->key_size});
}

static void settle_due(struct store *store)
{
    struct engine_item item = {.key = {NULL, 0}};
    uint64_t next_ms = UINT64_MAX;

    while (!store->is_closed &&
           mirror_next(store->unsettled, everything, item.key, &item)) {
        if (item.create_revision == 0 && item.lease <= store->now_ms) {
            settle_key(store, &item);
        } else if (item.create_revision == 0 && item.lease < next_ms) {
            next_ms = item.lease;
        }
    }
    store->next_settle_ms = next_ms;
}

void settle_look(struct store *store)
{
    struct engine_item item;

    while (
        mirror_next(store->touched, everything, (struct rc_pack_bytes){NULL, 0}, &item)) {
        look_at(store, item.key);
        mirror_remove(store->touched, item.key, 1);
    }
    if (mirror_count(store->unsettled) > 0) {
        settle_due(store);
    }
}

/* ---- delays */

bool settle_delays(const struct store *store, struct rc_pack_bytes key)
{
    struct engine_item item;

    return mirror_get(store->delays, key, &item) &&
           (item.create_revision == 0 || item.create_revision > store->now_ms);
}

/* A delay that is over needs no record any more; whoever is first deletes it. */
static void on_delay_deleted(void *context, const struct engine_answer *answer)
{
    struct store *store = context;

    store->is_closed = store->is_closed || answer->err == RC_ECLOSED;
}

static void end_delay(struct store *store, const struct engine_item *delay)
{
    uint8_t name[STORE_KEY_MAX + 16];
    const struct rc_pack_bytes key = name_in(name, "held/", delay->key);
    const struct engine_compare compare = {key, ENGINE_MOD_REVISION, ENGINE_EQUAL,
                                           delay->mod_revision};
    const struct engine_op op = {.verb = ENGINE_DELETE, .key = key};
    const struct engine_txn txn = {
        .compares = &compare, .compare_count = 1, .then = &op, .then_count = 1};

    engine_txn(store->engine, &txn, on_delay_deleted, store);
}

/* Gives those that are new their end; a delay is said by the record itself. */
static uint64_t end_of(const struct store *store, const struct engine_item *delay)
{
    struct held_record held;
    uint64_t mod_revision = 0;

    if (!read_held(store, delay->key, &held, &mod_revision)) {
        return store->now_ms;
    }
    return held.lock_delay_ms < UINT64_MAX - store->now_ms
               ? store->now_ms + held.lock_delay_ms
               : UINT64_MAX;
}

void settle_tick(struct store *store)
{
    struct engine_item item = {.key = {NULL, 0}};

    if (store->has_uncounted_delays || store->next_delay_ms <= store->now_ms) {
        store->has_uncounted_delays = false;
        store->next_delay_ms = UINT64_MAX;
        while (mirror_next(store->delays, everything, item.key, &item)) {
            bool is_new = item.create_revision == 0;
            item.create_revision = is_new ? end_of(store, &item) : item.create_revision;
            if (!is_new && item.create_revision <= store->now_ms) {
                end_delay(store, &item);
                item.create_revision =
                    store->now_ms + REQUEST_MAX_MS; /* asks again then */
            } else {
                remember(store, store->delays, &item);
            }
            store->next_delay_ms = item.create_revision < store->next_delay_ms
                                       ? item.create_revision
                                       : store->next_delay_ms;
        }
    }
    if (store->next_settle_ms <= store->now_ms) {
        settle_due(store);
    }
}

uint64_t settle_deadline_ms(const struct store *store)
{
    if (store->has_uncounted_delays) {
        return 0;
    }
    return store->next_delay_ms < store->next_settle_ms ? store->next_delay_ms
                                                        : store->next_settle_ms;
}

/* ---- after a reload */

/* Delays that were being counted go on, if their record is the same. */
static void keep_count(struct store *store, const struct mirror *old,
                       const struct engine_item *held)
{
    struct engine_item counted;

    if (mirror_get(old, held->key, &counted) &&
        counted.mod_revision == held->mod_revision) {
        remember(store, store->delays, &counted);
    }
}

void settle_rebuild(struct store *store)
{
    struct mirror *old_delays = store->delays;
    struct engine_item item = {.key = {NULL, 0}};

    mirror_destroy(store->holds);
    mirror_destroy(store->touched);
    store->holds = mirror_create(0);
    store->touched = mirror_create(0);
    store->delays = mirror_create(0);
    if (store->holds == NULL || store->touched == NULL || store->delays == NULL) {
        abort(); /* nothing can go on without them */
    }
    while (mirror_next(store->unsettled, everything, item.key, &item)) {
        settle_touch(store, item.key);
    }
    item.key = (struct rc_pack_bytes){NULL, 0};
    while (mirror_next(store->tables[TABLE_HELD], everything, item.key, &item)) {
        settle_held(store, item.key, NULL, &item);
        if (mirror_get(store->delays, item.key, &(struct engine_item){.lease = 0})) {
            keep_count(store, old_delays, &item);
        }
    }
    mirror_destroy(old_delays);
    store->next_delay_ms = 0;
    settle_look(store);
}
