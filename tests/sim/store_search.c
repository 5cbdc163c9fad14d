/* store_search.c - is there an order at all? Wing and Gong's search with Lowe's memory.
 *
 * Takes operations one after the other, each of those that were asked before the first open
 * answer, goes back when it is stuck, and never looks twice at the same set taken with the same
 * state. Knows values and sessions, no indexes. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/store_history.h"

enum { OPS_MAX = 448, WORDS = OPS_MAX / 64, STEPS_MAX = 300000, MEMORY_BITS = 17 };

/* Values and sessions by number: 0 is none. */
struct state {
    uint16_t value;
    uint16_t session;
};

enum act { ACT_PUT, ACT_DELETE, ACT_GET, ACT_LOCK, ACT_UNLOCK, ACT_SETTLE, ACT_IF_VALUE };

struct item {
    uint64_t call;
    uint64_t back; /* HISTORY_NEVER: it need not happen */
    enum act act;
    bool deletes; /* ACT_IF_VALUE, ACT_SETTLE */
    bool is_false;
    uint16_t value;
    uint16_t session;
    uint16_t wanted; /* the value before */
};

struct memory {
    uint64_t taken[WORDS];
    struct state state;
    bool is_used;
};

struct search {
    const struct history_op *ops;
    size_t op_count;
    struct item items[OPS_MAX];
    size_t count;
    uint64_t taken[WORDS];
    struct {
        size_t item;
        struct state before;
    } stack[OPS_MAX];
    size_t depth;
    struct state state;
    struct memory *memory;
};

/* ---- numbers for texts: the operation that brought them, plus one */

static uint16_t value_number(const struct search *s, const char *value)
{
    for (size_t i = 0; value[0] != '\0' && i < s->op_count; i++) {
        if (strcmp(s->ops[i].value, value) == 0) {
            return (uint16_t)(i + 1);
        }
    }
    return value[0] == '\0' ? 0 : UINT16_MAX;
}

static uint16_t session_number(const struct search *s, const char *session)
{
    for (size_t i = 0; session[0] != '\0' && i < s->op_count; i++) {
        if (strcmp(s->ops[i].session, session) == 0) {
            return (uint16_t)(i + 1);
        }
    }
    return session[0] == '\0' ? 0 : UINT16_MAX;
}

/* What a reader saw at that index, or who wrote it; UINT16_MAX: nobody knows. */
static uint16_t value_at(const struct search *s, uint64_t index)
{
    for (size_t i = 0; index != 0 && i < s->op_count; i++) {
        const struct history_op *op = &s->ops[i];
        if (op->index == index && op->result == HISTORY_TRUE) {
            return value_number(s, op->seen[0] != '\0' ? op->seen : op->value);
        }
    }
    return index == 0 ? 0 : UINT16_MAX;
}

/* ---- operations as items */

static void add_item(struct search *s, const struct item *item)
{
    if (s->count < OPS_MAX) {
        s->items[s->count] = *item;
    }
    s->count++;
}

static void add_op(struct search *s, const struct history_op *op)
{
    static const enum act acts[HISTORY_VERB_COUNT] = {
        [HISTORY_PUT] = ACT_PUT,       [HISTORY_CAS] = ACT_IF_VALUE,
        [HISTORY_DELETE] = ACT_DELETE, [HISTORY_DELETE_CAS] = ACT_IF_VALUE,
        [HISTORY_GET] = ACT_GET,       [HISTORY_LOCK] = ACT_LOCK,
        [HISTORY_UNLOCK] = ACT_UNLOCK};
    struct item item = {.call = op->call,
                        .back = op->result == HISTORY_UNKNOWN ? HISTORY_NEVER : op->back,
                        .act = acts[op->verb],
                        .is_false = op->result == HISTORY_FALSE,
                        .deletes = op->verb == HISTORY_DELETE_CAS,
                        .value = value_number(s, op->value),
                        .session = session_number(s, op->session)};

    bool says_little =
        op->verb == HISTORY_STALE || op->result == HISTORY_DELAY ||
        (item.is_false && (item.act == ACT_IF_VALUE || item.act == ACT_PUT)) ||
        (op->verb == HISTORY_GET && op->result != HISTORY_TRUE);
    if (says_little) {
        return;
    }
    if (op->verb == HISTORY_GET) {
        item.value = value_number(s, op->seen);
        item.session = session_number(s, op->seen_session);
    }
    if (item.act == ACT_IF_VALUE) {
        item.wanted = value_at(s, op->arg);
    }
    add_item(s, &item);
    if (op->verb == HISTORY_LOCK && !item.is_false) { /* its session may end */
        item.act = ACT_SETTLE;
        item.back = HISTORY_NEVER;
        item.deletes = op->arg > 0;
        add_item(s, &item);
    }
    if (op->verb == HISTORY_PUT && op->arg > 0) { /* it may go by itself */
        item.act = ACT_IF_VALUE;
        item.back = HISTORY_NEVER;
        item.deletes = true;
        item.wanted = item.value;
        add_item(s, &item);
    }
}

/* ---- the rules */

static bool act_lock(const struct item *item, struct state *state)
{
    bool is_others = state->session != 0 && state->session != item->session;

    if (item->is_false || is_others) {
        return item->is_false && is_others;
    }
    *state = (struct state){item->value, item->session};
    return true;
}

static bool act_if_value(const struct item *item, struct state *state)
{
    if (item->wanted != UINT16_MAX && state->value != item->wanted) {
        return item->deletes && state->value == 0; /* any cas deletes what is not there */
    }
    *state = item->deletes ? (struct state){0, 0}
                           : (struct state){item->value, state->session};
    return true;
}

static bool act(const struct item *item, struct state *state)
{
    bool is_ours = state->session != 0 && state->session == item->session;

    switch (item->act) {
    case ACT_PUT:
        state->value = item->value;
        return true;
    case ACT_DELETE:
        *state = (struct state){0, 0};
        return true;
    case ACT_GET:
        return state->value == item->value && state->session == item->session;
    case ACT_LOCK:
        return act_lock(item, state);
    case ACT_UNLOCK:
        if (item->is_false || !is_ours) {
            return item->is_false && !is_ours;
        }
        *state = (struct state){item->value, 0};
        return true;
    case ACT_SETTLE:
        if (is_ours) {
            *state = (struct state){item->deletes ? 0 : state->value, 0};
        }
        return is_ours;
    case ACT_IF_VALUE:
        return act_if_value(item, state);
    }
    return false;
}

/* ---- the search */

static bool is_taken(const struct search *s, size_t item)
{
    return (s->taken[item / 64] >> (item % 64) & 1) != 0;
}

static uint64_t hash(const struct search *s, struct state state)
{
    uint64_t sum = (uint64_t)state.value << 16 | state.session;

    for (size_t i = 0; i < WORDS; i++) {
        sum = (sum ^ s->taken[i]) * UINT64_C(0x9e3779b97f4a7c15);
        sum ^= sum >> 29;
    }
    return sum;
}

/* True if it is new; a full memory forgets, which only costs time. */
static bool remember(struct search *s, struct state state)
{
    struct memory *at = &s->memory[hash(s, state) >> (64 - MEMORY_BITS)];

    if (at->is_used && memcmp(at->taken, s->taken, sizeof s->taken) == 0 &&
        at->state.value == state.value && at->state.session == state.session) {
        return false;
    }
    at->is_used = true;
    at->state = state;
    memcpy(at->taken, s->taken, sizeof s->taken);
    return true;
}

/* The first open answer: what was asked after it cannot come next. */
static uint64_t horizon(const struct search *s)
{
    uint64_t first = HISTORY_NEVER;

    for (size_t i = 0; i < s->count; i++) {
        if (!is_taken(s, i) && s->items[i].back < first) {
            first = s->items[i].back;
        }
    }
    return first;
}

static bool take_next(struct search *s, size_t from, uint64_t until)
{
    for (size_t i = from; i < s->count; i++) {
        struct state state = s->state;
        if (is_taken(s, i) || s->items[i].call > until || !act(&s->items[i], &state)) {
            continue;
        }
        s->taken[i / 64] |= UINT64_C(1) << (i % 64);
        if (remember(s, state)) {
            s->stack[s->depth].item = i;
            s->stack[s->depth++].before = s->state;
            s->state = state;
            return true;
        }
        s->taken[i / 64] &= ~(UINT64_C(1) << (i % 64));
    }
    return false;
}

enum found { FOUND, NOT_FOUND, TOO_HARD };

static enum found find_order(struct search *s)
{
    size_t from = 0;

    for (size_t steps = 0; steps < STEPS_MAX; steps++) {
        uint64_t until = horizon(s);
        if (until == HISTORY_NEVER) {
            return FOUND;
        }
        if (take_next(s, from, until)) {
            from = 0;
            continue;
        }
        if (s->depth == 0) {
            return NOT_FOUND;
        }
        s->depth--;
        from = s->stack[s->depth].item;
        s->taken[from / 64] &= ~(UINT64_C(1) << (from % 64));
        s->state = s->stack[s->depth].before;
        from++;
    }
    return TOO_HARD;
}

static int by_call(const void *a, const void *b)
{
    const struct item *one = a;
    const struct item *other = b;
    bool is_optional = one->back == HISTORY_NEVER;

    /* What need not happen is tried last. */
    if (is_optional != (other->back == HISTORY_NEVER)) {
        return is_optional ? 1 : -1;
    }
    return one->call < other->call ? -1 : one->call > other->call;
}

bool search_key(const struct history_op *ops, size_t count, struct verdict *verdict)
{
    struct search *s = calloc(1, sizeof *s);

    if (s == NULL ||
        (s->memory = calloc((size_t)1 << MEMORY_BITS, sizeof *s->memory)) == NULL) {
        abort();
    }
    s->ops = ops;
    s->op_count = count;
    for (size_t i = 0; i < count; i++) {
        add_op(s, &ops[i]);
    }
    enum found found = TOO_HARD;
    verdict->searched++;
    if (s->count <= OPS_MAX && s->count > 0) {
        qsort(s->items, s->count, sizeof *s->items, by_call);
        found = find_order(s);
    }
    verdict->unsearched += found == TOO_HARD && s->count > 0;
    free(s->memory);
    free(s);
    if (found == NOT_FOUND) {
        verdict_fail(verdict, ops, "no order of this key's operations explains them");
    }
    return found != NOT_FOUND;
}
