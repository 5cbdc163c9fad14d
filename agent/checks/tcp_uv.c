/* tcp_uv.c - does something accept connections there? Texts are Consul's, which are Go's. */
#include <stddef.h>
#include <stdlib.h>

#include <uv.h>

#include "agent/checks/checks.h"
#include "agent/checks/target_uv.h"

struct run {
    struct probe_run link;
    struct target target;
};

static struct run *run_of(struct target *target)
{
    return (struct run *)((char *)target - offsetof(struct run, target));
}

static void on_free(struct target *target)
{
    free(run_of(target));
}

static void end(struct probe_run *link)
{
    probe_run_remove(link);
    target_end(&((struct run *)link)->target);
}

static void on_failed(struct target *target, const char *reason)
{
    struct rc_buffer text = {0};

    rc_buffer_format(&text, "dial tcp %s: %s", target->name, reason);
    probe_run_say(&run_of(target)->link, CHECK_CRITICAL, &text);
}

static void on_connected(struct target *target)
{
    struct rc_buffer text = {0};

    rc_buffer_format(&text, "TCP connect %s: Success", target->name);
    probe_run_say(&run_of(target)->link, CHECK_PASSING, &text);
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
    target_connect(&run->target, request->definition->tcp);
}

static void expire(struct probe_run *run)
{
    on_failed(&((struct run *)run)->target, "i/o timeout");
}

struct prober *tcp_uv_prober(struct uv_loop_s *loop, struct probe_sink sink)
{
    static const struct probe_kind kind = {
        .name = "tcp", .start = start, .expire = expire, .end = end};

    return prober_create(sizeof(struct prober), &kind, loop, sink);
}
