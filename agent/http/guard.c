#include "agent/http/guard.h"

#include <string.h>

#include "agent/http/exchange.h"
#include "base/address.h"
#include "base/err.h"
#include "base/text.h"

enum { HOST_MAX = 256 };

/* "name:port" or "[ip]:port" without the port and the brackets. False when it is too long. */
static bool host_of(const char *authority, char space[HOST_MAX])
{
    struct rc_span host = {authority, strcspn(authority, ":")};

    if (authority[0] == '[') {
        host.at = authority + 1;
        host.size = strcspn(host.at, "]");
    }
    if (host.size >= HOST_MAX) {
        return false;
    }
    if (host.size > 1 && host.at[host.size - 1] == '.') {
        host.size--; /* "localhost." is the same name */
    }
    memcpy(space, host.at, host.size);
    space[host.size] = '\0';
    return true;
}

/* "*.x" is every name below x. */
static bool is_named(const char *pattern, const char *name)
{
    size_t size = strlen(name);
    size_t below = strlen(pattern) - 1; /* of ".x" */

    if (pattern[0] != '*') {
        return rc_text_equals_nocase(pattern, name);
    }
    return size > below && rc_text_equals_nocase(pattern + 1, name + size - below);
}

static bool is_our_name(const struct http_api *api, const char *name)
{
    struct rc_address ip;

    /* A literal address cannot be rebound: no name was looked up. */
    if (name[0] == '\0' || rc_address_parse_ip(name, 0, &ip) == RC_OK ||
        rc_text_equals_nocase(name, "localhost") ||
        rc_text_equals_nocase(name, api->facts.node_name)) {
        return true;
    }
    for (size_t i = 0; i < api->host_name_count; i++) {
        if (is_named(api->host_names[i], name)) {
            return true;
        }
    }
    return false;
}

static bool host_is_ours(const struct http_api *api, const char *authority)
{
    char name[HOST_MAX];

    return authority == NULL || (host_of(authority, name) && is_our_name(api, name));
}

static bool is_write(const struct http_exchange *x)
{
    return x->method != HTTP_GET && x->method != HTTP_HEAD && x->method != HTTP_OPTIONS;
}

/* The Fetch standard: an origin is "scheme://host:port", or "null" for an opaque one. */
static bool origin_is_ours(const struct http_exchange *x)
{
    const char *origin = x->request.origin;
    const char *site = x->request.fetch_site;

    if (site != NULL &&
        (strcmp(site, "cross-site") == 0 || strcmp(site, "same-site") == 0)) {
        return false;
    }
    if (origin == NULL) {
        return true;
    }
    const char *authority = strstr(origin, "://");
    return authority != NULL && x->request.host != NULL &&
           rc_text_equals_nocase(authority + 3, x->request.host);
}

bool guard_admits(const struct http_api *api, struct http_exchange *x,
                  enum guard_place place)
{
    if (x->target.authority != NULL &&
        !rc_text_equals_nocase(x->target.authority, x->request.host)) {
        exchange_error(x, 400, "Request target and Host header differ");
        return false;
    }
    if ((place == GUARD_LOOPBACK || api->hosts_everywhere) &&
        !host_is_ours(api, x->request.host)) {
        exchange_error(x, 403,
                       "Access is restricted: the Host header does not name this agent; "
                       "use an IP address, \"localhost\" or the node's name, or add the "
                       "name to http_config.allow_hosts");
        return false;
    }
    /* Pages may be linked to from anywhere; the API is asked by our own pages alone. */
    bool is_api = strncmp(x->target.path, "/v1/", 4) == 0;
    if ((is_api || is_write(x)) && !origin_is_ours(x)) {
        exchange_error(x, 403,
                       "Access is restricted: a page of another site may not %s here",
                       is_write(x) ? "write" : "ask");
        return false;
    }
    return true;
}
