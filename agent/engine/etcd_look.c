/* etcd_look.c - looking at members and alarms, and compacting. */
#include "agent/engine/etcd_look.h"

#include <string.h>

#include "agent/engine/etcd_hidden.h"
#include "agent/engine/etcd_message.h"
#include "agent/engine/grpc.h"
#include "base/err.h"
#include "base/text.h"

enum { LOOK_EVERY_MS = 5000, LOOK_FIRST_MS = 100, COMPACT_EVERY_MS = 60 * 60 * 1000 };

void etcd_look_init(struct etcd_look *look, struct etcd_asker *asker,
                    const struct etcd_follow *follow, struct rc_pack_bytes prefix)
{
    const struct etcd_edge *edge = asker->edge;

    memset(look, 0, sizeof *look);
    look->asker = asker;
    look->follow = follow;
    look->prefix = prefix;
    look->compact_every_ms = COMPACT_EVERY_MS;
    look->due_ms = edge->now_ms(edge->context) + LOOK_FIRST_MS;
    for (size_t i = 0; i < ETCD_ENDPOINTS_MAX; i++) {
        look->glances[i].look = look;
        look->glances[i].endpoint = i;
    }
}

void etcd_look_fini(struct etcd_look *look)
{
    const struct etcd_edge *edge = look->asker->edge;

    for (size_t i = 0; i < ETCD_ENDPOINTS_MAX; i++) {
        if (look->glances[i].call != NULL) {
            edge->cancel(edge->context, look->glances[i].call);
            look->glances[i].call = NULL;
        }
    }
}

void etcd_look_full(struct etcd_look *look, const char *text)
{
    if (look->alarm[0] == '\0') {
        (void)rc_text_put(look->alarm, sizeof look->alarm, text);
    }
}

/* ---- members and alarms ------------------------------------------------------------ */

static void on_members(void *context, const struct etcd_outcome *outcome)
{
    struct etcd_look *look = context;
    struct etcd_member_answer members;

    if (outcome->err == RC_OK &&
        etcd_answer_members(outcome->message, &members) == RC_OK) {
        look->members = members;
    }
}

static void on_alarms(void *context, const struct etcd_outcome *outcome)
{
    struct etcd_look *look = context;
    char text[ENGINE_ERROR_MAX];

    if (outcome->err == RC_OK && etcd_answer_alarms(outcome->message, text) == RC_OK) {
        (void)rc_text_put(look->alarm, sizeof look->alarm, text);
    }
}

static void on_glance(void *context, const struct etcd_reply *reply)
{
    struct etcd_glance *glance = context;
    const struct etcd_asker *asker = glance->look->asker;
    struct etcd_endpoints *endpoints = asker->endpoints;
    const struct etcd_edge *edge = asker->edge;

    glance->call = NULL;
    glance->answers = reply->end == ETCD_REPLIED;
    if (reply->end != ETCD_REPLIED) {
        etcd_endpoints_report(endpoints, glance->endpoint, ETCD_FAILED,
                              edge->now_ms(edge->context));
    } else if (reply->status == GRPC_OK &&
               etcd_answer_status(reply->message, &glance->status) == RC_OK &&
               glance->status.leader != 0) {
        etcd_endpoints_looked(endpoints, glance->endpoint, reply->took_us);
    }
}

static void glance_at(struct etcd_look *look, size_t index)
{
    const struct etcd_asker *asker = look->asker;
    struct etcd_glance *glance = &look->glances[index];
    struct etcd_request request = {
        .endpoint = asker->endpoints->items[index].url,
        .method = ETCD_STATUS,
        .token = asker->token,
        .time_limit_ms = asker->request_ms,
        .on_reply = on_glance,
        .context = glance,
    };

    if (glance->call == NULL) {
        glance->call = asker->edge->send(asker->edge->context, &request);
    }
}

static void ask(struct etcd_look *look, const char *method, etcd_ask_done *done)
{
    struct rc_buffer body = {0}; /* all that is said by default */

    /* Out of memory: the next look asks again. */
    (void)etcd_ask(look->asker, ETCD_READS, method, &body, done, look);
}

/* ---- compaction -------------------------------------------------------------------- */

static void on_anything(void *context, const struct etcd_outcome *outcome)
{
    (void)context;
    (void)outcome; /* what did not work is tried in an hour */
}

static void ask_number(struct etcd_look *look, const char *method, uint64_t value,
                       etcd_ask_done *done)
{
    struct rc_buffer body = {0};

    etcd_message_number(&body, value);
    (void)etcd_ask(look->asker, ETCD_WRITES, method, &body, done, look);
}

/* The key is ours for this hour, or was taken by another server. */
static void on_elected(void *context, const struct etcd_outcome *outcome)
{
    struct etcd_look *look = context;
    struct etcd_txn_answer answer;

    bool is_ours = outcome->err == RC_OK &&
                   etcd_answer_txn(outcome->message, &answer) == RC_OK &&
                   answer.succeeded;
    if (is_ours) {
        ask_number(look, ETCD_COMPACT, look->target, on_anything);
    } else if (outcome->err != RC_ECLOSED && outcome->err != RC_EUNKNOWN) {
        ask_number(look, ETCD_REVOKE, look->lease, on_anything);
    }
}

static void on_granted(void *context, const struct etcd_outcome *outcome)
{
    struct etcd_look *look = context;
    struct etcd_lease_answer lease;
    struct rc_buffer body = {0};

    if (outcome->err != RC_OK || etcd_answer_lease(outcome->message, &lease) != RC_OK) {
        return;
    }
    const struct engine_compare free_key = {rc_pack_text(ETCD_COMPACTOR),
                                            ENGINE_CREATE_REVISION, ENGINE_EQUAL, 0};
    const struct engine_op put = {.verb = ENGINE_PUT,
                                  .key = rc_pack_text(ETCD_COMPACTOR),
                                  .value = rc_pack_text(""),
                                  .lease = lease.lease};
    const struct engine_txn txn = {
        .compares = &free_key, .compare_count = 1, .then = &put, .then_count = 1};
    look->lease = lease.lease;
    etcd_message_txn(&body, look->prefix, &txn);
    (void)etcd_ask(look->asker, ETCD_WRITES, ETCD_TXN, &body, on_elected, look);
}

static uint64_t revision_of(const struct etcd_look *look)
{
    uint64_t revision = look->follow->reached;

    for (size_t i = 0; i < look->asker->endpoints->count; i++) {
        uint64_t seen = look->glances[i].status.revision;
        revision = seen > revision ? seen : revision;
    }
    return revision;
}

/* The key's lease ends a little before the hour does, so that the hour's first may have it. */
static void compact(struct etcd_look *look, uint64_t now_ms)
{
    if (look->sample_ms != 0 && now_ms < look->sample_ms + look->compact_every_ms) {
        return;
    }
    if (look->sample_ms != 0 && look->sample > 1 && !look->follow->has_compactor) {
        look->target = look->sample;
        ask_number(look, ETCD_GRANT, look->compact_every_ms * 5 / 6 / 1000, on_granted);
    }
    look->sample = revision_of(look);
    look->sample_ms = now_ms;
}

/* ---- from outside ------------------------------------------------------------------ */

uint64_t etcd_look_wake(struct etcd_look *look, uint64_t now_ms)
{
    if (now_ms < look->due_ms) {
        return look->due_ms;
    }
    look->due_ms = now_ms + LOOK_EVERY_MS;
    ask(look, ETCD_MEMBERS, on_members);
    ask(look, ETCD_ALARM, on_alarms);
    for (size_t i = 0; i < look->asker->endpoints->count; i++) {
        glance_at(look, i);
    }
    compact(look, now_ms);
    return look->due_ms;
}

static void show_member(const struct etcd_look *look, uint64_t id,
                        struct engine_member *out)
{
    for (size_t i = 0; i < look->asker->endpoints->count; i++) {
        const struct etcd_glance *glance = &look->glances[i];
        if (!glance->answers) {
            continue;
        }
        out->answers = out->answers || glance->status.member == id;
        out->is_leader = out->is_leader || glance->status.leader == id;
    }
}

void etcd_look_status(const struct etcd_look *look, struct engine_status *out)
{
    memset(out, 0, sizeof *out);
    out->kind = "etcd";
    out->has_leader = look->asker->is_led;
    out->revision = revision_of(look);
    for (size_t i = 0; i < look->asker->endpoints->count; i++) {
        uint64_t size = look->glances[i].status.size_bytes;
        out->size_bytes = size > out->size_bytes ? size : out->size_bytes;
    }
    out->member_count = look->members.count;
    for (size_t i = 0; i < out->member_count; i++) {
        out->members[i] = look->members.members[i];
        show_member(look, look->members.ids[i], &out->members[i]);
    }
    (void)rc_text_put(out->alarm, sizeof out->alarm, look->alarm);
}
