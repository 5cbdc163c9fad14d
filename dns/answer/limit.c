#include "dns/answer/limit.h"

enum {
    EDNS_WORTH_MAX = 512, /* at most that: udp_answer_limit counts */
    CONSUL_ANSWERS_MAX = 8
};

size_t dns_limit_size(const struct dns_query *query, enum dns_channel channel,
                      size_t out_max)
{
    static const size_t ours[] = {
        [DNS_CHANNEL_UDP_REMOTE] = DNS_UDP_REMOTE_MAX,
        [DNS_CHANNEL_UDP_LOCAL] = DNS_UDP_LOCAL_MAX,
        [DNS_CHANNEL_TCP] = DNS_MESSAGE_MAX,
    };
    size_t limit = ours[channel];

    if (channel == DNS_CHANNEL_UDP_REMOTE && query->patience == DNS_PATIENCE_OF_CONSUL) {
        limit = DNS_UDP_LOCAL_MAX;
    }
    if (channel != DNS_CHANNEL_TCP) {
        size_t theirs =
            query->edns == DNS_PART_PRESENT ? query->edns_size : DNS_UDP_PLAIN_MAX;
        theirs = theirs < DNS_UDP_PLAIN_MAX ? DNS_UDP_PLAIN_MAX : theirs;
        limit = theirs < limit ? theirs : limit;
    }
    return limit < out_max ? limit : out_max;
}

size_t dns_limit_answers(const struct dns_options *options, const struct dns_query *query,
                         enum dns_channel channel, enum dns_limited limited)
{
    size_t limit = SIZE_MAX;

    if (options->udp_answer_limit > 0 && channel != DNS_CHANNEL_TCP &&
        (query->edns == DNS_PART_MISSING || query->edns_size <= EDNS_WORTH_MAX)) {
        limit = options->udp_answer_limit;
        if (limit > CONSUL_ANSWERS_MAX && options->consul_compat == DNS_YES) {
            limit = CONSUL_ANSWERS_MAX;
        }
    }
    if (limited == DNS_LIMITED_ADDRESSES && options->a_record_limit > 0 &&
        options->a_record_limit < limit) {
        limit = options->a_record_limit;
    }
    return limit;
}
