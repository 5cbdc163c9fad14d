/* shape.h - what goes on of a request: its target, fields, and where redirects lead.
 *
 * Nothing here is called for a route that changes nothing and a path that is spelled plainly. */
#ifndef PROXY_ROUTE_SHAPE_H
#define PROXY_ROUTE_SHAPE_H

#include "proxy/pattern/template.h"
#include "proxy/route/route.h"

/* What else a template may ask for. Borrowed. */
struct shape_facts {
    struct rc_span scheme; /* "http" or "https" */
    struct rc_span client; /* address without port */
    struct rc_span port;   /* of the listener */
    struct rc_span request_id;
};

/* What the route's templates are filled with. Spans of the choice and the facts. */
void shape_values(const struct route_choice *choice, const struct shape_facts *facts,
                  struct template_values *out);

/* Path and query as they go on: rewritten, or in their normal form; empty when they go on as
 * they came. In the scratch. RC_OK; RC_ETOOBIG; RC_EMALFORMED: what was put together is no
 * path (it leads above the root, for example). */
int shape_target(const struct route_choice *choice, const struct template_values *values,
                 struct route_scratch *scratch, struct rc_span *out);

/* Where a redirect leads. In the scratch. RC_OK or RC_ETOOBIG. */
int shape_location(const struct route_choice *choice,
                   const struct template_values *values, struct route_scratch *scratch,
                   struct rc_span *out);

/* True if the route takes a field of this name away: `remove`, or `set`. */
bool shape_drops(const struct config_edits *edits, struct rc_span name);

/* Writes the fields that the route sets and adds, each with its CRLF. */
void shape_fields(const struct config_edits *edits, const struct template_values *values,
                  struct rc_writer *out);

#endif
