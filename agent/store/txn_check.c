#include "agent/store/txn_check.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

int txn_key_order(struct rc_pack_bytes a, struct rc_pack_bytes b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size == 0 ? 0 : memcmp(a.at, b.at, size);

    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int by_key(const void *a, const void *b)
{
    const struct engine_op *const *left = a;
    const struct engine_op *const *right = b;
    return txn_key_order((*left)->key, (*right)->key);
}

/* Whether `op` takes `key` with it: the same, or a prefix that is deleted. */
static bool covers(const struct engine_op *op, struct rc_pack_bytes key)
{
    bool starts =
        key.size >= op->key.size && memcmp(key.at, op->key.at, op->key.size) == 0;
    return starts && (op->verb == ENGINE_DELETE_PREFIX || key.size == op->key.size);
}

/* In order, what a prefix covers stands right behind it, and behind the prefix itself. */
static bool names_a_key_twice(const struct engine_op *ops, size_t count)
{
    const struct engine_op *sorted[ENGINE_OPS_MAX];

    assert(count <= ENGINE_OPS_MAX);
    for (size_t i = 0; i < count; i++) {
        sorted[i] = &ops[i];
    }
    qsort(sorted, count, sizeof(struct engine_op *), by_key);
    for (size_t i = 1; i < count; i++) {
        if (covers(sorted[i - 1], sorted[i]->key) ||
            covers(sorted[i], sorted[i - 1]->key)) {
            return true;
        }
    }
    return false;
}

static int check_branch(const struct engine_op *ops, size_t count, size_t *bytes,
                        const char **text)
{
    if (count > ENGINE_OPS_MAX) {
        *text = "a transaction has too many operations";
        return RC_ETOOBIG;
    }
    for (size_t i = 0; i < count; i++) {
        if (ops[i].key.size == 0) {
            *text = "an operation has an empty key";
            return RC_EINVAL;
        }
        *bytes += ops[i].key.size;
        *bytes += ops[i].verb == ENGINE_PUT ? ops[i].value.size : 0;
    }
    if (count > 1 && names_a_key_twice(ops, count)) {
        *text = "a key stands twice in one transaction";
        return RC_EINVAL;
    }
    return RC_OK;
}

int txn_check(const struct engine_txn *txn, const char **text)
{
    size_t bytes = 0;

    if (txn->compare_count > ENGINE_OPS_MAX) {
        *text = "a transaction has too many compares";
        return RC_ETOOBIG;
    }
    for (size_t i = 0; i < txn->compare_count; i++) {
        if (txn->compares[i].key.size == 0) {
            *text = "a compare has an empty key";
            return RC_EINVAL;
        }
        bytes += txn->compares[i].key.size;
    }
    int err = check_branch(txn->then, txn->then_count, &bytes, text);
    if (err == RC_OK) {
        err = check_branch(txn->otherwise, txn->otherwise_count, &bytes, text);
    }
    if (err == RC_OK && bytes > ENGINE_BYTES_MAX) {
        *text = "a transaction has too many bytes";
        err = RC_ETOOBIG;
    }
    return err;
}
