/* Which URLs HTTP checks ask for, with which words, and what they make of the answer:
 * agent/checks/http_rules.h and http_answer.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/checks/http_answer.h"
#include "agent/checks/http_rules.h"
#include "base/err.h"
#include "base/text.h"

static void plain_urls_of_addresses_are_ours_and_no_others(void **state)
{
    static const struct {
        const char *url;
        const char *want; /* NULL: libcurl's */
    } cases[] = {
        {"http://127.0.0.1/", "127.0.0.1:80"},
        {"http://10.0.0.1:8080/health?x=1#top", "10.0.0.1:8080"},
        {"http://[::1]:8080", "[::1]:8080"},
        {"http://localhost:81?a", "127.0.0.1:81"},
        {"http://LocalHost/", "127.0.0.1:80"},
        {"https://127.0.0.1/", NULL},
        {"http://example.org/", NULL},
        {"http://user:pw@127.0.0.1/", NULL},
        {"http://127.0.0.1:0/", NULL},
        {"http://127.0.0.1:99999/", NULL},
        {"http:///", NULL},
        {"http://127.0.0.1/a b", NULL},
        {"http://127.0.0.1/a\r\nX: y", NULL},
        {"http://0x7f.1/", NULL},
        {"file:///etc/passwd", NULL},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_target target;
        char space[RC_ADDRESS_TEXT_MAX];
        bool is_ours = http_rules_parse(cases[i].url, &target);
        if (is_ours != (cases[i].want != NULL)) {
            fail_msg("%s: %s", cases[i].url, is_ours ? "taken" : "not taken");
        }
        if (is_ours) {
            rc_address_format(&target.address, space);
            assert_string_equal(space, cases[i].want);
        }
    }
}

static void a_request_says_what_the_check_says(void **state)
{
    static char host[] = "host";
    static char name[] = "web.test";
    static char post[] = "POST";
    static char body[] = "{}";
    struct definition_pair header = {host, name};
    struct check_definition plain = {0};
    struct check_definition full = {.method = post, .body = body, .header = {1, &header}};
    struct http_target target;
    struct rc_buffer out = {0};
    (void)state;

    assert_true(http_rules_parse("http://127.0.0.1:81?a=b#c", &target));
    http_rules_request(&target, &plain, &out);
    assert_string_equal(rc_buffer_string(&out),
                        "GET /?a=b HTTP/1.1\r\nHost: 127.0.0.1:81\r\n"
                        "User-Agent: Consul Health Check\r\n"
                        "Accept: text/plain, text/*, */*\r\nConnection: close\r\n\r\n");
    rc_buffer_clear(&out);
    http_rules_request(&target, &full, &out);
    assert_string_equal(rc_buffer_string(&out),
                        "POST /?a=b HTTP/1.1\r\nUser-Agent: Consul Health Check\r\n"
                        "Accept: text/plain, text/*, */*\r\nConnection: close\r\n"
                        "host: web.test\r\nContent-Length: 2\r\n\r\n{}");
    rc_buffer_fini(&out);
}

static void metadata_addresses_are_out_of_reach(void **state)
{
    static const struct {
        const char *ip;
        bool is_denied;
    } cases[] = {
        {"169.254.169.254", true}, {"169.254.0.1", true},   {"::ffff:169.254.1.1", true},
        {"fe80::1", true},         {"fd00:ec2::254", true}, {"169.253.1.1", false},
        {"127.0.0.1", false},      {"fd00::1", false},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rc_address address;
        assert_int_equal(rc_address_parse_ip(cases[i].ip, 80, &address), RC_OK);
        if (http_rules_is_denied(&address) != cases[i].is_denied) {
            fail_msg("%s", cases[i].ip);
        }
    }
}

static void redirects_are_critical_and_too_many_requests_a_warning(void **state)
{
    (void)state;

    assert_int_equal(http_rules_judge(200), CHECK_PASSING);
    assert_int_equal(http_rules_judge(299), CHECK_PASSING);
    assert_int_equal(http_rules_judge(302), CHECK_CRITICAL);
    assert_int_equal(http_rules_judge(429), CHECK_WARNING);
    assert_int_equal(http_rules_judge(503), CHECK_CRITICAL);
}

static void passwords_in_urls_are_not_shown(void **state)
{
    char *url = http_rules_public_url("https://me:secret@host/a@b");
    (void)state;

    assert_string_equal(url, "https://host/a@b");
    free(url);
}

static void texts_are_consuls(void **state)
{
    struct rc_buffer body = {0};
    struct rc_buffer out = {0};
    (void)state;

    rc_buffer_text(&body, "fine");
    http_rules_say_answer(&out, "GET", "http://a/", "200 OK", &body);
    assert_string_equal(rc_buffer_string(&out),
                        "HTTP GET http://a/: 200 OK Output: fine");
    rc_buffer_clear(&out);
    http_rules_say_failure(&out, "GET", "http://a/", "EOF");
    assert_string_equal(rc_buffer_string(&out), "Get \"http://a/\": EOF");
    rc_buffer_fini(&out);
    rc_buffer_fini(&body);
}

/* ---- answers ---------------------------------------------------------------------- */

static const struct {
    const char *why;
    const char *bytes;
    int want; /* of feeding; RC_EAGAIN: complete once the server closes */
    const char *status;
    const char *body;
} answers[] = {
    {"with a length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiXX", RC_OK, "200 OK",
     "hi"},
    {"until the server closes", "HTTP/1.0 200 OK\r\n\r\nhi", RC_EAGAIN, "200 OK", "hi"},
    {"in chunks",
     "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n2;x=y\r\nhi\r\nA\r\n0123456789"
     "\r\n0\r\nTrailer: x\r\n\r\n",
     RC_OK, "200 OK", "hi0123456789"},
    {"after an interim answer",
     "HTTP/1.1 100 Continue\r\nContent-Length: 7\r\n\r\nHTTP/1.1 503 Nope\r\n"
     "Content-Length: 0\r\n\r\n",
     RC_OK, "503 Nope", ""},
    {"without a body", "HTTP/1.1 204 No Content\r\n\r\n", RC_OK, "204 No Content", ""},
    {"without a reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", RC_OK, "200", ""},
    {"with bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 1\n\nx", RC_OK, "200 OK",
     "x"},
    {"not HTTP", "SSH-2.0-OpenSSH\r\n", RC_EMALFORMED, "", ""},
    {"a code of letters", "HTTP/1.1 abc\r\n", RC_EMALFORMED, "", ""},
    {"a code of four digits", "HTTP/1.1 2000 OK\r\n", RC_EMALFORMED, "", ""},
    {"a chunk without a size",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", RC_EMALFORMED,
     "200 OK", ""},
    {"a chunk longer than it says",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nhi\r\n", RC_EMALFORMED,
     "200 OK", "h"},
};

/* Feeds `bytes` in pieces of `step` bytes until the answer is complete or refused. */
static int feed_in_steps(struct http_answer *answer, const char *bytes, size_t step)
{
    size_t size = strlen(bytes);
    int got = RC_EAGAIN;

    for (size_t at = 0; at < size && got == RC_EAGAIN; at += step) {
        got = http_answer_feed(answer, bytes + at, size - at < step ? size - at : step);
    }
    return got;
}

static void expect_answer(size_t i, size_t step)
{
    struct http_answer answer = {0};
    int got = feed_in_steps(&answer, answers[i].bytes, step);

    if (got != answers[i].want || strcmp(answer.status, answers[i].status) != 0 ||
        strcmp(rc_buffer_string(&answer.body), answers[i].body) != 0) {
        fail_msg("%s by %zu: %s, %s, %s", answers[i].why, step, rc_strerror(got),
                 answer.status, rc_buffer_string(&answer.body));
    }
    http_answer_fini(&answer);
}

static void answers_are_read_however_they_are_cut(void **state)
{
    (void)state;

    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        for (size_t step = 1; step <= strlen(answers[i].bytes); step++) {
            expect_answer(i, step);
        }
    }
}

static void what_ends_before_its_head_was_no_answer(void **state)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
    struct http_answer answer = {0};
    (void)state;

    assert_int_equal(http_answer_end(&answer), RC_ETRUNCATED);
    assert_int_equal(http_answer_feed(&answer, head, 20), RC_EAGAIN);
    assert_int_equal(http_answer_end(&answer), RC_ETRUNCATED);
    assert_int_equal(http_answer_feed(&answer, head + 20, sizeof head - 1 - 20),
                     RC_EAGAIN);
    assert_int_equal(http_answer_end(&answer), RC_OK);
    http_answer_fini(&answer);
}

static void endless_heads_and_bodies_cost_little(void **state)
{
    static const char head[] = "HTTP/1.1 200 OK\r\n\r\n";
    struct http_answer answer = {0};
    char block[4096];
    int err = RC_EAGAIN;
    size_t fed = 0;
    (void)state;

    memset(block, 'x', sizeof block);
    while (err == RC_EAGAIN) {
        err = http_answer_feed(&answer, block, sizeof block);
        fed += sizeof block;
    }
    assert_int_equal(err, RC_EMALFORMED);
    assert_true(fed / 2 <= HTTP_ANSWER_HEAD_MAX_BYTES);
    http_answer_fini(&answer);

    answer = (struct http_answer){0};
    err = http_answer_feed(&answer, head, sizeof head - 1);
    while (err == RC_EAGAIN) {
        err = http_answer_feed(&answer, block, sizeof block);
        assert_true(answer.body.capacity / 8 <= HTTP_ANSWER_BODY_KEPT_BYTES);
    }
    assert_int_equal(err, RC_OK);
    assert_int_equal(answer.code, 200);
    http_answer_fini(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_urls_of_addresses_are_ours_and_no_others),
        cmocka_unit_test(a_request_says_what_the_check_says),
        cmocka_unit_test(metadata_addresses_are_out_of_reach),
        cmocka_unit_test(redirects_are_critical_and_too_many_requests_a_warning),
        cmocka_unit_test(passwords_in_urls_are_not_shown),
        cmocka_unit_test(texts_are_consuls),
        cmocka_unit_test(answers_are_read_however_they_are_cut),
        cmocka_unit_test(what_ends_before_its_head_was_no_answer),
        cmocka_unit_test(endless_heads_and_bodies_cost_little),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
