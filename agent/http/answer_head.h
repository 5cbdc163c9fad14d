/* answer_head.h - the status line and headers of an answer, as they go over the wire.
 *
 * For connections that we hold ourselves; the others' are written by libmicrohttpd. After
 * RFC 9110 and RFC 9112. Pure: time comes in. */
#ifndef AGENT_HTTP_ANSWER_HEAD_H
#define AGENT_HTTP_ANSWER_HEAD_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

enum answer_after { ANSWER_KEEPS_ALIVE, ANSWER_CLOSES };

enum { ANSWER_DATE_SIZE = 30 }; /* "Sun, 06 Nov 1994 08:49:37 GMT" and its NUL */

/* Writes the time as Date wants it, RFC 9110 section 5.6.7. */
void answer_date(uint64_t wall_ms, char out[ANSWER_DATE_SIZE]);

/* Begins a head; `reason` may be "". */
void answer_head_begin(struct rc_buffer *out, unsigned status, const char *reason,
                       const char *date);

/* Adds a header. One that would break the head apart is left out: an empty name, or a control
 * character in either. */
void answer_head_add(struct rc_buffer *out, const char *name, const char *value);

/* Ends it: the size of the body, where an answer of this status has one, and what becomes of the
 * connection. */
void answer_head_end(struct rc_buffer *out, unsigned status, size_t body_size,
                     enum answer_after after);

#endif
