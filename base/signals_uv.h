/* signals_uv.h - being told to stop or to reload, as events of a loop. */
#ifndef BASE_SIGNALS_UV_H
#define BASE_SIGNALS_UV_H

#include <uv.h>

/* SIGTERM, SIGINT, SIGHUP, and one more that a program may know, read from a signalfd (signalfd(2)) and blocked from then on, for
 * the rest of the process. libuv's own uv_signal_t gives a signal back its default action when
 * the last handle closes, so that one signal more, while a program ends, kills it. */
struct rc_signals {
    uv_poll_t poll;
    int fd;
    void (*on_signal)(void *context, int number);
    void (*on_closed)(void *context); /* NULL: nobody wants to know */
    void *context;
};

/* Blocks the three signals, and `more` if that is not 0, and tells of each by `on_signal`; what is pending many times is told
 * once. Does not keep the loop alive. Threads that live already are not covered: call it before
 * the first is started. `signals` stays in place until `on_closed`.
 *
 * Returns RC_OK, or RC_EIO: then there is nothing to close. */
int rc_signals_open(struct rc_signals *signals, uv_loop_t *loop, int more,
                    void (*on_signal)(void *context, int number), void *context);

/* No more is told. The signals stay blocked: whoever closes is about to end, and ends well. */
void rc_signals_close(struct rc_signals *signals, void (*on_closed)(void *context));

#endif
