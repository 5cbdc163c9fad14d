/* probe.c - asking members whether they live, one after the other. */
#include "agent/gossip/probe.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/gossip/carrier.h"
#include "agent/gossip/stream.h"
#include "agent/gossip/swim.h"
#include "base/err.h"

/* From these protocol versions on a member understands ... */
enum { TCP_PING_PROTOCOL = 3, NACK_PROTOCOL = 4 };
enum { COORDINATE_VERSION = 1, INDIRECT_MAX = 8 };

void probe_start(struct gossip *g)
{
    g->probe.round.kind = DEADLINE_PROBE_ROUND;
    g->probe.timeout.kind = DEADLINE_PROBE_TIMEOUT;
    g->probe.end.kind = DEADLINE_PROBE_END;
    g->next_seq = (uint32_t)rc_random_next(&g->random);
    gossip_arm(g, &g->probe.round,
               rc_random_below(&g->random, g->profile->probe_every_ms));
}

void probe_fini(struct gossip *g)
{
    free(g->probe.relays);
    g->probe.relays = NULL;
}

void probe_abandon(struct gossip *g)
{
    deadline_clear(&g->deadlines, &g->probe.timeout);
    deadline_clear(&g->deadlines, &g->probe.end);
    g->probe.target = NULL;
}

void probe_forget(struct gossip *g, const struct member *member)
{
    struct probe *probe = &g->probe;
    size_t kept = 0;

    if (probe->target == member) {
        probe_abandon(g);
    }
    for (size_t i = 0; i < probe->urgent_count; i++) {
        if (probe->urgent[i] != member) {
            probe->urgent[kept++] = probe->urgent[i];
        }
    }
    probe->urgent_count = kept;
}

void probe_soon(struct gossip *g, struct member *member)
{
    struct probe *probe = &g->probe;

    if (!member->was_hurried && probe->urgent_count < PROBE_URGENT_MAX) {
        probe->urgent[probe->urgent_count++] = member;
        member->was_hurried = true;
    }
}

/* ---- Our own rounds. */

static struct member *take_urgent(struct probe *probe)
{
    while (probe->urgent_count > 0) {
        struct member *member = probe->urgent[0];
        probe->urgent_count--;
        memmove(&probe->urgent[0], &probe->urgent[1],
                probe->urgent_count * sizeof(struct member *));
        if (member->swim == SWIM_SUSPECT) {
            return member;
        }
    }
    return NULL;
}

/* Round robin over a list that is shuffled after each pass, so every member is probed
 * within a bounded time (SWIM section 4.3). */
static struct member *next_target(struct gossip *g)
{
    struct probe *probe = &g->probe;
    struct member *urgent = take_urgent(probe);
    size_t tries = g->roster.list_count;

    if (urgent != NULL) {
        return urgent;
    }
    while (tries > 0) {
        if (probe->next >= g->roster.list_count) {
            swim_purge(g);
            roster_shuffle(&g->roster, &g->random);
            probe->next = 0;
            if (tries > g->roster.list_count) {
                tries = g->roster.list_count;
            }
        }
        struct member *member = g->roster.list[probe->next++];
        if (member != g->self &&
            (member->swim == SWIM_ALIVE || member->swim == SWIM_SUSPECT)) {
            return member;
        }
        tries--;
    }
    return NULL;
}

void probe_write_ping(struct gossip *g, uint32_t seq, struct rc_pack_bytes node)
{
    const struct rc_address *own = &g->self->view.address;
    const struct wire_ping ping = {
        .seq = seq,
        .node = node,
        .source_address = gossip_ip_bytes(own),
        .source_port = own->port,
        .source_node = gossip_own_name(g),
    };
    rc_buffer_clear(&g->message);
    wire_write_typed(WIRE_PING, &wire_format_ping, &ping, &g->message);
}

static struct rc_pack_bytes written(const struct gossip *g)
{
    return (struct rc_pack_bytes){g->message.bytes, g->message.size};
}

/* The buddy system (Lifeguard section IV-C): a suspect hears of it in the probe itself. */
static void send_ping_and_suspicion(struct gossip *g, const struct member *target)
{
    const struct carrier_to to = {&target->view.address, target, CARRIER_CHECKED};
    const struct wire_accusation suspect = {
        .incarnation = target->view.incarnation,
        .node = rc_pack_text(target->name),
        .from = gossip_own_name(g),
    };
    size_t ping_size = g->message.size;

    wire_write_typed(WIRE_SUSPECT, &wire_format_accusation, &suspect, &g->message);
    if (g->message.err != RC_OK) {
        return;
    }
    const struct rc_pack_bytes messages[2] = {
        {g->message.bytes, ping_size},
        {g->message.bytes + ping_size, g->message.size - ping_size},
    };
    (void)carrier_send(g, &to, messages, 2);
}

static void begin(struct gossip *g, struct member *target)
{
    struct probe *probe = &g->probe;
    const struct carrier_to to = {&target->view.address, target, CARRIER_PIGGYBACK};
    uint64_t wait_ms = (uint64_t)g->profile->probe_every_ms * (g->health + 1);

    probe->target = target;
    probe->started_ns = g->now_ns;
    probe->seq = g->next_seq++;
    probe->nacks_wanted = 0;
    probe->nacks = 0;
    probe->tcp_answered = false;
    g->counters.probes++;
    gossip_arm(g, &probe->timeout, g->profile->probe_timeout_ms);
    gossip_arm(g, &probe->end, wait_ms);
    probe_write_ping(g, probe->seq, rc_pack_text(target->name));
    if (target->swim == SWIM_SUSPECT) {
        send_ping_and_suspicion(g, target);
    } else {
        struct rc_pack_bytes ping = written(g);
        (void)carrier_send(g, &to, &ping, 1);
    }
}

void probe_round(struct gossip *g)
{
    gossip_arm(g, &g->probe.round, g->profile->probe_every_ms);
    if (g->probe.target != NULL) {
        return; /* a round still running swallows the tick */
    }
    struct member *target = next_target(g);
    if (target != NULL) {
        begin(g, target);
    }
}

static bool wants_indirect(const struct member *member, const struct gossip *g)
{
    return member->swim == SWIM_ALIVE && member != g->self && member != g->probe.target;
}

static void ask(struct gossip *g, const struct member *helper)
{
    const struct member *target = g->probe.target;
    const struct rc_address *own = &g->self->view.address;
    const struct carrier_to to = {&helper->view.address, helper, CARRIER_PIGGYBACK};
    const struct wire_indirect_ping ping = {
        .seq = g->probe.seq,
        .target = gossip_ip_bytes(&target->view.address),
        .port = target->view.address.port,
        .node = rc_pack_text(target->name),
        .nack = helper->view.versions[1] >= NACK_PROTOCOL,
        .source_address = gossip_ip_bytes(own),
        .source_port = own->port,
        .source_node = gossip_own_name(g),
    };

    g->probe.nacks_wanted += ping.nack;
    rc_buffer_clear(&g->message);
    wire_write_typed(WIRE_INDIRECT_PING, &wire_format_indirect_ping, &ping, &g->message);
    struct rc_pack_bytes message = written(g);
    (void)carrier_send(g, &to, &message, 1);
}

void probe_timeout(struct gossip *g)
{
    struct member *helpers[INDIRECT_MAX];
    struct probe *probe = &g->probe;
    size_t max = g->profile->indirect_checks;

    assert(probe->target != NULL);
    g->counters.probes_indirect++;
    size_t count = roster_pick(&g->roster, &g->random, wants_indirect, g, helpers,
                               max < INDIRECT_MAX ? max : INDIRECT_MAX);
    for (size_t i = 0; i < count; i++) {
        ask(g, helpers[i]);
    }
    if (probe->target->view.versions[1] >= TCP_PING_PROTOCOL) {
        probe_write_ping(g, probe->seq, rc_pack_text(probe->target->name));
        stream_ping(g, probe->target, probe->seq, probe->end.at_ns);
    }
}

static void succeed(struct gossip *g)
{
    swim_health_add(g, -1);
    probe_abandon(g);
}

/* Once is loss, twice running is a firewall; it is told once until UDP works again. */
static void tell_tcp_only(struct gossip *g, struct member *target)
{
    if (target->view.tcp_only && !target->is_tcp_only_told) {
        target->is_tcp_only_told = true;
        gossip_tell(g, &(struct gossip_action){.type = GOSSIP_TCP_ONLY,
                                               .address = target->view.address,
                                               .member = &target->view,
                                               .status = target->view.status});
    }
    target->view.tcp_only = true;
}

void probe_end(struct gossip *g)
{
    struct probe *probe = &g->probe;
    struct member *target = probe->target;

    assert(target != NULL);
    if (probe->tcp_answered) {
        g->counters.probes_by_tcp++;
        tell_tcp_only(g, target);
        succeed(g);
        return;
    }
    /* Helpers that could not even say no point at us (Lifeguard section IV-A). */
    swim_health_add(g, probe->nacks_wanted > 0 ? (int)(probe->nacks_wanted - probe->nacks)
                                               : 1);
    g->counters.probes_failed++;
    probe_abandon(g);
    swim_accuse(g, target);
}

void probe_on_tcp_ack(struct gossip *g, uint32_t seq)
{
    if (g->probe.target != NULL && g->probe.seq == seq) {
        g->probe.tcp_answered = true;
    }
}

void probe_on_nack(struct gossip *g, uint32_t seq)
{
    struct probe *probe = &g->probe;

    if (probe->target == NULL || probe->seq != seq ||
        probe->nacks >= probe->nacks_wanted) {
        gossip_refuse(g, GOSSIP_REFUSED_STALE);
        return;
    }
    probe->nacks++;
}

/* ---- Coordinates in acks. */

static bool read_coordinate(const struct wire_coordinate *wire,
                            struct gossip_coordinate *out)
{
    struct rc_cursor in = rc_cursor_over(wire->raw_vec.at, wire->raw_vec.size);

    *out = (struct gossip_coordinate){
        .error = wire->error, .adjustment = wire->adjustment, .height = wire->height};
    if (rc_pack_read_array(&in) != COORDINATE_DIMENSIONS) {
        return false;
    }
    for (size_t i = 0; i < COORDINATE_DIMENSIONS; i++) {
        out->vec[i] = rc_pack_read_double(&in);
    }
    return in.err == RC_OK && coordinate_is_valid(out);
}

static void learn_coordinate(struct gossip *g, struct member *member,
                             struct rc_pack_bytes payload, uint64_t rtt_ns)
{
    struct rc_cursor in = rc_cursor_over(payload.at, payload.size);
    struct gossip_coordinate theirs;
    struct wire_coordinate wire;

    if (rc_cursor_u8(&in) != COORDINATE_VERSION ||
        wire_read(&wire_format_coordinate, &in, &wire) != RC_OK) {
        gossip_refuse(g, GOSSIP_REFUSED_MALFORMED);
        return;
    }
    if (wire.summary.size == GOSSIP_SUMMARY_SIZE && g->lane.peer_summary != NULL) {
        g->lane.peer_summary(g->lane.ctx, gossip_now_ms(g), member->name,
                             wire.summary.at);
    }
    if (!read_coordinate(&wire, &theirs)) {
        return;
    }
    if (member->distance == NULL) {
        member->distance = calloc(1, sizeof *member->distance);
    }
    if (member->distance != NULL) {
        coordinate_update(&g->coordinate, member->distance, &theirs, (double)rtt_ns / 1e9,
                          &g->random);
    }
}

void probe_on_ack(struct gossip *g, const struct wire_ack *ack)
{
    struct member *target = g->probe.target;

    if (target == NULL || ack->seq != g->probe.seq) {
        probe_relay_ack(g, ack->seq);
        return;
    }
    uint64_t rtt_ns = g->now_ns - g->probe.started_ns;
    target->view.tcp_only = false;
    target->is_tcp_only_told = false;
    succeed(g);
    if (ack->payload.size > 0) { /* relayed acks have none */
        learn_coordinate(g, target, ack->payload, rtt_ns);
    }
}
