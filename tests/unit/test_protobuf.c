#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/engine/protobuf.h"
#include "base/err.h"

static struct rc_cursor over(const struct rc_buffer *buffer)
{
    return rc_cursor_over(buffer->bytes, buffer->size);
}

static void numbers_of_any_size_come_back(void **state)
{
    static const uint64_t values[] = {0,   1,          127,       128,
                                      300, UINT32_MAX, INT64_MAX, UINT64_MAX};
    struct protobuf_field field;
    (void)state;

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct rc_buffer out = {0};
        protobuf_put_number(&out, 64, values[i]);
        struct rc_cursor in = over(&out);
        assert_true(protobuf_next(&in, &field));
        assert_int_equal(field.number, 64);
        assert_true(field.value == values[i]);
        assert_false(protobuf_next(&in, &field));
        assert_int_equal(in.err, RC_OK);
        rc_buffer_fini(&out);
    }
}

/* "Encoding", the examples of its text: 150 in field 1, "testing" in field 2. */
static void bytes_are_those_of_the_specification(void **state)
{
    struct rc_buffer out = {0};
    (void)state;

    protobuf_put_number(&out, 1, 150);
    protobuf_put_bytes(&out, 2, rc_pack_text("testing"));

    assert_int_equal(out.size, 12);
    assert_memory_equal(out.bytes, "\x08\x96\x01\x12\x07testing", 12);
    rc_buffer_fini(&out);
}

static void messages_of_any_length_are_closed_around_what_they_hold(void **state)
{
    static const size_t sizes[] = {0, 1, 127, 128, 20000};
    struct protobuf_field field;
    (void)state;

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct rc_buffer out = {0};
        protobuf_put_number(&out, 1, 7);
        size_t place = protobuf_open(&out, 2);
        for (size_t j = 0; j < sizes[i]; j++) {
            rc_buffer_byte(&out, (uint8_t)j);
        }
        protobuf_close(&out, place);
        struct rc_cursor in = over(&out);
        assert_true(protobuf_next(&in, &field));
        assert_true(protobuf_next(&in, &field));
        assert_int_equal(field.bytes.size, sizes[i]);
        for (size_t j = 0; j < sizes[i]; j++) {
            assert_int_equal(field.bytes.at[j], (uint8_t)j);
        }
        assert_int_equal(rc_cursor_left(&in), 0);
        rc_buffer_fini(&out);
    }
}

static void fixed_numbers_are_read_too(void **state)
{
    static const uint8_t bytes[] = {0x09, 1, 0, 0, 0, 0, 0, 0, 0x80, 0x15, 2, 1, 0, 0};
    struct rc_cursor in = rc_cursor_over(bytes, sizeof bytes);
    struct protobuf_field field;
    (void)state;

    assert_true(protobuf_next(&in, &field));
    assert_true(field.value == (UINT64_C(1) << 63) + 1);
    assert_true(protobuf_next(&in, &field));
    assert_int_equal(field.number, 2);
    assert_int_equal(field.value, 258);
}

static void what_is_no_message_is_refused(void **state)
{
    static const struct {
        const char *why;
        const char *bytes;
        size_t size;
        int want;
    } cases[] = {
        {"a head and no number", "\x08", 1, RC_ETRUNCATED},
        {"a number that never ends", "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
         12, RC_EMALFORMED},
        {"more bytes than there are",
         "\x12\x05"
         "abc",
         5, RC_ETRUNCATED},
        {"a length of 64 bits", "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11,
         RC_ETRUNCATED},
        {"field 0", "\x00\x01", 2, RC_EMALFORMED},
        {"a group", "\x0b", 1, RC_EMALFORMED},
        {"a field beyond the last", "\x80\x80\x80\x80\x10\x01", 6, RC_EMALFORMED},
        {"half a fixed number", "\x0d\x01\x02", 3, RC_ETRUNCATED},
    };
    struct protobuf_field field;
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rc_cursor in = rc_cursor_over(cases[i].bytes, cases[i].size);
        if (protobuf_next(&in, &field) || in.err != cases[i].want) {
            fail_msg("%s: %s", cases[i].why, rc_strerror(in.err));
        }
    }
}

static void a_fault_inside_is_one_outside(void **state)
{
    static const char bytes[] = "\x0a\x01\x08";
    struct rc_cursor in = rc_cursor_over(bytes, 3);
    struct protobuf_field field;
    struct protobuf_field part;
    (void)state;

    assert_true(protobuf_next(&in, &field));
    struct rc_cursor inner = protobuf_enter(&field);
    assert_false(protobuf_next(&inner, &part));
    protobuf_leave(&in, &inner);

    assert_int_equal(in.err, RC_ETRUNCATED);
    assert_false(protobuf_next(&in, &field));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_any_size_come_back),
        cmocka_unit_test(bytes_are_those_of_the_specification),
        cmocka_unit_test(messages_of_any_length_are_closed_around_what_they_hold),
        cmocka_unit_test(fixed_numbers_are_read_too),
        cmocka_unit_test(what_is_no_message_is_refused),
        cmocka_unit_test(a_fault_inside_is_one_outside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
