#include "agent/warden/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/warden/stale_lock.h"
#include "agent/warden/tree.h"
#include "base/err.h"
#include "base/text.h"

int launch_find_user(const char *name, struct launch_user *out)
{
    *out = (struct launch_user){.uid = geteuid(), .gid = getegid()};
    if (name[0] == '\0') {
        return RC_OK;
    }
    const struct passwd *entry = getpwnam(name); // NOLINT(concurrency-mt-unsafe)
    if (entry == NULL) {
        return RC_ENOTFOUND;
    }
    out->uid = entry->pw_uid;
    out->gid = entry->pw_gid;
    return rc_text_put(out->name, sizeof out->name, name);
}

int launch_mark_standby(const char *data_dir)
{
    char path[PATH_MAX];
    struct stat folder;

    (void)snprintf(path, sizeof path, "%s/PG_VERSION", data_dir);
    if (access(path, F_OK) != 0 || stat(data_dir, &folder) != 0) {
        return RC_ENOTFOUND;
    }
    (void)snprintf(path, sizeof path, "%s/standby.signal", data_dir);
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) {
        return RC_EIO;
    }
    /* Fails without the right to: then the folder is our own. */
    int err = fchown(file, folder.st_uid, folder.st_gid) == 0 || geteuid() != 0 ? RC_OK
                                                                                : RC_EIO;
    if (fsync(file) != 0) {
        err = RC_EIO;
    }
    (void)close(file);
    return err;
}

static int fail(int err, char *problem, const char *text)
{
    (void)rc_text_put(problem, WARDEN_PROBLEM_MAX, text);
    return err;
}

/* ---- The child, until exec. It says by its exit status what went wrong. */

enum child_fault {
    FAULT_ORPHAN = 121,
    FAULT_USER,
    FAULT_FOLDER,
    FAULT_PARENT_SIGNAL,
    FAULT_EXEC = 127
};

static void write_small(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CLOEXEC);

    if (file >= 0) {
        (void)!write(file, text, strlen(text)); /* an improvement, not a must */
        (void)close(file);
    }
}

/* What systemd has told the warden is not meant for PostgreSQL, which would answer. */
static void forget_systemd(void)
{
    static const char *const names[] = {"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)unsetenv(names[i]); // NOLINT(concurrency-mt-unsafe): there is one thread
    }
}

static void become_plain(void)
{
    const struct sched_param usual = {.sched_priority = 0};
    sigset_t none;

    for (int number = 1; number < NSIG; number++) {
        (void)signal(number,
                     SIG_DFL); /* some cannot be set: they are as they should be */
    }
    (void)sigemptyset(&none);
    (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
    (void)sched_setscheduler(0, SCHED_OTHER, &usual);
    write_small("/proc/self/oom_score_adj", "0");
}

static void join_cgroup(const char *folder)
{
    char path[PATH_MAX];

    if (folder != NULL) {
        (void)snprintf(path, sizeof path, "%s/cgroup.procs", folder);
        write_small(path, "0");
    }
}

static _Noreturn void run_child(char *const *arguments, const struct launch_user *user,
                                const struct launch_place *place, pid_t parent)
{
    become_plain();
    forget_systemd();
    join_cgroup(place->cgroup);
    (void)setsid();
    if (user->name[0] != '\0' && user->uid != geteuid() &&
        (initgroups(user->name, user->gid) != 0 || setgid(user->gid) != 0 ||
         setuid(user->uid) != 0)) {
        _exit(FAULT_USER);
    }
    /* After setuid(), which clears it (prctl(2)). */
    if (prctl(PR_SET_PDEATHSIG, SIGQUIT) != 0) {
        _exit(FAULT_PARENT_SIGNAL);
    }
    if (getppid() != parent) {
        _exit(FAULT_ORPHAN);
    }
    if (chdir(place->data_dir) != 0) {
        _exit(FAULT_FOLDER);
    }
    stale_lock_take_over(parent);
    (void)umask(0077);
    (void)execv(arguments[0], arguments);
    _exit(FAULT_EXEC);
}

int launch_postmaster(const struct warden_order *order, const struct launch_user *user,
                      const struct launch_place *place, pid_t *out, char *problem)
{
    char words[WARDEN_WORDS_MAX];
    char *arguments[WARDEN_ARGUMENTS_MAX + 1];
    size_t at = 0;

    if (user->uid == 0) {
        return fail(RC_EDENIED, problem, "PostgreSQL must not run as root: set os_user");
    }
    if (access(place->repair_mark, F_OK) == 0) {
        return fail(RC_ECONFLICT, problem, "the data folder is under repair");
    }
    if (tree_find_postmaster(place->data_dir) != 0) {
        return fail(RC_ECONFLICT, problem, "another PostgreSQL runs in the data folder");
    }
    int err = launch_mark_standby(place->data_dir);
    if (err != RC_OK) {
        return fail(err, problem,
                    err == RC_ENOTFOUND ? "there is no data folder of PostgreSQL"
                                        : "standby.signal cannot be written");
    }
    memcpy(words, order->words, sizeof words);
    for (size_t i = 0; i < order->argument_count; i++) {
        arguments[i] = words + at;
        at += strlen(words + at) + 1;
    }
    arguments[order->argument_count] = NULL;
    if (arguments[0] == NULL) {
        return fail(RC_EINVAL, problem, "there is no program to start");
    }
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0) {
        return fail(RC_EIO, problem, strerror(errno)); // NOLINT(concurrency-mt-unsafe)
    }
    if (pid == 0) {
        run_child(arguments, user, place, parent);
    }
    *out = pid;
    return RC_OK;
}
