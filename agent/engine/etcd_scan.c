/* etcd_scan.c - the pull reader. Brackets are counted, never followed by a call of its own. */
#include "agent/engine/etcd_scan.h"

#include <string.h>

#include "base/err.h"

struct etcd_scan etcd_scan_over(void *bytes, size_t size)
{
    uint8_t *at = bytes;

    return (struct etcd_scan){.at = at, .end = at == NULL ? NULL : at + size};
}

static void fail(struct etcd_scan *scan)
{
    scan->err = RC_EMALFORMED;
    scan->at = scan->end;
}

/* The next byte that is no white space; 0 at the end. */
static uint8_t peek(struct etcd_scan *scan)
{
    while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\n' ||
                                    *scan->at == '\t' || *scan->at == '\r')) {
        scan->at++;
    }
    return scan->at < scan->end ? *scan->at : 0;
}

static bool take_word(struct etcd_scan *scan, const char *word)
{
    size_t size = strlen(word);

    if ((size_t)(scan->end - scan->at) < size || memcmp(scan->at, word, size) != 0) {
        return false;
    }
    scan->at += size;
    return true;
}

static bool enter(struct etcd_scan *scan, uint8_t bracket)
{
    if (peek(scan) == bracket) {
        scan->at++;
        return true;
    }
    if (!take_word(scan, "null")) {
        fail(scan);
    }
    return false;
}

bool etcd_scan_object(struct etcd_scan *scan)
{
    return enter(scan, '{');
}

bool etcd_scan_array(struct etcd_scan *scan)
{
    return enter(scan, '[');
}

bool etcd_scan_item(struct etcd_scan *scan)
{
    uint8_t next = peek(scan);

    if (next == ',') {
        scan->at++;
        next = peek(scan);
    }
    if (next == ']') {
        scan->at++;
        return false;
    }
    if (next == 0) {
        fail(scan);
    }
    return scan->err == RC_OK;
}

bool etcd_scan_key(struct etcd_scan *scan, struct rc_span *key)
{
    if (peek(scan) == ',') {
        scan->at++;
    }
    if (peek(scan) == '}') {
        scan->at++;
        return false;
    }
    *key = etcd_scan_text(scan);
    if (scan->err != RC_OK || peek(scan) != ':') {
        fail(scan);
        return false;
    }
    scan->at++;
    return true;
}

/* ---- strings ---------------------------------------------------------------------- */

/* The bytes between the quotes, escapes and all. */
static struct rc_span take_string(struct etcd_scan *scan, bool *has_escapes)
{
    *has_escapes = false;
    if (peek(scan) != '"') {
        if (!take_word(scan, "null")) {
            fail(scan);
        }
        return (struct rc_span){"", 0};
    }
    uint8_t *from = ++scan->at;
    while (scan->at < scan->end && *scan->at != '"') {
        if (*scan->at == '\\') {
            *has_escapes = true;
            scan->at++;
        }
        scan->at++;
    }
    if (scan->at >= scan->end) {
        fail(scan);
        return (struct rc_span){"", 0};
    }
    return (struct rc_span){(const char *)from, (size_t)(scan->at++ - from)};
}

/* \uXXXX as UTF-8; halves of a pair one by one, since only people read such text. */
static size_t decode_unicode(const uint8_t *digits, size_t left, uint8_t *out)
{
    char text[5] = "";
    uint8_t pair[2];

    if (left < 4) {
        return 0;
    }
    memcpy(text, digits, 4);
    if (rc_text_from_hex(text, 2, pair) != RC_OK) {
        return 0;
    }
    unsigned code = (unsigned)pair[0] << 8 | pair[1];
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (uint8_t)(0xc0 | code >> 6);
        out[1] = (uint8_t)(0x80 | (code & 0x3f));
        return 2;
    }
    out[0] = (uint8_t)(0xe0 | code >> 12);
    out[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    out[2] = (uint8_t)(0x80 | (code & 0x3f));
    return 3;
}

static struct rc_span unescape(struct etcd_scan *scan, struct rc_span raw)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char bytes[] = "\"\\/\b\f\n\r\t";
    const uint8_t *from = (const uint8_t *)raw.at;
    /* The raw text stands in the scan's own buffer, and what is decoded is never longer. */
    uint8_t *out = scan->at - 1 - raw.size;
    uint8_t *start = out;

    for (size_t i = 0; i < raw.size; i++) {
        if (from[i] != '\\') {
            *out++ = from[i];
            continue;
        }
        i++;
        const char *letter = from[i] == '\0' ? NULL : strchr(letters, from[i]);
        if (letter != NULL) {
            *out++ = (uint8_t)bytes[letter - letters];
            continue;
        }
        size_t size =
            from[i] == 'u' ? decode_unicode(from + i + 1, raw.size - i - 1, out) : 0;
        if (size == 0) {
            fail(scan);
            return (struct rc_span){"", 0};
        }
        out += size;
        i += 4;
    }
    return (struct rc_span){(const char *)start, (size_t)(out - start)};
}

struct rc_span etcd_scan_text(struct etcd_scan *scan)
{
    bool has_escapes = false;
    struct rc_span raw = take_string(scan, &has_escapes);

    return has_escapes ? unescape(scan, raw) : raw;
}

/* ---- base64 ----------------------------------------------------------------------- */

/* What a letter stands for, RFC 4648 section 4; 64 and more: no letter. */
static unsigned sextet_of(uint8_t letter)
{
    if (letter >= 'A' && letter <= 'Z') {
        return letter - 'A';
    }
    if (letter >= 'a' && letter <= 'z') {
        return letter - 'a' + 26U;
    }
    if (letter >= '0' && letter <= '9') {
        return letter - '0' + 52U;
    }
    return letter == '+' ? 62 : letter == '/' ? 63 : 64;
}

struct rc_pack_bytes etcd_scan_bytes(struct etcd_scan *scan)
{
    static const struct rc_pack_bytes empty = {(const uint8_t *)"", 0};
    struct rc_span text = etcd_scan_text(scan);
    const uint8_t *from = (const uint8_t *)text.at;
    size_t letters = text.size;

    while (letters > 0 && text.size - letters < 2 && from[letters - 1] == '=') {
        letters--;
    }
    if (text.size % 4 != 0 || letters % 4 == 1) {
        fail(scan);
        return empty;
    }
    if (letters == 0) {
        return empty;
    }
    uint8_t *start = scan->end - (scan->end - from); /* the same place, to be written */
    uint8_t *out = start;
    uint32_t group = 0;
    unsigned bad = 0;
    for (size_t i = 0; i < letters; i++) {
        unsigned sextet = sextet_of(from[i]);
        bad |= sextet & 64;
        group = group << 6 | sextet;
        if (i % 4 == 3) {
            *out++ = (uint8_t)(group >> 16);
            *out++ = (uint8_t)(group >> 8);
            *out++ = (uint8_t)group;
            group = 0;
        }
    }
    if (letters % 4 == 3) {
        *out++ = (uint8_t)(group >> 10);
        *out++ = (uint8_t)(group >> 2);
    } else if (letters % 4 == 2) {
        *out++ = (uint8_t)(group >> 4);
    }
    if (bad != 0) {
        fail(scan);
        return empty;
    }
    return (struct rc_pack_bytes){start, (size_t)(out - start)};
}

/* ---- the other values ------------------------------------------------------------- */

uint64_t etcd_scan_number(struct etcd_scan *scan)
{
    uint8_t quote = peek(scan) == '"' ? *scan->at++ : 0;
    bool is_negative = scan->at < scan->end && *scan->at == '-';
    uint64_t value = 0;
    size_t digits = 0;

    if (quote == 0 && take_word(scan, "null")) {
        return 0;
    }
    scan->at += is_negative;
    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9' && digits < 20) {
        value = value * 10 + (uint64_t)(*scan->at++ - '0');
        digits++;
    }
    bool is_closed = quote == 0 || (scan->at < scan->end && *scan->at == quote);
    if (digits == 0 || !is_closed) {
        fail(scan);
        return 0;
    }
    scan->at += quote != 0;
    return is_negative ? 0 - value : value;
}

bool etcd_scan_bool(struct etcd_scan *scan)
{
    (void)peek(scan);
    if (take_word(scan, "true")) {
        return true;
    }
    if (!take_word(scan, "false") && !take_word(scan, "null")) {
        fail(scan);
    }
    return false;
}

/* Over a string, a bracket, or letters of a number or word. Returns how the depth changes. */
static int skip_token(struct etcd_scan *scan)
{
    bool has_escapes = false;
    uint8_t next = peek(scan);

    if (next == '"') {
        (void)take_string(scan, &has_escapes);
        return 0;
    }
    if (next == 0) {
        fail(scan);
        return 0;
    }
    scan->at++;
    if (next == '{' || next == '[') {
        return 1;
    }
    if (next == '}' || next == ']') {
        return -1;
    }
    while (scan->at < scan->end && *scan->at != 0 &&
           strchr(",:{}[]\" \t\r\n", *scan->at) == NULL) {
        scan->at++;
    }
    return 0;
}

void etcd_scan_skip(struct etcd_scan *scan)
{
    uint64_t depth = 0;

    do {
        int change = skip_token(scan);
        if (change < 0 && depth == 0) {
            fail(scan);
            return;
        }
        depth += (uint64_t)(int64_t)change;
    } while (depth > 0 && scan->err == RC_OK);
}
