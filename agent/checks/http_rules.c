/* http_rules.c - URL to request, answer to status and text. */
#include "agent/checks/http_rules.h"

#include <string.h>

#include "base/err.h"
#include "base/text.h"

enum { HTTP_PORT = 80 };

const char http_rules_denied[] = "link-local addresses are not allowed for checks";
const char http_rules_late[] =
    "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";

bool http_rules_is_denied(const struct rc_address *address)
{
    static const uint8_t aws_metadata[16] = {0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0,    0,
                                             0,    0,    0,    0,    0, 0, 0x02, 0x54};

    if (address->family == RC_ADDRESS_IPV4) {
        return address->ip[0] == 169 && address->ip[1] == 254;
    }
    return (address->ip[0] == 0xfe && (address->ip[1] & 0xc0) == 0x80) ||
           memcmp(address->ip, aws_metadata, sizeof aws_metadata) == 0;
}

/* A space or a control byte would end the request line, or begin another one. */
static bool is_clean(const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        uint8_t byte = (uint8_t)*at;
        if (byte <= ' ' || byte >= 0x7f) {
            return false;
        }
    }
    return true;
}

static bool parse_host(struct http_target *out)
{
    const char *port = strrchr(out->host, ':');
    size_t name_size = port == NULL ? strlen(out->host) : (size_t)(port - out->host);
    struct rc_span name = {out->host, name_size};
    uint64_t number = HTTP_PORT;

    if (!rc_span_equals_nocase(name, "localhost")) {
        return rc_address_parse(out->host, HTTP_PORT, &out->address) == RC_OK &&
               out->address.port != 0;
    }
    if (port != NULL && rc_text_to_u64(port + 1, UINT16_MAX, &number) != RC_OK) {
        return false;
    }
    out->is_localhost = true;
    return number != 0 &&
           rc_address_parse_ip("127.0.0.1", (uint16_t)number, &out->address) == RC_OK;
}

bool http_rules_parse(const char *url, struct http_target *out)
{
    static const char scheme[] = "http://";

    *out = (struct http_target){0};
    if (!rc_text_starts_with(url, scheme) || !is_clean(url)) {
        return false;
    }
    const char *host = url + sizeof scheme - 1;
    size_t host_size = strcspn(host, "/?#");
    if (host_size == 0 || host_size >= sizeof out->host ||
        memchr(host, '@', host_size) != NULL) {
        return false;
    }
    memcpy(out->host, host, host_size);
    out->host[host_size] = '\0';
    out->path = host + host_size;
    out->path_size = strcspn(out->path, "#");
    return parse_host(out);
}

bool http_rules_has_header(const struct check_definition *wanted, const char *name)
{
    for (size_t i = 0; i < wanted->header.count; i++) {
        if (rc_text_equals_nocase(wanted->header.items[i].key, name)) {
            return true;
        }
    }
    return false;
}

void http_rules_request(const struct http_target *target,
                        const struct check_definition *wanted, struct rc_buffer *out)
{
    const struct {
        const char *key;
        const char *value;
    } ours[] = {
        {"Host", target->host},
        {"User-Agent", "Consul Health Check"},
        {"Accept", "text/plain, text/*, */*"},
        {"Connection", "close"},
    };

    rc_buffer_text(out, wanted->method == NULL ? "GET" : wanted->method);
    rc_buffer_text(out, target->path_size > 0 && target->path[0] == '/' ? " " : " /");
    rc_buffer_append(out, target->path, target->path_size);
    rc_buffer_text(out, " HTTP/1.1\r\n");
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        if (!http_rules_has_header(wanted, ours[i].key)) {
            rc_buffer_format(out, "%s: %s\r\n", ours[i].key, ours[i].value);
        }
    }
    for (size_t i = 0; i < wanted->header.count; i++) {
        rc_buffer_format(out, "%s: %s\r\n", wanted->header.items[i].key,
                         wanted->header.items[i].value);
    }
    if (wanted->body != NULL && !http_rules_has_header(wanted, "Content-Length")) {
        rc_buffer_format(out, "Content-Length: %zu\r\n", strlen(wanted->body));
    }
    rc_buffer_text(out, "\r\n");
    if (wanted->body != NULL) {
        rc_buffer_text(out, wanted->body);
    }
}

enum check_status http_rules_judge(long code)
{
    if (code >= 200 && code <= 299) {
        return CHECK_PASSING;
    }
    return code == 429 ? CHECK_WARNING : CHECK_CRITICAL;
}

char *http_rules_public_url(const char *url)
{
    const char *start = strstr(url, "://");

    if (start == NULL) {
        return rc_text_copy(url);
    }
    start += 3;
    size_t host_size = strcspn(start, "/?#");
    const char *at = NULL;
    for (size_t i = 0; i < host_size; i++) {
        at = start[i] == '@' ? start + i : at;
    }
    return at == NULL ? rc_text_copy(url)
                      : rc_text_format("%.*s%s", (int)(start - url), url, at + 1);
}

void http_rules_say_answer(struct rc_buffer *out, const char *method, const char *url,
                           const char *status, const struct rc_buffer *body)
{
    rc_buffer_format(out, "HTTP %s %s: %s Output: ", method, url, status);
    /* The end of a long body is kept, but never at the price of the status. */
    size_t room = out->size < CHECK_OUTPUT_MAX ? CHECK_OUTPUT_MAX - out->size : 0;
    size_t skip = body->size > room ? body->size - room : 0;
    if (body->size > skip) {
        rc_buffer_append(out, body->bytes + skip, body->size - skip);
    }
}

void http_rules_say_failure(struct rc_buffer *out, const char *method, const char *url,
                            const char *reason)
{
    /* Go's way to write a method in an error: Get, Post, Options. */
    for (size_t i = 0; method[i] != '\0'; i++) {
        bool is_upper = i > 0 && method[i] >= 'A' && method[i] <= 'Z';
        rc_buffer_byte(out, (uint8_t)(is_upper ? method[i] + 'a' - 'A' : method[i]));
    }
    rc_buffer_format(out, " \"%s\": %s", url, reason);
}
