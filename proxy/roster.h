/* roster.h - which instances belong to a pool, by everybody who may say so.
 *
 * Sources tell what they found and what that is worth; the roster keeps the last good word
 * of each, decides whose word counts, compares it with the present members, and moves
 * their upstream states. For PostgreSQL it also decides who may be written. Pure.
 *
 * Whose word counts: static entries always. Of the agent's watch and DNS the agent, while its
 * watch answers; DNS when the watch has failed or never answered; and when both are silent
 * the set that was last good stays. */
#ifndef PROXY_ROSTER_H
#define PROXY_ROSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "proxy/config.h"
#include "proxy/snapshot.h"

enum roster_source { ROSTER_STATIC, ROSTER_DNS, ROSTER_AGENT, ROSTER_SOURCE_COUNT };

/* What a result is worth (proxy-side view of any source). */
enum roster_verdict {
    ROSTER_FULL,    /* this is all: removes what it lacks */
    ROSTER_PARTIAL, /* these are good, others may exist: adds, never removes */
    ROSTER_EMPTY,   /* said to be none: believed after three answers over hold_empty */
    ROSTER_FAILED,  /* no answer: everything stays */
    ROSTER_VERDICT_COUNT
};

struct roster_entry {
    char id[INSTANCE_ID_MAX]; /* "" = known by its address only (DNS, static) */
    struct rc_address address;
    uint32_t weight;
    enum upstream_role
        claim; /* by the catalog's tags; UPSTREAM_ROLE_NONE = says nothing */
};

struct roster_member {
    struct instance *instance; /* one reference held */
    struct upstream upstream;
    uint32_t weight;
    enum upstream_role claim;
    enum upstream_role probe; /* what the server itself says; NONE = not asked yet */
    uint32_t timeline;        /* of a server that says primary; 0 = unknown */
    enum upstream_role role;  /* decided from all of it */
    uint32_t address_only;    /* its id came from the address: an id may adopt it */
};

/* How one source fares, for the admin page. */
struct roster_source_state {
    bool used;    /* the configuration names it */
    bool known;   /* has given a good answer since the start */
    bool healthy; /* its last answer was good */
    uint64_t good_at_ms;
    size_t count; /* entries of its last good word */
};

struct roster;

/* For a pool of the configuration (copied as far as needed). NULL when memory is out. */
struct roster *roster_create(const struct config_pool *config, uint32_t hold_empty_ms,
                             uint64_t seed, uint64_t now_ms);
void roster_destroy(struct roster *roster); /* NULL is allowed */

/* A reload: the same pool under changed rules, sources or static entries. Members stay. */
int roster_configure(struct roster *roster, const struct config_pool *config,
                     uint32_t hold_empty_ms, uint64_t now_ms);

/* A source has spoken. Returns true when a snapshot should be published. `entries` are copied;
 * memory running out keeps the former word. At most 4096 entries are taken. */
bool roster_apply(struct roster *roster, enum roster_source source,
                  enum roster_verdict verdict, const struct roster_entry *entries,
                  size_t count, uint64_t now_ms);

/* What a server says of itself; UNKNOWN = it does not answer. True when something changed. */
bool roster_set_probe(struct roster *roster, const struct instance *instance,
                      enum upstream_role role, uint32_t timeline);

/* Time and the workers' counters: ejects (never the last usable one, never more than
 * the configured part), tries again, forgets who is gone. True when something changed. */
bool roster_tick(struct roster *roster, uint64_t now_ms);

/* The operator's word about one member. RC_OK or RC_ENOTFOUND. */
enum roster_order { ROSTER_DRAIN, ROSTER_UNDRAIN };
int roster_order(struct roster *roster, const char *id, enum roster_order order,
                 uint64_t now_ms);

size_t roster_count(const struct roster *roster);
const struct roster_member *roster_at(const struct roster *roster, size_t index);
void roster_source_state(const struct roster *roster, enum roster_source source,
                         struct roster_source_state *out);

/* Some source has answered since the start. */
bool roster_is_known(const struct roster *roster);

/* The member that may be written, or NULL. `*claimants` is how many say that they are. */
const struct roster_member *roster_primary(const struct roster *roster,
                                           size_t *claimants);

/* Writes the members into pool number `pool` of a fresh snapshot. RC_OK or RC_ENOMEM. */
int roster_fill(const struct roster *roster, struct snapshot *snapshot, size_t pool);

#endif
