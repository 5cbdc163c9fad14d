#include "dns/answer/answer.h"

#include <assert.h>

#include "base/err.h"
#include "dns/answer/answerer.h"
#include "dns/answer/chaos.h"
#include "dns/answer/limit.h"
#include "dns/answer/manners.h"

/* One row for each form of name. */
static void (*const answerers[DNS_FORM_COUNT])(struct dns_answerer *,
                                               const struct dns_question *,
                                               struct dns_reply *) = {
    [DNS_FORM_FOREIGN] = dns_answer_refused,
    [DNS_FORM_APEX] = dns_answer_apex,
    [DNS_FORM_NAME_SERVER] = dns_answer_name_server,
    [DNS_FORM_SERVICE] = dns_answer_service,
    [DNS_FORM_QUERY] = dns_answer_query,
    [DNS_FORM_NODE] = dns_answer_node,
    [DNS_FORM_ADDRESS] = dns_answer_address,
    [DNS_FORM_DIGITS] = dns_answer_digits,
    [DNS_FORM_REVERSE] = dns_answer_reverse,
    [DNS_FORM_EMPTY] = dns_answer_empty,
    [DNS_FORM_UNKNOWN] = dns_answer_unknown,
};

/* Consul has no SOA for nodes and addresses without a record of that type. */
static bool is_bare(const struct dns_question *question, const struct dns_reply *reply)
{
    return dns_reply_is_consuls(reply) && reply->rcode == DNS_RCODE_NOERROR &&
           (question->form == DNS_FORM_NODE || question->form == DNS_FORM_ADDRESS ||
            question->form == DNS_FORM_DIGITS);
}

/* Without an answer the zone's SOA says how long that holds (RFC 2308). */
static void finish_empty(const struct dns_question *question, struct dns_reply *reply)
{
    if (!is_bare(question, reply) && reply->writer.counts[DNS_SECTION_ANSWER] == 0 &&
        (reply->flags & (DNS_FLAG_AA | DNS_FLAG_TC)) == DNS_FLAG_AA &&
        question->zone_label < reply->query->name.label_count) {
        dns_reply_soa(reply, DNS_SECTION_AUTHORITY, question->zone_label,
                      dns_question_is_of_the_moment(question)
                          ? 0
                          : reply->ground->options->soa.min_ttl_s);
    }
}

static void answer_question(struct dns_answerer *answerer, struct dns_reply *reply)
{
    const struct dns_query *query = reply->query;
    const struct dns_view *view = reply->ground->view;
    struct dns_question question;

    if (query->class == DNS_CLASS_CHAOS && !dns_reply_is_consuls(reply)) {
        dns_chaos_answer(reply);
        return;
    }
    if (query->class != DNS_CLASS_IN && !dns_reply_is_consuls(reply)) {
        reply->rcode = DNS_RCODE_REFUSED;
        return;
    }
    view->begin(view->context);
    dns_question_read(&reply->ground->zones, &query->name, &question);
    reply->flags = question.form == DNS_FORM_FOREIGN ? 0 : DNS_FLAG_AA;
    if (dns_reply_is_consuls(reply) && reply->flags != 0 &&
        question.form != DNS_FORM_REVERSE &&
        (query->type == DNS_TYPE_SOA || query->type == DNS_TYPE_NS)) {
        question.form = DNS_FORM_APEX; /* every name has those of the zone */
    }
    if (query->type == DNS_TYPE_AXFR || query->type == DNS_TYPE_IXFR) {
        reply->rcode = DNS_RCODE_NOTIMP;
    } else if (question.form == DNS_FORM_FOREIGN) {
        dns_answer_refused(answerer, &question, reply);
    } else if (view->index(view->context) == 0) {
        dns_answer_not_ready(reply);
    } else {
        answerers[question.form](answerer, &question, reply);
        finish_empty(&question, reply);
    }
}

/* No question: a cookie is asked for, which is already in our OPT (RFC 7873 section 5.4). */
static void answer_cookie(enum dns_cookie_standing standing, struct dns_reply *reply)
{
    if (standing == DNS_COOKIE_NONE) {
        reply->rcode = DNS_RCODE_FORMERR;
    } else if (standing == DNS_COOKIE_INVALID) {
        reply->rcode = DNS_RCODE_BADCOOKIE;
    }
}

static void limit(const struct dns_options *options, const struct dns_client *client,
                  enum dns_cookie_standing standing, uint8_t *out, size_t out_max,
                  struct dns_outcome *outcome)
{
    if (options->rate != NULL) {
        dns_manners_limit(options->rate, client, standing, out, out_max, outcome);
    }
}

struct dns_outcome dns_answer_at_length(struct dns_answerer *answerer,
                                        const struct dns_client *client,
                                        const uint8_t *query, size_t size, uint8_t *out,
                                        size_t out_max)
{
    const struct dns_options *options = answerer->ground.options;
    struct dns_outcome outcome = {.verdict = DNS_VERDICT_NOTHING};
    struct dns_query *parsed = &answerer->query;
    enum dns_cookie_standing standing = DNS_COOKIE_NONE;
    struct dns_reply reply;

    assert(out_max >= DNS_UDP_PLAIN_MAX);
    int err = options->consul_compat == DNS_YES
                  ? dns_query_read_as_consul(query, size, parsed)
                  : dns_query_read(query, size, parsed);
    if (err != RC_OK) {
        return outcome;
    }
    reply.ground = &answerer->ground;
    reply.query = parsed;
    reply.client = client;
    reply.verdict = DNS_VERDICT_ANSWER;
    reply.flags = 0;
    reply.rcode = parsed->rcode;
    reply.foreign = client->may_recurse == DNS_YES ? answerer->foreign : NULL;
    reply.foreign_name = &answerer->foreign_name;
    reply.foreign_name->size = 0;
    reply.extras = &answerer->extras;
    dns_extras_init(reply.extras);
    if (parsed->edns == DNS_PART_PRESENT && reply.rcode == DNS_RCODE_NOERROR) {
        standing = dns_manners_begin(options, client, parsed, reply.extras);
    }
    dns_writer_begin(&reply.writer, parsed, reply.extras, out,
                     dns_limit_size(parsed, client->channel, out_max),
                     options->disable_compression == DNS_YES ? DNS_PART_MISSING
                                                             : DNS_PART_PRESENT);
    if (reply.rcode == DNS_RCODE_NOERROR && parsed->question == DNS_PART_PRESENT) {
        answer_question(answerer, &reply);
    } else if (reply.rcode == DNS_RCODE_NOERROR) {
        answer_cookie(standing, &reply);
    }
    if (options->enable_truncate == DNS_NO) {
        reply.flags &= (uint16_t)~DNS_FLAG_TC;
    }
    if (client->may_recurse == DNS_YES) {
        reply.flags |= DNS_FLAG_RA;
    }
    outcome.size =
        dns_writer_end(&reply.writer, parsed, reply.flags, reply.rcode, reply.extras);
    outcome.verdict = reply.verdict;
    outcome.query = parsed;
    outcome.extras = reply.extras;
    outcome.foreign = reply.foreign_name->size > 0 ? reply.foreign_name : NULL;
    outcome.type = parsed->type;
    outcome.rcode = reply.rcode;
    outcome.truncated = (reply.flags & DNS_FLAG_TC) != 0 ? DNS_YES : DNS_NO;
    limit(options, client, standing, out, out_max, &outcome);
    return outcome;
}

struct dns_outcome dns_answer(struct dns_answerer *answerer,
                              const struct dns_client *client, const uint8_t *query,
                              size_t size, uint8_t *out, size_t out_max)
{
    const struct dns_options *options = answerer->ground.options;
    struct rc_span packet = {.at = (const char *)query, .size = size};
    struct dns_outcome outcome = {.verdict = DNS_VERDICT_NOTHING};

    if (options->consul_compat == DNS_YES ||
        dns_lane_answer(&answerer->lane, client, packet, out, out_max, &outcome) ==
            DNS_NO) {
        return dns_answer_at_length(answerer, client, query, size, out, out_max);
    }
    limit(options, client, DNS_COOKIE_NONE, out, out_max, &outcome);
    return outcome;
}
