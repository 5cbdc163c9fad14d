/* rule.h - what one line of a policy says: who may do what with which names.
 *
 * Consul's rule language (its documentation, "ACL Rules"), in block syntax or JSON:
 *
 *     key_prefix "app/" { policy = "write" }
 *     service "web"     { policy = "read" }
 *     operator = "read"
 *
 * Resources with names: agent, event, key, node, query, service, session, and `pg` of ours, each
 * also with _prefix. Without: acl, keyring, operator. `mesh`, `peering` and `intentions` are
 * read and mean nothing here. Names of agents, nodes, services and sessions (whose name is a
 * node's) are compared without regard to ASCII letter case, because the catalog does. */
#ifndef AGENT_ACL_RULE_H
#define AGENT_ACL_RULE_H

#include <stdbool.h>
#include <stddef.h>

enum rule_resource {
    RULE_ACL,
    RULE_AGENT,
    RULE_EVENT,
    RULE_KEY,
    RULE_KEYRING,
    RULE_NODE,
    RULE_OPERATOR,
    RULE_PG, /* ours: the lease of a PostgreSQL cluster */
    RULE_QUERY,
    RULE_SERVICE,
    RULE_SESSION,
    RULE_RESOURCE_COUNT
};

/* In order of power: of two rules for the same name the higher one counts. */
enum rule_level { RULE_READ, RULE_LIST, RULE_WRITE, RULE_DENY, RULE_LEVEL_COUNT };

enum rule_access { RULE_TO_READ, RULE_TO_LIST, RULE_TO_WRITE, RULE_ACCESS_COUNT };

enum rule_scope { RULE_EXACT, RULE_PREFIX };

struct rule {
    enum rule_resource resource;
    enum rule_scope scope;
    enum rule_level level;
    unsigned line;    /* in the text, from 1; 0: made by us */
    const char *name; /* "" for resources without names; borrowed from the list */
};

enum { RULES_MAX = 1024, RULES_BYTES_MAX = 64 << 10, RULE_ERROR_MAX = 512 };

/* The rules of one policy. A zeroed list is empty. */
struct rule_list {
    struct rule *items;
    size_t count;
    char *names; /* all of them, each with its NUL */
};

/* Reads a policy's text. On RC_OK the caller ends `*out` by rule_list_fini(). RC_EMALFORMED,
 * RC_ETOOBIG with one line in `error`, such as "rules:3:12: policy: ...", or RC_ENOMEM. */
int rule_list_parse(const char *text, size_t size, struct rule_list *out,
                    char error[RULE_ERROR_MAX]);
void rule_list_fini(struct rule_list *list);

/* "key", "write" and so on; static. */
const char *rule_resource_name(enum rule_resource resource);
const char *rule_level_name(enum rule_level level);
const char *rule_access_name(enum rule_access access);

/* RC_OK or RC_ENOTFOUND. */
int rule_resource_parse(const char *text, enum rule_resource *out);
int rule_access_parse(const char *text, enum rule_access *out);

bool rule_resource_has_names(enum rule_resource resource);
bool rule_resource_ignores_case(enum rule_resource resource);

/* Whether a rule of this level allows the access. */
bool rule_level_allows(enum rule_level level, enum rule_access access);

#endif
