/* http_state_uv.h - clients, exchanges and outbound connections of one worker.
 *
 * Private to the HTTP files of this folder. Everything lives on one thread. Structs that a
 * callback may end are freed only after it: connections by libuv's close callback,
 * exchanges by http_leave(), so a pointer stays readable for the rest of the turn. */
#ifndef PROXY_HTTP_STATE_UV_H
#define PROXY_HTTP_STATE_UV_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <uv.h>

#include "base/address.h"
#include "base/metrics.h"
#include "base/table.h"
#include "proxy/access_log_uv.h"
#include "proxy/forward.h"
#include "proxy/framing.h"
#include "proxy/http1.h"
#include "proxy/http_socket_uv.h"
#include "proxy/instance.h"
#include "proxy/retry.h"
#include "proxy/slab.h"
#include "proxy/timer.h"
#include "proxy/worker_uv.h"

enum {
    HTTP_TURN_BYTES_MAX =
        256 * 1024,              /* one connection may move in one turn of the loop */
    HTTP_TRIED_MAX = 8,          /* attempts of one request, whatever the route says */
    HTTP_INTERIM_MAX = 16,       /* 1xx responses to one request */
    HTTP_LINGER_MS = 2000,       /* how long, */
    HTTP_LINGER_BYTES = 1 << 20, /* and how much we read to let an answer arrive */
    HTTP_IDLE_OUTBOUND_MAX =
        1024,                 /* kept per instance: what was busy within the idle limit */
    HTTP_FRESH_MS = 1000,     /* idle for less: good enough for what cannot be repeated */
    HTTP_IDLE_FLOOR_MS = 500, /* the least that a learned idle limit can be */
    HTTP_RATE_WINDOW_MS = 30000, /* request bodies must bring ... */
    HTTP_RATE_BYTES = 3000,      /* ... this much in each window (100 B/s) */
    HTTP_REPICK_MS = 25,         /* a request without instance looks again */
    HTTP_LOGS_MAX = 16           /* different access log files */
};

enum http_timer_kind { HTTP_TIMER_CLIENT, HTTP_TIMER_OUTBOUND };

struct http;
struct client;
struct exchange;
struct outbound;

/* --- connections to instances: outbound_uv.c --- */

TAILQ_HEAD(outbound_list, outbound);

/* All connections of this worker to one instance. */
struct outbound_pool {
    struct instance *instance; /* retained */
    struct outbound_list idle; /* the most recently used first */
    struct outbound_list busy;
    uint32_t idle_count;
    uint32_t count; /* idle, busy and connecting */
    bool gone;      /* left the set: keep none */
};

struct outbound {
    struct http_socket socket;
    struct http *http;
    struct outbound_pool *pool;
    TAILQ_ENTRY(outbound) link;
    struct exchange *exchange; /* NULL while idle */
    struct slab_buffer *in;    /* bytes of the response */
    struct timer timer;        /* idle limit */
    uint64_t idle_since_ms;
    uint32_t idle_limit_ms; /* told by the instance; 0 = not */
    bool connected;
    bool reused;  /* served a request before this one */
    bool ended;   /* end of stream seen */
    bool failed;  /* libuv reports an error: what is left to read may still be read */
    bool broken;  /* it was an error, not an orderly end */
    bool lost;    /* its node does not even acknowledge: no keep-alive race */
    bool paused;  /* not reading: no room */
    bool blocked; /* it takes no more now: WRITABLE is armed */
};

/* --- one request: exchange_uv.c, attempt_uv.c, request_uv.c, response_uv.c, answer_uv.c --- */

enum exchange_phase {
    EXCHANGE_QUEUED,     /* no connection: waits for an instance, or before a repeat */
    EXCHANGE_CONNECTING, /* has one, not yet connected */
    EXCHANGE_WAITING,    /* request on its way, no final response head yet */
    EXCHANGE_RELAYING,   /* response body */
    EXCHANGE_TUNNEL,     /* after 101 */
    EXCHANGE_FLUSHING,   /* all is in the client's buffer, or was answered by ourselves */
    EXCHANGE_OVER
};

/* What the log will say; cut to fit. */
struct exchange_names {
    char method[16];
    char host[80];
    char path[256];
    char request_id[40];
    char referrer[128]; /* the last two only for the combined form */
    char agent[128];
};

struct exchange {
    struct http *http;
    struct client *client;
    struct exchange *next_dead;
    struct snapshot *snapshot;              /* retained: holds the next three */
    const struct config_listener *listener; /* as of the beginning */
    const struct config_route *route;       /* NULL: refused before routing */
    const struct config_pool *pool;
    enum exchange_phase phase;
    struct outbound *out;      /* the connection of this attempt */
    struct instance *instance; /* retained while in use by this attempt */
    struct rc_address address; /* of the last one, for the log */

    /* The request. */
    enum http1_method method;
    struct slab_buffer *request; /* what goes to the instance; kept for a repeat */
    uint32_t request_sent;       /* bytes of it that have left in this attempt */
    struct framing body;
    struct framing_decoder decoder;
    uint64_t window_bytes; /* of the body in this rate window */
    uint64_t window_end_ms;
    bool http10;
    bool wants_websocket;
    bool request_read; /* the whole body has come from the client */
    bool sent;         /* a byte of the request has left in this attempt */
    bool fresh_only;   /* a kept connection has failed us: take no other */
    bool replayable;   /* nothing sent has been dropped from `request` */
    bool send_broken;  /* the instance takes no more; its response may still come */

    /* The response. */
    unsigned status;
    struct framing response;
    struct framing_decoder response_decoder;
    struct http1_scan scan;
    uint16_t interim;
    bool head_only;     /* answer without body: HEAD */
    bool head_sent;     /* a final head has been put into the client's buffer */
    bool chunked_out;   /* body goes to the client in our own chunks */
    bool keep_client;   /* the client's connection goes on after this */
    bool keep_outbound; /* the instance's too */
    bool passed_up;     /* tunnel: the client has said all, and the instance knows */
    bool passed_down;   /* and the other way round */
    bool
        truncate_loud; /* end with a reset: the client could not see the loss otherwise */

    /* Attempts. */
    uint32_t attempts;
    uint32_t tried_count;
    struct instance *tried[HTTP_TRIED_MAX]; /* retained: those that failed */
    enum retry_failure last_failure;
    uint64_t give_up_ms;    /* QUEUED: until when we look for an instance */
    uint64_t tunnel_end_ms; /* 0, or when a tunnel to an instance that leaves is cut */
    uint64_t progress_ms;   /* last byte moved */

    /* For log and metrics. */
    struct exchange_names names;
    uint64_t wall_ms;
    uint64_t start_ns;
    uint64_t connect_start_ns;
    uint64_t connect_ns;
    uint64_t first_byte_ns;
    uint64_t bytes_in;
    uint64_t bytes_out;
    bool reused;
    enum access_log_who who;
    enum access_log_phase when;
};

/* --- connections from clients: client_uv.c --- */

enum client_state {
    CLIENT_IDLE,   /* between requests, nothing received */
    CLIENT_HEAD,   /* part of a head received */
    CLIENT_BUSY,   /* an exchange runs */
    CLIENT_LINGER, /* answered and half closed; reading what still comes */
    CLIENT_CLOSED
};

struct client {
    struct http_socket socket;
    struct http *http;
    struct worker_listener *listener;
    LIST_ENTRY(client) link;
    struct exchange *exchange;
    struct slab_buffer *in;
    struct slab_buffer *out;
    struct timer timer;
    enum client_state state;
    struct http1_scan scan;
    bool ended;   /* end of stream seen: it may still read */
    bool paused;  /* not reading: no room */
    bool blocked; /* it takes no more now: WRITABLE is armed */
    bool running; /* client_run is on the stack */
    uint32_t served;
    uint32_t lingered; /* bytes */
    struct rc_address peer;
    char peer_text[RC_ADDRESS_TEXT_MAX]; /* without port */
};

/* --- the worker's whole --- */

LIST_HEAD(client_list, client);

enum { HTTP_CODE_CLASSES = 6 }; /* index 1..5 for 1xx..5xx; 0 for 499 */

struct http_pool_metrics {
    struct rc_metric *requests[HTTP_CODE_CLASSES];
    struct rc_metric *duration;
    struct rc_metric *first_byte;
    struct rc_metric *retries[RETRY_FAILURE_COUNT];
};

struct http_metrics {
    struct rc_table *pools; /* name -> struct http_pool_metrics, owned */
    struct rc_metric *bad_requests[HTTP1_FAULT_COUNT];
    struct rc_metric *bad_responses[HTTP1_FAULT_COUNT];
    struct rc_metric *connects;
    struct rc_metric *connect_time;
    struct rc_metric *reuses;
    struct rc_metric *stale;
    struct rc_metric *budget_refusals;
    struct rc_metric *received;
    struct rc_metric *sent;
    struct rc_metric *log_dropped;
    struct rc_metric *running; /* gauge of this worker */
    struct rc_metric *clients; /* gauge of this worker */
    struct rc_metric *buffers; /* gauge of this worker */
};

struct http {
    struct worker *worker;
    struct slab slab;
    struct timer_wheel wheel;
    uv_timer_t tick;
    struct client_list clients;
    uint32_t client_count;
    struct rc_table *pools; /* struct outbound_pool by the instance's address in memory */
    struct exchange *dead;  /* to be freed by http_leave */
    struct retry_budget budget;
    struct http_metrics metrics;
    struct access_log_uv *logs[HTTP_LOGS_MAX];
    size_t log_count;
    uint64_t log_dropped_told;
    bool aborted;
    bool starved; /* somebody did not get a buffer and waits for one */
};

/* http_uv.c */
uint64_t http_now_ms(const struct http *http); /* of this turn of the loop */
/* A buffer from the slab, or NULL: then whoever pauses is woken when there are some again. */
struct slab_buffer *http_lend(struct http *http);
void http_leave(
    struct http *http); /* at the end of each callback: frees what has ended */
void http_set_timer(struct http *http, struct timer *timer, uint64_t due_ms);
struct http_pool_metrics *http_pool_metrics(struct http *http, const char *pool);
struct access_log_uv *http_log(struct http *http, const char *path);

/* outbound_uv.c */
/* A kept connection that is good for this class of request, or NULL. */
struct outbound *outbound_reuse(struct http *http, struct instance *instance,
                                enum retry_class method);
/* A new connection on its way; NULL with errno when it cannot even begin. */
struct outbound *outbound_connect(struct http *http, struct instance *instance);
/* After bytes were taken from out->in: as client_drained. */
void outbound_drained(struct outbound *out);
/* Back into the pool if that makes sense, else closed. The exchange has let go of it. */
enum outbound_fate { OUTBOUND_CLOSE, OUTBOUND_KEEP };
void outbound_release(struct outbound *out, enum outbound_fate fate,
                      const struct config_pool *config);
/* Arms what its flags ask for. */
void outbound_rearm(struct outbound *out);
/* The error of a finished connect; 0 if it succeeded. */
int outbound_connect_error(struct outbound *out);
void outbound_on_timer(struct outbound *out);
/* Closes idle connections to those who are in no pool of the worker's snapshot. */
void outbound_sweep(struct http *http);
void outbound_abort(struct http *http); /* closes everything */
void outbound_pools_free(struct http *http);

/* client_uv.c */
void client_accept(struct http *http, struct worker_listener *listener, int fd,
                   const struct rc_address *peer);
void client_on_timer(struct client *client);
/* Arms what its flags ask for. */
void client_rearm(struct client *client);
/* After bytes were taken from client->in: reads again, gives an empty buffer back. */
void client_drained(struct client *client);
void client_close(struct client *client);
/* The exchange is over and its answer written: go on to the next request, or close. */
enum client_next { CLIENT_GOES_ON, CLIENT_LINGERS, CLIENT_CLOSES, CLIENT_RESETS };
void client_exchange_over(struct client *client, enum client_next next);
/* True while the client may bring more requests. */
bool client_may_stay(const struct client *client);
/* Sets the client's one deadline. */
void client_set_deadline(struct client *client, uint64_t due_ms);

/* exchange_uv.c: one request from its head on */
/* A complete head lies at the front of client->in (`size` bytes), or a fault was found in it. */
void exchange_begin(struct client *client, size_t size, enum http1_fault fault);
void exchange_on_timer(struct exchange *x);
/* The snapshot has changed: those who wait for an instance look again, tunnels to one that has
 * left get drain_timeout. */
void exchange_on_snapshot(struct exchange *x);
void exchange_on_outbound(struct exchange *x, int status, int events);
/* The client has reset, or gone before its request was complete. */
void exchange_client_gone(struct exchange *x);
/* Progress was made: the deadline of this phase starts anew. */
void exchange_touch(struct exchange *x);

/* attempt_uv.c: where a request is tried, and whether again */
/* Tries instances until one takes the connection; waits or answers when none does. */
void attempt_start(struct exchange *x);
/* The connection stands, or could not be made. */
void attempt_on_connected(struct exchange *x);
/* The attempt failed before anything of its response went to the client: repeats or answers. */
void attempt_failed(struct exchange *x, enum retry_failure failure,
                    enum instance_outcome outcome);
/* Repeats instead of passing on this answer of the instance, if the rules allow. */
bool attempt_repeat_instead(struct exchange *x, enum retry_failure failure,
                            enum instance_outcome outcome);
/* Lets go of instance and connection. */
void attempt_release(struct exchange *x, enum instance_outcome outcome,
                     enum outbound_fate fate);
/* answer_uv.c: answers of our own, and how an exchange ends */
/* Gives up with an answer of our own, or by cutting if a head is already out. */
void answer_send(struct exchange *x, unsigned status, const char *text);
/* 503, saying what is wrong with the pool. */
void answer_nobody(struct exchange *x);
/* Cuts the client's connection so that it shows that the answer is not complete. */
void answer_cut(struct exchange *x, enum access_log_who who,
                enum instance_outcome outcome);
/* Counts, logs, frees (at http_leave) and hands the client on. */
void answer_finish(struct exchange *x, enum client_next next);
/* Says in the log who ended it; the first word stays. */
void answer_blame(struct exchange *x, enum access_log_who who);

/* request_uv.c: client -> instance */
void request_pump(struct exchange *x);

/* response_uv.c: instance -> client */
void response_pump(struct exchange *x);
/* The instance is readable, or has failed. */
void response_on_bytes(struct exchange *x);

/* tunnel_uv.c: both ways, after 101 */
void tunnel_start(struct exchange *x);
void tunnel_pump(struct exchange *x);
/* Reads from the instance's side, then pumps. */
void tunnel_on_bytes(struct exchange *x);

#endif
