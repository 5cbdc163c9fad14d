#include "agent/http/txn_request.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/http/body_field.h"
#include "agent/http/kv_pair.h"
#include "base/err.h"
#include "base/text.h"

static const struct {
    const char *word;
    enum store_verb verb;
    bool writes;
} verbs[] = {
    {"set", STORE_SET, true},
    {"cas", STORE_CAS, true},
    {"lock", STORE_LOCK, true},
    {"unlock", STORE_UNLOCK, true},
    {"get", STORE_GET, false},
    {"get-or-empty", STORE_GET_OR_EMPTY, false},
    {"get-tree", STORE_GET_TREE, false},
    {"check-index", STORE_CHECK_INDEX, false},
    {"check-session", STORE_CHECK_SESSION, false},
    {"check-not-exists", STORE_CHECK_NOT_EXISTS, false},
    {"delete", STORE_DELETE_KEY, true},
    {"delete-cas", STORE_DELETE_CAS, true},
    {"delete-tree", STORE_DELETE_TREE, true},
};

__attribute__((format(printf, 3, 4))) static int
refuse(struct txn_request *request, unsigned status, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(request->text, sizeof request->text, format, arguments);
    va_end(arguments);
    rc_text_to_line(request->text, sizeof request->text);
    request->status = status;
    return RC_EINVAL;
}

static int refuse_type(struct txn_request *request, const char *field, const char *type)
{
    return refuse(
        request, 400,
        "Failed to parse body: json: cannot unmarshal value into Go struct field "
        "KVTxnOp.%s of type %s",
        field, type);
}

/* Decodes into `*room`, which moves on. */
static int read_value(struct txn_request *request, json_t *kv, uint8_t **room,
                      struct store_op *op)
{
    const char *text = NULL;
    size_t size = 0;

    if (!body_field_text(kv, "Value", &text)) {
        return refuse_type(request, "Value", "[]uint8");
    }
    if (text == NULL || text[0] == '\0') {
        return RC_OK;
    }
    if (rc_text_from_base64(text, *room, strlen(text), &size) != RC_OK) {
        return refuse(
            request, 400,
            "Failed to parse body: illegal base64 data in Value of operation %zu",
            request->count);
    }
    op->value = (struct rc_pack_bytes){*room, size};
    *room += size;
    return RC_OK;
}

static int read_verb(struct txn_request *request, json_t *kv, struct store_op *op)
{
    const char *word = "";

    if (!body_field_text(kv, "Verb", &word)) {
        return refuse_type(request, "Verb", "string");
    }
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(verbs[i].word, word) == 0) {
            op->verb = verbs[i].verb;
            request->only_reads = request->only_reads && !verbs[i].writes;
            return RC_OK;
        }
    }
    if (!request->has_unknown) {
        request->has_unknown = true;
        request->unknown_op = request->count;
        (void)snprintf(request->text, sizeof request->text, "unknown KV verb \"%.64s\"",
                       word);
    }
    return RC_OK;
}

/* A key that is written or read; a tree may be all keys there are. */
static int check_key(struct txn_request *request, const struct store_op *op)
{
    bool tree = op->verb == STORE_GET_TREE || op->verb == STORE_DELETE_TREE;
    const char *fault = tree && op->key.size == 0 ? NULL : kv_pair_refuses(op->key);

    return fault == NULL
               ? RC_OK
               : refuse(request, 400, "%s (operation %zu)", fault, request->count);
}

static int read_kv(struct txn_request *request, json_t *kv, uint8_t **room)
{
    struct store_op *op = &request->ops[request->count];
    const char *key = "";

    if (!json_is_object(kv)) {
        return refuse_type(request, "KV", "api.KVTxnOp");
    }
    op->table = STORE_KV;
    op->session = "";
    if (!body_field_text(kv, "Key", &key)) {
        return refuse_type(request, "Key", "string");
    }
    if (!body_field_text(kv, "Session", &op->session)) {
        return refuse_type(request, "Session", "string");
    }
    if (!body_field_u64(kv, "Flags", &op->flags) ||
        !body_field_u64(kv, "Index", &op->index)) {
        return refuse_type(request, "Flags or Index", "uint64");
    }
    op->key = rc_pack_text(key);
    int err = read_verb(request, kv, op);
    if (err == RC_OK) {
        err = check_key(request, op);
    }
    return err == RC_OK ? read_value(request, kv, room, op) : err;
}

static int read_session(struct txn_request *request, json_t *given)
{
    struct store_op *op = &request->ops[request->count];
    json_t *session = json_is_object(given) ? body_field(given, "Session") : NULL;
    const char *verb = "";
    const char *id = "";

    if (!json_is_object(session) || !body_field_text(given, "Verb", &verb) ||
        !body_field_text(session, "ID", &id)) {
        return refuse_type(request, "Session", "api.SessionTxnOp");
    }
    if (strcmp(verb, "delete") != 0) {
        return refuse(request, 400, "unknown Session verb \"%.64s\"", verb);
    }
    op->verb = STORE_END_SESSION;
    op->table = STORE_SESSIONS;
    op->key = rc_pack_text(id);
    op->session = id;
    request->only_reads = false;
    return RC_OK;
}

static int read_op(struct txn_request *request, json_t *item, uint8_t **room)
{
    static const char *const others[] = {"Node", "Service", "Check"};

    if (!json_is_object(item)) {
        return refuse(
            request, 400,
            "Failed to parse body: json: cannot unmarshal value into Go value of "
            "type api.TxnOp");
    }
    json_t *kv = body_field(item, "KV");
    json_t *session = body_field(item, "Session");
    if (kv != NULL) {
        return read_kv(request, kv, room);
    }
    if (session != NULL) {
        return read_session(request, session);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (body_field(item, others[i]) != NULL) {
            return refuse(
                request, 400,
                "Operation %zu: %s cannot be changed in a transaction: the "
                "catalog's entries of a node are written by its own agent alone "
                "(PUT /v1/agent/service/register there)",
                request->count, others[i]);
        }
    }
    return refuse(request, 400, "Operation %zu is empty", request->count);
}

static int read_all(struct txn_request *request, const json_t *body)
{
    size_t room_size = 1;

    for (size_t i = 0; i < json_array_size(body); i++) {
        json_t *item = json_array_get(body, i);
        json_t *kv = json_is_object(item) ? body_field(item, "KV") : NULL;
        json_t *value = json_is_object(kv) ? body_field(kv, "Value") : NULL;
        room_size += json_string_length(value);
    }
    request->values = malloc(room_size);
    uint8_t *room = request->values;
    int err = room != NULL ? RC_OK : RC_ENOMEM;
    for (size_t i = 0; i < json_array_size(body) && err == RC_OK; i++) {
        err = read_op(request, json_array_get(body, i), &room);
        request->count += err == RC_OK ? 1 : 0;
    }
    return err;
}

int txn_request_read(json_t *body, struct txn_request *out)
{
    size_t count = json_array_size(body);

    memset(out, 0, sizeof *out);
    out->only_reads = true;
    if (!json_is_array(body)) {
        return refuse(out, 400,
                      "Failed to parse body: json: cannot unmarshal %s into Go value of "
                      "type api.TxnOps",
                      json_is_object(body)   ? "object"
                      : json_is_string(body) ? "string"
                      : json_is_number(body) ? "number"
                                             : "bool");
    }
    if (count > STORE_OPS_MAX) {
        return refuse(out, 413, "Transaction contains too many operations (%zu > %d)",
                      count, STORE_OPS_MAX);
    }
    return read_all(out, body);
}

void txn_request_fini(struct txn_request *request)
{
    free(request->values);
    request->values = NULL;
}
