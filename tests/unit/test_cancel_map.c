/* test_cancel_map.c - which server a cancel request is meant for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "proxy/postgres/cancel_map.h"

static struct rc_address at(const char *ip, uint16_t port)
{
    struct rc_address address;
    assert_int_equal(rc_address_parse_ip(ip, port, &address), RC_OK);
    return address;
}

static void a_key_leads_to_its_server_and_term(void **state)
{
    struct cancel_map *map = cancel_map_create(1);
    struct cancel_place place = {at("10.0.0.1", 5432), 7};
    struct cancel_place found;
    (void)state;

    assert_int_equal(cancel_map_put(map, 12, "abcdef", 6, &place), RC_OK);
    assert_int_equal(cancel_map_find(map, 12, "abcdef", 6, &found), RC_OK);
    assert_int_equal(found.term, 7);
    assert_true(rc_address_equals(&found.server, &place.server));
    assert_int_equal(cancel_map_find(map, 12, "abcd", 4, &found), RC_ENOTFOUND);
    cancel_map_remove(map, 12, "abcdef", 6);
    assert_int_equal(cancel_map_find(map, 12, "abcdef", 6, &found), RC_ENOTFOUND);
    cancel_map_destroy(map);
}

static void hidden_sessions_are_guessed_by_their_clients_address(void **state)
{
    struct cancel_map *map = cancel_map_create(1);
    struct cancel_place one = {at("10.0.0.1", 5432), 7};
    struct cancel_place two = {at("10.0.0.2", 5432), 0};
    struct cancel_place out[CANCEL_MAP_GUESSES_MAX];
    struct rc_address client = at("10.9.0.1", 50000);
    struct rc_address later = at("10.9.0.1", 50001);
    struct rc_address other = at("10.9.0.2", 50000);
    (void)state;

    assert_int_equal(cancel_map_note(map, &client, &one), RC_OK);
    assert_int_equal(cancel_map_note(map, &client, &one), RC_OK);
    assert_int_equal(cancel_map_note(map, &later, &two), RC_OK);
    assert_int_equal(cancel_map_guess(map, &later, out), 2);
    assert_int_equal(cancel_map_guess(map, &other, out), 0);
    cancel_map_unnote(map, &client, &one);
    assert_int_equal(cancel_map_guess(map, &later, out), 2);
    cancel_map_unnote(map, &client, &one);
    assert_int_equal(cancel_map_guess(map, &later, out), 1);
    assert_true(rc_address_equals(&out[0].server, &two.server));
    cancel_map_unnote(map, &client, &two);
    assert_int_equal(cancel_map_guess(map, &later, out), 0);
    cancel_map_destroy(map);
}

static void a_client_of_very_many_servers_is_not_remembered_whole(void **state)
{
    struct cancel_map *map = cancel_map_create(1);
    struct cancel_place out[CANCEL_MAP_GUESSES_MAX];
    struct rc_address client = at("10.9.0.1", 1);
    (void)state;

    for (int i = 0; i < CANCEL_MAP_GUESSES_MAX + 1; i++) {
        struct cancel_place place = {at("10.0.0.1", (uint16_t)(5000 + i)), 0};
        assert_int_equal(cancel_map_note(map, &client, &place),
                         i < CANCEL_MAP_GUESSES_MAX ? RC_OK : RC_ENOMEM);
    }
    assert_int_equal(cancel_map_guess(map, &client, out), CANCEL_MAP_GUESSES_MAX);
    cancel_map_destroy(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_leads_to_its_server_and_term),
        cmocka_unit_test(hidden_sessions_are_guessed_by_their_clients_address),
        cmocka_unit_test(a_client_of_very_many_servers_is_not_remembered_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
