#include "tests/sim/sim_peek.h"

#include <assert.h>
#include <stdio.h>

#include "agent/gossip/state.h"
#include "tests/sim/sim_state.h"

enum { PRINTED_MAX = 40, HELD_SHIFT = 10 };

void peek_forget_rumours(struct gossip *g)
{
    for (size_t i = 0; i < QUEUE_COUNT; i++) {
        struct broadcast_queue *queue = &g->queues[i];
        size_t max = queue->max;
        size_t size_max = queue->size_max;

        broadcast_fini(queue);
        broadcast_init(queue, max, size_max);
    }
}

void peek_hold_rumours(struct gossip *g)
{
    g->queues[QUEUE_MEMBERSHIP].max >>= HELD_SHIFT;
    assert(g->queues[QUEUE_MEMBERSHIP].max > 0);
}

void peek_release_rumours(struct gossip *g)
{
    g->queues[QUEUE_MEMBERSHIP].max <<= HELD_SHIFT;
}

void peek_forget_check(struct gossip *g)
{
    deadline_clear(&g->deadlines, &g->join_check.deadline);
}

static void print_wrong(const struct node *at, const struct node *of)
{
    const struct gossip_member *view = gossip_find(at->gossip, of->name);

    (void)fprintf(
        stderr, "# %s sees %s %s at %u; that %s at %u\n", at->name, of->name,
        view == NULL ? "not at all" : gossip_status_name(view->status),
        view == NULL ? 0 : view->incarnation, of->is_there ? "lives" : "is not there",
        of->gossip == NULL ? of->disk.incarnation : gossip_self(of->gossip)->incarnation);
}

void peek_print_wrong(const struct sim *sim)
{
    size_t printed = 0;

    for (size_t i = 0; i < sim->node_count; i++) {
        for (size_t k = 0; k < sim->node_count && printed < PRINTED_MAX; k++) {
            const struct node *at = sim->nodes[i];
            const struct node *of = sim->nodes[k];
            if (at == of || !at->is_there) {
                continue;
            }
            const struct gossip_member *view = gossip_find(at->gossip, of->name);
            bool alive = view != NULL &&
                         (view->status == GOSSIP_ALIVE || view->status == GOSSIP_SUSPECT);
            if (alive != of->is_there) {
                print_wrong(at, of);
                printed++;
            }
        }
    }
}
