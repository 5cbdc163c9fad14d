/* sim_node.c - the life of one node: two cores, a disk and a clock of its own. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tests/sim/sim_state.h"

static const uint64_t wall_start_ms = 1700000000000;

enum {
    MIN_TICK_NS = 50000, /* a deadline in the past must not stop the clock */
    REJOIN_MS = 3000,
    RETURN_MS = 10000,
    TRUE_RATE = 1000000,
    NODES_A_NET = 250
};

/* ---- its clock */

/* a x b / c for a beyond 2^40, where the product alone would not fit. */
static uint64_t scale(uint64_t a, uint64_t b, uint64_t c)
{
    return a / c * b + a % c * b / c;
}

uint64_t node_clock_ns(const struct sim *sim, const struct node *node)
{
    const struct skewed_clock *clock = &node->clock;

    return clock->local_ns +
           scale(sim->now_ns - clock->base_ns, clock->rate_ppm, TRUE_RATE);
}

uint64_t node_clock_ms(const struct sim *sim, const struct node *node)
{
    return node_clock_ns(sim, node) / SIM_MS;
}

uint64_t node_wall_ms(const struct sim *sim, const struct node *node)
{
    return wall_start_ms + sim->now_ns / SIM_MS + (uint64_t)node->clock.wall_offset_ms;
}

/* When in true time its clock will have reached `local_ns`. */
static uint64_t true_ns(const struct skewed_clock *clock, uint64_t local_ns)
{
    if (local_ns <= clock->local_ns) {
        return clock->base_ns;
    }
    uint64_t wait_ns = local_ns - clock->local_ns;
    uint64_t rounded_up = clock->rate_ppm == TRUE_RATE ? 0 : 1;
    return clock->base_ns + scale(wait_ns, TRUE_RATE, clock->rate_ppm) + rounded_up;
}

void node_set_rate(struct sim *sim, struct node *node, uint32_t ppm)
{
    node->clock.local_ns = node_clock_ns(sim, node);
    node->clock.base_ns = sim->now_ns;
    node->clock.rate_ppm = ppm;
    if (node->gossip != NULL) {
        node->tick_ns = 0;
        node_settle(sim, node);
    }
}

/* ---- what its cores want done */

static void retry_join(struct sim *sim, struct node *node)
{
    struct event *event = queue_event(EVENT_REJOIN, NULL, 0);

    event->node = node->number;
    event->life = node->life;
    queue_push(&sim->queue, sim->now_ns + REJOIN_MS * SIM_MS, event);
}

static void carry_out(struct sim *sim, struct node *node,
                      const struct gossip_action *action)
{
    switch (action->type) {
    case GOSSIP_SEND_PACKET:
        net_packet(sim, node, action);
        break;
    case GOSSIP_STREAM_OPEN:
        line_open(sim, node, action);
        break;
    case GOSSIP_STREAM_SEND:
        line_send(sim, node, action);
        break;
    case GOSSIP_STREAM_CLOSE:
        line_close(sim, node, action->stream);
        break;
    case GOSSIP_MEMBER_EVENT:
        check_member(sim, node, action);
        if (node->catalog != NULL) {
            lane_on_member(&node->lane, node_clock_ns(sim, node), node_wall_ms(sim, node),
                           action);
        }
        break;
    case GOSSIP_LEFT_POOL:
        node->has_left = true;
        break;
    case GOSSIP_JOIN_RESULT:
        if (action->err != RC_OK && node->wants_pool) {
            retry_join(sim, node);
        }
        node->wants_pool = node->wants_pool && action->err != RC_OK;
        break;
    case GOSSIP_NAME_LOST:
        sim_trace(sim, "%s lost the vote about its name", node->name);
        node->has_lost_name = true;
        break;
    case GOSSIP_USER_EVENT:
    case GOSSIP_QUERY:
    case GOSSIP_QUERY_ACK:
    case GOSSIP_QUERY_RESPONSE:
    case GOSSIP_QUERY_DONE:
    case GOSSIP_NAME_CONFLICT:
    case GOSSIP_REFUSED:
    case GOSSIP_UNSEEN:
    case GOSSIP_TCP_ONLY:
    case GOSSIP_ACTION_TYPE_COUNT:
        break;
    }
}

static void arm(struct sim *sim, struct node *node)
{
    uint64_t due_ns = gossip_deadline(node->gossip);

    if (node->catalog != NULL) {
        uint64_t catalog_ms = catalog_deadline_ms(node->catalog);
        due_ns = catalog_ms < due_ns / SIM_MS ? catalog_ms * SIM_MS : due_ns;
    }
    if (due_ns == UINT64_MAX) {
        return;
    }
    uint64_t at_ns = true_ns(&node->clock, due_ns);
    if (at_ns < sim->now_ns + MIN_TICK_NS) {
        at_ns = sim->now_ns + MIN_TICK_NS;
    }
    if (node->tick_ns > sim->now_ns && node->tick_ns <= at_ns) {
        return; /* it comes soon enough, and arms the next one */
    }
    node->tick_ns = at_ns;
    struct event *event = queue_event(EVENT_TICK, NULL, 0);
    event->node = node->number;
    event->life = node->life;
    queue_push(&sim->queue, at_ns, event);
}

static void drain(struct sim *sim, struct node *node)
{
    struct gossip_action action;
    bool busy = true;

    while (busy) {
        busy = false;
        if (node->catalog != NULL) {
            lane_carry_out(&node->lane, node_clock_ns(sim, node));
        }
        while (gossip_next_action(node->gossip, &action)) {
            busy = true;
            carry_out(sim, node, &action);
        }
    }
}

/* Its supervisor starts an agent again that gave up its name; by then the name may be free. */
static void start_again(struct sim *sim, const struct node *node)
{
    struct event *event = queue_event(EVENT_RETURN, NULL, 0);

    event->node = node->number;
    event->life = node->life;
    queue_push(&sim->queue, sim->now_ns + RETURN_MS * SIM_MS, event);
}

void node_settle(struct sim *sim, struct node *node)
{
    const struct catalog_change *changes = NULL;

    drain(sim, node);
    if (node->catalog != NULL) {
        check_note(sim, node);
        if (catalog_take_changes(node->catalog, &changes) > 0) {
            measure_changes_seen(sim, node);
        }
    }
    if (node->has_left) {
        sim_trace(sim, "%s has left", node->name);
        node_stop(sim, node);
    } else if (node->has_lost_name) {
        node_stop(sim, node);
        start_again(sim, node);
    } else {
        arm(sim, node);
    }
}

void node_deliver(struct sim *sim, struct node *node, const struct event *event)
{
    uint64_t now_ns = node_clock_ns(sim, node);

    switch (event->type) {
    case EVENT_TICK:
        gossip_tick(node->gossip, now_ns);
        if (node->catalog != NULL) {
            catalog_tick(node->catalog, now_ns / SIM_MS);
        }
        break;
    case EVENT_PACKET:
        gossip_packet(node->gossip, now_ns, &event->from, event->bytes, event->size);
        break;
    case EVENT_REJOIN:
        if (node->wants_pool) {
            node_join_somebody(sim, node);
        }
        break;
    case EVENT_DATA:
    case EVENT_CLOSED:
        line_arrived(sim, node, event);
        break;
    case EVENT_CONNECT:
    case EVENT_RETURN:
    case EVENT_STEP:
    case EVENT_SECOND:
        break;
    }
    node_settle(sim, node);
}

/* ---- beginning and end */

void node_stop(struct sim *sim, struct node *node)
{
    check_gone(sim, node);
    node->disk.incarnation = gossip_self(node->gossip)->incarnation;
    gossip_destroy(node->gossip);
    catalog_destroy(node->catalog);
    node->gossip = NULL;
    node->catalog = NULL;
    node->has_left = false;
    node->has_lost_name = false;
    node->wants_pool = false;
    node->life++;
    sim->running_count--;
    measure_observer_gone(sim, node);
    line_drop_all(sim, node, node->host_is_up ? LINE_RESET : LINE_SILENT);
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
                                      .seed = rc_random_next(&sim->cores),
                                      .now_ms = node_clock_ms(sim, node),
                                      .wall_ms = node_wall_ms(sim, node)};
    char address[RC_ADDRESS_TEXT_MAX];

    sim_must(catalog_create(&options, &node->catalog), "catalog_create");
    if (node->disk.epoch.size > 0) {
        sim_must(
            catalog_import(node->catalog, node->disk.epoch.bytes, node->disk.epoch.size),
            "catalog_import");
    }
    rc_buffer_clear(&node->disk.epoch);
    catalog_export(node->catalog, &node->disk.epoch);
    rc_address_format_ip(&node->address, address);
    struct catalog_node facts = {.address = address};
    sim_must(catalog_set_node(node->catalog, options.now_ms, &facts, NULL), "set_node");
    node->lane = (struct lane){.catalog = node->catalog};
}

static void keep_backup(struct node *node)
{
    rc_buffer_clear(&node->backup.epoch);
    rc_buffer_append(&node->backup.epoch, node->disk.epoch.bytes, node->disk.epoch.size);
    node->backup.incarnation = node->disk.incarnation;
}

static void start_gossip(struct sim *sim, struct node *node)
{
    static const struct gossip_tag tags[] = {{"dc", "dc1"}, {"rc", "1"}};
    static const struct gossip_key key = {.bytes = "sixteen bytes...", .size = 16};
    uint32_t last = node->disk.incarnation;
    struct gossip_options options = {
        .name = node->name,
        .address = node->address,
        .tags = tags,
        .tag_count = sizeof tags / sizeof *tags,
        .profile = &sim->profile,
        .incarnation = last == 0 ? 0 : last + 1,
        .keys = &key,
        .key_count = sim->options.encrypted ? 1 : 0,
        .random_seed = rc_random_next(&sim->cores),
        .nonce = nonce,
        .nonce_ctx = &node->nonces,
        .shared = sim->shared,
    };

    if (node->catalog != NULL) {
        options.lane = lane_callbacks(&node->lane);
    }
    sim_must(gossip_create(&options, node_clock_ns(sim, node), &node->gossip),
             "gossip_create");
    node->lane.gossip = node->gossip;
}

void node_start(struct sim *sim, struct node *node)
{
    assert(node->gossip == NULL);
    keep_backup(node);
    node->life++;
    node->tick_ns = 0;
    node->noted_version = 0;
    node->host_is_up = true;
    rc_random_init(&node->nonces, rc_random_next(&sim->cores));
    if (sim->options.catalogs == SIM_WITH_CATALOGS) {
        start_catalog(sim, node);
    }
    start_gossip(sim, node);
    sim->running_count++;
    check_start(sim, node);
    node_settle(sim, node);
}

void node_settle_in(struct sim *sim, struct node *node)
{
    char text[32];
    unsigned net = node->number / NODES_A_NET;
    unsigned host = node->number % NODES_A_NET + 1;

    (void)snprintf(text, sizeof text, "10.%u.%u.%u", node->moves % 250, net, host);
    sim_must(rc_address_parse_ip(text, SIM_GOSSIP_PORT, &node->address), "address");
    (void)snprintf(text, sizeof text, "172.%u.%u.%u", node->moves % 250, net, host);
    sim_must(rc_address_parse_ip(text, SIM_GOSSIP_PORT, &node->outside), "address");
    net_add_host(sim, &node->address, node);
    net_add_host(sim, &node->outside, node);
}

struct node *node_add(struct sim *sim)
{
    struct node *node = sim_memory(calloc(1, sizeof *node));

    assert(sim->node_count < SIM_NODES_MAX);
    if (sim->node_count == sim->nodes_capacity) {
        sim->nodes_capacity = sim->nodes_capacity == 0 ? 32 : 2 * sim->nodes_capacity;
        sim->nodes =
            sim_memory(realloc(sim->nodes, sim->nodes_capacity * sizeof(struct node *)));
    }
    node->number = (uint32_t)sim->node_count;
    sim->nodes[sim->node_count++] = node;
    (void)snprintf(node->name, sizeof node->name, "n%u", node->number);
    node->clock = (struct skewed_clock){
        .base_ns = sim->now_ns,
        .local_ns = SIM_SECOND + rc_random_below(&sim->cores, 1000000 * SIM_SECOND),
        .rate_ppm = TRUE_RATE};
    node->past = sim_memory(rc_table_create(1));
    node->gone = sim_memory(rc_table_create(1));
    node_settle_in(sim, node);
    return node;
}

void node_free(struct node *node)
{
    gossip_destroy(node->gossip);
    catalog_destroy(node->catalog);
    rc_buffer_fini(&node->disk.epoch);
    rc_buffer_fini(&node->backup.epoch);
    rc_table_destroy(node->past);
    check_forget_gone(node);
    free(node->open);
    free(node->seen);
    free(node->known);
    free(node);
}

/* As an agent does with its list of addresses: any of the pool will do. */
void node_join_somebody(struct sim *sim, struct node *node)
{
    for (int tries = 0; tries < 100; tries++) {
        struct node *other = sim->nodes[rc_random_below(&sim->choices, sim->node_count)];
        if (other != node && other->is_there) {
            node->wants_pool = true;
            (void)gossip_join(node->gossip, node_clock_ns(sim, node), &other->address, 1);
            return;
        }
    }
}
