#include <stdio.h>
#include <string.h>

#include "agent/cli/client.h"
#include "agent/cli/commands.h"
#include "agent/cli/flags.h"
#include "base/err.h"
#include "base/text.h"

static const char node_check[] = "_node_maintenance";
static const char service_prefix[] = "_service_maintenance:";

static int list(const struct cli_client_flags *client)
{
    json_t *checks = NULL;
    const char *id;
    json_t *check;

    if (cli_get_json(client, "/v1/agent/checks", "Error getting checks", &checks) !=
        RC_OK) {
        return CLI_FAILED;
    }
    json_object_foreach(checks, id, check)
    {
        const char *node = json_string_value(json_object_get(check, "Node"));
        const char *reason = json_string_value(json_object_get(check, "Notes"));
        if (rc_text_equals(id, node_check)) {
            (void)printf("Node:\n  Name:   %s\n  Reason: %s\n\n", node, reason);
        } else if (rc_text_starts_with(id, service_prefix)) {
            (void)printf("Service:\n  ID:     %s\n  Reason: %s\n\n",
                         id + strlen(service_prefix), reason);
        }
    }
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
    const struct cli_flag flags[] = {
        {"enable", CLI_SWITCH, &enable, NULL, "begin maintenance"},
        {"disable", CLI_SWITCH, &disable, NULL, "end it"},
        {"service", CLI_TEXT, &service, "ID",
         "of this service; without it, the whole node"},
        {"reason", CLI_TEXT, &reason, "TEXT", "shown to whoever wonders"},
    };
    struct cli_parsed parsed;

    int err =
        cli_parse(self, flags, sizeof flags / sizeof flags[0], count, words, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    if (parsed.word_count > 0 || (enable && disable)) {
        return cli_misuse(self, enable ? "either -enable or -disable" : "takes no words");
    }
    if (!enable && !disable) {
        return service == NULL && reason == NULL
                   ? list(&parsed.client)
                   : cli_misuse(self, "-service and -reason go with -enable or -disable");
    }
    return set(&parsed.client, service, enable, reason);
}
