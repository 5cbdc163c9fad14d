#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/catalog/record.h"
#include "base/err.h"

/* ---- what is newer than a base */

/* Items of a delta that broke off are newer than the record: they are not told on. */
static void add(struct catalog *c, const struct node_entry *entry, size_t *count,
                struct op_ref told)
{
    if (told.version <= entry->view.version) {
        c->refs[(*count)++] = told;
    }
}

static int order(const void *left, const void *right)
{
    const struct op_ref *a = left;
    const struct op_ref *b = right;

    if (a->version != b->version) {
        return a->version < b->version ? -1 : 1;
    }
    if (a->kind != b->kind) {
        return a->kind < b->kind ? -1 : 1;
    }
    return 0;
}

static int refs_room(struct catalog *c, size_t count)
{
    if (count <= c->refs_capacity) {
        return RC_OK;
    }
    struct op_ref *refs = realloc(c->refs, 2 * count * sizeof *refs);
    if (refs == NULL) {
        return RC_ENOMEM;
    }
    c->refs = refs;
    c->refs_capacity = 2 * count;
    return RC_OK;
}

/* A check that is new to the reader stands at its definition's version with the result
 * of now, one that is known at its result's version: so a prefix that is cut between the
 * two never names a result of an unknown check. */
static void collect_checks(struct catalog *c, const struct node_entry *entry,
                           uint64_t base, size_t *count)
{
    for (size_t i = 0; i < entry->checks_count; i++) {
        const struct item_check *check = item_of_check(entry->checks_by_id[i]);
        if (check->version > base) {
            add(c, entry, count, (struct op_ref){check->version, OP_CHECK, check});
        } else if (check->state_version > base) {
            add(c, entry, count, (struct op_ref){check->state_version, OP_RESULT, check});
        }
    }
}

static int collect(struct catalog *c, const struct node_entry *entry, uint64_t base,
                   size_t *count)
{
    *count = 0;
    int err = refs_room(c, 1 + entry->view.service_count + entry->checks_count +
                               entry->tombstone_count);
    if (err != RC_OK) {
        return err;
    }
    if (entry->facts != NULL && entry->facts->version > base) {
        add(c, entry, count,
            (struct op_ref){entry->facts->version, OP_NODE, entry->facts});
    }
    for (size_t i = 0; i < entry->view.service_count; i++) {
        const struct item_service *service = item_of_service(entry->services[i]);
        if (service->version > base) {
            add(c, entry, count, (struct op_ref){service->version, OP_SERVICE, service});
        }
    }
    collect_checks(c, entry, base, count);
    for (size_t i = 0; base > 0 && i < entry->tombstone_count; i++) {
        const struct tombstone *stone = &entry->tombstones[i];
        if (stone->version > base) {
            add(c, entry, count, (struct op_ref){stone->version, stone->kind, stone});
        }
    }
    qsort(c->refs, *count, sizeof *c->refs, order);
    return RC_OK;
}

/* ---- operations */

static void write_pairs(struct rc_buffer *out, const struct catalog_pair *pairs,
                        size_t count)
{
    rc_pack_write_array(out, 2 * count);
    for (size_t i = 0; i < count; i++) {
        rc_pack_write_text(out, pairs[i].key);
        rc_pack_write_text(out, pairs[i].value);
    }
}

static void write_tagged(struct rc_buffer *out,
                         const struct catalog_tagged_address *tagged, size_t count)
{
    rc_pack_write_array(out, 3 * count);
    for (size_t i = 0; i < count; i++) {
        rc_pack_write_text(out, tagged[i].name);
        rc_pack_write_text(out, tagged[i].address);
        rc_pack_write_number(out, tagged[i].port);
    }
}

static void write_facts(struct rc_buffer *out, const struct item_facts *facts)
{
    rc_pack_write_text(out, facts->view.id);
    rc_pack_write_text(out, facts->view.address);
    rc_pack_write_text(out, facts->view.datacenter);
    write_pairs(out, facts->view.meta, facts->view.meta_count);
    write_tagged(out, facts->view.tagged_addresses, facts->view.tagged_address_count);
}

static void write_service(struct rc_buffer *out, const struct item_service *item)
{
    const struct catalog_service said = item_service_said(item);
    const struct catalog_service *service = &said;

    rc_pack_write_text(out, service->id);
    rc_pack_write_text(out, strcmp(service->id, service->name) == 0 ? "" : service->name);
    rc_pack_write_text(out, service->address);
    rc_pack_write_number(out, service->port);
    rc_pack_write_array(out, service->tag_count);
    for (size_t i = 0; i < service->tag_count; i++) {
        rc_pack_write_text(out, service->tags[i]);
    }
    rc_pack_write_number(out, service->weight_passing);
    rc_pack_write_number(out, service->weight_warning);
    rc_pack_write_number(out, service->enable_tag_override ? 1 : 0);
    rc_pack_write_number(out, service->term);
    write_pairs(out, service->meta, service->meta_count);
    write_tagged(out, service->tagged_addresses, service->tagged_address_count);
}

static void write_result(struct rc_buffer *out, const struct catalog_check *check,
                         size_t output_max)
{
    size_t size = strlen(check->output);
    size_t fit = item_text_fit(check->output, size, output_max);

    rc_pack_write_number(out, check->status);
    rc_pack_write_number(out, check->since_wall_ms);
    rc_pack_write_bytes(out, (struct rc_pack_bytes){(const uint8_t *)check->output, fit});
    rc_pack_write_number(out, fit < size || check->output_cut ? 1 : 0);
}

static void write_check(struct rc_buffer *out, const struct item_check *item,
                        size_t output_max)
{
    const struct catalog_check *check = &item->view;

    rc_pack_write_text(out, check->id);
    rc_pack_write_text(out, check->name);
    rc_pack_write_text(out, check->notes);
    rc_pack_write_text(out, check->service_id);
    rc_pack_write_text(out, check->type);
    rc_pack_write_text(out, check->definition);
    rc_pack_write_number(out, item->state_version - item->version);
    write_result(out, check, output_max);
}

/* Fields of each kind, its number and its version among them. */
static const uint8_t field_counts[OP_KIND_COUNT] = {
    [OP_NODE] = 7,     [OP_NO_CHECK] = 3, [OP_NO_SERVICE] = 3,
    [OP_SERVICE] = 13, [OP_CHECK] = 13,   [OP_RESULT] = 7,
};

void record_write_op(struct rc_buffer *out, const struct op_ref *ref, uint64_t base,
                     size_t output_max)
{
    assert(ref->version >= base);
    rc_pack_write_array(out, field_counts[ref->kind]);
    rc_pack_write_number(out, ref->kind);
    rc_pack_write_number(out, ref->version - base);
    switch (ref->kind) {
    case OP_NODE:
        write_facts(out, ref->item);
        break;
    case OP_NO_CHECK:
    case OP_NO_SERVICE:
        rc_pack_write_text(out, ((const struct tombstone *)ref->item)->id);
        break;
    case OP_SERVICE:
        write_service(out, ref->item);
        break;
    case OP_CHECK:
        write_check(out, ref->item, output_max);
        break;
    case OP_RESULT:
        rc_pack_write_text(out, ((const struct item_check *)ref->item)->view.id);
        write_result(out, &((const struct item_check *)ref->item)->view, output_max);
        break;
    case OP_KIND_COUNT:
        assert(0);
        break;
    }
}

/* ---- deltas */

static void write_head(struct rc_buffer *out, const struct node_entry *entry,
                       uint64_t base, uint64_t flags)
{
    rc_pack_write_array(out, 7);
    rc_pack_write_text(out, entry->name);
    rc_pack_write_number(out, entry->view.epoch);
    rc_pack_write_number(out, base);
    rc_pack_write_number(out, flags);
}

static void write_tail(struct rc_buffer *out, uint64_t version)
{
    rc_pack_write_number(out, version);
    rc_pack_write_nil(out);
}

void record_write_hint(struct catalog *c, const struct node_entry *entry)
{
    write_head(&c->out, entry, entry->view.version, 0);
    rc_pack_write_array(&c->out, 0);
    write_tail(&c->out, entry->view.version);
}

/* Goes back to before what did not fit. */
static void roll_back(struct rc_buffer *out, size_t size)
{
    out->size = size;
    out->err = RC_OK;
}

/* Writes one operation, in a rumour with a shorter output if the whole one does not fit. */
static int write_fitting(struct catalog *c, const struct op_ref *ref, uint64_t base)
{
    size_t start = c->out.size;

    record_write_op(&c->out, ref, base, CATALOG_OUTPUT_MAX);
    if (c->out.err == RC_ETOOBIG && c->out.max <= RECORD_RUMOUR_MAX) {
        roll_back(&c->out, start);
        record_write_op(&c->out, ref, base, RECORD_RUMOUR_TEXT);
    }
    return c->out.err;
}

/* Writes whole versions until one does not fit; returns how many operations. */
static size_t write_ops(struct catalog *c, size_t count, uint64_t base)
{
    size_t whole = 0;          /* operations up to the last complete version */
    size_t mark = c->out.size; /* where it ended */

    for (size_t i = 0; i < count; i++) {
        if (i > 0 && c->refs[i].version != c->refs[i - 1].version) {
            whole = i;
            mark = c->out.size;
        }
        if (write_fitting(c, &c->refs[i], base) != RC_OK) {
            if (c->out.err == RC_ETOOBIG) {
                roll_back(&c->out, mark);
            }
            return whole;
        }
    }
    return count;
}

int record_write(struct catalog *c, const struct node_entry *entry, uint64_t base,
                 size_t limit, uint64_t *reached)
{
    size_t start = c->out.size;
    size_t count = 0;
    uint64_t flags = 0;

    if (base < entry->floor || base == 0) {
        base = 0; /* below the floor deletions are forgotten: only the whole is right */
        flags = RECORD_WHOLE;
    }
    int err = collect(c, entry, base, &count);
    if (err != RC_OK) {
        return err;
    }
    if (limit != 0 && limit <= RECORD_TRAILER) {
        return RC_ETOOBIG;
    }
    c->out.max = limit == 0 ? 0 : start + limit - RECORD_TRAILER;
    write_head(&c->out, entry, base, flags);
    size_t place = rc_pack_write_open(&c->out);
    size_t written = c->out.err == RC_OK ? write_ops(c, count, base) : 0;
    c->out.max = 0;
    bool none = written == 0 && count > 0;
    if (c->out.err != RC_OK || none || (flags != 0 && written < count)) {
        err = c->out.err == RC_ENOMEM ? RC_ENOMEM : RC_ETOOBIG;
        roll_back(&c->out, start);
        return err;
    }
    rc_pack_write_close(&c->out, place, written);
    *reached = written == count ? entry->view.version : c->refs[written - 1].version;
    write_tail(&c->out, *reached);
    return c->out.err;
}
