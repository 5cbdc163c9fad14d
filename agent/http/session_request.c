#include "agent/http/session_request.h"

#include <inttypes.h>
#include <string.h>

#include "agent/catalog/catalog.h"
#include "agent/http/body_field.h"
#include "base/err.h"
#include "base/text.h"

enum { NS_PER_MS = 1000000, LOCK_DELAY_MS = 15000, LOCK_DELAY_MS_MAX = 60000 };

static const uint64_t ns_per_s = 1000000000;
static const uint64_t ttl_ms_max = 24ULL * 3600 * 1000;

static bool refuse_type(struct http_exchange *x, const char *field, const char *type)
{
    exchange_error(x, 400,
                   "Request decode failed: json: cannot unmarshal value into Go struct "
                   "field .%s of type %s",
                   field, type);
    return false;
}

static bool put_text(struct http_exchange *x, json_t *body, const char *field,
                     char *space, size_t size)
{
    const char *text = NULL;

    if (!body_field_text(body, field, &text)) {
        return refuse_type(x, field, "string");
    }
    if (text != NULL && rc_text_put(space, size, text) != RC_OK) {
        exchange_error(x, 400, "%s is longer than %zu bytes", field, size - 1);
        return false;
    }
    return true;
}

/* A text, or a number: below 1000 it means seconds, else nanoseconds, as Consul reads it. */
static bool read_lock_delay(struct http_exchange *x, json_t *body,
                            struct store_session *session)
{
    const json_t *value = body_field(body, "LockDelay");
    uint64_t ns = (uint64_t)LOCK_DELAY_MS * NS_PER_MS;

    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        ns = (uint64_t)json_integer_value(value);
        ns = ns < 1000 ? ns * ns_per_s : ns;
    } else if (json_is_real(value) && json_real_value(value) >= 0 &&
               json_real_value(value) < 1e18) {
        double number = json_real_value(value);
        ns = (uint64_t)(number < 1000 ? number * 1e9 : number);
    } else if (json_is_string(value)) {
        const char *text = json_string_value(value);
        if (text[0] != '\0' && rc_text_to_duration_ns(text, &ns) != RC_OK) {
            exchange_error(x, 400, "Request decode failed: time: invalid duration \"%s\"",
                           text);
            return false;
        }
    } else if (value != NULL) {
        return refuse_type(x, "LockDelay", "time.Duration");
    }
    uint64_t ms = ns / NS_PER_MS + (ns % NS_PER_MS != 0 ? 1 : 0);
    session->lock_delay_ms = ms < LOCK_DELAY_MS_MAX ? ms : LOCK_DELAY_MS_MAX;
    return true;
}

static bool read_behavior(struct http_exchange *x, json_t *body,
                          struct store_session *session)
{
    const char *text = "";

    if (!body_field_text(body, "Behavior", &text)) {
        return refuse_type(x, "Behavior", "string");
    }
    if (text[0] == '\0' || strcmp(text, "release") == 0) {
        session->behavior = STORE_RELEASE;
    } else if (strcmp(text, "delete") == 0) {
        session->behavior = STORE_DELETE;
    } else {
        exchange_error(x, 500, "Invalid Behavior setting '%s'", text);
        return false;
    }
    return true;
}

static bool check_ttl(const struct http_api *api, struct http_exchange *x,
                      struct store_session *session)
{
    char least[32];
    uint64_t ns = 0;
    uint64_t least_ns = api->facts.session_ttl_min_ms * NS_PER_MS;
    const char *text = session->ttl_text;

    int err = text[0] != '\0' ? rc_text_to_duration_ns(text, &ns) : RC_OK;
    if (err == RC_EMALFORMED) {
        exchange_error(x, 500, "Session TTL '%s' invalid: time: invalid duration \"%s\"",
                       text, text);
        return false;
    }
    if (err == RC_OK && (ns == 0 || (ns >= least_ns && ns / NS_PER_MS <= ttl_ms_max))) {
        session->ttl_ms = ns / NS_PER_MS;
        return true;
    }
    rc_text_from_duration_ns(least_ns, least, sizeof least);
    exchange_error(x, 500,
                   "Invalid Session TTL '%" PRIu64 "', must be between [%s=24h0m0s]",
                   err == RC_OK ? ns : UINT64_MAX, least);
    return false;
}

static bool read_ttl(const struct http_api *api, struct http_exchange *x, json_t *body,
                     struct store_session *session)
{
    return put_text(x, body, "TTL", session->ttl_text, sizeof session->ttl_text) &&
           check_ttl(api, x, session);
}

bool session_request_ttl(const struct http_api *api, struct http_exchange *x,
                         const char *text, struct store_session *session)
{
    if (rc_text_put(session->ttl_text, sizeof session->ttl_text, text) != RC_OK) {
        exchange_error(x, 400, "TTL is longer than %zu bytes",
                       sizeof session->ttl_text - 1);
        return false;
    }
    return check_ttl(api, x, session);
}

/* Texts, or objects with an ID. */
static bool read_list(struct http_exchange *x, const json_t *list, const char *field,
                      const char *out[STORE_SESSION_CHECKS_MAX], size_t *count)
{
    size_t size = json_array_size(list);

    if (!json_is_array(list)) {
        return refuse_type(x, field, "[]string");
    }
    if (size > STORE_SESSION_CHECKS_MAX) {
        exchange_error(x, 400, "%s has more than %d items", field,
                       STORE_SESSION_CHECKS_MAX);
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        json_t *item = json_array_get(list, i);
        const json_t *id = json_is_object(item) ? body_field(item, "ID") : item;
        if (!json_is_string(id)) {
            return refuse_type(x, field, "string");
        }
        out[i] = json_string_value(id);
    }
    *count = size;
    return true;
}

/* Without a word about them, the node's own health is what a session hangs on. */
static bool read_checks(struct http_exchange *x, json_t *body,
                        struct session_request *out)
{
    const json_t *node = body_field(body, "NodeChecks");
    const json_t *service = body_field(body, "ServiceChecks");
    struct store_session *session = &out->session;

    node = node != NULL ? node : body_field(body, "Checks"); /* its old name */
    out->node_checks[0] = "serfHealth";
    session->node_check_count = 1;
    session->node_checks = out->node_checks;
    session->service_checks = out->service_checks;
    return (node == NULL ||
            read_list(x, node, "Checks", out->node_checks, &session->node_check_count)) &&
           (service == NULL || read_list(x, service, "ServiceChecks", out->service_checks,
                                         &session->service_check_count));
}

bool session_request_read(const struct http_api *api, struct http_exchange *x,
                          json_t *body, struct session_request *out)
{
    struct store_session *session = &out->session;

    *session = (struct store_session){0};
    (void)rc_text_put(session->node, sizeof session->node, exchange_node(api, x));
    return put_text(x, body, "Name", session->name, sizeof session->name) &&
           put_text(x, body, "Node", session->node, sizeof session->node) &&
           read_lock_delay(x, body, session) && read_checks(x, body, out) &&
           read_behavior(x, body, session) && read_ttl(api, x, body, session);
}

static const struct catalog_check *check_find(const struct catalog_node *node,
                                              const char *id)
{
    for (size_t i = 0; i < node->check_count; i++) {
        if (rc_text_equals(node->checks[i]->id, id)) {
            return node->checks[i];
        }
    }
    return NULL;
}

static bool checks_stand(struct http_exchange *x, const struct catalog_node *node,
                         const char *const *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct catalog_check *check = check_find(node, ids[i]);
        if (check == NULL) {
            exchange_error(x, 500, "Missing check '%s' registration", ids[i]);
            return false;
        }
        if (check->status == CHECK_CRITICAL) {
            exchange_error(x, 500, "Check '%s' is in critical state", ids[i]);
            return false;
        }
    }
    return true;
}

bool session_request_stands(const struct http_api *api, struct http_exchange *x,
                            const struct store_session *session)
{
    const struct catalog_node *node = catalog_node_find(api->catalog, session->node);

    if (node == NULL) {
        exchange_error(x, 500, "Missing node registration");
        return false;
    }
    return checks_stand(x, node, session->node_checks, session->node_check_count) &&
           checks_stand(x, node, session->service_checks, session->service_check_count);
}
