/* lock.h - what the parts of `rollcall lock` share.
 *
 * lock_command.c reads flags and tells what happens, lock_claim.c takes and gives back a lock
 * or a place in a semaphore, lock_hold.c runs the command and ends it in time.
 *
 * Safety does not rest on being told of a loss: the session lives for `ttl_ms` from a moment
 * before its last renewal was sent, so a command that is dead by then (minus a guard) never
 * meets the next holder. Times are CLOCK_BOOTTIME, which runs on in a suspended machine. */
#ifndef AGENT_CLI_LOCK_H
#define AGENT_CLI_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/cli/flags.h"

enum { LOCK_PATH_MAX = 1024, LOCK_SESSION_SIZE = 40, LOCK_TEXT_MAX = 256 };

struct lock_claim {
    const struct cli_client_flags *client;
    const char *session_name;
    const char *lock_delay;     /* NULL: the store's own, 15 s */
    char prefix[LOCK_PATH_MAX]; /* without a '/' at its end */
    char key[LOCK_PATH_MAX];    /* prefix/.lock */
    unsigned limit;             /* 1: a lock; more: a semaphore of so many */
    uint64_t ttl_ms;

    char session[LOCK_SESSION_SIZE]; /* "" while there is none */
    uint64_t good_until_ms;          /* the session lives at least so long */
    uint64_t index;                  /* of what was read last, for the next wait */
    uint64_t term;                   /* of the lock that is held; a semaphore has none */
    char why[LOCK_TEXT_MAX];         /* the last error, for people */
};

/* Milliseconds of CLOCK_BOOTTIME. */
uint64_t lock_now_ms(void);

/* One try to take it, with a session made or renewed first. RC_OK: held. RC_EAGAIN: others
 * hold it, or the agent did not answer: `why`. RC_EINVAL: it will never work, `why`. */
int lock_try(struct lock_claim *claim);

/* Returns when something about it changed, or after `wait_ms` at the latest. */
void lock_wait(struct lock_claim *claim, uint64_t wait_ms);

/* RC_OK with `good_until_ms` moved on; RC_ENOTFOUND: the session is gone; else no answer. */
int lock_renew(struct lock_claim *claim);

/* Waits up to `wait_ms` for a change. RC_OK: still ours; RC_ENOTFOUND: it is not; else no
 * answer. */
int lock_watch(struct lock_claim *claim, uint64_t wait_ms);

/* Gives it back and ends the session. RC_OK, or an error with `why`; the TTL does it then. */
int lock_give_back(struct lock_claim *claim);

/* How the command is run. */
struct lock_command {
    char *const *words; /* NULL at the end */
    bool pass_stdin;
};

/* How it ended. */
struct lock_ending {
    bool lost;  /* the lock went first: the command was ended */
    int status; /* as of wait() */
};

/* Runs the command while the lock is held, and ends it, with SIGTERM first, when it is lost.
 * RC_OK, or RC_EIO with errno: it could not be started. */
int lock_hold(struct lock_claim *claim, const struct lock_command *command,
              struct lock_ending *out);

#endif
