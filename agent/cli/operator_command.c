/* operator: the engine of the store, as Consul's operators ask about raft and autopilot. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/autopilot.h"
#include "agent/cli/client.h"
#include "agent/cli/columns.h"
#include "agent/cli/commands.h"
#include "agent/cli/flags.h"
#include "agent/cli/say.h"
#include "base/err.h"
#include "base/json_read.h"
#include "base/text.h"

static int list_peers(const struct cli_client_flags *client)
{
    static const char *const heads[] = {"Node",  "ID",    "Address",
                                        "State", "Voter", "RaftProtocol"};
    struct cli_columns columns = {.width = 6};
    json_t *answer = NULL;
    size_t i;
    const json_t *server;

    if (cli_get_json(client, "/v1/operator/raft/configuration", "Error getting peers",
                     &answer) != RC_OK) {
        return CLI_FAILED;
    }
    for (size_t k = 0; k < sizeof heads / sizeof heads[0]; k++) {
        cli_cell(&columns, heads[k]);
    }
    json_array_foreach(json_object_get(answer, "Servers"), i, server)
    {
        cli_cell(&columns, rc_json_read_text(server, "Node"));
        cli_cell(&columns, rc_json_read_text(server, "ID"));
        cli_cell(&columns, rc_json_read_text(server, "Address"));
        cli_cell(&columns,
                 json_is_true(json_object_get(server, "Leader")) ? "leader" : "follower");
        cli_cell(&columns,
                 json_is_true(json_object_get(server, "Voter")) ? "true" : "false");
        cli_cell(&columns, rc_json_read_text(server, "ProtocolVersion"));
    }
    cli_columns_print(&columns);
    json_decref(answer);
    return CLI_DONE;
}

/* "Key = value" lines in the order of the answer. */
static int get_config(const struct cli_client_flags *client)
{
    json_t *answer = NULL;
    const char *key;
    json_t *value;

    if (cli_get_json(client, "/v1/operator/autopilot/configuration",
                     "Error querying Autopilot configuration", &answer) != RC_OK) {
        return CLI_FAILED;
    }
    json_object_foreach(answer, key, value)
    {
        bool quoted = rc_text_equals(key, "RedundancyZoneTag") ||
                      rc_text_equals(key, "UpgradeVersionTag");
        if (rc_text_equals(key, "CreateIndex") || rc_text_equals(key, "ModifyIndex")) {
            continue;
        }
        if (json_is_string(value)) {
            (void)printf(quoted ? "%s = \"%s\"\n" : "%s = %s\n", key,
                         json_string_value(value));
        } else if (json_is_boolean(value)) {
            (void)printf("%s = %s\n", key, json_is_true(value) ? "true" : "false");
        } else {
            (void)printf("%s = %lld\n", key, (long long)json_integer_value(value));
        }
    }
    json_decref(answer);
    return CLI_DONE;
}

static int state(const struct cli_client_flags *client)
{
    static const char *const heads[] = {"Name", "Address", "Status", "Healthy"};
    struct cli_columns columns = {.width = 4};
    json_t *answer = NULL;
    const char *id;
    json_t *server;

    if (cli_get_json(client, "/v1/operator/autopilot/state",
                     "Error querying Autopilot state", &answer) != RC_OK) {
        return CLI_FAILED;
    }
    (void)printf(
        "Healthy:           %s\nFailure Tolerance: %lld\nLeader:            %s\n\n",
        json_is_true(json_object_get(answer, "Healthy")) ? "true" : "false",
        (long long)json_integer_value(json_object_get(answer, "FailureTolerance")),
        rc_json_read_text(answer, "Leader"));
    for (size_t k = 0; k < sizeof heads / sizeof heads[0]; k++) {
        cli_cell(&columns, heads[k]);
    }
    json_object_foreach(json_object_get(answer, "Servers"), id, server)
    {
        cli_cell(&columns, rc_json_read_text(server, "Name"));
        cli_cell(&columns, rc_json_read_text(server, "Address"));
        cli_cell(&columns, rc_json_read_text(server, "Status"));
        cli_cell(&columns,
                 json_is_true(json_object_get(server, "Healthy")) ? "true" : "false");
    }
    cli_columns_print(&columns);
    json_decref(answer);
    return CLI_DONE;
}

/* Keys of servers that the agent at hand does not trust any more. */
static int list_revoked(const struct cli_client_flags *client)
{
    json_t *answer = NULL;
    size_t i;
    const json_t *one;

    if (cli_get_json(client, "/v1/operator/link/revoked", "Error listing revoked keys",
                     &answer) != RC_OK) {
        return CLI_FAILED;
    }
    json_array_foreach(answer, i, one)
    {
        (void)printf("%s\n", rc_json_read_text(one, "Key"));
    }
    json_decref(answer);
    return CLI_DONE;
}

static int revoke(const struct cli_client_flags *client, const char *key)
{
    json_t *body = json_pack("{s:s}", "Key", key);
    char *text = json_dumps(body, JSON_COMPACT);

    json_decref(body);
    int err = text != NULL ? cli_put(client, "/v1/operator/link/revoke", text,
                                     "Error revoking the key")
                           : RC_ENOMEM;
    free(text);
    if (err == RC_OK) {
        (void)printf("Revoked. Agents refuse servers that prove this key as soon as they "
                     "hear of it\n");
    }
    return err == RC_OK ? CLI_DONE : CLI_FAILED;
}

int operator_run(const struct cli_command *self, int count, char **words)
{
    static const struct {
        const char *group;
        const char *name;
        int (*run)(const struct cli_client_flags *client);
    } parts[] = {
        {"raft", "list-peers", list_peers},
        {"autopilot", "get-config", get_config},
        {"autopilot", "state", state},
        {"link", "revoked", list_revoked},
    };
    struct cli_parsed parsed;
    struct autopilot_flags set = {{NULL}};
    const struct cli_flag flags[] = {
        {"cleanup-dead-servers", CLI_TEXT, &set.given[AUTOPILOT_CLEANUP], "YES",
         "these eight: autopilot set-config"},
        {"last-contact-threshold", CLI_TEXT, &set.given[AUTOPILOT_CONTACT], "TIME",
         "kept and shown"},
        {"max-trailing-logs", CLI_TEXT, &set.given[AUTOPILOT_TRAILING], "N",
         "kept and shown"},
        {"min-quorum", CLI_TEXT, &set.given[AUTOPILOT_QUORUM], "N", "kept and shown"},
        {"server-stabilization-time", CLI_TEXT, &set.given[AUTOPILOT_STABILIZATION],
         "TIME", "kept and shown"},
        {"redundancy-zone-tag", CLI_TEXT, &set.given[AUTOPILOT_ZONE], "TAG",
         "kept and shown"},
        {"disable-upgrade-migration", CLI_TEXT, &set.given[AUTOPILOT_MIGRATION], "YES",
         "kept and shown"},
        {"upgrade-version-tag", CLI_TEXT, &set.given[AUTOPILOT_VERSION], "TAG",
         "kept and shown"},
    };

    int err =
        cli_parse(self, flags, sizeof flags / sizeof flags[0], count, words, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    if (parsed.word_count == 2 && rc_text_equals(parsed.words[0], "autopilot") &&
        rc_text_equals(parsed.words[1], "set-config")) {
        return autopilot_set(&parsed.client, &set);
    }
    if (parsed.word_count == 3 && rc_text_equals(parsed.words[0], "link") &&
        rc_text_equals(parsed.words[1], "revoke")) {
        return revoke(&parsed.client, parsed.words[2]);
    }
    for (size_t i = 0; parsed.word_count == 2 && i < sizeof parts / sizeof parts[0];
         i++) {
        if (rc_text_equals(parsed.words[0], parts[i].group) &&
            rc_text_equals(parsed.words[1], parts[i].name)) {
            return parts[i].run(&parsed.client);
        }
    }
    return cli_misuse(self,
                      "wants raft list-peers, autopilot get-config, set-config or state, "
                      "link revoke KEY or link revoked");
}
