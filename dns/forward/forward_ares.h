/* forward_ares.h - questions about other zones, asked of other servers.
 *
 * One forwarder for each worker thread, on its loop: nothing is shared but what is
 * known of loops. Whom to ask is decided in forward_routes.h, what is kept in
 * forward_cache.h, who waits for what in forward_flight.h; c-ares asks.
 *
 * How a worker uses it, with the same `client` for all:
 *
 *     client.may_recurse = dns_forwarder_serves(f, &client.peer);
 *     outcome = dns_answer(answerer, &client, query, size, out, out_max);
 *     if (outcome.verdict == DNS_VERDICT_FORWARD) {
 *         outcome = dns_forwarder_look(f, &client, &outcome, out, out_max);
 *     }
 *     if (outcome.verdict == DNS_VERDICT_FORWARD) {
 *         later = dns_later_take(...);
 *         if (later == NULL) { out holds REFUSED or what there is: SERVFAIL instead }
 *         else dns_forwarder_ask(f, &client, &outcome, packet, done, later);
 *     }
 */
#ifndef DNS_FORWARD_FORWARD_ARES_H
#define DNS_FORWARD_FORWARD_ARES_H

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/text.h"
#include "dns/answer/answer.h"

struct uv_loop_s;           /* uv_loop_t of libuv */
struct dns_forward_options; /* forward_options.h */
struct dns_forwarder;
struct rc_metrics;

/* Called exactly once for each question that was asked, never from within
 * dns_forwarder_ask(): the answer, fit for the client. `bytes` are borrowed for the call.
 * Size 0: there is none, because the forwarder was closed. */
typedef void (*dns_forward_done)(void *context, const struct dns_outcome *outcome,
                                 const uint8_t *bytes);

/* Starts a forwarder on `loop`, whose answers of host names go into those of `answerer`:
 * it is borrowed until dns_forwarder_close(), as are options and metrics (may be NULL).
 * On RC_OK `*out` belongs to the caller. RC_ENOMEM, RC_EIO (c-ares does not start),
 * RC_EMALFORMED (a suffix), RC_ETOOBIG (too many servers). */
int dns_forwarder_start(struct uv_loop_s *loop, const struct dns_forward_options *options,
                        struct dns_answerer *answerer, struct rc_metrics *metrics,
                        struct dns_forwarder **out);

/* What is to be called around each answer that the forwarder has the answerer make. */
struct dns_forward_around {
    void (*enter)(void *context);
    void (*leave)(void *context);
    void *context;
};
void dns_forwarder_set_around(struct dns_forwarder *f,
                              const struct dns_forward_around *around);

/* Whether questions of that client are passed on: what RA says. NO if `f` is NULL. */
enum dns_choice dns_forwarder_serves(const struct dns_forwarder *f,
                                     const struct rc_address *client);

/* After the verdict FORWARD, at once: answers into `out` from what is kept, or refuses what
 * must not be asked; verdict ANSWER. Or FORWARD still: it is to be asked for, and `out` is as
 * it was. Does not allocate. `f` may be NULL: then `asked` is an ANSWER, as it is. */
struct dns_outcome dns_forwarder_look(struct dns_forwarder *f,
                                      const struct dns_client *client,
                                      const struct dns_outcome *asked, uint8_t *out,
                                      size_t out_max);

/* Asks the others, after FORWARD from dns_forwarder_look() and before anything else is
 * answered: `asked` is that outcome, `query` the packet (copied). */
void dns_forwarder_ask(struct dns_forwarder *f, const struct dns_client *client,
                       const struct dns_outcome *asked, struct rc_span query,
                       dns_forward_done done, void *context);

/* Ends all (each `done` hears size 0, from within this call), frees `f`, later calls
 * `on_closed`, which may be NULL, from the loop. */
void dns_forwarder_close(struct dns_forwarder *f, void (*on_closed)(void *context),
                         void *context);

#endif
