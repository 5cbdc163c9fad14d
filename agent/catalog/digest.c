#include "agent/catalog/digest.h"

#include <string.h>

#include "base/err.h"
#include "base/table.h"

enum { KEY_SEED = 2, NUMBER_SIZE_MAX = 10, LOW_BITS = 0x7f, MORE = 0x80 };

struct digest_key digest_key(const char *owner)
{
    uint64_t hash = rc_hash(owner, strlen(owner), KEY_SEED);
    struct digest_key key = {{0}};

    for (unsigned i = 0; i < DIGEST_KEY_SIZE; i++) {
        key.bytes[i] = (uint8_t)(hash >> (8 * i)); /* the same on every machine */
    }
    return key;
}

static void write_number(struct rc_buffer *out, uint64_t value)
{
    while (value > LOW_BITS) {
        rc_buffer_byte(out, (uint8_t)((value & LOW_BITS) | MORE));
        value >>= 7;
    }
    rc_buffer_byte(out, (uint8_t)value);
}

static uint64_t read_number(struct rc_cursor *in)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < NUMBER_SIZE_MAX; i++) {
        uint8_t byte = rc_cursor_u8(in);
        if (i == NUMBER_SIZE_MAX - 1 && byte > 1) {
            break; /* more than 64 bits */
        }
        value |= (uint64_t)(byte & LOW_BITS) << (7 * i);
        if ((byte & MORE) == 0) {
            return value;
        }
    }
    rc_cursor_fail(in, RC_EMALFORMED);
    return 0;
}

void digest_write(struct rc_buffer *out, const struct digest *digest)
{
    rc_buffer_append(out, digest->key.bytes, DIGEST_KEY_SIZE);
    write_number(out, digest->epoch);
    write_number(out, digest->version);
}

bool digest_read(struct rc_cursor *in, struct digest *out)
{
    if (in->err != RC_OK || rc_cursor_left(in) == 0) {
        return false;
    }
    const uint8_t *key = rc_cursor_take(in, DIGEST_KEY_SIZE);
    if (key == NULL) {
        return false;
    }
    memcpy(out->key.bytes, key, DIGEST_KEY_SIZE);
    out->epoch = read_number(in);
    out->version = read_number(in);
    return in->err == RC_OK;
}
