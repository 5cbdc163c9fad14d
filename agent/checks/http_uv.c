/* http_uv.c - HTTP checks without a library: plain HTTP to an address of an agent's own
 * surroundings, which is what nearly all of them are. libcurl would triple the memory of
 * the agent for it. URLs it does not take (http_rules_parse()) go to http_curl.c. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "agent/checks/checks.h"
#include "agent/checks/dial_uv.h"
#include "agent/checks/http_answer.h"
#include "agent/checks/http_rules.h"
#include "base/err.h"
#include "base/text.h"

enum { CHUNK_BYTES = 4096, REASON_MAX = 160 };

struct run {
    struct probe_run link;
    struct dial dial;
    char *method;
    char *url; /* for people: without a password */
    struct rc_address address;
    bool may_try_ipv6; /* it was "localhost" */
    struct rc_buffer request;
    struct http_answer answer;
    uv_write_t write;
    char chunk[CHUNK_BYTES];
};

static struct run *run_of(struct dial *dial)
{
    return (struct run *)((char *)dial - offsetof(struct run, dial));
}

static void on_free(struct dial *dial)
{
    struct run *run = run_of(dial);

    rc_buffer_fini(&run->request);
    http_answer_fini(&run->answer);
    free(run->method);
    free(run->url);
    free(run);
}

static void end(struct probe_run *run)
{
    probe_run_remove(run);
    dial_end(&((struct run *)run)->dial);
}

static void report_failure(struct run *run, const char *reason)
{
    struct rc_buffer text = {0};

    http_rules_say_failure(&text, run->method, run->url, reason);
    probe_run_say(&run->link, CHECK_CRITICAL, &text);
}

static void report_answer(struct run *run)
{
    struct rc_buffer text = {0};

    http_rules_say_answer(&text, run->method, run->url, run->answer.status,
                          &run->answer.body);
    probe_run_say(&run->link, http_rules_judge(run->answer.code), &text);
}

static void report_io(struct run *run, const char *what, int status)
{
    char address[RC_ADDRESS_TEXT_MAX];
    char reason[REASON_MAX];

    rc_address_format(&run->address, address);
    (void)snprintf(reason, sizeof reason, "dial tcp %s: %s: %s", address, what,
                   uv_strerror(status));
    report_failure(run, reason);
}

static void on_space(uv_handle_t *handle, size_t wanted, uv_buf_t *out)
{
    struct run *run = run_of(handle->data);

    (void)wanted;
    *out = uv_buf_init(run->chunk, sizeof run->chunk);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *bytes)
{
    struct run *run = run_of(stream->data);

    if (probe_run_is_ended(&run->link) || got == 0) {
        return;
    }
    if (got < 0) {
        /* A server that closes early has said its status, or it has said nothing. */
        if (http_answer_end(&run->answer) == RC_OK) {
            report_answer(run);
        } else if (got == UV_EOF) {
            report_failure(run, "EOF");
        } else {
            report_io(run, "read", (int)got);
        }
        return;
    }
    int err = http_answer_feed(&run->answer, bytes->base, (size_t)got);
    if (err == RC_OK) {
        report_answer(run);
    } else if (err != RC_EAGAIN) {
        report_failure(run, "malformed HTTP response");
    }
}

static void on_write(uv_write_t *write, int status)
{
    struct run *run = write->data;

    (void)status; /* a server may answer without reading: reading tells */
    (void)dial_continues(&run->dial);
}

static void send_request(struct run *run)
{
    uv_stream_t *stream = (uv_stream_t *)&run->dial.socket;
    uv_buf_t bytes = uv_buf_init((char *)run->request.bytes, (unsigned)run->request.size);

    run->write.data = run;
    int err = uv_write(&run->write, stream, &bytes, 1, on_write);
    if (err == 0) {
        dial_begin(&run->dial);
        err = uv_read_start(stream, on_space, on_read);
    }
    if (err != 0) {
        report_io(run, "write", err);
    }
}

static void connect_run(struct run *run)
{
    struct sockaddr_storage address;

    (void)rc_address_to_sockaddr(&run->address, &address);
    int err = dial_to(&run->dial, (const struct sockaddr *)&address);
    if (err != 0) {
        report_io(run, "connect", err);
    }
}

static void on_connected(struct dial *dial, int status)
{
    struct run *run = run_of(dial);

    if (status == 0) {
        send_request(run);
    } else if (run->may_try_ipv6) {
        run->may_try_ipv6 = false;
        (void)rc_address_parse_ip("::1", run->address.port, &run->address);
        connect_run(run);
    } else {
        report_io(run, "connect", status);
    }
}

static void start_run(struct run *run, const struct http_target *target,
                      const struct check_definition *wanted)
{
    http_rules_request(target, wanted, &run->request);
    run->address = target->address;
    run->may_try_ipv6 = target->is_localhost;
    run->answer.has_no_body = rc_text_equals(run->method, "HEAD");
    if (http_rules_is_denied(&run->address)) {
        report_failure(run, http_rules_denied);
    } else if (run->request.err != RC_OK) {
        report_failure(run, rc_strerror(run->request.err));
    } else {
        connect_run(run);
    }
}

static void start(struct prober *prober, const struct probe_request *request)
{
    const struct check_definition *wanted = request->definition;
    struct http_target target;

    if (!http_rules_parse(wanted->http, &target)) {
        prober_start(prober->other, request);
        return;
    }
    struct run *run = (struct run *)probe_run_create(sizeof *run, prober, request);
    if (run == NULL) {
        return;
    }
    run->dial.loop = prober->loop;
    run->dial.on_connected = on_connected;
    run->dial.on_free = on_free;
    run->method = rc_text_copy(wanted->method == NULL ? "GET" : wanted->method);
    run->url = http_rules_public_url(wanted->http);
    if (run->method == NULL || run->url == NULL) {
        end(&run->link);
        probe_done(&prober->sink, request->probe, CHECK_CRITICAL, "out of memory");
        return;
    }
    start_run(run, &target, wanted);
}

static void expire(struct probe_run *run)
{
    report_failure((struct run *)run, http_rules_late);
}

struct prober *http_uv_prober(struct uv_loop_s *loop, struct probe_sink sink)
{
    static const struct probe_kind kind = {
        .name = "http", .start = start, .expire = expire, .end = end};
    struct prober *curl = http_curl_prober(loop, sink); /* loads nothing until needed */
    struct prober *prober = prober_create(sizeof *prober, &kind, loop, sink);

    if (prober == NULL || curl == NULL) {
        free(prober);
        prober_close(curl);
        return NULL;
    }
    prober->other = curl;
    return prober;
}
