/* permits.h - the tokens of this agent's HTTP interface: off, warned about or enforced.
 *
 * Turns the token of a request into a subject (agent/acl/subject.h), from which permit.h answers.
 * An agent with the store's engine looks into the store's mirror. One without asks a server
 * who a token is and keeps the answer until something changes, PERMITS_FRESH_MS at most; the
 * request waits meanwhile.
 *
 * What is in the store:
 *   settings/acl-bootstrap  {"AccessorID"}: tokens are in use
 *   settings/acl-key        hex of the key of all SecretHashes, made with the first token
 *   tokens, policies, roles as agent/acl/directory.h tells
 * The key stands beside the hashes, so a snapshot that is restored elsewhere keeps its tokens
 * working. It guards against nobody who has the store; secrets are random UUIDs, which are not
 * to be found from a hash either way. */
#ifndef AGENT_HTTP_PERMITS_H
#define AGENT_HTTP_PERMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/acl/directory.h"
#include "agent/http/http.h"
#include "agent/http/permit.h"
#include "agent/http/routes.h"
#include "agent/store/store.h"

enum {
    PERMITS_FRESH_MS = 30 * 1000, /* what a server said, before it is asked again */
    PERMITS_UNSURE_MS = 1000,     /* the same while no server tells of changes */
    PERMITS_ABSENT_MS = 5 * 1000, /* that there is no such token */
    PERMITS_WAIT_MS = 5 * 1000,   /* for a server */
    PERMITS_REMOTE_MAX = 1024     /* tokens that servers were asked about */
};

#define PERMITS_BOOTSTRAP "acl-bootstrap"
#define PERMITS_KEY       "acl-key"

/* Where an agent without an engine learns of tokens. */
#define PERMITS_SUBJECT_PATH "/v1/internal/acl/subject"
#define PERMITS_CHANGES_PATH "/v1/internal/acl/changes"

/* NULL when memory is out. `options` is copied, its strings are borrowed. */
struct permits *permits_create(const struct permits_options *options);
void permits_destroy(struct permits *permits); /* NULL is allowed */

bool permits_are_used(const struct permits *permits); /* NULL: no */
enum http_acl_default permits_default(const struct permits *permits);

/* Whose request `x` is; called by routes_answer() before the handler. False: it waits, or is
 * answered already. */
bool permits_admit(struct http_api *api, struct http_exchange *x,
                   const struct route *route);

/* By which a token is known again where there are no others: hex, "" without a token. */
enum { PERMITS_PRINT_SIZE = 65 };
const char *permits_print(struct http_api *api, struct http_exchange *x,
                          char out[PERMITS_PRINT_SIZE]);

/* What a server said to a request that was forwarded: whether its token was known. */
void permits_forwarded(struct http_api *api, const struct http_exchange *x,
                       const struct http_reply *reply);

/* The reply to a question of ours; false: the ticket is not ours. On true those who wait for
 * `*wake` can go on. */
bool permits_told(struct http_api *api, http_ticket ticket,
                  const struct http_reply *reply, uint64_t *wake);

/* What DNS may show, by its token. Never waits: what is not known yet is not
 * shown. The serial changes with what is shown; 0: everything is. */
uint64_t permits_dns_serial(struct http_api *api);
bool permits_dns_shows(struct http_api *api, enum permit_resource resource,
                       const char *name);

/* ---- for the endpoints of tokens. */

/* What the store knows by now; with an engine only. */
struct directory *permits_directory(struct http_api *api);
bool permits_are_bootstrapped(struct http_api *api);

/* The keyed hash of a secret. False before there is a key. */
bool permits_hash(struct http_api *api, const char *secret,
                  uint8_t out[SECRET_HASH_SIZE]);

/* Whether the operator has put this index into the reset file; taken away if so. */
bool permits_may_reset(struct http_api *api, uint64_t index);

enum rule_resource permits_resource(enum permit_resource resource);
enum rule_access permits_access(enum permit_access access);

#endif
