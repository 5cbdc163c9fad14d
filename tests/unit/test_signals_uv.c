/* test_signals_uv.c - being told by a signal, and not dying of one that comes late. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/signals_uv.h"

struct heard {
    struct rc_signals signals;
    unsigned count[SIGTERM + 1];
    unsigned closed;
};

static void on_signal(void *context, int number)
{
    struct heard *heard = context;
    assert_in_range(number, 0, SIGTERM);
    heard->count[number]++;
    if (number == SIGTERM) {
        rc_signals_close(&heard->signals, NULL);
    }
}

static void on_closed(void *context)
{
    struct heard *heard = context;
    heard->closed++;
}

static void open_them(uv_loop_t *loop, struct heard *heard)
{
    assert_int_equal(uv_loop_init(loop), 0);
    assert_int_equal(rc_signals_open(&heard->signals, loop, 0, on_signal, heard), RC_OK);
    /* libuv polls only while something lives. */
    uv_ref((uv_handle_t *)&heard->signals.poll);
}

static void each_of_the_three_is_told(void **state)
{
    struct heard heard = {0};
    uv_loop_t loop;
    (void)state;

    open_them(&loop, &heard);
    (void)raise(SIGHUP);
    (void)raise(SIGINT);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    rc_signals_close(&heard.signals, on_closed);
    (void)uv_run(&loop, UV_RUN_DEFAULT);

    assert_int_equal(heard.count[SIGHUP], 1);
    assert_int_equal(heard.count[SIGINT], 1);
    assert_int_equal(heard.count[SIGTERM], 0);
    assert_int_equal(heard.closed, 1);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void whoever_closes_when_told_is_told_no_more_and_lives(void **state)
{
    struct heard heard = {0};
    uv_loop_t loop;
    (void)state;

    open_them(&loop, &heard);
    (void)raise(SIGTERM);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    (void)raise(SIGTERM);
    (void)raise(SIGINT);
    (void)raise(SIGHUP);
    (void)uv_run(&loop, UV_RUN_DEFAULT);

    assert_int_equal(heard.count[SIGTERM], 1);
    assert_int_equal(heard.count[SIGINT] + heard.count[SIGHUP], 0);
    assert_int_equal(uv_loop_close(&loop), 0);
    (void)raise(SIGTERM);
}

static void nothing_is_told_and_the_loop_ends_alone(void **state)
{
    struct heard heard = {0};
    uv_loop_t loop;
    (void)state;

    open_them(&loop, &heard);
    uv_unref((uv_handle_t *)&heard.signals.poll);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    rc_signals_close(&heard.signals, on_closed);
    (void)uv_run(&loop, UV_RUN_DEFAULT);

    assert_int_equal(heard.closed, 1);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    /* The last leaves signals pending, which a new descriptor would read: it comes last. */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_of_the_three_is_told),
        cmocka_unit_test(nothing_is_told_and_the_loop_ends_alone),
        cmocka_unit_test(whoever_closes_when_told_is_told_no_more_and_lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
