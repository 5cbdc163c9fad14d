/* test_lzw.c - what we pack is what is unpacked, whatever it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/gossip/lzw.h"
#include "base/err.h"
#include "base/random.h"

static void assert_round_trip(const uint8_t *bytes, size_t size)
{
    struct rc_buffer packed = {0};
    struct rc_buffer plain = {0};

    assert_int_equal(lzw_encode(bytes, size, &packed), RC_OK);
    assert_int_equal(lzw_decode(packed.bytes, packed.size, size, &plain), RC_OK);
    assert_int_equal(plain.size, size);
    assert_memory_equal(plain.bytes, bytes, size);
    rc_buffer_fini(&packed);
    rc_buffer_fini(&plain);
}

static void what_is_packed_comes_back(void **state)
{
    struct rc_random random;
    enum { SIZE_MAX_TRIED = 40000 };
    uint8_t *bytes = malloc(SIZE_MAX_TRIED);

    (void)state;
    assert_non_null(bytes);
    rc_random_init(&random, 1);
    for (unsigned i = 0; i < 300; i++) {
        size_t size = 1 + (size_t)rc_random_below(&random, SIZE_MAX_TRIED);
        uint64_t letters = 1 + rc_random_below(&random, 256); /* from runs to noise */
        for (size_t k = 0; k < size; k++) {
            bytes[k] = (uint8_t)rc_random_below(&random, letters);
        }
        assert_round_trip(bytes, size);
    }
    free(bytes);
}

static void short_ones_come_back_too(void **state)
{
    static const uint8_t bytes[] = "aaaaaaaaaaaaaaaaaaaaaaa";

    (void)state;
    for (size_t size = 1; size < sizeof bytes; size++) {
        assert_round_trip(bytes, size);
    }
}

/* A clear first, as Go writes it; then the textbook. */
static void the_codes_are_those_of_go(void **state)
{
    static const char text[] = "TOBEORNOTTOBEORTOBEORNOT";
    static const uint16_t codes[] = {256, 'T', 'O', 'B', 'E', 'O', 'R', 'N', 'O',
                                     'T', 258, 260, 262, 267, 261, 263, 265, 257};
    struct rc_buffer packed = {0};
    uint8_t want[32] = {0};
    size_t bit = 0;

    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        for (unsigned k = 0; k < 9; k++, bit++) { /* all of them are 9 bits wide */
            want[bit / 8] |= (uint8_t)((codes[i] >> k & 1U) << (bit % 8));
        }
    }
    assert_int_equal(lzw_encode((const uint8_t *)text, sizeof text - 1, &packed), RC_OK);
    assert_int_equal(packed.size, (bit + 7) / 8);
    assert_memory_equal(packed.bytes, want, packed.size);
    rc_buffer_fini(&packed);
}

static void nothing_cannot_be_packed(void **state)
{
    struct rc_buffer packed = {0};

    (void)state;
    assert_int_equal(lzw_encode(NULL, 0, &packed), RC_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_packed_comes_back),
        cmocka_unit_test(short_ones_come_back_too),
        cmocka_unit_test(the_codes_are_those_of_go),
        cmocka_unit_test(nothing_cannot_be_packed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
