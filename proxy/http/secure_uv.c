/* secure_uv.c - TLS with a client: its handshake, before there is any request.
 *
 * So many handshakes run at once and no more, as each costs as much as a hundred requests: later
 * ones wait for their turn, within the time that each has. */
#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/logger.h"
#include "proxy/http/http_state_uv.h"
#include "proxy/tls/tls_stream_openssl.h"

enum { WORDS_EVERY_MS = 1000 };

static const char *const result_labels[HTTP_SHAKE_COUNT] = {
    [HTTP_SHAKE_FULL] = "result=\"full\"",
    [HTTP_SHAKE_RESUMED] = "result=\"resumed\"",
    [HTTP_SHAKE_FAILED] = "result=\"failed\"",
    [HTTP_SHAKE_LATE] = "result=\"late\"",
};

void secure_open(struct http_secure *secure, struct rc_metrics *metrics)
{
    TAILQ_INIT(&secure->waiting);
    for (int i = 0; i < HTTP_SHAKE_COUNT; i++) {
        secure->results[i] =
            rc_metrics_counter(metrics, "rollcall_proxy_tls_handshakes_total",
                               result_labels[i], "TLS handshakes with clients.");
    }
    secure->queued =
        rc_metrics_counter(metrics, "rollcall_proxy_tls_handshakes_queued_total", NULL,
                           "TLS handshakes that had to wait for others.");
}

/* True if it began; else the client has been closed. */
static bool start(struct client *client)
{
    struct tls_context *context = worker_listener_tls(client->listener);
    struct tls_stream *stream =
        context != NULL ? tls_stream_accept(context, client->socket.fd) : NULL;

    if (stream == NULL || http_socket_secure(&client->socket, stream) != RC_OK) {
        client_close(client);
        return false;
    }
    client->secure = CLIENT_SHAKING;
    client->http->secure.running++;
    client_rearm(client);
    return true;
}

void secure_begin(struct client *client)
{
    struct http_secure *secure = &client->http->secure;
    const struct config_listener *listener = worker_listener_config(client->listener);

    client_set_deadline(client, http_now_ms(client->http) + listener->secure.limit_ms);
    if (secure->running < listener->secure.handshakes) {
        (void)start(client);
        return;
    }
    client->secure = CLIENT_WAITS_FOR_TLS;
    TAILQ_INSERT_TAIL(&secure->waiting, client, wait_link);
    rc_metric_add(secure->queued, 1);
}

/* A handshake is over: the next one. */
static void next(struct http_secure *secure)
{
    struct client *client = TAILQ_FIRST(&secure->waiting);

    secure->running--;
    if (client != NULL) {
        TAILQ_REMOVE(&secure->waiting, client, wait_link);
        client->secure = CLIENT_SECURE;
        (void)start(client);
    }
}

void secure_leave(struct client *client)
{
    struct http_secure *secure = &client->http->secure;
    enum client_secure was = client->secure;

    client->secure = CLIENT_SECURE;
    if (was == CLIENT_WAITS_FOR_TLS) {
        TAILQ_REMOVE(&secure->waiting, client, wait_link);
    } else if (was == CLIENT_SHAKING) {
        next(secure);
    }
}

/* One line a second at most: a scanner makes thousands of these. */
static void say_why(const struct client *client, const char *why)
{
    struct http_secure *secure = &client->http->secure;
    uint64_t now_ms = http_now_ms(client->http);

    if (now_ms - secure->said_at_ms >= WORDS_EVERY_MS) {
        secure->said_at_ms = now_ms;
        rc_log(RC_LOG_INFO, "proxy", "TLS with a client at %s came to nothing: %s",
               client->peer_text, why);
    }
}

static void count(const struct client *client, enum http_shake result)
{
    rc_metric_add(client->http->secure.results[result], 1);
    if (result >= HTTP_SHAKE_FAILED) {
        meter_refuse(worker_listener_lane(client->listener), REFUSAL_TLS);
    }
}

/* Somebody took this port for a plain one: said in a way that he can read. */
static void answer_plainly(struct client *client)
{
    static const char answer[] =
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Length: 42\r\nConnection: close\r\n\r\n"
        "this port speaks TLS: say https, not http\n";
    size_t sent = 0;

    http_socket_unveil(&client->socket);
    (void)http_socket_write(&client->socket, NULL, (const uint8_t *)answer,
                            sizeof answer - 1, &sent);
    client_linger(client);
}

static void on_failed(struct client *client)
{
    const struct tls_stream *stream = http_socket_stream(&client->socket);
    bool plain = tls_stream_met_http(stream);

    say_why(client, tls_stream_problem(stream));
    count(client, HTTP_SHAKE_FAILED);
    secure_leave(client);
    if (plain) {
        answer_plainly(client);
    } else {
        client_close(client);
    }
}

bool secure_on_event(struct client *client, int status)
{
    const struct config_listener *listener = worker_listener_config(client->listener);

    if (status < 0) {
        on_failed(client);
        return false;
    }
    const struct tls_stream *stream = http_socket_stream(&client->socket);
    bool resumed = tls_stream_is_resumed(stream);
    count(client, resumed ? HTTP_SHAKE_RESUMED : HTTP_SHAKE_FULL);
    secure_leave(client);
    client_set_deadline(client, http_now_ms(client->http) + listener->head_timeout_ms);
    if (tls_agreed_protocol(stream) == TLS_PROTOCOL_HTTP2) {
        h2_link_open(client);
        return false;
    }
    return true;
}

/* The host without its port. */
static size_t name_size(struct rc_span host)
{
    for (size_t i = host.size; i > 0 && host.at[i - 1] != ']'; i--) {
        if (host.at[i - 1] == ':') {
            return i - 1;
        }
    }
    return host.size;
}

/* Of the connection, also for one of its streams; NULL = plain. */
static struct tls_stream *stream_of(const struct client *client)
{
    const struct client *carrier =
        client->stream != NULL ? h2_stream_carrier(client) : client;
    return http_socket_stream(&carrier->socket);
}

/* A client that put several names on one connection, which its certificate does not cover all
 * (RFC 9110 section 15.5.20): routes and their rules must not be reached under another's name. */
bool secure_is_misdirected(const struct client *client, struct rc_span host)
{
    struct tls_stream *stream = stream_of(client);
    return stream != NULL && !tls_stream_covers(stream, host.at, name_size(host));
}

const char *secure_hsts(const struct exchange *x)
{
    return x->client->secure != CLIENT_PLAIN && x->listener->secure.hsts_s > 0
               ? x->listener->secure.hsts_line
               : NULL;
}

void secure_on_timer(struct client *client)
{
    say_why(client, "it took too long");
    count(client, HTTP_SHAKE_LATE);
    client_close(client);
}
