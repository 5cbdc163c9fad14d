/* acl_write.c - documents of tokens, policies and roles on their way into the store. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/http/acl_object.h"
#include "agent/http/errand.h"
#include "agent/http/permits_state.h"
#include "base/entropy.h"
#include "base/err.h"
#include "base/text.h"

enum {
    NAME_OP = 1, /* where the operation on a name stands */
    NAME_KEY_MAX = 300
};

static const enum store_table tables[DIRECTORY_KIND_COUNT] = {
    [DIRECTORY_TOKEN] = STORE_TOKENS,
    [DIRECTORY_POLICY] = STORE_POLICIES,
    [DIRECTORY_ROLE] = STORE_ROLES,
};

/* The id of the request, if it may come again; NULL: it has none. */
static const uint8_t *request_of(struct http_exchange *x,
                                 uint8_t space[STORE_REQUEST_SIZE])
{
    const uint8_t *request = NULL;
    const char *text = x->request.request_id;
    bool is_good = x->request_id != NULL || text == NULL ||
                   rc_text_from_hex(text, STORE_REQUEST_SIZE, space) == RC_OK;

    return is_good && errand_request(x, space, &request) ? request : NULL;
}

bool acl_object_may_repeat(struct http_exchange *x)
{
    uint8_t space[STORE_REQUEST_SIZE];

    return request_of(x, space) != NULL;
}

void acl_object_id(struct http_api *api, struct http_exchange *x, const char *label,
                   char out[SUBJECT_ID_SIZE])
{
    uint8_t space[STORE_REQUEST_SIZE];
    uint8_t bytes[SECRET_HASH_SIZE];
    char hex[2 * STORE_REQUEST_SIZE + 1];
    char text[80];
    const uint8_t *request = request_of(x, space);

    rc_entropy(bytes, sizeof bytes);
    if (request != NULL) {
        rc_text_to_hex(request, STORE_REQUEST_SIZE, hex);
        int size = snprintf(text, sizeof text, "%s %s", label, hex);
        if (size > 0 && (size_t)size < sizeof text) {
            (void)permits_hash(api, text,
                               bytes); /* random as it is before there is a key */
        }
    }
    rc_text_uuid(bytes, out);
}

static void answer_written(struct http_exchange *x)
{
    json_t *draft = x->draft;

    x->draft = NULL;
    acl_object_answer(x, draft != NULL ? draft : json_true());
}

static void told_settled(struct http_api *api, struct http_exchange *x,
                         const struct store_outcome *outcome)
{
    (void)api;
    (void)outcome; /* it is written, whatever became of the wait */
    answer_written(x);
}

/* A token must be known to whoever asks here next. */
static void settle(struct http_api *api, struct http_exchange *x)
{
    struct errand *errand = errand_begin(api, x, told_settled);

    if (errand != NULL &&
        store_settle(api->store, api->now_ms, NULL, errand_done, errand) != RC_OK) {
        errand_refused(errand, RC_ENOMEM);
        answer_written(x);
    }
}

/* What stood against it: the name, or what it was made of has changed. */
static void tell_conflict(struct http_exchange *x, const struct store_outcome *outcome)
{
    bool is_role = rc_text_starts_with(x->target.path, "/v1/acl/role");
    bool is_new = x->draft != NULL &&
                  json_integer_value(json_object_get(x->draft, "CreateIndex")) == 0;
    bool is_name = outcome->failure_count > 0 && outcome->failures[0].op == NAME_OP;

    if (is_name) {
        exchange_error(x, 400, "Invalid %s: A %s with Name \"%s\" already exists",
                       is_role ? "Role" : "Policy", is_role ? "role" : "policy",
                       acl_object_text(x->draft, "Name"));
    } else if (is_new) {
        exchange_error(x, 400, "Invalid Token: AccessorID or SecretID is already in use");
    } else {
        exchange_error(x, 409, "It was changed by somebody else meanwhile: try again");
    }
}

void acl_object_told(struct http_api *api, struct http_exchange *x,
                     const struct store_outcome *outcome)
{
    if (outcome->err != RC_OK) {
        errand_failed(x, outcome);
        return;
    }
    if (!outcome->succeeded) {
        tell_conflict(x, outcome);
        return;
    }
    if (x->draft != NULL) {
        json_int_t index = (json_int_t)outcome->revision;
        (void)json_object_set_new(x->draft, "ModifyIndex", json_integer(index));
        if (json_integer_value(json_object_get(x->draft, "CreateIndex")) == 0) {
            (void)json_object_set_new(x->draft, "CreateIndex", json_integer(index));
        }
    }
    permits_audit(api, x, PERMITS_CHANGED);
    settle(api, x);
}

/* The document first, then its name, then the name it had. */
struct change {
    struct store_op ops[NAME_OP + 2];
    size_t count;
    char keys[2][NAME_KEY_MAX];
};

static void submit(struct http_api *api, struct http_exchange *x,
                   const struct change *change)
{
    errand_submit(api, x, change->ops, change->count, acl_object_told);
}

/* ---- Names. A setting for each holds the id that has it, so that the engine itself keeps them
 * from being taken twice, by whatever servers. */

static bool holder_of(const struct http_api *api, const char *key, struct store_pair *out)
{
    return store_read(api->store, STORE_SETTINGS, rc_pack_text(key), out);
}

static void name_key(enum directory_kind kind, const char *name, char out[NAME_KEY_MAX])
{
    (void)snprintf(out, NAME_KEY_MAX, "acl-name/%s/%s",
                   kind == DIRECTORY_ROLE ? "role" : "policy", name);
}

static void claim_name(const struct http_api *api, const struct acl_object_write *write,
                       struct change *change)
{
    struct store_pair holder = {.modify_index = 0};
    struct store_pair document;
    char *key = change->keys[0];

    name_key(write->kind, write->name, key);
    bool is_held = holder_of(api, key, &holder);
    if (is_held && rc_pack_equals(holder.value, rc_pack_text(write->id))) {
        return;
    }
    /* Of one that is not there the name is free. */
    bool is_free =
        !is_held || !store_read(api->store, tables[write->kind], holder.value, &document);
    change->ops[change->count++] =
        (struct store_op){.verb = STORE_CAS,
                          .table = STORE_SETTINGS,
                          .key = rc_pack_text(key),
                          .value = rc_pack_text(write->id),
                          .index = is_free ? holder.modify_index : 0};
}

static void free_name(const struct http_api *api, enum directory_kind kind,
                      const char *name, const char *id, struct change *change)
{
    struct store_pair holder;
    char *key = change->keys[1];

    name_key(kind, name, key);
    if (holder_of(api, key, &holder) && rc_pack_equals(holder.value, rc_pack_text(id))) {
        change->ops[change->count++] = (struct store_op){.verb = STORE_DELETE_CAS,
                                                         .table = STORE_SETTINGS,
                                                         .key = rc_pack_text(key),
                                                         .index = holder.modify_index};
    }
}

/* ---- What is asked of the store. */

void acl_object_put(struct http_api *api, struct http_exchange *x,
                    const struct acl_object_write *write, json_t *document)
{
    char *text = json_dumps(document, JSON_COMPACT);
    struct change change = {.count = 1};

    json_decref(document);
    if (text == NULL) {
        exchange_error(x, 500, "%s", rc_strerror(RC_ENOMEM));
        return;
    }
    change.ops[0] = (struct store_op){
        .verb = STORE_CAS,
        .table = tables[write->kind],
        .key = rc_pack_text(write->id),
        .value = rc_pack_text(text),
        .index = write->index,
        .ttl_ms = write->ttl_ms,
    };
    if (write->name != NULL) {
        claim_name(api, write, &change);
    }
    if (write->old_name != NULL && strcmp(write->old_name, write->name) != 0) {
        free_name(api, write->kind, write->old_name, write->id, &change);
    }
    submit(api, x, &change);
    free(text);
}

void acl_object_delete(struct http_api *api, struct http_exchange *x,
                       enum directory_kind kind, const char *id)
{
    struct change change = {.count = 1};
    struct directory_item item;

    change.ops[0] = (struct store_op){
        .verb = STORE_DELETE_KEY,
        .table = tables[kind],
        .key = rc_pack_text(id),
    };
    if (kind != DIRECTORY_TOKEN &&
        directory_find(permits_directory(api), kind, id, &item)) {
        change.ops[0].verb = STORE_DELETE_CAS; /* it may be given another name now */
        change.ops[0].index = item.modify_index;
        free_name(api, kind, acl_object_text(item.body, "Name"), id, &change);
    }
    submit(api, x, &change);
}
