/* test_pgwire.c - the few words of PostgreSQL's protocol, and who is believed to be primary. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "proxy/discover/pgprobe.h"
#include "proxy/postgres/pghello.h"
#include "proxy/wire/pgwire.h"

#define BYTES(text) (text), sizeof(text) - 1

static const char auth_ok[] = "R\0\0\0\10\0\0\0\0";
static const char auth_sasl[] = "R\0\0\0\27\0\0\0\nSCRAM-SHA-256\0\0";
static const char standby_on[] = "S\0\0\0\26in_hot_standby\0on";
static const char standby_off[] = "S\0\0\0\27in_hot_standby\0off";
static const char key_data[] = "K\0\0\0\14\0\0\0\7\1\2\3\4";
static const char ready[] = "Z\0\0\0\5I";
static const char starting[] = "E\0\0\0\14C57P03\0";

static const char doubt[] = "N\0\0\0\x21SWARNING\0RSyncRepWaitForLSN\0";
static const char notice[] = "N\0\0\0\x0dSNOTICE\0";
static const char complete[] = "C\0\0\0\x0b"
                               "COMMIT";

static enum pgwire_watch watch(struct pgwire_hopper *hopper, const void *bytes,
                               size_t size, size_t *at)
{
    *at = 999;
    return pgwire_hop_watching(hopper, bytes, size, at);
}

static void an_unconfirmed_commit_is_seen_wherever_the_bytes_are_cut(void **state)
{
    (void)state;
    uint8_t all[256];
    size_t before = sizeof notice + sizeof complete;
    size_t size = before + sizeof doubt;
    memcpy(all, notice, sizeof notice);
    memcpy(all + sizeof notice, complete, sizeof complete);
    memcpy(all + before, doubt, sizeof doubt);
    memcpy(all + size, complete, sizeof complete);

    for (size_t cut = 0; cut <= size; cut++) {
        struct pgwire_hopper hopper = {0};
        size_t at = 0;
        enum pgwire_watch found = watch(&hopper, all, cut, &at);
        size_t kept_from = found == PGWIRE_WATCH_HOLD ? at : cut;
        if (cut == size) {
            assert_int_equal(found, PGWIRE_WATCH_FOUND);
            assert_int_equal(at, before);
            continue;
        }
        found = watch(&hopper, all + kept_from, size + sizeof complete - kept_from, &at);
        if (found != PGWIRE_WATCH_FOUND || kept_from + at != before) {
            fail_msg("cut at %zu: %d at %zu", cut, (int)found, kept_from + at);
        }
        assert_true(pgwire_at_boundary(&hopper));
    }
}

static void other_notices_pass(void **state)
{
    (void)state;
    static const char large[] = "N\0\2\0\0SNOTICE";
    struct pgwire_hopper hopper = {0};
    size_t at = 0;
    assert_int_equal(watch(&hopper, notice, sizeof notice, &at), PGWIRE_WATCH_PASS);
    assert_int_equal(watch(&hopper, BYTES(complete), &at), PGWIRE_WATCH_PASS);
    assert_int_equal(watch(&hopper, "\0N", 2, &at), PGWIRE_WATCH_HOLD);
    assert_int_equal(at, 1);
    assert_int_equal(watch(&hopper, BYTES(large), &at), PGWIRE_WATCH_PASS);
    assert_false(pgwire_at_boundary(&hopper));
}

static void a_route_is_read_and_taken_off(void **state)
{
    (void)state;
    static const char packet[] = "\0\0\0\x1e\0\3\0\0user\0a\0database\0d@ro\0\0Q";
    static const char want[] = "\0\0\0\x1b\0\3\0\0user\0a\0database\0d\0\0Q";
    struct rc_buffer bytes = {0};
    struct pgwire_first first;
    rc_buffer_append(&bytes, BYTES(packet));
    pgwire_read_first(bytes.bytes, bytes.size, &first);
    assert_int_equal(first.kind, PGWIRE_STARTUP);
    assert_int_equal(pgwire_route_of(&first), PGWIRE_ROUTE_READ);
    assert_int_equal(pgwire_strip_route(&bytes, &first), RC_OK);
    assert_int_equal(bytes.size, sizeof want - 1);
    assert_memory_equal(bytes.bytes, want, sizeof want - 1);
    pgwire_read_first(bytes.bytes, bytes.size, &first);
    assert_string_equal(first.database, "d");
    assert_int_equal(pgwire_route_of(&first), PGWIRE_ROUTE_NONE);
    rc_buffer_fini(&bytes);
}

static void first_packets_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        const char *bytes;
        size_t size;
        enum pgwire_kind want;
    } cases[] = {
        {"nothing yet", BYTES(""), PGWIRE_MORE},
        {"half a length", BYTES("\0\0"), PGWIRE_MORE},
        {"ssl", BYTES("\0\0\0\10\4\322\26\57"), PGWIRE_SSL},
        {"gssenc", BYTES("\0\0\0\10\4\322\26\60"), PGWIRE_GSSENC},
        {"ssl with a tail inside", BYTES("\0\0\0\11\4\322\26\57x"), PGWIRE_BAD},
        {"cancel", BYTES("\0\0\0\20\4\322\26\56\0\0\0\7\1\2\3\4"), PGWIRE_CANCEL},
        {"cancel, key too short", BYTES("\0\0\0\17\4\322\26\56\0\0\0\7\1\2\3"),
         PGWIRE_BAD},
        {"startup", BYTES("\0\0\0\20\0\3\0\0user\0a\0\0"), PGWIRE_STARTUP},
        {"startup, not yet whole", BYTES("\0\0\0\20\0\3\0\0user\0a\0"), PGWIRE_MORE},
        {"startup without its end", BYTES("\0\0\0\17\0\3\0\0user\0a\0"), PGWIRE_BAD},
        {"startup with a tail", BYTES("\0\0\0\21\0\3\0\0user\0a\0\0x"), PGWIRE_BAD},
        {"protocol 2", BYTES("\0\0\0\20\0\2\0\0user\0a\0\0"), PGWIRE_BAD},
        {"length too small", BYTES("\0\0\0\7"), PGWIRE_BAD},
        {"length too large", BYTES("\0\0\x27\x11"), PGWIRE_BAD},
        {"HTTP", BYTES("GET / HTTP/1.1"), PGWIRE_BAD},
        {"TLS", BYTES("\26\3\1"), PGWIRE_DIRECT_TLS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pgwire_first first;
        pgwire_read_first(cases[i].bytes, cases[i].size, &first);
        if (first.kind != cases[i].want) {
            fail_msg("%s: got %d", cases[i].why, (int)first.kind);
        }
    }
}

static void startup_tells_user_and_replication(void **state)
{
    (void)state;
    struct pgwire_first first;
    static const char bytes[] = "\0\0\0\47\0\3\0\0user\0bob\0replication\0database\0";

    pgwire_read_first(bytes, sizeof bytes, &first);

    assert_int_equal(first.kind, PGWIRE_STARTUP);
    assert_string_equal(first.user, "bob");
    assert_true(first.replication);
}

static void cancel_carries_its_key(void **state)
{
    (void)state;
    struct pgwire_first first;
    pgwire_read_first(BYTES("\0\0\0\20\4\322\26\56\0\0\0\7\1\2\3\4"), &first);
    assert_int_equal(first.pid, 7);
    assert_int_equal(first.key_size, 4);
    assert_memory_equal(first.key, "\1\2\3\4", 4);
}

static void the_hopper_finds_boundaries_whatever_the_cuts(void **state)
{
    (void)state;
    static const char bytes[] = "Z\0\0\0\5ID\0\0\0\10abcdC\0\0\0\4Z\0\0\0\5I";
    static const size_t ends[] = {0, 6, 15, 20, 26};
    size_t size = sizeof bytes - 1;

    for (size_t cut = 1; cut <= 5; cut++) {
        struct pgwire_hopper hopper = {0};
        for (size_t at = 0; at <= size; at += cut) {
            bool end = false;
            for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
                end = end || ends[i] == at;
            }
            assert_int_equal(pgwire_at_boundary(&hopper), end);
            pgwire_hop(&hopper, bytes + at, at + cut <= size ? cut : size - at);
        }
    }
}

static void a_bad_length_loses_the_hopper_for_good(void **state)
{
    (void)state;
    struct pgwire_hopper hopper = {0};
    pgwire_hop(&hopper, BYTES("Z\0\0\0\1"));
    pgwire_hop(&hopper, ready, sizeof ready - 1);
    assert_false(pgwire_at_boundary(&hopper));
}

static void a_fatal_error_is_one_whole_message(void **state)
{
    (void)state;
    struct rc_buffer out = {0};
    struct pgwire_message message;
    char sqlstate[6];

    pgwire_write_fatal(&out, "57P03", "no primary");

    assert_int_equal(pgwire_read_message(out.bytes, out.size, &message), RC_OK);
    assert_int_equal(message.size, out.size);
    pgwire_sqlstate(&message, sqlstate);
    assert_string_equal(sqlstate, "57P03");
    rc_buffer_fini(&out);
}

/* --- the start of a session --- */

static struct pghello begin(enum pghello_want want)
{
    struct pghello hello;
    pghello_init(&hello, want);
    return hello;
}

static void hear(struct pghello *hello, const char *bytes, size_t size)
{
    pghello_receive(hello, bytes, size);
}

static void a_primary_is_passed_on_whole_at_ready(void **state)
{
    (void)state;
    struct pghello h = begin(PGHELLO_WANTS_PRIMARY);

    hear(&h, auth_ok, sizeof auth_ok - 1);
    hear(&h, standby_off, sizeof standby_off);
    hear(&h, key_data, sizeof key_data - 1);
    assert_int_equal(h.pass.size, 0); /* all is held until the server has said it all */
    hear(&h, ready, sizeof ready - 1);

    assert_int_equal(h.state, PGHELLO_DONE);
    assert_int_equal(h.pass.size, 9 + 24 + 13 + 6);
    assert_true(h.has_key);
    assert_int_equal(h.pid, 7);
    pghello_fini(&h);
}

static void a_standby_is_no_primary(void **state)
{
    (void)state;
    struct pghello h = begin(PGHELLO_WANTS_PRIMARY);
    hear(&h, auth_ok, sizeof auth_ok - 1);
    hear(&h, standby_on, sizeof standby_on);
    hear(&h, ready, sizeof ready - 1);
    assert_int_equal(h.state, PGHELLO_STANDBY);
    assert_int_equal(h.pass.size, 0);
    assert_false(h.passed_anything);
    pghello_fini(&h);
}

static void a_standby_serves_who_wants_any(void **state)
{
    (void)state;
    struct pghello h = begin(PGHELLO_WANTS_ANY);
    hear(&h, auth_ok, sizeof auth_ok - 1);
    hear(&h, standby_on, sizeof standby_on);
    hear(&h, ready, sizeof ready - 1);
    assert_int_equal(h.state, PGHELLO_DONE);
    pghello_fini(&h);
}

static void the_last_word_on_standby_counts(void **state)
{
    (void)state;
    struct pghello h = begin(PGHELLO_WANTS_PRIMARY);
    hear(&h, auth_ok, sizeof auth_ok - 1);
    hear(&h, standby_on, sizeof standby_on);
    hear(&h, standby_off, sizeof standby_off);
    hear(&h, ready, sizeof ready - 1);
    assert_int_equal(h.state, PGHELLO_DONE);
    pghello_fini(&h);
}

static void a_password_exchange_passes_at_once(void **state)
{
    (void)state;
    struct pghello h = begin(PGHELLO_WANTS_PRIMARY);
    hear(&h, auth_sasl, sizeof auth_sasl - 1);
    assert_int_equal(h.pass.size, sizeof auth_sasl - 1);
    assert_true(h.passed_anything);
    pghello_fini(&h);
}

static void a_server_that_starts_is_tried_again(void **state)
{
    (void)state;
    struct pghello h = begin(PGHELLO_WANTS_PRIMARY);
    hear(&h, starting, sizeof starting - 1 + 1);
    assert_int_equal(h.state, PGHELLO_RETRY);
    pghello_fini(&h);
}

static void byte_by_byte_is_the_same(void **state)
{
    (void)state;
    struct pghello h = begin(PGHELLO_WANTS_PRIMARY);
    struct rc_buffer all = {0};
    rc_buffer_append(&all, auth_ok, sizeof auth_ok - 1);
    rc_buffer_append(&all, standby_on, sizeof standby_on);
    rc_buffer_append(&all, ready, sizeof ready - 1);
    for (size_t i = 0; i < all.size; i++) {
        pghello_receive(&h, all.bytes + i, 1);
    }
    rc_buffer_fini(&all);
    assert_int_equal(h.state, PGHELLO_STANDBY);
    pghello_fini(&h);
}

static void what_is_no_protocol_is_broken(void **state)
{
    (void)state;
    struct pghello h = begin(PGHELLO_WANTS_ANY);
    hear(&h, BYTES("HTTP/1.1 400 Bad Request\r\n"));
    assert_int_equal(h.state, PGHELLO_BROKEN);
    pghello_fini(&h);
}

/* --- the probe --- */

static void answer(struct pgprobe *probe, const char *bytes, size_t size)
{
    rc_buffer_clear(&probe->out);
    pgprobe_receive(probe, bytes, size);
}

static void start(struct pgprobe *probe, const char *role, size_t size)
{
    pgprobe_init(probe, "probe", "postgres", "", "n");
    answer(probe, auth_ok, sizeof auth_ok - 1);
    answer(probe, role, size);
    answer(probe, ready, sizeof ready - 1);
}

static void a_probe_hears_a_promotion_by_an_empty_query(void **state)
{
    (void)state;
    struct pgprobe p;
    static const char row[] = "D\0\0\0\22\0\1\0\0\0\10"
                              "00000002";

    start(&p, standby_on, sizeof standby_on);
    assert_int_equal(p.role, UPSTREAM_ROLE_STANDBY);
    assert_true(pgprobe_ask(&p));
    assert_false(pgprobe_ask(&p)); /* still unanswered */
    answer(&p, standby_off, sizeof standby_off);
    answer(&p, ready, sizeof ready - 1);

    assert_int_equal(p.role, UPSTREAM_ROLE_PRIMARY);
    assert_int_equal(p.state, PGPROBE_TIMELINE);
    answer(&p, row, sizeof row - 1);
    answer(&p, ready, sizeof ready - 1);
    assert_int_equal(p.timeline, 2);
    assert_int_equal(p.state, PGPROBE_IDLE);
    pgprobe_fini(&p);
}

static void a_probe_that_is_refused_says_why(void **state)
{
    (void)state;
    struct pgprobe p;
    pgprobe_init(&p, "probe", "postgres", "", "n");
    answer(&p, starting, sizeof starting);
    assert_int_equal(p.state, PGPROBE_FAILED);
    assert_string_equal(p.problem, "the server is starting");
    assert_int_equal(p.role, UPSTREAM_ROLE_UNKNOWN);
    pgprobe_fini(&p);
}

static void a_server_without_in_hot_standby_is_not_guessed_at(void **state)
{
    (void)state;
    struct pgprobe p;
    pgprobe_init(&p, "probe", "postgres", "", "n");
    answer(&p, auth_ok, sizeof auth_ok - 1);
    answer(&p, ready, sizeof ready - 1);
    assert_int_equal(p.state, PGPROBE_FAILED);
    pgprobe_fini(&p);
}

static void a_password_bound_to_a_certificate_is_told_from_others(void **state)
{
    (void)state;
    static const char plus[] = "p\0\0\0\x1eSCRAM-SHA-256-PLUS\0\0\0\0\3n,,";
    static const char plain[] = "p\0\0\0\x19SCRAM-SHA-256\0\0\0\0\3n,,";
    static const char shorter[] = "p\0\0\0\x16SCRAM-SHA-256-PLUS";
    static const char query[] = "Q\0\0\0\x17SCRAM-SHA-256-PLUS\0";

    assert_int_equal(pgwire_read_binding(plus, 31), PGWIRE_BINDING_PLUS);
    for (size_t i = 0; i < 31; i++) {
        assert_int_equal(pgwire_read_binding(plus, i), PGWIRE_BINDING_MORE);
    }
    assert_int_equal(pgwire_read_binding(plain, 26), PGWIRE_BINDING_NONE);
    assert_int_equal(pgwire_read_binding(shorter, 23), PGWIRE_BINDING_NONE);
    assert_int_equal(pgwire_read_binding(query, 24), PGWIRE_BINDING_NONE);
    assert_int_equal(pgwire_read_binding("p\0\0\0\3", 5), PGWIRE_BINDING_NONE);
    assert_int_equal(pgwire_read_binding("p\xff\xff\xff\xff", 5), PGWIRE_BINDING_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_packets_are_told_apart),
        cmocka_unit_test(an_unconfirmed_commit_is_seen_wherever_the_bytes_are_cut),
        cmocka_unit_test(other_notices_pass),
        cmocka_unit_test(a_password_bound_to_a_certificate_is_told_from_others),
        cmocka_unit_test(a_route_is_read_and_taken_off),
        cmocka_unit_test(startup_tells_user_and_replication),
        cmocka_unit_test(cancel_carries_its_key),
        cmocka_unit_test(the_hopper_finds_boundaries_whatever_the_cuts),
        cmocka_unit_test(a_bad_length_loses_the_hopper_for_good),
        cmocka_unit_test(a_fatal_error_is_one_whole_message),
        cmocka_unit_test(a_primary_is_passed_on_whole_at_ready),
        cmocka_unit_test(a_standby_is_no_primary),
        cmocka_unit_test(a_standby_serves_who_wants_any),
        cmocka_unit_test(the_last_word_on_standby_counts),
        cmocka_unit_test(a_password_exchange_passes_at_once),
        cmocka_unit_test(a_server_that_starts_is_tried_again),
        cmocka_unit_test(byte_by_byte_is_the_same),
        cmocka_unit_test(what_is_no_protocol_is_broken),
        cmocka_unit_test(a_probe_hears_a_promotion_by_an_empty_query),
        cmocka_unit_test(a_probe_that_is_refused_says_why),
        cmocka_unit_test(a_server_without_in_hot_standby_is_not_guessed_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
