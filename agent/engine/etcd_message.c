/* etcd_message.c - requests are written by hand: every put passes here. */
#include "agent/engine/etcd_message.h"

#include "agent/engine/protobuf.h"
#include "base/err.h"

/* ---- keys --------------------------------------------------------------------------- */

static void put_key(struct rc_buffer *out, uint32_t number, struct rc_pack_bytes prefix,
                    struct rc_pack_bytes key)
{
    protobuf_put_head(out, number, prefix.size + key.size);
    rc_buffer_append(out, prefix.at, prefix.size);
    rc_buffer_append(out, key.at, key.size);
}

/* The first key that no longer begins with prefix and key: the last byte that is not 0xff
 * counted up; "\0" means to the end of all keys (etcd API reference, range_end). */
static void put_range_end(struct rc_buffer *out, uint32_t number,
                          struct rc_pack_bytes prefix, struct rc_pack_bytes key)
{
    static const uint8_t to_the_end = 0;

    while (key.size > 0 && key.at[key.size - 1] == 0xff) {
        key.size--;
    }
    while (key.size == 0 && prefix.size > 0 && prefix.at[prefix.size - 1] == 0xff) {
        prefix.size--;
    }
    if (key.size + prefix.size == 0) {
        protobuf_put_bytes(out, number, (struct rc_pack_bytes){&to_the_end, 1});
        return;
    }
    put_key(out, number, prefix, key);
    if (out->err == RC_OK) {
        out->bytes[out->size - 1]++;
    }
}

/* ---- transactions ------------------------------------------------------------------- */

enum { COMPARE_RESULT = 1, COMPARE_TARGET = 2, COMPARE_KEY = 3, COMPARE_RANGE_END = 64 };
enum { PUT_KEY = 1, PUT_VALUE = 2, PUT_LEASE = 3 };
enum { DELETE_KEY = 1, DELETE_RANGE_END = 2 };
enum { OP_PUT = 2, OP_DELETE = 3, OP_TXN = 4 };
enum { TXN_COMPARE = 1, TXN_SUCCESS = 2, TXN_FAILURE = 3 };

static void put_compare(struct rc_buffer *out, struct rc_pack_bytes prefix,
                        const struct engine_compare *compare)
{
    static const struct {
        uint32_t target; /* CompareTarget */
        uint32_t field;  /* of target_union */
    } targets[] = {
        [ENGINE_CREATE_REVISION] = {1, 5},
        [ENGINE_MOD_REVISION] = {2, 6},
        [ENGINE_LEASE] = {4, 8},
        [ENGINE_PREFIX_MOD_REVISION] = {2, 6},
    };
    static const uint32_t results[] = {
        /* CompareResult */
        [ENGINE_EQUAL] = 0,
        [ENGINE_GREATER] = 1,
        [ENGINE_LESS] = 2,
        [ENGINE_NOT_EQUAL] = 3,
    };

    size_t place = protobuf_open(out, TXN_COMPARE);
    protobuf_put_number(out, COMPARE_RESULT, results[compare->relation]);
    protobuf_put_number(out, COMPARE_TARGET, targets[compare->target].target);
    put_key(out, COMPARE_KEY, prefix, compare->key);
    protobuf_put_number(out, targets[compare->target].field, compare->number);
    if (compare->target == ENGINE_PREFIX_MOD_REVISION) {
        put_range_end(out, COMPARE_RANGE_END, prefix, compare->key);
    }
    protobuf_close(out, place);
}

static void put_put(struct rc_buffer *out, struct rc_pack_bytes prefix,
                    const struct engine_op *op)
{
    size_t place = protobuf_open(out, OP_PUT);

    put_key(out, PUT_KEY, prefix, op->key);
    protobuf_put_bytes(out, PUT_VALUE, op->value);
    if (op->lease != 0) {
        protobuf_put_number(out, PUT_LEASE, op->lease);
    }
    protobuf_close(out, place);
}

static void put_delete(struct rc_buffer *out, struct rc_pack_bytes prefix,
                       const struct engine_op *op)
{
    size_t place = protobuf_open(out, OP_DELETE);

    put_key(out, DELETE_KEY, prefix, op->key);
    if (op->verb == ENGINE_DELETE_PREFIX) {
        put_range_end(out, DELETE_RANGE_END, prefix, op->key);
    }
    protobuf_close(out, place);
}

static void put_op(struct rc_buffer *out, uint32_t branch, struct rc_pack_bytes prefix,
                   const struct engine_op *op)
{
    size_t place = protobuf_open(out, branch);

    if (op->verb == ENGINE_PUT) {
        put_put(out, prefix, op);
    } else {
        put_delete(out, prefix, op);
    }
    protobuf_close(out, place);
}

void etcd_message_txn(struct rc_buffer *out, struct rc_pack_bytes prefix,
                      const struct engine_txn *txn)
{
    for (size_t i = 0; i < txn->compare_count; i++) {
        put_compare(out, prefix, &txn->compares[i]);
    }
    for (size_t i = 0; i < txn->then_count; i++) {
        put_op(out, TXN_SUCCESS, prefix, &txn->then[i]);
    }
    for (size_t i = 0; i < txn->otherwise_count; i++) {
        put_op(out, TXN_FAILURE, prefix, &txn->otherwise[i]);
    }
}

void etcd_message_nest(struct rc_buffer *out, struct rc_pack_bytes txn)
{
    size_t place = protobuf_open(out, TXN_SUCCESS);

    protobuf_put_bytes(out, OP_TXN, txn);
    protobuf_close(out, place);
}

void etcd_message_mark(struct rc_buffer *out, struct rc_pack_bytes prefix,
                       const char *key)
{
    const struct engine_op op = {.verb = ENGINE_PUT, .key = rc_pack_text(key)};

    put_op(out, TXN_SUCCESS, prefix, &op);
}

/* ---- reading ------------------------------------------------------------------------ */

enum {
    RANGE_KEY = 1,
    RANGE_RANGE_END = 2,
    RANGE_LIMIT = 3,
    RANGE_REVISION = 4,
    RANGE_COUNT_ONLY = 9
};
enum {
    WATCH_CREATE = 1,
    CREATE_KEY = 1,
    CREATE_RANGE_END = 2,
    CREATE_START_REVISION = 3,
    CREATE_PROGRESS_NOTIFY = 4,
    CREATE_FRAGMENT = 8
};

static const struct rc_pack_bytes nothing;

void etcd_message_page(struct rc_buffer *out, struct rc_pack_bytes prefix,
                       struct rc_pack_bytes from, uint64_t revision, uint64_t limit)
{
    protobuf_put_bytes(out, RANGE_KEY, from);
    put_range_end(out, RANGE_RANGE_END, prefix, nothing);
    protobuf_put_number(out, RANGE_LIMIT, limit);
    protobuf_put_number(out, RANGE_REVISION, revision);
}

void etcd_message_barrier(struct rc_buffer *out, struct rc_pack_bytes prefix)
{
    protobuf_put_bytes(out, RANGE_KEY, prefix);
    protobuf_put_number(out, RANGE_COUNT_ONLY, 1);
}

void etcd_message_watch(struct rc_buffer *out, struct rc_pack_bytes prefix,
                        uint64_t from_revision)
{
    size_t place = protobuf_open(out, WATCH_CREATE);

    protobuf_put_bytes(out, CREATE_KEY, prefix);
    put_range_end(out, CREATE_RANGE_END, prefix, nothing);
    protobuf_put_number(out, CREATE_START_REVISION, from_revision);
    protobuf_put_number(out, CREATE_PROGRESS_NOTIFY, 1);
    protobuf_put_number(out, CREATE_FRAGMENT, 1);
    protobuf_close(out, place);
}

/* ---- the rest ----------------------------------------------------------------------- */

void etcd_message_put(struct rc_buffer *out, struct rc_pack_bytes prefix, const char *key)
{
    put_key(out, PUT_KEY, prefix, rc_pack_text(key));
}

void etcd_message_number(struct rc_buffer *out, uint64_t value)
{
    protobuf_put_number(out, 1, value);
}

void etcd_message_login(struct rc_buffer *out, const char *user, const char *password)
{
    protobuf_put_bytes(out, 1, rc_pack_text(user));
    protobuf_put_bytes(out, 2, rc_pack_text(password));
}
