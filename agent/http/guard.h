/* guard.h - may this request be answered at all, before anybody looks at what it asks.
 *
 * An agent on loopback trusts whoever is on the machine; a web page in somebody's browser is
 * not. Two rules keep it out (security.md H2): a name in Host: that is not ours means
 * that a foreign name was pointed at this address (DNS rebinding), and a write that comes
 * from another site's page is refused (cross-site request forgery). An agent elsewhere is asked
 * under names that it cannot know, by whoever can reach it anyway; it looks at names if it was
 * told which ones are its own. */
#ifndef AGENT_HTTP_GUARD_H
#define AGENT_HTTP_GUARD_H

#include <stdbool.h>

struct http_api;
struct http_exchange;

/* Where the client connected to. */
enum guard_place { GUARD_LOOPBACK, GUARD_ELSEWHERE };

/* True if the request may pass; otherwise it is answered already, with 403 or 400. */
bool guard_admits(const struct http_api *api, struct http_exchange *x,
                  enum guard_place place);

#endif
