/* http_uv.c - HTTP checks without a library: plain HTTP to an address of an agent's own
 * surroundings, which is what nearly all of them are. libcurl would triple the memory of
 * the agent for it. URLs it does not take (http_rules_parse()) go to http_curl.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "agent/checks/checks.h"
#include "agent/checks/http_answer.h"
#include "agent/checks/http_rules.h"
#include "base/err.h"
#include "base/text.h"

enum { CHUNK_BYTES = 4096, REASON_MAX = 160 };

struct http {
    struct prober prober;
    uv_loop_t *loop;
    struct probe_sink sink;
    struct probe_run *runs;
    struct prober *curl; /* for other URLs; owned; NULL when memory was out */
};

struct run {
    struct probe_run link;
    struct http *http; /* not to be used once the run has left the list */
    char *method;
    char *url; /* for people: without a password */
    struct rc_address address;
    bool may_try_ipv6; /* it was "localhost" */
    struct rc_buffer request;
    struct http_answer answer;
    uv_tcp_t socket;
    uv_connect_t connect;
    uv_write_t write;
    char chunk[CHUNK_BYTES];
    unsigned pending; /* callbacks still to come; the last one frees */
    bool is_open;     /* `socket` is a handle of the loop */
};

static bool is_ended(const struct run *run)
{
    return run->link.place == NULL;
}

static void release(struct run *run)
{
    if (run->pending > 0 || !is_ended(run)) {
        return;
    }
    rc_buffer_fini(&run->request);
    http_answer_fini(&run->answer);
    free(run->method);
    free(run->url);
    free(run);
}

static void on_closed(uv_handle_t *handle)
{
    struct run *run = handle->data;

    run->pending--;
    release(run);
}

static void end(struct run *run)
{
    probe_run_remove(&run->link);
    if (run->is_open) {
        run->is_open = false;
        run->pending++;
        uv_close((uv_handle_t *)&run->socket, on_closed);
    }
    release(run);
}

/* Ends the run and reports `text` (taken). */
static void report(struct run *run, enum check_status status, struct rc_buffer *text)
{
    const struct probe_sink sink = run->http->sink;
    uint64_t probe = run->link.probe;
    struct check_result result = {
        .status = status,
        .output = rc_buffer_string(text),
        .output_size = text->size,
    };

    end(run);
    sink.done(sink.context, probe, &result);
    rc_buffer_fini(text);
}

static void report_failure(struct run *run, const char *reason)
{
    struct rc_buffer text = {0};

    http_rules_say_failure(&text, run->method, run->url, reason);
    report(run, CHECK_CRITICAL, &text);
}

static void report_answer(struct run *run)
{
    struct rc_buffer text = {0};

    http_rules_say_answer(&text, run->method, run->url, run->answer.status,
                          &run->answer.body);
    report(run, http_rules_judge(run->answer.code), &text);
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
    struct run *run = handle->data;

    (void)wanted;
    *out = uv_buf_init(run->chunk, sizeof run->chunk);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *bytes)
{
    struct run *run = stream->data;

    if (is_ended(run) || got == 0) {
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
    run->pending--;
    release(run);
}

static void send_request(struct run *run)
{
    uv_stream_t *stream = (uv_stream_t *)&run->socket;
    uv_buf_t bytes = uv_buf_init((char *)run->request.bytes, (unsigned)run->request.size);

    run->write.data = run;
    int err = uv_write(&run->write, stream, &bytes, 1, on_write);
    if (err == 0) {
        run->pending++;
        err = uv_read_start(stream, on_space, on_read);
    }
    if (err != 0) {
        report_io(run, "write", err);
    }
}

static void connect_run(struct run *run);

static void on_retry(uv_handle_t *handle)
{
    struct run *run = handle->data;

    run->pending--;
    if (is_ended(run)) {
        release(run);
    } else {
        connect_run(run);
    }
}

static void on_connect(uv_connect_t *connect, int status)
{
    struct run *run = connect->data;

    run->pending--;
    if (is_ended(run)) {
        release(run);
        return;
    }
    if (status == 0) {
        send_request(run);
        return;
    }
    if (!run->may_try_ipv6) {
        report_io(run, "connect", status);
        return;
    }
    run->may_try_ipv6 = false;
    (void)rc_address_parse_ip("::1", run->address.port, &run->address);
    run->is_open = false;
    run->pending++;
    uv_close((uv_handle_t *)&run->socket, on_retry);
}

static void connect_run(struct run *run)
{
    struct sockaddr_storage address;

    (void)rc_address_to_sockaddr(&run->address, &address);
    int err = uv_tcp_init(run->http->loop, &run->socket);
    if (err == 0) {
        run->is_open = true;
        run->socket.data = run;
        run->connect.data = run;
        err = uv_tcp_connect(&run->connect, &run->socket,
                             (const struct sockaddr *)&address, on_connect);
    }
    if (err != 0) {
        report_io(run, "connect", err);
        return;
    }
    run->pending++;
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
    struct http *http = (struct http *)prober;
    const struct check_definition *wanted = request->definition;
    struct http_target target;

    if (http->curl != NULL && !http_rules_parse(wanted->http, &target)) {
        http->curl->start(http->curl, request);
        return;
    }
    struct run *run = calloc(1, sizeof *run);
    if (run == NULL || http->curl == NULL) {
        free(run);
        probe_done(&http->sink, request->probe, CHECK_CRITICAL, "out of memory");
        return;
    }
    run->http = http;
    run->method = rc_text_copy(wanted->method == NULL ? "GET" : wanted->method);
    run->url = http_rules_public_url(wanted->http);
    if (run->method == NULL || run->url == NULL) {
        release(run);
        probe_done(&http->sink, request->probe, CHECK_CRITICAL, "out of memory");
        return;
    }
    probe_run_add(&http->runs, &run->link, request->probe);
    start_run(run, &target, wanted);
}

static struct run *find(const struct prober *prober, uint64_t probe)
{
    return (struct run *)probe_run_find(((const struct http *)prober)->runs, probe);
}

static void expire(struct prober *prober, uint64_t probe)
{
    struct http *http = (struct http *)prober;
    struct run *run = find(prober, probe);

    if (run != NULL) {
        report_failure(run, "context deadline exceeded (Client.Timeout exceeded while "
                            "awaiting headers)");
    } else if (http->curl != NULL) {
        http->curl->expire(http->curl, probe);
    }
}

static void cancel(struct prober *prober, uint64_t probe)
{
    struct http *http = (struct http *)prober;
    struct run *run = find(prober, probe);

    if (run != NULL) {
        end(run);
    } else if (http->curl != NULL) {
        http->curl->cancel(http->curl, probe);
    }
}

static void forget(struct prober *prober, uint64_t check)
{
    (void)prober; /* nothing is kept between runs */
    (void)check;
}

static void close_prober(struct prober *prober)
{
    struct http *http = (struct http *)prober;
    struct probe_run *next = NULL;

    for (struct probe_run *at = http->runs; at != NULL; at = next) {
        next = at->next;
        end((struct run *)at);
    }
    if (http->curl != NULL) {
        http->curl->close(http->curl);
    }
    free(http);
}

struct prober *http_uv_prober(struct uv_loop_s *loop, struct probe_sink sink)
{
    struct http *http = calloc(1, sizeof *http);

    if (http == NULL) {
        return NULL;
    }
    http->prober = (struct prober){"http", start, expire, cancel, forget, close_prober};
    http->loop = loop;
    http->sink = sink;
    http->curl = http_curl_prober(loop, sink); /* loads nothing until it is needed */
    return &http->prober;
}
