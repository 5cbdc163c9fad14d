/* dns_reason.h - why is an instance not in the answers to a name?
 *
 * The rules are those of DNS (dns/answer/pick.h, dns_form.h) and of prepared queries (prepared.h), told in
 * words from the catalog. What decides is there; a test holds the two equal. Pure. */
#ifndef AGENT_DNS_DNS_REASON_H
#define AGENT_DNS_DNS_REASON_H

#include <jansson.h>

#include "agent/catalog/catalog.h"
#include "base/json.h"
#include "dns/answer/answer.h"

enum dns_sight_kind { DNS_SIGHT_SERVICE, DNS_SIGHT_NODE, DNS_SIGHT_QUERY };

/* What somebody's token may see. `shows` NULL: everything. */
struct dns_sight {
    void *context;
    bool (*shows)(void *context, enum dns_sight_kind kind, const char *name);
};

bool dns_sight_shows(const struct dns_sight *sight, enum dns_sight_kind kind,
                     const char *name);
/* An instance: its service and its node. */
bool dns_sight_shows_instance(const struct dns_sight *sight,
                              const struct catalog_service *instance);

/* What is asked of an instance. All borrowed. */
struct dns_reason_ground {
    const struct catalog *catalog;
    const struct dns_sight *dns; /* of the token that DNS asks with */
    const char *tag;             /* of the name; "": any */
    enum dns_choice only_passing;
    const json_t
        *query; /* a rendered prepared query, whose rules count instead; NULL: none */
};

/* Writes a list of {Kind, Text}, each a reason to leave `instance` out. Returns how many. */
size_t dns_reason_write(const struct dns_reason_ground *ground,
                        const struct catalog_service *instance, struct rc_json *json);

#endif
