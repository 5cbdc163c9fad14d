/* outbound_uv.c - connections to instances: made, kept for the next request, given up. */
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "proxy/http/http_state_uv.h"
#include "proxy/worker/silence.h"

/* --- the pool of one instance --- */

static struct outbound_pool *pool_of(struct http *http, struct instance *instance)
{
    struct outbound_pool *pool =
        rc_table_get_bytes(http->pools, &instance, sizeof(struct instance *));
    if (pool != NULL) {
        return pool;
    }
    pool = calloc(1, sizeof *pool);
    if (pool == NULL) {
        return NULL;
    }
    TAILQ_INIT(&pool->idle);
    TAILQ_INIT(&pool->busy);
    if (rc_table_put_bytes(http->pools, &instance, sizeof(struct instance *), pool,
                           NULL) != RC_OK) {
        free(pool);
        return NULL;
    }
    pool->instance = instance_retain(instance);
    return pool;
}

static void free_pool(struct http *http, struct outbound_pool *pool)
{
    assert(pool->count == 0);
    tls_memory_clear(&pool->memory);
    (void)rc_table_remove_bytes(http->pools, &pool->instance, sizeof(struct instance *));
    instance_release(pool->instance);
    free(pool);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

/* Out of its list and off the loop; the memory stays readable for this turn. */
static void close_outbound(struct outbound *out)
{
    struct outbound_pool *pool = out->pool;

    if (out->exchange == NULL) {
        TAILQ_REMOVE(&pool->idle, out, link);
        pool->idle_count--;
    } else {
        TAILQ_REMOVE(&pool->busy, out, link);
    }
    assert(pool->count > 0);
    pool->count--;
    timer_clear(&out->http->wheel, &out->timer);
    slab_return(&out->http->slab, &out->in);
    http_socket_close(&out->socket, on_closed);
}

/* --- idle ones --- */

/* The instance has closed a connection that we kept: from now on we are quicker. Young ones say
 * nothing: then the instance has gone, not lost patience. */
static void learn_idle_limit(const struct outbound *out)
{
    uint64_t age_ms = http_now_ms(out->http) - out->idle_since_ms;
    uint32_t known =
        atomic_load_explicit(&out->pool->instance->idle_limit_ms, memory_order_relaxed);

    if (age_ms < HTTP_FRESH_MS) {
        return;
    }
    uint64_t limit_ms = age_ms * 8 / 10;
    limit_ms = limit_ms < HTTP_IDLE_FLOOR_MS ? HTTP_IDLE_FLOOR_MS : limit_ms;
    if (known == 0 || limit_ms < known) {
        atomic_store_explicit(&out->pool->instance->idle_limit_ms, (uint32_t)limit_ms,
                              memory_order_relaxed);
    }
}

static void on_outbound(uv_poll_t *handle, int status, int events)
{
    struct outbound *out = handle->data;
    struct http *http = out->http;

    if (status < 0) {
        out->socket.events = -1; /* libuv has stopped the handle */
        out->failed = true;
    }
    if (out->exchange != NULL) {
        exchange_on_outbound(out->exchange, out, status, events);
    } else if (out->tls != NULL && status >= 0 && http_socket_is_quiet(&out->socket)) {
        /* A ticket or a new key: TLS talks to itself. */
    } else {
        /* End of stream, an error, or bytes that nobody asked for: no way to use it again. */
        learn_idle_limit(out);
        rc_metric_add(http->metrics.stale, 1);
        close_outbound(out);
    }
    http_leave(http);
}

void outbound_rearm(struct outbound *out)
{
    if (out->failed && (out->paused || out->ended)) {
        return; /* the error would be told again and again */
    }
    int events = (out->paused || out->ended ? 0 : UV_READABLE) |
                 (out->blocked || !out->connected ? UV_WRITABLE : 0);
    http_socket_arm(&out->socket, events, on_outbound);
}

void outbound_on_timer(struct outbound *out)
{
    assert(out->exchange == NULL);
    close_outbound(out);
}

struct outbound *outbound_reuse(struct http *http, struct instance *instance,
                                enum retry_class method, const struct tls_context *tls)
{
    struct outbound_pool *pool = pool_of(http, instance);
    uint64_t now_ms = http_now_ms(http);

    if (pool == NULL) {
        return NULL;
    }
    struct outbound *out = NULL;
    while ((out = TAILQ_FIRST(&pool->idle)) != NULL) {
        if (out->tls != tls) { /* of an earlier configuration */
            close_outbound(out);
            continue;
        }
        if (method != RETRY_ONCE) {
            break;
        }
        if (now_ms - out->idle_since_ms >= HTTP_FRESH_MS) {
            return NULL; /* all others are older */
        }
        /* Has it ended, unnoticed so far? One more call, for what cannot be repeated. */
        if (http_socket_is_quiet(&out->socket)) {
            break;
        }
        rc_metric_add(http->metrics.stale, 1);
        close_outbound(out);
    }
    if (out == NULL) {
        return NULL;
    }
    TAILQ_REMOVE(&pool->idle, out, link);
    pool->idle_count--;
    TAILQ_INSERT_HEAD(&pool->busy, out, link);
    timer_clear(&http->wheel, &out->timer);
    out->reused = true;
    rc_metric_add(http->metrics.reuses, 1);
    return out;
}

/* --- new ones --- */

static int open_socket(const struct rc_address *address)
{
    struct sockaddr_storage to;
    socklen_t size = (socklen_t)rc_address_to_sockaddr(address, &to);
    int one = 1;

    int fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    silence_watch(fd);
    if (connect(fd, (struct sockaddr *)&to, size) != 0 && errno != EINPROGRESS) {
        int why = errno;
        (void)close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

struct outbound *outbound_connect(struct http *http, struct instance *instance)
{
    struct outbound_pool *pool = pool_of(http, instance);
    struct outbound *out = pool == NULL ? NULL : calloc(1, sizeof *out);

    if (out == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    int fd = open_socket(&instance->address);
    if (fd < 0) {
        free(out);
        return NULL;
    }
    out->http = http;
    out->pool = pool;
    out->timer.kind = HTTP_TIMER_OUTBOUND;
    if (http_socket_open(&out->socket, http->worker->loop, fd, out) != RC_OK) {
        free(out);
        errno = EMFILE;
        return NULL;
    }
    TAILQ_INSERT_HEAD(&pool->busy, out, link);
    pool->count++;
    rc_metric_add(http->metrics.connects, 1);
    return out;
}

/* --- letting go --- */

/* How long an idle connection may be kept: what we were told, what we have learned, what the
 * instance has said, whichever is least. */
static uint32_t idle_limit_ms(const struct outbound *out,
                              const struct config_pool *config)
{
    uint32_t limit = config->idle_ms;
    uint32_t learned =
        atomic_load_explicit(&out->pool->instance->idle_limit_ms, memory_order_relaxed);

    limit = learned != 0 && learned < limit ? learned : limit;
    return out->idle_limit_ms != 0 && out->idle_limit_ms < limit ? out->idle_limit_ms
                                                                 : limit;
}

void outbound_drained(struct outbound *out)
{
    if (slab_size(out->in) == 0) {
        slab_return(&out->http->slab, &out->in);
    }
    if (out->paused && slab_size(out->in) <= SLAB_BYTES / 2) {
        out->paused = false;
        outbound_rearm(out);
    }
}

void outbound_release(struct outbound *out, enum outbound_fate fate,
                      const struct config_pool *config)
{
    struct outbound_pool *pool = out->pool;
    uint32_t limit_ms = idle_limit_ms(out, config);

    if (fate == OUTBOUND_CLOSE || pool->gone || out->ended || !out->connected ||
        slab_size(out->in) > 0 || config->proxy_send != CONFIG_PROXY_SEND_OFF ||
        pool->idle_count >= HTTP_IDLE_OUTBOUND_MAX || limit_ms == 0) {
        close_outbound(out);
        return;
    }
    slab_return(&out->http->slab, &out->in);
    TAILQ_REMOVE(&pool->busy, out, link);
    TAILQ_INSERT_HEAD(&pool->idle, out, link);
    pool->idle_count++;
    out->exchange = NULL;
    out->paused = false;
    out->blocked = false;
    out->idle_since_ms = http_now_ms(out->http);
    outbound_rearm(out);
    http_set_timer(out->http, &out->timer, out->idle_since_ms + limit_ms);
}

static bool is_known(const struct snapshot *snapshot, const struct instance *instance)
{
    for (size_t i = 0; i < snapshot->pool_count; i++) {
        const struct snapshot_member *member =
            snapshot_find(&snapshot->pools[i], instance);
        bool fails = member != NULL && member->state == UPSTREAM_FAILING &&
                     !snapshot->pools[i].panic;
        if (member != NULL && !fails && member->state != UPSTREAM_DRAINING &&
            member->state != UPSTREAM_GONE) {
            return true;
        }
    }
    return false;
}

static void close_idle(struct outbound_pool *pool)
{
    struct outbound *out = NULL;

    while ((out = TAILQ_FIRST(&pool->idle)) != NULL) {
        close_outbound(out);
    }
}

void outbound_sweep(struct http *http)
{
    size_t position = 0;
    struct outbound_pool *pool = NULL;

    while ((pool = rc_table_next(http->pools, &position, NULL)) != NULL) {
        pool->gone = !is_known(http->worker->snapshot, pool->instance);
        if (!pool->gone) {
            continue;
        }
        close_idle(pool);
        if (pool->count == 0) {
            free_pool(http, pool);
        }
    }
}

void outbound_abort(struct http *http)
{
    size_t position = 0;
    struct outbound_pool *pool = NULL;

    while ((pool = rc_table_next(http->pools, &position, NULL)) != NULL) {
        close_idle(pool);
    }
}

void outbound_pools_free(struct http *http)
{
    size_t position = 0;
    struct outbound_pool *pool = NULL;

    while ((pool = rc_table_next(http->pools, &position, NULL)) != NULL) {
        free_pool(http, pool);
    }
}
