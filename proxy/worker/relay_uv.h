/* relay_uv.h - bytes between a client and a server, both ways, half-closes kept.
 *
 * Owns both descriptors and wraps them in uv_poll. What one read brings is written on at once
 * from the worker's shared buffer; only what the far side does not take is kept, and then
 * nothing more is read until it is gone. An idle relay holds no buffer. Long transfers go
 * through pipes instead, if the owner does not need to see them. A reset of one side
 * is a reset of the other: a cut stream must look cut. */
#ifndef PROXY_WORKER_RELAY_UV_H
#define PROXY_WORKER_RELAY_UV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "proxy/tls/tls_openssl.h"
#include "proxy/worker/pipe_uv.h"

struct relay;

enum relay_side { RELAY_CLIENT, RELAY_SERVER, RELAY_SIDE_COUNT };

/* What the owner did with bytes that came. */
enum relay_verdict {
    RELAY_PASS,  /* send them on as they are */
    RELAY_TAKEN, /* the owner has copied them */
    RELAY_OVER,  /* the owner has closed the relay, in this call */
};

/* The owner's side. `bytes` may be NULL: then all passes. */
struct relay_owner {
    void *context;
    enum relay_verdict (*bytes)(void *context, enum relay_side from, const uint8_t *bytes,
                                size_t size);
    /* A side has ended before there was a server to tell, or while `bytes` takes everything; or
     * both have ended. The owner calls relay_close. */
    void (*ended)(void *context, enum relay_side side);
    /* So many bytes of a side have gone through a pipe; may be NULL. */
    void (*spliced)(void *context, enum relay_side from, size_t size);
    /* A side's handshake of TLS is done. May be NULL. */
    void (*secured)(void *context, enum relay_side side);
};

enum { RELAY_BUFFER = 64 * 1024 };

/* A relay with a client and no server yet. `buffer` (RELAY_BUFFER bytes) is shared by all relays
 * of a loop: what is in it is gone after any call of this file. On RC_OK the descriptor is owned; on RC_ENOMEM it is not. */
int relay_open(uv_loop_t *loop, uint8_t *buffer, int client_fd,
               const struct relay_owner *owner, struct relay **out);

/* Gives it a server; replaces none. RC_OK or RC_EIO (descriptor closed). */
int relay_attach(struct relay *relay, int server_fd);

/* Closes the server's side and forgets what was kept for it: to try another one. */
void relay_detach(struct relay *relay);
bool relay_has_server(const struct relay *relay);

/* From now on this side speaks TLS by `tls`, which is taken in every case; its first bytes are sent.
 * `bytes` is what has been received of it already. RC_OK, or RC_ECLOSED when that was no TLS:
 * then the owner closes. A side that breaks TLS later has ended. */
int relay_secure(struct relay *relay, enum relay_side side, struct tls *tls,
                 const uint8_t *bytes, size_t size);

/* From now on what this side says may pass through pipes without being shown to the owner, when
 * it is much and both sides speak in the clear. `pipes` is borrowed until the relay is closed;
 * NULL: no longer. */
void relay_splice(struct relay *relay, enum relay_side from, struct pipe_pool *pipes);

/* NULL while a side speaks in the clear, or is not there. Borrowed. */
const struct tls *relay_tls(const struct relay *relay, enum relay_side side);

/* The client is read only while this is set; without a server it starts unset. */
enum relay_reading { RELAY_READ, RELAY_REST };
void relay_read_client(struct relay *relay, enum relay_reading reading);

/* Sends or keeps `size` bytes. RC_OK, RC_ECLOSED, RC_ENOMEM. */
int relay_send(struct relay *relay, enum relay_side to, const void *bytes, size_t size);

/* What becomes of a server that says no more: the client is told in kind (the start), or the
 * owner is, by ended(). */
enum relay_ends { RELAY_ENDS_PASS, RELAY_ENDS_TOLD };
void relay_set_ends(struct relay *relay, enum relay_ends ends);

/* True once a side has ended by an error, as by a reset. */
bool relay_is_broken(const struct relay *relay);

/* True if nothing waits for this side. */
bool relay_is_drained(const struct relay *relay, enum relay_side side);

/* The last time a byte moved, in ms of rc_clock_ms. */
uint64_t relay_moved_at_ms(const struct relay *relay);

/* Closes both; memory goes later, the owner is not called any more. RESET: both see a reset
 * instead of an orderly end. CUT: the server does. */
enum relay_closing { RELAY_ORDERLY, RELAY_RESET, RELAY_CUT };
void relay_close(struct relay *relay, enum relay_closing how);

#endif
