#include "dns/answer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dns/chase.h"
#include "dns/message.h"
#include "dns/pick.h"
#include "dns/question.h"
#include "dns/reply.h"

enum {
    DOMAIN_MAX = 200,    /* leaves room for services and tags */
    EDNS_WORTH_MAX = 512 /* at most that: udp_answer_limit counts */
};

struct dns_answerer {
    struct dns_ground ground;
    struct rc_random random;
    struct dns_pick pick;       /* of the question itself */
    struct dns_pick chase_pick; /* of names met on the way */
    uint16_t target_at[DNS_PICK_MAX];
};

void dns_options_init(struct dns_options *options)
{
    memset(options, 0, sizeof *options);
    options->domain = "rollcall";
    options->enable_truncate = DNS_YES;
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
    *out = answerer;
    return RC_OK;
}

void dns_answerer_destroy(struct dns_answerer *answerer)
{
    free(answerer);
}

static unsigned wanted_by(const struct dns_reply *reply)
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

static enum dns_choice over_udp(const struct dns_reply *reply)
{
    return reply->channel == DNS_CHANNEL_TCP ? DNS_NO : DNS_YES;
}

/* ANY over UDP is answered with one set of records (RFC 8482 section 4.1). */
static enum dns_choice wants_one_set(const struct dns_reply *reply)
{
    return reply->query->type == DNS_TYPE_ANY && over_udp(reply) == DNS_YES ? DNS_YES
                                                                            : DNS_NO;
}

/* Policy, not space: how many answers at most, of those that `a_record_limit` is about
 * or of others. */
static size_t answer_limit(const struct dns_reply *reply, unsigned wanted)
{
    const struct dns_options *options = reply->ground->options;
    size_t limit = SIZE_MAX;

    if (options->udp_answer_limit > 0 && over_udp(reply) == DNS_YES &&
        (reply->query->edns == DNS_PART_MISSING ||
         reply->query->edns_size <= EDNS_WORTH_MAX)) {
        limit = options->udp_answer_limit;
    }
    if (wanted != 0 && options->a_record_limit > 0 && options->a_record_limit < limit) {
        limit = options->a_record_limit;
    }
    return limit;
}

static struct dns_chase chase_for(struct dns_answerer *answerer, struct dns_reply *reply)
{
    unsigned wanted = wanted_by(reply);

    return (struct dns_chase){.random = &answerer->random,
                              .pick = &answerer->chase_pick,
                              .reply = reply,
                              .section = DNS_SECTION_ANSWER,
                              .wanted = wanted,
                              .limit = answer_limit(reply, wanted)};
}

static void answer_service_addresses(struct dns_answerer *answerer,
                                     struct dns_reply *reply, uint32_t ttl_s)
{
    struct dns_chase chase = chase_for(answerer, reply);

    if (wants_one_set(reply) == DNS_YES) {
        chase.wanted = DNS_WANT_A;
    }
    const char *host = dns_chase_pick(&chase, &answerer->pick, DNS_QUESTION_AT, ttl_s);
    if (chase.count == 0 && wants_one_set(reply) == DNS_YES) {
        chase.wanted = DNS_WANT_AAAA;
        answerer->pick.taken = 0;
        dns_pick_forget(&answerer->pick);
        host = dns_chase_pick(&chase, &answerer->pick, DNS_QUESTION_AT, ttl_s);
    }
    if (host != NULL) {
        dns_chase_alias(&chase, host, ttl_s);
    }
}

/* The addresses of SRV targets, each once, in the order of the answers. */
static void add_targets(struct dns_answerer *answerer, struct dns_reply *reply,
                        size_t count, uint32_t ttl_s)
{
    struct dns_chase chase = {.random = &answerer->random,
                              .pick = &answerer->chase_pick,
                              .reply = reply,
                              .section = DNS_SECTION_ADDITIONAL,
                              .wanted = DNS_WANT_A | DNS_WANT_AAAA,
                              .limit = SIZE_MAX};
    struct dns_pick *pick = &answerer->pick;

    for (size_t i = 0; i < count; i++) {
        const struct dns_instance *instance = dns_pick_taken(pick, i);
        const struct dns_place *place = dns_instance_place(instance);
        size_t owner_at = answerer->target_at[i];
        if (owner_at == 0) {
            continue;
        }
        if (place->ip.family == RC_ADDRESS_NONE) {
            if (!dns_instance_is_at_node(instance)) {
                dns_chase_host(&chase, place->host, owner_at);
            }
        } else if (dns_pick_is_new(pick, i, DNS_SAME_TARGET) &&
                   dns_chase_ip(&chase, owner_at, &place->ip, ttl_s) == DNS_NO) {
            return;
        }
    }
}

/* The metadata of the nodes behind an SRV answer, each node's once. */
static void add_meta(struct dns_answerer *answerer, struct dns_reply *reply, size_t count,
                     uint32_t ttl_s)
{
    const struct dns_pick *pick = &answerer->pick;

    for (size_t i = 0; i < count; i++) {
        const struct dns_node *node = dns_pick_taken(pick, i)->node;
        size_t first = 0;
        while (dns_pick_taken(pick, first)->node != node) {
            first++;
        }
        if (first == i) {
            dns_reply_meta(reply, DNS_SECTION_ADDITIONAL, DNS_OWNER_NODE, node, ttl_s);
        }
    }
}

static void answer_srv(struct dns_answerer *answerer, struct dns_reply *reply,
                       uint32_t ttl_s)
{
    struct dns_pick *pick = &answerer->pick;
    const struct dns_instance *instance;
    size_t limit = answer_limit(reply, 0);
    size_t count = 0;
    size_t target_at;

    while (count < limit && (instance = dns_pick_next(pick, &answerer->random)) != NULL) {
        if (dns_reply_srv(reply, instance, ttl_s, &target_at) == DNS_PART_MISSING) {
            reply->flags |= DNS_FLAG_TC;
            break;
        }
        answerer->target_at[count++] = (uint16_t)target_at;
    }
    add_targets(answerer, reply, count, ttl_s);
    if (reply->ground->options->node_meta_txt == DNS_YES) {
        add_meta(answerer, reply, count, ttl_s);
    }
}

/* A label such as _tcp has services left of it, so it exists with nothing there. */
static enum dns_choice is_above_services(const struct dns_question *question)
{
    return question->tag.size == 0 && question->subject.at[0] == '_' ? DNS_YES : DNS_NO;
}

static void answer_not_ready(struct dns_reply *reply)
{
    reply->flags = 0;
    reply->rcode = DNS_RCODE_SERVFAIL;
    reply->extended = DNS_EXTENDED_NOT_READY;
}

/* Instances were chosen: their records of the type that is asked for. */
static void answer_picked(struct dns_answerer *answerer, struct dns_reply *reply,
                          enum dns_existence existence, uint32_t ttl_s)
{
    if (existence != DNS_EXISTENCE_USABLE) {
        if (existence == DNS_EXISTENCE_NONE ||
            reply->ground->options->empty_service_ok == DNS_NO) {
            reply->rcode = DNS_RCODE_NXDOMAIN;
        }
    } else if (reply->query->type == DNS_TYPE_SRV) {
        answer_srv(answerer, reply, ttl_s);
    } else if (wanted_by(reply) != 0 || reply->query->type == DNS_TYPE_CNAME) {
        answer_service_addresses(answerer, reply, ttl_s);
    }
}

/* Who may be written now is a thing of the moment: a name that is kept would name another one. */
static bool is_of_the_moment(const struct dns_question *question)
{
    return question->form == DNS_FORM_SERVICE &&
           (rc_span_equals_nocase(question->tag, "primary") ||
            rc_span_equals_nocase(question->tag, "master"));
}

/* What we know of who may be written could be old: its node does not answer us, or nobody does. */
static bool is_in_doubt(const struct dns_question *question,
                        const struct dns_service *service)
{
    for (size_t i = 0; service != NULL && i < service->instance_count; i++) {
        const struct dns_instance *instance = &service->instances[i];
        if (!instance->node->is_silent || instance->health == DNS_HEALTH_UNUSABLE) {
            continue;
        }
        for (size_t t = 0; t < instance->tag_count; t++) {
            if (rc_span_equals_nocase(question->tag, instance->tags[t])) {
                return true;
            }
        }
    }
    return false;
}

static void answer_service(struct dns_answerer *answerer,
                           const struct dns_question *question, struct dns_reply *reply)
{
    const struct dns_options *options = reply->ground->options;
    const struct dns_view *view = reply->ground->view;
    uint32_t ttl_s = is_of_the_moment(question)
                         ? 0
                         : dns_ground_service_ttl(reply->ground, question->subject);

    const struct dns_service *service = view->service(view->context, question->subject);

    if (is_of_the_moment(question) && is_in_doubt(question, service)) {
        answer_not_ready(reply);
        return;
    }
    enum dns_existence existence = dns_pick_begin(
        &answerer->pick, service, question->tag,
        options->only_passing == DNS_YES ? DNS_ONLY_PASSING : DNS_ALLOW_WARNING,
        &answerer->random);
    if (existence == DNS_EXISTENCE_NONE && is_above_services(question) == DNS_YES) {
        return;
    }
    answer_picked(answerer, reply, existence, ttl_s);
}

/* Which health is good enough says the query, not our settings. */
static void answer_query(struct dns_answerer *answerer,
                         const struct dns_question *question, struct dns_reply *reply)
{
    const struct dns_view *view = reply->ground->view;

    enum dns_certainty certainty = DNS_CERTAIN;

    const struct dns_picked *picked =
        view->query(view->context, question->subject, &certainty);
    if (picked == NULL && certainty == DNS_UNCERTAIN) {
        answer_not_ready(reply);
        return;
    }
    if (picked == NULL) {
        reply->rcode = DNS_RCODE_NXDOMAIN;
        return;
    }
    answer_picked(answerer, reply, dns_pick_begin_query(&answerer->pick, picked),
                  dns_ground_query_ttl(reply->ground, picked));
}

static void answer_node(struct dns_answerer *answerer,
                        const struct dns_question *question, struct dns_reply *reply)
{
    const struct dns_options *options = reply->ground->options;
    const struct dns_view *view = reply->ground->view;
    struct dns_chase chase = chase_for(answerer, reply);
    uint16_t type = reply->query->type;

    const struct dns_node *node = view->node(view->context, question->subject);
    if (node == NULL) {
        reply->rcode = DNS_RCODE_NXDOMAIN;
        return;
    }
    if (node->place.host != NULL && (chase.wanted != 0 || type == DNS_TYPE_CNAME)) {
        dns_chase_alias(&chase, node->place.host, options->node_ttl_s);
    }
    (void)dns_chase_ip(&chase, DNS_QUESTION_AT, &node->place.ip, options->node_ttl_s);
    if (type == DNS_TYPE_TXT || (type == DNS_TYPE_ANY && node->place.host == NULL &&
                                 (wants_one_set(reply) == DNS_NO || chase.count == 0))) {
        dns_reply_meta(reply, DNS_SECTION_ANSWER, DNS_OWNER_QUESTION, node,
                       options->node_ttl_s);
    } else if (chase.wanted != 0 && options->node_meta_txt == DNS_YES) {
        dns_reply_meta(reply, DNS_SECTION_ADDITIONAL, DNS_OWNER_QUESTION, node,
                       options->node_ttl_s);
    }
}

static void answer_address(struct dns_answerer *answerer,
                           const struct dns_question *question, struct dns_reply *reply)
{
    struct dns_chase chase = chase_for(answerer, reply);

    (void)dns_chase_ip(&chase, DNS_QUESTION_AT, &question->ip,
                       reply->ground->options->node_ttl_s);
}

static void answer_name_server(struct dns_answerer *answerer,
                               const struct dns_question *question,
                               struct dns_reply *reply)
{
    struct dns_chase chase = chase_for(answerer, reply);

    (void)question;
    dns_chase_name_servers(&chase, DNS_QUESTION_AT, reply->ground->options->node_ttl_s);
}

static void answer_apex(struct dns_answerer *answerer,
                        const struct dns_question *question, struct dns_reply *reply)
{
    uint16_t type = reply->query->type;

    (void)answerer;
    if (type == DNS_TYPE_SOA || type == DNS_TYPE_ANY) {
        dns_reply_soa(reply, DNS_SECTION_ANSWER, question->zone_label,
                      reply->ground->options->soa.min_ttl_s);
        dns_reply_name_servers(reply, DNS_SECTION_AUTHORITY, question->zone_label);
    } else if (type == DNS_TYPE_NS) {
        dns_reply_name_servers(reply, DNS_SECTION_ANSWER, question->zone_label);
    }
}

static void answer_refused(struct dns_answerer *answerer,
                           const struct dns_question *question, struct dns_reply *reply)
{
    (void)answerer;
    (void)question;
    reply->flags = 0;
    reply->rcode = DNS_RCODE_REFUSED;
    reply->extended = DNS_EXTENDED_NOT_AUTHORITATIVE;
}

/* We speak for the reverse names of what we know, and for no other. */
static void answer_reverse(struct dns_answerer *answerer,
                           const struct dns_question *question, struct dns_reply *reply)
{
    const struct dns_view *view = reply->ground->view;
    const char *service = NULL;

    const struct dns_node *node = view->node_at(view->context, &question->ip);
    if (node == NULL) {
        service = view->service_at(view->context, &question->ip);
    }
    if (node == NULL && service == NULL) {
        answer_refused(answerer, question, reply);
    } else if (reply->query->type != DNS_TYPE_PTR && reply->query->type != DNS_TYPE_ANY) {
        return;
    } else if (node != NULL) {
        dns_reply_ptr_node(reply, node);
    } else {
        dns_reply_ptr_service(reply, service);
    }
}

static void answer_empty(struct dns_answerer *answerer,
                         const struct dns_question *question, struct dns_reply *reply)
{
    (void)answerer;
    (void)question;
    (void)reply;
}

static void answer_unknown(struct dns_answerer *answerer,
                           const struct dns_question *question, struct dns_reply *reply)
{
    (void)answerer;
    (void)question;
    reply->rcode = DNS_RCODE_NXDOMAIN;
}

/* One row for each form of name. */
static void (*const answerers[DNS_FORM_COUNT])(struct dns_answerer *,
                                               const struct dns_question *,
                                               struct dns_reply *) = {
    [DNS_FORM_FOREIGN] = answer_refused,
    [DNS_FORM_APEX] = answer_apex,
    [DNS_FORM_NAME_SERVER] = answer_name_server,
    [DNS_FORM_SERVICE] = answer_service,
    [DNS_FORM_QUERY] = answer_query,
    [DNS_FORM_NODE] = answer_node,
    [DNS_FORM_ADDRESS] = answer_address,
    [DNS_FORM_REVERSE] = answer_reverse,
    [DNS_FORM_EMPTY] = answer_empty,
    [DNS_FORM_UNKNOWN] = answer_unknown,
};

/* Without an answer the zone's SOA says how long that holds (RFC 2308). */
static void finish_empty(const struct dns_question *question, struct dns_reply *reply)
{
    if (reply->writer.counts[DNS_SECTION_ANSWER] == 0 &&
        (reply->flags & (DNS_FLAG_AA | DNS_FLAG_TC)) == DNS_FLAG_AA &&
        question->zone_label < reply->query->name.label_count) {
        dns_reply_soa(reply, DNS_SECTION_AUTHORITY, question->zone_label,
                      is_of_the_moment(question) ? 0
                                                 : reply->ground->options->soa.min_ttl_s);
    }
}

static void answer_question(struct dns_answerer *answerer, struct dns_reply *reply)
{
    const struct dns_query *query = reply->query;
    const struct dns_view *view = reply->ground->view;
    struct dns_question question;

    if (query->class != DNS_CLASS_IN) {
        reply->rcode = DNS_RCODE_REFUSED;
        return;
    }
    view->begin(view->context);
    dns_question_read(&reply->ground->zones, &query->name, &question);
    reply->flags = question.form == DNS_FORM_FOREIGN ? 0 : DNS_FLAG_AA;
    if (query->type == DNS_TYPE_AXFR || query->type == DNS_TYPE_IXFR) {
        reply->rcode = DNS_RCODE_NOTIMP;
    } else if (question.form == DNS_FORM_FOREIGN) {
        answer_refused(answerer, &question, reply);
    } else if (view->index(view->context) == 0) {
        answer_not_ready(reply);
    } else {
        answerers[question.form](answerer, &question, reply);
        finish_empty(&question, reply);
    }
}

/* Section 5 of the design: 512 without EDNS, else what the client takes, but no more than
 * passes its path whole. */
static size_t size_limit(const struct dns_query *query, enum dns_channel channel,
                         size_t out_max)
{
    static const size_t ours[] = {
        [DNS_CHANNEL_UDP_REMOTE] = DNS_UDP_REMOTE_MAX,
        [DNS_CHANNEL_UDP_LOCAL] = DNS_UDP_LOCAL_MAX,
        [DNS_CHANNEL_TCP] = DNS_MESSAGE_MAX,
    };
    size_t limit = ours[channel];

    if (channel != DNS_CHANNEL_TCP) {
        size_t theirs =
            query->edns == DNS_PART_PRESENT ? query->edns_size : DNS_UDP_PLAIN_MAX;
        theirs = theirs < DNS_UDP_PLAIN_MAX ? DNS_UDP_PLAIN_MAX : theirs;
        limit = theirs < limit ? theirs : limit;
    }
    return limit < out_max ? limit : out_max;
}

struct dns_outcome dns_answer(struct dns_answerer *answerer, enum dns_channel channel,
                              const uint8_t *query, size_t size, uint8_t *out,
                              size_t out_max)
{
    const struct dns_options *options = answerer->ground.options;
    struct dns_outcome outcome = {.size = 0};
    struct dns_query parsed;
    struct dns_reply reply;

    assert(out_max >= DNS_UDP_PLAIN_MAX);
    if (dns_query_read(query, size, &parsed) != RC_OK) {
        return outcome;
    }
    reply.ground = &answerer->ground;
    reply.query = &parsed;
    reply.channel = channel;
    reply.flags = 0;
    reply.rcode = parsed.rcode;
    reply.extended = DNS_EXTENDED_NONE;
    dns_writer_begin(&reply.writer, &parsed, out, size_limit(&parsed, channel, out_max),
                     options->disable_compression == DNS_YES ? DNS_PART_MISSING
                                                             : DNS_PART_PRESENT);
    if (reply.rcode == DNS_RCODE_NOERROR) {
        answer_question(answerer, &reply);
    }
    if (options->enable_truncate == DNS_NO) {
        reply.flags &= (uint16_t)~DNS_FLAG_TC;
    }
    outcome.size =
        dns_writer_end(&reply.writer, &parsed, reply.flags, reply.rcode, reply.extended);
    outcome.type = parsed.type;
    outcome.rcode = reply.rcode;
    outcome.truncated = (reply.flags & DNS_FLAG_TC) != 0 ? DNS_YES : DNS_NO;
    return outcome;
}
