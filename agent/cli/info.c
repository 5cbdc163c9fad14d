#include <stdio.h>
#include <stdlib.h>

#include "agent/cli/client.h"
#include "agent/cli/columns.h"
#include "agent/cli/commands.h"
#include "agent/cli/flags.h"
#include "agent/cli/say.h"
#include "base/err.h"
#include "base/text.h"

static void print_section(const char *name, const json_t *section)
{
    const char *key;
    json_t *value;
    (void)printf("%s:\n", name);
    json_object_foreach((json_t *)section, key, value)
    {
        char *text = json_is_string(value)
                         ? rc_text_copy(json_string_value(value))
                         : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        if (text != NULL) {
            cli_clean(text, CLI_ONE_LINE);
            (void)printf("\t%s = %s\n", key, text);
        }
        free(text);
    }
}

int info_run(const struct cli_command *self, int count, char **words)
{
    const char *format_text = NULL;
    const struct cli_flag flags[] = {
        {"format", CLI_TEXT, &format_text, "FORMAT", "table (default) or json"},
    };
    struct cli_parsed parsed;
    enum cli_format format;
    json_t *self_facts = NULL;
    const char *name;
    json_t *section;

    int err = cli_parse(self, flags, 1, count, words, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    if (parsed.word_count > 0 || cli_format_parse(format_text, &format) != RC_OK) {
        return cli_misuse(self, parsed.word_count > 0 ? "takes no words"
                                                      : "-format is table or json");
    }
    if (cli_get_json(&parsed.client, "/v1/agent/self", "Error querying agent",
                     &self_facts) != RC_OK) {
        return CLI_FAILED;
    }
    json_t *stats = json_object_get(self_facts, "Stats");
    if (format == CLI_FORMAT_JSON) {
        cli_print_json(stats);
    } else {
        json_object_foreach(stats, name, section)
        {
            print_section(name, section);
        }
    }
    json_decref(self_facts);
    return CLI_DONE;
}
