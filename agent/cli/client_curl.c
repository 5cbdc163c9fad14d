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

enum { ANSWER_MAX = 64 << 20, TOKEN_MAX = 4096, URL_MAX = 8192 };

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
};

static size_t on_bytes(char *bytes, size_t one, size_t size, void *context)
{
    struct transfer *transfer = context;
    (void)one; /* always 1 */
    if (transfer->request->piece != NULL) {
        return transfer->request->piece(transfer->request->context, bytes, size) ? size
                                                                                 : 0;
    }
    rc_buffer_append(&transfer->answer->body, bytes, size);
    return transfer->answer->body.err == RC_OK ? size : 0;
}

/* host:port, http://..., https://... or unix://path. */
static void set_target(CURL *handle, const struct cli_client_flags *flags,
                       const char *path)
{
    char url[URL_MAX];
    const char *address = flags->http_addr;
    const char *separator = strchr(path, '?') != NULL ? "&" : "?";
    const char *scheme = strstr(address, "://") != NULL ? "" : "http://";

    if (rc_text_starts_with(address, "unix://")) {
        (void)curl.setopt(handle, CURLOPT_UNIX_SOCKET_PATH, address + strlen("unix://"));
        address = "localhost";
        scheme = "http://";
    }
    if (flags->datacenter != NULL) {
        (void)snprintf(url, sizeof url, "%s%s%s%sdc=%s", scheme, address, path, separator,
                       flags->datacenter);
    } else {
        (void)snprintf(url, sizeof url, "%s%s%s", scheme, address, path);
    }
    (void)curl.setopt(handle, CURLOPT_URL, url);
}

static void set_tls(CURL *handle, const struct cli_client_flags *flags)
{
    if (flags->ca_file != NULL) {
        (void)curl.setopt(handle, CURLOPT_CAINFO, flags->ca_file);
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
    if (token != NULL && token[0] != '\0') {
        char *line = rc_text_format("X-Consul-Token: %s", token);
        *headers = curl.append(*headers, line != NULL ? line : "");
        free(line);
    }
    rc_buffer_fini(&file);
    return RC_OK;
}

static int perform(CURL *handle, const struct cli_client_flags *flags,
                   const struct cli_request *request, struct cli_answer *out)
{
    CURLcode code = curl.perform(handle);
    if (code != CURLE_OK) {
        (void)snprintf(
            out->error, sizeof out->error,
            "%s %s: %s; is an agent running there? (-http-addr, CONSUL_HTTP_ADDR)",
            request->method, flags->http_addr, curl.strerror(code));
        return RC_EIO;
    }
    (void)curl.getinfo(handle, CURLINFO_RESPONSE_CODE, &out->status);
    if (out->status >= 200 && out->status < 300) {
        return RC_OK;
    }
    (void)snprintf(out->error, sizeof out->error,
                   "Unexpected response code: %ld (%.400s)", out->status,
                   rc_buffer_string(&out->body));
    return RC_EDENIED;
}

int cli_ask(const struct cli_client_flags *flags, const struct cli_request *request,
            struct cli_answer *out)
{
    struct transfer transfer = {request, out};
    struct curl_slist *headers = NULL;

    memset(out, 0, sizeof *out);
    out->body.max = ANSWER_MAX;
    int err = load(out->error, sizeof out->error);
    if (err != RC_OK) {
        return err;
    }
    CURL *handle = curl.init();
    if (handle == NULL) {
        return RC_ENOMEM;
    }
    err = add_token(flags, &headers, out->error, sizeof out->error);
    if (err == RC_OK) {
        headers = curl.append(headers, "Content-Type: application/json");
        headers = curl.append(headers, "Expect:");
        set_target(handle, flags, request->path);
        set_tls(handle, flags);
        (void)curl.setopt(handle, CURLOPT_CUSTOMREQUEST, request->method);
        (void)curl.setopt(handle, CURLOPT_HTTPHEADER, headers);
        (void)curl.setopt(handle, CURLOPT_NOPROXY, "*"); /* agents are never behind one */
        (void)curl.setopt(handle, CURLOPT_CONNECTTIMEOUT, 10L);
        (void)curl.setopt(handle, CURLOPT_WRITEFUNCTION, on_bytes);
        (void)curl.setopt(handle, CURLOPT_WRITEDATA, &transfer);
        if (request->body != NULL) {
            (void)curl.setopt(handle, CURLOPT_POSTFIELDS, request->body);
        }
        err = perform(handle, flags, request, out);
    }
    curl.free_all(headers);
    curl.cleanup(handle);
    return err;
}
