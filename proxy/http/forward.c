/* forward.c - one head in, the next hop's head out. */
#include "proxy/http/forward.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "proxy/route/shape.h"

/* What becomes of a known field. */
enum fate {
    KEPT,
    DROPPED,   /* ends here: RFC 9110 section 7.6.1 */
    OURS,      /* kept only from a peer we trust; see write_forwarded */
    REWRITTEN, /* written anew elsewhere */
    MEASURED   /* Content-Length: depends on the body */
};

static const uint8_t request_fates[HTTP1_NAME_COUNT] = {
    [HTTP1_TE] = DROPPED,
    [HTTP1_UPGRADE] = DROPPED,
    [HTTP1_TRAILER] = DROPPED,
    [HTTP1_CONNECTION] = DROPPED,
    [HTTP1_KEEP_ALIVE] = DROPPED,
    [HTTP1_HTTP2_SETTINGS] = DROPPED,
    [HTTP1_PROXY_CONNECTION] = DROPPED,
    [HTTP1_TRANSFER_ENCODING] = DROPPED,
    [HTTP1_PROXY_AUTHENTICATE] = DROPPED,
    [HTTP1_PROXY_AUTHORIZATION] = DROPPED,
    [HTTP1_FORWARDED] = OURS,
    [HTTP1_X_REAL_IP] = OURS,
    [HTTP1_X_REQUEST_ID] = OURS,
    [HTTP1_X_FORWARDED_FOR] = REWRITTEN,
    [HTTP1_X_FORWARDED_HOST] = OURS,
    [HTTP1_X_FORWARDED_PORT] = OURS,
    [HTTP1_X_FORWARDED_PROTO] = OURS,
    [HTTP1_MAX_FORWARDS] = KEPT,
};

static const uint8_t response_fates[HTTP1_NAME_COUNT] = {
    [HTTP1_TE] = DROPPED,
    [HTTP1_UPGRADE] = DROPPED,
    [HTTP1_TRAILER] = DROPPED,
    [HTTP1_CONNECTION] = DROPPED,
    [HTTP1_KEEP_ALIVE] = DROPPED,
    [HTTP1_PROXY_CONNECTION] = DROPPED,
    [HTTP1_TRANSFER_ENCODING] = DROPPED,
    [HTTP1_PROXY_AUTHENTICATE] = DROPPED,
    [HTTP1_PROXY_AUTHORIZATION] = DROPPED,
    [HTTP1_CONTENT_LENGTH] = MEASURED,
};

static void put_text(struct rc_writer *out, const char *text)
{
    rc_writer_bytes(out, text, strlen(text));
}

static void put_span(struct rc_writer *out, struct rc_span span)
{
    rc_writer_bytes(out, span.at, span.size);
}

static void put_line(struct rc_writer *out, const char *name, struct rc_span value)
{
    put_text(out, name);
    put_span(out, value);
    rc_writer_bytes(out, "\r\n", 2);
}

/* A field's whole line as received reaches up to the next one, or to the empty line. */
static size_t line_end(const struct http1_head *head, size_t index)
{
    return index + 1 < head->count ? head->fields[index + 1].name.at : head->size - 2U;
}

static const struct http1_field *find_field(const struct http1_head *head,
                                            enum http1_name known)
{
    for (size_t i = 0; i < head->count; i++) {
        if (head->fields[i].known == known) {
            return &head->fields[i];
        }
    }
    return NULL;
}

/* "Content-Length: 5" and nothing else: other readers stumble over zeros before it, or a tab. */
static bool is_plain_length(const char *bytes, const struct http1_head *head,
                            const struct http1_field *field)
{
    size_t start = field->value.at;
    size_t end = start + field->value.size;

    return start == field->name.at + field->name.size + 2U && bytes[start - 1] == ' ' &&
           end + 2 == line_end(head, (size_t)(field - head->fields)) &&
           (bytes[start] != '0' || field->value.size == 1);
}

static void put_length(struct rc_writer *out, uint64_t length)
{
    char text[48];
    (void)snprintf(text, sizeof text, "Content-Length: %llu\r\n",
                   (unsigned long long)length);
    put_text(out, text);
}

/* Says the length in our words where it was not said plainly. */
static void rewrite_length(const char *bytes, const struct http1_head *head,
                           struct rc_writer *out)
{
    const struct http1_field *field = find_field(head, HTTP1_CONTENT_LENGTH);
    if (field != NULL && !is_plain_length(bytes, head, field)) {
        put_length(out, head->content_length);
    }
}

bool forward_is_websocket(const struct http1_request *request)
{
    uint32_t wanted =
        HTTP1_SAYS_UPGRADE | HTTP1_SAYS_WEBSOCKET | HTTP1_SAYS_WEBSOCKET_KEY;
    const struct http1_head *head = &request->head;

    return (head->says & wanted) == wanted && request->method == HTTP1_GET &&
           head->minor == 1 && framing_of_request(head).kind == FRAMING_NONE;
}

enum { HOPS_DIGITS_MAX = 9 };
static const uint32_t hops_unsaid = UINT32_MAX;

/* Max-Forwards of a request that heeds it (RFC 9110 section 7.6.2); nonsense is unsaid. */
static uint32_t hops_left(const char *bytes, const struct http1_request *request)
{
    if (request->method != HTTP1_OPTIONS && request->method != HTTP1_TRACE) {
        return hops_unsaid;
    }
    const struct http1_field *field = find_field(&request->head, HTTP1_MAX_FORWARDS);
    if (field == NULL || field->value.size == 0 || field->value.size > HOPS_DIGITS_MAX) {
        return hops_unsaid;
    }
    struct rc_span value = http1_text(bytes, field->value);
    uint32_t hops = 0;
    for (size_t i = 0; i < value.size; i++) {
        if (value.at[i] < '0' || value.at[i] > '9') {
            return hops_unsaid;
        }
        hops = hops * 10 + (uint32_t)(value.at[i] - '0');
    }
    return hops;
}

bool forward_stops_here(const char *bytes, const struct http1_request *request)
{
    return hops_left(bytes, request) == 0;
}

/* Origin-form, whatever form it came in (RFC 9112 section 3.2.2 to 3.2.4). */
static void write_request_line(const struct forward_request *from, struct rc_writer *out)
{
    const struct http1_request *request = from->request;
    struct rc_span path = http1_text(from->bytes, request->path);

    put_span(out, http1_text(from->bytes, request->method_text));
    put_text(out, " ");
    if (from->target.size > 0) {
        path = from->target;
    } else if (path.size == 0 && request->method == HTTP1_OPTIONS) {
        put_text(out, "*");
    } else if (path.size == 0 || path.at[0] == '?') {
        put_text(out, "/");
    }
    put_span(out, path);
    put_text(out, " HTTP/1.1\r\n");
}

static struct rc_span host_of(const struct forward_request *from)
{
    struct rc_span host = http1_text(from->bytes, from->request->host);
    return host.size > 0 ? host : from->default_host;
}

static bool is_request_field_kept(const struct forward_request *from,
                                  const struct http1_field *field)
{
    if ((field->marks & (HTTP1_NAMED_BY_CONNECTION | HTTP1_LOOKALIKE)) != 0) {
        return false;
    }
    if (field->known == HTTP1_HOST) {
        return from->request->form != HTTP1_ABSOLUTE;
    }
    /* Who speaks 1.0 will not wait, so nobody is to be asked to say 100 (RFC 9110 section 10.1.1). */
    if (field->known == HTTP1_EXPECT && from->request->head.minor == 0) {
        return false;
    }
    if (field->known == HTTP1_CONTENT_LENGTH) {
        return is_plain_length(from->bytes, &from->request->head, field);
    }
    if (field->known == HTTP1_MAX_FORWARDS) {
        return hops_left(from->bytes, from->request) == hops_unsaid;
    }
    if (from->edits != NULL &&
        shape_drops(from->edits, http1_text(from->bytes, field->name))) {
        return false;
    }
    enum fate fate = (enum fate)request_fates[field->known];
    return fate == KEPT || (fate == OURS && from->trust == FORWARD_APPEND);
}

/* Copies the lines that go on, neighbours in one piece. */
static void write_request_fields(const struct forward_request *from,
                                 struct rc_writer *out)
{
    const struct http1_head *head = &from->request->head;
    size_t run = 0; /* start of the lines that wait to be copied */
    size_t run_end = 0;

    for (size_t i = 0; i < head->count; i++) {
        if (!is_request_field_kept(from, &head->fields[i])) {
            continue;
        }
        if (head->fields[i].name.at != run_end) {
            rc_writer_bytes(out, from->bytes + run, run_end - run);
            run = head->fields[i].name.at;
        }
        run_end = line_end(head, i);
    }
    rc_writer_bytes(out, from->bytes + run, run_end - run);
}

/* Everybody the request came through, as far as we believe it, and who brought it here. */
static void write_forwarded_for(const struct forward_request *from, struct rc_writer *out)
{
    const struct http1_head *head = &from->request->head;

    put_text(out, "X-Forwarded-For: ");
    for (size_t i = 0; from->trust == FORWARD_APPEND && i < head->count; i++) {
        const struct http1_field *field = &head->fields[i];
        if (field->known == HTTP1_X_FORWARDED_FOR && field->value.size > 0) {
            put_span(out, http1_text(from->bytes, field->value));
            put_text(out, ", ");
        }
    }
    put_span(out, from->peer);
    put_text(out, "\r\n");
}

static void write_unless_believed(const struct forward_request *from,
                                  enum http1_name known, const char *name,
                                  struct rc_span value, struct rc_writer *out)
{
    bool believed =
        from->trust == FORWARD_APPEND && find_field(&from->request->head, known) != NULL;
    if (!believed && value.size > 0) {
        put_line(out, name, value);
    }
}

/* One hop less. */
static void write_max_forwards(const struct forward_request *from, struct rc_writer *out)
{
    char text[48];
    uint32_t hops = hops_left(from->bytes, from->request);

    if (hops != hops_unsaid && hops > 0) {
        (void)snprintf(text, sizeof text, "Max-Forwards: %u\r\n", hops - 1);
        put_text(out, text);
    }
}

static void write_forwarded(const struct forward_request *from, struct rc_writer *out)
{
    write_max_forwards(from, out);
    write_forwarded_for(from, out);
    write_unless_believed(from, HTTP1_X_FORWARDED_PROTO,
                          "X-Forwarded-Proto: ", from->scheme, out);
    write_unless_believed(from, HTTP1_X_FORWARDED_HOST,
                          "X-Forwarded-Host: ", host_of(from), out);
    write_unless_believed(from, HTTP1_X_FORWARDED_PORT, "X-Forwarded-Port: ", from->port,
                          out);
    write_unless_believed(from, HTTP1_X_REQUEST_ID, "X-Request-Id: ", from->request_id,
                          out);
}

/* RFC 7239 section 4 and 6: an IPv6 address in brackets, and what has a colon in quotes. */
static void write_rfc7239(const struct forward_request *from, struct rc_writer *out)
{
    bool colon = memchr(from->peer.at, ':', from->peer.size) != NULL;

    put_text(out, colon ? "Forwarded: for=\"[" : "Forwarded: for=");
    put_span(out, from->peer);
    put_text(out, colon ? "]\";host=\"" : ";host=\"");
    put_span(out, host_of(from));
    put_text(out, "\";proto=");
    put_span(out, from->scheme);
    put_text(out, "\r\n");
}

/* What the route wants beside all that. */
static void write_wanted(const struct forward_request *from, struct rc_writer *out)
{
    if (from->forwarded) {
        write_rfc7239(from, out);
    }
    if (from->via) {
        put_text(out, from->request->head.minor == 0 ? "Via: 1.0 " : "Via: 1.1 ");
        put_text(out, FORWARD_VIA_NAME "\r\n");
    }
    if (from->edits != NULL) {
        shape_fields(from->edits, from->values, out);
    }
}

int forward_request(const struct forward_request *from, struct rc_writer *out)
{
    const struct http1_head *head = &from->request->head;

    write_request_line(from, out);
    if (from->request->form == HTTP1_ABSOLUTE || (head->says & HTTP1_SAYS_HOST) == 0) {
        put_line(out, "Host: ", host_of(from));
    }
    write_request_fields(from, out);
    write_forwarded(from, out);
    write_wanted(from, out);
    if ((head->says & HTTP1_SAYS_LENGTH) != 0) {
        rewrite_length(from->bytes, head, out);
    }
    if ((head->says & HTTP1_SAYS_CHUNKED) != 0) {
        put_text(out, "Transfer-Encoding: chunked\r\n");
    }
    if (from->upgrade == FORWARD_WEBSOCKET) {
        put_text(out, "Connection: upgrade\r\nUpgrade: websocket\r\n");
    }
    put_text(out, "\r\n");
    return out->err;
}

static bool is_response_field_kept(const struct forward_response *from,
                                   const struct http1_field *field)
{
    if ((field->marks & HTTP1_NAMED_BY_CONNECTION) != 0) {
        return false;
    }
    if (from->edits != NULL &&
        shape_drops(from->edits, http1_text(from->bytes, field->name))) {
        return false;
    }
    enum fate fate = (enum fate)response_fates[field->known];
    return fate == KEPT || (fate == MEASURED && from->body == FORWARD_AS_SAID &&
                            is_plain_length(from->bytes, &from->response->head, field));
}

static void write_response_fields(const struct forward_response *from,
                                  struct rc_writer *out)
{
    const struct http1_head *head = &from->response->head;
    size_t run = 0;
    size_t run_end = 0;

    for (size_t i = 0; i < head->count; i++) {
        if (!is_response_field_kept(from, &head->fields[i])) {
            continue;
        }
        if (head->fields[i].name.at != run_end) {
            rc_writer_bytes(out, from->bytes + run, run_end - run);
            run = head->fields[i].name.at;
        }
        run_end = line_end(head, i);
    }
    rc_writer_bytes(out, from->bytes + run, run_end - run);
}

static const char *const connection_lines[] = {
    [FORWARD_SILENT] = "",
    [FORWARD_CLOSE] = "Connection: close\r\n",
    [FORWARD_KEEP_ALIVE] = "Connection: keep-alive\r\n",
    [FORWARD_SWITCH] = "Connection: upgrade\r\nUpgrade: websocket\r\n",
};

/* The first one counts (RFC 6797 section 8.1): what the instance says of it stays. */
static bool says_hsts(const struct forward_response *from)
{
    const struct http1_head *head = &from->response->head;
    for (size_t i = 0; i < head->count; i++) {
        struct rc_span name = http1_text(from->bytes, head->fields[i].name);
        if (rc_span_equals_nocase(name, "strict-transport-security")) {
            return true;
        }
    }
    return false;
}

int forward_response(const struct forward_response *from, struct rc_writer *out)
{
    struct rc_span status = http1_text(from->bytes, from->response->status_text);

    put_text(out, "HTTP/1.1 ");
    put_span(out, status);
    put_text(out, status.size == 3 ? " \r\n" : "\r\n");
    write_response_fields(from, out);
    if (from->via) {
        put_text(out, from->response->head.minor == 0 ? "Via: 1.0 " : "Via: 1.1 ");
        put_text(out, FORWARD_VIA_NAME "\r\n");
    }
    if (from->edits != NULL) {
        shape_fields(from->edits, from->values, out);
    }
    if (from->hsts != NULL && !says_hsts(from)) {
        put_text(out, from->hsts);
    }
    if (from->body == FORWARD_AS_SAID) {
        rewrite_length(from->bytes, &from->response->head, out);
    }
    if (from->body == FORWARD_CHUNKED) {
        put_text(out, "Transfer-Encoding: chunked\r\n");
    }
    if (from->cookie != NULL) {
        put_text(out, "Set-Cookie: ");
        put_text(out, from->cookie);
        put_text(out, "\r\n");
    }
    put_text(out, connection_lines[from->connection]);
    put_text(out, "\r\n");
    return out->err;
}

/* Statuses that have no body, whatever the request was (RFC 9110 section 6.4.1). */
static bool has_body(unsigned status)
{
    return status != 204 && status != 304;
}

static void write_own_fields(const struct forward_answer *answer, size_t size,
                             struct rc_writer *out)
{
    char line[64];

    if (has_body(answer->status) && (size > 0 || answer->content_type != NULL)) {
        put_text(out, "Content-Type: ");
        put_text(out, answer->content_type != NULL ? answer->content_type
                                                   : "text/plain; charset=utf-8");
        put_text(out, "\r\n");
    }
    if (has_body(answer->status)) {
        (void)snprintf(line, sizeof line, "Content-Length: %zu\r\n", size);
        put_text(out, line);
    }
    if (answer->location.size > 0) {
        put_line(out, "Location: ", answer->location);
    }
    if (answer->retry_after_s > 0) {
        (void)snprintf(line, sizeof line, "Retry-After: %u\r\n", answer->retry_after_s);
        put_text(out, line);
    }
    if (answer->edits != NULL) {
        shape_fields(answer->edits, answer->values, out);
    }
    put_text(out, answer->more == NULL ? "" : answer->more);
    put_text(out, answer->hsts == NULL ? "" : answer->hsts);
}

int forward_answer(const struct forward_answer *answer, struct rc_writer *out)
{
    char line[64];
    bool words = answer->text != NULL;
    size_t size = words ? strlen(answer->text) + 1 : answer->body.size;

    (void)snprintf(line, sizeof line, "HTTP/1.1 %u %s\r\n", answer->status,
                   http1_reason(answer->status));
    put_text(out, line);
    write_own_fields(answer, size, out);
    put_text(out, connection_lines[answer->connection]);
    put_text(out, "\r\n");
    if (answer->head_only || !has_body(answer->status)) {
        return out->err;
    }
    put_span(out, words ? rc_span_of(answer->text) : answer->body);
    put_text(out, words ? "\n" : "");
    return out->err;
}
