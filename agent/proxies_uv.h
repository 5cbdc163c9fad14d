/* proxies_uv.h - asks the proxies of the pool for their figures, when somebody wants to see them.
 *
 * All at once, each for at most PROXY_BOOK_LIMIT_MS, one round at a time; a round is good for
 * PROXY_BOOK_FRESH_MS, whoever asks. */
#ifndef AGENT_PROXIES_UV_H
#define AGENT_PROXIES_UV_H

#include "agent/http/proxy_book.h"

struct agent;
struct proxies_uv;

/* RC_OK or RC_ENOMEM. */
int agent_open_proxies(struct agent *agent);
/* `agent->open` counts it until it is closed. */
void agent_close_proxies(struct agent *agent);

/* What they said last; borrowed for as long as it is open. */
const struct proxy_book *agent_proxies_book(const struct agent *agent);

/* For http_operations: starts a round unless one is under way. HTTP_NEWS_PROXIES tells of its
 * end, never from inside. */
void agent_ask_proxies(void *context);

#endif
