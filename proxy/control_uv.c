/* control_uv.c - see control_uv.h. Long because start, reload and stop are told in one place: the
 * order in which the parts come and go is the whole point. */
#include "proxy/control_uv.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/entropy.h"
#include "base/err.h"
#include "base/logger.h"
#include "base/notify.h"
#include "base/pages.h"
#include "base/text.h"
#include "proxy/control_state_uv.h"
#include "proxy/tls/expiry.h"
#include "proxy/worker/listen_uv.h"

enum { TICK_MS = 100 };

static const struct config *config_of(const struct control *control)
{
    return control->shared->config;
}

/* Takes both. NULL when memory is out. */
static struct snapshot_config *make_shared(struct rc_random *random,
                                           struct config *config,
                                           struct certificates *certificates)
{
    struct snapshot_config *made = snapshot_config_create(config, certificates);
    if (made != NULL && limits_init(&made->limits, config, rc_random_next(random),
                                    rc_clock_ns() / 1000) != RC_OK) {
        snapshot_config_release(made);
        return NULL;
    }
    return made;
}

/* --- publishing --- */

static struct snapshot *build_snapshot(struct control *control)
{
    uint64_t generation =
        control->snapshot != NULL ? control->snapshot->generation + 1 : 1;
    struct snapshot *made = pools_snapshot(control->pools, control->shared, generation);
    if (made != NULL) {
        made->draining = control->phase > PHASE_RUNNING;
        made->hangups = control->hangups;
    }
    return made;
}

void control_publish(struct control *control, const int *fds)
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
    control->pools_told = pools_revision(control->pools);
}

static void arrive(struct control *control);

static void on_pool_changed(void *context)
{
    struct control *control = context;
    if (control->worker_count > 0) {
        control_publish(control, NULL);
        arrive(control);
    }
}

/* --- pools that requests ask for --- */

static void on_wanted(void *context, const char *pattern, const char *service)
{
    struct control *control = context;
    int err = control->phase < PHASE_STOPPING
                  ? pools_want(control->pools, pattern, service)
                  : RC_ECLOSED;
    if (err == RC_ETOOBIG || err == RC_ENOMEM) {
        rc_log(RC_LOG_WARN, "proxy", "no pool for %s of %s: %s", service, pattern,
               rc_strerror(err));
    }
}

static void after_wishes(void *context)
{
    struct control *control = context;
    if (control->phase != PHASE_CLOSED &&
        control->pools_told != pools_revision(control->pools)) {
        control_publish(control, NULL);
    }
}

static void pool_wanted(void *context, const char *pattern, const char *service)
{
    struct control *control = context;
    wishes_post(control->wishes, pattern, service);
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
    if (pools_tick(control->pools)) {
        control_publish(control, NULL);
    }
}

static void tick_meters(struct control *control)
{
    uint64_t now_ms = rc_clock_ms();
    meters_tick(&control->shared->meters, now_ms);
    const struct snapshot *snapshot = control->snapshot;
    for (size_t i = 0; i < snapshot->pool_count; i++) {
        for (size_t k = 0; k < snapshot->pools[i].count; k++) {
            meter_tick(snapshot->pools[i].members[k].instance->meter, now_ms);
        }
    }
}

static void on_failed(uv_async_t *failed)
{
    struct control *control = failed->data;
    pools_refresh(control->pools);
    look_at_pools(control);
}

static void instance_failed(void *context)
{
    struct control *control = context;
    (void)uv_async_send(&control->failed);
}

/* --- stopping --- */

static void enter(struct control *control, enum control_phase phase)
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

static void close_waiting(struct control *control)
{
    if (control->waiting_fds != NULL) {
        assert(control->shared != NULL);
        listen_close(control->waiting_fds,
                     control->worker_count * config_of(control)->listener_count);
        free(control->waiting_fds);
        control->waiting_fds = NULL;
    }
}

/* Closes every handle, so that the loop ends. */
static void close_all(struct control *control)
{
    if (control->phase == PHASE_CLOSED) {
        return;
    }
    enter(control, PHASE_CLOSED);
    close_waiting(control);
    handed_keep(&control->handed, NULL);
    upgrade_close(control->upgrade);
    control_close_admin(control, REGISTRAR_LEAVES);
    pools_close(control->pools);
    control->pools = NULL;
    if (control->wishes != NULL) {
        wishes_close(control->wishes);
    }
    if (control->resolver != NULL) {
        dns_resolver_close(control->resolver, NULL, NULL);
        control->resolver = NULL;
    }
    uv_close((uv_handle_t *)&control->failed, NULL);
    uv_close((uv_handle_t *)&control->tick, NULL);
}

/* Our copies go first: a queue that only they keep open is served by nobody. */
static void begin_drain(struct control *control)
{
    enter(control, PHASE_DRAINING);
    handed_keep(&control->handed, NULL);
    stop_workers(control, WORKER_STOP_DRAIN);
}

static void advance_stop(struct control *control)
{
    const struct config *config = config_of(control);
    uint64_t age_ms = rc_clock_ms() - control->phase_since_ms;

    if (control->phase == PHASE_GRACE && age_ms >= config->grace_ms) {
        begin_drain(control);
    } else if (control->phase == PHASE_REPLACED && age_ms >= config->upgrade_timeout_ms) {
        rc_log(RC_LOG_WARN, "proxy", "upgrade_timeout is over: what is left drains");
        begin_drain(control);
    } else if (control->phase == PHASE_DRAINING && age_ms >= config->drain_timeout_ms) {
        rc_log(RC_LOG_WARN, "proxy", "drain_timeout is over: what is left is cut");
        enter(control, PHASE_STOPPING);
        stop_workers(control, WORKER_STOP_NOW);
    }
    if (control->phase >= PHASE_REPLACED && all_ended(control)) {
        close_all(control);
    }
}

void control_stop(struct control *control)
{
    upgrade_close(control->upgrade); /* who was about to replace us ends, too */
    control->upgrade = NULL;
    if (control->phase == PHASE_RUNNING) {
        rc_log(RC_LOG_INFO, "proxy", "stopping: connections drain");
        rc_notify("STOPPING=1");
        registrar_close(control->registrar, REGISTRAR_LEAVES);
        control->registrar = NULL;
        enter(control, PHASE_GRACE);
        control_publish(control, NULL);
        advance_stop(control);
    } else if (control->phase == PHASE_REPLACED) {
        rc_log(RC_LOG_INFO, "proxy", "replaced, and stopping: connections drain");
        begin_drain(control);
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
    tick_meters(control);
    renewal_tick(&control->renewal, control->config_path, control->shared);
    arrive(control);
    if (control->phase > PHASE_RUNNING) {
        advance_stop(control);
    }
}

/* --- upgrade --- */

/* In the process that replaces another: when it knows who is there it serves, and says so. */
static void arrive(struct control *control)
{
    char error[CONTROL_ERROR_MAX] = "";
    if (control->phase != PHASE_ARRIVING || !pools_are_known(control->pools)) {
        return;
    }
    if (control_open_admin(control, error) != RC_OK) {
        rc_log(RC_LOG_ERROR, "proxy", "cannot replace the former process: %s", error);
        control_stop(control);
        return;
    }
    enter(control, PHASE_RUNNING);
    control_publish(control, control->waiting_fds);
    free(control->waiting_fds);
    control->waiting_fds = NULL;
    upgrade_say_ready(control->handed.ready_fd);
    control->handed.ready_fd = -1;
    rc_log(RC_LOG_INFO, "proxy", "upgrade: this process serves");
    rc_pages_release();
}

/* The process that we started accepts from now on, from the same queues. */
static void be_replaced(struct control *control, int pid)
{
    char state[64];
    (void)snprintf(state, sizeof state, "MAINPID=%d\nREADY=1", pid);
    rc_notify(state);
    rc_log(RC_LOG_INFO, "proxy", "upgrade: process %d serves, this one drains", pid);
    enter(control, PHASE_REPLACED);
    handed_keep(&control->handed, NULL);
    control_close_admin(control, REGISTRAR_STAYS);
    control_publish(control, NULL);
    stop_workers(control, WORKER_STOP_LEAVE);
}

static void on_upgrade(void *context, enum upgrade_result result, int pid)
{
    struct control *control = context;
    switch (result) {
    case UPGRADE_SERVES:
        be_replaced(control, pid);
        return;
    case UPGRADE_ENDED:
        rc_log(RC_LOG_ERROR, "proxy",
               "upgrade refused, all stays as it was: process %d ended", pid);
        break;
    case UPGRADE_SILENT:
        rc_log(RC_LOG_ERROR, "proxy",
               "upgrade refused, all stays as it was: process %d was not ready in time",
               pid);
        break;
    }
    upgrade_close(control->upgrade);
    control->upgrade = NULL;
}

void control_upgrade(struct control *control)
{
    const struct upgrade_hooks hooks = {control, on_upgrade};
    const char *why = "a process is about to replace this one, or has";

    int err = RC_EAGAIN;
    if (control->phase == PHASE_RUNNING && control->upgrade == NULL) {
        why = "this program's file is not known";
        err = control->program != NULL
                  ? upgrade_start(control->loop, control->program, &control->handed,
                                  &hooks, &control->upgrade, &why)
                  : RC_EIO;
    }
    if (err != RC_OK) {
        rc_log(RC_LOG_ERROR, "proxy", "upgrade refused, all stays as it was: %s", why);
    } else {
        rc_log(RC_LOG_INFO, "proxy", "upgrade: %s starts", control->program);
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
    if (!rc_address_equals(&next->figures, &now->figures) ||
        !rc_text_equals(next->register_name, now->register_name)) {
        rc_log(RC_LOG_WARN, "proxy", "figures and register change at the next start");
    }
    next->worker_threads = now->worker_threads;
    next->admin = now->admin;
    next->figures = now->figures;
    memcpy(next->register_name, now->register_name, sizeof next->register_name);
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
    err = pools_follow(control->pools, config_of(control), control->resolver);
    dns_resolver_close(former, NULL, NULL);
    return err;
}

static void apply(struct control *control, struct snapshot_config *next, const int *fds)
{
    struct snapshot_config *former = control->shared;
    meters_inherit(&next->meters, next->config, &former->meters, former->config);
    limits_inherit(&next->limits, next->config, &former->limits, former->config);
    control->shared = next;
    if (restart_resolver(control) != RC_OK) {
        /* Half of the pools may have gone over: there is no way back, and none forward. */
        rc_log(RC_LOG_ERROR, "proxy", "no memory for the new configuration: stopping");
        control_stop(control);
    }
    snapshot_config_release(former);
    handed_keep(&control->handed, config_of(control));
    control_publish(control, fds);
}

static void reload(struct control *control)
{
    char error[CONFIG_ERROR_MAX];
    struct config *config = NULL;
    struct certificates *certificates = NULL;
    int *fds = NULL;

    control->hangups++;
    int err = config_load(control->config_path, &config, error);
    if (err == RC_OK) {
        keep_fixed(control, config);
        err = certificates_load(config, control->config_path,
                                control->shared->certificates->tickets, &certificates,
                                error);
    }
    if (err == RC_OK) {
        const struct listen_options options = {config_of(control), &control->handed,
                                               control->worker_count};
        err = listen_all(config, &options, &fds, error);
    }
    if (err != RC_OK) {
        rc_log(RC_LOG_ERROR, "proxy", "reload refused, all stays as it was: %s", error);
        certificates_destroy(certificates);
        config_destroy(config);
        control_publish(control, NULL); /* log files have been moved away all the same */
        return;
    }
    struct snapshot_config *next = make_shared(&control->random, config, certificates);
    if (next == NULL) {
        listen_close(fds, control->worker_count * config->listener_count);
    } else {
        apply(control, next, fds);
        renewal_say(&control->renewal, control->config_path, control->shared);
        rc_log(RC_LOG_INFO, "proxy", "configuration reloaded");
    }
    free(fds);
}

void control_reload(struct control *control)
{
    if (control->phase != PHASE_RUNNING) {
        return;
    }
    if (control->upgrade != NULL) {
        rc_log(RC_LOG_WARN, "proxy", "reload refused: this process is being replaced");
        return;
    }
    rc_notify("RELOADING=1");
    reload(control);
    if (control->phase == PHASE_RUNNING) {
        rc_notify("READY=1");
    }
}

/* --- start --- */

/* Workers without sockets yet: those wait until it is known who is there. */
static int *none_yet(size_t count)
{
    int *none = malloc((count + 1) * sizeof *none);
    for (size_t i = 0; none != NULL && i < count; i++) {
        none[i] = -1;
    }
    return none;
}

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
            .hooks = {control, instance_failed, pool_wanted},
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
        err = pools_follow(control->pools, config_of(control), control->resolver);
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
    c->started_ms = rc_clock_ms();
    c->config_path = options->config_path;
    c->protocols = options->protocols;
    c->program = upgrade_program();
    c->metrics = rc_metrics_create();
    rc_random_init(&c->random, rc_entropy_u64());
    c->cancels = cancel_map_create(rc_random_next(&c->random));
    struct pools_options pools = {.loop = loop,
                                  .metrics = c->metrics,
                                  .seed = rc_random_next(&c->random),
                                  .changed = on_pool_changed,
                                  .context = c};
    struct wishes_options wishes = {
        .loop = loop, .wanted = on_wanted, .done = after_wishes, .context = c};
    c->pools = pools_create(&pools);
    c->wishes = wishes_start(&wishes);
    return c;
}

/* The number of workers as it will be: the configured one, or one a core; more if that many
 * sockets of an address were handed to us, for each has a queue that must be served. */
static void settle_workers(struct config *config, const struct handed *handed)
{
    unsigned wanted = config->worker_threads;
    size_t handed_count = handed_most(handed);
    wanted = wanted == 0 ? uv_available_parallelism() : wanted;
    wanted = handed_count > wanted ? (unsigned)handed_count : wanted;
    config->worker_threads = wanted < WORKERS_MAX ? wanted : WORKERS_MAX;
}

/* The sockets, and what everything hangs on. NULL, and *err says why. Takes what `options` says. */
static struct control *begin(uv_loop_t *loop, const struct control_options *options,
                             int **fds, int *err, char error[CONTROL_ERROR_MAX])
{
    struct handed handed;
    struct config *config = options->config;
    handed_receive(&handed);
    settle_workers(config, &handed);
    const struct listen_options wanted = {NULL, &handed, config->worker_threads};
    *err = listen_all(config, &wanted, fds, error);
    struct control *c = *err == RC_OK ? create(loop, options) : NULL;
    if (c == NULL) {
        *err = *err != RC_OK ? *err : RC_ENOMEM;
        handed_keep(&handed, NULL);
        certificates_destroy(options->certificates);
        config_destroy(config);
        return NULL;
    }
    c->handed = handed;
    c->phase = handed.ready_fd >= 0 ? PHASE_ARRIVING : PHASE_RUNNING;
    c->shared = make_shared(&c->random, config, options->certificates);
    handed_keep(&c->handed, config);
    return c;
}

/* Workers with their sockets; or, if another process has them still, without. */
static int start_all(struct control *c, int *fds, char error[CONTROL_ERROR_MAX])
{
    bool arriving = c->phase == PHASE_ARRIVING;
    const struct config *config = config_of(c);
    int *none =
        arriving ? none_yet(config->listener_count * config->worker_threads) : fds;
    int err = none != NULL ? start_parts(c, none) : RC_ENOMEM;
    free(none);
    if (arriving) {
        c->waiting_fds = fds;
    } else if (err == RC_OK) {
        err = control_open_admin(c, error);
    }
    return err;
}

static void tell_started(struct control *c)
{
    (void)uv_timer_start(&c->tick, on_tick, TICK_MS, TICK_MS);
    renewal_say(&c->renewal, c->config_path, c->shared);
    if (c->phase == PHASE_RUNNING) {
        rc_notify("READY=1");
        rc_pages_release();
    }
}

int control_start(uv_loop_t *loop, const struct control_options *options,
                  struct control **out, char error[CONTROL_ERROR_MAX])
{
    int *fds = NULL;
    int err = RC_OK;
    error[0] = '\0';
    struct control *c = begin(loop, options, &fds, &err, error);
    if (c == NULL) {
        free(fds);
        return err;
    }
    bool whole = c->shared != NULL && c->metrics != NULL && c->cancels != NULL &&
                 c->pools != NULL && c->wishes != NULL;
    err = whole ? start_all(c, fds, error) : RC_ENOMEM;
    *out = c; /* also on error: main ends it the same way */
    if (err == RC_OK) {
        tell_started(c);
        return RC_OK;
    }
    if (error[0] == '\0') {
        (void)snprintf(error, CONTROL_ERROR_MAX, "cannot start: %s", rc_strerror(err));
    }
    stop_workers(c, WORKER_STOP_NOW);
    close_all(c);
    return err;
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
    wishes_free(control->wishes);
    free(control->program);
    rc_metrics_destroy(control->metrics);
    free(control);
}
