/* http1.h - heads of HTTP/1.1 messages: is this one sound, and what stands where?
 *
 * Bytes in, spans out: nothing is copied, changed or kept. The rules are those of RFC 9112
 * (sections 2-5) and RFC 9110 (section 5), and where they leave a choice the strict one is
 * taken, because whatever two parsers read differently is a way to smuggle requests. A head
 * that breaks a rule yields a fault, which knows the status to answer with.
 *
 * Does not decide where a body ends (framing.h) or what is passed on (forward.h). */
#ifndef PROXY_WIRE_HTTP1_H
#define PROXY_WIRE_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

enum {
    HTTP1_HEAD_MAX = 16384,  /* bytes of a whole head; also what a span can address */
    HTTP1_LINE_MAX = 8192,   /* bytes of the first line */
    HTTP1_FIELDS_MAX = 100,  /* field lines of one head */
    HTTP1_TOKENS_MAX = 32,   /* members of all Connection lines together */
    HTTP1_TRAILER_MAX = 8192 /* bytes of a trailer section */
};

/* Why a head is refused. The first is success. */
enum http1_fault {
    HTTP1_SOUND,
    HTTP1_BARE_LF,
    HTTP1_BAD_REQUEST_LINE,
    HTTP1_BAD_TARGET,
    HTTP1_BAD_STATUS_LINE,
    HTTP1_BAD_VERSION,
    HTTP1_VERSION_UNSUPPORTED,
    HTTP1_BAD_FIELD_NAME,
    HTTP1_BAD_FIELD_VALUE,
    HTTP1_FOLDED_LINE,
    HTTP1_BAD_HOST,
    HTTP1_BAD_CONTENT_LENGTH,
    HTTP1_BAD_TRANSFER_ENCODING,
    HTTP1_UNKNOWN_TRANSFER_ENCODING,
    HTTP1_LENGTH_AND_ENCODING,
    HTTP1_BAD_CONNECTION,
    HTTP1_UNKNOWN_EXPECTATION,
    HTTP1_LINE_TOO_LONG,
    HTTP1_HEAD_TOO_LARGE,
    HTTP1_BAD_TRAILER,
    HTTP1_FAULT_COUNT
};

/* Field names that mean something to a proxy. */
enum http1_name {
    HTTP1_OTHER,
    HTTP1_TE,
    HTTP1_VIA,
    HTTP1_HOST,
    HTTP1_EXPECT,
    HTTP1_COOKIE,
    HTTP1_UPGRADE,
    HTTP1_TRAILER,
    HTTP1_FORWARDED,
    HTTP1_X_REAL_IP,
    HTTP1_CONNECTION,
    HTTP1_KEEP_ALIVE,
    HTTP1_SET_COOKIE,
    HTTP1_RETRY_AFTER,
    HTTP1_X_REQUEST_ID,
    HTTP1_MAX_FORWARDS,
    HTTP1_CONTENT_TYPE,
    HTTP1_CONTENT_RANGE,
    HTTP1_AUTHORIZATION,
    HTTP1_CONTENT_LENGTH,
    HTTP1_HTTP2_SETTINGS,
    HTTP1_IDEMPOTENCY_KEY,
    HTTP1_X_FORWARDED_FOR,
    HTTP1_X_FORWARDED_HOST,
    HTTP1_X_FORWARDED_PORT,
    HTTP1_PROXY_CONNECTION,
    HTTP1_CONTENT_ENCODING,
    HTTP1_WWW_AUTHENTICATE,
    HTTP1_TRANSFER_ENCODING,
    HTTP1_X_FORWARDED_PROTO,
    HTTP1_SEC_WEBSOCKET_KEY,
    HTTP1_PROXY_AUTHENTICATE,
    HTTP1_PROXY_AUTHORIZATION,
    HTTP1_NAME_COUNT
};

enum http1_method {
    HTTP1_METHOD_OTHER,
    HTTP1_GET,
    HTTP1_HEAD,
    HTTP1_POST,
    HTTP1_PUT,
    HTTP1_DELETE,
    HTTP1_OPTIONS,
    HTTP1_PATCH,
    HTTP1_TRACE,
    HTTP1_CONNECT,
    HTTP1_METHOD_COUNT
};

/* RFC 9112 section 3.2; authority-form comes with CONNECT only. */
enum http1_target { HTTP1_ORIGIN, HTTP1_ABSOLUTE, HTTP1_ASTERISK, HTTP1_AUTHORITY };

/* A piece of the head: offset from its first byte, and length. */
struct http1_span {
    uint16_t at;
    uint16_t size;
};

/* Marks of one field line. */
enum {
    HTTP1_NAMED_BY_CONNECTION = 1, /* hop-by-hop because Connection says so */
    HTTP1_LOOKALIKE = 2            /* a known name spelled with underscores */
};

struct http1_field {
    struct http1_span name;
    struct http1_span value; /* without white space around it */
    uint8_t known;           /* enum http1_name */
    uint8_t marks;
};

/* What a head says about itself; bits of http1_head.says. */
enum {
    HTTP1_SAYS_LENGTH = 1 << 0,     /* Content-Length, valid */
    HTTP1_SAYS_CHUNKED = 1 << 1,    /* Transfer-Encoding: chunked */
    HTTP1_SAYS_CLOSE = 1 << 2,      /* Connection: close */
    HTTP1_SAYS_KEEP_ALIVE = 1 << 3, /* Connection: keep-alive */
    HTTP1_SAYS_UPGRADE = 1 << 4,    /* Connection: upgrade, and an Upgrade field */
    HTTP1_SAYS_WEBSOCKET = 1 << 5,  /* Upgrade holds the token websocket */
    HTTP1_SAYS_CONTINUE = 1 << 6,   /* Expect: 100-continue */
    HTTP1_SAYS_TRAILERS = 1 << 7,   /* TE: trailers */
    HTTP1_SAYS_WEBSOCKET_KEY = 1 << 8,
    HTTP1_SAYS_REQUEST_ID = 1 << 9,
    HTTP1_SAYS_RETRY_NOW = 1 << 10, /* Retry-After: 0 */
    HTTP1_SAYS_IDEMPOTENCY_KEY = 1 << 11,
    HTTP1_SAYS_HOST = 1 << 12
};

/* Common to requests and responses. Spans count from the `bytes` handed to the parser. */
struct http1_head {
    uint64_t content_length; /* if says & HTTP1_SAYS_LENGTH */
    uint32_t says;
    uint32_t keep_alive_s; /* `timeout` of Keep-Alive; 0 = not said */
    uint16_t size;         /* bytes of the head, empty line included */
    uint16_t count;        /* of fields */
    uint8_t minor;         /* HTTP/1.minor: 0, or 1 for all higher ones */
    struct http1_field fields[HTTP1_FIELDS_MAX];
};

struct http1_request {
    struct http1_head head;
    enum http1_method method;
    enum http1_target form;
    struct http1_span method_text;
    struct http1_span target; /* as received */
    struct http1_span
        path; /* origin-form part with query; empty: "/" (or "*") is meant */
    struct http1_span
        host; /* authority of the target, else of Host; may be empty in 1.0 */
};

struct http1_response {
    struct http1_head head;
    uint16_t status;               /* 100..599 */
    struct http1_span status_text; /* status and reason, "200 OK" */
};

/* How far the search for the end of a head has come. Zeroed at the start of each head. */
struct http1_scan {
    uint16_t at;         /* bytes looked at */
    uint16_t line_start; /* of the line we are in */
    uint16_t lines;      /* complete ones */
};

/* Looks at the bytes that came since the last call for the end of the head; `bytes` always
 * points to the first byte of the head. Sets `*head_size` to the size of the head, or to 0
 * while more bytes are wanted. Linear however small the pieces. */
enum http1_fault http1_scan(struct http1_scan *scan, const char *bytes, size_t size,
                            size_t *head_size);

/* Parses one complete head of `size` bytes, as http1_scan measured it (size <=
 * HTTP1_HEAD_MAX). `*out` is complete only if the answer is HTTP1_SOUND; after another one of
 * http1_request_parse method, method_text and target hold what was understood so far. */
enum http1_fault http1_request_parse(const char *bytes, size_t size,
                                     struct http1_request *out);
enum http1_fault http1_response_parse(const char *bytes, size_t size,
                                      struct http1_response *out);

/* Checks a trailer section: `size` bytes of complete field lines, without the empty line.
 * HTTP1_BAD_TRAILER for names that may not stand there (RFC 9110 section 6.5.1). */
enum http1_fault http1_trailer_check(const char *bytes, size_t size);

/* The status to answer with: 400, 414, 417, 431, 501 or 505; 0 for HTTP1_SOUND. */
uint16_t http1_fault_status(enum http1_fault fault);
/* A phrase for people ("bare LF in head") and a word for a metric's label ("bare_lf"). */
const char *http1_fault_text(enum http1_fault fault);
const char *http1_fault_label(enum http1_fault fault);

/* The reason phrase of a status we may send ourselves; "" if unknown. */
const char *http1_reason(unsigned status);

/* `span` of the head at `bytes`, for those who compare texts. */
struct rc_span http1_text(const char *bytes, struct http1_span span);

#endif
