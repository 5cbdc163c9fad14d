#include "agent/dns_prepared.h"

#include <stdlib.h>
#include <string.h>

#include "agent/prepared/prepared.h"
#include "agent/prepared/prepared_book.h"
#include "base/err.h"

enum { FOUND_MAX = 4096 /* more do not fit into any message */ };

static bool shows(const struct dns_view_gate *gate,
                  const struct catalog_service *instance)
{
    return gate->shows == NULL ||
           (gate->shows(gate->context, DNS_VIEW_SERVICE, instance->name) &&
            gate->shows(gate->context, DNS_VIEW_NODE, instance->node->name));
}

static size_t leave_out(const struct dns_view_gate *gate,
                        const struct catalog_service **found, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (shows(gate, found[i])) {
            found[kept++] = found[i];
        }
    }
    return kept;
}

static struct dns_kept *carry_out(const struct dns_prepared_ground *ground,
                                  const json_t *query)
{
    const struct catalog_service **found =
        calloc(FOUND_MAX, sizeof(struct catalog_service *));
    const char *name =
        json_string_value(json_object_get(json_object_get(query, "Service"), "Service"));
    const char *near = prepared_near(query);

    if (found == NULL) {
        return NULL;
    }
    size_t count = prepared_pick(ground->catalog, query, found, FOUND_MAX);
    count = leave_out(ground->gate, found, count < FOUND_MAX ? count : FOUND_MAX);
    if (near[0] != '\0') {
        ground->queries->sort(ground->queries->context, near, found, count);
    }
    struct dns_kept *kept =
        dns_keep_service(ground->catalog, name != NULL ? name : "", found, count);
    free((void *)found);
    if (kept != NULL) {
        kept->picked.service = kept->service;
        kept->picked.order = near[0] != '\0' ? DNS_ORDER_KEPT : DNS_ORDER_SHUFFLED;
        kept->picked.has_ttl = prepared_dns_ttl(query, &kept->picked.ttl_s);
    }
    return kept;
}

struct dns_kept *dns_prepared_keep(const struct dns_prepared_ground *ground,
                                   struct rc_span name, enum dns_prepared_use *use)
{
    char text[PREPARED_NAME_MAX];
    json_t *query = NULL;

    if (name.size >= sizeof text) {
        return NULL;
    }
    memcpy(text, name.at, name.size);
    text[name.size] = '\0';
    if (prepared_book_find(ground->book, text, PREPARED_CASE_FOLDED, &query) != RC_OK) {
        return NULL;
    }
    *use = prepared_is_template(query) || prepared_near(query)[0] != '\0'
               ? DNS_PREPARED_ONCE
               : DNS_PREPARED_AGAIN;
    struct dns_kept *kept = carry_out(ground, query);
    json_decref(query);
    return kept;
}
