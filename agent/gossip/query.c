/* query.c - asking the whole pool a question. */
#include "agent/gossip/query.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/gossip/carrier.h"
#include "agent/gossip/query_filter.h"
#include "agent/gossip/serf.h"
#include "base/err.h"

enum { TIMEOUT_TICKS = 16 }; /* Serf's QueryTimeoutMult */

enum heard { HEARD_ACK, HEARD_RESPONSE, HEARD_COUNT };

/* One of ours that waits for answers. */
struct query {
    struct deadline deadline;
    uint64_t ltime;
    uint32_t id;
    enum query_use use;
    bool wants_ack;
    struct rc_table *heard[HEARD_COUNT]; /* from whom; the values mean nothing */
};

static void free_query(struct query *query)
{
    for (size_t i = 0; i < HEARD_COUNT; i++) {
        rc_table_destroy(query->heard[i]);
    }
    free(query);
}

void query_fini(struct gossip *g)
{
    for (size_t i = 0; i < g->serf.asked_count; i++) {
        free_query(g->serf.asked[i]);
    }
    g->serf.asked_count = 0;
}

bool query_is_internal(struct rc_pack_bytes name)
{
    return name.size >= 6 && memcmp(name.at, "_serf_", 6) == 0;
}

uint32_t gossip_query_timeout_ms(const struct gossip *g)
{
    uint32_t digits = gossip_retransmits(g) / g->profile->retransmit_mult;
    return g->profile->gossip_every_ms * TIMEOUT_TICKS * digits;
}

/* ---- Asking. */

static struct query *find(const struct gossip *g, uint64_t ltime, uint32_t id)
{
    for (size_t i = 0; i < g->serf.asked_count; i++) {
        struct query *query = g->serf.asked[i];
        if (query->ltime == ltime && query->id == id) {
            return query;
        }
    }
    return NULL;
}

static int open_query(struct gossip *g, const struct wire_query *wire, enum query_use use,
                      uint64_t timeout_ms)
{
    if (g->serf.asked_count == GOSSIP_QUERIES_MAX) {
        return RC_ETOOBIG;
    }
    struct query *query = calloc(1, sizeof *query);
    if (query == NULL) {
        return RC_ENOMEM;
    }
    query->ltime = wire->ltime;
    query->id = wire->id;
    query->use = use;
    query->wants_ack = (wire->flags & WIRE_QUERY_ACK) != 0;
    query->deadline.kind = DEADLINE_QUERY;
    query->deadline.owner = query;
    for (size_t i = 0; i < HEARD_COUNT; i++) {
        query->heard[i] = rc_table_create(g->hash_seed);
    }
    if (query->heard[HEARD_ACK] == NULL || query->heard[HEARD_RESPONSE] == NULL ||
        deadline_set(&g->deadlines, &query->deadline,
                     g->now_ns + timeout_ms * NS_PER_MS) != RC_OK) {
        free_query(query);
        return RC_ENOMEM;
    }
    g->serf.asked[g->serf.asked_count++] = query;
    return RC_OK;
}

static void close_query(struct gossip *g, struct query *query)
{
    for (size_t i = 0; i < g->serf.asked_count; i++) {
        if (g->serf.asked[i] == query) {
            g->serf.asked[i] = g->serf.asked[--g->serf.asked_count];
            break;
        }
    }
    deadline_clear(&g->deadlines, &query->deadline);
    free_query(query);
}

/* What Serf would refuse at the door: too large for the packet. */
static int check_size(const struct wire_query *wire)
{
    struct rc_buffer message = {0};

    rc_buffer_byte(&message, WIRE_SERF_QUERY);
    wire_write(&wire_format_query, wire, &message);
    int err = message.err;
    if (err == RC_OK && message.size > GOSSIP_QUERY_SIZE_MAX) {
        err = RC_ETOOBIG;
    }
    rc_buffer_fini(&message);
    return err;
}

static void send_straight(struct gossip *g, const struct gossip_query *query,
                          const struct wire_query *wire)
{
    for (size_t i = 0; i < query->node_count; i++) {
        const struct member *member =
            roster_find(&g->roster, rc_pack_text(query->nodes[i]));
        if (member == NULL || member == g->self) {
            continue;
        }
        const struct carrier_to to = {&member->view.said->address, member, CARRIER_ALONE};
        rc_buffer_clear(&g->message);
        wire_write_serf(WIRE_SERF_QUERY, &wire_format_query, wire, &g->message);
        struct rc_pack_bytes message = {g->message.bytes, g->message.size};
        if (g->message.err == RC_OK) {
            (void)carrier_send(g, &to, &message, 1);
        }
    }
}

/* Opens it and has it spread; we hear it ourselves first, as Serf does. */
static int launch(struct gossip *g, const struct gossip_query *query,
                  struct wire_query *wire, enum query_use use)
{
    uint32_t timeout_ms = (uint32_t)(wire->timeout_ns / NS_PER_MS);

    int err = check_size(wire);
    if (err == RC_OK) {
        err = open_query(g, wire, use, timeout_ms);
    }
    if (err != RC_OK) {
        return err;
    }
    if (!serf_on_query(g, wire)) { /* no room in the ring of those we have seen */
        close_query(g, g->serf.asked[g->serf.asked_count - 1]);
        return RC_ETOOBIG;
    }
    if (query->reach == GOSSIP_QUERY_STRAIGHT) {
        send_straight(g, query, wire);
    }
    return RC_OK;
}

static bool is_sound(const struct gossip_query *query)
{
    bool is_straight = query->reach == GOSSIP_QUERY_STRAIGHT;

    return query->name != NULL && query->name[0] != '\0' &&
           query->relay_factor <= GOSSIP_QUERY_RELAYS_MAX &&
           query->timeout_ms <= GOSSIP_QUERY_TIMEOUT_MAX_MS &&
           (!is_straight || query->node_count > 0);
}

int query_ask_for(struct gossip *g, const struct gossip_query *query, enum query_use use,
                  uint32_t *id_out)
{
    struct rc_buffer filters = {0};

    if (!is_sound(query)) {
        return RC_EINVAL;
    }
    if (g->leave.stage != LEAVE_NOT) {
        return RC_ECLOSED;
    }
    uint32_t timeout_ms =
        query->timeout_ms > 0 ? query->timeout_ms : gossip_query_timeout_ms(g);
    uint32_t is_acked = query->ack == GOSSIP_QUERY_WITH_ACK ? WIRE_QUERY_ACK : 0;
    uint32_t is_straight =
        query->reach == GOSSIP_QUERY_STRAIGHT ? WIRE_QUERY_NO_BROADCAST : 0;
    struct wire_query wire = {
        .ltime = g->serf.clocks[GOSSIP_CLOCK_QUERY],
        .id = (uint32_t)rc_random_next(&g->random),
        .address = gossip_ip_bytes(&g->self->view.said->address),
        .port = g->self->view.said->address.port,
        .source_node = gossip_own_name(g),
        .flags = is_acked | is_straight,
        .relay_factor = query->relay_factor,
        .timeout_ns = (uint64_t)timeout_ms * NS_PER_MS,
        .name = rc_pack_text(query->name),
        .payload = {query->payload, query->size},
    };
    int err = query_filter_write(query, &filters);
    if (err == RC_OK) {
        wire.raw_filters = (struct rc_pack_bytes){filters.bytes, filters.size};
        err = launch(g, query, &wire, use);
    }
    rc_buffer_fini(&filters);
    if (err == RC_OK) {
        *id_out = wire.id;
    }
    return err;
}

int query_ask(struct gossip *g, const struct gossip_query *query, uint32_t *id_out)
{
    return query_ask_for(g, query, QUERY_OF_OWNER, id_out);
}

int gossip_query(struct gossip *g, uint64_t now_ns, const struct gossip_query *query,
                 uint32_t *id_out)
{
    struct rc_pack_bytes name = {NULL, 0};

    g->now_ns = now_ns > g->now_ns ? now_ns : g->now_ns;
    if (query->name != NULL) {
        name = rc_pack_text(query->name);
    }
    if (query_is_internal(name) &&
        (!rc_pack_equals(name, rc_pack_text("_serf_ping")) || query->size > 0)) {
        return RC_EINVAL;
    }
    return query_ask(g, query, id_out);
}

/* ---- Hearing. */

/* True the first time that `from` says so. */
static bool is_first(struct gossip *g, struct query *query, enum heard what,
                     struct rc_pack_bytes from)
{
    struct rc_table *table = query->heard[what];

    if (rc_table_get_bytes(table, from.at, from.size) != NULL) {
        return false;
    }
    if (rc_table_count(table) >= ROSTER_MAX ||
        rc_table_put_bytes(table, from.at, from.size, query, NULL) != RC_OK) {
        gossip_refuse(g, GOSSIP_REFUSED_TOO_MANY);
        return false;
    }
    return true;
}

void query_on_response(struct gossip *g, const struct wire_response *response)
{
    struct query *query = find(g, response->ltime, response->id);
    bool is_ack = (response->flags & WIRE_RESPONSE_ACK) != 0;

    if (query == NULL || (is_ack && !query->wants_ack)) {
        gossip_refuse(g, GOSSIP_REFUSED_STALE);
        return;
    }
    if (!serf_is_name(response->from) || response->from.size > ANNOUNCED_NAME_MAX) {
        gossip_refuse(g, GOSSIP_REFUSED_NAME);
        return;
    }
    if (!is_first(g, query, is_ack ? HEARD_ACK : HEARD_RESPONSE, response->from)) {
        return; /* relayed, or repeated by the network */
    }
    if (query->use == QUERY_OF_CONFLICT) {
        if (!is_ack) {
            conflict_on_answer(g, response->payload);
        }
        return;
    }
    struct gossip_action action = {.type =
                                       is_ack ? GOSSIP_QUERY_ACK : GOSSIP_QUERY_RESPONSE,
                                   .ltime = query->ltime,
                                   .id = query->id};
    serf_tell(g, &action, response->from,
              is_ack ? (struct rc_pack_bytes){NULL, 0} : response->payload);
}

void query_expired(struct gossip *g, struct query *query)
{
    const struct gossip_action done = {
        .type = GOSSIP_QUERY_DONE, .ltime = query->ltime, .id = query->id};
    enum query_use use = query->use;

    close_query(g, query);
    if (use == QUERY_OF_CONFLICT) {
        conflict_decide(g);
    } else {
        gossip_tell(g, &done);
    }
}
