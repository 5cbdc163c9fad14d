#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "agent/cli/client.h"
#include "agent/cli/flags.h"
#include "base/err.h"
#include "base/file.h"
#include "base/library.h"
#include "base/text.h"

enum { ANSWER_MAX = 1 << 30, TOKEN_MAX = 4096 };

/* What is used of libcurl, which is loaded at the first request. */
static struct {
    CURLcode (*global_init)(long flags);
    CURL *(*init)(void);
    CURLcode (*setopt)(CURL *curl, CURLoption option, ...);
    CURLcode (*perform)(CURL *curl);
    CURLcode (*getinfo)(CURL *curl, CURLINFO info, ...);
    void (*cleanup)(CURL *curl);
    struct curl_slist *(*append)(struct curl_slist *list, const char *text);
    void (*free_all)(struct curl_slist *list);
    const char *(*strerror)(CURLcode code);
} curl;

static int load(char *error, size_t size)
{
    const struct rc_symbol symbols[] = {
        {"curl_global_init", (void **)&curl.global_init},
        {"curl_easy_init", (void **)&curl.init},
        {"curl_easy_setopt", (void **)&curl.setopt},
        {"curl_easy_perform", (void **)&curl.perform},
        {"curl_easy_getinfo", (void **)&curl.getinfo},
        {"curl_easy_cleanup", (void **)&curl.cleanup},
        {"curl_slist_append", (void **)&curl.append},
        {"curl_slist_free_all", (void **)&curl.free_all},
        {"curl_easy_strerror", (void **)&curl.strerror},
    };
    if (curl.init != NULL) {
        return RC_OK;
    }
    int err = rc_library_load("libcurl.so.4", "libcurl4", symbols,
                              sizeof symbols / sizeof symbols[0], error, size);
    if (err == RC_OK && curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        (void)snprintf(error, size, "libcurl does not start");
        err = RC_EIO;
    }
    return err;
}

/* One transfer under way. */
struct transfer {
    const struct cli_request *request;
    struct cli_answer *answer;
    CURL *handle;
    char *url; /* owned */
};

static bool is_good(long status)
{
    return status >= 200 && status < 300;
}

static size_t on_bytes(char *bytes, size_t one, size_t size, void *context)
{
    struct transfer *transfer = context;
    long status = 0;
    (void)one; /* always 1 */
    (void)curl.getinfo(transfer->handle, CURLINFO_RESPONSE_CODE, &status);
    if (transfer->request->piece != NULL && is_good(status)) {
        return transfer->request->piece(transfer->request->context, bytes, size) ? size
                                                                                 : 0;
    }
    rc_buffer_append(&transfer->answer->body, bytes, size);
    return transfer->answer->body.err == RC_OK ? size : 0;
}

/* Keeps the one header that anybody asks for. The signature is libcurl's.
 * NOLINTNEXTLINE(readability-non-const-parameter) */
static size_t on_header(char *bytes, size_t one, size_t size, void *context)
{
    static const char name[] = "X-Consul-Index:";
    struct transfer *transfer = context;
    struct rc_span start = {bytes, size < sizeof name - 1 ? size : sizeof name - 1};
    char text[24];

    (void)one; /* always 1 */
    if (rc_span_equals_nocase(start, name)) {
        size_t at = sizeof name - 1;
        size_t length = 0;
        while (at < size && bytes[at] == ' ') {
            at++;
        }
        while (at < size && bytes[at] >= '0' && bytes[at] <= '9' &&
               length < sizeof text - 1) {
            text[length++] = bytes[at++];
        }
        text[length] = '\0';
        (void)rc_text_to_u64(text, UINT64_MAX, &transfer->answer->index);
    }
    return size;
}

/* host:port, http://..., https://... or unix://path. RC_OK or RC_ENOMEM. */
static int set_target(struct transfer *transfer, const struct cli_client_flags *flags)
{
    struct rc_buffer url = {0};
    const char *address = flags->http_addr;
    const char *path = transfer->request->path;

    if (rc_text_starts_with(address, "unix://")) {
        (void)curl.setopt(transfer->handle, CURLOPT_UNIX_SOCKET_PATH,
                          address + strlen("unix://"));
        address = "localhost";
    }
    if (strstr(address, "://") == NULL) {
        rc_buffer_text(&url, flags->tls ? "https://" : "http://");
    }
    rc_buffer_format(&url, "%s%s", address, path);
    if (flags->datacenter != NULL) {
        rc_buffer_text(&url, strchr(path, '?') != NULL ? "&dc=" : "?dc=");
        cli_escape(&url, flags->datacenter);
    }
    transfer->url = rc_buffer_steal(&url);
    rc_buffer_fini(&url);
    if (transfer->url == NULL) {
        return RC_ENOMEM;
    }
    (void)curl.setopt(transfer->handle, CURLOPT_URL, transfer->url);
    return RC_OK;
}

static void set_tls(CURL *handle, const struct cli_client_flags *flags)
{
    if (flags->ca_file != NULL) {
        (void)curl.setopt(handle, CURLOPT_CAINFO, flags->ca_file);
    }
    if (flags->ca_path != NULL) {
        (void)curl.setopt(handle, CURLOPT_CAPATH, flags->ca_path);
    }
    if (flags->tls_unverified) {
        (void)curl.setopt(handle, CURLOPT_SSL_VERIFYPEER, 0L);
        (void)curl.setopt(handle, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (flags->client_cert != NULL) {
        (void)curl.setopt(handle, CURLOPT_SSLCERT, flags->client_cert);
    }
    if (flags->client_key != NULL) {
        (void)curl.setopt(handle, CURLOPT_SSLKEY, flags->client_key);
    }
}

/* Adds the token's header. RC_OK, or an error told in `error`. */
static int add_token(const struct cli_client_flags *flags, struct curl_slist **headers,
                     char *error, size_t error_size)
{
    struct rc_buffer file = {0};
    const char *token = flags->token;
    if (flags->token_file != NULL) {
        if (rc_file_read(flags->token_file, TOKEN_MAX, &file) != RC_OK) {
            (void)snprintf(error, error_size, "the token file %s cannot be read",
                           flags->token_file);
            rc_buffer_fini(&file);
            return RC_EIO;
        }
        while (file.size > 0 && strchr(" \r\n\t", file.bytes[file.size - 1]) != NULL) {
            file.bytes[--file.size] = '\0';
        }
        token = rc_buffer_string(&file);
    }
    if (token != NULL && strpbrk(token, "\r\n") != NULL) {
        (void)snprintf(error, error_size, "a token is one line");
        rc_buffer_fini(&file);
        return RC_EINVAL;
    }
    if (token != NULL && token[0] != '\0') {
        char *line = rc_text_format("X-Consul-Token: %s", token);
        *headers = curl.append(*headers, line != NULL ? line : "");
        free(line);
    }
    rc_buffer_fini(&file);
    return RC_OK;
}

/* Why there was no answer. Whoever closed our output knows why it ended: nothing to tell. */
static void explain(const struct transfer *transfer, CURLcode code)
{
    struct cli_answer *out = transfer->answer;
    long number = 0;
    const char *why = curl.strerror(code);

    if (code == CURLE_WRITE_ERROR && out->body.err == RC_ETOOBIG) {
        why = "the answer is larger than 1 GiB";
    } else if (code == CURLE_COULDNT_CONNECT &&
               curl.getinfo(transfer->handle, CURLINFO_OS_ERRNO, &number) == CURLE_OK &&
               number != 0 && strerrordesc_np((int)number) != NULL) {
        why = strerrordesc_np((int)number);
    }
    (void)snprintf(out->error, sizeof out->error, "%s \"%.300s\": %s%s",
                   rc_text_equals(transfer->request->method, "GET") ? "Get" : "Put",
                   transfer->url, why,
                   code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST
                       ? "; is an agent running there? (-http-addr, CONSUL_HTTP_ADDR)"
                       : "");
}

static int perform(const struct transfer *transfer)
{
    struct cli_answer *out = transfer->answer;
    CURLcode code = curl.perform(transfer->handle);
    if (code != CURLE_OK) {
        explain(transfer, code);
        return RC_EIO;
    }
    (void)curl.getinfo(transfer->handle, CURLINFO_RESPONSE_CODE, &out->status);
    if (is_good(out->status)) {
        return RC_OK;
    }
    (void)snprintf(out->error, sizeof out->error,
                   "Unexpected response code: %ld (%.400s)", out->status,
                   rc_buffer_string(&out->body));
    return RC_EDENIED;
}

static void set_request(struct transfer *transfer, const struct cli_client_flags *flags,
                        struct curl_slist *headers)
{
    CURL *handle = transfer->handle;
    set_tls(handle, flags);
    if (flags->auth != NULL) {
        (void)curl.setopt(handle, CURLOPT_USERPWD, flags->auth);
    }
    (void)curl.setopt(handle, CURLOPT_CUSTOMREQUEST, transfer->request->method);
    (void)curl.setopt(handle, CURLOPT_HTTPHEADER, headers);
    (void)curl.setopt(handle, CURLOPT_NOPROXY, "*"); /* agents are never behind one */
    (void)curl.setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl.setopt(handle, CURLOPT_CONNECTTIMEOUT, 10L);
    (void)curl.setopt(handle, CURLOPT_TIMEOUT_MS, transfer->request->timeout_ms);
    (void)curl.setopt(handle, CURLOPT_NOSIGNAL, 1L);
    (void)curl.setopt(handle, CURLOPT_WRITEFUNCTION, on_bytes);
    (void)curl.setopt(handle, CURLOPT_WRITEDATA, transfer);
    (void)curl.setopt(handle, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl.setopt(handle, CURLOPT_HEADERDATA, transfer);
    if (transfer->request->body != NULL) {
        (void)curl.setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE,
                          transfer->request->body_size > 0
                              ? (curl_off_t)transfer->request->body_size
                              : (curl_off_t)strlen(transfer->request->body));
        (void)curl.setopt(handle, CURLOPT_POSTFIELDS, transfer->request->body);
    }
}

int cli_ask(const struct cli_client_flags *flags, const struct cli_request *request,
            struct cli_answer *out)
{
    struct transfer transfer = {.request = request, .answer = out};
    struct curl_slist *headers = NULL;

    memset(out, 0, sizeof *out);
    out->body.max = ANSWER_MAX;
    int err = load(out->error, sizeof out->error);
    if (err != RC_OK) {
        return err;
    }
    transfer.handle = curl.init();
    if (transfer.handle == NULL) {
        return RC_ENOMEM;
    }
    err = add_token(flags, &headers, out->error, sizeof out->error);
    if (err == RC_OK) {
        err = set_target(&transfer, flags);
    }
    if (err == RC_OK) {
        headers = curl.append(headers, "Content-Type: application/json");
        headers = curl.append(headers, "Expect:");
        set_request(&transfer, flags, headers);
        err = perform(&transfer);
    }
    curl.free_all(headers);
    curl.cleanup(transfer.handle);
    free(transfer.url);
    return err;
}
