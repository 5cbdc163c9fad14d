/* What is done with bad queries: the table of the DNS design, section by section. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "dns/answer/answer.h"
#include "dns/wire/message.h"
#include "tests/unit/dns_world.h"

/* Parts of packets, as string literals without their NUL. */
#define BYTES(text) text, sizeof(text) - 1

#define WEB    "\3web\7service\6consul\0"
#define WEB_A  WEB "\0\1\0\1"
#define OPT    "\0\0\x29\x04\xd0\0\0\0\0\0\0"
#define OPT_V1 "\0\0\x29\x04\xd0\0\1\0\0\0\0"
#define COOKIE_OPT                             \
    "\0\0\x29\x04\xd0\0\0\0\0\0\xc\0\xa\0\x08" \
    "12345678"
#define A_OF_A                "\1a\0\0\1\0\1\0\0\0\0\0\4\1\2\3\4"
#define HEADER(flags, counts) "\x12\x34" flags counts
#define QUERY                 "\1\0"
#define ONE                   "\0\1\0\0\0\0\0\0"
#define ONE_OPT               "\0\1\0\0\0\0\0\1"

enum { OPT_SIZE = 11 };
enum { DROP = -1, ECHO = 1, NO_ECHO = 0, EDNS = 1, NO_EDNS = 0 };

struct fixture {
    struct dns_world *world;
    struct dns_options options;
    struct dns_answerer *answerer;
};

static int set_up(void **state)
{
    static struct fixture fixture;

    fixture.world = dns_world_create("127.0.0.10");
    dns_options_init(&fixture.options);
    fixture.options.domain = "consul";
    *state = &fixture;
    return dns_answerer_create(&fixture.options, dns_world_view(fixture.world), 1,
                               &fixture.answerer);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    dns_answerer_destroy(fixture->answerer);
    dns_world_destroy(fixture->world);
    return 0;
}

struct reply {
    int rcode; /* with the bits of OPT; DROP: none */
    int has_question;
    int has_edns;
    size_t size;
    uint8_t bytes[DNS_UDP_LOCAL_MAX];
};

static void ask(const struct fixture *fixture, const char *query, size_t size,
                struct reply *out)
{
    const struct dns_client client = {.channel = DNS_CHANNEL_UDP_REMOTE};
    struct dns_outcome outcome =
        dns_answer(fixture->answerer, &client, (const uint8_t *)query, size, out->bytes,
                   sizeof out->bytes);

    out->size = outcome.size;
    out->rcode = outcome.size == 0 ? DROP : outcome.rcode;
    if (outcome.size == 0) {
        return;
    }
    assert_true(outcome.size >= DNS_HEADER_SIZE);
    assert_memory_equal(out->bytes, query, 2);
    assert_int_equal(out->bytes[3] & 0xf, outcome.rcode & 0xf);
    out->has_question = out->bytes[5];
    out->has_edns = out->bytes[11] > 0;
}

static const struct {
    const char *why;
    const char *query;
    size_t size;
    int rcode;
    int has_question;
    int has_edns;
} cases[] = {
    {"nothing", BYTES(""), DROP, 0, 0},
    {"11 bytes", BYTES("\x12\x34\1\0\0\1\0\0\0\0\0"), DROP, 0, 0},
    {"QR=1", BYTES(HEADER("\x81\0", ONE) WEB_A), DROP, 0, 0},
    {"no question", BYTES(HEADER(QUERY, "\0\0\0\0\0\0\0\0")), 1, NO_ECHO, NO_EDNS},
    {"two questions", BYTES(HEADER(QUERY, "\0\2\0\0\0\0\0\0") WEB_A WEB_A), 1, NO_ECHO,
     NO_EDNS},
    {"question cut", BYTES(HEADER(QUERY, ONE) "\3web\7serv"), 1, NO_ECHO, NO_EDNS},
    {"no type", BYTES(HEADER(QUERY, ONE) WEB), 1, NO_ECHO, NO_EDNS},
    {"bad label type", BYTES(HEADER(QUERY, ONE) "\x43web\0\0\1\0\1"), 1, NO_ECHO,
     NO_EDNS},
    {"pointer loop", BYTES(HEADER(QUERY, ONE) "\xc0\x0c\0\1\0\1"), 1, NO_ECHO, NO_EDNS},
    {"inverse query", BYTES(HEADER("\x09\0", ONE) WEB_A), 4, NO_ECHO, NO_EDNS},
    {"status", BYTES(HEADER("\x11\0", ONE) WEB_A), 4, NO_ECHO, NO_EDNS},
    {"notify", BYTES(HEADER("\x21\0", ONE) WEB_A), 4, NO_ECHO, NO_EDNS},
    {"update", BYTES(HEADER("\x29\0", ONE) WEB_A), 4, NO_ECHO, NO_EDNS},
    {"opcode 15", BYTES(HEADER("\x79\0", ONE) WEB_A), 4, NO_ECHO, NO_EDNS},
    {"TC, Z and a code set", BYTES(HEADER("\x03\x45", ONE) WEB_A), 0, ECHO, NO_EDNS},
    {"trailing bytes", BYTES(HEADER(QUERY, ONE) WEB_A "x"), 1, ECHO, NO_EDNS},
    {"an answer in it", BYTES(HEADER(QUERY, "\0\1\0\1\0\0\0\0") WEB_A A_OF_A), 1, ECHO,
     NO_EDNS},
    {"an authority in it", BYTES(HEADER(QUERY, "\0\1\0\0\0\1\0\0") WEB_A A_OF_A), 1, ECHO,
     NO_EDNS},
    {"ARCOUNT too large", BYTES(HEADER(QUERY, "\0\1\0\0\0\0\0\2") WEB_A OPT), 1, ECHO,
     EDNS},
    {"additional record", BYTES(HEADER(QUERY, ONE_OPT) WEB_A A_OF_A), 0, ECHO, NO_EDNS},
    {"class ANY", BYTES(HEADER(QUERY, ONE) WEB "\0\1\0\xff"), 5, ECHO, NO_EDNS},
    {"class 0", BYTES(HEADER(QUERY, ONE) WEB "\0\1\0\0"), 5, ECHO, NO_EDNS},
    {"class CH", BYTES(HEADER(QUERY, ONE) WEB "\0\1\0\3"), 5, ECHO, NO_EDNS},
    {"not our zone", BYTES(HEADER(QUERY, ONE) "\7example\0\0\1\0\1"), 5, ECHO, NO_EDNS},
    {"the root", BYTES(HEADER(QUERY, ONE) "\0\0\2\0\1"), 5, ECHO, NO_EDNS},
    {"type 0", BYTES(HEADER(QUERY, ONE) WEB "\0\0\0\1"), 1, ECHO, NO_EDNS},
    {"type OPT", BYTES(HEADER(QUERY, ONE) WEB "\0\x29\0\1"), 1, ECHO, NO_EDNS},
    {"unknown type", BYTES(HEADER(QUERY, ONE) WEB "\xff\0\0\1"), 0, ECHO, NO_EDNS},
    {"EDNS", BYTES(HEADER(QUERY, ONE_OPT) WEB_A OPT), 0, ECHO, EDNS},
    {"EDNS version 1", BYTES(HEADER(QUERY, ONE_OPT) WEB_A OPT_V1), 16, ECHO, EDNS},
    {"EDNS version 1, options broken",
     BYTES(HEADER(QUERY, ONE_OPT) WEB_A "\0\0\x29\x04\xd0\0\1\0\0\0\3abc"), 16, ECHO,
     EDNS},
    {"two OPT", BYTES(HEADER(QUERY, "\0\1\0\0\0\0\0\2") WEB_A OPT OPT), 1, ECHO, EDNS},
    {"OPT as an answer", BYTES(HEADER(QUERY, "\0\1\0\1\0\0\0\0") WEB_A OPT), 1, ECHO,
     NO_EDNS},
    {"OPT not of the root", BYTES(HEADER(QUERY, ONE_OPT) WEB_A "\1a" OPT), 1, ECHO,
     NO_EDNS},
    {"option beyond the data",
     BYTES(HEADER(QUERY, ONE_OPT) WEB_A "\0\0\x29\x04\xd0\0\0\0\0\0\5\0\xa\0\x08x"), 1,
     ECHO, NO_EDNS},
    {"unknown option",
     BYTES(HEADER(QUERY, ONE_OPT) WEB_A "\0\0\x29\x04\xd0\0\0\0\0\0\5\xfd\xe9\0\1x"), 0,
     ECHO, EDNS},
    {"EDNS size 0", BYTES(HEADER(QUERY, ONE_OPT) WEB_A "\0\0\x29\0\0\0\0\0\0\0\0"), 0,
     ECHO, EDNS},
    {"cookie of 7 bytes",
     BYTES(HEADER(QUERY, ONE_OPT) WEB_A "\0\0\x29\x04\xd0\0\0\0\0\0\xb\0\xa\0\7"
                                        "1234567"),
     1, ECHO, NO_EDNS},
    {"cookie of 41 bytes",
     BYTES(HEADER(QUERY, ONE_OPT) WEB_A "\0\0\x29\x04\xd0\0\0\0\0\0\x2d\0\xa\0\x29"
                                        "12345678901234567890123456789012345678901"),
     1, ECHO, NO_EDNS},
    {"cookie, but we give none", BYTES(HEADER(QUERY, ONE_OPT) WEB_A COOKIE_OPT), 0, ECHO,
     EDNS},
    {"cookie without a question, but we give none",
     BYTES(HEADER(QUERY, "\0\0\0\0\0\0\0\1") COOKIE_OPT), 1, NO_ECHO, EDNS},
    {"no question, OPT without cookie", BYTES(HEADER(QUERY, "\0\0\0\0\0\0\0\1") OPT), 1,
     NO_ECHO, EDNS},
    {"no question, broken OPT",
     BYTES(HEADER(QUERY, "\0\0\0\0\0\0\0\1") "\0\0\x29\x04\xd0\0\0\0\0\0\1x"), 1, NO_ECHO,
     NO_EDNS},
    {"no question, trailing byte",
     BYTES(HEADER(QUERY, "\0\0\0\0\0\0\0\1") COOKIE_OPT "x"), 1, NO_ECHO, EDNS},
    {"no question, EDNS version 1", BYTES(HEADER(QUERY, "\0\0\0\0\0\0\0\1") OPT_V1), 16,
     NO_ECHO, EDNS},
    {"DSO", BYTES(HEADER("\x30\0", "\0\0\0\0\0\0\0\0") "\0\1\0\0"), 4, NO_ECHO, NO_EDNS},
    {"TSIG", BYTES(HEADER(QUERY, ONE_OPT) WEB_A "\0\0\xfa\0\xff\0\0\0\0\0\0"), 1, ECHO,
     NO_EDNS},
    {"SIG(0)", BYTES(HEADER(QUERY, ONE_OPT) WEB_A "\0\0\x18\0\xff\0\0\0\0\0\0"), 1, ECHO,
     NO_EDNS},
    {"AXFR", BYTES(HEADER(QUERY, ONE) "\6consul\0\0\xfc\0\1"), 4, ECHO, NO_EDNS},
    {"IXFR with its SOA",
     BYTES(HEADER(QUERY, "\0\1\0\0\0\1\0\0") "\6consul\0\0\xfb\0\1" A_OF_A), 4, ECHO,
     NO_EDNS},
};

static void bad_queries_get_what_the_table_says(void **state)
{
    static struct reply reply;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ask(*state, cases[i].query, cases[i].size, &reply);
        if (reply.rcode != cases[i].rcode) {
            fail_msg("%s: code %d, not %d", cases[i].why, reply.rcode, cases[i].rcode);
        }
        if (reply.rcode != DROP && (reply.has_question != cases[i].has_question ||
                                    reply.has_edns != cases[i].has_edns)) {
            fail_msg("%s: question %d, EDNS %d", cases[i].why, reply.has_question,
                     reply.has_edns);
        }
        if (reply.rcode == DNS_RCODE_FORMERR && reply.size > cases[i].size) {
            fail_msg("%s: an error larger than its cause", cases[i].why);
        }
        if (reply.rcode != DROP && cases[i].has_question == NO_ECHO &&
            reply.size != DNS_HEADER_SIZE + (cases[i].has_edns == EDNS ? OPT_SIZE : 0)) {
            fail_msg("%s: %zu bytes", cases[i].why, reply.size);
        }
    }
}

static void question_is_echoed_bit_for_bit(void **state)
{
    static const char query[] = HEADER(QUERY, ONE) "\3wEb\7SERVICE\6coNsul\0\0\1\0\1";
    static struct reply reply;

    ask(*state, query, sizeof query - 1, &reply);

    assert_int_equal(reply.rcode, DNS_RCODE_NOERROR);
    assert_memory_equal(reply.bytes + DNS_HEADER_SIZE, query + DNS_HEADER_SIZE,
                        sizeof query - 1 - DNS_HEADER_SIZE);
}

static void flags_of_the_query_are_copied_or_cleared(void **state)
{
    static const char asked_all[] = HEADER("\x07\xf0", ONE) WEB_A; /* AA TC RD Z AD CD */
    static const char asked_none[] = HEADER("\0\0", ONE) WEB_A;
    static struct reply reply;

    ask(*state, asked_all, sizeof asked_all - 1, &reply);
    assert_int_equal(reply.bytes[2], 0x85); /* QR AA RD */
    assert_int_equal(reply.bytes[3], 0x10); /* CD */
    ask(*state, asked_none, sizeof asked_none - 1, &reply);
    assert_int_equal(reply.bytes[2], 0x84);
    assert_int_equal(reply.bytes[3], 0);
}

static void edns_answer_has_our_size_and_the_clients_do_flag(void **state)
{
    static const char query[] =
        HEADER(QUERY, ONE_OPT) WEB_A "\0\0\x29\x20\0\0\0\xff\xff\0\0";
    static struct reply reply;

    ask(*state, query, sizeof query - 1, &reply);

    assert_memory_equal(reply.bytes + reply.size - 11, "\0\0\x29\x04\xd0\0\0\x80\0\0\0",
                        11);
}

static void refusal_says_why_to_clients_with_edns(void **state)
{
    static const char query[] = HEADER(QUERY, ONE_OPT) "\7example\0\0\1\0\1" OPT;
    static struct reply reply;

    ask(*state, query, sizeof query - 1, &reply);

    assert_int_equal(reply.rcode, DNS_RCODE_REFUSED);
    assert_memory_equal(reply.bytes + reply.size - 6, "\0\x0f\0\2\0\x14", 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_queries_get_what_the_table_says),
        cmocka_unit_test(question_is_echoed_bit_for_bit),
        cmocka_unit_test(flags_of_the_query_are_copied_or_cleared),
        cmocka_unit_test(edns_answer_has_our_size_and_the_clients_do_flag),
        cmocka_unit_test(refusal_says_why_to_clients_with_edns),
    };
    return cmocka_run_group_tests_name("dns_message", tests, set_up, tear_down);
}
