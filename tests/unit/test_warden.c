/* test_warden.c - when PostgreSQL must die, and the words in which that is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/warden/warden_wire.h"
#include "base/err.h"

enum { NOW = 1000, PID = 77 };

static unsigned tell(struct warden *w, enum warden_order_kind kind, uint64_t term,
                     uint64_t deadline_ms)
{
    static struct warden_order order;

    memset(&order, 0, sizeof order);
    order.kind = kind;
    order.term = term;
    order.deadline_ms = deadline_ms;
    order.pid = PID;
    memcpy(order.data_dir, "/d", sizeof "/d");
    assert_int_equal(warden_order_argument(&order, "postgres"), RC_OK);
    return warden_order(w, &order, NOW);
}

static int open_running(void **state)
{
    struct warden *w = calloc(1, sizeof *w);

    warden_init(w);
    assert_int_equal(tell(w, WARDEN_START, 0, 0), WARDEN_WANT_START);
    warden_started(w, PID, NOW);
    *state = w;
    return 0;
}

static int close_it(void **state)
{
    free(*state);
    return 0;
}

static void the_tree_is_killed_when_the_deadline_has_passed(void **state)
{
    struct warden *w = *state;

    assert_int_equal(tell(w, WARDEN_DEADLINE, 5, NOW + 500), WARDEN_WANT_NOTHING);

    assert_int_equal(warden_due_ms(w), NOW + 500);
    assert_int_equal(warden_tick(w, NOW + 499), WARDEN_WANT_NOTHING);
    assert_int_equal(warden_tick(w, NOW + 500), WARDEN_WANT_KILL);
    assert_int_equal(w->state, WARDEN_KILLING);
    assert_int_equal(w->cause, WARDEN_CAUSE_DEADLINE);
    assert_int_equal(w->kills, 1);
}

static void killing_goes_on_until_nothing_is_left(void **state)
{
    struct warden *w = *state;

    (void)tell(w, WARDEN_KILL, 0, 0);
    assert_int_equal(warden_exited(w, 9, NOW), WARDEN_WANT_KILL);

    assert_int_equal(warden_tick(w, NOW + 1), WARDEN_WANT_KILL);
    assert_int_equal(tell(w, WARDEN_START, 0, 0) & WARDEN_WANT_START, 0);
    assert_int_equal(w->last_answer, WARDEN_RUNS_ALREADY);
    warden_swept(w, NOW + 2);
    assert_int_equal(w->state, WARDEN_IDLE);
    assert_int_equal(w->cause, WARDEN_CAUSE_KILLED);
    assert_int_equal(warden_tick(w, NOW + 3), WARDEN_WANT_NOTHING);
}

static void a_deadline_moves_on_but_never_back_within_its_term(void **state)
{
    static const struct {
        const char *why;
        uint64_t term;
        uint64_t deadline_ms;
        enum warden_answer answer;
        uint64_t then_ms;
    } cases[] = {
        {"the first", 5, NOW + 500, WARDEN_DONE, NOW + 500},
        {"a later one", 5, NOW + 900, WARDEN_DONE, NOW + 900},
        {"an earlier one that was on its way", 5, NOW + 700, WARDEN_DONE, NOW + 900},
        {"of an older term", 4, NOW + 2000, WARDEN_OLD_TERM, NOW + 900},
        {"one that has passed", 6, NOW, WARDEN_DEADLINE_GONE, NOW + 900},
        {"none", 6, 0, WARDEN_NO_SENSE, NOW + 900},
        {"a newer term's earlier one", 6, NOW + 300, WARDEN_DONE, NOW + 300},
    };
    struct warden *w = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)tell(w, WARDEN_DEADLINE, cases[i].term, cases[i].deadline_ms);
        if (w->last_answer != cases[i].answer || w->deadline_ms != cases[i].then_ms) {
            fail_msg("%s: %s", cases[i].why, warden_answer_text(w->last_answer));
        }
    }
}

static void an_order_behind_a_passed_deadline_comes_too_late(void **state)
{
    struct warden *w = *state;
    const struct warden_order later = {
        .kind = WARDEN_DEADLINE, .term = 5, .deadline_ms = NOW + 9000};

    (void)tell(w, WARDEN_DEADLINE, 5, NOW + 500);

    assert_int_equal(warden_order(w, &later, NOW + 600), WARDEN_WANT_KILL);
    assert_int_equal(w->state, WARDEN_KILLING);
}

static void without_a_deadline_nothing_is_due(void **state)
{
    struct warden *w = *state;

    (void)tell(w, WARDEN_DEADLINE, 5, NOW + 500);
    (void)tell(w, WARDEN_NO_DEADLINE, 4, 0);
    assert_int_equal(w->last_answer, WARDEN_OLD_TERM);
    (void)tell(w, WARDEN_NO_DEADLINE, 5, 0);

    assert_int_equal(warden_due_ms(w), UINT64_MAX);
    assert_int_equal(warden_tick(w, NOW + 99999), WARDEN_WANT_NOTHING);
}

static void a_server_that_starts_has_no_deadline_yet_an_adopted_one_keeps_it(void **state)
{
    struct warden *w = *state;

    (void)tell(w, WARDEN_KILL, 0, 0);
    warden_swept(w, NOW);
    (void)tell(w, WARDEN_DEADLINE, 5, NOW + 500);
    assert_int_equal(tell(w, WARDEN_ADOPT, 0, 0), WARDEN_WANT_ADOPT);
    warden_started(w, PID, NOW);
    assert_int_equal(warden_due_ms(w), NOW + 500);

    (void)tell(w, WARDEN_KILL, 0, 0);
    warden_swept(w, NOW);
    (void)tell(w, WARDEN_DEADLINE, 5, NOW + 500);
    assert_int_equal(tell(w, WARDEN_START, 0, 0), WARDEN_WANT_START);
    warden_started(w, PID, NOW);
    assert_int_equal(warden_due_ms(w), UINT64_MAX);
    assert_int_equal(w->runs, 3);
}

static void orphans_are_swept_after_a_crash_and_after_a_stop(void **state)
{
    struct warden *w = *state;

    assert_int_equal(warden_exited(w, 9, NOW), WARDEN_WANT_KILL);
    assert_int_equal(w->cause, WARDEN_CAUSE_ITSELF);
    warden_swept(w, NOW);

    (void)tell(w, WARDEN_START, 0, 0);
    warden_started(w, PID, NOW);
    assert_int_equal(tell(w, WARDEN_STOP_FAST, 0, 0), WARDEN_WANT_SIGINT);
    assert_int_equal(tell(w, WARDEN_STOP_NOW, 0, 0), WARDEN_WANT_SIGQUIT);
    assert_int_equal(warden_exited(w, 0, NOW), WARDEN_WANT_KILL);
    assert_int_equal(w->cause, WARDEN_CAUSE_STOPPED);
}

static void the_warden_ends_only_without_a_server(void **state)
{
    struct warden *w = *state;

    assert_int_equal(tell(w, WARDEN_END, 0, 0), WARDEN_WANT_NOTHING);
    assert_int_equal(w->last_answer, WARDEN_RUNS_ALREADY);
    (void)tell(w, WARDEN_KILL, 0, 0);
    warden_swept(w, NOW);
    assert_int_equal(tell(w, WARDEN_END, 0, 0), WARDEN_WANT_END);
}

static void a_server_that_cannot_start_says_why_in_one_line(void **state)
{
    struct warden *w = *state;

    (void)tell(w, WARDEN_KILL, 0, 0);
    warden_swept(w, NOW);
    (void)tell(w, WARDEN_START, 0, 0);
    warden_not_started(w, "no\nspace");

    assert_int_equal(w->last_answer, WARDEN_REFUSED);
    assert_string_equal(w->problem, "no\\nspace");
    assert_int_equal(w->state, WARDEN_IDLE);
}

/* ---- The messages. */

static void orders_come_back_as_they_were_sent(void **state)
{
    static struct warden_order order;
    static struct warden_order back;
    struct rc_buffer out = {0};

    (void)state;
    order.kind = WARDEN_START;
    order.number = 3;
    order.term = UINT64_MAX;
    order.deadline_ms = 12345678;
    order.pid = PID;
    memcpy(order.session, "s", 2);
    memcpy(order.data_dir, "/d", 3);
    assert_int_equal(warden_order_argument(&order, "/bin/postgres"), RC_OK);
    assert_int_equal(warden_order_argument(&order, ""), RC_OK);
    assert_int_equal(warden_order_argument(&order, "-D"), RC_OK);

    warden_order_write(&order, &out);
    assert_int_equal(warden_order_parse(out.bytes, out.size, &back), RC_OK);
    assert_memory_equal(&order, &back, sizeof order);
    rc_buffer_fini(&out);
}

static void echoes_come_back_as_they_were_sent(void **state)
{
    struct warden_echo echo;
    struct warden_echo back;
    struct rc_buffer out = {0};

    memset(&echo, 0, sizeof echo);
    echo.warden_pid = 9;
    echo.boot_ms = 10;
    echo.warden = *(struct warden *)*state;
    echo.warden.exit_status = -1;

    warden_echo_write(&echo, &out);
    assert_int_equal(warden_echo_parse(out.bytes, out.size, &back), RC_OK);
    assert_memory_equal(&echo, &back, sizeof echo);
    rc_buffer_fini(&out);
}

static void messages_that_were_cut_are_refused(void **state)
{
    static struct warden_order order = {.kind = WARDEN_KEEP, .session = "abc"};
    static struct warden_order back;
    struct rc_buffer out = {0};

    (void)state;
    warden_order_write(&order, &out);
    for (size_t size = 0; size < out.size; size++) {
        assert_int_not_equal(warden_order_parse(out.bytes, size, &back), RC_OK);
    }
    rc_buffer_fini(&out);
}

static void more_arguments_than_there_is_room_for_are_refused(void **state)
{
    static struct warden_order order;

    (void)state;
    for (int i = 0; i < WARDEN_ARGUMENTS_MAX; i++) {
        assert_int_equal(warden_order_argument(&order, "x"), RC_OK);
    }
    assert_int_equal(warden_order_argument(&order, "x"), RC_ETOOBIG);
}

#define ON_RUNNING(claim) cmocka_unit_test_setup_teardown(claim, open_running, close_it)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_RUNNING(the_tree_is_killed_when_the_deadline_has_passed),
        ON_RUNNING(killing_goes_on_until_nothing_is_left),
        ON_RUNNING(a_deadline_moves_on_but_never_back_within_its_term),
        ON_RUNNING(an_order_behind_a_passed_deadline_comes_too_late),
        ON_RUNNING(without_a_deadline_nothing_is_due),
        ON_RUNNING(a_server_that_starts_has_no_deadline_yet_an_adopted_one_keeps_it),
        ON_RUNNING(orphans_are_swept_after_a_crash_and_after_a_stop),
        ON_RUNNING(the_warden_ends_only_without_a_server),
        ON_RUNNING(a_server_that_cannot_start_says_why_in_one_line),
        cmocka_unit_test(orders_come_back_as_they_were_sent),
        ON_RUNNING(echoes_come_back_as_they_were_sent),
        cmocka_unit_test(messages_that_were_cut_are_refused),
        cmocka_unit_test(more_arguments_than_there_is_room_for_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
