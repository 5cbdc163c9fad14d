/* http1_fields.h - the field lines of a head: private to http1.c and http1_fields.c.
 *
 * RFC 9110 section 5 and RFC 9112 section 5. */
#ifndef PROXY_WIRE_HTTP1_FIELDS_H
#define PROXY_WIRE_HTTP1_FIELDS_H

#include "proxy/wire/http1.h"

/* Classes of bytes; http1_class holds a sum of them for each byte. */
enum {
    HTTP1_TCHAR = 1,    /* may stand in a token */
    HTTP1_VALUE = 2,    /* may stand in a field value */
    HTTP1_VISIBLE = 4,  /* may stand in a request target: VCHAR except '#' */
    HTTP1_REG_NAME = 8, /* may stand in a host, besides percent-encoding and [] */
    HTTP1_DIGIT = 16,
    HTTP1_HEX = 32
};
extern const uint8_t http1_class[256];

enum http1_side { HTTP1_OF_REQUEST, HTTP1_OF_RESPONSE };

/* True if `byte` belongs to one of the classes. */
bool http1_is(char byte, unsigned classes);

/* The first byte of the line after the one that starts at `at`; every line below `size` ends in
 * CRLF or at least in LF, as http1_scan has seen. */
size_t http1_next_line(const char *bytes, size_t at, size_t size);

/* Reads the lines from `at` up to the empty one that ends at `size` into head->fields and the
 * facts they state. `host` becomes the only Host field, if there is one. */
enum http1_fault http1_fields_parse(const char *bytes, size_t at, size_t size,
                                    enum http1_side side, struct http1_head *head);

/* Which known name this is. */
enum http1_name http1_name_of(struct rc_span name);

#endif
