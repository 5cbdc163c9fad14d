#include "agent/http/acl_object.h"

#include <stdlib.h>
#include <string.h>

#include "agent/http/permits.h"
#include "base/err.h"
#include "base/text.h"

enum { INDENT = 4 };

json_t *acl_object_field(const json_t *body, const char *wanted)
{
    const char *key = NULL;
    json_t *value = NULL;

    json_object_foreach((json_t *)body, key, value)
    {
        if (rc_text_equals_nocase(key, wanted)) {
            return value;
        }
    }
    return NULL;
}

const char *acl_object_text(const json_t *body, const char *key)
{
    const char *text = json_string_value(acl_object_field(body, key));
    return text != NULL ? text : "";
}

/* ---- Showing. */

/* Angle brackets only stand inside strings, where they may be written so as well: a browser that
 * is led here must not find a tag. */
static void append_escaped(struct rc_buffer *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr("<>&", *text) != NULL) {
            rc_buffer_format(out, "\\u%04x", (unsigned)*text);
        } else {
            rc_buffer_byte(out, (uint8_t)*text);
        }
    }
}

void acl_object_answer(struct http_exchange *x, json_t *value)
{
    bool is_pretty = target_parameter(&x->target, "pretty") != NULL;
    char *text = json_dumps(value, JSON_ENCODE_ANY |
                                       (is_pretty ? JSON_INDENT(INDENT) : JSON_COMPACT));

    json_decref(value);
    if (text == NULL) {
        exchange_error(x, 500, "%s", rc_strerror(RC_ENOMEM));
        return;
    }
    (void)exchange_json(x);
    append_escaped(&x->out, text);
    exchange_json_end(x);
    explicit_bzero(text, strlen(text)); /* it may hold a secret */
    free(text);
}

/* [{ID, Name}] of the ids that there are. */
static void show_links(const struct directory *directory, enum directory_kind kind,
                       const json_t *ids, const char *key, json_t *out)
{
    json_t *links = json_array();

    for (size_t i = 0; i < json_array_size(ids); i++) {
        struct directory_item item;
        const char *id = json_string_value(json_array_get(ids, i));
        if (id != NULL && directory_find(directory, kind, id, &item)) {
            (void)json_array_append_new(links,
                                        json_pack("{s:s,s:s}", "ID", id, "Name",
                                                  acl_object_text(item.body, "Name")));
        }
    }
    if (json_array_size(links) > 0) {
        (void)json_object_set(out, key, links);
    }
    json_decref(links);
}

static void show_array(const json_t *body, const char *key, json_t *out)
{
    json_t *value = json_object_get(body, key);

    if (json_array_size(value) > 0) {
        (void)json_object_set(out, key, value);
    }
}

static void show_time(const json_t *body, const char *key, json_t *out)
{
    uint64_t wall_ms = (uint64_t)json_integer_value(json_object_get(body, key));
    char text[25];

    if (wall_ms != 0) {
        rc_text_from_wall_ms(wall_ms, text);
        (void)json_object_set_new(out, key, json_string(text));
    }
}

/* Of what people write into the object: the same content has the same hash. */
static void show_hash(const json_t *body, json_t *out)
{
    static const char *const aside[] = {"SecretHash", "CreateTime", "ExpirationTime"};
    uint8_t hash[SECRET_HASH_SIZE];
    char text[4 * ((SECRET_HASH_SIZE + 2) / 3) + 1];
    json_t *content = json_copy((json_t *)body);

    for (size_t i = 0; i < sizeof aside / sizeof aside[0]; i++) {
        (void)json_object_del(content, aside[i]);
    }
    char *dump = json_dumps(content, JSON_COMPACT | JSON_SORT_KEYS);
    if (dump != NULL) {
        secret_digest(dump, strlen(dump), hash);
        rc_text_to_base64(hash, sizeof hash, text);
        (void)json_object_set_new(out, "Hash", json_string(text));
    }
    free(dump);
    json_decref(content);
}

static void show_identities(const struct directory *directory, const json_t *body,
                            json_t *out)
{
    show_links(directory, DIRECTORY_POLICY, json_object_get(body, "Policies"), "Policies",
               out);
    show_links(directory, DIRECTORY_ROLE, json_object_get(body, "Roles"), "Roles", out);
    show_array(body, "ServiceIdentities", out);
    show_array(body, "NodeIdentities", out);
}

static void show_token(const struct directory *directory, const json_t *body,
                       const char *secret, json_t *out)
{
    (void)json_object_set(out, "AccessorID", json_object_get(body, "AccessorID"));
    if (secret != NULL) {
        (void)json_object_set_new(out, "SecretID", json_string(secret));
    }
    (void)json_object_set(out, "Description", json_object_get(body, "Description"));
    show_identities(directory, body, out);
    (void)json_object_set(out, "Local", json_object_get(body, "Local"));
    show_time(body, "ExpirationTime", out);
    show_time(body, "CreateTime", out);
}

static void show_named(const json_t *body, json_t *out)
{
    static const char *const keys[] = {"ID", "Name", "Description"};

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        (void)json_object_set(out, keys[i], json_object_get(body, keys[i]));
    }
}

json_t *acl_object_show(const struct directory *directory, enum directory_kind kind,
                        const struct directory_item *item, const char *secret,
                        enum acl_object_form form)
{
    json_t *out = json_object();
    const json_t *body = item->body;
    json_t *datacenters = json_object_get(body, "Datacenters");

    switch (kind) {
    case DIRECTORY_TOKEN:
        show_token(directory, body, secret, out);
        break;
    case DIRECTORY_POLICY:
        show_named(body, out);
        if (form == ACL_OBJECT_WHOLE) {
            (void)json_object_set(out, "Rules", json_object_get(body, "Rules"));
        }
        if (json_array_size(datacenters) > 0) {
            (void)json_object_set(out, "Datacenters", datacenters);
        } else if (form == ACL_OBJECT_BRIEF) { /* as Consul's lists have it */
            (void)json_object_set_new(out, "Datacenters", json_null());
        }
        break;
    case DIRECTORY_ROLE:
        show_named(body, out);
        show_identities(directory, body, out);
        break;
    case DIRECTORY_KIND_COUNT:
        break;
    }
    show_hash(body, out);
    (void)json_object_set_new(out, "CreateIndex",
                              json_integer((json_int_t)item->create_index));
    (void)json_object_set_new(out, "ModifyIndex",
                              json_integer((json_int_t)item->modify_index));
    return out;
}

/* ---- Reading. */

static bool read_link(const struct directory *directory, struct http_exchange *x,
                      const json_t *link, enum directory_kind kind, json_t *ids)
{
    const char *what = kind == DIRECTORY_POLICY ? "policy" : "role";
    const char *id = acl_object_text(link, "ID");
    const char *name = acl_object_text(link, "Name");
    struct directory_item item;

    bool is_there = id[0] != '\0' ? directory_find(directory, kind, id, &item)
                                  : directory_find_name(directory, kind, name, &item);
    if (!is_there) {
        exchange_error(x, 400, "No such ACL %s with %s \"%s\"", what,
                       id[0] != '\0' ? "ID" : "name", id[0] != '\0' ? id : name);
        return false;
    }
    for (size_t i = 0; i < json_array_size(ids); i++) {
        if (rc_text_equals(json_string_value(json_array_get(ids, i)), item.id)) {
            return true;
        }
    }
    return json_array_append_new(ids, json_string(item.id)) == 0;
}

static bool read_links(const struct directory *directory, struct http_exchange *x,
                       const json_t *body, enum directory_kind kind, json_t *document)
{
    const char *key = kind == DIRECTORY_POLICY ? "Policies" : "Roles";
    const json_t *links = acl_object_field(body, key);
    json_t *ids = json_array();

    (void)json_object_set_new(document, key, ids);
    if (json_array_size(links) > DIRECTORY_POLICIES_MAX) {
        exchange_error(x, 400, "Too many %s", key);
        return false;
    }
    for (size_t i = 0; i < json_array_size(links); i++) {
        if (!read_link(directory, x, json_array_get(links, i), kind, ids)) {
            return false;
        }
    }
    return true;
}

static bool read_identities(struct http_exchange *x, const json_t *body, const char *key,
                            const char *name_key, json_t *document)
{
    const json_t *given = acl_object_field(body, key);
    json_t *kept = json_array();
    bool is_node = strcmp(name_key, "NodeName") == 0;

    (void)json_object_set_new(document, key, kept);
    for (size_t i = 0; i < json_array_size(given); i++) {
        const json_t *identity = json_array_get(given, i);
        const char *name = acl_object_text(identity, name_key);
        if (!directory_is_identity(name) || i >= DIRECTORY_POLICIES_MAX) {
            exchange_error(x, 400,
                           "%s \"%s\" has an invalid name. Only lowercase alphanumeric "
                           "characters, '-' and '_' are allowed",
                           is_node ? "Node identity" : "Service identity", name);
            return false;
        }
        json_t *one = json_pack("{s:s}", name_key, name);
        json_t *datacenters = acl_object_field(identity, "Datacenters");
        if (is_node) {
            (void)json_object_set_new(
                one, "Datacenter", json_string(acl_object_text(identity, "Datacenter")));
        } else if (json_is_array(datacenters)) {
            (void)json_object_set(one, "Datacenters", datacenters);
        }
        (void)json_array_append_new(kept, one);
    }
    return true;
}

bool acl_object_read_links(const struct directory *directory, struct http_exchange *x,
                           const json_t *body, enum directory_kind kind, json_t *document)
{
    return read_links(directory, x, body, DIRECTORY_POLICY, document) &&
           (kind != DIRECTORY_TOKEN ||
            read_links(directory, x, body, DIRECTORY_ROLE, document)) &&
           read_identities(x, body, "ServiceIdentities", "ServiceName", document) &&
           read_identities(x, body, "NodeIdentities", "NodeName", document);
}
