/* engine_memory_keys.c - the truth in memory: transactions, one after the other, and leases. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/store/engine_memory_state.h"
#include "base/err.h"

static const struct rc_pack_bytes everything = {.at = (const uint8_t *)"", .size = 0};

/* ---- keys */

static void put(struct engine_memory *memory, const struct engine_op *op)
{
    struct engine_item old;
    bool was_there = mirror_get(memory->keys, op->key, &old);
    struct engine_item item = {.key = op->key,
                               .value = op->value,
                               .create_revision =
                                   was_there ? old.create_revision : memory->revision,
                               .mod_revision = memory->revision,
                               .lease = op->lease};

    if (mirror_put(memory->keys, &item) != RC_OK) {
        abort(); /* a test's engine */
    }
    memory_note(memory, &item, false);
}

static void take_away(struct engine_memory *memory, struct rc_pack_bytes key)
{
    struct engine_item item;

    if (mirror_get(memory->keys, key, &item)) {
        item.mod_revision = memory->revision;
        memory_note(memory, &item, true);
        mirror_remove(memory->keys, item.key, memory->revision);
    }
}

static void take_prefix_away(struct engine_memory *memory, struct rc_pack_bytes prefix)
{
    struct engine_item item;

    while (mirror_next(memory->keys, prefix, (struct rc_pack_bytes){NULL, 0}, &item)) {
        take_away(memory, item.key);
    }
}

static bool has_prefix(const struct engine_memory *memory, struct rc_pack_bytes prefix)
{
    struct engine_item item;

    return mirror_next(memory->keys, prefix, (struct rc_pack_bytes){NULL, 0}, &item);
}

/* ---- transactions */

static bool relates(uint64_t number, const struct engine_compare *compare)
{
    switch (compare->relation) {
    case ENGINE_EQUAL:
        return number == compare->number;
    case ENGINE_NOT_EQUAL:
        return number != compare->number;
    case ENGINE_LESS:
        return number < compare->number;
    case ENGINE_GREATER:
        return number > compare->number;
    }
    return false;
}

static bool holds(const struct engine_memory *memory,
                  const struct engine_compare *compare)
{
    struct engine_item item = {.lease = 0};
    uint64_t number = 0;

    if (compare->target == ENGINE_PREFIX_MOD_REVISION) {
        return relates(has_prefix(memory, compare->key)
                           ? mirror_prefix_index(memory->keys, compare->key)
                           : 0,
                       compare);
    }
    if (mirror_get(memory->keys, compare->key, &item)) {
        number = compare->target == ENGINE_CREATE_REVISION ? item.create_revision
                 : compare->target == ENGINE_MOD_REVISION  ? item.mod_revision
                                                           : item.lease;
    }
    return relates(number, compare);
}

static struct memory_lease *find_lease(const struct engine_memory *memory, uint64_t id)
{
    struct memory_lease *lease = memory->leases;

    while (lease != NULL && lease->id != id) {
        lease = lease->next;
    }
    return lease;
}

static bool leases_live(const struct engine_memory *memory, const struct engine_op *ops,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (ops[i].verb == ENGINE_PUT && ops[i].lease != 0 &&
            find_lease(memory, ops[i].lease) == NULL) {
            return false;
        }
    }
    return true;
}

/* Whether anything would change: a revision is only spent on that. */
static bool changes(const struct engine_memory *memory, const struct engine_op *ops,
                    size_t count)
{
    struct engine_item item;

    for (size_t i = 0; i < count; i++) {
        if (ops[i].verb == ENGINE_PUT ||
            (ops[i].verb == ENGINE_DELETE &&
             mirror_get(memory->keys, ops[i].key, &item)) ||
            (ops[i].verb == ENGINE_DELETE_PREFIX && has_prefix(memory, ops[i].key))) {
            return true;
        }
    }
    return false;
}

static void do_op(struct engine_memory *memory, const struct engine_op *op)
{
    switch (op->verb) {
    case ENGINE_PUT:
        put(memory, op);
        break;
    case ENGINE_DELETE:
        take_away(memory, op->key);
        break;
    case ENGINE_DELETE_PREFIX:
        take_prefix_away(memory, op->key);
        break;
    }
}

static void apply_txn(struct engine_memory *memory, struct memory_call *call)
{
    const struct engine_txn *txn = &call->txn;
    bool succeeded = true;

    for (size_t i = 0; i < txn->compare_count && succeeded; i++) {
        succeeded = holds(memory, &txn->compares[i]);
    }
    const struct engine_op *ops = succeeded ? txn->then : txn->otherwise;
    size_t count = succeeded ? txn->then_count : txn->otherwise_count;
    if (!leases_live(memory, ops, count)) {
        call->answer.err = RC_ENOTFOUND;
        call->answer.text = "requested lease not found";
        return;
    }
    if (changes(memory, ops, count)) {
        memory->revision++;
        for (size_t i = 0; i < count; i++) {
            do_op(memory, &ops[i]);
        }
    }
    call->answer.succeeded = succeeded;
}

/* ---- leases */

/* Deletes the keys of a lease in one revision, then the lease. */
static void end_lease(struct engine_memory *memory, struct memory_lease *lease)
{
    struct engine_item item;
    struct rc_pack_bytes after = {NULL, 0};
    bool is_first = true;

    for (;;) {
        if (!mirror_next(memory->keys, everything, after, &item)) {
            break;
        }
        if (item.lease != lease->id) {
            after = item.key;
            continue;
        }
        memory->revision += is_first;
        is_first = false;
        take_away(memory, item.key); /* `after` is still there */
    }
    struct memory_lease **place = &memory->leases;
    while (*place != lease) {
        place = &(*place)->next;
    }
    *place = lease->next;
    free(lease);
}

static uint64_t end_of(struct engine_memory *memory, uint64_t ttl_ms)
{
    return memory->now_ms + ttl_ms + memory_draw_ms(memory, memory->faults.late_max_ms);
}

static void apply_grant(struct engine_memory *memory, struct memory_call *call)
{
    struct memory_lease *lease = calloc(1, sizeof *lease);
    uint64_t step = memory->options.lease_step_ms > 0 ? memory->options.lease_step_ms : 1;
    uint64_t ttl = call->ttl_ms > memory->options.lease_min_ms
                       ? call->ttl_ms
                       : memory->options.lease_min_ms;

    if (lease == NULL) {
        abort();
    }
    lease->id = ++memory->made_leases;
    lease->ttl_ms = (ttl + step - 1) / step * step;
    lease->ends_at_ms = end_of(memory, lease->ttl_ms);
    lease->next = memory->leases;
    memory->leases = lease;
    call->answer.lease = lease->id;
    call->answer.ttl_ms = lease->ttl_ms;
}

void memory_apply(struct engine_memory *memory, struct memory_call *call)
{
    struct memory_lease *lease = find_lease(memory, call->lease);

    assert(!call->was_applied);
    call->was_applied = true;
    switch (call->kind) {
    case MEMORY_TXN:
        apply_txn(memory, call);
        break;
    case MEMORY_BARRIER:
        break;
    case MEMORY_GRANT:
        apply_grant(memory, call);
        break;
    case MEMORY_KEEPALIVE:
    case MEMORY_REVOKE:
        if (lease == NULL) {
            call->answer.err = RC_ENOTFOUND;
            call->answer.text = "requested lease not found";
        } else if (call->kind == MEMORY_REVOKE) {
            end_lease(memory, lease);
        } else {
            lease->ends_at_ms = end_of(memory, lease->ttl_ms);
            call->answer.ttl_ms = lease->ttl_ms;
        }
        break;
    }
    call->answer.revision = memory->revision;
}

void memory_end_leases(struct engine_memory *memory)
{
    struct memory_lease *lease = memory->leases;

    while (lease != NULL && memory->leaderless_until_ms == 0) {
        struct memory_lease *next = lease->next;
        if (lease->ends_at_ms <= memory->now_ms) {
            end_lease(memory, lease);
        }
        lease = next;
    }
}

void memory_restart_leases(struct engine_memory *memory)
{
    for (struct memory_lease *lease = memory->leases; lease != NULL;
         lease = lease->next) {
        lease->ends_at_ms = end_of(memory, lease->ttl_ms);
    }
}

uint64_t memory_lease_deadline_ms(const struct engine_memory *memory)
{
    uint64_t deadline = UINT64_MAX;

    for (const struct memory_lease *lease = memory->leases; lease != NULL;
         lease = lease->next) {
        deadline = lease->ends_at_ms < deadline ? lease->ends_at_ms : deadline;
    }
    return deadline;
}
