/* test_shape.c - what goes on: rewritten paths, places to go, fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "proxy/route/shape.h"

struct made {
    struct config *config;
    struct route_scratch *scratch;
    struct route_choice choice;
    struct template_values values;
    char bytes[4096];
    struct http1_request request;
};

/* One listener whose words are `words`; then a request for `path`. */
static void make(struct made *m, const char *words, const char *path)
{
    char text[2048];
    char error[CONFIG_ERROR_MAX];
    struct rc_address peer = {0};

    (void)snprintf(text, sizeof text,
                   "pool p { static 1.1.1.1:1 }\nlisten http 1.1.1.1:1 { %s }\n", words);
    if (config_parse("p", text, strlen(text), &m->config, error) != RC_OK) {
        fail_msg("%s", error);
    }
    m->scratch = route_scratch_create();
    int size = snprintf(m->bytes, sizeof m->bytes,
                        "GET %s HTTP/1.1\r\nHost: a.example:80\r\n\r\n", path);
    assert_int_equal(http1_request_parse(m->bytes, (size_t)size, &m->request),
                     HTTP1_SOUND);
    struct route_request asked = {m->bytes, &m->request, &peer};
    assert_int_equal(
        route_find(&m->config->listeners[0], &asked, m->scratch, NULL, &m->choice),
        ROUTE_FOUND);
    struct shape_facts facts = {rc_span_of("http"), rc_span_of("10.0.0.1"),
                                rc_span_of("80"), rc_span_of("id")};
    shape_values(&m->choice, &facts, &m->values);
}

static void end(struct made *m)
{
    route_scratch_destroy(m->scratch);
    config_destroy(m->config);
}

static void targets_are_rewritten_or_in_their_normal_form(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        const char *path;
        const char *want; /* "" = as it came */
    } cases[] = {
        {"pool p", "/a?b=../c", ""},
        {"pool p", "/x/../a?b=../c", "/a?b=../c"},
        {"pool p", "/%7ea%2f", "/~a%2F"},
        {"pool p", "/a//b%2Fc", "/a//b%2Fc"},
        {"route /api { pool p; rewrite / }", "/api/x/y?q", "/x/y?q"},
        {"route /api { pool p; rewrite / }", "/api", "/"},
        {"route /api { pool p; rewrite / }", "/api/", "/"},
        {"route /api { pool p; rewrite /v2 }", "/api/x", "/v2/x"},
        {"route /api { pool p; rewrite /v2 }", "/api", "/v2"},
        {"route /api { pool p; rewrite /v2/ }", "/api/x", "/v2/x"},
        {"route /api/ { pool p; rewrite /v2 }", "/api/x", "/v2/x"},
        {"route / { pool p; rewrite /base }", "/x?q", "/base/x?q"},
        {"route / { pool p; rewrite /base }", "/", "/base/"},
        {"route /api { pool p; rewrite / }", "/api//evil.example", "/evil.example"},
        {"route = /a { pool p; rewrite /b }", "/a?c", "/b?c"},
        {"route ~ ^/u/([^/]+)/(.*)$ { pool p; rewrite /$2/$1 }", "/u/me/x/y?q",
         "/x/y/me?q"},
        {"route ~ ^/go/(.*)$ { pool p; rewrite /$1 }", "/go//evil", "/evil"},
        {"route ~ ^/go/(.*)$ { pool p; rewrite /a/.$1/b }", "/go/", "/a/b"},
        {"route /h { pool p; rewrite /$host/x }", "/h/y", "/a.example/x/y"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct made m;
        struct rc_span got = {0};
        make(&m, cases[i].words, cases[i].path);
        int err = shape_target(&m.choice, &m.values, m.scratch, &got);
        bool same = strcmp(cases[i].want, "") == 0 || cases[i].path == cases[i].want
                        ? got.size == 0
                        : rc_span_equals(got, cases[i].want);
        if (strcmp(cases[i].path, cases[i].want) == 0) {
            same = got.size == 0;
        }
        if (err != RC_OK || !same) {
            fail_msg("%s, %s: %.*s", cases[i].words, cases[i].path, (int)got.size,
                     got.at != NULL ? got.at : "");
        }
        end(&m);
    }
}

static void what_is_put_together_is_judged(void **state)
{
    (void)state;
    struct made m;
    struct rc_span got;
    make(&m, "route ~ ^/go/(.*)$ { pool p; rewrite /.$1 }", "/go/.");
    (void)got;
    end(&m);
    make(&m, "route ~ ^/go(.)(.*)$ { pool p; rewrite /.$2/x }", "/go/.y");
    assert_int_equal(shape_target(&m.choice, &m.values, m.scratch, &got), RC_OK);
    assert_true(rc_span_equals(got, "/..y/x"));
    end(&m);
    make(&m, "route ~ ^/go/x(.*)$ { pool p; rewrite /$1/x }", "/go/x..");
    assert_int_equal(shape_target(&m.choice, &m.values, m.scratch, &got), RC_EMALFORMED);
    end(&m);
}

static void redirects_stay_on_the_site_they_name(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        const char *path;
        const char *want;
    } cases[] = {
        {"redirect 301 https://$host$path$query", "/x?y=1", "https://a.example/x?y=1"},
        {"redirect 301 https://$host$path$query", "//evil", "https://a.example//evil"},
        {"redirect 302 /new", "/x?y", "/new"},
        {"route ~ ^/old/(.*)$ { redirect 308 /new/$1$query }", "/old/a?b", "/new/a?b"},
        {"route ~ ^/old(.*)$ { redirect 308 /$1 }", "/old//evil.example",
         "/evil.example"},
        {"redirect 307 $scheme://www.example$path", "/x", "http://www.example/x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct made m;
        struct rc_span got = {0};
        make(&m, cases[i].words, cases[i].path);
        int err = shape_location(&m.choice, &m.values, m.scratch, &got);
        if (err != RC_OK || !rc_span_equals(got, cases[i].want)) {
            fail_msg("%s, %s: %.*s", cases[i].words, cases[i].path, (int)got.size,
                     got.at);
        }
        end(&m);
    }
}

static void fields_are_dropped_by_name_however_spelled(void **state)
{
    (void)state;
    struct made m;
    char space[256] = "";
    struct rc_writer out = rc_writer_over(space, sizeof space - 1);
    make(&m,
         "pool p; request_header remove X-A; request_header set X-B-C $client\n"
         "request_header add X-D \"$host $request_id\"",
         "/");
    const struct config_edits *edits = &m.choice.route->request;

    assert_true(shape_drops(edits, rc_span_of("x-a")));
    assert_true(shape_drops(edits, rc_span_of("X_B-c"))); /* one name for CGI */
    assert_false(shape_drops(edits, rc_span_of("X-D")));
    assert_false(shape_drops(edits, rc_span_of("X-AB")));
    shape_fields(edits, &m.values, &out);
    assert_string_equal(space, "X-B-C: 10.0.0.1\r\nX-D: a.example id\r\n");
    end(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_are_rewritten_or_in_their_normal_form),
        cmocka_unit_test(what_is_put_together_is_judged),
        cmocka_unit_test(redirects_stay_on_the_site_they_name),
        cmocka_unit_test(fields_are_dropped_by_name_however_spelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
