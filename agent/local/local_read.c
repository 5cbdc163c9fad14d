/* local_read.c - what readers may see of the registry. */
#include <assert.h>

#include "agent/local/registry.h"
#include "base/text.h"

static const char *const health_names[LOCAL_HEALTH_COUNT] = {
    [LOCAL_HEALTH_PASSING] = "passing",
    [LOCAL_HEALTH_WARNING] = "warning",
    [LOCAL_HEALTH_CRITICAL] = "critical",
    [LOCAL_HEALTH_MAINTENANCE] = "maintenance",
};

static const char *text_of(const char *text)
{
    return text == NULL ? "" : text;
}

static void show_service(const struct registry_service *service,
                         struct local_service *out)
{
    *out = (struct local_service){
        .id = service->definition.id,
        .definition = &service->definition,
        .tags = service->tags,
        .tag_count = service->tag_count,
        .origin = service->origin,
        .hash = service->hash,
    };
}

static void show_check(const struct local *local, const struct registry_check *check,
                       struct local_check *out)
{
    const struct check_definition *from = &check->definition;
    const struct check *state = schedule_find(local->options.schedule, check->scheduled);
    bool is_maintenance = check->form == REGISTRY_MAINTENANCE;

    assert(state != NULL);
    *out = (struct local_check){
        .id = from->id,
        .name = from->name,
        .notes = text_of(from->notes),
        .type = is_maintenance ? "maintenance" : check_kind_name(from->kind),
        .output = rc_buffer_string(&state->output),
        .service_id = text_of(from->service_id),
        .status = state->status,
        .since_wall_ms = check->since_wall_ms,
        .definition = is_maintenance ? NULL : from,
        .origin = check->origin,
    };
    heal_show(check, &out->restart);
}

bool local_next_service(const struct local *local, size_t *position,
                        struct local_service *out)
{
    const struct registry_service *service =
        rc_table_next(local->services, position, NULL);

    if (service != NULL) {
        show_service(service, out);
    }
    return service != NULL;
}

bool local_next_check(const struct local *local, size_t *position,
                      struct local_check *out)
{
    const struct registry_check *check = rc_table_next(local->checks, position, NULL);

    if (check != NULL) {
        show_check(local, check, out);
    }
    return check != NULL;
}

bool local_find_service(const struct local *local, const char *id,
                        struct local_service *out)
{
    const struct registry_service *service = registry_service(local, id);

    if (service != NULL) {
        show_service(service, out);
    }
    return service != NULL;
}

bool local_find_check(const struct local *local, const char *id, struct local_check *out)
{
    const struct registry_check *check = registry_check(local, id);

    if (check != NULL) {
        show_check(local, check, out);
    }
    return check != NULL;
}

size_t local_service_count(const struct local *local)
{
    return rc_table_count(local->services);
}

size_t local_check_count(const struct local *local)
{
    return rc_table_count(local->checks);
}

const char *local_health_name(enum local_health health)
{
    assert(health < LOCAL_HEALTH_COUNT);
    return health_names[health];
}

enum local_health local_service_health(const struct local *local, const char *id)
{
    static const enum local_health by_status[CHECK_STATUS_COUNT] = {
        [CHECK_PASSING] = LOCAL_HEALTH_PASSING,
        [CHECK_WARNING] = LOCAL_HEALTH_WARNING,
        [CHECK_CRITICAL] = LOCAL_HEALTH_CRITICAL,
    };
    enum local_health worst = LOCAL_HEALTH_PASSING;
    struct local_check check;
    size_t position = 0;

    if (registry_service(local, id) == NULL) {
        return LOCAL_HEALTH_CRITICAL;
    }
    while (local_next_check(local, &position, &check)) {
        if (check.service_id[0] != '\0' && !rc_text_equals(check.service_id, id)) {
            continue;
        }
        enum local_health health =
            check.definition == NULL ? LOCAL_HEALTH_MAINTENANCE : by_status[check.status];
        worst = health > worst ? health : worst;
    }
    return worst;
}
