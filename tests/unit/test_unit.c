/* What the state of a unit means for a check: agent/checks/unit.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/checks/unit.h"
#include "base/err.h"

static void a_name_without_a_kind_is_a_service(void **state)
{
    static const struct {
        const char *name;
        const char *want; /* NULL: refused */
    } cases[] = {
        {"todomvc", "todomvc.service"},
        {"todomvc.service", "todomvc.service"},
        {"postgresql@15-main", "postgresql@15-main.service"},
        {"logrotate.timer", "logrotate.timer"},
        {"my.app", "my.app.service"},
        {"dev-sda\\x2d1.device", "dev-sda\\x2d1.device"},
        {"", NULL},
        {"../etc/passwd", NULL},
        {"a b", NULL},
        {".service", NULL},
        {"worker@.service", NULL},
        {"web;reboot", NULL},
    };
    char name[UNIT_NAME_MAX + 1];
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int err = unit_name_complete(cases[i].name, name);
        if ((err == RC_OK) != (cases[i].want != NULL) ||
            (err == RC_OK && strcmp(name, cases[i].want) != 0)) {
            fail_msg("%s: %s, %s", cases[i].name, rc_strerror(err), name);
        }
    }
}

static void a_name_that_is_too_long_is_refused(void **state)
{
    char name[UNIT_NAME_MAX + 1];
    char out[UNIT_NAME_MAX + 1];
    (void)state;

    memset(name, 'a', UNIT_NAME_MAX);
    name[UNIT_NAME_MAX] = '\0';
    assert_int_equal(unit_name_complete(name, out), RC_EINVAL);
    name[UNIT_NAME_MAX - strlen(".service")] = '\0';
    assert_int_equal(unit_name_complete(name, out), RC_OK);
}

static void each_state_has_its_status(void **state)
{
    static const struct {
        struct unit_state state;
        enum check_status want;
        const char *says;
    } cases[] = {
        {{"loaded", "active", "running", "success", 0, true},
         CHECK_PASSING,
         "a.service is active (running)"},
        {{"loaded", "active", "exited", "success", 2, true},
         CHECK_PASSING,
         "a.service is active (exited), restarted 2 times by systemd"},
        {{"loaded", "active", "running", "success", 3, true},
         CHECK_WARNING,
         "more than max_restarts 2"},
        {{"loaded", "activating", "auto-restart", "exit-code", 1, true},
         CHECK_WARNING,
         "activating (auto-restart)"},
        {{"loaded", "reloading", "reload", "success", 0, true},
         CHECK_WARNING,
         "reloading"},
        {{"loaded", "failed", "failed", "signal", 0, true},
         CHECK_CRITICAL,
         "a.service is failed (signal)"},
        {{"loaded", "inactive", "dead", "success", 0, true},
         CHECK_CRITICAL,
         "a.service is inactive (dead)"},
        {{"loaded", "deactivating", "stop-sigterm", "success", 0, true},
         CHECK_CRITICAL,
         "deactivating"},
        {{"not-found", "inactive", "dead", "", 0, true}, CHECK_CRITICAL, "no such unit"},
        {{"masked", "inactive", "dead", "", 0, true}, CHECK_CRITICAL, "masked"},
        {{"not-found", "active", "running", "success", 0, true},
         CHECK_PASSING, /* its file is gone, it is not */
         "active"},
    };
    const struct unit_rules rules = {CHECK_WARNING, 2};
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rc_buffer text = {0};
        enum check_status got = unit_judge(&cases[i].state, "a.service", &rules, &text);
        if (got != cases[i].want ||
            strstr(rc_buffer_string(&text), cases[i].says) == NULL) {
            fail_msg("%s: %s", rc_buffer_string(&text), check_status_name(got));
        }
        rc_buffer_fini(&text);
    }
}

static void starting_counts_as_configured(void **state)
{
    const struct unit_state starting = {.load = "loaded", .active = "activating"};
    const struct unit_rules rules = {CHECK_PASSING, 0};
    struct rc_buffer text = {0};
    (void)state;

    assert_int_equal(unit_judge(&starting, "a", &rules, &text), CHECK_PASSING);
    rc_buffer_fini(&text);
}

static void only_what_has_failed_or_hangs_is_restarted(void **state)
{
    const struct unit_state stopped = {.active = "inactive", .result = "success"};
    const struct unit_state starts = {.active = "activating", .result = "success"};
    const struct unit_state stops = {.active = "deactivating", .result = "success"};
    const struct unit_state killed = {.active = "failed", .result = "signal"};
    const struct unit_state hangs = {.active = "active", .result = "success"};
    (void)state;

    assert_non_null(unit_left_alone(&stopped));
    assert_non_null(unit_left_alone(&starts));
    assert_non_null(unit_left_alone(&stops));
    assert_null(unit_left_alone(&killed));
    assert_null(unit_left_alone(&hangs));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_without_a_kind_is_a_service),
        cmocka_unit_test(a_name_that_is_too_long_is_refused),
        cmocka_unit_test(each_state_has_its_status),
        cmocka_unit_test(starting_counts_as_configured),
        cmocka_unit_test(only_what_has_failed_or_hangs_is_restarted),
    };

    return cmocka_run_group_tests_name("unit", tests, NULL, NULL);
}
