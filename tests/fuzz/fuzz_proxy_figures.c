/* Any bytes as a proxy's figures: refused, or told again as JSON that is told the same again. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "agent/http/proxy_book.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rc_buffer first = {.max = PROXY_BOOK_REPLY_MAX};
    struct rc_buffer second = {.max = PROXY_BOOK_REPLY_MAX};

    if (proxy_book_clean(data, size, &first) == RC_OK) {
        assert(proxy_book_clean(first.bytes, first.size, &second) == RC_OK);
        assert(first.size == second.size &&
               memcmp(first.bytes, second.bytes, first.size) == 0);
    }
    rc_buffer_fini(&first);
    rc_buffer_fini(&second);
    return 0;
}
