/* process_uv.h - one run of a program: its arguments, what it reads, what it says, how it ends.
 *
 * The argument vector as given, no shell; a session and process group of its own, so that what
 * it started ends with it; standard output (and error) into a pipe of which a bounded part
 * is kept; an environment of a few known variables and those of the caller (security.md K2).
 * Shared by script checks and the handlers of watches; neither time nor judgement is here. */
#ifndef AGENT_CHECKS_PROCESS_UV_H
#define AGENT_CHECKS_PROCESS_UV_H

#include <stddef.h>
#include <stdint.h>

struct process;
struct uv_loop_s;

enum process_keep { PROCESS_KEEP_LAST, PROCESS_KEEP_FIRST };
enum process_errors { PROCESS_ERRORS_KEPT, PROCESS_ERRORS_DROPPED };

enum { PROCESS_VARIABLES_MAX = 16, PROCESS_ENDED_BY_SIGNAL = -1 };

struct process_end {
    int64_t status;     /* PROCESS_ENDED_BY_SIGNAL, or the exit status */
    const void *output; /* borrowed during the call; any bytes */
    size_t size;
    size_t total; /* what it ever wrote */
};

struct process_order {
    char *const *arguments; /* NULL at the end; the first is the program, found in PATH */
    const char *const
        *variables;    /* "NAME=value", PROCESS_VARIABLES_MAX; ended by NULL; may
                                     be NULL */
    const void *input; /* copied; NULL: it reads nothing */
    size_t input_size;
    enum process_keep keep;
    size_t keep_max; /* bytes of output */
    enum process_errors errors;
    unsigned user; /* whom it runs as, with `group`, if we are root; 0: as we do */
    unsigned group;
    /* It has ended, and with it all of its group. Not after process_kill(). */
    void (*ended)(void *context, const struct process_end *end);
    void *context;
};

/* Starts it; all of `order` is borrowed during the call. RC_OK with `*out`, which is gone when
 * ended() returns or process_kill() is called; otherwise RC_EIO or RC_ENOMEM with `*why`, static. */
int process_start(struct uv_loop_s *loop, const struct process_order *order,
                  struct process **out, const char **why);

/* What is kept of its output so far; borrowed until the loop runs again. */
const void *process_output(const struct process *process, size_t *size);

/* Kills its whole group. Its handles close by themselves in the loop's next turns. */
void process_kill(struct process *process);

#endif
