#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "dns/answer/answer.h"
#include "dns/wire/message.h"
#include "dns/wire/response.h"
#include "tests/unit/dns_world.h"

enum { RANDOM_QUERIES = 20000, NO_EDNS = 0 };

struct fixture {
    struct dns_world *world;
    struct dns_options options;
    struct dns_answerer *answerer;
    struct dns_outcome outcome;
    uint8_t query[DNS_UDP_PLAIN_MAX];
    size_t query_size;
    uint8_t answer[DNS_MESSAGE_MAX];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    if (f == NULL) {
        return -1;
    }
    f->world = dns_world_create("127.0.0.10");
    dns_world_add(f->world, "huge", 3000);
    dns_options_init(&f->options);
    f->options.domain = "rollcall";
    f->options.alt_domain = "consul.";
    *state = f;
    return dns_answerer_create(&f->options, dns_world_view(f->world), 7, &f->answerer);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    dns_answerer_destroy(f->answerer);
    dns_world_destroy(f->world);
    free(f);
    return 0;
}

/* Asks for `text` with an OPT of `edns_size`, or none. */
static void ask_on(struct fixture *f, enum dns_channel channel, const char *text,
                   uint16_t type, uint16_t edns_size)
{
    struct rc_writer writer = rc_writer_over(f->query, sizeof f->query);
    struct dns_name name;

    assert_int_equal(dns_name_from_text(text, &name), RC_OK);
    rc_writer_u32(&writer, 0x12340100);
    rc_writer_u32(&writer, 0x00010000);
    rc_writer_u32(&writer, edns_size == NO_EDNS ? 0 : 1);
    rc_writer_bytes(&writer, name.wire, name.size);
    rc_writer_u16(&writer, type);
    rc_writer_u16(&writer, DNS_CLASS_IN);
    if (edns_size != NO_EDNS) {
        rc_writer_u8(&writer, 0);
        rc_writer_u16(&writer, DNS_TYPE_OPT);
        rc_writer_u16(&writer, edns_size);
        rc_writer_u32(&writer, 0);
        rc_writer_u16(&writer, 0);
    }
    assert_int_equal(writer.err, RC_OK);
    f->query_size = rc_writer_size(&writer);
    const struct dns_client client = {.channel = channel};
    f->outcome = dns_answer(f->answerer, &client, f->query, f->query_size, f->answer,
                            sizeof f->answer);
}

static void ask(struct fixture *f, const char *text, uint16_t type)
{
    ask_on(f, DNS_CHANNEL_TCP, text, type, NO_EDNS);
}

static struct dns_response open_answer(const struct fixture *f)
{
    struct dns_response response;

    assert_int_equal(dns_response_open(f->answer, f->outcome.size, &response), RC_OK);
    return response;
}

/* How many records of `type` a section has; 0 as type counts all. */
static size_t count(const struct fixture *f, enum dns_section section, uint16_t type)
{
    struct dns_response response = open_answer(f);
    struct dns_received record;
    size_t found = 0;

    while (dns_response_next(&response, &record) == RC_OK) {
        found += record.section == section && (type == 0 || record.type == type) ? 1 : 0;
    }
    return found;
}

static void assert_nxdomain(const struct fixture *f)
{
    assert_int_equal(f->outcome.rcode, DNS_RCODE_NXDOMAIN);
    assert_int_equal(count(f, DNS_SECTION_ANSWER, 0), 0);
    assert_int_equal(count(f, DNS_SECTION_AUTHORITY, DNS_TYPE_SOA), 1);
}

static void assert_nodata(const struct fixture *f)
{
    assert_int_equal(f->outcome.rcode, DNS_RCODE_NOERROR);
    assert_int_equal(count(f, DNS_SECTION_ANSWER, 0), 0);
    assert_int_equal(count(f, DNS_SECTION_AUTHORITY, DNS_TYPE_SOA), 1);
}

static void only_usable_instances_are_answered(void **state)
{
    struct fixture *f = *state;

    ask(f, "web.service.rollcall", DNS_TYPE_A);
    assert_int_equal(count(f, DNS_SECTION_ANSWER, DNS_TYPE_A), 2);
    ask(f, "down.service.rollcall", DNS_TYPE_A);
    assert_nxdomain(f);
    ask(f, "nosuch.service.rollcall", DNS_TYPE_A);
    assert_nxdomain(f);
}

static void only_passing_leaves_out_warnings(void **state)
{
    struct fixture *f = *state;

    f->options.only_passing = DNS_YES;
    ask(f, "web.service.rollcall", DNS_TYPE_SRV);
    f->options.only_passing = DNS_NO;

    assert_int_equal(count(f, DNS_SECTION_ANSWER, DNS_TYPE_SRV), 1);
}

static void known_service_without_usable_instance_may_be_no_data(void **state)
{
    struct fixture *f = *state;

    f->options.empty_service_ok = DNS_YES;
    ask(f, "down.service.rollcall", DNS_TYPE_A);
    assert_nodata(f);
    ask(f, "nosuch.service.rollcall", DNS_TYPE_A);
    assert_nxdomain(f);
    f->options.empty_service_ok = DNS_NO;
}

static void every_form_of_name_finds_its_records(void **state)
{
    static const struct {
        const char *name;
        uint16_t type;
        size_t answers;
    } cases[] = {
        {"web.service.rollcall", DNS_TYPE_SRV, 2},
        {"web.service.dc1.rollcall", DNS_TYPE_SRV, 2},
        {"WEB.SERVICE.DC1.CONSUL", DNS_TYPE_SRV, 2},
        {"v1.web.service.rollcall", DNS_TYPE_SRV, 1},
        {"a.b.under_score.service.rollcall", DNS_TYPE_A, 1},
        {"_web._tcp.service.rollcall", DNS_TYPE_SRV, 2},
        {"_web._tcp.service.dc1.rollcall", DNS_TYPE_SRV, 2},
        {"_web._tcp.rollcall", DNS_TYPE_SRV, 2},
        {"_web._tcp.dc1.rollcall", DNS_TYPE_SRV, 2},
        {"_pgdemo._primary.service.rollcall", DNS_TYPE_SRV, 1},
        {"node1.node.rollcall", DNS_TYPE_A, 1},
        {"dotted.node.node.dc1.rollcall", DNS_TYPE_A, 1},
        {"v6node.node.rollcall", DNS_TYPE_AAAA, 1},
        {"node1.node.rollcall", DNS_TYPE_TXT, 3},
        {"0a00000b.addr.rollcall", DNS_TYPE_A, 1},
        {"0A00000B.ADDR.dc1.rollcall", DNS_TYPE_A, 1},
        {"20010db8000000000000000000000005.addr.rollcall", DNS_TYPE_AAAA, 1},
        {"10.0.0.127.in-addr.arpa", DNS_TYPE_PTR, 1},
        {"9.9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
         DNS_TYPE_PTR, 1},
        {"rollcall", DNS_TYPE_SOA, 1},
        {"rollcall", DNS_TYPE_NS, 1},
        {"consul", DNS_TYPE_NS, 1},
        {"ns.rollcall", DNS_TYPE_A, 1},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ask(f, cases[i].name, cases[i].type);
        size_t got = count(f, DNS_SECTION_ANSWER, cases[i].type);
        if (f->outcome.rcode != DNS_RCODE_NOERROR || got != cases[i].answers) {
            fail_msg("%s: code %d, %zu answers", cases[i].name, f->outcome.rcode, got);
        }
    }
}

static void names_that_cannot_be_do_not_exist(void **state)
{
    static const char *const names[] = {
        "nosuch.rollcall",
        "web.service.dc9.rollcall",
        "a.b.c.rollcall",
        "node1.node.dc9.rollcall",
        "nosuch.node.rollcall",
        "zz00000b.addr.rollcall",
        "a.0a00000b.addr.rollcall",
        "nosuch.web.service.rollcall",
        "q.query.rollcall",
        "web.connect.rollcall",
        "x.ns.rollcall",
        "_web._udp.service.rollcall",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        ask(f, names[i], DNS_TYPE_A);
        if (f->outcome.rcode != DNS_RCODE_NXDOMAIN) {
            fail_msg("%s: code %d", names[i], f->outcome.rcode);
        }
        assert_nxdomain(f);
    }
}

static void a_prepared_query_is_answered_with_what_it_picks_and_its_ttl(void **state)
{
    struct fixture *f = *state;

    f->options.only_passing =
        DNS_YES; /* is not asked: the query says what is good enough */
    ask(f, "Q1.Query.dc1.rollcall", DNS_TYPE_SRV);
    assert_int_equal(count(f, DNS_SECTION_ANSWER, DNS_TYPE_SRV), 1);
    assert_int_equal(count(f, DNS_SECTION_ADDITIONAL, DNS_TYPE_A), 1);
    struct dns_response response = open_answer(f);
    struct dns_received record;
    assert_int_equal(dns_response_next(&response, &record), RC_OK);
    assert_int_equal(record.ttl_s, 17);

    ask(f, "q1.query.rollcall", DNS_TYPE_AAAA);
    assert_nodata(f);
    ask(f, "q1.query.dc9.rollcall", DNS_TYPE_A);
    assert_nxdomain(f);
    ask(f, "query.rollcall", DNS_TYPE_A);
    assert_nodata(f);
    f->options.only_passing = DNS_NO;
}

static void a_prepared_query_that_picks_nothing_does_not_exist(void **state)
{
    struct fixture *f = *state;

    ask(f, "nobody.query.rollcall", DNS_TYPE_A);
    assert_nxdomain(f);
    f->options.empty_service_ok = DNS_YES;
    ask(f, "nobody.query.rollcall", DNS_TYPE_A);
    assert_nodata(f);
    ask(f, "nosuch.query.rollcall", DNS_TYPE_A);
    assert_nxdomain(f);
    f->options.empty_service_ok = DNS_NO;
}

static void the_order_of_a_query_that_sorts_is_kept(void **state)
{
    struct fixture *f = *state;

    for (unsigned round = 0; round < 3; round++) {
        ask(f, "near.many.query.rollcall", DNS_TYPE_A);
        struct dns_response response = open_answer(f);
        for (uint8_t i = 1; i <= 40; i++) {
            struct dns_received record;
            struct rc_address ip;
            assert_int_equal(dns_response_next(&response, &record), RC_OK);
            assert_int_equal(dns_received_address(&response, &record, &ip), RC_OK);
            assert_int_equal(ip.ip[3], i);
        }
    }
}

/* "There is none" would be a lie that resolvers may keep. */
static void nothing_is_said_of_a_query_that_may_be_on_its_way(void **state)
{
    struct fixture *f = *state;

    ask(f, "onitsway.query.rollcall", DNS_TYPE_A);
    assert_int_equal(f->outcome.rcode, DNS_RCODE_SERVFAIL);
}

static void names_above_others_exist_without_records(void **state)
{
    static const char *const names[] = {
        "rollcall",          "service.rollcall",      "node.rollcall",
        "addr.rollcall",     "dc1.rollcall",          "service.dc1.rollcall",
        "_tcp.rollcall",     "_tcp.service.rollcall", "_tcp.service.dc1.rollcall",
        "_tcp.dc1.rollcall",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        ask(f, names[i], DNS_TYPE_A);
        if (f->outcome.rcode != DNS_RCODE_NOERROR) {
            fail_msg("%s: code %d", names[i], f->outcome.rcode);
        }
        assert_nodata(f);
    }
}

static void nothing_is_answered_before_the_catalog_is_loaded(void **state)
{
    struct fixture *f = *state;

    dns_world_set_index(f->world, 0);
    ask_on(f, DNS_CHANNEL_TCP, "web.service.rollcall", DNS_TYPE_A, 1232);
    dns_world_set_index(f->world, 5);

    assert_int_equal(f->outcome.rcode, DNS_RCODE_SERVFAIL);
    assert_memory_equal(f->answer + f->outcome.size - 6, "\0\x0f\0\2\0\x0e", 6);
}

static void serial_is_the_index_of_the_catalog(void **state)
{
    struct fixture *f = *state;

    dns_world_set_index(f->world, 0x1234567890abcdefU);
    ask(f, "rollcall", DNS_TYPE_SOA);

    static const uint8_t serial[] = {0x90, 0xab, 0xcd, 0xef};
    assert_non_null(memmem(f->answer, f->outcome.size, serial, sizeof serial));
}

static void targets_are_named_under_the_primary_domain(void **state)
{
    struct fixture *f = *state;
    struct dns_received_srv srv;
    struct dns_received record;
    struct dns_name domain;

    assert_int_equal(dns_name_from_text("dc1.rollcall", &domain), RC_OK);
    ask(f, "web.service.consul", DNS_TYPE_SRV);
    struct dns_response response = open_answer(f);
    assert_int_equal(dns_response_next(&response, &record), RC_OK);
    assert_int_equal(dns_received_srv(&response, &record, &srv), RC_OK);

    assert_true(dns_name_ends_with(&srv.target, &domain));
}

static void each_target_has_its_address_once(void **state)
{
    struct fixture *f = *state;

    ask(f, "many.service.rollcall", DNS_TYPE_SRV);
    assert_int_equal(count(f, DNS_SECTION_ANSWER, DNS_TYPE_SRV), 40);
    assert_int_equal(count(f, DNS_SECTION_ADDITIONAL, DNS_TYPE_A), 40);
    ask(f, "noport.service.rollcall", DNS_TYPE_SRV);
    assert_int_equal(count(f, DNS_SECTION_ADDITIONAL, DNS_TYPE_A), 1);
}

static void cut_answer_is_marked_and_full_of_whole_records(void **state)
{
    struct fixture *f = *state;

    ask_on(f, DNS_CHANNEL_UDP_REMOTE, "many.service.rollcall", DNS_TYPE_SRV, NO_EDNS);
    assert_int_equal(f->outcome.truncated, DNS_YES);
    assert_int_equal(f->answer[2] & 2, 2);
    assert_true(f->outcome.size <= 512 && f->outcome.size > 512 - 60);
    assert_true(count(f, DNS_SECTION_ANSWER, DNS_TYPE_SRV) >= 8);

    ask_on(f, DNS_CHANNEL_UDP_REMOTE, "many.service.rollcall", DNS_TYPE_SRV, 4096);
    assert_int_equal(f->outcome.truncated, DNS_YES);
    assert_true(f->outcome.size <= DNS_UDP_REMOTE_MAX);

    ask_on(f, DNS_CHANNEL_UDP_LOCAL, "many.service.rollcall", DNS_TYPE_SRV, 4096);
    assert_int_equal(f->outcome.truncated, DNS_NO);
    assert_int_equal(count(f, DNS_SECTION_ANSWER, DNS_TYPE_SRV), 40);
}

static void missing_additional_addresses_are_no_reason_for_a_mark(void **state)
{
    struct fixture *f = *state;

    /* Forty targets of 44 bytes fit, their addresses do not. */
    ask_on(f, DNS_CHANNEL_UDP_LOCAL, "many.service.rollcall", DNS_TYPE_SRV, 2000);

    assert_int_equal(count(f, DNS_SECTION_ANSWER, DNS_TYPE_SRV), 40);
    assert_true(count(f, DNS_SECTION_ADDITIONAL, DNS_TYPE_A) < 40);
    assert_int_equal(f->outcome.truncated, DNS_NO);
}

static void set_over_64_kib_is_cut_over_tcp(void **state)
{
    struct fixture *f = *state;

    ask(f, "huge.service.rollcall", DNS_TYPE_SRV);

    assert_int_equal(f->outcome.truncated, DNS_YES);
    assert_true(f->outcome.size > 65000);
}

static void limits_of_the_operator_cut_without_a_mark(void **state)
{
    struct fixture *f = *state;

    f->options.a_record_limit = 2;
    f->options.udp_answer_limit = 3;
    ask(f, "many.service.rollcall", DNS_TYPE_A);
    assert_int_equal(count(f, DNS_SECTION_ANSWER, DNS_TYPE_A), 2);
    assert_int_equal(f->outcome.truncated, DNS_NO);
    ask(f, "many.service.rollcall", DNS_TYPE_SRV);
    assert_int_equal(count(f, DNS_SECTION_ANSWER, DNS_TYPE_SRV), 40);
    ask_on(f, DNS_CHANNEL_UDP_LOCAL, "many.service.rollcall", DNS_TYPE_SRV, NO_EDNS);
    assert_int_equal(count(f, DNS_SECTION_ANSWER, DNS_TYPE_SRV), 3);
    assert_int_equal(f->outcome.truncated, DNS_NO);
    f->options.a_record_limit = 0;
    f->options.udp_answer_limit = 0;
}

static void truncation_mark_can_be_switched_off(void **state)
{
    struct fixture *f = *state;

    f->options.enable_truncate = DNS_NO;
    ask_on(f, DNS_CHANNEL_UDP_REMOTE, "many.service.rollcall", DNS_TYPE_A, NO_EDNS);
    f->options.enable_truncate = DNS_YES;

    assert_int_equal(f->answer[2] & 2, 0);
}

static void any_is_one_set_over_udp_and_all_over_tcp(void **state)
{
    struct fixture *f = *state;

    ask_on(f, DNS_CHANNEL_UDP_LOCAL, "dual.service.rollcall", DNS_TYPE_ANY, 1232);
    assert_int_equal(count(f, DNS_SECTION_ANSWER, 0), 1);
    ask_on(f, DNS_CHANNEL_UDP_LOCAL, "six.service.rollcall", DNS_TYPE_ANY, 1232);
    assert_int_equal(count(f, DNS_SECTION_ANSWER, DNS_TYPE_AAAA), 1);
    ask(f, "dual.service.rollcall", DNS_TYPE_ANY);
    assert_int_equal(count(f, DNS_SECTION_ANSWER, DNS_TYPE_A), 1);
    assert_int_equal(count(f, DNS_SECTION_ANSWER, DNS_TYPE_AAAA), 1);
    assert_int_equal(count(f, DNS_SECTION_ANSWER, DNS_TYPE_SRV), 2);
    assert_int_equal(count(f, DNS_SECTION_ANSWER, 0), 4);
    ask(f, "node1.node.rollcall", DNS_TYPE_ANY);
    assert_int_equal(count(f, DNS_SECTION_ANSWER, 0), 4);
}

static void ttl_of_a_service_is_the_best_match(void **state)
{
    static const struct dns_service_ttl ttls[] = {
        {"*", 5}, {"we*", 10}, {"web", 20}, {"webx*", 30}, {"Six", 40}};
    static const struct {
        const char *name;
        uint32_t ttl_s;
    } cases[] = {{"web.service.rollcall", 20},
                 {"dual.service.rollcall", 5},
                 {"six.service.rollcall", 40}};
    struct fixture *f = *state;
    struct dns_received record;

    f->options.service_ttls = ttls;
    f->options.service_ttl_count = 5;
    for (size_t i = 0; i < 3; i++) {
        ask(f, cases[i].name, DNS_TYPE_SRV);
        struct dns_response response = open_answer(f);
        assert_int_equal(dns_response_next(&response, &record), RC_OK);
        assert_int_equal(record.ttl_s, cases[i].ttl_s);
    }
    f->options.service_ttl_count = 0;
}

static void who_may_be_written_is_not_to_be_kept(void **state)
{
    static const struct dns_service_ttl ttls[] = {{"*", 5}};
    struct fixture *f = *state;
    struct dns_received record;

    f->options.service_ttls = ttls;
    f->options.service_ttl_count = 1;
    ask(f, "primary.pgdemo.service.rollcall", DNS_TYPE_A);
    struct dns_response response = open_answer(f);
    assert_int_equal(dns_response_next(&response, &record), RC_OK);
    assert_int_equal(record.ttl_s, 0);
    ask(f, "v1.web.service.rollcall", DNS_TYPE_A);
    response = open_answer(f);
    assert_int_equal(dns_response_next(&response, &record), RC_OK);
    assert_int_equal(record.ttl_s, 5);
    f->options.service_ttl_count = 0;
    f->options.soa.min_ttl_s = 9;
    ask(f, "primary.nowhere.service.rollcall", DNS_TYPE_A);
    response = open_answer(f);
    assert_int_equal(dns_response_next(&response, &record), RC_OK);
    assert_int_equal(record.type, DNS_TYPE_SOA);
    assert_int_equal(record.ttl_s, 0);
    f->options.soa.min_ttl_s = 0;
}

static void aliases_in_a_ring_are_told_once(void **state)
{
    struct fixture *f = *state;

    ask(f, "self.service.rollcall", DNS_TYPE_A);
    assert_int_equal(count(f, DNS_SECTION_ANSWER, DNS_TYPE_CNAME), 1);
    ask(f, "self.service.consul", DNS_TYPE_A);
    assert_int_equal(count(f, DNS_SECTION_ANSWER, DNS_TYPE_CNAME), 2);
    ask(f, "here.service.rollcall", DNS_TYPE_A);
    assert_int_equal(count(f, DNS_SECTION_ANSWER, DNS_TYPE_CNAME), 2);
    ask(f, "here.service.rollcall", DNS_TYPE_SRV);
    assert_int_equal(count(f, DNS_SECTION_ADDITIONAL, DNS_TYPE_CNAME), 2);
}

static void aliases_within_our_zones_are_followed(void **state)
{
    struct fixture *f = *state;

    /* infq leads to web.service.consul, which is ours. */
    ask(f, "infq.service.rollcall", DNS_TYPE_A);
    assert_int_equal(count(f, DNS_SECTION_ANSWER, DNS_TYPE_CNAME), 1);
    assert_int_equal(count(f, DNS_SECTION_ANSWER, DNS_TYPE_A), 2);
    ask(f, "infq.service.rollcall", DNS_TYPE_SRV);
    assert_int_equal(count(f, DNS_SECTION_ADDITIONAL, DNS_TYPE_A), 2);
}

static void what_two_targets_lead_to_is_told_once(void **state)
{
    struct fixture *f = *state;

    ask(f, "fork.service.rollcall", DNS_TYPE_SRV);
    assert_int_equal(count(f, DNS_SECTION_ANSWER, DNS_TYPE_SRV), 2);
    assert_int_equal(count(f, DNS_SECTION_ADDITIONAL, DNS_TYPE_CNAME), 2);
    assert_int_equal(count(f, DNS_SECTION_ADDITIONAL, DNS_TYPE_A), 2);
}

static void order_is_fair(void **state)
{
    struct fixture *f = *state;
    size_t first[41] = {0};

    for (int i = 0; i < 8000; i++) {
        struct dns_received record;
        struct rc_address ip;
        ask(f, "many.service.rollcall", DNS_TYPE_A);
        struct dns_response response = open_answer(f);
        assert_int_equal(dns_response_next(&response, &record), RC_OK);
        assert_int_equal(dns_received_address(&response, &record, &ip), RC_OK);
        first[ip.ip[3]]++;
    }
    for (size_t i = 1; i <= 40; i++) { /* 200 each; seven standard deviations */
        assert_in_range(first[i], 100, 300);
    }
}

static void uncompressed_answers_say_the_same(void **state)
{
    struct fixture *f = *state;

    f->options.disable_compression = DNS_YES;
    ask(f, "web.service.rollcall", DNS_TYPE_SRV);
    f->options.disable_compression = DNS_NO;
    size_t size = f->outcome.size;
    assert_int_equal(count(f, DNS_SECTION_ADDITIONAL, DNS_TYPE_A), 2);

    ask(f, "web.service.rollcall", DNS_TYPE_SRV);
    assert_true(f->outcome.size < size);
}

static const char *pick(struct rc_random *random, const char *const *words, size_t count)
{
    return words[rc_random_below(random, count)];
}

static void random_name(struct rc_random *random, char space[128])
{
    static const char *const subjects[] = {
        "web",      "many",      "huge",  "infq",  "fq",     "extfq",       "nosuch",
        "v1.web",   "_web._tcp", "_tcp",  "node1", "ext1",   "dual",        "down",
        "0a00000b", "ns",        "x.y.z", "six",   "noport", "dotted.node", "10.0.0.127"};
    static const char *const kinds[] = {".service", ".node",  ".addr",       "",
                                        ".query",   ".other", ".service.dc1"};
    static const char *const zones[] = {".rollcall", ".consul", ".ROLLCALL",
                                        ".example",  "",        ".in-addr.arpa"};

    (void)snprintf(space, 128, "%s%s%s", pick(random, subjects, 21),
                   pick(random, kinds, 7), pick(random, zones, 6));
}

static bool is_ours(const struct dns_name *name)
{
    static const char *const zones[] = {"rollcall", "consul", "arpa"};
    struct dns_name zone;

    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(dns_name_from_text(zones[i], &zone), RC_OK);
        if (dns_name_ends_with(name, &zone)) {
            return true;
        }
    }
    return false;
}

static void assert_answer_holds(const struct fixture *f, size_t limit)
{
    struct dns_response response = open_answer(f);
    struct dns_received record;
    int counted = 0;
    int err;

    assert_true(f->outcome.size <= limit);
    size_t echoed = f->query[11] != 0 ? 11 : 0; /* OPT is not part of the question */
    assert_memory_equal(f->answer + DNS_HEADER_SIZE, f->query + DNS_HEADER_SIZE,
                        f->query_size - DNS_HEADER_SIZE - echoed);
    while ((err = dns_response_next(&response, &record)) == RC_OK) {
        counted++;
        assert_true(is_ours(&record.owner));
    }
    assert_int_equal(err, RC_ENOTFOUND);
    assert_int_equal((size_t)(response.cursor.end - response.cursor.at), 0);
    int told = response.counts[0] + response.counts[1] + response.counts[2];
    assert_int_equal(counted + (f->query[11] != 0 ? 1 : 0), told);
    if (f->outcome.rcode != DNS_RCODE_NOERROR) {
        assert_int_equal(response.counts[DNS_SECTION_ANSWER], 0);
    }
}

static void every_answer_parses_fits_and_stays_in_our_zones(void **state)
{
    static const uint16_t types[] = {1, 2, 5, 6, 12, 16, 28, 33, 255, 252, 65280};
    static const uint16_t sizes[] = {NO_EDNS, 1, 512, 600, 1232, 4096, 65535};
    struct fixture *f = *state;
    struct rc_random random;
    char name[128];

    rc_random_init(&random, 42);
    for (int i = 0; i < RANDOM_QUERIES; i++) {
        enum dns_channel channel = (enum dns_channel)rc_random_below(&random, 3);
        uint16_t edns_size = sizes[rc_random_below(&random, 7)];
        random_name(&random, name);
        f->options.node_meta_txt = rc_random_below(&random, 2) ? DNS_YES : DNS_NO;
        f->options.disable_compression = rc_random_below(&random, 4) ? DNS_NO : DNS_YES;
        ask_on(f, channel, name, types[rc_random_below(&random, 11)], edns_size);
        size_t limit = channel == DNS_CHANNEL_TCP ? 65535
                       : edns_size < 512          ? 512
                                                  : edns_size;
        limit = channel == DNS_CHANNEL_UDP_REMOTE && limit > 1232 ? 1232 : limit;
        assert_answer_holds(f, limit);
    }
    f->options.node_meta_txt = DNS_NO;
    f->options.disable_compression = DNS_NO;
}

static void domains_that_are_no_names_are_refused(void **state)
{
    static const char *const domains[] = {"", ".", "a..b", ".rollcall"};
    struct fixture *f = *state;
    struct dns_options options = f->options;
    struct dns_answerer *answerer;

    for (size_t i = 0; i < 4; i++) {
        options.domain = domains[i];
        assert_int_equal(
            dns_answerer_create(&options, dns_world_view(f->world), 1, &answerer),
            RC_EMALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_usable_instances_are_answered),
        cmocka_unit_test(only_passing_leaves_out_warnings),
        cmocka_unit_test(known_service_without_usable_instance_may_be_no_data),
        cmocka_unit_test(every_form_of_name_finds_its_records),
        cmocka_unit_test(names_that_cannot_be_do_not_exist),
        cmocka_unit_test(a_prepared_query_is_answered_with_what_it_picks_and_its_ttl),
        cmocka_unit_test(a_prepared_query_that_picks_nothing_does_not_exist),
        cmocka_unit_test(the_order_of_a_query_that_sorts_is_kept),
        cmocka_unit_test(nothing_is_said_of_a_query_that_may_be_on_its_way),
        cmocka_unit_test(names_above_others_exist_without_records),
        cmocka_unit_test(nothing_is_answered_before_the_catalog_is_loaded),
        cmocka_unit_test(serial_is_the_index_of_the_catalog),
        cmocka_unit_test(targets_are_named_under_the_primary_domain),
        cmocka_unit_test(each_target_has_its_address_once),
        cmocka_unit_test(cut_answer_is_marked_and_full_of_whole_records),
        cmocka_unit_test(missing_additional_addresses_are_no_reason_for_a_mark),
        cmocka_unit_test(set_over_64_kib_is_cut_over_tcp),
        cmocka_unit_test(limits_of_the_operator_cut_without_a_mark),
        cmocka_unit_test(truncation_mark_can_be_switched_off),
        cmocka_unit_test(any_is_one_set_over_udp_and_all_over_tcp),
        cmocka_unit_test(ttl_of_a_service_is_the_best_match),
        cmocka_unit_test(who_may_be_written_is_not_to_be_kept),
        cmocka_unit_test(aliases_in_a_ring_are_told_once),
        cmocka_unit_test(aliases_within_our_zones_are_followed),
        cmocka_unit_test(what_two_targets_lead_to_is_told_once),
        cmocka_unit_test(order_is_fair),
        cmocka_unit_test(uncompressed_answers_say_the_same),
        cmocka_unit_test(every_answer_parses_fits_and_stays_in_our_zones),
        cmocka_unit_test(domains_that_are_no_names_are_refused),
    };
    return cmocka_run_group_tests_name("dns_answer", tests, set_up, tear_down);
}
