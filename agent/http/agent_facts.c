#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/catalog/catalog.h"
#include "agent/gossip/gossip.h"
#include "agent/http/endpoints.h"
#include "agent/http/permits.h"
#include "agent/http/render.h"
#include "agent/http/visible.h"
#include "base/text.h"

enum { NS_IN_MS = 1000000 };

/* In Stats every value is a string, numbers too. */
static void put_number(struct rc_json *json, const char *key, uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    rc_json_put_string(json, key, text);
}

static void put_flag(struct rc_json *json, const char *key, bool value)
{
    rc_json_put_string(json, key, value ? "true" : "false");
}

static void put_config(const struct http_api *api, struct rc_json *json)
{
    const struct http_facts *facts = &api->facts;

    rc_json_key(json, "Config");
    rc_json_object(json);
    rc_json_put_string(json, "Datacenter", facts->datacenter);
    rc_json_put_string(json, "NodeName", facts->node_name);
    rc_json_put_string(json, "NodeID", facts->node_id);
    rc_json_put_string(json, "Revision", facts->revision);
    rc_json_put_bool(json, "Server", facts->server);
    rc_json_put_string(json, "Version", facts->version);
    /* Patroni looks for it, in ns, when its TTL was refused. */
    rc_json_put_u64(json, "SessionTTLMin", facts->session_ttl_min_ms * NS_IN_MS);
    rc_json_object_end(json);
    rc_json_key(json, "DebugConfig");
    rc_json_raw(json, facts->settings != NULL ? facts->settings : "{}");
}

static void put_member(const struct http_api *api, struct rc_json *json)
{
    struct gossip_coordinate coordinate = {0};

    (void)gossip_coordinate(api->gossip, api->facts.node_name,
                            &coordinate); /* or zeros */
    rc_json_key(json, "Coord");
    render_coordinate(json, &coordinate);
    rc_json_key(json, "Member");
    render_member(json, gossip_self(api->gossip), api->catalog);
}

static void put_agent_stats(const struct http_api *api, struct rc_json *json)
{
    struct local_check check;
    size_t position = 0;
    uint64_t ttls = 0;

    while (local_next_check(api->local, &position, &check)) {
        ttls += rc_text_equals(check.type, "ttl") ? 1 : 0;
    }
    rc_json_key(json, "agent");
    rc_json_object(json);
    put_number(json, "check_ttls", ttls);
    put_number(json, "checks", local_check_count(api->local));
    put_number(json, "services", local_service_count(api->local));
    rc_json_object_end(json);
}

static void put_store_stats(const struct http_api *api, struct rc_json *json)
{
    const char *engine = api->facts.store_engine;

    rc_json_key(json, "store");
    rc_json_object(json);
    rc_json_put_string(json, "engine", engine != NULL ? engine : "none");
    if (api->store != NULL) {
        struct store_freshness freshness = store_freshness(api->store, api->now_ms);
        put_flag(json, "loaded", freshness.is_loaded);
        put_flag(json, "leader_known", freshness.knows_leader);
        put_number(json, "age_ms", freshness.age_ms);
        put_flag(json, "conflict", api->store_trouble != NULL);
    }
    rc_json_object_end(json);
}

static void put_build_stats(const struct http_api *api, struct rc_json *json)
{
    rc_json_key(json, "build");
    rc_json_object(json);
    rc_json_put_string(json, "prerelease", "");
    rc_json_put_string(json, "revision", api->facts.revision);
    rc_json_put_string(json, "version", api->facts.version);
    rc_json_object_end(json);
    rc_json_key(json, "consul");
    rc_json_object(json);
    rc_json_put_string(json, "acl",
                       permits_are_used(api->permits) ? "enabled" : "disabled");
    rc_json_put_string(json, "known_datacenters", "1");
    put_flag(json, "server", api->facts.server);
    rc_json_object_end(json);
    rc_json_key(json, "runtime");
    rc_json_object(json);
    put_number(json, "cpu_count", (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
    rc_json_put_string(json, "os", "linux");
    rc_json_object_end(json);
}

static void put_encryption_stats(const struct http_api *api, struct rc_json *json)
{
    struct gossip_counters counters;
    struct gossip_encryption how;

    gossip_counters(api->gossip, &counters);
    gossip_encryption(api->gossip, &how);
    rc_json_key(json, "encryption");
    rc_json_object(json);
    rc_json_put_string(json, "cipher", how.cipher);
    put_number(json, "keys", how.key_count);
    put_number(json, "opened_by_first_key", counters.opened_first);
    put_number(json, "opened_by_older_key", counters.opened_older);
    put_number(json, "opened_plain", counters.opened_plain);
    put_number(json, "refused_key", counters.refused[GOSSIP_REFUSED_KEY]);
    put_number(json, "refused_plain", counters.refused[GOSSIP_REFUSED_PLAIN]);
    put_flag(json, "verify_incoming", how.key_count > 0 && !how.cover.takes_plain);
    put_flag(json, "verify_outgoing", how.key_count > 0 && !how.cover.sends_plain);
    rc_json_object_end(json);
}

static void put_gossip_stats(const struct http_api *api, struct rc_json *json)
{
    uint64_t statuses[GOSSIP_STATUS_COUNT] = {0};
    uint64_t clocks[3] = {0};
    size_t position = 0;
    const struct gossip_member *member = gossip_next_member(api->gossip, &position);

    while (member != NULL) {
        statuses[member->status]++;
        member = gossip_next_member(api->gossip, &position);
    }
    gossip_clocks(api->gossip, clocks);
    rc_json_key(json, "serf_lan");
    rc_json_object(json);
    put_flag(json, "encrypted", gossip_is_encrypted(api->gossip));
    put_number(json, "event_time", clocks[1]);
    put_number(json, "failed", statuses[GOSSIP_FAILED]);
    put_number(json, "health_score", gossip_health_score(api->gossip));
    put_number(json, "left", statuses[GOSSIP_LEFT]);
    put_number(json, "member_time", clocks[0]);
    put_number(json, "members", gossip_member_count(api->gossip));
    put_number(json, "query_time", clocks[2]);
    put_number(json, "suspect", statuses[GOSSIP_SUSPECT]);
    rc_json_object_end(json);
}

void agent_self(struct http_api *api, struct http_exchange *x)
{
    if (!query_begin(api, x) || !visible_self(api, x, PERMIT_AGENT, PERMIT_READ)) {
        return;
    }
    const struct catalog_node *self = catalog_self(api->catalog);
    struct rc_json json = exchange_json(x);
    rc_json_object(&json);
    put_config(api, &json);
    put_member(api, &json);
    rc_json_key(&json, "Stats");
    rc_json_object(&json);
    put_agent_stats(api, &json);
    put_build_stats(api, &json);
    put_encryption_stats(api, &json);
    if (api->operations.describe_links != NULL) {
        rc_json_key(&json, "link");
        api->operations.describe_links(api->operations.context, &json);
    }
    put_gossip_stats(api, &json);
    put_store_stats(api, &json);
    rc_json_object_end(&json);
    rc_json_key(&json, "Meta");
    rc_json_object(&json);
    for (size_t i = 0; i < self->meta_count; i++) {
        rc_json_put_string(&json, self->meta[i].key, self->meta[i].value);
    }
    rc_json_object_end(&json);
    rc_json_object_end(&json);
    exchange_json_end(x);
}

void agent_members(struct http_api *api, struct http_exchange *x)
{
    size_t position = 0;

    if (!query_begin(api, x) || request_knows_members(api, x)) {
        return; /* Consul's list does not block; with ?index= ours does */
    }
    bool wan = target_parameter(&x->target, "wan") != NULL; /* there is no such pool */
    struct rc_json json = exchange_json(x);
    rc_json_array(&json);
    const struct gossip_member *member =
        wan ? NULL : gossip_next_member(api->gossip, &position);
    while (member != NULL) {
        if (permit_shows(api, x, PERMIT_NODE, member->said->name)) {
            render_member(&json, member, api->catalog);
        }
        member = gossip_next_member(api->gossip, &position);
    }
    rc_json_array_end(&json);
    exchange_json_end(x);
}

void agent_version(struct http_api *api, struct http_exchange *x)
{
    struct rc_json json = exchange_json(x);

    rc_json_object(&json);
    rc_json_put_string(&json, "SHA", api->facts.revision);
    rc_json_put_string(&json, "HumanVersion", api->facts.version);
    rc_json_put_string(&json, "FIPS", "");
    rc_json_object_end(&json);
    exchange_json_end(x);
}
