/* log_template.h - `format "$time $client ..."`: a line of the access log, field by field.
 *
 * `$name` or `${name}` is a field, `$$` a dollar; all else stands as it is. Pure; the line is
 * made by proxy/log/access_log.c. A field between double quotes keeps its spaces; elsewhere they
 * are escaped too, so that no value can look like two. */
#ifndef PROXY_CONFIG_LOG_TEMPLATE_H
#define PROXY_CONFIG_LOG_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LOG_TEMPLATE_MAX = 512, LOG_TEMPLATE_PIECES_MAX = 96 };

enum log_field {
    LOG_FIELD_TEXT, /* what stands between the fields */
    LOG_FIELD_TIME,
    LOG_FIELD_EPOCH,
    LOG_FIELD_CLF_TIME,
    LOG_FIELD_CLIENT,
    LOG_FIELD_LISTENER,
    LOG_FIELD_PROTOCOL,
    LOG_FIELD_SCHEME,
    LOG_FIELD_TLS,
    LOG_FIELD_SNI,
    LOG_FIELD_METHOD,
    LOG_FIELD_HOST,
    LOG_FIELD_PATH,
    LOG_FIELD_STATUS,
    LOG_FIELD_BYTES_IN,
    LOG_FIELD_BYTES_OUT,
    LOG_FIELD_ROUTE,
    LOG_FIELD_POOL,
    LOG_FIELD_INSTANCE,
    LOG_FIELD_ATTEMPTS,
    LOG_FIELD_REUSED,
    LOG_FIELD_TOTAL_MS,
    LOG_FIELD_CONNECT_MS,
    LOG_FIELD_FIRST_BYTE_MS,
    LOG_FIELD_UPSTREAM_MS,
    LOG_FIELD_ENDED,
    LOG_FIELD_REASON,
    LOG_FIELD_REQUEST_ID,
    LOG_FIELD_TRACE_ID,
    LOG_FIELD_TRACEPARENT,
    LOG_FIELD_REFERRER,
    LOG_FIELD_AGENT,
    LOG_FIELD_COUNT
};

struct log_piece {
    uint8_t field; /* enum log_field */
    bool quoted;   /* between double quotes */
    uint16_t at;   /* TEXT: in `text` */
    uint16_t size;
};

struct log_template {
    char text[LOG_TEMPLATE_MAX];
    struct log_piece pieces[LOG_TEMPLATE_PIECES_MAX];
    size_t count;
};

/* Compiles `text`. RC_OK; RC_ETOOBIG (longer than LOG_TEMPLATE_MAX - 1, or too many pieces);
 * RC_EMALFORMED: `*column` (from 0) is where, `*name` the field that nobody knows, or "" when a
 * `$` has no name or a control character stands in the text. `name` needs 32 bytes. */
int log_template_parse(const char *text, struct log_template *out, size_t *column,
                       char *name);

/* True if some piece is this field. */
bool log_template_has(const struct log_template *log_template, enum log_field field);

/* "client"; "" for LOG_FIELD_TEXT. */
const char *log_field_name(enum log_field field);

/* The field whose name is nearest to `name`, for "did you mean". */
const char *log_field_nearest(const char *name);

#endif
