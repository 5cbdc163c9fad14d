/* grpc.h - what gRPC puts around messages: their frames, and how a call ended.
 *
 * A frame is a byte that says whether it is compressed, which is never asked for and refused,
 * four bytes of length, and a message. How a call ended stands in the trailers, or in the
 * headers if there is nothing else. Pure.
 *
 * Source: "gRPC over HTTP2" (grpc/doc/PROTOCOL-HTTP2.md), "HTTP to gRPC Status Code Mapping". */
#ifndef AGENT_ENGINE_GRPC_H
#define AGENT_ENGINE_GRPC_H

#include <stddef.h>
#include <stdint.h>

#include "base/cursor.h"
#include "base/pack.h"
#include "base/text.h"

enum { GRPC_FRAME_HEAD = 5, GRPC_TEXT_MAX = 256 };

/* gRPC's status codes. */
enum grpc_status {
    GRPC_OK,
    GRPC_CANCELLED,
    GRPC_UNKNOWN,
    GRPC_INVALID_ARGUMENT,
    GRPC_DEADLINE_EXCEEDED,
    GRPC_NOT_FOUND,
    GRPC_ALREADY_EXISTS,
    GRPC_PERMISSION_DENIED,
    GRPC_RESOURCE_EXHAUSTED,
    GRPC_FAILED_PRECONDITION,
    GRPC_ABORTED,
    GRPC_OUT_OF_RANGE,
    GRPC_UNIMPLEMENTED,
    GRPC_INTERNAL,
    GRPC_UNAVAILABLE,
    GRPC_DATA_LOSS,
    GRPC_UNAUTHENTICATED,
    GRPC_STATUS_COUNT
};

/* The head of a frame around `size` bytes, at most 4 GiB. */
void grpc_frame_head(size_t size, uint8_t out[GRPC_FRAME_HEAD]);

/* Takes the next whole message. RC_OK; RC_ETRUNCATED, and nothing is taken: more bytes must come;
 * RC_EMALFORMED (compressed) or RC_ETOOBIG (more than `max` bytes), for good. */
int grpc_frame_next(struct rc_cursor *in, size_t max, struct rc_pack_bytes *out);

/* How a call ended, as far as its headers and trailers have said it. */
struct grpc_end {
    long http_status; /* 0: not even that */
    int status; /* enum grpc_status, or a number that is new; -1: nothing was said */
    char text[GRPC_TEXT_MAX]; /* one line for people; "" */
};

/* Nothing was said yet. */
void grpc_end_clear(struct grpc_end *end);

/* One header or trailer. */
void grpc_end_read(struct grpc_end *end, struct rc_span name, struct rc_span value);

/* What an answer of HTTP means that says nothing of gRPC. Never GRPC_OK. */
enum grpc_status grpc_status_of_http(long status);

#endif
