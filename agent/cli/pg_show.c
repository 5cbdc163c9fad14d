#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/cli/columns.h"
#include "agent/cli/pg.h"
#include "agent/cli/say.h"
#include "base/buffer.h"
#include "base/json_read.h"
#include "base/text.h"

enum { KIB = 1024 };

static bool is_set(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

static const char *or_dash(const char *text)
{
    return text[0] != '\0' ? text : "-";
}

void pg_show_banner(const json_t *view)
{
    if (is_set(view, "Paused")) {
        (void)printf("PAUSED: the keepers watch and renew, and do nothing else. "
                     "rollcall pg resume ends it.\n");
    }
}

/* ---- status */

static void fact(struct cli_columns *facts, const char *name, struct rc_buffer *text)
{
    cli_cell(facts, name);
    cli_cell(facts, rc_buffer_string(text));
    rc_buffer_clear(text);
}

static void put_names(struct rc_buffer *text, const json_t *names)
{
    size_t i;
    const json_t *name;

    json_array_foreach(names, i, name)
    {
        rc_buffer_format(text, "%s%s", i > 0 ? ", " : "",
                         json_is_string(name) ? json_string_value(name) : "?");
    }
}

enum { PLACE_SPACE = 300 };

/* "10.0.0.1:5432", "[fd00::1]:5432" or "db.example:5432". */
static void format_place(const json_t *server, char place[PLACE_SPACE])
{
    const char *address = rc_json_read_text(server, "Address");
    bool is_ipv6 = strchr(address, ':') != NULL;

    (void)snprintf(place, PLACE_SPACE, "%s%.255s%s:%" PRIu64, is_ipv6 ? "[" : "", address,
                   is_ipv6 ? "]" : "", rc_json_read_number(server, "Port"));
}

static void put_primary(struct rc_buffer *text, const json_t *view)
{
    const json_t *primary = json_object_get(view, "Primary");
    char since[PG_TIME_SPACE];
    char place[PLACE_SPACE];

    if (!json_is_object(primary)) {
        const json_t *state = json_object_get(view, "State");
        rc_buffer_text(text, "nobody");
        if (rc_json_read_text(state, "Node")[0] != '\0') {
            rc_buffer_format(text, "; last was %s: %s", rc_json_read_text(state, "Node"),
                             or_dash(rc_json_read_text(state, "Reason")));
        }
        return;
    }
    rc_text_from_wall_ms(rc_json_read_number(primary, "Since"), since);
    format_place(primary, place);
    rc_buffer_format(text, "%s, %s, %s since %s", rc_json_read_text(primary, "Node"),
                     place, is_set(primary, "Writable") ? "writable" : "not writable yet",
                     since);
}

/* What the mode is worth at this moment. */
static void put_mode(struct rc_buffer *text, const json_t *view)
{
    const json_t *sync = json_object_get(view, "Sync");
    const char *mode = rc_json_read_text(view, "Mode");
    const json_t *names = json_object_get(sync, "Names");

    rc_buffer_text(text, or_dash(mode));
    if (strcmp(mode, "async") == 0 || !json_is_object(sync)) {
        return;
    }
    if (json_array_size(names) > 0) {
        rc_buffer_format(text, ": %" PRIu64 " of (", rc_json_read_number(sync, "K"));
        put_names(text, names);
        rc_buffer_text(text, ") must confirm every write");
    } else {
        rc_buffer_text(text, ": DEGRADED, writes are confirmed by the primary alone");
    }
    json_int_t quorum = json_integer_value(json_object_get(sync, "Quorum"));
    if (quorum < 0) {
        rc_buffer_text(text, "; nobody else may be promoted yet");
    }
}

static void put_intent(struct rc_buffer *text, const json_t *intent)
{
    char at[PG_TIME_SPACE];

    if (rc_json_read_number(intent, "DueMs") > 0) {
        rc_text_from_wall_ms(rc_json_read_number(intent, "DueMs"), at);
        rc_buffer_format(text, "planned for %s: ", at);
    }
    rc_text_from_wall_ms(rc_json_read_number(intent, "At"), at);
    rc_buffer_format(text, "%s from %s to %s, asked for at %s",
                     rc_json_read_text(intent, "Kind"),
                     or_dash(rc_json_read_text(intent, "From")),
                     or_dash(rc_json_read_text(intent, "To")), at);
}

static void show_facts(const json_t *view)
{
    struct cli_columns facts = {.width = 2};
    struct rc_buffer text = {0};

    rc_buffer_text(&text, rc_json_read_text(view, "Cluster"));
    fact(&facts, "Cluster", &text);
    rc_buffer_format(&text, "%" PRIu64, rc_json_read_number(view, "Term"));
    fact(&facts, "Term", &text);
    put_primary(&text, view);
    fact(&facts, "Primary", &text);
    put_mode(&text, view);
    fact(&facts, "Mode", &text);
    if (json_is_object(json_object_get(view, "Intent"))) {
        put_intent(&text, json_object_get(view, "Intent"));
        fact(&facts, "Under way", &text);
    }
    cli_columns_print(&facts);
    rc_buffer_fini(&text);
}

/* ---- members */

static void cell_bytes(struct cli_columns *columns, uint64_t bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    enum { UNIT_COUNT = sizeof units / sizeof units[0] };
    double value = (double)bytes;
    size_t unit = 0;

    while (value >= KIB && unit + 1 < UNIT_COUNT) {
        value /= KIB;
        unit++;
    }
    cli_cell_format(columns, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

/* In the order of what matters most: what is wrong, what goes on, what was asked. */
static void cell_note(struct cli_columns *columns, const json_t *member)
{
    const json_t *order = json_object_get(member, "Order");
    struct rc_buffer text = {0};

    rc_buffer_text(&text, rc_json_read_text(member, "Problem"));
    if (rc_json_read_text(member, "Progress")[0] != '\0') {
        rc_buffer_format(&text, "%s%s", text.size > 0 ? "; " : "",
                         rc_json_read_text(member, "Progress"));
    }
    if (json_is_object(order)) {
        rc_buffer_format(&text, "%s%s%s", text.size > 0 ? "; " : "",
                         is_set(order, "Done") ? "by order: " : "ordered: ",
                         rc_json_read_text(order, "Kind"));
    }
    if (is_set(member, "NoFailover")) {
        rc_buffer_format(&text, "%sno_failover", text.size > 0 ? "; " : "");
    }
    if (is_set(member, "CannotWrite")) {
        rc_buffer_format(&text, "%sits disk takes nothing", text.size > 0 ? "; " : "");
    }
    cli_cell(columns, rc_buffer_string(&text));
    rc_buffer_fini(&text);
}

static void row(struct cli_columns *columns, const json_t *member)
{
    bool is_primary = strcmp(rc_json_read_text(member, "Role"), "primary") == 0;
    char place[PLACE_SPACE];

    cli_cell(columns, rc_json_read_text(member, "Node"));
    format_place(member, place);
    cli_cell(columns, place);
    cli_cell(columns, or_dash(rc_json_read_text(member, "State")));
    cli_cell(columns, or_dash(rc_json_read_text(member, "Role")));
    cli_cell_format(columns, "%" PRIu64, rc_json_read_number(member, "Timeline"));
    cli_cell(columns, or_dash(rc_json_read_text(member, "LSN")));
    if (is_primary) {
        cli_cell(columns, "-");
    } else {
        cell_bytes(columns, rc_json_read_number(member, "LagBytes"));
    }
    cli_cell(columns, is_set(member, "Sync") ? "yes" : "-");
    cli_cell(columns, is_set(member, "ReadOk") ? "yes" : "-");
    cell_note(columns, member);
}

void pg_show_members(const json_t *view)
{
    static const char *const heads[] = {"Node", "Address", "State", "Role",  "TL",
                                        "LSN",  "Behind",  "Sync",  "Reads", "Note"};
    enum { HEAD_COUNT = sizeof heads / sizeof heads[0] };
    struct cli_columns columns = {.width = HEAD_COUNT};
    size_t i;
    const json_t *member;

    for (size_t k = 0; k < HEAD_COUNT; k++) {
        cli_cell(&columns, heads[k]);
    }
    json_array_foreach(json_object_get(view, "Members"), i, member)
    {
        row(&columns, member);
    }
    cli_columns_print(&columns);
}

void pg_show_status(const json_t *view)
{
    show_facts(view);
    (void)printf("\n");
    pg_show_members(view);
}

/* ---- history */

void pg_show_history(const json_t *view)
{
    static const char *const heads[] = {"At", "Term", "Node", "From",
                                        "TL", "Took", "LSN",  "Reason"};
    enum { HEAD_COUNT = sizeof heads / sizeof heads[0] };
    struct cli_columns columns = {.width = HEAD_COUNT};
    char at[PG_TIME_SPACE];
    size_t i;
    const json_t *entry;

    for (size_t k = 0; k < HEAD_COUNT; k++) {
        cli_cell(&columns, heads[k]);
    }
    json_array_foreach(json_object_get(view, "History"), i, entry)
    {
        rc_text_from_wall_ms(rc_json_read_number(entry, "At"), at);
        cli_cell(&columns, at);
        cli_cell_format(&columns, "%" PRIu64, rc_json_read_number(entry, "Term"));
        cli_cell(&columns, or_dash(rc_json_read_text(entry, "Node")));
        cli_cell(&columns, or_dash(rc_json_read_text(entry, "From")));
        cli_cell_format(&columns, "%" PRIu64, rc_json_read_number(entry, "Timeline"));
        cli_cell_format(&columns, "%" PRIu64 " ms", rc_json_read_number(entry, "TookMs"));
        cli_cell(&columns, or_dash(rc_json_read_text(entry, "LSN")));
        cli_cell(&columns, rc_json_read_text(entry, "Reason"));
    }
    cli_columns_print(&columns);
}
