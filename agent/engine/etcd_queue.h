/* etcd_queue.h - transactions that wait, and which of them may travel together.
 *
 * What waits while others are under way rides in one request: an etcd transaction whose
 * operations are transactions (RequestOp.request_txn). etcd evaluates all compares on the state
 * before any of them acts, and refuses a key that two of them write; so only those go together
 * whose keys do not meet: nobody writes what another compares or writes. Each succeeds or fails
 * by itself then, exactly as if they had come one after the other. Order is kept between
 * transactions that meet. Pure.
 *
 * Source: etcd 3.4 server/etcdserver/apply.go (compareToPath), v3rpc/key.go (checkTxnRequest:
 * outer and inner operations together at most 128). */
#ifndef AGENT_ENGINE_ETCD_QUEUE_H
#define AGENT_ENGINE_ETCD_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/engine/etcd_answer.h"
#include "agent/store/engine.h"
#include "base/buffer.h"

enum {
    ETCD_RIDERS_MAX = ETCD_NESTED_MAX,
    ETCD_RIDE_OPS_MAX = 64,         /* of a transaction that may ride: 64 + 64 = 128 */
    ETCD_RIDE_BYTES_MAX = 256 << 10 /* of a shared request */
};

struct etcd_write {
    struct etcd_write *next;
    engine_done *done;
    void *context;
    struct rc_buffer message; /* TxnRequest */
    uint64_t *marks;          /* hashes of its keys; the lowest bit: it writes it */
    size_t mark_count;
    bool rides; /* may share a request */
    uint64_t asked_ms;
    bool is_alone;    /* must not share: a shared one was refused */
    int err;          /* refused at our door */
    const char *text; /* why; static */
};

/* A transaction as it waits; NULL when memory is out. One that cannot be sent has `err`
 * RC_ETOOBIG or RC_EINVAL: see txn_check.h. */
struct etcd_write *etcd_write_create(struct rc_pack_bytes prefix,
                                     const struct engine_txn *txn, engine_done *done,
                                     void *context);
void etcd_write_destroy(struct etcd_write *write); /* NULL is allowed */

struct etcd_queue {
    struct etcd_write *first;
    struct etcd_write *last;
    size_t count;
    size_t riders_max; /* of those taken together; 0: ETCD_RIDERS_MAX */
    size_t left; /* of them were there when others were taken, and could not go along */
};

void etcd_queue_put(struct etcd_queue *queue, struct etcd_write *write);

/* Before all others. */
void etcd_queue_put_first(struct etcd_queue *queue, struct etcd_write *write);

/* Takes out the first if it was asked before `before_ms`; else NULL. */
struct etcd_write *etcd_queue_take_old(struct etcd_queue *queue, uint64_t before_ms);

/* Takes out what goes next: at least one unless it is empty, at most riders_max. */
size_t etcd_queue_take(struct etcd_queue *queue, struct etcd_write *out[ETCD_RIDERS_MAX]);

#endif
