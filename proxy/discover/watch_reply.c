/* watch_reply.c - see watch_reply.h. */
#include "proxy/discover/watch_reply.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/err.h"
#include "base/text.h"

enum { HEAD_MAX = 16 * 1024, FIELD_MAX = 64, NO_LENGTH = -1 };

/* "HTTP/1.1 200 ..." */
static int read_status(struct rc_span line, unsigned *out)
{
    char digits[4] = {0};
    uint64_t status = 0;
    if (line.size < 12 || memcmp(line.at, "HTTP/1.", 7) != 0 || line.at[8] != ' ') {
        return RC_EMALFORMED;
    }
    memcpy(digits, line.at + 9, 3);
    if (rc_text_to_u64(digits, 999, &status) != RC_OK) {
        return RC_EMALFORMED;
    }
    *out = (unsigned)status;
    return RC_OK;
}

/* "Name: 123" -> 123 when the name fits, else `*out` stays. */
static int read_number(struct rc_span line, const char *name, int64_t *out)
{
    char digits[FIELD_MAX];
    uint64_t value = 0;
    size_t size = strlen(name);
    struct rc_span key = {line.at, size};
    if (line.size <= size || line.at[size] != ':' || !rc_span_equals_nocase(key, name)) {
        return RC_OK;
    }
    size_t at = size + 1;
    while (at < line.size && line.at[at] == ' ') {
        at++;
    }
    if (line.size - at >= sizeof digits) {
        return RC_EMALFORMED;
    }
    memcpy(digits, line.at + at, line.size - at);
    digits[line.size - at] = '\0';
    if (rc_text_to_u64(digits, INT64_MAX, &value) != RC_OK) {
        return RC_EMALFORMED;
    }
    *out = (int64_t)value;
    return RC_OK;
}

static int read_head(const char *head, size_t size, struct watch_reply *out,
                     int64_t *length)
{
    const char *end = head + size;
    int64_t index = 0;
    int err = RC_OK;

    for (const char *at = head; err == RC_OK && at < end;) {
        const char *stop = memchr(at, '\r', (size_t)(end - at));
        struct rc_span line = {at, (size_t)((stop != NULL ? stop : end) - at)};
        if (at == head) {
            err = read_status(line, &out->status);
        }
        if (err == RC_OK) {
            err = read_number(line, "Content-Length", length);
        }
        if (err == RC_OK) {
            err = read_number(line, "X-Consul-Index", &index);
        }
        at = stop != NULL && end - stop >= 2 ? stop + 2 : end;
    }
    out->index = (uint64_t)index;
    return err;
}

int watch_reply_parse(const void *bytes, size_t size, enum watch_end end,
                      struct watch_reply *out)
{
    struct watch_reply made = {0};
    int64_t length = NO_LENGTH;
    const char *text = bytes;
    const char *stop = size > 0 ? memmem(text, size, "\r\n\r\n", 4) : NULL;
    if (stop == NULL) {
        return size > HEAD_MAX || end == WATCH_ENDED ? RC_EMALFORMED : RC_EAGAIN;
    }
    int err = read_head(text, (size_t)(stop - text), &made, &length);
    if (err != RC_OK) {
        return err;
    }
    made.body = stop + 4;
    made.body_size = size - (size_t)(made.body - text);
    if (length > WATCH_REPLY_MAX || made.body_size > WATCH_REPLY_MAX) {
        return RC_ETOOBIG;
    }
    if (length == NO_LENGTH) {
        if (end == WATCH_OPEN) {
            return RC_EAGAIN;
        }
    } else if (made.body_size < (size_t)length) {
        return end == WATCH_ENDED ? RC_EMALFORMED : RC_EAGAIN;
    } else {
        made.body_size = (size_t)length;
    }
    *out = made;
    return RC_OK;
}

/* --- the body --- */

static bool has_tag(const json_t *tags, const char *tag)
{
    for (size_t i = 0; i < json_array_size(tags); i++) {
        if (rc_text_equals(json_string_value(json_array_get(tags, i)), tag)) {
            return true;
        }
    }
    return false;
}

static enum upstream_role claim_of(const json_t *tags)
{
    bool primary = has_tag(tags, "primary");
    bool standby = has_tag(tags, "standby");
    if (primary && standby) {
        return UPSTREAM_ROLE_UNKNOWN;
    }
    return primary   ? UPSTREAM_ROLE_PRIMARY
           : standby ? UPSTREAM_ROLE_STANDBY
                     : UPSTREAM_ROLE_NONE;
}

static bool read_address(const json_t *node, const json_t *service,
                         struct rc_address *out)
{
    json_int_t port = json_integer_value(json_object_get(service, "Port"));
    const char *ip = json_string_value(json_object_get(service, "Address"));
    if (ip == NULL || ip[0] == '\0') {
        ip = json_string_value(json_object_get(node, "Address"));
    }
    return ip != NULL && port > 0 && port <= UINT16_MAX &&
           rc_address_parse_ip(ip, (uint16_t)port, out) == RC_OK;
}

/* The worst that any check says; maintenance is a check that is called so. */
static enum lineup_health read_health(const json_t *checks)
{
    enum lineup_health worst = LINEUP_PASSING;
    for (size_t i = 0; i < json_array_size(checks); i++) {
        const json_t *check = json_array_get(checks, i);
        const char *id = json_string_value(json_object_get(check, "CheckID"));
        const char *status = json_string_value(json_object_get(check, "Status"));
        if (status == NULL || rc_text_equals(status, "passing")) {
            continue;
        }
        bool maintenance =
            id != NULL && (rc_text_equals(id, "_node_maintenance") ||
                           rc_text_starts_with(id, "_service_maintenance"));
        enum lineup_health says = maintenance                         ? LINEUP_MAINTENANCE
                                  : rc_text_equals(status, "warning") ? LINEUP_WARNING
                                                                      : LINEUP_CRITICAL;
        worst = says > worst ? says : worst;
    }
    return worst;
}

/* One element -> one entry; false: it is not for us. */
static bool read_entry(const json_t *item, const char *tag, struct lineup_entry *out)
{
    const json_t *node = json_object_get(item, "Node");
    const json_t *service = json_object_get(item, "Service");
    const json_t *tags = json_object_get(service, "Tags");
    const char *name = json_string_value(json_object_get(node, "Node"));
    const char *id = json_string_value(json_object_get(service, "ID"));
    const json_t *weights = json_object_get(service, "Weights");
    const json_t *passing = json_object_get(weights, "Passing");
    const json_t *warning = json_object_get(weights, "Warning");

    if (name == NULL || id == NULL || (tag[0] != '\0' && !has_tag(tags, tag)) ||
        !read_address(node, service, &out->address)) {
        return false;
    }
    out->health = read_health(json_object_get(item, "Checks"));
    bool warns = out->health == LINEUP_WARNING && json_is_integer(warning);
    passing = warns ? warning : passing;
    json_int_t weight = json_is_integer(passing) ? json_integer_value(passing) : 1;
    out->weight = (uint32_t)(weight < 0 ? 0 : weight > UINT16_MAX ? UINT16_MAX : weight);
    out->claim = claim_of(tags);
    int wrote = snprintf(out->id, sizeof out->id, "%s/%s", name, id);
    return wrote > 0 && (size_t)wrote < sizeof out->id;
}

int watch_reply_entries(const struct watch_reply *reply, const char *tag,
                        struct lineup_entry **entries, size_t *count)
{
    json_error_t why;
    json_t *root = json_loadb(reply->body, reply->body_size, 0, &why);
    if (!json_is_array(root)) {
        json_decref(root);
        return RC_EMALFORMED;
    }
    size_t size = json_array_size(root);
    struct lineup_entry *made = calloc(size + 1, sizeof *made);
    size_t used = 0;
    for (size_t i = 0; made != NULL && i < size; i++) {
        if (read_entry(json_array_get(root, i), tag, &made[used])) {
            used++;
        }
    }
    json_decref(root);
    if (made == NULL) {
        return RC_ENOMEM;
    }
    *entries = made;
    *count = used;
    return RC_OK;
}

void watch_reply_ask(struct rc_buffer *out, const struct watch_question *question)
{
    rc_buffer_format(out, "GET %s", question->start);
    for (const char *at = question->name; *at != '\0'; at++) {
        unsigned char c = (unsigned char)*at;
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                     (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
        if (plain) {
            rc_buffer_byte(out, c);
        } else {
            rc_buffer_format(out, "%%%02X", c);
        }
    }
    rc_buffer_format(out, "%sindex=%llu&wait=%ums HTTP/1.0\r\n", question->rest,
                     (unsigned long long)question->index, question->wait_ms);
    if (question->token[0] != '\0' && strpbrk(question->token, "\r\n") == NULL) {
        rc_buffer_format(out, "X-Consul-Token: %s\r\n", question->token);
    }
    rc_buffer_text(out, "Host: localhost\r\nUser-Agent: rollcall-proxy\r\n\r\n");
}
