/* reload.c - the configuration files' services and checks, taken in one step. */
#include <string.h>

#include "agent/local/registry.h"
#include "base/err.h"
#include "base/text.h"

struct configuration {
    const struct service_definition *services;
    size_t service_count;
    const struct check_definition *checks;
    size_t check_count;
};

static bool defines_service(const struct configuration *wanted, const char *id)
{
    for (size_t i = 0; i < wanted->service_count; i++) {
        if (rc_text_equals(wanted->services[i].id, id)) {
            return true;
        }
    }
    return false;
}

/* Would a service of that id exist after this reload? */
static bool will_exist(const struct local *local, const struct configuration *wanted,
                       const char *id)
{
    const struct registry_service *service = registry_service(local, id);

    return (service != NULL && service->origin == LOCAL_FROM_API) ||
           defines_service(wanted, id);
}

/* Puts where it was found in front of what is wrong. */
static int blame(struct local *local, int err, const char *what, const char *id)
{
    char why[REGISTRY_ERROR_MAX];

    if (err == RC_OK) {
        return RC_OK;
    }
    (void)rc_text_put(why, sizeof why, local->error);
    return registry_fail(local, err, "%s \"%s\": %s", what, id, why);
}

/* Ids must be told apart: the second definition of one would silently replace the
 * first. */
static int note_id(struct local *local, struct rc_table *seen, const char *id)
{
    static char mark[] = "seen";
    void *old = NULL;

    if (rc_table_put(seen, id, mark, &old) != RC_OK) {
        return registry_fail(local, RC_ENOMEM, "out of memory");
    }
    return old == NULL ? RC_OK
                       : registry_fail(local, RC_EINVAL, "this id is defined twice");
}

static int judge_service_of(struct local *local, const struct service_definition *service,
                            struct rc_table *services, struct rc_table *checks)
{
    int err = judge_service(local, service, LOCAL_FROM_CONFIG);

    if (err == RC_OK) {
        err = note_id(local, services, service->id);
    }
    for (size_t i = 0; i < service->check_count && err == RC_OK; i++) {
        err = blame(local, note_id(local, checks, service->checks[i].id), "check",
                    service->checks[i].id);
    }
    return blame(local, err, "service", service->id);
}

static int judge_check_of(struct local *local, const struct configuration *wanted,
                          const struct check_definition *check, struct rc_table *checks)
{
    int err = judge_check(local, check, LOCAL_FROM_CONFIG);

    if (err == RC_OK) {
        err = note_id(local, checks, check->id);
    }
    if (err == RC_OK && check->service_id != NULL && check->service_id[0] != '\0' &&
        !will_exist(local, wanted, check->service_id)) {
        err = registry_fail(local, RC_EINVAL, "ServiceID \"%s\" does not exist",
                            check->service_id);
    }
    return blame(local, err, "check", check->id);
}

static int judge_all(struct local *local, const struct configuration *wanted)
{
    struct rc_table *services = rc_table_create(local->options.random_seed);
    struct rc_table *checks = rc_table_create(local->options.random_seed);
    int err = RC_OK;

    if (services == NULL || checks == NULL) {
        err = registry_fail(local, RC_ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < wanted->service_count && err == RC_OK; i++) {
        err = judge_service_of(local, &wanted->services[i], services, checks);
    }
    for (size_t i = 0; i < wanted->check_count && err == RC_OK; i++) {
        err = judge_check_of(local, wanted, &wanted->checks[i], checks);
    }
    rc_table_destroy(services);
    rc_table_destroy(checks);
    return err;
}

static void mark_all(struct local *local)
{
    struct registry_service *service;
    struct registry_check *check;
    size_t position = 0;

    while ((service = rc_table_next(local->services, &position, NULL)) != NULL) {
        service->is_stale = service->origin == LOCAL_FROM_CONFIG;
    }
    position = 0;
    while ((check = rc_table_next(local->checks, &position, NULL)) != NULL) {
        check->is_stale =
            check->origin == LOCAL_FROM_CONFIG && check->form == REGISTRY_ALONE;
    }
}

/* Removing from the table during a walk is allowed for the entry just returned only, and
 * a service takes its checks along: so checks go first. */
static void drop_stale(struct local *local, struct local_now now)
{
    struct registry_service *service;
    struct registry_check *check;
    size_t position = 0;

    while ((check = rc_table_next(local->checks, &position, NULL)) != NULL) {
        if (check->is_stale) {
            registry_drop_check(local, check, now);
        }
    }
    position = 0;
    while ((service = rc_table_next(local->services, &position, NULL)) != NULL) {
        if (service->is_stale) {
            registry_drop_service(local, service, now);
        }
    }
}

static int take_service(struct local *local, const struct service_definition *service,
                        struct local_now now)
{
    struct registry_service *old = registry_service(local, service->id);

    if (old != NULL && old->origin == LOCAL_FROM_API) {
        (void)keep_not(local, LOCAL_KIND_SERVICE, service->id); /* the file wins */
    } else if (old != NULL && service_definition_equals(&old->definition, service)) {
        old->is_stale = false;
        return RC_OK;
    }
    return registry_put_service(local, service, LOCAL_FROM_CONFIG, now);
}

static int take_check(struct local *local, const struct check_definition *check,
                      struct local_now now)
{
    const struct registry_check *old = registry_check(local, check->id);

    if (old != NULL && old->origin == LOCAL_FROM_API && old->form == REGISTRY_ALONE) {
        (void)keep_not(local, LOCAL_KIND_CHECK, check->id);
    }
    return registry_put_check(local, check, REGISTRY_ALONE, LOCAL_FROM_CONFIG, now);
}

static int take_all(struct local *local, const struct configuration *wanted,
                    struct local_now now)
{
    int err = RC_OK;

    for (size_t i = 0; i < wanted->service_count && err == RC_OK; i++) {
        err = blame(local, take_service(local, &wanted->services[i], now), "service",
                    wanted->services[i].id);
    }
    for (size_t i = 0; i < wanted->check_count && err == RC_OK; i++) {
        err = blame(local, take_check(local, &wanted->checks[i], now), "check",
                    wanted->checks[i].id);
    }
    return err;
}

int local_reload(struct local *local, const struct service_definition *services,
                 size_t service_count, const struct check_definition *checks,
                 size_t check_count, struct local_now now)
{
    const struct configuration wanted = {services, service_count, checks, check_count};

    int err = judge_all(local, &wanted);
    if (err != RC_OK) {
        return err;
    }
    catalog_begin(local->options.catalog);
    mark_all(local);
    err = take_all(local, &wanted, now);
    if (err == RC_OK) {
        drop_stale(local, now);
    }
    catalog_end(local->options.catalog, now.mono_ms);
    keep_end_start(local, now);
    registry_wake(local);
    return err;
}
