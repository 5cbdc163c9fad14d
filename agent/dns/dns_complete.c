#include "agent/dns/dns_complete.h"

#include <stdio.h>
#include <string.h>

#include "agent/prepared/prepared_book.h"
#include "base/err.h"
#include "base/text.h"

enum { NEAR_MAX = 2, TEXT_MAX = 2 * DNS_NAME_TEXT_MAX };

static const char *const kinds[] = {"service", "node", "addr", "query"};

static bool is_kind(const struct dns_name *name, size_t label)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (rc_span_equals_nocase(dns_name_label(name, label), kinds[i])) {
            return true;
        }
    }
    return false;
}

/* ---- What is known here. */

static bool knows_service(const struct dns_complete_ground *ground, struct rc_span name)
{
    const struct catalog_name *found =
        catalog_name_find_bytes(ground->catalog, name.at, name.size);

    return found != NULL &&
           dns_sight_shows(ground->asker, DNS_SIGHT_SERVICE, found->name);
}

static bool knows_node(const struct dns_complete_ground *ground, struct rc_span name)
{
    const struct catalog_node *found =
        catalog_node_find_bytes(ground->catalog, name.at, name.size);

    return found != NULL && dns_sight_shows(ground->asker, DNS_SIGHT_NODE, found->name);
}

/* A query that stands under its own name: a template answers for everything. */
static bool knows_query(const struct dns_complete_ground *ground, struct rc_span name)
{
    size_t count = ground->book != NULL ? prepared_book_count(ground->book) : 0;

    for (size_t i = 0; i < count; i++) {
        const json_t *query = prepared_book_at(ground->book, i);
        const char *own = prepared_name(query);
        if (!prepared_is_template(query) && own[0] != '\0' &&
            rc_span_equals_nocase(name, own) &&
            dns_sight_shows(ground->asker, DNS_SIGHT_QUERY, own)) {
            return true;
        }
    }
    return false;
}

/* ---- Short names. */

/* Puts `text`, a kind (NULL: none) and the domain into one name. */
static int under(const struct dns_complete_ground *ground, const char *text,
                 const char *kind, struct dns_name *out)
{
    struct dns_name middle = ground->zones->domain;

    if (kind != NULL && dns_name_under(kind, &ground->zones->domain, &middle) != RC_OK) {
        return RC_EMALFORMED;
    }
    return dns_name_under(text, &middle, out);
}

/* The name under which the address of a host is asked for (RFC 1035 section 3.5, RFC 3596). */
static int reverse(const struct rc_address *ip, struct dns_name *out)
{
    char text[DNS_NAME_TEXT_MAX];
    size_t size = rc_address_ip_size(ip);
    size_t at = 0;

    for (size_t i = size; i-- > 0;) {
        at += (size_t)(size == 4 ? snprintf(text + at, sizeof text - at, "%u.", ip->ip[i])
                                 : snprintf(text + at, sizeof text - at, "%x.%x.",
                                            ip->ip[i] & 15U, ip->ip[i] >> 4U));
    }
    (void)snprintf(text + at, sizeof text - at, "%s",
                   size == 4 ? "in-addr.arpa" : "ip6.arpa");
    return dns_name_from_text(text, out);
}

static bool is_whole(const struct dns_complete_ground *ground, const char *asked,
                     const struct dns_name *name)
{
    const struct dns_zones *zones = ground->zones;

    return rc_text_ends_with(asked, ".") || name->label_count == 0 ||
           dns_name_ends_with(name, &zones->domain) ||
           (zones->alt_domain.label_count > 0 &&
            dns_name_ends_with(name, &zones->alt_domain)) ||
           rc_span_equals_nocase(dns_name_label(name, name->label_count - 1U), "arpa");
}

/* Its last label says what it is, or the datacenter behind that. */
static bool says_its_kind(const struct dns_complete_ground *ground,
                          const struct dns_name *name)
{
    size_t last = name->label_count - 1U;

    return is_kind(name, last) ||
           (last > 0 && is_kind(name, last - 1) &&
            rc_span_equals_nocase(dns_name_label(name, last), ground->zones->datacenter));
}

/* Which kind of thing a name without one is: what there is of that name decides. */
static const char *kind_of(const struct dns_complete_ground *ground,
                           const struct dns_name *name, const char **how)
{
    char whole[DNS_NAME_TEXT_MAX];
    struct rc_span all = {whole, dns_name_to_text(name, 0, name->label_count, whole)};
    struct rc_span last = dns_name_label(name, name->label_count - 1U);

    if (last.at[0] == '_') {
        *how = "a name of RFC 2782, completed with the domain";
        return "service";
    }
    if (knows_service(ground, all)) {
        *how = "there is a service of that name";
        return "service";
    }
    if (knows_node(ground, all)) {
        *how = "there is a node of that name";
        return "node";
    }
    if (knows_query(ground, all)) {
        *how = "there is a prepared query of that name";
        return "query";
    }
    if (name->label_count > 1 && knows_service(ground, last)) {
        *how = "there is a service of that last name; what stands before it is a tag";
        return "service";
    }
    *how = "one word alone is taken for a service";
    return name->label_count == 1 ? "service" : NULL;
}

int dns_complete(const struct dns_complete_ground *ground, const char *asked,
                 struct dns_completed *out)
{
    struct rc_address ip;

    out->how = NULL;
    if (rc_address_parse_ip(asked, 0, &ip) == RC_OK) {
        out->how = "an address is looked up backwards";
        return reverse(&ip, &out->name);
    }
    if (asked[0] == '\0' || dns_name_from_text(asked, &out->name) != RC_OK) {
        return RC_EMALFORMED;
    }
    if (is_whole(ground, asked, &out->name)) {
        return RC_OK;
    }
    const struct dns_name said = out->name;
    if (says_its_kind(ground, &said)) {
        out->how = "completed with the domain";
        return under(ground, asked, NULL, &out->name);
    }
    const char *how = NULL;
    const char *kind = kind_of(ground, &said, &how);
    if (kind == NULL) {
        return RC_OK; /* a name of somebody else's */
    }
    out->how = how;
    return under(ground, asked, kind, &out->name);
}

/* ---- Near names. */

/* The best few, each with how far it is. */
struct nearest {
    const struct dns_complete_ground *ground;
    const char *to; /* lower case */
    char (*out)[DNS_NAME_TEXT_MAX];
    unsigned distances[DNS_SUGGESTIONS_MAX];
    size_t count;
};

static void insert(struct nearest *nearest, unsigned distance, const char *text)
{
    size_t at = 0;

    while (at < nearest->count && nearest->distances[at] <= distance) {
        at++;
    }
    if (at == DNS_SUGGESTIONS_MAX) {
        return;
    }
    nearest->count += nearest->count < DNS_SUGGESTIONS_MAX ? 1 : 0;
    for (size_t i = nearest->count - 1; i > at; i--) {
        memcpy(nearest->out[i], nearest->out[i - 1], DNS_NAME_TEXT_MAX);
        nearest->distances[i] = nearest->distances[i - 1];
    }
    (void)rc_text_put(nearest->out[at], DNS_NAME_TEXT_MAX, text);
    nearest->distances[at] = distance;
}

/* "NAME.KIND.DOMAIN." if that is a name at all. */
static void propose(struct nearest *nearest, unsigned distance, const char *name,
                    const char *kind)
{
    const struct dns_name *domain = &nearest->ground->zones->domain;
    char zone[DNS_NAME_TEXT_MAX];
    char text[TEXT_MAX];
    struct dns_name whole;

    (void)dns_name_to_text(domain, 0, domain->label_count, zone);
    int size = snprintf(text, sizeof text, "%s.%s.%s.", name, kind, zone);
    if (size > 0 && size < DNS_NAME_TEXT_MAX &&
        dns_name_from_text(text, &whole) == RC_OK) {
        insert(nearest, distance, text);
    }
}

/* A name is near if few letters differ, and not most of it. */
static void consider(struct nearest *nearest, const char *name, const char *kind)
{
    unsigned distance = rc_text_distance(nearest->to, name);

    if (rc_text_equals_nocase(nearest->to, name)) {
        propose(nearest, 0, name, kind);
    } else if (distance <= NEAR_MAX && distance < strlen(name)) {
        propose(nearest, distance, name, kind);
    }
}

static void consider_services(struct nearest *nearest)
{
    const struct dns_complete_ground *ground = nearest->ground;

    for (size_t i = 0; i < catalog_name_count(ground->catalog); i++) {
        const char *name = catalog_name_at(ground->catalog, i)->name;
        if (dns_sight_shows(ground->asker, DNS_SIGHT_SERVICE, name)) {
            consider(nearest, name, "service");
        }
    }
}

static void consider_nodes(struct nearest *nearest)
{
    const struct dns_complete_ground *ground = nearest->ground;

    for (size_t i = 0; i < catalog_node_count(ground->catalog); i++) {
        const char *name = catalog_node_at(ground->catalog, i)->name;
        if (dns_sight_shows(ground->asker, DNS_SIGHT_NODE, name)) {
            consider(nearest, name, "node");
        }
    }
}

static void consider_queries(struct nearest *nearest)
{
    const struct dns_complete_ground *ground = nearest->ground;
    size_t count = ground->book != NULL ? prepared_book_count(ground->book) : 0;

    for (size_t i = 0; i < count; i++) {
        const json_t *query = prepared_book_at(ground->book, i);
        const char *name = prepared_name(query);
        if (name[0] != '\0' && !prepared_is_template(query) &&
            dns_sight_shows(ground->asker, DNS_SIGHT_QUERY, name)) {
            consider(nearest, name, "query");
        }
    }
}

/* The tags of a service that is there, near to one that nobody has. */
static void consider_tags(struct nearest *nearest, const char *tag)
{
    char text[TEXT_MAX];
    const struct catalog_name *name =
        catalog_name_find(nearest->ground->catalog, nearest->to);

    for (size_t i = 0; name != NULL && i < name->tag_count; i++) {
        unsigned distance = rc_text_distance(tag, name->tags[i]);
        if (distance > 0 && distance <= NEAR_MAX && distance < strlen(name->tags[i])) {
            (void)snprintf(text, sizeof text, "%s.%s", name->tags[i], name->name);
            propose(nearest, distance, text, "service");
        }
    }
}

/* The kind that a label says, or nearly says; NULL: none. */
static const char *kind_near(const struct dns_name *name, size_t label, unsigned far)
{
    char text[DNS_NAME_TEXT_MAX];
    const char *found = NULL;

    (void)dns_name_to_text(name, label, 1, text);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && found == NULL; i++) {
        found = rc_text_distance(text, kinds[i]) <= far ? kinds[i] : NULL;
    }
    return found;
}

/* TAG.NAME, both known together but for a slip in the name. */
static void consider_tagged(struct nearest *nearest, const struct dns_name *name)
{
    const struct dns_complete_ground *ground = nearest->ground;
    struct rc_span tag = dns_name_label(name, 0);
    char last[DNS_NAME_TEXT_MAX];
    char text[TEXT_MAX];

    (void)dns_name_to_text(name, 1, 1, last);
    for (size_t i = 0; i < catalog_name_count(ground->catalog); i++) {
        const struct catalog_name *service = catalog_name_at(ground->catalog, i);
        unsigned distance = rc_text_distance(last, service->name);
        if (distance > NEAR_MAX ||
            !dns_sight_shows(ground->asker, DNS_SIGHT_SERVICE, service->name)) {
            continue;
        }
        for (size_t t = 0; t < service->tag_count; t++) {
            if (rc_span_equals_nocase(tag, service->tags[t])) {
                (void)snprintf(text, sizeof text, "%s.%s", service->tags[t],
                               service->name);
                propose(nearest, distance, text, "service");
            }
        }
    }
}

/* A name that says its kind under some other domain, such as Consul's, or misspells it, or lacks
 * it: its first `end` labels. */
static void consider_labels(struct nearest *nearest, const struct dns_name *name,
                            size_t end, unsigned far)
{
    char text[DNS_NAME_TEXT_MAX];
    const char *kind = NULL;
    size_t at = 0;

    while (at < end && kind == NULL) {
        kind = at > 0 ? kind_near(name, at, far) : NULL;
        at++;
    }
    if (kind != NULL) {
        if (dns_name_to_text(name, 0, at - 1, text) > 0) {
            propose(nearest, far, text, kind);
        }
    } else if (end > 1 && knows_service(nearest->ground, dns_name_label(name, end - 1)) &&
               dns_name_to_text(name, 0, end, text) > 0) {
        propose(nearest, far, text, "service");
    } else if (end == 2) {
        consider_tagged(nearest, name);
    }
}

size_t dns_complete_suggest(const struct dns_complete_ground *ground,
                            const struct dns_name *name,
                            const struct dns_question *question,
                            char out[DNS_SUGGESTIONS_MAX][DNS_NAME_TEXT_MAX])
{
    char text[DNS_NAME_TEXT_MAX];
    struct nearest nearest = {.ground = ground, .to = text, .out = out};

    switch (question->form) {
    case DNS_FORM_SERVICE:
    case DNS_FORM_NODE:
    case DNS_FORM_QUERY:
        (void)rc_text_put(text, sizeof text, question->subject.at);
        consider_services(&nearest);
        consider_nodes(&nearest);
        consider_queries(&nearest);
        if (question->form == DNS_FORM_SERVICE && question->tag.size > 0) {
            consider_tags(&nearest, question->tag.at);
        }
        break;
    case DNS_FORM_UNKNOWN:
    case DNS_FORM_FOREIGN:
        consider_labels(&nearest, name, question->zone_label, 0);
        if (nearest.count == 0 && question->form == DNS_FORM_UNKNOWN) {
            consider_labels(&nearest, name, question->zone_label, NEAR_MAX);
        }
        if (nearest.count == 0 && question->form == DNS_FORM_UNKNOWN &&
            dns_name_to_text(name, 0, question->zone_label, text) > 0) {
            consider_services(&nearest);
            consider_nodes(&nearest);
            consider_queries(&nearest);
        }
        break;
    case DNS_FORM_APEX:
    case DNS_FORM_NAME_SERVER:
    case DNS_FORM_ADDRESS:
    case DNS_FORM_REVERSE:
    case DNS_FORM_DIGITS:
    case DNS_FORM_EMPTY:
    case DNS_FORM_COUNT:
        break;
    }
    return nearest.count;
}
