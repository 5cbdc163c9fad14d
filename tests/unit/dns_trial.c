#include "tests/unit/dns_trial.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dns/answer/limit.h"
#include "tests/unit/dns_apart.h"
#include "tests/unit/dns_trial_world.h"

enum {
    QUERIES = 24,
    OPT_WITH_ERROR = 11 + 6, /* an OPT with one extended error */
    TRIAL_ECHO_AT = 12
};

/* One question and what was said to it. */
struct trial {
    struct trial_world world;
    struct trial_query query;
    struct dns_query read;
    struct dns_answerer *answerer;
    struct dns_outcome outcome; /* of dns_answer() */
    struct dns_outcome at_length;
    size_t limit;              /* of bytes */
    struct dns_apart ours;     /* the answer, */
    struct dns_apart long_way; /* as given at length, */
    struct dns_apart whole;    /* and with room for everything and no limits */
    uint8_t bytes[DNS_MESSAGE_MAX];
    uint8_t long_bytes[DNS_MESSAGE_MAX];
    uint8_t whole_bytes[DNS_MESSAGE_MAX];
};

static bool is_cut(const struct dns_apart *apart)
{
    return (apart->flags & DNS_FLAG_TC) != 0;
}

static bool is_limited(const struct trial *t)
{
    return t->world.options.udp_answer_limit > 0 || t->world.options.a_record_limit > 0;
}

/* The zones we may speak for. */
static bool ends_with(const struct dns_apart_record *record, const char *domain)
{
    struct dns_name zone;

    if (domain == NULL || dns_name_from_text(domain, &zone) != RC_OK) {
        return false;
    }
    for (size_t at = 0; at < record->owner_size; at += (size_t)record->bytes[at] + 1) {
        size_t same = 0;
        while (same < zone.size && at + same < record->owner_size &&
               (zone.wire[same] | 0x20) == (record->bytes[at + same] | 0x20)) {
            same++;
        }
        if (same == zone.size && at + same == record->owner_size) {
            return true;
        }
    }
    return false;
}

static bool is_ours(const struct trial *t, const struct dns_apart *apart,
                    const struct dns_apart_record *record)
{
    return ends_with(record, t->world.options.domain) ||
           ends_with(record, t->world.options.alt_domain) ||
           (apart->has_question && ends_with(record, "arpa"));
}

/* What holds of every answer, whatever was asked. */
static const char *check_form(const struct trial *t, const struct dns_outcome *outcome,
                              const uint8_t *bytes, struct dns_apart *apart)
{
    if (outcome->size > t->limit || outcome->size < DNS_HEADER_SIZE) {
        return "longer than it may be, or without a header";
    }
    const char *wrong = dns_apart_read(bytes, outcome->size, apart);
    if (wrong != NULL) {
        return wrong;
    }
    if (apart->id != t->read.id || (apart->flags & DNS_FLAG_QR) == 0) {
        return "not an answer to that question";
    }
    if (apart->has_question &&
        memcmp(bytes + TRIAL_ECHO_AT, t->read.bytes, t->read.question_size) != 0) {
        return "the question is not echoed bit for bit";
    }
    if (apart->has_opt && t->read.edns == DNS_PART_MISSING) {
        return "an OPT for who sent none";
    }
    if (apart->has_opt != (t->read.edns == DNS_PART_PRESENT)) {
        return "no OPT for who sent one";
    }
    for (size_t i = 0; i < apart->count; i++) {
        if (!is_ours(t, apart, &apart->records[i])) {
            return "a record of a zone that is not ours";
        }
    }
    bool is_refusal = outcome->rcode == DNS_RCODE_FORMERR ||
                      outcome->rcode == DNS_RCODE_NOTIMP ||
                      outcome->rcode == DNS_RCODE_BADVERS;
    if (is_refusal && outcome->size > t->query.size + OPT_WITH_ERROR) {
        return "an error larger than the query";
    }
    return outcome->truncated != (is_cut(apart) ? DNS_YES : DNS_NO)
               ? "it does not know whether it was cut"
               : NULL;
}

/* TC when, and only when, answers are missing. Which host stands for a service is left to
 * chance, ANY over UDP is one set of records, and Consul has its own ways. */
static const char *check_cut(const struct trial *t)
{
    const struct dns_options *options = &t->world.options;

    if (options->enable_truncate == DNS_NO && options->consul_compat == DNS_NO) {
        return is_cut(&t->ours) ? "cut, though that is never to be told" : NULL;
    }
    if (t->world.has_hosts || t->read.type == DNS_TYPE_ANY ||
        options->consul_compat == DNS_YES || is_cut(&t->whole)) {
        return NULL;
    }
    size_t there = t->whole.counts[DNS_SECTION_ANSWER];
    size_t said = t->ours.counts[DNS_SECTION_ANSWER];
    for (size_t i = 0; i < said; i++) {
        if (!dns_apart_has_answer(&t->whole, &t->ours.records[i])) {
            return "a record that is not there";
        }
    }
    if (is_limited(t)) {
        return said > there ? "more than there is" : NULL;
    }
    return is_cut(&t->ours) == (said < there) ? NULL : "TC does not tell the truth";
}

/* Instances may be alike, and so may name servers, which share a name or an address. */
static const char *check_twice(const struct trial *t)
{
    if (t->read.name.label_count > 0 &&
        rc_span_equals_nocase(dns_name_label(&t->read.name, 0), "ns")) {
        return NULL;
    }
    for (size_t i = 1; i < t->ours.counts[DNS_SECTION_ANSWER]; i++) {
        uint16_t type = t->ours.records[i].type;
        if (type != DNS_TYPE_SRV && type != DNS_TYPE_NS &&
            dns_apart_compare(&t->ours.records[i - 1], &t->ours.records[i]) == 0) {
            return "a record is there twice";
        }
    }
    return NULL;
}

static bool is_of_one_size(const struct trial *t)
{
    return t->read.type == DNS_TYPE_A || t->read.type == DNS_TYPE_AAAA;
}

static const char *check_same_header(const struct trial *t)
{
    const struct dns_apart *a = &t->ours;
    const struct dns_apart *b = &t->long_way;

    /* Of a few that are chosen the long ones may fit, or not. */
    unsigned by_chance = is_limited(t) && !is_of_one_size(t) ? DNS_FLAG_TC : 0;
    if (a->id != b->id || ((unsigned)(a->flags ^ b->flags) & ~by_chance) != 0 ||
        a->has_opt != b->has_opt || t->outcome.type != t->at_length.type ||
        t->outcome.rcode != t->at_length.rcode ||
        t->outcome.verdict != t->at_length.verdict) {
        return "the short way has another header";
    }
    if (a->has_opt && (a->opt_size != b->opt_size || a->opt_ttl != b->opt_ttl ||
                       a->opt_data_size != b->opt_data_size ||
                       memcmp(a->opt_data, b->opt_data, a->opt_data_size) != 0)) {
        return "the short way has another OPT";
    }
    return NULL;
}

/* Which records are left out of a cut or limited answer is left to chance, and so is how
 * many of different sizes, and additional ones, then fit; all else is the same. */
static const char *check_same_records(const struct trial *t)
{
    const struct dns_apart *a = &t->ours;
    const struct dns_apart *b = &t->long_way;
    size_t compared = a->counts[DNS_SECTION_ANSWER] + a->counts[DNS_SECTION_AUTHORITY];
    bool is_whole = !is_cut(&t->whole) &&
                    a->counts[DNS_SECTION_ANSWER] == t->whole.counts[DNS_SECTION_ANSWER];

    if ((is_of_one_size(t) || is_whole) &&
        (a->counts[DNS_SECTION_ANSWER] != b->counts[DNS_SECTION_ANSWER] ||
         a->counts[DNS_SECTION_AUTHORITY] != b->counts[DNS_SECTION_AUTHORITY])) {
        return "the short way has another number of records";
    }
    if (!is_whole) {
        return NULL;
    }
    /* Additional records are left out at the first that does not fit; and of instances that
     * are alike one stands for all, whose node may have metadata. */
    if (t->world.options.node_meta_txt == DNS_NO &&
        t->outcome.size < t->limit - DNS_UDP_PLAIN_MAX / 4) {
        compared = a->count;
        if (a->count != b->count) {
            return "the short way has other additional records";
        }
    }
    for (size_t i = 0; i < compared; i++) {
        if (dns_apart_compare(&a->records[i], &b->records[i]) != 0) {
            return "the short way has another record";
        }
    }
    return NULL;
}

static const char *check_same(const struct trial *t)
{
    if (t->world.options.consul_compat == DNS_YES) {
        return NULL; /* which has no short way */
    }
    const char *wrong = check_same_header(t);
    return wrong != NULL || t->world.has_hosts ? wrong : check_same_records(t);
}

static void answer_whole(struct trial *t)
{
    struct dns_options *options = &t->world.options;
    const struct dns_options kept = *options;
    const struct dns_client client = {.channel = DNS_CHANNEL_TCP};

    options->udp_answer_limit = 0;
    options->a_record_limit = 0;
    options->enable_truncate = DNS_YES;
    struct dns_outcome outcome =
        dns_answer_at_length(t->answerer, &client, t->query.bytes, t->query.size,
                             t->whole_bytes, sizeof t->whole_bytes);
    *options = kept;
    if (dns_apart_read(t->whole_bytes, outcome.size, &t->whole) != NULL) {
        t->whole.flags = DNS_FLAG_TC; /* nothing to compare with */
    }
}

static const char *ask(struct trial *t, size_t out_max)
{
    struct dns_client client = {.channel = t->query.channel,
                                .may_recurse = t->query.size % 2 == 0 ? DNS_YES : DNS_NO,
                                .wall_ms = 1700000000000};

    int err = t->world.options.consul_compat == DNS_YES
                  ? dns_query_read_as_consul(t->query.bytes, t->query.size, &t->read)
                  : dns_query_read(t->query.bytes, t->query.size, &t->read);
    /* In a space of its own size, so that whoever reads beyond is found out. */
    uint8_t *query = malloc(t->query.size > 0 ? t->query.size : 1);
    if (query == NULL) {
        abort();
    }
    memcpy(query, t->query.bytes, t->query.size);
    t->outcome =
        dns_answer(t->answerer, &client, query, t->query.size, t->bytes, out_max);
    t->at_length = dns_answer_at_length(t->answerer, &client, query, t->query.size,
                                        t->long_bytes, out_max);
    free(query);
    if (err != RC_OK) {
        return t->outcome.size != 0 || t->at_length.size != 0 ? "answered for nothing"
                                                              : NULL;
    }
    t->limit = dns_limit_size(&t->read, t->query.channel, out_max);
    const char *wrong = check_form(t, &t->outcome, t->bytes, &t->ours);
    if (wrong == NULL) {
        wrong = check_form(t, &t->at_length, t->long_bytes, &t->long_way);
    }
    answer_whole(t);
    if (wrong == NULL) {
        wrong = check_same(t);
    }
    if (wrong == NULL) {
        wrong = check_twice(t);
    }
    return wrong != NULL || !t->ours.has_question ? wrong : check_cut(t);
}

static void explain(const struct trial *t, const char *wrong, char why[DNS_TRIAL_WHY_MAX])
{
    char name[DNS_NAME_TEXT_MAX] = "";

    if (t->read.question == DNS_PART_PRESENT) {
        (void)dns_name_to_text(&t->read.name, 0, t->read.name.label_count, name);
    }
    (void)snprintf(
        why, DNS_TRIAL_WHY_MAX,
        "%s: %.120s type %u channel %d limit %zu, flags %04x, size %zu; at length "
        "flags %04x, size %zu",
        wrong, name, (unsigned)t->read.type, (int)t->query.channel, t->limit,
        (unsigned)t->ours.flags, t->outcome.size, (unsigned)t->long_way.flags,
        t->at_length.size);
}

int dns_trial(const uint8_t *bytes, size_t size, char why[DNS_TRIAL_WHY_MAX])
{
    static struct trial space; /* some megabytes, of which a trial touches little */
    struct trial *t = &space;
    struct trial_bytes left = {bytes, size};
    const char *wrong = NULL;

    trial_world_fill(&t->world, &left);
    if (dns_answerer_create(&t->world.options, &t->world.view, size, &t->answerer) !=
        RC_OK) {
        return 0;
    }
    for (int i = 0; i < QUERIES && left.left > 0 && wrong == NULL; i++) {
        trial_query_fill(&t->query, &t->world, &left);
        size_t out_max =
            trial_choose(&left, 4) == 1 ? DNS_UDP_PLAIN_MAX : DNS_MESSAGE_MAX;
        wrong = ask(t, out_max);
    }
    if (wrong != NULL) {
        explain(t, wrong, why);
    }
    dns_answerer_destroy(t->answerer);
    trial_world_clear(&t->world);
    return wrong == NULL ? 0 : -1;
}
