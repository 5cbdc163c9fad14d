#include "agent/http/render.h"

#include <string.h>

#include "agent/catalog/catalog.h"
#include "agent/gossip/gossip.h"
#include "base/address.h"

static void put_pairs(struct rc_json *json, const char *key,
                      const struct catalog_pair *pairs, size_t count)
{
    rc_json_key(json, key);
    rc_json_object(json);
    for (size_t i = 0; i < count; i++) {
        rc_json_put_string(json, pairs[i].key, pairs[i].value);
    }
    rc_json_object_end(json);
}

static void put_strings(struct rc_json *json, const char *key, const char *const *strings,
                        size_t count)
{
    rc_json_key(json, key);
    rc_json_array(json);
    for (size_t i = 0; i < count; i++) {
        rc_json_string(json, strings[i]);
    }
    rc_json_array_end(json);
}

static void put_indexes(struct rc_json *json, uint64_t create_index,
                        uint64_t modify_index)
{
    rc_json_put_u64(json, "CreateIndex", create_index);
    rc_json_put_u64(json, "ModifyIndex", modify_index);
}

/* What a service mesh would fill; clients read through it. */
static void put_mesh(struct rc_json *json, const char *proxy, const char *connect)
{
    rc_json_key(json, proxy);
    rc_json_raw(json, "{\"MeshGateway\":{},\"Expose\":{}}");
    rc_json_key(json, connect);
    rc_json_raw(json, "{}");
}

static void put_node_addresses(struct rc_json *json, const struct catalog_node *node)
{
    rc_json_key(json, "TaggedAddresses");
    rc_json_object(json);
    for (size_t i = 0; i < node->tagged_address_count; i++) {
        rc_json_put_string(json, node->tagged_addresses[i].name,
                           node->tagged_addresses[i].address);
    }
    rc_json_object_end(json);
}

static void put_node_facts(struct rc_json *json, const struct catalog_node *node)
{
    rc_json_put_string(json, "ID", node->id);
    rc_json_put_string(json, "Node", node->name);
    rc_json_put_string(json, "Address", node->address);
    rc_json_put_string(json, "Datacenter", node->datacenter);
    put_node_addresses(json, node);
}

void render_node(struct rc_json *json, const struct catalog_node *node)
{
    rc_json_object(json);
    put_node_facts(json, node);
    put_pairs(json, "Meta", node->meta, node->meta_count);
    put_indexes(json, node->create_index, node->modify_index);
    rc_json_object_end(json);
}

static void put_addresses(struct rc_json *json, const char *key,
                          const struct catalog_service *service)
{
    if (service->tagged_address_count == 0) {
        return;
    }
    rc_json_key(json, key);
    rc_json_object(json);
    for (size_t i = 0; i < service->tagged_address_count; i++) {
        rc_json_key(json, service->tagged_addresses[i].name);
        rc_json_object(json);
        rc_json_put_string(json, "Address", service->tagged_addresses[i].address);
        rc_json_put_u64(json, "Port", service->tagged_addresses[i].port);
        rc_json_object_end(json);
    }
    rc_json_object_end(json);
}

static void put_weights(struct rc_json *json, const char *key, int64_t passing,
                        int64_t warning)
{
    rc_json_key(json, key);
    rc_json_object(json);
    rc_json_put_i64(json, "Passing", passing);
    rc_json_put_i64(json, "Warning", warning);
    rc_json_object_end(json);
}

void render_service(struct rc_json *json, const struct catalog_service *service)
{
    rc_json_object(json);
    rc_json_put_string(json, "ID", service->id);
    rc_json_put_string(json, "Service", service->name);
    put_strings(json, "Tags", service->tags, service->tag_count);
    rc_json_put_string(json, "Address", service->address);
    put_addresses(json, "TaggedAddresses", service);
    put_pairs(json, "Meta", service->meta, service->meta_count);
    rc_json_put_u64(json, "Port", service->port);
    put_weights(json, "Weights", service->weight_passing, service->weight_warning);
    rc_json_put_bool(json, "EnableTagOverride", service->enable_tag_override);
    put_mesh(json, "Proxy", "Connect");
    put_indexes(json, service->create_index, service->modify_index);
    rc_json_object_end(json);
}

void render_service_node(struct rc_json *json, const struct catalog_service *service)
{
    const struct catalog_node *node = service->node;

    rc_json_object(json);
    put_node_facts(json, node);
    put_pairs(json, "NodeMeta", node->meta, node->meta_count);
    rc_json_put_string(json, "ServiceKind", "");
    rc_json_put_string(json, "ServiceID", service->id);
    rc_json_put_string(json, "ServiceName", service->name);
    put_strings(json, "ServiceTags", service->tags, service->tag_count);
    rc_json_put_string(json, "ServiceAddress", service->address);
    put_addresses(json, "ServiceTaggedAddresses", service);
    put_weights(json, "ServiceWeights", service->weight_passing, service->weight_warning);
    put_pairs(json, "ServiceMeta", service->meta, service->meta_count);
    rc_json_put_u64(json, "ServicePort", service->port);
    rc_json_put_bool(json, "ServiceEnableTagOverride", service->enable_tag_override);
    put_mesh(json, "ServiceProxy", "ServiceConnect");
    put_indexes(json, service->create_index, service->modify_index);
    rc_json_object_end(json);
}

static void put_check(struct rc_json *json, const struct catalog_check *check)
{
    const struct catalog_service *service =
        check->service_id[0] != '\0'
            ? catalog_service_find(check->node, check->service_id)
            : NULL;

    rc_json_put_string(json, "Node", check->node->name);
    rc_json_put_string(json, "CheckID", check->id);
    rc_json_put_string(json, "Name", check->name);
    rc_json_put_string(json, "Status", check_status_name(check->status));
    rc_json_put_string(json, "Notes", check->notes);
    rc_json_put_string(json, "Output", check->output);
    rc_json_put_string(json, "ServiceID", check->service_id);
    rc_json_put_string(json, "ServiceName", check->service_name);
    put_strings(json, "ServiceTags", service != NULL ? service->tags : NULL,
                service != NULL ? service->tag_count : 0);
    rc_json_put_string(json, "Type", check->type);
    rc_json_key(json, "Definition");
    rc_json_raw(json, check->definition[0] != '\0' ? check->definition : "{}");
    put_indexes(json, check->create_index, check->modify_index);
}

void render_check(struct rc_json *json, const struct catalog_check *check)
{
    rc_json_object(json);
    put_check(json, check);
    rc_json_object_end(json);
}

void render_check_since(struct rc_json *json, const struct catalog_check *check,
                        const struct local_restart *restart, uint64_t now_ms)
{
    rc_json_object(json);
    put_check(json, check);
    rc_json_put_u64(json, "SinceMs", check->since_wall_ms);
    rc_json_put_u64(json, "Flaps", catalog_check_flips(check, now_ms));
    if (restart != NULL) {
        render_restart(json, restart);
    }
    rc_json_object_end(json);
}

void render_instance(struct rc_json *json, const struct catalog_service *service)
{
    const struct catalog_node *node = service->node;

    rc_json_object(json);
    rc_json_key(json, "Node");
    render_node(json, node);
    rc_json_key(json, "Service");
    render_service(json, service);
    rc_json_key(json, "Checks");
    rc_json_array(json);
    for (size_t i = 0; i < node->node_check_count; i++) {
        render_check(json, node->checks[i]);
    }
    for (size_t i = 0; i < service->check_count; i++) {
        render_check(json, service->checks[i]);
    }
    rc_json_array_end(json);
    rc_json_object_end(json);
}

/* A node's id does not travel as a tag: 36 random digits in every exchange of states would be
 * a sixth of an idle pool's traffic, and the node's record has it. */
static void put_tags_and_id(struct rc_json *json, const struct gossip_member *member,
                            const char *id)
{
    bool is_due = id[0] != '\0' && gossip_member_tag(member, "id") == NULL;

    for (size_t i = 0; i < member->said->tag_count; i++) {
        if (is_due && strcmp(member->said->tags[i].key, "id") > 0) {
            rc_json_put_string(json, "id", id);
            is_due = false;
        }
        rc_json_put_string(json, member->said->tags[i].key, member->said->tags[i].value);
    }
    if (is_due) {
        rc_json_put_string(json, "id", id);
    }
}

void render_member(struct rc_json *json, const struct gossip_member *member,
                   const struct catalog *catalog)
{
    const struct catalog_node *node = catalog_node_find(catalog, member->said->name);
    /* Serf's numbers; a suspect still counts as alive. */
    static const unsigned numbers[GOSSIP_STATUS_COUNT] = {
        [GOSSIP_ALIVE] = 1, [GOSSIP_SUSPECT] = 1, [GOSSIP_LEAVING] = 2,
        [GOSSIP_LEFT] = 3,  [GOSSIP_FAILED] = 4,
    };
    static const char *const versions[] = {"ProtocolMin", "ProtocolMax", "ProtocolCur",
                                           "DelegateMin", "DelegateMax", "DelegateCur"};
    char address[RC_ADDRESS_TEXT_MAX];

    rc_address_format_ip(&member->said->address, address);
    rc_json_object(json);
    rc_json_put_string(json, "Name", member->said->name);
    rc_json_put_string(json, "Addr", address);
    rc_json_put_u64(json, "Port", member->said->address.port);
    rc_json_key(json, "Tags");
    rc_json_object(json);
    put_tags_and_id(json, member, node != NULL ? node->id : "");
    rc_json_object_end(json);
    rc_json_put_u64(json, "Status", numbers[member->status]);
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        rc_json_put_u64(json, versions[i], member->said->versions[i]);
    }
    rc_json_object_end(json);
}

void render_coordinate(struct rc_json *json, const struct gossip_coordinate *coordinate)
{
    rc_json_object(json);
    rc_json_key(json, "Vec");
    rc_json_array(json);
    for (size_t i = 0; i < sizeof coordinate->vec / sizeof coordinate->vec[0]; i++) {
        rc_json_double(json, coordinate->vec[i]);
    }
    rc_json_array_end(json);
    rc_json_key(json, "Error");
    rc_json_double(json, coordinate->error);
    rc_json_key(json, "Adjustment");
    rc_json_double(json, coordinate->adjustment);
    rc_json_key(json, "Height");
    rc_json_double(json, coordinate->height);
    rc_json_object_end(json);
}
