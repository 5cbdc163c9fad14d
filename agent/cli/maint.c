#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/cli/client.h"
#include "agent/cli/columns.h"
#include "agent/cli/commands.h"
#include "agent/cli/drain.h"
#include "agent/cli/flags.h"
#include "agent/cli/say.h"
#include "base/err.h"
#include "base/text.h"

enum { TOLD_MS = 1500 }; /* gossip has told all agents by then */

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

struct order {
    const struct cli_client_flags *client;
    const char *service; /* NULL: the node */
    const char *reason;  /* NULL: none */
    bool enable;
    bool forced;
};

/* `care`: what is added to the request, see request_may_drain(). RC_OK, or it was told. */
static int put(const struct order *order, bool enable, const char *care)
{
    struct rc_buffer path = {0};
    rc_buffer_text(&path, "/v1/agent/");
    if (order->service != NULL) {
        rc_buffer_text(&path, "service/maintenance/");
        cli_escape(&path, order->service);
    } else {
        rc_buffer_text(&path, "maintenance");
    }
    rc_buffer_format(&path, "?enable=%s%s", enable ? "true" : "false", care);
    if (order->reason != NULL) {
        rc_buffer_text(&path, "&reason=");
        cli_escape(&path, order->reason);
    }
    int err =
        cli_put(order->client, rc_buffer_string(&path), NULL,
                enable ? "Error enabling maintenance" : "Error disabling maintenance");
    rc_buffer_fini(&path);
    return err;
}

/* Is it in maintenance already? */
static bool is_away(const struct order *order)
{
    const struct cli_request request = {.method = "GET", .path = "/v1/agent/checks"};
    struct cli_answer answer;
    struct rc_buffer id = {0};

    (void)cli_ask(order->client, &request, &answer); /* what is wrong shows soon enough */
    json_t *checks =
        json_loadb(rc_buffer_string(&answer.body), answer.body.size, 0, NULL);
    rc_buffer_format(&id, "%s%s", order->service != NULL ? service_prefix : node_check,
                     order->service != NULL ? order->service : "");
    bool found = json_object_get(checks, rc_buffer_string(&id)) != NULL;
    rc_buffer_fini(&id);
    rc_buffer_fini(&answer.body);
    json_decref(checks);
    return found;
}

/* Without a store others may have looked when we did: once gossip has told, look again, and whoever
 * sees too few left comes back. */
static int look_again(const struct order *order)
{
    const struct timespec told = {TOLD_MS / 1000, TOLD_MS % 1000 * 1000000L};

    (void)nanosleep(&told, NULL);
    if (put(order, true, "&safe=again") == RC_OK) {
        return RC_OK;
    }
    cli_error("Others went at the same moment: maintenance ends again, try once more");
    (void)put(order, false, "");
    return RC_ECONFLICT;
}

/* Begins maintenance where enough healthy instances are left without it. */
static int take_away(const struct order *order)
{
    struct drain drain;

    if (drain_begin(&drain, order->client) != RC_OK) {
        cli_error("Error enabling maintenance: others are at it, the lock rollcall/maint "
                  "is not to be had (%s): try again, or -force",
                  drain.claim.why);
        return RC_ETIMEOUT;
    }
    int err = put(order, true, "&safe=true");
    drain_end(&drain, err == RC_OK);
    return err == RC_OK && !drain.is_locked ? look_again(order) : err;
}

static int set(const struct order *order)
{
    bool has_care = order->enable && !order->forced && !is_away(order);
    int err = has_care ? take_away(order)
                       : put(order, order->enable, order->forced ? "&force=true" : "");
    if (err != RC_OK) {
        return CLI_FAILED;
    }
    const char *now = order->enable ? "enabled" : "disabled";
    if (order->service != NULL) {
        (void)printf("Service maintenance is now %s for \"%s\"\n", now, order->service);
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
    bool forced = false;
    enum cli_format format;
    const struct cli_flag flags[] = {
        {"enable", CLI_SWITCH, &enable, NULL, "begin maintenance"},
        {"disable", CLI_SWITCH, &disable, NULL, "end it"},
        {"service", CLI_TEXT, &service, "ID",
         "of this service; without it, the whole node"},
        {"reason", CLI_TEXT, &reason, "TEXT", "shown to whoever wonders"},
        {"force", CLI_SWITCH, &forced, NULL,
         "even if no healthy instance of a service is left"},
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
    if (forced && !enable) {
        return cli_misuse(self, "-force goes with -enable");
    }
    const struct order order = {&parsed.client, service, reason, enable, forced};
    return set(&order);
}
