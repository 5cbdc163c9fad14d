/* h2_census.c - frame heads, counted. */
#include "proxy/http2/h2_census.h"

#include <string.h>

/* RFC 9113 section 6. */
enum frame_type {
    FRAME_DATA = 0,
    FRAME_HEADERS = 1,
    FRAME_RST_STREAM = 3,
    FRAME_WINDOW_UPDATE = 8,
    FRAME_CONTINUATION = 9
};

enum { END_STREAM = 1 };

static enum h2_nuisance judge(uint32_t size, uint8_t type, uint8_t flags)
{
    if (type == FRAME_DATA) {
        bool tiny = size < H2_TINY_BYTES && (flags & END_STREAM) == 0;
        return tiny ? H2_TINY : H2_NUISANCE_COUNT;
    }
    if (type == FRAME_HEADERS) {
        return H2_NUISANCE_COUNT;
    }
    if (type == FRAME_RST_STREAM) {
        return H2_RESETS;
    }
    if (type == FRAME_WINDOW_UPDATE) {
        return H2_WINDOWS;
    }
    return type == FRAME_CONTINUATION ? H2_PIECES : H2_CONTROL;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

bool h2_census_next(struct h2_census *census, const uint8_t *bytes, size_t size,
                    size_t *at, enum h2_nuisance *kind)
{
    size_t skipped = smaller(size - *at, (size_t)H2_PREFACE_BYTES - census->preface);
    census->preface = (uint8_t)(census->preface + skipped);
    *at += skipped;

    skipped = smaller(size - *at, census->left);
    census->left -= (uint32_t)skipped;
    *at += skipped;
    if (census->left > 0 || *at == size) {
        return false;
    }
    size_t take = smaller(size - *at, (size_t)H2_FRAME_HEAD_BYTES - census->have);
    memcpy(census->head + census->have, bytes + *at, take);
    *at += take;
    census->have = (uint8_t)(census->have + take);
    if (census->have < H2_FRAME_HEAD_BYTES) {
        return false;
    }
    census->have = 0;
    census->left = (uint32_t)census->head[0] << 16 | (uint32_t)census->head[1] << 8 |
                   census->head[2];
    *kind = judge(census->left, census->head[3], census->head[4]);
    return true;
}
