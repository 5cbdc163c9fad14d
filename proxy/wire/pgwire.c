/* pgwire.c - see pgwire.h. */
#include "proxy/wire/pgwire.h"

#include <assert.h>
#include <string.h>

#include "base/cursor.h"
#include "base/err.h"
#include "base/text.h"

enum {
    CODE_CANCEL = 80877102,
    CODE_SSL = 80877103,
    CODE_GSSENC = 80877104,
    CODE_PROTOCOL_3 = 196608,
    TLS_HANDSHAKE = 0x16,
    HOPPER_LOST = 255,
};

/* The next NUL-terminated string, or NULL and the cursor failed. */
static const char *take_string(struct rc_cursor *cursor)
{
    size_t left = rc_cursor_left(cursor);
    const uint8_t *end = left > 0 ? memchr(cursor->at, '\0', left) : NULL;
    if (end == NULL) {
        rc_cursor_fail(cursor, RC_EMALFORMED);
        return NULL;
    }
    return (const char *)rc_cursor_take(cursor, (size_t)(end - cursor->at) + 1);
}

/* "replication" of a start-up packet: all but false, off, no, 0 asks for it. */
static bool is_yes(const char *value)
{
    static const char *const noes[] = {"false", "off", "no", "0", ""};
    for (size_t i = 0; i < sizeof noes / sizeof noes[0]; i++) {
        if (rc_text_equals_nocase(value, noes[i])) {
            return false;
        }
    }
    return true;
}

static enum pgwire_kind read_startup(struct rc_cursor *cursor, struct pgwire_first *out)
{
    out->user = "";
    out->database = "";
    out->options = "";
    for (;;) {
        const char *name = take_string(cursor);
        if (name == NULL) {
            return PGWIRE_BAD;
        }
        if (name[0] == '\0') {
            return rc_cursor_left(cursor) == 0 ? PGWIRE_STARTUP : PGWIRE_BAD;
        }
        const char *value = take_string(cursor);
        if (value == NULL) {
            return PGWIRE_BAD;
        }
        if (rc_text_equals(name, "user")) {
            out->user = value;
        } else if (rc_text_equals(name, "database")) {
            out->database = value;
        } else if (rc_text_equals(name, "options")) {
            out->options = value;
        } else if (rc_text_equals(name, "replication")) {
            out->replication = is_yes(value);
        }
    }
}

static const char route_ending[] = "@ro";

enum pgwire_route pgwire_route_of(const struct pgwire_first *first)
{
    bool reads = rc_text_ends_with(first->database, route_ending) ||
                 strstr(first->options, "rollcall.route=ro") != NULL;
    return reads ? PGWIRE_ROUTE_READ : PGWIRE_ROUTE_NONE;
}

int pgwire_strip_route(struct rc_buffer *packet, const struct pgwire_first *first)
{
    size_t cut = sizeof route_ending - 1;
    if (!rc_text_ends_with(first->database, route_ending)) {
        return RC_OK;
    }
    size_t at = (size_t)((const uint8_t *)first->database - packet->bytes) +
                strlen(first->database) - cut;
    size_t length = first->size - cut;
    assert(at + cut < packet->size && length <= PGWIRE_FIRST_MAX);
    memmove(packet->bytes + at, packet->bytes + at + cut, packet->size - at - cut);
    packet->size -= cut;
    for (unsigned i = 0; i < 4; i++) {
        packet->bytes[i] = (uint8_t)(length >> (24 - 8 * i));
    }
    return RC_OK;
}

static enum pgwire_kind read_cancel(struct rc_cursor *cursor, struct pgwire_first *out)
{
    out->pid = rc_cursor_u32(cursor);
    out->key_size = rc_cursor_left(cursor);
    out->key = rc_cursor_take(cursor, out->key_size);
    bool ok = cursor->err == RC_OK && out->key_size >= PGWIRE_KEY_MIN &&
              out->key_size <= PGWIRE_KEY_MAX;
    return ok ? PGWIRE_CANCEL : PGWIRE_BAD;
}

/* What follows length and code. */
static enum pgwire_kind read_packet(uint32_t code, struct rc_cursor *body,
                                    struct pgwire_first *out)
{
    bool bare = rc_cursor_left(body) == 0;
    switch (code) {
    case CODE_SSL:
        return bare ? PGWIRE_SSL : PGWIRE_BAD;
    case CODE_GSSENC:
        return bare ? PGWIRE_GSSENC : PGWIRE_BAD;
    case CODE_CANCEL:
        return read_cancel(body, out);
    default: /* a protocol version: major 3, whatever the minor */
        return code >> 16 == 3 ? read_startup(body, out) : PGWIRE_BAD;
    }
}

void pgwire_read_first(const void *bytes, size_t size, struct pgwire_first *out)
{
    struct rc_cursor cursor = rc_cursor_over(bytes, size);
    *out = (struct pgwire_first){.kind = PGWIRE_MORE};
    if (size > 0 && *cursor.at == TLS_HANDSHAKE) {
        out->kind = PGWIRE_DIRECT_TLS;
        return;
    }
    if (size < 8) {
        /* The length is known before the rest: nonsense need not be waited for. */
        uint32_t early = size >= 4 ? rc_cursor_u32(&cursor) : 8;
        out->kind = early < 8 || early > PGWIRE_FIRST_MAX ? PGWIRE_BAD : PGWIRE_MORE;
        return;
    }
    uint32_t length = rc_cursor_u32(&cursor);
    uint32_t code = rc_cursor_u32(&cursor);
    if (length < 8 || length > PGWIRE_FIRST_MAX) {
        out->kind = PGWIRE_BAD;
        return;
    }
    if (size < length) {
        return;
    }
    struct rc_cursor body = rc_cursor_over((const uint8_t *)bytes + 8, length - 8);
    out->size = length;
    out->protocol = code;
    out->kind = read_packet(code, &body, out);
}

int pgwire_read_message(const void *bytes, size_t size, struct pgwire_message *out)
{
    struct rc_cursor cursor = rc_cursor_over(bytes, size);
    char type = (char)rc_cursor_u8(&cursor);
    uint32_t length = rc_cursor_u32(&cursor);
    if (cursor.err != RC_OK) {
        return RC_EAGAIN;
    }
    if (length < 4) {
        return RC_EMALFORMED;
    }
    if (length > PGWIRE_MESSAGE_MAX) {
        return RC_ETOOBIG;
    }
    const uint8_t *body = rc_cursor_take(&cursor, length - 4);
    if (body == NULL) {
        return RC_EAGAIN;
    }
    *out = (struct pgwire_message){type, body, length - 4, (size_t)length + 1};
    return RC_OK;
}

uint32_t pgwire_auth_code(const struct pgwire_message *message)
{
    struct rc_cursor cursor = rc_cursor_over(message->body, message->body_size);
    uint32_t code = rc_cursor_u32(&cursor);
    return message->type == 'R' && cursor.err == RC_OK ? code : UINT32_MAX;
}

bool pgwire_parameter(const struct pgwire_message *message, const char *name,
                      const char **value)
{
    struct rc_cursor cursor = rc_cursor_over(message->body, message->body_size);
    const char *given = take_string(&cursor);
    const char *found = take_string(&cursor);
    if (message->type != 'S' || found == NULL || !rc_text_equals(given, name)) {
        return false;
    }
    *value = found;
    return true;
}

int pgwire_backend_key(const struct pgwire_message *message, uint32_t *pid,
                       const uint8_t **key, size_t *key_size)
{
    struct rc_cursor cursor = rc_cursor_over(message->body, message->body_size);
    uint32_t number = rc_cursor_u32(&cursor);
    size_t size = rc_cursor_left(&cursor);
    if (message->type != 'K' || cursor.err != RC_OK || size < PGWIRE_KEY_MIN ||
        size > PGWIRE_KEY_MAX) {
        return RC_EMALFORMED;
    }
    *pid = number;
    *key = rc_cursor_take(&cursor, size);
    *key_size = size;
    return RC_OK;
}

void pgwire_sqlstate(const struct pgwire_message *message, char out[6])
{
    struct rc_cursor cursor = rc_cursor_over(message->body, message->body_size);
    out[0] = '\0';
    while (message->type == 'E' && rc_cursor_left(&cursor) > 1) {
        uint8_t field = rc_cursor_u8(&cursor);
        const char *value = take_string(&cursor);
        if (value == NULL) {
            return;
        }
        if (field == 'C') {
            (void)rc_text_put(out, 6, value);
            return;
        }
    }
}

bool pgwire_is_unconfirmed_commit(const struct pgwire_message *message)
{
    struct rc_cursor cursor = rc_cursor_over(message->body, message->body_size);
    while (message->type == 'N' && rc_cursor_left(&cursor) > 1) {
        uint8_t field = rc_cursor_u8(&cursor);
        const char *value = take_string(&cursor);
        if (value == NULL) {
            return false;
        }
        if (field == 'R') {
            return rc_text_equals(value, "SyncRepWaitForLSN");
        }
    }
    return false;
}

int pgwire_first_column(const struct pgwire_message *message, char *space, size_t size)
{
    struct rc_cursor cursor = rc_cursor_over(message->body, message->body_size);
    uint16_t columns = rc_cursor_u16(&cursor);
    uint32_t length = rc_cursor_u32(&cursor);
    if (message->type != 'D' || cursor.err != RC_OK || columns == 0 ||
        length > INT32_MAX || length >= size) {
        return RC_EMALFORMED;
    }
    const uint8_t *value = rc_cursor_take(&cursor, length);
    if (value == NULL) {
        return RC_EMALFORMED;
    }
    memcpy(space, value, length);
    space[length] = '\0';
    return RC_OK;
}

enum pgwire_binding pgwire_read_binding(const void *bytes, size_t size)
{
    static const char plus[] = "SCRAM-SHA-256-PLUS";
    struct pgwire_message message;
    int err = pgwire_read_message(bytes, size, &message);
    if (err == RC_EAGAIN) {
        return PGWIRE_BINDING_MORE;
    }
    bool found = err == RC_OK && message.type == 'p' &&
                 message.body_size >= sizeof plus &&
                 memcmp(message.body, plus, sizeof plus) == 0;
    return found ? PGWIRE_BINDING_PLUS : PGWIRE_BINDING_NONE;
}

/* --- where messages end --- */

/* The header is whole: how long the body is. */
static void begin_body(struct pgwire_hopper *hopper)
{
    struct rc_cursor cursor = rc_cursor_over(hopper->header + 1, 4);
    uint32_t length = rc_cursor_u32(&cursor);
    if (length < 4 || length > INT32_MAX) {
        hopper->header_size = HOPPER_LOST;
        return;
    }
    hopper->left = length - 4;
    hopper->header_size = hopper->left > 0 ? 5 : 0;
}

void pgwire_hop(struct pgwire_hopper *hopper, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    while (size > 0 && hopper->header_size != HOPPER_LOST) {
        if (hopper->header_size == 0 && size >= 5) { /* mostly */
            memcpy(hopper->header, at, 5);
            hopper->header_size = 5;
            at += 5;
            size -= 5;
            begin_body(hopper);
            continue;
        }
        if (hopper->header_size < 5) {
            hopper->header[hopper->header_size++] = *at++;
            size--;
            if (hopper->header_size == 5) {
                begin_body(hopper);
            }
            continue;
        }
        size_t step = size < hopper->left ? size : hopper->left;
        at += step;
        size -= step;
        hopper->left -= (uint32_t)step;
        if (hopper->left == 0) {
            hopper->header_size = 0;
        }
    }
}

/* How many bytes can be stepped over without missing the beginning of a message; 1 or more. */
static size_t rest_of_message(const struct pgwire_hopper *hopper, const uint8_t *bytes,
                              size_t size)
{
    uint64_t rest = hopper->left;
    if (hopper->header_size == 0 && size >= 5) {
        struct rc_cursor cursor = rc_cursor_over(bytes + 1, 4);
        rest = UINT64_C(1) + rc_cursor_u32(&cursor);
        rest = rest < 5 ? 5 : rest;
    } else if (hopper->header_size < 5) {
        rest = 1;
    }
    return size < rest ? size : (size_t)rest;
}

/* A notice begins at `bytes`. PASS: it is another one, or none we know: it passes like the rest. */
static enum pgwire_watch look_at_notice(const uint8_t *bytes, size_t size)
{
    struct pgwire_message message;
    int err = pgwire_read_message(bytes, size, &message);
    if (err == RC_EAGAIN) {
        return PGWIRE_WATCH_HOLD;
    }
    return err == RC_OK && pgwire_is_unconfirmed_commit(&message) ? PGWIRE_WATCH_FOUND
                                                                  : PGWIRE_WATCH_PASS;
}

enum pgwire_watch pgwire_hop_watching(struct pgwire_hopper *hopper, const void *bytes,
                                      size_t size, size_t *at)
{
    const uint8_t *from = bytes;
    size_t done = 0;
    while (done < size && hopper->header_size != HOPPER_LOST) {
        if (hopper->header_size == 0 && from[done] == 'N') {
            enum pgwire_watch found = look_at_notice(from + done, size - done);
            if (found != PGWIRE_WATCH_PASS) {
                *at = done;
                return found;
            }
        }
        size_t step = rest_of_message(hopper, from + done, size - done);
        pgwire_hop(hopper, from + done, step);
        done += step;
    }
    return PGWIRE_WATCH_PASS;
}

bool pgwire_at_boundary(const struct pgwire_hopper *hopper)
{
    return hopper->header_size == 0;
}

/* --- what we say --- */

static void put_u32(struct rc_buffer *out, uint32_t value)
{
    uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16),
                        (uint8_t)(value >> 8), (uint8_t)value};
    rc_buffer_append(out, bytes, sizeof bytes);
}

static void put_string(struct rc_buffer *out, const char *text)
{
    rc_buffer_append(out, text, strlen(text) + 1);
}

void pgwire_write_fatal(struct rc_buffer *out, const char *sqlstate, const char *message)
{
    static const char severity[] =
        "SFATAL\0VFATAL"; /* its NUL is the second field's end */
    assert(strlen(sqlstate) == 5);
    size_t size = 4 + sizeof severity + 1 + 6 + 1 + strlen(message) + 1 + 1;
    rc_buffer_byte(out, 'E');
    put_u32(out, (uint32_t)size);
    rc_buffer_append(out, severity, sizeof severity);
    rc_buffer_byte(out, 'C');
    put_string(out, sqlstate);
    rc_buffer_byte(out, 'M');
    put_string(out, message);
    rc_buffer_byte(out, 0);
}

void pgwire_write_startup(struct rc_buffer *out, const char *user, const char *database)
{
    static const char *const fixed[] = {"application_name", "rollcall-proxy probe"};
    size_t size = 8 + sizeof "user" + strlen(user) + 1 + sizeof "database" +
                  strlen(database) + 1 + strlen(fixed[0]) + 1 + strlen(fixed[1]) + 1 + 1;
    put_u32(out, (uint32_t)size);
    put_u32(out, CODE_PROTOCOL_3);
    put_string(out, "user");
    put_string(out, user);
    put_string(out, "database");
    put_string(out, database);
    put_string(out, fixed[0]);
    put_string(out, fixed[1]);
    rc_buffer_byte(out, 0);
}

void pgwire_write_query(struct rc_buffer *out, const char *sql)
{
    rc_buffer_byte(out, 'Q');
    put_u32(out, (uint32_t)(4 + strlen(sql) + 1));
    put_string(out, sql);
}

void pgwire_write_password(struct rc_buffer *out, const void *bytes, size_t size)
{
    rc_buffer_byte(out, 'p');
    put_u32(out, (uint32_t)(4 + size));
    rc_buffer_append(out, bytes, size);
}
