/* swim.c - the rules of membership: who may say what about whom. */
#include "agent/gossip/swim.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/gossip/carrier.h"
#include "agent/gossip/probe.h"
#include "agent/gossip/serf.h"
#include "base/err.h"

static struct rc_pack_bytes name_of(const struct member *member)
{
    return rc_pack_text(member->view.said->name);
}

/* A newer message about a member takes the place of the older one. */
static uint64_t spread(struct gossip *g, struct rc_pack_bytes name)
{
    struct rc_pack_bytes message = {g->message.bytes, g->message.size};
    uint64_t id = 0;

    if (g->message.err != RC_OK ||
        broadcast_add(&g->queues[QUEUE_MEMBERSHIP], name, message, &id) != RC_OK) {
        gossip_refuse(g, GOSSIP_REFUSED_TOO_BIG);
    }
    carrier_news(g);
    return id;
}

static uint64_t spread_alive(struct gossip *g, const struct wire_alive *alive)
{
    rc_buffer_clear(&g->message);
    wire_write_typed(WIRE_ALIVE, &wire_format_alive, alive, &g->message);
    return spread(g, alive->node);
}

static uint64_t spread_accusation(struct gossip *g, enum wire_type type,
                                  const struct wire_accusation *accusation)
{
    bool is_ours = rc_pack_equals(accusation->from, name_of(g->self)) &&
                   !rc_pack_equals(accusation->node, accusation->from);

    if (is_ours && probe_is_deaf(g)) {
        g->counters.accusations_kept++;
        return 0; /* who hears nobody must not tell all that everybody is dead */
    }
    rc_buffer_clear(&g->message);
    wire_write_typed(type, &wire_format_accusation, accusation, &g->message);
    return spread(g, accusation->node);
}

void swim_feel_well(struct gossip *g)
{
    g->health -= g->health > 0;
}

void swim_doubt(struct gossip *g, uint32_t more, struct diary_doubt why)
{
    uint32_t max = g->profile->health_max - 1;
    uint32_t before = g->health;

    g->health = more < max - g->health ? g->health + more : max;
    if (more > 0) {
        g->counters.doubts++;
        why.at_ns = g->now_ns;
        why.score = g->health;
        diary_doubt(&g->diary, &why);
    }
    assert(g->health >= before);
    (void)before;
}

void swim_announce(struct gossip *g)
{
    const struct member *self = g->self;
    const struct announced *own = roster_announced(self);
    struct wire_alive alive = {
        .incarnation = self->view.incarnation,
        .node = name_of(self),
        .address = gossip_ip_bytes(&self->view.said->address),
        .port = self->view.said->address.port,
        .meta = own->meta,
        .versions = {.size = WIRE_VERSIONS_SIZE},
    };
    memcpy(alive.versions.bytes, self->view.said->versions, WIRE_VERSIONS_SIZE);
    g->announcement_id = spread_alive(g, &alive);
}

uint64_t swim_announce_leave(struct gossip *g)
{
    const struct wire_accusation dead = {
        .incarnation = g->self->view.incarnation,
        .node = name_of(g->self),
        .from = name_of(g->self),
    };
    roster_set_swim(&g->roster, g->self, SWIM_LEFT, g->now_ns);
    return spread_accusation(g, WIRE_DEAD, &dead);
}

/* Only the owner raises its incarnation, above what it is accused with. */
static void refute(struct gossip *g, uint32_t accused)
{
    struct gossip_member *self = &g->self->view;
    uint32_t above = accused > self->incarnation ? accused : self->incarnation;

    self->incarnation = above < UINT32_MAX ? above + 1 : above;
    g->counters.refutations++;
    swim_doubt(g, 1, (struct diary_doubt){.reason = DIARY_WE_REFUTED});
    swim_announce(g);
}

/* Somebody still believes an accusation that we have refuted: our answer got lost on the way to
 * it. Say it again, unless it is on its way. */
static void repeat_refutation(struct gossip *g)
{
    if (g->leave.stage == LEAVE_NOT &&
        !broadcast_is_waiting(&g->queues[QUEUE_MEMBERSHIP], g->announcement_id)) {
        swim_announce(g);
    }
}

static void drop_suspicion(struct gossip *g, struct member *member)
{
    struct suspicion *suspicion = roster_dealings(member)->suspicion;

    if (suspicion != NULL) {
        deadline_clear(&g->deadlines, &suspicion->deadline);
        free(suspicion);
        member->dealings->suspicion = NULL;
    }
}

/* ---- alive */

/* Only versions we can talk to, and only whole ones: a short Vsn crashes Go peers that hear
 * of it from us, and one odd member blocks their joins. */
static bool has_usable_versions(const struct wire_versions *versions)
{
    const uint8_t *v = versions->bytes;

    return versions->size == WIRE_VERSIONS_SIZE && v[0] > 0 && v[0] <= v[1] &&
           v[0] <= PROTOCOL && v[1] >= PROTOCOL && v[3] <= v[4] && v[3] <= DELEGATE_MAX &&
           v[4] >= DELEGATE_MIN;
}

static void report_conflict(struct gossip *g, const struct member *member,
                            const struct rc_address *other)
{
    gossip_refuse(g, GOSSIP_REFUSED_CONFLICT);
    gossip_tell(g, &(struct gossip_action){.type = GOSSIP_NAME_CONFLICT,
                                           .address = *other,
                                           .member = &member->view,
                                           .status = member->view.status});
}

/* memberlist's rule for a name that turns up elsewhere, with a reclaim time of our own for
 * rollcall's names, so that a crashed node may come back at another address. */
static bool may_move(const struct gossip *g, const struct member *member)
{
    uint64_t dead_ns = g->now_ns - member->swim_since_ns;

    return member->swim == SWIM_LEFT ||
           (member->swim == SWIM_DEAD && member->view.said->is_rollcall &&
            g->profile->reclaim_ms > 0 &&
            dead_ns > (uint64_t)g->profile->reclaim_ms * NS_PER_MS);
}

static void hear_of_ourselves(struct gossip *g, const struct wire_alive *alive,
                              const struct rc_address *address)
{
    const struct member *self = g->self;
    struct rc_pack_bytes meta = roster_announced(self)->meta;

    if (g->leave.stage != LEAVE_NOT) {
        return;
    }
    if (!rc_address_equals(address, &self->view.said->address)) {
        report_conflict(g, self, address);
        conflict_noticed(g, address);
        return;
    }
    bool is_same =
        rc_pack_equals(meta, alive->meta) &&
        memcmp(alive->versions.bytes, self->view.said->versions, WIRE_VERSIONS_SIZE) == 0;
    if (alive->incarnation < self->view.incarnation ||
        (alive->incarnation == self->view.incarnation && is_same)) {
        return;
    }
    refute(g, alive->incarnation);
}

/* The member's record, in SWIM's list, or NULL after counting why not. */
static struct member *meet(struct gossip *g, const struct announcement *said)
{
    struct member *member = roster_find(&g->roster, said->name);
    int err = RC_OK;

    if (member == NULL) {
        err = roster_add(&g->roster, said, &member);
    }
    if (err == RC_OK && member->swim == SWIM_NONE) {
        err = roster_enlist(&g->roster, member, &g->random);
        if (err == RC_OK) {
            member->view.incarnation = 0;
            member->swim_since_ns = g->now_ns;
        } else {
            (void)roster_drop_if_unused(&g->roster, member);
        }
    }
    if (err != RC_OK) {
        gossip_refuse(g, err == RC_EINVAL    ? GOSSIP_REFUSED_NAME
                         : err == RC_ETOOBIG ? GOSSIP_REFUSED_TOO_MANY
                                             : GOSSIP_REFUSED_NO_MEMORY);
        return NULL;
    }
    return member;
}

/* Takes over what the message says and tells Serf's layer what that means. */
static void accept_alive(struct gossip *g, struct member *member,
                         const struct wire_alive *alive, const struct announcement *said)
{
    enum swim_state before = member->swim;
    bool has_moved = !rc_address_equals(said->address, &member->view.said->address);
    bool is_changed =
        has_moved || !rc_pack_equals(roster_announced(member)->meta, said->meta);

    drop_suspicion(g, member);
    if (roster_hear(&g->roster, member, said) != RC_OK) {
        gossip_refuse(g, GOSSIP_REFUSED_NO_MEMORY);
    }
    member->view.incarnation = alive->incarnation;
    if (before != SWIM_ALIVE) {
        roster_set_swim(&g->roster, member, SWIM_ALIVE, g->now_ns);
    }
    (void)spread_alive(g, alive);
    g->why.reason = has_moved                ? DIARY_MOVED
                    : before == SWIM_SUSPECT ? DIARY_REFUTED
                                             : DIARY_NO_REASON;
    if (before == SWIM_DEAD || before == SWIM_LEFT) {
        serf_member_joined(g, member);
    } else if (is_changed) {
        serf_publish(g, member, GOSSIP_EVENT_UPDATE);
    } else if (before == SWIM_SUSPECT) {
        serf_publish(g, member, GOSSIP_EVENT_ALIVE);
    }
    g->why.reason = DIARY_NO_REASON;
}

void swim_alive(struct gossip *g, const struct wire_alive *alive)
{
    struct rc_address address;

    if (!has_usable_versions(&alive->versions)) {
        gossip_refuse(g, GOSSIP_REFUSED_VERSION);
        return;
    }
    if (gossip_read_address(g, alive->address, alive->port, &address) != RC_OK) {
        gossip_refuse(g, GOSSIP_REFUSED_ADDRESS);
        return;
    }
    if (alive->meta.size > GOSSIP_TAGS_BYTES_MAX) {
        gossip_refuse(g, GOSSIP_REFUSED_TOO_BIG);
        return;
    }
    if (rc_pack_equals(alive->node, name_of(g->self))) {
        hear_of_ourselves(g, alive, &address);
        return;
    }
    if (alive->incarnation == 0) {
        gossip_refuse(g, GOSSIP_REFUSED_MALFORMED);
        return;
    }
    const struct announcement said = {
        .name = alive->node,
        .address = &address,
        .is_mapped = alive->address.size == 16 && address.family == RC_ADDRESS_IPV4,
        .meta = alive->meta,
        .versions = alive->versions.bytes,
    };
    struct member *member = meet(g, &said);
    if (member == NULL) {
        return;
    }
    bool is_new = member->view.incarnation == 0;
    bool has_moved = !is_new && !rc_address_equals(&address, &member->view.said->address);
    if (has_moved && !may_move(g, member)) {
        report_conflict(g, member, &address);
        return;
    }
    if (has_moved || alive->incarnation > member->view.incarnation) {
        accept_alive(g, member, alive, &said);
    }
}

static void declare(struct gossip *g, const struct wire_accusation *dead,
                    const struct diary_why *why);

/* ---- suspect */

static uint32_t id_of(const struct gossip *g, struct rc_pack_bytes name)
{
    const struct member *member = roster_find(&g->roster, name);
    return member != NULL ? member->id : 0;
}

static uint32_t ms_until(const struct gossip *g, uint64_t at_ns)
{
    return at_ns > g->now_ns ? (uint32_t)((at_ns - g->now_ns) / NS_PER_MS) : 0;
}

/* Something new in the case against a suspect; it stays one. */
static void note_case(struct gossip *g, const struct suspicion *suspicion,
                      struct diary_why why)
{
    why.some = (uint8_t)suspicion->count;
    why.all = (uint8_t)suspicion->wanted;
    g->why = why;
    gossip_note(g, suspicion->member, GOSSIP_SUSPECT, GOSSIP_SUSPECT);
}

static void confirm(struct gossip *g, struct suspicion *suspicion,
                    const struct wire_accusation *accusation)
{
    uint64_t accuser = rc_hash(accusation->from.at, accusation->from.size, g->hash_seed);

    if (suspicion_confirm(suspicion, accuser)) {
        uint64_t end_ns = suspicion_end_ns(suspicion);
        g->counters.confirmations++;
        (void)spread_accusation(g, WIRE_SUSPECT, accusation);
        (void)deadline_set(&g->deadlines, &suspicion->deadline, end_ns);
        note_case(g, suspicion,
                  (struct diary_why){.reason = DIARY_CONFIRMED,
                                     .by = id_of(g, accusation->from),
                                     .ms = ms_until(g, end_ns)});
    }
}

/* The more are suspected, the fewer are left to accuse. Ourselves included, the accuser not. */
static void limit_suspicions(struct gossip *g)
{
    size_t others = g->roster.alive_count > 0 ? g->roster.alive_count - 1 : 0;

    if (others >= g->profile->confirmations) {
        return;
    }
    for (size_t i = 0; i < g->roster.list_count; i++) {
        struct suspicion *suspicion = roster_dealings(g->roster.list[i])->suspicion;
        if (suspicion != NULL && suspicion->wanted > others) {
            suspicion_limit(suspicion, others);
            (void)deadline_set(&g->deadlines, &suspicion->deadline,
                               suspicion_end_ns(suspicion));
        }
    }
}

static void begin_suspicion(struct gossip *g, struct member *member,
                            const struct wire_accusation *accusation,
                            const struct diary_why *why)
{
    uint64_t accuser = rc_hash(accusation->from.at, accusation->from.size, g->hash_seed);
    struct dealings *dealings = roster_deal(member);
    struct suspicion *suspicion = calloc(1, sizeof *suspicion);

    if (dealings == NULL || suspicion == NULL ||
        deadline_heap_reserve(&g->deadlines, g->deadlines.count + 1) != RC_OK) {
        free(suspicion);
        gossip_refuse(g, GOSSIP_REFUSED_NO_MEMORY); /* it will be probed again */
        return;
    }
    suspicion_init(suspicion, g->profile, roster_estimate(&g->roster), accuser,
                   g->now_ns);
    suspicion->member = member;
    suspicion->deadline.kind = DEADLINE_SUSPICION;
    suspicion->deadline.owner = suspicion;
    dealings->suspicion = suspicion;
    (void)deadline_set(&g->deadlines, &suspicion->deadline, suspicion_end_ns(suspicion));
    g->counters.suspicions++;
    (void)spread_accusation(g, WIRE_SUSPECT, accusation);
    member->view.incarnation = accusation->incarnation;
    roster_set_swim(&g->roster, member, SWIM_SUSPECT, g->now_ns);
    g->why = *why;
    serf_publish(g, member, GOSSIP_EVENT_SUSPECT);
    limit_suspicions(g);
    if (!rc_pack_equals(accusation->from, name_of(g->self))) {
        probe_second_opinion(g, member);
    }
}

static void on_accusation(struct gossip *g, const struct wire_accusation *suspect,
                          const struct diary_why *why)
{
    struct member *member = roster_find(&g->roster, suspect->node);

    if (member == NULL || member->swim == SWIM_NONE) {
        return;
    }
    if (suspect->incarnation < member->view.incarnation) {
        if (member == g->self) {
            repeat_refutation(g);
        }
        return;
    }
    struct suspicion *suspicion = roster_dealings(member)->suspicion;
    if (suspicion != NULL) {
        confirm(g, suspicion, suspect);
        return;
    }
    if (member->swim != SWIM_ALIVE) {
        return;
    }
    if (member == g->self) {
        refute(g, suspect->incarnation);
        return;
    }
    begin_suspicion(g, member, suspect, why);
}

void swim_suspect(struct gossip *g, const struct wire_accusation *suspect)
{
    const struct diary_why why = {.reason = DIARY_ACCUSED, .by = id_of(g, suspect->from)};
    on_accusation(g, suspect, &why);
}

void swim_accuse(struct gossip *g, struct member *member, const struct diary_why *why)
{
    const struct wire_accusation suspect = {
        .incarnation = member->view.incarnation,
        .node = name_of(member),
        .from = name_of(g->self),
    };
    on_accusation(g, &suspect, why);
}

/* Others may accuse it, but it has answered us since: then it gets all the time there is to
 * refute. If it died after that answer, those who heard nothing will tell. */
static bool wait_for_refutation(struct gossip *g, struct suspicion *suspicion)
{
    uint64_t latest_ns = suspicion_latest_ns(suspicion);

    if (roster_dealings(suspicion->member)->acked_ns <= suspicion->started_ns ||
        g->now_ns >= latest_ns) {
        return false;
    }
    if (deadline_set(&g->deadlines, &suspicion->deadline, latest_ns) != RC_OK) {
        return false;
    }
    note_case(g, suspicion,
              (struct diary_why){.reason = DIARY_SPARED, .ms = ms_until(g, latest_ns)});
    return true;
}

void swim_suspicion_fired(struct gossip *g, struct suspicion *suspicion)
{
    const struct member *member = suspicion->member;
    const struct wire_accusation dead = {
        .incarnation = member->view.incarnation,
        .node = name_of(member),
        .from = name_of(g->self),
    };

    assert(member->swim == SWIM_SUSPECT);
    assert(roster_dealings(member)->suspicion == suspicion);
    if (wait_for_refutation(g, suspicion)) {
        return;
    }
    const struct diary_why why = {
        .reason = DIARY_RUN_OUT,
        .ms = (uint32_t)((g->now_ns - suspicion->started_ns) / NS_PER_MS),
        .some = (uint8_t)suspicion->count,
        .all = (uint8_t)suspicion->wanted,
    };
    g->counters.suspicions_fired++;
    declare(g, &dead, &why);
}

void swim_restart_suspicions(struct gossip *g, uint64_t slept_ms)
{
    probe_abandon(g);
    for (size_t i = 0; i < g->roster.list_count; i++) {
        struct suspicion *suspicion = roster_dealings(g->roster.list[i])->suspicion;
        if (suspicion != NULL) {
            suspicion_init(suspicion, g->profile, roster_estimate(&g->roster),
                           suspicion->accusers[0], g->now_ns);
            (void)deadline_set(&g->deadlines, &suspicion->deadline,
                               suspicion_end_ns(suspicion));
            note_case(g, suspicion,
                      (struct diary_why){.reason = DIARY_STARTED_OVER,
                                         .ms = (uint32_t)slept_ms});
            probe_second_opinion(g, suspicion->member);
        }
    }
    limit_suspicions(g);
}

/* ---- dead */

static void declare(struct gossip *g, const struct wire_accusation *dead,
                    const struct diary_why *why)
{
    struct member *member = roster_find(&g->roster, dead->node);

    if (member == NULL || member->swim == SWIM_NONE ||
        dead->incarnation < member->view.incarnation || member->swim == SWIM_DEAD ||
        member->swim == SWIM_LEFT) {
        return;
    }
    if (member == g->self) {
        if (g->leave.stage == LEAVE_NOT) {
            refute(g, dead->incarnation);
        }
        return;
    }
    bool is_left = rc_pack_equals(dead->node, dead->from);
    (void)spread_accusation(g, WIRE_DEAD,
                            dead); /* before the suspicion's bytes are freed */
    drop_suspicion(g, member);
    member->view.incarnation = dead->incarnation;
    roster_set_swim(&g->roster, member, is_left ? SWIM_LEFT : SWIM_DEAD, g->now_ns);
    g->why = *why;
    serf_member_gone(g, member);
    g->why.reason = DIARY_NO_REASON; /* Serf's layer may have known before */
    limit_suspicions(g);
}

void swim_dead(struct gossip *g, const struct wire_accusation *dead)
{
    bool is_goodbye = rc_pack_equals(dead->node, dead->from);
    const struct diary_why why = {.reason =
                                      is_goodbye ? DIARY_SAID_GOODBYE : DIARY_TOLD_DEAD,
                                  .by = id_of(g, dead->from)};
    declare(g, dead, &why);
}

/* A dead entry with our name and another address: peers will not take our alive message until
 * the name may be reclaimed. The owner should know. */
static void look_for_conflict(struct gossip *g, const struct wire_node *node)
{
    struct rc_address address;

    if (rc_pack_equals(node->name, name_of(g->self)) &&
        gossip_read_address(g, node->address, node->port, &address) == RC_OK &&
        !rc_address_equals(&address, &g->self->view.said->address)) {
        report_conflict(g, g->self, &address);
    }
}

void swim_merge(struct gossip *g, const struct wire_node *node)
{
    struct wire_alive alive = {
        .incarnation = node->incarnation,
        .node = node->name,
        .address = node->address,
        .port = node->port,
        .meta = node->meta,
        .versions = node->versions,
    };
    struct wire_accusation accusation = {.incarnation = node->incarnation,
                                         .node = node->name};

    if (node->state != WIRE_NODE_ALIVE && node->state != WIRE_NODE_LEFT) {
        look_for_conflict(g, node);
    }
    if (node->state == WIRE_NODE_ALIVE) {
        swim_alive(g, &alive);
    } else if (node->state == WIRE_NODE_LEFT) {
        accusation.from = node->name;
        swim_dead(g, &accusation);
    } else {
        /* Dead in another's eyes is only suspect in ours: it may refute. */
        const struct diary_why why = {.reason = DIARY_IN_A_STATE};
        accusation.from = name_of(g->self);
        on_accusation(g, &accusation, &why);
    }
}

void swim_purge(struct gossip *g)
{
    uint64_t keep_ns = (uint64_t)g->profile->gossip_to_the_dead_ms * NS_PER_MS;

    for (size_t i = g->roster.list_count; i > 0; i--) {
        struct member *member = g->roster.list[i - 1];
        bool is_gone = member->swim == SWIM_DEAD || member->swim == SWIM_LEFT;
        if (is_gone && member != g->self && g->now_ns - member->swim_since_ns > keep_ns) {
            probe_forget(g, member);
            roster_delist(&g->roster, member);
            (void)roster_drop_if_unused(&g->roster, member);
        }
    }
}
