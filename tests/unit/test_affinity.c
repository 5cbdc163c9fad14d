/* test_affinity.c - keys and cookies in request heads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "proxy/http/affinity.h"
#include "proxy/upstream/balance.h"

static struct affinity take(const struct config_pool *pool, const char *text)
{
    static const struct rc_address peer = {.family = RC_ADDRESS_IPV4,
                                           .ip = {10, 0, 0, 1}};
    struct http1_request request;
    struct affinity out;
    assert_int_equal(http1_request_parse(text, strlen(text), &request), HTTP1_SOUND);
    affinity_take(pool, text, &request, &peer, &out);
    return out;
}

static void keys_come_from_where_the_pool_says(void **state)
{
    static const struct {
        enum config_key by;
        const char *name;
        const char *target;
        const char *field;
        const char *want; /* "" = none */
    } cases[] = {
        {CONFIG_KEY_URI, "", "/a/b?c=d", "", "/a/b"},
        {CONFIG_KEY_URI, "", "http://x?c=d", "", "/"},
        {CONFIG_KEY_HEADER, "X-User", "/", "x-uSER:  joe \r\n", "joe"},
        {CONFIG_KEY_HEADER, "X-User", "/", "", ""},
        {CONFIG_KEY_COOKIE, "id", "/", "Cookie: xid=1; id=2; id=3\r\n", "2"},
        {CONFIG_KEY_COOKIE, "id", "/", "Cookie: a=1\r\nCookie: id=\"7\"\r\n", "7"},
        {CONFIG_KEY_COOKIE, "id", "/", "Cookie: ID=1; id\r\n", ""},
        {CONFIG_KEY_QUERY, "u", "/a?x=1&u=2%20&u=3", "", "2%20"},
        {CONFIG_KEY_QUERY, "u", "/u=1", "", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config_pool pool = {.balance = CONFIG_HASH, .hash_by = cases[i].by};
        char text[256];
        (void)rc_text_put(pool.hash_name, sizeof pool.hash_name, cases[i].name);
        (void)snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n",
                       cases[i].target, cases[i].field);
        uint64_t want = balance_key(cases[i].want, strlen(cases[i].want));
        if (take(&pool, text).key != want) {
            fail_msg("%s %s", cases[i].target, cases[i].field);
        }
    }
}

static void a_source_is_the_same_from_every_port(void **state)
{
    (void)state;
    struct rc_address one = {.family = RC_ADDRESS_IPV4, .port = 1, .ip = {10, 0, 0, 1}};
    struct rc_address other = one;
    other.port = 2;
    assert_int_equal(balance_source(&one), balance_source(&other));
    other.ip[3] = 2;
    assert_int_not_equal(balance_source(&one), balance_source(&other));
}

static void a_sticky_cookie_comes_back_as_it_was_set(void **state)
{
    (void)state;
    struct config_pool pool = {.sticky = "place"};
    char cookie[AFFINITY_COOKIE_MAX];
    char text[512];
    affinity_write("place", 0x123456789abcdefULL, AFFINITY_SECURE, cookie);
    assert_string_equal(cookie,
                        "place=0123456789abcdef; Path=/; HttpOnly; SameSite=Lax; Secure");

    (void)snprintf(text, sizeof text,
                   "GET / HTTP/1.1\r\nHost: x\r\nCookie: %.22s\r\n\r\n", cookie);

    assert_int_equal(take(&pool, text).sticky, 0x123456789abcdefULL);
}

static void other_values_are_none_of_ours(void **state)
{
    static const char *const values[] = {"", "1", "0123456789ABCDEF", "0123456789abcdef0",
                                         "0123456789abcdeg"};
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_int_equal(affinity_read(rc_span_of(values[i])), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_come_from_where_the_pool_says),
        cmocka_unit_test(a_source_is_the_same_from_every_port),
        cmocka_unit_test(a_sticky_cookie_comes_back_as_it_was_set),
        cmocka_unit_test(other_values_are_none_of_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
