/* store_witness.c - the index as witness: in what order a key's writes must have happened.
 *
 * Every write that has an index (its own, or that of a read which saw its value) has its place;
 * places must respect real time, reads must fit between what was answered before them and what
 * was asked before they were answered, and a cas must stand right behind its index. What
 * releases a lock by itself, or lets a key go by its ttl, appears without having been asked. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/store_history.h"

/* A change of the key at an index. */
struct place {
    uint64_t index;
    const struct history_op *op; /* NULL: by itself */
    char value[HISTORY_VALUE_MAX];
    char session[HISTORY_SESSION_MAX];
    bool is_known; /* value and session were seen by a reader */
};

struct witness {
    const struct history_op *ops;
    size_t count;
    struct place *places; /* by index */
    size_t place_count;
    bool may_go;     /* a ttl, or a session that deletes */
    bool may_settle; /* it was locked */
    struct verdict *verdict;
};

static bool is_read(const struct history_op *op)
{
    return op->verb == HISTORY_GET || op->verb == HISTORY_STALE;
}

static bool is_removal(const struct history_op *op)
{
    return op->verb == HISTORY_DELETE || op->verb == HISTORY_DELETE_CAS;
}

static bool may_have_written(const struct history_op *op)
{
    return !is_read(op) && (op->result == HISTORY_TRUE || op->result == HISTORY_UNKNOWN);
}

static struct place *place_at(struct witness *w, uint64_t index)
{
    for (size_t i = 0; i < w->place_count; i++) {
        if (w->places[i].index == index) {
            return &w->places[i];
        }
    }
    return NULL;
}

static struct place *add_place(struct witness *w, uint64_t index,
                               const struct history_op *op)
{
    struct place *place = &w->places[w->place_count++];

    *place = (struct place){.index = index, .op = op};
    if (op != NULL && !is_read(op)) {
        (void)snprintf(place->value, sizeof place->value, "%s", op->value);
    }
    return place;
}

static const struct history_op *writer_of(const struct witness *w, const char *value)
{
    for (size_t i = 0; i < w->count; i++) {
        if (!is_read(&w->ops[i]) && strcmp(w->ops[i].value, value) == 0) {
            return &w->ops[i];
        }
    }
    return NULL;
}

/* The index of a write: its own, or that of the first place with its value. */
static uint64_t index_of(const struct witness *w, const struct history_op *op)
{
    if (op->index != 0) {
        return op->index;
    }
    uint64_t first = 0;
    for (size_t i = 0; i < w->place_count; i++) {
        bool is_it = w->places[i].op == op;
        if (is_it && (first == 0 || w->places[i].index < first)) {
            first = w->places[i].index;
        }
    }
    return first;
}

/* ---- places */

static bool place_write(struct witness *w, const struct history_op *op)
{
    if (!may_have_written(op) || op->index == 0) {
        return true;
    }
    if (place_at(w, op->index) != NULL && !is_removal(op)) {
        verdict_fail(w->verdict, op, "two writes at one index");
        return false;
    }
    (void)add_place(w, op->index, op);
    return true;
}

static bool place_seen(struct witness *w, const struct history_op *op)
{
    if (op->result != HISTORY_TRUE || !is_read(op) || op->seen[0] == '\0' ||
        op->index == 0) {
        return true;
    }
    const struct history_op *writer = writer_of(w, op->seen);
    if (writer == NULL || !may_have_written(writer)) {
        verdict_fail(w->verdict, op, "a value that nobody wrote");
        return false;
    }
    if (writer->call >= op->back) {
        verdict_fail(w->verdict, op, "a value of the future");
        return false;
    }
    struct place *place = place_at(w, op->index);
    if (place == NULL) {
        bool is_own = writer->index == 0 && op->seen_session[0] != '\0';
        bool is_settled = writer->index != 0;
        if (is_settled && (!w->may_settle || writer->index > op->index)) {
            verdict_fail(w->verdict, op, "an index that nobody wrote");
            return false;
        }
        (void)is_own;
        place = add_place(w, op->index, writer);
        (void)snprintf(place->value, sizeof place->value, "%s", op->seen);
    }
    bool differs = strcmp(place->value, op->seen) != 0 ||
                   (place->is_known && strcmp(place->session, op->seen_session) != 0);
    if (differs) {
        verdict_fail(w->verdict, op, "one index, two contents");
        return false;
    }
    place->is_known = true;
    (void)snprintf(place->session, sizeof place->session, "%s", op->seen_session);
    return true;
}

static int by_index(const void *a, const void *b)
{
    const struct place *one = a;
    const struct place *other = b;

    return one->index < other->index ? -1 : one->index > other->index;
}

/* ---- real time */

/* The highest index that was answered to anybody before `time`; of reads too. */
static uint64_t answered_before(const struct witness *w, uint64_t time)
{
    uint64_t highest = 0;

    for (size_t i = 0; i < w->count; i++) {
        const struct history_op *op = &w->ops[i];
        bool counts = op->back < time && op->verb != HISTORY_STALE &&
                      op->result == HISTORY_TRUE && (!is_read(op) || op->seen[0] != '\0');
        if (!counts) {
            continue;
        }
        uint64_t index = is_read(op) ? op->index : index_of(w, op);
        highest = index > highest ? index : highest;
    }
    return highest;
}

static const struct place *last_place_until(const struct witness *w, uint64_t index)
{
    const struct place *last = NULL;

    for (size_t i = 0; i < w->place_count && w->places[i].index <= index; i++) {
        last = &w->places[i];
    }
    return last;
}

static bool removes(const struct place *place)
{
    return place->op != NULL && is_removal(place->op);
}

/* Something that was asked before `time` may have taken the key away after `index`. */
static bool may_be_removed(const struct witness *w, uint64_t index, uint64_t since,
                           uint64_t time)
{
    for (size_t i = 0; i < w->count; i++) {
        const struct history_op *op = &w->ops[i];
        bool is_later = op->index == 0 ? op->back > since : op->index > index;
        if (is_removal(op) && may_have_written(op) && op->call < time && is_later) {
            return true;
        }
    }
    return w->may_go;
}

static bool fits_absent(const struct witness *w, const struct history_op *op)
{
    uint64_t low = answered_before(w, op->call);
    const struct place *last = last_place_until(w, low);

    if (low == 0 || last == NULL || removes(last) ||
        may_be_removed(w, low, op->call, op->back)) {
        return true;
    }
    verdict_fail(w->verdict, op, "a key that must be there is not");
    return false;
}

static bool fits_read(const struct witness *w, const struct history_op *op)
{
    if (op->result != HISTORY_TRUE || op->verb != HISTORY_GET) {
        return true;
    }
    if (op->seen[0] == '\0') {
        return fits_absent(w, op);
    }
    if (op->index < answered_before(w, op->call)) {
        verdict_fail(w->verdict, op, "a read of the past");
        return false;
    }
    return true;
}

static bool fits_write(const struct witness *w, const struct history_op *op)
{
    uint64_t index = op->result == HISTORY_TRUE && !is_read(op) ? index_of(w, op) : 0;

    /* What deletes nothing has the revision of its moment: later than all answered is right. */
    if (index != 0 && index < answered_before(w, op->call)) {
        verdict_fail(w->verdict, op, "a write before what was answered before it");
        return false;
    }
    return true;
}

/* ---- cas */

static bool fits_cas(const struct witness *w, const struct history_op *op)
{
    bool is_cas = op->verb == HISTORY_CAS || op->verb == HISTORY_DELETE_CAS;
    uint64_t index = is_cas && op->result == HISTORY_TRUE ? index_of(w, op) : 0;
    const struct place *before = index == 0 ? NULL : last_place_until(w, index - 1);

    if (index == 0) {
        return true;
    }
    bool was_there = before != NULL && !removes(before);
    if (op->verb == HISTORY_CAS && op->arg == 0 && was_there && !w->may_go &&
        !may_be_removed(w, before->index, 0, op->back)) {
        verdict_fail(w->verdict, op, "made though it was there");
        return false;
    }
    /* Any delete-cas is true of a key that is not there. */
    bool may_be_absent =
        op->verb == HISTORY_DELETE_CAS &&
        (w->may_go || (was_there && may_be_removed(w, before->index, 0, op->back)));
    if (op->arg != 0 && was_there && before->index > op->arg && !may_be_absent) {
        verdict_fail(w->verdict, op, "a cas though its index was overwritten");
        return false;
    }
    return true;
}

/* ---- locks: terms grow with every new holder */

static bool fits_terms(const struct witness *w)
{
    uint64_t term = 0;
    const char *holder = "";

    for (size_t i = 0; i < w->place_count; i++) {
        const struct history_op *op = w->places[i].op;
        if (op == NULL || op->verb != HISTORY_LOCK || op->index != w->places[i].index ||
            op->term == 0) {
            continue;
        }
        if (op->term < term || (op->term == term && strcmp(holder, op->session) != 0)) {
            verdict_fail(w->verdict, op, "a term that does not grow");
            return false;
        }
        term = op->term;
        holder = op->session;
    }
    return true;
}

bool witness_key(const struct history_op *ops, size_t count, struct verdict *verdict)
{
    struct witness w = {.ops = ops, .count = count, .verdict = verdict};
    bool is_good = true;

    w.places = calloc(2 * count, sizeof *w.places);
    if (w.places == NULL) {
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        bool is_locked = ops[i].verb == HISTORY_LOCK && ops[i].result != HISTORY_FALSE;
        w.may_settle = w.may_settle || is_locked;
        w.may_go = w.may_go || (ops[i].arg > 0 && (ops[i].verb == HISTORY_PUT ||
                                                   ops[i].verb == HISTORY_LOCK));
    }
    for (size_t i = 0; i < count && is_good; i++) {
        is_good = place_write(&w, &ops[i]);
    }
    for (size_t i = 0; i < count && is_good; i++) {
        is_good = place_seen(&w, &ops[i]);
    }
    qsort(w.places, w.place_count, sizeof *w.places, by_index);
    for (size_t i = 0; i < count && is_good; i++) {
        is_good =
            fits_read(&w, &ops[i]) && fits_write(&w, &ops[i]) && fits_cas(&w, &ops[i]);
    }
    is_good = is_good && fits_terms(&w);
    free(w.places);
    return is_good;
}
