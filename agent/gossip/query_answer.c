/* query_answer.c - the questions of others: whom they are for, answers, and help with them. */
#include <stdlib.h>
#include <string.h>

#include "agent/gossip/carrier.h"
#include "agent/gossip/key_query.h"
#include "agent/gossip/query_filter.h"
#include "agent/gossip/serf.h"
#include "agent/gossip/serf_ring.h"
#include "base/err.h"

enum {
    RELAY_PROTOCOL = 5,
    RESPONSE_ROOM = 96 /* what a response has around its name and payload */
};

/* Whom to answer. */
struct asker {
    uint64_t ltime;
    uint32_t id;
    struct rc_address address;
    struct rc_pack_bytes name; /* borrowed */
    uint8_t relay_factor;
};

/* A query the owner was told of. */
struct served {
    struct served *next;
    uint64_t until_ns;
    struct asker asker; /* its name lies behind */
    uint8_t name[];
};

/* ---- Those the owner may still answer. */

static void drop_served(struct gossip *g, struct served **place)
{
    struct served *served = *place;
    *place = served->next;
    free(served);
    g->serf.served_count--;
}

void query_answer_fini(struct gossip *g)
{
    while (g->serf.served != NULL) {
        drop_served(g, &g->serf.served);
    }
    serf_ring_fini(&g->serf.queries);
}

static void drop_expired(struct gossip *g)
{
    struct served **place = &g->serf.served;

    while (*place != NULL) {
        if ((*place)->until_ns <= g->now_ns) {
            drop_served(g, place);
        } else {
            place = &(*place)->next;
        }
    }
}

static bool keep_served(struct gossip *g, const struct asker *asker, uint64_t until_ns)
{
    drop_expired(g);
    if (g->serf.served_count >= GOSSIP_QUERIES_SERVED_MAX) {
        gossip_refuse(g, GOSSIP_REFUSED_TOO_MANY);
        return false;
    }
    struct served *served = malloc(sizeof *served + asker->name.size);
    if (served == NULL) {
        gossip_refuse(g, GOSSIP_REFUSED_NO_MEMORY);
        return false;
    }
    *served =
        (struct served){.next = g->serf.served, .until_ns = until_ns, .asker = *asker};
    if (asker->name.size > 0) {
        memcpy(served->name, asker->name.at, asker->name.size);
    }
    served->asker.name.at = served->name;
    g->serf.served = served;
    g->serf.served_count++;
    return true;
}

/* ---- Answering. */

static bool may_relay(const struct member *member, const struct gossip *g)
{
    return member != g->self && member->serf == SERF_ALIVE &&
           member->view.said->versions[1] >= RELAY_PROTOCOL;
}

static void send_message(struct gossip *g, const struct rc_address *to)
{
    const struct carrier_to alone = {to, NULL, CARRIER_ALONE};
    struct rc_pack_bytes message = {g->message.bytes, g->message.size};

    if (g->message.err == RC_OK) {
        (void)carrier_send(g, &alone, &message, 1);
    }
}

/* To the asker, which may be ourselves. */
static void deliver(struct gossip *g, const struct rc_address *to,
                    const struct wire_response *response)
{
    if (rc_address_equals(to, &g->self->view.said->address)) {
        query_on_response(g, response);
        return;
    }
    rc_buffer_clear(&g->message);
    wire_write_serf(WIRE_SERF_RESPONSE, &wire_format_response, response, &g->message);
    send_message(g, to);
}

/* The same by way of others, in case the straight one gets lost. */
static void send_relays(struct gossip *g, const struct asker *asker,
                        const struct wire_response *response)
{
    struct member *helpers[GOSSIP_QUERY_RELAYS_MAX];
    struct rc_buffer address = {0};
    size_t factor = asker->relay_factor < GOSSIP_QUERY_RELAYS_MAX
                        ? asker->relay_factor
                        : GOSSIP_QUERY_RELAYS_MAX;
    const struct wire_udp_address wire_address = {.ip = gossip_ip_bytes(&asker->address),
                                                  .port = asker->address.port,
                                                  .zone = rc_pack_text("")};

    if (factor == 0 || gossip_member_count(g) < factor + 1) {
        return;
    }
    wire_write(&wire_format_udp_address, &wire_address, &address);
    const struct wire_relay relay = {.raw_address = {address.bytes, address.size},
                                     .name = asker->name};
    size_t count = roster_pick(&g->roster, &g->random, may_relay, g, helpers, factor);
    for (size_t i = 0; i < count && address.err == RC_OK; i++) {
        rc_buffer_clear(&g->message);
        wire_write_serf(WIRE_SERF_RELAY, &wire_format_relay, &relay, &g->message);
        rc_buffer_byte(&g->message, WIRE_SERF_RESPONSE);
        wire_write(&wire_format_response, response, &g->message);
        if (g->message.size - 1 <= GOSSIP_QUERY_SIZE_MAX) { /* Serf's limit here too */
            send_message(g, &helpers[i]->view.said->address);
        }
    }
    rc_buffer_fini(&address);
}

/* RC_OK, RC_ETOOBIG or RC_ENOMEM. */
static int answer(struct gossip *g, const struct asker *asker, uint32_t flags,
                  struct rc_pack_bytes payload)
{
    const struct wire_response response = {
        .ltime = asker->ltime,
        .id = asker->id,
        .from = gossip_own_name(g),
        .flags = flags,
        .payload = payload,
    };
    rc_buffer_clear(&g->message);
    wire_write_serf(WIRE_SERF_RESPONSE, &wire_format_response, &response, &g->message);
    if (g->message.err != RC_OK) {
        return g->message.err;
    }
    if (g->message.size - 1 > GOSSIP_QUERY_SIZE_MAX) { /* the user byte is memberlist's */
        return RC_ETOOBIG;
    }
    deliver(g, &asker->address, &response);
    send_relays(g, asker, &response);
    return RC_OK;
}

int gossip_respond(struct gossip *g, uint64_t now_ns, uint64_t ltime, uint32_t id,
                   const uint8_t *bytes, size_t size)
{
    uint8_t payload[GOSSIP_QUERY_SIZE_MAX]; /* `bytes` may be those of an action */

    if (size > sizeof payload) {
        return RC_ETOOBIG;
    }
    if (size > 0) {
        memcpy(payload, bytes, size);
    }
    g->now_ns = now_ns > g->now_ns ? now_ns : g->now_ns;
    drop_expired(g);
    for (struct served **place = &g->serf.served; *place != NULL;
         place = &(*place)->next) {
        const struct asker *asker = &(*place)->asker;
        if (asker->ltime == ltime && asker->id == id) {
            int err = answer(g, asker, 0, (struct rc_pack_bytes){payload, size});
            if (err == RC_OK) {
                drop_served(g, place);
            }
            return err;
        }
    }
    return RC_ENOTFOUND;
}

/* ---- Serving one. */

static bool is_about_keys(struct rc_pack_bytes name)
{
    static const char *const names[] = {"install-key", "use-key", "remove-key",
                                        "list-keys"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (rc_pack_equals(name, rc_pack_text(names[i]))) {
            return true;
        }
    }
    return false;
}

/* A ping wants nothing but its ack; what we do not know gets no answer. */
static void answer_internal(struct gossip *g, const struct asker *asker,
                            const struct wire_query *query)
{
    struct rc_pack_bytes name = {query->name.at + 6, query->name.size - 6};
    size_t max = GOSSIP_QUERY_SIZE_MAX - RESPONSE_ROOM - gossip_own_name(g).size;
    struct rc_buffer out = {0};
    bool is_answered = false;

    if (rc_pack_equals(name, rc_pack_text("conflict"))) {
        is_answered = conflict_answer(g, query->payload, &out);
    } else if (is_about_keys(name)) {
        is_answered = key_query_answer(g, name, query->payload, max, &out) == RC_OK;
    }
    if (is_answered && out.err == RC_OK &&
        answer(g, asker, 0, (struct rc_pack_bytes){out.bytes, out.size}) != RC_OK) {
        gossip_refuse(g, GOSSIP_REFUSED_TOO_BIG);
    }
    rc_buffer_fini(&out);
}

static void tell_owner(struct gossip *g, const struct asker *asker,
                       const struct wire_query *query)
{
    struct gossip_action action = {
        .type = GOSSIP_QUERY, .ltime = query->ltime, .id = query->id};
    struct rc_buffer name = {0};
    uint64_t timeout_ms = query->timeout_ns / NS_PER_MS;

    if (timeout_ms > GOSSIP_QUERY_TIMEOUT_MAX_MS) {
        timeout_ms = GOSSIP_QUERY_TIMEOUT_MAX_MS;
    }
    if (!keep_served(g, asker, g->now_ns + timeout_ms * NS_PER_MS)) {
        return;
    }
    rc_buffer_append(&name, asker->name.at, asker->name.size);
    action.asker = rc_buffer_string(&name);
    action.timeout_ms = (uint32_t)timeout_ms;
    serf_tell(g, &action, query->name, query->payload);
    rc_buffer_fini(&name);
}

static void serve(struct gossip *g, const struct asker *asker,
                  const struct wire_query *query)
{
    if ((query->flags & WIRE_QUERY_ACK) != 0) {
        (void)answer(g, asker, WIRE_RESPONSE_ACK, (struct rc_pack_bytes){NULL, 0});
    }
    if (query_is_internal(query->name)) {
        answer_internal(g, asker, query);
    } else {
        tell_owner(g, asker, query);
    }
}

/* ---- Receiving. */

static bool is_dangerous(const struct wire_query *query)
{
    /* Key queries without a payload crash Serf; we never pass one on. */
    return query_is_internal(query->name) && query->payload.size == 0 &&
           !rc_pack_equals(query->name, rc_pack_text("_serf_ping")) &&
           !rc_pack_equals(query->name, rc_pack_text("_serf_list-keys"));
}

static bool is_sound(const struct wire_query *query)
{
    return serf_is_name(query->name) && !is_dangerous(query) &&
           query->ltime <= SERF_LTIME_MAX && query->timeout_ns <= INT64_MAX &&
           query->source_node.size <= ANNOUNCED_NAME_MAX &&
           (query->source_node.size == 0 || serf_is_name(query->source_node));
}

/* The filters are written anew into `filters`. */
static bool take_query(struct gossip *g, const struct wire_query *query,
                       struct rc_buffer *filters)
{
    const struct serf_item item = {.ltime = query->ltime, .id = query->id};
    struct asker asker = {.ltime = query->ltime,
                          .id = query->id,
                          .name = query->source_node,
                          .relay_factor = query->relay_factor};

    enum query_fit fit = query_filter_judge(query->raw_filters, &g->self->view, filters);
    if (!is_sound(query) || fit == QUERY_FAULTY) {
        gossip_refuse(g, GOSSIP_REFUSED_MALFORMED);
        return false;
    }
    if (gossip_read_address(g, query->address, query->port, &asker.address) != RC_OK) {
        gossip_refuse(g, GOSSIP_REFUSED_ADDRESS);
        return false;
    }
    serf_witness(g, GOSSIP_CLOCK_QUERY, query->ltime);
    if (query->ltime < g->serf.query_min ||
        !serf_ring_add(g, &g->serf.queries, GOSSIP_CLOCK_QUERY, &item)) {
        return false;
    }
    if ((query->flags & WIRE_QUERY_NO_BROADCAST) == 0) {
        struct wire_query copy = *query;
        copy.raw_filters = (struct rc_pack_bytes){filters->bytes, filters->size};
        serf_spread(g, QUEUE_QUERIES, WIRE_SERF_QUERY, &wire_format_query, &copy);
    }
    if (fit == QUERY_FITS) {
        serve(g, &asker, query);
    }
    return true;
}

bool serf_on_query(struct gossip *g, const struct wire_query *query)
{
    struct rc_buffer filters = {0};
    bool is_taken = take_query(g, query, &filters);

    rc_buffer_fini(&filters);
    return is_taken;
}

/* Somebody has its answer sent by way of us: we pass it on, if it is one. */
void serf_on_relay(struct gossip *g, struct rc_cursor *in)
{
    struct wire_relay relay;
    struct wire_udp_address wire;
    struct wire_response response;
    struct rc_address address;

    if (wire_read(&wire_format_relay, in, &relay) != RC_OK) {
        return;
    }
    struct rc_cursor nested =
        rc_cursor_over(relay.raw_address.at, relay.raw_address.size);
    if (wire_read(&wire_format_udp_address, &nested, &wire) != RC_OK ||
        gossip_read_address(g, wire.ip, wire.port, &address) != RC_OK) {
        gossip_refuse(g, GOSSIP_REFUSED_ADDRESS);
        return;
    }
    if (rc_cursor_u8(in) != WIRE_SERF_RESPONSE ||
        wire_read(&wire_format_response, in, &response) != RC_OK) {
        rc_cursor_fail(in, RC_EMALFORMED);
        return;
    }
    deliver(g, &address, &response);
}
