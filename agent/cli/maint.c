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

static const char node_check[] = "_node_maintenance";
static const char service_prefix[] = "_service_maintenance:";

/* {"Node": {...}, "Services": [...]} of what is in maintenance. Owned by the caller. */
static json_t *gather(const json_t *checks)
{
    json_t *out = json_pack("{s:n, s:[]}", "Node", "Services");
    const char *id;
    json_t *check;
    json_object_foreach((json_t *)checks, id, check)
    {
        const json_t *reason = json_object_get(check, "Notes");
        if (rc_text_equals(id, node_check)) {
            (void)json_object_set_new(out, "Node",
                                      json_pack("{s:O?, s:O?}", "Name",
                                                json_object_get(check, "Node"), "Reason",
                                                reason));
        } else if (rc_text_starts_with(id, service_prefix)) {
            (void)json_array_append_new(json_object_get(out, "Services"),
                                        json_pack("{s:s, s:O?}", "ID",
                                                  id + strlen(service_prefix), "Reason",
                                                  reason));
        }
    }
    return out;
}

static void print_part(const char *title, const char *key, const json_t *part)
{
    char *name = rc_text_copy(json_string_value(json_object_get(part, key)));
    char *reason = rc_text_copy(json_string_value(json_object_get(part, "Reason")));
    if (name != NULL && reason != NULL) {
        cli_clean(name, CLI_ONE_LINE);
        cli_clean(reason, CLI_ONE_LINE);
        (void)printf("%s:\n  %-7s %s\n  Reason: %s\n\n", title,
                     rc_text_equals(key, "ID") ? "ID:" : "Name:", name, reason);
    }
    free(name);
    free(reason);
}

static int list(const struct cli_client_flags *client, enum cli_format format)
{
    json_t *checks = NULL;
    size_t index;
    const json_t *service;

    if (cli_get_json(client, "/v1/agent/checks", "Error getting checks", &checks) !=
        RC_OK) {
        return CLI_FAILED;
    }
    json_t *found = gather(checks);
    if (format == CLI_FORMAT_JSON) {
        cli_print_json(found);
    } else {
        if (json_is_object(json_object_get(found, "Node"))) {
            print_part("Node", "Name", json_object_get(found, "Node"));
        }
        json_array_foreach(json_object_get(found, "Services"), index, service)
        {
            print_part("Service", "ID", service);
        }
    }
    json_decref(found);
    json_decref(checks);
    return CLI_DONE;
}

static int set(const struct cli_client_flags *client, const char *service, bool enable,
               const char *reason)
{
    struct rc_buffer path = {0};
    rc_buffer_text(&path, "/v1/agent/");
    if (service != NULL) {
        rc_buffer_text(&path, "service/maintenance/");
        cli_escape(&path, service);
    } else {
        rc_buffer_text(&path, "maintenance");
    }
    rc_buffer_format(&path, "?enable=%s", enable ? "true" : "false");
    if (reason != NULL) {
        rc_buffer_text(&path, "&reason=");
        cli_escape(&path, reason);
    }
    int err =
        cli_put(client, rc_buffer_string(&path), NULL,
                enable ? "Error enabling maintenance" : "Error disabling maintenance");
    rc_buffer_fini(&path);
    if (err != RC_OK) {
        return CLI_FAILED;
    }
    const char *now = enable ? "enabled" : "disabled";
    if (service != NULL) {
        (void)printf("Service maintenance is now %s for \"%s\"\n", now, service);
    } else {
        (void)printf("Node maintenance is now %s\n", now);
    }
    return CLI_DONE;
}

int maint_run(const struct cli_command *self, int count, char **words)
{
    bool enable = false;
    bool disable = false;
    const char *service = NULL;
    const char *reason = NULL;
    const char *format_text = NULL;
    enum cli_format format;
    const struct cli_flag flags[] = {
        {"enable", CLI_SWITCH, &enable, NULL, "begin maintenance"},
        {"disable", CLI_SWITCH, &disable, NULL, "end it"},
        {"service", CLI_TEXT, &service, "ID",
         "of this service; without it, the whole node"},
        {"reason", CLI_TEXT, &reason, "TEXT", "shown to whoever wonders"},
        {"format", CLI_TEXT, &format_text, "FORMAT",
         "of the list: table (default) or json"},
    };
    struct cli_parsed parsed;

    int err =
        cli_parse(self, flags, sizeof flags / sizeof flags[0], count, words, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    if (parsed.word_count > 0 || (enable && disable)) {
        return cli_misuse(self, parsed.word_count > 0 ? "takes no words"
                                                      : "either -enable or -disable");
    }
    if (cli_format_parse(format_text, &format) != RC_OK) {
        return cli_misuse(self, "-format is table or json");
    }
    if (!enable && !disable) {
        return service == NULL && reason == NULL
                   ? list(&parsed.client, format)
                   : cli_misuse(self, "-service and -reason go with -enable or -disable");
    }
    return set(&parsed.client, service, enable, reason);
}
