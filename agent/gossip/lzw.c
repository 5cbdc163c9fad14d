/* lzw.c - unpacking what Go peers compressed. */
#include "agent/gossip/lzw.h"

#include "base/err.h"

enum {
    CODE_CLEAR = 256,
    CODE_END = 257,
    CODE_NONE = 0xffff,
    WIDTH_FIRST = 9,
    WIDTH_MAX = 12,
    CODES_MAX = 1 << WIDTH_MAX
};

struct decoder {
    const uint8_t *at;
    size_t left;
    uint32_t bits;
    unsigned bit_count;
    unsigned width;
    uint16_t high; /* the last code that has or will get a meaning */
    uint16_t last; /* the code before this one, or CODE_NONE after a clear */
    uint16_t prefix[CODES_MAX];
    uint8_t suffix[CODES_MAX];
};

static void clear(struct decoder *d)
{
    d->width = WIDTH_FIRST;
    d->high = CODE_END;
    d->last = CODE_NONE;
}

/* The next code, or CODE_NONE when the bytes end. */
static uint16_t next_code(struct decoder *d)
{
    while (d->bit_count < d->width) {
        if (d->left == 0) {
            return CODE_NONE;
        }
        d->bits |= (uint32_t)*d->at << d->bit_count;
        d->at++;
        d->left--;
        d->bit_count += 8;
    }
    uint16_t code = (uint16_t)(d->bits & ((1U << d->width) - 1));
    d->bits >>= d->width;
    d->bit_count -= d->width;
    return code;
}

static size_t length_of(const struct decoder *d, uint16_t code)
{
    size_t length = 1;
    while (code > CODE_END) {
        code = d->prefix[code % CODES_MAX]; /* always below; says so to the compiler */
        length++;
    }
    return length;
}

/* Appends the string of `code`, from its end to its start; returns its first byte. */
static uint8_t put_string(const struct decoder *d, uint16_t code, size_t length,
                          struct rc_buffer *out)
{
    uint8_t *place = out->bytes + out->size;

    out->size += length;
    for (size_t i = length - 1; i > 0; i--) {
        place[i] = d->suffix[code];
        code = d->prefix[code];
    }
    place[0] = (uint8_t)code;
    return place[0];
}

static int expand(struct decoder *d, uint16_t code, size_t max, struct rc_buffer *out)
{
    if (code > d->high) {
        return RC_EMALFORMED;
    }
    /* "KwKwK": the code being defined right now. In a full table `high` has its meaning. */
    size_t own_tail = code == d->high && d->last != CODE_NONE;
    uint16_t known = own_tail ? d->last : code;
    size_t length = length_of(d, known);
    if (length + own_tail > max - out->size) {
        return RC_ETOOBIG;
    }
    int err = rc_buffer_reserve(out, length + own_tail);
    if (err != RC_OK) {
        return err;
    }
    uint8_t first = put_string(d, known, length, out);
    if (own_tail) {
        out->bytes[out->size++] = first;
    }
    if (d->last != CODE_NONE) {
        d->prefix[d->high] = d->last;
        d->suffix[d->high] = first;
    }
    return RC_OK;
}

/* After each code one more becomes known; the width follows when the codes run out (the rule
 * of GIF). A full table takes no more until a clear. */
static void advance(struct decoder *d, uint16_t code)
{
    d->last = code;
    d->high++;
    if (d->high < 1U << d->width) {
        return;
    }
    if (d->width < WIDTH_MAX) {
        d->width++;
    } else {
        d->high--;
        d->last = CODE_NONE;
    }
}

int lzw_decode(const uint8_t *bytes, size_t size, size_t max, struct rc_buffer *out)
{
    struct decoder d;
    size_t limit = out->size + max;

    d.at = bytes;
    d.left = size;
    d.bits = 0;
    d.bit_count = 0;
    clear(&d);
    for (;;) {
        uint16_t code = next_code(&d);
        if (code == CODE_END) {
            return RC_OK;
        }
        if (code == CODE_NONE) {
            return RC_EMALFORMED;
        }
        if (code == CODE_CLEAR) {
            clear(&d);
            continue;
        }
        int err = expand(&d, code, limit, out);
        if (err != RC_OK) {
            return err;
        }
        advance(&d, code);
    }
}
