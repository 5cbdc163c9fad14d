/* settings_token.h - configuration text, word by word: for settings.c only.
 *
 * Knows strings, numbers, names, signs, comments and heredocs; knows nothing of what may
 * follow what. JSON text has no comments, names or heredocs of its own, so it passes too. */
#ifndef BASE_SETTINGS_TOKEN_H
#define BASE_SETTINGS_TOKEN_H

#include <stddef.h>

#include "base/buffer.h"
#include "base/text.h"

enum rc_token_type {
    RC_TOKEN_END,
    RC_TOKEN_NAME,   /* node_name, true, null */
    RC_TOKEN_STRING, /* quoted text or a heredoc */
    RC_TOKEN_NUMBER,
    RC_TOKEN_BRACE_OPEN,
    RC_TOKEN_BRACE_CLOSE,
    RC_TOKEN_BRACKET_OPEN,
    RC_TOKEN_BRACKET_CLOSE,
    RC_TOKEN_COMMA,
    RC_TOKEN_EQUALS,
    RC_TOKEN_COLON,
    RC_TOKEN_TYPE_COUNT
};

enum rc_comments { RC_COMMENTS_ALLOWED, RC_COMMENTS_REFUSED };

struct rc_token {
    enum rc_token_type type;
    unsigned line;
    unsigned column; /* in bytes, from 1 */
    struct rc_span
        text; /* what was written, or a string's content; borrowed until the next
                            token is read */
};

struct rc_tokens {
    const char *at;
    const char *end;
    const char *line_start;
    unsigned line;
    enum rc_comments comments;
    struct rc_buffer content; /* of the string read last */
    char error[160];          /* what is wrong, after RC_EMALFORMED */
    unsigned error_line;
    unsigned error_column;
};

/* Reads from `size` bytes that must outlive `tokens`. A byte order mark is skipped. */
void rc_tokens_init(struct rc_tokens *tokens, const char *text, size_t size);
void rc_tokens_fini(struct rc_tokens *tokens);

/* The next token. RC_OK, RC_EMALFORMED (see `error`) or RC_ENOMEM. */
int rc_tokens_next(struct rc_tokens *tokens, struct rc_token *out);

/* What to call a token in a message: "a string", "}", "the end of the file". */
const char *rc_token_name(enum rc_token_type type);

#endif
