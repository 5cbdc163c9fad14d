#include "dns/wire/present.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

enum { PRINTABLE_FIRST = 0x21, PRINTABLE_LAST = 0x7e, OPTION_EXTENDED = 15 };

/* Those that we answer, and those that people ask for (IANA's registry of types). */
static const struct {
    uint16_t number;
    const char *name;
} types[] = {
    {DNS_TYPE_A, "A"},
    {DNS_TYPE_AAAA, "AAAA"},
    {DNS_TYPE_SRV, "SRV"},
    {DNS_TYPE_TXT, "TXT"},
    {DNS_TYPE_PTR, "PTR"},
    {DNS_TYPE_NS, "NS"},
    {DNS_TYPE_SOA, "SOA"},
    {DNS_TYPE_ANY, "ANY"},
    {DNS_TYPE_CNAME, "CNAME"},
    {15, "MX"},
    {35, "NAPTR"},
    {64, "SVCB"},
    {65, "HTTPS"},
    {257, "CAA"},
    {DNS_TYPE_OPT, "OPT"},
    {DNS_TYPE_AXFR, "AXFR"},
};

static const struct {
    uint16_t number;
    const char *name;
} rcodes[] = {
    {DNS_RCODE_NOERROR, "NOERROR"},   {DNS_RCODE_FORMERR, "FORMERR"},
    {DNS_RCODE_SERVFAIL, "SERVFAIL"}, {DNS_RCODE_NXDOMAIN, "NXDOMAIN"},
    {DNS_RCODE_NOTIMP, "NOTIMP"},     {DNS_RCODE_REFUSED, "REFUSED"},
    {DNS_RCODE_BADVERS, "BADVERS"},   {23, "BADCOOKIE"},
};

/* RFC 8914 section 4. */
static const char *const extended_errors[] = {
    [3] = "Stale Answer",
    [14] = "Not Ready",
    [15] = "Blocked",
    [18] = "Prohibited",
    [19] = "Stale NXDOMAIN Answer",
    [20] = "Not Authoritative",
    [22] = "No Reachable Authority",
    [23] = "Network Error",
};

void dns_present_type(uint16_t type, char space[DNS_PRESENT_TYPE_MAX])
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (types[i].number == type) {
            (void)rc_text_put(space, DNS_PRESENT_TYPE_MAX, types[i].name);
            return;
        }
    }
    (void)snprintf(space, DNS_PRESENT_TYPE_MAX, "TYPE%u", type);
}

int dns_present_read_type(const char *text, uint16_t *out)
{
    struct rc_span start = {.at = text, .size = strnlen(text, 4)};
    uint64_t number = 0;

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (rc_text_equals_nocase(types[i].name, text)) {
            *out = types[i].number;
            return RC_OK;
        }
    }
    if (!rc_span_equals_nocase(start, "TYPE") ||
        rc_text_to_u64(text + start.size, UINT16_MAX, &number) != RC_OK) {
        return RC_ENOTFOUND;
    }
    *out = (uint16_t)number;
    return RC_OK;
}

void dns_present_types(struct rc_buffer *out)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        rc_buffer_format(out, "%s%s", i > 0 ? ", " : "", types[i].name);
    }
}

const char *dns_present_rcode(uint16_t rcode)
{
    for (size_t i = 0; i < sizeof rcodes / sizeof rcodes[0]; i++) {
        if (rcodes[i].number == rcode) {
            return rcodes[i].name;
        }
    }
    return "?";
}

const char *dns_present_extended(int32_t code)
{
    size_t count = sizeof extended_errors / sizeof extended_errors[0];

    return code < 0 || (size_t)code >= count || extended_errors[code] == NULL
               ? ""
               : extended_errors[code];
}

/* A byte as it stands in a master file: a space ends a name, but not a quoted string. */
static void present_byte(uint8_t byte, const char *special, struct rc_buffer *out)
{
    if (byte < PRINTABLE_FIRST - 1 || byte > PRINTABLE_LAST) {
        rc_buffer_format(out, "\\%03u", byte);
    } else if (strchr(special, byte) != NULL) {
        rc_buffer_format(out, "\\%c", byte);
    } else {
        rc_buffer_byte(out, byte);
    }
}

void dns_present_name(const struct dns_name *name, struct rc_buffer *out)
{
    for (size_t i = 0; i < name->label_count; i++) {
        struct rc_span label = dns_name_label(name, i);
        for (size_t k = 0; k < label.size; k++) {
            present_byte((uint8_t)label.at[k], " .;()@$\"\\", out);
        }
        rc_buffer_byte(out, '.');
    }
    if (name->label_count == 0) {
        rc_buffer_byte(out, '.');
    }
}

/* A cursor over a record's data that may follow pointers to what stands before it. */
static struct rc_cursor data_of(const struct dns_response *response,
                                const struct dns_received *record)
{
    struct rc_cursor cursor = rc_cursor_over(response->bytes, record->at + record->size);

    (void)rc_cursor_take(&cursor, record->at);
    return cursor;
}

static int present_names(const struct dns_response *response, struct rc_cursor *data,
                         size_t count, struct rc_buffer *out)
{
    struct dns_name name;

    for (size_t i = 0; i < count; i++) {
        int err = dns_name_read(data, response->bytes, &name);
        if (err != RC_OK) {
            return err;
        }
        rc_buffer_text(out, i > 0 ? " " : "");
        dns_present_name(&name, out);
    }
    return RC_OK;
}

static int present_soa(const struct dns_response *response, struct rc_cursor *data,
                       struct rc_buffer *out)
{
    int err = present_names(response, data, 2, out);

    for (int i = 0; i < 5; i++) { /* serial, refresh, retry, expire, minimum */
        rc_buffer_format(out, " %u", rc_cursor_u32(data));
    }
    return err == RC_OK ? data->err : err;
}

static int present_srv(const struct dns_response *response, struct rc_cursor *data,
                       struct rc_buffer *out)
{
    for (int i = 0; i < 3; i++) { /* priority, weight, port */
        rc_buffer_format(out, "%u ", rc_cursor_u16(data));
    }
    return data->err == RC_OK ? present_names(response, data, 1, out) : data->err;
}

static int present_strings(struct rc_cursor *data, struct rc_buffer *out)
{
    for (size_t n = 0; rc_cursor_left(data) > 0; n++) {
        size_t size = rc_cursor_u8(data);
        const uint8_t *text = rc_cursor_take(data, size);
        if (text == NULL) {
            return data->err;
        }
        rc_buffer_text(out, n > 0 ? " \"" : "\"");
        for (size_t i = 0; i < size; i++) {
            present_byte(text[i], "\"\\", out);
        }
        rc_buffer_byte(out, '"');
    }
    return RC_OK;
}

static int present_address(const struct dns_response *response,
                           const struct dns_received *record, struct rc_buffer *out)
{
    char text[RC_ADDRESS_TEXT_MAX];
    struct rc_address ip;

    int err = dns_received_address(response, record, &ip);
    if (err == RC_OK) {
        rc_address_format_ip(&ip, text);
        rc_buffer_text(out, text);
    }
    return err;
}

/* RC_ENOTFOUND: there is no form for that type. */
static int present_data(const struct dns_response *response,
                        const struct dns_received *record, struct rc_buffer *out)
{
    struct rc_cursor data = data_of(response, record);

    switch (record->type) {
    case DNS_TYPE_A:
    case DNS_TYPE_AAAA:
        return present_address(response, record, out);
    case DNS_TYPE_NS:
    case DNS_TYPE_CNAME:
    case DNS_TYPE_PTR:
        return present_names(response, &data, 1, out);
    case DNS_TYPE_SOA:
        return present_soa(response, &data, out);
    case DNS_TYPE_SRV:
        return present_srv(response, &data, out);
    case DNS_TYPE_TXT:
        return present_strings(&data, out);
    default:
        return RC_ENOTFOUND;
    }
}

/* RFC 3597 section 5. */
static void present_unknown(const struct dns_response *response,
                            const struct dns_received *record, struct rc_buffer *out)
{
    rc_buffer_format(out, "\\# %zu", record->size);
    for (size_t i = 0; i < record->size; i++) {
        rc_buffer_format(out, "%s%02x", i == 0 ? " " : "",
                         response->bytes[record->at + i]);
    }
}

void dns_present_record(const struct dns_response *response,
                        const struct dns_received *record, struct rc_buffer *out)
{
    char type[DNS_PRESENT_TYPE_MAX];
    struct rc_buffer data = {0};

    dns_present_name(&record->owner, out);
    dns_present_type(record->type, type);
    rc_buffer_format(out, " %u IN %s ", record->ttl_s, type);
    if (present_data(response, record, &data) != RC_OK) {
        rc_buffer_clear(&data);
        present_unknown(response, record, &data);
    }
    rc_buffer_append(out, data.bytes, data.size);
    rc_buffer_fini(&data);
}

static void read_options(struct rc_cursor *cursor, size_t size,
                         struct dns_present_edns *out)
{
    const uint8_t *bytes = rc_cursor_take(cursor, size);
    struct rc_cursor options = rc_cursor_over(bytes, bytes != NULL ? size : 0);

    while (options.err == RC_OK && rc_cursor_left(&options) > 0) {
        uint16_t code = rc_cursor_u16(&options);
        uint16_t length = rc_cursor_u16(&options);
        const uint8_t *data = rc_cursor_take(&options, length);
        if (data != NULL && code == OPTION_EXTENDED && length >= 2 && out->extended < 0) {
            out->extended = data[0] << 8 | data[1];
        }
    }
}

void dns_present_edns(const struct dns_response *response, struct dns_present_edns *out)
{
    struct rc_cursor cursor = rc_cursor_over(response->bytes, response->size);
    size_t left = 0;

    *out = (struct dns_present_edns){.rcode = response->rcode, .extended = -1};
    for (int s = 0; s < DNS_SECTION_COUNT; s++) {
        left += response->counts[s];
    }
    (void)rc_cursor_take(&cursor, response->first_record);
    for (; left > 0 && cursor.err == RC_OK; left--) {
        struct dns_name owner;
        if (dns_name_read(&cursor, response->bytes, &owner) != RC_OK) {
            return;
        }
        uint16_t type = rc_cursor_u16(&cursor);
        uint16_t size = rc_cursor_u16(&cursor); /* of OPT: class is the size, ... */
        uint32_t ttl =
            rc_cursor_u32(&cursor); /* ... and TTL begins with more of the code */
        uint16_t length = rc_cursor_u16(&cursor);
        if (cursor.err == RC_OK && type == DNS_TYPE_OPT) {
            out->size = size;
            out->rcode = (uint16_t)(response->rcode | (ttl >> 24) << 4);
            read_options(&cursor, length, out);
        } else {
            (void)rc_cursor_take(&cursor, length);
        }
    }
}
