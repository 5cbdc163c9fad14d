/* The virtual network: packets that may be late, lost or doubled, streams that are in
 * order or cut, and the heap of all that is on its way. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tests/sim/sim_state.h"

/* Linux' first retransmission of a SYN, and of data on a fast link. */
enum { CONNECT_AGAIN_MS = 1000, SEND_AGAIN_MS = 200 };

/* ---- the heap */

static bool is_before(const struct event *a, const struct event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void swap(struct event *a, struct event *b)
{
    struct event kept = *a;

    *a = *b;
    *b = kept;
}

void net_push(struct sim *sim, const struct event *event)
{
    if (sim->event_count == sim->events_capacity) {
        sim->events_capacity = sim->events_capacity == 0 ? 256 : 2 * sim->events_capacity;
        sim->events =
            sim_memory(realloc(sim->events, sim->events_capacity * sizeof *sim->events));
    }
    size_t place = sim->event_count++;
    sim->events[place] = *event;
    sim->events[place].order = sim->order++;
    while (place > 0 && is_before(&sim->events[place], &sim->events[(place - 1) / 2])) {
        swap(&sim->events[place], &sim->events[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
}

bool net_pop(struct sim *sim, uint64_t until_ns, struct event *out)
{
    if (sim->event_count == 0 || sim->events[0].at_ns > until_ns) {
        return false;
    }
    *out = sim->events[0];
    sim->events[0] = sim->events[--sim->event_count];
    size_t place = 0;
    for (;;) {
        size_t least = place;
        for (size_t child = 2 * place + 1; child <= 2 * place + 2; child++) {
            if (child < sim->event_count &&
                is_before(&sim->events[child], &sim->events[least])) {
                least = child;
            }
        }
        if (least == place) {
            return true;
        }
        swap(&sim->events[place], &sim->events[least]);
        place = least;
    }
}

/* ---- packets */

size_t net_node_at(const struct sim *sim, const struct rc_address *address)
{
    for (size_t i = 0; i < sim->node_count; i++) {
        if (rc_address_equals(&sim->nodes[i].address, address)) {
            return i;
        }
    }
    return SIZE_MAX;
}

bool net_reaches(const struct sim *sim, size_t from, size_t to)
{
    return to != SIZE_MAX && sim->nodes[from].group == sim->nodes[to].group;
}

static uint64_t delay_ns(struct sim *sim)
{
    uint64_t spread = sim->options.delay_max_us - sim->options.delay_min_us + 1;

    return 1000 * (sim->options.delay_min_us + rc_random_below(&sim->network, spread));
}

static uint8_t *copy_of(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = sim_memory(malloc(size + 1));

    memcpy(copy, bytes, size);
    return copy;
}

void net_packet(struct sim *sim, size_t from, const struct gossip_action *action)
{
    size_t to = net_node_at(sim, &action->address);
    int copies = 1;

    if (rc_random_chance(&sim->network, sim->options.duplicate_ppm)) {
        copies = 2;
    }
    for (int i = 0; i < copies; i++) {
        uint64_t at_ns = sim->now_ns + delay_ns(sim);
        bool lost = rc_random_chance(&sim->network, sim->options.loss_ppm);
        if (lost || !net_reaches(sim, from, to)) {
            continue;
        }
        struct event event = {.at_ns = at_ns,
                              .type = EVENT_PACKET,
                              .node = to,
                              .life = sim->nodes[to].life,
                              .from = sim->nodes[from].address,
                              .bytes = copy_of(action->bytes, action->size),
                              .size = action->size};
        net_push(sim, &event);
    }
}

/* ---- streams */

static size_t find_line(const struct sim *sim, size_t node, uint32_t id, unsigned *end)
{
    for (size_t i = sim->line_count; i-- > 0;) {
        for (unsigned e = 0; e < 2; e++) {
            const struct line *line = &sim->lines[i];
            if (line->node[e] == node && line->id[e] == id &&
                line->life[e] == sim->nodes[node].life) {
                *end = e;
                return i;
            }
        }
    }
    return SIZE_MAX;
}

/* Lines are never used again: events on their way name them by place. */
static size_t add_line(struct sim *sim, const struct line *line)
{
    if (sim->line_count == sim->lines_capacity) {
        sim->lines_capacity = sim->lines_capacity == 0 ? 64 : 2 * sim->lines_capacity;
        sim->lines =
            sim_memory(realloc(sim->lines, sim->lines_capacity * sizeof *sim->lines));
    }
    sim->lines[sim->line_count] = *line;
    return sim->line_count++;
}

/* Sends something along a line: it arrives after all that was sent before. */
static void along(struct sim *sim, size_t place, unsigned end, struct event *event)
{
    struct line *line = &sim->lines[place];
    uint64_t at_ns = sim->now_ns + delay_ns(sim) + 10 * event->size; /* 100 MB/s */
    uint64_t again_ms = event->type == EVENT_CONNECT ? CONNECT_AGAIN_MS : SEND_AGAIN_MS;

    while (sim->options.loss_ppm > 0 &&
           rc_random_chance(&sim->network, sim->options.loss_ppm)) {
        at_ns += again_ms * SIM_MS; /* TCP loses nothing, but it takes its time */
    }
    if (at_ns < line->last_ns[end]) {
        at_ns = line->last_ns[end];
    }
    line->last_ns[end] = at_ns;
    event->at_ns = at_ns;
    event->line = place;
    event->end = end;
    event->node = line->node[end];
    event->life = line->life[end];
    net_push(sim, event);
}

void net_open(struct sim *sim, size_t from, const struct gossip_action *action)
{
    size_t to = net_node_at(sim, &action->address);
    struct line line = {.node = {from, to},
                        .life = {sim->nodes[from].life, 0},
                        .id = {action->stream, 0}};

    if (to == SIZE_MAX) {
        return; /* no such host: connecting takes for ever, gossip gives up */
    }
    line.life[1] = sim->nodes[to].life;
    size_t place = add_line(sim, &line);
    struct event event = {.type = EVENT_CONNECT, .from = sim->nodes[from].address};
    along(sim, place, 1, &event);
}

void net_send(struct sim *sim, size_t from, const struct gossip_action *action)
{
    unsigned end = 0;
    size_t place = find_line(sim, from, action->stream, &end);

    if (place == SIZE_MAX) {
        return;
    }
    struct event event = {.type = EVENT_DATA,
                          .bytes = copy_of(action->bytes, action->size),
                          .size = action->size};
    along(sim, place, 1 - end, &event);
}

void net_close(struct sim *sim, size_t from, uint32_t stream)
{
    unsigned end = 0;
    size_t place = find_line(sim, from, stream, &end);

    if (place == SIZE_MAX) {
        return;
    }
    struct event event = {.type = EVENT_CLOSED};
    along(sim, place, 1 - end, &event);
    sim->lines[place].id[end] = 0;
}

void net_cut(struct sim *sim, size_t place)
{
    for (unsigned end = 0; end < 2; end++) {
        struct event event = {.type = EVENT_CLOSED};
        along(sim, place, end, &event);
    }
}

void net_reset_all(struct sim *sim, size_t node)
{
    for (size_t i = 0; i < sim->line_count; i++) {
        struct line *line = &sim->lines[i];
        if (line->node[0] == node || line->node[1] == node) {
            line->life[0] = 0; /* a host without power answers nothing */
            line->life[1] = 0;
        }
    }
}
