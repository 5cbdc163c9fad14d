/* agent_metrics.h - what gossip and catalog count, told as metrics when somebody asks. */
#ifndef AGENT_AGENT_METRICS_H
#define AGENT_AGENT_METRICS_H

struct agent_metrics;
struct catalog;
struct gossip;
struct rc_metrics;

/* Registers with `metrics`; everything is borrowed until agent_metrics_destroy(), after which
 * `metrics` must not be rendered any more. RC_OK or RC_ENOMEM. */
int agent_metrics_create(struct rc_metrics *metrics, const struct gossip *gossip,
                         const struct catalog *catalog, struct agent_metrics **out);
void agent_metrics_destroy(struct agent_metrics *collector); /* NULL is allowed */

#endif
