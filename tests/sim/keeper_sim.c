/* keeper_sim.c - one seed: nodes are made, run, shaken, healed and judged. */
#include "tests/sim/keeper_sim.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "tests/sim/keeper_sim_state.h"

enum {
    BEGIN_MS = 60000,
    TROUBLE_MS = 30000,
    CALM_MS = 240000,
    ORDER_MS = 3000, /* good order must last */
    ECHO_MS = 100,
    FRESH_MS = 5000,
    SILENT_MS = 1000
};

/* ---- what all use */

uint64_t ksim_below(struct ksim_world *w, uint64_t bound)
{
    return rc_random_below(&w->random, bound);
}

uint64_t ksim_between(struct ksim_world *w, uint64_t low, uint64_t high)
{
    return low + ksim_below(w, high - low + 1);
}

uint64_t ksim_clock(const struct ksim_node *n)
{
    if (n->world->now_ms < n->clock_until) {
        return n->clock_ms;
    }
    return n->offset_ms + n->world->now_ms * n->rate_ppm / 1000000;
}

bool ksim_is_cut(const struct ksim_world *w, int from, int to)
{
    bool is_down = (from < KSIM_STORE && w->nodes[from].down_until > w->now_ms) ||
                   (to < KSIM_STORE && w->nodes[to].down_until > w->now_ms);

    return is_down || w->cut_until[from][to] > w->now_ms;
}

int ksim_node_by_name(const struct ksim_world *w, const char *name)
{
    for (int i = 0; i < w->node_count; i++) {
        if (strcmp(w->nodes[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

void ksim_note(struct ksim_world *w, const struct ksim_node *n, const char *format, ...)
{
    char text[400];
    va_list arguments;

    if (w->trace == KEEPER_SIM_QUIET) {
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    (void)printf("[%8.3f] %s %s\n", (double)w->now_ms / 1000, n != NULL ? n->name : "--",
                 text);
}

void ksim_fail(struct ksim_world *w, const char *format, ...)
{
    char text[400];
    va_list arguments;

    if (!w->report->is_good) {
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    w->report->is_good = false;
    (void)snprintf(w->report->fault, sizeof w->report->fault, "at %.3f s: %s",
                   (double)w->now_ms / 1000, text);
    ksim_note(w, NULL, "FAULT %s", text);
}

bool ksim_keeper_hears(const struct ksim_node *n)
{
    uint64_t now_ms = n->world->now_ms;

    return n->keeper != NULL && now_ms >= n->keeper_paused_until &&
           now_ms >= n->down_until;
}

bool ksim_warden_works(const struct ksim_node *n)
{
    uint64_t now_ms = n->world->now_ms;

    return now_ms >= n->warden_up_ms && now_ms >= n->warden_paused_until &&
           now_ms >= n->down_until;
}

/* ---- messages */

struct ksim_message *ksim_post(struct ksim_world *w, enum ksim_kind kind, int node,
                               uint64_t after_ms)
{
    if (w->message_count == KSIM_MESSAGES_MAX) {
        return NULL;
    }
    struct ksim_message *m = &w->messages[w->message_count++];
    memset(m, 0, sizeof *m);
    m->kind = kind;
    m->node = node;
    m->due_ms = w->now_ms + after_ms;
    return m;
}

static void free_message(struct ksim_message *m)
{
    for (size_t i = 0; i < m->op_count; i++) {
        free(m->values[i]);
    }
    if (m->view != NULL) {
        keeper_view_fini(m->view);
    }
    free(m->view);
    free(m->probe);
    free(m->done);
}

static void drain(struct ksim_node *n);

/* store_loss "hold": straight from keeper to keeper. */
static void ask_promises(struct ksim_node *n, const struct keeper_action *action)
{
    struct ksim_world *w = n->world;

    for (size_t i = 0; i < action->members->count; i++) {
        int to = ksim_node_by_name(w, action->members->names[i]);
        struct ksim_message *m =
            to >= 0 ? ksim_post(w, KSIM_ASKED, to, ksim_below(w, 60)) : NULL;
        if (m != NULL) {
            m->keeper = w->nodes[to].keeper;
            m->asker = n->keeper;
            m->peer = n->number;
            m->answer.id = action->id;
            m->answer.term = action->term;
        }
    }
}

static void deliver_question(struct ksim_node *n, const struct ksim_message *asked)
{
    struct ksim_world *w = n->world;

    if (n->keeper == NULL || ksim_is_cut(w, asked->peer, n->number) ||
        !keeper_promise(n->keeper, ksim_clock(n), asked->answer.term)) {
        return;
    }
    ksim_note(w, n, "promises not to take over from term %llu",
              (unsigned long long)asked->answer.term);
    struct ksim_message *m = ksim_post(w, KSIM_PROMISED, asked->peer, ksim_below(w, 60));
    if (m != NULL) {
        m->keeper = asked->asker;
        m->peer = n->number;
        m->answer.id = asked->answer.id;
    }
}

static void deliver(struct ksim_world *w, struct ksim_message *m)
{
    struct ksim_node *n = &w->nodes[m->node];
    uint64_t now_ms = ksim_clock(n);

    switch (m->kind) {
    case KSIM_REQUEST:
        ksim_store_serve(w, m);
        return;
    case KSIM_REPLY:
        if (ksim_is_cut(w, KSIM_STORE, m->node)) {
            return;
        }
        m->answer.session = m->session;
        if (m->ask == KEEPER_OPEN_SESSION && m->answer.end == KEEPER_DONE) {
            memcpy(n->session, m->session, sizeof n->session);
        }
        keeper_see_store(n->keeper, now_ms, &m->answer);
        break;
    case KSIM_VIEW_REPLY:
        if (ksim_is_cut(w, KSIM_STORE, m->node)) {
            return;
        }
        keeper_see_view(n->keeper, now_ms, m->view);
        break;
    case KSIM_PROBE:
        n->is_probing = false;
        n->next_probe_ms = now_ms + keeper_probe_every_ms(n->keeper);
        keeper_see_probe(n->keeper, now_ms, m->probe);
        break;
    case KSIM_DONE:
        keeper_see_done(n->keeper, now_ms, m->done);
        break;
    case KSIM_ASKED:
        deliver_question(n, m);
        return;
    case KSIM_PROMISED:
        if (n->keeper == NULL || ksim_is_cut(w, m->peer, m->node)) {
            return;
        }
        keeper_see_promise(n->keeper, now_ms, m->answer.id, w->nodes[m->peer].name);
        break;
    }
    drain(n);
}

static void deliver_due(struct ksim_world *w)
{
    for (size_t i = 0; i < w->message_count;) {
        struct ksim_message *m = &w->messages[i];
        struct ksim_node *n = &w->nodes[m->node];
        bool is_dead = m->kind != KSIM_REQUEST && m->keeper != n->keeper;
        bool is_held = m->kind != KSIM_REQUEST && !ksim_keeper_hears(n);

        if (!is_dead && (m->due_ms > w->now_ms || is_held)) {
            i++;
            continue;
        }
        struct ksim_message now = *m;
        w->message_count--;
        memmove(m, m + 1, (w->message_count - i) * sizeof *m);
        if (!is_dead) {
            deliver(w, &now);
        }
        free_message(&now);
        i = 0; /* what was delivered may have posted */
    }
}

/* ---- what a keeper wants */

static void kill_all(struct ksim_node *n)
{
    ksim_note(n->world, n, "kill");
    ksim_pg_kill(n);
    ksim_hands_drop(n);
    n->must_echo = true;
}

static void arm(struct ksim_node *n, const struct keeper_action *action)
{
    if (!ksim_warden_works(n)) {
        return;
    }
    n->armed_term = action->kind == KEEPER_ARM ? action->term : 0;
    n->deadline_ms = action->kind == KEEPER_ARM ? action->deadline_ms : 0;
    n->must_echo = true;
}

static void do_action(struct ksim_node *n, const struct keeper_action *action)
{
    enum keeper_action_kind kind = action->kind;

    if (kind == KEEPER_OPEN_SESSION || kind == KEEPER_RENEW || kind == KEEPER_TXN) {
        ksim_store_ask(n, action);
    } else if (kind == KEEPER_ARM || kind == KEEPER_DISARM) {
        arm(n, action);
    } else if (kind == KEEPER_KILL) {
        kill_all(n);
    } else if (kind == KEEPER_ASK_PROMISES) {
        ask_promises(n, action);
    } else if (kind == KEEPER_SAY) {
        ksim_note(n->world, n, "%s", action->text);
    } else if (kind != KEEPER_REGISTER) {
        ksim_hands_take(n, action);
    }
}

static void drain(struct ksim_node *n)
{
    struct keeper_action action;

    while (n->keeper != NULL && keeper_next(n->keeper, &action)) {
        do_action(n, &action);
    }
}

/* ---- a node's parts */

static void keeper_step(struct ksim_node *n)
{
    struct ksim_world *w = n->world;
    const char *why = NULL;

    ksim_retire_step(n);
    if (n->keeper == NULL && w->now_ms >= n->keeper_up_ms && w->now_ms >= n->down_until) {
        n->options.session = n->session;
        int err = keeper_create(&n->options, ksim_clock(n), &n->keeper, &why);
        assert(err == RC_OK);
        (void)err;
        n->is_asking = false;
        n->view_index = 0;
        n->is_probing = false;
        n->next_probe_ms = ksim_clock(n);
        n->must_echo = true;
    }
    if (ksim_keeper_hears(n) && ksim_clock(n) >= keeper_deadline_ms(n->keeper)) {
        keeper_tick(n->keeper, ksim_clock(n), 1700000000000 + w->now_ms);
        drain(n);
    }
}

static void warden_step(struct ksim_node *n)
{
    if (!ksim_warden_works(n)) {
        return;
    }
    uint64_t clock_ms = ksim_clock(n);
    if (n->armed_term != 0 && clock_ms >= n->deadline_ms && n->pg.runs) {
        ksim_note(n->world, n, "the warden's deadline has passed");
        kill_all(n);
    }
    if (!ksim_keeper_hears(n) || (!n->must_echo && clock_ms < n->next_echo_ms)) {
        return;
    }
    n->must_echo = false;
    n->next_echo_ms = clock_ms + ECHO_MS;
    struct keeper_warden said = {.said_ms = clock_ms,
                                 .process =
                                     n->pg.runs ? KEEPER_RUNNING : KEEPER_NO_PROCESS,
                                 .run = n->pg.run,
                                 .armed_term = n->armed_term,
                                 .deadline_ms = n->deadline_ms};
    keeper_see_warden(n->keeper, clock_ms, &said);
    drain(n);
}

static void probe_step(struct ksim_node *n)
{
    struct ksim_world *w = n->world;
    uint64_t clock_ms = ksim_clock(n);

    if (!ksim_keeper_hears(n) || n->is_probing || clock_ms < n->next_probe_ms) {
        return;
    }
    struct keeper_probe *probe = calloc(1, sizeof *probe);
    assert(probe != NULL);
    probe->asked_ms = clock_ms;
    probe->is_fresh = clock_ms >= n->next_fresh_ms;
    if (probe->is_fresh) {
        n->next_fresh_ms = clock_ms + FRESH_MS;
    }
    ksim_pg_probe(n, probe);
    bool is_silent = probe->reach == KEEPER_SILENT;
    struct ksim_message *m = ksim_post(w, KSIM_PROBE, n->number,
                                       is_silent ? SILENT_MS : ksim_between(w, 1, 5));
    if (m == NULL) {
        free(probe);
        return;
    }
    m->keeper = n->keeper;
    m->probe = probe;
    n->is_probing = true;
}

static void step(struct ksim_world *w)
{
    w->now_ms += KSIM_STEP_MS;
    ksim_store_step(w);
    ksim_faults_step(w);
    for (int i = 0; i < w->node_count; i++) {
        ksim_pg_step(&w->nodes[i]);
    }
    deliver_due(w);
    for (int i = 0; i < w->node_count; i++) {
        struct ksim_node *n = &w->nodes[i];
        if (w->now_ms < n->down_until) {
            continue;
        }
        warden_step(n);
        keeper_step(n);
        probe_step(n);
        ksim_hands_step(n);
        ksim_store_views(n);
    }
    ksim_claims_step(w);
}

/* ---- a seed */

static void make_node(struct ksim_world *w, int i, uint64_t ttl_ms, enum keeper_mode mode)
{
    struct ksim_node *n = &w->nodes[i];

    n->world = w;
    n->number = i;
    (void)snprintf(n->name, sizeof n->name, "n%d", i);
    n->offset_ms = 1000000 + ksim_below(w, 1000000);
    n->rate_ppm = ksim_between(w, 950000, 1050000);
    n->options = (struct keeper_options){
        .cluster = "main",
        .node = n->name,
        .address = n->name,
        .port = (uint16_t)(5000 + i),
        .ttl_ms = ttl_ms,
        .renew_ms = ttl_ms / 9,
        .mode = mode,
        .priority = (unsigned)ksim_below(w, 3) * 50,
        .no_failover = i > 1 && ksim_below(w, 6) == 0,
        .no_sync = i > 1 && ksim_below(w, 6) == 0,
        .upstream = i > 1 && ksim_below(w, 6) == 0 ? "n1" : NULL,
        .max_lag_bytes = 16 << 20,
        .auto_rebuild = true,
        .initialize = i == 0 || ksim_below(w, 2) == 0,
        .store_loss = w->seed % 4 == 3 ? KEEPER_LOSS_HOLD : KEEPER_LOSS_FENCE,
        .restart_attempts = 1,
        .restart_budget_ms = 10000,
        .probe_fail_ms = 3000};
    ksim_pg_init(n);
    n->pg.lag_ms = ksim_below(w, 2) == 0 ? 0 : ksim_below(w, 600);
}

static struct ksim_world *make_world(uint64_t seed, enum keeper_sim_trace trace,
                                     struct keeper_sim_report *report)
{
    static const int sizes[] = {2, 2, 3, 3, 3, 4, 5};
    static const enum keeper_mode modes[] = {KEEPER_SYNC, KEEPER_SYNC, KEEPER_SYNC,
                                             KEEPER_STRICT, KEEPER_ASYNC};
    struct ksim_world *w = calloc(1, sizeof *w);

    if (w == NULL) {
        abort();
    }
    w->seed = seed;
    w->trace = trace;
    w->report = report;
    w->now_ms = 1000;
    rc_random_init(&w->random, seed);
    keeper_view_init(&w->view, "");
    w->node_count = sizes[ksim_below(w, sizeof sizes / sizeof *sizes)];
    enum keeper_mode mode = modes[ksim_below(w, sizeof modes / sizeof *modes)];
    uint64_t ttl_ms = ksim_below(w, 4) == 0 ? 5000 : 3000;
    for (int i = 0; i < w->node_count; i++) {
        make_node(w, i, ttl_ms, mode);
    }
    w->was_async = mode == KEEPER_ASYNC;
    w->fault_kinds = (uint32_t)rc_random_next(&w->random);
    w->next_fault_ms = UINT64_MAX;
    w->is_aiming = ksim_below(w, 2) == 0;
    w->aimed = -1;
    w->write_every_ms = ksim_between(w, 10, 50);
    bool is_plain = true; /* enough could confirm */
    for (int i = 0; i < w->node_count; i++) {
        const struct keeper_options *o = &w->nodes[i].options;
        is_plain = is_plain && !o->no_sync && o->upstream == NULL;
    }
    if (w->node_count > 3 && is_plain && ksim_below(w, 2) == 0) {
        ksim_store_put(w, "settings", "{\"k\":2}");
    }
    return w;
}

/* Until everything has been as it should for a while. */
static bool run_to_order(struct ksim_world *w, uint64_t until_ms)
{
    uint64_t good_ms = 0;

    while (w->now_ms < until_ms && w->report->is_good) {
        step(w);
        if (w->now_ms % 100 == 0) {
            good_ms = ksim_is_in_order(w) ? good_ms + 100 : 0;
        }
        if (good_ms >= ORDER_MS) {
            return true;
        }
    }
    return false;
}

static void explain(struct ksim_world *w)
{
    struct keeper_status status;
    char text[400] = "";

    for (int i = 0; i < w->node_count; i++) {
        struct ksim_node *n = &w->nodes[i];
        size_t size = strlen(text);
        if (n->keeper == NULL) {
            continue;
        }
        keeper_status(n->keeper, &status);
        (void)snprintf(text + size, sizeof text - size, " %s %s%s (%s)", n->name,
                       keeper_state_word(status.state),
                       n->pg.has_receiver ? " streaming" : "", status.problem);
    }
    ksim_fail(w, "no good order:%s", text);
}

static void finish(struct ksim_world *w)
{
    struct keeper_status status;

    for (int i = 0; i < w->node_count; i++) {
        struct ksim_node *n = &w->nodes[i];
        if (n->keeper != NULL) {
            keeper_status(n->keeper, &status);
            w->report->promotions += status.promotions;
            w->report->rejoins += status.rejoins;
        }
        w->report->digest = w->report->digest * 31 + n->pg.disk.lsn * 7 + n->pg.disk.tli;
        keeper_destroy(n->keeper);
    }
    w->report->digest = w->report->digest * 31 + w->store.index;
    for (size_t i = 0; i < w->message_count; i++) {
        free_message(&w->messages[i]);
    }
    ksim_store_fini(w);
    free(w);
}

void keeper_sim_run(uint64_t seed, enum keeper_sim_trace trace,
                    struct keeper_sim_report *report)
{
    *report = (struct keeper_sim_report){.is_good = true};
    struct ksim_world *w = make_world(seed, trace, report);

    if (!run_to_order(w, BEGIN_MS)) {
        explain(w);
    }
    w->next_fault_ms = w->now_ms + 200;
    uint64_t until_ms = w->now_ms + TROUBLE_MS;
    while (w->now_ms < until_ms && report->is_good) {
        step(w);
    }
    ksim_heal(w);
    uint64_t healed_ms = w->now_ms;
    if (report->is_good && !run_to_order(w, w->now_ms + CALM_MS)) {
        explain(w);
    }
    report->calm_ms = w->now_ms - healed_ms;
    finish(w);
}
