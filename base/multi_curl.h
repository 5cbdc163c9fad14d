/* multi_curl.h - libcurl on our loop: many transfers at once, each told when it has ended.
 *
 * libcurl is loaded when the first is opened. Its sockets and its timer are watched on the loop.
 * What it calls itself (CURLOPT_WRITEFUNCTION and others) must not call back into it; what is
 * told here may. */
#ifndef BASE_MULTI_CURL_H
#define BASE_MULTI_CURL_H

#include <stddef.h>

#include <curl/curl.h>

struct uv_loop_s;
struct watch_timer;

/* The part of libcurl that is used, filled by multi_curl_open(). */
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
    CURLcode (*send)(CURL *easy, const void *bytes, size_t size, size_t *sent);
    CURLcode (*receive)(CURL *easy, void *space, size_t size, size_t *got);
    struct curl_slist *(*append)(struct curl_slist *list, const char *text);
    void (*free_list)(struct curl_slist *list);
    CURLU *(*url)(void);
    CURLUcode (*url_set)(CURLU *url, CURLUPart part, const char *text, unsigned flags);
    CURLUcode (*url_get)(const CURLU *url, CURLUPart part, char **text, unsigned flags);
    void (*url_cleanup)(CURLU *url);
    void (*free_text)(void *text);
};

struct multi_curl {
    struct libcurl curl;
    CURLM *multi; /* NULL: not open */
    struct uv_loop_s *loop;
    struct watch_timer *timer;

    /* Set by the owner before it opens. */
    void *context;
    /* A transfer has ended; `transfer` is its CURLOPT_PRIVATE, never NULL. */
    void (*on_end)(void *context, void *transfer, CURLcode code);
};

/* Loads libcurl, unless that was done, and starts. RC_OK; RC_ENOTFOUND (`error` says which
 * package has it) or RC_ENOMEM, and it may be tried again. */
int multi_curl_open(struct multi_curl *multi, struct uv_loop_s *loop, char *error,
                    size_t error_size);

/* Ends it; every transfer was taken out before. Nothing if it is not open. */
void multi_curl_close(struct multi_curl *multi);

#endif
