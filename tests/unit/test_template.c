/* test_template.c - places are filled, and what is none is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "proxy/pattern/template.h"

static void places_are_filled(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"https://$host$path$query", "https://a.example/x?q=1"},
        {"${scheme}s://${host}", "https://a.example"},
        {"$1/$2$9", "one/two"},
        {"a$$b$$", "a$b$"},
        {"$client:$port $request_id", "10.0.0.1:80 id"},
    };
    struct template_values values = {.at = {
                                         [TEMPLATE_HOST] = rc_span_of("a.example"),
                                         [TEMPLATE_PATH] = rc_span_of("/x"),
                                         [TEMPLATE_QUERY] = rc_span_of("?q=1"),
                                         [TEMPLATE_SCHEME] = rc_span_of("http"),
                                         [TEMPLATE_CLIENT] = rc_span_of("10.0.0.1"),
                                         [TEMPLATE_PORT] = rc_span_of("80"),
                                         [TEMPLATE_REQUEST_ID] = rc_span_of("id"),
                                         [TEMPLATE_GROUP] = rc_span_of("one"),
                                         [TEMPLATE_GROUP + 1] = rc_span_of("two"),
                                     }};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct template t = {0};
        const char *why = "";
        char space[128] = "";
        struct rc_writer out = rc_writer_over(space, sizeof space - 1);

        assert_int_equal(template_init(&t, cases[i].text, &why), RC_OK);
        template_write(&t, &values, &out);

        space[rc_writer_size(&out)] = '\0';
        assert_string_equal(space, cases[i].want);
        template_fini(&t);
    }
}

static void what_is_no_place_is_told(void **state)
{
    (void)state;
    static const char *const wrong[] = {"$", "a$", "$hosts", "$0", "${host", "${}", "$X"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct template t = {0};
        const char *why = NULL;
        if (template_init(&t, wrong[i], &why) != RC_EMALFORMED || why == NULL) {
            fail_msg("%s", wrong[i]);
        }
    }
}

static void the_highest_group_is_known(void **state)
{
    (void)state;
    struct template t = {0};
    const char *why = NULL;
    assert_int_equal(template_init(&t, "/$2/$1", &why), RC_OK);
    assert_int_equal(template_groups(&t), 2);
    assert_true(template_has(&t, TEMPLATE_GROUP));
    assert_false(template_has(&t, TEMPLATE_PATH));
    template_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_are_filled),
        cmocka_unit_test(what_is_no_place_is_told),
        cmocka_unit_test(the_highest_group_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
