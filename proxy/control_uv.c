/* control_uv.c - see control_uv.h. Long because start, reload and stop are told in one place: the
 * order in which the parts come and go is the whole point. */
#include "proxy/control_uv.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/entropy.h"
#include "base/err.h"
#include "base/logger.h"
#include "base/metrics.h"
#include "base/notify.h"
#include "base/pages.h"
#include "base/text.h"
#include "dns/resolve_ares.h"
#include "proxy/admin_uv.h"
#include "proxy/cancel_map.h"
#include "proxy/listen_uv.h"
#include "proxy/pool_uv.h"

enum { WORKERS_MAX = 64, TICK_MS = 100 };

enum phase { PHASE_RUNNING, PHASE_GRACE, PHASE_DRAINING, PHASE_STOPPING, PHASE_CLOSED };

struct control {
    uv_loop_t *loop;
    const char *config_path;
    const struct worker_protocol *const *protocols;
    struct snapshot_config *shared;
    struct snapshot *snapshot; /* the last one published */
    struct pool **pools;       /* one for each of the configuration */
    size_t pool_count;
    struct worker *workers[WORKERS_MAX];
    size_t worker_count;
    struct rc_random random;
    struct rc_metrics *metrics;
    struct cancel_map *cancels;
    struct dns_resolver *resolver;
    struct admin_loop *admin;
    uv_async_t failed; /* from workers: look at the counters now */
    uv_timer_t tick;
    enum phase phase;
    uint64_t phase_since_ms;
};

static const struct config *config_of(const struct control *control)
{
    return control->shared->config;
}

/* --- publishing --- */

static struct snapshot *build_snapshot(struct control *control)
{
    uint64_t generation =
        control->snapshot != NULL ? control->snapshot->generation + 1 : 1;
    struct snapshot *made = snapshot_create(control->shared, generation);
    if (made == NULL) {
        return NULL;
    }
    made->draining = control->phase != PHASE_RUNNING;
    for (size_t i = 0; i < control->pool_count; i++) {
        if (lineup_fill(pool_lineup(control->pools[i]), made, i) != RC_OK) {
            snapshot_release(made);
            return NULL;
        }
    }
    return made;
}

/* Sends the state as it is now to every worker; `fds` are the new sockets of one worker
 * after the other, or NULL when no listener is new. */
static void publish(struct control *control, const int *fds)
{
    size_t listeners = config_of(control)->listener_count;
    int *none = malloc((listeners + 1) * sizeof *none);
    struct snapshot *next = build_snapshot(control);
    if (next == NULL || none == NULL) {
        rc_log(RC_LOG_ERROR, "proxy", "no memory for a snapshot: the former one stays");
        snapshot_release(next);
        free(none);
        return;
    }
    for (size_t i = 0; i < listeners; i++) {
        none[i] = -1;
    }
    for (size_t w = 0; w < control->worker_count; w++) {
        const int *own = fds != NULL ? fds + w * listeners : none;
        if (worker_publish(control->workers[w], next, own) != RC_OK) {
            rc_log(RC_LOG_ERROR, "proxy", "no memory to reach worker %zu", w);
        }
    }
    free(none);
    snapshot_release(control->snapshot);
    control->snapshot = next;
}

static void on_pool_changed(void *context)
{
    struct control *control = context;
    if (control->worker_count > 0) {
        publish(control, NULL);
    }
}

/* --- pools --- */

static struct pool *make_pool(struct control *control, const struct config_pool *config)
{
    struct pool_options options = {
        .loop = control->loop,
        .config = config_of(control),
        .pool = config,
        .resolver = control->resolver,
        .metrics = control->metrics,
        .seed = rc_random_next(&control->random),
        .changed = on_pool_changed,
        .context = control,
    };
    return pool_start(&options);
}

static struct pool *take_former(struct control *control, const char *name)
{
    for (size_t i = 0; i < control->pool_count; i++) {
        if (control->pools[i] != NULL &&
            rc_text_equals(pool_name(control->pools[i]), name)) {
            struct pool *found = control->pools[i];
            control->pools[i] = NULL;
            return found;
        }
    }
    return NULL;
}

static void close_pools(struct control *control)
{
    for (size_t i = 0; i < control->pool_count; i++) {
        pool_close(control->pools[i]);
    }
    free((void *)control->pools);
    control->pools = NULL;
    control->pool_count = 0;
}

/* Pools for control->shared: those of the same name go on, the others end. */
static int follow_pools(struct control *control)
{
    const struct config *config = config_of(control);
    struct pool **made = calloc(config->pool_count + 1, sizeof(struct pool *));
    int err = made != NULL ? RC_OK : RC_ENOMEM;

    for (size_t i = 0; err == RC_OK && i < config->pool_count; i++) {
        made[i] = take_former(control, config->pools[i].name);
        if (made[i] != NULL) {
            err = pool_configure(made[i], config, &config->pools[i], control->resolver);
        } else {
            made[i] = make_pool(control, &config->pools[i]);
            err = made[i] != NULL ? RC_OK : RC_ENOMEM;
        }
    }
    close_pools(control);
    control->pools = made;
    control->pool_count = made != NULL ? config->pool_count : 0;
    return err;
}

static int start_resolver(struct control *control)
{
    const struct config *config = config_of(control);
    struct dns_resolve_options options = {.servers = config->dns_servers,
                                          .server_count = config->dns_server_count,
                                          .transport = DNS_TRANSPORT_TCP};
    return dns_resolver_start(control->loop, &options, &control->resolver);
}

/* --- time and counters --- */

static void look_at_pools(struct control *control)
{
    bool changed = false;
    for (size_t i = 0; i < control->pool_count; i++) {
        changed = pool_tick(control->pools[i]) || changed;
    }
    if (changed) {
        publish(control, NULL);
    }
}

static void on_failed(uv_async_t *failed)
{
    struct control *control = failed->data;
    for (size_t i = 0; i < control->pool_count; i++) {
        pool_refresh(control->pools[i]);
    }
    look_at_pools(control);
}

static void instance_failed(void *context)
{
    struct control *control = context;
    (void)uv_async_send(&control->failed);
}

/* --- what the admin port asks --- */

static bool is_ready(void *context)
{
    const struct control *control = context;
    bool known = true;
    for (size_t i = 0; i < control->pool_count; i++) {
        known = known && lineup_is_known(pool_lineup(control->pools[i]));
    }
    return known && control->phase == PHASE_RUNNING;
}

/* Calls `put` with the state as it is now. */
static void tell(struct control *control, struct rc_buffer *out,
                 void (*put)(const struct admin_view *, struct rc_buffer *))
{
    uint32_t connections[WORKERS_MAX];
    struct admin_pool *pools = calloc(control->pool_count + 1, sizeof *pools);
    if (pools == NULL) {
        return;
    }
    for (size_t i = 0; i < control->pool_count; i++) {
        pools[i].config = &config_of(control)->pools[i];
        pools[i].lineup = pool_lineup(control->pools[i]);
        pools[i].view = pool_view(control->pools[i]);
    }
    for (size_t i = 0; i < control->worker_count; i++) {
        connections[i] = worker_connections(control->workers[i]);
    }
    struct admin_view view = {
        .pools = pools,
        .pool_count = control->pool_count,
        .connections = connections,
        .worker_count = control->worker_count,
        .generation = control->snapshot->generation,
        .now_ms = rc_clock_ms(),
        .now_boot_ms = rc_clock_boot_ms(),
        .draining = control->phase != PHASE_RUNNING,
    };
    put(&view, out);
    free(pools);
}

static void put_upstreams(void *context, struct rc_buffer *out)
{
    tell(context, out, admin_pages_upstreams);
}

static void put_metrics(void *context, struct rc_buffer *out)
{
    const struct control *control = context;
    rc_metrics_render(control->metrics, out);
    tell(context, out, admin_pages_metrics);
}

static void put_config(void *context, struct rc_buffer *out)
{
    config_print(config_of(context), out);
}

static int take_order(void *context, const struct admin_order *order)
{
    struct control *control = context;
    for (size_t i = 0; i < control->pool_count; i++) {
        if (rc_text_equals(pool_name(control->pools[i]), order->pool)) {
            int err = lineup_order(pool_lineup(control->pools[i]), order->id,
                                   order->order, rc_clock_ms());
            publish(control, NULL);
            rc_log(RC_LOG_INFO, "proxy", "pool %s: %s %s by the operator", order->pool,
                   order->order == LINEUP_DRAIN ? "drain" : "undrain", order->id);
            return err;
        }
    }
    return RC_ENOTFOUND;
}

static void take_reload(void *context)
{
    control_reload(context);
}

static int start_admin(struct control *control, char error[CONTROL_ERROR_MAX])
{
    const struct rc_address *address = &config_of(control)->admin;
    const struct admin_hooks hooks = {control,    is_ready,   put_upstreams, put_metrics,
                                      put_config, take_order, take_reload};
    if (address->family == RC_ADDRESS_NONE) {
        return RC_OK;
    }
    int err = admin_loop_start(control->loop, address, &hooks, &control->admin);
    if (err == RC_EIO) {
        char text[RC_ADDRESS_TEXT_MAX];
        rc_address_format(address, text);
        (void)snprintf(error, CONTROL_ERROR_MAX, "cannot listen on admin %s: %s", text,
                       strerrordesc_np(errno));
    }
    return err;
}

/* --- stopping --- */

static void enter(struct control *control, enum phase phase)
{
    control->phase = phase;
    control->phase_since_ms = rc_clock_ms();
}

static void stop_workers(struct control *control, enum worker_stop how)
{
    for (size_t i = 0; i < control->worker_count; i++) {
        worker_stop(control->workers[i], how);
    }
}

static bool all_ended(const struct control *control)
{
    for (size_t i = 0; i < control->worker_count; i++) {
        if (!worker_has_ended(control->workers[i])) {
            return false;
        }
    }
    return true;
}

/* Closes every handle, so that the loop ends. */
static void close_all(struct control *control)
{
    if (control->phase == PHASE_CLOSED) {
        return;
    }
    enter(control, PHASE_CLOSED);
    admin_loop_close(control->admin);
    close_pools(control);
    if (control->resolver != NULL) {
        dns_resolver_close(control->resolver, NULL, NULL);
        control->resolver = NULL;
    }
    uv_close((uv_handle_t *)&control->failed, NULL);
    uv_close((uv_handle_t *)&control->tick, NULL);
}

static void advance_stop(struct control *control)
{
    const struct config *config = config_of(control);
    uint64_t age_ms = rc_clock_ms() - control->phase_since_ms;

    if (control->phase == PHASE_GRACE && age_ms >= config->grace_ms) {
        enter(control, PHASE_DRAINING);
        stop_workers(control, WORKER_STOP_DRAIN);
    } else if (control->phase == PHASE_DRAINING && age_ms >= config->drain_timeout_ms) {
        rc_log(RC_LOG_WARN, "proxy", "drain_timeout is over: what is left is cut");
        enter(control, PHASE_STOPPING);
        stop_workers(control, WORKER_STOP_NOW);
    }
    if (control->phase >= PHASE_DRAINING && all_ended(control)) {
        close_all(control);
    }
}

void control_stop(struct control *control)
{
    if (control->phase == PHASE_RUNNING) {
        rc_log(RC_LOG_INFO, "proxy", "stopping: connections drain");
        rc_notify("STOPPING=1");
        enter(control, PHASE_GRACE);
        publish(control, NULL);
        advance_stop(control);
    } else if (control->phase < PHASE_STOPPING) {
        rc_log(RC_LOG_INFO, "proxy", "stopping now");
        enter(control, PHASE_STOPPING);
        stop_workers(control, WORKER_STOP_NOW);
    }
}

static void on_tick(uv_timer_t *tick)
{
    struct control *control = tick->data;
    look_at_pools(control);
    if (control->phase != PHASE_RUNNING) {
        advance_stop(control);
    }
}

/* --- reload --- */

/* What a running process cannot change. */
static void keep_fixed(const struct control *control, struct config *next)
{
    const struct config *now = config_of(control);
    if (next->worker_threads != 0 && next->worker_threads != now->worker_threads) {
        rc_log(RC_LOG_WARN, "proxy", "worker_threads changes at the next start");
    }
    if (!rc_address_equals(&next->admin, &now->admin)) {
        rc_log(RC_LOG_WARN, "proxy", "admin changes at the next start");
    }
    next->worker_threads = now->worker_threads;
    next->admin = now->admin;
}

static int restart_resolver(struct control *control)
{
    struct dns_resolver *former = control->resolver;
    int err = start_resolver(control);
    if (err != RC_OK) {
        control->resolver = former;
        return err;
    }
    /* Pools turn to the new one before the former goes. */
    err = follow_pools(control);
    dns_resolver_close(former, NULL, NULL);
    return err;
}

static void warn_of_expired(const struct control *control)
{
    unsigned line =
        certificates_expired_line(control->shared->certificates, config_of(control));
    if (line > 0) {
        rc_log(RC_LOG_WARN, "proxy", "%s:%u: the certificate of this listener has ended",
               control->config_path, line);
    }
}

static void apply(struct control *control, struct snapshot_config *next, const int *fds)
{
    struct snapshot_config *former = control->shared;
    control->shared = next;
    if (restart_resolver(control) != RC_OK) {
        /* Half of the pools may have gone over: there is no way back, and none forward. */
        rc_log(RC_LOG_ERROR, "proxy", "no memory for the new configuration: stopping");
        control_stop(control);
    }
    snapshot_config_release(former);
    publish(control, fds);
}

void control_reload(struct control *control)
{
    char error[CONFIG_ERROR_MAX];
    struct config *config = NULL;
    struct certificates *certificates = NULL;
    int *fds = NULL;

    if (control->phase != PHASE_RUNNING) {
        return;
    }
    int err = config_load(control->config_path, &config, error);
    if (err == RC_OK) {
        keep_fixed(control, config);
        err = certificates_load(config, control->config_path, &certificates, error);
    }
    if (err == RC_OK) {
        err = listen_all(config, config_of(control), control->worker_count, &fds, error);
    }
    if (err != RC_OK) {
        rc_log(RC_LOG_ERROR, "proxy", "reload refused, all stays as it was: %s", error);
        certificates_destroy(certificates);
        config_destroy(config);
        return;
    }
    struct snapshot_config *next = snapshot_config_create(config, certificates);
    if (next == NULL) {
        listen_close(fds, control->worker_count * config->listener_count);
    } else {
        apply(control, next, fds);
        warn_of_expired(control);
        rc_log(RC_LOG_INFO, "proxy", "configuration reloaded");
    }
    free(fds);
}

/* --- start --- */

static int start_workers(struct control *control, const int *fds)
{
    const struct config *config = config_of(control);
    for (unsigned i = 0; i < config->worker_threads; i++) {
        struct worker_options options = {
            .number = i,
            .seed = rc_random_next(&control->random),
            .protocols = control->protocols,
            .metrics = control->metrics,
            .cancels = control->cancels,
            .hooks = {control, instance_failed},
            .snapshot = control->snapshot,
            .listen_fds = fds + i * config->listener_count,
        };
        int err = worker_start(&options, &control->workers[i]);
        if (err != RC_OK) {
            return err;
        }
        control->worker_count++;
    }
    return RC_OK;
}

static int start_parts(struct control *control, const int *fds)
{
    int err = start_resolver(control);
    if (err == RC_OK) {
        err = follow_pools(control);
    }
    if (err == RC_OK) {
        control->snapshot = build_snapshot(control);
        err = control->snapshot != NULL ? start_workers(control, fds) : RC_ENOMEM;
    }
    return err;
}

static struct control *create(uv_loop_t *loop, const struct control_options *options)
{
    struct control *c = calloc(1, sizeof *c);
    if (c == NULL || uv_async_init(loop, &c->failed, on_failed) != 0) {
        free(c);
        return NULL;
    }
    c->failed.data = c;
    (void)uv_timer_init(loop, &c->tick); /* cannot fail */
    c->tick.data = c;
    c->loop = loop;
    c->config_path = options->config_path;
    c->protocols = options->protocols;
    c->metrics = rc_metrics_create();
    rc_random_init(&c->random, rc_entropy_u64());
    c->cancels = cancel_map_create(rc_random_next(&c->random));
    return c;
}

/* The number of workers as it will be: the configured one, or one a core. */
static void settle_workers(struct config *config)
{
    if (config->worker_threads == 0) {
        unsigned cores = uv_available_parallelism();
        config->worker_threads = cores < WORKERS_MAX ? cores : WORKERS_MAX;
    }
}

int control_start(uv_loop_t *loop, const struct control_options *options,
                  struct control **out, char error[CONTROL_ERROR_MAX])
{
    int *fds = NULL;
    struct config *config = options->config;
    error[0] = '\0';
    settle_workers(config);
    int err = listen_all(config, NULL, config->worker_threads, &fds, error);
    struct control *c = err == RC_OK ? create(loop, options) : NULL;
    if (c == NULL) {
        certificates_destroy(options->certificates);
        config_destroy(config);
        free(fds);
        return err != RC_OK ? err : RC_ENOMEM;
    }
    c->shared = snapshot_config_create(config, options->certificates);
    bool whole = c->shared != NULL && c->metrics != NULL && c->cancels != NULL;
    err = whole ? start_parts(c, fds) : RC_ENOMEM;
    free(fds);
    *out = c; /* also on error: main ends it the same way */
    if (err == RC_OK) {
        err = start_admin(c, error);
    }
    if (err != RC_OK) {
        if (error[0] == '\0') {
            (void)snprintf(error, CONTROL_ERROR_MAX, "cannot start: %s",
                           rc_strerror(err));
        }
        stop_workers(c, WORKER_STOP_NOW);
        close_all(c);
        return err;
    }
    (void)uv_timer_start(&c->tick, on_tick, TICK_MS, TICK_MS);
    warn_of_expired(c);
    rc_notify("READY=1");
    rc_pages_release();
    return RC_OK;
}

void control_destroy(struct control *control)
{
    if (control == NULL) {
        return;
    }
    for (size_t i = 0; i < control->worker_count; i++) {
        worker_join(control->workers[i]);
    }
    snapshot_release(control->snapshot);
    snapshot_config_release(control->shared);
    cancel_map_destroy(control->cancels);
    rc_metrics_destroy(control->metrics);
    free(control);
}
