#include <string.h>

#include "agent/catalog/definition.h"
#include "agent/http/endpoints.h"
#include "base/err.h"

json_t *request_body(struct http_exchange *x)
{
    struct definition_fault fault = {0};
    json_t *body = NULL;

    int err =
        definition_load_body((const char *)x->body.bytes, x->body.size, &body, &fault);
    if (err == RC_OK) {
        return body;
    }
    exchange_error(x, err == RC_EMALFORMED ? 400 : 500, "%s",
                   err == RC_EMALFORMED ? fault.text : rc_strerror(err));
    return NULL;
}

/* The words of Go's strconv.ParseBool. */
int request_enable(struct http_exchange *x, enum local_switch *out)
{
    static const struct {
        const char *word;
        enum local_switch value;
    } words[] = {
        {"1", LOCAL_ON},      {"t", LOCAL_ON},      {"T", LOCAL_ON},
        {"true", LOCAL_ON},   {"TRUE", LOCAL_ON},   {"True", LOCAL_ON},
        {"0", LOCAL_OFF},     {"f", LOCAL_OFF},     {"F", LOCAL_OFF},
        {"false", LOCAL_OFF}, {"FALSE", LOCAL_OFF}, {"False", LOCAL_OFF},
    };
    const char *value = target_parameter(&x->target, "enable");

    if (value == NULL) {
        exchange_error(x, 400, "Missing value for enable");
        return RC_EINVAL;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i].word, value) == 0) {
            *out = words[i].value;
            return RC_OK;
        }
    }
    exchange_error(x, 400, "Invalid value for enable: \"%s\"", value);
    return RC_EINVAL;
}

static bool is_set(const struct http_exchange *x, const char *name)
{
    const char *value = target_parameter(&x->target, name);

    return value != NULL && strcmp(value, "false") != 0 && strcmp(value, "0") != 0;
}

bool request_may_drain(struct http_api *api, struct http_exchange *x,
                       const char *service_id, enum local_switch enable)
{
    const char *safe = target_parameter(&x->target, "safe");
    enum local_care care = enable == LOCAL_OFF || is_set(x, "force") ? LOCAL_CARE_NONE
                           : !is_set(x, "safe")         ? LOCAL_CARE_CONFIGURED
                           : strcmp(safe, "again") == 0 ? LOCAL_CARE_AGAIN
                                                        : LOCAL_CARE_DEFAULT;

    if (local_may_drain(api->local, service_id, care) == RC_OK) {
        return true;
    }
    exchange_error(x, 409, "%s", local_error(api->local));
    return false;
}

static unsigned status_of(int err)
{
    if (err == RC_EINVAL || err == RC_EMALFORMED) {
        return 400;
    }
    return err == RC_ENOTFOUND ? 404 : 500;
}

void request_written(struct http_api *api, struct http_exchange *x, int err)
{
    if (err != RC_OK) {
        exchange_error(x, status_of(err), "%s", local_error(api->local));
        return;
    }
    exchange_done(x);
    if (api->operations.written != NULL) {
        api->operations.written(api->operations.context);
    }
}

bool request_knows_members(struct http_api *api, struct http_exchange *x)
{
    if (!x->expired && x->query.index != 0 && x->query.index >= api->members_index) {
        query_wait_news(api, x, HTTP_NEWS_MEMBER);
        return true;
    }
    exchange_header_u64(x, "X-Consul-Index",
                        api->members_index > 0 ? api->members_index : 1);
    return false;
}

struct local_now request_now(const struct http_api *api)
{
    return (struct local_now){.mono_ms = api->now_ms, .wall_ms = api->wall_ms};
}

unsigned request_flaps(const struct http_api *api, const char *check_id)
{
    const struct catalog_check *check =
        catalog_check_find(catalog_self(api->catalog), check_id);

    return check != NULL ? catalog_check_flips(check, api->now_ms) : 0;
}
