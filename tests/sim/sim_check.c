/* What must hold at every moment, whatever the network does. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tests/sim/sim_state.h"

enum { SHAKEN_FOR_MS = 30000 };

static uint64_t mix(uint64_t print, const void *bytes, size_t size)
{
    return rc_hash(bytes, size, print);
}

static uint64_t mix_text(uint64_t print, const char *text)
{
    return mix(print, text, strlen(text) + 1);
}

static uint64_t mix_number(uint64_t print, uint64_t number)
{
    return mix(print, &number, sizeof number);
}

static uint64_t print_service(const struct catalog_service *service)
{
    uint64_t print = mix_text(1, service->id);

    print = mix_text(print, service->name);
    return mix_number(print, service->port);
}

static uint64_t print_check(const struct catalog_check *check)
{
    uint64_t print = mix_text(2, check->id);

    print = mix_text(print, check->service_id);
    print = mix_number(print, check->status);
    print = mix_number(print, check->since_wall_ms);
    return mix_text(print, check->output);
}

/* The node's own telling: what its record says, nothing that others derive. */
static uint64_t print_record(const struct catalog_node *node)
{
    uint64_t print = mix_text(3, node->address);

    for (size_t i = 0; i < node->service_count; i++) {
        print = mix_number(print, print_service(node->services[i]));
    }
    for (size_t i = 1; i < node->check_count; i++) { /* without serfHealth */
        print = mix_number(print, print_check(node->checks[i]));
    }
    return print;
}

uint64_t check_print(const struct catalog *c)
{
    uint64_t print = 4;

    for (size_t i = 0; i < catalog_node_count(c); i++) {
        const struct catalog_node *node = catalog_node_at(c, i);
        print = mix_text(print, node->name);
        print = mix_number(print, node->liveness);
        print = mix_number(print, node->checks[0]->status);
        print = mix_number(print, print_record(node));
    }
    for (size_t i = 0; i < catalog_name_count(c); i++) {
        print = mix_text(print, catalog_name_at(c, i)->name);
        print = mix_number(print, catalog_name_at(c, i)->instance_count);
    }
    return print;
}

/* ---- items: whatever a peer shows, the owner once said */

static void remember(struct node *node, uint64_t print)
{
    if (rc_table_put_bytes(node->past, &print, sizeof print, node, NULL) != RC_OK) {
        (void)sim_memory(NULL);
    }
}

void check_note(struct sim *sim, size_t number)
{
    struct node *node = &sim->nodes[number];
    const struct catalog_node *self = catalog_self(node->catalog);

    if (node->noted_version == self->version) {
        return;
    }
    node->noted_version = self->version;
    for (size_t i = 0; i < self->service_count; i++) {
        remember(node, print_service(self->services[i]));
    }
    for (size_t i = 1; i < self->check_count; i++) {
        remember(node, print_check(self->checks[i]));
    }
}

static bool was_said(const struct node *owner, uint64_t print)
{
    return rc_table_get_bytes(owner->past, &print, sizeof print) != NULL;
}

static void check_items(struct sim *sim, const struct node *at, const struct node *owner,
                        const struct catalog_node *view)
{
    for (size_t i = 0; i < view->service_count; i++) {
        if (!was_said(owner, print_service(view->services[i]))) {
            sim_fail(sim, "%s shows service %s that %s never told so", at->name,
                     view->services[i]->id, owner->name);
        }
    }
    for (size_t i = 1; i < view->check_count; i++) {
        if (!view->checks[i]->output_cut &&
            !was_said(owner, print_check(view->checks[i]))) {
            sim_fail(sim, "%s shows check %s that %s never told so", at->name,
                     view->checks[i]->id, owner->name);
        }
    }
}

static bool has_cut(const struct catalog_node *view)
{
    for (size_t i = 1; i < view->check_count; i++) {
        if (view->checks[i]->output_cut) {
            return true;
        }
    }
    return false;
}

/* The prefix property: a view never is ahead of its owner, and equal when level. */
static void check_pair(struct sim *sim, struct node *at, struct node *owner)
{
    const struct catalog_node *view = catalog_node_find(at->catalog, owner->name);

    if (view == NULL || view->epoch == 0) {
        return;
    }
    check_items(sim, at, owner, view);
    if (owner->catalog == NULL) {
        return;
    }
    const struct catalog_node *self = catalog_self(owner->catalog);
    if (view->epoch > self->epoch && !owner->disk_lost) {
        sim_fail(sim, "%s knows %s at an epoch that is yet to come", at->name,
                 owner->name);
    }
    if (view->epoch != self->epoch) {
        return;
    }
    if (view->version > self->version) {
        sim_fail(sim, "%s knows %s at version %llu, itself is at %llu", at->name,
                 owner->name, (unsigned long long)view->version,
                 (unsigned long long)self->version);
    }
    if (view->version == self->version && !has_cut(view) &&
        print_record(view) != print_record(self)) {
        sim_fail(sim, "%s and %s differ at the same version", at->name, owner->name);
    }
}

/* ---- members */

static bool is_calm(const struct sim *sim, const struct node *node)
{
    return node->gossip != NULL && sim->now_ns >= node->paused_until_ns &&
           (node->shaken_ns == 0 ||
            sim->now_ns > node->shaken_ns + SHAKEN_FOR_MS * SIM_MS);
}

static size_t number_of(const struct sim *sim, const char *name)
{
    for (size_t i = 0; i < sim->node_count; i++) {
        if (strcmp(sim->nodes[i].name, name) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

void check_member(struct sim *sim, size_t number, const struct gossip_action *action)
{
    struct node *node = &sim->nodes[number];
    const struct gossip_member *member = action->member;
    size_t other = number_of(sim, member->name);

    sim_trace(sim, "%s: %s %s", node->name, member->name,
              gossip_member_event_name(action->event));
    if (other == SIZE_MAX || other == number) {
        return;
    }
    struct node *owner = &sim->nodes[other];
    if (action->event == GOSSIP_EVENT_FAILED && is_calm(sim, node) &&
        is_calm(sim, owner) && net_reaches(sim, number, other)) {
        sim->false_failures++;
    }
    if (action->event == GOSSIP_EVENT_FAILED && is_calm(sim, owner) &&
        net_reaches(sim, number, other)) {
        sim->failures_of_the_calm++;
    }
    if (action->event == GOSSIP_EVENT_REAP) {
        node->seen_incarnation[other] = 0;
        return;
    }
    if (member->incarnation < node->seen_incarnation[other] && !owner->disk_lost) {
        sim_fail(sim, "%s saw the incarnation of %s fall", node->name, owner->name);
    }
    node->seen_incarnation[other] = member->incarnation;
    if (owner->gossip != NULL && !owner->disk_lost &&
        member->incarnation > gossip_self(owner->gossip)->incarnation) {
        sim_fail(sim, "%s knows an incarnation of %s that it never had", node->name,
                 owner->name);
    }
}

static void check_self(struct sim *sim, const struct node *node)
{
    enum gossip_status status = gossip_self(node->gossip)->status;

    if (status == GOSSIP_SUSPECT || status == GOSSIP_FAILED) {
        sim_fail(sim, "%s believes that it is %s", node->name,
                 gossip_status_name(status));
    }
}

void check_second(struct sim *sim)
{
    for (size_t i = 0; i < sim->node_count; i++) {
        struct node *node = &sim->nodes[i];
        if (node->gossip == NULL) {
            continue;
        }
        check_self(sim, node);
        sim->digest = mix_number(sim->digest, check_print(node->catalog));
        sim->digest = mix_number(sim->digest, gossip_self(node->gossip)->incarnation);
    }
    for (size_t i = 0; i < sim->node_count; i++) {
        for (size_t k = 0; k < sim->node_count; k++) {
            if (i != k && sim->nodes[i].gossip != NULL) {
                check_pair(sim, &sim->nodes[i], &sim->nodes[k]);
            }
        }
    }
}
