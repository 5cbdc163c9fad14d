/* acl_command.c - `rollcall acl`: tokens, policies and roles, and why a request is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/acl_show.h"
#include "agent/cli/client.h"
#include "agent/cli/columns.h"
#include "agent/cli/commands.h"
#include "agent/cli/flags.h"
#include "agent/cli/say.h"
#include "base/err.h"
#include "base/file.h"
#include "base/text.h"

enum { RULES_BYTES_MAX_CLI = 64 << 10 };

struct wish {
    const char *id;
    const char *name;
    const char *description;
    struct cli_list policy_names;
    struct cli_list policy_ids;
    struct cli_list role_names;
    struct cli_list role_ids;
    struct cli_list services;
    struct cli_list nodes;
    const char *expires;
    const char *rules;
    bool self;
    bool recurse;
    const char *format_text;
    enum cli_format format;
    const struct cli_client_flags *client;
};

/* What tokens, policies and roles differ in. */
static const struct object {
    const char *word;
    const char *list; /* the path */
    const char *one;
    const char *id_key;
} objects[] = {
    {"token", "/v1/acl/tokens", "/v1/acl/token", "AccessorID"},
    {"policy", "/v1/acl/policies", "/v1/acl/policy", "ID"},
    {"role", "/v1/acl/roles", "/v1/acl/role", "ID"},
};

/* ---- What is sent. */

/* "@file", "-" for standard input, or the rules themselves. NULL: told already. */
static char *read_rules(const char *given)
{
    struct rc_buffer text = {.max = RULES_BYTES_MAX_CLI};
    int err = RC_OK;

    if (given[0] == '@') {
        err = rc_file_read(given + 1, RULES_BYTES_MAX_CLI, &text);
    } else if (strcmp(given, "-") == 0) {
        char block[4096];
        size_t size;
        while ((size = fread(block, 1, sizeof block, stdin)) > 0) {
            rc_buffer_append(&text, block, size);
        }
        err = text.err;
    } else {
        rc_buffer_text(&text, given);
    }
    if (err != RC_OK) {
        cli_error("acl: the rules cannot be read: %s", rc_strerror(err));
        rc_buffer_fini(&text);
        return NULL;
    }
    char *copy = rc_text_copy(rc_buffer_string(&text));
    rc_buffer_fini(&text);
    return copy;
}

static void add_link(json_t *body, const char *list, const char *key, const char *value)
{
    json_t *links = json_object_get(body, list);

    if (!json_is_array(links)) {
        links = json_array();
        (void)json_object_set_new(body, list, links);
    }
    (void)json_array_append_new(links, json_pack("{s:s}", key, value));
}

/* "name", "name:dc1,dc2"; for nodes one datacenter, as Consul has it. */
static void add_identity(json_t *body, const char *given, bool is_node)
{
    const char *colon = strchr(given, ':');
    struct rc_span name = {given,
                           colon != NULL ? (size_t)(colon - given) : strlen(given)};
    char *text = rc_text_copy_span(name);
    const char *list = is_node ? "NodeIdentities" : "ServiceIdentities";

    add_link(body, list, is_node ? "NodeName" : "ServiceName", text != NULL ? text : "");
    free(text);
    json_t *links = json_object_get(body, list);
    json_t *identity = json_array_get(links, json_array_size(links) - 1);
    if (colon != NULL && is_node) {
        (void)json_object_set_new(identity, "Datacenter", json_string(colon + 1));
    } else if (colon != NULL) {
        json_t *datacenters = json_array();
        for (const char *at = colon + 1; *at != '\0';) {
            size_t size = strcspn(at, ",");
            (void)json_array_append_new(datacenters, json_stringn(at, size));
            at += size + (at[size] == ',' ? 1 : 0);
        }
        (void)json_object_set_new(identity, "Datacenters", datacenters);
    }
}

static void add_links(json_t *body, const struct wish *wish)
{
    const struct {
        const struct cli_list *given;
        const char *list;
        const char *key;
    } links[] = {
        {&wish->policy_names, "Policies", "Name"},
        {&wish->policy_ids, "Policies", "ID"},
        {&wish->role_names, "Roles", "Name"},
        {&wish->role_ids, "Roles", "ID"},
    };

    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
        for (size_t k = 0; k < links[i].given->count; k++) {
            add_link(body, links[i].list, links[i].key, links[i].given->items[k]);
        }
    }
    for (size_t i = 0; i < wish->services.count; i++) {
        add_identity(body, wish->services.items[i], false);
    }
    for (size_t i = 0; i < wish->nodes.count; i++) {
        add_identity(body, wish->nodes.items[i], true);
    }
}

/* Puts what was given into `body`, which holds what is there already. */
static int fill(json_t *body, const struct wish *wish)
{
    const struct {
        const char *key;
        const char *value;
    } texts[] = {
        {"Name", wish->name},
        {"Description", wish->description},
        {"ExpirationTTL", wish->expires},
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].value != NULL) {
            (void)json_object_set_new(body, texts[i].key, json_string(texts[i].value));
        }
    }
    if (wish->rules != NULL) {
        char *rules = read_rules(wish->rules);
        if (rules == NULL) {
            return RC_EINVAL;
        }
        (void)json_object_set_new(body, "Rules", json_string(rules));
        free(rules);
    }
    add_links(body, wish);
    return RC_OK;
}

/* ---- Requests. */

static int show(const struct wish *wish, json_t *answer)
{
    if (wish->format == CLI_FORMAT_JSON) {
        cli_print_json(answer);
    } else {
        acl_show_object(answer);
    }
    json_decref(answer);
    return CLI_DONE;
}

static int send(const struct wish *wish, const char *path, const json_t *body)
{
    char *text = json_dumps(body, JSON_COMPACT);
    json_t *answer = NULL;

    int err =
        text != NULL ? cli_put_json(wish->client, path, text, "acl", &answer) : RC_ENOMEM;
    if (text != NULL) {
        explicit_bzero(text, strlen(text)); /* it may hold a secret */
    }
    free(text);
    return err == RC_OK ? show(wish, answer) : CLI_FAILED;
}

/* The path of one: by -id, by name, or the caller's own token. NULL: none was named. */
static char *path_of(const struct object *object, const struct wish *wish)
{
    struct rc_buffer path = {0};

    rc_buffer_format(&path, "%s/", object->one);
    if (wish->self && object == &objects[0]) {
        rc_buffer_text(&path, "self");
    } else if (wish->id != NULL) {
        cli_escape(&path, wish->id);
    } else if (wish->name != NULL && object != &objects[0]) {
        rc_buffer_text(&path, "name/");
        cli_escape(&path, wish->name);
    } else {
        rc_buffer_fini(&path);
        return NULL;
    }
    rc_buffer_byte(&path, '\0');
    return rc_buffer_steal(&path);
}

static int create(const struct object *object, const struct wish *wish)
{
    json_t *body = json_object();

    int result = fill(body, wish) == RC_OK ? send(wish, object->one, body) : CLI_FAILED;
    json_decref(body);
    return result;
}

static int read_one(const struct object *object, const struct wish *wish)
{
    json_t *answer = NULL;
    char *path = path_of(object, wish);

    int err = path != NULL ? cli_get_json(wish->client, path, "acl", &answer) : RC_EINVAL;
    if (path == NULL) {
        cli_error("acl %s read: -id or -name is wanted", object->word);
    }
    free(path);
    return err == RC_OK ? show(wish, answer) : CLI_FAILED;
}

/* What is there, and on top of it what was given. */
static int update(const struct object *object, const struct wish *wish)
{
    json_t *body = NULL;
    char *path = path_of(object, wish);

    if (wish->id == NULL || path == NULL) {
        cli_error("acl %s update: -id is wanted", object->word);
        free(path);
        return CLI_USAGE;
    }
    int result = CLI_FAILED;
    if (cli_get_json(wish->client, path, "acl", &body) == RC_OK) {
        (void)json_object_del(body, "SecretID");
        (void)json_object_del(body, "ExpirationTime"); /* it cannot be changed */
        result = fill(body, wish) == RC_OK ? send(wish, path, body) : CLI_FAILED;
    }
    json_decref(body);
    free(path);
    return result;
}

static int clone(const struct object *object, const struct wish *wish)
{
    json_t *body = json_object();
    char *path = path_of(object, wish);
    int result = CLI_USAGE;

    if (wish->id == NULL || path == NULL || object != &objects[0]) {
        cli_error("acl token clone: -id of a token is wanted");
    } else {
        char *whole = rc_text_format("%s/clone", path);
        if (wish->description != NULL) {
            (void)json_object_set_new(body, "Description",
                                      json_string(wish->description));
        }
        result = whole != NULL ? send(wish, whole, body) : CLI_FAILED;
        free(whole);
    }
    free(path);
    json_decref(body);
    return result;
}

/* By name too: then the id is looked up first. */
static int delete_one(const struct object *object, const struct wish *wish)
{
    struct cli_answer answer = {0};
    json_t *found = NULL;
    char *path = path_of(object, wish);

    if (path == NULL) {
        cli_error("acl %s delete: -id%s is wanted", object->word,
                  object == &objects[0] ? "" : " or -name");
        return CLI_USAGE;
    }
    if (wish->id == NULL && cli_get_json(wish->client, path, "acl", &found) == RC_OK) {
        free(path);
        path = rc_text_format("%s/%s", object->one,
                              json_string_value(json_object_get(found, object->id_key)));
    } else if (wish->id == NULL) {
        free(path);
        return CLI_FAILED;
    }
    const struct cli_request request = {.method = "DELETE", .path = path};
    int err = path != NULL ? cli_ask(wish->client, &request, &answer) : RC_ENOMEM;
    if (err != RC_OK) {
        cli_error("acl: %s", answer.error);
    } else {
        (void)printf("%s deleted\n", object->word);
    }
    rc_buffer_fini(&answer.body);
    json_decref(found);
    free(path);
    return err == RC_OK ? CLI_DONE : CLI_FAILED;
}

static int list(const struct object *object, const struct wish *wish)
{
    json_t *answer = NULL;

    if (cli_get_json(wish->client, object->list, "acl", &answer) != RC_OK) {
        return CLI_FAILED;
    }
    if (wish->format == CLI_FORMAT_JSON) {
        cli_print_json(answer);
    } else {
        acl_show_list(answer, object->id_key);
    }
    json_decref(answer);
    return CLI_DONE;
}

static int bootstrap(const struct wish *wish)
{
    json_t *answer = NULL;

    if (cli_put_json(wish->client, "/v1/acl/bootstrap", NULL, "acl bootstrap", &answer) !=
        RC_OK) {
        return CLI_FAILED;
    }
    return show(wish, answer);
}

/* METHOD PATH [NAME], or RESOURCE [NAME] ACCESS. */
static int explain(const struct wish *wish, int count, char **words)
{
    bool is_path = count >= 2 && words[1][0] == '/';
    struct rc_buffer path = {0};
    json_t *answer = NULL;

    if (count < 2 || count > 3) {
        cli_error(
            "acl explain: METHOD PATH [NAME], or RESOURCE [NAME] ACCESS are wanted");
        return CLI_USAGE;
    }
    rc_buffer_text(&path,
                   is_path ? "/v1/acl/explain?method=" : "/v1/acl/explain?resource=");
    cli_escape(&path, words[0]);
    rc_buffer_text(&path, is_path ? "&path=" : "&access=");
    cli_escape(&path, is_path ? words[1] : words[count - 1]);
    if (count == 3) {
        rc_buffer_text(&path, "&name=");
        cli_escape(&path, is_path ? words[2] : words[1]);
    }
    rc_buffer_text(&path, wish->recurse ? "&recurse" : "");
    int err = cli_get_json(wish->client, rc_buffer_string(&path), "acl explain", &answer);
    rc_buffer_fini(&path);
    if (err != RC_OK) {
        return CLI_FAILED;
    }
    bool allowed = json_is_true(json_object_get(answer, "Allowed"));
    if (wish->format == CLI_FORMAT_JSON) {
        cli_print_json(answer);
    } else {
        acl_show_reason(answer);
    }
    json_decref(answer);
    return allowed ? CLI_DONE : CLI_FAILED;
}

/* ---- The command. */

static int run_object(const struct cli_command *self, const struct wish *wish, int count,
                      char **words)
{
    static const struct {
        const char *word;
        int (*run)(const struct object *object, const struct wish *wish);
    } verbs[] = {
        {"create", create}, {"read", read_one},     {"update", update},
        {"clone", clone},   {"delete", delete_one}, {"list", list},
    };

    for (size_t i = 0; count == 2 && i < sizeof objects / sizeof objects[0]; i++) {
        for (size_t v = 0; v < sizeof verbs / sizeof verbs[0]; v++) {
            if (strcmp(objects[i].word, words[0]) == 0 &&
                strcmp(verbs[v].word, words[1]) == 0) {
                return verbs[v].run(&objects[i], wish);
            }
        }
    }
    return cli_misuse(self, "bootstrap, explain, or one of token, policy and role with "
                            "create, read, update, clone, delete or list");
}

int acl_run(const struct cli_command *self, int count, char **words)
{
    struct wish wish = {.id = NULL};
    struct cli_parsed parsed;
    const struct cli_flag flags[] = {
        {"id", CLI_TEXT, &wish.id, "ID", "of the token (its AccessorID), policy or role"},
        {"name", CLI_TEXT, &wish.name, "NAME", "of the policy or role"},
        {"description", CLI_TEXT, &wish.description, "TEXT", "what it is for"},
        {"policy-name", CLI_LIST, &wish.policy_names, "NAME", "a policy it has; repeat"},
        {"policy-id", CLI_LIST, &wish.policy_ids, "ID", "the same by id"},
        {"role-name", CLI_LIST, &wish.role_names, "NAME", "a role the token has; repeat"},
        {"role-id", CLI_LIST, &wish.role_ids, "ID", "the same by id"},
        {"service-identity", CLI_LIST, &wish.services, "NAME", "it is this service"},
        {"node-identity", CLI_LIST, &wish.nodes, "NAME:DC", "it is this node"},
        {"expires-ttl", CLI_TEXT, &wish.expires, "DURATION", "the token's life: 24h"},
        {"rules", CLI_TEXT, &wish.rules, "RULES", "of a policy; @FILE, or - for stdin"},
        {"self", CLI_SWITCH, &wish.self, NULL, "the token that is sent"},
        {"recurse", CLI_SWITCH, &wish.recurse, NULL, "all names that begin so (explain)"},
        {"format", CLI_TEXT, &wish.format_text, "FORMAT", "table (default) or json"},
    };

    int err =
        cli_parse(self, flags, sizeof flags / sizeof flags[0], count, words, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    if (cli_format_parse(wish.format_text, &wish.format) != RC_OK) {
        return cli_misuse(self, "-format is table or json");
    }
    wish.client = &parsed.client;
    if (parsed.word_count == 1 && strcmp(parsed.words[0], "bootstrap") == 0) {
        return bootstrap(&wish);
    }
    if (parsed.word_count > 0 && strcmp(parsed.words[0], "explain") == 0) {
        return explain(&wish, parsed.word_count - 1, parsed.words + 1);
    }
    return run_object(self, &wish, parsed.word_count, parsed.words);
}
