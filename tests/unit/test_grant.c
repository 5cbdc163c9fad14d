/* test_grant.c - what several policies allow together, against a model too simple to be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/acl/grant.h"
#include "base/err.h"
#include "base/random.h"

enum { POLICIES_MAX = 3, MODEL_RULES_MAX = 6, DEPTH = 3, NAMES_MAX = 400 };

/* ---- The claims one by one. */

static bool ask(const char *first, const char *second, enum rule_resource resource,
                const char *name, enum rule_access access)
{
    struct rule_list lists[2] = {0};
    char error[RULE_ERROR_MAX];
    struct grant *grant = NULL;
    const struct grant_source sources[] = {{"first", &lists[0]}, {"second", &lists[1]}};

    assert_int_equal(rule_list_parse(first, strlen(first), &lists[0], error), RC_OK);
    assert_int_equal(rule_list_parse(second, strlen(second), &lists[1], error), RC_OK);
    assert_int_equal(grant_create(sources, 2, GRANT_DENIES, &grant), RC_OK);
    bool allowed = grant_allows(grant, resource, name, access, NULL);
    grant_destroy(grant);
    rule_list_fini(&lists[0]);
    rule_list_fini(&lists[1]);
    return allowed;
}

static void exact_beats_prefix_and_longer_beats_shorter(void **state)
{
    const char *rules = "key_prefix \"\" { policy = \"write\" } "
                        "key_prefix \"a/\" { policy = \"deny\" } "
                        "key \"a/b\" { policy = \"read\" }";

    (void)state;
    assert_true(ask(rules, "", RULE_KEY, "b", RULE_TO_WRITE));
    assert_false(ask(rules, "", RULE_KEY, "a/c", RULE_TO_READ));
    assert_true(ask(rules, "", RULE_KEY, "a/b", RULE_TO_READ));
    assert_false(ask(rules, "", RULE_KEY, "a/b", RULE_TO_WRITE));
    assert_false(ask(rules, "", RULE_KEY, "a/b/c", RULE_TO_READ));
}

static void deny_wins_then_the_higher_level(void **state)
{
    const char *read = "key \"a\" { policy = \"read\" }";
    const char *write = "key \"a\" { policy = \"write\" }";
    const char *deny = "key \"a\" { policy = \"deny\" }";

    (void)state;
    assert_true(ask(read, write, RULE_KEY, "a", RULE_TO_WRITE));
    assert_true(ask(write, read, RULE_KEY, "a", RULE_TO_WRITE));
    assert_false(ask(write, deny, RULE_KEY, "a", RULE_TO_READ));
    assert_false(ask(deny, write, RULE_KEY, "a", RULE_TO_READ));
}

static void names_that_the_catalog_takes_for_one_are_one(void **state)
{
    const char *rules = "service_prefix \"\" { policy = \"write\" } "
                        "service \"Web\" { policy = \"deny\" }";

    (void)state;
    assert_false(ask(rules, "", RULE_SERVICE, "WEB", RULE_TO_WRITE));
    assert_false(ask(rules, "", RULE_SERVICE, "web", RULE_TO_READ));
    assert_false(ask("key \"A\" { policy = \"read\" }", "", RULE_KEY, "a", RULE_TO_READ));
}

static void default_allow_does_not_give_the_tokens_away(void **state)
{
    struct grant *grant = NULL;
    struct grant_reason why;

    (void)state;
    assert_int_equal(grant_create(NULL, 0, GRANT_ALLOWS, &grant), RC_OK);

    assert_true(grant_allows(grant, RULE_KEY, "a", RULE_TO_WRITE, &why));
    assert_null(why.rule);
    assert_false(grant_allows(grant, RULE_ACL, "", RULE_TO_READ, &why));
    grant_destroy(grant);
}

static void reason_names_rule_and_policy(void **state)
{
    struct rule_list list = {0};
    char error[RULE_ERROR_MAX];
    struct grant *grant = NULL;
    struct grant_reason why;
    const char *rules = "\nkey_prefix \"a\" { policy = \"read\" }";
    const struct grant_source source = {"readers", &list};

    (void)state;
    assert_int_equal(rule_list_parse(rules, strlen(rules), &list, error), RC_OK);
    assert_int_equal(grant_create(&source, 1, GRANT_DENIES, &grant), RC_OK);
    rule_list_fini(&list);

    assert_false(grant_allows(grant, RULE_KEY, "ab", RULE_TO_WRITE, &why));
    assert_string_equal(why.policy, "readers");
    assert_string_equal(why.rule->name, "a");
    assert_int_equal(why.rule->line, 2);
    grant_destroy(grant);
}

/* ---- The model: all rules in a row, asked one after the other. */

struct model_rule {
    struct rule rule;
    char name[DEPTH + 1];
};

struct model {
    struct model_rule rules[POLICIES_MAX][MODEL_RULES_MAX];
    size_t counts[POLICIES_MAX];
    enum grant_default fallback;
};

static bool is_match(const struct rule *rule, enum rule_resource resource,
                     const char *name)
{
    if (rule->resource != resource) {
        return false;
    }
    return rule->scope == RULE_EXACT ? strcmp(rule->name, name) == 0
                                     : strncmp(rule->name, name, strlen(rule->name)) == 0;
}

/* Exact rules rank above all prefixes. */
static size_t rank(const struct rule *rule)
{
    return rule->scope == RULE_EXACT ? 100 : strlen(rule->name);
}

static bool model_allows(const struct model *model, enum rule_resource resource,
                         const char *name, enum rule_access access)
{
    const struct rule *best = NULL;

    for (size_t p = 0; p < POLICIES_MAX; p++) {
        for (size_t i = 0; i < model->counts[p]; i++) {
            const struct rule *rule = &model->rules[p][i].rule;
            if (!is_match(rule, resource, name)) {
                continue;
            }
            bool is_better = best == NULL || rank(rule) > rank(best) ||
                             (rank(rule) == rank(best) && best->level != RULE_DENY &&
                              (rule->level == RULE_DENY || rule->level > best->level));
            best = is_better ? rule : best;
        }
    }
    if (best == NULL) {
        return model->fallback == GRANT_ALLOWS;
    }
    return best->level != RULE_DENY &&
           (access == RULE_TO_READ || best->level == RULE_WRITE ||
            (access == RULE_TO_LIST && best->level == RULE_LIST));
}

static void random_name(struct rc_random *random, const char *letters, size_t count,
                        size_t size_max, char *out)
{
    size_t size = rc_random_below(random, size_max + 1);

    for (size_t i = 0; i < size; i++) {
        out[i] = letters[rc_random_below(random, count)];
    }
    out[size] = '\0';
}

static void random_model(struct rc_random *random, struct model *model)
{
    model->fallback = rc_random_below(random, 2) == 0 ? GRANT_DENIES : GRANT_ALLOWS;
    for (size_t p = 0; p < POLICIES_MAX; p++) {
        model->counts[p] = rc_random_below(random, MODEL_RULES_MAX + 1);
        for (size_t i = 0; i < model->counts[p]; i++) {
            struct model_rule *it = &model->rules[p][i];
            random_name(random, "ab", 2, DEPTH, it->name);
            it->rule = (struct rule){
                .resource = rc_random_below(random, 4) == 0 ? RULE_EVENT : RULE_KEY,
                .scope = rc_random_below(random, 3) == 0 ? RULE_EXACT : RULE_PREFIX,
                .level = (enum rule_level)rc_random_below(random, RULE_LEVEL_COUNT),
                .name = it->name,
            };
        }
    }
}

static struct grant *grant_of(const struct model *model)
{
    struct rule rules[POLICIES_MAX][MODEL_RULES_MAX];
    struct rule_list lists[POLICIES_MAX];
    struct grant_source sources[POLICIES_MAX];
    struct grant *grant = NULL;

    for (size_t p = 0; p < POLICIES_MAX; p++) {
        for (size_t i = 0; i < model->counts[p]; i++) {
            rules[p][i] = model->rules[p][i].rule;
        }
        lists[p] = (struct rule_list){.items = rules[p], .count = model->counts[p]};
        sources[p] = (struct grant_source){"p", &lists[p]};
    }
    assert_int_equal(grant_create(sources, POLICIES_MAX, model->fallback, &grant), RC_OK);
    return grant;
}

/* Asks both `count` things; returns whether they agreed. The last name is in `name`. */
static bool agree(struct rc_random *random, const struct grant *grant,
                  const struct model *model, int count, char name[DEPTH + 2])
{
    for (int i = 0; i < count; i++) {
        enum rule_access access =
            (enum rule_access)rc_random_below(random, RULE_ACCESS_COUNT);
        enum rule_resource resource =
            rc_random_below(random, 4) == 0 ? RULE_EVENT : RULE_KEY;
        random_name(random, "abc", 3, DEPTH + 1, name);
        if (grant_allows(grant, resource, name, access, NULL) !=
            model_allows(model, resource, name, access)) {
            return false;
        }
    }
    return true;
}

static void any_rules_decide_as_the_model_does(void **state)
{
    enum { RULE_SETS = 50000, QUESTIONS = 20 }; /* a million cases */
    struct rc_random random;
    static struct model model;
    char name[DEPTH + 2];

    (void)state;
    rc_random_init(&random, 4);
    for (int set = 0; set < RULE_SETS; set++) {
        random_model(&random, &model);
        struct grant *grant = grant_of(&model);
        if (!agree(&random, grant, &model, QUESTIONS, name)) {
            fail_msg("set %d: '%s' is decided otherwise", set, name);
        }
        grant_destroy(grant);
    }
}

/* Every name over "abc" up to one longer than any rule; no rule has a "c". */
static size_t all_names(char names[NAMES_MAX][DEPTH + 2])
{
    size_t count = 1;
    size_t from = 0;

    names[0][0] = '\0';
    for (size_t size = 0; size <= DEPTH; size++) {
        size_t to = count;
        for (; from < to; from++) {
            for (const char *c = "abc"; *c != '\0'; c++) {
                assert_true(count < NAMES_MAX);
                memcpy(names[count], names[from], size);
                names[count][size] = *c;
                names[count][size + 1] = '\0';
                count++;
            }
        }
    }
    return count;
}

static void prefix_is_allowed_exactly_if_every_name_under_it_is(void **state)
{
    enum { RULE_SETS = 20000 };
    static char names[NAMES_MAX][DEPTH + 2];
    static struct model model;
    struct rc_random random;
    char prefix[DEPTH + 1];
    size_t count = all_names(names);

    (void)state;
    rc_random_init(&random, 5);
    for (int set = 0; set < RULE_SETS; set++) {
        random_model(&random, &model);
        struct grant *grant = grant_of(&model);
        random_name(&random, "ab", 2, DEPTH, prefix);
        bool want = true;
        for (size_t i = 0; i < count; i++) {
            want = want && (strncmp(prefix, names[i], strlen(prefix)) != 0 ||
                            model_allows(&model, RULE_KEY, names[i], RULE_TO_WRITE));
        }
        if (grant_allows_prefix(grant, RULE_KEY, prefix, RULE_TO_WRITE, NULL) != want) {
            fail_msg("set %d: all under '%s' should be %s", set, prefix,
                     want ? "allowed" : "refused");
        }
        grant_destroy(grant);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_beats_prefix_and_longer_beats_shorter),
        cmocka_unit_test(deny_wins_then_the_higher_level),
        cmocka_unit_test(names_that_the_catalog_takes_for_one_are_one),
        cmocka_unit_test(default_allow_does_not_give_the_tokens_away),
        cmocka_unit_test(reason_names_rule_and_policy),
        cmocka_unit_test(any_rules_decide_as_the_model_does),
        cmocka_unit_test(prefix_is_allowed_exactly_if_every_name_under_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
