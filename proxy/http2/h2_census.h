/* h2_census.h - the frames in a stream of bytes, by what they are a nuisance as.
 *
 * Reads the nine bytes before each frame (RFC 9113 section 4.1) and skips the rest. Pure. */
#ifndef PROXY_HTTP2_H2_CENSUS_H
#define PROXY_HTTP2_H2_CENSUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/http2/h2_abuse.h"

enum {
    H2_PREFACE_BYTES = 24,
    H2_FRAME_HEAD_BYTES = 9,
    H2_TINY_BYTES = 32 /* a DATA frame with less is mostly its own header */
};

/* Zeroed at the start of a connection. */
struct h2_census {
    uint8_t preface; /* bytes of it that have passed */
    uint8_t have;    /* bytes of a frame's head */
    uint8_t head[H2_FRAME_HEAD_BYTES];
    uint32_t left; /* of its payload */
};

/* Looks at bytes[*at] and what follows up to the next frame's head, and moves `*at` behind it. True
 * if there is one: then `*kind` says what it counts as, H2_NUISANCE_COUNT for nothing. */
bool h2_census_next(struct h2_census *census, const uint8_t *bytes, size_t size,
                    size_t *at, enum h2_nuisance *kind);

#endif
