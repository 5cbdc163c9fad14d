/* join, leave, force-leave and reload: orders without an answer. */
#include <stdio.h>

#include "agent/cli/client.h"
#include "agent/cli/commands.h"
#include "agent/cli/flags.h"
#include "agent/cli/say.h"
#include "base/err.h"

int join_run(const struct cli_command *self, int count, char **words)
{
    struct cli_parsed parsed;
    int joined = 0;

    int err = cli_parse(self, NULL, 0, count, words, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    if (parsed.word_count == 0) {
        return cli_misuse(self, "wants at least one address");
    }
    for (int i = 0; i < parsed.word_count; i++) {
        struct rc_buffer path = {0};
        char what[300];
        rc_buffer_text(&path, "/v1/agent/join/");
        cli_escape(&path, parsed.words[i]);
        (void)snprintf(what, sizeof what, "Error joining address '%.250s'",
                       parsed.words[i]);
        joined += cli_put(&parsed.client, rc_buffer_string(&path), NULL, what) == RC_OK;
        rc_buffer_fini(&path);
    }
    if (joined == 0) {
        cli_error("Failed to join any nodes.");
        return CLI_FAILED;
    }
    (void)printf("Successfully joined cluster by contacting %d nodes.\n", joined);
    return CLI_DONE;
}

/* A command without words: PUT `path`, then say `done`. */
static int order(const struct cli_command *self, const struct cli_parsed *parsed,
                 const char *path, const char *done)
{
    char what[64];

    if (parsed->word_count > 0) {
        return cli_misuse(self, "takes no words");
    }
    (void)snprintf(what, sizeof what, "Error: %s", self->name);
    if (cli_put(&parsed->client, path, NULL, what) != RC_OK) {
        return CLI_FAILED;
    }
    (void)printf("%s\n", done);
    return CLI_DONE;
}

int leave_run(const struct cli_command *self, int count, char **words)
{
    bool force = false;
    const struct cli_flag flags[] = {
        {"force", CLI_SWITCH, &force, NULL,
         "even from the primary of a PostgreSQL cluster that nobody can take over"},
    };
    struct cli_parsed parsed;

    int err = cli_parse(self, flags, 1, count, words, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    return order(self, &parsed, force ? "/v1/agent/leave?force" : "/v1/agent/leave",
                 "Graceful leave complete");
}

int reload_run(const struct cli_command *self, int count, char **words)
{
    struct cli_parsed parsed;

    int err = cli_parse(self, NULL, 0, count, words, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    return order(self, &parsed, "/v1/agent/reload", "Configuration reload triggered");
}

int force_leave_run(const struct cli_command *self, int count, char **words)
{
    bool prune = false;
    const struct cli_flag flags[] = {
        {"prune", CLI_SWITCH, &prune, NULL, "forget the member altogether"},
    };
    struct cli_parsed parsed;
    struct rc_buffer path = {0};

    int err = cli_parse(self, flags, 1, count, words, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    if (parsed.word_count != 1) {
        return cli_misuse(self, "wants the name of one node");
    }
    rc_buffer_text(&path, "/v1/agent/force-leave/");
    cli_escape(&path, parsed.words[0]);
    rc_buffer_text(&path, prune ? "?prune" : "");
    err = cli_put(&parsed.client, rc_buffer_string(&path), NULL, "Error force leaving");
    rc_buffer_fini(&path);
    return err == RC_OK ? CLI_DONE : CLI_FAILED;
}
