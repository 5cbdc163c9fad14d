/* prepared_write.c - /v1/query: prepared queries are made, changed and taken away.
 *
 * A definition is one document under its id; another, under "name:" or "template:" and its
 * name, holds the id, so that the engine itself keeps names unique. */
#include <stdlib.h>
#include <string.h>

#include "agent/http/endpoints.h"
#include "agent/http/errand.h"
#include "agent/http/permit.h"
#include "agent/http/prepared_stored.h"
#include "agent/http/store_query.h"
#include "agent/prepared/prepared.h"
#include "agent/prepared/prepared_key.h"
#include "base/entropy.h"
#include "base/err.h"
#include "base/text.h"

enum { OPS_MAX = 3 };

struct change {
    struct store_op ops[OPS_MAX];
    size_t count;
    char old_name[PREPARED_KEY_MAX];
    char new_name[PREPARED_KEY_MAX];
    char id[STORE_ID_SIZE];
    char *text; /* owned */
};

static struct store_op *add_op(struct change *change, enum store_verb verb,
                               const char *key)
{
    struct store_op *op = &change->ops[change->count++];

    *op =
        (struct store_op){.verb = verb, .table = STORE_QUERIES, .key = rc_pack_text(key)};
    return op;
}

/* As it stands now: after that a name may have gone to another query. */
static void add_delete(const struct http_api *api, struct change *change, const char *key)
{
    struct store_pair pair;

    if (store_read(api->store, STORE_QUERIES, rc_pack_text(key), &pair)) {
        add_op(change, STORE_DELETE_CAS, key)->index = pair.modify_index;
    }
}

/* The name is another's, or somebody else was quicker. */
static void tell_conflict(const struct http_api *api, struct http_exchange *x)
{
    char key[PREPARED_KEY_MAX] = "";
    struct store_pair owner;

    if (x->draft != NULL) {
        prepared_name_key(x->draft, key);
    }
    if (key[0] != '\0' &&
        store_read(api->store, STORE_QUERIES, rc_pack_text(key), &owner) &&
        !rc_pack_equals(owner.value, rc_pack_text(prepared_id(x->draft)))) {
        exchange_error(x, 500, "name '%s' aliases an existing query name",
                       prepared_name(x->draft));
    } else {
        exchange_error(x, 500,
                       "The prepared query was changed by somebody else meanwhile; "
                       "read it and try again");
    }
}

static void on_written(struct http_api *api, struct http_exchange *x,
                       const struct store_outcome *outcome)
{
    if (outcome->err != RC_OK) {
        errand_failed(x, outcome);
    } else if (!outcome->succeeded) {
        tell_conflict(api, x);
    } else if (x->method == HTTP_POST) {
        struct rc_json json = exchange_json(x);
        rc_json_object(&json);
        rc_json_put_string(&json, "ID", prepared_id(x->draft));
        rc_json_object_end(&json);
        exchange_json_end(x);
    } else {
        exchange_done(x);
    }
}

static void submit(struct http_api *api, struct http_exchange *x,
                   const struct change *change)
{
    errand_submit(api, x, change->ops, change->count, on_written);
}

/* Whoever binds a query to a session wants it to go with that. */
static bool session_lives(const struct http_api *api, struct http_exchange *x,
                          const json_t *query)
{
    struct store_session session;
    const char *id = prepared_session(query);

    if (id[0] == '\0' || store_read_session(api->store, id, &session)) {
        return true;
    }
    exchange_error(x, 500, "failed session lookup: invalid session \"%s\"", id);
    return false;
}

/* What the client sent, in its one form, in x->draft. False: answered already. */
static bool take_body(struct http_exchange *x)
{
    char error[PREPARED_ERROR_MAX];

    if (x->draft != NULL) { /* run again, after a wait */
        return true;
    }
    json_t *body = request_body(x);
    if (body == NULL) {
        return false;
    }
    int err = prepared_read(body, &x->draft, error);
    json_decref(body);
    if (err != RC_OK) {
        exchange_error(x, rc_text_starts_with(error, "Request decode") ? 400 : 500, "%s",
                       err == RC_ENOMEM ? "out of memory" : error);
    }
    return err == RC_OK;
}

static void write_draft(struct http_api *api, struct http_exchange *x,
                        struct change *change, const struct store_pair *before)
{
    prepared_name_key(x->draft, change->new_name);
    change->text = json_dumps(x->draft, JSON_COMPACT);
    if (change->text == NULL) {
        exchange_error(x, 500, "out of memory");
        return;
    }
    if (change->new_name[0] != '\0' && strcmp(change->new_name, change->old_name) != 0) {
        add_op(change, STORE_CAS, change->new_name)->value = rc_pack_text(change->id);
    }
    struct store_op *op = add_op(change, STORE_CAS, change->id);
    op->value = rc_pack_text(change->text);
    op->index = before != NULL ? before->modify_index : 0;
    if (change->old_name[0] != '\0' && strcmp(change->new_name, change->old_name) != 0) {
        add_delete(api, change, change->old_name);
    }
    submit(api, x, change);
    free(change->text);
}

/* The id follows from the request's, where there is one: who repeats it gets the same query. */
static bool choose_id(struct http_exchange *x, char out[STORE_ID_SIZE])
{
    uint8_t space[STORE_REQUEST_SIZE];
    const uint8_t *request = NULL;

    if (!errand_request(x, space, &request)) {
        return false;
    }
    if (request == NULL) {
        rc_entropy(space, sizeof space);
        request = space;
    }
    rc_text_uuid(request, out);
    return true;
}

void prepared_create(struct http_api *api, struct http_exchange *x)
{
    struct change change = {0};

    if (!take_body(x) ||
        !permit(api, x, PERMIT_QUERY, prepared_name(x->draft), PERMIT_WRITE) ||
        !store_query_begin(api, x) || !session_lives(api, x, x->draft)) {
        return;
    }
    if (prepared_id(x->draft)[0] != '\0') {
        exchange_error(x, 500, "ID must be empty when creating a new prepared query");
        return;
    }
    if (!choose_id(x, change.id)) {
        return;
    }
    (void)json_object_set_new(x->draft, "ID", json_string(change.id));
    write_draft(api, x, &change, NULL);
}

void prepared_update(struct http_api *api, struct http_exchange *x)
{
    struct change change = {0};
    struct store_pair pair;

    if (!take_body(x) ||
        !permit(api, x, PERMIT_QUERY, prepared_name(x->draft), PERMIT_WRITE) ||
        !store_query_begin(api, x) || !session_lives(api, x, x->draft)) {
        return;
    }
    json_t *before = prepared_stored(api, x->argument, &pair);
    if (before == NULL) {
        exchange_error(x, 500, "Cannot modify non-existent prepared query: '%s'",
                       x->argument);
        return;
    }
    if (permit(api, x, PERMIT_QUERY, prepared_name(before), PERMIT_WRITE)) {
        (void)rc_text_put(change.id, sizeof change.id, x->argument);
        (void)json_object_set_new(x->draft, "ID", json_string(change.id));
        prepared_name_key(before, change.old_name);
        write_draft(api, x, &change, &pair);
    }
    json_decref(before);
}

void prepared_delete(struct http_api *api, struct http_exchange *x)
{
    struct change change = {0};
    struct store_pair pair;

    if (!store_query_begin(api, x)) {
        return;
    }
    json_t *before = prepared_stored(api, x->argument, &pair);
    if (before == NULL) {
        exchange_done(x); /* gone is what was wanted */
        return;
    }
    if (permit(api, x, PERMIT_QUERY, prepared_name(before), PERMIT_WRITE)) {
        prepared_name_key(before, change.old_name);
        add_delete(api, &change, x->argument);
        if (change.old_name[0] != '\0') {
            add_delete(api, &change, change.old_name);
        }
        submit(api, x, &change);
    }
    json_decref(before);
}
