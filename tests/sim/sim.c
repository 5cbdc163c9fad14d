#include "tests/sim/sim.h"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/text.h"
#include "tests/sim/sim_state.h"

static const uint64_t wall_start_ms = 1700000000000;

enum { MIN_TICK_NS = 50000 }; /* a deadline in the past must not stop the clock */

void *sim_memory(void *memory)
{
    if (memory == NULL) {
        (void)fprintf(stderr, "sim: no memory\n");
        abort();
    }
    return memory;
}

static void must(int err, const char *what)
{
    if (err != RC_OK) {
        (void)fprintf(stderr, "sim: %s: %s\n", what, rc_strerror(err));
        abort();
    }
}

static uint64_t wall_ms(const struct sim *sim)
{
    return wall_start_ms + sim->now_ns / SIM_MS;
}

/* ---- what is printed when something is wrong */

void sim_trace(struct sim *sim, const char *format, ...)
{
    char *line = sim->trace[sim->traced++ % SIM_TRACE_LINES];
    int size =
        snprintf(line, SIM_TRACE_LINE, "[%10.3f] ", (double)sim->now_ns / (double)SIM_MS);
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(line + size, SIM_TRACE_LINE - (size_t)size, format, arguments);
    va_end(arguments);
}

void sim_fail(struct sim *sim, const char *format, ...)
{
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t first = sim->traced > SIM_TRACE_LINES ? sim->traced - SIM_TRACE_LINES : 0;
    for (size_t i = first; i < sim->traced; i++) {
        (void)fprintf(stderr, "# %s\n", sim->trace[i % SIM_TRACE_LINES]);
    }
    (void)fprintf(stderr, "# seed %llu failed at %.3f ms; replay: SIM_SEED=%llu\n",
                  (unsigned long long)sim->options.seed,
                  (double)sim->now_ns / (double)SIM_MS,
                  (unsigned long long)sim->options.seed);
    fail_msg("%s", text);
    abort(); /* fail_msg() does not come back */
}

uint64_t sim_next_seed(uint64_t seed, uint64_t count)
{
    const char *only = getenv("SIM_SEED"); /* NOLINT(concurrency-mt-unsafe) one thread */
    uint64_t wanted = 0;

    if (only != NULL && rc_text_to_u64(only, UINT64_MAX, &wanted) == RC_OK) {
        return seed == 0 ? wanted : 0;
    }
    return seed < count ? seed + 1 : 0;
}

/* ---- one node */

static void stop(struct sim *sim, size_t number)
{
    struct node *node = &sim->nodes[number];

    if (node->gossip != NULL) {
        node->incarnation = gossip_self(node->gossip)->incarnation;
    }
    gossip_destroy(node->gossip);
    catalog_destroy(node->catalog);
    node->gossip = NULL;
    node->catalog = NULL;
    node->life++;
    net_reset_all(sim, number);
}

static void carry_out(struct sim *sim, size_t number, const struct gossip_action *action)
{
    struct node *node = &sim->nodes[number];

    switch (action->type) {
    case GOSSIP_SEND_PACKET:
        net_packet(sim, number, action);
        break;
    case GOSSIP_STREAM_OPEN:
        net_open(sim, number, action);
        break;
    case GOSSIP_STREAM_SEND:
        net_send(sim, number, action);
        break;
    case GOSSIP_STREAM_CLOSE:
        net_close(sim, number, action->stream);
        break;
    case GOSSIP_MEMBER_EVENT:
        check_member(sim, number, action);
        lane_on_member(&node->lane, sim->now_ns, wall_ms(sim), action);
        break;
    case GOSSIP_LEFT_POOL:
        node->leaving = true;
        break;
    case GOSSIP_USER_EVENT:
    case GOSSIP_QUERY:
    case GOSSIP_QUERY_ACK:
    case GOSSIP_QUERY_RESPONSE:
    case GOSSIP_QUERY_DONE:
    case GOSSIP_JOIN_RESULT:
    case GOSSIP_NAME_CONFLICT:
    case GOSSIP_NAME_LOST:
    case GOSSIP_TCP_ONLY:
    case GOSSIP_ACTION_TYPE_COUNT:
        break;
    }
}

static void arm(struct sim *sim, size_t number)
{
    struct node *node = &sim->nodes[number];
    uint64_t due_ns = gossip_deadline(node->gossip);
    uint64_t catalog_ms = catalog_deadline_ms(node->catalog);

    if (catalog_ms < due_ns / SIM_MS) {
        due_ns = catalog_ms * SIM_MS;
    }
    if (due_ns < sim->now_ns + MIN_TICK_NS) {
        due_ns = sim->now_ns + MIN_TICK_NS;
    }
    if (node->tick_ns > sim->now_ns && node->tick_ns <= due_ns) {
        return; /* it comes soon enough, and arms the next one */
    }
    node->tick_ns = due_ns;
    struct event event = {
        .at_ns = due_ns, .type = EVENT_TICK, .node = number, .life = node->life};
    net_push(sim, &event);
}

/* Does everything that the two cores of a node want done, until they are quiet. */
static void settle(struct sim *sim, size_t number)
{
    struct node *node = &sim->nodes[number];
    const struct catalog_change *changes = NULL;
    struct gossip_action action;
    bool busy = true;

    while (busy) {
        busy = false;
        lane_carry_out(&node->lane, sim->now_ns);
        while (gossip_next_action(node->gossip, &action)) {
            busy = true;
            carry_out(sim, number, &action);
        }
    }
    (void)catalog_take_changes(node->catalog, &changes);
    check_note(sim, number);
    if (node->leaving) {
        sim_trace(sim, "%s has left", node->name);
        node->leaving = false;
        stop(sim, number);
    } else {
        arm(sim, number);
    }
}

static void nonce(void *ctx, uint8_t *out, size_t size)
{
    struct rc_random *random = ctx;

    for (size_t i = 0; i < size; i++) {
        out[i] = (uint8_t)rc_random_next(random);
    }
}

static void start_catalog(struct sim *sim, struct node *node)
{
    struct catalog_options options = {.node_name = node->name,
                                      .seed = rc_random_next(&sim->network),
                                      .now_ms = sim->now_ns / SIM_MS,
                                      .wall_ms = wall_ms(sim)};
    char address[RC_ADDRESS_TEXT_MAX];

    must(catalog_create(&options, &node->catalog), "catalog_create");
    if (node->disk.size > 0) {
        must(catalog_import(node->catalog, node->disk.bytes, node->disk.size),
             "catalog_import");
    }
    rc_buffer_clear(&node->disk);
    catalog_export(node->catalog, &node->disk);
    rc_address_format_ip(&node->address, address);
    struct catalog_node facts = {.address = address};
    must(catalog_set_node(node->catalog, options.now_ms, &facts, NULL), "set_node");
}

static void start(struct sim *sim, size_t number)
{
    static const struct gossip_tag tags[] = {{"dc", "dc1"}, {"rc", "1"}};
    static const struct gossip_key key = {.bytes = "sixteen bytes...", .size = 16};
    struct node *node = &sim->nodes[number];

    node->life++;
    node->tick_ns = 0;
    node->noted_version = 0;
    start_catalog(sim, node);
    node->lane = (struct lane){.catalog = node->catalog};
    rc_random_init(&node->nonces, rc_random_next(&sim->network));
    struct gossip_options options = {
        .name = node->name,
        .address = node->address,
        .tags = tags,
        .tag_count = sizeof tags / sizeof *tags,
        .profile = gossip_profile_find(sim->options.profile),
        .incarnation = node->incarnation == 0 ? 0 : node->incarnation + 1,
        .keys = &key,
        .key_count = sim->options.encrypted ? 1 : 0,
        .random_seed = rc_random_next(&sim->network),
        .nonce = nonce,
        .nonce_ctx = &node->nonces,
        .lane = lane_callbacks(&node->lane),
    };
    must(gossip_create(&options, sim->now_ns, &node->gossip), "gossip_create");
    node->lane.gossip = node->gossip;
    memset(node->seen_incarnation, 0, sizeof node->seen_incarnation);
    settle(sim, number);
}

/* ---- the clock */

static void on_connect(struct sim *sim, const struct event *event)
{
    struct line *line = &sim->lines[event->line];
    struct node *node = &sim->nodes[event->node];
    uint32_t id = 0;

    if (!net_reaches(sim, line->node[0], line->node[1])) {
        return;
    }
    if (gossip_stream_accepted(node->gossip, sim->now_ns, &event->from, &id) != RC_OK) {
        net_cut(sim, event->line);
        return;
    }
    line->id[1] = id;
}

static void on_stream(struct sim *sim, const struct event *event)
{
    struct line *line = &sim->lines[event->line];
    struct node *node = &sim->nodes[event->node];
    uint32_t id = line->id[event->end];

    if (id == 0) {
        return;
    }
    if (event->type == EVENT_CLOSED) {
        line->id[event->end] = 0;
        gossip_stream_closed(node->gossip, sim->now_ns, id);
    } else if (!net_reaches(sim, line->node[0], line->node[1])) {
        net_cut(sim, event->line);
    } else {
        gossip_stream_data(node->gossip, sim->now_ns, id, event->bytes, event->size);
    }
}

static void deliver(struct sim *sim, const struct event *event)
{
    struct node *node = &sim->nodes[event->node];

    switch (event->type) {
    case EVENT_TICK:
        gossip_tick(node->gossip, sim->now_ns);
        catalog_tick(node->catalog, sim->now_ns / SIM_MS);
        break;
    case EVENT_PACKET:
        if (net_reaches(sim, net_node_at(sim, &event->from), event->node)) {
            gossip_packet(node->gossip, sim->now_ns, &event->from, event->bytes,
                          event->size);
        }
        break;
    case EVENT_CONNECT:
        on_connect(sim, event);
        break;
    case EVENT_DATA:
    case EVENT_CLOSED:
        on_stream(sim, event);
        break;
    case EVENT_SECOND:
        break;
    }
    settle(sim, event->node);
}

static void on_second(struct sim *sim)
{
    struct event event = {.at_ns = sim->now_ns + SIM_SECOND, .type = EVENT_SECOND};

    check_second(sim);
    net_push(sim, &event);
}

/* Gives an event to its node, unless that is gone or does not listen now. */
static void on_event(struct sim *sim, struct event *event)
{
    struct node *node = &sim->nodes[event->node];

    if (event->type == EVENT_SECOND) {
        on_second(sim);
        return;
    }
    bool gone = node->gossip == NULL || node->life != event->life;
    bool stale = event->type == EVENT_TICK && event->at_ns != node->tick_ns;
    if (gone || stale) {
        free(event->bytes);
        return;
    }
    if (sim->now_ns < node->paused_until_ns) { /* it gets everything in order, later */
        event->at_ns = node->paused_until_ns;
        if (event->type == EVENT_TICK) {
            node->tick_ns = event->at_ns;
        }
        net_push(sim, event);
        return;
    }
    deliver(sim, event);
    free(event->bytes);
}

static void run_until(struct sim *sim, uint64_t until_ns)
{
    struct event event;

    while (net_pop(sim, until_ns, &event)) {
        assert(event.at_ns >= sim->now_ns);
        sim->now_ns = event.at_ns;
        on_event(sim, &event);
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
    rc_random_init(&sim->network, options->seed);
    sim->nodes = sim_memory(calloc(SIM_NODES_MAX, sizeof *sim->nodes));
    sim->now_ns = SIM_SECOND;
    struct event event = {.at_ns = 2 * SIM_SECOND, .type = EVENT_SECOND};
    net_push(sim, &event);
    return sim;
}

void sim_destroy(struct sim *sim)
{
    if (sim == NULL) {
        return;
    }
    for (size_t i = 0; i < sim->node_count; i++) {
        gossip_destroy(sim->nodes[i].gossip);
        catalog_destroy(sim->nodes[i].catalog);
        rc_buffer_fini(&sim->nodes[i].disk);
        rc_table_destroy(sim->nodes[i].past);
    }
    for (size_t i = 0; i < sim->event_count; i++) {
        free(sim->events[i].bytes);
    }
    free(sim->events);
    free(sim->lines);
    free(sim->nodes);
    free(sim);
}

size_t sim_add(struct sim *sim)
{
    size_t number = sim->node_count++;
    struct node *node = &sim->nodes[number];
    char address[32];

    assert(number < SIM_NODES_MAX);
    (void)snprintf(node->name, sizeof node->name, "n%zu", number);
    (void)snprintf(address, sizeof address, "10.0.%zu.%zu", number / 200,
                   number % 200 + 1);
    must(rc_address_parse_ip(address, SIM_GOSSIP_PORT, &node->address), "address");
    node->past = sim_memory(rc_table_create(1));
    start(sim, number);
    return number;
}

void sim_join(struct sim *sim, size_t node, size_t through)
{
    must(gossip_join(sim->nodes[node].gossip, sim->now_ns, &sim->nodes[through].address,
                     1),
         "gossip_join");
    settle(sim, node);
}

static bool all_know_all(struct sim *sim, const void *context)
{
    (void)context;
    for (size_t i = 0; i < sim->node_count; i++) {
        if (sim_is_running(sim, i) &&
            catalog_node_count(sim->nodes[i].catalog) != sim->node_count) {
            return false;
        }
    }
    return sim_views_equal(sim);
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

static void shake(struct sim *sim, size_t node)
{
    sim->nodes[node].shaken_ns = sim->now_ns;
}

void sim_crash(struct sim *sim, size_t node)
{
    sim_trace(sim, "%s crashes", sim_name(sim, node));
    shake(sim, node);
    stop(sim, node);
}

void sim_restart(struct sim *sim, size_t node, enum sim_disk disk)
{
    struct node *it = &sim->nodes[node];

    assert(it->gossip == NULL);
    sim_trace(sim, "%s restarts%s", it->name,
              disk == SIM_LOSE_DISK ? " without its disk" : "");
    shake(sim, node);
    if (disk == SIM_LOSE_DISK) {
        rc_buffer_clear(&it->disk);
        it->incarnation = 0;
        it->disk_lost = true;
    }
    start(sim, node);
}

void sim_leave(struct sim *sim, size_t node)
{
    sim_trace(sim, "%s leaves", sim_name(sim, node));
    shake(sim, node);
    gossip_leave(sim->nodes[node].gossip, sim->now_ns);
    settle(sim, node);
}

void sim_pause(struct sim *sim, size_t node, uint64_t for_ms)
{
    sim_trace(sim, "%s stands still for %llu ms", sim_name(sim, node),
              (unsigned long long)for_ms);
    sim->nodes[node].paused_until_ns = sim->now_ns + for_ms * SIM_MS;
    sim->nodes[node].shaken_ns = sim->nodes[node].paused_until_ns;
}

void sim_part(struct sim *sim, size_t node, unsigned group)
{
    sim_trace(sim, "%s is parted into group %u", sim_name(sim, node), group);
    sim->nodes[node].group = group;
    for (size_t i = 0; i < sim->node_count; i++) {
        shake(sim, i);
    }
}

void sim_heal(struct sim *sim)
{
    sim_trace(sim, "the network is whole again");
    for (size_t i = 0; i < sim->node_count; i++) {
        sim->nodes[i].group = 0;
        shake(sim, i);
    }
}

void sim_set_loss(struct sim *sim, uint32_t ppm)
{
    sim->options.loss_ppm = ppm;
}

/* ---- what nodes do */

void sim_register(struct sim *sim, size_t node, const char *service)
{
    struct catalog *c = sim->nodes[node].catalog;
    struct catalog_service it = {.id = service, .name = service, .port = 80};
    char id[64];
    uint64_t now_ms = sim_now_ms(sim);

    (void)snprintf(id, sizeof id, "service:%s", service);
    struct catalog_check check = {
        .id = id, .service_id = service, .type = "ttl", .since_wall_ms = wall_ms(sim)};
    catalog_begin(c);
    must(catalog_put_service(c, now_ms, &it, NULL), "put_service");
    must(catalog_put_check(c, now_ms, &check, NULL), "put_check");
    catalog_end(c, now_ms);
    sim_trace(sim, "%s registers %s", sim_name(sim, node), service);
    settle(sim, node);
}

void sim_deregister(struct sim *sim, size_t node, const char *service)
{
    must(catalog_remove_service(sim->nodes[node].catalog, sim_now_ms(sim), service),
         "remove_service");
    sim_trace(sim, "%s deregisters %s", sim_name(sim, node), service);
    settle(sim, node);
}

void sim_set_check(struct sim *sim, size_t node, const char *service,
                   enum catalog_status status, const char *output)
{
    char id[64];

    (void)snprintf(id, sizeof id, "service:%s", service);
    struct catalog_result result = {
        .check_id = id, .status = status, .output = output, .wall_ms = wall_ms(sim)};
    must(catalog_update_check(sim->nodes[node].catalog, sim_now_ms(sim), &result),
         "update_check");
    sim_trace(sim, "%s: %s is %s", sim_name(sim, node), id, catalog_status_name(status));
    settle(sim, node);
}

/* ---- questions */

size_t sim_count(const struct sim *sim)
{
    return sim->node_count;
}

bool sim_is_running(const struct sim *sim, size_t node)
{
    return sim->nodes[node].gossip != NULL;
}

const char *sim_name(const struct sim *sim, size_t node)
{
    return sim->nodes[node].name;
}

struct catalog *sim_catalog(struct sim *sim, size_t node)
{
    return sim->nodes[node].catalog;
}

struct gossip *sim_gossip(struct sim *sim, size_t node)
{
    return sim->nodes[node].gossip;
}

enum catalog_liveness sim_liveness(struct sim *sim, size_t at, size_t of)
{
    const struct catalog_node *node =
        catalog_node_find(sim->nodes[at].catalog, sim_name(sim, of));

    return node == NULL ? CATALOG_LEFT : node->liveness;
}

bool sim_sees_service(struct sim *sim, size_t at, size_t of, const char *service)
{
    const struct catalog_node *node =
        catalog_node_find(sim->nodes[at].catalog, sim_name(sim, of));

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

bool sim_views_equal(struct sim *sim)
{
    uint64_t first = 0;
    bool known = false;

    for (size_t i = 0; i < sim->node_count; i++) {
        if (!sim_is_running(sim, i)) {
            continue;
        }
        uint64_t print = check_print(sim->nodes[i].catalog);
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
