/* worker_uv.c - see worker_uv.h. The thread, its mailbox, its snapshot; accepting is
 * acceptor_uv.c's work. */
#include "proxy/worker/worker_uv.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/logger.h"
#include "base/text.h"
#include "proxy/worker/acceptor_uv.h"
#include "proxy/worker/inquiry_uv.h"

/* A letter from control: a snapshot with the sockets that are new in it. */
struct letter {
    struct letter *next;
    struct snapshot *snapshot;
    size_t count;
    int fds[];
};

struct worker_thread {
    struct worker public; /* first: protocols hold a pointer to it */
    uv_loop_t loop;
    uv_thread_t thread;
    uv_async_t wake;
    bool wake_closed;
    _Atomic(struct letter *) letters; /* newest first */
    _Atomic int stop;                 /* 0, or 1 + enum worker_stop */
    _Atomic bool ended;
    _Atomic(struct inquiry *) inquiry; /* not yet answered */
    bool leaving;                      /* accepts nobody any more */
    bool aborted;
    const struct worker_protocol *const *protocols;
    void *states[CONFIG_MODE_COUNT];
    struct worker_hooks hooks;
    struct acceptor *acceptor;
    struct balance **balances; /* one a pool of the snapshot */
    size_t balance_count;
};

static struct worker_thread *thread_of(const struct worker *worker)
{
    return (
        struct worker_thread *)worker; /* its first member; handed out as const only */
}

/* --- what protocols call --- */

void *worker_state(const struct worker *worker, enum config_mode mode)
{
    assert(mode < CONFIG_MODE_COUNT);
    return thread_of(worker)->states[mode];
}

const struct snapshot_pool *worker_pool(const struct worker *worker, size_t pool)
{
    assert(pool < worker->snapshot->pool_count);
    return &worker->snapshot->pools[pool];
}

int worker_find_pool(const struct worker *worker, const char *name)
{
    const struct snapshot_pool *found = snapshot_find_pool(worker->snapshot, name);
    return found != NULL ? (int)(found - worker->snapshot->pools) : -1;
}

int worker_find_derived(const struct worker *worker, size_t pattern, const char *service)
{
    const struct snapshot_pool *found =
        snapshot_find_derived(worker->snapshot, pattern, service);
    return found != NULL ? (int)(found - worker->snapshot->pools) : -1;
}

void worker_want_pool(struct worker *worker, size_t pattern, const char *service)
{
    const struct worker_hooks *hooks = &thread_of(worker)->hooks;
    assert(pattern < worker->snapshot->config->pool_count);
    if (hooks->pool_wanted != NULL) {
        hooks->pool_wanted(hooks->context, worker->snapshot->config->pools[pattern].name,
                           service);
    }
}

const struct snapshot_member *worker_pick(struct worker *worker, size_t pool,
                                          struct balance_request *request)
{
    request->now_ms = uv_now(worker->loop);
    struct balance *balance = thread_of(worker)->balances[pool];
    const struct snapshot_pool *from = worker_pool(worker, pool);
    if (from->derived != NULL) {
        atomic_store_explicit(&from->derived->used_at_ms, request->now_ms,
                              memory_order_relaxed);
    }
    return balance != NULL ? balance_pick(balance, from, request) : NULL;
}

void worker_use_begin(struct worker *worker, struct instance *instance)
{
    (void)worker;
    instance_begin(instance);
}

bool worker_use_try(struct worker *worker, struct instance *instance, uint32_t max)
{
    (void)worker;
    return instance_try_begin(instance, max);
}

void worker_use_end(struct worker *worker, const struct config_pool *pool,
                    struct instance *instance, enum instance_outcome outcome)
{
    const struct worker_hooks *hooks = &thread_of(worker)->hooks;
    uint32_t failures_max = pool != NULL ? pool->outlier_failures : 0;
    if (instance_end(instance, outcome, failures_max) && hooks->instance_failed != NULL) {
        hooks->instance_failed(hooks->context);
    }
}

void worker_connection_done(struct worker *worker, struct worker_listener *listener)
{
    struct worker_thread *t = thread_of(worker);
    acceptor_connection_done(t->acceptor, listener);
    if (t->leaving) {
        (void)uv_async_send(&t->wake); /* it may have been the last */
    }
}

const struct config_listener *
worker_listener_config(const struct worker_listener *listener)
{
    return acceptor_config(listener);
}

struct meter_lane *worker_listener_lane(const struct worker_listener *listener)
{
    return acceptor_lane(listener);
}

struct meter_lane *worker_route_lane(const struct worker_listener *listener, size_t route)
{
    return acceptor_route_lane(listener, route);
}

struct limit *worker_limit(const struct worker_listener *listener,
                           const struct config_limit *limit)
{
    return acceptor_limit(listener, limit);
}

struct limit_grant worker_take_grant(struct worker *worker)
{
    return acceptor_take_grant(thread_of(worker)->acceptor);
}

struct tls_context *worker_listener_tls(const struct worker_listener *listener)
{
    return acceptor_tls(listener);
}

const struct snapshot_pool *worker_listener_pool(const struct worker *worker,
                                                 const struct worker_listener *listener)
{
    return snapshot_find_pool(worker->snapshot, acceptor_pool_name(listener));
}

uint32_t worker_connections(const struct worker *worker)
{
    return acceptor_connections(thread_of(worker)->acceptor);
}

/* --- the snapshot --- */

/* The pool of this name in the former snapshot, most often at the same place. */
static const struct snapshot_pool *find_former(const struct snapshot *old, size_t place,
                                               const char *name)
{
    bool same =
        place < old->pool_count && rc_text_equals(old->pools[place].config->name, name);
    return same ? &old->pools[place] : snapshot_find_pool(old, name);
}

/* New balances for the pools of `next`; a pool that stays (by name) keeps its turns. */
static void sync_balances(struct worker_thread *t, const struct snapshot *next)
{
    size_t count = next->pool_count;
    struct balance **made = calloc(count + 1, sizeof(struct balance *));
    const struct snapshot *old = t->public.snapshot;

    for (size_t i = 0; made != NULL && i < count; i++) {
        const char *name = next->pools[i].config->name;
        const struct snapshot_pool *was =
            t->balance_count > 0 ? find_former(old, i, name) : NULL;
        size_t former = was != NULL ? (size_t)(was - old->pools) : 0;
        if (was != NULL) {
            made[i] = t->balances[former];
            t->balances[former] = NULL;
        } else {
            made[i] = balance_create(rc_random_next(&t->public.random));
        }
        if (made[i] != NULL && balance_sync(made[i], &next->pools[i]) != RC_OK) {
            rc_log(RC_LOG_ERROR, "proxy", "no memory to balance pool %s", name);
        }
    }
    for (size_t i = 0; i < t->balance_count; i++) {
        balance_destroy(t->balances[i]);
    }
    free((void *)t->balances);
    t->balances = made;
    t->balance_count = made != NULL ? count : 0;
}

/* Opens the protocols that the configuration needs and that are not open yet. */
static int open_protocols(struct worker_thread *t, const struct config *config)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        enum config_mode mode = config->listeners[i].mode;
        const struct worker_protocol *protocol = t->protocols[mode];
        if (protocol == NULL) {
            return RC_EUNSUPPORTED;
        }
        if (t->states[mode] != NULL) {
            continue;
        }
        int err = protocol->open(&t->public, &t->states[mode]);
        if (err != RC_OK) {
            return err;
        }
        assert(t->states[mode] != NULL);
    }
    return RC_OK;
}

static void take_snapshot(struct worker_thread *t, const struct letter *letter)
{
    struct snapshot *old = t->public.snapshot;
    sync_balances(t, letter->snapshot);
    t->public.snapshot = letter->snapshot;
    if (open_protocols(t, letter->snapshot->config) != RC_OK) {
        rc_log(RC_LOG_ERROR, "proxy", "worker %u cannot serve a new listener",
               t->public.number);
    }
    acceptor_update(t->acceptor, letter->fds);
    for (size_t i = 0; i < CONFIG_MODE_COUNT; i++) {
        if (t->states[i] != NULL) {
            t->protocols[i]->snapshot_changed(&t->public, t->states[i], old);
        }
    }
    snapshot_release(old);
}

/* --- the mailbox --- */

static struct letter *take_letters(struct worker_thread *t)
{
    struct letter *newest = atomic_exchange(&t->letters, NULL);
    struct letter *oldest = NULL;
    while (newest != NULL) {
        struct letter *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

static void abort_all(struct worker_thread *t)
{
    if (t->aborted) {
        return;
    }
    t->aborted = true;
    acceptor_close(t->acceptor);
    for (size_t i = 0; i < CONFIG_MODE_COUNT; i++) {
        if (t->states[i] != NULL) {
            t->protocols[i]->abort(&t->public, t->states[i]);
        }
    }
    if (!t->wake_closed) {
        t->wake_closed = true;
        uv_close((uv_handle_t *)&t->wake, NULL);
    }
}

static void begin_leave(struct worker_thread *t)
{
    if (!t->leaving) {
        t->leaving = true;
        acceptor_drain(t->acceptor);
    }
    if (acceptor_connections(t->acceptor) == 0) {
        abort_all(t); /* nothing left but idle upstream connections and timers */
    }
}

static void begin_drain(struct worker_thread *t)
{
    if (!t->public.draining) {
        t->public.draining = true;
        for (size_t i = 0; i < CONFIG_MODE_COUNT; i++) {
            if (t->states[i] != NULL) {
                t->protocols[i]->snapshot_changed(&t->public, t->states[i],
                                                  t->public.snapshot);
            }
        }
    }
    begin_leave(t);
}

static void answer_inquiry(struct worker_thread *t)
{
    struct inquiry *inquiry = atomic_exchange(&t->inquiry, NULL);
    if (inquiry == NULL) {
        return;
    }
    for (size_t i = 0; i < CONFIG_MODE_COUNT; i++) {
        if (t->states[i] != NULL && t->protocols[i]->list != NULL && !t->aborted) {
            t->protocols[i]->list(&t->public, t->states[i], inquiry);
        }
    }
    inquiry_done(inquiry);
    inquiry_release(inquiry);
}

int worker_ask(struct worker *worker, struct inquiry *inquiry)
{
    struct worker_thread *t = thread_of(worker);
    if (atomic_load(&t->ended)) {
        return RC_ECLOSED;
    }
    inquiry_release(atomic_exchange(&t->inquiry, inquiry_retain(inquiry)));
    (void)uv_async_send(&t->wake);
    return RC_OK;
}

static void on_wake(uv_async_t *wake)
{
    struct worker_thread *t = wake->data;
    struct letter *letter = take_letters(t);
    while (letter != NULL) {
        struct letter *next = letter->next;
        take_snapshot(t, letter);
        free(letter);
        letter = next;
    }
    answer_inquiry(t);
    int stop = atomic_load(&t->stop);
    if (stop == 1 + WORKER_STOP_NOW) {
        abort_all(t);
    } else if (stop == 1 + WORKER_STOP_DRAIN && !t->aborted) {
        begin_drain(t);
    } else if (stop == 1 + WORKER_STOP_LEAVE && !t->aborted) {
        begin_leave(t);
    }
}

static int post(struct worker_thread *t, struct snapshot *snapshot, const int *fds)
{
    size_t count = snapshot->config->listener_count;
    struct letter *letter = malloc(sizeof *letter + count * sizeof letter->fds[0]);
    if (letter == NULL) {
        return RC_ENOMEM;
    }
    letter->snapshot = snapshot_retain(snapshot);
    letter->count = count;
    for (size_t i = 0; i < count; i++) {
        letter->fds[i] = fds[i];
    }
    letter->next = atomic_load(&t->letters);
    while (!atomic_compare_exchange_weak(&t->letters, &letter->next, letter)) {
    }
    return RC_OK;
}

int worker_publish(struct worker *worker, struct snapshot *snapshot,
                   const int *listen_fds)
{
    struct worker_thread *t = thread_of(worker);
    int err = post(t, snapshot, listen_fds);
    if (err == RC_OK) {
        (void)uv_async_send(&t->wake);
    }
    return err;
}

void worker_stop(struct worker *worker, enum worker_stop how)
{
    struct worker_thread *t = thread_of(worker);
    atomic_store(&t->stop, 1 + (int)how);
    if (!atomic_load(&t->ended)) {
        (void)uv_async_send(&t->wake);
    }
}

/* --- the thread --- */

static void run(void *context)
{
    struct worker_thread *t = context;
    (void)uv_run(&t->loop, UV_RUN_DEFAULT);
    for (size_t i = 0; i < CONFIG_MODE_COUNT; i++) {
        if (t->states[i] != NULL) {
            t->protocols[i]->close(&t->public, t->states[i]);
            t->states[i] = NULL;
        }
    }
    atomic_store(&t->ended, true);
}

static void free_thread(struct worker_thread *t)
{
    struct letter *letter = take_letters(t);
    while (letter != NULL) {
        struct letter *next = letter->next;
        snapshot_release(letter->snapshot);
        free(letter);
        letter = next;
    }
    for (size_t i = 0; i < t->balance_count; i++) {
        balance_destroy(t->balances[i]);
    }
    free((void *)t->balances);
    inquiry_release(atomic_load(&t->inquiry));
    acceptor_destroy(t->acceptor);
    snapshot_release(t->public.snapshot);
    int err = uv_loop_close(&t->loop);
    assert(err == 0); /* every handle was closed before the loop ended */
    pipe_pool_fini(&t->public.pipes);
    free(t);
}

/* The first snapshot; its letter is in hand, so nothing is queued. */
static int begin(struct worker_thread *t, const struct worker_options *options)
{
    t->public.snapshot = snapshot_retain(options->snapshot);
    t->balance_count = 0;
    sync_balances(t, t->public.snapshot);
    int err = open_protocols(t, t->public.snapshot->config);
    if (err == RC_OK) {
        err = acceptor_create(&t->public, t->protocols, &t->acceptor);
    }
    if (err == RC_OK) {
        acceptor_update(t->acceptor, options->listen_fds);
        err = uv_thread_create(&t->thread, run, t) == 0 ? RC_OK : RC_EIO;
    }
    return err;
}

static struct worker_thread *create_thread(const struct worker_options *options)
{
    struct worker_thread *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return NULL;
    }
    if (uv_loop_init(&t->loop) != 0) {
        free(t);
        return NULL;
    }
    if (uv_async_init(&t->loop, &t->wake, on_wake) != 0) {
        (void)uv_loop_close(&t->loop);
        free(t);
        return NULL;
    }
    t->wake.data = t;
    t->protocols = options->protocols;
    t->hooks = options->hooks;
    t->public.loop = &t->loop;
    t->public.number = options->number;
    t->public.metrics = options->metrics;
    pipe_pool_init(&t->public.pipes);
    t->public.spliced =
        rc_metrics_counter(options->metrics, "rollcall_proxy_spliced_bytes_total", NULL,
                           "Bytes of long transfers that passed without being copied.");
    t->public.cancels = options->cancels;
    rc_random_init(&t->public.random, options->seed);
    return t;
}

int worker_start(const struct worker_options *options, struct worker **out)
{
    struct worker_thread *t = create_thread(options);
    if (t == NULL) {
        return RC_ENOMEM;
    }
    int err = begin(t, options);
    if (err != RC_OK) {
        if (t->acceptor != NULL) {
            abort_all(t);
        } else {
            uv_close((uv_handle_t *)&t->wake, NULL);
        }
        run(t); /* until what was opened is closed */
        free_thread(t);
        return err;
    }
    *out = &t->public;
    return RC_OK;
}

bool worker_has_ended(const struct worker *worker)
{
    return atomic_load(&thread_of(worker)->ended);
}

void worker_join(struct worker *worker)
{
    struct worker_thread *t = thread_of(worker);
    (void)uv_thread_join(&t->thread);
    free_thread(t);
}
