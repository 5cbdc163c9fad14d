/* admin_mhd.c - see admin_mhd.h. */
#include "proxy/admin/admin_mhd.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "base/err.h"
#include "base/text.h"
#include "proxy/admin/admin_files.h"

enum { CONNECTIONS_MAX = 64, PER_ADDRESS_MAX = 16, IDLE_SECONDS = 30, BACKLOG = 64 };

struct admin {
    struct MHD_Daemon *daemon;
    struct admin_hooks hooks;
    enum admin_scope scope;
    bool is_loopback; /* a browser's page may have been pointed here */
};

/* An answer in the making. */
struct answer {
    unsigned status;
    const char *type;
    struct rc_buffer body;
    bool wants_html; /* a browser asks for something to look at */
    size_t offset;   /* of the arguments of its path */
    size_t limit;
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

static void on_routes(struct admin *admin, struct answer *answer)
{
    answer->type = "application/json";
    admin->hooks.put_routes(admin->hooks.context, &answer->body);
}

static void on_config(struct admin *admin, struct answer *answer)
{
    admin->hooks.put_config(admin->hooks.context, &answer->body);
}

static void on_figures(struct admin *admin, struct answer *answer)
{
    answer->type = "application/json";
    admin->hooks.put_figures(admin->hooks.context, &answer->body);
}

static void on_connections(struct admin *admin, struct answer *answer)
{
    answer->type = "application/json";
    admin->hooks.put_connections(admin->hooks.context, answer->offset, answer->limit,
                                 &answer->body);
}

/* A file of the page. */
static void put_file(const char *name, struct answer *answer)
{
    for (size_t i = 0; i < admin_file_count; i++) {
        const struct admin_file *file = &admin_files[i];
        if (name[0] != '\0' && rc_text_equals(name, file->path)) {
            answer->type = file->content_type;
            rc_buffer_append(&answer->body, file->bytes, file->size);
            return;
        }
    }
    say(answer, MHD_HTTP_NOT_FOUND, "no such file\n");
}

static void on_index(struct admin *admin, struct answer *answer)
{
    (void)admin;
    if (answer->wants_html) {
        put_file("index.html", answer);
        return;
    }
    say(answer, MHD_HTTP_OK,
        "rollcall-proxy\n"
        "GET  /health /ready /metrics /figures /routes /upstreams /connections /config\n"
        "POST /upstreams/POOL/INSTANCE/drain, .../undrain, /reload, /upgrade\n");
}

struct page {
    const char *path;
    void (*put)(struct admin *admin, struct answer *answer);
};

static const struct page pages[] = {
    {"/", on_index},
    {"/health", on_health},
    {"/ready", on_ready},
    {"/metrics", on_metrics},
    {"/upstreams", on_upstreams},
    {"/routes", on_routes},
    {"/connections", on_connections},
    {"/config", on_config},
    {"/figures", on_figures},
};

/* What others may see. */
static const struct page figures[] = {
    {"/health", on_health},
    {"/metrics", on_metrics},
    {"/figures", on_figures},
};

/* False: none of them. */
static bool put_page(struct admin *admin, const struct page *of, size_t count,
                     const char *path, struct answer *answer)
{
    for (size_t i = 0; i < count; i++) {
        if (rc_text_equals(path, of[i].path)) {
            of[i].put(admin, answer);
            return true;
        }
    }
    return false;
}

static void on_ask(struct admin *admin, const char *path, const char *method,
                   struct answer *answer)
{
    if (!rc_text_equals(method, "GET") && !rc_text_equals(method, "HEAD")) {
        say(answer, MHD_HTTP_METHOD_NOT_ALLOWED, "GET: orders go to the admin port\n");
    } else if (!put_page(admin, figures, sizeof figures / sizeof figures[0], path,
                         answer)) {
        say(answer, MHD_HTTP_NOT_FOUND, "here are /health, /metrics and /figures\n");
    }
}

static void on_get(struct admin *admin, const char *path, struct answer *answer)
{
    static const char files[] = "/page/";
    if (rc_text_starts_with(path, files)) {
        put_file(path + sizeof files - 1, answer);
        return;
    }
    if (!put_page(admin, pages, sizeof pages / sizeof pages[0], path, answer)) {
        say(answer, MHD_HTTP_NOT_FOUND, "no such page: GET / lists them\n");
    }
}

static void on_post(struct admin *admin, const char *path, struct answer *answer)
{
    struct admin_order order;
    if (rc_text_equals(path, "/reload")) {
        admin->hooks.reload(admin->hooks.context);
        say(answer, MHD_HTTP_OK, "reloaded, or refused: the log tells\n");
        return;
    }
    if (rc_text_equals(path, "/upgrade")) {
        admin->hooks.upgrade(admin->hooks.context);
        say(answer, MHD_HTTP_ACCEPTED, "a new process starts: the log tells\n");
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

static bool may_ask(const struct admin *admin, struct MHD_Connection *connection,
                    const char *method)
{
    const char *host =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
    const char *origin =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ORIGIN);
    if (admin->scope == ADMIN_FIGURES && !admin->is_loopback) {
        return true;
    }
    return is_own_name(host) && (origin == NULL || rc_text_equals(method, "GET"));
}

/* A number of the path's arguments; anything else is as if it was not there. */
static size_t argument(struct MHD_Connection *connection, const char *name, size_t usual)
{
    enum { MOST = 1000000 };
    uint64_t number = 0;
    const char *text =
        MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, name);
    return text != NULL && rc_text_to_u64(text, MOST, &number) == RC_OK ? (size_t)number
                                                                        : usual;
}

static void read_wishes(struct MHD_Connection *connection, struct answer *answer)
{
    enum { PAGE = 100 };
    const char *accept =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
    answer->wants_html = accept != NULL && strstr(accept, "text/html") != NULL;
    answer->offset = argument(connection, "offset", 0);
    answer->limit = argument(connection, "limit", PAGE);
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
    (void)MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    /* Everything from here, nothing inline, in nobody's frame. */
    (void)MHD_add_response_header(
        response, "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'");
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
    read_wishes(connection, &answer);
    if (!may_ask(admin, connection, method)) {
        say(&answer, MHD_HTTP_FORBIDDEN, "refused: ask by address or localhost\n");
    } else if (admin->scope == ADMIN_FIGURES) {
        on_ask(admin, path, method, &answer);
    } else if (rc_text_equals(method, "GET") || rc_text_equals(method, "HEAD")) {
        on_get(admin, path, &answer);
    } else if (rc_text_equals(method, "POST")) {
        on_post(admin, path, &answer);
    } else {
        say(&answer, MHD_HTTP_METHOD_NOT_ALLOWED, "GET or POST\n");
    }
    return send_answer(connection, &answer);
}

int admin_listen(const struct rc_address *address, int *fd)
{
    struct sockaddr_storage name;
    size_t size = rc_address_to_sockaddr(address, &name);
    int one = 1;
    int made = socket(name.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (made < 0) {
        return RC_EIO;
    }
    (void)setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(made, (struct sockaddr *)&name, (socklen_t)size) != 0 ||
        listen(made, BACKLOG) != 0) {
        int why = errno;
        (void)close(made);
        errno = why;
        return RC_EIO;
    }
    *fd = made;
    return RC_OK;
}

static bool is_on_loopback(int fd)
{
    struct sockaddr_storage name = {0};
    socklen_t size = sizeof name;
    struct rc_address address;
    return getsockname(fd, (struct sockaddr *)&name, &size) != 0 ||
           rc_address_from_sockaddr((struct sockaddr *)&name, &address) != RC_OK ||
           rc_address_is_loopback(&address);
}

int admin_start(int fd, enum admin_scope scope, const struct admin_hooks *hooks,
                struct admin **out)
{
    struct admin *admin = calloc(1, sizeof *admin);
    if (admin == NULL) {
        (void)close(fd);
        return RC_ENOMEM;
    }
    admin->hooks = *hooks;
    admin->scope = scope;
    admin->is_loopback = is_on_loopback(fd);
    unsigned per_address = scope == ADMIN_FIGURES ? PER_ADDRESS_MAX : CONNECTIONS_MAX;
    admin->daemon = MHD_start_daemon(
        MHD_USE_EPOLL, 0, NULL, NULL, on_request, admin, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, per_address, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)IDLE_SECONDS, MHD_OPTION_END);
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
    if (admin == NULL) {
        return;
    }
    /* Its own way to end shuts the socket down, for all who have it. */
    int fd = MHD_quiesce_daemon(admin->daemon);
    MHD_stop_daemon(admin->daemon);
    if (fd >= 0) {
        (void)close(fd);
    }
    free(admin);
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
