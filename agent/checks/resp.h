/* resp.h - Redis' protocol, read: one value after the other.
 *
 * RESP2 (https://redis.io/docs/reference/protocol-spec), which every server speaks that was not
 * asked for another one. Pure: bytes in. A list is a value of its own and its elements follow. */
#ifndef AGENT_CHECKS_RESP_H
#define AGENT_CHECKS_RESP_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/cursor.h"
#include "base/text.h"

enum {
    RESP_LINE_MAX = 1024, /* of a line without its end */
    RESP_BYTES_MAX =
        1024 * 1024,       /* of one string; whoever reads has less room than that */
    RESP_ITEMS_MAX = 65536 /* of one reply, lists in lists included */
};

enum resp_type { RESP_TEXT, RESP_ERROR, RESP_NUMBER, RESP_BYTES, RESP_LIST, RESP_NIL };

struct resp_value {
    enum resp_type type;
    struct rc_span text; /* TEXT, ERROR, BYTES; borrowed from what was read */
    int64_t number;      /* NUMBER; how many elements follow a LIST */
};

/* The next value; when the cursor has failed, NIL. RC_ETRUNCATED: the bytes end before it does;
 * RC_EMALFORMED: this is not RESP2, or too much of it. */
struct resp_value resp_read(struct rc_cursor *cursor);

/* Passes over one value, with all elements if it is a list. */
void resp_skip(struct rc_cursor *cursor);

/* Appends a command of `count` words, each of any bytes. */
void resp_command(struct rc_buffer *out, const char *const *words, size_t count);

#endif
