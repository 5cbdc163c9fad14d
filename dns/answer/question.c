#include "dns/answer/question.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"

enum { IPV4_SIZE = 4, IPV6_SIZE = 16, IPV4_DIGITS = 8, IPV6_DIGITS = 32 };

/* `name` is read up to `end`, where the kind's label (or, failing that, the zone)
 * begins. */
static enum dns_form read_service(const struct dns_name *name, size_t end,
                                  struct dns_question *out);
static enum dns_form read_node(const struct dns_name *name, size_t end,
                               struct dns_question *out);
static enum dns_form read_query(const struct dns_name *name, size_t end,
                                struct dns_question *out);
static enum dns_form read_address(const struct dns_name *name, size_t end,
                                  struct dns_question *out);
static enum dns_form read_nothing(const struct dns_name *name, size_t end,
                                  struct dns_question *out);

/* The labels that say what stands left of them. The last ones belong to a service
 * mesh: known, so that they are not taken for a datacenter. */
static const struct {
    const char *label;
    enum dns_form (*read)(const struct dns_name *name, size_t end,
                          struct dns_question *out);
} kinds[] = {
    {"service", read_service}, {"node", read_node},       {"addr", read_address},
    {"query", read_query},     {"connect", read_nothing}, {"ingress", read_nothing},
    {"virtual", read_nothing},
};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

static struct rc_span join(const struct dns_name *name, size_t first, size_t count,
                           char space[DNS_NAME_TEXT_MAX])
{
    size_t size = dns_name_to_text(name, first, count, space);
    return (struct rc_span){.at = space, .size = size};
}

/* The label without its leading underscore, or an empty span if it has none. */
static struct rc_span underscored(const struct dns_name *name, size_t i,
                                  char space[DNS_NAME_TEXT_MAX])
{
    struct rc_span span = join(name, i, 1, space);

    if (span.size < 2 || span.at[0] != '_') {
        return (struct rc_span){.at = space, .size = 0};
    }
    return (struct rc_span){.at = span.at + 1, .size = span.size - 1};
}

static enum dns_form read_service(const struct dns_name *name, size_t end,
                                  struct dns_question *out)
{
    if (end == 2) {
        struct rc_span service = underscored(name, 0, out->texts[0]);
        struct rc_span tag = underscored(name, 1, out->texts[1]);
        if (service.size > 0 && tag.size > 0) {
            out->subject = service;
            out->tag = rc_span_equals(tag, "tcp") ? rc_span_of(NULL) : tag;
            return DNS_FORM_SERVICE;
        }
    }
    out->subject = join(name, end - 1, 1, out->texts[0]);
    out->tag = rc_span_of(NULL);
    if (end > 1) {
        out->tag = join(name, 0, end - 1, out->texts[1]);
        if (out->tag.size == 0) {
            return DNS_FORM_UNKNOWN;
        }
    }
    return out->subject.size > 0 ? DNS_FORM_SERVICE : DNS_FORM_UNKNOWN;
}

static enum dns_form read_node(const struct dns_name *name, size_t end,
                               struct dns_question *out)
{
    out->subject = join(name, 0, end, out->texts[0]);
    return out->subject.size > 0 ? DNS_FORM_NODE : DNS_FORM_UNKNOWN;
}

/* Names of prepared queries may hold dots. */
static enum dns_form read_query(const struct dns_name *name, size_t end,
                                struct dns_question *out)
{
    out->subject = join(name, 0, end, out->texts[0]);
    return out->subject.size > 0 ? DNS_FORM_QUERY : DNS_FORM_UNKNOWN;
}

/* Consul's oddity is kept: digits of a wrong count are a name without records, anything
 * else is no name. */
static enum dns_form read_address(const struct dns_name *name, size_t end,
                                  struct dns_question *out)
{
    uint8_t ip[IPV6_SIZE];

    struct rc_span hex = join(name, 0, end, out->texts[0]);
    if (end != 1 || hex.size == 0 ||
        strspn(out->texts[0], "0123456789abcdef") != hex.size) {
        return DNS_FORM_UNKNOWN;
    }
    size_t size = hex.size / 2;
    if ((hex.size != IPV4_DIGITS && hex.size != IPV6_DIGITS) ||
        rc_text_from_hex(out->texts[0], size, ip) != RC_OK) {
        return hex.size % 2 == 0 ? DNS_FORM_DIGITS : DNS_FORM_UNKNOWN;
    }
    /* Not rc_address_from_bytes(): it would turn a mapped IPv6 address into IPv4. */
    out->ip.family = size == IPV4_SIZE ? RC_ADDRESS_IPV4 : RC_ADDRESS_IPV6;
    memcpy(out->ip.ip, ip, size);
    return DNS_FORM_ADDRESS;
}

static enum dns_form read_nothing(const struct dns_name *name, size_t end,
                                  struct dns_question *out)
{
    (void)name;
    (void)end;
    out->subject = rc_span_of(NULL);
    return DNS_FORM_UNKNOWN;
}

static size_t kind_of(const struct dns_name *name, size_t i)
{
    struct rc_span label = dns_name_label(name, i);
    size_t kind = 0;

    while (kind < KINDS && !rc_span_equals_nocase(label, kinds[kind].label)) {
        kind++;
    }
    return kind;
}

/* The `end` labels left of the zone, and perhaps of a datacenter. Labels with underscores
 * may stand there without "service". */
static enum dns_form read_kind(const struct dns_name *name, size_t end,
                               struct dns_question *out)
{
    size_t kind = kind_of(name, end - 1);

    if (kind == KINDS && dns_name_label(name, end - 1).at[0] == '_' && end <= 2) {
        return end == 2 ? read_service(name, end, out) : DNS_FORM_EMPTY;
    }
    if (kind == KINDS) {
        return DNS_FORM_UNKNOWN;
    }
    return end == 1 ? DNS_FORM_EMPTY : kinds[kind].read(name, end - 1, out);
}

/* How many labels before `end` say which datacenter is meant, if that is ours: DC, or DC.dc
 * as newer Consuls have it. The name above all of these, "dc", counts too. */
static size_t datacenter_labels(const struct dns_zones *zones,
                                const struct dns_name *name, size_t end)
{
    struct rc_span last = dns_name_label(name, end - 1);

    if (rc_span_equals_nocase(last, "dc") &&
        (end == 1 ||
         rc_span_equals_nocase(dns_name_label(name, end - 2), zones->datacenter))) {
        return end == 1 ? 1 : 2;
    }
    return rc_span_equals_nocase(last, zones->datacenter) ? 1 : 0;
}

static enum dns_form read_ours(const struct dns_zones *zones, const struct dns_name *name,
                               struct dns_question *out)
{
    size_t end = out->zone_label;

    if (end == 0) {
        return DNS_FORM_APEX;
    }
    struct rc_span last = dns_name_label(name, end - 1);
    if (end == 1 && rc_span_equals_nocase(last, "ns")) {
        return DNS_FORM_NAME_SERVER;
    }
    enum dns_form form = read_kind(name, end, out);
    if (form != DNS_FORM_UNKNOWN || kind_of(name, end - 1) < KINDS) {
        return form;
    }
    size_t labels = datacenter_labels(zones, name, end);
    if (labels == 0) {
        return DNS_FORM_UNKNOWN;
    }
    return end == labels ? DNS_FORM_EMPTY : read_kind(name, end - labels, out);
}

/* 4.3.2.1.in-addr.arpa: four decimal numbers without needless zeros (RFC 1035, 3.5). */
static enum dns_form read_reverse_ipv4(const struct dns_name *name,
                                       struct dns_question *out)
{
    char text[DNS_NAME_TEXT_MAX];

    for (size_t i = 0; i < IPV4_SIZE; i++) {
        uint64_t byte;
        struct rc_span digits = join(name, i, 1, text);
        if (digits.size == 0 || (digits.size > 1 && text[0] == '0') ||
            rc_text_to_u64(text, 255, &byte) != RC_OK) {
            return DNS_FORM_FOREIGN;
        }
        out->ip.ip[IPV4_SIZE - 1 - i] = (uint8_t)byte;
    }
    out->ip.family = RC_ADDRESS_IPV4;
    return DNS_FORM_REVERSE;
}

/* Thirty-two hexadecimal digits, the lowest first (RFC 3596 section 2.5). */
static enum dns_form read_reverse_ipv6(const struct dns_name *name,
                                       struct dns_question *out)
{
    char digits[IPV6_DIGITS + 1];
    char text[DNS_NAME_TEXT_MAX];
    uint8_t ip[IPV6_SIZE];

    for (size_t i = 0; i < IPV6_DIGITS; i++) {
        if (join(name, i, 1, text).size != 1) {
            return DNS_FORM_FOREIGN;
        }
        digits[IPV6_DIGITS - 1 - i] = text[0];
    }
    digits[IPV6_DIGITS] = '\0';
    if (rc_text_from_hex(digits, IPV6_SIZE, ip) != RC_OK ||
        rc_address_from_bytes(ip, IPV6_SIZE, 0, &out->ip) != RC_OK) {
        return DNS_FORM_FOREIGN;
    }
    return DNS_FORM_REVERSE;
}

static enum dns_form read_foreign(const struct dns_name *name, struct dns_question *out)
{
    size_t count = name->label_count;

    if (count < 2 || !rc_span_equals_nocase(dns_name_label(name, count - 1), "arpa")) {
        return DNS_FORM_FOREIGN;
    }
    struct rc_span zone = dns_name_label(name, count - 2);
    if (count == IPV4_SIZE + 2 && rc_span_equals_nocase(zone, "in-addr")) {
        return read_reverse_ipv4(name, out);
    }
    if (count == IPV6_DIGITS + 2 && rc_span_equals_nocase(zone, "ip6")) {
        return read_reverse_ipv6(name, out);
    }
    return DNS_FORM_FOREIGN;
}

void dns_question_read(const struct dns_zones *zones, const struct dns_name *name,
                       struct dns_question *out)
{
    size_t zone_labels = 0; /* of the longer zone, should one be inside the other */

    assert(zones->domain.label_count > 0);
    memset(&out->ip, 0, sizeof out->ip);
    if (dns_name_ends_with(name, &zones->domain)) {
        zone_labels = zones->domain.label_count;
    }
    if (zones->alt_domain.label_count > zone_labels &&
        dns_name_ends_with(name, &zones->alt_domain)) {
        zone_labels = zones->alt_domain.label_count;
    }
    out->zone_label = name->label_count - zone_labels;
    out->form = zone_labels > 0 ? read_ours(zones, name, out) : read_foreign(name, out);
}

bool dns_question_is_of_the_moment(const struct dns_question *question)
{
    return question->form == DNS_FORM_SERVICE &&
           (rc_span_equals_nocase(question->tag, "primary") ||
            rc_span_equals_nocase(question->tag, "master"));
}
