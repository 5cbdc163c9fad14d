/* test_store_locks.c - sessions, locks, terms, lock-delay: rules and Consul's words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "tests/unit/store_world.h"

static int setup(void **state)
{
    *state = world_create();
    return 0;
}

static int teardown(void **state)
{
    world_destroy(*state);
    return 0;
}

static bool holds(struct world *w, size_t at, const char *session)
{
    const struct store_pair *pair = world_get(w, at, "k");

    return pair != NULL && pair->session != NULL && strcmp(pair->session, session) == 0;
}

static bool is_free(struct world *w)
{
    const struct store_pair *pair = world_get(w, 0, "k");

    return pair != NULL && pair->session == NULL && pair->term == 0;
}

static void one_holder_at_a_time_and_each_has_a_higher_term(void **state)
{
    struct world *w = *state;
    const char *a = world_session(w, 'a', 0, 0, STORE_RELEASE);
    const char *b = world_session(w, 'b', 0, 0, STORE_RELEASE);

    assert_true(world_one(w, STORE_LOCK, "k", "1", a)->succeeded);
    uint64_t term = w->answer.term;
    assert_true(holds(w, 0, a));
    assert_true(holds(w, 1, a));
    assert_int_equal(world_get(w, 0, "k")->lock_index, 1);
    assert_int_equal(world_get(w, 0, "k")->term, term);
    assert_false(world_one(w, STORE_LOCK, "k", "2", b)->succeeded);
    assert_string_equal(w->answer.failures[0],
                        "failed to lock key \"k\", lock is already held");
    assert_true(world_one(w, STORE_LOCK, "k", "3", a)->succeeded);
    assert_int_equal(w->answer.term, term);
    assert_int_equal(world_get(w, 0, "k")->lock_index, 1);
    assert_true(world_is(w, "k", "3"));

    assert_false(world_one(w, STORE_UNLOCK, "k", "4", b)->succeeded);
    assert_string_equal(
        w->answer.failures[0],
        "failed to unlock key \"k\", lock isn't held, or is held by another session");
    assert_true(world_one(w, STORE_UNLOCK, "k", "4", a)->succeeded);
    assert_true(is_free(w));
    assert_true(world_one(w, STORE_LOCK, "k", "5", b)->succeeded);
    assert_true(w->answer.term > term);
    assert_int_equal(world_get(w, 0, "k")->lock_index, 2);
}

static void a_lock_needs_a_session_that_lives(void **state)
{
    struct world *w = *state;
    const char *a = world_session(w, 'a', 0, 0, STORE_RELEASE);

    assert_int_equal(world_one(w, STORE_LOCK, "k", "1", NULL)->err, RC_EINVAL);
    assert_string_equal(w->answer.text, "missing session");
    (void)world_one(w, STORE_END_SESSION, a, "", NULL);
    assert_int_equal(world_one(w, STORE_LOCK, "k", "1", a)->err, RC_EINVAL);
    assert_string_equal(w->answer.text,
                        "invalid session \"a0000000-0000-4000-8000-000000000000\"");
    assert_null(world_get(w, 0, "k"));
}

static void a_plain_put_keeps_the_holder_and_clears_the_lock_index(void **state)
{
    struct world *w = *state;
    const char *a = world_session(w, 'a', 0, 0, STORE_RELEASE);

    (void)world_one(w, STORE_LOCK, "k", "1", a);
    assert_true(world_one(w, STORE_SET, "k", "2", NULL)->succeeded);
    assert_true(holds(w, 0, a));
    assert_int_equal(world_get(w, 0, "k")->lock_index, 0);
}

static void a_session_that_is_not_renewed_ends_and_frees_its_locks(void **state)
{
    struct world *w = *state;
    const char *a = world_session(w, 'a', 2000, 0, STORE_RELEASE);

    (void)world_one(w, STORE_LOCK, "k", "1", a);
    uint64_t index = world_get(w, 0, "k")->modify_index;
    world_run_ms(w, 1900);
    assert_true(holds(w, 0, a));
    w->heard[0] = '\0';
    world_run_ms(w, 300);

    assert_true(is_free(w));
    assert_true(world_is(w, "k", "1"));
    assert_true(world_get(w, 0, "k")->modify_index >
                index); /* watchers wake, cas fails */
    assert_non_null(strstr(w->heard, "ended a;"));
    assert_non_null(strstr(w->heard, "kv k "));
    assert_false(world_cas(w, "k", "2", index)->succeeded);
}

static void a_session_that_is_renewed_lives_on(void **state)
{
    struct world *w = *state;
    const char *a = world_session(w, 'a', 2000, 0, STORE_RELEASE);

    for (int i = 0; i < 5; i++) {
        world_run_ms(w, 1500);
        w->answer.is_there = false;
        assert_int_equal(
            store_renew_session(w->stores[i % 2], w->now_ms, a, world_done, w), RC_OK);
        assert_int_equal(world_wait(w)->err, RC_OK);
    }
    world_run_ms(w, 2300);
    w->answer.is_there = false;
    assert_int_equal(store_renew_session(w->stores[0], w->now_ms, a, world_done, w),
                     RC_OK);
    assert_int_equal(world_wait(w)->err, RC_ENOTFOUND);
    assert_string_equal(w->answer.text,
                        "Session id 'a0000000-0000-4000-8000-000000000000' not found");
}

static void behavior_delete_takes_the_key_along(void **state)
{
    struct world *w = *state;
    const char *a = world_session(w, 'a', 2000, 0, STORE_DELETE);
    const char *b = world_session(w, 'b', 0, 0, STORE_DELETE);

    (void)world_one(w, STORE_LOCK, "k", "1", a);
    (void)world_one(w, STORE_SET, "k", "2", NULL); /* keeps the holder's lease */
    (void)world_one(w, STORE_LOCK, "l", "1", b);
    world_run_ms(w, 2300);
    assert_null(world_get(w, 0, "k"));
    (void)world_one(w, STORE_END_SESSION, b, "", NULL);
    assert_null(world_get(w, 0, "l"));
    assert_true(world_one(w, STORE_SET, "l", "3", NULL)->succeeded);
    world_run_ms(w, 60000);
    assert_true(world_is(w, "l", "3"));
}

static void a_lock_whose_session_ended_is_refused_until_the_delay_is_over(void **state)
{
    struct world *w = *state;
    const char *a = world_session(w, 'a', 2000, 5000, STORE_RELEASE);
    const char *b = world_session(w, 'b', 0, 0, STORE_RELEASE);

    (void)world_one(w, STORE_LOCK, "k", "1", a);
    world_run_ms(w, 2100);
    assert_true(is_free(w));
    assert_false(world_one(w, STORE_LOCK, "k", "2", b)->succeeded);
    assert_string_equal(w->answer.failures[0],
                        "failed to lock key \"k\" due to lock delay");
    assert_true(world_one(w, STORE_SET, "k", "3", NULL)->succeeded);
    assert_true(world_one(w, STORE_DELETE_KEY, "k", "", NULL)->succeeded);
    world_run_ms(w, 4500);
    assert_false(world_one(w, STORE_LOCK, "k", "4", b)->succeeded);
    world_run_ms(w, 600);
    assert_true(world_one(w, STORE_LOCK, "k", "5", b)->succeeded);
}

static void a_lock_that_was_given_back_has_no_delay(void **state)
{
    struct world *w = *state;
    const char *a = world_session(w, 'a', 0, 5000, STORE_RELEASE);
    const char *b = world_session(w, 'b', 0, 0, STORE_RELEASE);

    (void)world_one(w, STORE_LOCK, "k", "1", a);
    (void)world_one(w, STORE_UNLOCK, "k", "2", a);
    assert_true(world_one(w, STORE_LOCK, "k", "3", b)->succeeded);
}

static void a_destroyed_session_leaves_the_delay(void **state)
{
    struct world *w = *state;
    const char *a = world_session(w, 'a', 0, 5000, STORE_RELEASE);
    const char *b = world_session(w, 'b', 0, 0, STORE_RELEASE);

    (void)world_one(w, STORE_LOCK, "k", "1", a);
    assert_true(world_one(w, STORE_END_SESSION, a, "", NULL)->succeeded);
    assert_true(is_free(w));
    assert_false(world_one(w, STORE_LOCK, "k", "2", b)->succeeded);
    world_run_ms(w, 5100);
    assert_true(world_one(w, STORE_LOCK, "k", "2", b)->succeeded);
    assert_true(
        world_one(w, STORE_END_SESSION, a, "", NULL)->succeeded); /* unknown: true */
}

static void a_deleted_key_frees_its_lock_without_a_delay(void **state)
{
    struct world *w = *state;
    const char *a = world_session(w, 'a', 0, 5000, STORE_RELEASE);
    const char *b = world_session(w, 'b', 0, 0, STORE_RELEASE);

    (void)world_one(w, STORE_LOCK, "k", "1", a);
    (void)world_one(w, STORE_DELETE_KEY, "k", "", NULL);
    assert_true(world_one(w, STORE_LOCK, "k", "2", b)->succeeded);
    (void)world_one(w, STORE_DELETE_TREE, "", "", NULL);
    assert_true(world_one(w, STORE_LOCK, "k", "3", a)->succeeded);
    assert_true(holds(w, 0, a));
}

static void a_session_is_shown_as_it_was_made(void **state)
{
    struct world *w = *state;
    static const char *const nodes[] = {"serfHealth", "disk"};
    static const char *const services[] = {"service:web"};
    struct store_session session = {.id = "e0000000-0000-4000-8000-000000000000",
                                    .name = "lock",
                                    .node = "n1",
                                    .lock_delay_ms = 15000,
                                    .behavior = STORE_DELETE,
                                    .ttl_ms = 15000,
                                    .ttl_text = "15.0s",
                                    .node_checks = nodes,
                                    .node_check_count = 2,
                                    .service_checks = services,
                                    .service_check_count = 1};
    struct store_session out;

    w->answer.is_there = false;
    assert_int_equal(
        store_create_session(w->stores[0], w->now_ms, &session, NULL, world_done, w),
        RC_OK);
    assert_true(world_wait(w)->succeeded);
    world_run_ms(w, 1);

    assert_true(store_next_session(w->stores[1], NULL, &out));
    assert_string_equal(out.id, session.id);
    assert_string_equal(out.name, "lock");
    assert_string_equal(out.ttl_text, "15.0s");
    assert_int_equal(out.lock_delay_ms, 15000);
    assert_int_equal(out.behavior, STORE_DELETE);
    assert_int_equal(out.node_check_count, 2);
    assert_string_equal(out.node_checks[1], "disk");
    assert_string_equal(out.service_checks[0], "service:web");
    assert_int_equal(out.create_index, w->answer.revision);
    assert_false(store_next_session(w->stores[1], out.id, &out));
    w->answer.is_there = false;
    (void)store_create_session(w->stores[0], w->now_ms, &session, NULL, world_done, w);
    assert_int_equal(world_wait(w)->err, RC_EEXISTS);
}

static void ttls_beyond_their_bounds_are_refused(void **state)
{
    struct world *w = *state;

    (void)world_session(w, 'a', 999, 0, STORE_RELEASE);
    assert_int_equal(w->answer.err, RC_EINVAL);
    (void)world_session(w, 'a', 86400001, 0, STORE_RELEASE);
    assert_int_equal(w->answer.err, RC_EINVAL);
    (void)world_session(w, 'a', 1000, 0, STORE_RELEASE);
    assert_true(w->answer.succeeded);
}

/* What reads of a view come to within a second. */
static bool settles(struct world *w, const char *name, enum store_reach reach)
{
    const struct store_view view = {STORE_KV, reach, rc_pack_text(name)};

    w->answer.is_there = false;
    assert_int_equal(store_settle(w->stores[0], w->now_ms, &view, world_done, w), RC_OK);
    world_run_ms(w, 1000);
    bool is_there = w->answer.is_there;
    while (!w->answer.is_there) {
        world_run_ms(w, 1000);
    }
    return is_there && w->answer.err == RC_OK;
}

static bool reads(struct world *w, enum store_verb verb, const char *key)
{
    const struct store_op op = {.verb = verb, .key = rc_pack_text(key)};

    w->answer.is_there = false;
    assert_int_equal(store_submit(w->stores[0], w->now_ms, &op, 1, NULL, world_done, w),
                     RC_OK);
    world_run_ms(w, 1000);
    bool is_there = w->answer.is_there;
    while (!w->answer.is_there) {
        world_run_ms(w, 1000);
    }
    return is_there && w->answer.err == RC_OK;
}

static void an_ended_lock_that_cannot_be_written_down_holds_up_its_key_alone(void **state)
{
    struct world *w = *state;
    const struct engine_memory_faults full = {.is_full = true};
    const struct engine_memory_faults none = {.is_full = false};
    const char *a = world_session(w, 'a', 2000, 0, STORE_RELEASE);

    (void)world_one(w, STORE_SET, "other", "1", NULL);
    (void)world_one(w, STORE_LOCK, "dir/k", "1", a);
    world_run_ms(w, 1000);
    engine_memory_set_faults(w->memory, &full);
    world_run_ms(w, 1500);

    assert_true(settles(w, "other", STORE_ONE));
    assert_true(settles(w, "oth", STORE_UNDER));
    assert_true(settles(w, "dir", STORE_ONE));
    assert_false(settles(w, "dir/k", STORE_ONE));
    assert_false(settles(w, "dir/", STORE_UNDER));
    assert_true(reads(w, STORE_GET, "other"));
    assert_true(reads(w, STORE_GET_TREE, "o"));
    assert_false(reads(w, STORE_GET, "dir/k"));
    assert_false(reads(w, STORE_GET_TREE, ""));
    engine_memory_set_faults(w->memory, &none);
    assert_true(settles(w, "dir/k", STORE_ONE));
}

static void reads_of_what_the_mirror_has_ask_nobody(void **state)
{
    struct world *w = *state;
    const struct store_op ops[] = {
        {.verb = STORE_GET, .key = rc_pack_text("k")},
        {.verb = STORE_GET_TREE, .key = rc_pack_text("")},
    };
    const struct store_op write = {.verb = STORE_DELETE_KEY, .key = rc_pack_text("k")};

    (void)world_one(w, STORE_SET, "k", "1", NULL);
    world_run_ms(w, 1);
    engine_memory_lose_leader(w->memory, w->now_ms + 5000);
    w->answer.is_there = false;
    assert_int_equal(store_look(w->stores[0], w->now_ms, ops, 2, world_done, w), RC_OK);
    world_run_ms(w, 1);

    assert_true(w->answer.is_there);
    assert_true(w->answer.succeeded);
    assert_int_equal(w->answer.result_count, 2);
    assert_string_equal(w->answer.values[0], "1");
    assert_int_equal(store_look(w->stores[0], w->now_ms, &write, 1, world_done, w),
                     RC_EINVAL);
}

static const struct answer *retime(struct world *w, size_t at, const char *id,
                                   uint64_t ttl_ms, uint64_t index)
{
    const struct store_retime retime = {
        .id = id, .ttl_ms = ttl_ms, .ttl_text = "its text", .index = index};

    w->answer.is_there = false;
    int err = store_retime_session(w->stores[at], w->now_ms, &retime, world_done, w);
    if (err != RC_OK) {
        w->answer = (struct answer){.is_there = true, .err = err};
    }
    return world_wait(w);
}

static const struct answer *renew(struct world *w, size_t at, const char *id)
{
    w->answer.is_there = false;
    assert_int_equal(store_renew_session(w->stores[at], w->now_ms, id, world_done, w),
                     RC_OK);
    return world_wait(w);
}

static uint64_t index_of(struct world *w, const char *id)
{
    struct store_session session;

    assert_true(store_read_session(w->stores[0], id, &session));
    return session.modify_index;
}

static void a_session_with_a_new_time_keeps_its_locks_and_their_terms(void **state)
{
    struct world *w = *state;
    const char *a = world_session(w, 'a', 2000, 0, STORE_DELETE);
    struct store_session session;

    (void)world_one(w, STORE_LOCK, "k", "1", a);
    uint64_t term = world_get(w, 0, "k")->term;
    assert_int_equal(retime(w, 0, a, 30000, index_of(w, a))->err, RC_OK);
    assert_true(w->answer.succeeded);
    world_run_ms(w, 25000);

    assert_true(holds(w, 0, a));
    assert_true(world_is(w, "k", "1"));
    assert_int_equal(world_get(w, 1, "k")->term, term);
    assert_true(store_read_session(w->stores[0], a, &session));
    assert_int_equal(session.ttl_ms, 30000);
    assert_string_equal(session.ttl_text, "its text");
    world_run_ms(w, 10000);
    assert_null(world_get(w, 0, "k"));
}

static void a_session_with_a_shorter_time_ends_after_that(void **state)
{
    struct world *w = *state;
    const char *a = world_session(w, 'a', 30000, 0, STORE_DELETE);

    (void)world_one(w, STORE_LOCK, "k", "1", a);
    assert_int_equal(retime(w, 0, a, 2000, index_of(w, a))->err, RC_OK);
    world_run_ms(w, 1500);
    assert_int_equal(renew(w, 1, a)->err, RC_OK);
    world_run_ms(w, 1500);
    assert_true(holds(w, 0, a));
    world_run_ms(w, 2000);
    assert_null(world_get(w, 0, "k"));
    assert_int_equal(renew(w, 1, a)->err, RC_ENOTFOUND);
}

static void a_new_time_is_refused_when_another_was_set_meanwhile(void **state)
{
    struct world *w = *state;
    const char *a = world_session(w, 'a', 2000, 0, STORE_DELETE);
    uint64_t index = index_of(w, a);

    assert_int_equal(retime(w, 0, a, 30000, index)->err, RC_OK);
    assert_int_equal(retime(w, 1, a, 2000, index)->err, RC_ECONFLICT);
    assert_int_equal(retime(w, 0, a, 10, index_of(w, a))->err, RC_EINVAL);
    (void)world_one(w, STORE_END_SESSION, a, "", NULL);
    assert_int_equal(retime(w, 0, a, 2000, index)->err, RC_ENOTFOUND);
}

static void unheard(void *context, const struct store_outcome *outcome)
{
    (void)context;
    assert_int_equal(outcome->err, RC_OK);
}

static void a_key_that_is_locked_anew_meanwhile_goes_with_the_new_lease(void **state)
{
    struct world *w = *state;
    const char *a = world_session(w, 'a', 2000, 0, STORE_DELETE);
    const struct store_retime longer = {
        .id = a, .ttl_ms = 30000, .ttl_text = "30s", .index = index_of(w, a)};
    const struct store_op again = {.verb = STORE_LOCK,
                                   .table = STORE_KV,
                                   .key = rc_pack_text("k"),
                                   .value = rc_pack_text("2"),
                                   .session = a};

    (void)world_one(w, STORE_LOCK, "k", "1", a);
    assert_int_equal(
        store_retime_session(w->stores[1], w->now_ms, &longer, unheard, NULL), RC_OK);
    w->answer.is_there = false;
    assert_int_equal(
        store_submit(w->stores[0], w->now_ms, &again, 1, NULL, world_done, w), RC_OK);
    world_run_ms(w, 1000);
    assert_true(w->answer.is_there);
    world_run_ms(w, 20000);

    assert_true(holds(w, 0, a));
    assert_true(world_is(w, "k", "2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_holder_at_a_time_and_each_has_a_higher_term,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_lock_needs_a_session_that_lives, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            a_plain_put_keeps_the_holder_and_clears_the_lock_index, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_session_that_is_not_renewed_ends_and_frees_its_locks, setup, teardown),
        cmocka_unit_test_setup_teardown(a_session_that_is_renewed_lives_on, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(behavior_delete_takes_the_key_along, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            a_lock_whose_session_ended_is_refused_until_the_delay_is_over, setup,
            teardown),
        cmocka_unit_test_setup_teardown(a_lock_that_was_given_back_has_no_delay, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_destroyed_session_leaves_the_delay, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_deleted_key_frees_its_lock_without_a_delay,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            an_ended_lock_that_cannot_be_written_down_holds_up_its_key_alone, setup,
            teardown),
        cmocka_unit_test_setup_teardown(reads_of_what_the_mirror_has_ask_nobody, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_session_is_shown_as_it_was_made, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(ttls_beyond_their_bounds_are_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            a_session_with_a_new_time_keeps_its_locks_and_their_terms, setup, teardown),
        cmocka_unit_test_setup_teardown(a_session_with_a_shorter_time_ends_after_that,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_new_time_is_refused_when_another_was_set_meanwhile, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_key_that_is_locked_anew_meanwhile_goes_with_the_new_lease, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
