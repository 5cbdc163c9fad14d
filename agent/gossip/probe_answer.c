/* probe_answer.c - when others probe us, or ask us to probe for them. */
#include <stdlib.h>

#include "agent/gossip/carrier.h"
#include "agent/gossip/probe.h"
#include "agent/gossip/stream.h"
#include "base/err.h"

/* A nack that waits for the whole probe timeout reaches its requester when the round is just
 * over (memberlist's does, with its own timers): Lifeguard sends it at 80 %. */
enum { NACK_TENTHS = 8 };

enum { COORDINATE_VERSION = 1, GREETING_GAP_MS = 1000 };

static struct rc_pack_bytes written(const struct gossip *g)
{
    return (struct rc_pack_bytes){g->message.bytes, g->message.size};
}

/* Every ack to Serf; to our own kind the first ones, which place a newcomer, then every fourth:
 * a coordinate is two thirds of an ack, and 60 measurements a minute are more than it takes. */
static bool wants_coordinate(struct gossip *g, const struct wire_ping *ping)
{
    enum { PLACING = 64, EVERY = 4 };
    const struct member *member = roster_find(&g->roster, ping->source_node);

    g->probe.acks++;
    return member == NULL || !member->view.said->is_rollcall ||
           g->probe.acks <= PLACING || g->probe.acks % EVERY == 0;
}

static void write_summary(struct gossip *g, struct rc_buffer *out)
{
    uint8_t summary[GOSSIP_SUMMARY_SIZE];

    if (g->lane.summary != NULL) {
        g->lane.summary(g->lane.ctx, summary);
        rc_buffer_byte(out, WIRE_LANE);
        rc_buffer_append(out, summary, sizeof summary);
    }
}

static void write_coordinate(struct gossip *g, struct rc_buffer *out)
{
    const struct gossip_coordinate *own = &g->coordinate.coordinate;
    uint8_t summary[GOSSIP_SUMMARY_SIZE];
    struct rc_buffer vec = {0};
    struct wire_coordinate wire = {
        .adjustment = own->adjustment, .error = own->error, .height = own->height};

    rc_pack_write_array(&vec, COORDINATE_DIMENSIONS);
    for (size_t i = 0; i < COORDINATE_DIMENSIONS; i++) {
        rc_pack_write_float(&vec, (float)own->vec[i]); /* parts of a microsecond */
    }
    wire.raw_vec = (struct rc_pack_bytes){vec.bytes, vec.size};
    if (g->lane.summary != NULL) {
        g->lane.summary(g->lane.ctx, summary);
        wire.summary = (struct rc_pack_bytes){summary, sizeof summary};
    }
    rc_buffer_byte(out, COORDINATE_VERSION);
    wire_write(&wire_format_coordinate, &wire, out);
    if (vec.err != RC_OK) {
        out->err = vec.err;
    }
    rc_buffer_fini(&vec);
}

static void send_ack(struct gossip *g, const struct rc_address *to, uint32_t seq,
                     struct rc_pack_bytes payload)
{
    const struct wire_ack ack = {.seq = seq, .payload = payload};
    const struct carrier_to where = {to, roster_at(&g->roster, to), CARRIER_PIGGYBACK};

    rc_buffer_clear(&g->message);
    wire_write_typed(WIRE_ACK, &wire_format_ack, &ack, &g->message);
    struct rc_pack_bytes message = written(g);
    (void)carrier_send(g, &where, &message, 1);
}

static struct rc_address answer_to(struct rc_pack_bytes ip, uint16_t port,
                                   const struct rc_address *from)
{
    struct rc_address address;

    if (port == 0 || rc_address_from_bytes(ip.at, ip.size, port, &address) != RC_OK) {
        return *from;
    }
    return address;
}

/* A ping from somebody we do not know, or hold for dead: the news about it passed us by. An
 * exchange of states settles that within a second instead of at the next push/pull. */
static void greet_stranger(struct gossip *g, const struct wire_ping *ping)
{
    const struct member *member = roster_find(&g->roster, ping->source_node);
    bool is_known =
        member != NULL && member->swim != SWIM_NONE && member->swim != SWIM_DEAD;
    uint64_t gap_ns = (uint64_t)GREETING_GAP_MS * NS_PER_MS;
    struct rc_address address;

    if (is_known || ping->source_node.size == 0 || ping->source_port == 0 ||
        g->leave.stage != LEAVE_NOT || g->now_ns - g->last_greeting_ns < gap_ns ||
        gossip_read_address(g, ping->source_address, ping->source_port, &address) !=
            RC_OK) {
        return;
    }
    g->last_greeting_ns = g->now_ns;
    (void)stream_push_pull(g, &address,
                           STREAM_EXCHANGE); /* else the next ping asks again */
}

void probe_on_ping(struct gossip *g, const struct rc_address *from,
                   const struct wire_ping *ping)
{
    struct rc_address to = answer_to(ping->source_address, ping->source_port, from);
    struct rc_buffer payload = {0};

    if (ping->node.size > 0 && !rc_pack_equals(ping->node, gossip_own_name(g))) {
        gossip_refuse(g, GOSSIP_REFUSED_PING);
        return;
    }
    if (wants_coordinate(g, ping)) {
        write_coordinate(g, &payload);
    } else {
        write_summary(g, &payload);
    }
    if (payload.err == RC_OK) {
        send_ack(g, &to, ping->seq, (struct rc_pack_bytes){payload.bytes, payload.size});
    }
    rc_buffer_fini(&payload);
    greet_stranger(g, ping);
}

static struct probe_relay *free_relay(struct gossip *g)
{
    struct probe *probe = &g->probe;

    if (probe->relays == NULL) {
        probe->relays = calloc(PROBE_RELAYS_MAX, sizeof *probe->relays);
    }
    for (size_t i = 0; probe->relays != NULL && i < PROBE_RELAYS_MAX; i++) {
        if (!probe->relays[i].is_used) {
            return &probe->relays[i];
        }
    }
    return NULL;
}

void probe_on_indirect_ping(struct gossip *g, const struct rc_address *from,
                            const struct wire_indirect_ping *ping)
{
    struct rc_address target;
    struct probe_relay *relay = free_relay(g);

    if (relay == NULL) {
        gossip_refuse(g, GOSSIP_REFUSED_TOO_MANY);
        return;
    }
    if (ping->node.size > ANNOUNCED_NAME_MAX) {
        gossip_refuse(g, GOSSIP_REFUSED_NAME);
        return;
    }
    if (gossip_read_address(g, ping->target, ping->port, &target) != RC_OK) {
        gossip_refuse(g, GOSSIP_REFUSED_ADDRESS);
        return;
    }
    relay->is_used = true;
    relay->wants_nack = ping->nack;
    relay->seq = g->next_seq++;
    relay->their_seq = ping->seq;
    relay->requester = answer_to(ping->source_address, ping->source_port, from);
    relay->deadline.kind = DEADLINE_RELAY;
    relay->deadline.owner = relay;
    relay->sent_ns = g->now_ns;
    gossip_arm(g, &relay->deadline,
               (uint64_t)g->profile->probe_timeout_ms * NACK_TENTHS / 10);
    probe_write_ping(g, relay->seq, ping->node);
    const struct carrier_to to = {&target, roster_at(&g->roster, &target),
                                  CARRIER_PIGGYBACK};
    struct rc_pack_bytes message = written(g);
    (void)carrier_send(g, &to, &message, 1);
}

void probe_relay_expired(struct gossip *g, struct probe_relay *relay)
{
    const struct wire_ack nack = {.seq = relay->their_seq};
    const struct carrier_to to = {
        &relay->requester, roster_at(&g->roster, &relay->requester), CARRIER_PIGGYBACK};

    uint64_t timeout_ns = (uint64_t)g->profile->probe_timeout_ms * NS_PER_MS;
    uint64_t over_ns = relay->sent_ns + timeout_ns;
    bool is_over = g->now_ns >= over_ns;

    relay->is_used = !is_over;
    if (!is_over) {
        (void)deadline_set(&g->deadlines, &relay->deadline,
                           over_ns); /* an ack may come */
    }
    if (relay->wants_nack) {
        relay->wants_nack = false;
        g->counters.nacks_out++;
        rc_buffer_clear(&g->message);
        wire_write_typed(WIRE_NACK, &wire_format_nack, &nack, &g->message);
        struct rc_pack_bytes message = written(g);
        (void)carrier_send(g, &to, &message, 1);
    }
}

void probe_relay_ack(struct gossip *g, uint32_t seq)
{
    for (size_t i = 0; g->probe.relays != NULL && i < PROBE_RELAYS_MAX; i++) {
        struct probe_relay *relay = &g->probe.relays[i];
        if (relay->is_used && relay->seq == seq) {
            deadline_clear(&g->deadlines, &relay->deadline);
            relay->is_used = false;
            send_ack(g, &relay->requester, relay->their_seq,
                     (struct rc_pack_bytes){NULL, 0});
            return;
        }
    }
    gossip_refuse(g, GOSSIP_REFUSED_STALE);
}
