/* sim_line.c - streams: in order and without loss, but refused, torn or cut. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tests/sim/sim_state.h"

enum { PIECE = 16 * 1024, CUT_RESETS_PPM = 500000 };

/* Linux' first retransmission of a SYN, and of data on a fast link. */
enum { CONNECT_AGAIN_MS = 1000, SEND_AGAIN_MS = 200, TRIES_MAX = 10 };

/* ---- lines and who knows them by which id */

static int32_t add_line(struct sim *sim)
{
    int32_t place = sim->free_line;

    if (place != NO_LINE) {
        sim->free_line = sim->lines[place].next_free;
    } else {
        if (sim->line_count == sim->lines_capacity) {
            sim->lines_capacity = sim->lines_capacity == 0 ? 64 : 2 * sim->lines_capacity;
            sim->lines = sim_memory(
                realloc(sim->lines, (size_t)sim->lines_capacity * sizeof *sim->lines));
        }
        place = sim->line_count++;
    }
    sim->lines[place] = (struct line){.next_free = NO_LINE};
    return place;
}

static void free_if_over(struct sim *sim, int32_t place)
{
    struct line *line = &sim->lines[place];

    if (line->pending == 0 && line->id[0] == 0 && line->id[1] == 0) {
        line->next_free = sim->free_line;
        sim->free_line = place;
    }
}

static void attach(struct node *node, uint32_t id, int32_t place)
{
    if (node->open_count == node->open_capacity) {
        node->open_capacity = node->open_capacity == 0 ? 4 : 2 * node->open_capacity;
        node->open =
            sim_memory(realloc(node->open, node->open_capacity * sizeof *node->open));
    }
    node->open[node->open_count++] = (struct open_line){id, place};
}

/* A node has few streams open at once (gossip allows 256). */
static int32_t find_line(const struct node *node, uint32_t id)
{
    for (size_t i = node->open_count; i-- > 0;) {
        if (node->open[i].id == id) {
            return node->open[i].line;
        }
    }
    return NO_LINE;
}

static unsigned end_of(const struct sim *sim, int32_t place, const struct node *node,
                       uint32_t id)
{
    const struct line *line = &sim->lines[place];

    return line->node[0] == node->number && line->id[0] == id ? 0 : 1;
}

/* The node knows the stream no more. */
static void detach(struct sim *sim, struct node *node, int32_t place, unsigned end)
{
    struct line *line = &sim->lines[place];

    for (size_t i = 0; i < node->open_count; i++) {
        if (node->open[i].line == place && node->open[i].id == line->id[end]) {
            node->open[i] = node->open[--node->open_count];
            break;
        }
    }
    line->id[end] = 0;
}

/* ---- sending */

/* Sends something along a line: it arrives after all that was sent before. */
static void along(struct sim *sim, int32_t place, unsigned end, struct event *event)
{
    struct line *line = &sim->lines[place];
    struct node *from = sim->nodes[line->node[1 - end]];
    uint64_t at_ns = net_sent_ns(sim, from, event->size) + net_delay_ns(sim);

    uint64_t again_ms = event->type == EVENT_CONNECT ? CONNECT_AGAIN_MS : SEND_AGAIN_MS;
    for (int tries = 1; tries < TRIES_MAX; tries++) {
        if (!rc_random_chance(&sim->network, sim->weather[SIM_LOSS])) {
            break;
        }
        at_ns += again_ms * SIM_MS; /* TCP loses nothing, but it takes its time */
    }
    if (at_ns < line->last_ns[end]) {
        at_ns = line->last_ns[end];
    }
    line->last_ns[end] = at_ns;
    line->pending++;
    event->line = place;
    event->end = end;
    event->node = line->node[end];
    event->life = line->life[end];
    queue_push(&sim->queue, at_ns, event);
}

/* Both ends see it closed. */
static void reset(struct sim *sim, int32_t place)
{
    for (unsigned end = 0; end < 2; end++) {
        along(sim, place, end, queue_event(EVENT_CLOSED, NULL, 0));
    }
}

void line_open(struct sim *sim, struct node *from, const struct gossip_action *action)
{
    struct node *to = net_host(sim, &action->address);

    sim->measure.streams++;
    if (to == NULL || to->traits[SIM_NAT]) {
        return; /* no such host: connecting takes for ever, gossip gives up */
    }
    int32_t place = add_line(sim);
    struct line *line = &sim->lines[place];
    line->node[0] = from->number;
    line->node[1] = to->number;
    line->life[0] = from->life;
    line->life[1] = to->life;
    line->id[0] = action->stream;
    attach(from, action->stream, place);
    struct event *event = queue_event(EVENT_CONNECT, NULL, 0);
    event->from = from->traits[SIM_NAT] ? from->outside : from->address;
    along(sim, place, 1, event);
}

void line_send(struct sim *sim, struct node *from, const struct gossip_action *action)
{
    int32_t place = find_line(from, action->stream);

    sim->measure.stream_bytes += action->size;
    if (place == NO_LINE) {
        return;
    }
    unsigned end = end_of(sim, place, from, action->stream);
    for (size_t sent = 0; sent < action->size;) {
        size_t left = action->size - sent;
        size_t piece = left < PIECE ? left : PIECE;
        along(sim, place, 1 - end, queue_event(EVENT_DATA, action->bytes + sent, piece));
        sent += piece;
    }
}

void line_close(struct sim *sim, struct node *from, uint32_t id)
{
    int32_t place = find_line(from, id);

    if (place == NO_LINE) {
        return;
    }
    unsigned end = end_of(sim, place, from, id);
    detach(sim, from, place, end);
    along(sim, place, 1 - end, queue_event(EVENT_CLOSED, NULL, 0));
}

/* ---- arriving */

static bool both_ways(const struct sim *sim, const struct line *line)
{
    const struct node *a = sim->nodes[line->node[0]];
    const struct node *b = sim->nodes[line->node[1]];

    return net_reaches(sim, a, b, NET_STREAM) && net_reaches(sim, b, a, NET_STREAM);
}

static bool is_known(const struct sim *sim, const struct line *line, unsigned end)
{
    const struct node *node = sim->nodes[line->node[end]];

    return line->id[end] != 0 && node->gossip != NULL && node->life == line->life[end];
}

void line_connected(struct sim *sim, struct node *node, const struct event *event)
{
    struct line *line = &sim->lines[event->line];
    uint32_t id = 0;
    bool is_dead = node->gossip == NULL || node->life != line->life[1];

    if (!both_ways(sim, line) || (is_dead && !node->host_is_up)) {
        return; /* nobody answers */
    }
    if (is_dead || node->traits[SIM_REFUSES] ||
        gossip_stream_accepted(node->gossip, node_clock_ns(sim, node), &event->from,
                               &id) != RC_OK) {
        along(sim, event->line, 0, queue_event(EVENT_CLOSED, NULL, 0));
        return;
    }
    line->id[1] = id;
    attach(node, id, event->line);
}

/* The stream breaks while bytes are under way: half of them still come. */
static void tear(struct sim *sim, struct node *node, const struct event *event)
{
    uint32_t id = sim->lines[event->line].id[event->end];

    gossip_stream_data(node->gossip, node_clock_ns(sim, node), id, event->bytes,
                       event->size / 2);
    reset(sim, event->line);
}

void line_arrived(struct sim *sim, struct node *node, const struct event *event)
{
    struct line *line = &sim->lines[event->line];
    uint32_t id = line->id[event->end];
    uint64_t now_ns = node_clock_ns(sim, node);

    if (!is_known(sim, line, event->end)) {
        return;
    }
    if (event->type == EVENT_CLOSED) {
        detach(sim, node, event->line, event->end);
        gossip_stream_closed(node->gossip, now_ns, id);
    } else if (!both_ways(sim, line)) {
        if (rc_random_chance(&sim->network, CUT_RESETS_PPM)) {
            reset(sim, event->line); /* else both wait in vain */
        }
    } else if (rc_random_chance(&sim->network, sim->weather[SIM_TEAR])) {
        tear(sim, node, event);
    } else {
        gossip_stream_data(node->gossip, now_ns, id, event->bytes, event->size);
    }
}

void line_event_done(struct sim *sim, const struct event *event)
{
    if (event->line != NO_LINE) {
        sim->lines[event->line].pending--;
        free_if_over(sim, event->line);
    }
}

void line_drop_all(struct sim *sim, struct node *node, enum line_end how)
{
    while (node->open_count > 0) {
        struct open_line it = node->open[node->open_count - 1];
        unsigned end = end_of(sim, it.line, node, it.id);
        detach(sim, node, it.line, end);
        if (how == LINE_RESET) {
            along(sim, it.line, 1 - end, queue_event(EVENT_CLOSED, NULL, 0));
        } else {
            free_if_over(sim, it.line);
        }
    }
}
