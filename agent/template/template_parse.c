/* template_parse.c - the blocks of a template: if, range, with, and what ends them. */
#include "agent/template/template_parse.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

enum block_kind { BLOCK_IF, BLOCK_WITH, BLOCK_RANGE };

struct block {
    enum block_kind kind;
    struct template_spot spot;
    size_t variables;   /* known outside of it */
    size_t inner;       /* known in its branches */
    uint32_t otherwise; /* who jumps to else, or to the end */
    uint32_t ends;      /* who jumps to the end */
    uint32_t top;       /* of a range: its STEP_NEXT */
    bool has_else;
};

struct blocks {
    struct template_parser parser;
    struct block open[TEMPLATE_BLOCKS_MAX];
    size_t depth;
};

static void expect_close(struct template_parser *p)
{
    if (p->err == RC_OK && p->word.kind != WORD_CLOSE) {
        template_parse_fail(p, p->word.place, "here the action should end");
    }
    template_parse_advance(p);
}

static struct block *open_block(struct blocks *b, enum block_kind kind)
{
    struct template_parser *p = &b->parser;

    if (b->depth == TEMPLATE_BLOCKS_MAX) {
        template_parse_fail(p, p->word.place, "more than %d blocks in each other",
                            TEMPLATE_BLOCKS_MAX);
        return NULL;
    }
    struct block *block = &b->open[b->depth++];
    *block = (struct block){
        .kind = kind,
        .spot = p->word.place,
        .variables = p->variable_count,
        .otherwise = TEMPLATE_NO_STEP,
        .ends = TEMPLATE_NO_STEP,
    };
    return block;
}

/* The pipeline of an if or a with, and the jump behind it. */
static void condition(struct template_parser *p, struct block *block)
{
    struct template_declared declared;
    struct template_spot spot = p->word.place;

    template_parse_advance(p);
    template_parse_pipeline(p, PIPELINE_VALUE, &declared);
    uint32_t jump = template_parse_emit(
        p, block->kind == BLOCK_WITH ? STEP_WITH : STEP_UNLESS, spot, 0, 0);
    template_parse_chain(p, jump, &block->otherwise);
    block->inner = p->variable_count;
    expect_close(p);
}

static void begin_range(struct template_parser *p, struct block *block)
{
    struct template_declared declared;
    struct template_spot spot = p->word.place;
    uint32_t key = TEMPLATE_NO_VARIABLE;
    uint32_t element = TEMPLATE_NO_VARIABLE;

    template_parse_advance(p);
    template_parse_pipeline(p, PIPELINE_RANGE, &declared);
    if (declared.count == 2) {
        key = declared.slots[0];
        element = declared.slots[1];
    } else if (declared.count == 1) {
        element = declared.slots[0];
    }
    uint32_t range = template_parse_emit(p, STEP_RANGE, spot, 0, 0);
    template_parse_chain(p, range, &block->otherwise);
    block->top = template_parse_emit(p, STEP_NEXT, spot, 0,
                                     key | (element << TEMPLATE_ELEMENT_SHIFT));
    template_parse_chain(p, block->top, &block->ends);
    block->inner = p->variable_count;
    expect_close(p);
}

static void begin(struct blocks *b, enum block_kind kind)
{
    struct block *block = open_block(b, kind);

    if (block == NULL) {
        return;
    }
    if (kind == BLOCK_RANGE) {
        begin_range(&b->parser, block);
    } else {
        condition(&b->parser, block);
    }
}

/* What stands at the end of a branch that was gone through. */
static void leave_branch(struct template_parser *p, struct block *block)
{
    struct template_spot spot = p->word.place;

    if (block->has_else) {
        return; /* the other branch is the last, and has no dot of its own */
    }
    if (block->kind == BLOCK_RANGE) {
        (void)template_parse_emit(p, STEP_JUMP, spot, block->top, 0);
    } else if (block->kind == BLOCK_WITH) {
        (void)template_parse_emit(p, STEP_WITH_END, spot, 0, 0);
    }
}

static void otherwise(struct blocks *b)
{
    struct template_parser *p = &b->parser;
    struct block *block = b->depth > 0 ? &b->open[b->depth - 1] : NULL;

    if (block == NULL || block->has_else) {
        template_parse_fail(p, p->word.place, "this else belongs to nothing");
        return;
    }
    leave_branch(p, block);
    if (block->kind != BLOCK_RANGE) {
        uint32_t jump = template_parse_emit(p, STEP_JUMP, p->word.place, 0, 0);
        template_parse_chain(p, jump, &block->ends);
    }
    template_parse_land(p, &block->otherwise);
    p->variable_count = block->inner;
    template_parse_advance(p);
    if (p->word.kind != WORD_NAME) {
        block->has_else = true;
        expect_close(p);
    } else if (block->kind == BLOCK_IF && rc_span_equals(p->word.text, "if")) {
        condition(p, block); /* variables of the first stay known */
    } else {
        template_parse_fail(p, p->word.place,
                            "behind else stands nothing, or, of an if, if");
    }
}

static void end(struct blocks *b)
{
    struct template_parser *p = &b->parser;

    if (b->depth == 0) {
        template_parse_fail(p, p->word.place, "this end belongs to nothing");
        return;
    }
    struct block *block = &b->open[--b->depth];
    leave_branch(p, block);
    template_parse_land(p, &block->otherwise);
    template_parse_land(p, &block->ends);
    p->variable_count = block->variables;
    template_parse_advance(p);
    expect_close(p);
}

/* break and continue leave the withs that they stand in. */
static void jump_out(struct blocks *b)
{
    struct template_parser *p = &b->parser;
    bool breaks = rc_span_equals(p->word.text, "break");
    struct template_spot spot = p->word.place;
    size_t at = b->depth;

    while (at > 0 && (b->open[at - 1].kind != BLOCK_RANGE || b->open[at - 1].has_else)) {
        const struct block *inner = &b->open[--at];
        if (inner->kind == BLOCK_WITH && !inner->has_else) {
            (void)template_parse_emit(p, STEP_WITH_END, spot, 0, 0);
        }
    }
    if (at == 0) {
        template_parse_fail(p, spot, "break and continue stand in a range");
        return;
    }
    if (breaks) {
        (void)template_parse_emit(p, STEP_RANGE_END, spot, 0, 0);
        uint32_t jump = template_parse_emit(p, STEP_JUMP, spot, 0, 0);
        template_parse_chain(p, jump, &b->open[at - 1].ends);
    } else {
        (void)template_parse_emit(p, STEP_JUMP, spot, b->open[at - 1].top, 0);
    }
    template_parse_advance(p);
    expect_close(p);
}

/* A pipeline as an action: its value is written, unless it is put into a variable. */
static void action(struct template_parser *p)
{
    struct template_declared declared;
    struct template_spot spot = p->word.place;

    template_parse_pipeline(p, PIPELINE_VALUE, &declared);
    (void)template_parse_emit(p, declared.count > 0 ? STEP_DROP : STEP_PRINT, spot, 0, 0);
    expect_close(p);
}

/* Of Go's language, and not of this one. */
static bool is_absent(struct rc_span name)
{
    static const char *const names[] = {"define", "template", "block"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (rc_span_equals(name, names[i])) {
            return true;
        }
    }
    return false;
}

static void read_action(struct blocks *b)
{
    struct template_parser *p = &b->parser;
    struct rc_span name =
        p->word.kind == WORD_NAME ? p->word.text : (struct rc_span){"", 0};

    if (rc_span_equals(name, "if")) {
        begin(b, BLOCK_IF);
    } else if (rc_span_equals(name, "with")) {
        begin(b, BLOCK_WITH);
    } else if (rc_span_equals(name, "range")) {
        begin(b, BLOCK_RANGE);
    } else if (rc_span_equals(name, "else")) {
        otherwise(b);
    } else if (rc_span_equals(name, "end")) {
        end(b);
    } else if (rc_span_equals(name, "break") || rc_span_equals(name, "continue")) {
        jump_out(b);
    } else if (is_absent(name)) {
        template_parse_fail(p, p->word.place, "%.*s of Go's templates is not known here",
                            (int)name.size, name.at);
    } else {
        action(p);
    }
}

static void read_all(struct blocks *b)
{
    struct template_parser *p = &b->parser;

    (void)template_parse_declare(p, rc_span_of("$"));
    template_parse_advance(p);
    while (p->err == RC_OK && p->word.kind != WORD_END) {
        if (p->word.kind == WORD_TEXT) {
            (void)template_parse_emit(p, STEP_TEXT, p->word.place,
                                      (uint32_t)(p->word.text.at - p->program->source),
                                      (uint32_t)p->word.text.size);
            template_parse_advance(p);
        } else {
            template_parse_advance(p); /* {{ */
            read_action(b);
        }
    }
    if (p->err == RC_OK && b->depth > 0) {
        template_parse_fail(p, b->open[b->depth - 1].spot, "this block has no end");
    }
    (void)template_parse_emit(p, STEP_END, p->word.place, 0, 0);
}

static struct template_program *new_program(const struct template_source_text *source)
{
    struct template_program *program = calloc(1, sizeof *program);

    if (program == NULL) {
        return NULL;
    }
    program->name = rc_text_copy(source->name);
    program->source = malloc(source->size + 1);
    program->constants = json_array();
    if (program->name == NULL || program->source == NULL || program->constants == NULL) {
        template_program_destroy(program);
        return NULL;
    }
    if (source->size > 0) {
        memcpy(program->source, source->text, source->size);
    }
    program->source[source->size] = '\0';
    program->source_size = source->size;
    return program;
}

int template_program_create(const struct template_source_text *source,
                            struct template_program **out, char error[TEMPLATE_ERROR_MAX])
{
    error[0] = '\0';
    struct template_program *program = new_program(source);
    struct blocks *b = calloc(1, sizeof *b);
    if (program == NULL || b == NULL) {
        template_program_destroy(program);
        free(b);
        return RC_ENOMEM;
    }
    b->parser = (struct template_parser){
        .program = program,
        .words = {.text = {program->source, program->source_size},
                  .left = source->left != NULL ? source->left : "{{",
                  .right = source->right != NULL ? source->right : "}}"},
        .error = error,
    };
    if (source->size > TEMPLATE_SOURCE_MAX) {
        template_parse_fail(&b->parser, (struct template_spot){1, 1},
                            "a template has at most %d bytes", TEMPLATE_SOURCE_MAX);
    } else {
        read_all(b);
    }
    int err = b->parser.err;
    free(b);
    if (err != RC_OK) {
        template_program_destroy(program);
        return err;
    }
    *out = program;
    return RC_OK;
}
