/* judge_own.c - which checks that only rollcall has are refused: redis, systemd, restart. */
#include <string.h>

#include "agent/checks/redis_talk.h"
#include "agent/checks/restart.h"
#include "agent/checks/unit.h"
#include "agent/local/registry.h"
#include "base/err.h"
#include "base/text.h"

enum { REDIS_USER_MAX = 128 };

static int judge_redis(struct local *local, const struct check_definition *check,
                       enum local_origin origin)
{
    enum redis_role role;

    if (redis_role_parse(check->redis_role, &role) != RC_OK) {
        return registry_fail(local, RC_EINVAL,
                             "Invalid check: redis_role is master or replica, not "
                             "\"%.60s\"",
                             check->redis_role);
    }
    if (check->redis_user != NULL && check->redis_password_file == NULL) {
        return registry_fail(local, RC_EINVAL,
                             "Invalid check: redis_user needs redis_password_file");
    }
    if (check->redis_user != NULL && strlen(check->redis_user) > REDIS_USER_MAX) {
        return registry_fail(local, RC_EINVAL, "redis_user is longer than %d bytes",
                             REDIS_USER_MAX);
    }
    if (check->redis_password_file == NULL) {
        return RC_OK;
    }
    if (origin == LOCAL_FROM_API) { /* it would send any file to any server */
        return registry_fail(local, RC_EINVAL,
                             "Invalid check: redis_password_file is taken from "
                             "configuration files of the agent only");
    }
    return check->redis_password_file[0] == '/'
               ? RC_OK
               : registry_fail(local, RC_EINVAL,
                               "Invalid check: redis_password_file must be a whole path, "
                               "not \"%.200s\"",
                               check->redis_password_file);
}

static int judge_systemd(struct local *local, const struct check_definition *check)
{
    enum check_status starting;
    char unit[UNIT_NAME_MAX + 1];

    if (unit_name_complete(check->systemd, unit) != RC_OK) {
        return registry_fail(local, RC_EINVAL,
                             "Invalid check: \"%.255s\" is no name of a unit of systemd",
                             check->systemd);
    }
    if (check->systemd_starting != NULL &&
        check_status_parse(check->systemd_starting, &starting) != RC_OK) {
        return registry_fail(local, RC_EINVAL,
                             "Invalid check: systemd_starting is passing, warning or "
                             "critical, not \"%.60s\"",
                             check->systemd_starting);
    }
    if (check->max_restarts < 0 || check->max_restarts > UINT32_MAX) {
        return registry_fail(local, RC_EINVAL,
                             "Invalid check: max_restarts must not be negative");
    }
    return RC_OK;
}

/* Only services: to "restart" reboot.target would do what it says. */
static int judge_restart(struct local *local, const struct check_definition *check,
                         enum local_origin origin)
{
    const struct definition_restart *restart = &check->restart;
    char unit[UNIT_NAME_MAX + 1];

    if (origin == LOCAL_FROM_API) {
        return registry_fail(
            local, RC_EINVAL,
            "Invalid check: restart is taken from configuration files of "
            "the agent only: who may register a service may not restart "
            "units of this machine");
    }
    if (check->kind == CHECK_TTL || check->kind == CHECK_ALIAS) {
        return registry_fail(local, RC_EINVAL,
                             "Invalid check: restart needs a check that the agent runs, "
                             "not one of type %s",
                             check_kind_name(check->kind));
    }
    if (unit_name_complete(restart->unit, unit) != RC_OK || !unit_is_service(unit)) {
        return registry_fail(local, RC_EINVAL,
                             "Invalid check: restart.unit must be a service of systemd, "
                             "not \"%.255s\"",
                             restart->unit);
    }
    if (restart->after < 1 || restart->after > UINT32_MAX) {
        return registry_fail(local, RC_EINVAL,
                             "Invalid check: restart.after must be at least 1");
    }
    if (restart->max_per_hour < 1 || restart->max_per_hour > RESTART_PER_HOUR_MAX) {
        return registry_fail(local, RC_EINVAL,
                             "Invalid check: restart.max_per_hour must be 1 to %d",
                             RESTART_PER_HOUR_MAX);
    }
    return RC_OK;
}

int judge_own(struct local *local, const struct check_definition *check,
              enum local_origin origin)
{
    int err = RC_OK;

    if (check->kind == CHECK_REDIS) {
        err = judge_redis(local, check, origin);
    } else if (check->kind == CHECK_SYSTEMD) {
        err = judge_systemd(local, check);
    }
    if (err == RC_OK && check->restart.unit != NULL) {
        err = judge_restart(local, check, origin);
    }
    return err;
}
