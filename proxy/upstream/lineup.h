/* lineup.h - which instances belong to a pool, by everybody who may say so.
 *
 * Sources tell what they found and what that is worth; the lineup keeps the last good word
 * of each, decides whose word counts, compares it with the present members, and moves
 * their upstream states. For PostgreSQL it also decides who may be written. Pure.
 *
 * Whose word counts: static entries and those of the file always. Of the agent's watch and DNS the agent, while its
 * watch answers; else the later good word of the two, so DNS takes over when the watch has
 * failed or never answered, and when both are silent the last good set stays. */
#ifndef PROXY_UPSTREAM_LINEUP_H
#define PROXY_UPSTREAM_LINEUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "proxy/config/config.h"
#include "proxy/upstream/outlier.h"
#include "proxy/upstream/snapshot.h"

enum lineup_source {
    LINEUP_STATIC,
    LINEUP_FILE,
    LINEUP_DNS,
    LINEUP_AGENT,
    LINEUP_SOURCE_COUNT
};

/* What the catalog's checks say of an instance. */
enum lineup_health {
    LINEUP_PASSING,
    LINEUP_WARNING,     /* it is used, with the weight for that */
    LINEUP_CRITICAL,    /* it is not, unless the pool panics */
    LINEUP_MAINTENANCE, /* as if it had left */
    LINEUP_HEALTH_COUNT
};

/* What our own check says. */
enum lineup_check {
    LINEUP_CHECK_NONE, /* there is none, or it has not told yet */
    LINEUP_CHECK_PASSES,
    LINEUP_CHECK_FAILS,
    LINEUP_CHECK_COUNT
};

/* What a result is worth (proxy-side view of any source). */
enum lineup_verdict {
    LINEUP_FULL,    /* this is all: removes what it lacks */
    LINEUP_PARTIAL, /* these are good, others may exist: adds, never removes */
    LINEUP_EMPTY,   /* said to be none: believed after three answers over hold_empty */
    LINEUP_FAILED,  /* no answer: everything stays */
    LINEUP_VERDICT_COUNT
};

struct lineup_entry {
    char id[INSTANCE_ID_MAX]; /* "" = known by its address only (DNS, static) */
    struct rc_address address;
    uint32_t weight;
    enum upstream_role
        claim; /* by the catalog's tags; UPSTREAM_ROLE_NONE = says nothing */
    enum lineup_health health;
};

struct lineup_member {
    struct instance *instance; /* one reference held */
    struct upstream upstream;
    uint32_t weight;
    enum upstream_role claim;
    enum upstream_role probe; /* what the server itself says; NONE = not asked yet */
    uint32_t timeline;        /* of a server that says primary; 0 = unknown */
    enum upstream_role role;  /* decided from all of it */
    uint32_t address_only;    /* its id came from the address: an id may adopt it */
    enum lineup_health health;
    enum lineup_check check;
    uint32_t distance_us; /* from our agent's node; DISTANCE_UNKNOWN */
    struct outlier_window window;
};

/* How one source fares, for the admin page. */
struct lineup_source_state {
    bool used;    /* the configuration names it */
    bool known;   /* has given a good answer since the start */
    bool healthy; /* its last answer was good */
    uint64_t good_at_ms;
    size_t count; /* entries of its last good word */
};

struct lineup;

/* For a pool of the configuration (copied as far as needed). NULL when memory is out. */
struct lineup *lineup_create(const struct config_pool *config, uint32_t hold_empty_ms,
                             uint64_t seed, uint64_t now_ms);
void lineup_destroy(struct lineup *lineup); /* NULL is allowed */

/* A reload: the same pool under changed rules, sources or static entries. Members stay. */
int lineup_configure(struct lineup *lineup, const struct config_pool *config,
                     uint32_t hold_empty_ms, uint64_t now_ms);

/* A source has spoken. Returns true when a snapshot should be published. `entries` are copied;
 * memory running out keeps the former word. At most 4096 entries are taken. */
bool lineup_apply(struct lineup *lineup, enum lineup_source source,
                  enum lineup_verdict verdict, const struct lineup_entry *entries,
                  size_t count, uint64_t now_ms);

/* Of a pool that keepers look after: the lease's term, and whether the word about it still counts. True
 * when something changed. */
enum lineup_view { LINEUP_VIEW_CURRENT, LINEUP_VIEW_LOST };
bool lineup_set_lease(struct lineup *lineup, uint64_t term, enum lineup_view view);

/* What all threads count together of this pool. Borrowed. */
struct pgtally *lineup_tally(const struct lineup *lineup);

/* What a server says of itself; UNKNOWN = it does not answer. True when something changed. */
bool lineup_set_probe(struct lineup *lineup, const struct instance *instance,
                      enum upstream_role role, uint32_t timeline);

/* Our own check's word about one member. True when something changed. */
bool lineup_set_check(struct lineup *lineup, const struct instance *instance,
                      enum lineup_check check, uint64_t now_ms);

/* How far a node is, by the name before the slash of its instances' ids. Called once for each node
 * that is known; true when something changed. */
bool lineup_set_distance(struct lineup *lineup, const char *node, uint32_t distance_us);

/* What became of choices. Borrowed. */
struct pool_counts *lineup_counts(const struct lineup *lineup);

const char *lineup_health_name(enum lineup_health health); /* "critical" */
const char *lineup_check_name(enum lineup_check check);    /* "passes"; "" = none */
const char *lineup_source_name(enum lineup_source source); /* "agent" */

/* Time and the workers' counters: ejects (never the last usable one, never more than
 * the configured part), tries again, forgets who is gone. True when something changed. */
bool lineup_tick(struct lineup *lineup, uint64_t now_ms);

/* The operator's word about one member. RC_OK or RC_ENOTFOUND. */
enum lineup_order { LINEUP_DRAIN, LINEUP_UNDRAIN };
int lineup_order(struct lineup *lineup, const char *id, enum lineup_order order,
                 uint64_t now_ms);

size_t lineup_count(const struct lineup *lineup);
const struct lineup_member *lineup_at(const struct lineup *lineup, size_t index);
void lineup_source_state(const struct lineup *lineup, enum lineup_source source,
                         struct lineup_source_state *out);

/* Some source has answered since the start. */
bool lineup_is_known(const struct lineup *lineup);

/* The member that may be written, or NULL. `*claimants` is how many say that they are. */
const struct lineup_member *lineup_primary(const struct lineup *lineup,
                                           size_t *claimants);

/* Writes the members into pool number `pool` of a fresh snapshot. RC_OK or RC_ENOMEM. */
int lineup_fill(const struct lineup *lineup, struct snapshot *snapshot, size_t pool);

#endif
