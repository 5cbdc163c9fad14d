/* keeper_sim_faults.c - what goes wrong, drawn by the seed; each kind in some seeds only. */
#include <stdio.h>
#include <string.h>

#include "tests/sim/keeper_sim_state.h"

enum { FAULT_KINDS = 24, AIM_TRIES = 8 };

void ksim_power_off(struct ksim_node *n, uint64_t for_ms)
{
    struct ksim_world *w = n->world;

    ksim_note(w, n, "power off for %llu ms", (unsigned long long)for_ms);
    keeper_destroy(n->keeper);
    n->keeper = NULL;
    ksim_hands_drop(n);
    ksim_pg_kill(n);
    n->armed_term = 0;
    n->down_until = w->now_ms + for_ms;
    n->keeper_up_ms = n->down_until;
    n->warden_up_ms = n->down_until;
    n->keeper_paused_until = 0;
    n->warden_paused_until = 0;
    n->pg_paused_until = 0;
}

static void cut(struct ksim_world *w, int a, int b, uint64_t for_ms)
{
    uint64_t ways = ksim_below(w, 4); /* mostly both */

    ksim_note(w, NULL, "cut %d %s %d for %llu ms", a,
              ways == 0   ? "->"
              : ways == 1 ? "<-"
                          : "<->",
              b, (unsigned long long)for_ms);
    if (ways != 1) {
        w->cut_until[a][b] = w->now_ms + for_ms;
    }
    if (ways != 0) {
        w->cut_until[b][a] = w->now_ms + for_ms;
    }
}

static void kill_keeper(struct ksim_node *n, uint64_t for_ms)
{
    ksim_note(n->world, n, "keeper killed");
    keeper_destroy(n->keeper);
    n->keeper = NULL;
    n->keeper_up_ms = n->world->now_ms + for_ms;
    ksim_hands_leave(n);
    if (ksim_below(n->world, 5) == 0) {
        n->session[0] = '\0';
    }
}

/* As systemd and operators do: it may do first what it wants to. */
static void retire_keeper(struct ksim_node *n, uint64_t for_ms)
{
    enum { LEAST_MS = 50, MOST_MS = 2500 };
    static const enum keeper_retirement ways[] = {
        KEEPER_RESTARTS, KEEPER_RESTARTS, KEEPER_LEAVES, KEEPER_LEAVES_ALL_THE_SAME};
    enum keeper_retirement how = ways[ksim_below(n->world, 4)];
    const char *why = keeper_retire(n->keeper, how);

    ksim_note(n->world, n, "keeper told to end (%d)%s%s", (int)how,
              why != NULL ? ": " : "", why != NULL ? why : "");
    if (why == NULL) {
        n->retires_until = n->world->now_ms + ksim_between(n->world, LEAST_MS, MOST_MS);
        n->retires_for = for_ms;
    }
}

void ksim_retire_step(struct ksim_node *n)
{
    bool is_over =
        n->retires_until != 0 && (n->keeper == NULL || keeper_has_retired(n->keeper) ||
                                  n->world->now_ms >= n->retires_until);

    if (is_over && n->keeper != NULL) {
        kill_keeper(n, n->retires_for);
    }
    n->retires_until = is_over ? 0 : n->retires_until;
}

static void kill_warden(struct ksim_node *n)
{
    ksim_note(n->world, n, "warden killed");
    n->warden_up_ms = n->world->now_ms + ksim_between(n->world, 100, 900);
    n->warden_paused_until = 0;
    n->armed_term = 0;
    ksim_pg_kill(n); /* PDEATHSIG */
}

static void intend(struct ksim_world *w, const char *kind)
{
    char text[200];

    (void)snprintf(text, sizeof text,
                   "{\"id\":\"i%llu\",\"kind\":\"%s\",\"to\":\"n%llu\"}",
                   (unsigned long long)++w->made, kind,
                   (unsigned long long)ksim_below(w, (uint64_t)w->node_count));
    ksim_note(w, NULL, "intent %s", text);
    ksim_store_put(w, "intent", text);
}

static void order(struct ksim_world *w, const struct ksim_node *n)
{
    static const char *const kinds[] = {"restart", "reinit", "reload", "stop", "fence"};
    char key[KEEPER_KEY_MAX];
    char text[120];

    (void)snprintf(key, sizeof key, "order/%s", n->name);
    (void)snprintf(text, sizeof text, "{\"id\":\"o%llu\",\"kind\":\"%s\"}",
                   (unsigned long long)++w->made, kinds[ksim_below(w, 5)]);
    ksim_note(w, n, "order %s", text);
    ksim_store_put(w, key, text);
}

static void set(struct ksim_world *w, const char *text)
{
    ksim_note(w, NULL, "settings %s", text);
    ksim_store_put(w, "settings", text);
}

/* A paused guest's clock knows nothing of its pause. */
static void stop_clock(struct ksim_node *n, uint64_t for_ms)
{
    uint64_t now_ms = n->world->now_ms;

    if (now_ms >= n->clock_until) {
        n->clock_ms = ksim_clock(n);
        n->clock_until = now_ms + for_ms;
        n->offset_ms -= for_ms * n->rate_ppm / 1000000;
    }
}

/* Which of a node's processes stand still: one of them, the agent's two, or the machine. */
static void pause_node(struct ksim_node *n, uint64_t kind, uint64_t for_ms)
{
    uint64_t until = n->world->now_ms + for_ms;
    bool is_machine = kind == 5 || kind == 20;

    if (is_machine || kind == 2 || kind == 6) {
        n->keeper_paused_until = until;
    }
    if (is_machine || kind == 3 || kind == 6) {
        n->warden_paused_until = until;
    }
    if (is_machine || kind == 4) {
        n->pg_paused_until = until;
    }
    ksim_note(n->world, n, "pause of kind %d for %llu ms", (int)kind,
              (unsigned long long)for_ms);
}

/* Things of one node. False: no such kind. */
static bool shake_node(struct ksim_node *n, uint64_t kind, uint64_t for_ms)
{
    struct ksim_world *w = n->world;

    switch (kind) {
    case 0:
    case 1:
        cut(w, n->number, KSIM_STORE, for_ms);
        return true;
    case 20:
        stop_clock(n, for_ms);
        pause_node(n, kind, for_ms);
        return true;
    case 2:
    case 3:
    case 4:
    case 5:
    case 6:
        pause_node(n, kind, for_ms);
        return true;
    case 7:
    case 8:
        ksim_note(w, n, "PostgreSQL crashes");
        ksim_pg_kill(n);
        return true;
    case 9:
        ksim_note(w, n, "PostgreSQL is stopped by its administrator");
        ksim_pg_stop_clean(n);
        return true;
    case 10:
        if (n->keeper != NULL && ksim_below(w, 2) == 0) {
            retire_keeper(n, for_ms * 2);
        } else {
            kill_keeper(n, for_ms / 2);
        }
        return true;
    case 11:
        kill_warden(n);
        return true;
    case 12:
        ksim_power_off(n, for_ms);
        return true;
    case 23:
        ksim_note(w, n, "is not heard by the store for 5 s, but hears it");
        w->cut_until[n->number][KSIM_STORE] = w->now_ms + 5000;
        return true;
    default:
        return false;
    }
}

static void shake_cluster(struct ksim_world *w, struct ksim_node *n, uint64_t kind,
                          uint64_t for_ms)
{
    switch (kind) {
    case 13:
        cut(w, n->number, (int)ksim_below(w, (uint64_t)w->node_count), for_ms);
        break;
    case 14:
        ksim_note(w, NULL, "the store is down for %llu ms", (unsigned long long)for_ms);
        w->store.down_until = w->now_ms + for_ms;
        break;
    case 15:
        ksim_note(w, NULL, "the store is slow for %llu ms", (unsigned long long)for_ms);
        w->store.slow_until = w->now_ms + for_ms;
        break;
    case 16:
        intend(w, "switchover");
        break;
    case 17:
        intend(w, ksim_below(w, 2) == 0 ? "switchover" : "failover");
        break;
    case 18:
        order(w, n);
        break;
    case 21:
        ksim_note(w, NULL, "some requests straggle for %llu ms",
                  (unsigned long long)for_ms);
        w->store.straggle_until = w->now_ms + for_ms;
        break;
    case 22:
        ksim_note(w, NULL, "answers come late for %llu ms", (unsigned long long)for_ms);
        w->store.late_until = w->now_ms + for_ms;
        w->next_fault_ms = w->now_ms + ksim_below(w, for_ms);
        w->aimed = n->number;
        w->is_cutting = true;
        break;
    default:
        set(w, ksim_below(w, 4) == 0   ? "{\"paused\":true}"
               : ksim_below(w, 2) == 0 ? "{\"mode\":\"strict\"}"
                                       : "{\"mode\":\"sync\"}");
        break;
    }
}

static void note_blindness(struct ksim_world *w)
{
    for (int i = 0; i < w->node_count; i++) {
        struct ksim_node *n = &w->nodes[i];
        bool is_blind = !ksim_keeper_hears(n) && !ksim_warden_works(n);
        n->pg.was_blind = n->pg.was_blind || (is_blind && n->pg.runs);
    }
}

void ksim_aim(struct ksim_world *w, const struct ksim_node *n, uint64_t one_in)
{
    static const uint64_t within_ms[] = {60, 60, 400, 400, 3000};

    if (w->is_aiming && !w->is_calm && !w->is_cutting && w->next_fault_ms != UINT64_MAX &&
        ksim_below(w, one_in) == 0) {
        w->next_fault_ms = w->now_ms + ksim_below(w, within_ms[ksim_below(w, 5)]);
        w->aimed = n->number;
    }
}

/* What goes wrong in the midst of a change is rare unless it is looked for. */
static void aim(struct ksim_world *w)
{
    struct keeper_status status;

    for (int i = 0; i < w->node_count; i++) {
        if (w->nodes[i].keeper == NULL) {
            continue;
        }
        keeper_status(w->nodes[i].keeper, &status);
        bool is_new = status.state != w->seen[i] && status.state != KEEPER_STANDBY;
        w->seen[i] = status.state;
        if (is_new) {
            ksim_aim(w, &w->nodes[i], 5);
        }
    }
}

static uint64_t draw_kind(struct ksim_world *w)
{
    static const uint64_t cutting[] = {23, 23, 2, 10}; /* no renewal is heard any more */
    uint64_t kind = ksim_below(w, FAULT_KINDS);

    for (int i = 0; i < AIM_TRIES && w->aimed >= 0; i++) {
        if ((w->fault_kinds >> kind & 1) != 0 &&
            (kind <= 12 || kind == 20 || kind == 23)) {
            break; /* one of a node */
        }
        kind = ksim_below(w, FAULT_KINDS);
    }
    if (w->is_cutting) {
        kind = cutting[ksim_below(w, sizeof cutting / sizeof *cutting)];
    }
    w->is_cutting = false;
    return kind;
}

void ksim_faults_step(struct ksim_world *w)
{
    note_blindness(w);
    if (w->is_aiming && !w->is_calm) {
        aim(w);
    }
    if (w->is_calm || w->now_ms < w->next_fault_ms) {
        return;
    }
    w->next_fault_ms =
        w->now_ms + ksim_between(w, 50, ksim_below(w, 3) == 0 ? 600 : 6000);
    bool is_cutting = w->is_cutting;
    uint64_t kind = draw_kind(w);
    if ((w->fault_kinds >> kind & 1) == 0 && !is_cutting) {
        return;
    }
    struct ksim_node *n = &w->nodes[ksim_below(w, (uint64_t)w->node_count)];
    if (ksim_below(w, 2) == 0) { /* the primary is the more interesting one */
        for (int i = 0; i < w->node_count; i++) {
            n = w->nodes[i].pg.runs && !w->nodes[i].pg.in_recovery ? &w->nodes[i] : n;
        }
    }
    n = w->aimed >= 0 ? &w->nodes[w->aimed] : n;
    w->aimed = -1;
    if (w->now_ms < n->down_until) {
        return;
    }
    w->report->faults++;
    uint64_t for_ms = ksim_between(w, 50, ksim_below(w, 3) == 0 ? 12000 : 3500);
    if (!shake_node(n, kind, for_ms)) {
        shake_cluster(w, n, kind, for_ms);
    }
}

void ksim_heal(struct ksim_world *w)
{
    char key[KEEPER_KEY_MAX];

    ksim_note(w, NULL, "all is healed");
    w->is_calm = true;
    memset(w->cut_until, 0, sizeof w->cut_until);
    w->store.down_until = 0;
    w->store.slow_until = 0;
    w->store.straggle_until = 0;
    w->store.late_until = 0;
    for (int i = 0; i < w->node_count; i++) {
        struct ksim_node *n = &w->nodes[i];
        uint64_t now_ms = w->now_ms;
        n->keeper_paused_until = 0;
        n->warden_paused_until = 0;
        n->pg_paused_until = 0;
        n->down_until = n->down_until > now_ms ? now_ms : n->down_until;
        n->keeper_up_ms = n->keeper_up_ms > now_ms ? now_ms : n->keeper_up_ms;
        n->warden_up_ms = n->warden_up_ms > now_ms ? now_ms : n->warden_up_ms;
        (void)snprintf(key, sizeof key, "order/%s", n->name);
        const struct ksim_key *order_key = ksim_store_get(w, key);
        if (order_key != NULL) { /* what an operator stopped an operator starts */
            bool is_fence =
                strstr(rc_buffer_string(&order_key->value), "\"fence\"") != NULL;
            ksim_store_put(w, key,
                           is_fence ? "{\"id\":\"e1\",\"kind\":\"unfence\"}"
                                    : "{\"id\":\"e2\",\"kind\":\"start\"}");
        }
    }
    const struct ksim_key *settings = ksim_store_get(w, "settings");
    if (settings != NULL &&
        strstr(rc_buffer_string(&settings->value), "paused") != NULL) {
        ksim_store_put(w, "settings", "{}");
    }
}
