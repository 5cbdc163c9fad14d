/* trace.c - see trace.h. */
#include "proxy/log/trace.h"

#include <stdbool.h>
#include <string.h>

enum { ID_LONG = 32, ID_SHORT = 16, PARENT_VERSION = 3, PARENT_SIZE = 55 };

enum trace_field trace_field_of(struct rc_span name)
{
    if (rc_span_equals_nocase(name, "traceparent")) {
        return TRACE_PARENT;
    }
    if (rc_span_equals_nocase(name, "b3")) {
        return TRACE_B3;
    }
    return rc_span_equals_nocase(name, "x-b3-traceid") ? TRACE_B3_ID : TRACE_NONE;
}

static bool is_hex(char byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f') ||
           (byte >= 'A' && byte <= 'F');
}

/* `size` digits at the front, not all of them zero. */
static bool is_id(struct rc_span value, size_t size)
{
    bool zero = true;

    if (value.size < size) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (!is_hex(value.at[i])) {
            return false;
        }
        zero = zero && value.at[i] == '0';
    }
    return !zero;
}

struct rc_span trace_id_of(enum trace_field field, struct rc_span value)
{
    static const struct rc_span none = {"", 0};

    if (field == TRACE_PARENT) {
        if (value.size < PARENT_SIZE || value.at[PARENT_VERSION - 1] != '-' ||
            value.at[PARENT_VERSION + ID_LONG] != '-') {
            return none;
        }
        struct rc_span id = {value.at + PARENT_VERSION, ID_LONG};
        return is_id(id, ID_LONG) ? id : none;
    }
    const char *dash = field == TRACE_B3 ? memchr(value.at, '-', value.size) : NULL;
    size_t size = dash != NULL ? (size_t)(dash - value.at) : value.size;
    if ((size == ID_LONG || size == ID_SHORT) && is_id(value, size)) {
        return (struct rc_span){value.at, size};
    }
    return none;
}
