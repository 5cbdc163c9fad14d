/* http1.c - heads: where they end, their first line, and whether they contradict themselves. */
#include "proxy/wire/http1.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "proxy/wire/http1_fields.h"

static const struct {
    uint16_t status;
    const char *label;
    const char *text;
} faults[HTTP1_FAULT_COUNT] = {
    [HTTP1_SOUND] = {0, "sound", "nothing is wrong"},
    [HTTP1_BARE_LF] = {400, "bare_lf", "a line of the head does not end in CRLF"},
    [HTTP1_BAD_REQUEST_LINE] = {400, "request_line", "malformed request line"},
    [HTTP1_BAD_TARGET] = {400, "target", "malformed request target"},
    [HTTP1_BAD_STATUS_LINE] = {400, "status_line", "malformed status line"},
    [HTTP1_BAD_VERSION] = {400, "version", "not a version of HTTP"},
    [HTTP1_VERSION_UNSUPPORTED] = {505, "version", "only HTTP/1.0 and HTTP/1.1 here"},
    [HTTP1_BAD_FIELD_NAME] = {400, "field_name", "malformed field name"},
    [HTTP1_BAD_FIELD_VALUE] = {400, "field_value", "forbidden byte in a field value"},
    [HTTP1_FOLDED_LINE] = {400, "folded_line", "folded field line"},
    [HTTP1_BAD_HOST] = {400, "host", "missing, repeated or malformed Host"},
    [HTTP1_BAD_CONTENT_LENGTH] = {400, "content_length", "malformed Content-Length"},
    [HTTP1_BAD_TRANSFER_ENCODING] = {400, "transfer_encoding",
                                     "malformed Transfer-Encoding"},
    [HTTP1_UNKNOWN_TRANSFER_ENCODING] = {501, "transfer_encoding",
                                         "only the transfer coding chunked is known"},
    [HTTP1_LENGTH_AND_ENCODING] = {400, "length_and_encoding",
                                   "Content-Length and Transfer-Encoding together"},
    [HTTP1_BAD_CONNECTION] = {400, "connection",
                              "Connection names a field that must not be removed"},
    [HTTP1_UNKNOWN_EXPECTATION] = {417, "expectation",
                                   "only the expectation 100-continue is known"},
    [HTTP1_LINE_TOO_LONG] = {414, "line_too_long", "request line over 8 KiB"},
    [HTTP1_HEAD_TOO_LARGE] = {431, "head_too_large", "head over 16 KiB or 100 fields"},
    [HTTP1_BAD_TRAILER] = {400, "trailer", "trailer too large or of a forbidden name"},
};

static const struct {
    const char *text;
    enum http1_method method;
} methods[] = {
    {"GET", HTTP1_GET},     {"HEAD", HTTP1_HEAD},     {"POST", HTTP1_POST},
    {"PUT", HTTP1_PUT},     {"DELETE", HTTP1_DELETE}, {"OPTIONS", HTTP1_OPTIONS},
    {"PATCH", HTTP1_PATCH}, {"TRACE", HTTP1_TRACE},   {"CONNECT", HTTP1_CONNECT},
};

static const struct {
    unsigned status;
    const char *text;
} reasons[] = {
    {200, "OK"},
    {400, "Bad Request"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

uint16_t http1_fault_status(enum http1_fault fault)
{
    assert(fault < HTTP1_FAULT_COUNT);
    return faults[fault].status;
}

const char *http1_fault_text(enum http1_fault fault)
{
    assert(fault < HTTP1_FAULT_COUNT);
    return faults[fault].text;
}

const char *http1_fault_label(enum http1_fault fault)
{
    assert(fault < HTTP1_FAULT_COUNT);
    return faults[fault].label;
}

const char *http1_reason(unsigned status)
{
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (reasons[i].status == status) {
            return reasons[i].text;
        }
    }
    return "";
}

/* The line that ends with the LF at `lf` is complete. */
static enum http1_fault end_line(struct http1_scan *scan, const char *bytes, size_t lf,
                                 size_t *head_size)
{
    size_t start = scan->line_start;

    if (lf == start || bytes[lf - 1] != '\r') {
        return HTTP1_BARE_LF;
    }
    bool empty = lf - start == 1;
    /* One empty line before the request line is forgiven (RFC 9112 section 2.2). */
    if (empty && start > 0 && scan->lines > 0) {
        *head_size = lf + 1;
        return HTTP1_SOUND;
    }
    if (empty && start > 0) {
        return HTTP1_BAD_REQUEST_LINE;
    }
    if (!empty && ++scan->lines > HTTP1_FIELDS_MAX + 1) {
        return HTTP1_HEAD_TOO_LARGE;
    }
    if (scan->lines == 1 && lf - start > HTTP1_LINE_MAX) {
        return HTTP1_LINE_TOO_LONG;
    }
    scan->line_start = (uint16_t)(lf + 1);
    return HTTP1_SOUND;
}

enum http1_fault http1_scan(struct http1_scan *scan, const char *bytes, size_t size,
                            size_t *head_size)
{
    size_t limit = size < HTTP1_HEAD_MAX ? size : HTTP1_HEAD_MAX;

    *head_size = 0;
    while (scan->at < limit) {
        const char *lf = memchr(bytes + scan->at, '\n', limit - scan->at);
        if (lf == NULL) {
            scan->at = (uint16_t)limit;
            break;
        }
        size_t at = (size_t)(lf - bytes);
        enum http1_fault fault = end_line(scan, bytes, at, head_size);
        if (fault != HTTP1_SOUND || *head_size != 0) {
            return fault;
        }
        scan->at = (uint16_t)(at + 1);
    }
    if (scan->lines == 0 && limit - scan->line_start > HTTP1_LINE_MAX) {
        return HTTP1_LINE_TOO_LONG;
    }
    return limit == HTTP1_HEAD_MAX ? HTTP1_HEAD_TOO_LARGE : HTTP1_SOUND;
}

static struct http1_span span_between(size_t start, size_t end)
{
    return (struct http1_span){(uint16_t)start, (uint16_t)(end - start)};
}

/* "[" IPv6address "]", roughly: the bytes that can stand there. Returns where it ends, 0 = no. */
static size_t skip_literal(const char *text, size_t size)
{
    size_t at = 1;

    while (at < size &&
           (http1_is(text[at], HTTP1_HEX) || text[at] == ':' || text[at] == '.')) {
        at++;
    }
    return at >= 3 && at < size && text[at] == ']' ? at + 1 : 0;
}

/* reg-name or IPv4address. Returns where it ends, 0 = no. */
static size_t skip_name(const char *text, size_t size)
{
    size_t at = 0;

    while (at < size && text[at] != ':') {
        if (http1_is(text[at], HTTP1_REG_NAME)) {
            at++;
            continue;
        }
        bool escape = text[at] == '%' && size - at > 2 &&
                      http1_is(text[at + 1], HTTP1_HEX) &&
                      http1_is(text[at + 2], HTTP1_HEX);
        if (!escape) {
            return 0;
        }
        at += 3;
    }
    return at;
}

/* uri-host [ ":" port ] of RFC 3986 section 3.2.2, without user information. */
static bool is_authority(const char *text, size_t size)
{
    bool literal = size > 0 && text[0] == '[';
    size_t at = literal ? skip_literal(text, size) : skip_name(text, size);

    if (at == 0 || at == size) {
        return at > 0;
    }
    if (text[at++] != ':' || size - at > 5) {
        return false;
    }
    while (at < size && http1_is(text[at], HTTP1_DIGIT)) {
        at++;
    }
    return at == size;
}

/* "HTTP/" DIGIT "." DIGIT */
static enum http1_fault parse_version(const char *text, size_t size, uint8_t *minor)
{
    if (size != 8 || memcmp(text, "HTTP/", 5) != 0 || !http1_is(text[5], HTTP1_DIGIT) ||
        text[6] != '.' || !http1_is(text[7], HTTP1_DIGIT) || text[5] == '0') {
        return HTTP1_BAD_VERSION;
    }
    if (text[5] != '1') {
        return HTTP1_VERSION_UNSUPPORTED;
    }
    *minor = text[7] == '0' ? 0 : 1; /* RFC 9110 section 2.5 */
    return HTTP1_SOUND;
}

static enum http1_method method_of(struct rc_span text)
{
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (rc_span_equals(text, methods[i].text)) {
            return methods[i].method;
        }
    }
    return HTTP1_METHOD_OTHER;
}

/* http://authority/path: RFC 9112 section 3.2.2. */
static enum http1_fault parse_absolute(const char *bytes, struct http1_request *out)
{
    static const char *const schemes[] = {"http://", "https://"};
    size_t at = out->target.at;
    size_t end = at + out->target.size;

    for (size_t i = 0; i < 2; i++) {
        size_t size = strlen(schemes[i]);
        if (out->target.size > size && strncasecmp(bytes + at, schemes[i], size) == 0) {
            size_t start = at + size;
            size_t slash = start;
            while (slash < end && bytes[slash] != '/' && bytes[slash] != '?') {
                slash++;
            }
            if (!is_authority(bytes + start, slash - start)) {
                return HTTP1_BAD_TARGET;
            }
            out->form = HTTP1_ABSOLUTE;
            out->host = span_between(start, slash);
            out->path = span_between(slash, end);
            return HTTP1_SOUND;
        }
    }
    return HTTP1_BAD_TARGET;
}

static enum http1_fault parse_target(const char *bytes, struct http1_request *out)
{
    const char *text = bytes + out->target.at;

    for (size_t i = 0; i < out->target.size; i++) {
        if (!http1_is(text[i], HTTP1_VISIBLE)) {
            return HTTP1_BAD_TARGET;
        }
    }
    if (out->target.size == 0) {
        return HTTP1_BAD_REQUEST_LINE;
    }
    if (out->method == HTTP1_CONNECT) {
        out->form = HTTP1_AUTHORITY;
        return is_authority(text, out->target.size) ? HTTP1_SOUND : HTTP1_BAD_TARGET;
    }
    out->path = out->target;
    if (text[0] == '/') {
        out->form = HTTP1_ORIGIN;
        return HTTP1_SOUND;
    }
    if (out->target.size == 1 && text[0] == '*') {
        out->form = HTTP1_ASTERISK;
        return out->method == HTTP1_OPTIONS ? HTTP1_SOUND : HTTP1_BAD_TARGET;
    }
    return parse_absolute(bytes, out);
}

/* method SP request-target SP HTTP-version, in [at, end) without its CRLF. */
static enum http1_fault parse_request_line(const char *bytes, size_t at, size_t end,
                                           struct http1_request *out)
{
    size_t space = at;
    while (space < end && http1_is(bytes[space], HTTP1_TCHAR)) {
        space++;
    }
    if (space == at || space == end || bytes[space] != ' ') {
        return HTTP1_BAD_REQUEST_LINE;
    }
    out->method_text = span_between(at, space);
    out->method = method_of(http1_text(bytes, out->method_text));
    size_t start = space + 1;
    const char *second = memchr(bytes + start, ' ', end - start);
    if (second == NULL) { /* HTTP/0.9 */
        return HTTP1_BAD_REQUEST_LINE;
    }
    out->target = span_between(start, (size_t)(second - bytes));
    size_t version = (size_t)(second - bytes) + 1;
    enum http1_fault fault =
        parse_version(bytes + version, end - version, &out->head.minor);
    if (fault == HTTP1_VERSION_UNSUPPORTED &&
        rc_span_equals(http1_text(bytes, out->method_text), "PRI")) {
        return HTTP1_BAD_REQUEST_LINE; /* the HTTP/2 preface (RFC 9113 section 3.4) */
    }
    return fault != HTTP1_SOUND ? fault : parse_target(bytes, out);
}

/* RFC 9112 section 3.2: a 1.1 request has exactly one valid Host. */
static enum http1_fault check_host(const char *bytes, struct http1_request *out)
{
    if ((out->head.says & HTTP1_SAYS_HOST) == 0) {
        return out->head.minor == 0 ? HTTP1_SOUND : HTTP1_BAD_HOST;
    }
    for (size_t i = 0; i < out->head.count; i++) {
        const struct http1_field *field = &out->head.fields[i];
        if (field->known != HTTP1_HOST) {
            continue;
        }
        if (!is_authority(bytes + field->value.at, field->value.size)) {
            return HTTP1_BAD_HOST;
        }
        out->host = out->form == HTTP1_ABSOLUTE ? out->host : field->value;
    }
    return HTTP1_SOUND;
}

enum http1_fault http1_request_parse(const char *bytes, size_t size,
                                     struct http1_request *out)
{
    assert(size >= 4 && size <= HTTP1_HEAD_MAX);
    memset(out, 0, offsetof(struct http1_request, head.fields));
    memset(&out->method, 0, sizeof *out - offsetof(struct http1_request, method));
    out->head.size = (uint16_t)size;

    size_t at = bytes[0] == '\r' && bytes[1] == '\n' ? 2 : 0;
    size_t next = http1_next_line(bytes, at, size);
    enum http1_fault fault = parse_request_line(bytes, at, next - 2, out);
    if (fault != HTTP1_SOUND) {
        return fault;
    }
    fault = http1_fields_parse(bytes, next, size, HTTP1_OF_REQUEST, &out->head);
    if (fault != HTTP1_SOUND) {
        return fault;
    }
    uint32_t says = out->head.says;
    if ((says & HTTP1_SAYS_CHUNKED) != 0 && out->head.minor == 0) {
        return HTTP1_BAD_TRANSFER_ENCODING;
    }
    if ((says & HTTP1_SAYS_CHUNKED) != 0 && (says & HTTP1_SAYS_LENGTH) != 0) {
        return HTTP1_LENGTH_AND_ENCODING;
    }
    return check_host(bytes, out);
}

/* HTTP-version SP status-code SP [reason]; the last space is often forgotten, which hurts
 * nobody. */
static enum http1_fault parse_status_line(const char *bytes, size_t end,
                                          struct http1_response *out)
{
    if (end < 12 || bytes[8] != ' ') {
        return HTTP1_BAD_STATUS_LINE;
    }
    if (parse_version(bytes, 8, &out->head.minor) != HTTP1_SOUND) {
        return HTTP1_BAD_VERSION;
    }
    for (size_t i = 9; i < 12; i++) {
        if (!http1_is(bytes[i], HTTP1_DIGIT)) {
            return HTTP1_BAD_STATUS_LINE;
        }
        out->status = (uint16_t)(out->status * 10 + (bytes[i] - '0'));
    }
    if (out->status < 100 || out->status > 599 || (end > 12 && bytes[12] != ' ')) {
        return HTTP1_BAD_STATUS_LINE;
    }
    for (size_t i = 12; i < end; i++) {
        if (!http1_is(bytes[i], HTTP1_VALUE)) {
            return HTTP1_BAD_STATUS_LINE;
        }
    }
    out->status_text = span_between(9, end);
    return HTTP1_SOUND;
}

enum http1_fault http1_response_parse(const char *bytes, size_t size,
                                      struct http1_response *out)
{
    assert(size >= 4 && size <= HTTP1_HEAD_MAX);
    memset(out, 0, offsetof(struct http1_response, head.fields));
    out->status = 0;
    out->head.size = (uint16_t)size;

    size_t next = http1_next_line(bytes, 0, size);
    enum http1_fault fault = parse_status_line(bytes, next - 2, out);
    if (fault != HTTP1_SOUND) {
        return fault;
    }
    fault = http1_fields_parse(bytes, next, size, HTTP1_OF_RESPONSE, &out->head);
    if (fault != HTTP1_SOUND) {
        return fault;
    }
    if ((out->head.says & HTTP1_SAYS_CHUNKED) != 0) {
        if (out->head.minor == 0) {
            return HTTP1_BAD_TRANSFER_ENCODING;
        }
        /* RFC 9112 section 6.3 rule 3: the encoding wins, the connection is suspect. */
        if ((out->head.says & HTTP1_SAYS_LENGTH) != 0) {
            out->head.says &= ~(uint32_t)HTTP1_SAYS_LENGTH;
            out->head.says |= HTTP1_SAYS_CLOSE;
        }
    }
    return HTTP1_SOUND;
}
