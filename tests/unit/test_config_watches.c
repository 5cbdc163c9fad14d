#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/config.h"
#include "base/err.h"

static int load(const char *text, struct agent_config *out,
                char error[AGENT_CONFIG_ERROR_MAX])
{
    char *words[] = {(char *)"-dev", (char *)"-hcl", (char *)text};

    return agent_config_load(3, words, out, error);
}

static void watches_of_several_places_add_up(void **state)
{
    struct agent_config config;
    char error[AGENT_CONFIG_ERROR_MAX];
    char *words[] = {
        (char *)"-dev",
        (char *)"-hcl",
        (char *)"watches = [{ type = \"nodes\" args = [\"a\"] }]",
        (char *)"-hcl",
        (char *)"enable_script_handlers = true\n"
                "watches { type = \"event\" name = \"e\" args = \"b\" }",
    };

    (void)state;
    assert_int_equal(agent_config_load(5, words, &config, error), RC_OK);
    assert_int_equal(config.watch_count, 2);
    assert_int_equal(config.watches[1].type, WATCH_EVENT);
    assert_string_equal(config.watches[1].args.items[0], "b");
    assert_int_equal(config.warnings.count, 0);
    agent_config_fini(&config);
}

static void a_program_that_will_not_run_is_told_of(void **state)
{
    struct agent_config config;
    char error[AGENT_CONFIG_ERROR_MAX];

    (void)state;
    assert_int_equal(
        load("watches = [{ type = \"nodes\" args = [\"a\"] }]", &config, error), RC_OK);
    assert_int_equal(config.warnings.count, 1);
    assert_non_null(strstr(config.warnings.items[0], "'enable_script_handlers'"));
    agent_config_fini(&config);

    assert_int_equal(load("watches = [{ type = \"nodes\" handler_type = \"http\" "
                          "http_handler_config { path = \"http://127.0.0.1/\" } }]",
                          &config, error),
                     RC_OK);
    assert_int_equal(config.warnings.count, 0);
    agent_config_fini(&config);
}

static void headers_of_handlers_are_not_shown(void **state)
{
    struct agent_config config;
    char error[AGENT_CONFIG_ERROR_MAX];

    (void)state;
    assert_int_equal(load("watches = [{ type = \"nodes\" handler_type = \"http\" "
                          "http_handler_config { path = \"http://127.0.0.1/\" "
                          "header { Authorization = [\"Bearer canary\"] } } }]",
                          &config, error),
                     RC_OK);
    char *shown = agent_config_dump(&config);
    assert_null(strstr(shown, "canary"));
    assert_non_null(strstr(shown, "\"watches\":1"));
    free(shown);
    agent_config_fini(&config);
}

static void faults_are_told_with_their_place(void **state)
{
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        {"watches = [{ type = \"bogus\" args = [\"a\"] }]", "-hcl:1:"},
        {"watches = [1]", "watches must be a list of blocks"},
        {"watches = \"x\"", "watches"},
        {"watches = [{ type = \"nodes\" arg = [\"a\"] }]", "arg"},
    };
    struct agent_config config;
    char error[AGENT_CONFIG_ERROR_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (load(cases[i].text, &config, error) == RC_OK ||
            strstr(error, cases[i].words) == NULL) {
            fail_msg("%s: %s", cases[i].text, error);
        }
    }
}

static void so_many_and_no_more(void **state)
{
    struct agent_config config;
    char error[AGENT_CONFIG_ERROR_MAX];
    struct rc_buffer text = {0};

    (void)state;
    rc_buffer_text(&text, "enable_script_handlers = true\nwatches = [");
    for (int i = 0; i < WATCHES_MAX; i++) {
        rc_buffer_text(&text, "{ type = \"nodes\" args = [\"a\"] },\n");
    }
    rc_buffer_text(&text, "]\n");
    assert_int_equal(load(rc_buffer_string(&text), &config, error), RC_OK);
    agent_config_fini(&config);
    char *words[] = {(char *)"-dev", (char *)"-hcl", (char *)text.bytes, (char *)"-hcl",
                     (char *)"watches { type = \"nodes\" args = [\"a\"] }"};
    assert_int_equal(agent_config_load(5, words, &config, error), RC_EINVAL);
    assert_non_null(strstr(error, "more than 64 watches"));
    rc_buffer_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(watches_of_several_places_add_up),
        cmocka_unit_test(a_program_that_will_not_run_is_told_of),
        cmocka_unit_test(headers_of_handlers_are_not_shown),
        cmocka_unit_test(faults_are_told_with_their_place),
        cmocka_unit_test(so_many_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
