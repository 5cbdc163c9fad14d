/* http_run_curl.c - one HTTP request as a check wants it, and what is kept of the
 * answer. */
#include "agent/checks/http_run_curl.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/checks/http_rules.h"
#include "base/address.h"
#include "base/err.h"
#include "base/text.h"

enum {
    BODY_KEPT_BYTES = 2 * CHECK_OUTPUT_MAX,
    BODY_MAX_BYTES = 1024 * 1024 /* more is not read; the status counts all the same */
};

/* ---- what libcurl asks during a run ---------------------------------------------- */

/* Signature given by CURLOPT_WRITEFUNCTION. */
static size_t on_body(char *bytes, size_t one, size_t count, void *context)
{
    struct http_run *run = context;
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
    struct http_run *run = context;
    size_t size = one * count;
    const char *space =
        size > 5 && memcmp(bytes, "HTTP/", 5) == 0 ? memchr(bytes, ' ', size) : NULL;

    if (space != NULL) {
        size_t left = size - (size_t)(space + 1 - bytes);
        size_t used = 0;
        while (used < left && used < HTTP_STATUS_MAX - 1 && space[1 + used] != '\r' &&
               space[1 + used] != '\n') {
            run->status[used] = space[1 + used];
            used++;
        }
        run->status[used] = '\0';
    }
    return size;
}

/* Signature given by CURLOPT_OPENSOCKETFUNCTION: the address is the one that will really
 * be connected to, whatever the name in the URL said before. */
static curl_socket_t on_open(void *context, curlsocktype purpose,
                             struct curl_sockaddr *address)
{
    struct http_run *run = context;
    struct rc_address target;

    (void)purpose;
    if (rc_address_from_sockaddr(&address->addr, &target) != RC_OK ||
        http_rules_is_denied(&target)) {
        run->was_denied = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* ---- starting a run -------------------------------------------------------------- */

static bool add_header(struct http_run *run, const char *text)
{
    struct curl_slist *list = run->curl->append(run->headers, text);

    if (list == NULL) {
        return false;
    }
    run->headers = list;
    return true;
}

static bool add_headers(struct http_run *run, const struct check_definition *wanted)
{
    bool is_ok = add_header(run, "Connection: close") && add_header(run, "Expect:");

    if (is_ok && !http_rules_has_header(wanted, "Content-Type")) {
        is_ok = add_header(run, "Content-Type:"); /* libcurl would claim a form */
    }
    if (is_ok && !http_rules_has_header(wanted, "Accept")) {
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
static char *rename_server(struct http_run *run, const struct check_definition *wanted)
{
    const struct libcurl *curl = run->curl;
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
                     (http_rules_has_header(wanted, "Host") || add_header(run, header));
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
static bool restrict_easy(const struct http_run *run)
{
    CURL *easy = run->easy;
    CURLcode (*set)(CURL *, CURLoption, ...) = run->curl->set;

    return set(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           set(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           set(easy, CURLOPT_PROXY, "") == CURLE_OK &&
           set(easy, CURLOPT_NOPROXY, "*") == CURLE_OK &&
           set(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
           set(easy, CURLOPT_OPENSOCKETFUNCTION, on_open) == CURLE_OK &&
           set(easy, CURLOPT_OPENSOCKETDATA, run) == CURLE_OK;
}

static bool set_request(struct http_run *run, const struct check_definition *wanted,
                        const char *url)
{
    CURL *easy = run->easy;
    CURLcode (*set)(CURL *, CURLoption, ...) = run->curl->set;
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

static void set_callbacks(struct http_run *run)
{
    CURL *easy = run->easy;
    CURLcode (*set)(CURL *, CURLoption, ...) = run->curl->set;

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

bool http_run_prepare(struct http_run *run, const struct check_definition *wanted)
{
    const struct libcurl *curl = run->curl;

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
        is_ok = curl->add(run->multi, run->easy) == CURLM_OK;
    }
    return is_ok;
}

void http_run_fini(struct http_run *run)
{
    const struct libcurl *curl = run->curl;

    if (run->easy != NULL) {
        (void)curl->remove(run->multi, run->easy);
        curl->easy_cleanup(run->easy);
    }
    curl->free_list(run->headers);
    curl->free_list(run->connect_to);
    rc_buffer_fini(&run->body);
    free(run->url);
    free(run->method);
}
