/* Any bytes as a Cookie field, a query and a sticky value. */
#include <assert.h>
#include <stdint.h>

#include "proxy/http/affinity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct rc_span part, struct rc_span whole)
{
    if (part.size > 0) {
        assert(part.at >= whole.at && part.at + part.size <= whole.at + whole.size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rc_span whole = {(const char *)data, size};
    char cookie[AFFINITY_COOKIE_MAX];
    struct rc_span value = affinity_cookie(whole, "id");
    check(value, whole);
    check(affinity_argument(whole, "id"), whole);
    uint64_t sticky = affinity_read(value);
    if (sticky != 0) {
        affinity_write("id", sticky, AFFINITY_PLAIN, cookie);
        struct rc_span again = affinity_cookie(rc_span_of(cookie), "id");
        assert(affinity_read(again) == sticky);
    }
    return 0;
}
