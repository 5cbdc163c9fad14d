/* server_mhd.h - the parts of the libmicrohttpd edge, seen by each other.
 *
 * http_mhd.c opens and runs the daemons; connection_mhd.c lives through the requests of
 * each connection; answer_mhd.c sends what came of them. All on the loop's thread. */
#ifndef AGENT_HTTP_SERVER_MHD_H
#define AGENT_HTTP_SERVER_MHD_H

#include <pthread.h>

#include <microhttpd.h>

#include "agent/http/exchange.h"
#include "agent/http/guard.h"
#include "agent/http/http.h"
#include "agent/http/pump.h"
#include "agent/http/waiters.h"
#include "base/address.h"
#include "base/table.h"

/* Buffers of answers are lent for as long as an answer is under way, so that connections
 * that wait or idle hold none. */
/* Woken connections that are answered before the others have their turn. */
enum { GO_ON_FIRST = 64 };

enum { HTTP_SPARES_MAX = 16, HTTP_SPARE_BYTES_MAX = 64 * 1024 };

enum connection_state {
    CONNECTION_IDLE, /* between requests */
    CONNECTION_HEAD, /* the request line has come */
    CONNECTION_BODY, /* the head has come, its body may */
    CONNECTION_DONE, /* an answer stands, not yet queued */
};

struct connection {
    struct http *http;
    struct connection *previous;
    struct connection *next;
    struct connection *previous_woken; /* of http->first_woken */
    struct connection *next_woken;
    bool is_woken;
    struct MHD_Connection *mhd;
    struct rc_address peer; /* RC_ADDRESS_NONE over a Unix socket */
    enum guard_place place;
    uint64_t client; /* hash of the peer */
    enum connection_state state;
    uint64_t since_ms; /* when it began to wait for a request, or that request began */
    bool is_proven;    /* has been answered before */
    int target_err;    /* of target_parse() */
    uint64_t body_max;
    uint64_t body_seen;
    uint64_t body_ignored; /* bytes of a body over its maximum */
    bool suspended;
    bool gone;       /* the client left while it was suspended, or we are closing */
    bool watched;    /* for its client going away */
    int listener_id; /* of rc_log_listen(); -1 */
    struct http_exchange exchange;
};

struct http {
    struct http_api api;
    struct http_limits limits;
    struct waiters *waiters;
    struct pump *pump;
    struct MHD_Daemon *daemons[HTTP_LISTENERS_MAX];
    size_t daemon_count;
    struct connection *connections;
    size_t connection_count;
    struct connection *first_woken; /* whose wait is over: they go on some at a time */
    struct connection *last_woken;
    size_t go_on_count;    /* of them, in the next turn */
    struct served *served; /* of other agents */
    struct served *first_ready;
    struct served *last_ready;
    struct rc_table *tickets;   /* http_ticket -> struct served */
    struct rc_table *forwarded; /* http_ticket -> struct http_exchange, of connections */
    size_t connection_peak;     /* this and the next: since memory was last given back */
    size_t freed_bytes;
    struct rc_buffer spares[HTTP_SPARES_MAX]; /* emptied, for the next answers */
    size_t spare_count;
    uint64_t sweep_at_ms;
    bool has_resumed; /* a daemon has to run for that: it does not wake by itself */
    pthread_t thread; /* the loop's: log lines of others are not streamed */
    struct rc_metric *connections_gauge;
    struct rc_metric *waiting_gauge;
    char unix_paths[HTTP_LISTENERS_MAX][108]; /* to be removed at the end; "" for TCP */
    void (*on_closed)(void *context);
    void *context;
};

/* Callbacks of the daemons; `closure` is the struct http. */
enum MHD_Result connection_accept(void *closure, const struct sockaddr *address,
                                  socklen_t size);
void connection_notify(void *closure, struct MHD_Connection *mhd, void **context,
                       enum MHD_ConnectionNotificationCode code);
void *connection_target(void *closure, const char *raw, struct MHD_Connection *mhd);
enum MHD_Result connection_request(void *closure, struct MHD_Connection *mhd,
                                   const char *url, const char *method,
                                   const char *version, const char *upload,
                                   size_t *upload_size, void **context);
void connection_completed(void *closure, struct MHD_Connection *mhd, void **context,
                          enum MHD_RequestTerminationCode code);

/* answer_mhd.c: queues what the exchange holds, or log lines as they come, as the answer. */
enum MHD_Result answer_queue(struct connection *connection);
enum MHD_Result answer_stream(struct connection *connection);
void answer_end_stream(struct connection *connection); /* when it streams */

/* Lends the exchange a buffer to write into, and takes it back. */
void answer_borrow(struct http *http, struct http_exchange *x);
void answer_return(struct http *http, struct http_exchange *x);

/* Counts an answer that is about to leave. */
void answer_count(const struct http *http, struct http_exchange *x);

/* served_mhd.c: requests of other agents. Runs those that may go on; lets one whose wait is
 * over, or that http_finish() has answered, be run; ends all, answering none. */
void served_run(struct http *http);
void served_wake(struct served *served);
void served_finish(struct served *served);
struct http_exchange *served_with_ticket(struct http *http, http_ticket ticket);
void served_end_all(struct http *http);

/* http_mhd.c: lets those who wait for `key`, or all who wait, run again. */
void http_wake(struct http *http, uint64_t key);
void http_wake_all(struct http *http);

/* http_mhd.c: the answer of `x`, which was suspended, stands. */
void http_answered(struct http_exchange *x);

/* store_mhd.c: for http_api.resume; `context` is the struct http. */
void http_go_on(void *context, struct http_exchange *x);

/* Lets the connection wait for something that is over soon; a client that leaves is noticed
 * afterwards. connection_watch() looks out for that. */
void connection_pause(struct connection *connection);
void connection_watch(struct connection *connection);

/* Lets the connection wait, watching whether its client goes away. */
void connection_suspend(struct connection *connection);

/* Lets a suspended connection run again when its turn has come: of a crowd that waits for the
 * same, the first is answered before the last has been looked at. */
void connection_wake(struct connection *connection);
void connection_go_on(struct http *http); /* those whose turn it is */

/* Lets a suspended connection run again now; nothing happens if it is not suspended. */
void connection_resume(struct connection *connection);

/* Ends connections whose request takes too long to come, byte by byte or not at all, which
 * the daemon's own timeout, told by any byte, does not. Suspended ones are exempt. */
void connection_sweep(struct http *http);

/* Its client has gone: ends it. */
void connection_hung_up(void *context, void *subject);

/* The connection that `waiter` is embedded in. */
struct connection *connection_of(struct waiter *waiter);

#endif
