/* grpc.c - frames, and the two trailers that matter. */
#include "agent/engine/grpc.h"

#include <stdbool.h>
#include <string.h>

#include "base/err.h"

enum { STATUS_MAX = 1000 };

void grpc_frame_head(size_t size, uint8_t out[GRPC_FRAME_HEAD])
{
    out[0] = 0;
    for (unsigned i = 0; i < 4; i++) {
        out[1 + i] = (uint8_t)(size >> (8 * (3 - i)));
    }
}

int grpc_frame_next(struct rc_cursor *in, size_t max, struct rc_pack_bytes *out)
{
    struct rc_cursor ahead = *in;

    if (rc_cursor_left(&ahead) < GRPC_FRAME_HEAD) {
        return RC_ETRUNCATED;
    }
    bool is_compressed = rc_cursor_u8(&ahead) != 0;
    uint32_t size = rc_cursor_u32(&ahead);
    if (is_compressed || size > max) {
        return is_compressed ? RC_EMALFORMED : RC_ETOOBIG;
    }
    const uint8_t *at = rc_cursor_take(&ahead, size);
    if (at == NULL) {
        return RC_ETRUNCATED;
    }
    *in = ahead;
    *out = (struct rc_pack_bytes){at, size};
    return RC_OK;
}

/* ---- how it ended ------------------------------------------------------------------- */

void grpc_end_clear(struct grpc_end *end)
{
    end->http_status = 0;
    end->status = -1;
    end->text[0] = '\0';
}

/* Decimal; what is no number is a status that nobody knows. */
static int status_of(struct rc_span digits)
{
    int status = 0;

    for (size_t i = 0; i < digits.size; i++) {
        if (digits.at[i] < '0' || digits.at[i] > '9' || status > STATUS_MAX) {
            return STATUS_MAX;
        }
        status = status * 10 + (digits.at[i] - '0');
    }
    return digits.size > 0 ? status : STATUS_MAX;
}

/* Percent-decoded; a percent sign that begins no pair of digits stands for itself. */
static void read_text(struct rc_span from, char text[GRPC_TEXT_MAX])
{
    size_t used = 0;

    for (size_t i = 0; i < from.size && used < GRPC_TEXT_MAX - 1; i++) {
        uint8_t byte = (uint8_t)from.at[i];
        if (byte == '%' && from.size - i > 2) {
            const char digits[3] = {from.at[i + 1], from.at[i + 2], '\0'};
            i += rc_text_from_hex(digits, 1, &byte) == RC_OK ? 2 : 0;
        }
        text[used++] = (char)(byte == 0 ? ' ' : byte);
    }
    text[used] = '\0';
    rc_text_to_line(text, GRPC_TEXT_MAX);
}

void grpc_end_read(struct grpc_end *end, struct rc_span name, struct rc_span value)
{
    if (rc_span_equals(name, "grpc-status")) {
        end->status = status_of(value);
    } else if (rc_span_equals(name, "grpc-message")) {
        read_text(value, end->text);
    } else if (rc_span_equals(name, ":status")) {
        end->http_status = status_of(value);
    }
}

enum grpc_status grpc_status_of_http(long status)
{
    static const struct {
        long http;
        enum grpc_status grpc;
    } known[] = {
        {400, GRPC_INTERNAL},          {401, GRPC_UNAUTHENTICATED},
        {403, GRPC_PERMISSION_DENIED}, {404, GRPC_UNIMPLEMENTED},
        {429, GRPC_UNAVAILABLE},       {502, GRPC_UNAVAILABLE},
        {503, GRPC_UNAVAILABLE},       {504, GRPC_UNAVAILABLE},
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].http == status) {
            return known[i].grpc;
        }
    }
    return GRPC_UNKNOWN;
}
