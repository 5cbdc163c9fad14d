/* store_plan.c - drafts, compares and operations of one request. */
#include "agent/store/store_plan.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

enum { BLOCK_BYTES = 16 << 10 };

struct arena_block {
    struct arena_block *next;
    size_t size;
    size_t used;
    _Alignas(16) uint8_t bytes[];
};

struct store_plan *plan_create(void)
{
    return calloc(1, sizeof(struct store_plan));
}

/* Keeps a first block of the usual size. */
static void reset_arena(struct store_plan *plan)
{
    struct arena_block *kept = NULL;

    while (plan->blocks != NULL) {
        struct arena_block *block = plan->blocks;
        plan->blocks = block->next;
        if (kept == NULL && block->size == BLOCK_BYTES) {
            kept = block;
            kept->used = 0;
            kept->next = NULL;
        } else {
            free(block);
        }
    }
    plan->blocks = kept;
}

void plan_destroy(struct store_plan *plan)
{
    if (plan == NULL) {
        return;
    }
    reset_arena(plan);
    free(plan->blocks);
    free(plan->results);
    rc_buffer_fini(&plan->buffer);
    free(plan);
}

void *plan_take(struct store_plan *plan, size_t size)
{
    struct arena_block *block = plan->blocks;

    size = (size + 15) & ~(size_t)15;
    if (block == NULL || block->size - block->used < size) {
        size_t room = size > BLOCK_BYTES ? size : BLOCK_BYTES;
        block = malloc(sizeof *block + room);
        if (block == NULL) {
            plan->err = RC_ENOMEM;
            return NULL;
        }
        *block = (struct arena_block){.next = plan->blocks, .size = room};
        plan->blocks = block;
    }
    void *at = block->bytes + block->used;
    block->used += size;
    return at;
}

static struct rc_pack_bytes keep(struct store_plan *plan, const void *bytes, size_t size)
{
    uint8_t *at = plan_take(plan, size + 1);

    if (at == NULL) {
        return (struct rc_pack_bytes){.at = (const uint8_t *)"", .size = 0};
    }
    if (size > 0) {
        memcpy(at, bytes, size);
    }
    at[size] = '\0';
    return (struct rc_pack_bytes){.at = at, .size = size};
}

struct rc_pack_bytes plan_key(struct store_plan *plan, const char *prefix,
                              struct rc_pack_bytes name)
{
    size_t size = strlen(prefix);
    uint8_t *at = plan_take(plan, size + name.size);

    if (at == NULL) {
        return (struct rc_pack_bytes){.at = (const uint8_t *)"", .size = 0};
    }
    memcpy(at, prefix, size); // NOLINT(bugprone-not-null-terminated-result): bytes
    if (name.size > 0) {
        memcpy(at + size, name.at, name.size);
    }
    return (struct rc_pack_bytes){.at = at, .size = size + name.size};
}

struct rc_pack_bytes plan_with_slash(struct store_plan *plan, struct rc_pack_bytes id)
{
    uint8_t *at = plan_take(plan, id.size + 1);

    if (at == NULL) {
        return id;
    }
    memcpy(at, id.at, id.size);
    at[id.size] = '/';
    return (struct rc_pack_bytes){.at = at, .size = id.size + 1};
}

struct rc_pack_bytes plan_session(struct store_plan *plan,
                                  const struct store_session *session)
{
    rc_buffer_clear(&plan->buffer);
    session_record_write(&plan->buffer, session);
    return keep(plan, plan->buffer.bytes, plan->buffer.size);
}

void plan_compare(struct store_plan *plan, struct rc_pack_bytes key,
                  enum engine_target target, enum engine_relation relation,
                  uint64_t number)
{
    for (size_t i = 0; i < plan->compare_count; i++) {
        const struct engine_compare *c = &plan->compares[i];
        if (c->target == target && c->relation == relation && c->number == number &&
            rc_pack_equals(c->key, key)) {
            return;
        }
    }
    if (plan->compare_count == ENGINE_OPS_MAX) {
        plan->err = RC_ETOOBIG;
        return;
    }
    plan->compares[plan->compare_count++] = (struct engine_compare){
        .key = key, .target = target, .relation = relation, .number = number};
}

void plan_op(struct store_plan *plan, const struct engine_op *op)
{
    if (plan->op_count == ENGINE_OPS_MAX) {
        plan->err = RC_ETOOBIG;
        return;
    }
    plan->ops[plan->op_count++] = *op;
}

void plan_fail(struct store_plan *plan, size_t op, const char *format, ...)
{
    char text[FAILURE_SIZE];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    plan->failures[plan->failure_count++] = (struct store_failure){
        .op = op, .what = (const char *)keep(plan, text, strlen(text)).at};
}

void plan_result(struct store_plan *plan, size_t op, const struct store_pair *pair)
{
    if (plan->result_count == plan->result_max) {
        size_t max = plan->result_max == 0 ? 64 : plan->result_max * 2;
        struct store_result *results = realloc(plan->results, max * sizeof *results);
        if (results == NULL) {
            plan->err = RC_ENOMEM;
            return;
        }
        plan->results = results;
        plan->result_max = max;
    }
    plan->results[plan->result_count++] = (struct store_result){.op = op, .pair = *pair};
}

/* ---- drafts */

static void read_draft(struct store_plan *plan, struct draft *d)
{
    const struct store *store = plan->store;

    d->was_there = mirror_get(store->tables[d->table], d->name, &d->was);
    d->now.value = d->was.value;
    if (d->table == STORE_KV) {
        if (d->was_there) {
            (void)kv_record_read(d->was.value, &d->now);
        }
        (void)read_held(store, d->name, &d->held_was, &d->held_mod);
        d->held = d->held_was;
        d->term = d->held.session != NULL ? d->held_mod : 0;
    }
    d->exists = d->was_there;
    d->create_index = d->was.create_revision;
    d->modify_index = d->was.mod_revision;
    d->lease = d->was.lease;
}

struct draft *plan_draft(struct store_plan *plan, enum store_table table,
                         struct rc_pack_bytes name)
{
    for (size_t i = 0; i < plan->draft_count; i++) {
        if (plan->drafts[i].table == table &&
            rc_pack_equals(plan->drafts[i].name, name)) {
            return &plan->drafts[i];
        }
    }
    if (table == STORE_KV && !plan->request->is_stale &&
        settle_is_pending(plan->store, name)) {
        plan->must_wait = true;
        return NULL;
    }
    if (plan->draft_count == DRAFTS_MAX) {
        plan->err = RC_ETOOBIG;
        return NULL;
    }
    struct draft *d = &plan->drafts[plan->draft_count++];
    *d = (struct draft){.table = table,
                        .name = name,
                        .key = plan_key(plan, store_table_prefix(table), name)};
    if (table == STORE_KV) {
        d->held_key = plan_key(plan, store_table_prefix(TABLE_HELD), name);
    }
    read_draft(plan, d);
    return d;
}

/* ---- what the engine is asked */

static void compare_draft(struct store_plan *plan, const struct draft *d)
{
    bool has_session = d->held_was.session != NULL;

    if (d->needs_mod) {
        plan_compare(plan, d->key, ENGINE_MOD_REVISION, ENGINE_EQUAL,
                     d->was.mod_revision);
    } else if (d->needs_create || (d->needs_held && has_session)) {
        /* A held key that is deleted and made again has lost its lock. */
        plan_compare(plan, d->key, ENGINE_CREATE_REVISION, ENGINE_EQUAL,
                     d->was.create_revision);
    }
    /* Who holds a key never changes without the key, as long as it is there. */
    if (d->table == STORE_KV && d->needs_held && !(d->needs_mod && d->was_there)) {
        plan_compare(plan, d->held_key, ENGINE_MOD_REVISION, ENGINE_EQUAL, d->held_mod);
    }
    /* A key goes with the lease that its session has: that may be another by now. */
    if (d->is_changed && has_session && d->was_there && d->was.lease != 0) {
        plan_compare(plan, d->key, ENGINE_LEASE, ENGINE_EQUAL, d->was.lease);
    }
    if (d->needs_session && has_session) {
        plan_compare(plan,
                     plan_key(plan, store_table_prefix(STORE_SESSIONS),
                              rc_pack_text(d->held_was.session)),
                     ENGINE_CREATE_REVISION, ENGINE_EQUAL, d->held_was.session_revision);
    }
}

static void write_held(struct store_plan *plan, const struct draft *d)
{
    struct engine_op op = {.verb = ENGINE_DELETE, .key = d->held_key};

    if (d->held.session != NULL) {
        rc_buffer_clear(&plan->buffer);
        held_record_write(&plan->buffer, &d->held);
        op.verb = ENGINE_PUT;
        op.value = keep(plan, plan->buffer.bytes, plan->buffer.size);
    }
    if (d->held.session != NULL || d->held_mod != 0) {
        plan_op(plan, &op);
    }
}

static void write_draft(struct store_plan *plan, const struct draft *d)
{
    struct engine_op op = {.verb = ENGINE_DELETE, .key = d->key};

    if (d->is_changed && !(d->goes_with_tree && !d->exists)) {
        if (d->exists) {
            op.verb = ENGINE_PUT;
            op.lease = d->lease;
            op.value = d->now.value;
        }
        if (d->exists && d->table == STORE_KV) {
            rc_buffer_clear(&plan->buffer);
            kv_record_write(&plan->buffer, &d->now);
            op.value = keep(plan, plan->buffer.bytes, plan->buffer.size);
        }
        plan_op(plan, &op);
    }
    if (d->held_changed) {
        write_held(plan, d);
    }
}

void plan_make(struct store_plan *plan, const struct store *store,
               struct store_request *request)
{
    reset_arena(plan);
    plan->store = store;
    plan->request = request;
    plan->compare_count = 0;
    plan->op_count = 0;
    plan->draft_count = 0;
    plan->failure_count = 0;
    plan->result_count = 0;
    plan->term = 0;
    plan->err = RC_OK;
    plan->must_wait = false;
    for (size_t i = 0; i < request->count; i++) {
        request->ops[i].old_lease = 0;
    }
    for (size_t i = 0; i < request->count && !plan->must_wait && plan->err == RC_OK;
         i++) {
        verb_do(plan, i);
    }
    if (plan->must_wait) {
        return;
    }
    for (size_t i = 0; i < plan->draft_count; i++) {
        compare_draft(plan, &plan->drafts[i]);
        if (plan->failure_count == 0) {
            write_draft(plan, &plan->drafts[i]);
        }
    }
    if (plan->failure_count > 0) {
        plan->op_count = 0;
        plan->result_count = 0;
    }
    if (plan->buffer.err != RC_OK) {
        plan->err = plan->buffer.err;
    }
}
