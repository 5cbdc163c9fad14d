/* postgres_write.c - what operators want of a PostgreSQL cluster.
 *
 * Nothing moves here: a wish that passes the rules is written for the keepers, who carry it out
 * and end it. It is judged by a settled view, and written only if the lease and the record it
 * replaces are still as they were then. */
#include <stdlib.h>
#include <string.h>

#include "agent/http/body_field.h"
#include "agent/http/endpoints.h"
#include "agent/http/errand.h"
#include "agent/http/permit.h"
#include "agent/http/postgres_rules.h"
#include "agent/http/store_query.h"
#include "base/entropy.h"
#include "base/err.h"
#include "base/json_read.h"
#include "base/text.h"

enum { MEMBERS_MAX = 16 };

/* A wish while it is looked at. */
struct wish {
    char cluster[POSTGRES_NAME_MAX + 1];
    char node[POSTGRES_NAME_MAX + 1]; /* of an order */
    const char *name;                 /* of what is wanted */
    json_t *body;
    struct postgres_records records;
    char key[POSTGRES_KEY_SPACE]; /* where it is written */
    uint64_t index;               /* as it stands there; 0: nothing */
    json_t *record;               /* owned: what is written; NULL: refused */
    bool ends;                    /* it is deleted */
    struct rc_buffer why;
};

static bool text(struct wish *wish, const char *name, const char **out)
{
    *out = "";
    if (body_field_text(wish->body, name, out) &&
        (**out == '\0' || postgres_records_is_name(*out))) {
        return true;
    }
    rc_buffer_format(&wish->why, "%s is no name", name);
    return false;
}

/* ---- Intents. */

static json_t *new_record(struct http_exchange *x, uint64_t wall_ms, const char *kind)
{
    char id[STORE_ID_SIZE];

    rc_entropy(x->session_id, sizeof x->session_id);
    rc_text_uuid(x->session_id, id);
    return json_pack("{s:s, s:s, s:I}", "id", id, "kind", kind, "at_ms",
                     (json_int_t)wall_ms);
}

/* A switchover may be planned for later: AtMs, wall time. */
static bool due(struct wish *wish, uint64_t wall_ms, struct postgres_move *out)
{
    const json_t *at = body_field(wish->body, "AtMs");

    if (at == NULL) {
        return true;
    }
    if (!json_is_integer(at) || json_integer_value(at) <= 0) {
        rc_buffer_text(&wish->why, "AtMs is a time in ms since 1970");
        return false;
    }
    out->due_ms = (uint64_t)json_integer_value(at);
    if (strcmp(wish->name, "switchover") != 0) {
        rc_buffer_text(&wish->why, "only a switchover can be planned");
    } else if (out->due_ms <= wall_ms) {
        rc_buffer_text(&wish->why, "that time has passed already");
    } else if (out->due_ms > wall_ms + POSTGRES_PLAN_MAX_MS) {
        rc_buffer_text(&wish->why, "that is more than a week ahead");
    }
    return wish->why.size == 0;
}

static void move(struct http_api *api, struct http_exchange *x, struct wish *wish)
{
    bool is_failover = strcmp(wish->name, "failover") == 0;
    struct postgres_move order = {.wall_ms = api->wall_ms};

    if (!text(wish, "To", &order.to) || !due(wish, api->wall_ms, &order)) {
        return;
    }
    order.accept_loss = json_is_true(body_field(wish->body, "AcceptLoss"));
    const char *to = is_failover
                         ? postgres_rules_failover(&wish->records, &order, &wish->why)
                         : postgres_rules_switchover(&wish->records, &order, &wish->why);
    if (to == NULL) {
        return;
    }
    const json_t *lease = wish->records.records[POSTGRES_LEASE];
    const char *from = wish->records.term != 0 ? rc_json_read_text(lease, "node") : "";
    json_t *record = new_record(x, api->wall_ms, wish->name);
    (void)json_object_set_new(record, "from", json_string(from));
    (void)json_object_set_new(record, "to", json_string(to));
    (void)json_object_set_new(record, "accept_loss", json_boolean(order.accept_loss));
    if (order.due_ms != 0) {
        (void)json_object_set_new(record, "due_ms",
                                  json_integer((json_int_t)order.due_ms));
    }
    wish->record = record;
    wish->index = wish->records.indexes[POSTGRES_INTENT];
    postgres_records_key(wish->cluster, POSTGRES_INTENT, wish->key);
}

static void cancel(struct http_api *api, struct http_exchange *x, struct wish *wish)
{
    json_t *intent = wish->records.records[POSTGRES_INTENT];

    (void)x;
    if (!postgres_rules_cancel(&wish->records, api->wall_ms, &wish->why)) {
        return;
    }
    wish->record = json_incref(intent);
    wish->ends = true;
    wish->index = wish->records.indexes[POSTGRES_INTENT];
    postgres_records_key(wish->cluster, POSTGRES_INTENT, wish->key);
}

/* ---- Settings. */

static json_t *settings_of(struct wish *wish)
{
    const json_t *before = wish->records.records[POSTGRES_SETTINGS];

    wish->index = wish->records.indexes[POSTGRES_SETTINGS];
    postgres_records_key(wish->cluster, POSTGRES_SETTINGS, wish->key);
    return json_is_object(before) ? json_deep_copy(before) : json_object();
}

static void pause_or_resume(struct http_api *api, struct http_exchange *x,
                            struct wish *wish)
{
    (void)api, (void)x;
    wish->record = settings_of(wish);
    (void)json_object_set_new(wish->record, "paused",
                              json_boolean(strcmp(wish->name, "pause") == 0));
}

/* One setting of the body into `record`. False: `why`. */
static bool set_one(struct wish *wish, json_t *record, const char *key, json_t *value)
{
    if (rc_text_equals_nocase(key, "Mode")) {
        const char *mode = json_is_string(value) ? json_string_value(value) : "";
        return postgres_rules_mode(&wish->records, mode, &wish->why) &&
               json_object_set(record, "mode", value) == 0;
    }
    if (rc_text_equals_nocase(key, "MaxLagBytes")) {
        if (json_is_integer(value) && json_integer_value(value) >= 0) {
            return json_object_set(record, "max_lag_bytes", value) == 0;
        }
        rc_buffer_text(&wish->why, "MaxLagBytes is a number of bytes");
        return false;
    }
    if (rc_text_equals_nocase(key, "K")) {
        if (json_is_integer(value) && json_integer_value(value) >= 0 &&
            json_integer_value(value) < MEMBERS_MAX) {
            return json_object_set(record, "k", value) == 0;
        }
        rc_buffer_text(&wish->why, "K is how many standbys must confirm");
        return false;
    }
    rc_buffer_format(&wish->why, "no setting '%s': there are Mode, MaxLagBytes and K",
                     key);
    return false;
}

static void change_settings(struct http_api *api, struct http_exchange *x,
                            struct wish *wish)
{
    json_t *record = settings_of(wish);
    const char *key;
    json_t *value;

    (void)api, (void)x;
    json_object_foreach(wish->body, key, value)
    {
        if (!set_one(wish, record, key, value)) {
            json_decref(record);
            return;
        }
    }
    if (json_object_size(wish->body) == 0) {
        rc_buffer_text(&wish->why, "nothing to set");
        json_decref(record);
        return;
    }
    wish->record = record;
}

/* ---- Orders to one node. */

static bool find_order(struct wish *wish, enum postgres_order *out)
{
    const char *kind = "";

    (void)body_field_text(wish->body, "Kind", &kind);
    for (size_t i = 0; i < POSTGRES_ORDER_COUNT; i++) {
        if (strcmp(postgres_rules_order_name((enum postgres_order)i), kind) == 0) {
            *out = (enum postgres_order)i;
            return true;
        }
    }
    rc_buffer_format(&wish->why,
                     "no order '%.64s': there are reinit, restart, reload, stop, start, "
                     "fence and unfence",
                     kind);
    return false;
}

static void order(struct http_api *api, struct http_exchange *x, struct wish *wish)
{
    enum postgres_order kind = POSTGRES_RELOAD;
    struct store_pair pair;

    if (!find_order(wish, &kind) ||
        !postgres_rules_order(&wish->records, kind, wish->node, api->wall_ms,
                              &wish->why)) {
        return;
    }
    wish->record = new_record(x, api->wall_ms, postgres_rules_order_name(kind));
    postgres_records_order_key(wish->cluster, wish->node, wish->key);
    if (store_read(api->store, STORE_KV, rc_pack_text(wish->key), &pair)) {
        wish->index = pair.modify_index;
    }
}

/* ---- Writing. */

static void on_written(struct http_api *api, struct http_exchange *x,
                       const struct store_outcome *outcome)
{
    const json_t *record = x->draft;

    (void)api;
    if (outcome->err != RC_OK) {
        errand_failed(x, outcome);
        return;
    }
    if (!outcome->succeeded) {
        exchange_error(x, 409, "The cluster has moved meanwhile: look at it again");
        return;
    }
    errand_revision(x, outcome);
    struct rc_json json = exchange_json(x);
    rc_json_object(&json);
    rc_json_put_string(&json, "ID", rc_json_read_text(record, "id"));
    rc_json_put_string(&json, "Kind", rc_json_read_text(record, "kind"));
    rc_json_put_string(&json, "From", rc_json_read_text(record, "from"));
    rc_json_put_string(&json, "To", rc_json_read_text(record, "to"));
    rc_json_put_u64(&json, "Index", outcome->revision);
    rc_json_object_end(&json);
    exchange_json_end(x);
}

/* The lease as it was when the wish was judged. */
static struct store_op same_lease(const struct wish *wish, const char *key)
{
    uint64_t index = wish->records.indexes[POSTGRES_LEASE];

    return (struct store_op){
        .verb = index != 0 ? STORE_CHECK_INDEX : STORE_CHECK_NOT_EXISTS,
        .table = STORE_KV,
        .key = rc_pack_text(key),
        .index = index,
    };
}

static void submit(struct http_api *api, struct http_exchange *x, struct wish *wish)
{
    char lease[POSTGRES_KEY_SPACE];
    char *value = json_dumps(wish->record, JSON_COMPACT);

    if (value == NULL) {
        exchange_error(x, 500, "%s", rc_strerror(RC_ENOMEM));
        return;
    }
    postgres_records_key(wish->cluster, POSTGRES_LEASE, lease);
    const struct store_op ops[] = {
        same_lease(wish, lease),
        {.verb = wish->ends ? STORE_DELETE_CAS : STORE_CAS,
         .table = STORE_KV,
         .key = rc_pack_text(wish->key),
         .value = rc_pack_text(wish->ends ? "" : value),
         .index = wish->index},
    };
    json_decref(x->draft);
    x->draft = json_incref(wish->record);
    struct errand *errand = errand_begin(api, x, on_written);
    if (errand != NULL) {
        int err = store_submit(api->store, api->now_ms, ops, sizeof ops / sizeof ops[0],
                               NULL, errand_done, errand);
        if (err != RC_OK) {
            errand_refused(errand, err);
        }
    }
    free(value);
}

/* ---- Requests. */

typedef void judge(struct http_api *api, struct http_exchange *x, struct wish *wish);

static const struct {
    const char *name;
    judge *judge;
} verbs[] = {
    {"switchover", move},
    {"failover", move},
    {"pause", pause_or_resume},
    {"resume", pause_or_resume},
    {"settings", change_settings},
    {"order", order},
    {"cancel", cancel},
};

/* Copies up to the next '/' or the end, and says what follows. */
static const char *take_word(const char *at, char space[POSTGRES_NAME_MAX + 1])
{
    size_t size = strcspn(at, "/");

    if (size > POSTGRES_NAME_MAX) {
        return NULL;
    }
    memcpy(space, at, size);
    space[size] = '\0';
    return at[size] == '/' ? at + size + 1 : at + size;
}

/* <cluster>/<verb>, and for orders /<node>. NULL: answered. */
static judge *read_path(struct http_exchange *x, struct wish *wish)
{
    char verb[POSTGRES_NAME_MAX + 1] = "";
    const char *at = take_word(x->argument, wish->cluster);

    at = at != NULL ? take_word(at, verb) : NULL;
    at = at != NULL ? take_word(at, wish->node) : NULL;
    bool ends = at != NULL && *at == '\0' && postgres_records_is_name(wish->cluster);
    for (size_t i = 0; ends && i < sizeof verbs / sizeof verbs[0]; i++) {
        bool named = postgres_records_is_name(wish->node);
        bool wants_name = verbs[i].judge == order;
        if (strcmp(verbs[i].name, verb) == 0 &&
            (wants_name ? named : wish->node[0] == '\0')) {
            wish->name = verbs[i].name;
            return verbs[i].judge;
        }
    }
    exchange_error(x, 404,
                   "There are <cluster>/switchover, failover, cancel, pause, resume, "
                   "settings and order/<node>");
    return NULL;
}

static bool read_body(struct http_exchange *x, struct wish *wish)
{
    wish->body = x->body.size > 0 ? request_body(x) : json_object();
    if (wish->body != NULL && !json_is_object(wish->body)) {
        exchange_error(x, 400, "An object is wanted");
        return false;
    }
    return wish->body != NULL;
}

/* Orders are never given by an old view. */
static bool begin(struct http_api *api, struct http_exchange *x)
{
    if (target_parameter(&x->target, "stale") != NULL) {
        exchange_error(x, 400, "This is decided by what is, not by a stale view");
        return false;
    }
    return permit(api, x, PERMIT_OPERATOR, "", PERMIT_WRITE) && store_query_begin(api, x);
}

void postgres_put(struct http_api *api, struct http_exchange *x)
{
    struct wish wish = {.body = NULL};

    judge *decide = read_path(x, &wish);
    if (decide == NULL || !begin(api, x) || !read_body(x, &wish)) {
        json_decref(wish.body);
        return;
    }
    if (!postgres_records_read(api->store, wish.cluster, &wish.records)) {
        exchange_error(x, 404, "No cluster \"%s\"", wish.cluster);
    } else {
        decide(api, x, &wish);
        if (wish.record != NULL) {
            submit(api, x, &wish);
        } else {
            exchange_error(x, 409, "Refused: %s", rc_buffer_string(&wish.why));
        }
        postgres_records_fini(&wish.records);
    }
    json_decref(wish.record);
    json_decref(wish.body);
    rc_buffer_fini(&wish.why);
}
