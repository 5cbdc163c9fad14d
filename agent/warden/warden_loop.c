#include "agent/warden/warden_loop.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/warden/tree.h"
#include "agent/warden/warden_socket.h"
#include "agent/warden/warden_wire.h"
#include "agent/warden/watchdog.h"
#include "base/err.h"
#include "base/logger.h"
#include "base/text.h"

enum {
    SWEEP_FAST_MS = 5,
    SWEEP_SLOW_MS = 50, /* after so many fast ones: something is stuck in the kernel */
    SWEEPS_FAST = 40,
    ALONE_MAX_MS = 60000, /* without a server and without a keeper */
    STOP_MAX_MS = 60000,  /* of a server, when the warden itself is told to end */
    MS_PER_S = 1000,
    NS_PER_MS = 1000000
};

enum place { AT_SIGNALS, AT_TIMER, AT_LISTENER, AT_KEEPER, AT_ADOPTED, PLACE_COUNT };

struct turns {
    struct warden warden;
    struct watchdog dog;
    struct launch_user user;
    struct tree *tree;
    char repair_mark[WARDEN_PATH_MAX]; /* beside the socket */
    const char *cgroup;                /* NULL: none */
    int files[PLACE_COUNT];            /* -1: none */
    pid_t postmaster;                  /* as long as its number is its own; 0: none */
    char data_dir[WARDEN_PATH_MAX];    /* of the server */
    uint64_t armed_ms;                 /* of the timer */
    uint64_t echoed_ms;
    uint64_t alone_since_ms;
    uint64_t end_by_ms; /* 0: not told to end */
    unsigned sweeps;
    bool has_news; /* for the keeper, at once */
    bool is_over;
    struct rc_buffer out;
    struct warden_order order;
    uint8_t in[WARDEN_MESSAGE_MAX];
};

/* ---- Doing what is wanted. */

static void close_place(struct turns *t, enum place place)
{
    if (t->files[place] >= 0) {
        (void)close(t->files[place]);
        t->files[place] = -1;
    }
}

static void start(struct turns *t)
{
    const struct launch_place place = {.data_dir = t->order.data_dir,
                                       .repair_mark = t->repair_mark,
                                       .cgroup = t->cgroup};
    char problem[WARDEN_PROBLEM_MAX];
    pid_t pid = 0;

    if (launch_postmaster(&t->order, &t->user, &place, &pid, problem) != RC_OK) {
        warden_not_started(&t->warden, problem);
        rc_log(RC_LOG_WARN, "warden", "not started: %s", t->warden.problem);
        return;
    }
    t->postmaster = pid;
    memcpy(t->data_dir, t->order.data_dir, sizeof t->data_dir);
    warden_started(&t->warden, pid, warden_clock_ms());
    rc_log(RC_LOG_INFO, "warden", "started PostgreSQL as a standby: process %d in %s",
           (int)pid, t->data_dir);
}

static void adopt(struct turns *t)
{
    pid_t pid = (pid_t)t->order.pid;
    int file = pidfd_open(pid, 0);

    if (file < 0 || tree_find_postmaster(t->order.data_dir) != pid) {
        if (file >= 0) {
            (void)close(file);
        }
        warden_not_started(&t->warden, "there is no such postmaster to adopt");
        return;
    }
    t->files[AT_ADOPTED] = file;
    t->postmaster = pid;
    memcpy(t->data_dir, t->order.data_dir, sizeof t->data_dir);
    warden_started(&t->warden, pid, warden_clock_ms());
}

static void send_signal(const struct turns *t, int number)
{
    if (t->postmaster > 0) {
        (void)kill(t->postmaster, number);
    }
}

static void on_swept(struct turns *t)
{
    const struct warden *w = &t->warden;

    t->postmaster = 0;
    t->sweeps = 0;
    close_place(t, AT_ADOPTED);
    warden_swept(&t->warden, warden_clock_ms());
    t->has_news = true;
    /* Also whoever starts it by hand gets a standby. */
    int err = launch_mark_standby(t->data_dir);
    rc_log(RC_LOG_INFO, "warden", "PostgreSQL has ended (%s), nothing of it is left%s",
           warden_cause_name(w->cause),
           err == RC_EIO ? "; standby.signal could not be written" : "");
}

static void reap(struct turns *t);

static void sweep(struct turns *t)
{
    const struct tree_roots roots = {
        .postmaster = t->postmaster,
        .keeper_of_all = getpid(),
        .data_dir = t->data_dir,
        .cgroup = t->cgroup,
    };

    t->sweeps++;
    size_t alive = tree_kill(t->tree, &roots);
    reap(t);
    if (alive == 0 && (t->postmaster == 0 || t->warden.is_adopted)) {
        on_swept(t);
    }
}

static void carry_out(struct turns *t, unsigned wants)
{
    if ((wants & WARDEN_WANT_KILL) != 0) {
        sweep(t);
    }
    if ((wants & WARDEN_WANT_START) != 0) {
        start(t);
    }
    if ((wants & WARDEN_WANT_ADOPT) != 0) {
        adopt(t);
    }
    if ((wants & WARDEN_WANT_SIGINT) != 0) {
        send_signal(t, SIGINT);
    }
    if ((wants & WARDEN_WANT_SIGQUIT) != 0) {
        send_signal(t, SIGQUIT);
    }
    if ((wants & WARDEN_WANT_END) != 0) {
        t->is_over = true;
    }
}

/* ---- Children. */

static void on_postmaster_gone(struct turns *t, int status)
{
    t->postmaster = 0;
    t->has_news = true;
    (void)warden_exited(&t->warden, status, warden_clock_ms());
}

/* Its own, and the orphans that came to us. */
static void reap(struct turns *t)
{
    int status = 0;

    pid_t pid = waitpid(-1, &status, WNOHANG);
    while (pid > 0) {
        if (pid == t->postmaster) {
            on_postmaster_gone(t, status);
        }
        pid = waitpid(-1, &status, WNOHANG);
    }
}

static void stop_for_good(struct turns *t)
{
    static const struct warden_order stop = {.kind = WARDEN_STOP_FAST};
    uint64_t now_ms = warden_clock_ms();

    if (t->warden.state == WARDEN_IDLE) {
        t->is_over = true;
        return;
    }
    t->end_by_ms = now_ms + STOP_MAX_MS;
    carry_out(t, warden_order(&t->warden, &stop, now_ms));
}

static void on_signals(struct turns *t)
{
    struct signalfd_siginfo news;

    while (read(t->files[AT_SIGNALS], &news, sizeof news) == (ssize_t)sizeof news) {
        if (news.ssi_signo == SIGTERM) {
            stop_for_good(t);
        }
    }
    reap(t);
}

/* ---- The keeper. */

static void echo(struct turns *t, uint64_t now_ms)
{
    const struct warden_echo said = {
        .warden_pid = getpid(), .boot_ms = now_ms, .warden = t->warden};

    t->echoed_ms = now_ms;
    t->has_news = false;
    if (t->files[AT_KEEPER] < 0) {
        return;
    }
    rc_buffer_clear(&t->out);
    warden_echo_write(&said, &t->out);
    if (t->out.err == RC_OK && warden_socket_send(t->files[AT_KEEPER], t->out.bytes,
                                                  t->out.size) == RC_ECLOSED) {
        close_place(t, AT_KEEPER);
    }
}

static void on_knock(struct turns *t)
{
    int file = warden_socket_accept(t->files[AT_LISTENER]);

    if (file >= 0) {
        close_place(t, AT_KEEPER);
        t->files[AT_KEEPER] = file;
        t->has_news = true;
    }
}

static void on_keeper(struct turns *t)
{
    size_t size = 0;

    int err = warden_socket_receive(t->files[AT_KEEPER], t->in, sizeof t->in, &size);
    while (err == RC_OK) {
        if (warden_order_parse(t->in, size, &t->order) == RC_OK) {
            carry_out(t, warden_order(&t->warden, &t->order, warden_clock_ms()));
            echo(t, warden_clock_ms());
        }
        err = t->files[AT_KEEPER] < 0 ? RC_ECLOSED
                                      : warden_socket_receive(t->files[AT_KEEPER], t->in,
                                                              sizeof t->in, &size);
    }
    if (err == RC_ECLOSED) {
        close_place(t, AT_KEEPER);
    }
}

/* ---- Turning. */

/* The deadline by a clock of its own, so that it is looked at first after a sleep. */
static void arm(struct turns *t)
{
    uint64_t due_ms = warden_due_ms(&t->warden);
    struct itimerspec when = {0};

    if (due_ms == t->armed_ms) {
        return;
    }
    t->armed_ms = due_ms;
    if (due_ms != UINT64_MAX) {
        when.it_value.tv_sec = (time_t)(due_ms / MS_PER_S);
        when.it_value.tv_nsec = (long)(due_ms % MS_PER_S) * NS_PER_MS;
    }
    (void)timerfd_settime(t->files[AT_TIMER], TFD_TIMER_ABSTIME, &when, NULL);
}

static void empty_timer(const struct turns *t)
{
    uint64_t count = 0;

    (void)!read(t->files[AT_TIMER], &count, sizeof count); /* nobody counts them */
}

static int wait_ms(const struct turns *t, uint64_t now_ms)
{
    uint64_t next_ms = t->echoed_ms + WARDEN_ECHO_EVERY_MS;

    if (t->has_news) {
        return 0;
    }
    if (t->warden.state == WARDEN_KILLING) {
        return t->sweeps < SWEEPS_FAST ? SWEEP_FAST_MS : SWEEP_SLOW_MS;
    }
    return next_ms > now_ms ? (int)(next_ms - now_ms) : 0;
}

static void look_after_end(struct turns *t, uint64_t now_ms)
{
    bool is_alone = t->warden.state == WARDEN_IDLE && t->files[AT_KEEPER] < 0;

    if (!is_alone) {
        t->alone_since_ms = now_ms;
    }
    if (now_ms - t->alone_since_ms > ALONE_MAX_MS) {
        t->is_over = true;
    }
    if (t->end_by_ms != 0 && t->warden.state == WARDEN_IDLE) {
        t->is_over = true;
    }
    if (t->end_by_ms != 0 && now_ms > t->end_by_ms) {
        static const struct warden_order end = {.kind = WARDEN_KILL};
        carry_out(t, warden_order(&t->warden, &end, now_ms));
    }
}

static void turn(struct turns *t)
{
    static void (*const handlers[PLACE_COUNT])(struct turns *) = {
        [AT_SIGNALS] = on_signals, [AT_LISTENER] = on_knock, [AT_KEEPER] = on_keeper};
    struct pollfd polls[PLACE_COUNT];

    arm(t);
    for (size_t i = 0; i < PLACE_COUNT; i++) {
        polls[i] = (struct pollfd){.fd = t->files[i], .events = POLLIN};
    }
    (void)poll(polls, PLACE_COUNT, wait_ms(t, warden_clock_ms()));
    /* The deadline before all else: whatever woke us may be late. */
    carry_out(t, warden_tick(&t->warden, warden_clock_ms()));
    if (polls[AT_TIMER].revents != 0) {
        empty_timer(t);
        t->armed_ms = 0;
    }
    if (polls[AT_ADOPTED].revents != 0 && t->files[AT_ADOPTED] >= 0) {
        close_place(t, AT_ADOPTED);
        on_postmaster_gone(t, -1);
    }
    for (size_t i = 0; i < PLACE_COUNT; i++) {
        if (polls[i].revents != 0 && handlers[i] != NULL && t->files[i] == polls[i].fd) {
            handlers[i](t);
        }
    }
    if (t->warden.state == WARDEN_KILLING && t->sweeps == 0) {
        sweep(t);
    }
    uint64_t now_ms = warden_clock_ms();
    watchdog_feed(&t->dog, now_ms,
                  warden_due_ms(&t->warden) == UINT64_MAX ? 0 : t->warden.deadline_ms);
    look_after_end(t, now_ms);
    if (t->has_news || now_ms - t->echoed_ms >= WARDEN_ECHO_EVERY_MS) {
        echo(t, now_ms);
    }
}

/* ---- The start. */

static int tell(const char *what)
{
    (void)fprintf(stderr, "rollcall warden: %s\n", what);
    return RC_EIO;
}

static int open_signals(struct turns *t)
{
    sigset_t wanted;

    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(&wanted);
    (void)sigaddset(&wanted, SIGCHLD);
    (void)sigaddset(&wanted, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &wanted, NULL);
    t->files[AT_SIGNALS] = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
    t->files[AT_TIMER] = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    return t->files[AT_SIGNALS] >= 0 && t->files[AT_TIMER] >= 0
               ? RC_OK
               : tell("signals and timers cannot be opened");
}

/* Each of these makes it surer; none is a condition, for a container may forbid it. */
static void harden(void)
{
    const struct sched_param first = {.sched_priority = 1};

    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
        rc_log(RC_LOG_WARN, "warden", "memory cannot be locked: raise RLIMIT_MEMLOCK");
    }
    (void)sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &first);
    FILE *score = fopen("/proc/self/oom_score_adj", "we");
    if (score != NULL) {
        (void)fputs("-900", score);
        (void)fclose(score);
    }
}

static int open_turns(struct turns *t, const struct warden_options *options)
{
    warden_init(&t->warden);
    for (size_t i = 0; i < PLACE_COUNT; i++) {
        t->files[i] = -1;
    }
    watchdog_init(&t->dog, options->watchdog);
    size_t stem = strlen(options->socket);
    stem -= rc_text_ends_with(options->socket, ".sock") ? strlen(".sock") : 0;
    (void)snprintf(t->repair_mark, sizeof t->repair_mark, "%.*s.repair", (int)stem,
                   options->socket);
    if (options->cgroup[0] != '\0') {
        (void)mkdir(options->cgroup, 0755); /* is it missing, joining it does nothing */
        t->cgroup = options->cgroup;
    }
    if (launch_find_user(options->user, &t->user) != RC_OK) {
        return tell("there is no such user");
    }
    t->tree = tree_create();
    if (t->tree == NULL || rc_buffer_reserve(&t->out, WARDEN_MESSAGE_MAX) != RC_OK) {
        return tell("no memory");
    }
    int err = warden_socket_listen(options->socket, &t->files[AT_LISTENER]);
    if (err != RC_OK) {
        return tell(err == RC_EEXISTS ? "another warden is there" : "cannot listen");
    }
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
        return tell("cannot be a subreaper");
    }
    (void)prctl(PR_SET_NAME, "rollcall-warden");
    harden();
    t->alone_since_ms = warden_clock_ms();
    return open_signals(t);
}

int warden_run(const struct warden_options *options)
{
    struct turns *t = calloc(1, sizeof *t);

    if (t == NULL) {
        return EXIT_FAILURE;
    }
    int err = open_turns(t, options);
    while (err == RC_OK && !t->is_over) {
        turn(t);
    }
    if (err == RC_OK) {
        (void)unlink(options->socket);
    }
    watchdog_close(&t->dog);
    for (size_t i = 0; i < PLACE_COUNT; i++) {
        close_place(t, (enum place)i);
    }
    tree_destroy(t->tree);
    rc_buffer_fini(&t->out);
    free(t);
    return err == RC_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int warden_main(int count, char **words, const char *usage)
{
    struct warden_options options = {
        .socket = "", .user = "", .watchdog = "", .cgroup = ""};
    const struct {
        const char *flag;
        const char **place;
    } flags[] = {
        {"-socket=", &options.socket},
        {"-user=", &options.user},
        {"-watchdog=", &options.watchdog},
        {"-cgroup=", &options.cgroup},
    };

    for (int i = 0; i < count; i++) {
        const char *word = rc_text_starts_with(words[i], "--") ? words[i] + 1 : words[i];
        bool is_known = false;
        for (size_t k = 0; k < sizeof flags / sizeof flags[0]; k++) {
            if (rc_text_starts_with(word, flags[k].flag)) {
                *flags[k].place = word + strlen(flags[k].flag);
                is_known = true;
            }
        }
        if (!is_known) {
            bool is_help = rc_text_equals(word, "-help") || rc_text_equals(word, "-h");
            (void)fputs(usage, is_help ? stdout : stderr);
            return is_help ? EXIT_SUCCESS : 2;
        }
    }
    if (options.socket[0] == '\0') {
        (void)fputs(usage, stderr);
        return 2;
    }
    rc_log_setup(RC_LOG_INFO, RC_LOG_PLAIN);
    return warden_run(&options);
}
