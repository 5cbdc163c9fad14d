/* test_config_postgres.c - which postgres blocks make sense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/config.h"
#include "agent/config_postgres.h"
#include "base/err.h"

static int load(const char *block, struct agent_config *out, char *error)
{
    char text[512];
    char flag[] = "-hcl";
    char *words[] = {flag, text};

    (void)snprintf(text, sizeof text, "data_dir = \"/d\"\npostgres { %s }", block);
    return agent_config_load(2, words, out, error);
}

#define PLACES "cluster = \"main\" data_dir = \"/p\" bin_dir = \"/b\" "

static void blocks_that_make_no_sense_are_refused_with_words(void **state)
{
    static const struct {
        const char *block;
        const char *words; /* NULL: it is taken */
    } cases[] = {
        {PLACES, NULL},
        {"", NULL},
        {"cluster = \"main\"", "data_dir"},
        {"data_dir = \"/p\"", "cluster"},
        {PLACES "ttl = \"1s\"", "at least 2s"},
        {PLACES "renew = \"500ms\"", "an eighth"},
        {PLACES "mode = \"maybe\"", "async, sync or strict"},
        {PLACES "store_loss = \"hold\"", NULL},
        {PLACES "store_loss = \"pray\"", "fence or hold"},
        {PLACES "socket_dir = \"run\"", "begins with /"},
        {PLACES "initialize = true", "password_file"},
        {PLACES "initialize = true hba_file = \"/h\"", NULL},
        {"cluster = \"a/b\" data_dir = \"/p\" bin_dir = \"/b\"", "letters"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct agent_config config;
        char error[AGENT_CONFIG_ERROR_MAX] = "";
        int err = load(cases[i].block, &config, error);
        bool is_good = cases[i].words == NULL
                           ? err == RC_OK
                           : err == RC_EINVAL && strstr(error, cases[i].words) != NULL;
        if (!is_good) {
            fail_msg("%s: %s", cases[i].block, error);
        }
        if (err == RC_OK) {
            agent_config_fini(&config);
        }
    }
}

static void the_keeper_is_told_what_the_block_says(void **state)
{
    struct agent_config config;
    struct keeper_options options;
    char error[AGENT_CONFIG_ERROR_MAX] = "";

    (void)state;
    assert_int_equal(load(PLACES "mode = \"strict\" token = \"s3cret\"", &config, error),
                     RC_OK);
    config_postgres_options(&config, "db1", "10.0.0.1", &options);

    assert_string_equal(options.cluster, "main");
    assert_string_equal(options.address, "10.0.0.1");
    assert_int_equal(options.mode, KEEPER_STRICT);
    assert_int_equal(options.ttl_ms, 3000);
    assert_int_equal(options.renew_ms, 350);
    assert_int_equal(options.port, 5432);
    char *shown = agent_config_dump(&config);
    assert_non_null(strstr(shown, "\"cluster\":\"main\""));
    assert_null(strstr(shown, "s3cret"));
    free(shown);
    agent_config_fini(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_that_make_no_sense_are_refused_with_words),
        cmocka_unit_test(the_keeper_is_told_what_the_block_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
