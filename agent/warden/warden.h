/* warden.h - when a PostgreSQL server must die, and who may start it.
 *
 * The rules of the small process beside PostgreSQL: what the keeper orders, what
 * the deadline demands, what is left to be done. A pure state machine: warden_loop.c does what
 * `wants` asks for and tells what came of it.
 *
 * The deadline is what makes a lease safe. It stands before the server becomes
 * writable, only a message with the same or a newer term moves it, for the same term never back,
 * and when it has passed the whole tree of processes is killed, whatever the
 * keeper is doing. Times are CLOCK_BOOTTIME in ms: the clock that goes on while a machine
 * sleeps. */
#ifndef AGENT_WARDEN_WARDEN_H
#define AGENT_WARDEN_WARDEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WARDEN_ECHO_EVERY_MS = 100,
    WARDEN_SILENT_MS = 300, /* without an echo for that long: the keeper must kill */
    WARDEN_SESSION_MAX = 64,
    WARDEN_PATH_MAX = 1024,
    WARDEN_USER_MAX = 64,
    WARDEN_ARGUMENTS_MAX = 48,
    WARDEN_WORDS_MAX = 4096, /* all arguments together, with their NULs */
    WARDEN_PROBLEM_MAX = 200
};

enum warden_state {
    WARDEN_IDLE,     /* no server */
    WARDEN_RUNNING,  /* a postmaster, started or adopted */
    WARDEN_STOPPING, /* it was asked to stop */
    WARDEN_KILLING,  /* until nothing of it is left */
    WARDEN_STATE_COUNT
};

/* Why the last server ended. */
enum warden_cause {
    WARDEN_CAUSE_NONE,     /* none has ended */
    WARDEN_CAUSE_ITSELF,   /* crashed, or stopped by somebody else */
    WARDEN_CAUSE_STOPPED,  /* as ordered */
    WARDEN_CAUSE_KILLED,   /* as ordered */
    WARDEN_CAUSE_DEADLINE, /* its time was over */
    WARDEN_CAUSE_COUNT
};

enum warden_order_kind {
    WARDEN_START,     /* `words`, in `data_dir`; always as a standby */
    WARDEN_ADOPT,     /* the postmaster `pid` of `data_dir`, started by somebody else */
    WARDEN_STOP_FAST, /* SIGINT: sessions are ended, WAL is shipped, a checkpoint written */
    WARDEN_STOP_NOW,    /* SIGQUIT: "immediate" */
    WARDEN_KILL,        /* the whole tree, at once */
    WARDEN_DEADLINE,    /* `term` and `deadline_ms` */
    WARDEN_NO_DEADLINE, /* `term`: the server is no primary any more */
    WARDEN_KEEP,        /* `session` and `term`: told again to the next keeper */
    WARDEN_END,         /* the warden itself, if there is no server */
    WARDEN_ORDER_COUNT
};

struct warden_order {
    enum warden_order_kind kind;
    uint64_t number; /* told again with the answer; grows */
    uint64_t term;
    uint64_t deadline_ms;
    int64_t pid;
    char session[WARDEN_SESSION_MAX];
    char data_dir[WARDEN_PATH_MAX];
    size_t argument_count;
    size_t words_size;
    char words[WARDEN_WORDS_MAX]; /* the arguments, each ended by a NUL */
};

/* What came of an order. */
enum warden_answer {
    WARDEN_DONE,          /* or begun */
    WARDEN_RUNS_ALREADY,  /* one server at a time */
    WARDEN_RUNS_NOT,      /* there is nothing to stop */
    WARDEN_OLD_TERM,      /* a newer one was told already */
    WARDEN_DEADLINE_GONE, /* it lies behind us */
    WARDEN_NO_SENSE,      /* without arguments, without a folder, ... */
    WARDEN_REFUSED,       /* the system did: see the problem */
    WARDEN_ANSWER_COUNT
};

/* What is to be done now; bits. */
enum warden_want {
    WARDEN_WANT_NOTHING = 0,
    WARDEN_WANT_START = 1,
    WARDEN_WANT_ADOPT = 2,
    WARDEN_WANT_SIGINT = 4,
    WARDEN_WANT_SIGQUIT = 8,
    WARDEN_WANT_KILL = 16, /* again each turn, until warden_swept() */
    WARDEN_WANT_END = 32
};

struct warden {
    enum warden_state state;
    enum warden_cause cause; /* of the last end; while ending: what it will be */
    int exit_status;         /* as waitpid() tells; -1: not known */
    int64_t pid;             /* of the postmaster; 0: none */
    bool is_adopted;
    uint64_t since_ms;
    uint64_t term;
    uint64_t deadline_ms; /* 0: none */
    char session[WARDEN_SESSION_MAX];
    uint64_t kept_term; /* of `session` */
    uint64_t last_number;
    enum warden_answer last_answer;
    uint64_t kills; /* trees killed because of a deadline */
    uint64_t runs;  /* servers started or adopted so far */
    char problem[WARDEN_PROBLEM_MAX];
};

void warden_init(struct warden *w);

/* Takes an order of the keeper. Returns bits of enum warden_want; the answer stands in
 * `last_answer`. */
unsigned warden_order(struct warden *w, const struct warden_order *order,
                      uint64_t now_ms);

/* Time has gone on. Returns bits of enum warden_want. */
unsigned warden_tick(struct warden *w, uint64_t now_ms);

/* A postmaster runs. */
void warden_started(struct warden *w, int64_t pid, uint64_t now_ms);

/* It does not: `problem` says why, borrowed. */
void warden_not_started(struct warden *w, const char *problem);

/* The postmaster has ended: its children may not have. `exit_status` as waitpid() tells, or -1.
 * Returns WARDEN_WANT_KILL, always. */
unsigned warden_exited(struct warden *w, int exit_status, uint64_t now_ms);

/* Nothing of the server is left. */
void warden_swept(struct warden *w, uint64_t now_ms);

/* When warden_tick() has to be called; UINT64_MAX: no need. */
uint64_t warden_due_ms(const struct warden *w);

/* "running", "deadline", "done", ...; static. */
const char *warden_state_name(enum warden_state state);
const char *warden_cause_name(enum warden_cause cause);
const char *warden_answer_text(enum warden_answer answer);

#endif
