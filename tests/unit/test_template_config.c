#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/template/template_config.h"
#include "base/err.h"

static int read_text(const char *text, struct template_config *out,
                     char error[RC_SETTINGS_ERROR_MAX])
{
    struct rc_settings *settings = NULL;

    *out = (struct template_config){.log_level = RC_LOG_LEVEL_COUNT};
    int err = rc_settings_parse("f", text, strlen(text), &settings, error);
    if (err == RC_OK) {
        err = template_config_read(settings, out, error);
    }
    rc_settings_destroy(settings);
    return err;
}

static void all_settings_are_read(void **state)
{
    struct template_config config;
    char error[RC_SETTINGS_ERROR_MAX];
    int err = read_text(
        "agent { address = \"10.0.0.1:8500\" token = \"t\" tls_verify = false }\n"
        "log_level = \"debug\"\n"
        "template {\n"
        "  source = \"in\"\n  destination = \"out\"\n"
        "  check = [\"nginx\", \"-t\"]\n  reload = \"kill -HUP 1\"\n"
        "  command_timeout = \"5s\"\n  perms = \"0640\"\n"
        "  user = \"root\"\n  group = \"0\"\n  min_instances = 2\n"
        "  wait { min = \"1s\" }\n"
        "  left_delimiter = \"[[\"\n  right_delimiter = \"]]\"\n}\n"
        "template { contents = \"x\" destination = \"out2\" }\n",
        &config, error);

    (void)state;
    if (err != RC_OK || config.entries == NULL) {
        fail_msg("%s", error);
        return;
    }
    const struct template_entry *entry = &config.entries[0];
    assert_true(config.count == 2 && config.log_level == RC_LOG_DEBUG);
    assert_string_equal(config.agent.address, "10.0.0.1:8500");
    assert_true(config.agent.tls_unverified);
    assert_true(entry->check.count == 2 && entry->reload.count == 3);
    assert_string_equal(entry->reload.words != NULL ? entry->reload.words[2] : "",
                        "kill -HUP 1");
    assert_true(entry->command_ms == 5000 && entry->mode == 0640);
    assert_true(entry->quiet_min_ms == 1000 && entry->quiet_max_ms == 4000);
    assert_true(entry->min_instances == 2);
    assert_string_equal(entry->left, "[[");
    assert_true(config.entries[1].mode == TEMPLATE_KEPT_MODE);
    template_config_fini(&config);
}

static void mistakes_are_told_with_their_place(void **state)
{
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        {"templat {}", "f:1:1: no setting is called templat here: do you mean template?"},
        {"template {\n  sourc = \"x\"\n}",
         "f:2:3: no setting is called sourc here: do you"},
        {"template { source = \"a\" }", "f:1:1: a template has a destination"},
        {"template { destination = \"a\" }", "f:1:1: a template has a source"},
        {"template { source = \"a\" contents = \"b\" destination = \"c\" }",
         "f:1:1: a template has a source"},
        {"template { source = \"a\" destination = \"c/\" }",
         "f:1:25: destination is a file"},
        {"template { source = 1 destination = \"c\" }", "f:1:12: source is a text"},
        {"template { source = \"a\" destination = \"c\" check = 1 }",
         "f:1:43: check is a text"},
        {"template { source = \"a\" destination = \"c\" check = [] }",
         "f:1:43: check is a"},
        {"template { source = \"a\" destination = \"c\" check = [1] }",
         "f:1:43: check: words"},
        {"template { source = \"a\" destination = \"c\" perms = \"rw\" }",
         "f:1:43: perms is"},
        {"template { source = \"a\" destination = \"c\" wait { min = \"x\" } }",
         "f:1:50: min is a duration"},
        {"template { source = \"a\" destination = \"c\" wait { min = \"2s\" max = \"1s\" } }",
         "f:1:61: max is less than min"},
        {"template { source = \"a\" destination = \"c\" left_delimiter = \"[\" }",
         "f:1:1: left_delimiter and right_delimiter"},
        {"template { source = \"a\" destination = \"c\" command_timeout = \"0s\" }",
         "f:1:43: command_timeout is more than 0"},
        {"agent = 1", "f:1:1: agent is one block"},
        {"log_level = \"loud\"", "f:1:1: log_level is"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct template_config config;
        char error[RC_SETTINGS_ERROR_MAX] = "";
        if (read_text(cases[i].text, &config, error) == RC_OK ||
            strncmp(error, cases[i].want, strlen(cases[i].want)) != 0) {
            fail_msg("%s: [%s], not [%s]", cases[i].text, error, cases[i].want);
        }
        template_config_fini(&config);
    }
}

static void a_flag_is_in_out_and_reload(void **state)
{
    struct template_config config = {.log_level = RC_LOG_LEVEL_COUNT};
    char error[RC_SETTINGS_ERROR_MAX];

    (void)state;
    assert_int_equal(template_config_add(&config, "a.tmpl:/b", error), RC_OK);
    assert_int_equal(template_config_add(&config, "a:b:echo c:d", error), RC_OK);
    assert_int_equal(template_config_add(&config, "a", error), RC_OK);
    assert_int_equal(template_config_add(&config, ":b", error), RC_EINVAL);

    assert_string_equal(config.entries[0].source, "a.tmpl");
    assert_string_equal(config.entries[0].destination, "/b");
    assert_null(config.entries[0].reload.words);
    assert_string_equal(config.entries[1].reload.words[2], "echo c:d");
    assert_null(config.entries[2].destination);
    template_config_fini(&config);
}

static void a_file_is_put_into_words_and_never_into_a_line_for_the_shell(void **state)
{
    struct template_config config;
    char error[RC_SETTINGS_ERROR_MAX];

    (void)state;
    assert_int_equal(
        read_text("template { source = \"a\" destination = \"b\"\n"
                  "check = [\"test\", \"{}\", \"x{}y\"] reload = \"cat {}\" }",
                  &config, error),
        RC_OK);
    char **check = template_command_words(&config.entries[0].check, "/a b;rm");
    char **reload = template_command_words(&config.entries[0].reload, "/a b;rm");

    assert_string_equal(check[1], "/a b;rm");
    assert_string_equal(check[2], "x/a b;rmy");
    assert_null(check[3]);
    assert_string_equal(reload[2], "cat {}");
    template_command_release(check);
    template_command_release(reload);
    template_config_fini(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_settings_are_read),
        cmocka_unit_test(mistakes_are_told_with_their_place),
        cmocka_unit_test(a_flag_is_in_out_and_reload),
        cmocka_unit_test(a_file_is_put_into_words_and_never_into_a_line_for_the_shell),
    };
    return cmocka_run_group_tests_name("template_config", tests, NULL, NULL);
}
