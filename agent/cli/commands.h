/* commands.h - the run functions of the client commands, for the table in cli.c. */
#ifndef AGENT_CLI_COMMANDS_H
#define AGENT_CLI_COMMANDS_H

#include "agent/cli/cli.h"

int members_run(const struct cli_command *self, int count, char **words);
int join_run(const struct cli_command *self, int count, char **words);
int leave_run(const struct cli_command *self, int count, char **words);
int force_leave_run(const struct cli_command *self, int count, char **words);
int event_run(const struct cli_command *self, int count, char **words);
int query_run(const struct cli_command *self, int count, char **words);
int rtt_run(const struct cli_command *self, int count, char **words);
int dns_run(const struct cli_command *self, int count, char **words);
int watch_run(const struct cli_command *self, int count, char **words);
int reload_run(const struct cli_command *self, int count, char **words);
int info_run(const struct cli_command *self, int count, char **words);
int services_run(const struct cli_command *self, int count, char **words);
int catalog_run(const struct cli_command *self, int count, char **words);
int maint_run(const struct cli_command *self, int count, char **words);
int debug_run(const struct cli_command *self, int count, char **words);
int monitor_run(const struct cli_command *self, int count, char **words);
int keyring_run(const struct cli_command *self, int count, char **words);
int keygen_run(const struct cli_command *self, int count, char **words);
int kv_run(const struct cli_command *self, int count, char **words);
int session_run(const struct cli_command *self, int count, char **words);
int lock_run(const struct cli_command *self, int count, char **words);
int operator_run(const struct cli_command *self, int count, char **words);
int store_run(const struct cli_command *self, int count, char **words);
int snapshot_run(const struct cli_command *self, int count, char **words);
int pg_run(const struct cli_command *self, int count, char **words);
int acl_run(const struct cli_command *self, int count, char **words);
int template_command_run(const struct cli_command *self, int count, char **words);
int version_run(const struct cli_command *self, int count, char **words);

#endif
