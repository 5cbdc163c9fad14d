#include "agent/checks/process_uv.h"

#include <assert.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <uv.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/text.h"

enum { CHUNK_BYTES = 8192, DRAINED_CHUNKS_MAX = 16, OWN_VARIABLES_MAX = 5 };

struct process {
    uv_process_t process;
    uv_pipe_t says;  /* its standard output, maybe error */
    uv_pipe_t reads; /* its standard input */
    uv_write_t write;
    struct rc_buffer input;
    char chunk[CHUNK_BYTES];
    struct rc_buffer output;
    size_t total;
    enum process_keep keep;
    size_t keep_max;
    void (*ended)(void *context, const struct process_end *end);
    void *context;
    bool is_done; /* nobody waits for it any more */
    unsigned open_handles;
};

static void on_closed(uv_handle_t *handle)
{
    struct process *p = handle->data;

    assert(p->open_handles > 0);
    if (--p->open_handles == 0) {
        rc_buffer_fini(&p->output);
        rc_buffer_fini(&p->input);
        free(p);
    }
}

/* The process handle stays open until the child is reaped, or it would be a zombie. */
static void close_pipe(uv_pipe_t *pipe)
{
    if (pipe->data != NULL && !uv_is_closing((uv_handle_t *)pipe)) {
        uv_close((uv_handle_t *)pipe, on_closed);
    }
}

static void kill_group(const struct process *p)
{
    if (p->process.pid > 0) {
        (void)kill(-p->process.pid, SIGKILL);
    }
}

static void keep(struct process *p, const char *bytes, size_t size)
{
    p->total += size;
    if (p->keep == PROCESS_KEEP_FIRST) {
        size_t room = p->keep_max - p->output.size;
        rc_buffer_append(&p->output, bytes, size < room ? size : room);
        return;
    }
    rc_buffer_append(&p->output, bytes, size);
    if (p->output.size > p->keep_max) {
        rc_buffer_consume(&p->output, p->output.size - p->keep_max);
    }
}

/* The child may end before its last words were read; its children may hold the pipe open
 * for ever, so this reads what is there and no more. */
static void drain(struct process *p)
{
    uv_os_fd_t file;

    if (uv_fileno((uv_handle_t *)&p->says, &file) != 0) {
        return;
    }
    for (int i = 0; i < DRAINED_CHUNKS_MAX; i++) {
        ssize_t got = read(file, p->chunk, sizeof p->chunk);
        if (got <= 0) {
            return;
        }
        keep(p, p->chunk, (size_t)got);
    }
}

static void on_exit_status(uv_process_t *handle, int64_t status, int signal_number)
{
    struct process *p = handle->data;

    kill_group(p); /* what it left behind in its group */
    if (!p->is_done) {
        drain(p);
        p->is_done = true;
        const struct process_end end = {
            .status = signal_number == 0 ? status : PROCESS_ENDED_BY_SIGNAL,
            .output = rc_buffer_string(&p->output),
            .size = p->output.size,
            .total = p->total,
        };
        p->ended(p->context, &end);
    }
    close_pipe(&p->says);
    close_pipe(&p->reads);
    uv_close((uv_handle_t *)handle, on_closed);
}

static void on_space(uv_handle_t *handle, size_t wanted, uv_buf_t *out)
{
    struct process *p = handle->data;

    (void)wanted;
    *out = uv_buf_init(p->chunk, sizeof p->chunk);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *bytes)
{
    struct process *p = stream->data;

    if (got > 0 && !p->is_done) {
        keep(p, bytes->base, (size_t)got);
    } else if (got < 0) {
        (void)uv_read_stop(stream);
    }
}

/* It has read all of it, or does not want to: either way it sees the end. */
static void on_written(uv_write_t *write, int status)
{
    struct process *p = write->data;

    (void)status;
    close_pipe(&p->reads);
}

/* No core files, and not all of our descriptors' worth of files. */
static void limit(uv_pid_t pid)
{
    const struct rlimit no_core = {0, 0};
    const struct rlimit few_files = {1024, 1024};

    (void)prlimit(pid, RLIMIT_CORE, &no_core, NULL);
    (void)prlimit(pid, RLIMIT_NOFILE, &few_files, NULL);
}

/* ---- Its environment: ours of a few names, then the caller's. */

struct environment {
    char *texts[OWN_VARIABLES_MAX + PROCESS_VARIABLES_MAX + 1];
    size_t own_count; /* these are ours to free */
    size_t count;
};

static void inherit(struct environment *to, const char *name, const char *otherwise)
{
    /* Nothing in this process changes the environment. */
    const char *value = getenv(name); // NOLINT(concurrency-mt-unsafe)

    value = value == NULL ? otherwise : value;
    char *text = value != NULL ? rc_text_format("%s=%s", name, value) : NULL;
    if (text != NULL) {
        to->texts[to->own_count++] = text;
    }
}

static void environment_init(struct environment *e, const char *const *variables)
{
    *e = (struct environment){.own_count = 0};
    inherit(e, "PATH", "/usr/local/bin:/usr/bin:/bin");
    inherit(e, "HOME", "/");
    inherit(e, "LANG", NULL);
    inherit(e, "LC_ALL", NULL);
    inherit(e, "TZ", NULL);
    e->count = e->own_count;
    for (size_t i = 0; variables != NULL && variables[i] != NULL; i++) {
        assert(i < PROCESS_VARIABLES_MAX);
        e->texts[e->count++] = (char *)variables[i]; /* libuv only reads */
    }
}

static void environment_fini(struct environment *e)
{
    for (size_t i = 0; i < e->own_count; i++) {
        free(e->texts[i]);
    }
}

/* ---- Starting. Numbers are libuv's. */

static int spawn(struct process *p, uv_loop_t *loop, const struct process_order *order,
                 int write_end)
{
    struct environment environment;
    const uv_stdio_container_t nothing = {.flags = UV_IGNORE};
    const uv_stdio_container_t output = {.flags = UV_INHERIT_FD, .data.fd = write_end};
    uv_stdio_container_t stdio[] = {
        nothing, output, order->errors == PROCESS_ERRORS_KEPT ? output : nothing};
    uv_process_options_t options = {
        .exit_cb = on_exit_status,
        .file = order->arguments[0],
        .args = (char **)order->arguments, /* libuv only reads */
        .cwd = "/",
        .flags = UV_PROCESS_DETACHED, /* setsid: a process group of its own */
        .stdio_count = sizeof stdio / sizeof stdio[0],
        .stdio = stdio,
    };

    if (order->input != NULL) {
        stdio[0].flags = UV_CREATE_PIPE | UV_READABLE_PIPE;
        stdio[0].data.stream = (uv_stream_t *)&p->reads;
    }
    if (order->user != 0 && geteuid() == 0) {
        options.flags |= UV_PROCESS_SETUID | UV_PROCESS_SETGID;
        options.uid = order->user;
        options.gid = order->group;
    }
    environment_init(&environment, order->variables);
    options.env = environment.texts;
    p->process.data = p;
    p->open_handles++; /* uv_spawn opens the handle even when it fails */
    int err = uv_spawn(loop, &p->process, &options);
    environment_fini(&environment);
    if (err != 0) {
        uv_close((uv_handle_t *)&p->process, on_closed);
        return err;
    }
    limit(p->process.pid);
    return 0;
}

static int open_pipe(struct process *p, uv_loop_t *loop, uv_pipe_t *pipe)
{
    int err = uv_pipe_init(loop, pipe, 0);

    if (err == 0) {
        pipe->data = p;
        p->open_handles++;
    }
    return err;
}

static int open_output(struct process *p, int *write_end)
{
    int ends[2];

    int err = uv_pipe(ends, UV_NONBLOCK_PIPE, 0);
    if (err != 0) {
        return err;
    }
    err = uv_pipe_open(&p->says, ends[0]);
    if (err != 0) {
        (void)close(ends[0]);
        (void)close(ends[1]);
        return err;
    }
    *write_end = ends[1];
    return 0;
}

static int open_all(struct process *p, uv_loop_t *loop, const struct process_order *order)
{
    int write_end = -1;

    int err = open_pipe(p, loop, &p->says);
    if (err == 0 && order->input != NULL) {
        rc_buffer_append(&p->input, order->input, order->input_size);
        err = p->input.err != RC_OK ? UV_ENOMEM : open_pipe(p, loop, &p->reads);
    }
    if (err == 0) {
        err = open_output(p, &write_end);
    }
    if (err == 0) {
        err = spawn(p, loop, order, write_end);
        (void)close(write_end);
    }
    return err;
}

static void feed(struct process *p)
{
    uv_buf_t bytes = uv_buf_init((char *)p->input.bytes, (unsigned)p->input.size);

    p->write.data = p;
    if (p->input.size == 0 ||
        uv_write(&p->write, (uv_stream_t *)&p->reads, &bytes, 1, on_written) != 0) {
        close_pipe(&p->reads);
    }
}

int process_start(struct uv_loop_s *loop, const struct process_order *order,
                  struct process **out, const char **why)
{
    struct process *p = calloc(1, sizeof *p);

    assert(order->arguments[0] != NULL);
    if (p == NULL) {
        *why = rc_strerror(RC_ENOMEM);
        return RC_ENOMEM;
    }
    p->keep = order->keep;
    p->keep_max = order->keep_max;
    p->ended = order->ended;
    p->context = order->context;
    int err = open_all(p, loop, order);
    if (err != 0) {
        *why = uv_strerror(err);
        p->is_done = true;
        close_pipe(&p->reads);
        if (p->says.data == NULL) {
            free(p); /* not one handle was opened */
        } else {
            close_pipe(&p->says);
        }
        return RC_EIO;
    }
    (void)uv_read_start((uv_stream_t *)&p->says, on_space, on_read);
    if (order->input != NULL) {
        feed(p);
    }
    *out = p;
    return RC_OK;
}

const void *process_output(const struct process *process, size_t *size)
{
    *size = process->output.size;
    return rc_buffer_string(&process->output);
}

void process_kill(struct process *process)
{
    process->is_done = true;
    kill_group(process);
    close_pipe(&process->says);
    close_pipe(&process->reads);
}
