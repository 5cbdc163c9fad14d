/* lift_mhd.h - takes the socket of a client that waits out of libmicrohttpd.
 *
 * Why: to libmicrohttpd a connection is a struct and a pool of memory, 6 to 19 KB for each
 * blocking query, and it looks at all of them when some go on. A query that waits needs its
 * socket and a few words of its own. libmicrohttpd has no call that gives a socket back, so
 * it is taken: its connection is suspended, the socket gets a new number of ours, and the old
 * number is made to lead to a sink, which libmicrohttpd then closes as it closes any client.
 *
 * What of libmicrohttpd (written for 0.9.75) this leans on:
 *  1. While a connection is suspended, its socket is in no epoll set and nobody touches it.
 *  2. Resumed, with a handler that says MHD_NO, it is closed: by the number it knows.
 *  3. MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE is the size of the request without its body, so
 *     that bytes of a next request, which it has read too early and nobody could get back, are
 *     noticed: the kernel has counted more bytes than the requests had.
 * lift_open() tries 1 to 3 on a connection of its own before any client comes. Where one does
 * not hold, nothing may be lifted and clients wait inside libmicrohttpd, as its manual says. */
#ifndef AGENT_HTTP_LIFT_MHD_H
#define AGENT_HTTP_LIFT_MHD_H

#include <stdbool.h>
#include <stdint.h>

/* A zeroed struct is closed, but for its sink, which must be -1. */
struct lift {
    int sink; /* a socket that is at its end */
};

/* Opens the sink and tries it out. RC_OK; or RC_EIO with `*why` (static words), closed. */
int lift_open(struct lift *lift, const char **why);
void lift_close(struct lift *lift); /* nothing happens to a closed one */

/* How many bytes anybody has read from this TCP socket. More than there were, never fewer, if
 * some arrive just now. False: it is no TCP socket, or the kernel does not tell. */
bool lift_bytes_read(int descriptor, uint64_t *out);

/* Takes the socket behind `descriptor`, that of a suspended connection. Returns its new number,
 * which the caller owns; or -1, and nothing has changed. Afterwards the connection must be
 * resumed, and told MHD_NO when it asks. */
int lift_take(const struct lift *lift, int descriptor);

/* Puts it back, before the connection is resumed; `own` is closed. */
void lift_undo(int descriptor, int own);

#endif
