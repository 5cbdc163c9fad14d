/* acl_object.h - tokens, policies and roles between the API's JSON and the store's documents.
 *
 * The documents are told in agent/acl/directory.h. Whatever is returned as json_t is owned by
 * the caller; NULL means that `x` is answered already. */
#ifndef AGENT_HTTP_ACL_OBJECT_H
#define AGENT_HTTP_ACL_OBJECT_H

#include <jansson.h>

#include "agent/acl/directory.h"
#include "agent/http/exchange.h"

/* What is told of a token's secret. */
#define ACL_OBJECT_HIDDEN "<hidden>"

/* An object as the API shows it; `secret` NULL: as in a list, without one. `ACL_OBJECT_BRIEF`
 * leaves a policy's rules out. */
enum acl_object_form { ACL_OBJECT_BRIEF, ACL_OBJECT_WHOLE };
json_t *acl_object_show(const struct directory *directory, enum directory_kind kind,
                        const struct directory_item *item, const char *secret,
                        enum acl_object_form form);

/* Answers 200 with `value`, which is taken. */
void acl_object_answer(struct http_exchange *x, json_t *value);

/* The text under a key of the request's body whatever its letter case; "" if it is missing. */
const char *acl_object_text(const json_t *body, const char *key);
json_t *acl_object_field(const json_t *body, const char *wanted);

/* Adds Policies, Roles (tokens only), ServiceIdentities and NodeIdentities of the request to a
 * document. False: answered. */
bool acl_object_read_links(const struct directory *directory, struct http_exchange *x,
                           const json_t *body, enum directory_kind kind,
                           json_t *document);

/* A new random UUID; `label` tells apart what is made for one request. A request that may come
 * again, by another agent or with an id of its client's, gets the same, so that its answer tells
 * the truth. */
void acl_object_id(struct http_api *api, struct http_exchange *x, const char *label,
                   char out[SUBJECT_ID_SIZE]);

/* Whether the request may have come before: then only the store knows whether what it makes is
 * there because of that. */
bool acl_object_may_repeat(struct http_exchange *x);

/* Writes `document` (taken) under `id`; the exchange is answered with x->draft, completed by the
 * indexes. `index` is that of what it replaces, 0: there must be none. */
struct acl_object_write {
    enum directory_kind kind;
    const char *id;
    uint64_t index;
    uint64_t ttl_ms;      /* of tokens that expire; 0: never */
    const char *name;     /* of policies and roles, which have it alone; else NULL */
    const char *old_name; /* that it had until now; NULL: it is new */
};
void acl_object_put(struct http_api *api, struct http_exchange *x,
                    const struct acl_object_write *write, json_t *document);

/* Deletes it and answers true. */
void acl_object_delete(struct http_api *api, struct http_exchange *x,
                       enum directory_kind kind, const char *id);

/* What each write ends with: errand_told. */
struct store_outcome;
void acl_object_told(struct http_api *api, struct http_exchange *x,
                     const struct store_outcome *outcome);

#endif
