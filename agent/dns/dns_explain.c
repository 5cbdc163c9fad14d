#include "agent/dns/dns_explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/dns/dns_complete.h"
#include "agent/dns/dns_meaning.h"
#include "agent/dns/dns_told.h"
#include "agent/dns/dns_watched.h"
#include "agent/prepared/prepared_book.h"
#include "base/err.h"
#include "base/text.h"
#include "dns/answer/reply.h"

enum { TYPES_MAX = 3, EDNS_SIZE = 1232 };

struct explain {
    const struct dns_explain_ground *ground;
    const struct dns_explain_question *question;
    struct dns_ground terms; /* the zones, and what TTLs come from */
    struct dns_watched watched;
    struct dns_answerer *answerer;
    struct dns_completed completed;
    struct dns_meaning meaning;
    uint16_t types[TYPES_MAX];
    size_t type_count;
    struct dns_told *told[TYPES_MAX];
    const struct catalog_service **shown; /* owned: those that may be shown */
    bool *usable;                         /* owned: for each of those */
    size_t shown_count;
    size_t considered;    /* that may be shown, though perhaps too many to be */
    bool is_filtered;     /* there are others */
    struct rc_json *json; /* borrowed */
};

/* ---- Asking. */

static const uint16_t *usual_types(enum dns_form form, size_t *count)
{
    static const uint16_t of_service[] = {DNS_TYPE_A, DNS_TYPE_AAAA, DNS_TYPE_SRV};
    static const uint16_t of_node[] = {DNS_TYPE_A, DNS_TYPE_AAAA, DNS_TYPE_TXT};
    static const uint16_t of_zone[] = {DNS_TYPE_SOA, DNS_TYPE_NS};
    static const uint16_t of_address[] = {DNS_TYPE_PTR};

    switch (form) {
    case DNS_FORM_SERVICE:
    case DNS_FORM_QUERY:
        *count = 3;
        return of_service;
    case DNS_FORM_NODE:
        *count = 3;
        return of_node;
    case DNS_FORM_ADDRESS:
    case DNS_FORM_NAME_SERVER:
        *count = 2;
        return of_service;
    case DNS_FORM_APEX:
        *count = 2;
        return of_zone;
    case DNS_FORM_REVERSE:
        *count = 1;
        return of_address;
    case DNS_FORM_FOREIGN:
    case DNS_FORM_DIGITS:
    case DNS_FORM_EMPTY:
    case DNS_FORM_UNKNOWN:
    case DNS_FORM_COUNT:
        break;
    }
    *count = 1;
    return of_service;
}

static int choose_types(struct explain *e, char error[DNS_EXPLAIN_ERROR_MAX])
{
    struct rc_buffer known = {0};

    if (e->question->type[0] == '\0') {
        const uint16_t *usual = usual_types(e->meaning.question.form, &e->type_count);
        memcpy(e->types, usual, e->type_count * sizeof e->types[0]);
        return RC_OK;
    }
    e->type_count = 1;
    if (dns_present_read_type(e->question->type, &e->types[0]) == RC_OK) {
        return RC_OK;
    }
    dns_present_types(&known);
    (void)snprintf(
        error, DNS_EXPLAIN_ERROR_MAX,
        "no such type: %.40s; known are %s, and any other as TYPE and its number",
        e->question->type, rc_buffer_string(&known));
    rc_buffer_fini(&known);
    return RC_EINVAL;
}

static int ask(const struct explain *e, uint16_t type, enum dns_channel channel,
               uint16_t edns_size, struct dns_told **out)
{
    const struct dns_told_way way = {.channel = channel,
                                     .edns_size = edns_size,
                                     .forwards = e->ground->forwards != NULL,
                                     .now_ms = e->ground->now_ms,
                                     .wall_ms = e->ground->wall_ms};

    return dns_told_create(e->answerer, &e->completed.name, type, &way, out);
}

static int ask_all(struct explain *e)
{
    int err = dns_answerer_create(e->ground->options, &e->watched.view, e->ground->seed,
                                  &e->answerer);

    for (size_t i = 0; err == RC_OK && i < e->type_count; i++) {
        err = ask(e, e->types[i], e->question->channel, e->question->edns_size,
                  &e->told[i]);
        if (err == RC_OK) {
            err = dns_told_list(e->told[i], &e->terms.zones);
        }
    }
    return err;
}

/* ---- Writing: instances. */

static int choose_instances(struct explain *e)
{
    const struct catalog_name *name = e->meaning.service;
    size_t count = name != NULL ? name->instance_count : 0;

    e->shown = calloc(count + 1, sizeof(struct catalog_service *));
    e->usable = calloc(count + 1, sizeof(bool));
    if (e->shown == NULL || e->usable == NULL) {
        return RC_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        if (!dns_sight_shows_instance(&e->question->asker, name->instances[i])) {
            e->is_filtered = true;
        } else {
            e->considered++;
            if (e->shown_count < DNS_EXPLAIN_INSTANCES_MAX) {
                e->shown[e->shown_count++] = name->instances[i];
            }
        }
    }
    return RC_OK;
}

static void write_texts(struct rc_json *json, const char *key, const char *const *texts,
                        size_t count)
{
    rc_json_key(json, key);
    rc_json_array(json);
    for (size_t i = 0; i < count; i++) {
        rc_json_string(json, texts[i]);
    }
    rc_json_array_end(json);
}

static void write_instance(struct explain *e, size_t i,
                           const struct dns_reason_ground *reasons)
{
    const struct catalog_service *instance = e->shown[i];
    enum check_status status = catalog_service_health(instance);
    struct rc_json *json = e->json;

    rc_json_object(json);
    rc_json_put_string(json, "ID", instance->id);
    rc_json_put_string(json, "Node", instance->node->name);
    rc_json_put_string(json, "Address", dns_told_address(instance));
    rc_json_put_u64(json, "Port", instance->port);
    write_texts(json, "Tags", instance->tags, instance->tag_count);
    rc_json_put_string(json, "Status", check_status_name(status));
    rc_json_put_string(json, "Liveness", catalog_liveness_name(instance->node->liveness));
    rc_json_put_u64(json, "Weight",
                    status == CHECK_WARNING ? instance->weight_warning
                                            : instance->weight_passing);
    rc_json_key(json, "Reasons");
    e->usable[i] = dns_reason_write(reasons, instance, json) == 0;
    rc_json_put_bool(json, "Usable", e->usable[i]);
    rc_json_object_end(json);
}

static void write_instances(struct explain *e)
{
    const struct dns_reason_ground reasons = {
        .catalog = e->ground->catalog,
        .dns = &e->ground->dns,
        .tag = e->meaning.tag,
        .only_passing = e->ground->options->only_passing,
        .query = e->meaning.query,
    };

    rc_json_key(e->json, "Instances");
    rc_json_array(e->json);
    for (size_t i = 0; i < e->shown_count; i++) {
        write_instance(e, i, &reasons);
    }
    rc_json_array_end(e->json);
    rc_json_put_u64(e->json, "Considered", e->considered);
    rc_json_put_bool(e->json, "Filtered", e->is_filtered);
}

/* ---- Writing: answers. */

/* Why an instance that DNS may name is not in this answer. */
static const char *why_not(const struct explain *e, const struct dns_told *told, size_t i)
{
    const struct dns_options *options = e->ground->options;
    size_t count = told->is_readable ? told->response.counts[DNS_SECTION_ANSWER] : 0;
    bool is_udp = e->question->channel != DNS_CHANNEL_TCP;
    bool is_small = e->question->edns_size <= DNS_UDP_PLAIN_MAX;
    struct rc_address ip;

    if (!e->usable[i]) {
        return "left out: see its reasons";
    }
    if (told->outcome.rcode == DNS_RCODE_SERVFAIL) {
        return "nobody is named";
    }
    if (rc_address_parse_ip(dns_told_address(e->shown[i]), 0, &ip) != RC_OK) {
        return told->type == DNS_TYPE_SRV
                   ? "its address is no domain name"
                   : "its address is a host name: a name has addresses, or else one alias";
    }
    if (told->type == DNS_TYPE_A && ip.family == RC_ADDRESS_IPV6) {
        return "its address is IPv6: see AAAA";
    }
    if (told->type == DNS_TYPE_AAAA && ip.family == RC_ADDRESS_IPV4) {
        return "its address is IPv4: see A";
    }
    if (options->a_record_limit > 0 && count == options->a_record_limit &&
        told->type != DNS_TYPE_SRV) {
        return "dns_config.a_record_limit leaves it out this time";
    }
    if (is_udp && is_small && options->udp_answer_limit > 0 &&
        count == options->udp_answer_limit) {
        return "dns_config.udp_answer_limit leaves it out this time";
    }
    return "the answer has no room for it this time: ask by TCP";
}

static bool names_instances(const struct dns_told *told)
{
    return told->type == DNS_TYPE_A || told->type == DNS_TYPE_AAAA ||
           told->type == DNS_TYPE_SRV;
}

static void write_who(struct explain *e, const struct dns_told *told)
{
    struct rc_json *json = e->json;

    if (!names_instances(told) || e->shown_count == 0) {
        return;
    }
    rc_json_key(json, "Instances");
    rc_json_array(json);
    for (size_t i = 0; i < e->shown_count; i++) {
        bool is_in = e->usable[i] && dns_told_has(told, &e->terms.zones, e->shown[i]);
        rc_json_object(json);
        rc_json_put_bool(json, "In", is_in);
        rc_json_put_string(json, "Why", is_in ? "" : why_not(e, told, i));
        rc_json_object_end(json);
    }
    rc_json_array_end(json);
}

static void write_records(struct explain *e, struct dns_told *told,
                          enum dns_section section, const char *key)
{
    struct dns_received record;
    struct rc_buffer line = {0};

    rc_json_key(e->json, key);
    rc_json_array(e->json);
    dns_response_rewind(&told->response);
    while (dns_response_next(&told->response, &record) == RC_OK) {
        if (record.section == section) {
            rc_buffer_clear(&line);
            dns_present_record(&told->response, &record, &line);
            rc_json_string(e->json, rc_buffer_string(&line));
        }
    }
    rc_json_array_end(e->json);
    rc_buffer_fini(&line);
}

static void write_flags(struct rc_json *json, uint16_t flags)
{
    static const struct {
        uint16_t bit;
        const char *name;
    } names[] = {{DNS_FLAG_QR, "qr"}, {DNS_FLAG_AA, "aa"}, {DNS_FLAG_TC, "tc"},
                 {DNS_FLAG_RD, "rd"}, {0x0080, "ra"},      {0x0020, "ad"},
                 {DNS_FLAG_CD, "cd"}};

    rc_json_key(json, "Flags");
    rc_json_array(json);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if ((flags & names[i].bit) != 0) {
            rc_json_string(json, names[i].name);
        }
    }
    rc_json_array_end(json);
}

/* The same question in the three ways that clients ask. */
static int write_sizes(struct explain *e, uint16_t type)
{
    static const struct {
        const char *name;
        enum dns_channel channel;
        uint16_t edns_size;
    } ways[] = {{"udp", DNS_CHANNEL_UDP_REMOTE, 0},
                {"edns", DNS_CHANNEL_UDP_REMOTE, EDNS_SIZE},
                {"tcp", DNS_CHANNEL_TCP, EDNS_SIZE}};
    struct rc_json *json = e->json;
    int err = RC_OK;

    rc_json_key(json, "Sizes");
    rc_json_array(json);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0] && err == RC_OK; i++) {
        struct dns_told *told = NULL;
        err = ask(e, type, ways[i].channel, ways[i].edns_size, &told);
        if (err == RC_OK) {
            rc_json_object(json);
            rc_json_put_string(json, "By", ways[i].name);
            rc_json_put_u64(json, "Size", told->outcome.size);
            rc_json_put_u64(json, "Answers",
                            told->is_readable ? told->response.counts[DNS_SECTION_ANSWER]
                                              : 0);
            rc_json_put_bool(json, "Truncated", told->outcome.truncated == DNS_YES);
            rc_json_object_end(json);
        }
        dns_told_destroy(told);
    }
    rc_json_array_end(json);
    return err;
}

static void write_edns(struct rc_json *json, const struct dns_present_edns *edns)
{
    rc_json_put_u64(json, "EDNS", edns->size);
    if (edns->extended >= 0) {
        rc_json_put_i64(json, "Extended", edns->extended);
        rc_json_put_string(json, "ExtendedText", dns_present_extended(edns->extended));
    }
}

static int write_answer(struct explain *e, struct dns_told *told)
{
    struct rc_json *json = e->json;
    char type[DNS_PRESENT_TYPE_MAX];
    bool is_withheld = e->watched.saw_hidden || !e->meaning.is_visible;
    int err = RC_OK;

    dns_present_type(told->type, type);
    rc_json_object(json);
    rc_json_put_string(json, "Type", type);
    rc_json_put_bool(json, "Withheld", is_withheld);
    if (!is_withheld && told->outcome.verdict == DNS_VERDICT_FORWARD) {
        rc_json_put_bool(json, "Forwarded", true);
    } else if (!is_withheld && told->is_readable) {
        rc_json_put_string(json, "Status", dns_present_rcode(told->edns.rcode));
        write_flags(json, told->response.flags);
        rc_json_put_u64(json, "Size", told->outcome.size);
        write_edns(json, &told->edns);
        write_records(e, told, DNS_SECTION_ANSWER, "Answer");
        write_records(e, told, DNS_SECTION_AUTHORITY, "Authority");
        write_records(e, told, DNS_SECTION_ADDITIONAL, "Additional");
        write_who(e, told);
        err = write_sizes(e, told->type);
    }
    rc_json_object_end(json);
    return err;
}

static int write_answers(struct explain *e)
{
    int err = RC_OK;

    rc_json_key(e->json, "Answers");
    rc_json_array(e->json);
    for (size_t i = 0; i < e->type_count && err == RC_OK; i++) {
        err = write_answer(e, e->told[i]);
    }
    rc_json_array_end(e->json);
    return err;
}

/* ---- All of it. */

/* The answer that has records, if one has. */
static const struct dns_told *best_of(const struct explain *e)
{
    for (size_t i = 0; i < e->type_count; i++) {
        if (e->told[i]->is_readable &&
            e->told[i]->response.counts[DNS_SECTION_ANSWER] > 0) {
            return e->told[i];
        }
    }
    return e->told[0];
}

static int write_all(struct explain *e)
{
    struct rc_json *json = e->json;
    struct rc_buffer name = {0};

    dns_present_name(&e->completed.name, &name);
    rc_json_object(json);
    rc_json_put_string(json, "Asked", e->question->name);
    rc_json_put_string(json, "Name", rc_buffer_string(&name));
    rc_json_put_string(json, "Completed",
                       e->completed.how != NULL ? e->completed.how : "");
    rc_buffer_fini(&name);
    write_instances(e);
    int err = write_answers(e);
    e->meaning.is_withheld = e->watched.saw_hidden || !e->meaning.is_visible;
    dns_meaning_write(&e->meaning, best_of(e), json);
    rc_json_object_end(json);
    return err == RC_OK ? json->out->err : err;
}

static int explain(struct explain *e, char error[DNS_EXPLAIN_ERROR_MAX])
{
    const struct dns_explain_ground *ground = e->ground;
    const struct dns_complete_ground names = {.catalog = ground->catalog,
                                              .book = ground->book,
                                              .zones = &e->terms.zones,
                                              .asker = &e->question->asker};

    if (dns_complete(&names, e->question->name, &e->completed) != RC_OK) {
        (void)snprintf(error, DNS_EXPLAIN_ERROR_MAX, "not a domain name: %.200s",
                       e->question->name);
        rc_text_to_line(error, DNS_EXPLAIN_ERROR_MAX);
        return RC_EINVAL;
    }
    dns_meaning_init(&e->meaning, ground, e->question, &e->terms, &e->completed.name);
    int err = choose_types(e, error);
    if (err == RC_OK) {
        err = choose_instances(e);
    }
    if (err == RC_OK) {
        err = ask_all(e);
    }
    return err == RC_OK ? write_all(e) : err;
}

int dns_explain(const struct dns_explain_ground *ground,
                const struct dns_explain_question *question, struct rc_json *json,
                char error[DNS_EXPLAIN_ERROR_MAX])
{
    struct explain *e = calloc(1, sizeof *e);

    if (e == NULL) {
        return RC_ENOMEM;
    }
    e->ground = ground;
    e->question = question;
    e->json = json;
    dns_watched_init(&e->watched, ground->view, &question->asker);
    int err = dns_ground_init(&e->terms, ground->options, &e->watched.view);
    if (err == RC_OK) {
        err = explain(e, error);
    }
    for (size_t i = 0; i < TYPES_MAX; i++) {
        dns_told_destroy(e->told[i]);
    }
    dns_meaning_fini(&e->meaning);
    dns_answerer_destroy(e->answerer);
    free((void *)e->shown);
    free(e->usable);
    free(e);
    return err;
}
