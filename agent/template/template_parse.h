/* template_parse.h - the inside of the reader of templates: template_parse.c has the blocks,
 * template_expression.c what stands in them, template_program.c what both emit. */
#ifndef AGENT_TEMPLATE_TEMPLATE_PARSE_H
#define AGENT_TEMPLATE_TEMPLATE_PARSE_H

#include "agent/template/template_program.h"

#define TEMPLATE_NO_STEP UINT32_MAX

struct template_parser {
    struct template_program *program;
    struct template_words words;
    struct template_word word;      /* the one that is looked at */
    struct template_spot last_spot; /* of the one before */
    struct rc_span variables[TEMPLATE_VARIABLES_MAX];
    size_t variable_count;
    char *error; /* TEMPLATE_ERROR_MAX */
    int err;     /* the first; nothing more is emitted then */
};

/* What a pipeline declares: `$x := ...`, of range also `$i, $x := ...`. */
struct template_declared {
    size_t count;
    bool is_assignment; /* = of variables that are there */
    uint32_t slots[2];
};

enum template_pipeline_use {
    PIPELINE_VALUE, /* one variable may be declared */
    PIPELINE_RANGE  /* two, which are set by the range itself */
};

/* ---- template_program.c */

/* Sets the error, unless there is one. */
void template_parse_fail(struct template_parser *p, struct template_spot spot,
                         const char *format, ...) __attribute__((format(printf, 3, 4)));
void template_parse_advance(struct template_parser *p);

/* Appends a step; returns its number. */
uint32_t template_parse_emit(struct template_parser *p, enum template_step_kind kind,
                             struct template_spot spot, uint32_t a, uint32_t b);

/* A new constant (taken); returns its number. */
uint32_t template_parse_constant(struct template_parser *p, json_t *value);

/* Chains of jumps to one place that is not known yet: each holds the number of the one before. */
void template_parse_chain(struct template_parser *p, uint32_t step, uint32_t *chain);
void template_parse_land(struct template_parser *p, uint32_t *chain);

/* A new variable; its slot. */
uint32_t template_parse_declare(struct template_parser *p, struct rc_span name);

/* ---- template_expression.c */

/* Reads a pipeline up to what closes the action, which is not taken. Its value is on the stack, and
 * in the variable that it declares. */
void template_parse_pipeline(struct template_parser *p, enum template_pipeline_use use,
                             struct template_declared *out);

#endif
