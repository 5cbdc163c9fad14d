/* main.c - `rollcall`: which command, and the two that need more than an agent's API. */
#include <signal.h>
#include <stdio.h>

#include "agent/agent_uv.h"
#include "agent/cli/cli.h"
#include "agent/config.h"
#include "agent/warden/warden_loop.h"
#include "base/err.h"
#include "base/secrecy.h"
#include "base/text.h"

static int agent_command(const struct cli_command *self, int count, char **words)
{
    for (int i = 0; i < count; i++) {
        if (rc_text_equals(words[i], "-h") || rc_text_equals(words[i], "-help") ||
            rc_text_equals(words[i], "--help")) {
            struct rc_buffer flags = {0};
            agent_config_help(&flags);
            (void)printf("%s\nFlags:\n%s", self->usage, rc_buffer_string(&flags));
            rc_buffer_fini(&flags);
            return CLI_DONE;
        }
    }
    return agent_run((size_t)count, words);
}

static int validate_command(const struct cli_command *self, int count, char **words)
{
    char error[AGENT_CONFIG_ERROR_MAX];
    struct rc_buffer warnings = {0};
    bool quiet = false;
    int paths = 0;

    for (int i = 0; i < count; i++) {
        if (rc_text_equals(words[i], "-h") || rc_text_equals(words[i], "-help") ||
            rc_text_equals(words[i], "--help")) {
            (void)printf("%s", self->usage);
            return CLI_DONE;
        }
        if (rc_text_equals(words[i], "-quiet") || rc_text_equals(words[i], "--quiet")) {
            quiet = true;
        } else if (words[i][0] == '-' && words[i][1] != '\0') {
            (void)fprintf(stderr, "rollcall validate: no such flag: %s\n", words[i]);
            return CLI_USAGE;
        } else {
            words[paths++] = words[i];
        }
    }
    if (paths == 0) {
        (void)fprintf(stderr, "rollcall validate: wants at least one file or folder\n");
        return CLI_USAGE;
    }
    int err = agent_config_validate((size_t)paths, words, &warnings, error);
    if (warnings.size > 0) {
        (void)fprintf(stderr, "%s", rc_buffer_string(&warnings));
    }
    rc_buffer_fini(&warnings);
    if (err != RC_OK) {
        (void)fprintf(stderr, "Config validation failed: %s\n", error);
        return CLI_FAILED;
    }
    if (!quiet) {
        (void)printf("Configuration is valid!\n");
    }
    return CLI_DONE;
}

static int warden_command(const struct cli_command *self, int count, char **words)
{
    return warden_main(count, words, self->usage);
}

static const struct cli_command own_commands[] = {
    {"agent", "run an agent: gossip, catalog, checks, DNS, API, page",
     "usage: rollcall agent [flags]\n\n"
     "Runs until SIGTERM or SIGINT, then leaves the cluster. SIGHUP reloads services, checks, "
     "watches and the log level.\n",
     agent_command},
    {"validate", "check configuration files without starting",
     "usage: rollcall validate [-quiet] FILE-OR-FOLDER...\n\n"
     "Ends with 0 when an agent would take them, else with 1 and the reason.\n",
     validate_command},
    {"warden", "stand by PostgreSQL and kill it when its time is over",
     "usage: rollcall warden -socket=PATH [-user=NAME] [-watchdog=DEVICE] [-cgroup=FOLDER]\n\n"
     "Parent of the PostgreSQL server that an agent's postgres block is about. The agent starts "
     "it; under systemd it may be a unit of its own.\n"
     "  -socket=PATH      where the agent finds it: <data_dir>/pg/<cluster>.sock\n"
     "  -user=NAME        whom PostgreSQL runs as; default: ourselves\n"
     "  -watchdog=DEVICE  a watchdog device, open while the server may be written\n"
     "  -cgroup=FOLDER    a folder of cgroup v2 that PostgreSQL is put into\n",
     warden_command},
};

int main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN);
    rc_forbid_core_dumps();
    return cli_run(own_commands, sizeof own_commands / sizeof own_commands[0], argc - 1,
                   argv + 1);
}
