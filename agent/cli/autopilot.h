/* autopilot.h - the settings of Consul's autopilot that the command line can write. */
#ifndef AGENT_CLI_AUTOPILOT_H
#define AGENT_CLI_AUTOPILOT_H

#include "agent/cli/client.h"

enum autopilot_field {
    AUTOPILOT_CLEANUP,
    AUTOPILOT_CONTACT,
    AUTOPILOT_TRAILING,
    AUTOPILOT_QUORUM,
    AUTOPILOT_STABILIZATION,
    AUTOPILOT_ZONE,
    AUTOPILOT_MIGRATION,
    AUTOPILOT_VERSION,
    AUTOPILOT_FIELDS
};

struct autopilot_flags {
    const char *given[AUTOPILOT_FIELDS]; /* NULL: it stays as it is */
};

/* Returns an exit status. */
int autopilot_set(const struct cli_client_flags *client,
                  const struct autopilot_flags *flags);

#endif
