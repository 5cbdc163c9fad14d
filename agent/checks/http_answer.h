/* http_answer.h - the answer to an HTTP check, read as far as a check needs it.
 *
 * RFC 9112, the client's side of one exchange on one connection: the status, and the end
 * of the body as text for people. Pure: bytes in. Not a general parser: it forgives what
 * a browser would, because a strange header does not make a server ill. */
#ifndef AGENT_CHECKS_HTTP_ANSWER_H
#define AGENT_CHECKS_HTTP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

enum {
    HTTP_ANSWER_STATUS_MAX = 128,
    HTTP_ANSWER_LINE_MAX = 512,              /* of longer lines the rest is ignored */
    HTTP_ANSWER_HEAD_MAX_BYTES = 64 * 1024,  /* more is malformed */
    HTTP_ANSWER_BODY_KEPT_BYTES = 8192,      /* the last ones */
    HTTP_ANSWER_BODY_MAX_BYTES = 1024 * 1024 /* more is not waited for */
};

enum http_answer_phase {
    HTTP_ANSWER_STATUS,
    HTTP_ANSWER_HEADER,
    HTTP_ANSWER_SIZED,      /* body: `left` bytes */
    HTTP_ANSWER_TO_THE_END, /* body: until the server closes */
    HTTP_ANSWER_CHUNK_SIZE,
    HTTP_ANSWER_CHUNK,
    HTTP_ANSWER_CHUNK_END,
    HTTP_ANSWER_DONE,
    HTTP_ANSWER_PHASE_COUNT
};

/* A zeroed struct waits for the first byte. */
struct http_answer {
    enum http_answer_phase phase;
    bool has_no_body; /* set before the first byte: HEAD was asked */
    bool is_chunked;
    bool is_sized;
    long code;                           /* 100..999, once the phase is past STATUS */
    char status[HTTP_ANSWER_STATUS_MAX]; /* "200 OK" */
    char line[HTTP_ANSWER_LINE_MAX];
    size_t line_size;
    size_t head_bytes;
    uint64_t left;
    uint64_t body_bytes;
    struct rc_buffer body; /* the last bytes of it */
};

void http_answer_fini(struct http_answer *answer);

/* RC_EAGAIN: wants more; RC_OK: complete; RC_EMALFORMED: this is not HTTP. */
int http_answer_feed(struct http_answer *answer, const void *bytes, size_t size);

/* The server has closed. RC_OK (a status came, which is what counts) or RC_ETRUNCATED. */
int http_answer_end(const struct http_answer *answer);

#endif
