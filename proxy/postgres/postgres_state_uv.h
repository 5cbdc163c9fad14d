/* postgres_state_uv.h - one PostgreSQL session and what a worker keeps of all of them.
 *
 * Private to the protocol's files: postgres_uv.c (the table, time, changes), pgfirst_uv.c (what a
 * client says first), pgcancel_uv.c (cancel requests), pgsecure_uv.c (TLS that ends here),
 * pgqueue_uv.c (who waits, and whose turn it is) and pgserver_uv.c (a server is found, greets,
 * and bytes pass). */
#ifndef PROXY_POSTGRES_POSTGRES_STATE_UV_H
#define PROXY_POSTGRES_POSTGRES_STATE_UV_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "base/buffer.h"
#include "base/metrics.h"
#include "proxy/postgres/cancel_map.h"
#include "proxy/postgres/pghello.h"
#include "proxy/postgres/pgroute.h"
#include "proxy/postgres/ramp.h"
#include "proxy/upstream/pgtally.h"
#include "proxy/wire/pgwire.h"
#include "proxy/worker/dial_uv.h"
#include "proxy/worker/proxy_header_uv.h"
#include "proxy/worker/relay_uv.h"
#include "proxy/worker/worker_uv.h"

enum {
    POSTGRES_START_LIMIT_MS = 60 * 1000, /* authentication_timeout of the server */
    POSTGRES_LINES_MAX = 32,
    POSTGRES_NOTICE_MAX = 2 * PGWIRE_MESSAGE_MAX,
};

enum stage {
    STAGE_FIRST, /* the start-up packet is not yet whole */
    STAGE_WAIT,  /* held: no server for it now, or others wait longer */
    STAGE_DIAL,  /* connecting */
    STAGE_HELLO, /* the server has the start-up packet and has not said all about itself */
    STAGE_OPEN,  /* bytes pass */
    STAGE_CANCEL, /* a cancel request on its way to its server */
};

/* What of a session is hidden from us. */
enum veil {
    VEIL_NONE,
    VEIL_ASKED,  /* the server is asked for TLS and has not answered */
    VEIL_DIRECT, /* TLS from the first byte on; nothing has passed yet */
    VEIL_CLOSED, /* all is hidden */
};

/* TLS to the server, where the pool wants it. */
enum server_tls {
    SERVER_TLS_NONE,
    SERVER_TLS_ASKED, /* SSLRequest is sent */
    SERVER_TLS_ON,
};

/* Does the client bind its password to our certificate, which is not the server's? */
enum binding {
    BINDING_UNKNOWN, /* its first message to the server is still to come */
    BINDING_FITS,    /* it does not, or they are the same */
};

/* Those who wait at one listener for the same kind of server, in order. */
struct line {
    const struct worker_listener *listener;
    enum config_target target;
    uint32_t waiting;
    bool blocked; /* its first cannot go on now: then nobody behind it */
    struct ramp ramp;
};

struct postgres {
    struct worker *worker;
    struct session *first; /* oldest first: who waited longest is served first */
    struct session *last;
    uint32_t waiting;
    struct line lines[POSTGRES_LINES_MAX];
    size_t line_count;
    struct ramp guesses; /* cancel requests that go to several servers */
    struct ramp cancels; /* all of them */
    struct ramp words;   /* in the log, about TLS that failed */
    size_t turn;
    uv_timer_t sweep;
    struct rc_metric *expired;
    struct rc_metric *cut;
    struct rc_metric *opened;
    uint8_t buffer[RELAY_BUFFER];
};

/* Where a cancel request still has to go. */
struct cancel_tour {
    struct cancel_place places[CANCEL_MAP_GUESSES_MAX];
    size_t count;
    size_t at;
};

struct session {
    struct postgres *postgres;
    struct session *next;
    struct session *previous;
    struct worker_listener *listener;
    struct limit_grant grant;
    struct rc_address peer;
    int client_fd; /* the relay's */
    uint64_t since_ms;
    enum stage stage;
    enum veil veil;
    bool secured; /* its client's TLS ends here */
    bool direct;  /* and began without being asked for */
    enum server_tls server_tls;
    enum binding binding;
    struct relay *relay;
    struct dial *dial;
    struct line *line;            /* while it waits */
    enum pgtally_line held_as;    /* the same */
    uint32_t held_with;           /* so many others were held when it came */
    struct pgtally *tally;        /* of its pool; one reference; NULL: the pool is gone */
    struct instance *instance;    /* in use; one reference */
    const struct instance *avoid; /* failed last; only compared */
    struct rc_buffer early; /* from the client, for the server: start-up packet first */
    struct pghello hello;
    struct pgwire_hopper hopper; /* where the server's messages end */
    struct rc_buffer notice; /* of the server, unfinished: it may not be for the client */
    struct pgroute_session route;
    struct cancel_place place; /* under which it stands in the cancel map */
    struct cancel_tour *tour;  /* CANCEL; owned */
    bool noted;                /* it stands there by its client's address */
    bool managed;              /* by keepers: the lease's word is checked on every byte */
    bool wants_read;           /* by its start-up packet */
    bool replication;
    bool ssl_refused;
    bool gss_refused;
    bool told_tls_failed; /* counted, that is */
    uint64_t deadline_ms; /* of this stage; 0 = none */
    uint64_t retry_at_ms; /* WAIT: not before; 0 = not tried yet */
    uint64_t wait_until_ms;
    uint64_t held_at_ms;  /* 0: it did not have to wait */
    uint64_t leave_at_ms; /* its server has left the set: cut then; 0 = no */
};

/* --- postgres_uv.c --- */

const struct config_listener *session_config(const struct session *s);
const struct snapshot_pool *session_pool(const struct session *s); /* NULL: taken away */
enum config_target session_target(const struct session *s);
void session_enter(struct session *s, enum stage stage);
void session_stop_using(struct session *s, enum instance_outcome outcome);
void session_end(struct session *s, enum relay_closing how);

/* Ends it; the client is told why, if it stands where it can understand it. */
void session_refuse(struct session *s, const char *sqlstate, const char *message);

/* The same from within a relay's callback. */
enum relay_verdict session_refuse_now(struct session *s, const char *sqlstate,
                                      const char *message);
void session_count(const struct session *s, enum pgtally_event event);
/* Tells a server, on the fresh connection `fd`, who the client is, where its pool wants that. RC_OK or
 * RC_EIO. */
int session_tell_client(const struct session *s, int fd);

/* Refuses it and counts why. */
void session_refuse_for(struct session *s, enum pgtally_event why, const char *sqlstate,
                        const char *message);

/* --- pgfirst_uv.c --- */

enum relay_verdict pgfirst_receive(struct session *s, const uint8_t *bytes, size_t size);

/* --- pgcancel_uv.c --- */

/* The client's first packet is a cancel request. */
void pgcancel_begin(struct session *s, const struct pgwire_first *first);

/* The way to its server is open. */
void pgcancel_send(struct session *s);

/* Its server is done with it: on to the next one, or the end. */
void pgcancel_next(struct session *s);

/* --- pgsecure_uv.c --- */

/* The client wants TLS, which ends here: by SSLRequest, or by a handshake that has begun. */
void pgsecure_client(struct session *s, const struct pgwire_first *first);

/* A word about a client whose TLS failed. */
void pgsecure_client_failed(struct session *s);

/* May it go to this server as it is? Refuses it, with words, if not. */
bool pgsecure_may_use(struct session *s, const struct instance *instance);

/* TLS to the server, if its pool wants it. True: asked for, and nothing goes there before. */
bool pgsecure_ask_server(struct session *s);

/* What the server says to that. */
enum relay_verdict pgsecure_server_answers(struct session *s, const uint8_t *bytes,
                                           size_t size);

/* The server has ended TLS before it had said anything. True if that was to be told. */
bool pgsecure_server_failed(struct session *s);

/* The client answers the server's greeting: passes, or is refused. */
enum relay_verdict pgsecure_client_answers(struct session *s, const uint8_t *bytes,
                                           size_t size);

/* --- pgqueue_uv.c --- */

/* The start-up packet is there. From now on it waits at most wait_for_primary, whatever happens in
 * between. */
void pgqueue_join(struct session *s);

/* Into and out of the count of those who wait; by session_enter() only. */
void pgqueue_count_in(struct session *s);
void pgqueue_count_out(struct session *s);

/* Lets go who can, in order; ends who has waited for too long. */
void pgqueue_serve(struct postgres *p, uint64_t now_ms);

/* --- pgserver_uv.c --- */

void pgserver_connect(struct session *s, struct instance *instance);

/* The way to the server is open: what the client has said goes there. */
void pgserver_begin(struct session *s);

/* This server will not do: back to the others who wait, in the old place. */
void pgserver_try_again(struct session *s, enum instance_outcome outcome);
enum relay_verdict pgserver_bytes(void *context, enum relay_side from,
                                  const uint8_t *bytes, size_t size);
void pgserver_ended(void *context, enum relay_side side);

#endif
