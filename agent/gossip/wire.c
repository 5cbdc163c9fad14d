/* wire.c - the messages of memberlist and Serf as plain structs. */
#include "agent/gossip/wire.h"

#include <assert.h>
#include <string.h>

#include "agent/gossip/wire_format.h"
#include "base/err.h"

#define FIELD(message, name, kind, member)                        \
    {                                                             \
        name, offsetof(struct message, member), kind, WIRE_ALWAYS \
    }
#define OPTIONAL(message, name, kind, member)                          \
    {                                                                  \
        name, offsetof(struct message, member), kind, WIRE_UNLESS_ZERO \
    }
#define FORMAT(format, message)                                                     \
    const struct wire_format format = {                                             \
        sizeof(struct message), sizeof format##_fields / sizeof(struct wire_field), \
        format##_fields}

static const struct wire_field wire_format_ping_fields[] = {
    FIELD(wire_ping, "Node", WIRE_FIELD_BYTES, node),
    FIELD(wire_ping, "SeqNo", WIRE_FIELD_U32, seq),
    OPTIONAL(wire_ping, "SourceAddr", WIRE_FIELD_BYTES, source_address),
    OPTIONAL(wire_ping, "SourceNode", WIRE_FIELD_BYTES, source_node),
    OPTIONAL(wire_ping, "SourcePort", WIRE_FIELD_U16, source_port),
};
FORMAT(wire_format_ping, wire_ping);

static const struct wire_field wire_format_indirect_ping_fields[] = {
    FIELD(wire_indirect_ping, "Nack", WIRE_FIELD_BOOL, nack),
    FIELD(wire_indirect_ping, "Node", WIRE_FIELD_BYTES, node),
    FIELD(wire_indirect_ping, "Port", WIRE_FIELD_U16, port),
    FIELD(wire_indirect_ping, "SeqNo", WIRE_FIELD_U32, seq),
    OPTIONAL(wire_indirect_ping, "SourceAddr", WIRE_FIELD_BYTES, source_address),
    OPTIONAL(wire_indirect_ping, "SourceNode", WIRE_FIELD_BYTES, source_node),
    OPTIONAL(wire_indirect_ping, "SourcePort", WIRE_FIELD_U16, source_port),
    FIELD(wire_indirect_ping, "Target", WIRE_FIELD_BYTES, target),
};
FORMAT(wire_format_indirect_ping, wire_indirect_ping);

static const struct wire_field wire_format_ack_fields[] = {
    FIELD(wire_ack, "Payload", WIRE_FIELD_BYTES, payload),
    FIELD(wire_ack, "SeqNo", WIRE_FIELD_U32, seq),
};
FORMAT(wire_format_ack, wire_ack);

static const struct wire_field wire_format_nack_fields[] = {
    FIELD(wire_ack, "SeqNo", WIRE_FIELD_U32, seq),
};
FORMAT(wire_format_nack, wire_ack);

static const struct wire_field wire_format_accusation_fields[] = {
    FIELD(wire_accusation, "From", WIRE_FIELD_BYTES, from),
    FIELD(wire_accusation, "Incarnation", WIRE_FIELD_U32, incarnation),
    FIELD(wire_accusation, "Node", WIRE_FIELD_BYTES, node),
};
FORMAT(wire_format_accusation, wire_accusation);

static const struct wire_field wire_format_alive_fields[] = {
    FIELD(wire_alive, "Addr", WIRE_FIELD_BYTES, address),
    FIELD(wire_alive, "Incarnation", WIRE_FIELD_U32, incarnation),
    FIELD(wire_alive, "Meta", WIRE_FIELD_BYTES, meta),
    FIELD(wire_alive, "Node", WIRE_FIELD_BYTES, node),
    FIELD(wire_alive, "Port", WIRE_FIELD_U16, port),
    FIELD(wire_alive, "Vsn", WIRE_FIELD_VERSIONS, versions),
};
FORMAT(wire_format_alive, wire_alive);

static const struct wire_field wire_format_err_fields[] = {
    FIELD(wire_err, "Error", WIRE_FIELD_BYTES, error),
};
FORMAT(wire_format_err, wire_err);

static const struct wire_field wire_format_compress_fields[] = {
    FIELD(wire_compress, "Algo", WIRE_FIELD_U8, algorithm),
    FIELD(wire_compress, "Buf", WIRE_FIELD_BYTES, bytes),
};
FORMAT(wire_format_compress, wire_compress);

static const struct wire_field wire_format_push_pull_fields[] = {
    FIELD(wire_push_pull, "Join", WIRE_FIELD_BOOL, join),
    FIELD(wire_push_pull, "Nodes", WIRE_FIELD_U32, nodes),
    FIELD(wire_push_pull, "UserStateLen", WIRE_FIELD_U32, user_state_size),
};
FORMAT(wire_format_push_pull, wire_push_pull);

static const struct wire_field wire_format_node_fields[] = {
    FIELD(wire_node, "Addr", WIRE_FIELD_BYTES, address),
    FIELD(wire_node, "Incarnation", WIRE_FIELD_U32, incarnation),
    FIELD(wire_node, "Meta", WIRE_FIELD_BYTES, meta),
    FIELD(wire_node, "Name", WIRE_FIELD_BYTES, name),
    FIELD(wire_node, "Port", WIRE_FIELD_U16, port),
    FIELD(wire_node, "State", WIRE_FIELD_U8, state),
    FIELD(wire_node, "Vsn", WIRE_FIELD_VERSIONS, versions),
};
FORMAT(wire_format_node, wire_node);

static const struct wire_field wire_format_user_head_fields[] = {
    FIELD(wire_user_head, "UserMsgLen", WIRE_FIELD_U32, size),
};
FORMAT(wire_format_user_head, wire_user_head);

static const struct wire_field wire_format_join_fields[] = {
    FIELD(wire_intent, "LTime", WIRE_FIELD_U64, ltime),
    FIELD(wire_intent, "Node", WIRE_FIELD_BYTES, node),
};
FORMAT(wire_format_join, wire_intent);

static const struct wire_field wire_format_leave_fields[] = {
    FIELD(wire_intent, "LTime", WIRE_FIELD_U64, ltime),
    FIELD(wire_intent, "Node", WIRE_FIELD_BYTES, node),
    FIELD(wire_intent, "Prune", WIRE_FIELD_BOOL, prune),
};
FORMAT(wire_format_leave, wire_intent);

static const struct wire_field wire_format_serf_state_fields[] = {
    FIELD(wire_serf_state, "EventLTime", WIRE_FIELD_U64, event_ltime),
    FIELD(wire_serf_state, "Events", WIRE_FIELD_RAW, raw_events),
    FIELD(wire_serf_state, "LTime", WIRE_FIELD_U64, ltime),
    FIELD(wire_serf_state, "LeftMembers", WIRE_FIELD_RAW, raw_left_members),
    FIELD(wire_serf_state, "QueryLTime", WIRE_FIELD_U64, query_ltime),
    FIELD(wire_serf_state, "StatusLTimes", WIRE_FIELD_RAW, raw_status_ltimes),
    OPTIONAL(wire_serf_state, "rc", WIRE_FIELD_BYTES, summary),
    OPTIONAL(wire_serf_state, "rcname", WIRE_FIELD_BYTES, summary_name),
};
FORMAT(wire_format_serf_state, wire_serf_state);

static const struct wire_field wire_format_event_fields[] = {
    FIELD(wire_event, "CC", WIRE_FIELD_BOOL, coalesce),
    FIELD(wire_event, "LTime", WIRE_FIELD_U64, ltime),
    FIELD(wire_event, "Name", WIRE_FIELD_BYTES, name),
    FIELD(wire_event, "Payload", WIRE_FIELD_BYTES, payload),
};
FORMAT(wire_format_event, wire_event);

static const struct wire_field wire_format_query_fields[] = {
    FIELD(wire_query, "Addr", WIRE_FIELD_BYTES, address),
    FIELD(wire_query, "Filters", WIRE_FIELD_RAW, raw_filters),
    FIELD(wire_query, "Flags", WIRE_FIELD_U32, flags),
    FIELD(wire_query, "ID", WIRE_FIELD_U32, id),
    FIELD(wire_query, "LTime", WIRE_FIELD_U64, ltime),
    FIELD(wire_query, "Name", WIRE_FIELD_BYTES, name),
    FIELD(wire_query, "Payload", WIRE_FIELD_BYTES, payload),
    FIELD(wire_query, "Port", WIRE_FIELD_U16, port),
    FIELD(wire_query, "RelayFactor", WIRE_FIELD_U8, relay_factor),
    FIELD(wire_query, "SourceNode", WIRE_FIELD_BYTES, source_node),
    FIELD(wire_query, "Timeout", WIRE_FIELD_U64, timeout_ns),
};
FORMAT(wire_format_query, wire_query);

static const struct wire_field wire_format_response_fields[] = {
    FIELD(wire_response, "Flags", WIRE_FIELD_U32, flags),
    FIELD(wire_response, "From", WIRE_FIELD_BYTES, from),
    FIELD(wire_response, "ID", WIRE_FIELD_U32, id),
    FIELD(wire_response, "LTime", WIRE_FIELD_U64, ltime),
    FIELD(wire_response, "Payload", WIRE_FIELD_BYTES, payload),
};
FORMAT(wire_format_response, wire_response);

static const struct wire_field wire_format_conflict_fields[] = {
    FIELD(wire_conflict, "Addr", WIRE_FIELD_BYTES, address),
    FIELD(wire_conflict, "DelegateCur", WIRE_FIELD_U8, versions[5]),
    FIELD(wire_conflict, "DelegateMax", WIRE_FIELD_U8, versions[4]),
    FIELD(wire_conflict, "DelegateMin", WIRE_FIELD_U8, versions[3]),
    FIELD(wire_conflict, "Name", WIRE_FIELD_BYTES, name),
    FIELD(wire_conflict, "Port", WIRE_FIELD_U16, port),
    FIELD(wire_conflict, "ProtocolCur", WIRE_FIELD_U8, versions[2]),
    FIELD(wire_conflict, "ProtocolMax", WIRE_FIELD_U8, versions[1]),
    FIELD(wire_conflict, "ProtocolMin", WIRE_FIELD_U8, versions[0]),
    FIELD(wire_conflict, "Status", WIRE_FIELD_U8, status),
    FIELD(wire_conflict, "Tags", WIRE_FIELD_RAW, raw_tags),
};
FORMAT(wire_format_conflict, wire_conflict);

static const struct wire_field wire_format_key_request_fields[] = {
    FIELD(wire_key_request, "Key", WIRE_FIELD_BYTES, key),
};
FORMAT(wire_format_key_request, wire_key_request);

static const struct wire_field wire_format_key_response_fields[] = {
    FIELD(wire_key_response, "Keys", WIRE_FIELD_RAW, raw_keys),
    FIELD(wire_key_response, "Message", WIRE_FIELD_BYTES, message),
    FIELD(wire_key_response, "PrimaryKey", WIRE_FIELD_BYTES, primary_key),
    FIELD(wire_key_response, "Result", WIRE_FIELD_BOOL, result),
};
FORMAT(wire_format_key_response, wire_key_response);

static const struct wire_field wire_format_relay_fields[] = {
    FIELD(wire_relay, "DestAddr", WIRE_FIELD_RAW, raw_address),
    FIELD(wire_relay, "DestName", WIRE_FIELD_BYTES, name),
};
FORMAT(wire_format_relay, wire_relay);

static const struct wire_field wire_format_udp_address_fields[] = {
    FIELD(wire_udp_address, "IP", WIRE_FIELD_BYTES, ip),
    FIELD(wire_udp_address, "Port", WIRE_FIELD_U16, port),
    FIELD(wire_udp_address, "Zone", WIRE_FIELD_BYTES, zone),
};
FORMAT(wire_format_udp_address, wire_udp_address);

static const struct wire_field wire_format_filter_tag_fields[] = {
    FIELD(wire_filter_tag, "Expr", WIRE_FIELD_BYTES, expression),
    FIELD(wire_filter_tag, "Tag", WIRE_FIELD_BYTES, tag),
};
FORMAT(wire_format_filter_tag, wire_filter_tag);

static const struct wire_field wire_format_event_slot_fields[] = {
    FIELD(wire_event_slot, "Events", WIRE_FIELD_RAW, raw_events),
    FIELD(wire_event_slot, "LTime", WIRE_FIELD_U64, ltime),
};
FORMAT(wire_format_event_slot, wire_event_slot);

static const struct wire_field wire_format_event_item_fields[] = {
    FIELD(wire_event_item, "Name", WIRE_FIELD_BYTES, name),
    FIELD(wire_event_item, "Payload", WIRE_FIELD_BYTES, payload),
};
FORMAT(wire_format_event_item, wire_event_item);

static const struct wire_field wire_format_coordinate_fields[] = {
    FIELD(wire_coordinate, "Adjustment", WIRE_FIELD_DOUBLE, adjustment),
    FIELD(wire_coordinate, "Error", WIRE_FIELD_DOUBLE, error),
    FIELD(wire_coordinate, "Height", WIRE_FIELD_DOUBLE, height),
    FIELD(wire_coordinate, "Vec", WIRE_FIELD_RAW, raw_vec),
    OPTIONAL(wire_coordinate, "rc", WIRE_FIELD_BYTES, summary),
};
FORMAT(wire_format_coordinate, wire_coordinate);

/* A byte string, or, as some codecs write it, an array of numbers. */
static struct wire_versions read_versions(struct rc_cursor *in)
{
    struct wire_versions versions = {{0}, 0};
    struct rc_pack_item item = rc_pack_read(in);

    if (item.kind == RC_PACK_BYTES) {
        size_t size = item.bytes.size;
        versions.size = (uint8_t)(size < UINT8_MAX ? size : UINT8_MAX);
        if (size == WIRE_VERSIONS_SIZE) {
            memcpy(versions.bytes, item.bytes.at, size);
        }
    } else if (item.kind == RC_PACK_ARRAY) {
        versions.size = (uint8_t)(item.count < UINT8_MAX ? item.count : UINT8_MAX);
        for (uint32_t i = 0; i < item.count && in->err == RC_OK; i++) {
            uint8_t number = (uint8_t)rc_pack_read_number(in, UINT8_MAX);
            if (i < WIRE_VERSIONS_SIZE) {
                versions.bytes[i] = number;
            }
        }
    } else if (item.kind != RC_PACK_NIL) {
        rc_cursor_fail(in, RC_EMALFORMED);
    }
    return versions;
}

static struct rc_pack_bytes read_raw(struct rc_cursor *in)
{
    const uint8_t *start = in->at;
    rc_pack_skip(in);
    return in->err == RC_OK ? (struct rc_pack_bytes){start, (size_t)(in->at - start)}
                            : (struct rc_pack_bytes){NULL, 0};
}

static void read_field(const struct wire_field *field, struct rc_cursor *in,
                       void *message)
{
    uint8_t *base = message;
    void *place = base + field->offset;

    switch (field->kind) {
    case WIRE_FIELD_BYTES:
        *(struct rc_pack_bytes *)place = rc_pack_read_bytes(in);
        return;
    case WIRE_FIELD_RAW:
        *(struct rc_pack_bytes *)place = read_raw(in);
        return;
    case WIRE_FIELD_U8:
        *(uint8_t *)place = (uint8_t)rc_pack_read_number(in, UINT8_MAX);
        return;
    case WIRE_FIELD_U16:
        *(uint16_t *)place = (uint16_t)rc_pack_read_number(in, UINT16_MAX);
        return;
    case WIRE_FIELD_U32:
        *(uint32_t *)place = (uint32_t)rc_pack_read_number(in, UINT32_MAX);
        return;
    case WIRE_FIELD_U64:
        *(uint64_t *)place = rc_pack_read_number(in, UINT64_MAX);
        return;
    case WIRE_FIELD_BOOL:
        *(bool *)place = rc_pack_read_bool(in);
        return;
    case WIRE_FIELD_DOUBLE:
        *(double *)place = rc_pack_read_double(in);
        return;
    case WIRE_FIELD_VERSIONS:
        *(struct wire_versions *)place = read_versions(in);
        return;
    }
}

static const struct wire_field *find_field(const struct wire_format *format,
                                           struct rc_pack_bytes name)
{
    for (size_t i = 0; i < format->count; i++) {
        if (rc_pack_equals(rc_pack_text(format->fields[i].name), name)) {
            return &format->fields[i];
        }
    }
    return NULL;
}

int wire_read(const struct wire_format *format, struct rc_cursor *in, void *out)
{
    memset(out, 0, format->size);
    uint32_t count = rc_pack_read_map(in);
    for (uint32_t i = 0; i < count && in->err == RC_OK; i++) {
        const struct wire_field *field = find_field(format, rc_pack_read_bytes(in));
        if (field != NULL) {
            read_field(field, in, out);
        } else {
            rc_pack_skip(in);
        }
    }
    return in->err;
}

static bool is_zero(const struct wire_field *field, const void *place)
{
    if (field->kind == WIRE_FIELD_U16) {
        return *(const uint16_t *)place == 0;
    }
    assert(field->kind == WIRE_FIELD_BYTES); /* no other kind is ever left out */
    return ((const struct rc_pack_bytes *)place)->size == 0;
}

static void write_raw(struct rc_buffer *out, const struct rc_pack_bytes *raw)
{
    if (raw->at == NULL) {
        rc_pack_write_nil(out);
    } else {
        rc_buffer_append(out, raw->at, raw->size);
    }
}

static void write_field(const struct wire_field *field, const void *place,
                        struct rc_buffer *out)
{
    switch (field->kind) {
    case WIRE_FIELD_BYTES:
        rc_pack_write_bytes(out, *(const struct rc_pack_bytes *)place);
        return;
    case WIRE_FIELD_RAW:
        write_raw(out, place);
        return;
    case WIRE_FIELD_U8:
        rc_pack_write_number(out, *(const uint8_t *)place);
        return;
    case WIRE_FIELD_U16:
        rc_pack_write_number(out, *(const uint16_t *)place);
        return;
    case WIRE_FIELD_U32:
        rc_pack_write_number(out, *(const uint32_t *)place);
        return;
    case WIRE_FIELD_U64:
        rc_pack_write_number(out, *(const uint64_t *)place);
        return;
    case WIRE_FIELD_BOOL:
        rc_pack_write_bool(out, *(const bool *)place);
        return;
    case WIRE_FIELD_DOUBLE:
        rc_pack_write_float(out, (float)*(const double *)place); /* half the bytes */
        return;
    case WIRE_FIELD_VERSIONS:
        rc_pack_write_bytes(
            out, (struct rc_pack_bytes){((const struct wire_versions *)place)->bytes,
                                        WIRE_VERSIONS_SIZE});
        return;
    }
}

void wire_write(const struct wire_format *format, const void *message,
                struct rc_buffer *out)
{
    const uint8_t *base = message;
    size_t count = 0;

    for (size_t i = 0; i < format->count; i++) {
        const struct wire_field *field = &format->fields[i];
        count += field->presence == WIRE_ALWAYS || !is_zero(field, base + field->offset);
    }
    rc_pack_write_map(out, count);
    for (size_t i = 0; i < format->count; i++) {
        const struct wire_field *field = &format->fields[i];
        if (field->presence == WIRE_ALWAYS || !is_zero(field, base + field->offset)) {
            rc_pack_write_text(out, field->name);
            write_field(field, base + field->offset, out);
        }
    }
}

void wire_write_typed(enum wire_type type, const struct wire_format *format,
                      const void *message, struct rc_buffer *out)
{
    rc_buffer_byte(out, (uint8_t)type);
    wire_write(format, message, out);
}

void wire_write_serf(enum wire_serf_type type, const struct wire_format *format,
                     const void *message, struct rc_buffer *out)
{
    rc_buffer_byte(out, WIRE_USER);
    rc_buffer_byte(out, (uint8_t)type);
    wire_write(format, message, out);
}
