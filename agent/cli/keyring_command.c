#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/client.h"
#include "agent/cli/columns.h"
#include "agent/cli/commands.h"
#include "agent/cli/flags.h"
#include "agent/cli/say.h"
#include "base/err.h"
#include "base/json.h"
#include "base/text.h"

enum { KEY_TEXT_MAX = 128 };

struct wish {
    bool list;
    bool list_primary;
    bool local_only;
    bool force;
    const char *install;
    const char *use;
    const char *remove;
    const char *relay_factor;
    const char *format;
};

/* ---- Changes. */

/* The key from standard input when it is given as "-". */
static int take_key(const char *given, char *out, size_t size)
{
    if (strcmp(given, "-") != 0) {
        return rc_text_put(out, size, given);
    }
    if (fgets(out, (int)size, stdin) == NULL) {
        return RC_EMALFORMED;
    }
    out[strcspn(out, "\r\n")] = '\0';
    return RC_OK;
}

static void write_path(const struct wish *wish, struct rc_buffer *path)
{
    const char *mark = "?";

    rc_buffer_text(path, "/v1/operator/keyring");
    if (wish->relay_factor != NULL) {
        rc_buffer_format(path, "%srelay-factor=", mark);
        cli_escape(path, wish->relay_factor);
        mark = "&";
    }
    if (wish->local_only) {
        rc_buffer_format(path, "%slocal-only=true", mark);
        mark = "&";
    }
    if (wish->force) {
        rc_buffer_format(path, "%sforce", mark);
    }
}

static int change(const struct cli_client_flags *client, const struct wish *wish,
                  const char *given, const char *method)
{
    char key[KEY_TEXT_MAX];
    struct rc_buffer body = {0};
    struct rc_buffer path = {0};
    struct rc_json json = rc_json_over(&body, 0);
    struct cli_answer answer = {0};

    int err = take_key(given, key, sizeof key);
    if (err != RC_OK) {
        cli_error("error: no key was given, or it is too long");
        return CLI_FAILED;
    }
    rc_json_object(&json);
    rc_json_put_string(&json, "Key", key);
    rc_json_object_end(&json);
    write_path(wish, &path);
    const struct cli_request request = {.method = method,
                                        .path = rc_buffer_string(&path),
                                        .body = rc_buffer_string(&body)};
    err = cli_ask(client, &request, &answer);
    if (err != RC_OK) {
        /* The answer may have many lines, which the one-line error would run together. */
        char *text =
            answer.status > 0 ? rc_text_copy(rc_buffer_string(&answer.body)) : NULL;
        cli_clean(text != NULL ? text : answer.error, CLI_MANY_LINES);
        (void)fprintf(stderr, "error: %s\n", text != NULL ? text : answer.error);
        free(text);
    } else if (answer.body.size > 0) {
        char *text = rc_text_copy(rc_buffer_string(&answer.body));
        if (text != NULL) {
            cli_clean(text, CLI_MANY_LINES);
            (void)fputs(text, stderr);
        }
        free(text);
    }
    explicit_bzero(key, sizeof key);
    rc_buffer_fini(&answer.body);
    rc_buffer_fini(&body);
    rc_buffer_fini(&path);
    return err == RC_OK ? CLI_DONE : CLI_FAILED;
}

/* ---- Lists. */

static void print_pairs(const json_t *object, const char *between, const json_t *total)
{
    const char **keys = cli_sorted_keys(object);

    for (size_t i = 0; keys[i] != NULL; i++) {
        const json_t *value = json_object_get(object, keys[i]);
        if (json_is_integer(value)) {
            (void)printf("  %s [%lld/%lld]\n", keys[i],
                         (long long)json_integer_value(value),
                         (long long)json_integer_value(total));
        } else if (json_is_string(value)) {
            char *text =
                rc_text_format("  %s%s%s", keys[i], between, json_string_value(value));
            if (text != NULL) {
                cli_clean(text, CLI_ONE_LINE);
                (void)printf("%s\n", text);
            }
            free(text);
        }
    }
    free(keys);
}

static void print_ring(const json_t *ring, bool primary)
{
    const json_t *messages = json_object_get(ring, "Messages");
    const char *datacenter = json_string_value(json_object_get(ring, "Datacenter"));

    if (json_is_true(json_object_get(ring, "WAN"))) {
        (void)printf("\nWAN:\n");
    } else {
        (void)printf("\n%s (LAN):\n", datacenter != NULL ? datacenter : "");
    }
    print_pairs(json_object_get(ring, primary ? "PrimaryKeys" : "Keys"), "",
                json_object_get(ring, "NumNodes"));
    if (json_object_size(messages) > 0) {
        (void)printf("\n  Messages:\n");
        print_pairs(messages, ": ", NULL);
    }
}

static int list(const struct cli_client_flags *client, const struct wish *wish)
{
    struct rc_buffer path = {0};
    enum cli_format format = CLI_FORMAT_TABLE;
    json_t *rings = NULL;
    size_t index;
    const json_t *ring;

    (void)cli_format_parse(wish->format, &format); /* was tested */
    if (format == CLI_FORMAT_TABLE) {
        (void)printf("==> Gathering installed %sencryption keys...\n",
                     wish->list_primary ? "primary " : "");
        (void)fflush(stdout);
    }
    write_path(wish, &path);
    int err = cli_get_json(client, rc_buffer_string(&path), "error", &rings);
    rc_buffer_fini(&path);
    if (err != RC_OK) {
        return CLI_FAILED;
    }
    if (format == CLI_FORMAT_JSON) {
        cli_print_json(rings);
    } else {
        json_array_foreach(rings, index, ring)
        {
            print_ring(ring, wish->list_primary);
        }
    }
    json_decref(rings);
    return CLI_DONE;
}

/* ---- The command. */

static const char *misuse_of(const struct wish *wish)
{
    enum cli_format format;
    int count = wish->list + wish->list_primary + (wish->install != NULL) +
                (wish->use != NULL) + (wish->remove != NULL);

    if (count != 1) {
        return "wants exactly one of -list, -list-primary, -install, -use and -remove";
    }
    if (wish->local_only && !wish->list && !wish->list_primary) {
        return "-local-only goes with -list and -list-primary";
    }
    if (wish->force && wish->use == NULL && wish->remove == NULL) {
        return "-force goes with -use and -remove";
    }
    return cli_format_parse(wish->format, &format) != RC_OK ? "-format is table or json"
                                                            : NULL;
}

static int carry_out(const struct cli_client_flags *client, const struct wish *wish)
{
    if (wish->install != NULL) {
        (void)printf("==> Installing new gossip encryption key...\n");
        (void)fflush(stdout);
        return change(client, wish, wish->install, "POST");
    }
    if (wish->use != NULL) {
        (void)printf("==> Changing primary gossip encryption key...\n");
        (void)fflush(stdout);
        return change(client, wish, wish->use, "PUT");
    }
    if (wish->remove != NULL) {
        (void)printf("==> Removing gossip encryption key...\n");
        (void)fflush(stdout);
        return change(client, wish, wish->remove, "DELETE");
    }
    return list(client, wish);
}

int keyring_run(const struct cli_command *self, int count, char **words)
{
    struct wish wish = {.list = false};
    const struct cli_flag flags[] = {
        {"list", CLI_SWITCH, &wish.list, NULL, "all keys, and how many nodes hold each"},
        {"list-primary", CLI_SWITCH, &wish.list_primary, NULL,
         "the keys that nodes encrypt with"},
        {"install", CLI_TEXT, &wish.install, "KEY",
         "give all nodes a key to decrypt with"},
        {"use", CLI_TEXT, &wish.use, "KEY", "let all nodes encrypt with this key"},
        {"remove", CLI_TEXT, &wish.remove, "KEY", "take a key from all nodes"},
        {"force", CLI_SWITCH, &wish.force, NULL,
         "even if members that are away will be lost by it"},
        {"relay-factor", CLI_TEXT, &wish.relay_factor, "N",
         "members that pass each answer on besides, 0 to 5"},
        {"local-only", CLI_SWITCH, &wish.local_only, NULL, "ask this agent only"},
        {"format", CLI_TEXT, &wish.format, "FORMAT",
         "of a list: table (default) or json"},
    };
    struct cli_parsed parsed;

    int err =
        cli_parse(self, flags, sizeof flags / sizeof flags[0], count, words, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    const char *misuse = parsed.word_count > 0 ? "takes no words" : misuse_of(&wish);
    return misuse != NULL ? cli_misuse(self, misuse) : carry_out(&parsed.client, &wish);
}
