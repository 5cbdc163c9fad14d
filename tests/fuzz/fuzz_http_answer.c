/* Any bytes as the answer to an HTTP check; read whole and byte by byte, with one outcome. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "agent/checks/http_answer.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_answer whole = {0};
    struct http_answer pieces = {0};

    int want = http_answer_feed(&whole, data, size);
    int got = RC_EAGAIN;
    for (size_t i = 0; i < size && got == RC_EAGAIN; i++) {
        got = http_answer_feed(&pieces, data + i, 1);
    }
    assert(size == 0 || got == want);
    assert(strcmp(whole.status, pieces.status) == 0);
    assert(whole.code == pieces.code);
    assert(whole.body_bytes <= HTTP_ANSWER_BODY_MAX_BYTES + size);
    assert(whole.body.size <= HTTP_ANSWER_BODY_KEPT_BYTES);
    http_answer_fini(&whole);
    http_answer_fini(&pieces);
    return 0;
}
