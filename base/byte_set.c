#include "base/byte_set.h"

#include <stddef.h>

void byte_set_add(struct byte_set *set, unsigned char byte)
{
    set->bits[byte / 8] |= (uint8_t)(1U << (byte % 8));
}

bool byte_set_has(const struct byte_set *set, unsigned char byte)
{
    return (set->bits[byte / 8] & (1U << (byte % 8))) != 0;
}

void byte_set_add_range(struct byte_set *set, unsigned from, unsigned to)
{
    for (unsigned byte = from; byte <= to; byte++) {
        byte_set_add(set, (unsigned char)byte);
    }
}

void byte_set_invert(struct byte_set *set)
{
    for (size_t i = 0; i < sizeof set->bits; i++) {
        set->bits[i] = (uint8_t)~set->bits[i];
    }
}

void byte_set_add_all(struct byte_set *set, const struct byte_set *other)
{
    for (size_t i = 0; i < sizeof set->bits; i++) {
        set->bits[i] |= other->bits[i];
    }
}

void byte_set_ignore_case(struct byte_set *set)
{
    for (int i = 0; i < 26; i++) {
        unsigned char lower = (unsigned char)('a' + i);
        unsigned char upper = (unsigned char)('A' + i);
        if (byte_set_has(set, lower) || byte_set_has(set, upper)) {
            byte_set_add(set, lower);
            byte_set_add(set, upper);
        }
    }
}

bool byte_set_is_word(int byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= 'a' && byte <= 'z') || byte == '_';
}

/* The set of \d, \w, \s or, in capitals, its opposite. False for another letter. */
bool byte_set_add_letter(char letter, struct byte_set *set)
{
    switch (letter) {
    case 'd':
    case 'D':
        byte_set_add_range(set, '0', '9');
        break;
    case 'w':
    case 'W':
        byte_set_add_range(set, '0', '9');
        byte_set_add_range(set, 'A', 'Z');
        byte_set_add_range(set, 'a', 'z');
        byte_set_add(set, '_');
        break;
    case 's':
    case 'S':
        byte_set_add_range(set, '\t', '\n');
        byte_set_add_range(set, '\f', '\r');
        byte_set_add(set, ' ');
        break;
    default:
        return false;
    }
    if (letter < 'a') {
        byte_set_invert(set);
    }
    return true;
}

/* ASCII, whatever the locale. */
void byte_set_add_class(struct byte_set *set, int (*has)(int))
{
    for (int c = 0; c < 128; c++) {
        if (has(c)) {
            byte_set_add(set, (unsigned char)c);
        }
    }
}
