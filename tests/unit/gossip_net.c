/* gossip_net.c - a few gossip cores on a virtual network with a virtual clock. */
#include "tests/unit/gossip_net.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

enum {
    NS_IN_MS = 1000000,
    DELAY_MIN_US = 100,
    DELAY_SPREAD_US = 900,
    TCP_RETRY_MS = 200,
    PIPES_MAX = 4096
};

enum flight_kind { FLIGHT_PACKET, FLIGHT_OPEN, FLIGHT_DATA, FLIGHT_CLOSE };

struct net_flight {
    uint64_t at_ns;
    uint64_t order;
    enum flight_kind kind;
    size_t from;
    size_t to;
    size_t pipe;
    size_t size;
    uint8_t *bytes;
};

/* A stream: each end has its own id in its own core. */
struct net_pipe {
    size_t nodes[2];
    uint32_t ids[2];
    uint64_t last_ns[2]; /* what was sent later arrives later */
    bool is_open;
};

struct net *net_create(uint64_t seed)
{
    struct net *net = calloc(1, sizeof *net);

    assert(net != NULL);
    net->now_ns = (uint64_t)1000 * NS_IN_MS;
    rc_random_init(&net->random, seed);
    net->pipes = calloc(PIPES_MAX, sizeof *net->pipes);
    assert(net->pipes != NULL);
    return net;
}

void net_destroy(struct net *net)
{
    for (size_t i = 0; i < net->count; i++) {
        gossip_destroy(net->nodes[i].gossip);
    }
    for (size_t i = 0; i < net->flight_count; i++) {
        free(net->flights[i].bytes);
    }
    free(net->flights);
    free(net->pipes);
    free(net);
}

uint64_t net_now_ms(const struct net *net)
{
    return net->now_ns / NS_IN_MS;
}

static uint64_t delay_ns(struct net *net)
{
    return (DELAY_MIN_US + rc_random_below(&net->random, DELAY_SPREAD_US)) * 1000;
}

static void fly(struct net *net, struct net_flight flight, const uint8_t *bytes)
{
    if (net->flight_count == net->flight_capacity) {
        net->flight_capacity = net->flight_capacity > 0 ? 2 * net->flight_capacity : 64;
        net->flights = realloc(net->flights, net->flight_capacity * sizeof *net->flights);
        assert(net->flights != NULL);
    }
    flight.order = net->next_order++;
    flight.bytes = malloc(flight.size > 0 ? flight.size : 1);
    assert(flight.bytes != NULL);
    if (flight.size > 0) {
        memcpy(flight.bytes, bytes, flight.size);
    }
    net->flights[net->flight_count++] = flight;
}

static size_t node_at(const struct net *net, const struct rc_address *address)
{
    for (size_t i = 0; i < net->count; i++) {
        if (rc_address_equals(&net->nodes[i].address, address)) {
            return i;
        }
    }
    return SIZE_MAX;
}

static bool is_cut(const struct net *net, size_t a, size_t b)
{
    return (net->nodes[a].cut >> b & 1) != 0 || (net->nodes[b].cut >> a & 1) != 0;
}

static void send_packet(struct net *net, size_t from, const struct gossip_action *action)
{
    size_t to = node_at(net, &action->address);

    if (to == SIZE_MAX || is_cut(net, from, to) || net->nodes[from].is_udp_cut ||
        net->nodes[to].is_udp_cut || rc_random_chance(&net->random, net->loss_ppm)) {
        return;
    }
    fly(net,
        (struct net_flight){.at_ns = net->now_ns + delay_ns(net),
                            .kind = FLIGHT_PACKET,
                            .from = from,
                            .to = to,
                            .size = action->size},
        action->bytes);
}

/* In order and without loss, but a lost segment costs a retransmission's time. */
static void send_pipe(struct net *net, size_t pipe, size_t end, struct net_flight flight,
                      const uint8_t *bytes)
{
    struct net_pipe *p = &net->pipes[pipe];
    uint64_t at_ns = net->now_ns + delay_ns(net);

    while (rc_random_chance(&net->random, net->loss_ppm)) {
        at_ns += (uint64_t)TCP_RETRY_MS * NS_IN_MS;
    }
    if (at_ns <= p->last_ns[end]) {
        at_ns = p->last_ns[end] + 1;
    }
    p->last_ns[end] = at_ns;
    flight.at_ns = at_ns;
    flight.from = p->nodes[end];
    flight.to = p->nodes[1 - end];
    flight.pipe = pipe;
    fly(net, flight, bytes);
}

static void open_pipe(struct net *net, size_t from, const struct gossip_action *action)
{
    size_t to = node_at(net, &action->address);

    if (to == SIZE_MAX) {
        gossip_stream_closed(net->nodes[from].gossip, net->now_ns, action->stream);
        return;
    }
    assert(net->pipe_count < PIPES_MAX);
    size_t pipe = net->pipe_count++;
    net->pipes[pipe] = (struct net_pipe){
        .nodes = {from, to}, .ids = {action->stream, 0}, .is_open = true};
    send_pipe(net, pipe, 0, (struct net_flight){.kind = FLIGHT_OPEN}, NULL);
}

static struct net_pipe *find_pipe(struct net *net, size_t node, uint32_t id, size_t *end)
{
    for (size_t i = 0; i < net->pipe_count; i++) {
        struct net_pipe *p = &net->pipes[i];
        for (size_t k = 0; k < 2; k++) {
            if (p->is_open && p->nodes[k] == node && p->ids[k] == id) {
                *end = k;
                return p;
            }
        }
    }
    return NULL;
}

static void on_pipe(struct net *net, size_t node, const struct gossip_action *action)
{
    size_t end;
    struct net_pipe *p = find_pipe(net, node, action->stream, &end);

    if (p == NULL) {
        return;
    }
    bool is_close = action->type == GOSSIP_STREAM_CLOSE;
    struct net_flight flight = {.kind = is_close ? FLIGHT_CLOSE : FLIGHT_DATA,
                                .size = is_close ? 0 : action->size};
    send_pipe(net, (size_t)(p - net->pipes), end, flight, action->bytes);
    if (is_close) {
        p->ids[end] = 0;
    }
}

static void note(struct net *net, struct net_node *node,
                 const struct gossip_action *action)
{
    if (node->seen_count < NET_SEEN_MAX) {
        struct net_seen *seen = &node->seen[node->seen_count++];
        seen->at_ms = net_now_ms(net);
        seen->event = action->event;
        (void)snprintf(seen->member, sizeof seen->member, "%s",
                       action->member->said->name);
    }
}

void net_drain(struct net *net, size_t i)
{
    struct net_node *node = &net->nodes[i];
    struct gossip_action action;

    while (gossip_next_action(node->gossip, &action)) {
        bool is_network =
            action.type == GOSSIP_SEND_PACKET || action.type == GOSSIP_STREAM_OPEN ||
            action.type == GOSSIP_STREAM_SEND || action.type == GOSSIP_STREAM_CLOSE;
        if (net->watch != NULL && !is_network) {
            net->watch(net, i, &action);
        }
        switch (action.type) {
        case GOSSIP_SEND_PACKET:
            send_packet(net, i, &action);
            break;
        case GOSSIP_STREAM_OPEN:
            open_pipe(net, i, &action);
            break;
        case GOSSIP_STREAM_SEND:
        case GOSSIP_STREAM_CLOSE:
            on_pipe(net, i, &action);
            break;
        case GOSSIP_MEMBER_EVENT:
            note(net, node, &action);
            break;
        case GOSSIP_JOIN_RESULT:
            node->joins_done++;
            node->join_err = action.err;
            break;
        case GOSSIP_NAME_CONFLICT:
            node->conflicts++;
            break;
        case GOSSIP_REFUSED:
            node->refusals_told++;
            break;
        case GOSSIP_UNSEEN:
            node->unseen_told++;
            node->unseen_err = action.err;
            break;
        case GOSSIP_TCP_ONLY:
            node->tcp_only_told++;
            break;
        case GOSSIP_USER_EVENT:
            node->user_events++;
            break;
        case GOSSIP_LEFT_POOL:
            node->has_left = true;
            break;
        case GOSSIP_QUERY:
        case GOSSIP_QUERY_ACK:
        case GOSSIP_QUERY_RESPONSE:
        case GOSSIP_QUERY_DONE:
        case GOSSIP_NAME_LOST:
        case GOSSIP_ACTION_TYPE_COUNT:
            break;
        }
    }
}

static void tap(struct net *net, const struct net_flight *flight)
{
    bool is_packet = flight->kind == FLIGHT_PACKET;
    const struct net_bytes bytes = {
        .from = flight->from,
        .to = flight->to,
        .pipe = is_packet ? NET_PACKET : (long)flight->pipe,
        .is_answer = !is_packet && flight->to == net->pipes[flight->pipe].nodes[0],
        .at = flight->bytes,
        .size = flight->size,
    };

    if (net->tap != NULL && (is_packet || flight->kind == FLIGHT_DATA)) {
        net->tap(net, &bytes);
    }
}

static void arrive(struct net *net, const struct net_flight *flight)
{
    struct net_node *to = &net->nodes[flight->to];
    struct net_pipe *pipe = &net->pipes[flight->pipe];
    size_t end = flight->to == pipe->nodes[1] ? 1 : 0;

    if (to->gossip == NULL && net->hosts_refuse && flight->kind == FLIGHT_OPEN &&
        net->nodes[flight->from].gossip != NULL) {
        pipe->is_open = false;
        gossip_stream_closed(net->nodes[flight->from].gossip, net->now_ns, pipe->ids[0]);
        net_drain(net, flight->from);
        return;
    }
    if (to->gossip == NULL || to->is_deaf || is_cut(net, flight->from, flight->to)) {
        return;
    }
    tap(net, flight);
    switch (flight->kind) {
    case FLIGHT_PACKET:
        gossip_packet(to->gossip, net->now_ns, &net->nodes[flight->from].address,
                      flight->bytes, flight->size);
        break;
    case FLIGHT_OPEN:
        if (gossip_stream_accepted(to->gossip, net->now_ns,
                                   &net->nodes[flight->from].address,
                                   &pipe->ids[1]) != RC_OK) {
            pipe->is_open = false;
        }
        break;
    case FLIGHT_DATA:
        gossip_stream_data(to->gossip, net->now_ns, pipe->ids[end], flight->bytes,
                           flight->size);
        break;
    case FLIGHT_CLOSE:
        gossip_stream_closed(to->gossip, net->now_ns, pipe->ids[end]);
        pipe->is_open = false;
        break;
    }
    net_drain(net, flight->to);
}

static size_t next_flight(const struct net *net)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < net->flight_count; i++) {
        const struct net_flight *f = &net->flights[i];
        if (best == SIZE_MAX || f->at_ns < net->flights[best].at_ns ||
            (f->at_ns == net->flights[best].at_ns &&
             f->order < net->flights[best].order)) {
            best = i;
        }
    }
    return best;
}

static uint64_t due_ns(const struct net_node *node)
{
    uint64_t due = node->gossip == NULL ? UINT64_MAX : gossip_deadline(node->gossip);
    return due < node->paused_until_ns ? node->paused_until_ns : due;
}

static size_t next_node(const struct net *net)
{
    size_t best = 0;
    for (size_t i = 1; i < net->count; i++) {
        if (due_ns(&net->nodes[i]) < due_ns(&net->nodes[best])) {
            best = i;
        }
    }
    return best;
}

static void advance_to(struct net *net, uint64_t at_ns)
{
    if (at_ns > net->now_ns) {
        net->now_ns = at_ns;
    }
}

/* What reaches a paused node waits in its sockets. */
static void take_flight(struct net *net, size_t place)
{
    struct net_flight flight = net->flights[place];

    if (net->nodes[flight.to].paused_until_ns > flight.at_ns) {
        net->flights[place].at_ns = net->nodes[flight.to].paused_until_ns;
        return;
    }
    net->flights[place] = net->flights[--net->flight_count];
    advance_to(net, flight.at_ns);
    arrive(net, &flight);
    free(flight.bytes);
}

void net_run_ms(struct net *net, uint64_t ms)
{
    uint64_t end_ns = net->now_ns + ms * NS_IN_MS;

    for (;;) {
        size_t flight = next_flight(net);
        size_t node = next_node(net);
        uint64_t flight_ns = flight == SIZE_MAX ? UINT64_MAX : net->flights[flight].at_ns;
        uint64_t node_ns = due_ns(&net->nodes[node]);
        if (flight_ns > end_ns && node_ns > end_ns) {
            break;
        }
        if (flight_ns <= node_ns) {
            take_flight(net, flight);
        } else {
            advance_to(net, node_ns);
            gossip_tick(net->nodes[node].gossip, net->now_ns);
            net_drain(net, node);
        }
    }
    net->now_ns = end_ns;
}

static void start(struct net *net, size_t i, const struct gossip_options *given)
{
    static const struct gossip_tag tags[] = {{"rc", "1:1"}};
    struct gossip_options options =
        given != NULL ? *given : (struct gossip_options){.name = NULL};
    char name[32];

    (void)snprintf(name, sizeof name, "n%zu", i);
    if (options.name == NULL) {
        options.name = name;
    }
    if (options.profile == NULL) {
        options.profile = gossip_profile_find("fast");
    }
    if (options.tags == NULL) {
        options.tags = tags;
        options.tag_count = 1;
    }
    options.address = net->nodes[i].address;
    options.random_seed = rc_random_next(&net->random);
    int err = gossip_create(&options, net->now_ns, &net->nodes[i].gossip);
    assert(err == RC_OK);
    (void)err;
    net->nodes[i].has_left = false;
    net_drain(net, i);
}

size_t net_add(struct net *net, const struct gossip_options *options)
{
    assert(net->count < NET_NODES_MAX);
    size_t i = net->count++;
    net->nodes[i].address = (struct rc_address){
        .family = RC_ADDRESS_IPV4, .ip = {10, 0, 0, (uint8_t)(i + 1)}, .port = 7946};
    start(net, i, options);
    return i;
}

void net_kill(struct net *net, size_t i)
{
    gossip_destroy(net->nodes[i].gossip);
    net->nodes[i].gossip = NULL;
}

void net_restart(struct net *net, size_t i, const struct gossip_options *options)
{
    start(net, i, options);
}

void net_join(struct net *net, size_t i, size_t to)
{
    (void)gossip_join(net->nodes[i].gossip, net->now_ns, &net->nodes[to].address, 1);
    net_drain(net, i);
}

void net_pool(struct net *net, size_t count, const char *profile)
{
    const struct gossip_options options = {.profile = gossip_profile_find(profile)};

    for (size_t i = 0; i < count; i++) {
        (void)net_add(net, &options);
        if (i > 0) {
            net_join(net, i, 0);
        }
    }
    net_run_ms(net, 5000);
}

static void name_of(const struct net *net, size_t i, char space[32])
{
    if (net->nodes[i].gossip != NULL) {
        (void)snprintf(space, 32, "%s", gossip_self(net->nodes[i].gossip)->said->name);
    } else {
        (void)snprintf(space, 32, "n%zu", i);
    }
}

int net_status(const struct net *net, size_t i, size_t of)
{
    char name[32];

    name_of(net, of, name);
    const struct gossip_member *member = gossip_find(net->nodes[i].gossip, name);
    return member == NULL ? -1 : (int)member->status;
}

uint64_t net_told_ms(const struct net *net, size_t i, size_t of,
                     enum gossip_member_event event, uint64_t since_ms)
{
    const struct net_node *node = &net->nodes[i];
    char name[32];

    name_of(net, of, name);
    for (size_t k = 0; k < node->seen_count; k++) {
        if (node->seen[k].event == event && node->seen[k].at_ms >= since_ms &&
            strcmp(node->seen[k].member, name) == 0) {
            return node->seen[k].at_ms;
        }
    }
    return 0;
}
