#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "proxy/discover/registration.h"

static struct registration make(const char *figures)
{
    static struct config config; /* a large struct */
    struct registration made;

    config = (struct config){.register_name = "rollcall-proxy", .agent_token = "secret"};
    assert_int_equal(rc_address_parse(figures, 0, &config.figures), RC_OK);
    registration_of(&config, "1.2", &made);
    return made;
}

static void a_registration_has_port_version_and_a_check(void **state)
{
    const struct registration r = make("10.0.0.1:8801");
    struct rc_buffer out = {0};

    (void)state;
    registration_ask(&r, REGISTRATION_PUT, &out);
    const char *text = rc_buffer_string(&out);

    assert_ptr_equal(
        strstr(text,
               "PUT /v1/agent/service/register HTTP/1.0\r\nX-Consul-Token: secret\r\n"),
        text);
    assert_non_null(strstr(text, "\"rollcall-proxy-8801\""));
    assert_non_null(strstr(text, "\"10.0.0.1\""));
    assert_non_null(strstr(text, "\"http://10.0.0.1:8801/health\""));
    assert_non_null(strstr(text, "\"1.2\""));
    rc_buffer_fini(&out);
}

static void who_listens_on_all_has_its_nodes_address(void **state)
{
    struct registration r = make("0.0.0.0:8801");

    (void)state;
    assert_string_equal(r.address, "");
    assert_string_equal(r.check, "http://127.0.0.1:8801/health");
    r = make("[::]:8801");
    assert_string_equal(r.address, "");
    assert_string_equal(r.check, "http://[::1]:8801/health");
}

static void a_name_stays_one_part_of_the_path(void **state)
{
    struct registration r = make("10.0.0.1:8801");
    struct rc_buffer out = {0};

    (void)state;
    memcpy(r.id, "a/b c\r\n", 8);
    registration_ask(&r, REGISTRATION_REMOVE, &out);

    assert_non_null(strstr(rc_buffer_string(&out),
                           "PUT /v1/agent/service/deregister/a%2Fb%20c%0D%0A HTTP/1.0"));
    rc_buffer_fini(&out);
}

static void only_what_is_registered_as_we_are_stands(void **state)
{
    static const struct {
        const char *why;
        const char *body;
        unsigned status;
        bool want;
    } cases[] = {
        {"as it should",
         "{\"Service\":\"rollcall-proxy\",\"Address\":\"10.0.0.1\",\"Port\":8801,"
         "\"Meta\":{\"version\":\"1.2\"}}",
         200, true},
        {"another version",
         "{\"Service\":\"rollcall-proxy\",\"Address\":\"10.0.0.1\",\"Port\":8801,"
         "\"Meta\":{\"version\":\"1.1\"}}",
         200, false},
        {"another port",
         "{\"Service\":\"rollcall-proxy\",\"Address\":\"10.0.0.1\",\"Port\":1,"
         "\"Meta\":{\"version\":\"1.2\"}}",
         200, false},
        {"unknown", "unknown service ID: x", 404, false},
        {"no JSON", "hello", 200, false},
        {"another shape", "[1]", 200, false},
        {"nothing", "", 200, false},
    };
    const struct registration r = make("10.0.0.1:8801");

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool got = registration_stands(&r, cases[i].status, cases[i].body,
                                       strlen(cases[i].body));
        if (got != cases[i].want) {
            fail_msg("%s: got %d", cases[i].why, got);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_registration_has_port_version_and_a_check),
        cmocka_unit_test(who_listens_on_all_has_its_nodes_address),
        cmocka_unit_test(a_name_stays_one_part_of_the_path),
        cmocka_unit_test(only_what_is_registered_as_we_are_stands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
