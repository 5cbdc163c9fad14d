#include "agent/http/selectors.h"

#include "agent/catalog/catalog.h"
#include "agent/catalog/definition.h"
#include "agent/local/local.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static bool put_text(const char *text, size_t position, struct filter_item *out)
{
    out->text = text != NULL ? text : "";
    return position == 0;
}

static bool put_number(int64_t number, size_t position, struct filter_item *out)
{
    out->number = number;
    return position == 0;
}

static bool put_object(const void *object, size_t position, struct filter_item *out)
{
    out->object = object;
    return position == 0;
}

static bool put_string(const char *const *strings, size_t count, size_t position,
                       struct filter_item *out)
{
    if (position >= count) {
        return false;
    }
    out->text = strings[position];
    return true;
}

static bool put_pair(const struct catalog_pair *pairs, size_t count, size_t position,
                     struct filter_item *out)
{
    if (position >= count) {
        return false;
    }
    out->key = pairs[position].key;
    out->text = pairs[position].value;
    return true;
}

/* Getters are many and alike: one line each. `type` is the object, `expression` its value. */
#define GETTER(name, type, put, ...)                                               \
    static bool name(const void *object, size_t position, struct filter_item *out) \
    {                                                                              \
        const type *it = object;                                                   \
        return put(__VA_ARGS__, position, out);                                    \
    }

/* ---- A tagged address, of catalog and definitions. */

GETTER(address_text, struct catalog_tagged_address, put_text, it->address)
GETTER(address_port, struct catalog_tagged_address, put_number, it->port)

static const struct filter_field address_fields[] = {
    {"Address", FILTER_STRING, address_text, NULL},
    {"Port", FILTER_NUMBER, address_port, NULL},
};
static const struct filter_schema address_schema = {address_fields,
                                                    COUNT(address_fields)};

GETTER(local_address_text, struct definition_address, put_text, it->address)
GETTER(local_address_port, struct definition_address, put_number, it->port)

static const struct filter_field local_address_fields[] = {
    {"Address", FILTER_STRING, local_address_text, NULL},
    {"Port", FILTER_NUMBER, local_address_port, NULL},
};
static const struct filter_schema local_address_schema = {local_address_fields,
                                                          COUNT(local_address_fields)};

/* ---- Nodes. */

GETTER(node_id, struct catalog_node, put_text, it->id)
GETTER(node_name, struct catalog_node, put_text, it->name)
GETTER(node_address, struct catalog_node, put_text, it->address)
GETTER(node_datacenter, struct catalog_node, put_text, it->datacenter)
GETTER(node_meta, struct catalog_node, put_pair, it->meta, it->meta_count)

static bool node_tagged(const void *object, size_t position, struct filter_item *out)
{
    const struct catalog_node *node = object;

    if (position >= node->tagged_address_count) {
        return false;
    }
    out->key = node->tagged_addresses[position].name;
    out->text = node->tagged_addresses[position].address;
    return true;
}

static const struct filter_field node_fields[] = {
    {"ID", FILTER_STRING, node_id, NULL},
    {"Node", FILTER_STRING, node_name, NULL},
    {"Address", FILTER_STRING, node_address, NULL},
    {"Datacenter", FILTER_STRING, node_datacenter, NULL},
    {"TaggedAddresses", FILTER_PAIRS, node_tagged, NULL},
    {"Meta", FILTER_PAIRS, node_meta, NULL},
};
const struct filter_schema selectors_node = {node_fields, COUNT(node_fields)};

/* ---- Instances in the catalog. */

/* The catalog holds ordinary services only; the word can be asked for all the same. */
static bool service_kind(const void *object, size_t position, struct filter_item *out)
{
    (void)object;
    return put_text("", position, out);
}

GETTER(service_id, struct catalog_service, put_text, it->id)
GETTER(service_name, struct catalog_service, put_text, it->name)
GETTER(service_address, struct catalog_service, put_text, it->address)
GETTER(service_port, struct catalog_service, put_number, it->port)
GETTER(service_passing, struct catalog_service, put_number, it->weight_passing)
GETTER(service_warning, struct catalog_service, put_number, it->weight_warning)
GETTER(service_override, struct catalog_service, put_number, it->enable_tag_override)
GETTER(service_tags, struct catalog_service, put_string, it->tags, it->tag_count)
GETTER(service_meta, struct catalog_service, put_pair, it->meta, it->meta_count)
GETTER(service_itself, struct catalog_service, put_object, it)
GETTER(service_node, struct catalog_service, put_object, it->node)
GETTER(service_node_id, struct catalog_service, put_text, it->node->id)
GETTER(service_node_name, struct catalog_service, put_text, it->node->name)
GETTER(service_node_address, struct catalog_service, put_text, it->node->address)
GETTER(service_node_datacenter, struct catalog_service, put_text, it->node->datacenter)
GETTER(service_node_meta, struct catalog_service, put_pair, it->node->meta,
       it->node->meta_count)

static bool service_node_tagged(const void *object, size_t position,
                                struct filter_item *out)
{
    const struct catalog_service *service = object;
    return node_tagged(service->node, position, out);
}

static bool service_tagged(const void *object, size_t position, struct filter_item *out)
{
    const struct catalog_service *service = object;

    if (position >= service->tagged_address_count) {
        return false;
    }
    out->key = service->tagged_addresses[position].name;
    out->object = &service->tagged_addresses[position];
    return true;
}

/* The node's own checks first, as they are shown. */
static bool service_checks(const void *object, size_t position, struct filter_item *out)
{
    const struct catalog_service *service = object;
    size_t node_count = service->node->node_check_count;

    if (position < node_count) {
        out->object = service->node->checks[position];
        return true;
    }
    if (position - node_count >= service->check_count) {
        return false;
    }
    out->object = service->checks[position - node_count];
    return true;
}

static const struct filter_field weight_fields[] = {
    {"Passing", FILTER_NUMBER, service_passing, NULL},
    {"Warning", FILTER_NUMBER, service_warning, NULL},
};
static const struct filter_schema weight_schema = {weight_fields, COUNT(weight_fields)};

static const struct filter_field service_fields[] = {
    {"Kind", FILTER_STRING, service_kind, NULL},
    {"ID", FILTER_STRING, service_id, NULL},
    {"Service", FILTER_STRING, service_name, NULL},
    {"Tags", FILTER_STRINGS, service_tags, NULL},
    {"Address", FILTER_STRING, service_address, NULL},
    {"TaggedAddresses", FILTER_OBJECT_MAP, service_tagged, &address_schema},
    {"Meta", FILTER_PAIRS, service_meta, NULL},
    {"Port", FILTER_NUMBER, service_port, NULL},
    {"Weights", FILTER_OBJECT, service_itself, &weight_schema},
    {"EnableTagOverride", FILTER_BOOL, service_override, NULL},
};
const struct filter_schema selectors_service = {service_fields, COUNT(service_fields)};

static const struct filter_field service_node_fields[] = {
    {"ID", FILTER_STRING, service_node_id, NULL},
    {"Node", FILTER_STRING, service_node_name, NULL},
    {"Address", FILTER_STRING, service_node_address, NULL},
    {"Datacenter", FILTER_STRING, service_node_datacenter, NULL},
    {"TaggedAddresses", FILTER_PAIRS, service_node_tagged, NULL},
    {"NodeMeta", FILTER_PAIRS, service_node_meta, NULL},
    {"ServiceKind", FILTER_STRING, service_kind, NULL},
    {"ServiceID", FILTER_STRING, service_id, NULL},
    {"ServiceName", FILTER_STRING, service_name, NULL},
    {"ServiceTags", FILTER_STRINGS, service_tags, NULL},
    {"ServiceAddress", FILTER_STRING, service_address, NULL},
    {"ServiceTaggedAddresses", FILTER_OBJECT_MAP, service_tagged, &address_schema},
    {"ServiceMeta", FILTER_PAIRS, service_meta, NULL},
    {"ServicePort", FILTER_NUMBER, service_port, NULL},
    {"ServiceWeights", FILTER_OBJECT, service_itself, &weight_schema},
    {"ServiceEnableTagOverride", FILTER_BOOL, service_override, NULL},
};
const struct filter_schema selectors_service_node = {service_node_fields,
                                                     COUNT(service_node_fields)};

/* ---- Checks. */

GETTER(check_node, struct catalog_check, put_text, it->node->name)
GETTER(check_id, struct catalog_check, put_text, it->id)
GETTER(check_name, struct catalog_check, put_text, it->name)
GETTER(check_status, struct catalog_check, put_text, check_status_name(it->status))
GETTER(check_notes, struct catalog_check, put_text, it->notes)
GETTER(check_output, struct catalog_check, put_text, it->output)
GETTER(check_service_id, struct catalog_check, put_text, it->service_id)
GETTER(check_service_name, struct catalog_check, put_text, it->service_name)
GETTER(check_type, struct catalog_check, put_text, it->type)

static bool check_tags(const void *object, size_t position, struct filter_item *out)
{
    const struct catalog_check *check = object;
    const struct catalog_service *service =
        check->service_id[0] != '\0'
            ? catalog_service_find(check->node, check->service_id)
            : NULL;

    return service != NULL &&
           put_string(service->tags, service->tag_count, position, out);
}

static const struct filter_field check_fields[] = {
    {"Node", FILTER_STRING, check_node, NULL},
    {"CheckID", FILTER_STRING, check_id, NULL},
    {"Name", FILTER_STRING, check_name, NULL},
    {"Status", FILTER_STRING, check_status, NULL},
    {"Notes", FILTER_STRING, check_notes, NULL},
    {"Output", FILTER_STRING, check_output, NULL},
    {"ServiceID", FILTER_STRING, check_service_id, NULL},
    {"ServiceName", FILTER_STRING, check_service_name, NULL},
    {"ServiceTags", FILTER_STRINGS, check_tags, NULL},
    {"Type", FILTER_STRING, check_type, NULL},
};
const struct filter_schema selectors_check = {check_fields, COUNT(check_fields)};

static const struct filter_field instance_fields[] = {
    {"Node", FILTER_OBJECT, service_node, &selectors_node},
    {"Service", FILTER_OBJECT, service_itself, &selectors_service},
    {"Checks", FILTER_OBJECTS, service_checks, &selectors_check},
};
const struct filter_schema selectors_instance = {instance_fields, COUNT(instance_fields)};

/* ---- What this agent registered. */

#define LOCAL_SERVICE struct selected_local_service
#define DEFINITION    it->service->definition

GETTER(local_kind, LOCAL_SERVICE, put_text, DEFINITION->kind)
GETTER(local_id, LOCAL_SERVICE, put_text, it->service->id)
GETTER(local_name, LOCAL_SERVICE, put_text, DEFINITION->name)
GETTER(local_address, LOCAL_SERVICE, put_text, DEFINITION->address)
GETTER(local_port, LOCAL_SERVICE, put_number, DEFINITION->port)
GETTER(local_passing, LOCAL_SERVICE, put_number, DEFINITION->weight_passing)
GETTER(local_warning, LOCAL_SERVICE, put_number, DEFINITION->weight_warning)
GETTER(local_override, LOCAL_SERVICE, put_number, DEFINITION->enable_tag_override)
GETTER(local_tags, LOCAL_SERVICE, put_string, it->service->tags, it->service->tag_count)
GETTER(local_datacenter, LOCAL_SERVICE, put_text, it->datacenter)
GETTER(local_itself, LOCAL_SERVICE, put_object, it)

static bool local_meta(const void *object, size_t position, struct filter_item *out)
{
    const LOCAL_SERVICE *it = object;
    const struct definition_pairs *meta = &DEFINITION->meta;

    if (position >= meta->count) {
        return false;
    }
    out->key = meta->items[position].key;
    out->text = meta->items[position].value;
    return true;
}

static bool local_tagged(const void *object, size_t position, struct filter_item *out)
{
    const LOCAL_SERVICE *it = object;
    const struct definition_addresses *addresses = &DEFINITION->tagged_addresses;

    if (position >= addresses->count) {
        return false;
    }
    out->key = addresses->items[position].tag;
    out->object = &addresses->items[position];
    return true;
}

static const struct filter_field local_weight_fields[] = {
    {"Passing", FILTER_NUMBER, local_passing, NULL},
    {"Warning", FILTER_NUMBER, local_warning, NULL},
};
static const struct filter_schema local_weight_schema = {local_weight_fields,
                                                         COUNT(local_weight_fields)};

static const struct filter_field local_service_fields[] = {
    {"Kind", FILTER_STRING, local_kind, NULL},
    {"ID", FILTER_STRING, local_id, NULL},
    {"Service", FILTER_STRING, local_name, NULL},
    {"Tags", FILTER_STRINGS, local_tags, NULL},
    {"Meta", FILTER_PAIRS, local_meta, NULL},
    {"Port", FILTER_NUMBER, local_port, NULL},
    {"Address", FILTER_STRING, local_address, NULL},
    {"TaggedAddresses", FILTER_OBJECT_MAP, local_tagged, &local_address_schema},
    {"Weights", FILTER_OBJECT, local_itself, &local_weight_schema},
    {"EnableTagOverride", FILTER_BOOL, local_override, NULL},
    {"Datacenter", FILTER_STRING, local_datacenter, NULL},
};
const struct filter_schema selectors_local_service = {local_service_fields,
                                                      COUNT(local_service_fields)};

#define LOCAL_CHECK struct selected_local_check

GETTER(local_check_node, LOCAL_CHECK, put_text, it->node)
GETTER(local_check_id, LOCAL_CHECK, put_text, it->check->id)
GETTER(local_check_name, LOCAL_CHECK, put_text, it->check->name)
GETTER(local_check_status, LOCAL_CHECK, put_text, check_status_name(it->check->status))
GETTER(local_check_notes, LOCAL_CHECK, put_text, it->check->notes)
GETTER(local_check_output, LOCAL_CHECK, put_text, it->check->output)
GETTER(local_check_service_id, LOCAL_CHECK, put_text, it->check->service_id)
GETTER(local_check_service_name, LOCAL_CHECK, put_text,
       it->service != NULL ? it->service->definition->name : "")
GETTER(local_check_type, LOCAL_CHECK, put_text, it->check->type)

static bool local_check_tags(const void *object, size_t position, struct filter_item *out)
{
    const LOCAL_CHECK *it = object;

    return it->service != NULL &&
           put_string(it->service->tags, it->service->tag_count, position, out);
}

static const struct filter_field local_check_fields[] = {
    {"Node", FILTER_STRING, local_check_node, NULL},
    {"CheckID", FILTER_STRING, local_check_id, NULL},
    {"Name", FILTER_STRING, local_check_name, NULL},
    {"Status", FILTER_STRING, local_check_status, NULL},
    {"Notes", FILTER_STRING, local_check_notes, NULL},
    {"Output", FILTER_STRING, local_check_output, NULL},
    {"ServiceID", FILTER_STRING, local_check_service_id, NULL},
    {"ServiceName", FILTER_STRING, local_check_service_name, NULL},
    {"ServiceTags", FILTER_STRINGS, local_check_tags, NULL},
    {"Type", FILTER_STRING, local_check_type, NULL},
};
const struct filter_schema selectors_local_check = {local_check_fields,
                                                    COUNT(local_check_fields)};
