/* rows.h - what a query gave, as texts. */
#ifndef AGENT_POSTGRES_ROWS_H
#define AGENT_POSTGRES_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ROWS_CELLS_MAX = 1024 };

struct rows {
    size_t row_count;
    size_t column_count;
    const char *cells[ROWS_CELLS_MAX]; /* borrowed, row by row; NULL: null */
};

const char *rows_text(const struct rows *rows, size_t row,
                      size_t column); /* "" for null */
bool rows_is_null(const struct rows *rows, size_t row, size_t column);
bool rows_flag(const struct rows *rows, size_t row, size_t column);
/* Of a whole or decimal number; 0 for null, for a negative one, and for what is no number. */
uint64_t rows_number(const struct rows *rows, size_t row, size_t column);

#endif
