#include "dns/answer/lane.h"

#include <stdbool.h>
#include <string.h>

#include "base/err.h"
#include "dns/answer/limit.h"
#include "dns/answer/question.h"

enum {
    POINTER = 0xc000,
    POINTER_END = 0x4000, /* nothing behind can be pointed to */
    ADDRESS_MAX = 28,     /* of an AAAA record */
    OPT_SIZE = 11,
    EDNS_FLAG_DO = 0x8000,
    /* Of the SOA's parts: owner, fields, "ns", "hostmaster", five numbers. */
    SOA_TTL_AT = 6,
    SOA_SERVER_AT = 12 + 3,
    SOA_MAILBOX_AT = 12 + 5 + 11,
    SOA_NUMBERS_AT = 12 + 5 + 13
};

/* An answer on its way. */
struct trip {
    struct dns_lane *lane;
    const struct dns_client *client;
    const struct dns_ending *ending;
    size_t zone_at; /* in the message */
    struct dns_copy copy;
    uint16_t rcode;
    uint16_t authority;
};

static void put16(uint8_t *out, unsigned value)
{
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
}

static void put32(uint8_t *out, uint32_t value)
{
    put16(out, value >> 16);
    put16(out + 2, value & 0xffff);
}

/* An ending counts if dns_question_read() takes what stands before it for what it is: with
 * a datacenter called "node" it does not. */
static void add_ending(struct dns_lane *lane, const struct dns_name *zone,
                       const char *datacenter, const char *kind, enum dns_form form)
{
    struct dns_ending *ending = &lane->endings[lane->ending_count];
    struct dns_name middle = *zone;
    struct dns_name whole;
    struct dns_name probe;
    struct dns_question question;

    if ((datacenter != NULL && dns_name_under(datacenter, zone, &middle) != RC_OK) ||
        dns_name_under(kind, &middle, &whole) != RC_OK ||
        dns_name_under("x", &whole, &probe) != RC_OK) {
        return;
    }
    dns_question_read(&lane->ground->zones, &probe, &question);
    if (question.form != form || !rc_span_equals(question.subject, "x") ||
        (form == DNS_FORM_SERVICE && question.tag.size > 0) ||
        question.zone_label + zone->label_count != probe.label_count) {
        return;
    }
    ending->form = form;
    ending->size = whole.size;
    ending->zone_at = (uint16_t)(whole.size - zone->size);
    ending->has_soa =
        zone == &lane->ground->zones.domain ? DNS_PART_PRESENT : DNS_PART_MISSING;
    memcpy(ending->name, whole.wire, whole.size);
    dns_glance_fold(ending->name, whole.size);
    ending->next = lane->by_size[whole.size];
    lane->by_size[whole.size] = (uint8_t)++lane->ending_count;
}

static void add_endings(struct dns_lane *lane, const struct dns_name *zone)
{
    const char *datacenter = lane->ground->zones.datacenter;

    add_ending(lane, zone, NULL, "service", DNS_FORM_SERVICE);
    add_ending(lane, zone, NULL, "node", DNS_FORM_NODE);
    if (datacenter[0] != '\0') {
        add_ending(lane, zone, datacenter, "service", DNS_FORM_SERVICE);
        add_ending(lane, zone, datacenter, "node", DNS_FORM_NODE);
    }
}

/* The SOA as reply.c writes it, for a question of which only the zone is in common. If it
 * is another one than we know how to adapt, there is none. */
static void make_soa(struct dns_lane *lane)
{
    const struct dns_name *zone = &lane->ground->zones.domain;
    uint8_t question[DNS_NAME_MAX + 4] = {0};
    struct dns_query query = {.question = DNS_PART_PRESENT, .bytes = question};
    uint8_t space[DNS_UDP_PLAIN_MAX];
    const struct dns_client client = {.wall_ms = 0};
    struct dns_reply reply = {.ground = lane->ground,
                              .query = &query,
                              .client = &client,
                              .extras = &lane->extras};

    query.name = *zone;
    query.question_size = (size_t)zone->size + 4;
    memcpy(question, zone->wire, zone->size);
    dns_writer_begin(&reply.writer, &query, &lane->extras, space, sizeof space,
                     DNS_PART_PRESENT);
    size_t before = dns_writer_at(&reply.writer);
    dns_reply_soa(&reply, DNS_SECTION_AUTHORITY, 0, 0);
    memcpy(lane->soa, space + before, sizeof lane->soa);
    uint8_t pointer[2];
    put16(pointer, POINTER | DNS_QUESTION_AT);
    if (dns_writer_at(&reply.writer) - before != sizeof lane->soa ||
        memcmp(lane->soa, pointer, 2) != 0 ||
        memcmp(lane->soa + SOA_SERVER_AT, pointer, 2) != 0 ||
        memcmp(lane->soa + SOA_MAILBOX_AT, pointer, 2) != 0) {
        for (size_t i = 0; i < lane->ending_count; i++) {
            lane->endings[i].has_soa = DNS_PART_MISSING;
        }
    }
}

void dns_lane_init(struct dns_lane *lane, const struct dns_ground *ground,
                   struct rc_random *random, struct dns_pick *pick)
{
    const struct dns_zones *zones = &ground->zones;
    const struct dns_query with_edns = {.edns = DNS_PART_PRESENT};
    uint8_t space[DNS_UDP_PLAIN_MAX];
    struct dns_writer writer;

    memset(lane, 0, sizeof *lane);
    lane->ground = ground;
    lane->pick = pick;
    lane->space.random = random;
    dns_extras_init(&lane->extras);
    dns_glance_init(&lane->glance);
    dns_writer_begin(&writer, &with_edns, &lane->extras, space, sizeof space,
                     DNS_PART_PRESENT);
    lane->opt_room = writer.reserved;
    add_endings(lane, &zones->domain);
    if (zones->alt_domain.label_count > 0) {
        add_endings(lane, &zones->alt_domain);
    }
    make_soa(lane);
}

/* Both have zeros behind them, so whole steps are compared. */
static bool is_same(const uint8_t *a, const uint8_t *b, size_t size)
{
    for (size_t i = 0; i < size; i += DNS_GLANCE_STEP) {
        if (memcmp(a + i, b + i, DNS_GLANCE_STEP) != 0) {
            return false;
        }
    }
    return true;
}

/* The labels before the ending, or NULL if the name has none of our endings. */
static const struct dns_ending *find_ending(const struct dns_lane *lane, size_t *labels)
{
    const struct dns_glance *glance = &lane->glance;

    for (size_t i = 1; i < glance->label_count; i++) {
        size_t start = glance->starts[i];
        size_t size = glance->name_size - start;
        size_t number = lane->by_size[size];
        while (number != 0) {
            const struct dns_ending *ending = &lane->endings[number - 1];
            if (is_same(glance->name + start, ending->name, size)) {
                *labels = i;
                return ending;
            }
            number = ending->next;
        }
    }
    return NULL;
}

/* The label, or an empty span if it holds a dot or a NUL: no text means that. */
static struct rc_span label_of(const struct dns_glance *glance, size_t i)
{
    const uint8_t *label = glance->name + glance->starts[i];
    struct rc_span span = {.at = (const char *)label + 1, .size = label[0]};

    for (size_t k = 0; k < span.size; k++) {
        if (span.at[k] == '.' || span.at[k] == '\0') {
            span.size = 0;
        }
    }
    return span;
}

/* TAG.NAME, or _NAME._TAG (RFC 2782), where _tcp is no tag. */
static enum dns_choice read_labels(const struct dns_glance *glance, size_t labels,
                                   struct rc_span *subject, struct rc_span *tag)
{
    *subject = label_of(glance, labels - 1);
    *tag = (struct rc_span){.at = "", .size = 0};
    if (labels > 2 || subject->size == 0) {
        return DNS_NO;
    }
    if (labels == 1) {
        return subject->at[0] == '_' ? DNS_NO : DNS_YES;
    }
    *tag = label_of(glance, 0);
    if (tag->size == 0 || (tag->at[0] == '_') != (subject->at[0] == '_')) {
        return DNS_NO;
    }
    if (tag->at[0] == '_') {
        struct rc_span service = {.at = tag->at + 1, .size = tag->size - 1};
        *tag = (struct rc_span){.at = subject->at + 1, .size = subject->size - 1};
        *subject = service;
        if (subject->size == 0 || tag->size == 0) {
            return DNS_NO;
        }
        if (rc_span_equals(*tag, "tcp")) {
            tag->size = 0;
        }
    }
    return DNS_YES;
}

/* RFC 2308: the SOA, for a name or a set of records that is not there. */
static enum dns_choice say_none(struct trip *trip, uint16_t rcode)
{
    const struct dns_ground *ground = trip->lane->ground;
    const struct dns_options *options = ground->options;
    uint8_t *soa = trip->copy.message + trip->copy.at;

    if (trip->ending->has_soa == DNS_PART_MISSING) {
        return DNS_NO;
    }
    memcpy(soa, trip->lane->soa, DNS_LANE_SOA_SIZE);
    put16(soa, POINTER | (unsigned)trip->zone_at);
    put32(soa + SOA_TTL_AT, options->soa.min_ttl_s);
    put16(soa + SOA_SERVER_AT, POINTER | (unsigned)trip->zone_at);
    put16(soa + SOA_MAILBOX_AT, POINTER | (unsigned)trip->zone_at);
    put32(soa + SOA_NUMBERS_AT, (uint32_t)ground->view->index(ground->view->context));
    put32(soa + SOA_NUMBERS_AT + 4, options->soa.refresh_s);
    put32(soa + SOA_NUMBERS_AT + 8, options->soa.retry_s);
    put32(soa + SOA_NUMBERS_AT + 12, options->soa.expire_s);
    put32(soa + SOA_NUMBERS_AT + 16, options->soa.min_ttl_s);
    trip->copy.at += DNS_LANE_SOA_SIZE;
    trip->authority = 1;
    trip->rcode = rcode;
    return DNS_YES;
}

static enum dns_choice copy_ready(struct trip *trip, const struct dns_ready *ready,
                                  size_t out_max)
{
    const struct dns_options *options = trip->lane->ground->options;
    const struct dns_query *query = &trip->lane->glance.query;
    struct dns_copy *copy = &trip->copy;
    size_t whole = copy->at + dns_ready_size(ready);

    copy->end = dns_limit_size(query, trip->client->channel, out_max) -
                (query->edns == DNS_PART_PRESENT ? trip->lane->opt_room : 0);
    copy->end = whole < copy->end ? whole : copy->end;
    if (copy->end > POINTER_END || copy->end + DNS_READY_SLACK > out_max) {
        return DNS_NO;
    }
    copy->limit = dns_limit_answers(options, query, trip->client->channel,
                                    query->type == DNS_TYPE_SRV ? DNS_LIMITED_OTHERS
                                                                : DNS_LIMITED_ADDRESSES);
    dns_ready_copy(ready, &trip->lane->space, copy);
    return DNS_YES;
}

/* Who may be written now is a thing of the moment, with rules of its own. */
static enum dns_choice is_of_the_moment(struct rc_span tag)
{
    return tag.size > 0 &&
                   (rc_span_equals(tag, "primary") || rc_span_equals(tag, "master"))
               ? DNS_YES
               : DNS_NO;
}

/* A name below which others are exists, too. */
static uint16_t code_without(const struct dns_options *options,
                             enum dns_existence existence)
{
    bool exists =
        existence == DNS_EXISTENCE_BELOW ||
        (existence == DNS_EXISTENCE_UNUSABLE && options->empty_service_ok == DNS_YES);

    return exists ? DNS_RCODE_NOERROR : DNS_RCODE_NXDOMAIN;
}

static enum dns_choice answer_service(struct trip *trip, size_t labels, size_t out_max)
{
    struct dns_lane *lane = trip->lane;
    const struct dns_ground *ground = lane->ground;
    const struct dns_options *options = ground->options;
    const struct dns_query *query = &lane->glance.query;
    struct dns_ready_key key = {.type = query->type};
    const struct dns_ready *ready;
    struct rc_span subject;

    if (read_labels(&lane->glance, labels, &subject, &key.tag) == DNS_NO ||
        is_of_the_moment(key.tag) == DNS_YES ||
        (query->type == DNS_TYPE_SRV && options->node_meta_txt == DNS_YES)) {
        return DNS_NO;
    }
    const struct dns_service *service =
        ground->view->service(ground->view->context, subject);
    if (service == NULL) {
        return say_none(trip, DNS_RCODE_NXDOMAIN);
    }
    key.ttl_s = dns_ground_service_ttl(ground, subject);
    key.strictness =
        options->only_passing == DNS_YES ? DNS_ONLY_PASSING : DNS_ALLOW_WARNING;
    enum dns_existence existence =
        dns_ready_get(ground, service, &key, lane->pick, &ready);
    if (existence != DNS_EXISTENCE_USABLE) {
        return say_none(trip, code_without(options, existence));
    }
    if (ready == NULL) {
        return DNS_NO;
    }
    return dns_ready_size(ready) > 0 ? copy_ready(trip, ready, out_max)
                                     : say_none(trip, DNS_RCODE_NOERROR);
}

static enum dns_choice answer_node(struct trip *trip, size_t labels)
{
    struct dns_lane *lane = trip->lane;
    const struct dns_ground *ground = lane->ground;
    uint16_t type = lane->glance.query.type;
    struct rc_span subject = label_of(&lane->glance, 0);

    if (labels > 1 || subject.size == 0 || type == DNS_TYPE_SRV ||
        ground->options->node_meta_txt == DNS_YES) {
        return DNS_NO;
    }
    const struct dns_node *node = ground->view->node(ground->view->context, subject);
    if (node == NULL) {
        bool is_above = ground->view->node_below != NULL &&
                        ground->view->node_below(ground->view->context, subject);
        return say_none(trip, is_above ? DNS_RCODE_NOERROR : DNS_RCODE_NXDOMAIN);
    }
    if (node->place.host != NULL || node->is_silent) {
        return DNS_NO;
    }
    const struct rc_address *ip = &node->place.ip;
    if (ip->family != (type == DNS_TYPE_A ? RC_ADDRESS_IPV4 : RC_ADDRESS_IPV6)) {
        return say_none(trip, DNS_RCODE_NOERROR);
    }
    uint8_t *out = trip->copy.message + trip->copy.at;
    size_t size = rc_address_ip_size(ip);
    put16(out, POINTER | DNS_QUESTION_AT);
    put16(out + 2, type);
    put16(out + 4, DNS_CLASS_IN);
    put32(out + 6, ground->options->node_ttl_s);
    put16(out + 10, (unsigned)size);
    memcpy(out + 12, ip->ip, size);
    trip->copy.at += 12 + size;
    trip->copy.answers = 1;
    return DNS_YES;
}

static void write_opt(struct trip *trip)
{
    static const uint8_t opt[OPT_SIZE] = {0, 0, DNS_TYPE_OPT, DNS_EDNS_SIZE >> 8,
                                          DNS_EDNS_SIZE & 0xff};
    uint8_t *out = trip->copy.message + trip->copy.at;

    memcpy(out, opt, sizeof opt);
    put16(out + 7, trip->lane->glance.query.edns_flags & EDNS_FLAG_DO);
    trip->copy.at += sizeof opt;
    trip->copy.additional++;
}

/* OPT and header. */
static void finish(struct trip *trip, struct dns_outcome *outcome)
{
    const struct dns_query *query = &trip->lane->glance.query;
    const struct dns_options *options = trip->lane->ground->options;
    unsigned flags = DNS_FLAG_QR | DNS_FLAG_AA | trip->rcode |
                     (query->flags & (DNS_FLAG_RD | DNS_FLAG_CD));

    outcome->truncated = trip->copy.is_cut == DNS_YES ? options->enable_truncate : DNS_NO;
    flags |= outcome->truncated == DNS_YES ? DNS_FLAG_TC : 0;
    flags |= trip->client->may_recurse == DNS_YES ? DNS_FLAG_RA : 0;
    if (query->edns == DNS_PART_PRESENT) {
        write_opt(trip);
    }
    uint8_t *header = trip->copy.message;
    put16(header, query->id);
    put16(header + 2, flags);
    put16(header + 4, 1);
    put16(header + 6, trip->copy.answers);
    put16(header + 8, trip->authority);
    put16(header + 10, trip->copy.additional);
    outcome->verdict = DNS_VERDICT_ANSWER;
    outcome->query = query;
    outcome->extras = &trip->lane->extras;
    outcome->size = trip->copy.at;
    outcome->type = query->type;
    outcome->rcode = trip->rcode;
}

enum dns_choice dns_lane_answer(struct dns_lane *lane, const struct dns_client *client,
                                struct rc_span query, uint8_t *out, size_t out_max,
                                struct dns_outcome *outcome)
{
    const struct dns_view *view = lane->ground->view;
    struct trip trip = {.lane = lane, .client = client};
    const struct dns_query *read = &lane->glance.query;
    size_t labels;

    if (lane->ground->options->disable_compression == DNS_YES ||
        !dns_glance_read(&lane->glance, (const uint8_t *)query.at, query.size,
                         out + DNS_QUESTION_AT) ||
        read->class != DNS_CLASS_IN ||
        (read->type != DNS_TYPE_A && read->type != DNS_TYPE_AAAA &&
         read->type != DNS_TYPE_SRV) ||
        (trip.ending = find_ending(lane, &labels)) == NULL) {
        return DNS_NO;
    }
    view->begin(view->context);
    if (view->index(view->context) == 0) {
        return DNS_NO;
    }
    trip.copy.message = out;
    trip.copy.at = DNS_QUESTION_AT + read->question_size;
    trip.zone_at = DNS_QUESTION_AT + (size_t)lane->glance.name_size - trip.ending->size +
                   trip.ending->zone_at;
    enum dns_choice done = trip.ending->form == DNS_FORM_SERVICE
                               ? answer_service(&trip, labels, out_max)
                               : answer_node(&trip, labels);
    if (done == DNS_YES) {
        finish(&trip, outcome);
    }
    return done;
}
