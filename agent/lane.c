#include "agent/lane.h"

#include "agent/catalog/catalog.h"
#include "agent/gossip/gossip.h"
#include "base/err.h"

enum { NS_PER_MS = 1000000 };

static size_t fill(void *ctx, uint64_t now_ms, uint8_t *space, size_t size)
{
    const struct lane *lane = ctx;
    return catalog_fill(lane->catalog, now_ms, space, size);
}

static void receive(void *ctx, uint64_t now_ms, const char *from, const uint8_t *bytes,
                    size_t size)
{
    const struct lane *lane = ctx;
    (void)catalog_receive(lane->catalog, now_ms, from, bytes, size); /* it counts */
}

static void summary(void *ctx, uint8_t out[GOSSIP_SUMMARY_SIZE])
{
    const struct lane *lane = ctx;
    catalog_summary(lane->catalog, out);
}

static void peer_summary(void *ctx, uint64_t now_ms, const char *member,
                         const uint8_t in[GOSSIP_SUMMARY_SIZE])
{
    const struct lane *lane = ctx;
    catalog_peer_summary(lane->catalog, now_ms, member, in);
}

static void stream_message(void *ctx, uint64_t now_ms, uint32_t stream,
                           const uint8_t *bytes, size_t size)
{
    const struct lane *lane = ctx;
    if (catalog_stream_message(lane->catalog, now_ms, stream, bytes, size) != RC_OK) {
        catalog_stream_closed(lane->catalog, now_ms, stream);
        gossip_lane_close(lane->gossip, now_ms * NS_PER_MS, stream);
    }
}

static void stream_closed(void *ctx, uint64_t now_ms, uint32_t stream)
{
    const struct lane *lane = ctx;
    catalog_stream_closed(lane->catalog, now_ms, stream);
}

struct gossip_lane lane_callbacks(struct lane *lane)
{
    _Static_assert((int)GOSSIP_SUMMARY_SIZE == (int)CATALOG_SUMMARY_SIZE, "one summary");
    return (struct gossip_lane){
        .ctx = lane,
        .fill = fill,
        .receive = receive,
        .summary = summary,
        .peer_summary = peer_summary,
        .stream_message = stream_message,
        .stream_closed = stream_closed,
    };
}

static void open_stream(const struct lane *lane, uint64_t now_ns, const char *member)
{
    uint32_t stream = 0;
    if (gossip_lane_open(lane->gossip, now_ns, member, &stream) == RC_OK) {
        catalog_stream_opened(lane->catalog, now_ns / NS_PER_MS, member, stream);
    } else {
        catalog_stream_closed(lane->catalog, now_ns / NS_PER_MS, 0);
    }
}

static void send_message(const struct lane *lane, uint64_t now_ns,
                         const struct catalog_action *action)
{
    uint32_t stream = (uint32_t)action->stream;
    if (gossip_lane_send(lane->gossip, now_ns, stream, action->bytes, action->size) !=
        RC_OK) {
        catalog_stream_closed(lane->catalog, now_ns / NS_PER_MS, stream);
    }
}

void lane_carry_out(struct lane *lane, uint64_t now_ns)
{
    struct catalog_action action;
    while (catalog_next_action(lane->catalog, &action)) {
        switch (action.type) {
        case CATALOG_KICK:
            gossip_lane_kick(lane->gossip, now_ns);
            break;
        case CATALOG_STREAM_OPEN:
            open_stream(lane, now_ns, action.member);
            break;
        case CATALOG_STREAM_SEND:
            send_message(lane, now_ns, &action);
            break;
        case CATALOG_STREAM_CLOSE:
            gossip_lane_close(lane->gossip, now_ns, (uint32_t)action.stream);
            break;
        case CATALOG_ACTION_COUNT:
            break;
        }
    }
}

static const enum catalog_liveness liveness_of[GOSSIP_STATUS_COUNT] = {
    [GOSSIP_ALIVE] = CATALOG_ALIVE,     [GOSSIP_SUSPECT] = CATALOG_SUSPECT,
    [GOSSIP_LEAVING] = CATALOG_LEAVING, [GOSSIP_LEFT] = CATALOG_LEFT,
    [GOSSIP_FAILED] = CATALOG_FAILED,
};

void lane_on_member(struct lane *lane, uint64_t now_ns, uint64_t wall_ms,
                    const struct gossip_action *action)
{
    const struct gossip_member *member = action->member;
    char address[RC_ADDRESS_TEXT_MAX];

    rc_address_format_ip(&member->said->address, address);
    const struct catalog_member told = {
        .name = member->said->name,
        .address = address,
        .liveness = action->event == GOSSIP_EVENT_REAP ? CATALOG_LEFT
                                                       : liveness_of[action->status],
        .datacenter = gossip_member_tag(member, "dc"),
        .peer = member->said->is_rollcall,
    };
    catalog_member_event(lane->catalog, now_ns / NS_PER_MS, wall_ms, &told);
}
