#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/config.h"
#include "agent/config_store.h"
#include "base/err.h"

static void the_engine_follows_from_what_is_set(void **state)
{
    static const struct {
        const char *why;
        const char *words[4];
        enum config_store_engine want;
    } cases[] = {
        {"no server", {"-data-dir=/d"}, CONFIG_STORE_NONE},
        {"a server", {"-data-dir=/d", "-server"}, CONFIG_STORE_SQLITE},
        {"for trying", {"-dev"}, CONFIG_STORE_MEMORY},
        {"for trying, kept", {"-dev", "-data-dir=/d"}, CONFIG_STORE_SQLITE},
        {"a server in name only",
         {"-data-dir=/d", "-server", "-store-engine=none"},
         CONFIG_STORE_NONE},
        {"etcd",
         {"-data-dir=/d", "-server",
          "-hcl=store { engine = \"etcd\" endpoints = [\"http://a:1\"] }"},
         CONFIG_STORE_ETCD},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char error[AGENT_CONFIG_ERROR_MAX];
        struct agent_config config;
        size_t count = 0;
        while (count < 4 && cases[i].words[count] != NULL) {
            count++;
        }
        if (agent_config_load(count, (char *const *)cases[i].words, &config, error) !=
            RC_OK) {
            fail_msg("%s: %s", cases[i].why, error);
        }
        if (config_store_engine(&config) != cases[i].want) {
            fail_msg("%s: %s", cases[i].why,
                     config_store_name(config_store_engine(&config)));
        }
        agent_config_fini(&config);
    }
}

static void what_makes_no_sense_is_refused_with_what_to_do(void **state)
{
    static const struct {
        const char *words[4];
        const char *part;
    } cases[] = {
        {{"-data-dir=/d", "-store-engine=sqlite"}, "set server = true too"},
        {{"-data-dir=/d", "-server", "-store-engine=paper"}, "must be sqlite, etcd"},
        {{"-dev", "-store-engine=sqlite"}, "set data_dir, or store.path"},
        {{"-data-dir=/d", "-server", "-store-engine=etcd"}, "needs store.endpoints"},
        {{"-data-dir=/d", "-server", "-hcl=store { endpoints = [\"http://a:1\"] }"},
         "are of etcd"},
        {{"-data-dir=/d", "-hcl=session_ttl_min = \"10ms\""}, "at least 1s"},
        {{"-data-dir=/d", "-hcl=store { session_ttl_factor = 0 }"}, "must be 1 to 10"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char error[AGENT_CONFIG_ERROR_MAX] = "";
        struct agent_config config;
        size_t count = 0;
        while (count < 4 && cases[i].words[count] != NULL) {
            count++;
        }
        int err = agent_config_load(count, (char *const *)cases[i].words, &config, error);
        if (err != RC_EINVAL || strstr(error, cases[i].part) == NULL) {
            fail_msg("%s: %d %s", cases[i].part, err, error);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_engine_follows_from_what_is_set),
        cmocka_unit_test(what_makes_no_sense_is_refused_with_what_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
