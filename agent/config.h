/* config.h - everything an agent can be told: by files, folders of files and flags.
 *
 * Consul's keys and flags, and a few of ours. Order of power: defaults, then files in the order
 * of the command line (a folder's in order of name), then flags. A later value replaces an earlier
 * one; lists and maps add up. Reading touches files only: host name, addresses of this machine and
 * the like are left to main, which sees NULL. The prefix is agent_config_, because the
 * proxy has a configuration too. */
#ifndef AGENT_CONFIG_H
#define AGENT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/catalog/definition.h"
#include "agent/unique_tag.h"
#include "agent/watch/watch_definition.h"
#include "base/buffer.h"
#include "base/logger.h"

enum { AGENT_CONFIG_ERROR_MAX = 768 };

/* Ports; 0 means closed. */
struct agent_ports {
    int64_t http;     /* 8500 */
    int64_t dns;      /* 8600 */
    int64_t serf_lan; /* 8301: gossip, UDP and TCP */
    int64_t server;   /* 8300: where servers are asked by other agents; 0: they are not */
};

/* See dns/answer/rate.h. */
struct agent_rate_config {
    bool enabled;      /* true */
    int64_t responses; /* a second; 0: no limit */
    int64_t nxdomains;
    int64_t errors;
    int64_t slip;
    struct definition_list exempt; /* networks; empty: the private ones */
};

/* See dns/answer/answer.h for what each does. */
struct agent_dns_config {
    int64_t workers; /* threads; 1 */
    uint64_t node_ttl_ms;
    struct definition_pairs service_ttls; /* name or "*" -> duration as written ("5s") */
    bool only_passing;
    bool enable_truncate; /* true: unlike Consul, a cut answer says so */
    bool disable_compression;
    bool node_meta_txt;       /* enable_additional_node_meta_txt; false */
    bool empty_service_ok;    /* ours: NODATA instead of NXDOMAIN when none is usable */
    bool consul_compat;       /* ours: as Consul where we differ on purpose */
    uint64_t max_stale_ms;    /* a node silent for longer: answers say so; 10 years */
    int64_t udp_answer_limit; /* 0: as many as fit */
    int64_t a_record_limit;   /* 0: none */
    uint64_t soa_refresh_ms;  /* 1 h */
    uint64_t soa_retry_ms;    /* 10 min */
    uint64_t soa_expire_ms;   /* 24 h */
    uint64_t soa_min_ttl_ms;  /* 0 */
    char *nsid;               /* NULL: not told */
    char *version;            /* in class CHAOS; NULL: refused */
    char *identity;           /* the same */
    char *cookie_secret;      /* NULL: random */
    struct agent_rate_config rate_limit;
    struct definition_list recursors;     /* addresses, or "resolv.conf"; none */
    struct definition_pairs forward;      /* name -> such words, with spaces between */
    struct definition_list recursion_for; /* networks; none: loopback and own */
    uint64_t recursor_timeout_ms;         /* of one try; 0: 800 ms */
    char *recursor_strategy;              /* NULL: "fastest" */
};

/* Tokens: see agent/http/permits.h. */
struct agent_acl_config {
    bool enabled;
    char *mode;           /* "off", "warn", "enforce"; NULL: enforce, once enabled */
    char *default_policy; /* "deny" or "allow": where no rule speaks; "deny" */
    char *down_policy;    /* "extend-cache" or "deny": when no server can be asked */
    char *default_token;  /* of requests without one; NULL: anonymous */
    char *dns_token;      /* of DNS; NULL: the one before */
    char *agent_token;    /* of watches of keys that have none; NULL: the one before */
    bool token_in_query;  /* ?token= is taken; false */
    char *audit_file;     /* lines about refusals and changes; NULL: none are kept */
};

/* What must be true at once, and where that is kept: see config_store.h. */
struct agent_store_config {
    char *engine; /* "sqlite", "etcd", "memory", "none"; NULL: as `server` and -dev say */
    char *path;   /* folder of SQLite; NULL: <data_dir>/store */
    struct definition_list endpoints; /* of etcd's members */
    char *prefix; /* of our keys there; NULL: "rollcall/<datacenter>/" */
    char *ca_file;
    char *cert_file;
    char *key_file;
    char *user;
    char *password_file;
    uint64_t request_timeout_ms;      /* of one request to etcd; 1 s */
    uint64_t session_node_timeout_ms; /* a node may be away that long; 5 s */
    int64_t session_ttl_factor;       /* a session lives this many TTLs; 1 */
};

/* Requests on their way to servers. The port is ports.server, also called link.port. */
struct agent_link_config {
    bool allow_plaintext;  /* without a key of the pool also over the network */
    char *server_key_file; /* of a server; NULL: it does not prove to be one */
    struct definition_list
        server_public_keys; /* who may be asked; none: whoever is there */
};

/* A PostgreSQL server that this agent keeps: see config_postgres.h. */
struct agent_postgres_config {
    char *cluster; /* its name in the store; NULL: nothing is kept */
    char *service; /* in the catalog; "postgres" */
    char *data_dir;
    char *bin_dir;     /* of initdb, pg_rewind, ... */
    char *config_file; /* postgresql.conf, if not in data_dir */
    char *hba_file;    /* likewise */
    char *os_user;     /* whom it runs as when we are root; "postgres" */
    char *address;     /* told to the others; NULL: as advertised */
    int64_t port;      /* 5432 */
    char *listen;      /* listen_addresses; NULL: "*" */
    char *socket_dir;  /* of its Unix socket; NULL: no socket, 127.0.0.1 is asked */
    char *user;        /* of the keeper's own sessions; "rollcall" */
    char *database;    /* "postgres" */
    char *password_file;
    char *replication_user; /* "replicator" */
    char *replication_password_file;
    char *mode;                 /* "async", "sync", "strict"; "sync" */
    uint64_t ttl_ms;            /* of the lease; 3 s */
    uint64_t renew_ms;          /* 350 ms */
    int64_t priority;           /* 100 */
    bool no_failover;           /* never promoted but by hand */
    bool no_sync;               /* its confirmation never counts */
    char *upstream;             /* node to receive from; NULL: the primary */
    int64_t max_lag;            /* bytes; 16 MiB */
    bool auto_rebuild;          /* true: what cannot be rewound is copied anew */
    int64_t keep_old;           /* data folders kept when copied anew; 1 */
    int64_t max_rate;           /* of such a copy, KiB a second; 0: no limit */
    int64_t restart_attempts;   /* in place; 1 */
    uint64_t restart_budget_ms; /* 10 s */
    uint64_t probe_fail_ms;     /* 3 s */
    char *store_loss;           /* "fence" */
    char *watchdog;             /* device; NULL: none */
    bool start_warden;          /* true: the agent does when there is none */
    char *token;                /* NULL: that of acl.tokens.agent */
    bool initialize;            /* may make a new cluster */
};

/* Strings are owned and NULL when not given, unless a default stands there. */
struct agent_config {
    /* Who we are. */
    char *node_name; /* main takes the host name */
    char *node_id;   /* UUID; main keeps one in data_dir */
    struct definition_pairs node_meta;
    char *datacenter; /* "dc1" */
    char *domain;     /* "rollcall." */
    char *alt_domain; /* "consul." */
    char *data_dir;   /* NULL only with -dev: nothing is kept */
    char *pid_file;
    bool dev;
    bool server;
    bool bootstrap;
    int64_t bootstrap_expect;

    /* Where we are: IP addresses. */
    char *bind_addr; /* "0.0.0.0"; "127.0.0.1" with -dev */
    char
        *advertise_addr; /* main takes bind_addr, or picks one if that is 0.0.0.0 or :: */
    char *serf_lan_addr; /* gossip binds here instead of bind_addr */
    struct definition_list client_addrs; /* "127.0.0.1"; for HTTP and DNS */
    struct definition_list http_addrs; /* instead of client_addrs; may be unix:///path */
    struct definition_list
        allow_hosts; /* names in Host: besides our own; none: see guard.h */
    struct definition_list dns_addrs; /* instead of client_addrs */
    struct agent_ports ports;

    /* The others. start_join and retry_join are tried alike. */
    struct definition_list join; /* addresses or names, ":port" allowed */
    uint64_t retry_interval_ms;  /* 30 s */
    int64_t retry_max;           /* 0: no end */
    bool rejoin_after_leave;
    char *encrypt;                 /* base64 of 16, 24 or 32 bytes, checked */
    bool encrypt_verify_incoming;  /* true: nothing plain is taken, once there is a key */
    bool encrypt_verify_outgoing;  /* true: nothing plain is sent, once there is a key */
    bool disable_keyring_file;     /* what the pool does to its keys is not kept */
    char *profile;                 /* "lan" or "fast": gossip_profile_find() knows it */
    uint64_t reconnect_timeout_ms; /* 72 h; a minute at least */
    uint64_t
        advertise_reconnect_timeout_ms; /* of this node, told to all; 0: as they will */
    uint64_t tombstone_timeout_ms;      /* 24 h; a minute at least */

    /* How we behave. */
    enum rc_log_level log_level; /* info */
    bool log_json;
    bool leave_on_terminate; /* true, unlike Consul's servers */
    bool skip_leave_on_interrupt;
    bool enable_script_checks;
    bool enable_local_script_checks;
    bool enable_script_handlers;         /* of watches */
    int64_t check_output_max_size;       /* 4096 */
    int64_t http_connections_per_client; /* limits.http_max_conns_per_client; 200 */
    bool ui;                             /* true */
    struct agent_dns_config dns;
    struct agent_acl_config acl;
    struct agent_store_config store;
    uint64_t session_ttl_min_ms; /* 1 s; Consul has 10 s */
    struct agent_link_config link;
    struct agent_postgres_config postgres;

    /* What runs here. */
    size_t service_count;
    struct service_definition *services;
    size_t check_count;
    struct check_definition *checks;
    size_t watch_count;
    struct watch_definition *watches;
    size_t unique_tag_count;
    struct unique_tag *unique_tags; /* read at the start */

    /* What was read and understood, but has no effect here: "file:line:column: ...". */
    struct definition_list warnings;
};

/* Reads what `count` words of the command line behind "agent" say, and the files they name. May be
 * called again for a reload. On RC_OK `*out` is to be ended by agent_config_fini(); otherwise it is
 * left alone and `error` holds one line, such as
 * "web.hcl:3:5: invalid config key prot; did you mean port?".
 *
 * Returns RC_OK, RC_EMALFORMED, RC_EINVAL, RC_EIO or RC_ENOMEM. */
int agent_config_load(size_t count, char *const *words, struct agent_config *out,
                      char error[AGENT_CONFIG_ERROR_MAX]);

/* `rollcall validate`: reads files and folders as if by -config-file and -config-dir. The same
 * returns; `warnings` (may be NULL) gets one line each. */
int agent_config_validate(size_t count, char *const *paths, struct rc_buffer *warnings,
                          char error[AGENT_CONFIG_ERROR_MAX]);

/* Frees what it holds and zeroes it. A zeroed struct is allowed. */
void agent_config_fini(struct agent_config *config);

/* Appends the table of flags for `rollcall agent --help`. */
void agent_config_help(struct rc_buffer *out);

/* All settings but the secret ones as one JSON object under their own names (DebugConfig in
 * agent/self). Owned by the caller; NULL when memory is out. */
char *agent_config_dump(const struct agent_config *config);

#endif
