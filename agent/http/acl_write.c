/* acl_write.c - documents of tokens, policies and roles on their way into the store. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/http/acl_object.h"
#include "agent/http/errand.h"
#include "agent/http/permits.h"
#include "base/entropy.h"
#include "base/err.h"
#include "base/text.h"

static const enum store_table tables[DIRECTORY_KIND_COUNT] = {
    [DIRECTORY_TOKEN] = STORE_TOKENS,
    [DIRECTORY_POLICY] = STORE_POLICIES,
    [DIRECTORY_ROLE] = STORE_ROLES,
};

void acl_object_id(struct http_api *api, const struct http_exchange *x, const char *label,
                   char out[SUBJECT_ID_SIZE])
{
    uint8_t bytes[SECRET_HASH_SIZE];
    char hex[2 * HTTP_REQUEST_ID_SIZE + 1];
    char text[80];

    rc_entropy(bytes, sizeof bytes);
    if (x->request_id != NULL) {
        rc_text_to_hex(x->request_id, HTTP_REQUEST_ID_SIZE, hex);
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

void acl_object_told(struct http_api *api, struct http_exchange *x,
                     const struct store_outcome *outcome)
{
    if (outcome->err != RC_OK) {
        errand_failed(x, outcome);
        return;
    }
    if (!outcome->succeeded) {
        exchange_error(x, 409, "It was changed by somebody else meanwhile: try again");
        return;
    }
    if (x->draft != NULL) {
        json_int_t index = (json_int_t)outcome->revision;
        (void)json_object_set_new(x->draft, "ModifyIndex", json_integer(index));
        if (json_integer_value(json_object_get(x->draft, "CreateIndex")) == 0) {
            (void)json_object_set_new(x->draft, "CreateIndex", json_integer(index));
        }
    }
    settle(api, x);
}

static void submit(struct http_api *api, struct http_exchange *x,
                   const struct store_op *op)
{
    uint8_t space[STORE_REQUEST_SIZE];
    const uint8_t *request = NULL;

    if (!errand_request(x, space, &request)) {
        return;
    }
    struct errand *errand = errand_begin(api, x, acl_object_told);
    if (errand == NULL) {
        return;
    }
    int err = store_submit(api->store, api->now_ms, op, 1, request, errand_done, errand);
    if (err != RC_OK) {
        errand_refused(errand, err);
    }
}

void acl_object_put(struct http_api *api, struct http_exchange *x,
                    const struct acl_object_write *write, json_t *document)
{
    char *text = json_dumps(document, JSON_COMPACT);

    json_decref(document);
    if (text == NULL) {
        exchange_error(x, 500, "%s", rc_strerror(RC_ENOMEM));
        return;
    }
    const struct store_op op = {
        .verb = write->ttl_ms != 0 ? STORE_SET : STORE_CAS,
        .table = tables[write->kind],
        .key = rc_pack_text(write->id),
        .value = rc_pack_text(text),
        .index = write->index,
        .ttl_ms = write->ttl_ms,
    };
    submit(api, x, &op);
    free(text);
}

void acl_object_delete(struct http_api *api, struct http_exchange *x,
                       enum directory_kind kind, const char *id)
{
    const struct store_op op = {
        .verb = STORE_DELETE_KEY,
        .table = tables[kind],
        .key = rc_pack_text(id),
    };

    submit(api, x, &op);
}
