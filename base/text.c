/* text.c - comparing, copying and encoding strings. */
#include "base/text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

static const char hex_digits[] = "0123456789abcdef";

struct rc_span rc_span_of(const char *text)
{
    return (struct rc_span){text, text != NULL ? strlen(text) : 0};
}

static char lower(char letter)
{
    if (letter >= 'A' && letter <= 'Z') {
        return (char)(letter | 0x20);
    }
    return letter;
}

static bool same_nocase(const char *a, const char *b, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (lower(a[i]) != lower(b[i])) {
            return false;
        }
    }
    return true;
}

bool rc_span_equals(struct rc_span span, const char *text)
{
    size_t size = strlen(text);
    return span.size == size && (size == 0 || memcmp(span.at, text, size) == 0);
}

bool rc_span_equals_nocase(struct rc_span span, const char *text)
{
    return span.size == strlen(text) && same_nocase(span.at, text, span.size);
}

bool rc_text_equals(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool rc_text_equals_nocase(const char *a, const char *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    size_t size = strlen(a);
    return size == strlen(b) && same_nocase(a, b, size);
}

bool rc_text_starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool rc_text_ends_with(const char *text, const char *suffix)
{
    size_t size = strlen(text);
    size_t tail = strlen(suffix);
    return tail <= size && memcmp(text + size - tail, suffix, tail) == 0;
}

/* RFC 3629 section 4: what the first byte allows as second byte, and how many follow. */
static const struct {
    uint8_t first_low, first_high, second_low, second_high, size;
} sequences[] = {
    {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
    {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
    {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

/* The size of the sequence at `bytes`, 0 if it breaks the rules. */
static size_t utf8_size(const uint8_t *bytes, size_t left)
{
    if (bytes[0] < 0x80) {
        return 1;
    }
    for (size_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++) {
        if (bytes[0] < sequences[i].first_low || bytes[0] > sequences[i].first_high) {
            continue;
        }
        size_t size = sequences[i].size;
        if (left < size || bytes[1] < sequences[i].second_low ||
            bytes[1] > sequences[i].second_high) {
            return 0;
        }
        for (size_t k = 2; k < size; k++) {
            if ((bytes[k] & 0xc0) != 0x80) {
                return 0;
            }
        }
        return size;
    }
    return 0;
}

bool rc_text_is_utf8(const void *bytes, size_t size)
{
    const uint8_t *at = bytes;

    while (size > 0) {
        size_t step = utf8_size(at, size);
        if (step == 0) {
            return false;
        }
        at += step;
        size -= step;
    }
    return true;
}

char *rc_text_copy(const char *text)
{
    return text != NULL ? strdup(text) : NULL;
}

char *rc_text_copy_span(struct rc_span span)
{
    char *copy = malloc(span.size + 1);

    if (copy == NULL) {
        return NULL;
    }
    if (span.size > 0) {
        memcpy(copy, span.at, span.size);
    }
    copy[span.size] = '\0';
    return copy;
}

char *rc_text_format(const char *format, ...)
{
    char *text = NULL;
    va_list arguments;

    va_start(arguments, format);
    int size = vasprintf(&text, format, arguments);
    va_end(arguments);
    return size >= 0 ? text : NULL;
}

int rc_text_put(char *space, size_t size, const char *text)
{
    int wanted = snprintf(space, size, "%s", text);
    return wanted >= 0 && (size_t)wanted < size ? RC_OK : RC_ETOOBIG;
}

size_t rc_text_show_byte(char byte, char space[4])
{
    static const char named[] = "\aa\bb\tt\nn\vv\ff\rr"; /* the byte, then its letter */
    unsigned char value = (unsigned char)byte;

    if (value >= ' ' && value != 0x7f) {
        space[0] = byte;
        return 1;
    }
    space[0] = '\\';
    for (size_t i = 0; i + 1 < sizeof named; i += 2) {
        if (named[i] == byte) {
            space[1] = named[i + 1];
            return 2;
        }
    }
    space[1] = 'x';
    space[2] = hex_digits[value >> 4];
    space[3] = hex_digits[value & 15];
    return 4;
}

void rc_text_to_line(char *space, size_t size)
{
    size_t length = strlen(space);
    char shown[4];

    assert(length < size);
    for (size_t at = 0; at < length;) {
        size_t width = rc_text_show_byte(space[at], shown);
        if (at + width >= size) { /* an escape is never cut */
            length = at;
            break;
        }
        size_t rest = length - at - 1;
        rest = rest < size - 1 - at - width ? rest : size - 1 - at - width;
        memmove(space + at + width, space + at + 1, rest);
        memcpy(space + at, shown, width);
        at += width;
        length = at + rest;
    }
    space[length] = '\0';
}

static int digit_of(char letter)
{
    letter = lower(letter);
    if (letter >= '0' && letter <= '9') {
        return letter - '0';
    }
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

void rc_text_to_hex(const void *bytes, size_t size, char *space)
{
    const uint8_t *from = bytes;

    for (size_t i = 0; i < size; i++) {
        space[2 * i] = hex_digits[from[i] >> 4];
        space[2 * i + 1] = hex_digits[from[i] & 15];
    }
    space[2 * size] = '\0';
}

int rc_text_from_hex(const char *text, size_t size, uint8_t *out)
{
    if (strlen(text) != size * 2) {
        return RC_EMALFORMED;
    }
    for (size_t i = 0; i < size; i++) {
        int high = digit_of(text[2 * i]);
        int low = digit_of(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return RC_EMALFORMED;
        }
        out[i] = (uint8_t)(high * 16 + low);
    }
    return RC_OK;
}

static const char base64_letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void rc_text_to_base64(const void *bytes, size_t size, char *space)
{
    const uint8_t *from = bytes;

    for (size_t i = 0; i < size; i += 3) {
        uint32_t group = (uint32_t)from[i] << 16;
        group |= i + 1 < size ? (uint32_t)from[i + 1] << 8 : 0;
        group |= i + 2 < size ? (uint32_t)from[i + 2] : 0;
        *space++ = base64_letters[group >> 18];
        *space++ = base64_letters[group >> 12 & 63];
        *space++ = base64_letters[group >> 6 & 63];
        *space++ = base64_letters[group & 63];
    }
    if (size % 3 > 0) { /* letters that stand for no byte become padding */
        space[-1] = '=';
    }
    if (size % 3 == 1) {
        space[-2] = '=';
    }
    *space = '\0';
}

/* Four letters of which the last `padding` are '='. RC_OK or RC_EMALFORMED. */
static int decode_group(const char *text, unsigned padding, uint32_t *out)
{
    uint32_t group = 0;

    for (unsigned i = 0; i < 4; i++) {
        const char *letter =
            text[i] == '\0' ? NULL : strchr(base64_letters, text[i]); /* not its NUL */
        if (letter == NULL && !(text[i] == '=' && i >= 4 - padding)) {
            return RC_EMALFORMED;
        }
        group = group << 6 | (letter != NULL ? (uint32_t)(letter - base64_letters) : 0);
    }
    /* RFC 4648 section 3.5: bits beyond the last byte must be zero. */
    uint32_t unused = padding == 0 ? 0 : padding == 1 ? 0xff : 0xffff;
    if ((group & unused) != 0) {
        return RC_EMALFORMED;
    }
    *out = group;
    return RC_OK;
}

int rc_text_from_base64(const char *text, uint8_t *out, size_t out_max, size_t *out_size)
{
    size_t length = strlen(text);
    size_t at = 0;

    if (length % 4 != 0) {
        return RC_EMALFORMED;
    }
    for (size_t i = 0; i < length; i += 4) {
        uint32_t group = 0;
        unsigned padding = 0;
        if (i + 4 == length && text[i + 3] == '=') {
            padding = text[i + 2] == '=' ? 2 : 1;
        }
        if (decode_group(text + i, padding, &group) != RC_OK) {
            return RC_EMALFORMED;
        }
        for (unsigned k = 0; k < 3 - padding; k++) {
            if (at == out_max) {
                return RC_ETOOBIG;
            }
            out[at++] = (uint8_t)(group >> (16 - 8 * k));
        }
    }
    *out_size = at;
    return RC_OK;
}

void rc_text_uuid(const uint8_t random[16], char space[37])
{
    static const unsigned ends[] = {4, 6, 8, 10, 16};
    uint8_t bytes[16];
    unsigned from = 0;

    memcpy(bytes, random, sizeof bytes);
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40); /* version 4, RFC 4122 section 4.4 */
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        rc_text_to_hex(bytes + from, ends[i] - from, space);
        space += 2 * (size_t)(ends[i] - from);
        from = ends[i];
        *space++ = '-';
    }
    space[-1] = '\0'; /* over the last hyphen */
}

unsigned rc_text_distance(const char *a, const char *b)
{
    enum { LETTERS_MAX = 64 };
    unsigned row[LETTERS_MAX + 1];
    size_t columns = strnlen(b, LETTERS_MAX);
    size_t rows = strnlen(a, LETTERS_MAX);

    for (size_t k = 0; k <= columns; k++) {
        row[k] = (unsigned)k;
    }
    for (size_t i = 1; i <= rows; i++) {
        unsigned diagonal = row[0]; /* of the row before, one column back */
        row[0] = (unsigned)i;
        for (size_t k = 1; k <= columns; k++) {
            unsigned above = row[k];
            unsigned best = diagonal + (a[i - 1] != b[k - 1]);
            best = above + 1 < best ? above + 1 : best;
            best = row[k - 1] + 1 < best ? row[k - 1] + 1 : best;
            diagonal = above;
            row[k] = best;
        }
    }
    return row[columns];
}
