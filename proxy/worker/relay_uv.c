/* relay_uv.c - see relay_uv.h. */
#include "proxy/worker/relay_uv.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/err.h"
#include "proxy/worker/local_peer_uv.h"

enum {
    READS_PER_TURN = 4,
    DISCARDS_MAX = 128,
    DISCARD_SIZE = 8 * 1024,
    SPLICE_LITTLE = 16 * 1024, /* what one splice brings: less is cheaper copied */
    TLS_FIRST_TEXT = 64
};

struct end {
    struct relay *relay;
    uv_poll_t poll;
    int fd;                   /* -1 = none */
    int events;               /* armed now */
    bool read_ended;          /* it will say no more */
    bool write_ended;         /* we have told it that no more comes */
    struct pipe *pipe;        /* holds bytes for this side, before `waiting`; or NULL */
    struct rc_buffer waiting; /* for this side; it did not take it yet */
    size_t sent;              /* of `waiting` */
    bool splices;             /* what this side says may pass through pipes */
    bool bulk;                /* the last read of it brought all that fits */
    struct tls *tls;          /* owned; NULL = in the clear */
};

struct relay {
    uv_loop_t *loop;
    uint8_t *buffer;
    struct relay_owner owner;
    struct end *ends[RELAY_SIDE_COUNT];
    struct pipe_pool *pipes; /* NULL while no side may be spliced */
    bool client_rests;
    enum relay_ends ends_mode;
    bool broken; /* a side ended by an error */
    bool closed;
    bool busy; /* in a callback: freeing waits */
    uint64_t moved_at_ms;
};

/* The loop's time is the monotonic clock's, as of this turn. */
static void note_moved(struct relay *relay)
{
    relay->moved_at_ms = uv_now(relay->loop);
}

static enum relay_side other(enum relay_side side)
{
    return side == RELAY_CLIENT ? RELAY_SERVER : RELAY_CLIENT;
}

static enum relay_side side_of(const struct end *end)
{
    return end->relay->ends[RELAY_CLIENT] == end ? RELAY_CLIENT : RELAY_SERVER;
}

/* Something waits for this side. */
static bool is_owed(const struct end *end)
{
    return end->pipe != NULL || end->waiting.size > 0;
}

/* --- ends --- */

static void on_end_closed(uv_handle_t *handle)
{
    struct end *end = handle->data;
    rc_buffer_fini(&end->waiting);
    tls_destroy(end->tls);
    free(end);
}

static ssize_t write_some(struct end *end, const uint8_t *bytes, size_t size);

/* Tells a side that speaks TLS that no more comes, if it can be told at once. */
static void say_tls_end(struct end *end)
{
    struct rc_buffer wire = {0};
    if (end->tls == NULL || is_owed(end)) {
        return;
    }
    tls_end(end->tls, &wire);
    if (wire.size > 0) {
        (void)write_some(end, wire.bytes, wire.size);
    }
    rc_buffer_fini(&wire);
}

static void close_end(struct relay *relay, enum relay_side side, enum relay_closing how)
{
    struct end *end = relay->ends[side];
    if (end == NULL) {
        return;
    }
    relay->ends[side] = NULL;
    pipe_return(relay->pipes, &end->pipe);
    uv_close((uv_handle_t *)&end->poll, on_end_closed);
    if (how == RELAY_RESET) {
        struct linger now = {1, 0};
        (void)setsockopt(end->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    } else {
        /* What the peer said and nobody read would turn the end into a reset. Not into the shared
         * buffer: what the other side sent may stand there. */
        uint8_t ignored[DISCARD_SIZE];
        say_tls_end(end);
        for (int i = 0; i < DISCARDS_MAX; i++) {
            if (recv(end->fd, ignored, sizeof ignored, MSG_DONTWAIT) <= 0) {
                break;
            }
        }
    }
    (void)close(end->fd);
}

static struct end *make_end(struct relay *relay, int fd)
{
    struct end *end = calloc(1, sizeof *end);
    if (end == NULL || uv_poll_init(relay->loop, &end->poll, fd) != 0) {
        free(end);
        return NULL;
    }
    end->relay = relay;
    end->fd = fd;
    end->poll.data = end;
    return end;
}

static void on_event(uv_poll_t *poll, int status, int events);

/* Listens for what this end may do now: speak, if what it says has somewhere to go; hear,
 * if something waits for it. */
static void arm(struct end *end)
{
    const struct relay *relay = end->relay;
    enum relay_side side = side_of(end);
    const struct end *far = relay->ends[other(side)];
    bool rests = side == RELAY_CLIENT && relay->client_rests;
    bool far_full = far != NULL && is_owed(far);
    int events = 0;

    if (!end->read_ended && !rests && !far_full) {
        events |= UV_READABLE;
    }
    if (is_owed(end)) {
        events |= UV_WRITABLE;
    }
    if (events != end->events) {
        end->events = events;
        (void)(events != 0 ? uv_poll_start(&end->poll, events, on_event)
                           : uv_poll_stop(&end->poll));
    }
}

static void arm_both(struct relay *relay)
{
    for (size_t i = 0; i < RELAY_SIDE_COUNT; i++) {
        if (relay->ends[i] != NULL) {
            arm(relay->ends[i]);
        }
    }
}

static void tell_ended(struct relay *relay, enum relay_side side)
{
    if (!relay->closed) {
        relay->owner.ended(relay->owner.context, side);
    }
}

/* --- writing --- */

/* Passes the end of the other side on, once all it said is delivered. */
static void pass_end(struct relay *relay, enum relay_side to)
{
    struct end *end = relay->ends[to];
    const struct end *from = relay->ends[other(to)];
    if (end == NULL || from == NULL || !from->read_ended || end->write_ended ||
        is_owed(end)) {
        return;
    }
    end->write_ended = true;
    say_tls_end(end);
    (void)shutdown(end->fd, SHUT_WR);
}

static bool is_over(const struct relay *relay)
{
    const struct end *client = relay->ends[RELAY_CLIENT];
    const struct end *server = relay->ends[RELAY_SERVER];
    return client != NULL && server != NULL && client->write_ended && server->write_ended;
}

/* Writes what the peer takes; the number of bytes, or -1 when it has gone. */
static ssize_t write_some(struct end *end, const uint8_t *bytes, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t wrote = send(end->fd, bytes + done, size - done, MSG_NOSIGNAL);
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        if (wrote < 0) {
            return errno == EAGAIN || errno == EWOULDBLOCK ? (ssize_t)done : -1;
        }
        done += (size_t)wrote;
    }
    return (ssize_t)done;
}

static bool write_waiting(struct end *end);

/* Sealed, behind what waits; and as much of that as the peer takes. */
static int send_sealed(struct end *end, const void *bytes, size_t size)
{
    int err = tls_send(end->tls, bytes, size, &end->waiting);
    if (err == RC_OK && !write_waiting(end)) {
        err = RC_ECLOSED;
    }
    arm_both(end->relay);
    return err;
}

int relay_send(struct relay *relay, enum relay_side to, const void *bytes, size_t size)
{
    struct end *end = relay->ends[to];
    size_t wrote = 0;
    if (end == NULL || end->write_ended) {
        return RC_ECLOSED;
    }
    note_moved(relay);
    if (end->tls != NULL) {
        return send_sealed(end, bytes, size);
    }
    if (!is_owed(end)) {
        ssize_t count = write_some(end, bytes, size);
        if (count < 0) {
            return RC_ECLOSED;
        }
        wrote = (size_t)count;
    }
    if (wrote < size) {
        rc_buffer_append(&end->waiting, (const uint8_t *)bytes + wrote, size - wrote);
    }
    arm_both(relay);
    return end->waiting.err;
}

/* MOVED: nothing is left in a pipe. */
static enum pipe_io drain_pipe(struct end *end)
{
    struct relay *relay = end->relay;
    size_t moved = 0;
    if (end->pipe == NULL) {
        return PIPE_MOVED;
    }
    enum pipe_io io = pipe_drain(end->pipe, end->fd, PIPE_AFTER_UNKNOWN, &moved);
    if (moved > 0) {
        note_moved(relay);
    }
    if (io == PIPE_MOVED) {
        pipe_return(relay->pipes, &end->pipe);
    }
    return io;
}

/* The peer takes bytes again. False when it has gone. */
static bool write_waiting(struct end *end)
{
    struct rc_buffer *waiting = &end->waiting;
    enum pipe_io io = drain_pipe(end);
    if (io != PIPE_MOVED) {
        return io == PIPE_BLOCKED;
    }
    ssize_t wrote =
        write_some(end, waiting->bytes + end->sent, waiting->size - end->sent);
    if (wrote < 0) {
        return false;
    }
    end->sent += (size_t)wrote;
    if (end->sent == waiting->size) {
        rc_buffer_fini(waiting); /* an idle relay holds no buffer */
        end->sent = 0;
        pass_end(end->relay, side_of(end));
    }
    note_moved(end->relay);
    return true;
}

/* --- reading --- */

enum progress { PROGRESS_MORE, PROGRESS_PAUSE, PROGRESS_OVER };

/* The connection is not there any more. */
static enum progress end_broken(struct relay *relay, enum relay_side side)
{
    relay->broken = true;
    tell_ended(relay, side);
    return PROGRESS_OVER;
}

/* Bytes have come: to the owner, or on. */
static enum progress take(struct relay *relay, enum relay_side from, size_t size)
{
    enum relay_verdict verdict = RELAY_PASS;
    if (relay->owner.bytes != NULL) {
        verdict = relay->owner.bytes(relay->owner.context, from, relay->buffer, size);
    }
    if (verdict == RELAY_OVER || relay->closed) {
        return PROGRESS_OVER;
    }
    if (verdict == RELAY_PASS &&
        relay_send(relay, other(from), relay->buffer, size) != RC_OK) {
        tell_ended(relay, other(from));
        return PROGRESS_OVER;
    }
    const struct end *end = relay->ends[from];
    return end != NULL && (end->events & UV_READABLE) != 0 ? PROGRESS_MORE
                                                           : PROGRESS_PAUSE;
}

/* The peer says no more: told on; without anybody to tell, the owner decides. */
static enum progress end_reading(struct relay *relay, enum relay_side from)
{
    relay->ends[from]->read_ended = true;
    if (relay->ends[other(from)] == NULL ||
        (from == RELAY_SERVER && relay->ends_mode == RELAY_ENDS_TOLD)) {
        tell_ended(relay, from);
        return PROGRESS_OVER;
    }
    pass_end(relay, other(from));
    if (is_over(relay)) {
        tell_ended(relay, from);
        return PROGRESS_OVER;
    }
    arm_both(relay);
    return PROGRESS_PAUSE;
}

/* After the text that came with the end of the handshake. */
static enum progress tell_secured(struct relay *relay, enum relay_side side)
{
    const struct end *end = relay->ends[side];
    if (relay->owner.secured != NULL) {
        relay->owner.secured(relay->owner.context, side);
    }
    return relay->closed || relay->ends[side] != end ? PROGRESS_OVER : PROGRESS_PAUSE;
}

/* Sealed bytes stand in the shared buffer behind the room for what is in them. */
static enum progress take_sealed(struct relay *relay, enum relay_side from, size_t size)
{
    struct end *end = relay->ends[from];
    enum progress progress = PROGRESS_MORE;
    bool opened = false;

    tls_receive(end->tls, relay->buffer + TLS_TEXT_MAX, size);
    while (progress != PROGRESS_OVER && relay->ends[from] == end) {
        size_t text = TLS_TEXT_MAX;
        bool was_open = tls_is_open(end->tls);
        enum tls_step step = tls_next(end->tls, relay->buffer, &text, &end->waiting);
        if (!was_open && tls_is_open(end->tls)) {
            opened = true;
        }
        if (end->waiting.size > 0 && !write_waiting(end)) {
            step = TLS_STEP_FAILED;
        }
        switch (step) {
        case TLS_STEP_TEXT:
            progress = take(relay, from, text);
            break;
        case TLS_STEP_WAIT:
            arm_both(relay);
            return opened ? tell_secured(relay, from) : progress;
        case TLS_STEP_ENDED:
            return end_reading(relay, from);
        case TLS_STEP_FAILED:
            tell_ended(relay, from);
            return PROGRESS_OVER;
        }
    }
    return PROGRESS_OVER;
}

static bool may_splice(const struct relay *relay, enum relay_side from)
{
    const struct end *end = relay->ends[from];
    const struct end *far = relay->ends[other(from)];
    return end->bulk && end->splices && far != NULL && end->tls == NULL &&
           far->tls == NULL && !far->write_ended && !is_owed(far);
}

/* The pipe belongs to the far side now; what that takes of it goes at once. */
static enum progress pass_pipe(struct relay *relay, enum relay_side from,
                               struct pipe *pipe)
{
    struct end *end = relay->ends[from];
    struct end *far = relay->ends[other(from)];
    size_t size = pipe->held;

    end->bulk = size >= SPLICE_LITTLE;
    far->pipe = pipe;
    note_moved(relay);
    if (relay->owner.spliced != NULL) {
        relay->owner.spliced(relay->owner.context, from, size);
    }
    if (drain_pipe(far) == PIPE_BROKEN) {
        return end_broken(relay, other(from));
    }
    if (far->pipe != NULL) {
        arm_both(relay);
    }
    return PROGRESS_PAUSE; /* it was enough for one turn */
}

static enum progress splice_once(struct relay *relay, enum relay_side from)
{
    struct end *end = relay->ends[from];
    struct pipe *pipe = pipe_lend(relay->pipes);
    if (pipe == NULL) {
        end->splices = false; /* there is none: copied from now on */
        return PROGRESS_MORE;
    }
    enum pipe_io io = pipe_fill(pipe, end->fd, pipe->size);
    if (io == PIPE_MOVED) {
        return pass_pipe(relay, from, pipe);
    }
    pipe_return(relay->pipes, &pipe);
    switch (io) {
    case PIPE_MOVED:
    case PIPE_BLOCKED:
        return PROGRESS_PAUSE;
    case PIPE_ENDED:
        return end_reading(relay, from);
    case PIPE_BROKEN:
        break;
    }
    return end_broken(relay, from);
}

/* Once a side has brought as much as a read can take. */
static void note_bulk(struct relay *relay, enum relay_side from, bool full)
{
    struct end *end = relay->ends[from];
    const struct end *far = relay->ends[other(from)];
    if (full && !end->bulk && end->splices && far != NULL) {
        local_peer_unpace(far->fd);
    }
    end->bulk = full;
}

static enum progress read_once(struct relay *relay, enum relay_side from)
{
    const struct end *end = relay->ends[from];
    size_t kept = end->tls != NULL ? TLS_TEXT_MAX : 0;
    ssize_t count = recv(end->fd, relay->buffer + kept, RELAY_BUFFER - kept, 0);
    if (count > 0) {
        note_moved(relay);
        bool full = (size_t)count == RELAY_BUFFER - kept;
        note_bulk(relay, from, full);
        enum progress progress = end->tls != NULL
                                     ? take_sealed(relay, from, (size_t)count)
                                     : take(relay, from, (size_t)count);
        /* A short read has emptied the socket; if not, libuv tells us again. */
        return progress == PROGRESS_MORE && !full ? PROGRESS_PAUSE : progress;
    }
    if (count == 0) {
        return end_reading(relay, from);
    }
    if (errno == EINTR) {
        return PROGRESS_MORE;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        return PROGRESS_PAUSE;
    }
    return end_broken(relay, from);
}

static void free_relay(struct relay *relay)
{
    if (relay->closed && !relay->busy) {
        free(relay);
    }
}

static void handle(struct relay *relay, enum relay_side side, int events)
{
    enum progress progress = PROGRESS_MORE;
    if ((events & UV_WRITABLE) != 0 && is_owed(relay->ends[side])) {
        if (!write_waiting(relay->ends[side])) {
            tell_ended(relay, side);
            return;
        }
        if (is_over(relay)) {
            tell_ended(relay, side);
            return;
        }
        arm_both(relay);
    }
    if ((events & UV_READABLE) == 0 || (relay->ends[side]->events & UV_READABLE) == 0) {
        return;
    }
    for (int i = 0; i < READS_PER_TURN && progress == PROGRESS_MORE; i++) {
        progress =
            may_splice(relay, side) ? splice_once(relay, side) : read_once(relay, side);
    }
}

static void on_event(uv_poll_t *poll, int status, int events)
{
    struct end *end = poll->data;
    struct relay *relay = end->relay;
    enum relay_side side = side_of(end);

    relay->busy = true;
    if (status != 0) {
        (void)end_broken(relay, side);
    } else {
        handle(relay, side, events);
    }
    relay->busy = false;
    free_relay(relay);
}

/* --- life --- */

int relay_open(uv_loop_t *loop, uint8_t *buffer, int client_fd,
               const struct relay_owner *owner, struct relay **out)
{
    struct relay *relay = calloc(1, sizeof *relay);
    if (relay == NULL) {
        return RC_ENOMEM;
    }
    relay->loop = loop;
    relay->buffer = buffer;
    relay->owner = *owner;
    relay->client_rests = true;
    note_moved(relay);
    relay->ends[RELAY_CLIENT] = make_end(relay, client_fd);
    if (relay->ends[RELAY_CLIENT] == NULL) {
        free(relay);
        return RC_ENOMEM;
    }
    *out = relay;
    return RC_OK;
}

int relay_attach(struct relay *relay, int server_fd)
{
    assert(relay->ends[RELAY_SERVER] == NULL);
    relay->ends[RELAY_SERVER] = make_end(relay, server_fd);
    if (relay->ends[RELAY_SERVER] == NULL) {
        (void)close(server_fd);
        return RC_EIO;
    }
    arm_both(relay);
    return RC_OK;
}

void relay_detach(struct relay *relay)
{
    close_end(relay, RELAY_SERVER, RELAY_ORDERLY);
    if (relay->ends[RELAY_CLIENT] != NULL) {
        arm(relay->ends[RELAY_CLIENT]);
    }
}

int relay_secure(struct relay *relay, enum relay_side side, struct tls *tls,
                 const uint8_t *bytes, size_t size)
{
    struct end *end = relay->ends[side];
    uint8_t text[TLS_FIRST_TEXT];
    size_t room = sizeof text;

    assert(end != NULL && end->tls == NULL);
    end->tls = tls;
    if (size > 0) {
        tls_receive(tls, bytes, size);
    }
    /* There is no text before both have spoken. */
    enum tls_step step = tls_next(tls, text, &room, &end->waiting);
    if (!write_waiting(end)) {
        return RC_ECLOSED;
    }
    arm_both(relay);
    return step == TLS_STEP_WAIT ? RC_OK : RC_ECLOSED;
}

const struct tls *relay_tls(const struct relay *relay, enum relay_side side)
{
    return relay->ends[side] != NULL ? relay->ends[side]->tls : NULL;
}

void relay_splice(struct relay *relay, enum relay_side from, struct pipe_pool *pipes)
{
    if (relay->pipes == NULL) {
        relay->pipes = pipes;
    }
    if (relay->ends[from] != NULL) {
        relay->ends[from]->splices = pipes != NULL;
    }
}

bool relay_is_broken(const struct relay *relay)
{
    return relay->broken;
}

bool relay_has_server(const struct relay *relay)
{
    return relay->ends[RELAY_SERVER] != NULL;
}

void relay_read_client(struct relay *relay, enum relay_reading reading)
{
    relay->client_rests = reading == RELAY_REST;
    if (relay->ends[RELAY_CLIENT] != NULL) {
        arm(relay->ends[RELAY_CLIENT]);
    }
}

void relay_set_ends(struct relay *relay, enum relay_ends ends)
{
    relay->ends_mode = ends;
}

bool relay_is_drained(const struct relay *relay, enum relay_side side)
{
    return relay->ends[side] == NULL || !is_owed(relay->ends[side]);
}

uint64_t relay_moved_at_ms(const struct relay *relay)
{
    return relay->moved_at_ms;
}

void relay_close(struct relay *relay, enum relay_closing how)
{
    if (relay == NULL || relay->closed) {
        return;
    }
    relay->closed = true;
    close_end(relay, RELAY_CLIENT, how == RELAY_CUT ? RELAY_ORDERLY : how);
    close_end(relay, RELAY_SERVER, how == RELAY_CUT ? RELAY_RESET : how);
    free_relay(relay);
}
