/* test_http1.c - which heads are sound, and what they are found to say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/wire/http1.h"

static enum http1_fault parse_request(const char *text, size_t size,
                                      struct http1_request *out)
{
    struct http1_scan scan = {0};
    size_t head = 0;

    *out = (struct http1_request){0};
    enum http1_fault fault = http1_scan(&scan, text, size, &head);
    if (fault != HTTP1_SOUND) {
        return fault;
    }
    assert_int_not_equal(head, 0);
    return http1_request_parse(text, head, out);
}

static void assert_text(const char *bytes, struct http1_span span, const char *want)
{
    if (!rc_span_equals(http1_text(bytes, span), want)) {
        fail_msg("got \"%.*s\", want \"%s\"", (int)span.size, bytes + span.at, want);
    }
}

#define L "GET / HTTP/1.1\r\n"
#define H "Host: x\r\n"
#define P "POST / HTTP/1.1\r\nHost: x\r\n"

static const struct {
    const char *why;
    const char *text;
    enum http1_fault want;
} refused[] = {
    {"bare LF", "GET / HTTP/1.1\nHost: x\n\n", HTTP1_BARE_LF},
    {"bare LF later", L H "A: b\n\r\n", HTTP1_BARE_LF},
    {"bare CR in value", L H "A: b\rc\r\n\r\n", HTTP1_BAD_FIELD_VALUE},
    {"control byte", L H "A: \x01\r\n\r\n", HTTP1_BAD_FIELD_VALUE},
    {"delete", L H "A: \x7f\r\n\r\n", HTTP1_BAD_FIELD_VALUE},
    {"folded", L H "A: b\r\n c\r\n\r\n", HTTP1_FOLDED_LINE},
    {"folded by tab", L H "A: b\r\n\tc\r\n\r\n", HTTP1_FOLDED_LINE},
    {"space first", L " " H "\r\n", HTTP1_FOLDED_LINE},
    {"space before colon", L H "A : b\r\n\r\n", HTTP1_BAD_FIELD_NAME},
    {"space in name", L H "A B: c\r\n\r\n", HTTP1_BAD_FIELD_NAME},
    {"empty name", L H ": c\r\n\r\n", HTTP1_BAD_FIELD_NAME},
    {"no colon", L H "abc\r\n\r\n", HTTP1_BAD_FIELD_NAME},
    {"no Host", L "\r\n", HTTP1_BAD_HOST},
    {"two Hosts", L H H "\r\n", HTTP1_BAD_HOST},
    {"two Hosts in 1.0", "GET / HTTP/1.0\r\n" H H "\r\n", HTTP1_BAD_HOST},
    {"empty Host", L "Host:\r\n\r\n", HTTP1_BAD_HOST},
    {"user in Host", L "Host: a@b\r\n\r\n", HTTP1_BAD_HOST},
    {"comma in Host", L "Host: a,b\r\n\r\n", HTTP1_BAD_HOST},
    {"space in Host", L "Host: a b\r\n\r\n", HTTP1_BAD_HOST},
    {"slash in Host", L "Host: a/b\r\n\r\n", HTTP1_BAD_HOST},
    {"letters as port", L "Host: a:b\r\n\r\n", HTTP1_BAD_HOST},
    {"long port", L "Host: a:123456\r\n\r\n", HTTP1_BAD_HOST},
    {"port alone", L "Host: :80\r\n\r\n", HTTP1_BAD_HOST},
    {"open bracket", L "Host: [::1\r\n\r\n", HTTP1_BAD_HOST},
    {"half an escape", L "Host: a%4\r\n\r\n", HTTP1_BAD_HOST},
    {"two spaces", "GET  / HTTP/1.1\r\n" H "\r\n", HTTP1_BAD_VERSION},
    {"space behind", "GET / HTTP/1.1 \r\n" H "\r\n", HTTP1_BAD_VERSION},
    {"tab between", "GET\t/ HTTP/1.1\r\n" H "\r\n", HTTP1_BAD_REQUEST_LINE},
    {"empty method", " / HTTP/1.1\r\n" H "\r\n", HTTP1_BAD_REQUEST_LINE},
    {"two empty lines first", "\r\n\r\n" L H "\r\n", HTTP1_BAD_REQUEST_LINE},
    {"CR alone first", "\rGET / HTTP/1.1\r\n" H "\r\n", HTTP1_BAD_REQUEST_LINE},
    {"HTTP/2.0", "GET / HTTP/2.0\r\n" H "\r\n", HTTP1_VERSION_UNSUPPORTED},
    {"HTTP/0.9", "GET /\r\n\r\n", HTTP1_BAD_REQUEST_LINE},
    {"HTTP/0.9 by name", "GET / HTTP/0.9\r\n\r\n", HTTP1_BAD_VERSION},
    {"lower case http", "GET / http/1.1\r\n" H "\r\n", HTTP1_BAD_VERSION},
    {"two digits", "GET / HTTP/1.10\r\n" H "\r\n", HTTP1_BAD_VERSION},
    {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\n", HTTP1_BAD_REQUEST_LINE},
    {"high byte", "GET /\xe4 HTTP/1.1\r\n" H "\r\n", HTTP1_BAD_TARGET},
    {"fragment", "GET /a#b HTTP/1.1\r\n" H "\r\n", HTTP1_BAD_TARGET},
    {"no slash", "GET a HTTP/1.1\r\n" H "\r\n", HTTP1_BAD_TARGET},
    {"star with GET", "GET * HTTP/1.1\r\n" H "\r\n", HTTP1_BAD_TARGET},
    {"other scheme", "GET ftp://a/ HTTP/1.1\r\n" H "\r\n", HTTP1_BAD_TARGET},
    {"user in target", "GET http://u@a/ HTTP/1.1\r\n" H "\r\n", HTTP1_BAD_TARGET},
    {"no authority", "GET http:/// HTTP/1.1\r\n" H "\r\n", HTTP1_BAD_TARGET},
    {"length and encoding", P "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
     HTTP1_LENGTH_AND_ENCODING},
    {"encoding twice",
     P "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
     HTTP1_BAD_TRANSFER_ENCODING},
    {"encoding empty", P "Transfer-Encoding:\r\n\r\n", HTTP1_BAD_TRANSFER_ENCODING},
    {"encoding in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
     HTTP1_BAD_TRANSFER_ENCODING},
    {"encoding quoted", P "Transfer-Encoding: \"chunked\"\r\n\r\n",
     HTTP1_UNKNOWN_TRANSFER_ENCODING},
    {"encoding with parameter", P "Transfer-Encoding: chunked;a=b\r\n\r\n",
     HTTP1_UNKNOWN_TRANSFER_ENCODING},
    {"encoding xchunked", P "Transfer-Encoding: xchunked\r\n\r\n",
     HTTP1_UNKNOWN_TRANSFER_ENCODING},
    {"encodings", P "Transfer-Encoding: gzip, chunked\r\n\r\n",
     HTTP1_UNKNOWN_TRANSFER_ENCODING},
    {"lengths", P "Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
     HTTP1_BAD_CONTENT_LENGTH},
    {"length list", P "Content-Length: 2, 2\r\n\r\n", HTTP1_BAD_CONTENT_LENGTH},
    {"length +2", P "Content-Length: +2\r\n\r\n", HTTP1_BAD_CONTENT_LENGTH},
    {"length -1", P "Content-Length: -1\r\n\r\n", HTTP1_BAD_CONTENT_LENGTH},
    {"length 0x2", P "Content-Length: 0x2\r\n\r\n", HTTP1_BAD_CONTENT_LENGTH},
    {"length empty", P "Content-Length: \r\n\r\n", HTTP1_BAD_CONTENT_LENGTH},
    {"length 1 2", P "Content-Length: 1 2\r\n\r\n", HTTP1_BAD_CONTENT_LENGTH},
    {"length 2^63", P "Content-Length: 9223372036854775808\r\n\r\n",
     HTTP1_BAD_CONTENT_LENGTH},
    {"length 2^64+1", P "Content-Length: 18446744073709551617\r\n\r\n",
     HTTP1_BAD_CONTENT_LENGTH},
    {"hop Host", L H "Connection: host\r\n\r\n", HTTP1_BAD_CONNECTION},
    {"hop length", L H "Connection: Content-Length\r\n\r\n", HTTP1_BAD_CONNECTION},
    {"hop encoding", L H "Connection: close, transfer-encoding\r\n\r\n",
     HTTP1_BAD_CONNECTION},
    {"hop address", L H "Connection: X-Forwarded-For\r\n\r\n", HTTP1_BAD_CONNECTION},
    {"hop lookalike", L H "Connection: X_Forwarded_For\r\n\r\n", HTTP1_BAD_CONNECTION},
    {"hop that is no token", L H "Connection: a b\r\n\r\n", HTTP1_BAD_CONNECTION},
    {"expectation twice", L H "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n",
     HTTP1_UNKNOWN_EXPECTATION},
    {"expectation", L H "Expect: 200-ok\r\n\r\n", HTTP1_UNKNOWN_EXPECTATION},
};

static void requests_that_break_a_rule_are_refused(void **state)
{
    (void)state;

    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct http1_request request;
        enum http1_fault got =
            parse_request(refused[i].text, strlen(refused[i].text), &request);
        if (got != refused[i].want) {
            fail_msg("%s: got %s", refused[i].why, http1_fault_text(got));
        }
    }
}

static void nul_in_a_value_is_refused(void **state)
{
    static const char text[] = L H "A: b\0c\r\n\r\n";
    struct http1_request request;
    (void)state;

    assert_int_equal(parse_request(text, sizeof text - 1, &request),
                     HTTP1_BAD_FIELD_VALUE);
}

static void request_is_understood(void **state)
{
    static const char text[] =
        "\r\nPUT /a/b?c=d HTTP/1.1\r\nhOsT:  app.test:8080 \t\r\n"
        "Content-Length: 12\r\nExpect: 100-Continue\r\n"
        "TE: deflate, trailers\r\nX-Request-Id: abc\r\n"
        "Connection: te , x-hop,\r\nX-Hop: 1\r\nEmpty:\r\n\r\nrest";
    struct http1_request r;
    (void)state;

    assert_int_equal(parse_request(text, sizeof text - 1, &r), HTTP1_SOUND);
    assert_int_equal(r.method, HTTP1_PUT);
    assert_int_equal(r.form, HTTP1_ORIGIN);
    assert_int_equal(r.head.minor, 1);
    assert_int_equal(r.head.size, sizeof text - 1 - 4);
    assert_int_equal(r.head.count, 8);
    assert_int_equal(r.head.content_length, 12);
    assert_text(text, r.path, "/a/b?c=d");
    assert_text(text, r.host, "app.test:8080");
    assert_int_equal(r.head.says, HTTP1_SAYS_LENGTH | HTTP1_SAYS_CONTINUE |
                                      HTTP1_SAYS_TRAILERS | HTTP1_SAYS_REQUEST_ID |
                                      HTTP1_SAYS_HOST);
    assert_int_equal(r.head.fields[6].marks, HTTP1_NAMED_BY_CONNECTION);
    assert_int_equal(r.head.fields[7].value.size, 0);
}

static void targets_are_split(void **state)
{
    static const struct {
        const char *line;
        enum http1_target form;
        const char *path;
        const char *host;
    } cases[] = {
        {"GET / HTTP/1.1\r\n", HTTP1_ORIGIN, "/", "x"},
        {"GET //a/../b HTTP/1.1\r\n", HTTP1_ORIGIN, "//a/../b", "x"},
        {"GET http://o.test:81/a?b HTTP/1.1\r\n", HTTP1_ABSOLUTE, "/a?b", "o.test:81"},
        {"GET HTTPS://o.test HTTP/1.1\r\n", HTTP1_ABSOLUTE, "", "o.test"},
        {"GET http://[::1]?b HTTP/1.1\r\n", HTTP1_ABSOLUTE, "?b", "[::1]"},
        {"OPTIONS * HTTP/1.1\r\n", HTTP1_ASTERISK, "*", "x"},
        {"CONNECT a.test:443 HTTP/1.1\r\n", HTTP1_AUTHORITY, "", "x"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256] = "";
        struct http1_request r;
        strncat(text, cases[i].line, 200);
        strncat(text, H "\r\n", 20);
        assert_int_equal(parse_request(text, strlen(text), &r), HTTP1_SOUND);
        assert_int_equal(r.form, cases[i].form);
        assert_text(text, r.path, cases[i].path);
        assert_text(text, r.host, cases[i].host);
    }
}

static void methods_and_versions_are_known_or_passed(void **state)
{
    static const struct {
        const char *line;
        enum http1_method method;
        int minor;
    } cases[] = {
        {"GET / HTTP/1.1\r\n", HTTP1_GET, 1},
        {"GET / HTTP/1.0\r\n", HTTP1_GET, 0},
        {"GET / HTTP/1.7\r\n", HTTP1_GET, 1},
        {"get / HTTP/1.1\r\n", HTTP1_METHOD_OTHER, 1},
        {"M-SEARCH / HTTP/1.1\r\n", HTTP1_METHOD_OTHER, 1},
        {"DELETE / HTTP/1.1\r\n", HTTP1_DELETE, 1},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256] = "";
        struct http1_request r;
        strncat(text, cases[i].line, 200);
        strncat(text, H "\r\n", 20);
        assert_int_equal(parse_request(text, strlen(text), &r), HTTP1_SOUND);
        assert_int_equal(r.method, cases[i].method);
        assert_int_equal(r.head.minor, cases[i].minor);
    }
}

static void names_spelled_with_underscores_are_marked(void **state)
{
    static const char text[] = L H "X_Forwarded_For: 1\r\nContent_Length: 9\r\n"
                                   "My_Own: 1\r\n\r\n";
    struct http1_request r;
    (void)state;

    assert_int_equal(parse_request(text, sizeof text - 1, &r), HTTP1_SOUND);
    assert_int_equal(r.head.fields[1].marks, HTTP1_LOOKALIKE);
    assert_int_equal(r.head.fields[2].marks, HTTP1_LOOKALIKE);
    assert_int_equal(r.head.fields[3].marks, 0);
    assert_int_equal(r.head.says & HTTP1_SAYS_LENGTH, 0);
}

static void scan_finds_the_end_at_any_split(void **state)
{
    static const char text[] = "\r\n" L H "A: b\r\n\r\nGET";
    (void)state;

    for (size_t step = 1; step < sizeof text; step++) {
        struct http1_scan scan = {0};
        size_t head = 0;
        for (size_t size = 0; size < sizeof text - 1 && head == 0;) {
            size = size + step < sizeof text - 1 ? size + step : sizeof text - 1;
            assert_int_equal(http1_scan(&scan, text, size, &head), HTTP1_SOUND);
        }
        assert_int_equal(head, sizeof text - 1 - 3);
    }
}

/* Over the bytes there, without a NUL behind. */
static void put(char *space, const char *text)
{
    for (; *text != '\0'; text++) {
        *space++ = *text;
    }
}

static void heads_that_grow_too_large_are_refused(void **state)
{
    static char text[HTTP1_HEAD_MAX + 100];
    struct http1_scan scan = {0};
    size_t head = 0;
    (void)state;

    memset(text, 'a', sizeof text);
    assert_int_equal(http1_scan(&scan, text, HTTP1_LINE_MAX + 1, &head),
                     HTTP1_LINE_TOO_LONG);

    scan = (struct http1_scan){0};
    put(text, L);
    assert_int_equal(http1_scan(&scan, text, HTTP1_HEAD_MAX - 1, &head), HTTP1_SOUND);
    assert_int_equal(http1_scan(&scan, text, sizeof text, &head), HTTP1_HEAD_TOO_LARGE);

    scan = (struct http1_scan){0};
    for (size_t i = 0; i < 101; i++) {
        put(text + sizeof L - 1 + i * 6, "A: b\r\n");
    }
    size_t size = sizeof L - 1 + 600;
    assert_int_equal(http1_scan(&scan, text, size, &head), HTTP1_SOUND);
    assert_int_equal(http1_scan(&scan, text, size + 6, &head), HTTP1_HEAD_TOO_LARGE);
}

static void too_many_connection_members_are_refused(void **state)
{
    char text[1024] = L H "Connection: a";
    struct http1_request r;
    (void)state;

    for (size_t i = 0; i < HTTP1_TOKENS_MAX; i++) {
        strncat(text, ",a", 3);
    }
    strncat(text, "\r\n\r\n", 5);
    assert_int_equal(parse_request(text, strlen(text), &r), HTTP1_BAD_CONNECTION);
}

static void websocket_handshake_is_recognised(void **state)
{
    static const char text[] = L H "Connection: keep-alive, Upgrade\r\n"
                                   "Upgrade: WebSocket\r\nSec-WebSocket-Key: x\r\n\r\n";
    struct http1_request r;
    uint32_t want = HTTP1_SAYS_UPGRADE | HTTP1_SAYS_WEBSOCKET | HTTP1_SAYS_WEBSOCKET_KEY;
    (void)state;

    assert_int_equal(parse_request(text, sizeof text - 1, &r), HTTP1_SOUND);
    assert_int_equal(r.head.says & want, want);
}

static void response_is_understood(void **state)
{
    static const char text[] = "HTTP/1.1 503 Not now\r\nRetry-After: 0\r\n"
                               "Keep-Alive: timeout=5, max=100\r\n"
                               "Transfer-Encoding: Chunked\r\n\r\n";
    struct http1_response r;
    (void)state;

    assert_int_equal(http1_response_parse(text, sizeof text - 1, &r), HTTP1_SOUND);
    assert_int_equal(r.status, 503);
    assert_int_equal(r.head.keep_alive_s, 5);
    assert_int_equal(r.head.says, HTTP1_SAYS_CHUNKED | HTTP1_SAYS_RETRY_NOW);
    assert_text(text, r.status_text, "503 Not now");
}

static void response_with_both_framings_keeps_chunks_and_distrust(void **state)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n";
    struct http1_response r;
    (void)state;

    assert_int_equal(http1_response_parse(text, sizeof text - 1, &r), HTTP1_SOUND);
    assert_int_equal(r.head.says, HTTP1_SAYS_CHUNKED | HTTP1_SAYS_CLOSE);
}

static void responses_that_break_a_rule_are_refused(void **state)
{
    static const struct {
        const char *text;
        enum http1_fault want;
    } cases[] = {
        {"HTTP/1.1 20 OK\r\n\r\n", HTTP1_BAD_STATUS_LINE},
        {"HTTP/1.1 2000 OK\r\n\r\n", HTTP1_BAD_STATUS_LINE},
        {"HTTP/1.1 600 OK\r\n\r\n", HTTP1_BAD_STATUS_LINE},
        {"HTTP/1.1 099 OK\r\n\r\n", HTTP1_BAD_STATUS_LINE},
        {"HTTP/1.1  200 OK\r\n\r\n", HTTP1_BAD_STATUS_LINE},
        {"HTTP/1.1 200 O\x01K\r\n\r\n", HTTP1_BAD_STATUS_LINE},
        {"HTTP/2.0 200 OK\r\n\r\n", HTTP1_BAD_VERSION},
        {"HTTQ/1.1 200 OK\r\n\r\n", HTTP1_BAD_VERSION},
        {"\r\nHTTP/1.1 200 OK\r\n\r\n", HTTP1_BAD_STATUS_LINE},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
         HTTP1_BAD_CONTENT_LENGTH},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
         HTTP1_UNKNOWN_TRANSFER_ENCODING},
        {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
         HTTP1_BAD_TRANSFER_ENCODING},
        {"HTTP/1.1 200\r\nConnection: set-cookie\r\n\r\n", HTTP1_BAD_CONNECTION},
        {"HTTP/1.1 200\r\nHost: a\r\nHost: b\r\nExpect: x\r\n\r\n", HTTP1_SOUND},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http1_response r;
        enum http1_fault got =
            http1_response_parse(cases[i].text, strlen(cases[i].text), &r);
        if (got != cases[i].want) {
            fail_msg("%s: got %s", cases[i].text, http1_fault_text(got));
        }
    }
}

static void trailers_may_not_hold_what_we_rely_on(void **state)
{
    static const struct {
        const char *text;
        enum http1_fault want;
    } cases[] = {
        {"", HTTP1_SOUND},
        {"X-Sum: 1\r\nY: 2\r\n", HTTP1_SOUND},
        {"Content-Length: 1\r\n", HTTP1_BAD_TRAILER},
        {"Transfer-Encoding: chunked\r\n", HTTP1_BAD_TRAILER},
        {"Host: x\r\n", HTTP1_BAD_TRAILER},
        {"Authorization: x\r\n", HTTP1_BAD_TRAILER},
        {"Cookie: x\r\n", HTTP1_BAD_TRAILER},
        {"Content_Length: x\r\n", HTTP1_BAD_TRAILER},
        {"X: a\n", HTTP1_BARE_LF},
        {"X : a\r\n", HTTP1_BAD_FIELD_NAME},
        {" X: a\r\n", HTTP1_FOLDED_LINE},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum http1_fault got = http1_trailer_check(cases[i].text, strlen(cases[i].text));
        if (got != cases[i].want) {
            fail_msg("%s: got %s", cases[i].text, http1_fault_text(got));
        }
    }
}

static void every_fault_has_a_status_and_words(void **state)
{
    (void)state;

    for (int i = HTTP1_SOUND + 1; i < HTTP1_FAULT_COUNT; i++) {
        assert_true(http1_fault_status((enum http1_fault)i) >= 400);
        assert_non_null(http1_fault_text((enum http1_fault)i));
        assert_non_null(http1_fault_label((enum http1_fault)i));
        assert_string_not_equal(http1_reason(http1_fault_status((enum http1_fault)i)),
                                "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_that_break_a_rule_are_refused),
        cmocka_unit_test(nul_in_a_value_is_refused),
        cmocka_unit_test(request_is_understood),
        cmocka_unit_test(targets_are_split),
        cmocka_unit_test(methods_and_versions_are_known_or_passed),
        cmocka_unit_test(names_spelled_with_underscores_are_marked),
        cmocka_unit_test(scan_finds_the_end_at_any_split),
        cmocka_unit_test(heads_that_grow_too_large_are_refused),
        cmocka_unit_test(too_many_connection_members_are_refused),
        cmocka_unit_test(websocket_handshake_is_recognised),
        cmocka_unit_test(response_is_understood),
        cmocka_unit_test(response_with_both_framings_keeps_chunks_and_distrust),
        cmocka_unit_test(responses_that_break_a_rule_are_refused),
        cmocka_unit_test(trailers_may_not_hold_what_we_rely_on),
        cmocka_unit_test(every_fault_has_a_status_and_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
