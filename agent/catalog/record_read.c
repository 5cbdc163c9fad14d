#include <assert.h>
#include <string.h>

#include "agent/catalog/record.h"
#include "base/err.h"

/* Copies a text with a NUL; "" for one that is too long or holds a NUL, which fails. */
static const char *keep(struct rc_cursor *in, struct rc_buffer *texts,
                        struct rc_span span, size_t max)
{
    if (in->err != RC_OK || span.size == 0) {
        return "";
    }
    if (span.size > max || memchr(span.at, '\0', span.size) != NULL) {
        rc_cursor_fail(in, RC_EMALFORMED);
        return "";
    }
    size_t start = texts->size;
    assert(texts->size + span.size + 1 <= texts->capacity); /* reserved for the message */
    rc_buffer_append(texts, span.at, span.size);
    rc_buffer_byte(texts, 0);
    return (const char *)texts->bytes + start;
}

static const char *text(struct rc_cursor *in, struct rc_pack_items *from,
                        struct rc_buffer *texts, size_t max)
{
    return keep(in, texts, rc_pack_next_text(in, from), max);
}

static uint64_t number(struct rc_cursor *in, struct rc_pack_items *from, uint64_t max)
{
    uint64_t value = rc_pack_next_number(in, from);

    if (value > max) {
        rc_cursor_fail(in, RC_EMALFORMED);
        return 0;
    }
    return value;
}

static size_t read_pairs(struct rc_cursor *in, struct rc_pack_items *from,
                         struct rc_buffer *texts, struct catalog_pair *out)
{
    struct rc_pack_items list = rc_pack_next_array(in, from);
    size_t count = list.left / 2;

    if (count > CATALOG_META_MAX) {
        rc_cursor_fail(in, RC_EMALFORMED);
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        out[i].key = text(in, &list, texts, CATALOG_META_KEY_MAX);
        out[i].value = text(in, &list, texts, CATALOG_META_VALUE_MAX);
    }
    rc_pack_close(in, &list);
    return count;
}

static size_t read_tagged(struct rc_cursor *in, struct rc_pack_items *from,
                          struct rc_buffer *texts, struct catalog_tagged_address *out)
{
    struct rc_pack_items list = rc_pack_next_array(in, from);
    size_t count = list.left / 3;

    if (count > CATALOG_TAGGED_MAX) {
        rc_cursor_fail(in, RC_EMALFORMED);
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        out[i].name = text(in, &list, texts, CATALOG_NAME_MAX);
        out[i].address = text(in, &list, texts, CATALOG_NAME_MAX);
        out[i].port = (uint16_t)number(in, &list, UINT16_MAX);
    }
    rc_pack_close(in, &list);
    return count;
}

static void read_node(struct rc_cursor *in, struct rc_pack_items *fields,
                      struct rc_buffer *texts, struct op *op)
{
    op->node.id = text(in, fields, texts, CATALOG_NAME_MAX);
    op->node.address = text(in, fields, texts, CATALOG_NAME_MAX);
    op->node.datacenter = text(in, fields, texts, CATALOG_NAME_MAX);
    op->node.meta = op->meta;
    op->node.meta_count = read_pairs(in, fields, texts, op->meta);
    op->node.tagged_addresses = op->tagged;
    op->node.tagged_address_count = read_tagged(in, fields, texts, op->tagged);
}

static size_t read_tags(struct rc_cursor *in, struct rc_pack_items *from,
                        struct rc_buffer *texts, const char **out)
{
    struct rc_pack_items list = rc_pack_next_array(in, from);
    size_t count = list.left;

    if (count > CATALOG_TAGS_MAX) {
        rc_cursor_fail(in, RC_EMALFORMED);
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        out[i] = text(in, &list, texts, CATALOG_NAME_MAX);
    }
    return count;
}

static void read_service(struct rc_cursor *in, struct rc_pack_items *fields,
                         struct rc_buffer *texts, struct op *op)
{
    struct catalog_service *service = &op->service;

    service->id = text(in, fields, texts, CATALOG_NAME_MAX);
    service->name = text(in, fields, texts, CATALOG_NAME_MAX);
    if (service->name[0] == '\0') {
        service->name = service->id;
    }
    service->address = text(in, fields, texts, CATALOG_NAME_MAX);
    service->port = (uint16_t)number(in, fields, UINT16_MAX);
    service->tags = op->tags;
    service->tag_count = read_tags(in, fields, texts, op->tags);
    service->weight_passing = (uint32_t)number(in, fields, UINT32_MAX);
    service->weight_warning = (uint32_t)number(in, fields, UINT32_MAX);
    service->enable_tag_override = rc_pack_next_number(in, fields) != 0;
    service->term = rc_pack_next_number(in, fields);
    service->meta = op->meta;
    service->meta_count = read_pairs(in, fields, texts, op->meta);
    service->tagged_addresses = op->tagged;
    service->tagged_address_count = read_tagged(in, fields, texts, op->tagged);
}

static void read_result(struct rc_cursor *in, struct rc_pack_items *fields,
                        struct rc_buffer *texts, struct op *op)
{
    op->check.status = (enum check_status)number(in, fields, CHECK_STATUS_COUNT - 1);
    op->check.since_wall_ms = rc_pack_next_number(in, fields);
    op->check.output = text(in, fields, texts, CATALOG_OUTPUT_MAX);
    op->check.output_cut = rc_pack_next_number(in, fields) != 0;
}

static void read_check(struct rc_cursor *in, struct rc_pack_items *fields,
                       struct rc_buffer *texts, struct op *op)
{
    op->check.id = text(in, fields, texts, CATALOG_NAME_MAX);
    op->check.name = text(in, fields, texts, CATALOG_NAME_MAX);
    op->check.notes = text(in, fields, texts, CATALOG_NOTES_MAX);
    op->check.service_id = text(in, fields, texts, CATALOG_NAME_MAX);
    op->check.type = text(in, fields, texts, CATALOG_NAME_MAX);
    op->check.definition = text(in, fields, texts, CATALOG_DEFINITION_MAX);
    op->state_version = rc_pack_next_number(in, fields);
    read_result(in, fields, texts, op);
    op->id = op->check.id;
}

static void read_kind(struct rc_cursor *in, struct rc_pack_items *fields,
                      struct rc_buffer *texts, struct op *op)
{
    switch (op->kind) {
    case OP_NODE:
        read_node(in, fields, texts, op);
        break;
    case OP_SERVICE:
        read_service(in, fields, texts, op);
        op->id = op->service.id;
        break;
    case OP_CHECK:
        read_check(in, fields, texts, op);
        break;
    case OP_RESULT:
        op->id = text(in, fields, texts, CATALOG_NAME_MAX);
        read_result(in, fields, texts, op);
        break;
    case OP_NO_CHECK:
    case OP_NO_SERVICE:
        op->id = text(in, fields, texts, CATALOG_NAME_MAX);
        break;
    case OP_KIND_COUNT: /* of a later version: skipped, whatever it is */
        break;
    }
}

int record_read_op(struct rc_cursor *in, uint64_t base, struct rc_buffer *texts,
                   struct op *out)
{
    struct rc_pack_items fields = rc_pack_open(in);
    uint64_t kind = rc_pack_next_number(in, &fields);

    out->kind = kind < OP_KIND_COUNT ? (enum op_kind)kind : OP_KIND_COUNT;
    out->version = base + rc_pack_next_number(in, &fields);
    out->state_version = 0;
    out->id = "";
    out->node = (struct catalog_node){0};
    out->service = (struct catalog_service){0};
    out->check = (struct catalog_check){0};
    read_kind(in, &fields, texts, out);
    out->state_version += out->version;
    rc_pack_close(in, &fields);
    if (out->version < base || out->state_version < out->version) { /* it wrapped */
        rc_cursor_fail(in, RC_EMALFORMED);
    }
    return in->err;
}

int record_read(struct rc_cursor *in, struct rc_pack_items *from, struct delta *out)
{
    struct rc_pack_items fields = rc_pack_next_array(in, from);
    struct rc_span owner = rc_pack_next_text(in, &fields);

    out->epoch = rc_pack_next_number(in, &fields);
    out->base = rc_pack_next_number(in, &fields);
    out->whole = (rc_pack_next_number(in, &fields) & RECORD_WHOLE) != 0;
    struct rc_pack_items ops = rc_pack_next_array(in, &fields);
    out->op_count = ops.left;
    const uint8_t *start = in->at;
    rc_pack_close(in, &ops);
    out->ops = rc_cursor_over(start, (size_t)(in->at - start));
    out->version = rc_pack_next_number(in, &fields);
    rc_pack_close(in, &fields); /* the signature, and what later versions add */
    if (in->err != RC_OK) {
        return in->err;
    }
    if (owner.size == 0 || owner.size > CATALOG_NODE_NAME_MAX || out->epoch == 0 ||
        out->base > out->version || memchr(owner.at, '\0', owner.size) != NULL) {
        rc_cursor_fail(in, RC_EMALFORMED);
        return RC_EMALFORMED;
    }
    memcpy(out->owner, owner.at, owner.size);
    out->owner[owner.size] = '\0';
    return RC_OK;
}
