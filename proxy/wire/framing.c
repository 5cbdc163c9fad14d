/* framing.c - RFC 9112 sections 6 and 7 as a state machine over bytes. */
#include "proxy/wire/framing.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "proxy/wire/http1_fields.h"

static struct framing of_length(const struct http1_head *head)
{
    bool body = head->content_length > 0;
    return (struct framing){body ? FRAMING_LENGTH : FRAMING_NONE, head->content_length};
}

struct framing framing_of_request(const struct http1_head *head)
{
    if ((head->says & HTTP1_SAYS_CHUNKED) != 0) {
        return (struct framing){FRAMING_CHUNKED, 0};
    }
    if ((head->says & HTTP1_SAYS_LENGTH) != 0) {
        return of_length(head);
    }
    return (struct framing){FRAMING_NONE, 0};
}

static bool is_bodiless(unsigned status)
{
    return status < 200 || status == 204 || status == 304;
}

struct framing framing_of_response(const struct http1_response *response,
                                   enum http1_method method)
{
    if (method == HTTP1_HEAD || is_bodiless(response->status)) {
        return (struct framing){FRAMING_NONE, 0};
    }
    if ((response->head.says & HTTP1_SAYS_CHUNKED) != 0) {
        return (struct framing){FRAMING_CHUNKED, 0};
    }
    if ((response->head.says & HTTP1_SAYS_LENGTH) != 0) {
        return of_length(&response->head);
    }
    return (struct framing){FRAMING_CLOSE, 0};
}

bool framing_contradicts(const struct http1_response *response, enum http1_method method)
{
    /* HEAD and 304 state the length of what they leave out: RFC 9110 section 8.6. */
    if (method == HTTP1_HEAD || response->status == 304 ||
        !is_bodiless(response->status)) {
        return false;
    }
    uint32_t says = response->head.says;
    return (says & HTTP1_SAYS_CHUNKED) != 0 ||
           ((says & HTTP1_SAYS_LENGTH) != 0 && response->head.content_length > 0);
}

void framing_decoder_init(struct framing_decoder *decoder, const struct framing *framing)
{
    static const enum framing_state first[] = {
        [FRAMING_NONE] = FRAMING_DONE,
        [FRAMING_LENGTH] = FRAMING_DATA,
        [FRAMING_CHUNKED] = FRAMING_SIZE,
        [FRAMING_CLOSE] = FRAMING_DATA,
    };
    *decoder = (struct framing_decoder){
        .kind = framing->kind,
        .state = first[framing->kind],
        .left = framing->kind == FRAMING_LENGTH ? framing->length : 0,
    };
}

bool framing_is_done(const struct framing_decoder *decoder)
{
    return decoder->state == FRAMING_DONE;
}

int framing_end(struct framing_decoder *decoder)
{
    if (decoder->kind == FRAMING_CLOSE) {
        decoder->state = FRAMING_DONE;
    }
    return decoder->state == FRAMING_DONE ? RC_OK : RC_ETRUNCATED;
}

uint64_t framing_payload_left(const struct framing_decoder *decoder)
{
    if (decoder->state != FRAMING_DATA) {
        return 0;
    }
    return decoder->kind == FRAMING_CLOSE ? UINT64_MAX : decoder->left;
}

void framing_skip(struct framing_decoder *decoder, uint64_t size)
{
    assert(size <= framing_payload_left(decoder));
    if (decoder->kind == FRAMING_CLOSE || size == 0) {
        return;
    }
    decoder->left -= size;
    if (decoder->left == 0) {
        decoder->state = decoder->kind == FRAMING_LENGTH ? FRAMING_DONE : FRAMING_DATA_CR;
    }
}

/* Payload bytes at the front of the input. */
static void take_payload(struct framing_decoder *d, const uint8_t *bytes, size_t size,
                         struct framing_piece *out)
{
    size_t take = size;
    if (d->kind != FRAMING_CLOSE && d->left < take) {
        take = (size_t)d->left;
    }
    out->payload = bytes;
    out->payload_size = take;
    out->consumed += take;
    framing_skip(d, take);
}

/* After the digits: an extension or the end of the line. */
static int end_digits(struct framing_decoder *d, uint8_t byte)
{
    if (d->digits == 0 || (byte != ';' && byte != '\r')) {
        return RC_EMALFORMED;
    }
    d->state = byte == ';' ? FRAMING_EXTENSION : FRAMING_SIZE_LF;
    d->extension = 0;
    return RC_OK;
}

static int on_size(struct framing_decoder *d, uint8_t byte)
{
    if (!http1_is((char)byte, HTTP1_HEX)) {
        return end_digits(d, byte);
    }
    if (++d->digits > FRAMING_SIZE_DIGITS_MAX) {
        return RC_EMALFORMED;
    }
    unsigned digit = byte <= '9' ? byte - 48U : (byte | 0x20U) - 87U; /* '0', 'a' - 10 */
    d->left = d->left << 4 | digit;
    return d->left > INT64_MAX ? RC_ETOOBIG : RC_OK;
}

static int count_extension(struct framing_decoder *d)
{
    if (++d->extension > FRAMING_EXTENSION_MAX ||
        ++d->extensions > FRAMING_EXTENSIONS_MAX) {
        return RC_ETOOBIG;
    }
    return RC_OK;
}

/* chunk-ext = *( ";" name [ "=" ( token / quoted-string ) ] ) */
static int on_extension(struct framing_decoder *d, uint8_t byte)
{
    if (byte == '\r') {
        d->state = FRAMING_SIZE_LF;
        return RC_OK;
    }
    if (byte == '"') {
        d->state = FRAMING_QUOTED;
    } else if (byte != ';' && byte != '=' && !http1_is((char)byte, HTTP1_TCHAR)) {
        return RC_EMALFORMED;
    }
    return count_extension(d);
}

static int on_quoted(struct framing_decoder *d, uint8_t byte)
{
    if (!http1_is((char)byte, HTTP1_VALUE)) {
        return RC_EMALFORMED;
    }
    if (byte == '"') {
        d->state = FRAMING_EXTENSION;
    } else if (byte == '\\') {
        d->state = FRAMING_ESCAPED;
    }
    return count_extension(d);
}

static int on_escaped(struct framing_decoder *d, uint8_t byte)
{
    d->state = FRAMING_QUOTED;
    return http1_is((char)byte, HTTP1_VALUE) ? count_extension(d) : RC_EMALFORMED;
}

static int on_size_lf(struct framing_decoder *d, uint8_t byte)
{
    d->state = d->left == 0 ? FRAMING_TRAILER : FRAMING_DATA;
    d->digits = 0;
    return byte == '\n' ? RC_OK : RC_EMALFORMED;
}

static int on_data_cr(struct framing_decoder *d, uint8_t byte)
{
    d->state = FRAMING_DATA_LF;
    return byte == '\r' ? RC_OK : RC_EMALFORMED;
}

static int on_data_lf(struct framing_decoder *d, uint8_t byte)
{
    d->state = FRAMING_SIZE;
    return byte == '\n' ? RC_OK : RC_EMALFORMED;
}

static int (*const line_states[FRAMING_STATE_COUNT])(struct framing_decoder *,
                                                     uint8_t) = {
    [FRAMING_SIZE] = on_size,       [FRAMING_EXTENSION] = on_extension,
    [FRAMING_QUOTED] = on_quoted,   [FRAMING_ESCAPED] = on_escaped,
    [FRAMING_SIZE_LF] = on_size_lf, [FRAMING_DATA_CR] = on_data_cr,
    [FRAMING_DATA_LF] = on_data_lf,
};

/* Takes the whole trailer section, or nothing while it is incomplete. */
static int take_trailer(struct framing_decoder *d, const uint8_t *bytes, size_t size,
                        struct framing_piece *out)
{
    const char *text = (const char *)bytes;
    size_t at = 0;

    while (at < size) {
        const char *lf = memchr(text + at, '\n', size - at);
        if (lf == NULL) {
            break;
        }
        size_t next = (size_t)(lf - text) + 1;
        if (next - at < 2 || lf[-1] != '\r') {
            return RC_EMALFORMED;
        }
        if (next - at == 2) {
            out->consumed += next;
            out->trailer = bytes;
            out->trailer_size = at;
            d->state = FRAMING_DONE;
            return http1_trailer_check(text, at) == HTTP1_SOUND ? RC_OK : RC_EMALFORMED;
        }
        at = next;
    }
    return size >= HTTP1_TRAILER_MAX + 2 ? RC_ETOOBIG : RC_OK;
}

int framing_decode(struct framing_decoder *decoder, const uint8_t *bytes, size_t size,
                   struct framing_piece *out)
{
    *out = (struct framing_piece){0};
    while (out->consumed < size && line_states[decoder->state] != NULL) {
        int err = line_states[decoder->state](decoder, bytes[out->consumed]);
        if (err != RC_OK) {
            return err;
        }
        out->consumed++;
    }
    if (out->consumed == size) {
        return RC_OK;
    }
    const uint8_t *rest = bytes + out->consumed;
    if (decoder->state == FRAMING_DATA) {
        take_payload(decoder, rest, size - out->consumed, out);
        return RC_OK;
    }
    if (decoder->state == FRAMING_TRAILER) {
        return take_trailer(decoder, rest, size - out->consumed, out);
    }
    return RC_OK;
}

size_t framing_chunk_line(uint64_t size, char space[FRAMING_CHUNK_LINE_MAX])
{
    assert(size > 0);
    size_t digits = 1;
    while (digits < FRAMING_SIZE_DIGITS_MAX && size >> (4 * digits) != 0) {
        digits++;
    }
    for (size_t i = 0; i < digits; i++) {
        space[i] = "0123456789abcdef"[size >> (4 * (digits - 1 - i)) & 15];
    }
    space[digits] = '\r';
    space[digits + 1] = '\n';
    return digits + 2;
}
