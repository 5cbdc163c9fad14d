#include "dns/answer/answerer.h"

void dns_answer_apex(struct dns_answerer *answerer, const struct dns_question *question,
                     struct dns_reply *reply)
{
    uint16_t type = reply->query->type;

    (void)answerer;
    if (type == DNS_TYPE_SOA || type == DNS_TYPE_ANY) {
        dns_reply_soa(reply, DNS_SECTION_ANSWER, question->zone_label,
                      reply->ground->options->soa.min_ttl_s);
        bool is_all = type == DNS_TYPE_ANY && dns_answerer_over_udp(reply) == DNS_NO;
        dns_reply_name_servers(reply, is_all ? DNS_SECTION_ANSWER : DNS_SECTION_AUTHORITY,
                               question->zone_label);
    } else if (type == DNS_TYPE_NS) {
        dns_reply_name_servers(reply, DNS_SECTION_ANSWER, question->zone_label);
    }
}

void dns_answer_name_server(struct dns_answerer *answerer,
                            const struct dns_question *question, struct dns_reply *reply)
{
    struct dns_chase chase =
        dns_answerer_chase(answerer, reply, dns_answerer_wanted(reply));

    (void)question;
    dns_chase_name_servers(&chase, DNS_QUESTION_AT, reply->ground->options->node_ttl_s);
}

/* Resolvers that ask for as little as they can ask for such names first (RFC 9156), and take
 * NXDOMAIN as the end of it (RFC 8020). */
void dns_answer_empty(struct dns_answerer *answerer, const struct dns_question *question,
                      struct dns_reply *reply)
{
    (void)answerer;
    (void)question;
    reply->rcode = dns_reply_is_consuls(reply) ? DNS_RCODE_NXDOMAIN : DNS_RCODE_NOERROR;
}

void dns_answer_unknown(struct dns_answerer *answerer,
                        const struct dns_question *question, struct dns_reply *reply)
{
    (void)answerer;
    (void)question;
    reply->rcode = DNS_RCODE_NXDOMAIN;
}

void dns_answer_refused(struct dns_answerer *answerer,
                        const struct dns_question *question, struct dns_reply *reply)
{
    int wants_others = (reply->query->flags & DNS_FLAG_RD) != 0;
    int is_allowed = reply->client->may_recurse == DNS_YES;

    reply->flags = 0;
    reply->rcode = DNS_RCODE_REFUSED;
    if (dns_reply_is_consuls(reply)) {
        reply->rcode = DNS_RCODE_SERVFAIL;
        reply->flags = question->form == DNS_FORM_REVERSE ? DNS_FLAG_RA : 0;
    }
    if (wants_others && is_allowed) {
        reply->verdict = DNS_VERDICT_FORWARD;
    }
    dns_extras_add_error(reply->extras,
                         wants_others && !is_allowed && answerer->foreign != NULL
                             ? DNS_EXTENDED_PROHIBITED
                             : DNS_EXTENDED_NOT_AUTHORITATIVE,
                         NULL);
}
