/* debug.c - `rollcall debug`: what an agent knows about its own trouble. */
#include <stdio.h>

#include "agent/cli/client.h"
#include "agent/cli/columns.h"
#include "agent/cli/commands.h"
#include "agent/cli/flags.h"
#include "agent/cli/say.h"
#include "base/err.h"
#include "base/json_read.h"
#include "base/text.h"

static long long number(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

static void cell_ago(struct cli_columns *columns, const json_t *object, const char *key)
{
    enum { MS = 1000, MINUTE = 60, HOUR = 3600 };
    long long ms = number(object, key);
    long long s = ms / MS;

    if (s < MINUTE) {
        cli_cell_format(columns, "%lld.%01lld s", s, ms % MS / (MS / 10));
    } else if (s < HOUR) {
        cli_cell_format(columns, "%lld min %lld s", s / MINUTE, s % MINUTE);
    } else {
        cli_cell_format(columns, "%lld h %lld min", s / HOUR, s % HOUR / MINUTE);
    }
}

/* Begins a table. */
static struct cli_columns headings(size_t count, const char *const *names)
{
    struct cli_columns columns = {.width = count};

    for (size_t i = 0; i < count; i++) {
        cli_cell(&columns, names[i]);
    }
    return columns;
}

static void print_health(const json_t *health)
{
    static const char *const names[] = {"Ago", "Score", "Why it rose"};
    struct cli_columns columns = headings(3, names);
    json_t *doubt;
    size_t i;

    (void)printf("health score: %lld of at most %lld (0 is well)%s\n",
                 number(health, "Score"), number(health, "Max"),
                 json_is_true(json_object_get(health, "Deaf"))
                     ? "; nobody answers us: we accuse nobody"
                     : "");
    json_array_foreach(json_object_get(health, "Doubts"), i, doubt)
    {
        cell_ago(&columns, doubt, "AgoMs");
        cli_cell_format(&columns, "%lld", number(doubt, "Score"));
        cli_cell(&columns, rc_json_read_text(doubt, "Why"));
    }
    cli_columns_print(&columns);
}

static void print_queues(const json_t *queues)
{
    static const char *const names[] = {"Queue", "Length", "Max", "Dropped", "Too large"};
    struct cli_columns columns = headings(5, names);
    json_t *queue;
    size_t i;

    json_array_foreach(queues, i, queue)
    {
        cli_cell(&columns, rc_json_read_text(queue, "Name"));
        cli_cell_format(&columns, "%lld", number(queue, "Length"));
        cli_cell_format(&columns, "%lld", number(queue, "Max"));
        cli_cell_format(&columns, "%lld", number(queue, "Dropped"));
        cli_cell_format(&columns, "%lld", number(queue, "TooLarge"));
    }
    cli_columns_print(&columns);
}

static void print_suspicions(const json_t *suspicions)
{
    static const char *const names[] = {"Suspect", "Since", "Left", "Confirmed",
                                        "Answered us"};
    struct cli_columns columns = headings(5, names);
    json_t *suspicion;
    size_t i;

    json_array_foreach(suspicions, i, suspicion)
    {
        cli_cell(&columns, rc_json_read_text(suspicion, "Member"));
        cell_ago(&columns, suspicion, "AgoMs");
        cell_ago(&columns, suspicion, "LeftMs");
        cli_cell_format(&columns, "%lld of %lld", number(suspicion, "Confirmations"),
                        number(suspicion, "Wanted"));
        cli_cell(&columns,
                 json_is_true(json_object_get(suspicion, "AnsweredUs")) ? "yes" : "no");
    }
    cli_columns_print(&columns);
}

static void print_refusals(const json_t *refusals)
{
    static const char *const names[] = {"Refused", "Member", "Reason", "Count", "Last"};
    struct cli_columns columns = headings(5, names);
    json_t *refusal;
    size_t i;

    json_array_foreach(refusals, i, refusal)
    {
        cli_cell(&columns, rc_json_read_text(refusal, "Address"));
        cli_cell(&columns, rc_json_read_text(refusal, "Member"));
        cli_cell(&columns, rc_json_read_text(refusal, "Reason"));
        cli_cell_format(&columns, "%lld", number(refusal, "Count"));
        cell_ago(&columns, refusal, "AgoMs");
    }
    cli_columns_print(&columns);
}

static void print_tcp_only(const json_t *members)
{
    json_t *member;
    size_t i;

    json_array_foreach(members, i, member)
    {
        char line[512];
        (void)snprintf(line, sizeof line, "%s at %s answers by TCP, not by UDP",
                       rc_json_read_text(member, "Member"),
                       rc_json_read_text(member, "Address"));
        cli_clean(line, CLI_ONE_LINE);
        (void)printf("%s: open UDP both ways\n", line);
    }
}

static void print_figures(const char *title, const json_t *figures)
{
    const char *key;
    json_t *value;

    (void)printf("%s:", title);
    json_object_foreach((json_t *)figures, key, value)
    {
        if (json_is_integer(value)) {
            (void)printf(" %s %lld", key, (long long)json_integer_value(value));
        } else if (json_is_boolean(value)) {
            (void)printf(" %s %s", key, json_is_true(value) ? "yes" : "no");
        }
    }
    (void)printf("\n");
}

static void print_transitions(const json_t *transitions)
{
    static const char *const names[] = {"Ago",  "Member", "Incarnation",
                                        "From", "To",     "Why"};
    struct cli_columns columns = headings(6, names);
    json_t *transition;
    size_t i;

    json_array_foreach(transitions, i, transition)
    {
        cell_ago(&columns, transition, "AgoMs");
        cli_cell(&columns, rc_json_read_text(transition, "Member"));
        cli_cell_format(&columns, "%lld", number(transition, "Incarnation"));
        cli_cell(&columns, rc_json_read_text(transition, "From"));
        cli_cell(&columns, rc_json_read_text(transition, "To"));
        cli_cell(&columns, rc_json_read_text(transition, "Why"));
    }
    cli_columns_print(&columns);
}

static void print_all(const json_t *facts)
{
    print_health(json_object_get(facts, "Health"));
    (void)printf("\n");
    print_queues(json_object_get(facts, "Queues"));
    (void)printf("\n");
    print_suspicions(json_object_get(facts, "Suspicions"));
    (void)printf("\n");
    print_refusals(json_object_get(facts, "Refusals"));
    (void)printf("\n");
    print_tcp_only(json_object_get(facts, "TCPOnly"));
    print_figures("probes", json_object_get(facts, "Probes"));
    print_figures("keyring", json_object_get(facts, "Keyring"));
    print_figures("catalog", json_object_get(facts, "Catalog"));
    (void)printf("\n");
    print_transitions(json_object_get(facts, "Transitions"));
}

int debug_run(const struct cli_command *self, int count, char **words)
{
    const char *format_text = NULL;
    const struct cli_flag flags[] = {
        {"format", CLI_TEXT, &format_text, "FORMAT", "table (default) or json"},
    };
    struct cli_parsed parsed;
    enum cli_format format;
    json_t *facts = NULL;

    int err = cli_parse(self, flags, 1, count, words, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    if (parsed.word_count != 1 || !rc_text_equals(parsed.words[0], "gossip")) {
        return cli_misuse(self, "takes one word: gossip");
    }
    if (cli_format_parse(format_text, &format) != RC_OK) {
        return cli_misuse(self, "-format is table or json");
    }
    if (cli_get_json(&parsed.client, "/v1/agent/debug/gossip", "Error asking the agent",
                     &facts) != RC_OK) {
        return CLI_FAILED;
    }
    if (format == CLI_FORMAT_JSON) {
        cli_print_json(facts);
    } else {
        print_all(facts);
    }
    json_decref(facts);
    return CLI_DONE;
}
