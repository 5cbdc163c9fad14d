#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/http/answers.h"
#include "agent/http/permits.h"
#include "agent/http/relay.h"
#include "agent/http/server_mhd.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/logger.h"
#include "base/metrics.h"
#include "base/text.h"

enum {
    LISTEN_BACKLOG = 1024,
    SWEEP_EVERY_MS = 5000,
    GO_ON_AT_ONCE = 128,      /* whose wait is over; then others have their turn */
    RESUME_FIRST = 64,        /* of them, inside daemons */
    OTHER_DESCRIPTORS = 1024, /* of gossip, DNS, checks, files */
    /* Request line and headers, both ways: twice the longest target. It is zeroed after every
     * request, so more would cost each connection its pages and each request its time. */
    CONNECTION_MEMORY_BYTES = 2 * TARGET_BYTES_MAX,
};

static void show_place(const struct http_listener *listener, char *space, size_t size)
{
    if (listener->unix_path != NULL) {
        (void)snprintf(space, size, "%s", listener->unix_path);
    } else {
        char address[RC_ADDRESS_TEXT_MAX];
        rc_address_format(&listener->address, address);
        (void)snprintf(space, size, "%s", address);
    }
}

static int bind_unix(int fd, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat old;

    if (rc_text_put(address.sun_path, sizeof address.sun_path, path) != RC_OK) {
        errno = ENAMETOOLONG;
        return RC_EIO;
    }
    if (lstat(path, &old) == 0 && S_ISSOCK(old.st_mode)) {
        (void)unlink(path); /* if it stays, bind says so */
    }
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        chmod(path, 0660) != 0) {
        return RC_EIO;
    }
    return RC_OK;
}

static int bind_address(int fd, const struct rc_address *address)
{
    struct sockaddr_storage storage;
    int on = 1;
    size_t size = rc_address_to_sockaddr(address, &storage);

    /* An agent that restarts must get its port back at once. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->family == RC_ADDRESS_IPV6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    }
    if (bind(fd, (const struct sockaddr *)&storage, (socklen_t)size) != 0) {
        return RC_EIO;
    }
    return RC_OK;
}

/* A listening socket, or -1 with errno. */
static int open_socket(const struct http_listener *listener)
{
    int family = AF_UNIX;

    if (listener->unix_path == NULL) {
        family = listener->address.family == RC_ADDRESS_IPV6 ? AF_INET6 : AF_INET;
    }
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    int err = listener->unix_path != NULL ? bind_unix(fd, listener->unix_path)
                                          : bind_address(fd, &listener->address);
    if (err != RC_OK || listen(fd, LISTEN_BACKLOG) != 0) {
        int why = errno;
        (void)close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

/* libmicrohttpd's own words about broken clients are no news for the operator. */
static void ignore_log(void *closure, const char *format, va_list arguments)
{
    (void)closure;
    (void)format;
    (void)arguments;
}

static int start_daemon(struct http *http, const struct http_listener *listener,
                        char error[HTTP_ERROR_MAX])
{
    char place[HTTP_ERROR_MAX - 80];
    int fd = open_socket(listener);

    show_place(listener, place, sizeof place);
    if (fd < 0) {
        (void)snprintf(error, HTTP_ERROR_MAX, "http: cannot listen on %s: %s", place,
                       strerrordesc_np(errno));
        return RC_EIO;
    }
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
        connection_accept, http, connection_request, http, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, http->limits.connections_max,
        MHD_OPTION_CONNECTION_TIMEOUT, http->limits.idle_timeout_s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_EXTERNAL_LOGGER, ignore_log, NULL,
        MHD_OPTION_NOTIFY_CONNECTION, connection_notify, http,
        MHD_OPTION_NOTIFY_COMPLETED, connection_completed, http,
        MHD_OPTION_URI_LOG_CALLBACK, connection_target, http, MHD_OPTION_END);
    if (daemon == NULL) {
        (void)close(fd);
        (void)snprintf(error, HTTP_ERROR_MAX, "http: cannot serve on %s", place);
        return RC_EIO;
    }
    if (listener->unix_path != NULL) {
        (void)rc_text_put(http->unix_paths[http->daemon_count],
                          sizeof http->unix_paths[0], listener->unix_path);
    }
    http->daemons[http->daemon_count++] = daemon;
    return RC_OK;
}

static void tell_time(struct http *http)
{
    http->api.now_ms = pump_now_ms(http->pump);
    http->api.wall_ms = rc_clock_wall_ms();
}

static uint64_t daemon_wait_ms(struct MHD_Daemon *daemon)
{
    MHD_UNSIGNED_LONG_LONG wait_ms = 0;
    return MHD_get_timeout(daemon, &wait_ms) == MHD_YES ? wait_ms : UINT64_MAX;
}

/* After a crowd has gone, its memory lies free between what stays: glibc keeps it until it
 * is asked. */
static void give_memory_back(struct http *http)
{
    enum { CROWD = 64, FREED_BYTES = 4 << 20 };
    bool crowd_left = http->connection_peak >= CROWD &&
                      http->connection_count < http->connection_peak / 4;

    if (crowd_left || http->freed_bytes >= FREED_BYTES) {
        (void)malloc_trim(0);
        http->connection_peak = http->connection_count;
        http->freed_bytes = 0;
    }
}

static struct http_exchange *exchange_of(struct waiter *waiter)
{
    return (struct http_exchange *)((char *)waiter -
                                    offsetof(struct http_exchange, waiter));
}

/* One whose wait is over: it was called, or its time has come. NULL: there is none. */
static struct http_exchange *next_due(struct http *http)
{
    struct waiter *waiter = waiters_next(http->waiters);

    if (waiter != NULL) {
        return exchange_of(waiter);
    }
    waiter = waiters_expire(http->waiters, http->api.now_ms);
    if (waiter == NULL) {
        return NULL;
    }
    exchange_of(waiter)->expired = true;
    return exchange_of(waiter);
}

/* A daemon looks at all its suspended connections whenever some are resumed: not often, but
 * the first soon. */
static void go_on(struct http *http)
{
    size_t resumed = 0;
    size_t others = 0;

    while (resumed < http->resume_count && others < GO_ON_AT_ONCE) {
        struct http_exchange *x = next_due(http);
        if (x == NULL) {
            break;
        }
        if (x->served != NULL) {
            served_wake(x->served);
            others++;
            continue;
        }
        struct connection *connection = connection_of(&x->waiter);
        if (connection->mhd != NULL) {
            connection_go_on(connection);
            resumed++;
        } else {
            crowd_add(connection);
            others++;
        }
    }
    crowd_go_on(http);
    bool more = resumed == http->resume_count;
    http->resume_count = more ? 2 * resumed : RESUME_FIRST;
}

/* When to run again at the latest. */
static uint64_t next_run_ms(const struct http *http)
{
    uint64_t wait_ms = UINT64_MAX;
    uint64_t due_ms = waiters_deadline_ms(http->waiters);

    if (http->has_resumed || http->first_leaving != NULL || http->first_ready != NULL ||
        waiters_has_called(http->waiters)) {
        return 0;
    }
    if (http->connection_count > waiters_count(http->waiters)) {
        wait_ms = SWEEP_EVERY_MS;
    }
    for (size_t i = 0; i < http->daemon_count; i++) {
        uint64_t its_ms = daemon_wait_ms(http->daemons[i]);
        wait_ms = its_ms < wait_ms ? its_ms : wait_ms;
    }
    if (due_ms != UINT64_MAX) {
        uint64_t its_ms = due_ms > http->api.now_ms ? due_ms - http->api.now_ms : 0;
        wait_ms = its_ms < wait_ms ? its_ms : wait_ms;
    }
    return wait_ms;
}

static void run_daemons(struct http *http)
{
    http->has_resumed = false;
    for (size_t i = 0; i < http->daemon_count; i++) {
        (void)MHD_run(http->daemons[i]); /* fails only for daemons with threads */
    }
}

static void run(void *context)
{
    struct http *http = context;

    tell_time(http);
    if (http->api.now_ms >= http->sweep_at_ms) {
        connection_sweep(http);
        http->sweep_at_ms = http->api.now_ms + SWEEP_EVERY_MS;
    }
    go_on(http);
    served_run(http);
    run_daemons(http);
    if (held_lift(http)) {
        run_daemons(http); /* which free what was left with them */
    }
    pump_wait(http->pump, next_run_ms(http));
    give_memory_back(http);
    rc_metric_set(http->connections_gauge, (double)http->connection_count);
    rc_metric_set(http->waiting_gauge, (double)waiters_count(http->waiters));
    rc_metric_set(http->held_gauge, (double)http->held_count);
}

static void set_up(struct http *http, const struct http_options *options)
{
    http->api = (struct http_api){
        .catalog = options->catalog,
        .gossip = options->gossip,
        .local = options->local,
        .store = options->store,
        .engine = options->engine,
        .queries = options->queries,
        .events = options->events,
        .history = options->history,
        .proxies = options->proxies,
        .metrics = options->metrics,
        .permits = options->permits,
        .facts = options->facts,
        .operations = options->operations,
        .host_names = options->host_names,
        .host_name_count = options->host_name_count,
        .hosts_everywhere = options->hosts_everywhere,
        .without_page = options->without_page,
        .resume = http_go_on,
        .resume_context = http,
        .seed = options->random_seed,
        .members_index = rc_clock_wall_ms() / 1000, /* above those of the last run */
    };
    rc_random_init(&http->api.random, options->random_seed);
    http->limits = options->limits;
    struct http_limits *limits = &http->limits;
    limits->connections_max =
        limits->connections_max != 0 ? limits->connections_max : 16384;
    limits->connections_per_client =
        limits->connections_per_client != 0 ? limits->connections_per_client : 200;
    limits->body_max_bytes =
        limits->body_max_bytes != 0 ? limits->body_max_bytes : 64 * 1024;
    limits->idle_timeout_s = limits->idle_timeout_s != 0 ? limits->idle_timeout_s : 10;
    http->stalls.size = sizeof(struct connection);
    http->resume_count = RESUME_FIRST;
    http->thread = pthread_self();
    if (options->metrics != NULL) {
        http->connections_gauge =
            rc_metrics_gauge(options->metrics, "rollcall_http_connections", NULL,
                             "Open HTTP connections.");
        http->waiting_gauge =
            rc_metrics_gauge(options->metrics, "rollcall_http_blocking_queries", NULL,
                             "Blocking queries that wait for a change.");
        http->held_gauge =
            rc_metrics_gauge(options->metrics, "rollcall_http_held_connections", NULL,
                             "HTTP connections held without libmicrohttpd, in less "
                             "memory: of blocking queries, and after them.");
    }
}

/* The usual soft limit of 1024 descriptors is for programs that use select(). Without room
 * the daemons stop accepting until a connection ends, which is no fault either. */
static void make_room(const struct http *http)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)http->limits.connections_max + OTHER_DESCRIPTORS;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < wanted) {
        limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void stop_daemons(struct http *http)
{
    for (size_t i = 0; i < http->daemon_count; i++) {
        MHD_stop_daemon(http->daemons[i]);
        if (http->unix_paths[i][0] != '\0') {
            (void)unlink(http->unix_paths[i]); /* may be gone already */
        }
    }
    http->daemon_count = 0;
}

static int start_listeners(struct http *http, const struct http_options *options,
                           struct uv_loop_s *loop, char error[HTTP_ERROR_MAX])
{
    int descriptors[HTTP_LISTENERS_MAX];
    struct pump_owner owner = {run, connection_happened, http};

    for (size_t i = 0; i < options->listener_count; i++) {
        int err = start_daemon(http, &options->listeners[i], error);
        if (err != RC_OK) {
            return err;
        }
        const union MHD_DaemonInfo *info =
            MHD_get_daemon_info(http->daemons[i], MHD_DAEMON_INFO_EPOLL_FD);
        if (info == NULL) {
            return RC_EIO;
        }
        descriptors[i] = info->epoll_fd;
    }
    return pump_start(loop, descriptors, http->daemon_count, &owner, &http->pump);
}

/* Without it all goes on as libmicrohttpd's manual says, at a higher price. */
static void open_lift(struct http *http)
{
    const char *why = NULL;

    if (lift_open(&http->lift, &why) != RC_OK) {
        rc_log(
            RC_LOG_WARN, "http",
            "blocking queries take more memory with libmicrohttpd %s than with 0.9.75: %s",
            MHD_get_version(), why);
    }
}

int http_start(struct uv_loop_s *loop, const struct http_options *options,
               char error[HTTP_ERROR_MAX], struct http **out)
{
    (void)rc_text_put(error, HTTP_ERROR_MAX, "http: wrong options");
    if (options->listener_count == 0 || options->listener_count > HTTP_LISTENERS_MAX ||
        options->catalog == NULL) {
        return RC_EINVAL;
    }
    (void)rc_text_put(error, HTTP_ERROR_MAX, "http: out of memory");
    struct http *http = calloc(1, sizeof *http);
    if (http == NULL) {
        return RC_ENOMEM;
    }
    set_up(http, options);
    open_lift(http);
    http->waiters = waiters_create(options->random_seed);
    http->tickets = rc_table_create(options->random_seed);
    http->forwarded = rc_table_create(options->random_seed);
    make_room(http);
    http->api.answers = answers_create(); /* without it every body is made anew */
    int err = http->waiters == NULL || http->tickets == NULL || http->forwarded == NULL
                  ? RC_ENOMEM
                  : start_listeners(http, options, loop, error);
    if (err != RC_OK) {
        stop_daemons(http);
        lift_close(&http->lift);
        waiters_destroy(http->waiters);
        rc_table_destroy(http->tickets);
        rc_table_destroy(http->forwarded);
        answers_destroy(http->api.answers);
        free(http);
        return err;
    }
    error[0] = '\0';
    run(http); /* sets the first timer */
    *out = http;
    return RC_OK;
}

static void on_pump_closed(void *context)
{
    struct http *http = context;
    void (*on_closed)(void *) = http->on_closed;
    void *its = http->context;

    free(http);
    if (on_closed != NULL) {
        on_closed(its);
    }
}

/* A daemon must not be stopped while it has suspended connections. */
static void end_connections(struct http *http)
{
    struct connection *next = NULL;

    for (struct connection *c = http->connections; c != NULL; c = next) {
        next = c->next;
        if (c->mhd == NULL) {
            connection_end(c);
        } else {
            c->gone = true;
            connection_resume(c);
        }
    }
}

void http_close(struct http *http, void (*on_closed)(void *context), void *context)
{
    if (http == NULL) {
        return;
    }
    http->on_closed = on_closed;
    http->context = context;
    /* What is answered already, such as the request to leave, goes out first. */
    for (size_t i = 0; i < http->daemon_count; i++) {
        (void)MHD_run(http->daemons[i]);
    }
    end_connections(http);
    for (size_t i = 0; i < http->daemon_count; i++) {
        (void)MHD_run(http->daemons[i]);
    }
    struct pump *pump = http->pump;
    pump_wait(pump, UINT64_MAX);
    pump_close(pump, on_pump_closed, http);
    stop_daemons(http);
    assert(http->connections == NULL);
    served_end_all(http);
    waiters_destroy(http->waiters);
    rc_table_destroy(http->tickets);
    rc_table_destroy(http->forwarded);
    answers_destroy(http->api.answers);
    for (size_t i = 0; i < http->spare_count; i++) {
        rc_buffer_fini(&http->spares[i]);
    }
    rc_buffer_fini(&http->head);
    lift_close(&http->lift);
}

void http_wake(struct http *http, uint64_t key)
{
    waiters_call(http->waiters, key);
    if (waiters_has_called(http->waiters)) {
        pump_wait(http->pump, 0);
    }
}

void http_wake_all(struct http *http)
{
    waiters_call_all(http->waiters);
    if (waiters_has_called(http->waiters)) {
        pump_wait(http->pump, 0);
    }
}

void http_catalog_changed(struct http *http, const struct catalog_change *changes,
                          size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (changes[i].topic == CATALOG_TOPIC_ALL) {
            http_wake_all(http);
            return;
        }
        http_wake(http, waiters_key(changes[i].topic, changes[i].name, http->api.seed));
    }
    if (count > 0) {
        http_wake(http, waiters_key(CATALOG_TOPIC_ALL, "", http->api.seed));
    }
}

void http_tell_news(struct http *http, enum http_news news)
{
    if (http == NULL) {
        return;
    }
    if (news == HTTP_NEWS_MEMBER) {
        http->api.members_index++;
    }
    http_wake(http, waiters_news_key(news, http->api.seed));
}

/* NULL: the client did not wait for it. */
static struct http_exchange *with_ticket(struct http *http, http_ticket ticket)
{
    struct http_exchange *x = rc_table_get_bytes(http->forwarded, &ticket, sizeof ticket);

    if (x != NULL) { /* most are */
        (void)rc_table_remove_bytes(http->forwarded, &ticket, sizeof ticket);
        return x;
    }
    for (struct connection *c = http->connections; c != NULL; c = c->next) {
        if (c->exchange.ticket == ticket) {
            return &c->exchange;
        }
    }
    return served_with_ticket(http, ticket);
}

static void finish(struct http_exchange *x)
{
    x->ticket = 0;
    http_answered(x);
}

void http_answered(struct http_exchange *x)
{
    x->outcome = EXCHANGE_ANSWERED;
    if (x->served != NULL) {
        served_finish(x->served);
        return;
    }
    struct connection *connection = connection_of(&x->waiter);
    if (!connection->suspended) {
        return; /* it is being answered at this moment */
    }
    connection->state = CONNECTION_DONE;
    if (connection->mhd == NULL) {
        (void)answer_queue(connection);
    } else {
        connection_resume(connection);
    }
}

void http_finish_json(struct http *http, http_ticket ticket, const void *body,
                      size_t size)
{
    struct http_exchange *x = ticket != 0 ? with_ticket(http, ticket) : NULL;

    if (x == NULL) {
        return;
    }
    struct rc_json json = exchange_json(x);
    rc_buffer_append(json.out, body, size);
    exchange_json_end(x);
    finish(x);
}

void http_finish_text(struct http *http, http_ticket ticket, unsigned status,
                      const char *text)
{
    struct http_exchange *x = ticket != 0 ? with_ticket(http, ticket) : NULL;

    if (x == NULL) {
        return;
    }
    if (status >= 400) {
        exchange_error(x, status, "%s", text);
    } else {
        exchange_done(x);
        x->content_type = text[0] != '\0' ? "text/plain; charset=utf-8" : NULL;
        rc_buffer_text(&x->out, text);
    }
    finish(x);
}

void http_finish(struct http *http, http_ticket ticket, int err, const char *text)
{
    struct http_exchange *x = ticket != 0 ? with_ticket(http, ticket) : NULL;

    if (x == NULL) {
        return;
    }
    if (err == RC_OK) {
        exchange_done(x);
    } else {
        /* Go's multi-error, which Consul's command line prints as it is. */
        exchange_error(x, 500, "1 error occurred:\n\t* %s\n\n",
                       text != NULL ? text : rc_strerror(err));
    }
    finish(x);
}

void http_finish_reply(struct http *http, http_ticket ticket,
                       const struct http_reply *reply)
{
    struct http_exchange *x = ticket != 0 ? with_ticket(http, ticket) : NULL;
    uint64_t key = 0;

    if (x != NULL) {
        permits_forwarded(&http->api, x, reply);
        relay_take(x, reply);
        finish(x);
    } else if (permits_told(&http->api, ticket, reply, &key)) {
        http_wake(http, key);
    }
}

uint64_t http_dns_serial(struct http *http)
{
    if (http == NULL) {
        return 0;
    }
    tell_time(http); /* between two runs */
    return permits_dns_serial(&http->api);
}

bool http_dns_shows(struct http *http, enum permit_resource resource, const char *name)
{
    return http == NULL || permits_dns_shows(&http->api, resource, name);
}
