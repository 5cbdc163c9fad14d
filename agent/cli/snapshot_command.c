/* snapshot: the whole store as a file, and back; with Consul's words. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/client.h"
#include "agent/cli/columns.h"
#include "agent/cli/commands.h"
#include "agent/cli/flags.h"
#include "agent/cli/say.h"
#include "agent/store/archive.h"
#include "base/err.h"
#include "base/file.h"
#include "base/text.h"

enum { TABLES_MAX = 16 };

static int read_archive(const char *path, struct rc_buffer *bytes, struct archive *out)
{
    char error[ARCHIVE_ERROR_MAX];

    int err = rc_file_read(path, ARCHIVE_BYTES_MAX, bytes);
    if (err != RC_OK) {
        cli_error("Error opening snapshot file %s: %s", path,
                  err == RC_EIO ? strerrordesc_np(errno) : rc_strerror(err));
        return err;
    }
    err = archive_open(bytes->bytes, bytes->size, out, error);
    if (err != RC_OK) {
        cli_error("Error: %s: %s", path, error);
    }
    return err;
}

/* Fetches, tests, and only then writes: an old file of that name stays until the new one is
 * known to be good. */
static int save(const struct cli_client_flags *client, const char *path)
{
    struct cli_answer answer;
    struct archive archive;
    char error[ARCHIVE_ERROR_MAX];
    const struct cli_request request = {
        .method = "GET", .path = client->stale ? "/v1/snapshot?stale" : "/v1/snapshot"};

    int err = cli_ask(client, &request, &answer);
    if (err != RC_OK) {
        cli_error("Error saving snapshot: %s", answer.error);
    } else {
        err = archive_open(answer.body.bytes, answer.body.size, &archive, error);
        if (err != RC_OK) {
            cli_error("Error verifying snapshot: %s", error);
        }
    }
    if (err == RC_OK) {
        err = rc_file_replace(path, answer.body.bytes, answer.body.size);
        if (err != RC_OK) {
            cli_error("Error writing snapshot file %s: %s", path, strerrordesc_np(errno));
        }
    }
    if (err == RC_OK) {
        (void)printf("Saved and verified snapshot to index %" PRIu64 "\n",
                     archive.header.revision);
    }
    rc_buffer_fini(&answer.body);
    return err == RC_OK ? CLI_DONE : CLI_FAILED;
}

static int restore(const struct cli_client_flags *client, const char *path)
{
    struct rc_buffer bytes = {0};
    struct archive archive;
    struct cli_answer answer = {0};

    int err = read_archive(path, &bytes, &archive);
    if (err == RC_OK) {
        const struct cli_request request = {.method = "PUT",
                                            .path = "/v1/snapshot",
                                            .body = rc_buffer_string(&bytes),
                                            .body_size = bytes.size};
        err = cli_ask(client, &request, &answer);
        if (err != RC_OK) {
            cli_error("Error restoring snapshot: %s", answer.error);
        } else {
            (void)printf("Restored snapshot\n");
        }
    }
    rc_buffer_fini(&answer.body);
    rc_buffer_fini(&bytes);
    return err == RC_OK ? CLI_DONE : CLI_FAILED;
}

/* ---- inspect */

struct table_sum {
    struct rc_span name;
    uint64_t count;
    uint64_t bytes;
};

static size_t add_up(struct archive archive, struct table_sum sums[TABLES_MAX])
{
    struct archive_record record;
    size_t count = 0;

    while (archive_next(&archive, &record) == RC_OK) {
        size_t i = 0;
        while (i < count &&
               (sums[i].name.size != record.table.size ||
                memcmp(sums[i].name.at, record.table.at, record.table.size) != 0)) {
            i++;
        }
        if (i == count && count < TABLES_MAX) {
            sums[count++] = (struct table_sum){.name = record.table};
        }
        if (i < count) {
            sums[i].count++;
            sums[i].bytes += record.key.size + record.value.size;
        }
    }
    return count;
}

static void print_table(const struct archive *archive, size_t size)
{
    struct table_sum sums[TABLES_MAX];
    struct cli_columns facts = {.width = 2};
    struct cli_columns tables = {.width = 3};
    char when[25];

    rc_text_from_wall_ms(archive->header.wall_ms, when);
    cli_cell(&facts, "Datacenter");
    cli_cell(&facts, archive->header.datacenter);
    cli_cell(&facts, "Taken");
    cli_cell(&facts, when);
    cli_cell(&facts, "From");
    cli_cell(&facts, archive->header.engine);
    cli_cell(&facts, "Size");
    cli_cell_format(&facts, "%zu", size);
    cli_cell(&facts, "Index");
    cli_cell_format(&facts, "%" PRIu64, archive->header.revision);
    cli_columns_print(&facts);
    (void)printf("\n");
    cli_cell(&tables, "Table");
    cli_cell(&tables, "Count");
    cli_cell(&tables, "Bytes");
    size_t count = add_up(*archive, sums);
    for (size_t i = 0; i < count; i++) {
        cli_cell_format(&tables, "%.*s", (int)sums[i].name.size, sums[i].name.at);
        cli_cell_format(&tables, "%" PRIu64, sums[i].count);
        cli_cell_format(&tables, "%" PRIu64, sums[i].bytes);
    }
    cli_columns_print(&tables);
}

static void print_as_json(const struct archive *archive, size_t size)
{
    struct table_sum sums[TABLES_MAX];
    char when[25];
    json_t *tables = json_object();

    rc_text_from_wall_ms(archive->header.wall_ms, when);
    size_t count = add_up(*archive, sums);
    for (size_t i = 0; i < count; i++) {
        (void)json_object_setn_new(tables, sums[i].name.at, sums[i].name.size,
                                   json_pack("{s:I, s:I}", "Count",
                                             (json_int_t)sums[i].count, "Bytes",
                                             (json_int_t)sums[i].bytes));
    }
    json_t *all = json_pack("{s:s, s:s, s:s, s:I, s:I, s:o}", "Datacenter",
                            archive->header.datacenter, "Taken", when, "From",
                            archive->header.engine, "Size", (json_int_t)size, "Index",
                            (json_int_t)archive->header.revision, "Tables", tables);
    cli_print_json(all);
    json_decref(all);
}

static int inspect(const char *path, enum cli_format format)
{
    struct rc_buffer bytes = {0};
    struct archive archive;

    int err = read_archive(path, &bytes, &archive);
    if (err == RC_OK && format == CLI_FORMAT_JSON) {
        print_as_json(&archive, bytes.size);
    } else if (err == RC_OK) {
        print_table(&archive, bytes.size);
    }
    rc_buffer_fini(&bytes);
    return err == RC_OK ? CLI_DONE : CLI_FAILED;
}

int snapshot_run(const struct cli_command *self, int count, char **words)
{
    const char *format_text = NULL;
    enum cli_format format;
    const struct cli_flag flags[] = {
        {"format", CLI_TEXT, &format_text, "FORMAT",
         "of inspect: table (default) or json"},
    };
    struct cli_parsed parsed;
    const char *what = count > 0 ? words[0] : "";
    bool known = rc_text_equals(what, "save") || rc_text_equals(what, "restore") ||
                 rc_text_equals(what, "inspect");

    int err = cli_parse(self, flags, 1, count - known, words + known, &parsed);
    if (err != RC_OK) {
        return cli_parse_exit(err);
    }
    if (!known || parsed.word_count != 1) {
        return cli_misuse(self, "wants save, restore or inspect, and a file");
    }
    if (cli_format_parse(format_text, &format) != RC_OK ||
        (format_text != NULL && what[0] != 'i')) {
        return cli_misuse(self, "-format is table or json, and for inspect");
    }
    if (what[0] == 's') {
        return save(&parsed.client, parsed.words[0]);
    }
    return what[0] == 'r' ? restore(&parsed.client, parsed.words[0])
                          : inspect(parsed.words[0], format);
}
