/* registry.h - the tables behind local.h, shared by the files of agent/local only.
 *
 * registry.c owns the tables; local.c takes the API's commands, reload.c the
 * configuration; judge.c says which definitions are refused, publish.c writes the
 * catalog, local_keep.c the store, local_read.c answers readers. */
#ifndef AGENT_LOCAL_REGISTRY_H
#define AGENT_LOCAL_REGISTRY_H

#include "agent/catalog/catalog.h"
#include "agent/local/local.h"
#include "agent/local/local_store.h"
#include "base/random.h"
#include "base/table.h"

enum { REGISTRY_ERROR_MAX = 768 };

/* Where a check was defined: inside its service, on its own, or by a maintenance
 * switch. */
enum registry_form { REGISTRY_NESTED, REGISTRY_ALONE, REGISTRY_MAINTENANCE };

struct registry_service {
    struct service_definition definition; /* owned; its checks are the nested ones */
    enum local_origin origin;
    const char **tags; /* owned array of borrowed strings */
    size_t tag_count;
    uint64_t hash;
    bool is_stale; /* reload: not named by the new configuration so far */
};

struct heal; /* heal.c */

struct registry_check {
    struct check_definition definition; /* owned; of a maintenance check only texts */
    enum registry_form form;
    enum local_origin origin;
    uint64_t scheduled;     /* its number in the schedule */
    enum check_status told; /* what the catalog knows */
    uint64_t since_wall_ms; /* since when */
    struct heal *heal;      /* of its restarts; owned; NULL: none are asked for */
    bool is_stale;
};

struct local {
    struct local_options options;
    struct rc_table *services; /* id -> struct registry_service */
    struct rc_table *checks;   /* id -> struct registry_check */
    struct rc_random random;
    json_t *states;  /* while starting: of the last run, by check id; then NULL */
    json_t *waiting; /* while starting: kept checks whose service comes from a file */
    struct rc_metric *service_gauge;
    struct rc_metric *reaped;
    bool has_unsaved_states;
    char error[REGISTRY_ERROR_MAX];
};

/* Sets the error text and returns `err`. */
int registry_fail(struct local *local, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* By id; NULL when there is none. */
struct registry_service *registry_service(const struct local *local, const char *id);
struct registry_check *registry_check(const struct local *local, const char *id);

/* Adds or replaces; nothing is judged, nothing is written to the store. The definition is
 * copied. Checks that the old definition of a service held and the new one does not are
 * dropped. RC_OK or, with text and everything as it was, the catalog's refusal,
 * RC_ETOOBIG, RC_ENOMEM. */
int registry_put_service(struct local *local, const struct service_definition *from,
                         enum local_origin origin, struct local_now now);
int registry_put_check(struct local *local, const struct check_definition *from,
                       enum registry_form form, enum local_origin origin,
                       struct local_now now);

/* Takes out, from the catalog too; the service with all its checks, and what the store
 * has of those. */
void registry_drop_service(struct local *local, struct registry_service *service,
                           struct local_now now);
void registry_drop_check(struct local *local, struct registry_check *check,
                         struct local_now now);

/* Takes a nested check out of its service's definition, where it does not stand any more.
 * The service, when its definition has changed; otherwise NULL. */
struct registry_service *registry_disown(struct local *local,
                                         const struct registry_check *check);

/* Does that definition name a check of this id? */
bool registry_names(const struct service_definition *service, const char *check_id);

void registry_destroy_all(struct local *local);
void registry_wake(const struct local *local);

/* judge.c: RC_OK, or why such a definition is not taken from `origin`. */
int judge_service(struct local *local, const struct service_definition *service,
                  enum local_origin origin);
int judge_check(struct local *local, const struct check_definition *check,
                enum local_origin origin);

/* judge_own.c: the same for what only rollcall has; part of judge_check(). */
int judge_own(struct local *local, const struct check_definition *check,
              enum local_origin origin);

/* judge.c: what the schedule needs to know. */
void judge_entry(const struct local *local, struct registry_check *check,
                 struct schedule_entry *out);

/* publish.c: this node's record in the catalog. RC_OK or the catalog's error, with
 * text. */
int publish_service(struct local *local, struct registry_service *service,
                    uint64_t now_ms);
int publish_check(struct local *local, struct registry_check *check, uint64_t now_ms);
void publish_result(struct local *local, struct registry_check *check, unsigned news,
                    struct local_now now);

/* local_keep.c: the store. RC_OK, or RC_EIO with text. Without a store all succeed. */
int keep_service(struct local *local, const struct service_definition *service);
int keep_check(struct local *local, const struct check_definition *check,
               enum registry_form form);
int keep_not(struct local *local, enum local_kind kind, const char *id);

/* local_keep.c: what was known about a new check in the last run, while starting; then
 * the end of starting: what was waiting for a service of the configuration. */
void keep_recall(struct local *local, struct registry_check *check, struct local_now now);
void keep_end_start(struct local *local, struct local_now now);

/* heal.c: the restarts of a check follow its definition, and outlive the process in `state` (its
 * record of states). RC_OK or, as it was, RC_ENOMEM. */
int heal_set(struct registry_check *check);
void heal_end(struct registry_check *check);
void heal_on_result(struct local *local, struct registry_check *check,
                    struct local_now now);
void heal_keep(const struct registry_check *check, json_t *state, struct local_now now);
void heal_recall(struct registry_check *check, const json_t *state, struct local_now now);
void heal_show(const struct registry_check *check, struct local_restart *out);

/* local_keep.c: a wall-clock instant of the past on our monotonic clock. */
uint64_t keep_mono_of(uint64_t wall_ms, struct local_now now);

/* Is that service (NULL: the node) switched to maintenance? */
bool registry_in_maintenance(const struct local *local, const char *service_id);

/* local.c: the check that a maintenance switch is, for a service or (NULL) for the node;
 * to be ended by check_definition_fini(). RC_OK or RC_ENOMEM. */
int registry_fill_maintenance(const char *service_id, const char *reason,
                              struct check_definition *out);

#endif
