/* admin_mhd.c - see admin_mhd.h. */
#include "proxy/admin_mhd.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "base/err.h"
#include "base/text.h"

enum { CONNECTIONS_MAX = 64, IDLE_SECONDS = 30, BACKLOG = 64 };

struct admin {
    struct MHD_Daemon *daemon;
    struct admin_hooks hooks;
};

/* An answer in the making. */
struct answer {
    unsigned status;
    const char *type;
    struct rc_buffer body;
};

static const char plain[] = "text/plain; charset=utf-8";

static void say(struct answer *answer, unsigned status, const char *text)
{
    answer->status = status;
    answer->type = plain;
    rc_buffer_clear(&answer->body);
    rc_buffer_text(&answer->body, text);
}

/* --- pages --- */

static void on_health(struct admin *admin, struct answer *answer)
{
    (void)admin;
    say(answer, MHD_HTTP_OK, "ok\n");
}

static void on_ready(struct admin *admin, struct answer *answer)
{
    bool ready = admin->hooks.is_ready(admin->hooks.context);
    say(answer, ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
        ready ? "ready\n" : "not ready: draining, or no source has answered yet\n");
}

static void on_metrics(struct admin *admin, struct answer *answer)
{
    answer->type = "text/plain; version=0.0.4; charset=utf-8";
    admin->hooks.put_metrics(admin->hooks.context, &answer->body);
}

static void on_upstreams(struct admin *admin, struct answer *answer)
{
    answer->type = "application/json";
    admin->hooks.put_upstreams(admin->hooks.context, &answer->body);
}

static void on_config(struct admin *admin, struct answer *answer)
{
    admin->hooks.put_config(admin->hooks.context, &answer->body);
}

static void on_index(struct admin *admin, struct answer *answer)
{
    (void)admin;
    say(answer, MHD_HTTP_OK,
        "rollcall-proxy\n"
        "GET  /health /ready /metrics /upstreams /config\n"
        "POST /upstreams/POOL/INSTANCE/drain, .../undrain, /reload\n");
}

static const struct {
    const char *path;
    void (*put)(struct admin *admin, struct answer *answer);
} pages[] = {
    {"/", on_index},          {"/health", on_health},       {"/ready", on_ready},
    {"/metrics", on_metrics}, {"/upstreams", on_upstreams}, {"/config", on_config},
};

static void on_get(struct admin *admin, const char *path, struct answer *answer)
{
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        if (rc_text_equals(path, pages[i].path)) {
            pages[i].put(admin, answer);
            return;
        }
    }
    say(answer, MHD_HTTP_NOT_FOUND, "no such page: GET / lists them\n");
}

static void on_post(struct admin *admin, const char *path, struct answer *answer)
{
    struct admin_order order;
    if (rc_text_equals(path, "/reload")) {
        admin->hooks.reload(admin->hooks.context);
        say(answer, MHD_HTTP_OK, "reloaded, or refused: the log tells\n");
        return;
    }
    if (admin_pages_order(path, &order) != RC_OK) {
        say(answer, MHD_HTTP_NOT_FOUND, "no such order: GET / lists them\n");
        return;
    }
    if (admin->hooks.order(admin->hooks.context, &order) != RC_OK) {
        say(answer, MHD_HTTP_NOT_FOUND, "no such pool or instance: see /upstreams\n");
        return;
    }
    say(answer, MHD_HTTP_OK, "done\n");
}

/* --- who may ask --- */

/* "127.0.0.1:8800", "[::1]:8800", "localhost": not a name that somebody's DNS may turn to us. */
static bool is_own_name(const char *host)
{
    struct rc_address address;
    if (host == NULL) {
        return true; /* HTTP/1.0 without one: no browser */
    }
    return rc_address_parse(host, 1, &address) == RC_OK ||
           rc_text_equals_nocase(host, "localhost") ||
           rc_text_starts_with(host, "localhost:");
}

static bool may_ask(struct MHD_Connection *connection, const char *method)
{
    const char *host =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
    const char *origin =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ORIGIN);
    return is_own_name(host) && (origin == NULL || rc_text_equals(method, "GET"));
}

/* --- the daemon --- */

static enum MHD_Result send_answer(struct MHD_Connection *connection,
                                   struct answer *answer)
{
    static char nothing[1];
    size_t size = answer->body.size;
    struct MHD_Response *response = MHD_create_response_from_buffer(
        size, size > 0 ? (char *)answer->body.bytes : nothing, MHD_RESPMEM_MUST_COPY);
    rc_buffer_fini(&answer->body);
    if (response == NULL) {
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->type);
    (void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    enum MHD_Result queued = MHD_queue_response(connection, answer->status, response);
    MHD_destroy_response(response);
    return queued;
}

/* The signature is libmicrohttpd's. NOLINTNEXTLINE(readability-function-size) */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method,
                                  const char *version, const char *upload,
                                  size_t *upload_size, void **request)
{
    static char seen; /* its address marks a request whose head was seen */
    struct admin *admin = context;
    struct answer answer = {.status = MHD_HTTP_OK, .type = plain};
    (void)version;
    (void)upload;
    if (*request == NULL) {
        *request = &seen;
        return MHD_YES;
    }
    if (*upload_size > 0) { /* no order takes a body: read and forget */
        *upload_size = 0;
        return MHD_YES;
    }
    if (!may_ask(connection, method)) {
        say(&answer, MHD_HTTP_FORBIDDEN, "refused: ask by address or localhost\n");
    } else if (rc_text_equals(method, "GET") || rc_text_equals(method, "HEAD")) {
        on_get(admin, path, &answer);
    } else if (rc_text_equals(method, "POST")) {
        on_post(admin, path, &answer);
    } else {
        say(&answer, MHD_HTTP_METHOD_NOT_ALLOWED, "GET or POST\n");
    }
    return send_answer(connection, &answer);
}

static int listen_on(const struct rc_address *address)
{
    struct sockaddr_storage name;
    size_t size = rc_address_to_sockaddr(address, &name);
    int one = 1;
    int fd = socket(name.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&name, (socklen_t)size) != 0 ||
        listen(fd, BACKLOG) != 0) {
        int why = errno;
        (void)close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

int admin_start(const struct rc_address *address, const struct admin_hooks *hooks,
                struct admin **out)
{
    struct admin *admin = calloc(1, sizeof *admin);
    int fd = listen_on(address);
    if (admin == NULL || fd < 0) {
        free(admin);
        if (fd >= 0) {
            (void)close(fd);
        }
        return fd < 0 ? RC_EIO : RC_ENOMEM;
    }
    admin->hooks = *hooks;
    admin->daemon = MHD_start_daemon(
        MHD_USE_EPOLL, 0, NULL, NULL, on_request, admin, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_END);
    if (admin->daemon == NULL) {
        (void)close(fd);
        free(admin);
        return RC_ENOMEM;
    }
    *out = admin;
    return RC_OK;
}

void admin_stop(struct admin *admin)
{
    if (admin != NULL) {
        MHD_stop_daemon(admin->daemon); /* closes the listening socket too */
        free(admin);
    }
}

int admin_fd(const struct admin *admin)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(admin->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    assert(info != NULL);
    return info->epoll_fd;
}

void admin_run(struct admin *admin)
{
    (void)MHD_run(admin->daemon);
}

int64_t admin_timeout_ms(const struct admin *admin)
{
    MHD_UNSIGNED_LONG_LONG timeout_ms = 0;
    return MHD_get_timeout(admin->daemon, &timeout_ms) == MHD_YES ? (int64_t)timeout_ms
                                                                  : -1;
}
