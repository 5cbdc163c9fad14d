/* watch_uv.h - sockets and timers of libraries that do their own talking (libcurl,
 * libpq).
 *
 * A library tells which of its sockets it waits for; these call back when one is ready.
 * Only watch_uv.c knows libuv. */
#ifndef BASE_WATCH_UV_H
#define BASE_WATCH_UV_H

#include <stdint.h>

struct uv_loop_s;
struct watch;
struct watch_timer;

enum watch_events { WATCH_NOTHING = 0, WATCH_READ = 1, WATCH_WRITE = 2 };

/* Watches `file` for nothing yet. `on_ready` gets bits of enum watch_events; an error of
 * the socket counts as both. NULL when memory is out or libuv refuses the descriptor. */
struct watch *watch_uv_open(struct uv_loop_s *loop, int file,
                            void (*on_ready)(void *context, int file, unsigned events),
                            void *context);

/* From now on for `events` (bits). */
void watch_uv_set(struct watch *watch, unsigned events);

/* No call back any more; to be called before the descriptor is closed. NULL is
 * allowed. */
void watch_uv_close(struct watch *watch);

/* A timer that is not running. NULL when memory is out. */
struct watch_timer *watch_uv_timer_open(struct uv_loop_s *loop,
                                        void (*on_due)(void *context), void *context);

/* Runs out once, `after_ms` from now; a negative value stops it. */
void watch_uv_timer_set(struct watch_timer *timer, int64_t after_ms);
void watch_uv_timer_close(struct watch_timer *timer); /* NULL is allowed */

#endif
