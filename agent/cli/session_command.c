/* session: what locks hang on. Consul has no such command; the words are its API's. */
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

static const char words_wanted[] = "wants create, renew, destroy, info or list";

struct wish {
    const char *name;
    const char *ttl;
    const char *behavior;
    const char *lock_delay;
    struct cli_list checks;
    bool no_checks;
};

static json_t *body_of(const struct wish *wish)
{
    const struct {
        const char *key;
        const char *value;
    } texts[] = {{"Name", wish->name},
                 {"TTL", wish->ttl},
                 {"Behavior", wish->behavior},
                 {"LockDelay", wish->lock_delay}};
    json_t *body = json_object();

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].value != NULL) {
            (void)json_object_set_new(body, texts[i].key, json_string(texts[i].value));
        }
    }
    if (wish->no_checks || wish->checks.count > 0) {
        json_t *list = json_array();
        for (size_t i = 0; i < wish->checks.count; i++) {
            (void)json_array_append_new(list, json_string(wish->checks.items[i]));
        }
        (void)json_object_set_new(body, "Checks", list);
    }
    return body;
}

static int make(const struct cli_client_flags *client, const struct wish *wish)
{
    json_t *answer = NULL;
    json_t *body = body_of(wish);
    char *text = json_dumps(body, JSON_COMPACT);

    json_decref(body);
    int err = text == NULL ? RC_ENOMEM
                           : cli_put_json(client, "/v1/session/create", text,
                                          "Error creating session", &answer);
    free(text);
    if (err == RC_OK) {
        const char *id = json_string_value(json_object_get(answer, "ID"));
        (void)printf("%s\n", id != NULL ? id : "");
    }
    json_decref(answer);
    return err == RC_OK ? CLI_DONE : CLI_FAILED;
}

static int create(const struct cli_command *self, int count, char **words)
{
    struct wish wish = {.name = NULL};
    const struct cli_flag flags[] = {
        {"name", CLI_TEXT, &wish.name, "NAME", "for people"},
        {"ttl", CLI_TEXT, &wish.ttl, "TIME",
         "it ends when it is not renewed for so long"},
        {"behavior", CLI_TEXT, &wish.behavior, "WORD",
         "what its end does to its keys: release (default) or delete"},
        {"lock-delay", CLI_TEXT, &wish.lock_delay, "TIME",
         "after it ended unasked, how long nobody else gets its locks; default 15s"},
        {"check", CLI_LIST, &wish.checks, "ID",
         "a check of this node that must not be critical"},
        {"no-checks", CLI_SWITCH, &wish.no_checks, NULL,
         "it lives on when this node fails; only -ttl or destroy end it"},
    };
    struct cli_parsed parsed;

    int err =
        cli_parse(self, flags, sizeof flags / sizeof flags[0], count, words, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    if (parsed.word_count > 0 || (wish.no_checks && wish.checks.count > 0)) {
        return cli_misuse(self, "create takes flags only, and -check or -no-checks");
    }
    return make(&parsed.client, &wish);
}

static void print_sessions(const json_t *sessions)
{
    struct cli_columns columns = {.width = 6};
    size_t i;
    const json_t *session;
    static const char *const heads[] = {"ID",  "Name",     "Node",
                                        "TTL", "Behavior", "LockDelay"};

    for (size_t k = 0; k < sizeof heads / sizeof heads[0]; k++) {
        cli_cell(&columns, heads[k]);
    }
    json_array_foreach(sessions, i, session)
    {
        for (size_t k = 0; k < 5; k++) {
            const char *text = json_string_value(json_object_get(session, heads[k]));
            cli_cell(&columns, text != NULL && text[0] != '\0' ? text : "-");
        }
        cli_cell_format(
            &columns, "%.3gs",
            (double)json_integer_value(json_object_get(session, "LockDelay")) / 1e9);
    }
    cli_columns_print(&columns);
}

static int show(const struct cli_client_flags *client, const char *path,
                const char *method, const char *id)
{
    struct rc_buffer whole = {0};
    struct cli_answer answer;
    int result = CLI_FAILED;

    rc_buffer_text(&whole, path);
    if (id != NULL) {
        cli_escape(&whole, id);
    }
    const struct cli_request request = {.method = method,
                                        .path = rc_buffer_string(&whole)};
    int err = cli_ask(client, &request, &answer);
    json_t *sessions = err == RC_OK ? json_loadb((const char *)answer.body.bytes,
                                                 answer.body.size, 0, NULL)
                                    : NULL;
    if (err != RC_OK) {
        cli_error("Error: %s",
                  answer.status == 404 ? rc_buffer_string(&answer.body) : answer.error);
    } else if (id != NULL && json_array_size(sessions) == 0) {
        cli_error("Error: no session %s", id);
    } else {
        print_sessions(sessions);
        result = CLI_DONE;
    }
    json_decref(sessions);
    rc_buffer_fini(&answer.body);
    rc_buffer_fini(&whole);
    return result;
}

static int destroy(const struct cli_client_flags *client, const char *id)
{
    struct rc_buffer path = {0};

    rc_buffer_text(&path, "/v1/session/destroy/");
    cli_escape(&path, id);
    int err = cli_put(client, rc_buffer_string(&path), NULL, "Error destroying session");
    rc_buffer_fini(&path);
    if (err == RC_OK) {
        (void)printf("Destroyed session: %s\n", id);
    }
    return err == RC_OK ? CLI_DONE : CLI_FAILED;
}

int session_run(const struct cli_command *self, int count, char **words)
{
    struct cli_parsed parsed;
    const char *what = count > 0 ? words[0] : "";

    if (rc_text_equals(what, "create")) {
        return create(self, count - 1, words + 1);
    }
    bool named = rc_text_equals(what, "renew") || rc_text_equals(what, "destroy") ||
                 rc_text_equals(what, "info");
    bool list = rc_text_equals(what, "list");
    int skip = named || list;
    int err = cli_parse(self, NULL, 0, count - skip, words + skip, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    if (!skip) {
        return cli_misuse(self, words_wanted);
    }
    if (parsed.word_count != (named ? 1 : 0)) {
        return cli_misuse(self,
                          named ? "wants the id of one session" : "list takes no words");
    }
    if (list) {
        return show(&parsed.client, "/v1/session/list", "GET", NULL);
    }
    if (what[0] == 'd') {
        return destroy(&parsed.client, parsed.words[0]);
    }
    return what[0] == 'r'
               ? show(&parsed.client, "/v1/session/renew/", "PUT", parsed.words[0])
               : show(&parsed.client, "/v1/session/info/", "GET", parsed.words[0]);
}
