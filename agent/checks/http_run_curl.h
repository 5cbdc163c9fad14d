/* http_run_curl.h - one HTTP check in flight, shared by http_curl.c and
 * http_run_curl.c. */
#ifndef AGENT_CHECKS_HTTP_RUN_CURL_H
#define AGENT_CHECKS_HTTP_RUN_CURL_H

#include <stdbool.h>

#include <curl/curl.h>

#include "agent/checks/checks.h"
#include "base/buffer.h"

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

enum { HTTP_STATUS_MAX = 128 };

struct http_run {
    struct probe_run link;
    const struct libcurl *curl; /* borrowed */
    CURLM *multi;               /* borrowed */
    CURL *easy;
    struct curl_slist *headers;
    struct curl_slist *connect_to;
    char *url; /* for people: without a password */
    char *method;
    char status[HTTP_STATUS_MAX]; /* "200 OK" */
    struct rc_buffer body;        /* the last bytes of it */
    size_t body_total;
    bool was_denied; /* the address is one that checks may not reach */
    char error[CURL_ERROR_SIZE];
};

/* Makes the request that `wanted` describes and hands it to run->multi. False: it cannot
 * be made; whatever was made is for http_run_fini(). */
bool http_run_prepare(struct http_run *run, const struct check_definition *wanted);

/* Takes the request out of run->multi and frees what it holds. */
void http_run_fini(struct http_run *run);

#endif
