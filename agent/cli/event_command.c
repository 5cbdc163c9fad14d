/* event: fires a user event, with Consul's flags and output. */
#include <stdio.h>

#include "agent/cli/client.h"
#include "agent/cli/commands.h"
#include "agent/cli/flags.h"
#include "agent/cli/say.h"
#include "base/err.h"

static void add_filter(struct rc_buffer *path, const char *name, const char *text)
{
    if (text != NULL && text[0] != '\0') {
        rc_buffer_byte(path, path->size > 0 ? '&' : '?');
        rc_buffer_format(path, "%s=", name);
        cli_escape(path, text);
    }
}

static int fire(const struct cli_client_flags *client, const char *path,
                const char *payload)
{
    json_t *event = NULL;

    if (cli_put_json(client, path, payload, "Error firing event", &event) != RC_OK) {
        return CLI_FAILED;
    }
    const char *id = json_string_value(json_object_get(event, "ID"));
    (void)printf("Event ID: %s\n", id != NULL ? id : "");
    json_decref(event);
    return CLI_DONE;
}

int event_run(const struct cli_command *self, int count, char **words)
{
    const char *name = NULL;
    const char *node = NULL;
    const char *service = NULL;
    const char *tag = NULL;
    const struct cli_flag flags[] = {
        {"name", CLI_TEXT, &name, "NAME", "of the event; or the first word"},
        {"node", CLI_TEXT, &node, "REGEX", "only for nodes of such names"},
        {"service", CLI_TEXT, &service, "REGEX", "only for nodes with such a service"},
        {"tag", CLI_TEXT, &tag, "REGEX", "only where that service has such a tag"},
    };
    struct cli_parsed parsed;
    struct rc_buffer filters = {0};
    struct rc_buffer path = {0};
    int next = 0;

    int err =
        cli_parse(self, flags, sizeof flags / sizeof flags[0], count, words, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    if (name == NULL && parsed.word_count > 0) {
        name = parsed.words[next++];
    }
    if (name == NULL || name[0] == '\0' || parsed.word_count > next + 1) {
        return cli_misuse(self, parsed.word_count > next + 1 ? "wants one payload at most"
                                                             : "wants a name");
    }
    add_filter(&filters, "node", node);
    add_filter(&filters, "service", service);
    add_filter(&filters, "tag", tag);
    rc_buffer_text(&path, "/v1/event/fire/");
    cli_escape(&path, name);
    rc_buffer_text(&path, rc_buffer_string(&filters));
    int result = fire(&parsed.client, rc_buffer_string(&path),
                      parsed.word_count > next ? parsed.words[next] : NULL);
    rc_buffer_fini(&filters);
    rc_buffer_fini(&path);
    return result;
}
