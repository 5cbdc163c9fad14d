#include <stdlib.h>
#include <string.h>

#include "agent/http/endpoints.h"
#include "agent/http/errand.h"
#include "agent/http/kv_pair.h"
#include "agent/http/permit.h"
#include "agent/http/query.h"
#include "agent/http/store_query.h"
#include "agent/http/txn_request.h"
#include "base/err.h"
#include "base/text.h"

enum { NAME_SPACE = STORE_KEY_MAX + 1 };

/* ---- Answers. */

static void put_results(struct rc_json *json, const struct store_outcome *outcome)
{
    rc_json_key(json, "Results");
    if (!outcome->succeeded) {
        rc_json_null(json);
        return;
    }
    rc_json_array(json);
    for (size_t i = 0; i < outcome->result_count; i++) {
        rc_json_object(json);
        rc_json_key(json, "KV");
        kv_pair_render(json, &outcome->results[i].pair, KV_WITH_VALUE);
        rc_json_object_end(json);
    }
    rc_json_array_end(json);
}

static void put_errors(struct rc_json *json, const struct store_outcome *outcome)
{
    rc_json_key(json, "Errors");
    if (outcome->succeeded) {
        rc_json_null(json);
        return;
    }
    rc_json_array(json);
    for (size_t i = 0; i < outcome->failure_count; i++) {
        rc_json_object(json);
        rc_json_put_u64(json, "OpIndex", outcome->failures[i].op);
        rc_json_put_string(json, "What", outcome->failures[i].what);
        rc_json_object_end(json);
    }
    rc_json_array_end(json);
}

/* What a read-only one tells beside: QueryMeta of Consul's answer. */
static void put_meta(const struct http_api *api, const struct http_exchange *x,
                     struct rc_json *json)
{
    rc_json_put_u64(json, "Index", 0);
    rc_json_put_u64(json, "LastContact", store_query_age_ms(api, x));
    rc_json_put_bool(json, "KnownLeader", store_query_knows_leader(api, x));
    rc_json_put_string(json, "ConsistencyLevel", "");
    rc_json_put_bool(json, "NotModified", false);
}

static void answer(const struct http_api *api, struct http_exchange *x,
                   const struct store_outcome *outcome)
{
    if (x->is_read_only) {
        store_query_freshness(api, x);
    }
    errand_revision(x, outcome);
    struct rc_json json = exchange_json(x);
    rc_json_object(&json);
    put_results(&json, outcome);
    put_errors(&json, outcome);
    if (x->is_read_only) {
        put_meta(api, x, &json);
    }
    rc_json_object_end(&json);
    exchange_json_end(x);
    x->status = outcome->succeeded ? 200 : 409;
}

static void on_done(struct http_api *api, struct http_exchange *x,
                    const struct store_outcome *outcome)
{
    /* What would be 500 for a lone write, such as an unknown session, is a failed operation. */
    if (outcome->err == RC_EINVAL && outcome->failure_count > 0) {
        struct store_outcome failed = *outcome;
        failed.succeeded = false;
        answer(api, x, &failed);
    } else if (outcome->err != RC_OK) {
        errand_failed(x, outcome);
    } else {
        answer(api, x, outcome);
    }
}

/* ---- Requests. */

static bool may_kv(struct http_api *api, struct http_exchange *x,
                   const struct store_op *op)
{
    char name[NAME_SPACE] = "";

    memcpy(name, op->key.at, op->key.size); /* at most STORE_KEY_MAX: checked before */
    name[op->key.size] = '\0';
    switch (op->verb) {
    case STORE_GET:
    case STORE_GET_OR_EMPTY:
    case STORE_CHECK_INDEX:
    case STORE_CHECK_SESSION:
    case STORE_CHECK_NOT_EXISTS:
        return permit(api, x, PERMIT_KEY, name, PERMIT_READ);
    case STORE_GET_TREE:
        return permit_prefix(api, x, PERMIT_KEY, name, PERMIT_READ);
    case STORE_DELETE_TREE:
        return permit_prefix(api, x, PERMIT_KEY, name, PERMIT_WRITE);
    case STORE_SET:
    case STORE_CAS:
    case STORE_LOCK:
    case STORE_UNLOCK:
    case STORE_DELETE_KEY:
    case STORE_DELETE_CAS:
    case STORE_END_SESSION:
    case STORE_RETIME_SESSION:
    case STORE_VERB_COUNT:
        break;
    }
    return permit(api, x, PERMIT_KEY, name, PERMIT_WRITE);
}

static bool may(struct http_api *api, struct http_exchange *x,
                const struct txn_request *request)
{
    struct store_session session;

    for (size_t i = 0; i < request->count; i++) {
        const struct store_op *op = &request->ops[i];
        if (op->table == STORE_KV && !may_kv(api, x, op)) {
            return false;
        }
        if (op->table == STORE_SESSIONS &&
            !permit(api, x, PERMIT_SESSION,
                    store_read_session(api->store, op->session, &session) ? session.node
                                                                          : "",
                    PERMIT_WRITE)) {
            return false;
        }
    }
    return true;
}

static void submit(struct http_api *api, struct http_exchange *x,
                   const struct txn_request *txn)
{
    uint8_t space[STORE_REQUEST_SIZE];
    const uint8_t *request = NULL;

    if (!errand_request(x, space, &request)) {
        return;
    }
    struct errand *errand = errand_begin(api, x, on_done);
    if (errand == NULL) {
        return;
    }
    x->is_read_only = txn->only_reads;
    bool is_stale = txn->only_reads && x->query.consistency == QUERY_STALE;
    int err = is_stale ? store_look(api->store, api->now_ms, txn->ops, txn->count,
                                    errand_done, errand)
                       : store_submit(api->store, api->now_ms, txn->ops, txn->count,
                                      request, errand_done, errand);
    if (err != RC_OK) {
        errand_refused(errand, err);
    }
}

static void carry_out(struct http_api *api, struct http_exchange *x,
                      const struct txn_request *txn)
{
    const struct store_failure unknown = {txn->unknown_op, txn->text};
    const struct store_outcome refused = {.failures = &unknown, .failure_count = 1};
    const struct store_outcome nothing = {.succeeded = true};

    if (txn->has_unknown) {
        x->is_read_only = txn->only_reads;
        answer(api, x, &refused);
    } else if (txn->count == 0) {
        answer(api, x, &nothing);
    } else if (may(api, x, txn)) {
        submit(api, x, txn);
    }
}

/* Go's words for a body that is no JSON, behind this endpoint's own. */
static json_t *read_body(struct http_exchange *x)
{
    static const char before[] = "Request decode failed: ";
    json_t *body = request_body(x);

    if (body == NULL && x->status == 400 &&
        rc_text_starts_with(rc_buffer_string(&x->out), before)) {
        char *text = rc_text_copy(rc_buffer_string(&x->out) + sizeof before - 1);
        exchange_error(x, 400, "Failed to parse body: %s", text != NULL ? text : "");
        free(text);
    }
    return body;
}

void txn_put(struct http_api *api, struct http_exchange *x)
{
    struct txn_request *txn = malloc(sizeof *txn);

    if (txn == NULL) {
        exchange_error(x, 500, "%s", rc_strerror(RC_ENOMEM));
        return;
    }
    json_t *body = NULL;
    if (query_begin(api, x) && store_query_admits(api, x) &&
        (body = read_body(x)) != NULL) {
        int err = txn_request_read(body, txn);
        if (err == RC_OK) {
            carry_out(api, x, txn);
        } else {
            exchange_error(x, err == RC_EINVAL ? txn->status : 500, "%s",
                           err == RC_EINVAL ? txn->text : rc_strerror(err));
        }
        txn_request_fini(txn);
    }
    json_decref(body);
    free(txn);
}
