#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dns/serve/later.h"

struct outbox {
    struct dns_outlet outlet; /* first */
    size_t count;
    size_t waiting; /* at the last answer */
    uint8_t last[8];
    size_t last_size;
    struct rc_address last_peer;
};

static void note(struct dns_outlet *outlet, const struct dns_later *later,
                 const uint8_t *bytes, size_t size)
{
    struct outbox *box = (struct outbox *)outlet;

    box->count++;
    box->waiting = outlet->waiting_count;
    box->last_size = size;
    box->last_peer = later->client.peer;
    memcpy(box->last, bytes, size);
}

static const struct dns_client client = {
    .peer = {.family = RC_ADDRESS_IPV4, .ip = {127, 0, 0, 1}, .port = 4000}};

static void answers_leave_in_any_order(void **state)
{
    struct dns_laters *pool = dns_laters_create(3);
    struct outbox box = {.outlet = {.send = note}};

    (void)state;
    struct dns_later *first = dns_later_take(pool, &box.outlet, &client);
    struct dns_later *second = dns_later_take(pool, &box.outlet, &client);
    struct dns_later *third = dns_later_take(pool, &box.outlet, &client);
    assert_int_equal(dns_laters_waiting(pool), 3);

    dns_later_answer(second, (const uint8_t *)"two", 3);
    assert_memory_equal(box.last, "two", 3);
    assert_int_equal(box.last_peer.port, 4000);
    dns_later_answer(first, (const uint8_t *)"one", 3);
    assert_memory_equal(box.last, "one", 3);
    dns_later_answer(third, (const uint8_t *)"", 0);

    assert_int_equal(box.count, 3);
    assert_int_equal(box.last_size, 0);
    assert_int_equal(box.waiting, 0);
    assert_int_equal(dns_laters_waiting(pool), 0);
    dns_laters_destroy(pool);
}

static void a_full_pool_refuses_and_counts(void **state)
{
    struct dns_laters *pool = dns_laters_create(1);
    struct outbox box = {.outlet = {.send = note}};

    (void)state;
    struct dns_later *first = dns_later_take(pool, &box.outlet, &client);
    assert_null(dns_later_take(pool, &box.outlet, &client));
    assert_int_equal(dns_laters_refused(pool), 1);
    dns_later_answer(first, (const uint8_t *)"", 0);

    first = dns_later_take(pool, &box.outlet, &client);
    assert_non_null(first);
    dns_later_answer(first, (const uint8_t *)"", 0);
    dns_laters_destroy(pool);
}

static void nothing_is_sent_to_an_outlet_that_is_gone(void **state)
{
    struct dns_laters *pool = dns_laters_create(4);
    struct outbox gone = {.outlet = {.send = note}};
    struct outbox stays = {.outlet = {.send = note}};

    (void)state;
    struct dns_later *a = dns_later_take(pool, &gone.outlet, &client);
    struct dns_later *b = dns_later_take(pool, &stays.outlet, &client);
    struct dns_later *c = dns_later_take(pool, &gone.outlet, &client);
    dns_outlet_close(&gone.outlet);
    assert_int_equal(gone.outlet.waiting_count, 0);

    dns_later_answer(a, (const uint8_t *)"a", 1);
    dns_later_answer(b, (const uint8_t *)"b", 1);
    dns_later_answer(c, (const uint8_t *)"c", 1);
    assert_int_equal(gone.count, 0);
    assert_int_equal(stays.count, 1);
    assert_int_equal(dns_laters_waiting(pool), 0);
    dns_laters_destroy(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_leave_in_any_order),
        cmocka_unit_test(a_full_pool_refuses_and_counts),
        cmocka_unit_test(nothing_is_sent_to_an_outlet_that_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
