/* Who holds tags whose right lies in a key, and how that is configured. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/config.h"
#include "base/err.h"

static void a_locked_keys_value_names_the_holder(void **state)
{
    static const struct {
        const char *json;
        const char *holder;
        int err;
    } cases[] = {
        {"{\"Value\":\"bjE=\",\"Session\":\"s\",\"LockIndex\":1}", "n1", RC_OK},
        {"{\"Value\":\"bjE=\",\"LockIndex\":1}", "", RC_OK},
        {"{\"Value\":\"bjE=\",\"Session\":\"\"}", "", RC_OK},
        {"{\"Value\":null,\"Session\":\"s\"}", "", RC_OK},
        {"null", "", RC_OK},
        {"{\"Value\":\"b\",\"Session\":\"s\"}", "", RC_EMALFORMED},
        {"{\"Value\":\"AG4=\",\"Session\":\"s\"}", "", RC_EMALFORMED},
        {"[]", "", RC_EMALFORMED},
        {"", "", RC_EMALFORMED},
    };
    char holder[UNIQUE_HOLDER_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int err = unique_tag_holder(cases[i].json, strlen(cases[i].json), holder);
        if (err != cases[i].err || strcmp(holder, cases[i].holder) != 0) {
            fail_msg("%s: %s, \"%s\"", cases[i].json, rc_strerror(err), holder);
        }
    }
}

static int load(const char *text, struct agent_config *out,
                char error[AGENT_CONFIG_ERROR_MAX])
{
    char *words[] = {(char *)"-dev", (char *)"-hcl", (char *)text};

    return agent_config_load(3, words, out, error);
}

static void a_rule_has_usual_tags_unless_it_says_which(void **state)
{
    struct agent_config config;
    char error[AGENT_CONFIG_ERROR_MAX];

    (void)state;
    assert_int_equal(load("unique_tag { service = \"a\" by_kv = \"k\" }\n"
                          "unique_tag { service = \"b\" by_kv = \"l\" tags = [\"x\"] }",
                          &config, error),
                     RC_OK);
    assert_int_equal(config.unique_tag_count, 2);
    assert_int_equal(config.unique_tags[0].tags.count, 2);
    assert_string_equal(config.unique_tags[0].tags.items[1], "master");
    assert_int_equal(config.unique_tags[1].tags.count, 1);
    assert_string_equal(config.unique_tags[1].by_kv, "l");
    agent_config_fini(&config);
}

static void incomplete_rules_are_refused(void **state)
{
    static const char *const texts[] = {
        "unique_tag { by_kv = \"k\" }",
        "unique_tag { service = \"a\" }",
        "unique_tag { service = \"a\" by_kv = \"k\" }\n"
        "unique_tag { service = \"A\" by_kv = \"l\" }",
        "unique_tag = 7",
    };
    struct agent_config config;
    char error[AGENT_CONFIG_ERROR_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (load(texts[i], &config, error) == RC_OK) {
            fail_msg("taken: %s", texts[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_locked_keys_value_names_the_holder),
        cmocka_unit_test(a_rule_has_usual_tags_unless_it_says_which),
        cmocka_unit_test(incomplete_rules_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
