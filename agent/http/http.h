/* http.h - the agent's HTTP interface: what the catalog knows, and how to change it.
 *
 * Speaks Consul's v1 API (its agent, catalog, health, status and internal/ui parts) and
 * serves the status page under /ui/. One libmicrohttpd daemon a listener, all driven by
 * the caller's libuv loop: no thread is made, every handler runs on the loop. A blocking
 * query is a suspended connection that waits for the one thing it asked about.
 *
 * It decides nothing about membership, catalog or checks: it asks them, and calls the
 * operations below for what only the whole agent can do. */
#ifndef AGENT_HTTP_HTTP_H
#define AGENT_HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/http/permit.h"
#include "agent/store/store.h"
#include "base/address.h"

struct catalog;
struct catalog_change;
struct event_log;
struct gossip;
struct gossip_query;
struct history;
struct http;
struct keyring_request;
struct local;
struct proxy_book;
struct rc_json;
struct rc_metrics;
struct user_event;
struct uv_loop_s;

/* One place to listen at: an address, or a Unix socket when `unix_path` is not NULL (an old
 * socket file of that name is removed first; mode 0660). */
struct http_listener {
    struct rc_address address;
    const char *unix_path;
};

/* A long operation in flight. The HTTP interface hands one out, the agent hands it back
 * through http_finish(), once; a stale ticket is ignored. Never 0. */
typedef uint64_t http_ticket;

enum http_prune { HTTP_KEEP, HTTP_PRUNE };
/* HTTP_LEAVE_FORCED: even if what this node has is then nobody's. */
enum http_leave { HTTP_LEAVE, HTTP_LEAVE_FORCED };

/* Of the pool's keyring. */
struct http_key_order {
    const struct keyring_request *request;
    bool local;  /* a list of this agent's own keys */
    bool forced; /* even if members that are away will be lost */
};

/* A request on its way to another agent, which answers it as if its client had come there. */
enum { HTTP_REQUEST_ID_SIZE = 16 };

struct http_relay {
    const char *method;
    const char *target; /* path and query, encoded */
    const void *body;   /* NULL if `body_size` is 0 */
    size_t body_size;
    const char *token; /* "": none */
    const char *node;  /* whose client asks */
    const uint8_t
        *request_id; /* HTTP_REQUEST_ID_SIZE random bytes, the same for each try;
                                * NULL from `forward`: whoever carries it makes one,
                                * unless the client has chosen its own */
};

struct http_reply_header {
    const char *name;
    const char *value;
};

struct http_reply {
    unsigned status;
    const char *content_type; /* NULL: none */
    const struct http_reply_header *headers;
    size_t header_count;
    const void *body; /* NULL if `body_size` is 0 */
    size_t body_size;
};

/* What DNS is asked to explain, and what the token of whoever wants to know may see. */
enum { HTTP_DNS_ERROR_MAX = 256 };

struct http_dns_question {
    const char *name; /* as it was given */
    const char *type; /* "": the usual ones */
    bool by_tcp;
    uint16_t edns_size; /* 0: without EDNS */
    bool (*shows)(void *asker, enum permit_resource resource, const char *name);
    void *asker;
};

/* Settings of the store whose names begin so, each with a server's public key that was revoked. */
#define HTTP_REVOKED_SETTING "link-revoked/"
enum { HTTP_REVOCATION_MAX = 200 };

/* What the interface asks of the agent as a whole. Any may be NULL: then the endpoint
 * answers 501. `context` comes back as first argument. */
struct http_operations {
    void *context;

    /* Joins through `address` ("10.0.0.5", "10.0.0.5:8301", a name). Answers later by
     * http_finish(): RC_OK, or an error with a text such as "Failed to join 10.0.0.5: ...". */
    void (*join)(void *context, const char *address, http_ticket ticket);

    /* Leaves the cluster gracefully and, after http_finish(), ends the process. */
    void (*leave)(void *context, http_ticket ticket, enum http_leave how);

    /* Turns a failed member into one that left. RC_OK, or RC_ENOTFOUND for an unknown name. */
    int (*force_leave)(void *context, const char *node, enum http_prune prune);

    /* Reads the configuration again, in one step. RC_OK, or an error with one line in `text`. */
    int (*reload)(void *context, char *text, size_t size);

    /* Fires a user event to all members (its id and time are ignored). RC_OK with its ID, a
     * UUID's 36 characters, in `id`; RC_ETOOBIG, RC_ECLOSED or RC_ENOMEM. */
    int (*fire)(void *context, const struct user_event *event, char id[37]);

    /* Asks the pool. RC_OK: what came back follows by http_finish_json() when its time is up;
     * otherwise an error of gossip_query(), or RC_EAGAIN: too many are open. */
    int (*ask)(void *context, const struct gossip_query *query, http_ticket ticket);

    /* Orders something about the pool's keys; what came of it follows by http_finish_json() or
     * http_finish_text(). */
    void (*keys)(void *context, const struct http_key_order *order, http_ticket ticket);

    /* Carries a request to a server, and what that says back through http_finish_reply();
     * also from inside. All of `relay` is borrowed during the call. NULL: there is nobody. */
    void (*forward)(void *context, const struct http_relay *relay, http_ticket ticket);

    /* The client of a request that was forwarded has gone; no reply is wanted. */
    void (*forget)(void *context, http_ticket ticket);

    /* Writes the object that tells how links to servers stand, every value a string. */
    void (*describe_links)(void *context, struct rc_json *json);

    /* Makes a setting of the store that ends the public key `key` of a server, in words of
     * agent/link/revocation.h. RC_OK, or an error with `*why` (static). */
    int (*sign_revocation)(void *context, const char *key, char out[HTTP_REVOCATION_MAX],
                           const char **why);

    /* Writes the list of those keys that this agent does not trust any more. */
    void (*describe_revoked)(void *context, struct rc_json *json);

    /* Writes the object that explains how DNS answers a question. RC_OK; RC_EINVAL with words in
     * `error`, RC_ENOTFOUND: this agent has no DNS; or RC_ENOMEM. */
    int (*explain_dns)(void *context, const struct http_dns_question *question,
                       struct rc_json *json, char error[HTTP_DNS_ERROR_MAX]);

    /* Asks the proxies of the pool for their figures, unless that is under way;
     * HTTP_NEWS_PROXIES tells when http_options.proxies has what they said. Never from inside. */
    void (*ask_proxies)(void *context);

    /* Services, checks or maintenance of this agent were written through local: the
     * catalog's actions and changes wait to be taken. Called once after each such request;
     * calling http_catalog_changed() from inside is allowed. */
    void (*written)(void *context);
};

/* Facts about this agent that GET /v1/agent/self and others show. All strings are borrowed
 * for as long as the interface is open. */
struct http_facts {
    const char *datacenter;
    const char *node_name;
    const char *node_id;  /* UUID text */
    const char *version;  /* "0.1.0" */
    const char *revision; /* commit of the build; may be "" */
    bool server;
    uint16_t server_port;        /* 8300: the port in GET /v1/status/leader */
    const char *store_engine;    /* "sqlite", ...; "none" */
    uint64_t session_ttl_min_ms; /* the shortest TTL that is taken */
    uint64_t session_ttl_factor; /* a session lives this many TTLs; 0 is 1 */
    const char
        *settings; /* JSON object text for "DebugConfig", without secrets; NULL: {} */
};

/* Maxima (security.md H3); 0 takes the default in the comment. */
struct http_limits {
    uint32_t connections_max; /* 16384, all listeners together */
    uint32_t
        connections_per_client; /* 200 an address, as Consul; loopback is not counted */
    uint32_t body_max_bytes;    /* 64 KiB, counted, whatever Content-Length says */
    uint32_t idle_timeout_s; /* 10 s for a request to arrive; blocking queries exempt */
};

enum { HTTP_LISTENERS_MAX = 8, HTTP_ERROR_MAX = 256 };

/* Tokens: who may do what (permits.h). */
enum http_acl_mode { HTTP_ACL_OFF, HTTP_ACL_WARN, HTTP_ACL_ENFORCE };
enum http_acl_default { HTTP_ACL_DENY, HTTP_ACL_ALLOW };
enum http_acl_down { HTTP_ACL_EXTEND_CACHE, HTTP_ACL_DOWN_DENY };

struct permits;

/* All strings are borrowed. */
struct permits_options {
    enum http_acl_mode mode;
    enum http_acl_default fallback; /* where no rule speaks */
    enum http_acl_down down;        /* when no server can be asked */
    const char *default_token;      /* of requests without one; NULL or "": anonymous */
    const char *dns_token;          /* of DNS; NULL: the default one */
    bool takes_query_token;         /* ?token=, which ends up in logs */
    const char *datacenter;
    uint64_t seed;
    uint8_t cache_key[32];      /* random: of tokens that servers are asked about */
    struct rc_metrics *metrics; /* may be NULL */

    /* A line for the log; whether tokens may be set up again, as a file on disk says. */
    void (*tell)(void *context, const char *line);
    bool (*may_reset)(void *context, uint64_t index);
    /* A line of JSON about what was refused or changed (permits_audit.c); NULL: nobody wants it. */
    void (*audit)(void *context, const void *line, size_t size);
    void *context;
};

struct http_options {
    const struct http_listener *listeners; /* copied */
    size_t listener_count;                 /* 1..HTTP_LISTENERS_MAX */

    /* What the endpoints read and write; borrowed until on_closed. */
    struct catalog *catalog;
    struct gossip *gossip;
    struct local *local;
    struct store *store;           /* NULL: no engine here, such requests are forwarded */
    struct engine *engine;         /* borrowed: of the store */
    struct prepared_book *queries; /* borrowed; NULL without a store */
    const struct event_log *events;   /* NULL: none ever */
    const struct history *history;    /* NULL: none is kept */
    const struct proxy_book *proxies; /* what they said last; NULL: nobody asks them */
    struct rc_metrics *metrics;       /* may be NULL */
    struct permits *permits;          /* NULL: there are no tokens; permits_create() */

    struct http_facts facts;
    struct http_operations operations;
    struct http_limits limits;

    /* Names, besides IP addresses, "localhost" and the node's name, that a client may put
     * into Host: (H2, against DNS rebinding); "*.x" is every name below x. Borrowed; may be
     * NULL. Asked of those who come to a loopback address, and with `hosts_everywhere` of all. */
    const char *const *host_names;
    size_t host_name_count;
    bool hosts_everywhere;

    bool without_page; /* nothing under /ui/ */

    uint64_t random_seed; /* jitter of blocking queries, seeds of tables */
};

/* Opens the listeners on `loop` and serves until http_close().
 *
 * On RC_OK the caller owns `*out`. On error nothing stays open and `error` says in one line
 * what failed, such as "http: cannot listen on 127.0.0.1:8500: Address already in use".
 *
 * Returns RC_OK, RC_EIO (a listener), RC_EINVAL (options) or RC_ENOMEM. */
int http_start(struct uv_loop_s *loop, const struct http_options *options,
               char error[HTTP_ERROR_MAX], struct http **out);

/* Not from inside an operation. Ends all connections, blocking queries among them, and closes the listeners. `http` is
 * freed, then `on_closed` (may be NULL) is called from the loop. NULL is allowed: nothing
 * happens, `on_closed` is not called. */
void http_close(struct http *http, void (*on_closed)(void *context), void *context);

/* Tells what has changed in the catalog, as drained from it: answers the blocking queries
 * that wait for exactly these things. `changes` is borrowed during the call. */
void http_catalog_changed(struct http *http, const struct catalog_change *changes,
                          size_t count);

/* Tells of what is not the catalog's: wakes those who wait for user events, for
 * members, for whatever tokens hang on, for the history of the pool, or for
 * what its proxies say. */
enum http_news {
    HTTP_NEWS_EVENT,
    HTTP_NEWS_MEMBER,
    HTTP_NEWS_TOKENS,
    HTTP_NEWS_HISTORY,
    HTTP_NEWS_PROXIES,
    HTTP_NEWS_COUNT
};
void http_tell_news(struct http *http, enum http_news news);

/* Tells what has changed in the store, from inside its listener: whoever waits for the key, or for
 * all under a prefix of it, is answered soon. */
void http_store_changed(struct http *http, enum store_table table,
                        struct rc_pack_bytes key);
void http_store_reloaded(struct http *http); /* everything may have changed */

/* From now on requests of the store are refused with these words (borrowed); NULL: no more. */
void http_store_trouble(struct http *http, const char *words);

/* Ends the operation of `ticket`: `err` RC_OK answers 200, all else 500 with `text`
 * (borrowed during the call; NULL gives the code's own phrase). */
void http_finish(struct http *http, http_ticket ticket, int err, const char *text);

/* The same with 200 and a JSON body (borrowed during the call). */
void http_finish_json(struct http *http, http_ticket ticket, const void *body,
                      size_t size);

/* The same with any status and a bare text (borrowed during the call). */
void http_finish_text(struct http *http, http_ticket ticket, unsigned status,
                      const char *text);

/* Ends a request that was forwarded: answers what the server has said, word for word
 * (borrowed during the call). */
void http_finish_reply(struct http *http, http_ticket ticket,
                       const struct http_reply *reply);

/* How long the body of a request to `target` (path and query, encoded) may be. */
size_t http_body_max(const struct http *http, const char *target);

/* Answers a request that another agent has sent here: it goes the way of any other, through
 * the same handlers, may wait as long as it asks to, and is called by `relay->node` and with
 * `relay->token`. Only what is answered at servers is answered (routes.h). All of `relay` is
 * copied, but a body that is longer than http_body_max(): that may be NULL, and is refused. `done` is called later, once, from the loop; `reply` is borrowed during that.
 * Returns a ticket for http_serve_end(), or 0: no memory, `done` is not called. */
typedef void http_served(void *context, const struct http_reply *reply);
http_ticket http_serve(struct http *http, const struct http_relay *relay,
                       http_served *done, void *context);

/* Nobody waits for it any more: `done` is not called. A stale ticket is ignored. */
void http_serve_end(struct http *http, http_ticket ticket);

/* For DNS, which asks without a token: whether it may see the name, and a number that changes
 * when this may; 0: it may see everything. */
uint64_t http_dns_serial(struct http *http);
bool http_dns_shows(struct http *http, enum permit_resource resource, const char *name);

#endif
