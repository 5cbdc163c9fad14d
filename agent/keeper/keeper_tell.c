/* keeper_tell.c - what others are told of this node: the member's record, the position of the
 * primary, the entry in the local catalog. */
#include <stdio.h>
#include <string.h>

#include "agent/keeper/keeper_core.h"
#include "base/text.h"

enum {
    TELL_SELDOM_MS = 1000,
    TELL_STATE_MS = 500,
    RECEIVER_SILENT_MS = 20000,
    LAG_STEP_BYTES = 1 << 20
};

/* ---- the member */

static void put_standby(const struct keeper *k, struct keeper_member_record *out)
{
    uint64_t last = k->view.state.tli == out->tli ? k->view.state.lsn : out->lsn;

    out->tli = k->known_tli > out->tli ? k->known_tli : out->tli;
    out->is_streaming = k->probe.is_streaming;
    (void)rc_text_put(out->upstream, sizeof out->upstream,
                      k->probe.has_receiver ? k->followed : "");
    out->lag_bytes = last > out->replay_lsn ? last - out->replay_lsn : 0;
    out->ro_ok = k->state == KEEPER_STANDBY && k->probe.is_streaming &&
                 !k->probe.is_replay_paused &&
                 k->probe.receiver_silence_ms < RECEIVER_SILENT_MS &&
                 out->lag_bytes <= k->options.max_lag_bytes;
}

void keeper_record_make(const struct keeper *k, struct keeper_member_record *out)
{
    bool runs = keeper_knows(k);

    *out = (struct keeper_member_record){.state = k->state,
                                         .port = k->options.port,
                                         .priority = k->options.priority,
                                         .no_failover = k->options.no_failover,
                                         .cannot_write = k->unwritable_times != 0,
                                         .gives_way = keeper_gives_way(k),
                                         .no_sync = k->options.no_sync};
    (void)rc_text_put(out->address, sizeof out->address, k->address);
    (void)rc_text_put(out->problem, sizeof out->problem,
                      k->problem[0] != '\0' ? k->problem : k->warning);
    (void)rc_text_put(out->progress, sizeof out->progress, k->progress);
    if (!runs) {
        (void)rc_text_put(out->sysid, sizeof out->sysid,
                          k->has_looked ? k->look.sysid : "");
        return;
    }
    /* A promise is worth what is told with it: without a position there is none. */
    bool is_frozen = k->is_detached && k->probe.in_recovery &&
                     k->probe.asked_ms >= k->detached_ms && !k->probe.has_receiver;
    out->frozen = is_frozen ? k->frozen : 0;
    out->tli = k->probe.tli;
    out->lsn = k->probe.lsn;
    out->replay_lsn = k->probe.in_recovery ? k->probe.replay_lsn : k->probe.lsn;
    (void)rc_text_put(out->role, sizeof out->role,
                      k->probe.in_recovery ? "standby" : "primary");
    (void)rc_text_put(out->sysid, sizeof out->sysid, k->probe.sysid);
    (void)rc_text_put(out->postmaster_since, sizeof out->postmaster_since,
                      k->probe.started);
    (void)rc_text_put(out->version, sizeof out->version, k->probe.version);
    if (k->probe.in_recovery) {
        put_standby(k, out);
    }
}

/* What others act on; positions alone can wait a second. */
static bool is_urgent(const struct keeper_member_record *a,
                      const struct keeper_member_record *b)
{
    return a->state != b->state || a->frozen != b->frozen || a->tli != b->tli ||
           a->is_streaming != b->is_streaming || a->ro_ok != b->ro_ok ||
           a->cannot_write != b->cannot_write || a->gives_way != b->gives_way ||
           strcmp(a->role, b->role) != 0 || strcmp(a->upstream, b->upstream) != 0 ||
           strcmp(a->problem, b->problem) != 0 ||
           (a->state == KEEPER_ELECTING && a->lsn != b->lsn);
}

void keeper_tell(struct keeper *k)
{
    struct keeper_member_record record;
    char key[KEEPER_KEY_MAX];

    keeper_record_make(k, &record);
    bool is_due = k->told_ms == 0 || is_urgent(&record, &k->told) ||
                  k->now_ms - k->told_ms >= TELL_SELDOM_MS;
    struct keeper_request *r = is_due ? keeper_ask(k, FOR_MEMBER) : NULL;
    if (r == NULL) {
        return;
    }
    r->member = record;
    (void)snprintf(key, sizeof key, "member/%s", k->node);
    keeper_member_write(&record, keeper_ask_op(r, KEEPER_OP_LOCK, key, 0));
    keeper_ask_send(k, r);
}

/* ---- the primary's position */

void keeper_tell_state(struct keeper *k)
{
    if (k->now_ms - k->state_told_ms < TELL_STATE_MS || !keeper_view_is_current(k) ||
        !keeper_knows(k)) {
        return;
    }
    struct keeper_request *r = keeper_ask(k, FOR_STATE);
    if (r == NULL) {
        return;
    }
    struct keeper_state_record state = k->view.state;
    state.tli = k->probe.tli;
    state.lsn = k->probe.lsn;
    k->state_told_ms = k->now_ms;
    keeper_ask_held(k, r);
    keeper_ask_state(k, r, &state);
    keeper_ask_send(k, r);
}

/* ---- the local catalog */

static void wish_for(const struct keeper *k, struct keeper_wish *out)
{
    bool is_primary = k->state == KEEPER_PRIMARY && k->view.lease.writable;
    bool is_standby = k->state == KEEPER_STANDBY && keeper_knows(k);
    bool is_member = false;
    struct keeper_member_record record;

    keeper_record_make(k, &record);
    *out = (struct keeper_wish){.term = is_primary ? k->term : k->top_term,
                                .role = is_primary   ? "primary"
                                        : is_standby ? "standby"
                                                     : "",
                                .timeline = record.tli,
                                .lag_bytes =
                                    record.lag_bytes / LAG_STEP_BYTES * LAG_STEP_BYTES};
    for (size_t i = 0; i < k->view.sync.member_count; i++) {
        is_member = is_member || strcmp(k->view.sync.members[i], k->node) == 0;
    }
    if (is_primary || is_standby) {
        out->tags[out->tag_count++] = out->role;
    }
    if (is_standby && is_member) {
        out->tags[out->tag_count++] = "sync";
    }
    if (is_standby && record.ro_ok) {
        out->tags[out->tag_count++] = "ro-ok";
    }
    out->health = k->state == KEEPER_PRIMARY   ? KEEPER_PASSING
                  : is_standby && record.ro_ok ? KEEPER_PASSING
                  : is_standby                 ? KEEPER_WARN
                                               : KEEPER_CRITICAL;
}

static bool is_same_wish(const struct keeper_wish *a, const struct keeper_wish *b)
{
    bool same = a->tag_count == b->tag_count && a->term == b->term &&
                a->timeline == b->timeline && a->lag_bytes == b->lag_bytes &&
                a->health == b->health && a->role == b->role;

    for (size_t i = 0; same && i < a->tag_count; i++) {
        same = a->tags[i] == b->tags[i]; /* static texts */
    }
    return same;
}

void keeper_wish_think(struct keeper *k)
{
    struct keeper_wish wish;
    char words[KEEPER_TEXT_MAX];

    wish_for(k, &wish);
    (void)snprintf(words, sizeof words, "%s%s%.100s", keeper_state_word(k->state),
                   k->problem[0] != '\0' ? ": " : "", k->problem);
    if (k->has_wish && is_same_wish(&wish, &k->wish) &&
        strcmp(words, k->wish_words) == 0) {
        return;
    }
    struct keeper_action *action = keeper_push(k, KEEPER_REGISTER);
    if (action == NULL) {
        return;
    }
    (void)rc_text_put(k->wish_words, sizeof k->wish_words, words);
    k->wish = wish;
    k->wish.words = k->wish_words;
    k->has_wish = true;
    action->wish = &k->wish;
}
