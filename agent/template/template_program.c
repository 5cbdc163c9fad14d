#include "agent/template/template_program.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/template/template_parse.h"
#include "base/err.h"

enum { FIRST_STEPS = 64 };

void template_parse_fail(struct template_parser *p, struct template_spot spot,
                         const char *format, ...)
{
    va_list arguments;

    if (p->err != RC_OK) {
        return;
    }
    p->err = RC_EMALFORMED;
    int size = snprintf(p->error, TEMPLATE_ERROR_MAX, "%.200s:%u:%u: ", p->program->name,
                        spot.line, spot.column);
    if (size < 0 || size >= TEMPLATE_ERROR_MAX) {
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(p->error + size, TEMPLATE_ERROR_MAX - (size_t)size, format,
                    arguments);
    va_end(arguments);
    rc_text_to_line(p->error, TEMPLATE_ERROR_MAX);
}

void template_parse_advance(struct template_parser *p)
{
    const char *why = NULL;

    p->last_spot = p->word.place;
    if (p->err == RC_OK && template_words_next(&p->words, &p->word, &why) != RC_OK) {
        template_parse_fail(p, p->word.place, "%s", why);
    }
    if (p->err != RC_OK) {
        p->word.kind = WORD_END; /* whoever reads on is done soon */
    }
}

uint32_t template_parse_emit(struct template_parser *p, enum template_step_kind kind,
                             struct template_spot spot, uint32_t a, uint32_t b)
{
    struct template_program *program = p->program;

    if (p->err != RC_OK) {
        return 0;
    }
    if (program->step_count == program->step_space) {
        size_t space = program->step_space > 0 ? program->step_space * 2 : FIRST_STEPS;
        struct template_step *steps = realloc(program->steps, space * sizeof *steps);
        if (steps == NULL) {
            p->err = RC_ENOMEM;
            return 0;
        }
        program->steps = steps;
        program->step_space = space;
    }
    program->steps[program->step_count] =
        (struct template_step){.kind = (uint8_t)kind, .spot = spot, .a = a, .b = b};
    return (uint32_t)program->step_count++;
}

uint32_t template_parse_constant(struct template_parser *p, json_t *value)
{
    size_t count = json_array_size(p->program->constants);

    if (value == NULL || json_array_append_new(p->program->constants, value) != 0) {
        p->err = p->err != RC_OK ? p->err : RC_ENOMEM;
    }
    return (uint32_t)count;
}

void template_parse_chain(struct template_parser *p, uint32_t step, uint32_t *chain)
{
    if (p->err == RC_OK) {
        p->program->steps[step].a = *chain;
        *chain = step;
    }
}

void template_parse_land(struct template_parser *p, uint32_t *chain)
{
    while (p->err == RC_OK && *chain != TEMPLATE_NO_STEP) {
        struct template_step *step = &p->program->steps[*chain];
        *chain = step->a;
        step->a = (uint32_t)p->program->step_count;
    }
}

uint32_t template_parse_declare(struct template_parser *p, struct rc_span name)
{
    if (p->variable_count == TEMPLATE_VARIABLES_MAX) {
        template_parse_fail(p, p->last_spot, "more than %d variables are known here",
                            TEMPLATE_VARIABLES_MAX);
        return 0;
    }
    p->variables[p->variable_count] = name;
    return (uint32_t)p->variable_count++;
}

void template_program_destroy(struct template_program *program)
{
    if (program == NULL) {
        return;
    }
    json_decref(program->constants);
    free(program->steps);
    free(program->source);
    free(program->name);
    free(program);
}
