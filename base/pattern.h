/* pattern.h - regular expressions that cannot be made slow.
 *
 * The part of RE2's syntax that filters use, matched by simulating the automaton (Thompson
 * 1968; Pike's list of states), so the time is bounded by pattern size times text size,
 * whatever the pattern. Unanchored: it searches. Bytes, not characters: `.` is one byte.
 *
 * Known: literals, . [..] [^..] [[:alpha:]] \d \w \s \D \W \S \b \B ^ $ \A \z ( | ) (?: )
 * * + ? {n,m} and their lazy forms, escapes \n \t \r \f \v \xHH, and (?i) (?s) at the start. */
#ifndef BASE_PATTERN_H
#define BASE_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

enum {
    RC_PATTERN_BYTES_MAX = 512,
    RC_PATTERN_STEPS_MAX = 1024,
    RC_PATTERN_DEPTH_MAX = 32
};

struct rc_pattern;

/* RC_OK with `*out` owned by the caller; RC_EMALFORMED with `*why` a static phrase in Go's
 * words; RC_ETOOBIG likewise; RC_ENOMEM. */
int rc_pattern_compile(const char *text, struct rc_pattern **out, const char **why);
void rc_pattern_destroy(struct rc_pattern *pattern); /* NULL is allowed */

/* Whether it is found anywhere in `text`. Not reentrant for one pattern. */
bool rc_pattern_is_in(struct rc_pattern *pattern, const char *text, size_t size);

#endif
