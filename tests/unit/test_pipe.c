/* test_pipe.c - pipes are large, then smaller, then there are none; what they hold is not lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/worker/pipe_uv.h"

static void sizes_go_down_until_there_is_none(void **state)
{
    struct pipe_pool pool;
    (void)state;

    pipe_pool_init(&pool);
    assert_int_equal(pipe_next_class(&pool, PIPE_CLASS_LARGE), PIPE_CLASS_LARGE);
    pool.count[PIPE_CLASS_LARGE] = PIPE_LARGE_MAX;
    assert_int_equal(pipe_next_class(&pool, PIPE_CLASS_LARGE), PIPE_CLASS_MIDDLE);
    pool.count[PIPE_CLASS_MIDDLE] = PIPE_MIDDLE_MAX;
    assert_int_equal(pipe_next_class(&pool, PIPE_CLASS_LARGE), PIPE_CLASS_SMALL);
    pool.count[PIPE_CLASS_SMALL] = PIPE_SMALL_MAX;
    assert_int_equal(pipe_next_class(&pool, PIPE_CLASS_LARGE), PIPE_CLASS_COUNT);
    assert_null(pipe_lend(&pool));
    pool.count[PIPE_CLASS_LARGE] = 0;
    assert_int_equal(pipe_next_class(&pool, PIPE_CLASS_MIDDLE), PIPE_CLASS_COUNT);
}

static void empty_pipes_are_lent_again(void **state)
{
    struct pipe_pool pool;
    (void)state;

    pipe_pool_init(&pool);
    struct pipe *pipe = pipe_lend(&pool);
    assert_non_null(pipe);
    assert_true(pipe->size >= PIPE_SMALL);
    struct pipe *same = pipe;
    pipe_return(&pool, &pipe);
    assert_null(pipe);
    pipe = pipe_lend(&pool);
    assert_ptr_equal(pipe, same);
    pipe_return(&pool, &pipe);
    pipe_return(&pool, &pipe);
    assert_int_equal(pool.kept_count, 1);
    pipe_pool_fini(&pool);
}

static void few_unused_pipes_are_kept(void **state)
{
    struct pipe_pool pool;
    struct pipe *pipes[PIPE_KEPT_MAX + 2];
    (void)state;

    pipe_pool_init(&pool);
    for (size_t i = 0; i < PIPE_KEPT_MAX + 2; i++) {
        pipes[i] = pipe_lend(&pool);
        assert_non_null(pipes[i]);
    }
    for (size_t i = 0; i < PIPE_KEPT_MAX + 2; i++) {
        pipe_return(&pool, &pipes[i]);
    }
    assert_int_equal(pool.kept_count, PIPE_KEPT_MAX);
    pipe_pool_fini(&pool);
}

static void bytes_pass_and_what_is_left_goes_with_its_pipe(void **state)
{
    struct pipe_pool pool;
    int from[2];
    int to[2];
    char bytes[8] = {0};
    size_t moved = 0;
    (void)state;

    pipe_pool_init(&pool);
    assert_int_equal(pipe(from), 0);
    assert_int_equal(pipe(to), 0);
    struct pipe *pipe = pipe_lend(&pool);
    assert_int_equal(pipe_fill(pipe, from[0], 100), PIPE_BLOCKED);
    assert_int_equal(write(from[1], "abcdef", 6), 6);
    assert_int_equal(pipe_fill(pipe, from[0], 4), PIPE_MOVED);
    assert_int_equal(pipe->held, 4);
    assert_int_equal(pipe_drain(pipe, to[1], PIPE_AFTER_MORE, &moved), PIPE_MOVED);
    assert_int_equal(moved, 4);
    assert_int_equal(read(to[0], bytes, sizeof bytes), 4);
    assert_string_equal(bytes, "abcd");

    assert_int_equal(pipe_fill(pipe, from[0], 100), PIPE_MOVED);
    (void)close(from[1]);
    pipe_return(&pool, &pipe);
    assert_int_equal(pool.kept_count, 0);
    pipe = pipe_lend(&pool);
    assert_int_equal(pipe_fill(pipe, from[0], 100), PIPE_ENDED);
    pipe_return(&pool, &pipe);
    (void)close(from[0]);
    (void)close(to[0]);
    (void)close(to[1]);
    pipe_pool_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_go_down_until_there_is_none),
        cmocka_unit_test(empty_pipes_are_lent_again),
        cmocka_unit_test(few_unused_pipes_are_kept),
        cmocka_unit_test(bytes_pass_and_what_is_left_goes_with_its_pipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
