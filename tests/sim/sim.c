/* sim.c - the clock, and what a script may do and ask. */
#include "tests/sim/sim.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_state.h"

/* ---- the clock */

static void second(struct sim *sim)
{
    check_second(sim);
    measure_second(sim);
    queue_push(&sim->queue, sim->now_ns + SIM_SECOND, queue_event(EVENT_SECOND, NULL, 0));
}

/* A paused node gets everything in order, later: its kernel accepts streams even then, but it
 * does not hear of them. True if the event was put off. */
static bool is_put_off(struct sim *sim, struct node *node, uint64_t at_ns,
                       struct event *event)
{
    if (sim->now_ns >= node->paused_until_ns) {
        return false;
    }
    if (event->type == EVENT_TICK) {
        if (at_ns != node->tick_ns) {
            return false;
        }
        node->tick_ns = node->paused_until_ns;
    }
    queue_push(&sim->queue, node->paused_until_ns, event);
    return true;
}

static void node_event(struct sim *sim, uint64_t at_ns, struct event *event)
{
    struct node *node = sim->nodes[event->node];
    bool is_gone = node->gossip == NULL || node->life != event->life;

    if (!is_gone && is_put_off(sim, node, at_ns, event)) {
        return;
    }
    if (event->type == EVENT_CONNECT) {
        line_connected(sim, node, event);
    } else if (event->type == EVENT_RETURN && node->gossip == NULL &&
               node->life == event->life) {
        sim_restart(sim, node->number, SIM_KEEP_DISK);
        node_join_somebody(sim, node);
        node_settle(sim, node);
    }
    bool is_stale = event->type == EVENT_TICK && at_ns != node->tick_ns;
    if (!is_gone && !is_stale) {
        node_deliver(sim, node, event);
    }
    line_event_done(sim, event);
    free(event);
}

static void on_event(struct sim *sim, uint64_t at_ns, struct event *event)
{
    sim->measure.events++;
    if (event->type == EVENT_SECOND) {
        free(event);
        second(sim);
    } else if (event->type == EVENT_STEP) {
        sim->on_step(sim, event->step, event->end);
        free(event);
    } else {
        node_event(sim, at_ns, event);
    }
}

static void run_until(struct sim *sim, uint64_t until_ns)
{
    struct event *event;
    uint64_t at_ns = 0;

    while ((event = queue_pop(&sim->queue, until_ns, &at_ns)) != NULL) {
        assert(at_ns >= sim->now_ns);
        sim->now_ns = at_ns;
        on_event(sim, at_ns, event);
    }
    sim->now_ns = until_ns;
}

void sim_run(struct sim *sim, uint64_t for_ms)
{
    run_until(sim, sim->now_ns + for_ms * SIM_MS);
}

uint64_t sim_now_ms(const struct sim *sim)
{
    return sim->now_ns / SIM_MS;
}

uint64_t sim_wait(struct sim *sim, uint64_t max_ms, sim_claim claim, const void *context,
                  const char *what)
{
    uint64_t start_ms = sim_now_ms(sim);

    while (!claim(sim, context)) {
        uint64_t waited_ms = sim_now_ms(sim) - start_ms;
        if (waited_ms >= max_ms) {
            sim_fail(sim, "not within %llu ms: %s", (unsigned long long)max_ms, what);
        }
        sim_run(sim, 1);
    }
    return sim_now_ms(sim) - start_ms;
}

/* ---- making and breaking */

enum { STREAM_NETWORK = 1, STREAM_CORES, STREAM_CHOICES };

struct sim *sim_create(const struct sim_options *options)
{
    struct sim *sim = sim_memory(calloc(1, sizeof *sim));

    sim->options = *options;
    if (sim->options.profile == NULL) {
        sim->options.profile = "fast";
    }
    if (sim->options.delay_min_us == 0) {
        sim->options.delay_min_us = 100;
    }
    if (sim->options.delay_max_us == 0) {
        sim->options.delay_max_us = 1000;
    }
    assert(sim->options.delay_max_us >= sim->options.delay_min_us);
    const struct gossip_profile *profile = gossip_profile_find(sim->options.profile);
    assert(profile != NULL);
    sim->profile = *profile;
    if (options->reap_ms > 0) {
        sim->profile.reconnect_timeout_ms = options->reap_ms;
        sim->profile.tombstone_timeout_ms = options->reap_ms;
    }
    sim->weather[SIM_LOSS] = options->loss_ppm;
    sim->weather[SIM_DUPLICATE] = options->duplicate_ppm;
    uint64_t seed = options->seed * 8;
    rc_random_init(&sim->network, seed + STREAM_NETWORK);
    rc_random_init(&sim->cores, seed + STREAM_CORES);
    rc_random_init(&sim->choices, seed + STREAM_CHOICES);
    sim->shared = sim_memory(gossip_shared_create(1));
    sim->hosts = sim_memory(rc_table_create(1));
    sim->cuts = sim_memory(rc_table_create(1));
    sim->free_line = NO_LINE;
    sim->now_ns = SIM_SECOND;
    queue_push(&sim->queue, 2 * SIM_SECOND, queue_event(EVENT_SECOND, NULL, 0));
    return sim;
}

void sim_destroy(struct sim *sim)
{
    if (sim == NULL) {
        return;
    }
    for (size_t i = 0; i < sim->node_count; i++) {
        node_free(sim->nodes[i]);
    }
    gossip_shared_destroy(sim->shared);
    queue_fini(&sim->queue);
    measure_fini(&sim->measure);
    rc_table_destroy(sim->hosts);
    rc_table_destroy(sim->cuts);
    free(sim->lines);
    free(sim->nodes);
    free(sim);
}

size_t sim_add(struct sim *sim)
{
    struct node *node = node_add(sim);

    node_start(sim, node);
    return node->number;
}

void sim_join(struct sim *sim, size_t node, size_t through)
{
    struct node *it = sim->nodes[node];

    it->wants_pool = true;
    sim_must(
        gossip_join(it->gossip, node_clock_ns(sim, it), &sim->nodes[through]->address, 1),
        "gossip_join");
    measure_begin(sim, it, MEASURE_JOIN_LAST);
    node_settle(sim, it);
}

static bool all_know_all(struct sim *sim, const void *context)
{
    (void)context;
    return sim_members_right(sim) && sim_views_equal(sim);
}

void sim_add_pool(struct sim *sim, size_t count)
{
    size_t first = sim_add(sim);

    for (size_t i = 1; i < count; i++) {
        size_t number = sim_add(sim);
        sim_join(sim, number, first);
        sim_run(sim, 20);
    }
    (void)sim_wait(sim, 60000, all_know_all, NULL, "everybody knows everybody");
}

static void shake(const struct sim *sim, struct node *node)
{
    if (node->shaken_ns < sim->now_ns) {
        node->shaken_ns = sim->now_ns;
    }
}

void sim_shake_all(struct sim *sim)
{
    for (size_t i = 0; i < sim->node_count; i++) {
        shake(sim, sim->nodes[i]);
    }
}

void sim_crash(struct sim *sim, size_t node)
{
    struct node *it = sim->nodes[node];

    sim_trace(sim, "%s crashes", it->name);
    shake(sim, it);
    it->host_is_up = false;
    measure_begin(sim, it, MEASURE_DETECT_LAST);
    node_stop(sim, it);
}

void sim_kill(struct sim *sim, size_t node)
{
    struct node *it = sim->nodes[node];

    sim_trace(sim, "%s is killed", it->name);
    shake(sim, it);
    measure_begin(sim, it, MEASURE_DETECT_LAST);
    node_stop(sim, it);
}

void sim_restart(struct sim *sim, size_t node, enum sim_disk disk)
{
    static const char *const with[] = {"", " without its disk", " with an old disk"};
    struct node *it = sim->nodes[node];

    sim_trace(sim, "%s restarts%s", it->name, with[disk]);
    shake(sim, it);
    it->paused_until_ns = 0;
    if (disk == SIM_LOSE_DISK) {
        rc_buffer_clear(&it->disk.epoch);
        it->disk.incarnation = 0;
    } else if (disk == SIM_OLD_DISK) {
        rc_buffer_clear(&it->disk.epoch);
        rc_buffer_append(&it->disk.epoch, it->backup.epoch.bytes, it->backup.epoch.size);
        it->disk.incarnation = it->backup.incarnation;
    }
    it->disk_lost = it->disk_lost || disk != SIM_KEEP_DISK;
    node_start(sim, it);
}

void sim_move(struct sim *sim, size_t node)
{
    struct node *it = sim->nodes[node];
    const struct rc_address *old[] = {&it->address, &it->outside};

    assert(it->gossip == NULL);
    for (size_t i = 0; i < 2; i++) {
        uint8_t key[18];
        memcpy(key, old[i]->ip, 16);
        key[16] = (uint8_t)(old[i]->port >> 8);
        key[17] = (uint8_t)old[i]->port;
        (void)rc_table_remove_bytes(sim->hosts, key, sizeof key);
    }
    it->moves++;
    it->disk_lost = true; /* its name is taken over, whatever its incarnation was */
    node_settle_in(sim, it);
}

void sim_leave(struct sim *sim, size_t node)
{
    struct node *it = sim->nodes[node];

    sim_trace(sim, "%s leaves", it->name);
    measure_begin(sim, it, MEASURE_LEFT_LAST);
    check_gone(sim, it);
    gossip_leave(it->gossip, node_clock_ns(sim, it));
    node_settle(sim, it);
}

void sim_pause(struct sim *sim, size_t node, uint64_t for_ms)
{
    struct node *it = sim->nodes[node];

    sim_trace(sim, "%s stands still for %llu ms", it->name, (unsigned long long)for_ms);
    it->paused_until_ns = sim->now_ns + for_ms * SIM_MS;
    it->shaken_ns = it->paused_until_ns;
}

void sim_set_clock(struct sim *sim, size_t node, uint32_t ppm)
{
    sim_trace(sim, "the clock of %s runs at %u ppm", sim_name(sim, node), ppm);
    node_set_rate(sim, sim->nodes[node], ppm);
}

void sim_jump_wall(struct sim *sim, size_t node, int64_t by_ms)
{
    sim_trace(sim, "the wall clock of %s jumps by %lld ms", sim_name(sim, node),
              (long long)by_ms);
    sim->nodes[node]->clock.wall_offset_ms += by_ms;
}

void sim_part(struct sim *sim, size_t node, unsigned group)
{
    sim_trace(sim, "%s is parted into group %u", sim_name(sim, node), group);
    sim->nodes[node]->group = group;
    sim_shake_all(sim);
}

void sim_heal(struct sim *sim)
{
    sim_trace(sim, "the network is whole again");
    for (size_t i = 0; i < sim->node_count; i++) {
        sim->nodes[i]->group = 0;
        sim->nodes[i]->cuts_towards = 0;
    }
    rc_table_destroy(sim->cuts);
    sim->cuts = sim_memory(rc_table_create(1));
    sim_shake_all(sim);
}

void sim_cut(struct sim *sim, size_t from, size_t to)
{
    uint32_t pair[2] = {(uint32_t)from, (uint32_t)to};

    sim_trace(sim, "nothing gets from %s to %s", sim_name(sim, from), sim_name(sim, to));
    void *before = NULL;
    sim_must(rc_table_put_bytes(sim->cuts, pair, sizeof pair, sim, &before), "cut");
    sim->nodes[to]->cuts_towards += before == NULL;
    shake(sim, sim->nodes[from]);
    shake(sim, sim->nodes[to]);
}

void sim_mend(struct sim *sim, size_t from, size_t to)
{
    uint32_t pair[2] = {(uint32_t)from, (uint32_t)to};

    if (rc_table_remove_bytes(sim->cuts, pair, sizeof pair) != NULL) {
        sim->nodes[to]->cuts_towards--;
    }
    shake(sim, sim->nodes[from]);
    shake(sim, sim->nodes[to]);
}

void sim_set_trait(struct sim *sim, size_t node, enum sim_trait trait, bool on)
{
    static const char *const names[] = {"has no UDP", "is behind a NAT",
                                        "refuses streams"};

    sim_trace(sim, "%s %s%s", sim_name(sim, node), names[trait], on ? "" : " no more");
    sim->nodes[node]->traits[trait] = on;
    shake(sim, sim->nodes[node]);
}

void sim_set_weather(struct sim *sim, enum sim_weather weather, uint32_t ppm)
{
    static const char *const names[] = {"loss",    "bursts",     "duplicates",
                                        "reorder", "corruption", "torn streams"};

    sim_trace(sim, "%s: %u ppm", names[weather], ppm);
    sim->weather[weather] = ppm;
    sim_shake_all(sim);
}

void sim_set_loss(struct sim *sim, uint32_t ppm)
{
    sim->weather[SIM_LOSS] = ppm;
}

/* ---- what nodes do */

void sim_register(struct sim *sim, size_t node, const char *service)
{
    struct node *it = sim->nodes[node];
    struct catalog *c = it->catalog;
    struct catalog_service what = {.id = service, .name = service, .port = 80};
    char id[64];
    uint64_t now_ms = node_clock_ms(sim, it);

    (void)snprintf(id, sizeof id, "service:%s", service);
    struct catalog_check check = {.id = id,
                                  .service_id = service,
                                  .type = "ttl",
                                  .since_wall_ms = node_wall_ms(sim, it)};
    catalog_begin(c);
    sim_must(catalog_put_service(c, now_ms, &what, NULL), "put_service");
    sim_must(catalog_put_check(c, now_ms, &check, NULL), "put_check");
    catalog_end(c, now_ms);
    sim_trace(sim, "%s registers %s", it->name, service);
    node_settle(sim, it);
}

void sim_deregister(struct sim *sim, size_t node, const char *service)
{
    struct node *it = sim->nodes[node];

    sim_must(catalog_remove_service(it->catalog, node_clock_ms(sim, it), service),
             "remove_service");
    sim_trace(sim, "%s deregisters %s", it->name, service);
    node_settle(sim, it);
}

void sim_set_check(struct sim *sim, size_t node, const char *service,
                   enum check_status status, const char *output)
{
    struct node *it = sim->nodes[node];
    char id[64];

    (void)snprintf(id, sizeof id, "service:%s", service);
    struct catalog_result result = {.check_id = id,
                                    .status = status,
                                    .output = output,
                                    .wall_ms = node_wall_ms(sim, it)};
    sim_must(catalog_update_check(it->catalog, node_clock_ms(sim, it), &result),
             "update_check");
    sim_trace(sim, "%s: %s is %s", it->name, id, check_status_name(status));
    node_settle(sim, it);
}

/* ---- questions */

size_t sim_count(const struct sim *sim)
{
    return sim->node_count;
}

bool sim_is_running(const struct sim *sim, size_t node)
{
    return sim->nodes[node]->gossip != NULL;
}

const char *sim_name(const struct sim *sim, size_t node)
{
    return sim->nodes[node]->name;
}

struct catalog *sim_catalog(struct sim *sim, size_t node)
{
    return sim->nodes[node]->catalog;
}

struct gossip *sim_gossip(struct sim *sim, size_t node)
{
    return sim->nodes[node]->gossip;
}

enum catalog_liveness sim_liveness(struct sim *sim, size_t at, size_t of)
{
    const struct catalog_node *node =
        catalog_node_find(sim->nodes[at]->catalog, sim_name(sim, of));

    return node == NULL ? CATALOG_LEFT : node->liveness;
}

bool sim_sees_service(struct sim *sim, size_t at, size_t of, const char *service)
{
    const struct catalog_node *node =
        catalog_node_find(sim->nodes[at]->catalog, sim_name(sim, of));

    return node != NULL && catalog_service_find(node, service) != NULL;
}

size_t sim_false_failures(const struct sim *sim)
{
    return sim->false_failures;
}

size_t sim_failures_of_the_calm(const struct sim *sim)
{
    return sim->failures_of_the_calm;
}

bool sim_members_right(const struct sim *sim)
{
    return sim->wrong_pairs == 0;
}

bool sim_views_equal(struct sim *sim)
{
    uint64_t first = 0;
    bool known = false;

    for (size_t i = 0; i < sim->node_count; i++) {
        if (sim->nodes[i]->catalog == NULL) {
            continue;
        }
        uint64_t print = check_print(sim->nodes[i]->catalog);
        if (known && print != first) {
            return false;
        }
        first = print;
        known = true;
    }
    return true;
}

uint64_t sim_digest(const struct sim *sim)
{
    return sim->digest;
}
