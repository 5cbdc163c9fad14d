/* redis_uv.c - does that Redis server answer, and in the role that is wanted?
 *
 * What is said is redis_talk.h's. The password is read from its file at each run, so that a new
 * one needs no reload; it is sent in clear, as everything to Redis without TLS is. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "agent/checks/checks.h"
#include "agent/checks/redis_talk.h"
#include "agent/checks/target_uv.h"
#include "base/err.h"
#include "base/file.h"

enum { CHUNK_BYTES = 2048 };

struct run {
    struct probe_run link;
    struct target target;
    struct redis_talk talk;
    struct rc_buffer sending; /* what libuv still reads; moved from talk.out */
    uv_write_t write;
    char chunk[CHUNK_BYTES];
};

static struct run *run_of(struct target *target)
{
    return (struct run *)((char *)target - offsetof(struct run, target));
}

static struct run *run_of_stream(const void *dial)
{
    return (struct run *)((const char *)dial - offsetof(struct run, target.dial));
}

static void wipe(struct rc_buffer *buffer)
{
    if (buffer->bytes != NULL) {
        explicit_bzero(buffer->bytes, buffer->capacity);
    }
    rc_buffer_fini(buffer);
}

static void on_free(struct target *target)
{
    struct run *run = run_of(target);

    redis_talk_fini(&run->talk);
    wipe(&run->sending);
    free(run);
}

static void end(struct probe_run *link)
{
    probe_run_remove(link);
    target_end(&((struct run *)link)->target);
}

static void fail(struct run *run, const char *what, const char *reason)
{
    struct rc_buffer text = {0};

    rc_buffer_format(&text, "Redis at %s: %s%s", run->target.name, what, reason);
    probe_run_say(&run->link, CHECK_CRITICAL, &text);
}

static void on_failed(struct target *target, const char *reason)
{
    fail(run_of(target), "", reason);
}

static void on_write(uv_write_t *write, int status)
{
    struct run *run = write->data;

    (void)status; /* reading tells what became of it */
    wipe(&run->sending);
    (void)dial_continues(&run->target.dial);
}

/* False: the run is over. */
static bool send_commands(struct run *run)
{
    if (run->talk.out.size == 0) {
        return true;
    }
    if (run->talk.out.err != RC_OK || run->sending.bytes != NULL) {
        fail(run, "", "it answers before it was asked"); /* or memory is out */
        return false;
    }
    run->sending = run->talk.out;
    run->talk.out = (struct rc_buffer){0};
    uv_buf_t bytes = uv_buf_init((char *)run->sending.bytes, (unsigned)run->sending.size);
    run->write.data = run;
    int err = uv_write(&run->write, (uv_stream_t *)&run->target.dial.socket, &bytes, 1,
                       on_write);
    if (err != 0) {
        fail(run, "write: ", uv_strerror(err));
        return false;
    }
    dial_begin(&run->target.dial);
    return true;
}

static void on_space(uv_handle_t *handle, size_t wanted, uv_buf_t *out)
{
    struct run *run = run_of_stream(handle->data);

    (void)wanted;
    *out = uv_buf_init(run->chunk, sizeof run->chunk);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *bytes)
{
    struct run *run = run_of_stream(stream->data);

    if (probe_run_is_ended(&run->link) || got == 0) {
        return;
    }
    if (got < 0) {
        fail(run, "", got == UV_EOF ? "it closed the connection" : uv_strerror((int)got));
        return;
    }
    if (redis_talk_feed(&run->talk, bytes->base, (size_t)got) == RC_EAGAIN) {
        (void)send_commands(run);
        return;
    }
    struct rc_buffer text = run->talk.text;
    run->talk.text = (struct rc_buffer){0};
    probe_run_say(&run->link, run->talk.status, &text);
}

static void on_connected(struct target *target)
{
    struct run *run = run_of(target);

    if (!send_commands(run)) {
        return;
    }
    int err = uv_read_start((uv_stream_t *)&target->dial.socket, on_space, on_read);
    if (err != 0) {
        fail(run, "read: ", uv_strerror(err));
    }
}

/* The first line of the file, in `out`; false when there is none, which is reported. */
static bool read_password(struct run *run, const char *path, struct rc_buffer *out)
{
    char why[512];
    int err = rc_file_read(path, REDIS_PASSWORD_MAX, out);

    size_t size = err == RC_OK ? strcspn(rc_buffer_string(out), "\r\n") : 0;
    if (size > 0) {
        out->bytes[size] = '\0';
        return true;
    }
    (void)snprintf(why, sizeof why, "redis_password_file %.300s %s", path,
                   err == RC_OK          ? "is empty"
                   : err == RC_ENOTFOUND ? "is not there"
                   : err == RC_ETOOBIG   ? "is too long to be a password"
                                         : "cannot be read: who runs the agent may not");
    fail(run, "", why);
    return false;
}

static void begin(struct run *run, const struct check_definition *wanted)
{
    struct rc_buffer password = {0};
    enum redis_role role = REDIS_ANY;

    (void)redis_role_parse(wanted->redis_role, &role); /* judged before */
    if (wanted->redis_password_file == NULL ||
        read_password(run, wanted->redis_password_file, &password)) {
        redis_talk_begin(&run->talk, role, wanted->redis_user,
                         password.size > 0 ? rc_buffer_string(&password) : NULL);
        target_connect(&run->target, wanted->redis);
    }
    wipe(&password);
}

static void start(struct prober *prober, const struct probe_request *request)
{
    struct run *run = (struct run *)probe_run_create(sizeof *run, prober, request);

    if (run == NULL) {
        return;
    }
    run->target.dial.loop = prober->loop;
    run->target.on_connected = on_connected;
    run->target.on_failed = on_failed;
    run->target.on_free = on_free;
    (void)snprintf(run->target.name, sizeof run->target.name, "%s",
                   request->definition->redis);
    begin(run, request->definition);
}

static void expire(struct probe_run *run)
{
    fail((struct run *)run, "", "no answer in time");
}

struct prober *redis_uv_prober(struct uv_loop_s *loop, struct probe_sink sink)
{
    static const struct probe_kind kind = {
        .name = "redis", .start = start, .expire = expire, .end = end};

    return prober_create(sizeof(struct prober), &kind, loop, sink);
}
