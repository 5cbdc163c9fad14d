#include "agent/http/permit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/http/permits.h"
#include "agent/http/permits_state.h"
#include "base/err.h"
#include "base/metrics.h"

enum { WARN_EVERY_MS = 60 * 1000, WARNED_MAX = 1024, WARN_KEY_SIZE = 128 };

enum rule_resource permits_resource(enum permit_resource resource)
{
    static const enum rule_resource resources[PERMIT_RESOURCE_COUNT] = {
        [PERMIT_ACL] = RULE_ACL,           [PERMIT_AGENT] = RULE_AGENT,
        [PERMIT_EVENT] = RULE_EVENT,       [PERMIT_KEY] = RULE_KEY,
        [PERMIT_KEYRING] = RULE_KEYRING,   [PERMIT_NODE] = RULE_NODE,
        [PERMIT_OPERATOR] = RULE_OPERATOR, [PERMIT_QUERY] = RULE_QUERY,
        [PERMIT_SERVICE] = RULE_SERVICE,   [PERMIT_SESSION] = RULE_SESSION,
    };
    return resources[resource];
}

enum rule_access permits_access(enum permit_access access)
{
    static const enum rule_access accesses[] = {
        [PERMIT_READ] = RULE_TO_READ,
        [PERMIT_LIST] = RULE_TO_LIST,
        [PERMIT_WRITE] = RULE_TO_WRITE,
    };
    return accesses[access];
}

/* What is asked. */
struct wish {
    enum rule_resource resource;
    enum rule_access access;
    const char *name;
    bool is_prefix;
};

enum verdict { VERDICT_YES, VERDICT_NO, VERDICT_NOT_YET };

/* Before there are tokens everybody may look, and whoever is on the machine may write. */
static enum verdict decide(struct http_api *api, const struct http_exchange *x,
                           const struct wish *wish)
{
    if (x->ends_restore) {
        return VERDICT_YES;
    }
    if (!api->permits->is_bootstrapped) { /* as of when the token was looked up */
        return wish->access != RULE_TO_WRITE || x->is_local ? VERDICT_YES
                                                            : VERDICT_NOT_YET;
    }
    if (x->subject == NULL) {
        return VERDICT_NO; /* a route that is open must not ask */
    }
    const struct grant *grant = x->subject->grant;
    bool allowed =
        wish->is_prefix
            ? grant_allows_prefix(grant, wish->resource, wish->name, wish->access, NULL)
            : grant_allows(grant, wish->resource, wish->name, wish->access, NULL);
    return allowed ? VERDICT_YES : VERDICT_NO;
}

static const char *accessor_of(const struct http_exchange *x)
{
    return x->subject != NULL ? x->subject->accessor : DIRECTORY_ANONYMOUS;
}

/* Names come from clients: in a log they stand in one line, cut. */
static void tell(const struct permits *permits, const struct http_exchange *x,
                 const struct wish *wish)
{
    char line[512];

    (void)snprintf(line, sizeof line,
                   "would refuse %.10s %.100s: token with AccessorID '%s' lacks "
                   "permission '%s:%s' on \"%.200s\"",
                   x->method_name, x->target.path, accessor_of(x),
                   rule_resource_name(wish->resource), rule_access_name(wish->access),
                   wish->name);
    rc_text_to_line(line, sizeof line);
    if (permits->options.tell != NULL) {
        permits->options.tell(permits->options.context, line);
    }
}

/* In mode warn: once a minute for each accessor and resource. */
static void warn(struct http_api *api, const struct http_exchange *x,
                 const struct wish *wish)
{
    struct permits *permits = api->permits;
    char key[WARN_KEY_SIZE];

    rc_metric_add(permits->warnings, 1);
    (void)snprintf(key, sizeof key, "%s %s:%s", accessor_of(x),
                   rule_resource_name(wish->resource), rule_access_name(wish->access));
    uint64_t *told_ms = rc_table_get(permits->warned, key);
    if (told_ms == NULL && rc_table_count(permits->warned) < WARNED_MAX) {
        told_ms = calloc(1, sizeof *told_ms);
        if (told_ms != NULL &&
            rc_table_put(permits->warned, key, told_ms, NULL) != RC_OK) {
            free(told_ms);
            told_ms = NULL;
        }
    }
    if (told_ms != NULL && (*told_ms == 0 || api->now_ms - *told_ms >= WARN_EVERY_MS)) {
        *told_ms = api->now_ms > 0 ? api->now_ms : 1;
        tell(permits, x, wish);
    }
}

static void tell_refusal(struct http_exchange *x, const struct wish *wish,
                         enum verdict verdict)
{
    if (verdict == VERDICT_NOT_YET) {
        exchange_error(x, 403,
                       "Permission denied: until tokens are set up (rollcall acl "
                       "bootstrap), only a server's own machine may write");
        return;
    }
    if (!rule_resource_has_names(wish->resource)) {
        exchange_error(x, 403,
                       "Permission denied: token with AccessorID '%s' lacks permission "
                       "'%s:%s'",
                       accessor_of(x), rule_resource_name(wish->resource),
                       rule_access_name(wish->access));
        return;
    }
    exchange_error(x, 403,
                   "Permission denied: token with AccessorID '%s' lacks permission "
                   "'%s:%s' on \"%s\"%s",
                   accessor_of(x), rule_resource_name(wish->resource),
                   rule_access_name(wish->access), wish->name,
                   wish->is_prefix ? " and all that begins so" : "");
}

static void refuse(struct http_api *api, struct http_exchange *x, const struct wish *wish,
                   enum verdict verdict)
{
    rc_metric_add(api->permits->refusals, 1);
    tell_refusal(x, wish, verdict);
    permits_audit(api, x, PERMITS_REFUSED);
}

static bool ask(struct http_api *api, struct http_exchange *x, const struct wish *wish)
{
    if (!permits_are_used(api->permits)) {
        return true;
    }
    enum verdict verdict = decide(api, x, wish);
    if (verdict == VERDICT_YES) {
        return true;
    }
    /* Who may make tokens while others are only warned would keep them when they no longer
     * are. */
    if (api->permits->options.mode == HTTP_ACL_WARN && wish->resource != RULE_ACL) {
        warn(api, x, wish);
        return true;
    }
    refuse(api, x, wish, verdict);
    return false;
}

bool permit(struct http_api *api, struct http_exchange *x, enum permit_resource resource,
            const char *name, enum permit_access access)
{
    const struct wish wish = {permits_resource(resource), permits_access(access), name,
                              false};
    return ask(api, x, &wish);
}

bool permit_prefix(struct http_api *api, struct http_exchange *x,
                   enum permit_resource resource, const char *prefix,
                   enum permit_access access)
{
    const struct wish wish = {permits_resource(resource), permits_access(access), prefix,
                              true};
    return ask(api, x, &wish);
}

bool permit_shows(struct http_api *api, struct http_exchange *x,
                  enum permit_resource resource, const char *name)
{
    const struct wish wish = {permits_resource(resource), RULE_TO_READ, name, false};

    if (!permits_are_used(api->permits) || decide(api, x, &wish) == VERDICT_YES) {
        return true;
    }
    if (api->permits->options.mode == HTTP_ACL_WARN) {
        warn(api, x, &wish);
        return true;
    }
    if (!x->is_filtered) {
        x->is_filtered = true;
        exchange_header(x, "X-Consul-Results-Filtered-By-ACLs", "true");
    }
    return false;
}
