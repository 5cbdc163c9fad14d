#include "base/text.h"
#include "dns/answer/answerer.h"
#include "dns/answer/stale.h"
#include "dns/answer/texts.h"

/* A pointer, type, class, TTL, length: without its data. */
enum { ADDRESS_RECORD_SIZE = 12 };

/* What `udp_answer_limit` leaves out is policy, not lack of space. Consul marks it anyway. */
static void mark_policy(struct dns_reply *reply, const struct dns_pick *pick,
                        size_t count)
{
    if (dns_reply_is_consuls(reply) && pick->taken < pick->count &&
        count == dns_answerer_limit(reply, 0)) {
        reply->flags |= DNS_FLAG_TC;
    }
}

/* Of a service; for Consul TXT asks for addresses too. */
static unsigned wanted_of_service(const struct dns_reply *reply)
{
    return reply->query->type == DNS_TYPE_TXT && dns_reply_is_consuls(reply)
               ? DNS_WANT_A | DNS_WANT_AAAA
               : dns_answerer_wanted(reply);
}

/* Or an alias for the name: YES. */
static enum dns_choice answer_service_addresses(struct dns_answerer *answerer,
                                                struct dns_reply *reply, uint32_t ttl_s)
{
    struct dns_chase chase =
        dns_answerer_chase(answerer, reply, wanted_of_service(reply));

    if (dns_answerer_wants_one_set(reply) == DNS_YES) {
        chase.wanted = DNS_WANT_A;
    }
    const char *host = dns_chase_pick(&chase, &answerer->pick, DNS_QUESTION_AT, ttl_s);
    mark_policy(reply, &answerer->pick, chase.count);
    if (chase.count == 0 && dns_answerer_wants_one_set(reply) == DNS_YES) {
        chase.wanted = DNS_WANT_AAAA;
        dns_pick_rewind(&answerer->pick);
        host = dns_chase_pick(&chase, &answerer->pick, DNS_QUESTION_AT, ttl_s);
    }
    if (host != NULL) {
        dns_chase_alias(&chase, host, ttl_s);
    }
    return host != NULL ? DNS_YES : DNS_NO;
}

/* True for the first of those at this host name. There are few with names. */
static bool is_new_host(const struct dns_pick *pick, size_t i)
{
    const char *host = dns_instance_place(dns_pick_taken(pick, i))->host;

    for (size_t k = 0; k < i; k++) {
        const char *other = dns_instance_place(dns_pick_taken(pick, k))->host;
        if (other != NULL && rc_text_equals_nocase(host, other)) {
            return false;
        }
    }
    return true;
}

/* The addresses of SRV targets, each once, in the order of the answers. */
static void add_targets(struct dns_answerer *answerer, struct dns_reply *reply,
                        size_t count, uint32_t ttl_s)
{
    struct dns_told told;
    struct dns_chase chase = {.random = &answerer->random,
                              .pick = &answerer->chase_pick,
                              .reply = reply,
                              .told = &told,
                              .section = DNS_SECTION_ADDITIONAL,
                              .wanted = DNS_WANT_A | DNS_WANT_AAAA,
                              .alias_ttl_s = ttl_s,
                              .limit = SIZE_MAX};
    struct dns_pick *pick = &answerer->pick;

    told.count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct dns_instance *instance = dns_pick_taken(pick, i);
        const struct dns_place *place = dns_instance_place(instance);
        size_t owner_at = answerer->target_at[i];
        if (owner_at == 0) {
            continue;
        }
        if (place->ip.family == RC_ADDRESS_NONE) {
            if (!dns_instance_is_at_node(instance) && is_new_host(pick, i)) {
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

/* Consul cuts answers so that each target left has its address. The room that has been kept
 * for those, or MISSING: for this one there is none. */
static enum dns_part keep_room(struct dns_reply *reply,
                               const struct dns_instance *instance, size_t *kept)
{
    const struct rc_address *ip = &dns_instance_place(instance)->ip;
    size_t size =
        ip->family == RC_ADDRESS_NONE ? 0 : ADDRESS_RECORD_SIZE + rc_address_ip_size(ip);

    if (!dns_reply_is_consuls(reply)) {
        return DNS_PART_PRESENT;
    }
    if (dns_writer_set_aside(&reply->writer, size) == DNS_PART_MISSING) {
        return DNS_PART_MISSING;
    }
    *kept += size;
    return DNS_PART_PRESENT;
}

/* Returns how many answers there are. */
static size_t write_srv(struct dns_answerer *answerer, struct dns_reply *reply,
                        uint32_t ttl_s)
{
    struct dns_pick *pick = &answerer->pick;
    const struct dns_instance *instance;
    size_t limit = dns_answerer_limit(reply, 0);
    size_t count = 0;
    size_t kept = 0;
    size_t target_at;

    while (count < limit && (instance = dns_pick_next(pick, &answerer->random)) != NULL) {
        if (!dns_pick_is_new(pick, pick->taken - 1, DNS_SAME_RECORD)) {
            dns_pick_drop(pick); /* a set holds each record once: RFC 2181 section 5 */
            continue;
        }
        if (keep_room(reply, instance, &kept) == DNS_PART_MISSING ||
            dns_reply_srv(reply, instance, ttl_s, &target_at) == DNS_PART_MISSING) {
            reply->flags |= DNS_FLAG_TC;
            break;
        }
        answerer->target_at[count++] = (uint16_t)target_at;
    }
    dns_pick_forget(pick);
    dns_writer_give_back(&reply->writer, kept);
    mark_policy(reply, pick, count);
    return count;
}

static void answer_srv(struct dns_answerer *answerer, struct dns_reply *reply,
                       uint32_t ttl_s)
{
    size_t count = write_srv(answerer, reply, ttl_s);

    add_targets(answerer, reply, count, ttl_s);
    if (reply->ground->options->node_meta_txt == DNS_YES) {
        add_meta(answerer, reply, count, ttl_s);
    }
}

/* A label such as _tcp has services left of it, so it exists with nothing there. */
static bool is_above_services(const struct dns_reply *reply,
                              const struct dns_question *question)
{
    return question->tag.size == 0 && question->subject.at[0] == '_' &&
           !dns_reply_is_consuls(reply);
}

/* If the agent's loop cannot be asked, neither is it known that there is no such query. */
static void answer_by_agent(struct dns_reply *reply)
{
    dns_answer_not_ready(reply);
    reply->verdict = DNS_VERDICT_AGENT;
}

/* All that a service has, for who asks for ANY; beside an alias nothing may stand. */
static void answer_everything(struct dns_answerer *answerer, struct dns_reply *reply,
                              uint32_t ttl_s)
{
    if (answer_service_addresses(answerer, reply, ttl_s) == DNS_YES ||
        dns_answerer_over_udp(reply) == DNS_YES || dns_reply_is_consuls(reply)) {
        return;
    }
    dns_texts_answer(reply, &answerer->pick, &answerer->random, ttl_s);
    dns_pick_rewind(&answerer->pick);
    (void)write_srv(answerer, reply, ttl_s); /* last: drops those that look alike */
}

static uint16_t code_without(const struct dns_reply *reply, enum dns_existence existence)
{
    bool exists = (existence == DNS_EXISTENCE_BELOW && !dns_reply_is_consuls(reply)) ||
                  (existence == DNS_EXISTENCE_UNUSABLE &&
                   reply->ground->options->empty_service_ok == DNS_YES);

    return exists ? DNS_RCODE_NOERROR : DNS_RCODE_NXDOMAIN;
}

/* Instances were chosen: their records of the type that is asked for. */
static void answer_picked(struct dns_answerer *answerer, struct dns_reply *reply,
                          enum dns_existence existence, uint32_t ttl_s)
{
    if (existence != DNS_EXISTENCE_USABLE) {
        reply->rcode = code_without(reply, existence);
    } else if (reply->query->type == DNS_TYPE_SRV) {
        answer_srv(answerer, reply, ttl_s);
    } else if (reply->query->type == DNS_TYPE_ANY) {
        answer_everything(answerer, reply, ttl_s);
    } else if (wanted_of_service(reply) != 0 || reply->query->type == DNS_TYPE_CNAME) {
        (void)answer_service_addresses(answerer, reply, ttl_s);
    } else if (reply->query->type == DNS_TYPE_TXT) {
        dns_texts_answer(reply, &answerer->pick, &answerer->random, ttl_s);
    }
    dns_stale_warn_of_taken(reply, &answerer->pick);
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

void dns_answer_service(struct dns_answerer *answerer,
                        const struct dns_question *question, struct dns_reply *reply)
{
    const struct dns_options *options = reply->ground->options;
    const struct dns_view *view = reply->ground->view;
    uint32_t ttl_s = dns_question_is_of_the_moment(question)
                         ? 0
                         : dns_ground_service_ttl(reply->ground, question->subject);

    const struct dns_service *service = view->service(view->context, question->subject);

    if (dns_question_is_of_the_moment(question) && is_in_doubt(question, service)) {
        dns_answer_not_ready(reply);
        return;
    }
    enum dns_existence existence = dns_pick_begin(
        &answerer->pick, service, question->tag,
        options->only_passing == DNS_YES ? DNS_ONLY_PASSING : DNS_ALLOW_WARNING,
        &answerer->random);
    if (existence == DNS_EXISTENCE_NONE && is_above_services(reply, question)) {
        return;
    }
    answer_picked(answerer, reply, existence, ttl_s);
}

/* Which health is good enough says the query, not our settings. */
void dns_answer_query(struct dns_answerer *answerer, const struct dns_question *question,
                      struct dns_reply *reply)
{
    const struct dns_view *view = reply->ground->view;

    enum dns_certainty certainty = DNS_CERTAIN;

    const struct dns_picked *picked =
        view->query(view->context, question->subject, &certainty);
    if (picked == NULL && certainty == DNS_ELSEWHERE) {
        answer_by_agent(reply);
        return;
    }
    if (picked == NULL && certainty == DNS_UNCERTAIN) {
        dns_answer_not_ready(reply);
        return;
    }
    if (picked == NULL) {
        bool is_above = certainty == DNS_CERTAIN_BELOW && !dns_reply_is_consuls(reply);
        reply->rcode = is_above ? DNS_RCODE_NOERROR : DNS_RCODE_NXDOMAIN;
        return;
    }
    answer_picked(answerer, reply, dns_pick_begin_query(&answerer->pick, picked),
                  dns_ground_query_ttl(reply->ground, picked));
}
