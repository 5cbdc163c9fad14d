/* What answers carry beside the answer: cookies, NSID, keepalive, class CHAOS; and who gets
 * none because of too many questions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "dns/answer/answer.h"
#include "dns/answer/cookie.h"
#include "dns/answer/foreign.h"
#include "dns/wire/message.h"
#include "tests/unit/dns_world.h"

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

#define HEADER "\x12\x34\1\0\0\1\0\0\0\0\0\1"
#define NO_OPT "\x12\x34\1\0\0\1\0\0\0\0\0\0"
#define ONLY   "\x12\x34\1\0\0\0\0\0\0\0\0\1"
#define WEB_A  "\3web\7service\6consul\0\0\1\0\1"
#define NONE_A "\4none\7service\6consul\0\0\1\0\1"
#define OPT    "\0\0\x29\x04\xd0\0\0\0\0\0"
#define COOKIE    \
    "\0\xa\0\x08" \
    "12345678"
#define FOREIGN   \
    "\0\xa\0\x10" \
    "1234567812345678"
#define NSID  "\0\3\0\0"
#define ALIVE "\0\xb\0\0"

enum { OPT_HEAD = 11, WHEN_S = 1559731985 };

struct fixture {
    struct dns_world *world;
    struct dns_options options;
    struct dns_cookie_secrets cookies;
    struct dns_answerer *answerer;
    struct dns_client client;
    struct dns_outcome outcome;
    uint8_t out[DNS_UDP_LOCAL_MAX];
};

static int set_up(void **state)
{
    static struct fixture fixture;
    static const uint8_t seed[RC_SIPHASH_KEY_SIZE] = "fifteen letters";

    memset(&fixture, 0, sizeof fixture);
    fixture.world = dns_world_create("127.0.0.10");
    dns_options_init(&fixture.options);
    fixture.options.domain = "consul";
    dns_cookie_secrets_own(seed, &fixture.cookies);
    fixture.options.cookies = &fixture.cookies;
    fixture.options.nsid = "ns-7";
    fixture.client.channel = DNS_CHANNEL_UDP_REMOTE;
    fixture.client.idle_ms = 10000;
    fixture.client.now_ms = 5000;
    fixture.client.wall_ms = UINT64_C(1000) * WHEN_S;
    assert_int_equal(rc_address_parse_ip("203.0.113.9", 53, &fixture.client.peer), RC_OK);
    *state = &fixture;
    return dns_answerer_create(&fixture.options, dns_world_view(fixture.world), 1,
                               &fixture.answerer);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    dns_answerer_destroy(fixture->answerer);
    dns_rate_destroy(fixture->options.rate);
    dns_world_destroy(fixture->world);
    return 0;
}

static void ask(struct fixture *fixture, const uint8_t *query, size_t size)
{
    memset(fixture->out, 0xee, 1024);
    fixture->outcome = dns_answer(fixture->answerer, &fixture->client, query, size,
                                  fixture->out, sizeof fixture->out);
}

/* The options of the answer, which stand at its end. */
static const uint8_t *options_of(const struct fixture *fixture, size_t size)
{
    const uint8_t *at = fixture->out + fixture->outcome.size - size;

    assert_memory_equal(at - OPT_HEAD, "\0\0\x29\x04\xd0", 5);
    assert_int_equal(at[-2] << 8 | at[-1], size);
    return at;
}

static void cookie_is_answered_with_ours_and_that_is_known_again(void **state)
{
    struct fixture *fixture = *state;
    uint8_t again[] = HEADER WEB_A OPT "\x1c\0\xa\0\x18"
                                       "123456781234567890123456";
    uint8_t cookie[DNS_COOKIE_SIZE];

    ask(fixture, BYTES(HEADER WEB_A OPT "\xc" COOKIE));
    assert_int_equal(fixture->outcome.rcode, DNS_RCODE_NOERROR);
    const uint8_t *options = options_of(fixture, 28);
    assert_memory_equal(options,
                        "\0\xa\0\x18"
                        "12345678\1\0\0\0",
                        16);
    memcpy(cookie, options + 4, sizeof cookie);
    memcpy(again + sizeof again - 1 - DNS_COOKIE_SIZE, cookie, sizeof cookie);

    ask(fixture, again, sizeof again - 1);
    assert_int_equal(fixture->outcome.rcode, DNS_RCODE_NOERROR);
    assert_memory_equal(options_of(fixture, 28) + 4, cookie, sizeof cookie);
}

static void cookie_of_somebody_else_is_answered_like_none(void **state)
{
    struct fixture *fixture = *state;

    ask(fixture, BYTES(HEADER WEB_A OPT "\x14" FOREIGN));

    assert_int_equal(fixture->outcome.rcode, DNS_RCODE_NOERROR);
    assert_memory_equal(options_of(fixture, 28),
                        "\0\xa\0\x18"
                        "12345678\1\0\0\0",
                        16);
}

static void cookie_can_be_asked_for_without_a_question(void **state)
{
    struct fixture *fixture = *state;

    ask(fixture, BYTES(ONLY OPT "\xc" COOKIE));
    assert_int_equal(fixture->outcome.rcode, DNS_RCODE_NOERROR);
    assert_int_equal(fixture->outcome.size, DNS_HEADER_SIZE + OPT_HEAD + 28);
    assert_memory_equal(fixture->out, "\x12\x34\x81\0\0\0\0\0\0\0\0\1", 12);
    assert_memory_equal(options_of(fixture, 28),
                        "\0\xa\0\x18"
                        "12345678\1\0\0\0",
                        16);

    ask(fixture, BYTES(ONLY OPT "\x14" FOREIGN));
    assert_int_equal(fixture->outcome.rcode, DNS_RCODE_BADCOOKIE);
    assert_int_equal(fixture->out[3] & 0xf, DNS_RCODE_BADCOOKIE & 0xf);
    assert_int_equal(fixture->out[DNS_HEADER_SIZE + 5], DNS_RCODE_BADCOOKIE >> 4);
}

static void name_of_the_server_is_told_to_who_asks(void **state)
{
    struct fixture *fixture = *state;

    ask(fixture, BYTES(HEADER WEB_A OPT "\4" NSID));
    assert_memory_equal(options_of(fixture, 8), "\0\3\0\4ns-7", 8);

    ask(fixture, BYTES(HEADER WEB_A OPT "\0"));
    (void)options_of(fixture, 0);

    fixture->options.nsid = NULL;
    ask(fixture, BYTES(HEADER WEB_A OPT "\4" NSID));
    (void)options_of(fixture, 0);
}

static void keepalive_is_told_over_tcp_only(void **state)
{
    struct fixture *fixture = *state;

    ask(fixture, BYTES(HEADER WEB_A OPT "\4" ALIVE));
    (void)options_of(fixture, 0);

    fixture->client.channel = DNS_CHANNEL_TCP;
    ask(fixture, BYTES(HEADER WEB_A OPT "\4" ALIVE));
    assert_memory_equal(options_of(fixture, 6), "\0\xb\0\2\0\x64", 6);

    fixture->client.idle_ms = 100u * 70000u;
    ask(fixture, BYTES(HEADER WEB_A OPT "\4" ALIVE));
    assert_memory_equal(options_of(fixture, 6), "\0\xb\0\2\xff\xff", 6);
}

static void all_options_fit_in_one_answer_with_an_error(void **state)
{
    struct fixture *fixture = *state;

    fixture->client.channel = DNS_CHANNEL_TCP;
    ask(fixture, BYTES(HEADER "\7example\0\0\1\0\1" OPT "\x14" COOKIE NSID ALIVE));

    assert_int_equal(fixture->outcome.rcode, DNS_RCODE_REFUSED);
    const uint8_t *options = options_of(fixture, 28 + 8 + 6 + 6);
    assert_memory_equal(options + 28, "\0\3\0\4ns-7\0\xb\0\2\0\x64\0\xf\0\2\0\x14", 20);
}

static void refusal_says_whether_it_is_the_zone_or_the_client(void **state)
{
    static const struct dns_foreign foreign = {.context = NULL};
    static const struct {
        const char *why;
        const struct dns_foreign *foreign;
        const uint8_t *query;
        size_t size;
        int code;
    } cases[] = {
        {"nobody is asked", NULL, BYTES(HEADER "\7example\0\0\1\0\1" OPT "\0"), 20},
        {"not for this client", &foreign, BYTES(HEADER "\7example\0\0\1\0\1" OPT "\0"),
         18},
        {"nobody is to be asked", &foreign,
         BYTES("\x12\x34\0\0\0\1\0\0\0\0\0\1"
               "\7example\0\0\1\0\1" OPT "\0"),
         20},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dns_answerer_set_foreign(fixture->answerer, cases[i].foreign);
        ask(fixture, cases[i].query, cases[i].size);
        assert_int_equal(fixture->outcome.rcode, DNS_RCODE_REFUSED);
        const uint8_t *options = options_of(fixture, 6);
        if (options[5] != cases[i].code) {
            fail_msg("%s: %d", cases[i].why, options[5]);
        }
    }
}

static void class_chaos_is_answered_as_far_as_it_is_configured(void **state)
{
    static const struct {
        const char *why;
        const char *version;
        const uint8_t *query;
        size_t size;
        int rcode;
        const char *text;
    } cases[] = {
        {"version", "9", BYTES(NO_OPT "\7version\4bind\0\0\x10\0\3"), 0,
         "\1"
         "9"},
        {"case", "9", BYTES(NO_OPT "\7VERSION\6server\0\0\x10\0\3"), 0,
         "\1"
         "9"},
        {"ANY", "9", BYTES(NO_OPT "\7version\4bind\0\0\xff\0\3"), 0,
         "\1"
         "9"},
        {"another type", "9", BYTES(NO_OPT "\7version\4bind\0\0\1\0\3"), 0, NULL},
        {"not configured", NULL, BYTES(NO_OPT "\7version\4bind\0\0\x10\0\3"), 5, NULL},
        {"identity", "9", BYTES(NO_OPT "\2id\6server\0\0\x10\0\3"), 0, "\2me"},
        {"host name", "9", BYTES(NO_OPT "\10hostname\4bind\0\0\x10\0\3"), 0, "\2me"},
        {"another name", "9", BYTES(NO_OPT "\7authors\4bind\0\0\x10\0\3"), 5, NULL},
        {"a name of ours", "9", BYTES(NO_OPT "\3web\7service\6consul\0\0\1\0\3"), 5,
         NULL},
    };
    struct fixture *fixture = *state;

    fixture->options.identity = "me";
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture->options.version = cases[i].version;
        ask(fixture, cases[i].query, cases[i].size);
        size_t size = cases[i].size;
        if (fixture->outcome.rcode != cases[i].rcode ||
            fixture->out[7] != (cases[i].text != NULL)) {
            fail_msg("%s: code %d, %d answers", cases[i].why, fixture->outcome.rcode,
                     fixture->out[7]);
        }
        if (cases[i].text != NULL) {
            size_t text_size = strlen(cases[i].text);
            assert_int_equal(fixture->outcome.size, size + 12 + text_size);
            assert_memory_equal(fixture->out + size, "\xc0\x0c\0\x10\0\3\0\0\0\0\0", 11);
            assert_int_equal(fixture->out[size + 11], text_size);
            assert_memory_equal(fixture->out + size + 12, cases[i].text, text_size);
        }
    }
}

static void limit_to(struct fixture *fixture, uint32_t per_second)
{
    static const uint8_t key[RC_SIPHASH_KEY_SIZE] = "fifteen letters";
    struct dns_rate_options options;

    dns_rate_options_init(&options);
    for (size_t i = 0; i < DNS_RATE_CLASS_COUNT; i++) {
        options.per_second[i] = per_second;
    }
    assert_int_equal(dns_rate_create(&options, key, &fixture->options.rate), RC_OK);
}

/* Two answers pass, one that says "ask over TCP", one dropped. */
static void who_asks_too_often_is_sent_to_tcp_or_hears_nothing(void **state)
{
    static const struct {
        const char *why;
        const uint8_t *query;
        size_t size;
        uint16_t rcode;
    } cases[] = {
        {"answers", BYTES(NO_OPT WEB_A), DNS_RCODE_NOERROR},
        {"with EDNS", BYTES(HEADER WEB_A OPT "\0"), DNS_RCODE_NOERROR},
        {"NXDOMAIN", BYTES(NO_OPT NONE_A), DNS_RCODE_NXDOMAIN},
        {"errors", BYTES(NO_OPT "\7example\0\0\1\0\1"), DNS_RCODE_REFUSED},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture *fixture = *state;
        limit_to(fixture, 1);
        for (int n = 0; n < 2; n++) {
            ask(fixture, cases[i].query, cases[i].size);
            assert_int_equal(fixture->outcome.rcode, cases[i].rcode);
            assert_int_equal(fixture->outcome.limit, DNS_LIMIT_NONE);
        }

        ask(fixture, cases[i].query, cases[i].size);
        if (fixture->outcome.limit != DNS_LIMIT_SLIPPED ||
            fixture->outcome.size != cases[i].size || fixture->out[2] != 0x83 ||
            fixture->out[3] != 0) {
            fail_msg("%s: %d, %zu bytes, flags %02x%02x", cases[i].why,
                     fixture->outcome.limit, fixture->outcome.size, fixture->out[2],
                     fixture->out[3]);
        }

        ask(fixture, cases[i].query, cases[i].size);
        assert_int_equal(fixture->outcome.limit, DNS_LIMIT_DROPPED);
        assert_int_equal(fixture->outcome.verdict, DNS_VERDICT_NOTHING);
        assert_int_equal(fixture->outcome.size, 0);
        dns_rate_destroy(fixture->options.rate);
        fixture->options.rate = NULL;
    }
}

static void malformed_queries_are_limited_too(void **state)
{
    struct fixture *fixture = *state;
    unsigned answered = 0;

    limit_to(fixture, 1);
    for (int n = 0; n < 22; n++) {
        ask(fixture, BYTES("\x12\x34\1\0\0\2\0\0\0\0\0\0"));
        answered += fixture->outcome.size > 0 ? 1 : 0;
        assert_true(fixture->outcome.size <= DNS_HEADER_SIZE);
    }

    assert_int_equal(answered, 12);
}

static void while_limiting_a_cookie_is_given_and_who_has_it_is_not_limited(void **state)
{
    struct fixture *fixture = *state;
    uint8_t again[] = HEADER WEB_A OPT "\x1c\0\xa\0\x18"
                                       "123456781234567890123456";

    limit_to(fixture, 1);
    for (int n = 0; n < 3; n++) {
        ask(fixture, BYTES(HEADER WEB_A OPT "\xc" COOKIE));
    }
    assert_int_equal(fixture->outcome.limit, DNS_LIMIT_SLIPPED);
    assert_int_equal(fixture->outcome.rcode, DNS_RCODE_BADCOOKIE);
    assert_int_equal(fixture->out[2] & 0x02, 0);
    assert_int_equal(fixture->out[7], 0);
    memcpy(again + sizeof again - 1 - DNS_COOKIE_SIZE, options_of(fixture, 28) + 4,
           DNS_COOKIE_SIZE);

    for (int n = 0; n < 100; n++) {
        ask(fixture, again, sizeof again - 1);
        assert_int_equal(fixture->outcome.limit, DNS_LIMIT_NONE);
        assert_int_equal(fixture->outcome.rcode, DNS_RCODE_NOERROR);
    }
}

static void question_that_is_answered_in_two_steps_counts_once(void **state)
{
    struct fixture *fixture = *state;

    limit_to(fixture, 1);
    fixture->client.is_counted = DNS_YES;
    for (int n = 0; n < 100; n++) {
        ask(fixture, BYTES(NO_OPT WEB_A));
        assert_int_equal(fixture->outcome.limit, DNS_LIMIT_NONE);
    }
}

static void tcp_and_clients_of_this_host_are_not_limited(void **state)
{
    static const enum dns_channel channels[] = {DNS_CHANNEL_TCP, DNS_CHANNEL_UDP_LOCAL};
    struct fixture *fixture = *state;

    limit_to(fixture, 1);
    for (size_t i = 0; i < sizeof channels / sizeof channels[0]; i++) {
        fixture->client.channel = channels[i];
        for (int n = 0; n < 100; n++) {
            ask(fixture, BYTES(NO_OPT WEB_A));
            assert_int_equal(fixture->outcome.limit, DNS_LIMIT_NONE);
            assert_true(fixture->outcome.size > 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            cookie_is_answered_with_ours_and_that_is_known_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cookie_of_somebody_else_is_answered_like_none,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(cookie_can_be_asked_for_without_a_question,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(name_of_the_server_is_told_to_who_asks, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(keepalive_is_told_over_tcp_only, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(all_options_fit_in_one_answer_with_an_error,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(refusal_says_whether_it_is_the_zone_or_the_client,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            class_chaos_is_answered_as_far_as_it_is_configured, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            who_asks_too_often_is_sent_to_tcp_or_hears_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(malformed_queries_are_limited_too, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            while_limiting_a_cookie_is_given_and_who_has_it_is_not_limited, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            question_that_is_answered_in_two_steps_counts_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tcp_and_clients_of_this_host_are_not_limited,
                                        set_up, tear_down),
    };

    return cmocka_run_group_tests_name("dns_manners", tests, NULL, NULL);
}
