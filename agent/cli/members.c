#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/client.h"
#include "agent/cli/columns.h"
#include "agent/cli/commands.h"
#include "agent/cli/flags.h"
#include "base/err.h"
#include "base/text.h"

/* Serf's numbers for a member's status, as the API gives them. */
static const char *const status_names[] = {"none", "alive", "leaving", "left", "failed"};
enum { STATUS_COUNT = sizeof status_names / sizeof status_names[0] };

/* A row of agent/gossip/members holds the member, one of agent/members is it. */
static const json_t *member_of(const json_t *row)
{
    const json_t *inner = json_object_get(row, "Member");
    return inner != NULL ? inner : row;
}

static const char *status_of(const json_t *member)
{
    json_int_t status = json_integer_value(json_object_get(member, "Status"));
    return status >= 0 && status < STATUS_COUNT ? status_names[status] : "unknown";
}

static const char *tag_of(const json_t *member, const char *key)
{
    const char *value =
        json_string_value(json_object_get(json_object_get(member, "Tags"), key));
    return value != NULL ? value : "";
}

static const char *type_of(const json_t *member)
{
    const char *role = tag_of(member, "role");
    if (rc_text_equals(role, "consul")) {
        return "server";
    }
    return rc_text_equals(role, "node") ? "client" : "unknown";
}

static void add_address(struct cli_columns *columns, const json_t *member)
{
    const char *address = json_string_value(json_object_get(member, "Addr"));
    long long port = (long long)json_integer_value(json_object_get(member, "Port"));
    bool ipv6 = address != NULL && strchr(address, ':') != NULL;
    cli_cell_format(columns, "%s%s%s:%lld", ipv6 ? "[" : "",
                    address != NULL ? address : "", ipv6 ? "]" : "", port);
}

static void add_brief(struct cli_columns *columns, const json_t *member)
{
    const char *build = tag_of(member, "build");
    const char *server = type_of(member);
    cli_cell(columns, server);
    cli_cell_format(columns, "%.*s", (int)strcspn(build, ":"), build);
    cli_cell_format(
        columns, "%lld",
        (long long)json_integer_value(json_object_get(member, "ProtocolCur")));
    cli_cell(columns, tag_of(member, "dc"));
    cli_cell(columns, rc_text_equals(server, "server") ? "<all>" : "<default>");
}

/* Serf's protocol, as `serf members -detailed` has it. */
static void add_protocol(struct cli_columns *columns, const json_t *member)
{
    cli_cell_format(
        columns, "%lld [%lld, %lld]",
        (long long)json_integer_value(json_object_get(member, "DelegateCur")),
        (long long)json_integer_value(json_object_get(member, "DelegateMin")),
        (long long)json_integer_value(json_object_get(member, "DelegateMax")));
}

/* What gossip knows beside: `row` is one of agent/gossip/members. */
static void add_details(struct cli_columns *columns, const json_t *row)
{
    const json_t *rtt = json_object_get(row, "RTT");
    json_int_t since_ms = json_integer_value(json_object_get(row, "SinceMs"));
    bool suspect = json_is_true(json_object_get(row, "Suspect"));
    bool tcp_only = json_is_true(json_object_get(row, "TCPOnly"));
    char since[32];

    cli_cell_pairs(columns, json_object_get(json_object_get(row, "Member"), "Tags"), ",");
    add_protocol(columns, json_object_get(row, "Member"));
    cli_cell_format(columns, "%lld",
                    (long long)json_integer_value(json_object_get(row, "Incarnation")));
    rc_text_from_duration_ns((uint64_t)(since_ms / 1000) * 1000000000, since,
                             sizeof since);
    cli_cell(columns, since);
    if (json_is_number(rtt)) {
        cli_cell_format(columns, "%.3f ms", json_number_value(rtt) * 1000);
    } else {
        cli_cell(columns, "-");
    }
    cli_cell_format(columns, "%s%s%s", suspect ? "suspect" : "",
                    suspect && tcp_only ? ", " : "",
                    tcp_only  ? "UDP blocked?"
                    : suspect ? ""
                              : "-");
}

static void print_table(const json_t *members, bool detailed)
{
    static const char *const brief[] = {"Type", "Build", "Protocol", "DC", "Segment"};
    static const char *const details[] = {"Tags",  "Protocol", "Incarnation",
                                          "Since", "RTT",      "Notes"};
    const char *const *titles = detailed ? details : brief;
    size_t count =
        detailed ? sizeof details / sizeof details[0] : sizeof brief / sizeof brief[0];
    struct cli_columns columns = {.width = 3 + count};
    size_t index;
    const json_t *row;

    cli_cell(&columns, "Node");
    cli_cell(&columns, "Address");
    cli_cell(&columns, "Status");
    for (size_t i = 0; i < count; i++) {
        cli_cell(&columns, titles[i]);
    }
    json_array_foreach(members, index, row)
    {
        const json_t *member = member_of(row);
        cli_cell(&columns, json_string_value(json_object_get(member, "Name")));
        add_address(&columns, member);
        cli_cell(&columns, status_of(member));
        if (detailed) {
            add_details(&columns, row);
        } else {
            add_brief(&columns, member);
        }
    }
    cli_columns_print(&columns);
}

static int by_name(const void *a, const void *b)
{
    const char *left =
        json_string_value(json_object_get(member_of(*(json_t *const *)a), "Name"));
    const char *right =
        json_string_value(json_object_get(member_of(*(json_t *const *)b), "Name"));
    return strcmp(left != NULL ? left : "", right != NULL ? right : "");
}

/* A new array of those whose status matches the expression, by name. NULL: no memory. */
static json_t *select_members(const json_t *all, const regex_t *status)
{
    size_t count = 0;
    size_t index;
    json_t *member;
    json_t *out = json_array();
    json_t **chosen = calloc(json_array_size(all) + 1, sizeof(json_t *));
    if (chosen == NULL || out == NULL) {
        free(chosen);
        json_decref(out);
        return NULL;
    }
    json_array_foreach(all, index, member)
    {
        if (status == NULL ||
            regexec(status, status_of(member_of(member)), 0, NULL, 0) == 0) {
            chosen[count++] = member;
        }
    }
    qsort(chosen, count, sizeof(json_t *), by_name);
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append(out, chosen[i]);
    }
    free(chosen);
    return out;
}

static int show(const json_t *all, const regex_t *status, enum cli_format format,
                bool detailed)
{
    json_t *members = select_members(all, status);
    if (members == NULL) {
        return CLI_FAILED;
    }
    int result = json_array_size(members) > 0 ? CLI_DONE : CLI_USAGE;
    if (format == CLI_FORMAT_JSON) {
        cli_print_json(members);
    } else if (result == CLI_DONE) {
        print_table(members, detailed);
    }
    json_decref(members);
    return result;
}

int members_run(const struct cli_command *self, int count, char **words)
{
    bool detailed = false;
    const char *wanted = NULL;
    const char *format_text = NULL;
    const struct cli_flag flags[] = {
        {"detailed", CLI_SWITCH, &detailed, NULL,
         "every tag, protocol, incarnation, since when, round trip"},
        {"status", CLI_TEXT, &wanted, "REGEX",
         "only these: alive, leaving, left, failed"},
        {"format", CLI_TEXT, &format_text, "FORMAT", "table (default) or json"},
    };
    struct cli_parsed parsed;
    enum cli_format format;
    regex_t status;
    json_t *members = NULL;

    int err =
        cli_parse(self, flags, sizeof flags / sizeof flags[0], count, words, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    if (parsed.word_count > 0 || cli_format_parse(format_text, &format) != RC_OK) {
        return cli_misuse(self, parsed.word_count > 0 ? "takes no words"
                                                      : "-format is table or json");
    }
    if (wanted != NULL && regcomp(&status, wanted, REG_EXTENDED | REG_NOSUB) != 0) {
        return cli_misuse(self, "-status is not a regular expression");
    }
    int result = CLI_FAILED;
    const char *path = detailed ? "/v1/agent/gossip/members" : "/v1/agent/members";
    if (cli_get_json(&parsed.client, path, "Error retrieving members", &members) ==
        RC_OK) {
        result = show(members, wanted != NULL ? &status : NULL, format, detailed);
    }
    json_decref(members);
    if (wanted != NULL) {
        regfree(&status);
    }
    return result;
}
