/* registry.c - the tables of services and checks, in step with catalog and schedule. */
#include "agent/local/registry.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

int registry_fail(struct local *local, int err, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(local->error, sizeof local->error, format, arguments);
    va_end(arguments);
    rc_text_to_line(local->error, sizeof local->error);
    if (local->error[0] == '\0') {
        (void)rc_text_put(local->error, sizeof local->error, rc_strerror(err));
    }
    return err;
}

struct registry_service *registry_service(const struct local *local, const char *id)
{
    return rc_table_get(local->services, id);
}

struct registry_check *registry_check(const struct local *local, const char *id)
{
    return rc_table_get(local->checks, id);
}

void registry_wake(const struct local *local)
{
    rc_metric_set(local->service_gauge, (double)rc_table_count(local->services));
    if (local->options.wake != NULL) {
        local->options.wake(local->options.context);
    }
}

bool registry_names(const struct service_definition *service, const char *check_id)
{
    for (size_t i = 0; i < service->check_count; i++) {
        if (rc_text_equals(service->checks[i].id, check_id)) {
            return true;
        }
    }
    return false;
}

static void destroy_service(struct registry_service *service)
{
    if (service != NULL) {
        service_definition_fini(&service->definition);
        free(service->tags);
        free(service);
    }
}

static void destroy_check(struct registry_check *check)
{
    if (check != NULL) {
        check_definition_fini(&check->definition);
        heal_end(check);
        free(check);
    }
}

void registry_destroy_all(struct local *local)
{
    struct registry_service *service;
    struct registry_check *check;
    size_t position = 0;

    while ((service = rc_table_next(local->services, &position, NULL)) != NULL) {
        destroy_service(service);
    }
    position = 0;
    while ((check = rc_table_next(local->checks, &position, NULL)) != NULL) {
        schedule_remove(local->options.schedule, check->scheduled);
        destroy_check(check);
    }
    rc_table_destroy(local->services);
    rc_table_destroy(local->checks);
}

struct registry_service *registry_disown(struct local *local,
                                         const struct registry_check *check)
{
    const char *service_id = check->definition.service_id;

    if (check->form != REGISTRY_NESTED || service_id == NULL) {
        return NULL;
    }
    struct registry_service *service = registry_service(local, service_id);
    if (service == NULL) {
        return NULL;
    }
    struct service_definition *owner = &service->definition;
    for (size_t i = 0; i < owner->check_count; i++) {
        if (!rc_text_equals(owner->checks[i].id, check->definition.id)) {
            continue;
        }
        check_definition_fini(&owner->checks[i]);
        owner->check_count--;
        memmove(&owner->checks[i], &owner->checks[i + 1],
                (owner->check_count - i) * sizeof *owner->checks);
        return service;
    }
    return NULL;
}

/* A role that the check had found leaves the service's tags with it. */
static void refresh_tags(struct local *local, const char *service_id,
                         struct local_now now)
{
    struct registry_service *service =
        service_id == NULL ? NULL : registry_service(local, service_id);

    if (service != NULL) {
        (void)publish_service(local, service, now.mono_ms);
    }
}

static void take_out(struct local *local, struct registry_check *check,
                     struct local_now now)
{
    schedule_remove(local->options.schedule, check->scheduled);
    (void)rc_table_remove(local->checks, check->definition.id);
    (void)catalog_remove_check(local->options.catalog, now.mono_ms, check->definition.id);
    local->has_unsaved_states = true;
}

void registry_drop_check(struct local *local, struct registry_check *check,
                         struct local_now now)
{
    take_out(local, check, now);
    if (check->definition.kind == CHECK_POSTGRES && check->definition.postgres_tags) {
        refresh_tags(local, check->definition.service_id, now);
    }
    destroy_check(check);
}

void registry_drop_service(struct local *local, struct registry_service *service,
                           struct local_now now)
{
    const char *id = service->definition.id;
    struct registry_check *check;
    size_t position = 0;

    catalog_begin(local->options.catalog);
    (void)rc_table_remove(local->services, id);
    while ((check = rc_table_next(local->checks, &position, NULL)) != NULL) {
        if (!rc_text_equals(check->definition.service_id, id)) {
            continue;
        }
        if (check->form != REGISTRY_NESTED && check->origin == LOCAL_FROM_API) {
            (void)keep_not(local, LOCAL_KIND_CHECK, check->definition.id);
        }
        registry_drop_check(local, check, now);
    }
    (void)catalog_remove_service(local->options.catalog, now.mono_ms, id);
    catalog_end(local->options.catalog, now.mono_ms);
    destroy_service(service);
}

/* ---- checks ---------------------------------------------------------------------- */

static int add_check(struct local *local, const struct check_definition *from,
                     enum registry_form form, enum local_origin origin,
                     struct local_now now)
{
    struct schedule_entry entry;

    struct registry_check *check = calloc(1, sizeof *check);
    if (check == NULL || check_definition_copy(from, &check->definition) != RC_OK) {
        free(check);
        return registry_fail(local, RC_ENOMEM, "out of memory");
    }
    check->form = form;
    if (heal_set(check) != RC_OK) {
        destroy_check(check);
        return registry_fail(local, RC_ENOMEM, "out of memory");
    }
    check->origin = origin;
    check->since_wall_ms = now.wall_ms;
    judge_entry(local, check, &entry);
    int err =
        schedule_add(local->options.schedule, &entry, now.mono_ms, &check->scheduled);
    if (err != RC_OK) {
        destroy_check(check);
        return registry_fail(local, err, "too many checks");
    }
    keep_recall(local, check, now);
    err = rc_table_put(local->checks, check->definition.id, check, NULL);
    if (err == RC_OK) {
        err = publish_check(local, check, now.mono_ms);
    }
    if (err != RC_OK) {
        schedule_remove(local->options.schedule, check->scheduled);
        (void)rc_table_remove(local->checks, check->definition.id);
        destroy_check(check);
    }
    return err;
}

static int replace_check(struct local *local, struct registry_check *check,
                         const struct check_definition *from, struct local_now now)
{
    struct check_definition fresh = {0};
    struct schedule_entry entry;

    if (check_definition_copy(from, &fresh) != RC_OK) {
        return registry_fail(local, RC_ENOMEM, "out of memory");
    }
    struct check_definition old = check->definition;
    check->definition = fresh;
    int err = heal_set(check);
    if (err == RC_OK) {
        err = publish_check(local, check, now.mono_ms);
    }
    if (err != RC_OK) {
        check->definition = old;
        (void)heal_set(check);
        check_definition_fini(&fresh);
        return err;
    }
    judge_entry(local, check, &entry);
    schedule_replace(local->options.schedule, check->scheduled, &entry, now.mono_ms);
    check_definition_fini(&old);
    return RC_OK;
}

int registry_put_check(struct local *local, const struct check_definition *from,
                       enum registry_form form, enum local_origin origin,
                       struct local_now now)
{
    struct registry_check *check = registry_check(local, from->id);

    if (check == NULL) {
        return add_check(local, from, form, origin, now);
    }
    bool same_owner = rc_text_equals(check->definition.service_id, from->service_id);
    if (form != REGISTRY_NESTED || !same_owner) {
        (void)registry_disown(local, check);
    }
    if (!check_definition_equals(&check->definition, from)) {
        int err = replace_check(local, check, from, now);
        if (err != RC_OK) {
            return err;
        }
    }
    check->form = form;
    check->origin = origin;
    check->is_stale = false;
    return RC_OK;
}

/* ---- services -------------------------------------------------------------------- */

static int put_nested(struct local *local, const struct registry_service *service,
                      struct local_now now)
{
    const struct service_definition *from = &service->definition;

    for (size_t i = 0; i < from->check_count; i++) {
        int err = registry_put_check(local, &from->checks[i], REGISTRY_NESTED,
                                     service->origin, now);
        if (err != RC_OK) {
            return err;
        }
    }
    return RC_OK;
}

/* Nested checks of `service` that its definition does not name (any more). */
static void drop_unnamed(struct local *local, const struct registry_service *service,
                         struct local_now now)
{
    const char *id = service->definition.id;
    struct registry_check *check;
    size_t position = 0;

    while ((check = rc_table_next(local->checks, &position, NULL)) != NULL) {
        if (check->form == REGISTRY_NESTED &&
            rc_text_equals(check->definition.service_id, id) &&
            !registry_names(&service->definition, check->definition.id)) {
            registry_drop_check(local, check, now);
        }
    }
}

/* In the table, in the catalog, and its checks. */
static int install(struct local *local, struct registry_service *service,
                   struct local_now now)
{
    int err = rc_table_put(local->services, service->definition.id, service, NULL);

    if (err != RC_OK) {
        return registry_fail(local, err, "out of memory");
    }
    err = publish_service(local, service, now.mono_ms);
    if (err == RC_OK) {
        err = put_nested(local, service, now);
    }
    if (err == RC_OK) {
        drop_unnamed(local, service, now);
        err = publish_service(local, service, now.mono_ms); /* tags follow checks */
    }
    return err;
}

static void undo(struct local *local, struct registry_service *fresh,
                 struct registry_service *old, struct local_now now)
{
    char why[REGISTRY_ERROR_MAX];

    (void)rc_text_put(why, sizeof why, local->error);
    if (old != NULL) {
        (void)install(local, old, now);
        destroy_service(fresh);
    } else {
        registry_drop_service(local, fresh, now);
    }
    (void)rc_text_put(local->error, sizeof local->error, why);
}

int registry_put_service(struct local *local, const struct service_definition *from,
                         enum local_origin origin, struct local_now now)
{
    struct registry_service *old = registry_service(local, from->id);

    if (old == NULL && rc_table_count(local->services) >= LOCAL_SERVICES_MAX) {
        return registry_fail(local, RC_ETOOBIG, "too many services");
    }
    struct registry_service *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL || service_definition_copy(from, &fresh->definition) != RC_OK) {
        free(fresh);
        return registry_fail(local, RC_ENOMEM, "out of memory");
    }
    fresh->origin = origin;
    catalog_begin(local->options.catalog);
    int err = install(local, fresh, now);
    if (err == RC_OK) {
        destroy_service(old);
    } else {
        undo(local, fresh, old, now);
    }
    catalog_end(local->options.catalog, now.mono_ms);
    return err;
}
