/* session_request.h - what a client asks for when it makes a session, and what is wrong with it.
 *
 * Names, defaults and words are Consul's; the shortest TTL is ours to set. */
#ifndef AGENT_HTTP_SESSION_REQUEST_H
#define AGENT_HTTP_SESSION_REQUEST_H

#include <jansson.h>

#include "agent/http/exchange.h"
#include "agent/store/store.h"

struct session_request {
    struct store_session session; /* its lists point into the two below */
    const char *node_checks[STORE_SESSION_CHECKS_MAX];
    const char *service_checks[STORE_SESSION_CHECKS_MAX];
};

/* Reads `body` (may be NULL: all defaults), which must outlive `out`. False: answered. */
bool session_request_read(const struct http_api *api, struct http_exchange *x,
                          json_t *body, struct session_request *out);

/* A time to live alone, into `ttl_ms` and `ttl_text`. False: answered. */
bool session_request_ttl(const struct http_api *api, struct http_exchange *x,
                         const char *text, struct store_session *session);

/* Whether its node and checks are there and well, as the catalog has it. False: answered. */
bool session_request_stands(const struct http_api *api, struct http_exchange *x,
                            const struct store_session *session);

#endif
