/* postfix.h - a regular expression with its operators behind their operands.
 *
 * The first half of pattern.h: from text to steps in the order in which an automaton is put
 * together. In this form `x{2,4}` is a matter of copying a range. */
#ifndef BASE_POSTFIX_H
#define BASE_POSTFIX_H

#include <stddef.h>
#include <stdint.h>

#include "base/byte_set.h"
#include "base/pattern.h"

enum { POSTFIX_SETS_MAX = 256, POSTFIX_REPEAT_MAX = 1000 };

enum step_kind {
    STEP_SET, /* one byte out of a set */
    STEP_BEGIN,
    STEP_END,
    STEP_WORD_EDGE,
    STEP_NO_WORD_EDGE,
    STEP_EMPTY,
    STEP_CONCATENATE,
    STEP_OR,
    STEP_STAR,
    STEP_PLUS,
    STEP_MAYBE,
    STEP_SPLIT, /* of the automaton only: both ways */
    STEP_FOUND, /* likewise */
};

struct step {
    enum step_kind kind;
    uint16_t set; /* STEP_SET: which one */
};

struct postfix {
    struct byte_set sets[POSTFIX_SETS_MAX];
    size_t set_count;
    struct step steps[RC_PATTERN_STEPS_MAX];
    size_t step_count;
};

/* Reads `text` into `out`, which is zeroed. RC_OK, or RC_EMALFORMED or RC_ETOOBIG with `*why`. */
int postfix_read(const char *text, struct postfix *out, const char **why);

#endif
