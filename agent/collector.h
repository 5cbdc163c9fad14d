/* collector.h - what gossip and catalog count, told as metrics when somebody asks. */
#ifndef AGENT_COLLECTOR_H
#define AGENT_COLLECTOR_H

struct collector;
struct catalog;
struct gossip;
struct rc_metrics;

/* Registers with `metrics`; everything is borrowed until collector_destroy(), after which
 * `metrics` must not be rendered any more. RC_OK or RC_ENOMEM. */
int collector_create(struct rc_metrics *metrics, const struct gossip *gossip,
                     const struct catalog *catalog, struct collector **out);
void collector_destroy(struct collector *collector); /* NULL is allowed */

#endif
