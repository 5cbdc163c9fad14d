#include "agent/warden/warden_client.h"

#include <stdlib.h>
#include <unistd.h>

#include "agent/warden/warden_socket.h"
#include "base/err.h"
#include "base/text.h"
#include "base/watch_uv.h"

enum { LOOK_EVERY_MS = 20, START_EVERY_MS = 1000 };

struct warden_client {
    struct warden_client_options options;
    char *socket;
    int file; /* -1: not connected */
    struct watch *watch;
    struct watch_timer *timer;
    uint64_t last_number;
    uint64_t started_ms; /* when we last had one started; 0: never */
    struct rc_buffer out;
    struct warden_echo echo;
    uint8_t in[WARDEN_MESSAGE_MAX];
};

static void disconnect(struct warden_client *c)
{
    watch_uv_close(c->watch);
    c->watch = NULL;
    if (c->file >= 0) {
        (void)close(c->file);
        c->file = -1;
    }
}

static void lose(struct warden_client *c)
{
    disconnect(c);
    watch_uv_timer_set(c->timer, LOOK_EVERY_MS);
    c->options.lost(c->options.context);
}

/* Only the newest counts: while we were held up many may have come. */
static void on_ready(void *context, int file, unsigned events)
{
    struct warden_client *c = context;
    size_t size = 0;
    bool has_news = false;

    (void)events;
    int err = warden_socket_receive(file, c->in, sizeof c->in, &size);
    while (err == RC_OK) {
        has_news = warden_echo_parse(c->in, size, &c->echo) == RC_OK || has_news;
        err = warden_socket_receive(file, c->in, sizeof c->in, &size);
    }
    if (has_news) {
        c->options.told(c->options.context, &c->echo);
    }
    if (err == RC_ECLOSED && c->file == file) {
        lose(c);
    }
}

void warden_client_read(struct warden_client *c)
{
    if (c->file >= 0) {
        on_ready(c, c->file, WATCH_READ);
    }
}

static void look(void *context)
{
    struct warden_client *c = context;
    uint64_t now_ms = warden_clock_ms();

    int err = warden_socket_connect(c->socket, &c->file);
    if (err == RC_OK) {
        c->watch = watch_uv_open(c->options.loop, c->file, on_ready, c);
    }
    if (c->watch != NULL) {
        watch_uv_set(c->watch, WATCH_READ);
        return;
    }
    disconnect(c);
    if (err == RC_ENOTFOUND &&
        (c->started_ms == 0 || now_ms - c->started_ms > START_EVERY_MS)) {
        c->started_ms = now_ms;
        c->options.start(c->options.context);
    }
    watch_uv_timer_set(c->timer, LOOK_EVERY_MS);
}

uint64_t warden_client_order(struct warden_client *c, struct warden_order *order)
{
    if (c->file < 0) {
        return 0;
    }
    order->number = ++c->last_number;
    rc_buffer_clear(&c->out);
    warden_order_write(order, &c->out);
    int err = c->out.err != RC_OK
                  ? c->out.err
                  : warden_socket_send(c->file, c->out.bytes, c->out.size);
    return err == RC_OK ? order->number : 0;
}

int warden_client_start(const struct warden_client_options *options,
                        struct warden_client **out)
{
    struct warden_client *c = calloc(1, sizeof *c);

    if (c == NULL) {
        return RC_ENOMEM;
    }
    c->options = *options;
    c->file = -1;
    /* Another agent's numbers before us were lower: the clock goes on. */
    c->last_number = warden_clock_ms() << 16;
    c->socket = rc_text_copy(options->socket);
    c->timer = watch_uv_timer_open(options->loop, look, c);
    if (c->socket == NULL || c->timer == NULL) {
        warden_client_close(c);
        return RC_ENOMEM;
    }
    watch_uv_timer_set(c->timer, 0);
    *out = c;
    return RC_OK;
}

void warden_client_close(struct warden_client *c)
{
    if (c == NULL) {
        return;
    }
    disconnect(c);
    watch_uv_timer_close(c->timer);
    rc_buffer_fini(&c->out);
    free(c->socket);
    free(c);
}
