/* multi_curl.c - libcurl's multi interface between our loop and its sockets. */
#include "base/multi_curl.h"

#include <stdio.h>

#include "base/err.h"
#include "base/library.h"
#include "base/pages.h"
#include "base/watch_uv.h"

static int load(struct libcurl *curl, char *error, size_t error_size)
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
        {"curl_easy_send", (void **)&curl->send},
        {"curl_easy_recv", (void **)&curl->receive},
        {"curl_slist_append", (void **)&curl->append},
        {"curl_slist_free_all", (void **)&curl->free_list},
        {"curl_url", (void **)&curl->url},
        {"curl_url_set", (void **)&curl->url_set},
        {"curl_url_get", (void **)&curl->url_get},
        {"curl_url_cleanup", (void **)&curl->url_cleanup},
        {"curl_free", (void **)&curl->free_text},
    };

    return rc_library_load("libcurl.so.4", "libcurl4", symbols,
                           sizeof symbols / sizeof symbols[0], error, error_size);
}

static void collect(struct multi_curl *multi)
{
    CURLMsg *message = NULL;
    int left = 0;

    while (multi->multi != NULL &&
           (message = multi->curl.next_message(multi->multi, &left)) != NULL) {
        void *transfer = NULL;
        CURLcode code = message->data.result; /* the message ends with the transfer */
        if (message->msg == CURLMSG_DONE &&
            multi->curl.info(message->easy_handle, CURLINFO_PRIVATE,
                             (char **)&transfer) == CURLE_OK &&
            transfer != NULL) {
            multi->on_end(multi->context, transfer, code);
        }
    }
}

static void on_ready(void *context, int file, unsigned events)
{
    struct multi_curl *multi = context;
    int running = 0;
    int mask = ((events & WATCH_READ) != 0 ? CURL_CSELECT_IN : 0) |
               ((events & WATCH_WRITE) != 0 ? CURL_CSELECT_OUT : 0);

    (void)multi->curl.act(multi->multi, file, mask, &running);
    collect(multi);
}

static void on_due(void *context)
{
    struct multi_curl *multi = context;
    int running = 0;

    (void)multi->curl.act(multi->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(multi);
}

/* Signature given by CURLMOPT_SOCKETFUNCTION. */
static int on_socket(CURL *easy, curl_socket_t file, int what, void *context,
                     void *socket_context)
{
    struct multi_curl *multi = context;
    struct watch *watch = socket_context;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        watch_uv_close(watch);
        return 0;
    }
    if (watch == NULL) {
        watch = watch_uv_open(multi->loop, file, on_ready, multi);
        if (watch == NULL) {
            return -1;
        }
        (void)multi->curl.assign(multi->multi, file, watch);
    }
    watch_uv_set(watch, ((what & CURL_POLL_IN) != 0 ? WATCH_READ : WATCH_NOTHING) |
                            ((what & CURL_POLL_OUT) != 0 ? WATCH_WRITE : WATCH_NOTHING));
    return 0;
}

/* Signature given by CURLMOPT_TIMERFUNCTION. */
static int on_timer_wanted(CURLM *easy, long after_ms, void *context)
{
    const struct multi_curl *multi = context;

    (void)easy;
    watch_uv_timer_set(multi->timer, after_ms);
    return 0;
}

int multi_curl_open(struct multi_curl *multi, struct uv_loop_s *loop, char *error,
                    size_t error_size)
{
    const struct libcurl *curl = &multi->curl;
    int err = load(&multi->curl, error, error_size);

    if (err != RC_OK) {
        return err;
    }
    multi->loop = loop;
    multi->timer = watch_uv_timer_open(loop, on_due, multi);
    if (multi->timer != NULL && curl->global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) {
        multi->multi = curl->multi_init();
    }
    rc_pages_release(); /* it brought two dozen libraries */
    if (multi->multi == NULL) {
        watch_uv_timer_close(multi->timer);
        multi->timer = NULL;
        (void)snprintf(error, error_size, "libcurl does not start");
        return RC_ENOMEM;
    }
    (void)curl->multi_set(multi->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl->multi_set(multi->multi, CURLMOPT_SOCKETDATA, multi);
    (void)curl->multi_set(multi->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    (void)curl->multi_set(multi->multi, CURLMOPT_TIMERDATA, multi);
    return RC_OK;
}

void multi_curl_close(struct multi_curl *multi)
{
    if (multi->multi != NULL) {
        (void)multi->curl.multi_cleanup(multi->multi);
    }
    watch_uv_timer_close(multi->timer);
    multi->multi = NULL;
    multi->timer = NULL;
}
