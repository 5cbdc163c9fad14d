/* store_sim_clients.c - what clients ask, and what they make of the answers. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tests/sim/store_sim_state.h"

void store_sim_fail(struct sim_world *world, const char *format, ...)
{
    va_list arguments;

    if (!world->report->is_good) {
        return;
    }
    world->report->is_good = false;
    int size = snprintf(world->report->why, sizeof world->report->why, "[%llu] ",
                        (unsigned long long)world->now_ms);
    va_start(arguments, format);
    (void)vsnprintf(world->report->why + size, sizeof world->report->why - (size_t)size,
                    format, arguments);
    va_end(arguments);
}

uint64_t store_sim_stamp(struct sim_world *world)
{
    return world->now_ms << SIM_STAMP_BITS | ++world->stamps;
}

void store_sim_key(const struct sim_world *world, size_t key, char space[HISTORY_KEY_MAX])
{
    (void)snprintf(space, HISTORY_KEY_MAX, "e%llu/k%zu", (unsigned long long)world->epoch,
                   key);
}

static uint64_t draw(struct sim_client *c, uint64_t bound)
{
    return rc_random_below(&c->world->workload, bound);
}

static struct sim_server *some_server(struct sim_client *c)
{
    for (size_t i = 0; i < SIM_SERVERS; i++) {
        struct sim_server *server = &c->world->servers[(c->server + i) % SIM_SERVERS];
        if (server->store != NULL) {
            c->server = (c->server + i) % SIM_SERVERS;
            return server;
        }
    }
    return NULL;
}

/* ---- the end of an operation */

static void rest(struct sim_client *c)
{
    c->is_busy = false;
    c->next_ms = c->world->now_ms + draw(c, 120);
    if (draw(c, 5) == 0) {
        c->server = draw(c, SIM_SERVERS);
    }
}

static void record(struct sim_client *c, enum history_result result)
{
    struct sim_world *w = c->world;

    c->op.result = result;
    c->op.back = result == HISTORY_UNKNOWN ? HISTORY_NEVER : store_sim_stamp(w);
    history_add(&w->history, &c->op);
    w->report->operations++;
    w->report->unknown += result == HISTORY_UNKNOWN;
    w->epoch_ops++;
}

static void record_pair(struct sim_client *c, enum history_result result)
{
    record(c, result);
    (void)snprintf(c->op.key, sizeof c->op.key, "%s", c->keys[1]);
    (void)snprintf(c->op.value, sizeof c->op.value, "%s", c->values[1]);
    record(c, result);
}

static void finish(struct sim_client *c, enum history_result result)
{
    if (c->op_count == 2) {
        record_pair(c, result);
    } else {
        record(c, result);
    }
    rest(c);
}

static void ask(struct sim_client *c);

/* What may have happened is asked again, under the same id, perhaps of another server. */
static void not_answered(struct sim_client *c, int err)
{
    c->was_unknown = c->was_unknown || err == RC_EUNKNOWN;
    if (c->has_request && ++c->tries < SIM_TRIES) {
        c->server = draw(c, SIM_SERVERS);
        c->next_ms = c->world->now_ms + 20 + draw(c, 200);
        return; /* still busy: store_sim_clients_step() asks again */
    }
    if (c->was_unknown) {
        finish(c, HISTORY_UNKNOWN);
    } else {
        rest(c);
    }
}

static void on_write(void *context, const struct store_outcome *outcome)
{
    struct sim_client *c = context;

    if (outcome->err == RC_EINVAL) { /* the session has ended */
        c->session = NULL;
        finish(c, HISTORY_DELAY);
        return;
    }
    if (outcome->err != RC_OK) {
        not_answered(c, outcome->err);
        return;
    }
    bool is_delay =
        outcome->failure_count > 0 && strstr(outcome->failures[0].what, "delay") != NULL;
    c->op.index = outcome->succeeded ? outcome->revision : 0;
    c->op.term = outcome->term;
    c->world->report->locks += c->op.verb == HISTORY_LOCK && outcome->succeeded;
    finish(c, outcome->succeeded ? HISTORY_TRUE
              : is_delay         ? HISTORY_DELAY
                                 : HISTORY_FALSE);
}

/* ---- reads */

static void see(struct sim_client *c, struct sim_server *server, size_t key)
{
    struct store_pair pair;
    char name[HISTORY_KEY_MAX];
    struct rc_pack_bytes bytes;

    (void)snprintf(name, sizeof name, "%s", c->op.key);
    bytes = rc_pack_text(name);
    uint64_t index = store_key_index(server->store, STORE_KV, bytes);
    char current[HISTORY_KEY_MAX];
    store_sim_key(c->world, key, current);
    if (strcmp(current, name) != 0) { /* asked in the epoch before: not kept */
        index = server->given_index[key];
    }
    if (index < server->given_index[key]) {
        store_sim_fail(c->world, "server %zu: the index of %s falls from %llu to %llu",
                       c->server, name, (unsigned long long)server->given_index[key],
                       (unsigned long long)index);
    }
    server->given_index[key] = index;
    c->op.seen[0] = '\0';
    c->op.seen_session[0] = '\0';
    c->op.index = 0;
    if (store_read(server->store, STORE_KV, bytes, &pair)) {
        (void)snprintf(c->op.seen, sizeof c->op.seen, "%.*s", (int)pair.value.size,
                       (const char *)pair.value.at);
        (void)snprintf(c->op.seen_session, sizeof c->op.seen_session, "%s",
                       pair.session != NULL ? pair.session : "");
        c->op.index = pair.modify_index;
        c->known_index[key] = pair.modify_index;
    } else {
        c->known_index[key] = 0;
    }
}

static size_t key_number(const struct sim_client *c)
{
    return (size_t)(c->op.key[strlen(c->op.key) - 1] - '0');
}

static void on_read(void *context, const struct store_outcome *outcome)
{
    struct sim_client *c = context;
    struct sim_server *server = &c->world->servers[c->server];

    if (outcome->err != RC_OK) {
        rest(c);
        return;
    }
    see(c, server, key_number(c));
    record(c, HISTORY_TRUE);
    rest(c);
}

/* Both keys of a pair are always written together. */
static void on_pair(void *context, const struct store_outcome *outcome)
{
    struct sim_client *c = context;
    char seen[2][HISTORY_VALUE_MAX] = {"", ""};

    for (size_t i = 0; outcome->err == RC_OK && i < outcome->result_count && i < 2; i++) {
        const struct store_pair *pair = &outcome->results[i].pair;
        (void)snprintf(seen[i], sizeof seen[i], "%.*s", (int)pair->value.size,
                       (const char *)pair->value.at);
    }
    if (outcome->err == RC_OK &&
        (strlen(seen[0]) != strlen(seen[1]) ||
         (seen[0][0] != '\0' && strncmp(seen[0], seen[1], strlen(seen[0]) - 1) != 0))) {
        store_sim_fail(c->world, "half a transaction: %s and %s", seen[0], seen[1]);
    }
    rest(c);
}

/* ---- sessions */

static void on_create(void *context, const struct store_outcome *outcome)
{
    struct sim_client *c = context;

    c->asked->tried_ms = c->world->now_ms;
    if (outcome->err == RC_OK && outcome->succeeded) {
        c->asked->is_made = true;
        c->session = c->asked;
    } else if (outcome->err == RC_OK || outcome->err == RC_EEXISTS) {
        store_sim_fail(c->world, "session %s could not be made", c->asked->id);
    }
    c->asked->may_be_made = outcome->err == RC_EUNKNOWN || c->asked->is_made;
    rest(c);
}

static void on_renew(void *context, const struct store_outcome *outcome)
{
    struct sim_client *c = context;
    uint64_t called_ms = c->op.call >> SIM_STAMP_BITS;

    if (outcome->err == RC_OK) {
        c->asked->safe_from_ms =
            called_ms > c->asked->safe_from_ms ? called_ms : c->asked->safe_from_ms;
    } else if (outcome->err == RC_ENOTFOUND) {
        store_sim_claim_ended(c->world, c->asked);
        c->session = c->session == c->asked ? NULL : c->session;
    }
    c->asked->tried_ms = c->world->now_ms;
    rest(c);
}

static void on_end(void *context, const struct store_outcome *outcome)
{
    struct sim_client *c = context;

    (void)outcome;
    c->session = c->session == c->asked ? NULL : c->session;
    rest(c);
}

static void start_session(struct sim_client *c)
{
    struct sim_world *w = c->world;

    if (w->session_count == SIM_SESSIONS) {
        rest(c);
        return;
    }
    struct sim_session *s = &w->sessions[w->session_count++];
    *s = (struct sim_session){.ended_ms = UINT64_MAX, .safe_from_ms = w->now_ms};
    (void)snprintf(s->id, sizeof s->id, "%08zx-0000-4000-8000-000000000000",
                   w->session_count);
    s->ttl_ms = draw(c, 6) == 0 ? 0 : 1000 + draw(c, 3000);
    s->delay_ms = draw(c, 2) == 0 ? 0 : draw(c, 1500);
    s->deletes = draw(c, 3) == 0;
    s->tried_ms = UINT64_MAX;
    c->asked = s;
    c->kind = SIM_CREATE;
}

/* ---- asking */

static int ask_session(struct sim_client *c, struct store *store)
{
    const struct sim_session *s = c->asked;
    struct store_session session = {.ttl_ms = s->ttl_ms,
                                    .lock_delay_ms = s->delay_ms,
                                    .behavior =
                                        s->deletes ? STORE_DELETE : STORE_RELEASE};

    (void)snprintf(session.id, sizeof session.id, "%s", s->id);
    return store_create_session(store, c->world->now_ms, &session,
                                c->has_request ? c->request : NULL, on_create, c);
}

static int ask_kind(struct sim_client *c, struct store *store)
{
    uint64_t now_ms = c->world->now_ms;
    const uint8_t *request = c->has_request ? c->request : NULL;
    const struct store_view view = {STORE_KV, STORE_ONE, rc_pack_text(c->op.key)};

    switch (c->kind) {
    case SIM_WRITE:
        return store_submit(store, now_ms, c->ops, c->op_count, request, on_write, c);
    case SIM_READ:
        return store_settle(store, now_ms, &view, on_read, c);
    case SIM_PAIR:
        return store_submit(store, now_ms, c->ops, c->op_count, NULL, on_pair, c);
    case SIM_CREATE:
        return ask_session(c, store);
    case SIM_RENEW:
        c->asked->tried_ms = UINT64_MAX;
        return store_renew_session(store, now_ms, c->asked->id, on_renew, c);
    case SIM_END:
        c->asked->ended_ms = now_ms < c->asked->ended_ms ? now_ms : c->asked->ended_ms;
        return store_submit(store, now_ms, c->ops, 1, request, on_end, c);
    }
    return RC_EINVAL;
}

static void ask(struct sim_client *c)
{
    struct sim_server *server = some_server(c);

    c->is_busy = true;
    c->next_ms = UINT64_MAX;
    if (server == NULL) {
        not_answered(c, RC_EAGAIN);
        return;
    }
    if (c->kind == SIM_READ && c->op.verb == HISTORY_STALE) {
        if (store_freshness(server->store, c->world->now_ms).is_loaded) {
            see(c, server, key_number(c));
            record(c, HISTORY_TRUE);
        }
        rest(c);
        return;
    }
    if (ask_kind(c, server->store) != RC_OK) {
        store_sim_fail(c->world, "a request was refused");
    }
}

/* ---- choosing */

static void fill_op(struct sim_client *c, size_t i, enum store_verb verb)
{
    c->ops[i] = (struct store_op){.verb = verb,
                                  .key = rc_pack_text(c->keys[i]),
                                  .value = rc_pack_text(c->values[i]),
                                  .index = c->op.arg,
                                  .session = c->op.session};
}

static void choose_pair(struct sim_client *c, enum store_verb verb)
{
    struct sim_world *w = c->world;

    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(c->keys[i], sizeof c->keys[i], "e%llu/p%zu",
                       (unsigned long long)w->epoch, i);
        (void)snprintf(c->values[i], sizeof c->values[i], "%llu%c",
                       (unsigned long long)w->made_values + 100000, (char)('a' + i));
        fill_op(c, i, verb);
    }
    w->made_values++;
    c->op_count = 2;
    c->kind = verb == STORE_GET_OR_EMPTY ? SIM_PAIR : SIM_WRITE;
    c->op.verb = HISTORY_PUT;
    (void)snprintf(c->op.key, sizeof c->op.key, "%s", c->keys[0]);
    (void)snprintf(c->op.value, sizeof c->op.value, "%s", c->values[0]);
    if (c->kind == SIM_PAIR) {
        c->has_request = false;
    }
}

static void choose_write(struct sim_client *c, enum history_verb verb)
{
    static const enum store_verb verbs[HISTORY_VERB_COUNT] = {
        [HISTORY_PUT] = STORE_SET,           [HISTORY_CAS] = STORE_CAS,
        [HISTORY_DELETE] = STORE_DELETE_KEY, [HISTORY_DELETE_CAS] = STORE_DELETE_CAS,
        [HISTORY_LOCK] = STORE_LOCK,         [HISTORY_UNLOCK] = STORE_UNLOCK};
    struct sim_world *w = c->world;
    size_t key = key_number(c);
    bool locks = verb == HISTORY_LOCK || verb == HISTORY_UNLOCK;
    bool writes = verb != HISTORY_DELETE && verb != HISTORY_DELETE_CAS;

    c->kind = SIM_WRITE;
    c->op.verb = verb;
    (void)snprintf(c->keys[0], sizeof c->keys[0], "%s", c->op.key);
    c->values[0][0] = '\0';
    if (writes) {
        (void)snprintf(c->values[0], sizeof c->values[0], "%llu",
                       (unsigned long long)++w->made_values);
    }
    (void)snprintf(c->op.value, sizeof c->op.value, "%s", c->values[0]);
    if (verb == HISTORY_CAS || verb == HISTORY_DELETE_CAS) {
        c->op.arg = c->known_index[key];
    }
    if (locks) {
        c->asked = c->session;
        (void)snprintf(c->op.session, sizeof c->op.session, "%s", c->session->id);
    }
    fill_op(c, 0, verbs[verb]);
    if (verb == HISTORY_PUT && key == 0 && draw(c, 3) == 0) { /* goes by itself */
        c->ops[0].ttl_ms = 1000 + draw(c, 1000);
        c->op.arg = c->ops[0].ttl_ms;
    }
    if (verb == HISTORY_LOCK) {
        c->op.arg = c->session->deletes; /* for the checkers: the key may go */
    }
}

static void choose_about_session(struct sim_client *c)
{
    uint64_t dice = draw(c, 100);

    c->asked = c->session;
    c->kind = SIM_RENEW;
    if (c->session == NULL) {
        start_session(c);
    } else if (dice < 8) {
        c->session = NULL; /* forgotten: it ends by its ttl */
        rest(c);
        c->is_busy = false;
        c->kind = SIM_READ;
        c->op.verb = HISTORY_GET;
    } else if (dice < 16) {
        c->kind = SIM_END;
        c->ops[0] = (struct store_op){.verb = STORE_END_SESSION,
                                      .table = STORE_SESSIONS,
                                      .key = rc_pack_text(c->asked->id)};
    }
}

static void choose(struct sim_client *c)
{
    struct sim_world *w = c->world;
    uint64_t dice = draw(c, 100);

    c->op = (struct history_op){.call = store_sim_stamp(w), .client = c->number};
    store_sim_key(w, draw(c, SIM_KEYS), c->op.key);
    c->op_count = 1;
    c->tries = 0;
    c->was_unknown = false;
    c->has_request = draw(c, 4) != 0;
    w->made_requests++;
    memset(c->request, 0, sizeof c->request);
    memcpy(c->request, &w->made_requests, sizeof w->made_requests);
    c->kind = SIM_READ;
    if (dice < 25) {
        c->op.verb = HISTORY_GET;
    } else if (dice < 33) {
        c->op.verb = HISTORY_STALE;
    } else if (dice < 43) {
        choose_write(c, HISTORY_PUT);
    } else if (dice < 53) {
        choose_write(c, HISTORY_CAS);
    } else if (dice < 57) {
        choose_write(c, HISTORY_DELETE);
    } else if (dice < 60) {
        choose_write(c, HISTORY_DELETE_CAS);
    } else if (dice < 64) {
        choose_pair(c, STORE_SET);
    } else if (dice < 68) {
        choose_pair(c, STORE_GET_OR_EMPTY);
    } else if (dice < 80 || c->session == NULL) {
        choose_about_session(c);
    } else {
        choose_write(c, dice < 93 ? HISTORY_LOCK : HISTORY_UNLOCK);
    }
}

void store_sim_clients_step(struct sim_world *world)
{
    if (world->epoch_ops > 240) { /* the search wants short histories */
        world->epoch_ops = 0;
        world->epoch++;
        for (size_t i = 0; i < SIM_SERVERS; i++) {
            memset(world->servers[i].given_index, 0,
                   sizeof world->servers[i].given_index);
        }
    }
    for (size_t i = 0; i < SIM_CLIENTS; i++) {
        struct sim_client *c = &world->clients[i];
        if (c->next_ms > world->now_ms) {
            continue;
        }
        if (!c->is_busy) {
            if (world->is_calm) {
                continue;
            }
            choose(c);
        }
        ask(c);
    }
}
