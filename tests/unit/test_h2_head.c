/* test_h2_head.c - heads of HTTP/2 as heads of HTTP/1.1, and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "proxy/http2/h2_head.h"

enum { PAIRS_MAX = 12 };

struct pairs {
    const char *names[2 * PAIRS_MAX]; /* name, value, name, value ..., NULL */
};

static char text[20000];

/* The fault; `text` becomes the head when there is none. */
static enum http1_fault write_head(const struct pairs *pairs, enum h2_body body)
{
    struct h2_head head;
    size_t size = 0;

    h2_head_begin(&head, text, sizeof text - 1);
    for (size_t i = 0; pairs->names[i] != NULL; i += 2) {
        h2_head_field(&head, rc_span_of(pairs->names[i]),
                      rc_span_of(pairs->names[i + 1]));
    }
    enum http1_fault fault = h2_head_end(&head, body, &size);
    text[size] = '\0';
    return fault;
}

#define GET ":method", "GET", ":scheme", "https", ":path", "/a?b", ":authority", "x.test"

static void request_becomes_the_text_of_http_1(void **state)
{
    static const struct pairs pairs = {{GET, "accept", "a/b", "x", ""}};
    (void)state;

    assert_int_equal(write_head(&pairs, H2_NO_BODY), HTTP1_SOUND);
    assert_string_equal(
        text, "GET /a?b HTTP/1.1\r\nHost: x.test\r\naccept: a/b\r\nx: \r\n\r\n");
}

static void pseudo_fields_may_come_in_any_order(void **state)
{
    static const struct pairs pairs = {
        {":path", "/", ":authority", "x", ":method", "PUT", ":scheme", "http"}};
    (void)state;

    assert_int_equal(write_head(&pairs, H2_BODY), HTTP1_SOUND);
    assert_string_equal(
        text, "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
}

static void body_of_known_length_is_not_chunked(void **state)
{
    static const struct pairs pairs = {{GET, "content-length", "3"}};
    (void)state;

    assert_int_equal(write_head(&pairs, H2_BODY), HTTP1_SOUND);
    assert_string_equal(text,
                        "GET /a?b HTTP/1.1\r\nHost: x.test\r\ncontent-length: 3\r\n\r\n");
}

static void length_without_a_body_is_refused(void **state)
{
    static const struct pairs some = {{GET, "content-length", "3"}};
    static const struct pairs none = {{GET, "content-length", "0"}};
    (void)state;

    assert_int_equal(write_head(&some, H2_NO_BODY), HTTP1_BAD_CONTENT_LENGTH);
    assert_int_equal(write_head(&none, H2_NO_BODY), HTTP1_SOUND);
}

static void crumbs_of_a_cookie_become_one_line(void **state)
{
    static const struct pairs pairs = {
        {GET, "cookie", "a=1", "x", "y", "cookie", "b=2", "cookie", "c=3"}};
    (void)state;

    assert_int_equal(write_head(&pairs, H2_NO_BODY), HTTP1_SOUND);
    assert_string_equal(text, "GET /a?b HTTP/1.1\r\nHost: x.test\r\n"
                              "cookie: a=1; b=2; c=3\r\nx: y\r\n\r\n");
}

static void equal_hosts_are_one_and_host_alone_is_enough(void **state)
{
    static const struct pairs both = {{GET, "host", "X.test"}};
    static const struct pairs alone = {
        {":method", "GET", ":scheme", "http", ":path", "/", "host", "y"}};
    (void)state;

    assert_int_equal(write_head(&both, H2_NO_BODY), HTTP1_SOUND);
    assert_string_equal(text, "GET /a?b HTTP/1.1\r\nHost: x.test\r\n\r\n");
    assert_int_equal(write_head(&alone, H2_NO_BODY), HTTP1_SOUND);
    assert_string_equal(text, "GET / HTTP/1.1\r\nhost: y\r\n\r\n");
}

static void connect_names_its_authority_only(void **state)
{
    static const struct pairs pairs = {{":method", "CONNECT", ":authority", "x:80"}};
    (void)state;

    assert_int_equal(write_head(&pairs, H2_NO_BODY), HTTP1_SOUND);
    assert_string_equal(text, "CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n");
}

#define WITH(...)            \
    {                        \
        {                    \
            GET, __VA_ARGS__ \
        }                    \
    }
#define FORM(method, path, authority)                                                    \
    {                                                                                    \
        {                                                                                \
            ":method", method, ":scheme", "http", ":path", path, ":authority", authority \
        }                                                                                \
    }

static void what_could_mean_something_else_is_refused(void **state)
{
    static const struct {
        const char *why;
        struct pairs pairs;
    } cases[] = {
        {"line end in a value", WITH("x", "a\r\nb: c")},
        {"LF in a value", WITH("x", "a\nb")},
        {"space before a value", WITH("x", " a")},
        {"tab behind a value", WITH("x", "a\t")},
        {"colon in a name", WITH("transfer-encoding:chunked", "x")},
        {"line end in a name", WITH("a\r\nb", "x")},
        {"space in a name", WITH("a b", "x")},
        {"upper case", WITH("Accept", "x")},
        {"empty name", WITH("", "x")},
        {"connection", WITH("connection", "close")},
        {"transfer-encoding", WITH("transfer-encoding", "chunked")},
        {"upgrade", WITH("upgrade", "h2c")},
        {"te", WITH("te", "gzip")},
        {"another host", WITH("host", "y")},
        {"pseudo behind a field", WITH("a", "b", ":path", "/")},
        {"pseudo twice", WITH(":path", "/")},
        {"unknown pseudo", WITH(":x", "/")},
        {"absolute path", FORM("GET", "http://y/", "x")},
        {"relative path", FORM("GET", "a", "x")},
        {"empty path", FORM("GET", "", "x")},
        {"asterisk without OPTIONS", FORM("GET", "*", "x")},
        {"space in the path", FORM("GET", "/a HTTP/1.1", "x")},
        {"line end in the path", FORM("GET", "/a\r\nb: c", "x")},
        {"space in the method", FORM("GET /b", "/", "x")},
        {"line end in the authority", FORM("GET", "/", "x\r\nb: c")},
        {"empty authority", FORM("GET", "/", "")},
        {"CONNECT with a path", FORM("CONNECT", "/", "x")},
        {"no method", {{":scheme", "http", ":path", "/", ":authority", "x"}}},
        {"no path", {{":method", "GET", ":scheme", "http", ":authority", "x"}}},
        {"no scheme", {{":method", "GET", ":path", "/", ":authority", "x"}}},
        {"scheme",
         {{":method", "GET", ":scheme", "ftp", ":path", "/", ":authority", "x"}}},
        {"nothing", {{NULL}}},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (write_head(&cases[i].pairs, H2_NO_BODY) == HTTP1_SOUND) {
            fail_msg("%s: %s", cases[i].why, text);
        }
    }
}

static void nul_in_a_value_is_refused(void **state)
{
    struct h2_head head;
    size_t size = 1;
    (void)state;

    h2_head_begin(&head, text, sizeof text);
    h2_head_field(&head, rc_span_of(":method"), rc_span_of("GET"));
    h2_head_field(&head, rc_span_of("x"), (struct rc_span){"a\0b", 3});
    assert_int_not_equal(h2_head_end(&head, H2_NO_BODY, &size), HTTP1_SOUND);
    assert_int_equal(size, 0);
}

static void too_large_a_head_is_refused(void **state)
{
    static char large[17000];
    const struct pairs pairs = {{GET, "x", large}};
    (void)state;

    memset(large, 'a', sizeof large - 1);
    assert_int_equal(write_head(&pairs, H2_NO_BODY), HTTP1_HEAD_TOO_LARGE);
}

static void tunnel_becomes_the_handshake_of_a_websocket(void **state)
{
    static const struct pairs pairs = {{":method", "CONNECT", ":protocol", "websocket",
                                        ":scheme", "https", ":path", "/chat",
                                        ":authority", "x"}};
    (void)state;

    assert_int_equal(write_head(&pairs, H2_BODY), HTTP1_SOUND);
    assert_string_equal(text, "GET /chat HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\n"
                              "Upgrade: websocket\r\n\r\n");
}

static void trailers_follow_the_rules_of_http_1(void **state)
{
    struct h2_head head;
    (void)state;

    h2_head_begin(&head, text, sizeof text);
    h2_head_trailer(&head, rc_span_of("x-sum"), rc_span_of("1"));
    assert_int_equal(h2_head_trailer_end(&head), HTTP1_SOUND);
    h2_head_trailer(&head, rc_span_of("content-length"), rc_span_of("1"));
    assert_int_not_equal(h2_head_trailer_end(&head), HTTP1_SOUND);
}

static void answer_becomes_fields(void **state)
{
    static const char answer[] =
        "HTTP/1.1 404 Not Found\r\nServer:  x \r\nEmpty:\r\n"
        "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\nrest";
    struct h2_field fields[H2_HEAD_FIELDS_MAX];
    size_t count = 0;
    size_t size = 0;
    (void)state;

    assert_int_equal(h2_head_split(answer, sizeof answer - 1, fields, &count, &size),
                     RC_OK);
    assert_int_equal(count, 3);
    assert_true(rc_span_equals(fields[0].name, ":status"));
    assert_true(rc_span_equals(fields[0].value, "404"));
    assert_true(rc_span_equals(fields[1].name, "Server"));
    assert_true(rc_span_equals(fields[1].value, "x"));
    assert_true(rc_span_equals(fields[2].value, ""));
    assert_int_equal(size, sizeof answer - 1 - 4);
}

static void cut_answer_is_no_head(void **state)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
    struct h2_field fields[H2_HEAD_FIELDS_MAX];
    size_t count = 0;
    size_t size = 0;
    (void)state;

    for (size_t part = 0; part < sizeof answer - 1; part++) {
        assert_int_equal(h2_head_split(answer, part, fields, &count, &size),
                         RC_EMALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_becomes_the_text_of_http_1),
        cmocka_unit_test(pseudo_fields_may_come_in_any_order),
        cmocka_unit_test(body_of_known_length_is_not_chunked),
        cmocka_unit_test(length_without_a_body_is_refused),
        cmocka_unit_test(crumbs_of_a_cookie_become_one_line),
        cmocka_unit_test(equal_hosts_are_one_and_host_alone_is_enough),
        cmocka_unit_test(connect_names_its_authority_only),
        cmocka_unit_test(what_could_mean_something_else_is_refused),
        cmocka_unit_test(nul_in_a_value_is_refused),
        cmocka_unit_test(too_large_a_head_is_refused),
        cmocka_unit_test(tunnel_becomes_the_handshake_of_a_websocket),
        cmocka_unit_test(trailers_follow_the_rules_of_http_1),
        cmocka_unit_test(answer_becomes_fields),
        cmocka_unit_test(cut_answer_is_no_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
