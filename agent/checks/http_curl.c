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
#include "base/library.h"
#include "base/text.h"
#include "base/watch_uv.h"

struct http {
    struct prober prober;
    struct libcurl curl;
    CURLM *multi; /* NULL: not loaded (yet) */
    struct watch_timer *timer;
    char error[256]; /* why libcurl could not be loaded */
};

static int load(struct http *http)
{
    struct libcurl *curl = &http->curl;
    const struct rc_symbol symbols[] = {
        {"curl_global_init", (void **)&curl->global_init},
        {"curl_easy_init", (void **)&curl->easy_init},
        {"curl_easy_setopt", (void **)&curl->set},
        {"curl_easy_getinfo", (void **)&curl->info},
        {"curl_easy_strerror", (void **)&curl->text_of},
        {"curl_easy_cleanup", (void **)&curl->easy_cleanup},
        {"curl_multi_init", (void **)&curl->multi_init},
        {"curl_multi_setopt", (void **)&curl->multi_set},
        {"curl_multi_add_handle", (void **)&curl->add},
        {"curl_multi_remove_handle", (void **)&curl->remove},
        {"curl_multi_socket_action", (void **)&curl->act},
        {"curl_multi_info_read", (void **)&curl->next_message},
        {"curl_multi_assign", (void **)&curl->assign},
        {"curl_multi_cleanup", (void **)&curl->multi_cleanup},
        {"curl_slist_append", (void **)&curl->append},
        {"curl_slist_free_all", (void **)&curl->free_list},
        {"curl_url", (void **)&curl->url},
        {"curl_url_set", (void **)&curl->url_set},
        {"curl_url_get", (void **)&curl->url_get},
        {"curl_url_cleanup", (void **)&curl->url_cleanup},
        {"curl_free", (void **)&curl->free_text},
    };

    return rc_library_load("libcurl.so.4", "libcurl4", symbols,
                           sizeof symbols / sizeof symbols[0], http->error,
                           sizeof http->error);
}

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

static void collect(struct http *http)
{
    CURLMsg *message;
    int left = 0;

    while (http->multi != NULL &&
           (message = http->curl.next_message(http->multi, &left)) != NULL) {
        struct http_run *run = NULL;
        CURLcode code = message->data.result;
        if (message->msg == CURLMSG_DONE &&
            http->curl.info(message->easy_handle, CURLINFO_PRIVATE, (char **)&run) ==
                CURLE_OK &&
            run != NULL) {
            finish(run, code);
        }
    }
}

/* ---- libcurl's sockets and timer on our loop ------------------------------------- */

static void on_ready(void *context, int file, unsigned events)
{
    struct http *http = context;
    int running = 0;
    int mask = ((events & WATCH_READ) != 0 ? CURL_CSELECT_IN : 0) |
               ((events & WATCH_WRITE) != 0 ? CURL_CSELECT_OUT : 0);

    (void)http->curl.act(http->multi, file, mask, &running);
    collect(http);
}

static void on_due(void *context)
{
    struct http *http = context;
    int running = 0;

    (void)http->curl.act(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(http);
}

/* Signature given by CURLMOPT_SOCKETFUNCTION. */
static int on_socket(CURL *easy, curl_socket_t file, int what, void *context,
                     void *socket_context)
{
    struct http *http = context;
    struct watch *watch = socket_context;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        watch_uv_close(watch);
        return 0;
    }
    if (watch == NULL) {
        watch = watch_uv_open(http->prober.loop, file, on_ready, http);
        if (watch == NULL) {
            return -1;
        }
        (void)http->curl.assign(http->multi, file, watch);
    }
    watch_uv_set(watch, ((what & CURL_POLL_IN) != 0 ? WATCH_READ : WATCH_NOTHING) |
                            ((what & CURL_POLL_OUT) != 0 ? WATCH_WRITE : WATCH_NOTHING));
    return 0;
}

/* Signature given by CURLMOPT_TIMERFUNCTION. */
static int on_timer_wanted(CURLM *multi, long after_ms, void *context)
{
    struct http *http = context;

    (void)multi;
    watch_uv_timer_set(http->timer, after_ms);
    return 0;
}

static bool open_multi(struct http *http)
{
    struct libcurl *curl = &http->curl;

    if (http->multi != NULL) {
        return true;
    }
    if (load(http) != RC_OK) {
        return false;
    }
    http->timer = watch_uv_timer_open(http->prober.loop, on_due, http);
    if (http->timer != NULL && curl->global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) {
        http->multi = curl->multi_init();
    }
    if (http->multi == NULL) {
        watch_uv_timer_close(http->timer);
        http->timer = NULL;
        (void)rc_text_put(http->error, sizeof http->error, "libcurl does not start");
        return false;
    }
    (void)curl->multi_set(http->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl->multi_set(http->multi, CURLMOPT_SOCKETDATA, http);
    (void)curl->multi_set(http->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    (void)curl->multi_set(http->multi, CURLMOPT_TIMERDATA, http);
    return true;
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
    run->curl = &http->curl;
    run->multi = http->multi;
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

    if (http->multi != NULL) {
        (void)http->curl.multi_cleanup(http->multi);
    }
    watch_uv_timer_close(http->timer);
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
