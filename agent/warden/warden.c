#include "agent/warden/warden.h"

#include <assert.h>
#include <string.h>

#include "base/text.h"

void warden_init(struct warden *w)
{
    memset(w, 0, sizeof *w);
    w->exit_status = -1;
}

/* ---- The edges: what may follow what. */

#define TO(state) (1U << (state))

static const struct {
    const char *name;
    unsigned next;
} states[WARDEN_STATE_COUNT] = {
    [WARDEN_IDLE] = {"idle", TO(WARDEN_RUNNING)},
    [WARDEN_RUNNING] = {"running", TO(WARDEN_STOPPING) | TO(WARDEN_KILLING)},
    [WARDEN_STOPPING] = {"stopping", TO(WARDEN_KILLING)},
    [WARDEN_KILLING] = {"killing", TO(WARDEN_IDLE)},
};

static void become(struct warden *w, enum warden_state next, uint64_t now_ms)
{
    assert((states[w->state].next & TO(next)) != 0);
    w->state = next;
    w->since_ms = now_ms;
}

static bool is_up(const struct warden *w)
{
    return w->state == WARDEN_RUNNING || w->state == WARDEN_STOPPING;
}

static unsigned begin_kill(struct warden *w, enum warden_cause cause, uint64_t now_ms)
{
    assert(is_up(w));
    become(w, WARDEN_KILLING, now_ms);
    w->cause = cause;
    return WARDEN_WANT_KILL;
}

/* ---- Orders. */

static unsigned refuse(struct warden *w, enum warden_answer why)
{
    w->last_answer = why;
    return WARDEN_WANT_NOTHING;
}

static unsigned on_start(struct warden *w, const struct warden_order *order,
                         uint64_t now_ms)
{
    (void)now_ms;
    if (w->state != WARDEN_IDLE) {
        return refuse(w, WARDEN_RUNS_ALREADY);
    }
    if (order->argument_count == 0 || order->data_dir[0] == '\0') {
        return refuse(w, WARDEN_NO_SENSE);
    }
    /* What starts is a standby: the deadline was of the one before. */
    w->deadline_ms = 0;
    w->is_adopted = false;
    w->problem[0] = '\0';
    return WARDEN_WANT_START;
}

/* Unlike what starts here, that one may be writable already: a deadline stays. */
static unsigned on_adopt(struct warden *w, const struct warden_order *order,
                         uint64_t now_ms)
{
    (void)now_ms;
    if (w->state != WARDEN_IDLE) {
        return refuse(w, WARDEN_RUNS_ALREADY);
    }
    if (order->pid <= 1 || order->data_dir[0] == '\0') {
        return refuse(w, WARDEN_NO_SENSE);
    }
    w->is_adopted = true;
    w->problem[0] = '\0';
    return WARDEN_WANT_ADOPT;
}

static unsigned on_stop(struct warden *w, const struct warden_order *order,
                        uint64_t now_ms)
{
    if (!is_up(w)) {
        return refuse(w, WARDEN_RUNS_NOT);
    }
    if (w->state == WARDEN_RUNNING) {
        become(w, WARDEN_STOPPING, now_ms);
        w->cause = WARDEN_CAUSE_STOPPED;
    }
    return order->kind == WARDEN_STOP_FAST ? WARDEN_WANT_SIGINT : WARDEN_WANT_SIGQUIT;
}

static unsigned on_kill(struct warden *w, const struct warden_order *order,
                        uint64_t now_ms)
{
    (void)order;
    return is_up(w) ? begin_kill(w, WARDEN_CAUSE_KILLED, now_ms) : WARDEN_WANT_NOTHING;
}

static unsigned on_deadline(struct warden *w, const struct warden_order *order,
                            uint64_t now_ms)
{
    if (order->term < w->term) {
        return refuse(w, WARDEN_OLD_TERM);
    }
    if (order->deadline_ms == 0) {
        return refuse(w, WARDEN_NO_SENSE);
    }
    if (order->deadline_ms <= now_ms) {
        return refuse(w, WARDEN_DEADLINE_GONE);
    }
    /* Answers of two renewals may change places on their way: the later instant counts. */
    if (order->term > w->term || order->deadline_ms > w->deadline_ms) {
        w->term = order->term;
        w->deadline_ms = order->deadline_ms;
    }
    return WARDEN_WANT_NOTHING;
}

static unsigned on_no_deadline(struct warden *w, const struct warden_order *order,
                               uint64_t now_ms)
{
    (void)now_ms;
    if (order->term < w->term) {
        return refuse(w, WARDEN_OLD_TERM);
    }
    w->term = order->term;
    w->deadline_ms = 0;
    return WARDEN_WANT_NOTHING;
}

static unsigned on_keep(struct warden *w, const struct warden_order *order,
                        uint64_t now_ms)
{
    (void)now_ms;
    memcpy(w->session, order->session, sizeof w->session);
    w->kept_term = order->term;
    return WARDEN_WANT_NOTHING;
}

static unsigned on_end(struct warden *w, const struct warden_order *order,
                       uint64_t now_ms)
{
    (void)order;
    (void)now_ms;
    return w->state == WARDEN_IDLE ? WARDEN_WANT_END : refuse(w, WARDEN_RUNS_ALREADY);
}

static unsigned (*const handlers[WARDEN_ORDER_COUNT])(struct warden *,
                                                      const struct warden_order *,
                                                      uint64_t) = {
    [WARDEN_START] = on_start,
    [WARDEN_ADOPT] = on_adopt,
    [WARDEN_STOP_FAST] = on_stop,
    [WARDEN_STOP_NOW] = on_stop,
    [WARDEN_KILL] = on_kill,
    [WARDEN_DEADLINE] = on_deadline,
    [WARDEN_NO_DEADLINE] = on_no_deadline,
    [WARDEN_KEEP] = on_keep,
    [WARDEN_END] = on_end,
};

unsigned warden_order(struct warden *w, const struct warden_order *order, uint64_t now_ms)
{
    assert(order->kind < WARDEN_ORDER_COUNT);
    /* What an order arrives behind may be over already. */
    unsigned wants = warden_tick(w, now_ms);
    w->last_number = order->number;
    w->last_answer = WARDEN_DONE;
    return wants | handlers[order->kind](w, order, now_ms);
}

/* ---- What happens. */

unsigned warden_tick(struct warden *w, uint64_t now_ms)
{
    if (w->state == WARDEN_KILLING) {
        return WARDEN_WANT_KILL;
    }
    if (w->deadline_ms == 0 || now_ms < w->deadline_ms || !is_up(w)) {
        return WARDEN_WANT_NOTHING;
    }
    w->kills++;
    return begin_kill(w, WARDEN_CAUSE_DEADLINE, now_ms);
}

void warden_started(struct warden *w, int64_t pid, uint64_t now_ms)
{
    assert(pid > 1);
    become(w, WARDEN_RUNNING, now_ms);
    w->pid = pid;
    w->exit_status = -1;
    w->runs++;
}

void warden_not_started(struct warden *w, const char *problem)
{
    assert(w->state == WARDEN_IDLE);
    w->last_answer = WARDEN_REFUSED;
    w->is_adopted = false;
    (void)rc_text_put(w->problem, sizeof w->problem, problem);
    rc_text_to_line(w->problem, sizeof w->problem);
}

unsigned warden_exited(struct warden *w, int exit_status, uint64_t now_ms)
{
    w->exit_status = exit_status;
    if (w->state == WARDEN_RUNNING) {
        return begin_kill(w, WARDEN_CAUSE_ITSELF, now_ms);
    }
    if (w->state == WARDEN_STOPPING) {
        return begin_kill(w, WARDEN_CAUSE_STOPPED, now_ms);
    }
    return WARDEN_WANT_KILL;
}

void warden_swept(struct warden *w, uint64_t now_ms)
{
    become(w, WARDEN_IDLE, now_ms);
    w->pid = 0;
    w->is_adopted = false;
    w->deadline_ms = 0;
}

uint64_t warden_due_ms(const struct warden *w)
{
    return w->deadline_ms != 0 && is_up(w) ? w->deadline_ms : UINT64_MAX;
}

/* ---- Words. */

static const char *const causes[WARDEN_CAUSE_COUNT] = {
    [WARDEN_CAUSE_NONE] = "none",         [WARDEN_CAUSE_ITSELF] = "by itself",
    [WARDEN_CAUSE_STOPPED] = "stopped",   [WARDEN_CAUSE_KILLED] = "killed",
    [WARDEN_CAUSE_DEADLINE] = "deadline",
};

static const char *const answers[WARDEN_ANSWER_COUNT] = {
    [WARDEN_DONE] = "done",
    [WARDEN_RUNS_ALREADY] = "a server is running already",
    [WARDEN_RUNS_NOT] = "no server is running",
    [WARDEN_OLD_TERM] = "a newer term was told already",
    [WARDEN_DEADLINE_GONE] = "that deadline has passed",
    [WARDEN_NO_SENSE] = "the order makes no sense",
    [WARDEN_REFUSED] = "the system refused",
};

const char *warden_state_name(enum warden_state state)
{
    assert(state < WARDEN_STATE_COUNT);
    return states[state].name;
}

const char *warden_cause_name(enum warden_cause cause)
{
    assert(cause < WARDEN_CAUSE_COUNT);
    return causes[cause];
}

const char *warden_answer_text(enum warden_answer answer)
{
    assert(answer < WARDEN_ANSWER_COUNT);
    return answers[answer];
}
