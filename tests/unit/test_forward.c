/* test_forward.c - what the next hop gets to see. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "proxy/http/forward.h"

static char written[20000];

static const char *forwarded(const char *text, enum forward_trust trust,
                             enum forward_upgrade upgrade)
{
    struct http1_request request;
    struct rc_writer out = rc_writer_over(written, sizeof written - 1);

    assert_int_equal(http1_request_parse(text, strlen(text), &request), HTTP1_SOUND);
    struct forward_request from = {
        .bytes = text,
        .request = &request,
        .peer = rc_span_of("10.0.0.9"),
        .port = rc_span_of("80"),
        .scheme = rc_span_of("http"),
        .default_host = rc_span_of("proxy.test"),
        .request_id = rc_span_of("id1"),
        .trust = trust,
        .upgrade = upgrade,
    };
    assert_int_equal(forward_request(&from, &out), RC_OK);
    written[rc_writer_size(&out)] = '\0';
    return written;
}

#define TOLD(host)                                             \
    "X-Forwarded-For: 10.0.0.9\r\nX-Forwarded-Proto: http\r\n" \
    "X-Forwarded-Host: " host "\r\nX-Forwarded-Port: 80\r\nX-Request-Id: id1\r\n"

static void fields_keep_order_and_spelling(void **state)
{
    (void)state;

    assert_string_equal(
        forwarded("GET /a?b HTTP/1.1\r\nhOST: x:1\r\nB:  2 \r\na: 1\r\n\r\n",
                  FORWARD_REPLACE, FORWARD_PLAIN),
        "GET /a?b HTTP/1.1\r\nhOST: x:1\r\nB:  2 \r\na: 1\r\n" TOLD("x:1") "\r\n");
}

static void hop_by_hop_fields_end_here(void **state)
{
    (void)state;

    assert_string_equal(
        forwarded("GET / HTTP/1.1\r\nHost: x\r\nConnection: close, X-Hop\r\n"
                  "Keep-Alive: 1\r\nProxy-Connection: a\r\nTE: trailers\r\nTrailer: a\r\n"
                  "Upgrade: h2c\r\nHTTP2-Settings: a\r\nProxy-Authorization: a\r\n"
                  "Proxy-Authenticate: a\r\nX-Hop: a\r\nx-hop: b\r\nKept: 1\r\n\r\n",
                  FORWARD_REPLACE, FORWARD_PLAIN),
        "GET / HTTP/1.1\r\nHost: x\r\nKept: 1\r\n" TOLD("x") "\r\n");
}

static void claims_of_strangers_are_replaced(void **state)
{
    (void)state;

    assert_string_equal(
        forwarded(
            "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.1.1.1\r\n"
            "X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n"
            "X-Forwarded-Port: 1\r\nForwarded: for=1.1.1.1\r\nX-Real-IP: 1.1.1.1\r\n"
            "X-Request-Id: evil\r\nX_Forwarded_For: 1.1.1.1\r\n\r\n",
            FORWARD_REPLACE, FORWARD_PLAIN),
        "GET / HTTP/1.1\r\nHost: x\r\n" TOLD("x") "\r\n");
}

static void claims_of_trusted_peers_are_extended(void **state)
{
    (void)state;

    assert_string_equal(
        forwarded("GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.1.1.1\r\n"
                  "X-Forwarded-For: 2.2.2.2\r\nX-Forwarded-Proto: https\r\n"
                  "X-Request-Id: theirs\r\n\r\n",
                  FORWARD_APPEND, FORWARD_PLAIN),
        "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-Proto: https\r\nX-Request-Id: theirs\r\n"
        "X-Forwarded-For: 1.1.1.1, 2.2.2.2, 10.0.0.9\r\nX-Forwarded-Host: x\r\n"
        "X-Forwarded-Port: 80\r\n\r\n");
}

static void targets_become_origin_form(void **state)
{
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        {"GET http://o:1/a HTTP/1.1\r\nHost: x\r\n\r\n",
         "GET /a HTTP/1.1\r\nHost: o:1\r\n" TOLD("o:1") "\r\n"},
        {"GET http://o HTTP/1.1\r\nHost: x\r\n\r\n",
         "GET / HTTP/1.1\r\nHost: o\r\n" TOLD("o") "\r\n"},
        {"GET http://o?q HTTP/1.1\r\nHost: x\r\n\r\n",
         "GET /?q HTTP/1.1\r\nHost: o\r\n" TOLD("o") "\r\n"},
        {"OPTIONS http://o HTTP/1.1\r\nHost: x\r\n\r\n",
         "OPTIONS * HTTP/1.1\r\nHost: o\r\n" TOLD("o") "\r\n"},
        {"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
         "OPTIONS * HTTP/1.1\r\nHost: x\r\n" TOLD("x") "\r\n"},
        {"GET / HTTP/1.0\r\n\r\n",
         "GET / HTTP/1.1\r\nHost: proxy.test\r\n" TOLD("proxy.test") "\r\n"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_string_equal(forwarded(cases[i].text, FORWARD_REPLACE, FORWARD_PLAIN),
                            cases[i].want);
    }
}

static void framing_is_said_in_our_words(void **state)
{
    (void)state;

    assert_string_equal(
        forwarded("POST / HTTP/1.1\r\nHost: x\r\n"
                  "Transfer-Encoding: ChunkeD\r\n\r\n",
                  FORWARD_REPLACE, FORWARD_PLAIN),
        "POST / HTTP/1.1\r\nHost: x\r\n" TOLD("x") "Transfer-Encoding: chunked\r\n\r\n");
    assert_string_equal(
        forwarded("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
                  FORWARD_REPLACE, FORWARD_PLAIN),
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n" TOLD("x") "\r\n");
}

#define KEY "Sec-WebSocket-Key: k\r\n"

static void websocket_upgrade_is_said_in_our_words(void **state)
{
    (void)state;

    assert_string_equal(
        forwarded("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket, h2c\r\n"
                  "Connection: upgrade\r\n" KEY "\r\n",
                  FORWARD_REPLACE, FORWARD_WEBSOCKET),
        "GET / HTTP/1.1\r\nHost: x\r\n" KEY TOLD(
            "x") "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n");
}

static void only_real_handshakes_may_upgrade(void **state)
{
    static const struct {
        const char *text;
        bool want;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n" KEY
         "\r\n",
         true},
        {"POST / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n" KEY
         "\r\n",
         false},
        {"GET / HTTP/1.0\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n" KEY
         "\r\n",
         false},
        {"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n" KEY "\r\n", false},
        {"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
         false},
        {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nUpgrade: websocket\r\n"
         "Connection: upgrade\r\n" KEY "\r\n",
         false},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http1_request request;
        assert_int_equal(
            http1_request_parse(cases[i].text, strlen(cases[i].text), &request),
            HTTP1_SOUND);
        assert_int_equal(forward_is_websocket(&request), cases[i].want);
    }
}

static void options_may_stop_here(void **state)
{
    static const char zero[] = "OPTIONS / HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n\r\n";
    static const char get[] = "GET / HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n\r\n";
    struct http1_request request;
    (void)state;

    assert_int_equal(http1_request_parse(zero, sizeof zero - 1, &request), HTTP1_SOUND);
    assert_true(forward_stops_here(zero, &request));
    assert_int_equal(http1_request_parse(get, sizeof get - 1, &request), HTTP1_SOUND);
    assert_false(forward_stops_here(get, &request));
}

static void max_forwards_counts_down(void **state)
{
    (void)state;

    assert_string_equal(
        forwarded("OPTIONS * HTTP/1.1\r\nHost: x\r\nMax-Forwards: 10\r\n\r\n",
                  FORWARD_REPLACE, FORWARD_PLAIN),
        "OPTIONS * HTTP/1.1\r\nHost: x\r\nMax-Forwards: 9\r\n" TOLD("x") "\r\n");
    assert_string_equal(
        forwarded("GET / HTTP/1.1\r\nHost: x\r\nMax-Forwards: 10\r\n\r\n",
                  FORWARD_REPLACE, FORWARD_PLAIN),
        "GET / HTTP/1.1\r\nHost: x\r\nMax-Forwards: 10\r\n" TOLD("x") "\r\n");
}

static void length_is_said_plainly(void **state)
{
    static const char *const lines[] = {"Content-Length: 05", "content-length:5",
                                        "Content-Length: 5\t", "Content-Length:\t 5"};
    static const char *const plain =
        "POST / HTTP/1.1\r\nHost: x\r\ncontent-length: 5\r\n\r\n";
    (void)state;

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        char text[128];
        (void)snprintf(text, sizeof text, "POST / HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n",
                       lines[i]);
        assert_string_equal(
            forwarded(text, FORWARD_REPLACE, FORWARD_PLAIN),
            "POST / HTTP/1.1\r\nHost: x\r\n" TOLD("x") "Content-Length: 5\r\n\r\n");
    }
    assert_string_equal(
        forwarded(plain, FORWARD_REPLACE, FORWARD_PLAIN),
        "POST / HTTP/1.1\r\nHost: x\r\ncontent-length: 5\r\n" TOLD("x") "\r\n");
}

static void expectations_of_1_0_end_here(void **state)
{
    (void)state;

    assert_string_equal(
        forwarded("GET / HTTP/1.0\r\nHost: x\r\nExpect: 100-continue\r\n\r\n",
                  FORWARD_REPLACE, FORWARD_PLAIN),
        "GET / HTTP/1.1\r\nHost: x\r\n" TOLD("x") "\r\n");
}

static void head_that_does_not_fit_is_an_error(void **state)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    struct http1_request request;
    char small[40];
    struct rc_writer out = rc_writer_over(small, sizeof small);
    (void)state;

    assert_int_equal(http1_request_parse(text, sizeof text - 1, &request), HTTP1_SOUND);
    struct forward_request from = {.bytes = text, .request = &request};
    assert_int_equal(forward_request(&from, &out), RC_ETOOBIG);
}

static const char *returned(const char *text, enum forward_body body,
                            enum forward_connection connection)
{
    struct http1_response response;
    struct rc_writer out = rc_writer_over(written, sizeof written - 1);

    assert_int_equal(http1_response_parse(text, strlen(text), &response), HTTP1_SOUND);
    struct forward_response from = {
        .bytes = text, .response = &response, .body = body, .connection = connection};
    assert_int_equal(forward_response(&from, &out), RC_OK);
    written[rc_writer_size(&out)] = '\0';
    return written;
}

static void response_heads_are_rewritten(void **state)
{
    static const char text[] =
        "HTTP/1.0 200 Fine\r\nA: 1\r\nConnection: x, keep-alive\r\n"
        "X: 2\r\nKeep-Alive: timeout=5\r\nContent-Length: 3\r\n"
        "Set-Cookie: a\r\nSet-Cookie: b\r\n\r\n";
    (void)state;

    assert_string_equal(returned(text, FORWARD_AS_SAID, FORWARD_SILENT),
                        "HTTP/1.1 200 Fine\r\nA: 1\r\nContent-Length: 3\r\n"
                        "Set-Cookie: a\r\nSet-Cookie: b\r\n\r\n");
    assert_string_equal(returned(text, FORWARD_CHUNKED, FORWARD_CLOSE),
                        "HTTP/1.1 200 Fine\r\nA: 1\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"
                        "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    assert_string_equal(returned(text, FORWARD_UNMEASURED, FORWARD_KEEP_ALIVE),
                        "HTTP/1.1 200 Fine\r\nA: 1\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"
                        "Connection: keep-alive\r\n\r\n");
    assert_string_equal(returned("HTTP/1.1 101\r\nUpgrade: WebSocket\r\nA: 1\r\n\r\n",
                                 FORWARD_UNMEASURED, FORWARD_SWITCH),
                        "HTTP/1.1 101 \r\nA: 1\r\nConnection: upgrade\r\n"
                        "Upgrade: websocket\r\n\r\n");
}

static void own_answers_are_whole_responses(void **state)
{
    struct rc_writer out = rc_writer_over(written, sizeof written - 1);
    struct forward_answer answer = {
        .status = 503, .text = "no", .connection = FORWARD_CLOSE};
    (void)state;

    assert_int_equal(forward_answer(&answer, &out), RC_OK);
    written[rc_writer_size(&out)] = '\0';
    assert_string_equal(written, "HTTP/1.1 503 Service Unavailable\r\n"
                                 "Content-Type: text/plain; charset=utf-8\r\n"
                                 "Content-Length: 3\r\nConnection: close\r\n\r\nno\n");
    out = rc_writer_over(written, sizeof written - 1);
    answer.head_only = true;
    assert_int_equal(forward_answer(&answer, &out), RC_OK);
    written[rc_writer_size(&out)] = '\0';
    assert_null(strstr(written, "\r\n\r\nno"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_keep_order_and_spelling),
        cmocka_unit_test(hop_by_hop_fields_end_here),
        cmocka_unit_test(claims_of_strangers_are_replaced),
        cmocka_unit_test(claims_of_trusted_peers_are_extended),
        cmocka_unit_test(targets_become_origin_form),
        cmocka_unit_test(framing_is_said_in_our_words),
        cmocka_unit_test(websocket_upgrade_is_said_in_our_words),
        cmocka_unit_test(only_real_handshakes_may_upgrade),
        cmocka_unit_test(options_may_stop_here),
        cmocka_unit_test(max_forwards_counts_down),
        cmocka_unit_test(expectations_of_1_0_end_here),
        cmocka_unit_test(length_is_said_plainly),
        cmocka_unit_test(head_that_does_not_fit_is_an_error),
        cmocka_unit_test(response_heads_are_rewritten),
        cmocka_unit_test(own_answers_are_whole_responses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
