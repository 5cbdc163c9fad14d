/* byte_set.h - a set of bytes: what one place of a regular expression may match. */
#ifndef BASE_BYTE_SET_H
#define BASE_BYTE_SET_H

#include <stdbool.h>
#include <stdint.h>

struct byte_set {
    uint8_t bits[32];
};

bool byte_set_has(const struct byte_set *set, unsigned char byte);

void byte_set_add(struct byte_set *set, unsigned char byte);
void byte_set_add_range(struct byte_set *set, unsigned from, unsigned to);
void byte_set_add_all(struct byte_set *set, const struct byte_set *other);
void byte_set_invert(struct byte_set *set);

/* Adds the other case of every ASCII letter in it. */
void byte_set_ignore_case(struct byte_set *set);

/* Makes an empty set that of \d, \w or \s or, in capitals, its opposite. False, and nothing
 * done, for another letter. */
bool byte_set_add_letter(char letter, struct byte_set *set);

/* Adds the ASCII characters that a function of ctype.h holds for. */
void byte_set_add_class(struct byte_set *set, int (*has)(int));

/* Whether \w holds for `byte`, which may be -1 for none. */
bool byte_set_is_word(int byte);

#endif
