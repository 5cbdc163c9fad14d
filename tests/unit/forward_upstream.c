#include "tests/unit/forward_upstream.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "base/writer.h"

enum { COUNTS_AT = 6 };

void forward_upstream_begin(struct forward_upstream *upstream, const char *name,
                            uint16_t type, unsigned flags, uint64_t seed)
{
    struct dns_forward_mark mark = {.instance = 7, .hops = 1};
    struct dns_forward_question question = {.type = type};
    struct dns_name wire;
    struct rc_random random;

    int err = dns_name_from_text(name, &wire);
    assert(err == RC_OK);
    question.name = &wire;
    rc_random_init(&random, seed);
    upstream->sent_size = dns_forward_query_write(&question, &mark, DNS_PART_PRESENT,
                                                  &random, upstream->sent);
    upstream->size = DNS_HEADER_SIZE + (size_t)wire.size + 4;
    memcpy(upstream->bytes, upstream->sent, upstream->size);
    struct rc_writer header = rc_writer_over(upstream->bytes + 2, DNS_HEADER_SIZE - 2);
    rc_writer_u16(&header, (uint16_t)(DNS_FLAG_QR | flags));
    rc_writer_u16(&header, 1);
    rc_writer_u32(&header, 0);
    rc_writer_u16(&header, 0);
}

void forward_upstream_add(struct forward_upstream *upstream, enum dns_section section,
                          struct forward_record record)
{
    struct rc_writer out = rc_writer_over(upstream->bytes + upstream->size,
                                          sizeof upstream->bytes - upstream->size);
    uint8_t *count = upstream->bytes + COUNTS_AT + 2 * (size_t)section;
    struct dns_name name;

    if (record.owner == NULL) {
        rc_writer_u16(&out, 0xc000 | DNS_QUESTION_AT);
    } else {
        int err = dns_name_from_text(record.owner, &name);
        assert(err == RC_OK);
        rc_writer_bytes(&out, name.wire, name.size);
    }
    rc_writer_u16(&out, record.type);
    rc_writer_u16(&out, record.type == DNS_TYPE_OPT ? DNS_EDNS_SIZE : DNS_CLASS_IN);
    rc_writer_u32(&out, record.ttl_s);
    rc_writer_u16(&out, (uint16_t)record.size);
    rc_writer_bytes(&out, record.data, record.size);
    assert(out.err == RC_OK);
    upstream->size += rc_writer_size(&out);
    unsigned more = ((unsigned)count[0] << 8 | count[1]) + 1;
    count[0] = (uint8_t)(more >> 8);
    count[1] = (uint8_t)more;
}

void forward_upstream_add_a(struct forward_upstream *upstream, const char *owner,
                            uint32_t ttl_s, uint8_t last)
{
    const uint8_t ip[4] = {10, 0, 0, last};

    forward_upstream_add(
        upstream, DNS_SECTION_ANSWER,
        (struct forward_record){owner, DNS_TYPE_A, ttl_s, ip, sizeof ip});
}

void forward_upstream_add_soa(struct forward_upstream *upstream, uint32_t ttl_s,
                              uint32_t minimum_s)
{
    uint8_t data[2 + 20] = {0};
    struct rc_writer minimum = rc_writer_over(data + sizeof data - 4, 4);

    rc_writer_u32(&minimum, minimum_s);
    forward_upstream_add(
        upstream, DNS_SECTION_AUTHORITY,
        (struct forward_record){"test", DNS_TYPE_SOA, ttl_s, data, sizeof data});
}

int forward_upstream_read(struct forward_upstream *upstream)
{
    return dns_kept_read(upstream->bytes, upstream->size, upstream->sent,
                         upstream->sent_size, upstream->ttl_at, &upstream->kept);
}
