/* endpoints.h - the handlers, one file a group (consul-api.md sections 5-7 and 13).
 *
 * Each answers one row of the table in routes.c. */
#ifndef AGENT_HTTP_ENDPOINTS_H
#define AGENT_HTTP_ENDPOINTS_H

#include <jansson.h>

#include "agent/gossip/gossip.h"
#include "agent/http/routes.h"
#include "agent/local/local.h"

/* agent_facts.c: who this agent is and whom it sees. */
http_handler agent_self;
http_handler agent_members;
http_handler agent_version;

/* agent_metrics.c: its counters. */
http_handler agent_metrics;

/* agent_debug.c: how gossip is doing, and why. */
http_handler agent_debug_gossip;

/* agent_dns.c: how DNS answers a question, and why. */
http_handler agent_dns;

/* agent_control.c: what changes the agent as a whole. */
http_handler agent_join;
http_handler agent_leave;
http_handler agent_force_leave;
http_handler agent_reload;
http_handler agent_maintenance;
http_handler agent_monitor;

/* agent_services.c: the services registered here. */
http_handler agent_services;
http_handler agent_service;
http_handler agent_service_register;
http_handler agent_service_deregister;
http_handler agent_service_deregister_by_get;
http_handler agent_service_maintenance;

/* agent_checks.c: the checks registered here. */
http_handler agent_checks;
http_handler agent_check_register;
http_handler agent_check_deregister;
http_handler agent_check_pass;
http_handler agent_check_warn;
http_handler agent_check_fail;
http_handler agent_check_update;

/* agent_health.c: how a service of this agent stands, as a status code. */
http_handler agent_health_by_id;
http_handler agent_health_by_name;

/* catalog_endpoints.c: nodes and services of the whole pool. */
http_handler catalog_datacenters;
http_handler catalog_nodes;
http_handler catalog_services;
http_handler catalog_service_nodes;
http_handler catalog_node_map;
http_handler catalog_node_list;
http_handler catalog_mesh;
http_handler catalog_register;
http_handler catalog_deregister;

/* health_endpoints.c: checks of the whole pool. */
http_handler health_node;
http_handler health_checks;
http_handler health_state;
http_handler health_service;

/* acl_endpoints.c: the first token, and what is said of tokens. */
http_handler acl_bootstrap;
http_handler acl_replication;
http_handler acl_explain;
http_handler acl_subject;
http_handler acl_gone;
http_handler acl_absent;

/* permits_news.c: when what is said of tokens has changed. */
http_handler acl_changes;

/* acl_tokens.c: tokens. */
http_handler acl_token_list;
http_handler acl_token_create;
http_handler acl_token_read;
http_handler acl_token_update;
http_handler acl_token_delete;

/* acl_policies.c: policies and roles. */
http_handler acl_policy_list;
http_handler acl_policy_create;
http_handler acl_policy_read;
http_handler acl_policy_update;
http_handler acl_policy_delete;
http_handler acl_role_list;
http_handler acl_role_create;
http_handler acl_role_read;
http_handler acl_role_update;
http_handler acl_role_delete;

/* prometheus_endpoints.c: whom Prometheus asks. */
http_handler prometheus_services;
http_handler prometheus_nodes;

/* status_endpoints.c: is anybody there. */
http_handler status_leader;
http_handler status_peers;

/* coordinate_endpoints.c: how far everybody is from everybody. */
http_handler coordinate_nodes;
http_handler coordinate_node;
http_handler coordinate_datacenters;

/* event_endpoints.c: user events. */
http_handler event_fire;
http_handler event_list;

/* agent_gossip.c: ours, not Consul's: members in full, and Serf's queries. */
http_handler agent_gossip_members;
http_handler agent_query;

/* ui_proxies.c: what the proxies of the pool say of themselves. */
http_handler ui_proxies;

/* ui_gossip.c: figures of gossip, without its secrets. */
http_handler ui_gossip;

/* ui_events.c: what has changed in the pool lately. */
http_handler ui_events;

/* ui_endpoints.c: summaries for the status page. */
http_handler ui_services;
http_handler ui_nodes;
http_handler ui_node;
http_handler ui_locks;         /* ui_locks.c */
http_handler ui_registrations; /* ui_registrations.c */

/* operator_endpoints.c: what only operators do. */
http_handler operator_keyring_list;
http_handler operator_keyring_install;
http_handler operator_keyring_use;
http_handler operator_keyring_remove;

/* kv_read.c, kv_write.c: the keys of the store. */
http_handler kv_answer_get;
http_handler kv_answer_put;
http_handler kv_answer_delete;

/* session_endpoints.c: who may hold locks, and for how long. */
http_handler session_create;
http_handler session_destroy;
http_handler session_renew;
http_handler session_info;
http_handler session_node;
http_handler session_list;

/* txn_endpoints.c: several of these at once, or none. */
http_handler txn_put;

/* prepared_endpoints.c and prepared_write.c: questions that have a name. */
http_handler prepared_list;
http_handler prepared_create;
http_handler prepared_get;
http_handler prepared_update;
http_handler prepared_delete;

/* snapshot_endpoints.c: the store as a file. */
http_handler snapshot_get;
http_handler snapshot_put;

/* Wall time at which somebody last took one, as the store knows; 0: never. */
uint64_t snapshot_taken_ms(const struct http_api *api);

/* operator_store.c: the engine of the store, as Consul's raft and autopilot. */
http_handler operator_raft_configuration;
http_handler operator_raft_peer;
/* operator_links.c: keys of servers that are not trusted any more. */
http_handler operator_link_revoke;
http_handler operator_link_revoked;

/* operator_autopilot.c: settings of autopilot, which are kept. */
http_handler operator_autopilot_configuration;
http_handler operator_autopilot_configure;
http_handler operator_autopilot_health;
http_handler operator_autopilot_state;

/* postgres_read.c, postgres_write.c: the PostgreSQL clusters of the keepers. */
http_handler postgres_list;
http_handler postgres_get;
http_handler postgres_put;

/* request.c: what several of them do with a request. */

/* The body as JSON, owned by the caller; NULL: answered already. */
json_t *request_body(struct http_exchange *x);

/* Reads ?enable=. RC_OK, or RC_EINVAL: answered already. */
int request_enable(struct http_exchange *x, enum local_switch *out);

/* May that service (NULL: the node) go into maintenance? By ?force, ?safe (min_healthy is 1 where none
 * is configured) and ?safe=again (it has gone already). False: answered already, with 409. */
bool request_may_drain(struct http_api *api, struct http_exchange *x,
                       const char *service_id, enum local_switch enable);

/* Answers a write to local: 200, or the error in its words; and tells the agent. */
void request_written(struct http_api *api, struct http_exchange *x, int err);

struct local_now request_now(const struct http_api *api);

/* How often the status of a check of this agent changed in the last hour. */
unsigned request_flaps(const struct http_api *api, const char *check_id);

/* Whether the member is one of Consul's servers, or says so, and counts as alive. */
bool request_is_live_server(const struct gossip_member *member);

/* True when the client knows the members as they are: the handler must return. Otherwise the
 * index stands in the answer's headers. */
bool request_knows_members(struct http_api *api, struct http_exchange *x);

/* pages.c: the status page itself. */
http_handler pages_root;
http_handler pages_redirect;
http_handler pages_file;

#endif
