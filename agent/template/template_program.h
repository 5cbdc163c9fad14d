/* template_program.h - a template that was read: a program for the machine of template_render.c.
 *
 * The language is a part of Go's text/template as consul-template uses it: rollcall-template.7 has
 * it whole. A template becomes a flat list of steps, with jumps where it has blocks,
 * so that neither reading nor rendering recurses on what somebody has written. Pure. */
#ifndef AGENT_TEMPLATE_TEMPLATE_PROGRAM_H
#define AGENT_TEMPLATE_TEMPLATE_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "agent/template/template_word.h"

enum {
    TEMPLATE_SOURCE_MAX = 1 << 20, /* bytes of a template */
    TEMPLATE_BLOCKS_MAX = 32,      /* one inside the other */
    TEMPLATE_PARENTHESES_MAX = 32, /* likewise */
    TEMPLATE_VARIABLES_MAX = 64,   /* that are known at one place */
    TEMPLATE_ARGUMENTS_MAX = 32,
    TEMPLATE_STACK_MAX = 128, /* values that wait at once */
};

enum template_step_kind {
    STEP_TEXT,     /* writes b bytes of the source from a */
    STEP_CONSTANT, /* pushes constant a */
    STEP_DOT,      /* pushes the dot */
    STEP_VARIABLE, /* pushes variable a */
    STEP_FIELD,    /* its field with the name that is constant a */
    STEP_CALL,     /* function a with the b values on top */
    STEP_PIPE,     /* the same; the first of them is the last argument */
    STEP_STORE,    /* variable a becomes what is on top, which stays */
    STEP_PRINT,    /* writes what is on top, and drops it */
    STEP_DROP,
    STEP_JUMP,      /* to step a */
    STEP_UNLESS,    /* takes the top: if it is false, to step a */
    STEP_AND,       /* the top is false: to a; otherwise drops it */
    STEP_OR,        /* the top is true: to a; otherwise drops it */
    STEP_WITH,      /* takes the top: it becomes the dot, or if it is false, to a */
    STEP_WITH_END,  /* the dot is again what it was */
    STEP_RANGE,     /* takes the top, which is gone through; if it is empty, to a */
    STEP_NEXT,      /* the next element becomes the dot; after the last, to a */
    STEP_RANGE_END, /* leaves it */
    STEP_END,
    STEP_KIND_COUNT
};

/* Of STEP_NEXT, b: the variables of index and element. */
enum { TEMPLATE_NO_VARIABLE = 0xff, TEMPLATE_ELEMENT_SHIFT = 8 };

struct template_step {
    uint8_t kind;
    struct template_spot spot;
    uint32_t a;
    uint32_t b;
};

struct template_program {
    char *name;   /* what messages call it: a file */
    char *source; /* a copy */
    size_t source_size;
    struct template_step *steps;
    size_t step_count;
    size_t step_space;
    json_t *constants; /* a list */
};

struct template_source_text {
    const char *name;
    const char *text;
    size_t size;
    const char *left; /* NULL: {{ */
    const char *right;
};

/* Reads it. RC_OK with `*out` owned by the caller; RC_ENOMEM; RC_EMALFORMED or RC_ETOOBIG with `error`
 * "name:line:column: what is wrong". */
int template_program_create(const struct template_source_text *source,
                            struct template_program **out,
                            char error[TEMPLATE_ERROR_MAX]);
void template_program_destroy(struct template_program *program); /* NULL is allowed */

#endif
