/* template_query.h - the questions that templates ask: which request answers one, and what the
 * answer is as a value.
 *
 * The shapes are consul-template's: an instance is {Node NodeAddress NodeID NodeMeta
 * NodeDatacenter NodeTaggedAddresses ID Name Address Port Tags ServiceMeta Weights Status
 * Checks}, a key {Path Key Value}. Lists are in a stable order: instances by node and id, the rest by name, tags
 * too, so that the same catalog gives the same text. Pure. */
#ifndef AGENT_TEMPLATE_TEMPLATE_QUERY_H
#define AGENT_TEMPLATE_TEMPLATE_QUERY_H

#include <stddef.h>

#include <jansson.h>

#include "base/buffer.h"
#include "base/text.h"

enum { TEMPLATE_NAME_MAX = 1024 };

enum template_query_kind {
    QUERY_SERVICE,  /* instances with all states */
    QUERY_PASSING,  /* only those that pass */
    QUERY_SERVICES, /* names and their tags */
    QUERY_NODES,
    QUERY_NODE,
    QUERY_KEY, /* a text, or null */
    QUERY_TREE,
    QUERY_KIND_COUNT
};

/* Spans are borrowed; empty when not given. */
struct template_query {
    enum template_query_kind kind;
    struct rc_span name;
    struct rc_span tag;
    struct rc_span datacenter;
};

/* Reads "[TAG.]NAME[@DATACENTER]" into all but the kind. RC_OK, or RC_EINVAL: no name, or too long. */
int template_query_parse_name(struct rc_span text, struct template_query *out);

/* Appends the path and parameters of the request, escaped: it is also what tells two queries apart. */
void template_query_target(const struct template_query *query, struct rc_buffer *out);

/* The value of an answer of the API. `http_status` 404 of keys is an empty one. RC_OK with
 * `*out` owned by the caller, RC_EMALFORMED, RC_ENOMEM. */
int template_query_value(const struct template_query *query, long http_status,
                         const void *bytes, size_t size, json_t **out);

/* "the service web", "the key a/b": for messages. */
void template_query_describe(const struct template_query *query, char *space,
                             size_t size);

#endif
