/* http_run_curl.h - one HTTP check in flight, shared by http_curl.c and
 * http_run_curl.c. */
#ifndef AGENT_CHECKS_HTTP_RUN_CURL_H
#define AGENT_CHECKS_HTTP_RUN_CURL_H

#include <stdbool.h>

#include "agent/checks/checks.h"
#include "base/buffer.h"
#include "base/multi_curl.h"

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
