/* fuzz_http_chunks.c - any bytes as a chunked body: cut at every byte or not at all, payload,
 * verdict and end are the same. The first byte of the input chooses the size of the pieces. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "proxy/wire/framing.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

struct result {
    uint8_t *payload;
    size_t size;
    size_t consumed;
    bool done;
    bool failed;
};

static void decode(const uint8_t *bytes, size_t size, size_t step, struct result *r)
{
    const struct framing chunked = {FRAMING_CHUNKED, 0};
    struct framing_decoder decoder;
    size_t end = 0;

    framing_decoder_init(&decoder, &chunked);
    while (end < size && !r->failed && !framing_is_done(&decoder)) {
        end = size - end > step ? end + step : size;
        for (;;) {
            struct framing_piece piece;
            size_t offered = end - r->consumed;
            if (framing_decode(&decoder, bytes + r->consumed, offered, &piece) != RC_OK) {
                r->failed = true;
                break;
            }
            assert(piece.consumed <= offered && piece.payload_size <= piece.consumed);
            if (piece.payload_size > 0) {
                memcpy(r->payload + r->size, piece.payload, piece.payload_size);
                r->size += piece.payload_size;
            }
            r->consumed += piece.consumed;
            if (piece.consumed == 0 || r->consumed == end) {
                break;
            }
        }
    }
    r->done = framing_is_done(&decoder);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < 2 || size > 65536) {
        return 0;
    }
    size_t steps[3] = {size, 1, bytes[0] % 61 + 2U};
    struct result results[3] = {{0}};

    for (size_t i = 0; i < 3; i++) {
        results[i].payload = malloc(size);
        if (results[i].payload == NULL) {
            abort();
        }
        decode(bytes + 1, size - 1, steps[i], &results[i]);
    }
    for (size_t i = 1; i < 3; i++) {
        assert(results[i].failed == results[0].failed);
        assert(results[i].done == results[0].done);
        if (!results[0].failed) {
            assert(results[i].consumed == results[0].consumed);
        }
        assert(results[i].size == results[0].size);
        assert(memcmp(results[i].payload, results[0].payload, results[0].size) == 0);
    }
    for (size_t i = 0; i < 3; i++) {
        free(results[i].payload);
    }
    return 0;
}
