#include "tests/unit/dns_asker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "dns/wire/response.h"

int dns_asker_set_up(void **state)
{
    struct dns_asker *asker = calloc(1, sizeof *asker);

    if (asker == NULL) {
        return -1;
    }
    asker->world = dns_world_create("127.0.0.10");
    dns_options_init(&asker->options);
    asker->options.domain = "rollcall";
    asker->options.alt_domain = "consul.";
    asker->class = DNS_CLASS_IN;
    *state = asker;
    return dns_answerer_create(&asker->options, dns_world_view(asker->world), 7,
                               &asker->answerer);
}

int dns_asker_tear_down(void **state)
{
    struct dns_asker *asker = *state;

    dns_answerer_destroy(asker->answerer);
    dns_world_destroy(asker->world);
    free(asker);
    return 0;
}

static void write_name(struct rc_writer *writer, const char *text)
{
    while (*text != '\0') {
        uint8_t *length = rc_writer_reserve(writer, 1);
        size_t size = 0;
        assert_non_null(length);
        while (*text != '\0' && *text != '.') {
            text += text[0] == '\\' ? 1 : 0;
            rc_writer_u8(writer, (uint8_t)*text++);
            size++;
        }
        *length = (uint8_t)size;
        text += *text == '.' ? 1 : 0;
    }
    rc_writer_u8(writer, 0);
}

void dns_asker_ask_on(struct dns_asker *asker, enum dns_channel channel, const char *text,
                      uint16_t type, uint16_t edns_size)
{
    struct rc_writer writer = rc_writer_over(asker->query, sizeof asker->query);

    rc_writer_u16(&writer, 0x1234);
    rc_writer_u16(&writer, (uint16_t)(DNS_FLAG_RD | asker->opcode));
    rc_writer_u32(&writer, 0x00010000);
    rc_writer_u32(&writer, edns_size == DNS_NO_EDNS ? 0 : 1);
    write_name(&writer, text);
    rc_writer_u16(&writer, type);
    rc_writer_u16(&writer, asker->class);
    if (edns_size != DNS_NO_EDNS) {
        rc_writer_u8(&writer, 0);
        rc_writer_u16(&writer, DNS_TYPE_OPT);
        rc_writer_u16(&writer, edns_size);
        rc_writer_u32(&writer, asker->edns_word);
        rc_writer_u16(&writer, 0);
    }
    assert_int_equal(writer.err, RC_OK);
    asker->query_size = rc_writer_size(&writer);
    asker->client.channel = channel;
    asker->outcome = dns_answer(asker->answerer, &asker->client, asker->query,
                                asker->query_size, asker->answer, sizeof asker->answer);
}

void dns_asker_ask(struct dns_asker *asker, const char *text, uint16_t type)
{
    dns_asker_ask_on(asker, DNS_CHANNEL_TCP, text, type, DNS_NO_EDNS);
}

static struct dns_response open_answer(const struct dns_asker *asker)
{
    struct dns_response response;

    assert_int_equal(dns_response_open(asker->answer, asker->outcome.size, &response),
                     RC_OK);
    return response;
}

size_t dns_asker_count(const struct dns_asker *asker, enum dns_section section,
                       uint16_t type)
{
    struct dns_response response = open_answer(asker);
    struct dns_received record;
    size_t found = 0;

    while (dns_response_next(&response, &record) == RC_OK) {
        found += record.section == section && (type == 0 || record.type == type) ? 1 : 0;
    }
    return found;
}

static bool has_data(const struct dns_response *response,
                     const struct dns_received *record, const char *data)
{
    const uint8_t *bytes = response->bytes + record->at;
    struct dns_received_srv srv;
    struct dns_name wanted;

    if (record->type == DNS_TYPE_TXT) {
        return bytes[0] == strlen(data) && memcmp(bytes + 1, data, bytes[0]) == 0;
    }
    assert_int_equal(dns_name_from_text(data, &wanted), RC_OK);
    if (record->type == DNS_TYPE_SRV) {
        assert_int_equal(dns_received_srv(response, record, &srv), RC_OK);
    } else {
        assert_int_equal(dns_received_cname(response, record, &srv.target), RC_OK);
    }
    return dns_name_equals(&srv.target, &wanted);
}

bool dns_asker_has(const struct dns_asker *asker, uint16_t type, const char *data)
{
    struct dns_response response = open_answer(asker);
    struct dns_received record;

    while (dns_response_next(&response, &record) == RC_OK) {
        if (record.section == DNS_SECTION_ANSWER && record.type == type &&
            has_data(&response, &record, data)) {
            return true;
        }
    }
    return false;
}

static void assert_empty(const struct dns_asker *asker, uint16_t rcode, const char *why)
{
    size_t answers = dns_asker_count(asker, DNS_SECTION_ANSWER, 0);
    size_t soas = dns_asker_count(asker, DNS_SECTION_AUTHORITY, DNS_TYPE_SOA);

    if (asker->outcome.rcode != rcode || answers != 0 || soas != 1) {
        fail_msg("%s: code %d, %zu answers, %zu SOA", why, asker->outcome.rcode, answers,
                 soas);
    }
}

void dns_asker_assert_nodata(const struct dns_asker *asker, const char *why)
{
    assert_empty(asker, DNS_RCODE_NOERROR, why);
}

void dns_asker_assert_nxdomain(const struct dns_asker *asker, const char *why)
{
    assert_empty(asker, DNS_RCODE_NXDOMAIN, why);
}
