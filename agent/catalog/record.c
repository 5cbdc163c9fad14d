#include "agent/catalog/record.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

enum { ORPHANS_MAX = 1024 };

/* ---- place in time, and what it means for the summary */

uint64_t record_print(const char *owner, uint64_t epoch, uint64_t version)
{
    uint8_t space[CATALOG_NODE_NAME_MAX + 16];
    size_t size = strnlen(owner, CATALOG_NODE_NAME_MAX);

    assert(owner[size] == '\0');
    memcpy(space, owner, size); /* without its NUL */
    for (unsigned i = 0; i < 8; i++) {
        space[size + i] = (uint8_t)(epoch >> (8 * i));
        space[size + 8 + i] = (uint8_t)(version >> (8 * i));
    }
    return rc_hash(space, size + 16, 0);
}

unsigned record_bucket(const char *owner)
{
    return (unsigned)(rc_hash(owner, strlen(owner), 1) % STATE_BUCKETS);
}

void record_forget(struct catalog *c, struct node_entry *entry)
{
    if (entry->view.epoch != 0) {
        c->sum_versions -= entry->view.version;
        c->sum_owners--;
        c->sum_prints -= entry->print;
    }
    entry->view.epoch = 0;
    entry->view.version = 0;
    entry->print = 0;
}

void record_stand_at(struct catalog *c, struct node_entry *entry, uint64_t epoch,
                     uint64_t version)
{
    assert(epoch > 0);
    record_forget(c, entry);
    entry->view.epoch = epoch;
    entry->view.version = version;
    entry->print = record_print(entry->name, epoch, version);
    c->sum_versions += version;
    c->sum_owners++;
    c->sum_prints += entry->print;
}

/* ---- deletions */

static bool is_stone(const struct tombstone *stone, enum op_kind kind, const char *id)
{
    return stone->kind == kind && strcmp(stone->id, id) == 0;
}

static void drop_stone(struct node_entry *entry, size_t place)
{
    free(entry->tombstones[place].id);
    entry->tombstone_count--;
    memmove(&entry->tombstones[place], &entry->tombstones[place + 1],
            (entry->tombstone_count - place) * sizeof *entry->tombstones);
}

void record_unbury_item(struct node_entry *entry, enum op_kind kind, const char *id)
{
    for (size_t i = 0; i < entry->tombstone_count; i++) {
        if (is_stone(&entry->tombstones[i], kind, id)) {
            drop_stone(entry, i);
            return;
        }
    }
}

static uint64_t buried_at(const struct node_entry *entry, enum op_kind kind,
                          const char *id)
{
    for (size_t i = 0; i < entry->tombstone_count; i++) {
        if (is_stone(&entry->tombstones[i], kind, id)) {
            return entry->tombstones[i].version;
        }
    }
    return 0;
}

static void raise_floor(struct node_entry *entry, uint64_t version)
{
    if (version > entry->floor) {
        entry->floor = version;
    }
}

/* Most records have few deletions, if any. */
static bool stone_room(struct node_entry *entry)
{
    if (entry->tombstone_count < entry->tombstones_capacity) {
        return true;
    }
    size_t larger = entry->tombstones_capacity == 0 ? 2 : 2 * entry->tombstones_capacity;
    struct tombstone *stones =
        realloc(entry->tombstones, larger * sizeof *entry->tombstones);
    if (stones == NULL) {
        return false;
    }
    entry->tombstones = stones;
    entry->tombstones_capacity = larger;
    return true;
}

void record_bury_item(struct node_entry *entry, enum op_kind kind, const char *id,
                      uint64_t version)
{
    record_unbury_item(entry, kind, id);
    if (entry->tombstone_count == STATE_TOMBSTONES_MAX) {
        raise_floor(entry, entry->tombstones[0].version);
        drop_stone(entry, 0);
    }
    char *copy = stone_room(entry) ? rc_text_copy(id) : NULL;
    if (copy == NULL) {
        raise_floor(entry, version); /* not remembered: then nothing below is */
        return;
    }
    size_t place = entry->tombstone_count;
    while (place > 0 && entry->tombstones[place - 1].version > version) {
        entry->tombstones[place] = entry->tombstones[place - 1];
        place--;
    }
    entry->tombstones[place] = (struct tombstone){kind, copy, version};
    entry->tombstone_count++;
}

static void forget_stones(struct node_entry *entry)
{
    for (size_t i = 0; i < entry->tombstone_count; i++) {
        free(entry->tombstones[i].id);
    }
    free(entry->tombstones);
    entry->tombstones = NULL;
    entry->tombstone_count = 0;
    entry->tombstones_capacity = 0;
}

/* ---- applying operations to another owner's record */

/* One delta at work. */
struct work {
    struct catalog *c;
    struct node_entry *entry;
    const struct delta *delta;
    bool replace; /* a whole record that is newer: what it says stands, whatever stood */
    struct applied *out;
};

static bool over_quota(struct catalog *c, const struct node_entry *entry, size_t count,
                       size_t max, size_t weight)
{
    if (count >= max || entry->weight + weight > CATALOG_RECORD_BYTES_MAX) {
        c->counters.records_over_quota++;
        return true;
    }
    return false;
}

static int apply_node(struct work *work, const struct op *op)
{
    struct node_entry *entry = work->entry;

    if (!work->replace && entry->facts != NULL && entry->facts->version >= op->version) {
        return RC_OK;
    }
    struct item_facts *facts = item_facts_create(&op->node);
    if (facts == NULL) {
        return RC_ENOMEM;
    }
    facts->version = op->version;
    if (entry->facts != NULL && item_facts_equals(entry->facts, facts)) {
        entry->facts->version = op->version;
        item_facts_seal(entry->facts); /* it says what its owner says */
        item_facts_destroy(facts);
        return RC_OK;
    }
    if (entry->facts != NULL) {
        step_bury_facts(work->c, entry->facts);
    }
    entry->facts = facts;
    listing_set_facts(work->c, entry);
    work->out->urgent = true;
    return RC_OK;
}

static int apply_service(struct work *work, const struct op *op)
{
    struct catalog *c = work->c;
    struct node_entry *entry = work->entry;
    const struct catalog_service *known = catalog_service_find(&entry->view, op->id);
    struct item_service *old = known == NULL ? NULL : item_of_service(known);

    if (op->id[0] == '\0') {
        return RC_EMALFORMED;
    }
    if (!work->replace && ((old != NULL && old->version >= op->version) ||
                           buried_at(entry, OP_NO_SERVICE, op->id) >= op->version)) {
        return RC_OK;
    }
    if (old == NULL &&
        over_quota(c, entry, entry->view.service_count, c->options.services_max,
                   item_service_weight(&op->service))) {
        return RC_OK;
    }
    struct item_service *item = item_service_create(&op->service);
    if (item == NULL) {
        return RC_ENOMEM;
    }
    item->version = op->version;
    item->seen = c->seen_mark;
    record_unbury_item(entry, OP_NO_SERVICE, op->id);
    if (old != NULL && item_service_equals(old, item)) {
        old->version = op->version;
        old->seen = c->seen_mark;
        item_service_seal(old);
        item_service_destroy(item);
        return RC_OK;
    }
    work->out->urgent = true;
    return listing_put_service(c, entry, item);
}

static bool same_result(const struct catalog_check *a, const struct catalog_check *b)
{
    return a->status == b->status && a->since_wall_ms == b->since_wall_ms &&
           a->output_cut == b->output_cut && strcmp(a->output, b->output) == 0;
}

/* Status and output of a known check. A cut output may be completed at its version. */
static int apply_state(struct work *work, struct item_check *item, const struct op *op)
{
    struct catalog_check *check = &item->view;
    bool completes = op->state_version == item->state_version && check->output_cut &&
                     !op->check.output_cut;

    if (op->state_version < item->version) {
        return RC_OK; /* from before the check as it now is: only a faulty writer says that */
    }
    if (!work->replace && op->state_version <= item->state_version && !completes) {
        return RC_OK;
    }
    if (work->replace && op->check.output_cut && !check->output_cut &&
        op->state_version == item->state_version &&
        work->delta->epoch == work->entry->view.epoch) {
        return RC_OK; /* we have the whole text already */
    }
    item->state_version = op->state_version;
    if (same_result(check, &op->check)) {
        item_check_seal(item);
        return RC_OK;
    }
    work->out->urgent |= check->status != op->check.status;
    return listing_set_result(work->c, item, &op->check);
}

static int put_check(struct work *work, const struct op *op, struct item_check *old)
{
    struct catalog *c = work->c;
    struct node_entry *entry = work->entry;
    struct item_check *item = item_check_create(&op->check);

    if (item == NULL) {
        return RC_ENOMEM;
    }
    item->version = op->version;
    item->state_version = op->state_version;
    item->seen = c->seen_mark;
    record_unbury_item(entry, OP_NO_CHECK, op->id);
    if (old != NULL && item_check_same_definition(old, item)) {
        item_check_destroy(item);
        old->version = op->version;
        old->seen = c->seen_mark;
        return apply_state(work, old, op);
    }
    work->out->urgent = true;
    return listing_put_check(c, entry, item);
}

static int apply_check(struct work *work, const struct op *op)
{
    struct catalog *c = work->c;
    struct node_entry *entry = work->entry;
    const struct catalog_check *known = catalog_check_find(&entry->view, op->id);
    struct item_check *old = known == NULL ? NULL : item_of_check(known);

    if (op->id[0] == '\0' || old == entry->health) {
        return RC_EMALFORMED;
    }
    if (!work->replace) {
        if (old != NULL && old->version >= op->version) {
            return apply_state(work, old, op);
        }
        if (buried_at(entry, OP_NO_CHECK, op->id) >= op->version) {
            return RC_OK;
        }
    }
    if (old == NULL && over_quota(c, entry, entry->checks_count, c->options.checks_max,
                                  item_check_weight(&op->check))) {
        return RC_OK;
    }
    return put_check(work, op, old);
}

static int apply_result(struct work *work, const struct op *op)
{
    struct node_entry *entry = work->entry;
    const struct catalog_check *known = catalog_check_find(&entry->view, op->id);

    if (known == NULL || known == &entry->health->view) {
        return RC_OK; /* refused for its quota, or removed since */
    }
    return apply_state(work, item_of_check(known), op);
}

static int apply_no_service(struct work *work, const struct op *op)
{
    struct node_entry *entry = work->entry;
    const struct catalog_service *known = catalog_service_find(&entry->view, op->id);

    if (known != NULL && item_of_service(known)->version >= op->version) {
        return RC_OK;
    }
    if (known != NULL) {
        listing_drop_service(work->c, item_of_service(known));
        work->out->urgent = true;
    }
    record_bury_item(entry, OP_NO_SERVICE, op->id, op->version);
    return RC_OK;
}

static int apply_no_check(struct work *work, const struct op *op)
{
    struct node_entry *entry = work->entry;
    const struct catalog_check *known = catalog_check_find(&entry->view, op->id);

    if (known == &entry->health->view ||
        (known != NULL && item_of_check(known)->version >= op->version)) {
        return RC_OK;
    }
    if (known != NULL) {
        listing_drop_check(work->c, entry, item_of_check(known));
        work->out->urgent = true;
    }
    record_bury_item(entry, OP_NO_CHECK, op->id, op->version);
    return RC_OK;
}

static int (*const appliers[OP_KIND_COUNT])(struct work *, const struct op *) = {
    [OP_NODE] = apply_node,       [OP_NO_CHECK] = apply_no_check,
    [OP_SERVICE] = apply_service, [OP_NO_SERVICE] = apply_no_service,
    [OP_CHECK] = apply_check,     [OP_RESULT] = apply_result,
};

static int apply_ops(struct work *work)
{
    struct rc_cursor in = work->delta->ops;
    struct op op;

    for (size_t i = 0; i < work->delta->op_count; i++) {
        work->c->texts.size = 0;
        int err = record_read_op(&in, work->delta->base, &work->c->texts, &op);
        if (err == RC_OK && op.version > work->delta->version) {
            err = RC_EMALFORMED;
        }
        if (err == RC_OK && op.kind < OP_KIND_COUNT) {
            err = appliers[op.kind](work, &op);
        }
        if (err != RC_OK) {
            return err;
        }
    }
    return RC_OK;
}

/* After a whole record: what it did not name is gone. */
static void drop_unseen(struct catalog *c, struct node_entry *entry)
{
    for (size_t i = entry->checks_count; i-- > 0;) {
        struct item_check *check = item_of_check(entry->checks_by_id[i]);
        if (check->seen != c->seen_mark) {
            listing_drop_check(c, entry, check);
        }
    }
    for (size_t i = entry->view.service_count; i-- > 0;) {
        struct item_service *service = item_of_service(entry->services[i]);
        if (service->seen != c->seen_mark) {
            listing_drop_service(c, service);
        }
    }
}

/* Finds from where cut outputs must be asked for again. */
static void note_cuts(struct catalog *c, struct node_entry *entry)
{
    c->cut_count -= entry->cut_below != 0;
    entry->cut_below = 0;
    for (size_t i = 0; i < entry->checks_count; i++) {
        const struct item_check *check = item_of_check(entry->checks_by_id[i]);
        uint64_t version =
            check->version < check->state_version ? check->version : check->state_version;
        if (check->view.output_cut &&
            (entry->cut_below == 0 || version < entry->cut_below)) {
            entry->cut_below = version;
        }
    }
    c->cut_count += entry->cut_below != 0;
}

/* What may be done with a delta of another owner, by its place in time. */
static bool is_useful(const struct node_entry *entry, const struct delta *delta,
                      struct applied *out)
{
    uint64_t epoch = entry->view.epoch;
    uint64_t version = entry->view.version;

    out->from = delta->epoch == epoch ? version : 0;
    if (delta->epoch < epoch) {
        return false;
    }
    if (delta->epoch > epoch) {
        out->gap = !delta->whole;
        return delta->whole;
    }
    out->gap = !delta->whole && delta->base > version;
    return delta->version > version ? !out->gap : entry->cut_below != 0 && !out->gap;
}

static int apply(struct catalog *c, struct node_entry *entry, const struct delta *delta,
                 struct applied *out)
{
    bool newer = delta->epoch > entry->view.epoch || delta->version > entry->view.version;
    struct work work = {c, entry, delta, delta->whole && newer, out};

    c->seen_mark++;
    int err = rc_buffer_reserve(&c->texts, rc_cursor_left(&delta->ops) + 1);
    if (err == RC_OK) {
        err = apply_ops(&work);
    }
    note_cuts(c, entry);
    if (err != RC_OK) {
        return err; /* what was applied is true; the version tells that more is missing */
    }
    if (work.replace) {
        drop_unseen(c, entry);
        forget_stones(entry);
        entry->floor = delta->version;
    }
    if (newer) {
        record_stand_at(c, entry, delta->epoch, delta->version);
        out->news = true;
    }
    return RC_OK;
}

/* Our own record, told by somebody who knows a later one: a former life whose epoch was
 * not kept, or a clock that went back. We outbid it, as in a refutation. */
static int answer_echo(struct catalog *c, const struct delta *delta, struct applied *out)
{
    struct node_entry *self = c->self;

    if (delta->epoch < self->view.epoch ||
        (delta->epoch == self->view.epoch && delta->version <= self->view.version)) {
        return RC_OK;
    }
    c->counters.records_own_echo++;
    if (delta->epoch == UINT64_MAX) {
        return RC_EMALFORMED;
    }
    record_stand_at(c, self, delta->epoch + 1, self->view.version + 1);
    out->news = true;
    return RC_OK;
}

int record_apply(struct catalog *c, uint64_t now_ms, const struct delta *delta,
                 struct applied *out)
{
    *out = (struct applied){0};
    c->now_ms = now_ms;
    if (strcmp(delta->owner, c->self->name) == 0) {
        return answer_echo(c, delta, out);
    }
    struct digest_key key = digest_key(delta->owner);
    const struct buried *buried =
        rc_table_get_bytes(c->buried, key.bytes, DIGEST_KEY_SIZE);
    if (buried != NULL && delta->epoch <= buried->epoch) {
        c->counters.records_buried++;
        return RC_EDENIED;
    }
    struct node_entry *entry = listing_find(c, delta->owner);
    if (entry == NULL) {
        if (rc_table_count(c->by_name) >= c->node_count + ORPHANS_MAX) {
            return RC_ETOOBIG; /* too many records of nodes that gossip does not know */
        }
        entry = listing_entry(c, delta->owner);
        if (entry != NULL) {
            entry->unlisted_ms = now_ms;
        }
    }
    if (entry == NULL || strcmp(entry->name, delta->owner) != 0) {
        return RC_ETOOBIG;
    }
    return is_useful(entry, delta, out) ? apply(c, entry, delta, out) : RC_OK;
}
