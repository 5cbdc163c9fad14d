/* wishes_uv.h - pools that workers want, on their way to control.
 *
 * Any thread posts, control's loop hears of each once. At most WISHES_MAX wait: more are dropped,
 * because who still needs the pool asks again. */
#ifndef PROXY_WISHES_UV_H
#define PROXY_WISHES_UV_H

#include <uv.h>

struct wishes;

enum { WISHES_MAX = 1024 };

/* `wanted` is called on the loop; `done` once after the wishes of one turn. NULL when memory is out. */
struct wishes_options {
    uv_loop_t *loop;
    void (*wanted)(void *context, const char *pattern, const char *service);
    void (*done)(void *context);
    void *context;
};
struct wishes *wishes_start(const struct wishes_options *options);

/* Any thread: a pool of `pattern` for `service` is wanted. */
void wishes_post(struct wishes *wishes, const char *pattern, const char *service);

/* Stops hearing; posting stays allowed until wishes_free, after the loop has ended. */
void wishes_close(struct wishes *wishes);
void wishes_free(struct wishes *wishes); /* NULL is allowed */

#endif
