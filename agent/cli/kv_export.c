/* kv export and import: pairs as JSON, in Consul's form. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/client.h"
#include "agent/cli/flags.h"
#include "agent/cli/kv.h"
#include "agent/cli/say.h"
#include "base/err.h"

static json_t *exported(const json_t *pairs)
{
    json_t *out = json_array();
    size_t i;
    json_t *pair;

    json_array_foreach((json_t *)pairs, i, pair)
    {
        const char *value = json_string_value(json_object_get(pair, "Value"));
        json_t *one = json_object();
        (void)json_object_set(one, "key", json_object_get(pair, "Key"));
        (void)json_object_set(one, "flags", json_object_get(pair, "Flags"));
        (void)json_object_set_new(one, "value", json_string(value != NULL ? value : ""));
        (void)json_array_append_new(out, one);
    }
    return out;
}

/* Indented by tabs, as Consul prints it. */
static void print_exported(const json_t *list)
{
    char *text = json_dumps(list, JSON_INDENT(1) | JSON_PRESERVE_ORDER);

    for (const char *line = text; line != NULL && *line != '\0';) {
        size_t depth = strspn(line, " ");
        size_t length = strcspn(line, "\n");
        (void)printf("%.*s", (int)depth, "\t\t\t\t");
        kv_print_line(line + depth, length - depth);
        line += length + (line[length] == '\n');
    }
    free(text);
}

int kv_command_export(const struct cli_command *self, int count, char **words)
{
    struct cli_parsed parsed;
    struct cli_answer answer;
    struct rc_buffer path = {0};
    json_t *found = NULL;

    int err = cli_parse(self, NULL, 0, count, words, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    if (parsed.word_count > 1) {
        return cli_misuse(self, "export takes one prefix");
    }
    kv_path(&path, parsed.word_count > 0 ? parsed.words[0] : "");
    kv_parameter(&path, "recurse", NULL);
    if (parsed.client.stale) {
        kv_parameter(&path, "stale", NULL);
    }
    const struct cli_request request = {.method = "GET", .path = rc_buffer_string(&path)};
    err = cli_ask(&parsed.client, &request, &answer);
    if (err == RC_OK) {
        found = kv_load(answer.body.bytes, answer.body.size, NULL);
    } else if (answer.status == 404 && answer.body.size == 0) {
        found = json_array();
    } else {
        cli_error("Error querying: %s", answer.error);
    }
    if (found != NULL) {
        json_t *list = exported(found);
        print_exported(list);
        json_decref(list);
    }
    int result = found != NULL ? CLI_DONE : CLI_FAILED;
    json_decref(found);
    rc_buffer_fini(&answer.body);
    rc_buffer_fini(&path);
    return result;
}

/* ---- import */

/* Consul writes "key"; whoever writes such files by hand may use its other spelling. */
static const json_t *field(const json_t *pair, const char *lower, const char *upper)
{
    const json_t *value = json_object_get(pair, lower);
    return value != NULL ? value : json_object_get(pair, upper);
}

static int import_one(const struct cli_client_flags *client, const json_t *pair,
                      const char *prefix)
{
    const char *key = json_string_value(field(pair, "key", "Key"));
    struct rc_buffer whole = {0};
    struct rc_buffer value = {0};
    struct rc_buffer path = {0};
    struct cli_answer answer = {0};
    char flags[24];

    if (key == NULL) {
        cli_error("Error! a pair has no key");
        return RC_EMALFORMED;
    }
    int err = kv_decode(json_string_value(field(pair, "value", "Value")), &value);
    if (err != RC_OK) {
        cli_error("Error! the value of %s is not base64", key);
        rc_buffer_fini(&value);
        return err;
    }
    rc_buffer_format(&whole, "%s%s", prefix, key);
    kv_path(&path, rc_buffer_string(&whole));
    (void)snprintf(flags, sizeof flags, "%llu",
                   (unsigned long long)json_integer_value(field(pair, "flags", "Flags")));
    kv_parameter(&path, "flags", flags);
    const struct cli_request request = {.method = "PUT",
                                        .path = rc_buffer_string(&path),
                                        .body = rc_buffer_string(&value),
                                        .body_size = value.size};
    err = cli_ask(client, &request, &answer);
    if (err != RC_OK) {
        cli_error("Error! Failed writing data for key %s: %s", key, answer.error);
    } else {
        (void)printf("Imported: %s\n", rc_buffer_string(&whole));
    }
    rc_buffer_fini(&answer.body);
    rc_buffer_fini(&path);
    rc_buffer_fini(&value);
    rc_buffer_fini(&whole);
    return err;
}

static int import_all(const struct cli_client_flags *client, const char *given,
                      const char *prefix)
{
    struct rc_buffer text = {0};
    json_error_t why;
    size_t i;
    const json_t *pair;

    int err = kv_take_value(given, &text);
    if (err != RC_OK) {
        rc_buffer_fini(&text);
        return err;
    }
    json_t *pairs = kv_load(rc_buffer_string(&text), text.size, &why);
    rc_buffer_fini(&text);
    if (!json_is_array(pairs)) {
        cli_error("Error! Cannot unmarshal data: %s",
                  pairs == NULL ? why.text : "a list of pairs is wanted");
        json_decref(pairs);
        return RC_EMALFORMED;
    }
    json_array_foreach(pairs, i, pair)
    {
        err = import_one(client, pair, prefix);
        if (err != RC_OK) {
            break;
        }
    }
    json_decref(pairs);
    return err;
}

int kv_command_import(const struct cli_command *self, int count, char **words)
{
    const char *prefix = "";
    const struct cli_flag flags[] = {
        {"prefix", CLI_TEXT, &prefix, "TEXT", "put before every key"},
    };
    struct cli_parsed parsed;

    int err =
        cli_parse(self, flags, sizeof flags / sizeof flags[0], count, words, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    if (parsed.word_count != 1) {
        return cli_misuse(self,
                          "import wants DATA: JSON, @FILE, or - for standard input");
    }
    return import_all(&parsed.client, parsed.words[0], prefix) == RC_OK ? CLI_DONE
                                                                        : CLI_FAILED;
}
