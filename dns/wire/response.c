#include "dns/wire/response.h"

#include "base/err.h"

enum { RCODE_MASK = 0xf, TTL_MAX = INT32_MAX /* RFC 2181 section 8 */ };

int dns_response_open(const uint8_t *bytes, size_t size, struct dns_response *out)
{
    out->bytes = bytes;
    out->size = size;
    out->cursor = rc_cursor_over(bytes, size);
    (void)rc_cursor_u16(&out->cursor); /* the id was matched by who received it */
    out->flags = rc_cursor_u16(&out->cursor);
    out->rcode = out->flags & RCODE_MASK;
    uint16_t questions = rc_cursor_u16(&out->cursor);
    for (int s = DNS_SECTION_ANSWER; s < DNS_SECTION_COUNT; s++) {
        out->counts[s] = rc_cursor_u16(&out->cursor);
    }
    if (out->cursor.err != RC_OK || questions != 1 || (out->flags & DNS_FLAG_QR) == 0 ||
        dns_name_read(&out->cursor, bytes, &out->name) != RC_OK) {
        return RC_EMALFORMED;
    }
    out->type = rc_cursor_u16(&out->cursor);
    uint16_t class = rc_cursor_u16(&out->cursor);
    if (out->cursor.err != RC_OK || class != DNS_CLASS_IN) {
        return RC_EMALFORMED;
    }
    out->first_record = (size_t)(out->cursor.at - bytes);
    dns_response_rewind(out);
    return RC_OK;
}

void dns_response_rewind(struct dns_response *response)
{
    response->cursor = rc_cursor_over(response->bytes, response->size);
    (void)rc_cursor_take(&response->cursor, response->first_record);
    response->section = DNS_SECTION_ANSWER;
    response->taken = 0;
}

/* RC_ENOTFOUND here: a record of another class. */
static int read_record(struct dns_response *response, struct dns_received *out)
{
    struct rc_cursor *cursor = &response->cursor;

    if (dns_name_read(cursor, response->bytes, &out->owner) != RC_OK) {
        return RC_EMALFORMED;
    }
    out->type = rc_cursor_u16(cursor);
    uint16_t class = rc_cursor_u16(cursor);
    uint32_t ttl_s = rc_cursor_u32(cursor);
    out->ttl_s = ttl_s > TTL_MAX ? 0 : ttl_s;
    out->size = rc_cursor_u16(cursor);
    if (cursor->err != RC_OK) {
        return RC_EMALFORMED;
    }
    out->at = (size_t)(cursor->at - response->bytes);
    if (rc_cursor_take(cursor, out->size) == NULL) {
        return RC_EMALFORMED;
    }
    return class == DNS_CLASS_IN ? RC_OK : RC_ENOTFOUND;
}

int dns_response_next(struct dns_response *response, struct dns_received *out)
{
    while (response->section < DNS_SECTION_COUNT) {
        if (response->taken == response->counts[response->section]) {
            response->section++;
            response->taken = 0;
            continue;
        }
        response->taken++;
        out->section = (enum dns_section)response->section;
        int err = read_record(response, out);
        if (err != RC_ENOTFOUND) {
            return err;
        }
    }
    return RC_ENOTFOUND;
}

/* A cursor that ends with the record's data, so that names in it can point back. */
static struct rc_cursor data_of(const struct dns_response *response,
                                const struct dns_received *record)
{
    struct rc_cursor cursor = rc_cursor_over(response->bytes, record->at + record->size);

    (void)rc_cursor_take(&cursor, record->at);
    return cursor;
}

int dns_received_address(const struct dns_response *response,
                         const struct dns_received *record, struct rc_address *out)
{
    size_t size = record->type == DNS_TYPE_A ? 4 : 16;

    if (record->size != size) {
        return RC_EMALFORMED;
    }
    return rc_address_from_bytes(response->bytes + record->at, size, 0, out);
}

int dns_received_cname(const struct dns_response *response,
                       const struct dns_received *record, struct dns_name *out)
{
    struct rc_cursor data = data_of(response, record);

    if (dns_name_read(&data, response->bytes, out) != RC_OK ||
        rc_cursor_left(&data) != 0) {
        return RC_EMALFORMED;
    }
    return RC_OK;
}

int dns_received_srv(const struct dns_response *response,
                     const struct dns_received *record, struct dns_received_srv *out)
{
    struct rc_cursor data = data_of(response, record);

    out->priority = rc_cursor_u16(&data);
    out->weight = rc_cursor_u16(&data);
    out->port = rc_cursor_u16(&data);
    if (data.err != RC_OK ||
        dns_name_read(&data, response->bytes, &out->target) != RC_OK ||
        rc_cursor_left(&data) != 0) {
        return RC_EMALFORMED;
    }
    return RC_OK;
}

int dns_received_soa(const struct dns_response *response,
                     const struct dns_received *record, uint32_t *out_ttl_s)
{
    struct rc_cursor data = data_of(response, record);
    struct dns_name name;
    uint32_t minimum_s = 0;

    for (int i = 0; i < 2; i++) {
        if (dns_name_read(&data, response->bytes, &name) != RC_OK) {
            return RC_EMALFORMED;
        }
    }
    for (int i = 0; i < 5; i++) { /* serial, refresh, retry, expire, minimum */
        minimum_s = rc_cursor_u32(&data);
    }
    if (data.err != RC_OK || rc_cursor_left(&data) != 0) {
        return RC_EMALFORMED;
    }
    *out_ttl_s = record->ttl_s < minimum_s ? record->ttl_s : minimum_s;
    return RC_OK;
}
