/* store_record.c - values of the engine's keys, written and read.
 *
 * Texts are written with their NUL, so that readers can borrow them. */
#include "agent/store/store_record.h"

#include <string.h>

#include "base/err.h"

static void write_string(struct rc_buffer *out, const char *text)
{
    rc_pack_write_bytes(out, (struct rc_pack_bytes){.at = (const uint8_t *)text,
                                                    .size = strlen(text) + 1});
}

/* A text with its NUL at the end and nowhere else, or NULL and a failed cursor. */
static const char *read_string(struct rc_cursor *in, struct rc_pack_items *items,
                               size_t size_max)
{
    struct rc_span span = rc_pack_next_text(in, items);

    if (in->err != RC_OK || span.size == 0 || span.size > size_max ||
        memchr(span.at, '\0', span.size) != span.at + span.size - 1) {
        rc_cursor_fail(in, RC_EMALFORMED);
        return NULL;
    }
    return span.at;
}

void kv_record_write(struct rc_buffer *out, const struct kv_record *record)
{
    rc_pack_write_array(out, 3);
    rc_pack_write_number(out, record->flags);
    rc_pack_write_number(out, record->lock_index);
    rc_pack_write_bytes(out, (struct rc_pack_bytes){.at = record->value.size > 0
                                                              ? record->value.at
                                                              : (const uint8_t *)"",
                                                    .size = record->value.size});
}

int kv_record_read(struct rc_pack_bytes bytes, struct kv_record *out)
{
    struct rc_cursor in = rc_cursor_over(bytes.at, bytes.size);
    struct rc_pack_items items = rc_pack_open(&in);
    bool is_whole = items.left >= 3;
    uint64_t flags = rc_pack_next_number(&in, &items);
    uint64_t lock_index = rc_pack_next_number(&in, &items);
    struct rc_span value = rc_pack_next_text(&in, &items);

    rc_pack_close(&in, &items);
    if (in.err != RC_OK || !is_whole) {
        return in.err != RC_OK ? in.err : RC_EMALFORMED;
    }
    *out = (struct kv_record){
        .flags = flags,
        .lock_index = lock_index,
        .value = {.at = (const uint8_t *)value.at, .size = value.size}};
    return RC_OK;
}

void held_record_write(struct rc_buffer *out, const struct held_record *record)
{
    rc_pack_write_array(out, 4);
    rc_pack_write_number(out, record->lock_delay_ms);
    rc_pack_write_number(out, record->session_revision);
    rc_pack_write_number(out, record->behavior);
    if (record->session == NULL) {
        rc_pack_write_nil(out);
    } else {
        write_string(out, record->session);
    }
}

int held_record_read(struct rc_pack_bytes bytes, struct held_record *out)
{
    struct rc_cursor in = rc_cursor_over(bytes.at, bytes.size);
    struct rc_pack_items items = rc_pack_open(&in);
    bool is_whole = items.left >= 4;
    struct held_record record = {.session = NULL};

    record.lock_delay_ms = rc_pack_next_number(&in, &items);
    record.session_revision = rc_pack_next_number(&in, &items);
    uint64_t behavior = rc_pack_next_number(&in, &items);
    if (record.session_revision != 0) {
        record.session = read_string(&in, &items, STORE_ID_SIZE);
        if (record.session != NULL && strlen(record.session) + 1 != STORE_ID_SIZE) {
            rc_cursor_fail(&in, RC_EMALFORMED);
        }
    }
    rc_pack_close(&in, &items);
    if (in.err != RC_OK || !is_whole || behavior > STORE_DELETE) {
        return in.err != RC_OK ? in.err : RC_EMALFORMED;
    }
    record.behavior = (enum store_behavior)behavior;
    *out = record;
    return RC_OK;
}

static void write_list(struct rc_buffer *out, const char *const *ids, size_t count)
{
    rc_pack_write_array(out, count);
    for (size_t i = 0; i < count; i++) {
        write_string(out, ids[i]);
    }
}

void session_record_write(struct rc_buffer *out, const struct store_session *session)
{
    rc_pack_write_array(out, 8);
    write_string(out, session->name);
    write_string(out, session->node);
    rc_pack_write_number(out, session->lock_delay_ms);
    rc_pack_write_number(out, session->behavior);
    rc_pack_write_number(out, session->ttl_ms);
    write_string(out, session->ttl_text);
    write_list(out, session->node_checks, session->node_check_count);
    write_list(out, session->service_checks, session->service_check_count);
}

static void read_text(struct rc_cursor *in, struct rc_pack_items *items, char *space,
                      size_t size)
{
    const char *text = read_string(in, items, size);

    if (text != NULL) {
        memcpy(space, text, strlen(text) + 1);
    }
}

static size_t read_list(struct rc_cursor *in, struct rc_pack_items *items,
                        const char **slots)
{
    struct rc_pack_items list = rc_pack_next_array(in, items);
    size_t count = 0;

    if (list.left > STORE_SESSION_CHECKS_MAX) {
        rc_cursor_fail(in, RC_EMALFORMED);
        return 0;
    }
    while (in->err == RC_OK && list.left > 0) {
        slots[count++] = read_string(in, &list, STORE_KEY_MAX);
    }
    rc_pack_close(in, &list);
    return count;
}

int session_record_read(struct rc_pack_bytes bytes, struct session_slots *slots,
                        struct store_session *out)
{
    struct rc_cursor in = rc_cursor_over(bytes.at, bytes.size);
    struct rc_pack_items items = rc_pack_open(&in);
    struct store_session session = {.id = ""};

    read_text(&in, &items, session.name, sizeof session.name);
    read_text(&in, &items, session.node, sizeof session.node);
    session.lock_delay_ms = rc_pack_next_number(&in, &items);
    uint64_t behavior = rc_pack_next_number(&in, &items);
    session.ttl_ms = rc_pack_next_number(&in, &items);
    read_text(&in, &items, session.ttl_text, sizeof session.ttl_text);
    session.node_checks = slots->ids;
    session.node_check_count = read_list(&in, &items, slots->ids);
    session.service_checks = slots->ids + STORE_SESSION_CHECKS_MAX;
    session.service_check_count =
        read_list(&in, &items, slots->ids + STORE_SESSION_CHECKS_MAX);
    rc_pack_close(&in, &items);
    if (in.err != RC_OK || behavior > STORE_DELETE) {
        return in.err != RC_OK ? in.err : RC_EMALFORMED;
    }
    session.behavior = (enum store_behavior)behavior;
    *out = session;
    return RC_OK;
}
