/* proxy_protocol.c - a line of words (version 1), or a fixed head with extensions (version 2). */
#include "proxy/wire/proxy_protocol.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cursor.h"
#include "base/err.h"
#include "base/text.h"
#include "base/writer.h"

static const uint8_t signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                      0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
static const char line_start[] = "PROXY ";

enum {
    COMMAND_LOCAL = 0x20, /* version 2 in the upper half */
    COMMAND_PROXY = 0x21,
    FAMILY_UNSPEC = 0x00,
    FAMILY_TCP4 = 0x11,
    FAMILY_TCP6 = 0x21,
    EXTENSION_CRC32C = 0x03
};

/* --- version 1: section 2.1 --- */

/* "0" to "65535", in the one way to write it. */
static int parse_port(struct rc_span text, uint16_t *out)
{
    uint32_t port = 0;

    if (text.size == 0 || text.size > 5 || (text.size > 1 && text.at[0] == '0')) {
        return RC_EMALFORMED;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') {
            return RC_EMALFORMED;
        }
        port = port * 10 + (uint32_t)(text.at[i] - '0');
    }
    *out = (uint16_t)port;
    return port <= UINT16_MAX ? RC_OK : RC_EMALFORMED;
}

static int parse_end(struct rc_span ip, struct rc_span port, int family,
                     struct rc_address *out)
{
    char text[INET6_ADDRSTRLEN];
    uint8_t bytes[16];
    uint16_t number = 0;

    if (ip.size >= sizeof text || parse_port(port, &number) != RC_OK) {
        return RC_EMALFORMED;
    }
    memcpy(text, ip.at, ip.size);
    text[ip.size] = '\0';
    if (memchr(text, '\0', ip.size) != NULL || inet_pton(family, text, bytes) != 1) {
        return RC_EMALFORMED;
    }
    return rc_address_from_bytes(bytes, family == AF_INET ? 4 : 16, number, out);
}

/* Splits at single spaces into exactly `count` words, none empty. */
static int split(struct rc_span line, struct rc_span *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *space = memchr(line.at, ' ', line.size);
        bool last = i + 1 == count;
        if ((space == NULL) != last) {
            return RC_EMALFORMED;
        }
        size_t size = last ? line.size : (size_t)(space - line.at);
        if (size == 0) {
            return RC_EMALFORMED;
        }
        words[i] = (struct rc_span){line.at, size};
        line.at += last ? size : size + 1;
        line.size -= last ? size : size + 1;
    }
    return RC_OK;
}

/* What stands between "PROXY " and CRLF. */
static int parse_line(struct rc_span line, struct proxy_protocol *out)
{
    static const char unknown[] = "UNKNOWN";
    struct rc_span words[5]; /* family, two addresses, two ports */

    if (line.size >= sizeof unknown - 1 &&
        memcmp(line.at, unknown, sizeof unknown - 1) == 0) {
        /* The rest of it is to be passed over. */
        bool apart =
            line.size == sizeof unknown - 1 || line.at[sizeof unknown - 1] == ' ';
        return apart ? RC_OK : RC_EMALFORMED;
    }
    if (split(line, words, 5) != RC_OK) {
        return RC_EMALFORMED;
    }
    bool four = rc_span_equals(words[0], "TCP4");
    if (!four && !rc_span_equals(words[0], "TCP6")) {
        return RC_EMALFORMED;
    }
    int family = four ? AF_INET : AF_INET6;
    int err = parse_end(words[1], words[3], family, &out->from);
    return err != RC_OK ? err : parse_end(words[2], words[4], family, &out->to);
}

static int parse_v1(const char *text, size_t size, struct proxy_protocol *out)
{
    size_t start = sizeof line_start - 1;
    size_t known = size < PROXY_PROTOCOL_V1_MAX ? size : PROXY_PROTOCOL_V1_MAX;
    const char *lf = memchr(text, '\n', known);

    if (lf == NULL) {
        const char *cr = memchr(text, '\r', known);
        bool open = cr == NULL || cr == text + size - 1; /* LF may follow */
        return open && size < PROXY_PROTOCOL_V1_MAX ? RC_ETRUNCATED : RC_EMALFORMED;
    }
    size_t end = (size_t)(lf - text);
    if (end < start + 1 || text[end - 1] != '\r' || memchr(text, '\r', end - 1) != NULL) {
        return RC_EMALFORMED;
    }
    out->version = PROXY_PROTOCOL_V1;
    out->size = end + 1;
    return parse_line((struct rc_span){text + start, end - 1 - start}, out);
}

/* --- version 2: section 2.2 --- */

/* CRC-32C (Castagnoli), reflected: RFC 9260 appendix A. `crc` starts as all ones. */
static uint32_t crc32c(uint32_t crc, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78U : 0);
        }
    }
    return crc;
}

/* The sum is taken over the whole header with four zeros in its own place: section 2.2.3. */
static int check_sum(const uint8_t *header, size_t size, const uint8_t *sum)
{
    static const uint8_t zeros[4] = {0};
    size_t before = (size_t)(sum - header);
    size_t after = size - before - sizeof zeros;

    uint32_t crc = crc32c(UINT32_MAX, header, before);
    crc = crc32c(crc, zeros, sizeof zeros);
    crc = ~crc32c(crc, sum + sizeof zeros, after);
    struct rc_cursor said = rc_cursor_over(sum, sizeof zeros);
    return rc_cursor_u32(&said) == crc ? RC_OK : RC_EMALFORMED;
}

/* Type, length and value, one after the other, to the last byte. */
static int check_extensions(const uint8_t *header, size_t size, struct rc_cursor *cursor)
{
    const uint8_t *sum = NULL;

    while (rc_cursor_left(cursor) > 0) {
        uint8_t type = rc_cursor_u8(cursor);
        uint16_t length = rc_cursor_u16(cursor);
        const uint8_t *value = rc_cursor_take(cursor, length);
        if (cursor->err != RC_OK) {
            return RC_EMALFORMED;
        }
        if (type == EXTENSION_CRC32C) {
            if (sum != NULL || length != 4) {
                return RC_EMALFORMED;
            }
            sum = value;
        }
    }
    return sum == NULL ? RC_OK : check_sum(header, size, sum);
}

static int take_ends(struct rc_cursor *cursor, size_t ip_size, struct proxy_protocol *out)
{
    const uint8_t *from = rc_cursor_take(cursor, ip_size);
    const uint8_t *to = rc_cursor_take(cursor, ip_size);
    uint16_t from_port = rc_cursor_u16(cursor);
    uint16_t to_port = rc_cursor_u16(cursor);

    if (cursor->err != RC_OK) {
        return RC_EMALFORMED;
    }
    (void)rc_address_from_bytes(from, ip_size, from_port, &out->from);
    (void)rc_address_from_bytes(to, ip_size, to_port, &out->to);
    return RC_OK;
}

static int parse_v2(const uint8_t *bytes, size_t size, struct proxy_protocol *out)
{
    struct rc_cursor cursor = rc_cursor_over(bytes, size);
    int err = RC_OK;

    (void)rc_cursor_take(&cursor, sizeof signature);
    uint8_t command = rc_cursor_u8(&cursor);
    if (cursor.err == RC_OK && command != COMMAND_LOCAL && command != COMMAND_PROXY) {
        return RC_EMALFORMED;
    }
    uint8_t family = rc_cursor_u8(&cursor);
    uint16_t length = rc_cursor_u16(&cursor);
    if (cursor.err != RC_OK) {
        return RC_ETRUNCATED;
    }
    out->version = PROXY_PROTOCOL_V2;
    out->size = PROXY_PROTOCOL_V2_START + (size_t)length;
    if (out->size > PROXY_PROTOCOL_MAX) {
        return RC_ETOOBIG;
    }
    if (size < out->size) {
        return RC_ETRUNCATED;
    }
    if (command == COMMAND_LOCAL) {
        return RC_OK; /* what is behind it is to be passed over, the family too */
    }
    struct rc_cursor rest = rc_cursor_over(bytes + PROXY_PROTOCOL_V2_START, length);
    if (family == FAMILY_TCP4 || family == FAMILY_TCP6) {
        err = take_ends(&rest, family == FAMILY_TCP4 ? 4 : 16, out);
    } else if (family != FAMILY_UNSPEC) {
        err = RC_EMALFORMED;
    }
    return err != RC_OK ? err : check_extensions(bytes, out->size, &rest);
}

/* True if `bytes` and `start` are equal as far as both go. */
static bool may_start_with(const uint8_t *bytes, size_t size, const void *start,
                           size_t start_size)
{
    return memcmp(bytes, start, size < start_size ? size : start_size) == 0;
}

int proxy_protocol_parse(const uint8_t *bytes, size_t size, struct proxy_protocol *out)
{
    size_t line_size = sizeof line_start - 1;
    struct proxy_protocol read = {.size = 0};
    int err = RC_EMALFORMED;

    if (size == 0) {
        return RC_ETRUNCATED;
    }
    if (may_start_with(bytes, size, signature, sizeof signature)) {
        err = size < sizeof signature ? RC_ETRUNCATED : parse_v2(bytes, size, &read);
    } else if (may_start_with(bytes, size, line_start, line_size)) {
        err =
            size < line_size ? RC_ETRUNCATED : parse_v1((const char *)bytes, size, &read);
    }
    if (err == RC_OK) {
        *out = read;
    }
    return err;
}

/* --- writing --- */

/* The bytes of an address, IPv4 as an IPv6 one where the family asks for that. */
static void put_ip(struct rc_writer *out, const struct rc_address *address, int family)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    if (family == AF_INET6 && address->family == RC_ADDRESS_IPV4) {
        rc_writer_bytes(out, mapped, sizeof mapped);
    }
    rc_writer_bytes(out, address->ip, rc_address_ip_size(address));
}

static void put_ip_text(struct rc_writer *out, const struct rc_address *address,
                        int family)
{
    uint8_t ip[16];
    char text[INET6_ADDRSTRLEN];
    struct rc_writer bytes = rc_writer_over(ip, sizeof ip);

    put_ip(&bytes, address, family);
    const char *made = inet_ntop(family, ip, text, sizeof text);
    assert(made != NULL); /* it has room for any */
    rc_writer_bytes(out, made, strlen(made));
    rc_writer_u8(out, ' ');
}

static void write_v1(struct rc_writer *out, const struct rc_address *from,
                     const struct rc_address *to, int family)
{
    char ports[16];

    if (from->family == RC_ADDRESS_NONE) {
        static const char unknown[] = "PROXY UNKNOWN\r\n";
        rc_writer_bytes(out, unknown, sizeof unknown - 1);
        return;
    }
    rc_writer_bytes(out, family == AF_INET ? "PROXY TCP4 " : "PROXY TCP6 ", 11);
    put_ip_text(out, from, family);
    put_ip_text(out, to, family);
    int size = snprintf(ports, sizeof ports, "%u %u\r\n", from->port, to->port);
    assert(size > 0 && (size_t)size < sizeof ports);
    rc_writer_bytes(out, ports, (size_t)size);
}

static void write_v2(struct rc_writer *out, const struct rc_address *from,
                     const struct rc_address *to, int family)
{
    bool local = from->family == RC_ADDRESS_NONE;

    rc_writer_bytes(out, signature, sizeof signature);
    rc_writer_u8(out, local ? COMMAND_LOCAL : COMMAND_PROXY);
    if (local) {
        rc_writer_u8(out, FAMILY_UNSPEC);
        rc_writer_u16(out, 0);
        return;
    }
    rc_writer_u8(out, family == AF_INET ? FAMILY_TCP4 : FAMILY_TCP6);
    rc_writer_u16(out, family == AF_INET ? 12 : 36);
    put_ip(out, from, family);
    put_ip(out, to, family);
    rc_writer_u16(out, from->port);
    rc_writer_u16(out, to->port);
}

size_t proxy_protocol_write(enum proxy_protocol_version version,
                            const struct rc_address *from, const struct rc_address *to,
                            uint8_t space[PROXY_PROTOCOL_WRITTEN_MAX])
{
    struct rc_writer out = rc_writer_over(space, PROXY_PROTOCOL_WRITTEN_MAX);
    bool four = from->family == RC_ADDRESS_IPV4 && to->family == RC_ADDRESS_IPV4;
    int family = four ? AF_INET : AF_INET6;

    assert(from->family == RC_ADDRESS_NONE || to->family != RC_ADDRESS_NONE);
    switch (version) {
    case PROXY_PROTOCOL_V1:
        write_v1(&out, from, to, family);
        break;
    case PROXY_PROTOCOL_V2:
        write_v2(&out, from, to, family);
        break;
    }
    assert(out.err == RC_OK);
    return rc_writer_size(&out);
}
