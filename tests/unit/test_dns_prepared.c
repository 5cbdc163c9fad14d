#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/dns/dns_prepared.h"
#include "agent/prepared/prepared_book.h"
#include "base/err.h"
#include "tests/unit/dns_catalogs.h"

struct fixture {
    struct dns_catalogs *catalogs;
    struct dns_prepared *prepared;
    struct prepared_book *book;
    enum dns_certainty certainty;
    size_t sorted;
};

static uint64_t no_serial(void *context)
{
    (void)context;
    return 1;
}

static bool shows_no_pg2(void *context, enum dns_gate_kind kind, const char *name)
{
    (void)context;
    return kind != DNS_GATE_NODE || strcmp(name, "pg2") != 0;
}

static const struct prepared_book *book_of(void *context, enum dns_certainty *certainty)
{
    const struct fixture *f = context;

    *certainty = f->certainty;
    return f->book;
}

static void sort_backwards(void *context, const char *near,
                           const struct catalog_service **found, size_t count)
{
    struct fixture *f = context;

    assert_string_equal(near, "_agent");
    f->sorted++;
    for (size_t i = 0; i < count / 2; i++) {
        const struct catalog_service *other = found[i];
        found[i] = found[count - 1 - i];
        found[count - 1 - i] = other;
    }
}

static void open_prepared(struct fixture *f, const struct dns_gate *gate)
{
    assert_int_equal(
        dns_prepared_create(f->catalogs->ours, f->catalogs->board, gate, &f->prepared),
        RC_OK);
    const struct dns_board_queries queries = dns_prepared_queries(f->prepared);
    dns_board_set_queries(f->catalogs->reader, &queries);
}

static int set_up(void **state)
{
    static struct fixture fixture;
    const struct dns_gate open = {0};
    void *catalogs;

    memset(&fixture, 0, sizeof fixture);
    (void)dns_catalogs_set_up(&catalogs);
    fixture.catalogs = catalogs;
    open_prepared(&fixture, &open);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    void *catalogs = f->catalogs;

    dns_prepared_destroy(f->prepared);
    prepared_book_destroy(f->book);
    return dns_catalogs_tear_down(&catalogs);
}

static const struct dns_picked *picked(const struct fixture *f, const char *name,
                                       enum dns_certainty *certainty)
{
    const struct dns_view *view = f->catalogs->view;

    dns_catalogs_turn(f->catalogs);
    view->begin(view->context);
    return view->query(view->context, rc_span_of(name), certainty);
}

static size_t count_picked(const struct fixture *f, const char *name)
{
    enum dns_certainty certainty;
    const struct dns_picked *found = picked(f, name, &certainty);
    return found != NULL ? found->service.instance_count : 0;
}

static void add_query(struct fixture *f, const char *text)
{
    assert_int_equal(prepared_book_add(f->book, text, strlen(text)), RC_OK);
}

static void set_queries(struct fixture *f)
{
    const struct dns_prepared_source source = {f, book_of, sort_backwards};

    f->book = prepared_book_create();
    assert_non_null(f->book);
    prepared_book_begin(f->book, 2);
    add_query(f, "{\"Name\":\"Main\",\"Service\":{\"Service\":\"postgres\","
                 "\"OnlyPassing\":true},\"DNS\":{\"TTL\":\"7s\"}}");
    add_query(f, "{\"Name\":\"near\",\"Service\":{\"Service\":\"postgres\","
                 "\"Near\":\"_agent\",\"IgnoreCheckIDs\":[\"serfHealth\",\"check\"]}}");
    dns_prepared_set_source(f->prepared, &source);
    dns_catalogs_put(f->catalogs, f->catalogs->ours, "pg-a", "x", 0);
    dns_catalogs_put(f->catalogs, f->catalogs->theirs[0], "pg-b", "x", 0);
    dns_catalogs_put(f->catalogs, f->catalogs->theirs[1], "pg-c", "x", 0);
    dns_catalogs_spread(f->catalogs);
}

static void a_query_picks_by_its_own_rules_and_follows_every_change(void **state)
{
    struct fixture *f = *state;
    enum dns_certainty certainty;

    assert_null(picked(f, "main", &certainty)); /* there are no queries yet */
    assert_int_equal(certainty, DNS_CERTAIN);
    set_queries(f);
    const struct dns_picked *found = picked(f, "main", &certainty);
    assert_non_null(found);
    assert_true(found->has_ttl);
    assert_int_equal(found->ttl_s, 7);
    assert_int_equal(found->order, DNS_ORDER_SHUFFLED);
    assert_int_equal(found->service.instance_count, 3);

    dns_catalogs_check(f->catalogs, f->catalogs->ours, "pg-a", CHECK_WARNING);
    assert_int_equal(count_picked(f, "main"), 2);
    dns_catalogs_member(f->catalogs, 0, CATALOG_FAILED);
    assert_int_equal(count_picked(f, "main"), 1);
    prepared_book_begin(f->book, 3);
    f->certainty = DNS_UNCERTAIN;
    assert_null(picked(f, "main", &certainty));
    assert_int_equal(certainty, DNS_UNCERTAIN);
}

static void a_query_may_ignore_checks_but_not_that_a_node_is_gone(void **state)
{
    struct fixture *f = *state;
    enum dns_certainty certainty;

    set_queries(f);
    dns_catalogs_check(f->catalogs, f->catalogs->ours, "pg-a", CHECK_CRITICAL);
    const struct dns_picked *found = picked(f, "near", &certainty);
    assert_int_equal(found->order, DNS_ORDER_KEPT);
    assert_int_equal(found->service.instance_count, 3);
    assert_string_equal(found->service.instances[0].service_id, "pg-a");
    assert_string_equal(found->service.instances[2].service_id, "pg-b");
    dns_catalogs_member(f->catalogs, 0, CATALOG_FAILED);
    assert_int_equal(count_picked(f, "near"), 2);
    assert_int_equal(f->sorted, 2);
}

static void a_name_above_that_of_a_query_is_known_to_be_one(void **state)
{
    struct fixture *f = *state;
    enum dns_certainty certainty;

    set_queries(f);
    add_query(f, "{\"Name\":\"in.The.middle\",\"Service\":{\"Service\":\"x\"}}");
    assert_null(picked(f, "the.middle", &certainty));
    assert_int_equal(certainty, DNS_CERTAIN_BELOW);
    assert_null(picked(f, "iddle", &certainty));
    assert_int_equal(certainty, DNS_CERTAIN);
    f->certainty = DNS_UNCERTAIN;
    assert_null(picked(f, "middle", &certainty));
    assert_int_equal(certainty, DNS_UNCERTAIN);
}

static void a_query_picks_nothing_that_may_not_be_shown(void **state)
{
    const struct dns_gate gate = {NULL, no_serial, shows_no_pg2};
    struct fixture *f = *state;

    dns_prepared_destroy(f->prepared);
    open_prepared(f, &gate);
    set_queries(f);
    assert_int_equal(count_picked(f, "main"), 2);
}

static void what_was_picked_lives_until_the_next_answer(void **state)
{
    struct fixture *f = *state;
    const struct dns_view *view = f->catalogs->view;
    enum dns_certainty certainty;

    set_queries(f);
    const struct dns_picked *first = picked(f, "main", &certainty);
    dns_catalogs_member(f->catalogs, 0, CATALOG_FAILED);
    dns_catalogs_turn(f->catalogs);
    const struct dns_picked *second =
        view->query(view->context, rc_span_of("main"), &certainty);
    const struct dns_picked *third =
        view->query(view->context, rc_span_of("near"), &certainty);

    assert_int_equal(first->service.instance_count, 3);
    assert_string_equal(first->service.instances[2].node->name, "web1");
    assert_string_equal(first->service.instances[0].node->name, "pg1");
    assert_int_equal(second->service.instance_count, 2);
    assert_int_equal(third->service.instance_count, 2);
    assert_ptr_equal(picked(f, "main", &certainty), second); /* nothing has changed */
}

/* The catalog may be ahead of the board: what is picked then does not stay. */
static void what_is_picked_before_the_board_follows_is_picked_again(void **state)
{
    struct fixture *f = *state;
    const struct dns_view *view = f->catalogs->view;
    enum dns_certainty certainty;

    set_queries(f);
    assert_int_equal(count_picked(f, "main"), 3);
    dns_catalogs_member(f->catalogs, 0, CATALOG_SUSPECT);
    view->begin(view->context);
    (void)view->query(view->context, rc_span_of("main"), &certainty);
    const struct dns_picked *found = picked(f, "main", &certainty);
    assert_true(found->service.instances[0].node->is_silent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_query_picks_by_its_own_rules_and_follows_every_change, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_query_may_ignore_checks_but_not_that_a_node_is_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_name_above_that_of_a_query_is_known_to_be_one,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_query_picks_nothing_that_may_not_be_shown,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_picked_lives_until_the_next_answer,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            what_is_picked_before_the_board_follows_is_picked_again, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("dns_prepared", tests, NULL, NULL);
}
