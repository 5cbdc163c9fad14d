/* test_columns.c - tables on a terminal, and what must not reach it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/cli/columns.h"
#include "agent/cli/say.h"
#include "base/err.h"

/* What cli_columns_print() writes; owned by the caller. */
static char *printed(struct cli_columns *columns)
{
    char *text = NULL;
    size_t size = 0;
    FILE *before = stdout;
    stdout = open_memstream(&text, &size);
    cli_columns_print(columns);
    (void)fclose(stdout);
    stdout = before;
    return text;
}

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
    struct cli_columns columns = {.width = 3};
    static const char *const cells[] = {"Node", "ID", "DC", "a", "12345678",
                                        "dc1",  "",   "",   NULL};
    (void)state;

    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
        cli_cell(&columns, cells[i]);
    }
    char *text = printed(&columns);

    assert_string_equal(text, "Node  ID        DC\n"
                              "a     12345678  dc1\n"
                              "                \n");
    assert_int_equal(columns.count, 0);
    free(text);
}

static void width_counts_characters_not_bytes(void **state)
{
    struct cli_columns columns = {.width = 2};
    (void)state;

    cli_cell(&columns, "b\xc3\xbc"
                       "cher"); /* six characters in seven bytes */
    cli_cell(&columns, "x");
    cli_cell(&columns, "abcdef");
    cli_cell_format(&columns, "%d", 7);
    char *text = printed(&columns);

    assert_string_equal(text, "b\xc3\xbc"
                              "cher  x\nabcdef  7\n");
    free(text);
}

static void a_table_without_cells_prints_nothing(void **state)
{
    struct cli_columns columns = {.width = 2};
    (void)state;

    char *text = printed(&columns);

    assert_string_equal(text, "");
    free(text);
}

static void huge_tables_and_cells_are_printed_whole(void **state)
{
    enum { ROWS = 20000, LONG = 100000 };
    struct cli_columns columns = {.width = 2};
    char *longest = calloc(1, LONG + 1);
    (void)state;

    memset(longest, 'x', LONG);
    for (int i = 0; i < ROWS; i++) {
        cli_cell_format(&columns, "node%d", i);
        cli_cell(&columns, i == 0 ? longest : "y");
    }
    char *text = printed(&columns);

    assert_non_null(strstr(text, "node19999  y\n"));
    assert_int_equal(strlen(text), ROWS * 13 + (LONG - 1));
    free(text);
    free(longest);
}

static void names_cannot_steer_the_terminal(void **state)
{
    static const struct {
        const char *why;
        const char *text;
        const char *one_line;
        const char *many_lines;
    } cases[] = {
        {"plain", "web-1", "web-1", "web-1"},
        {"escape", "\x1b[2Jgone", "?[2Jgone", "?[2Jgone"},
        {"line ends", "a\r\nb\tc", "a??b?c", "a?\nb\tc"},
        {"delete", "a\x7f", "a?", "a?"},
        {"C1 in UTF-8",
         "\xc2\x9b"
         "31m",
         "?31m", "?31m"},
        {"letters beside C1", "\xc2\xa0\xc3\x9f", "\xc2\xa0\xc3\x9f", "\xc2\xa0\xc3\x9f"},
        {"cut UTF-8", "\xc2", "\xc2", "\xc2"},
    };
    char one[32];
    char many[32];
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)snprintf(one, sizeof one, "%s", cases[i].text);
        (void)snprintf(many, sizeof many, "%s", cases[i].text);
        cli_clean(one, CLI_ONE_LINE);
        cli_clean(many, CLI_MANY_LINES);
        if (strcmp(one, cases[i].one_line) != 0 ||
            strcmp(many, cases[i].many_lines) != 0) {
            fail_msg("%s: \"%s\" and \"%s\"", cases[i].why, one, many);
        }
    }
}

static void pairs_stand_in_order_of_their_keys(void **state)
{
    struct cli_columns columns = {.width = 1};
    json_t *object = json_pack("{s:s, s:s, s:i}", "wan", "2", "lan", "1", "odd", 3);
    (void)state;

    cli_cell_pairs(&columns, object, ", ");
    cli_cell_pairs(&columns, NULL, ",");
    char *text = printed(&columns);

    assert_string_equal(text, "lan=1, odd=, wan=2\n\n");
    free(text);
    json_decref(object);
}

static void a_format_is_table_or_json(void **state)
{
    enum cli_format format = CLI_FORMAT_JSON;
    (void)state;

    assert_int_equal(cli_format_parse(NULL, &format), RC_OK);
    assert_int_equal(format, CLI_FORMAT_TABLE);
    assert_int_equal(cli_format_parse("json", &format), RC_OK);
    assert_int_equal(format, CLI_FORMAT_JSON);
    assert_int_equal(cli_format_parse("pretty", &format), RC_OK);
    assert_int_equal(format, CLI_FORMAT_TABLE);
    assert_int_equal(cli_format_parse("yaml", &format), RC_EINVAL);
    assert_int_equal(cli_format_parse("", &format), RC_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
        cmocka_unit_test(width_counts_characters_not_bytes),
        cmocka_unit_test(a_table_without_cells_prints_nothing),
        cmocka_unit_test(huge_tables_and_cells_are_printed_whole),
        cmocka_unit_test(names_cannot_steer_the_terminal),
        cmocka_unit_test(pairs_stand_in_order_of_their_keys),
        cmocka_unit_test(a_format_is_table_or_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
