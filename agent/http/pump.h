/* pump.h - the HTTP daemons' place on the event loop.
 *
 * Calls one function whenever a daemon has something to do: its epoll descriptor is readable,
 * or the time it asked for has come. And watches the sockets that no daemon looks at: those of
 * suspended connections, and those we hold ourselves. pump_uv.c is the edge to libuv. */
#ifndef AGENT_HTTP_PUMP_H
#define AGENT_HTTP_PUMP_H

#include <stddef.h>
#include <stdint.h>

struct pump;
struct uv_loop_s;

/* Who is called, always from the loop. */
struct pump_owner {
    void (*run)(void *context); /* descriptors or time */
    void (*happened)(void *context, void *subject, unsigned events); /* pump_watch() */
    void *context;
};

/* Watches `count` descriptors, which stay the caller's. The caller owns `*out`.
 * RC_OK, RC_EIO or RC_ENOMEM. */
int pump_start(struct uv_loop_s *loop, const int *descriptors, size_t count,
               const struct pump_owner *owner, struct pump **out);

/* Lets `run` be called in `wait_ms` at the latest; UINT64_MAX: only by descriptors. */
void pump_wait(struct pump *pump, uint64_t wait_ms);

/* The loop's time in ms, as of now. */
uint64_t pump_now_ms(struct pump *pump);

/* What to watch a socket for, as sums. Its peer may close one way or both: that is told even to
 * those who wait for something else, once nothing more can be sent to it. */
enum pump_events { PUMP_READABLE = 1, PUMP_WRITABLE = 2, PUMP_HANGUP = 4 };

/* Calls `happened` with `subject` when one of `events` comes to the socket: once, until
 * pump_watch_on(). pump_end_watch() must come before the socket is closed.
 * RC_OK, or RC_EIO: it cannot be watched. */
int pump_watch(struct pump *pump, int descriptor, unsigned events, void *subject);
int pump_watch_on(struct pump *pump, int descriptor, unsigned events, void *subject);
void pump_end_watch(struct pump *pump, int descriptor);

/* Stops watching, before the descriptors are closed; frees `pump`, then calls `on_closed`. */
void pump_close(struct pump *pump, void (*on_closed)(void *context), void *context);

#endif
