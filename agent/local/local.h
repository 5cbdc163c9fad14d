/* local.h - what this agent itself offers: its services, their checks, and how they
 * stand.
 *
 * The one writer of this node's record in the catalog. Services and checks come from
 * configuration files, from the HTTP API and, at start, from what the API registered
 * before (kept by a store). Semantics and error texts are Consul's agent endpoints,
 * release 1.10.
 *
 * Pure but for the store handed in: no socket, no clock. It fills the schedule of checks
 * (agent/checks/schedule.h); agent.c hands the schedule's actions back through
 * local_on_schedule(). It is not the catalog: it knows only this node. */
#ifndef AGENT_LOCAL_LOCAL_H
#define AGENT_LOCAL_LOCAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/checks/check.h"
#include "agent/checks/schedule.h"
#include "base/metrics.h"

struct catalog;
struct check_definition;   /* agent/catalog/definition.h */
struct service_definition; /* likewise */
struct local;
struct local_store; /* agent/local/local_store.h */

enum { LOCAL_SERVICES_MAX = 16384 };

/* What time it is, both ways. */
struct local_now {
    uint64_t mono_ms; /* monotonic; the loop's time */
    uint64_t wall_ms; /* since 1970 */
};

enum local_origin { LOCAL_FROM_CONFIG, LOCAL_FROM_API };

/* Which checks of a service stay when it is registered again: Consul's
 * ?replace-existing-checks drops those that the new definition does not name. */
enum local_checks { LOCAL_KEEP_CHECKS, LOCAL_REPLACE_CHECKS };

enum local_switch { LOCAL_OFF, LOCAL_ON };

/* Which definitions may run programs: enable_script_checks,
 * enable_local_script_checks. */
enum local_scripts { LOCAL_SCRIPTS_NEVER, LOCAL_SCRIPTS_CONFIG, LOCAL_SCRIPTS_ALWAYS };

/* In the order of severity: the worst of a service's checks and the node's own. */
enum local_health {
    LOCAL_HEALTH_PASSING,
    LOCAL_HEALTH_WARNING,
    LOCAL_HEALTH_CRITICAL,
    LOCAL_HEALTH_MAINTENANCE,
    LOCAL_HEALTH_COUNT
};

/* What a failing check with `restart {}` wants of the agent. */
enum local_heal_kind {
    LOCAL_HEAL_RESTART, /* restart `unit`, then local_healed() */
    LOCAL_HEAL_GIVEN_UP /* said once: the hour's restarts are used up */
};

struct local_heal {
    enum local_heal_kind kind;
    const char *check_id;   /* all borrowed during the call */
    const char *service_id; /* "": the check is of the node */
    const char *unit;       /* its complete name */
    uint32_t number;        /* which restart of this hour */
    uint32_t per_hour;
};

struct local_options {
    struct catalog *catalog;   /* borrowed; written to */
    struct schedule *schedule; /* borrowed; filled */
    struct local_store *store; /* borrowed; NULL: nothing is kept (-dev) */
    struct rc_metrics *metrics;
    const char *node_name; /* copied */
    enum local_scripts scripts;
    uint32_t output_max; /* check_output_max_size; 0: 4096 */
    uint64_t random_seed;

    /* The schedule has changed: agent.c calls checks_uv_wake(). May be NULL (tests). */
    void (*wake)(void *context);
    /* May be NULL: then nothing is restarted. Not from inside a change of `local`. */
    void (*heal)(void *context, const struct local_heal *wish);
    void *context;
};

/* One service as it is now. Everything is borrowed until the next call that changes
 * `local`. */
struct local_service {
    const char *id;
    const struct service_definition
        *definition;         /* as registered, ids and defaults filled */
    const char *const *tags; /* the definition's and what a postgres check has found */
    size_t tag_count;
    enum local_origin origin;
    uint64_t hash; /* of everything shown: X-Consul-ContentHash as 16 hex digits */
};

/* How the restarts of a check stand; borrowed likewise. */
struct local_restart {
    const char *unit;  /* NULL: none are asked for */
    const char *state; /* "idle", "waiting", "restarting", "exhausted" */
    const char *error; /* why the last one failed; "": it did not */
    uint32_t after;
    uint32_t per_hour;
    uint32_t count;        /* within the last hour */
    uint64_t last_wall_ms; /* 0: none that is known */
};

/* One check as it is now; borrowed likewise. */
struct local_check {
    const char *id;
    const char *name;
    const char *notes;
    const char *type; /* "http", "ttl", "postgres", "maintenance", ... */
    const char *output;
    const char *service_id; /* "" for a check of the node */
    enum check_status status;
    uint64_t since_wall_ms;
    const struct check_definition *definition; /* NULL: a maintenance check */
    enum local_origin origin;
    struct local_restart restart;
};

/* Return codes of everything below that can refuse, and what an HTTP answer makes of
 * them: RC_EINVAL is a 400, RC_ENOTFOUND a 404, every other error a 500. On error
 * local_error() gives the one-line answer in Consul's words, and nothing has changed.
 * RC_EIO: the store could not write (disk full); what was not kept is not accepted.
 * RC_EDENIED: scripts are off. RC_EUNSUPPORTED: a kind of check not done here.
 * RC_ETOOBIG: too many services or checks. */

/* RC_OK or RC_ENOMEM. Then call local_load(), then local_reload(). */
int local_create(const struct local_options *options, struct local **out);
void local_destroy(struct local *local);

/* Why the last call that returned an error did; borrowed until the next call. Never
 * NULL. */
const char *local_error(const struct local *local);

/* Puts back what the store has kept. What cannot be read is set aside by the store; it is
 * never fatal. Returns RC_OK, or RC_EMALFORMED when something was (local_error() names
 * it). */
int local_load(struct local *local, struct local_now now);

/* Takes the definitions of the configuration files, all at once: new ones are added,
 * changed ones replaced, missing ones removed; what is equal keeps running, checks that
 * stay keep their status. API registrations stay, unless a file defines the same id: the
 * file wins. Definitions are copied. Either all are taken or, on error, none
 * (local_error() says which one is wrong). */
int local_reload(struct local *local, const struct service_definition *services,
                 size_t service_count, const struct check_definition *checks,
                 size_t check_count, struct local_now now);

/* PUT agent/service/register. The definition is copied. */
int local_register_service(struct local *local, const struct service_definition *service,
                           enum local_checks mode, struct local_now now);

/* PUT agent/service/deregister/:id. Its checks go too. RC_OK, or RC_ENOTFOUND with
 * `Unknown service ID "x". Ensure that the service ID is passed, not the service
 * name.`: Consul 1.10 answered 200 there, the caller decides. "" is RC_EIO `ServiceID
 * missing`. */
int local_deregister_service(struct local *local, const char *id, struct local_now now);

/* PUT agent/check/register and /deregister/:id; likewise. */
int local_register_check(struct local *local, const struct check_definition *check,
                         struct local_now now);
int local_deregister_check(struct local *local, const char *id, struct local_now now);

/* PUT agent/check/pass|warn|fail|update: sets a TTL check and starts its time anew.
 * `output` may be NULL. RC_EUNSUPPORTED with `CheckID "x" does not have associated TTL`
 * for any other. */
int local_update_ttl(struct local *local, const char *check_id, enum check_status status,
                     const char *output, struct local_now now);

/* PUT agent/service/maintenance/:id. Idempotent. `reason` may be NULL or "": Consul's
 * text. */
int local_service_maintenance(struct local *local, const char *service_id,
                              enum local_switch enable, const char *reason,
                              struct local_now now);

/* PUT agent/maintenance: the whole node. */
int local_node_maintenance(struct local *local, enum local_switch enable,
                           const char *reason, struct local_now now);

/* One action of the schedule that concerns us: SCHEDULE_CHANGED goes into the catalog,
 * SCHEDULE_OVERDUE deregisters the service. The others are ignored. */
void local_on_schedule(struct local *local, const struct schedule_action *action,
                       struct local_now now);

/* How much thought an instance that is taken away deserves. */
enum local_care {
    LOCAL_CARE_NONE,       /* forced: it goes */
    LOCAL_CARE_CONFIGURED, /* refused where its definition has min_healthy */
    LOCAL_CARE_DEFAULT,    /* the same, and min_healthy is 1 where there is none */
    LOCAL_CARE_AGAIN       /* the same when it has gone already: may it stay away? */
};

/* May that service (NULL: the node with all of them) be put into maintenance? RC_OK, or RC_ECONFLICT
 * with words: too few healthy instances would be left, as the catalog knows them now. What is not
 * healthy or in maintenance already is missed by nobody. */
int local_may_drain(struct local *local, const char *service_id, enum local_care care);

/* What a restart has come to; one that was left alone does not count. */
enum local_outcome { LOCAL_HEALED, LOCAL_NOT_HEALED, LOCAL_LEFT_ALONE };

/* The end of LOCAL_HEAL_RESTART of that check; `error` says why not, or is NULL. True: not the
 * same as what the last one came to, so worth telling. */
bool local_healed(struct local *local, const char *check_id, enum local_outcome outcome,
                  const char *error, struct local_now now);

/* Walks in the order of registration: start with `*position` = 0; false at the end. */
bool local_next_service(const struct local *local, size_t *position,
                        struct local_service *out);
bool local_next_check(const struct local *local, size_t *position,
                      struct local_check *out);

/* By id. False when there is none. */
bool local_find_service(const struct local *local, const char *id,
                        struct local_service *out);
bool local_find_check(const struct local *local, const char *id, struct local_check *out);

/* GET agent/health/service: the worst of the service's own and the node's checks. `id` of
 * an unknown service gives LOCAL_HEALTH_CRITICAL. */
enum local_health local_service_health(const struct local *local, const char *id);
const char *
local_health_name(enum local_health health); /* "passing", "maintenance", ... */

size_t local_service_count(const struct local *local);
size_t local_check_count(const struct local *local);

/* Keeps the state of checks that changed since the last call; call it every few
 * seconds and before the end. Registrations are kept at once and need no call. RC_OK
 * or RC_EIO. */
int local_save_states(struct local *local, struct local_now now);

#endif
