#include "agent/postgres/rows.h"

#include <assert.h>
#include <stdlib.h>

static const char *cell(const struct rows *rows, size_t row, size_t column)
{
    assert(row < rows->row_count && column < rows->column_count);
    return rows->cells[row * rows->column_count + column];
}

const char *rows_text(const struct rows *rows, size_t row, size_t column)
{
    const char *text = cell(rows, row, column);

    return text != NULL ? text : "";
}

bool rows_is_null(const struct rows *rows, size_t row, size_t column)
{
    return cell(rows, row, column) == NULL;
}

bool rows_flag(const struct rows *rows, size_t row, size_t column)
{
    return rows_text(rows, row, column)[0] == 't';
}

uint64_t rows_number(const struct rows *rows, size_t row, size_t column)
{
    const char *text = rows_text(rows, row, column);

    /* strtoull() would take "-1" for a huge number. */
    return text[0] >= '0' && text[0] <= '9' ? strtoull(text, NULL, 10) : 0;
}
