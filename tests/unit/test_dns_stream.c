#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "dns/wire/stream.h"

/* Two messages of 12 and 13 bytes, with their lengths. */
static const uint8_t two[] = "\0\14"
                             "twelve bytes"
                             "\0\15"
                             "thirteen byte";
enum { TWO_SIZE = sizeof two - 1 };

static void messages_come_out_whole_wherever_the_stream_is_split(void **state)
{
    (void)state;
    for (size_t split = 0; split <= TWO_SIZE; split++) {
        struct dns_stream stream = {.at = 0};
        const uint8_t *message;
        size_t sizes[3] = {0};
        size_t count = 0;
        for (int part = 0; part < 2; part++) {
            size_t from = part == 0 ? 0 : split;
            size_t size = part == 0 ? split : TWO_SIZE - split;
            assert_int_equal(dns_stream_feed(&stream, two + from, size), RC_OK);
            while (dns_stream_next(&stream, &message, &sizes[count]) == RC_OK) {
                assert_memory_equal(
                    message, count == 0 ? "twelve bytes" : "thirteen byte", sizes[count]);
                count++;
            }
        }
        assert_int_equal(count, 2);
        assert_int_equal(sizes[0], 12);
        assert_int_equal(sizes[1], 13);
        assert_int_equal(dns_stream_pending(&stream), 0);
        dns_stream_fini(&stream);
    }
}

static void message_shorter_than_a_header_ends_it(void **state)
{
    static const char *const lengths[] = {"\0\0", "\0\1", "\0\13"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct dns_stream stream = {.at = 0};
        const uint8_t *message;
        size_t size;
        assert_int_equal(dns_stream_feed(&stream, lengths[i], 2), RC_OK);
        assert_int_equal(dns_stream_next(&stream, &message, &size), RC_EMALFORMED);
        dns_stream_fini(&stream);
    }
}

static void memory_follows_what_came_not_what_was_claimed(void **state)
{
    struct dns_stream stream = {.at = 0};
    const uint8_t *message;
    size_t size;

    (void)state;
    assert_int_equal(dns_stream_feed(&stream,
                                     "\xff\xff"
                                     "ten bytes.",
                                     12),
                     RC_OK);

    assert_int_equal(dns_stream_next(&stream, &message, &size), RC_EAGAIN);
    assert_int_equal(dns_stream_pending(&stream), 12);
    assert_true(stream.bytes.capacity < 4096);
    dns_stream_fini(&stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_out_whole_wherever_the_stream_is_split),
        cmocka_unit_test(message_shorter_than_a_header_ends_it),
        cmocka_unit_test(memory_follows_what_came_not_what_was_claimed),
    };
    return cmocka_run_group_tests_name("dns_stream", tests, NULL, NULL);
}
