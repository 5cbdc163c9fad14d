/* cli.h - the command line as a whole: which commands there are, and how one is found. */
#ifndef AGENT_CLI_CLI_H
#define AGENT_CLI_CLI_H

#include <stddef.h>

/* What a command ends with. */
enum cli_exit { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

struct cli_command {
    const char *name;
    const char *summary; /* one line for the list of commands */
    const char *usage;   /* what --help prints above the flags; ends with a line end */
    /* `words` are those after the command's name. Returns enum cli_exit. */
    int (*run)(const struct cli_command *self, int count, char **words);
};

/* Runs the command that `arguments` (main's, without the program's name) name: of `own` (those
 * of the caller) or of the client commands. Without one, or for help, it prints the list.
 * Returns the exit status. */
int cli_run(const struct cli_command *own, size_t own_count, int count, char **arguments);

/* "rollcall v0.1.0" and the build's commit. */
extern const char cli_version[];
extern const char cli_revision[];

#endif
