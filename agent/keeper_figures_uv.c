/* keeper_figures_uv.c - what the keeper counts, told as metrics when somebody asks. */
#include <stdio.h>

#include "agent/keeper_state_uv.h"
#include "base/err.h"
#include "base/metrics.h"

/* Counters only grow: what was added since the last look. */
static void count(struct keeper_uv *u, const char *name, const char *help, uint64_t now,
                  uint64_t *told)
{
    rc_metric_add(rc_metrics_counter(u->agent->metrics, name, NULL, help), now - *told);
    *told = now;
}

static void gauge(struct keeper_uv *u, const char *name, const char *help, double value)
{
    rc_metric_set(rc_metrics_gauge(u->agent->metrics, name, NULL, help), value);
}

static void tell_state(struct keeper_uv *u, enum keeper_state now)
{
    for (int state = 0; state < KEEPER_STATE_COUNT; state++) {
        char label[64];
        (void)snprintf(label, sizeof label, "state=\"%s\"",
                       keeper_state_word((enum keeper_state)state));
        rc_metric_set(rc_metrics_gauge(u->agent->metrics, "rollcall_postgres_state",
                                       label,
                                       "1 for the state this node's keeper is in."),
                      state == (int)now ? 1 : 0);
    }
}

static void collect(void *context)
{
    struct keeper_uv *u = ((struct agent *)context)->keeper_edge;
    struct keeper_status status;

    if (u == NULL || u->keeper == NULL) {
        return;
    }
    keeper_status(u->keeper, &status);
    tell_state(u, status.state);
    gauge(u, "rollcall_postgres_term", "The lease's term while it is held here, else 0.",
          (double)status.term);
    gauge(u, "rollcall_postgres_repair_failures",
          "Repairs of the data folder that failed, in a row.", (double)status.failures);
    count(u, "rollcall_postgres_renewals_total",
          "Renewals of the lease that were answered.", status.renewals,
          &u->told_renewals);
    count(u, "rollcall_postgres_renewals_lost_total",
          "Renewals of the lease that were not answered in time.", status.renewals_lost,
          &u->told_renewals_lost);
    count(u, "rollcall_postgres_promotions_total", "Promotions that were done here.",
          status.promotions, &u->told_promotions);
    count(u, "rollcall_postgres_rejoins_total", "Returns of this node as a standby.",
          status.rejoins, &u->told_rejoins);
}

int keeper_uv_open_figures(struct keeper_uv *u)
{
    return rc_metrics_on_render(u->agent->metrics, collect, u->agent);
}
