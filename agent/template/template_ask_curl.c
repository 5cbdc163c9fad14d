#include "agent/template/template_ask_curl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/file.h"
#include "base/logger.h"
#include "base/multi_curl.h"
#include "base/watch_uv.h"

enum {
    ANSWER_MAX = 256 << 20,
    TOKEN_MAX = 4096,
    CONNECT_MS = 5000,
    WAIT_S = 60,
    ANSWERED_BY_S = WAIT_S + WAIT_S / 16 + 15, /* consul-api.md 2: and a sixteenth */
    POLL_MS = 1000,                            /* where there is no index to wait on */
    KEEP_ALIVE_S = 15,
    BUFFER_BYTES = 4096 /* of each request: there may be a thousand */
};

struct template_asks {
    struct template_asks_options options;
    struct multi_curl multi;
    size_t failing; /* asks whose last try failed */
};

struct template_ask {
    struct template_asks *asks;
    struct template_fact *fact;
    CURL *easy;
    struct curl_slist *headers;
    struct watch_timer *timer; /* until the next try */
    bool is_under_way;
    struct rc_buffer body;
    uint64_t index;    /* that is known; 0: none */
    uint64_t answered; /* of the answer under way */
    unsigned failures; /* in a row */
    char error[CURL_ERROR_SIZE];
};

/* ---- A request. */

/* Signature given by CURLOPT_WRITEFUNCTION. */
static size_t on_body(char *bytes, size_t one, size_t count, void *context)
{
    struct template_ask *ask = context;

    rc_buffer_append(&ask->body, bytes, one * count);
    return ask->body.err == RC_OK ? one * count : 0;
}

/* Signature given by CURLOPT_HEADERFUNCTION: keeps the one header of interest.
 * NOLINTNEXTLINE(readability-non-const-parameter) */
static size_t on_header(char *bytes, size_t one, size_t count, void *context)
{
    static const char name[] = "x-consul-index:";
    struct template_ask *ask = context;
    size_t size = one * count;
    size_t at = sizeof name - 1;
    char digits[24];
    size_t length = 0;

    if (size < at || !rc_span_equals_nocase((struct rc_span){bytes, at}, name)) {
        return size;
    }
    while (at < size && bytes[at] == ' ') {
        at++;
    }
    while (at < size && bytes[at] >= '0' && bytes[at] <= '9' &&
           length < sizeof digits - 1) {
        digits[length++] = bytes[at++];
    }
    digits[length] = '\0';
    (void)rc_text_to_u64(digits, UINT64_MAX, &ask->answered);
    return size;
}

/* The token's header, "" without one. NULL: it cannot be read, told in ask->error. */
static char *token_header(struct template_ask *ask)
{
    const struct template_agent *agent = ask->asks->options.agent;
    struct rc_buffer file = {0};
    const char *token = agent->token != NULL ? agent->token : "";

    if (agent->token_file != NULL) {
        if (rc_file_read(agent->token_file, TOKEN_MAX, &file) != RC_OK) {
            (void)snprintf(ask->error, sizeof ask->error,
                           "the token file %.150s cannot be read", agent->token_file);
            rc_buffer_fini(&file);
            return NULL;
        }
        while (file.size > 0 && strchr(" \r\n\t", file.bytes[file.size - 1]) != NULL) {
            file.bytes[--file.size] = '\0';
        }
        token = rc_buffer_string(&file);
    }
    char *header =
        strpbrk(token, "\r\n") == NULL
            ? rc_text_format("%s%s", token[0] != '\0' ? "X-Consul-Token: " : "", token)
            : NULL;
    if (header == NULL) {
        (void)snprintf(ask->error, sizeof ask->error, "a token is one line");
    }
    rc_buffer_fini(&file);
    return header;
}

static bool set_headers(struct template_ask *ask)
{
    const struct libcurl *curl = &ask->asks->multi.curl;
    char *token = token_header(ask);

    if (token == NULL) {
        return false;
    }
    curl->free_list(ask->headers);
    ask->headers = curl->append(NULL, "Accept: application/json");
    if (token[0] != '\0') {
        struct curl_slist *list = curl->append(ask->headers, token);
        ask->headers = list != NULL ? list : ask->headers;
    }
    free(token);
    return curl->set(ask->easy, CURLOPT_HTTPHEADER, ask->headers) == CURLE_OK;
}

static bool set_url(struct template_ask *ask)
{
    const struct template_agent *agent = ask->asks->options.agent;
    const struct libcurl *curl = &ask->asks->multi.curl;
    const char *address = agent->address;
    struct rc_buffer url = {0};

    if (rc_text_starts_with(address, "unix://")) {
        (void)curl->set(ask->easy, CURLOPT_UNIX_SOCKET_PATH, address + strlen("unix://"));
        address = "localhost";
    }
    if (strstr(address, "://") == NULL) {
        rc_buffer_text(&url, agent->tls ? "https://" : "http://");
    }
    rc_buffer_format(&url, "%s%s", address, ask->fact->target);
    if (ask->index > 0) {
        rc_buffer_format(&url, "index=%" PRIu64 "&wait=%ds", ask->index, WAIT_S);
    }
    bool is_set = url.err == RC_OK &&
                  curl->set(ask->easy, CURLOPT_URL, rc_buffer_string(&url)) == CURLE_OK;
    rc_buffer_fini(&url);
    return is_set;
}

static void set_tls(struct template_ask *ask)
{
    const struct template_agent *agent = ask->asks->options.agent;
    CURLcode (*set)(CURL *, CURLoption, ...) = ask->asks->multi.curl.set;

    if (agent->ca_file != NULL) {
        (void)set(ask->easy, CURLOPT_CAINFO, agent->ca_file);
    }
    if (agent->ca_path != NULL) {
        (void)set(ask->easy, CURLOPT_CAPATH, agent->ca_path);
    }
    if (agent->client_cert != NULL) {
        (void)set(ask->easy, CURLOPT_SSLCERT, agent->client_cert);
    }
    if (agent->client_key != NULL) {
        (void)set(ask->easy, CURLOPT_SSLKEY, agent->client_key);
    }
    if (agent->tls_unverified) {
        (void)set(ask->easy, CURLOPT_SSL_VERIFYPEER, 0L);
        (void)set(ask->easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
}

/* What stays the same for all of its requests. */
static bool set_manners(struct template_ask *ask)
{
    CURLcode (*set)(CURL *, CURLoption, ...) = ask->asks->multi.curl.set;
    CURL *easy = ask->easy;
    int bad = 0;

    bad += set(easy, CURLOPT_PRIVATE, ask) != CURLE_OK;
    bad += set(easy, CURLOPT_ERRORBUFFER, ask->error) != CURLE_OK;
    bad += set(easy, CURLOPT_WRITEFUNCTION, on_body) != CURLE_OK;
    bad += set(easy, CURLOPT_WRITEDATA, ask) != CURLE_OK;
    bad += set(easy, CURLOPT_HEADERFUNCTION, on_header) != CURLE_OK;
    bad += set(easy, CURLOPT_HEADERDATA, ask) != CURLE_OK;
    bad += set(easy, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK;
    bad += set(easy, CURLOPT_NOPROXY, "*") != CURLE_OK; /* agents are never behind one */
    bad += set(easy, CURLOPT_NOSIGNAL, 1L) != CURLE_OK;
    bad += set(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS) != CURLE_OK;
    bad += set(easy, CURLOPT_TIMEOUT, (long)ANSWERED_BY_S) != CURLE_OK;
    (void)set(easy, CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES);
    (void)set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)set(easy, CURLOPT_TCP_KEEPIDLE, (long)KEEP_ALIVE_S);
    (void)set(easy, CURLOPT_TCP_KEEPINTVL, (long)KEEP_ALIVE_S);
    set_tls(ask);
    return bad == 0;
}

static void later(struct template_ask *ask, const char *why, long status);

static void ask_again(struct template_ask *ask)
{
    struct multi_curl *multi = &ask->asks->multi;

    rc_buffer_clear(&ask->body);
    ask->error[0] = '\0';
    ask->answered = 0;
    if (!set_headers(ask) || !set_url(ask) ||
        multi->curl.add(multi->multi, ask->easy) != CURLM_OK) {
        later(ask, ask->error[0] != '\0' ? ask->error : rc_strerror(RC_ENOMEM), 0);
        return;
    }
    ask->is_under_way = true;
}

static void on_due(void *context)
{
    ask_again(context);
}

/* ---- What comes of it. */

/* A first failure is told: of the agent as a whole, or, when it answers, of each question. */
static void tell(const struct template_ask *ask, const char *why, long status)
{
    char words[160];

    if (ask->failures > 1 || (status == 0 && ask->asks->failing > 1)) {
        return;
    }
    template_query_describe(&ask->fact->query, words, sizeof words);
    rc_log(RC_LOG_WARN, "template",
           "%s: the agent at %s does not tell: %s; files stay as they are", words,
           ask->asks->options.agent->address, why);
}

static void later(struct template_ask *ask, const char *why, long status)
{
    struct template_asks *asks = ask->asks;
    uint64_t wait_ms = TEMPLATE_RETRY_FIRST_MS;

    asks->failing += ask->failures == 0 ? 1 : 0;
    ask->failures++;
    ask->index = 0; /* it may be another agent that answers next */
    tell(ask, why, status);
    for (unsigned i = 1; i < ask->failures && wait_ms < TEMPLATE_RETRY_LAST_MS; i++) {
        wait_ms *= 2;
    }
    watch_uv_timer_set(
        ask->timer,
        (int64_t)(wait_ms < TEMPLATE_RETRY_LAST_MS ? wait_ms : TEMPLATE_RETRY_LAST_MS));
    asks->options.on_failed(asks->options.context, ask->failures);
}

static void answered(struct template_ask *ask, json_t *value)
{
    struct template_asks *asks = ask->asks;
    uint64_t known = ask->index;

    if (ask->failures > 0) {
        asks->options.on_back(asks->options.context);
        if (--asks->failing == 0) {
            rc_log(RC_LOG_INFO, "template", "the agent at %s tells again",
                   asks->options.agent->address);
        }
    }
    ask->failures = 0;
    /* An index that went back is of another store: ask anew (consul-api.md 2). */
    ask->index = ask->answered < known ? 0 : ask->answered;
    bool is_news = template_fact_learn(ask->fact, value);
    if (ask->index == 0 && known == 0) {
        watch_uv_timer_set(ask->timer, POLL_MS);
    } else {
        ask_again(ask);
    }
    if (is_news) {
        asks->options.on_news(asks->options.context, ask->fact);
    }
}

static void on_end(void *context, void *transfer, CURLcode code)
{
    struct template_ask *ask = transfer;
    struct multi_curl *multi = &ask->asks->multi;
    json_t *value = NULL;
    long status = 0;
    char why[300];

    (void)context;
    (void)multi->curl.remove(multi->multi, ask->easy);
    ask->is_under_way = false;
    (void)multi->curl.info(ask->easy, CURLINFO_RESPONSE_CODE, &status);
    bool is_of_keys =
        ask->fact->query.kind == QUERY_KEY || ask->fact->query.kind == QUERY_TREE;
    if (code != CURLE_OK) {
        later(ask, ask->error[0] != '\0' ? ask->error : multi->curl.text_of(code), 0);
    } else if (status != 200 && !(is_of_keys && status == 404 && ask->body.size == 0)) {
        (void)snprintf(why, sizeof why, "%ld (%.200s)", status,
                       rc_buffer_string(&ask->body));
        rc_text_to_line(why, sizeof why);
        later(ask, why, status);
    } else if (template_query_value(&ask->fact->query, status,
                                    rc_buffer_string(&ask->body), ask->body.size,
                                    &value) != RC_OK) {
        later(ask, "its answer is not as it should be", status);
    } else {
        rc_buffer_fini(
            &ask->body); /* it may have been large, and the next may take a minute */
        answered(ask, value);
    }
}

/* ---- Life. */

int template_asks_open(const struct template_asks_options *options,
                       struct template_asks **out, char *why, size_t why_size)
{
    struct template_asks *asks = calloc(1, sizeof *asks);

    if (asks == NULL) {
        (void)snprintf(why, why_size, "%s", rc_strerror(RC_ENOMEM));
        return RC_ENOMEM;
    }
    asks->options = *options;
    asks->multi.context = asks;
    asks->multi.on_end = on_end;
    int err = multi_curl_open(&asks->multi, options->loop, why, why_size);
    if (err != RC_OK) {
        free(asks);
        return err;
    }
    *out = asks;
    return RC_OK;
}

void template_asks_close(struct template_asks *asks)
{
    if (asks != NULL) {
        multi_curl_close(&asks->multi);
        free(asks);
    }
}

static void ask_destroy(struct template_ask *ask)
{
    struct multi_curl *multi = &ask->asks->multi;

    if (ask->is_under_way) {
        (void)multi->curl.remove(multi->multi, ask->easy);
    }
    if (ask->easy != NULL) {
        multi->curl.easy_cleanup(ask->easy);
    }
    multi->curl.free_list(ask->headers);
    watch_uv_timer_close(ask->timer);
    rc_buffer_fini(&ask->body);
    free(ask);
}

int template_asks_start(struct template_asks *asks, struct template_fact *fact)
{
    struct template_ask *ask = calloc(1, sizeof *ask);

    if (ask == NULL) {
        return RC_ENOMEM;
    }
    ask->asks = asks;
    ask->fact = fact;
    ask->body.max = ANSWER_MAX;
    ask->easy = asks->multi.curl.easy_init();
    ask->timer = watch_uv_timer_open(asks->options.loop, on_due, ask);
    if (ask->easy == NULL || ask->timer == NULL || !set_manners(ask)) {
        ask_destroy(ask);
        return RC_ENOMEM;
    }
    fact->ask = ask;
    ask_again(ask);
    return RC_OK;
}

void template_asks_stop(struct template_asks *asks, struct template_fact *fact)
{
    if (fact->ask != NULL) {
        asks->failing -= fact->ask->failures > 0 ? 1 : 0;
        ask_destroy(fact->ask);
        fact->ask = NULL;
    }
}
