/* explain.h - what would become of a request: which route takes it and why not another, what
 * an instance would get to see, and which instance that would be.
 *
 * The same code decides as in the worker: the request is written as bytes, parsed, routed and
 * shaped. Pure; what the running proxy knows of its pools comes as the text of its /upstreams. */
#ifndef PROXY_EXPLAIN_EXPLAIN_H
#define PROXY_EXPLAIN_EXPLAIN_H

#include <stddef.h>

#include "base/buffer.h"
#include "proxy/config/config.h"

enum { EXPLAIN_FIELDS_MAX = 50 };

struct explain_question {
    const char *url;    /* http://host[:port]/path; the scheme may be left out */
    const char *method; /* NULL = GET */
    const char *source; /* IP address of the client; NULL = 127.0.0.1 */
    const char *fields[EXPLAIN_FIELDS_MAX]; /* "Name: value"; NULL ends */
};

/* How a request would fare. */
enum explain_end {
    EXPLAIN_SERVED,  /* by an instance, or by the route itself */
    EXPLAIN_REFUSED, /* no route, or no honest request */
    EXPLAIN_UNASKED  /* the question is none; `why` says what is wrong */
};

struct explanation; /* facts in order */

/* Answers from the configuration alone. `*out` is owned by the caller, also for REFUSED. */
enum explain_end explain_request(const struct config *config,
                                 const struct explain_question *question,
                                 struct explanation **out, char why[256]);

/* The name of the pool that /upstreams knows it by; NULL: no instance is needed. */
const char *explain_pool(const struct explanation *explanation);

/* Adds what the running proxy says of the instances: `text` is its /upstreams; NULL: it does not
 * answer, and `problem` says why. */
void explain_instances(struct explanation *explanation, const struct config *config,
                       const char *text, size_t size, const char *problem);

/* Appends it all: for people, or as one JSON object with the same names. */
void explain_text(const struct explanation *explanation, struct rc_buffer *out);
void explain_json(const struct explanation *explanation, struct rc_buffer *out);

void explain_destroy(struct explanation *explanation); /* NULL is allowed */

#endif
