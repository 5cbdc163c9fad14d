/* pgqueue_uv.c - who waits for a server, and whose turn it is. */
#include <assert.h>

#include "base/clock.h"
#include "proxy/postgres/postgres_state_uv.h"

static struct line *line_of(const struct session *s)
{
    struct postgres *p = s->postgres;
    enum config_target target = session_target(s);
    for (size_t i = 0; i < p->line_count; i++) {
        struct line *line = &p->lines[i];
        if (line->listener == s->listener && line->target == target) {
            return line;
        }
    }
    for (size_t i = 0; i < p->line_count; i++) {
        if (p->lines[i].waiting == 0 && p->line_count == POSTGRES_LINES_MAX) {
            p->lines[i] = (struct line){.listener = s->listener, .target = target};
            return &p->lines[i];
        }
    }
    if (p->line_count == POSTGRES_LINES_MAX) {
        return &p->lines[POSTGRES_LINES_MAX - 1]; /* shared, and slower for it */
    }
    p->lines[p->line_count] = (struct line){.listener = s->listener, .target = target};
    return &p->lines[p->line_count++];
}

static enum pgtally_line held_as(const struct session *s)
{
    return session_target(s) == CONFIG_TARGET_STANDBY ? PGTALLY_READERS : PGTALLY_WRITERS;
}

void pgqueue_count_in(struct session *s)
{
    s->line = line_of(s);
    s->line->waiting++;
    s->postgres->waiting++;
    s->held_as = held_as(s);
    s->held_with = pgtally_hold(s->tally, s->held_as) - 1;
}

void pgqueue_count_out(struct session *s)
{
    assert(s->line->waiting > 0 && s->postgres->waiting > 0);
    s->line->waiting--;
    s->line = NULL;
    s->postgres->waiting--;
    pgtally_let_go(s->tally, s->held_as);
}

static const struct snapshot_member *pick(const struct session *s,
                                          const struct snapshot_pool *pool)
{
    struct pgroute_wish wish = {session_target(s), session_config(s)->fallback_primary,
                                s->avoid};
    return pgroute_pick(pool, &wish, s->postgres->turn++);
}

/* All want the one primary, so who came first goes first, also when it must try again. */
static bool keeps_order(const struct session *s, const struct snapshot_pool *pool)
{
    return pool->roles_known && session_target(s) == CONFIG_TARGET_PRIMARY;
}

/* How many of the held a second this worker lets go. */
static uint32_t share_of_ramp(const struct session *s)
{
    uint32_t workers = s->postgres->worker->snapshot->config->worker_threads;
    uint32_t ramp = session_config(s)->ramp;
    return ramp > 0 && workers > 1 ? (ramp + workers - 1) / workers : ramp;
}

/* Its turn: it goes, or it stays and its line with it. */
static void take_turn(struct session *s, uint64_t now_ms)
{
    const struct snapshot_pool *pool = session_pool(s);
    struct line *line = s->line;
    if (pool == NULL) {
        session_refuse(s, "57P01", "rollcall-proxy: this listener's pool was taken away");
        return;
    }
    if (now_ms < s->retry_at_ms) {
        line->blocked = keeps_order(s, pool);
        return;
    }
    const struct snapshot_member *member = pick(s, pool);
    if (member == NULL) {
        line->blocked = true;
        return;
    }
    if (!ramp_take(&line->ramp, share_of_ramp(s), now_ms)) {
        line->blocked = true;
        return;
    }
    pgserver_connect(s, member->instance);
}

/* Who only waits for its turn, while those before it are served, is not sent away in sight of the
 * door. */
static bool has_waited_in_vain(const struct session *s, uint64_t now_ms)
{
    const struct snapshot_pool *pool = session_pool(s);
    uint64_t limit_ms = s->wait_until_ms;
    if (now_ms < limit_ms) {
        return false;
    }
    if (s->retry_at_ms == 0 && pool != NULL && pick(s, pool) != NULL) {
        limit_ms += session_config(s)->wait_for_primary_ms;
    }
    return now_ms >= limit_ms;
}

static void expire(struct session *s)
{
    const char *wanted = session_target(s) == CONFIG_TARGET_PRIMARY
                             ? "rollcall-proxy: no primary is available"
                             : "rollcall-proxy: no server is available";
    rc_metric_add(s->postgres->expired, 1);
    session_refuse_for(s, PGTALLY_EXPIRED, "57P03", wanted);
}

void pgqueue_serve(struct postgres *p, uint64_t now_ms)
{
    struct session *next = NULL;
    for (size_t i = 0; i < p->line_count; i++) {
        p->lines[i].blocked = false;
    }
    for (struct session *s = p->first; s != NULL && p->waiting > 0; s = next) {
        next = s->next;
        if (s->stage != STAGE_WAIT) {
            continue;
        }
        if (has_waited_in_vain(s, now_ms)) {
            expire(s);
        } else if (!s->line->blocked) {
            take_turn(s, now_ms);
        }
    }
}

/* Nobody waits before it: then it need not wait either. Else it waits, unless too many do. */
static void go_at_once(struct session *s)
{
    const struct snapshot_pool *pool = session_pool(s);
    const struct snapshot_member *member = s->line->waiting == 1 ? pick(s, pool) : NULL;
    if (member != NULL) {
        pgserver_connect(s, member->instance);
        return;
    }
    if (s->held_with >= session_config(s)->max_waiting) {
        session_refuse_for(s, PGTALLY_REFUSED, "57P03",
                           "rollcall-proxy: no server is available, and too many wait");
        return;
    }
    s->held_at_ms = rc_clock_ms();
    session_count(s, PGTALLY_HELD);
}

void pgqueue_join(struct session *s)
{
    const struct config_listener *config = session_config(s);
    const struct snapshot_pool *pool = session_pool(s);
    if (pool == NULL || s->tally == NULL) {
        session_refuse(s, "57P01", "rollcall-proxy: this listener's pool was taken away");
        return;
    }
    s->wait_until_ms = rc_clock_ms() + config->wait_for_primary_ms;
    s->retry_at_ms = 0;
    s->avoid = NULL;
    session_enter(s, STAGE_WAIT);
    go_at_once(s);
}
