#include "agent/template/template_word.h"

#include <string.h>

#include "base/err.h"

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_' ||
           (byte & 0x80) != 0;
}

static bool begins(const struct template_words *w, size_t at, const char *with)
{
    size_t size = strlen(with);

    return w->text.size - at >= size && memcmp(w->text.at + at, with, size) == 0;
}

/* Where `what` stands at or after `at`; the end of the text if nowhere. */
static size_t find(const struct template_words *w, size_t at, const char *what)
{
    const char *found = memmem(w->text.at + at, w->text.size - at, what, strlen(what));

    return found != NULL ? (size_t)(found - w->text.at) : w->text.size;
}

/* Counts lines up to `at`; every byte of the text is looked at once. */
static struct template_spot spot_of(struct template_words *w, size_t at)
{
    if (w->place.line == 0) {
        w->place = (struct template_spot){1, 1};
    }
    for (; w->counted < at; w->counted++) {
        if (w->text.at[w->counted] == '\n') {
            w->place.line++;
            w->place.column = 1;
        } else {
            w->place.column++;
        }
    }
    return w->place;
}

static void take(struct template_words *w, enum template_word_kind kind, size_t size,
                 struct template_word *out)
{
    out->kind = kind;
    out->place = spot_of(w, w->at);
    out->text = (struct rc_span){w->text.at + w->at, size};
    w->at += size;
}

/* A trim marker is a minus with space on its inner side. */
static bool trims_before(const struct template_words *w, size_t at)
{
    return w->text.size - at >= 2 && w->text.at[at] == '-' &&
           is_space(w->text.at[at + 1]);
}

/* The size of what closes an action at `at`, its trim marker with it; 0: nothing does. */
static size_t closing(const struct template_words *w, size_t at, bool *trims)
{
    *trims = at > 0 && is_space(w->text.at[at - 1]) && at < w->text.size &&
             w->text.at[at] == '-' && begins(w, at + 1, w->right);
    if (*trims) {
        return 1 + strlen(w->right);
    }
    return begins(w, at, w->right) ? strlen(w->right) : 0;
}

/* A comment stands alone between its delimiters. True: one was skipped. */
static bool skip_comment(struct template_words *w, size_t at, int *err, const char **why)
{
    bool trims = false;

    if (!begins(w, at, "/*")) {
        return false;
    }
    size_t end = find(w, at + 2, "*/");
    if (end == w->text.size) {
        *why = "this comment does not end";
        *err = RC_EMALFORMED;
        return true;
    }
    end += 2;
    size_t after = end;
    while (after < w->text.size && is_space(w->text.at[after])) {
        after++;
    }
    size_t size = closing(w, after, &trims);
    if (size == 0 || (after > end && !trims)) {
        *why = "a comment is closed at once, and stands alone: {{/* ... */}}";
        *err = RC_EMALFORMED;
        return true;
    }
    w->at = after + size;
    w->trims_next = trims;
    return true;
}

/* What a trim marker behind has left of the text that comes. */
static void skip_trimmed(struct template_words *w)
{
    while (w->trims_next && w->at < w->text.size && is_space(w->text.at[w->at])) {
        w->at++;
    }
    w->trims_next = false;
}

/* Takes the text before an action that begins at `open`, if there is any. */
static bool take_text(struct template_words *w, size_t open, bool trims,
                      struct template_word *out)
{
    size_t end = open;

    while (trims && end > w->at && is_space(w->text.at[end - 1])) {
        end--;
    }
    if (end > w->at) {
        take(w, WORD_TEXT, end - w->at, out);
        return true;
    }
    w->at = open;
    return false;
}

/* Text up to the next action, and the action's beginning. */
static int next_outside(struct template_words *w, struct template_word *out,
                        const char **why)
{
    int err = RC_OK;

    while (err == RC_OK) {
        skip_trimmed(w);
        size_t open = find(w, w->at, w->left);
        size_t inner = open + strlen(w->left);
        bool trims = open < w->text.size && trims_before(w, inner);
        if (take_text(w, open, trims, out)) {
            return RC_OK;
        }
        out->place = spot_of(w, open);
        if (open == w->text.size) {
            take(w, WORD_END, 0, out);
            return RC_OK;
        }
        if (!skip_comment(w, inner + (trims ? 2 : 0), &err, why)) {
            take(w, WORD_OPEN, strlen(w->left) + (trims ? 1 : 0), out);
            w->is_inside = true;
            return RC_OK;
        }
    }
    return err;
}

/* The size of the string at w->at; 0: it does not end. */
static size_t string_size(const struct template_words *w, char quote)
{
    for (size_t at = w->at + 1; at < w->text.size; at++) {
        char byte = w->text.at[at];
        if (byte == quote) {
            return at + 1 - w->at;
        }
        if (quote == '"' && byte == '\n') {
            return 0;
        }
        if (quote == '"' && byte == '\\') {
            at++;
        }
    }
    return 0;
}

static size_t name_size(const struct template_words *w, size_t at)
{
    size_t size = 0;

    while (at + size < w->text.size &&
           (is_letter(w->text.at[at + size]) || is_digit(w->text.at[at + size]))) {
        size++;
    }
    return size;
}

static size_t number_size(const struct template_words *w)
{
    size_t at = w->at;

    while (at < w->text.size && (is_digit(w->text.at[at]) || is_letter(w->text.at[at]) ||
                                 w->text.at[at] == '.' ||
                                 ((w->text.at[at] == '-' || w->text.at[at] == '+') &&
                                  (at == w->at || (w->text.at[at - 1] | 0x20) == 'e')))) {
        at++;
    }
    return at - w->at;
}

static int next_string(struct template_words *w, struct template_word *out,
                       const char **why)
{
    size_t size = string_size(w, w->text.at[w->at]);

    out->place = spot_of(w, w->at);
    if (size == 0) {
        *why = "this string does not end";
        return RC_EMALFORMED;
    }
    take(w, WORD_STRING, size, out);
    return RC_OK;
}

static int next_dotted(struct template_words *w, struct template_word *out)
{
    size_t size = name_size(w, w->at + 1);

    if (size > 0 && is_digit(w->text.at[w->at + 1])) {
        take(w, WORD_NUMBER, number_size(w), out);
        return RC_OK;
    }
    take(w, size > 0 ? WORD_FIELD : WORD_DOT, size + 1, out);
    if (size > 0) {
        out->text.at++;
        out->text.size--;
    }
    return RC_OK;
}

static int next_sign(struct template_words *w, struct template_word *out,
                     const char **why)
{
    static const struct {
        const char *text;
        enum template_word_kind kind;
    } signs[] = {
        {":=", WORD_DECLARE}, {"=", WORD_ASSIGN}, {"|", WORD_PIPE},
        {"(", WORD_LEFT},     {")", WORD_RIGHT},  {",", WORD_COMMA},
    };

    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        if (begins(w, w->at, signs[i].text)) {
            take(w, signs[i].kind, strlen(signs[i].text), out);
            return RC_OK;
        }
    }
    out->place = spot_of(w, w->at);
    *why =
        w->text.at[w->at] == '\''
            ? "single quotes are of characters, which are not known here: write \"...\""
            : "this sign means nothing here";
    return RC_EMALFORMED;
}

static int next_inside(struct template_words *w, struct template_word *out,
                       const char **why)
{
    bool trims = false;
    size_t start = w->at;

    while (w->at < w->text.size && is_space(w->text.at[w->at])) {
        w->at++;
    }
    out->is_apart = w->at > start;
    if (w->at == w->text.size) {
        out->place = spot_of(w, w->at);
        *why = "this action does not end";
        return RC_EMALFORMED;
    }
    size_t size = closing(w, w->at, &trims);
    if (size > 0) {
        take(w, WORD_CLOSE, size, out);
        w->trims_next = trims;
        w->is_inside = false;
        return RC_OK;
    }
    char byte = w->text.at[w->at];
    if (byte == '"' || byte == '`') {
        return next_string(w, out, why);
    }
    if (byte == '.') {
        return next_dotted(w, out);
    }
    if (byte == '$') {
        take(w, WORD_VARIABLE, 1 + name_size(w, w->at + 1), out);
        return RC_OK;
    }
    if (is_letter(byte)) {
        take(w, WORD_NAME, name_size(w, w->at), out);
        return RC_OK;
    }
    if (is_digit(byte) || byte == '-' || byte == '+') {
        take(w, WORD_NUMBER, number_size(w), out);
        return RC_OK;
    }
    return next_sign(w, out, why);
}

int template_words_next(struct template_words *words, struct template_word *out,
                        const char **why)
{
    *out = (struct template_word){.kind = WORD_END};
    return words->is_inside ? next_inside(words, out, why)
                            : next_outside(words, out, why);
}

/* ---- Strings. */

static size_t put_utf8(uint32_t code, char *space)
{
    if (code < 0x80) {
        space[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        space[0] = (char)(0xc0 | (code >> 6));
        space[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        space[0] = (char)(0xe0 | (code >> 12));
        space[1] = (char)(0x80 | ((code >> 6) & 0x3f));
        space[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    space[0] = (char)(0xf0 | (code >> 18));
    space[1] = (char)(0x80 | ((code >> 12) & 0x3f));
    space[2] = (char)(0x80 | ((code >> 6) & 0x3f));
    space[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

/* The value of a digit of any base; 99 if it is none. */
static unsigned digit_of(char byte)
{
    if (is_digit(byte)) {
        return (unsigned)(byte - '0');
    }
    char lower = (char)(byte | 0x20);
    return lower >= 'a' && lower <= 'f' ? (unsigned)(lower - 'a') + 10 : 99;
}

/* \xHH, \uHHHH, \UHHHHHHHH and \OOO at `*at`, which is behind the letter (of octals, at the
 * first digit). */
static bool read_code(struct rc_span word, size_t *at, size_t digits, unsigned base,
                      uint32_t *out)
{
    *out = 0;
    for (size_t i = 0; i < digits; i++, (*at)++) {
        unsigned digit = *at < word.size ? digit_of(word.at[*at]) : 99;
        if (digit >= base) {
            return false;
        }
        *out = *out * base + digit;
    }
    return true;
}

/* The escape behind a backslash at `*at`. Returns how many bytes it gave; 0: it is none. */
static size_t unescape(struct rc_span word, size_t *at, char *space)
{
    static const char names[] = "abfnrtv\\\"";
    static const char meanings[] = "\a\b\f\n\r\t\v\\\"";
    char byte = word.at[*at];
    uint32_t code = 0;
    const char *name = byte != '\0' ? strchr(names, byte) : NULL;

    if (name != NULL) {
        (*at)++;
        space[0] = meanings[name - names];
        return 1;
    }
    bool is_octal = byte >= '0' && byte <= '7';
    size_t digits = is_octal      ? 3
                    : byte == 'x' ? 2
                    : byte == 'u' ? 4
                    : byte == 'U' ? 8
                                  : 0;
    *at += is_octal ? 0 : 1;
    if (digits == 0 || !read_code(word, at, digits, is_octal ? 8 : 16, &code)) {
        return 0;
    }
    if (digits < 4) {
        space[0] = (char)code;
        return code <= 0xff ? 1 : 0;
    }
    bool is_character = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
    return is_character ? put_utf8(code, space) : 0;
}

long template_word_unquote(struct rc_span word, char *space)
{
    size_t size = 0;

    if (word.at[0] == '`') { /* Go drops carriage returns of raw strings */
        for (size_t i = 1; i + 1 < word.size; i++) {
            if (word.at[i] != '\r') {
                space[size++] = word.at[i];
            }
        }
        return (long)size;
    }
    for (size_t at = 1; at + 1 < word.size;) {
        if (word.at[at] != '\\') {
            space[size++] = word.at[at++];
            continue;
        }
        at++;
        size_t gave = unescape(word, &at, space + size);
        if (gave == 0) {
            return RC_EMALFORMED;
        }
        size += gave;
    }
    return (long)size;
}
