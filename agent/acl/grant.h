/* grant.h - what all policies of one token allow together, and which rule says so.
 *
 * An exact rule beats every prefix, a longer prefix a shorter one. Of rules for the same name
 * deny wins, then the higher level. What no rule speaks of is left to the default policy, except
 * `acl`, which must always be given. The same for every resource (Consul, "ACL Rules").
 * Pure, and never changed once it is made. */
#ifndef AGENT_ACL_GRANT_H
#define AGENT_ACL_GRANT_H

#include "agent/acl/rule.h"

struct grant;

enum grant_default { GRANT_DENIES, GRANT_ALLOWS };

struct grant_source {
    const char *policy; /* its name, for explanations; copied */
    const struct rule_list *rules;
};

/* The rule that decided. */
struct grant_reason {
    const struct rule *rule; /* NULL: no rule speaks of it; borrowed from the grant */
    const char *policy;      /* NULL without a rule */
};

/* RC_OK with `*out` owned by the caller, or RC_ENOMEM. Rules and names are copied. */
int grant_create(const struct grant_source *sources, size_t count,
                 enum grant_default fallback, struct grant **out);
void grant_destroy(struct grant *grant); /* NULL is allowed */

/* May it? `name` is ignored for resources without names. `why` may be NULL. */
bool grant_allows(const struct grant *grant, enum rule_resource resource,
                  const char *name, enum rule_access access, struct grant_reason *why);

/* May it with every name that begins with `prefix`, whatever they are? Every rule that could
 * decide about one of them must allow it (CVE-2019-12291: asking for the prefix as if it
 * were a name is not enough). */
bool grant_allows_prefix(const struct grant *grant, enum rule_resource resource,
                         const char *prefix, enum rule_access access,
                         struct grant_reason *why);

/* The rules that count, in no order that matters; NULL at the end. */
const struct rule *grant_rule_at(const struct grant *grant, size_t i,
                                 const char **policy);

#endif
