#include "agent/http/postgres_rules.h"

#include <inttypes.h>
#include <string.h>

#include "base/json_read.h"
#include "base/text.h"

static void put_members(const struct postgres_records *records, struct rc_buffer *why)
{
    const char *node;
    json_t *member;
    size_t count = 0;

    json_object_foreach(records->members, node, member)
    {
        rc_buffer_format(why, "%s%s", count++ > 0 ? ", " : "", node);
    }
    rc_buffer_text(why, count == 0 ? "none" : "");
}

static const json_t *member_of(const struct postgres_records *records, const char *node,
                               struct rc_buffer *why)
{
    const json_t *member = json_object_get(records->members, node);

    if (member == NULL) {
        rc_buffer_format(why, "no keeper answers for %s; there are: ", node);
        put_members(records, why);
    }
    return member;
}

/* Somebody else's wish comes first, unless it was forgotten. */
static bool is_free(const json_t *wish, const char *what, uint64_t wall_ms,
                    struct rc_buffer *why)
{
    uint64_t asked_ms = rc_json_read_number(wish, "at_ms");
    uint64_t due_ms = rc_json_read_number(wish, "due_ms");
    uint64_t at_ms = due_ms > asked_ms ? due_ms : asked_ms;

    if (wish == NULL || postgres_records_is_set(wish, "done") ||
        wall_ms >= at_ms + POSTGRES_FORGOTTEN_MS) {
        return true;
    }
    rc_buffer_format(why, "%s is %s: %s", what,
                     due_ms > wall_ms ? "planned" : "under way",
                     rc_json_read_text(wish, "kind"));
    const char *to = rc_json_read_text(wish, "to");
    rc_buffer_format(why, "%s%s%s", to[0] != '\0' ? " to " : "", to,
                     due_ms > wall_ms ? " (cancel it first)" : "");
    return false;
}

static bool is_paused(const struct postgres_records *records, struct rc_buffer *why)
{
    if (!postgres_records_is_set(records->records[POSTGRES_SETTINGS], "paused")) {
        return false;
    }
    rc_buffer_text(why, "the cluster is paused, so no keeper would act: resume it first");
    return true;
}

static bool may_promote(const json_t *member, const char *node, struct rc_buffer *why)
{
    const char *state = rc_json_read_text(member, "state");

    if (strcmp(state, "standby") != 0 && strcmp(state, "electing") != 0) {
        const char *problem = rc_json_read_text(member, "problem");
        rc_buffer_format(why, "%s is no standby that runs, but %s%s%s", node,
                         state[0] != '\0' ? state : "unknown",
                         problem[0] != '\0' ? ": " : "", problem);
        return false;
    }
    if (postgres_records_is_set(member, "no_failover")) {
        rc_buffer_format(why, "%s is never promoted: its configuration says no_failover",
                         node);
        return false;
    }
    if (postgres_records_is_set(member, "cannot_write")) {
        rc_buffer_format(why, "%s cannot be promoted: its disk takes nothing", node);
        return false;
    }
    return true;
}

static bool is_close(const json_t *member, const char *node, struct rc_buffer *why)
{
    uint64_t lag = rc_json_read_number(member, "lag_bytes");
    uint64_t lsn = postgres_records_lsn(member, "lsn");
    uint64_t replay = postgres_records_lsn(member, "replay_lsn");
    uint64_t backlog = replay > 0 && lsn > replay ? lsn - replay : 0;

    if (lag <= POSTGRES_LAG_MAX && backlog <= POSTGRES_LAG_MAX) {
        return true;
    }
    rc_buffer_format(why,
                     "%s is %" PRIu64 " bytes behind (%" PRIu64
                     " not yet applied); at most %d is quick: try later",
                     node, lag, backlog, POSTGRES_LAG_MAX);
    return false;
}

/* In the modes that promise to lose nothing, only who must have it all. */
static bool has_all(const struct postgres_records *records, const char *node,
                    struct rc_buffer *why)
{
    const json_t *sync = records->records[POSTGRES_SYNC];
    const char *mode = postgres_records_mode(records);

    if (strcmp(mode, "async") == 0) {
        return true;
    }
    bool is_member = postgres_records_is_sync(records, node);
    bool never = json_integer_value(json_object_get(sync, "quorum")) < 0;
    if (is_member && !never) {
        return true;
    }
    if (is_member) {
        rc_buffer_format(why,
                         "%s has not caught up since writes went on without it: it "
                         "may lack some that were acknowledged",
                         node);
    } else {
        rc_buffer_format(why,
                         "%s is no sync member: it may lack writes that were "
                         "acknowledged",
                         node);
    }
    return false;
}

static bool fits_switchover(const struct postgres_records *records, const char *node,
                            struct rc_buffer *why)
{
    const json_t *member = member_of(records, node, why);
    return member != NULL && may_promote(member, node, why) &&
           has_all(records, node, why) && is_close(member, node, why);
}

/* The one that is least behind, the preferred one among equals. */
static const char *best(const struct postgres_records *records, const char *primary,
                        struct rc_buffer *why)
{
    const char *found = NULL;
    uint64_t found_lag = 0;
    uint64_t found_priority = 0;
    const char *node;
    json_t *member;

    json_object_foreach(records->members, node, member)
    {
        struct rc_buffer reason = {0};
        uint64_t lag = rc_json_read_number(member, "lag_bytes");
        uint64_t priority = rc_json_read_number(member, "priority");
        bool is_other = strcmp(node, primary) != 0;
        bool fits = is_other && fits_switchover(records, node, &reason);
        if (is_other && !fits) {
            rc_buffer_format(why, "%s%s", why->size > 0 ? "; " : "",
                             rc_buffer_string(&reason));
        } else if (fits && (found == NULL || priority > found_priority ||
                            (priority == found_priority && lag < found_lag))) {
            found = node;
            found_lag = lag;
            found_priority = priority;
        }
        rc_buffer_fini(&reason);
    }
    if (found == NULL && why->size == 0) {
        rc_buffer_format(why, "%s is alone: there is no standby", primary);
    }
    return found;
}

const char *postgres_rules_switchover(const struct postgres_records *records,
                                      const struct postgres_move *move,
                                      struct rc_buffer *why)
{
    const char *primary = postgres_records_primary(records);

    if (!is_free(records->records[POSTGRES_INTENT], "another", move->wall_ms, why) ||
        is_paused(records, why)) {
        return NULL;
    }
    if (primary[0] == '\0') {
        rc_buffer_text(why, "nobody is a writable primary, so there is nothing to switch "
                            "over: see failover");
        return NULL;
    }
    if (move->to[0] == '\0') {
        const char *found = best(records, primary, why);
        if (found != NULL) {
            rc_buffer_clear(why);
        }
        return found;
    }
    if (strcmp(move->to, primary) == 0) {
        rc_buffer_format(why, "%s is the primary already", primary);
        return NULL;
    }
    return fits_switchover(records, move->to, why) ? move->to : NULL;
}

bool postgres_rules_cancel(const struct postgres_records *records, uint64_t wall_ms,
                           struct rc_buffer *why)
{
    const json_t *intent = records->records[POSTGRES_INTENT];

    if (intent == NULL) {
        rc_buffer_text(why, "nothing is planned");
        return false;
    }
    if (rc_json_read_number(intent, "due_ms") > wall_ms) {
        return true;
    }
    rc_buffer_format(why, "the %s has begun: it cannot be taken back",
                     rc_json_read_text(intent, "kind"));
    return false;
}

/* Whether `node` may lack what was acknowledged. */
static bool may_lack(const struct postgres_records *records, const json_t *member,
                     const char *node, struct rc_buffer *why)
{
    uint64_t lag_max =
        rc_json_read_number(records->records[POSTGRES_SETTINGS], "max_lag_bytes");
    uint64_t lag = rc_json_read_number(member, "lag_bytes");

    if (!has_all(records, node, why)) {
        return true;
    }
    lag_max = lag_max > 0 ? lag_max : POSTGRES_LAG_MAX;
    if (strcmp(postgres_records_mode(records), "async") == 0 && lag > lag_max) {
        rc_buffer_format(why,
                         "%s is %" PRIu64 " bytes behind, more than max_lag_bytes allows "
                         "(%" PRIu64 ")",
                         node, lag, lag_max);
        return true;
    }
    return false;
}

const char *postgres_rules_failover(const struct postgres_records *records,
                                    const struct postgres_move *move,
                                    struct rc_buffer *why)
{
    if (move->to[0] == '\0') {
        rc_buffer_text(why, "say to which node");
        return NULL;
    }
    if (!is_free(records->records[POSTGRES_INTENT], "another", move->wall_ms, why) ||
        is_paused(records, why)) {
        return NULL;
    }
    if (strcmp(move->to, postgres_records_primary(records)) == 0) {
        rc_buffer_format(why, "%s is the primary already", move->to);
        return NULL;
    }
    const json_t *member = member_of(records, move->to, why);
    if (member == NULL || !may_promote(member, move->to, why)) {
        return NULL;
    }
    if (!move->accept_loss && may_lack(records, member, move->to, why)) {
        rc_buffer_text(why, "; to do it all the same, accept the loss");
        return NULL;
    }
    return move->to;
}

const char *postgres_rules_order_name(enum postgres_order order)
{
    static const char *const names[POSTGRES_ORDER_COUNT] = {
        [POSTGRES_REINIT] = "reinit",   [POSTGRES_RESTART] = "restart",
        [POSTGRES_RELOAD] = "reload",   [POSTGRES_STOP] = "stop",
        [POSTGRES_START] = "start",     [POSTGRES_FENCE] = "fence",
        [POSTGRES_UNFENCE] = "unfence",
    };
    return names[order];
}

static bool may_reinit(const struct postgres_records *records, const char *node,
                       struct rc_buffer *why)
{
    const char *primary = postgres_records_primary(records);

    if (strcmp(primary, node) == 0) {
        rc_buffer_format(
            why, "%s is the primary: its data is what the others are made from", node);
        return false;
    }
    if (primary[0] == '\0') {
        rc_buffer_text(why, "nobody is primary: there is nothing to copy from");
        return false;
    }
    return true;
}

/* What an operator stopped or fenced stays so by its order, which another would replace. */
static bool may_replace(const struct postgres_records *records, enum postgres_order order,
                        const char *node, struct rc_buffer *why)
{
    const json_t *standing = json_object_get(records->orders, node);
    const char *kind = rc_json_read_text(standing, "kind");
    bool is_fence = strcmp(kind, "fence") == 0;

    if ((!is_fence && strcmp(kind, "stop") != 0) || order == POSTGRES_START ||
        order == POSTGRES_UNFENCE) {
        return true;
    }
    rc_buffer_format(why, "%s was %s by an operator: %s it first", node,
                     is_fence ? "fenced" : "stopped", is_fence ? "unfence" : "start");
    return false;
}

bool postgres_rules_order(const struct postgres_records *records,
                          enum postgres_order order, const char *node, uint64_t wall_ms,
                          struct rc_buffer *why)
{
    const json_t *member = member_of(records, node, why);

    if (member == NULL ||
        !is_free(json_object_get(records->orders, node), "another order", wall_ms, why)) {
        return false;
    }
    bool is_fenced = strcmp(rc_json_read_text(member, "state"), "fenced") == 0;
    if (order == POSTGRES_UNFENCE && !is_fenced) {
        rc_buffer_format(why, "%s is not fenced, but %s", node,
                         rc_json_read_text(member, "state"));
        return false;
    }
    if (order == POSTGRES_FENCE && is_fenced) {
        rc_buffer_format(why, "%s is fenced already", node);
        return false;
    }
    if (!may_replace(records, order, node, why)) {
        return false;
    }
    return order != POSTGRES_REINIT || may_reinit(records, node, why);
}

bool postgres_rules_mode(const struct postgres_records *records, const char *mode,
                         struct rc_buffer *why)
{
    static const char *const modes[] = {"async", "sync", "strict"};
    bool is_known = false;

    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        is_known = is_known || strcmp(modes[i], mode) == 0;
    }
    if (!is_known) {
        rc_buffer_format(why, "no mode '%s': there are async, sync and strict", mode);
        return false;
    }
    if (strcmp(mode, "strict") == 0 && json_object_size(records->members) < 2) {
        rc_buffer_text(why, "there is no standby: in mode strict every write would wait");
        return false;
    }
    return true;
}
