/* acl_world.h - an agent with an engine, tokens in use, and nothing around it, for tests.
 *
 * node1 has the services web and db, the key "a", a session and a prepared query; tokens are
 * bootstrapped. All exchanges come from afar. */
#ifndef TESTS_UNIT_ACL_WORLD_H
#define TESTS_UNIT_ACL_WORLD_H

#include "agent/http/exchange.h"
#include "agent/http/permits.h"
#include "agent/http/proxy_book.h"
#include "tests/unit/store_world.h"

/* Secrets of tokens that are there. */
#define ACL_ADMIN    "aaaaaaaa-0000-4000-8000-000000000001" /* role admin */
#define ACL_READ     "aaaaaaaa-0000-4000-8000-000000000002" /* role read */
#define ACL_REGISTER "aaaaaaaa-0000-4000-8000-000000000003" /* role register */
#define ACL_OTHER \
    "aaaaaaaa-0000-4000-8000-000000000004" /* writes all that begins with "other" */
#define ACL_EXPIRED "aaaaaaaa-0000-4000-8000-000000000005" /* was admin */
#define ACL_SESSION "bbbbbbbb-0000-4000-8000-000000000001"
#define ACL_QUERY   "cccccccc-0000-4000-8000-000000000001"

struct acl_world {
    struct world *store;
    struct http_api api;
    struct http_exchange x;
    struct schedule *schedule;
    struct proxy_book *proxies; /* one, on node1 */
    struct history *history;    /* web and db were registered on node1, which joined */
    struct rc_buffer told;      /* lines for the log */
};

struct acl_world *acl_world_create(enum http_acl_mode mode);
void acl_world_destroy(struct acl_world *w);

/* Asks and waits for the answer; `token` NULL: without. */
const struct http_exchange *acl_world_ask(struct acl_world *w, const char *method,
                                          const char *target, const char *body,
                                          const char *token);

/* The same as an agent without an engine sends it here; `request` is its id of 16 bytes. */
const struct http_exchange *acl_world_relay(struct acl_world *w, const char *method,
                                            const char *target, const char *body,
                                            const char *token, const char *request);

#endif
