/* figures_uv.c - metrics that are looked up only when somebody asks: room on the disk, the checks
 * of the whole catalog, and how far this node's PostgreSQL is behind. */
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "agent/agent_uv.h"
#include "base/err.h"
#include "base/metrics.h"
#include "base/text.h"

static void tell_disk(struct agent *agent)
{
    struct statvfs room;

    if (agent->config.data_dir == NULL || statvfs(agent->config.data_dir, &room) != 0) {
        return;
    }
    rc_metric_set(rc_metrics_gauge(agent->metrics, "rollcall_disk_free_bytes", NULL,
                                   "Room for the agent on the disk of data_dir."),
                  (double)room.f_bavail * (double)room.f_frsize);
    rc_metric_set(rc_metrics_gauge(agent->metrics, "rollcall_disk_size_bytes", NULL,
                                   "Size of that disk."),
                  (double)room.f_blocks * (double)room.f_frsize);
}

static void tell_checks(struct agent *agent)
{
    size_t counts[CHECK_STATUS_COUNT] = {0};

    for (size_t n = 0; n < catalog_node_count(agent->catalog); n++) {
        const struct catalog_node *node = catalog_node_at(agent->catalog, n);
        for (size_t i = 0; i < node->check_count; i++) {
            counts[node->checks[i]->status]++;
        }
    }
    for (unsigned i = 0; i < CHECK_STATUS_COUNT; i++) {
        char label[64];
        (void)snprintf(label, sizeof label, "status=\"%s\"",
                       check_status_name((enum check_status)i));
        rc_metric_set(rc_metrics_gauge(agent->metrics, "rollcall_catalog_checks", label,
                                       "Checks of the whole catalog by status."),
                      (double)counts[i]);
    }
}

/* As this node's keeper tells everybody, with its service. */
static void tell_lag(struct agent *agent)
{
    const struct catalog_node *self = catalog_self(agent->catalog);

    for (size_t s = 0; s < self->service_count; s++) {
        const struct catalog_service *service = self->services[s];
        for (size_t i = 0; i < service->meta_count; i++) {
            uint64_t lag = 0;
            if (rc_text_equals(service->meta[i].key, "pg_lag_bytes") &&
                rc_text_to_u64(service->meta[i].value, UINT64_MAX, &lag) == RC_OK) {
                rc_metric_set(
                    rc_metrics_gauge(agent->metrics, "rollcall_postgres_lag_bytes", NULL,
                                     "How far this node's PostgreSQL is behind."),
                    (double)lag);
            }
        }
    }
}

static void tell(void *context)
{
    struct agent *agent = context;

    tell_disk(agent);
    tell_checks(agent);
    tell_lag(agent);
}

int agent_open_figures(struct agent *agent)
{
    return rc_metrics_on_render(agent->metrics, tell, agent);
}
