/* config_route.h - what may be said of a route: when it is taken, and what it does.
 *
 * Part of config.h's tree: owned by it, read by all threads, never changed. Expressions and
 * templates are compiled when the configuration is read. */
#ifndef PROXY_CONFIG_CONFIG_ROUTE_H
#define PROXY_CONFIG_CONFIG_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/network.h"
#include "base/text.h"
#include "proxy/config/config_limit.h"
#include "proxy/pattern/pattern_pcre2.h"
#include "proxy/pattern/template.h"

enum {
    CONFIG_PREFIX_MAX = 256,
    CONFIG_LABEL_MAX = 416, /* of a route: a host, a prefix, and which of several */
    CONFIG_STATUS_MAX = 8,  /* status codes in one `on_status` */
    CONFIG_METHODS_MAX = 16,
    CONFIG_PAGE_MAX = 12 * 1024, /* bytes of an answer or a page of our own */
    CONFIG_FILE_NAME_MAX = 256
};

/* How a route's path is compared; in this order they are tried. */
enum config_match {
    CONFIG_MATCH_EXACT,   /* route = /path */
    CONFIG_MATCH_PATTERN, /* route ~ REGEX, in the order of the file */
    CONFIG_MATCH_PREFIX,  /* route /prefix, the longest first */
    CONFIG_MATCH_COUNT
};

enum config_fact { CONFIG_WHEN_HEADER, CONFIG_WHEN_METHOD, CONFIG_WHEN_SOURCE };
enum config_compare { CONFIG_IS_THERE, CONFIG_IS_EQUAL, CONFIG_IS_LIKE };

/* `when [not] header NAME [VALUE | ~ REGEX]`, `when method M...`, `when source NETWORK...` */
struct config_condition {
    enum config_fact fact;
    bool negated;
    enum config_compare compare; /* HEADER */
    char *name;                  /* HEADER: of the field; METHOD: the first; owned */
    char *value;                 /* HEADER, IS_EQUAL; owned */
    struct pattern *pattern;     /* HEADER, IS_LIKE; owned */
    char *methods[CONFIG_METHODS_MAX]; /* METHOD; owned; NULL ends */
    struct rc_network *networks;       /* SOURCE; owned */
    size_t network_count;
};

enum config_action {
    CONFIG_TO_POOL,
    CONFIG_TO_SERVICE, /* `services DOMAIN`: the pool is a pattern, the host names the service */
    CONFIG_REDIRECT,
    CONFIG_ANSWER,
    CONFIG_ACTION_COUNT
};

/* `request_header set NAME VALUE` and its kin. */
enum config_edit_kind { CONFIG_EDIT_SET, CONFIG_EDIT_ADD, CONFIG_EDIT_REMOVE };
struct config_edit {
    enum config_edit_kind kind;
    char *name; /* owned */
    size_t name_size;
    struct template value; /* SET and ADD */
};
struct config_edits {
    struct config_edit *items; /* owned */
    size_t count;
};

enum config_maintenance_mode {
    CONFIG_MAINTENANCE_INHERIT, /* only while the file is read */
    CONFIG_MAINTENANCE_OFF,
    CONFIG_MAINTENANCE_ON,
    CONFIG_MAINTENANCE_FILE /* while the file is there */
};
struct config_maintenance {
    enum config_maintenance_mode mode;
    char file[CONFIG_FILE_NAME_MAX]; /* its page; with ON "" = a line of our own */
    uint32_t retry_after_ms;
};

struct config_route {
    /* Which requests are its own. */
    enum config_match match;
    char prefix
        [CONFIG_PREFIX_MAX]; /* the path, or the prefix; normal form; else the regex */
    size_t prefix_size;
    struct pattern *pattern;             /* PATTERN; owned */
    struct config_condition *conditions; /* owned; all must hold */
    size_t condition_count;
    unsigned line;  /* in the file, for messages */
    uint32_t place; /* among the routes of its host: the first goes first among equals */

    /* What becomes of them. */
    enum config_action action;
    size_t pool;      /* TO_POOL, TO_SERVICE: index into config.pools */
    char domain[128]; /* TO_SERVICE: behind the service's name */
    bool touches;     /* it changes what passes: rewrite, fields, Via, Forwarded */
    bool via;
    bool forwarded;
    bool rewrites;
    struct template rewrite; /* the prefix's substitute, or with PATTERN the whole path */
    struct config_edits request;
    struct config_edits response;
    uint16_t status;        /* REDIRECT, ANSWER */
    struct template target; /* REDIRECT */
    char *content_type;     /* ANSWER; owned */
    char *text;             /* ANSWER; owned */
    struct config_maintenance maintenance;

    /* Limits. */
    struct config_limits limits; /* of a client */
    uint64_t body_limit_bytes;   /* 0 = none */
    uint32_t
        connect_timeout_ms; /* these three: the pool's or the listener's, unless said */
    uint32_t response_timeout_ms;
    uint32_t body_timeout_ms;
    uint32_t retry_attempts;                  /* in all; 1 = no retry */
    uint16_t retry_status[CONFIG_STATUS_MAX]; /* statuses that are retried; 0 ends */
    uint32_t
        hedge_ms; /* unanswered for that long, GET and HEAD ask a second instance; 0 = off */
    bool retry_draining_posts; /* 503 with Retry-After: 0 is believed for POST, too */
    bool retry_by_key; /* a request with Idempotency-Key may be repeated as PUT may */
    bool upgrade_websocket;
    uint32_t tunnel_idle_ms;

    /* For whoever counts. */
    uint32_t number;              /* unique: 0 to config.route_count - 1 */
    char label[CONFIG_LABEL_MAX]; /* unique: `name`, else host and prefix; no quotes */
    bool named;                   /* by `name` */
};

/* `when ...` and `= /path`, as in the file. */
void config_print_condition(const struct config_condition *condition,
                            struct rc_buffer *out);
void config_print_match(const struct config_route *route, struct rc_buffer *out);

/* "prefix", "exact", "regex". */
const char *config_match_name(enum config_match match);

#endif
