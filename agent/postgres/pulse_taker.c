#include "agent/postgres/pulse_taker.h"

#include <stdlib.h>
#include <string.h>

#include "agent/postgres/pulse.h"
#include "agent/warden/warden_socket.h"
#include "base/err.h"
#include "base/text.h"
#include "base/watch_uv.h"

enum { FRESH_EVERY_MS = 5000, ANSWER_MS = 1000, LINT_EVERY_MS = 60000, LINT_MAX = 200 };
enum { FRESH_AGAIN_MS = 1000 };
/* A backend that hangs in its disk stays when its connection goes: no other is added to it, so that
 * they do not fill the server. */
enum { WRITE_MS = 600000 };

struct pulse_taker {
    struct pulse_taker_options options;
    struct pg_session *kept;
    struct pg_session *fresh;
    struct pg_session *writer; /* what was `fresh`: it writes, while the others go on */
    struct watch_timer *timer;
    uint64_t every_ms;
    uint64_t ended_ms;   /* of the last one */
    uint64_t freshed_ms; /* of the last by a connection of its own */
    uint64_t linted_ms;
    bool is_under_way;
    uint64_t writing_ms;         /* when the last was asked to write */
    enum keeper_writing written; /* its answer, to be told with the next probe */
    bool is_unwritable;          /* as the last that tried says */
    char warning[LINT_MAX];
    struct keeper_probe probe;
};

static void arm(struct pulse_taker *p)
{
    uint64_t now_ms = warden_clock_ms();

    if (p->is_under_way) {
        return;
    }
    if (p->every_ms == UINT64_MAX) {
        watch_uv_timer_set(p->timer, -1);
        return;
    }
    uint64_t due_ms = p->ended_ms + p->every_ms;
    watch_uv_timer_set(p->timer, due_ms > now_ms ? (int64_t)(due_ms - now_ms) : 0);
}

static void end(struct pulse_taker *p)
{
    p->is_under_way = false;
    p->ended_ms = warden_clock_ms();
    if (p->probe.is_fresh) {
        pg_session_drop(p->fresh);
    }
    p->probe.warning = p->warning[0] != '\0' && !p->probe.in_recovery ? p->warning : NULL;
    p->probe.writing =
        pg_session_is_busy(p->writer) ? KEEPER_WRITING_AWAITED : p->written;
    p->probe.writing_ms = p->writing_ms;
    p->written = KEEPER_WRITING_UNKNOWN;
    p->options.probed(p->options.context, &p->probe);
    arm(p);
}

static void on_written(void *context, const struct pg_answer *answer)
{
    struct pulse_taker *p = context;

    p->written =
        answer->is_ok ? KEEPER_WRITES : pulse_writing(answer->sqlstate, answer->text);
    p->is_unwritable = p->written == KEEPER_CANNOT_WRITE;
    pg_session_drop(p->writer);
}

/* By the connection that was just made, which is not asked anything else. */
static void try_to_write(struct pulse_taker *p)
{
    if (pg_session_is_busy(p->writer)) {
        return;
    }
    struct pg_session *idle = p->writer;
    p->writer = p->fresh;
    p->fresh = idle;
    p->writing_ms = warden_clock_ms();
    pg_session_ask(p->writer, PG_SESSION_KEPT,
                   p->probe.in_recovery ? pulse_spill_query : pulse_write_query, WRITE_MS,
                   on_written, p);
}

static void on_lint(void *context, const struct pg_answer *answer)
{
    struct pulse_taker *p = context;

    p->warning[0] = '\0';
    if (answer->is_ok && answer->rows->row_count > 0 && answer->rows->column_count == 2) {
        (void)rc_text_put(
            p->warning, sizeof p->warning,
            "synchronous_commit is off for some role or database: what they "
            "commit can be lost");
    }
    end(p);
}

static void on_senders(void *context, const struct pg_answer *answer)
{
    struct pulse_taker *p = context;

    if (!answer->is_ok) {
        p->probe.reach = answer->reach == KEEPER_ANSWERED ? KEEPER_SILENT : answer->reach;
    } else if (pulse_read_senders(answer->rows, &p->probe) != RC_OK) {
        p->probe.reach = KEEPER_SILENT;
    } else if (!p->probe.is_fresh && p->ended_ms - p->linted_ms > LINT_EVERY_MS) {
        p->linted_ms = p->ended_ms;
        pg_session_ask(p->kept, PG_SESSION_KEPT, pulse_lint_query, ANSWER_MS, on_lint, p);
        return;
    } else if (p->probe.is_fresh) {
        try_to_write(p);
    }
    end(p);
}

static void on_status(void *context, const struct pg_answer *answer)
{
    struct pulse_taker *p = context;

    p->probe.reach = answer->reach;
    if (!answer->is_ok) {
        if (answer->reach == KEEPER_ANSWERED) { /* alive, and not as we expect it */
            p->probe.reach = KEEPER_REFUSING;
        }
        end(p);
        return;
    }
    if (pulse_read_status(answer->rows, &p->probe) != RC_OK) {
        p->probe.reach = KEEPER_REFUSING;
        end(p);
        return;
    }
    if (p->probe.in_recovery) {
        if (p->probe.is_fresh) {
            try_to_write(p);
        }
        end(p);
        return;
    }
    pg_session_ask(p->probe.is_fresh ? p->fresh : p->kept, PG_SESSION_KEPT,
                   pulse_senders_query, ANSWER_MS, on_senders, p);
}

static void on_due(void *context)
{
    struct pulse_taker *p = context;
    uint64_t now_ms = warden_clock_ms();

    memset(&p->probe, 0, sizeof p->probe);
    p->probe.asked_ms = now_ms;
    p->probe.is_fresh =
        now_ms - p->freshed_ms >= (p->is_unwritable ? FRESH_AGAIN_MS : FRESH_EVERY_MS);
    p->is_under_way = true;
    if (p->probe.is_fresh) {
        p->freshed_ms = now_ms;
    }
    pg_session_ask(p->probe.is_fresh ? p->fresh : p->kept,
                   p->probe.is_fresh ? PG_SESSION_FRESH : PG_SESSION_KEPT,
                   pulse_status_query, ANSWER_MS, on_status, p);
}

void pulse_taker_set(struct pulse_taker *p, uint64_t every_ms)
{
    if (every_ms != p->every_ms) {
        p->every_ms = every_ms;
        arm(p);
    }
}

int pulse_taker_create(const struct pulse_taker_options *options,
                       struct pulse_taker **out)
{
    struct pulse_taker *p = calloc(1, sizeof *p);

    if (p == NULL) {
        return RC_ENOMEM;
    }
    p->options = *options;
    p->every_ms = UINT64_MAX;
    p->timer = watch_uv_timer_open(options->session.loop, on_due, p);
    int err =
        p->timer != NULL ? pg_session_create(&options->session, &p->kept) : RC_ENOMEM;
    if (err == RC_OK) {
        err = pg_session_create(&options->session, &p->fresh);
    }
    if (err == RC_OK) {
        err = pg_session_create(&options->session, &p->writer);
    }
    if (err != RC_OK) {
        pulse_taker_destroy(p);
        return err;
    }
    *out = p;
    return RC_OK;
}

void pulse_taker_destroy(struct pulse_taker *p)
{
    if (p == NULL) {
        return;
    }
    pg_session_destroy(p->kept);
    pg_session_destroy(p->fresh);
    pg_session_destroy(p->writer);
    watch_uv_timer_close(p->timer);
    free(p);
}
