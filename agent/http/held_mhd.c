/* held_mhd.c - connections that we hold ourselves while their clients wait.
 *
 * lift_mhd.h takes them out of libmicrohttpd. Here they wait, are answered, and go back as soon
 * as the client asks for something else. */
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "agent/http/answer_head.h"
#include "agent/http/permits.h"
#include "agent/http/server_mhd.h"
#include "base/err.h"

/* An answer that clients have not taken whole: one copy for all who get the same. */
struct held_rest {
    size_t holders;
    size_t size;
    uint8_t bytes[];
};

enum {
    /* Of clients that wait, or are about to ask again. While they wait, what they send is left
     * where it is. */
    AT_REST = PUMP_READABLE | PUMP_HANGUP,
    CONNECTION_BYTES = 2 * TARGET_BYTES_MAX + 1024, /* that libmicrohttpd gives back */
};

/* ---- Who may be lifted. */

/* Others that are forwarded are back soon. */
static bool waits_long(const struct http_exchange *x)
{
    return x->outcome == EXCHANGE_WAITING ||
           (x->is_forwarded && target_parameter(&x->target, "index") != NULL);
}

static bool may_be_lifted(const struct connection *connection)
{
    const struct http_exchange *x = &connection->exchange;

    return connection->http->lift.sink >= 0 && connection->is_countable &&
           connection->is_modern && waits_long(x) && x->method == HTTP_GET;
}

bool held_wants(struct connection *connection)
{
    struct http *http = connection->http;

    if (connection->mhd == NULL || connection->is_leaving) {
        return true;
    }
    if (!may_be_lifted(connection)) {
        return false;
    }
    connection->is_leaving = true;
    connection->previous_leaving = NULL;
    connection->next_leaving = http->first_leaving;
    if (http->first_leaving != NULL) {
        http->first_leaving->previous_leaving = connection;
    }
    http->first_leaving = connection;
    pump_wait(http->pump, 0);
    return true;
}

void held_stays(struct connection *connection)
{
    struct http *http = connection->http;

    if (!connection->is_leaving) {
        return;
    }
    connection->is_leaving = false;
    if (connection->previous_leaving != NULL) {
        connection->previous_leaving->next_leaving = connection->next_leaving;
    } else {
        http->first_leaving = connection->next_leaving;
    }
    if (connection->next_leaving != NULL) {
        connection->next_leaving->previous_leaving = connection->previous_leaving;
    }
}

/* ---- Lifting. */

/* The request's headers lie in libmicrohttpd's memory. */
static int keep_headers(struct connection *connection)
{
    struct exchange_request_headers *headers = &connection->exchange.request;
    const char **const all[] = {&headers->host,          &headers->origin,
                                &headers->fetch_site,    &headers->accept,
                                &headers->if_none_match, &headers->cache_control,
                                &headers->request_id,    &headers->token};
    size_t size = 0;

    headers->accept_encoding = NULL;
    connection->kept_which = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        size += *all[i] != NULL ? strlen(*all[i]) + 1 : 0;
        connection->kept_which |= *all[i] != NULL ? 1U << i : 0U;
    }
    char *at = malloc(size + 1);
    if (at == NULL) {
        return RC_ENOMEM;
    }
    connection->kept = at;
    connection->kept_size = size;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (*all[i] != NULL) {
            size_t its_size = strlen(*all[i]) + 1;
            memcpy(at, *all[i], its_size);
            *all[i] = at;
            at += its_size;
        }
    }
    connection->exchange.method_name = "GET"; /* all that leave are */
    return RC_OK;
}

static void drop_headers(struct connection *connection)
{
    if (connection->kept != NULL) {
        explicit_bzero(connection->kept, connection->kept_size); /* a token, maybe */
        free(connection->kept);
        connection->kept = NULL;
        connection->exchange.request = (struct exchange_request_headers){0};
    }
}

static int take(struct connection *connection, int *own)
{
    struct http *http = connection->http;
    uint64_t read = 0;

    /* What has been read of a next request nobody could get back. */
    if (!lift_bytes_read(connection->descriptor, &read) ||
        read != connection->bytes_read) {
        return RC_EAGAIN;
    }
    *own = lift_take(&http->lift, connection->descriptor);
    if (*own < 0) {
        return RC_EIO;
    }
    int err = pump_watch(http->pump, *own, AT_REST, connection);
    if (err == RC_OK && keep_headers(connection) != RC_OK) {
        pump_end_watch(http->pump, *own);
        err = RC_ENOMEM;
    }
    if (err != RC_OK) {
        lift_undo(connection->descriptor, *own);
    }
    return err;
}

static int lift(struct connection *connection)
{
    struct http *http = connection->http;
    int own = -1;
    int on = 1;
    int err = take(connection, &own);

    if (err != RC_OK) {
        return err;
    }
    /* Otherwise the end of a long answer would wait for the client to confirm the rest. */
    (void)setsockopt(own, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connection->descriptor = own;
    connection->watched = true;
    connection->armed = AT_REST;
    connection->stay->connection = NULL;
    connection->stay = NULL;
    MHD_resume_connection(connection->mhd); /* it will hear MHD_NO */
    connection->mhd = NULL;
    http->held_count++;
    http->freed_bytes += CONNECTION_BYTES;
    return RC_OK;
}

bool held_lift(struct http *http)
{
    size_t before = http->held_count;

    while (http->first_leaving != NULL) {
        struct connection *connection = http->first_leaving;
        held_stays(connection);
        assert(connection->suspended && !connection->watched);
        if (lift(connection) != RC_OK) {
            connection_watch(connection); /* it waits where it is */
        }
    }
    return http->held_count != before;
}

/* ---- Answering. */

static void arm(struct connection *connection, unsigned events)
{
    if (connection->armed != events) {
        connection->armed = events;
        (void)pump_watch_on(connection->http->pump, connection->descriptor, events,
                            connection); /* it is there */
    }
}

static void drop_rest(struct connection *connection)
{
    struct held_rest *rest = connection->rest;

    connection->rest = NULL;
    if (rest != NULL && --rest->holders == 0) {
        connection->http->unread_bytes -= rest->size;
        if (connection->http->last_rest == rest) {
            connection->http->last_rest = NULL;
        }
        free(rest);
    }
}

/* All is sent: now the client may ask again, or close. */
static void end_answer(struct connection *connection)
{
    drop_rest(connection);
    drop_headers(connection);
    connection_rest(connection);
    if (connection->closes) {
        (void)shutdown(connection->descriptor, SHUT_WR);
    }
    arm(connection, AT_REST);
}

/* Whoever calls may be in the midst of this connection: it ends when that is told. */
void held_give_up(struct connection *connection)
{
    connection->closes = true;
    (void)shutdown(connection->descriptor, SHUT_RDWR);
}

static void send_rest(struct connection *connection)
{
    const struct held_rest *rest = connection->rest;
    ssize_t sent = send(connection->descriptor, rest->bytes + connection->sent,
                        rest->size - connection->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        connection_end(connection);
        return;
    }
    if (sent > 0) {
        connection->sent += (size_t)sent;
        connection->since_ms = connection->http->api.now_ms;
    }
    if (connection->sent == rest->size) {
        end_answer(connection);
    } else {
        arm(connection, PUMP_WRITABLE);
    }
}

static bool is_same(const struct held_rest *rest, const struct iovec parts[2])
{
    return rest != NULL && rest->size == parts[0].iov_len + parts[1].iov_len &&
           memcmp(rest->bytes, parts[0].iov_base, parts[0].iov_len) == 0 &&
           (parts[1].iov_len == 0 || memcmp(rest->bytes + parts[0].iov_len,
                                            parts[1].iov_base, parts[1].iov_len) == 0);
}

/* The answer, held by one more; NULL when memory is out. */
static struct held_rest *hold_rest(struct http *http, const struct iovec parts[2])
{
    if (is_same(http->last_rest, parts)) {
        http->last_rest->holders++;
        return http->last_rest;
    }
    size_t size = parts[0].iov_len + parts[1].iov_len;
    struct held_rest *rest = malloc(sizeof *rest + size);
    if (rest == NULL) {
        return NULL;
    }
    rest->holders = 1;
    rest->size = size;
    memcpy(rest->bytes, parts[0].iov_base, parts[0].iov_len);
    if (parts[1].iov_len > 0) {
        memcpy(rest->bytes + parts[0].iov_len, parts[1].iov_base, parts[1].iov_len);
    }
    http->last_rest = rest;
    http->unread_bytes += size;
    return rest;
}

static const char *date_of(struct http *http)
{
    if (http->date_s != http->api.wall_ms / 1000) {
        http->date_s = http->api.wall_ms / 1000;
        answer_date(http->api.wall_ms, http->date);
    }
    return http->date;
}

/* Into http->head. */
static void write_head(struct connection *connection, size_t body_size)
{
    struct http *http = connection->http;
    const struct http_exchange *x = &connection->exchange;
    struct rc_buffer *head = &http->head;

    rc_buffer_clear(head);
    answer_head_begin(head, x->status, MHD_get_reason_phrase_for(x->status),
                      date_of(http));
    answer_each_header(http, x, head);
    answer_head_end(head, x->status, body_size,
                    connection->closes ? ANSWER_CLOSES : ANSWER_KEEPS_ALIVE);
}

static void send_answer(struct connection *connection, struct iovec parts[2])
{
    struct http *http = connection->http;
    const struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

    connection->suspended = false;
    connection->state = CONNECTION_DONE;
    connection->since_ms = http->api.now_ms; /* its wait was not its fault */
    ssize_t sent = sendmsg(connection->descriptor, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
        sent = 0;
    }
    if (sent < 0) {
        held_give_up(connection);
        return;
    }
    if ((size_t)sent == parts[0].iov_len + parts[1].iov_len) {
        end_answer(connection);
        return;
    }
    connection->rest = hold_rest(http, parts);
    if (connection->rest == NULL) {
        held_give_up(connection);
        return;
    }
    answer_return(http, &connection->exchange);
    connection->sent = (size_t)sent;
    arm(connection, PUMP_WRITABLE);
}

void held_answer(struct connection *connection)
{
    struct http *http = connection->http;
    const struct http_exchange *x = &connection->exchange;
    struct iovec parts[2] = {{0}};

    assert(connection->mhd == NULL && connection->rest == NULL);
    parts[1].iov_base = x->page != NULL ? (void *)x->page : x->out.bytes; /* only read */
    parts[1].iov_len = x->page != NULL ? x->page_size : x->out.size;
    write_head(connection, parts[1].iov_len);
    if (http->head.err != RC_OK) {
        held_give_up(connection);
        return;
    }
    parts[0].iov_base = http->head.bytes;
    parts[0].iov_len = http->head.size;
    struct connection *follower = crowd_next(connection);
    while (follower != NULL) {
        send_answer(follower, parts);
        follower = crowd_next(connection);
    }
    send_answer(connection, parts); /* gives the body's memory up */
}

/* ---- What comes from clients. */

static void hand_back(struct connection *connection)
{
    struct http *http = connection->http;
    struct sockaddr_storage address;
    socklen_t size = (socklen_t)rc_address_to_sockaddr(&connection->peer, &address);

    pump_end_watch(http->pump, connection->descriptor);
    connection->watched = false;
    http->returning = connection;
    http->held_count--;
    (void)MHD_add_connection(connection->daemon, connection->descriptor,
                             (const struct sockaddr *)&address, size);
    if (http->returning != NULL) { /* it was closed; otherwise it may be freed by now */
        http->returning = NULL;
        http->held_count++;
        connection->descriptor = -1;
        connection_end(connection);
    }
}

/* A client may ask, and close its side behind that. */
static bool has_request(const struct connection *connection, unsigned events)
{
    char byte;

    return (events & PUMP_READABLE) != 0 &&
           ((events & PUMP_HANGUP) == 0 ||
            recv(connection->descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0);
}

void held_happened(struct connection *connection, unsigned events)
{
    bool is_busy = connection->suspended || connection->rest != NULL;
    bool asks = !is_busy && !connection->closes && has_request(connection, events);

    connection->armed = 0;
    if (asks) {
        hand_back(connection);
    } else if (!is_busy || (events & PUMP_HANGUP) != 0) {
        connection_end(connection);
    } else if (connection->rest != NULL) {
        send_rest(connection);
    } else {
        arm(connection, PUMP_HANGUP); /* the next request waits for this one's answer */
    }
}

void held_end(struct connection *connection)
{
    held_stays(connection);
    crowd_leave(connection);
    drop_headers(connection);
    drop_rest(connection);
    if (connection->mhd == NULL) {
        connection->http->held_count--;
    }
    if (connection->mhd == NULL && connection->descriptor >= 0) {
        (void)close(connection->descriptor);
    }
}
