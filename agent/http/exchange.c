#include "agent/http/exchange.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "agent/acl/subject.h"
#include "agent/http/errand.h"
#include "base/err.h"

/* A connection keeps this much of its buffers from one request to the next. */
enum { BUFFER_KEPT_BYTES = 16 * 1024 };

static void recycle(struct rc_buffer *buffer)
{
    if (buffer->capacity > BUFFER_KEPT_BYTES) {
        rc_buffer_fini(buffer);
    }
    rc_buffer_clear(buffer);
}

static void end_asker(struct http_exchange *x)
{
    subject_drop(x->subject);
    x->subject = NULL;
    x->client = 0;
    x->peer = NULL;
    x->is_local = false;
    x->is_filtered = false;
    x->ends_restore = false;
    x->token_wait.is_on = false;
    json_decref(x->draft);
    x->draft = NULL;
}

void exchange_reset(struct http_exchange *x)
{
    assert(x->waiter.list == NULL && x->errand == NULL);

    recycle(&x->body);
    recycle(&x->out);
    recycle(&x->header_text);
    x->method = HTTP_OTHER;
    x->method_name = "";
    x->argument = "";
    x->route = NULL;
    x->request = (struct exchange_request_headers){0};
    x->query = (struct query){0};
    x->status = 0;
    x->content_type = NULL;
    x->header_count = 0;
    x->page = NULL;
    x->page_size = 0;
    x->outcome = EXCHANGE_ANSWERED;
    x->waiter = (struct waiter){0};
    x->expired = false;
    x->ticket = 0;
    x->is_forwarded = false;
    end_asker(x);
    x->is_settled = false;
    x->is_read_only = false;
}

void exchange_fini(struct http_exchange *x)
{
    end_asker(x);
    errand_forget(x);
    target_fini(&x->target);
    rc_buffer_fini(&x->body);
    rc_buffer_fini(&x->out);
    rc_buffer_fini(&x->header_text);
}

enum http_method exchange_method(const char *name)
{
    static const char *const names[HTTP_OTHER] = {
        [HTTP_GET] = "GET",       [HTTP_PUT] = "PUT",   [HTTP_POST] = "POST",
        [HTTP_DELETE] = "DELETE", [HTTP_HEAD] = "HEAD", [HTTP_OPTIONS] = "OPTIONS",
    };

    for (enum http_method method = HTTP_GET; method < HTTP_OTHER; method++) {
        if (strcmp(names[method], name) == 0) {
            return method;
        }
    }
    return HTTP_OTHER;
}

void exchange_header(struct http_exchange *x, const char *name, const char *value)
{
    if (x->header_count == EXCHANGE_HEADERS_MAX) {
        return;
    }
    x->headers[x->header_count++] = (struct exchange_header){
        .name = name,
        .value_at = x->header_text.size,
    };
    rc_buffer_append(&x->header_text, value, strlen(value) + 1);
    if (x->header_text.err != RC_OK) {
        x->header_count--;
    }
}

void exchange_header_copied(struct http_exchange *x, const char *name, const char *value)
{
    if (x->header_count == EXCHANGE_HEADERS_MAX) {
        return;
    }
    exchange_header(x, NULL, value);
    rc_buffer_append(&x->header_text, name, strlen(name) + 1);
    if (x->header_text.err != RC_OK) {
        x->header_count = 0; /* a name without its end must not be read */
    }
}

struct http_reply_header exchange_header_at(const struct http_exchange *x, size_t at)
{
    assert(at < x->header_count);
    const struct exchange_header *header = &x->headers[at];
    const char *value = (const char *)x->header_text.bytes + header->value_at;
    return (struct http_reply_header){
        .name = header->name != NULL ? header->name : value + strlen(value) + 1,
        .value = value,
    };
}

const char *exchange_node(const struct http_api *api, const struct http_exchange *x)
{
    return x->node != NULL ? x->node : api->facts.node_name;
}

void exchange_header_u64(struct http_exchange *x, const char *name, uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    exchange_header(x, name, text);
}

const char *exchange_header_value(const struct http_exchange *x, const char *name)
{
    for (size_t i = 0; i < x->header_count; i++) {
        struct http_reply_header header = exchange_header_at(x, i);
        if (strcmp(header.name, name) == 0) {
            return header.value;
        }
    }
    return NULL;
}

void exchange_error(struct http_exchange *x, unsigned status, const char *format, ...)
{
    va_list arguments;

    assert(status >= 400);
    rc_buffer_clear(&x->out);
    va_start(arguments, format);
    rc_buffer_vformat(&x->out, format, arguments);
    va_end(arguments);
    x->status = status;
    x->content_type = "text/plain; charset=utf-8";
    x->outcome = EXCHANGE_ANSWERED;
}

void exchange_done(struct http_exchange *x)
{
    rc_buffer_clear(&x->out);
    x->status = 200;
    x->content_type = NULL;
}

struct rc_json exchange_json(struct http_exchange *x)
{
    rc_buffer_clear(&x->out);
    x->status = 200;
    x->content_type = "application/json";
    return rc_json_over(&x->out, target_parameter(&x->target, "pretty") != NULL ? 4 : 0);
}

void exchange_json_end(struct http_exchange *x)
{
    if (target_parameter(&x->target, "pretty") != NULL) {
        rc_buffer_byte(&x->out, '\n');
    }
}
