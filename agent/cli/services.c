#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/client.h"
#include "agent/cli/commands.h"
#include "agent/cli/flags.h"
#include "agent/cli/say.h"
#include "base/address.h"
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
    struct cli_list tagged_addresses;
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
        cli_error("%s: a service has neither name nor id", file);
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
        cli_error("%s", error);
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
        cli_error("%s: no service in it", file);
        return RC_ENOTFOUND;
    }
    return err;
}

/* "key=value" cut in two: RC_OK with `*key` owned by the caller, or RC_EINVAL. */
static int cut(const char *pair, char **key, const char **value)
{
    const char *equals = strchr(pair, '=');
    if (equals == NULL || equals == pair) {
        return RC_EINVAL;
    }
    *key = rc_text_copy_span((struct rc_span){pair, (size_t)(equals - pair)});
    *value = equals + 1;
    return *key != NULL ? RC_OK : RC_ENOMEM;
}

/* "10.0.0.1", "10.0.0.1:80", "[2001:db8::1]:80", "2001:db8::1": NULL when it is none. */
static json_t *read_tagged(const char *text)
{
    struct rc_address address;
    char ip[RC_ADDRESS_TEXT_MAX];
    if (rc_address_parse(text, 0, &address) != RC_OK) {
        return NULL;
    }
    rc_address_format_ip(&address, ip);
    return json_pack("{s:s, s:i}", "Address", ip, "Port", (int)address.port);
}

static int add_pairs(json_t *definition, const struct service_flags *flags)
{
    for (size_t i = 0; i < flags->meta.count; i++) {
        char *key = NULL;
        const char *value = NULL;
        if (cut(flags->meta.items[i], &key, &value) != RC_OK) {
            return RC_EINVAL;
        }
        (void)json_object_set_new(json_object_get(definition, "Meta"), key,
                                  json_string(value));
        free(key);
    }
    return RC_OK;
}

static int add_tagged(json_t *definition, const struct service_flags *flags)
{
    for (size_t i = 0; i < flags->tagged_addresses.count; i++) {
        char *key = NULL;
        const char *value = NULL;
        if (cut(flags->tagged_addresses.items[i], &key, &value) != RC_OK) {
            return RC_EINVAL;
        }
        json_t *address = read_tagged(value);
        if (address != NULL) {
            (void)json_object_set_new(json_object_get(definition, "TaggedAddresses"), key,
                                      address);
        }
        free(key);
        if (address == NULL) {
            return RC_EINVAL;
        }
    }
    return RC_OK;
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
        json_pack("{s:s, s:s*, s:s*, s:s*, s:I, s:[], s:{}, s:{}}", "Name", flags->name,
                  "ID", flags->id, "Address", flags->address, "Kind", flags->kind, "Port",
                  (json_int_t)port, "Tags", "Meta", "TaggedAddresses");
    if (out == NULL) {
        (void)cli_misuse(self, "what the flags say must be UTF-8");
        return NULL;
    }
    for (size_t i = 0; i < flags->tags.count; i++) {
        (void)json_array_append_new(json_object_get(out, "Tags"),
                                    json_string(flags->tags.items[i]));
    }
    const char *wrong = add_pairs(out, flags) != RC_OK ? "-meta is KEY=VALUE"
                        : add_tagged(out, flags) != RC_OK
                            ? "-tagged-address is NAME=IP or NAME=IP:PORT"
                            : NULL;
    if (wrong != NULL) {
        (void)cli_misuse(self, wrong);
        json_decref(out);
        return NULL;
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
        {"tagged-address", CLI_LIST, &chosen.tagged_addresses, "NAME=ADDR",
         "another address, such as lan=10.0.0.1:80; may be repeated"},
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
    if (chosen.id != NULL || chosen.name != NULL) {
        return cli_misuse(self, "either files, or -name and -id");
    }
    for (int i = 1; i < parsed.word_count; i++) {
        if (handle_file(&parsed.client, what, parsed.words[i]) != RC_OK) {
            return CLI_FAILED;
        }
    }
    return CLI_DONE;
}
