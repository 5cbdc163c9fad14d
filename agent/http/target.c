#include "agent/http/target.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

enum spelling { SPELLING_PATH, SPELLING_PARAMETER };

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

static bool is_printable(const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            return false;
        }
    }
    return rc_text_is_utf8(text, strlen(text));
}

/* Decodes the NUL-terminated `text` in place: decoding never lengthens. */
static int decode(char *text, enum spelling spelling)
{
    char *to = text;

    for (const char *from = text; *from != '\0'; from++) {
        char c = *from;
        if (c == '%') {
            int high = hex_digit(from[1]);
            int low = high < 0 ? -1 : hex_digit(from[2]);
            if (low < 0 || (high == 0 && low == 0)) {
                return RC_EMALFORMED;
            }
            c = (char)(high * 16 + low);
            from += 2;
        } else if (c == '+' && spelling == SPELLING_PARAMETER) {
            c = ' ';
        }
        *to++ = c;
    }
    *to = '\0';
    return RC_OK;
}

/* Most requests have few or none, and connections keep what they once needed. */
static int reserve_parameter(struct target *target)
{
    if (target->parameter_count < target->parameter_capacity) {
        return RC_OK;
    }
    size_t capacity =
        target->parameter_capacity == 0 ? 4 : 2 * target->parameter_capacity;
    struct target_parameter *parameters =
        realloc(target->parameters, capacity * sizeof *parameters);
    if (parameters == NULL) {
        return RC_ENOMEM;
    }
    target->parameters = parameters;
    target->parameter_capacity = capacity;
    return RC_OK;
}

static int add_parameter(struct target *target, char *pair)
{
    char *value = strchr(pair, '=');

    if (pair[0] == '\0') {
        return RC_OK;
    }
    if (value != NULL) {
        *value++ = '\0';
        if (decode(value, SPELLING_PARAMETER) != RC_OK) {
            return RC_OK;
        }
    }
    if (decode(pair, SPELLING_PARAMETER) != RC_OK) {
        return RC_OK;
    }
    if (target->parameter_count == TARGET_PARAMETERS_MAX) {
        return RC_ETOOBIG;
    }
    if (value != NULL && !rc_text_is_utf8(value, strlen(value))) {
        return RC_EMALFORMED;
    }
    if (reserve_parameter(target) != RC_OK) {
        return RC_ENOMEM;
    }
    target->parameters[target->parameter_count++] = (struct target_parameter){
        .name = pair,
        .value = value != NULL ? value : "",
    };
    return RC_OK;
}

static int split_query(struct target *target, char *query)
{
    while (query != NULL) {
        char *next = strchr(query, '&');
        if (next != NULL) {
            *next++ = '\0';
        }
        int err = add_parameter(target, query);
        if (err != RC_OK) {
            return err;
        }
        query = next;
    }
    return RC_OK;
}

/* Steps over "http://authority" of an absolute-form target (RFC 9112 section 3.2.2). The
 * authority's bytes move down over the scheme, so that a NUL has room behind them. */
static char *split_authority(struct target *target, char *text)
{
    static const char scheme[] = "http://";
    struct rc_span start = {text, sizeof scheme - 1};

    if (strlen(text) < sizeof scheme || !rc_span_equals_nocase(start, scheme)) {
        return text;
    }
    char *authority = text + sizeof scheme - 1;
    size_t size = strcspn(authority, "/?");
    memmove(text, authority, size);
    text[size] = '\0';
    target->authority = text;
    return authority + size;
}

int target_parse(struct target *target, const char *raw, size_t size)
{
    assert(raw != NULL || size == 0);

    rc_buffer_clear(&target->text);
    target->authority = NULL;
    target->path = "/";
    target->raw_query = NULL;
    target->parameter_count = 0;
    if (size > TARGET_BYTES_MAX) {
        return RC_ETOOBIG;
    }
    if (memchr(raw, '\0', size) != NULL) {
        return RC_EMALFORMED;
    }
    /* Two copies: one is decoded in place, the other keeps the query as it came. */
    rc_buffer_reserve(&target->text, 2 * size + 2);
    rc_buffer_append(&target->text, raw, size);
    rc_buffer_byte(&target->text, 0);
    rc_buffer_append(&target->text, raw, size);
    rc_buffer_byte(&target->text, 0);
    if (target->text.err != RC_OK) {
        return target->text.err;
    }
    char *kept = (char *)target->text.bytes;
    char *path = split_authority(target, kept + size + 1);
    char *query = strchr(path, '?');
    if (query != NULL) {
        *query++ = '\0';
        target->raw_query = strchr(kept, '?') + 1;
    }
    if (path[0] == '\0' && target->authority != NULL) {
        path = strchr(path, '\0');
        target->path = "/";
    } else if (path[0] != '/') {
        return RC_EMALFORMED;
    } else {
        target->path = path;
    }
    if (decode(path, SPELLING_PATH) != RC_OK || !is_printable(path)) {
        target->path = "/";
        return RC_EMALFORMED;
    }
    return split_query(target, query);
}

void target_fini(struct target *target)
{
    rc_buffer_fini(&target->text);
    free(target->parameters);
    *target = (struct target){0};
}

const char *target_parameter(const struct target *target, const char *name)
{
    for (size_t i = 0; i < target->parameter_count; i++) {
        if (strcmp(target->parameters[i].name, name) == 0) {
            return target->parameters[i].value;
        }
    }
    return NULL;
}

/* Drops the last segment of what was written so far; never the root. */
static void drop_segment(struct rc_buffer *out, size_t start)
{
    while (out->size > start && out->bytes[out->size - 1] != '/') {
        out->size--;
    }
    if (out->size > start) {
        out->size--;
    }
}

bool target_clean_path(const struct target *target, struct rc_buffer *out)
{
    size_t start = out->size;
    const char *at = target->path;
    bool open = false; /* ends in a slash */

    while (*at != '\0') {
        at += strspn(at, "/");
        size_t size = strcspn(at, "/");
        struct rc_span segment = {at, size};
        open = size == 0;
        if (rc_span_equals(segment, "..")) {
            drop_segment(out, start);
        } else if (size > 0 && !rc_span_equals(segment, ".")) {
            rc_buffer_byte(out, '/');
            rc_buffer_append(out, at, size);
        }
        at += size;
    }
    if (open || out->size == start) {
        rc_buffer_byte(out, '/');
    }
    rc_buffer_byte(out, 0); /* for comparison only */
    bool differs =
        out->err == RC_OK && strcmp((const char *)out->bytes + start, target->path) != 0;
    if (out->err == RC_OK) {
        out->size--;
    }
    return differs;
}

void target_encode_path(const char *path, struct rc_buffer *out)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789-_.~/:@!$&'()*+,;=";

    for (const char *c = path; *c != '\0'; c++) {
        if (strchr(plain, *c) != NULL) {
            rc_buffer_byte(out, (uint8_t)*c);
        } else {
            rc_buffer_format(out, "%%%02X", (unsigned)(unsigned char)*c);
        }
    }
}
