/* template_expression.c - pipelines: values, fields, calls and parentheses.
 *
 * A parenthesis is a frame on a stack of its own, not a call of a function. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/template/template_function.h"
#include "agent/template/template_parse.h"
#include "agent/template/template_value.h"
#include "base/err.h"

#define NO_FUNCTION UINT32_MAX
enum { NUMBER_MAX = 64 };

/* A pipeline that is being read: the whole, or one in parentheses. */
struct frame {
    struct template_spot spot; /* of its present command */
    uint32_t function;         /* of the present command */
    uint32_t operands;         /* of the present command, without the function */
    uint32_t chain;            /* and, or: who jumps to the end of it */
    bool is_piped;             /* the value of the command before is on the stack */
    bool may_chain;            /* the last operand may be followed by fields */
};

struct expression {
    struct template_parser *p;
    struct frame frames[TEMPLATE_PARENTHESES_MAX];
    size_t depth;
    size_t values; /* that wait on the machine's stack, about */
};

static void start_command(struct expression *e, struct frame *frame)
{
    frame->spot = e->p->word.place;
    frame->function = NO_FUNCTION;
    frame->operands = 0;
    frame->chain = TEMPLATE_NO_STEP;
    frame->may_chain = false;
}

/* and, or: what follows is looked at only if it matters (Go since 1.18). */
static bool is_short(const struct frame *frame)
{
    return !frame->is_piped && (frame->function == template_function_and() ||
                                frame->function == template_function_or());
}

/* A value is about to be pushed. */
static void before_operand(struct expression *e)
{
    struct frame *frame = &e->frames[e->depth - 1];
    struct template_parser *p = e->p;

    if (frame->operands > 0 && frame->function == NO_FUNCTION) {
        template_parse_fail(p, p->word.place,
                            "a value takes no arguments: is a function or a | missing?");
    } else if (frame->operands > 0 && !p->word.is_apart) {
        template_parse_fail(p, p->word.place, "arguments are apart by spaces");
    } else if (frame->operands == TEMPLATE_ARGUMENTS_MAX ||
               e->values == TEMPLATE_STACK_MAX - 2) {
        template_parse_fail(p, p->word.place, "too many arguments");
    } else if (frame->operands > 0 && is_short(frame)) {
        uint32_t jump = template_parse_emit(
            p, frame->function == template_function_and() ? STEP_AND : STEP_OR,
            p->word.place, 0, 0);
        template_parse_chain(p, jump, &frame->chain);
        e->values--;
    }
    if (frame->operands == 0 && frame->function == NO_FUNCTION) {
        frame->spot = p->word.place;
    }
    frame->operands++;
    frame->may_chain = true;
    e->values++;
}

/* ---- Constants. */

static json_t *number_of(struct rc_span text)
{
    char space[NUMBER_MAX];
    char *end = NULL;

    size_t size = 0;

    if (text.size >= sizeof space) {
        return NULL;
    }
    for (size_t i = 0; i < text.size; i++) { /* 1_000 is 1000 */
        if (text.at[i] != '_' || i == 0 || i + 1 == text.size) {
            space[size++] = text.at[i];
        }
    }
    space[size] = '\0';
    const char *digits = space + (space[0] == '-' || space[0] == '+' ? 1 : 0);
    bool is_hex = digits[0] == '0' && (digits[1] | 0x20) == 'x';
    if (digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9') {
        return NULL; /* of base 8, in Go */
    }
    errno = 0;
    long long whole = strtoll(space, &end, is_hex ? 16 : 10);
    if (end != space && *end == '\0' && errno == 0) {
        return json_integer(whole);
    }
    bool is_whole = strpbrk(space, ".eE") == NULL;
    errno = 0;
    double real = strtod(space, &end);
    if (is_hex || is_whole || strspn(space, "0123456789+-.eE") != size || end == space ||
        *end != '\0' || errno != 0) {
        return NULL;
    }
    return json_real(real);
}

static void push_number(struct expression *e)
{
    json_t *number = number_of(e->p->word.text);

    if (number == NULL) {
        template_parse_fail(e->p, e->p->word.place, "%.*s is no number",
                            (int)(e->p->word.text.size < 60 ? e->p->word.text.size : 60),
                            e->p->word.text.at);
        return;
    }
    uint32_t constant = template_parse_constant(e->p, number);
    (void)template_parse_emit(e->p, STEP_CONSTANT, e->p->word.place, constant, 0);
}

static void push_string(struct expression *e)
{
    struct rc_span word = e->p->word.text;
    char *space = malloc(word.size + 4);

    if (space == NULL) {
        e->p->err = e->p->err != RC_OK ? e->p->err : RC_ENOMEM;
        return;
    }
    long size = template_word_unquote(word, space);
    if (size < 0) {
        template_parse_fail(
            e->p, e->p->word.place,
            "this string has an escape that means nothing; `...` has none");
    } else {
        uint32_t constant =
            template_parse_constant(e->p, template_value_text(space, (size_t)size));
        (void)template_parse_emit(e->p, STEP_CONSTANT, e->p->word.place, constant, 0);
    }
    free(space);
}

/* ---- Names. */

static bool push_named_constant(struct expression *e, struct rc_span name)
{
    json_t *value = rc_span_equals(name, "true")    ? json_true()
                    : rc_span_equals(name, "false") ? json_false()
                    : rc_span_equals(name, "nil")   ? json_null()
                                                    : NULL;

    if (value == NULL) {
        return false;
    }
    before_operand(e);
    uint32_t constant = template_parse_constant(e->p, value);
    (void)template_parse_emit(e->p, STEP_CONSTANT, e->p->word.place, constant, 0);
    return true;
}

static void read_name(struct expression *e)
{
    struct frame *frame = &e->frames[e->depth - 1];
    struct template_parser *p = e->p;
    struct rc_span name = p->word.text;
    uint32_t function = 0;

    if (push_named_constant(e, name)) {
        frame->may_chain = false;
        return;
    }
    if (!template_function_find(name, &function)) {
        const char *close = template_function_nearest(name);
        template_parse_fail(p, p->word.place, "no function is called %.*s%s%s%s",
                            (int)(name.size < 60 ? name.size : 60), name.at,
                            close != NULL ? ": do you mean " : "",
                            close != NULL ? close : "", close != NULL ? "?" : "");
        return;
    }
    if (frame->operands == 0 && frame->function == NO_FUNCTION) {
        frame->function = function;
        frame->spot = p->word.place;
        frame->may_chain = false;
        return;
    }
    before_operand(e); /* a function without arguments, as in `len services` */
    frame->may_chain = false;
    const char *fault = template_function_fault(function, 0);
    if (fault != NULL) {
        template_parse_fail(p, p->word.place,
                            "%s: parentheses around it and its arguments", fault);
    }
    (void)template_parse_emit(p, STEP_CALL, p->word.place, function, 0);
}

static void push_variable(struct expression *e)
{
    struct template_parser *p = e->p;
    struct rc_span name = p->word.text;

    for (size_t i = p->variable_count; i-- > 0;) {
        if (p->variables[i].size == name.size &&
            memcmp(p->variables[i].at, name.at, name.size) == 0) {
            (void)template_parse_emit(p, STEP_VARIABLE, p->word.place, (uint32_t)i, 0);
            return;
        }
    }
    template_parse_fail(p, p->word.place, "no variable is called %.*s here",
                        (int)(name.size < 60 ? name.size : 60), name.at);
}

static void push_field(struct expression *e)
{
    struct template_parser *p = e->p;
    uint32_t name = template_parse_constant(
        p, template_value_text(p->word.text.at, p->word.text.size));

    (void)template_parse_emit(p, STEP_FIELD, p->word.place, name, 0);
}

static void read_field(struct expression *e)
{
    const struct frame *frame = &e->frames[e->depth - 1];

    if (e->p->word.is_apart || !frame->may_chain) {
        if (!e->p->word.is_apart && frame->operands > 0) {
            template_parse_fail(e->p, e->p->word.place,
                                "no field of a constant or of a name: use parentheses");
        }
        before_operand(e);
        (void)template_parse_emit(e->p, STEP_DOT, e->p->word.place, 0, 0);
    }
    push_field(e);
}

/* ---- Commands and frames. */

static void end_command(struct expression *e)
{
    struct frame *frame = &e->frames[e->depth - 1];
    struct template_parser *p = e->p;
    uint32_t count = frame->operands + (frame->is_piped ? 1 : 0);

    if (frame->function == NO_FUNCTION) {
        if (frame->operands == 0) {
            template_parse_fail(p, p->word.place, "a value is missing");
        } else if (frame->is_piped) {
            template_parse_fail(p, frame->spot, "behind a | stands a function");
        }
        return;
    }
    const char *fault = template_function_fault(frame->function, count);
    if (fault != NULL) {
        template_parse_fail(p, frame->spot, "%s", fault);
        return;
    }
    if (is_short(frame)) {
        template_parse_land(p, &frame->chain);
        return;
    }
    (void)template_parse_emit(p, frame->is_piped ? STEP_PIPE : STEP_CALL, frame->spot,
                              frame->function, count);
    e->values = e->values + 1 - count;
}

static void open_frame(struct expression *e)
{
    struct template_parser *p = e->p;

    if (e->depth > 0) {
        before_operand(e);
        e->values--;
    }
    if (e->depth == TEMPLATE_PARENTHESES_MAX) {
        template_parse_fail(p, p->word.place, "more than %d parentheses in each other",
                            TEMPLATE_PARENTHESES_MAX);
        return;
    }
    struct frame *frame = &e->frames[e->depth++];
    *frame = (struct frame){.is_piped = false};
    start_command(e, frame);
}

static void close_frame(struct expression *e)
{
    end_command(e);
    if (e->depth == 1) {
        template_parse_fail(e->p, e->p->word.place, "this ) closes nothing");
        return;
    }
    e->depth--; /* the value is an operand of the outer one, and counted there */
}

static void next_command(struct expression *e)
{
    struct frame *frame = &e->frames[e->depth - 1];

    end_command(e);
    start_command(e, frame);
    frame->is_piped = true;
}

/* One word of a pipeline. False: it does not belong to one. */
static bool read_word(struct expression *e)
{
    struct template_parser *p = e->p;

    switch (p->word.kind) {
    case WORD_NAME:
        read_name(e);
        return true;
    case WORD_FIELD:
        read_field(e);
        return true;
    case WORD_DOT:
        before_operand(e);
        e->frames[e->depth - 1].may_chain = false;
        (void)template_parse_emit(p, STEP_DOT, p->word.place, 0, 0);
        return true;
    case WORD_VARIABLE:
        before_operand(e);
        push_variable(e);
        return true;
    case WORD_STRING:
        before_operand(e);
        e->frames[e->depth - 1].may_chain = false;
        push_string(e);
        return true;
    case WORD_NUMBER:
        before_operand(e);
        e->frames[e->depth - 1].may_chain = false;
        push_number(e);
        return true;
    case WORD_PIPE:
        next_command(e);
        return true;
    case WORD_LEFT:
        open_frame(e);
        return true;
    case WORD_RIGHT:
        close_frame(e);
        return true;
    case WORD_TEXT:
    case WORD_OPEN:
    case WORD_CLOSE:
    case WORD_COMMA:
    case WORD_DECLARE:
    case WORD_ASSIGN:
    case WORD_END:
    case WORD_KIND_COUNT:
        break;
    }
    return false;
}

/* ---- Declarations: `$x :=`, `$x =`, `$i, $x :=`. They are known by what follows the variable, so
 * the reader of words is copied to look ahead. */

static bool peeks(const struct template_parser *p, enum template_word_kind *kind)
{
    struct template_words words = p->words;
    struct template_word word;
    const char *why = NULL;

    if (template_words_next(&words, &word, &why) != RC_OK) {
        return false;
    }
    *kind = word.kind;
    return true;
}

static uint32_t slot_of(struct template_parser *p, const struct template_word *name,
                        enum template_word_kind sign)
{
    assert(name->text.at != NULL);
    if (name->text.size == 1) {
        template_parse_fail(p, name->place, "$ alone cannot be set");
        return 0;
    }
    if (sign == WORD_DECLARE) {
        return template_parse_declare(p, name->text);
    }
    for (size_t i = p->variable_count; i-- > 0;) {
        if (p->variables[i].size == name->text.size &&
            memcmp(p->variables[i].at, name->text.at, name->text.size) == 0) {
            return (uint32_t)i;
        }
    }
    template_parse_fail(
        p, name->place, "no variable is called %.*s here: write := for a new one",
        (int)(name->text.size < 60 ? name->text.size : 60), name->text.at);
    return 0;
}

/* The names, and the sign behind them; nothing if the pipeline declares nothing. */
static void read_declaration(struct template_parser *p, enum template_pipeline_use use,
                             struct template_word names[2], struct template_declared *out,
                             enum template_word_kind *sign)
{
    enum template_word_kind next = WORD_END;

    *out = (struct template_declared){.count = 0};
    if (p->word.kind != WORD_VARIABLE || !peeks(p, &next) ||
        (next != WORD_DECLARE && next != WORD_ASSIGN &&
         (next != WORD_COMMA || use != PIPELINE_RANGE))) {
        return;
    }
    names[out->count++] = p->word;
    template_parse_advance(p);
    if (p->word.kind == WORD_COMMA) {
        template_parse_advance(p);
        if (p->word.kind != WORD_VARIABLE) {
            template_parse_fail(p, p->word.place, "a second variable is missing");
            return;
        }
        names[out->count++] = p->word;
        template_parse_advance(p);
    }
    *sign = p->word.kind;
    if (*sign != WORD_DECLARE && *sign != WORD_ASSIGN) {
        template_parse_fail(p, p->word.place, ":= is missing");
        return;
    }
    out->is_assignment = *sign == WORD_ASSIGN;
    template_parse_advance(p);
}

void template_parse_pipeline(struct template_parser *p, enum template_pipeline_use use,
                             struct template_declared *out)
{
    struct expression e = {.p = p};
    struct template_word names[2] = {{.kind = WORD_END}, {.kind = WORD_END}};
    enum template_word_kind sign = WORD_DECLARE;

    read_declaration(p, use, names, out, &sign);
    open_frame(&e);
    while (p->err == RC_OK && read_word(&e)) {
        template_parse_advance(p);
    }
    if (p->err == RC_OK && p->word.kind != WORD_CLOSE) {
        template_parse_fail(p, p->word.place, "this does not belong here");
    }
    if (p->err == RC_OK && e.depth > 1) {
        template_parse_fail(p, e.frames[e.depth - 1].spot, "a ) is missing");
    }
    end_command(&e);
    /* Declared only now: a value cannot use what it defines. */
    for (size_t i = 0; i < out->count; i++) {
        out->slots[i] = slot_of(p, &names[i], sign);
    }
    if (use == PIPELINE_VALUE && out->count > 0) {
        (void)template_parse_emit(p, STEP_STORE, p->last_spot, out->slots[0], 0);
    }
}
