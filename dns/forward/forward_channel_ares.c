#include "dns/forward/forward_channel_ares.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

#include <ares.h>

#include "base/err.h"
#include "dns/resolve/watch_uv.h"
#include "dns/wire/message.h"

enum {
    /* c-ares waits for nine to sixteen sixteenths of what it is told. */
    SIXTEENTHS = 16,
    SIXTEENTHS_LEAST = 9
};

/* A c-ares channel. The old ones live on until their questions are answered. */
struct line {
    struct dns_channel_to *owner;
    struct line *next;
    ares_channel ares;
    struct dns_watch *watch;
    size_t under_way;
    size_t asked;
    uint64_t since_ms;
    bool is_closed; /* waits for the loop */
};

struct dns_channel_to {
    struct uv_loop_s *loop;
    struct rc_address server;
    uint32_t timeout_ms;
    struct line *lines; /* the first is in use; never empty */
    size_t line_count;
    bool is_worn; /* the first line is not to be used again, if another can be made */
    bool is_closing;
    void (*on_closed)(void *context);
    void *context;
};

/* A question that c-ares holds. */
struct sent {
    struct line *line;
    dns_channel_done done;
    void *context;
};

static void on_socket_wanted(void *context, ares_socket_t socket, int readable,
                             int writable)
{
    struct line *line = context;
    unsigned events =
        (readable != 0 ? DNS_WATCH_READ : 0U) | (writable != 0 ? DNS_WATCH_WRITE : 0U);

    /* If that fails, the question runs into its timeout. */
    (void)dns_watch_socket(line->watch, socket, events);
}

static enum dns_channel_end end_of(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return DNS_CHANNEL_END_ANSWERED;
    case ARES_ETIMEOUT:
        return DNS_CHANNEL_END_SILENT;
    case ARES_ECANCELLED:
    case ARES_EDESTRUCTION:
        return DNS_CHANNEL_END_CLOSED;
    default:
        return DNS_CHANNEL_END_UNREACHED;
    }
}

static void on_answer(void *context, int status, int timeouts, unsigned char *bytes,
                      int size)
{
    struct sent *sent = context;
    struct line *line = sent->line;
    enum dns_channel_end end = end_of(status);
    bool has_bytes = end == DNS_CHANNEL_END_ANSWERED && bytes != NULL && size > 0;

    (void)timeouts;
    assert(line->under_way > 0);
    line->under_way--;
    sent->done(sent->context,
               end == DNS_CHANNEL_END_ANSWERED && !has_bytes ? DNS_CHANNEL_END_UNREACHED
                                                             : end,
               has_bytes ? bytes : NULL, has_bytes ? (size_t)size : 0);
    free(sent);
}

/* Takes out old lines that nobody waits for any more. Never from below c-ares. */
static void sweep(struct dns_channel_to *channel)
{
    assert(channel->lines != NULL);
    struct line **place = &channel->lines->next;

    while (*place != NULL) {
        struct line *line = *place;
        if (line->under_way > 0) {
            place = &line->next;
            continue;
        }
        *place = line->next;
        line->is_closed = true;
        ares_destroy(line->ares);
        dns_watch_close(line->watch);
    }
}

static void process(struct line *line, ares_socket_t read, ares_socket_t write)
{
    struct dns_channel_to *channel = line->owner;

    ares_process_fd(line->ares, read, write);
    sweep(channel);
}

static void on_ready(void *context, int socket, unsigned events)
{
    struct line *line = context;

    if (!line->is_closed) {
        process(line, (events & DNS_WATCH_READ) != 0 ? socket : ARES_SOCKET_BAD,
                (events & DNS_WATCH_WRITE) != 0 ? socket : ARES_SOCKET_BAD);
    }
}

static void on_time(void *context)
{
    (void)context; /* the forwarder's clock ticks for all */
}

static void on_watch_closed(void *context)
{
    struct line *line = context;
    struct dns_channel_to *channel = line->owner;

    free(line);
    assert(channel->line_count > 0);
    if (--channel->line_count > 0 || !channel->is_closing) {
        return;
    }
    void (*on_closed)(void *) = channel->on_closed;
    void *closed_context = channel->context;
    free(channel);
    on_closed(closed_context);
}

static int open_ares(struct line *line)
{
    struct dns_channel_to *channel = line->owner;
    char server[RC_ADDRESS_TEXT_MAX];
    struct ares_options options = {
        .flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_NOCHECKRESP |
                 ARES_FLAG_EDNS,
        .timeout = (int)(channel->timeout_ms * SIXTEENTHS / SIXTEENTHS_LEAST),
        .tries = 1,
        .ednspsz = DNS_EDNS_SIZE,
        .sock_state_cb = on_socket_wanted,
        .sock_state_cb_data = line,
    };
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
               ARES_OPT_SOCK_STATE_CB | ARES_OPT_DOMAINS;

    if (ares_init_options(&line->ares, &options, mask) != ARES_SUCCESS) {
        return RC_EIO;
    }
    rc_address_format(&channel->server, server);
    if (ares_set_servers_ports_csv(line->ares, server) != ARES_SUCCESS) {
        ares_destroy(line->ares);
        return RC_EIO;
    }
    return RC_OK;
}

/* A new line, in front of the others. */
static int add_line(struct dns_channel_to *channel)
{
    struct line *line = calloc(1, sizeof *line);
    struct dns_watch_owner owner = {.on_ready = on_ready,
                                    .on_time = on_time,
                                    .on_closed = on_watch_closed,
                                    .context = line};

    if (line == NULL) {
        return RC_ENOMEM;
    }
    line->owner = channel;
    int err = open_ares(line);
    if (err == RC_OK) {
        err = dns_watch_start(channel->loop, &owner, &line->watch);
        if (err != RC_OK) {
            ares_destroy(line->ares);
        }
    }
    if (err != RC_OK) {
        free(line);
        return err;
    }
    line->next = channel->lines;
    channel->lines = line;
    channel->line_count++;
    channel->is_worn = false;
    return RC_OK;
}

int dns_channel_open(struct uv_loop_s *loop, const struct rc_address *server,
                     uint32_t timeout_ms, struct dns_channel_to **out)
{
    struct dns_channel_to *channel = calloc(1, sizeof *channel);

    if (channel == NULL) {
        return RC_ENOMEM;
    }
    channel->loop = loop;
    channel->server = *server;
    channel->timeout_ms = timeout_ms;
    int err = add_line(channel);
    if (err != RC_OK) {
        free(channel);
        return err;
    }
    *out = channel;
    return RC_OK;
}

/* The line to send by: a new one if the first has served its time. If none can be made, an
 * old one serves on. */
static struct line *line_for(struct dns_channel_to *channel, uint64_t now_ms)
{
    struct line *line = channel->lines;

    if (line->asked == 0) {
        line->since_ms = now_ms;
    }
    if (channel->is_worn || line->asked >= DNS_CHANNEL_QUERIES_MAX ||
        now_ms >= line->since_ms + DNS_CHANNEL_AGE_MAX_MS) {
        if (add_line(channel) == RC_OK) {
            channel->lines->since_ms = now_ms;
        }
    }
    return channel->lines;
}

void dns_channel_send(struct dns_channel_to *channel, uint64_t now_ms,
                      const uint8_t *query, size_t size, dns_channel_done done,
                      void *context)
{
    struct line *line = channel->is_closing ? NULL : line_for(channel, now_ms);
    struct sent *sent = line != NULL ? malloc(sizeof *sent) : NULL;

    if (sent == NULL) {
        done(context, DNS_CHANNEL_END_UNREACHED, NULL, 0);
        return;
    }
    *sent = (struct sent){.line = line, .done = done, .context = context};
    line->asked++;
    line->under_way++;
    ares_send(line->ares, query, (int)size, on_answer, sent);
}

void dns_channel_renew(struct dns_channel_to *channel)
{
    channel->is_worn = true;
}

void dns_channel_tick(struct dns_channel_to *channel)
{
    struct line *line = channel->lines;

    while (line != NULL) {
        struct line *next = line->next;
        if (line->under_way > 0) {
            ares_process_fd(line->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
        }
        line = next;
    }
    sweep(channel);
}

void dns_channel_close(struct dns_channel_to *channel, void (*on_closed)(void *context),
                       void *context)
{
    channel->is_closing = true;
    channel->on_closed = on_closed;
    channel->context = context;
    assert(channel->line_count > 0);
    for (struct line *line = channel->lines; line != NULL; line = line->next) {
        line->is_closed = true;
        ares_destroy(line->ares); /* answers every question, for the last time */
        dns_watch_close(line->watch);
    }
}
