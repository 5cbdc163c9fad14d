#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/client.h"
#include "agent/cli/columns.h"
#include "agent/cli/commands.h"
#include "agent/cli/flags.h"
#include "agent/cli/say.h"
#include "base/err.h"
#include "base/json_read.h"
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
        char *pair = rc_text_copy(flags->node_meta.items[i]);
        char *equals = pair != NULL ? strchr(pair, '=') : NULL;
        if (equals != NULL) {
            *equals = ':'; /* key=value on the command line, key:value in the API */
        }
        add_query(path, "node-meta", pair);
        free(pair);
    }
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
        cli_cell(&columns, rc_json_read_text(node, "Node"));
        cli_cell_format(&columns, "%.*s", flags->detailed ? 36 : 8,
                        rc_json_read_text(node, "ID"));
        cli_cell(&columns, rc_json_read_text(node, "Address"));
        cli_cell(&columns, rc_json_read_text(node, "Datacenter"));
        if (flags->detailed) {
            cli_cell_pairs(&columns, json_object_get(node, "TaggedAddresses"), ", ");
            cli_cell_pairs(&columns, json_object_get(node, meta), ", ");
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
        cli_error("No nodes match the given query - try expanding your search.");
    } else {
        print_nodes(answer, flags);
    }
    json_decref(answer);
    return CLI_DONE;
}

/* The set of tags under `name`, made when missing. */
static json_t *tags_of(json_t *names, const char *name)
{
    json_t *tags = json_object_get(names, name);
    if (tags == NULL) {
        tags = json_object();
        (void)json_object_set_new(names, name, tags);
    }
    return tags;
}

static void add_tags(json_t *set, const json_t *list)
{
    size_t index;
    const json_t *tag;
    json_array_foreach(list, index, tag)
    {
        if (json_is_string(tag)) {
            (void)json_object_set_new(set, json_string_value(tag), json_true());
        }
    }
}

/* {name: {tag: true}} from catalog/services, {name: [tag]}, or from catalog/node,
 * {"Services": {id: {"Service", "Tags"}}}. Owned by the caller. */
static json_t *tag_sets(const json_t *answer, const struct catalog_flags *flags)
{
    json_t *names = json_object();
    const json_t *services =
        flags->node != NULL ? json_object_get(answer, "Services") : answer;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)services, key, value)
    {
        if (flags->node != NULL) {
            add_tags(tags_of(names, rc_json_read_text(value, "Service")),
                     json_object_get(value, "Tags"));
        } else {
            add_tags(tags_of(names, key), value);
        }
    }
    return names;
}

static void add_tag_cell(struct cli_columns *columns, const json_t *tags)
{
    struct rc_buffer text = {0};
    const char **sorted = cli_sorted_keys(tags);
    for (size_t i = 0; sorted[i] != NULL; i++) {
        rc_buffer_format(&text, "%s%s", i > 0 ? "," : "", sorted[i]);
    }
    cli_cell(columns, rc_buffer_string(&text));
    rc_buffer_fini(&text);
    free(sorted);
}

static void print_services(const json_t *names, const struct catalog_flags *flags)
{
    struct cli_columns columns = {.width = flags->tags ? 2 : 1};
    const char **sorted = cli_sorted_keys(names);
    for (size_t i = 0; sorted[i] != NULL; i++) {
        cli_cell(&columns, sorted[i]);
        if (flags->tags) {
            add_tag_cell(&columns, json_object_get(names, sorted[i]));
        }
    }
    cli_columns_print(&columns);
    free(sorted);
}

/* {name: [tag, ...]}, as catalog/services answers. */
static void print_services_json(const json_t *names)
{
    json_t *out = json_object();
    const char *name;
    json_t *tags;
    json_object_foreach((json_t *)names, name, tags)
    {
        const char **sorted = cli_sorted_keys(tags);
        json_t *list = json_array();
        for (size_t i = 0; sorted[i] != NULL; i++) {
            (void)json_array_append_new(list, json_string(sorted[i]));
        }
        (void)json_object_set_new(out, name, list);
        free(sorted);
    }
    cli_print_json(out);
    json_decref(out);
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
    json_t *names = tag_sets(answer, flags);
    if (flags->format == CLI_FORMAT_JSON) {
        print_services_json(names);
    } else if (json_object_size(names) == 0) {
        cli_error("No services match the given query - try expanding your search.");
    } else {
        print_services(names, flags);
    }
    json_decref(names);
    json_decref(answer);
    return CLI_DONE;
}

static int datacenters(const struct cli_client_flags *client,
                       const struct catalog_flags *flags)
{
    struct cli_columns columns = {.width = 1};
    json_t *answer = NULL;
    size_t index;
    const json_t *name;

    if (cli_get_json(client, "/v1/catalog/datacenters", "Error listing datacenters",
                     &answer) != RC_OK) {
        return CLI_FAILED;
    }
    if (flags->format == CLI_FORMAT_JSON) {
        cli_print_json(answer);
    } else {
        json_array_foreach(answer, index, name)
        {
            cli_cell(&columns, json_string_value(name));
        }
        cli_columns_print(&columns);
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
        return datacenters(&parsed.client, &chosen);
    }
    return cli_misuse(self, "wants one of: nodes, services, datacenters");
}
