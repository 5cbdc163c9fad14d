#include "dns/answer/manners.h"

#include <string.h>

#include "dns/answer/rate.h"

enum { MS_PER_S = 1000, MS_PER_DS = 100 };

enum dns_cookie_standing dns_manners_begin(const struct dns_options *options,
                                           const struct dns_client *client,
                                           const struct dns_query *query,
                                           struct dns_extras *extras)
{
    const struct dns_asked *asked = &query->asked;

    if (asked->nsid == DNS_PART_PRESENT && options->nsid != NULL) {
        extras->nsid = options->nsid;
        extras->nsid_size = strnlen(options->nsid, DNS_NSID_MAX);
    }
    if (asked->keepalive == DNS_PART_PRESENT && client->channel == DNS_CHANNEL_TCP) {
        uint32_t timeout_ds = client->idle_ms / MS_PER_DS;
        extras->keepalive = DNS_PART_PRESENT;
        extras->keepalive_ds =
            (uint16_t)(timeout_ds < UINT16_MAX ? timeout_ds : UINT16_MAX);
    }
    if (asked->cookie_size == 0 || options->cookies == NULL) {
        return DNS_COOKIE_NONE;
    }
    return dns_cookie_judge(options->cookies, &client->peer, client->wall_ms / MS_PER_S,
                            asked, extras);
}

static enum dns_rate_class class_of(const struct dns_outcome *outcome)
{
    if (outcome->verdict != DNS_VERDICT_ANSWER || outcome->rcode == DNS_RCODE_NOERROR) {
        return DNS_RATE_ANSWERS; /* what others will say is not known yet */
    }
    return outcome->rcode == DNS_RCODE_NXDOMAIN ? DNS_RATE_NXDOMAIN : DNS_RATE_ERRORS;
}

/* Header, question and OPT: "ask over TCP", or "come again with this cookie" (RFC 7873
 * section 5.2.3), which a client that is what it seems will do. */
static void answer_less(const struct dns_client *client, uint8_t *out, size_t out_max,
                        struct dns_outcome *outcome)
{
    unsigned flags = client->may_recurse == DNS_YES ? DNS_FLAG_RA : 0;
    struct dns_extras extras;
    struct dns_writer writer;

    dns_extras_init(&extras);
    extras.cookie_size = outcome->extras->cookie_size;
    memcpy(extras.cookie, outcome->extras->cookie, extras.cookie_size);
    outcome->verdict = DNS_VERDICT_ANSWER;
    outcome->rcode = DNS_RCODE_BADCOOKIE;
    outcome->truncated = DNS_NO;
    if (extras.cookie_size == 0) {
        outcome->rcode = DNS_RCODE_NOERROR;
        outcome->truncated = DNS_YES;
        flags |= DNS_FLAG_TC;
    }
    dns_writer_begin(&writer, outcome->query, &extras, out, out_max, DNS_PART_PRESENT);
    outcome->size =
        dns_writer_end(&writer, outcome->query, (uint16_t)flags, outcome->rcode, &extras);
}

void dns_manners_limit(struct dns_rate *rate, const struct dns_client *client,
                       enum dns_cookie_standing standing, uint8_t *out, size_t out_max,
                       struct dns_outcome *outcome)
{
    if (client->channel != DNS_CHANNEL_UDP_REMOTE || standing == DNS_COOKIE_VALID ||
        client->is_counted == DNS_YES) {
        return;
    }
    outcome->limit_class = class_of(outcome);
    switch (dns_rate_judge(rate, &client->peer, outcome->limit_class, client->now_ms)) {
    case DNS_RATE_PASS:
    case DNS_RATE_VERDICT_COUNT:
        break;
    case DNS_RATE_SLIP:
        outcome->limit = DNS_LIMIT_SLIPPED;
        if (outcome->query->question == DNS_PART_PRESENT) {
            answer_less(client, out, out_max, outcome);
        }
        break;
    case DNS_RATE_DROP:
        outcome->limit = DNS_LIMIT_DROPPED;
        outcome->verdict = DNS_VERDICT_NOTHING;
        outcome->size = 0;
        break;
    }
}
