/* permits_audit.c - what was refused for want of a right, and what was changed about rights: one
 * line of JSON each, for whoever keeps them.
 *
 * No secret is in a line: of a request only its method and path, of a token its AccessorID. */
#include <inttypes.h>

#include <jansson.h>

#include "agent/acl/directory.h"
#include "agent/http/permits_state.h"
#include "base/address.h"
#include "base/err.h"
#include "base/text.h"

/* A flood of refusals must not fill a disk: beyond this they are counted only. Changes are all
 * told. */
enum { REFUSALS_A_SECOND = 100, SECOND_MS = 1000 };

static const char *const names[] = {
    [PERMITS_REFUSED] = "refused",
    [PERMITS_CHANGED] = "changed",
};

static bool has_room(struct permits *permits, uint64_t now_ms)
{
    if (now_ms - permits->audited.since_ms >= SECOND_MS) {
        permits->audited.since_ms = now_ms;
        permits->audited.count = 0;
    }
    if (permits->audited.count >= REFUSALS_A_SECOND) {
        permits->audited.dropped++;
        return false;
    }
    permits->audited.count++;
    return true;
}

/* Whom and where from; "" where that is not known. */
static void put_asker(const struct http_api *api, const struct http_exchange *x,
                      struct rc_json *json)
{
    char address[RC_ADDRESS_TEXT_MAX] = "";

    if (x->peer != NULL && x->peer->family != RC_ADDRESS_NONE) {
        rc_address_format(x->peer, address);
    }
    rc_json_put_string(json, "AccessorID",
                       x->subject != NULL ? x->subject->accessor : "");
    rc_json_put_string(json, "Node", exchange_node(api, x));
    rc_json_put_string(json, "Client", address);
}

/* Of what is made the path does not tell which it is. */
static void put_object(const struct http_exchange *x, struct rc_json *json)
{
    static const char *const keys[] = {"AccessorID", "ID"};
    const char *id = NULL;

    for (size_t i = 0; i < sizeof keys / sizeof keys[0] && id == NULL; i++) {
        id = json_string_value(json_object_get(x->draft, keys[i]));
    }
    if (id != NULL) {
        rc_json_put_string(json, "Object", id);
    }
}

void permits_audit(struct http_api *api, const struct http_exchange *x,
                   enum permits_deed deed)
{
    struct permits *permits = api->permits;
    struct rc_buffer line = {0};
    struct rc_json json = rc_json_over(&line, 0);
    char time[25];

    if (!permits_are_used(permits) || permits->options.audit == NULL ||
        (deed == PERMITS_REFUSED && !has_room(permits, api->now_ms))) {
        return;
    }
    rc_text_from_wall_ms(api->wall_ms, time);
    rc_json_object(&json);
    rc_json_put_string(&json, "Time", time);
    rc_json_put_string(&json, "Event", names[deed]);
    rc_json_put_string(&json, "Method", x->method_name);
    rc_json_put_string(&json, "Path", x->target.path);
    put_asker(api, x, &json);
    if (deed == PERMITS_REFUSED) {
        rc_json_put_u64(&json, "Status", x->status);
        rc_json_key(&json, "Why");
        rc_json_string_bytes(&json, x->out.bytes, x->out.size);
    } else {
        put_object(x, &json);
    }
    if (permits->audited.dropped > 0) {
        rc_json_put_u64(&json, "Dropped", permits->audited.dropped);
        permits->audited.dropped = 0;
    }
    rc_json_object_end(&json);
    rc_buffer_byte(&line, '\n');
    if (line.err == RC_OK) {
        permits->options.audit(permits->options.context, line.bytes, line.size);
    }
    rc_buffer_fini(&line);
}
