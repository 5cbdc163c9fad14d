/* queries_uv.c - prepared queries for DNS: from the store, or from a server's by the link. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "agent/agent_uv.h"
#include "agent/forward_uv.h"
#include "agent/http/relay.h"
#include "agent/prepared/prepared_book.h"
#include "agent/query_copy.h"
#include "agent/store/store.h"
#include "agent/store_uv.h"
#include "agent/watch_keys_uv.h"
#include "base/clock.h"
#include "base/entropy.h"
#include "base/err.h"
#include "base/logger.h"
#include "base/text.h"

struct queries_uv {
    struct agent *agent;
    struct query_copy copy;
    struct rc_random random;
    uv_timer_t timer;
    bool is_lost; /* and that was told */
};

/* ---- The copy. */

static void ask(struct queries_uv *uv);

static void on_timer(uv_timer_t *timer)
{
    ask(timer->data);
}

static void arm(struct queries_uv *uv)
{
    uint64_t due_ms = query_copy_due_ms(&uv->copy);
    uint64_t now_ms = rc_clock_ms();

    if (due_ms == UINT64_MAX) {
        (void)uv_timer_stop(&uv->timer);
        return;
    }
    uv_update_time(&uv->agent->loop);
    (void)uv_timer_start(&uv->timer, on_timer, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

static void ask(struct queries_uv *uv)
{
    const struct agent_acl_config *acl = &uv->agent->config.acl;
    const char *token = acl->dns_token != NULL ? acl->dns_token : acl->default_token;
    char target[QUERY_COPY_TARGET_MAX];
    const struct http_relay relay = {
        .method = "GET",
        .target = target,
        .token = token != NULL ? token : "",
        .node = uv->agent->identity.node_name,
    };

    if (uv->agent->forwarder != NULL &&
        query_copy_take(&uv->copy, rc_clock_ms(), target)) {
        forwarder_forward(uv->agent->forwarder, &relay, FORWARDER_OWN_TICKET);
    }
    arm(uv);
}

static void tell(struct queries_uv *uv, const struct http_reply *reply)
{
    bool is_lost = reply->status != 200;

    if (is_lost == uv->is_lost) {
        return;
    }
    uv->is_lost = is_lost;
    if (is_lost) {
        rc_log(
            RC_LOG_INFO, "dns",
            "prepared queries cannot be fetched from a server, the last known stay: %.*s",
            (int)(reply->body_size < 200 ? reply->body_size : 200),
            reply->body_size > 0 ? (const char *)reply->body : "");
    } else {
        rc_log(RC_LOG_INFO, "dns", "prepared queries come from a server again");
    }
}

static bool fill(struct prepared_book *book, const struct http_reply *reply)
{
    json_t *list =
        reply->status == 200 ? json_loadb(reply->body, reply->body_size, 0, NULL) : NULL;
    size_t i;
    json_t *query;

    if (!json_is_array(list)) {
        json_decref(list);
        return false;
    }
    uint64_t index = relay_index(reply);
    prepared_book_begin(book, index > 0 ? index : 1);
    json_array_foreach(list, i, query)
    {
        (void)prepared_book_take(book, query);
    }
    json_decref(list);
    return true;
}

void agent_on_own_reply(void *context, http_ticket ticket, const struct http_reply *reply)
{
    const struct agent *agent = context;
    struct queries_uv *uv = agent->queries_edge;

    if (watch_keys_replied(agent->watch_keys, ticket, reply) || uv == NULL ||
        ticket != FORWARDER_OWN_TICKET) {
        return;
    }
    tell(uv, reply);
    if (fill(agent->queries, reply)) {
        query_copy_answered(&uv->copy, rc_clock_ms(),
                            prepared_book_index(agent->queries));
    } else {
        query_copy_failed(&uv->copy, rc_clock_ms());
    }
    arm(uv);
}

void agent_queries_members_changed(struct agent *agent)
{
    struct queries_uv *uv = agent->queries_edge;

    if (uv == NULL || agent_store(agent) != NULL) {
        return;
    }
    query_copy_pool(&uv->copy, rc_clock_ms(),
                    forwarder_knows_server(agent->forwarder) ? QUERY_COPY_SERVED
                                                             : QUERY_COPY_ALONE);
    arm(uv);
}

/* ---- What DNS asks. */

static const struct prepared_book *book(void *context, enum dns_certainty *certainty)
{
    const struct agent *agent = context;
    struct queries_uv *uv = agent->queries_edge;
    const struct store *store = agent_store(agent);

    *certainty = DNS_CERTAIN;
    if (store != NULL) {
        if (!store_freshness(store, rc_clock_ms()).is_loaded) {
            *certainty = DNS_UNCERTAIN;
        }
        prepared_book_fill(agent->queries, store);
    } else if (uv != NULL) {
        uint64_t now_ms = rc_clock_ms();
        if (!query_copy_is_certain(&uv->copy, now_ms)) {
            *certainty = DNS_UNCERTAIN;
        }
        query_copy_wanted(&uv->copy, now_ms);
        arm(uv);
    }
    return agent->queries;
}

const struct prepared_book *agent_queries_book(struct agent *agent)
{
    enum dns_certainty certainty;
    return book(agent, &certainty);
}

struct origin {
    const struct gossip *gossip;
    const char *name;
    struct gossip_coordinate at;
};

static double distance(void *context, const char *node)
{
    const struct origin *origin = context;
    struct gossip_coordinate there;

    if (strcmp(node, origin->name) == 0) {
        return 0.0;
    }
    return gossip_coordinate(origin->gossip, node, &there) == RC_OK
               ? gossip_coordinate_distance(&origin->at, &there)
               : HUGE_VAL;
}

/* Whoever asks by DNS asks from here. Those as near as each other take turns. */
static void sort(void *context, const char *near, const struct catalog_service **found,
                 size_t count)
{
    const struct agent *agent = context;
    bool is_here = strcmp(near, "_agent") == 0 || strcmp(near, "_ip") == 0;
    struct origin origin = {
        .gossip = agent->gossip,
        .name = is_here ? agent->identity.node_name : near,
    };

    for (size_t i = count; i > 1; i--) {
        size_t k = rc_random_below(&agent->queries_edge->random, i);
        const struct catalog_service *other = found[i - 1];
        found[i - 1] = found[k];
        found[k] = other;
    }
    if (gossip_coordinate(agent->gossip, origin.name, &origin.at) == RC_OK) {
        (void)prepared_sort(found, count, distance, &origin);
    }
}

/* ---- Life. */

int agent_open_queries(struct agent *agent)
{
    struct queries_uv *uv = NULL;
    const struct dns_prepared_source source = {agent, book, sort};

    if (agent->dns_prepared == NULL) {
        return RC_OK; /* nobody asks */
    }
    uv = calloc(1, sizeof *uv);
    if (uv == NULL) {
        return RC_ENOMEM;
    }
    uv->agent = agent;
    query_copy_init(&uv->copy, rc_entropy_u64());
    rc_random_init(&uv->random, rc_entropy_u64());
    (void)uv_timer_init(&agent->loop, &uv->timer);
    uv->timer.data = uv;
    agent->queries_edge = uv;
    dns_prepared_set_source(agent->dns_prepared, &source);
    agent_queries_members_changed(agent);
    return RC_OK;
}

static void on_closed(uv_handle_t *handle)
{
    struct queries_uv *uv = handle->data;

    uv->agent->open--;
    free(uv);
}

void agent_close_queries(struct agent *agent)
{
    const struct dns_prepared_source none = {0};
    struct queries_uv *uv = agent->queries_edge;

    if (uv == NULL) {
        return;
    }
    agent->queries_edge = NULL;
    dns_prepared_set_source(agent->dns_prepared, &none);
    agent->open++;
    uv_close((uv_handle_t *)&uv->timer, on_closed);
}
