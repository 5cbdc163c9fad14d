#include "agent/dns/dns_meaning.h"

#include <stdarg.h>
#include <string.h>

#include "agent/dns/dns_complete.h"
#include "agent/dns/dns_told.h"
#include "agent/prepared/prepared_book.h"
#include "base/err.h"
#include "base/text.h"

/* ---- What it is about. */

static const char *service_of(const json_t *query)
{
    const char *name =
        json_string_value(json_object_get(json_object_get(query, "Service"), "Service"));
    return name != NULL ? name : "";
}

/* Whether he may see it if it is there: the same said whether it is there or not. */
static bool may_see(const struct dns_meaning *meaning)
{
    const struct dns_sight *asker = &meaning->asked->asker;
    const char *subject = meaning->question.subject.at;

    switch (meaning->question.form) {
    case DNS_FORM_SERVICE:
        return dns_sight_shows(asker, DNS_SIGHT_SERVICE, subject);
    case DNS_FORM_NODE:
        return dns_sight_shows(asker, DNS_SIGHT_NODE, subject);
    case DNS_FORM_QUERY:
        return meaning->query == NULL ||
               dns_sight_shows(asker, DNS_SIGHT_SERVICE, service_of(meaning->query));
    case DNS_FORM_FOREIGN:
    case DNS_FORM_APEX:
    case DNS_FORM_NAME_SERVER:
    case DNS_FORM_ADDRESS:
    case DNS_FORM_REVERSE:
    case DNS_FORM_DIGITS:
    case DNS_FORM_EMPTY:
    case DNS_FORM_UNKNOWN:
    case DNS_FORM_COUNT:
        break;
    }
    return true;
}

void dns_meaning_init(struct dns_meaning *meaning,
                      const struct dns_explain_ground *ground,
                      const struct dns_explain_question *asked,
                      const struct dns_ground *terms, const struct dns_name *name)
{
    struct dns_question *question = &meaning->question;
    const char *service = NULL;

    *meaning = (struct dns_meaning){
        .ground = ground, .asked = asked, .terms = terms, .name = name};
    dns_question_read(&terms->zones, name, question);
    meaning->tag = question->form == DNS_FORM_SERVICE && question->tag.size > 0
                       ? question->tag.at
                       : "";
    if (question->form == DNS_FORM_QUERY && ground->book != NULL &&
        prepared_book_find(ground->book, question->subject.at, PREPARED_CASE_FOLDED,
                           &meaning->query) == RC_OK) {
        service = service_of(meaning->query);
    } else if (question->form == DNS_FORM_SERVICE) {
        service = question->subject.at;
    }
    meaning->is_visible = may_see(meaning);
    if (service != NULL && meaning->is_visible) {
        meaning->service = catalog_name_find(ground->catalog, service);
    }
}

void dns_meaning_fini(struct dns_meaning *meaning)
{
    json_decref(meaning->query);
    meaning->query = NULL;
}

static const char *form_name(enum dns_form form)
{
    static const char *const names[DNS_FORM_COUNT] = {
        [DNS_FORM_FOREIGN] = "foreign", [DNS_FORM_APEX] = "apex",
        [DNS_FORM_NAME_SERVER] = "ns",  [DNS_FORM_SERVICE] = "service",
        [DNS_FORM_QUERY] = "query",     [DNS_FORM_NODE] = "node",
        [DNS_FORM_ADDRESS] = "addr",    [DNS_FORM_REVERSE] = "reverse",
        [DNS_FORM_DIGITS] = "digits",   [DNS_FORM_EMPTY] = "empty",
        [DNS_FORM_UNKNOWN] = "unknown",
    };
    return names[form];
}

static void put(struct rc_json *json, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* `key` NULL: an item of a list. */
static void put(struct rc_json *json, const char *key, const char *format, ...)
{
    struct rc_buffer text = {0};
    va_list arguments;

    va_start(arguments, format);
    rc_buffer_vformat(&text, format, arguments);
    va_end(arguments);
    if (key != NULL) {
        rc_json_key(json, key);
    }
    rc_json_string(json, rc_buffer_string(&text));
    rc_buffer_fini(&text);
}

static void write_form(const struct dns_meaning *meaning, struct rc_json *json)
{
    const struct dns_question *question = &meaning->question;
    const char *datacenter = meaning->terms->zones.datacenter;
    char ip[RC_ADDRESS_TEXT_MAX] = "";

    if (question->ip.family != RC_ADDRESS_NONE) {
        rc_address_format_ip(&question->ip, ip);
    }
    rc_json_put_string(json, "Form", form_name(question->form));
    switch (question->form) {
    case DNS_FORM_SERVICE:
        put(json, "Meaning", "service \"%s\"%s%s%s in datacenter %s",
            question->subject.at, meaning->tag[0] != '\0' ? " with tag \"" : "",
            meaning->tag, meaning->tag[0] != '\0' ? "\"" : "", datacenter);
        break;
    case DNS_FORM_QUERY:
        put(json, "Meaning", "prepared query \"%s\"", question->subject.at);
        break;
    case DNS_FORM_NODE:
        put(json, "Meaning", "node \"%s\" in datacenter %s; its checks do not matter",
            question->subject.at, datacenter);
        break;
    case DNS_FORM_ADDRESS:
        put(json, "Meaning", "the name spells the address %s; nothing is looked up", ip);
        break;
    case DNS_FORM_REVERSE:
        put(json, "Meaning", "the node, or else the service, at address %s", ip);
        break;
    case DNS_FORM_APEX:
        put(json, "Meaning", "the zone itself");
        break;
    case DNS_FORM_NAME_SERVER:
        put(json, "Meaning", "the zone's name servers");
        break;
    case DNS_FORM_DIGITS:
        put(json, "Meaning", "digits, but of no address: 8 are IPv4, 32 are IPv6");
        break;
    case DNS_FORM_EMPTY:
        put(json, "Meaning", "a name that exists only because others are below it");
        break;
    case DNS_FORM_UNKNOWN:
        put(json, "Meaning", "in our zone, but of no form that names have there");
        break;
    case DNS_FORM_FOREIGN:
    case DNS_FORM_COUNT:
        put(json, "Meaning", "a name of another zone");
        break;
    }
}

/* ---- TTL and order. */

static bool is_of_the_moment(const struct dns_meaning *meaning)
{
    return rc_text_equals_nocase(meaning->tag, "primary") ||
           rc_text_equals_nocase(meaning->tag, "master");
}

static void write_service_origin(const struct dns_meaning *meaning, const char *service,
                                 struct rc_json *json)
{
    const struct dns_service_ttl *row =
        dns_ground_service_row(meaning->terms, rc_span_of(service));

    if (row != NULL) {
        put(json, "From", "dns_config.service_ttl \"%s\"", row->pattern);
    } else {
        put(json, "From", "no dns_config.service_ttl matches");
    }
}

static void write_origin(const struct dns_meaning *meaning, bool is_denial,
                         struct rc_json *json)
{
    uint32_t own;

    if (is_of_the_moment(meaning)) {
        put(json, "From",
            "always 0: who may be written is a thing of the moment, and not to be kept");
    } else if (is_denial) {
        put(json, "From",
            "dns_config.soa.min_ttl: so long may it be kept that there is "
            "nothing");
    } else if (meaning->question.form == DNS_FORM_SERVICE) {
        write_service_origin(meaning, meaning->question.subject.at, json);
    } else if (meaning->query != NULL && prepared_dns_ttl(meaning->query, &own)) {
        put(json, "From", "the query's own DNS.TTL");
    } else if (meaning->query != NULL) {
        write_service_origin(meaning, service_of(meaning->query), json);
    } else if (meaning->question.form == DNS_FORM_APEX) {
        put(json, "From", "dns_config.soa.min_ttl");
    } else {
        put(json, "From", "dns_config.node_ttl");
    }
}

/* The number is that of the first record, not worked out again. */
static void write_ttl(const struct dns_meaning *meaning, const struct dns_told *told,
                      struct rc_json *json)
{
    struct dns_response response = told->response;
    struct dns_received record;

    if (!told->is_readable || meaning->is_withheld ||
        told->outcome.verdict == DNS_VERDICT_FORWARD) {
        return;
    }
    dns_response_rewind(&response);
    if (dns_response_next(&response, &record) != RC_OK ||
        record.section == DNS_SECTION_ADDITIONAL) {
        return;
    }
    rc_json_key(json, "TTL");
    rc_json_object(json);
    rc_json_put_u64(json, "Seconds", record.ttl_s);
    write_origin(meaning, record.section == DNS_SECTION_AUTHORITY, json);
    rc_json_object_end(json);
}

static void write_order(const struct dns_meaning *meaning, struct rc_json *json)
{
    const char *near = meaning->query != NULL ? prepared_near(meaning->query) : "";

    if (near[0] != '\0') {
        put(json, "Order", "kept: those nearest to \"%s\" first", near);
    } else if (meaning->question.form == DNS_FORM_SERVICE || meaning->query != NULL) {
        put(json, "Order", "shuffled anew for each answer");
    }
}

static void write_query(const struct dns_meaning *meaning, struct rc_json *json)
{
    const json_t *query = meaning->query;

    if (query == NULL ||
        !dns_sight_shows(&meaning->asked->asker, DNS_SIGHT_QUERY, prepared_name(query))) {
        return;
    }
    rc_json_key(json, "Query");
    rc_json_object(json);
    rc_json_put_string(json, "ID", prepared_id(query));
    rc_json_put_string(json, "Name", prepared_name(query));
    rc_json_put_bool(json, "Template", prepared_is_template(query));
    rc_json_put_string(json, "Service", service_of(query));
    rc_json_put_bool(
        json, "OnlyPassing",
        json_is_true(json_object_get(json_object_get(query, "Service"), "OnlyPassing")));
    rc_json_object_end(json);
}

/* ---- Notes. */

static bool is_known_to_dns(const struct dns_meaning *meaning)
{
    return dns_sight_shows(&meaning->ground->dns, DNS_SIGHT_SERVICE,
                           meaning->service->name);
}

static bool has_tag_at_all(const struct dns_meaning *meaning)
{
    const struct catalog_name *name = meaning->service;

    for (size_t i = 0; i < name->instance_count; i++) {
        if (catalog_service_says(name->instances[i], meaning->tag)) {
            return true;
        }
    }
    return meaning->tag[0] == '\0';
}

static void note_tags(const struct dns_meaning *meaning, struct rc_json *json)
{
    struct rc_buffer tags = {0};
    const struct catalog_name *name = meaning->service;

    for (size_t i = 0; i < name->tag_count && i < 8; i++) {
        rc_buffer_format(&tags, "%s%s", i > 0 ? ", " : "", name->tags[i]);
    }
    put(json, NULL, "no instance has tag \"%s\"; the tags of \"%s\" are: %s%s",
        meaning->tag, name->name, tags.size > 0 ? rc_buffer_string(&tags) : "none",
        name->tag_count > 8 ? ", ..." : "");
    rc_buffer_fini(&tags);
}

/* Suspected nodes still count, but for one thing. */
static void note_suspects(const struct dns_meaning *meaning, const struct dns_told *told,
                          struct rc_json *json)
{
    const struct catalog_name *name = meaning->service;

    for (size_t i = 0; i < name->instance_count; i++) {
        const struct catalog_node *node = name->instances[i]->node;
        if (node->liveness != CATALOG_SUSPECT ||
            !dns_sight_shows(&meaning->asked->asker, DNS_SIGHT_NODE, node->name)) {
            continue;
        }
        put(json, NULL,
            is_of_the_moment(meaning) && told->outcome.rcode == DNS_RCODE_SERVFAIL
                ? "node \"%s\" is suspected, or we are cut off: who may be written is not "
                  "said until that is clear"
                : "node \"%s\" is suspected; it counts until it is found dead",
            node->name);
    }
}

/* A service at a host of another zone: what that is known by is asked there. */
static void note_alias(const struct dns_meaning *meaning, const struct dns_told *told,
                       struct rc_json *json)
{
    struct dns_response response = told->response;
    struct dns_question question;
    struct dns_received record;
    struct rc_buffer where = {0};
    struct dns_name target;

    dns_response_rewind(&response);
    while (told->is_readable && dns_response_next(&response, &record) == RC_OK) {
        if (record.section != DNS_SECTION_ANSWER || record.type != DNS_TYPE_CNAME ||
            dns_received_cname(&response, &record, &target) != RC_OK) {
            continue;
        }
        dns_question_read(&meaning->terms->zones, &target, &question);
        if (question.form == DNS_FORM_FOREIGN && meaning->ground->forwards != NULL) {
            meaning->ground->forwards(meaning->ground->context, &target, &where);
        }
    }
    if (where.size > 0) {
        put(json, NULL,
            "the alias leads to another zone: its addresses are asked of %s, and "
            "then in the answer too",
            rc_buffer_string(&where));
    }
    rc_buffer_fini(&where);
}

static void note_service(const struct dns_meaning *meaning, const struct dns_told *told,
                         struct rc_json *json)
{
    const char *subject = meaning->question.subject.at;
    bool is_query = meaning->question.form == DNS_FORM_QUERY;

    if (meaning->service == NULL) {
        put(json, NULL, "no node runs a service \"%s\"",
            is_query ? service_of(meaning->query) : subject);
        return;
    }
    if (!is_known_to_dns(meaning)) {
        put(json, NULL,
            "the token that DNS asks with (acl.tokens.dns) may not read service "
            "\"%s\": for DNS it does not exist",
            meaning->service->name);
    } else if (!is_query && !has_tag_at_all(meaning)) {
        note_tags(meaning, json);
    } else if (told->outcome.rcode == DNS_RCODE_NXDOMAIN) {
        put(json, NULL,
            "no instance may be used now: NXDOMAIN, as in Consul "
            "(dns_config.empty_service_ok: NOERROR without records)");
    }
    note_suspects(meaning, told, json);
    note_alias(meaning, told, json);
}

/* web.service.dc9.rollcall */
static void note_datacenter(const struct dns_meaning *meaning, struct rc_json *json)
{
    static const char *const kinds[] = {"service", "node", "query", "addr"};
    size_t end = meaning->question.zone_label;
    char last[DNS_NAME_TEXT_MAX];

    for (size_t i = 0; end >= 2 && i < sizeof kinds / sizeof kinds[0]; i++) {
        if (rc_span_equals_nocase(dns_name_label(meaning->name, end - 2), kinds[i])) {
            (void)dns_name_to_text(meaning->name, end - 1, 1, last);
            put(json, NULL, "there is no datacenter \"%s\" here; this one is \"%s\"",
                last, meaning->terms->zones.datacenter);
        }
    }
}

static void note_foreign(const struct dns_meaning *meaning, const struct dns_told *told,
                         struct rc_json *json)
{
    struct rc_buffer where = {0};

    if (meaning->ground->forwards != NULL) {
        meaning->ground->forwards(meaning->ground->context, meaning->name, &where);
    }
    if (where.size > 0 && told->outcome.verdict == DNS_VERDICT_FORWARD) {
        put(json, NULL, "forwarded to %s", rc_buffer_string(&where));
    } else if (where.size > 0) {
        put(json, NULL, "not forwarded to %s, because we answer it ourselves",
            rc_buffer_string(&where));
    } else {
        put(json, NULL,
            "refused: it is not under our domain, and there is no recursor for it "
            "(recursors, dns_config.forward)");
    }
    rc_buffer_fini(&where);
}

static void note_form(const struct dns_meaning *meaning, const struct dns_told *told,
                      struct rc_json *json)
{
    const char *subject = meaning->question.subject.at;

    switch (meaning->question.form) {
    case DNS_FORM_SERVICE:
        note_service(meaning, told, json);
        break;
    case DNS_FORM_QUERY:
        if (meaning->query != NULL) {
            note_service(meaning, told, json);
        } else {
            put(json, NULL, "there is no prepared query \"%s\"%s", subject,
                told->outcome.rcode == DNS_RCODE_SERVFAIL
                    ? " as far as is known here; the servers cannot be asked now"
                    : "");
        }
        break;
    case DNS_FORM_NODE:
        if (told->outcome.rcode == DNS_RCODE_NXDOMAIN) {
            put(json, NULL, "there is no living node \"%s\"%s", subject,
                catalog_node_find(meaning->ground->catalog, subject) != NULL
                    ? ": it has failed, or DNS's token may not read it"
                    : "");
        }
        break;
    case DNS_FORM_UNKNOWN:
        note_datacenter(meaning, json);
        break;
    case DNS_FORM_FOREIGN:
        note_foreign(meaning, told, json);
        break;
    case DNS_FORM_REVERSE:
        if (told->outcome.rcode != DNS_RCODE_NOERROR) {
            put(json, NULL, "no node and no usable instance has that address");
            note_foreign(meaning, told, json);
        }
        break;
    case DNS_FORM_APEX:
    case DNS_FORM_NAME_SERVER:
    case DNS_FORM_ADDRESS:
    case DNS_FORM_DIGITS:
    case DNS_FORM_EMPTY:
    case DNS_FORM_COUNT:
        break;
    }
}

static void write_notes(const struct dns_meaning *meaning, const struct dns_told *told,
                        struct rc_json *json)
{
    const struct dns_view *view = meaning->ground->view;

    rc_json_key(json, "Notes");
    rc_json_array(json);
    if (meaning->is_withheld) {
        put(json, NULL,
            "the answer names what your token may not read, so it is not "
            "shown here");
        rc_json_array_end(json);
        return;
    }
    if (view->index(view->context) == 0) {
        put(json, NULL, "the catalog is not loaded yet: all answers are SERVFAIL");
    }
    note_form(meaning, told, json);
    rc_json_array_end(json);
}

/* ---- Suggestions: where there is nothing of that name. */

static bool is_missing(const struct dns_meaning *meaning)
{
    switch (meaning->question.form) {
    case DNS_FORM_SERVICE:
        return meaning->service == NULL || !has_tag_at_all(meaning);
    case DNS_FORM_QUERY:
        return meaning->query == NULL;
    case DNS_FORM_NODE:
        return catalog_node_find(meaning->ground->catalog,
                                 meaning->question.subject.at) == NULL;
    case DNS_FORM_UNKNOWN:
    case DNS_FORM_FOREIGN:
        return true;
    case DNS_FORM_APEX:
    case DNS_FORM_NAME_SERVER:
    case DNS_FORM_ADDRESS:
    case DNS_FORM_REVERSE:
    case DNS_FORM_DIGITS:
    case DNS_FORM_EMPTY:
    case DNS_FORM_COUNT:
        break;
    }
    return false;
}

static void write_suggestions(const struct dns_meaning *meaning, struct rc_json *json)
{
    char names[DNS_SUGGESTIONS_MAX][DNS_NAME_TEXT_MAX];
    const struct dns_complete_ground ground = {.catalog = meaning->ground->catalog,
                                               .book = meaning->ground->book,
                                               .zones = &meaning->terms->zones,
                                               .asker = &meaning->asked->asker};
    size_t count =
        !meaning->is_withheld && is_missing(meaning)
            ? dns_complete_suggest(&ground, meaning->name, &meaning->question, names)
            : 0;

    rc_json_key(json, "Suggestions");
    rc_json_array(json);
    for (size_t i = 0; i < count; i++) {
        rc_json_string(json, names[i]);
    }
    rc_json_array_end(json);
}

void dns_meaning_write(const struct dns_meaning *meaning, const struct dns_told *told,
                       struct rc_json *json)
{
    write_form(meaning, json);
    write_ttl(meaning, told, json);
    write_order(meaning, json);
    write_query(meaning, json);
    write_notes(meaning, told, json);
    write_suggestions(meaning, json);
}
