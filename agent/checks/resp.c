#include "agent/checks/resp.h"

#include <string.h>

#include "base/err.h"

/* Up to the line's end, which is CR LF; what is behind it is next. */
static struct rc_span take_line(struct rc_cursor *cursor)
{
    const struct rc_span none = {"", 0};
    size_t left = rc_cursor_left(cursor);
    size_t look = left < RESP_LINE_MAX + 2 ? left : RESP_LINE_MAX + 2;
    const uint8_t *end = look > 0 ? memchr(cursor->at, '\n', look) : NULL;

    if (end == NULL) {
        rc_cursor_fail(cursor, look == RESP_LINE_MAX + 2 ? RC_EMALFORMED : RC_ETRUNCATED);
        return none;
    }
    size_t size = (size_t)(end - cursor->at);
    if (size == 0 || end[-1] != '\r') {
        rc_cursor_fail(cursor, RC_EMALFORMED);
        return none;
    }
    const uint8_t *at = rc_cursor_take(cursor, size + 1);
    return (struct rc_span){(const char *)at, size - 1};
}

/* A whole decimal number with an optional sign. */
static int64_t take_number(struct rc_cursor *cursor)
{
    struct rc_span line = take_line(cursor);
    bool is_negative = line.size > 0 && line.at[0] == '-';
    size_t i = is_negative || (line.size > 0 && line.at[0] == '+') ? 1 : 0;
    int64_t number = 0;

    if (i == line.size || line.size - i > 18) { /* 18 digits always fit */
        rc_cursor_fail(cursor, RC_EMALFORMED);
        return 0;
    }
    for (; i < line.size; i++) {
        if (line.at[i] < '0' || line.at[i] > '9') {
            rc_cursor_fail(cursor, RC_EMALFORMED);
            return 0;
        }
        number = number * 10 + (line.at[i] - '0');
    }
    return is_negative ? -number : number;
}

/* -1 is "there is none". */
static int64_t take_size(struct rc_cursor *cursor, int64_t max)
{
    int64_t size = take_number(cursor);

    if (size < -1 || size > max) {
        rc_cursor_fail(cursor, RC_EMALFORMED);
        return -1;
    }
    return size;
}

static struct resp_value read_bytes(struct rc_cursor *cursor)
{
    int64_t size = take_size(cursor, RESP_BYTES_MAX);

    if (size < 0) {
        return (struct resp_value){.type = RESP_NIL};
    }
    const uint8_t *at = rc_cursor_take(cursor, (size_t)size);
    const uint8_t *end = rc_cursor_take(cursor, 2);
    if (end != NULL && (end[0] != '\r' || end[1] != '\n')) {
        rc_cursor_fail(cursor, RC_EMALFORMED);
    }
    if (cursor->err != RC_OK) {
        return (struct resp_value){.type = RESP_NIL};
    }
    return (struct resp_value){.type = RESP_BYTES,
                               .text = {(const char *)at, (size_t)size}};
}

struct resp_value resp_read(struct rc_cursor *cursor)
{
    struct resp_value value = {.type = RESP_NIL};

    switch (rc_cursor_u8(cursor)) {
    case '+':
        value = (struct resp_value){.type = RESP_TEXT, .text = take_line(cursor)};
        break;
    case '-':
        value = (struct resp_value){.type = RESP_ERROR, .text = take_line(cursor)};
        break;
    case ':':
        value = (struct resp_value){.type = RESP_NUMBER, .number = take_number(cursor)};
        break;
    case '$':
        value = read_bytes(cursor);
        break;
    case '*':
        value.number = take_size(cursor, RESP_ITEMS_MAX);
        value.type = value.number < 0 ? RESP_NIL : RESP_LIST;
        break;
    default:
        rc_cursor_fail(cursor, RC_EMALFORMED);
        break;
    }
    return cursor->err == RC_OK ? value : (struct resp_value){.type = RESP_NIL};
}

void resp_skip(struct rc_cursor *cursor)
{
    int64_t seen = 0;

    for (int64_t open = 1; open > 0 && cursor->err == RC_OK; open--) {
        struct resp_value value = resp_read(cursor);
        open += value.type == RESP_LIST ? value.number : 0;
        if (++seen + open > RESP_ITEMS_MAX + 1) {
            rc_cursor_fail(cursor, RC_EMALFORMED);
        }
    }
}

void resp_command(struct rc_buffer *out, const char *const *words, size_t count)
{
    rc_buffer_format(out, "*%zu\r\n", count);
    for (size_t i = 0; i < count; i++) {
        rc_buffer_format(out, "$%zu\r\n%s\r\n", strlen(words[i]), words[i]);
    }
}
