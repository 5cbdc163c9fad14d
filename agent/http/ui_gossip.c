/* ui_gossip.c - how gossip is doing, in figures for the status page. No key leaves it. */
#include "agent/gossip/inspect.h"
#include "agent/http/endpoints.h"
#include "agent/http/visible.h"

enum { LOOK_EVERY_MS = 10000 }; /* a shorter while says little about keys */

static void put_members(const struct http_api *api, struct rc_json *json)
{
    size_t counts[GOSSIP_STATUS_COUNT] = {0};
    const struct gossip_member *member;
    size_t position = 0;
    size_t tcp_only = 0;

    while ((member = gossip_next_member(api->gossip, &position)) != NULL) {
        counts[member->status]++;
        tcp_only += member->tcp_only;
    }
    rc_json_key(json, "Members");
    rc_json_object(json);
    for (unsigned i = 0; i < GOSSIP_STATUS_COUNT; i++) {
        rc_json_put_u64(json, gossip_status_name((enum gossip_status)i), counts[i]);
    }
    rc_json_object_end(json);
    rc_json_put_u64(json, "TCPOnly", tcp_only);
}

static void put_queues(const struct http_api *api, struct rc_json *json)
{
    struct gossip_queue_facts queue;

    rc_json_key(json, "Queues");
    rc_json_object(json);
    for (size_t i = 0; gossip_queue_facts(api->gossip, i, &queue); i++) {
        rc_json_key(json, queue.name);
        rc_json_object(json);
        rc_json_put_u64(json, "Length", queue.count);
        rc_json_put_u64(json, "Max", queue.max);
        rc_json_put_u64(json, "Dropped", queue.dropped);
        rc_json_object_end(json);
    }
    rc_json_object_end(json);
}

static void put_refused(const struct gossip_counters *counters, struct rc_json *json)
{
    rc_json_key(json, "Refused");
    rc_json_object(json);
    for (unsigned i = 0; i < GOSSIP_REFUSAL_COUNT; i++) {
        rc_json_put_u64(json, gossip_refusal_name((enum gossip_refusal)i),
                        counters->refused[i]);
    }
    rc_json_object_end(json);
}

static void put_health(const struct http_api *api, struct rc_json *json)
{
    struct gossip_suspicion suspicion;
    size_t position = 0;
    size_t suspects = 0;

    while (gossip_next_suspicion(api->gossip, &position, &suspicion)) {
        suspects++;
    }
    rc_json_key(json, "Health");
    rc_json_object(json);
    rc_json_put_u64(json, "Score", gossip_health_score(api->gossip));
    rc_json_put_u64(json, "Max", gossip_health_max(api->gossip));
    rc_json_put_bool(json, "Deaf", gossip_is_deaf(api->gossip));
    rc_json_object_end(json);
    rc_json_put_u64(json, "Suspects", suspects);
}

/* Whether all that came since the last look was under our first key. */
static void put_agreement(struct http_api *api, const struct gossip_counters *counters,
                          struct rc_json *json)
{
    uint64_t by_first = counters->opened_first;
    uint64_t otherwise = counters->opened_older + counters->opened_plain +
                         counters->refused[GOSSIP_REFUSED_KEY] +
                         counters->refused[GOSSIP_REFUSED_PLAIN];
    uint64_t news = by_first - api->keys_seen.by_first;
    uint64_t others = otherwise - api->keys_seen.otherwise;

    rc_json_key(json, "Agree");
    if (news + others == 0) {
        rc_json_null(json);
    } else {
        rc_json_bool(json, others == 0);
    }
    if (api->now_ms >= api->keys_seen.at_ms + LOOK_EVERY_MS) {
        api->keys_seen.at_ms = api->now_ms;
        api->keys_seen.by_first = by_first;
        api->keys_seen.otherwise = otherwise;
    }
}

static void put_key_ring(struct http_api *api, const struct gossip_counters *counters,
                         struct rc_json *json)
{
    struct gossip_encryption how;

    gossip_encryption(api->gossip, &how);
    rc_json_key(json, "KeyRing");
    rc_json_object(json);
    rc_json_put_u64(json, "Keys", how.key_count);
    rc_json_put_string(json, "Primary", how.fingerprint);
    rc_json_put_string(json, "Cipher", how.cipher);
    if (how.key_count > 0) {
        put_agreement(api, counters, json);
    } else {
        rc_json_key(json, "Agree");
        rc_json_null(json);
    }
    rc_json_object_end(json);
}

void ui_gossip(struct http_api *api, struct http_exchange *x)
{
    struct gossip_counters counters;

    if (!visible_self(api, x, PERMIT_AGENT, PERMIT_READ)) {
        return;
    }
    gossip_counters(api->gossip, &counters);
    struct rc_json json = exchange_json(x);
    rc_json_object(&json);
    rc_json_put_string(&json, "Node", api->facts.node_name);
    put_members(api, &json);
    put_queues(api, &json);
    put_refused(&counters, &json);
    put_health(api, &json);
    rc_json_put_u64(&json, "Streams", counters.streams_open);
    put_key_ring(api, &counters, &json);
    rc_json_object_end(&json);
    exchange_json_end(x);
}
