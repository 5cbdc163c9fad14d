/* operator_endpoints.c - the pool's keyring, as in Consul's /v1/operator/keyring.
 *
 * Ours beyond Consul: ?force, which lets a step be taken that loses members which are away. */
#include <string.h>

#include "agent/gossip/keyring_round.h"
#include "agent/http/endpoints.h"
#include "agent/http/visible.h"
#include "base/err.h"
#include "base/text.h"

enum { RELAY_FACTOR_MAX = 5 };

static bool read_relay(struct http_exchange *x, struct keyring_request *request)
{
    const char *text = target_parameter(&x->target, "relay-factor");
    uint64_t value = 0;

    if (text != NULL && text[0] != '\0' &&
        rc_text_to_u64(text, RELAY_FACTOR_MAX, &value) != RC_OK) {
        exchange_error(x, 400, "Invalid relay-factor: it is a number from 0 to %d",
                       RELAY_FACTOR_MAX);
        return false;
    }
    request->relay_factor = (uint8_t)value;
    return true;
}

/* The key is never repeated, not even in an error. */
static bool read_key(struct http_exchange *x, struct gossip_key *out)
{
    json_t *body = request_body(x);
    if (body == NULL) {
        return false;
    }
    const char *text = json_string_value(json_object_get(body, "Key"));
    int err = text == NULL
                  ? RC_EMALFORMED
                  : rc_text_from_base64(text, out->bytes, sizeof out->bytes, &out->size);
    json_decref(body);
    bool is_key = err == RC_OK && (out->size == 16 || out->size == 24 || out->size == 32);
    if (!is_key) {
        exchange_error(x, 400, "Key must be 16, 24 or 32 bytes in base64");
    }
    return is_key;
}

static void order(struct http_api *api, struct http_exchange *x, enum keyring_order what)
{
    const struct http_operations *operations = &api->operations;
    struct keyring_request request = {.order = what};
    const struct http_key_order given = {
        .request = &request,
        .local = rc_text_equals(target_parameter(&x->target, "local-only"), "true") ||
                 rc_text_equals(target_parameter(&x->target, "local-only"), ""),
        .forced = target_parameter(&x->target, "force") != NULL,
    };

    if (!permit(api, x, PERMIT_KEYRING, "",
                what == KEYRING_LIST ? PERMIT_READ : PERMIT_WRITE)) {
        return;
    }
    if (operations->keys == NULL) {
        exchange_error(x, 501, "This agent was started without that operation");
        return;
    }
    if (given.local && what != KEYRING_LIST) {
        exchange_error(x, 400, "local-only goes with GET only");
        return;
    }
    if (!read_relay(x, &request) ||
        (what != KEYRING_LIST && !read_key(x, &request.key))) {
        return;
    }
    x->ticket = ++api->last_ticket; /* the outcome stands first: it may finish at once */
    x->outcome = EXCHANGE_PENDING;
    operations->keys(operations->context, &given, x->ticket);
    explicit_bzero(&request, sizeof request);
}

void operator_keyring_list(struct http_api *api, struct http_exchange *x)
{
    order(api, x, KEYRING_LIST);
}

void operator_keyring_install(struct http_api *api, struct http_exchange *x)
{
    order(api, x, KEYRING_INSTALL);
}

void operator_keyring_use(struct http_api *api, struct http_exchange *x)
{
    order(api, x, KEYRING_USE);
}

void operator_keyring_remove(struct http_api *api, struct http_exchange *x)
{
    order(api, x, KEYRING_REMOVE);
}
