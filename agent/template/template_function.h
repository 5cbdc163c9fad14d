/* template_function.h - the functions of templates: their names, how many arguments they take.
 *
 * Go's own, those of consul-template that templates of services need, and four of ours: hostPort,
 * nginxQuote, shellQuote and postgres. What they do is in template_text.c, template_list.c,
 * template_number.c, template_escape.c and template_catalog.c. Pure. */
#ifndef AGENT_TEMPLATE_TEMPLATE_FUNCTION_H
#define AGENT_TEMPLATE_TEMPLATE_FUNCTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "agent/template/template_value.h"
#include "base/text.h"

struct template_source;

/* One rendering, as its functions see it. */
struct template_call {
    const char *name;                     /* of the function */
    const struct template_source *source; /* what is known of the catalog */
    size_t waiting;                       /* how many questions have no answer yet */
    size_t work_left;                     /* bytes that functions may still make */
    const char *held;                     /* not NULL: why this must not be written */
    char held_space[TEMPLATE_WHY_MAX];
    char why[TEMPLATE_WHY_MAX];
};

typedef int (*template_function)(struct template_call *call, json_t *const *arguments,
                                 size_t count, json_t **out);

/* True with its number. */
bool template_function_find(struct rc_span name, uint32_t *out);
uint32_t template_function_and(void);
uint32_t template_function_or(void);

/* A name that is close, or NULL. */
const char *template_function_nearest(struct rc_span name);

/* NULL, or what is wrong with so many arguments; static. */
const char *template_function_fault(uint32_t function, size_t count);
const char *template_function_name(uint32_t function); /* NULL: there are no more */

/* Calls it: RC_OK with `*out` owned by the caller; RC_EINVAL with words in call->why; RC_ENOMEM,
 * RC_ETOOBIG. */
int template_function_call(uint32_t function, struct template_call *call,
                           json_t *const *arguments, size_t count, json_t **out);

#endif
