/* definition.h - what somebody wrote about a service or a check, before anything runs.
 *
 * Made from a JSON tree: the body of an API call, a block of a configuration file, or our
 * own record on disk. Names, leniency and error texts are Consul's (1.10, as captured): keys match
 * whatever their letter case and underscores (`EnableTagOverride`, `enable_tag_override`),
 * durations are Go's ("10s") or whole nanoseconds, null is the same as leaving a key out.
 * Pure: nothing is looked up, opened or started. */
#ifndef AGENT_CATALOG_DEFINITION_H
#define AGENT_CATALOG_DEFINITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "agent/catalog/check_status.h"

enum check_kind {
    CHECK_TTL,
    CHECK_HTTP,
    CHECK_TCP,
    CHECK_UDP,
    CHECK_SCRIPT,
    CHECK_GRPC,
    CHECK_DOCKER,
    CHECK_ALIAS,
    CHECK_H2PING,
    CHECK_OS_SERVICE,
    CHECK_POSTGRES, /* ours, as the next ones */
    CHECK_REDIS,
    CHECK_SYSTEMD,
    CHECK_KIND_COUNT
};

/* The word in a health check's `Type`: "ttl", "http", "script", ... Never NULL. */
const char *check_kind_name(enum check_kind kind);

/* A list of strings, all owned; order as written. */
struct definition_list {
    size_t count;
    char **items;
};

/* A list of key and value; order as written. A header with two values stands here twice. */
struct definition_pair {
    char *key;
    char *value;
};

struct definition_pairs {
    size_t count;
    struct definition_pair *items;
};

struct definition_address { /* one of `tagged_addresses` */
    char *tag;              /* "lan", "wan_ipv4", ... */
    char *address;
    int64_t port; /* 0: none given */
};

struct definition_addresses {
    size_t count;
    struct definition_address *items;
};

/* When a check fails: which unit of systemd is started anew. Only in files. */
struct definition_restart {
    char *unit;           /* owned; NULL: none is */
    int64_t after;        /* failing results in a row; 3 unless given */
    int64_t max_per_hour; /* 5 unless given */
};

/* Strings are owned and NULL when not given, but for the two that say otherwise. */
struct check_definition {
    char *id;         /* never NULL: given, or the name, or service:<id>[:N] */
    char *name;       /* never NULL */
    char *service_id; /* NULL: a check of the node */
    char *notes;
    enum check_kind kind;
    enum check_status status; /* before the first result; critical unless given */

    char *http; /* URL */
    char *method;
    struct definition_pairs header;
    char *body;
    char *tcp; /* host:port, as for udp and h2ping */
    char *udp;
    char *h2ping;
    char *grpc; /* host:port[/service] */
    char *tls_server_name;
    struct definition_list args; /* script, or what docker runs inside the container */
    char *docker_container_id;
    char *shell;
    char *os_service;
    char *alias_node;
    char *alias_service;
    char *postgres;      /* conninfo: "host=127.0.0.1 dbname=postgres user=health" */
    uint64_t max_lag_ms; /* a standby further behind is critical; 0: any lag will do */
    char *redis;         /* host:port */
    char *redis_role;    /* "master", "replica" */
    char *redis_user;
    char *redis_password_file;
    char *systemd;          /* a unit: "todomvc", "todomvc.service" */
    char *systemd_starting; /* how "activating" counts; NULL: as a warning */
    int64_t max_restarts;   /* more by systemd are a warning; 0: any number will do */
    struct definition_restart restart;

    uint64_t interval_ms; /* 0 for ttl and alias; otherwise as written, at least 1 */
    uint64_t timeout_ms;  /* 0: the default of the kind */
    uint64_t ttl_ms;
    uint64_t deregister_critical_service_after_ms; /* 0: never */
    int64_t success_before_passing;
    int64_t failures_before_warning;
    int64_t failures_before_critical;
    int64_t output_max_size; /* bytes; 0: the agent's limit */

    bool status_given;
    bool disable_redirects; /* http */
    bool tcp_use_tls;
    bool h2ping_use_tls;
    bool grpc_use_tls;
    bool tls_skip_verify;
    bool postgres_tags; /* the instance carries the tag primary or standby, as found */
};

struct service_definition {
    char *id;   /* never NULL: given, or the name */
    char *name; /* never NULL */
    char *kind; /* NULL for an ordinary service; kept and shown, not acted on */
    struct definition_list tags;
    char *address; /* NULL: the node's; an IP address or a name */
    int64_t port;  /* not checked for range, as in Consul; 0: none */
    char *socket_path;
    struct definition_pairs meta;
    struct definition_addresses tagged_addresses; /* with lan_ipv4 and wan_ipv4 (or _ipv6)
                                                     added if `address` is an IP */
    int64_t weight_passing;                       /* 1 unless given */
    int64_t weight_warning;                       /* 1 unless given */
    int64_t min_healthy; /* so many must stay when one is taken away; -1: not given */
    bool enable_tag_override;
    size_t check_count;
    struct check_definition *checks; /* `check` first, then `checks`; service_id set */
};

/* Whose words an error uses, and how strict reading is. */
enum definition_style {
    DEFINITION_API, /* "Request decode failed: json: unknown field \"Bogus\"" */
    DEFINITION_FILE /* "invalid config key bogus"; one check may stand where a list may */
};

enum { DEFINITION_ERROR_MAX = 320 };

/* Why a definition was refused. `text` is a whole line. For API style it is the whole body of the
 * answer. The place is for rc_settings_where(). */
struct definition_fault {
    char text[DEFINITION_ERROR_MAX];
    const json_t
        *parent;  /* the object that holds the fault; borrowed from the tree; or NULL */
    char key[64]; /* the key in `parent`, as written; "" if the whole is meant */
};

/* Reads one service. On RC_OK `*out` is to be ended by service_definition_fini(); otherwise it
 * is left alone and `*fault` is set. Numbers without meaning (negative counts) are refused.
 *
 * Returns RC_OK; RC_EMALFORMED (not this shape) or RC_EINVAL (shape right, meaning not: no name,
 * check without interval): both are status 400 for the API; RC_ENOMEM. */
int service_definition_parse(const json_t *json, enum definition_style style,
                             struct service_definition *out,
                             struct definition_fault *fault);

/* Frees what it holds and zeroes it. A zeroed struct is allowed. */
void service_definition_fini(struct service_definition *service);

/* A deep copy. RC_OK or RC_ENOMEM (`*out` zeroed). */
int service_definition_copy(const struct service_definition *from,
                            struct service_definition *out);

/* As a tree that service_definition_parse() reads back to the same definition, Consul's names.
 * Owned by the caller; NULL when memory is out. */
json_t *service_definition_to_json(const struct service_definition *service);

/* The same four for a check that stands alone (check/register, `check {}` at the top of a file):
 * `name` is required (in a file, `id` will do) and `service_id` comes from the tree. */
int check_definition_parse(const json_t *json, enum definition_style style,
                           struct check_definition *out, struct definition_fault *fault);
void check_definition_fini(struct check_definition *check);
int check_definition_copy(const struct check_definition *from,
                          struct check_definition *out);
json_t *check_definition_to_json(const struct check_definition *check);

/* True if both say the same (order of lists included): re-registering changes nothing. */
bool service_definition_equals(const struct service_definition *a,
                               const struct service_definition *b);
bool check_definition_equals(const struct check_definition *a,
                             const struct check_definition *b);

/* Consul's rules for the metadata of nodes and services: at most 64 pairs, keys of letters,
 * digits, - and _ up to 128, values up to 512, no key that begins with "consul-". RC_OK, or RC_EINVAL
 * with Consul's words in `text`. */
int definition_check_meta(const struct definition_pairs *meta,
                          char text[DEFINITION_ERROR_MAX]);

/* Reads the body of a request as JSON, with Go's words for what is wrong, such as "EOF" and
 * "invalid character 'b' looking for beginning of object key string". Later duplicates of a key win.
 *
 * On RC_OK the caller owns `*out`. RC_EMALFORMED with fault->text "Request decode failed: ..."
 * otherwise, or RC_ENOMEM. */
int definition_load_body(const char *body, size_t size, json_t **out,
                         struct definition_fault *fault);

#endif
