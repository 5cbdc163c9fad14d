/* trace.h - which trace a request belongs to, as its fields say.
 *
 * W3C Trace Context (traceparent, section 3.2) and Zipkin's B3 (X-B3-TraceId, or b3 in one
 * field). The fields themselves go on untouched; this is for the log. Pure. */
#ifndef PROXY_LOG_TRACE_H
#define PROXY_LOG_TRACE_H

#include "base/text.h"

enum trace_field { TRACE_NONE, TRACE_PARENT, TRACE_B3, TRACE_B3_ID };

/* What a field of this name tells; names in any case. */
enum trace_field trace_field_of(struct rc_span name);

/* The trace's id within the field's value, borrowed from it: 16 or 32 hexadecimal digits, not all
 * zero; empty when the value is not sound. */
struct rc_span trace_id_of(enum trace_field field, struct rc_span value);

#endif
