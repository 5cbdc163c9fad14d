#include "agent/http/filter.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/pattern.h"
#include "base/text.h"

enum {
    PARTS_MAX = 8,    /* of a selector */
    STEPS_MAX = 4,    /* from the object to the value selected */
    NESTING_MAX = 32, /* parentheses and `not` */
    CODE_MAX = 4 * FILTER_TERMS_MAX,
    MATCHED_MAX = 4096, /* bytes of a value that a regular expression looks at */
};

enum operation {
    OPERATION_EQUAL,
    OPERATION_NOT_EQUAL,
    OPERATION_IN,
    OPERATION_NOT_IN,
    OPERATION_EMPTY,
    OPERATION_NOT_EMPTY,
    OPERATION_MATCHES,
    OPERATION_NOT_MATCHES,
    OPERATION_COUNT
};

/* The words of the error texts, and what an operation says of a map entry that is missing. */
static const struct {
    const char *name;
    bool if_missing;
} operations[OPERATION_COUNT] = {
    [OPERATION_EQUAL] = {"Equal", false},
    [OPERATION_NOT_EQUAL] = {"Not Equal", true},
    [OPERATION_IN] = {"In", false},
    [OPERATION_NOT_IN] = {"Not In", true},
    [OPERATION_EMPTY] = {"Is Empty", true},
    [OPERATION_NOT_EMPTY] = {"Is Not Empty", false},
    [OPERATION_MATCHES] = {"Matches", true},
    [OPERATION_NOT_MATCHES] = {"Not Matches", true},
};

#define BIT(operation) (1U << (operation))
#define EQUALITY       (BIT(OPERATION_EQUAL) | BIT(OPERATION_NOT_EQUAL))
#define MEMBERSHIP     (BIT(OPERATION_IN) | BIT(OPERATION_NOT_IN))
#define EMPTINESS      (BIT(OPERATION_EMPTY) | BIT(OPERATION_NOT_EMPTY))
#define MATCHING       (BIT(OPERATION_MATCHES) | BIT(OPERATION_NOT_MATCHES))

static const unsigned allowed[FILTER_KIND_COUNT] = {
    [FILTER_STRING] = EQUALITY | MEMBERSHIP | MATCHING | EMPTINESS,
    [FILTER_NUMBER] = EQUALITY,
    [FILTER_BOOL] = EQUALITY,
    [FILTER_STRINGS] = MEMBERSHIP | EMPTINESS,
    [FILTER_PAIRS] = MEMBERSHIP | EMPTINESS,
    [FILTER_OBJECT] = 0,
    [FILTER_OBJECTS] = EMPTINESS,
    [FILTER_OBJECT_MAP] = MEMBERSHIP | EMPTINESS,
};

/* One step down; `key` picks an entry of a map. */
struct step {
    const struct filter_field *field;
    const char *key;
};

struct term {
    struct step steps[STEPS_MAX];
    size_t step_count;
    enum filter_kind kind; /* of what is selected; FILTER_STRING for an entry of pairs */
    enum operation operation;
    const char *text;
    int64_t number;
    struct rc_pattern *pattern;
};

/* What is evaluated, in postfix: numbers below CODE_NOT are terms. */
enum { CODE_NOT = FILTER_TERMS_MAX, CODE_AND, CODE_OR, CODE_OPEN };

struct filter {
    struct term terms[FILTER_TERMS_MAX];
    size_t term_count;
    uint8_t code[CODE_MAX];
    size_t code_count;
    char *arena; /* all strings of the expression */
};

/* ---- Tokens. */

enum token_kind {
    TOKEN_WORD,   /* a selector, a bare value or a keyword */
    TOKEN_VALUE,  /* quoted, or a number */
    TOKEN_SYMBOL, /* "==", "!=", "(", ")" */
    TOKEN_END
};

struct token {
    enum token_kind kind;
    const char *text;
    const char *parts[PARTS_MAX]; /* of a word */
    size_t part_count;
    size_t at; /* offset in the expression */
};

struct parser {
    const char *text;
    const char *at;
    const struct filter_schema *schema;
    struct filter *filter;
    char *arena_at;
    struct token token; /* the next one */
    uint8_t stack[NESTING_MAX];
    size_t stack_count;
    int err;
    char *error;
};

static void fail(struct parser *p, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void fail(struct parser *p, int err, const char *format, ...)
{
    va_list arguments;

    if (p->err != RC_OK) {
        return;
    }
    p->err = err;
    va_start(arguments, format);
    (void)vsnprintf(p->error, FILTER_ERROR_MAX, format, arguments);
    va_end(arguments);
}

/* The parser of go-bexpr names line, column and offset. */
static void fail_at(struct parser *p, size_t at, const char *expected)
{
    fail(p, RC_EMALFORMED, "1:%zu (%zu): no match found, expected: %s", at + 1, at,
         expected);
}

static const char *keep(struct parser *p, const char *at, size_t size)
{
    char *copy = p->arena_at;

    memcpy(copy, at, size);
    copy[size] = '\0';
    p->arena_at += size + 1;
    return copy;
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_' || c == '-' || c == '/' || c == ':';
}

static size_t name_size(const char *at)
{
    size_t size = 0;

    while (is_name_byte(at[size])) {
        size++;
    }
    return size;
}

/* A text in "" or ``; there are no escapes. NULL and failed when it does not end. */
static const char *read_quoted(struct parser *p)
{
    const char *end = strchr(p->at + 1, *p->at);

    if (end == NULL) {
        fail_at(p, (size_t)(p->at - p->text), "the end of a string");
        return NULL;
    }
    const char *text = keep(p, p->at + 1, (size_t)(end - p->at - 1));
    p->at = end + 1;
    return text;
}

static void add_part(struct parser *p, const char *part)
{
    if (p->token.part_count == PARTS_MAX) {
        fail(p, RC_ETOOBIG, "selector has too many parts");
    } else if (part != NULL) {
        p->token.parts[p->token.part_count++] = part;
    }
}

/* A dot, if a name follows; it is not part of a bare value such as "end.". */
static bool skip_dot(struct parser *p)
{
    bool found = p->at[0] == '.' && name_size(p->at + 1) > 0;

    p->at += found ? 1 : 0;
    return found;
}

/* `["b c"]`. False when there is none. */
static bool read_bracket(struct parser *p)
{
    if (p->at[0] != '[' || (p->at[1] != '"' && p->at[1] != '`')) {
        return false;
    }
    p->at++;
    add_part(p, read_quoted(p));
    if (p->err == RC_OK && *p->at != ']') {
        fail_at(p, (size_t)(p->at - p->text), "\"]\"");
    }
    p->at += p->err == RC_OK ? 1 : 0;
    return p->err == RC_OK;
}

/* `a.b.c` and `a["b c"].d`, whose parts are kept one by one. */
static void read_word(struct parser *p)
{
    const char *begin = p->at;
    bool more = true;

    p->token.kind = TOKEN_WORD;
    while (more && p->err == RC_OK) {
        size_t size = name_size(p->at);
        if (size > 0) {
            add_part(p, keep(p, p->at, size));
            p->at += size;
        }
        while (read_bracket(p)) {
        }
        more = skip_dot(p);
    }
    p->token.text = keep(p, begin, (size_t)(p->at - begin));
}

static bool read_symbol(struct parser *p)
{
    static const char *const symbols[] = {"==", "!=", "(", ")"};

    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        size_t size = strlen(symbols[i]);
        if (strncmp(p->at, symbols[i], size) == 0) {
            p->token.kind = TOKEN_SYMBOL;
            p->token.text = symbols[i];
            p->at += size;
            return true;
        }
    }
    return false;
}

static void advance(struct parser *p)
{
    p->at += strspn(p->at, " \t\r\n");
    p->token =
        (struct token){.kind = TOKEN_END, .text = "", .at = (size_t)(p->at - p->text)};
    char c = *p->at;
    if (c == '\0' || read_symbol(p)) {
        return;
    }
    if (c == '"' || c == '`') {
        p->token.kind = TOKEN_VALUE;
        const char *text = read_quoted(p);
        p->token.text = text != NULL ? text : "";
    } else if ((c >= '0' && c <= '9') || c == '-') {
        size_t size = 1;
        while (is_name_byte(p->at[size]) || p->at[size] == '.') {
            size++;
        }
        p->token.kind = TOKEN_VALUE;
        p->token.text = keep(p, p->at, size);
        p->at += size;
    } else if (is_name_byte(c)) {
        read_word(p);
    } else {
        fail_at(p, p->token.at, "a selector or a value");
    }
}

static bool next_is(const struct parser *p, const char *text)
{
    return (p->token.kind == TOKEN_WORD || p->token.kind == TOKEN_SYMBOL) &&
           strcmp(p->token.text, text) == 0;
}

static bool accept(struct parser *p, const char *text)
{
    bool found = p->err == RC_OK && next_is(p, text);

    if (found) {
        advance(p);
    }
    return found;
}

/* ---- Terms. */

static const struct filter_field *find_field(const struct filter_schema *schema,
                                             const char *name)
{
    for (size_t i = 0; schema != NULL && i < schema->count; i++) {
        if (strcmp(schema->fields[i].name, name) == 0) {
            return &schema->fields[i];
        }
    }
    return NULL;
}

static bool is_map(enum filter_kind kind)
{
    return kind == FILTER_PAIRS || kind == FILTER_OBJECT_MAP;
}

/* Finds what the parts of `selector` lead to. False when they lead nowhere. */
static bool select_path(const struct filter_schema *schema, const struct token *selector,
                        struct term *term)
{
    size_t part = 0;

    while (part < selector->part_count) {
        const struct filter_field *field = find_field(schema, selector->parts[part++]);
        if (field == NULL || term->step_count == STEPS_MAX) {
            return false;
        }
        struct step *step = &term->steps[term->step_count++];
        *step = (struct step){.field = field};
        term->kind = field->kind;
        schema = field->inside;
        if (is_map(field->kind) && part < selector->part_count) {
            step->key = selector->parts[part++];
            term->kind = field->kind == FILTER_PAIRS ? FILTER_STRING : FILTER_OBJECT;
        }
    }
    return term->step_count > 0;
}

static void coerce(struct parser *p, struct term *term, const struct token *selector)
{
    char *end = NULL;

    if (term->kind == FILTER_BOOL) {
        bool yes = strcmp(term->text, "true") == 0 || strcmp(term->text, "1") == 0;
        if (!yes && strcmp(term->text, "false") != 0 && strcmp(term->text, "0") != 0) {
            fail(p, RC_EMALFORMED,
                 "Failed to coerce value \"%.64s\" for selector \"%.128s\": "
                 "strconv.ParseBool: parsing \"%.64s\": invalid syntax",
                 term->text, selector->text, term->text);
        }
        term->number = yes ? 1 : 0;
    } else if (term->kind == FILTER_NUMBER) {
        term->number = strtoll(term->text, &end, 10);
        if (end == term->text || *end != '\0') {
            fail(p, RC_EMALFORMED,
                 "Failed to coerce value \"%.64s\" for selector \"%.128s\": "
                 "strconv.ParseInt: parsing \"%.64s\": invalid syntax",
                 term->text, selector->text, term->text);
        }
    }
}

static void compile_pattern(struct parser *p, struct term *term)
{
    const char *why = "";

    int err = rc_pattern_compile(term->text, &term->pattern, &why);
    if (err == RC_ENOMEM) {
        fail(p, err, "out of memory");
    } else if (err != RC_OK) {
        fail(p, RC_EMALFORMED, "Failed to compile regular expression \"%.128s\": %s",
             term->text, why);
    }
}

static void add_code(struct parser *p, unsigned code)
{
    if (p->filter->code_count == CODE_MAX) {
        fail(p, RC_ETOOBIG, "expression is too long");
        return;
    }
    p->filter->code[p->filter->code_count++] = (uint8_t)code;
}

static void add_term(struct parser *p, const struct token *selector,
                     enum operation operation, const char *value)
{
    if (p->err != RC_OK) {
        return;
    }
    if (p->filter->term_count == FILTER_TERMS_MAX) {
        fail(p, RC_ETOOBIG, "expression has too many terms");
        return;
    }
    size_t index = p->filter->term_count++;
    struct term *term = &p->filter->terms[index];
    *term = (struct term){.operation = operation, .text = value};
    if (!select_path(p->schema, selector, term)) {
        fail(p, RC_EMALFORMED, "Selector \"%.256s\" is not valid", selector->text);
    } else if ((allowed[term->kind] & BIT(operation)) == 0) {
        fail(p, RC_EMALFORMED, "Invalid match operator \"%s\" for selector \"%.256s\"",
             operations[operation].name, selector->text);
    } else if ((BIT(operation) & MATCHING) != 0) {
        compile_pattern(p, term);
    } else if ((BIT(operation) & EQUALITY) != 0) {
        coerce(p, term, selector);
    }
    add_code(p, (unsigned)index);
}

/* The value behind an operator. */
static const char *take_value(struct parser *p)
{
    const char *text = p->token.text;

    if (p->token.kind != TOKEN_WORD && p->token.kind != TOKEN_VALUE) {
        fail_at(p, p->token.at, "a value");
        return "";
    }
    advance(p);
    return text;
}

/* `VALUE in SELECTOR`, of which VALUE is behind us. */
static void read_membership(struct parser *p, const char *value, enum operation operation)
{
    struct token selector = p->token;

    if (selector.kind != TOKEN_WORD) {
        fail_at(p, selector.at, "a selector");
        return;
    }
    advance(p);
    add_term(p, &selector, operation, value);
}

/* What follows `not` behind a first word. */
static void read_negated(struct parser *p, const struct token *first)
{
    if (accept(p, "in")) {
        read_membership(p, first->text, OPERATION_NOT_IN);
    } else if (accept(p, "contains")) {
        add_term(p, first, OPERATION_NOT_IN, take_value(p));
    } else if (accept(p, "matches")) {
        add_term(p, first, OPERATION_NOT_MATCHES, take_value(p));
    } else {
        fail_at(p, p->token.at, "\"in\", \"contains\" or \"matches\"");
    }
}

static void read_emptiness(struct parser *p, const struct token *selector)
{
    enum operation operation = accept(p, "not") ? OPERATION_NOT_EMPTY : OPERATION_EMPTY;

    if (!accept(p, "empty")) {
        fail_at(p, p->token.at, "\"empty\"");
    }
    add_term(p, selector, operation, "");
}

static void read_term(struct parser *p)
{
    struct token first = p->token;

    if (first.kind != TOKEN_WORD && first.kind != TOKEN_VALUE) {
        fail_at(p, first.at, "\"(\", \"not\", a selector or a value");
        return;
    }
    advance(p);
    if (accept(p, "in")) {
        read_membership(p, first.text, OPERATION_IN);
    } else if (accept(p, "not")) {
        read_negated(p, &first);
    } else if (first.kind == TOKEN_VALUE) {
        fail_at(p, p->token.at, "\"in\" or \"not in\"");
    } else if (accept(p, "==")) {
        add_term(p, &first, OPERATION_EQUAL, take_value(p));
    } else if (accept(p, "!=")) {
        add_term(p, &first, OPERATION_NOT_EQUAL, take_value(p));
    } else if (accept(p, "contains")) {
        add_term(p, &first, OPERATION_IN, take_value(p));
    } else if (accept(p, "matches")) {
        add_term(p, &first, OPERATION_MATCHES, take_value(p));
    } else if (accept(p, "is")) {
        read_emptiness(p, &first);
    } else {
        fail_at(p, p->token.at, "an operator");
    }
}

/* ---- The expression, by operator precedence: not, and, or. */

static void push(struct parser *p, unsigned code)
{
    if (p->stack_count == NESTING_MAX) {
        fail(p, RC_ETOOBIG, "expression nests too deeply");
        return;
    }
    p->stack[p->stack_count++] = (uint8_t)code;
}

/* Moves operators that bind at least as strongly as `code` to the output. */
static void pop_stronger(struct parser *p, unsigned code)
{
    while (p->stack_count > 0 && p->stack[p->stack_count - 1] <= code) {
        add_code(p, p->stack[--p->stack_count]);
    }
}

static void close_parenthesis(struct parser *p)
{
    pop_stronger(p, CODE_OR);
    if (p->stack_count == 0) {
        fail_at(p, p->token.at, "the end");
        return;
    }
    p->stack_count--; /* the CODE_OPEN */
}

/* Everything in front of an operand, and the operand. */
static void read_operand(struct parser *p)
{
    while (p->err == RC_OK) {
        if (accept(p, "(")) {
            push(p, CODE_OPEN);
        } else if (accept(p, "not")) {
            push(p, CODE_NOT);
        } else {
            read_term(p);
            return;
        }
    }
}

static void read_expression(struct parser *p)
{
    read_operand(p);
    while (p->err == RC_OK && p->token.kind != TOKEN_END) {
        if (accept(p, ")")) {
            close_parenthesis(p);
        } else if (accept(p, "and")) {
            pop_stronger(p, CODE_AND);
            push(p, CODE_AND);
            read_operand(p);
        } else if (accept(p, "or")) {
            pop_stronger(p, CODE_OR);
            push(p, CODE_OR);
            read_operand(p);
        } else {
            fail_at(p, p->token.at, "\"and\", \"or\", \")\" or the end");
        }
    }
    pop_stronger(p, CODE_OR);
    if (p->stack_count > 0) {
        fail_at(p, p->token.at, "\")\"");
    }
}

int filter_parse(const char *text, const struct filter_schema *schema,
                 struct filter **out, char error[FILTER_ERROR_MAX])
{
    size_t size = strlen(text);
    struct parser p = {.text = text, .at = text, .schema = schema, .error = error};

    (void)rc_text_put(error, FILTER_ERROR_MAX, "out of memory");
    if (size > FILTER_BYTES_MAX) {
        (void)rc_text_put(error, FILTER_ERROR_MAX, "expression is too long");
        return RC_ETOOBIG;
    }
    p.filter = calloc(1, sizeof *p.filter);
    if (p.filter == NULL) {
        return RC_ENOMEM;
    }
    /* A word is kept whole and in parts, each with a NUL: never more than this. */
    p.filter->arena = malloc(4 * size + 16);
    p.arena_at = p.filter->arena;
    if (p.filter->arena == NULL) {
        filter_destroy(p.filter);
        return RC_ENOMEM;
    }
    advance(&p);
    read_expression(&p);
    if (p.err != RC_OK) {
        filter_destroy(p.filter);
        return p.err;
    }
    *out = p.filter;
    return RC_OK;
}

void filter_destroy(struct filter *filter)
{
    if (filter == NULL) {
        return;
    }
    for (size_t i = 0; i < filter->term_count; i++) {
        rc_pattern_destroy(filter->terms[i].pattern);
    }
    free(filter->arena);
    free(filter);
}

/* ---- Evaluation. */

static bool is_string_match(const struct term *term, const char *text)
{
    size_t size = strnlen(text, MATCHED_MAX);

    switch (term->operation) {
    case OPERATION_EQUAL:
        return strcmp(text, term->text) == 0;
    case OPERATION_NOT_EQUAL:
        return strcmp(text, term->text) != 0;
    case OPERATION_IN:
        return strstr(text, term->text) != NULL;
    case OPERATION_NOT_IN:
        return strstr(text, term->text) == NULL;
    case OPERATION_EMPTY:
        return text[0] == '\0';
    case OPERATION_NOT_EMPTY:
        return text[0] != '\0';
    case OPERATION_MATCHES:
        return rc_pattern_is_in(term->pattern, text, size);
    case OPERATION_NOT_MATCHES:
        return !rc_pattern_is_in(term->pattern, text, size);
    case OPERATION_COUNT:
        break;
    }
    return false;
}

/* Lists and maps as a whole: emptiness, or whether an element or a key is among them. */
static bool is_collection_match(const struct term *term, const struct filter_field *field,
                                const void *object)
{
    struct filter_item item = {0};

    if (term->operation == OPERATION_EMPTY || term->operation == OPERATION_NOT_EMPTY) {
        bool is_empty = !field->get(object, 0, &item);
        return is_empty == (term->operation == OPERATION_EMPTY);
    }
    bool found = false;
    for (size_t i = 0; !found && field->get(object, i, &item); i++) {
        const char *text = is_map(field->kind) ? item.key : item.text;
        found = strcmp(text, term->text) == 0;
    }
    return found == (term->operation == OPERATION_IN);
}

/* The entry `key` of a map. False when it is missing. */
static bool find_entry(const struct filter_field *field, const void *object,
                       const char *key, struct filter_item *out)
{
    for (size_t i = 0; field->get(object, i, out); i++) {
        if (strcmp(out->key, key) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_leaf_match(const struct term *term, const struct step *step,
                          const void *object)
{
    struct filter_item item = {0};

    if (step->key != NULL) {
        return find_entry(step->field, object, step->key, &item)
                   ? is_string_match(term, item.text)
                   : operations[term->operation].if_missing;
    }
    if (term->kind != FILTER_STRING && term->kind != FILTER_NUMBER &&
        term->kind != FILTER_BOOL) {
        return is_collection_match(term, step->field, object);
    }
    if (!step->field->get(object, 0, &item)) {
        return operations[term->operation].if_missing;
    }
    if (term->kind == FILTER_STRING) {
        return is_string_match(term, item.text);
    }
    return (item.number == term->number) == (term->operation == OPERATION_EQUAL);
}

enum descent { DESCENT_FOUND, DESCENT_MISSING, DESCENT_END };

/* Goes from `object` to the one that holds the value; element `position` of the list of
 * objects on the way, if there is one. */
static enum descent descend(const struct term *term, size_t position, const void **object,
                            bool *has_list)
{
    struct filter_item item = {0};

    for (size_t i = 0; i + 1 < term->step_count; i++) {
        const struct step *step = &term->steps[i];
        bool is_list = step->field->kind == FILTER_OBJECTS;
        bool found = step->key != NULL
                         ? find_entry(step->field, *object, step->key, &item)
                         : step->field->get(*object, is_list ? position : 0, &item);
        *has_list = *has_list || is_list;
        if (!found) {
            return is_list ? DESCENT_END : DESCENT_MISSING;
        }
        *object = item.object;
    }
    return DESCENT_FOUND;
}

static bool term_holds(const struct term *term, const void *root)
{
    bool has_list = false;

    for (size_t position = 0; position == 0 || has_list; position++) {
        const void *object = root;
        enum descent descent = descend(term, position, &object, &has_list);
        if (descent == DESCENT_END) {
            return false;
        }
        bool holds =
            descent == DESCENT_MISSING
                ? operations[term->operation].if_missing
                : is_leaf_match(term, &term->steps[term->step_count - 1], object);
        if (holds) {
            return true;
        }
    }
    return false;
}

bool filter_accepts(const struct filter *filter, const void *object)
{
    bool stack[CODE_MAX];
    size_t count = 0;

    if (filter == NULL) {
        return true;
    }
    for (size_t i = 0; i < filter->code_count; i++) {
        unsigned code = filter->code[i];
        if (code == CODE_NOT) {
            assert(count >= 1);
            stack[count - 1] = !stack[count - 1];
        } else if (code == CODE_AND || code == CODE_OR) {
            assert(count >= 2);
            count--;
            stack[count - 1] = code == CODE_AND ? stack[count - 1] && stack[count]
                                                : stack[count - 1] || stack[count];
        } else {
            stack[count++] = term_holds(&filter->terms[code], object);
        }
    }
    assert(count == 1);
    return stack[0];
}
