/* test_keeper.c - what one keeper asks for, given what it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/keeper/keeper.h"
#include "agent/keeper/keeper_core.h"
#include "base/err.h"
#include "base/text.h"
#include "tests/unit/keeper_world.h"

static void what_would_not_be_safe_is_refused_in_words(void **state)
{
    struct keeper_options cases[5];
    struct keeper *k = NULL;
    const char *why;

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        cases[i] = keeper_world_options();
    }
    cases[0].ttl_ms = 1999;
    cases[1].renew_ms = 376;
    cases[2].renew_ms = 0;
    cases[3].node = "a\"b";
    cases[4].address = NULL;
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(keeper_create(&cases[i], 0, &k, &why), RC_EINVAL);
        assert_true(strlen(why) > 10);
    }
}

static void an_agent_that_comes_back_does_not_bounce_its_primary(void **state)
{
    struct keeper_world *w = *state;

    keeper_world_hold(w);
    keeper_world_pass(w, 3000);
    assert_int_equal(keeper_world_state(w), KEEPER_PRIMARY);
    assert_int_equal(keeper_world_count(w, KEEPER_KILL), 0);
    assert_int_equal(keeper_world_count(w, KEEPER_START), 0);
    assert_int_equal(keeper_world_count(w, KEEPER_STOP_FAST), 0);
    assert_int_equal(keeper_world_count(w, KEEPER_PROMOTE), 0);
    assert_int_equal(keeper_world_count(w, KEEPER_OPEN_SESSION), 0);
}

static void deadlines_count_from_before_the_renewal_was_sent(void **state)
{
    struct keeper_world *w = *state;
    struct keeper_status status;
    struct keeper_action action;
    uint64_t id = 0;

    keeper_world_hold(w);
    keeper_world_pass(w, 1000);
    w->is_store_silent = true;
    uint64_t sent_ms = 0;
    while (id == 0) {
        w->now_ms += 10;
        keeper_tick(w->k, w->now_ms, w->now_ms);
        while (keeper_next(w->k, &action)) {
            if (action.kind == KEEPER_RENEW) {
                id = action.id;
                sent_ms = w->now_ms;
            }
        }
    }
    w->now_ms += 150; /* on its way */
    keeper_world_answer(w, id, KEEPER_DONE);
    keeper_status(w->k, &status);
    assert_int_equal(status.renewed_ms, sent_ms);
    assert_int_equal(status.soft_ms, sent_ms + 2375);
    assert_int_equal(status.hard_ms, sent_ms + 2500);
    keeper_world_answer(w, id, KEEPER_GONE); /* answered twice: not heard */
    keeper_status(w->k, &status);
    assert_int_equal(status.term, 7);
}

static void a_primary_is_killed_before_its_warden_does_it(void **state)
{
    struct keeper_world *w = *state;

    keeper_world_hold(w);
    keeper_world_pass(w, 1000);
    w->is_store_silent = true;
    keeper_world_pass(w, 1900);
    assert_int_equal(keeper_world_count(w, KEEPER_KILL), 0);
    keeper_world_pass(w, 550);
    assert_true(keeper_world_count(w, KEEPER_KILL) > 0);
    assert_int_equal(keeper_world_state(w), KEEPER_DEMOTING);
}

static void a_primary_whose_warden_is_silent_is_killed_and_not_renewed(void **state)
{
    struct keeper_world *w = *state;

    keeper_world_hold(w);
    keeper_world_pass(w, 1000);
    w->is_warden_silent = true;
    keeper_world_pass(w, 500);
    assert_true(keeper_world_count(w, KEEPER_KILL) > 0);
    size_t renewals = keeper_world_count(w, KEEPER_RENEW);
    keeper_world_pass(w, 1000);
    assert_int_equal(keeper_world_count(w, KEEPER_RENEW), renewals);
}

static void the_warden_always_has_a_deadline_that_an_answer_backs(void **state)
{
    struct keeper_world *w = *state;

    keeper_world_hold(w);
    keeper_world_pass(w, 5000);
    for (size_t i = 0; i < w->asked_count; i++) {
        if (w->asked[i].kind == KEEPER_ARM) {
            assert_true(w->asked[i].deadline_ms <= w->asked[i].sent_ms + 2500);
        }
    }
    assert_true(keeper_world_count(w, KEEPER_ARM) > 5);
    assert_true(w->warden.deadline_ms > w->now_ms + 1500);
}

static void what_is_writable_without_the_lease_is_killed(void **state)
{
    struct keeper_world *w = *state;

    keeper_world_stand_by(w);
    w->probe.in_recovery = false;
    keeper_world_pass(w, 1500);
    assert_true(keeper_world_count(w, KEEPER_KILL) > 0);
}

static void a_standby_attaches_only_after_the_histories_were_compared(void **state)
{
    struct keeper_world *w = *state;
    struct keeper_done done = {.end = KEEPER_DONE,
                               .text = "",
                               .on_tli = 3,
                               .forks = {{2, 600}},
                               .fork_count = 1};

    keeper_world_stand_by(w);
    keeper_world_pass(w, 500);
    assert_int_equal(keeper_world_count(w, KEEPER_READ_HISTORY), 1);
    assert_int_equal(keeper_world_count(w, KEEPER_FOLLOW), 0);
    for (size_t i = 0; i < w->asked_count; i++) {
        done.id = w->asked[i].kind == KEEPER_READ_HISTORY ? w->asked[i].id : done.id;
    }
    keeper_see_done(w->k, w->now_ms, &done);
    keeper_world_pass(w, 300);
    assert_int_equal(keeper_world_count(w, KEEPER_FOLLOW), 1);
}

static void wal_behind_the_fork_is_repaired_not_followed(void **state)
{
    struct keeper_world *w = *state;
    struct keeper_done done = {.end = KEEPER_DONE,
                               .text = "",
                               .on_tli = 3,
                               .forks = {{2, 499}},
                               .fork_count = 1};

    keeper_world_stand_by(w);
    keeper_world_pass(w, 500);
    for (size_t i = 0; i < w->asked_count; i++) {
        done.id = w->asked[i].kind == KEEPER_READ_HISTORY ? w->asked[i].id : done.id;
    }
    keeper_see_done(w->k, w->now_ms, &done);
    keeper_world_pass(w, 300);
    assert_int_equal(keeper_world_state(w), KEEPER_REJOINING);
    assert_int_equal(keeper_world_count(w, KEEPER_FOLLOW), 0);
    assert_int_equal(keeper_world_count(w, KEEPER_STOP_FAST), 1);
}

static void a_candidate_freezes_before_it_asks_for_the_lease(void **state)
{
    struct keeper_world *w = *state;

    keeper_world_stand_by(w);
    keeper_world_pass(w, 500);
    w->probe.has_receiver = true;
    keeper_world_free_lease(w);
    keeper_world_pass(w, 300);
    for (size_t i = 0; i < w->asked_count; i++) {
        assert_string_not_equal(w->asked[i].key, "lease");
    }
    keeper_world_pass(w, 5000); /* what was asked before it takes its time */
    assert_true(keeper_world_count(w, KEEPER_DETACH) > 0);
    keeper_world_do_last(w, KEEPER_DETACH);
    w->probe.has_receiver = false;
    keeper_world_pass(w, 500);
    bool has_asked = false;
    for (size_t i = 0; i < w->asked_count; i++) {
        has_asked = has_asked || strcmp(w->asked[i].key, "lease") == 0;
    }
    assert_true(has_asked);
}

static void nobody_is_elected_while_the_cluster_is_paused(void **state)
{
    struct keeper_world *w = *state;

    keeper_world_stand_by(w);
    keeper_world_put(w, "settings", "{\"paused\":true}", NULL);
    keeper_world_pass(w, 500);
    keeper_world_free_lease(w);
    keeper_world_pass(w, 10000);
    assert_int_equal(keeper_world_state(w), KEEPER_STANDBY);
    assert_int_equal(keeper_world_count(w, KEEPER_DETACH), 0);
}

static void a_stopped_standby_is_started_detached_and_never_otherwise(void **state)
{
    struct keeper_world *w = *state;
    struct keeper_action action;

    w->warden = (struct keeper_warden){.process = KEEPER_NO_PROCESS};
    w->probe = (struct keeper_probe){.reach = KEEPER_NO_SERVER};
    w->is_store_silent = true;
    keeper_see_warden(w->k, w->now_ms, &w->warden);
    while (keeper_next(w->k, &action) && action.kind != KEEPER_LOOK) {
    }
    assert_int_equal(action.kind, KEEPER_LOOK);
    keeper_see_done(w->k, w->now_ms,
                    &(struct keeper_done){.id = action.id,
                                          .end = KEEPER_DONE,
                                          .text = "",
                                          .disk = KEEPER_DISK_CRASHED,
                                          .was_primary = true,
                                          .sysid = "1"});
    while (keeper_next(w->k, &action) && action.kind != KEEPER_START) {
    }
    assert_int_equal(action.kind, KEEPER_START);
    assert_true(action.detached);
}

static void a_switchover_to_nobody_is_refused_in_the_history(void **state)
{
    struct keeper_world *w = *state;

    keeper_world_hold(w);
    keeper_world_pass(w, 1000);
    keeper_world_put(w, "intent", "{\"id\":\"i\",\"kind\":\"switchover\",\"to\":\"db3\"}",
                     NULL);
    for (int i = 0; i < 30 && keeper_world_state(w) == KEEPER_PRIMARY; i++) {
        keeper_world_pass(w, 100);
        for (size_t at = 0; at < w->asked_count; at++) {
            keeper_world_answer(w, w->asked[at].id, KEEPER_REFUSED);
        }
    }
    assert_int_equal(keeper_world_state(w), KEEPER_PRIMARY);
    bool is_told = false;
    for (size_t i = 0; i < w->asked_count; i++) {
        is_told = is_told || strstr(w->asked[i].text, "refused: it is not there") != NULL;
    }
    assert_true(is_told);
}

static void in_a_store_made_anew_only_an_operator_names_who_goes_on(void **state)
{
    struct keeper_world *w = *state;

    keeper_world_put(w, "member/db1", "{}", "s1");
    w->warden = (struct keeper_warden){.process = KEEPER_RUNNING, .run = 1};
    w->probe = (struct keeper_probe){.reach = KEEPER_ANSWERED,
                                     .in_recovery = true,
                                     .tli = 2,
                                     .lsn = 500,
                                     .sysid = "1",
                                     .names = KEEPER_BLOCKED_NAMES};
    keeper_world_pass(w, 3000);
    keeper_world_put(
        w, "intent",
        "{\"id\":\"i\",\"kind\":\"failover\",\"to\":\"db2\",\"accept_loss\":true}", NULL);
    keeper_world_pass(w, 1000);
    assert_int_equal(keeper_world_state(w), KEEPER_STANDBY);
    assert_false(keeper_world_has_asked(w, "state"));

    keeper_world_put(
        w, "intent",
        "{\"id\":\"j\",\"kind\":\"failover\",\"to\":\"db1\",\"accept_loss\":true}", NULL);
    keeper_world_pass(w, 500);
    assert_true(keeper_world_has_asked(w, "state"));
}

static void a_full_disk_moves_the_primary_to_who_confirmed_its_writes(void **state)
{
    struct keeper_world *w = *state;

    keeper_world_hold_with_heir(w, "{\"state\":\"standby\"}");
    keeper_world_pass(w, 1000);
    assert_int_equal(keeper_world_state(w), KEEPER_PRIMARY);
    w->probe.writing = KEEPER_CANNOT_WRITE;
    w->probe.writing_ms = w->now_ms;
    keeper_world_pass(w, 2900);
    assert_int_equal(keeper_world_state(w), KEEPER_PRIMARY);
    keeper_world_pass(w, 500);
    assert_int_equal(keeper_world_state(w), KEEPER_DEMOTING);
}

static void a_disk_that_does_not_answer_in_its_time_is_like_a_full_one(void **state)
{
    struct keeper_world *w = *state;

    keeper_world_hold_with_heir(w, "{\"state\":\"standby\"}");
    keeper_world_pass(w, 1000);
    w->probe.writing = KEEPER_WRITING_AWAITED;
    w->probe.writing_ms = w->now_ms;
    keeper_world_pass(w, 2900);
    assert_int_equal(keeper_world_state(w), KEEPER_PRIMARY);
    keeper_world_pass(w, 500);
    assert_int_equal(keeper_world_state(w), KEEPER_DEMOTING);
}

/* Killed it waits for its disk: whoever is elected need not. */
static void the_lease_is_not_kept_for_who_dies_only_when_its_disk_answers(void **state)
{
    struct keeper_world *w = *state;

    keeper_world_hold_with_heir(w, "{\"state\":\"standby\"}");
    keeper_world_pass(w, 1000);
    w->probe.writing = KEEPER_WRITING_AWAITED;
    w->probe.writing_ms = w->now_ms;
    keeper_world_pass(w, 3500);
    w->warden.process = KEEPER_ENDING;
    keeper_world_pass(w, 2000);
    size_t renewals = keeper_world_count(w, KEEPER_RENEW);
    keeper_world_pass(w, 2000);
    assert_int_equal(keeper_world_count(w, KEEPER_RENEW), renewals);
}

static void who_did_not_end_well_is_released_without_a_look_at_its_disk(void **state)
{
    struct keeper_world *w = *state;

    keeper_world_hold(w);
    keeper_world_pass(w, 1000);
    w->warden.process = KEEPER_NO_PROCESS;
    w->warden.exit_status = 9;
    keeper_world_pass(w, 3000); /* the last word of its position is not answered */
    assert_int_equal(keeper_world_state(w), KEEPER_DEMOTING);
    assert_int_equal(keeper_world_count(w, KEEPER_LOOK), 0);
    bool is_released = false;
    for (size_t i = 0; i < w->asked_count; i++) {
        is_released = is_released || (w->asked[i].sent_ms > KEEPER_WORLD_T0 + 2000 &&
                                      strcmp(w->asked[i].key, "lease") == 0);
    }
    assert_true(is_released);
}

static void in_mode_async_a_full_disk_is_left_by_a_clean_stop(void **state)
{
    struct keeper_world *w = *state;

    keeper_world_hold_with_heir(w, "{\"state\":\"standby\"}");
    keeper_world_put(w, "sync", "{\"term\":7,\"holder\":\"db1\",\"quorum\":0}", NULL);
    keeper_world_put(w, "settings", "{\"mode\":\"async\"}", NULL);
    keeper_world_pass(w, 1000);
    assert_int_equal(keeper_world_state(w), KEEPER_PRIMARY);
    w->probe.writing = KEEPER_CANNOT_WRITE;
    w->probe.writing_ms = w->now_ms;
    keeper_world_pass(w, 4500);
    assert_int_equal(keeper_world_state(w), KEEPER_DEMOTING);
    assert_int_equal(keeper_world_count(w, KEEPER_KILL), 0);
    assert_int_equal(keeper_world_count(w, KEEPER_STOP_FAST), 1);
}

static void what_is_started_by_hand_against_an_order_is_killed_with_words(void **state)
{
    struct keeper_world *w = *state;

    keeper_world_stand_by(w);
    keeper_world_put(w, "order/db1", "{\"id\":\"1\",\"kind\":\"stop\"}", NULL);
    w->warden.process = KEEPER_NO_PROCESS;
    keeper_world_pass(w, 1000);
    assert_int_equal(keeper_world_state(w), KEEPER_STOPPED);
    assert_int_equal(keeper_world_count(w, KEEPER_KILL), 0);
    w->warden = (struct keeper_warden){
        .process = KEEPER_RUNNING, .run = 2, .is_writable_start = true};
    keeper_world_pass(w, 150);
    assert_true(keeper_world_count(w, KEEPER_KILL) > 0);
    assert_true(keeper_world_has_said(w, "was started by somebody else, but"));
}

static void alone_with_a_full_disk_it_stays_and_says_so(void **state)
{
    struct keeper_world *w = *state;
    struct keeper_status status;

    keeper_world_hold(w);
    keeper_world_pass(w, 1000);
    w->probe.writing = KEEPER_CANNOT_WRITE;
    w->probe.writing_ms = w->now_ms;
    keeper_world_pass(w, 7000);
    keeper_status(w->k, &status);
    assert_int_equal(status.state, KEEPER_PRIMARY);
    assert_non_null(strstr(status.problem, "nobody can take over"));
    assert_true(keeper_world_has_said(w, "PostgreSQL cannot write to its disk"));
    w->probe.writing = KEEPER_WRITES;
    keeper_world_pass(w, 500);
    keeper_status(w->k, &status);
    assert_string_equal(status.problem, "");
    assert_true(keeper_world_has_said(w, "can write to its disk again"));
}

static void where_all_disks_are_full_the_primary_stays(void **state)
{
    struct keeper_world *w = *state;

    keeper_world_hold_with_heir(w, "{\"state\":\"standby\",\"no_failover\":true}");
    w->probe.writing = KEEPER_CANNOT_WRITE;
    w->probe.writing_ms = w->now_ms;
    keeper_world_pass(w, 7000);
    assert_int_equal(keeper_world_state(w), KEEPER_PRIMARY);
    assert_int_equal(keeper_world_count(w, KEEPER_KILL), 0);
}

static void who_has_seen_the_store_stall_twice_does_not_stand(void **state)
{
    struct keeper_world *w = *state;

    keeper_world_stand_by(w);
    keeper_world_pass(w, 500);
    for (int i = 0; i < 2; i++) {
        w->is_store_silent = true;
        keeper_world_pass(w, 2000);
        w->is_store_silent = false;
        keeper_world_pass(w, 400);
    }
    keeper_world_free_lease(w);
    keeper_world_pass(w, 500);
    keeper_world_do_last(w, KEEPER_DETACH);
    keeper_world_pass(w, 1000);
    for (size_t i = 0; i < w->asked_count; i++) {
        assert_string_not_equal(w->asked[i].key, "lease");
    }
}

/* What a late answer tells of has been seen, and what came after it too. */
static void an_answer_that_is_older_than_the_view_changes_nothing_in_it(void **state)
{
    struct keeper_world *w = *state;
    uint64_t given_back = 0;

    keeper_world_stand_by(w);
    keeper_world_put(w, "lease", "{\"node\":\"db1\"}", "s1"); /* not wanted any more */
    keeper_world_pass(w, 500);
    for (size_t i = 0; i < w->asked_count; i++) {
        given_back = strcmp(w->asked[i].key, "lease") == 0 ? w->asked[i].id : given_back;
    }
    assert_int_not_equal(given_back, 0);
    uint64_t index = ++w->index;
    keeper_world_put(w, "lease", "{\"node\":\"db2\",\"address\":\"192.0.2.2\"}", "s9");
    keeper_world_pass(w, 500);
    keeper_see_store(
        w->k, w->now_ms,
        &(struct keeper_answer){.id = given_back, .end = KEEPER_DONE, .index = index});
    keeper_world_take(w);
    assert_int_equal(keeper_world_state(w), KEEPER_STANDBY);
    assert_int_equal(keeper_world_count(w, KEEPER_DETACH), 0);
}

static void answer_last_of_the_lease(struct keeper_world *w)
{
    for (size_t i = w->asked_count; i > 0; i--) {
        if (w->asked[i - 1].kind == KEEPER_TXN &&
            strcmp(w->asked[i - 1].key, "lease") == 0) {
            keeper_world_answer(w, w->asked[i - 1].id, KEEPER_DONE);
            return;
        }
    }
}

/* It ends, gives the lease back, and is primary again: the view still says that it is ours. */
static void crash(struct keeper_world *w)
{
    w->warden.process = KEEPER_NO_PROCESS;
    keeper_world_pass(w, 200);
    assert_int_equal(keeper_world_state(w), KEEPER_DEMOTING);
    for (int i = 0; i < 100 && keeper_world_state(w) == KEEPER_DEMOTING; i++) {
        keeper_world_do_last(w, KEEPER_LOOK);
        keeper_world_pass(w, 20);
        answer_last_of_the_lease(w);
    }
    w->warden.process = KEEPER_RUNNING;
    w->warden.run++;
    keeper_world_pass(w, 500);
    assert_int_equal(keeper_world_state(w), KEEPER_PRIMARY);
}

static void a_primary_that_ends_again_and_again_gives_way(void **state)
{
    struct keeper_world *w = *state;
    struct keeper_member_record record;

    keeper_world_hold(w);
    keeper_world_pass(w, 500);
    crash(w);
    keeper_record_make(w->k, &record);
    assert_false(record.gives_way); /* restart_attempts: once it is put up with */
    crash(w);
    keeper_record_make(w->k, &record);
    assert_true(record.gives_way);
    w->is_store_silent = true;
    keeper_world_pass(w, 60000);
    keeper_record_make(w->k, &record);
    assert_false(record.gives_way);
}

static void a_strict_primary_says_that_it_waits(void **state)
{
    struct keeper_world *w = *state;
    struct keeper_status status;

    keeper_world_put(w, "settings", "{\"mode\":\"strict\"}", NULL);
    keeper_world_hold_with_heir(w, "{\"state\":\"standby\"}");
    keeper_world_pass(w, 500);
    keeper_world_do_last(w, KEEPER_SET_NAMES);
    keeper_status(w->k, &status);
    assert_string_equal(status.problem, "");
    w->probe.sender_count = 0;
    keeper_world_pass(w, 5000); /* what is asked of the store meanwhile is not answered */
    keeper_status(w->k, &status);
    assert_string_equal(status.problem, "strict: commits wait for a standby");
    w->probe.sender_count = 1;
    keeper_world_pass(w, 5000);
    keeper_status(w->k, &status);
    assert_string_equal(status.problem, "");
}

static void a_keeper_that_came_back_kills_what_its_warden_watches_no_more(void **state)
{
    struct keeper_world *w = *state;

    keeper_world_hold(w);
    w->is_store_silent = true; /* whose the lease is it cannot know */
    keeper_world_pass(w, 500);
    assert_int_equal(keeper_world_count(w, KEEPER_KILL), 0);
    w->is_warden_silent = true;
    keeper_world_pass(w, 500);
    assert_true(keeper_world_count(w, KEEPER_KILL) > 0);
}

#define CLAIM(f) \
    cmocka_unit_test_setup_teardown(f, keeper_world_set_up, keeper_world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(what_would_not_be_safe_is_refused_in_words),
        CLAIM(an_agent_that_comes_back_does_not_bounce_its_primary),
        CLAIM(deadlines_count_from_before_the_renewal_was_sent),
        CLAIM(a_primary_is_killed_before_its_warden_does_it),
        CLAIM(a_primary_whose_warden_is_silent_is_killed_and_not_renewed),
        CLAIM(the_warden_always_has_a_deadline_that_an_answer_backs),
        CLAIM(what_is_writable_without_the_lease_is_killed),
        CLAIM(a_standby_attaches_only_after_the_histories_were_compared),
        CLAIM(wal_behind_the_fork_is_repaired_not_followed),
        CLAIM(a_candidate_freezes_before_it_asks_for_the_lease),
        CLAIM(nobody_is_elected_while_the_cluster_is_paused),
        CLAIM(a_stopped_standby_is_started_detached_and_never_otherwise),
        CLAIM(a_full_disk_moves_the_primary_to_who_confirmed_its_writes),
        CLAIM(a_disk_that_does_not_answer_in_its_time_is_like_a_full_one),
        CLAIM(the_lease_is_not_kept_for_who_dies_only_when_its_disk_answers),
        CLAIM(who_did_not_end_well_is_released_without_a_look_at_its_disk),
        CLAIM(in_mode_async_a_full_disk_is_left_by_a_clean_stop),
        CLAIM(where_all_disks_are_full_the_primary_stays),
        CLAIM(alone_with_a_full_disk_it_stays_and_says_so),
        CLAIM(what_is_started_by_hand_against_an_order_is_killed_with_words),
        CLAIM(who_has_seen_the_store_stall_twice_does_not_stand),
        CLAIM(an_answer_that_is_older_than_the_view_changes_nothing_in_it),
        CLAIM(a_strict_primary_says_that_it_waits),
        CLAIM(a_keeper_that_came_back_kills_what_its_warden_watches_no_more),
        CLAIM(a_primary_that_ends_again_and_again_gives_way),
        CLAIM(a_switchover_to_nobody_is_refused_in_the_history),
        CLAIM(in_a_store_made_anew_only_an_operator_names_who_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
