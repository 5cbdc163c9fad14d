/* server_mhd.h - the parts of the libmicrohttpd edge, seen by each other.
 *
 * http_mhd.c opens and runs the daemons; connection_mhd.c lives through the requests of
 * each connection; answer_mhd.c sends what came of them; held_mhd.c has those connections whose
 * clients wait for long. All on the loop's thread. */
#ifndef AGENT_HTTP_SERVER_MHD_H
#define AGENT_HTTP_SERVER_MHD_H

#include <pthread.h>

#include <microhttpd.h>

#include "agent/http/answer_head.h"
#include "agent/http/exchange.h"
#include "agent/http/guard.h"
#include "agent/http/http.h"
#include "agent/http/lift_mhd.h"
#include "agent/http/pump.h"
#include "agent/http/waiters.h"
#include "base/address.h"
#include "base/stalls.h"
#include "base/table.h"

/* Buffers of answers are lent for as long as an answer is under way, so that connections
 * that wait or idle hold none. */
enum { HTTP_SPARES_MAX = 16, HTTP_SPARE_BYTES_MAX = 64 * 1024 };

enum connection_state {
    CONNECTION_IDLE, /* between requests */
    CONNECTION_HEAD, /* the request line has come */
    CONNECTION_BODY, /* the head has come, its body may */
    CONNECTION_DONE, /* an answer stands, not yet queued */
};

struct connection;

/* What libmicrohttpd knows of a connection, from its start to its end there. */
struct stay {
    struct connection *connection; /* NULL: its client has been taken out */
};

struct held_rest;

struct connection {
    struct http *http;
    struct connection *previous;
    struct connection *next;
    struct connection *previous_leaving; /* of http->first_leaving */
    struct connection *next_leaving;
    bool is_leaving;            /* to be lifted in this turn */
    struct MHD_Connection *mhd; /* NULL: we hold it ourselves */
    struct stay *stay;          /* NULL likewise */
    struct MHD_Daemon *daemon;  /* where it goes back to */
    int descriptor;             /* libmicrohttpd's, or ours */
    struct rc_address peer;     /* RC_ADDRESS_NONE over a Unix socket */
    enum guard_place place;
    uint64_t client; /* hash of the peer */
    enum connection_state state;
    uint64_t since_ms; /* when it began to wait for a request, or that request began */
    bool is_proven;    /* has been answered before */
    int target_err;    /* of target_parse() */
    uint64_t body_max;
    uint64_t body_seen;
    uint64_t body_ignored; /* bytes of a body over its maximum */
    size_t unread_bytes;   /* of its answer, while libmicrohttpd sends it */
    uint64_t bytes_read;   /* of all its requests */
    bool is_countable;     /* that is known */
    bool is_modern;        /* this request is HTTP/1.1 */
    bool closes;           /* after this answer, if we hold it */
    bool suspended;
    bool gone;      /* the client left while it was suspended, or we are closing */
    bool watched;   /* for its client going away, or by what stands in `armed` */
    unsigned armed; /* enum pump_events; if we hold it */
    char *kept;     /* texts of exchange.request; NULL: libmicrohttpd's */
    size_t kept_size;
    unsigned kept_which;       /* headers, as bits */
    struct connection *leader; /* whose answer it gets too; NULL: it has its own */
    struct connection *previous_follower;
    struct connection *next_follower;
    struct connection *first_follower;
    size_t follower_count;
    struct held_rest *rest; /* of an answer, if we hold it; NULL: none */
    size_t sent;            /* bytes of that */
    int listener_id;        /* of rc_log_listen(); -1 */
    struct http_exchange exchange;
};

struct http {
    struct http_api api;
    struct http_limits limits;
    struct waiters *waiters;
    struct pump *pump;
    struct MHD_Daemon *daemons[HTTP_LISTENERS_MAX];
    size_t daemon_count;
    struct rc_stalls stalls; /* of connections */
    struct connection *connections;
    size_t connection_count;
    struct lift lift;
    struct connection *first_leaving;
    struct connection *returning; /* to a daemon, just now */
    size_t held_count;
    struct connection *leader;   /* of those who go on in this turn */
    struct held_rest *last_rest; /* borrowed */
    struct rc_buffer head;       /* of the answer that is being sent */
    uint64_t date_s;             /* when `date` was written */
    char date[ANSWER_DATE_SIZE];
    size_t
        resume_count; /* of those whose wait is over inside a daemon, in the next turn */
    struct served *served; /* of other agents */
    struct served *first_ready;
    struct served *last_ready;
    struct rc_table *tickets;   /* http_ticket -> struct served */
    struct rc_table *forwarded; /* http_ticket -> struct http_exchange, of connections */
    size_t connection_peak;     /* this and the next: since memory was last given back */
    size_t freed_bytes;
    size_t unread_bytes; /* of all connections; those that are held share theirs */
    struct rc_buffer spares[HTTP_SPARES_MAX]; /* emptied, for the next answers */
    size_t spare_count;
    uint64_t sweep_at_ms;
    bool has_resumed; /* a daemon has to run for that: it does not wake by itself */
    pthread_t thread; /* the loop's: log lines of others are not streamed */
    struct rc_metric *connections_gauge;
    struct rc_metric *waiting_gauge;
    struct rc_metric *held_gauge;
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

/* answer_mhd.c: sends what the exchange holds, or log lines as they come, as the answer. */
enum MHD_Result answer_queue(struct connection *connection);
/* It is out, or will never be. */
void answer_was_read(struct connection *connection);
enum MHD_Result answer_stream(struct connection *connection);
void answer_end_stream(struct connection *connection); /* when it streams */

/* Lends the exchange a buffer to write into, and takes it back. */
void answer_borrow(struct http *http, struct http_exchange *x);
void answer_return(struct http *http, struct http_exchange *x);

/* Adds all headers of the answer to its head. */
void answer_each_header(const struct http *http, const struct http_exchange *x,
                        struct rc_buffer *head);

/* Counts an answer that is about to leave, to so many. */
void answer_count(const struct http *http, struct http_exchange *x, size_t times);

/* served_mhd.c: requests of other agents. Runs those that may go on; lets one whose wait is
 * over, or that http_finish() has answered, be run; ends all, answering none. */
void served_run(struct http *http);
void served_wake(struct served *served);
void served_finish(struct served *served);
struct http_exchange *served_with_ticket(struct http *http, http_ticket ticket);
void served_end_all(struct http *http);

/* http_mhd.c: lets those who wait for `key`, or all who wait, run again: some in each turn, so
 * that the first is answered before the last has been looked at, and others are not kept. */
void http_wake(struct http *http, uint64_t key);
void http_wake_all(struct http *http);

/* http_mhd.c: the answer of `x`, which was suspended, stands. */
void http_answered(struct http_exchange *x);

/* store_mhd.c: for http_api.resume; `context` is the struct http. */
void http_go_on(void *context, struct http_exchange *x);

/* Lets the connection wait for something that is over soon. */
void connection_pause(struct connection *connection);

/* Of one that waits on: it leaves libmicrohttpd, or else is watched for its client going away. */
void connection_leave(struct connection *connection);
void connection_watch(struct connection *connection); /* only the latter */

/* Both: lets the connection wait. */
void connection_suspend(struct connection *connection);

/* Lets a connection whose wait is over run again. */
void connection_go_on(struct connection *connection);

/* Lets a suspended connection run again now; nothing happens if it is not suspended. */
void connection_resume(struct connection *connection);

/* Ends connections whose request takes too long to come, byte by byte or not at all, which
 * the daemon's own timeout, told by any byte, does not. Suspended ones are exempt. */
void connection_sweep(struct http *http);

/* A pump's `happened`: its client has gone, or something is to be done for one that we hold. */
void connection_happened(void *context, void *subject, unsigned events);

/* Makes it ready for the next request. */
void connection_rest(struct connection *connection);

/* Ends one that we hold, and frees it. */
void connection_end(struct connection *connection);

/* held_mhd.c: connections that we hold ourselves. held_wants() says whether a suspended one will
 * be lifted, or is already; otherwise it has to be watched. held_stays(): it runs again first. */
bool held_wants(struct connection *connection);
void held_stays(struct connection *connection);
bool held_lift(struct http *http); /* all that are wanted; false: there was none */
void held_answer(struct connection *connection); /* sends what its exchange holds */
void held_happened(struct connection *connection, unsigned events);
void held_end(struct connection *connection);     /* its share of connection_end() */
void held_give_up(struct connection *connection); /* ends it soon */

/* crowd_mhd.c: those who go on together. crowd_add() lets one that we hold go on, at the latest
 * with crowd_go_on(). crowd_next() takes out one who gets the same answer as `leader`, NULL at
 * the end; crowd_disperse() lets all of them go on by themselves. */
void crowd_add(struct connection *connection);
void crowd_go_on(struct http *http);
struct connection *crowd_next(struct connection *leader);
void crowd_disperse(struct connection *leader);
void crowd_leave(struct connection *connection); /* it ends */

/* The connection that `waiter` is embedded in. */
struct connection *connection_of(struct waiter *waiter);

#endif
