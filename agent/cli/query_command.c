/* query: asks the pool, with Serf's flags and output. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/client.h"
#include "agent/cli/columns.h"
#include "agent/cli/commands.h"
#include "agent/cli/flags.h"
#include "agent/cli/say.h"
#include "base/err.h"
#include "base/text.h"

struct question {
    struct cli_list nodes;
    struct cli_list tags;
    const char *timeout;
    const char *relay;
    bool no_ack;
};

static void add_list(struct rc_buffer *path, const char *name,
                     const struct cli_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        rc_buffer_format(path, "&%s=", name);
        cli_escape(path, list->items[i]);
    }
}

static void write_path(struct rc_buffer *path, const struct question *question,
                       const char *name)
{
    rc_buffer_text(path, "/v1/agent/query/");
    cli_escape(path, name);
    rc_buffer_text(path, "?timeout=");
    cli_escape(path, question->timeout != NULL ? question->timeout : "");
    rc_buffer_text(path, question->no_ack ? "&no-ack" : "");
    if (question->relay != NULL) {
        rc_buffer_text(path, "&relay=");
        cli_escape(path, question->relay);
    }
    add_list(path, "node", &question->nodes);
    add_list(path, "tag", &question->tags);
}

/* The payload as text, owned by the caller; "" for null. A NUL in it ends it. */
static char *payload_of(const json_t *response)
{
    const char *text = json_string_value(json_object_get(response, "Payload"));
    size_t size = text != NULL ? strlen(text) : 0;
    size_t got = 0;
    uint8_t *bytes = calloc(1, size + 1);

    if (bytes != NULL && size > 0 &&
        rc_text_from_base64(text, bytes, size, &got) != RC_OK) {
        bytes[0] = '\0';
    }
    return (char *)bytes;
}

static const char *from_of(const json_t *response)
{
    const char *from = json_string_value(json_object_get(response, "From"));
    return from != NULL ? from : "";
}

/* Prints and frees `text`, with a line end and without what would move the cursor. */
static void print_clean(char *text)
{
    if (text != NULL) {
        cli_clean(text, CLI_MANY_LINES);
        (void)printf("%s%s", text, rc_text_ends_with(text, "\n") ? "" : "\n");
    }
    free(text);
}

static void print_table(const json_t *answer, bool with_acks)
{
    const json_t *acks = json_object_get(answer, "Acks");
    const json_t *responses = json_object_get(answer, "Responses");
    const json_t *item;
    size_t index;

    json_array_foreach(acks, index, item)
    {
        print_clean(rc_text_format("Ack from '%s'", json_string_value(item)));
    }
    json_array_foreach(responses, index, item)
    {
        char *payload = payload_of(item);
        print_clean(rc_text_format("Response from '%s': %s", from_of(item),
                                   payload != NULL ? payload : ""));
        free(payload);
    }
    if (with_acks) {
        (void)printf("Total Acks: %zu\n", json_array_size(acks));
    }
    (void)printf("Total Responses: %zu\n", json_array_size(responses));
}

/* Serf's: {"Acks": [...], "Responses": {"name": "payload"}}. */
static void print_json(const json_t *answer)
{
    json_t *out = json_object();
    json_t *named = json_object();
    const json_t *item;
    size_t index;

    json_array_foreach(json_object_get(answer, "Responses"), index, item)
    {
        char *payload = payload_of(item);
        json_t *text = payload != NULL ? json_string(payload) : NULL;
        if (text == NULL) { /* not UTF-8: as it came, in base64 */
            text = json_incref(json_object_get(item, "Payload"));
        }
        (void)json_object_set_new(named, from_of(item), text);
        free(payload);
    }
    (void)json_object_set(out, "Acks", json_object_get(answer, "Acks"));
    (void)json_object_set_new(out, "Responses", named);
    cli_print_json(out);
    json_decref(out);
}

static int ask(const struct cli_parsed *parsed, const struct question *question,
               enum cli_format format)
{
    const char *name = parsed->words[0];
    struct rc_buffer path = {0};
    json_t *answer = NULL;

    write_path(&path, question, name);
    if (format == CLI_FORMAT_TABLE) {
        print_clean(rc_text_format("Query '%s' dispatched", name));
        (void)fflush(stdout);
    }
    int err = cli_put_json(&parsed->client, rc_buffer_string(&path),
                           parsed->word_count > 1 ? parsed->words[1] : NULL,
                           "Error sending query", &answer);
    if (err == RC_OK && format == CLI_FORMAT_JSON) {
        print_json(answer);
    } else if (err == RC_OK) {
        print_table(answer, !question->no_ack);
    }
    json_decref(answer);
    rc_buffer_fini(&path);
    return err == RC_OK ? CLI_DONE : CLI_FAILED;
}

int query_run(const struct cli_command *self, int count, char **words)
{
    struct question question = {.timeout = NULL};
    const char *format_text = NULL;
    enum cli_format format = CLI_FORMAT_TABLE;
    const struct cli_flag flags[] = {
        {"node", CLI_LIST, &question.nodes, "NAME", "ask only these; may be repeated"},
        {"tag", CLI_LIST, &question.tags, "KEY=REGEX",
         "ask only those whose tag is such; may be repeated"},
        {"timeout", CLI_TEXT, &question.timeout, "DURATION",
         "how long to wait, such as 2s; default: by the size of the pool"},
        {"no-ack", CLI_SWITCH, &question.no_ack, NULL, "nobody acknowledges"},
        {"relay-factor", CLI_TEXT, &question.relay, "N",
         "answers also come by so many others, 0 to 5"},
        {"format", CLI_TEXT, &format_text, "FORMAT", "text (default) or json"},
    };
    struct cli_parsed parsed;

    int err =
        cli_parse(self, flags, sizeof flags / sizeof flags[0], count, words, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    if (parsed.word_count < 1 || parsed.word_count > 2 || parsed.words[0][0] == '\0') {
        return cli_misuse(self, parsed.word_count > 2 ? "wants one payload at most"
                                                      : "wants a name");
    }
    if (!rc_text_equals(format_text, "text") &&
        cli_format_parse(format_text, &format) != RC_OK) {
        return cli_misuse(self, "-format is text or json");
    }
    return ask(&parsed, &question, format);
}
