/* dns: what DNS answers to a name, and which instances it leaves out for which reason. */
#include <inttypes.h>
#include <stdarg.h>
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

struct wishes {
    const char *size;
    bool tcp;
};

static void write_path(struct rc_buffer *path, const struct cli_parsed *parsed,
                       const struct wishes *wishes)
{
    rc_buffer_text(path, "/v1/agent/dns?name=");
    cli_escape(path, parsed->words[0]);
    if (parsed->word_count > 1) {
        rc_buffer_text(path, "&type=");
        cli_escape(path, parsed->words[1]);
    }
    if (wishes->size != NULL) {
        rc_buffer_text(path, "&size=");
        cli_escape(path, wishes->size);
    }
    rc_buffer_text(path, wishes->tcp ? "&tcp" : "");
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static void line(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void line(const char *format, ...)
{
    struct rc_buffer text = {0};
    va_list arguments;

    va_start(arguments, format);
    rc_buffer_vformat(&text, format, arguments);
    va_end(arguments);
    char *clean = rc_buffer_steal(&text);
    if (clean != NULL) {
        cli_clean(clean, CLI_ONE_LINE);
    }
    (void)printf("%s\n", clean != NULL ? clean : "");
    free(clean);
    rc_buffer_fini(&text);
}

/* Its name without the final dot. */
static struct rc_span name_of(const json_t *told)
{
    struct rc_span name = rc_span_of(text_of(told, "Name"));

    name.size -= name.size > 1 ? 1 : 0;
    return name;
}

static void print_list(const json_t *list, const char *before)
{
    const json_t *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        line("%s%s", before, json_string_value(item));
    }
}

static void print_suggestions(const json_t *list)
{
    const json_t *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        line("%s %s", i == 0 ? "Did you mean" : "          or", json_string_value(item));
    }
}

static void print_meaning(const json_t *told)
{
    const json_t *ttl = json_object_get(told, "TTL");
    const json_t *query = json_object_get(told, "Query");
    struct rc_span name = name_of(told);

    if (text_of(told, "Completed")[0] != '\0') {
        line("%s is short for %.*s (%s)", text_of(told, "Asked"), (int)name.size, name.at,
             text_of(told, "Completed"));
    }
    line("%.*s: %s", (int)name.size, name.at, text_of(told, "Meaning"));
    if (query != NULL) {
        line("Query:  %s \"%s\" (%s), of service \"%s\"%s",
             json_is_true(json_object_get(query, "Template")) ? "template" : "query",
             text_of(query, "Name"), text_of(query, "ID"), text_of(query, "Service"),
             json_is_true(json_object_get(query, "OnlyPassing")) ? ", only passing" : "");
    }
    if (ttl != NULL) {
        line("TTL:    %" JSON_INTEGER_FORMAT " s (%s)",
             json_integer_value(json_object_get(ttl, "Seconds")), text_of(ttl, "From"));
    }
    if (text_of(told, "Order")[0] != '\0') {
        line("Order:  %s", text_of(told, "Order"));
    }
    print_list(json_object_get(told, "Notes"), "Note:   ");
    print_suggestions(json_object_get(told, "Suggestions"));
}

/* ---- Instances. */

static char *tags_of(const json_t *instance)
{
    struct rc_buffer text = {0};
    const json_t *tag;
    size_t i;

    json_array_foreach(json_object_get(instance, "Tags"), i, tag)
    {
        rc_buffer_format(&text, "%s%s", i > 0 ? "," : "", json_string_value(tag));
    }
    return rc_buffer_steal(&text);
}

/* "in" if it is in one of the answers; else the first reason why not. */
static void cell_verdict(struct cli_columns *columns, const json_t *told, size_t at)
{
    const json_t *reasons = json_object_get(
        json_array_get(json_object_get(told, "Instances"), at), "Reasons");
    const json_t *answer;
    const char *why = NULL;
    size_t i;

    json_array_foreach(json_object_get(told, "Answers"), i, answer)
    {
        const json_t *who = json_array_get(json_object_get(answer, "Instances"), at);
        if (json_is_true(json_object_get(who, "In"))) {
            cli_cell(columns, "in");
            return;
        }
        why = who != NULL ? text_of(who, "Why") : why;
    }
    if (json_array_size(reasons) > 0) {
        why = text_of(json_array_get(reasons, 0), "Text");
    }
    cli_cell_format(columns, "out%s%s", why != NULL ? ": " : "", why != NULL ? why : "");
}

/* An instance may be left out for more than one reason. */
static void add_reasons(struct cli_columns *columns, const json_t *instance)
{
    const json_t *reasons = json_object_get(instance, "Reasons");

    for (size_t i = 1; i < json_array_size(reasons); i++) {
        for (size_t k = 0; k + 1 < columns->width; k++) {
            cli_cell(columns, "");
        }
        cli_cell_format(columns, "     %s", text_of(json_array_get(reasons, i), "Text"));
    }
}

static void print_instances(const json_t *told)
{
    static const char *const names[] = {"ID",     "Node",   "Address", "Tags",
                                        "Status", "Weight", "Answer"};
    const json_t *instances = json_object_get(told, "Instances");
    json_int_t considered = json_integer_value(json_object_get(told, "Considered"));
    struct cli_columns columns = {.width = sizeof names / sizeof names[0]};
    const json_t *instance;
    size_t i;

    if (json_array_size(instances) > 0) {
        (void)printf("\n");
        for (i = 0; i < columns.width; i++) {
            cli_cell(&columns, names[i]);
        }
    }
    json_array_foreach(instances, i, instance)
    {
        const char *address = text_of(instance, "Address");
        bool is_ipv6 = strchr(address, ':') != NULL;
        char *tags = tags_of(instance);
        cli_cell(&columns, text_of(instance, "ID"));
        cli_cell(&columns, text_of(instance, "Node"));
        cli_cell_format(&columns, "%s%s%s:%" JSON_INTEGER_FORMAT, is_ipv6 ? "[" : "",
                        address, is_ipv6 ? "]" : "",
                        json_integer_value(json_object_get(instance, "Port")));
        cli_cell(&columns, tags);
        cli_cell(&columns, text_of(instance, "Status"));
        cli_cell_format(&columns, "%" JSON_INTEGER_FORMAT,
                        json_integer_value(json_object_get(instance, "Weight")));
        cell_verdict(&columns, told, i);
        add_reasons(&columns, instance);
        free(tags);
    }
    cli_columns_print(&columns);
    if (considered > (json_int_t)json_array_size(instances)) {
        line("and %" JSON_INTEGER_FORMAT " more",
             considered - (json_int_t)json_array_size(instances));
    }
    if (json_is_true(json_object_get(told, "Filtered"))) {
        line("and some that your token may not read");
    }
}

/* ---- Answers, as dig prints them. */

static void print_section(const json_t *answer, const char *key)
{
    const json_t *records = json_object_get(answer, key);

    if (json_array_size(records) > 0) {
        (void)printf(";; %s\n", key);
        print_list(records, "");
    }
}

static void print_sizes(const json_t *answer)
{
    static const struct {
        const char *by;
        const char *words;
    } ways[] = {
        {"udp", "UDP without EDNS"}, {"edns", "UDP with EDNS 1232"}, {"tcp", "TCP"}};
    const json_t *size;
    size_t i;

    (void)printf(";; sizes:");
    json_array_foreach(json_object_get(answer, "Sizes"), i, size)
    {
        const char *words = text_of(size, "By");
        for (size_t k = 0; k < sizeof ways / sizeof ways[0]; k++) {
            words = rc_text_equals(words, ways[k].by) ? ways[k].words : words;
        }
        (void)printf(
            "%s %s %" JSON_INTEGER_FORMAT " bytes, %" JSON_INTEGER_FORMAT " records%s",
            i > 0 ? ";" : "", words, json_integer_value(json_object_get(size, "Size")),
            json_integer_value(json_object_get(size, "Answers")),
            json_is_true(json_object_get(size, "Truncated")) ? " (cut)" : "");
    }
    (void)printf("\n");
}

static void print_answer(const json_t *answer)
{
    struct rc_buffer flags = {0};
    const json_t *flag;
    size_t i;

    (void)printf("\n");
    if (json_is_true(json_object_get(answer, "Withheld")) ||
        json_is_true(json_object_get(answer, "Forwarded"))) {
        line(";; %s: %s", text_of(answer, "Type"),
             json_is_true(json_object_get(answer, "Forwarded"))
                 ? "forwarded"
                 : "not shown to your token");
        return;
    }
    json_array_foreach(json_object_get(answer, "Flags"), i, flag)
    {
        rc_buffer_format(&flags, " %s", json_string_value(flag));
    }
    line(";; %s: %s, flags%s, %" JSON_INTEGER_FORMAT " bytes%s%s%s",
         text_of(answer, "Type"), text_of(answer, "Status"), rc_buffer_string(&flags),
         json_integer_value(json_object_get(answer, "Size")),
         json_object_get(answer, "Extended") != NULL ? ", extended error \"" : "",
         text_of(answer, "ExtendedText"),
         json_object_get(answer, "Extended") != NULL ? "\"" : "");
    rc_buffer_fini(&flags);
    print_section(answer, "Answer");
    print_section(answer, "Authority");
    print_section(answer, "Additional");
    if (json_array_size(json_object_get(answer, "Answer")) > 0) {
        print_sizes(answer);
    }
}

/* Whether something was found: a record of an answer, or somebody to ask. */
static bool is_answered(const json_t *told)
{
    const json_t *answer;
    size_t i;

    json_array_foreach(json_object_get(told, "Answers"), i, answer)
    {
        if (json_array_size(json_object_get(answer, "Answer")) > 0 ||
            json_is_true(json_object_get(answer, "Forwarded"))) {
            return true;
        }
    }
    return false;
}

static int tell(const json_t *told, enum cli_format format)
{
    const json_t *answer;
    size_t i;

    if (format == CLI_FORMAT_JSON) {
        cli_print_json(told);
    } else {
        print_meaning(told);
        print_instances(told);
        json_array_foreach(json_object_get(told, "Answers"), i, answer)
        {
            print_answer(answer);
        }
    }
    return is_answered(told) ? CLI_DONE : CLI_FAILED;
}

int dns_run(const struct cli_command *self, int count, char **words)
{
    struct wishes wishes = {.size = NULL};
    const char *format_text = NULL;
    enum cli_format format;
    const struct cli_flag flags[] = {
        {"tcp", CLI_SWITCH, &wishes.tcp, NULL, "as if asked by TCP"},
        {"size", CLI_TEXT, &wishes.size, "BYTES",
         "the EDNS size of the question, default 1232; 0: without EDNS"},
        {"format", CLI_TEXT, &format_text, "FORMAT", "table (default) or json"},
    };
    struct cli_parsed parsed;
    struct rc_buffer path = {0};
    json_t *told = NULL;

    int err =
        cli_parse(self, flags, sizeof flags / sizeof flags[0], count, words, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    if (parsed.word_count < 1 || parsed.word_count > 2) {
        return cli_misuse(self, "wants a name, and perhaps a type");
    }
    if (cli_format_parse(format_text, &format) != RC_OK) {
        return cli_misuse(self, "-format is table or json");
    }
    write_path(&path, &parsed, &wishes);
    int result = CLI_FAILED;
    if (cli_get_json(&parsed.client, rc_buffer_string(&path), "Error asking the agent",
                     &told) == RC_OK) {
        result = tell(told, format);
    }
    json_decref(told);
    rc_buffer_fini(&path);
    return result;
}
