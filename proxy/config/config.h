/* config.h - what the proxy was told to do, checked and complete.
 *
 * Text in the form of config_text.h becomes one immutable tree: every default is
 * filled in, every name of a pool is an index, every unit is in the field's name. A
 * tree is read by all threads and never changed; a reload makes a new one. */
#ifndef PROXY_CONFIG_CONFIG_H
#define PROXY_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/buffer.h"
#include "base/network.h"
#include "proxy/config/config_route.h"

enum {
    CONFIG_NAME_MAX = 128, /* bytes of a pool, service or host name */
    CONFIG_FILE_MAX = 1 << 20,
    CONFIG_ERROR_MAX = 1024, /* message, source line and caret */
    CONFIG_PATH_MAX = 256,   /* of a certificate, with its NUL */
};

#define CONFIG_REGISTER_NAME "rollcall-proxy" /* of the service, unless it is said */

enum config_mode { CONFIG_HTTP, CONFIG_TCP, CONFIG_POSTGRES, CONFIG_MODE_COUNT };
enum config_balance {
    CONFIG_ROUND_ROBIN,
    CONFIG_LEAST_REQUEST,
    CONFIG_HASH, /* the same key goes to the same instance */
    CONFIG_BALANCE_COUNT
};
/* What a hash is made of. */
enum config_key {
    CONFIG_KEY_URI, /* the path without its query */
    CONFIG_KEY_HEADER,
    CONFIG_KEY_COOKIE,
    CONFIG_KEY_QUERY, /* one argument of the query */
    CONFIG_KEY_SOURCE,
    CONFIG_KEY_COUNT
};
enum config_probe { CONFIG_PROBE_NONE, CONFIG_PROBE_HTTP, CONFIG_PROBE_TCP };
enum config_target { CONFIG_TARGET_ANY, CONFIG_TARGET_PRIMARY, CONFIG_TARGET_STANDBY };
/* What becomes of SSLRequest: AUTO passes where the pool knows who is primary, else refuses. END: TLS
 * ends here, with a certificate of our own. */
enum config_tls { CONFIG_TLS_AUTO, CONFIG_TLS_PASS, CONFIG_TLS_REFUSE, CONFIG_TLS_END };
/* What becomes of cancel requests. */
enum config_cancel { CONFIG_CANCEL_FORWARD, CONFIG_CANCEL_DENY };
/* The header that connections to instances begin with: who the client is. */
enum config_proxy_send {
    CONFIG_PROXY_SEND_OFF,
    CONFIG_PROXY_SEND_V1,
    CONFIG_PROXY_SEND_V2
};
enum config_log_form {
    CONFIG_LOG_OFF,
    CONFIG_LOG_JSON,
    CONFIG_LOG_COMBINED,
    CONFIG_LOG_TEMPLATE
};

struct log_template;

/* `certificate FILE key FILE` */
struct config_certificate {
    char certificate[CONFIG_PATH_MAX]; /* with its chain, PEM */
    char key[CONFIG_PATH_MAX];
    unsigned line;
};

/* `tls { ... }` of listeners for http and tcp: TLS ends here. */
struct config_secure {
    struct config_certificate *certificates; /* owned; the first is the default */
    size_t certificate_count;
    bool strict;                     /* names without a certificate are refused */
    bool http2;                      /* offered by ALPN */
    bool only_1_3;                   /* minimum 1.3; else TLS 1.2 will do */
    uint32_t hsts_s;                 /* Strict-Transport-Security; 0 = not said */
    char hsts_line[64];              /* the field with its CRLF; "" = not said */
    uint32_t limit_ms;               /* for the handshake */
    uint32_t handshakes;             /* at once, a worker; more wait */
    char client_ca[CONFIG_PATH_MAX]; /* who vouches for clients; "" = nobody is asked */
    bool client_required;            /* none is served without a certificate */
};

/* `static 127.0.0.1:3001 weight 2` */
struct config_static {
    struct rc_address address;
    uint32_t weight;
};

/* `check http PATH { ... }`: the proxy asks each instance itself. */
struct config_check {
    enum config_probe kind;
    char path[256];
    char host[CONFIG_NAME_MAX]; /* "" = the instance's address */
    uint32_t every_ms;
    uint32_t timeout_ms;
    uint32_t failures; /* in a row until it is not used */
    uint32_t passes;   /* in a row until it is used again */
    uint32_t status_min;
    uint32_t status_max;
};

struct config_pool {
    char name[CONFIG_NAME_MAX];
    char service[CONFIG_NAME_MAX]; /* watched on the agent; "" = not */
    char tag[CONFIG_NAME_MAX];     /* only instances with this tag; "" = all */
    bool pattern; /* `from agent service *`: has no instances; see upstream/derived.h */
    char dns_name[256];         /* asked; "" = not */
    uint32_t dns_port;          /* 0: asked as SRV; else as A and AAAA, with this port */
    char file[CONFIG_PATH_MAX]; /* of instances, one a line; "" = none */
    struct config_static *statics; /* owned */
    size_t static_count;
    enum config_balance balance;
    uint32_t bounded_percent; /* hash: 125 = 1.25 times the average; 0 = off */
    enum config_key hash_by;
    char hash_name[64]; /* of the header, cookie or argument */
    char sticky[64];    /* the cookie that keeps a client at its instance; "" = off */
    char sticky_key
        [128];        /* its value cannot be foretold without it; "" = the pool's name */
    uint32_t near_ms; /* within this of the nearest: takes all; 0 = off */
    uint32_t panic_percent; /* fewer than these pass: all are used; 0 = off */
    struct config_check check;
    uint32_t slow_start_ms;
    uint32_t connect_timeout_ms;
    uint32_t response_timeout_ms; /* until the first byte of the response head */
    uint32_t queue_timeout_ms;    /* how long a request waits for a usable instance */
    uint32_t idle_ms;             /* a kept connection without use, upstream side */
    uint32_t max_connections;     /* per instance, all workers together */
    uint32_t max_requests;        /* the same of requests; 0 = as many as connections */
    uint32_t in_flight_max;       /* the smaller of the two */
    uint32_t queue_max;           /* requests that may wait, all workers together */
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
    /* TLS to the servers, whatever it was on this side. */
    char server_ca[CONFIG_PATH_MAX]; /* who vouches for them; "" = no TLS; or "system" */
    char server_name[CONFIG_NAME_MAX]; /* in their certificates; "" = their address */
    enum config_proxy_send proxy_send;
    unsigned line; /* in the file, for messages */
};

struct config_host {
    char name
        [CONFIG_NAME_MAX]; /* lower case; "*" = any other; "*.x" = one level or more */
    size_t name_size;
    struct config_route *routes; /* owned; in the order in which they are tried */
    size_t route_count;
};

struct config_listener {
    enum config_mode mode;
    struct rc_address address;
    char port_text[8];           /* of the address */
    unsigned line;               /* in the file, for messages */
    uint32_t max_connections;    /* all workers together */
    struct config_limits limits; /* of a client */
    uint32_t head_limit;         /* http: bytes of a request head */
    uint32_t header_lines;       /* http: of one */
    struct rc_network
        *proxied; /* owned: who must say by the PROXY protocol whom he brings */
    size_t proxied_count;
    /* http */
    /* Owned; exact names first (longer ones before, then by bytes), "*" last. */
    struct config_host *hosts;
    size_t host_count;
    size_t exact_hosts;         /* how many of them are exact */
    struct rc_network *trusted; /* owned: whose X-Forwarded-* we believe */
    size_t trusted_count;
    enum config_log_form log_form;
    char log_path[256];                /* "" = standard output */
    struct log_template *log_template; /* owned; TEMPLATE only */
    bool log_wants_agent; /* and referrer: fields of the request to be kept */
    bool log_wants_trace;
    uint32_t head_timeout_ms;
    uint32_t body_timeout_ms;
    uint32_t keepalive_ms;
    uint32_t http2_streams; /* of one connection, at once */
    bool http2_clear;       /* HTTP/2 without TLS, by its preface */
    /* tcp and postgres */
    size_t pool;
    uint32_t idle_ms; /* 0 = never */
    enum config_target target;
    bool fallback_primary; /* target standby: the primary, when no standby lives */
    uint32_t wait_for_primary_ms;
    uint32_t max_waiting;        /* clients of the pool held at once */
    uint32_t ramp;               /* held clients served in a second; 0 = all at once */
    enum config_tls tls;         /* http and tcp: END, or AUTO for none */
    struct config_secure secure; /* http and tcp with END */
    char certificate[CONFIG_PATH_MAX]; /* END: ours, with its chain, and its key */
    char key[CONFIG_PATH_MAX];
    bool tls_optional;     /* END: who asks for no TLS is served too */
    uint32_t tls_limit_ms; /* END: for the handshake and the start-up packet */
    enum config_cancel cancel;
    uint32_t cancel_rate; /* cancel requests in a second that go on; 0 = all */
    bool split;           /* a client may ask for a standby in its start-up packet */
};

struct config {
    uint32_t worker_threads;   /* 0 = one per core */
    struct rc_address admin;   /* family NONE = off */
    struct rc_address figures; /* the same, read only: metrics, figures, health */
    uint32_t drain_timeout_ms;
    uint32_t upgrade_timeout_ms; /* how long connections may last after an upgrade */
    uint32_t grace_ms;           /* after SIGTERM: still accepting, "Connection: close" */
    uint64_t buffer_limit_bytes; /* per worker */
    uint32_t max_connections;    /* of clients, in all; 0 = as the listeners say */
    struct rc_address agent;     /* whose HTTP API is watched; family NONE = off */
    uint32_t agent_wait_ms;
    char agent_token[CONFIG_NAME_MAX];   /* X-Consul-Token; "" = none */
    char register_name[CONFIG_NAME_MAX]; /* this proxy, as a service there; "" = not */
    struct rc_address dns_servers[4];
    size_t dns_server_count;
    uint32_t dns_min_ttl_ms;
    uint32_t dns_max_ttl_ms;
    uint32_t dns_hold_empty_ms;
    struct config_pool *pools; /* owned */
    size_t pool_count;
    struct config_listener *listeners; /* owned */
    size_t listener_count;
    size_t route_count; /* of all listeners together */
    size_t limit_count; /* of `limit` in listeners and routes */
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

/* True if `peer` lies in one of the listener's trusted networks. */
bool config_trusts(const struct config_listener *listener, const struct rc_address *peer);

/* The spelling in the file: "http", "round_robin", "primary". */
const char *config_mode_name(enum config_mode mode);
const char *config_balance_name(enum config_balance balance);
const char *config_target_name(enum config_target target);
const char *config_tls_name(enum config_tls tls);

#endif
