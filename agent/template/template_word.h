/* template_word.h - the words of a template: text, and what stands between {{ and }}.
 *
 * The lexical rules of Go's text/template (pkg.go.dev/text/template, "Actions"): actions between
 * delimiters, comments, trim markers, strings in double quotes or back quotes. Pure; nothing is
 * copied: words are spans of the text. */
#ifndef AGENT_TEMPLATE_TEMPLATE_WORD_H
#define AGENT_TEMPLATE_TEMPLATE_WORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

enum { TEMPLATE_ERROR_MAX = 512 };

enum template_word_kind {
    WORD_TEXT, /* outside of actions; never empty */
    WORD_OPEN, /* {{ */
    WORD_CLOSE,
    WORD_NAME,     /* if, range, a function */
    WORD_FIELD,    /* .Name; the text is without its dot */
    WORD_DOT,      /* . */
    WORD_VARIABLE, /* $name, or $ alone; the text is with its $ */
    WORD_STRING,   /* with its quotes */
    WORD_NUMBER,
    WORD_PIPE,
    WORD_LEFT,
    WORD_RIGHT,
    WORD_COMMA,
    WORD_DECLARE, /* := */
    WORD_ASSIGN,  /* = */
    WORD_END,     /* of the text */
    WORD_KIND_COUNT
};

struct template_spot {
    uint32_t line; /* from 1 */
    uint32_t column;
};

struct template_word {
    enum template_word_kind kind;
    struct rc_span text;
    struct template_spot place;
    bool is_apart; /* there is space before it */
};

/* Set `text`, `left` and `right` (of at least one byte), the rest zero. */
struct template_words {
    struct rc_span text;
    const char *left;
    const char *right;
    size_t at;
    size_t counted; /* up to here lines are counted */
    struct template_spot place;
    bool is_inside;
    bool trims_next; /* the text that comes loses the space it begins with */
};

/* The next word. RC_OK; or RC_EMALFORMED with `*why` static and `out->place` where. */
int template_words_next(struct template_words *words, struct template_word *out,
                        const char **why);

/* Appends what a WORD_STRING means to `space`, which has room for as many bytes as the word.
 * Returns their number, or RC_EMALFORMED (negative). */
long template_word_unquote(struct rc_span word, char *space);

#endif
