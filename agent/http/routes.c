#include "agent/http/routes.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "agent/http/endpoints.h"
#include "agent/http/permits.h"
#include "agent/http/relay.h"
#include "base/text.h"

#define AGENT "/v1/agent/"
#define ACL   "/v1/acl/"

static const struct route routes[] = {
    {"/", HTTP_GET, pages_root, ROUTE_OPEN, ROUTE_IGNORES_NS, ROUTE_HERE},
    {"/ui", HTTP_GET, pages_redirect, ROUTE_OPEN, ROUTE_IGNORES_NS, ROUTE_HERE},
    {"/ui/", HTTP_GET, pages_file, ROUTE_OPEN, ROUTE_IGNORES_NS, ROUTE_HERE},

    {AGENT "self", HTTP_GET, agent_self, ROUTE_AGENT_READ, ROUTE_IGNORES_NS, ROUTE_HERE},
    {AGENT "members", HTTP_GET, agent_members, ROUTE_NODE_READ, ROUTE_IGNORES_NS,
     ROUTE_HERE},
    {AGENT "gossip/members", HTTP_GET, agent_gossip_members, ROUTE_NODE_READ,
     ROUTE_IGNORES_NS, ROUTE_HERE},
    {AGENT "query/", HTTP_PUT, agent_query, ROUTE_EVENT_WRITE, ROUTE_IGNORES_NS,
     ROUTE_HERE},
    {AGENT "metrics", HTTP_GET, agent_metrics, ROUTE_AGENT_READ, ROUTE_IGNORES_NS,
     ROUTE_HERE},
    {AGENT "debug/gossip", HTTP_GET, agent_debug_gossip, ROUTE_OPERATOR_READ,
     ROUTE_IGNORES_NS, ROUTE_HERE},
    {AGENT "dns", HTTP_GET, agent_dns, ROUTE_AGENT_READ, ROUTE_REFUSES_NS, ROUTE_HERE},
    {AGENT "version", HTTP_GET, agent_version, ROUTE_OPEN, ROUTE_IGNORES_NS, ROUTE_HERE},
    {AGENT "monitor", HTTP_GET, agent_monitor, ROUTE_OPERATOR_READ, ROUTE_IGNORES_NS,
     ROUTE_HERE},
    {AGENT "join/", HTTP_PUT, agent_join, ROUTE_AGENT_WRITE, ROUTE_IGNORES_NS,
     ROUTE_HERE},
    {AGENT "leave", HTTP_PUT, agent_leave, ROUTE_AGENT_WRITE, ROUTE_IGNORES_NS,
     ROUTE_HERE},
    {AGENT "force-leave/", HTTP_PUT, agent_force_leave, ROUTE_OPERATOR_WRITE,
     ROUTE_IGNORES_NS, ROUTE_HERE},
    {AGENT "reload", HTTP_PUT, agent_reload, ROUTE_AGENT_WRITE, ROUTE_IGNORES_NS,
     ROUTE_HERE},
    {AGENT "maintenance", HTTP_PUT, agent_maintenance, ROUTE_NODE_WRITE, ROUTE_IGNORES_NS,
     ROUTE_HERE},
    {AGENT "services", HTTP_GET, agent_services, ROUTE_SERVICE_READ, ROUTE_REFUSES_NS,
     ROUTE_HERE},
    {AGENT "service/", HTTP_GET, agent_service, ROUTE_SERVICE_READ, ROUTE_REFUSES_NS,
     ROUTE_HERE},
    {AGENT "service/register", HTTP_PUT, agent_service_register, ROUTE_SERVICE_WRITE,
     ROUTE_REFUSES_NS, ROUTE_HERE},
    {AGENT "service/deregister/", HTTP_PUT, agent_service_deregister, ROUTE_SERVICE_WRITE,
     ROUTE_REFUSES_NS, ROUTE_HERE},
    {AGENT "service/deregister/", HTTP_GET, agent_service_deregister_by_get,
     ROUTE_SERVICE_WRITE, ROUTE_REFUSES_NS, ROUTE_HERE},
    {AGENT "service/maintenance/", HTTP_PUT, agent_service_maintenance,
     ROUTE_SERVICE_WRITE, ROUTE_REFUSES_NS, ROUTE_HERE},
    {AGENT "checks", HTTP_GET, agent_checks, ROUTE_SERVICE_READ, ROUTE_REFUSES_NS,
     ROUTE_HERE},
    {AGENT "check/register", HTTP_PUT, agent_check_register, ROUTE_SERVICE_WRITE,
     ROUTE_REFUSES_NS, ROUTE_HERE},
    {AGENT "check/deregister/", HTTP_PUT, agent_check_deregister, ROUTE_SERVICE_WRITE,
     ROUTE_REFUSES_NS, ROUTE_HERE},
    {AGENT "check/pass/", HTTP_PUT, agent_check_pass, ROUTE_SERVICE_WRITE,
     ROUTE_REFUSES_NS, ROUTE_HERE},
    {AGENT "check/warn/", HTTP_PUT, agent_check_warn, ROUTE_SERVICE_WRITE,
     ROUTE_REFUSES_NS, ROUTE_HERE},
    {AGENT "check/fail/", HTTP_PUT, agent_check_fail, ROUTE_SERVICE_WRITE,
     ROUTE_REFUSES_NS, ROUTE_HERE},
    {AGENT "check/update/", HTTP_PUT, agent_check_update, ROUTE_SERVICE_WRITE,
     ROUTE_REFUSES_NS, ROUTE_HERE},
    {AGENT "health/service/id/", HTTP_GET, agent_health_by_id, ROUTE_SERVICE_READ,
     ROUTE_REFUSES_NS, ROUTE_HERE},
    {AGENT "health/service/name/", HTTP_GET, agent_health_by_name, ROUTE_SERVICE_READ,
     ROUTE_REFUSES_NS, ROUTE_HERE},

    {"/v1/catalog/datacenters", HTTP_GET, catalog_datacenters, ROUTE_OPEN,
     ROUTE_IGNORES_NS, ROUTE_HERE},
    {"/v1/catalog/nodes", HTTP_GET, catalog_nodes, ROUTE_NODE_READ, ROUTE_IGNORES_NS,
     ROUTE_HERE},
    {"/v1/catalog/services", HTTP_GET, catalog_services, ROUTE_SERVICE_READ,
     ROUTE_REFUSES_NS, ROUTE_HERE},
    {"/v1/catalog/service/", HTTP_GET, catalog_service_nodes, ROUTE_SERVICE_READ,
     ROUTE_REFUSES_NS, ROUTE_HERE},
    {"/v1/catalog/node/", HTTP_GET, catalog_node_map, ROUTE_NODE_READ, ROUTE_REFUSES_NS,
     ROUTE_HERE},
    {"/v1/catalog/node-services/", HTTP_GET, catalog_node_list, ROUTE_NODE_READ,
     ROUTE_REFUSES_NS, ROUTE_HERE},
    {"/v1/catalog/connect/", HTTP_GET, catalog_mesh, ROUTE_SERVICE_READ, ROUTE_REFUSES_NS,
     ROUTE_HERE},
    {"/v1/catalog/register", HTTP_PUT, catalog_register, ROUTE_NODE_WRITE,
     ROUTE_REFUSES_NS, ROUTE_HERE},
    {"/v1/catalog/deregister", HTTP_PUT, catalog_deregister, ROUTE_NODE_WRITE,
     ROUTE_REFUSES_NS, ROUTE_HERE},

    {"/v1/health/node/", HTTP_GET, health_node, ROUTE_NODE_READ, ROUTE_REFUSES_NS,
     ROUTE_HERE},
    {"/v1/health/checks/", HTTP_GET, health_checks, ROUTE_SERVICE_READ, ROUTE_REFUSES_NS,
     ROUTE_HERE},
    {"/v1/health/state/", HTTP_GET, health_state, ROUTE_SERVICE_READ, ROUTE_REFUSES_NS,
     ROUTE_HERE},
    {"/v1/health/service/", HTTP_GET, health_service, ROUTE_SERVICE_READ,
     ROUTE_REFUSES_NS, ROUTE_HERE},

    {"/v1/health/connect/", HTTP_GET, catalog_mesh, ROUTE_SERVICE_READ, ROUTE_REFUSES_NS,
     ROUTE_HERE},
    {"/v1/health/ingress/", HTTP_GET, catalog_mesh, ROUTE_SERVICE_READ, ROUTE_REFUSES_NS,
     ROUTE_HERE},

    {"/v1/status/leader", HTTP_GET, status_leader, ROUTE_OPEN, ROUTE_IGNORES_NS,
     ROUTE_HERE},
    {"/v1/status/peers", HTTP_GET, status_peers, ROUTE_OPEN, ROUTE_IGNORES_NS,
     ROUTE_HERE},
    {"/v1/coordinate/nodes", HTTP_GET, coordinate_nodes, ROUTE_NODE_READ,
     ROUTE_IGNORES_NS, ROUTE_HERE},
    {"/v1/coordinate/node/", HTTP_GET, coordinate_node, ROUTE_NODE_READ, ROUTE_IGNORES_NS,
     ROUTE_HERE},
    {"/v1/coordinate/datacenters", HTTP_GET, coordinate_datacenters, ROUTE_OPEN,
     ROUTE_IGNORES_NS, ROUTE_HERE},

    {"/v1/event/fire/", HTTP_PUT, event_fire, ROUTE_EVENT_WRITE, ROUTE_IGNORES_NS,
     ROUTE_HERE},
    {"/v1/event/list", HTTP_GET, event_list, ROUTE_EVENT_READ, ROUTE_IGNORES_NS,
     ROUTE_HERE},

    {"/v1/operator/keyring", HTTP_GET, operator_keyring_list, ROUTE_KEYRING_READ,
     ROUTE_IGNORES_NS, ROUTE_HERE},
    {"/v1/operator/keyring", HTTP_POST, operator_keyring_install, ROUTE_KEYRING_WRITE,
     ROUTE_IGNORES_NS, ROUTE_HERE},
    {"/v1/operator/keyring", HTTP_PUT, operator_keyring_use, ROUTE_KEYRING_WRITE,
     ROUTE_IGNORES_NS, ROUTE_HERE},
    {"/v1/operator/keyring", HTTP_DELETE, operator_keyring_remove, ROUTE_KEYRING_WRITE,
     ROUTE_IGNORES_NS, ROUTE_HERE},

    {"/v1/operator/link/revoked", HTTP_GET, operator_link_revoked, ROUTE_KEYRING_READ,
     ROUTE_IGNORES_NS, ROUTE_HERE},
    {"/v1/operator/link/revoke", HTTP_PUT, operator_link_revoke, ROUTE_KEYRING_WRITE,
     ROUTE_IGNORES_NS, ROUTE_AT_SERVER},

    {"/v1/kv/", HTTP_GET, kv_answer_get, ROUTE_KEY_READ, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
    {"/v1/kv/", HTTP_PUT, kv_answer_put, ROUTE_KEY_WRITE, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
    {"/v1/kv/", HTTP_DELETE, kv_answer_delete, ROUTE_KEY_WRITE, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
    {"/v1/query", HTTP_GET, prepared_list, ROUTE_QUERY_READ, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
    {"/v1/query", HTTP_POST, prepared_create, ROUTE_QUERY_WRITE, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
    {"/v1/query/", HTTP_GET, prepared_get, ROUTE_QUERY_READ, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
    {"/v1/query/", HTTP_PUT, prepared_update, ROUTE_QUERY_WRITE, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
    {"/v1/query/", HTTP_DELETE, prepared_delete, ROUTE_QUERY_WRITE, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
    {"/v1/snapshot", HTTP_GET, snapshot_get, ROUTE_OPERATOR_WRITE, ROUTE_IGNORES_NS,
     ROUTE_AT_SERVER},
    {"/v1/snapshot", HTTP_PUT, snapshot_put, ROUTE_OPERATOR_WRITE, ROUTE_IGNORES_NS,
     ROUTE_AT_SERVER},
    {"/v1/operator/raft/configuration", HTTP_GET, operator_raft_configuration,
     ROUTE_OPERATOR_READ, ROUTE_IGNORES_NS, ROUTE_AT_SERVER},
    {"/v1/operator/raft/peer", HTTP_DELETE, operator_raft_peer, ROUTE_OPERATOR_WRITE,
     ROUTE_IGNORES_NS, ROUTE_AT_SERVER},
    {"/v1/operator/autopilot/configuration", HTTP_GET, operator_autopilot_configuration,
     ROUTE_OPERATOR_READ, ROUTE_IGNORES_NS, ROUTE_AT_SERVER},
    {"/v1/operator/autopilot/configuration", HTTP_PUT, operator_autopilot_configure,
     ROUTE_OPERATOR_WRITE, ROUTE_IGNORES_NS, ROUTE_AT_SERVER},
    {"/v1/operator/autopilot/health", HTTP_GET, operator_autopilot_health,
     ROUTE_OPERATOR_READ, ROUTE_IGNORES_NS, ROUTE_AT_SERVER},
    {"/v1/operator/autopilot/state", HTTP_GET, operator_autopilot_state,
     ROUTE_OPERATOR_READ, ROUTE_IGNORES_NS, ROUTE_AT_SERVER},
    {"/v1/session/create", HTTP_PUT, session_create, ROUTE_SESSION_WRITE,
     ROUTE_REFUSES_NS, ROUTE_AT_SERVER},
    {"/v1/session/destroy/", HTTP_PUT, session_destroy, ROUTE_SESSION_WRITE,
     ROUTE_REFUSES_NS, ROUTE_AT_SERVER},
    {"/v1/session/renew/", HTTP_PUT, session_renew, ROUTE_SESSION_WRITE, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
    {"/v1/session/info/", HTTP_GET, session_info, ROUTE_SESSION_READ, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
    {"/v1/session/node/", HTTP_GET, session_node, ROUTE_SESSION_READ, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
    {"/v1/session/list", HTTP_GET, session_list, ROUTE_SESSION_READ, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
    {"/v1/txn", HTTP_PUT, txn_put, ROUTE_KEY_WRITE, ROUTE_REFUSES_NS, ROUTE_AT_SERVER},

    {"/v1/postgres", HTTP_GET, postgres_list, ROUTE_OPERATOR_READ, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
    {"/v1/postgres/", HTTP_GET, postgres_get, ROUTE_OPERATOR_READ, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
    {"/v1/postgres/", HTTP_PUT, postgres_put, ROUTE_OPERATOR_WRITE, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},

    {ACL "bootstrap", HTTP_PUT, acl_bootstrap, ROUTE_OPEN, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
    {ACL "replication", HTTP_GET, acl_replication, ROUTE_OPEN, ROUTE_REFUSES_NS,
     ROUTE_HERE},
    {ACL "explain", HTTP_GET, acl_explain, ROUTE_TOKEN, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
    {ACL "tokens", HTTP_GET, acl_token_list, ROUTE_ACL_READ, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
    {ACL "token", HTTP_PUT, acl_token_create, ROUTE_ACL_WRITE, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
    {ACL "token/", HTTP_GET, acl_token_read, ROUTE_ACL_READ, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
    {ACL "token/", HTTP_PUT, acl_token_update, ROUTE_ACL_WRITE, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
    {ACL "token/", HTTP_DELETE, acl_token_delete, ROUTE_ACL_WRITE, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
    {ACL "policies", HTTP_GET, acl_policy_list, ROUTE_ACL_READ, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
    {ACL "policy", HTTP_PUT, acl_policy_create, ROUTE_ACL_WRITE, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
    {ACL "policy/", HTTP_GET, acl_policy_read, ROUTE_ACL_READ, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
    {ACL "policy/", HTTP_PUT, acl_policy_update, ROUTE_ACL_WRITE, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
    {ACL "policy/", HTTP_DELETE, acl_policy_delete, ROUTE_ACL_WRITE, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
    {ACL "roles", HTTP_GET, acl_role_list, ROUTE_ACL_READ, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
    {ACL "role", HTTP_PUT, acl_role_create, ROUTE_ACL_WRITE, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
    {ACL "role/", HTTP_GET, acl_role_read, ROUTE_ACL_READ, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
    {ACL "role/", HTTP_PUT, acl_role_update, ROUTE_ACL_WRITE, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
    {ACL "role/", HTTP_DELETE, acl_role_delete, ROUTE_ACL_WRITE, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
    {ACL "create", HTTP_PUT, acl_gone, ROUTE_OPEN, ROUTE_REFUSES_NS, ROUTE_HERE},
    {ACL "update", HTTP_PUT, acl_gone, ROUTE_OPEN, ROUTE_REFUSES_NS, ROUTE_HERE},
    {ACL "destroy/", HTTP_PUT, acl_gone, ROUTE_OPEN, ROUTE_REFUSES_NS, ROUTE_HERE},
    {ACL "info/", HTTP_GET, acl_gone, ROUTE_OPEN, ROUTE_REFUSES_NS, ROUTE_HERE},
    {ACL "clone/", HTTP_PUT, acl_gone, ROUTE_OPEN, ROUTE_REFUSES_NS, ROUTE_HERE},
    {ACL "list", HTTP_GET, acl_gone, ROUTE_OPEN, ROUTE_REFUSES_NS, ROUTE_HERE},
    {ACL "rules/translate", HTTP_POST, acl_gone, ROUTE_OPEN, ROUTE_REFUSES_NS,
     ROUTE_HERE},
    {ACL "rules/translate/", HTTP_GET, acl_gone, ROUTE_OPEN, ROUTE_REFUSES_NS,
     ROUTE_HERE},
    {ACL "auth-methods", HTTP_GET, acl_absent, ROUTE_OPEN, ROUTE_REFUSES_NS, ROUTE_HERE},
    {ACL "auth-method", HTTP_PUT, acl_absent, ROUTE_OPEN, ROUTE_REFUSES_NS, ROUTE_HERE},
    {ACL "auth-method/", HTTP_GET, acl_absent, ROUTE_OPEN, ROUTE_REFUSES_NS, ROUTE_HERE},
    {ACL "auth-method/", HTTP_PUT, acl_absent, ROUTE_OPEN, ROUTE_REFUSES_NS, ROUTE_HERE},
    {ACL "auth-method/", HTTP_DELETE, acl_absent, ROUTE_OPEN, ROUTE_REFUSES_NS,
     ROUTE_HERE},
    {ACL "binding-rules", HTTP_GET, acl_absent, ROUTE_OPEN, ROUTE_REFUSES_NS, ROUTE_HERE},
    {ACL "binding-rule", HTTP_PUT, acl_absent, ROUTE_OPEN, ROUTE_REFUSES_NS, ROUTE_HERE},
    {ACL "binding-rule/", HTTP_GET, acl_absent, ROUTE_OPEN, ROUTE_REFUSES_NS, ROUTE_HERE},
    {ACL "binding-rule/", HTTP_PUT, acl_absent, ROUTE_OPEN, ROUTE_REFUSES_NS, ROUTE_HERE},
    {ACL "binding-rule/", HTTP_DELETE, acl_absent, ROUTE_OPEN, ROUTE_REFUSES_NS,
     ROUTE_HERE},
    {ACL "login", HTTP_POST, acl_absent, ROUTE_OPEN, ROUTE_REFUSES_NS, ROUTE_HERE},
    {ACL "logout", HTTP_POST, acl_absent, ROUTE_OPEN, ROUTE_REFUSES_NS, ROUTE_HERE},
    {ACL "templated-policies", HTTP_GET, acl_absent, ROUTE_OPEN, ROUTE_REFUSES_NS,
     ROUTE_HERE},
    {ACL "templated-policy/", HTTP_GET, acl_absent, ROUTE_OPEN, ROUTE_REFUSES_NS,
     ROUTE_HERE},
    {"/v1/internal/acl/subject", HTTP_GET, acl_subject, ROUTE_TOKEN, ROUTE_IGNORES_NS,
     ROUTE_AT_SERVER},
    {"/v1/internal/acl/changes", HTTP_GET, acl_changes, ROUTE_OPEN, ROUTE_IGNORES_NS,
     ROUTE_AT_SERVER},
    {"/v1/internal/ui/services", HTTP_GET, ui_services, ROUTE_SERVICE_READ,
     ROUTE_REFUSES_NS, ROUTE_HERE},
    {"/v1/internal/ui/nodes", HTTP_GET, ui_nodes, ROUTE_NODE_READ, ROUTE_REFUSES_NS,
     ROUTE_HERE},
    {"/v1/internal/ui/proxies", HTTP_GET, ui_proxies, ROUTE_SERVICE_READ,
     ROUTE_REFUSES_NS, ROUTE_HERE},
    {"/v1/internal/ui/gossip", HTTP_GET, ui_gossip, ROUTE_AGENT_READ, ROUTE_REFUSES_NS,
     ROUTE_HERE},
    {"/v1/internal/ui/events", HTTP_GET, ui_events, ROUTE_NODE_READ, ROUTE_REFUSES_NS,
     ROUTE_HERE},
    {"/v1/internal/ui/node/", HTTP_GET, ui_node, ROUTE_NODE_READ, ROUTE_REFUSES_NS,
     ROUTE_HERE},
    {"/v1/internal/ui/registrations", HTTP_GET, ui_registrations, ROUTE_SERVICE_READ,
     ROUTE_REFUSES_NS, ROUTE_HERE},
    {"/v1/prometheus/services", HTTP_GET, prometheus_services, ROUTE_SERVICE_READ,
     ROUTE_REFUSES_NS, ROUTE_HERE},
    {"/v1/prometheus/nodes", HTTP_GET, prometheus_nodes, ROUTE_NODE_READ,
     ROUTE_REFUSES_NS, ROUTE_HERE},
    {"/v1/internal/ui/locks", HTTP_GET, ui_locks, ROUTE_KEY_READ, ROUTE_REFUSES_NS,
     ROUTE_AT_SERVER},
};

/* Parts of Consul's API that are not here. 404 is what its clients take for "nothing there";
 * the words about ACLs and Connect are Consul's own for an agent without them. */
static const struct {
    const char *prefix;
    unsigned status;
    const char *text;
} absent[] = {
    {"/v1/acl/", 401, "ACL support disabled"},
    {"/v1/coordinate/update", 501,
     "A coordinate is measured by the gossip of its own node; it cannot be set"},
    {"/v1/operator/", 404,
     "Operator endpoints are not available in this version of rollcall"},
    {"/v1/agent/connect/", 500, "Connect must be enabled in order to use this endpoint"},
    {"/v1/connect/ca/", 500, "Connect must be enabled in order to use this endpoint"},
    {"/v1/connect/", 404, "rollcall is no service mesh"},
    {"/v1/config", 404, "rollcall is no service mesh"},
};

enum {
    ROUTE_COUNT = sizeof routes / sizeof routes[0],
    SNAPSHOT_MAX = 256 << 20,
    LOCATION_BYTES_MAX = 4 * TARGET_BYTES_MAX, /* three bytes for one, when escaped */
};

/* Bodies that may be longer than the rest, by the setting that says so in Consul. */
static const struct {
    const char *path;
    uint64_t max;
    const char *setting;
} bodies[] = {
    {"/v1/kv/", STORE_VALUE_MAX, "kv_max_value_size"},
    {"/v1/txn", STORE_VALUE_MAX, "txn_max_req_len"},
    {"/v1/snapshot", SNAPSHOT_MAX, "the largest snapshot"},
};

const struct route *routes_all(size_t *count)
{
    *count = ROUTE_COUNT;
    return routes;
}

/* The size of `pattern` if it fits `path`, else 0; looks no further than where they differ. */
static size_t fit(const char *pattern, const char *path)
{
    size_t size = 0;

    while (pattern[size] != '\0' && pattern[size] == path[size]) {
        size++;
    }
    if (pattern[size] != '\0') {
        return 0;
    }
    bool is_prefix = size > 1 && pattern[size - 1] == '/';
    return is_prefix || path[size] == '\0' ? size : 0;
}

uint64_t routes_body_max(const char *path, uint64_t others)
{
    for (size_t i = 0; path != NULL && i < sizeof bodies / sizeof bodies[0]; i++) {
        if (fit(bodies[i].path, path) > 0) {
            return bodies[i].max;
        }
    }
    return others;
}

void routes_refuse_body(struct http_exchange *x, uint64_t size)
{
    const char *path = x->target.path != NULL ? x->target.path : "";

    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        if (bodies[i].setting != NULL && fit(bodies[i].path, path) > 0) {
            exchange_error(
                x, 413,
                "Request body(%" PRIu64 " bytes) too large, max size: %" PRIu64
                " bytes. See https://www.consul.io/docs/agent/options.html#%s.",
                size, bodies[i].max, bodies[i].setting);
            return;
        }
    }
    exchange_error(x, 413, "Request body is too large");
}

/* The first row of the pattern that fits `path` best, or NULL. */
static const struct route *find(const char *path)
{
    const struct route *best = NULL;
    size_t best_size = 0;

    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        size_t size = fit(routes[i].path, path);
        if (size > best_size) {
            best = &routes[i];
            best_size = size;
        }
    }
    return best;
}

/* Looked for once a request, however often it runs. */
static const struct route *first_of(struct http_exchange *x)
{
    if (x->route == NULL && x->target.path != NULL) {
        x->route = find(x->target.path);
    }
    return x->route;
}

const char *routes_label(struct http_exchange *x)
{
    const struct route *route = first_of(x);
    return route != NULL ? route->path : "";
}

static const struct route *with_method(const struct route *first, enum http_method method)
{
    for (const struct route *row = first; row < routes + ROUTE_COUNT; row++) {
        if (row->method == method && strcmp(row->path, first->path) == 0) {
            return row;
        }
    }
    return NULL;
}

const struct route *routes_find(const char *path, enum http_method method)
{
    const struct route *first = find(path);
    return first != NULL ? with_method(first, method) : NULL;
}

static void allow(struct http_exchange *x, const struct route *first)
{
    static const struct {
        enum http_method method;
        const char *name;
    } order[] = {
        {HTTP_GET, ",GET"},
        {HTTP_PUT, ",PUT"},
        {HTTP_POST, ",POST"},
        {HTTP_DELETE, ",DELETE"},
    };
    char text[64] = "OPTIONS";

    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        if (with_method(first, order[i].method) != NULL) {
            size_t used = strlen(text);
            (void)rc_text_put(text + used, sizeof text - used, order[i].name);
        }
    }
    exchange_header(x, "Allow", text);
}

/* Whether it is worth looking closer. */
static bool is_unclean(const char *path)
{
    return strstr(path, "//") != NULL || strstr(path, "/.") != NULL;
}

/* The path as it should have been asked for, as Go's mux answers an unclean one. */
static bool redirect_unclean(struct http_exchange *x)
{
    struct rc_buffer clean = {.max = LOCATION_BYTES_MAX};
    struct rc_buffer location = {.max = LOCATION_BYTES_MAX};
    bool differs = target_clean_path(&x->target, &clean);

    if (differs) {
        target_encode_path(rc_buffer_string(&clean), &location);
        if (x->target.raw_query != NULL) {
            rc_buffer_byte(&location, '?');
            rc_buffer_text(&location, x->target.raw_query);
        }
        exchange_header(x, "Location", rc_buffer_string(&location));
        rc_buffer_clear(&x->out);
        rc_buffer_text(&x->out, "<a href=\"");
        for (const char *c = rc_buffer_string(&location); *c != '\0'; c++) {
            if (*c == '&') {
                rc_buffer_text(&x->out, "&amp;");
            } else if (strchr("<>\"'", *c) != NULL) {
                rc_buffer_format(&x->out, "&#%d;", *c);
            } else {
                rc_buffer_byte(&x->out, (uint8_t)*c);
            }
        }
        rc_buffer_text(&x->out, "\">Moved Permanently</a>.\n\n");
        x->status = 301;
        x->content_type = "text/html; charset=utf-8";
    }
    rc_buffer_fini(&clean);
    rc_buffer_fini(&location);
    return differs;
}

static void answer_unknown(struct http_exchange *x)
{
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) {
        if (rc_text_starts_with(x->target.path, absent[i].prefix)) {
            exchange_error(x, absent[i].status, "%s", absent[i].text);
            return;
        }
    }
    rc_buffer_clear(&x->out);
    x->status = 404;
}

void routes_answer(struct http_api *api, struct http_exchange *x)
{
    assert(x->target.path != NULL);

    x->outcome = EXCHANGE_ANSWERED;
    x->header_count = 0; /* what a run before the wait may have left */
    rc_buffer_clear(&x->header_text);
    if (is_unclean(x->target.path) && redirect_unclean(x)) {
        return;
    }
    const struct route *first = first_of(x);
    if (first == NULL) {
        answer_unknown(x);
        return;
    }
    if (x->method == HTTP_OPTIONS) {
        allow(x, first);
        exchange_done(x);
        return;
    }
    const struct route *route = with_method(first, x->method);
    if (route == NULL) {
        allow(x, first);
        exchange_error(x, 405, "method %s not allowed", x->method_name);
        return;
    }
    if (route->namespaces == ROUTE_REFUSES_NS &&
        target_parameter(&x->target, "ns") != NULL) {
        exchange_error(x, 400,
                       "Bad request: Invalid query parameter: \"ns\" - Namespaces are a "
                       "Consul Enterprise feature");
        return;
    }
    if (route->place == ROUTE_HERE && x->node != NULL) {
        exchange_error(x, 403, "Only what servers answer is relayed to them");
        return;
    }
    if (!permits_admit(api, x, route)) {
        return;
    }
    if (route->place == ROUTE_AT_SERVER && api->store == NULL) {
        relay_forward(api, x);
        return;
    }
    size_t size = strlen(route->path);
    x->argument = route->path[size - 1] == '/' ? x->target.path + size : "";
    route->answer(api, x);
}
