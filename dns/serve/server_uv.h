/* server_uv.h - the DNS server: a few threads that answer over UDP and TCP.
 *
 * Each worker (worker_uv.h) has sockets of its own for every address and answers from the
 * board; the kernel deals clients out to them. What a worker cannot know is answered on the
 * loop of whoever started the server (desk_uv.h). What to answer is decided in answer.h. */
#ifndef DNS_SERVE_SERVER_UV_H
#define DNS_SERVE_SERVER_UV_H

#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/address.h"
#include "dns/answer/answer.h"
#include "dns/answer/view.h"
#include "dns/board/board.h"

struct dns_forward_options; /* forward_options.h */
struct rc_metrics;
struct dns_server;

enum {
    DNS_SERVER_LISTEN_MAX = 8,
    DNS_SERVER_WORKERS_MAX = 64,
    DNS_SERVER_ERROR_MAX = 256
};

struct dns_server_options {
    const struct rc_address *listen;   /* each for UDP and TCP; copied */
    size_t listen_count;               /* 1 to DNS_SERVER_LISTEN_MAX */
    size_t workers;                    /* 1 to DNS_SERVER_WORKERS_MAX */
    const struct dns_options *answers; /* borrowed until closed; does not change */
    struct dns_board *board;           /* borrowed until closed */
    const struct dns_view *view; /* borrowed until closed; of the caller's thread: for
                                        * what the board says is known elsewhere */
    const struct dns_forward_options *forward; /* borrowed until closed; NULL: questions
                                                * about other zones are refused */
    struct rc_metrics *metrics;                /* borrowed until closed; may be NULL */
    uint64_t random_seed;                      /* orders the answers */
};

/* Opens all sockets and answers from then on, on threads of its own; to be called by the
 * thread that writes the board, whose loop `loop` is. On RC_OK `*out` belongs to the caller
 * until dns_server_close(). On RC_EINVAL, RC_EIO (address or port not free, no thread) and
 * RC_ENOMEM nothing is left open (once the loop has turned) and `error` says in one line
 * what is wrong and what to do. Port 0 takes a free port, the same for UDP and TCP. */
int dns_server_start(uv_loop_t *loop, const struct dns_server_options *options,
                     struct dns_server **out, char error[DNS_SERVER_ERROR_MAX]);

/* The port of the first listen address, as bound. */
uint16_t dns_server_port(const struct dns_server *server);

/* Stops listening, drops connections, ends the threads; frees `server`, then calls
 * `on_closed`, which may be NULL, from the loop. The board has no readers of ours when this
 * returns. */
void dns_server_close(struct dns_server *server, void (*on_closed)(void *context),
                      void *context);

#endif
