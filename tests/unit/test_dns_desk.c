#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dns/serve/desk.h"

static size_t sent;

static void note(struct dns_outlet *outlet, const struct dns_later *later,
                 const uint8_t *bytes, size_t size)
{
    (void)outlet;
    (void)later;
    (void)bytes;
    sent += size;
}

struct fixture {
    struct dns_desk *desk;
    struct dns_laters *laters;
    struct dns_outlet outlet;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    if (f == NULL) {
        return -1;
    }
    f->desk = dns_desk_create();
    f->laters = dns_laters_create(DNS_DESK_SLIPS);
    f->outlet.send = note;
    *state = f;
    return f->desk != NULL && f->laters != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    dns_desk_destroy(f->desk);
    dns_laters_destroy(f->laters);
    free(f);
    return 0;
}

static struct dns_desk_slip *ask(struct fixture *f, uint8_t mark)
{
    static const struct dns_client client = {.channel = DNS_CHANNEL_TCP};
    struct dns_desk_slip *slip = dns_desk_take(f->desk);

    if (slip != NULL) {
        slip->client = client;
        slip->later = dns_later_take(f->laters, &f->outlet, &client);
        slip->query[0] = mark;
        slip->query_size = 1;
        dns_desk_ask(f->desk, slip);
    }
    return slip;
}

static void questions_go_over_and_answers_come_back_in_order(void **state)
{
    struct fixture *f = *state;

    for (int round = 0; round < 1000; round++) {
        assert_non_null(ask(f, 'a'));
        assert_non_null(ask(f, 'b'));
        struct dns_desk_slip *a = dns_desk_next(f->desk);
        struct dns_desk_slip *b = dns_desk_next(f->desk);
        assert_null(dns_desk_next(f->desk));
        assert_int_equal(a->query[0], 'a');
        assert_int_equal(b->query[0], 'b');
        assert_null(dns_desk_collect(f->desk));

        b->answer = malloc(3);
        dns_desk_return(f->desk, b);
        dns_desk_return(f->desk, a);
        assert_ptr_equal(dns_desk_collect(f->desk), b);
        assert_ptr_equal(dns_desk_collect(f->desk), a);
        dns_later_answer(a->later, NULL, 0);
        dns_later_answer(b->later, NULL, 0);
        dns_desk_put_back(f->desk, a);
        dns_desk_put_back(f->desk, b);
    }
}

static void a_full_desk_takes_no_more(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < DNS_DESK_SLIPS; i++) {
        assert_non_null(ask(f, 0));
    }
    assert_null(ask(f, 0));
    struct dns_desk_slip *slip = dns_desk_next(f->desk);
    dns_desk_return(f->desk, slip);
    assert_null(ask(f, 0)); /* as long as it has not been collected */
    slip = dns_desk_collect(f->desk);
    dns_later_answer(slip->later, NULL, 0);
    dns_desk_put_back(f->desk, slip);

    assert_non_null(ask(f, 0));
}

static void who_still_waits_is_let_go_with_the_desk(void **state)
{
    struct fixture *f = *state;

    (void)ask(f, 0);
    (void)ask(f, 0);
    struct dns_desk_slip *slip = dns_desk_next(f->desk);
    slip->answer = malloc(7);
    dns_desk_return(f->desk, slip);
    (void)dns_desk_next(f->desk); /* being answered */
    dns_desk_destroy(f->desk);
    f->desk = NULL;

    assert_int_equal(dns_laters_waiting(f->laters), 0);
    assert_int_equal(sent, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(questions_go_over_and_answers_come_back_in_order,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_desk_takes_no_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_still_waits_is_let_go_with_the_desk, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
