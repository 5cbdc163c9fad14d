/* pushpull.c - two members tell each other all they know. */
#include "agent/gossip/pushpull.h"

#include <string.h>

#include "agent/gossip/join_check.h"
#include "agent/gossip/serf.h"
#include "agent/gossip/swim.h"
#include "base/err.h"

static uint8_t wire_state(enum swim_state state)
{
    static const uint8_t states[] = {
        [SWIM_NONE] = WIRE_NODE_DEAD,       [SWIM_ALIVE] = WIRE_NODE_ALIVE,
        [SWIM_SUSPECT] = WIRE_NODE_SUSPECT, [SWIM_DEAD] = WIRE_NODE_DEAD,
        [SWIM_LEFT] = WIRE_NODE_LEFT,
    };
    return states[state];
}

/* The form of an address never changes: peers compare 4 and 16 bytes as different. */
static struct rc_pack_bytes announced_ip(const struct member *member, uint8_t space[16])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    if (!roster_announced(member)->is_mapped) {
        return gossip_ip_bytes(&member->view.said->address);
    }
    memcpy(space, mapped, sizeof mapped);
    memcpy(space + sizeof mapped, member->view.said->address.ip, 4);
    return (struct rc_pack_bytes){space, 16};
}

static void write_node(const struct member *member, struct rc_buffer *out)
{
    uint8_t space[16];
    struct wire_node node = {
        .name = rc_pack_text(member->view.said->name),
        .address = announced_ip(member, space),
        .port = member->view.said->address.port,
        .meta = roster_announced(member)->meta,
        .incarnation = member->view.incarnation,
        .state = wire_state(member->swim),
        .versions = {.size = WIRE_VERSIONS_SIZE},
    };
    memcpy(node.versions.bytes, member->view.said->versions, WIRE_VERSIONS_SIZE);
    wire_write(&wire_format_node, &node, out);
}

void pushpull_write(struct gossip *g, enum pushpull_kind kind, struct rc_buffer *out)
{
    struct rc_buffer state = {0};

    serf_write_state(g, &state);
    const struct wire_push_pull head = {
        .nodes = (uint32_t)g->roster.list_count,
        .user_state_size = (uint32_t)state.size,
        .join = kind == PUSHPULL_JOIN,
    };
    wire_write_typed(WIRE_PUSH_PULL, &wire_format_push_pull, &head, out);
    for (size_t i = 0; i < g->roster.list_count; i++) {
        write_node(g->roster.list[i], out);
    }
    rc_buffer_append(out, state.bytes, state.size);
    if (state.err != RC_OK) {
        out->err = state.err;
    }
    rc_buffer_fini(&state);
    g->counters.push_pulls++;
}

static int scan_head(struct pushpull_scan *scan, struct rc_pack_bytes content)
{
    struct rc_cursor in = rc_cursor_over(content.at, content.size);

    (void)rc_cursor_u8(&in); /* the type, known to the caller */
    int err = wire_read(&wire_format_push_pull, &in, &scan->head);
    if (err != RC_OK) {
        return err;
    }
    if (scan->head.nodes > ROSTER_MAX || scan->head.user_state_size > PUSHPULL_SIZE_MAX) {
        return RC_ETOOBIG;
    }
    scan->at = (size_t)(in.at - content.at);
    scan->has_head = true;
    return RC_OK;
}

int pushpull_scan(struct pushpull_scan *scan, struct rc_pack_bytes content)
{
    if (!scan->has_head) {
        int err = scan_head(scan, content);
        if (err != RC_OK) {
            return err;
        }
    }
    while (scan->nodes < scan->head.nodes) {
        struct rc_cursor in =
            rc_cursor_over(content.at + scan->at, content.size - scan->at);
        rc_pack_skip(&in);
        if (in.err != RC_OK) {
            return in.err;
        }
        scan->at += (size_t)(in.at - (content.at + scan->at));
        scan->nodes++;
    }
    return content.size - scan->at >= scan->head.user_state_size ? RC_OK : RC_ETRUNCATED;
}

void pushpull_merge(struct gossip *g, struct rc_pack_bytes content,
                    enum pushpull_news news)
{
    struct rc_cursor in = rc_cursor_over(content.at, content.size);
    struct wire_push_pull head;
    struct wire_node node;

    (void)rc_cursor_u8(&in);
    if (wire_read(&wire_format_push_pull, &in, &head) != RC_OK) {
        gossip_refuse(g, GOSSIP_REFUSED_MALFORMED);
        return;
    }
    for (uint32_t i = 0; i < head.nodes; i++) {
        if (wire_read(&wire_format_node, &in, &node) != RC_OK) {
            gossip_refuse(g, GOSSIP_REFUSED_MALFORMED);
            return;
        }
        join_check_see(g, &node);
        swim_merge(g, &node);
    }
    const uint8_t *state = rc_cursor_take(&in, head.user_state_size);
    if (state != NULL && head.user_state_size > 0) {
        struct rc_cursor inside = rc_cursor_over(state, head.user_state_size);
        serf_merge_state(g, &inside,
                         news == PUSHPULL_NEW_EVENTS ? SERF_EVENTS_NEW : SERF_EVENTS_ALL);
    }
}
