/* lzw_encode.c - packing what is large, so that Go peers unpack it. */
#include <stdbool.h>
#include <stdlib.h>

#include "agent/gossip/lzw.h"
#include "base/err.h"

enum {
    CODE_CLEAR = 256,
    CODE_END = 257,
    WIDTH_FIRST = 9,
    CODE_MAX = 4095,
    SLOTS = 8192 /* twice the codes: a short walk finds one */
};

struct encoder {
    struct rc_buffer *out;
    uint32_t bits;
    unsigned bit_count;
    unsigned width;
    uint32_t high;         /* the last code that has a meaning */
    uint32_t slots[SLOTS]; /* prefix and byte << 12, the code below; 0: empty */
};

static void put_code(struct encoder *e, uint32_t code)
{
    e->bits |= code << e->bit_count;
    e->bit_count += e->width;
    while (e->bit_count >= 8) {
        rc_buffer_byte(e->out, (uint8_t)e->bits);
        e->bits >>= 8;
        e->bit_count -= 8;
    }
}

static void clear(struct encoder *e)
{
    e->width = WIDTH_FIRST;
    e->high = CODE_END;
    for (size_t i = 0; i < SLOTS; i++) {
        e->slots[i] = 0;
    }
}

/* Where prefix and byte stand, or should stand. */
static uint32_t *slot_of(struct encoder *e, uint32_t key)
{
    uint32_t at = (key * 2654435761U) >> 19;

    while (e->slots[at] != 0 && e->slots[at] >> 12 != key) {
        at = (at + 1) % SLOTS;
    }
    return &e->slots[at];
}

/* Each code written gives a meaning to one more; a full table starts anew. False then. */
static bool count_code(struct encoder *e)
{
    e->high++;
    if (e->high == 1U << e->width) {
        e->width++;
    }
    if (e->high == CODE_MAX) {
        put_code(e, CODE_CLEAR);
        clear(e);
        return false;
    }
    return true;
}

static void encode(struct encoder *e, const uint8_t *bytes, size_t size)
{
    uint32_t code = bytes[0];

    put_code(e, CODE_CLEAR);
    for (size_t i = 1; i < size; i++) {
        uint32_t key = code << 8 | bytes[i]; /* at most 20 bits */
        uint32_t *slot = slot_of(e, key);
        if (*slot != 0) {
            code = *slot & CODE_MAX;
            continue;
        }
        put_code(e, code);
        if (count_code(e)) {
            *slot = key << 12 | e->high;
        }
        code = bytes[i];
    }
    put_code(e, code);
    (void)count_code(e);
    put_code(e, CODE_END);
    if (e->bit_count > 0) {
        rc_buffer_byte(e->out, (uint8_t)e->bits);
    }
}

int lzw_encode(const uint8_t *bytes, size_t size, struct rc_buffer *out)
{
    if (bytes == NULL || size == 0) {
        return RC_EINVAL;
    }
    struct encoder *e = malloc(sizeof *e);
    if (e == NULL) {
        return RC_ENOMEM;
    }
    e->out = out;
    e->bits = 0;
    e->bit_count = 0;
    clear(e);
    encode(e, bytes, size);
    free(e);
    return out->err;
}
