/* tls_openssl.h - TLS of one connection: bytes in, bytes out.
 *
 * No socket and no clock (except that certificates end): who owns the connection shows what came
 * from the peer and sends what is to be sent. TLS 1.2 and 1.3, no renegotiation, no tickets and no
 * sessions to be resumed, like PostgreSQL itself. libssl is loaded when the first context is
 * made. A context is shared by threads, a connection belongs to one. */
#ifndef PROXY_TLS_TLS_OPENSSL_H
#define PROXY_TLS_TLS_OPENSSL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/buffer.h"

struct tls_context; /* what we are, or whom we trust */
struct tls;         /* one connection's side */

enum {
    TLS_PROBLEM_MAX = 320,
    TLS_TEXT_MAX = 16 * 1024, /* one record: what tls_next yields at a time at most */
};

/* For servers: a certificate with its chain, and its key, both PEM. RC_OK with one reference, or
 * RC_EINVAL, RC_ENOTFOUND (no libssl) or RC_ENOMEM with the reason in words. */
int tls_context_serve(const char *certificate, const char *key, struct tls_context **out,
                      char problem[TLS_PROBLEM_MAX]);

/* For clients: the certificates of those who may vouch for a server, PEM, or "system" for those
 * that this machine trusts. As above. */
int tls_context_trust(const char *ca, struct tls_context **out,
                      char problem[TLS_PROBLEM_MAX]);

/* Any thread. Connections keep their context. */
struct tls_context *tls_context_retain(struct tls_context *context);
void tls_context_release(struct tls_context *context); /* NULL is allowed */

/* Our side of a connection. NULL when memory is out. */
struct tls *tls_accept(struct tls_context *context);

/* The same towards a server whose certificate must be for `name`, or for the IP address when `name`
 * is empty. Its first bytes come out of tls_next. */
enum tls_speaks { TLS_SPEAKS_ANYTHING, TLS_SPEAKS_POSTGRESQL }; /* offered by ALPN */
struct tls *tls_connect(struct tls_context *context, enum tls_speaks speaks,
                        const char *name, const struct rc_address *address);
void tls_destroy(struct tls *tls); /* NULL is allowed */

/* What the peer sent. Borrowed until tls_next says something else than TEXT. */
void tls_receive(struct tls *tls, const uint8_t *bytes, size_t size);

enum tls_step {
    TLS_STEP_TEXT,   /* `text` holds some; call again */
    TLS_STEP_WAIT,   /* all was taken; the peer has to say more */
    TLS_STEP_ENDED,  /* the peer says no more */
    TLS_STEP_FAILED, /* for good: tls_problem() says why */
};

/* Goes on with what was received. `*size` is the room in `text` before, and what is in it after TEXT.
 * What is to be sent to the peer is appended to `wire`, in every case. */
enum tls_step tls_next(struct tls *tls, uint8_t *text, size_t *size,
                       struct rc_buffer *wire);

/* Seals `size` bytes into `wire`, or keeps them until the handshake is done. RC_OK, RC_ECLOSED or
 * RC_ENOMEM. */
int tls_send(struct tls *tls, const void *text, size_t size, struct rc_buffer *wire);

/* Tells the peer that no more comes. */
void tls_end(struct tls *tls, struct rc_buffer *wire);

bool tls_is_open(const struct tls *tls);              /* the handshake is done */
bool tls_agreed_on_postgresql(const struct tls *tls); /* by ALPN */

/* True if what `ours` shows its client is the certificate that `theirs` was shown by its server: a
 * password bound to the one (RFC 5929 tls-server-end-point) is bound to the other. */
bool tls_shows_same(const struct tls *ours, const struct tls *theirs);

/* Why it failed, in words; "" = it did not. */
const char *tls_problem(const struct tls *tls);

#endif
