/* acl_policies.c - /v1/acl/policy, policies, role and roles: which rules go together. */
#include <string.h>

#include "agent/http/acl_object.h"
#include "agent/http/endpoints.h"
#include "agent/http/permits.h"
#include "agent/http/store_query.h"
#include "base/err.h"
#include "base/text.h"

/* What policies and roles differ in. */
static const struct kind {
    enum directory_kind kind;
    enum store_table table;
    const char *word;
    const char *title;
    size_t name_max;
} policy_kind = {DIRECTORY_POLICY, STORE_POLICIES, "policy", "Policy", 128},
  role_kind = {DIRECTORY_ROLE, STORE_ROLES, "role", "Role", 256};

static void refuse_absent(struct http_exchange *x, const struct kind *kind)
{
    exchange_error(x, 404, "Requested %s does not exist: ACL not found", kind->word);
}

static bool find(struct http_api *api, struct http_exchange *x, const struct kind *kind,
                 struct directory_item *out)
{
    static const char by_name[] = "name/";
    const struct directory *directory = permits_directory(api);
    const char *given = x->argument;

    bool is_there =
        rc_text_starts_with(given, by_name)
            ? directory_find_name(directory, kind->kind, given + strlen(by_name), out)
            : directory_find(directory, kind->kind, given, out);
    if (!is_there) {
        refuse_absent(x, kind);
    }
    return is_there;
}

static void read_one(struct http_api *api, struct http_exchange *x,
                     const struct kind *kind)
{
    struct directory_item item;

    if (!permit(api, x, PERMIT_ACL, "", PERMIT_READ) || !store_query_begin(api, x) ||
        !find(api, x, kind, &item)) {
        return;
    }
    const struct store_view view = {kind->table, STORE_ONE, rc_pack_text(item.id)};
    exchange_header_u64(x, "X-Consul-Index", store_query_index(api, &view));
    store_query_freshness(api, x);
    acl_object_answer(x, acl_object_show(permits_directory(api), kind->kind, &item, NULL,
                                         ACL_OBJECT_WHOLE));
}

static void list(struct http_api *api, struct http_exchange *x, const struct kind *kind)
{
    const struct store_view view = {kind->table, STORE_UNDER, rc_pack_text("")};
    struct directory_item item;
    size_t position = 0;

    if (!permit(api, x, PERMIT_ACL, "", PERMIT_READ) || !store_query_begin(api, x) ||
        store_query_must_wait(api, x, &view)) {
        return;
    }
    const struct directory *directory = permits_directory(api);
    json_t *all = json_array();
    while (directory_next(directory, kind->kind, &position, &item)) {
        (void)json_array_append_new(
            all, acl_object_show(directory, kind->kind, &item, NULL, ACL_OBJECT_BRIEF));
    }
    acl_object_answer(x, all);
}

/* ---- Writing. */

static bool is_name(const char *name, size_t max)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789-_";
    size_t size = strlen(name);

    return size > 0 && size <= max && strspn(name, letters) == size;
}

/* A name that nobody but `id` has, as far as is known here: the engine says the rest. */
static bool read_name(struct http_api *api, struct http_exchange *x,
                      const struct kind *kind, const char *name, const char *id)
{
    struct directory_item other;

    if (name[0] == '\0') {
        exchange_error(x, 400, "Invalid %s: no Name is set", kind->title);
        return false;
    }
    if (!is_name(name, kind->name_max)) {
        exchange_error(x, 400,
                       "Invalid %s: invalid Name. Only alphanumeric characters, '-' and "
                       "'_' are allowed",
                       kind->title);
        return false;
    }
    if (directory_find_name(permits_directory(api), kind->kind, name, &other) &&
        strcmp(other.id, id) != 0) {
        exchange_error(x, 400, "Invalid %s: A %s with Name \"%s\" already exists",
                       kind->title, kind->word, name);
        return false;
    }
    return true;
}

static bool read_rules(struct http_exchange *x, const json_t *body, json_t *document)
{
    const char *rules = acl_object_text(body, "Rules");
    json_t *datacenters = acl_object_field(body, "Datacenters");
    struct rule_list list = {0};
    char error[RULE_ERROR_MAX];

    if (rule_list_parse(rules, strlen(rules), &list, error) != RC_OK) {
        exchange_error(x, 400, "Failed to parse ACL rules: %s", error);
        return false;
    }
    rule_list_fini(&list);
    (void)json_object_set_new(document, "Rules", json_string(rules));
    if (json_is_array(datacenters)) {
        (void)json_object_set(document, "Datacenters", datacenters);
    } else {
        (void)json_object_set_new(document, "Datacenters", json_array());
    }
    return true;
}

/* A document under `id` from the request's body; `old` NULL: a new one. */
static void write(struct http_api *api, struct http_exchange *x, const struct kind *kind,
                  const char *id, const struct directory_item *old)
{
    json_t *body = request_body(x);
    if (body == NULL) {
        return;
    }
    const char *name = acl_object_text(body, "Name");
    json_t *document = json_pack("{s:s,s:s,s:s}", "ID", id, "Name", name, "Description",
                                 acl_object_text(body, "Description"));
    bool is_good = read_name(api, x, kind, name, id) &&
                   (kind->kind == DIRECTORY_POLICY
                        ? read_rules(x, body, document)
                        : acl_object_read_links(permits_directory(api), x, body,
                                                kind->kind, document));
    if (is_good) {
        const struct directory_item item = {
            .id = id,
            .body = document,
            .create_index = old != NULL ? old->create_index : 0,
        };
        const struct acl_object_write what = {
            .kind = kind->kind,
            .id = id,
            .index = old != NULL ? old->modify_index : 0,
            .name = name,
            .old_name = old != NULL ? acl_object_text(old->body, "Name") : NULL,
        };
        x->draft = acl_object_show(permits_directory(api), kind->kind, &item, NULL,
                                   ACL_OBJECT_WHOLE);
        acl_object_put(api, x, &what, document);
    } else {
        json_decref(document);
    }
    json_decref(body);
}

static void create(struct http_api *api, struct http_exchange *x, const struct kind *kind)
{
    char id[SUBJECT_ID_SIZE];

    if (permit(api, x, PERMIT_ACL, "", PERMIT_WRITE)) {
        acl_object_id(api, x, kind->word, id);
        write(api, x, kind, id, NULL);
    }
}

static void update(struct http_api *api, struct http_exchange *x, const struct kind *kind)
{
    struct directory_item item;

    if (!permit(api, x, PERMIT_ACL, "", PERMIT_WRITE) || !find(api, x, kind, &item)) {
        return;
    }
    if (item.is_built_in) {
        exchange_error(x, 400, "The %s %s is built in and cannot be changed", kind->word,
                       acl_object_text(item.body, "Name"));
        return;
    }
    char id[SUBJECT_ID_SIZE];
    (void)rc_text_put(id, sizeof id, item.id);
    write(api, x, kind, id, &item);
}

static void delete_one(struct http_api *api, struct http_exchange *x,
                       const struct kind *kind)
{
    struct directory_item item;

    if (!permit(api, x, PERMIT_ACL, "", PERMIT_WRITE)) {
        return;
    }
    if (directory_find(permits_directory(api), kind->kind, x->argument, &item) &&
        item.is_built_in) {
        exchange_error(x, 400, "Delete operation not permitted on the builtin %s %s",
                       acl_object_text(item.body, "Name"), kind->word);
        return;
    }
    acl_object_delete(api, x, kind->kind, x->argument);
}

/* ---- The rows of the table. */

void acl_policy_read(struct http_api *api, struct http_exchange *x)
{
    read_one(api, x, &policy_kind);
}

void acl_policy_list(struct http_api *api, struct http_exchange *x)
{
    list(api, x, &policy_kind);
}

void acl_policy_create(struct http_api *api, struct http_exchange *x)
{
    create(api, x, &policy_kind);
}

void acl_policy_update(struct http_api *api, struct http_exchange *x)
{
    update(api, x, &policy_kind);
}

void acl_policy_delete(struct http_api *api, struct http_exchange *x)
{
    delete_one(api, x, &policy_kind);
}

void acl_role_read(struct http_api *api, struct http_exchange *x)
{
    read_one(api, x, &role_kind);
}

void acl_role_list(struct http_api *api, struct http_exchange *x)
{
    list(api, x, &role_kind);
}

void acl_role_create(struct http_api *api, struct http_exchange *x)
{
    create(api, x, &role_kind);
}

void acl_role_update(struct http_api *api, struct http_exchange *x)
{
    update(api, x, &role_kind);
}

void acl_role_delete(struct http_api *api, struct http_exchange *x)
{
    delete_one(api, x, &role_kind);
}
