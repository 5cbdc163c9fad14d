#include <stdio.h>

#include "agent/cli/client.h"
#include "agent/cli/commands.h"
#include "agent/cli/flags.h"
#include "agent/cli/say.h"
#include "base/err.h"

static bool print_piece(void *context, const char *bytes, size_t size)
{
    (void)context;
    return fwrite(bytes, 1, size, stdout) == size && fflush(stdout) == 0;
}

int monitor_run(const struct cli_command *self, int count, char **words)
{
    const char *level = "info";
    bool json = false;
    const struct cli_flag flags[] = {
        {"log-level", CLI_TEXT, &level, "LEVEL",
         "trace, debug, info (default), warn, error"},
        {"log-json", CLI_SWITCH, &json, NULL, "each line a JSON object"},
    };
    struct cli_parsed parsed;
    struct cli_answer answer;
    struct rc_buffer path = {0};

    int err =
        cli_parse(self, flags, sizeof flags / sizeof flags[0], count, words, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    if (parsed.word_count > 0) {
        return cli_misuse(self, "takes no words");
    }
    rc_buffer_text(&path, "/v1/agent/monitor?loglevel=");
    cli_escape(&path, level);
    rc_buffer_text(&path, json ? "&logjson" : "");
    const struct cli_request request = {
        .method = "GET", .path = rc_buffer_string(&path), .piece = print_piece};
    err = cli_ask(&parsed.client, &request, &answer);
    if (err != RC_OK && !ferror(stdout)) { /* `monitor | head` is no error to tell */
        cli_error("Error following the log: %s", answer.error);
    }
    rc_buffer_fini(&answer.body);
    rc_buffer_fini(&path);
    return err == RC_OK ? CLI_DONE : CLI_FAILED;
}
