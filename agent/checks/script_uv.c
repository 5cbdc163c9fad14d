/* script_uv.c - runs a program and judges it by its exit status (security.md K2).
 *
 * The argument vector as given, no shell; a session and process group of its own, so that
 * what it started ends with it; standard output and error into one pipe of which the last
 * bytes are kept; an environment of a few known variables. */
#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <uv.h>

#include "agent/checks/checks.h"
#include "base/err.h"
#include "base/text.h"

enum { CHUNK_BYTES = 8192, KEPT_BYTES = 2 * CHECK_OUTPUT_MAX, ENVIRONMENT_MAX = 8 };

struct script {
    struct prober prober;
    uv_loop_t *loop;
    struct probe_sink sink;
    struct probe_run *runs;
    char *environment[ENVIRONMENT_MAX + 1]; /* "NAME=value", owned; NULL at the end */
};

struct run {
    struct probe_run link;
    struct script *script; /* not to be used once the run has left the list */
    uint64_t timeout_ms;
    uv_process_t process;
    uv_pipe_t pipe;
    char chunk[CHUNK_BYTES];
    struct rc_buffer output; /* the last KEPT_BYTES at most */
    size_t total;            /* bytes it ever wrote */
    unsigned open_handles;
};

static bool is_ended(const struct run *run)
{
    return run->link.place == NULL;
}

static void on_closed(uv_handle_t *handle)
{
    struct run *run = handle->data;

    assert(run->open_handles > 0);
    if (--run->open_handles == 0) {
        rc_buffer_fini(&run->output);
        free(run);
    }
}

/* The process handle stays open until the child is reaped, or it would be a zombie. */
static void close_pipe(struct run *run)
{
    if (!uv_is_closing((uv_handle_t *)&run->pipe)) {
        uv_close((uv_handle_t *)&run->pipe, on_closed);
    }
}

static void kill_group(const struct run *run)
{
    if (run->process.pid > 0) {
        (void)kill(-run->process.pid, SIGKILL);
    }
}

static void keep(struct run *run, const char *bytes, size_t size)
{
    run->total += size;
    rc_buffer_append(&run->output, bytes, size);
    if (run->output.size > KEPT_BYTES) {
        rc_buffer_consume(&run->output, run->output.size - KEPT_BYTES);
    }
}

static void report(struct run *run, enum check_status status)
{
    const struct probe_sink sink = run->script->sink;
    uint64_t probe = run->link.probe;
    struct rc_buffer output = run->output;
    struct check_result result = {
        .status = status,
        .output = rc_buffer_string(&output),
        .output_size = output.size,
        .output_total = run->total,
    };

    run->output = (struct rc_buffer){0};
    probe_run_remove(&run->link);
    close_pipe(run);
    sink.done(sink.context, probe, &result);
    rc_buffer_fini(&output);
}

/* The child may end before its last words were read; its children may hold the pipe open
 * for ever, so this reads what is there and no more. */
static void drain(struct run *run)
{
    uv_os_fd_t file;

    if (uv_fileno((uv_handle_t *)&run->pipe, &file) != 0) {
        return;
    }
    for (int i = 0; i < 16; i++) {
        ssize_t got = read(file, run->chunk, sizeof run->chunk);
        if (got <= 0) {
            return;
        }
        keep(run, run->chunk, (size_t)got);
    }
}

static void on_exit_status(uv_process_t *process, int64_t status, int signal_number)
{
    static const enum check_status by_status[] = {CHECK_PASSING, CHECK_WARNING};
    struct run *run = process->data;

    kill_group(run); /* what it left behind in its group */
    if (!is_ended(run)) {
        drain(run);
        report(run, signal_number == 0 && status >= 0 && status <= 1 ? by_status[status]
                                                                     : CHECK_CRITICAL);
    }
    close_pipe(run);
    uv_close((uv_handle_t *)process, on_closed);
}

static void on_space(uv_handle_t *handle, size_t wanted, uv_buf_t *out)
{
    struct run *run = handle->data;

    (void)wanted;
    *out = uv_buf_init(run->chunk, sizeof run->chunk);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *bytes)
{
    struct run *run = stream->data;

    if (got > 0 && !is_ended(run)) {
        keep(run, bytes->base, (size_t)got);
    } else if (got < 0) {
        (void)uv_read_stop(stream);
    }
}

/* No core files from checks, and not all of our descriptors' worth of files. */
static void limit(uv_pid_t pid)
{
    const struct rlimit no_core = {0, 0};
    const struct rlimit few_files = {1024, 1024};

    (void)prlimit(pid, RLIMIT_CORE, &no_core, NULL);
    (void)prlimit(pid, RLIMIT_NOFILE, &few_files, NULL);
}

static int spawn(struct run *run, char **arguments, int write_end)
{
    uv_stdio_container_t stdio[] = {
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = write_end},
        {.flags = UV_INHERIT_FD, .data.fd = write_end},
    };
    uv_process_options_t options = {
        .exit_cb = on_exit_status,
        .file = arguments[0],
        .args = arguments,
        .env = run->script->environment,
        .cwd = "/",
        .flags = UV_PROCESS_DETACHED, /* setsid: a process group of its own */
        .stdio_count = sizeof stdio / sizeof stdio[0],
        .stdio = stdio,
    };

    run->process.data = run;
    run->open_handles++; /* uv_spawn opens the handle even when it fails */
    int err = uv_spawn(run->script->loop, &run->process, &options);
    if (err != 0) {
        uv_close((uv_handle_t *)&run->process, on_closed);
        return err;
    }
    limit(run->process.pid);
    return 0;
}

static int open_pipe(struct run *run, int *write_end)
{
    int ends[2];

    int err = uv_pipe_init(run->script->loop, &run->pipe, 0);
    if (err != 0) {
        return err;
    }
    run->pipe.data = run;
    run->open_handles++;
    err = uv_pipe(ends, UV_NONBLOCK_PIPE, 0);
    if (err != 0) {
        return err;
    }
    err = uv_pipe_open(&run->pipe, ends[0]);
    if (err != 0) {
        (void)close(ends[0]);
        (void)close(ends[1]);
        return err;
    }
    *write_end = ends[1];
    return 0;
}

static void start(struct prober *prober, const struct probe_request *request)
{
    struct script *script = (struct script *)prober;
    const struct definition_list *list = &request->definition->args;
    int write_end = -1;

    struct run *run = calloc(1, sizeof *run);
    char **arguments = calloc(list->count + 1, sizeof *arguments);
    if (run == NULL || arguments == NULL || list->count == 0) {
        free(run);
        free(arguments);
        probe_done(&script->sink, request->probe, CHECK_CRITICAL, "nothing to run");
        return;
    }
    memcpy(arguments, list->items, list->count * sizeof *arguments);
    run->script = script;
    run->timeout_ms = request->timeout_ms;
    probe_run_add(&script->runs, &run->link, request->probe);
    int err = open_pipe(run, &write_end);
    if (err == 0) {
        err = spawn(run, arguments, write_end);
        (void)close(write_end);
    }
    if (err == 0) {
        (void)uv_read_start((uv_stream_t *)&run->pipe, on_space, on_read);
    } else {
        rc_buffer_format(&run->output, "fork/exec %s: %s", arguments[0],
                         uv_strerror(err));
        report(run, CHECK_CRITICAL);
    }
    free(arguments);
}

static struct run *find(const struct prober *prober, uint64_t probe)
{
    return (struct run *)probe_run_find(((const struct script *)prober)->runs, probe);
}

static void end(struct run *run)
{
    probe_run_remove(&run->link);
    kill_group(run);
    close_pipe(run);
}

static void expire(struct prober *prober, uint64_t probe)
{
    struct run *run = find(prober, probe);
    struct rc_buffer text = {0};
    char duration[32];

    if (run == NULL) {
        return;
    }
    kill_group(run);
    rc_text_from_duration_ns(run->timeout_ms * 1000000, duration, sizeof duration);
    rc_buffer_format(&text, "Timed out (%s) running check", duration);
    if (run->output.size > 0) {
        size_t skip = run->output.size > CHECK_OUTPUT_MAX / 2
                          ? run->output.size - CHECK_OUTPUT_MAX / 2
                          : 0;
        rc_buffer_text(&text, "\n\n");
        rc_buffer_append(&text, run->output.bytes + skip, run->output.size - skip);
    }
    rc_buffer_fini(&run->output);
    run->output = text;
    run->total = 0;
    report(run, CHECK_CRITICAL);
}

static void cancel(struct prober *prober, uint64_t probe)
{
    struct run *run = find(prober, probe);

    if (run != NULL) {
        end(run);
    }
}

static void forget(struct prober *prober, uint64_t check)
{
    (void)prober; /* nothing is kept between runs */
    (void)check;
}

static void close_prober(struct prober *prober)
{
    struct script *script = (struct script *)prober;

    struct probe_run *next = NULL;

    for (struct probe_run *at = script->runs; at != NULL; at = next) {
        next = at->next;
        end((struct run *)at);
    }
    for (size_t i = 0; script->environment[i] != NULL; i++) {
        free(script->environment[i]);
    }
    free(script);
}

static void add_variable(struct script *script, size_t *count, const char *name,
                         const char *otherwise)
{
    /* Read once at start; nothing in this process changes the environment. */
    const char *value = getenv(name); // NOLINT(concurrency-mt-unsafe)
    value = value == NULL ? otherwise : value;
    if (value == NULL) {
        return;
    }
    char *text = rc_text_format("%s=%s", name, value);
    if (text != NULL) {
        script->environment[(*count)++] = text;
    }
}

struct prober *script_uv_prober(struct uv_loop_s *loop, struct probe_sink sink)
{
    size_t count = 0;

    struct script *script = calloc(1, sizeof *script);
    if (script == NULL) {
        return NULL;
    }
    script->prober =
        (struct prober){"script", start, expire, cancel, forget, close_prober};
    script->loop = loop;
    script->sink = sink;
    add_variable(script, &count, "PATH", "/usr/local/bin:/usr/bin:/bin");
    add_variable(script, &count, "HOME", "/");
    add_variable(script, &count, "LANG", NULL);
    add_variable(script, &count, "LC_ALL", NULL);
    add_variable(script, &count, "TZ", NULL);
    assert(count <= ENVIRONMENT_MAX);
    return &script->prober;
}
