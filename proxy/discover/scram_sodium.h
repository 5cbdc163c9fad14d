/* scram_sodium.h - proves to a server that we know a password, without telling it.
 *
 * The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding. Texts only;
 * who carries them is the caller's matter. Randomness is handed in. */
#ifndef PROXY_DISCOVER_SCRAM_SODIUM_H
#define PROXY_DISCOVER_SCRAM_SODIUM_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

enum {
    SCRAM_ITERATIONS_MAX = 50000, /* more would hold up the loop that calls us */
    SCRAM_NONCE_MAX = 64,
};

struct scram {
    char first_bare[200]; /* n=USER,r=NONCE */
    char nonce[SCRAM_NONCE_MAX];
    uint8_t server_signature[32];
};

/* Appends the client's first message. `user` may be "" (PostgreSQL knows it already); `nonce` is
 * printable and without commas. RC_OK, RC_ETOOBIG, or the buffer's error. */
int scram_begin(struct scram *scram, const char *user, const char *nonce,
                struct rc_buffer *out);

/* The server's first message -> appends the client's last one. RC_OK, RC_EMALFORMED,
 * RC_ETOOBIG (too many iterations), or the buffer's error. */
int scram_continue(struct scram *scram, const char *password, const void *bytes,
                   size_t size, struct rc_buffer *out);

/* The server's last message. RC_OK, or RC_EDENIED: it does not know the password either. */
int scram_finish(const struct scram *scram, const void *bytes, size_t size);

#endif
