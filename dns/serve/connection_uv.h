/* connection_uv.h - one TCP connection of a client: queries in, answers out in any order.
 *
 * RFC 7766. Answers that are ready together leave in one write. What others have to be
 * asked for is answered when it comes; up to DNS_TCP_UNANSWERED_MAX such questions may be
 * open, then no further query is read. */
#ifndef DNS_SERVE_CONNECTION_UV_H
#define DNS_SERVE_CONNECTION_UV_H

#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/address.h"
#include "base/buffer.h"
#include "dns/serve/clerk_uv.h"
#include "dns/serve/later.h"
#include "dns/wire/stream.h"

enum {
    DNS_TCP_UNANSWERED_MAX = 100,
    DNS_TCP_FIRST_MS = 2000,   /* a new connection's first query is due */
    DNS_TCP_IDLE_MS = 10000,   /* between queries, unless there is no room for the idle */
    DNS_TCP_PARTIAL_MS = 5000, /* a query that has begun is due whole */
    DNS_TCP_OUTPUT_MAX = 65536,   /* more unsent answers: no further query is read */
    DNS_TCP_OUTPUT_END = 1 << 20, /* more: it is closed, it does not read */
    DNS_TCP_READ_SIZE = 16384
};

struct dns_connection;

/* What the connections of a loop share; outlives them. */
struct dns_connection_ground {
    uv_loop_t *loop;
    struct dns_clerk *clerk;
    uint32_t idle_ms; /* how long a connection may do nothing, as of now */
    /* dns_connection_flush() is to be called before the loop waits. */
    void (*on_ready)(void *context);
    void (*on_asked)(void *context); /* the first whole query of a connection has come */
    /* It is closing: to be forgotten. Then it is gone: one handle less. */
    void (*on_ended)(void *context, struct dns_connection *connection);
    void (*on_freed)(void *context);
    void *context;
    uint8_t read_space[DNS_TCP_READ_SIZE];
    uint8_t answer[DNS_MESSAGE_MAX];
};

enum dns_connection_state {
    DNS_CONNECTION_OPEN,
    DNS_CONNECTION_ENDING, /* the client sends no more: answers what it asked */
    DNS_CONNECTION_CLOSING
};

struct dns_connection {
    struct dns_outlet outlet; /* first, so that it leads back to us */
    uv_tcp_t handle;          /* `data` is ours */
    struct dns_connection_ground *ground;
    struct dns_connection *next; /* of whoever keeps a list */
    struct dns_connection *previous;
    struct rc_address peer;
    struct dns_stream input;
    struct rc_buffer output;  /* answers, with their lengths before them */
    struct rc_buffer leaving; /* those that `write` is busy with */
    uv_write_t write;
    uint64_t due_ms; /* of the loop's time: when it is closed if nothing happens */
    enum dns_connection_state state;
    enum dns_choice has_asked; /* a whole query has come */
    enum dns_choice is_ready; /* to be flushed: answers came later, or it is to read on */
};

/* Serves the client at the other end of `fd`, which is taken, also on failure. NULL: no
 * memory, or the system refuses. */
struct dns_connection *dns_connection_open(struct dns_connection_ground *ground, int fd,
                                           const struct rc_address *peer);

/* Sends what came later, and goes on reading if that was what it waited for. */
void dns_connection_flush(struct dns_connection *connection);

/* Ends it at once; calls on_ended now and on_freed from the loop. */
void dns_connection_drop(struct dns_connection *connection);

#endif
