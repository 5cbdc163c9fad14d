/* Every form of name that the manual lists (rollcall(1), DNS NAMES), and names that look like
 * one; what the switch for Consul changes; what is said of what may be old. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dns/wire/response.h"
#include "tests/unit/dns_asker.h"

#define LABEL_63 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct dns_meta web_meta[] = {
    {"zone", "a"}, {"rfc1035-note", "alone"}, {"a=b`c", "d=e`f"}};

static void each_form_leads_to_what_it_names(void **state)
{
    static const struct {
        const char *name;
        uint16_t type;
        const char *data;
    } cases[] = {
        {"noport.service.rollcall", DNS_TYPE_SRV, "node1.node.dc1.rollcall"},
        {"noport.service.dc1.rollcall", DNS_TYPE_SRV, "node1.node.dc1.rollcall"},
        {"noport.service.consul", DNS_TYPE_SRV, "node1.node.dc1.rollcall"},
        {"noport.service.dc1.dc.rollcall", DNS_TYPE_SRV, "node1.node.dc1.rollcall"},
        {"six.service.rollcall", DNS_TYPE_SRV,
         "20010db8000000000000000000000005.addr.dc1.rollcall"},
        {"fq.service.rollcall", DNS_TYPE_SRV, "db.example.test"},
        {"fq.service.rollcall", DNS_TYPE_A, NULL},
        {"primary.pgdemo.service.rollcall", DNS_TYPE_SRV, "0a000033.addr.dc1.rollcall"},
        {"_pgdemo._primary.service.rollcall", DNS_TYPE_SRV, "0a000033.addr.dc1.rollcall"},
        {"_noport._tcp.rollcall", DNS_TYPE_SRV, "node1.node.dc1.rollcall"},
        {"a.b.under_score.service.rollcall", DNS_TYPE_SRV, "0a00004d.addr.dc1.rollcall"},
        {"UPPER.Under_Score.Service.Rollcall", DNS_TYPE_SRV,
         "0a00004d.addr.dc1.rollcall"},
        {"node1.node.rollcall", DNS_TYPE_TXT, "rack=r1"},
        {"node1.node.dc1.dc.consul", DNS_TYPE_TXT, "rack=r1"},
        {"q1.query.rollcall", DNS_TYPE_SRV, "0a00000b.addr.dc1.rollcall"},
        {"q1.query.dc1.rollcall", DNS_TYPE_SRV, "0a00000b.addr.dc1.rollcall"},
        {"10.0.0.127.in-addr.arpa", DNS_TYPE_PTR, "node1.node.dc1.rollcall"},
        {"77.0.0.10.in-addr.arpa", DNS_TYPE_PTR, "under_score.service.dc1.rollcall"},
        {"9.9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
         DNS_TYPE_PTR, "v6node.node.dc1.rollcall"},
        {"5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.IP6.ARPA",
         DNS_TYPE_PTR, "six.service.dc1.rollcall"},
        {"rollcall", DNS_TYPE_NS, "node1.node.dc1.rollcall"},
        {"consul", DNS_TYPE_NS, "node1.node.dc1.rollcall"},
        {"fq.service.rollcall", DNS_TYPE_CNAME, "db.example.test"},
        {"extfq.node.rollcall", DNS_TYPE_CNAME, "node.example.test"},
    };
    struct dns_asker *asker = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dns_asker_ask(asker, cases[i].name, cases[i].type);
        uint16_t type = cases[i].data == NULL ? DNS_TYPE_CNAME : cases[i].type;
        const char *data = cases[i].data == NULL ? "db.example.test" : cases[i].data;
        if (!dns_asker_has(asker, type, data)) {
            fail_msg("%s: code %d", cases[i].name, asker->outcome.rcode);
        }
    }
}

static void names_in_between_exist_with_nothing_there(void **state)
{
    static const char *const names[] = {
        "service.rollcall",       "node.dc1.rollcall",
        "addr.rollcall",          "query.consul",
        "dc1.rollcall",           "dc.rollcall",
        "dc1.dc.rollcall",        "service.dc1.dc.rollcall",
        "connect.rollcall",       "ingress.dc1.rollcall",
        "virtual.rollcall",       "_tcp.service.rollcall",
        "_primary.rollcall",      "node.node.rollcall",
        "NODE.node.dc1.rollcall", "b.under_score.service.rollcall",
        "0a00.addr.rollcall",
    };
    struct dns_asker *asker = *state;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        dns_asker_ask(asker, names[i], DNS_TYPE_A);
        dns_asker_assert_nodata(asker, names[i]);
    }
}

static void names_of_no_form_do_not_exist(void **state)
{
    static const char *const names[] = {
        "web.service.dc9.rollcall",
        "web.service.dc9.dc.rollcall",
        "dc9.dc.rollcall",
        "web.service.dc.rollcall",
        "web.service.dc1.dc.dc.rollcall",
        "web.service.dc1.dc1.rollcall",
        "x.dc1.rollcall",
        "web.connect.rollcall",
        "web.ingress.dc1.rollcall",
        "web.virtual.rollcall",
        "web.service.peer1.peer.rollcall",
        "nope.node.rollcall",
        "x.under_score.service.rollcall",
        "a.b.c.under_score.service.rollcall",
        "web\\.service.rollcall",
        "a\\.b.under_score.service.rollcall",
        "Dotted\\.Node.node.rollcall",
        "we\\\001b.service.rollcall",
        "0a00000b0.addr.rollcall",
        "0g00000b.addr.rollcall",
        "0a00000b.x.addr.rollcall",
        (LABEL_63 ".service.rollcall"),
        (LABEL_63 "." LABEL_63 "." LABEL_63 ".service.rollcall"),
    };
    struct dns_asker *asker = *state;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        dns_asker_ask(asker, names[i], DNS_TYPE_A);
        dns_asker_assert_nxdomain(asker, names[i]);
    }
}

static void reverse_names_that_are_no_address_are_others(void **state)
{
    static const char *const names[] = {
        "0.0.127.in-addr.arpa",
        "010.0.0.127.in-addr.arpa",
        "1.10.0.0.127.in-addr.arpa",
        "256.0.0.127.in-addr.arpa",
        "g.9.ip6.arpa",
        "9.9.9.9.in-addr.arpa",
        "10.0.0.127.in-addr.arpa.test",
    };
    struct dns_asker *asker = *state;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        dns_asker_ask(asker, names[i], DNS_TYPE_PTR);
        assert_int_equal(asker->outcome.rcode, DNS_RCODE_REFUSED);
    }
}

static void metadata_of_a_service_is_its_txt_each_string_once(void **state)
{
    struct dns_asker *asker = *state;

    dns_world_tell(asker->world, "web", web_meta, 3);
    dns_asker_ask(asker, "web.service.rollcall", DNS_TYPE_TXT);

    assert_int_equal(dns_asker_count(asker, DNS_SECTION_ANSWER, 0), 3);
    assert_true(dns_asker_has(asker, DNS_TYPE_TXT, "zone=a"));
    assert_true(dns_asker_has(asker, DNS_TYPE_TXT, "alone"));
    assert_true(dns_asker_has(asker, DNS_TYPE_TXT, "a`=b``c=d=e`f"));
    dns_asker_ask(asker, "six.service.rollcall", DNS_TYPE_TXT);
    dns_asker_assert_nodata(asker, "a service that tells nothing");
    dns_asker_ask(asker, "down.service.rollcall", DNS_TYPE_TXT);
    dns_asker_assert_nxdomain(asker, "a service without usable instances");
}

static void metadata_that_does_not_fit_is_marked(void **state)
{
    static char values[20][101];
    static struct dns_meta meta[20];
    struct dns_asker *asker = *state;

    for (size_t i = 0; i < 20; i++) {
        memset(values[i], (int)('a' + i), sizeof values[i] - 1);
        meta[i] = (struct dns_meta){"key", values[i]};
    }
    dns_world_tell(asker->world, "web", meta, 20);
    dns_asker_ask_on(asker, DNS_CHANNEL_UDP_LOCAL, "web.service.rollcall", DNS_TYPE_TXT,
                     DNS_NO_EDNS);

    assert_int_equal(asker->outcome.truncated, DNS_YES);
    assert_int_equal(dns_asker_count(asker, DNS_SECTION_ANSWER, DNS_TYPE_TXT), 4);
}

static void instances_that_look_alike_are_one_record(void **state)
{
    struct dns_asker *asker = *state;

    dns_asker_ask(asker, "twice.service.rollcall", DNS_TYPE_SRV);
    assert_int_equal(dns_asker_count(asker, DNS_SECTION_ANSWER, 0), 3);
    assert_int_equal(dns_asker_count(asker, DNS_SECTION_ADDITIONAL, 0), 1);
}

static void any_over_tcp_is_all_but_the_addresses_of_targets(void **state)
{
    struct dns_asker *asker = *state;

    dns_world_tell(asker->world, "web", web_meta, 3);
    dns_asker_ask(asker, "web.service.rollcall", DNS_TYPE_ANY);

    assert_int_equal(dns_asker_count(asker, DNS_SECTION_ANSWER, DNS_TYPE_A), 2);
    assert_int_equal(dns_asker_count(asker, DNS_SECTION_ANSWER, DNS_TYPE_SRV), 2);
    assert_int_equal(dns_asker_count(asker, DNS_SECTION_ANSWER, DNS_TYPE_TXT), 3);
    assert_int_equal(dns_asker_count(asker, DNS_SECTION_ADDITIONAL, 0), 0);
}

static void answers_as_consul_gives_them(void **state)
{
    static const struct {
        const char *name;
        size_t answers;
        uint16_t type;
        uint16_t rcode;
    } cases[] = {
        {"web.service.rollcall", 2, DNS_TYPE_TXT, DNS_RCODE_NOERROR}, /* addresses */
        {"dual.service.rollcall", 2, DNS_TYPE_ANY, DNS_RCODE_NOERROR},
        {"web.service.rollcall", 1, DNS_TYPE_SOA, DNS_RCODE_NOERROR},
        {"nosuch.service.rollcall", 1, DNS_TYPE_NS, DNS_RCODE_NOERROR},
        {"service.rollcall", 0, DNS_TYPE_A, DNS_RCODE_NXDOMAIN},
        {"_tcp.service.rollcall", 0, DNS_TYPE_A, DNS_RCODE_NXDOMAIN},
        {"b.under_score.service.rollcall", 0, DNS_TYPE_A, DNS_RCODE_NXDOMAIN},
        {"node.node.rollcall", 0, DNS_TYPE_A, DNS_RCODE_NXDOMAIN},
        {"example.test", 0, DNS_TYPE_A, DNS_RCODE_SERVFAIL},
    };
    struct dns_asker *asker = *state;

    asker->options.consul_compat = DNS_YES;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dns_asker_ask_on(asker, DNS_CHANNEL_UDP_REMOTE, cases[i].name, cases[i].type,
                         DNS_NO_EDNS);
        assert_int_equal(asker->outcome.rcode, cases[i].rcode);
        assert_int_equal(dns_asker_count(asker, DNS_SECTION_ANSWER, 0), cases[i].answers);
    }
}

static void consuls_patience_answers_what_is_wrong(void **state)
{
    struct dns_asker *asker = *state;

    asker->opcode = DNS_OPCODE_NOTIFY;
    asker->edns_word = 1 << 16; /* version 1 */
    dns_asker_ask_on(asker, DNS_CHANNEL_UDP_REMOTE, "web.service.rollcall", DNS_TYPE_A,
                     4096);
    assert_int_equal(asker->outcome.rcode, DNS_RCODE_NOTIMP);
    asker->options.consul_compat = DNS_YES;
    dns_asker_ask_on(asker, DNS_CHANNEL_UDP_REMOTE, "web.service.rollcall", DNS_TYPE_A,
                     4096);

    assert_int_equal(asker->outcome.rcode, DNS_RCODE_NOERROR);
    assert_int_equal(dns_asker_count(asker, DNS_SECTION_ANSWER, DNS_TYPE_A), 2);
    const uint8_t *opt = asker->answer + asker->outcome.size - 11;
    assert_int_equal(opt[3] << 8 | opt[4], 4096); /* the client's size comes back */
}

static void serial_is_the_time_for_consul(void **state)
{
    struct dns_asker *asker = *state;

    asker->options.consul_compat = DNS_YES;
    asker->client.wall_ms = UINT64_C(0x65432100) * 1000;
    dns_asker_ask(asker, "nosuch.service.consul", DNS_TYPE_A);

    const uint8_t *numbers = asker->answer + asker->outcome.size - 20;
    assert_memory_equal(numbers, "\x65\x43\x21\x00", 4);
}

/* Extended errors stand at the end: code 15, two bytes, the number. */
static bool says_stale(const struct dns_asker *asker)
{
    const uint8_t *end = asker->answer + asker->outcome.size;
    return memcmp(end - 6, "\x00\x0f\x00\x02\x00\x03", 6) == 0;
}

static void what_a_silent_node_told_is_marked_as_old(void **state)
{
    static const char *const names[] = {"onn2.service.rollcall", "node2.node.rollcall"};
    struct dns_asker *asker = *state;

    dns_world_silence_node(asker->world, "node2", 1000);
    asker->options.max_stale_ms = 5000;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        asker->client.wall_ms = 5999;
        dns_asker_ask_on(asker, DNS_CHANNEL_UDP_LOCAL, names[i], DNS_TYPE_A, 1232);
        assert_int_equal(dns_asker_count(asker, DNS_SECTION_ANSWER, DNS_TYPE_A), 1);
        assert_false(says_stale(asker));
        asker->client.wall_ms = 6000;
        dns_asker_ask_on(asker, DNS_CHANNEL_UDP_LOCAL, names[i], DNS_TYPE_A, 1232);
        assert_int_equal(dns_asker_count(asker, DNS_SECTION_ANSWER, DNS_TYPE_A), 1);
        assert_true(says_stale(asker));
    }
    dns_asker_ask_on(asker, DNS_CHANNEL_UDP_LOCAL, "web.service.rollcall", DNS_TYPE_A,
                     1232);
    assert_false(says_stale(asker));
}

static void who_may_be_written_is_never_answered_from_what_is_old(void **state)
{
    struct dns_asker *asker = *state;

    dns_world_silence_node(asker->world, "node1", 1000);
    asker->options.max_stale_ms = 0;
    asker->client.wall_ms = 6000;
    dns_asker_ask(asker, "primary.pgdemo.service.rollcall", DNS_TYPE_A);

    assert_int_equal(asker->outcome.rcode, DNS_RCODE_SERVFAIL);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, dns_asker_set_up, dns_asker_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_form_leads_to_what_it_names),
        TEST(names_in_between_exist_with_nothing_there),
        TEST(names_of_no_form_do_not_exist),
        TEST(reverse_names_that_are_no_address_are_others),
        TEST(metadata_of_a_service_is_its_txt_each_string_once),
        TEST(metadata_that_does_not_fit_is_marked),
        TEST(instances_that_look_alike_are_one_record),
        TEST(any_over_tcp_is_all_but_the_addresses_of_targets),
        TEST(answers_as_consul_gives_them),
        TEST(consuls_patience_answers_what_is_wrong),
        TEST(serial_is_the_time_for_consul),
        TEST(what_a_silent_node_told_is_marked_as_old),
        TEST(who_may_be_written_is_never_answered_from_what_is_old),
    };
    return cmocka_run_group_tests_name("dns_forms", tests, NULL, NULL);
}
