/* sim_check.c - what must hold for members, whatever the network does. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tests/sim/sim_state.h"

enum {
    SHAKEN_FOR_MS = 30000,
    SEEK_EVERY_S = 30,
    TOLERABLE_LOSS_PPM = 50000,
    QUEUE_MEMBERS_MAX = 4096, /* intents too */
    QUEUE_EVENTS_MAX = 1024,  /* queries too */
    BYTES_A_SECOND_MAX = 2000000
};

void check_mix(struct sim *sim, uint64_t number)
{
    /* One round of splitmix64: order and value both count. */
    uint64_t mixed = (sim->digest ^ number) + UINT64_C(0x9e3779b97f4a7c15);

    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    sim->digest = mixed ^ mixed >> 31;
}

/* ---- who is wrong about whom */

static bool sees_alive(const struct node *at, const struct node *of)
{
    if (of->number >= at->seen_count) {
        return false;
    }
    uint8_t status = at->seen[of->number].status;
    return status == GOSSIP_ALIVE || status == GOSSIP_SUSPECT;
}

static bool is_wrong(const struct node *at, const struct node *of)
{
    return at != of && at->is_there && sees_alive(at, of) != of->is_there;
}

static struct seen *seen_of(const struct sim *sim, struct node *at, const struct node *of)
{
    if (of->number >= at->seen_count) {
        size_t count = sim->node_count;
        at->seen = sim_memory(realloc(at->seen, count * sizeof *at->seen));
        for (size_t i = at->seen_count; i < count; i++) {
            at->seen[i] = (struct seen){.status = SEEN_NEVER};
        }
        at->seen_count = count;
    }
    return &at->seen[of->number];
}

/* Changes by one node what others should think of it, and whether its own views count. */
static void set_there(struct sim *sim, struct node *node, bool is_there)
{
    uint32_t about_it = 0;

    for (size_t i = 0; i < sim->node_count; i++) {
        struct node *other = sim->nodes[i];
        bool was_wrong = is_wrong(node, other);
        node->is_there = is_there;
        bool now_wrong = is_wrong(node, other);
        other->wrong = other->wrong + now_wrong - was_wrong;
        sim->wrong_pairs = sim->wrong_pairs + now_wrong - was_wrong;
        about_it += is_wrong(other, node) ? 1 : 0;
        node->is_there = !is_there;
    }
    node->is_there = is_there;
    sim->wrong_pairs = sim->wrong_pairs + about_it - node->wrong;
    node->wrong = about_it;
}

void check_start(struct sim *sim, struct node *node)
{
    for (size_t i = 0; i < node->seen_count; i++) {
        node->seen[i] = (struct seen){.status = SEEN_NEVER};
    }
    if (node->known_count > 0) {
        memset(node->known, 0, node->known_count * sizeof *node->known);
    }
    set_there(sim, node, true);
}

void check_gone(struct sim *sim, struct node *node)
{
    if (node->is_there) {
        set_there(sim, node, false);
    }
}

static void note_seen(struct sim *sim, struct node *at, struct node *of,
                      const struct seen *fresh)
{
    struct seen *old = seen_of(sim, at, of);
    bool was_wrong = is_wrong(at, of);

    *old = *fresh;
    bool now_wrong = is_wrong(at, of);
    of->wrong = of->wrong + now_wrong - was_wrong;
    sim->wrong_pairs = sim->wrong_pairs + now_wrong - was_wrong;
    if (was_wrong && of->wrong == 0) {
        measure_all_right(sim, of);
    }
}

/* ---- what a core says of others */

static bool is_handicapped(const struct node *node)
{
    return node->cuts_towards > 0 || node->traits[SIM_NAT] || node->traits[SIM_NO_UDP];
}

static bool is_calm(const struct sim *sim, const struct node *node)
{
    return node->is_there && !is_handicapped(node) &&
           sim->now_ns >= node->paused_until_ns &&
           (node->shaken_ns == 0 ||
            sim->now_ns > node->shaken_ns + SHAKEN_FOR_MS * SIM_MS);
}

/* Nodes are named "n<number>". */
static struct node *node_named(const struct sim *sim, const char *name)
{
    unsigned long number = strtoul(name + 1, NULL, 10);

    return name[0] == 'n' && number < sim->node_count ? sim->nodes[number] : NULL;
}

static void check_failed(struct sim *sim, struct node *at, const struct node *of,
                         uint32_t incarnation)
{
    if (!of->is_there) {
        measure_failed(sim, of);
    } else if (is_calm(sim, of) && net_reaches(sim, at, of, NET_PACKET)) {
        sim->failures_of_the_calm++;
        sim->false_failures += is_calm(sim, at) ? 1 : 0;
        if (sim->is_strict && sim->weather[SIM_BURST] == 0 &&
            sim->weather[SIM_LOSS] <= TOLERABLE_LOSS_PPM) {
            sim_fail(sim, "%s calls %s failed, which lives and was not disturbed",
                     at->name, of->name);
        }
    }
    if (!of->disk_lost && (!of->was_suspected || incarnation > of->suspected)) {
        sim_fail(sim, "%s calls %s failed at incarnation %u, which nobody suspected",
                 at->name, of->name, incarnation);
    }
}

static void check_suspect(struct node *of, uint32_t incarnation)
{
    of->was_suspected = true;
    if (incarnation > of->suspected) {
        of->suspected = incarnation;
    }
}

static void check_incarnation(struct sim *sim, const struct node *at,
                              const struct node *of, const struct seen *old,
                              const struct seen *fresh)
{
    if (of->disk_lost) {
        return; /* it may begin again at 1 */
    }
    if (fresh->incarnation < old->incarnation) {
        sim_fail(sim, "%s saw the incarnation of %s fall", at->name, of->name);
    }
    uint32_t own =
        of->gossip != NULL ? gossip_self(of->gossip)->incarnation : of->disk.incarnation;
    if (fresh->incarnation > own) {
        sim_fail(sim, "%s knows an incarnation of %s that it never had", at->name,
                 of->name);
    }
    bool was_dead = old->status == GOSSIP_FAILED || old->status == GOSSIP_LEFT;
    /* One that lives, and never heard that it was called dead, may be met again as it is. */
    bool is_rising = was_dead && fresh->status == GOSSIP_ALIVE && !of->is_there;
    if (is_rising && fresh->incarnation <= old->incarnation) {
        sim_fail(sim, "%s sees %s rise from the dead at incarnation %u", at->name,
                 of->name, fresh->incarnation);
    }
}

void check_member(struct sim *sim, struct node *node, const struct gossip_action *action)
{
    const struct gossip_member *member = action->member;
    struct node *of = node_named(sim, member->said->name);
    struct seen fresh = {.incarnation = member->incarnation,
                         .status = (uint8_t)action->status};

    sim_trace(sim, "%s: %s %s at %u", node->name, member->said->name,
              gossip_member_event_name(action->event), member->incarnation);
    check_mix(sim, (uint64_t)node->number << 32 | (uint64_t)action->event << 24 |
                       member->incarnation);
    if (of == NULL || of == node) {
        return;
    }
    check_mix(sim, of->number);
    if (action->event == GOSSIP_EVENT_REAP) {
        fresh = (struct seen){.status = SEEN_NEVER};
    } else {
        check_incarnation(sim, node, of, seen_of(sim, node, of), &fresh);
    }
    if (action->event == GOSSIP_EVENT_SUSPECT) {
        check_suspect(of, member->incarnation);
    } else if (action->event == GOSSIP_EVENT_FAILED) {
        check_failed(sim, node, of, member->incarnation);
    }
    note_seen(sim, node, of, &fresh);
}

/* ---- once a second */

static void check_self(struct sim *sim, const struct node *node)
{
    enum gossip_status status = gossip_self(node->gossip)->status;

    if (status == GOSSIP_SUSPECT || status == GOSSIP_FAILED) {
        sim_fail(sim, "%s believes that it is %s", node->name,
                 gossip_status_name(status));
    }
    if (node->is_there && (status == GOSSIP_LEAVING || status == GOSSIP_LEFT)) {
        sim_fail(sim, "%s believes that it has left", node->name);
    }
}

static void check_bounds(struct sim *sim, struct node *node)
{
    struct gossip_counters now;

    gossip_counters(node->gossip, &now);
    if (now.queue_membership > QUEUE_MEMBERS_MAX ||
        now.queue_intents > QUEUE_MEMBERS_MAX || now.queue_events > QUEUE_EVENTS_MAX ||
        now.queue_queries > QUEUE_EVENTS_MAX) {
        sim_fail(sim, "a queue of %s is over its bound", node->name);
    }
    if (node->sent_bytes > BYTES_A_SECOND_MAX) {
        sim_fail(sim, "%s sent %llu bytes of packets within a second", node->name,
                 (unsigned long long)node->sent_bytes);
    }
    node->sent_bytes = 0;
    check_mix(sim, now.bytes_out);
    check_mix(sim, now.packets_in);
    check_mix(sim, gossip_self(node->gossip)->incarnation);
}

/* All that one node knows of members. */
static void mix_members(struct sim *sim, const struct node *node)
{
    const struct gossip_member *member;
    size_t position = 0;

    while ((member = gossip_next_member(node->gossip, &position)) != NULL) {
        check_mix(
            sim, rc_hash(member->said->name, strlen(member->said->name), member->status));
        check_mix(sim, member->incarnation);
    }
}

static bool is_alone(const struct node *node)
{
    const struct gossip_member *member;
    size_t position = 0;
    size_t alive = 0;

    while (alive < 2 && (member = gossip_next_member(node->gossip, &position)) != NULL) {
        alive += member->status == GOSSIP_ALIVE || member->status == GOSSIP_SUSPECT;
    }
    return alive < 2;
}

/* As an agent does that has lost its pool: it tries its list of addresses again. */
static void seek_pool(struct sim *sim, struct node *node)
{
    uint64_t second = sim->now_ns / SIM_SECOND;

    if (node->is_there && !node->wants_pool && sim->now_ns >= node->paused_until_ns &&
        (second + node->number) % SEEK_EVERY_S == 0 &&
        sim->now_ns > SEEK_EVERY_S * SIM_SECOND && is_alone(node)) {
        node_join_somebody(sim, node);
        node_settle(sim, node);
    }
}

/* Everybody's counters every second; whole views of a few nodes in turn. */
void check_second(struct sim *sim)
{
    enum { VIEWS_A_SECOND = 20000 };
    size_t views = 0;

    for (size_t i = 0; i < sim->node_count; i++) {
        if (sim->nodes[i]->gossip != NULL) {
            check_self(sim, sim->nodes[i]);
            check_bounds(sim, sim->nodes[i]);
            seek_pool(sim, sim->nodes[i]);
        }
    }
    for (size_t i = 0; i < sim->node_count && views < VIEWS_A_SECOND; i++) {
        const struct node *node = sim->nodes[sim->digest_turn++ % sim->node_count];
        if (node->gossip != NULL) {
            views += gossip_member_count(node->gossip) + 1;
            mix_members(sim, node);
        }
    }
    if (sim->options.catalogs == SIM_WITH_CATALOGS) {
        check_pairs(sim);
    }
}
