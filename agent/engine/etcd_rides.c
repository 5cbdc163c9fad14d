/* etcd_rides.c - sending transactions, alone or together. */
#include "agent/engine/etcd_rides.h"

#include <stdlib.h>

#include "agent/engine/etcd_hidden.h"
#include "agent/engine/etcd_message.h"
#include "base/err.h"

enum {
    RIDES_MAX = 4, /* requests under way at once */
    MEMORY_AGAIN_MS = 100
};

/* One request with one transaction or several. */
struct ride {
    struct etcd_rides *rides;
    size_t count;
    struct etcd_write *writes[ETCD_RIDERS_MAX];
};

static void end_write(struct etcd_write *write, const struct engine_answer *answer)
{
    write->done(write->context, answer);
    etcd_write_destroy(write);
}

static void end_ride(struct ride *ride, int err, const char *text)
{
    for (size_t i = 0; i < ride->count; i++) {
        end_write(ride->writes[i], &(struct engine_answer){.err = err, .text = text});
    }
}

static void end_ride_well(struct ride *ride, const struct etcd_outcome *outcome)
{
    struct etcd_txn_answer txn;
    int err = etcd_answer_txn(outcome->message, &txn);

    if (err != RC_OK || txn.revision == 0 ||
        (ride->count > 1 && txn.nested_count != ride->count)) {
        end_ride(ride, RC_EUNKNOWN, "etcd: its answer to a transaction makes no sense");
        return;
    }
    etcd_follow_owe(ride->rides->follow, txn.revision);
    for (size_t i = 0; i < ride->count; i++) {
        bool succeeded = ride->count > 1 ? txn.nested[i] : txn.succeeded;
        end_write(ride->writes[i], &(struct engine_answer){.text = "",
                                                           .succeeded = succeeded,
                                                           .revision = txn.revision});
    }
}

/* One of several was refused, so all were: each goes alone. If there were too many for this
 * cluster's --max-txn-ops or --max-request-bytes, fewer go together from now on. */
static void part_ways(struct ride *ride, int err)
{
    if (err == RC_ETOOBIG) {
        ride->rides->queue.riders_max = ride->count / 2;
    }
    for (size_t i = ride->count; i > 0; i--) {
        ride->writes[i - 1]->is_alone = true;
        etcd_queue_put_first(&ride->rides->queue, ride->writes[i - 1]);
    }
}

static void on_ride_end(void *context, const struct etcd_outcome *outcome)
{
    struct ride *ride = context;
    struct etcd_rides *rides = ride->rides;
    int err = outcome->err == RC_ECONFLICT ? RC_EIO : outcome->err;
    bool is_of_one = err == RC_ENOTFOUND || err == RC_EINVAL || err == RC_ETOOBIG;

    rides->under_way--;
    if (err == RC_EUNKNOWN && !rides->is_closing) {
        etcd_gate_shut(rides->gate);
    }
    if (err == RC_ENOSPC) {
        etcd_look_full(rides->look, outcome->text);
    }
    if (err == RC_OK) {
        end_ride_well(ride, outcome);
    } else if (ride->count > 1 && is_of_one) {
        part_ways(ride, err);
    } else {
        end_ride(ride, err, outcome->text);
    }
    free(ride);
    etcd_rides_pump(rides);
}

/* ---- sending ------------------------------------------------------------------------ */

/* etcd asks its quota only for what the outermost transaction puts itself (etcdserver/quota.go):
 * without the mark, nested ones would fill its disk beyond all limits. */
static void write_body(const struct ride *ride, struct rc_buffer *body)
{
    const struct rc_buffer *first = &ride->writes[0]->message;

    if (ride->count == 1) {
        rc_buffer_append(body, first->bytes, first->size);
        return;
    }
    for (size_t i = 0; i < ride->count; i++) {
        const struct rc_buffer *message = &ride->writes[i]->message;
        etcd_message_nest(body, (struct rc_pack_bytes){message->bytes, message->size});
    }
    etcd_message_mark(body, ride->rides->gate->prefix, ETCD_MARK);
}

/* False: no memory; what was taken waits again. */
static bool send_next(struct etcd_rides *rides)
{
    struct rc_buffer body = {0};
    struct ride *ride = calloc(1, sizeof *ride);

    if (ride == NULL) {
        return false;
    }
    ride->rides = rides;
    ride->count = etcd_queue_take(&rides->queue, ride->writes);
    write_body(ride, &body);
    if (etcd_ask(rides->asker, ETCD_WRITES, ETCD_TXN, &body, on_ride_end, ride) !=
        RC_OK) {
        for (size_t i = ride->count; i > 0; i--) {
            etcd_queue_put_first(&rides->queue, ride->writes[i - 1]);
        }
        free(ride);
        return false;
    }
    rides->under_way++;
    rides->last_count = ride->count;
    return true;
}

/* One request at a time, so that the next gathers as many as it can: that costs etcd least, and
 * those at its end no more time (README.md). Only what could not go along, since it meets what
 * went or there were too many, goes while others are under way. */
static bool may_send(const struct etcd_rides *rides)
{
    bool is_next = rides->under_way == 0 || rides->queue.left > 0;

    return is_next && !rides->is_closing && !rides->gate->is_shut &&
           rides->under_way < RIDES_MAX && rides->queue.count > 0;
}

void etcd_rides_pump(struct etcd_rides *rides)
{
    const struct etcd_edge *edge = rides->asker->edge;

    while (may_send(rides)) {
        if (!send_next(rides)) {
            edge->wake(edge->context, MEMORY_AGAIN_MS);
            return;
        }
    }
}

void etcd_rides_put(struct etcd_rides *rides, struct etcd_write *write)
{
    const struct etcd_edge *edge = rides->asker->edge;

    write->asked_ms = edge->now_ms(edge->context);
    etcd_queue_put(&rides->queue, write);
    if (rides->last_count > 1 && rides->under_way == 0) {
        edge->wake(edge->context, 0);
    } else {
        etcd_rides_pump(rides);
    }
}

void etcd_rides_wake(struct etcd_rides *rides, uint64_t now_ms)
{
    const struct engine_answer with = {.err = RC_EAGAIN,
                                       .text = "etcd: no member accepts writes"};
    uint64_t patience_ms = rides->asker->request_ms;
    struct etcd_write *write = NULL;

    while (rides->gate->is_shut && now_ms > patience_ms &&
           (write = etcd_queue_take_old(&rides->queue, now_ms - patience_ms)) != NULL) {
        end_write(write, &with);
    }
    etcd_rides_pump(rides);
}

void etcd_rides_stop(struct etcd_rides *rides)
{
    rides->is_closing = true;
}

void etcd_rides_fini(struct etcd_rides *rides)
{
    const struct engine_answer with = {.err = RC_ECLOSED, .text = "the store is closing"};

    while (rides->queue.count > 0) {
        struct etcd_write *writes[ETCD_RIDERS_MAX];
        size_t count = etcd_queue_take(&rides->queue, writes);
        for (size_t i = 0; i < count; i++) {
            end_write(writes[i], &with);
        }
    }
}
