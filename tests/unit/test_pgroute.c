/* test_pgroute.c - which server a PostgreSQL session may use, and when it must go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/postgres/pgroute.h"

static const struct rc_address nowhere = {.family = RC_ADDRESS_IPV4};

struct world {
    struct snapshot_member members[3];
    struct snapshot_pool pool;
};

static struct world make(enum upstream_role a, enum upstream_role b, enum upstream_role c)
{
    const enum upstream_role roles[] = {a, b, c};
    struct world w = {
        .pool = {.count = 3, .known = true, .roles_known = true, .primary = 3}};
    for (size_t i = 0; i < 3; i++) {
        char id[] = {(char)('a' + i), '\0'};
        w.members[i] = (struct snapshot_member){.instance = instance_create(id, &nowhere),
                                                .state = UPSTREAM_UP,
                                                .role = roles[i],
                                                .present = true,
                                                .weight = 1};
        if (roles[i] == UPSTREAM_ROLE_PRIMARY) {
            w.pool.primary = i;
        }
    }
    return w;
}

static void end(struct world *w)
{
    for (size_t i = 0; i < 3; i++) {
        instance_release(w->members[i].instance);
    }
}

static const char *pick(struct world *w, const struct pgroute_wish *wish, size_t turn)
{
    w->pool.members = w->members;
    const struct snapshot_member *m = pgroute_pick(&w->pool, wish, turn);
    return m != NULL ? m->instance->id : "-";
}

static enum pgroute_fate fate(struct world *w, size_t index, enum pgroute_kind kind)
{
    const struct pgroute_session session = {kind, 0};
    w->pool.members = w->members;
    return pgroute_fate(&w->pool, w->members[index].instance, &session);
}

static void writers_get_the_primary_or_wait(void **state)
{
    (void)state;
    struct pgroute_wish wish = {.target = CONFIG_TARGET_PRIMARY};
    struct world w =
        make(UPSTREAM_ROLE_STANDBY, UPSTREAM_ROLE_PRIMARY, UPSTREAM_ROLE_STANDBY);
    assert_string_equal(pick(&w, &wish, 0), "b");
    w.pool.primary = 3;
    assert_string_equal(pick(&w, &wish, 0), "-");
    end(&w);
}

static void readers_get_the_standby_with_fewest_sessions(void **state)
{
    (void)state;
    struct pgroute_wish wish = {.target = CONFIG_TARGET_STANDBY};
    struct world w =
        make(UPSTREAM_ROLE_STANDBY, UPSTREAM_ROLE_PRIMARY, UPSTREAM_ROLE_STANDBY);
    instance_begin(w.members[0].instance);
    assert_string_equal(pick(&w, &wish, 0), "c");
    wish.avoid = w.members[2].instance;
    assert_string_equal(pick(&w, &wish, 0), "a");
    end(&w);
}

static void readers_get_the_primary_only_if_allowed(void **state)
{
    (void)state;
    struct pgroute_wish wish = {.target = CONFIG_TARGET_STANDBY};
    struct world w =
        make(UPSTREAM_ROLE_UNKNOWN, UPSTREAM_ROLE_PRIMARY, UPSTREAM_ROLE_UNKNOWN);
    assert_string_equal(pick(&w, &wish, 0), "-");
    wish.fallback_primary = true;
    assert_string_equal(pick(&w, &wish, 0), "b");
    end(&w);
}

static void when_nobody_tells_roles_each_is_tried_in_turn(void **state)
{
    (void)state;
    struct pgroute_wish wish = {.target = CONFIG_TARGET_PRIMARY};
    struct world w = make(UPSTREAM_ROLE_NONE, UPSTREAM_ROLE_NONE, UPSTREAM_ROLE_NONE);
    w.pool.roles_known = false;
    assert_string_equal(pick(&w, &wish, 0), "a");
    assert_string_equal(pick(&w, &wish, 1), "b");
    wish.avoid = w.members[1].instance;
    assert_string_equal(pick(&w, &wish, 1), "c");
    end(&w);
}

static void writers_are_cut_when_their_server_is_not_primary(void **state)
{
    (void)state;
    struct world w =
        make(UPSTREAM_ROLE_STANDBY, UPSTREAM_ROLE_PRIMARY, UPSTREAM_ROLE_UNKNOWN);

    assert_int_equal(fate(&w, 1, PGROUTE_WRITES), PGROUTE_STAY);
    assert_int_equal(fate(&w, 0, PGROUTE_WRITES), PGROUTE_CUT); /* a standby now */
    assert_int_equal(fate(&w, 2, PGROUTE_WRITES), PGROUTE_CUT); /* another is primary */
    w.pool.primary = 3;
    w.members[1].role = UPSTREAM_ROLE_NONE; /* its tag was taken away */
    assert_int_equal(fate(&w, 1, PGROUTE_WRITES), PGROUTE_CUT);
    w.members[1].role = UPSTREAM_ROLE_PRIMARY;
    w.members[1].present = false;
    assert_int_equal(fate(&w, 1, PGROUTE_WRITES), PGROUTE_CUT);
    end(&w);
}

static void a_lack_of_news_cuts_nobody(void **state)
{
    (void)state;
    struct world w =
        make(UPSTREAM_ROLE_STANDBY, UPSTREAM_ROLE_UNKNOWN, UPSTREAM_ROLE_STANDBY);
    assert_int_equal(fate(&w, 1, PGROUTE_WRITES), PGROUTE_STAY);
    end(&w);
}

static void readers_leave_a_server_that_left(void **state)
{
    (void)state;
    struct world w =
        make(UPSTREAM_ROLE_STANDBY, UPSTREAM_ROLE_PRIMARY, UPSTREAM_ROLE_STANDBY);
    w.members[0].present = false;
    assert_int_equal(fate(&w, 0, PGROUTE_READS), PGROUTE_LEAVE);
    assert_int_equal(fate(&w, 1, PGROUTE_READS), PGROUTE_STAY);
    end(&w);
}

static void a_pool_that_is_gone_cuts_its_writers(void **state)
{
    (void)state;
    struct world w = make(UPSTREAM_ROLE_PRIMARY, UPSTREAM_ROLE_NONE, UPSTREAM_ROLE_NONE);
    assert_int_equal(pgroute_fate(NULL, w.members[0].instance,
                                  &(const struct pgroute_session){PGROUTE_WRITES, 0}),
                     PGROUTE_CUT);
    end(&w);
}

static enum pgroute_fate fate_in_term(struct world *w, size_t index,
                                      enum pgroute_kind kind, uint64_t term)
{
    const struct pgroute_session session = {kind, term};
    w->pool.members = w->members;
    return pgroute_fate(&w->pool, w->members[index].instance, &session);
}

static void under_a_lease_writers_need_the_same_holder_and_term(void **state)
{
    (void)state;
    struct world w =
        make(UPSTREAM_ROLE_PRIMARY, UPSTREAM_ROLE_STANDBY, UPSTREAM_ROLE_UNKNOWN);
    w.pool.managed = true;
    w.pool.term = 7;
    assert_int_equal(fate_in_term(&w, 0, PGROUTE_WRITES, 7), PGROUTE_STAY);
    assert_int_equal(fate_in_term(&w, 0, PGROUTE_WRITES, 6), PGROUTE_CUT);
    assert_int_equal(fate_in_term(&w, 1, PGROUTE_WRITES, 7), PGROUTE_CUT);
    w.pool.primary = 3; /* nobody, or nobody knows */
    assert_int_equal(fate_in_term(&w, 0, PGROUTE_WRITES, 7), PGROUTE_CUT);
    end(&w);
}

static void under_a_lease_readers_leave_who_may_not_be_read(void **state)
{
    (void)state;
    struct world w =
        make(UPSTREAM_ROLE_PRIMARY, UPSTREAM_ROLE_STANDBY, UPSTREAM_ROLE_UNKNOWN);
    w.pool.managed = true;
    assert_int_equal(fate_in_term(&w, 1, PGROUTE_READS, 0), PGROUTE_STAY);
    assert_int_equal(fate_in_term(&w, 2, PGROUTE_READS, 0), PGROUTE_LEAVE);
    w.members[1].present = false;
    assert_int_equal(fate_in_term(&w, 1, PGROUTE_READS, 0), PGROUTE_LEAVE);
    end(&w);
}

static void a_session_on_the_primary_can_write_however_it_came_there(void **state)
{
    (void)state;
    const struct pgroute_session reads = {PGROUTE_READS, 0};
    const struct pgroute_session writes = {PGROUTE_WRITES, 5};
    struct world w =
        make(UPSTREAM_ROLE_PRIMARY, UPSTREAM_ROLE_STANDBY, UPSTREAM_ROLE_UNKNOWN);
    w.pool.managed = true;
    w.pool.term = 7;
    w.pool.members = w.members;
    struct pgroute_session got =
        pgroute_session_on(&w.pool, w.members[0].instance, &reads);
    assert_int_equal(got.kind, PGROUTE_WRITES);
    assert_int_equal(got.term, 7);
    got = pgroute_session_on(&w.pool, w.members[1].instance, &reads);
    assert_int_equal(got.kind, PGROUTE_READS);
    got = pgroute_session_on(&w.pool, w.members[0].instance, &writes);
    assert_int_equal(got.term, 5); /* never renewed: it began under another */
    end(&w);
}

static void cancels_go_to_sessions_of_this_term_and_to_readers(void **state)
{
    (void)state;
    struct snapshot_pool managed = {.managed = true, .term = 8};
    struct snapshot_pool other = {.managed = false};

    assert_true(pgroute_may_cancel(&managed, 8));
    assert_true(pgroute_may_cancel(&managed, 0));
    assert_false(pgroute_may_cancel(&managed, 7));
    assert_false(pgroute_may_cancel(&managed, 9));
    assert_true(pgroute_may_cancel(&other, 7));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cancels_go_to_sessions_of_this_term_and_to_readers),
        cmocka_unit_test(under_a_lease_writers_need_the_same_holder_and_term),
        cmocka_unit_test(under_a_lease_readers_leave_who_may_not_be_read),
        cmocka_unit_test(a_session_on_the_primary_can_write_however_it_came_there),
        cmocka_unit_test(writers_get_the_primary_or_wait),
        cmocka_unit_test(readers_get_the_standby_with_fewest_sessions),
        cmocka_unit_test(readers_get_the_primary_only_if_allowed),
        cmocka_unit_test(when_nobody_tells_roles_each_is_tried_in_turn),
        cmocka_unit_test(writers_are_cut_when_their_server_is_not_primary),
        cmocka_unit_test(a_lack_of_news_cuts_nobody),
        cmocka_unit_test(readers_leave_a_server_that_left),
        cmocka_unit_test(a_pool_that_is_gone_cuts_its_writers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
