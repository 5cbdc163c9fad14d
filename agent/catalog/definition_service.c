/* definition_service.c - services: their fields, and the rules that Consul has for them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/catalog/definition.h"
#include "agent/catalog/definition_field.h"
#include "base/address.h"
#include "base/err.h"
#include "base/text.h"

#define IGNORED_FIELD(name, snake) \
    {                              \
        name, snake, NULL, NULL, 0 \
    }

enum {
    META_PAIRS_MAX = 64,
    META_KEY_MAX = 128,
    META_VALUE_MAX = 512,
    WEIGHT_MAX = 65535
};

/* --- the checks of a service */

static const struct definition_field_type checks_type;

static struct check_definition *add_check(struct service_definition *service)
{
    void *items = service->checks;
    struct check_definition *check =
        definition_grow(&items, &service->check_count, sizeof *check);

    service->checks = items;
    return check;
}

static void release_checks(void *place)
{
    struct service_definition *service = place;

    for (size_t i = 0; i < service->check_count; i++) {
        check_definition_fini(&service->checks[i]);
    }
    free(service->checks);
    service->checks = NULL;
    service->check_count = 0;
}

static int copy_checks(const void *from, void *place)
{
    const struct service_definition *source = from;

    for (size_t i = 0; i < source->check_count; i++) {
        struct check_definition *check = add_check(place);
        if (check == NULL || check_definition_copy(&source->checks[i], check) != RC_OK) {
            return RC_ENOMEM;
        }
    }
    return RC_OK;
}

static int write_checks(const void *place, json_t **out)
{
    const struct service_definition *service = place;

    if (service->check_count == 0) {
        return RC_OK;
    }
    json_t *array = json_array();
    for (size_t i = 0; i < service->check_count; i++) {
        json_t *check = check_definition_to_json(&service->checks[i]);
        if (json_array_append_new(array, check) != 0) {
            json_decref(array);
            return RC_ENOMEM;
        }
    }
    *out = array;
    return array != NULL ? RC_OK : RC_ENOMEM;
}

static int read_one_check(struct definition_reader *reader,
                          const struct definition_value *value,
                          struct service_definition *service)
{
    if (!json_is_object(value->json)) {
        return definition_wrong_type(reader, value, &definition_pairs_type);
    }
    struct check_definition *check = add_check(service);
    return check != NULL ? definition_read_check(reader, value->json, check) : RC_ENOMEM;
}

static int read_checks(struct definition_reader *reader,
                       const struct definition_value *value, void *place)
{
    size_t index = 0;
    json_t *element = NULL;

    if (json_is_object(value->json) && reader->style == DEFINITION_FILE) {
        return read_one_check(reader, value, place);
    }
    if (!json_is_array(value->json)) {
        return definition_wrong_type(reader, value, &checks_type);
    }
    json_array_foreach(value->json, index, element)
    {
        struct definition_value inner = {value->parent, value->key, value->field_name,
                                         element};
        int err = read_one_check(reader, &inner, place);
        if (err != RC_OK) {
            return err;
        }
    }
    return RC_OK;
}

static const struct definition_field_type checks_type = {
    .go_type = "structs.CheckTypes",
    .words = "a list of blocks",
    .read = read_checks,
    .release = release_checks,
    .copy = copy_checks,
    .write = write_checks,
};

/* `check`: one check, which counts as not given when it says nothing. It goes before those of
 * `checks`, whichever stands first. In a file the block may be repeated. */
static int read_first_check(struct definition_reader *reader,
                            const struct definition_value *value, void *place)
{
    struct service_definition *service = place;

    if (json_is_array(value->json) && reader->style == DEFINITION_FILE) {
        return read_checks(reader, value, place);
    }
    if (json_is_object(value->json) && json_object_size(value->json) == 0) {
        return RC_OK;
    }
    int err = read_one_check(reader, value, service);
    if (err != RC_OK) {
        return err;
    }
    struct check_definition first = service->checks[service->check_count - 1];
    memmove(service->checks + 1, service->checks,
            (service->check_count - 1) * sizeof first);
    service->checks[0] = first;
    return RC_OK;
}

static int copy_nothing(const void *from, void *place)
{
    (void)from;
    (void)place;
    return RC_OK; /* `checks` has copied it */
}

static int write_nothing(const void *place, json_t **out)
{
    (void)place;
    *out = NULL; /* `checks` writes it */
    return RC_OK;
}

static const struct definition_field_type first_check_type = {
    .go_type = "structs.CheckType",
    .words = "a block",
    .read = read_first_check,
    .copy = copy_nothing,
    .write = write_nothing,
};

/* --- weights */

static const struct definition_field weight_fields[] = {
    {"Passing", "passing", NULL, &definition_int_type,
     offsetof(struct service_definition, weight_passing)},
    {"Warning", "warning", NULL, &definition_int_type,
     offsetof(struct service_definition, weight_warning)},
};

static const struct definition_table weight_table = {
    "structs.Weights", weight_fields, sizeof weight_fields / sizeof weight_fields[0]};

static int read_weights(struct definition_reader *reader,
                        const struct definition_value *value, void *place)
{
    struct service_definition *service = place;

    if (!json_is_object(value->json)) {
        return definition_wrong_type(reader, value, &definition_pairs_type);
    }
    if (reader->style == DEFINITION_API) { /* what the body leaves out is Go's zero */
        service->weight_passing = 0;
        service->weight_warning = 0;
    }
    return definition_table_read(&weight_table, reader, value->json, service);
}

static int copy_weights(const void *from, void *place)
{
    return definition_table_copy(&weight_table, from, place);
}

static int write_weights(const void *place, json_t **out)
{
    const struct service_definition *service = place;

    if (service->weight_passing == 1 && service->weight_warning == 1) {
        return RC_OK;
    }
    *out = definition_table_write(&weight_table, service);
    return *out != NULL ? RC_OK : RC_ENOMEM;
}

static const struct definition_field_type weights_type = {
    .go_type = "structs.Weights",
    .words = "a block",
    .read = read_weights,
    .copy = copy_weights,
    .write = write_weights,
};

/* --- min_healthy: none is another thing than zero */

static int read_min_healthy(struct definition_reader *reader,
                            const struct definition_value *value, void *place)
{
    if (json_is_integer(value->json) && json_integer_value(value->json) < 0) {
        return definition_invalid(reader, value->parent, value->key,
                                  "min_healthy must not be negative");
    }
    return definition_int_type.read(reader, value, place);
}

static int write_min_healthy(const void *place, json_t **out)
{
    int64_t count = *(const int64_t *)place;

    *out = count >= 0 ? json_integer(count) : NULL;
    return count < 0 || *out != NULL ? RC_OK : RC_ENOMEM;
}

static const struct definition_field_type definition_min_healthy_type = {
    .go_type = "int",
    .words = "a whole number",
    .plain_size = sizeof(int64_t),
    .read = read_min_healthy,
    .write = write_min_healthy,
};

/* --- services */

#define SERVICE_FIELD(name, snake, type, member)        \
    {                                                   \
        name, snake, NULL, &definition_##type##_type,   \
            offsetof(struct service_definition, member) \
    }

static const struct definition_field service_fields[] = {
    SERVICE_FIELD("ID", "id", text, id),
    SERVICE_FIELD("Name", "name", text, name),
    SERVICE_FIELD("Kind", "kind", text, kind),
    SERVICE_FIELD("Tags", "tags", list, tags),
    SERVICE_FIELD("Address", "address", text, address),
    SERVICE_FIELD("Port", "port", int, port),
    SERVICE_FIELD("SocketPath", "socket_path", text, socket_path),
    SERVICE_FIELD("Meta", "meta", pairs, meta),
    SERVICE_FIELD("TaggedAddresses", "tagged_addresses", addresses, tagged_addresses),
    {"Weights", "weights", NULL, &weights_type, 0},
    SERVICE_FIELD("MinHealthy", "min_healthy", min_healthy, min_healthy),
    SERVICE_FIELD("EnableTagOverride", "enable_tag_override", bool, enable_tag_override),
    {"Check", "check", NULL, &first_check_type, 0},
    {"Checks", "checks", NULL, &checks_type, 0},
    IGNORED_FIELD("Token", "token"),
    IGNORED_FIELD("Proxy", "proxy"),
    IGNORED_FIELD("Connect", "connect"),
    IGNORED_FIELD("ProxyDestination", "proxy_destination"),
    IGNORED_FIELD("Namespace", "namespace"),
    IGNORED_FIELD("Partition", "partition"),
    IGNORED_FIELD("Locality", "locality"),
};

static const struct definition_table service_table = {
    "structs.ServiceDefinition", service_fields,
    sizeof service_fields / sizeof service_fields[0]};

void service_definition_fini(struct service_definition *service)
{
    definition_table_release(&service_table, service);
    *service = (struct service_definition){0};
}

int service_definition_copy(const struct service_definition *from,
                            struct service_definition *out)
{
    *out = (struct service_definition){0};
    int err = definition_table_copy(&service_table, from, out);
    if (err != RC_OK) {
        service_definition_fini(out);
    }
    return err;
}

json_t *service_definition_to_json(const struct service_definition *service)
{
    return definition_table_write(&service_table, service);
}

bool service_definition_equals(const struct service_definition *a,
                               const struct service_definition *b)
{
    json_t *first = service_definition_to_json(a);
    json_t *second = service_definition_to_json(b);
    bool same = first != NULL && second != NULL && json_equal(first, second) != 0;

    json_decref(first);
    json_decref(second);
    return same;
}

/* --- rules, in the order in which Consul looks */

/* What is wrong with one pair of metadata; NULL if nothing is. `space` is for the words. */
static const char *fault_of_pair(const struct definition_pair *pair, char space[96])
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t size = strlen(pair->key);

    if (size == 0) {
        return "Key cannot be blank";
    }
    if (strspn(pair->key, letters) != size) {
        return "Key contains invalid characters";
    }
    if (size > META_KEY_MAX) {
        (void)snprintf(space, 96, "Key is too long (limit: %d characters)", META_KEY_MAX);
        return space;
    }
    if (rc_text_starts_with(pair->key, "consul-")) {
        return "Key prefix 'consul-' is reserved for internal use";
    }
    if (strlen(pair->value) > META_VALUE_MAX) {
        (void)snprintf(space, 96, "Value is too long (limit: %d characters)",
                       META_VALUE_MAX);
        return space;
    }
    return NULL;
}

int definition_check_meta(const struct definition_pairs *meta,
                          char text[DEFINITION_ERROR_MAX])
{
    char space[96];

    if (meta->count > META_PAIRS_MAX) {
        (void)snprintf(text, DEFINITION_ERROR_MAX,
                       "Node metadata cannot contain more than %d key/value pairs",
                       META_PAIRS_MAX);
        return RC_EINVAL;
    }
    for (size_t i = 0; i < meta->count; i++) {
        const struct definition_pair *pair = &meta->items[i];
        const char *fault = fault_of_pair(pair, space);
        if (fault != NULL) {
            (void)snprintf(text, DEFINITION_ERROR_MAX,
                           "Couldn't load metadata pair ('%.100s', '%.64s'): %s",
                           pair->key, pair->value, fault);
            return RC_EINVAL;
        }
    }
    return RC_OK;
}

static bool is_any_address(const char *text)
{
    struct rc_address address;

    return text != NULL && rc_address_parse_ip(text, 0, &address) == RC_OK &&
           rc_address_is_any(&address);
}

static const char *fault_of_weights(const struct service_definition *service)
{
    if (service->weight_passing < 1) {
        return "Passing must be greater than 0";
    }
    if (service->weight_warning < 0) {
        return "Warning must be greater or equal than 0";
    }
    if (service->weight_passing > WEIGHT_MAX || service->weight_warning > WEIGHT_MAX) {
        return "DNS Weight must be between 0 and 65535";
    }
    return NULL;
}

static int apply_check_rules(struct definition_reader *reader, const json_t *json,
                             const struct service_definition *service)
{
    for (size_t i = 0; i < service->check_count; i++) {
        const char *fault = definition_check_fault(&service->checks[i]);
        if (fault != NULL) {
            return definition_invalid(reader, json, "check", "Invalid check: %s", fault);
        }
    }
    for (size_t i = 0; i < service->check_count; i++) {
        if (service->checks[i].status >= CHECK_STATUS_COUNT) {
            return definition_invalid(
                reader, json, "check",
                "Status for checks must 'passing', 'warning', 'critical'");
        }
    }
    return RC_OK;
}

static int apply_rules(struct definition_reader *reader, const json_t *json,
                       const struct service_definition *service)
{
    char text[DEFINITION_ERROR_MAX];

    if (service->name == NULL) {
        return definition_invalid(reader, json, NULL, "Missing service name");
    }
    if (is_any_address(service->address)) {
        return definition_invalid(reader, json, "address", "Invalid service address");
    }
    const char *fault = fault_of_weights(service);
    if (fault != NULL) {
        return definition_invalid(reader, json, "weights", "Invalid Weights: %s", fault);
    }
    if (definition_check_meta(&service->meta, text) != RC_OK) {
        return definition_invalid(reader, json, "meta", "Invalid Service Meta: %.290s",
                                  text);
    }
    return apply_check_rules(reader, json, service);
}

/* --- what is filled in when it was not given */

static int set_formatted(char **place, char *text)
{
    free(*place);
    *place = text;
    return text != NULL ? RC_OK : RC_ENOMEM;
}

/* service:<id> for the only check, service:<id>:N for the Nth of several. */
static int complete_check(const struct service_definition *service, size_t index)
{
    struct check_definition *check = &service->checks[index];
    int err = set_formatted(&check->service_id, rc_text_copy(service->id));

    if (err == RC_OK && check->id == NULL && service->check_count == 1) {
        err = set_formatted(&check->id, rc_text_format("service:%s", service->id));
    } else if (err == RC_OK && check->id == NULL) {
        err = set_formatted(&check->id,
                            rc_text_format("service:%s:%zu", service->id, index + 1));
    }
    if (err == RC_OK && check->name == NULL) {
        err = set_formatted(&check->name,
                            rc_text_format("Service '%s' check", service->name));
    }
    return err;
}

static int add_tagged_address(struct service_definition *service, const char *tag)
{
    struct definition_addresses *addresses = &service->tagged_addresses;

    for (size_t i = 0; i < addresses->count; i++) {
        if (rc_text_equals(addresses->items[i].tag, tag)) {
            return RC_OK;
        }
    }
    void *items = addresses->items;
    struct definition_address *added =
        definition_grow(&items, &addresses->count, sizeof *added);
    addresses->items = items;
    if (added == NULL) {
        return RC_ENOMEM;
    }
    added->port = service->port;
    added->tag = rc_text_copy(tag);
    added->address = rc_text_copy(service->address);
    return added->tag != NULL && added->address != NULL ? RC_OK : RC_ENOMEM;
}

static int complete_addresses(struct service_definition *service)
{
    struct rc_address address;

    if (service->address == NULL ||
        rc_address_parse_ip(service->address, 0, &address) != RC_OK) {
        return RC_OK;
    }
    bool is_v4 = address.family == RC_ADDRESS_IPV4;
    int err = add_tagged_address(service, is_v4 ? "lan_ipv4" : "lan_ipv6");
    return err == RC_OK ? add_tagged_address(service, is_v4 ? "wan_ipv4" : "wan_ipv6")
                        : err;
}

static int complete(struct service_definition *service)
{
    int err = RC_OK;

    if (service->id == NULL) {
        err = set_formatted(&service->id, rc_text_copy(service->name));
    }
    for (size_t i = 0; i < service->check_count && err == RC_OK; i++) {
        err = complete_check(service, i);
    }
    return err == RC_OK ? complete_addresses(service) : err;
}

int service_definition_parse(const json_t *json, enum definition_style style,
                             struct service_definition *out,
                             struct definition_fault *fault)
{
    struct definition_reader reader = {style, fault};
    struct service_definition service = {
        .weight_passing = 1, .weight_warning = 1, .min_healthy = -1};

    int err = definition_table_read(&service_table, &reader, json, &service);
    if (err == RC_OK) {
        err = apply_rules(&reader, json, &service);
    }
    if (err == RC_OK) {
        err = complete(&service);
    }
    if (err != RC_OK) {
        service_definition_fini(&service);
        return err;
    }
    *out = service;
    return RC_OK;
}
