#include <stdio.h>
#include <string.h>

#include "agent/cli/client.h"
#include "agent/cli/columns.h"
#include "agent/cli/commands.h"
#include "agent/cli/flags.h"
#include "base/err.h"
#include "base/text.h"

struct catalog_flags {
    bool detailed;
    bool tags;
    const char *service;
    const char *node;
    const char *near;
    const char *filter;
    struct cli_list node_meta;
    enum cli_format format;
};

static void add_query(struct rc_buffer *path, const char *key, const char *value)
{
    if (value != NULL) {
        rc_buffer_text(path, strchr(rc_buffer_string(path), '?') != NULL ? "&" : "?");
        rc_buffer_format(path, "%s=", key);
        cli_escape(path, value);
    }
}

static void add_selection(struct rc_buffer *path, const struct catalog_flags *flags)
{
    add_query(path, "near", flags->near);
    add_query(path, "filter", flags->filter);
    for (size_t i = 0; i < flags->node_meta.count; i++) {
        char pair[1024];
        (void)snprintf(pair, sizeof pair, "%s", flags->node_meta.items[i]);
        char *equals = strchr(pair, '=');
        if (equals != NULL) {
            *equals = ':'; /* key=value on the command line, key:value in the API */
        }
        add_query(path, "node-meta", pair);
    }
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static void add_pairs(struct cli_columns *columns, const json_t *pairs)
{
    struct rc_buffer text = {0};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)pairs, key, value)
    {
        rc_buffer_format(&text, "%s%s=%s", text.size > 0 ? ", " : "", key,
                         json_string_value(value));
    }
    cli_cell(columns, rc_buffer_string(&text));
    rc_buffer_fini(&text);
}

static void print_nodes(const json_t *nodes, const struct catalog_flags *flags)
{
    struct cli_columns columns = {.width = flags->detailed ? 6 : 4};
    const char *meta = flags->service != NULL ? "NodeMeta" : "Meta";
    static const char *const titles[] = {"Node", "ID", "Address", "DC", "TaggedAddresses",
                                         "Meta"};
    size_t index;
    const json_t *node;

    for (size_t i = 0; i < columns.width; i++) {
        cli_cell(&columns, titles[i]);
    }
    json_array_foreach(nodes, index, node)
    {
        cli_cell(&columns, text_of(node, "Node"));
        cli_cell_format(&columns, "%.*s", flags->detailed ? 36 : 8, text_of(node, "ID"));
        cli_cell(&columns, text_of(node, "Address"));
        cli_cell(&columns, text_of(node, "Datacenter"));
        if (flags->detailed) {
            add_pairs(&columns, json_object_get(node, "TaggedAddresses"));
            add_pairs(&columns, json_object_get(node, meta));
        }
    }
    cli_columns_print(&columns);
}

static int nodes(const struct cli_client_flags *client, const struct catalog_flags *flags)
{
    struct rc_buffer path = {0};
    json_t *answer = NULL;

    rc_buffer_text(&path, "/v1/catalog/nodes");
    if (flags->service != NULL) {
        rc_buffer_clear(&path);
        rc_buffer_text(&path, "/v1/catalog/service/");
        cli_escape(&path, flags->service);
    }
    add_selection(&path, flags);
    int err =
        cli_get_json(client, rc_buffer_string(&path), "Error listing nodes", &answer);
    rc_buffer_fini(&path);
    if (err != RC_OK) {
        return CLI_FAILED;
    }
    if (flags->format == CLI_FORMAT_JSON) {
        cli_print_json(answer);
    } else if (json_array_size(answer) == 0) {
        (void)printf("No nodes match the given query - try expanding your search\n");
    } else {
        print_nodes(answer, flags);
    }
    json_decref(answer);
    return CLI_DONE;
}

/* catalog/node answers another shape: {"Services": {id: {"Service", "Tags"}}}. */
static json_t *services_of_node(const json_t *node)
{
    json_t *names = json_object();
    const char *id;
    json_t *service;
    json_object_foreach(json_object_get(node, "Services"), id, service)
    {
        const char *name = text_of(service, "Service");
        json_t *tags = json_object_get(names, name);
        if (tags == NULL) {
            tags = json_array();
            (void)json_object_set_new(names, name, tags);
        }
        (void)json_array_extend(tags, json_object_get(service, "Tags"));
    }
    return names;
}

static void print_services(const json_t *names, const struct catalog_flags *flags)
{
    struct cli_columns columns = {.width = flags->tags ? 2 : 1};
    const char *name;
    json_t *tags;
    json_object_foreach((json_t *)names, name, tags)
    {
        cli_cell(&columns, name);
        if (flags->tags) {
            struct rc_buffer text = {0};
            size_t index;
            const json_t *tag;
            json_array_foreach(tags, index, tag)
            {
                rc_buffer_format(&text, "%s%s", index > 0 ? "," : "",
                                 json_string_value(tag));
            }
            cli_cell(&columns, rc_buffer_string(&text));
            rc_buffer_fini(&text);
        }
    }
    cli_columns_print(&columns);
}

static int services(const struct cli_client_flags *client,
                    const struct catalog_flags *flags)
{
    struct rc_buffer path = {0};
    json_t *answer = NULL;

    rc_buffer_text(&path, "/v1/catalog/services");
    if (flags->node != NULL) {
        rc_buffer_clear(&path);
        rc_buffer_text(&path, "/v1/catalog/node/");
        cli_escape(&path, flags->node);
    }
    add_selection(&path, flags);
    int err =
        cli_get_json(client, rc_buffer_string(&path), "Error listing services", &answer);
    rc_buffer_fini(&path);
    if (err != RC_OK) {
        return CLI_FAILED;
    }
    json_t *names = flags->node != NULL ? services_of_node(answer) : json_incref(answer);
    if (flags->format == CLI_FORMAT_JSON) {
        cli_print_json(names);
    } else {
        print_services(names, flags);
    }
    json_decref(names);
    json_decref(answer);
    return CLI_DONE;
}

static int datacenters(const struct cli_client_flags *client)
{
    json_t *answer = NULL;
    size_t index;
    const json_t *name;
    if (cli_get_json(client, "/v1/catalog/datacenters", "Error listing datacenters",
                     &answer) != RC_OK) {
        return CLI_FAILED;
    }
    json_array_foreach(answer, index, name)
    {
        (void)printf("%s\n", json_string_value(name));
    }
    json_decref(answer);
    return CLI_DONE;
}

int catalog_run(const struct cli_command *self, int count, char **words)
{
    struct catalog_flags chosen = {0};
    const char *format = NULL;
    const struct cli_flag flags[] = {
        {"detailed", CLI_SWITCH, &chosen.detailed, NULL,
         "nodes: full id, addresses, meta"},
        {"service", CLI_TEXT, &chosen.service, "NAME", "nodes: only those that run it"},
        {"tags", CLI_SWITCH, &chosen.tags, NULL, "services: with their tags"},
        {"node", CLI_TEXT, &chosen.node, "NAME", "services: only those of the node"},
        {"near", CLI_TEXT, &chosen.near, "NAME", "nearest to this node first"},
        {"node-meta", CLI_LIST, &chosen.node_meta, "KEY=VALUE", "only nodes with it"},
        {"filter", CLI_TEXT, &chosen.filter, "EXPRESSION", "only what it is true for"},
        {"format", CLI_TEXT, &format, "FORMAT", "table (default) or json"},
    };
    struct cli_parsed parsed;

    int err =
        cli_parse(self, flags, sizeof flags / sizeof flags[0], count, words, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    if (cli_format_parse(format, &chosen.format) != RC_OK) {
        return cli_misuse(self, "-format is table or json");
    }
    if (parsed.word_count == 1 && rc_text_equals(parsed.words[0], "nodes")) {
        return nodes(&parsed.client, &chosen);
    }
    if (parsed.word_count == 1 && rc_text_equals(parsed.words[0], "services")) {
        return services(&parsed.client, &chosen);
    }
    if (parsed.word_count == 1 && rc_text_equals(parsed.words[0], "datacenters")) {
        return datacenters(&parsed.client);
    }
    return cli_misuse(self, "wants one of: nodes, services, datacenters");
}
