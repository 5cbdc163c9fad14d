/* json.c - JSON as Go's encoding/json writes it (its encodeState.string and float encoder). */
#include "base/json.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

struct rc_json rc_json_over(struct rc_buffer *out, unsigned indent)
{
    assert(out != NULL);
    return (struct rc_json){.out = out, .indent = indent};
}

static void new_line(struct rc_json *json)
{
    static const char spaces[] = "                                ";
    unsigned left = json->indent * json->depth;

    rc_buffer_byte(json->out, '\n');
    while (left > 0) {
        unsigned some = left < sizeof spaces - 1 ? left : (unsigned)sizeof spaces - 1;
        rc_buffer_append(json->out, spaces, some);
        left -= some;
    }
}

/* What stands before a value or a key: nothing, or a comma and a new line. */
static void begin_item(struct rc_json *json)
{
    if (json->after_key) {
        json->after_key = false;
        return;
    }
    if (json->depth == 0) {
        return;
    }
    if (json->has_items[json->depth - 1]) {
        rc_buffer_byte(json->out, ',');
    }
    json->has_items[json->depth - 1] = true;
    if (json->indent > 0) {
        new_line(json);
    }
}

static void open_level(struct rc_json *json, char bracket)
{
    begin_item(json);
    assert(json->depth < RC_JSON_DEPTH_MAX);
    json->has_items[json->depth++] = false;
    rc_buffer_byte(json->out, (uint8_t)bracket);
}

static void close_level(struct rc_json *json, char bracket)
{
    assert(json->depth > 0);
    bool had_items = json->has_items[--json->depth];

    if (had_items && json->indent > 0) {
        new_line(json);
    }
    rc_buffer_byte(json->out, (uint8_t)bracket);
}

void rc_json_object(struct rc_json *json)
{
    open_level(json, '{');
}

void rc_json_object_end(struct rc_json *json)
{
    close_level(json, '}');
}

void rc_json_array(struct rc_json *json)
{
    open_level(json, '[');
}

void rc_json_array_end(struct rc_json *json)
{
    close_level(json, ']');
}

static void escape_ascii(struct rc_buffer *out, uint8_t byte)
{
    static const char names[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
                                 ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\'};

    if (byte < sizeof names && names[byte] != 0) {
        rc_buffer_byte(out, '\\');
        rc_buffer_byte(out, (uint8_t)names[byte]);
    } else {
        rc_buffer_format(out, "\\u%04x", (unsigned)byte);
    }
}

/* Printable ASCII but " & < > and the backslash; one bit a byte. */
static bool is_plain_ascii(uint8_t byte)
{
    static const uint64_t plain[2] = {0xafffffbb00000000, 0xffffffffefffffff};

    return byte < 0x80 && (plain[byte / 64] >> (byte % 64) & 1) != 0;
}

/* The length of the well-formed UTF-8 sequence at `bytes`, 0 if there is none. */
static size_t sequence_size(const uint8_t *bytes, size_t left)
{
    size_t size = bytes[0] >= 0xf0 ? 4 : bytes[0] >= 0xe0 ? 3 : 2;

    return size <= left && rc_text_is_utf8(bytes, size) ? size : 0;
}

/* Writes what stands at `bytes` and is not plain; returns how many bytes that was. */
static size_t put_special(struct rc_buffer *out, const uint8_t *bytes, size_t left)
{
    if (bytes[0] < 0x80) {
        escape_ascii(out, bytes[0]);
        return 1;
    }
    size_t size = sequence_size(bytes, left);
    if (size == 0) {
        rc_buffer_text(out, "\\ufffd");
        return 1;
    }
    /* U+2028 and U+2029 end lines in JavaScript, so Go escapes them. */
    if (size == 3 && bytes[0] == 0xe2 && bytes[1] == 0x80 && (bytes[2] | 1) == 0xa9) {
        rc_buffer_text(out, bytes[2] == 0xa8 ? "\\u2028" : "\\u2029");
    } else {
        rc_buffer_append(out, bytes, size);
    }
    return size;
}

static void put_escaped(struct rc_buffer *out, const uint8_t *bytes, size_t size)
{
    rc_buffer_byte(out, '"');
    for (size_t at = 0; at < size;) {
        size_t end = at;
        while (end < size && is_plain_ascii(bytes[end])) {
            end++;
        }
        rc_buffer_append(out, bytes + at, end - at);
        at = end;
        if (at < size) {
            at += put_special(out, bytes + at, size - at);
        }
    }
    rc_buffer_byte(out, '"');
}

/* Most strings need no escape: they are written at once, with their quotes. */
static void put_quoted(struct rc_buffer *out, const uint8_t *bytes, size_t size)
{
    size_t plain = 0;

    while (plain < size && is_plain_ascii(bytes[plain])) {
        plain++;
    }
    if (plain < size) {
        put_escaped(out, bytes, size);
        return;
    }
    if (rc_buffer_reserve(out, size + 2) != RC_OK) {
        return;
    }
    uint8_t *at = out->bytes + out->size;
    *at++ = '"';
    if (size > 0) { /* NULL is allowed for nothing */
        memcpy(at, bytes, size);
    }
    at[size] = '"';
    at[size + 1] = 0;
    out->size += size + 2;
}

void rc_json_key(struct rc_json *json, const char *key)
{
    assert(json->depth > 0 && !json->after_key);
    begin_item(json);
    put_quoted(json->out, (const uint8_t *)key, strlen(key));
    rc_buffer_text(json->out, json->indent > 0 ? ": " : ":");
    json->after_key = true;
}

void rc_json_string_bytes(struct rc_json *json, const void *bytes, size_t size)
{
    begin_item(json);
    put_quoted(json->out, bytes, size);
}

void rc_json_string(struct rc_json *json, const char *text)
{
    text = text != NULL ? text : "";
    rc_json_string_bytes(json, text, strlen(text));
}

void rc_json_u64(struct rc_json *json, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;

    begin_item(json);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    rc_buffer_append(json->out, digits + at, sizeof digits - at);
}

void rc_json_i64(struct rc_json *json, int64_t value)
{
    begin_item(json);
    rc_buffer_format(json->out, "%lld", (long long)value);
}

/* The fewest digits that read back as the same number, as d.ddde+xx. */
static void shortest_digits(double value, char *space, size_t size)
{
    for (int digits = 0; digits <= 16; digits++) {
        (void)snprintf(space, size, "%.*e", digits, value);
        char *end = NULL;
        double back = strtod(space, &end);
        if (!(back < value) && !(back > value)) {
            return;
        }
    }
}

void rc_json_double(struct rc_json *json, double value)
{
    char text[40];

    if (!isfinite(value)) { /* JSON has no word for it; Go refuses the whole answer */
        rc_json_null(json);
        return;
    }
    begin_item(json);
    shortest_digits(value, text, sizeof text);
    char *exponent_at = strchr(text, 'e');
    assert(exponent_at != NULL);
    long exponent = strtol(exponent_at + 1, NULL, 10);
    int digits = (int)(exponent_at - text) - (text[0] == '-');
    digits -= digits > 1; /* the point */
    double size = fabs(value);
    if (size > 0 && (size < 1e-6 || size >= 1e21)) {
        /* Go drops the leading zero of an exponent: e-07 becomes e-7. */
        rc_buffer_append(json->out, text, (size_t)(exponent_at - text));
        rc_buffer_format(json->out, "e%c%ld", exponent < 0 ? '-' : '+', labs(exponent));
        return;
    }
    long places = digits - 1 - exponent;
    rc_buffer_format(json->out, "%.*f", places > 0 ? (int)places : 0, value);
}

void rc_json_bool(struct rc_json *json, bool value)
{
    begin_item(json);
    rc_buffer_text(json->out, value ? "true" : "false");
}

void rc_json_raw(struct rc_json *json, const char *text)
{
    begin_item(json);
    rc_buffer_text(json->out, text);
}

void rc_json_null(struct rc_json *json)
{
    begin_item(json);
    rc_buffer_text(json->out, "null");
}

void rc_json_put_string(struct rc_json *json, const char *key, const char *text)
{
    rc_json_key(json, key);
    rc_json_string(json, text);
}

void rc_json_put_u64(struct rc_json *json, const char *key, uint64_t value)
{
    rc_json_key(json, key);
    rc_json_u64(json, value);
}

void rc_json_put_i64(struct rc_json *json, const char *key, int64_t value)
{
    rc_json_key(json, key);
    rc_json_i64(json, value);
}

void rc_json_put_bool(struct rc_json *json, const char *key, bool value)
{
    rc_json_key(json, key);
    rc_json_bool(json, value);
}
