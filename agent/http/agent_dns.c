/* agent_dns.c - how DNS answers a question, and why. */
#include "agent/http/endpoints.h"
#include "agent/http/visible.h"
#include "base/err.h"
#include "base/text.h"

enum { EDNS_SIZE = 1232 /* what clients say today (DNS flag day 2020) */ };

struct asker {
    struct http_api *api;
    struct http_exchange *x;
};

static bool shows(void *context, enum permit_resource resource, const char *name)
{
    const struct asker *asker = context;
    return permit_shows(asker->api, asker->x, resource, name);
}

static bool is_set(const struct target *target, const char *name)
{
    const char *value = target_parameter(target, name);
    return value != NULL && !rc_text_equals(value, "false");
}

/* False: answered already. */
static bool read_question(struct http_exchange *x, struct http_dns_question *out)
{
    const char *size = target_parameter(&x->target, "size");
    const char *type = target_parameter(&x->target, "type");
    uint64_t number = EDNS_SIZE;

    out->name = target_parameter(&x->target, "name");
    out->type = type != NULL ? type : "";
    out->by_tcp = is_set(&x->target, "tcp");
    if (out->name == NULL || out->name[0] == '\0') {
        exchange_error(x, 400, "Missing name");
        return false;
    }
    if (size != NULL && rc_text_to_u64(size, UINT16_MAX, &number) != RC_OK) {
        exchange_error(x, 400, "size is a number from 0 to 65535");
        return false;
    }
    out->edns_size = (uint16_t)number;
    return true;
}

/* GET /v1/agent/dns?name=web&type=SRV&tcp&size=512 */
void agent_dns(struct http_api *api, struct http_exchange *x)
{
    struct asker asker = {api, x};
    struct http_dns_question question = {.shows = shows, .asker = &asker};
    char error[HTTP_DNS_ERROR_MAX] = "";

    if (!visible_self(api, x, PERMIT_AGENT, PERMIT_READ) ||
        !read_question(x, &question)) {
        return;
    }
    if (api->operations.explain_dns == NULL) {
        exchange_error(x, 501, "This agent was started without that operation");
        return;
    }
    struct rc_json json = exchange_json(x);
    int err =
        api->operations.explain_dns(api->operations.context, &question, &json, error);
    if (err == RC_OK) {
        exchange_json_end(x);
    } else if (err == RC_ENOTFOUND) {
        exchange_error(x, 501, "This agent does not answer DNS (ports.dns)");
    } else {
        exchange_error(x, err == RC_EINVAL ? 400 : 500, "%s",
                       error[0] != '\0' ? error : rc_strerror(err));
    }
}
