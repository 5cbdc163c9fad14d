/* lane_stream.c - the lane's streams: messages with a length before them, both ways. */
#include "agent/gossip/stream.h"
#include "base/err.h"

enum { LANE_HEAD_SIZE = 5, LANE_IDLE_MS = 60000 };

int stream_lane_data(struct gossip *g, struct gossip_stream *s,
                     struct rc_pack_bytes content, size_t *used)
{
    struct rc_cursor in = rc_cursor_over(content.at, content.size);

    gossip_arm(g, &s->deadline, LANE_IDLE_MS);
    while (!s->is_closed && rc_cursor_left(&in) >= LANE_HEAD_SIZE) {
        uint8_t mark = rc_cursor_u8(&in);
        size_t size = rc_cursor_u32(&in);
        if (mark != WIRE_LANE) {
            return RC_EMALFORMED;
        }
        if (size > GOSSIP_LANE_MESSAGE_MAX) {
            return RC_ETOOBIG;
        }
        const uint8_t *bytes = rc_cursor_take(&in, size);
        if (bytes == NULL) {
            break;
        }
        *used = (size_t)(in.at - content.at);
        if (g->lane.stream_message != NULL) {
            g->lane.stream_message(g->lane.ctx, gossip_now_ms(g), s->id, bytes, size);
        }
    }
    return s->is_closed ? RC_OK : RC_ETRUNCATED;
}

int gossip_lane_open(struct gossip *g, uint64_t now_ns, const char *member, uint32_t *out)
{
    const struct member *to = roster_find(&g->roster, rc_pack_text(member));
    struct gossip_stream *s;

    g->now_ns = now_ns > g->now_ns ? now_ns : g->now_ns;
    if (to == NULL || to == g->self || !to->view.said->is_rollcall ||
        to->swim == SWIM_NONE) {
        return RC_ENOTFOUND;
    }
    if (stream_lane_count(g) >= GOSSIP_LANE_STREAMS_MAX) {
        return RC_ETOOBIG;
    }
    int err = stream_dial(g, &to->view.said->address, STREAM_LANE, &s);
    if (err == RC_OK) {
        gossip_arm(g, &s->deadline, LANE_IDLE_MS);
        *out = s->id;
    }
    return err;
}

int gossip_lane_send(struct gossip *g, uint64_t now_ns, uint32_t stream,
                     const uint8_t *bytes, size_t size)
{
    struct gossip_stream *s = stream_find(g, stream);
    struct rc_buffer message = {0};

    g->now_ns = now_ns > g->now_ns ? now_ns : g->now_ns;
    if (s == NULL || s->purpose != STREAM_LANE) {
        return RC_ENOTFOUND;
    }
    if (size > GOSSIP_LANE_MESSAGE_MAX) {
        return RC_ETOOBIG;
    }
    const uint8_t head[LANE_HEAD_SIZE] = {WIRE_LANE, (uint8_t)(size >> 24),
                                          (uint8_t)(size >> 16), (uint8_t)(size >> 8),
                                          (uint8_t)size};
    rc_buffer_append(&message, head, sizeof head);
    rc_buffer_append(&message, bytes, size);
    int err = message.err;
    if (err == RC_OK) {
        err = stream_send(g, s, (struct rc_pack_bytes){message.bytes, message.size});
    }
    rc_buffer_fini(&message);
    gossip_arm(g, &s->deadline, LANE_IDLE_MS);
    return err;
}

void gossip_lane_close(struct gossip *g, uint64_t now_ns, uint32_t stream)
{
    struct gossip_stream *s = stream_find(g, stream);

    g->now_ns = now_ns > g->now_ns ? now_ns : g->now_ns;
    if (s != NULL && s->purpose == STREAM_LANE) {
        s->is_closed = true;
        deadline_clear(&g->deadlines, &s->deadline);
        stream_hang_up(g, s);
    }
}
