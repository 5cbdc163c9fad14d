/* http_curl.c - does a URL answer well? By libcurl, loaded when the first check needs it.
 *
 * No redirects, no proxies, no connection kept, no way to link-local addresses, where
 * clouds keep their secrets (security.md K3, R11). Texts are Consul's. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "agent/checks/http_rules.h"
#include "agent/checks/http_run_curl.h"
#include "base/err.h"
#include "base/text.h"

struct http {
    struct prober prober;
    struct multi_curl multi; /* opened by the first check */
    char error[256];         /* why it could not be */
};

/* ---- ending a run ---------------------------------------------------------------- */

static void end(struct probe_run *link)
{
    struct http_run *run = (struct http_run *)link;

    probe_run_remove(link);
    http_run_fini(run);
    free(run);
}

static void report_failure(struct http_run *run, const char *reason)
{
    struct rc_buffer text = {0};

    http_rules_say_failure(&text, run->method, run->url, reason);
    probe_run_say(&run->link, CHECK_CRITICAL, &text);
}

static void report_answer(struct http_run *run)
{
    struct rc_buffer text = {0};
    long code = 0;

    (void)run->curl->info(run->easy, CURLINFO_RESPONSE_CODE, &code);
    http_rules_say_answer(&text, run->method, run->url, run->status, &run->body);
    probe_run_say(&run->link, http_rules_judge(code), &text);
}

static void finish(struct http_run *run, CURLcode code)
{
    const struct libcurl *curl = run->curl;

    /* A body that was cut by us is a good answer: what it says was its status. */
    if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && run->status[0] != '\0')) {
        report_answer(run);
        return;
    }
    if (run->was_denied) {
        report_failure(run, http_rules_denied);
        return;
    }
    long number = 0;
    if (code == CURLE_COULDNT_CONNECT) {
        (void)curl->info(run->easy, CURLINFO_OS_ERRNO, &number);
    }
    if (number != 0) {
        char space[128];
        char reason[192];
        (void)rc_text_put(reason, sizeof reason, "dial tcp: connect: ");
        size_t size = strlen(reason);
        (void)rc_text_put(reason + size, sizeof reason - size,
                          strerror_r((int)number, space, sizeof space));
        uint8_t *first = (uint8_t *)reason + size;
        *first = (uint8_t)tolower(*first); /* as Go writes it */
        report_failure(run, reason);
        return;
    }
    char reason[CURL_ERROR_SIZE];
    (void)rc_text_put(reason, sizeof reason,
                      run->error[0] != '\0' ? run->error : curl->text_of(code));
    report_failure(run, reason);
}

static void on_end(void *context, void *transfer, CURLcode code)
{
    (void)context;
    finish(transfer, code);
}

static bool open_multi(struct http *http)
{
    if (http->multi.multi != NULL) {
        return true;
    }
    http->multi.on_end = on_end;
    return multi_curl_open(&http->multi, http->prober.loop, http->error,
                           sizeof http->error) == RC_OK;
}

/* ---- runs ------------------------------------------------------------------------ */

static void start(struct prober *prober, const struct probe_request *request)
{
    struct http *http = (struct http *)prober;
    const struct check_definition *wanted = request->definition;

    if (!open_multi(http)) {
        probe_done(&prober->sink, request->probe, CHECK_CRITICAL, "%s", http->error);
        return;
    }
    struct http_run *run =
        (struct http_run *)probe_run_create(sizeof *run, prober, request);
    if (run == NULL) {
        return;
    }
    run->curl = &http->multi.curl;
    run->multi = http->multi.multi;
    run->method = rc_text_copy(wanted->method == NULL ? "GET" : wanted->method);
    run->url = http_rules_public_url(wanted->http);
    if (run->method == NULL || run->url == NULL) {
        end(&run->link);
        probe_done(&prober->sink, request->probe, CHECK_CRITICAL, "out of memory");
    } else if (!http_run_prepare(run, wanted)) {
        report_failure(run, "the request cannot be made: URL, method or server name");
    }
}

static void expire(struct probe_run *run)
{
    report_failure((struct http_run *)run, http_rules_late);
}

static void close_multi(struct prober *prober)
{
    struct http *http = (struct http *)prober;

    multi_curl_close(&http->multi);
}

struct prober *http_curl_prober(struct uv_loop_s *loop, struct probe_sink sink)
{
    static const struct probe_kind kind = {.name = "http",
                                           .start = start,
                                           .expire = expire,
                                           .end = end,
                                           .close = close_multi};

    return prober_create(sizeof(struct http), &kind, loop, sink);
}
