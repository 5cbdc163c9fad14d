/* A TCP stream cut into pieces gives the same messages as the same stream in one piece.
 * The first byte seeds the cuts. */
#include <stdint.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/random.h"
#include "base/table.h"
#include "dns/wire/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

struct told {
    uint64_t print; /* of all messages and their sizes */
    int end;        /* what the last dns_stream_next() said */
};

static void take_all(struct dns_stream *stream, struct told *told)
{
    const uint8_t *message;
    size_t size;

    while (told->end != RC_EMALFORMED &&
           (told->end = dns_stream_next(stream, &message, &size)) == RC_OK) {
        told->print = rc_hash(message, size, told->print + size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct told whole = {.print = 1, .end = RC_OK};
    struct told parts = whole;
    struct dns_stream stream = {.at = 0};
    struct rc_random random;

    if (size < 1) {
        return 0;
    }
    rc_random_init(&random, bytes[0]);
    if (dns_stream_feed(&stream, bytes + 1, size - 1) == RC_OK) {
        take_all(&stream, &whole);
    }
    dns_stream_fini(&stream);
    for (size_t at = 1; at < size;) {
        size_t step = 1 + (size_t)rc_random_below(&random, 1U + bytes[0] % 40U);
        step = step > size - at ? size - at : step;
        if (dns_stream_feed(&stream, bytes + at, step) != RC_OK) {
            break;
        }
        take_all(&stream, &parts);
        at += step;
    }
    dns_stream_fini(&stream);
    if (size > 1 && (whole.print != parts.print || whole.end != parts.end)) {
        abort();
    }
    return 0;
}
