/* upgrade_uv.h - the process that replaces this one: started, listened to, given up.
 *
 * It is this program's file, whatever stands there now, with the same words, and copies of all
 * listening sockets (proxy/worker/handed_uv.h). It says by a pipe when it serves. One that ends
 * before, says nothing for too long or cannot be started changes nothing. */
#ifndef PROXY_UPGRADE_UV_H
#define PROXY_UPGRADE_UV_H

#include <uv.h>

#include "proxy/worker/handed_uv.h"

struct upgrade;

/* How it came out; told once. */
enum upgrade_result {
    UPGRADE_SERVES, /* it has taken over: this process accepts nobody any more */
    UPGRADE_ENDED,  /* it ended before: it has told why where it logs */
    UPGRADE_SILENT, /* it took too long, and was killed */
};

struct upgrade_hooks {
    void *context;
    void (*told)(void *context, enum upgrade_result result, int pid);
};

/* Where this program stands, to be asked for at the start: a file that was replaced since has the
 * same name. NULL when that cannot be known or memory is out; owned by the caller. */
char *upgrade_program(void);

/* Starts it; the descriptors are borrowed for the call. RC_OK, RC_ENOMEM, or RC_EIO with one clear
 * line in `*why` (a constant). */
int upgrade_start(uv_loop_t *loop, const char *program, const struct handed *handed,
                  const struct upgrade_hooks *hooks, struct upgrade **out,
                  const char **why);

/* Ends the wait: one that has not said that it serves is killed. Memory goes with the last handle.
 * NULL is allowed. */
void upgrade_close(struct upgrade *upgrade);

/* In the process that replaces: says that it serves, and closes the pipe. */
void upgrade_say_ready(int ready_fd);

#endif
