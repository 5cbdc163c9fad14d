#include "dns/answer/answerer.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dns/answer/limit.h"

enum { DOMAIN_MAX = 200 }; /* leaves room for services and tags */

void dns_options_init(struct dns_options *options)
{
    memset(options, 0, sizeof *options);
    options->domain = "rollcall";
    options->enable_truncate = DNS_YES;
    options->max_stale_ms = UINT64_MAX;
    options->soa.refresh_s = 3600;
    options->soa.retry_s = 600;
    options->soa.expire_s = 86400;
}

int dns_answerer_create(const struct dns_options *options, const struct dns_view *view,
                        uint64_t random_seed, struct dns_answerer **out)
{
    if (strlen(options->domain) > DOMAIN_MAX ||
        (options->alt_domain != NULL && strlen(options->alt_domain) > DOMAIN_MAX)) {
        return RC_EMALFORMED;
    }
    struct dns_answerer *answerer = calloc(1, sizeof *answerer);
    if (answerer == NULL) {
        return RC_ENOMEM;
    }
    int err = dns_ground_init(&answerer->ground, options, view);
    if (err != RC_OK) {
        free(answerer);
        return err;
    }
    rc_random_init(&answerer->random, random_seed);
    dns_lane_init(&answerer->lane, &answerer->ground, &answerer->random, &answerer->pick);
    *out = answerer;
    return RC_OK;
}

void dns_answerer_set_foreign(struct dns_answerer *answerer,
                              const struct dns_foreign *foreign)
{
    answerer->foreign = foreign;
}

void dns_answerer_destroy(struct dns_answerer *answerer)
{
    free(answerer);
}

unsigned dns_answerer_wanted(const struct dns_reply *reply)
{
    switch (reply->query->type) {
    case DNS_TYPE_A:
        return DNS_WANT_A;
    case DNS_TYPE_AAAA:
        return DNS_WANT_AAAA;
    case DNS_TYPE_ANY:
        return DNS_WANT_A | DNS_WANT_AAAA;
    default:
        return 0;
    }
}

enum dns_choice dns_answerer_over_udp(const struct dns_reply *reply)
{
    return reply->client->channel == DNS_CHANNEL_TCP ? DNS_NO : DNS_YES;
}

enum dns_choice dns_answerer_wants_one_set(const struct dns_reply *reply)
{
    return reply->query->type == DNS_TYPE_ANY &&
                   dns_answerer_over_udp(reply) == DNS_YES && !dns_reply_is_consuls(reply)
               ? DNS_YES
               : DNS_NO;
}

size_t dns_answerer_limit(const struct dns_reply *reply, unsigned wanted)
{
    return dns_limit_answers(reply->ground->options, reply->query, reply->client->channel,
                             wanted != 0 ? DNS_LIMITED_ADDRESSES : DNS_LIMITED_OTHERS);
}

struct dns_chase dns_answerer_chase(struct dns_answerer *answerer,
                                    struct dns_reply *reply, unsigned wanted)
{
    return (struct dns_chase){.random = &answerer->random,
                              .pick = &answerer->chase_pick,
                              .reply = reply,
                              .section = DNS_SECTION_ANSWER,
                              .wanted = wanted,
                              .limit = dns_answerer_limit(reply, wanted)};
}

void dns_answer_not_ready(struct dns_reply *reply)
{
    reply->flags = 0;
    reply->rcode = DNS_RCODE_SERVFAIL;
    dns_extras_add_error(reply->extras, DNS_EXTENDED_NOT_READY, NULL);
}
