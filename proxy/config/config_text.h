/* config_text.h - configuration text to statements: words, blocks, places.
 *
 *     listen http 0.0.0.0:80 { pool web; host "a b" { route / { pool web } } }   # comment
 *
 * A statement is a line of words, ended by a newline or `;`, with a block in braces or
 * without. Words are bare or in double quotes (\" \\ \n \t inside). Statements stand in one
 * array in the order of the text, each with the index of the one around it, so nothing
 * here recurses. What the words mean is config.c's work. */
#ifndef PROXY_CONFIG_CONFIG_TEXT_H
#define PROXY_CONFIG_CONFIG_TEXT_H

#include <stdbool.h>
#include <stddef.h>

enum {
    CONFIG_TEXT_DEPTH_MAX = 8,
    CONFIG_TEXT_WORDS_MAX = 20000,
    CONFIG_TEXT_NONE = -1, /* the parent of a top-level statement */
};

struct config_word {
    const char *text; /* NUL-terminated; owned by the config_text */
    unsigned line;    /* both from 1 */
    unsigned column;
};

struct config_statement {
    int parent; /* index of the statement around it, or CONFIG_TEXT_NONE */
    bool block; /* it has braces */
    size_t first_word;
    size_t word_count; /* at least 1 */
};

struct config_text {
    char *space; /* owned: where the words stand */
    struct config_word *words;
    size_t word_count;
    struct config_statement *statements;
    size_t statement_count;
};

/* Where and why a text cannot be read. */
struct config_text_fault {
    unsigned line;
    unsigned column;
    const char *why; /* static */
};

/* Splits `size` bytes. RC_OK: `out` is to be ended with config_text_fini. RC_EMALFORMED: `fault`
 * is filled in. RC_ENOMEM. On error there is nothing to end. */
int config_text_init(const char *text, size_t size, struct config_text *out,
                     struct config_text_fault *fault);
void config_text_fini(struct config_text *text);

#endif
