/* engine_memory.c - calls to the engine in memory: their ways there and back, and their fates. */
#include "agent/store/engine_memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/store/engine_memory_state.h"
#include "agent/store/txn_check.h"
#include "base/err.h"

struct engine_memory *engine_memory_create(const struct engine_memory_options *options)
{
    struct engine_memory *memory = calloc(1, sizeof *memory);

    if (memory == NULL || (memory->keys = mirror_create(0)) == NULL) {
        free(memory);
        return NULL;
    }
    if (options != NULL) {
        memory->options = *options;
        memory->now_ms = options->now_ms;
    }
    memory->revision =
        memory->options.first_revision > 0 ? memory->options.first_revision : 1;
    rc_random_init(&memory->random, memory->options.seed);
    return memory;
}

static void unlink_call(struct engine_memory *memory, struct memory_call *call)
{
    *(call->previous == NULL ? &memory->first : &call->previous->next) = call->next;
    *(call->next == NULL ? &memory->last : &call->next->previous) = call->previous;
}

void engine_memory_destroy(struct engine_memory *memory)
{
    if (memory == NULL) {
        return;
    }
    assert(memory->clients == NULL);
    while (memory->first != NULL) { /* what was done after its answer */
        struct memory_call *call = memory->first;
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what is freed left its list
        unlink_call(memory, call);
        free(call);
    }
    while (memory->leases != NULL) {
        struct memory_lease *lease = memory->leases;
        memory->leases = lease->next;
        free(lease);
    }
    mirror_destroy(memory->keys);
    free(memory);
}

uint64_t memory_draw_ms(struct engine_memory *memory, uint32_t max_ms)
{
    return max_ms == 0 ? 0 : rc_random_below(&memory->random, max_ms + UINT64_C(1));
}

/* ---- calls on their way */

static void enqueue(struct engine_memory *memory, struct memory_call *call,
                    uint64_t due_ms)
{
    struct memory_call *before = memory->last;

    call->due_ms = due_ms;
    call->order = ++memory->made_calls;
    while (before != NULL && before->due_ms > due_ms) {
        before = before->previous;
    }
    call->previous = before;
    call->next = before == NULL ? memory->first : before->next;
    *(call->previous == NULL ? &memory->first : &call->previous->next) = call;
    *(call->next == NULL ? &memory->last : &call->next->previous) = call;
}

static enum memory_fate draw_fate(struct engine_memory *memory)
{
    const struct engine_memory_faults *f = &memory->faults;
    uint64_t dice =
        memory->has_faults ? rc_random_below(&memory->random, 1000000) : 999999;
    uint64_t sum = 0;

    const struct {
        uint32_t chance;
        enum memory_fate fate;
    } fates[] = {{f->refused, FATE_REFUSED},
                 {f->lost_done, FATE_LOST_DONE},
                 {f->lost_undone, FATE_LOST_UNDONE},
                 {f->lost_late, FATE_LOST_LATE}};
    for (size_t i = 0; i < sizeof fates / sizeof *fates; i++) {
        sum += fates[i].chance;
        if (dice < sum) {
            return fates[i].fate;
        }
    }
    return FATE_DONE;
}

static struct memory_call *make_call(struct engine *engine, enum memory_kind kind,
                                     engine_done *done, void *context, size_t more)
{
    struct memory_client *client = (struct memory_client *)engine;
    struct engine_memory *memory = client->memory;
    struct memory_call *call = calloc(1, sizeof *call + more);

    if (call == NULL) {
        abort();
    }
    call->client = client;
    call->kind = kind;
    call->done = done;
    call->context = context;
    call->answer.text = "";
    call->fate = draw_fate(memory);
    enqueue(memory, call,
            memory->now_ms + memory_draw_ms(memory, memory->faults.delay_max_ms));
    return call;
}

/* ---- the copy of a transaction */

static uint8_t *keep(uint8_t *at, struct rc_pack_bytes *bytes)
{
    if (bytes->size > 0) {
        memcpy(at, bytes->at, bytes->size);
    }
    bytes->at = at;
    return at + bytes->size;
}

static void keep_ops(uint8_t *at, struct engine_op *ops, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        at = keep(at, &ops[i].key);
        at = keep(at, &ops[i].value);
    }
}

static size_t ops_size(const struct engine_op *ops, size_t count)
{
    size_t size = 0;

    for (size_t i = 0; i < count; i++) {
        size += ops[i].key.size + ops[i].value.size;
    }
    return size;
}

static size_t txn_size(const struct engine_txn *txn)
{
    size_t size = ops_size(txn->then, txn->then_count) +
                  ops_size(txn->otherwise, txn->otherwise_count);

    for (size_t i = 0; i < txn->compare_count; i++) {
        size += txn->compares[i].key.size;
    }
    return size;
}

/* Arrays and bytes behind the call. */
static void keep_txn(struct memory_call *call, const struct engine_txn *txn)
{
    size_t op_count = txn->then_count + txn->otherwise_count;
    struct engine_compare *compares = (struct engine_compare *)(call + 1);
    struct engine_op *ops = (struct engine_op *)(compares + txn->compare_count);
    uint8_t *at = (uint8_t *)(ops + op_count);

    call->txn = *txn;
    for (size_t i = 0; i < txn->compare_count; i++) {
        compares[i] = txn->compares[i];
        at = keep(at, &compares[i].key);
    }
    for (size_t i = 0; i < op_count; i++) {
        ops[i] = i < txn->then_count ? txn->then[i] : txn->otherwise[i - txn->then_count];
    }
    keep_ops(at, ops, op_count);
    call->txn.compares = compares;
    call->txn.then = ops;
    call->txn.otherwise = ops + txn->then_count;
}

static void call_txn(struct engine *engine, const struct engine_txn *txn,
                     engine_done *done, void *context)
{
    const char *text = "";
    int refused = txn_check(txn, &text);
    size_t arrays = txn->compare_count * sizeof *txn->compares +
                    (txn->then_count + txn->otherwise_count) * sizeof *txn->then;
    struct memory_call *call = make_call(engine, MEMORY_TXN, done, context,
                                         refused == RC_OK ? arrays + txn_size(txn) : 0);

    if (refused == RC_OK) {
        keep_txn(call, txn);
    } else {
        call->refused = refused;
        call->answer.text = text;
    }
}

static void call_barrier(struct engine *engine, engine_done *done, void *context)
{
    (void)make_call(engine, MEMORY_BARRIER, done, context, 0);
}

static void call_grant(struct engine *engine, uint64_t ttl_ms, engine_done *done,
                       void *context)
{
    make_call(engine, MEMORY_GRANT, done, context, 0)->ttl_ms = ttl_ms;
}

static void call_keepalive(struct engine *engine, uint64_t lease, engine_done *done,
                           void *context)
{
    make_call(engine, MEMORY_KEEPALIVE, done, context, 0)->lease = lease;
}

static void call_revoke(struct engine *engine, uint64_t lease, engine_done *done,
                        void *context)
{
    make_call(engine, MEMORY_REVOKE, done, context, 0)->lease = lease;
}

static void call_follow(struct engine *engine, const struct engine_follower *follower)
{
    struct memory_client *client = (struct memory_client *)engine;

    assert(!client->follows);
    client->follower = *follower;
    client->follows = true;
    client->needs_all = true;
    client->tell_at_ms = client->memory->now_ms;
}

static void call_status(const struct engine *engine, struct engine_status *out)
{
    const struct engine_memory *memory = ((const struct memory_client *)engine)->memory;

    *out = (struct engine_status){.kind = "memory",
                                  .has_leader = memory->leaderless_until_ms == 0,
                                  .revision = memory->revision,
                                  .member_count = 1};
    out->members[0] = (struct engine_member){.id = "1",
                                             .name = "memory",
                                             .is_leader = out->has_leader,
                                             .is_voter = true,
                                             .answers = out->has_leader};
}

/* ---- what becomes of them */

static bool may_write(const struct memory_call *call)
{
    return call->kind != MEMORY_BARRIER;
}

static void fail(struct memory_call *call, int err, const char *text)
{
    call->answer = (struct engine_answer){.err = err, .text = text};
}

/* The answer goes to whoever asked; the call may stay to be done later. */
static void answer(struct memory_call *call)
{
    if (call->client != NULL) {
        call->client = NULL;
        call->done(call->context, &call->answer);
    }
}

static void lose(struct memory_call *call)
{
    if (may_write(call)) {
        fail(call, RC_EUNKNOWN, "connection lost");
    } else {
        fail(call, RC_EAGAIN, "connection lost");
    }
}

/* Arrived where the truth is. */
static void arrive(struct engine_memory *memory, struct memory_call *call)
{
    bool is_late = call->client == NULL || call->due_ms > memory->now_ms;

    if (call->refused != RC_OK) {
        call->fate = FATE_REFUSED;
        fail(call, call->refused, call->answer.text);
    } else if (memory->leaderless_until_ms != 0 || call->fate == FATE_REFUSED) {
        fail(call, RC_EAGAIN, "no leader");
    } else if (memory->faults.is_full && call->kind == MEMORY_TXN &&
               call->txn.then_count > 0) {
        call->fate = FATE_REFUSED;
        fail(call, RC_ENOSPC, "no room");
    } else if (call->fate == FATE_DONE || call->fate == FATE_LOST_DONE || is_late) {
        memory_apply(memory, call);
    }
    if (call->fate == FATE_LOST_DONE || call->fate == FATE_LOST_UNDONE ||
        call->fate == FATE_LOST_LATE) {
        lose(call);
    }
    call->stage = MEMORY_ANSWER;
    enqueue(memory, call,
            memory->now_ms + memory_draw_ms(memory, memory->faults.delay_max_ms));
}

static void step(struct engine_memory *memory, struct memory_call *call)
{
    unlink_call(memory, call);
    if (call->stage == MEMORY_APPLY) {
        arrive(memory, call);
        return;
    }
    bool comes_later =
        call->fate == FATE_LOST_LATE && !call->was_applied && may_write(call);
    answer(call);
    if (comes_later) {
        call->stage = MEMORY_APPLY;
        enqueue(memory, call,
                memory->now_ms + 1 + memory_draw_ms(memory, memory->faults.late_max_ms));
        return;
    }
    free(call);
}

static void find_leader(struct engine_memory *memory)
{
    if (memory->leaderless_until_ms != 0 &&
        memory->leaderless_until_ms <= memory->now_ms) {
        memory->leaderless_until_ms = 0;
        memory_restart_leases(memory);
    }
}

void engine_memory_tick(struct engine_memory *memory, uint64_t now_ms)
{
    assert(now_ms >= memory->now_ms);
    memory->now_ms = now_ms;
    uint64_t last_order = memory->made_calls;

    find_leader(memory);
    memory_end_leases(memory);
    /* Arrivals first, so that without faults all is told and answered in the same turn. */
    struct memory_call *call = memory->first;
    while (call != NULL && call->due_ms <= now_ms) {
        struct memory_call *next = call->next;
        if (call->stage == MEMORY_APPLY && call->order <= last_order) {
            step(memory, call);
        }
        call = next;
    }
    memory_tell(memory);
    last_order = memory->made_calls;
    while ((call = memory->first) != NULL) {
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what is freed left its list
        if (call->due_ms > now_ms || call->order > last_order ||
            call->stage != MEMORY_ANSWER) {
            break;
        }
        step(memory, call);
    }
}

uint64_t engine_memory_deadline_ms(const struct engine_memory *memory)
{
    uint64_t tell = memory_tell_deadline_ms(memory);
    uint64_t ends = memory->leaderless_until_ms != 0 ? memory->leaderless_until_ms
                                                     : memory_lease_deadline_ms(memory);
    uint64_t calls = memory->first == NULL ? UINT64_MAX : memory->first->due_ms;
    uint64_t deadline = tell < ends ? tell : ends;

    return calls < deadline ? calls : deadline;
}

void engine_memory_set_faults(struct engine_memory *memory,
                              const struct engine_memory_faults *faults)
{
    memory->faults = *faults;
    memory->has_faults = true;
}

void engine_memory_lose_leader(struct engine_memory *memory, uint64_t until_ms)
{
    memory->leaderless_until_ms = until_ms;
}

/* ---- clients */

static void call_close(struct engine *engine, void (*on_closed)(void *context),
                       void *context)
{
    struct memory_client *client = (struct memory_client *)engine;
    struct engine_memory *memory = client->memory;
    struct memory_client **place = &memory->clients;

    memory_forget(memory, client);
    for (struct memory_call *call = memory->first; call != NULL; call = call->next) {
        if (call->client == client) { /* it may still arrive */
            call->client = NULL;
            const struct engine_answer closed = {
                .err = may_write(call) ? RC_EUNKNOWN : RC_ECLOSED, .text = "closing"};
            call->done(call->context, &closed);
        }
    }
    while (*place != client) {
        place = &(*place)->next;
    }
    *place = client->next;
    free(client);
    if (on_closed != NULL) {
        on_closed(context);
    }
}

struct engine *engine_memory_connect(struct engine_memory *memory)
{
    static const struct engine_class class = {.txn = call_txn,
                                              .barrier = call_barrier,
                                              .grant = call_grant,
                                              .keepalive = call_keepalive,
                                              .revoke = call_revoke,
                                              .follow = call_follow,
                                              .status = call_status,
                                              .close = call_close,
                                              .lease_step_ms = 1,
                                              .lease_min_ms = 1};
    struct memory_client *client = calloc(1, sizeof *client);

    if (client == NULL) {
        return NULL;
    }
    client->head.class = &class;
    client->memory = memory;
    client->next = memory->clients;
    memory->clients = client;
    return &client->head;
}

/* ---- looking in */

bool engine_memory_peek(const struct engine_memory *memory, struct rc_pack_bytes key,
                        struct engine_item *out)
{
    return mirror_get(memory->keys, key, out);
}

size_t engine_memory_count(const struct engine_memory *memory)
{
    return mirror_count(memory->keys);
}

uint64_t engine_memory_revision(const struct engine_memory *memory)
{
    return memory->revision;
}
