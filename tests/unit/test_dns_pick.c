#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dns/answer/pick.h"

enum { MANY = 5000 };

struct fixture {
    struct dns_node node;
    struct dns_instance instances[MANY];
    struct dns_service service;
    struct dns_pick pick;
    struct rc_random random;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    if (f == NULL) {
        return -1;
    }
    f->node.name = "node";
    f->node.place.ip.family = RC_ADDRESS_IPV4;
    for (size_t i = 0; i < MANY; i++) {
        f->instances[i].node = &f->node;
        f->instances[i].port = (uint16_t)i;
        f->instances[i].place.ip.family = RC_ADDRESS_IPV4;
        f->instances[i].place.ip.ip[0] = (uint8_t)(i >> 8);
        f->instances[i].place.ip.ip[1] = (uint8_t)i;
    }
    f->service.instances = f->instances;
    rc_random_init(&f->random, 3);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

static enum dns_existence begin(struct fixture *f, size_t count, const char *tag)
{
    f->service.instance_count = count;
    return dns_pick_begin(&f->pick, &f->service, rc_span_of(tag), DNS_ALLOW_WARNING,
                          &f->random);
}

/* Takes all; every instance at most once. Returns how many. */
static size_t take_all(struct fixture *f)
{
    static uint8_t seen[MANY];
    const struct dns_instance *instance;
    size_t count = 0;

    memset(seen, 0, sizeof seen);
    while ((instance = dns_pick_next(&f->pick, &f->random)) != NULL) {
        assert_int_equal(seen[instance->port]++, 0);
        assert_ptr_equal(dns_pick_taken(&f->pick, count), instance);
        assert_true(dns_pick_is_new(&f->pick, count, DNS_SAME_ADDRESS));
        assert_false(dns_pick_is_new(&f->pick, count, DNS_SAME_ADDRESS));
        count++;
    }
    return count;
}

static void order_is_a_permutation_of_any_size(void **state)
{
    static const size_t sizes[] = {1, 2, 3, 7, 8, 9, 64, 65, 1000, DNS_PICK_MAX};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_int_equal(begin(f, sizes[i], ""), DNS_EXISTENCE_USABLE);
        assert_int_equal(take_all(f), sizes[i]);
    }
}

static void more_than_fit_are_a_part(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(begin(f, MANY, ""), DNS_EXISTENCE_USABLE);
    assert_int_equal(take_all(f), DNS_PICK_MAX);
}

static void existence_tells_unknown_from_unusable(void **state)
{
    static const char *const tags[] = {"Blue"};
    struct fixture *f = *state;

    f->instances[0].tags = tags;
    f->instances[0].tag_count = 1;
    assert_int_equal(begin(f, 1, "blue"), DNS_EXISTENCE_USABLE);
    assert_int_equal(begin(f, 1, "green"), DNS_EXISTENCE_NONE);
    f->instances[0].health = DNS_HEALTH_UNUSABLE;
    assert_int_equal(begin(f, 1, "blue"), DNS_EXISTENCE_UNUSABLE);
    assert_int_equal(begin(f, 1, "green"), DNS_EXISTENCE_NONE);
    assert_int_equal(begin(f, 2, ""), DNS_EXISTENCE_USABLE);
    assert_int_equal(begin(f, 0, ""), DNS_EXISTENCE_NONE);
}

static void instances_at_one_address_are_the_same_unless_named_otherwise(void **state)
{
    struct fixture *f = *state;

    memset(f->instances[0].place.ip.ip, 0, 16);
    memset(&f->instances[1].place, 0, sizeof f->instances[1].place); /* at its node */
    assert_int_equal(begin(f, 2, ""), DNS_EXISTENCE_USABLE);
    (void)dns_pick_next(&f->pick, &f->random);
    (void)dns_pick_next(&f->pick, &f->random);

    assert_true(dns_pick_is_new(&f->pick, 0, DNS_SAME_TARGET));
    assert_true(dns_pick_is_new(&f->pick, 1, DNS_SAME_TARGET));
    dns_pick_forget(&f->pick);
    assert_true(dns_pick_is_new(&f->pick, 0, DNS_SAME_ADDRESS));
    assert_false(dns_pick_is_new(&f->pick, 1, DNS_SAME_ADDRESS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(order_is_a_permutation_of_any_size, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(more_than_fit_are_a_part, set_up, tear_down),
        cmocka_unit_test_setup_teardown(existence_tells_unknown_from_unusable, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            instances_at_one_address_are_the_same_unless_named_otherwise, set_up,
            tear_down),
    };
    return cmocka_run_group_tests_name("dns_pick", tests, NULL, NULL);
}
