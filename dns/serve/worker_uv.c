#include "dns/serve/worker_uv.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <uv.h>

#include "base/err.h"
#include "dns/answer/meter.h"
#include "dns/forward/forward_ares.h"
#include "dns/serve/clerk_uv.h"
#include "dns/serve/later.h"
#include "dns/serve/server_uv.h"
#include "dns/serve/tcp_uv.h"
#include "dns/serve/udp_uv.h"

enum { THREAD_NAME_MAX = 16 };

struct dns_worker {
    struct dns_worker_options options;
    uv_loop_t loop;
    uv_async_t bell;
    atomic_bool is_stopping; /* set by the one who stops it */
    uv_thread_t thread;
    enum { CREATED, RUNNING, CLOSING } state; /* of the thread that starts and stops it */
    struct dns_board_reader *reader;
    struct dns_answerer *answerer;
    struct dns_laters *laters;
    struct dns_desk *desk;
    struct dns_meter meter;
    struct dns_clerk clerk;
    struct dns_udp_batch *batch;
    struct dns_udp udp[DNS_SERVER_LISTEN_MAX];
    size_t udp_count;
    struct dns_tcp *tcp;
};

/* ---- What the clerk wants of it. */

static void enter(void *context)
{
    const struct dns_worker *worker = context;

    dns_board_enter(worker->reader);
}

static void leave(void *context)
{
    const struct dns_worker *worker = context;

    dns_board_leave(worker->reader);
}

static void ring(void *context)
{
    const struct dns_worker *worker = context;

    worker->options.ring(worker->options.context);
}

/* ---- The thread. */

static void on_part_closed(void *context)
{
    (void)context; /* the loop ends when nothing is open on it */
}

static void close_parts(struct dns_worker *worker)
{
    for (size_t i = 0; i < worker->udp_count; i++) {
        dns_udp_close(&worker->udp[i], on_part_closed, worker);
    }
    if (worker->tcp != NULL) {
        dns_tcp_close(worker->tcp, on_part_closed, worker);
    }
    if (worker->clerk.forwarder != NULL) {
        dns_forwarder_close(worker->clerk.forwarder, NULL, NULL);
    }
    uv_close((uv_handle_t *)&worker->bell, NULL);
}

static void on_bell(uv_async_t *bell)
{
    struct dns_worker *worker = bell->data;

    if (atomic_load(&worker->is_stopping)) {
        close_parts(worker);
        return;
    }
    dns_clerk_collect(&worker->clerk);
}

static void run(void *context)
{
    struct dns_worker *worker = context;
    char name[THREAD_NAME_MAX];

    (void)snprintf(name, sizeof name, "dns-%u", worker->options.number);
    (void)pthread_setname_np(pthread_self(), name); /* for whoever looks on */
    (void)uv_run(&worker->loop, UV_RUN_DEFAULT);
}

int dns_worker_run(struct dns_worker *worker)
{
    sigset_t all;
    sigset_t before;

    assert(worker->state == CREATED);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = uv_thread_create(&worker->thread, run, worker);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0) {
        return RC_EIO;
    }
    worker->state = RUNNING;
    return RC_OK;
}

struct dns_desk *dns_worker_desk(const struct dns_worker *worker)
{
    return worker->desk;
}

void dns_worker_wake(struct dns_worker *worker)
{
    (void)uv_async_send(&worker->bell);
}

/* ---- Start and stop. */

static int create_parts(struct dns_worker *worker)
{
    const struct dns_worker_options *options = &worker->options;

    dns_meter_init(&worker->meter, options->metrics);
    worker->batch = dns_udp_batch_create();
    worker->laters = dns_laters_create(DNS_LATER_MAX);
    worker->desk = dns_desk_create();
    if (worker->batch == NULL || worker->laters == NULL || worker->desk == NULL) {
        return RC_ENOMEM;
    }
    int err = dns_board_join(options->board, &worker->reader);
    if (err == RC_OK) {
        err = dns_answerer_create(options->answers, dns_board_view(worker->reader),
                                  options->random_seed, &worker->answerer);
    }
    worker->clerk = (struct dns_clerk){.answerer = worker->answerer,
                                       .meter = &worker->meter,
                                       .laters = worker->laters,
                                       .desk = worker->desk,
                                       .ring = ring,
                                       .enter = enter,
                                       .leave = leave,
                                       .context = worker};
    return err;
}

static void destroy_parts(struct dns_worker *worker)
{
    dns_desk_destroy(worker->desk);
    dns_laters_destroy(worker->laters);
    dns_answerer_destroy(worker->answerer);
    dns_board_part(worker->options.board, worker->reader);
    dns_udp_batch_destroy(worker->batch);
    free(worker);
}

/* The loop last: what is on it needs no more than itself to be closed. */
static int create_loop(struct dns_worker *worker)
{
    if (uv_loop_init(&worker->loop) != 0) {
        return RC_EIO;
    }
    if (uv_async_init(&worker->loop, &worker->bell, on_bell) != 0) {
        (void)uv_loop_close(&worker->loop);
        return RC_EIO;
    }
    worker->bell.data = worker;
    int err = dns_tcp_start(&worker->loop, &worker->clerk, &worker->tcp);
    if (err == RC_OK && worker->options.forward != NULL) {
        err =
            dns_forwarder_start(&worker->loop, worker->options.forward, worker->answerer,
                                worker->options.metrics, &worker->clerk.forwarder);
    }
    if (worker->clerk.forwarder != NULL) {
        const struct dns_forward_around around = {
            .enter = enter, .leave = leave, .context = worker};
        dns_forwarder_set_around(worker->clerk.forwarder, &around);
    }
    if (err != RC_OK) {
        close_parts(worker);
        (void)uv_run(&worker->loop, UV_RUN_DEFAULT);
        (void)uv_loop_close(&worker->loop);
    }
    return err;
}

int dns_worker_create(const struct dns_worker_options *options, struct dns_worker **out)
{
    struct dns_worker *worker = calloc(1, sizeof *worker);

    if (worker == NULL) {
        return RC_ENOMEM;
    }
    worker->options = *options;
    atomic_init(&worker->is_stopping, false);
    int err = create_parts(worker);
    if (err == RC_OK) {
        err = create_loop(worker);
    }
    if (err != RC_OK) {
        destroy_parts(worker);
        return err;
    }
    *out = worker;
    return RC_OK;
}

int dns_worker_listen_udp(struct dns_worker *worker, const struct rc_address *address,
                          enum dns_share share, struct rc_address *bound)
{
    assert(worker->state == CREATED && worker->udp_count < DNS_SERVER_LISTEN_MAX);
    struct dns_udp *udp = &worker->udp[worker->udp_count];
    udp->batch = worker->batch;
    udp->clerk = &worker->clerk;
    int err = dns_udp_start(udp, &worker->loop, address, share);
    if (err == RC_OK) {
        worker->udp_count++;
        *bound = udp->address;
    }
    return err;
}

int dns_worker_listen_tcp(struct dns_worker *worker, const struct rc_address *address,
                          enum dns_share share)
{
    assert(worker->state == CREATED);
    return dns_tcp_listen(worker->tcp, address, share);
}

void dns_worker_stop(struct dns_worker *worker)
{
    if (worker == NULL) {
        return;
    }
    atomic_store(&worker->is_stopping, true);
    dns_worker_wake(worker);
    if (worker->state == RUNNING) {
        (void)uv_thread_join(&worker->thread);
    } else {
        (void)uv_run(&worker->loop, UV_RUN_DEFAULT); /* it only has to close */
    }
    worker->state = CLOSING;
    int code = uv_loop_close(&worker->loop);
    assert(code == 0);
    (void)code;
    destroy_parts(worker);
}
