/* etcd_core.c - the engine's calls: who waits, what is under way, how it is answered.
 *
 * A call that finds no memory even for the note that it waits is answered from inside, the one
 * case that engine.h does not foresee. */
#include "agent/engine/etcd_core.h"

#include <stdlib.h>
#include <string.h>

#include "agent/engine/etcd_ask.h"
#include "agent/engine/etcd_follow.h"
#include "agent/engine/etcd_gate.h"
#include "agent/engine/etcd_lapse.h"
#include "agent/engine/etcd_look.h"
#include "agent/engine/etcd_message.h"
#include "agent/engine/etcd_rides.h"
#include "base/err.h"
#include "base/text.h"

enum {
    REQUEST_MS = 1000,
    LEASE_STEP_MS = 1000,
    LEASE_MIN_MS = 2000 /* etcd's own, for its default election time-out */
};

struct etcd_core;

enum note_kind { NOTE_REFUSAL, NOTE_BARRIER, NOTE_GRANT, NOTE_KEEPALIVE, NOTE_REVOKE };

/* A call that waits for its answer; transactions wait in etcd_rides.h. */
struct note {
    struct note *next;
    struct etcd_core *core;
    enum note_kind kind;
    engine_done *done;
    void *context;
    int err;          /* NOTE_REFUSAL */
    const char *text; /* of it; static */
    uint64_t number;  /* of the lease, or the TTL asked for in seconds */
};

struct etcd_core {
    struct engine engine;
    struct engine_class class; /* our own: lease_min_ms is learnt */
    struct etcd_edge edge;
    struct etcd_endpoints endpoints;
    struct etcd_asker asker;
    struct etcd_follow follow;
    struct etcd_look look;
    struct etcd_lapses lapses;
    struct etcd_gate gate;
    char *prefix; /* owned, like the next two */
    char *user;
    char *password;

    struct etcd_rides rides;
    struct note *refusals;   /* to be answered at the next wake, newest first */
    struct note *barriers;   /* for the next read, newest first */
    struct note *shared;     /* of the read that is under way */
    uint64_t shared_reached; /* what the follower had been told when it was asked */
    bool is_reading;

    bool is_closing;
    void (*on_closed)(void *context);
    void *closed_context;
};

static struct etcd_core *core_of(struct engine *engine)
{
    return (struct etcd_core *)engine; /* its first member */
}

static struct rc_pack_bytes prefix_of(const struct etcd_core *core)
{
    return rc_pack_text(core->prefix);
}

/* ---- notes ------------------------------------------------------------------------ */

static void answer(struct note *note, const struct engine_answer *answer)
{
    note->done(note->context, answer);
    free(note);
}

static void answer_err(struct note *note, int err, const char *text)
{
    answer(note, &(struct engine_answer){.err = err, .text = text});
}

static void answer_all(struct note *first, const struct engine_answer *with)
{
    while (first != NULL) {
        struct note *note = first;
        first = note->next;
        answer(note, with);
    }
}

/* A note of a call; NULL: memory is out, and it was answered. */
static struct note *note_of(struct etcd_core *core, enum note_kind kind,
                            engine_done *done, void *context)
{
    struct note *note = calloc(1, sizeof *note);

    if (note == NULL) {
        done(context, &(struct engine_answer){.err = RC_ENOMEM, .text = "out of memory"});
        return NULL;
    }
    note->core = core;
    note->kind = kind;
    note->done = done;
    note->context = context;
    return note;
}

static void refuse_with(struct note *note, int err, const char *text)
{
    struct etcd_core *core = note->core;

    note->kind = NOTE_REFUSAL;
    note->err = err;
    note->text = text;
    note->next = core->refusals;
    core->refusals = note;
    core->edge.wake(core->edge.context, 0);
}

static void refuse(struct note *note, int err)
{
    refuse_with(note, err, rc_strerror(err));
}

/* Those of now: what is refused meanwhile waits for the next turn. */
static void answer_refusals(struct etcd_core *core)
{
    struct note *note = core->refusals;

    core->refusals = NULL;
    while (note != NULL) {
        struct note *next = note->next;
        answer_err(note, note->err, note->text);
        note = next;
    }
}

/* An outcome's error as the contract knows it. */
static int err_of(const struct etcd_outcome *outcome)
{
    return outcome->err == RC_ECONFLICT ? RC_EIO : outcome->err;
}

/* ---- transactions ----------------------------------------------------------------- */

static void txn(struct engine *engine, const struct engine_txn *wanted, engine_done *done,
                void *context)
{
    struct etcd_core *core = core_of(engine);
    struct etcd_write *write = etcd_write_create(prefix_of(core), wanted, done, context);
    int err = write == NULL ? RC_ENOMEM : core->is_closing ? RC_ECLOSED : write->err;

    if (err == RC_OK) {
        etcd_rides_put(&core->rides, write);
        return;
    }
    struct note *note = note_of(core, NOTE_REFUSAL, done, context);
    const char *text = write != NULL ? write->text : NULL;
    if (note != NULL) {
        refuse_with(note, err, text != NULL ? text : rc_strerror(err));
    }
    etcd_write_destroy(write);
}

/* ---- barriers --------------------------------------------------------------------- */

static void read_barrier(struct etcd_core *core);

static void on_barrier(void *context, const struct etcd_outcome *outcome)
{
    struct etcd_core *core = context;
    struct note *shared = core->shared;
    struct engine_answer with = {.err = err_of(outcome), .text = outcome->text};

    core->shared = NULL;
    core->is_reading = false;
    if (with.err == RC_OK &&
        (etcd_answer_revision(outcome->message, &with.revision) != RC_OK ||
         with.revision == 0)) {
        with.err = RC_EAGAIN;
        with.text = "etcd: its answer to a read makes no sense";
    }
    if (with.err == RC_OK) {
        etcd_follow_check(&core->follow, core->shared_reached, with.revision);
        etcd_follow_owe(&core->follow, with.revision);
    }
    answer_all(shared, &with);
    if (!core->is_closing) {
        read_barrier(core);
    }
}

/* One read for all who wait, while none is under way. */
static void read_barrier(struct etcd_core *core)
{
    struct rc_buffer body = {0};

    if (core->is_reading || core->barriers == NULL) {
        return;
    }
    core->shared = core->barriers;
    core->barriers = NULL;
    core->shared_reached = core->follow.reached;
    etcd_message_barrier(&body, prefix_of(core));
    core->is_reading =
        etcd_ask(&core->asker, ETCD_READS, ETCD_RANGE, &body, on_barrier, core) == RC_OK;
    while (!core->is_reading && core->shared != NULL) {
        struct note *note = core->shared;
        core->shared = note->next;
        refuse(note, RC_ENOMEM);
    }
}

static void barrier(struct engine *engine, engine_done *done, void *context)
{
    struct etcd_core *core = core_of(engine);
    struct note *note = note_of(core, NOTE_BARRIER, done, context);

    if (note == NULL) {
        return;
    }
    if (core->is_closing) {
        refuse(note, RC_ECLOSED);
        return;
    }
    note->next = core->barriers;
    core->barriers = note;
    read_barrier(core);
}

/* ---- leases ----------------------------------------------------------------------- */

static void on_lease(void *context, const struct etcd_outcome *outcome)
{
    struct note *note = context;
    struct etcd_core *core = note->core;
    struct engine_answer with = {.err = err_of(outcome), .text = outcome->text};
    struct etcd_lease_answer lease;

    if (with.err != RC_OK) {
        answer(note, &with);
        return;
    }
    if (etcd_answer_lease(outcome->message, &lease) != RC_OK) {
        answer_err(note, RC_EUNKNOWN, "etcd: its answer about a lease makes no sense");
        return;
    }
    with.revision = lease.revision;
    with.ttl_ms = lease.ttl_s * 1000;
    if (note->kind == NOTE_GRANT) {
        with.lease = lease.lease;
        with.err = lease.lease == 0 || lease.ttl_s == 0 ? RC_EUNKNOWN : RC_OK;
        if (lease.ttl_s > note->number) {
            core->class.lease_min_ms = with.ttl_ms;
        }
    } else if (note->kind == NOTE_KEEPALIVE && lease.ttl_s == 0) {
        with.err = RC_ENOTFOUND;
        with.text = "there is no such lease";
    }
    answer(note, &with);
}

static void ask_lease(struct note *note, enum etcd_asked what, const char *method)
{
    struct etcd_core *core = note->core;
    struct rc_buffer body = {0};

    if (core->is_closing) {
        refuse(note, RC_ECLOSED);
        return;
    }
    etcd_message_number(&body, note->number);
    if (etcd_ask(&core->asker, what, method, &body, on_lease, note) != RC_OK) {
        refuse(note, RC_ENOMEM);
    }
}

static void grant(struct engine *engine, uint64_t ttl_ms, engine_done *done,
                  void *context)
{
    struct etcd_core *core = core_of(engine);
    struct note *note = note_of(core, NOTE_GRANT, done, context);

    if (note != NULL) {
        uint64_t ttl_s = ttl_ms / LEASE_STEP_MS + (ttl_ms % LEASE_STEP_MS != 0);
        note->number = ttl_s > 0 ? ttl_s : 1;
        ask_lease(note, ETCD_WRITES, ETCD_GRANT);
    }
}

static void keepalive(struct engine *engine, uint64_t lease, engine_done *done,
                      void *context)
{
    struct note *note = note_of(core_of(engine), NOTE_KEEPALIVE, done, context);

    if (note != NULL) {
        note->number = lease;
        ask_lease(note, ETCD_READS, ETCD_KEEPALIVE); /* harmless twice */
    }
}

static void revoke(struct engine *engine, uint64_t lease, engine_done *done,
                   void *context)
{
    struct note *note = note_of(core_of(engine), NOTE_REVOKE, done, context);

    if (note != NULL) {
        note->number = lease;
        ask_lease(note, ETCD_WRITES, ETCD_REVOKE);
    }
}

static void hurry(struct engine *engine, uint64_t lease)
{
    struct etcd_core *core = core_of(engine);

    if (!core->is_closing) {
        etcd_lapse_watch(&core->lapses, lease);
    }
}

/* ---- the rest --------------------------------------------------------------------- */

static void follow(struct engine *engine, const struct engine_follower *follower)
{
    etcd_follow_start(&core_of(engine)->follow, follower);
}

static void status(const struct engine *engine, struct engine_status *out)
{
    const struct etcd_core *core = (const struct etcd_core *)engine;

    etcd_look_status(&core->look, out);
}

static void fini(struct etcd_core *core)
{
    etcd_endpoints_fini(&core->endpoints);
    free(core->prefix);
    free(core->user);
    free(core->password);
    free(core);
}

static void on_edge_closed(void *owner)
{
    struct etcd_core *core = owner;
    void (*on_closed)(void *) = core->on_closed;
    void *context = core->closed_context;

    fini(core);
    if (on_closed != NULL) {
        on_closed(context);
    }
}

static void close_engine(struct engine *engine, void (*on_closed)(void *context),
                         void *context)
{
    struct etcd_core *core = core_of(engine);

    core->on_closed = on_closed;
    core->closed_context = context;
    core->is_closing = true;
    etcd_rides_stop(&core->rides);
    core->edge.wake(core->edge.context, 0);
}

/* The rest of the closing, from our own turn. */
static void finish_closing(struct etcd_core *core)
{
    const struct engine_answer with = {.err = RC_ECLOSED, .text = "the store is closing"};

    etcd_asker_close(&core->asker);
    etcd_follow_fini(&core->follow);
    etcd_look_fini(&core->look);
    etcd_gate_fini(&core->gate);
    etcd_rides_fini(&core->rides);
    struct note *waiting = core->barriers;
    core->barriers = NULL;
    answer_all(waiting, &with);
    while (core->refusals != NULL) {
        answer_refusals(core);
    }
    core->edge.close(core->edge.context, on_edge_closed, core);
}

static void on_wake(void *owner)
{
    struct etcd_core *core = owner;
    uint64_t now_ms = core->edge.now_ms(core->edge.context);

    if (core->is_closing) {
        finish_closing(core);
        return;
    }
    answer_refusals(core);
    uint64_t gate_ms = etcd_gate_wake(&core->gate, now_ms);
    etcd_rides_wake(&core->rides, now_ms);
    uint64_t follow_ms = etcd_follow_wake(&core->follow, now_ms);
    uint64_t look_ms = etcd_look_wake(&core->look, now_ms);
    uint64_t due_ms = follow_ms < look_ms ? follow_ms : look_ms;
    due_ms = gate_ms < due_ms ? gate_ms : due_ms;
    uint64_t lapse_ms = etcd_lapse_wake(&core->lapses, now_ms);
    due_ms = lapse_ms < due_ms ? lapse_ms : due_ms;
    core->edge.wake(core->edge.context, due_ms > now_ms ? due_ms - now_ms : 0);
}

static const struct engine_class etcd_class = {
    .txn = txn,
    .barrier = barrier,
    .grant = grant,
    .keepalive = keepalive,
    .revoke = revoke,
    .hurry = hurry,
    .follow = follow,
    .status = status,
    .close = close_engine,
    .lease_step_ms = LEASE_STEP_MS,
    .lease_min_ms = LEASE_MIN_MS,
};

int etcd_core_create(const struct etcd_options *options, const struct etcd_edge *edge,
                     struct engine **out)
{
    if (options->prefix == NULL || options->prefix[0] == '\0') {
        return RC_EINVAL;
    }
    struct etcd_core *core = calloc(1, sizeof *core);
    if (core == NULL) {
        return RC_ENOMEM;
    }
    core->class = etcd_class;
    core->engine.class = &core->class;
    core->edge = *edge;
    core->prefix = rc_text_copy(options->prefix);
    core->user = rc_text_copy(options->user);
    core->password = rc_text_copy(options->password);
    int err = etcd_endpoints_init(&core->endpoints, options->endpoints,
                                  options->endpoint_count);
    bool is_whole = core->prefix != NULL &&
                    (options->user == NULL || core->user != NULL) &&
                    (options->password == NULL || core->password != NULL);
    if (err != RC_OK || !is_whole) {
        fini(core);
        return err != RC_OK ? err : RC_ENOMEM;
    }
    core->asker = (struct etcd_asker){
        .edge = &core->edge,
        .endpoints = &core->endpoints,
        .user = core->user,
        .password = core->password,
        .request_ms = options->request_ms != 0 ? options->request_ms : REQUEST_MS,
        .login = ETCD_LOGIN_WANTED,
    };
    etcd_follow_init(&core->follow, &core->asker, prefix_of(core));
    etcd_gate_init(&core->gate, &core->asker, prefix_of(core));
    etcd_lapse_init(&core->lapses, &core->asker, prefix_of(core));
    etcd_look_init(&core->look, &core->asker, &core->follow, prefix_of(core));
    core->rides = (struct etcd_rides){.asker = &core->asker,
                                      .gate = &core->gate,
                                      .follow = &core->follow,
                                      .look = &core->look};
    core->edge.start(core->edge.context, on_wake, core);
    if (options->history_ms != 0) {
        core->look.compact_every_ms = options->history_ms;
    }
    core->edge.wake(core->edge.context, 0);
    *out = &core->engine;
    return RC_OK;
}
