/* etcd_queue.c - who may ride with whom, by the hashes of their keys. Two keys with the same
 * hash are taken to meet, which only costs a request. */
#include "agent/engine/etcd_queue.h"

#include <assert.h>
#include <stdlib.h>

#include "agent/engine/etcd_message.h"
#include "agent/store/txn_check.h"
#include "base/err.h"
#include "base/table.h"

enum {
    MET_SLOTS = 1024, /* a power of two, on the stack: 8 KB */
    MET_MAX = MET_SLOTS / 2,
    LOOK_AHEAD = 256, /* writes */
    MESSAGE_MAX = 2 << 20
};

/* ---- a transaction as it waits ---------------------------------------------------- */

static uint64_t mark_of(struct rc_pack_bytes key, uint64_t writes)
{
    return (rc_hash(key.at, key.size, 0) << 2 | 2) | writes; /* never 0 */
}

static void mark_ops(struct etcd_write *write, const struct engine_op *ops, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        write->marks[write->mark_count++] = mark_of(ops[i].key, 1);
        write->rides = write->rides && ops[i].verb != ENGINE_DELETE_PREFIX;
    }
    write->rides = write->rides && count <= ETCD_RIDE_OPS_MAX;
}

struct etcd_write *etcd_write_create(struct rc_pack_bytes prefix,
                                     const struct engine_txn *txn, engine_done *done,
                                     void *context)
{
    struct etcd_write *write = calloc(1, sizeof *write);

    if (write == NULL) {
        return NULL;
    }
    write->done = done;
    write->context = context;
    write->err = txn_check(txn, &write->text);
    if (write->err != RC_OK) {
        return write;
    }
    size_t count = txn->compare_count + txn->then_count + txn->otherwise_count;
    write->marks = calloc(count + 1, sizeof *write->marks);
    write->message.max = MESSAGE_MAX;
    etcd_message_txn(&write->message, prefix, txn);
    if (write->marks == NULL || write->message.err != RC_OK) {
        etcd_write_destroy(write);
        return NULL;
    }
    write->rides = txn->compare_count <= ETCD_RIDE_OPS_MAX;
    for (size_t i = 0; i < txn->compare_count; i++) {
        write->marks[write->mark_count++] = mark_of(txn->compares[i].key, 0);
        write->rides =
            write->rides && txn->compares[i].target != ENGINE_PREFIX_MOD_REVISION;
    }
    mark_ops(write, txn->then, txn->then_count);
    mark_ops(write, txn->otherwise, txn->otherwise_count);
    return write;
}

void etcd_write_destroy(struct etcd_write *write)
{
    if (write != NULL) {
        rc_buffer_fini(&write->message);
        free(write->marks);
        free(write);
    }
}

/* ---- who meets whom --------------------------------------------------------------- */

/* The keys of those taken and of those passed over. */
struct met {
    uint64_t slots[MET_SLOTS]; /* marks; 0: free */
    size_t count;
};

static uint64_t *find(struct met *met, uint64_t mark)
{
    size_t at = (size_t)(mark >> 8) % MET_SLOTS;

    while (met->slots[at] != 0 && (met->slots[at] | 1) != (mark | 1)) {
        at = (at + 1) % MET_SLOTS;
    }
    return &met->slots[at];
}

static bool meets(struct met *met, const struct etcd_write *write)
{
    for (size_t i = 0; i < write->mark_count; i++) {
        uint64_t there = *find(met, write->marks[i]);
        if (there != 0 && ((there | write->marks[i]) & 1) != 0) {
            return true;
        }
    }
    return false;
}

/* Remembers its keys; false when there is no room for them. */
static bool remember(struct met *met, const struct etcd_write *write)
{
    if (met->count + write->mark_count > MET_MAX) {
        return false;
    }
    for (size_t i = 0; i < write->mark_count; i++) {
        uint64_t *slot = find(met, write->marks[i]);
        met->count += *slot == 0;
        *slot |= write->marks[i];
    }
    return true;
}

/* ---- the queue -------------------------------------------------------------------- */

void etcd_queue_put(struct etcd_queue *queue, struct etcd_write *write)
{
    write->next = NULL;
    if (queue->last == NULL) {
        queue->first = write;
    } else {
        queue->last->next = write;
    }
    queue->last = write;
    queue->count++;
}

void etcd_queue_put_first(struct etcd_queue *queue, struct etcd_write *write)
{
    write->next = queue->first;
    queue->first = write;
    if (queue->last == NULL) {
        queue->last = write;
    }
    queue->count++;
    queue->left++;
}

/* Takes the one `*link` points to out; `before` is the one that holds the link, or NULL. */
static struct etcd_write *take(struct etcd_queue *queue, struct etcd_write **link,
                               struct etcd_write *before)
{
    struct etcd_write *write = *link;

    assert(queue->count > 0);
    *link = write->next;
    if (queue->last == write) {
        queue->last = before;
    }
    write->next = NULL;
    queue->count--;
    return write;
}

/* Whether those behind may still be looked at once `write` is passed over. */
static bool may_pass(struct met *met, const struct etcd_write *write)
{
    return write->rides && remember(met, write);
}

static size_t take_riders(struct etcd_queue *queue,
                          struct etcd_write *out[ETCD_RIDERS_MAX])
{
    struct met met = {.count = 0};

    out[0] = take(queue, &queue->first, NULL);
    if (!out[0]->rides || out[0]->is_alone || !remember(&met, out[0])) {
        return 1;
    }
    size_t max = queue->riders_max != 0 ? queue->riders_max : ETCD_RIDERS_MAX;
    size_t count = 1;
    size_t bytes = out[0]->message.size;
    struct etcd_write *before = NULL;
    struct etcd_write **link = &queue->first;
    for (size_t i = 0; i < LOOK_AHEAD && *link != NULL && count < max; i++) {
        const struct etcd_write *next = *link;
        bool fits = next->rides && !next->is_alone && !meets(&met, next) &&
                    bytes + next->message.size <= ETCD_RIDE_BYTES_MAX;
        if (fits && remember(&met, next)) {
            bytes += next->message.size;
            out[count++] = take(queue, link, before);
            continue;
        }
        if (!may_pass(&met, next)) {
            break;
        }
        before = *link;
        link = &before->next;
    }
    return count;
}

size_t etcd_queue_take(struct etcd_queue *queue, struct etcd_write *out[ETCD_RIDERS_MAX])
{
    size_t count = 0;

    if (queue->count == 1) { /* nobody to compare it with */
        out[0] = take(queue, &queue->first, NULL);
        count = 1;
    } else if (queue->count > 1) {
        count = take_riders(queue, out);
    }
    queue->left = queue->count;
    return count;
}

struct etcd_write *etcd_queue_take_old(struct etcd_queue *queue, uint64_t before_ms)
{
    if (queue->first == NULL || queue->first->asked_ms >= before_ms) {
        return NULL;
    }
    queue->left -= queue->left > 0;
    return take(queue, &queue->first, NULL);
}
