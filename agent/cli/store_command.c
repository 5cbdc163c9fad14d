/* store: how the store stands, and moving it to another one. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/cli/client.h"
#include "agent/cli/columns.h"
#include "agent/cli/commands.h"
#include "agent/cli/flags.h"
#include "agent/cli/say.h"
#include "agent/store/archive.h"
#include "base/err.h"
#include "base/text.h"

/* ---- status */

static void print_fact(struct cli_columns *facts, const char *name, const char *text)
{
    cli_cell(facts, name);
    cli_cell(facts, text != NULL && text[0] != '\0' ? text : "-");
}

static void print_status(const json_t *health)
{
    struct cli_columns facts = {.width = 2};
    struct cli_columns servers = {.width = 4};
    char number[24];
    size_t i;
    const json_t *server;

    (void)snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT,
                   json_integer_value(json_object_get(health, "SizeBytes")));
    print_fact(&facts, "Engine", json_string_value(json_object_get(health, "Engine")));
    print_fact(&facts, "Healthy",
               json_is_true(json_object_get(health, "Healthy")) ? "true" : "false");
    print_fact(&facts, "Size", number);
    print_fact(&facts, "Alarm", json_string_value(json_object_get(health, "Alarm")));
    cli_columns_print(&facts);
    (void)printf("\n");
    print_fact(&servers, "Name", "Address");
    print_fact(&servers, "Leader", "Healthy");
    json_array_foreach(json_object_get(health, "Servers"), i, server)
    {
        print_fact(&servers, json_string_value(json_object_get(server, "Name")),
                   json_string_value(json_object_get(server, "Address")));
        print_fact(&servers,
                   json_is_true(json_object_get(server, "Leader")) ? "true" : "false",
                   json_is_true(json_object_get(server, "Healthy")) ? "true" : "false");
    }
    cli_columns_print(&servers);
}

/* 429 is an answer too: it is not well, and tells why. */
static int status(const struct cli_client_flags *client, enum cli_format format)
{
    const struct cli_request request = {.method = "GET",
                                        .path = "/v1/operator/autopilot/health"};
    struct cli_answer answer;
    json_t *health = NULL;

    int err = cli_ask(client, &request, &answer);
    if (err == RC_OK || answer.status == 429) {
        health = json_loadb(rc_buffer_string(&answer.body), answer.body.size, 0, NULL);
    }
    if (health == NULL) {
        cli_error("Error querying the store: %s",
                  err != RC_OK ? answer.error : "the answer is not JSON");
    } else if (format == CLI_FORMAT_JSON) {
        cli_print_json(health);
    } else {
        print_status(health);
    }
    bool is_healthy = json_is_true(json_object_get(health, "Healthy"));
    json_decref(health);
    rc_buffer_fini(&answer.body);
    return is_healthy ? CLI_DONE : CLI_FAILED;
}

/* ---- migrate */

/* RC_OK with a tested snapshot in `answer->body`; or it was told on stderr. */
static int fetch(const struct cli_client_flags *from, struct cli_answer *answer,
                 struct archive *out)
{
    const struct cli_request request = {.method = "GET", .path = "/v1/snapshot"};
    char error[ARCHIVE_ERROR_MAX];

    int err = cli_ask(from, &request, answer);
    if (err != RC_OK) {
        cli_error("Error reading the store of %s: %s", from->http_addr, answer->error);
        return err;
    }
    err = archive_open(answer->body.bytes, answer->body.size, out, error);
    if (err != RC_OK) {
        cli_error("Error reading the store of %s: %s", from->http_addr, error);
    }
    return err;
}

static int put_into(const struct cli_client_flags *to, const struct rc_buffer *bytes)
{
    const struct cli_request request = {.method = "PUT",
                                        .path = "/v1/snapshot",
                                        .body = rc_buffer_string(bytes),
                                        .body_size = bytes->size};
    struct cli_answer answer;

    int err = cli_ask(to, &request, &answer);
    if (err != RC_OK) {
        cli_error("Error writing the store of %s: %s", to->http_addr, answer.error);
    }
    rc_buffer_fini(&answer.body);
    return err;
}

static bool same(struct archive a, struct archive b)
{
    struct archive_record one;
    struct archive_record other;
    bool is_same = a.header.count == b.header.count;

    while (is_same && archive_next(&a, &one) == RC_OK) {
        is_same = archive_next(&b, &other) == RC_OK &&
                  one.table.size == other.table.size &&
                  memcmp(one.table.at, other.table.at, one.table.size) == 0 &&
                  rc_pack_equals(one.key, other.key) &&
                  rc_pack_equals(one.value, other.value) && one.flags == other.flags;
    }
    return is_same;
}

/* Copies, then reads both again: what was written to the old one meanwhile shows. */
static int migrate(const struct cli_client_flags *from, const struct cli_client_flags *to)
{
    struct cli_answer taken = {0};
    struct cli_answer then = {0};
    struct cli_answer now = {0};
    struct archive source;
    struct archive old;
    struct archive new;

    int err = fetch(from, &taken, &source);
    if (err == RC_OK) {
        err = put_into(to, &taken.body);
    }
    if (err == RC_OK) {
        err = fetch(to, &now, &new);
    }
    if (err == RC_OK && !same(source, new)) {
        cli_error("Error: what %s holds now is not what was copied; does somebody write "
                  "there? Do it again",
                  to->http_addr);
        err = RC_ECONFLICT;
    }
    if (err == RC_OK) {
        err = fetch(from, &then, &old);
    }
    if (err == RC_OK && !same(source, old)) {
        cli_error("Error: %s was written to meanwhile; stop its writers and do it again",
                  from->http_addr);
        err = RC_ECONFLICT;
    }
    if (err == RC_OK) {
        (void)printf("Migrated %" PRIu64 " records from %s (%s) to %s (%s)\n",
                     source.header.count, from->http_addr, source.header.engine,
                     to->http_addr, new.header.engine);
    }
    rc_buffer_fini(&taken.body);
    rc_buffer_fini(&then.body);
    rc_buffer_fini(&now.body);
    return err == RC_OK ? CLI_DONE : CLI_FAILED;
}

int store_run(const struct cli_command *self, int count, char **words)
{
    const char *to_address = NULL;
    const char *to_token = NULL;
    const char *format_text = NULL;
    enum cli_format format;
    const struct cli_flag flags[] = {
        {"to", CLI_TEXT, &to_address, "ADDR",
         "of an agent of the pool that gets the store"},
        {"to-token-file", CLI_TEXT, &to_token, "FILE", "its token, if it is another one"},
        {"format", CLI_TEXT, &format_text, "FORMAT",
         "of status: table (default) or json"},
    };
    struct cli_parsed parsed;

    int err =
        cli_parse(self, flags, sizeof flags / sizeof flags[0], count, words, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    const char *what = parsed.word_count == 1 ? parsed.words[0] : "";
    if (cli_format_parse(format_text, &format) != RC_OK) {
        return cli_misuse(self, "-format is table or json");
    }
    if (rc_text_equals(what, "status") && to_address == NULL) {
        return status(&parsed.client, format);
    }
    if (!rc_text_equals(what, "migrate") || to_address == NULL) {
        return cli_misuse(self, "wants status, or migrate -to ADDR");
    }
    struct cli_client_flags to = parsed.client;
    to.http_addr = to_address;
    to.token_file = to_token != NULL ? to_token : to.token_file;
    return migrate(&parsed.client, &to);
}
