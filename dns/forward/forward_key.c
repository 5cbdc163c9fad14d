#include "dns/forward/forward_key.h"

#include <assert.h>
#include <string.h>

#include "base/cursor.h"
#include "base/err.h"
#include "base/table.h"

enum { BIT_DO = 1, BIT_CD = 2 };

void dns_forward_key_make(const struct dns_forward_question *question, uint64_t seed,
                          struct dns_forward_key *out)
{
    size_t size = question->name->size;

    /* Length bytes are at most 63, below every letter, so the whole can be folded. */
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = question->name->wire[i];
        out->bytes[i] = byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
    }
    out->bytes[size++] = (uint8_t)(question->type >> 8);
    out->bytes[size++] = (uint8_t)question->type;
    out->bytes[size++] =
        (uint8_t)((question->wants_dnssec == DNS_PART_PRESENT ? BIT_DO : 0) |
                  (question->unchecked == DNS_PART_PRESENT ? BIT_CD : 0));
    out->size = size;
    out->hash = rc_hash(out->bytes, size, seed);
}

void dns_forward_key_read(const struct dns_forward_key *key, struct dns_name *name,
                          struct dns_forward_question *out)
{
    struct rc_cursor cursor = rc_cursor_over(key->bytes, key->size);

    int err = dns_name_read(&cursor, key->bytes, name);
    out->name = name;
    out->type = rc_cursor_u16(&cursor);
    unsigned bits = rc_cursor_u8(&cursor);
    out->wants_dnssec = (bits & BIT_DO) != 0 ? DNS_PART_PRESENT : DNS_PART_MISSING;
    out->unchecked = (bits & BIT_CD) != 0 ? DNS_PART_PRESENT : DNS_PART_MISSING;
    assert(err == RC_OK && cursor.err == RC_OK); /* made by dns_forward_key_make() */
}

bool dns_forward_key_equals(const struct dns_forward_key *a,
                            const struct dns_forward_key *b)
{
    return a->hash == b->hash && a->size == b->size &&
           memcmp(a->bytes, b->bytes, a->size) == 0;
}
