/* store_submit.c - requests as they come in: looked at, copied, started. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/store/store_request.h"
#include "agent/store/store_state.h"
#include "base/err.h"
#include "base/table.h"

/* What the rules add to a transaction: records' heads, held/ and req/. */
enum { ADDED_BYTES = 160 };

static bool is_write(enum store_verb verb)
{
    switch (verb) {
    case STORE_SET:
    case STORE_CAS:
    case STORE_LOCK:
    case STORE_UNLOCK:
    case STORE_DELETE_KEY:
    case STORE_DELETE_CAS:
    case STORE_DELETE_TREE:
    case STORE_END_SESSION:
    case STORE_RETIME_SESSION:
    case STORE_VERB_COUNT: /* a session is made */
        return true;
    case STORE_GET:
    case STORE_GET_OR_EMPTY:
    case STORE_GET_TREE:
    case STORE_CHECK_INDEX:
    case STORE_CHECK_SESSION:
    case STORE_CHECK_NOT_EXISTS:
        return false;
    }
    return false;
}

static bool fits_table(const struct store_op *op)
{
    if (op->verb == STORE_END_SESSION) {
        return op->table == STORE_SESSIONS;
    }
    if (op->table == STORE_KV) {
        return op->verb != STORE_RETIME_SESSION;
    }
    return op->table != STORE_SESSIONS &&
           (op->verb == STORE_SET || op->verb == STORE_CAS ||
            op->verb == STORE_DELETE_KEY || op->verb == STORE_DELETE_CAS ||
            op->verb == STORE_DELETE_TREE);
}

static int look_at(const struct store_op *op)
{
    if (op->verb >= STORE_VERB_COUNT || op->table >= STORE_TABLE_COUNT ||
        !fits_table(op)) {
        return RC_EINVAL;
    }
    if (op->key.size > STORE_KEY_MAX || op->value.size > STORE_VALUE_MAX) {
        return RC_ETOOBIG;
    }
    bool has_ttl = op->ttl_ms != 0;
    bool may_have = op->verb == STORE_SET || op->verb == STORE_CAS;
    return has_ttl && (!may_have || op->ttl_ms < TTL_MIN_MS || op->ttl_ms > TTL_MAX_MS)
               ? RC_EINVAL
               : RC_OK;
}

static size_t session_size(const struct store_op *op)
{
    return op->session != NULL ? strlen(op->session) + 1 : 0;
}

static int look_at_all(const struct store_op *ops, size_t count, size_t *bytes)
{
    size_t added = 0;

    if (count == 0 || count > STORE_OPS_MAX) {
        return count == 0 ? RC_EINVAL : RC_ETOOBIG;
    }
    for (size_t i = 0; i < count; i++) {
        int err = look_at(&ops[i]);
        if (err != RC_OK) {
            return err;
        }
        *bytes += ops[i].key.size + ops[i].value.size + session_size(&ops[i]);
        added += 2 * ops[i].key.size + ADDED_BYTES;
    }
    return *bytes + added <= ENGINE_BYTES_MAX ? RC_OK : RC_ETOOBIG;
}

/* ---- copies */

static struct rc_pack_bytes copy(uint8_t **at, struct rc_pack_bytes bytes)
{
    struct rc_pack_bytes copied = {.at = *at, .size = bytes.size};

    if (bytes.size > 0) {
        memcpy(*at, bytes.at, bytes.size);
    }
    *at += bytes.size;
    return copied;
}

static void copy_ops(struct store_request *r, const struct store_op *ops)
{
    uint8_t *at = (uint8_t *)(r->ops + r->count);

    for (size_t i = 0; i < r->count; i++) {
        struct store_op *own = &r->ops[i].op;
        *own = ops[i];
        own->key = copy(&at, ops[i].key);
        own->value = copy(&at, ops[i].value);
        if (ops[i].session != NULL) {
            const struct rc_pack_bytes text = {.at = (const uint8_t *)ops[i].session,
                                               .size = session_size(&ops[i])};
            own->session = (const char *)copy(&at, text).at;
        }
        r->writes = r->writes || is_write(own->verb);
    }
}

struct asked {
    store_done *done;
    void *context;
    const uint8_t *request; /* its id, or NULL */
    enum request_kind kind;
    bool is_stale;
};

/* Of documents only that they are such: whoever sends one again may have written another time
 * or index into it. */
static uint64_t print_of(const struct store_op *op, uint64_t print)
{
    const uint64_t numbers[] = {(uint64_t)op->verb, (uint64_t)op->table, op->key.size,
                                op->value.size,     op->flags,           op->index,
                                op->ttl_ms};

    if (op->table != STORE_KV && op->table != STORE_SESSIONS) {
        return rc_hash("document", 8, 0);
    }
    print = rc_hash(numbers, sizeof numbers, print);
    print = rc_hash(op->key.at, op->key.size, print);
    print = rc_hash(op->value.at, op->value.size, print);
    return op->session != NULL ? rc_hash(op->session, strlen(op->session), print) : print;
}

static void take_id(struct store_request *r, const uint8_t *id)
{
    r->has_id = true;
    memcpy(r->id, id, sizeof r->id);
    for (size_t i = 0; i < r->count; i++) {
        r->print = print_of(&r->ops[i].op, r->print);
    }
}

static int start(struct store *store, const struct store_op *ops, size_t count,
                 size_t bytes, const struct asked *asked)
{
    if (store->is_closed) {
        return RC_ECLOSED;
    }
    struct store_request *r = calloc(1, sizeof *r + count * sizeof *r->ops + bytes);
    if (r == NULL) {
        return RC_ENOMEM;
    }
    r->store = store;
    r->done = asked->done;
    r->context = asked->context;
    r->kind = asked->kind;
    r->is_stale = asked->is_stale;
    r->deadline_ms = store->now_ms + REQUEST_MAX_MS;
    r->count = count;
    copy_ops(r, ops);
    if (asked->request != NULL && r->writes) {
        take_id(r, asked->request);
    }
    request_enlist(r, REQUEST_NEW);
    if (!store->is_answering) { /* else the plan's scratch is somebody's outcome */
        r->is_starting = true;
        request_step(r);
        r->is_starting = false; /* never answered from inside, so it is still there */
    }
    return RC_OK;
}

/* The operations, their request and their end: seven things. NOLINTNEXTLINE(readability-function-size) */
int store_submit(struct store *store, uint64_t now_ms, const struct store_op *ops,
                 size_t count, const uint8_t *request, store_done *done, void *context)
{
    size_t bytes = 0;
    int err = look_at_all(ops, count, &bytes);

    store_hear(store, now_ms);
    return err != RC_OK
               ? err
               : start(store, ops, count, bytes,
                       &(struct asked){
                           .done = done, .context = context, .request = request});
}

int store_look(struct store *store, uint64_t now_ms, const struct store_op *ops,
               size_t count, store_done *done, void *context)
{
    size_t bytes = 0;
    int err = look_at_all(ops, count, &bytes);

    for (size_t i = 0; i < count && err == RC_OK; i++) {
        err = is_write(ops[i].verb) ? RC_EINVAL : RC_OK;
    }
    store_hear(store, now_ms);
    return err != RC_OK ? err
                        : start(store, ops, count, bytes,
                                &(struct asked){
                                    .done = done, .context = context, .is_stale = true});
}

static int look_at_session(const struct store_session *session)
{
    bool fits = strlen(session->id) + 1 == STORE_ID_SIZE &&
                session->node_check_count <= STORE_SESSION_CHECKS_MAX &&
                session->service_check_count <= STORE_SESSION_CHECKS_MAX &&
                session->behavior <= STORE_DELETE;
    bool lasts = session->ttl_ms == 0 ||
                 (session->ttl_ms >= TTL_MIN_MS && session->ttl_ms <= STORE_TTL_MAX_MS);

    return fits && lasts ? RC_OK : RC_EINVAL;
}

int store_create_session(struct store *store, uint64_t now_ms,
                         const struct store_session *session, const uint8_t *request,
                         store_done *done, void *context)
{
    struct rc_buffer record = {.max = STORE_VALUE_MAX};
    int err = look_at_session(session);

    store_hear(store, now_ms);
    if (err != RC_OK) {
        return err;
    }
    session_record_write(&record, session);
    const struct store_op op = {.verb = STORE_VERB_COUNT,
                                .table = STORE_SESSIONS,
                                .key = rc_pack_text(session->id),
                                .value = {.at = record.bytes, .size = record.size},
                                .ttl_ms = session->ttl_ms};
    err = record.err != RC_OK ? record.err
                              : start(store, &op, 1, op.key.size + op.value.size,
                                      &(struct asked){.done = done,
                                                      .context = context,
                                                      .request = request,
                                                      .kind = REQUEST_SESSION});
    rc_buffer_fini(&record);
    return err;
}

int store_renew_session(struct store *store, uint64_t now_ms, const char *id,
                        store_done *done, void *context)
{
    const struct store_op op = {
        .verb = STORE_GET, .table = STORE_SESSIONS, .key = rc_pack_text(id)};

    store_hear(store, now_ms);
    return start(
        store, &op, 1, op.key.size,
        &(struct asked){.done = done, .context = context, .kind = REQUEST_RENEWAL});
}

int store_retime_session(struct store *store, uint64_t now_ms,
                         const struct store_retime *retime, store_done *done,
                         void *context)
{
    const struct store_op op = {.verb = STORE_RETIME_SESSION,
                                .table = STORE_SESSIONS,
                                .key = rc_pack_text(retime->id),
                                .value = rc_pack_text(retime->ttl_text),
                                .index = retime->index,
                                .ttl_ms = retime->ttl_ms};
    bool fits = retime->ttl_ms >= TTL_MIN_MS && retime->ttl_ms <= STORE_TTL_MAX_MS &&
                op.value.size < sizeof((struct store_session *)0)->ttl_text &&
                op.key.size <= STORE_ID_SIZE;

    store_hear(store, now_ms);
    return fits ? start(store, &op, 1, op.key.size + op.value.size,
                        &(struct asked){
                            .done = done, .context = context, .kind = REQUEST_SESSION})
                : RC_EINVAL;
}

int store_settle(struct store *store, uint64_t now_ms, const struct store_view *view,
                 store_done *done, void *context)
{
    const struct asked asked = {
        .done = done, .context = context, .kind = REQUEST_SETTLEMENT};
    struct store_op op = {.verb = STORE_GET, .table = STORE_KV};

    store_hear(store, now_ms);
    if (view == NULL || view->table != STORE_KV) {
        return start(store, NULL, 0, 0, &asked);
    }
    op.verb = view->reach == STORE_ONE ? STORE_GET : STORE_GET_TREE;
    op.key = view->name;
    return start(store, &op, 1, op.key.size, &asked);
}
