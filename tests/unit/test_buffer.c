/* test_buffer.c - bytes in and out: cursor, writer and buffer never leave their bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/writer.h"

static void what_was_written_is_read_back(void **state)
{
    uint8_t space[19];
    struct rc_writer writer = rc_writer_over(space, sizeof space);
    (void)state;

    rc_writer_u8(&writer, 0x12);
    rc_writer_u16(&writer, 0x3456);
    rc_writer_u32(&writer, 0x789abcde);
    rc_writer_u64(&writer, UINT64_C(0x0123456789abcdef));
    rc_writer_bytes(&writer, "abcd", 4);
    assert_int_equal(writer.err, RC_OK);
    assert_int_equal(rc_writer_left(&writer), 0);
    assert_memory_equal(space, "\x12\x34\x56\x78", 4); /* network order */

    struct rc_cursor cursor = rc_cursor_over(space, rc_writer_size(&writer));
    assert_int_equal(rc_cursor_u8(&cursor), 0x12);
    assert_int_equal(rc_cursor_u16(&cursor), 0x3456);
    assert_int_equal(rc_cursor_u32(&cursor), 0x789abcde);
    assert_true(rc_cursor_u64(&cursor) == UINT64_C(0x0123456789abcdef));
    assert_memory_equal(rc_cursor_take(&cursor, 4), "abcd", 4);
    assert_int_equal(rc_cursor_left(&cursor), 0);
    assert_int_equal(cursor.err, RC_OK);
}

static void the_first_failed_read_sticks(void **state)
{
    struct rc_cursor cursor = rc_cursor_over("\x01\x02\x03", 3);
    (void)state;

    assert_int_equal(rc_cursor_u32(&cursor), 0);
    assert_int_equal(cursor.err, RC_ETRUNCATED);
    assert_int_equal(rc_cursor_u8(&cursor), 0);
    assert_null(rc_cursor_take(&cursor, 0));
    assert_int_equal(rc_cursor_left(&cursor), 0);
    rc_cursor_fail(&cursor, RC_EMALFORMED);
    assert_int_equal(cursor.err, RC_ETRUNCATED);
}

static void huge_lengths_do_not_wrap(void **state)
{
    struct rc_cursor cursor = rc_cursor_over("abc", 3);
    struct rc_cursor nothing = rc_cursor_over(NULL, 0);
    (void)state;

    assert_null(rc_cursor_take(&cursor, SIZE_MAX));
    assert_non_null(rc_cursor_take(&nothing, 0));
    assert_null(rc_cursor_take(&nothing, 1));
}

static void a_write_that_does_not_fit_changes_nothing(void **state)
{
    uint8_t space[4] = {9, 9, 9, 9};
    struct rc_writer writer = rc_writer_over(space, 3);
    (void)state;

    rc_writer_u16(&writer, 1);
    rc_writer_u16(&writer, 2);
    rc_writer_u8(&writer, 3);
    assert_int_equal(writer.err, RC_ETOOBIG);
    assert_int_equal(rc_writer_size(&writer), 2);
    assert_memory_equal(space, "\x00\x01\x09\x09", 4);
}

static void buffers_grow_and_stay_terminated(void **state)
{
    struct rc_buffer buffer = {0};
    (void)state;

    assert_string_equal(rc_buffer_string(&buffer), "");
    for (int i = 0; i < 1000; i++) {
        rc_buffer_format(&buffer, "%d,", i % 10);
    }
    assert_int_equal(buffer.size, 2000);
    assert_int_equal(strlen(rc_buffer_string(&buffer)), 2000);
    rc_buffer_consume(&buffer, 1996);
    assert_string_equal(rc_buffer_string(&buffer), "8,9,");
    rc_buffer_consume(&buffer, SIZE_MAX);
    assert_int_equal(buffer.size, 0);
    rc_buffer_text(&buffer, "x");
    rc_buffer_byte(&buffer, 'y');
    char *text = rc_buffer_steal(&buffer);
    assert_string_equal(text, "xy");
    assert_null(rc_buffer_steal(&buffer));
    free(text);
}

static void the_limit_of_a_buffer_sticks(void **state)
{
    struct rc_buffer buffer = {.max = 5};
    (void)state;

    rc_buffer_text(&buffer, "abcde");
    assert_int_equal(buffer.err, RC_OK);
    rc_buffer_byte(&buffer, 'f');
    assert_int_equal(buffer.err, RC_ETOOBIG);
    assert_int_equal(rc_buffer_reserve(&buffer, 0), RC_ETOOBIG);
    assert_string_equal(rc_buffer_string(&buffer), "abcde");
    rc_buffer_clear(&buffer);
    rc_buffer_format(&buffer, "%s", "abcdef");
    assert_int_equal(buffer.err, RC_ETOOBIG);
    assert_int_equal(buffer.size, 0);
    rc_buffer_fini(&buffer);
    assert_int_equal(buffer.max, 5);
}

static void every_code_has_its_words(void **state)
{
    (void)state;

    assert_string_equal(rc_strerror(RC_OK), "ok");
    for (int err = RC_ENOMEM; err >= RC_ENOSPC; err--) {
        assert_string_not_equal(rc_strerror(err), "unknown error");
    }
    assert_string_equal(rc_strerror(1), "unknown error");
    assert_string_equal(rc_strerror(RC_ENOSPC - 1), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read_back),
        cmocka_unit_test(the_first_failed_read_sticks),
        cmocka_unit_test(huge_lengths_do_not_wrap),
        cmocka_unit_test(a_write_that_does_not_fit_changes_nothing),
        cmocka_unit_test(buffers_grow_and_stay_terminated),
        cmocka_unit_test(the_limit_of_a_buffer_sticks),
        cmocka_unit_test(every_code_has_its_words),
    };
    return cmocka_run_group_tests_name("buffer", tests, NULL, NULL);
}
