/* pghello.h - the start of a PostgreSQL session, as the proxy sees it pass.
 *
 * Before AuthenticationOk everything passes, so client and server agree on a password
 * between themselves. From there until the first ReadyForQuery all is held back, until
 * the server has said whether it is in hot standby: a client that wants the primary never
 * gets a session on anything else. Pure. */
#ifndef PROXY_POSTGRES_PGHELLO_H
#define PROXY_POSTGRES_PGHELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "proxy/wire/pgwire.h"

enum pghello_state {
    PGHELLO_TALKING, /* not yet at ReadyForQuery */
    PGHELLO_DONE,    /* all in `pass` may go on: the session stands, or was refused by the
                      * server's own error */
    PGHELLO_STANDBY, /* it is no primary: send nothing more of it */
    PGHELLO_RETRY,   /* the server is starting or stopping: nothing was passed on */
    PGHELLO_BROKEN,  /* this is not the protocol */
};

enum pghello_want { PGHELLO_WANTS_PRIMARY, PGHELLO_WANTS_ANY };

struct pghello {
    enum pghello_want want;
    enum pghello_state state;
    bool granted; /* AuthenticationOk was seen */
    bool in_hot_standby;
    bool passed_anything; /* the client has heard of this server: no other can be tried */
    bool has_key;
    uint32_t pid;
    uint8_t key[PGWIRE_KEY_MAX];
    size_t key_size;
    struct rc_buffer held; /* from the server, not yet passed on */
    size_t seen;           /* of held: whole messages that were looked at */
    struct rc_buffer pass; /* to be sent to the client now, then cleared by the caller */
};

void pghello_init(struct pghello *hello, enum pghello_want want);
void pghello_fini(struct pghello *hello);

/* Bytes from the server. Afterwards send `pass` (unless STANDBY or RETRY) and look at state. In
 * DONE bytes behind ReadyForQuery are in `pass` too. */
void pghello_receive(struct pghello *hello, const void *bytes, size_t size);

#endif
