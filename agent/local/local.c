/* local.c - what the API may ask of this agent: register, deregister, set, maintain. */
#include "agent/local/local.h"

#include <stdlib.h>
#include <string.h>

#include "agent/local/registry.h"
#include "base/err.h"
#include "base/text.h"

int local_create(const struct local_options *options, struct local **out)
{
    struct local *local = calloc(1, sizeof *local);

    if (local == NULL) {
        return RC_ENOMEM;
    }
    local->options = *options;
    rc_random_init(&local->random, options->random_seed);
    local->services = rc_table_create(options->random_seed);
    local->checks = rc_table_create(options->random_seed + 1);
    local->states = json_object();
    local->waiting = json_array();
    if (local->services == NULL || local->checks == NULL || local->states == NULL ||
        local->waiting == NULL) {
        rc_table_destroy(local->services);
        rc_table_destroy(local->checks);
        json_decref(local->states);
        json_decref(local->waiting);
        free(local);
        return RC_ENOMEM;
    }
    if (options->metrics != NULL) {
        local->service_gauge = rc_metrics_gauge(options->metrics, "rollcall_services",
                                                NULL, "Services of this agent.");
        local->reaped = rc_metrics_counter(
            options->metrics, "rollcall_services_reaped_total", NULL,
            "Services deregistered because they were critical for too long.");
    }
    *out = local;
    return RC_OK;
}

void local_destroy(struct local *local)
{
    if (local == NULL) {
        return;
    }
    registry_destroy_all(local);
    json_decref(local->states);
    json_decref(local->waiting);
    free(local);
}

const char *local_error(const struct local *local)
{
    return local->error;
}

/* ---- services -------------------------------------------------------------------- */

/* Checks of `old` that `merged` does not name stay with the service. */
static int adopt_checks(struct service_definition *merged,
                        const struct service_definition *old)
{
    size_t most = merged->check_count + old->check_count;
    struct check_definition *checks =
        realloc(merged->checks, (most + 1) * sizeof *checks);

    if (checks == NULL) {
        return RC_ENOMEM;
    }
    merged->checks = checks;
    for (size_t i = 0; i < old->check_count; i++) {
        if (registry_names(merged, old->checks[i].id)) {
            continue;
        }
        int err = check_definition_copy(&old->checks[i], &checks[merged->check_count]);
        if (err != RC_OK) {
            return err;
        }
        merged->check_count++;
    }
    return RC_OK;
}

static int keep_and_put(struct local *local, const struct service_definition *service,
                        struct local_now now)
{
    const struct registry_service *old = registry_service(local, service->id);
    bool was_kept = old != NULL && old->origin == LOCAL_FROM_API;

    int err = keep_service(local, service);
    if (err != RC_OK) {
        return err;
    }
    err = registry_put_service(local, service, LOCAL_FROM_API, now);
    if (err != RC_OK) {
        char why[REGISTRY_ERROR_MAX];
        (void)rc_text_put(why, sizeof why, local->error);
        const struct registry_service *still = registry_service(local, service->id);
        if (was_kept && still != NULL) {
            (void)keep_service(local, &still->definition);
        } else {
            (void)keep_not(local, LOCAL_KIND_SERVICE, service->id);
        }
        (void)rc_text_put(local->error, sizeof local->error, why);
    }
    return err;
}

/* Checks that stood alone and now stand in the service's record, or nowhere. */
static void settle_lone_checks(struct local *local,
                               const struct service_definition *service,
                               enum local_checks mode, struct local_now now)
{
    struct registry_check *check;
    size_t position = 0;

    for (size_t i = 0; i < service->check_count; i++) {
        (void)keep_not(local, LOCAL_KIND_CHECK, service->checks[i].id);
    }
    if (mode == LOCAL_KEEP_CHECKS) {
        return;
    }
    while ((check = rc_table_next(local->checks, &position, NULL)) != NULL) {
        if (check->form == REGISTRY_ALONE &&
            rc_text_equals(check->definition.service_id, service->id)) {
            (void)keep_not(local, LOCAL_KIND_CHECK, check->definition.id);
            registry_drop_check(local, check, now);
        }
    }
}

int local_register_service(struct local *local, const struct service_definition *service,
                           enum local_checks mode, struct local_now now)
{
    const struct registry_service *old = registry_service(local, service->id);
    struct service_definition merged = {0};

    int err = judge_service(local, service, LOCAL_FROM_API);
    if (err != RC_OK) {
        return err;
    }
    err = service_definition_copy(service, &merged);
    if (err == RC_OK && old != NULL && mode == LOCAL_KEEP_CHECKS) {
        err = adopt_checks(&merged, &old->definition);
    }
    if (err != RC_OK) {
        service_definition_fini(&merged);
        return registry_fail(local, err, "out of memory");
    }
    catalog_begin(local->options.catalog);
    err = keep_and_put(local, &merged, now);
    if (err == RC_OK) {
        settle_lone_checks(local, &merged, mode, now);
    }
    catalog_end(local->options.catalog, now.mono_ms);
    service_definition_fini(&merged);
    registry_wake(local);
    return err;
}

int local_deregister_service(struct local *local, const char *id, struct local_now now)
{
    if (id[0] == '\0') {
        return registry_fail(local, RC_EIO, "ServiceID missing");
    }
    struct registry_service *service = registry_service(local, id);
    if (service == NULL) {
        return registry_fail(local, RC_ENOTFOUND,
                             "Unknown service ID \"%s\". Ensure that the service ID is "
                             "passed, not the service name.",
                             id);
    }
    int err = service->origin == LOCAL_FROM_API ? keep_not(local, LOCAL_KIND_SERVICE, id)
                                                : RC_OK;
    if (err != RC_OK) {
        return err;
    }
    registry_drop_service(local, service, now);
    registry_wake(local);
    return RC_OK;
}

/* ---- checks ---------------------------------------------------------------------- */

static int keep_and_put_check(struct local *local, const struct check_definition *check,
                              enum registry_form form, struct local_now now)
{
    struct registry_check *old = registry_check(local, check->id);
    bool was_kept =
        old != NULL && old->form == REGISTRY_ALONE && old->origin == LOCAL_FROM_API;

    int err = keep_check(local, check, form);
    if (err != RC_OK) {
        return err;
    }
    struct registry_service *owner = old == NULL ? NULL : registry_disown(local, old);
    err = registry_put_check(local, check, form, LOCAL_FROM_API, now);
    if (err != RC_OK) {
        char why[REGISTRY_ERROR_MAX];
        (void)rc_text_put(why, sizeof why, local->error);
        (void)(was_kept ? keep_check(local, &old->definition, old->form)
                        : keep_not(local, LOCAL_KIND_CHECK, check->id));
        (void)rc_text_put(local->error, sizeof local->error, why);
    } else if (owner != NULL && owner->origin == LOCAL_FROM_API) {
        (void)keep_service(local, &owner->definition);
    }
    return err;
}

int local_register_check(struct local *local, const struct check_definition *check,
                         struct local_now now)
{
    if (check->service_id != NULL && check->service_id[0] != '\0' &&
        registry_service(local, check->service_id) == NULL) {
        return registry_fail(local, RC_ECONFLICT, "ServiceID \"%s\" does not exist",
                             check->service_id);
    }
    int err = judge_check(local, check, LOCAL_FROM_API);
    if (err == RC_OK) {
        err = keep_and_put_check(local, check, REGISTRY_ALONE, now);
    }
    registry_wake(local);
    return err;
}

int local_deregister_check(struct local *local, const char *id, struct local_now now)
{
    if (id[0] == '\0') {
        return registry_fail(local, RC_EIO, "CheckID missing");
    }
    struct registry_check *check = registry_check(local, id);
    if (check == NULL) {
        return registry_fail(
            local, RC_ENOTFOUND,
            "Unknown check ID \"%s\". Ensure that the check ID is passed, "
            "not the check name.",
            id);
    }
    int err = check->form != REGISTRY_NESTED && check->origin == LOCAL_FROM_API
                  ? keep_not(local, LOCAL_KIND_CHECK, id)
                  : RC_OK;
    if (err != RC_OK) {
        return err;
    }
    struct registry_service *owner = registry_disown(local, check);
    if (owner != NULL && owner->origin == LOCAL_FROM_API) {
        (void)keep_service(local, &owner->definition);
    }
    registry_drop_check(local, check, now);
    registry_wake(local);
    return RC_OK;
}

int local_update_ttl(struct local *local, const char *check_id, enum check_status status,
                     const char *output, struct local_now now)
{
    struct registry_check *check = registry_check(local, check_id);
    struct check_result result = {.status = status,
                                  .output = output == NULL ? "" : output};

    if (check == NULL || check->form == REGISTRY_MAINTENANCE ||
        check->definition.kind != CHECK_TTL) {
        return registry_fail(local, RC_EUNSUPPORTED,
                             "CheckID \"%s\" does not have associated TTL", check_id);
    }
    result.output_size = strlen(result.output);
    (void)schedule_tell(local->options.schedule, check->scheduled, &result, now.mono_ms);
    local->has_unsaved_states =
        true; /* its time starts anew even when all else is equal */

    /* At once, not when the schedule's action comes by: who told us will look. */
    publish_result(local, check, CHECK_NEWS_OUTPUT, now);
    registry_wake(local);
    return RC_OK;
}

/* ---- maintenance ----------------------------------------------------------------- */

int registry_fill_maintenance(const char *service_id, const char *reason,
                              struct check_definition *out)
{
    const char *what = service_id == NULL ? "node" : "service";

    *out = (struct check_definition){
        .id = service_id == NULL ? rc_text_copy("_node_maintenance")
                                 : rc_text_format("_service_maintenance:%s", service_id),
        .name = rc_text_copy(service_id == NULL ? "Node Maintenance Mode"
                                                : "Service Maintenance Mode"),
        .service_id = rc_text_copy(service_id),
        .notes = reason == NULL || reason[0] == '\0'
                     ? rc_text_format("Maintenance mode is enabled for this %s, but no "
                                      "reason was provided. This is a default message.",
                                      what)
                     : rc_text_copy(reason),
        .status = CHECK_CRITICAL,
    };
    if (out->id == NULL || out->name == NULL || out->notes == NULL ||
        (service_id != NULL && out->service_id == NULL)) {
        check_definition_fini(out);
        return RC_ENOMEM;
    }
    return RC_OK;
}

bool registry_in_maintenance(const struct local *local, const char *service_id)
{
    char *id = service_id == NULL ? rc_text_copy("_node_maintenance")
                                  : rc_text_format("_service_maintenance:%s", service_id);
    const struct registry_check *check = id == NULL ? NULL : registry_check(local, id);

    free(id);
    return check != NULL && check->form == REGISTRY_MAINTENANCE;
}

static int switch_maintenance(struct local *local, const char *service_id,
                              enum local_switch enable, const char *reason,
                              struct local_now now)
{
    struct check_definition check;

    int err = registry_fill_maintenance(service_id, reason, &check);
    if (err != RC_OK) {
        return registry_fail(local, err, "out of memory");
    }
    if (strlen(check.notes) > CATALOG_NOTES_MAX) {
        err = registry_fail(local, RC_EINVAL, "The reason is longer than %d bytes",
                            CATALOG_NOTES_MAX);
    } else if (enable == LOCAL_ON) {
        err = keep_and_put_check(local, &check, REGISTRY_MAINTENANCE, now);
        registry_wake(local);
    } else if (registry_check(local, check.id) != NULL) {
        err = local_deregister_check(local, check.id, now);
    }
    check_definition_fini(&check);
    return err;
}

int local_service_maintenance(struct local *local, const char *service_id,
                              enum local_switch enable, const char *reason,
                              struct local_now now)
{
    if (service_id[0] == '\0') {
        return registry_fail(local, RC_EINVAL, "Missing service ID");
    }
    if (registry_service(local, service_id) == NULL) {
        return registry_fail(local, RC_ENOTFOUND, "No service registered with ID \"%s\"",
                             service_id);
    }
    return switch_maintenance(local, service_id, enable, reason, now);
}

int local_node_maintenance(struct local *local, enum local_switch enable,
                           const char *reason, struct local_now now)
{
    return switch_maintenance(local, NULL, enable, reason, now);
}

/* ---- what the schedule says ------------------------------------------------------ */

static void reap(struct local *local, const struct registry_check *check,
                 struct local_now now)
{
    if (check->definition.service_id == NULL) {
        return;
    }
    char *id = rc_text_copy(check->definition.service_id);
    if (id != NULL && local_deregister_service(local, id, now) == RC_OK) {
        rc_metric_add(local->reaped, 1);
    }
    free(id);
}

void local_on_schedule(struct local *local, const struct schedule_action *action,
                       struct local_now now)
{
    struct registry_check *check = action->owner;

    if (check == NULL) {
        return;
    }
    if (action->type == SCHEDULE_CHANGED) {
        publish_result(local, check, action->news, now);
    } else if (action->type == SCHEDULE_RESULT) {
        heal_on_result(local, check, now);
    } else if (action->type == SCHEDULE_OVERDUE) {
        reap(local, check, now);
    }
}
