/* Queries and their answers. The first byte chooses: a query's filters, a whole query, an
 * answer in a vote about a name, a response or relay to a member with an open query; the rest
 * is its bytes. What is written anew must be read as what it was. */
#include <stdlib.h>
#include <string.h>

#include "agent/gossip/query_filter.h"
#include "agent/gossip/serf.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { FILTERS, QUERY, VOTE, RESPONSE, KINDS };

static void require(int holds)
{
    if (!holds) {
        abort();
    }
}

/* No filter is empty: that crashes Serf. */
static void check_written(struct rc_pack_bytes raw)
{
    struct rc_cursor in = rc_cursor_over(raw.at, raw.size);
    uint32_t count = rc_pack_read_array(&in);

    require(in.err == RC_OK && count > 0);
    for (uint32_t i = 0; i < count; i++) {
        require(rc_pack_read_bytes(&in).size > 1);
    }
    require(in.err == RC_OK && rc_cursor_left(&in) == 0);
}

static void try_filters(const struct gossip *g, struct rc_pack_bytes raw)
{
    struct rc_buffer out = {0};
    struct rc_buffer again = {0};

    enum query_fit fit = query_filter_judge(raw, gossip_self(g), &out);
    if (fit != QUERY_FAULTY && out.size > 0) {
        struct rc_pack_bytes written = {out.bytes, out.size};
        check_written(written);
        require(query_filter_judge(written, gossip_self(g), &again) == fit);
        require(again.size == out.size && memcmp(again.bytes, out.bytes, out.size) == 0);
    }
    rc_buffer_fini(&out);
    rc_buffer_fini(&again);
}

/* Answers everything that it is asked, with the question. */
static void drain(struct gossip *g)
{
    struct gossip_action action;

    while (gossip_next_action(g, &action)) {
        require(action.type != GOSSIP_SEND_PACKET || action.size <= 1405);
        if (action.type == GOSSIP_QUERY) {
            require(action.name[0] != '\0' && action.asker != NULL);
            (void)gossip_respond(g, 0, action.ltime, action.id, action.bytes,
                                 action.size);
        }
    }
}

static void try_message(struct gossip *g, struct rc_pack_bytes message)
{
    const struct rc_address from = {RC_ADDRESS_IPV4, {10, 0, 0, 2}, 7946};
    struct rc_buffer packet = {0};

    rc_buffer_byte(&packet, WIRE_USER);
    rc_buffer_append(&packet, message.at, message.size);
    gossip_packet(g, 0, &from, packet.bytes, packet.size);
    rc_buffer_fini(&packet);
    drain(g);
}

/* The bytes say the rest of a response whose time and ID are right, after its type. */
static void try_response(struct gossip *g, struct rc_pack_bytes rest)
{
    const struct gossip_query query = {
        .name = "q", .relay_factor = 2, .ack = GOSSIP_QUERY_WITH_ACK};
    struct wire_response response = {.from = rc_pack_text("n2")};
    uint32_t id = 0;

    require(gossip_query(g, 0, &query, &id) == RC_OK);
    drain(g);
    response.id = id;
    response.ltime = g->serf.clocks[GOSSIP_CLOCK_QUERY] - 1;
    response.flags = rest.size > 0 ? rest.at[0] : 0;
    response.payload = rest;
    query_on_response(g, &response);
    response.from = rest;
    query_on_response(g, &response);
    drain(g);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const struct gossip_tag tags[] = {{"rc", "1"}, {"role", "web"}};
    const struct gossip_options options = {
        .name = "alpha",
        .address = {RC_ADDRESS_IPV4, {127, 0, 0, 11}, 17946},
        .tags = tags,
        .tag_count = 2,
        .profile = gossip_profile_find("fast"),
        .random_seed = 1,
    };
    struct gossip *g = NULL;

    if (size < 1 || gossip_create(&options, 0, &g) != RC_OK) {
        return 0;
    }
    struct rc_pack_bytes rest = {bytes + 1, size - 1};
    uint8_t kind = bytes[0] % KINDS;
    if (kind == FILTERS) {
        try_filters(g, rest);
    } else if (kind == QUERY) {
        try_message(g, rest);
    } else if (kind == VOTE) {
        conflict_on_answer(g, rest);
        conflict_decide(g);
    } else {
        try_response(g, rest);
    }
    drain(g);
    for (uint64_t i = 1; i < 20; i++) {
        gossip_tick(g, i * 500 * NS_PER_MS);
        drain(g);
    }
    gossip_destroy(g);
    return 0;
}
