/* h2_head.c - fields to text, text to fields. */
#include "proxy/http2/h2_head.h"

#include <string.h>

#include "base/err.h"

static const struct rc_span pseudo_names[H2_PSEUDO_COUNT] = {
    [H2_METHOD] = {":method", 7},        [H2_SCHEME] = {":scheme", 7},
    [H2_AUTHORITY] = {":authority", 10}, [H2_PATH] = {":path", 5},
    [H2_PROTOCOL] = {":protocol", 9},
};

static bool same(struct rc_span a, struct rc_span b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.at, b.at, a.size) == 0);
}

static void put_text(struct rc_writer *out, const char *text)
{
    rc_writer_bytes(out, text, strlen(text));
}

static void put_span(struct rc_writer *out, struct rc_span span)
{
    rc_writer_bytes(out, span.at, span.size);
}

static void refuse(struct h2_head *head, enum http1_fault fault)
{
    if (head->fault == HTTP1_SOUND) {
        head->fault = fault;
    }
}

/* Only what can be seen: no space, no control byte, nothing above ASCII. */
static bool is_visible(struct rc_span span)
{
    for (size_t i = 0; i < span.size; i++) {
        unsigned char byte = (unsigned char)span.at[i];
        if (byte <= 0x20 || byte >= 0x7f) {
            return false;
        }
    }
    return true;
}

/* RFC 9113 section 8.2.1. That it is a token is the parser's to say. */
static bool is_name(struct rc_span name)
{
    for (size_t i = 0; i < name.size; i++) {
        unsigned char byte = (unsigned char)name.at[i];
        bool upper = byte >= 'A' && byte <= 'Z';
        if (byte <= 0x20 || byte >= 0x7f || byte == ':' || upper) {
            return false;
        }
    }
    return name.size > 0;
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

static bool is_value(struct rc_span value)
{
    if (value.size == 0) {
        return true;
    }
    return !is_blank(value.at[0]) && !is_blank(value.at[value.size - 1]) &&
           memchr(value.at, '\r', value.size) == NULL &&
           memchr(value.at, '\n', value.size) == NULL &&
           memchr(value.at, '\0', value.size) == NULL;
}

void h2_head_begin(struct h2_head *head, void *space, size_t size)
{
    *head = (struct h2_head){.text = rc_writer_over(space, size)};
}

/* --- pseudo-fields --- */

static void take_pseudo(struct h2_head *head, struct rc_span name, struct rc_span value)
{
    for (unsigned i = 0; i < H2_PSEUDO_COUNT; i++) {
        if (!same(name, pseudo_names[i])) {
            continue;
        }
        if (head->begun || (head->seen & 1U << i) != 0 || value.size == 0) {
            refuse(head, HTTP1_BAD_REQUEST_LINE);
        }
        head->seen |= 1U << i;
        head->pseudo[i] = value;
        return;
    }
    refuse(head, HTTP1_BAD_REQUEST_LINE);
}

static bool has(const struct h2_head *head, enum h2_pseudo pseudo)
{
    return (head->seen & 1U << pseudo) != 0;
}

/* RFC 9113 section 8.3.1: a path begins with a slash, or is the asterisk of OPTIONS; another form
 * would name a host of its own. */
static bool is_path(struct rc_span path, struct rc_span method)
{
    if (!is_visible(path) || path.size == 0) {
        return false;
    }
    return path.at[0] == '/' ||
           (rc_span_equals(path, "*") && rc_span_equals(method, "OPTIONS"));
}

static enum http1_fault judge_pseudo(const struct h2_head *head)
{
    const struct rc_span *pseudo = head->pseudo;
    bool is_connect = rc_span_equals(pseudo[H2_METHOD], "CONNECT");

    if (!has(head, H2_METHOD) || !is_visible(pseudo[H2_METHOD])) {
        return HTTP1_BAD_REQUEST_LINE;
    }
    if (!is_visible(pseudo[H2_AUTHORITY])) {
        return HTTP1_BAD_HOST;
    }
    if (is_connect && !has(head, H2_PROTOCOL)) { /* RFC 9113 section 8.5 */
        bool alone = !has(head, H2_SCHEME) && !has(head, H2_PATH);
        return alone && has(head, H2_AUTHORITY) ? HTTP1_SOUND : HTTP1_BAD_TARGET;
    }
    if (has(head, H2_PROTOCOL) &&
        (!is_connect || !rc_span_equals(pseudo[H2_PROTOCOL], "websocket"))) {
        return HTTP1_BAD_REQUEST_LINE;
    }
    if (!rc_span_equals_nocase(pseudo[H2_SCHEME], "http") &&
        !rc_span_equals_nocase(pseudo[H2_SCHEME], "https")) {
        return HTTP1_BAD_TARGET;
    }
    return is_path(pseudo[H2_PATH], pseudo[H2_METHOD]) ? HTTP1_SOUND : HTTP1_BAD_TARGET;
}

static void write_request_line(struct h2_head *head)
{
    const struct rc_span *pseudo = head->pseudo;
    struct rc_writer *out = &head->text;

    head->begun = true;
    enum http1_fault fault = judge_pseudo(head);
    if (fault != HTTP1_SOUND) {
        refuse(head, fault);
        return;
    }
    bool tunnel = has(head, H2_PROTOCOL);
    if (tunnel) { /* what the handshake of RFC 6455 would have been */
        put_text(out, "GET");
    } else {
        put_span(out, pseudo[H2_METHOD]);
    }
    put_text(out, " ");
    put_span(out, has(head, H2_PATH) ? pseudo[H2_PATH] : pseudo[H2_AUTHORITY]);
    put_text(out, " HTTP/1.1\r\n");
    if (has(head, H2_AUTHORITY)) {
        put_text(out, "Host: ");
        put_span(out, pseudo[H2_AUTHORITY]);
        put_text(out, "\r\n");
        head->has_host = true;
    }
    if (tunnel) {
        put_text(out, "Connection: upgrade\r\nUpgrade: websocket\r\n");
    }
}

/* --- fields --- */

/* A second Cookie field goes into the line of the first (RFC 9113 section 8.2.3). */
static void add_crumb(struct h2_head *head, struct rc_span value)
{
    struct rc_writer *out = &head->text;
    size_t grown = value.size + 2;
    uint8_t *place = out->start + head->cookie_end;
    size_t behind = rc_writer_size(out) - head->cookie_end;

    if (rc_writer_reserve(out, grown) == NULL) {
        return;
    }
    memmove(place + grown, place, behind);
    memcpy(place, "; ", 2); // NOLINT(bugprone-not-null-terminated-result): bytes
    memcpy(place + 2, value.at, value.size);
    head->cookie_end += grown;
}

/* Where authority and Host both stand they must say the same; one line is enough. */
static bool take_host(struct h2_head *head, struct rc_span value)
{
    struct rc_span authority = head->pseudo[H2_AUTHORITY];

    if (head->has_host && (!has(head, H2_AUTHORITY) || value.size != authority.size ||
                           strncasecmp(value.at, authority.at, value.size) != 0)) {
        refuse(head, HTTP1_BAD_HOST);
    }
    bool wanted = !head->has_host;
    head->has_host = true;
    return wanted;
}

/* Fields that need a second look. False: not to be written as it is. */
static bool take_known(struct h2_head *head, struct rc_span name, struct rc_span value)
{
    static const char *const of_connection[] = {
        "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"};

    for (size_t i = 0; i < sizeof of_connection / sizeof of_connection[0]; i++) {
        if (rc_span_equals(name, of_connection[i])) {
            refuse(head, HTTP1_BAD_CONNECTION); /* RFC 9113 section 8.2.2 */
            return false;
        }
    }
    if (rc_span_equals(name, "te") && !rc_span_equals_nocase(value, "trailers")) {
        refuse(head, HTTP1_BAD_CONNECTION);
        return false;
    }
    if (rc_span_equals(name, "host")) {
        return take_host(head, value);
    }
    if (rc_span_equals(name, "cookie") && head->cookie_end != 0) {
        add_crumb(head, value);
        return false;
    }
    if (rc_span_equals(name, "content-length")) {
        head->has_length = true;
        head->has_content = head->has_content || !rc_span_equals(value, "0");
    }
    return true;
}

static void check_field(struct h2_head *head, struct rc_span name, struct rc_span value)
{
    if (!is_name(name)) {
        refuse(head, HTTP1_BAD_FIELD_NAME);
    } else if (!is_value(value)) {
        refuse(head, HTTP1_BAD_FIELD_VALUE);
    }
}

static void put_field(struct rc_writer *out, struct rc_span name, struct rc_span value)
{
    put_span(out, name);
    put_text(out, ": ");
    put_span(out, value);
    put_text(out, "\r\n");
}

void h2_head_field(struct h2_head *head, struct rc_span name, struct rc_span value)
{
    if (name.size > 0 && name.at[0] == ':') {
        take_pseudo(head, name, value);
        return;
    }
    if (!head->begun) {
        write_request_line(head);
    }
    check_field(head, name, value);
    if (head->fault != HTTP1_SOUND || !take_known(head, name, value)) {
        return;
    }
    put_field(&head->text, name, value);
    if (rc_span_equals(name, "cookie") && head->text.err == RC_OK) {
        head->cookie_end = rc_writer_size(&head->text) - 2;
    }
}

void h2_head_trailer(struct h2_head *head, struct rc_span name, struct rc_span value)
{
    check_field(head, name, value);
    if (head->fault == HTTP1_SOUND) {
        put_field(&head->text, name, value);
    }
}

enum http1_fault h2_head_trailer_end(struct h2_head *head)
{
    size_t size = rc_writer_size(&head->text);

    if (head->text.err != RC_OK || size > HTTP1_TRAILER_MAX) {
        refuse(head, HTTP1_BAD_TRAILER);
    }
    if (head->fault == HTTP1_SOUND && size > 0) {
        head->fault = http1_trailer_check((const char *)head->text.start, size);
    }
    return head->fault;
}

void h2_head_bad_field(struct h2_head *head)
{
    refuse(head, HTTP1_BAD_FIELD_VALUE);
}

/* The limits of HTTP/1.1; and that the text is one head, not two. */
static void judge_text(struct h2_head *head)
{
    struct http1_scan scan = {0};
    size_t size = rc_writer_size(&head->text);
    size_t found = 0;

    head->fault = http1_scan(&scan, (const char *)head->text.start, size, &found);
    if (head->fault == HTTP1_SOUND && found != size) {
        head->fault = HTTP1_BAD_FIELD_VALUE;
    }
}

enum http1_fault h2_head_end(struct h2_head *head, enum h2_body body, size_t *size)
{
    struct rc_writer *out = &head->text;

    if (!head->begun) {
        write_request_line(head);
    }
    if (body == H2_NO_BODY && head->has_content) { /* RFC 9113 section 8.1.1 */
        refuse(head, HTTP1_BAD_CONTENT_LENGTH);
    }
    if (body == H2_BODY && !head->has_length && !has(head, H2_PROTOCOL)) {
        put_text(out, "Transfer-Encoding: chunked\r\n");
    }
    put_text(out, "\r\n");
    if (out->err != RC_OK || rc_writer_size(out) > HTTP1_HEAD_MAX) {
        refuse(head, HTTP1_HEAD_TOO_LARGE);
    }
    if (head->fault == HTTP1_SOUND) {
        judge_text(head);
    }
    *size = head->fault == HTTP1_SOUND ? rc_writer_size(out) : 0;
    return head->fault;
}

bool h2_head_is_tunnel(const struct h2_head *head)
{
    return has(head, H2_PROTOCOL);
}

/* --- text to fields --- */

static bool is_about_connection(struct rc_span name)
{
    static const char *const names[] = {"connection", "keep-alive", "upgrade",
                                        "proxy-connection", "transfer-encoding"};
    static const size_t sizes = 1U << 10 | 1U << 7 | 1U << 16 | 1U << 17;

    if (name.size > 17 || (sizes & 1U << name.size) == 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (rc_span_equals_nocase(name, names[i])) {
            return true;
        }
    }
    return false;
}

static struct rc_span trimmed(const char *at, const char *end)
{
    while (at < end && is_blank(*at)) {
        at++;
    }
    while (end > at && is_blank(end[-1])) {
        end--;
    }
    return (struct rc_span){at, (size_t)(end - at)};
}

/* Where the line that begins at `at` ends: its CR LF. NULL: it does not. */
static const char *end_of_line(const char *at, const char *end)
{
    const char *feed = memchr(at, '\n', (size_t)(end - at));
    return feed != NULL && feed > at && feed[-1] == '\r' ? feed - 1 : NULL;
}

int h2_head_split(const char *text, size_t size,
                  struct h2_field fields[H2_HEAD_FIELDS_MAX], size_t *count,
                  size_t *head_size)
{
    static const size_t status_at = 9; /* behind "HTTP/1.1 " */
    const char *end = text + size;
    const char *line_end = end_of_line(text, end);
    size_t found = 1;

    if (line_end == NULL || (size_t)(line_end - text) < status_at + 3) {
        return RC_EMALFORMED;
    }
    fields[0] = (struct h2_field){{":status", 7}, {text + status_at, 3}};
    for (;;) {
        if (end - line_end < 4) { /* at least the empty line follows */
            return RC_EMALFORMED;
        }
        const char *at = line_end + 2;
        line_end = end_of_line(at, end);
        if (line_end == NULL) {
            return RC_EMALFORMED;
        }
        if (line_end == at) {
            *count = found;
            *head_size = (size_t)(at + 2 - text);
            return RC_OK;
        }
        const char *colon = memchr(at, ':', (size_t)(line_end - at));
        if (colon == NULL) {
            return RC_EMALFORMED;
        }
        struct rc_span name = {at, (size_t)(colon - at)};
        if (is_about_connection(name)) {
            continue;
        }
        if (found == H2_HEAD_FIELDS_MAX) {
            return RC_ETOOBIG;
        }
        fields[found++] = (struct h2_field){name, trimmed(colon + 1, line_end)};
    }
}
