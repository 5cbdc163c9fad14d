/* test_explain.c - what is said of a request before it is made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "proxy/explain/explain.h"

static const char house[] =
    "pool web { static 127.0.0.1:3001; balance hash uri }\n"
    "pool api { static 127.0.0.1:3002 }\n"
    "listen http 127.0.0.1:8080 { host app.example {\n"
    "  route / { pool web }\n"
    "  route /api { pool api; rewrite /; request_header remove Cookie }\n"
    "  route /api { when header X-Beta yes; pool web; name beta }\n"
    "  route /gone { redirect 301 https://$host/new }\n"
    "} }\n";

static const char upstreams[] =
    "{\"pools\":[{\"name\":\"web\",\"instances\":["
    "{\"id\":\"w1\",\"address\":\"127.0.0.1:3001\",\"state\":\"up\",\"weight\":1,"
    "\"in_flight\":2,\"why\":\"\"},"
    "{\"id\":\"w2\",\"address\":\"127.0.0.1:3002\",\"state\":\"ejected\",\"weight\":1,"
    "\"in_flight\":0,\"why\":\"it failed\"}]}]}";

/* The words for a question; the caller frees by rc_buffer_fini. */
static enum explain_end ask(const struct explain_question *question, const char *pools,
                            struct rc_buffer *out)
{
    struct config *config = NULL;
    struct explanation *explanation = NULL;
    char error[CONFIG_ERROR_MAX];
    char why[256] = "";

    assert_int_equal(config_parse("p", house, strlen(house), &config, error), RC_OK);
    enum explain_end end = explain_request(config, question, &explanation, why);
    if (end == EXPLAIN_UNASKED) {
        rc_buffer_text(out, why);
    } else {
        explain_instances(explanation, config, pools, pools != NULL ? strlen(pools) : 0,
                          "nobody asked");
        explain_text(explanation, out);
        explain_destroy(explanation);
    }
    config_destroy(config);
    return end;
}

static void expect(const struct explain_question *question, enum explain_end want,
                   const char *words)
{
    struct rc_buffer out = {0};
    enum explain_end end = ask(question, upstreams, &out);
    if (end != want || strstr(rc_buffer_string(&out), words) == NULL) {
        fail_msg("%s: %d, no \"%s\" in:\n%s", question->url, (int)end, words,
                 rc_buffer_string(&out));
    }
    rc_buffer_fini(&out);
}

static void the_way_and_why_no_other_is_said(void **state)
{
    (void)state;
    struct explain_question api = {.url = "http://app.example:8080/api/x?y",
                                   .fields = {"Cookie: a=b", NULL}};
    struct explain_question beta = {.url = "app.example/api",
                                    .fields = {"X-Beta: yes", NULL}};
    struct explain_question gone = {.url = "https://app.example/gone"};
    struct explain_question web = {.url = "app.example/"};

    expect(&api, EXPLAIN_SERVED,
           "route \"/api\" (line 6): the path fits, but this does not hold: "
           "when header \"X-Beta\" \"yes\"");
    expect(&api, EXPLAIN_SERVED, "sends            GET /x?y HTTP/1.1\n");
    expect(&api, EXPLAIN_SERVED, "request fields   remove Cookie\n");
    expect(&api, EXPLAIN_SERVED, "the running proxy has no pool of this name");
    expect(&beta, EXPLAIN_SERVED, "called beta");
    expect(&gone, EXPLAIN_SERVED, "301 redirect to https://app.example/new\n");
    expect(&web, EXPLAIN_SERVED, "w1 127.0.0.1:3001: up, weight 1, 2 in flight");
    expect(&web, EXPLAIN_SERVED, "ejected (takes nothing new), it failed");
    expect(&web, EXPLAIN_SERVED, "chosen           w1 by the hash");
}

static void refusals_say_what_the_client_would_hear(void **state)
{
    (void)state;
    struct explain_question none = {.url = "other.example/"};
    struct explain_question twice = {.url = "app.example//api"};
    struct explain_question bad = {.url = "app.example/",
                                   .fields = {"Bad Name: x", NULL}};

    expect(&none, EXPLAIN_REFUSED, "404 no site of this name");
    expect(&twice, EXPLAIN_REFUSED, "400 the path could be read as another one");
    expect(&bad, EXPLAIN_REFUSED, "400 ");
}

static void what_is_no_question_is_told(void **state)
{
    (void)state;
    struct explain_question port = {.url = "app.example:81/"};
    struct explain_question scheme = {.url = "ftp://app.example/"};
    struct explain_question source = {.url = "app.example/", .source = "me"};
    struct explain_question host = {.url = "/"};

    expect(&port, EXPLAIN_UNASKED, "no http listener has port 81");
    expect(&scheme, EXPLAIN_UNASKED, "neither http://");
    expect(&source, EXPLAIN_UNASKED, "no IP address: \"me\"");
    expect(&host, EXPLAIN_UNASKED, "no host in it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_way_and_why_no_other_is_said),
        cmocka_unit_test(refusals_say_what_the_client_would_hear),
        cmocka_unit_test(what_is_no_question_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
