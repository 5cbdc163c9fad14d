#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/http/errand.h"
#include "agent/http/routes.h"
#include "agent/http/server_mhd.h"
#include "base/err.h"
#include "base/text.h"

enum {
    IDLE_KEPT_S = 60, /* a connection that has proven itself may idle this long */
    BODY_IGNORED_MAX = 16 << 20,
};

/* ---- Connections come and go. */

static size_t count_of(const struct http *http, const struct rc_address *peer)
{
    size_t count = 0;

    for (const struct connection *c = http->connections; c != NULL; c = c->next) {
        count += rc_address_ip_equals(&c->peer, peer) ? 1 : 0;
    }
    return count;
}

enum MHD_Result connection_accept(void *closure, const struct sockaddr *address,
                                  socklen_t size)
{
    struct http *http = closure;
    struct rc_address peer;

    (void)size;
    if (http->returning != NULL) {
        return MHD_YES; /* it counts already */
    }
    if (http->connection_count >= http->limits.connections_max) {
        return MHD_NO;
    }
    if (address == NULL || rc_address_from_sockaddr(address, &peer) != RC_OK ||
        rc_address_is_loopback(&peer)) {
        return MHD_YES; /* this machine: its processes are limited together */
    }
    return count_of(http, &peer) < http->limits.connections_per_client ? MHD_YES : MHD_NO;
}

static int descriptor_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info != NULL ? info->connect_fd : -1;
}

/* Whether it came to a loopback address of ours, where only this machine can be. */
static enum guard_place place_of(int descriptor)
{
    struct sockaddr_storage storage;
    struct rc_address address;
    socklen_t size = sizeof storage;

    if (getsockname(descriptor, (struct sockaddr *)&storage, &size) == 0 &&
        rc_address_from_sockaddr((const struct sockaddr *)&storage, &address) == RC_OK &&
        rc_address_is_loopback(&address)) {
        return GUARD_LOOPBACK;
    }
    return GUARD_ELSEWHERE;
}

/* Whoever has an IPv6 address has its whole /64. */
static uint64_t client_of(const struct rc_address *peer, uint64_t seed)
{
    size_t size = peer->family == RC_ADDRESS_IPV6 ? 8 : 4;

    return rc_hash(peer->ip, size, seed) | 1;
}

static void enlist(struct connection *connection)
{
    struct http *http = connection->http;

    connection->next = http->connections;
    if (http->connections != NULL) {
        http->connections->previous = connection;
    }
    http->connections = connection;
    http->connection_count++;
    if (http->connection_count > http->connection_peak) {
        http->connection_peak = http->connection_count;
    }
}

static struct connection *create(struct http *http, struct MHD_Connection *mhd)
{
    struct connection *connection = rc_stalls_take(&http->stalls);

    if (connection == NULL) {
        return NULL;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (info == NULL || info->client_addr == NULL ||
        rc_address_from_sockaddr(info->client_addr, &connection->peer) != RC_OK) {
        connection->peer = (struct rc_address){0};
    }
    connection->http = http;
    connection->place = place_of(descriptor_of(mhd));
    connection->client = client_of(&connection->peer, http->api.seed);
    connection->since_ms = http->api.now_ms;
    connection->is_countable = connection->peer.family != RC_ADDRESS_NONE;
    connection->listener_id = -1;
    enlist(connection);
    return connection;
}

/* A new one, or one that comes back. */
static void begin(struct http *http, struct MHD_Connection *mhd, void **context)
{
    struct stay *stay = malloc(sizeof *stay);

    *context = stay;
    if (stay == NULL) {
        return; /* its requests are refused */
    }
    stay->connection = http->returning != NULL ? http->returning : create(http, mhd);
    http->returning = NULL;
    if (stay->connection != NULL) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_DAEMON);
        stay->connection->daemon = info != NULL ? info->daemon : NULL;
        stay->connection->descriptor = descriptor_of(mhd);
        stay->connection->mhd = mhd;
        stay->connection->stay = stay;
    }
}

/* Whoever carries its request to a server need not bring the reply. */
static void forget(struct connection *connection)
{
    struct http_exchange *x = &connection->exchange;
    const struct http_operations *operations = &connection->http->api.operations;

    if (x->is_forwarded && x->ticket != 0) {
        (void)rc_table_remove_bytes(connection->http->forwarded, &x->ticket,
                                    sizeof x->ticket);
    }
    if (x->is_forwarded && x->ticket != 0 && operations->forget != NULL) {
        operations->forget(operations->context, x->ticket);
    }
    x->is_forwarded = false;
    x->ticket = 0;
    errand_forget(x);
}

static void end_watch(struct connection *connection)
{
    if (connection->watched) {
        pump_end_watch(connection->http->pump, connection->descriptor);
        connection->watched = false;
    }
}

void connection_end(struct connection *connection)
{
    struct http *http = connection->http;

    forget(connection);
    waiters_remove(http->waiters, &connection->exchange.waiter);
    end_watch(connection);
    answer_end_stream(connection);
    answer_was_read(connection);
    held_end(connection);
    if (connection->previous != NULL) {
        connection->previous->next = connection->next;
    } else {
        http->connections = connection->next;
    }
    if (connection->next != NULL) {
        connection->next->previous = connection->previous;
    }
    http->connection_count--;
    exchange_fini(&connection->exchange);
    rc_stalls_give(&http->stalls, connection);
}

void connection_notify(void *closure, struct MHD_Connection *mhd, void **context,
                       enum MHD_ConnectionNotificationCode code)
{
    struct stay *stay = *context;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        begin(closure, mhd, context);
    } else if (stay != NULL) {
        if (stay->connection != NULL) {
            connection_end(stay->connection);
        }
        free(stay);
        *context = NULL;
    }
}

struct connection *connection_of(struct waiter *waiter)
{
    return (struct connection *)((char *)waiter -
                                 offsetof(struct connection, exchange.waiter));
}

/* How long this connection may stay as it is; UINT64_MAX: that is others' business. */
static uint64_t patience_ms(const struct connection *connection)
{
    uint64_t request_ms = 1000ULL * connection->http->limits.idle_timeout_s;

    switch (connection->state) {
    case CONNECTION_IDLE:
        return connection->is_proven ? request_ms + 1000ULL * IDLE_KEPT_S : request_ms;
    case CONNECTION_HEAD:
        return request_ms;
    case CONNECTION_BODY:
        return connection->suspended ? UINT64_MAX : 3 * request_ms;
    case CONNECTION_DONE:
        return connection->rest != NULL ? request_ms : UINT64_MAX;
    }
    return UINT64_MAX;
}

void connection_sweep(struct http *http)
{
    for (const struct connection *c = http->connections; c != NULL; c = c->next) {
        if (http->api.now_ms - c->since_ms > patience_ms(c)) {
            /* The daemon reads the end of the stream and closes. */
            (void)shutdown(c->descriptor, SHUT_RDWR);
        }
    }
}

/* ---- Suspension. */

void connection_pause(struct connection *connection)
{
    assert(!connection->suspended);
    connection->suspended = true;
    if (connection->mhd != NULL) {
        MHD_suspend_connection(connection->mhd);
    }
}

void connection_watch(struct connection *connection)
{
    if (!connection->watched) {
        connection->watched = pump_watch(connection->http->pump, connection->descriptor,
                                         PUMP_HANGUP, connection) == RC_OK;
    }
}

void connection_leave(struct connection *connection)
{
    if (!held_wants(connection)) {
        connection_watch(connection);
    }
}

void connection_suspend(struct connection *connection)
{
    connection_pause(connection);
    connection_leave(connection);
}

void connection_resume(struct connection *connection)
{
    assert(connection->mhd != NULL);
    held_stays(connection);
    if (!connection->suspended) {
        return;
    }
    connection->suspended = false;
    connection->since_ms = connection->http->api.now_ms; /* its wait was not its fault */
    waiters_remove(connection->http->waiters, &connection->exchange.waiter);
    end_watch(connection);
    MHD_resume_connection(connection->mhd);
    connection->http->has_resumed = true;
    pump_wait(connection->http->pump, 0);
}

void connection_happened(void *context, void *subject, unsigned events)
{
    struct connection *connection = subject;

    (void)context;
    if (connection->mhd == NULL) {
        held_happened(connection, events);
        return;
    }
    connection->gone = true;
    connection_resume(connection);
}

/* ---- Requests. */

void *connection_target(void *closure, const char *raw, struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct stay *stay = info != NULL ? info->socket_context : NULL;
    struct connection *connection = stay != NULL ? stay->connection : NULL;

    (void)closure;
    if (connection != NULL) {
        exchange_reset(&connection->exchange);
        connection->target_err =
            target_parse(&connection->exchange.target, raw, strlen(raw));
        connection->body_ignored = 0;
        connection->body_seen = 0;
        connection->since_ms = connection->http->api.now_ms;
        connection->state = CONNECTION_HEAD;
    }
    return stay;
}

struct framing {
    unsigned lengths;
    unsigned encodings;
    unsigned hosts;
    unsigned unclean;
    uint64_t length;
    int length_err;
    bool closes; /* the connection, after this */
};

/* RFC 9112 section 5: a name ends at its colon; no control characters but tabs in a value. */
static bool header_is_clean(const char *name, const char *value)
{
    if (strpbrk(name, " \t") != NULL) {
        return false;
    }
    for (const char *at = value; at != NULL && *at != '\0'; at++) {
        if (((unsigned char)*at < ' ' && *at != '\t') || *at == 0x7f) {
            return false;
        }
    }
    return true;
}

static enum MHD_Result on_header(void *context, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
    struct framing *framing = context;

    (void)kind;
    if (rc_text_equals_nocase(name, "Content-Length")) {
        framing->lengths++;
        framing->length_err = value == NULL
                                  ? RC_EMALFORMED
                                  : rc_text_to_u64(value, UINT64_MAX, &framing->length);
    } else if (rc_text_equals_nocase(name, "Transfer-Encoding")) {
        framing->encodings++;
    } else if (rc_text_equals_nocase(name, "Connection")) {
        framing->closes |= value != NULL && strcasestr(value, "close") != NULL;
    } else if (rc_text_equals_nocase(name, "Host")) {
        framing->hosts++;
    }
    framing->unclean += header_is_clean(name, value) ? 0 : 1;
    return MHD_YES;
}

static void read_headers(struct connection *connection)
{
    const struct {
        const char *name;
        const char **place;
    } wanted[] = {
        {"Host", &connection->exchange.request.host},
        {"Origin", &connection->exchange.request.origin},
        {"Sec-Fetch-Site", &connection->exchange.request.fetch_site},
        {"Accept", &connection->exchange.request.accept},
        {"Accept-Encoding", &connection->exchange.request.accept_encoding},
        {"If-None-Match", &connection->exchange.request.if_none_match},
        {"Cache-Control", &connection->exchange.request.cache_control},
        {"X-Rollcall-Request", &connection->exchange.request.request_id},
        {"X-Consul-Token", &connection->exchange.request.token},
    };

    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        *wanted[i].place =
            MHD_lookup_connection_value(connection->mhd, MHD_HEADER_KIND, wanted[i].name);
    }
    const char *words =
        MHD_lookup_connection_value(connection->mhd, MHD_HEADER_KIND, "Authorization");
    if (connection->exchange.request.token == NULL && words != NULL &&
        rc_text_starts_with(words, "Bearer ")) {
        connection->exchange.request.token = words + strlen("Bearer ");
    }
}

/* What lifting the connection depends on. */
static void read_framing(struct connection *connection, const struct framing *framing)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

    /* Of a body in chunks, not all bytes are told. */
    connection->is_countable =
        connection->is_countable && info != NULL && framing->encodings == 0;
    connection->bytes_read += info != NULL ? info->header_size : 0;
    connection->closes = framing->closes;
}

/* Two ways to tell where a body ends are two chances to disagree (H4). */
static bool framing_is_sound(const struct framing *framing)
{
    return framing->lengths + framing->encodings <= 1 && framing->length_err == RC_OK;
}

static enum MHD_Result refuse(struct connection *connection, unsigned status,
                              const char *text)
{
    exchange_error(&connection->exchange, status, "%s", text);
    exchange_header(&connection->exchange, "Connection", "close");
    return answer_queue(connection);
}

static enum MHD_Result on_head(struct connection *connection, const char *method)
{
    struct http_exchange *x = &connection->exchange;
    struct framing framing = {0};

    x->method_name = method;
    x->method = exchange_method(method);
    x->client = connection->client;
    x->peer = &connection->peer;
    x->is_local =
        connection->place == GUARD_LOOPBACK || connection->peer.family == RC_ADDRESS_NONE;
    (void)MHD_get_connection_values(connection->mhd, MHD_HEADER_KIND, on_header,
                                    &framing);
    read_headers(connection);
    read_framing(connection, &framing);
    if (!framing_is_sound(&framing)) {
        return refuse(connection, 400, "Bad request: contradicting body lengths");
    }
    if (framing.unclean > 0 || framing.hosts > 1) {
        return refuse(connection, 400, "Bad request: malformed or contradicting headers");
    }
    connection->body_max =
        routes_body_max(x->target.path, connection->http->limits.body_max_bytes);
    bool too_long = framing.length > connection->body_max;
    bool is_plain = connection->body_max == connection->http->limits.body_max_bytes;
    if (too_long && (is_plain || framing.length > BODY_IGNORED_MAX)) {
        return refuse(connection, 413, "Request body is too large");
    }
    connection->body_ignored = too_long ? 1 : 0; /* none of it is kept */
    connection->state = CONNECTION_BODY;
    return MHD_YES;
}

static enum MHD_Result on_upload(struct connection *connection, const char *upload,
                                 size_t *size)
{
    struct rc_buffer *body = &connection->exchange.body;

    connection->body_seen += *size;
    connection->bytes_read += *size;
    if (connection->body_ignored > 0 || *size > connection->body_max - body->size) {
        connection->body_ignored += *size;
    } else {
        rc_buffer_append(body, upload, *size);
    }
    *size = 0;
    return connection->body_ignored > BODY_IGNORED_MAX ? MHD_NO : MHD_YES;
}

static void answer(struct connection *connection)
{
    struct http_exchange *x = &connection->exchange;

    answer_borrow(connection->http, x);
    if (connection->body_ignored > 0) {
        routes_refuse_body(x, connection->body_seen);
    } else if (connection->target_err == RC_ETOOBIG) {
        exchange_error(x, 414, "Request target is too long");
    } else if (connection->target_err != RC_OK) {
        exchange_error(x, 400, "Bad request: malformed path or query");
    } else if (guard_admits(&connection->http->api, x, connection->place)) {
        routes_answer(&connection->http->api, x);
    }
}

static enum MHD_Result carry_out(struct connection *connection)
{
    struct http_exchange *x = &connection->exchange;

    switch (x->outcome) {
    case EXCHANGE_ANSWERED:
        return answer_queue(connection);
    case EXCHANGE_WAITING:
        if (waiters_add(connection->http->waiters, &x->waiter) != RC_OK) {
            exchange_error(x, 500, "%s", rc_strerror(RC_ENOMEM));
            return answer_queue(connection);
        }
        answer_return(connection->http, x);
        connection_suspend(connection);
        return MHD_YES;
    case EXCHANGE_PENDING:
        if (x->is_forwarded) {
            answer_return(connection->http, x); /* it may wait for long */
            /* Without an entry it is found by looking at all. */
            (void)rc_table_put_bytes(connection->http->forwarded, &x->ticket,
                                     sizeof x->ticket, x, NULL);
        }
        if (x->errand != NULL) {
            connection_pause(connection);
        } else {
            connection_suspend(connection);
        }
        return MHD_YES;
    case EXCHANGE_STREAMING:
        return answer_stream(connection);
    }
    return MHD_NO;
}

/* The signature is libmicrohttpd's. NOLINTNEXTLINE(readability-function-size) */
enum MHD_Result connection_request(void *closure, struct MHD_Connection *mhd,
                                   const char *url, const char *method,
                                   const char *version, const char *upload,
                                   size_t *upload_size, void **context)
{
    const struct stay *stay = *context;
    struct connection *connection = stay != NULL ? stay->connection : NULL;

    (void)closure;
    (void)mhd;
    (void)url; /* decoded too early: connection_target() has the raw one */
    if (connection == NULL || connection->gone) {
        return MHD_NO;
    }
    switch (connection->state) {
    case CONNECTION_IDLE:
        return MHD_NO;
    case CONNECTION_HEAD:
        connection->is_modern = strcmp(version, "HTTP/1.1") == 0;
        return on_head(connection, method);
    case CONNECTION_BODY:
        if (*upload_size > 0) {
            return on_upload(connection, upload, upload_size);
        }
        answer(connection);
        return carry_out(connection);
    case CONNECTION_DONE: /* http_finish() has answered while it was suspended */
        return answer_queue(connection);
    }
    return MHD_NO;
}

void connection_go_on(struct connection *connection)
{
    if (connection->mhd != NULL) {
        connection_resume(connection);
        return;
    }
    connection->suspended = false; /* who is answered at once is not resumed */
    answer(connection);
    (void)carry_out(connection);
}

void connection_rest(struct connection *connection)
{
    waiters_remove(connection->http->waiters, &connection->exchange.waiter);
    answer_end_stream(connection);
    answer_was_read(connection);
    forget(connection);
    answer_return(connection->http, &connection->exchange);
    connection->state = CONNECTION_IDLE;
    connection->since_ms = connection->http->api.now_ms;
    connection->is_proven = true;
}

void connection_completed(void *closure, struct MHD_Connection *mhd, void **context,
                          enum MHD_RequestTerminationCode code)
{
    const struct stay *stay = *context;

    (void)closure;
    (void)code;
    if (stay != NULL && stay->connection != NULL) {
        connection_rest(stay->connection);
        /* Fails only for a connection that is closing. */
        (void)MHD_set_connection_option(mhd, MHD_CONNECTION_OPTION_TIMEOUT,
                                        (unsigned)IDLE_KEPT_S);
    }
}
