/* operator_autopilot.c - the settings of Consul's autopilot: kept, shown, and without effect.
 *
 * The store's engine decides by itself who leads, who votes and who is left out: of an etcd cluster
 * its own settings do, a SQLite store has one server. So that tools which set these can do so, what
 * they write is kept as a document in the store; the answer says that nobody acts on it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/http/body_field.h"
#include "agent/http/endpoints.h"
#include "agent/http/errand.h"
#include "agent/http/permit.h"
#include "agent/http/store_query.h"
#include "base/err.h"
#include "base/text.h"

#define DOCUMENT "autopilot"
static const char note[] = "kept and shown; the engine of the store decides by itself";

enum { TAG_MAX = 128, DURATION_TEXT_MAX = 32 };

struct settings {
    bool cleans_up;
    bool without_migration;
    uint64_t contact_ns;
    uint64_t stabilization_ns;
    uint64_t trailing_logs;
    uint64_t quorum;
    char zone_tag[TAG_MAX + 1];
    char version_tag[TAG_MAX + 1];
};

/* ---- As JSON. */

static bool read_bool(json_t *body, const char *name, bool *out)
{
    const json_t *value = body_field(body, name);

    *out = json_is_true(value);
    return value == NULL || json_is_boolean(value);
}

static bool read_tag(json_t *body, const char *name, char out[TAG_MAX + 1])
{
    const char *text = "";

    return body_field_text(body, name, &text) &&
           rc_text_put(out, TAG_MAX + 1, text) == RC_OK;
}

/* Go's text, or a number of nanoseconds. */
static bool read_duration(json_t *body, const char *name, uint64_t *out)
{
    const char *text = NULL;

    if (body_field_u64(body, name, out)) {
        return true;
    }
    return body_field_text(body, name, &text) &&
           rc_text_to_duration_ns(text, out) == RC_OK;
}

/* The name of a field that makes no sense; NULL: all do. What is missing is zero, as in Consul. */
static const char *read(json_t *body, struct settings *out)
{
    *out = (struct settings){.cleans_up = false};
    if (!read_bool(body, "CleanupDeadServers", &out->cleans_up)) {
        return "CleanupDeadServers";
    }
    if (!read_bool(body, "DisableUpgradeMigration", &out->without_migration)) {
        return "DisableUpgradeMigration";
    }
    if (!read_duration(body, "LastContactThreshold", &out->contact_ns)) {
        return "LastContactThreshold";
    }
    if (!read_duration(body, "ServerStabilizationTime", &out->stabilization_ns)) {
        return "ServerStabilizationTime";
    }
    if (!body_field_u64(body, "MaxTrailingLogs", &out->trailing_logs)) {
        return "MaxTrailingLogs";
    }
    if (!body_field_u64(body, "MinQuorum", &out->quorum)) {
        return "MinQuorum";
    }
    if (!read_tag(body, "RedundancyZoneTag", out->zone_tag)) {
        return "RedundancyZoneTag";
    }
    return read_tag(body, "UpgradeVersionTag", out->version_tag) ? NULL
                                                                 : "UpgradeVersionTag";
}

/* All but the object's end. */
static void write(struct rc_json *json, const struct settings *settings)
{
    char contact[DURATION_TEXT_MAX];
    char stabilization[DURATION_TEXT_MAX];

    rc_text_from_duration_ns(settings->contact_ns, contact, sizeof contact);
    rc_text_from_duration_ns(settings->stabilization_ns, stabilization,
                             sizeof stabilization);
    rc_json_object(json);
    rc_json_put_bool(json, "CleanupDeadServers", settings->cleans_up);
    rc_json_put_string(json, "LastContactThreshold", contact);
    rc_json_put_u64(json, "MaxTrailingLogs", settings->trailing_logs);
    rc_json_put_u64(json, "MinQuorum", settings->quorum);
    rc_json_put_string(json, "ServerStabilizationTime", stabilization);
    rc_json_put_string(json, "RedundancyZoneTag", settings->zone_tag);
    rc_json_put_bool(json, "DisableUpgradeMigration", settings->without_migration);
    rc_json_put_string(json, "UpgradeVersionTag", settings->version_tag);
}

/* ---- Reading. */

/* What the engine does, as far as it can be said in these words. */
static const struct settings engines_own = {
    .contact_ns = 200 * 1000000ULL,
    .without_migration = true,
};

void operator_autopilot_configuration(struct http_api *api, struct http_exchange *x)
{
    struct settings settings = engines_own;
    struct store_pair pair = {.create_index = 1, .modify_index = 1};

    if (!permit(api, x, PERMIT_OPERATOR, "", PERMIT_READ) || !store_query_begin(api, x)) {
        return;
    }
    if (store_read(api->store, STORE_SETTINGS, rc_pack_text(DOCUMENT), &pair)) {
        json_t *document =
            json_loadb((const char *)pair.value.at, pair.value.size, 0, NULL);
        (void)read(document, &settings);
        json_decref(document);
    }
    struct rc_json json = exchange_json(x);
    write(&json, &settings);
    rc_json_put_u64(&json, "CreateIndex", pair.create_index);
    rc_json_put_u64(&json, "ModifyIndex", pair.modify_index);
    rc_json_object_end(&json);
    exchange_json_end(x);
    exchange_header(x, "X-Rollcall-Note", note);
}

/* ---- Writing. */

static void told(struct http_api *api, struct http_exchange *x,
                 const struct store_outcome *outcome)
{
    (void)api;
    if (outcome->err != RC_OK) {
        errand_failed(x, outcome);
        return;
    }
    struct rc_json json = exchange_json(x);
    rc_json_bool(&json, outcome->succeeded);
    exchange_json_end(x);
    exchange_header(x, "X-Rollcall-Note", note);
}

/* False: answered. */
static bool read_op(struct http_exchange *x, struct store_op *op)
{
    const char *cas = target_parameter(&x->target, "cas");

    op->verb = cas != NULL ? STORE_CAS : STORE_SET;
    if (cas != NULL && rc_text_to_u64(cas, UINT64_MAX, &op->index) != RC_OK) {
        exchange_error(x, 400, "Error parsing cas value: %s", cas);
        return false;
    }
    return true;
}

static void submit(struct http_api *api, struct http_exchange *x,
                   const struct settings *settings)
{
    struct store_op op = {.table = STORE_SETTINGS, .key = rc_pack_text(DOCUMENT)};
    struct store_pair pair;
    struct rc_buffer text = {0};
    struct rc_json json = rc_json_over(&text, 0);
    uint8_t space[STORE_REQUEST_SIZE];
    const uint8_t *request = NULL;

    if (!read_op(x, &op) || !errand_request(x, space, &request)) {
        return;
    }
    /* What nobody has written yet is shown with index 1. */
    bool is_there = store_read(api->store, STORE_SETTINGS, op.key, &pair);
    op.index = !is_there && op.index == 1 ? 0 : op.index;
    write(&json, settings);
    rc_json_object_end(&json);
    op.value = (struct rc_pack_bytes){text.bytes, text.size};
    struct errand *errand = errand_begin(api, x, told);
    if (errand != NULL) {
        int err = text.err != RC_OK ? text.err
                                    : store_submit(api->store, api->now_ms, &op, 1,
                                                   request, errand_done, errand);
        if (err != RC_OK) {
            errand_refused(errand, err);
        }
    }
    rc_buffer_fini(&text);
}

void operator_autopilot_configure(struct http_api *api, struct http_exchange *x)
{
    struct settings settings;

    if (!permit(api, x, PERMIT_OPERATOR, "", PERMIT_WRITE) || !query_begin(api, x) ||
        !store_query_admits(api, x)) {
        return;
    }
    json_t *body = request_body(x);
    if (body == NULL) {
        return;
    }
    const char *wrong = read(body, &settings);
    json_decref(body);
    if (wrong != NULL) {
        exchange_error(x, 400, "Error parsing autopilot config: %s makes no sense",
                       wrong);
        return;
    }
    submit(api, x, &settings);
}
