#include <stdio.h>

#include "agent/cli/columns.h"
#include "agent/cli/commands.h"
#include "agent/cli/flags.h"
#include "base/err.h"

int version_run(const struct cli_command *self, int count, char **words)
{
    const char *format_text = NULL;
    const struct cli_flag flags[] = {
        {"format", CLI_TEXT, &format_text, "FORMAT", "table (default) or json"},
    };
    struct cli_parsed parsed;
    enum cli_format format;

    int err = cli_parse(self, flags, 1, count, words, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    if (parsed.word_count > 0 || cli_format_parse(format_text, &format) != RC_OK) {
        return cli_misuse(self, parsed.word_count > 0 ? "takes no words"
                                                      : "-format is table or json");
    }
    if (format == CLI_FORMAT_JSON) {
        json_t *facts =
            json_pack("{s:s, s:s}", "Version", cli_version, "Revision", cli_revision);
        cli_print_json(facts);
        json_decref(facts);
    } else {
        (void)printf("rollcall v%s%s%s\n", cli_version,
                     cli_revision[0] != '\0' ? "\nRevision " : "", cli_revision);
    }
    return CLI_DONE;
}
