#include "agent/cli/columns.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/say.h"
#include "base/buffer.h"
#include "base/err.h"
#include "base/text.h"

static void add(struct cli_columns *columns, char *cell)
{
    if (columns->count == columns->capacity) {
        size_t capacity = columns->capacity > 0 ? columns->capacity * 2 : 64;
        char **cells = realloc(columns->cells, capacity * sizeof *cells);
        if (cells == NULL) {
            abort(); /* a command line tool has nothing better to do */
        }
        columns->cells = cells;
        columns->capacity = capacity;
    }
    cli_clean(cell, CLI_ONE_LINE);
    columns->cells[columns->count++] = cell;
}

void cli_cell(struct cli_columns *columns, const char *text)
{
    char *cell = rc_text_copy(text != NULL ? text : "");
    if (cell == NULL) {
        abort();
    }
    add(columns, cell);
}

void cli_cell_format(struct cli_columns *columns, const char *format, ...)
{
    struct rc_buffer text = {0};
    va_list arguments;
    va_start(arguments, format);
    rc_buffer_vformat(&text, format, arguments);
    va_end(arguments);
    cli_cell(columns, rc_buffer_string(&text));
    rc_buffer_fini(&text);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char **cli_sorted_keys(const json_t *object)
{
    const char **keys = calloc(json_object_size(object) + 1, sizeof *keys);
    size_t count = 0;
    const char *key;
    json_t *value;
    if (keys == NULL) {
        abort();
    }
    json_object_foreach((json_t *)object, key, value)
    {
        keys[count++] = key;
    }
    qsort(keys, count, sizeof *keys, by_text);
    return keys;
}

void cli_cell_pairs(struct cli_columns *columns, const json_t *object,
                    const char *separator)
{
    struct rc_buffer text = {0};
    const char **keys = cli_sorted_keys(object);
    for (size_t i = 0; keys[i] != NULL; i++) {
        const char *value = json_string_value(json_object_get(object, keys[i]));
        rc_buffer_format(&text, "%s%s=%s", i > 0 ? separator : "", keys[i],
                         value != NULL ? value : "");
    }
    cli_cell(columns, rc_buffer_string(&text));
    rc_buffer_fini(&text);
    free(keys);
}

/* Characters, not bytes: UTF-8's continuation bytes take no column. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++) {
        width += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return width;
}

void cli_columns_print(struct cli_columns *columns)
{
    size_t widths[CLI_COLUMNS_MAX] = {0};
    for (size_t i = 0; i < columns->count; i++) {
        size_t width = width_of(columns->cells[i]);
        size_t column = i % columns->width;
        widths[column] = width > widths[column] ? width : widths[column];
    }
    for (size_t i = 0; i < columns->count; i++) {
        size_t column = i % columns->width;
        int last = column + 1 == columns->width;
        int space = last ? 0 : (int)(widths[column] - width_of(columns->cells[i])) + 2;
        (void)printf("%s%*s%s", columns->cells[i], space, "", last ? "\n" : "");
        free(columns->cells[i]);
    }
    free(columns->cells);
    columns->cells = NULL;
    columns->count = columns->capacity = 0;
}

int cli_format_parse(const char *text, enum cli_format *out)
{
    if (text == NULL || rc_text_equals(text, "table") || rc_text_equals(text, "pretty")) {
        *out = CLI_FORMAT_TABLE;
        return RC_OK;
    }
    *out = CLI_FORMAT_JSON;
    return rc_text_equals(text, "json") ? RC_OK : RC_EINVAL;
}

void cli_print_json(const json_t *value)
{
    (void)json_dumpf(value, stdout, JSON_INDENT(4) | JSON_ENCODE_ANY);
    (void)printf("\n");
}
