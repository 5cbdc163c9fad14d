/* manners.h - what is owed to a client beside the answer to its question.
 *
 * Options that our OPT carries because the query's asked for them, and the limit on answers
 * over UDP. See cookie.h and rate.h for the rules. */
#ifndef DNS_ANSWER_MANNERS_H
#define DNS_ANSWER_MANNERS_H

#include "dns/answer/answer.h"
#include "dns/answer/cookie.h"
#include "dns/wire/message.h"

/* Fills in what our OPT carries, which must be empty before, for a query with OPT. Returns
 * how the client's cookie stands. */
enum dns_cookie_standing dns_manners_begin(const struct dns_options *options,
                                           const struct dns_client *client,
                                           const struct dns_query *query,
                                           struct dns_extras *extras);

/* The answer is made and `outcome` tells of it: whether this client gets it. If not,
 * `outcome` and the answer in `out`, of `out_max` bytes, become one that is no larger than
 * the query but for a cookie, or nothing. */
void dns_manners_limit(struct dns_rate *rate, const struct dns_client *client,
                       enum dns_cookie_standing standing, uint8_t *out, size_t out_max,
                       struct dns_outcome *outcome);

#endif
