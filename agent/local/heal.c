/* heal.c - failing checks that have asked for it get their unit restarted. */
#include <stdlib.h>

#include "agent/checks/restart.h"
#include "agent/checks/unit.h"
#include "agent/local/registry.h"
#include "base/err.h"
#include "base/json_read.h"
#include "base/text.h"

struct heal {
    struct restart restart;
    char unit[UNIT_NAME_MAX + 1];
    char *error; /* of the last one; owned; NULL: none */
    uint64_t last_wall_ms;
};

void heal_end(struct registry_check *check)
{
    if (check->heal != NULL) {
        free(check->heal->error);
        free(check->heal);
        check->heal = NULL;
    }
}

int heal_set(struct registry_check *check)
{
    const struct definition_restart *wanted = &check->definition.restart;
    const struct restart_options options = {
        .after = (uint32_t)wanted->after,
        .per_hour = (uint32_t)wanted->max_per_hour,
    };

    if (check->form == REGISTRY_MAINTENANCE || wanted->unit == NULL) {
        heal_end(check);
        return RC_OK;
    }
    if (check->heal == NULL) {
        check->heal = calloc(1, sizeof *check->heal);
        if (check->heal == NULL) {
            return RC_ENOMEM;
        }
        restart_init(&check->heal->restart, &options);
    }
    restart_reconfigure(&check->heal->restart, &options);
    return unit_name_complete(wanted->unit, check->heal->unit); /* judged before */
}

void heal_show(const struct registry_check *check, struct local_restart *out)
{
    const struct heal *heal = check->heal;

    *out = (struct local_restart){0};
    if (heal != NULL) {
        *out = (struct local_restart){
            .unit = heal->unit,
            .state = restart_state_name(heal->restart.state),
            .error = heal->error == NULL ? "" : heal->error,
            .after = heal->restart.options.after,
            .per_hour = heal->restart.options.per_hour,
            .count = heal->restart.time_count,
            .last_wall_ms = heal->last_wall_ms,
        };
    }
}

/* Somebody works on it. */
static bool is_in_maintenance(const struct local *local,
                              const struct registry_check *check)
{
    return registry_in_maintenance(local, NULL) ||
           (check->definition.service_id != NULL &&
            registry_in_maintenance(local, check->definition.service_id));
}

static void wish(struct local *local, const struct registry_check *check,
                 enum local_heal_kind kind)
{
    const char *service_id = check->definition.service_id;
    const struct local_heal heal = {
        .kind = kind,
        .check_id = check->definition.id,
        .service_id = service_id == NULL ? "" : service_id,
        .unit = check->heal->unit,
        .number = check->heal->restart.time_count,
        .per_hour = check->heal->restart.options.per_hour,
    };

    local->options.heal(local->options.context, &heal);
}

void heal_on_result(struct local *local, struct registry_check *check,
                    struct local_now now)
{
    const struct check *state = schedule_find(local->options.schedule, check->scheduled);

    if (check->heal == NULL || state == NULL || local->options.heal == NULL) {
        return;
    }
    if (is_in_maintenance(local, check)) {
        restart_rest(&check->heal->restart);
        return;
    }
    switch (restart_result(&check->heal->restart, state->failures > 0, now.mono_ms)) {
    case RESTART_NOW:
        wish(local, check, LOCAL_HEAL_RESTART);
        break;
    case RESTART_GIVEN_UP:
        wish(local, check, LOCAL_HEAL_GIVEN_UP);
        break;
    case RESTART_NOTHING:
        break;
    }
}

bool local_healed(struct local *local, const char *check_id, enum local_outcome outcome,
                  const char *error, struct local_now now)
{
    struct registry_check *check = registry_check(local, check_id);

    if (check == NULL || check->heal == NULL) {
        return true; /* gone meanwhile */
    }
    struct heal *heal = check->heal;
    if (outcome == LOCAL_LEFT_ALONE) {
        restart_withdrawn(&heal->restart);
    } else {
        restart_ended(&heal->restart, now.mono_ms,
                      (uint32_t)rc_random_below(&local->random, UINT32_MAX));
        heal->last_wall_ms = now.wall_ms;
        local->has_unsaved_states = true;
    }
    bool is_new = outcome != LOCAL_LEFT_ALONE || !rc_text_equals(heal->error, error);
    free(heal->error);
    heal->error = rc_text_copy(error);
    return is_new;
}

void heal_keep(const struct registry_check *check, json_t *state, struct local_now now)
{
    if (check->heal == NULL || check->heal->restart.time_count == 0) {
        return;
    }
    json_t *times = json_array();
    for (uint32_t i = 0; i < check->heal->restart.time_count; i++) {
        uint64_t age_ms = now.mono_ms - check->heal->restart.times_ms[i];
        uint64_t wall_ms = now.wall_ms > age_ms ? now.wall_ms - age_ms : 0;
        (void)json_array_append_new(times, json_integer((json_int_t)wall_ms));
    }
    (void)json_object_set_new(state, "restarts", times);
}

void heal_recall(struct registry_check *check, const json_t *state, struct local_now now)
{
    const json_t *times = json_object_get(state, "restarts");

    if (check->heal == NULL) {
        return;
    }
    for (size_t i = 0; i < json_array_size(times); i++) {
        json_int_t at = json_integer_value(json_array_get(times, i));
        uint64_t wall_ms = at > 0 ? (uint64_t)at : 0;
        if (wall_ms <= now.wall_ms && now.wall_ms - wall_ms < RESTART_HOUR_MS) {
            restart_recall(&check->heal->restart, keep_mono_of(wall_ms, now));
            check->heal->last_wall_ms = wall_ms;
        }
    }
}
