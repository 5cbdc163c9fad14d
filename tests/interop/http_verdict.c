/* http_verdict.c - what our parser makes of each head on standard input, one line each: for the differential test.
 *
 * In: records of a length (4 bytes, big-endian) and so many bytes, which may hold more than a head. Out:
 *   more                                    the head has no end
 *   no LABEL                                refused
 *   ok METHOD TARGET MINOR BODY FIELDS      with %XX for all that is not a letter, digit or one of "-._~/"
 * BODY is "done:" with the payload, "more:" with what of it is there, or "bad". FIELDS are name=value, joined by '&',
 * names in lower case, sorted no further. */
#include <assert.h>
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "proxy/wire/framing.h"
#include "proxy/wire/http1.h"

enum { RECORD_MAX = 1 << 20 };

static void put_escaped(const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if (isalnum(byte) || (byte != 0 && strchr("-._~/", byte) != NULL)) {
            (void)putchar(byte);
        } else {
            (void)printf("%%%02X", byte);
        }
    }
}

static void put_body(const struct http1_head *head, const char *bytes, size_t size)
{
    struct framing framing = framing_of_request(head);
    struct framing_decoder decoder;
    static char payload[RECORD_MAX];
    size_t payload_size = 0;
    size_t at = 0;

    framing_decoder_init(&decoder, &framing);
    while (!framing_is_done(&decoder)) {
        struct framing_piece piece;
        if (framing_decode(&decoder, (const uint8_t *)bytes + at, size - at, &piece) !=
            RC_OK) {
            (void)printf("bad");
            return;
        }
        if (piece.payload_size > 0) {
            memcpy(payload + payload_size, piece.payload, piece.payload_size);
            payload_size += piece.payload_size;
        }
        at += piece.consumed;
        if (piece.consumed == 0) {
            break;
        }
    }
    (void)printf(framing_is_done(&decoder) ? "done:" : "more:");
    put_escaped(payload, payload_size);
}

static void put_fields(const char *bytes, const struct http1_head *head)
{
    for (size_t i = 0; i < head->count; i++) {
        const struct http1_field *field = &head->fields[i];
        static char name[HTTP1_HEAD_MAX];
        for (size_t k = 0; k < field->name.size; k++) {
            name[k] = (char)tolower((unsigned char)bytes[field->name.at + k]);
        }
        (void)printf(i > 0 ? "&" : "");
        put_escaped(name, field->name.size);
        (void)putchar('=');
        put_escaped(bytes + field->value.at, field->value.size);
    }
}

static void judge(const char *bytes, size_t size)
{
    struct http1_scan scan = {0};
    struct http1_request request;
    size_t head = 0;

    enum http1_fault fault = http1_scan(&scan, bytes, size, &head);
    if (fault == HTTP1_SOUND && head == 0) {
        (void)printf("more\n");
        return;
    }
    if (fault == HTTP1_SOUND) {
        fault = http1_request_parse(bytes, head, &request);
    }
    if (fault != HTTP1_SOUND) {
        (void)printf("no %s\n", http1_fault_label(fault));
        return;
    }
    (void)printf("ok ");
    put_escaped(bytes + request.method_text.at, request.method_text.size);
    (void)putchar(' ');
    put_escaped(bytes + request.target.at, request.target.size);
    (void)printf(" %u ", request.head.minor);
    put_body(&request.head, bytes + head, size - head);
    (void)putchar(' ');
    put_fields(bytes, &request.head);
    (void)putchar('\n');
}

int main(void)
{
    static char record[RECORD_MAX];
    uint8_t length[4];

    while (fread(length, 1, sizeof length, stdin) == sizeof length) {
        size_t size = (size_t)length[0] << 24 | (size_t)length[1] << 16 |
                      (size_t)length[2] << 8 | length[3];
        if (size > sizeof record || fread(record, 1, size, stdin) != size) {
            return 1;
        }
        judge(record, size);
    }
    return 0;
}
