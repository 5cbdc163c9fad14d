/* sim_jobs.c - seeds in processes of their own, some at a time. */
#include "tests/sim/sim_jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/sim/sim_state.h"

enum { JOBS_MAX = 64 };

struct job {
    pid_t pid; /* 0: free */
    int fd;    /* its outcome comes here */
    uint64_t seed;
};

/* ---- one */

static void be_child(const struct play_options *options, uint64_t seed,
                     enum job_words words, int fd)
{
    struct outcome outcome;
    const struct rlimit no_core = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &no_core);
    if (words == JOB_SILENT) {
        int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
        (void)dup2(nowhere, STDERR_FILENO);
        (void)dup2(nowhere, STDOUT_FILENO);
    }
    play(options, seed, &outcome);
    bool ok = outcome_write(&outcome, fd);
    measure_fini(&outcome.measure);
    (void)fflush(NULL);
    _exit(ok ? 0 : 1);
}

static struct job start(const struct play_options *options, uint64_t seed,
                        enum job_words words)
{
    struct job job = {.seed = seed};
    int ends[2];

    (void)fflush(NULL);
    if (pipe2(ends, O_CLOEXEC) != 0 || (job.pid = fork()) < 0) {
        perror("rollcall-sim: a process for a seed");
        exit(2); // NOLINT(concurrency-mt-unsafe): one thread
    }
    if (job.pid == 0) {
        (void)close(ends[0]);
        be_child(options, seed, words, ends[1]);
    }
    (void)close(ends[1]);
    job.fd = ends[0];
    return job;
}

/* Waits for its end; true if it passed. */
static bool finish(struct job *job, struct outcome *out)
{
    int status = 0;
    bool whole = outcome_read(out, job->fd);

    (void)close(job->fd);
    while (waitpid(job->pid, &status, 0) < 0 && errno == EINTR) {
    }
    job->pid = 0;
    if (whole && (!WIFEXITED(status) || WEXITSTATUS(status) != 0)) {
        measure_fini(&out->measure);
        whole = false;
    }
    return whole;
}

bool job_run(const struct play_options *options, uint64_t seed, enum job_words words,
             struct outcome *out)
{
    struct job job = start(options, seed, words);

    return finish(&job, out);
}

/* ---- many */

static uint8_t *read_done(const struct job_range *range)
{
    uint64_t count = range->last - range->first + 1;
    uint8_t *done = sim_memory(calloc(count, 1));
    FILE *file = range->done_path == NULL ? NULL : fopen(range->done_path, "re");
    char line[32];

    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        uint64_t seed = strtoull(line, NULL, 10);
        if (seed >= range->first && seed <= range->last) {
            done[seed - range->first] = 1;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return done;
}

static void note_done(const struct job_range *range, uint64_t seed)
{
    FILE *file = range->done_path == NULL ? NULL : fopen(range->done_path, "ae");

    if (file != NULL) {
        (void)fprintf(file, "%llu\n", (unsigned long long)seed);
        (void)fclose(file);
    }
}

static size_t collect(const struct play_options *options, const struct job_range *range,
                      struct job *job, struct report *report)
{
    struct outcome outcome;
    uint64_t seed = job->seed;

    if (finish(job, &outcome)) {
        report_add(report, &outcome);
        note_done(range, seed);
        return 0;
    }
    (void)fprintf(stderr, "# seed %llu of %s has failed\n", (unsigned long long)seed,
                  options->scenario->name);
    return 1;
}

size_t job_run_range(const struct play_options *options, const struct job_range *range,
                     struct report *report)
{
    struct job jobs[JOBS_MAX] = {0};
    uint8_t *done = read_done(range);
    size_t failed = 0;
    unsigned turn = 0;

    for (uint64_t seed = range->first; seed <= range->last; seed++) {
        if (done[seed - range->first]) {
            continue;
        }
        struct job *job = &jobs[turn++ % range->at_once];
        if (job->pid != 0) {
            failed += collect(options, range, job, report);
        }
        *job = start(options, seed, JOB_LOUD);
    }
    for (unsigned i = 0; i < range->at_once; i++) {
        struct job *job = &jobs[turn++ % range->at_once];
        if (job->pid != 0) {
            failed += collect(options, range, job, report);
        }
    }
    free(done);
    return failed;
}
