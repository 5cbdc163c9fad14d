/* prepared.h - prepared queries: named questions about services.
 *
 * A query is a JSON object in the API's own form, with every field in its place. Rules and
 * words are Consul's (its HTTP API, "Prepared Queries"). Pure. */
#ifndef AGENT_PREPARED_PREPARED_H
#define AGENT_PREPARED_PREPARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "agent/catalog/catalog.h"

enum { PREPARED_ERROR_MAX = 256, PREPARED_NAME_MAX = 256 };

/* Brings what a client sent into the one form: letter case of names does not matter, what is
 * missing gets its default, what is unknown is left out. RC_OK with `*out` owned by the caller;
 * RC_EINVAL with Consul's words in `error`; RC_ENOMEM. */
int prepared_read(const json_t *given, json_t **out, char error[PREPARED_ERROR_MAX]);

/* "" when it has none. Borrowed. */
const char *prepared_id(const json_t *query);
const char *prepared_name(const json_t *query);
const char *prepared_session(const json_t *query);
bool prepared_is_template(const json_t *query);

/* Whether letter case tells names apart: not in DNS. */
enum prepared_case { PREPARED_CASE_COUNTS, PREPARED_CASE_FOLDED };

/* Whether a template answers for `name`, and how well: the length of its prefix and one; 0: not
 * at all. Of several the best is taken. */
size_t prepared_template_fit(const json_t *query, const char *name,
                             enum prepared_case letters);

/* The query as it is for `name`: a template with its variables filled in (${name.full},
 * ${name.prefix}, ${name.suffix}, ${match(N)}, ${agent.segment}), any other as it is. RC_OK with
 * `*out` owned by the caller; RC_ENOTFOUND: its expression does not match; RC_ENOMEM. */
int prepared_render(const json_t *query, const char *name, json_t **out);

/* Whether an expression of a template can be used: RC_OK, or RC_EINVAL with words in `error`. */
int prepared_pattern_check(const char *text, char error[PREPARED_ERROR_MAX]);

/* The instances that a rendered query wants, in the catalog's order: on nodes that are here,
 * healthy as it asks, with its tags and metadata. Returns how many there are; writes the first `max` of them. */
size_t prepared_pick(const struct catalog *catalog, const json_t *query,
                     const struct catalog_service **out, size_t max);

/* Puts the nearest first; those as near as each other stay as they stood. `distance` says how
 * far a node is, in any unit; it is asked `count` times. RC_OK or RC_ENOMEM, nothing moved. */
int prepared_sort(const struct catalog_service **found, size_t count,
                  double (*distance)(void *context, const char *node), void *context);

/* Its own TTL for DNS in seconds; false when it has none. */
bool prepared_dns_ttl(const json_t *query, uint32_t *out);

/* "" unless answers are to be sorted: a node's name, "_agent" or "_ip". */
const char *prepared_near(const json_t *query);

#endif
