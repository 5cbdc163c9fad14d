/* store_verbs.c - what each operation means, in Consul's rules and words.
 *
 * Source: Consul 1.10, HTTP API of KV, session and txn. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "agent/store/store_plan.h"
#include "base/err.h"

/* Beyond so many operations a set that makes a key compares only its lock: the engine takes no
 * more compares. */
enum { EXACT_OPS_MAX = 42 };

struct step {
    struct store_plan *plan;
    const struct store_op *op;
    size_t index;
    uint64_t lease; /* of the operation itself */
    struct draft *d;
};

#define KEY_FORMAT "key \"%.*s\""

static int key_size(const struct step *s)
{
    return (int)s->op->key.size;
}

static const char *key_text(const struct step *s)
{
    return (const char *)s->op->key.at;
}

static void show(const struct step *s, const struct rc_pack_bytes *value)
{
    const struct draft *d = s->d;

    plan_result(s->plan, s->index,
                &(struct store_pair){
                    .key = d->name,
                    .value = value != NULL ? *value : (struct rc_pack_bytes){NULL, 0},
                    .flags = d->now.flags,
                    .lock_index = d->now.lock_index,
                    .create_index = d->create_index,
                    .modify_index = d->modify_index,
                    .term = d->term,
                    .session = d->held.session});
}

/* What makes no sense is an error when it is alone, in company one failure of several. */
static void refuse(const struct step *s, int err)
{
    if (s->plan->request->count == 1) {
        s->plan->err = err;
    }
}

static bool is_missing(const struct step *s)
{
    if (!s->d->exists) {
        plan_fail(s->plan, s->index, KEY_FORMAT " doesn't exist", key_size(s),
                  key_text(s));
    }
    return !s->d->exists;
}

/* ---- writing a draft */

/* A lease that only this key hangs on; that of a session is the holder's. */
static void note_old_lease(const struct step *s)
{
    const struct draft *d = s->d;

    if (d->was_there && d->was.lease != 0 && d->held_was.session == NULL) {
        s->plan->request->ops[s->index].old_lease = d->was.lease;
    }
}

static void write(const struct step *s, uint64_t lock_index)
{
    struct draft *d = s->d;
    const struct store_op *op = s->op;
    bool is_doc = d->table != STORE_KV;
    uint64_t lease =
        d->held.session != NULL && d->held.behavior == STORE_DELETE ? d->lease : s->lease;
    bool is_same =
        d->exists && rc_pack_equals(d->now.value, op->value) &&
        (is_doc || (d->now.flags == op->flags && d->now.lock_index == lock_index)) &&
        d->lease == lease && s->lease == 0 && !d->held_changed && !d->is_changed;

    if (is_same) { /* raises no index: nobody is woken */
        d->needs_mod = true;
        return;
    }
    note_old_lease(s);
    if (!d->exists) {
        d->create_index = MOD_OF_THIS;
    }
    d->exists = true;
    d->is_changed = true;
    d->now = (struct kv_record){
        .flags = op->flags, .lock_index = lock_index, .value = op->value};
    d->lease = lease;
    d->modify_index = MOD_OF_THIS;
}

static void erase(const struct step *s)
{
    struct draft *d = s->d;

    note_old_lease(s);
    d->is_changed = true; /* also when the mirror has no such key: it may lag */
    d->exists = false;
    d->lease = 0;
    if (d->held.session != NULL) { /* without its key a lock is none */
        d->needs_session = d->held_was.session != NULL;
        d->held_changed = true;
        d->held = (struct held_record){.session = NULL};
        d->term = 0;
    }
}

/* The key goes with its session and not by itself as well. */
static bool goes_twice(const struct step *s)
{
    const struct draft *d = s->d;
    bool is_twice =
        s->lease != 0 && d->held.session != NULL && d->held.behavior == STORE_DELETE;

    if (is_twice) {
        plan_fail(s->plan, s->index, KEY_FORMAT " goes with its session, it has no ttl",
                  key_size(s), key_text(s));
    }
    return is_twice;
}

static void set(struct step *s)
{
    struct draft *d = s->d;

    d->needs_held = true;
    if (s->plan->request->count > 1 &&
        (d->was_there || s->plan->request->count <= EXACT_OPS_MAX)) {
        d->needs_mod = true; /* the result tells who made the key, and when */
    }
    if (!goes_twice(s)) {
        write(s, 0);
        show(s, NULL);
    }
}

/* The operation's index is the key's; an index of 0 is that of a key that is not there. */
static bool is_current(const struct step *s)
{
    const struct draft *d = s->d;

    if (!d->exists || s->op->index == 0) {
        return !d->exists && s->op->index == 0;
    }
    return d->modify_index == s->op->index;
}

static void set_if_current(struct step *s)
{
    s->d->needs_mod = true;
    s->d->needs_held = true;
    if (!is_current(s)) {
        plan_fail(s->plan, s->index, "failed to set " KEY_FORMAT ", index is stale",
                  key_size(s), key_text(s));
        return;
    }
    if (!goes_twice(s)) {
        write(s, 0);
        show(s, NULL);
    }
}

static bool lacks_session(const struct step *s)
{
    if (s->op->session == NULL || s->op->session[0] == '\0') {
        plan_fail(s->plan, s->index, "missing session");
        refuse(s, RC_EINVAL);
        return true;
    }
    return false;
}

static void lock_for(struct step *s, const struct engine_item *session)
{
    struct draft *d = s->d;
    struct store_session record;
    bool is_ours =
        d->held.session != NULL && strcmp(d->held.session, s->op->session) == 0;

    (void)session_record_read(session->value, s->plan->store->slots, &record);
    if (!is_ours) {
        d->held = (struct held_record){.session = s->op->session,
                                       .session_revision = session->create_revision,
                                       .lock_delay_ms = record.lock_delay_ms,
                                       .behavior = record.behavior};
        d->held_changed = true;
        d->term = TERM_OF_THIS;
    }
    d->lease = record.behavior == STORE_DELETE ? session->lease : 0;
    write(s, d->now.lock_index + !is_ours);
    s->plan->term = d->term;
    show(s, NULL);
}

static void take_lock(struct step *s)
{
    struct draft *d = s->d;
    struct engine_item session;

    d->needs_mod = true;
    d->needs_held = true;
    if (lacks_session(s)) {
        return;
    }
    struct rc_pack_bytes id = rc_pack_text(s->op->session);
    if (!mirror_get(s->plan->store->tables[STORE_SESSIONS], id, &session)) {
        plan_fail(s->plan, s->index, "invalid session \"%s\"", s->op->session);
        refuse(s, RC_EINVAL);
        return;
    }
    if (d->held.session != NULL && strcmp(d->held.session, s->op->session) != 0) {
        plan_fail(s->plan, s->index,
                  "failed to lock " KEY_FORMAT ", lock is already held", key_size(s),
                  key_text(s));
        return;
    }
    if (d->held.session == NULL && settle_delays(s->plan->store, d->name)) {
        plan_fail(s->plan, s->index, "failed to lock " KEY_FORMAT " due to lock delay",
                  key_size(s), key_text(s));
        return;
    }
    /* As it is now: the lease that the key may go with is the one it has. */
    plan_compare(s->plan, plan_key(s->plan, store_table_prefix(STORE_SESSIONS), id),
                 ENGINE_MOD_REVISION, ENGINE_EQUAL, session.mod_revision);
    lock_for(s, &session);
}

static void give_lock_back(struct step *s)
{
    struct draft *d = s->d;

    d->needs_mod = true;
    d->needs_held = true;
    if (lacks_session(s)) {
        return;
    }
    if (!d->exists || d->held.session == NULL ||
        strcmp(d->held.session, s->op->session) != 0) {
        plan_fail(s->plan, s->index,
                  "failed to unlock " KEY_FORMAT
                  ", lock isn't held, or is held by another session",
                  key_size(s), key_text(s));
        return;
    }
    d->needs_session =
        d->held_was.session != NULL; /* it has not ended: no delay is due */
    d->held = (struct held_record){.session = NULL};
    d->held_changed = true;
    d->term = 0;
    d->lease = 0;
    write(s, d->now.lock_index);
    show(s, NULL);
}

static void delete_key(struct step *s)
{
    s->d->needs_held = true;
    erase(s);
}

static void delete_if_current(struct step *s)
{
    s->d->needs_mod = true;
    s->d->needs_held = true;
    if (s->d->exists && !is_current(s)) {
        plan_fail(s->plan, s->index, "failed to delete " KEY_FORMAT ", index is stale",
                  key_size(s), key_text(s));
    } else if (s->d->exists) {
        erase(s);
    }
}

static void get(struct step *s)
{
    s->d->needs_mod = true;
    s->d->needs_held = true;
    if (!is_missing(s)) {
        show(s, &s->d->now.value);
    }
}

static void get_or_empty(struct step *s)
{
    s->d->needs_mod = true;
    s->d->needs_held = true;
    show(s, s->d->exists ? &s->d->now.value : NULL);
}

static void check_index(struct step *s)
{
    s->d->needs_mod = true;
    if (!is_missing(s) && s->d->modify_index != s->op->index) {
        plan_fail(s->plan, s->index,
                  "failed index check for " KEY_FORMAT
                  ", current modify index %llu != %llu",
                  key_size(s), key_text(s), (unsigned long long)s->d->modify_index,
                  (unsigned long long)s->op->index);
        return;
    }
    if (s->d->exists) {
        show(s, NULL);
    }
}

static void check_session(struct step *s)
{
    const char *is = s->d->held.session != NULL ? s->d->held.session : "";
    const char *wanted = s->op->session != NULL ? s->op->session : "";

    s->d->needs_mod = true;
    s->d->needs_held = true;
    if (is_missing(s)) {
        return;
    }
    if (strcmp(is, wanted) != 0) {
        plan_fail(s->plan, s->index,
                  "failed session check for " KEY_FORMAT
                  ", current session \"%s\" != \"%s\"",
                  key_size(s), key_text(s), is, wanted);
        return;
    }
    show(s, NULL);
}

static void check_not_exists(struct step *s)
{
    s->d->needs_mod = true;
    s->d->needs_held = true;
    if (s->d->exists) {
        plan_fail(s->plan, s->index, KEY_FORMAT " exists", key_size(s), key_text(s));
    }
}

/* ---- trees */

/* Another operation touches what this prefix touches: each key must be looked at alone. */
static bool overlaps(const struct step *s)
{
    const struct store_request *request = s->plan->request;

    for (size_t i = 0; i < request->count; i++) {
        const struct store_op *other = &request->ops[i].op;
        if (i != s->index && other->table == s->op->table &&
            (mirror_starts_with(other->key, s->op->key) ||
             mirror_starts_with(s->op->key, other->key))) {
            return true;
        }
    }
    return false;
}

/* No key under the prefix is newer than what the mirror knows. */
static void compare_tree(struct step *s, struct rc_pack_bytes key)
{
    plan_compare(s->plan, key, ENGINE_PREFIX_MOD_REVISION, ENGINE_LESS,
                 mirror_prefix_index(s->plan->store->tables[s->op->table], s->op->key) +
                     1);
}

/* The first draft under the prefix behind `after` (nil: at all) that is there. */
static struct draft *next_draft(const struct step *s, struct rc_pack_bytes after)
{
    struct draft *first = NULL;

    for (size_t i = 0; i < s->plan->draft_count; i++) {
        struct draft *d = &s->plan->drafts[i];
        bool is_under = d->table == s->op->table && d->exists &&
                        mirror_starts_with(d->name, s->op->key) &&
                        (after.at == NULL || mirror_compare(d->name, after) > 0);
        if (is_under && (first == NULL || mirror_compare(d->name, first->name) < 0)) {
            first = d;
        }
    }
    return first;
}

typedef void on_key(struct step *s);

/* Calls for every key under the prefix in order, also those made by operations before this. */
static void each_under(struct step *s, on_key *call)
{
    struct store_plan *plan = s->plan;
    struct engine_item item = {.key = {NULL, 0}};

    while (mirror_next(plan->store->tables[s->op->table], s->op->key, item.key, &item)) {
        if (plan_draft(plan, s->op->table, item.key) == NULL) {
            return;
        }
    }
    s->d = next_draft(s, (struct rc_pack_bytes){NULL, 0});
    while (s->d != NULL) {
        struct rc_pack_bytes name = s->d->name;
        call(s);
        s->d = next_draft(s, name);
    }
}

static void delete_tree(struct step *s)
{
    struct rc_pack_bytes key =
        plan_key(s->plan, store_table_prefix(s->op->table), s->op->key);

    if (!overlaps(s)) { /* locks below it are settled afterwards */
        plan_op(s->plan, &(struct engine_op){.verb = ENGINE_DELETE_PREFIX, .key = key});
        return;
    }
    compare_tree(s, key);
    each_under(s, delete_key);
}

static void get_draft_of_tree(struct step *s)
{
    s->d->needs_mod = true;
    show(s, &s->d->now.value);
}

static void get_tree(struct step *s)
{
    struct store_plan *plan = s->plan;
    struct store_pair pair = {.key = {NULL, 0}};

    if (!plan->request->writes) { /* one moment of the mirror */
        while (store_next(plan->store, s->op->table, s->op->key, pair.key, &pair)) {
            plan_result(plan, s->index, &pair);
        }
        return;
    }
    compare_tree(s, plan_key(plan, store_table_prefix(s->op->table), s->op->key));
    each_under(s, get_draft_of_tree);
}

/* ---- sessions */

static void end_session(struct step *s)
{
    s->d->is_changed = true;
    s->d->exists = false;
    s->plan->request->ops[s->index].lease = s->d->was.lease; /* to be revoked */
}

/* The only operation of a request that makes a session; its value is the record. */
static void make_session(struct step *s)
{
    s->d->needs_create = true;
    if (s->d->exists) {
        plan_fail(s->plan, s->index, "session %.*s exists", key_size(s), key_text(s));
        refuse(s, RC_EEXISTS);
        return;
    }
    s->d->exists = true;
    s->d->is_changed = true;
    s->d->now.value = s->op->value;
    s->d->lease = s->lease;
}

/* What goes with the session goes with its new lease. */
static bool move_holds(struct step *s)
{
    const struct store *store = s->plan->store;
    struct draft *session = s->d;
    const struct rc_pack_bytes prefix = plan_with_slash(s->plan, s->op->key);
    struct engine_item item = {.key = {NULL, 0}};

    while (mirror_next(store->holds, prefix, item.key, &item)) {
        const struct rc_pack_bytes name = {.at = item.key.at + prefix.size,
                                           .size = item.key.size - prefix.size};
        struct draft *d = plan_draft(s->plan, STORE_KV, name);
        if (d == NULL) {
            return false;
        }
        d->needs_mod = true;
        d->needs_held = true;
        bool is_its = d->exists && d->held.session != NULL &&
                      d->held.session_revision == session->was.create_revision;
        if (is_its && d->held.behavior == STORE_DELETE) {
            d->lease = s->lease;
            d->is_changed = true;
        }
    }
    return true;
}

/* `index` is what its time was seen with; `value` the new one as text. */
static void retime_session(struct step *s)
{
    struct draft *d = s->d;
    struct store_session record;

    d->needs_mod = true;
    if (!d->exists || d->was.lease == 0) {
        plan_fail(s->plan, s->index, "Session id '%.*s' not found", key_size(s),
                  key_text(s));
        refuse(s, RC_ENOTFOUND);
        return;
    }
    if (d->modify_index != s->op->index) {
        plan_fail(s->plan, s->index, "session %.*s has changed: its index is %llu",
                  key_size(s), key_text(s), (unsigned long long)d->modify_index);
        refuse(s, RC_ECONFLICT);
        return;
    }
    if (session_record_read(d->was.value, s->plan->store->slots, &record) != RC_OK ||
        !move_holds(s)) {
        return;
    }
    s->plan->request->ops[s->index].old_lease = d->was.lease;
    record.ttl_ms = s->op->ttl_ms;
    memcpy(record.ttl_text, s->op->value.at, s->op->value.size);
    record.ttl_text[s->op->value.size] = '\0';
    d->now.value = plan_session(s->plan, &record);
    d->lease = s->lease;
    d->is_changed = true;
}

/* ---- which is which */

static const struct {
    void (*act)(struct step *s);
    bool is_tree;
} verbs[STORE_VERB_COUNT + 1] = {[STORE_SET] = {set, false},
                                 [STORE_CAS] = {set_if_current, false},
                                 [STORE_LOCK] = {take_lock, false},
                                 [STORE_UNLOCK] = {give_lock_back, false},
                                 [STORE_DELETE_KEY] = {delete_key, false},
                                 [STORE_DELETE_CAS] = {delete_if_current, false},
                                 [STORE_DELETE_TREE] = {delete_tree, true},
                                 [STORE_GET] = {get, false},
                                 [STORE_GET_OR_EMPTY] = {get_or_empty, false},
                                 [STORE_GET_TREE] = {get_tree, true},
                                 [STORE_CHECK_INDEX] = {check_index, false},
                                 [STORE_CHECK_SESSION] = {check_session, false},
                                 [STORE_CHECK_NOT_EXISTS] = {check_not_exists, false},
                                 [STORE_END_SESSION] = {end_session, false},
                                 [STORE_RETIME_SESSION] = {retime_session, false},
                                 [STORE_VERB_COUNT] = {make_session, false}};

void verb_do(struct store_plan *plan, size_t index)
{
    const struct request_op *own = &plan->request->ops[index];
    struct step s = {.plan = plan, .op = &own->op, .index = index, .lease = own->lease};

    assert(own->op.verb <= STORE_VERB_COUNT);
    if (!verbs[own->op.verb].is_tree) {
        s.d = plan_draft(plan, own->op.table, own->op.key);
        if (s.d == NULL) {
            return;
        }
    }
    verbs[own->op.verb].act(&s);
}
