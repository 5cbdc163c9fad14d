#include "agent/template/template_query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/template/template_value.h"
#include "base/err.h"
#include "base/json_read.h"

int template_query_parse_name(struct rc_span text, struct template_query *out)
{
    *out = (struct template_query){.kind = QUERY_PASSING};
    if (text.size == 0 || text.size > TEMPLATE_NAME_MAX) {
        return RC_EINVAL;
    }
    const char *at = memchr(text.at, '@', text.size);
    if (at != NULL) {
        size_t before = (size_t)(at - text.at);
        out->datacenter = (struct rc_span){at + 1, text.size - before - 1};
        text.size = before;
    }
    const char *dot = memchr(text.at, '.', text.size);
    if (dot != NULL) {
        size_t before = (size_t)(dot - text.at);
        out->tag = (struct rc_span){text.at, before};
        text = (struct rc_span){dot + 1, text.size - before - 1};
    }
    out->name = text;
    return text.size > 0 ? RC_OK : RC_EINVAL;
}

/* RFC 3986 section 2.3; the slashes of keys stay. */
static void escape(struct rc_buffer *out, struct rc_span text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789-._~";

    for (size_t i = 0; i < text.size; i++) {
        if (memchr(plain, text.at[i], sizeof plain - 1) != NULL) {
            rc_buffer_byte(out, (uint8_t)text.at[i]);
        } else {
            rc_buffer_format(out, "%%%02X", (unsigned char)text.at[i]);
        }
    }
}

void template_query_target(const struct template_query *query, struct rc_buffer *out)
{
    static const struct {
        const char *path;
        const char *parameters;
    } targets[QUERY_KIND_COUNT] = {
        [QUERY_SERVICE] = {"/v1/health/service/", "?"},
        [QUERY_PASSING] = {"/v1/health/service/", "?passing=1&"},
        [QUERY_SERVICES] = {"/v1/catalog/services", "?"},
        [QUERY_NODES] = {"/v1/catalog/nodes", "?"},
        [QUERY_NODE] = {"/v1/catalog/node/", "?"},
        [QUERY_KEY] = {"/v1/kv/", "?"},
        [QUERY_TREE] = {"/v1/kv/", "?recurse=1&"},
    };

    rc_buffer_text(out, targets[query->kind].path);
    escape(out, query->name);
    rc_buffer_text(out, targets[query->kind].parameters);
    if (query->tag.size > 0) {
        rc_buffer_text(out, "tag=");
        escape(out, query->tag);
        rc_buffer_byte(out, '&');
    }
    if (query->datacenter.size > 0) {
        rc_buffer_text(out, "dc=");
        escape(out, query->datacenter);
        rc_buffer_byte(out, '&');
    }
}

void template_query_describe(const struct template_query *query, char *space, size_t size)
{
    static const char *const kinds[QUERY_KIND_COUNT] = {
        [QUERY_SERVICE] = "the service ",  [QUERY_PASSING] = "the service ",
        [QUERY_SERVICES] = "the services", [QUERY_NODES] = "the nodes",
        [QUERY_NODE] = "the node ",        [QUERY_KEY] = "the key ",
        [QUERY_TREE] = "the keys below ",
    };

    (void)snprintf(space, size, "%s%.*s%s%.*s%s%.*s", kinds[query->kind],
                   (int)(query->tag.size < 60 ? query->tag.size : 60), query->tag.at,
                   query->tag.size > 0 ? "." : "",
                   (int)(query->name.size < 100 ? query->name.size : 100), query->name.at,
                   query->datacenter.size > 0 ? " in " : "",
                   (int)(query->datacenter.size < 40 ? query->datacenter.size : 40),
                   query->datacenter.at);
}

/* ---- Values. What is missing in an answer is empty here: fields are always there. */

static const char *text_at(const json_t *object, const char *key)
{
    return rc_json_read_text(object, key);
}

static void set_text(json_t *record, const char *name, const char *text)
{
    (void)json_object_set_new_nocheck(record, name, json_string_nocheck(text));
}

static void set_map(json_t *record, const char *name, json_t *map)
{
    if (json_is_object(map)) {
        (void)json_object_set_nocheck(record, name, map);
    } else {
        (void)json_object_set_new_nocheck(record, name, json_object());
    }
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(json_string_value(*(json_t *const *)a),
                  json_string_value(*(json_t *const *)b));
}

/* The texts of a list, in order. */
static void set_tags(json_t *record, const char *name, const json_t *tags)
{
    size_t count = 0;
    json_t **texts = calloc(json_array_size(tags) + 1, sizeof(json_t *));
    json_t *list = json_array();

    for (size_t i = 0; texts != NULL && i < json_array_size(tags); i++) {
        json_t *tag = json_array_get(tags, i);
        if (json_is_string(tag)) {
            texts[count++] = tag;
        }
    }
    if (count > 1) {
        qsort(texts, count, sizeof(json_t *), compare_texts);
    }
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append(list, texts[i]);
    }
    free(texts);
    (void)json_object_set_new_nocheck(record, name, list);
}

/* The worst of the checks, as consul-template has it: maintenance, critical, warning, passing. */
static const char *state_of(const json_t *checks)
{
    const char *state = "passing";

    for (size_t i = 0; i < json_array_size(checks); i++) {
        const json_t *check = json_array_get(checks, i);
        const char *id = text_at(check, "CheckID");
        const char *status = text_at(check, "Status");
        if (strcmp(id, "_node_maintenance") == 0 ||
            strncmp(id, "_service_maintenance:", strlen("_service_maintenance:")) == 0) {
            return "maintenance";
        }
        if (strcmp(status, "critical") == 0) {
            state = "critical";
        } else if (strcmp(status, "warning") == 0 && strcmp(state, "passing") == 0) {
            state = "warning";
        }
    }
    return state;
}

static void set_checks(json_t *record, const json_t *checks)
{
    static const char *const names[] = {"Node",  "CheckID", "Name",      "Status",
                                        "Notes", "Output",  "ServiceID", "ServiceName"};
    json_t *list = json_array();

    for (size_t i = 0; i < json_array_size(checks); i++) {
        json_t *check = template_value_record("a check");
        for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
            set_text(check, names[k], text_at(json_array_get(checks, i), names[k]));
        }
        (void)json_array_append_new(list, check);
    }
    (void)json_object_set_new_nocheck(record, "Checks", list);
}

static void set_weights(json_t *record, const json_t *from)
{
    json_t *weights = template_value_record("weights");

    (void)json_object_set_new_nocheck(
        weights, "Passing",
        json_integer((json_int_t)rc_json_read_number(from, "Passing")));
    (void)json_object_set_new_nocheck(
        weights, "Warning",
        json_integer((json_int_t)rc_json_read_number(from, "Warning")));
    (void)json_object_set_new_nocheck(record, "Weights", weights);
}

static json_t *instance_of(const json_t *from)
{
    const json_t *node = json_object_get(from, "Node");
    const json_t *service = json_object_get(from, "Service");
    const json_t *checks = json_object_get(from, "Checks");
    json_t *record = template_value_record("an instance of a service");
    const char *address = text_at(service, "Address");

    set_text(record, "Node", text_at(node, "Node"));
    set_text(record, "NodeID", text_at(node, "ID"));
    set_text(record, "NodeAddress", text_at(node, "Address"));
    set_text(record, "NodeDatacenter", text_at(node, "Datacenter"));
    set_map(record, "NodeMeta", json_object_get(node, "Meta"));
    set_map(record, "NodeTaggedAddresses", json_object_get(node, "TaggedAddresses"));
    set_text(record, "ID", text_at(service, "ID"));
    set_text(record, "Name", text_at(service, "Service"));
    set_text(record, "Address", address[0] != '\0' ? address : text_at(node, "Address"));
    (void)json_object_set_new_nocheck(
        record, "Port", json_integer((json_int_t)rc_json_read_number(service, "Port")));
    set_tags(record, "Tags", json_object_get(service, "Tags"));
    set_map(record, "ServiceMeta", json_object_get(service, "Meta"));
    set_weights(record, json_object_get(service, "Weights"));
    set_text(record, "Status", state_of(checks));
    set_checks(record, checks);
    return record;
}

static json_t *node_of(const json_t *from)
{
    json_t *record = template_value_record("a node");

    set_text(record, "ID", text_at(from, "ID"));
    set_text(record, "Node", text_at(from, "Node"));
    set_text(record, "Address", text_at(from, "Address"));
    set_text(record, "Datacenter", text_at(from, "Datacenter"));
    set_map(record, "TaggedAddresses", json_object_get(from, "TaggedAddresses"));
    set_map(record, "Meta", json_object_get(from, "Meta"));
    return record;
}

static json_t *node_service_of(const json_t *from)
{
    json_t *record = template_value_record("a service of a node");

    set_text(record, "ID", text_at(from, "ID"));
    set_text(record, "Service", text_at(from, "Service"));
    set_text(record, "Address", text_at(from, "Address"));
    (void)json_object_set_new_nocheck(
        record, "Port", json_integer((json_int_t)rc_json_read_number(from, "Port")));
    set_tags(record, "Tags", json_object_get(from, "Tags"));
    set_map(record, "Meta", json_object_get(from, "Meta"));
    return record;
}

/* ---- Lists in order. */

static int compare_field(const void *a, const void *b, const char *field)
{
    return strcmp(text_at(*(json_t *const *)a, field),
                  text_at(*(json_t *const *)b, field));
}

static int compare_instances(const void *a, const void *b)
{
    int order = compare_field(a, b, "Node");

    return order != 0 ? order : compare_field(a, b, "ID");
}

static int compare_nodes(const void *a, const void *b)
{
    return compare_field(a, b, "Node");
}

static int compare_node_services(const void *a, const void *b)
{
    int order = compare_field(a, b, "Service");

    return order != 0 ? order : compare_field(a, b, "ID");
}

/* A new list of `of` applied to each element of `from`, in order. */
static json_t *list_of(const json_t *from, json_t *(*of)(const json_t *element),
                       int (*compare)(const void *a, const void *b))
{
    size_t count = json_array_size(from);
    json_t **items = calloc(count + 1, sizeof(json_t *));
    json_t *list = json_array();

    for (size_t i = 0; items != NULL && i < count; i++) {
        items[i] = of(json_array_get(from, i));
    }
    if (items != NULL && count > 1) {
        qsort(items, count, sizeof(json_t *), compare);
    }
    for (size_t i = 0; items != NULL && i < count; i++) {
        (void)json_array_append_new(list, items[i]);
    }
    free(items);
    return list;
}

static json_t *services_of(const json_t *from)
{
    json_t *list = json_array();
    json_t *names = template_value_keys(from);

    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        json_t *record = template_value_record("a service");
        set_text(record, "Name", name);
        set_tags(record, "Tags", json_object_get(from, name));
        (void)json_array_append_new(list, record);
    }
    json_decref(names);
    return list;
}

static json_t *node_and_services_of(const json_t *from)
{
    const json_t *services = json_object_get(from, "Services");
    json_t *list = json_array();
    const char *key;
    json_t *service;

    if (!json_is_object(from)) {
        json_decref(list);
        return json_null();
    }
    json_object_foreach((json_t *)services, key, service)
    {
        (void)json_array_append(list, service);
    }
    json_t *record = template_value_record("a node and its services");
    (void)json_object_set_new_nocheck(record, "Node",
                                      node_of(json_object_get(from, "Node")));
    (void)json_object_set_new_nocheck(
        record, "Services", list_of(list, node_service_of, compare_node_services));
    json_decref(list);
    return record;
}

/* ---- Keys. */

/* Base64, or null for an empty one. NULL: neither, or no memory. */
static json_t *bytes_of(const json_t *pair)
{
    const char *text = text_at(pair, "Value");
    size_t size = 0;
    uint8_t *space = malloc(strlen(text) + 1);
    json_t *out = NULL;

    if (space != NULL &&
        rc_text_from_base64(text, space, strlen(text) + 1, &size) == RC_OK) {
        out = template_value_text(space, size);
    }
    free(space);
    return out;
}

static json_t *pair_of(const struct template_query *query, const json_t *from)
{
    const char *path = text_at(from, "Key");
    size_t length = strlen(path);
    const char *key = path;
    json_t *value = bytes_of(from);

    if (value == NULL || length == 0 || path[length - 1] == '/') {
        json_decref(value); /* a folder has no value of its own */
        return NULL;
    }
    if (query->name.size > 0 && length >= query->name.size &&
        memcmp(path, query->name.at, query->name.size) == 0) {
        key += query->name.size;
    }
    key += strspn(key, "/");
    json_t *record = template_value_record("a key");
    set_text(record, "Path", path);
    set_text(record, "Key", key);
    (void)json_object_set_new_nocheck(record, "Value", value);
    return record;
}

static json_t *tree_of(const struct template_query *query, const json_t *from)
{
    json_t *list = json_array();

    for (size_t i = 0; i < json_array_size(from); i++) { /* in order of their bytes */
        json_t *pair = pair_of(query, json_array_get(from, i));
        if (pair != NULL) {
            (void)json_array_append_new(list, pair);
        }
    }
    return list;
}

static json_t *value_of(const struct template_query *query, const json_t *from)
{
    switch (query->kind) {
    case QUERY_SERVICE:
    case QUERY_PASSING:
        return json_is_array(from) ? list_of(from, instance_of, compare_instances) : NULL;
    case QUERY_SERVICES:
        return json_is_object(from) ? services_of(from) : NULL;
    case QUERY_NODES:
        return json_is_array(from) ? list_of(from, node_of, compare_nodes) : NULL;
    case QUERY_NODE:
        return node_and_services_of(from);
    case QUERY_KEY:
        return json_is_array(from) ? bytes_of(json_array_get(from, 0)) : NULL;
    case QUERY_TREE:
        return json_is_array(from) ? tree_of(query, from) : NULL;
    case QUERY_KIND_COUNT:
        break;
    }
    return NULL;
}

int template_query_value(const struct template_query *query, long http_status,
                         const void *bytes, size_t size, json_t **out)
{
    bool is_of_keys = query->kind == QUERY_KEY || query->kind == QUERY_TREE;

    if (is_of_keys && http_status == 404) {
        *out = query->kind == QUERY_KEY ? json_null() : json_array();
        return *out != NULL ? RC_OK : RC_ENOMEM;
    }
    const size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
    json_t *json = json_loadb(bytes, size, flags, NULL);
    if (json == NULL) { /* flags of keys may be larger than jansson's integers */
        json = json_loadb(bytes, size, flags | JSON_DECODE_INT_AS_REAL, NULL);
    }
    if (json == NULL) {
        return RC_EMALFORMED;
    }
    json_t *value = value_of(query, json);
    json_decref(json);
    if (value == NULL) {
        return RC_EMALFORMED;
    }
    *out = value;
    return RC_OK;
}
