/* serf_state.c - what Serf adds to a push/pull: clocks, status times, who left, events. */
#include "agent/gossip/serf.h"
#include "base/err.h"

void serf_write_state(struct gossip *g, struct rc_buffer *out)
{
    struct rc_buffer ltimes = {0};
    struct rc_buffer left = {0};
    struct rc_buffer events = {0};
    uint8_t summary[GOSSIP_SUMMARY_SIZE];
    size_t position = 0;
    size_t known = 0;
    size_t left_count = 0;
    const struct member *member;

    while ((member = rc_table_next(g->roster.by_name, &position, NULL)) != NULL) {
        known += member->serf != SERF_NONE;
        left_count += member->serf == SERF_LEFT;
    }
    rc_pack_write_map(&ltimes, known);
    rc_pack_write_array(&left, left_count);
    position = 0;
    while ((member = rc_table_next(g->roster.by_name, &position, NULL)) != NULL) {
        if (member->serf != SERF_NONE) {
            rc_pack_write_text(&ltimes, member->view.said->name);
            rc_pack_write_number(&ltimes, member->view.status_ltime);
        }
        if (member->serf == SERF_LEFT) {
            rc_pack_write_text(&left, member->view.said->name);
        }
    }
    serf_write_events(g, &events);
    struct wire_serf_state state = {
        .ltime = g->serf.clocks[GOSSIP_CLOCK_STATUS],
        .raw_status_ltimes = {ltimes.bytes, ltimes.size},
        .raw_left_members = {left.bytes, left.size},
        .event_ltime = g->serf.clocks[GOSSIP_CLOCK_EVENT],
        .raw_events = {events.bytes, events.size},
        .query_ltime = g->serf.clocks[GOSSIP_CLOCK_QUERY],
    };
    if (g->lane.summary != NULL) {
        g->lane.summary(g->lane.ctx, summary);
        state.summary = (struct rc_pack_bytes){summary, sizeof summary};
        state.summary_name = gossip_own_name(g);
    }
    rc_buffer_byte(out, WIRE_SERF_STATE);
    wire_write(&wire_format_serf_state, &state, out);
    if (ltimes.err != RC_OK || left.err != RC_OK || events.err != RC_OK) {
        out->err = RC_ENOMEM;
    }
    rc_buffer_fini(&ltimes);
    rc_buffer_fini(&left);
    rc_buffer_fini(&events);
}

/* Who is in LeftMembers, as a table, so that a long list costs no more than a short one for
 * each name. NULL when memory is out. */
static struct rc_table *read_left(struct gossip *g, struct rc_pack_bytes raw)
{
    struct rc_table *left = rc_table_create(g->hash_seed);
    struct rc_cursor in = rc_cursor_over(raw.at, raw.size);
    uint32_t count = rc_pack_read_array(&in);

    for (uint32_t i = 0; left != NULL && i < count && i < ROSTER_MAX; i++) {
        struct rc_pack_bytes name = rc_pack_read_bytes(&in);
        if (in.err == RC_OK && name.size > 0 &&
            rc_table_put_bytes(left, name.at, name.size, g, NULL) != RC_OK) {
            gossip_refuse(g, GOSSIP_REFUSED_NO_MEMORY);
        }
    }
    return left;
}

/* Each name with its status time is a join intent, or, if it left, a leave intent. */
static void merge_intents(struct gossip *g, const struct wire_serf_state *state)
{
    struct rc_cursor in =
        rc_cursor_over(state->raw_status_ltimes.at, state->raw_status_ltimes.size);
    uint32_t count = rc_pack_read_map(&in);
    struct rc_table *left = read_left(g, state->raw_left_members);

    for (uint32_t i = 0; left != NULL && i < count && i < ROSTER_MAX; i++) {
        struct wire_intent intent = {.node = rc_pack_read_bytes(&in)};
        intent.ltime = rc_pack_read_number(&in, SERF_LTIME_MAX - 1);
        if (in.err != RC_OK) {
            gossip_refuse(g, GOSSIP_REFUSED_MALFORMED);
            break;
        }
        if (rc_table_get_bytes(left, intent.node.at, intent.node.size) != NULL) {
            intent.ltime++;
            serf_on_leave_intent(g, &intent, SERF_FROM_STATE);
        } else {
            serf_on_join_intent(g, &intent, SERF_FROM_STATE);
        }
    }
    rc_table_destroy(left);
}

static void witness_before(struct gossip *g, enum gossip_clock clock, uint64_t ltime)
{
    if (ltime > 0) {
        serf_witness(g, clock, ltime - 1);
    }
}

void serf_merge_state(struct gossip *g, struct rc_cursor *in, enum serf_events events)
{
    struct wire_serf_state state;

    if (rc_cursor_u8(in) != WIRE_SERF_STATE) {
        gossip_refuse(g, GOSSIP_REFUSED_TYPE);
        return;
    }
    if (wire_read(&wire_format_serf_state, in, &state) != RC_OK) {
        gossip_refuse(g, GOSSIP_REFUSED_MALFORMED);
        return;
    }
    witness_before(g, GOSSIP_CLOCK_STATUS, state.ltime);
    witness_before(g, GOSSIP_CLOCK_EVENT, state.event_ltime);
    witness_before(g, GOSSIP_CLOCK_QUERY, state.query_ltime);
    merge_intents(g, &state);
    if (events == SERF_EVENTS_NEW && state.event_ltime > g->serf.event_min &&
        state.event_ltime <= SERF_LTIME_MAX) {
        g->serf.event_min = state.event_ltime;
    }
    serf_merge_events(g, state.raw_events);
    const struct member *peer = roster_find(&g->roster, state.summary_name);
    if (peer != NULL && state.summary.size == GOSSIP_SUMMARY_SIZE &&
        g->lane.peer_summary != NULL) {
        g->lane.peer_summary(g->lane.ctx, gossip_now_ms(g), peer->view.said->name,
                             state.summary.at);
    }
}
