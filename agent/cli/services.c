#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/client.h"
#include "agent/cli/commands.h"
#include "agent/cli/flags.h"
#include "base/err.h"
#include "base/settings.h"
#include "base/text.h"

struct service_flags {
    const char *id;
    const char *name;
    const char *address;
    const char *port;
    const char *kind;
    struct cli_list tags;
    struct cli_list meta;
};

static int register_one(const struct cli_client_flags *client, const json_t *definition,
                        const char *name)
{
    char *body = json_dumps(definition, JSON_COMPACT);
    int err = body == NULL ? RC_ENOMEM
                           : cli_put(client, "/v1/agent/service/register", body,
                                     "Error registering service");
    free(body);
    if (err == RC_OK) {
        (void)printf("Registered service: %s\n", name);
    }
    return err;
}

static int deregister_one(const struct cli_client_flags *client, const char *id)
{
    struct rc_buffer path = {0};
    rc_buffer_text(&path, "/v1/agent/service/deregister/");
    cli_escape(&path, id);
    int err =
        cli_put(client, rc_buffer_string(&path), NULL, "Error deregistering service");
    rc_buffer_fini(&path);
    if (err == RC_OK) {
        (void)printf("Deregistered service: %s\n", id);
    }
    return err;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

enum what { REGISTER, DEREGISTER };

static int handle(const struct cli_client_flags *client, enum what what,
                  const json_t *definition, const char *file)
{
    const char *name = text_of(definition, "name") != NULL ? text_of(definition, "name")
                                                           : text_of(definition, "Name");
    const char *id = text_of(definition, "id") != NULL ? text_of(definition, "id")
                                                       : text_of(definition, "ID");
    if (name == NULL && id == NULL) {
        (void)fprintf(stderr, "%s: a service has neither name nor id\n", file);
        return RC_EINVAL;
    }
    return what == REGISTER ? register_one(client, definition, name != NULL ? name : id)
                            : deregister_one(client, id != NULL ? id : name);
}

/* Every service of a file: `service` (one or several) and `services`. */
static int handle_file(const struct cli_client_flags *client, enum what what,
                       const char *file)
{
    static const char *const keys[] = {"service", "services"};
    char error[RC_SETTINGS_ERROR_MAX];
    struct rc_settings *settings = NULL;
    size_t found = 0;

    int err = rc_settings_load(file, &settings, error);
    if (err != RC_OK) {
        (void)fprintf(stderr, "%s\n", error);
        return err;
    }
    for (size_t i = 0; i < sizeof keys / sizeof keys[0] && err == RC_OK; i++) {
        const json_t *value = json_object_get(rc_settings_root(settings), keys[i]);
        size_t count = json_is_array(value) ? json_array_size(value) : value != NULL;
        for (size_t k = 0; k < count && err == RC_OK; k++) {
            found++;
            err = handle(client, what,
                         json_is_array(value) ? json_array_get(value, k) : value, file);
        }
    }
    rc_settings_destroy(settings);
    if (found == 0) {
        (void)fprintf(stderr, "%s: no service in it\n", file);
        return RC_ENOTFOUND;
    }
    return err;
}

/* The definition that the flags describe; NULL after telling what is wrong. */
static json_t *from_flags(const struct cli_command *self,
                          const struct service_flags *flags)
{
    uint64_t port = 0;
    if (flags->port != NULL && rc_text_to_u64(flags->port, UINT16_MAX, &port) != RC_OK) {
        (void)cli_misuse(self, "-port is a number from 0 to 65535");
        return NULL;
    }
    json_t *out =
        json_pack("{s:s, s:s*, s:s*, s:s*, s:I, s:[], s:{}}", "Name", flags->name, "ID",
                  flags->id, "Address", flags->address, "Kind", flags->kind, "Port",
                  (json_int_t)port, "Tags", "Meta");
    for (size_t i = 0; i < flags->tags.count; i++) {
        (void)json_array_append_new(json_object_get(out, "Tags"),
                                    json_string(flags->tags.items[i]));
    }
    for (size_t i = 0; i < flags->meta.count; i++) {
        const char *equals = strchr(flags->meta.items[i], '=');
        if (equals == NULL) {
            (void)cli_misuse(self, "-meta is KEY=VALUE");
            json_decref(out);
            return NULL;
        }
        char *key = rc_text_copy_span((struct rc_span){
            flags->meta.items[i], (size_t)(equals - flags->meta.items[i])});
        (void)json_object_set_new(json_object_get(out, "Meta"), key,
                                  json_string(equals + 1));
        free(key);
    }
    return out;
}

static int run_flags(const struct cli_command *self,
                     const struct cli_client_flags *client, enum what what,
                     const struct service_flags *flags)
{
    if (what == DEREGISTER) {
        return flags->id == NULL ? cli_misuse(self, "wants -id ID, or files")
               : deregister_one(client, flags->id) == RC_OK ? CLI_DONE
                                                            : CLI_FAILED;
    }
    if (flags->name == NULL) {
        return cli_misuse(self, "wants -name NAME, or files");
    }
    json_t *definition = from_flags(self, flags);
    if (definition == NULL) {
        return CLI_USAGE;
    }
    int err = register_one(client, definition, flags->name);
    json_decref(definition);
    return err == RC_OK ? CLI_DONE : CLI_FAILED;
}

int services_run(const struct cli_command *self, int count, char **words)
{
    struct service_flags chosen = {0};
    const struct cli_flag flags[] = {
        {"id", CLI_TEXT, &chosen.id, "ID", "the instance; without it, the name"},
        {"name", CLI_TEXT, &chosen.name, "NAME", "the service"},
        {"address", CLI_TEXT, &chosen.address, "ADDR",
         "where it listens, if not the node's"},
        {"port", CLI_TEXT, &chosen.port, "PORT", "its port"},
        {"tag", CLI_LIST, &chosen.tags, "TAG", "a tag; may be repeated"},
        {"meta", CLI_LIST, &chosen.meta, "KEY=VALUE", "metadata; may be repeated"},
        {"kind", CLI_TEXT, &chosen.kind, "KIND", "kept and shown, not acted on"},
    };
    struct cli_parsed parsed;
    enum what what;

    int err =
        cli_parse(self, flags, sizeof flags / sizeof flags[0], count, words, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    if (parsed.word_count > 0 && rc_text_equals(parsed.words[0], "register")) {
        what = REGISTER;
    } else if (parsed.word_count > 0 && rc_text_equals(parsed.words[0], "deregister")) {
        what = DEREGISTER;
    } else {
        return cli_misuse(self, "wants register or deregister");
    }
    if (parsed.word_count == 1) {
        return run_flags(self, &parsed.client, what, &chosen);
    }
    for (int i = 1; i < parsed.word_count; i++) {
        if (handle_file(&parsed.client, what, parsed.words[i]) != RC_OK) {
            return CLI_FAILED;
        }
    }
    return CLI_DONE;
}
