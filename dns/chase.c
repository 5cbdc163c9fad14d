#include "dns/chase.h"

#include "base/err.h"

enum { CHAIN_MAX = 3 /* aliases followed, as in Consul */ };

static unsigned family_of(const struct rc_address *ip)
{
    return ip->family == RC_ADDRESS_IPV4   ? DNS_WANT_A
           : ip->family == RC_ADDRESS_IPV6 ? DNS_WANT_AAAA
                                           : 0;
}

enum dns_choice dns_chase_ip(struct dns_chase *chase, size_t owner_at,
                             const struct rc_address *ip, uint32_t ttl_s)
{
    if ((family_of(ip) & chase->wanted) == 0) {
        return DNS_YES;
    }
    if (dns_reply_address(chase->reply, chase->section, owner_at, ip, ttl_s) ==
        DNS_PART_MISSING) {
        if (chase->section == DNS_SECTION_ANSWER) {
            chase->reply->flags |= DNS_FLAG_TC;
        }
        return DNS_NO;
    }
    chase->count++;
    return DNS_YES;
}

const char *dns_chase_pick(struct dns_chase *chase, struct dns_pick *pick,
                           size_t owner_at, uint32_t ttl_s)
{
    const struct dns_instance *instance;
    const char *host = NULL;
    enum dns_choice has_ip = DNS_NO;

    while (chase->count < chase->limit &&
           (instance = dns_pick_next(pick, chase->random)) != NULL) {
        const struct dns_place *place = dns_instance_place(instance);
        if (place->ip.family == RC_ADDRESS_NONE) {
            host = host == NULL ? place->host : host;
            continue;
        }
        has_ip = DNS_YES;
        if (dns_pick_is_new(pick, pick->taken - 1, DNS_SAME_ADDRESS) &&
            dns_chase_ip(chase, owner_at, &place->ip, ttl_s) == DNS_NO) {
            break;
        }
    }
    return has_ip == DNS_YES ? NULL : host;
}

void dns_chase_name_servers(struct dns_chase *chase, size_t owner_at, uint32_t ttl_s)
{
    const struct dns_view *view = chase->reply->ground->view;
    const struct dns_node *nodes[DNS_NAME_SERVERS_MAX];

    size_t count = view->name_servers(view->context, nodes);
    for (size_t i = 0; i < count; i++) {
        (void)dns_chase_ip(chase, owner_at, &nodes[i]->place.ip, ttl_s);
    }
}

/* What a name that was led to has: the host name that it in turn leads to, or NULL. */
static const char *write_named(struct dns_chase *chase,
                               const struct dns_question *question, size_t owner_at)
{
    const struct dns_ground *ground = chase->reply->ground;
    const struct dns_view *view = ground->view;
    const struct dns_options *options = ground->options;
    const struct dns_picked *picked = NULL;
    enum dns_certainty certainty;
    const struct dns_node *node = NULL;
    struct dns_pick *pick = chase->pick;

    switch (question->form) {
    case DNS_FORM_SERVICE:
        (void)dns_pick_begin(
            pick, view->service(view->context, question->subject), question->tag,
            options->only_passing == DNS_YES ? DNS_ONLY_PASSING : DNS_ALLOW_WARNING,
            chase->random);
        return dns_chase_pick(chase, pick, owner_at,
                              dns_ground_service_ttl(ground, question->subject));
    case DNS_FORM_QUERY:
        picked = view->query(view->context, question->subject, &certainty);
        if (picked == NULL) {
            return NULL;
        }
        (void)dns_pick_begin_query(pick, picked);
        return dns_chase_pick(chase, pick, owner_at,
                              dns_ground_query_ttl(ground, picked));
    case DNS_FORM_NODE:
        node = view->node(view->context, question->subject);
        if (node != NULL) {
            (void)dns_chase_ip(chase, owner_at, &node->place.ip, options->node_ttl_s);
        }
        return node == NULL ? NULL : node->place.host;
    case DNS_FORM_ADDRESS:
        (void)dns_chase_ip(chase, owner_at, &question->ip, options->node_ttl_s);
        return NULL;
    case DNS_FORM_NAME_SERVER:
        dns_chase_name_servers(chase, owner_at, options->node_ttl_s);
        return NULL;
    case DNS_FORM_APEX:
    case DNS_FORM_REVERSE:
    case DNS_FORM_EMPTY:
    case DNS_FORM_UNKNOWN:
    case DNS_FORM_FOREIGN:
    case DNS_FORM_COUNT:
        break;
    }
    return NULL;
}

void dns_chase_host(struct dns_chase *chase, const char *host, size_t owner_at)
{
    struct dns_question question;
    struct dns_name name;

    for (size_t depth = 0; depth < CHAIN_MAX; depth++) {
        if (dns_name_from_text(host, &name) != RC_OK) {
            return;
        }
        dns_question_read(&chase->reply->ground->zones, &name, &question);
        host = write_named(chase, &question, owner_at);
        if (host == NULL || dns_name_from_text(host, &name) != RC_OK ||
            dns_reply_cname(chase->reply, chase->section, owner_at, &name,
                            chase->reply->ground->options->node_ttl_s,
                            &owner_at) == DNS_PART_MISSING) {
            return;
        }
    }
}

void dns_chase_alias(struct dns_chase *chase, const char *host, uint32_t ttl_s)
{
    struct dns_name name;
    size_t owner_at;

    if (dns_name_from_text(host, &name) == RC_OK &&
        dns_reply_cname(chase->reply, DNS_SECTION_ANSWER, DNS_QUESTION_AT, &name, ttl_s,
                        &owner_at) == DNS_PART_PRESENT) {
        dns_chase_host(chase, host, owner_at);
    }
}
