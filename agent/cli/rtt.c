/* rtt: how far two nodes are from each other, as Consul says it. */
#include <math.h>
#include <stdio.h>

#include "agent/cli/client.h"
#include "agent/cli/commands.h"
#include "agent/cli/flags.h"
#include "agent/cli/say.h"
#include "base/err.h"
#include "base/text.h"

enum { NAME_MAX_BYTES = 256 };

static const json_t *coordinate_of(const json_t *nodes, const char *name)
{
    const json_t *node;
    size_t index;

    json_array_foreach(nodes, index, node)
    {
        if (rc_text_equals(json_string_value(json_object_get(node, "Node")), name)) {
            return json_object_get(node, "Coord");
        }
    }
    return NULL;
}

static double number_of(const json_t *coordinate, const char *key)
{
    return json_number_value(json_object_get(coordinate, key));
}

/* Dabek et al. 2004, section 5.4, with Serf's adjustment: seconds. */
static double distance(const json_t *a, const json_t *b)
{
    const json_t *from = json_object_get(a, "Vec");
    const json_t *to = json_object_get(b, "Vec");
    double sum = 0;

    for (size_t i = 0; i < json_array_size(from); i++) {
        double difference = json_number_value(json_array_get(from, i)) -
                            json_number_value(json_array_get(to, i));
        sum += difference * difference;
    }
    double plain = sqrt(sum) + number_of(a, "Height") + number_of(b, "Height");
    double adjusted = plain + number_of(a, "Adjustment") + number_of(b, "Adjustment");
    return adjusted > 0 ? adjusted : plain;
}

/* The name of the agent's own node. */
static int read_self(const struct cli_client_flags *client, char out[NAME_MAX_BYTES])
{
    json_t *self = NULL;

    int err =
        cli_get_json(client, "/v1/agent/self", "Unable to look up agent info", &self);
    if (err == RC_OK) {
        const char *name = json_string_value(
            json_object_get(json_object_get(self, "Config"), "NodeName"));
        (void)rc_text_put(out, NAME_MAX_BYTES, name != NULL ? name : "");
    }
    json_decref(self);
    return err;
}

static int tell(const json_t *nodes, const char *const names[2])
{
    const json_t *coordinates[2];

    for (size_t i = 0; i < 2; i++) {
        coordinates[i] = coordinate_of(nodes, names[i]);
        if (coordinates[i] == NULL) {
            cli_error("Could not find a coordinate for node \"%s\"", names[i]);
            return CLI_FAILED;
        }
    }
    (void)printf("Estimated %s <-> %s rtt: %.3f ms (using LAN coordinates)\n", names[0],
                 names[1], distance(coordinates[0], coordinates[1]) * 1000);
    return CLI_DONE;
}

int rtt_run(const struct cli_command *self, int count, char **words)
{
    bool wan = false;
    const struct cli_flag flags[] = {
        {"wan", CLI_SWITCH, &wan, NULL, "refused: there is one pool, the LAN's"},
    };
    struct cli_parsed parsed;
    char own[NAME_MAX_BYTES];
    json_t *nodes = NULL;

    int err = cli_parse(self, flags, 1, count, words, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    if (wan || parsed.word_count < 1 || parsed.word_count > 2) {
        return cli_misuse(self, wan ? "there is no WAN pool"
                                    : "One or two node names must be specified");
    }
    const char *names[2] = {parsed.words[0],
                            parsed.word_count > 1 ? parsed.words[1] : own};
    if (parsed.word_count == 1 && read_self(&parsed.client, own) != RC_OK) {
        return CLI_FAILED;
    }
    int result = CLI_FAILED;
    if (cli_get_json(&parsed.client, "/v1/coordinate/nodes", "Error getting coordinates",
                     &nodes) == RC_OK) {
        result = tell(nodes, names);
    }
    json_decref(nodes);
    return result;
}
