/* MessagePack: what is written is read again, what others write too, what lies is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/pack.h"

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
        struct rc_pack_items items = {1};
        rc_buffer_clear(&out);
        rc_pack_write_number(&out, cases[i].value);
        assert_int_equal(out.size, cases[i].size);
        struct rc_cursor in = over(&out);
        assert_true(rc_pack_next_number(&in, &items) == cases[i].value);
        assert_int_equal(in.err, RC_OK);
        assert_int_equal(items.left, 0);
    }
    rc_buffer_fini(&out);
}

static void texts_keep_to_the_old_family_at_every_length_and_come_back(void **state)
{
    static const struct {
        size_t size;
        uint8_t head;
        size_t head_size;
    } cases[] = {
        {0, 0xa0, 1},   {31, 0xbf, 1},   {32, 0xda, 3},    {255, 0xda, 3},
        {256, 0xda, 3}, {1500, 0xda, 3}, {65535, 0xda, 3}, {65536, 0xdb, 5},
    };
    struct rc_buffer out = {0};
    uint8_t *text = malloc(65536);

    (void)state;
    assert_non_null(text);
    memset(text, 'x', 65536);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rc_pack_items items = {1};
        rc_buffer_clear(&out);
        rc_pack_write_bytes(&out, (struct rc_pack_bytes){text, cases[i].size});
        assert_int_equal(out.bytes[0], cases[i].head);
        assert_int_equal(out.size, cases[i].head_size + cases[i].size);
        struct rc_cursor in = over(&out);
        assert_int_equal(rc_pack_next_text(&in, &items).size, cases[i].size);
        assert_int_equal(in.err, RC_OK);
        assert_int_equal(rc_cursor_left(&in), 0);
    }
    free(text);
    rc_buffer_fini(&out);
}

static void every_scalar_and_head_is_written_as_the_format_says(void **state)
{
    static const char want[] = "\xc0\xc2\xc3\xcb\x3f\xf8\0\0\0\0\0\0\x9f\xdc\0\x10"
                               "\xdd\0\x01\0\0\x8f\xde\0\x10\xc0";
    struct rc_buffer out = {0};

    (void)state;
    rc_pack_write_nil(&out);
    rc_pack_write_bool(&out, false);
    rc_pack_write_bool(&out, true);
    rc_pack_write_double(&out, 1.5);
    rc_pack_write_array(&out, 15);
    rc_pack_write_array(&out, 16);
    rc_pack_write_array(&out, 65536);
    rc_pack_write_map(&out, 15);
    rc_pack_write_map(&out, 16);
    rc_pack_write_bytes(&out, (struct rc_pack_bytes){NULL, 0});
    assert_int_equal(out.size, sizeof want - 1);
    assert_memory_equal(out.bytes, want, sizeof want - 1);
    rc_buffer_fini(&out);
}

static void writing_beyond_the_buffer_fails_once_and_stays_failed(void **state)
{
    struct rc_buffer out = {.max = 8};

    (void)state;
    rc_pack_write_text(&out, "longer than eight");
    rc_pack_write_nil(&out);
    assert_int_equal(out.err, RC_ETOOBIG);
    assert_true(out.size <= out.max);
    rc_buffer_fini(&out);
}

static void numbers_of_every_width_and_sign_are_numbers(void **state)
{
    static const struct {
        const char *why;
        const char *bytes;
        size_t size;
        uint64_t want;
    } cases[] = {
        {"nil", "\xc0", 1, 0},
        {"true", "\xc3", 1, 1},
        {"wider than needed", "\xcf\0\0\0\0\0\0\0\x05", 9, 5},
        {"signed 8", "\xd0\x7f", 2, 127},
        {"signed 16", "\xd1\x01\0", 3, 256},
        {"signed 32", "\xd2\0\x01\0\0", 5, 65536},
        {"signed 64", "\xd3\0\0\0\x01\0\0\0\0", 9, 1ULL << 32},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rc_cursor in = rc_cursor_over(cases[i].bytes, cases[i].size);
        uint64_t got = rc_pack_read_number(&in, UINT64_MAX);
        if (in.err != RC_OK || got != cases[i].want || rc_cursor_left(&in) != 0) {
            fail_msg("%s: %s", cases[i].why, rc_strerror(in.err));
        }
    }
}

static void texts_of_every_family_are_texts(void **state)
{
    static const char *const cases[] = {
        "\xa2hi",     "\xd9\x02hi",   "\xda\0\x02hi",     "\xdb\0\0\0\x02hi",
        "\xc4\x02hi", "\xc5\0\x02hi", "\xc6\0\0\0\x02hi",
    };
    static const size_t sizes[] = {3, 4, 5, 7, 4, 5, 7};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rc_cursor in = rc_cursor_over(cases[i], sizes[i]);
        assert_true(rc_pack_equals(rc_pack_read_bytes(&in), rc_pack_text("hi")));
        assert_int_equal(in.err, RC_OK);
        assert_int_equal(rc_cursor_left(&in), 0);
    }
}

static void shorter_arrays_give_zeroes_and_longer_ones_are_skipped(void **state)
{
    struct rc_buffer out = {0};

    (void)state;
    rc_pack_write_array(&out, 1);
    rc_pack_write_number(&out, 7);
    size_t place = rc_pack_write_open(&out);
    rc_pack_write_text(&out, "one");
    rc_pack_write_array(&out, 2);
    rc_pack_write_nil(&out);
    rc_pack_write_text(&out, "\x01");
    rc_pack_write_number(&out, 70000);
    rc_pack_write_close(&out, place, 3);
    rc_pack_write_number(&out, 9);

    struct rc_cursor in = over(&out);
    struct rc_pack_items first = rc_pack_open(&in);
    assert_int_equal(rc_pack_next_number(&in, &first), 7);
    assert_int_equal(rc_pack_next_number(&in, &first), 0);
    assert_int_equal(rc_pack_next_text(&in, &first).size, 0);
    assert_int_equal(rc_pack_next_array(&in, &first).left, 0);
    struct rc_pack_items second = rc_pack_open(&in);
    assert_true(rc_span_equals(rc_pack_next_text(&in, &second), "one"));
    rc_pack_close(&in, &second);
    struct rc_pack_items last = {1};
    assert_int_equal(rc_pack_next_number(&in, &last), 9);
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
        struct rc_pack_items items = {1};
        rc_pack_close(&in, &items);
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
        struct rc_pack_items items = {1};
        rc_pack_close(&in, &items);
        if (in.err == RC_OK) {
            fail_msg("%s: accepted", cases[i].why);
        }
    }
}

static void no_depth_is_too_deep_to_skip(void **state)
{
    enum { DEPTH = 1000000 };
    uint8_t *bytes = malloc(DEPTH);

    (void)state;
    assert_non_null(bytes);
    memset(bytes, 0x91, DEPTH);
    bytes[DEPTH - 1] = 0xc0;
    struct rc_cursor in = rc_cursor_over(bytes, DEPTH);
    rc_pack_skip(&in);
    assert_int_equal(in.err, RC_OK);
    assert_int_equal(rc_cursor_left(&in), 0);
    free(bytes);
}

static void a_wrong_type_fails(void **state)
{
    struct rc_cursor in = rc_cursor_over("\xa1x", 2);
    struct rc_pack_items items = {1};

    (void)state;
    (void)rc_pack_next_number(&in, &items);
    assert_int_equal(in.err, RC_EMALFORMED);
    in = rc_cursor_over("\x05", 1);
    items.left = 1;
    (void)rc_pack_next_text(&in, &items);
    assert_int_equal(in.err, RC_EMALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_take_their_shortest_form_and_come_back),
        cmocka_unit_test(texts_keep_to_the_old_family_at_every_length_and_come_back),
        cmocka_unit_test(every_scalar_and_head_is_written_as_the_format_says),
        cmocka_unit_test(writing_beyond_the_buffer_fails_once_and_stays_failed),
        cmocka_unit_test(numbers_of_every_width_and_sign_are_numbers),
        cmocka_unit_test(texts_of_every_family_are_texts),
        cmocka_unit_test(shorter_arrays_give_zeroes_and_longer_ones_are_skipped),
        cmocka_unit_test(every_form_can_be_skipped),
        cmocka_unit_test(what_lies_about_its_size_is_refused),
        cmocka_unit_test(no_depth_is_too_deep_to_skip),
        cmocka_unit_test(a_wrong_type_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
