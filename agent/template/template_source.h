/* template_source.h - where a rendering finds answers.
 *
 * A question is asked by whoever renders, as often as it wants. What is not known yet is
 * remembered by the owner, who asks the agent, and renders again. */
#ifndef AGENT_TEMPLATE_TEMPLATE_SOURCE_H
#define AGENT_TEMPLATE_TEMPLATE_SOURCE_H

#include "agent/template/template_query.h"

struct template_source {
    /* The answer, borrowed until the rendering ends; NULL: not known yet. */
    json_t *(*find)(void *context, const struct template_query *query);
    void *context;
    unsigned
        min_instances; /* fewer than these in answer to `service`: what is rendered is held */
};

#endif
