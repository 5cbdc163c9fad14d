#include <inttypes.h>
#include <stdio.h>

#include "agent/catalog/definition.h"
#include "agent/http/render.h"
#include "agent/local/local.h"

static const char *or_empty(const char *text)
{
    return text != NULL ? text : "";
}

static void put_tags(struct rc_json *json, const char *key,
                     const struct local_service *service)
{
    rc_json_key(json, key);
    rc_json_array(json);
    for (size_t i = 0; service != NULL && i < service->tag_count; i++) {
        rc_json_string(json, service->tags[i]);
    }
    rc_json_array_end(json);
}

static void put_meta(struct rc_json *json, const struct definition_pairs *meta)
{
    rc_json_key(json, "Meta");
    rc_json_object(json);
    for (size_t i = 0; i < meta->count; i++) {
        rc_json_put_string(json, meta->items[i].key, meta->items[i].value);
    }
    rc_json_object_end(json);
}

static void put_tagged(struct rc_json *json, const struct definition_addresses *addresses)
{
    if (addresses->count == 0) {
        return;
    }
    rc_json_key(json, "TaggedAddresses");
    rc_json_object(json);
    for (size_t i = 0; i < addresses->count; i++) {
        rc_json_key(json, addresses->items[i].tag);
        rc_json_object(json);
        rc_json_put_string(json, "Address", or_empty(addresses->items[i].address));
        rc_json_put_i64(json, "Port", addresses->items[i].port);
        rc_json_object_end(json);
    }
    rc_json_object_end(json);
}

void render_restart(struct rc_json *json, const struct local_restart *restart)
{
    if (restart->unit == NULL) {
        return;
    }
    rc_json_key(json, "Restart");
    rc_json_object(json);
    rc_json_put_string(json, "Unit", restart->unit);
    rc_json_put_u64(json, "After", restart->after);
    rc_json_put_u64(json, "MaxPerHour", restart->per_hour);
    rc_json_put_u64(json, "LastMs", restart->last_wall_ms);
    rc_json_put_u64(json, "Count", restart->count);
    rc_json_put_string(json, "State", restart->state);
    rc_json_put_string(json, "Error", restart->error);
    rc_json_object_end(json);
}

void render_hash(const struct local_service *service, char space[RENDER_HASH_SIZE])
{
    (void)snprintf(space, RENDER_HASH_SIZE, "%016" PRIx64, service->hash);
}

void render_local_service(struct rc_json *json, const struct local_service *service,
                          const char *datacenter, enum render_hash hash)
{
    const struct service_definition *definition = service->definition;
    char text[RENDER_HASH_SIZE];

    rc_json_object(json);
    if (definition->kind != NULL) {
        rc_json_put_string(json, "Kind", definition->kind);
    }
    rc_json_put_string(json, "ID", service->id);
    rc_json_put_string(json, "Service", definition->name);
    put_tags(json, "Tags", service);
    put_meta(json, &definition->meta);
    rc_json_put_i64(json, "Port", definition->port);
    rc_json_put_string(json, "Address", or_empty(definition->address));
    put_tagged(json, &definition->tagged_addresses);
    rc_json_key(json, "Weights");
    rc_json_object(json);
    rc_json_put_i64(json, "Passing", definition->weight_passing);
    rc_json_put_i64(json, "Warning", definition->weight_warning);
    rc_json_object_end(json);
    rc_json_put_bool(json, "EnableTagOverride", definition->enable_tag_override);
    if (hash == RENDER_WITH_HASH) {
        render_hash(service, text);
        rc_json_put_string(json, "ContentHash", text);
    }
    rc_json_put_string(json, "Datacenter", datacenter);
    rc_json_object_end(json);
}

void render_local_check(struct rc_json *json, const struct local_check *check,
                        const struct local_service *service, const char *node,
                        unsigned flaps)
{
    rc_json_object(json);
    rc_json_put_string(json, "Node", node);
    rc_json_put_string(json, "CheckID", check->id);
    rc_json_put_string(json, "Name", check->name);
    rc_json_put_string(json, "Status", check_status_name(check->status));
    rc_json_put_string(json, "Notes", or_empty(check->notes));
    rc_json_put_string(json, "Output", or_empty(check->output));
    rc_json_put_string(json, "ServiceID", check->service_id);
    rc_json_put_string(json, "ServiceName",
                       service != NULL ? service->definition->name : "");
    put_tags(json, "ServiceTags", service);
    rc_json_put_string(json, "Type", or_empty(check->type));
    rc_json_key(json, "Definition");
    rc_json_raw(json, "{}");
    rc_json_put_u64(json, "Flaps", flaps);
    render_restart(json, &check->restart);
    rc_json_put_u64(json, "CreateIndex", 0);
    rc_json_put_u64(json, "ModifyIndex", 0);
    rc_json_object_end(json);
}
