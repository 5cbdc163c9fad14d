/* test_slab.c - buffers are lent up to a ceiling, and hold a queue of bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/worker/slab.h"

static void ceiling_is_never_passed(void **state)
{
    struct slab slab;
    struct slab_buffer *buffers[3];
    (void)state;

    slab_init(&slab, 3 * sizeof(struct slab_buffer));
    for (size_t i = 0; i < 3; i++) {
        buffers[i] = slab_lend(&slab);
        assert_non_null(buffers[i]);
    }
    assert_null(slab_lend(&slab));
    assert_int_equal(slab.refusals, 1);
    slab_return(&slab, &buffers[1]);
    assert_null(buffers[1]);
    buffers[1] = slab_lend(&slab);
    assert_non_null(buffers[1]);
    for (size_t i = 0; i < 3; i++) {
        slab_return(&slab, &buffers[i]);
    }
    slab_fini(&slab);
}

static void bytes_leave_in_the_order_they_came(void **state)
{
    struct slab slab;
    static char block[SLAB_BYTES];
    (void)state;

    slab_init(&slab, 1 << 20);
    struct slab_buffer *buffer = slab_lend(&slab);
    assert_non_null(buffer);
    memset(block, 'a', sizeof block);
    slab_append(buffer, block, sizeof block - 1);
    slab_consume(buffer, 10);
    slab_append(buffer, "z", 1);
    assert_int_equal(slab_room(buffer), 10);
    assert_int_equal(slab_size(buffer), SLAB_BYTES - 10);
    assert_int_equal(buffer->bytes[buffer->end - 1], 'z');
    slab_consume(buffer, slab_size(buffer));
    assert_int_equal(slab_room(buffer), SLAB_BYTES);
    slab_return(&slab, &buffer);
    slab_return(&slab, &buffer);
    slab_fini(&slab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ceiling_is_never_passed),
        cmocka_unit_test(bytes_leave_in_the_order_they_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
