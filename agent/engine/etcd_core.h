/* etcd_core.h - the etcd engine over any edge: what etcd_engine.h opens, and what tests drive.
 *
 * Transactions that come while others are under way ride together (etcd_queue.h), barriers
 * share one read, leases go one by one. */
#ifndef AGENT_ENGINE_ETCD_CORE_H
#define AGENT_ENGINE_ETCD_CORE_H

#include "agent/engine/etcd_edge.h"
#include "agent/engine/etcd_engine.h"

/* Copies `options` and `edge`, and starts the edge; on RC_OK that is closed with the engine, else
 * it is the caller's. RC_OK, RC_EINVAL or RC_ENOMEM. */
int etcd_core_create(const struct etcd_options *options, const struct etcd_edge *edge,
                     struct engine **out);

#endif
