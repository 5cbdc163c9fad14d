/* gossip.c - the object: creation, time, commands, and what readers ask. */
#include "agent/gossip/gossip.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "agent/gossip/carrier.h"
#include "agent/gossip/join_check.h"
#include "agent/gossip/leave.h"
#include "agent/gossip/probe.h"
#include "agent/gossip/serf.h"
#include "agent/gossip/state.h"
#include "agent/gossip/stream.h"
#include "agent/gossip/swim.h"
#include "agent/gossip/tags.h"
#include "base/err.h"

enum { MEMBERSHIP_MAX = 4096, INTENTS_MAX = 4096, QUERIES_MAX = 1024, EVENTS_MAX = 1024 };
enum { PUSH_PULL_STRETCH_FROM = 32, JOIN_MAX = 64 };

/* ---- What the files of this folder share. */

void gossip_refuse(struct gossip *g, enum gossip_refusal why)
{
    assert(why < GOSSIP_REFUSAL_COUNT);
    g->counters.refused[why]++;
    if (g->source == NULL) {
        return;
    }
    const struct offender *row = offenders_note(&g->offenders, g->source, why, g->now_ns);
    if (row != NULL && why != GOSSIP_REFUSED_STALE && why != GOSSIP_REFUSED_NO_MEMORY) {
        const struct gossip_action action = {.type = GOSSIP_REFUSED,
                                             .address = row->address,
                                             .refusal = why,
                                             .count = row->count};
        (void)outbox_add(&g->outbox, &action); /* full: that is told of elsewhere */
    }
}

void gossip_note(struct gossip *g, const struct member *member, unsigned from,
                 unsigned to)
{
    const struct diary_entry entry = {
        .at_ns = g->now_ns,
        .member = member->id,
        .incarnation = member->view.incarnation,
        .why = g->why,
        .from = (uint8_t)from,
        .to = (uint8_t)to,
    };

    assert(from <= GOSSIP_STATUS_COUNT && to <= GOSSIP_STATUS_COUNT);
    diary_note(&g->diary, &entry);
    g->why = (struct diary_why){.reason = DIARY_NO_REASON};
}

void gossip_count_opened(struct gossip *g, size_t place)
{
    size_t count = g->envelope.keyring.count;

    if (count > 0) {
        uint64_t *counter = place == count ? &g->counters.opened_plain
                            : place == 0   ? &g->counters.opened_first
                                           : &g->counters.opened_older;
        (*counter)++;
    }
}

void gossip_arm(struct gossip *g, struct deadline *deadline, uint64_t wait_ms)
{
    if (deadline_set(&g->deadlines, deadline, g->now_ns + wait_ms * NS_PER_MS) != RC_OK) {
        gossip_refuse(g, GOSSIP_REFUSED_NO_MEMORY);
    }
}

/* Views are the first field of their members, so the one finds the other. */
static struct member *member_of(const struct gossip_member *view)
{
    return (struct member *)view; // NOLINT(clang-diagnostic-cast-qual)
}

void gossip_tell(struct gossip *g, const struct gossip_action *action)
{
    if (outbox_add(&g->outbox, action) != RC_OK) {
        gossip_refuse(g, GOSSIP_REFUSED_TOO_MANY);
        return;
    }
    if (action->member != NULL) {
        member_of(action->member)->waiting++;
    }
}

/* ceil(log10(n + 1)) without floating point: digits of n. */
static uint32_t digits(size_t n)
{
    uint32_t count = 0;
    while (n > 0) {
        n /= 10;
        count++;
    }
    return count;
}

uint32_t gossip_retransmits(const struct gossip *g)
{
    return g->profile->retransmit_mult * digits(roster_estimate(&g->roster));
}

uint64_t gossip_push_pull_ms(const struct gossip *g)
{
    size_t n = roster_estimate(&g->roster);
    uint64_t stretch = 1;

    for (size_t bound = PUSH_PULL_STRETCH_FROM; n > bound; bound *= 2) {
        stretch++;
    }
    return g->profile->push_pull_every_ms * stretch;
}

uint64_t gossip_now_ms(const struct gossip *g)
{
    return g->now_ns / NS_PER_MS;
}

struct rc_pack_bytes gossip_own_name(const struct gossip *g)
{
    return rc_pack_text(g->self->view.said->name);
}

struct rc_pack_bytes gossip_ip_bytes(const struct rc_address *address)
{
    return (struct rc_pack_bytes){address->ip, rc_address_ip_size(address)};
}

int gossip_read_address(const struct gossip *g, struct rc_pack_bytes ip, uint16_t port,
                        struct rc_address *out)
{
    uint16_t used = port != 0 ? port : g->self->view.said->address.port;

    if (rc_address_from_bytes(ip.at, ip.size, used, out) != RC_OK ||
        rc_address_is_any(out)) {
        return RC_EMALFORMED;
    }
    return RC_OK;
}

/* ---- Creation. */

static bool is_name(const char *name)
{
    size_t size = name == NULL ? 0 : strlen(name);

    if (size == 0 || size > GOSSIP_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        bool is_plain =
            isalnum((unsigned char)name[i]) || name[i] == '-' || name[i] == '.';
        if (!is_plain) {
            return false;
        }
    }
    return true;
}

static int write_meta(const struct gossip_tag *tags, size_t count, struct rc_buffer *out)
{
    return count <= GOSSIP_TAGS_MAX ? tags_write(tags, count, out) : RC_ETOOBIG;
}

static int set_own_meta(struct gossip *g, const struct gossip_tag *tags, size_t count)
{
    struct announced *own = roster_announced(g->self);
    struct rc_buffer meta = {0};

    int err = write_meta(tags, count, &meta);
    if (err == RC_OK) {
        err = roster_hear(&g->roster, g->self,
                          &(struct announcement){.name = rc_pack_text(own->view.name),
                                                 .address = &own->view.address,
                                                 .is_mapped = own->is_mapped,
                                                 .meta = {meta.bytes, meta.size},
                                                 .versions = own->view.versions});
    }
    rc_buffer_fini(&meta);
    return err;
}

static int announce_self(struct gossip *g, const struct gossip_options *options)
{
    static const uint8_t versions[WIRE_VERSIONS_SIZE] = {
        PROTOCOL_MIN, PROTOCOL_MAX, PROTOCOL, DELEGATE_MIN, DELEGATE_MAX, DELEGATE};
    struct rc_buffer meta = {0};

    int err = write_meta(options->tags, options->tag_count, &meta);
    if (err == RC_OK) {
        const struct announcement own = {.name = rc_pack_text(options->name),
                                         .address = &options->address,
                                         .meta = {meta.bytes, meta.size},
                                         .versions = versions};
        err = roster_add(&g->roster, &own, &g->self);
        err = err == RC_OK ? roster_hear(&g->roster, g->self, &own) : err;
    }
    rc_buffer_fini(&meta);
    return err;
}

static int create_self(struct gossip *g, const struct gossip_options *options)
{
    int err = announce_self(g, options);

    if (err == RC_OK) {
        g->self->view.incarnation = options->incarnation > 0 ? options->incarnation : 1;
        err = roster_enlist(&g->roster, g->self, &g->random);
    }
    if (err != RC_OK) {
        return err == RC_ETOOBIG ? RC_EINVAL : err;
    }
    roster_set_swim(&g->roster, g->self, SWIM_ALIVE, g->now_ns);
    serf_member_joined(g, g->self);
    serf_remember(g, options->clocks);
    return RC_OK;
}

static void start_timers(struct gossip *g)
{
    g->gossip_tick.kind = DEADLINE_GOSSIP;
    g->push_pull.kind = DEADLINE_PUSH_PULL;
    g->reap.kind = DEADLINE_REAP;
    g->reconnect.kind = DEADLINE_RECONNECT;
    g->kick.kind = DEADLINE_KICK;
    g->news.kind = DEADLINE_NEWS;
    g->join_check.deadline.kind = DEADLINE_JOIN_CHECK;
    g->leave.deadline.kind = DEADLINE_LEAVE;
    probe_start(g);
    gossip_arm(g, &g->gossip_tick,
               rc_random_below(&g->random, g->profile->gossip_every_ms));
    gossip_arm(g, &g->push_pull,
               rc_random_below(&g->random, g->profile->push_pull_every_ms));
    gossip_arm(g, &g->reap, g->profile->reap_every_ms);
    gossip_arm(g, &g->reconnect, g->profile->reconnect_every_ms);
}

static int build(struct gossip *g, const struct gossip_options *options)
{
    static const size_t maxima[QUEUE_COUNT] = {
        [QUEUE_MEMBERSHIP] = MEMBERSHIP_MAX,
        [QUEUE_INTENTS] = INTENTS_MAX,
        [QUEUE_QUERIES] = QUERIES_MAX,
        [QUEUE_EVENTS] = EVENTS_MAX,
    };

    rc_random_init(&g->random, options->random_seed);
    g->hash_seed = rc_random_next(&g->random);
    outbox_init(&g->outbox);
    g->coordinate.coordinate = coordinate_origin();
    int err = envelope_init(&g->envelope, options);
    for (size_t i = 0; i < QUEUE_COUNT; i++) {
        broadcast_init(&g->queues[i], maxima[i], carrier_message_max(g));
    }
    if (err == RC_OK) {
        err = roster_init(&g->roster, g->hash_seed, options->shared);
    }
    if (err == RC_OK) {
        err = serf_init(g);
    }
    if (err == RC_OK) {
        err = create_self(g, options);
    }
    if (err == RC_OK) {
        start_timers(g);
    }
    return err;
}

int gossip_create(const struct gossip_options *options, uint64_t now_ns,
                  struct gossip **out)
{
    if (!is_name(options->name) || options->address.family == RC_ADDRESS_NONE ||
        rc_address_is_any(&options->address) || options->address.port == 0) {
        return RC_EINVAL;
    }
    struct gossip *g = calloc(1, sizeof *g);
    if (g == NULL) {
        return RC_ENOMEM;
    }
    g->profile = options->profile != NULL ? options->profile : gossip_profile_find("lan");
    g->lane = options->lane;
    g->now_ns = now_ns;
    g->keep_keys = options->keep_keys;
    g->keep_keys_ctx = options->keep_keys_ctx;
    int err = build(g, options);
    if (err != RC_OK) {
        gossip_destroy(g);
        return err;
    }
    *out = g;
    return RC_OK;
}

void gossip_destroy(struct gossip *g)
{
    struct gossip_action ignored;

    if (g == NULL) {
        return;
    }
    while (gossip_next_action(g, &ignored)) {
        /* lets go of members that were erased while an action pointed to them */
    }
    stream_fini(g);
    diary_fini(&g->diary);
    offenders_fini(&g->offenders);
    probe_fini(g);
    serf_fini(g);
    roster_fini(&g->roster);
    for (size_t i = 0; i < QUEUE_COUNT; i++) {
        broadcast_fini(&g->queues[i]);
    }
    rc_buffer_fini(&g->opened);
    rc_buffer_fini(&g->unpacked);
    rc_buffer_fini(&g->message);
    rc_buffer_fini(&g->parts);
    rc_buffer_fini(&g->plain);
    outbox_fini(&g->outbox);
    deadline_heap_fini(&g->deadlines);
    envelope_fini(&g->envelope);
    free(g);
}

/* ---- Time. */

/* All periodic deadlines lie at most one gossip or probe period ahead, so standing still beyond
 * one of them for more than a suspicion means that we slept: stopped, swapped out, starved. Then
 * others' silence proves nothing, and our suspicions start over instead of firing. A shorter
 * sleep still makes us doubt ourselves (Lifeguard's local health). What counts is the time since
 * we last did anything: one deadline that waits for its turn is not being late twice. */
static void notice_pause(struct gossip *g, uint64_t before_ns)
{
    uint64_t first_ns = deadline_first(&g->deadlines);
    uint64_t least_ms = suspicion_min_ms(g->profile, roster_estimate(&g->roster));
    uint64_t awake_ns = first_ns > before_ns ? first_ns : before_ns;

    if (awake_ns >= g->now_ns) {
        return;
    }
    uint64_t late_ms = (g->now_ns - awake_ns) / NS_PER_MS;
    if (late_ms > least_ms) {
        g->counters.pauses++;
        swim_restart_suspicions(g, late_ms);
    } else if (late_ms > g->profile->probe_timeout_ms / 2) {
        swim_doubt(g, 1,
                   (struct diary_doubt){.reason = DIARY_LAGGED, .ms = (uint32_t)late_ms});
    }
}

static void enter(struct gossip *g, uint64_t now_ns)
{
    assert(g != NULL);
    uint64_t before_ns = g->now_ns;
    if (now_ns > before_ns) {
        g->now_ns = now_ns;
        notice_pause(g, before_ns);
    }
}

static void on_push_pull(struct gossip *g);
static void on_reconnect(struct gossip *g);

static void fire(struct gossip *g, struct deadline *deadline)
{
    switch (deadline->kind) {
    case DEADLINE_PROBE_ROUND:
        probe_round(g);
        return;
    case DEADLINE_PROBE_TIMEOUT:
        probe_timeout(g, deadline->owner);
        return;
    case DEADLINE_PROBE_END:
        probe_end(g, deadline->owner);
        return;
    case DEADLINE_GOSSIP:
        carrier_tick(g);
        return;
    case DEADLINE_PUSH_PULL:
        on_push_pull(g);
        return;
    case DEADLINE_REAP:
        gossip_arm(g, &g->reap, g->profile->reap_every_ms);
        serf_reap(g);
        return;
    case DEADLINE_RECONNECT:
        on_reconnect(g);
        return;
    case DEADLINE_LEAVE:
        leave_step(g);
        return;
    case DEADLINE_KICK:
        carrier_kick(g);
        return;
    case DEADLINE_JOIN_CHECK:
        join_check_look(g);
        return;
    case DEADLINE_NEWS:
        carrier_send_news(g);
        return;
    case DEADLINE_PRUNE:
        serf_prune(g);
        return;
    case DEADLINE_CONFLICT:
        conflict_ask(g);
        return;
    case DEADLINE_QUERY:
        query_expired(g, deadline->owner);
        return;
    case DEADLINE_SUSPICION:
        swim_suspicion_fired(g, deadline->owner);
        return;
    case DEADLINE_RELAY:
        probe_relay_expired(g, deadline->owner);
        return;
    case DEADLINE_STREAM:
        stream_expired(g, deadline->owner);
        return;
    case DEADLINE_KIND_COUNT:
        break;
    }
    abort(); /* no deadline is without a kind */
}

void gossip_tick(struct gossip *g, uint64_t now_ns)
{
    struct deadline *due;

    enter(g, now_ns);
    while (!g->is_out && (due = deadline_take(&g->deadlines, g->now_ns)) != NULL) {
        fire(g, due); /* whatever it sets again lies after now: this ends */
    }
    stream_sweep(g);
}

uint64_t gossip_deadline(const struct gossip *g)
{
    return g->is_out ? UINT64_MAX : deadline_first(&g->deadlines);
}

static bool wants_push_pull(const struct member *member, const struct gossip *g)
{
    return member->swim == SWIM_ALIVE && member != g->self;
}

static void on_push_pull(struct gossip *g)
{
    struct member *peer;

    gossip_arm(g, &g->push_pull, gossip_push_pull_ms(g));
    if (g->leave.stage == LEAVE_NOT &&
        roster_pick(&g->roster, &g->random, wants_push_pull, g, &peer, 1) == 1) {
        (void)stream_push_pull(g, &peer->view.said->address,
                               STREAM_EXCHANGE); /* next time then */
    }
}

static void on_reconnect(struct gossip *g)
{
    gossip_arm(g, &g->reconnect, g->profile->reconnect_every_ms);
    const struct member *member = serf_reconnect_target(g);
    if (member != NULL && g->leave.stage == LEAVE_NOT) {
        (void)stream_push_pull(g, &member->view.said->address, STREAM_RECONNECT);
    }
}

/* ---- Inputs. */

void gossip_packet(struct gossip *g, uint64_t now_ns, const struct rc_address *from,
                   const uint8_t *bytes, size_t size)
{
    enter(g, now_ns);
    g->source = from;
    if (size > 0 && !g->is_out) {
        carrier_receive(g, from, (struct rc_pack_bytes){bytes, size});
    }
    g->source = NULL;
    stream_sweep(g);
}

void gossip_unsent(struct gossip *g)
{
    g->counters.packets_unsent++;
}

int gossip_stream_accepted(struct gossip *g, uint64_t now_ns,
                           const struct rc_address *from, uint32_t *out)
{
    struct rc_address host = *from;

    enter(g, now_ns);
    host.port = 0; /* streams come from any port */
    g->source = &host;
    int err = g->is_out ? RC_ETOOBIG : stream_accept(g, from, out);
    g->source = NULL;
    return err;
}

void gossip_stream_data(struct gossip *g, uint64_t now_ns, uint32_t stream,
                        const uint8_t *bytes, size_t size)
{
    enter(g, now_ns);
    if (g->is_out) {
        return;
    }
    stream_data(g, stream, (struct rc_pack_bytes){bytes, size});
    stream_sweep(g);
}

void gossip_stream_closed(struct gossip *g, uint64_t now_ns, uint32_t stream)
{
    enter(g, now_ns);
    stream_gone(g, stream);
    stream_sweep(g);
}

/* ---- Commands. */

int gossip_join(struct gossip *g, uint64_t now_ns, const struct rc_address *addresses,
                size_t count)
{
    enter(g, now_ns);
    if (g->leave.stage != LEAVE_NOT) {
        return RC_ECLOSED;
    }
    if (count > JOIN_MAX) {
        return RC_ETOOBIG;
    }
    for (size_t i = 0; i < count; i++) {
        int err = stream_push_pull(g, &addresses[i], STREAM_JOIN);
        if (err != RC_OK) {
            gossip_tell(g, &(struct gossip_action){.type = GOSSIP_JOIN_RESULT,
                                                   .address = addresses[i],
                                                   .err = err});
        }
    }
    return RC_OK;
}

void gossip_leave(struct gossip *g, uint64_t now_ns)
{
    enter(g, now_ns);
    leave_begin(g);
}

int gossip_force_leave(struct gossip *g, uint64_t now_ns, const char *name,
                       enum gossip_prune prune)
{
    enter(g, now_ns);
    struct member *member = roster_find(&g->roster, rc_pack_text(name));
    if (member == NULL || member->serf == SERF_NONE) {
        return RC_ENOTFOUND;
    }
    serf_force_leave(g, member, prune);
    return RC_OK;
}

void gossip_set_cover(struct gossip *g, struct gossip_cover cover)
{
    g->envelope.cover = cover;
}

int gossip_set_tags(struct gossip *g, uint64_t now_ns, const struct gossip_tag *tags,
                    size_t count)
{
    enter(g, now_ns);
    int err = set_own_meta(g, tags, count);
    if (err == RC_OK && g->leave.stage == LEAVE_NOT) {
        g->self->view.incarnation++;
        swim_announce(g);
        serf_publish(g, g->self, GOSSIP_EVENT_UPDATE);
    }
    return err;
}

/* ---- Outputs. */

bool gossip_next_action(struct gossip *g, struct gossip_action *out)
{
    if (g->taken != NULL) {
        roster_release(&g->roster, g->taken);
        g->taken = NULL;
    }
    bool is_there = outbox_take(&g->outbox, out);
    if (is_there && out->member != NULL) {
        g->taken = member_of(out->member);
    }
    return is_there;
}
