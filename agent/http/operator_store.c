/* operator_store.c - the engine of the store, in the words of Consul's operator API.
 *
 * Who counts as a server is whom the engine counts: the members of an etcd cluster, or the one
 * agent that keeps a SQLite file. They are managed with the engine's own tools, so what would
 * change them is refused here with words that say where to go. */
#include <string.h>

#include "agent/gossip/gossip.h"
#include "agent/http/endpoints.h"
#include "agent/http/permit.h"
#include "agent/store/store.h"
#include "base/address.h"
#include "base/text.h"

enum { PLACE_MAX = 80 };

static bool may(struct http_api *api, struct http_exchange *x, enum permit_access access)
{
    return permit(api, x, PERMIT_OPERATOR, "", access);
}

/* The engine's members; where its only one has no address, that is this agent. Of an etcd
 * cluster that was not looked at yet there are none. */
static void read_status(const struct http_api *api, struct engine_status *out)
{
    const struct gossip_member *self = gossip_self(api->gossip);
    struct rc_address address = self->said->address;
    char place[PLACE_MAX];

    api->engine->class->status(api->engine, out);
    struct engine_member *member = &out->members[0];
    if (out->member_count != 1 || member->address[0] != '\0') {
        return;
    }
    address.port = api->facts.server_port;
    rc_address_format(&address, place);
    (void)rc_text_put(member->id, sizeof member->id, api->facts.node_id);
    (void)rc_text_put(member->name, sizeof member->name, api->facts.node_name);
    (void)rc_text_put(member->address, sizeof member->address, place);
    member->is_leader = out->has_leader;
    member->is_voter = true;
    member->answers = out->has_leader;
}

void operator_raft_configuration(struct http_api *api, struct http_exchange *x)
{
    struct engine_status status;

    if (!may(api, x, PERMIT_READ)) {
        return;
    }
    read_status(api, &status);
    struct rc_json json = exchange_json(x);
    rc_json_object(&json);
    rc_json_key(&json, "Servers");
    rc_json_array(&json);
    for (size_t i = 0; i < status.member_count; i++) {
        const struct engine_member *member = &status.members[i];
        rc_json_object(&json);
        rc_json_put_string(&json, "ID", member->id);
        rc_json_put_string(&json, "Node", member->name);
        rc_json_put_string(&json, "Address", member->address);
        rc_json_put_bool(&json, "Leader", member->is_leader);
        rc_json_put_string(&json, "ProtocolVersion", "3");
        rc_json_put_bool(&json, "Voter", member->is_voter);
        rc_json_object_end(&json);
    }
    rc_json_array_end(&json);
    rc_json_put_u64(&json, "Index", status.revision);
    rc_json_object_end(&json);
    exchange_json_end(x);
}

void operator_raft_peer(struct http_api *api, struct http_exchange *x)
{
    const char *id = target_parameter(&x->target, "id");
    const char *address = target_parameter(&x->target, "address");

    if (!may(api, x, PERMIT_WRITE)) {
        return;
    }
    if ((id == NULL || id[0] == '\0') && (address == NULL || address[0] == '\0')) {
        exchange_error(x, 400,
                       "Bad request: Must specify either ?id with the server's ID or "
                       "?address with IP:port of peer to remove");
        return;
    }
    exchange_error(
        x, 501,
        "The engine keeps its own members: of an etcd cluster they are changed "
        "with `etcdctl member`, a SQLite store has one");
}

/* ---- Health. */

struct health {
    size_t voters;
    size_t answering;
    bool is_healthy; /* all answer, somebody leads, no alarm */
};

static struct health health_of(const struct engine_status *status)
{
    struct health health = {.is_healthy = status->has_leader && status->alarm[0] == '\0'};

    for (size_t i = 0; i < status->member_count; i++) {
        health.voters += status->members[i].is_voter;
        health.answering += status->members[i].is_voter && status->members[i].answers;
        health.is_healthy = health.is_healthy && status->members[i].answers;
    }
    return health;
}

/* How many more may fail before a majority is gone. */
static uint64_t tolerance(const struct health *health)
{
    size_t majority = health->voters / 2 + 1;
    return health->answering > majority ? health->answering - majority : 0;
}

static void put_server(const struct http_api *api, struct rc_json *json,
                       const struct engine_status *status,
                       const struct engine_member *member)
{
    rc_json_object(json);
    rc_json_put_string(json, "ID", member->id);
    rc_json_put_string(json, "Name", member->name);
    rc_json_put_string(json, "Address", member->address);
    rc_json_put_string(json, "SerfStatus", member->answers ? "alive" : "failed");
    rc_json_put_string(json, "Version", api->facts.version);
    rc_json_put_bool(json, "Leader", member->is_leader);
    rc_json_put_string(json, "LastContact", "0s");
    rc_json_put_u64(json, "LastTerm", 0);
    rc_json_put_u64(json, "LastIndex", status->revision);
    rc_json_put_bool(json, "Healthy", member->answers);
    rc_json_put_bool(json, "Voter", member->is_voter);
    rc_json_put_string(json, "NodeType", "voter");
    rc_json_put_string(json, "Status", member->is_leader ? "leader" : "voter");
    rc_json_object_end(json);
}

/* Not Consul's: what keeps the store. */
static void put_engine(struct rc_json *json, const struct engine_status *status)
{
    rc_json_put_string(json, "Engine", status->kind);
    rc_json_put_u64(json, "SizeBytes", status->size_bytes);
    rc_json_put_string(json, "Alarm", status->alarm);
}

void operator_autopilot_health(struct http_api *api, struct http_exchange *x)
{
    struct engine_status status;

    if (!may(api, x, PERMIT_READ)) {
        return;
    }
    read_status(api, &status);
    struct health health = health_of(&status);
    struct rc_json json = exchange_json(x);
    rc_json_object(&json);
    rc_json_put_bool(&json, "Healthy", health.is_healthy);
    rc_json_put_u64(&json, "FailureTolerance", tolerance(&health));
    put_engine(&json, &status);
    rc_json_key(&json, "Servers");
    rc_json_array(&json);
    for (size_t i = 0; i < status.member_count; i++) {
        put_server(api, &json, &status, &status.members[i]);
    }
    rc_json_array_end(&json);
    rc_json_object_end(&json);
    exchange_json_end(x);
    x->status = health.is_healthy ? 200 : 429;
}

void operator_autopilot_state(struct http_api *api, struct http_exchange *x)
{
    struct engine_status status;
    const char *leader = "";

    if (!may(api, x, PERMIT_READ)) {
        return;
    }
    read_status(api, &status);
    struct health health = health_of(&status);
    struct rc_json json = exchange_json(x);
    rc_json_object(&json);
    rc_json_put_bool(&json, "Healthy", health.is_healthy);
    rc_json_put_u64(&json, "FailureTolerance", tolerance(&health));
    rc_json_put_u64(&json, "OptimisticFailureTolerance", tolerance(&health));
    put_engine(&json, &status);
    rc_json_put_u64(&json, "SnapshotMs", snapshot_taken_ms(api));
    rc_json_key(&json, "Servers");
    rc_json_object(&json);
    for (size_t i = 0; i < status.member_count; i++) {
        leader = status.members[i].is_leader ? status.members[i].id : leader;
        rc_json_key(&json, status.members[i].id);
        put_server(api, &json, &status, &status.members[i]);
    }
    rc_json_object_end(&json);
    rc_json_put_string(&json, "Leader", leader);
    rc_json_key(&json, "Voters");
    rc_json_array(&json);
    for (size_t i = 0; i < status.member_count; i++) {
        if (status.members[i].is_voter) {
            rc_json_string(&json, status.members[i].id);
        }
    }
    rc_json_array_end(&json);
    rc_json_object_end(&json);
    exchange_json_end(x);
}
