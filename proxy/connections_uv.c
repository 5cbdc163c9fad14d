/* connections_uv.c - see connections_uv.h. */
#include "proxy/connections_uv.h"

#include "base/err.h"
#include "base/json.h"
#include "proxy/worker/inquiry_uv.h"

enum { PATIENCE_MS = 250 };

static void put_address(struct rc_json *json, const char *key,
                        const struct rc_address *address)
{
    char text[RC_ADDRESS_TEXT_MAX];
    rc_address_format(address, text);
    rc_json_put_string(json, key, text);
}

static void put_connection(struct rc_json *json, const struct inquiry_connection *c)
{
    rc_json_object(json);
    put_address(json, "peer", &c->peer);
    put_address(json, "listener", &c->listener);
    rc_json_put_string(json, "protocol", c->protocol);
    rc_json_put_string(json, "state", c->state);
    rc_json_put_u64(json, "age_ms", c->age_ms);
    rc_json_put_string(json, "route", c->route);
    put_address(json, "instance", &c->instance);
    rc_json_put_u64(json, "requests", c->requests);
    rc_json_put_u64(json, "bytes_in", c->bytes_in);
    rc_json_put_u64(json, "bytes_out", c->bytes_out);
    rc_json_object_end(json);
}

void connections_tell(struct worker *const *workers, size_t count, size_t offset,
                      size_t limit, struct rc_buffer *out)
{
    struct rc_json json = rc_json_over(out, 4);
    size_t left = limit < INQUIRY_TAKE_MAX ? limit : INQUIRY_TAKE_MAX;
    size_t total = 0;
    size_t silent = 0;

    rc_json_object(&json);
    rc_json_put_u64(&json, "offset", offset);
    rc_json_key(&json, "connections");
    rc_json_array(&json);
    for (size_t w = 0; w < count; w++) {
        struct inquiry *inquiry =
            inquiry_create(offset > total ? offset - total : 0, left);
        if (inquiry == NULL || worker_ask(workers[w], inquiry) != RC_OK ||
            inquiry_wait(inquiry, PATIENCE_MS) != RC_OK) {
            silent++;
            inquiry_release(inquiry);
            continue;
        }
        for (size_t i = 0; i < inquiry_count(inquiry); i++) {
            put_connection(&json, inquiry_at(inquiry, i));
        }
        left -= inquiry_count(inquiry);
        total += inquiry_total(inquiry);
        inquiry_release(inquiry);
    }
    rc_json_array_end(&json);
    rc_json_put_u64(&json, "total", total);
    rc_json_put_u64(&json, "silent", silent);
    rc_json_object_end(&json);
    rc_buffer_byte(out, '\n');
}
