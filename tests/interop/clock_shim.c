/* clock_shim.c - the agent and its warden with clocks that a test sets: row 21 of the fault matrix.
 *
 * Linked into a program of its own (rollcall-clocked), whose definitions stand before the C
 * library's for libuv and all others too. The program's children are the same program, and all
 * read one file, `clock` in the program's folder, so that they have one clock as processes of a
 * machine do. Times in the file are in ns; pg_clock.py writes it. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { SECOND_NS = 1000000000, MILLION = 1000000 };

struct setting {
    int64_t wall_step;      /* added to CLOCK_REALTIME */
    int64_t base;           /* real CLOCK_BOOTTIME from which on `rate` counts */
    int64_t offset;         /* what has come together until then */
    int64_t rate_millionth; /* by which all clocks are too fast */
};

struct clock_file {
    int64_t which; /* of `settings`: the other one is written meanwhile */
    struct setting settings[2];
};

static const volatile struct clock_file *open_file(void)
{
    static const volatile struct clock_file *file; /* opened once, whoever comes first */
    char path[4096];

    if (file != NULL) {
        return file;
    }
    ssize_t size = readlink("/proc/self/exe", path, sizeof path - 8);
    path[size > 0 ? size : 0] = '\0';
    char *slash = strrchr(path, '/');
    memcpy(slash != NULL ? slash + 1 : path, "clock", sizeof "clock");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return NULL;
    }
    void *map = mmap(NULL, sizeof *file, PROT_READ, MAP_SHARED, fd, 0);
    (void)close(fd);
    file = map != MAP_FAILED ? map : NULL;
    return file;
}

static int64_t ask(clockid_t id)
{
    struct timespec now = {0};

    (void)syscall(SYS_clock_gettime, id, &now);
    return (int64_t)now.tv_sec * SECOND_NS + now.tv_nsec;
}

/* How far all clocks are ahead of the real ones at `boottime`. */
static int64_t drift(const volatile struct setting *s, int64_t boottime)
{
    return s->offset + (boottime - s->base) / MILLION * s->rate_millionth;
}

static struct timespec spec(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / SECOND_NS, .tv_nsec = ns % SECOND_NS};
}

// The C library's names of parameters are its own.
// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name)
int clock_gettime(clockid_t id, struct timespec *out)
{
    const volatile struct clock_file *file = open_file();
    int64_t now = ask(id);

    if (file != NULL) {
        const volatile struct setting *s = &file->settings[file->which & 1];
        bool is_wall = id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE;
        bool is_ours = is_wall || id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE ||
                       id == CLOCK_BOOTTIME || id == CLOCK_MONOTONIC_RAW;
        now += is_ours ? drift(s, ask(CLOCK_BOOTTIME)) : 0;
        now += is_wall ? s->wall_step : 0;
    }
    *out = spec(now);
    return 0;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec now;

    (void)zone;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    *out = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *out)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL) {
        *out = now.tv_sec;
    }
    return now.tv_sec;
}

/* The kernel's clocks are the real ones: an absolute time is put back into them. */
int timerfd_settime(int fd, int flags, const struct itimerspec *wanted,
                    struct itimerspec *old)
{
    const volatile struct clock_file *file = open_file();
    struct itimerspec real = *wanted;
    int64_t at = (int64_t)real.it_value.tv_sec * SECOND_NS + real.it_value.tv_nsec;

    if (file != NULL && (flags & TFD_TIMER_ABSTIME) != 0 && at != 0) {
        const volatile struct setting *s = &file->settings[file->which & 1];
        int64_t real_now = ask(CLOCK_BOOTTIME);
        int64_t left = at - real_now - drift(s, real_now);
        left = left / (MILLION + s->rate_millionth) * MILLION;
        at = real_now + left;
        real.it_value = spec(at > 1 ? at : 1);
    }
    return (int)syscall(SYS_timerfd_settime, fd, flags, &real, old);
}
// NOLINTEND(readability-inconsistent-declaration-parameter-name)
