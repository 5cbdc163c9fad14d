/* test_candidate.c - who may take the lease, and who goes first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/keeper/candidate.h"
#include "base/err.h"
#include "base/text.h"

/* db1 held term 5 and is gone; db2 and db3 confirmed, either of them; all report as told. */
struct world {
    struct keeper_view view;
    struct candidate_case c;
    struct candidate_choice choice;
};

static struct keeper_seat *seat(struct world *w, const char *node)
{
    for (size_t i = 0; i < w->view.seat_count; i++) {
        if (strcmp(w->view.seats[i].node, node) == 0) {
            return &w->view.seats[i];
        }
    }
    struct keeper_seat *made = &w->view.seats[w->view.seat_count++];
    (void)rc_text_put(made->node, sizeof made->node, node);
    return made;
}

/* Alive, frozen for term 5, on timeline 3 up to `lsn`. */
static struct keeper_seat *reports(struct world *w, const char *node, uint64_t lsn)
{
    struct keeper_seat *made = seat(w, node);

    made->place.exists = true;
    (void)rc_text_put(made->place.session, sizeof made->place.session, node);
    made->record = (struct keeper_member_record){.state = KEEPER_ELECTING,
                                                 .tli = 3,
                                                 .lsn = lsn,
                                                 .replay_lsn = lsn,
                                                 .frozen = 5,
                                                 .priority = 100};
    return made;
}

static void choose(struct world *w, const char *me)
{
    w->c.view = &w->view;
    w->c.me = me;
    w->c.mine = &seat(w, me)->record;
    candidate_choose(&w->c, &w->choice);
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    keeper_view_init(&w->view, "");
    w->view.state_at.exists = true;
    w->view.state = (struct keeper_state_record){.term = 5, .tli = 3, .lsn = 1000};
    (void)rc_text_put(w->view.state.node, sizeof w->view.state.node, "db1");
    w->view.sync_at.exists = true;
    w->view.sync = (struct keeper_sync_record){.term = 5,
                                               .holder = "db1",
                                               .members = {"db2", "db3"},
                                               .member_count = 2,
                                               .quorum = 2,
                                               .k = 1,
                                               .mode = KEEPER_SYNC};
    w->c = (struct candidate_case){.max_lag_bytes = 100,
                                   .restart_budget_ms = 10000,
                                   .free_since_ms = 50000,
                                   .now_ms = 50000};
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    keeper_view_fini(&w->view);
    free(w);
    return 0;
}

static void the_furthest_of_a_quorum_goes_at_once(void **state)
{
    struct world *w = *state;

    (void)reports(w, "db2", 1010);
    (void)reports(w, "db3", 1005);
    choose(w, "db2");
    assert_int_equal(w->choice.verdict, CANDIDATE_GO);
    assert_int_equal(w->choice.right, CANDIDATE_ELECTED);
    choose(w, "db3");
    assert_int_equal(w->choice.verdict, CANDIDATE_CANNOT);
}

static void without_a_quorum_nobody_may(void **state)
{
    struct world *w = *state;

    (void)reports(w, "db2", 1010);
    choose(w, "db2");
    assert_int_equal(w->choice.verdict, CANDIDATE_CANNOT);
    reports(w, "db3", 900)->record.state = KEEPER_STANDBY; /* here, but not frozen */
    choose(w, "db2");
    assert_int_equal(w->choice.verdict, CANDIDATE_CANNOT);
}

static void a_promise_for_an_older_term_does_not_count(void **state)
{
    struct world *w = *state;

    (void)reports(w, "db2", 1010);
    reports(w, "db3", 900)->record.frozen = 4;
    choose(w, "db2");
    assert_int_equal(w->choice.verdict, CANDIDATE_CANNOT);
}

static void a_promise_without_a_position_does_not_count(void **state)
{
    struct world *w = *state;

    (void)reports(w, "db2", 1010);
    reports(w, "db3", 0)->record.tli = 0;
    choose(w, "db2");
    assert_int_equal(w->choice.verdict, CANDIDATE_CANNOT);
}

static void the_promise_of_one_who_has_gone_still_counts(void **state)
{
    struct world *w = *state;

    (void)reports(w, "db2", 1010);
    reports(w, "db3", 900)->place.session[0] = '\0';
    choose(w, "db2");
    assert_int_equal(w->choice.verdict, CANDIDATE_GO);
}

static void who_never_confirmed_is_no_candidate_however_far(void **state)
{
    struct world *w = *state;

    (void)reports(w, "db2", 1000);
    (void)reports(w, "db3", 1000);
    (void)reports(w, "db4", 2000);
    choose(w, "db4");
    assert_int_equal(w->choice.verdict, CANDIDATE_CANNOT);
}

static void a_later_timeline_is_further_than_a_greater_position(void **state)
{
    struct world *w = *state;

    reports(w, "db2", 900)->record.tli = 4;
    (void)reports(w, "db3", 5000);
    choose(w, "db3");
    assert_int_equal(w->choice.verdict, CANDIDATE_CANNOT);
    choose(w, "db2");
    assert_int_equal(w->choice.right, CANDIDATE_ELECTED);
}

static void whoever_has_the_last_position_of_a_clean_stop_may(void **state)
{
    struct world *w = *state;

    w->view.state.clean = true;
    w->view.state.released = true;
    (void)reports(w, "db2", 1000);
    choose(w, "db2");
    assert_int_equal(w->choice.right, CANDIDATE_COMPLETE);
    assert_int_equal(w->choice.verdict, CANDIDATE_GO);
    seat(w, "db2")->record.lsn = 999;
    choose(w, "db2");
    assert_int_equal(w->choice.right, CANDIDATE_NONE);
}

static void the_last_holder_may_but_leaves_others_the_first_go(void **state)
{
    struct world *w = *state;

    (void)reports(w, "db1", 1100);
    choose(w, "db1");
    assert_int_equal(w->choice.right, CANDIDATE_HOLDER);
    assert_int_equal(w->choice.verdict, CANDIDATE_GO);
    (void)reports(w, "db2", 1000);
    choose(w, "db1");
    assert_int_equal(w->choice.verdict, CANDIDATE_WAIT);
    w->c.now_ms = w->choice.until_ms;
    choose(w, "db1");
    assert_int_equal(w->choice.verdict, CANDIDATE_GO);
}

static void never_means_only_the_last_holder(void **state)
{
    struct world *w = *state;

    w->view.sync.quorum = KEEPER_QUORUM_NEVER;
    (void)reports(w, "db2", 5000);
    (void)reports(w, "db3", 5000);
    choose(w, "db2");
    assert_int_equal(w->choice.verdict, CANDIDATE_CANNOT);
    (void)reports(w, "db1", 1000);
    choose(w, "db1");
    assert_int_equal(w->choice.verdict, CANDIDATE_GO);
}

static void whom_a_switchover_names_has_the_first_go(void **state)
{
    struct world *w = *state;

    w->view.state.clean = true;
    w->view.intent =
        (struct keeper_intent_record){.kind = KEEPER_SWITCHOVER, .to = "db3"};
    (void)reports(w, "db2", 1010);
    (void)reports(w, "db3", 1000);
    choose(w, "db2");
    assert_int_equal(w->choice.verdict, CANDIDATE_WAIT);
    assert_int_equal(w->choice.until_ms, 55000);
    choose(w, "db3");
    assert_int_equal(w->choice.verdict, CANDIDATE_GO);
}

static void an_asynchronous_standby_may_when_it_lags_little(void **state)
{
    struct world *w = *state;

    w->view.sync.quorum = 0;
    (void)reports(w, "db2", 900);
    choose(w, "db2");
    assert_int_equal(w->choice.right, CANDIDATE_RECENT);
    assert_int_equal(w->choice.verdict, CANDIDATE_GO);
    seat(w, "db2")->record.lsn = 899;
    choose(w, "db2");
    assert_int_equal(w->choice.right, CANDIDATE_NONE);
}

static void after_a_crash_an_asynchronous_one_waits_for_the_old_primary(void **state)
{
    struct world *w = *state;

    w->view.sync.quorum = 0;
    w->view.state.released = true;
    (void)reports(w, "db2", 1000);
    reports(w, "db1", 0)->record.state = KEEPER_INIT;
    choose(w, "db2");
    assert_int_equal(w->choice.verdict, CANDIDATE_WAIT);
    assert_int_equal(w->choice.until_ms, 60000);
    seat(w, "db1")->record.state = KEEPER_FENCED;
    choose(w, "db2");
    assert_int_equal(w->choice.verdict, CANDIDATE_GO);
}

static void nobody_waits_for_who_cannot_write(void **state)
{
    struct world *w = *state;

    w->view.sync.quorum = 0;
    w->view.state.released = true;
    (void)reports(w, "db2", 1000);
    reports(w, "db1", 1000)->record.cannot_write = true;
    choose(w, "db1");
    assert_int_equal(w->choice.right, CANDIDATE_HOLDER);
    assert_int_equal(w->choice.until_ms, 60000);
    choose(w, "db2");
    assert_true(w->choice.until_ms < 52000);
    seat(w, "db2")->record.cannot_write = true;
    choose(w, "db2");
    assert_int_equal(w->choice.right, CANDIDATE_NONE);
}

static void who_crashes_again_and_again_gives_way_to_who_may_follow(void **state)
{
    struct world *w = *state;

    w->view.sync.quorum = 0;
    w->view.state.released = true;
    reports(w, "db1", 1000)->record.gives_way = true;
    choose(w, "db1"); /* alone: there is nobody to wait for */
    assert_int_equal(w->choice.verdict, CANDIDATE_GO);
    (void)reports(w, "db2", 1000);
    choose(w, "db1");
    assert_int_equal(w->choice.right, CANDIDATE_HOLDER);
    assert_int_equal(w->choice.until_ms, 60000);
    choose(w, "db2");
    assert_int_equal(w->choice.right, CANDIDATE_RECENT);
    assert_true(w->choice.until_ms < 52000);
    seat(w, "db1")->record.gives_way = false;
    choose(w, "db2");
    assert_int_equal(w->choice.until_ms, 60000);
    choose(w, "db1"); /* for whom the other waits */
    assert_int_equal(w->choice.verdict, CANDIDATE_GO);
}

static void who_must_not_is_chosen_only_by_name(void **state)
{
    struct world *w = *state;

    reports(w, "db2", 1010)->record.no_failover = true;
    (void)reports(w, "db3", 1005);
    choose(w, "db2");
    assert_int_equal(w->choice.right, CANDIDATE_NONE);
    w->view.intent =
        (struct keeper_intent_record){.kind = KEEPER_SWITCHOVER, .to = "db2"};
    choose(w, "db2");
    assert_int_equal(w->choice.right, CANDIDATE_ELECTED);
}

static void an_operator_may_accept_loss(void **state)
{
    struct world *w = *state;

    (void)reports(w, "db4", 1);
    w->view.intent = (struct keeper_intent_record){
        .kind = KEEPER_FAILOVER, .to = "db4", .accept_loss = true};
    choose(w, "db4");
    assert_int_equal(w->choice.right, CANDIDATE_FORCED);
    assert_int_equal(w->choice.verdict, CANDIDATE_GO);
}

static void another_clusters_data_is_never_chosen(void **state)
{
    struct world *w = *state;

    (void)rc_text_put(w->view.state.sysid, sizeof w->view.state.sysid, "1");
    (void)reports(w, "db2", 1010);
    (void)reports(w, "db3", 1005);
    (void)rc_text_put(seat(w, "db2")->record.sysid, KEEPER_SYSID_MAX, "2");
    choose(w, "db2");
    assert_int_equal(w->choice.right, CANDIDATE_NONE);
}

#define CLAIM(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(the_furthest_of_a_quorum_goes_at_once),
        CLAIM(without_a_quorum_nobody_may),
        CLAIM(a_promise_for_an_older_term_does_not_count),
        CLAIM(a_promise_without_a_position_does_not_count),
        CLAIM(the_promise_of_one_who_has_gone_still_counts),
        CLAIM(who_never_confirmed_is_no_candidate_however_far),
        CLAIM(a_later_timeline_is_further_than_a_greater_position),
        CLAIM(whoever_has_the_last_position_of_a_clean_stop_may),
        CLAIM(the_last_holder_may_but_leaves_others_the_first_go),
        CLAIM(never_means_only_the_last_holder),
        CLAIM(whom_a_switchover_names_has_the_first_go),
        CLAIM(an_asynchronous_standby_may_when_it_lags_little),
        CLAIM(after_a_crash_an_asynchronous_one_waits_for_the_old_primary),
        CLAIM(nobody_waits_for_who_cannot_write),
        CLAIM(who_crashes_again_and_again_gives_way_to_who_may_follow),
        CLAIM(who_must_not_is_chosen_only_by_name),
        CLAIM(an_operator_may_accept_loss),
        CLAIM(another_clusters_data_is_never_chosen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
