/* keeper_record.c - records to JSON and back, field by field from tables. */
#include "agent/keeper/keeper_record.h"

#include <assert.h>
#include <string.h>

#include <jansson.h>

#include "base/err.h"
#include "base/json.h"
#include "base/text.h"

/* How a field of a record is told. */
enum shape {
    TEXT,
    NUMBER_64,
    NUMBER_32,
    NUMBER_16,
    NUMBER_INT, /* may be negative */
    FLAG,
    POSITION,
    MODE,
    STATE,
    INTENT,
    ORDER
};

struct field {
    const char *name;
    enum shape shape;
    size_t at;   /* offset in the record */
    size_t size; /* of a TEXT's space */
};

#define FIELD(record, word, member, shape)            \
    {                                                 \
        word, shape, offsetof(struct record, member), \
            sizeof(((struct record *)0)->member)      \
    }
#define END              \
    {                    \
        NULL, TEXT, 0, 0 \
    }

static const struct field lease_fields[] = {
    FIELD(keeper_lease_record, "node", node, TEXT),
    FIELD(keeper_lease_record, "address", address, TEXT),
    FIELD(keeper_lease_record, "port", port, NUMBER_16),
    FIELD(keeper_lease_record, "writable", writable, FLAG),
    FIELD(keeper_lease_record, "ttl_ms", ttl_ms, NUMBER_64),
    FIELD(keeper_lease_record, "since_ms", since_ms, NUMBER_64),
    END};

static const struct field state_fields[] = {
    FIELD(keeper_state_record, "sysid", sysid, TEXT),
    FIELD(keeper_state_record, "term", term, NUMBER_64),
    FIELD(keeper_state_record, "node", node, TEXT),
    FIELD(keeper_state_record, "claimed", claimed, NUMBER_32),
    FIELD(keeper_state_record, "tli", tli, NUMBER_32),
    FIELD(keeper_state_record, "lsn", lsn, POSITION),
    FIELD(keeper_state_record, "clean", clean, FLAG),
    FIELD(keeper_state_record, "released", released, FLAG),
    FIELD(keeper_state_record, "reason", reason, TEXT),
    FIELD(keeper_state_record, "at_ms", at_ms, NUMBER_64),
    END};

static const struct field sync_fields[] = {
    FIELD(keeper_sync_record, "term", term, NUMBER_64),
    FIELD(keeper_sync_record, "holder", holder, TEXT),
    FIELD(keeper_sync_record, "quorum", quorum, NUMBER_INT),
    FIELD(keeper_sync_record, "k", k, NUMBER_INT),
    FIELD(keeper_sync_record, "mode", mode, MODE),
    END};

static const struct field member_fields[] = {
    FIELD(keeper_member_record, "state", state, STATE),
    FIELD(keeper_member_record, "role", role, TEXT),
    FIELD(keeper_member_record, "address", address, TEXT),
    FIELD(keeper_member_record, "port", port, NUMBER_16),
    FIELD(keeper_member_record, "tli", tli, NUMBER_32),
    FIELD(keeper_member_record, "lsn", lsn, POSITION),
    FIELD(keeper_member_record, "replay_lsn", replay_lsn, POSITION),
    FIELD(keeper_member_record, "frozen", frozen, NUMBER_64),
    FIELD(keeper_member_record, "upstream", upstream, TEXT),
    FIELD(keeper_member_record, "streaming", is_streaming, FLAG),
    FIELD(keeper_member_record, "lag_bytes", lag_bytes, NUMBER_64),
    FIELD(keeper_member_record, "lag_ms", lag_ms, NUMBER_64),
    FIELD(keeper_member_record, "ro_ok", ro_ok, FLAG),
    FIELD(keeper_member_record, "priority", priority, NUMBER_32),
    FIELD(keeper_member_record, "no_failover", no_failover, FLAG),
    FIELD(keeper_member_record, "cannot_write", cannot_write, FLAG),
    FIELD(keeper_member_record, "gives_way", gives_way, FLAG),
    FIELD(keeper_member_record, "no_sync", no_sync, FLAG),
    FIELD(keeper_member_record, "sysid", sysid, TEXT),
    FIELD(keeper_member_record, "postmaster_since", postmaster_since, TEXT),
    FIELD(keeper_member_record, "problem", problem, TEXT),
    FIELD(keeper_member_record, "progress", progress, TEXT),
    FIELD(keeper_member_record, "version", version, TEXT),
    END};

static const struct field settings_fields[] = {
    FIELD(keeper_settings_record, "paused", paused, FLAG),
    FIELD(keeper_settings_record, "max_lag_bytes", max_lag_bytes, NUMBER_64),
    FIELD(keeper_settings_record, "k", k, NUMBER_32), END};

static const struct field intent_fields[] = {
    FIELD(keeper_intent_record, "id", id, TEXT),
    FIELD(keeper_intent_record, "kind", kind, INTENT),
    FIELD(keeper_intent_record, "from", from, TEXT),
    FIELD(keeper_intent_record, "to", to, TEXT),
    FIELD(keeper_intent_record, "accept_loss", accept_loss, FLAG),
    FIELD(keeper_intent_record, "at_ms", at_ms, NUMBER_64),
    FIELD(keeper_intent_record, "due_ms", due_ms, NUMBER_64),
    END};

static const struct field order_fields[] = {
    FIELD(keeper_order_record, "id", id, TEXT),
    FIELD(keeper_order_record, "kind", kind, ORDER),
    FIELD(keeper_order_record, "done", done, FLAG),
    FIELD(keeper_order_record, "at_ms", at_ms, NUMBER_64), END};

static const struct field history_fields[] = {
    FIELD(keeper_history_entry, "term", term, NUMBER_64),
    FIELD(keeper_history_entry, "node", node, TEXT),
    FIELD(keeper_history_entry, "from", from, TEXT),
    FIELD(keeper_history_entry, "reason", reason, TEXT),
    FIELD(keeper_history_entry, "tli", tli, NUMBER_32),
    FIELD(keeper_history_entry, "lsn", lsn, POSITION),
    FIELD(keeper_history_entry, "at_ms", at_ms, NUMBER_64),
    FIELD(keeper_history_entry, "took_ms", took_ms, NUMBER_64),
    END};

/* ---- writing */

static void write_position(struct rc_json *json, const char *name, uint64_t lsn)
{
    char space[32];

    keeper_lsn_show(lsn, space);
    rc_json_put_string(json, name, space);
}

static void write_field(struct rc_json *json, const struct field *field, const void *at)
{
    switch (field->shape) {
    case TEXT:
        rc_json_put_string(json, field->name, at);
        break;
    case NUMBER_64:
        rc_json_put_u64(json, field->name, *(const uint64_t *)at);
        break;
    case NUMBER_32:
        rc_json_put_u64(json, field->name, *(const uint32_t *)at);
        break;
    case NUMBER_16:
        rc_json_put_u64(json, field->name, *(const uint16_t *)at);
        break;
    case NUMBER_INT:
        rc_json_put_i64(json, field->name, *(const int *)at);
        break;
    case FLAG:
        rc_json_put_bool(json, field->name, *(const bool *)at);
        break;
    case POSITION:
        write_position(json, field->name, *(const uint64_t *)at);
        break;
    case MODE:
        rc_json_put_string(json, field->name,
                           keeper_mode_word(*(const enum keeper_mode *)at));
        break;
    case STATE:
        rc_json_put_string(json, field->name,
                           keeper_state_word(*(const enum keeper_state *)at));
        break;
    case INTENT:
        rc_json_put_string(json, field->name,
                           keeper_intent_word(*(const enum keeper_intent_kind *)at));
        break;
    case ORDER:
        rc_json_put_string(json, field->name,
                           keeper_order_word(*(const enum keeper_order_kind *)at));
        break;
    }
}

static void write_fields(struct rc_json *json, const struct field *fields,
                         const void *record)
{
    for (const struct field *field = fields; field->name != NULL; field++) {
        write_field(json, field, (const char *)record + field->at);
    }
}

static void write_record(const struct field *fields, const void *record,
                         struct rc_buffer *out)
{
    struct rc_json json = rc_json_over(out, 0);

    rc_json_object(&json);
    write_fields(&json, fields, record);
    rc_json_object_end(&json);
}

static void write_names(struct rc_json *json, const char *key,
                        const char (*names)[KEEPER_NODE_MAX], size_t count)
{
    rc_json_key(json, key);
    rc_json_array(json);
    for (size_t i = 0; i < count; i++) {
        rc_json_string(json, names[i]);
    }
    rc_json_array_end(json);
}

/* ---- reading */

static uint64_t whole(const json_t *value, uint64_t max)
{
    json_int_t number = json_integer_value(value); /* 0 when it is none */

    return number < 0 ? 0 : (uint64_t)number > max ? max : (uint64_t)number;
}

static void read_word(const struct field *field, const json_t *value, void *at)
{
    const char *word = json_string_value(value);

    if (field->shape == MODE) {
        (void)keeper_mode_from_word(word, at);
    } else if (field->shape == INTENT) {
        (void)keeper_intent_from_word(word, at);
    } else if (field->shape == ORDER) {
        (void)keeper_order_from_word(word, at);
    } else {
        for (int i = 0; word != NULL && i < KEEPER_STATE_COUNT; i++) {
            if (strcmp(word, keeper_state_word((enum keeper_state)i)) == 0) {
                *(enum keeper_state *)at = (enum keeper_state)i;
            }
        }
    }
}

/* What is too long is cut between two characters, so that it is written as it was read. */
static void read_text(const json_t *value, char *space, size_t room)
{
    const char *text = json_is_string(value) ? json_string_value(value) : "";
    size_t size = strlen(text);

    assert(room > 0);
    size = size < room ? size : room - 1;
    while (size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80) {
        size--;
    }
    memcpy(space, text, size);
    space[size] = '\0';
}

static void read_field(const struct field *field, const json_t *value, void *at)
{
    const char *text = json_string_value(value);

    switch (field->shape) {
    case TEXT:
        read_text(value, at, field->size);
        break;
    case NUMBER_64:
        *(uint64_t *)at = whole(value, INT64_MAX);
        break;
    case NUMBER_32:
        *(uint32_t *)at = (uint32_t)whole(value, UINT32_MAX);
        break;
    case NUMBER_16:
        *(uint16_t *)at = (uint16_t)whole(value, UINT16_MAX);
        break;
    case NUMBER_INT: /* negative: -1, whatever stands there */
        *(int *)at = json_integer_value(value) < 0 ? -1 : (int)whole(value, 1000);
        break;
    case FLAG:
        *(bool *)at = json_is_true(value);
        break;
    case POSITION:
        if (text == NULL || keeper_lsn_read(text, at) != RC_OK) {
            *(uint64_t *)at = 0;
        }
        break;
    case MODE:
    case STATE:
    case INTENT:
    case ORDER:
        read_word(field, value, at);
        break;
    }
}

static void read_fields(const struct field *fields, const json_t *object, void *record)
{
    for (const struct field *field = fields; field->name != NULL; field++) {
        read_field(field, json_object_get(object, field->name),
                   (char *)record + field->at);
    }
}

/* An object, which the caller drops; NULL when it is none. */
static json_t *load(const char *text, size_t size)
{
    json_t *object = json_loadb(text, size, 0, NULL);

    if (object != NULL && !json_is_object(object)) {
        json_decref(object);
        object = NULL;
    }
    return object;
}

static int read_record(const struct field *fields, const char *text, size_t size,
                       void *record)
{
    json_t *object = load(text, size);

    if (object == NULL) {
        return RC_EMALFORMED;
    }
    read_fields(fields, object, record);
    json_decref(object);
    return RC_OK;
}

static size_t read_names(const json_t *array, char (*names)[KEEPER_NODE_MAX])
{
    size_t count = json_array_size(array);

    count = count < KEEPER_MEMBERS_MAX ? count : KEEPER_MEMBERS_MAX;
    for (size_t i = 0; i < count; i++) {
        read_text(json_array_get(array, i), names[i], KEEPER_NODE_MAX);
    }
    return count;
}

/* ---- each */

void keeper_lease_write(const struct keeper_lease_record *record, struct rc_buffer *out)
{
    write_record(lease_fields, record, out);
}

int keeper_lease_read(const char *text, size_t size, struct keeper_lease_record *out)
{
    *out = (struct keeper_lease_record){.port = 0};
    return read_record(lease_fields, text, size, out);
}

void keeper_state_write(const struct keeper_state_record *record, struct rc_buffer *out)
{
    write_record(state_fields, record, out);
}

int keeper_state_read(const char *text, size_t size, struct keeper_state_record *out)
{
    *out = (struct keeper_state_record){.term = 0};
    return read_record(state_fields, text, size, out);
}

void keeper_sync_write(const struct keeper_sync_record *record, struct rc_buffer *out)
{
    struct rc_json json = rc_json_over(out, 0);

    rc_json_object(&json);
    write_fields(&json, sync_fields, record);
    write_names(&json, "members", record->members, record->member_count);
    write_names(&json, "names", record->names, record->name_count);
    rc_json_object_end(&json);
}

int keeper_sync_read(const char *text, size_t size, struct keeper_sync_record *out)
{
    json_t *object = load(text, size);

    *out = (struct keeper_sync_record){.quorum = KEEPER_QUORUM_NEVER};
    if (object == NULL) {
        return RC_EMALFORMED;
    }
    read_fields(sync_fields, object, out);
    if (!json_is_integer(json_object_get(object, "quorum"))) {
        out->quorum = KEEPER_QUORUM_NEVER; /* never easier than it was meant */
    }
    out->member_count = read_names(json_object_get(object, "members"), out->members);
    out->name_count = read_names(json_object_get(object, "names"), out->names);
    json_decref(object);
    return RC_OK;
}

void keeper_member_write(const struct keeper_member_record *record, struct rc_buffer *out)
{
    write_record(member_fields, record, out);
}

int keeper_member_read(const char *text, size_t size, struct keeper_member_record *out)
{
    *out = (struct keeper_member_record){.port = 0};
    return read_record(member_fields, text, size, out);
}

void keeper_settings_write(const struct keeper_settings_record *record,
                           struct rc_buffer *out)
{
    struct rc_json json = rc_json_over(out, 0);

    rc_json_object(&json);
    if (record->has_mode) {
        rc_json_put_string(&json, "mode", keeper_mode_word(record->mode));
    }
    write_fields(&json, settings_fields, record);
    rc_json_object_end(&json);
}

int keeper_settings_read(const char *text, size_t size,
                         struct keeper_settings_record *out)
{
    json_t *object = load(text, size);

    *out = (struct keeper_settings_record){.paused = false};
    if (object == NULL) {
        return RC_EMALFORMED;
    }
    read_fields(settings_fields, object, out);
    const char *mode = json_string_value(json_object_get(object, "mode"));
    out->has_mode = keeper_mode_from_word(mode, &out->mode) == RC_OK;
    json_decref(object);
    return RC_OK;
}

void keeper_intent_write(const struct keeper_intent_record *record, struct rc_buffer *out)
{
    write_record(intent_fields, record, out);
}

int keeper_intent_read(const char *text, size_t size, struct keeper_intent_record *out)
{
    *out = (struct keeper_intent_record){.at_ms = 0};
    return read_record(intent_fields, text, size, out);
}

void keeper_order_write(const struct keeper_order_record *record, struct rc_buffer *out)
{
    write_record(order_fields, record, out);
}

int keeper_order_read(const char *text, size_t size, struct keeper_order_record *out)
{
    *out = (struct keeper_order_record){.at_ms = 0};
    return read_record(order_fields, text, size, out);
}

/* ---- history */

static json_t *load_history(const char *text, size_t size)
{
    json_t *array = size > 0 ? json_loadb(text, size, 0, NULL) : NULL;

    if (array != NULL && !json_is_array(array)) {
        json_decref(array);
        array = NULL;
    }
    return array;
}

void keeper_history_add(const char *text, size_t size,
                        const struct keeper_history_entry *entry, struct rc_buffer *out)
{
    struct rc_json json = rc_json_over(out, 0);
    json_t *array = load_history(text, size);
    size_t count = json_array_size(array); /* of NULL: 0 */
    size_t first = count >= KEEPER_HISTORY_MAX ? count - KEEPER_HISTORY_MAX + 1 : 0;

    rc_json_array(&json);
    for (size_t i = first; i < count; i++) {
        struct keeper_history_entry old = {.term = 0};
        read_fields(history_fields, json_array_get(array, i), &old);
        rc_json_object(&json);
        write_fields(&json, history_fields, &old);
        rc_json_object_end(&json);
    }
    rc_json_object(&json);
    write_fields(&json, history_fields, entry);
    rc_json_object_end(&json);
    rc_json_array_end(&json);
    json_decref(array);
}

int keeper_history_read(const char *text, size_t size, struct keeper_history_entry *out,
                        size_t max, size_t *count)
{
    json_t *array = load_history(text, size);
    size_t all = json_array_size(array);
    size_t first = all > max ? all - max : 0;

    *count = 0;
    if (array == NULL) {
        return RC_EMALFORMED;
    }
    for (size_t i = first; i < all; i++) {
        out[i - first] = (struct keeper_history_entry){.term = 0};
        read_fields(history_fields, json_array_get(array, i), &out[i - first]);
    }
    *count = all - first;
    json_decref(array);
    return RC_OK;
}
