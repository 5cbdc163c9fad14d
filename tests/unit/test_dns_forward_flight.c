/* Questions under way, and who waits for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "dns/forward/forward_flight.h"

static struct dns_forward_key key_of(unsigned number)
{
    struct dns_forward_question question = {.type = DNS_TYPE_A};
    struct dns_forward_key key;
    struct dns_name name;
    char text[32];

    (void)snprintf(text, sizeof text, "n%u.test", number);
    assert_int_equal(dns_name_from_text(text, &name), RC_OK);
    question.name = &name;
    dns_forward_key_make(&question, 1, &key);
    return key;
}

static struct dns_waiter waiter_from(unsigned client)
{
    struct dns_waiter waiter = {.next = NULL};
    char text[32];

    (void)snprintf(text, sizeof text, "10.%u.%u.1", client / 256, client % 256);
    assert_int_equal(rc_address_parse_ip(text, 0, &waiter.client), RC_OK);
    return waiter;
}

static void equal_questions_are_joined_and_told_in_the_order_they_came(void **state)
{
    struct dns_flights *flights = dns_flights_create(1);
    struct dns_forward_key key = key_of(1);
    struct dns_waiter waiters[3];

    (void)state;
    struct dns_flight *flight = dns_flights_begin(flights, &key, 3000);
    for (unsigned i = 0; i < 3; i++) {
        waiters[i] = waiter_from(i);
        assert_ptr_equal(dns_flights_find(flights, &key), flight);
        assert_int_equal(dns_flights_join(flights, flight, &waiters[i]), RC_OK);
    }
    assert_int_equal(dns_flights_waiters(flights), 3);
    struct dns_waiter *told = dns_flights_end(flights, flight);
    for (unsigned i = 0; i < 3; i++) {
        assert_ptr_equal(told, &waiters[i]);
        told = told->next;
    }
    assert_null(told);
    assert_null(dns_flights_find(flights, &key));
    assert_int_equal(dns_flights_waiters(flights), 0);
    dns_flights_destroy(flights);
}

static void one_client_does_not_use_up_what_others_need(void **state)
{
    struct dns_flights *flights = dns_flights_create(1);
    struct dns_forward_key key = key_of(1);
    struct dns_waiter *waiters = calloc(DNS_WAITERS_CLIENT_MAX + 2, sizeof *waiters);

    (void)state;
    assert_non_null(waiters);
    struct dns_flight *flight = dns_flights_begin(flights, &key, 3000);
    for (size_t i = 0; i <= DNS_WAITERS_CLIENT_MAX; i++) {
        waiters[i] = waiter_from(1);
        bool has_room = dns_flights_has_room(flights, &key, &waiters[i].client);
        int err = dns_flights_join(flights, flight, &waiters[i]);
        assert_int_equal(err, i < DNS_WAITERS_CLIENT_MAX ? RC_OK : RC_ETOOBIG);
        assert_int_equal(has_room, err == RC_OK);
    }
    waiters[DNS_WAITERS_CLIENT_MAX + 1] = waiter_from(2);
    assert_int_equal(
        dns_flights_join(flights, flight, &waiters[DNS_WAITERS_CLIENT_MAX + 1]), RC_OK);
    (void)dns_flights_end(flights, flight);
    /* All have gone: it may ask again. */
    flight = dns_flights_begin(flights, &key, 3000);
    assert_int_equal(dns_flights_join(flights, flight, &waiters[0]), RC_OK);
    (void)dns_flights_end(flights, flight);
    free(waiters);
    dns_flights_destroy(flights);
}

static void there_are_1024_questions_at_most_but_equal_ones_join(void **state)
{
    struct dns_flights *flights = dns_flights_create(1);
    struct dns_waiter waiter = waiter_from(1);

    (void)state;
    for (unsigned i = 0; i < DNS_FLIGHTS_MAX; i++) {
        struct dns_forward_key key = key_of(i);
        assert_non_null(dns_flights_begin(flights, &key, 3000));
    }
    struct dns_forward_key more = key_of(DNS_FLIGHTS_MAX);
    struct dns_forward_key known = key_of(7);
    assert_null(dns_flights_begin(flights, &more, 3000));
    assert_false(dns_flights_has_room(flights, &more, &waiter.client));
    assert_true(dns_flights_has_room(flights, &known, &waiter.client));
    for (struct dns_flight *flight; (flight = dns_flights_oldest(flights)) != NULL;) {
        (void)dns_flights_end(flights, flight);
    }
    assert_true(dns_flights_has_room(flights, &more, &waiter.client));
    dns_flights_destroy(flights);
}

static void the_oldest_is_known_after_any_has_ended(void **state)
{
    struct dns_flights *flights = dns_flights_create(1);
    struct dns_flight *all[5];

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        struct dns_forward_key key = key_of(i);
        all[i] = dns_flights_begin(flights, &key, 3000 + i);
    }
    (void)dns_flights_end(flights, all[2]);
    (void)dns_flights_end(flights, all[0]);
    (void)dns_flights_end(flights, all[4]);
    assert_ptr_equal(dns_flights_oldest(flights), all[1]);
    assert_ptr_equal(all[1]->newer, all[3]);
    assert_int_equal(dns_flights_count(flights), 2);
    (void)dns_flights_end(flights, all[1]);
    (void)dns_flights_end(flights, all[3]);
    assert_null(dns_flights_oldest(flights));
    dns_flights_destroy(flights);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_questions_are_joined_and_told_in_the_order_they_came),
        cmocka_unit_test(one_client_does_not_use_up_what_others_need),
        cmocka_unit_test(there_are_1024_questions_at_most_but_equal_ones_join),
        cmocka_unit_test(the_oldest_is_known_after_any_has_ended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
