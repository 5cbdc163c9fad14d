/* http_state_uv.h - clients, exchanges and outbound connections of one worker.
 *
 * Private to the HTTP files of this folder. Everything lives on one thread. Structs that a
 * callback may end are freed only after it: connections by libuv's close callback,
 * exchanges by http_leave(), so a pointer stays readable for the rest of the turn. */
#ifndef PROXY_HTTP_HTTP_STATE_UV_H
#define PROXY_HTTP_HTTP_STATE_UV_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <uv.h>

#include "base/address.h"
#include "base/metrics.h"
#include "base/table.h"
#include "proxy/http/affinity.h"
#include "proxy/http/forward.h"
#include "proxy/http/http_socket_uv.h"
#include "proxy/http/retry.h"
#include "proxy/http2/h2_abuse.h"
#include "proxy/limit/refusal.h"
#include "proxy/log/access_log_uv.h"
#include "proxy/route/route.h"
#include "proxy/tls/tls_stream_openssl.h"
#include "proxy/upstream/instance.h"
#include "proxy/wire/framing.h"
#include "proxy/wire/http1.h"
#include "proxy/worker/slab.h"
#include "proxy/worker/timer.h"
#include "proxy/worker/worker_uv.h"

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
    HTTP_RATE_WINDOW_MS = 30000,             /* request bodies must bring ... */
    HTTP_RATE_BYTES = 3000,                  /* ... this much in each window (100 B/s) */
    HTTP_REPICK_MS = 25,                     /* a request without instance looks again */
    HTTP_GRANTS_MAX = 2 * CONFIG_LIMITS_MAX, /* of the listener and the route */
    HTTP_SPARE_MAX = 32,                     /* exchanges kept for the next requests */
    HTTP_LOGS_MAX = 16                       /* different access log files */
};

enum http_timer_kind { HTTP_TIMER_CLIENT, HTTP_TIMER_OUTBOUND };

struct http;
struct http_queue;
struct client;
struct h2_link;
struct h2_stream;
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
    uint32_t count;           /* idle, busy and connecting */
    bool gone;                /* left the set: keep none */
    struct tls_memory memory; /* its last TLS session */
};

struct outbound {
    struct http_socket socket;
    struct http *http;
    struct outbound_pool *pool;
    TAILQ_ENTRY(outbound) link;
    struct exchange *exchange;     /* NULL while idle */
    struct slab_buffer *in;        /* bytes of the response */
    struct timer timer;            /* idle limit */
    const struct tls_context *tls; /* under which it was verified; NULL = in the clear */
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

/* One direction of a body, as far as it passes through a pipe: splice_uv.c. */
struct splice_way {
    struct pipe *pipe; /* holds bytes that are owed to the far side; else NULL */
    bool bulk;         /* the last read brought as much as it could take */
    bool spliced;      /* some of this body was */
    bool refused;      /* there was no pipe: copied from now on */
    bool chunk;        /* what is in the pipe is a chunk whose end is not written yet */
};

/* What the log will say; cut to fit. */
struct exchange_names {
    char method[16];
    char host[80];
    char path[256];
    char request_id[40];
    char traceparent[56]; /* the rest only if the log wants it */
    char trace_id[33];
    char referrer[128];
    char agent[128];
};

/* A second attempt beside the first, until one of them is answered: hedge_uv.c. */
struct hedge {
    struct outbound *out;      /* NULL = none runs */
    struct instance *instance; /* retained while it runs */
    uint64_t new_sticky;
    uint64_t start_ns;
    uint32_t request_sent;
    bool reused;
    bool tried; /* once a request */
};

struct exchange {
    struct http *http;
    struct client *client;
    struct exchange *next_dead;
    struct snapshot *snapshot;              /* retained: holds the next three */
    const struct config_listener *listener; /* as of the beginning */
    const struct config_route *route;       /* NULL: refused before routing */
    const struct config_pool *pool;         /* a pattern where `service` is set */
    char service[64]; /* named by the request; "" = the pool of the route itself */
    struct affinity affinity;
    uint64_t
        new_sticky; /* what the client's cookie is to say from now on; 0 = as it does */
    struct http_queue *queue; /* where it waits; NULL = it does not */
    struct pool_counts *queue_counts;
    TAILQ_ENTRY(exchange) queue_link;
    struct outbound *out;      /* the connection of this attempt */
    struct instance *instance; /* retained while in use by this attempt */
    struct rc_address address; /* of the last one, for the log */

    /* The request. */
    enum exchange_phase phase;
    enum http1_method method;
    struct slab_buffer *request; /* what goes to the instance; kept for a repeat */
    uint32_t request_sent;       /* bytes of it that have left in this attempt */
    struct framing body;
    struct framing_decoder decoder;
    uint64_t window_bytes; /* of the body in this rate window */
    uint64_t window_end_ms;
    bool http10;
    bool wants_websocket;
    bool has_key;      /* an Idempotency-Key that the route trusts */
    bool request_read; /* the whole body has come from the client */
    bool sent;         /* a byte of the request has left in this attempt */
    bool fresh_only;   /* a kept connection has failed us: take no other */
    bool replayable;   /* nothing sent has been dropped from `request` */
    bool send_broken;  /* the instance takes no more; its response may still come */
    struct splice_way up;

    /* The response. */
    unsigned status;
    struct framing response;
    struct framing_decoder response_decoder;
    struct http1_scan scan;
    uint16_t interim;
    bool head_only;        /* answer without body: HEAD */
    bool head_sent;        /* a final head has been put into the client's buffer */
    bool chunked_out;      /* body goes to the client in our own chunks */
    bool keep_client;      /* the client's connection goes on after this */
    bool keep_outbound;    /* the instance's too */
    bool suspect_outbound; /* an interim head announced a body */
    bool passed_up;        /* tunnel: the client has said all, and the instance knows */
    bool passed_down;      /* and the other way round */
    bool
        truncate_loud; /* end with a reset: the client could not see the loss otherwise */

    struct splice_way down;

    /* Attempts. */
    uint32_t attempts;
    uint32_t tried_count;
    struct instance *tried[HTTP_TRIED_MAX]; /* retained: those that failed */
    enum retry_failure last_failure;
    const char *tls_problem; /* RETRY_TLS_FAILED: why; static */
    uint64_t give_up_ms;     /* QUEUED: until when we look for an instance */
    uint64_t tunnel_end_ms;  /* 0, or when a tunnel to an instance that leaves is cut */
    uint64_t progress_ms;    /* last byte moved */

    struct hedge hedge;

    /* For log and metrics. */
    struct exchange_names names;
    uint64_t wall_ms;
    uint64_t start_ns;
    uint64_t connect_start_ns;
    uint64_t connect_ns;
    uint64_t first_byte_ns;
    uint64_t upstream_ns; /* of it: what the last attempt took */
    uint64_t bytes_in;
    uint64_t bytes_out;
    bool reused;
    enum access_log_who who;
    enum access_log_phase when;
    enum refusal refusal; /* why it was not served; answer_because */
    struct limit_grant grants[HTTP_GRANTS_MAX]; /* of `limit concurrent` */
    uint32_t grant_count;
    uint32_t retry_after_s; /* of a 429 */
    struct meter_lane
        *lane; /* of the route, or of the listener before there is one; or NULL */
};

/* --- connections from clients: client_uv.c --- */

enum client_state {
    CLIENT_IDLE,   /* between requests, nothing received */
    CLIENT_HEAD,   /* part of a head received */
    CLIENT_BUSY,   /* an exchange runs */
    CLIENT_LINGER, /* answered and half closed; reading what still comes */
    CLIENT_CLOSED
};

/* Of TLS with this client. */
enum client_secure {
    CLIENT_PLAIN,
    CLIENT_WAITS_FOR_TLS, /* for its turn */
    CLIENT_SHAKING,
    CLIENT_SECURE
};

struct client {
    struct http_socket socket;
    struct http *http;
    struct worker_listener *listener;
    struct limit_grant grant; /* of `limit connections` */
    uint64_t since_ms;
    LIST_ENTRY(client) link;
    struct h2_link
        *h2; /* it speaks HTTP/2: its streams are clients of their own; or NULL */
    struct h2_stream *stream;      /* such a one, without a socket; else NULL */
    LIST_ENTRY(client) sibling;    /* streams of one connection */
    struct client *next_dead;      /* streams */
    TAILQ_ENTRY(client) wait_link; /* CLIENT_WAITS_FOR_TLS */
    struct exchange *exchange;
    struct slab_buffer *in;
    struct slab_buffer *out;
    struct timer timer;
    enum client_state state;
    enum client_secure secure;
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
TAILQ_HEAD(h2_link_list, h2_link);
TAILQ_HEAD(client_queue, client);

enum http_shake {
    HTTP_SHAKE_FULL,
    HTTP_SHAKE_RESUMED,
    HTTP_SHAKE_FAILED,
    HTTP_SHAKE_LATE,
    HTTP_SHAKE_COUNT
};

/* The handshakes of a worker: secure_uv.c. */
struct http_secure {
    struct client_queue waiting;
    uint32_t running;
    uint64_t said_at_ms;   /* of a client */
    uint64_t warned_at_ms; /* of an instance */
    struct rc_metric *results[HTTP_SHAKE_COUNT];
    struct rc_metric *queued;
};

/* What became of second attempts. */
enum http_hedge { HTTP_HEDGE_WON, HTTP_HEDGE_LOST, HTTP_HEDGE_FAILED, HTTP_HEDGE_COUNT };

struct http_pool_metrics {
    struct rc_metric *retries[RETRY_FAILURE_COUNT];
};

struct http_metrics {
    struct rc_table *pools; /* name -> struct http_pool_metrics, owned */
    struct rc_metric *bad_requests[HTTP1_FAULT_COUNT];
    struct rc_metric *bad_responses[HTTP1_FAULT_COUNT];
    struct rc_metric *h2_calmed[H2_NUISANCE_COUNT];
    struct rc_metric *connects;
    struct rc_metric *connect_time;
    struct rc_metric *reuses;
    struct rc_metric *stale;
    struct rc_metric *budget_refusals;
    struct rc_metric *hedges[HTTP_HEDGE_COUNT];
    struct rc_metric *log_dropped;
    struct rc_metric *patterns_given_up;
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
    struct exchange *spare; /* freed ones, for the next requests */
    uint32_t spare_count;
    TAILQ_HEAD(http_queues, http_queue) queues; /* one for each pool that is waited for */
    size_t queued;                              /* in all of them */
    struct client *dead_streams;                /* likewise */
    struct h2_link_list
        h2_dirty;         /* connections that have something to write or to hear, */
    uv_prepare_t h2_turn; /* at the end of this turn of the loop; */
    uv_idle_t h2_again;   /* active when some are left then */
    struct retry_budget budget;
    struct http_metrics metrics;
    struct http_secure secure;
    struct access_log_uv *logs[HTTP_LOGS_MAX];
    size_t log_count;
    uint64_t log_dropped_told;
    struct route_scratch *routes;
    struct maintenance *maintenance;
    bool aborted;
    bool starved; /* somebody did not get a buffer and waits for one */
};

/* http_uv.c */
uint64_t http_now_ms(const struct http *http); /* of this turn of the loop */
/* A buffer from the slab, or NULL: then whoever pauses is woken when there are some again. */
struct slab_buffer *http_lend(struct http *http);
/* One that is all zero, or NULL. http_leave() takes it back. */
struct exchange *http_exchange(struct http *http);
void http_leave(
    struct http *http); /* at the end of each callback: frees what has ended */
void http_set_timer(struct http *http, struct timer *timer, uint64_t due_ms);
struct http_pool_metrics *http_pool_metrics(struct http *http, const char *pool);
struct access_log_uv *http_log(struct http *http, const char *path);

/* outbound_uv.c */
/* A kept connection that is good for this class of request and was verified under `tls` (NULL:
 * in the clear), or NULL. */
struct outbound *outbound_reuse(struct http *http, struct instance *instance,
                                enum retry_class method, const struct tls_context *tls);
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
void outbound_on_timer(struct outbound *out);
/* Closes idle connections to those who are in no pool of the worker's snapshot. */
void outbound_sweep(struct http *http);
void outbound_abort(struct http *http); /* closes everything */
void outbound_pools_free(struct http *http);

/* client_uv.c */
void client_accept(struct http *http, struct worker_listener *listener, int fd,
                   const struct rc_address *peer);
void client_on_timer(struct client *client);
/* client_list_uv.c: one entry for each connection, for /connections. */
void client_list_all(struct worker *worker, void *state, struct inquiry *inquiry);
/* Arms what its flags ask for. */
void client_rearm(struct client *client);
/* After bytes were taken from client->in: reads again, gives an empty buffer back. */
void client_drained(struct client *client);
void client_close(struct client *client);
/* Closes, but reads on for a while, so that what was written arrives. */
void client_linger(struct client *client);
/* The exchange is over and its answer written: go on to the next request, or close. */
enum client_next { CLIENT_GOES_ON, CLIENT_LINGERS, CLIENT_CLOSES, CLIENT_RESETS };
void client_exchange_over(struct client *client, enum client_next next);
/* True while the client may bring more requests. */
bool client_may_stay(const struct client *client);
/* Sets the client's one deadline. */
void client_set_deadline(struct client *client, uint64_t due_ms);

/* client_side_uv.c: what an exchange asks of its client, whatever protocol that speaks. It writes
 * heads as text of HTTP/1.1 and bodies into client->out; what it reads lies in client->in. */
/* The last `size` bytes of client->out are a head, and perhaps some of the body behind it.
 * RC_OK, or why they cannot go. */
int client_take_head(struct client *client, size_t size);
/* True if the protocol itself says where a body ends: then no chunks are wanted, and none come. */
bool client_frames_bodies(const struct client *client);
/* How the bytes in client->in are framed if the request head says `said`. FRAMING_CLOSE: until
 * client->ended. */
struct framing client_framing(const struct client *client, const struct framing *said);
/* Sends client->out and then `size` bytes more, as far as possible; the rest as
 * http_socket_write. */
enum http_io client_send(struct client *client, const uint8_t *extra, size_t size,
                         size_t *extra_sent);
/* The descriptor of the connection it came by, for questions about its ends only. */
int client_fd(const struct client *client);
/* Nothing more is put into client->out: DONE when all of it is on its way. */
enum http_io client_finish(struct client *client);

/* h2_link_uv.c: connections that speak HTTP/2 */
/* Clears what this file keeps in `http`. */
void h2_link_init(struct http *http);
void h2_link_fini(struct http *http);
/* From now on the client speaks HTTP/2, what lies in client->in included. */
void h2_link_open(struct client *client);
/* True if a new client has sent the preface, and is allowed to without TLS. */
bool h2_link_is_wanted(const struct client *client, const char *bytes, size_t size);
void h2_link_on_event(struct client *client, int status, int events);
void h2_link_on_timer(struct client *client);
/* Ends its streams; to be called by client_close only. */
void h2_link_close(struct client *client);
/* No new streams; closed when the last one is done. To be called again until then. */
void h2_link_leave(struct client *client);
/* What client_side_uv.c and client_uv.c do for a stream. */
int h2_stream_client_head(struct client *client, size_t size);
enum http_io h2_stream_client_send(struct client *client, const uint8_t *extra,
                                   size_t size, size_t *extra_sent);
enum http_io h2_stream_client_finish(struct client *client);
void h2_stream_client_drained(struct client *client);
void h2_link_drained(struct client *client);
int h2_stream_client_fd(const struct client *client);
/* The connection that a stream runs on. */
struct client *h2_stream_carrier(const struct client *client);
void h2_stream_client_close(struct client *client);
/* secure_uv.c: TLS with clients */
void secure_open(struct http_secure *secure, struct rc_metrics *metrics);
/* Directly after it was accepted. The client may be closed when this returns. */
void secure_begin(struct client *client);
/* CLIENT_SHAKING: the handshake is done and what comes is HTTP/1 (true); or HTTP/2 has taken over, or
 * it has failed and the client is closed. */
bool secure_on_event(struct client *client, int status);
/* It took too long: the client is closed. */
void secure_on_timer(struct client *client);
/* May this request not be answered on this connection, by its certificate? 421 then. */
bool secure_is_misdirected(const struct client *client, struct rc_span host);
/* The field that tells a browser to come by TLS only, or NULL. Borrowed. */
const char *secure_hsts(const struct exchange *x);
/* Before it is closed, in whatever state: the place is free for the next. */
void secure_leave(struct client *client);

/* exchange_uv.c: one request from its head on */
/* A complete head lies at the front of client->in (`size` bytes), or a fault was found in it. */
void exchange_begin(struct client *client, size_t size, enum http1_fault fault);
void exchange_on_timer(struct exchange *x);
/* The snapshot has changed: those who wait for an instance look again, tunnels to one that has
 * left get drain_timeout. */
void exchange_on_snapshot(struct exchange *x);
/* Of the attempt's connection, or of the hedge's. */
void exchange_on_outbound(struct exchange *x, const struct outbound *from, int status,
                          int events);
/* The client has reset, or gone before its request was complete. */
void exchange_client_gone(struct exchange *x);
/* Progress was made: the deadline of this phase starts anew. */
void exchange_touch(struct exchange *x);

/* course_uv.c: what the route makes of a request. Those that return a status: 0, or what to
 * refuse with, and why. */
/* Finds route, pool and service of x. */
unsigned course_choose(struct exchange *x, const char *bytes,
                       const struct http1_request *request, struct route_choice *choice,
                       const char **why);
/* The route's own answer: `out->status` stays 0 if the request goes on to an instance. What it
 * points to outlives the request's head. */
unsigned course_answer(struct exchange *x, const struct route_choice *choice,
                       struct forward_answer *out, const char **why);
/* What changes on the way, for forward_request. Zeroed by the caller. */
struct course_shape {
    struct rc_span target;
    const struct config_edits *edits;
    struct template_values values;
};
unsigned course_shape(struct exchange *x, const char *bytes,
                      const struct http1_request *request,
                      const struct route_choice *choice, struct course_shape *out,
                      const char **why);
void course_response_values(const struct exchange *x, struct template_values *out);
/* True if the service that the request names is none: the agent knows no instance of it. */
bool course_has_no_service(const struct exchange *x);
/* "http" or "https": how the client came. */
struct rc_span exchange_scheme(const struct exchange *x);

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
/* What may become of a second try of this request (RFC 9110 section 9.2). */
enum retry_class attempt_class(const struct exchange *x);
/* Whom the pool's instances are vouched for by; NULL: they are spoken to in the clear. */
struct tls_context *attempt_tls(const struct exchange *x);
/* TLS over a connection that stands, of the attempt or of the hedge. RC_OK or RC_ENOMEM. */
int attempt_begin_tls(const struct exchange *x, struct outbound *out,
                      struct tls_context *context);
/* An instance for a hedge, with one use of it begun and the budget asked: false if there is none. */
bool attempt_may_hedge(struct exchange *x, const struct snapshot_member **member);

/* hedge_uv.c: a second instance is asked when the first one is slow */
/* When that is to be, as things stand; UINT64_MAX = not. */
uint64_t hedge_due_ms(const struct exchange *x);
/* Asks another instance, if there is one. Not more than once a request. */
void hedge_start(struct exchange *x);
/* What happens to the hedge's connection. It may become the exchange's own. */
void hedge_on_event(struct exchange *x, int status, int events);
/* The first attempt has been let go of: the hedge (which runs) takes its place. */
void hedge_adopt(struct exchange *x);
/* Gives the hedge up, if one runs. */
void hedge_drop(struct exchange *x);

/* queue_uv.c: who waits for an instance */
/* Others of its pool wait, and came before. */
bool queue_is_behind(const struct exchange *x);
/* Waits from now on; `counts` of its pool may be NULL. */
enum queue_place { QUEUE_ENTERED, QUEUE_FULL };
enum queue_place queue_enter(struct exchange *x, struct pool_counts *counts);
/* Does not wait any more, or did not. */
void queue_leave(struct exchange *x);
/* An instance of its pool has become free: queue_serve will let the first one look. */
void queue_wake(const struct exchange *x);
void queue_serve(struct http *http);

/* answer_uv.c: answers of our own, and how an exchange ends */
/* Gives up with an answer of our own, or by cutting if a head is already out. */
void answer_send(struct exchange *x, unsigned status, const char *text);
/* An answer that is a route's own: status, body and fields are given. */
void answer_own(struct exchange *x, const struct forward_answer *answer);
/* 503, saying what is wrong with the pool. */
void answer_nobody(struct exchange *x);
/* Cuts the client's connection so that it shows that the answer is not complete. */
void answer_cut(struct exchange *x, enum access_log_who who,
                enum instance_outcome outcome);
/* Counts, logs, frees (at http_leave) and hands the client on. */
void answer_finish(struct exchange *x, enum client_next next);
/* Says in the log who ended it; the first word stays. */
void answer_blame(struct exchange *x, enum access_log_who who);
/* Says why it is refused, for the log and the counters; the first reason stays. To be called
 * before answer_send or answer_cut. */
void answer_because(struct exchange *x, enum refusal refusal);

/* quota_uv.c: what one client may ask for */
/* Asks the limits of the listener, or of a route. 0, or the status to refuse with and why. */
unsigned quota_take(struct exchange *x, const struct config_limits *limits,
                    const char *bytes, const struct http1_request *request,
                    const char **why);
void quota_return(struct exchange *x); /* what `limit concurrent` lent */

/* request_uv.c: client -> instance */
void request_pump(struct exchange *x);

/* response_uv.c: instance -> client */
void response_pump(struct exchange *x);
/* The instance is readable, or has failed. */
void response_on_bytes(struct exchange *x);

/* True if all that has come of the request has left us. */
bool request_is_sent(const struct exchange *x);

/* splice_uv.c: long bodies, uncopied */
/* May what comes next of the response (of the request) go through a pipe? */
bool splice_takes_response(const struct exchange *x);
bool splice_takes_request(const struct exchange *x);
/* Reads it into a pipe and adds its size to `*moved`: DONE, then pump; BLOCKED, ENDED, BROKEN;
 * FULL when there is no pipe, or one that is not empty yet. */
enum http_io splice_response(struct exchange *x, size_t *moved);
enum http_io splice_request(struct exchange *x, size_t *moved);
/* Sends what is in the pipe, if one is there: DONE (it is empty), BLOCKED or BROKEN. */
enum http_io splice_send_response(struct exchange *x);
enum http_io splice_send_request(struct exchange *x);
/* Lets go of the pipe and of what is in it. */
void splice_forget(struct exchange *x, struct splice_way *way);

/* tunnel_uv.c: both ways, after 101 */
void tunnel_start(struct exchange *x);
void tunnel_pump(struct exchange *x);
/* Reads from the instance's side, then pumps. */
void tunnel_on_bytes(struct exchange *x);

#endif
