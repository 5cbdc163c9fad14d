/* config.h - what the proxy was told to do, checked and complete.
 *
 * Text in the form of config_text.h becomes one immutable tree: every default is
 * filled in, every name of a pool is an index, every unit is in the field's name. A
 * tree is read by all threads and never changed; a reload makes a new one. */
#ifndef PROXY_CONFIG_H
#define PROXY_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/buffer.h"

enum {
    CONFIG_NAME_MAX = 128, /* bytes of a pool, service or host name */
    CONFIG_FILE_MAX = 1 << 20,
    CONFIG_ERROR_MAX = 1024, /* message, source line and caret */
    CONFIG_STATUS_MAX = 8,   /* status codes in one `on_status` */
    CONFIG_PATH_MAX = 256,   /* of a certificate, with its NUL */
};

enum config_mode { CONFIG_HTTP, CONFIG_TCP, CONFIG_POSTGRES, CONFIG_MODE_COUNT };
enum config_balance {
    CONFIG_ROUND_ROBIN,
    CONFIG_LEAST_REQUEST,
    CONFIG_URI_HASH,
    CONFIG_BALANCE_COUNT
};
enum config_target { CONFIG_TARGET_ANY, CONFIG_TARGET_PRIMARY, CONFIG_TARGET_STANDBY };
/* What becomes of SSLRequest: AUTO passes where the pool knows who is primary, else refuses. END: TLS
 * ends here, with a certificate of our own. */
enum config_tls { CONFIG_TLS_AUTO, CONFIG_TLS_PASS, CONFIG_TLS_REFUSE, CONFIG_TLS_END };
/* What becomes of cancel requests. */
enum config_cancel { CONFIG_CANCEL_FORWARD, CONFIG_CANCEL_DENY };
enum config_log_form { CONFIG_LOG_OFF, CONFIG_LOG_JSON, CONFIG_LOG_COMBINED };

/* A network such as 10.0.0.0/8. */
struct config_network {
    struct rc_address address;
    unsigned bits;
};

/* `static 127.0.0.1:3001 weight 2` */
struct config_static {
    struct rc_address address;
    uint32_t weight;
};

struct config_pool {
    char name[CONFIG_NAME_MAX];
    char service[CONFIG_NAME_MAX]; /* watched on the agent; "" = not */
    char tag[CONFIG_NAME_MAX];     /* only instances with this tag; "" = all */
    char dns_name[256];            /* asked as SRV; "" = not */
    struct config_static *statics; /* owned */
    size_t static_count;
    enum config_balance balance;
    uint32_t bounded_percent; /* URI hash: 125 = 1.25 times the average; 0 = off */
    uint32_t slow_start_ms;
    uint32_t connect_timeout_ms;
    uint32_t response_timeout_ms; /* until the first byte of the response head */
    uint32_t queue_timeout_ms;    /* how long a request waits for a usable instance */
    uint32_t idle_ms;             /* a kept connection without use, upstream side */
    uint32_t max_connections;     /* per instance, all workers together */
    uint32_t outlier_failures;    /* in a row until ejection; 0 = never ejected */
    uint32_t outlier_base_ms;
    uint32_t outlier_max_percent; /* of the pool ejected at once */
    /* PostgreSQL: how the proxy asks each server itself what it is. */
    char probe_user[64]; /* "" = no probe: looked at when a session starts */
    char probe_database[64];
    char probe_password[128];
    uint32_t probe_every_ms;
    /* PostgreSQL under rollcall's keepers. */
    char postgres
        [CONFIG_NAME_MAX];  /* the cluster that is followed on the agent; "" = none */
    uint32_t view_max_ms;   /* age of the word about the primary; 0 = TTL less 1 s */
    bool view_keep;         /* sessions stay when it is older: view_loss keep */
    uint64_t max_lag_bytes; /* of a standby that is read; 0 = any */
    uint32_t max_lag_ms;
    uint32_t read_drain_ms; /* sessions on a standby that may not be read any more */
    /* PostgreSQL: TLS to the servers, for sessions that are in the clear here. */
    char server_ca[CONFIG_PATH_MAX];   /* who vouches for them; "" = no TLS */
    char server_name[CONFIG_NAME_MAX]; /* in their certificates; "" = their address */
    unsigned line;                     /* in the file, for messages */
};

struct config_route {
    char prefix[256];          /* of the path, "/" matches all; longest first */
    size_t pool;               /* index into config.pools */
    uint64_t body_limit_bytes; /* 0 = none */
    uint32_t retry_attempts;   /* in all; 1 = no retry */
    uint16_t retry_status[CONFIG_STATUS_MAX]; /* statuses that are retried; 0 ends */
    bool upgrade_websocket;
    uint32_t tunnel_idle_ms;
};

struct config_host {
    char name
        [CONFIG_NAME_MAX]; /* lower case; "*" = any other; "*.x" = one level or more */
    struct config_route *routes; /* owned; longest prefix first */
    size_t route_count;
};

struct config_listener {
    enum config_mode mode;
    struct rc_address address;
    unsigned line;            /* in the file, for messages */
    uint32_t max_connections; /* all workers together */
    /* http */
    struct config_host *hosts; /* owned; exact names first, "*" last */
    size_t host_count;
    struct config_network *trusted; /* owned: whose X-Forwarded-* we believe */
    size_t trusted_count;
    enum config_log_form log_form;
    char log_path[256]; /* "" = standard output */
    uint32_t head_timeout_ms;
    uint32_t body_timeout_ms;
    uint32_t keepalive_ms;
    /* tcp and postgres */
    size_t pool;
    uint32_t idle_ms; /* 0 = never */
    enum config_target target;
    bool fallback_primary; /* target standby: the primary, when no standby lives */
    uint32_t wait_for_primary_ms;
    uint32_t max_waiting; /* clients of the pool held at once */
    uint32_t ramp;        /* held clients served in a second; 0 = all at once */
    enum config_tls tls;
    char certificate[CONFIG_PATH_MAX]; /* END: ours, with its chain, and its key */
    char key[CONFIG_PATH_MAX];
    bool tls_optional;     /* END: who asks for no TLS is served too */
    uint32_t tls_limit_ms; /* END: for the handshake and the start-up packet */
    enum config_cancel cancel;
    uint32_t cancel_rate; /* cancel requests in a second that go on; 0 = all */
    bool split;           /* a client may ask for a standby in its start-up packet */
};

struct config {
    uint32_t worker_threads; /* 0 = one per core */
    struct rc_address admin; /* family NONE = off */
    uint32_t drain_timeout_ms;
    uint32_t grace_ms;           /* after SIGTERM: still accepting, "Connection: close" */
    uint64_t buffer_limit_bytes; /* per worker */
    struct rc_address agent;     /* whose HTTP API is watched; family NONE = off */
    uint32_t agent_wait_ms;
    char agent_token[CONFIG_NAME_MAX]; /* X-Consul-Token; "" = none */
    struct rc_address dns_servers[4];
    size_t dns_server_count;
    uint32_t dns_min_ttl_ms;
    uint32_t dns_max_ttl_ms;
    uint32_t dns_hold_empty_ms;
    struct config_pool *pools; /* owned */
    size_t pool_count;
    struct config_listener *listeners; /* owned */
    size_t listener_count;
};

/* Parses and checks `size` bytes; `name` is what messages call them. On RC_OK the caller
 * owns `*out`. On RC_EMALFORMED `error` holds "name:line:column: what is wrong", the line
 * itself and a caret below the place. RC_ENOMEM leaves `error` empty. */
int config_parse(const char *name, const char *text, size_t size, struct config **out,
                 char error[CONFIG_ERROR_MAX]);

/* Reads a file and parses it. RC_EIO when it cannot be read; `error` says why. */
int config_load(const char *path, struct config **out, char error[CONFIG_ERROR_MAX]);

/* Frees the whole tree. NULL is allowed. */
void config_destroy(struct config *config);

/* Appends the effective configuration: text that config_parse reads back to an equal tree. */
void config_print(const struct config *config, struct rc_buffer *out);

/* The listener's route for a request: `host` without port, lower case or not, and the
 * path up to `?`. NULL when no host or prefix matches. Borrowed from the tree. */
const struct config_route *config_find_route(const struct config_listener *listener,
                                             const char *host, size_t host_size,
                                             const char *path, size_t path_size);

/* True if `peer` lies in one of the listener's trusted networks. */
bool config_trusts(const struct config_listener *listener, const struct rc_address *peer);

/* The spelling in the file: "http", "round_robin", "primary". */
const char *config_mode_name(enum config_mode mode);
const char *config_balance_name(enum config_balance balance);
const char *config_target_name(enum config_target target);
const char *config_tls_name(enum config_tls tls);

#endif
