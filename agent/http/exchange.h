/* exchange.h - one request and the answer that grows for it.
 *
 * Made once for a connection and used again for each of its requests. The transport
 * (http_mhd.c) fills the request in, a handler writes the answer; nothing here knows
 * sockets, so every endpoint can be tested by a struct and a call. */
#ifndef AGENT_HTTP_EXCHANGE_H
#define AGENT_HTTP_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/http/http.h"
#include "agent/http/query.h"
#include "agent/http/target.h"
#include "agent/http/waiters.h"
#include "base/buffer.h"
#include "base/json.h"
#include "base/random.h"

enum http_method {
    HTTP_GET,
    HTTP_PUT,
    HTTP_POST,
    HTTP_DELETE,
    HTTP_HEAD,
    HTTP_OPTIONS,
    HTTP_OTHER,
    HTTP_METHOD_COUNT
};

/* What the transport has to do next. */
enum exchange_outcome {
    EXCHANGE_ANSWERED, /* send status, headers and body */
    EXCHANGE_WAITING,  /* suspend until `waiter` wakes, then run the handler again */
    EXCHANGE_PENDING,  /* suspend until http_finish() of `ticket` */
    EXCHANGE_STREAMING, /* send headers, then log lines at `stream_level` until either ends */
};

enum { EXCHANGE_HEADERS_MAX = 12 };

struct exchange_header {
    const char *name; /* static; NULL: it stands behind the value */
    size_t value_at;  /* offset in `header_text` */
};

/* Request headers that something looks at; NULL when absent. Borrowed while it is answered. */
struct exchange_request_headers {
    const char *host;
    const char *origin;
    const char *fetch_site; /* Sec-Fetch-Site */
    const char *accept;
    const char *accept_encoding; /* looked at for pages only: not kept by who waits */
    const char *if_none_match;
    const char *cache_control;
    const char *request_id; /* X-Rollcall-Request */
    const char *token;      /* X-Consul-Token, or that of Authorization: Bearer */
};

struct json_t;
struct errand;
struct route;
struct served;
struct subject;

struct http_exchange {
    /* The request. */
    enum http_method method;
    const char *method_name; /* as sent */
    struct target target;
    const struct route *route; /* static; NULL: not looked for yet, or none */
    const char *argument;      /* what follows a prefix route; "" for an exact one */
    struct exchange_request_headers request;
    struct rc_buffer body; /* of the request */
    struct query query;

    /* Of a request that another agent has sent here; NULL: its client came here. */
    const char *node;          /* whose client asks; see exchange_node() */
    const uint8_t *request_id; /* HTTP_REQUEST_ID_SIZE bytes: it may come twice */
    struct served *served;     /* that it is part of; for the transport alone */

    /* Who asks. */
    struct subject *subject; /* held; NULL: nobody asks for tokens, or not yet known */
    uint64_t client;         /* hash of the client's address; 0: another agent */
    const struct rc_address *peer; /* borrowed; NULL: not known, or another agent */
    bool is_local;     /* the client came to a loopback address or a Unix socket */
    bool is_filtered;  /* something was left out because of the token */
    bool ends_restore; /* it may do what it does, though no token is known */
    struct {           /* while a server is asked about the token */
        bool is_on;
        bool expired; /* these two: of the wait it interrupts */
        uint64_t deadline_ms;
    } token_wait;
    struct json_t *draft; /* owned: what is being written */

    /* The answer. */
    unsigned status;
    const char *content_type; /* NULL: no such header */
    struct exchange_header headers[EXCHANGE_HEADERS_MAX];
    size_t header_count;
    struct rc_buffer header_text;
    struct rc_buffer out;
    const void *page; /* instead of `out`: static bytes of the status page */
    size_t page_size;

    /* Suspension. */
    enum exchange_outcome outcome;
    struct waiter waiter;
    struct errand *errand;  /* what the store has yet to answer; NULL: nothing */
    uint8_t session_id[16]; /* of a session that is being made */
    http_ticket ticket;
    int stream_level; /* enum rc_log_level */
    bool stream_json;
    bool expired;      /* its wait is over: answer whatever is there */
    bool is_settled;   /* the mirror has what was acknowledged when it came */
    bool is_read_only; /* a transaction */
    bool is_forwarded; /* `ticket` is one of http_operations.forward */
};

struct answers;

/* What handlers may use; all borrowed from http_options. */
struct http_api {
    struct catalog *catalog;
    struct gossip *gossip;
    struct local *local;
    struct store *store;           /* NULL: no engine here */
    struct engine *engine;         /* of the store */
    struct prepared_book *queries; /* NULL without a store */
    const char *store_trouble; /* why it must not be asked, in words; NULL: it may be */
    void (*resume)(void *context, struct http_exchange *x); /* an errand has ended */
    void *resume_context;
    const struct event_log *events;   /* may be NULL */
    const struct history *history;    /* may be NULL */
    const struct proxy_book *proxies; /* may be NULL */
    struct rc_metrics *metrics;
    struct permits *permits; /* may be NULL */
    struct answers *answers; /* may be NULL */
    struct http_facts facts;
    struct http_operations operations;
    const char *const *host_names;
    size_t host_name_count;
    bool hosts_everywhere;
    struct rc_random random;
    uint64_t seed;    /* of waiters_key() */
    uint64_t now_ms;  /* monotonic */
    uint64_t wall_ms; /* since 1970 */
    http_ticket last_ticket;
    uint64_t members_index; /* one more with each change of a member */
    bool without_page;      /* nothing under /ui/ */
    struct {                /* what came in when somebody last looked at the keys */
        uint64_t at_ms;     /* 0: nobody has */
        uint64_t by_first;
        uint64_t otherwise;
    } keys_seen;
};

/* A zeroed struct is an idle exchange. Empties it for the next request. */
void exchange_reset(struct http_exchange *x);
void exchange_fini(struct http_exchange *x);

enum http_method exchange_method(const char *name);

/* Adds an answer header; the value is copied. Silently dropped when full. */
void exchange_header(struct http_exchange *x, const char *name, const char *value);
/* The same with a name that is copied too. */
void exchange_header_copied(struct http_exchange *x, const char *name, const char *value);
void exchange_header_u64(struct http_exchange *x, const char *name, uint64_t value);

/* The value of an answer header, or NULL. */
const char *exchange_header_value(const struct http_exchange *x, const char *name);
/* The answer header at this place; borrowed until the next is added. */
struct http_reply_header exchange_header_at(const struct http_exchange *x, size_t at);

/* The node whose client asks: this one, unless another agent has sent the request here. */
const char *exchange_node(const struct http_api *api, const struct http_exchange *x);

/* Answers `status` with a bare text, replacing what was written before. */
void exchange_error(struct http_exchange *x, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Answers 200 with an empty body. */
void exchange_done(struct http_exchange *x);

/* Starts a JSON body with status 200; exchange_json_end() finishes it. */
struct rc_json exchange_json(struct http_exchange *x);
void exchange_json_end(struct http_exchange *x);

#endif
