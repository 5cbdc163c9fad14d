#include "agent/template/template_render.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/template/template_function.h"
#include "base/err.h"

const struct template_bounds template_bounds_usual = {
    .output_max = TEMPLATE_OUTPUT_MAX,
    .work_max = (size_t)1 << 30,
    .steps_max = 100000000,
};

enum { DOTS_MAX = TEMPLATE_BLOCKS_MAX + 1 };

/* A range that is under way; all three owned. */
struct round {
    json_t *list;
    json_t *keys; /* of a map; NULL: of a list */
    size_t next;
};

struct machine {
    const struct template_program *program;
    struct rc_buffer *out;
    struct template_call call;
    json_t *stack[TEMPLATE_STACK_MAX]; /* owned, like the next two */
    size_t height;
    json_t *variables[TEMPLATE_VARIABLES_MAX];
    json_t *dots[DOTS_MAX];
    size_t dot_count;
    struct round rounds[TEMPLATE_BLOCKS_MAX];
    size_t round_count;
    size_t at;
};

/* Takes the value; NULL is no memory. */
static int push(struct machine *m, json_t *value)
{
    if (value == NULL) {
        return RC_ENOMEM;
    }
    assert(m->height < TEMPLATE_STACK_MAX);
    m->stack[m->height++] = value;
    return RC_OK;
}

static json_t *top(const struct machine *m)
{
    assert(m->height > 0);
    return m->stack[m->height - 1];
}

static json_t *pop(struct machine *m)
{
    assert(m->height > 0);
    return m->stack[--m->height];
}

static void drop(struct machine *m)
{
    json_decref(pop(m));
}

static void set_variable(struct machine *m, size_t slot, json_t *value)
{
    assert(slot < TEMPLATE_VARIABLES_MAX);
    json_t *before = m->variables[slot];
    m->variables[slot] = json_incref(value);
    json_decref(before);
}

/* Takes the value. */
static void push_dot(struct machine *m, json_t *value)
{
    assert(m->dot_count < DOTS_MAX);
    m->dots[m->dot_count++] = value;
}

static void pop_dot(struct machine *m)
{
    assert(m->dot_count > 1);
    json_decref(m->dots[--m->dot_count]);
}

/* ---- Steps. */

static int call(struct machine *m, const struct template_step *step)
{
    json_t *result = NULL;
    size_t count = step->b;

    assert(m->height >= count);
    json_t **arguments = m->stack + m->height - count;
    if (step->kind == STEP_PIPE) { /* what came through the | is the last */
        json_t *first = arguments[0];
        memmove(arguments, arguments + 1, (count - 1) * sizeof(json_t *));
        arguments[count - 1] = first;
    }
    int err = template_function_call(step->a, &m->call, arguments, count, &result);
    while (count-- > 0) {
        drop(m);
    }
    return err == RC_OK ? push(m, result) : err;
}

static int take_field(struct machine *m, const struct template_step *step)
{
    json_t *field = NULL;
    json_t *value = pop(m);
    struct rc_span name =
        template_value_span(json_array_get(m->program->constants, step->a));

    m->call.name = NULL;
    int err = template_value_field(value, name, &field, m->call.why);
    if (err == RC_OK) {
        err = push(m, json_incref(field));
    }
    json_decref(value);
    return err;
}

static int print(struct machine *m)
{
    json_t *value = pop(m);

    m->call.name = NULL;
    int err = template_value_print(value, m->out, m->call.why);
    json_decref(value);
    return err;
}

static int begin_round(struct machine *m, const struct template_step *step)
{
    json_t *value = pop(m);
    bool is_map = json_is_object(value);

    m->call.name = "range";
    if (!is_map && !json_is_array(value) && !json_is_null(value)) {
        (void)snprintf(m->call.why, sizeof m->call.why,
                       "goes through lists and maps, not %s", template_value_kind(value));
        json_decref(value);
        return RC_EINVAL;
    }
    if (template_value_size(value) <= 0) {
        json_decref(value);
        m->at = step->a;
        return RC_OK;
    }
    assert(m->round_count < TEMPLATE_BLOCKS_MAX);
    struct round *round = &m->rounds[m->round_count++];
    *round = (struct round){.list = value};
    push_dot(m, json_null());
    if (is_map) {
        round->keys = template_value_keys(value);
        return round->keys != NULL ? RC_OK : RC_ENOMEM;
    }
    return RC_OK;
}

static void end_round(struct machine *m)
{
    assert(m->round_count > 0);
    struct round *round = &m->rounds[--m->round_count];
    json_decref(round->list);
    json_decref(round->keys);
    pop_dot(m);
}

static int next_of_round(struct machine *m, const struct template_step *step)
{
    assert(m->round_count > 0);
    struct round *round = &m->rounds[m->round_count - 1];
    const json_t *counted = round->keys != NULL ? round->keys : round->list;

    if (round->next == json_array_size(counted)) {
        end_round(m);
        m->at = step->a;
        return RC_OK;
    }
    json_t *element = json_array_get(counted, round->next);
    json_t *key = round->keys != NULL ? json_incref(element)
                                      : json_integer((json_int_t)round->next);
    if (round->keys != NULL) {
        element = json_object_get(round->list, json_string_value(element));
    }
    round->next++;
    size_t key_slot = step->b & 0xff;
    size_t element_slot = step->b >> TEMPLATE_ELEMENT_SHIFT;
    if (key_slot != TEMPLATE_NO_VARIABLE && key != NULL) {
        set_variable(m, key_slot, key);
    }
    if (element_slot != TEMPLATE_NO_VARIABLE) {
        set_variable(m, element_slot, element);
    }
    json_decref(m->dots[m->dot_count - 1]);
    m->dots[m->dot_count - 1] = json_incref(element);
    json_decref(key);
    return RC_OK;
}

static void with(struct machine *m, const struct template_step *step)
{
    if (template_value_is_true(top(m))) {
        push_dot(m, pop(m));
    } else {
        drop(m);
        m->at = step->a;
    }
}

/* and, or: jumps with the value, or drops it. */
static void decide(struct machine *m, const struct template_step *step)
{
    if (template_value_is_true(top(m)) == (step->kind == STEP_OR)) {
        m->at = step->a;
    } else {
        drop(m);
    }
}

static int push_step(struct machine *m, const struct template_step *step)
{
    json_t *value = step->kind == STEP_CONSTANT
                        ? json_array_get(m->program->constants, step->a)
                    : step->kind == STEP_DOT ? m->dots[m->dot_count - 1]
                                             : m->variables[step->a];

    return push(m, json_incref(value));
}

static int carry_out(struct machine *m, const struct template_step *step)
{
    int err = RC_OK;

    switch ((enum template_step_kind)step->kind) {
    case STEP_TEXT:
        rc_buffer_append(m->out, m->program->source + step->a, step->b);
        break;
    case STEP_CONSTANT:
    case STEP_DOT:
    case STEP_VARIABLE:
        err = push_step(m, step);
        break;
    case STEP_FIELD:
        err = take_field(m, step);
        break;
    case STEP_CALL:
    case STEP_PIPE:
        err = call(m, step);
        break;
    case STEP_STORE:
        set_variable(m, step->a, top(m));
        break;
    case STEP_PRINT:
        err = print(m);
        break;
    case STEP_DROP:
        drop(m);
        break;
    case STEP_JUMP:
        m->at = step->a;
        break;
    case STEP_UNLESS:
        m->at = template_value_is_true(top(m)) ? m->at : step->a;
        drop(m);
        break;
    case STEP_AND:
    case STEP_OR:
        decide(m, step);
        break;
    case STEP_WITH:
        with(m, step);
        break;
    case STEP_WITH_END:
        pop_dot(m);
        break;
    case STEP_RANGE:
        err = begin_round(m, step);
        break;
    case STEP_NEXT:
        err = next_of_round(m, step);
        break;
    case STEP_RANGE_END:
        end_round(m);
        break;
    case STEP_END:
    case STEP_KIND_COUNT:
        break;
    }
    return err != RC_OK ? err : m->out->err;
}

/* ---- A rendering. */

static void explain(const struct machine *m, const struct template_step *step, int err,
                    char error[TEMPLATE_ERROR_MAX])
{
    const char *why = m->out->err == RC_ETOOBIG ? "the text is larger than it may be"
                      : err == RC_EINVAL || err == RC_ETOOBIG ? m->call.why
                                                              : rc_strerror(err);

    (void)snprintf(
        error, TEMPLATE_ERROR_MAX, "%.150s:%u:%u: %s%s%s", m->program->name,
        step->spot.line, step->spot.column, m->call.name != NULL ? m->call.name : "",
        m->call.name != NULL ? ": " : "", why[0] != '\0' ? why : rc_strerror(err));
    rc_text_to_line(error, TEMPLATE_ERROR_MAX);
}

static void clear(struct machine *m)
{
    while (m->height > 0) {
        drop(m);
    }
    while (m->round_count > 0) {
        struct round *round = &m->rounds[--m->round_count];
        json_decref(round->list);
        json_decref(round->keys);
    }
    while (m->dot_count > 0) {
        json_decref(m->dots[--m->dot_count]);
    }
    for (size_t i = 0; i < TEMPLATE_VARIABLES_MAX; i++) {
        json_decref(m->variables[i]);
    }
}

static int run(struct machine *m, size_t steps_left, char error[TEMPLATE_ERROR_MAX])
{
    for (;;) {
        assert(m->at < m->program->step_count);
        const struct template_step *step = &m->program->steps[m->at++];
        if (step->kind == STEP_END) {
            return RC_OK;
        }
        int err = RC_ETOOBIG;
        if (steps_left-- == 0) {
            m->call.name = NULL;
            (void)rc_text_put(m->call.why, sizeof m->call.why,
                              "this template takes more steps than it may");
        } else {
            err = carry_out(m, step);
        }
        if (err != RC_OK) {
            explain(m, step, err, error);
            return err;
        }
    }
}

int template_render(const struct template_program *program,
                    const struct template_source *source,
                    const struct template_bounds *bounds, struct rc_buffer *out,
                    struct template_result *out_result)
{
    struct machine *m = calloc(1, sizeof *m);

    *out_result = (struct template_result){.waiting = 0};
    if (m == NULL) {
        (void)rc_text_put(out_result->error, TEMPLATE_ERROR_MAX, rc_strerror(RC_ENOMEM));
        return RC_ENOMEM;
    }
    m->program = program;
    m->out = out;
    m->call.source = source;
    m->call.work_left = bounds->work_max;
    for (size_t i = 0; i < TEMPLATE_VARIABLES_MAX; i++) {
        m->variables[i] = json_null();
    }
    push_dot(m, json_null());
    size_t max = out->max;
    out->max = out->size + bounds->output_max;
    int err = run(m, bounds->steps_max, out_result->error);
    out->max = max;
    out_result->waiting = m->call.waiting;
    if (m->call.held != NULL) {
        (void)rc_text_put(out_result->held, sizeof out_result->held, m->call.held);
    }
    clear(m);
    free(m);
    return err;
}
