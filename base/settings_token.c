/* settings_token.c - the words of configuration text. */
#include "base/settings_token.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

static const char *const names[RC_TOKEN_TYPE_COUNT] = {
    [RC_TOKEN_END] = "the end of the file",
    [RC_TOKEN_NAME] = "a name",
    [RC_TOKEN_STRING] = "a string",
    [RC_TOKEN_NUMBER] = "a number",
    [RC_TOKEN_BRACE_OPEN] = "{",
    [RC_TOKEN_BRACE_CLOSE] = "}",
    [RC_TOKEN_BRACKET_OPEN] = "[",
    [RC_TOKEN_BRACKET_CLOSE] = "]",
    [RC_TOKEN_COMMA] = ",",
    [RC_TOKEN_EQUALS] = "=",
    [RC_TOKEN_COLON] = ":",
};

const char *rc_token_name(enum rc_token_type type)
{
    assert(type < RC_TOKEN_TYPE_COUNT);
    return names[type];
}

void rc_tokens_init(struct rc_tokens *tokens, const char *text, size_t size)
{
    assert(text != NULL);
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        size -= 3;
    }
    *tokens = (struct rc_tokens){
        .at = text,
        .end = text + size,
        .line_start = text,
        .line = 1,
    };
}

void rc_tokens_fini(struct rc_tokens *tokens)
{
    rc_buffer_fini(&tokens->content);
}

static size_t left(const struct rc_tokens *tokens)
{
    return (size_t)(tokens->end - tokens->at);
}

/* The byte `ahead` of the next one; 0 beyond the end, which no rule below accepts. */
static char peek(const struct rc_tokens *tokens, size_t ahead)
{
    if (ahead >= left(tokens)) {
        return '\0';
    }
    return tokens->at[ahead];
}

static unsigned column(const struct rc_tokens *tokens)
{
    return (unsigned)(tokens->at - tokens->line_start) + 1;
}

static void step(struct rc_tokens *tokens)
{
    if (*tokens->at == '\n') {
        tokens->line++;
        tokens->line_start = tokens->at + 1;
    }
    tokens->at++;
}

static int fail_at(struct rc_tokens *tokens, unsigned line, unsigned column_at,
                   const char *text)
{
    (void)rc_text_put(tokens->error, sizeof tokens->error, text);
    tokens->error_line = line;
    tokens->error_column = column_at;
    return RC_EMALFORMED;
}

static int fail(struct rc_tokens *tokens, const char *text)
{
    return fail_at(tokens, tokens->line, column(tokens), text);
}

static void skip_line(struct rc_tokens *tokens)
{
    while (left(tokens) > 0 && *tokens->at != '\n') {
        tokens->at++;
    }
}

static int skip_long_comment(struct rc_tokens *tokens)
{
    unsigned line = tokens->line;
    unsigned start = column(tokens);

    tokens->at += 2;
    while (left(tokens) > 0) {
        if (peek(tokens, 0) == '*' && peek(tokens, 1) == '/') {
            tokens->at += 2;
            return RC_OK;
        }
        step(tokens);
    }
    return fail_at(tokens, line, start, "this comment is never closed");
}

static int skip_space(struct rc_tokens *tokens)
{
    while (left(tokens) > 0) {
        char first = *tokens->at;
        char second = peek(tokens, 1);
        if (first == ' ' || first == '\t' || first == '\r' || first == '\n') {
            step(tokens);
            continue;
        }
        if (first != '#' && !(first == '/' && (second == '/' || second == '*'))) {
            return RC_OK;
        }
        if (tokens->comments == RC_COMMENTS_REFUSED) {
            return fail(tokens, "JSON has no comments");
        }
        if (second == '*' && first == '/') {
            int err = skip_long_comment(tokens);
            if (err != RC_OK) {
                return err;
            }
        } else {
            skip_line(tokens);
        }
    }
    return RC_OK;
}

static bool is_digit(char letter)
{
    return letter >= '0' && letter <= '9';
}

static bool is_name_letter(char letter)
{
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
           letter == '_' || letter == '-' || letter == '.' || is_digit(letter);
}

static struct rc_span since(const struct rc_tokens *tokens, const char *start)
{
    return (struct rc_span){start, (size_t)(tokens->at - start)};
}

static void skip_digits(struct rc_tokens *tokens)
{
    while (is_digit(peek(tokens, 0))) {
        tokens->at++;
    }
}

/* RFC 8259 section 6: no leading zeros, digits on both sides of the point. */
static int take_number(struct rc_tokens *tokens, struct rc_token *out)
{
    const char *start = tokens->at;

    if (*tokens->at == '-') {
        tokens->at++;
    }
    bool well_formed = is_digit(peek(tokens, 0)) &&
                       !(peek(tokens, 0) == '0' && is_digit(peek(tokens, 1)));
    skip_digits(tokens);
    if (peek(tokens, 0) == '.') {
        tokens->at++;
        well_formed = well_formed && is_digit(peek(tokens, 0));
        skip_digits(tokens);
    }
    if (peek(tokens, 0) == 'e' || peek(tokens, 0) == 'E') {
        tokens->at += peek(tokens, 1) == '+' || peek(tokens, 1) == '-' ? 2 : 1;
        well_formed = well_formed && is_digit(peek(tokens, 0));
        skip_digits(tokens);
    }
    if (!well_formed || is_name_letter(peek(tokens, 0))) {
        return fail_at(tokens, out->line, out->column,
                       "this is not a number; durations and sizes stand in quotes");
    }
    out->type = RC_TOKEN_NUMBER;
    out->text = since(tokens, start);
    return RC_OK;
}

static void take_name(struct rc_tokens *tokens, struct rc_token *out)
{
    const char *start = tokens->at;

    while (is_name_letter(peek(tokens, 0))) {
        tokens->at++;
    }
    out->type = RC_TOKEN_NAME;
    out->text = since(tokens, start);
}

static void put_rune(struct rc_buffer *out, uint32_t rune)
{
    if (rune < 0x80) {
        rc_buffer_byte(out, (uint8_t)rune);
        return;
    }
    if (rune < 0x800) {
        rc_buffer_byte(out, (uint8_t)(0xc0 | rune >> 6));
    } else if (rune < 0x10000) {
        rc_buffer_byte(out, (uint8_t)(0xe0 | rune >> 12));
        rc_buffer_byte(out, (uint8_t)(0x80 | (rune >> 6 & 63)));
    } else {
        rc_buffer_byte(out, (uint8_t)(0xf0 | rune >> 18));
        rc_buffer_byte(out, (uint8_t)(0x80 | (rune >> 12 & 63)));
        rc_buffer_byte(out, (uint8_t)(0x80 | (rune >> 6 & 63)));
    }
    rc_buffer_byte(out, (uint8_t)(0x80 | (rune & 63)));
}

/* The four digits after \u, with `at` on the first; moves behind them. */
static int take_hex4(struct rc_tokens *tokens, uint32_t *out)
{
    char digits[5] = {peek(tokens, 0), peek(tokens, 1), peek(tokens, 2), peek(tokens, 3)};
    uint8_t bytes[2];

    if (rc_text_from_hex(digits, 2, bytes) != RC_OK) {
        return fail(tokens, "\\u is followed by four hexadecimal digits");
    }
    tokens->at += 4;
    *out = (uint32_t)bytes[0] << 8 | bytes[1];
    return RC_OK;
}

static int take_unicode(struct rc_tokens *tokens)
{
    uint32_t rune = 0;
    uint32_t low = 0;
    int err = take_hex4(tokens, &rune);

    if (err != RC_OK) {
        return err;
    }
    if (rune >= 0xd800 && rune < 0xdc00) { /* RFC 8259 section 7: a pair of surrogates */
        if (peek(tokens, 0) == '\\' && peek(tokens, 1) == 'u') {
            tokens->at += 2;
            err = take_hex4(tokens, &low);
        }
        if (err != RC_OK || low < 0xdc00 || low > 0xdfff) {
            return fail(tokens, "half a surrogate pair is not a character");
        }
        rune = 0x10000 + ((rune - 0xd800) << 10) + (low - 0xdc00);
    }
    if (rune == 0 || (rune >= 0xdc00 && rune <= 0xdfff)) {
        return fail(tokens, "this is not a character");
    }
    put_rune(&tokens->content, rune);
    return RC_OK;
}

/* What stands behind a backslash. */
static int take_escape(struct rc_tokens *tokens)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    char letter = peek(tokens, 1);

    if (letter == 'u') {
        tokens->at += 2;
        return take_unicode(tokens);
    }
    const char *found = letter != '\0' ? strchr(letters, letter) : NULL;
    if (found == NULL) {
        return fail(tokens, "unknown escape; a backslash itself is written \\\\");
    }
    rc_buffer_byte(&tokens->content, (uint8_t)meanings[found - letters]);
    tokens->at += 2;
    return RC_OK;
}

static int finish_string(struct rc_tokens *tokens, struct rc_token *out)
{
    const struct rc_buffer *content = &tokens->content;

    if (content->err != RC_OK) {
        return RC_ENOMEM;
    }
    if (!rc_text_is_utf8(rc_buffer_string(content), content->size) ||
        memchr(rc_buffer_string(content), 0, content->size) != NULL) {
        return fail_at(tokens, out->line, out->column, "this text is not UTF-8");
    }
    out->type = RC_TOKEN_STRING;
    out->text = (struct rc_span){rc_buffer_string(content), content->size};
    return RC_OK;
}

static int take_string(struct rc_tokens *tokens, struct rc_token *out)
{
    int err = RC_OK;

    rc_buffer_clear(&tokens->content);
    tokens->at++;
    while (err == RC_OK && left(tokens) > 0 && *tokens->at != '"' &&
           *tokens->at != '\n') {
        if (*tokens->at == '\\') {
            err = take_escape(tokens);
        } else {
            rc_buffer_byte(&tokens->content, (uint8_t)*tokens->at);
            tokens->at++;
        }
    }
    if (err != RC_OK) {
        return err;
    }
    if (peek(tokens, 0) != '"') {
        return fail_at(tokens, out->line, out->column,
                       "this string is not closed on its line");
    }
    tokens->at++;
    return finish_string(tokens, out);
}

/* The next whole line without its end; moves behind it. */
static struct rc_span take_line(struct rc_tokens *tokens)
{
    const char *start = tokens->at;

    skip_line(tokens);
    struct rc_span line = since(tokens, start);
    if (left(tokens) > 0) {
        step(tokens);
    }
    if (line.size > 0 && line.at[line.size - 1] == '\r') {
        line.size--;
    }
    return line;
}

static size_t indentation(struct rc_span line)
{
    size_t size = 0;

    while (size < line.size && (line.at[size] == ' ' || line.at[size] == '\t')) {
        size++;
    }
    return size;
}

static bool is_closing(struct rc_span line, struct rc_span word)
{
    size_t skip = indentation(line);

    return line.size - skip == word.size &&
           memcmp(line.at + skip, word.at, word.size) == 0;
}

/* Finds how far every line up to `word` is indented at least. False: `word` never comes. */
static bool measure_heredoc(struct rc_tokens tokens, struct rc_span word, size_t *least)
{
    *least = SIZE_MAX;
    while (left(&tokens) > 0) {
        struct rc_span line = take_line(&tokens);
        if (is_closing(line, word)) {
            return true;
        }
        size_t size = indentation(line);
        if (size < line.size && size < *least) { /* empty lines do not count */
            *least = size;
        }
    }
    return false;
}

/* <<WORD or <<-WORD, lines, WORD on a line of its own. The second form drops the indentation
 * that all lines share. */
static int take_heredoc(struct rc_tokens *tokens, struct rc_token *out)
{
    size_t drop = 0;

    tokens->at += 2;
    bool is_indented = peek(tokens, 0) == '-';
    tokens->at += is_indented ? 1 : 0;
    struct rc_span word = take_line(tokens);
    if (word.size == 0 || !is_name_letter(word.at[0])) {
        return fail_at(tokens, out->line, out->column,
                       "<< is followed by a word, as <<EOF");
    }
    if (!measure_heredoc(*tokens, word, &drop)) {
        return fail_at(tokens, out->line, out->column,
                       "this heredoc is never closed by its word");
    }
    rc_buffer_clear(&tokens->content);
    for (;;) {
        struct rc_span line = take_line(tokens);
        if (is_closing(line, word)) {
            return finish_string(tokens, out);
        }
        size_t skip = is_indented ? drop : 0;
        skip = skip < line.size ? skip : line.size;
        rc_buffer_append(&tokens->content, line.at + skip, line.size - skip);
        rc_buffer_byte(&tokens->content, '\n');
    }
}

static int take_sign(struct rc_tokens *tokens, struct rc_token *out)
{
    static const char signs[] = "{}[],=:";
    const char *found = *tokens->at != '\0' ? strchr(signs, *tokens->at) : NULL;
    char message[64];

    if (found == NULL) {
        bool printable = *tokens->at > 0x20 && *tokens->at < 0x7f;
        (void)snprintf(message, sizeof message,
                       printable ? "unexpected character %c" : "unexpected byte 0x%02x",
                       (unsigned)(unsigned char)*tokens->at);
        return fail(tokens, message);
    }
    out->type = (enum rc_token_type)(RC_TOKEN_BRACE_OPEN + (found - signs));
    out->text = (struct rc_span){tokens->at, 1};
    tokens->at++;
    return RC_OK;
}

int rc_tokens_next(struct rc_tokens *tokens, struct rc_token *out)
{
    int err = skip_space(tokens);

    if (err != RC_OK) {
        return err;
    }
    *out = (struct rc_token){.line = tokens->line, .column = column(tokens)};
    if (left(tokens) == 0) {
        out->type = RC_TOKEN_END;
        return RC_OK;
    }
    char first = *tokens->at;
    if (first == '"') {
        return take_string(tokens, out);
    }
    if (first == '-' || is_digit(first)) {
        return take_number(tokens, out);
    }
    if (is_name_letter(first)) {
        take_name(tokens, out);
        return RC_OK;
    }
    if (first == '<' && peek(tokens, 1) == '<' &&
        tokens->comments == RC_COMMENTS_ALLOWED) {
        return take_heredoc(tokens, out);
    }
    return take_sign(tokens, out);
}
