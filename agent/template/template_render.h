/* template_render.h - a template and what is known give a text.
 *
 * Deterministic: the same program and answers give the same bytes. Bounded: in output, in
 * bytes that functions make, and in steps, so that no template hangs. Pure. */
#ifndef AGENT_TEMPLATE_TEMPLATE_RENDER_H
#define AGENT_TEMPLATE_TEMPLATE_RENDER_H

#include "agent/template/template_program.h"
#include "agent/template/template_source.h"
#include "agent/template/template_value.h"
#include "base/buffer.h"

enum { TEMPLATE_OUTPUT_MAX = 64 << 20 };

struct template_bounds {
    size_t output_max; /* bytes */
    size_t work_max;   /* bytes that functions make on the way */
    size_t steps_max;
};

extern const struct template_bounds template_bounds_usual;

struct template_result {
    size_t waiting;              /* answers that are not known yet: not to be written */
    char held[TEMPLATE_WHY_MAX]; /* not empty: complete, and yet not to be written; why */
    char error[TEMPLATE_ERROR_MAX]; /* "name:line:column: function: what is wrong" */
};

/* Appends the text to `out`. RC_OK; or an error told in out_result->error. While answers are missing an error may
 * come of that alone. */
int template_render(const struct template_program *program,
                    const struct template_source *source,
                    const struct template_bounds *bounds, struct rc_buffer *out,
                    struct template_result *out_result);

#endif
