/* etcd_http_curl.c - requests to etcd by libcurl's multi interface.
 *
 * Two things libcurl does must not happen to a write: sending it again by itself when a kept
 * connection turns out to be dead (it may have been done), and calling back from inside its own
 * functions (then nothing may be sent). The first is stopped before the second sending, the
 * second by keeping pieces until libcurl has returned. */
#include "agent/engine/etcd_http_curl.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include <curl/curl.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/library.h"
#include "base/text.h"
#include "base/watch_uv.h"

enum {
    IDLE_MAX = 16,              /* handles kept for the next request */
    CONNECTIONS_MAX = 24,       /* kept, busy or not */
    REPLY_MAX_BYTES = 64 << 20, /* of one body */
    CONNECT_MS = 1000,          /* of requests without a limit */
    KEEP_ALIVE_S = 10,
    URL_MAX = 512
};

/* The part of libcurl that is used, filled by rc_library_load(). */
struct functions {
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
};

struct http_edge;

struct etcd_call {
    struct etcd_call *before; /* in http->calls */
    struct etcd_call *next;
    struct http_edge *http;
    CURL *easy;
    struct curl_slist *headers; /* NULL: the common ones */
    char *body;                 /* owned */
    struct rc_buffer reply;     /* or pieces that are not handed out yet */
    bool may_repeat;
    bool has_piece;
    unsigned attempts; /* how often it was about to be sent */
    void (*on_piece)(void *context, const uint8_t *bytes, size_t size);
    void (*on_reply)(void *context, const struct etcd_reply *reply);
    void *context;
    char error[CURL_ERROR_SIZE];
};

struct http_edge {
    struct functions curl;
    struct uv_loop_s *loop;
    CURLM *multi;
    struct watch_timer *timer;  /* libcurl's */
    struct watch_timer *waker;  /* the engine's */
    uint64_t wake_at_ms;        /* UINT64_MAX: not set */
    struct curl_slist *headers; /* of requests without a token */
    CURL *idle[IDLE_MAX];
    size_t idle_count;
    struct etcd_call *calls;
    size_t piece_count; /* calls with has_piece */
    char *ca_file;      /* owned; NULL allowed, like the next two */
    char *cert_file;
    char *key_file;
    void (*on_wake)(void *owner);
    void (*on_closed)(void *owner);
    void *owner; /* of both */
};

/* ---- what libcurl asks during a request -------------------------------------------- */

/* Signature given by CURLOPT_WRITEFUNCTION. */
static size_t on_body(char *bytes, size_t one, size_t count, void *context)
{
    struct etcd_call *call = context;
    size_t size = one * count;

    rc_buffer_append(&call->reply, bytes, size);
    if (call->on_piece != NULL && !call->has_piece) {
        call->has_piece = true;
        call->http->piece_count++;
    }
    return call->reply.err == RC_OK ? size : 0;
}

/* Signature given by CURLOPT_PREREQFUNCTION: before each sending. */
/* NOLINTNEXTLINE(readability-non-const-parameter) */
static int on_sending(void *context, char *remote_ip, char *local_ip, int remote_port,
                      int local_port)
{
    struct etcd_call *call = context;

    (void)remote_ip;
    (void)local_ip;
    (void)remote_port;
    (void)local_port;
    call->attempts++;
    return call->attempts > 1 && !call->may_repeat ? CURL_PREREQFUNC_ABORT
                                                   : CURL_PREREQFUNC_OK;
}

/* ---- ending a request -------------------------------------------------------------- */

static void release_easy(struct etcd_call *call)
{
    struct http_edge *http = call->http;
    CURL *easy = call->easy;

    call->easy = NULL;
    if (easy == NULL) {
        return;
    }
    (void)http->curl.remove(http->multi, easy);
    if (http->idle_count < IDLE_MAX) {
        http->idle[http->idle_count++] = easy;
    } else {
        http->curl.easy_cleanup(easy);
    }
}

static void free_call(struct etcd_call *call)
{
    struct http_edge *http = call->http;

    if (call->before == NULL) {
        http->calls = call->next;
    } else {
        call->before->next = call->next;
    }
    if (call->next != NULL) {
        call->next->before = call->before;
    }
    http->piece_count -= call->has_piece;
    release_easy(call);
    http->curl.free_list(call->headers);
    rc_buffer_fini(&call->reply);
    free(call->body);
    free(call);
}

static void finish(struct etcd_call *call, CURLcode code)
{
    const struct functions *curl = &call->http->curl;
    struct etcd_reply reply = {.end = ETCD_REPLIED, .text = ""};
    curl_off_t took_us = 0;
    long sent = 0;
    char text[CURL_ERROR_SIZE + 16];

    (void)curl->info(call->easy, CURLINFO_RESPONSE_CODE, &reply.status);
    (void)curl->info(call->easy, CURLINFO_TOTAL_TIME_T, &took_us);
    (void)curl->info(call->easy, CURLINFO_REQUEST_SIZE, &sent);
    if (code != CURLE_OK) {
        reply.end = sent > 0 ? ETCD_LOST : ETCD_NOT_SENT;
        (void)snprintf(text, sizeof text, "etcd: %s",
                       call->error[0] != '\0' ? call->error : curl->text_of(code));
        rc_text_to_line(text, sizeof text);
        reply.text = text;
    }
    reply.took_us = took_us > 0 ? (uint64_t)took_us : 0;
    reply.bytes = call->reply.bytes;
    reply.size = call->reply.size;
    release_easy(call);
    call->on_reply(call->context, &reply);
    free_call(call);
}

/* Hands out one kept piece; which call it is of may change everything, so one at a time. */
static void hand_out_piece(struct http_edge *http)
{
    struct etcd_call *call = http->calls;

    while (call != NULL && !call->has_piece) {
        call = call->next;
    }
    assert(call != NULL);
    struct rc_buffer piece = call->reply;
    call->reply = (struct rc_buffer){.max = REPLY_MAX_BYTES};
    call->has_piece = false;
    http->piece_count--;
    call->on_piece(call->context, piece.bytes, piece.size); /* may cancel the call */
    rc_buffer_fini(&piece);
}

static void collect(struct http_edge *http)
{
    CURLMsg *message;
    int left = 0;

    while (http->piece_count > 0) {
        hand_out_piece(http);
    }
    while (http->multi != NULL &&
           (message = http->curl.next_message(http->multi, &left)) != NULL) {
        struct etcd_call *call = NULL;
        CURLcode code = message->data.result;
        if (message->msg == CURLMSG_DONE &&
            http->curl.info(message->easy_handle, CURLINFO_PRIVATE, (char **)&call) ==
                CURLE_OK &&
            call != NULL) {
            finish(call, code);
        }
    }
}

/* ---- libcurl's sockets and timer on our loop ---------------------------------------- */

static void on_ready(void *context, int file, unsigned events)
{
    struct http_edge *http = context;
    int running = 0;
    int mask = ((events & WATCH_READ) != 0 ? CURL_CSELECT_IN : 0) |
               ((events & WATCH_WRITE) != 0 ? CURL_CSELECT_OUT : 0);

    (void)http->curl.act(http->multi, file, mask, &running);
    collect(http);
}

static void on_due(void *context)
{
    struct http_edge *http = context;
    int running = 0;

    (void)http->curl.act(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(http);
}

/* Signature given by CURLMOPT_SOCKETFUNCTION. */
static int on_socket(CURL *easy, curl_socket_t file, int what, void *context,
                     void *socket_context)
{
    struct http_edge *http = context;
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
    const struct http_edge *http = context;

    (void)multi;
    watch_uv_timer_set(http->timer, after_ms);
    return 0;
}

/* ---- requests ----------------------------------------------------------------------- */

/* What is the same for every request with this handle. */
static bool prepare_easy(const struct http_edge *http, CURL *easy)
{
    CURLcode (*set)(CURL *, CURLoption, ...) = http->curl.set;
    int bad = 0;

    bad += set(easy, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK;
    bad += set(easy, CURLOPT_FOLLOWLOCATION, 0L) != CURLE_OK;
    bad += set(easy, CURLOPT_PROXY, "") != CURLE_OK;
    bad += set(easy, CURLOPT_NOPROXY, "*") != CURLE_OK;
    bad += set(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) != CURLE_OK;
    bad += set(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) != CURLE_OK;
    bad += set(easy, CURLOPT_NOSIGNAL, 1L) != CURLE_OK;
    bad += set(easy, CURLOPT_SSL_VERIFYPEER, 1L) != CURLE_OK;
    bad += set(easy, CURLOPT_SSL_VERIFYHOST, 2L) != CURLE_OK;
    if (http->ca_file != NULL) {
        bad += set(easy, CURLOPT_CAINFO, http->ca_file) != CURLE_OK;
        bad += set(easy, CURLOPT_CAPATH, NULL) != CURLE_OK; /* ours, and no other */
    }
    if (http->cert_file != NULL) {
        bad += set(easy, CURLOPT_SSLCERT, http->cert_file) != CURLE_OK;
        bad += set(easy, CURLOPT_SSLKEY,
                   http->key_file != NULL ? http->key_file : http->cert_file) != CURLE_OK;
    }
    (void)set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)set(easy, CURLOPT_TCP_KEEPIDLE, (long)KEEP_ALIVE_S);
    (void)set(easy, CURLOPT_TCP_KEEPINTVL, (long)KEEP_ALIVE_S);
    (void)set(easy, CURLOPT_WRITEFUNCTION, on_body);
    bad += set(easy, CURLOPT_PREREQFUNCTION, on_sending) != CURLE_OK;
    return bad == 0;
}

static CURL *take_easy(struct http_edge *http)
{
    if (http->idle_count > 0) {
        return http->idle[--http->idle_count];
    }
    CURL *easy = http->curl.easy_init();
    if (easy != NULL && !prepare_easy(http, easy)) {
        http->curl.easy_cleanup(easy);
        return NULL;
    }
    return easy;
}

static struct curl_slist *common_headers(const struct functions *curl)
{
    struct curl_slist *list = curl->append(NULL, "Content-Type: application/json");
    struct curl_slist *more = list == NULL ? NULL : curl->append(list, "Expect:");

    if (more == NULL) {
        curl->free_list(list);
    }
    return more;
}

static bool set_headers(struct etcd_call *call, const char *token)
{
    const struct http_edge *http = call->http;

    if (token[0] != '\0') {
        char *text = rc_text_format("Authorization: %s", token);
        call->headers = common_headers(&http->curl);
        struct curl_slist *more = text == NULL || call->headers == NULL
                                      ? NULL
                                      : http->curl.append(call->headers, text);
        free(text);
        if (more == NULL) {
            return false;
        }
    }
    return http->curl.set(call->easy, CURLOPT_HTTPHEADER,
                          call->headers != NULL ? call->headers : http->headers) ==
           CURLE_OK;
}

static bool set_request(struct etcd_call *call, const struct etcd_request *request)
{
    CURL *easy = call->easy;
    CURLcode (*set)(CURL *, CURLoption, ...) = call->http->curl.set;
    uint32_t limit_ms = request->time_limit_ms;
    long connect_ms = limit_ms != 0 && limit_ms < CONNECT_MS ? limit_ms : CONNECT_MS;
    char url[URL_MAX];
    int bad = 0;

    int size = snprintf(url, sizeof url, "%s%s", request->endpoint, request->path);
    bad += size < 0 || (size_t)size >= sizeof url;
    bad += set(easy, CURLOPT_URL, url) != CURLE_OK;
    bad += set(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size) !=
           CURLE_OK;
    bad += set(easy, CURLOPT_POSTFIELDS, call->body) != CURLE_OK;
    bad += set(easy, CURLOPT_TIMEOUT_MS, (long)limit_ms) != CURLE_OK;
    bad += set(easy, CURLOPT_CONNECTTIMEOUT_MS, connect_ms) != CURLE_OK;
    bad += set(easy, CURLOPT_PRIVATE, call) != CURLE_OK;
    bad += set(easy, CURLOPT_ERRORBUFFER, call->error) != CURLE_OK;
    bad += set(easy, CURLOPT_WRITEDATA, call) != CURLE_OK;
    bad += set(easy, CURLOPT_PREREQDATA, call) != CURLE_OK;
    return bad == 0 && set_headers(call, request->token);
}

static struct etcd_call *send_request(void *context, const struct etcd_request *request)
{
    struct http_edge *http = context;
    struct etcd_call *call = calloc(1, sizeof *call);

    if (call == NULL) {
        return NULL;
    }
    call->http = http;
    call->next = http->calls;
    if (call->next != NULL) {
        call->next->before = call;
    }
    http->calls = call;
    call->reply.max = REPLY_MAX_BYTES;
    call->may_repeat = request->may_repeat;
    call->on_piece = request->on_piece;
    call->on_reply = request->on_reply;
    call->context = request->context;
    call->body = rc_text_copy_span((struct rc_span){request->body, request->body_size});
    call->easy = call->body == NULL ? NULL : take_easy(http);
    if (call->easy == NULL || !set_request(call, request) ||
        http->curl.add(http->multi, call->easy) != CURLM_OK) {
        free_call(call);
        return NULL;
    }
    return call;
}

static void cancel(void *context, struct etcd_call *call)
{
    (void)context;
    free_call(call);
}

/* ---- the timer, and the life of it all ---------------------------------------------- */

static void on_wake_due(void *context)
{
    struct http_edge *http = context;

    http->wake_at_ms = UINT64_MAX;
    http->on_wake(http->owner);
}

static void start(void *context, void (*on_wake)(void *owner), void *owner)
{
    struct http_edge *http = context;

    http->on_wake = on_wake;
    http->owner = owner;
}

static void wake(void *context, uint64_t after_ms)
{
    struct http_edge *http = context;
    uint64_t at_ms = rc_clock_ms() + (after_ms < INT32_MAX ? after_ms : INT32_MAX);

    if (at_ms < http->wake_at_ms) {
        http->wake_at_ms = at_ms;
        watch_uv_timer_set(http->waker, (int64_t)(at_ms - rc_clock_ms()));
    }
}

static uint64_t now_ms(void *context)
{
    (void)context;
    return rc_clock_ms();
}

static void destroy(struct http_edge *http)
{
    for (size_t i = 0; i < http->idle_count; i++) {
        http->curl.easy_cleanup(http->idle[i]);
    }
    if (http->multi != NULL) {
        (void)http->curl.multi_cleanup(http->multi);
    }
    if (http->headers != NULL) {
        http->curl.free_list(http->headers);
    }
    watch_uv_timer_close(http->timer);
    watch_uv_timer_close(http->waker);
    free(http->ca_file);
    free(http->cert_file);
    free(http->key_file);
    free(http);
}

static void on_last_turn(void *context)
{
    struct http_edge *http = context;
    void (*on_closed)(void *) = http->on_closed;
    void *owner = http->owner;

    destroy(http);
    on_closed(owner);
}

/* From a turn of its own, since this may be called from inside the waker. */
static void close_edge(void *context, void (*on_closed)(void *owner), void *owner)
{
    struct http_edge *http = context;

    assert(http->calls == NULL);
    http->on_closed = on_closed;
    http->owner = owner;
    watch_uv_timer_close(http->waker);
    http->waker = watch_uv_timer_open(http->loop, on_last_turn, http);
    http->wake_at_ms = 0; /* no wake any more */
    if (http->waker == NULL) {
        on_last_turn(http); /* no memory for a turn */
        return;
    }
    watch_uv_timer_set(http->waker, 0);
}

static int load(struct functions *curl, char *error, size_t error_size)
{
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
    };

    return rc_library_load("libcurl.so.4", "libcurl4", symbols,
                           sizeof symbols / sizeof symbols[0], error, error_size);
}

static bool copy_files(struct http_edge *http, const struct etcd_options *options)
{
    http->ca_file = rc_text_copy(options->ca_file);
    http->cert_file = rc_text_copy(options->cert_file);
    http->key_file = rc_text_copy(options->key_file);
    return (options->ca_file == NULL || http->ca_file != NULL) &&
           (options->cert_file == NULL || http->cert_file != NULL) &&
           (options->key_file == NULL || http->key_file != NULL);
}

static bool set_up(struct http_edge *http)
{
    const struct functions *curl = &http->curl;

    http->timer = watch_uv_timer_open(http->loop, on_due, http);
    http->waker = watch_uv_timer_open(http->loop, on_wake_due, http);
    http->headers = common_headers(curl);
    if (curl->global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) {
        http->multi = curl->multi_init();
    }
    if (http->timer == NULL || http->waker == NULL || http->headers == NULL ||
        http->multi == NULL) {
        return false;
    }
    (void)curl->multi_set(http->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl->multi_set(http->multi, CURLMOPT_SOCKETDATA, http);
    (void)curl->multi_set(http->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    (void)curl->multi_set(http->multi, CURLMOPT_TIMERDATA, http);
    (void)curl->multi_set(http->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_MAX);
    return true;
}

int etcd_http_open(struct uv_loop_s *loop, const struct etcd_options *options,
                   struct etcd_edge *out, char *error, size_t error_size)
{
    struct http_edge *http = calloc(1, sizeof *http);

    if (http == NULL) {
        return RC_ENOMEM;
    }
    int err = load(&http->curl, error, error_size);
    if (err != RC_OK) {
        free(http);
        return err;
    }
    http->loop = loop;
    http->wake_at_ms = UINT64_MAX;
    if (!copy_files(http, options) || !set_up(http)) {
        destroy(http);
        return RC_ENOMEM;
    }
    *out = (struct etcd_edge){
        .context = http,
        .start = start,
        .send = send_request,
        .cancel = cancel,
        .wake = wake,
        .now_ms = now_ms,
        .close = close_edge,
    };
    return RC_OK;
}
