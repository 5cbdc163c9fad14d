/* test_flags.c - what a command line means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/cli/cli.h"
#include "agent/cli/flags.h"
#include "base/err.h"

enum { WORDS_MAX = 80 };

static const struct cli_command command = {"demo", "a command", "usage: rollcall demo\n",
                                           NULL};

struct settings {
    bool loud;
    const char *name;
    struct cli_list tags;
    struct cli_parsed parsed; /* points into `list` */
    char *list[WORDS_MAX];
    char *told; /* what was printed to stderr; owned */
};

static const char *const variables[] = {
    "CONSUL_HTTP_ADDR", "CONSUL_HTTP_TOKEN", "CONSUL_HTTP_TOKEN_FILE", "CONSUL_HTTP_AUTH",
    "CONSUL_HTTP_SSL",  "CONSUL_CACERT",     "CONSUL_HTTP_SSL_VERIFY", "CONSUL_CAPATH",
};

/* Parses words separated by spaces. */
static int parse(struct settings *out, char *words)
{
    int count = 0;
    size_t size = 0;
    const struct cli_flag flags[] = {
        {"loud", CLI_SWITCH, &out->loud, NULL, "be loud"},
        {"name", CLI_TEXT, &out->name, "NAME", "a name"},
        {"tag", CLI_LIST, &out->tags, "TAG", "a tag"},
    };

    free(out->told);
    memset(out, 0, sizeof *out);
    for (char *at = words; at != NULL && *at != '\0';) {
        assert_true(count < WORDS_MAX);
        out->list[count++] = strsep(&at, " ");
    }
    FILE *before = stderr;
    stderr = open_memstream(&out->told, &size);
    int err = cli_parse(&command, flags, 3, count, out->list, &out->parsed);
    (void)fclose(stderr);
    stderr = before;
    return err;
}

static void set(const char *name, const char *value)
{
    (void)setenv(name, value, 1); // NOLINT(concurrency-mt-unsafe): one thread
}

static int clear_environment(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        (void)unsetenv(variables[i]); // NOLINT(concurrency-mt-unsafe): one thread
    }
    return 0;
}

static void a_flag_takes_its_value_after_a_space_or_an_equals_sign(void **state)
{
    static const char *const lines[] = {"-name web", "--name web", "-name=web",
                                        "--name=web", "-name other -name web"};
    struct settings got = {0};
    char words[64];
    (void)state;

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        (void)snprintf(words, sizeof words, "%s", lines[i]);
        assert_int_equal(parse(&got, words), RC_OK);
        assert_string_equal(got.name, "web");
        assert_int_equal(got.parsed.word_count, 0);
    }
    free(got.told);
}

static void a_switch_is_on_alone_and_as_its_value_says(void **state)
{
    static const struct {
        const char *line;
        bool on;
        int words;
    } cases[] = {
        {"-loud", true, 0},        {"-loud=true", true, 0}, {"-loud=1", true, 0},
        {"-loud=false", false, 0}, {"-loud=0", false, 0},   {"-loud false", true, 1},
    };
    struct settings got = {0};
    char words[64];
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)snprintf(words, sizeof words, "%s", cases[i].line);
        assert_int_equal(parse(&got, words), RC_OK);
        assert_int_equal(got.loud, cases[i].on);
        assert_int_equal(got.parsed.word_count, cases[i].words);
    }
    free(got.told);
}

static void words_and_flags_may_be_mixed_until_two_dashes(void **state)
{
    char words[] = "first -loud second -tag a - -tag=b -- -name third";
    struct settings got = {0};
    (void)state;

    assert_int_equal(parse(&got, words), RC_OK);

    assert_true(got.loud);
    assert_int_equal(got.tags.count, 2);
    assert_string_equal(got.tags.items[1], "b");
    assert_null(got.name);
    assert_int_equal(got.parsed.word_count, 5);
    assert_string_equal(got.parsed.words[1], "second");
    assert_string_equal(got.parsed.words[2], "-");
    assert_string_equal(got.parsed.words[3], "-name");
    free(got.told);
}

static void what_is_wrong_is_told_and_ends_with_2(void **state)
{
    static const struct {
        const char *line;
        const char *told;
    } cases[] = {
        {"-bogus", "rollcall demo: no such flag: -bogus\nSee: rollcall demo -help\n"},
        {"-nam", "rollcall demo: no such flag: -nam\nSee: rollcall demo -help\n"},
        {"--=x", "rollcall demo: no such flag: --=x\nSee: rollcall demo -help\n"},
        {"-name", "rollcall demo: -name wants a value\nSee: rollcall demo -help\n"},
        {"-loud=maybe",
         "rollcall demo: -loud: wants true or false\nSee: rollcall demo -help\n"},
        {"-\x1b[31mred",
         "rollcall demo: no such flag: -?[31mred\nSee: rollcall demo -help\n"},
    };
    struct settings got = {0};
    char words[64];
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)snprintf(words, sizeof words, "%s", cases[i].line);
        assert_int_equal(parse(&got, words), RC_EINVAL);
        assert_string_equal(got.told, cases[i].told);
    }
    assert_int_equal(cli_parse_exit(RC_EINVAL), CLI_USAGE);
    assert_int_equal(cli_parse_exit(RC_ECLOSED), CLI_DONE);
    free(got.told);
}

static void a_flag_longer_than_any_name_is_unknown(void **state)
{
    char words[4000];
    struct settings got = {0};
    (void)state;

    memset(words, 'a', sizeof words);
    words[0] = '-';
    words[sizeof words - 1] = '\0';
    assert_int_equal(parse(&got, words), RC_EINVAL);
    free(got.told);
}

static void a_list_has_an_end(void **state)
{
    char words[CLI_LIST_MAX * 8 + 16] = "";
    struct settings got = {0};
    (void)state;

    for (size_t i = 0; i <= CLI_LIST_MAX; i++) {
        (void)snprintf(words + strlen(words), sizeof words - strlen(words), "%s-tag=x",
                       i > 0 ? " " : "");
    }
    assert_int_equal(parse(&got, words), RC_EINVAL);
    assert_non_null(strstr(got.told, "-tag: given too often"));
    free(got.told);
}

static void the_agent_is_the_local_one_unless_told_otherwise(void **state)
{
    char none[] = "";
    char flag[] = "-http-addr=10.0.0.1:8500 -token=secret";
    struct settings got = {0};
    (void)state;

    assert_int_equal(parse(&got, none), RC_OK);
    assert_string_equal(got.parsed.client.http_addr, "127.0.0.1:8500");
    assert_null(got.parsed.client.token);
    assert_false(got.parsed.client.tls);

    set("CONSUL_HTTP_ADDR", "10.0.0.9:8500");
    set("CONSUL_HTTP_TOKEN", "");
    set("CONSUL_HTTP_SSL", "true");
    set("CONSUL_HTTP_SSL_VERIFY", "false");
    assert_int_equal(parse(&got, none), RC_OK);
    assert_string_equal(got.parsed.client.http_addr, "10.0.0.9:8500");
    assert_null(got.parsed.client.token);
    assert_true(got.parsed.client.tls);
    assert_true(got.parsed.client.tls_unverified);

    assert_int_equal(parse(&got, flag), RC_OK);
    assert_string_equal(got.parsed.client.http_addr, "10.0.0.1:8500");
    assert_string_equal(got.parsed.client.token, "secret");
    free(got.told);
}

static void a_variable_that_makes_no_sense_is_named(void **state)
{
    char none[] = "";
    struct settings got = {0};
    (void)state;

    set("CONSUL_HTTP_SSL_VERIFY", "perhaps");
    assert_int_equal(parse(&got, none), RC_EINVAL);
    assert_string_equal(got.told,
                        "CONSUL_HTTP_SSL_VERIFY wants true or false, not \"perhaps\"\n");
    free(got.told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_flag_takes_its_value_after_a_space_or_an_equals_sign,
                               clear_environment),
        cmocka_unit_test_setup(a_switch_is_on_alone_and_as_its_value_says,
                               clear_environment),
        cmocka_unit_test_setup(words_and_flags_may_be_mixed_until_two_dashes,
                               clear_environment),
        cmocka_unit_test_setup(what_is_wrong_is_told_and_ends_with_2, clear_environment),
        cmocka_unit_test_setup(a_flag_longer_than_any_name_is_unknown, clear_environment),
        cmocka_unit_test_setup(a_list_has_an_end, clear_environment),
        cmocka_unit_test_setup(the_agent_is_the_local_one_unless_told_otherwise,
                               clear_environment),
        cmocka_unit_test_setup(a_variable_that_makes_no_sense_is_named,
                               clear_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
