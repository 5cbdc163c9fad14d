/* test_tls_tickets.c - keys of session tickets, and for how long they open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/tls/tls_tickets.h"

static void a_key_opens_until_two_more_have_followed_it(void **state)
{
    (void)state;
    struct tls_tickets *tickets = tls_tickets_create();
    assert_non_null(tickets);
    const struct tls_ticket_key first = *tls_tickets_newest(tickets);
    bool newest = false;

    assert_non_null(tls_tickets_find(tickets, first.name, &newest));
    assert_true(newest);
    for (int i = 0; i < 2; i++) {
        tls_tickets_rotate(tickets);
        const struct tls_ticket_key *found =
            tls_tickets_find(tickets, first.name, &newest);
        assert_non_null(found);
        assert_memory_equal(found, &first, sizeof first);
        assert_false(newest);
        assert_memory_not_equal(tls_tickets_newest(tickets)->seal, first.seal,
                                sizeof first.seal);
    }
    tls_tickets_rotate(tickets);
    assert_null(tls_tickets_find(tickets, first.name, &newest));
    tls_tickets_release(tickets);
}

static void no_key_is_guessed_from_the_start(void **state)
{
    (void)state;
    struct tls_tickets *tickets = tls_tickets_create();
    static const uint8_t zeroes[TLS_TICKETS_NAME];
    bool newest = false;

    assert_non_null(tickets);
    assert_null(tls_tickets_find(tickets, zeroes, &newest));
    for (int i = 0; i < 100; i++) { /* the ring turns several times */
        tls_tickets_rotate(tickets);
        assert_non_null(
            tls_tickets_find(tickets, tls_tickets_newest(tickets)->name, &newest));
        assert_true(newest);
    }
    tls_tickets_release(tls_tickets_retain(tickets));
    tls_tickets_release(tickets);
}

static void a_new_key_comes_every_twelve_hours(void **state)
{
    (void)state;
    struct tls_tickets *tickets = tls_tickets_create();
    assert_non_null(tickets);
    const struct tls_ticket_key first = *tls_tickets_newest(tickets);

    tls_tickets_tick(tickets, 1000);
    tls_tickets_tick(tickets, 1000 + TLS_TICKETS_ROTATE_MS - 1);
    assert_memory_equal(tls_tickets_newest(tickets), &first, sizeof first);
    tls_tickets_tick(tickets, 1000 + TLS_TICKETS_ROTATE_MS);
    assert_memory_not_equal(tls_tickets_newest(tickets), &first, sizeof first);
    tls_tickets_release(tickets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_opens_until_two_more_have_followed_it),
        cmocka_unit_test(a_new_key_comes_every_twelve_hours),
        cmocka_unit_test(no_key_is_guessed_from_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
