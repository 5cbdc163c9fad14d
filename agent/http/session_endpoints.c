#include <string.h>

#include "agent/http/endpoints.h"
#include "agent/http/errand.h"
#include "agent/http/permit.h"
#include "agent/http/query.h"
#include "agent/http/session_request.h"
#include "agent/http/store_query.h"
#include "base/entropy.h"
#include "base/err.h"
#include "base/text.h"

enum { NS_PER_MS = 1000000 };

/* ---- Showing. */

static void put_checks(struct rc_json *json, const struct store_session *session)
{
    rc_json_key(json, "NodeChecks");
    rc_json_array(json);
    for (size_t i = 0; i < session->node_check_count; i++) {
        rc_json_string(json, session->node_checks[i]);
    }
    rc_json_array_end(json);
    rc_json_key(json, "ServiceChecks");
    if (session->service_check_count == 0) {
        rc_json_null(json);
        return;
    }
    rc_json_array(json);
    for (size_t i = 0; i < session->service_check_count; i++) {
        rc_json_object(json);
        rc_json_put_string(json, "ID", session->service_checks[i]);
        rc_json_put_string(json, "Namespace", "");
        rc_json_object_end(json);
    }
    rc_json_array_end(json);
}

static void put_session(struct rc_json *json, const struct store_session *session)
{
    rc_json_object(json);
    rc_json_put_string(json, "ID", session->id);
    rc_json_put_string(json, "Name", session->name);
    rc_json_put_string(json, "Node", session->node);
    rc_json_put_u64(json, "LockDelay", session->lock_delay_ms * NS_PER_MS);
    rc_json_put_string(json, "Behavior",
                       session->behavior == STORE_DELETE ? "delete" : "release");
    rc_json_put_string(json, "TTL", session->ttl_text);
    put_checks(json, session);
    rc_json_put_u64(json, "CreateIndex", session->create_index);
    rc_json_put_u64(json, "ModifyIndex", session->modify_index);
    rc_json_object_end(json);
}

/* ---- Reading. */

/* All sessions, or those of `node`. */
static void answer_list(struct http_api *api, struct http_exchange *x, const char *node)
{
    const struct store_view view = {STORE_SESSIONS, STORE_UNDER, rc_pack_text("")};
    struct store_session session;
    char after[STORE_ID_SIZE] = "";

    if (store_query_must_wait(api, x, &view)) {
        return;
    }
    struct rc_json json = exchange_json(x);
    rc_json_array(&json);
    while (store_next_session(api->store, after[0] != '\0' ? after : NULL, &session)) {
        memcpy(after, session.id, sizeof after);
        if ((node == NULL || rc_text_equals_nocase(session.node, node)) &&
            permit_shows(api, x, PERMIT_SESSION, session.node)) {
            put_session(&json, &session);
        }
    }
    rc_json_array_end(&json);
    exchange_json_end(x);
}

static void answer_one(struct http_api *api, struct http_exchange *x, const char *id)
{
    struct store_session session;
    struct rc_json json = exchange_json(x);

    rc_json_array(&json);
    if (store_read_session(api->store, id, &session) &&
        permit_shows(api, x, PERMIT_SESSION, session.node)) {
        put_session(&json, &session);
    }
    rc_json_array_end(&json);
    exchange_json_end(x);
}

void session_list(struct http_api *api, struct http_exchange *x)
{
    if (store_query_begin(api, x)) {
        answer_list(api, x, NULL);
    }
}

void session_node(struct http_api *api, struct http_exchange *x)
{
    if (x->argument[0] == '\0') {
        exchange_error(x, 400, "Missing node name");
    } else if (permit(api, x, PERMIT_SESSION, x->argument, PERMIT_READ) &&
               store_query_begin(api, x)) {
        answer_list(api, x, x->argument);
    }
}

static bool has_id(struct http_exchange *x)
{
    if (x->argument[0] == '\0') {
        exchange_error(x, 400, "Missing session");
        return false;
    }
    return true;
}

void session_info(struct http_api *api, struct http_exchange *x)
{
    const struct store_view view = {STORE_SESSIONS, STORE_ONE, rc_pack_text(x->argument)};

    if (has_id(x) && store_query_begin(api, x) && !store_query_must_wait(api, x, &view)) {
        answer_one(api, x, x->argument);
    }
}

/* ---- Making. */

static void on_created(struct http_api *api, struct http_exchange *x,
                       const struct store_outcome *outcome)
{
    char id[STORE_ID_SIZE];

    (void)api;
    if (outcome->err != RC_OK) {
        errand_failed(x, outcome);
        return;
    }
    rc_text_uuid(x->session_id, id);
    errand_revision(x, outcome);
    struct rc_json json = exchange_json(x);
    rc_json_object(&json);
    rc_json_put_string(&json, "ID", id);
    rc_json_object_end(&json);
    exchange_json_end(x);
}

/* The id follows from the request's, where there is one: who repeats it gets the same session. */
static void choose_id(struct http_exchange *x, const uint8_t *request,
                      struct store_session *session)
{
    if (request != NULL) {
        memcpy(x->session_id, request, STORE_REQUEST_SIZE);
    } else {
        rc_entropy(x->session_id, sizeof x->session_id);
    }
    rc_text_uuid(x->session_id, session->id);
}

/* By the factor of the settings, as far as a session may live at all. */
static void lengthen(const struct http_api *api, struct store_session *session)
{
    uint64_t factor = api->facts.session_ttl_factor;

    if (factor > 1 && session->ttl_ms <= STORE_TTL_MAX_MS) {
        uint64_t ttl_ms = session->ttl_ms * factor;
        session->ttl_ms = ttl_ms < STORE_TTL_MAX_MS ? ttl_ms : STORE_TTL_MAX_MS;
    }
}

static void create(struct http_api *api, struct http_exchange *x,
                   struct store_session *session)
{
    uint8_t space[STORE_REQUEST_SIZE];
    const uint8_t *request = NULL;

    if (!errand_request(x, space, &request)) {
        return;
    }
    choose_id(x, request, session);
    lengthen(api, session);
    struct errand *errand = errand_begin(api, x, on_created);
    if (errand == NULL) {
        return;
    }
    int err = store_create_session(api->store, api->now_ms, session, request, errand_done,
                                   errand);
    if (err != RC_OK) {
        errand_refused(errand, err);
    }
}

void session_create(struct http_api *api, struct http_exchange *x)
{
    struct session_request request;
    json_t *body = NULL;

    if (!query_begin(api, x) || !store_query_admits(api, x)) {
        return;
    }
    if (x->body.size > 0) {
        body = request_body(x);
        if (body == NULL) {
            return;
        }
    }
    if (session_request_read(api, x, body, &request) &&
        permit(api, x, PERMIT_SESSION, request.session.node, PERMIT_WRITE) &&
        session_request_stands(api, x, &request.session)) {
        create(api, x, &request.session);
    }
    json_decref(body);
}

/* ---- Ending and renewing. */

static void on_destroyed(struct http_api *api, struct http_exchange *x,
                         const struct store_outcome *outcome)
{
    (void)api;
    if (outcome->err != RC_OK && outcome->err != RC_ENOTFOUND) {
        errand_failed(x, outcome);
        return;
    }
    struct rc_json json = exchange_json(x);
    rc_json_bool(&json, true); /* also when there was none */
    exchange_json_end(x);
}

/* Whether the one who asks may write the session; unknown ones have no node to ask for. */
static bool may_write(struct http_api *api, struct http_exchange *x)
{
    struct store_session session;
    const char *node = "";

    if (store_read_session(api->store, x->argument, &session)) {
        node = session.node;
    }
    return permit(api, x, PERMIT_SESSION, node, PERMIT_WRITE);
}

void session_destroy(struct http_api *api, struct http_exchange *x)
{
    const struct store_op op = {
        .verb = STORE_END_SESSION,
        .table = STORE_SESSIONS,
        .key = rc_pack_text(x->argument),
        .session = x->argument,
    };

    if (!has_id(x) || !query_begin(api, x) || !store_query_admits(api, x) ||
        !may_write(api, x)) {
        return;
    }
    errand_submit(api, x, &op, 1, on_destroyed);
}

static void on_renewed(struct http_api *api, struct http_exchange *x,
                       const struct store_outcome *outcome)
{
    struct store_session session;

    if (outcome->err != RC_OK && outcome->err != RC_ENOTFOUND) {
        errand_failed(x, outcome);
    } else if (outcome->err == RC_ENOTFOUND || !outcome->succeeded ||
               !store_read_session(api->store, x->argument, &session)) {
        exchange_error(x, 404, "Session id '%s' not found", x->argument);
    } else {
        answer_one(api, x, x->argument);
    }
}

/* ?ttl=30s&cas=<ModifyIndex>: the session has that time from now on, if nobody has changed it. */
static bool read_retime(struct http_api *api, struct http_exchange *x,
                        struct store_session *space, struct store_retime *out)
{
    const char *ttl = target_parameter(&x->target, "ttl");
    const char *index = target_parameter(&x->target, "cas");

    *out = (struct store_retime){.id = x->argument, .ttl_text = space->ttl_text};
    if (!session_request_ttl(api, x, ttl, space)) {
        return false;
    }
    if (space->ttl_ms == 0 || index == NULL ||
        rc_text_to_u64(index, UINT64_MAX, &out->index) != RC_OK) {
        exchange_error(x, 400,
                       "A new ttl needs the ModifyIndex that the session has: "
                       "?ttl=30s&cas=17");
        return false;
    }
    lengthen(api, space);
    out->ttl_ms = space->ttl_ms;
    return true;
}

/* Settled first: a session that another server made a moment ago is known then. */
void session_renew(struct http_api *api, struct http_exchange *x)
{
    struct store_session session;
    struct store_retime retime;

    if (!has_id(x)) {
        return;
    }
    bool known =
        api->store != NULL && store_read_session(api->store, x->argument, &session);
    if (known ? !query_begin(api, x) || !store_query_admits(api, x)
              : !store_query_begin(api, x)) {
        return;
    }
    bool has_ttl = target_parameter(&x->target, "ttl") != NULL;
    if (!may_write(api, x) || (has_ttl && !read_retime(api, x, &session, &retime))) {
        return;
    }
    struct errand *errand = errand_begin(api, x, on_renewed);
    if (errand == NULL) {
        return;
    }
    int err = has_ttl ? store_retime_session(api->store, api->now_ms, &retime,
                                             errand_done, errand)
                      : store_renew_session(api->store, api->now_ms, x->argument,
                                            errand_done, errand);
    if (err != RC_OK) {
        errand_refused(errand, err);
    }
}
