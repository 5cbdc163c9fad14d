/* sim_net.c - packets that may be late, lost, doubled or damaged, and who reaches whom. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tests/sim/sim_state.h"

enum {
    HOST_KEY_SIZE = 18,
    PACKET_MAX = 1472, /* what passes an Ethernet whole */
    BURST_MS = 200,
    TAIL_MAX = 100,      /* times the usual delay */
    LINE_QUEUE_MS = 200, /* what waits longer for the line is dropped */
    RATE_BYTES_S = 100000000
};

/* ---- who is where */

static void host_key(const struct rc_address *address, uint8_t key[HOST_KEY_SIZE])
{
    memcpy(key, address->ip, 16);
    key[16] = (uint8_t)(address->port >> 8);
    key[17] = (uint8_t)address->port;
}

struct node *net_host(const struct sim *sim, const struct rc_address *address)
{
    uint8_t key[HOST_KEY_SIZE];

    host_key(address, key);
    return rc_table_get_bytes(sim->hosts, key, sizeof key);
}

void net_add_host(struct sim *sim, const struct rc_address *address, struct node *node)
{
    uint8_t key[HOST_KEY_SIZE];

    host_key(address, key);
    sim_must(rc_table_put_bytes(sim->hosts, key, sizeof key, node, NULL), "host");
}

static bool is_cut(const struct sim *sim, const struct node *from, const struct node *to)
{
    uint32_t pair[2] = {from->number, to->number};

    return rc_table_count(sim->cuts) > 0 &&
           rc_table_get_bytes(sim->cuts, pair, sizeof pair) != NULL;
}

bool net_reaches(const struct sim *sim, const struct node *from, const struct node *to,
                 enum net_kind kind)
{
    if (from->group != to->group || is_cut(sim, from, to)) {
        return false;
    }
    return kind == NET_STREAM || (!from->traits[SIM_NO_UDP] && !to->traits[SIM_NO_UDP]);
}

/* ---- how long it takes */

uint64_t net_delay_ns(struct sim *sim)
{
    const struct sim_options *o = &sim->options;
    uint64_t spread = o->delay_max_us - o->delay_min_us + 1;
    uint64_t us = o->delay_min_us + rc_random_below(&sim->network, spread);

    if (o->tail_ppm > 0 && rc_random_chance(&sim->network, o->tail_ppm)) {
        uint64_t times = 1000000 / (1 + rc_random_below(&sim->network, 1000000));
        us *= times < TAIL_MAX ? times : TAIL_MAX;
    }
    return us * 1000 + rc_random_below(&sim->network, 1000);
}

uint64_t net_sent_ns(struct sim *sim, struct node *from, size_t size)
{
    uint64_t rate = sim->options.rate_bytes_s;
    uint64_t start_ns =
        from->line_free_ns > sim->now_ns ? from->line_free_ns : sim->now_ns;

    from->line_free_ns = start_ns + size * SIM_SECOND / (rate > 0 ? rate : RATE_BYTES_S);
    return from->line_free_ns;
}

/* ---- packets */

/* One bad second of a radio link or a full switch: packets are lost together. */
static bool is_in_burst(struct sim *sim, struct node *to)
{
    uint32_t ppm = sim->weather[SIM_BURST];

    if (ppm > 0 && rc_random_chance(&sim->network, ppm)) {
        to->deaf_until_ns = sim->now_ns + BURST_MS * SIM_MS;
    }
    return sim->now_ns < to->deaf_until_ns;
}

static void send_copy(struct sim *sim, struct node *from, struct node *to,
                      const struct gossip_action *action)
{
    uint64_t at_ns = net_sent_ns(sim, from, action->size) + net_delay_ns(sim);
    bool is_lost = rc_random_chance(&sim->network, sim->weather[SIM_LOSS]) != 0;

    if (rc_random_chance(&sim->network, sim->weather[SIM_REORDER])) {
        at_ns += 9 * (at_ns - sim->now_ns);
    }
    bool is_late = from->line_free_ns > sim->now_ns + LINE_QUEUE_MS * SIM_MS;
    if (is_lost || is_late || is_in_burst(sim, to) ||
        !net_reaches(sim, from, to, NET_PACKET)) {
        return;
    }
    struct event *event = queue_event(EVENT_PACKET, action->bytes, action->size);
    if (action->size > 0 && rc_random_chance(&sim->network, sim->weather[SIM_CORRUPT])) {
        uint64_t bit = rc_random_below(&sim->network, 8 * action->size);
        event->bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    event->node = to->number;
    event->life = to->life;
    event->from = from->traits[SIM_NAT] ? from->outside : from->address;
    queue_push(&sim->queue, at_ns, event);
}

/* Behind a router only answers to its outside address arrive. */
static bool is_hidden(const struct node *to, const struct rc_address *address)
{
    return to->traits[SIM_NAT] && !rc_address_equals(address, &to->outside);
}

void net_packet(struct sim *sim, struct node *from, const struct gossip_action *action)
{
    struct node *to = net_host(sim, &action->address);

    sim->measure.packets++;
    sim->measure.packet_bytes += action->size;
    from->sent_bytes += action->size;
    if (action->size > PACKET_MAX) {
        sim_fail(sim, "%s sends a packet of %zu bytes", from->name, action->size);
    }
    if (to == NULL || is_hidden(to, &action->address)) {
        return;
    }
    send_copy(sim, from, to, action);
    if (rc_random_chance(&sim->network, sim->weather[SIM_DUPLICATE])) {
        send_copy(sim, from, to, action);
    }
}
