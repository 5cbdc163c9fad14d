/* store_sim.c - one seed: the world is made, shaken, healed and judged. */
#include "tests/sim/store_sim.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/store_sim_state.h"

enum { CALM_MS = 30000 };

static uint64_t trouble(struct sim_world *w, uint64_t bound)
{
    return rc_random_below(&w->trouble, bound);
}

/* ---- servers */

static void on_session_ended(void *context, const char *id)
{
    struct sim_server *server = context;
    const struct sim_session *session = store_sim_find_session(server->world, id);

    if (session != NULL) {
        server->world->report->ended_sessions++;
        store_sim_claim_ended(server->world, session);
    }
}

static void start_server(struct sim_world *w, struct sim_server *server)
{
    server->world = w;
    server->engine = engine_memory_connect(w->memory);
    server->store = store_create(&(struct store_options){
        .engine = server->engine,
        .now_ms = w->now_ms,
        .listener = {.context = server, .session_ended = on_session_ended}});
    if (server->engine == NULL || server->store == NULL) {
        abort();
    }
    memset(server->given_index, 0, sizeof server->given_index);
}

static void stop_server(struct sim_server *server)
{
    struct store *store = server->store;

    server->store = NULL; /* clients that are told now go elsewhere */
    server->engine->class->close(server->engine, NULL, NULL);
    server->engine = NULL;
    store_destroy(store);
}

/* ---- faults */

static void draw_faults(struct sim_world *w)
{
    /* Each kind in half of the seeds only: what is rare alone is found alone. */
    w->faults = (struct engine_memory_faults){
        .refused = trouble(w, 2) != 0 ? (uint32_t)trouble(w, 20000) : 0,
        .lost_done = trouble(w, 2) != 0 ? (uint32_t)trouble(w, 30000) : 0,
        .lost_undone = trouble(w, 2) != 0 ? (uint32_t)trouble(w, 30000) : 0,
        .lost_late = trouble(w, 2) != 0 ? (uint32_t)trouble(w, 30000) : 0,
        .gap = trouble(w, 2) != 0 ? (uint32_t)trouble(w, 50000) : 0,
        .delay_max_ms = trouble(w, 4) != 0 ? (uint32_t)trouble(w, 40) : 0,
        .lag_max_ms = trouble(w, 3) != 0 ? (uint32_t)trouble(w, 300) : 0,
        .late_max_ms = trouble(w, 2) != 0 ? (uint32_t)trouble(w, 1000) : 0};
    engine_memory_set_faults(w->memory, &w->faults);
}

static void make_trouble(struct sim_world *w)
{
    for (size_t i = 0; i < SIM_SERVERS; i++) {
        struct sim_server *server = &w->servers[i];
        if (server->store == NULL && server->up_at_ms <= w->now_ms) {
            start_server(w, server);
        }
    }
    if (w->is_calm || w->now_ms < w->next_trouble_ms) {
        return;
    }
    w->next_trouble_ms = w->now_ms + 500 + trouble(w, 4000);
    struct sim_server *server = &w->servers[trouble(w, SIM_SERVERS)];
    if (trouble(w, 2) == 0 && server->store != NULL) {
        server->up_at_ms = w->now_ms + 100 + trouble(w, 2000);
        w->report->crashes++;
        stop_server(server);
    } else if (trouble(w, 2) == 0) {
        w->leader_back_ms = w->now_ms + 50 + trouble(w, 2000);
        engine_memory_lose_leader(w->memory, w->leader_back_ms);
    }
}

/* ---- time */

static uint64_t next_ms(const struct sim_world *w)
{
    uint64_t next = engine_memory_deadline_ms(w->memory);

    for (size_t i = 0; i < SIM_SERVERS; i++) {
        const struct sim_server *server = &w->servers[i];
        uint64_t due =
            server->store != NULL ? store_deadline_ms(server->store) : server->up_at_ms;
        next = due < next ? due : next;
    }
    for (size_t i = 0; i < SIM_CLIENTS; i++) {
        bool is_done = w->is_calm && !w->clients[i].is_busy;
        next = !is_done && w->clients[i].next_ms < next ? w->clients[i].next_ms : next;
    }
    return next;
}

static void step(struct sim_world *w, uint64_t until_ms)
{
    uint64_t next = next_ms(w);

    next = next < until_ms ? next : until_ms;
    if (next > w->now_ms) {
        w->now_ms = next;
        w->stamps = 0;
    }
    make_trouble(w);
    engine_memory_tick(w->memory, w->now_ms);
    for (size_t i = 0; i < SIM_SERVERS; i++) {
        if (w->servers[i].store != NULL) {
            store_tick(w->servers[i].store, w->now_ms);
        }
    }
    store_sim_clients_step(w);
}

static void run_until(struct sim_world *w, uint64_t until_ms)
{
    uint64_t next_look_ms = 0;

    while (w->now_ms < until_ms && w->report->is_good) {
        step(w, until_ms);
        if (w->now_ms >= next_look_ms) {
            next_look_ms = w->now_ms + 200;
            store_sim_claim_ends(w);
        }
    }
}

/* ---- a seed */

static struct sim_world *make_world(uint64_t seed, struct store_sim_report *report)
{
    struct sim_world *w = calloc(1, sizeof *w);

    if (w == NULL) {
        abort();
    }
    w->report = report;
    w->now_ms = 1000;
    rc_random_init(&w->workload, seed * 3 + 1);
    rc_random_init(&w->trouble, seed * 3 + 2);
    w->memory = engine_memory_create(
        &(struct engine_memory_options){.seed = seed * 3, .now_ms = w->now_ms});
    if (w->memory == NULL) {
        abort();
    }
    draw_faults(w);
    for (size_t i = 0; i < SIM_SERVERS; i++) {
        start_server(w, &w->servers[i]);
    }
    for (size_t i = 0; i < SIM_CLIENTS; i++) {
        w->clients[i] = (struct sim_client){.world = w,
                                            .number = (unsigned)i,
                                            .server = i % SIM_SERVERS,
                                            .next_ms = w->now_ms + i};
    }
    return w;
}

static void heal(struct sim_world *w)
{
    w->is_calm = true;
    engine_memory_set_faults(
        w->memory, &(struct engine_memory_faults){.late_max_ms = w->faults.late_max_ms});
    run_until(w, w->now_ms + CALM_MS);
}

static uint64_t digest_of(const struct history *h)
{
    uint64_t digest = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < h->count; i++) {
        const struct history_op *op = &h->ops[i];
        const uint64_t parts[] = {op->call, op->back, op->index, op->result, op->term};
        for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
            digest = (digest ^ parts[k]) * UINT64_C(1099511628211);
        }
    }
    return digest;
}

static void judge(struct sim_world *w, const struct store_sim_options *options)
{
    struct store_sim_report *report = w->report;
    struct verdict verdict;

    report->digest = digest_of(&w->history);
    for (size_t i = 0; options->history != NULL && i < w->history.count; i++) {
        history_write(&w->history.ops[i], options->history);
    }
    if (report->is_good) {
        store_sim_claim_locks(w);
        store_sim_claim_agreement(w);
    }
    history_check(&w->history, options->search_every > 0 ? options->search_every : 7,
                  &verdict);
    report->searched = verdict.searched;
    report->unsearched = verdict.unsearched;
    if (report->is_good && !verdict.is_good) {
        report->is_good = false;
        (void)snprintf(report->why, sizeof report->why, "%s", verdict.why);
    }
}

void store_sim_run(const struct store_sim_options *options,
                   struct store_sim_report *report)
{
    *report = (struct store_sim_report){.is_good = true};
    struct sim_world *w = make_world(options->seed, report);
    uint64_t seconds = options->seconds > 0 ? options->seconds : 20;

    run_until(w, w->now_ms + seconds * 1000);
    heal(w);
    for (size_t i = 0; i < SIM_SERVERS; i++) {
        if (w->servers[i].store == NULL) {
            start_server(w, &w->servers[i]); /* a failed seed may leave it down */
        }
    }
    judge(w, options);
    w->is_calm = true;
    for (size_t i = 0; i < SIM_SERVERS; i++) {
        stop_server(&w->servers[i]);
    }
    engine_memory_destroy(w->memory);
    history_fini(&w->history);
    free(w);
}
