#include "dns/answer/chase.h"

#include "base/err.h"
#include "dns/answer/foreign.h"
#include "dns/wire/response.h"

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

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* One record of what others answered. NO: the message is full. */
static enum dns_choice copy_record(struct dns_chase *chase,
                                   const struct dns_response *response,
                                   const struct dns_received *record)
{
    struct dns_writer *writer = &chase->reply->writer;
    uint32_t ttl_s = dns_reply_is_consuls(chase->reply)
                         ? chase->alias_ttl_s
                         : least(record->ttl_s, chase->alias_ttl_s);
    struct dns_name target;

    if (record->type == DNS_TYPE_CNAME) {
        if (dns_received_cname(response, record, &target) != RC_OK) {
            return DNS_YES;
        }
        dns_record_open(writer, &record->owner, record->type, ttl_s);
        dns_record_name(writer, &target);
    } else {
        dns_record_open(writer, &record->owner, record->type, ttl_s);
        rc_writer_bytes(&writer->bytes, response->bytes + record->at, record->size);
    }
    if (dns_record_close(writer, chase->section) == DNS_PART_MISSING) {
        chase->reply->flags |= chase->section == DNS_SECTION_ANSWER ? DNS_FLAG_TC : 0;
        return DNS_NO;
    }
    return DNS_YES;
}

/* Aliases and addresses that others answered. */
static void copy_foreign(struct dns_chase *chase, uint16_t type,
                         const struct dns_foreign_answer *answer)
{
    struct dns_response response;
    struct dns_received record;

    if (dns_response_open(answer->bytes, answer->size, &response) != RC_OK) {
        return;
    }
    while (chase->count < chase->limit &&
           dns_response_next(&response, &record) == RC_OK &&
           record.section == DNS_SECTION_ANSWER) {
        if (record.type != type && record.type != DNS_TYPE_CNAME) {
            continue;
        }
        if (copy_record(chase, &response, &record) == DNS_NO) {
            return;
        }
        chase->count += record.type == type ? 1 : 0;
    }
}

/* The addresses of one family that a host of another zone has. The code of the last name of a
 * chain is that of the answer (RFC 6604). */
static void write_foreign_family(struct dns_chase *chase, const struct dns_name *name,
                                 uint16_t type)
{
    struct dns_reply *reply = chase->reply;
    const struct dns_foreign *foreign = reply->foreign;
    enum dns_choice counts = chase->section == DNS_SECTION_ANSWER ? DNS_YES : DNS_NO;
    struct dns_foreign_answer answer;

    switch (foreign->find(foreign->context, reply->client, name, type, &answer)) {
    case DNS_FOREIGN_KNOWN:
        copy_foreign(chase, type, &answer);
        reply->rcode = counts == DNS_YES ? answer.rcode : reply->rcode;
        break;
    case DNS_FOREIGN_UNKNOWN:
        if (counts == DNS_YES && (reply->query->flags & DNS_FLAG_RD) != 0) {
            *reply->foreign_name = *name;
            reply->verdict = DNS_VERDICT_FORWARD;
        }
        break;
    case DNS_FOREIGN_FAILED:
        if (counts == DNS_YES) {
            reply->rcode = DNS_RCODE_SERVFAIL;
            dns_extras_add_error(reply->extras, DNS_EXTENDED_NO_UPSTREAM, NULL);
        }
        break;
    }
}

/* For ANY the alias is answer enough. */
static void write_foreign(struct dns_chase *chase, const struct dns_name *name)
{
    if (chase->reply->foreign == NULL || (chase->section == DNS_SECTION_ANSWER &&
                                          chase->reply->query->type == DNS_TYPE_ANY)) {
        return;
    }
    if ((chase->wanted & DNS_WANT_A) != 0) {
        write_foreign_family(chase, name, DNS_TYPE_A);
    }
    if ((chase->wanted & DNS_WANT_AAAA) != 0) {
        write_foreign_family(chase, name, DNS_TYPE_AAAA);
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
    case DNS_FORM_DIGITS:
    case DNS_FORM_REVERSE:
    case DNS_FORM_EMPTY:
    case DNS_FORM_UNKNOWN:
    case DNS_FORM_FOREIGN:
    case DNS_FORM_COUNT:
        break;
    }
    return NULL;
}

/* FNV-1a of the name in lower case. */
static uint64_t hash_name(const struct dns_name *name)
{
    uint64_t hash = 14695981039346656037U;
    for (size_t i = 0; i < name->size; i++) {
        uint8_t byte = name->wire[i];
        bool upper = byte >= 'A' && byte <= 'Z';
        hash = (hash ^ (upper ? byte + 32U : byte)) * 1099511628211U;
    }
    return hash;
}

/* Notes that the name is told now. True if another chain has led to it before. */
static bool is_told_by_another(struct dns_told *told, const struct dns_name *name)
{
    uint64_t hash = hash_name(name);

    for (size_t i = 0; i < told->count; i++) {
        if (told->names[i] == hash) {
            return true;
        }
    }
    if (told->count < DNS_TOLD_MAX) {
        told->names[told->count++] = hash;
    }
    return false;
}

/* True if the name was asked for, or is among those that led here or to other targets: what it has is told already. */
static bool is_told(const struct dns_chase *chase, const struct dns_name *name,
                    const struct dns_name *told, size_t count)
{
    if (chase->section == DNS_SECTION_ANSWER &&
        dns_name_equals(name, &chase->reply->query->name)) {
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        if (dns_name_equals(name, &told[i])) {
            return true;
        }
    }
    return chase->told != NULL && is_told_by_another(chase->told, name);
}

void dns_chase_host(struct dns_chase *chase, const char *host, size_t owner_at)
{
    struct dns_question question;
    struct dns_name names[CHAIN_MAX + 1];

    for (size_t depth = 0; depth < CHAIN_MAX; depth++) {
        struct dns_name *name = &names[depth];
        if (dns_name_from_text(host, name) != RC_OK ||
            is_told(chase, name, names, depth)) {
            return;
        }
        dns_question_read(&chase->reply->ground->zones, name, &question);
        if (question.form == DNS_FORM_FOREIGN) {
            write_foreign(chase, name);
            return;
        }
        host = write_named(chase, &question, owner_at);
        if (host == NULL || dns_name_from_text(host, &names[depth + 1]) != RC_OK ||
            dns_reply_cname(chase->reply, chase->section, owner_at, &names[depth + 1],
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
        chase->alias_ttl_s = ttl_s;
        dns_chase_host(chase, host, owner_at);
    }
}
