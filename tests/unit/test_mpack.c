/* The catalog's MessagePack: what is written is read again, what lies is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/catalog/mpack.h"
#include "base/err.h"

static struct rc_cursor over(const struct rc_buffer *buffer)
{
    return rc_cursor_over(buffer->bytes, buffer->size);
}

static void numbers_take_their_shortest_form_and_come_back(void **state)
{
    static const struct {
        uint64_t value;
        size_t size;
    } cases[] = {
        {0, 1},     {127, 1},   {128, 2},        {255, 2},        {256, 3},
        {65535, 3}, {65536, 5}, {UINT32_MAX, 5}, {1ULL << 32, 9}, {UINT64_MAX, 9},
    };
    struct rc_buffer out = {0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mpack_items items = {1};
        rc_buffer_clear(&out);
        mpack_uint(&out, cases[i].value);
        assert_int_equal(out.size, cases[i].size);
        struct rc_cursor in = over(&out);
        assert_true(mpack_read_uint(&in, &items) == cases[i].value);
        assert_int_equal(in.err, RC_OK);
        assert_int_equal(items.left, 0);
    }
    rc_buffer_fini(&out);
}

static void texts_of_every_length_come_back(void **state)
{
    static const size_t sizes[] = {0, 31, 32, 255, 256, 65535, 65536};
    struct rc_buffer out = {0};
    char *text = malloc(65536);

    (void)state;
    assert_non_null(text);
    memset(text, 'x', 65536);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct mpack_items items = {2};
        rc_buffer_clear(&out);
        mpack_text_bytes(&out, text, sizes[i]);
        mpack_bin(&out, text, sizes[i]);
        struct rc_cursor in = over(&out);
        assert_int_equal(mpack_read_text(&in, &items).size, sizes[i]);
        assert_int_equal(mpack_read_bin(&in, &items).size, sizes[i]);
        assert_int_equal(in.err, RC_OK);
        assert_int_equal(rc_cursor_left(&in), 0);
    }
    free(text);
    rc_buffer_fini(&out);
}

static void shorter_arrays_give_zeroes_and_longer_ones_are_skipped(void **state)
{
    struct rc_buffer out = {0};

    (void)state;
    mpack_array(&out, 1);
    mpack_uint(&out, 7);
    size_t place = mpack_array_open(&out);
    mpack_text(&out, "one");
    mpack_array(&out, 2);
    mpack_nil(&out);
    mpack_bin(&out, "\x01", 1);
    mpack_uint(&out, 70000);
    mpack_array_close(&out, place, 3);
    mpack_uint(&out, 9);

    struct rc_cursor in = over(&out);
    struct mpack_items first = mpack_read_open(&in);
    assert_int_equal(mpack_read_uint(&in, &first), 7);
    assert_int_equal(mpack_read_uint(&in, &first), 0);
    assert_int_equal(mpack_read_text(&in, &first).size, 0);
    assert_int_equal(mpack_read_array(&in, &first).left, 0);
    struct mpack_items second = mpack_read_open(&in);
    assert_true(rc_span_equals(mpack_read_text(&in, &second), "one"));
    mpack_read_close(&in, &second);
    struct mpack_items last = {1};
    assert_int_equal(mpack_read_uint(&in, &last), 9);
    assert_int_equal(in.err, RC_OK);
    rc_buffer_fini(&out);
}

static void every_form_can_be_skipped(void **state)
{
    static const struct {
        const char *why;
        const char *bytes;
        size_t size;
    } cases[] = {
        {"negative fixint", "\xff", 1},
        {"map in map", "\x81\xa1k\x81\xa1q\xc2", 7},
        {"float", "\xca\x00\x00\x00\x00", 5},
        {"double", "\xcb\x00\x00\x00\x00\x00\x00\x00\x00", 9},
        {"ext 8", "\xc7\x02\x05xy", 5},
        {"fixext 4", "\xd6\x05wxyz", 6},
        {"int 16", "\xd1\xff\x00", 3},
        {"map 16", "\xde\x00\x01\x01\x02", 5},
        {"array 16", "\xdc\x00\x02\x01\x02", 5},
        {"text 16", "\xda\x00\x01x", 4},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rc_cursor in = rc_cursor_over(cases[i].bytes, cases[i].size);
        struct mpack_items items = {1};
        mpack_read_close(&in, &items);
        if (in.err != RC_OK || rc_cursor_left(&in) != 0) {
            fail_msg("%s: %s", cases[i].why, rc_strerror(in.err));
        }
    }
}

static void what_lies_about_its_size_is_refused(void **state)
{
    static const struct {
        const char *why;
        const char *bytes;
        size_t size;
    } cases[] = {
        {"array of many in few bytes", "\xdd\xff\xff\xff\xff\x01", 6},
        {"map of many in few bytes", "\xdf\xff\xff\xff\xff\x01", 6},
        {"text beyond the end",
         "\xdb\xff\xff\xff\xff"
         "abc",
         8},
        {"number cut short", "\xcf\x00\x00", 3},
        {"nothing", "", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rc_cursor in = rc_cursor_over(cases[i].bytes, cases[i].size);
        struct mpack_items items = {1};
        mpack_read_close(&in, &items);
        if (in.err == RC_OK) {
            fail_msg("%s: accepted", cases[i].why);
        }
    }
}

static void a_wrong_type_fails(void **state)
{
    struct rc_cursor in = rc_cursor_over("\xa1x", 2);
    struct mpack_items items = {1};

    (void)state;
    (void)mpack_read_uint(&in, &items);
    assert_int_equal(in.err, RC_EMALFORMED);
    in = rc_cursor_over("\x05", 1);
    items.left = 1;
    (void)mpack_read_text(&in, &items);
    assert_int_equal(in.err, RC_EMALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_take_their_shortest_form_and_come_back),
        cmocka_unit_test(texts_of_every_length_come_back),
        cmocka_unit_test(shorter_arrays_give_zeroes_and_longer_ones_are_skipped),
        cmocka_unit_test(every_form_can_be_skipped),
        cmocka_unit_test(what_lies_about_its_size_is_refused),
        cmocka_unit_test(a_wrong_type_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
