/* agent_debug.c - how gossip is doing, for whoever wonders: an endpoint of ours. */
#include "agent/catalog/catalog.h"
#include "agent/gossip/inspect.h"
#include "agent/http/endpoints.h"
#include "agent/http/visible.h"

enum { NS_IN_MS = 1000000 };

static uint64_t ago_ms(const struct http_api *api, uint64_t at_ns)
{
    uint64_t at_ms = at_ns / NS_IN_MS;
    return api->now_ms > at_ms ? api->now_ms - at_ms : 0;
}

static void put_address(struct rc_json *json, const struct rc_address *address)
{
    char text[RC_ADDRESS_TEXT_MAX];

    if (address->port == 0) {
        rc_address_format_ip(address, text);
    } else {
        rc_address_format(address, text);
    }
    rc_json_put_string(json, "Address", text);
}

static void put_health(const struct http_api *api, struct rc_json *json)
{
    struct gossip_doubt doubt;

    rc_json_key(json, "Health");
    rc_json_object(json);
    rc_json_put_u64(json, "Score", gossip_health_score(api->gossip));
    rc_json_put_u64(json, "Max", gossip_health_max(api->gossip));
    rc_json_put_bool(json, "Deaf", gossip_is_deaf(api->gossip));
    rc_json_key(json, "Doubts");
    rc_json_array(json);
    for (size_t i = 0; gossip_doubt(api->gossip, i, &doubt); i++) {
        rc_json_object(json);
        rc_json_put_u64(json, "AgoMs", ago_ms(api, doubt.at_ns));
        rc_json_put_u64(json, "Score", doubt.score);
        rc_json_put_string(json, "Why", doubt.why);
        rc_json_object_end(json);
    }
    rc_json_array_end(json);
    rc_json_object_end(json);
}

static void put_queues(const struct http_api *api, struct rc_json *json)
{
    struct gossip_queue_facts queue;

    rc_json_key(json, "Queues");
    rc_json_array(json);
    for (size_t i = 0; gossip_queue_facts(api->gossip, i, &queue); i++) {
        rc_json_object(json);
        rc_json_put_string(json, "Name", queue.name);
        rc_json_put_u64(json, "Length", queue.count);
        rc_json_put_u64(json, "Max", queue.max);
        rc_json_put_u64(json, "Dropped", queue.dropped);
        rc_json_put_u64(json, "TooLarge", queue.refused);
        rc_json_object_end(json);
    }
    rc_json_array_end(json);
}

static void put_suspicions(const struct http_api *api, struct rc_json *json)
{
    struct gossip_suspicion suspicion;
    size_t position = 0;

    rc_json_key(json, "Suspicions");
    rc_json_array(json);
    while (gossip_next_suspicion(api->gossip, &position, &suspicion)) {
        uint64_t ends_ms = suspicion.ends_ns / NS_IN_MS;
        rc_json_object(json);
        rc_json_put_string(json, "Member", suspicion.member->said->name);
        rc_json_put_u64(json, "Incarnation", suspicion.member->incarnation);
        rc_json_put_u64(json, "AgoMs", ago_ms(api, suspicion.since_ns));
        rc_json_put_u64(json, "LeftMs",
                        ends_ms > api->now_ms ? ends_ms - api->now_ms : 0);
        rc_json_put_u64(json, "Confirmations", suspicion.confirmations);
        rc_json_put_u64(json, "Wanted", suspicion.wanted);
        rc_json_put_bool(json, "AnsweredUs", suspicion.has_answered);
        rc_json_object_end(json);
    }
    rc_json_array_end(json);
}

static void put_transitions(const struct http_api *api, struct rc_json *json)
{
    struct gossip_transition transition;

    rc_json_key(json, "Transitions");
    rc_json_array(json);
    for (size_t i = 0; gossip_transition(api->gossip, i, &transition); i++) {
        rc_json_object(json);
        rc_json_put_u64(json, "AgoMs", ago_ms(api, transition.at_ns));
        rc_json_put_string(json, "Member", transition.member);
        rc_json_put_u64(json, "Incarnation", transition.incarnation);
        rc_json_put_string(json, "From", transition.from);
        rc_json_put_string(json, "To", transition.to);
        rc_json_put_string(json, "Why", transition.why);
        rc_json_object_end(json);
    }
    rc_json_array_end(json);
}

static void put_refusals(const struct http_api *api, struct rc_json *json)
{
    struct gossip_offender offender;

    rc_json_key(json, "Refusals");
    rc_json_array(json);
    for (size_t i = 0; gossip_offender(api->gossip, i, &offender); i++) {
        rc_json_object(json);
        put_address(json, &offender.address);
        rc_json_put_string(json, "Member", offender.member);
        rc_json_put_string(json, "Reason", gossip_refusal_name(offender.reason));
        rc_json_put_u64(json, "Count", offender.count);
        rc_json_put_u64(json, "AgoMs", ago_ms(api, offender.last_ns));
        rc_json_object_end(json);
    }
    rc_json_array_end(json);
}

static void put_tcp_only(const struct http_api *api, struct rc_json *json)
{
    const struct gossip_member *member;
    size_t position = 0;

    rc_json_key(json, "TCPOnly");
    rc_json_array(json);
    while ((member = gossip_next_member(api->gossip, &position)) != NULL) {
        if (member->tcp_only) {
            rc_json_object(json);
            rc_json_put_string(json, "Member", member->said->name);
            put_address(json, &member->said->address);
            rc_json_object_end(json);
        }
    }
    rc_json_array_end(json);
}

static void put_keyring(const struct http_api *api,
                        const struct gossip_counters *counters, struct rc_json *json)
{
    struct gossip_encryption how;

    gossip_encryption(api->gossip, &how);
    rc_json_key(json, "Keyring");
    rc_json_object(json);
    rc_json_put_string(json, "Cipher", how.cipher);
    rc_json_put_u64(json, "Keys", how.key_count);
    rc_json_put_bool(json, "TakesPlain", how.cover.takes_plain);
    rc_json_put_bool(json, "SendsPlain", how.cover.sends_plain);
    rc_json_put_u64(json, "Changes", counters->keys_changed);
    rc_json_put_u64(json, "OpenedByFirst", counters->opened_first);
    rc_json_put_u64(json, "OpenedByOlder", counters->opened_older);
    rc_json_put_u64(json, "OpenedPlain", counters->opened_plain);
    rc_json_object_end(json);
}

static void put_probes(const struct gossip_counters *counters, struct rc_json *json)
{
    rc_json_key(json, "Probes");
    rc_json_object(json);
    rc_json_put_u64(json, "Sent", counters->probes);
    rc_json_put_u64(json, "SecondOpinions", counters->second_opinions);
    rc_json_put_u64(json, "NeededOthers", counters->probes_indirect);
    rc_json_put_u64(json, "SavedByTCP", counters->probes_by_tcp);
    rc_json_put_u64(json, "Failed", counters->probes_failed);
    rc_json_put_u64(json, "NacksReceived", counters->nacks_in);
    rc_json_put_u64(json, "NacksSent", counters->nacks_out);
    rc_json_put_u64(json, "Suspicions", counters->suspicions);
    rc_json_put_u64(json, "Confirmations", counters->confirmations);
    rc_json_put_u64(json, "RunOut", counters->suspicions_fired);
    rc_json_put_u64(json, "WeRefuted", counters->refutations);
    rc_json_put_u64(json, "KeptToOurselves", counters->accusations_kept);
    rc_json_put_u64(json, "Pauses", counters->pauses);
    rc_json_object_end(json);
}

static void put_catalog(const struct http_api *api, struct rc_json *json)
{
    const struct catalog_counters *counters = catalog_counters(api->catalog);

    rc_json_key(json, "Catalog");
    rc_json_object(json);
    rc_json_put_u64(json, "RumoursSent", counters->rumours_sent);
    rc_json_put_u64(json, "RumoursReceived", counters->rumours_received);
    rc_json_put_u64(json, "RumoursStale", counters->rumours_stale);
    rc_json_put_u64(json, "RumoursGap", counters->rumours_gap);
    rc_json_put_u64(json, "RumoursDropped", counters->rumours_dropped);
    rc_json_put_u64(json, "SyncsStarted", counters->syncs_started);
    rc_json_put_u64(json, "SyncsServed", counters->syncs_served);
    rc_json_put_u64(json, "SyncsFailed", counters->syncs_failed);
    rc_json_put_u64(json, "SyncsRefused", counters->syncs_refused);
    rc_json_put_u64(json, "SyncBytesSent", counters->sync_bytes_sent);
    rc_json_put_u64(json, "SyncBytesReceived", counters->sync_bytes_received);
    rc_json_object_end(json);
}

void agent_debug_gossip(struct http_api *api, struct http_exchange *x)
{
    struct gossip_counters counters;

    if (!permit(api, x, PERMIT_OPERATOR, "", PERMIT_READ)) {
        return;
    }
    struct rc_json json = exchange_json(x);
    gossip_counters(api->gossip, &counters);
    rc_json_object(&json);
    rc_json_put_string(&json, "Node", api->facts.node_name);
    rc_json_put_u64(&json, "WallMs", api->wall_ms);
    rc_json_put_u64(&json, "StreamsOpen", counters.streams_open);
    put_health(api, &json);
    put_queues(api, &json);
    put_suspicions(api, &json);
    put_refusals(api, &json);
    put_tcp_only(api, &json);
    put_keyring(api, &counters, &json);
    put_probes(&counters, &json);
    put_catalog(api, &json);
    put_transitions(api, &json);
    rc_json_object_end(&json);
    exchange_json_end(x);
}
