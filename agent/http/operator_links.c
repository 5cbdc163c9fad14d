/* operator_links.c - keys of servers that must not be trusted any more: one more, and which. */
#include <stdio.h>

#include "agent/http/body_field.h"
#include "agent/http/endpoints.h"
#include "agent/http/errand.h"
#include "agent/http/permits_state.h"
#include "agent/http/store_query.h"
#include "base/err.h"

enum { NAME_SPACE = 128 };

static void told(struct http_api *api, struct http_exchange *x,
                 const struct store_outcome *outcome)
{
    if (outcome->err != RC_OK) {
        errand_failed(x, outcome);
        return;
    }
    permits_audit(api, x, PERMITS_CHANGED);
    struct rc_json json = exchange_json(x);
    rc_json_bool(&json, true);
    exchange_json_end(x);
}

static void submit(struct http_api *api, struct http_exchange *x, const char *key,
                   const char *text)
{
    char name[NAME_SPACE];

    (void)snprintf(name, sizeof name, HTTP_REVOKED_SETTING "%s", key);
    const struct store_op op = {.verb = STORE_SET,
                                .table = STORE_SETTINGS,
                                .key = rc_pack_text(name),
                                .value = rc_pack_text(text)};
    errand_submit(api, x, &op, 1, told);
}

/* PUT /v1/operator/link/revoke {"Key"}. */
void operator_link_revoke(struct http_api *api, struct http_exchange *x)
{
    char text[HTTP_REVOCATION_MAX];
    const char *key = "";
    const char *why = NULL;

    if (!permit(api, x, PERMIT_KEYRING, "", PERMIT_WRITE) || !query_begin(api, x) ||
        !store_query_admits(api, x)) {
        return;
    }
    if (api->operations.sign_revocation == NULL) {
        exchange_error(x, 501, "This agent was started without that operation");
        return;
    }
    json_t *body = request_body(x);
    if (body == NULL) {
        return;
    }
    int err =
        body_field_text(body, "Key", &key)
            ? api->operations.sign_revocation(api->operations.context, key, text, &why)
            : RC_EINVAL;
    if (err == RC_OK) {
        submit(api, x, key, text);
    } else {
        exchange_error(x, err == RC_EINVAL ? 400 : 500, "%s",
                       why != NULL ? why : "Key must be a text");
    }
    json_decref(body);
}

/* GET /v1/operator/link/revoked: those that this agent heeds. */
void operator_link_revoked(struct http_api *api, struct http_exchange *x)
{
    if (!permit(api, x, PERMIT_KEYRING, "", PERMIT_READ)) {
        return;
    }
    if (api->operations.describe_revoked == NULL) {
        exchange_error(x, 501, "This agent was started without that operation");
        return;
    }
    struct rc_json json = exchange_json(x);
    api->operations.describe_revoked(api->operations.context, &json);
    exchange_json_end(x);
}
