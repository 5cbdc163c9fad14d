#include "agent/http/relay.h"

#include <assert.h>
#include <string.h>

#include "agent/http/errand.h"
#include "base/err.h"
#include "base/text.h"

/* Consul's words for a store that nobody leads; its clients look for them. */
static const char nobody[] = "No cluster leader";

/* The path is escaped as little as will do, so that it is never longer than it came. */
static void write_target(const struct target *target, struct rc_buffer *out)
{
    for (const char *c = target->path; *c != '\0'; c++) {
        if (strchr("%?# \"<>", *c) != NULL) {
            rc_buffer_format(out, "%%%02X", (unsigned char)*c);
        } else {
            rc_buffer_byte(out, (uint8_t)*c);
        }
    }
    if (target->raw_query != NULL) {
        rc_buffer_byte(out, '?');
        rc_buffer_text(out, target->raw_query);
    }
}

void relay_forward(struct http_api *api, struct http_exchange *x)
{
    struct rc_buffer target = {0};
    uint8_t space[STORE_REQUEST_SIZE];
    const uint8_t *request_id = NULL;

    if (!errand_request(x, space, &request_id)) {
        return;
    }
    if (x->node != NULL || api->operations.forward == NULL) {
        exchange_error(x, 500, "%s", nobody);
        return;
    }
    write_target(&x->target, &target);
    if (target.err != RC_OK) {
        exchange_error(x, 500, "%s", rc_strerror(target.err));
        rc_buffer_fini(&target);
        return;
    }
    const struct http_relay relay = {
        .method = x->method_name,
        .target = rc_buffer_string(&target),
        .body = x->body.bytes,
        .body_size = x->body.size,
        .token = x->request.token != NULL ? x->request.token : "",
        .node = api->facts.node_name,
        .request_id = request_id,
    };
    x->outcome = EXCHANGE_PENDING;
    x->is_forwarded = true;
    x->ticket = ++api->last_ticket; /* stands first: it may finish at once */
    api->operations.forward(api->operations.context, &relay, x->ticket);
    rc_buffer_fini(&x->body); /* whoever carries it has its own */
    rc_buffer_fini(&target);
}

static bool is_of_a_connection(const char *name)
{
    static const char *const names[] = {"Connection",   "Content-Length",
                                        "Content-Type", "Transfer-Encoding",
                                        "Date",         "Vary"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (rc_text_equals_nocase(names[i], name)) {
            return true;
        }
    }
    return false;
}

void relay_take(struct http_exchange *x, const struct http_reply *reply)
{
    if (reply->status < 200 || reply->status > 599) {
        exchange_error(x, 500, "The server's answer has no status");
        return;
    }
    rc_buffer_clear(&x->out);
    rc_buffer_append(&x->out, reply->body, reply->body_size);
    x->status = reply->status;
    x->content_type = NULL;
    x->header_count = 0;
    rc_buffer_clear(&x->header_text);
    if (reply->content_type != NULL) {
        exchange_header_copied(x, "Content-Type", reply->content_type);
    }
    for (size_t i = 0; i < reply->header_count; i++) {
        if (!is_of_a_connection(reply->headers[i].name)) {
            exchange_header_copied(x, reply->headers[i].name, reply->headers[i].value);
        }
    }
}

struct http_reply relay_reply(const struct http_exchange *x,
                              struct http_reply_header headers[EXCHANGE_HEADERS_MAX])
{
    for (size_t i = 0; i < x->header_count; i++) {
        headers[i] = exchange_header_at(x, i);
    }
    return (struct http_reply){
        .status = x->status,
        .content_type = x->content_type,
        .headers = headers,
        .header_count = x->header_count,
        .body = x->page != NULL ? x->page : x->out.bytes,
        .body_size = x->page != NULL ? x->page_size : x->out.size,
    };
}

uint64_t relay_index(const struct http_reply *reply)
{
    uint64_t index = 0;

    for (size_t i = 0; i < reply->header_count; i++) {
        if (rc_text_equals_nocase(reply->headers[i].name, "X-Consul-Index")) {
            (void)rc_text_to_u64(reply->headers[i].value, UINT64_MAX, &index);
        }
    }
    return index;
}
