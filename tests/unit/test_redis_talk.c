/* What a Redis check says, and what it makes of answers: agent/checks/redis_talk.h and resp.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/checks/redis_talk.h"
#include "agent/checks/resp.h"
#include "base/err.h"

#define PING "*1\r\n$4\r\nPING\r\n"
#define ROLE "*1\r\n$4\r\nROLE\r\n"
#define REPLICA(link) \
    "*5\r\n$5\r\nslave\r\n$8\r\n10.0.0.1\r\n:6379\r\n" link "\r\n:42\r\n"

static void assert_sends(struct redis_talk *talk, const char *want)
{
    assert_string_equal(rc_buffer_string(&talk->out), want);
    rc_buffer_clear(&talk->out);
}

/* Everything at once, as a server that has seen the future would say it. */
static void assert_makes(enum redis_role wanted, const char *password, const char *said,
                         enum check_status status, const char *text)
{
    struct redis_talk talk;

    redis_talk_begin(&talk, wanted, NULL, password);
    int err = redis_talk_feed(&talk, said, strlen(said));
    if (err != RC_OK || talk.status != status ||
        strstr(rc_buffer_string(&talk.text), text) == NULL) {
        fail_msg("%s: %s, %s, %s; want %s", said, rc_strerror(err),
                 check_status_name(talk.status), rc_buffer_string(&talk.text), text);
    }
    redis_talk_fini(&talk);
}

static void a_server_that_answers_ping_is_well(void **state)
{
    struct redis_talk talk;
    (void)state;

    redis_talk_begin(&talk, REDIS_ANY, NULL, NULL);
    assert_sends(&talk, PING);
    assert_int_equal(redis_talk_feed(&talk, "+PO", 3), RC_EAGAIN);
    assert_int_equal(redis_talk_feed(&talk, "NG\r\n", 4), RC_OK);
    assert_int_equal(talk.status, CHECK_PASSING);
    redis_talk_fini(&talk);
}

static void a_password_goes_first_and_may_hold_any_character(void **state)
{
    struct redis_talk talk;
    (void)state;

    redis_talk_begin(&talk, REDIS_MASTER, "watcher", "a \"b\"");
    assert_sends(&talk, "*3\r\n$4\r\nAUTH\r\n$7\r\nwatcher\r\n$5\r\na \"b\"\r\n");
    assert_int_equal(redis_talk_feed(&talk, "+OK\r\n", 5), RC_EAGAIN);
    assert_sends(&talk, PING);
    assert_int_equal(redis_talk_feed(&talk, "+PONG\r\n", 7), RC_EAGAIN);
    assert_sends(&talk, ROLE);
    redis_talk_fini(&talk);
}

static void a_password_is_in_no_text_even_if_the_server_repeats_it(void **state)
{
    struct redis_talk talk;
    static const char said[] = "-ERR unknown command `AUTH`, with args beginning with: "
                               "`s3cret`, \r\n";
    (void)state;

    redis_talk_begin(&talk, REDIS_ANY, NULL, "s3cret");
    assert_int_equal(redis_talk_feed(&talk, said, strlen(said)), RC_OK);
    assert_int_equal(talk.status, CHECK_CRITICAL);
    assert_null(strstr(rc_buffer_string(&talk.text), "s3cret"));
    assert_non_null(strstr(rc_buffer_string(&talk.text), "(ERR)"));
    redis_talk_fini(&talk);
}

static void what_a_server_refuses_is_critical_with_advice(void **state)
{
    (void)state;

    assert_makes(REDIS_ANY, NULL, "-NOAUTH Authentication required.\r\n", CHECK_CRITICAL,
                 "NOAUTH Authentication required. Give redis_password_file");
    assert_makes(REDIS_ANY, NULL, "-LOADING Redis is loading the dataset\r\n",
                 CHECK_CRITICAL, "Redis: LOADING");
    assert_makes(REDIS_ANY, "x", "-WRONGPASS invalid username-password pair\r\n",
                 CHECK_CRITICAL, "refused (WRONGPASS)");
    assert_makes(REDIS_ANY, NULL, "+HELLO\r\n", CHECK_CRITICAL, "not answered by PONG");
    assert_makes(REDIS_ANY, NULL, "HTTP/1.1 400 Bad Request\r\n", CHECK_CRITICAL,
                 "does not speak Redis' protocol");
}

static void a_role_is_what_the_server_says_it_is(void **state)
{
    static const char master[] = "+PONG\r\n*3\r\n$6\r\nmaster\r\n:3129659\r\n*2\r\n"
                                 "*3\r\n$9\r\n127.0.0.1\r\n$4\r\n9001\r\n$1\r\n1\r\n"
                                 "*3\r\n$9\r\n127.0.0.1\r\n$4\r\n9002\r\n$1\r\n1\r\n";
    static const char replica[] = "+PONG\r\n" REPLICA("$9\r\nconnected");
    static const char waiting[] = "+PONG\r\n" REPLICA("$7\r\nconnect");
    (void)state;

    assert_makes(REDIS_MASTER, NULL, master, CHECK_PASSING, "Redis master, 2 replicas");
    assert_makes(REDIS_REPLICA, NULL, master, CHECK_CRITICAL, "wanted is a replica");
    assert_makes(REDIS_REPLICA, NULL, replica, CHECK_PASSING,
                 "Redis replica of 10.0.0.1:6379, connected");
    assert_makes(REDIS_MASTER, NULL, replica, CHECK_CRITICAL, "wanted is a master");
    assert_makes(REDIS_REPLICA, NULL, waiting, CHECK_WARNING, "link connect");
    assert_makes(REDIS_MASTER, NULL,
                 "+PONG\r\n*2\r\n$8\r\nsentinel\r\n*1\r\n$2\r\nm1\r\n", CHECK_CRITICAL,
                 "Redis sentinel; wanted is a master");
    assert_makes(REDIS_MASTER, NULL, "+PONG\r\n*0\r\n", CHECK_CRITICAL,
                 "does not tell its role");
}

static void info_tells_the_role_where_role_is_refused(void **state)
{
    struct redis_talk talk;
    static const char info[] = "role:slave\r\nmaster_host:db1\r\nmaster_port:6380\r\n"
                               "master_link_status:down\r\n";
    struct rc_buffer said = {0};
    (void)state;

    redis_talk_begin(&talk, REDIS_REPLICA, NULL, NULL);
    assert_int_equal(redis_talk_feed(&talk, "+PONG\r\n", 7), RC_EAGAIN);
    assert_int_equal(redis_talk_feed(&talk, "-NOPERM no\r\n", 12), RC_EAGAIN);
    rc_buffer_consume(&talk.out, strlen(PING ROLE));
    assert_sends(&talk, "*2\r\n$4\r\nINFO\r\n$11\r\nreplication\r\n");
    rc_buffer_format(&said, "$%zu\r\n%s\r\n", strlen(info), info);
    assert_int_equal(redis_talk_feed(&talk, said.bytes, said.size), RC_OK);
    assert_int_equal(talk.status, CHECK_WARNING);
    assert_string_equal(rc_buffer_string(&talk.text),
                        "Redis replica of db1:6380, link down");
    rc_buffer_fini(&said);
    redis_talk_fini(&talk);
}

static void answers_without_end_are_given_up(void **state)
{
    static const char head[] = "$20000\r\n";
    static char many[REDIS_REPLY_MAX + 1];
    struct redis_talk talk;
    (void)state;

    memset(many, 'x', sizeof many);
    for (size_t i = 0; head[i] != '\0'; i++) {
        many[i] = head[i];
    }
    redis_talk_begin(&talk, REDIS_ANY, NULL, NULL);
    assert_int_equal(redis_talk_feed(&talk, many, sizeof many), RC_OK);
    assert_int_equal(talk.status, CHECK_CRITICAL);
    redis_talk_fini(&talk);
}

static void lies_about_sizes_are_malformed(void **state)
{
    static const char *const cases[] = {
        "$-2\r\n",
        "*-2\r\n",
        "$99999999999999999999\r\n",
        "$2000000\r\n",
        "*x\r\n",
        "*999999\r\n",
        "$3\r\nabcd\r\n",
        ":\r\n",
        "+a\n",
        "",
        "?",
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rc_cursor cursor = rc_cursor_over(cases[i], strlen(cases[i]));
        resp_skip(&cursor);
        int want = cases[i][0] == '\0' ? RC_ETRUNCATED : RC_EMALFORMED;
        if (cursor.err != want) {
            fail_msg("%s: %s", cases[i], rc_strerror(cursor.err));
        }
    }
}

static void roles_are_words(void **state)
{
    enum redis_role role = REDIS_ANY;
    (void)state;

    assert_int_equal(redis_role_parse("replica", &role), RC_OK);
    assert_int_equal(role, REDIS_REPLICA);
    assert_int_equal(redis_role_parse(NULL, &role), RC_OK);
    assert_int_equal(role, REDIS_ANY);
    assert_int_equal(redis_role_parse("slave", &role), RC_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_that_answers_ping_is_well),
        cmocka_unit_test(a_password_goes_first_and_may_hold_any_character),
        cmocka_unit_test(a_password_is_in_no_text_even_if_the_server_repeats_it),
        cmocka_unit_test(what_a_server_refuses_is_critical_with_advice),
        cmocka_unit_test(a_role_is_what_the_server_says_it_is),
        cmocka_unit_test(info_tells_the_role_where_role_is_refused),
        cmocka_unit_test(answers_without_end_are_given_up),
        cmocka_unit_test(lies_about_sizes_are_malformed),
        cmocka_unit_test(roles_are_words),
    };

    return cmocka_run_group_tests_name("redis_talk", tests, NULL, NULL);
}
