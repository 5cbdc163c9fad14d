/* forward_loops.h - servers whose questions come back to us.
 *
 * A server that we ask may, through others, ask us: then a question runs in a circle. Each
 * server is sent a question of a name that nobody else knows; if that arrives here, the
 * server is not asked until a later one does not. Shared by all workers of an agent, since
 * any of them may be the one that it comes back to: atomics only. */
#ifndef DNS_FORWARD_FORWARD_LOOPS_H
#define DNS_FORWARD_FORWARD_LOOPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "dns/wire/name.h"

enum { DNS_LOOPS_SERVERS_MAX = 128, DNS_LOOPS_EVERY_MS = 300 * 1000 };

struct dns_loops;

/* NULL when memory is out. */
struct dns_loops *dns_loops_create(uint64_t instance);
void dns_loops_destroy(struct dns_loops *loops); /* NULL is allowed */

/* One of the workers sends the probes. */
bool dns_loops_lead(struct dns_loops *loops); /* true: it is you, until you give up */
void dns_loops_give_up(struct dns_loops *loops);

/* The name of a probe to `server`; `nonce` is random. */
void dns_loops_probe(struct dns_loops *loops, const struct rc_address *server,
                     uint64_t nonce, struct dns_name *out);

/* A question arrived. True: it is one of our probes, not to be passed on. */
bool dns_loops_arrived(struct dns_loops *loops, const struct dns_name *name);

/* The time of the probe is over, or it was answered: what came of it. */
enum dns_loops_news { DNS_LOOPS_AS_BEFORE, DNS_LOOPS_BEGAN, DNS_LOOPS_ENDED };
enum dns_loops_news dns_loops_settle(struct dns_loops *loops,
                                     const struct rc_address *server);

/* Whether that server must not be asked. */
bool dns_loops_has(const struct dns_loops *loops, const struct rc_address *server);

/* A question with our own mark arrived: probes are wanted soon. take: whether they are,
 * which is then forgotten. */
void dns_loops_want(struct dns_loops *loops);
bool dns_loops_take_wish(struct dns_loops *loops);

#endif
