/* test_identity.c - who an agent is, from its configuration and its data folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/config.h"
#include "agent/identity.h"
#include "base/err.h"
#include "base/file.h"

/* What is settled from the flags in `line`, a -dev agent's apart. */
static int settle(const char *line, struct agent_config *config, struct identity *out,
                  char error[IDENTITY_ERROR_MAX])
{
    char text[256];
    char config_error[AGENT_CONFIG_ERROR_MAX];
    char *words[16];
    size_t count = 0;

    (void)snprintf(text, sizeof text, "%s", line);
    for (char *at = text; at != NULL && *at != '\0' && count < 16;) {
        words[count++] = strsep(&at, " ");
    }
    assert_int_equal(agent_config_load(count, words, config, config_error), RC_OK);
    return identity_settle(config, out, error);
}

static const char *tag(const struct identity *identity, const char *key)
{
    for (size_t i = 0; i < identity->tag_count; i++) {
        if (strcmp(identity->tags[i].key, key) == 0) {
            return identity->tags[i].value;
        }
    }
    return NULL;
}

static void what_is_configured_is_what_others_are_told(void **state)
{
    struct agent_config config;
    struct identity identity;
    char error[IDENTITY_ERROR_MAX];
    char text[RC_ADDRESS_TEXT_MAX];
    (void)state;

    assert_int_equal(settle("-dev -node web1 -datacenter east -bind 10.0.0.1 "
                            "-node-id 11111111-2222-3333-4444-555555555555",
                            &config, &identity, error),
                     RC_OK);

    assert_string_equal(identity.node_name, "web1");
    assert_string_equal(identity.node_id, "11111111-2222-3333-4444-555555555555");
    rc_address_format(&identity.advertise, text);
    assert_string_equal(text, "10.0.0.1:8301");
    assert_string_equal(tag(&identity, "dc"), "east");
    assert_null(tag(&identity, "id")); /* it is in the record */
    assert_string_equal(tag(&identity, "rc"), "1");
    assert_null(tag(&identity, "rc_tm"));
    assert_int_equal(identity.key_count, 0);
    identity_fini(&identity);
    agent_config_fini(&config);
}

static void a_node_may_say_how_long_it_is_to_be_looked_for(void **state)
{
    struct agent_config config;
    struct identity identity;
    char error[IDENTITY_ERROR_MAX];
    (void)state;

    assert_int_equal(
        settle("-dev -bind 10.0.0.1 -hcl advertise_reconnect_timeout=\"90s\"", &config,
               &identity, error),
        RC_OK);

    assert_string_equal(tag(&identity, "rc_tm"), "1m30s");
    identity_fini(&identity);
    agent_config_fini(&config);
}

static void an_advertised_address_may_differ_from_the_bound_one(void **state)
{
    struct agent_config config;
    struct identity identity;
    char error[IDENTITY_ERROR_MAX];
    char bind[RC_ADDRESS_TEXT_MAX];
    char advertise[RC_ADDRESS_TEXT_MAX];
    (void)state;

    assert_int_equal(settle("-dev -node a -bind 0.0.0.0 -advertise 192.0.2.7 "
                            "-serf-lan-port 20301",
                            &config, &identity, error),
                     RC_OK);

    rc_address_format(&identity.bind, bind);
    rc_address_format(&identity.advertise, advertise);
    assert_string_equal(bind, "0.0.0.0:20301");
    assert_string_equal(advertise, "192.0.2.7:20301");
    identity_fini(&identity);
    agent_config_fini(&config);
}

static void servers_carry_the_port_that_consuls_tools_look_for(void **state)
{
    struct agent_config config;
    struct identity identity;
    char error[IDENTITY_ERROR_MAX];
    (void)state;

    assert_int_equal(settle("-dev -node a -server=false", &config, &identity, error),
                     RC_OK);
    assert_string_equal(tag(&identity, "role"), "node");
    assert_null(tag(&identity, "port"));
    identity_fini(&identity);
    agent_config_fini(&config);

    assert_int_equal(settle("-dev -node a -server", &config, &identity, error), RC_OK);
    assert_string_equal(tag(&identity, "role"), "consul");
    assert_string_equal(tag(&identity, "port"), "8300");
    identity_fini(&identity);
    agent_config_fini(&config);
}

static void the_key_is_decoded_once(void **state)
{
    struct agent_config config;
    struct identity identity;
    char error[IDENTITY_ERROR_MAX];
    (void)state;

    assert_int_equal(settle("-dev -node a -encrypt AAECAwQFBgcICQoLDA0ODw==", &config,
                            &identity, error),
                     RC_OK);

    assert_int_equal(identity.key_count, 1);
    assert_int_equal(identity.key.size, 16);
    assert_int_equal(identity.key.bytes[15], 15);
    identity_fini(&identity);
    assert_int_equal(identity.key.bytes[15], 0);
    agent_config_fini(&config);
}

static void a_node_keeps_its_id_and_a_damaged_memory_is_told(void **state)
{
    char folder[] = "/tmp/rollcall-identity-XXXXXX";
    char file[64];
    char line[128];
    struct agent_config config;
    struct identity identity;
    char error[IDENTITY_ERROR_MAX];
    char id[37];
    (void)state;

    assert_non_null(mkdtemp(folder));
    (void)snprintf(file, sizeof file, "%s/node.json", folder);
    (void)snprintf(line, sizeof line, "-node a -bind 127.0.0.1 -data-dir %s", folder);

    assert_int_equal(settle(line, &config, &identity, error), RC_OK);
    assert_int_equal(strlen(identity.node_id), 36);
    memcpy(id, identity.node_id, sizeof id);
    assert_int_equal(keep_save(folder, &identity.kept), RC_OK);
    identity_fini(&identity);
    agent_config_fini(&config);

    assert_int_equal(settle(line, &config, &identity, error), RC_OK);
    assert_string_equal(identity.node_id, id);
    identity_fini(&identity);
    agent_config_fini(&config);

    assert_int_equal(rc_file_replace(file, "{", 1), RC_OK);
    assert_int_equal(settle(line, &config, &identity, error), RC_EMALFORMED);
    assert_non_null(strstr(error, "node.json.broken"));
    assert_null(strchr(error, '\n'));
    identity_fini(&identity);
    agent_config_fini(&config);

    (void)snprintf(file, sizeof file, "%s/node.json.broken", folder);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_configured_is_what_others_are_told),
        cmocka_unit_test(a_node_may_say_how_long_it_is_to_be_looked_for),
        cmocka_unit_test(an_advertised_address_may_differ_from_the_bound_one),
        cmocka_unit_test(servers_carry_the_port_that_consuls_tools_look_for),
        cmocka_unit_test(the_key_is_decoded_once),
        cmocka_unit_test(a_node_keeps_its_id_and_a_damaged_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
