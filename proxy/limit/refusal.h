/* refusal.h - why a client did not get what it asked for: one word each, everywhere the same.
 *
 * The word stands in the access log ($reason), in rollcall_proxy_refusals_total{reason=} and on
 * the admin port. Whoever refuses for a new reason adds a row here and in refusal.c. */
#ifndef PROXY_LIMIT_REFUSAL_H
#define PROXY_LIMIT_REFUSAL_H

enum refusal {
    REFUSAL_NONE, /* it was served */
    /* Before a request: the connection is closed. */
    REFUSAL_SOURCE_CONNECTIONS, /* `limit connections` of this source */
    REFUSAL_CONNECTION_RATE,    /* `limit rate` of a tcp or postgres listener */
    REFUSAL_NO_DESCRIPTOR,
    REFUSAL_NO_BUFFER,
    REFUSAL_PROXY_PROTOCOL, /* its header is late, broken, or from a stranger */
    REFUSAL_TLS,            /* the handshake failed or took too long */
    /* The request itself. */
    REFUSAL_BAD_REQUEST, /* it breaks a rule: rollcall_proxy_http_bad_requests_total says which */
    REFUSAL_HEAD_SIZE,
    REFUSAL_HEAD_TIME, /* the head did not arrive within head_timeout */
    REFUSAL_BODY_SIZE,
    REFUSAL_BODY_TIME, /* the body stopped, or comes too slowly */
    REFUSAL_SLOW_READER,
    REFUSAL_METHOD,
    REFUSAL_NO_ROUTE,
    REFUSAL_RATE,       /* `limit rate` */
    REFUSAL_CONCURRENT, /* `limit concurrent` */
    REFUSAL_MAINTENANCE,
    REFUSAL_DRAINING, /* the proxy is going */
    /* The instances. */
    REFUSAL_NO_INSTANCE, /* nobody lives, or nobody became free in queue_timeout */
    REFUSAL_QUEUE_FULL,
    REFUSAL_BREAKER, /* `max_requests` of the pool, or its circuit breaker is open */
    REFUSAL_CONNECT, /* no instance could be connected to */
    REFUSAL_INSTANCE_BROKE,
    REFUSAL_INSTANCE_TIME, /* no response in response_timeout */
    REFUSAL_BAD_ANSWER,    /* what the instance says breaks a rule */
    REFUSAL_COUNT
};

/* "rate", "no_route"; "" for REFUSAL_NONE. */
const char *refusal_word(enum refusal refusal);

/* A sentence for people, without a full stop. */
const char *refusal_text(enum refusal refusal);

#endif
