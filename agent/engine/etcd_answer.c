/* etcd_answer.c - answers to what was asked for: transactions, pages, leases, watches. */
#include "agent/engine/etcd_answer.h"

#include "agent/engine/etcd_header.h"
#include "agent/engine/protobuf.h"
#include "base/err.h"
#include "base/text.h"

/* In every response. */
enum { HEADER = 1 };

struct etcd_header etcd_header_read(struct rc_cursor *in,
                                    const struct protobuf_field *field)
{
    enum { MEMBER_ID = 2, REVISION = 3, RAFT_TERM = 4 };
    struct etcd_header header = {0};
    struct rc_cursor inner = protobuf_enter(field);
    struct protobuf_field part;

    while (protobuf_next(&inner, &part)) {
        if (part.number == MEMBER_ID) {
            header.member = part.value;
        } else if (part.number == REVISION) {
            header.revision = part.value;
        } else if (part.number == RAFT_TERM) {
            header.term = part.value;
        }
    }
    protobuf_leave(in, &inner);
    return header;
}

int etcd_answer_revision(struct rc_pack_bytes message, uint64_t *out)
{
    struct rc_cursor in = rc_cursor_over(message.at, message.size);
    struct protobuf_field field;
    uint64_t revision = 0;

    while (protobuf_next(&in, &field)) {
        if (field.number == HEADER) {
            revision = etcd_header_read(&in, &field).revision;
        }
    }
    if (in.err == RC_OK) {
        *out = revision;
    }
    return in.err;
}

int etcd_answer_term(struct rc_pack_bytes message, uint64_t *out)
{
    struct rc_cursor in = rc_cursor_over(message.at, message.size);
    struct protobuf_field field;
    uint64_t term = 0;

    while (protobuf_next(&in, &field)) {
        if (field.number == HEADER) {
            term = etcd_header_read(&in, &field).term;
        }
    }
    if (in.err == RC_OK) {
        *out = term;
    }
    return in.err;
}

/* ---- transactions ----------------------------------------------------------------- */

enum { TXN_SUCCEEDED = 2, TXN_RESPONSES = 3, RESPONSE_TXN = 4 };

/* Whether a TxnResponse inside of another says that its compares held. */
static bool read_succeeded(struct rc_cursor *in, const struct protobuf_field *field)
{
    struct rc_cursor inner = protobuf_enter(field);
    struct protobuf_field part;
    bool succeeded = false;

    while (protobuf_next(&inner, &part)) {
        if (part.number == TXN_SUCCEEDED) {
            succeeded = part.value != 0;
        }
    }
    protobuf_leave(in, &inner);
    return succeeded;
}

/* ResponseOp: those that are transactions count. */
static void read_response(struct rc_cursor *in, const struct protobuf_field *field,
                          struct etcd_txn_answer *out)
{
    struct rc_cursor inner = protobuf_enter(field);
    struct protobuf_field part;

    while (protobuf_next(&inner, &part)) {
        if (part.number == RESPONSE_TXN && out->nested_count < ETCD_NESTED_MAX) {
            out->nested[out->nested_count++] = read_succeeded(&inner, &part);
        }
    }
    protobuf_leave(in, &inner);
}

int etcd_answer_txn(struct rc_pack_bytes message, struct etcd_txn_answer *out)
{
    struct rc_cursor in = rc_cursor_over(message.at, message.size);
    struct protobuf_field field;

    *out = (struct etcd_txn_answer){0};
    while (protobuf_next(&in, &field)) {
        if (field.number == HEADER) {
            out->revision = etcd_header_read(&in, &field).revision;
        } else if (field.number == TXN_SUCCEEDED) {
            out->succeeded = field.value != 0;
        } else if (field.number == TXN_RESPONSES) {
            read_response(&in, &field, out);
        }
    }
    return in.err;
}

/* ---- keys ------------------------------------------------------------------------- */

/* KeyValue. */
static struct engine_item read_item(struct rc_cursor *in,
                                    const struct protobuf_field *field)
{
    enum { KEY = 1, CREATE_REVISION = 2, MOD_REVISION = 3, VALUE = 5, LEASE = 6 };
    struct engine_item item = {.key = rc_pack_text(""), .value = rc_pack_text("")};
    struct rc_cursor inner = protobuf_enter(field);
    struct protobuf_field part;

    while (protobuf_next(&inner, &part)) {
        switch (part.number) {
        case KEY:
            item.key = part.bytes;
            break;
        case CREATE_REVISION:
            item.create_revision = part.value;
            break;
        case MOD_REVISION:
            item.mod_revision = part.value;
            break;
        case VALUE:
            item.value = part.bytes;
            break;
        case LEASE:
            item.lease = part.value;
            break;
        default: /* its version, and what later ones of etcd may add */
            break;
        }
    }
    protobuf_leave(in, &inner);
    return item;
}

int etcd_answer_page(struct rc_pack_bytes message, etcd_each *each, void *context,
                     struct etcd_page_answer *out)
{
    enum { KVS = 2, MORE = 3 };
    struct rc_cursor in = rc_cursor_over(message.at, message.size);
    struct protobuf_field field;

    *out = (struct etcd_page_answer){0};
    while (protobuf_next(&in, &field)) {
        if (field.number == HEADER) {
            out->revision = etcd_header_read(&in, &field).revision;
        } else if (field.number == MORE) {
            out->has_more = field.value != 0;
        } else if (field.number == KVS) {
            struct engine_item item = read_item(&in, &field);
            if (in.err == RC_OK) {
                out->count++;
                each(context, &item);
            }
        }
    }
    return in.err;
}

/* ---- leases ----------------------------------------------------------------------- */

int etcd_answer_lease(struct rc_pack_bytes message, struct etcd_lease_answer *out)
{
    enum { ID = 2, TTL = 3 };
    struct rc_cursor in = rc_cursor_over(message.at, message.size);
    struct protobuf_field field;

    *out = (struct etcd_lease_answer){0};
    while (protobuf_next(&in, &field)) {
        if (field.number == HEADER) {
            out->revision = etcd_header_read(&in, &field).revision;
        } else if (field.number == ID) {
            out->lease = field.value;
        } else if (field.number == TTL) {
            /* negative: ended */
            out->ttl_s = field.value > INT64_MAX / 1000 ? 0 : field.value;
        }
    }
    return in.err;
}

int etcd_answer_time_left(struct rc_pack_bytes message, struct etcd_time_left *out)
{
    enum { TTL = 3, GRANTED_TTL = 4 };
    struct rc_cursor in = rc_cursor_over(message.at, message.size);
    struct protobuf_field field;

    *out = (struct etcd_time_left){0};
    while (protobuf_next(&in, &field)) {
        if (field.number == HEADER) {
            out->term = etcd_header_read(&in, &field).term;
        } else if (field.number == TTL) {
            out->has_ended = field.value > INT64_MAX / 1000; /* negative */
            out->left_s = out->has_ended ? 0 : field.value;
        } else if (field.number == GRANTED_TTL) {
            out->granted_s = field.value;
        }
    }
    return in.err;
}

/* ---- watches ---------------------------------------------------------------------- */

static void read_event(struct rc_cursor *in, const struct protobuf_field *field,
                       const struct etcd_watcher *watcher)
{
    enum { TYPE = 1, KV = 2, DELETE = 1 };
    struct engine_item item = {.key = rc_pack_text(""), .value = rc_pack_text("")};
    struct rc_cursor inner = protobuf_enter(field);
    struct protobuf_field part;
    uint64_t type = 0;

    while (protobuf_next(&inner, &part)) {
        if (part.number == TYPE) {
            type = part.value;
        } else if (part.number == KV) {
            item = read_item(&inner, &part);
        }
    }
    protobuf_leave(in, &inner);
    if (in->err != RC_OK) {
        return;
    }
    if (type == DELETE) {
        watcher->removed(watcher->context, item.key, item.mod_revision);
    } else {
        watcher->put(watcher->context, &item);
    }
}

static void keep_text(struct rc_pack_bytes from, char text[ENGINE_ERROR_MAX])
{
    size_t size = from.size < ENGINE_ERROR_MAX ? from.size : ENGINE_ERROR_MAX - 1;

    for (size_t i = 0; i < size; i++) {
        text[i] = (char)(from.at[i] == 0 ? ' ' : from.at[i]);
    }
    text[size] = '\0';
    rc_text_to_line(text, ENGINE_ERROR_MAX);
}

int etcd_answer_watch(struct rc_pack_bytes message, const struct etcd_watcher *watcher,
                      struct etcd_watch_answer *out)
{
    enum {
        CANCELED = 4,
        COMPACT_REVISION = 5,
        CANCEL_REASON = 6,
        FRAGMENT = 7,
        EVENTS = 11
    };
    struct rc_cursor in = rc_cursor_over(message.at, message.size);
    struct protobuf_field field;

    *out = (struct etcd_watch_answer){0};
    while (protobuf_next(&in, &field)) {
        switch (field.number) {
        case CANCELED:
            out->is_canceled = field.value != 0;
            break;
        case COMPACT_REVISION:
            out->compact_revision = field.value;
            break;
        case CANCEL_REASON:
            keep_text(field.bytes, out->text);
            break;
        case FRAGMENT:
            out->is_fragment = field.value != 0;
            break;
        case EVENTS:
            read_event(&in, &field, watcher);
            out->count += in.err == RC_OK;
            break;
        default: /* its header, whose revision may run ahead of its events */
            break;
        }
    }
    return in.err;
}
