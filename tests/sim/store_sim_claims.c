/* store_sim_claims.c - what must hold of sessions and locks, and of all servers at the end. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/store_sim_state.h"

struct sim_session *store_sim_find_session(struct sim_world *world, const char *id)
{
    for (size_t i = 0; i < world->session_count; i++) {
        if (strcmp(world->sessions[i].id, id) == 0) {
            return &world->sessions[i];
        }
    }
    return NULL;
}

/* The earliest moment at which it can have ended. */
static uint64_t earliest_end(const struct sim_session *s)
{
    uint64_t expires = s->ttl_ms == 0 ? UINT64_MAX : s->safe_from_ms + s->ttl_ms;

    return expires < s->ended_ms ? expires : s->ended_ms;
}

void store_sim_claim_ended(struct sim_world *world, const struct sim_session *session)
{
    if (session->is_made && world->now_ms < earliest_end(session)) {
        store_sim_fail(world, "session %s of %llu ms ended before %llu", session->id,
                       (unsigned long long)session->ttl_ms,
                       (unsigned long long)earliest_end(session));
    }
}

void store_sim_claim_ends(struct sim_world *world)
{
    const struct engine_memory_faults *f = &world->faults;
    uint64_t slack = f->late_max_ms * UINT64_C(2) + f->delay_max_ms * UINT64_C(2) + 2;

    for (size_t i = 0; i < world->session_count; i++) {
        const struct sim_session *s = &world->sessions[i];
        char key[STORE_ID_SIZE + 16];
        struct engine_item item;
        if (!s->is_made || s->ttl_ms == 0 || s->tried_ms == UINT64_MAX) {
            continue;
        }
        uint64_t from =
            s->tried_ms > world->leader_back_ms ? s->tried_ms : world->leader_back_ms;
        (void)snprintf(key, sizeof key, "session/%s", s->id);
        if (world->now_ms > from + s->ttl_ms + s->ttl_ms / 10 + slack &&
            engine_memory_peek(world->memory, rc_pack_text(key), &item)) {
            store_sim_fail(world, "session %s lives after its time", s->id);
        }
    }
}

/* ---- locks */

static int by_key_then_term(const void *a, const void *b)
{
    const struct history_op *one = a;
    const struct history_op *other = b;
    int order = strcmp(one->key, other->key);

    if (order != 0) {
        return order;
    }
    if (one->term != other->term) {
        return one->term < other->term ? -1 : 1;
    }
    return one->index < other->index ? -1 : one->index > other->index;
}

/* Somebody may have freed the lock between the two, without the session's end. */
static bool may_be_freed(const struct history *h, const struct history_op *held,
                         const struct history_op *next)
{
    for (size_t i = 0; i < h->count; i++) {
        const struct history_op *op = &h->ops[i];
        bool frees =
            op->verb == HISTORY_DELETE || op->verb == HISTORY_DELETE_CAS ||
            (op->verb == HISTORY_UNLOCK && strcmp(op->session, held->session) == 0);
        bool may_go = op->verb == HISTORY_PUT && op->arg > 0; /* by its ttl */
        bool happened = op->result == HISTORY_UNKNOWN || op->result == HISTORY_TRUE;
        bool is_between = op->index == 0 || may_go ||
                          (op->index > held->term && op->index < next->term);
        if ((frees || may_go) && happened && is_between &&
            strcmp(op->key, held->key) == 0) {
            return true;
        }
    }
    return false;
}

static void claim_order(struct sim_world *world, const struct history_op *held,
                        const struct history_op *next)
{
    const struct sim_session *s = store_sim_find_session(world, held->session);
    uint64_t taken_ms = next->back >> SIM_STAMP_BITS;

    if (strcmp(held->session, next->session) == 0 ||
        may_be_freed(&world->history, held, next)) {
        return;
    }
    uint64_t end_ms = earliest_end(s);
    if (end_ms == UINT64_MAX || taken_ms < end_ms + s->delay_ms) {
        store_sim_fail(
            world, "%s: taken by %s at %llu, held by %s until %llu and its delay of %llu",
            held->key, next->session, (unsigned long long)taken_ms, held->session,
            (unsigned long long)end_ms, (unsigned long long)s->delay_ms);
    }
}

void store_sim_claim_locks(struct sim_world *world)
{
    struct history locks = {.ops = NULL};

    for (size_t i = 0; i < world->history.count; i++) {
        const struct history_op *op = &world->history.ops[i];
        if (op->verb == HISTORY_LOCK && op->result == HISTORY_TRUE) {
            history_add(&locks, op);
        }
    }
    if (locks.count > 0) {
        qsort(locks.ops, locks.count, sizeof *locks.ops, by_key_then_term);
    }
    for (size_t i = 1; i < locks.count; i++) {
        const struct history_op *held = &locks.ops[i - 1];
        const struct history_op *next = &locks.ops[i];
        if (strcmp(held->key, next->key) != 0) {
            continue;
        }
        if (held->term == next->term && strcmp(held->session, next->session) != 0) {
            store_sim_fail(world, "%s: one term, two holders", held->key);
        }
        claim_order(world, held, next);
    }
    history_fini(&locks);
}

/* ---- the end */

static void claim_key(struct sim_world *world, size_t server, const char *name)
{
    char key[HISTORY_KEY_MAX + 8];
    struct engine_item item;
    struct store_pair pair;

    (void)snprintf(key, sizeof key, "kv/%s", name);
    bool is_there = engine_memory_peek(world->memory, rc_pack_text(key), &item);
    bool is_read =
        store_read(world->servers[server].store, STORE_KV, rc_pack_text(name), &pair);
    if (is_there != is_read || (is_there && pair.modify_index != item.mod_revision)) {
        store_sim_fail(world, "server %zu does not have what the engine has of %s",
                       server, name);
    }
    if (is_read && pair.session != NULL) {
        struct store_session session;
        if (!store_read_session(world->servers[server].store, pair.session, &session)) {
            store_sim_fail(world, "%s is held by a session that has ended", name);
        }
    }
}

void store_sim_claim_agreement(struct sim_world *world)
{
    for (size_t i = 0; i < world->history.count; i++) {
        for (size_t k = 0; k < SIM_SERVERS; k++) {
            claim_key(world, k, world->history.ops[i].key);
        }
    }
    for (size_t i = 0; i < SIM_CLIENTS; i++) {
        if (world->clients[i].is_busy) {
            store_sim_fail(world, "client %zu was never answered", i);
        }
    }
}
