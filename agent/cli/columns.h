/* columns.h - tables on a terminal: columns as wide as their widest cell. */
#ifndef AGENT_CLI_COLUMNS_H
#define AGENT_CLI_COLUMNS_H

#include <stddef.h>

#include <jansson.h>

enum { CLI_COLUMNS_MAX = 12 };

struct cli_columns {
    size_t width; /* columns */
    size_t count; /* cells so far, row by row */
    size_t capacity;
    char **cells; /* owned */
};

/* Appends one cell (copied and cleaned, see say.h). NULL gives an empty one. */
void cli_cell(struct cli_columns *columns, const char *text);
void cli_cell_format(struct cli_columns *columns, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* One cell of "key=value" for each pair of strings in `object`, in order of the keys. */
void cli_cell_pairs(struct cli_columns *columns, const json_t *object,
                    const char *separator);

/* The keys of `object` in order, ended by NULL; they are borrowed from it, the list itself is
 * owned by the caller: free(). Aborts when memory is out, as all of this file. */
const char **cli_sorted_keys(const json_t *object);

/* Prints to stdout, two spaces between columns, and frees the cells. */
void cli_columns_print(struct cli_columns *columns);

/* What -format asks for. */
enum cli_format { CLI_FORMAT_TABLE, CLI_FORMAT_JSON };

/* "table" (or NULL) and "json". RC_OK or RC_EINVAL. */
int cli_format_parse(const char *text, enum cli_format *out);

/* Prints JSON indented, with a final line end. */
void cli_print_json(const json_t *value);

#endif
