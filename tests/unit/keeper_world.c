/* keeper_world.c - the keeper of db1, what it is told every few milliseconds, all it asks for. */
#include "tests/unit/keeper_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/text.h"

struct keeper_options keeper_world_options(void)
{
    return (struct keeper_options){.cluster = "main",
                                   .node = "db1",
                                   .address = "192.0.2.1",
                                   .port = 5432,
                                   .ttl_ms = 3000,
                                   .renew_ms = 350,
                                   .mode = KEEPER_SYNC,
                                   .priority = 100,
                                   .max_lag_bytes = 1 << 24,
                                   .auto_rebuild = true,
                                   .restart_budget_ms = 10000,
                                   .restart_attempts = 1,
                                   .probe_fail_ms = 3000};
}

void keeper_world_answer(struct keeper_world *w, uint64_t id, enum keeper_end end)
{
    keeper_see_store(w->k, w->now_ms,
                     &(struct keeper_answer){
                         .id = id, .end = end, .session = "s1", .index = w->index});
}

static void answer_renewal(struct keeper_world *w, const struct keeper_action *action)
{
    struct keeper_answer answer = {.id = action->id, .end = KEEPER_DONE};

    if (action->ttl_ms != 0 && action->index != w->session_index) {
        answer.end = KEEPER_REFUSED;
    } else if (action->ttl_ms != 0) {
        w->session_ttl_ms = action->ttl_ms;
        w->session_index++;
    }
    answer.ttl_ms = w->session_ttl_ms;
    answer.index = w->session_index;
    if (action->ttl_ms == 0 || !w->is_retiming_silent) {
        keeper_see_store(w->k, w->now_ms, &answer);
    }
}

size_t keeper_world_count(const struct keeper_world *w, enum keeper_action_kind kind)
{
    size_t count = 0;

    for (size_t i = 0; i < w->asked_count; i++) {
        count += w->asked[i].kind == kind;
    }
    return count;
}

static void note(struct keeper_world *w, const struct keeper_action *action)
{
    assert_true(w->asked_count < KEEPER_WORLD_ASKED_MAX);
    size_t at = w->asked_count++;
    w->asked[at].kind = action->kind;
    w->asked[at].id = action->id;
    w->asked[at].deadline_ms = action->deadline_ms;
    w->asked[at].sent_ms = w->now_ms;
    w->asked[at].key[0] = '\0';
    if (action->kind == KEEPER_TXN) {
        (void)rc_text_put(w->asked[at].key, KEEPER_KEY_MAX, action->ops[0].key);
    }
    (void)rc_text_put(w->asked[at].text, sizeof w->asked[at].text,
                      action->text != NULL ? action->text : "");
}

void keeper_world_take(struct keeper_world *w)
{
    struct keeper_action action;

    while (keeper_next(w->k, &action)) {
        note(w, &action);
        bool is_member = action.kind == KEEPER_TXN &&
                         rc_text_starts_with(action.ops[0].key, "member/");
        if (action.kind == KEEPER_ARM) {
            w->warden.armed_term = action.term;
            w->warden.deadline_ms = action.deadline_ms;
        }
        if (w->answers != NULL && w->answers(w, &action)) {
            continue;
        }
        if (!w->is_store_silent && action.kind == KEEPER_RENEW) {
            answer_renewal(w, &action);
        } else if (!w->is_store_silent &&
                   (action.kind == KEEPER_OPEN_SESSION || is_member)) {
            w->index += is_member;
            keeper_world_answer(w, action.id, KEEPER_DONE);
        }
    }
}

void keeper_world_pass(struct keeper_world *w, uint64_t ms)
{
    for (uint64_t end = w->now_ms + ms; w->now_ms < end;) {
        w->now_ms += 10;
        if (w->now_ms % 100 == 0 && !w->is_warden_silent) {
            w->warden.said_ms = w->now_ms;
            keeper_see_warden(w->k, w->now_ms, &w->warden);
            keeper_world_take(w);
        }
        if (w->now_ms % 100 == 50) {
            w->probe.asked_ms = w->now_ms;
            keeper_see_probe(w->k, w->now_ms, &w->probe);
            keeper_world_take(w);
        }
        if (w->now_ms % 200 == 30 && !w->is_store_silent) {
            w->view.asked_ms = w->now_ms;
            w->view.index = ++w->index;
            keeper_see_view(w->k, w->now_ms, &w->view);
            keeper_world_take(w);
        }
        keeper_tick(w->k, w->now_ms, w->now_ms);
        keeper_world_take(w);
    }
}

void keeper_world_put(struct keeper_world *w, const char *key, const char *value,
                      const char *session)
{
    assert_int_equal(
        keeper_view_add(&w->view, &(struct keeper_pair){.key = key,
                                                        .value = value,
                                                        .size = strlen(value),
                                                        .modify_index = ++w->index,
                                                        .session = session,
                                                        .term = 7}),
        RC_OK);
}

enum keeper_state keeper_world_state(const struct keeper_world *w)
{
    struct keeper_status status;

    keeper_status(w->k, &status);
    return status.state;
}

void keeper_world_hold(struct keeper_world *w)
{
    keeper_world_put(w, "lease", "{\"node\":\"db1\",\"writable\":true}", "s1");
    keeper_world_put(
        w, "state",
        "{\"sysid\":\"1\",\"term\":7,\"node\":\"db1\",\"claimed\":2,\"tli\":2}", NULL);
    keeper_world_put(w, "sync", "{\"term\":7,\"holder\":\"db1\",\"quorum\":-1}", NULL);
    w->warden = (struct keeper_warden){.process = KEEPER_RUNNING,
                                       .run = 1,
                                       .armed_term = 7,
                                       .deadline_ms = w->now_ms + 2000};
    w->probe = (struct keeper_probe){
        .reach = KEEPER_ANSWERED, .tli = 2, .lsn = 500, .sysid = "1"};
}

void keeper_world_hold_with_heir(struct keeper_world *w, const char *heir)
{
    keeper_world_hold(w);
    keeper_world_put(
        w, "sync",
        "{\"term\":7,\"holder\":\"db1\",\"quorum\":1,\"k\":1,\"members\":[\"db2\"],"
        "\"names\":[\"db2\"]}",
        NULL);
    keeper_world_put(w, "member/db2", heir, "s2");
    w->probe.senders[0] = (struct keeper_sender){
        .name = "db2", .is_streaming = true, .is_counted = true, .flush_lsn = 500};
    w->probe.sender_count = 1;
}

void keeper_world_stand_by(struct keeper_world *w)
{
    keeper_world_put(w, "lease",
                     "{\"node\":\"db2\",\"address\":\"192.0.2.2\",\"writable\":true}",
                     "s9");
    keeper_world_put(
        w, "state",
        "{\"sysid\":\"1\",\"term\":7,\"node\":\"db2\",\"claimed\":2,\"tli\":2}", NULL);
    keeper_world_put(
        w, "sync",
        "{\"term\":7,\"holder\":\"db2\",\"quorum\":1,\"k\":1,\"members\":[\"db1\"]}",
        NULL);
    keeper_world_put(w, "member/db1", "{}", "s1");
    w->warden = (struct keeper_warden){.process = KEEPER_RUNNING, .run = 1};
    w->probe = (struct keeper_probe){.reach = KEEPER_ANSWERED,
                                     .in_recovery = true,
                                     .tli = 2,
                                     .lsn = 500,
                                     .replay_lsn = 500,
                                     .sysid = "1",
                                     .names = KEEPER_BLOCKED_NAMES};
}

void keeper_world_do_last(struct keeper_world *w, enum keeper_action_kind kind)
{
    for (size_t i = w->asked_count; i > 0; i--) {
        if (w->asked[i - 1].kind == kind) {
            keeper_see_done(w->k, w->now_ms,
                            &(struct keeper_done){.id = w->asked[i - 1].id,
                                                  .end = KEEPER_DONE,
                                                  .text = ""});
            return;
        }
    }
}

void keeper_world_free_lease(struct keeper_world *w)
{
    w->view.lease_at = (struct keeper_place){.exists = false};
    w->view.lease = (struct keeper_lease_record){.port = 0};
}

bool keeper_world_has_said(const struct keeper_world *w, const char *words)
{
    for (size_t i = 0; i < w->asked_count; i++) {
        if (w->asked[i].kind == KEEPER_SAY && strstr(w->asked[i].text, words) != NULL) {
            return true;
        }
    }
    return false;
}

bool keeper_world_has_asked(const struct keeper_world *w, const char *key)
{
    for (size_t i = 0; i < w->asked_count; i++) {
        if (w->asked[i].kind == KEEPER_TXN && strcmp(w->asked[i].key, key) == 0) {
            return true;
        }
    }
    return false;
}

void keeper_world_create(struct keeper_world *w, const struct keeper_options *options)
{
    const char *why;

    keeper_destroy(w->k);
    assert_int_equal(keeper_create(options, w->now_ms, &w->k, &why), RC_OK);
}

void keeper_world_init(struct keeper_world *w)
{
    struct keeper_options options = keeper_world_options();

    options.session = "s1";
    w->now_ms = KEEPER_WORLD_T0;
    w->index = 100;
    keeper_view_init(&w->view, options.node);
    keeper_world_create(w, &options);
}

int keeper_world_set_up(void **state)
{
    struct keeper_world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    keeper_world_init(w);
    *state = w;
    return 0;
}

int keeper_world_tear_down(void **state)
{
    struct keeper_world *w = *state;

    keeper_view_fini(&w->view);
    keeper_destroy(w->k);
    free(w);
    return 0;
}
