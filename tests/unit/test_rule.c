/* test_rule.c - the rule language: what is read, what is refused and where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/acl/rule.h"
#include "base/buffer.h"
#include "base/err.h"

/* The rules as "resource[_prefix] name level;" each. */
static char *show(const char *text)
{
    struct rule_list list = {0};
    char error[RULE_ERROR_MAX];
    struct rc_buffer out = {0};

    int err = rule_list_parse(text, strlen(text), &list, error);
    if (err != RC_OK) {
        rc_buffer_text(&out, error);
    }
    for (size_t i = 0; i < list.count; i++) {
        const struct rule *rule = &list.items[i];
        rc_buffer_format(&out, "%s%s '%s' %s %u;", rule_resource_name(rule->resource),
                         rule->scope == RULE_PREFIX ? "_prefix" : "", rule->name,
                         rule_level_name(rule->level), rule->line);
    }
    rule_list_fini(&list);
    rc_buffer_byte(&out, '\0');
    return rc_buffer_steal(&out);
}

static void both_spellings_are_read(void **state)
{
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        {"", ""},
        {"key \"a\" { policy = \"read\" }", "key 'a' read 1;"},
        {"key_prefix \"\" {\n policy = \"list\"\n}", "key_prefix '' list 2;"},
        {"key \"a\" { policy = \"read\" }\nkey \"b\" { policy = \"deny\" }",
         "key 'a' read 1;key 'b' deny 2;"},
        {"operator = \"read\"\nacl=\"write\" keyring = \"deny\"",
         "operator '' read 1;acl '' write 2;keyring '' deny 2;"},
        {"service \"w\" { policy = \"read\" intentions = \"read\" }",
         "service 'w' read 1;"},
        {"mesh = \"write\" peering = \"read\"", ""},
        {"pg \"main\" { policy = \"write\" }", "pg 'main' write 1;"},
        {"{\"key_prefix\":{\"\":{\"policy\":\"read\"},\n\"a/\":{\"policy\":\"write\"}},"
         "\"acl\":\"read\"}",
         "key_prefix '' read 1;key_prefix 'a/' write 2;acl '' read 2;"},
        {"{\"key\":[{\"a\":{\"policy\":\"read\"}},{\"b\":{\"policy\":\"read\"}}]}",
         "key 'a' read 1;key 'b' read 1;"},
        {"{\"service\":{\"name\":{\"policy\":\"read\"}}}", "service 'name' read 1;"},
        {"agent_prefix \"\" { policy = \"read\" } event \"d\" { policy = \"write\" } "
         "node \"n\" { policy = \"read\" } query \"q\" { policy = \"read\" } "
         "session_prefix \"s\" { policy = \"write\" }",
         "agent_prefix '' read 1;event 'd' write 1;node 'n' read 1;query 'q' read 1;"
         "session_prefix 's' write 1;"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *got = show(cases[i].text);
        assert_string_equal(got, cases[i].want);
        free(got);
    }
}

static void what_is_no_rule_is_refused_with_its_place(void **state)
{
    static const struct {
        const char *why;
        const char *text;
        const char *want;
    } cases[] = {
        {"no such resource", "keys \"a\" { policy = \"read\" }",
         "rules:1:1: invalid key keys: no resource of this name"},
        {"no such level", "\nkey \"a\" { policy = \"rw\" }",
         "rules:2:11: key: the policy is read, list, write or deny"},
        {"only keys are listed", "service \"a\" { policy = \"list\" }",
         "rules:1:15: service: the policy is read, write or deny"},
        {"no level", "node \"a\" {}",
         "rules:1:1: node: the policy is read, write or deny"},
        {"no name", "key { policy = \"read\" }", "rules:1:7: key: the rule has no name"},
        {"nothing in it", "key {}", "rules:1:1: key: the rule has no name"},
        {"a scalar where a block is wanted", "key = \"read\"",
         "rules:1:1: key \"name\" { policy = ... } is wanted"},
        {"a block where a scalar is wanted", "acl \"x\" { policy = \"read\" }",
         "rules:1:1: acl: the policy is read, write or deny"},
        {"an unknown key inside", "key \"a\" { policy = \"read\" polices = \"x\" }",
         "rules:1:27: invalid key polices in a rule"},
        {"a resource without names has no prefix",
         "acl_prefix \"\" { policy = \"read\" }",
         "rules:1:1: invalid key acl_prefix: no resource of this name"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *got = show(cases[i].text);
        if (strcmp(got, cases[i].want) != 0) {
            fail_msg("%s: got %s", cases[i].why, got);
        }
        free(got);
    }
}

static void too_many_rules_are_refused(void **state)
{
    struct rc_buffer text = {0};
    struct rule_list list = {0};
    char error[RULE_ERROR_MAX];

    (void)state;
    for (int i = 0; i <= RULES_MAX; i++) {
        rc_buffer_format(&text, "key \"%d\" { policy = \"read\" }\n", i);
    }

    int err = rule_list_parse(rc_buffer_string(&text), text.size, &list, error);

    assert_int_equal(err, RC_ETOOBIG);
    assert_string_equal(error, "rules: more than 1024 rules");
    rc_buffer_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_spellings_are_read),
        cmocka_unit_test(what_is_no_rule_is_refused_with_its_place),
        cmocka_unit_test(too_many_rules_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
