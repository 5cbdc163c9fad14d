#include "agent/cli/flags.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/cli/say.h"
#include "base/err.h"
#include "base/text.h"

enum { NAME_MAX_BYTES = 64, CLIENT_FLAG_COUNT = 9 };

/* Where flags may stand. */
enum flag_places { FLAGS_ANYWHERE, FLAGS_BEFORE_WORDS };

struct flag_set {
    const struct cli_flag *own;
    size_t own_count;
    struct cli_flag client[CLIENT_FLAG_COUNT];
    enum flag_places places;
};

static void client_flags(struct cli_client_flags *to,
                         struct cli_flag out[CLIENT_FLAG_COUNT])
{
    const struct cli_flag flags[CLIENT_FLAG_COUNT] = {
        {"http-addr", CLI_TEXT, &to->http_addr, "ADDR",
         "the agent: host:port, http://, https:// or unix:// (CONSUL_HTTP_ADDR)"},
        {"token", CLI_TEXT, &to->token, "TOKEN",
         "sent with the request (ROLLCALL_HTTP_TOKEN, CONSUL_HTTP_TOKEN)"},
        {"token-file", CLI_TEXT, &to->token_file, "FILE",
         "file that holds the token (CONSUL_HTTP_TOKEN_FILE)"},
        {"ca-file", CLI_TEXT, &to->ca_file, "FILE",
         "certificates that may sign the agent's (CONSUL_CACERT)"},
        {"ca-path", CLI_TEXT, &to->ca_path, "FOLDER", "a folder of such (CONSUL_CAPATH)"},
        {"client-cert", CLI_TEXT, &to->client_cert, "FILE",
         "our certificate (CONSUL_CLIENT_CERT)"},
        {"client-key", CLI_TEXT, &to->client_key, "FILE", "its key (CONSUL_CLIENT_KEY)"},
        {"datacenter", CLI_TEXT, &to->datacenter, "NAME", "ask about this datacenter"},
        {"stale", CLI_SWITCH, &to->stale, NULL,
         "of the store: what the server at hand knows, at once"},
    };
    memcpy(out, flags, sizeof flags);
}

static const char *environment(const char *name)
{
    const char *value = getenv(name); // NOLINT(concurrency-mt-unsafe): one thread
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static int set_switch(bool *place, const char *value)
{
    if (value == NULL || rc_text_equals(value, "true") || rc_text_equals(value, "1")) {
        *place = true;
        return RC_OK;
    }
    *place = false;
    return rc_text_equals(value, "false") || rc_text_equals(value, "0") ? RC_OK
                                                                        : RC_EINVAL;
}

/* RC_OK, or RC_EINVAL after telling which variable is wrong. */
static int take_switch(const char *name, bool *place)
{
    const char *value = environment(name);
    if (value == NULL || set_switch(place, value) == RC_OK) {
        return RC_OK;
    }
    cli_error("%s wants true or false, not \"%s\"", name, value);
    return RC_EINVAL;
}

static int take_environment(struct cli_client_flags *client)
{
    const struct {
        const char *name;
        const char **place;
    } variables[] = {
        {"CONSUL_HTTP_ADDR", &client->http_addr},
        {"CONSUL_HTTP_TOKEN", &client->token},
        {"ROLLCALL_HTTP_TOKEN", &client->token},
        {"CONSUL_HTTP_TOKEN_FILE", &client->token_file},
        {"CONSUL_HTTP_AUTH", &client->auth},
        {"CONSUL_CACERT", &client->ca_file},
        {"CONSUL_CAPATH", &client->ca_path},
        {"CONSUL_CLIENT_CERT", &client->client_cert},
        {"CONSUL_CLIENT_KEY", &client->client_key},
    };
    bool verify = true;

    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        const char *value = environment(variables[i].name);
        if (value != NULL) {
            *variables[i].place = value;
        }
    }
    int err = take_switch("CONSUL_HTTP_SSL", &client->tls);
    if (err == RC_OK) {
        err = take_switch("CONSUL_HTTP_SSL_VERIFY", &verify);
    }
    client->tls_unverified = !verify;
    return err;
}

static const struct cli_flag *find(const struct flag_set *set, const char *name)
{
    for (size_t i = 0; i < set->own_count; i++) {
        if (rc_text_equals(set->own[i].name, name)) {
            return &set->own[i];
        }
    }
    for (size_t i = 0; i < CLIENT_FLAG_COUNT; i++) {
        if (rc_text_equals(set->client[i].name, name)) {
            return &set->client[i];
        }
    }
    return NULL;
}

static int set_flag(const struct cli_flag *flag, const char *value)
{
    struct cli_list *list = flag->place;
    switch (flag->kind) {
    case CLI_SWITCH:
        return set_switch(flag->place, value);
    case CLI_TEXT:
        *(const char **)flag->place = value;
        return RC_OK;
    case CLI_LIST:
        if (list->count == CLI_LIST_MAX) {
            return RC_ETOOBIG;
        }
        list->items[list->count++] = value;
        return RC_OK;
    }
    return RC_EINVAL;
}

static void print_flags(const char *title, const struct cli_flag *flags, size_t count)
{
    if (count > 0) {
        (void)printf("\n%s\n", title);
    }
    for (size_t i = 0; i < count; i++) {
        char name[NAME_MAX_BYTES];
        (void)snprintf(name, sizeof name, "-%s%s%s", flags[i].name,
                       flags[i].value != NULL ? " " : "",
                       flags[i].value != NULL ? flags[i].value : "");
        (void)printf("  %-26s %s\n", name, flags[i].meaning);
    }
}

static void print_help(const struct cli_command *command, const struct flag_set *set)
{
    (void)printf("%s", command->usage);
    print_flags("Flags:", set->own, set->own_count);
    print_flags("How the agent is reached:", set->client, CLIENT_FLAG_COUNT);
}

/* Reads the flag in words[*at], and its value, which may be the next word. */
static int read_flag(const struct cli_command *command, const struct flag_set *set,
                     int count, char **words, int *at)
{
    char name[NAME_MAX_BYTES];
    const char *text = words[*at] + (words[*at][1] == '-' ? 2 : 1);
    const char *value = strchr(text, '=');
    size_t size = value != NULL ? (size_t)(value - text) : strlen(text);
    const struct cli_flag *flag = NULL;

    if (size < sizeof name) {
        memcpy(name, text, size);
        name[size] = '\0';
        flag = find(set, name);
    }
    if (flag == NULL) {
        cli_error("rollcall %s: no such flag: %s", command->name, words[*at]);
        return RC_EINVAL;
    }
    value = value != NULL ? value + 1 : NULL;
    if (value == NULL && flag->kind != CLI_SWITCH) {
        if (*at + 1 >= count) {
            cli_error("rollcall %s: -%s wants a value", command->name, name);
            return RC_EINVAL;
        }
        value = words[++*at];
    }
    int err = set_flag(flag, value);
    if (err != RC_OK) {
        cli_error("rollcall %s: -%s: %s", command->name, name,
                  err == RC_ETOOBIG ? "given too often" : "wants true or false");
    }
    return err == RC_OK ? RC_OK : RC_EINVAL;
}

static bool asks_for_help(const char *word)
{
    return rc_text_equals(word, "-h") || rc_text_equals(word, "-help") ||
           rc_text_equals(word, "--help");
}

/* All behind words[at] are words. */
static int take_rest(int count, char **words, int at, struct cli_parsed *out)
{
    while (++at < count) {
        words[out->word_count++] = words[at];
    }
    return RC_OK;
}

static int parse(const struct cli_command *command, struct flag_set *set, int count,
                 char **words, struct cli_parsed *out)
{
    memset(out, 0, sizeof *out);
    out->client.http_addr = "127.0.0.1:8500";
    client_flags(&out->client, set->client);
    out->words = words;
    if (take_environment(&out->client) != RC_OK) {
        return RC_EINVAL;
    }
    for (int i = 0; i < count; i++) {
        if (asks_for_help(words[i])) {
            print_help(command, set);
            return RC_ECLOSED;
        }
        if (rc_text_equals(words[i], "--")) {
            return take_rest(count, words, i, out);
        }
        if (words[i][0] != '-' || words[i][1] == '\0') {
            words[out->word_count++] = words[i];
            if (set->places == FLAGS_BEFORE_WORDS) {
                return take_rest(count, words, i, out);
            }
            continue;
        }
        int err = read_flag(command, set, count, words, &i);
        if (err != RC_OK) {
            (void)fprintf(stderr, "See: rollcall %s -help\n", command->name);
            return err;
        }
    }
    return RC_OK;
}

int cli_parse(const struct cli_command *command, const struct cli_flag *flags,
              size_t flag_count, int count, char **words, struct cli_parsed *out)
{
    struct flag_set set = {.own = flags, .own_count = flag_count};
    return parse(command, &set, count, words, out);
}

int cli_parse_until_word(const struct cli_command *command, const struct cli_flag *flags,
                         size_t flag_count, int count, char **words,
                         struct cli_parsed *out)
{
    struct flag_set set = {
        .own = flags, .own_count = flag_count, .places = FLAGS_BEFORE_WORDS};
    return parse(command, &set, count, words, out);
}

int cli_parse_exit(int err)
{
    return err == RC_ECLOSED ? CLI_DONE : CLI_USAGE;
}

int cli_misuse(const struct cli_command *command, const char *text)
{
    cli_error("rollcall %s: %s\nSee: rollcall %s -help", command->name, text,
              command->name);
    return CLI_USAGE;
}
