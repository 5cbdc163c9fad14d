/* errand.h - what a request has asked of the store, and who hears the answer.
 *
 * The store answers later, and by then the client may have gone. An errand stands between:
 * the store knows it, and it knows the exchange for as long as that lives. */
#ifndef AGENT_HTTP_ERRAND_H
#define AGENT_HTTP_ERRAND_H

#include "agent/http/exchange.h"
#include "agent/store/store.h"

struct errand;

/* Writes the answer into `x`, or begins another errand, or lets it wait. */
typedef void errand_told(struct http_api *api, struct http_exchange *x,
                         const struct store_outcome *outcome);

/* Suspends `x` until the store calls errand_done() with what is returned as its context; `told`
 * is called then, unless the client has gone. NULL: no memory, 500 is answered. */
struct errand *errand_begin(struct http_api *api, struct http_exchange *x,
                            errand_told *told);

/* The store has refused to begin: answers for `err`, frees. */
void errand_refused(struct errand *errand, int err);

/* A store_done. */
void errand_done(void *context, const struct store_outcome *outcome);

/* The store carries out `ops` for `x`, once for each request of the client's; `told` is called as
 * above. What cannot begin is answered. */
void errand_submit(struct http_api *api, struct http_exchange *x,
                   const struct store_op *ops, size_t count, errand_told *told);

/* The exchange ends: whoever answers finds nobody. Nothing happens if it waits for nothing. */
void errand_forget(struct http_exchange *x);

/* Tells in a header which revision has what was written: who waits for a greater index sees what
 * came after it. */
void errand_revision(struct http_exchange *x, const struct store_outcome *outcome);

/* Answers for an outcome that is not RC_OK. */
void errand_failed(struct http_exchange *x, const struct store_outcome *outcome);

/* The 16 bytes by which the store knows a request that comes again: those of whoever sent it
 * on, or those of X-Rollcall-Request, read into `space`; or NULL. False: the header is
 * malformed, and 400 is answered. */
bool errand_request(struct http_exchange *x, uint8_t space[STORE_REQUEST_SIZE],
                    const uint8_t **out);

#endif
