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
enum { COORDINATE_VERSION = 1, INDIRECT_MAX = 8, TCP_TELL_EVERY_MS = 3600 * 1000 };

void probe_start(struct gossip *g)
{
    struct probe *probe = &g->probe;

    probe->round.kind = DEADLINE_PROBE_ROUND;
    for (size_t i = 0; i < PROBE_CALLS_MAX; i++) {
        probe->calls[i].timeout.kind = DEADLINE_PROBE_TIMEOUT;
        probe->calls[i].timeout.owner = &probe->calls[i];
        probe->calls[i].end.kind = DEADLINE_PROBE_END;
        probe->calls[i].end.owner = &probe->calls[i];
    }
    g->next_seq = (uint32_t)rc_random_next(&g->random);
    gossip_arm(g, &probe->round, rc_random_below(&g->random, g->profile->probe_every_ms));
}

void probe_fini(struct gossip *g)
{
    free(g->probe.relays);
    g->probe.relays = NULL;
}

/* ---- Calls. */

static void hang_up(struct gossip *g, struct probe_call *call)
{
    deadline_clear(&g->deadlines, &call->timeout);
    deadline_clear(&g->deadlines, &call->end);
    call->target = NULL;
}

void probe_abandon(struct gossip *g)
{
    for (size_t i = 0; i < PROBE_CALLS_MAX; i++) {
        hang_up(g, &g->probe.calls[i]);
    }
}

static struct probe_call *call_to(struct gossip *g, const struct member *member)
{
    for (size_t i = 0; i < PROBE_CALLS_MAX; i++) {
        if (g->probe.calls[i].target == member) {
            return &g->probe.calls[i];
        }
    }
    return NULL;
}

static struct probe_call *call_with(struct gossip *g, uint32_t seq)
{
    for (size_t i = 0; i < PROBE_CALLS_MAX; i++) {
        struct probe_call *call = &g->probe.calls[i];
        if (call->target != NULL && call->seq == seq) {
            return call;
        }
    }
    return NULL;
}

static struct probe_call *free_call(struct probe *probe, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        if (probe->calls[i].target == NULL) {
            return &probe->calls[i];
        }
    }
    return NULL;
}

void probe_forget(struct gossip *g, const struct member *member)
{
    struct probe_call *call = call_to(g, member);

    if (call != NULL) {
        hang_up(g, call);
    }
}

bool probe_is_deaf(const struct gossip *g)
{
    return g->probe.silent_rounds >= PROBE_SILENT_ROUNDS;
}

/* ---- Our own rounds. */

/* Round robin over a list that is shuffled after each pass, so every member is probed
 * within a bounded time (SWIM section 4.3). */
static struct member *next_target(struct gossip *g)
{
    struct probe *probe = &g->probe;
    size_t tries = g->roster.list_count;

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
        if (member != g->self && call_to(g, member) == NULL &&
            (member->swim == SWIM_ALIVE || member->swim == SWIM_SUSPECT)) {
            return member;
        }
        tries--;
    }
    return NULL;
}

void probe_write_ping(struct gossip *g, uint32_t seq, struct rc_pack_bytes node)
{
    const struct rc_address *own = &g->self->view.said->address;
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
    const struct carrier_to to = {&target->view.said->address, target, CARRIER_CHECKED};
    const struct wire_accusation suspect = {
        .incarnation = target->view.incarnation,
        .node = rc_pack_text(target->view.said->name),
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

static void begin(struct gossip *g, struct probe_call *call, struct member *target)
{
    const struct carrier_to to = {&target->view.said->address, target, CARRIER_PIGGYBACK};
    uint64_t wait_ms = (uint64_t)g->profile->probe_every_ms * (g->health + 1);

    call->target = target;
    call->started_ns = g->now_ns;
    call->seq = g->next_seq++;
    call->asked = 0;
    call->nacks_wanted = 0;
    call->nacks = 0;
    call->tcp_answered = false;
    call->tcp_failed = false;
    call->is_second_opinion = false;
    g->counters.probes++;
    gossip_arm(g, &call->timeout, g->profile->probe_timeout_ms);
    gossip_arm(g, &call->end, wait_ms);
    probe_write_ping(g, call->seq, rc_pack_text(target->view.said->name));
    if (target->swim == SWIM_SUSPECT) {
        send_ping_and_suspicion(g, target);
    } else {
        struct rc_pack_bytes ping = written(g);
        (void)carrier_send(g, &to, &ping, 1);
    }
}

/* In memberlist a round that is still running swallows the tick. Ours overlap: with several
 * members dead at once, waiting for one after the other would cost a period each, and doubtful
 * health makes those long. */
void probe_round(struct gossip *g)
{
    struct probe *probe = &g->probe;

    gossip_arm(g, &probe->round, g->profile->probe_every_ms);
    struct probe_call *call = free_call(probe, 0, PROBE_ROUNDS_MAX);
    struct member *target = call != NULL ? next_target(g) : NULL;
    if (target != NULL) {
        begin(g, call, target);
    }
}

void probe_second_opinion(struct gossip *g, struct member *member)
{
    enum { ENOUGH = 32 }; /* opinions, expected, however large the pool is */
    size_t members = roster_estimate(&g->roster);
    struct probe_call *call = free_call(&g->probe, PROBE_ROUNDS_MAX, PROBE_CALLS_MAX);

    if (call == NULL || call_to(g, member) != NULL ||
        (members > ENOUGH && rc_random_below(&g->random, members) >= ENOUGH)) {
        return;
    }
    begin(g, call, member);
    call->is_second_opinion = true;
    g->counters.second_opinions++;
}

static bool wants_indirect(const struct member *member, const struct gossip *g)
{
    return member->swim == SWIM_ALIVE && member != g->self;
}

static void ask(struct gossip *g, struct probe_call *call, const struct member *helper)
{
    const struct member *target = call->target;
    const struct rc_address *own = &g->self->view.said->address;
    const struct carrier_to to = {&helper->view.said->address, helper, CARRIER_PIGGYBACK};
    const struct wire_indirect_ping ping = {
        .seq = call->seq,
        .target = gossip_ip_bytes(&target->view.said->address),
        .port = target->view.said->address.port,
        .node = rc_pack_text(target->view.said->name),
        .nack = helper->view.said->versions[1] >= NACK_PROTOCOL,
        .source_address = gossip_ip_bytes(own),
        .source_port = own->port,
        .source_node = gossip_own_name(g),
    };

    call->asked++;
    call->nacks_wanted += ping.nack;
    rc_buffer_clear(&g->message);
    wire_write_typed(WIRE_INDIRECT_PING, &wire_format_indirect_ping, &ping, &g->message);
    struct rc_pack_bytes message = written(g);
    (void)carrier_send(g, &to, &message, 1);
}

void probe_timeout(struct gossip *g, struct probe_call *call)
{
    struct member *helpers[INDIRECT_MAX + 1]; /* the target may be drawn as well */
    uint32_t max = g->profile->indirect_checks;

    assert(call->target != NULL);
    g->counters.probes_indirect++;
    max = max < INDIRECT_MAX ? max : INDIRECT_MAX;
    size_t count =
        roster_pick(&g->roster, &g->random, wants_indirect, g, helpers, (size_t)max + 1);
    for (size_t i = 0; i < count && call->asked < max; i++) {
        if (helpers[i] != call->target) {
            ask(g, call, helpers[i]);
        }
    }
    if (call->target->view.said->versions[1] >= TCP_PING_PROTOCOL) {
        probe_write_ping(g, call->seq, rc_pack_text(call->target->view.said->name));
        stream_ping(g, call->target, call->seq, call->end.at_ns);
    }
}

/* Somebody answers us: whatever else is wrong, we can hear. */
static void hear(struct gossip *g)
{
    g->probe.silent_rounds = 0;
}

static void succeed(struct gossip *g, struct probe_call *call)
{
    hear(g);
    struct dealings *dealings = roster_deal(call->target);
    if (dealings != NULL) { /* else others' suspicions of it are not doubted */
        dealings->acked_ns = g->now_ns;
    }
    if (!call->is_second_opinion) {
        swim_feel_well(g);
    }
    hang_up(g, call);
}

/* Once is loss, twice running is a firewall. It is told once an hour, or it is noise. */
static void tell_tcp_only(struct gossip *g, struct member *target)
{
    uint64_t gap_ns = (uint64_t)TCP_TELL_EVERY_MS * NS_PER_MS;
    struct dealings *dealings = roster_deal(target);
    bool is_due = dealings != NULL && (dealings->tcp_told_ns == 0 ||
                                       g->now_ns - dealings->tcp_told_ns >= gap_ns);

    if (target->view.tcp_only && is_due) {
        dealings->tcp_told_ns = g->now_ns;
        gossip_tell(g, &(struct gossip_action){.type = GOSSIP_TCP_ONLY,
                                               .address = target->view.said->address,
                                               .member = &target->view,
                                               .status = target->view.status});
    }
    target->view.tcp_only = true;
}

/* Helpers that could not even say no point at us (Lifeguard section IV-A). A second opinion on
 * a suspect was likely to fail: that says nothing about us. */
static void doubt_ourselves(struct gossip *g, const struct probe_call *call)
{
    uint32_t missing = call->nacks_wanted - call->nacks;

    if (call->nacks == 0) {
        g->probe.silent_rounds++;
    }
    if (call->is_second_opinion) {
        return;
    }
    if (call->nacks_wanted > 0) {
        swim_doubt(g, missing,
                   (struct diary_doubt){.reason = DIARY_NACKS,
                                        .some = (uint8_t)missing,
                                        .all = (uint8_t)call->nacks_wanted});
    } else {
        swim_doubt(g, 1, (struct diary_doubt){.reason = DIARY_UNANSWERED});
    }
}

void probe_end(struct gossip *g, struct probe_call *call)
{
    struct member *target = call->target;

    assert(target != NULL);
    if (call->tcp_answered) {
        g->counters.probes_by_tcp++;
        tell_tcp_only(g, target);
        succeed(g, call);
        return;
    }
    const struct diary_why why = {
        .reason = DIARY_PROBE_FAILED,
        .by = g->self->id,
        .ms = (uint32_t)((g->now_ns - call->started_ns) / NS_PER_MS),
        .some = (uint8_t)call->nacks,
        .all = (uint8_t)call->asked,
    };
    g->counters.probes_failed++;
    doubt_ourselves(g, call);
    hang_up(g, call);
    swim_accuse(g, target, &why);
}

/* All who were asked have said no, and the host refuses TCP: there is nothing to wait for. */
static void end_if_hopeless(struct gossip *g, struct probe_call *call)
{
    if (call->tcp_failed && call->asked > 0 && call->nacks == call->asked) {
        probe_end(g, call);
    }
}

void probe_on_tcp_failed(struct gossip *g, uint32_t seq)
{
    struct probe_call *call = call_with(g, seq);

    if (call != NULL && !call->tcp_answered) {
        call->tcp_failed = true;
        end_if_hopeless(g, call);
    }
}

void probe_on_tcp_ack(struct gossip *g, uint32_t seq)
{
    struct probe_call *call = call_with(g, seq);

    if (call != NULL) {
        call->tcp_answered = true;
    }
}

void probe_on_nack(struct gossip *g, uint32_t seq)
{
    struct probe_call *call = call_with(g, seq);

    if (call == NULL || call->nacks >= call->nacks_wanted) {
        gossip_refuse(g, GOSSIP_REFUSED_STALE);
        return;
    }
    hear(g);
    g->counters.nacks_in++;
    call->nacks++;
    end_if_hopeless(g, call);
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

static void hear_summary(struct gossip *g, const struct member *member,
                         struct rc_pack_bytes summary)
{
    if (summary.size == GOSSIP_SUMMARY_SIZE && g->lane.peer_summary != NULL) {
        g->lane.peer_summary(g->lane.ctx, gossip_now_ms(g), member->view.said->name,
                             summary.at);
    }
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
    hear_summary(g, member, wire.summary);
    if (!read_coordinate(&wire, &theirs)) {
        return;
    }
    struct dealings *dealings = roster_deal(member);
    if (dealings != NULL && dealings->distance == NULL) {
        dealings->distance = calloc(1, sizeof *dealings->distance);
    }
    if (dealings != NULL && dealings->distance != NULL) {
        coordinate_update(&g->coordinate, dealings->distance, &theirs,
                          (double)rtt_ns / 1e9, &g->random);
    }
}

void probe_on_ack(struct gossip *g, const struct wire_ack *ack)
{
    struct probe_call *call = call_with(g, ack->seq);

    if (call == NULL) {
        probe_relay_ack(g, ack->seq);
        return;
    }
    struct member *target = call->target;
    uint64_t rtt_ns = g->now_ns - call->started_ns;
    target->view.tcp_only = false;
    succeed(g, call);
    struct rc_pack_bytes payload = ack->payload; /* relayed acks have none */
    if (payload.size == 1 + GOSSIP_SUMMARY_SIZE && payload.at[0] == WIRE_LANE) {
        hear_summary(g, target,
                     (struct rc_pack_bytes){payload.at + 1, GOSSIP_SUMMARY_SIZE});
    } else if (payload.size > 0) {
        learn_coordinate(g, target, ack->payload, rtt_ns);
    }
}
