#include "agent/proxies_uv.h"

#include <stdlib.h>
#include <string.h>

#include "agent/agent_uv.h"
#include "base/clock.h"
#include "base/err.h"

enum { CHUNK = 16 * 1024 };

/* A proxy that is being asked. Freed when its socket is closed. */
struct asking {
    struct proxies_uv *proxies;
    struct proxy_entry *entry;
    uv_tcp_t socket;
    uv_connect_t connect;
    uv_write_t write;
    struct rc_buffer request;
    struct rc_buffer reply;
};

struct proxies_uv {
    struct agent *agent;
    struct proxy_book shown;
    struct proxy_book next;               /* of the round that is under way */
    struct asking *asked[PROXY_BOOK_MAX]; /* of it; NULL: has ended */
    size_t open;                          /* how many have not */
    uv_timer_t limit;                     /* of the round */
    bool is_asking;
    bool is_closing;
    bool limit_is_closed;
};

static void free_if_closed(struct proxies_uv *p)
{
    if (!p->is_closing || !p->limit_is_closed || p->open > 0) {
        return;
    }
    p->agent->proxies = NULL;
    p->agent->open--;
    proxy_book_fini(&p->shown);
    proxy_book_fini(&p->next);
    free(p);
}

/* All have answered, or will not. */
static void end_round(struct proxies_uv *p)
{
    (void)uv_timer_stop(&p->limit);
    p->is_asking = false;
    proxy_book_fini(&p->shown);
    p->shown = p->next;
    p->shown.at_ms = rc_clock_ms();
    p->next = (struct proxy_book){0};
    http_tell_news(p->agent->http, HTTP_NEWS_PROXIES);
}

static void on_closed(uv_handle_t *handle)
{
    struct asking *asking = handle->data;
    struct proxies_uv *p = asking->proxies;

    for (size_t i = 0; i < PROXY_BOOK_MAX; i++) {
        p->asked[i] = p->asked[i] == asking ? NULL : p->asked[i];
    }
    rc_buffer_fini(&asking->request);
    rc_buffer_fini(&asking->reply);
    free(asking);
    p->open--;
    if (p->is_closing) {
        free_if_closed(p);
    } else if (p->open == 0) {
        end_round(p);
    }
}

/* NULL: it was taken already. */
static void end(struct asking *asking, const char *why)
{
    if (uv_is_closing((uv_handle_t *)&asking->socket)) {
        return;
    }
    if (why != NULL) {
        proxy_book_fail(asking->entry, why);
    }
    uv_close((uv_handle_t *)&asking->socket, on_closed);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct asking *asking = handle->data;
    struct rc_buffer *reply = &asking->reply;

    (void)suggested;
    bool ok = rc_buffer_reserve(reply, CHUNK) == RC_OK;
    *out = uv_buf_init(ok ? (char *)reply->bytes + reply->size : NULL, ok ? CHUNK : 0);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *space)
{
    struct asking *asking = stream->data;

    (void)space;
    if (count > 0) {
        asking->reply.size += (size_t)count;
        if (asking->reply.size > PROXY_BOOK_REPLY_MAX) {
            end(asking, "its answer is too long");
        }
    } else if (count == UV_EOF) {
        proxy_book_take(&asking->proxies->next, asking->entry, asking->reply.bytes,
                        asking->reply.size);
        end(asking, NULL);
    } else if (count < 0) {
        end(asking,
            count == UV_ENOBUFS ? "its answer is too long" : "it broke its answer off");
    }
}

static void on_written(uv_write_t *write, int status)
{
    (void)write; /* reading tells what came of it */
    (void)status;
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct asking *asking = connect->data;
    uv_stream_t *stream = (uv_stream_t *)&asking->socket;
    uv_buf_t bytes =
        uv_buf_init((char *)asking->request.bytes, (unsigned)asking->request.size);

    if (status == UV_ECANCELED) {
        return;
    }
    if (status != 0) {
        end(asking, status == UV_ECONNREFUSED ? "it refuses the connection"
                                              : "it cannot be reached");
    } else if (uv_read_start(stream, on_alloc, on_read) != 0 ||
               uv_write(&asking->write, stream, &bytes, 1, on_written) != 0) {
        end(asking, "it broke the connection");
    }
}

static void ask(struct proxies_uv *p, struct proxy_entry *entry, size_t place)
{
    struct asking *asking = calloc(1, sizeof *asking);
    struct sockaddr_storage name;

    if (asking == NULL || uv_tcp_init(&p->agent->loop, &asking->socket) != 0) {
        free(asking);
        proxy_book_fail(entry, "not asked: out of memory");
        return;
    }
    asking->proxies = p;
    asking->entry = entry;
    asking->socket.data = asking;
    asking->connect.data = asking;
    asking->reply.max = PROXY_BOOK_REPLY_MAX + 2 * CHUNK;
    p->asked[place] = asking;
    p->open++;
    proxy_book_ask(entry, &asking->request);
    (void)rc_address_to_sockaddr(&entry->address, &name);
    if (asking->request.err != RC_OK ||
        uv_tcp_connect(&asking->connect, &asking->socket, (const struct sockaddr *)&name,
                       on_connected) != 0) {
        end(asking, "it cannot be reached");
    }
}

static void on_limit(uv_timer_t *timer)
{
    struct proxies_uv *p = timer->data;

    for (size_t i = 0; i < PROXY_BOOK_MAX; i++) {
        if (p->asked[i] != NULL) {
            end(p->asked[i], "it does not answer in time");
        }
    }
    if (p->open == 0) { /* there was nobody to ask */
        end_round(p);
    }
}

void agent_ask_proxies(void *context)
{
    struct agent *agent = context;
    struct proxies_uv *p = agent->proxies;
    size_t place = 0;

    if (p == NULL || p->is_asking || p->is_closing ||
        proxy_book_list(&p->next, agent->catalog, agent->gossip) != RC_OK) {
        return;
    }
    p->is_asking = true;
    for (size_t i = 0; i < p->next.count; i++) {
        if (p->next.entries[i].is_asked) {
            ask(p, &p->next.entries[i], place++);
        }
    }
    /* Whoever asked does not wait yet: without a soul to ask, the end is told a turn later. */
    (void)uv_timer_start(&p->limit, on_limit, p->open > 0 ? PROXY_BOOK_LIMIT_MS : 0, 0);
}

const struct proxy_book *agent_proxies_book(const struct agent *agent)
{
    return &agent->proxies->shown;
}

int agent_open_proxies(struct agent *agent)
{
    struct proxies_uv *p = calloc(1, sizeof *p);

    if (p == NULL) {
        return RC_ENOMEM;
    }
    p->agent = agent;
    (void)uv_timer_init(&agent->loop, &p->limit); /* cannot fail */
    p->limit.data = p;
    agent->proxies = p;
    agent->open++;
    return RC_OK;
}

static void on_limit_closed(uv_handle_t *handle)
{
    struct proxies_uv *p = handle->data;

    p->limit_is_closed = true;
    free_if_closed(p);
}

void agent_close_proxies(struct agent *agent)
{
    struct proxies_uv *p = agent->proxies;

    if (p == NULL || p->is_closing) {
        return;
    }
    p->is_closing = true;
    for (size_t i = 0; i < PROXY_BOOK_MAX; i++) {
        if (p->asked[i] != NULL) {
            end(p->asked[i], "closing");
        }
    }
    uv_close((uv_handle_t *)&p->limit, on_limit_closed);
}
