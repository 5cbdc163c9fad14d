/* dial_uv.h - a connection of a check, and everything that must be over before its run is freed.
 *
 * libuv calls back for each thing that was begun, also after it was ended; the last of these
 * calls frees. For tcp_uv.c and http_uv.c. */
#ifndef AGENT_CHECKS_DIAL_UV_H
#define AGENT_CHECKS_DIAL_UV_H

#include <stdbool.h>

#include <uv.h>

struct dial {
    uv_loop_t *loop; /* borrowed */
    uv_tcp_t socket; /* of the connection; `data` is the dial */
    uv_connect_t connect;

    /* 0: connected. Otherwise libuv's error, the socket is closed again, and another address
     * may be dialed. Not called after dial_end(). */
    void (*on_connected)(struct dial *dial, int status);
    /* After dial_end(), once libuv has let go of everything. */
    void (*on_free)(struct dial *dial);

    int status;
    unsigned pending; /* callbacks still to come */
    bool is_open;     /* `socket` is a handle of the loop */
    bool is_ended;
};

/* Connects to `address`; on_connected() follows. 0, or libuv's error: it will not follow. */
int dial_to(struct dial *dial, const struct sockaddr *address);

/* Something else was begun that libuv will call back for (a lookup, a write), and has called
 * back. False: the dial is ended and may be gone. */
void dial_begin(struct dial *dial);
bool dial_continues(struct dial *dial);

/* Closes the socket; on_free() follows, maybe at once. */
void dial_end(struct dial *dial);

#endif
