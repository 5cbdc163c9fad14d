/* Answers of other servers, kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "dns/forward/forward_cache.h"
#include "tests/unit/forward_upstream.h"

enum { START_MS = 1000000, TTL_S = 60 };

static struct dns_forward_key key_of(const char *name, uint16_t type)
{
    struct dns_forward_question question = {.type = type};
    struct dns_forward_key key;
    struct dns_name wire;

    assert_int_equal(dns_name_from_text(name, &wire), RC_OK);
    question.name = &wire;
    dns_forward_key_make(&question, 1, &key);
    return key;
}

/* An answer to `name` is put in at START_MS. */
static void put(struct dns_forward_cache *cache, const char *name, size_t records)
{
    struct forward_upstream *upstream = calloc(1, sizeof *upstream);
    struct dns_forward_key key = key_of(name, DNS_TYPE_A);

    assert_non_null(upstream);
    forward_upstream_begin(upstream, name, DNS_TYPE_A, 0, 1);
    for (size_t i = 0; i < records; i++) {
        forward_upstream_add_a(upstream, NULL, TTL_S, (uint8_t)i);
    }
    assert_int_equal(forward_upstream_read(upstream), RC_OK);
    dns_forward_cache_put(cache, &key, &upstream->kept, START_MS);
    free(upstream);
}

static enum dns_freshness find(struct dns_forward_cache *cache, const char *name,
                               uint64_t now_ms, int64_t *age_s)
{
    struct dns_forward_key key = key_of(name, DNS_TYPE_A);
    const struct dns_kept *kept;

    return dns_forward_cache_find(cache, &key, now_ms, &kept, age_s);
}

static void an_answer_is_found_until_its_ttl_and_grows_old(void **state)
{
    struct dns_forward_cache *cache = dns_forward_cache_create(10, 100000);
    int64_t age_s = 0;

    (void)state;
    put(cache, "a.test", 2);
    assert_int_equal(find(cache, "A.Test", START_MS, &age_s), DNS_FRESHNESS_FRESH);
    assert_int_equal(age_s, 0);
    assert_int_equal(find(cache, "a.test", START_MS + 59999, &age_s),
                     DNS_FRESHNESS_FRESH);
    assert_int_equal(age_s, 59);
    assert_int_equal(find(cache, "a.test", START_MS + 60000, &age_s),
                     DNS_FRESHNESS_STALE);
    assert_int_equal(age_s, DNS_FORWARD_AGE_STALE);
    dns_forward_cache_destroy(cache);
}

static void a_stale_answer_is_kept_for_an_hour(void **state)
{
    struct dns_forward_cache *cache = dns_forward_cache_create(10, 100000);
    int64_t age_s;

    (void)state;
    put(cache, "a.test", 1);
    uint64_t end_ms = START_MS + 60000 + DNS_FORWARD_STALE_MAX_MS;
    assert_int_equal(find(cache, "a.test", end_ms - 1, &age_s), DNS_FRESHNESS_STALE);
    assert_int_equal(find(cache, "a.test", end_ms, &age_s), DNS_FRESHNESS_MISSING);
    assert_int_equal(dns_forward_cache_count(cache), 0);
    assert_int_equal(dns_forward_cache_bytes(cache), 0);
    dns_forward_cache_destroy(cache);
}

static void after_a_failure_a_stale_answer_is_given_at_once_for_a_while(void **state)
{
    struct dns_forward_cache *cache = dns_forward_cache_create(10, 100000);
    struct dns_forward_key key = key_of("a.test", DNS_TYPE_A);
    uint64_t now_ms = START_MS + 61000;
    int64_t age_s;

    (void)state;
    put(cache, "a.test", 1);
    dns_forward_cache_failed(cache, &key, now_ms);
    assert_int_equal(find(cache, "a.test", now_ms, &age_s), DNS_FRESHNESS_FAILING);
    now_ms += DNS_FORWARD_RECHECK_MS;
    assert_int_equal(find(cache, "a.test", now_ms, &age_s), DNS_FRESHNESS_STALE);
    dns_forward_cache_destroy(cache);
}

static void a_failure_is_kept_for_its_second_and_never_stale(void **state)
{
    struct dns_forward_cache *cache = dns_forward_cache_create(10, 100000);
    struct dns_forward_key key = key_of("a.test", DNS_TYPE_A);
    struct dns_kept failure = {.rcode = DNS_RCODE_SERVFAIL,
                               .failure = DNS_EXTENDED_NO_UPSTREAM,
                               .ttl_s = DNS_FORWARD_FAILURE_S};
    int64_t age_s;

    (void)state;
    dns_forward_cache_put(cache, &key, &failure, START_MS);
    assert_int_equal(find(cache, "a.test", START_MS + 999, &age_s), DNS_FRESHNESS_FRESH);
    assert_int_equal(find(cache, "a.test", START_MS + 1000, &age_s),
                     DNS_FRESHNESS_MISSING);
    dns_forward_cache_destroy(cache);
}

static void dnssec_bits_and_types_are_questions_of_their_own(void **state)
{
    struct dns_forward_question question = {.type = DNS_TYPE_A};
    struct dns_forward_key keys[4];
    struct dns_name name;

    (void)state;
    assert_int_equal(dns_name_from_text("a.test", &name), RC_OK);
    question.name = &name;
    dns_forward_key_make(&question, 1, &keys[0]);
    question.wants_dnssec = DNS_PART_PRESENT;
    dns_forward_key_make(&question, 1, &keys[1]);
    question.unchecked = DNS_PART_PRESENT;
    dns_forward_key_make(&question, 1, &keys[2]);
    question.type = DNS_TYPE_AAAA;
    dns_forward_key_make(&question, 1, &keys[3]);
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 4; k++) {
            assert_int_equal(dns_forward_key_equals(&keys[i], &keys[k]), i == k);
        }
    }
    struct dns_forward_question again;
    dns_forward_key_read(&keys[2], &name, &again);
    assert_int_equal(again.type, DNS_TYPE_A);
    assert_int_equal(again.wants_dnssec, DNS_PART_PRESENT);
    assert_int_equal(again.unchecked, DNS_PART_PRESENT);
}

static void the_longest_unused_goes_when_there_are_too_many(void **state)
{
    struct dns_forward_cache *cache = dns_forward_cache_create(3, 100000);
    int64_t age_s;

    (void)state;
    put(cache, "a.test", 1);
    put(cache, "b.test", 1);
    put(cache, "c.test", 1);
    assert_int_equal(find(cache, "a.test", START_MS, &age_s), DNS_FRESHNESS_FRESH);
    put(cache, "d.test", 1);
    assert_int_equal(dns_forward_cache_count(cache), 3);
    assert_int_equal(find(cache, "b.test", START_MS, &age_s), DNS_FRESHNESS_MISSING);
    assert_int_equal(find(cache, "a.test", START_MS, &age_s), DNS_FRESHNESS_FRESH);
    dns_forward_cache_destroy(cache);
}

static void bytes_are_bounded_too(void **state)
{
    struct dns_forward_cache *cache = dns_forward_cache_create(1000, 20000);
    char name[32];
    int64_t age_s;

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof name, "n%u.test", i);
        put(cache, name, 50);
        assert_in_range(dns_forward_cache_bytes(cache), 1, 20000);
    }
    put(cache, "big.test", 3000); /* more than all */
    assert_int_equal(find(cache, "big.test", START_MS, &age_s), DNS_FRESHNESS_MISSING);
    assert_int_equal(find(cache, "n99.test", START_MS, &age_s), DNS_FRESHNESS_FRESH);
    dns_forward_cache_destroy(cache);
}

static void a_newer_answer_takes_the_place_of_the_old_one(void **state)
{
    struct dns_forward_cache *cache = dns_forward_cache_create(10, 100000);
    struct dns_forward_key key = key_of("a.test", DNS_TYPE_A);
    const struct dns_kept *kept;
    int64_t age_s;

    (void)state;
    put(cache, "a.test", 1);
    put(cache, "a.test", 3);
    assert_int_equal(dns_forward_cache_count(cache), 1);
    assert_int_equal(dns_forward_cache_find(cache, &key, START_MS, &kept, &age_s),
                     DNS_FRESHNESS_FRESH);
    assert_int_equal(kept->record_count, 3);
    dns_forward_cache_destroy(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_found_until_its_ttl_and_grows_old),
        cmocka_unit_test(a_stale_answer_is_kept_for_an_hour),
        cmocka_unit_test(after_a_failure_a_stale_answer_is_given_at_once_for_a_while),
        cmocka_unit_test(a_failure_is_kept_for_its_second_and_never_stale),
        cmocka_unit_test(dnssec_bits_and_types_are_questions_of_their_own),
        cmocka_unit_test(the_longest_unused_goes_when_there_are_too_many),
        cmocka_unit_test(bytes_are_bounded_too),
        cmocka_unit_test(a_newer_answer_takes_the_place_of_the_old_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
