/* relay.h - requests that are answered at another agent: on their way out, and the replies.
 *
 * An agent without the store's engine passes what only servers know on to one of them, as it
 * came. Pure: the carrying is http_operations.forward's business. */
#ifndef AGENT_HTTP_RELAY_H
#define AGENT_HTTP_RELAY_H

#include "agent/http/exchange.h"
#include "agent/http/http.h"

/* Hands `x` over to be forwarded and lets it wait for the reply; or answers 500 when it came
 * from another agent already, or there is nobody who forwards. */
void relay_forward(struct http_api *api, struct http_exchange *x);

/* Makes the reply the answer of `x`, but for headers that are each connection's own. */
void relay_take(struct http_exchange *x, const struct http_reply *reply);

/* The answer of `x` as a reply; borrowed from it and from `headers`. */
struct http_reply relay_reply(const struct http_exchange *x,
                              struct http_reply_header headers[EXCHANGE_HEADERS_MAX]);

/* The X-Consul-Index of a reply; 0 if it tells none. */
uint64_t relay_index(const struct http_reply *reply);

#endif
