/* sim_step.c - steps as a list, as text, and what each of them does. */
#include "tests/sim/sim_step.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tests/sim/sim_state.h"

enum { LEAST_RUNNING = 3, TRUE_RATE = 1000000, OUTPUT_MAX = 400 };

static const char *const kind_names[STEP_KIND_COUNT] = {
    [STEP_START] = "start",     [STEP_JOIN] = "join",
    [STEP_CRASH] = "crash",     [STEP_KILL] = "kill",
    [STEP_LEAVE] = "leave",     [STEP_PAUSE] = "pause",
    [STEP_PART] = "part",       [STEP_CUT] = "cut",
    [STEP_NO_UDP] = "no-udp",   [STEP_NAT] = "nat",
    [STEP_REFUSE] = "refuse",   [STEP_LOSS] = "loss",
    [STEP_BURST] = "burst",     [STEP_DUPLICATE] = "duplicate",
    [STEP_REORDER] = "reorder", [STEP_CORRUPT] = "corrupt",
    [STEP_TEAR] = "tear",       [STEP_CLOCK] = "clock",
    [STEP_JUMP] = "jump",       [STEP_SERVICE] = "service",
    [STEP_FLIP] = "flip",       [STEP_CHANGE] = "change",
};

/* ---- the list */

void step_add(struct step_list *list, const struct sim_step *step)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 64 : 2 * list->capacity;
        list->steps =
            sim_memory(realloc(list->steps, list->capacity * sizeof *list->steps));
    }
    list->steps[list->count++] = *step;
}

void step_fini(struct step_list *list)
{
    free(list->steps);
    *list = (struct step_list){0};
}

uint64_t step_last_end_ms(const struct step_list *list)
{
    uint64_t last_ms = 0;

    for (size_t i = 0; i < list->count; i++) {
        uint64_t end_ms = list->steps[i].at_ms + list->steps[i].for_ms;
        last_ms = end_ms > last_ms ? end_ms : last_ms;
    }
    return last_ms;
}

void step_print(const struct step_list *list, FILE *out)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct sim_step *step = &list->steps[i];
        (void)fprintf(out, "%llu %s n%u x%u amount %llu for %llu\n",
                      (unsigned long long)step->at_ms, kind_names[step->kind], step->node,
                      step->count, (unsigned long long)step->amount,
                      (unsigned long long)step->for_ms);
    }
}

static int kind_of(const char *name, enum step_kind *out)
{
    for (size_t i = 0; i < STEP_KIND_COUNT; i++) {
        if (strcmp(kind_names[i], name) == 0) {
            *out = (enum step_kind)i;
            return RC_OK;
        }
    }
    return RC_EMALFORMED;
}

static int read_line(const char *line, struct step_list *out)
{
    unsigned long long at_ms, amount, for_ms;
    struct sim_step step = {0};
    char name[16];

    if (line[0] == '#' || line[0] == '\n') {
        return RC_OK;
    }
    /* NOLINTNEXTLINE(cert-err34-c): a step of our own making, not input from outside */
    if (sscanf(line, "%llu %15s n%u x%u amount %llu for %llu", &at_ms, name, &step.node,
               &step.count, &amount, &for_ms) != 6 ||
        kind_of(name, &step.kind) != RC_OK) {
        return RC_EMALFORMED;
    }
    step.at_ms = at_ms;
    step.amount = amount;
    step.for_ms = for_ms;
    step_add(out, &step);
    return RC_OK;
}

int step_read(const char *path, struct step_list *out)
{
    FILE *file = fopen(path, "re");
    char line[200];
    int err = RC_OK;

    if (file == NULL) {
        return RC_ENOTFOUND;
    }
    while (err == RC_OK && fgets(line, sizeof line, file) != NULL) {
        err = read_line(line, out);
    }
    (void)fclose(file);
    return err;
}

/* ---- what steps do to nodes */

static struct node *running(const struct sim *sim, const struct sim_step *step)
{
    struct node *node = step->node < sim->node_count ? sim->nodes[step->node] : NULL;

    return node != NULL && node->is_there ? node : NULL;
}

static void start_some(struct sim *sim, const struct sim_step *step)
{
    for (uint32_t i = 0; i < step->count; i++) {
        size_t number = sim_add(sim);
        sim->nodes[number]->shaken_ns =
            sim->now_ns; /* by what was wrong before it came */
        measure_begin(sim, sim->nodes[number], MEASURE_JOIN_LAST);
        node_join_somebody(sim, sim->nodes[number]);
        node_settle(sim, sim->nodes[number]);
    }
}

static void join(struct sim *sim, const struct sim_step *step)
{
    if (running(sim, step) != NULL && step->amount < sim->node_count &&
        sim->nodes[step->amount]->is_there) {
        sim_trace(sim, "n%u joins n%llu", step->node, (unsigned long long)step->amount);
        sim_join(sim, step->node, step->amount);
    }
}

static void stop(struct sim *sim, const struct sim_step *step)
{
    if (running(sim, step) == NULL || sim->running_count <= LEAST_RUNNING) {
        return;
    }
    if (step->kind == STEP_CRASH) {
        sim_crash(sim, step->node);
    } else if (step->kind == STEP_KILL) {
        sim_kill(sim, step->node);
    } else {
        sim_leave(sim, step->node);
    }
}

static void come_back(struct sim *sim, const struct sim_step *step)
{
    static const enum sim_disk disks[] = {
        [RETURN_SAME] = SIM_KEEP_DISK,
        [RETURN_EMPTY] = SIM_LOSE_DISK,
        [RETURN_OLD] = SIM_OLD_DISK,
        [RETURN_MOVED] = SIM_KEEP_DISK,
    };
    enum step_return how =
        step->amount <= RETURN_MOVED ? (enum step_return)step->amount : RETURN_SAME;

    if (step->node >= sim->node_count || sim->nodes[step->node]->gossip != NULL) {
        return;
    }
    struct node *node = sim->nodes[step->node];
    if (how == RETURN_MOVED) {
        sim_move(sim, step->node);
    }
    sim_restart(sim, step->node, disks[how]);
    if (node->wrong > 0) { /* else nobody has missed it yet */
        measure_begin(sim, node, MEASURE_JOIN_LAST);
    }
    node_join_somebody(sim, node);
    node_settle(sim, node);
}

static void stop_or_return(struct sim *sim, const struct sim_step *step, uint32_t end)
{
    if (end == 0) {
        stop(sim, step);
    } else {
        come_back(sim, step);
    }
}

static void pause_some(struct sim *sim, const struct sim_step *step, uint32_t end)
{
    for (uint32_t i = 0; end == 0 && i < step->count; i++) {
        sim_pause(sim, (step->node + i) % sim->node_count, step->for_ms);
    }
}

static void set_clocks(struct sim *sim, const struct sim_step *step, uint32_t end)
{
    uint32_t ppm = end == 0 ? (uint32_t)step->amount : TRUE_RATE;

    for (uint32_t i = 0; i < step->count; i++) {
        sim_set_clock(sim, (step->node + i) % sim->node_count, ppm);
    }
}

static void jump(struct sim *sim, const struct sim_step *step)
{
    int64_t by_ms = (int64_t)step->amount;

    if (running(sim, step) != NULL) {
        sim_jump_wall(sim, step->node, step->count == 2 ? -by_ms : by_ms);
    }
}

/* ---- what steps do to the network */

static void part(struct sim *sim, const struct sim_step *step, uint32_t end)
{
    unsigned group = (unsigned)(step - sim->steps) + 1;

    for (size_t i = 0; i < sim->node_count; i++) {
        struct node *node = sim->nodes[i];
        size_t place =
            (i + sim->node_count - step->node % sim->node_count) % sim->node_count;
        if (end == 0 && place < step->count) {
            node->group = group;
        } else if (end == 1 && node->group == group) {
            node->group = 0;
        }
    }
    sim_trace(sim, "%u nodes from n%u on are %s", step->count, step->node,
              end == 0 ? "parted from the others" : "no more parted");
    sim_shake_all(sim);
}

static void cut(struct sim *sim, const struct sim_step *step, uint32_t end)
{
    for (size_t i = 0; i < sim->node_count; i++) {
        bool is_meant = step->count == 2 || i == step->node;
        if (!is_meant || i == step->amount || step->amount >= sim->node_count) {
            continue;
        }
        if (end == 0) {
            sim_cut(sim, i, step->amount);
        } else {
            sim_mend(sim, i, step->amount);
        }
    }
}

static void set_trait(struct sim *sim, const struct sim_step *step, uint32_t end)
{
    enum sim_trait trait = (enum sim_trait)(step->kind - STEP_NO_UDP);

    if (step->node < sim->node_count) {
        sim_set_trait(sim, step->node, trait, end == 0);
    }
}

static void set_weather(struct sim *sim, const struct sim_step *step, uint32_t end)
{
    enum sim_weather weather = (enum sim_weather)(step->kind - STEP_LOSS);
    uint32_t usual = weather == SIM_LOSS        ? sim->options.loss_ppm
                     : weather == SIM_DUPLICATE ? sim->options.duplicate_ppm
                                                : 0;

    sim_set_weather(sim, weather, end == 0 ? (uint32_t)step->amount : usual);
}

/* ---- what nodes do */

static void toggle_service(struct sim *sim, const struct sim_step *step)
{
    char name[16];

    (void)snprintf(name, sizeof name, "s%u", (unsigned)step->amount);
    if (sim_sees_service(sim, step->node, step->node, name)) {
        sim_deregister(sim, step->node, name);
    } else {
        sim_register(sim, step->node, name);
    }
}

static void flip(struct sim *sim, const struct sim_step *step)
{
    static const enum check_status next[] = {[CHECK_PASSING] = CHECK_CRITICAL,
                                             [CHECK_WARNING] = CHECK_PASSING,
                                             [CHECK_CRITICAL] = CHECK_WARNING};
    struct node *node = sim->nodes[step->node];
    char name[16];
    char output[OUTPUT_MAX];

    (void)snprintf(name, sizeof name, "s%u", (unsigned)step->amount);
    const struct catalog_service *service =
        catalog_service_find(catalog_self(node->catalog), name);
    if (service == NULL) {
        sim_register(sim, step->node, name);
        return;
    }
    (void)snprintf(output, sizeof output, "%*llu", (int)(step->count % OUTPUT_MAX),
                   (unsigned long long)step->at_ms);
    sim_set_check(sim, step->node, name, next[service->status], output);
}

static void change_record(struct sim *sim, const struct sim_step *step)
{
    struct node *node = running(sim, step);

    if (node == NULL || node->catalog == NULL || sim->now_ns < node->paused_until_ns) {
        return;
    }
    if (step->kind == STEP_SERVICE) {
        toggle_service(sim, step);
    } else {
        flip(sim, step);
    }
    if (step->kind == STEP_CHANGE) {
        measure_change(sim, node);
    }
}

/* ---- when its time has come */

static void on_step(struct sim *sim, uint64_t number, uint32_t end)
{
    const struct sim_step *step = &sim->steps[number];

    switch (step->kind) {
    case STEP_START:
        start_some(sim, step);
        break;
    case STEP_JOIN:
        join(sim, step);
        break;
    case STEP_CRASH:
    case STEP_KILL:
    case STEP_LEAVE:
        stop_or_return(sim, step, end);
        break;
    case STEP_PAUSE:
        pause_some(sim, step, end);
        break;
    case STEP_PART:
        part(sim, step, end);
        break;
    case STEP_CUT:
        cut(sim, step, end);
        break;
    case STEP_NO_UDP:
    case STEP_NAT:
    case STEP_REFUSE:
        set_trait(sim, step, end);
        break;
    case STEP_LOSS:
    case STEP_BURST:
    case STEP_DUPLICATE:
    case STEP_REORDER:
    case STEP_CORRUPT:
    case STEP_TEAR:
        set_weather(sim, step, end);
        break;
    case STEP_CLOCK:
        set_clocks(sim, step, end);
        break;
    case STEP_JUMP:
        jump(sim, step);
        break;
    case STEP_SERVICE:
    case STEP_FLIP:
    case STEP_CHANGE:
        change_record(sim, step);
        break;
    case STEP_KIND_COUNT:
        break;
    }
}

static void schedule(struct sim *sim, size_t number, uint32_t end, uint64_t at_ms)
{
    struct event *event = queue_event(EVENT_STEP, NULL, 0);

    event->step = number;
    event->end = end;
    queue_push(&sim->queue, sim->now_ns + at_ms * SIM_MS, event);
}

void step_schedule(struct sim *sim, const struct step_list *list)
{
    sim->steps = list->steps;
    sim->on_step = on_step;
    for (size_t i = 0; i < list->count; i++) {
        const struct sim_step *step = &list->steps[i];
        schedule(sim, i, 0, step->at_ms);
        if (step->for_ms > 0) {
            schedule(sim, i, 1, step->at_ms + step->for_ms);
        }
    }
}
