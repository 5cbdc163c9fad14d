/* local_keep.c - what outlives the process: registrations at once, check states now and
 * then. */
#include <stdlib.h>
#include <string.h>

#include "agent/local/registry.h"
#include "base/err.h"
#include "base/json_read.h"
#include "base/text.h"

enum { FORMAT = 1, FIRST_RUN_WITHIN_MS = 500 };

static const char states_id[] = "checks";

/* Writes `record` (taken) under (kind, id). */
static int put(struct local *local, enum local_kind kind, const char *id, json_t *record)
{
    struct local_store *store = local->options.store;
    char *text = record == NULL ? NULL : json_dumps(record, JSON_INDENT(1));
    int err = RC_ENOMEM;

    json_decref(record);
    if (text == NULL) {
        return registry_fail(local, err, "out of memory");
    }
    err = store->put(store, kind, id, text, strlen(text));
    free(text);
    if (err != RC_OK) {
        (void)registry_fail(local, err, "Failed to keep %s: %s", id, store->error);
    }
    return err;
}

int keep_service(struct local *local, const struct service_definition *service)
{
    if (local->options.store == NULL) {
        return RC_OK;
    }
    return put(local, LOCAL_KIND_SERVICE, service->id,
               json_pack("{s:i,s:o}", "format", FORMAT, "service",
                         service_definition_to_json(service)));
}

int keep_check(struct local *local, const struct check_definition *check,
               enum registry_form form)
{
    json_t *record;

    if (local->options.store == NULL) {
        return RC_OK;
    }
    if (form == REGISTRY_MAINTENANCE) {
        record = json_pack("{s:i,s:{s:s?,s:s}}", "format", FORMAT, "maintenance",
                           "service", check->service_id, "reason", check->notes);
    } else {
        record = json_pack("{s:i,s:o}", "format", FORMAT, "check",
                           check_definition_to_json(check));
    }
    return put(local, LOCAL_KIND_CHECK, check->id, record);
}

int keep_not(struct local *local, enum local_kind kind, const char *id)
{
    struct local_store *store = local->options.store;

    if (store == NULL) {
        return RC_OK;
    }
    int err = store->remove(store, kind, id);
    return err == RC_OK
               ? RC_OK
               : registry_fail(local, err, "Failed to forget %s: %s", id, store->error);
}

/* ---- states ---------------------------------------------------------------------- */

static json_t *state_of(const struct local *local, const struct registry_check *check,
                        struct local_now now)
{
    const struct check *state = schedule_find(local->options.schedule, check->scheduled);
    json_t *json = json_pack("{s:s,s:s,s:I}", "status", check_status_name(state->status),
                             "output", rc_buffer_string(&state->output), "since",
                             (json_int_t)check->since_wall_ms);

    /* Only a TTL that somebody has set holds over a restart. */
    if (state->options.ttl_ms > 0 && state->has_result &&
        state->ttl_at_ms != UINT64_MAX && state->ttl_at_ms > now.mono_ms) {
        uint64_t expires_ms = now.wall_ms + (state->ttl_at_ms - now.mono_ms);
        (void)json_object_set_new(json, "expires", json_integer((json_int_t)expires_ms));
    }
    heal_keep(check, json, now);
    return json;
}

int local_save_states(struct local *local, struct local_now now)
{
    const struct registry_check *check;
    size_t position = 0;

    if (local->options.store == NULL || !local->has_unsaved_states) {
        return RC_OK;
    }
    json_t *states = json_object();
    while ((check = rc_table_next(local->checks, &position, NULL)) != NULL) {
        (void)json_object_set_new(states, check->definition.id,
                                  state_of(local, check, now));
    }
    int err = put(local, LOCAL_KIND_STATES, states_id,
                  json_pack("{s:i,s:o}", "format", FORMAT, "states", states));
    local->has_unsaved_states = err != RC_OK;
    return err;
}

static const char *text_at(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));

    return text == NULL ? "" : text;
}

/* The clock may have begun later. */
uint64_t keep_mono_of(uint64_t wall_ms, struct local_now now)
{
    uint64_t age_ms = now.wall_ms > wall_ms ? now.wall_ms - wall_ms : 0;

    return now.mono_ms > age_ms ? now.mono_ms - age_ms : 0;
}

static void recall_ttl(struct local *local, struct registry_check *check,
                       const json_t *state, struct local_now now)
{
    uint64_t expires_ms = rc_json_read_number(state, "expires");
    struct check_result was = {.status = CHECK_CRITICAL, .output = ""};

    if (expires_ms > now.wall_ms &&
        check_status_parse(text_at(state, "status"), &was.status) == RC_OK) {
        was.output = text_at(state, "output");
        was.output_size = strlen(was.output);
        check->since_wall_ms = rc_json_read_number(state, "since");
        schedule_restore(local->options.schedule, check->scheduled, &was,
                         keep_mono_of(check->since_wall_ms, now),
                         now.mono_ms + (expires_ms - now.wall_ms));
    } else if (check->origin == LOCAL_FROM_API) {
        /* As Consul: nobody has said lately that it is well. */
        schedule_restore(local->options.schedule, check->scheduled, &was, now.mono_ms,
                         now.mono_ms + check->definition.ttl_ms);
    }
}

void keep_recall(struct local *local, struct registry_check *check, struct local_now now)
{
    struct check_result was = {0};

    if (local->states == NULL) {
        return;
    }
    const json_t *state = json_object_get(local->states, check->definition.id);
    if (check->form != REGISTRY_MAINTENANCE && check->definition.kind == CHECK_TTL) {
        recall_ttl(local, check, state, now);
        return;
    }
    heal_recall(check, state, now);
    if (check_status_parse(text_at(state, "status"), &was.status) != RC_OK) {
        return;
    }
    was.output = text_at(state, "output");
    was.output_size = strlen(was.output);
    check->since_wall_ms = rc_json_read_number(state, "since");
    schedule_restore(local->options.schedule, check->scheduled, &was,
                     keep_mono_of(check->since_wall_ms, now), UINT64_MAX);
    /* What was true then may not be now: look soon. What a server was, is not
     * believed. */
    schedule_hurry(local->options.schedule, check->scheduled,
                   now.mono_ms + rc_random_below(&local->random, FIRST_RUN_WITHIN_MS));
}

/* ---- loading --------------------------------------------------------------------- */

struct loading {
    struct local *local;
    struct local_now now;
    char first_fault[DEFINITION_ERROR_MAX];
};

static int refuse(struct loading *loading, int err, const char *why)
{
    if (loading->first_fault[0] == '\0') {
        (void)rc_text_put(loading->first_fault, sizeof loading->first_fault, why);
    }
    return err;
}

/* A record of the format we write; otherwise NULL, refused. */
static json_t *open_record(struct loading *loading, const char *text, size_t size)
{
    json_error_t fault;
    json_t *record = json_loadb(text, size, 0, &fault);

    if (record == NULL) {
        (void)refuse(loading, RC_EMALFORMED, fault.text);
        return NULL;
    }
    if (rc_json_read_number(record, "format") != FORMAT) {
        (void)refuse(loading, RC_EMALFORMED, "not a format that this version knows");
        json_decref(record);
        return NULL;
    }
    return record;
}

/* Scripts may have been forbidden since: that is no damage, the record stays where it
 * is. */
static int judge_outcome(struct loading *loading, int err)
{
    if (err == RC_OK || err == RC_EDENIED) {
        return RC_OK;
    }
    return refuse(loading, err, loading->local->error);
}

static int load_service(void *context, const char *text, size_t size)
{
    struct loading *loading = context;
    struct service_definition service = {0};
    struct definition_fault fault = {0};
    json_t *record = open_record(loading, text, size);

    if (record == NULL) {
        return RC_EMALFORMED;
    }
    int err = service_definition_parse(json_object_get(record, "service"), DEFINITION_API,
                                       &service, &fault);
    json_decref(record);
    if (err != RC_OK) {
        return refuse(loading, err, fault.text);
    }
    err = judge_service(loading->local, &service, LOCAL_FROM_API);
    if (err == RC_OK) {
        err =
            registry_put_service(loading->local, &service, LOCAL_FROM_API, loading->now);
    }
    service_definition_fini(&service);
    return judge_outcome(loading, err);
}

static int read_check(const json_t *record, struct check_definition *out,
                      enum registry_form *form, struct definition_fault *fault)
{
    const json_t *maintenance = json_object_get(record, "maintenance");

    *form = maintenance == NULL ? REGISTRY_ALONE : REGISTRY_MAINTENANCE;
    if (maintenance == NULL) {
        return check_definition_parse(json_object_get(record, "check"), DEFINITION_API,
                                      out, fault);
    }
    return registry_fill_maintenance(
        json_string_value(json_object_get(maintenance, "service")),
        json_string_value(json_object_get(maintenance, "reason")), out);
}

static int put_check(struct loading *loading, json_t *record)
{
    struct local *local = loading->local;
    struct check_definition check = {0};
    struct definition_fault fault = {0};
    enum registry_form form;

    int err = read_check(record, &check, &form, &fault);
    if (err != RC_OK) {
        return refuse(loading, err, fault.text);
    }
    const char *service_id = check.service_id == NULL ? "" : check.service_id;
    if (service_id[0] != '\0' && registry_service(local, service_id) == NULL) {
        if (local->waiting != NULL) {
            err = json_array_append(local->waiting, record) == 0 ? RC_OK : RC_ENOMEM;
        } else {
            (void)keep_not(local, LOCAL_KIND_CHECK, check.id); /* it has gone for good */
        }
        check_definition_fini(&check);
        return err;
    }
    if (form != REGISTRY_MAINTENANCE) {
        err = judge_check(local, &check, LOCAL_FROM_API);
    }
    if (err == RC_OK) {
        err = registry_put_check(local, &check, form, LOCAL_FROM_API, loading->now);
    }
    check_definition_fini(&check);
    return judge_outcome(loading, err);
}

static int load_check(void *context, const char *text, size_t size)
{
    struct loading *loading = context;
    json_t *record = open_record(loading, text, size);

    if (record == NULL) {
        return RC_EMALFORMED;
    }
    int err = put_check(loading, record);
    json_decref(record);
    return err;
}

static int load_states(void *context, const char *text, size_t size)
{
    struct loading *loading = context;
    json_t *record = open_record(loading, text, size);

    if (record == NULL) {
        return RC_EMALFORMED;
    }
    (void)json_object_update(loading->local->states, json_object_get(record, "states"));
    json_decref(record);
    return RC_OK;
}

void keep_end_start(struct local *local, struct local_now now)
{
    struct loading loading = {.local = local, .now = now};
    json_t *waiting = local->waiting;

    local->waiting = NULL;
    for (size_t i = 0; i < json_array_size(waiting); i++) {
        (void)put_check(&loading, json_array_get(waiting, i));
    }
    json_decref(waiting);
    json_decref(local->states);
    local->states = NULL;
}

int local_load(struct local *local, struct local_now now)
{
    static const struct {
        enum local_kind kind;
        int (*each)(void *context, const char *text, size_t size);
    } order[] = {
        {LOCAL_KIND_STATES, load_states},
        {LOCAL_KIND_SERVICE, load_service},
        {LOCAL_KIND_CHECK, load_check},
    };
    struct local_store *store = local->options.store;
    struct loading loading = {.local = local, .now = now};
    char faults[REGISTRY_ERROR_MAX] = "";

    if (store == NULL) {
        return RC_OK;
    }
    catalog_begin(local->options.catalog);
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        if (store->load(store, order[i].kind, order[i].each, &loading) != RC_OK &&
            faults[0] == '\0') {
            (void)rc_text_put(faults, sizeof faults, store->error);
        }
    }
    catalog_end(local->options.catalog, now.mono_ms);
    registry_wake(local);
    return faults[0] == '\0' ? RC_OK
                             : registry_fail(local, RC_EMALFORMED, "%s: %s", faults,
                                             loading.first_fault);
}
