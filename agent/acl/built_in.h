/* built_in.h - the policies, roles and the token that are always there. */
#ifndef AGENT_ACL_BUILT_IN_H
#define AGENT_ACL_BUILT_IN_H

#include <stddef.h>

#include "agent/acl/directory.h"

/* Documents as in directory.h, policies before the roles made of them; NULL at the end. */
const char *built_in_at(size_t i, enum directory_kind *kind);

/* Rules of a service identity (its name twice) and of a node identity (once). Names are checked
 * before by directory_is_identity(). */
#define BUILT_IN_SERVICE_RULES                              \
    "service \"%s\" { policy = \"write\" }\n"               \
    "service \"%s-sidecar-proxy\" { policy = \"write\" }\n" \
    "service_prefix \"\" { policy = \"read\" }\n"           \
    "node_prefix \"\" { policy = \"read\" }\n"
#define BUILT_IN_NODE_RULES                \
    "node \"%s\" { policy = \"write\" }\n" \
    "service_prefix \"\" { policy = \"read\" }\n"

#endif
