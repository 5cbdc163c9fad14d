/* lock_hold.c - see lock.h: three processes, so that none of them stopped or killed alone lets
 * the command outlive the lock.
 *
 *   rollcall lock   waits for the end, passes signals on, gives the lock back; kills the group
 *                   of the command when the deadline has passed and neither of the others did
 *     renewer       renews, watches, tells the others the deadline; a thread of it kills the
 *                   group when the guardian did not, whatever a request waits for; when
 *                   rollcall lock dies it renews no more, and has the command ended
 *     guardian      parent of the command; kills its group when the deadline passes, when it is
 *                   told of a loss, or when the renewer is gone
 *       COMMAND     in a group of its own; killed by the kernel when the guardian dies
 *
 * Any two of them may be stopped or killed at once. Who stops all three stops the clock of the
 * lock; who kills all three kills the command, but not what that had started. A machine that
 * stops as a whole and runs on later is the third hole: then the guardian and the command race
 * (the lock-delay is for that). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/cli/lock.h"
#include "agent/cli/say.h"
#include "base/err.h"

enum { GRACE_MS = 5000, GUARD_LEAST_MS = 200 };

/* What the guardian is told: until when the lock is good; 0: it is lost. */
typedef uint64_t deadline;

/* What is in memory that all of them see. */
struct shared {
    _Atomic uint64_t end_ms; /* by then the command must be dead */
    _Atomic pid_t command;   /* and its group; 0: it has not begun */
};

/* How long after the deadline each may kill: the guardian at once, the renewer, then we. */
enum { RENEWER_TURN_MS = 50, LAST_TURN_MS = 100 };

/* What it tells: the command's pid first, then how it ended. */
struct news {
    pid_t command;
    int status;
    bool lost;
};

/* What we know. */
struct held {
    struct shared *shared;
    int orders[2];
    int news[2];
    int signals;
    pid_t guardian;
    pid_t renewer;
};

/* What the guardian knows. */
struct guard {
    pid_t command;
    pid_t parent;
    int orders; /* deadlines; -1 when the renewer is gone */
    int signals;
    uint64_t kill_at_ms; /* of the group */
    bool lost;
};

/* By then the command must be dead: a little before the session may end. */
static uint64_t last_moment(const struct lock_claim *claim)
{
    uint64_t guard = claim->ttl_ms / 10;
    guard = guard > GUARD_LEAST_MS ? guard : GUARD_LEAST_MS;
    return claim->good_until_ms > guard ? claim->good_until_ms - guard : 0;
}

static bool write_whole(int file, const void *bytes, size_t size)
{
    ssize_t done;

    do {
        done = write(file, bytes, size);
    } while (done < 0 && errno == EINTR);
    return done == (ssize_t)size; /* less than PIPE_BUF: all or nothing */
}

static bool read_whole(int file, void *bytes, size_t size)
{
    ssize_t done;

    do {
        done = read(file, bytes, size);
    } while (done < 0 && errno == EINTR);
    return done == (ssize_t)size;
}

static void kill_command(const struct shared *shared)
{
    pid_t command = shared->command;

    if (command > 0) {
        (void)kill(-command, SIGKILL);
    }
}

/* ---- The renewer. */

struct renewer {
    struct lock_claim *claim;
    struct shared *shared;
    int orders;
    pid_t parent;
};

static void pause_ms(long ms)
{
    const struct timespec pause = {0, ms * 1000000L};
    (void)nanosleep(&pause, NULL);
}

/* The lock is gone, or nobody would give it back. The command is given time to end well; no
 * more than it had. */
static void have_it_ended(const struct renewer *renewer)
{
    const deadline lost = 0;
    uint64_t grace_ms = lock_now_ms() + GRACE_MS;

    (void)write_whole(renewer->orders, &lost, sizeof lost);
    if (grace_ms < renewer->shared->end_ms) {
        renewer->shared->end_ms = grace_ms;
    }
}

/* Renews and watches once. False: that was the last time. */
static bool renew_once(const struct renewer *renewer)
{
    struct lock_claim *claim = renewer->claim;

    int err = lock_renew(claim);
    if (err == RC_OK) {
        deadline end = last_moment(claim);
        renewer->shared->end_ms = end;
        if (!write_whole(renewer->orders, &end, sizeof end)) {
            /* The guardian is gone, and the command; not what that had started. */
            kill_command(renewer->shared);
            _exit(0);
        }
        err = lock_watch(claim, claim->ttl_ms / 4);
    }
    if (err == RC_ENOTFOUND || getppid() != renewer->parent) {
        have_it_ended(renewer);
        return false;
    }
    if (err != RC_OK) {
        pause_ms(100);
    }
    return true;
}

/* Returns once the deadline and the renewer's turn have passed, then the command is dead. */
static void *await_deadline(void *data)
{
    const struct shared *shared = data;
    uint64_t turn_ms = shared->end_ms + RENEWER_TURN_MS;

    while (lock_now_ms() < turn_ms) {
        const struct timespec turn = {(time_t)(turn_ms / 1000),
                                      (long)(turn_ms % 1000 * 1000000)};
        (void)clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &turn, NULL);
        turn_ms = shared->end_ms + RENEWER_TURN_MS; /* renewed meanwhile */
    }
    kill_command(shared);
    return NULL;
}

/* An answer may be waited for beyond the deadline: so that is watched by a thread. */
static void be_renewer(const struct renewer *renewer)
{
    pthread_t thread;
    bool is_watched = pthread_create(&thread, NULL, await_deadline, renewer->shared) == 0;

    while (is_watched && lock_now_ms() < renewer->shared->end_ms && renew_once(renewer)) {
    }
    (void)await_deadline(
        renewer->shared); /* which may be earlier than the thread knows */
    _exit(0);
}

/* ---- The command. */

static void be_command(const struct lock_command *command, uint64_t term, pid_t guardian,
                       struct shared *shared)
{
    char text[24];

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != guardian) {
        _exit(127);
    }
    (void)setpgid(0, 0);
    shared->command = getpid(); /* before there can be anything else in the group */
    if (!command->pass_stdin) {
        (void)!freopen("/dev/null", "r", stdin);
    } else if (isatty(STDIN_FILENO)) {
        (void)signal(SIGTTOU, SIG_IGN);
        (void)tcsetpgrp(STDIN_FILENO, getpid());
        (void)signal(SIGTTOU, SIG_DFL);
    }
    sigset_t none;
    (void)sigemptyset(&none);
    (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)setenv("CONSUL_LOCK_HELD", "true", 1); // NOLINT(concurrency-mt-unsafe)
    if (term > 0) {
        (void)snprintf(text, sizeof text, "%llu", (unsigned long long)term);
        (void)setenv("ROLLCALL_LOCK_TERM", text, 1); // NOLINT(concurrency-mt-unsafe)
    }
    if (lock_now_ms() >= shared->end_ms) { /* somebody was stopped on the way here */
        _exit(127);
    }
    (void)execvp(command->words[0], command->words);
    cli_error("Error starting handler: %s: %s", command->words[0],
              strerrordesc_np(errno));
    _exit(127);
}

/* ---- The guardian. */

static void begin_end(struct guard *guard)
{
    uint64_t grace = lock_now_ms() + GRACE_MS;

    if (!guard->lost) {
        guard->lost = true;
        (void)kill(-guard->command, SIGTERM);
        guard->kill_at_ms = grace < guard->kill_at_ms ? grace : guard->kill_at_ms;
    }
}

static void take_order(struct guard *guard)
{
    deadline end;

    if (!read_whole(guard->orders, &end, sizeof end)) {
        (void)close(guard->orders);
        guard->orders = -1;
        begin_end(guard);
    } else if (end == 0) {
        begin_end(guard);
    } else if (!guard->lost) {
        guard->kill_at_ms = end;
    }
}

/* True when the command has ended. */
static bool take_signal(struct guard *guard, int *status)
{
    struct signalfd_siginfo signal;

    if (!read_whole(guard->signals, &signal, sizeof signal)) {
        return false;
    }
    if (signal.ssi_signo != SIGCHLD) {
        (void)kill(-guard->command, (int)signal.ssi_signo);
        return false;
    }
    pid_t ended;
    bool is_over = false;
    int how;
    while ((ended = waitpid(-1, &how, WNOHANG)) > 0) {
        if (ended == guard->command) {
            *status = how;
            is_over = true;
        }
    }
    return is_over;
}

/* SIGTERM once half of the time is gone without a renewal, SIGKILL at the deadline. */
static int guard_until_end(struct guard *guard, uint64_t ttl_ms)
{
    int status = 0;

    for (;;) {
        uint64_t now = lock_now_ms();
        uint64_t warn_at =
            guard->kill_at_ms > ttl_ms / 4 ? guard->kill_at_ms - ttl_ms / 4 : 0;
        if (now >= guard->kill_at_ms) {
            guard->lost = true;
            (void)kill(-guard->command, SIGKILL);
        } else if (now >= warn_at) {
            begin_end(guard);
        }
        uint64_t next = guard->lost ? guard->kill_at_ms : warn_at;
        int wait = now >= guard->kill_at_ms ? 50 : (int)(next - now) + 1;
        struct pollfd files[] = {{guard->signals, POLLIN, 0}, {guard->orders, POLLIN, 0}};
        if (poll(files, 2, wait) <= 0) {
            continue;
        }
        if (files[1].revents != 0) {
            take_order(guard);
        }
        if (files[0].revents != 0 && take_signal(guard, &status)) {
            return status;
        }
    }
}

static sigset_t guarded_signals(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    return set;
}

static void be_guardian(const struct lock_claim *claim,
                        const struct lock_command *command, const struct held *held)
{
    const sigset_t set = guarded_signals();
    const int tell = held->news[1];
    struct guard guard = {.orders = held->orders[0], .kill_at_ms = held->shared->end_ms};
    pid_t self = getpid();

    (void)setpgid(0, 0); /* Ctrl-C goes to the one who passes it on */
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    guard.signals = signalfd(-1, &set, SFD_CLOEXEC);
    guard.command = guard.signals >= 0 ? fork() : -1;
    if (guard.command == 0) {
        be_command(command, claim->term, self, held->shared);
    }
    struct news news = {.command = guard.command};
    if (guard.command < 0) {
        news.status = errno;
        (void)write_whole(tell, &news, sizeof news);
        _exit(1);
    }
    (void)setpgid(guard.command, guard.command); /* whoever comes first */
    (void)write_whole(tell, &news, sizeof news);
    news.status = guard_until_end(&guard, claim->ttl_ms);
    news.lost = guard.lost;
    (void)kill(-guard.command, SIGKILL); /* what it left behind does not hold the lock */
    (void)write_whole(tell, &news, sizeof news);
    _exit(0);
}

/* ---- rollcall lock itself. */

/* First of all: whatever is stopped or killed from now on, one is there that ends the command. */
static int start_renewer(struct held *held, struct lock_claim *claim)
{
    pid_t self = getpid();

    (void)fflush(NULL);
    held->renewer = fork();
    if (held->renewer == 0) {
        const struct renewer renewer = {claim, held->shared, held->orders[1], self};
        (void)setpgid(0, 0);
        (void)signal(SIGPIPE, SIG_IGN);
        (void)close(held->orders[0]); /* the guardian's death is seen */
        (void)close(held->news[0]);
        (void)close(held->news[1]); /* as is its word that all is over */
        be_renewer(&renewer);
    }
    (void)close(held->orders[1]); /* the renewer's end alone: its death is seen */
    return held->renewer > 0 ? RC_OK : RC_EIO;
}

static int start_guardian(struct held *held, struct lock_claim *claim,
                          const struct lock_command *command)
{
    struct news first;

    held->guardian = fork();
    if (held->guardian == 0) {
        (void)close(held->news[0]);
        be_guardian(claim, command, held);
    }
    (void)close(held->orders[0]);
    (void)close(held->news[1]);
    if (held->guardian < 0 || !read_whole(held->news[0], &first, sizeof first)) {
        return RC_EIO;
    }
    if (first.command < 0) {
        errno = first.status;
        return RC_EIO;
    }
    return RC_OK;
}

/* The deadline has passed, and who should have acted is stopped or gone. The guardian is of no
 * more use, and its end tells us that it is over. */
static void act_last(const struct held *held)
{
    kill_command(held->shared);
    (void)kill(held->guardian, SIGKILL);
}

/* How long to wait until that is to be done, ms. */
static int last_turn_ms(const struct held *held)
{
    uint64_t now_ms = lock_now_ms();
    uint64_t at_ms = held->shared->end_ms + LAST_TURN_MS;
    return at_ms > now_ms ? (int)(at_ms - now_ms) + 1 : 0;
}

/* Passes signals on until the guardian tells the end; false: it died. */
static bool await_end(const struct held *held, struct news *out)
{
    struct pollfd files[] = {{held->news[0], POLLIN, 0}, {held->signals, POLLIN, 0}};
    struct signalfd_siginfo signal;

    for (;;) {
        int wait_ms = last_turn_ms(held);
        if (wait_ms == 0) {
            act_last(held);
            wait_ms = 50;
        }
        if (poll(files, 2, wait_ms) <= 0) {
            continue;
        }
        if (files[0].revents != 0) {
            return read_whole(held->news[0], out, sizeof *out);
        }
        if (files[1].revents != 0 && read_whole(held->signals, &signal, sizeof signal) &&
            signal.ssi_signo != SIGCHLD) {
            (void)kill(held->guardian, (int)signal.ssi_signo);
        }
    }
}

/* Nobody of the command's group must run on when the lock is given back. What has left the group
 * is on its own. */
static void await_dead(const struct held *held)
{
    const pid_t command = held->shared->command;
    const pid_t all[] = {held->renewer, held->guardian, command > 0 ? -command : 0};

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        while (all[i] != 0 && all[i] != -1 &&
               (waitpid(all[i], NULL, 0) > 0 || errno == EINTR)) {
        }
    }
}

static bool share(struct held *held, const struct lock_claim *claim)
{
    void *memory = mmap(NULL, sizeof *held->shared, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED) {
        return false;
    }
    held->shared = memory;
    held->shared->end_ms = last_moment(claim);
    return true;
}

int lock_hold(struct lock_claim *claim, const struct lock_command *command,
              struct lock_ending *out)
{
    struct held held = {.renewer = -1, .guardian = -1};
    struct news last = {.lost = true, .status = SIGKILL};
    const sigset_t set = guarded_signals();

    *out = (struct lock_ending){0};
    /* Not the command's: it would seem that the guardian lives when it is gone. */
    if (!share(&held, claim) || pipe2(held.orders, O_CLOEXEC) != 0 ||
        pipe2(held.news, O_CLOEXEC) != 0) {
        return RC_EIO;
    }
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1); /* of what a killed guardian leaves behind */
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    held.signals = signalfd(-1, &set, SFD_CLOEXEC);
    int err = start_renewer(&held, claim);
    if (err == RC_OK) {
        err = start_guardian(&held, claim, command);
    }
    int keep = errno;
    if (err != RC_OK || !await_end(&held, &last)) {
        kill_command(held.shared);
    }
    out->lost = last.lost;
    out->status = last.status;
    if (held.renewer > 0) {
        (void)kill(held.renewer, SIGKILL);
    }
    await_dead(&held);
    (void)munmap(held.shared, sizeof *held.shared);
    (void)close(held.news[0]);
    (void)close(held.signals);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    errno = keep;
    return err;
}
