/* sim_catalogs.c - what must hold for records: whatever a peer shows, its owner once said. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tests/sim/sim_state.h"

enum { PAIRS_A_SECOND = 20000, LOOK_AGAIN = 8 /* at what has not moved */ };

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
    uint64_t mixed = (print ^ number) + UINT64_C(0x9e3779b97f4a7c15);

    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    return (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
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

/* What a catalog says of nodes that are there. Those that failed are listed by whoever knew them
 * alive until they are forgotten; newcomers are not told of them, as in memberlist. */
static uint64_t print_living(const struct sim *sim, const struct catalog *c)
{
    uint64_t print = 5;

    for (size_t i = 0; i < sim->node_count; i++) {
        const struct catalog_node *node =
            sim->nodes[i]->is_there ? catalog_node_find(c, sim->nodes[i]->name) : NULL;
        if (node != NULL) {
            print = mix_number(print, i);
            print = mix_number(print, node->liveness);
            print = mix_number(print, print_record(node));
        }
    }
    return print;
}

bool check_living_agree(const struct sim *sim)
{
    uint64_t first = 0;
    bool known = false;

    for (size_t i = 0; i < sim->node_count; i++) {
        if (!sim->nodes[i]->is_there || sim->nodes[i]->catalog == NULL) {
            continue;
        }
        uint64_t print = print_living(sim, sim->nodes[i]->catalog);
        if (known && print != first) {
            return false;
        }
        first = print;
        known = true;
    }
    return true;
}

/* ---- what the owner said */

static void remember(struct node *node, uint64_t print)
{
    sim_must(rc_table_put_bytes(node->past, &print, sizeof print, node, NULL), "past");
}

/* A service that the owner took away at some version. */
static bool is_gone(const struct node *owner, const struct catalog_node *view,
                    const char *service)
{
    const struct gone *gone = rc_table_get(owner->gone, service);

    return gone != NULL && gone->epoch == view->epoch && gone->version != 0 &&
           gone->version <= view->version;
}

/* `gone` remembers each service ever offered, and when it was first seen to be missing. */
static void note_gone(struct node *node, const struct catalog_node *self)
{
    size_t position = 0;
    const char *id = NULL;
    struct gone *gone = NULL;

    for (size_t i = 0; i < self->service_count; i++) {
        gone = rc_table_get(node->gone, self->services[i]->id);
        if (gone == NULL) {
            gone = sim_memory(calloc(1, sizeof *gone));
            sim_must(rc_table_put(node->gone, self->services[i]->id, gone, NULL), "gone");
        }
        *gone = (struct gone){.epoch = self->epoch};
    }
    while ((gone = rc_table_next(node->gone, &position, &id)) != NULL) {
        bool newly = gone->epoch != self->epoch || gone->version == 0;
        if (newly && catalog_service_find(self, id) == NULL) {
            *gone = (struct gone){self->epoch, self->version};
        }
    }
}

void check_forget_gone(struct node *node)
{
    size_t position = 0;
    struct gone *gone = NULL;

    while ((gone = rc_table_next(node->gone, &position, NULL)) != NULL) {
        free(gone);
    }
    rc_table_destroy(node->gone);
}

void check_note(struct sim *sim, struct node *node)
{
    const struct catalog_node *self = catalog_self(node->catalog);

    (void)sim;
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
    note_gone(node, self);
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
        if (is_gone(owner, view, view->services[i]->id)) {
            sim_fail(sim, "%s shows service %s that %s had taken away", at->name,
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

/* ---- the prefix property */

static bool has_cut(const struct catalog_node *view)
{
    for (size_t i = 1; i < view->check_count; i++) {
        if (view->checks[i]->output_cut) {
            return true;
        }
    }
    return false;
}

static struct known *known_of(const struct sim *sim, struct node *at,
                              const struct node *owner)
{
    if (owner->number >= at->known_count) {
        size_t count = sim->node_count;
        at->known = sim_memory(realloc(at->known, count * sizeof *at->known));
        memset(at->known + at->known_count, 0,
               (count - at->known_count) * sizeof *at->known);
        at->known_count = count;
    }
    return &at->known[owner->number];
}

/* A view never falls back behind itself while its holder lives. True if it has moved. */
static bool check_progress(struct sim *sim, struct node *at, const struct node *owner,
                           const struct catalog_node *view)
{
    struct known *known = known_of(sim, at, owner);
    bool fell = view->epoch < known->epoch ||
                (view->epoch == known->epoch && view->version < known->version);
    if (fell && !owner->disk_lost) {
        sim_fail(sim, "what %s knows of %s fell back to version %llu", at->name,
                 owner->name, (unsigned long long)view->version);
    }
    bool is_news = view->epoch != known->epoch || view->version != known->version;
    *known = (struct known){view->epoch, view->version};
    return is_news;
}

static void check_against_owner(struct sim *sim, const struct node *at,
                                const struct node *owner, const struct catalog_node *view)
{
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

static void check_pair(struct sim *sim, struct node *at, struct node *owner)
{
    const struct catalog_node *view = catalog_node_find(at->catalog, owner->name);

    if (view == NULL || view->epoch == 0) {
        *known_of(sim, at, owner) = (struct known){0};
        return;
    }
    bool is_news = check_progress(sim, at, owner, view);
    bool is_its_turn = sim->pair_turn / PAIRS_A_SECOND % LOOK_AGAIN == 0;
    if (!is_news && !is_its_turn) {
        return;
    }
    check_items(sim, at, owner, view);
    if (owner->catalog != NULL) {
        check_against_owner(sim, at, owner, view);
    }
}

/* What two nodes make of a third. */
static void print_difference(const struct node *a, const struct node *b,
                             const struct node *owner)
{
    const struct catalog_node *in_a = catalog_node_find(a->catalog, owner->name);
    const struct catalog_node *in_b = catalog_node_find(b->catalog, owner->name);

    if (in_a == NULL || in_b == NULL) {
        if (in_a != in_b) {
            (void)fprintf(stderr, "# only %s lists %s\n",
                          in_a != NULL ? a->name : b->name, owner->name);
        }
        return;
    }
    if (in_a->liveness == in_b->liveness && print_record(in_a) == print_record(in_b)) {
        return;
    }
    (void)fprintf(stderr,
                  "# %s has %s %s at epoch %llu version %llu%s, %s %s at %llu %llu%s\n",
                  a->name, owner->name, catalog_liveness_name(in_a->liveness),
                  (unsigned long long)in_a->epoch, (unsigned long long)in_a->version,
                  has_cut(in_a) ? " (cut)" : "", b->name,
                  catalog_liveness_name(in_b->liveness), (unsigned long long)in_b->epoch,
                  (unsigned long long)in_b->version, has_cut(in_b) ? " (cut)" : "");
}

void check_print_differences(const struct sim *sim)
{
    const struct node *first = NULL;

    for (size_t i = 0; i < sim->node_count; i++) {
        const struct node *node = sim->nodes[i];
        if (node->catalog == NULL) {
            continue;
        }
        first = first == NULL ? node : first;
        for (size_t k = 0; k < sim->node_count; k++) {
            print_difference(first, node, sim->nodes[k]);
        }
    }
}

/* All pairs of a small pool; some in turn of a large one. */
void check_pairs(struct sim *sim)
{
    size_t all = sim->node_count * sim->node_count;
    size_t budget = all < PAIRS_A_SECOND ? all : PAIRS_A_SECOND;

    for (size_t left = budget; left > 0; left--) {
        size_t turn = sim->pair_turn++ % all;
        struct node *at = sim->nodes[turn / sim->node_count];
        struct node *owner = sim->nodes[turn % sim->node_count];
        if (at != owner && at->catalog != NULL) {
            check_pair(sim, at, owner);
        }
    }
    for (size_t i = 0; i < sim->node_count; i++) {
        const struct node *node = sim->nodes[i];
        if (node->catalog != NULL) {
            check_mix(sim, catalog_index(node->catalog, CATALOG_TOPIC_ALL, ""));
            check_mix(sim, catalog_self(node->catalog)->version);
        }
    }
}
