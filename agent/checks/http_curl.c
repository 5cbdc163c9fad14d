/* http_curl.c - does a URL answer well? By libcurl, loaded when the first check needs it.
 *
 * No redirects, no proxies, no connection kept, no way to link-local addresses, where
 * clouds keep their secrets (security.md K3, R11). Texts are Consul's. */
#include <assert.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>

#include "agent/checks/checks.h"
#include "agent/checks/watch_uv.h"
#include "base/address.h"
#include "base/err.h"
#include "base/library.h"
#include "base/text.h"

enum {
    BODY_KEPT_BYTES = 2 * CHECK_OUTPUT_MAX,
    BODY_MAX_BYTES = 1024 * 1024, /* more is not read; the status counts all the same */
    STATUS_MAX = 128
};

/* The part of libcurl that is used, filled by rc_library_load(). */
struct libcurl {
    CURLcode (*global_init)(long flags);
    CURL *(*easy_init)(void);
    CURLcode (*set)(CURL *easy, CURLoption option, ...);
    CURLcode (*info)(CURL *easy, CURLINFO info, ...);
    const char *(*text_of)(CURLcode code);
    void (*easy_cleanup)(CURL *easy);
    CURLM *(*multi_init)(void);
    CURLMcode (*multi_set)(CURLM *multi, CURLMoption option, ...);
    CURLMcode (*add)(CURLM *multi, CURL *easy);
    CURLMcode (*remove)(CURLM *multi, CURL *easy);
    CURLMcode (*act)(CURLM *multi, curl_socket_t file, int events, int *running);
    CURLMsg *(*next_message)(CURLM *multi, int *left);
    CURLMcode (*assign)(CURLM *multi, curl_socket_t file, void *context);
    CURLMcode (*multi_cleanup)(CURLM *multi);
    struct curl_slist *(*append)(struct curl_slist *list, const char *text);
    void (*free_list)(struct curl_slist *list);
    CURLU *(*url)(void);
    CURLUcode (*url_set)(CURLU *url, CURLUPart part, const char *text, unsigned flags);
    CURLUcode (*url_get)(const CURLU *url, CURLUPart part, char **text, unsigned flags);
    void (*url_cleanup)(CURLU *url);
    void (*free_text)(void *text);
};

struct http {
    struct prober prober;
    struct uv_loop_s *loop;
    struct probe_sink sink;
    struct probe_run *runs;
    struct libcurl curl;
    CURLM *multi; /* NULL: not loaded (yet) */
    struct watch_timer *timer;
    char error[256]; /* why libcurl could not be loaded */
};

struct run {
    struct probe_run link;
    struct http *http;
    CURL *easy;
    struct curl_slist *headers;
    struct curl_slist *connect_to;
    char *url; /* for people: without a password */
    char *method;
    char status[STATUS_MAX]; /* "200 OK" */
    struct rc_buffer body;   /* the last bytes of it */
    size_t body_total;
    bool was_denied; /* the address is one that checks may not reach */
    char error[CURL_ERROR_SIZE];
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

/* ---- ending a run ----------------------------------------------------------------------- */

static void end(struct run *run)
{
    const struct libcurl *curl = &run->http->curl;

    probe_run_remove(&run->link);
    if (run->easy != NULL) {
        (void)curl->remove(run->http->multi, run->easy);
        curl->easy_cleanup(run->easy);
    }
    curl->free_list(run->headers);
    curl->free_list(run->connect_to);
    rc_buffer_fini(&run->body);
    free(run->url);
    free(run->method);
    free(run);
}

static void report_failure(struct run *run, const char *reason)
{
    struct probe_sink sink = run->http->sink;
    struct rc_buffer text = {0};
    uint64_t probe = run->link.probe;

    /* Go's way to write a method in an error: Get, Post, Options. */
    rc_buffer_format(&text, "%c", run->method[0]);
    for (const char *at = run->method + 1; run->method[0] != '\0' && *at != '\0'; at++) {
        rc_buffer_byte(&text, *at >= 'A' && *at <= 'Z' ? (uint8_t)(*at + 'a' - 'A')
                                                       : (uint8_t)*at);
    }
    rc_buffer_format(&text, " \"%s\": %s", run->url, reason);
    end(run);
    probe_done(&sink, probe, CHECK_CRITICAL, "%s", rc_buffer_string(&text));
    rc_buffer_fini(&text);
}

static enum check_status judge(long code)
{
    if (code >= 200 && code <= 299) {
        return CHECK_PASSING;
    }
    return code == 429 ? CHECK_WARNING : CHECK_CRITICAL;
}

static void report_answer(struct run *run)
{
    struct probe_sink sink = run->http->sink;
    uint64_t probe = run->link.probe;
    struct rc_buffer text = {0};
    long code = 0;

    (void)run->http->curl.info(run->easy, CURLINFO_RESPONSE_CODE, &code);
    rc_buffer_format(&text, "HTTP %s %s: %s Output: ", run->method, run->url,
                     run->status);
    /* The end of a long body is kept, but never at the price of the status. */
    size_t room = text.size < CHECK_OUTPUT_MAX ? CHECK_OUTPUT_MAX - text.size : 0;
    size_t skip = run->body.size > room ? run->body.size - room : 0;
    if (run->body.size > skip) {
        rc_buffer_append(&text, run->body.bytes + skip, run->body.size - skip);
    }
    end(run);
    struct check_result result = {
        .status = judge(code),
        .output = rc_buffer_string(&text),
        .output_size = text.size,
    };
    sink.done(sink.context, probe, &result);
    rc_buffer_fini(&text);
}

static void finish(struct run *run, CURLcode code)
{
    const struct libcurl *curl = &run->http->curl;

    /* A body that was cut by us is a good answer: what it says was its status. */
    if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && run->status[0] != '\0')) {
        report_answer(run);
        return;
    }
    if (run->was_denied) {
        report_failure(run, "link-local addresses are not allowed for checks");
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
        struct run *run = NULL;
        CURLcode code = message->data.result;
        if (message->msg == CURLMSG_DONE &&
            http->curl.info(message->easy_handle, CURLINFO_PRIVATE, (char **)&run) ==
                CURLE_OK &&
            run != NULL) {
            finish(run, code);
        }
    }
}

/* ---- libcurl's sockets and timer on our loop ------------------------------------------- */

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
        watch = watch_uv_open(http->loop, file, on_ready, http);
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
    http->timer = watch_uv_timer_open(http->loop, on_due, http);
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

/* ---- what libcurl asks during a run ----------------------------------------------------- */

/* Signature given by CURLOPT_WRITEFUNCTION. */
static size_t on_body(char *bytes, size_t one, size_t count, void *context)
{
    struct run *run = context;
    size_t size = one * count;

    run->body_total += size;
    rc_buffer_append(&run->body, bytes, size);
    if (run->body.size > BODY_KEPT_BYTES) {
        rc_buffer_consume(&run->body, run->body.size - BODY_KEPT_BYTES);
    }
    return run->body_total > BODY_MAX_BYTES ? 0 : size;
}

/* Signature given by CURLOPT_HEADERFUNCTION: keeps "200 OK" of "HTTP/1.1 200 OK". */
static size_t on_header(char *bytes, size_t one, size_t count, void *context)
{
    struct run *run = context;
    size_t size = one * count;
    const char *space =
        size > 5 && memcmp(bytes, "HTTP/", 5) == 0 ? memchr(bytes, ' ', size) : NULL;

    if (space != NULL) {
        size_t left = size - (size_t)(space + 1 - bytes);
        size_t used = 0;
        while (used < left && used < STATUS_MAX - 1 && space[1 + used] != '\r' &&
               space[1 + used] != '\n') {
            run->status[used] = space[1 + used];
            used++;
        }
        run->status[used] = '\0';
    }
    return size;
}

static bool is_denied(const struct sockaddr *socket_address)
{
    static const uint8_t aws_metadata[16] = {0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0,    0,
                                             0,    0,    0,    0,    0, 0, 0x02, 0x54};
    struct rc_address address;

    if (rc_address_from_sockaddr(socket_address, &address) != RC_OK) {
        return true;
    }
    if (address.family == RC_ADDRESS_IPV4) {
        return address.ip[0] == 169 && address.ip[1] == 254;
    }
    return (address.ip[0] == 0xfe && (address.ip[1] & 0xc0) == 0x80) ||
           memcmp(address.ip, aws_metadata, sizeof aws_metadata) == 0;
}

/* Signature given by CURLOPT_OPENSOCKETFUNCTION: the address is the one that will really be
 * connected to, whatever the name in the URL said before. */
static curl_socket_t on_open(void *context, curlsocktype purpose,
                             struct curl_sockaddr *address)
{
    struct run *run = context;

    (void)purpose;
    if (is_denied(&address->addr)) {
        run->was_denied = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* ---- starting a run --------------------------------------------------------------------- */

static bool add_header(struct run *run, const char *text)
{
    struct curl_slist *list = run->http->curl.append(run->headers, text);

    if (list == NULL) {
        return false;
    }
    run->headers = list;
    return true;
}

static bool has_header(const struct check_definition *wanted, const char *name)
{
    for (size_t i = 0; i < wanted->header.count; i++) {
        if (rc_text_equals_nocase(wanted->header.items[i].key, name)) {
            return true;
        }
    }
    return false;
}

static bool add_headers(struct run *run, const struct check_definition *wanted)
{
    bool is_ok = add_header(run, "Connection: close") && add_header(run, "Expect:");

    if (is_ok && !has_header(wanted, "Content-Type")) {
        is_ok = add_header(run, "Content-Type:"); /* libcurl would claim a form */
    }
    if (is_ok && !has_header(wanted, "Accept")) {
        is_ok = add_header(run, "Accept: text/plain, text/*, */*");
    }
    for (size_t i = 0; i < wanted->header.count && is_ok; i++) {
        const struct definition_pair *pair = &wanted->header.items[i];
        /* libcurl drops a header without value unless it ends in a semicolon. */
        char *text = pair->value[0] == '\0'
                         ? rc_text_format("%s;", pair->key)
                         : rc_text_format("%s: %s", pair->key, pair->value);
        is_ok = text != NULL && add_header(run, text);
        free(text);
    }
    return is_ok;
}

/* Certificate and SNI by another name than the URL's: the URL gets that name, while the
 * connection and the Host header keep the old one. */
static char *rename_server(struct run *run, const struct check_definition *wanted)
{
    const struct libcurl *curl = &run->http->curl;
    char *host = NULL;
    char *port = NULL;
    char *url = NULL;
    char *out = NULL;
    CURLU *parts = curl->url();

    if (parts != NULL &&
        curl->url_set(parts, CURLUPART_URL, wanted->http, 0) == CURLUE_OK &&
        curl->url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl->url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
        curl->url_set(parts, CURLUPART_HOST, wanted->tls_server_name, 0) == CURLUE_OK &&
        curl->url_get(parts, CURLUPART_URL, &url, 0) == CURLUE_OK) {
        char *way =
            rc_text_format("%s:%s:%s:%s", wanted->tls_server_name, port, host, port);
        char *header = rc_text_format("Host: %s:%s", host, port);
        run->connect_to = way == NULL ? NULL : curl->append(NULL, way);
        bool is_ok = run->connect_to != NULL && header != NULL &&
                     (has_header(wanted, "Host") || add_header(run, header));
        out = is_ok ? rc_text_copy(url) : NULL;
        free(way);
        free(header);
    }
    curl->free_text(host);
    curl->free_text(port);
    curl->free_text(url);
    curl->url_cleanup(parts);
    return out;
}

/* What must hold, or the request is not made at all. */
static bool restrict_easy(const struct run *run)
{
    CURL *easy = run->easy;
    CURLcode (*set)(CURL *, CURLoption, ...) = run->http->curl.set;

    return set(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           set(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           set(easy, CURLOPT_PROXY, "") == CURLE_OK &&
           set(easy, CURLOPT_NOPROXY, "*") == CURLE_OK &&
           set(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
           set(easy, CURLOPT_OPENSOCKETFUNCTION, on_open) == CURLE_OK &&
           set(easy, CURLOPT_OPENSOCKETDATA, run) == CURLE_OK;
}

static bool set_request(struct run *run, const struct check_definition *wanted,
                        const char *url)
{
    CURL *easy = run->easy;
    CURLcode (*set)(CURL *, CURLoption, ...) = run->http->curl.set;
    long verify = wanted->tls_skip_verify ? 0L : 1L;
    int bad = 0;

    bad += set(easy, CURLOPT_URL, url) != CURLE_OK;
    bad += set(easy, CURLOPT_HTTPHEADER, run->headers) != CURLE_OK;
    bad += set(easy, CURLOPT_CONNECT_TO, run->connect_to) != CURLE_OK;
    bad += set(easy, CURLOPT_SSL_VERIFYPEER, verify) != CURLE_OK;
    bad += set(easy, CURLOPT_SSL_VERIFYHOST, verify * 2) != CURLE_OK;
    if (wanted->body != NULL) {
        bad += set(easy, CURLOPT_POSTFIELDSIZE, (long)strlen(wanted->body)) != CURLE_OK;
        bad += set(easy, CURLOPT_COPYPOSTFIELDS, wanted->body) != CURLE_OK;
    }
    if (rc_text_equals(run->method, "HEAD")) {
        bad += set(easy, CURLOPT_NOBODY, 1L) != CURLE_OK;
    } else {
        bad += set(easy, CURLOPT_CUSTOMREQUEST, run->method) != CURLE_OK;
    }
    return bad == 0;
}

static void set_callbacks(struct run *run)
{
    CURL *easy = run->easy;
    CURLcode (*set)(CURL *, CURLoption, ...) = run->http->curl.set;

    (void)set(easy, CURLOPT_PRIVATE, run);
    (void)set(easy, CURLOPT_ERRORBUFFER, run->error);
    (void)set(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)set(easy, CURLOPT_WRITEDATA, run);
    (void)set(easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)set(easy, CURLOPT_HEADERDATA, run);
    (void)set(easy, CURLOPT_USERAGENT, "Consul Health Check");
    (void)set(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)set(easy, CURLOPT_NOSIGNAL, 1L);
    (void)set(easy, CURLOPT_FRESH_CONNECT, 1L);
    (void)set(easy, CURLOPT_FORBID_REUSE, 1L);
    (void)set(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
}

/* The URL without user and password. */
static char *public_url(const char *url)
{
    const char *start = strstr(url, "://");

    if (start == NULL) {
        return rc_text_copy(url);
    }
    start += 3;
    size_t host_size = strcspn(start, "/?#");
    const char *at = NULL;
    for (size_t i = 0; i < host_size; i++) {
        at = start[i] == '@' ? start + i : at;
    }
    return at == NULL ? rc_text_copy(url)
                      : rc_text_format("%.*s%s", (int)(start - url), url, at + 1);
}

static bool prepare(struct run *run, const struct check_definition *wanted)
{
    const struct libcurl *curl = &run->http->curl;

    run->easy = curl->easy_init();
    if (run->easy == NULL || !add_headers(run, wanted)) {
        return false;
    }
    char *url = wanted->tls_server_name == NULL ? rc_text_copy(wanted->http)
                                                : rename_server(run, wanted);
    bool is_ok = url != NULL && restrict_easy(run) && set_request(run, wanted, url);
    free(url);
    if (is_ok) {
        set_callbacks(run);
        is_ok = curl->add(run->http->multi, run->easy) == CURLM_OK;
    }
    return is_ok;
}

static void start(struct prober *prober, const struct probe_request *request)
{
    struct http *http = (struct http *)prober;
    const struct check_definition *wanted = request->definition;

    if (!open_multi(http)) {
        probe_done(&http->sink, request->probe, CHECK_CRITICAL, "%s", http->error);
        return;
    }
    struct run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        probe_done(&http->sink, request->probe, CHECK_CRITICAL, "out of memory");
        return;
    }
    run->http = http;
    run->method = rc_text_copy(wanted->method == NULL ? "GET" : wanted->method);
    run->url = public_url(wanted->http);
    probe_run_add(&http->runs, &run->link, request->probe);
    if (run->method == NULL || run->url == NULL) {
        end(run);
        probe_done(&http->sink, request->probe, CHECK_CRITICAL, "out of memory");
    } else if (!prepare(run, wanted)) {
        report_failure(run, "the request cannot be made: URL, method or server name");
    }
}

static struct run *find(const struct prober *prober, uint64_t probe)
{
    return (struct run *)probe_run_find(((const struct http *)prober)->runs, probe);
}

static void expire(struct prober *prober, uint64_t probe)
{
    struct run *run = find(prober, probe);

    if (run != NULL) {
        report_failure(run, "context deadline exceeded (Client.Timeout exceeded while "
                            "awaiting headers)");
    }
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
    struct http *http = (struct http *)prober;

    struct probe_run *next = NULL;

    for (struct probe_run *at = http->runs; at != NULL; at = next) {
        next = at->next;
        end((struct run *)at);
    }
    if (http->multi != NULL) {
        (void)http->curl.multi_cleanup(http->multi);
    }
    watch_uv_timer_close(http->timer);
    free(http);
}

struct prober *http_curl_prober(struct uv_loop_s *loop, struct probe_sink sink)
{
    struct http *http = calloc(1, sizeof *http);

    if (http == NULL) {
        return NULL;
    }
    http->prober = (struct prober){"http", start, expire, cancel, forget, close_prober};
    http->loop = loop;
    http->sink = sink;
    return &http->prober;
}
