/* rollcall_store.c - a store on SQLite alone, killed and ill-treated. README.md says how. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/random.h"
#include "base/text.h"
#include "tests/crash/disk_faults.h"
#include "tests/crash/memory_faults.h"
#include "tests/crash/writers.h"

enum {
    KILL_WRITERS = 24,
    KILL_MAX_MS = 100,
    ANY_SIZE = 1 << 20, /* of values: small and large ones */
    BENCH_MS = 4000,
    BENCH_SIZE = 100
};

/* ---- Waiting and saying. */

static void sleep_us(uint64_t us)
{
    struct timespec wait = {.tv_sec = (time_t)(us / 1000000),
                            .tv_nsec = (long)(us % 1000000) * 1000};
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &wait, NULL);
}

static int fail(const char *what)
{
    (void)fprintf(stderr, "FAILED: %s\n", what);
    return EXIT_FAILURE;
}

static struct board *board_create(void)
{
    void *board = mmap(NULL, sizeof(struct board), PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return board == MAP_FAILED ? NULL : board;
}

/* ---- kill */

enum ending { END_CLOSED, END_LEFT_OPEN };

static int check_in_child(const char *folder, struct board *board, enum ending ending)
{
    struct writers *writers = writers_open(folder, board, 0, ANY_SIZE);
    bool is_good = writers_check(writers);

    if (ending == END_CLOSED) {
        writers_close(writers);
    }
    return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Runs one half of a round in a process of its own, which is killed after `kill_us` (0: it ends by
 * itself). False when it ended badly. */
static bool in_child(const char *folder, struct board *board, enum ending ending,
                     uint64_t kill_us)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        if (kill_us == 0) {
            _exit(check_in_child(folder, board, ending));
        }
        writers_run(writers_open(folder, board, KILL_WRITERS, ANY_SIZE), 0);
        _exit(EXIT_FAILURE); /* it writes for ever */
    }
    if (kill_us > 0) {
        sleep_us(kill_us);
        (void)kill(child, SIGKILL);
    }
    if (waitpid(child, &status, 0) != child) {
        return false;
    }
    return kill_us > 0 ? WIFSIGNALED(status)
                       : WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
}

/* With a journal every kill is a power cut as well. */
static int run_kill(const char *folder, uint64_t rounds, uint64_t seed,
                    struct disk_journal *journal)
{
    struct board *board = board_create();
    uint64_t lost = 0;
    struct rc_random random;
    uint64_t with_writes = 0;

    if (board == NULL) {
        return fail("no memory");
    }
    rc_random_init(&random, seed);
    for (uint64_t i = 0; i < rounds; i++) {
        uint64_t before = board->total;
        uint64_t kill_us = 1000 + rc_random_below(&random, KILL_MAX_MS * UINT64_C(1000));
        enum ending ending =
            rc_random_below(&random, 4) == 0 ? END_CLOSED : END_LEFT_OPEN;
        bool is_good = in_child(folder, board, ending, kill_us);
        lost += journal == NULL ? 0 : disk_faults_cut(journal, seed + i);
        if (!is_good || !in_child(folder, board, ending, 0)) {
            (void)fprintf(stderr, "round %llu of seed %llu\n", (unsigned long long)i,
                          (unsigned long long)seed);
            return fail("what was acknowledged is not there");
        }
        with_writes += board->total > before ? 1 : 0;
    }
    (void)printf(
        "killed %llu times (%llu while writing): %llu acknowledged transactions, none "
        "lost; revision %llu\n",
        (unsigned long long)rounds, (unsigned long long)with_writes,
        (unsigned long long)board->total, (unsigned long long)board->revision);
    if (journal != NULL) {
        (void)printf("of what was not synced, %llu writes were lost\n",
                     (unsigned long long)lost);
    }
    return EXIT_SUCCESS;
}

/* ---- faults and full */

/* Waits until the alarm is on or off, for at most 20 s, while writers write. */
static bool wait_for_alarm(struct writers *writers, bool wanted)
{
    for (int i = 0; i < 200; i++) {
        writers_run(writers, 100);
        if ((writers_status(writers).alarm[0] != '\0') == wanted) {
            return true;
        }
    }
    return false;
}

/* Writers meet a fault; it must be said, nothing lost, and after it they go on by themselves. */
static int meet_fault(const char *folder, struct board *board, enum disk_fault fault,
                      const char *what)
{
    struct writers *writers = writers_open(folder, board, KILL_WRITERS, ANY_SIZE);
    writers_run(writers, 300);
    uint64_t before = board->total;
    board->refused = board->unknown = 0;

    disk_faults_set(fault);
    if (!wait_for_alarm(writers, true)) {
        return fail("there is no alarm");
    }
    writers_run(writers, 500);
    uint64_t during = board->total;
    writers_run(writers, 500);
    (void)printf(
        "%s: %llu acknowledged before, then refused %llu, unknown %llu (%s): %s\n", what,
        (unsigned long long)before, (unsigned long long)board->refused,
        (unsigned long long)board->unknown, rc_strerror(board->last_err),
        writers_status(writers).alarm);
    if (board->total != during) {
        return fail("something is acknowledged that cannot be on the disk");
    }
    disk_faults_set(DISK_WORKS);
    if (!wait_for_alarm(writers, false)) {
        return fail("it does not go on");
    }
    writers_run(writers, 300);
    writers_rest(writers);
    if (board->total <= during) {
        return fail("it does not write again");
    }
    bool is_good = writers_check(writers); /* what the follower was told */
    writers_close(writers);
    is_good = is_good && check_in_child(folder, board, END_CLOSED) == EXIT_SUCCESS;
    return is_good ? EXIT_SUCCESS : fail("something is not as it was acknowledged");
}

static int run_faults(const char *folder)
{
    static const struct {
        enum disk_fault fault;
        const char *what;
    } faults[] = {
        {DISK_SYNC_FAILS, "fsync fails"},
        {DISK_WRITE_FAILS, "writes fail"},
        {DISK_IS_FULL, "the disk is full"},
        {DISK_IS_READ_ONLY, "the disk becomes read-only"},
        {DISK_SYNC_FAILS, "fsync fails again"},
    };
    struct board *board = board_create();

    if (board == NULL) {
        return fail("no memory");
    }
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        if (meet_fault(folder, board, faults[i].fault, faults[i].what) != EXIT_SUCCESS) {
            return EXIT_FAILURE;
        }
    }
    return EXIT_SUCCESS;
}

/* While writers write, each so manieth allocation fails: refused or in doubt, never wrong. */
static int starve(const char *folder, struct board *board, uint64_t nth)
{
    struct writers *writers = writers_open(folder, board, KILL_WRITERS, ANY_SIZE);
    uint64_t before = memory_faults_count();
    uint64_t total = board->total;

    board->refused = board->unknown = 0;
    memory_faults_set(nth);
    writers_run(writers, 400);
    memory_faults_set(0);
    (void)printf(
        "each %lluth allocation fails, %llu did: %llu acknowledged, %llu refused, %llu "
        "unknown\n",
        (unsigned long long)nth, (unsigned long long)(memory_faults_count() - before),
        (unsigned long long)(board->total - total), (unsigned long long)board->refused,
        (unsigned long long)board->unknown);
    total = board->total;
    if (!wait_for_alarm(writers, false)) {
        return fail("it does not go on");
    }
    writers_run(writers, 200);
    writers_rest(writers);
    bool is_good = writers_check(writers) && board->total > total;
    writers_close(writers);
    is_good = is_good && check_in_child(folder, board, END_CLOSED) == EXIT_SUCCESS;
    return is_good ? EXIT_SUCCESS : fail("something is not as it was acknowledged");
}

static int run_memory(const char *folder)
{
    static const uint64_t nths[] = {3, 7, 11, 23, 47, 101, 199, 499, 997, 1999, 4999};
    struct board *board = board_create();

    if (board == NULL) {
        return fail("no memory");
    }
    if (!memory_faults_can()) {
        (void)printf("left out: the sanitizer has an allocator of its own\n");
        return EXIT_SUCCESS;
    }
    for (size_t i = 0; i < sizeof nths / sizeof nths[0]; i++) {
        if (starve(folder, board, nths[i]) != EXIT_SUCCESS) {
            return EXIT_FAILURE;
        }
    }
    return EXIT_SUCCESS;
}

/* Takes all the room there is. */
static bool fill_disk(const char *path)
{
    static const char zeros[1 << 14];
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (file < 0) {
        return false;
    }
    while (write(file, zeros, sizeof zeros) > 0) {
    }
    while (write(file, zeros, 1) > 0) {
    }
    return close(file) == 0;
}

/* The database grows until there is no room, which other files have taken. */
static bool write_until_refused(struct writers *writers, struct board *board)
{
    uint64_t refused = board->refused;

    for (int i = 0; i < 600 && board->refused == refused; i++) {
        writers_run(writers, 50);
    }
    return board->refused > refused;
}

static int run_full(const char *folder)
{
    struct board *board = board_create();
    char ballast[512];

    (void)snprintf(ballast, sizeof ballast, "%s.ballast", folder);
    struct writers *writers =
        board == NULL ? NULL : writers_open(folder, board, KILL_WRITERS, ANY_SIZE);
    if (writers == NULL) {
        return fail("no memory");
    }
    writers_run(writers, 50);
    if (!fill_disk(ballast) || !write_until_refused(writers, board)) {
        return fail("it is not refused");
    }
    struct engine_status status = writers_status(writers);
    (void)printf("full: %llu acknowledged, then refused: %s; alarm: %s\n",
                 (unsigned long long)board->total, rc_strerror(board->last_err),
                 status.alarm);
    if (board->last_err != RC_ENOSPC) {
        return fail("not for the reason that it is full");
    }
    writers_rest(writers);
    writers_close(writers);
    if (check_in_child(folder, board, END_CLOSED) != EXIT_SUCCESS) {
        return fail("on a full disk it cannot be opened, or something is lost");
    }
    writers = writers_open(folder, board, KILL_WRITERS, ANY_SIZE);
    (void)write_until_refused(writers, board);
    uint64_t before = board->total;
    if (unlink(ballast) != 0 || !wait_for_alarm(writers, false)) {
        return fail("it does not go on when there is room");
    }
    writers_run(writers, 200);
    writers_rest(writers);
    (void)printf("room again: %llu acknowledged\n", (unsigned long long)board->total);
    bool is_good = writers_check(writers) && board->total > before;
    writers_close(writers);
    is_good = is_good && check_in_child(folder, board, END_CLOSED) == EXIT_SUCCESS;
    return is_good ? EXIT_SUCCESS : fail("something is not as it was acknowledged");
}

/* ---- bench */

static int by_size(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;
    return (*left > *right) - (*left < *right);
}

/* What so many of a thousand do not exceed, in ms; sorted. */
static double share(const uint64_t *micros, uint64_t count, uint64_t thousandth)
{
    uint64_t place = count * thousandth / 1000;
    return count == 0 ? 0 : (double)micros[place] / 1000;
}

/* A log record of 4 KB appended and synced, as a database must do at the least. */
static double bare_sync_ms(const char *folder)
{
    enum { TIMES = 300 };
    static uint64_t micros[TIMES];
    static const char page[4096];
    char path[512];

    (void)snprintf(path, sizeof path, "%s/bare", folder);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    for (int i = 0; i < TIMES; i++) {
        uint64_t start_ns = rc_clock_ns();
        if (write(file, page, sizeof page) != (ssize_t)sizeof page ||
            fdatasync(file) != 0) {
            break;
        }
        micros[i] = (rc_clock_ns() - start_ns) / 1000;
    }
    (void)close(file);
    (void)unlink(path);
    qsort(micros, TIMES, sizeof micros[0], by_size);
    return share(micros, TIMES, 500);
}

static void bench(const char *folder, struct board *board, unsigned outstanding)
{
    struct writers *writers = writers_open(folder, board, outstanding, BENCH_SIZE);
    writers_run(writers, 500); /* the log has its size then */
    uint64_t before = board->total;
    struct disk_counts disk = disk_faults_counts();
    uint64_t start_ns = rc_clock_ns();

    board->micros_count = 0;
    writers_run(writers, BENCH_MS);
    double seconds = (double)(rc_clock_ns() - start_ns) / 1e9;
    struct disk_counts after = disk_faults_counts();
    double commits = (double)(board->total - before);
    uint64_t count = board->micros_count;
    qsort(board->micros, count, sizeof board->micros[0], by_size);
    (void)printf(
        "%2u outstanding: %6.0f commits/s, p50 %.3f ms, p99 %.3f ms; %.2f syncs and "
        "%.0f bytes written a commit\n",
        outstanding, commits / seconds, share(board->micros, count, 500),
        share(board->micros, count, 990), (double)(after.syncs - disk.syncs) / commits,
        (double)(after.bytes - disk.bytes) / commits);
    writers_rest(writers);
    writers_close(writers);
}

static int run_bench(const char *folder, uint64_t sync_us)
{
    struct board *board = board_create();

    if (board == NULL) {
        return fail("no memory");
    }
    disk_faults_sync_takes(sync_us);
    bench(folder, board, 64);
    (void)printf("bare 4 KB append and fdatasync: %.3f ms\n", bare_sync_ms(folder));
    bench(folder, board, 1);
    return EXIT_SUCCESS;
}

/* ---- */

static uint64_t number_of(int count, char **arguments, int which, uint64_t otherwise)
{
    uint64_t number = otherwise;

    if (which < count && rc_text_to_u64(arguments[which], UINT64_MAX, &number) != RC_OK) {
        return otherwise;
    }
    return number;
}

int main(int count, char **arguments)
{
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (count >= 3 && strcmp(arguments[1], "kill") == 0) {
        return run_kill(arguments[2], number_of(count, arguments, 3, 40),
                        number_of(count, arguments, 4, 1), NULL);
    }
    if (count >= 3 && strcmp(arguments[1], "power") == 0) {
        struct disk_journal *journal = disk_faults_journal();
        return journal == NULL
                   ? fail("no memory")
                   : run_kill(arguments[2], number_of(count, arguments, 3, 40),
                              number_of(count, arguments, 4, 1), journal);
    }
    if (count >= 3 && strcmp(arguments[1], "full") == 0) {
        return run_full(arguments[2]);
    }
    if (count >= 3 && strcmp(arguments[1], "faults") == 0) {
        return run_faults(arguments[2]);
    }
    if (count >= 3 && strcmp(arguments[1], "memory") == 0) {
        return run_memory(arguments[2]);
    }
    if (count >= 3 && strcmp(arguments[1], "bench") == 0) {
        return run_bench(arguments[2], number_of(count, arguments, 3, 0));
    }
    (void)fprintf(
        stderr, "usage: rollcall-store kill|power FOLDER [ROUNDS [SEED]] | full FOLDER | "
                "faults FOLDER | memory FOLDER | bench FOLDER [SYNC_US]\n");
    return 2;
}
