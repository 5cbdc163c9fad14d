/* Claims about proxy/wire/proxy_protocol.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "proxy/wire/proxy_protocol.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define ENDS4 \
    "\xc0\0\2\1\xc6\x33\x64\7\x04\xd2\x01\xbb" /* 192.0.2.1:1234, 198.51.100.7:443 */
#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

static struct rc_address address(const char *text)
{
    struct rc_address made;
    assert_int_equal(rc_address_parse(text, 0, &made), RC_OK);
    return made;
}

static void assert_ends(const struct proxy_protocol *said, const char *from,
                        const char *to)
{
    struct rc_address want_from = address(from);
    struct rc_address want_to = address(to);
    assert_true(rc_address_equals(&said->from, &want_from));
    assert_true(rc_address_equals(&said->to, &want_to));
}

static void lines_of_version_1_are_read(void **state)
{
    struct proxy_protocol said;
    (void)state;

    assert_int_equal(
        proxy_protocol_parse(BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 1234 443\r\nGET"),
                             &said),
        RC_OK);
    assert_int_equal(said.version, PROXY_PROTOCOL_V1);
    assert_int_equal(said.size, 44);
    assert_ends(&said, "192.0.2.1:1234", "198.51.100.7:443");

    assert_int_equal(
        proxy_protocol_parse(BYTES("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"), &said),
        RC_OK);
    assert_ends(&said, "[2001:db8::1]:1", "[::1]:65535");
}

static void header_that_names_nobody_leaves_the_real_ends(void **state)
{
    static const struct {
        const char *why;
        const char *bytes;
        size_t size;
    } cases[] = {
        {"unknown", "PROXY UNKNOWN\r\n", 15},
        {"unknown with words behind it", "PROXY UNKNOWN ffff::1 x 1\r\n", 27},
        {"local", SIGNATURE "\x20\x00\x00\x00", 16},
        {"local with a family and addresses", SIGNATURE "\x20\x11\x00\x0c" ENDS4, 28},
        {"local with what may be anything", SIGNATURE "\x20\xff\x00\x02xx", 18},
        {"unspec", SIGNATURE "\x21\x00\x00\x00", 16},
        {"unspec with an extension", SIGNATURE "\x21\x00\x00\x04\x04\x00\x01x", 20},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct proxy_protocol said;
        int err =
            proxy_protocol_parse((const uint8_t *)cases[i].bytes, cases[i].size, &said);
        if (err != RC_OK || said.size != cases[i].size ||
            said.from.family != RC_ADDRESS_NONE || said.to.family != RC_ADDRESS_NONE) {
            fail_msg("%s: %s", cases[i].why, rc_strerror(err));
        }
    }
}

static void heads_of_version_2_are_read(void **state)
{
    static const char six[] = SIGNATURE "\x21\x21\x00\x24"
                                        "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
                                        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
                                        "\0\1\xff\xff";
    struct proxy_protocol said;
    (void)state;

    assert_int_equal(
        proxy_protocol_parse(BYTES(SIGNATURE "\x21\x11\x00\x0c" ENDS4 "GET"), &said),
        RC_OK);
    assert_int_equal(said.version, PROXY_PROTOCOL_V2);
    assert_int_equal(said.size, 28);
    assert_ends(&said, "192.0.2.1:1234", "198.51.100.7:443");
    assert_int_equal(proxy_protocol_parse(BYTES(six), &said), RC_OK);
    assert_int_equal(said.size, 52);
    assert_ends(&said, "[2001:db8::1]:1", "[::1]:65535");
}

static void checksum_is_checked_where_it_is(void **state)
{
    uint8_t header[] =
        SIGNATURE "\x21\x11\x00\x17" ENDS4 "\x03\x00\x04\0\0\0\0\x04\0\x01x";
    size_t size = sizeof header - 1;
    /* Of the header above, computed by a table, which gives e3069283 for "123456789". */
    static const uint8_t sum[4] = {0x56, 0xbe, 0xe4, 0x67};
    struct proxy_protocol said;
    (void)state;

    assert_int_equal(proxy_protocol_parse(header, size, &said), RC_EMALFORMED);
    memcpy(header + 31, sum, sizeof sum);
    assert_int_equal(proxy_protocol_parse(header, size, &said), RC_OK);
    for (size_t i = 16; i < size; i++) {
        bool is_type = i == 28; /* of the sum itself: without it there is none to check */
        header[i] ^= 1;
        if (!is_type && proxy_protocol_parse(header, size, &said) == RC_OK) {
            fail_msg("a flipped bit in byte %zu is not seen", i);
        }
        header[i] ^= 1;
    }
}

static const struct {
    const char *why;
    const char *bytes;
    size_t size;
} wrong[] = {
#define WRONG(why, text)            \
    {                               \
        why, text, sizeof(text) - 1 \
    }
    WRONG("a request", "GET / HTTP/1.1\r\n"),
    WRONG("lower case", "proxy UNKNOWN\r\n"),
    WRONG("another word", "PROXI"),
    WRONG("no family", "PROXY \r\n"),
    WRONG("unknown family", "PROXY TCP5 1.1.1.1 1.1.1.1 1 1\r\n"),
    WRONG("UNKNOWN and no space", "PROXY UNKNOWNX\r\n"),
    WRONG("datagrams", "PROXY UDP4 1.1.1.1 1.1.1.1 1 1\r\n"),
    WRONG("two spaces", "PROXY TCP4  1.1.1.1 1.1.1.1 1 1\r\n"),
    WRONG("space at the end", "PROXY TCP4 1.1.1.1 1.1.1.1 1 1 \r\n"),
    WRONG("a word too few", "PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n"),
    WRONG("a word too many", "PROXY TCP4 1.1.1.1 1.1.1.1 1 1 1\r\n"),
    WRONG("six in four", "PROXY TCP4 ::1 1.1.1.1 1 1\r\n"),
    WRONG("four in six", "PROXY TCP6 ::1 1.1.1.1 1 1\r\n"),
    WRONG("short address", "PROXY TCP4 1.1.1 1.1.1.1 1 1\r\n"),
    WRONG("leading zero in an address", "PROXY TCP4 01.1.1.1 1.1.1.1 1 1\r\n"),
    WRONG("NUL in an address", "PROXY TCP4 1.1.1.1\0 1.1.1.1 1 1\r\n"),
    WRONG("leading zero in a port", "PROXY TCP4 1.1.1.1 1.1.1.1 01 1\r\n"),
    WRONG("signed port", "PROXY TCP4 1.1.1.1 1.1.1.1 +1 1\r\n"),
    WRONG("port too large", "PROXY TCP4 1.1.1.1 1.1.1.1 65536 1\r\n"),
    WRONG("bare LF", "PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n"),
    WRONG("bare CR", "PROXY UNKNOWN\rx\r\n"),
    WRONG("bare CR, no end yet", "PROXY UNKNOWN\rx"),
    WRONG(
        "too long a line",
        "PROXY UNKNOWN aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"),
    WRONG("broken signature", "\r\n\r\n\0\r\nQUIX"),
    WRONG("version 1 in a head of 2", SIGNATURE "\x11\x11\x00\x0c" ENDS4),
    WRONG("unknown command", SIGNATURE "\x22\x11\x00\x0c" ENDS4),
    WRONG("unknown command, seen early", SIGNATURE "\x2f"),
    WRONG("datagrams in 2", SIGNATURE "\x21\x12\x00\x0c" ENDS4),
    WRONG("no transport", SIGNATURE "\x21\x10\x00\x0c" ENDS4),
    WRONG("unknown family in 2", SIGNATURE "\x21\x41\x00\x0c" ENDS4),
    WRONG("too short for its addresses",
          SIGNATURE "\x21\x11\x00\x0b\0\0\0\0\0\0\0\0\0\0\0"),
    WRONG("six in the space of four", SIGNATURE "\x21\x21\x00\x0c" ENDS4),
    WRONG("half an extension", SIGNATURE "\x21\x11\x00\x0e" ENDS4 "\x04\x00"),
    WRONG("extension beyond the end", SIGNATURE "\x21\x11\x00\x10" ENDS4 "\x04\x00\x02x"),
    WRONG("checksum of three bytes",
          SIGNATURE "\x21\x11\x00\x12" ENDS4 "\x03\x00\x03xxx"),
    WRONG("two checksums",
          SIGNATURE "\x21\x11\x00\x1a" ENDS4 "\x03\x00\x04xxxx\x03\x00\x04xxxx"),
#undef WRONG
};

static void wrong_headers_are_refused_at_any_split(void **state)
{
    (void)state;

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct proxy_protocol said;
        int err = RC_ETRUNCATED;
        for (size_t size = 0; size <= wrong[i].size && err == RC_ETRUNCATED; size++) {
            err = proxy_protocol_parse((const uint8_t *)wrong[i].bytes, size, &said);
        }
        if (err != RC_EMALFORMED) {
            fail_msg("%s: %s", wrong[i].why, rc_strerror(err));
        }
    }
}

static void unix_addresses_are_refused(void **state)
{
    uint8_t header[16 + 216] = SIGNATURE "\x21\x31\x00\xd8";
    struct proxy_protocol said;
    (void)state;

    assert_int_equal(proxy_protocol_parse(header, sizeof header, &said), RC_EMALFORMED);
}

static void whole_header_is_awaited_byte_by_byte(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {
        {"PROXY TCP4 192.0.2.1 198.51.100.7 1234 443\r\n", 44},
        {"PROXY UNKNOWN\r\n", 15},
        {SIGNATURE "\x21\x11\x00\x0c" ENDS4, 28},
        {SIGNATURE "\x20\x00\x00\x00", 16},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct proxy_protocol said;
        const uint8_t *bytes = (const uint8_t *)cases[i].bytes;
        for (size_t size = 0; size < cases[i].size; size++) {
            assert_int_equal(proxy_protocol_parse(bytes, size, &said), RC_ETRUNCATED);
        }
        assert_int_equal(proxy_protocol_parse(bytes, cases[i].size, &said), RC_OK);
    }
}

static void header_above_the_maximum_is_refused_before_it_is_there(void **state)
{
    struct proxy_protocol said;
    (void)state;

    assert_int_equal(proxy_protocol_parse(BYTES(SIGNATURE "\x21\x11\x0f\xf1"), &said),
                     RC_ETOOBIG);
    assert_int_equal(proxy_protocol_parse(BYTES(SIGNATURE "\x21\x11\x0f\xf0"), &said),
                     RC_ETRUNCATED);
}

static void what_is_written_is_read_back(void **state)
{
    static const char *const ends[][2] = {
        {"192.0.2.1:1234", "198.51.100.7:443"},
        {"[2001:db8::1]:1", "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
        {"192.0.2.1:0", "[::1]:80"}, /* mixed: said as IPv6, and read as what they are */
        {"[fe80::1]:80", "127.0.0.1:80"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        struct rc_address from = address(ends[i][0]);
        struct rc_address to = address(ends[i][1]);
        for (int version = PROXY_PROTOCOL_V1; version <= PROXY_PROTOCOL_V2; version++) {
            uint8_t space[PROXY_PROTOCOL_WRITTEN_MAX];
            struct proxy_protocol said;
            size_t size = proxy_protocol_write((enum proxy_protocol_version)version,
                                               &from, &to, space);
            assert_int_equal(proxy_protocol_parse(space, size, &said), RC_OK);
            assert_int_equal(said.size, size);
            assert_int_equal(said.version, version);
            assert_ends(&said, ends[i][0], ends[i][1]);
        }
    }
}

static void connections_of_our_own_are_said_to_be_ours(void **state)
{
    static const struct rc_address nobody = {.family = RC_ADDRESS_NONE};
    uint8_t space[PROXY_PROTOCOL_WRITTEN_MAX];
    (void)state;

    size_t size = proxy_protocol_write(PROXY_PROTOCOL_V1, &nobody, &nobody, space);
    assert_int_equal(size, 15);
    assert_memory_equal(space, "PROXY UNKNOWN\r\n", size);
    size = proxy_protocol_write(PROXY_PROTOCOL_V2, &nobody, &nobody, space);
    assert_int_equal(size, 16);
    assert_memory_equal(space, SIGNATURE "\x20\0\0\0", size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_version_1_are_read),
        cmocka_unit_test(header_that_names_nobody_leaves_the_real_ends),
        cmocka_unit_test(heads_of_version_2_are_read),
        cmocka_unit_test(checksum_is_checked_where_it_is),
        cmocka_unit_test(wrong_headers_are_refused_at_any_split),
        cmocka_unit_test(unix_addresses_are_refused),
        cmocka_unit_test(whole_header_is_awaited_byte_by_byte),
        cmocka_unit_test(header_above_the_maximum_is_refused_before_it_is_there),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(connections_of_our_own_are_said_to_be_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
