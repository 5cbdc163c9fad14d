/* h2_head.h - heads of HTTP/2 as heads of HTTP/1.1, and back.
 *
 * A request's fields become the text that an HTTP/1.1 client would have sent, so that one parser
 * (http1.h) judges both. What could make that text mean something else than the fields did is
 * refused here: names with a colon, values with a line's end, a :path that is no path, a Host
 * that differs from :authority (RFC 9113 sections 8.2.1, 8.2.2, 8.3.1). Whether a name is a token
 * and a host a host is left to the parser.
 *
 * A response's head goes the other way: its lines become fields, without copying. */
#ifndef PROXY_HTTP2_H2_HEAD_H
#define PROXY_HTTP2_H2_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "base/writer.h"
#include "proxy/wire/http1.h"

enum {
    H2_HEAD_FIELDS_MAX = HTTP1_FIELDS_MAX + 28 /* of a response: what we add as well */
};

enum h2_pseudo {
    H2_METHOD,
    H2_SCHEME,
    H2_AUTHORITY,
    H2_PATH,
    H2_PROTOCOL, /* RFC 8441 section 4 */
    H2_PSEUDO_COUNT
};

/* One request head being written; read by h2_head.c only. */
struct h2_head {
    struct rc_writer text;
    struct rc_span pseudo[H2_PSEUDO_COUNT];
    unsigned seen;          /* bits of enum h2_pseudo */
    enum http1_fault fault; /* the first one */
    bool begun;             /* the request line is written */
    bool has_host;          /* a Host line is */
    bool has_length;
    bool has_content;  /* and it is not 0 */
    size_t cookie_end; /* of the only Cookie line's value; 0 = none yet */
};

/* Begins a head in `space`, which must last until h2_head_end. */
void h2_head_begin(struct h2_head *head, void *space, size_t size);

/* The next field. The spans of pseudo-fields (":path") must last until h2_head_end or the first
 * other field, whatever comes first. */
void h2_head_field(struct h2_head *head, struct rc_span name, struct rc_span value);

/* A field that the layer below refuses to show. */
void h2_head_bad_field(struct h2_head *head);

/* All fields are there. `*size` becomes the text's, which http1_request_parse can read, if the
 * answer is HTTP1_SOUND. */
enum h2_body { H2_NO_BODY, H2_BODY };
enum http1_fault h2_head_end(struct h2_head *head, enum h2_body body, size_t *size);

/* True if a tunnel is asked for (extended CONNECT). After h2_head_end. */
bool h2_head_is_tunnel(const struct h2_head *head);

/* A field of a trailer section, written into the same space; and whether the whole stands up to
 * http1_trailer_check. Trailers are not passed on. */
void h2_head_trailer(struct h2_head *head, struct rc_span name, struct rc_span value);
enum http1_fault h2_head_trailer_end(struct h2_head *head);

struct h2_field {
    struct rc_span name;
    struct rc_span value;
};

/* Splits a response head that we wrote into fields, ":status" first; names keep their spelling,
 * fields about the connection are left out. `*head_size` becomes its size with the empty line.
 * RC_OK, RC_EMALFORMED or RC_ETOOBIG. */
int h2_head_split(const char *text, size_t size,
                  struct h2_field fields[H2_HEAD_FIELDS_MAX], size_t *count,
                  size_t *head_size);

#endif
