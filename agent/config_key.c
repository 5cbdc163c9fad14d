/* config_key.c - the one table of what an agent can be told: Consul's keys and flags (1.10's
 * documentation and later additions), and ours. */
#include "agent/config_key.h"

#include "agent/config.h"
#include "agent/config_recursors.h"
#include "agent/config_type.h"

#define ACTS(key, flag, type, member, help)                                          \
    {                                                                                \
        key, flag, &(type), offsetof(struct agent_config, member), CONFIG_ACTS, help \
    }
#define SECRET(key, member)                                                          \
    {                                                                                \
        key, NULL, &TEXT, offsetof(struct agent_config, member), CONFIG_SECRET, NULL \
    }
#define SILENT(key)                             \
    {                                           \
        key, NULL, NULL, 0, CONFIG_SILENT, NULL \
    }
#define WARNS(key)                             \
    {                                          \
        key, NULL, NULL, 0, CONFIG_WARNS, NULL \
    }
#define SILENT_FLAG(k, f)                  \
    {                                      \
        k, f, NULL, 0, CONFIG_SILENT, NULL \
    }
#define WARNS_FLAG(k, f)                  \
    {                                     \
        k, f, NULL, 0, CONFIG_WARNS, NULL \
    }
#define SILENT_SWITCH(k, f)                                 \
    {                                                       \
        k, f, &definition_bool_type, 0, CONFIG_SILENT, NULL \
    }
#define WARNS_SWITCH(k, f)                                 \
    {                                                      \
        k, f, &definition_bool_type, 0, CONFIG_WARNS, NULL \
    }

#define TEXT     definition_text_type
#define SWITCH   definition_bool_type
#define DURATION definition_duration_type
#define LIST     agent_config_list_type
#define COUNT    agent_config_count_type
#define PORT     agent_config_port_type
#define IP       agent_config_ip_type
#define IPS      agent_config_ips_type

const struct agent_config_key agent_config_keys[] = {
    /* What to read. */
    {NULL, "config-file", &TEXT, 0, CONFIG_SOURCE, "a file to read; may be repeated"},
    {NULL, "config-dir", &TEXT, 0, CONFIG_SOURCE,
     "a folder whose *.hcl and *.json are read in order of name; may be repeated"},
    {NULL, "hcl", &TEXT, 0, CONFIG_SOURCE, "settings themselves, as in a file"},
    {NULL, "dev", &SWITCH, 0, CONFIG_SOURCE,
     "a lone agent on 127.0.0.1 that keeps nothing on disk"},

    /* Who we are. */
    ACTS("node_name", "node", agent_config_name_type, node_name,
         "name of this node; default: the host name"),
    ACTS("node_id", "node-id", agent_config_uuid_type, node_id,
         "UUID of this node; default: made once and kept in the data folder"),
    ACTS("node_meta", "node-meta", agent_config_meta_type, node_meta,
         "key:value told about this node; may be repeated"),
    ACTS("datacenter", "datacenter", agent_config_datacenter_type, datacenter,
         "name of the datacenter; default: dc1"),
    ACTS("domain", "domain", agent_config_domain_type, domain,
         "domain answered by DNS; default: rollcall."),
    ACTS("alt_domain", "alt-domain", agent_config_domain_type, alt_domain,
         "a second domain; default: consul."),
    ACTS("data_dir", "data-dir", TEXT, data_dir,
         "folder for what must survive a restart"),
    ACTS("pid_file", "pid-file", TEXT, pid_file, "file to write the process id to"),
    ACTS("server", "server", SWITCH, server,
         "this agent keeps the store of keys, sessions and locks"),
    ACTS("bootstrap", "bootstrap", SWITCH, bootstrap,
         "the first server; accepted for Consul's sake"),
    ACTS("bootstrap_expect", "bootstrap-expect", COUNT, bootstrap_expect,
         "number of servers; accepted for Consul's sake"),

    /* Where we are. */
    ACTS("bind_addr", "bind", IP, bind_addr, "IP address for gossip; default: 0.0.0.0"),
    ACTS("advertise_addr", "advertise", IP, advertise_addr,
         "IP address told to others; default: that of -bind, or the private one"),
    ACTS("serf_lan", "serf-lan-bind", IP, serf_lan_addr,
         "IP address for gossip, instead of that of -bind"),
    ACTS("client_addr", "client", IPS, client_addrs,
         "IP addresses for HTTP and DNS, separated by spaces; default: 127.0.0.1"),
    ACTS("addresses.http", NULL, IPS, http_addrs, NULL),
    ACTS("addresses.dns", NULL, IPS, dns_addrs, NULL),
    ACTS("ports.http", "http-port", PORT, ports.http, "default: 8500; -1: no HTTP"),
    ACTS("ports.dns", "dns-port", PORT, ports.dns, "default: 8600; -1: no DNS"),
    ACTS("ports.serf_lan", "serf-lan-port", PORT, ports.serf_lan,
         "port of gossip; default: 8301"),
    ACTS("ports.server", "server-port", PORT, ports.server,
         "port where other agents ask a server; default: 8300"),
    ACTS("link.port", NULL, PORT, ports.server, NULL),
    ACTS("link.allow_plaintext", NULL, SWITCH, link.allow_plaintext, NULL),
    ACTS("link.server_key_file", NULL, TEXT, link.server_key_file, NULL),
    ACTS("link.server_public_keys", NULL, LIST, link.server_public_keys, NULL),

    /* The others. */
    ACTS("retry_join", "retry-join", agent_config_join_type, join,
         "address or name of a member, tried until one answers; may be repeated"),
    ACTS("start_join", "join", agent_config_join_type, join,
         "the same under its old name; may be repeated"),
    ACTS("retry_interval", "retry-interval", DURATION, retry_interval_ms,
         "time between such attempts; default: 30s"),
    ACTS("retry_max", "retry-max", COUNT, retry_max,
         "give up after so many; default: 0, never"),
    ACTS("rejoin_after_leave", "rejoin", SWITCH, rejoin_after_leave,
         "try the members of the last run also after leaving"),
    {"encrypt", "encrypt", &agent_config_encrypt_type,
     offsetof(struct agent_config, encrypt), CONFIG_SECRET,
     "key of the gossip, as rollcall keygen prints it"},
    ACTS("encrypt_verify_incoming", NULL, SWITCH, encrypt_verify_incoming, NULL),
    ACTS("encrypt_verify_outgoing", NULL, SWITCH, encrypt_verify_outgoing, NULL),
    ACTS("disable_keyring_file", "disable-keyring-file", SWITCH, disable_keyring_file,
         "do not keep what the pool does to its keys"),
    ACTS("profile", "profile", agent_config_profile_type, profile,
         "timers of the gossip: lan (Consul's) or fast; default: lan"),
    ACTS("reconnect_timeout", NULL, DURATION, reconnect_timeout_ms, NULL),
    ACTS("advertise_reconnect_timeout", NULL, DURATION, advertise_reconnect_timeout_ms,
         NULL),
    ACTS("tombstone_timeout", NULL, DURATION, tombstone_timeout_ms, NULL),

    /* How we behave. */
    ACTS("log_level", "log-level", agent_config_level_type, log_level,
         "trace, debug, info, warn or err; default: info"),
    ACTS("log_json", "log-json", SWITCH, log_json, "one JSON object a line"),
    ACTS("leave_on_terminate", NULL, SWITCH, leave_on_terminate, NULL),
    ACTS("skip_leave_on_interrupt", NULL, SWITCH, skip_leave_on_interrupt, NULL),
    SILENT("performance.leave_drain_time"),
    ACTS("enable_script_checks", "enable-script-checks", SWITCH, enable_script_checks,
         "allow script checks from files and from the API"),
    ACTS("enable_local_script_checks", "enable-local-script-checks", SWITCH,
         enable_local_script_checks, "allow script checks from files"),
    ACTS("enable_script_handlers", "enable-script-handlers", SWITCH,
         enable_script_handlers, "let watches of the files run programs"),
    SILENT("discard_check_output"),
    ACTS("check_output_max_size", NULL, COUNT, check_output_max_size, NULL),
    SILENT("check_update_interval"),
    ACTS("limits.http_max_conns_per_client", NULL, COUNT, http_connections_per_client,
         NULL),
    ACTS("http_config.allow_hosts", NULL, agent_config_hosts_type, allow_hosts, NULL),
    ACTS("ui_config.enabled", NULL, SWITCH, ui, NULL),
    ACTS("ui", "ui", SWITCH, ui, "serve the status page; default: true"),

    /* Tokens. */
    ACTS("acl.enabled", NULL, SWITCH, acl.enabled, NULL),
    ACTS("acl.mode", NULL, TEXT, acl.mode, NULL),
    ACTS("acl.default_policy", NULL, TEXT, acl.default_policy, NULL),
    ACTS("acl.down_policy", NULL, TEXT, acl.down_policy, NULL),
    ACTS("acl.token_in_query", NULL, SWITCH, acl.token_in_query, NULL),
    ACTS("acl.audit_file", NULL, TEXT, acl.audit_file, NULL),
    SECRET("acl.tokens.default", acl.default_token),
    SECRET("acl.tokens.dns", acl.dns_token),
    SECRET("acl.tokens.agent", acl.agent_token),
    SILENT("acl.enable_token_persistence"),
    SILENT("acl.enable_token_replication"),
    SILENT("acl.token_ttl"),
    SILENT("acl.policy_ttl"),
    SILENT("acl.role_ttl"),

    /* DNS. */
    ACTS("dns_config.workers", NULL, COUNT, dns.workers, NULL),
    ACTS("dns_config.node_ttl", NULL, DURATION, dns.node_ttl_ms, NULL),
    ACTS("dns_config.service_ttl", NULL, agent_config_ttls_type, dns.service_ttls, NULL),
    ACTS("dns_config.only_passing", NULL, SWITCH, dns.only_passing, NULL),
    ACTS("dns_config.enable_truncate", NULL, SWITCH, dns.enable_truncate, NULL),
    ACTS("dns_config.disable_compression", NULL, SWITCH, dns.disable_compression, NULL),
    ACTS("dns_config.enable_additional_node_meta_txt", NULL, SWITCH, dns.node_meta_txt,
         NULL),
    ACTS("dns_config.empty_service_ok", NULL, SWITCH, dns.empty_service_ok, NULL),
    ACTS("dns_config.consul_compat", NULL, SWITCH, dns.consul_compat, NULL),
    ACTS("dns_config.udp_answer_limit", NULL, COUNT, dns.udp_answer_limit, NULL),
    ACTS("dns_config.a_record_limit", NULL, COUNT, dns.a_record_limit, NULL),
    ACTS("dns_config.soa.refresh", NULL, agent_config_seconds_type, dns.soa_refresh_ms,
         NULL),
    ACTS("dns_config.soa.retry", NULL, agent_config_seconds_type, dns.soa_retry_ms, NULL),
    ACTS("dns_config.soa.expire", NULL, agent_config_seconds_type, dns.soa_expire_ms,
         NULL),
    ACTS("dns_config.soa.min_ttl", NULL, agent_config_seconds_type, dns.soa_min_ttl_ms,
         NULL),
    ACTS("dns_config.nsid", NULL, TEXT, dns.nsid, NULL),
    ACTS("dns_config.version", NULL, TEXT, dns.version, NULL),
    ACTS("dns_config.identity", NULL, TEXT, dns.identity, NULL),
    SECRET("dns_config.cookie_secret", dns.cookie_secret),
    ACTS("dns_config.rate_limit.enabled", NULL, SWITCH, dns.rate_limit.enabled, NULL),
    ACTS("dns_config.rate_limit.responses_per_second", NULL, COUNT,
         dns.rate_limit.responses, NULL),
    ACTS("dns_config.rate_limit.nxdomains_per_second", NULL, COUNT,
         dns.rate_limit.nxdomains, NULL),
    ACTS("dns_config.rate_limit.errors_per_second", NULL, COUNT, dns.rate_limit.errors,
         NULL),
    ACTS("dns_config.rate_limit.slip", NULL, COUNT, dns.rate_limit.slip, NULL),
    ACTS("dns_config.rate_limit.exempt", NULL, LIST, dns.rate_limit.exempt, NULL),
    SILENT("dns_config.allow_stale"),
    ACTS("dns_config.max_stale", NULL, DURATION, dns.max_stale_ms, NULL),
    SILENT("dns_config.use_cache"),
    SILENT("dns_config.cache_max_age"),
    SILENT("dns_config.prefer_namespace"),
    ACTS("dns_config.recursor_timeout", NULL, DURATION, dns.recursor_timeout_ms, NULL),
    ACTS("dns_config.recursor_strategy", NULL, agent_config_strategy_type,
         dns.recursor_strategy, NULL),
    ACTS("dns_config.recursion_for", NULL, agent_config_clients_type, dns.recursion_for,
         NULL),
    ACTS("dns_config.forward", NULL, agent_config_forward_type, dns.forward, NULL),
    ACTS("recursors", "recursor", agent_config_recursors_type, dns.recursors,
         "server that DNS asks about names of other domains, or resolv.conf; may be "
         "repeated"),

    /* The store. */
    ACTS("store.engine", "store-engine", TEXT, store.engine,
         "where a server keeps keys, sessions and locks: sqlite, etcd, memory or none; "
         "default: sqlite"),
    ACTS("store.path", NULL, TEXT, store.path, NULL),
    ACTS("store.endpoints", NULL, LIST, store.endpoints, NULL),
    ACTS("store.prefix", NULL, TEXT, store.prefix, NULL),
    ACTS("store.ca_file", NULL, TEXT, store.ca_file, NULL),
    ACTS("store.cert_file", NULL, TEXT, store.cert_file, NULL),
    ACTS("store.key_file", NULL, TEXT, store.key_file, NULL),
    ACTS("store.user", NULL, TEXT, store.user, NULL),
    ACTS("store.password_file", NULL, TEXT, store.password_file, NULL),
    ACTS("store.request_timeout", NULL, DURATION, store.request_timeout_ms, NULL),
    ACTS("store.session_node_timeout", NULL, DURATION, store.session_node_timeout_ms,
         NULL),
    ACTS("store.session_ttl_factor", NULL, COUNT, store.session_ttl_factor, NULL),
    ACTS("session_ttl_min", NULL, DURATION, session_ttl_min_ms, NULL),

    /* The PostgreSQL server beside us. */
    ACTS("postgres.cluster", NULL, TEXT, postgres.cluster, NULL),
    ACTS("postgres.service", NULL, TEXT, postgres.service, NULL),
    ACTS("postgres.data_dir", NULL, TEXT, postgres.data_dir, NULL),
    ACTS("postgres.bin_dir", NULL, TEXT, postgres.bin_dir, NULL),
    ACTS("postgres.config_file", NULL, TEXT, postgres.config_file, NULL),
    ACTS("postgres.hba_file", NULL, TEXT, postgres.hba_file, NULL),
    ACTS("postgres.os_user", NULL, TEXT, postgres.os_user, NULL),
    ACTS("postgres.address", NULL, IP, postgres.address, NULL),
    ACTS("postgres.port", NULL, PORT, postgres.port, NULL),
    ACTS("postgres.listen", NULL, TEXT, postgres.listen, NULL),
    ACTS("postgres.socket_dir", NULL, TEXT, postgres.socket_dir, NULL),
    ACTS("postgres.user", NULL, TEXT, postgres.user, NULL),
    ACTS("postgres.database", NULL, TEXT, postgres.database, NULL),
    ACTS("postgres.password_file", NULL, TEXT, postgres.password_file, NULL),
    ACTS("postgres.replication_user", NULL, TEXT, postgres.replication_user, NULL),
    ACTS("postgres.replication_password_file", NULL, TEXT,
         postgres.replication_password_file, NULL),
    ACTS("postgres.mode", NULL, TEXT, postgres.mode, NULL),
    ACTS("postgres.ttl", NULL, DURATION, postgres.ttl_ms, NULL),
    ACTS("postgres.renew", NULL, DURATION, postgres.renew_ms, NULL),
    ACTS("postgres.priority", NULL, COUNT, postgres.priority, NULL),
    ACTS("postgres.no_failover", NULL, SWITCH, postgres.no_failover, NULL),
    ACTS("postgres.no_sync", NULL, SWITCH, postgres.no_sync, NULL),
    ACTS("postgres.upstream", NULL, TEXT, postgres.upstream, NULL),
    ACTS("postgres.max_lag", NULL, COUNT, postgres.max_lag, NULL),
    ACTS("postgres.auto_rebuild", NULL, SWITCH, postgres.auto_rebuild, NULL),
    ACTS("postgres.keep_old", NULL, COUNT, postgres.keep_old, NULL),
    ACTS("postgres.max_rate", NULL, COUNT, postgres.max_rate, NULL),
    ACTS("postgres.restart_attempts", NULL, COUNT, postgres.restart_attempts, NULL),
    ACTS("postgres.restart_budget", NULL, DURATION, postgres.restart_budget_ms, NULL),
    ACTS("postgres.probe_fail", NULL, DURATION, postgres.probe_fail_ms, NULL),
    ACTS("postgres.store_loss", NULL, TEXT, postgres.store_loss, NULL),
    ACTS("postgres.watchdog", NULL, TEXT, postgres.watchdog, NULL),
    ACTS("postgres.start_warden", NULL, SWITCH, postgres.start_warden, NULL),
    SECRET("postgres.token", postgres.token),
    ACTS("postgres.initialize", NULL, SWITCH, postgres.initialize, NULL),

    /* What runs here. */
    {"service", NULL, &agent_config_services_type, 0, CONFIG_ACTS, NULL},
    {"services", NULL, &agent_config_services_type, 0, CONFIG_ACTS, NULL},
    {"check", NULL, &agent_config_checks_type, 0, CONFIG_ACTS, NULL},
    {"checks", NULL, &agent_config_checks_type, 0, CONFIG_ACTS, NULL},
    {"watches", NULL, &agent_config_watches_type, 0, CONFIG_ACTS, NULL},
    {"unique_tag", NULL, &agent_config_unique_type, 0, CONFIG_ACTS, NULL},

    /* Consul's, and without meaning here: there is no Raft, no remote execution, no update
     * check, no coordinates to disable, and metrics are always there. */
    SILENT_FLAG(NULL, "config-format"),
    SILENT_SWITCH("disable_host_node_id", "disable-host-node-id"),
    SILENT_FLAG("raft_protocol", "raft-protocol"),
    SILENT_FLAG("protocol", "protocol"),
    SILENT_FLAG("default_query_time", "default-query-time"),
    SILENT_FLAG("max_query_time", "max-query-time"),
    SILENT_FLAG("retry_interval_wan", "retry-interval-wan"),
    SILENT_FLAG("retry_max_wan", "retry-max-wan"),
    SILENT("performance.raft_multiplier"),
    SILENT("performance.rpc_hold_timeout"),
    SILENT("limits.rpc_rate"),
    SILENT("limits.rpc_max_burst"),
    SILENT("limits.rpc_max_conns_per_client"),
    SILENT("limits.rpc_handshake_timeout"),
    SILENT("limits.rpc_client_timeout"),
    SILENT("limits.https_handshake_timeout"),
    SILENT("limits.kv_max_value_size"),
    SILENT("limits.txn_max_req_len"),
    SILENT("limits.request_limits"),
    SILENT("autopilot"),
    SILENT("telemetry"),
    SILENT("disable_update_check"),
    SILENT("disable_remote_exec"),
    SILENT("disable_coordinates"),
    SILENT("disable_anonymous_signature"),
    SILENT("discovery_max_stale"),
    SILENT("reconnect_timeout_wan"),
    SILENT("primary_datacenter"),
    SILENT("rpc"),
    SILENT("cache"),
    SILENT("raft_snapshot_threshold"),
    SILENT("raft_snapshot_interval"),
    SILENT("raft_trailing_logs"),
    SILENT("raft_boltdb"),
    SILENT("raft_logstore"),
    SILENT("xds"),
    SILENT("enable_debug"),
    SILENT("experiments"),
    SILENT("ui_config.content_path"),
    SILENT("ui_config.metrics_provider"),
    SILENT("ui_config.metrics_provider_files"),
    SILENT("ui_config.metrics_provider_options_json"),
    SILENT("ui_config.metrics_proxy"),
    SILENT("ui_config.dashboard_url_templates"),
    SILENT("http_config.use_cache"),
    SILENT("http_config.max_header_bytes"),
    SILENT("http_config.allow_write_http_from"),

    /* Consul's, and not done here. */
    WARNS_FLAG("serf_wan", "serf-wan-bind"),
    WARNS_FLAG("advertise_addr_wan", "advertise-wan"),
    WARNS_FLAG("retry_join_wan", "retry-join-wan"),
    WARNS_FLAG("start_join_wan", "join-wan"),
    WARNS_FLAG("ports.https", "https-port"),
    WARNS_FLAG("ports.grpc", "grpc-port"),
    WARNS_FLAG("ports.grpc_tls", "grpc-tls-port"),
    SILENT_FLAG("ports.serf_wan", "serf-wan-port"),
    SILENT("ports.sidecar_min_port"),
    SILENT("ports.sidecar_max_port"),
    SILENT("ports.expose_min_port"),
    SILENT("ports.expose_max_port"),
    WARNS("addresses.https"),
    WARNS("addresses.grpc"),
    WARNS("addresses.grpc_tls"),
    WARNS_FLAG("log_file", "log-file"),
    WARNS_FLAG("log_rotate_bytes", "log-rotate-bytes"),
    WARNS_FLAG("log_rotate_duration", "log-rotate-duration"),
    WARNS_FLAG("log_rotate_max_files", "log-rotate-max-files"),
    WARNS_SWITCH("enable_syslog", "syslog"),
    WARNS("syslog_facility"),
    WARNS_FLAG("segment", "segment"),
    WARNS("segments"),
    WARNS_FLAG("ui_dir", "ui-dir"),
    WARNS_FLAG("ui_content_path", "ui-content-path"),
    WARNS("ui_config.dir"),
    WARNS("gossip_lan"),
    WARNS("gossip_wan"),
    WARNS("acl.enable_key_list_policy"),
    WARNS("acl.tokens.agent_recovery"),
    WARNS("acl.tokens.initial_management"),
    WARNS("acl.tokens.replication"),
    WARNS("acl_datacenter"),
    WARNS("acl_default_policy"),
    WARNS("acl_token"),
    WARNS("auto_config"),
    WARNS("auto_encrypt"),
    WARNS("auto_reload_config"),
    WARNS("config_entries"),
    WARNS("connect"),
    WARNS("peering"),
    WARNS("cloud"),
    WARNS("audit"),
    WARNS("license_path"),
    WARNS("partition"),
    WARNS("tls"),
    WARNS("ca_file"),
    WARNS("ca_path"),
    WARNS("cert_file"),
    WARNS("key_file"),
    WARNS("verify_incoming"),
    WARNS("verify_incoming_rpc"),
    WARNS("verify_incoming_https"),
    WARNS("verify_outgoing"),
    WARNS("verify_server_hostname"),
    WARNS("server_name"),
    WARNS("tls_min_version"),
    WARNS("tls_cipher_suites"),
    WARNS("tls_prefer_server_cipher_suites"),
    WARNS("enable_agent_tls_for_checks"),
    WARNS("enable_central_service_config"),
    WARNS("read_replica"),
    WARNS("non_voting_server"),
    WARNS("translate_wan_addrs"),
    WARNS("unix_sockets"),
    WARNS("use_streaming_backend"),
    WARNS("allow_write_http_from"),
    WARNS("http_config.block_endpoints"),
    WARNS("http_config.response_headers"),
    WARNS("node_prefix"),
};

const size_t agent_config_key_count =
    sizeof agent_config_keys / sizeof agent_config_keys[0];
