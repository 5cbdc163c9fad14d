/* drain.h - one instance at a time is taken away in the whole pool.
 *
 * Two operators (or deployments) who look at the same moment would both see that another healthy
 * instance is left. Where there is a store they stand in line for the key rollcall/maint/.lock,
 * with a lock-delay behind each: gossip has that long to tell the next agent. */
#ifndef AGENT_CLI_DRAIN_H
#define AGENT_CLI_DRAIN_H

#include <stdbool.h>

#include "agent/cli/lock.h"

struct drain {
    struct lock_claim claim;
    bool is_locked; /* false: there is no store, or this token may not use it */
};

/* Waits for its turn. RC_OK, locked or not; RC_ETIMEOUT: others take too long, `claim.why`. */
int drain_begin(struct drain *drain, const struct cli_client_flags *client);

/* `took_away`: the next one has to wait until that is known everywhere. */
void drain_end(struct drain *drain, bool took_away);

#endif
