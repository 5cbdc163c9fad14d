/* test_pages.c - letting go of what only the start needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/pages.h"

/* Resident pages of files: the third number of /proc/self/statm. */
static unsigned long file_pages(void)
{
    char line[128] = "";
    char *at = line;
    unsigned long number = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    assert_int_equal(fclose(file), 0);
    for (int i = 0; i < 3; i++) {
        number = strtoul(at, &at, 10);
    }
    return number;
}

static void fewer_pages_of_files_stay_and_all_still_works(void **state)
{
    char text[32];
    unsigned long before = file_pages();
    (void)state;

    rc_pages_release();

    unsigned long after = file_pages();
    if (after >= before) {
        fail_msg("%lu pages before, %lu after", before, after);
    }
    (void)snprintf(text, sizeof text, "%s %.3f", "and then", 0.5);
    assert_string_equal(text, "and then 0.500");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fewer_pages_of_files_stay_and_all_still_works),
    };
    return cmocka_run_group_tests_name("pages", tests, NULL, NULL);
}
