#include "agent/http/pattern.h"

#include <assert.h>
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

/* A pattern goes through two forms. Postfix: operators behind their operands, so `{n,m}` is
 * copying a range. Then the program: each postfix entry becomes at most one instruction. */
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
    STEP_SPLIT, /* program only: both ways */
    STEP_FOUND, /* program only */
};

enum { SETS_MAX = 256, REPEAT_MAX = 1000 };

struct byte_set {
    uint8_t bits[32];
};

struct step {
    enum step_kind kind;
    uint16_t set;
};

struct instruction {
    enum step_kind kind;
    uint16_t set;
    int next; /* -1: not yet known */
    int other;
};

struct pattern {
    struct byte_set sets[SETS_MAX];
    size_t set_count;
    struct step steps[PATTERN_STEPS_MAX];
    size_t step_count;
    struct instruction program[PATTERN_STEPS_MAX + 1];
    int program_size;
    int start;
    /* For matching: two lists of states, and in which round each was put in. */
    int now[PATTERN_STEPS_MAX + 1];
    int soon[PATTERN_STEPS_MAX + 1];
    int pending[2 * PATTERN_STEPS_MAX + 2];
    uint32_t round_of[PATTERN_STEPS_MAX + 1];
    uint32_t round;
};

/* One parenthesis that is open. */
struct level {
    size_t atoms; /* not yet concatenated: 0, 1 or 2 */
    size_t alternatives;
    size_t start; /* where its postfix begins: it is one atom of the level above */
};

struct reader {
    struct pattern *pattern;
    const char *at;
    const char *why;
    int err;
    bool ignore_case;
    bool dot_takes_lines;
    struct level levels[PATTERN_DEPTH_MAX];
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
    if (r->pattern->step_count == PATTERN_STEPS_MAX) {
        fail(r, RC_ETOOBIG, "expression too large");
        return;
    }
    r->pattern->steps[r->pattern->step_count++] = (struct step){kind, set};
}

/* ---- Sets of bytes. */

static void set_add(struct byte_set *set, unsigned char byte)
{
    set->bits[byte / 8] |= (uint8_t)(1U << (byte % 8));
}

static bool set_has(const struct byte_set *set, unsigned char byte)
{
    return (set->bits[byte / 8] & (1U << (byte % 8))) != 0;
}

static void set_add_range(struct byte_set *set, unsigned from, unsigned to)
{
    for (unsigned byte = from; byte <= to; byte++) {
        set_add(set, (unsigned char)byte);
    }
}

static void set_invert(struct byte_set *set)
{
    for (size_t i = 0; i < sizeof set->bits; i++) {
        set->bits[i] = (uint8_t)~set->bits[i];
    }
}

static void set_add_all(struct byte_set *set, const struct byte_set *other)
{
    for (size_t i = 0; i < sizeof set->bits; i++) {
        set->bits[i] |= other->bits[i];
    }
}

static void set_ignore_case(struct byte_set *set)
{
    for (int i = 0; i < 26; i++) {
        unsigned char lower = (unsigned char)('a' + i);
        unsigned char upper = (unsigned char)('A' + i);
        if (set_has(set, lower) || set_has(set, upper)) {
            set_add(set, lower);
            set_add(set, upper);
        }
    }
}

static bool is_word(int byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= 'a' && byte <= 'z') || byte == '_';
}

/* The set of \d, \w, \s or, in capitals, its opposite. False for another letter. */
static bool set_of_letter(char letter, struct byte_set *set)
{
    switch (letter) {
    case 'd':
    case 'D':
        set_add_range(set, '0', '9');
        break;
    case 'w':
    case 'W':
        set_add_range(set, '0', '9');
        set_add_range(set, 'A', 'Z');
        set_add_range(set, 'a', 'z');
        set_add(set, '_');
        break;
    case 's':
    case 'S':
        set_add_range(set, '\t', '\n');
        set_add_range(set, '\f', '\r');
        set_add(set, ' ');
        break;
    default:
        return false;
    }
    if (letter < 'a') {
        set_invert(set);
    }
    return true;
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

/* ASCII, whatever the locale. */
static void set_add_class(struct byte_set *set, int (*has)(int))
{
    for (int c = 0; c < 128; c++) {
        if (has(c)) {
            set_add(set, (unsigned char)c);
        }
    }
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
            set_add_class(set, named[i].has);
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
    if (set_of_letter(*r->at, &letter)) {
        r->at++;
        set_add_all(set, &letter);
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
    set_add_range(set, (unsigned)from, (unsigned)to);
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
        set_ignore_case(set);
    }
    if (inverted) {
        set_invert(set);
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
    r->last_atom = r->pattern->step_count;
}

static void emit_set(struct reader *r, const struct byte_set *set)
{
    if (r->pattern->set_count == SETS_MAX) {
        fail(r, RC_ETOOBIG, "expression too large");
        return;
    }
    begin_atom(r);
    r->pattern->sets[r->pattern->set_count] = *set;
    emit(r, STEP_SET, (uint16_t)r->pattern->set_count++);
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
        set_add(&set, (unsigned char)byte);
        if (r->ignore_case) {
            set_ignore_case(&set);
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
    if (r->depth + 1 == PATTERN_DEPTH_MAX) {
        fail(r, RC_ETOOBIG, "expression nests too deeply");
        return;
    }
    begin_atom(r);
    r->depth++;
    *top(r) = (struct level){.start = r->pattern->step_count};
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
    struct step atom[PATTERN_STEPS_MAX];
    size_t size = r->pattern->step_count - r->last_atom;

    memcpy(atom, r->pattern->steps + r->last_atom, size * sizeof atom[0]);
    r->pattern->step_count = r->last_atom;
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
        if (value > REPEAT_MAX) {
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
    if (set_of_letter(*r->at, &set)) {
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
            set_add(&set, '\n');
        }
        set_invert(&set);
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

/* ---- Postfix to program. A fragment has one entry, and exits chained through the fields
 * that are not yet known: `next` and `other` of instructions, told apart by sign. */

struct fragment {
    int start;
    int exits; /* first of the chain: +i is `next` of i-1, -i is `other`; 0 ends it */
};

static int *exit_field(struct pattern *p, int exit)
{
    size_t at = (size_t)abs(exit);

    assert(at > 0 && at <= PATTERN_STEPS_MAX + 1);
    return exit > 0 ? &p->program[at - 1].next : &p->program[at - 1].other;
}

static void connect(struct pattern *p, int exits, int target)
{
    while (exits != 0) {
        int *field = exit_field(p, exits);
        exits = *field;
        *field = target;
    }
}

static int append(struct pattern *p, int exits, int more)
{
    int at = exits;

    while (*exit_field(p, at) != 0) {
        at = *exit_field(p, at);
    }
    *exit_field(p, at) = more;
    return exits;
}

static int add(struct pattern *p, enum step_kind kind, uint16_t set)
{
    p->program[p->program_size] = (struct instruction){.kind = kind, .set = set};
    return p->program_size++;
}

/* The loops and options: a split in front of or behind `f`. */
static struct fragment build_repeat(struct pattern *p, enum step_kind kind,
                                    struct fragment f)
{
    int split = add(p, STEP_SPLIT, 0);

    p->program[split].next = f.start;
    if (kind == STEP_MAYBE) {
        return (struct fragment){split, append(p, f.exits, -(split + 1))};
    }
    connect(p, f.exits, split);
    return (struct fragment){kind == STEP_PLUS ? f.start : split, -(split + 1)};
}

static struct fragment build_or(struct pattern *p, struct fragment a, struct fragment b)
{
    int split = add(p, STEP_SPLIT, 0);

    p->program[split].next = a.start;
    p->program[split].other = b.start;
    return (struct fragment){split, append(p, a.exits, b.exits)};
}

static void build(struct pattern *p)
{
    struct fragment stack[PATTERN_STEPS_MAX];
    size_t count = 0;

    for (size_t i = 0; i < p->step_count; i++) {
        const struct step *step = &p->steps[i];
        if (step->kind == STEP_CONCATENATE) {
            assert(count >= 2);
            count--;
            connect(p, stack[count - 1].exits, stack[count].start);
            stack[count - 1].exits = stack[count].exits;
        } else if (step->kind == STEP_OR) {
            assert(count >= 2);
            count--;
            stack[count - 1] = build_or(p, stack[count - 1], stack[count]);
        } else if (step->kind == STEP_STAR || step->kind == STEP_PLUS ||
                   step->kind == STEP_MAYBE) {
            assert(count >= 1);
            stack[count - 1] = build_repeat(p, step->kind, stack[count - 1]);
        } else {
            int at = add(p, step->kind, step->set);
            stack[count++] = (struct fragment){at, at + 1};
        }
    }
    assert(count == 1);
    p->start = stack[0].start;
    connect(p, stack[0].exits, add(p, STEP_FOUND, 0));
}

int pattern_compile(const char *text, struct pattern **out, const char **why)
{
    struct reader r = {.at = text};

    if (strlen(text) > PATTERN_BYTES_MAX) {
        *why = "expression too large";
        return RC_ETOOBIG;
    }
    r.pattern = calloc(1, sizeof *r.pattern);
    if (r.pattern == NULL) {
        return RC_ENOMEM;
    }
    read_pattern(&r);
    if (r.err != RC_OK) {
        *why = r.why;
        free(r.pattern);
        return r.err;
    }
    build(r.pattern);
    *out = r.pattern;
    return RC_OK;
}

void pattern_destroy(struct pattern *pattern)
{
    free(pattern);
}

/* ---- Matching. */

struct place {
    int before; /* the byte before, -1 at the start */
    int after;  /* the byte after, -1 at the end */
};

static bool holds(enum step_kind kind, struct place place)
{
    bool is_edge = is_word(place.before) != is_word(place.after);

    switch (kind) {
    case STEP_BEGIN:
        return place.before < 0;
    case STEP_END:
        return place.after < 0;
    case STEP_WORD_EDGE:
        return is_edge;
    case STEP_NO_WORD_EDGE:
        return !is_edge;
    case STEP_EMPTY:
        return true;
    case STEP_SET:
    case STEP_CONCATENATE:
    case STEP_OR:
    case STEP_STAR:
    case STEP_PLUS:
    case STEP_MAYBE:
    case STEP_SPLIT:
    case STEP_FOUND:
        break;
    }
    return false;
}

/* Puts `state` and what it reaches without a byte into `list`. True if the end is among it. */
static bool reach(struct pattern *p, int state, struct place place, int *list,
                  size_t *count)
{
    size_t waiting = 0;

    p->pending[waiting++] = state;
    while (waiting > 0) {
        int at = p->pending[--waiting];
        const struct instruction *instruction = &p->program[at];
        if (p->round_of[at] == p->round) {
            continue;
        }
        p->round_of[at] = p->round;
        if (instruction->kind == STEP_FOUND) {
            return true;
        }
        if (instruction->kind == STEP_SET) {
            list[(*count)++] = at;
        } else if (instruction->kind == STEP_SPLIT) {
            p->pending[waiting++] = instruction->other;
            p->pending[waiting++] = instruction->next;
        } else if (holds(instruction->kind, place)) {
            p->pending[waiting++] = instruction->next;
        }
    }
    return false;
}

bool pattern_is_in(struct pattern *p, const char *text, size_t size)
{
    int *now = p->now;
    int *soon = p->soon;
    size_t now_count = 0;

    p->round = 0;
    memset(p->round_of, 0, sizeof p->round_of);
    for (size_t i = 0; i <= size; i++) {
        struct place place = {
            .before = i > 0 ? (unsigned char)text[i - 1] : -1,
            .after = i < size ? (unsigned char)text[i] : -1,
        };
        size_t soon_count = 0;
        p->round++;
        for (size_t s = 0; s < now_count; s++) {
            const struct instruction *instruction = &p->program[now[s]];
            if (set_has(&p->sets[instruction->set], (unsigned char)place.before) &&
                reach(p, instruction->next, place, soon, &soon_count)) {
                return true;
            }
        }
        if (reach(p, p->start, place, soon, &soon_count)) { /* it may begin anywhere */
            return true;
        }
        int *other = now;
        now = soon;
        soon = other;
        now_count = soon_count;
    }
    return false;
}
