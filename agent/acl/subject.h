/* subject.h - somebody with a token, as far as decisions need to know. */
#ifndef AGENT_ACL_SUBJECT_H
#define AGENT_ACL_SUBJECT_H

#include <stdint.h>

#include "agent/acl/grant.h"

enum { SUBJECT_ID_SIZE = 37 };

struct subject {
    char accessor[SUBJECT_ID_SIZE]; /* AccessorID of the token */
    uint64_t serial;                /* another for each one made in this process; not 0 */
    uint64_t expires_ms;            /* wall time; 0: never */
    struct grant *grant;
    unsigned references;
};

/* A policy that the token has, by itself or through a role. */
struct subject_policy {
    const char *name;
    const char *rules; /* text */
};

/* RC_OK with a reference in `*out` that the caller drops, RC_ENOMEM, or what rule_list_parse() says of a policy
 * that cannot be read: then the token must not be taken at all, for what cannot be read may
 * have been a deny. `serial` and `expires_ms` are left 0. */
int subject_create(const char *accessor, const struct subject_policy *policies,
                   size_t count, enum grant_default fallback, struct subject **out);

/* One more, or one less, who holds it; the last one frees it. NULL is allowed. */
struct subject *subject_keep(struct subject *subject);
void subject_drop(struct subject *subject);

#endif
