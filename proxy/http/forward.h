/* forward.h - which lines of a head go on, which are dropped, and which are ours to add.
 *
 * RFC 9110 section 7: what a proxy must remove (Connection and all it names), must not pass
 * (a foreign framing) and adds about the client. Order and spelling of what goes on is kept.
 * Heads go from http1.h into a writer; a head that does not fit sticks there as RC_ETOOBIG. */
#ifndef PROXY_HTTP_FORWARD_H
#define PROXY_HTTP_FORWARD_H

#include "base/text.h"
#include "base/writer.h"
#include "proxy/config/config_route.h"
#include "proxy/wire/framing.h"
#include "proxy/wire/http1.h"

/* What we call ourselves in Via (RFC 9110 section 7.6.3). */
#define FORWARD_VIA_NAME "rollcall-proxy"

enum {
    FORWARD_ADDED_MAX = 1024 /* bytes that a request head may grow by, host name aside */
};

/* Do we believe what this peer says about the client behind it? */
enum forward_trust { FORWARD_REPLACE, FORWARD_APPEND };

/* What becomes of the request's Upgrade. */
enum forward_upgrade { FORWARD_PLAIN, FORWARD_WEBSOCKET };

struct forward_request {
    const char *bytes; /* of the head; borrowed, as all spans here */
    const struct http1_request *request;
    struct rc_span peer;         /* the client's address, without port */
    struct rc_span port;         /* the one it connected to */
    struct rc_span scheme;       /* "http" or "https" */
    struct rc_span default_host; /* if the request names none (HTTP/1.0) */
    struct rc_span request_id;   /* if it brings none that we believe */
    enum forward_trust trust;
    enum forward_upgrade upgrade;
    struct rc_span target; /* path and query as they go on; empty = as they came */
    const struct config_edits *edits;     /* of the route; NULL = none */
    const struct template_values *values; /* for them */
    bool via;                             /* says that it came through here */
    bool forwarded;                       /* adds a Forwarded line (RFC 7239) */
};

/* True if the request is a websocket handshake (RFC 6455 section 4.1) as far as a proxy must
 * know: only such a request may turn a connection into a tunnel. */
bool forward_is_websocket(const struct http1_request *request);

/* True for OPTIONS with `Max-Forwards: 0`: we are the one to answer (RFC 9110 section 7.6.2). */
bool forward_stops_here(const char *bytes, const struct http1_request *request);

/* Writes the request head for the instance, always as HTTP/1.1 on a kept connection. RC_OK or
 * RC_ETOOBIG. */
int forward_request(const struct forward_request *from, struct rc_writer *out);

/* How the body that follows is framed towards the client. */
enum forward_body {
    FORWARD_AS_SAID,   /* Content-Length, if any, goes on */
    FORWARD_CHUNKED,   /* our own chunks */
    FORWARD_UNMEASURED /* no framing fields: until close, or a status without body */
};

/* What we say about the client's connection. */
enum forward_connection {
    FORWARD_SILENT, /* nothing: it is kept (1.1), or this is an interim response */
    FORWARD_CLOSE,
    FORWARD_KEEP_ALIVE, /* said aloud, for HTTP/1.0 */
    FORWARD_SWITCH      /* 101: the websocket's */
};

struct forward_response {
    const char *bytes;
    const struct http1_response *response;
    enum forward_body body;
    enum forward_connection connection;
    const char *cookie; /* the value of a Set-Cookie field of ours, or NULL */
    const struct config_edits *edits;     /* of the route; NULL = none */
    const struct template_values *values; /* for them */
    const char *hsts; /* a field line unless the instance says so itself, or NULL */
    bool via;
};

/* Writes the response head for the client. RC_OK or RC_ETOOBIG. */
int forward_response(const struct forward_response *from, struct rc_writer *out);

/* A complete response of our own. RC_OK or RC_ETOOBIG. */
struct forward_answer {
    unsigned status;
    const char *text;         /* one line, without line end; NULL: `body` is the body */
    struct rc_span body;      /* as it is */
    const char *content_type; /* NULL = plain text */
    struct rc_span location;  /* "" = none */
    uint32_t retry_after_s;   /* 0 = not said */
    const struct config_edits *edits; /* of the route; NULL = none */
    const struct template_values *values;
    const char *more; /* further field lines with their CRLF, or NULL */
    const char *hsts; /* likewise */
    enum forward_connection connection;
    bool head_only; /* the request was a HEAD */
};
int forward_answer(const struct forward_answer *answer, struct rc_writer *out);

#endif
