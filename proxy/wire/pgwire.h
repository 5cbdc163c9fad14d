/* pgwire.h - as much of PostgreSQL's protocol 3 as routing needs.
 *
 * Start-up packets and cancel requests of clients; the messages of a server until its first
 * ReadyForQuery; after that only where one message ends. Source: PostgreSQL 15
 * documentation chapter 55 (53.7 in later ones). Integers are big-endian. Pure. */
#ifndef PROXY_WIRE_PGWIRE_H
#define PROXY_WIRE_PGWIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

enum {
    PGWIRE_FIRST_MAX = 10000,       /* MAX_STARTUP_PACKET_LENGTH of the server */
    PGWIRE_MESSAGE_MAX = 64 * 1024, /* of one message before ReadyForQuery */
    PGWIRE_KEY_MIN = 4,
    PGWIRE_KEY_MAX = 256, /* protocol 3.2; 4 bytes in 3.0 */
};

enum pgwire_kind {
    PGWIRE_MORE, /* not yet whole */
    PGWIRE_SSL,
    PGWIRE_GSSENC,
    PGWIRE_CANCEL,
    PGWIRE_STARTUP,
    PGWIRE_DIRECT_TLS, /* a TLS record instead of a packet */
    PGWIRE_BAD,
};

/* The first packet of a client. Pointers stand in the given bytes. */
struct pgwire_first {
    enum pgwire_kind kind;
    size_t size;          /* bytes of the packet */
    uint32_t protocol;    /* STARTUP: 196608 is 3.0 */
    const char *user;     /* STARTUP: "" when missing */
    const char *database; /* STARTUP: "" when missing */
    const char *options;  /* STARTUP: "" when missing */
    bool replication;     /* STARTUP: it asks for a replication connection */
    uint32_t pid;         /* CANCEL */
    const uint8_t *key;   /* CANCEL */
    size_t key_size;
};

/* Looks at what a client has sent so far. */
void pgwire_read_first(const void *bytes, size_t size, struct pgwire_first *out);

/* Opt-in routing inside the start-up packet: `NAME@ro` as database, or "rollcall.route=ro" among
 * its options, asks for a server that is read. */
enum pgwire_route { PGWIRE_ROUTE_NONE, PGWIRE_ROUTE_READ };
enum pgwire_route pgwire_route_of(const struct pgwire_first *first);

/* Takes "@ro" off the database's name in the start-up packet that stands at the beginning of
 * `packet`, which `first` was read from and which moves. RC_OK, also when there is none. */
int pgwire_strip_route(struct rc_buffer *packet, const struct pgwire_first *first);

/* One message of a server: type and body, in the given bytes. */
struct pgwire_message {
    char type;
    const uint8_t *body;
    size_t body_size;
    size_t size; /* with its header */
};

/* RC_OK, RC_EAGAIN (not yet whole), RC_EMALFORMED, RC_ETOOBIG (over PGWIRE_MESSAGE_MAX). */
int pgwire_read_message(const void *bytes, size_t size, struct pgwire_message *out);

/* 'R': what the server wants; 0 is AuthenticationOk. UINT32_MAX when malformed. */
uint32_t pgwire_auth_code(const struct pgwire_message *message);

/* 'S': true if it is the parameter `name`; `*value` then is its NUL-terminated value. */
bool pgwire_parameter(const struct pgwire_message *message, const char *name,
                      const char **value);

/* 'K': RC_OK or RC_EMALFORMED. */
int pgwire_backend_key(const struct pgwire_message *message, uint32_t *pid,
                       const uint8_t **key, size_t *key_size);

/* 'E': the five characters of SQLSTATE, or "". */
void pgwire_sqlstate(const struct pgwire_message *message, char out[6]);

/* 'N' of a commit that was given up waiting for its standby: committed here, confirmed by
 * nobody. By the routine's name, which is not translated: SyncRepWaitForLSN. */
bool pgwire_is_unconfirmed_commit(const struct pgwire_message *message);

/* 'D': the first column as text into `space`. RC_OK, RC_EMALFORMED (also when NULL or longer). */
int pgwire_first_column(const struct pgwire_message *message, char *space, size_t size);

/* Where messages end, while bytes only pass. A zeroed struct stands before a message. */
struct pgwire_hopper {
    uint8_t header[5];
    unsigned header_size;
    uint32_t left; /* of the body */
};

/* Takes note of `size` bytes that passed. A malformed length makes it lost for good: then
 * it never stands at a boundary again. */
void pgwire_hop(struct pgwire_hopper *hopper, const void *bytes, size_t size);
bool pgwire_at_boundary(const struct pgwire_hopper *hopper);

/* Looks for such a notice among bytes that are about to pass; the hopper must have seen all bytes
 * before them. PASS: all may go on. HOLD: from `*at` on an unfinished notice stands, to be kept
 * and shown again, from there, with what follows. FOUND: at `*at` stands one. */
enum pgwire_watch { PGWIRE_WATCH_PASS, PGWIRE_WATCH_HOLD, PGWIRE_WATCH_FOUND };
enum pgwire_watch pgwire_hop_watching(struct pgwire_hopper *hopper, const void *bytes,
                                      size_t size, size_t *at);

/* What a client answers first when a server asks for a password. PLUS: it binds its password to the
 * certificate that it was shown (SASLInitialResponse with SCRAM-SHA-256-PLUS). MORE: the message
 * is not yet whole. NONE: it is something else. */
enum pgwire_binding { PGWIRE_BINDING_NONE, PGWIRE_BINDING_MORE, PGWIRE_BINDING_PLUS };
enum pgwire_binding pgwire_read_binding(const void *bytes, size_t size);

/* --- what we say --- */

/* ErrorResponse, severity FATAL, such as "57P03" and "no primary is available". */
void pgwire_write_fatal(struct rc_buffer *out, const char *sqlstate, const char *message);
void pgwire_write_startup(struct rc_buffer *out, const char *user, const char *database);
void pgwire_write_query(struct rc_buffer *out, const char *sql);
void pgwire_write_password(struct rc_buffer *out, const void *bytes, size_t size);

#endif
