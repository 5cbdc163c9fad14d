#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/writer.h"
#include "dns/resolve/lookup.h"
#include "dns/wire/message.h"

enum { NXDOMAIN = 0x8503, NOERROR = 0x8500, CUT = 0x8700, SERVFAIL = 0x8502 };

/* An answer under construction by hand: the codec's own writer is for queries to us. */
struct packet {
    uint8_t bytes[2048];
    struct rc_writer writer;
    uint16_t counts[3];
};

static void put_name(struct packet *p, const char *text)
{
    struct dns_name name;

    assert_int_equal(dns_name_from_text(text, &name), RC_OK);
    rc_writer_bytes(&p->writer, name.wire, name.size);
}

static void begin(struct packet *p, uint16_t flags, const char *name, uint16_t type)
{
    memset(p, 0, sizeof *p);
    p->writer = rc_writer_over(p->bytes, sizeof p->bytes);
    rc_writer_u16(&p->writer, 0x1234);
    rc_writer_u16(&p->writer, flags);
    rc_writer_u16(&p->writer, 1);
    (void)rc_writer_reserve(&p->writer, 6);
    put_name(p, name);
    rc_writer_u16(&p->writer, type);
    rc_writer_u16(&p->writer, DNS_CLASS_IN);
}

static void put_record(struct packet *p, enum dns_section section, const char *owner,
                       uint16_t type, uint32_t ttl_s)
{
    put_name(p, owner);
    rc_writer_u16(&p->writer, type);
    rc_writer_u16(&p->writer, DNS_CLASS_IN);
    rc_writer_u32(&p->writer, ttl_s);
    p->counts[section]++;
    p->bytes[7 + 2 * (size_t)section] = (uint8_t)p->counts[section];
}

static void put_srv(struct packet *p, const char *owner, uint16_t port,
                    const char *target)
{
    put_record(p, DNS_SECTION_ANSWER, owner, DNS_TYPE_SRV, 30);
    rc_writer_u16(&p->writer, (uint16_t)(strlen(target) + 2 + 6 - (target[0] == '\0')));
    rc_writer_u16(&p->writer, 1);
    rc_writer_u16(&p->writer, 10);
    rc_writer_u16(&p->writer, port);
    put_name(p, target);
}

static void put_a(struct packet *p, enum dns_section section, const char *owner,
                  uint32_t ttl_s, uint32_t ip)
{
    put_record(p, section, owner, DNS_TYPE_A, ttl_s);
    rc_writer_u16(&p->writer, 4);
    rc_writer_u32(&p->writer, ip);
}

static void put_cname(struct packet *p, const char *owner, const char *target)
{
    put_record(p, DNS_SECTION_ANSWER, owner, DNS_TYPE_CNAME, 9);
    rc_writer_u16(&p->writer, (uint16_t)(strlen(target) + 2));
    put_name(p, target);
}

static struct dns_lookup *start(void)
{
    struct dns_lookup_question question;
    struct dns_lookup *lookup;
    struct dns_result result;

    assert_int_equal(dns_lookup_create("_web._tcp.service.rollcall.", 1, &lookup), RC_OK);
    assert_int_equal(dns_lookup_next(lookup, &question), RC_OK);
    assert_string_equal(question.name, "_web._tcp.service.rollcall");
    assert_int_equal(question.type, DNS_TYPE_SRV);
    assert_int_equal(dns_lookup_next(lookup, &question), RC_ENOTFOUND);
    assert_int_equal(dns_lookup_result(lookup, &result), RC_EAGAIN);
    return lookup;
}

static void answer(struct dns_lookup *lookup, size_t id, const struct packet *p)
{
    dns_lookup_answer(lookup, id, p->bytes, rc_writer_size(&p->writer), "unused");
}

static const char web[] = "_web._tcp.service.rollcall";

static void addresses_that_came_along_make_it_full(void **state)
{
    struct dns_lookup_question question;
    struct dns_result result;
    struct packet p;

    (void)state;
    struct dns_lookup *lookup = start();
    begin(&p, NOERROR, "_Web._TCP.service.rollcall", DNS_TYPE_SRV);
    put_srv(&p, web, 8080, "a.example");
    put_srv(&p, web, 8081, "B.example");
    put_a(&p, DNS_SECTION_ADDITIONAL, "A.EXAMPLE", 20, 0x0a000001);
    put_a(&p, DNS_SECTION_ADDITIONAL, "b.example", 40, 0x0a000002);
    put_a(&p, DNS_SECTION_ADDITIONAL, "stranger.example", 1, 0x0a000003);
    answer(lookup, 0, &p);

    assert_int_equal(dns_lookup_next(lookup, &question), RC_ENOTFOUND);
    assert_int_equal(dns_lookup_result(lookup, &result), RC_OK);
    assert_int_equal(result.verdict, DNS_VERDICT_FULL);
    assert_int_equal(result.target_count, 2);
    assert_int_equal(result.min_ttl_s, 20);
    assert_int_equal(result.targets[1].address.port, 8081);
    assert_int_equal(result.targets[1].address.ip[3], 2);
    assert_string_equal(result.targets[1].name, "b.example");
    dns_lookup_destroy(lookup);
}

static void missing_addresses_are_asked_for_along_aliases(void **state)
{
    struct dns_lookup_question a;
    struct dns_lookup_question aaaa;
    struct dns_result result;
    struct packet p;

    (void)state;
    struct dns_lookup *lookup = start();
    begin(&p, NOERROR, web, DNS_TYPE_SRV);
    put_srv(&p, web, 80, "db.example");
    answer(lookup, 0, &p);
    assert_int_equal(dns_lookup_next(lookup, &a), RC_OK);
    assert_int_equal(dns_lookup_next(lookup, &aaaa), RC_OK);
    assert_int_equal(a.type, DNS_TYPE_A);
    assert_int_equal(aaaa.type, DNS_TYPE_AAAA);
    begin(&p, NOERROR, "db.example", DNS_TYPE_A);
    put_a(&p, DNS_SECTION_ANSWER, "real.example", 60, 0x0a000009);
    put_cname(&p, "db.example", "real.example");
    answer(lookup, a.id, &p);
    assert_int_equal(dns_lookup_result(lookup, &result), RC_EAGAIN);
    dns_lookup_answer(lookup, aaaa.id, NULL, 0, "timeout");

    assert_int_equal(dns_lookup_result(lookup, &result), RC_OK);
    assert_int_equal(result.verdict, DNS_VERDICT_FULL);
    assert_int_equal(result.target_count, 1);
    assert_int_equal(result.min_ttl_s, 9);
    dns_lookup_destroy(lookup);
}

static void target_without_address_makes_it_partial(void **state)
{
    struct dns_lookup_question question;
    struct dns_result result;
    struct packet p;

    (void)state;
    struct dns_lookup *lookup = start();
    begin(&p, NOERROR, web, DNS_TYPE_SRV);
    put_srv(&p, web, 80, "a.example");
    put_srv(&p, web, 81, "b.example");
    put_a(&p, DNS_SECTION_ADDITIONAL, "a.example", 20, 0x0a000001);
    answer(lookup, 0, &p);
    while (dns_lookup_next(lookup, &question) == RC_OK) {
        assert_string_equal(question.name, "b.example");
        dns_lookup_answer(lookup, question.id, NULL, 0, "timeout");
    }

    assert_int_equal(dns_lookup_result(lookup, &result), RC_OK);
    assert_int_equal(result.verdict, DNS_VERDICT_PARTIAL);
    assert_int_equal(result.target_count, 1);
    assert_non_null(result.problem);
    dns_lookup_destroy(lookup);
}

static void verdict_follows_the_answer(void **state)
{
    static const struct {
        const char *why;
        uint16_t flags;
        uint16_t type;
        enum dns_verdict want;
        const char *name;
        const char *target; /* of an SRV record; NULL: none */
    } cases[] = {
        {"no such name", NXDOMAIN, DNS_TYPE_SRV, DNS_VERDICT_EMPTY, web, NULL},
        {"no records", NOERROR, DNS_TYPE_SRV, DNS_VERDICT_EMPTY, web, NULL},
        {"decidedly absent", NOERROR, DNS_TYPE_SRV, DNS_VERDICT_EMPTY, web, ""},
        {"server failure", SERVFAIL, DNS_TYPE_SRV, DNS_VERDICT_FAILED, web, NULL},
        {"cut", CUT, DNS_TYPE_SRV, DNS_VERDICT_PARTIAL, web, "a.example"},
        {"cut to nothing", CUT, DNS_TYPE_SRV, DNS_VERDICT_PARTIAL, web, NULL},
        {"another name", NOERROR, DNS_TYPE_SRV, DNS_VERDICT_FAILED, "x", NULL},
        {"another type", NOERROR, DNS_TYPE_A, DNS_VERDICT_FAILED, web, NULL},
        {"a query", 0x0100, DNS_TYPE_SRV, DNS_VERDICT_FAILED, web, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dns_lookup *lookup = start();
        struct dns_result result;
        struct packet p;
        begin(&p, cases[i].flags, cases[i].name, cases[i].type);
        if (cases[i].target != NULL) {
            put_srv(&p, web, 80, cases[i].target);
            put_a(&p, DNS_SECTION_ADDITIONAL, "a.example", 20, 0x0a000001);
        }
        answer(lookup, 0, &p);
        assert_int_equal(dns_lookup_result(lookup, &result), RC_OK);
        if (result.verdict != cases[i].want) {
            fail_msg("%s: verdict %d", cases[i].why, (int)result.verdict);
        }
        dns_lookup_destroy(lookup);
    }
}

static void silence_is_failed_with_its_reason(void **state)
{
    struct dns_result result;

    (void)state;
    struct dns_lookup *lookup = start();
    dns_lookup_answer(lookup, 0, NULL, 0, "no server answered in time");

    assert_int_equal(dns_lookup_result(lookup, &result), RC_OK);
    assert_int_equal(result.verdict, DNS_VERDICT_FAILED);
    assert_string_equal(result.problem, "no server answered in time");
    dns_lookup_destroy(lookup);
}

static void ring_of_aliases_is_no_answer(void **state)
{
    struct dns_result result;
    struct packet p;

    (void)state;
    struct dns_lookup *lookup = start();
    begin(&p, NOERROR, web, DNS_TYPE_SRV);
    put_cname(&p, web, "other.example");
    put_cname(&p, "other.example", web);
    answer(lookup, 0, &p);

    assert_int_equal(dns_lookup_result(lookup, &result), RC_OK);
    assert_int_equal(result.verdict, DNS_VERDICT_FAILED);
    dns_lookup_destroy(lookup);
}

static void record_cut_anywhere_is_never_full(void **state)
{
    struct packet p;

    (void)state;
    begin(&p, NOERROR, web, DNS_TYPE_SRV);
    put_srv(&p, web, 8080, "a.example");
    put_a(&p, DNS_SECTION_ADDITIONAL, "a.example", 20, 0x0a000001);
    for (size_t size = 0; size < rc_writer_size(&p.writer); size++) {
        struct dns_lookup_question question;
        struct dns_lookup *lookup = start();
        struct dns_result result;
        dns_lookup_answer(lookup, 0, p.bytes, size, "unused");
        while (dns_lookup_next(lookup, &question) == RC_OK) {
            dns_lookup_answer(lookup, question.id, NULL, 0, "timeout");
        }
        assert_int_equal(dns_lookup_result(lookup, &result), RC_OK);
        assert_true(result.verdict == DNS_VERDICT_PARTIAL ||
                    result.verdict == DNS_VERDICT_FAILED);
        dns_lookup_destroy(lookup);
    }
}

static struct dns_lookup *start_plain(void)
{
    struct dns_lookup_question question;
    struct dns_lookup *lookup = NULL;
    assert_int_equal(dns_lookup_create_addresses("Web.example.", 80, 1, &lookup), RC_OK);
    assert_int_equal(dns_lookup_next(lookup, &question), RC_OK);
    assert_int_equal(question.type, DNS_TYPE_A);
    assert_int_equal(question.id, 1);
    assert_int_equal(dns_lookup_next(lookup, &question), RC_OK);
    assert_int_equal(question.type, DNS_TYPE_AAAA);
    assert_int_equal(question.id, 2);
    assert_int_equal(dns_lookup_next(lookup, &question), RC_ENOTFOUND);
    return lookup;
}

static void plain_addresses_get_the_port_and_follow_aliases(void **state)
{
    struct dns_result result;
    struct packet p;
    (void)state;
    struct dns_lookup *lookup = start_plain();
    begin(&p, NOERROR, "web.example", DNS_TYPE_A);
    put_cname(&p, "web.example", "w.example");
    put_a(&p, DNS_SECTION_ANSWER, "w.example", 20, 0x0a000001);
    put_a(&p, DNS_SECTION_ANSWER, "w.example", 30, 0x0a000002);
    answer(lookup, 1, &p);
    assert_int_equal(dns_lookup_result(lookup, &result), RC_EAGAIN);
    begin(&p, NOERROR, "web.example", DNS_TYPE_AAAA);
    answer(lookup, 2, &p);

    assert_int_equal(dns_lookup_result(lookup, &result), RC_OK);

    assert_int_equal(result.verdict, DNS_VERDICT_FULL);
    assert_int_equal(result.target_count, 2);
    assert_int_equal(result.targets[0].address.port, 80);
    assert_int_equal(result.targets[0].weight, 1);
    assert_int_equal(result.min_ttl_s, 9);
    dns_lookup_destroy(lookup);
}

static void plain_answers_are_worth_what_both_families_say(void **state)
{
    static const struct {
        int a;    /* records, -1 = no answer */
        int aaaa; /* 0 = answered with none */
        enum dns_verdict want;
    } cases[] = {
        {0, 0, DNS_VERDICT_EMPTY},    {1, -1, DNS_VERDICT_PARTIAL},
        {-1, 0, DNS_VERDICT_FAILED},  {0, -1, DNS_VERDICT_FAILED},
        {-1, -1, DNS_VERDICT_FAILED}, {1, 0, DNS_VERDICT_FULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dns_lookup *lookup = start_plain();
        struct dns_result result;
        struct packet p;
        begin(&p, NOERROR, "web.example", DNS_TYPE_A);
        if (cases[i].a > 0) {
            put_a(&p, DNS_SECTION_ANSWER, "web.example", 20, 0x0a000001);
        }
        if (cases[i].a < 0) {
            dns_lookup_answer(lookup, 1, NULL, 0, "silence");
        } else {
            answer(lookup, 1, &p);
        }
        begin(&p, NXDOMAIN, "web.example", DNS_TYPE_AAAA);
        if (cases[i].aaaa < 0) {
            dns_lookup_answer(lookup, 2, NULL, 0, "silence");
        } else {
            answer(lookup, 2, &p);
        }
        assert_int_equal(dns_lookup_result(lookup, &result), RC_OK);
        assert_int_equal(result.verdict, cases[i].want);
        dns_lookup_destroy(lookup);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_that_came_along_make_it_full),
        cmocka_unit_test(missing_addresses_are_asked_for_along_aliases),
        cmocka_unit_test(target_without_address_makes_it_partial),
        cmocka_unit_test(verdict_follows_the_answer),
        cmocka_unit_test(silence_is_failed_with_its_reason),
        cmocka_unit_test(ring_of_aliases_is_no_answer),
        cmocka_unit_test(record_cut_anywhere_is_never_full),
        cmocka_unit_test(plain_addresses_get_the_port_and_follow_aliases),
        cmocka_unit_test(plain_answers_are_worth_what_both_families_say),
    };
    return cmocka_run_group_tests_name("dns_lookup", tests, NULL, NULL);
}
