#include "agent/cli/acl_show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/columns.h"
#include "agent/cli/say.h"
#include "base/buffer.h"
#include "base/json_read.h"
#include "base/text.h"

static void print_line(const char *title, const char *text, enum cli_lines lines)
{
    char *copy = rc_text_copy(text);

    if (copy != NULL) {
        cli_clean(copy, lines);
        (void)printf("%-18s%s\n", title, copy);
    }
    free(copy);
}

/* What a link is called: by whatever name it has. */
static const char *name_of(const json_t *link)
{
    static const char *const keys[] = {"Name", "ServiceName", "NodeName", "ID"};

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (rc_json_read_text(link, keys[i])[0] != '\0') {
            return rc_json_read_text(link, keys[i]);
        }
    }
    return "";
}

static void print_links(const json_t *object, const char *key)
{
    const json_t *links = json_object_get(object, key);
    char title[32];

    for (size_t i = 0; i < json_array_size(links); i++) {
        (void)snprintf(title, sizeof title, "%s%s", i == 0 ? key : "", i == 0 ? ":" : "");
        print_line(title, name_of(json_array_get(links, i)), CLI_ONE_LINE);
    }
}

void acl_show_object(const json_t *object)
{
    static const char *const keys[] = {"AccessorID",    "SecretID",    "ID",
                                       "Name",          "Description", "CreateTime",
                                       "ExpirationTime"};
    bool is_token = json_object_get(object, "AccessorID") != NULL;
    char title[32];

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        bool is_again = is_token && strcmp(keys[i], "ID") == 0; /* of a bootstrap */
        if (json_object_get(object, keys[i]) != NULL && !is_again) {
            (void)snprintf(title, sizeof title, "%s:", keys[i]);
            print_line(title, rc_json_read_text(object, keys[i]), CLI_ONE_LINE);
        }
    }
    print_links(object, "Policies");
    print_links(object, "Roles");
    print_links(object, "ServiceIdentities");
    print_links(object, "NodeIdentities");
    if (json_object_get(object, "Rules") != NULL) {
        (void)printf("Rules:\n");
        char *rules = rc_text_copy(rc_json_read_text(object, "Rules"));
        if (rules != NULL) {
            cli_clean(rules, CLI_MANY_LINES);
            (void)printf("%s\n", rules);
        }
        free(rules);
    }
}

static void add_names(struct cli_columns *columns, const json_t *object, const char *key)
{
    const json_t *links = json_object_get(object, key);
    struct rc_buffer names = {0};

    for (size_t i = 0; i < json_array_size(links); i++) {
        rc_buffer_text(&names, i > 0 ? "," : "");
        rc_buffer_text(&names, name_of(json_array_get(links, i)));
    }
    cli_cell(columns, rc_buffer_string(&names));
    rc_buffer_fini(&names);
}

void acl_show_list(const json_t *list, const char *id_key)
{
    bool is_token = strcmp(id_key, "AccessorID") == 0;
    struct cli_columns columns = {.width = 4};
    size_t i = 0;
    json_t *item = NULL;

    cli_cell(&columns, id_key);
    cli_cell(&columns, is_token ? "Policies" : "Name");
    cli_cell(&columns, is_token ? "Roles" : "Policies");
    cli_cell(&columns, "Description");
    json_array_foreach((json_t *)list, i, item)
    {
        cli_cell(&columns, rc_json_read_text(item, id_key));
        if (is_token) {
            add_names(&columns, item, "Policies");
            add_names(&columns, item, "Roles");
        } else {
            cli_cell(&columns, rc_json_read_text(item, "Name"));
            add_names(&columns, item, "Policies");
        }
        cli_cell(&columns, rc_json_read_text(item, "Description"));
    }
    cli_columns_print(&columns);
}

void acl_show_reason(const json_t *reason)
{
    bool allowed = json_is_true(json_object_get(reason, "Allowed"));
    char *line = rc_text_format(
        "%s: token %s, %s:%s on \"%s\": %s", allowed ? "allowed" : "refused",
        rc_json_read_text(reason, "AccessorID"), rc_json_read_text(reason, "Resource"),
        rc_json_read_text(reason, "Access"), rc_json_read_text(reason, "Name"),
        rc_json_read_text(reason, "Why"));

    if (line != NULL && json_object_get(reason, "Resource") != NULL) {
        cli_clean(line, CLI_ONE_LINE);
        (void)printf("%s\n", line);
    } else {
        print_line("allowed:", rc_json_read_text(reason, "Why"), CLI_ONE_LINE);
    }
    free(line);
}
