/* snapshot_endpoints.c - /v1/snapshot: the whole store out, and in again.
 *
 * Who may read all keys and the hashes of all tokens may do anything: both want to write as an
 * operator. */
#include <inttypes.h>
#include <stdio.h>

#include "agent/http/endpoints.h"
#include "agent/http/errand.h"
#include "agent/http/permit.h"
#include "agent/http/permits_state.h"
#include "agent/http/store_query.h"
#include "agent/store/archive.h"
#include "base/err.h"
#include "base/json_read.h"
#include "base/text.h"

#define TAKEN "snapshot" /* the setting that says when the last one was taken */

/* A snapshot has all keys and tokens in it, and who restores one may bring tokens of his own:
 * both take the right to manage tokens as well, as in Consul. */
static bool may(struct http_api *api, struct http_exchange *x)
{
    return permit(api, x, PERMIT_OPERATOR, "", PERMIT_WRITE) &&
           permit(api, x, PERMIT_ACL, "", PERMIT_WRITE);
}

static void on_noted(void *context, const struct store_outcome *outcome)
{
    (void)context, (void)outcome;
}

/* So that everybody sees how old the last one is. That it cannot be noted now is no reason to
 * have none. */
static void note_taken(struct http_api *api)
{
    char text[48];

    (void)snprintf(text, sizeof text, "{\"at_ms\":%" PRIu64 "}", api->wall_ms);
    const struct store_op op = {.verb = STORE_SET,
                                .table = STORE_SETTINGS,
                                .key = rc_pack_text(TAKEN),
                                .value = rc_pack_text(text)};
    (void)store_submit(api->store, api->now_ms, &op, 1, NULL, on_noted, NULL);
}

uint64_t snapshot_taken_ms(const struct http_api *api)
{
    struct store_pair pair;

    if (api->store == NULL ||
        !store_read(api->store, STORE_SETTINGS, rc_pack_text(TAKEN), &pair)) {
        return 0;
    }
    json_t *note = json_loadb((const char *)pair.value.at, pair.value.size, 0, NULL);
    uint64_t at_ms = rc_json_read_number(note, "at_ms");
    json_decref(note);
    return at_ms;
}

void snapshot_get(struct http_api *api, struct http_exchange *x)
{
    struct archive_header facts = {.wall_ms = api->wall_ms};
    struct engine_status status;

    if (!may(api, x) || !store_query_begin(api, x)) {
        return;
    }
    api->engine->class->status(api->engine, &status);
    (void)rc_text_put(facts.datacenter, sizeof facts.datacenter, api->facts.datacenter);
    (void)rc_text_put(facts.engine, sizeof facts.engine, status.kind);
    int err = store_archive(api->store, &facts, &x->out);
    if (err != RC_OK) {
        exchange_error(x, 500, "%s",
                       err == RC_EAGAIN ? "No cluster leader" : rc_strerror(err));
        return;
    }
    x->status = 200;
    x->content_type = "application/octet-stream";
    exchange_header_u64(x, "X-Consul-Index", status.revision > 0 ? status.revision : 1);
    store_query_freshness(api, x);
    note_taken(api);
}

static void on_restored(struct http_api *api, struct http_exchange *x,
                        const struct store_outcome *outcome)
{
    if (outcome->err == RC_OK) {
        permits_audit(api, x, PERMITS_CHANGED);
        exchange_done(x);
    } else {
        exchange_error(x, 500, "%s", outcome->text);
    }
}

/* Not stopped by a restore that was cut short: this is how it is done again. */
void snapshot_put(struct http_api *api, struct http_exchange *x)
{
    char error[ARCHIVE_ERROR_MAX];
    char by[PERMITS_PRINT_SIZE];

    if (!may(api, x)) {
        return;
    }
    if (api->store_trouble != NULL) {
        exchange_error(x, 500, "%s", api->store_trouble);
        return;
    }
    struct errand *errand = errand_begin(api, x, on_restored);
    if (errand == NULL) {
        return;
    }
    const struct restore_source source = {x->body.bytes, x->body.size,
                                          permits_print(api, x, by)};
    int err = store_restore(api->store, &source, error, errand_done, errand);
    if (err != RC_OK) {
        errand_refused(errand, err);
        exchange_error(x, err == RC_ENOMEM ? 500 : 400, "%s", error);
    }
}
