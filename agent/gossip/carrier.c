/* carrier.c - packets: filling them with what waits, and handing out what came in them. */
#include "agent/gossip/carrier.h"

#include <assert.h>

#include "agent/gossip/probe.h"
#include "agent/gossip/serf.h"
#include "agent/gossip/swim.h"
#include "base/err.h"

enum {
    PACKET_MAX = 1400, /* memberlist's UDPBufferSize */
    COMPOUND_OVERHEAD = 2,
    PART_OVERHEAD = 2,
    LANE_OVERHEAD = 2, /* WIRE_USER, WIRE_LANE */
    LANE_SHARE = 500,  /* kept free for the lane in packets to rollcall members */
    LANE_RUMOUR_MIN = 16,
    CRC_PROTOCOL = 5,
    ENCRYPTION_OVERHEAD = 45, /* memberlist's encryption version 0, the larger one */
    LANE_YIELDS_EVERY = 4,    /* packets */
    NEWS_PER_TICK = 4         /* at most */
};

/* ---- Sending. */

static void put_message(struct broadcast_parts *parts, struct rc_pack_bytes message)
{
    assert(message.size > 0 && message.size <= PACKET_MAX);
    rc_buffer_append(parts->bytes, message.at, message.size);
    parts->sizes[parts->count++] = (uint16_t)message.size;
    size_t cost = parts->cost + message.size;
    parts->room = parts->room > cost ? parts->room - cost : 0;
}

static void fill_from_queues(struct gossip *g, struct broadcast_parts *parts)
{
    for (size_t i = 0; i < QUEUE_COUNT; i++) {
        if (g->queues[i].count > 0) {
            broadcast_fill(&g->queues[i], gossip_retransmits(g), parts);
        }
    }
}

static void fill_from_lane(struct gossip *g, struct broadcast_parts *parts)
{
    while (parts->count < parts->max &&
           parts->room > PART_OVERHEAD + LANE_OVERHEAD + LANE_RUMOUR_MIN) {
        size_t room = parts->room - PART_OVERHEAD - LANE_OVERHEAD;
        if (rc_buffer_reserve(parts->bytes, LANE_OVERHEAD + room) != RC_OK) {
            return;
        }
        uint8_t *place = parts->bytes->bytes + parts->bytes->size;
        size_t size =
            g->lane.fill(g->lane.ctx, gossip_now_ms(g), place + LANE_OVERHEAD, room);
        if (size == 0) {
            return;
        }
        assert(size <= room);
        place[0] = WIRE_USER;
        place[1] = WIRE_LANE;
        parts->bytes->size += LANE_OVERHEAD + size;
        parts->sizes[parts->count++] = (uint16_t)(LANE_OVERHEAD + size);
        parts->room -= PART_OVERHEAD + LANE_OVERHEAD + size;
        g->counters.lane_out++;
    }
}

/* Membership is filled first, but not into the lane's share, so neither starves the other;
 * what the lane leaves over is membership's again. Now and then there is no share: a large query
 * would wait for ever while the lane fills its own. */
static void fill(struct gossip *g, const struct member *to, struct broadcast_parts *parts)
{
    if (g->lane.fill != NULL && to != NULL && to->view.said->is_rollcall) {
        size_t share = parts->packet % LANE_YIELDS_EVERY == 0 ? 0 : LANE_SHARE;
        size_t kept = parts->room < share ? parts->room : share;
        parts->room -= kept;
        fill_from_queues(g, parts);
        parts->room += kept;
        fill_from_lane(g, parts);
    }
    fill_from_queues(g, parts);
}

size_t carrier_message_max(const struct gossip *g)
{
    size_t overhead = COMPOUND_OVERHEAD + PART_OVERHEAD + ENCRYPTION_OVERHEAD +
                      envelope_overhead(&g->envelope);
    return overhead < PACKET_MAX ? PACKET_MAX - overhead : 0;
}

/* Joins the parts into one message: itself if there is one, else a compound. */
static void join_parts(const struct broadcast_parts *parts, struct rc_buffer *out)
{
    if (parts->count > 1) {
        rc_buffer_byte(out, WIRE_COMPOUND);
        rc_buffer_byte(out, (uint8_t)parts->count);
        for (size_t i = 0; i < parts->count; i++) {
            rc_buffer_byte(out, (uint8_t)(parts->sizes[i] >> 8));
            rc_buffer_byte(out, (uint8_t)parts->sizes[i]);
        }
    }
    rc_buffer_append(out, parts->bytes->bytes, parts->bytes->size);
}

static void send_plain(struct gossip *g, const struct rc_address *to,
                       const struct rc_buffer *plain)
{
    size_t mark = outbox_mark(&g->outbox);
    struct gossip_action action = {.type = GOSSIP_SEND_PACKET, .address = *to};

    envelope_close_packet(&g->envelope, (struct rc_pack_bytes){plain->bytes, plain->size},
                          &g->outbox.bytes);
    size_t size = g->outbox.bytes.size - mark;
    if (plain->err != RC_OK || outbox_add_written(&g->outbox, &action, mark) != RC_OK) {
        gossip_refuse(g, GOSSIP_REFUSED_NO_MEMORY);
        return;
    }
    g->counters.packets_out++;
    g->counters.bytes_out += size;
}

size_t carrier_send(struct gossip *g, const struct carrier_to *to,
                    const struct rc_pack_bytes *messages, size_t count)
{
    uint16_t sizes[ENVELOPE_PARTS_MAX];
    struct broadcast_parts parts = {
        .bytes = &g->parts,
        .sizes = sizes,
        .max = ENVELOPE_PARTS_MAX,
        .room = PACKET_MAX - COMPOUND_OVERHEAD - envelope_overhead(&g->envelope),
        .cost = PART_OVERHEAD,
        .packet = ++g->last_packet,
    };
    bool is_checked = to->load == CARRIER_CHECKED || to->load == CARRIER_TICK;

    rc_buffer_clear(&g->parts);
    rc_buffer_clear(&g->plain);
    for (size_t i = 0; i < count; i++) {
        if (messages[i].size > parts.room) { /* made of what somebody sent us */
            gossip_refuse(g, GOSSIP_REFUSED_TOO_BIG);
            return 0;
        }
        put_message(&parts, messages[i]);
    }
    if (to->load == CARRIER_PIGGYBACK || to->load == CARRIER_TICK) {
        /* Or a few fresh dead of a small pool eat up the few transmissions (memberlist's 4 below
         * ten members), and one of the living in twenty never hears of the last one's end. */
        parts.is_extra = to->member != NULL && to->member->swim != SWIM_ALIVE;
        fill(g, to->member, &parts);
    }
    if (parts.count == 0) {
        return 0;
    }
    join_parts(&parts, &g->plain);
    if (is_checked && to->member != NULL &&
        to->member->view.said->versions[1] >= CRC_PROTOCOL) {
        rc_buffer_clear(&g->parts);
        envelope_add_crc((struct rc_pack_bytes){g->plain.bytes, g->plain.size},
                         &g->parts);
        send_plain(g, to->address, &g->parts);
    } else {
        send_plain(g, to->address, &g->plain);
    }
    return parts.count;
}

/* memberlist: alive, suspect, and the dead for a while, so that they can refute. */
static bool wants_gossip(const struct member *member, const struct gossip *g)
{
    if (member == g->self) {
        return false;
    }
    uint64_t dead_ns = g->now_ns - member->swim_since_ns;
    bool is_fresh = dead_ns <= (uint64_t)g->profile->gossip_to_the_dead_ms * NS_PER_MS;
    return member->swim == SWIM_ALIVE || member->swim == SWIM_SUSPECT ||
           (member->swim == SWIM_DEAD && is_fresh);
}

enum { TICK_NODES_MAX = 16 };

void carrier_send_to_some(struct gossip *g, size_t max, carrier_wants *wants)
{
    struct member *targets[TICK_NODES_MAX];

    max = max < TICK_NODES_MAX ? max : TICK_NODES_MAX;
    size_t count = roster_pick(&g->roster, &g->random, wants, g, targets, max);
    for (size_t i = 0; i < count; i++) {
        assert(targets[i] != NULL);
        const struct carrier_to to = {&targets[i]->view.said->address, targets[i],
                                      CARRIER_TICK};
        (void)carrier_send(g, &to, NULL, 0);
    }
}

void carrier_tick(struct gossip *g)
{
    gossip_arm(g, &g->gossip_tick, g->profile->gossip_every_ms);
    carrier_send_to_some(g, g->profile->gossip_nodes, wants_gossip);
}

/* News about members goes out at once when the last one is a while ago, instead of at the next
 * tick: each hop saves half a tick, an accusation and its refutation alike. The number of
 * transmissions stays the same; when much happens, the gap keeps packets full. */
void carrier_news(struct gossip *g)
{
    uint64_t gap_ns = (uint64_t)g->profile->gossip_every_ms * NS_PER_MS / NEWS_PER_TICK;
    uint64_t soonest = g->last_news_ns + gap_ns;

    if (g->last_news_ns == 0 || soonest < g->now_ns) {
        soonest = g->now_ns;
    }
    if (!deadline_is_set(&g->news)) {
        (void)deadline_set(&g->deadlines, &g->news, soonest); /* else the tick does it */
    }
}

void carrier_send_news(struct gossip *g)
{
    g->last_news_ns = g->now_ns;
    carrier_send_to_some(g, g->profile->gossip_nodes, wants_gossip);
}

/* ---- Receiving. */

typedef void message_handler(struct gossip *g, const struct rc_address *from,
                             struct rc_cursor *in);

static void on_ping(struct gossip *g, const struct rc_address *from, struct rc_cursor *in)
{
    struct wire_ping ping;
    if (wire_read(&wire_format_ping, in, &ping) == RC_OK) {
        probe_on_ping(g, from, &ping);
    }
}

static void on_indirect_ping(struct gossip *g, const struct rc_address *from,
                             struct rc_cursor *in)
{
    struct wire_indirect_ping ping;
    if (wire_read(&wire_format_indirect_ping, in, &ping) == RC_OK) {
        probe_on_indirect_ping(g, from, &ping);
    }
}

static void on_ack(struct gossip *g, const struct rc_address *from, struct rc_cursor *in)
{
    struct wire_ack ack;

    (void)from; /* memberlist takes acks from any address: the sequence number decides */
    if (wire_read(&wire_format_ack, in, &ack) == RC_OK) {
        probe_on_ack(g, &ack);
    }
}

static void on_nack(struct gossip *g, const struct rc_address *from, struct rc_cursor *in)
{
    struct wire_ack nack;

    (void)from;
    if (wire_read(&wire_format_nack, in, &nack) == RC_OK) {
        probe_on_nack(g, nack.seq);
    }
}

static void on_suspect(struct gossip *g, const struct rc_address *from,
                       struct rc_cursor *in)
{
    struct wire_accusation suspect;

    (void)from;
    if (wire_read(&wire_format_accusation, in, &suspect) == RC_OK) {
        swim_suspect(g, &suspect);
    }
}

static void on_dead(struct gossip *g, const struct rc_address *from, struct rc_cursor *in)
{
    struct wire_accusation dead;

    (void)from;
    if (wire_read(&wire_format_accusation, in, &dead) == RC_OK) {
        swim_dead(g, &dead);
    }
}

static void on_alive(struct gossip *g, const struct rc_address *from,
                     struct rc_cursor *in)
{
    struct wire_alive alive;

    (void)from;
    if (wire_read(&wire_format_alive, in, &alive) == RC_OK) {
        swim_alive(g, &alive);
    }
}

static void on_rumour(struct gossip *g, const struct rc_address *from,
                      struct rc_cursor *in)
{
    const struct member *member = from == NULL ? NULL : roster_at(&g->roster, from);
    size_t size = rc_cursor_left(in);

    g->counters.lane_in++;
    if (g->lane.receive != NULL) {
        g->lane.receive(g->lane.ctx, gossip_now_ms(g),
                        member == NULL ? NULL : member->view.said->name,
                        rc_cursor_take(in, size), size);
    }
}

void carrier_user_message(struct gossip *g, const struct rc_address *from,
                          struct rc_cursor *in)
{
    if (rc_cursor_left(in) > 0 && *in->at == WIRE_LANE) {
        (void)rc_cursor_u8(in);
        on_rumour(g, from, in);
    } else {
        serf_receive(g, in);
    }
}

static void handle_message(struct gossip *g, const struct rc_address *from,
                           struct rc_pack_bytes message)
{
    static message_handler *const handlers[] = {
        [WIRE_PING] = on_ping,   [WIRE_INDIRECT_PING] = on_indirect_ping,
        [WIRE_ACK] = on_ack,     [WIRE_SUSPECT] = on_suspect,
        [WIRE_ALIVE] = on_alive, [WIRE_DEAD] = on_dead,
        [WIRE_NACK] = on_nack,   [WIRE_USER] = carrier_user_message,
    };
    struct rc_cursor in = rc_cursor_over(message.at, message.size);
    uint8_t type = rc_cursor_u8(&in);

    g->counters.messages_in++;
    if (type >= sizeof handlers / sizeof handlers[0] || handlers[type] == NULL) {
        gossip_refuse(g, GOSSIP_REFUSED_TYPE);
        return;
    }
    handlers[type](g, from, &in);
    if (in.err != RC_OK) {
        gossip_refuse(g, GOSSIP_REFUSED_MALFORMED);
    }
}

static enum gossip_refusal refusal_of(int err)
{
    if (err == RC_ECONFLICT) {
        return GOSSIP_REFUSED_LABEL;
    }
    if (err == RC_EDENIED) {
        return GOSSIP_REFUSED_KEY;
    }
    if (err == RC_EUNSUPPORTED) {
        return GOSSIP_REFUSED_PLAIN;
    }
    return err == RC_ENOMEM ? GOSSIP_REFUSED_NO_MEMORY : GOSSIP_REFUSED_MALFORMED;
}

void carrier_receive(struct gossip *g, const struct rc_address *from,
                     struct rc_pack_bytes packet)
{
    struct envelope_reader reader;
    struct rc_pack_bytes plain;
    struct rc_pack_bytes message;
    size_t place = 0;

    g->counters.packets_in++;
    g->counters.bytes_in += packet.size;
    int err = envelope_open_packet(&g->envelope, packet, &g->opened, &plain, &place);
    if (err != RC_OK) {
        gossip_refuse(g, refusal_of(err));
        return;
    }
    gossip_count_opened(g, place);
    if (envelope_strip_crc(&plain) != RC_OK) {
        gossip_refuse(g, GOSSIP_REFUSED_CRC);
        return;
    }
    envelope_reader_init(&reader, plain, &g->unpacked);
    while ((err = envelope_reader_next(&reader, &message)) != RC_ENOTFOUND) {
        if (err == RC_OK) {
            handle_message(g, from, message);
        } else {
            gossip_refuse(g, refusal_of(err));
        }
    }
}
