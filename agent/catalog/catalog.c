#include "agent/catalog/catalog.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/catalog/spread.h"
#include "base/err.h"
#include "base/text.h"

enum { SERVICES_MAX = 16384, CHECKS_MAX = 32768, NODES_MAX = 16384 };

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value == 0 ? otherwise : value;
}

static void set_start(struct catalog *c, const struct catalog_options *options)
{
    uint64_t index = options->wall_ms / 1000;

    c->options = *options;
    c->options.node_name = NULL; /* the caller's; ours is in the entry */
    c->options.datacenter = NULL;
    c->options.services_max = or_default(options->services_max, SERVICES_MAX);
    c->options.checks_max = or_default(options->checks_max, CHECKS_MAX);
    c->options.nodes_max = or_default(options->nodes_max, NODES_MAX);
    rc_random_init(&c->random, options->seed);
    c->index = index == 0 ? 1 : index;
    c->index_nodes = c->index;
    c->index_services = c->index;
    c->index_vanished = c->index;
    c->index_any_check = c->index;
    for (unsigned i = 0; i < CHECK_STATUS_COUNT; i++) {
        c->index_checks[i] = c->index;
    }
    c->clean_due_ms = options->now_ms + SPREAD_CLEAN_EVERY_MS;
}

static int make_parts(struct catalog *c, const struct catalog_options *options)
{
    c->datacenter =
        rc_text_copy(options->datacenter == NULL ? "dc1" : options->datacenter);
    c->by_name = rc_table_create(rc_random_next(&c->random));
    c->by_key = rc_table_create(rc_random_next(&c->random));
    c->names_by_key = rc_table_create(rc_random_next(&c->random));
    c->buried = rc_table_create(rc_random_next(&c->random));
    c->changes = calloc(STATE_CHANGES_MAX, sizeof *c->changes);
    c->taken = calloc(STATE_CHANGES_MAX, sizeof *c->taken);
    if (c->datacenter == NULL || c->by_name == NULL || c->by_key == NULL ||
        c->names_by_key == NULL || c->buried == NULL || c->changes == NULL ||
        c->taken == NULL) {
        return RC_ENOMEM;
    }
    c->self = listing_entry(c, options->node_name);
    return c->self == NULL ? RC_ENOMEM : RC_OK;
}

static int make_self(struct catalog *c, const struct catalog_options *options)
{
    const struct catalog_change *changes = NULL;

    step_begin(c);
    c->self->peer = true;
    c->peer_count = 1;
    listing_set_facts(c, c->self);
    listing_set_liveness(c, c->self, CATALOG_ALIVE, options->wall_ms);
    record_stand_at(c, c->self, options->wall_ms == 0 ? 1 : options->wall_ms, 0);
    int err = listing_show(c, c->self);
    step_end(c);
    (void)catalog_take_changes(c, &changes); /* nobody waits yet */
    return err;
}

int catalog_create(const struct catalog_options *options, struct catalog **out)
{
    size_t size = options->node_name == NULL ? 0 : strlen(options->node_name);

    if (size == 0 || size > CATALOG_NODE_NAME_MAX) {
        return RC_EINVAL;
    }
    struct catalog *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return RC_ENOMEM;
    }
    set_start(c, options);
    int err = make_parts(c, options);
    if (err == RC_OK) {
        err = make_self(c, options);
    }
    if (err != RC_OK) {
        catalog_destroy(c);
        return err;
    }
    *out = c;
    return RC_OK;
}

static void remove_all(struct catalog *c)
{
    size_t position = 0;
    struct node_entry *entry = NULL;

    if (c->by_name == NULL || c->names_by_key == NULL || c->changes == NULL) {
        return;
    }
    step_begin(c);
    while ((entry = rc_table_next(c->by_name, &position, NULL)) != NULL) {
        listing_remove(c, entry);
    }
    c->depth = 1; /* also when destroyed in the middle of a batch */
    step_end(c);
}

static void free_changes(struct catalog_change *changes, size_t count)
{
    for (size_t i = 0; changes != NULL && i < count; i++) {
        free((char *)changes[i].name);
    }
    free(changes);
}

void catalog_destroy(struct catalog *c)
{
    if (c == NULL) {
        return;
    }
    remove_all(c);
    own_forget_held(c);
    action_forget_all(c);
    if (c->buried != NULL) {
        liveness_forget_buried(c);
    }
    free_changes(c->changes, c->change_count);
    free_changes(c->taken, c->taken_count);
    rc_table_destroy(c->by_name);
    rc_table_destroy(c->by_key);
    rc_table_destroy(c->names_by_key);
    unique_free_rules(c);
    rc_buffer_fini(&c->out);
    rc_buffer_fini(&c->packed);
    rc_buffer_fini(&c->texts);
    free(c->refs);
    free(c->nodes);
    free(c->names);
    free(c->datacenter);
    free(c);
}

uint64_t catalog_deadline_ms(const struct catalog *c)
{
    uint64_t own = own_deadline(c);
    uint64_t sync = sync_deadline(c);
    uint64_t rumour = rumour_deadline(c);
    uint64_t due = own < sync ? own : sync;

    due = rumour < due ? rumour : due;
    return c->clean_due_ms < due ? c->clean_due_ms : due;
}

void catalog_tick(struct catalog *c, uint64_t now_ms)
{
    own_tick(c, now_ms);
    rumour_tick(c, now_ms);
    sync_tick(c, now_ms);
    liveness_clean(c, now_ms);
}

/* ---- over restarts */

uint64_t catalog_epoch(const struct catalog *c)
{
    return c->self->view.epoch;
}

void catalog_export(const struct catalog *c, struct rc_buffer *out)
{
    rc_buffer_byte(out, RECORD_FORMAT);
    rc_pack_write_array(out, 1);
    rc_pack_write_number(out, catalog_epoch(c));
}

int catalog_import(struct catalog *c, const void *bytes, size_t size)
{
    struct rc_cursor in = rc_cursor_over(bytes, size);
    uint8_t format = rc_cursor_u8(&in);
    struct rc_pack_items fields = rc_pack_open(&in);
    uint64_t epoch = rc_pack_next_number(&in, &fields);

    if (in.err != RC_OK || format != RECORD_FORMAT || epoch == 0 || epoch == UINT64_MAX) {
        return RC_EMALFORMED;
    }
    if (epoch >= c->self->view.epoch) {
        record_stand_at(c, c->self, epoch + 1, c->self->view.version);
    }
    return RC_OK;
}

void catalog_export_record(struct catalog *c, struct rc_buffer *out)
{
    uint64_t reached = 0;

    rc_buffer_clear(&c->out);
    if (record_write(c, c->self, 0, 0, &reached) == RC_OK) {
        rc_buffer_byte(out, RECORD_FORMAT);
        rc_pack_write_array(out, 1);
        rc_buffer_append(out, c->out.bytes, c->out.size);
    }
}

static int take_op(struct catalog *c, uint64_t now_ms, const struct op *op)
{
    switch (op->kind) {
    case OP_NODE:
        return catalog_set_node(c, now_ms, &op->node, NULL);
    case OP_SERVICE:
        return catalog_put_service(c, now_ms, &op->service, NULL);
    case OP_CHECK:
        return catalog_put_check(c, now_ms, &op->check, NULL);
    case OP_NO_CHECK:
    case OP_NO_SERVICE:
    case OP_RESULT:
    case OP_KIND_COUNT:
        break;
    }
    return RC_OK;
}

int catalog_import_record(struct catalog *c, uint64_t now_ms, const void *bytes,
                          size_t size)
{
    struct rc_cursor in = rc_cursor_over(bytes, size);
    uint8_t format = rc_cursor_u8(&in);
    struct rc_pack_items list = rc_pack_open(&in);
    struct delta delta;
    struct op op;

    if (in.err != RC_OK || format != RECORD_FORMAT || list.left == 0) {
        return RC_EMALFORMED;
    }
    int err = record_read(&in, &list, &delta);
    if (err == RC_OK && strcmp(delta.owner, c->self->name) != 0) {
        err = RC_EINVAL;
    }
    if (err == RC_OK) {
        err = rc_buffer_reserve(&c->texts, size + 1);
    }
    catalog_begin(c);
    for (size_t i = 0; err == RC_OK && i < delta.op_count; i++) {
        c->texts.size = 0;
        err = record_read_op(&delta.ops, delta.base, &c->texts, &op);
        if (err == RC_OK) {
            err = take_op(c, now_ms, &op);
        }
    }
    catalog_end(c, now_ms);
    return err;
}
