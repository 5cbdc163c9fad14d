#include "dns/wire/edns.h"

#include <assert.h>
#include <string.h>

#include "base/cursor.h"
#include "base/err.h"

enum {
    OPTION_HEADER_SIZE = 4, /* code, length */
    KEEPALIVE_SIZE = 2,
    INFO_CODE_SIZE = 2,
    COOKIE_WITH_SERVER_MIN = 16,
    COOKIE_WITH_SERVER_MAX = 40
};

static int read_cookie(const uint8_t *data, size_t size, struct dns_asked *out)
{
    if (size != DNS_COOKIE_CLIENT_SIZE &&
        (size < COOKIE_WITH_SERVER_MIN || size > COOKIE_WITH_SERVER_MAX)) {
        return RC_EMALFORMED;
    }
    if (out->cookie_size == 0) { /* all but the first are ignored: RFC 7873 section 5.2 */
        out->cookie = data;
        out->cookie_size = size;
    }
    return RC_OK;
}

static int read_option(unsigned code, const uint8_t *data, size_t size,
                       struct dns_asked *out)
{
    switch (code) {
    case DNS_OPTION_COOKIE:
        return read_cookie(data, size, out);
    case DNS_OPTION_NSID:
        out->nsid = DNS_PART_PRESENT;
        return RC_OK;
    case DNS_OPTION_KEEPALIVE:
        out->keepalive = DNS_PART_PRESENT;
        return RC_OK;
    case DNS_OPTION_LOOP_MARK:
        out->loop_mark = data;
        out->loop_mark_size = size;
        return RC_OK;
    default: /* not an enum: any number may come, unknown ones are ignored */
        return RC_OK;
    }
}

int dns_asked_read(const uint8_t *rdata, size_t size, struct dns_asked *out)
{
    struct rc_cursor options = rc_cursor_over(rdata, size);

    memset(out, 0, sizeof *out);
    while (rc_cursor_left(&options) > 0) {
        unsigned code = rc_cursor_u16(&options);
        size_t option_size = rc_cursor_u16(&options);
        const uint8_t *data = rc_cursor_take(&options, option_size);
        if (options.err != RC_OK || read_option(code, data, option_size, out) != RC_OK) {
            return RC_EMALFORMED;
        }
    }
    return RC_OK;
}

void dns_extras_init(struct dns_extras *extras)
{
    extras->cookie_size = 0;
    extras->nsid_size = 0;
    extras->keepalive = DNS_PART_MISSING;
    extras->error_count = 0;
}

void dns_extras_add_error(struct dns_extras *extras, enum dns_extended_error code,
                          const char *text)
{
    assert(code != DNS_EXTENDED_NONE);
    if (extras->error_count < DNS_EXTENDED_MAX) {
        extras->errors[extras->error_count++] =
            (struct dns_extended){.code = code, .text = text};
    }
}

size_t dns_extras_size(const struct dns_extras *extras)
{
    size_t size = OPTION_HEADER_SIZE + INFO_CODE_SIZE;

    size += extras->cookie_size > 0 ? OPTION_HEADER_SIZE + extras->cookie_size : 0;
    size += extras->nsid_size > 0 ? OPTION_HEADER_SIZE + extras->nsid_size : 0;
    size +=
        extras->keepalive == DNS_PART_PRESENT ? OPTION_HEADER_SIZE + KEEPALIVE_SIZE : 0;
    return size;
}

static void write_option(struct rc_writer *bytes, enum dns_option code, const void *data,
                         size_t size)
{
    rc_writer_u16(bytes, (uint16_t)code);
    rc_writer_u16(bytes, (uint16_t)size);
    rc_writer_bytes(bytes, data, size);
}

static void write_error(struct rc_writer *bytes, const struct dns_extended *error)
{
    size_t left = rc_writer_left(bytes);
    size_t text_size = error->text == NULL ? 0 : strlen(error->text);

    if (left < OPTION_HEADER_SIZE + INFO_CODE_SIZE) {
        return;
    }
    if (text_size > left - OPTION_HEADER_SIZE - INFO_CODE_SIZE) {
        text_size = 0;
    }
    rc_writer_u16(bytes, DNS_OPTION_EXTENDED_ERROR);
    rc_writer_u16(bytes, (uint16_t)(INFO_CODE_SIZE + text_size));
    rc_writer_u16(bytes, (uint16_t)error->code);
    rc_writer_bytes(bytes, error->text, text_size);
}

void dns_extras_write(const struct dns_extras *extras, struct rc_writer *bytes)
{
    uint8_t *rdlength = rc_writer_reserve(bytes, 2);

    assert(rdlength != NULL);
    if (extras->cookie_size > 0) {
        write_option(bytes, DNS_OPTION_COOKIE, extras->cookie, extras->cookie_size);
    }
    if (extras->nsid_size > 0) {
        write_option(bytes, DNS_OPTION_NSID, extras->nsid, extras->nsid_size);
    }
    if (extras->keepalive == DNS_PART_PRESENT) {
        const uint8_t timeout[KEEPALIVE_SIZE] = {(uint8_t)(extras->keepalive_ds >> 8),
                                                 (uint8_t)extras->keepalive_ds};
        write_option(bytes, DNS_OPTION_KEEPALIVE, timeout, sizeof timeout);
    }
    for (size_t i = 0; i < extras->error_count; i++) {
        write_error(bytes, &extras->errors[i]);
    }
    size_t size = (size_t)(bytes->at - rdlength) - 2;
    rdlength[0] = (uint8_t)(size >> 8);
    rdlength[1] = (uint8_t)size;
}
