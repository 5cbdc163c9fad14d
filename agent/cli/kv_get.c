/* kv get: one value, a table of a pair, or what stands under a prefix. */
#include <stdio.h>
#include <string.h>

#include "agent/cli/client.h"
#include "agent/cli/columns.h"
#include "agent/cli/flags.h"
#include "agent/cli/kv.h"
#include "agent/cli/say.h"
#include "base/err.h"
#include "base/json_read.h"
#include "base/text.h"

struct get {
    bool recurse;
    bool keys;
    bool detailed;
    bool base64;
    const char *separator;
    const char *key;
};

/* The value's own bytes go to a pipe or file as they are. */
static int write_value(const struct get *get, const json_t *pair)
{
    const char *base64 = rc_json_read_text(pair, "Value");
    struct rc_buffer bytes = {0};

    if (get->base64) {
        (void)fputs(base64, stdout);
        return RC_OK;
    }
    int err = kv_decode(base64, &bytes);
    if (err == RC_OK && bytes.size > 0) {
        (void)fwrite(bytes.bytes, 1, bytes.size, stdout);
    }
    rc_buffer_fini(&bytes);
    return err;
}

static void print_number(const json_t *pair, const char *name)
{
    (void)printf("%-16s %llu\n", name,
                 (unsigned long long)json_integer_value(json_object_get(pair, name)));
}

static int print_detailed(const struct get *get, const json_t *pair)
{
    const char *session = rc_json_read_text(pair, "Session");

    print_number(pair, "CreateIndex");
    print_number(pair, "Flags");
    (void)printf("%-16s %s\n", "Key", rc_json_read_text(pair, "Key"));
    print_number(pair, "LockIndex");
    print_number(pair, "ModifyIndex");
    (void)printf("%-16s %s\n", "Session", session[0] != '\0' ? session : "-");
    if (session[0] != '\0' && json_object_get(pair, "Term") != NULL) {
        print_number(pair, "Term");
    }
    (void)printf("%-16s ", "Value");
    int err = write_value(get, pair);
    (void)printf("\n");
    return err;
}

static int print_pairs(const struct get *get, const json_t *pairs)
{
    size_t i;
    const json_t *pair;
    int err = RC_OK;

    json_array_foreach(pairs, i, pair)
    {
        if (get->detailed) {
            (void)printf("%s", i > 0 ? "\n" : "");
            err = print_detailed(get, pair);
        } else {
            (void)printf("%s:", rc_json_read_text(pair, "Key"));
            err = write_value(get, pair);
            (void)printf("\n");
        }
        if (err != RC_OK) {
            cli_error("Error! the value of %s is not base64",
                      rc_json_read_text(pair, "Key"));
            return err;
        }
    }
    return RC_OK;
}

static int print_keys(const json_t *keys)
{
    size_t i;
    const json_t *key;

    json_array_foreach(keys, i, key)
    {
        (void)printf("%s\n",
                     json_string_value(key) != NULL ? json_string_value(key) : "");
    }
    return RC_OK;
}

static int print(const struct get *get, const json_t *found)
{
    if (get->keys) {
        return print_keys(found);
    }
    if (get->recurse) {
        return print_pairs(get, found);
    }
    const json_t *pair = json_array_get(found, 0);
    if (get->detailed) {
        return print_detailed(get, pair);
    }
    int err = write_value(get, pair);
    (void)printf("\n");
    return err;
}

static int get_found(const struct cli_client_flags *client, const struct get *get)
{
    struct rc_buffer path = {0};
    struct cli_answer answer;
    int result = CLI_FAILED;

    kv_path(&path, get->key);
    if (get->recurse) {
        kv_parameter(&path, "recurse", NULL);
    }
    if (get->keys) {
        kv_parameter(&path, "keys", NULL);
        kv_parameter(&path, "separator", get->separator);
    }
    if (client->stale) {
        kv_parameter(&path, "stale", NULL);
    }
    const struct cli_request request = {.method = "GET", .path = rc_buffer_string(&path)};
    int err = cli_ask(client, &request, &answer);
    if (err == RC_OK) {
        json_t *found = kv_load(answer.body.bytes, answer.body.size, NULL);
        result = found != NULL && print(get, found) == RC_OK ? CLI_DONE : CLI_FAILED;
        json_decref(found);
    } else if (answer.status == 404 && (get->recurse || get->keys)) {
        result = CLI_DONE; /* nothing under the prefix: an empty list */
    } else if (answer.status == 404 && answer.body.size == 0) {
        cli_error("Error! No key exists at: %s", get->key);
    } else {
        cli_error("Error querying: %s", answer.error);
    }
    rc_buffer_fini(&answer.body);
    rc_buffer_fini(&path);
    return result;
}

int kv_command_get(const struct cli_command *self, int count, char **words)
{
    struct get get = {.separator = "/"};
    const struct cli_flag flags[] = {
        {"recurse", CLI_SWITCH, &get.recurse, NULL, "all pairs with this prefix"},
        {"keys", CLI_SWITCH, &get.keys, NULL, "only the names, cut at the separator"},
        {"separator", CLI_TEXT, &get.separator, "TEXT", "for -keys; default /"},
        {"detailed", CLI_SWITCH, &get.detailed, NULL, "with indexes, flags and session"},
        {"base64", CLI_SWITCH, &get.base64, NULL, "print values in base64"},
    };
    struct cli_parsed parsed;

    int err =
        cli_parse(self, flags, sizeof flags / sizeof flags[0], count, words, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    get.key = parsed.word_count > 0 ? parsed.words[0] : "";
    bool one = !get.recurse && !get.keys;
    if (parsed.word_count > 1 || (one && get.key[0] == '\0')) {
        return cli_misuse(self, "get wants one key");
    }
    return get_found(&parsed.client, &get);
}
