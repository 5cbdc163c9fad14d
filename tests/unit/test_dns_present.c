#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/writer.h"
#include "dns/wire/present.h"

enum { MESSAGE_MAX = 512, OWNER_AT = DNS_HEADER_SIZE };

/* A response to a question about a.b with one record of class IN (OPT: of `class`). */
static struct dns_response respond(uint8_t space[MESSAGE_MAX], uint16_t type,
                                   uint16_t class, const char *data, size_t size)
{
    struct rc_writer writer = rc_writer_over(space, MESSAGE_MAX);
    struct dns_response response;

    rc_writer_u16(&writer, 1);
    rc_writer_u16(&writer, 0x8403);
    rc_writer_u16(&writer, 1);
    rc_writer_u16(&writer, type == DNS_TYPE_OPT ? 0 : 1);
    rc_writer_u16(&writer, 0);
    rc_writer_u16(&writer, type == DNS_TYPE_OPT ? 1 : 0);
    rc_writer_bytes(&writer, "\1a\1b\0", 5);
    rc_writer_u16(&writer, DNS_TYPE_A);
    rc_writer_u16(&writer, DNS_CLASS_IN);
    if (type == DNS_TYPE_OPT) {
        rc_writer_u8(&writer, 0);
    } else {
        rc_writer_u16(&writer, 0xc000 | OWNER_AT);
    }
    rc_writer_u16(&writer, type);
    rc_writer_u16(&writer, class);
    rc_writer_u32(&writer, type == DNS_TYPE_OPT ? 0x01000000 : 7);
    rc_writer_u16(&writer, (uint16_t)size);
    rc_writer_bytes(&writer, data, size);
    assert_int_equal(writer.err, RC_OK);
    assert_int_equal(dns_response_open(space, rc_writer_size(&writer), &response), RC_OK);
    return response;
}

static void records_look_as_in_a_master_file(void **state)
{
    static const struct {
        uint16_t type;
        const char *data;
        size_t size;
        const char *want;
    } cases[] = {
        {DNS_TYPE_A, "\12\0\0\1", 4, "a.b. 7 IN A 10.0.0.1"},
        {DNS_TYPE_AAAA, " \1\15\270\0\0\0\0\0\0\0\0\0\0\0\1", 16,
         "a.b. 7 IN AAAA 2001:db8::1"},
        {DNS_TYPE_CNAME, "\1c\300\14", 4, "a.b. 7 IN CNAME c.a.b."},
        {DNS_TYPE_PTR, "\3x.y\0", 5, "a.b. 7 IN PTR x\\.y."},
        {DNS_TYPE_NS, "\0", 1, "a.b. 7 IN NS ."},
        {DNS_TYPE_SRV, "\0\1\0\2\37\100\1c\0", 9, "a.b. 7 IN SRV 1 2 8000 c."},
        {DNS_TYPE_TXT, "\5k=\"\\\n\2vv", 9, "a.b. 7 IN TXT \"k=\\\"\\\\\\010\" \"vv\""},
        {DNS_TYPE_SOA, "\300\14\1h\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5", 25,
         "a.b. 7 IN SOA a.b. h. 1 2 3 4 5"},
        {65280, "\1\377", 2, "a.b. 7 IN TYPE65280 \\# 2 01ff"},
        {65281, "", 0, "a.b. 7 IN TYPE65281 \\# 0"},
        {DNS_TYPE_A, "\12\0\0", 3, "a.b. 7 IN A \\# 3 0a0000"},
        {DNS_TYPE_TXT, "\5ab", 3, "a.b. 7 IN TXT \\# 3 056162"},
    };
    uint8_t space[MESSAGE_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dns_response response =
            respond(space, cases[i].type, DNS_CLASS_IN, cases[i].data, cases[i].size);
        struct dns_received record;
        struct rc_buffer out = {0};

        assert_int_equal(dns_response_next(&response, &record), RC_OK);
        dns_present_record(&response, &record, &out);
        assert_string_equal(rc_buffer_string(&out), cases[i].want);
        rc_buffer_fini(&out);
    }
}

static void edns_tells_size_code_and_extended_error(void **state)
{
    static const char options[] = "\0\3\0\1x\0\17\0\4\0\16no";
    uint8_t space[MESSAGE_MAX];
    struct dns_present_edns edns;

    (void)state;
    struct dns_response response =
        respond(space, DNS_TYPE_OPT, 1232, options, sizeof options - 1);
    dns_present_edns(&response, &edns);
    assert_int_equal(edns.size, 1232);
    assert_int_equal(edns.rcode, 0x13);
    assert_int_equal(edns.extended, 14);
    assert_string_equal(dns_present_extended(edns.extended), "Not Ready");
    assert_string_equal(dns_present_extended(-1), "");
    assert_string_equal(dns_present_extended(9999), "");
    response = respond(space, DNS_TYPE_A, DNS_CLASS_IN, "\12\0\0\1", 4);
    dns_present_edns(&response, &edns);
    assert_int_equal(edns.size, 0);
    assert_int_equal(edns.extended, -1);
    assert_string_equal(dns_present_rcode(edns.rcode), "NXDOMAIN");
    assert_string_equal(dns_present_rcode(4095), "?");
}

static void types_are_read_as_they_are_written(void **state)
{
    static const char *const wrong[] = {"", "NOPE", "TYPE", "TYPE65536", "TYPEx", "TYP1"};
    char text[DNS_PRESENT_TYPE_MAX];
    uint16_t type;

    (void)state;
    for (uint32_t number = 0; number <= UINT16_MAX; number++) {
        dns_present_type((uint16_t)number, text);
        assert_int_equal(dns_present_read_type(text, &type), RC_OK);
        assert_int_equal(type, number);
    }
    assert_int_equal(dns_present_read_type("srv", &type), RC_OK);
    assert_int_equal(type, DNS_TYPE_SRV);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(dns_present_read_type(wrong[i], &type), RC_ENOTFOUND);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_look_as_in_a_master_file),
        cmocka_unit_test(edns_tells_size_code_and_extended_error),
        cmocka_unit_test(types_are_read_as_they_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
