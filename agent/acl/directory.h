/* directory.h - the tokens, policies and roles there are, as the store has them.
 *
 * Fed with the store's documents (JSON), it answers whose a token is and what its policies
 * say together. Always there: the policies global-management, global-read-only and
 * global-register, the roles admin, read and register that are made of them, and the token
 * `anonymous` of whoever has none. Pure; no secret is in here, only keyed hashes.
 *
 * Documents:
 *   token   {AccessorID, SecretHash (hex), Description, Policies [id], Roles [id],
 *            ServiceIdentities [{ServiceName, Datacenters}], NodeIdentities [{NodeName,
 *            Datacenter}], Local, CreateTime, ExpirationTime (ms since 1970; 0: never)}
 *   policy  {ID, Name, Description, Rules, Datacenters [name]}
 *   role    {ID, Name, Description, Policies, ServiceIdentities, NodeIdentities} */
#ifndef AGENT_ACL_DIRECTORY_H
#define AGENT_ACL_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "agent/acl/secret.h"
#include "agent/acl/subject.h"

#define DIRECTORY_ANONYMOUS  "00000000-0000-0000-0000-000000000002"
#define DIRECTORY_MANAGEMENT "00000000-0000-0000-0000-000000000001"

enum directory_kind {
    DIRECTORY_TOKEN,
    DIRECTORY_POLICY,
    DIRECTORY_ROLE,
    DIRECTORY_KIND_COUNT
};

enum { DIRECTORY_POLICIES_MAX = 256 }; /* that one token can have */

struct directory;

/* An object; borrowed until the directory changes. */
struct directory_item {
    const char *id;
    const json_t *body;
    uint64_t create_index;
    uint64_t modify_index;
    bool is_built_in;
};

struct directory_options {
    const char *datacenter; /* ours: policies of others do not count; borrowed */
    enum grant_default fallback;
    uint64_t seed;
};

struct directory *directory_create(const struct directory_options *options);
void directory_destroy(struct directory *directory); /* NULL is allowed */

/* Forgets all but what is built in. */
void directory_clear(struct directory *directory);

/* A document as it is now. RC_OK, RC_EMALFORMED (nothing changes) or RC_ENOMEM. */
int directory_put(struct directory *directory, enum directory_kind kind, const void *text,
                  size_t size, uint64_t index);
void directory_remove(struct directory *directory, enum directory_kind kind,
                      const char *id);

/* By id, or for policies and roles by name. */
bool directory_find(const struct directory *directory, enum directory_kind kind,
                    const char *id, struct directory_item *out);
bool directory_find_name(const struct directory *directory, enum directory_kind kind,
                         const char *name, struct directory_item *out);
bool directory_find_hash(const struct directory *directory,
                         const uint8_t hash[SECRET_HASH_SIZE],
                         struct directory_item *out);

/* The next one; `*position` begins at 0. */
bool directory_next(const struct directory *directory, enum directory_kind kind,
                    size_t *position, struct directory_item *out);

/* What the token may do; borrowed until the directory changes. RC_OK, RC_ENOTFOUND,
 * RC_EMALFORMED, RC_ETOOBIG (too many policies) or RC_ENOMEM. Whether it has expired is the
 * caller's to look at. */
int directory_subject(struct directory *directory, const char *accessor,
                      struct subject **out);

/* Calls `each` for every policy of the token, as subject_create() would be given them. */
typedef void directory_visit(void *context, const char *name, const char *rules);
int directory_policies(const struct directory *directory, const char *accessor,
                       directory_visit *each, void *context);

/* Whether a service or node identity may have this name: lower case, digits, - and _ inside. */
bool directory_is_identity(const char *name);

#endif
