/* test_instances_file.c - lists of instances, good and broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "proxy/discover/instances_file.h"

static void a_list_is_read_with_comments_weights_and_ids(void **state)
{
    static const char text[] = "# web\n\n10.0.0.1:80 weight 3 id a # first\r\n"
                               "\t[2001:db8::1]:8080\n10.0.0.2:80 id b weight 0";
    char error[INSTANCES_FILE_ERROR_MAX];
    struct lineup_entry *entries = NULL;
    size_t count = 0;
    (void)state;

    assert_int_equal(instances_file_parse(text, sizeof text - 1, &entries, &count, error),
                     RC_OK);

    assert_int_equal(count, 3);
    assert_string_equal(entries[0].id, "a");
    assert_int_equal(entries[0].weight, 3);
    assert_string_equal(entries[1].id, "");
    assert_int_equal(entries[1].weight, 1);
    assert_int_equal(entries[1].address.port, 8080);
    assert_int_equal(entries[1].address.family, RC_ADDRESS_IPV6);
    assert_int_equal(entries[2].weight, 0);
    free(entries);
}

static void a_broken_list_is_refused_with_its_line(void **state)
{
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        {"", "it names no instance"},
        {"# nobody\n", "it names no instance"},
        {"10.0.0.1:80\nexample.org:80\n", "line 2: this is no address"},
        {"10.0.0.1\n", "line 1: this is no address"},
        {"10.0.0.1:80 weight\n", "line 1: a value is missing"},
        {"10.0.0.1:80 weight -1\n", "line 1: a weight"},
        {"10.0.0.1:80 weight 70000\n", "line 1: a weight"},
        {"10.0.0.1:80 heavy 3\n", "line 1: expected"},
        {"10.0.0.1:80\n\n10.0.0.1:80\n", "line 3: this instance"},
        {"10.0.0.1:80 id a\n10.0.0.2:80 id a\n", "line 2: this id"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char error[INSTANCES_FILE_ERROR_MAX];
        struct lineup_entry *entries = NULL;
        size_t count = 0;
        int err = instances_file_parse(cases[i].text, strlen(cases[i].text), &entries,
                                       &count, error);
        if (err != RC_EMALFORMED || strstr(error, cases[i].want) == NULL) {
            fail_msg("%s -> %s", cases[i].text, error);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_read_with_comments_weights_and_ids),
        cmocka_unit_test(a_broken_list_is_refused_with_its_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
