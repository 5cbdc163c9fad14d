/* route.h - which route of a listener takes a request, and why no other.
 *
 * The most exact host of the listener: its name, else the longest `*.x`, else `*`. A trailing
 * dot and a port are no part of a host's name. Then, within that host and no other:
 *
 *   1. `route = /path`        the whole path
 *   2. `route ~ REGEX`        in the order of the file
 *   3. `route /prefix`        by whole segments, the longest first
 *
 * Expressions come before prefixes, as in nginx: they are narrow, and nearly every host has a
 * `route /` that would hide them. A route whose `when` does not hold is passed over; of two
 * with the same path the one with conditions is tried first.
 *
 * Paths are compared in their normal form (path_form.h). Where a careless server could read the
 * path otherwise, that reading must lead to the same route, else there is none: so no spelling
 * leads past a route that guards what is behind it. Pure; no memory. */
#ifndef PROXY_ROUTE_ROUTE_H
#define PROXY_ROUTE_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/text.h"
#include "proxy/config/config.h"
#include "proxy/pattern/path_form.h"
#include "proxy/wire/http1.h"

/* Space that choosing and shaping need; one a thread. */
struct route_scratch {
    struct pattern_scratch *patterns;
    uint64_t gave_up; /* expressions that ended without an answer: counted as no match */
    char normal[PATH_FORM_MAX];
    char lax[PATH_FORM_MAX];
    char target[2 * PATH_FORM_MAX]; /* what goes on, when it is not what came */
};

/* NULL when memory is out. */
struct route_scratch *route_scratch_create(void);
void route_scratch_destroy(struct route_scratch *scratch); /* NULL is allowed */

/* A request, as far as it is looked at. All borrowed. */
struct route_request {
    const char *bytes; /* of the head */
    const struct http1_request *request;
    const struct rc_address *peer;
};

enum route_verdict {
    ROUTE_FOUND,
    ROUTE_NO_HOST,   /* no host of the listener, and no `*` */
    ROUTE_NO_PATH,   /* the host has no route for it */
    ROUTE_BAD_PATH,  /* refused: no honest path */
    ROUTE_AMBIGUOUS, /* refused: it could be read as one of another route */
    ROUTE_VERDICT_COUNT
};

struct route_choice {
    enum route_verdict verdict;
    enum path_fault fault;          /* BAD_PATH */
    const struct config_host *host; /* NULL: NO_HOST */
    const struct config_route *route;
    struct rc_span name;  /* of the host asked for: without port and trailing dot */
    struct rc_span path;  /* normal form; in the head or in the scratch */
    struct rc_span query; /* with its "?", or empty; in the head */
    bool respelled;       /* the path came in another spelling */
    struct pattern_captures captures; /* `count` is 0 unless the route is an expression */
    /* AMBIGUOUS: how else it may be read, and where that leads (NULL: nowhere). */
    struct rc_span lax;
    const struct config_route *other;
};

/* Why a route was not taken. */
enum route_miss { ROUTE_MISS_PATH, ROUTE_MISS_CONDITION, ROUTE_MISS_GAVE_UP };

/* Who wants to know about those that were passed over, in the order in which they were tried. */
struct route_watch {
    void *context;
    void (*missed)(void *context, const struct config_route *route, enum route_miss miss,
                   const struct config_condition *condition);
};

/* `watch` may be NULL. The verdict is also returned. */
enum route_verdict route_find(const struct config_listener *listener,
                              const struct route_request *request,
                              struct route_scratch *scratch,
                              const struct route_watch *watch, struct route_choice *out);

/* The listener's host for a name without port; NULL when there is none. */
const struct config_host *route_host(const struct config_listener *listener,
                                     struct rc_span name);

/* The host's name without port and trailing dot. */
struct rc_span route_name(struct rc_span host);

/* Of a CONFIG_TO_SERVICE route: the service that the host names, lower case, into `space`.
 * RC_OK, or RC_ENOTFOUND: it is not one label of letters, digits, "-" and "_". */
int route_service(const struct route_choice *choice, char *space, size_t size);

/* For people: "no route for this path". */
const char *route_verdict_text(const struct route_choice *choice);

#endif
