/* keeper_sim_store.c - the store's rules for keys, locks and sessions, on time to the millisecond. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/sim/keeper_sim_state.h"

enum { VIEW_WAIT_MS = 1000, VIEW_LOST_MS = 1500 };

static struct ksim_key *find(struct ksim_store *s, const char *key)
{
    for (size_t i = 0; i < s->key_count; i++) {
        if (strcmp(s->keys[i].key, key) == 0) {
            return &s->keys[i];
        }
    }
    return NULL;
}

const struct ksim_key *ksim_store_get(const struct ksim_world *w, const char *key)
{
    for (size_t i = 0; i < w->store.key_count; i++) {
        if (strcmp(w->store.keys[i].key, key) == 0) {
            return &w->store.keys[i];
        }
    }
    return NULL;
}

static void erase(struct ksim_store *s, struct ksim_key *key)
{
    rc_buffer_fini(&key->value);
    s->erased_index = s->index + 1; /* at the latest */
    *key = s->keys[--s->key_count];
    s->keys[s->key_count] = (struct ksim_key){.session = -1};
}

static struct ksim_key *make(struct ksim_store *s, const char *key)
{
    struct ksim_key *made = find(s, key);

    if (made == NULL) {
        assert(s->key_count < KSIM_KEYS_MAX);
        made = &s->keys[s->key_count++];
        *made = (struct ksim_key){.session = -1};
        (void)rc_text_put(made->key, sizeof made->key, key);
    }
    return made;
}

static void set_value(struct ksim_key *key, const char *value, uint64_t index)
{
    rc_buffer_clear(&key->value);
    rc_buffer_text(&key->value, value);
    key->index = index;
}

void ksim_store_put(struct ksim_world *w, const char *key, const char *value)
{
    set_value(make(&w->store, key), value, ++w->store.index);
}

void ksim_store_fini(struct ksim_world *w)
{
    while (w->store.key_count > 0) {
        erase(&w->store, &w->store.keys[0]);
    }
    keeper_view_fini(&w->view);
}

/* ---- sessions */

static int session_of(const struct ksim_store *s, const char *id)
{
    int number = id[0] == 's' ? (int)strtol(id + 1, NULL, 10) : -1;

    return number >= 0 && number < (int)s->session_count && s->sessions[number].lives
               ? number
               : -1;
}

static void end_session(struct ksim_store *s, int number)
{
    s->sessions[number].lives = false;
    s->index++;
    for (size_t i = s->key_count; i > 0; i--) {
        if (s->keys[i - 1].session == number) {
            erase(s, &s->keys[i - 1]);
        }
    }
}

/* At the first moment it is allowed to, unless it was down itself. */
static void expire(struct ksim_world *w)
{
    struct ksim_store *s = &w->store;

    for (size_t i = 0; i < s->session_count; i++) {
        if (s->sessions[i].lives && w->now_ms >= s->sessions[i].ends_ms) {
            end_session(s, (int)i);
        }
    }
}

static bool is_down(const struct ksim_world *w)
{
    return w->now_ms < w->store.down_until;
}

void ksim_store_step(struct ksim_world *w)
{
    struct ksim_store *s = &w->store;

    if (!is_down(w)) {
        expire(w);
        return;
    }
    for (size_t i = 0; i < s->session_count; i++) {
        /* Its restart counts anew: later, never earlier. */
        s->sessions[i].ends_ms = w->now_ms + s->sessions[i].ttl_ms;
    }
}

/* ---- requests */

static uint64_t request_ms(struct ksim_world *w, const struct keeper_action *action)
{
    if (w->now_ms < w->store.straggle_until && action->kind == KEEPER_TXN &&
        ksim_below(w, 3) == 0) {
        ksim_aim(w, &w->nodes[ksim_below(w, (uint64_t)w->node_count)], 2);
        return ksim_between(w, 1500, 8000);
    }
    return w->now_ms < w->store.slow_until ? ksim_between(w, 200, 2500)
                                           : ksim_between(w, 1, 8);
}

static uint64_t reply_ms(struct ksim_world *w)
{
    if (w->now_ms < w->store.late_until) {
        return ksim_between(w, 100, 2800);
    }
    return w->now_ms < w->store.slow_until ? ksim_between(w, 10, 500)
                                           : ksim_between(w, 1, 8);
}

void ksim_store_ask(struct ksim_node *n, const struct keeper_action *action)
{
    struct ksim_world *w = n->world;
    struct ksim_message *m = ksim_post(w, KSIM_REQUEST, n->number, request_ms(w, action));

    if (m == NULL) {
        return;
    }
    m->keeper = n->keeper;
    m->ask = action->kind;
    m->answer.id = action->id;
    m->ttl_ms = action->ttl_ms;
    m->answer.index = action->index;
    m->op_count = action->op_count;
    (void)rc_text_put(m->session, sizeof m->session,
                      action->session != NULL ? action->session : "");
    for (size_t i = 0; i < action->op_count; i++) {
        m->ops[i] = action->ops[i];
        m->values[i] = strdup(action->ops[i].value);
        m->ops[i].value = m->values[i];
        m->ops[i].session = NULL; /* the request's own */
    }
}

static bool holds(const struct ksim_store *s, const struct keeper_op *op,
                  const struct ksim_key *key, int session)
{
    uint64_t index = key != NULL ? key->index : 0;

    (void)s;
    switch (op->verb) {
    case KEEPER_OP_LOCK:
        return key == NULL || key->session < 0 || key->session == session;
    case KEEPER_OP_CAS:
        return index == op->index;
    case KEEPER_OP_CHECK_INDEX:
        return key != NULL && index == op->index;
    case KEEPER_OP_DELETE:
        return true;
    case KEEPER_OP_DELETE_CAS:
        return key == NULL || index == op->index;
    case KEEPER_OP_CHECK_SESSION:
        return key != NULL && key->session == session && session >= 0;
    case KEEPER_OP_CHECK_NONE:
        return key == NULL;
    }
    return false;
}

static void do_op(struct ksim_store *s, const struct keeper_op *op, int session,
                  struct keeper_answer *answer)
{
    struct ksim_key *key = find(s, op->key);

    if (op->verb == KEEPER_OP_DELETE || op->verb == KEEPER_OP_DELETE_CAS) {
        if (key != NULL) {
            erase(s, key);
        }
        return;
    }
    if (op->verb != KEEPER_OP_LOCK && op->verb != KEEPER_OP_CAS) {
        return;
    }
    key = make(s, op->key);
    if (op->verb == KEEPER_OP_LOCK && key->session != session) {
        key->session = session;
        key->term = s->index;
    }
    if (op->verb == KEEPER_OP_LOCK && strcmp(op->key, "lease") == 0) {
        answer->term = key->term;
    }
    set_value(key, op->value, s->index);
}

/* More than a position or a member's word of itself. */
static bool is_turn(const struct ksim_message *m)
{
    for (size_t i = 0; i < m->op_count; i++) {
        bool is_check = m->ops[i].value[0] == '\0' && m->ops[i].verb != KEEPER_OP_DELETE;
        if (!is_check &&
            (strcmp(m->ops[i].key, "sync") == 0 || strcmp(m->ops[i].key, "lease") == 0)) {
            return true;
        }
    }
    return false;
}

/* What the answer's pairs tell: those that were written or checked, not those deleted. */
static uint64_t newest(struct ksim_store *s, const struct ksim_message *m)
{
    uint64_t index = 0;

    for (size_t i = 0; i < m->op_count; i++) {
        const struct ksim_key *key = find(s, m->ops[i].key);
        index = key != NULL && key->index > index ? key->index : index;
    }
    return index;
}

static void do_txn(struct ksim_world *w, struct ksim_message *m)
{
    struct ksim_store *s = &w->store;
    int session = session_of(s, m->session);

    for (size_t i = 0; i < m->op_count; i++) {
        if (m->ops[i].verb == KEEPER_OP_LOCK && session < 0) {
            m->answer.end = KEEPER_GONE;
            return;
        }
        if (!holds(s, &m->ops[i], find(s, m->ops[i].key), session)) {
            m->answer.end = KEEPER_REFUSED;
            return;
        }
    }
    s->index++;
    for (size_t i = 0; i < m->op_count; i++) {
        if (m->ops[i].value[0] != '\0') {
            ksim_note(w, &w->nodes[m->node], "  %s %s", m->ops[i].key, m->ops[i].value);
        }
        do_op(s, &m->ops[i], session, &m->answer);
    }
    m->answer.end = KEEPER_DONE;
    m->answer.index = newest(s, m);
    if (is_turn(m)) {
        ksim_aim(w, &w->nodes[m->node], 3);
    }
}

static void do_session(struct ksim_world *w, struct ksim_message *m)
{
    struct ksim_store *s = &w->store;

    if (m->ask == KEEPER_OPEN_SESSION) {
        assert(s->session_count < KSIM_SESSIONS_MAX);
        (void)snprintf(m->session, sizeof m->session, "s%zu", s->session_count);
        s->sessions[s->session_count++] =
            (struct ksim_session){.lives = true,
                                  .ttl_ms = m->ttl_ms,
                                  .ends_ms = w->now_ms + m->ttl_ms,
                                  .index = ++s->index};
        m->answer.end = KEEPER_DONE;
        return;
    }
    int number = session_of(s, m->session);
    m->answer.end = number >= 0 ? KEEPER_DONE : KEEPER_GONE;
    if (number < 0) {
        return;
    }
    struct ksim_session *session = &s->sessions[number];
    if (m->ttl_ms != 0 && m->answer.index != session->index) {
        m->answer.end = KEEPER_REFUSED;
        return;
    }
    if (m->ttl_ms != 0) {
        session->ttl_ms = m->ttl_ms;
        session->index = ++s->index;
    }
    session->ends_ms = w->now_ms + session->ttl_ms;
    m->answer.ttl_ms = session->ttl_ms;
    m->answer.index = session->index;
}

void ksim_store_serve(struct ksim_world *w, struct ksim_message *m)
{
    bool is_lost = ksim_is_cut(w, m->node, KSIM_STORE) || is_down(w);

    if (is_lost) {
        return; /* the keeper gives up by itself */
    }
    if (m->ask == KEEPER_TXN) {
        do_txn(w, m);
    } else {
        do_session(w, m);
    }
    struct ksim_message *reply = ksim_post(w, KSIM_REPLY, m->node, reply_ms(w));
    if (reply != NULL) {
        reply->keeper = m->keeper;
        reply->ask = m->ask;
        reply->answer = m->answer;
        memcpy(reply->session, m->session, sizeof reply->session);
    }
}

/* ---- views: one blocking read after the other */

/* All that nodes read alike; what has not changed is not read again, as most of the simulator's
 * time goes here. */
static const struct keeper_view *read_all(struct ksim_world *w)
{
    struct ksim_store *s = &w->store;
    char session[KEEPER_SESSION_MAX];

    if (w->view.index == s->index) {
        return &w->view;
    }
    uint64_t since = w->view.index;
    if (s->erased_index >= since) {
        keeper_view_clear(&w->view);
        since = 0;
    }
    w->view.index = s->index;
    for (size_t i = 0; i < s->key_count; i++) {
        const struct ksim_key *key = &s->keys[i];
        if (key->index <= since) {
            continue;
        }
        session[0] = '\0';
        if (key->session >= 0) {
            (void)snprintf(session, sizeof session, "s%d", key->session);
        }
        (void)keeper_view_add(
            &w->view, &(struct keeper_pair){.key = key->key,
                                            .value = rc_buffer_string(&key->value),
                                            .size = key->value.size,
                                            .modify_index = key->index,
                                            .session = session,
                                            .term = key->term});
    }
    return &w->view;
}

static void send_view(struct ksim_node *n)
{
    struct ksim_world *w = n->world;
    struct ksim_message *m =
        ksim_post(w, KSIM_VIEW_REPLY, n->number,
                  w->now_ms < w->store.slow_until ? ksim_between(w, 10, 800)
                                                  : ksim_between(w, 1, 8));
    char order[KEEPER_KEY_MAX];

    if (m == NULL) {
        return;
    }
    m->keeper = n->keeper;
    m->view = malloc(sizeof *m->view);
    assert(m->view != NULL);
    keeper_view_init(m->view, n->name);
    (void)keeper_view_copy(m->view, read_all(w));
    (void)rc_text_put(m->view->me, sizeof m->view->me, n->name);
    m->view->asked_ms = n->view_asked_ms;
    (void)snprintf(order, sizeof order, "order/%s", n->name);
    const struct ksim_key *key = ksim_store_get(w, order);
    if (key != NULL) {
        (void)keeper_view_add(
            m->view, &(struct keeper_pair){.key = order,
                                           .value = rc_buffer_string(&key->value),
                                           .size = key->value.size,
                                           .modify_index = key->index});
    }
}

void ksim_store_views(struct ksim_node *n)
{
    struct ksim_world *w = n->world;
    bool is_cut = ksim_is_cut(w, n->number, KSIM_STORE) || is_down(w);

    if (!ksim_keeper_hears(n)) {
        return;
    }
    if (!n->is_asking) {
        n->is_asking = true;
        n->view_asked_ms = ksim_clock(n);
        n->view_due_ms = w->now_ms + VIEW_WAIT_MS;
        return;
    }
    if (w->now_ms > n->view_due_ms + VIEW_LOST_MS) {
        n->is_asking = false;
        return;
    }
    if (is_cut || (w->store.index == n->view_index && w->now_ms < n->view_due_ms)) {
        return;
    }
    n->view_index = w->store.index;
    n->view_due_ms = UINT64_MAX / 2; /* answered; asked again when it has come */
    send_view(n);
    n->is_asking = false;
}
