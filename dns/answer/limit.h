/* limit.h - how many bytes, and how many records, may an answer have?
 *
 * RFC 1035 section 4.2.1, RFC 6891 section 6.2.3; Consul's `udp_answer_limit` and
 * `a_record_limit`. */
#ifndef DNS_ANSWER_LIMIT_H
#define DNS_ANSWER_LIMIT_H

#include <stddef.h>

#include "dns/answer/answer.h"
#include "dns/wire/message.h"

/* Over UDP 512 bytes without EDNS, else what the client takes, but no more than passes
 * its path whole. Never more than `out_max`. */
size_t dns_limit_size(const struct dns_query *query, enum dns_channel channel,
                      size_t out_max);

/* What is counted: addresses are what `a_record_limit` is about. */
enum dns_limited { DNS_LIMITED_ADDRESSES, DNS_LIMITED_OTHERS };

/* Policy, not space: so many answers at most; SIZE_MAX: no limit. */
size_t dns_limit_answers(const struct dns_options *options, const struct dns_query *query,
                         enum dns_channel channel, enum dns_limited limited);

#endif
