/* operator autopilot set-config: some settings of those that are kept, as Consul's. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/cli/autopilot.h"
#include "agent/cli/cli.h"
#include "agent/cli/say.h"
#include "base/err.h"
#include "base/text.h"

static const char path[] = "/v1/operator/autopilot/configuration";

enum kind { KIND_SWITCH, KIND_NUMBER, KIND_TEXT };

static const struct {
    const char *key;
    enum kind kind;
} fields[AUTOPILOT_FIELDS] = {
    [AUTOPILOT_CLEANUP] = {"CleanupDeadServers", KIND_SWITCH},
    [AUTOPILOT_CONTACT] = {"LastContactThreshold", KIND_TEXT},
    [AUTOPILOT_TRAILING] = {"MaxTrailingLogs", KIND_NUMBER},
    [AUTOPILOT_QUORUM] = {"MinQuorum", KIND_NUMBER},
    [AUTOPILOT_STABILIZATION] = {"ServerStabilizationTime", KIND_TEXT},
    [AUTOPILOT_ZONE] = {"RedundancyZoneTag", KIND_TEXT},
    [AUTOPILOT_MIGRATION] = {"DisableUpgradeMigration", KIND_SWITCH},
    [AUTOPILOT_VERSION] = {"UpgradeVersionTag", KIND_TEXT},
};

static json_t *value_of(enum kind kind, const char *text)
{
    uint64_t number = 0;

    switch (kind) {
    case KIND_SWITCH:
        return rc_text_equals(text, "true")    ? json_true()
               : rc_text_equals(text, "false") ? json_false()
                                               : NULL;
    case KIND_NUMBER:
        return rc_text_to_u64(text, INT64_MAX, &number) == RC_OK
                   ? json_integer((json_int_t)number)
                   : NULL;
    case KIND_TEXT:
        return json_string(text);
    }
    return NULL;
}

/* What was given on the command line, in place of what is. */
static int change(const struct autopilot_flags *flags, json_t *config)
{
    for (size_t i = 0; i < AUTOPILOT_FIELDS; i++) {
        if (flags->given[i] == NULL) {
            continue;
        }
        json_t *value = value_of(fields[i].kind, flags->given[i]);
        if (value == NULL) {
            cli_error("Error: %s cannot be %s", fields[i].key, flags->given[i]);
            return CLI_USAGE;
        }
        (void)json_object_set_new(config, fields[i].key, value);
    }
    return CLI_DONE;
}

static int put(const struct cli_client_flags *client, json_t *config)
{
    char target[96];
    json_t *answer = NULL;
    json_int_t index = json_integer_value(json_object_get(config, "ModifyIndex"));
    char *body = json_dumps(config, JSON_COMPACT);

    (void)snprintf(target, sizeof target, "%s?cas=%" PRId64, path, (int64_t)index);
    int err = body != NULL
                  ? cli_put_json(client, target, body,
                                 "Error setting Autopilot configuration", &answer)
                  : RC_ENOMEM;
    bool is_done = err == RC_OK && json_is_true(answer);
    free(body);
    json_decref(answer);
    if (is_done) {
        (void)printf("Configuration updated!\n");
        cli_error("Nobody acts on it: the engine of the store decides by itself");
    } else if (err == RC_OK) {
        cli_error("Configuration could not be atomically updated, please try again");
    }
    return is_done ? CLI_DONE : CLI_FAILED;
}

int autopilot_set(const struct cli_client_flags *client,
                  const struct autopilot_flags *flags)
{
    json_t *config = NULL;

    if (cli_get_json(client, path, "Error querying Autopilot configuration", &config) !=
        RC_OK) {
        return CLI_FAILED;
    }
    int result = change(flags, config);
    if (result == CLI_DONE) {
        result = put(client, config);
    }
    json_decref(config);
    return result;
}
