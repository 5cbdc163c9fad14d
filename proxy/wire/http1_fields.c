/* http1_fields.c - field lines: names, values, and what they say about the message. */
#include "proxy/wire/http1_fields.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

/* clang-format off */
const uint8_t http1_class[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    2, 15, 6, 3, 15, 7, 15, 15, 14, 14, 15, 15, 6, 15, 15, 6,
    63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 6, 14, 6, 14, 6, 6,
    6, 47, 47, 47, 47, 47, 47, 15, 15, 15, 15, 15, 15, 15, 15, 15,
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 6, 6, 6, 7, 15,
    7, 47, 47, 47, 47, 47, 47, 15, 15, 15, 15, 15, 15, 15, 15, 15,
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 6, 7, 6, 15, 0,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
};
/* clang-format on */

/* The rules for one known name. */
static const struct {
    const char *text;
    uint8_t may_be_hop; /* Connection may name it: nobody behind us relies on it */
} names[HTTP1_NAME_COUNT] = {
    [HTTP1_OTHER] = {"", 1},
    [HTTP1_TE] = {"te", 1},
    [HTTP1_VIA] = {"via", 0},
    [HTTP1_HOST] = {"host", 0},
    [HTTP1_EXPECT] = {"expect", 0},
    [HTTP1_COOKIE] = {"cookie", 0},
    [HTTP1_UPGRADE] = {"upgrade", 1},
    [HTTP1_TRAILER] = {"trailer", 1},
    [HTTP1_FORWARDED] = {"forwarded", 0},
    [HTTP1_X_REAL_IP] = {"x-real-ip", 0},
    [HTTP1_CONNECTION] = {"connection", 1},
    [HTTP1_KEEP_ALIVE] = {"keep-alive", 1},
    [HTTP1_SET_COOKIE] = {"set-cookie", 0},
    [HTTP1_RETRY_AFTER] = {"retry-after", 0},
    [HTTP1_X_REQUEST_ID] = {"x-request-id", 0},
    [HTTP1_MAX_FORWARDS] = {"max-forwards", 0},
    [HTTP1_CONTENT_TYPE] = {"content-type", 0},
    [HTTP1_CONTENT_RANGE] = {"content-range", 0},
    [HTTP1_AUTHORIZATION] = {"authorization", 0},
    [HTTP1_CONTENT_LENGTH] = {"content-length", 0},
    [HTTP1_HTTP2_SETTINGS] = {"http2-settings", 1},
    [HTTP1_IDEMPOTENCY_KEY] = {"idempotency-key", 0},
    [HTTP1_X_FORWARDED_FOR] = {"x-forwarded-for", 0},
    [HTTP1_X_FORWARDED_HOST] = {"x-forwarded-host", 0},
    [HTTP1_X_FORWARDED_PORT] = {"x-forwarded-port", 0},
    [HTTP1_PROXY_CONNECTION] = {"proxy-connection", 1},
    [HTTP1_CONTENT_ENCODING] = {"content-encoding", 0},
    [HTTP1_WWW_AUTHENTICATE] = {"www-authenticate", 0},
    [HTTP1_TRANSFER_ENCODING] = {"transfer-encoding", 0},
    [HTTP1_X_FORWARDED_PROTO] = {"x-forwarded-proto", 0},
    [HTTP1_SEC_WEBSOCKET_KEY] = {"sec-websocket-key", 0},
    [HTTP1_PROXY_AUTHENTICATE] = {"proxy-authenticate", 1},
    [HTTP1_PROXY_AUTHORIZATION] = {"proxy-authorization", 1},
};

enum { NAME_SIZE_MAX = 19, NAMES_OF_A_SIZE_MAX = 5 };

/* Known names by their length, so that a line is compared with a few at most. */
static const uint8_t names_of_size[NAME_SIZE_MAX + 1][NAMES_OF_A_SIZE_MAX] = {
    [2] = {HTTP1_TE},
    [3] = {HTTP1_VIA},
    [4] = {HTTP1_HOST},
    [6] = {HTTP1_EXPECT, HTTP1_COOKIE},
    [7] = {HTTP1_UPGRADE, HTTP1_TRAILER},
    [9] = {HTTP1_FORWARDED, HTTP1_X_REAL_IP},
    [10] = {HTTP1_CONNECTION, HTTP1_KEEP_ALIVE, HTTP1_SET_COOKIE},
    [11] = {HTTP1_RETRY_AFTER},
    [12] = {HTTP1_X_REQUEST_ID, HTTP1_MAX_FORWARDS, HTTP1_CONTENT_TYPE},
    [13] = {HTTP1_CONTENT_RANGE, HTTP1_AUTHORIZATION},
    [14] = {HTTP1_CONTENT_LENGTH, HTTP1_HTTP2_SETTINGS},
    [15] = {HTTP1_IDEMPOTENCY_KEY, HTTP1_X_FORWARDED_FOR},
    [16] = {HTTP1_X_FORWARDED_HOST, HTTP1_X_FORWARDED_PORT, HTTP1_PROXY_CONNECTION,
            HTTP1_CONTENT_ENCODING, HTTP1_WWW_AUTHENTICATE},
    [17] = {HTTP1_TRANSFER_ENCODING, HTTP1_X_FORWARDED_PROTO, HTTP1_SEC_WEBSOCKET_KEY},
    [18] = {HTTP1_PROXY_AUTHENTICATE},
    [19] = {HTTP1_PROXY_AUTHORIZATION},
};

bool http1_is(char byte, unsigned classes)
{
    return (http1_class[(uint8_t)byte] & classes) != 0;
}

size_t http1_next_line(const char *bytes, size_t at, size_t size)
{
    const char *end = memchr(bytes + at, '\n', size - at);
    return end == NULL ? size : (size_t)(end - bytes) + 1;
}

struct rc_span http1_text(const char *bytes, struct http1_span span)
{
    return (struct rc_span){bytes + span.at, span.size};
}

enum http1_name http1_name_of(struct rc_span name)
{
    if (name.size > NAME_SIZE_MAX) {
        return HTTP1_OTHER;
    }
    for (size_t i = 0; i < NAMES_OF_A_SIZE_MAX; i++) {
        uint8_t known = names_of_size[name.size][i];
        if (known == HTTP1_OTHER) {
            break;
        }
        if (rc_span_equals_nocase(name, names[known].text)) {
            return (enum http1_name)known;
        }
    }
    return HTTP1_OTHER;
}

/* CGI and its children turn '-' into '_', so that X_Forwarded_For arrives there as the
 * X-Forwarded-For that only we may set. */
static bool is_lookalike(struct rc_span name)
{
    char dashed[NAME_SIZE_MAX];

    if (name.size > sizeof dashed || memchr(name.at, '_', name.size) == NULL) {
        return false;
    }
    memcpy(dashed, name.at, name.size);
    for (size_t i = 0; i < name.size; i++) {
        if (dashed[i] == '_') {
            dashed[i] = '-';
        }
    }
    return http1_name_of((struct rc_span){dashed, name.size}) != HTTP1_OTHER;
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t';
}

/* One line [at, end) without its CRLF. */
static enum http1_fault parse_line(const char *bytes, size_t at, size_t end,
                                   struct http1_field *out)
{
    size_t colon = at;
    while (colon < end && http1_is(bytes[colon], HTTP1_TCHAR)) {
        colon++;
    }
    if (colon == at && at < end && is_space(bytes[at])) {
        return HTTP1_FOLDED_LINE;
    }
    if (colon == at || colon == end || bytes[colon] != ':') {
        return HTTP1_BAD_FIELD_NAME;
    }
    size_t start = colon + 1;
    while (start < end && is_space(bytes[start])) {
        start++;
    }
    while (end > start && is_space(bytes[end - 1])) {
        end--;
    }
    for (size_t i = start; i < end; i++) {
        if (!http1_is(bytes[i], HTTP1_VALUE)) {
            return HTTP1_BAD_FIELD_VALUE;
        }
    }
    out->name = (struct http1_span){(uint16_t)at, (uint16_t)(colon - at)};
    out->value = (struct http1_span){(uint16_t)start, (uint16_t)(end - start)};
    struct rc_span name = {bytes + at, colon - at};
    out->known = (uint8_t)http1_name_of(name);
    out->marks = out->known == HTTP1_OTHER && is_lookalike(name) ? HTTP1_LOOKALIKE : 0;
    return HTTP1_SOUND;
}

/* Takes the next member off a comma-separated list (RFC 9110 section 5.6.1), trimmed. False at
 * the end; members may be empty. */
static bool next_member(struct rc_span *list, struct rc_span *out)
{
    if (list->at == NULL) {
        return false;
    }
    const char *comma = memchr(list->at, ',', list->size);
    size_t size = comma == NULL ? list->size : (size_t)(comma - list->at);
    *out = (struct rc_span){list->at, size};
    *list = comma == NULL ? (struct rc_span){NULL, 0}
                          : (struct rc_span){comma + 1, list->size - size - 1};
    while (out->size > 0 && is_space(out->at[0])) {
        out->at++;
        out->size--;
    }
    while (out->size > 0 && is_space(out->at[out->size - 1])) {
        out->size--;
    }
    return true;
}

static bool list_holds(struct rc_span list, const char *token)
{
    struct rc_span member;

    while (next_member(&list, &member)) {
        if (rc_span_equals_nocase(member, token)) {
            return true;
        }
    }
    return false;
}

/* What a reader of one known field works on. */
struct reading {
    struct http1_head *head;
    struct rc_span value;
    enum http1_side side;
    uint16_t encodings; /* Transfer-Encoding lines so far */
    uint16_t lengths;   /* Content-Length lines so far */
};

static enum http1_fault read_host(struct reading *r)
{
    if (r->side == HTTP1_OF_RESPONSE) {
        return HTTP1_SOUND;
    }
    bool second = (r->head->says & HTTP1_SAYS_HOST) != 0;
    r->head->says |= HTTP1_SAYS_HOST;
    return second ? HTTP1_BAD_HOST : HTTP1_SOUND;
}

/* RFC 9112 section 6.3 rule 5, without the leave to accept equal repetitions. */
static enum http1_fault read_content_length(struct reading *r)
{
    uint64_t length = 0;

    if (r->lengths++ > 0 || r->value.size == 0 || r->value.size > 19) {
        return HTTP1_BAD_CONTENT_LENGTH;
    }
    for (size_t i = 0; i < r->value.size; i++) {
        if (!http1_is(r->value.at[i], HTTP1_DIGIT)) {
            return HTTP1_BAD_CONTENT_LENGTH;
        }
        length = length * 10 + (uint64_t)(r->value.at[i] - '0'); /* 19 digits fit */
    }
    if (length > INT64_MAX) {
        return HTTP1_BAD_CONTENT_LENGTH;
    }
    r->head->content_length = length;
    r->head->says |= HTTP1_SAYS_LENGTH;
    return HTTP1_SOUND;
}

static enum http1_fault read_transfer_encoding(struct reading *r)
{
    if (r->encodings++ > 0 || r->value.size == 0) {
        return HTTP1_BAD_TRANSFER_ENCODING;
    }
    if (!rc_span_equals_nocase(r->value, "chunked")) {
        return HTTP1_UNKNOWN_TRANSFER_ENCODING;
    }
    r->head->says |= HTTP1_SAYS_CHUNKED;
    return HTTP1_SOUND;
}

static enum http1_fault read_expect(struct reading *r)
{
    if (r->side == HTTP1_OF_RESPONSE) {
        return HTTP1_SOUND;
    }
    bool second = (r->head->says & HTTP1_SAYS_CONTINUE) != 0;
    if (second || !rc_span_equals_nocase(r->value, "100-continue")) {
        return HTTP1_UNKNOWN_EXPECTATION;
    }
    r->head->says |= HTTP1_SAYS_CONTINUE;
    return HTTP1_SOUND;
}

static enum http1_fault read_upgrade(struct reading *r)
{
    r->head->says |= list_holds(r->value, "websocket") ? HTTP1_SAYS_WEBSOCKET : 0;
    return HTTP1_SOUND;
}

static enum http1_fault read_te(struct reading *r)
{
    r->head->says |= list_holds(r->value, "trailers") ? HTTP1_SAYS_TRAILERS : 0;
    return HTTP1_SOUND;
}

/* `Keep-Alive: timeout=5, max=100` (RFC 2068 section 19.7.1.1); nonsense is no information. */
static enum http1_fault read_keep_alive(struct reading *r)
{
    static const char key[] = "timeout=";
    struct rc_span list = r->value;
    struct rc_span member;

    while (next_member(&list, &member)) {
        size_t skip = sizeof key - 1;
        if (member.size <= skip || member.size > skip + 6 ||
            !rc_span_equals_nocase((struct rc_span){member.at, skip}, key)) {
            continue;
        }
        uint32_t seconds = 0;
        for (size_t i = skip; i < member.size && http1_is(member.at[i], HTTP1_DIGIT);
             i++) {
            seconds = seconds * 10 + (uint32_t)(member.at[i] - '0');
        }
        r->head->keep_alive_s = seconds;
    }
    return HTTP1_SOUND;
}

static enum http1_fault read_retry_after(struct reading *r)
{
    r->head->says |= rc_span_equals(r->value, "0") ? HTTP1_SAYS_RETRY_NOW : 0;
    return HTTP1_SOUND;
}

static enum http1_fault read_websocket_key(struct reading *r)
{
    r->head->says |= r->value.size > 0 ? HTTP1_SAYS_WEBSOCKET_KEY : 0;
    return HTTP1_SOUND;
}

static enum http1_fault read_request_id(struct reading *r)
{
    r->head->says |= r->value.size > 0 ? HTTP1_SAYS_REQUEST_ID : 0;
    return HTTP1_SOUND;
}

static enum http1_fault read_idempotency_key(struct reading *r)
{
    r->head->says |= HTTP1_SAYS_IDEMPOTENCY_KEY;
    return HTTP1_SOUND;
}

static enum http1_fault (*const readers[HTTP1_NAME_COUNT])(struct reading *) = {
    [HTTP1_TE] = read_te,
    [HTTP1_HOST] = read_host,
    [HTTP1_EXPECT] = read_expect,
    [HTTP1_UPGRADE] = read_upgrade,
    [HTTP1_KEEP_ALIVE] = read_keep_alive,
    [HTTP1_RETRY_AFTER] = read_retry_after,
    [HTTP1_X_REQUEST_ID] = read_request_id,
    [HTTP1_CONTENT_LENGTH] = read_content_length,
    [HTTP1_IDEMPOTENCY_KEY] = read_idempotency_key,
    [HTTP1_TRANSFER_ENCODING] = read_transfer_encoding,
    [HTTP1_SEC_WEBSOCKET_KEY] = read_websocket_key,
};

/* `token` of a Connection field is the name of a field that ends here: mark those lines. */
static void mark_named(const char *bytes, struct http1_head *head, struct rc_span token,
                       enum http1_name known)
{
    for (size_t i = 0; i < head->count; i++) {
        struct http1_field *field = &head->fields[i];
        struct rc_span name = http1_text(bytes, field->name);
        bool same = known != HTTP1_OTHER
                        ? field->known == known
                        : name.size == token.size &&
                              strncasecmp(name.at, token.at, token.size) == 0;
        field->marks |= same ? HTTP1_NAMED_BY_CONNECTION : 0;
    }
}

static enum http1_fault read_connection_member(const char *bytes, struct http1_head *head,
                                               struct rc_span member)
{
    for (size_t i = 0; i < member.size; i++) {
        if (!http1_is(member.at[i], HTTP1_TCHAR)) {
            return HTTP1_BAD_CONNECTION;
        }
    }
    if (rc_span_equals_nocase(member, "close")) {
        head->says |= HTTP1_SAYS_CLOSE;
        return HTTP1_SOUND;
    }
    if (rc_span_equals_nocase(member, "keep-alive")) {
        head->says |= HTTP1_SAYS_KEEP_ALIVE;
        return HTTP1_SOUND;
    }
    enum http1_name known = http1_name_of(member);
    if (!names[known].may_be_hop || is_lookalike(member)) {
        return HTTP1_BAD_CONNECTION;
    }
    head->says |= known == HTTP1_UPGRADE ? HTTP1_SAYS_UPGRADE : 0;
    mark_named(bytes, head, member, known);
    return HTTP1_SOUND;
}

/* RFC 9110 section 7.6.1. */
static enum http1_fault read_connection(const char *bytes, struct http1_head *head)
{
    size_t members = 0;

    for (size_t i = 0; i < head->count; i++) {
        if (head->fields[i].known != HTTP1_CONNECTION) {
            continue;
        }
        struct rc_span list = http1_text(bytes, head->fields[i].value);
        struct rc_span member;
        while (next_member(&list, &member)) {
            if (member.size == 0) {
                continue;
            }
            if (++members > HTTP1_TOKENS_MAX) {
                return HTTP1_BAD_CONNECTION;
            }
            enum http1_fault fault = read_connection_member(bytes, head, member);
            if (fault != HTTP1_SOUND) {
                return fault;
            }
        }
    }
    return HTTP1_SOUND;
}

enum http1_fault http1_fields_parse(const char *bytes, size_t at, size_t size,
                                    enum http1_side side, struct http1_head *head)
{
    struct reading r = {.head = head, .side = side};

    while (at + 2 < size) {
        size_t next = http1_next_line(bytes, at, size);
        if (head->count == HTTP1_FIELDS_MAX) {
            return HTTP1_HEAD_TOO_LARGE;
        }
        if (next - at < 2 || bytes[next - 2] != '\r') {
            return HTTP1_BARE_LF;
        }
        struct http1_field *field = &head->fields[head->count];
        enum http1_fault fault = parse_line(bytes, at, next - 2, field);
        if (fault != HTTP1_SOUND) {
            return fault;
        }
        head->count++;
        if (readers[field->known] != NULL) {
            r.value = http1_text(bytes, field->value);
            fault = readers[field->known](&r);
        }
        if (fault != HTTP1_SOUND) {
            return fault;
        }
        at = next;
    }
    assert(at <= size);
    return read_connection(bytes, head);
}

enum http1_fault http1_trailer_check(const char *bytes, size_t size)
{
    size_t at = 0;

    if (size > HTTP1_TRAILER_MAX) {
        return HTTP1_BAD_TRAILER;
    }
    while (at < size) {
        struct http1_field field;
        size_t next = http1_next_line(bytes, at, size);
        if (next - at < 2 || bytes[next - 1] != '\n' || bytes[next - 2] != '\r') {
            return HTTP1_BARE_LF;
        }
        enum http1_fault fault = parse_line(bytes, at, next - 2, &field);
        if (fault != HTTP1_SOUND) {
            return fault;
        }
        /* Every name we know means framing, routing, identity or credentials: RFC 9110 section
         * 6.5.1 wants none of them after the body. */
        if (field.known != HTTP1_OTHER || (field.marks & HTTP1_LOOKALIKE) != 0) {
            return HTTP1_BAD_TRAILER;
        }
        at = next;
    }
    return HTTP1_SOUND;
}
