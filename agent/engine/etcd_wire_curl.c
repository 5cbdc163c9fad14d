/* etcd_wire_curl.c - a transfer of libcurl that ends once it is connected. */
#include "agent/engine/etcd_wire_curl.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/library.h"
#include "base/text.h"
#include "base/watch_uv.h"

enum {
    CONNECT_MS = 1000,
    KEEP_ALIVE_S = 10,
    /* A connection that all calls share must not outlive its way by the minutes that TCP goes
     * on trying: sent and not acknowledged for so long, it is given up. */
    DEAF_MS = 3000
};

struct etcd_wire {
    struct multi_curl *multi; /* borrowed, like the next two */
    const struct etcd_wire_events *events;
    void *context;
    CURL *easy;
    struct watch *watch; /* NULL: not connected */
    char error[CURL_ERROR_SIZE];
};

/* Signature given by CURLOPT_SOCKOPTFUNCTION. */
static int on_socket_made(void *context, curl_socket_t file, curlsocktype purpose)
{
    unsigned deaf_ms = DEAF_MS;

    (void)context;
    (void)purpose;
    /* A hint: without it only time limits tell. */
    (void)setsockopt(file, IPPROTO_TCP, TCP_USER_TIMEOUT, &deaf_ms, sizeof deaf_ms);
    return CURL_SOCKOPT_OK;
}

/* Signature given by CURLOPT_SSL_CTX_FUNCTION. Says that HTTP/2 will be spoken (ALPN, RFC 9113
 * section 3.2); if libcurl said it, it would speak it itself. */
static CURLcode on_tls(CURL *easy, void *tls, void *context)
{
    static const unsigned char protocols[] = {2, 'h', '2'};
    int (*offer)(void *, const unsigned char *, unsigned) = NULL;
    const struct rc_symbol symbol = {"SSL_CTX_set_alpn_protos", (void **)&offer};
    struct etcd_wire *wire = context;

    (void)easy;
    bool is_done = rc_library_load("libssl.so.3", "libssl3", &symbol, 1, wire->error,
                                   sizeof wire->error) == RC_OK &&
                   offer(tls, protocols, sizeof protocols) == 0;
    return is_done ? CURLE_OK : CURLE_SSL_CONNECT_ERROR;
}

static bool set_files(struct etcd_wire *wire, const struct etcd_files *files)
{
    CURLcode (*set)(CURL *, CURLoption, ...) = wire->multi->curl.set;
    CURL *easy = wire->easy;
    int bad = 0;

    bad += set(easy, CURLOPT_SSL_ENABLE_ALPN, 0L) != CURLE_OK;
    bad += set(easy, CURLOPT_SSL_CTX_FUNCTION, on_tls) != CURLE_OK;
    bad += set(easy, CURLOPT_SSL_CTX_DATA, wire) != CURLE_OK;
    bad += set(easy, CURLOPT_SSL_VERIFYPEER, 1L) != CURLE_OK;
    bad += set(easy, CURLOPT_SSL_VERIFYHOST, 2L) != CURLE_OK;
    if (files->ca != NULL) {
        bad += set(easy, CURLOPT_CAINFO, files->ca) != CURLE_OK;
        bad += set(easy, CURLOPT_CAPATH, NULL) != CURLE_OK; /* ours, and no other */
    }
    if (files->cert != NULL) {
        const char *key = files->key != NULL ? files->key : files->cert;
        bad += set(easy, CURLOPT_SSLCERT, files->cert) != CURLE_OK;
        bad += set(easy, CURLOPT_SSLKEY, key) != CURLE_OK;
    }
    return bad == 0;
}

static bool set_all(struct etcd_wire *wire, const char *url,
                    const struct etcd_files *files)
{
    CURLcode (*set)(CURL *, CURLoption, ...) = wire->multi->curl.set;
    CURL *easy = wire->easy;
    int bad = 0;

    bad += set(easy, CURLOPT_URL, url) != CURLE_OK;
    bad += set(easy, CURLOPT_CONNECT_ONLY, 1L) != CURLE_OK;
    bad += set(easy, CURLOPT_FRESH_CONNECT, 1L) != CURLE_OK;
    bad += set(easy, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK;
    bad += set(easy, CURLOPT_PROXY, "") != CURLE_OK;
    bad += set(easy, CURLOPT_NOPROXY, "*") != CURLE_OK;
    bad += set(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) != CURLE_OK;
    bad += set(easy, CURLOPT_NOSIGNAL, 1L) != CURLE_OK;
    bad += set(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) != CURLE_OK;
    bad += set(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS) != CURLE_OK;
    bad += set(easy, CURLOPT_PRIVATE, wire) != CURLE_OK;
    bad += set(easy, CURLOPT_ERRORBUFFER, wire->error) != CURLE_OK;
    (void)set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)set(easy, CURLOPT_TCP_KEEPIDLE, (long)KEEP_ALIVE_S);
    (void)set(easy, CURLOPT_TCP_KEEPINTVL, (long)KEEP_ALIVE_S);
    (void)set(easy, CURLOPT_SOCKOPTFUNCTION, on_socket_made);
    return bad == 0 && set_files(wire, files);
}

struct etcd_wire *etcd_wire_open(struct multi_curl *multi, const char *url,
                                 const struct etcd_files *files,
                                 const struct etcd_wire_events *events, void *context)
{
    struct etcd_wire *wire = calloc(1, sizeof *wire);

    if (wire == NULL) {
        return NULL;
    }
    wire->multi = multi;
    wire->events = events;
    wire->context = context;
    wire->easy = multi->curl.easy_init();
    if (wire->easy == NULL || !set_all(wire, url, files) ||
        multi->curl.add(multi->multi, wire->easy) != CURLM_OK) {
        etcd_wire_close(wire);
        return NULL;
    }
    return wire;
}

/* libcurl keeps the connection as long as its handle stays with the others. */
void etcd_wire_close(struct etcd_wire *wire)
{
    if (wire == NULL) {
        return;
    }
    watch_uv_close(wire->watch);
    if (wire->easy != NULL) {
        (void)wire->multi->curl.remove(wire->multi->multi, wire->easy);
        wire->multi->curl.easy_cleanup(wire->easy);
    }
    free(wire);
}

static void on_ready(void *context, int file, unsigned events)
{
    const struct etcd_wire *wire = context;

    (void)file;
    (void)events;
    wire->events->on_ready(wire->context);
}

static void fail(struct etcd_wire *wire, const char *why)
{
    char text[CURL_ERROR_SIZE + 16];

    (void)snprintf(text, sizeof text, "etcd: %s",
                   wire->error[0] != '\0' ? wire->error : why);
    rc_text_to_line(text, sizeof text);
    wire->events->on_failed(wire->context, text);
}

void etcd_wire_on_end(void *context, void *transfer, CURLcode code)
{
    struct etcd_wire *wire = transfer;
    const struct libcurl *curl = &wire->multi->curl;
    curl_socket_t file = CURL_SOCKET_BAD;

    (void)context;
    if (code != CURLE_OK) {
        fail(wire, curl->text_of(code));
        return;
    }
    if (curl->info(wire->easy, CURLINFO_ACTIVESOCKET, &file) == CURLE_OK &&
        file != CURL_SOCKET_BAD) {
        wire->watch = watch_uv_open(wire->multi->loop, file, on_ready, wire);
    }
    if (wire->watch == NULL) {
        fail(wire, "the connection cannot be watched");
        return;
    }
    watch_uv_set(wire->watch, WATCH_READ);
    wire->events->on_open(wire->context);
}

int etcd_wire_send(struct etcd_wire *wire, const uint8_t *bytes, size_t size,
                   size_t *sent)
{
    *sent = 0;
    CURLcode code = wire->multi->curl.send(wire->easy, bytes, size, sent);

    if (code == CURLE_OK && *sent > 0) {
        return RC_OK;
    }
    return code == CURLE_OK || code == CURLE_AGAIN ? RC_EAGAIN : RC_ECLOSED;
}

int etcd_wire_receive(struct etcd_wire *wire, uint8_t *space, size_t size, size_t *got)
{
    *got = 0;
    CURLcode code = wire->multi->curl.receive(wire->easy, space, size, got);

    if (code == CURLE_OK && *got > 0) {
        return RC_OK;
    }
    return code == CURLE_AGAIN ? RC_EAGAIN : RC_ECLOSED;
}

void etcd_wire_want(struct etcd_wire *wire, enum etcd_wire_wish wish)
{
    watch_uv_set(wire->watch,
                 WATCH_READ | (wish == ETCD_WIRE_WRITES ? WATCH_WRITE : WATCH_NOTHING));
}
