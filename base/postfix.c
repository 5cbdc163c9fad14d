#include "base/postfix.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/err.h"

/* One parenthesis that is open. */
struct level {
    size_t atoms; /* not yet concatenated: 0, 1 or 2 */
    size_t alternatives;
    size_t start; /* where its postfix begins: it is one atom of the level above */
};

struct reader {
    struct postfix *out;
    const char *at;
    const char *why;
    int err;
    bool ignore_case;
    bool dot_takes_lines;
    struct level levels[RC_PATTERN_DEPTH_MAX];
    size_t depth;
    size_t last_atom; /* where the postfix of the last atom begins */
};

static void fail(struct reader *r, int err, const char *why)
{
    if (r->err == RC_OK) {
        r->err = err;
        r->why = why;
    }
}

static void emit(struct reader *r, enum step_kind kind, uint16_t set)
{
    if (r->out->step_count == RC_PATTERN_STEPS_MAX) {
        fail(r, RC_ETOOBIG, "expression too large");
        return;
    }
    r->out->steps[r->out->step_count++] = (struct step){kind, set};
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte behind a backslash; steps over it. -1 and failed when it is none. */
static int read_escape(struct reader *r)
{
    static const char names[] = "ntrfv";
    static const char bytes[] = "\n\t\r\f\v";
    char c = *r->at;
    const char *name = c != '\0' ? strchr(names, c) : NULL;

    if (c == '\0') {
        fail(r, RC_EMALFORMED, "trailing backslash at end of expression");
        return -1;
    }
    r->at++;
    if (name != NULL) {
        return (unsigned char)bytes[name - names];
    }
    if (c == 'x') {
        int high = hex_value(r->at[0]);
        int low = high >= 0 ? hex_value(r->at[1]) : -1;
        if (low < 0) {
            fail(r, RC_EMALFORMED, "invalid escape sequence");
            return -1;
        }
        r->at += 2;
        return high * 16 + low;
    }
    if (isalnum((unsigned char)c)) {
        fail(r, RC_EMALFORMED, "invalid escape sequence");
        return -1;
    }
    return (unsigned char)c;
}

/* "[:alpha:]" inside brackets. False when there is none; steps over it otherwise. */
static bool read_named_set(struct reader *r, struct byte_set *set)
{
    static const struct {
        const char *name;
        int (*has)(int);
    } named[] = {
        {"[:alnum:]", isalnum}, {"[:alpha:]", isalpha},   {"[:digit:]", isdigit},
        {"[:lower:]", islower}, {"[:upper:]", isupper},   {"[:space:]", isspace},
        {"[:punct:]", ispunct}, {"[:xdigit:]", isxdigit},
    };

    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++) {
        size_t size = strlen(named[i].name);
        if (strncmp(r->at, named[i].name, size) == 0) {
            byte_set_add_class(set, named[i].has);
            r->at += size;
            return true;
        }
    }
    return false;
}

/* One byte as the end of a range, or a whole set such as \d (then -1). */
static int read_member(struct reader *r, struct byte_set *set)
{
    struct byte_set letter = {{0}};

    if (*r->at != '\\') {
        return (unsigned char)*r->at++;
    }
    r->at++;
    if (byte_set_add_letter(*r->at, &letter)) {
        r->at++;
        byte_set_add_all(set, &letter);
        return -1;
    }
    return read_escape(r);
}

static void read_range(struct reader *r, struct byte_set *set)
{
    int from = read_member(r, set);

    if (from < 0) {
        return;
    }
    int to = from;
    if (r->at[0] == '-' && r->at[1] != ']' && r->at[1] != '\0') {
        r->at++;
        to = read_member(r, set);
    }
    if (to < from) {
        fail(r, RC_EMALFORMED, "invalid character class range");
        return;
    }
    byte_set_add_range(set, (unsigned)from, (unsigned)to);
}

/* What stands between brackets; the opening one is behind us. */
static void read_brackets(struct reader *r, struct byte_set *set)
{
    bool inverted = *r->at == '^';
    bool is_first = true;

    r->at += inverted ? 1 : 0;
    while (r->err == RC_OK && (*r->at != ']' || is_first)) {
        if (*r->at == '\0') {
            fail(r, RC_EMALFORMED, "missing closing ]");
            return;
        }
        is_first = false;
        if (!read_named_set(r, set)) {
            read_range(r, set);
        }
    }
    r->at++;
    if (r->ignore_case) {
        byte_set_ignore_case(set);
    }
    if (inverted) {
        byte_set_invert(set);
    }
}

/* ---- Atoms and operators, to postfix. */

static struct level *top(struct reader *r)
{
    return &r->levels[r->depth];
}

static void begin_atom(struct reader *r)
{
    if (top(r)->atoms > 1) {
        top(r)->atoms--;
        emit(r, STEP_CONCATENATE, 0);
    }
    r->last_atom = r->out->step_count;
}

static void emit_set(struct reader *r, const struct byte_set *set)
{
    if (r->out->set_count == POSTFIX_SETS_MAX) {
        fail(r, RC_ETOOBIG, "expression too large");
        return;
    }
    begin_atom(r);
    r->out->sets[r->out->set_count] = *set;
    emit(r, STEP_SET, (uint16_t)r->out->set_count++);
    top(r)->atoms++;
}

static void emit_assertion(struct reader *r, enum step_kind kind)
{
    begin_atom(r);
    emit(r, kind, 0);
    top(r)->atoms++;
}

static void emit_byte(struct reader *r, int byte)
{
    struct byte_set set = {{0}};

    if (byte >= 0) {
        byte_set_add(&set, (unsigned char)byte);
        if (r->ignore_case) {
            byte_set_ignore_case(&set);
        }
        emit_set(r, &set);
    }
}

static void close_alternatives(struct reader *r)
{
    if (top(r)->atoms == 0) {
        emit(r, STEP_EMPTY, 0);
        top(r)->atoms = 1;
    }
    if (top(r)->atoms > 1) {
        emit(r, STEP_CONCATENATE, 0);
        top(r)->atoms = 1;
    }
}

static void read_or(struct reader *r)
{
    close_alternatives(r);
    top(r)->atoms = 0;
    top(r)->alternatives++;
}

static void read_open(struct reader *r)
{
    if (r->at[0] == '?') {
        bool plain = r->at[1] == ':';
        bool named = strncmp(r->at, "?P<", 3) == 0 && strchr(r->at, '>') != NULL;
        if (!plain && !named) {
            fail(r, RC_EMALFORMED, "invalid or unsupported Perl syntax");
            return;
        }
        r->at = plain ? r->at + 2 : strchr(r->at, '>') + 1;
    }
    if (r->depth + 1 == RC_PATTERN_DEPTH_MAX) {
        fail(r, RC_ETOOBIG, "expression nests too deeply");
        return;
    }
    begin_atom(r);
    r->depth++;
    *top(r) = (struct level){.start = r->out->step_count};
}

static void emit_alternatives(struct reader *r)
{
    for (size_t i = 0; i < top(r)->alternatives; i++) {
        emit(r, STEP_OR, 0);
    }
}

static void read_close(struct reader *r)
{
    if (r->depth == 0) {
        fail(r, RC_EMALFORMED, "unexpected )");
        return;
    }
    close_alternatives(r);
    emit_alternatives(r);
    r->last_atom = top(r)->start;
    r->depth--;
    top(r)->atoms++;
}

/* Appends a copy of `count` steps that begin at `from`. */
static void copy_steps(struct reader *r, const struct step *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        emit(r, from[i].kind, from[i].set);
    }
}

/* x{2,4} is x x (x (x)?)?; x{2,} is x x x*. The atom is the end of the postfix. */
static void repeat(struct reader *r, unsigned least, unsigned most, bool is_open)
{
    struct step atom[RC_PATTERN_STEPS_MAX];
    size_t size = r->out->step_count - r->last_atom;

    memcpy(atom, r->out->steps + r->last_atom, size * sizeof atom[0]);
    r->out->step_count = r->last_atom;
    size_t parts = 0;
    for (unsigned i = 0; i < least && r->err == RC_OK; i++, parts++) {
        copy_steps(r, atom, size);
    }
    if (is_open) {
        copy_steps(r, atom, size);
        emit(r, STEP_STAR, 0);
        parts++;
    }
    for (unsigned i = least; !is_open && i < most && r->err == RC_OK; i++) {
        copy_steps(r, atom, size);
    }
    for (unsigned i = least; !is_open && i < most && r->err == RC_OK; i++) {
        emit(r, STEP_MAYBE, 0);
        if (i + 1 < most) {
            emit(r, STEP_CONCATENATE, 0);
        }
    }
    parts += !is_open && most > least ? 1 : 0;
    for (size_t i = 1; i < parts && r->err == RC_OK; i++) {
        emit(r, STEP_CONCATENATE, 0);
    }
    if (parts == 0) {
        emit(r, STEP_EMPTY, 0);
    }
}

static bool read_number(struct reader *r, unsigned *out)
{
    unsigned value = 0;

    if (!isdigit((unsigned char)*r->at)) {
        return false;
    }
    while (isdigit((unsigned char)*r->at)) {
        value = value * 10 + (unsigned)(*r->at++ - '0');
        if (value > POSTFIX_REPEAT_MAX) {
            fail(r, RC_EMALFORMED, "invalid repeat count");
            return false;
        }
    }
    *out = value;
    return true;
}

/* "{n}", "{n,}", "{n,m}"; anything else in braces is literal text, as in RE2. */
static bool read_repeat(struct reader *r)
{
    const char *begin = r->at;
    unsigned least = 0;
    unsigned most = 0;
    bool is_open = false;

    r->at++;
    bool is_repeat = read_number(r, &least);
    most = least;
    if (is_repeat && *r->at == ',') {
        r->at++;
        is_open = *r->at == '}';
        is_repeat = is_open || read_number(r, &most);
    }
    if (!is_repeat || *r->at != '}' || r->err != RC_OK) {
        r->at = begin;
        return false;
    }
    r->at++;
    if (!is_open && most < least) {
        fail(r, RC_EMALFORMED, "invalid repeat count");
        return true;
    }
    repeat(r, least, most, is_open);
    return true;
}

/* `*`, `+`, `?`, `{...}` and a `?` behind them, which changes nothing for searching. True if
 * there was one. */
static bool read_operator(struct reader *r)
{
    enum step_kind kind = STEP_STAR;

    switch (*r->at) {
    case '*':
        break;
    case '+':
        kind = STEP_PLUS;
        break;
    case '?':
        kind = STEP_MAYBE;
        break;
    case '{':
        if (top(r)->atoms == 0 || !read_repeat(r)) {
            return false;
        }
        r->at += *r->at == '?' ? 1 : 0;
        return true;
    default:
        return false;
    }
    if (top(r)->atoms == 0) {
        fail(r, RC_EMALFORMED, "missing argument to repetition operator");
        return true;
    }
    emit(r, kind, 0);
    r->at++;
    r->at += *r->at == '?' ? 1 : 0;
    return true;
}

static void read_backslash(struct reader *r)
{
    static const struct {
        char letter;
        enum step_kind kind;
    } edges[] = {
        {'b', STEP_WORD_EDGE},
        {'B', STEP_NO_WORD_EDGE},
        {'A', STEP_BEGIN},
        {'z', STEP_END},
    };
    struct byte_set set = {{0}};

    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
        if (*r->at == edges[i].letter) {
            r->at++;
            emit_assertion(r, edges[i].kind);
            return;
        }
    }
    if (byte_set_add_letter(*r->at, &set)) {
        r->at++;
        emit_set(r, &set);
    } else {
        emit_byte(r, read_escape(r));
    }
}

static void read_atom(struct reader *r)
{
    struct byte_set set = {{0}};
    char c = *r->at++;

    switch (c) {
    case '.':
        if (!r->dot_takes_lines) {
            byte_set_add(&set, '\n');
        }
        byte_set_invert(&set);
        emit_set(r, &set);
        break;
    case '[':
        read_brackets(r, &set);
        emit_set(r, &set);
        break;
    case '\\':
        read_backslash(r);
        break;
    case '^':
        emit_assertion(r, STEP_BEGIN);
        break;
    case '$':
        emit_assertion(r, STEP_END);
        break;
    case '(':
        read_open(r);
        break;
    case ')':
        read_close(r);
        break;
    case '|':
        read_or(r);
        break;
    default:
        emit_byte(r, (unsigned char)c);
        break;
    }
}

static void read_flags(struct reader *r)
{
    const char *at = r->at;

    if (strncmp(at, "(?", 2) != 0) {
        return;
    }
    at += 2;
    size_t size = strspn(at, "is");
    if (size > 0 && at[size] == ')') {
        r->ignore_case = memchr(at, 'i', size) != NULL;
        r->dot_takes_lines = memchr(at, 's', size) != NULL;
        r->at = at + size + 1;
    }
}

static void read_pattern(struct reader *r)
{
    read_flags(r);
    while (*r->at != '\0' && r->err == RC_OK) {
        if (!read_operator(r)) {
            read_atom(r);
        }
    }
    if (r->err == RC_OK && r->depth > 0) {
        fail(r, RC_EMALFORMED, "missing closing )");
    }
    close_alternatives(r);
    emit_alternatives(r);
}

int postfix_read(const char *text, struct postfix *out, const char **why)
{
    struct reader r = {.at = text, .out = out};

    read_pattern(&r);
    *why = r.why;
    return r.err;
}
