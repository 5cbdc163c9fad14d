#include "agent/link/link_uv.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <uv.h>

#include "agent/link/door.h"
#include "base/entropy.h"
#include "base/err.h"

enum {
    BACKLOG = 128,
    READ_BYTES = 64 << 10,
    WRITE_BYTES = 128 << 10, /* made at once; the rest waits in the link */
    WRITE_KEPT_BYTES = 64 << 10,
    STUCK_MS = 10000 /* bytes that nobody acknowledges for so long end a connection */
};

struct link_uv {
    struct link_host *host;
    struct link_uv *previous;
    struct link_uv *next;
    struct link_uv *next_dirty;
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_timer_t timer;
    uv_write_t write;
    struct rc_buffer out; /* being written */
    struct link *link;
    struct rc_address address;
    enum link_side side;
    bool is_connected;
    bool is_at_door;
    bool is_writing;
    bool is_dirty; /* something may be to be sent */
    bool is_closing;
    unsigned open_handles;
    void *user;
};

struct link_host {
    struct link_host_options options;
    uv_tcp_t listener;
    uv_tcp_t spare; /* of who is turned away without memory */
    bool is_turning_away;
    bool owes_turn;      /* another waits for the spare one */
    uv_prepare_t before; /* both send what the turn has made */
    uv_check_t after;
    bool listens;
    bool is_closing;
    unsigned open_handles;
    struct door door;
    struct link_uv *first;
    struct link_uv *dirty;
    size_t up_count;
    struct link_host_counts counts;
    void (*on_closed)(void *context);
    void *context;
    char space[READ_BYTES];
};

/* ---- Ends. */

static void finish_closing(struct link_host *host)
{
    if (!host->is_closing || host->open_handles > 0 || host->first != NULL) {
        return;
    }
    void (*on_closed)(void *) = host->on_closed;
    void *context = host->context;
    free(host);
    if (on_closed != NULL) {
        on_closed(context);
    }
}

static void unlist(struct link_uv *c)
{
    struct link_host *host = c->host;

    if (c->previous != NULL) {
        c->previous->next = c->next;
    } else {
        host->first = c->next;
    }
    if (c->next != NULL) {
        c->next->previous = c->previous;
    }
}

static void on_connection_closed(uv_handle_t *handle)
{
    struct link_uv *c = handle->data;
    struct link_host *host = c->host;

    if (--c->open_handles > 0) {
        return;
    }
    unlist(c);
    rc_buffer_fini(&c->out);
    link_destroy(c->link);
    free(c);
    finish_closing(host);
}

static void leave_door(struct link_uv *c)
{
    if (c->is_at_door) {
        door_leave(&c->host->door, &c->address);
        c->is_at_door = false;
    }
}

static void forget_dirty(struct link_uv *c)
{
    struct link_uv **place = &c->host->dirty;

    while (c->is_dirty && *place != c) {
        place = &(*place)->next_dirty;
    }
    if (c->is_dirty) {
        *place = c->next_dirty;
        c->is_dirty = false;
    }
}

void link_uv_end(struct link_uv *c)
{
    if (c->is_closing) {
        return;
    }
    c->is_closing = true;
    leave_door(c);
    forget_dirty(c);
    c->host->up_count -= link_is_up(c->link) ? 1 : 0;
    uv_close((uv_handle_t *)&c->tcp, on_connection_closed);
    uv_close((uv_handle_t *)&c->timer, on_connection_closed);
}

static void count_loss(struct link_host *host, int err)
{
    if (err == RC_ETIMEOUT) {
        host->counts.late++;
    } else if (err != RC_ECLOSED && err != RC_EIO) {
        host->counts.strangers++;
    }
}

static void lose(struct link_uv *c, int err)
{
    struct link_host *host = c->host;
    bool is_told = c->side == LINK_DIALED || link_is_up(c->link);

    if (c->is_closing) {
        return;
    }
    if (c->is_at_door) {
        count_loss(host, err);
    }
    if (is_told) {
        host->options.on_lost(host->options.context, c, err);
    }
    link_uv_end(c);
}

/* ---- Sending. */

static void arm(struct link_uv *c);
static void flush(struct link_uv *c);

static void on_written(uv_write_t *request, int status)
{
    struct link_uv *c = request->data;

    c->is_writing = false;
    if (status != 0) {
        if (!c->is_closing) {
            lose(c, RC_EIO);
        }
        return;
    }
    flush(c);
}

static void clear_out(struct link_uv *c)
{
    if (c->out.capacity > WRITE_KEPT_BYTES) {
        rc_buffer_fini(&c->out);
    }
    rc_buffer_clear(&c->out);
}

/* Writes what is in `out`, at once if the system takes it all. RC_OK or RC_EIO. */
static int write_out(struct link_uv *c)
{
    uv_buf_t buffer = uv_buf_init((char *)c->out.bytes, (unsigned)c->out.size);
    int written = uv_try_write((uv_stream_t *)&c->tcp, &buffer, 1);

    if (written < 0 && written != UV_EAGAIN) {
        return RC_EIO;
    }
    size_t done = written > 0 ? (size_t)written : 0;
    if (done == c->out.size) {
        return RC_OK;
    }
    buffer = uv_buf_init((char *)c->out.bytes + done, (unsigned)(c->out.size - done));
    c->write.data = c;
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &buffer, 1, on_written) != 0) {
        return RC_EIO;
    }
    c->is_writing = true;
    return RC_OK;
}

static void flush(struct link_uv *c)
{
    int err = RC_OK;

    while (err == RC_OK && c->is_connected && !c->is_closing && !c->is_writing &&
           link_has_output(c->link)) {
        clear_out(c);
        err = link_pull(c->link, uv_now(c->host->options.loop), WRITE_BYTES, &c->out);
        if (err == RC_OK) {
            err = write_out(c);
        }
    }
    if (err != RC_OK) {
        lose(c, err);
    }
    arm(c);
}

static void mark(struct link_uv *c)
{
    if (!c->is_dirty && !c->is_closing) {
        c->is_dirty = true;
        c->next_dirty = c->host->dirty;
        c->host->dirty = c;
    }
}

static void flush_all(struct link_host *host)
{
    while (host->dirty != NULL) {
        struct link_uv *c = host->dirty;
        host->dirty = c->next_dirty;
        c->is_dirty = false;
        flush(c);
    }
}

static void on_before(uv_prepare_t *handle)
{
    flush_all(handle->data);
}

static void on_after(uv_check_t *handle)
{
    flush_all(handle->data);
}

/* ---- Time. */

static void on_timer(uv_timer_t *timer)
{
    struct link_uv *c = timer->data;

    int err = link_tick(c->link, uv_now(c->host->options.loop));
    if (err != RC_OK) {
        lose(c, err);
        return;
    }
    flush(c);
}

static void arm(struct link_uv *c)
{
    uint64_t now_ms = uv_now(c->host->options.loop);
    uint64_t due_ms = link_deadline_ms(c->link);

    if (c->is_closing) {
        return;
    }
    /* Fails only when closing. */
    (void)uv_timer_start(&c->timer, on_timer, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

/* ---- Receiving. */

static void on_read_space(uv_handle_t *handle, size_t wanted, uv_buf_t *out)
{
    const struct link_uv *c = handle->data;

    (void)wanted;
    *out = uv_buf_init(c->host->space, READ_BYTES);
}

static void tell(struct link_uv *c, const struct link_event *event)
{
    if (event->type == LINK_UP) {
        leave_door(c);
        c->host->up_count++;
    }
    c->host->options.on_event(c->host->options.context, c, event);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    struct link_uv *c = stream->data;
    struct link_event event;

    if (size <= 0) {
        if (size < 0) {
            lose(c, RC_ECLOSED);
        }
        return;
    }
    int err =
        link_receive(c->link, uv_now(c->host->options.loop), buffer->base, (size_t)size);
    do {
        err = err == RC_OK ? link_next(c->link, &event) : err;
        if (err == RC_OK && event.type != LINK_NOTHING) {
            tell(c, &event);
        }
    } while (err == RC_OK && event.type != LINK_NOTHING && !c->is_closing);
    if (err != RC_OK) {
        lose(c, err);
    }
    mark(c);
}

/* ---- Beginnings. */

static struct link_uv *make(struct link_host *host, enum link_side side)
{
    struct link_uv *c = calloc(1, sizeof *c);
    struct link_options options = {
        .role = side == LINK_DIALED ? HANDSHAKE_CALLER : HANDSHAKE_CALLED,
        .ring = host->options.ring,
        .credential = host->options.credential,
        .name = host->options.name,
        .body_max = host->options.body_max,
        .silence_ms = host->options.silence_ms,
        .context = host->options.context,
    };

    if (c == NULL) {
        return NULL;
    }
    rc_entropy(options.secret, sizeof options.secret);
    c->link = link_create(&options, uv_now(host->options.loop));
    explicit_bzero(options.secret, sizeof options.secret);
    if (c->link == NULL) {
        free(c);
        return NULL;
    }
    c->host = host;
    c->side = side;
    (void)uv_tcp_init(host->options.loop, &c->tcp); /* cannot fail without flags */
    (void)uv_timer_init(host->options.loop, &c->timer);
    c->tcp.data = c->timer.data = c;
    c->open_handles = 2;
    c->next = host->first;
    if (host->first != NULL) {
        host->first->previous = c;
    }
    host->first = c;
    return c;
}

static int start_reading(struct link_uv *c)
{
    uv_os_fd_t fd;
    unsigned stuck_ms = STUCK_MS;

    c->is_connected = true;
    (void)uv_tcp_nodelay(&c->tcp, 1); /* slower without, not wrong */
    if (uv_fileno((uv_handle_t *)&c->tcp, &fd) == 0) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &stuck_ms, sizeof stuck_ms);
    }
    return uv_read_start((uv_stream_t *)&c->tcp, on_read_space, on_read) == 0 ? RC_OK
                                                                              : RC_EIO;
}

static bool may_enter(struct link_host *host, const struct rc_address *from)
{
    if (host->options.admits != NULL &&
        !host->options.admits(host->options.context, from)) {
        host->counts.strangers++;
        return false;
    }
    if (!door_enter(&host->door, from)) {
        host->counts.crowded++;
        return false;
    }
    return true;
}

static void on_turned_away(uv_handle_t *handle);

/* There is no memory for it. Whoever is not accepted is never followed by another, so this one
 * is, into a place that is kept for that, and hung up on. */
static void turn_away(struct link_host *host)
{
    if (host->is_turning_away) {
        host->owes_turn = true; /* one at a time */
        return;
    }
    host->is_turning_away = true;
    host->owes_turn = false;
    host->counts.crowded++;
    (void)uv_tcp_init(host->options.loop, &host->spare);
    host->spare.data = host;
    host->open_handles++;
    (void)uv_accept((uv_stream_t *)&host->listener, (uv_stream_t *)&host->spare);
    uv_close((uv_handle_t *)&host->spare, on_turned_away);
}

static void on_turned_away(uv_handle_t *handle)
{
    struct link_host *host = handle->data;

    host->is_turning_away = false;
    host->open_handles--;
    if (host->owes_turn && !host->is_closing) {
        turn_away(host);
    }
    finish_closing(host);
}

static void on_connection(uv_stream_t *server, int status)
{
    struct link_host *host = server->data;
    struct sockaddr_storage peer;
    int peer_size = sizeof peer;
    struct link_uv *c = status == 0 ? make(host, LINK_CAME) : NULL;

    if (c == NULL) {
        if (status == 0) {
            turn_away(host);
        }
        return;
    }
    if (uv_accept(server, (uv_stream_t *)&c->tcp) != 0 ||
        uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&peer, &peer_size) != 0 ||
        rc_address_from_sockaddr((const struct sockaddr *)&peer, &c->address) != RC_OK ||
        !may_enter(host, &c->address)) {
        link_uv_end(c);
        return;
    }
    c->is_at_door = true;
    if (start_reading(c) != RC_OK) {
        lose(c, RC_EIO);
    }
    arm(c);
}

static void on_connected(uv_connect_t *request, int status)
{
    struct link_uv *c = request->data;

    if (status == UV_ECANCELED || c->is_closing) {
        return;
    }
    if (status != 0 || start_reading(c) != RC_OK) {
        lose(c, RC_EIO);
        return;
    }
    flush(c);
}

int link_host_dial(struct link_host *host, const struct rc_address *to,
                   struct link_uv **out)
{
    struct sockaddr_storage address;
    struct link_uv *c = make(host, LINK_DIALED);

    if (c == NULL) {
        return RC_ENOMEM;
    }
    c->address = *to;
    c->connect.data = c;
    (void)rc_address_to_sockaddr(to, &address);
    if (uv_tcp_connect(&c->connect, &c->tcp, (const struct sockaddr *)&address,
                       on_connected) != 0) {
        link_uv_end(c);
        return RC_EIO;
    }
    arm(c);
    *out = c;
    return RC_OK;
}

static int start_listening(struct link_host *host, const struct rc_address *listen)
{
    struct sockaddr_storage address;

    (void)rc_address_to_sockaddr(listen, &address);
    int err = uv_tcp_bind(&host->listener, (const struct sockaddr *)&address, 0);
    if (err == 0) {
        err = uv_listen((uv_stream_t *)&host->listener, BACKLOG, on_connection);
    }
    return err;
}

int link_host_start(const struct link_host_options *options,
                    const struct rc_address *listen, char error[LINK_ERROR_MAX],
                    struct link_host **out)
{
    char text[RC_ADDRESS_TEXT_MAX];
    struct link_host *host = calloc(1, sizeof *host);

    if (host == NULL) {
        return RC_ENOMEM;
    }
    host->options = *options;
    (void)uv_tcp_init(options->loop, &host->listener); /* cannot fail without flags */
    (void)uv_prepare_init(options->loop, &host->before);
    (void)uv_check_init(options->loop, &host->after);
    host->listener.data = host->before.data = host->after.data = host;
    (void)uv_prepare_start(&host->before, on_before);
    (void)uv_check_start(&host->after, on_after);
    host->open_handles = 3;
    int failed = listen != NULL ? start_listening(host, listen) : 0;
    if (failed != 0) {
        rc_address_format(listen, text);
        (void)snprintf(error, LINK_ERROR_MAX, "link: cannot listen on %s: %s", text,
                       uv_strerror(failed));
        link_host_close(host, NULL, NULL);
        return RC_EIO;
    }
    *out = host;
    return RC_OK;
}

static void on_host_handle_closed(uv_handle_t *handle)
{
    struct link_host *host = handle->data;

    host->open_handles--;
    finish_closing(host);
}

/* What fits into the system's buffers goes out; nobody waits for the rest. */
static void say_goodbye(struct link_uv *c)
{
    if (!link_is_up(c->link) || c->is_writing || c->is_closing) {
        return;
    }
    link_leave(c->link);
    clear_out(c);
    if (link_pull(c->link, uv_now(c->host->options.loop), WRITE_BYTES, &c->out) ==
        RC_OK) {
        uv_buf_t buffer = uv_buf_init((char *)c->out.bytes, (unsigned)c->out.size);
        (void)uv_try_write((uv_stream_t *)&c->tcp, &buffer, 1);
    }
}

void link_host_close(struct link_host *host, void (*on_closed)(void *context),
                     void *context)
{
    if (host == NULL) {
        return;
    }
    host->is_closing = true;
    host->on_closed = on_closed;
    host->context = context;
    for (struct link_uv *c = host->first; c != NULL; c = c->next) {
        say_goodbye(c);
        link_uv_end(c);
    }
    uv_close((uv_handle_t *)&host->listener, on_host_handle_closed);
    uv_close((uv_handle_t *)&host->before, on_host_handle_closed);
    uv_close((uv_handle_t *)&host->after, on_host_handle_closed);
}

/* ---- For whoever uses them. */

struct link_host_counts link_host_counts(const struct link_host *host)
{
    struct link_host_counts counts = host->counts;

    counts.waiting = host->door.count;
    counts.up = host->up_count;
    return counts;
}

void link_host_hurry(struct link_host *host, uint64_t silence_ms)
{
    uint64_t old_ms = host->options.silence_ms;

    if (old_ms != 0 && old_ms <= silence_ms) {
        return;
    }
    host->options.silence_ms = silence_ms;
    for (struct link_uv *c = host->first; c != NULL; c = c->next) {
        if (c->side == LINK_DIALED) {
            link_hurry(c->link, silence_ms);
            mark(c); /* it is due sooner */
        }
    }
}

struct link_uv *link_host_next(const struct link_host *host, const struct link_uv *c)
{
    struct link_uv *next = c == NULL ? host->first : c->next;

    while (next != NULL && (next->is_closing || !link_is_up(next->link))) {
        next = next->next;
    }
    return next;
}

int link_uv_ask(struct link_uv *c, const struct link_request *request, uint32_t *number)
{
    mark(c);
    return link_ask(c->link, uv_now(c->host->options.loop), request, number);
}

void link_uv_cancel(struct link_uv *c, uint32_t number)
{
    mark(c);
    link_cancel(c->link, number);
}

int link_uv_answer(struct link_uv *c, uint32_t number, const struct link_reply *reply)
{
    mark(c);
    return link_answer(c->link, number, reply);
}

void link_uv_refuse(struct link_uv *c, uint32_t number)
{
    mark(c);
    link_refuse(c->link, number);
}

const struct link *link_uv_link(const struct link_uv *c)
{
    return c->link;
}

enum link_side link_uv_side(const struct link_uv *c)
{
    return c->side;
}

const struct rc_address *link_uv_address(const struct link_uv *c)
{
    return &c->address;
}

void *link_uv_user(const struct link_uv *c)
{
    return c->user;
}

void link_uv_set_user(struct link_uv *c, void *user)
{
    c->user = user;
}
