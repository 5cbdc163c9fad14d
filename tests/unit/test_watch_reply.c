/* test_watch_reply.c - an agent's answer about a service, and the question. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "proxy/discover/watch_reply.h"

static const char body[] =
    "[{\"Node\":{\"Node\":\"n1\",\"Address\":\"10.0.0.1\"},\"Service\":{\"ID\":\"pg\",\"Port\":5432,"
    "\"Address\":\"\",\"Tags\":[\"primary\",\"v2\"],\"Weights\":{\"Passing\":3,\"Warning\":1}}},"
    "{\"Node\":{\"Node\":\"n2\",\"Address\":\"10.0.0.2\"},\"Service\":{\"ID\":\"pg\",\"Port\":5433,"
    "\"Address\":\"10.9.9.9\",\"Tags\":null}},"
    "{\"Node\":{\"Node\":\"n3\",\"Address\":\"10.0.0.3\"},\"Service\":{\"ID\":\"pg\",\"Port\":0}},"
    "{\"Node\":{\"Node\":\"n4\",\"Address\":\"a.name\"},\"Service\":{\"ID\":\"pg\",\"Port\":1}}]";

static struct watch_reply reply_of(const char *text)
{
    return (struct watch_reply){200, 1, text, strlen(text)};
}

static void an_answer_is_whole_when_its_length_is_there(void **state)
{
    (void)state;
    static const char text[] = "HTTP/1.1 200 OK\r\nx-consul-index: 42\r\n"
                               "Content-Length: 2\r\n\r\n[]";
    struct watch_reply reply;

    for (size_t size = 0; size < sizeof text - 1; size++) {
        assert_int_equal(watch_reply_parse(text, size, WATCH_OPEN, &reply), RC_EAGAIN);
    }
    assert_int_equal(watch_reply_parse(text, sizeof text - 1, WATCH_OPEN, &reply), RC_OK);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.index, 42);
    assert_int_equal(reply.body_size, 2);
}

static void without_a_length_the_close_ends_it(void **state)
{
    (void)state;
    static const char text[] = "HTTP/1.0 200 OK\r\n\r\n[]";
    struct watch_reply reply;
    assert_int_equal(watch_reply_parse(text, sizeof text - 1, WATCH_OPEN, &reply),
                     RC_EAGAIN);
    assert_int_equal(watch_reply_parse(text, sizeof text - 1, WATCH_ENDED, &reply),
                     RC_OK);
    assert_int_equal(reply.body_size, 2);
}

static void what_is_no_answer_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int want;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n[]", RC_EMALFORMED}, /* cut short */
        {"SSH-2.0-OpenSSH\r\n\r\n", RC_EMALFORMED},
        {"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", RC_EMALFORMED},
        {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", RC_ETOOBIG},
        {"", RC_EMALFORMED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct watch_reply reply;
        int got =
            watch_reply_parse(cases[i].text, strlen(cases[i].text), WATCH_ENDED, &reply);
        if (got != cases[i].want) {
            fail_msg("%s: %s", cases[i].text, rc_strerror(got));
        }
    }
}

static void instances_carry_identity_address_weight_and_role(void **state)
{
    (void)state;
    struct watch_reply reply = reply_of(body);
    struct lineup_entry *entries = NULL;
    size_t count = 0;
    char address[RC_ADDRESS_TEXT_MAX];

    assert_int_equal(watch_reply_entries(&reply, "", &entries, &count), RC_OK);

    assert_int_equal(count, 2); /* no port, or a name for an address: not for us */
    assert_string_equal(entries[0].id, "n1/pg");
    assert_int_equal(entries[0].weight, 3);
    assert_int_equal(entries[0].claim, UPSTREAM_ROLE_PRIMARY);
    rc_address_format(&entries[1].address, address);
    assert_string_equal(address, "10.9.9.9:5433");
    assert_int_equal(entries[1].weight, 1);
    assert_int_equal(entries[1].claim, UPSTREAM_ROLE_NONE);
    free(entries);
}

static void a_tag_selects(void **state)
{
    (void)state;
    struct watch_reply reply = reply_of(body);
    struct lineup_entry *entries = NULL;
    size_t count = 0;
    assert_int_equal(watch_reply_entries(&reply, "v2", &entries, &count), RC_OK);
    assert_int_equal(count, 1);
    free(entries);
}

static void a_body_that_is_no_list_is_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {"", "{}", "null", "[", "[1,2", "\"x\""};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct watch_reply reply = reply_of(bodies[i]);
        struct lineup_entry *entries = NULL;
        size_t count = 0;
        assert_int_equal(watch_reply_entries(&reply, "", &entries, &count),
                         RC_EMALFORMED);
    }
}

static void the_question_escapes_the_name(void **state)
{
    (void)state;
    struct rc_buffer out = {0};
    static const char want[] =
        "GET /v1/health/service/a%20b%2Fc?passing&index=7&wait=1000ms HTTP/1.0\r\n";
    struct watch_question question = {.start = "/v1/health/service/",
                                      .name = "a b/c",
                                      .rest = "?passing&",
                                      .index = 7,
                                      .wait_ms = 1000};
    watch_reply_ask(&out, &question);
    assert_memory_equal(out.bytes, want, sizeof want - 1);
    rc_buffer_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_whole_when_its_length_is_there),
        cmocka_unit_test(without_a_length_the_close_ends_it),
        cmocka_unit_test(what_is_no_answer_is_refused),
        cmocka_unit_test(instances_carry_identity_address_weight_and_role),
        cmocka_unit_test(a_tag_selects),
        cmocka_unit_test(a_body_that_is_no_list_is_refused),
        cmocka_unit_test(the_question_escapes_the_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
